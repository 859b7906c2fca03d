//! Stored forms: a name, a version and data, with typed upgrades from older versions.

use serde::{Serialize, de::DeserializeOwned};

/// Why a stored form cannot be read or written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CodecError {
    /// The machine has nothing of this name.
    #[error("{machine} knows no {what} named `{name}`")]
    Unknown {
        /// The machine.
        machine: &'static str,
        /// `state`, `input`, `effect` or `policy`.
        what: &'static str,
        /// The stored name.
        name: String,
    },
    /// The stored form is newer than this program, or so old that no upgrade is declared.
    #[error("`{name}` is stored in version {found}; this program reads {oldest} to {newest}")]
    Version {
        /// The stored name.
        name: String,
        /// The stored version.
        found: u16,
        /// The oldest version with an upgrade.
        oldest: u16,
        /// The version of this program.
        newest: u16,
    },
    /// The data does not fit the type.
    #[error("`{name}` is malformed: {why}")]
    Malformed {
        /// The stored name.
        name: String,
        /// What the parser said.
        why: String,
    },
}

/// Reads one older version.
pub type Decoded<T> = fn(&str) -> Result<T, serde_json::Error>;

#[doc(hidden)]
pub fn parse<T: DeserializeOwned>(json: &str) -> Result<T, serde_json::Error> {
    serde_json::from_str(json)
}

#[doc(hidden)]
pub fn save<T: Serialize>(name: &'static str, value: &T, out: &mut Vec<u8>) -> Result<(), CodecError> {
    serde_json::to_writer(out, value).map_err(|e| CodecError::Malformed {
        name: name.to_owned(),
        why: e.to_string(),
    })
}

/// Reads `json` as version `found`; `older` holds one reader per earlier version, the newest first.
#[doc(hidden)]
pub fn load<T: DeserializeOwned>(
    name: &'static str,
    found: u16,
    newest: u16,
    older: &[Decoded<T>],
    json: &str,
) -> Result<T, CodecError> {
    let parsed = if found == newest {
        serde_json::from_str(json)
    } else {
        let back = usize::from(newest).checked_sub(usize::from(found));
        match back.and_then(|n| n.checked_sub(1)).and_then(|n| older.get(n)) {
            Some(read) => read(json),
            None => {
                let depth = u16::try_from(older.len()).unwrap_or(u16::MAX);
                return Err(CodecError::Version {
                    name: name.to_owned(),
                    found,
                    oldest: newest.saturating_sub(depth),
                    newest,
                });
            }
        }
    };
    parsed.map_err(|e| CodecError::Malformed {
        name: name.to_owned(),
        why: e.to_string(),
    })
}
