//! Every row of every machine of the ready pipelines is walked here, by a case that says what comes of it: the rows
//! that fire, what they post, what they want outside, and what they hold.

pub(crate) mod activation;
pub(crate) mod aftersales;
pub(crate) mod amend;
pub(crate) mod carriers;
pub(crate) mod correction;
pub(crate) mod dispatch;
mod earning;
mod ends;
mod follow;
mod journeys;
pub(crate) mod lifecycle;
mod money;
mod once;
pub(crate) mod owed;
mod owed_random;
pub(crate) mod parcels;
pub(crate) mod payment;
pub(crate) mod refund;
mod refusals;
mod returns;
pub(crate) mod review;
mod rights;
mod services;
mod stock;
mod twice;
mod wander;
pub(crate) mod warehouses;

use std::collections::BTreeSet;

use consign::machine::Graph;
use consign::pipeline::{Digital, Mixed, Physical, digital, mixed, physical};

use crate::support::shop::{Shop, under_mixed};

/// A way to a state, the input to walk a row with, and all that is to come of it.
pub(crate) struct Case {
    pub(crate) name: String,
    pub(crate) at: Box<dyn Fn() -> Shop>,
    pub(crate) then: Box<dyn Fn(&mut Shop)>,
    /// As [`Came::told`](crate::support::shop::Came::told), whatever the indentation.
    pub(crate) told: String,
}

/// One case.
fn case(
    name: impl Into<String>,
    at: impl Fn() -> Shop + 'static,
    then: impl Fn(&mut Shop) + 'static,
    told: &str,
) -> Case {
    Case { name: name.into(), at: Box::new(at), then: Box::new(then), told: told.to_owned() }
}

/// The same case from each of several states; `{from}` stands for the state.
fn each(
    name: &str,
    at: fn(&str) -> Shop,
    states: &[&'static str],
    then: fn(&mut Shop),
    told: &str,
) -> Vec<Case> {
    let one = |s: &&'static str| {
        let s = *s;
        case(format!("{name} ({s})"), move || at(s), then, &told.replace("{from}", s))
    };
    states.iter().map(one).collect()
}

fn trimmed(text: &str) -> String {
    text.lines().map(str::trim).filter(|l| !l.is_empty()).collect::<Vec<_>>().join("\n")
}

/// Every case.
pub(crate) fn cases() -> Vec<Case> {
    let mut all = payment::cases();
    all.extend(review::cases());
    all.extend(dispatch::cases());
    all.extend(refund::cases());
    all.extend(lifecycle::cases());
    all.extend(amend::cases());
    all.extend(parcels::cases());
    all.extend(warehouses::cases());
    all.extend(carriers::cases());
    all.extend(activation::cases());
    all.extend(aftersales::cases());
    all.extend(follow::cases());
    all.extend(owed::cases());
    all.extend(correction::cases());
    all
}

/// The tables of the ready pipelines, each once, by its placement.
pub(crate) fn graphs() -> Vec<(&'static str, &'static Graph)> {
    let physical = physical(Physical::default()).unwrap().graphs();
    let digital = digital(Digital::default()).unwrap().graphs();
    let mixed = mixed(Mixed::default()).unwrap().graphs();
    let mut all: Vec<(&'static str, &'static Graph)> = Vec::new();
    for (place, graph) in physical.into_iter().chain(digital).chain(mixed) {
        match all.iter().find(|(p, _)| *p == place) {
            Some((_, known)) => assert_eq!(known.fingerprint(), graph.fingerprint(), "{place}"),
            None => all.push((place, graph)),
        }
    }
    all
}

/// Walks every case, and says what came otherwise than it tells: the rows that fired, by placement and state.
fn walk() -> (BTreeSet<(&'static str, usize, &'static str)>, Vec<String>) {
    let mut walked = BTreeSet::new();
    let mut wrong = Vec::new();
    for case in cases() {
        let mut shop = (case.at)();
        let before = shop.order.version;
        (case.then)(&mut shop);
        let version = shop.order.version;
        if version != before.saturating_add(1) && version != 1 {
            wrong.push(format!("{}: one input is one entry", case.name));
        }
        let came = shop.last.clone();
        walked.extend(came.fires.iter().map(|f| (f.place, f.row, f.from)));
        if trimmed(&came.told) != trimmed(&case.told) {
            wrong.push(format!("## {}\n{}", case.name, came.told));
        }
    }
    (walked, wrong)
}

#[test]
fn every_row_is_walked() {
    let mut names = BTreeSet::new();
    for case in cases() {
        assert!(names.insert(case.name.clone()), "two cases are called {}", case.name);
    }
    let (walked, mut wrong) = walk();
    for (place, graph) in graphs() {
        for (row, spec) in graph.rows.iter().enumerate() {
            let input = graph.inputs[usize::from(spec.on)].name;
            for from in graph.names(spec.from) {
                if !walked.contains(&(place, row, from)) {
                    let at = format!("{place}: {} + {input}", spec.from_name);
                    wrong.push(format!("no case walks {at}, from {from}"));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// An order of goods alone or of services alone goes its way in the mixed pipeline as in its own, to the posting.
#[test]
fn the_mixed_pipeline_carries_goods_and_services_as_their_own_pipelines_do() {
    let (_, wrong) = under_mixed(walk);
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
