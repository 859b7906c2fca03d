//! What is written beside the code is held against it.

use std::collections::BTreeSet;
use std::fs;

use crate::committed::root;

const PAGES: &[&str] = &["README.md", "CHANGELOG.md", "docs/architecture.md", "docs/shaping.md"];

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
