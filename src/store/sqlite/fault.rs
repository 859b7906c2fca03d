//! SQLite's errors in our words.

use rusqlite::ErrorCode;

use crate::store::{CommitError, Error};

/// What stops a piece of work inside the store.
#[derive(Debug)]
pub(super) enum Fault {
    /// An answer to a batch or a deletion, found before it wrote anything.
    Refuse(CommitError),
    /// An answer to other work, found before it wrote anything.
    Answer(Error),
    /// SQLite failed; what was done may have to be undone.
    Sql(rusqlite::Error),
}

impl From<rusqlite::Error> for Fault {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sql(error)
    }
}

impl From<CommitError> for Fault {
    fn from(error: CommitError) -> Self {
        Self::Refuse(error)
    }
}

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        Self::Answer(error)
    }
}

impl From<Fault> for CommitError {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Refuse(error) => error,
            Fault::Answer(error) => error.into(),
            Fault::Sql(error) => plain(&error).into(),
        }
    }
}

impl From<Fault> for Error {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Answer(error) | Fault::Refuse(CommitError::Store(error)) => error,
            Fault::Refuse(error) => Self::Io(error.to_string()),
            Fault::Sql(error) => plain(&error),
        }
    }
}

/// How far a failed statement reaches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reach {
    /// This piece of work alone: a constraint, a value SQLite will not take.
    Piece,
    /// Every piece in the transaction, none of which is written: no room, or somebody else's lock.
    Group,
    /// The connection: what it says is not to be relied on any more.
    Connection,
}

pub(super) fn reach(error: &rusqlite::Error) -> Reach {
    match error.sqlite_error_code() {
        None
        | Some(
            ErrorCode::ConstraintViolation
            | ErrorCode::TypeMismatch
            | ErrorCode::TooBig
            | ErrorCode::ParameterOutOfRange,
        ) => Reach::Piece,
        Some(ErrorCode::DiskFull | ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => Reach::Group,
        Some(_) => Reach::Connection,
    }
}

pub(super) fn plain(error: &rusqlite::Error) -> Error {
    match error.sqlite_error_code() {
        Some(ErrorCode::DiskFull) => Error::Full,
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => Error::Busy,
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => Error::corrupt(error.to_string()),
        Some(_) | None => Error::Io(error.to_string()),
    }
}
