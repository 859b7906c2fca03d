//! An append-only file of JSON lines: the books of a sandbox.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::Path;

use serde::{Serialize, de::DeserializeOwned};

#[derive(Debug, Default)]
pub(super) struct LedgerFile(Option<File>);

impl LedgerFile {
    /// Opens the file, and reads the lines that it holds. A last line that a kill cut short is dropped: its answer was
    /// never given.
    pub(super) fn open<T: DeserializeOwned>(path: Option<&Path>) -> io::Result<(Self, Vec<T>)> {
        let Some(path) = path else { return Ok((Self(None), Vec::new())) };
        let mut text = String::new();
        let mut file = OpenOptions::new().create(true).read(true).append(true).open(path)?;
        file.read_to_string(&mut text)?;
        let whole = text.rfind('\n').map_or(0, |at| at + 1);
        let lines = text
            .get(..whole)
            .unwrap_or_default()
            .lines()
            .map(|l| serde_json::from_str(l).map_err(io::Error::other))
            .collect::<io::Result<Vec<T>>>()?;
        if whole < text.len() {
            file.set_len(u64::try_from(whole).unwrap_or(u64::MAX))?;
        }
        Ok((Self(Some(file)), lines))
    }

    /// Writes a line, before the answer that it stands for.
    pub(super) fn append<T: Serialize>(&mut self, line: &T) -> io::Result<()> {
        let Some(file) = &mut self.0 else { return Ok(()) };
        let mut bytes = serde_json::to_vec(line).map_err(io::Error::other)?;
        bytes.push(b'\n');
        file.write_all(&bytes)
    }
}
