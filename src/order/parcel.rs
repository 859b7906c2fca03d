//! Which part of the total each parcel carries.

use std::collections::BTreeMap;

use super::{Line, LineKind, Order};
use crate::id::Key;
use crate::money::split_minor;

/// Goods of an order that travel together.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Parcel {
    /// Its number, from 1 in order of first appearance among the lines.
    pub key: Key,
    /// The group of its lines, if they have one.
    pub group: Option<String>,
    /// Its lines, as places in [`Order::lines`], counted from 0 and ascending.
    pub lines: Vec<usize>,
    /// Minor units of the order's total that it carries, zero or more.
    pub share_minor: i64,
}

/// What is dealt a share: a parcel, or all services together.
#[derive(Default)]
struct Part<'a> {
    group: Option<&'a str>,
    lines: Vec<usize>,
    lines_minor: i64,
    /// Lines and the charges of the group.
    own_minor: i64,
}

/// The parcels, and what the services carry. No sum here overflows: a valid order's amounts fit in
/// 64 bits even without their signs.
pub(super) fn shares(order: &Order) -> (Vec<Parcel>, i64) {
    let mut parts: Vec<Part<'_>> = Vec::new();
    let mut services = Part::default();
    let mut part_of: BTreeMap<Option<&str>, usize> = BTreeMap::new();
    for (at, line) in order.lines.iter().enumerate() {
        let group = line.group.as_deref();
        match line.kind {
            LineKind::Goods => {
                let place = *part_of.entry(group).or_insert_with(|| {
                    parts.push(Part { group, ..Part::default() });
                    parts.len() - 1
                });
                parts.get_mut(place).into_iter().for_each(|p| p.add(at, line));
            }
            LineKind::Service => services.add(at, line),
        }
    }

    // A group of goods and services is a parcel with work to be done on it: the parcel carries it.
    let parcels = parts.len();
    if !services.lines.is_empty() {
        parts.push(services);
        for line in &order.lines {
            if let (LineKind::Service, Some(group)) = (line.kind, line.group.as_deref()) {
                part_of.entry(Some(group)).or_insert(parcels);
            }
        }
    }

    let mut shared_minor = 0;
    for charge in &order.charges {
        let group = charge.group.as_deref();
        let place = group.and_then(|_| part_of.get(&group));
        match place.and_then(|place| parts.get_mut(*place)) {
            Some(part) => part.own_minor += charge.amount_minor,
            None => shared_minor += charge.amount_minor,
        }
    }

    let mut amounts = divide(order.total_minor, shared_minor, &parts).into_iter();
    let parcels = (1..)
        .zip(parts.into_iter().take(parcels))
        .zip(amounts.by_ref().take(parcels))
        .map(|((key, part), share_minor)| Parcel {
            key: Key(key),
            group: part.group.map(str::to_owned),
            lines: part.lines,
            share_minor,
        })
        .collect();
    (parcels, amounts.next().unwrap_or(0))
}

impl Part<'_> {
    fn add(&mut self, at: usize, line: &Line) {
        let amount = line.amount_minor().expect("no line of a valid order overflows");
        self.lines.push(at);
        self.lines_minor += amount;
        self.own_minor += amount;
    }
}

fn divide(total_minor: i64, shared_minor: i64, parts: &[Part<'_>]) -> Vec<i64> {
    let spread = by_weight(shared_minor, parts.iter().map(|p| p.own_minor));
    let natural: Vec<i64> = parts.iter().zip(spread).map(|(part, spread)| part.own_minor + spread).collect();
    if natural.iter().all(|share| *share >= 0) {
        return natural;
    }
    by_weight(total_minor, parts.iter().map(|p| p.lines_minor))
}

/// By the weights, or equally when one of them is negative or none is above zero.
fn by_weight(amount_minor: i64, weights: impl ExactSizeIterator<Item = i64>) -> Vec<i64> {
    let equal = vec![1; weights.len()];
    let weights: Option<Vec<u64>> = weights.map(|w| u64::try_from(w).ok()).collect();
    weights
        .and_then(|weights| split_minor(amount_minor, &weights).ok())
        .or_else(|| split_minor(amount_minor, &equal).ok())
        .expect("a valid order has a line, so there is a part, and equal weights are above zero")
}
