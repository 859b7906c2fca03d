//! What travels into a store in one piece, and the laws that can be read off it alone.

use std::fmt;
use std::sync::Arc;

use crate::clock::Timestamp;
use crate::id::OrderKey;
use crate::planted::{Mutant, planted};

use super::{Bytes, CommitError, Hash, Owner, Size};

/// The most bytes one batch may carry, all its parts together: 16 MiB.
pub const MAX_BATCH_BYTES: u64 = 16 << 20;

/// The longest space name of an index row, in bytes.
pub const MAX_SPACE_BYTES: u64 = 128;

/// The longest key of an index row, in bytes.
pub const MAX_KEY_BYTES: u64 = 1024;

/// The largest number a store can keep: versions, sequence numbers, epochs, positions.
pub const MAX_NUMBER: u64 = i64::MAX.cast_unsigned();

/// Everything about one order that must become true together.
///
/// A batch is written whole or not at all. It touches one order and no other.
#[derive(Clone, PartialEq, Eq)]
pub struct Batch {
    /// The order it moves.
    pub order: OrderKey,
    /// The version it was decided against; `0` places the order, which must not exist yet.
    pub expected: u64,
    /// The version it leads to, larger than `expected`.
    pub version: u64,
    /// The head of the order's hash chain afterwards. With `version` and `owner` it is the commit
    /// token: a batch whose token the order already bears has been written before.
    pub head: Hash,
    /// What can be asked for without reading bytes.
    pub columns: Columns,
    /// Where the order stands. Replaces what was there.
    pub progress: Bytes,
    /// The document and policy snapshot, when the batch changes it. Needed to place an order.
    pub document: Option<Bytes>,
    /// Policies by content address; those the store already has are left as they are.
    pub policies: Vec<(Hash, Bytes)>,
    /// New journal entries, in order, without a gap to what the journal holds.
    pub entries: Vec<Entry>,
    /// Index rows to put or remove, applied in order.
    pub index: Vec<IndexChange>,
    /// Takes or keeps ownership; `None` leaves it as it is.
    pub owner: Option<Owner>,
}

/// Typed columns beside the bytes: what a store may filter on and must check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Columns {
    /// Name of the pipeline that carries the order.
    pub pipeline: Arc<str>,
    /// Version of that pipeline.
    pub pipeline_version: u32,
    /// Fingerprint of its graph.
    pub fingerprint: u64,
    /// Where the order stands, in one word.
    pub phase: Arc<str>,
    /// Whether the order still has something to do. A closed one may open again.
    pub open: bool,
    /// Why it waits for a person, if it does.
    pub parked: Option<Arc<str>>,
    /// Captured so far, in minor units of the order's currency.
    pub captured_minor: i64,
    /// Refunds asked for and not settled, in minor units.
    pub reserved_minor: i64,
    /// Refunds settled, in minor units.
    pub refunded_minor: i64,
    /// Reality has taken more than was there, and the books say so.
    pub overdrawn: bool,
    /// The earliest deadline, if any.
    pub wake_at: Option<Timestamp>,
    /// When the order was placed.
    pub placed_at: Timestamp,
    /// When it last moved.
    pub updated_at: Timestamp,
}

impl Columns {
    /// Whether refunds, with those still pending, stay within what was captured, or the order is
    /// openly overdrawn.
    #[must_use]
    pub fn covered(&self) -> bool {
        let owed = i128::from(self.reserved_minor) + i128::from(self.refunded_minor);
        self.overdrawn || owed <= i128::from(self.captured_minor)
    }
}

/// One journal entry. The store keeps it and never looks inside.
#[derive(Clone, PartialEq, Eq)]
pub struct Entry {
    /// Place in the order's own journal; grows by one.
    pub seq: u64,
    /// Hash over the entry and its predecessor.
    pub hash: Hash,
    /// The record.
    pub body: Bytes,
}

/// Puts or removes the index row (`space`, `key`) of the batch's order, within its tenant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IndexChange {
    /// Which index, at most [`MAX_SPACE_BYTES`].
    pub space: Arc<str>,
    /// What it is found by, at most [`MAX_KEY_BYTES`].
    pub key: Arc<str>,
    /// Its place among the orders with the same key, ascending.
    pub sort: i64,
    /// Put it, replacing the order's earlier `sort` under this key; otherwise remove it, whatever
    /// its `sort`.
    pub put: bool,
}

impl Batch {
    /// The sum of all bytes the batch carries.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        let len = |bytes: &Bytes| bytes.len() as u64;
        len(&self.progress)
            + self.document.as_ref().map_or(0, len)
            + self.policies.iter().map(|(_, body)| len(body)).sum::<u64>()
            + self.entries.iter().map(|entry| len(&entry.body)).sum::<u64>()
            + self.index.iter().map(|change| (change.space.len() + change.key.len()) as u64).sum::<u64>()
    }

    /// Checks every law that needs no look at what is stored. A store calls it before all else.
    ///
    /// # Errors
    ///
    /// [`CommitError::Refused`] when the batch leads nowhere, places without a document, spends
    /// more than was captured, has a gap among its own entries, names an incarnation that no
    /// worker can have, or holds a number above [`MAX_NUMBER`]; [`CommitError::TooLarge`] for
    /// bytes and keys above their limits.
    pub fn check(&self) -> Result<(), CommitError> {
        let refuse = |why: &str| Err(CommitError::Refused(why.to_owned()));
        if self.version <= self.expected {
            return refuse("a batch leads to a later version than it expects");
        }
        if self.expected == 0 && self.document.is_none() {
            return refuse("an order is placed with its document");
        }
        if !self.columns.covered() {
            return refuse("refunds exceed what was captured and the order is not overdrawn");
        }
        let numbers = [
            self.version,
            self.owner.map_or(0, |owner| owner.epoch),
            self.owner.map_or(0, |owner| owner.incarnation.0),
            self.entries.last().map_or(0, |entry| entry.seq),
        ];
        if numbers.iter().any(|number| *number > MAX_NUMBER) {
            return refuse("a number is larger than a store can keep");
        }
        if self.owner.is_some_and(|owner| owner.incarnation.0 == 0) {
            return refuse("incarnations begin at one");
        }
        let pairs = self.entries.iter().zip(self.entries.iter().skip(1));
        if pairs.into_iter().any(|(left, right)| left.seq.checked_add(1) != Some(right.seq)) {
            return refuse("the journal entries do not follow one another");
        }
        for change in &self.index {
            within(change.space.len() as u64, MAX_SPACE_BYTES)?;
            within(change.key.len() as u64, MAX_KEY_BYTES)?;
        }
        within(self.bytes(), MAX_BATCH_BYTES)
    }

    /// Whether this very batch has been written before, by what is stored of its order.
    ///
    /// Two workers may decide the same thing about the same order, and then only the ownership
    /// tells whose batch it was: the one that came second must not take the other's for its own,
    /// or both would carry out what it wants.
    #[must_use]
    pub fn repeats(&self, version: u64, head: &Hash, held: Option<Owner>) -> bool {
        let mine = self.owner.is_none_or(|owner| held == Some(owner));
        self.version == version && self.head == *head && mine
    }

    /// Whether the entries continue a journal whose last entry is `tail`. A journal begins with
    /// whatever number its first entry bears.
    #[must_use]
    pub fn continues(&self, tail: Option<u64>) -> bool {
        match (tail, self.entries.first()) {
            (Some(tail), Some(first)) => tail.checked_add(1) == Some(first.seq),
            (None, _) | (_, None) => true,
        }
    }

    /// Whether the batch may act under the ownership it names, `held` being the stored one.
    ///
    /// An epoch belongs to one incarnation: the same epoch under another name is as stale as an
    /// older one.
    ///
    /// # Errors
    ///
    /// [`CommitError::Fenced`] with the ownership held.
    pub fn fence(&self, held: Option<Owner>) -> Result<(), CommitError> {
        if planted(Mutant::NoEpochCheck) {
            return Ok(());
        }
        match (self.owner, held) {
            (Some(mine), Some(found))
                if mine.epoch < found.epoch || (mine.epoch == found.epoch && mine != found) =>
            {
                Err(CommitError::Fenced { found })
            }
            (Some(_) | None, Some(_) | None) => Ok(()),
        }
    }
}

fn within(bytes: u64, limit: u64) -> Result<(), CommitError> {
    if bytes > limit { Err(CommitError::TooLarge { bytes, limit }) } else { Ok(()) }
}

// Bodies may hold what belongs in no log, so they show as their size.
impl fmt::Debug for Batch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Batch")
            .field("order", &self.order)
            .field("expected", &self.expected)
            .field("version", &self.version)
            .field("head", &self.head)
            .field("columns", &self.columns)
            .field("progress", &Size(&self.progress))
            .field("document", &self.document.as_deref().map(Size))
            .field("policies", &self.policies.iter().map(|(hash, _)| hash).collect::<Vec<_>>())
            .field("entries", &self.entries)
            .field("index", &self.index)
            .field("owner", &self.owner)
            .finish()
    }
}

impl fmt::Debug for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Entry")
            .field("seq", &self.seq)
            .field("hash", &self.hash)
            .field("body", &Size(&self.body))
            .finish()
    }
}
