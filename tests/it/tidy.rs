//! The rules of the house, held by reading its files: who may import whom, and what stays outside which door.
//!
//! The table of rooms is that of `docs/architecture.md`, section 2. A fault is told as `file:line` and the reason.

use std::path::Path;
use std::process::Command;

use crate::committed::root;

/// Rooms and what they may import. `stage` stands for all stages; siblings among them are a rule of their own.
const ROOMS: &[(&str, &[&str])] = &[
    ("money", &[]),
    ("id", &[]),
    ("clock", &[]),
    ("order", GROUND),
    ("ledger", GROUND),
    ("machine", &["money", "id", "clock", "order", "ledger"]),
    ("stage", &["money", "id", "clock", "order", "ledger", "machine"]),
    ("pipeline", &["money", "id", "clock", "order", "ledger", "machine", "stage"]),
    // The contracts speak of effects, and what an effect is stands in the kernel.
    ("gateway", &["money", "id", "clock", "order", "ledger", "machine", "stage"]),
    ("store", &["money", "id", "clock", "ledger"]),
    ("journal", &["money", "id", "clock", "order", "ledger", "machine", "stage", "pipeline", "store"]),
    ("engine", BELOW_ENGINE),
    ("monitor", &["money", "id", "clock", "order", "ledger", "machine", "stage", "pipeline", "engine"]),
    ("insights", &["money", "id", "clock", "ledger", "pipeline", "store", "journal"]),
    ("console", UNDER_THE_ROOF),
    ("testing", UNDER_THE_ROOF),
];
const GROUND: &[&str] = &["money", "id", "clock"];
const BELOW_ENGINE: &[&str] = &[
    "money", "id", "clock", "order", "ledger", "machine", "stage", "pipeline", "gateway", "store", "journal",
];
const UNDER_THE_ROOF: &[&str] = &[
    "money", "id", "clock", "order", "ledger", "machine", "stage", "pipeline", "gateway", "store", "journal",
    "engine", "monitor", "insights",
];

/// Rooms that are pure: no task, no time, no chance, no disk, and no order that differs from run to run.
const PURE: &[&str] = &["money", "id", "clock", "order", "ledger", "machine", "stage", "pipeline"];

/// What pure rooms never name, and why.
const IMPURE: &[(&str, &str)] = &[
    ("tokio", "nothing at `pipeline` or below knows a task"),
    ("async", "nothing at `pipeline` or below is async"),
    ("await", "nothing at `pipeline` or below is async"),
    ("rand", "nothing at `pipeline` or below draws randomness"),
    ("std::fs", "nothing at `pipeline` or below does I/O"),
    ("std::net", "nothing at `pipeline` or below does I/O"),
    ("std::env", "nothing at `pipeline` or below reads its surroundings"),
    ("std::thread", "nothing at `pipeline` or below knows a thread"),
    ("HashMap", "no hash order reaches a decision: use a BTreeMap or a Vec"),
    ("HashSet", "no hash order reaches a decision: use a BTreeSet or a Vec"),
];

/// The most columns a line may have, tables of a machine included.
const WIDTH: usize = 120;

/// The text of a file with comments and the insides of literals blanked, line by line as it was.
fn code(text: &str) -> String {
    let chars: Vec<char> = text.chars().collect();
    let at = |i: usize| chars.get(i).copied().unwrap_or('\0');
    let mut out = String::with_capacity(text.len());
    let mut i = 0;
    let blank = |out: &mut String, from: usize, to: usize| {
        out.extend((from..to.min(chars.len())).map(|n| if at(n) == '\n' { '\n' } else { ' ' }));
    };
    while i < chars.len() {
        let start = i;
        let word_before = i > 0 && (at(i - 1).is_alphanumeric() || at(i - 1) == '_');
        let hashes = (i + 1..).take_while(|n| at(*n) == '#').count();
        if at(i) == '/' && at(i + 1) == '/' {
            while i < chars.len() && at(i) != '\n' {
                i += 1;
            }
        } else if at(i) == '/' && at(i + 1) == '*' {
            let mut depth = 0;
            while i < chars.len() {
                match (at(i), at(i + 1)) {
                    ('/', '*') => depth += 1,
                    ('*', '/') => depth -= 1,
                    _ => {
                        i += 1;
                        continue;
                    }
                }
                i += 2;
                if depth == 0 {
                    break;
                }
            }
        } else if at(i) == 'r' && at(i + 1 + hashes) == '"' && (!word_before || at(i - 1) == 'b') {
            i += hashes + 2;
            while i < chars.len() && !(at(i) == '"' && (1..=hashes).all(|n| at(i + n) == '#')) {
                i += 1;
            }
            i += hashes + 1;
        } else if at(i) == '"' {
            i += 1;
            while i < chars.len() && at(i) != '"' {
                i += if at(i) == '\\' { 2 } else { 1 };
            }
            i += 1;
        } else if at(i) == '\'' && (at(i + 1) == '\\' || at(i + 2) == '\'') {
            i += if at(i + 1) == '\\' { 3 } else { 2 };
            while i < chars.len() && at(i) != '\'' {
                i += 1;
            }
            i += 1;
        } else {
            out.push(at(i));
            i += 1;
            continue;
        }
        blank(&mut out, start, i);
    }
    out
}

/// Where a word (or a path of words) begins, as a word of its own.
fn places<'a>(code: &'a str, word: &'a str) -> impl Iterator<Item = usize> + 'a {
    let part = |c: char| c.is_alphanumeric() || c == '_';
    code.match_indices(word).map(|(i, _)| i).filter(move |i| {
        let before = code[..*i].chars().next_back();
        let after = code[i + word.len()..].chars().next();
        !before.is_some_and(part) && !after.is_some_and(part)
    })
}

fn line_of(text: &str, at: usize) -> usize {
    text[..at].matches('\n').count() + 1
}

/// The words that follow a `crate::`: one, or each of a group in braces, with what follows it.
fn imported(after: &str) -> Vec<(usize, &str)> {
    let Some(group) = after.strip_prefix('{') else {
        return vec![(0, after)];
    };
    let (mut depth, mut all, mut start) = (0, Vec::new(), 0);
    for (i, c) in group.char_indices() {
        let end = depth == 0 && c == '}';
        if end || (depth == 0 && c == ',') {
            let item = &group[start..i];
            let text = item.trim_start();
            if !text.is_empty() {
                all.push((1 + start + item.len() - text.len(), text));
            }
            start = i + 1;
        }
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            _ => {}
        }
        if end {
            break;
        }
    }
    all
}

fn first_word(text: &str) -> &str {
    let end = text.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(text.len());
    &text[..end]
}

/// Faults of one file of `src`, by its path from there.
fn faults(path: &str, text: &str) -> Vec<String> {
    let mut all = Vec::new();
    let code = code(text);
    let room = path.split('/').next().unwrap_or_default();
    let test = path.ends_with("/tests.rs") || path.ends_with("_tests.rs");
    let mut fault = |line: usize, why: String| all.push(format!("src/{path}:{line}: {why}"));

    for (n, line) in text.lines().enumerate() {
        if line.chars().count() > WIDTH {
            fault(n + 1, format!("{} columns; {WIDTH} is the most", line.chars().count()));
        }
        if !line.is_ascii() {
            fault(n + 1, "not ASCII: sources are read in every terminal".to_owned());
        }
    }
    let never = |words: &[(&str, &str)], fault: &mut dyn FnMut(usize, String)| {
        for (word, why) in words {
            for at in places(&code, word) {
                fault(line_of(&code, at), format!("`{word}`: {why}"));
            }
        }
    };
    never(
        &[
            ("unsafe", "the crate has none"),
            ("todo!", "unfinished code is not committed"),
            ("unimplemented!", "unfinished code is not committed"),
        ],
        &mut fault,
    );
    if PURE.contains(&room) {
        never(IMPURE, &mut fault);
    }
    if room != "clock" && room != "testing" && !test {
        let why = "only `clock` reads the system clock";
        never(&[("SystemTime::now", why), ("Instant::now", why)], &mut fault);
    }
    let serialises = ["journal", "testing"].contains(&room)
        || ["machine/codec.rs", "order/mod.rs"].contains(&path)
        || test;
    if !serialises {
        never(&[("serde_json", "only `journal`, `machine::codec` and `order` serialise")], &mut fault);
    }
    if ["money", "ledger", "order", "stage"].contains(&room) {
        let why = "no floating point near money";
        never(&[("f32", why), ("f64", why)], &mut fault);
    }

    let Some((_, may)) = ROOMS.iter().find(|(name, _)| *name == room) else {
        if !["lib.rs", "planted.rs"].contains(&path) {
            fault(1, format!("`{room}` is no room of the house"));
        }
        return all;
    };
    for at in places(&code, "crate") {
        let Some(after) = code[at..].strip_prefix("crate::") else {
            continue;
        };
        for (shift, item) in imported(after) {
            let line = line_of(&code, at + "crate::".len() + shift);
            // An exported macro stands at the root, wherever it is written.
            let to = if item.starts_with("extend!") { "machine" } else { first_word(item) };
            // Faults that tests plant may grow anywhere.
            if to == "planted" {
                continue;
            }
            let known = ROOMS.iter().any(|(name, _)| *name == to);
            if !known {
                fault(line, format!("`crate::{to}`: import it from its room, not from the root"));
            } else if to != room && !may.contains(&to) && !(test && to == "testing") {
                fault(line, format!("`{room}` may not import `{to}`"));
            } else if room == "stage" && to == "stage" {
                let (from, into) = (stage_of(path), stage_named(item));
                if let Some(into) = into.filter(|into| Some(*into) != from) {
                    let from = from.unwrap_or("stage");
                    fault(line, format!("stage `{from}` may not name its sibling `{into}`: the hall routes"));
                }
            }
        }
    }
    if room == "stage" && path != "stage/mod.rs" {
        never(&[("super::super", "a stage reaches its siblings by no back door")], &mut fault);
        if path.ends_with("/mod.rs") {
            never(&[("super", "a stage reaches its siblings by no back door")], &mut fault);
        }
    }
    all
}

/// The stage that a file belongs to.
fn stage_of(path: &str) -> Option<&str> {
    let rest = path.strip_prefix("stage/")?;
    rest.split_once('/').map(|(stage, _)| stage)
}

/// The stage that `stage::..` names: none for what all stages share.
fn stage_named(item: &str) -> Option<&str> {
    const SHARED: &[&str] = &["proof", "approval", "data", "plain", "shared", "quiet", "guesses"];
    let rest = item.strip_prefix("stage::")?;
    imported(rest).into_iter().map(|(_, item)| first_word(item)).find(|word| !SHARED.contains(word))
}

/// Every Rust file below a directory, by its path from there, in order.
fn sources(dir: &Path) -> Vec<String> {
    let mut found = Vec::new();
    let mut open = vec![dir.to_owned()];
    while let Some(next) = open.pop() {
        for entry in std::fs::read_dir(&next).expect("a directory of sources can be read") {
            let path = entry.expect("a directory of sources can be read").path();
            if path.is_dir() {
                open.push(path);
            } else if path.extension().is_some_and(|e| e == "rs") {
                let name = path.strip_prefix(dir).expect("what is found below stands below");
                found.push(name.to_string_lossy().replace('\\', "/"));
            }
        }
    }
    found.sort();
    found
}

#[test]
fn every_file_keeps_the_rules_of_the_house() {
    let src = root().join("src");
    let files = sources(&src);
    assert!(files.len() > 30, "only {} files are found in src", files.len());
    let all: Vec<String> = files
        .iter()
        .flat_map(|path| {
            let text = std::fs::read_to_string(src.join(path)).expect("a source can be read");
            faults(path, &text)
        })
        .collect();
    assert!(all.is_empty(), "{} faults:\n{}", all.len(), all.join("\n"));
}

#[test]
fn nothing_stands_at_the_top_level_but_what_belongs_there() {
    const TOP: &[&str] = &[
        "Cargo.toml",
        "Cargo.lock",
        "src",
        "examples",
        "benches",
        "tests",
        "docs",
        "README.md",
        "CHANGELOG.md",
    ];
    let listed = Command::new("git")
        .arg("-C")
        .arg(root())
        .args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"])
        .output();
    // A packaged crate has no repository, and nothing to say here.
    let Ok(listed) = listed else { return };
    if !listed.status.success() || !root().join(".git").exists() {
        return;
    }
    let text = String::from_utf8_lossy(&listed.stdout);
    let mut strange: Vec<&str> = text
        .split('\0')
        .filter_map(|path| path.split('/').next())
        .filter(|name| !name.is_empty() && !name.starts_with('.') && !TOP.contains(name))
        .collect();
    strange.dedup();
    assert!(strange.is_empty(), "at the top level, and not of the house: {}", strange.join(", "));
}

#[test]
fn a_room_that_looks_where_it_may_not_is_told_with_its_line() {
    let one = |path: &str, text: &str| -> String {
        let mut all = faults(path, text);
        assert!(all.len() <= 1, "{all:?}");
        all.pop().unwrap_or_default()
    };
    let text =
        "//! crate::engine\nuse crate::ledger::Books;\nuse crate::{id::Key, journal::{Entry, Head}};\n";
    assert_eq!(
        one("stage/refund/machine.rs", text),
        "src/stage/refund/machine.rs:3: `stage` may not import `journal`"
    );
    let text = "fn f() {\n    crate::stage::review::go();\n    crate::stage::payment::go();\n    crate::stage::data! {}\n}\n";
    assert_eq!(
        one("stage/payment/x.rs", text),
        "src/stage/payment/x.rs:2: stage `payment` may not name its sibling `review`: the hall routes"
    );
    assert_eq!(one("stage/payment/x.rs", "use crate::stage::{data, proof::Funded};\n"), "");
    let text = "use crate::{\n    stage::{data, refund},\n};\n";
    assert_eq!(
        one("stage/proof.rs", text),
        "src/stage/proof.rs:2: stage `stage` may not name its sibling `refund`: the hall routes"
    );
    let back_door = "src/stage/a/mod.rs:1: `super`: a stage reaches its siblings by no back door";
    assert_eq!(one("stage/a/mod.rs", "use super::b::B;\n"), back_door);
    assert_eq!(
        one("money/mod.rs", "use crate::Money;\n"),
        "src/money/mod.rs:1: `crate::Money`: import it from its room, not from the root"
    );
    assert_eq!(one("attic/mod.rs", "\n"), "src/attic/mod.rs:1: `attic` is no room of the house");
    assert_eq!(
        one("store/mod.rs", "use crate::testing::x;\n"),
        "src/store/mod.rs:1: `store` may not import `testing`"
    );
    assert_eq!(one("store/tests.rs", "use crate::testing::x;\n"), "");
}

#[test]
fn what_stays_outside_a_door_is_told_with_its_reason() {
    let cases: &[(&str, &str, &str)] = &[
        ("pipeline/step.rs", "async fn f() {}", "`async`: nothing at `pipeline` or below is async"),
        ("ledger/x.rs", "use tokio::time;", "`tokio`: nothing at `pipeline` or below knows a task"),
        (
            "stage/a/x.rs",
            "let m: HashMap<u8, u8>;",
            "`HashMap`: no hash order reaches a decision: use a BTreeMap or a Vec",
        ),
        ("engine/x.rs", "Instant::now();", "`Instant::now`: only `clock` reads the system clock"),
        (
            "store/x.rs",
            "serde_json::to_vec(x)",
            "`serde_json`: only `journal`, `machine::codec` and `order` serialise",
        ),
        ("money/x.rs", "let share = 0.5_f64 as f64;", "`f64`: no floating point near money"),
        ("engine/x.rs", "unsafe { x() }", "`unsafe`: the crate has none"),
        ("engine/x.rs", "todo!()", "`todo!`: unfinished code is not committed"),
        ("engine/x.rs", "let s = \"caf\u{e9}\";", "not ASCII: sources are read in every terminal"),
    ];
    for (path, text, why) in cases {
        assert_eq!(faults(path, text), [format!("src/{path}:1: {why}")]);
    }
    let wide = "x".repeat(WIDTH + 1);
    assert_eq!(
        faults("engine/x.rs", &format!("\n{wide}\n")),
        ["src/engine/x.rs:2: 121 columns; 120 is the most"]
    );
}

#[test]
fn what_is_only_written_about_is_no_fault() {
    let text = concat!(
        "// tokio, unsafe\n/* f64 /* todo!() */ rand */\nlet a = \"crate::engine \\\" async\";\n",
        "let b = r#\"crate::engine \" HashMap\"#;\nlet c = ('\\'', 'x', b'\"');\nfn f<'a>(random: &'a str) {}\n",
    );
    assert_eq!(faults("ledger/x.rs", text), Vec::<String>::new());
    assert_eq!(code("a \"b\nc\" 'd' // e\nf"), format!("a   \n{}\nf", " ".repeat(11)));
}
