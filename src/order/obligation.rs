//! What a customer has been let off, line by line, and what came on top: from it follows what is due, and what units
//! are worth that may still go back.
//!
//! ```text
//! due  =  total  -  what was given for lines, carriage and the rest  +  what came in exchange
//! ```
//!
//! Nothing is given twice: what is given for units of a line is taken out of what the line carries, whatever it was
//! given for, and the units that are left carry the rest.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{LineKind, Order};
use crate::money::split_minor;

/// The number of the first goods that came in exchange; they are called by numbers from here on, as lines of the
/// document are by their places.
pub const EXCHANGED: u32 = 1_000;
/// The number of the first carriage charge.
const CARRIAGE: u32 = 1_000_000;
/// What belongs to no line: fees that were kept and given back after all.
const REST: u32 = u32::MAX;
/// What was called off with a part of the order, and is carried by nothing that was served.
const CALLED_OFF: u32 = u32::MAX - 1;

/// Whether carriage goes back when a part of the order does, or is never sent.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum CarriageBack {
    /// It is kept until the last unit that it was charged for goes back or is never sent; then all of it goes back.
    #[default]
    WithLast,
    /// Every unit carries its part of it.
    InParts,
    /// It does not go back while the order stands.
    Never,
}

/// What was given for one line, for carriage, or for the rest.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Credit {
    /// The line, as a place in [`Order::lines`], counted from 0; from [`EXCHANGED`] on, goods that came in exchange.
    pub line: u32,
    /// Units that nothing more is given for.
    #[serde(default, skip_serializing_if = "none")]
    pub quantity: u32,
    /// Those of them that are never sent.
    #[serde(default, skip_serializing_if = "none")]
    pub unsent: u32,
    /// Those of them that came back.
    #[serde(default, skip_serializing_if = "none")]
    pub back: u32,
    /// Minor units of what the line carries that nothing more is given for.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub worth_minor: i64,
    /// Minor units that were given: less than the worth where a fee is kept.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub given_minor: i64,
}

#[allow(clippy::trivially_copy_pass_by_ref)] // the shape serde asks for
fn none(n: &u32) -> bool {
    *n == 0
}
#[allow(clippy::trivially_copy_pass_by_ref)] // the shape serde asks for
fn is_zero(n: &i64) -> bool {
    *n == 0
}

impl Credit {
    /// Adds another one, or takes it away.
    fn add(&mut self, other: &Self, undo: bool) {
        let units = |a: u32, b: u32| if undo { a.saturating_sub(b) } else { a.saturating_add(b) };
        let minor = |a: i64, b: i64| if undo { a.saturating_sub(b) } else { a.saturating_add(b) };
        self.quantity = units(self.quantity, other.quantity);
        self.unsent = units(self.unsent, other.unsent);
        self.back = units(self.back, other.back);
        self.worth_minor = minor(self.worth_minor, other.worth_minor);
        self.given_minor = minor(self.given_minor, other.given_minor);
    }
}

/// Goods that the customer has beyond the document: in exchange, or sent once more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Extra {
    /// What.
    pub sku: String,
    /// How many, at least 1.
    pub quantity: u32,
    /// Minor units for all of them, zero or more.
    pub price_minor: i64,
}

/// What one decision gives, and what it puts in its place.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Relief {
    /// What is given, by line.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub credits: Vec<Credit>,
    /// What the customer gets in place of it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub extras: Vec<Extra>,
}

impl Relief {
    /// Minor units that are given, the price of what comes in place of it left out.
    #[must_use]
    pub fn given_minor(&self) -> i64 {
        self.credits.iter().fold(0, |n: i64, c| n.saturating_add(c.given_minor))
    }

    /// Minor units by which less is due; below zero, by which more is.
    #[must_use]
    pub fn net_minor(&self) -> i64 {
        self.extras.iter().fold(self.given_minor(), |n, e| n.saturating_sub(e.price_minor))
    }

    /// The same, with no more given than `most` minor units and what comes in place of it: rounding gives away nothing.
    #[must_use]
    pub fn at_most(mut self, most_minor: i64) -> Self {
        let mut over = self.net_minor().saturating_sub(most_minor.max(0));
        for credit in self.credits.iter_mut().rev() {
            let less = over.min(credit.given_minor).max(0);
            credit.given_minor = credit.given_minor.saturating_sub(less);
            over = over.saturating_sub(less);
        }
        self
    }

    /// Whether it changes nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.credits.is_empty() && self.extras.is_empty()
    }

    /// As much of it as `part` is of `whole`, in minor units; what does not divide is left out. Units stay whole.
    #[must_use]
    pub fn part(&self, part_minor: i64, whole_minor: i64) -> Self {
        let of = |minor: i64| {
            let all = i128::from(minor).saturating_mul(i128::from(part_minor));
            i64::try_from(all.checked_div(i128::from(whole_minor)).unwrap_or(0)).unwrap_or(0)
        };
        let one = |c: &Credit| Credit {
            worth_minor: of(c.worth_minor),
            given_minor: of(c.given_minor),
            quantity: 0,
            unsent: 0,
            back: 0,
            line: c.line,
        };
        if part_minor == whole_minor {
            return self.clone();
        }
        Self { credits: self.credits.iter().map(one).collect(), extras: Vec::new() }
    }
}

/// What a customer has been let off so far, and what came on top.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Obligation {
    /// What was given, by line.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    credits: Vec<Credit>,
    /// What came on top, by number from [`EXCHANGED`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    extras: Vec<Extra>,
}

/// What units of a line are worth that nothing was given for yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Left {
    /// The line, as in [`Credit::line`].
    pub line: u32,
    /// How many.
    pub quantity: u32,
    /// Minor units that may still be given for them.
    pub worth_minor: i64,
    /// Minor units of it that were not given: more than the worth where a fee is kept.
    pub due_minor: i64,
}

impl Left {
    /// Whether it is carriage, and no goods or service.
    #[must_use]
    pub const fn is_carriage(&self) -> bool {
        self.line >= CARRIAGE
    }

    /// What the next `n` units are worth, in minor units; all that is left for the last one.
    #[must_use]
    pub fn units(&self, n: u32) -> i64 {
        let (worth, of) = (self.worth_minor.max(0), i64::from(self.quantity));
        if self.quantity == 0 {
            return 0;
        }
        if n >= self.quantity {
            return worth;
        }
        let n = i64::from(n);
        let (each, rest) = (worth.checked_div(of).unwrap_or(0), worth.checked_rem(of).unwrap_or(0));
        each.saturating_mul(n).saturating_add(n.min(rest))
    }
}

impl Obligation {
    /// Whether nothing was given, and nothing came on top.
    #[must_use]
    pub fn is_untouched(&self) -> bool {
        *self == Self::default()
    }

    /// What was given, by line.
    #[must_use]
    pub fn credits(&self) -> &[Credit] {
        &self.credits
    }

    /// What came on top, by number from [`EXCHANGED`].
    #[must_use]
    pub fn extras(&self) -> &[Extra] {
        &self.extras
    }

    /// The number of the goods that come in exchange next.
    #[must_use]
    pub fn next_extra(&self) -> u32 {
        EXCHANGED.saturating_add(u32::try_from(self.extras.len()).unwrap_or(u32::MAX))
    }

    /// Goods that came in exchange, by their number.
    #[must_use]
    pub fn extra(&self, line: u32) -> Option<&Extra> {
        self.extras.get(usize::try_from(line.checked_sub(EXCHANGED)?).ok()?)
    }

    /// What was given for one line.
    #[must_use]
    pub fn credit(&self, line: u32) -> Credit {
        let known = self.credits.iter().find(|c| c.line == line);
        known.cloned().unwrap_or_else(|| Credit { line, ..Credit::default() })
    }

    /// Minor units of the price that are not due any more; below zero, that are due on top of it.
    #[must_use]
    pub fn waived_minor(&self) -> i64 {
        let given = self.credits.iter().fold(0, |n: i64, c| n.saturating_add(c.given_minor));
        self.extras.iter().fold(given, |n, e| n.saturating_sub(e.price_minor))
    }

    /// What units of every line, of goods that came in exchange and of carriage may still give.
    #[must_use]
    pub fn left(&self, order: &Order) -> Vec<Left> {
        let shares = order.line_shares();
        let lines = order.lines().iter().map(|l| l.quantity).zip(shares);
        let extras = self.extras.iter().map(|e| (e.quantity, e.price_minor));
        let carriage = order.carriage();
        let carriage = carriage.iter().map(|c| (1, c.amount_minor));
        let all = (0u32..).zip(lines).chain((EXCHANGED..).zip(extras)).chain((CARRIAGE..).zip(carriage));
        all.map(|(line, (quantity, share))| {
            let credit = self.credit(line);
            Left {
                line,
                quantity: quantity.saturating_sub(credit.quantity),
                worth_minor: share.saturating_sub(credit.worth_minor).max(0),
                due_minor: share.saturating_sub(credit.given_minor),
            }
        })
        .collect()
    }

    /// Minor units that were given of what belongs to no line.
    #[must_use]
    pub fn rest_minor(&self) -> i64 {
        self.credit(REST).given_minor
    }

    /// What the next `n` units of a line are worth, in minor units, carriage left out.
    #[must_use]
    pub fn worth(&self, order: &Order, line: u32, n: u32) -> i64 {
        self.left(order).iter().find(|l| l.line == line).map_or(0, |l| l.units(n))
    }

    /// What is given for units, by line and quantity, with the carriage that goes back with them; without `carriage`,
    /// none does.
    #[must_use]
    pub fn relief(&self, order: &Order, units: &[(u32, u32)], carriage: Option<CarriageBack>) -> Relief {
        let left = self.left(order);
        let mut credits: Vec<Credit> = Vec::with_capacity(units.len());
        for (line, n) in units {
            let Some(of) = left.iter().find(|l| l.line == *line) else { continue };
            let quantity = (*n).min(of.quantity);
            let worth_minor = of.units(quantity);
            let given_minor = worth_minor.min(of.due_minor.max(0));
            credits.push(Credit { line: *line, quantity, worth_minor, given_minor, ..Credit::default() });
        }
        if let Some(how) = carriage {
            credits.extend(Self::carriage(order, &left, &credits, how));
        }
        Relief { credits, extras: Vec::new() }
    }

    /// The carriage that goes back with what is given.
    fn carriage(order: &Order, left: &[Left], given: &[Credit], how: CarriageBack) -> Vec<Credit> {
        let of = |line: u32| left.iter().find(|l| l.line == line);
        let taken = |line: u32| given.iter().find(|c| c.line == line);
        let mut all = Vec::new();
        for (number, charge) in (CARRIAGE..).zip(order.carriage()) {
            let Some(open) = of(number).filter(|l| l.worth_minor > 0) else { continue };
            let lines = charge.lines.iter().filter_map(|at| u32::try_from(*at).ok());
            let scope: Vec<&Left> =
                lines.filter_map(&of).chain(left.iter().filter(|l| is_extra(l.line))).collect();
            if !scope.iter().any(|l| taken(l.line).is_some_and(|c| c.quantity > 0)) {
                continue;
            }
            let last = scope.iter().all(|l| taken(l.line).map_or(0, |c| c.quantity) >= l.quantity);
            let worth_minor = match how {
                CarriageBack::WithLast | CarriageBack::InParts if last => open.worth_minor,
                CarriageBack::WithLast | CarriageBack::Never => 0,
                CarriageBack::InParts => {
                    let sum = |of: &dyn Fn(&Left) -> i64| {
                        scope.iter().fold(0i64, |n, l| n.saturating_add(of(l))).max(0).unsigned_abs()
                    };
                    let worth = sum(&|l| l.worth_minor);
                    let going = sum(&|l| taken(l.line).map_or(0, |c| c.worth_minor)).min(worth);
                    let parts = split_minor(open.worth_minor, &[going, worth.saturating_sub(going)]);
                    parts.ok().and_then(|p| p.first().copied()).unwrap_or(0)
                }
            };
            if worth_minor > 0 {
                let quantity = u32::from(worth_minor == open.worth_minor);
                let given_minor = worth_minor.min(open.due_minor.max(0));
                all.push(Credit { line: number, quantity, worth_minor, given_minor, ..Credit::default() });
            }
        }
        all
    }

    /// An amount that is given for no unit: the price of all that is left is lowered, in proportion, or that of some
    /// lines. What lines and carriage cannot give comes out of the rest.
    #[must_use]
    pub fn lowered(&self, order: &Order, amount_minor: i64, lines: Option<&[u32]>) -> Relief {
        let mut left = self.left(order);
        left.retain(|l| lines.is_none_or(|lines| lines.contains(&l.line)));
        let weights: Vec<u64> = left.iter().map(|l| l.worth_minor.max(0).unsigned_abs()).collect();
        let all = left.iter().fold(0, |n: i64, l| n.saturating_add(l.worth_minor.max(0)));
        let spread = amount_minor.min(all).max(0);
        let parts = split_minor(spread, &weights).unwrap_or_default();
        let credit =
            |line, worth_minor, given_minor| Credit { line, worth_minor, given_minor, ..Credit::default() };
        let mut credits: Vec<Credit> = left
            .iter()
            .zip(parts)
            .filter(|(_, part)| *part > 0)
            .map(|(l, part)| credit(l.line, part, part))
            .collect();
        let rest = amount_minor.saturating_sub(spread);
        if rest > 0 {
            credits.push(credit(REST, 0, rest));
        }
        Relief { credits, extras: Vec::new() }
    }

    /// Adds what is given and what comes in place of it.
    pub fn add(&mut self, relief: &Relief) {
        for credit in &relief.credits {
            self.credit_of(credit.line).add(credit, false);
        }
        self.extras.extend(relief.extras.iter().cloned());
    }

    /// Takes back what was given; goods that came in exchange stay.
    pub fn undo(&mut self, relief: &Relief) {
        for credit in &relief.credits {
            self.credit_of(credit.line).add(credit, true);
        }
        self.credits.retain(|c| *c != Credit { line: c.line, ..Credit::default() });
    }

    /// What was called off and was never paid, or went back, is not due any more; below zero, more is.
    pub fn call_off(&mut self, amount_minor: i64) {
        if amount_minor != 0 {
            let given_minor = amount_minor;
            self.credit_of(CALLED_OFF).add(&Credit { given_minor, ..Credit::default() }, false);
        }
    }

    fn credit_of(&mut self, line: u32) -> &mut Credit {
        let at = match self.credits.binary_search_by_key(&line, |c| c.line) {
            Ok(at) => at,
            Err(at) => {
                self.credits.insert(at, Credit { line, ..Credit::default() });
                at
            }
        };
        // The place was found or made in the line before.
        self.credits.get_mut(at).expect("a credit is at the place where it was put")
    }

    /// The same obligation once the document is another one: what was called off is asked for anew, and what was given
    /// besides lowers the price of what is ordered now.
    #[must_use]
    pub fn amended(&self, order: &Order) -> Self {
        let unsent = self.credits.iter().fold(0i64, |n, c| n.saturating_add(c.called_off_minor()));
        let carriage = self.credits.iter().filter(|c| (CARRIAGE..CALLED_OFF).contains(&c.line));
        let carriage =
            carriage.fold(0i64, |n, c| n.saturating_add(if c.unsent > 0 { c.given_minor } else { 0 }));
        let given = self.credits.iter().fold(0i64, |n, c| n.saturating_add(c.given_minor));
        let lowered = given.saturating_sub(unsent).saturating_sub(carriage).max(0);
        let mut next = Self { credits: Vec::new(), extras: self.extras.clone() };
        let most = order.total().minor().saturating_sub(next.waived_minor());
        let relief = next.lowered(order, lowered.min(most), None);
        next.add(&relief);
        next
    }

    /// What every parcel and service carries of what is due, in minor units, in the order given: `loads` holds, for
    /// each, whether its goods left, and which units of which lines it has. What parcels that left were relieved of is
    /// counted first.
    #[must_use]
    pub fn shares(&self, order: &Order, loads: &[(bool, Vec<(u32, u32)>)]) -> Vec<i64> {
        let mut shares = vec![0i64; loads.len()];
        let carried = |load: &[(u32, u32)], line: u32| {
            load.iter().filter(|(l, _)| *l == line).fold(0u32, |n, (_, q)| n.saturating_add(*q))
        };
        let any: Vec<u64> = loads.iter().map(|(_, load)| u64::from(!load.is_empty())).collect();
        // What nothing carries any more, such as a fee that was kept, is carried by whatever there is.
        let mut give = |weights: &[u64], minor: i64| {
            let parts = split_minor(minor, weights).or_else(|_| split_minor(minor, &any));
            for (share, part) in shares.iter_mut().zip(parts.unwrap_or_default()) {
                *share = share.saturating_add(part);
            }
        };
        let carriage = order.carriage();
        let prices: BTreeMap<u32, u64> = (0u32..)
            .zip(order.lines())
            .map(|(at, l)| (at, l.unit_price_minor.unsigned_abs().saturating_add(1)))
            .collect();
        for left in self.left(order) {
            if left.due_minor == 0 {
                continue;
            }
            let number = left.line.checked_sub(CARRIAGE).and_then(|n| usize::try_from(n).ok());
            if let Some(charge) = number.and_then(|n| carriage.get(n)) {
                let worth = |load: &[(u32, u32)]| {
                    load.iter().fold(0u64, |n, (line, q)| {
                        let at = usize::try_from(*line).unwrap_or(usize::MAX);
                        let counts = charge.lines.contains(&at) || is_extra(*line);
                        let price = prices.get(line).copied().unwrap_or(1);
                        n.saturating_add(if counts { price.saturating_mul(u64::from(*q)) } else { 0 })
                    })
                };
                let weights: Vec<u64> = loads.iter().map(|(_, load)| worth(load)).collect();
                give(&weights, left.due_minor);
                continue;
            }
            let credit = self.credit(left.line);
            let mut gone = credit.quantity.saturating_sub(credit.unsent);
            let mut live = vec![0u64; loads.len()];
            for out in [true, false] {
                for (at, (left_it, load)) in loads.iter().enumerate().filter(|(_, l)| l.0 == out) {
                    let _ = left_it;
                    let has = carried(load, left.line);
                    let taken = has.min(gone);
                    gone = gone.saturating_sub(taken);
                    live.get_mut(at).into_iter().for_each(|n| *n = u64::from(has.saturating_sub(taken)));
                }
            }
            if live.iter().all(|n| *n == 0) {
                live = loads.iter().map(|(_, load)| u64::from(carried(load, left.line))).collect();
            }
            give(&live, left.due_minor);
        }
        let mut rest = self.rest_minor();
        for share in &mut shares {
            let part = rest.min(*share).max(0);
            *share = share.saturating_sub(part);
            rest = rest.saturating_sub(part);
        }
        shares
    }

    /// Whether a line of the document, or goods that came in exchange, are of this kind.
    #[must_use]
    pub fn is_kind(&self, order: &Order, line: u32, kind: LineKind) -> bool {
        if is_extra(line) {
            return kind == LineKind::Goods && self.extra(line).is_some();
        }
        let of = usize::try_from(line).ok().and_then(|at| order.lines().get(at));
        of.is_some_and(|l| l.kind == kind)
    }

    /// What a line is of: its SKU, of the document or of what came in exchange.
    #[must_use]
    pub fn sku<'a>(&'a self, order: &'a Order, line: u32) -> Option<&'a str> {
        if is_extra(line) {
            return self.extra(line).map(|e| e.sku.as_str());
        }
        order.lines().get(usize::try_from(line).ok()?).map(|l| l.sku.as_str())
    }
}

impl Credit {
    /// What was given for units that are never sent, in minor units.
    fn called_off_minor(&self) -> i64 {
        if self.line >= CARRIAGE || self.quantity == 0 {
            return 0;
        }
        let all = i128::from(self.given_minor).saturating_mul(i128::from(self.unsent));
        let part = all.checked_div(i128::from(self.quantity)).unwrap_or(0);
        i64::try_from(part).unwrap_or(0)
    }
}

fn is_extra(line: u32) -> bool {
    (EXCHANGED..CARRIAGE).contains(&line)
}
