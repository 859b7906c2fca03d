//! What goes wrong in a store, sorted by who acts next.

use std::path::PathBuf;

use super::Owner;

/// Why the store could not do what was asked.
///
/// Nothing was written when a reading or a worker's call answers with one of these, except where
/// the call says so itself. For [`commit`](super::Store::commit) see [`CommitError`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    // Wait, then ask again.
    /// Somebody else holds the database; the store has already waited its bounded time.
    #[error("the store is held by another writer")]
    Busy,
    /// The disk, or the room given to the store, is full. Reading goes on; writing resumes by
    /// itself when there is room again.
    #[error("the store has no room left")]
    Full,

    // Begin anew, then ask again.
    /// This worker's lease ran out and another has, or may have, taken its orders.
    #[error("the worker's lease is lost")]
    LeaseLost,
    /// The store was closed by its owner.
    #[error("the store is closed")]
    Closed,

    // Mend the set-up, then start again.
    /// Another handle or process already writes to this file.
    #[error("{} is in use by another writer", path.display())]
    Locked {
        /// The database that is in use.
        path: PathBuf,
    },
    /// There is no store at this place, and none may be created.
    #[error("{} does not exist", path.display())]
    Missing {
        /// What was looked for: the database, or the folder it should be created in.
        path: PathBuf,
    },
    /// A newer release of this library wrote the store. It is left untouched.
    #[error("the store has schema {found}; this library knows {known}")]
    Newer {
        /// The schema version found.
        found: u32,
        /// The newest schema version this library can read.
        known: u32,
    },
    /// The store would lose acknowledged commits in a power cut, so it refuses to open.
    #[error("{setting} is {found}, and must be {wanted} to survive power loss")]
    NotDurable {
        /// The setting that was read back.
        setting: &'static str,
        /// What it has to be.
        wanted: &'static str,
        /// What it is.
        found: String,
    },
    /// This SQLite has the WAL-reset race, which can lose or corrupt commits. Safe are 3.44.6,
    /// 3.50.7, and 3.51.3 and newer (sqlite.org/wal.html).
    #[error("SQLite {version} can lose commits; link 3.51.3 or newer")]
    UnsafeSqlite {
        /// The version linked into this program.
        version: String,
    },

    // Fetch a person.
    /// The stored data contradict themselves, or are not a store of ours. Nothing is repaired by
    /// guessing.
    #[error("the store is damaged: {what}")]
    Corrupt {
        /// What was found, with the name of the order where one is known.
        what: String,
    },
    /// An earlier failure left the store in a state it could not make sure of, and it still
    /// cannot. It tries to recover at each call that writes.
    #[error("the store failed earlier and has not recovered")]
    Poisoned,
    /// The system below failed in another way. The text is for the log.
    #[error("the store failed: {0}")]
    Io(String),
}

impl Error {
    /// Whether the same call may succeed later with nobody doing anything about it.
    #[must_use]
    pub const fn is_transient(&self) -> bool {
        matches!(self, Self::Busy | Self::Full)
    }

    pub(crate) fn corrupt(what: impl Into<String>) -> Self {
        Self::Corrupt { what: what.into() }
    }
}

/// Why a batch, or a deletion, was not carried out.
///
/// Every variant but [`Unconfirmed`](Self::Unconfirmed) means that nothing of the batch was, or
/// ever will be, written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CommitError {
    // Load the order, decide again, ask again.
    /// Somebody moved the order first: it does not stand where the batch expected it.
    #[error("the order stands at {found:?}, not where the batch expected it")]
    Stale {
        /// The version the order is at; `None` when there is no such order.
        found: Option<u64>,
    },
    /// The batch claims an ownership older than the one held. Evidence may still be handed in by
    /// a batch that names no owner.
    #[error("the order is owned by {found:?}")]
    Fenced {
        /// Who owns the order now.
        found: Owner,
    },

    // Wait, then ask again with the very same batch.
    /// No room left. See [`Error::Full`].
    #[error("the store has no room left")]
    Full,

    // Mend the code that made the batch.
    /// The batch breaks a law of the store; asking again is useless.
    #[error("the batch breaks a law: {0}")]
    Refused(String),
    /// The batch is larger than the store accepts.
    #[error("{bytes} bytes are more than the {limit} that a batch may carry")]
    TooLarge {
        /// Size of the batch, or of the key that is too long.
        bytes: u64,
        /// The limit it exceeds.
        limit: u64,
    },

    // Look first: load the order, or commit the very same batch again.
    /// The store cannot say whether it wrote.
    #[error("it is not known whether the batch was written: {0}")]
    Unconfirmed(String),

    // As the inner error says.
    /// The store failed before it wrote anything.
    #[error(transparent)]
    Store(Error),
}

impl From<Error> for CommitError {
    fn from(error: Error) -> Self {
        if error == Error::Full { Self::Full } else { Self::Store(error) }
    }
}
