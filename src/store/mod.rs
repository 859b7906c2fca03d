//! The contract with the disk.
//!
//! A store keeps orders as bytes and typed columns. It knows no stage, reads no record and decides
//! nothing; the journal above it gives the bytes a meaning. What it owes in return is written at
//! [`Store`], and a store that passes `testing::conformance::store` owes nothing more.
//!
//! ```text
//!            Batch (one order, one version to the next)
//!              |
//!   commit ----+--> progress, columns, head     one row, replaced     load, scan, list, claim
//!              +--> entries                     appended              journal, feed
//!              +--> document, policies          when they change      load, policy
//!              +--> index rows                  when they change      lookup
//!
//!   inbox_put ----> events that wait for their order, each known for good
//!   start_worker -> incarnations; an order names the one that owns it
//! ```
//!
//! [`MemoryStore`] is the executable reading of the laws; `SqliteStore` (feature `sqlite`) keeps
//! them on a disk that may lose power.

mod batch;
mod error;
mod memory;
#[cfg(feature = "sqlite")]
mod sqlite;
#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;

use crate::clock::Timestamp;
use crate::id::{OrderKey, TenantId};

pub use batch::{
    Batch, Columns, Entry, IndexChange, MAX_BATCH_BYTES, MAX_KEY_BYTES, MAX_NUMBER, MAX_SPACE_BYTES,
};
pub use error::{CommitError, Error};
pub use memory::MemoryStore;
#[cfg(feature = "sqlite")]
pub use sqlite::SqliteStore;
#[cfg(all(feature = "sqlite", feature = "testing"))]
pub(crate) use sqlite::UNFLUSHED;

/// Bytes that are shared rather than copied.
pub type Bytes = Arc<[u8]>;

/// Keeps orders, their journals, and what waits for them.
///
/// Below, *written* means: it survives whatever this kind of store promises to survive (for
/// SQLite a killed process, a crashed system and a power cut; for memory nothing).
///
/// # What you may assume
///
/// - An order has few writers at a time, and each read it before it wrote.
/// - Bytes, hashes and names mean nothing to you. Compare hashes; compute none.
/// - Nobody asks for a page larger than they can hold in memory.
///
/// # What you must guarantee
///
/// 1. **Whole or not at all.** No reader ever sees a part of a [`Batch`], and no crash leaves one.
/// 2. **An answer of `Ok` means written.** Not queued, not buffered.
/// 3. **The version guards.** Of two batches that expect the same version, one at most is written;
///    the other hears [`CommitError::Stale`].
/// 4. **The same batch twice is the same batch once.** When the order already bears the version
///    and head of the batch, and the owner if it names one, answer `Ok` with the position it got
///    the first time ([`Batch::repeats`]). What another owner wrote is another batch, although it
///    decided the same.
/// 5. **Neighbours do not suffer.** Batches given together may share a transaction, or not; the
///    failure of one never fails another. Batches of one order are taken in the order given.
/// 6. **Doubt is a value.** When you cannot find out whether a batch was written, say
///    [`CommitError::Unconfirmed`]. Every other error promises that it was not and never will be.
/// 7. **Money is checked.** A batch with reserved + refunded > captured is refused unless it is
///    marked overdrawn ([`Batch::check`] holds this and the other laws that need no database).
/// 8. **Journals have no gaps**, and positions of the feed grow in the order of commits. A
///    position once given is never given again, not even after the order is deleted. The feed
///    shows a position only when everything below it that will ever exist can be seen too.
/// 9. **Ownership has an epoch.** A batch that names an owner with an epoch below the stored one,
///    or the same epoch under another incarnation, is [`CommitError::Fenced`]. A batch that names
///    no owner is never fenced: evidence must always find a way in.
/// 10. **An event is known for good.** (order, source, event) is [`InboxPut::New`] once, also
///     after it was applied and after its order was deleted. One event may tell of many orders.
/// 11. **A dropped future changes nothing about the above.** The call has happened whole, will
///     happen whole, or will not happen.
/// 12. **Tenants never meet.** No call sees an order of a tenant it was not asked about.
/// 13. **Damage stays where it is.** What cannot be read of one order keeps no other from being
///     found: `claim`, `scan`, `list` and `inbox_waiting` leave it out, [`damaged`](Self::damaged)
///     names it, and `load` answers [`Error::Corrupt`].
///
/// Answers to a batch are ranked: a broken law of [`Batch::check`] first, then
/// the repeated token, then `Stale`, then `Fenced`, then a gap to the stored journal.
///
/// # The usual mistake
///
/// ```text
/// match connection.commit() {
///     Ok(())  => Ok(position),
///     Err(why) => Err(CommitError::Store(why.into())),   // wrong: it may have been written
/// }
/// ```
///
/// A failed COMMIT is not a rolled-back COMMIT. The caller would decide again, and the first
/// decision would come back after the next restart. Make the truth certain first:
///
/// ```text
/// Err(why) => match reopen().and_then(|store| store.token(&order)) {
///     Ok(token) if token == (version, head, owner) => Ok(position),
///     Ok(_)  => try_again_or_fail(),
///     Err(_) => Err(CommitError::Unconfirmed(why)),
/// }
/// ```
#[async_trait]
pub trait Store: Send + Sync + fmt::Debug + 'static {
    /// The order as it stands, or `None` when there is none.
    async fn load(&self, order: &OrderKey) -> Result<Option<Stored>, Error>;

    /// Writes batches: one answer for each, in the order given.
    ///
    /// The position is that of the batch's last entry; for a batch without entries, that of the
    /// last entry before it, and zero when there is none.
    async fn commit(&self, batches: Vec<Batch>) -> Vec<Result<Position, CommitError>>;

    /// The policy with this content address.
    async fn policy(&self, hash: &Hash) -> Result<Option<Bytes>, Error>;

    /// Begins a new incarnation of `worker`, larger than all before it in this store, alive until
    /// `until`. The worker's earlier incarnation is dead from here on, and so is every other whose
    /// lease is past at `now`.
    async fn start_worker(
        &self,
        worker: &str,
        now: Timestamp,
        until: Timestamp,
    ) -> Result<Incarnation, Error>;

    /// Extends the lease of `me`.
    ///
    /// # Errors
    ///
    /// [`Error::LeaseLost`] when the incarnation is dead or unknown. One that is merely late and
    /// that nobody declared dead is renewed.
    async fn renew_worker(&self, me: Incarnation, until: Timestamp) -> Result<(), Error>;

    /// Declares dead every incarnation whose lease is past at `now`; then takes over at most
    /// `limit` open orders that run under one of `under` and that nobody, or a dead incarnation,
    /// owns, and bumps their epoch. Their version and head stay, and orders under other pipelines
    /// are left as they are, for somebody who can read them. An empty answer means that none is
    /// left.
    ///
    /// # Errors
    ///
    /// [`Error::LeaseLost`] when `me` itself is dead.
    async fn claim(
        &self,
        me: Incarnation,
        now: Timestamp,
        under: &[PipelineId],
        limit: usize,
    ) -> Result<Vec<Stored>, Error>;

    /// All orders, or all open ones, after `after` in key order, at most `limit`.
    async fn scan(&self, after: Option<OrderKey>, limit: usize, open_only: bool)
    -> Result<Vec<Brief>, Error>;

    /// The orders of `tenant` with an index row (`space`, `key`), by `sort`, then by key, after `after`, at most
    /// `limit`.
    async fn lookup(
        &self,
        tenant: &TenantId,
        space: &str,
        key: &str,
        after: Option<Found>,
        limit: usize,
    ) -> Result<Vec<Found>, Error>;

    /// The orders `filter` lets through, after `after` in key order, at most `limit`.
    async fn list(&self, filter: &Filter, after: Option<OrderKey>, limit: usize)
    -> Result<Vec<Brief>, Error>;

    /// The order's journal from the entry `from_seq` on, at most `limit` entries.
    async fn journal(&self, order: &OrderKey, from_seq: u64, limit: usize) -> Result<Vec<Entry>, Error>;

    /// The journal of all orders after `after`, in the order of commits, at most `limit` entries.
    async fn feed(&self, after: Position, limit: usize) -> Result<Vec<FeedEntry>, Error>;

    /// Keeps an event until its order has taken it. The order need not exist.
    ///
    /// A known event stays as it was first put, even if time or body differ now.
    async fn inbox_put(&self, row: InboxRow) -> Result<InboxPut, Error>;

    /// The events that wait for `order`, in the order they were put. They keep waiting.
    async fn inbox_take(&self, order: &OrderKey) -> Result<Vec<InboxRow>, Error>;

    /// Records that `order` has applied the event: it waits no more, and its body may be dropped.
    /// Marking twice, or what was never put, changes nothing.
    async fn inbox_mark(&self, order: &OrderKey, source: &str, event: &str) -> Result<(), Error>;

    /// The orders events wait for, existing or not, after `after` in key order, at most `limit`.
    async fn inbox_waiting(&self, after: Option<OrderKey>, limit: usize) -> Result<Vec<OrderKey>, Error>;

    /// Everything that is kept of `order`: its row and its whole journal, to be put away before
    /// [`delete`](Self::delete). `None` when there is no such order.
    ///
    /// The row and the journal are of one version: an order that moves in between is read again.
    async fn archive(&self, order: &OrderKey) -> Result<Option<Archive>, Error> {
        loop {
            let Some(stored) = self.load(order).await? else { return Ok(None) };
            let mut entries: Vec<Entry> = Vec::new();
            loop {
                let from = entries.last().map_or(0, |entry| entry.seq.saturating_add(1));
                let page = self.journal(order, from, 1000).await?;
                if page.is_empty() {
                    break;
                }
                entries.extend(page);
            }
            if entries.last().is_some_and(|entry| entry.hash == stored.head) {
                return Ok(Some(Archive { stored, entries }));
            }
            // A store whose order never stands still with its journal is damaged, not busy.
            if self.load(order).await?.is_some_and(|again| again.version == stored.version) {
                return Err(Error::corrupt(format!("the journal of {order} does not end at its head")));
            }
        }
    }

    /// Forgets a closed order: journal, document and index rows go with it. Policies stay, for
    /// others may share them. The name is free afterwards.
    ///
    /// # Errors
    ///
    /// [`CommitError::Stale`] when the order is not at `expected`, [`CommitError::Refused`] when it
    /// is open or an event waits for it.
    async fn delete(&self, order: &OrderKey, expected: u64) -> Result<(), CommitError>;

    /// Brings what is stored to the form that this release writes, whole or not at all; twice is once. Who opens a
    /// store calls it before anything else. Records are not touched: they say their own version.
    async fn migrate(&self) -> Result<Migrated, Error>;

    /// Which pipelines the stored orders run under, by name, version and fingerprint.
    async fn pipelines(&self) -> Result<Vec<Held>, Error>;

    /// Keeps what the records of a release's orders are stored under, for the release that comes after it. The bytes
    /// mean nothing to a store; keeping the same ones again changes nothing.
    async fn keep_release(&self, release: Release) -> Result<(), Error>;

    /// The releases that were ever kept, in no order.
    async fn releases(&self) -> Result<Vec<Release>, Error>;

    /// The orders of which something could not be read, as far as this handle has met them: each once, the newest
    /// 1,000.
    async fn damaged(&self) -> Result<Vec<Damaged>, Error> {
        Ok(Vec::new())
    }

    /// Looks for damage, reading everything; not for the hot path.
    ///
    /// # Errors
    ///
    /// [`Error::Corrupt`] with what was found first.
    async fn check(&self) -> Result<(), Error>;

    /// Counters since the store was opened. Never waits for a writer.
    fn stats(&self) -> Stats;

    /// Finishes what was accepted, lets go of the disk, and returns when both are done. Later
    /// calls answer [`Error::Closed`]; closing twice is no error.
    async fn close(&self) -> Result<(), Error>;
}

/// A 32-byte hash. The store only compares and keeps it.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Hash(pub [u8; 32]);

impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// A place in the journal over all orders. Zero is before the first.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position(pub u64);

/// One life of a worker. They begin at one and grow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Incarnation(pub u64);

/// Who may start attempts for an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Owner {
    /// The worker's life that owns the order.
    pub incarnation: Incarnation,
    /// Counts changes of hand, and whatever else the owner counts with it.
    pub epoch: u64,
}

/// An order as stored.
#[derive(Clone, PartialEq, Eq)]
pub struct Stored {
    /// Its key.
    pub order: OrderKey,
    /// Its version, which the next batch has to expect.
    pub version: u64,
    /// The head of its hash chain.
    pub head: Hash,
    /// Its typed columns.
    pub columns: Columns,
    /// Where it stands.
    pub progress: Bytes,
    /// Its document and policy snapshot.
    pub document: Bytes,
    /// Who owns it.
    pub owner: Option<Owner>,
}

/// An order with its whole journal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Archive {
    /// The order's row.
    pub stored: Stored,
    /// Its journal, from the first entry.
    pub entries: Vec<Entry>,
}

/// An order without its bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Brief {
    /// Its key.
    pub order: OrderKey,
    /// Its version.
    pub version: u64,
    /// Its typed columns.
    pub columns: Columns,
    /// Who owns it.
    pub owner: Option<Owner>,
}

/// An order found by an index row.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Found {
    /// Its place among the orders with the same key.
    pub sort: i64,
    /// The order.
    pub order: OrderKey,
}

/// What [`Store::migrate`] did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Migrated {
    /// The form that was found. Forms begin at one and grow.
    pub from: u32,
    /// The form that is stored now.
    pub to: u32,
}

/// Which orders to list. What is `None` is not asked.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    /// Orders of this tenant only.
    pub tenant: Option<TenantId>,
    /// Orders of the pipeline with this name, in any version.
    pub pipeline: Option<Arc<str>>,
    /// Orders in this phase.
    pub phase: Option<Arc<str>>,
    /// Orders that wait for a person, or that do not.
    pub parked: Option<bool>,
    /// Orders that are open, or closed.
    pub open: Option<bool>,
    /// Orders placed earlier than this.
    pub placed_before: Option<Timestamp>,
    /// Orders placed at this time or later.
    pub placed_after: Option<Timestamp>,
}

impl Filter {
    /// Whether the order passes.
    #[must_use]
    pub fn admits(&self, order: &OrderKey, columns: &Columns) -> bool {
        let Self { tenant, pipeline, phase, parked, open, placed_before, placed_after } = self;
        tenant.as_ref().is_none_or(|tenant| *tenant == order.tenant)
            && pipeline.as_ref().is_none_or(|pipeline| *pipeline == columns.pipeline)
            && phase.as_ref().is_none_or(|phase| *phase == columns.phase)
            && parked.is_none_or(|parked| parked == columns.parked.is_some())
            && open.is_none_or(|open| open == columns.open)
            && placed_before.is_none_or(|before| columns.placed_at < before)
            && placed_after.is_none_or(|after| columns.placed_at >= after)
    }
}

/// A journal entry with its place among those of all orders.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FeedEntry {
    /// Its place over all orders.
    pub position: Position,
    /// The order it belongs to.
    pub order: OrderKey,
    /// The entry.
    pub entry: Entry,
}

/// An event from outside that waits for its order.
#[derive(Clone, PartialEq, Eq)]
pub struct InboxRow {
    /// The order it is for, which need not exist.
    pub order: OrderKey,
    /// Who sent it: a gateway account, a carrier.
    pub source: Arc<str>,
    /// The sender's own id of the event, unique within order and source.
    pub event: Arc<str>,
    /// When it came in.
    pub received_at: Timestamp,
    /// What it says.
    pub body: Bytes,
}

/// What became of an event put into the inbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[allow(clippy::exhaustive_enums)] // a store answers one of the two; a third would be another contract
pub enum InboxPut {
    /// It was not known before and waits now.
    New,
    /// It was known already, waiting or applied.
    Known,
}

/// What an order runs under.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PipelineId {
    /// Name of the pipeline.
    pub name: Arc<str>,
    /// Its version.
    pub version: u32,
    /// Fingerprint of its graph.
    pub fingerprint: u64,
}

impl PipelineId {
    /// Whether an order with these columns runs under it.
    #[must_use]
    pub fn carries(&self, columns: &Columns) -> bool {
        self.name == columns.pipeline
            && self.version == columns.pipeline_version
            && self.fingerprint == columns.fingerprint
    }
}

/// What the orders of a release are stored under.
#[derive(Clone, PartialEq, Eq)]
pub struct Release {
    /// Which release.
    pub id: PipelineId,
    /// Its names, as the engine writes them.
    pub names: Bytes,
}

/// An order of which something cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Damaged {
    /// Its name as it is stored, which may be no name of an order: `default/o-1`.
    pub order: String,
    /// What is wrong, for people.
    pub why: String,
}

/// How many orders run under one graph of one pipeline. Graphs without orders may be listed with
/// zeros or left out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Held {
    /// Name of the pipeline.
    pub pipeline: Arc<str>,
    /// Its version.
    pub version: u32,
    /// Fingerprint of its graph.
    pub fingerprint: u64,
    /// Orders that are open.
    pub open: u64,
    /// Orders that are closed.
    pub closed: u64,
}

/// Counters of one open store.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// Transactions committed, of any kind.
    pub commits: u64,
    /// Batches written in them.
    pub batches: u64,
    /// The most batches that shared one transaction.
    pub largest_group: u64,
    /// Failed commits whose outcome had to be found out by reopening.
    pub doubts: u64,
    /// Size on disk in bytes, logs included; zero for a store without a disk.
    pub bytes: u64,
}

/// Shows bytes as their number.
struct Size<'a>(&'a [u8]);

impl fmt::Debug for Size<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes", self.0.len())
    }
}

impl fmt::Debug for Stored {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stored")
            .field("order", &self.order)
            .field("version", &self.version)
            .field("head", &self.head)
            .field("columns", &self.columns)
            .field("progress", &Size(&self.progress))
            .field("document", &Size(&self.document))
            .field("owner", &self.owner)
            .finish()
    }
}

impl fmt::Debug for Release {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Release").field("id", &self.id).field("names", &Size(&self.names)).finish()
    }
}

impl fmt::Debug for InboxRow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InboxRow")
            .field("order", &self.order)
            .field("source", &self.source)
            .field("event", &self.event)
            .field("received_at", &self.received_at)
            .field("body", &Size(&self.body))
            .finish()
    }
}
