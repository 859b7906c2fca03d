//! The drawings of `docs/machines` are those of the tables that run.

use consign::machine::{dot, mermaid};

use crate::committed::golden;
use crate::names_and_versions::ready;
use crate::rows::graphs;

#[test]
fn the_committed_diagrams_are_those_of_the_tables_that_run() {
    let mut drawn: Vec<(String, String)> =
        ready().iter().map(|p| (format!("{}.mmd", p.name()), p.mermaid())).collect();
    for (place, graph) in graphs() {
        drawn.push((format!("{place}.mmd"), mermaid(graph)));
        drawn.push((format!("{place}.dot"), dot(graph)));
    }
    assert_eq!(drawn.len(), 19, "eight machines, each drawn twice, and three pipelines");
    let stale: Vec<String> =
        drawn.iter().filter_map(|(name, text)| golden(&format!("docs/machines/{name}"), text)).collect();
    assert!(stale.is_empty(), "{}", stale.join("\n"));
}

#[test]
fn no_diagram_is_left_of_a_machine_that_is_gone() {
    let ready = ready();
    let known = |stem: &str| ready.iter().any(|p| p.name() == stem || p.places().contains(&stem));
    let left: Vec<String> = std::fs::read_dir(crate::committed::root().join("docs/machines"))
        .expect("the diagrams stand in docs/machines")
        .filter_map(Result::ok)
        .map(|e| e.file_name().to_string_lossy().into_owned())
        .filter(|name| !name.rsplit_once('.').is_some_and(|(stem, _)| known(stem)))
        .collect();
    assert!(left.is_empty(), "docs/machines holds drawings of nothing: {}", left.join(", "));
}
