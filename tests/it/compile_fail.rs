//! Faults that do not compile: every file of `tests/compile_fail` holds one, and says how it must fail.
//!
//! A file begins with what rustc must print: `// error: E0277`, once per error code (`none` for an error without one),
//! and `// line: ..`, a part of the message. The codes are all there may be: a file that fails by something besides its
//! fault fails the test. `ok/control.rs` must compile.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::SystemTime;

use crate::committed::root;

/// The libraries that a file is compiled against.
struct Libraries {
    deps: PathBuf,
    consign: PathBuf,
    serde: PathBuf,
}

/// What rustc said of a file.
struct Said {
    compiled: bool,
    text: String,
}

impl Libraries {
    /// The newest build of this crate, and the serde that it was built with, told by the control that compiles.
    fn find() -> Self {
        let exe = std::env::current_exe().expect("a test knows its own path");
        let deps = exe.parent().expect("a test stands in a directory").to_owned();
        let consign = newest_first(&deps, "libconsign-").remove(0);
        let control = root().join("tests/compile_fail/ok/control.rs");
        let mut said = String::new();
        for serde in newest_first(&deps, "libserde-") {
            let libraries = Self { deps: deps.clone(), consign: consign.clone(), serde };
            let control = libraries.compile(&control);
            if control.compiled {
                return libraries;
            }
            said = control.text;
        }
        panic!("the control does not compile, so no fault proves anything:\n{said}");
    }

    fn compile(&self, file: &Path) -> Said {
        let stem = file.file_stem().unwrap_or_else(|| OsStr::new("file")).to_string_lossy();
        let out = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{stem}.rmeta"));
        let done = Command::new(std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into()))
            .args(["--edition", "2024", "--crate-type", "lib", "--emit", "metadata"])
            .args(["--crate-name", "fault", "--cap-lints", "allow", "--color", "never"])
            .arg("-o")
            .arg(&out)
            .arg("-L")
            .arg(format!("dependency={}", self.deps.display()))
            .arg("--extern")
            .arg(format!("consign={}", self.consign.display()))
            .arg("--extern")
            .arg(format!("serde={}", self.serde.display()))
            .arg(file)
            .output()
            .expect("rustc runs");
        // What is left of a file that compiled; nothing needs it.
        let _ = fs::remove_file(out);
        Said { compiled: done.status.success(), text: String::from_utf8_lossy(&done.stderr).into_owned() }
    }
}

/// Libraries whose names begin like this, the newest first.
fn newest_first(deps: &Path, prefix: &str) -> Vec<PathBuf> {
    let mut found: Vec<(SystemTime, PathBuf)> = fs::read_dir(deps)
        .expect("the directory of the test can be read")
        .filter_map(Result::ok)
        .filter(|e| {
            let name = e.file_name().to_string_lossy().into_owned();
            name.starts_with(prefix) && name.ends_with(".rlib")
        })
        .filter_map(|e| Some((e.metadata().ok()?.modified().ok()?, e.path())))
        .collect();
    found.sort();
    found.reverse();
    assert!(!found.is_empty(), "no {prefix}*.rlib beside the test in {}", deps.display());
    found.into_iter().map(|(_, path)| path).collect()
}

/// The codes of all errors, `none` for one without, and the closing summaries left out.
fn codes(said: &str) -> BTreeSet<&str> {
    said.lines()
        .filter(|l| !l.starts_with("error: aborting due to") && !l.starts_with("error: could not"))
        .filter_map(|l| {
            let rest = l.strip_prefix("error")?;
            match rest.strip_prefix('[') {
                Some(code) => code.split(']').next(),
                None => rest.starts_with(": ").then_some("none"),
            }
        })
        .collect()
}

/// What is wrong with how a file fails, if anything.
fn complaint(libraries: &Libraries, file: &Path) -> Option<String> {
    let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let text = match fs::read_to_string(file) {
        Ok(text) => text,
        Err(why) => return Some(format!("{name}: {why}")),
    };
    let header = |key: &str| -> Vec<String> {
        text.lines().filter_map(|l| l.strip_prefix(key)).map(str::to_owned).collect()
    };
    let (errors, lines) = (header("// error: "), header("// line: "));
    if errors.is_empty() || lines.is_empty() {
        return Some(format!("{name}: says neither by which error nor with which line it fails"));
    }
    let said = libraries.compile(file);
    if said.compiled {
        return Some(format!("{name}: compiles, and should fail with: {}", lines.join("; ")));
    }
    let expected: BTreeSet<&str> = errors.iter().map(String::as_str).collect();
    let found = codes(&said.text);
    if found != expected {
        let text = &said.text;
        return Some(format!("{name}: fails by {found:?} instead of {expected:?}:\n{text}"));
    }
    let missing = lines.iter().find(|line| !said.text.contains(*line))?;
    Some(format!("{name}: rustc does not say «{missing}», but:\n{}", said.text))
}

#[test]
fn every_fault_of_a_table_or_a_pipeline_is_refused_by_the_compiler_with_our_line() {
    let libraries = Libraries::find();
    let mut files: Vec<PathBuf> = fs::read_dir(root().join("tests/compile_fail"))
        .expect("the faults stand in tests/compile_fail")
        .filter_map(Result::ok)
        .map(|e| e.path())
        .filter(|p| p.extension() == Some(OsStr::new("rs")))
        .collect();
    files.sort();
    assert!(files.len() >= 16, "only {} faults are left in tests/compile_fail", files.len());
    let next = AtomicUsize::new(0);
    let work = || {
        let mut all = Vec::new();
        while let Some(file) = files.get(next.fetch_add(1, Ordering::Relaxed)) {
            all.extend(complaint(&libraries, file));
        }
        all
    };
    let complaints: Vec<String> = std::thread::scope(|s| {
        let two = [s.spawn(work), s.spawn(work)];
        two.into_iter().flat_map(|t| t.join().expect("no thread panics")).collect()
    });
    assert!(complaints.is_empty(), "{}", complaints.join("\n\n"));
}
