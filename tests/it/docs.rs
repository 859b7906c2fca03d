//! What is written beside the code is held against it.

use std::collections::BTreeSet;
use std::fs;

use crate::committed::root;

const PAGES: &[&str] = &[
    "README.md",
    "CHANGELOG.md",
    "docs/architecture.md",
    "docs/guide.md",
    "docs/promise.md",
    "docs/shaping.md",
    "docs/stages.md",
];

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|e| panic!("{path}: {e}"))
}

/// One space between words, and no semicolon at the end.
fn plain(row: &str) -> String {
    let words: Vec<&str> = row.trim().trim_end_matches(';').split_whitespace().collect();
    words.join(" ")
}

/// The rows of a machine's table, as they are written.
fn rows(file: &str) -> BTreeSet<String> {
    let text = read(file);
    let table = text.split_once("    rows {\n").and_then(|(_, rest)| rest.split_once("\n    }\n"));
    let (rows, _) = table.unwrap_or_else(|| panic!("{file} has no rows"));
    rows.split(';').map(plain).filter(|row| !row.is_empty()).collect()
}

#[test]
fn every_row_of_the_shaping_cases_stands_in_the_table_it_names() {
    let file = |room: &str| match room {
        "lifecycle" => "src/pipeline/lifecycle.rs".to_owned(),
        stage => format!("src/stage/{stage}/machine.rs"),
    };
    let page = read("docs/shaping.md");
    let mut checked = 0;
    let mut missing = Vec::new();
    for line in page.lines().filter(|l| l.starts_with('|') && l.contains("=>")) {
        let cells: Vec<String> =
            line.replace("\\|", "\u{0}").split('|').map(|c| c.trim().replace('\u{0}', "|")).collect();
        let [_, _, row, room, _] = cells.as_slice() else { panic!("three columns: {line}") };
        checked += 1;
        if !rows(&file(room)).contains(&plain(row.trim_matches('`'))) {
            missing.push(format!("{room}: {row}"));
        }
    }
    assert!(checked > 20, "only {checked} rows are found on the page");
    assert!(missing.is_empty(), "not in the tables:\n{}", missing.join("\n"));
}

#[test]
fn the_rows_of_the_readme_are_rows_of_the_refund() {
    let page = read("README.md");
    let shown: Vec<String> = page.lines().filter(|l| l.contains(" => ")).map(plain).collect();
    assert_eq!(shown.len(), 4, "{shown:?}");
    let table = rows("src/stage/refund/machine.rs");
    for row in shown {
        assert!(table.contains(&row), "the refund has no row {row}");
    }
}

#[test]
fn no_page_links_to_what_is_not_there() {
    let mut dead = Vec::new();
    for page in PAGES {
        let text = read(page);
        let dir = root().join(page).parent().map_or_else(root, std::path::Path::to_owned);
        for (_, rest) in text.match_indices("](").map(|(at, _)| text.split_at(at.saturating_add(2))) {
            let to = rest.split([')', '#']).next().unwrap_or_default();
            if !to.is_empty() && !to.contains("://") && !dir.join(to).exists() {
                dead.push(format!("{page}: {to}"));
            }
        }
    }
    assert!(dead.is_empty(), "{}", dead.join("\n"));
}

#[test]
fn what_the_readme_tells_to_run_can_be_told_from_the_rest() {
    let page = read("README.md");
    let commands: Vec<&str> = page.lines().filter(|l| l.starts_with("cargo ")).collect();
    assert_eq!(commands, ["cargo run --example quickstart", "cargo test"]);
}

/// A word of the glossary whose name is gone from the code has changed its meaning, or lost it.
#[test]
fn the_names_of_the_glossary_are_names_of_the_code() {
    let root = root();
    let mut code = String::new();
    let mut folders = vec![root.join("src")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                code.push_str(&fs::read_to_string(path).unwrap());
            }
        }
    }
    let glossary = fs::read_to_string(root.join("docs/glossary.md")).unwrap();
    let mut names = 0;
    for row in glossary.lines().filter(|l| l.starts_with("| ")).skip(1) {
        let column = row.trim_end_matches('|').rsplit('|').next().unwrap();
        for name in column.split('`').skip(1).step_by(2).filter(|n| !n.contains([' ', '@'])) {
            names += 1;
            let last = name.rsplit("::").next().unwrap().trim_end_matches('!');
            let kinds = ["struct", "enum", "trait", "fn", "mod", "macro_rules!"];
            let defined = kinds.iter().any(|kind| code.contains(&format!("{kind} {last}")));
            let of_a_table =
                [",", "(", " {", ":"].iter().any(|end| code.contains(&format!("    {last}{end}")));
            assert!(defined || of_a_table, "the glossary names `{name}`, which is not in the code");
        }
    }
    assert!(names > 40, "{names}");
}

/// Every test that is said to stand behind a promise is there, and every mutant stands on the page.
#[test]
fn the_tests_of_the_promise_are_tests_of_this_crate() {
    let page = read("docs/promise.md");
    let file = |path: &str| {
        let stem = root().join("tests/it").join(path);
        let candidates = [stem.with_extension("rs"), stem.join("mod.rs")];
        candidates.iter().find_map(|path| fs::read_to_string(path).ok())
    };
    let mutants = read("tests/it/engine/mutants.rs") + &read("tests/it/disk.rs");
    let (mut found, mut missing) = (0, Vec::new());
    for name in page.split('`').skip(1).step_by(2) {
        let there = match name.rsplit_once("::") {
            None if name.starts_with("mutant_") && name != "mutant_*" => {
                mutants.contains(&format!("fn {name}()"))
            }
            Some((module, test)) if name.starts_with(|c: char| c.is_lowercase()) && !name.contains(' ') => {
                let Some(text) = file(&module.replace("::", "/")) else { continue };
                test == "*" || text.contains(&format!("fn {test}("))
            }
            _ => continue,
        };
        found += 1;
        if !there {
            missing.push(name);
        }
    }
    assert!(found > 25 && missing.is_empty(), "{found} found, missing: {missing:?}");
    let all = mutants.match_indices("fn mutant_").map(|(at, _)| &mutants[at + 3..]);
    for name in all.map(|text| text.split('(').next().unwrap()) {
        assert!(page.contains(name), "{name} stands behind no promise");
    }
}
