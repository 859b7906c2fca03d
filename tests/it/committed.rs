//! Files that are generated and committed: compared here, and rewritten when asked to be.

use std::path::{Path, PathBuf};

/// The top of the repository.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).to_owned()
}

/// Compares a generated text with the committed file; with `CONSIGN_BLESS=1` writes it instead.
///
/// Returns what is wrong, naming the file.
pub(crate) fn golden(path: &str, is: &str) -> Option<String> {
    let file = root().join(path);
    let was = std::fs::read_to_string(&file).unwrap_or_default();
    if was == is {
        return None;
    }
    if bless() {
        if let Some(dir) = file.parent() {
            std::fs::create_dir_all(dir).expect("the directory of a golden file can be made");
        }
        std::fs::write(&file, is).expect("a golden file can be written");
        return None;
    }
    let line = was.lines().zip(is.lines()).take_while(|(a, b)| a == b).count();
    let show = |text: &str| text.lines().nth(line).unwrap_or("(the end)").to_owned();
    Some(format!(
        "{path} is stale from line {} on: it says «{}», the code says «{}»; CONSIGN_BLESS=1 rewrites it",
        line.saturating_add(1),
        show(&was),
        show(is),
    ))
}

/// Whether golden files are to be rewritten.
pub(crate) fn bless() -> bool {
    std::env::var_os("CONSIGN_BLESS").is_some_and(|v| v == "1")
}
