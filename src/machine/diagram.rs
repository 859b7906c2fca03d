//! Drawings of a machine, from the table that runs.

use std::fmt::Write as _;

use super::graph::{Class, Graph, Kind, RowSpec};
use crate::ledger::Code;

fn label(g: &Graph, r: &RowSpec) -> String {
    let mut s = g.inputs.get(usize::from(r.on)).map_or("?", |i| i.name).to_owned();
    for u in r.uses {
        let _ = write!(s, " [{u}]");
    }
    for e in r.effects {
        let _ = write!(s, " / {e}");
    }
    for code in Code::ALL {
        if r.must & code.bit() != 0 {
            let _ = write!(s, " !!{}", code.name());
        } else if r.may & code.bit() != 0 {
            let _ = write!(s, " !{}", code.name());
        }
    }
    for a in r.asks {
        let _ = write!(s, " ?{a}");
    }
    s
}

/// The machine as a Mermaid state diagram.
#[must_use]
pub fn mermaid(g: &Graph) -> String {
    let mut s = format!("stateDiagram-v2\n    %% {} v{}\n", g.name, g.version);
    for r in g.rows {
        for from in g.names(r.from) {
            for to in g.names(r.to) {
                let from = if from == "New" { "[*]" } else { from };
                let _ = writeln!(s, "    {from} --> {to}: {}", label(g, r));
            }
        }
    }
    for state in g.states.iter().filter(|s| s.kind.is_end()) {
        let _ = writeln!(s, "    {} --> [*]", state.name);
    }
    s
}

/// The machine as a DOT graph: commands solid, evidence bold, timers dotted, signals dashed.
#[must_use]
pub fn dot(g: &Graph) -> String {
    let mut s = format!("digraph \"{}\" {{\n    rankdir=LR;\n    New [shape=point];\n", g.name);
    for state in g.states {
        let shape = match state.kind {
            Kind::Wait => "box",
            Kind::Busy => "component",
            Kind::Rest | Kind::Done => "doublecircle",
            Kind::Fail => "octagon",
        };
        let _ = writeln!(s, "    {} [shape={shape}];", state.name);
    }
    for r in g.rows {
        let class = g.inputs.get(usize::from(r.on)).map_or(Class::Signal, |i| i.class);
        let style = match class {
            Class::Command => "solid",
            Class::Outcome => "bold",
            Class::Timer => "dotted",
            Class::Signal => "dashed",
        };
        for from in g.names(r.from) {
            for to in g.names(r.to) {
                let _ = writeln!(
                    s,
                    "    {from} -> {to} [label=\"{}\", style={style}];",
                    label(g, r)
                );
            }
        }
    }
    s.push_str("}\n");
    s
}
