//! What stored records speak of: every name and version of the ready pipelines, and the fingerprints of its tables.
//!
//! A name that changes here makes stored orders unreadable; a graph that changes while its version stays would step
//! them by other rules than they were written under.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use consign::machine::{Graph, Machine};
use consign::pipeline::{Digital, Mixed, Physical, Pipeline, digital, lifecycle::lifecycle, mixed, physical};
use consign::stage::{
    activation::service, aftersales::rma, correction::correction, dispatch::parcel, payment::attempt,
    refund::refund, review::case,
};

use crate::committed::{bless, golden, root};

const GOLDEN: &str = "tests/golden/names.txt";

fn policy_version(machine: &str) -> u16 {
    let all = [
        (lifecycle::M::GRAPH.name, lifecycle::M::POLICY_VERSION),
        (attempt::M::GRAPH.name, attempt::M::POLICY_VERSION),
        (case::M::GRAPH.name, case::M::POLICY_VERSION),
        (parcel::M::GRAPH.name, parcel::M::POLICY_VERSION),
        (service::M::GRAPH.name, service::M::POLICY_VERSION),
        (refund::M::GRAPH.name, refund::M::POLICY_VERSION),
        (rma::M::GRAPH.name, rma::M::POLICY_VERSION),
        (correction::M::GRAPH.name, correction::M::POLICY_VERSION),
    ];
    let found = all.iter().find(|(name, _)| *name == machine).map(|(_, version)| *version);
    found.unwrap_or_else(|| panic!("`{machine}` is a machine of which no policy is listed here"))
}

fn machine(out: &mut String, place: &str, g: &Graph) {
    let _ = writeln!(out, "machine {place} v{} {:016x}", g.version, g.fingerprint());
    let _ = writeln!(out, "    table {}", g.name);
    let _ = writeln!(out, "    policy v{}", policy_version(g.name));
    for s in g.states {
        let _ = writeln!(out, "    state {} v{}", s.name, s.version);
    }
    for i in g.inputs {
        let _ = writeln!(out, "    {} {} v{}", i.class.name(), i.name, i.version);
    }
    for e in g.effects {
        let _ = writeln!(out, "    effect {} v{}", e.name, e.version);
    }
    for proof in g.yields {
        let _ = writeln!(out, "    proof {proof}");
    }
    for space in g.spaces {
        let _ = writeln!(out, "    index {space}");
    }
}

fn written(pipelines: &[Pipeline]) -> String {
    let mut out = String::new();
    let mut known: Vec<(&str, u64)> = Vec::new();
    for p in pipelines {
        let _ = writeln!(out, "pipeline {} v{} {:016x}", p.name(), p.version(), p.fingerprint());
        for (place, g) in p.graphs() {
            // A machine that several pipelines place is written once.
            match known.iter().find(|(name, _)| *name == place) {
                Some((_, print)) => assert_eq!(*print, g.fingerprint(), "{place}"),
                None => {
                    known.push((place, g.fingerprint()));
                    machine(&mut out, place, g);
                }
            }
        }
    }
    out
}

/// The ready pipelines.
pub(crate) fn ready() -> Vec<Pipeline> {
    let composed = [physical(Physical::default()), digital(Digital::default()), mixed(Mixed::default())];
    composed.into_iter().map(|p| p.expect("the ready pipelines are composed without fault")).collect()
}

/// Version and fingerprint of everything that has one, by kind and name.
fn prints(text: &str) -> BTreeMap<String, (String, String)> {
    text.lines()
        .filter(|l| !l.starts_with(' '))
        .filter_map(|l| {
            let mut words = l.split(' ').map(str::to_owned);
            let name = format!("{} {}", words.next()?, words.next()?);
            Some((name, (words.next()?, words.next()?)))
        })
        .collect()
}

/// Everything whose graph changed and whose version did not.
fn unversioned(was: &str, is: &str) -> Vec<String> {
    let was = prints(was);
    prints(is)
        .into_iter()
        .filter_map(|(name, (version, print))| {
            let (old_version, old_print) = was.get(&name)?;
            let (same, changed) = (*old_version == version, *old_print != print);
            (same && changed).then(|| {
                format!("the graph of {name} changed under an unchanged version ({version}): raise it")
            })
        })
        .collect()
}

#[test]
fn no_graph_changes_under_an_unchanged_version_and_no_stored_name_unseen() {
    let is = written(&ready());
    let was = std::fs::read_to_string(root().join(GOLDEN)).unwrap_or_default();
    if !bless() {
        let changed = unversioned(&was, &is);
        assert!(changed.is_empty(), "{}", changed.join("\n"));
    }
    let stale = golden(GOLDEN, &is);
    assert!(stale.is_none(), "{}", stale.unwrap_or_default());
}

#[test]
fn a_changed_graph_is_told_from_a_changed_version() {
    let was = "pipeline shop v1 00aa\nmachine turn v1 00bb\n    state A v1\nmachine pack v2 00cc\n";
    let is = "pipeline shop v2 00ab\nmachine turn v1 00bc\n    state A v1\nmachine pack v3 00cd\nmachine new v1 00ee\n";
    assert_eq!(
        unversioned(was, is),
        ["the graph of machine turn changed under an unchanged version (v1): raise it"]
    );
    assert!(unversioned(is, is).is_empty());
}
