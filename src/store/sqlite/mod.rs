//! Orders in one SQLite file, safe against a killed process, a crashed system and a power cut.
//!
//! ```text
//! callers --> queue --> writer (one thread, one connection): group commit, WAL, FULL
//!         \-> queue --> readers (two threads, a connection each)
//! ```
//!
//! The file belongs to one handle at a time, held by a lock on `<path>.lock`; so every worker that
//! was alive when the file was last used is dead when it is opened, and their orders can be
//! claimed at once.

mod apply;
mod fault;
mod file;
mod reader;
mod rows;
mod schema;
#[cfg(test)]
mod tests;
mod writer;

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use async_trait::async_trait;
use rusqlite::Connection;
use tokio::sync::{mpsc, oneshot};

use self::fault::{Fault, plain};
#[cfg(feature = "testing")]
pub(crate) use self::file::UNFLUSHED;
use self::reader::Readers;
use self::writer::{Answer, Counters, GROUP, Job, Task, Writer};
use super::{
    Batch, Brief, Bytes, CommitError, Damaged, Entry, Error, FeedEntry, Filter, Found, Hash, Held, InboxPut,
    InboxRow, Incarnation, Migrated, PipelineId, Position, Release, Stats, Store, Stored,
};
use crate::clock::Timestamp;
use crate::id::{OrderKey, TenantId};

/// Work that may wait for the writer; beyond that callers wait to hand theirs over.
const QUEUE: usize = 4096;

/// How many damaged orders are remembered, the newest ones.
const DAMAGED: usize = 1000;

/// The writer took the work, and is gone without a word.
const STOPPED: &str = "the writer stopped";

const IN_KIND: &str = "the writer answers each task in its own kind";

/// A store in one SQLite file.
///
/// Needs no runtime of its own: the futures may be polled by any. Dropping the store lets the
/// threads finish what was handed over, in their own time; [`close`](Store::close) waits for them.
#[derive(Debug)]
pub struct SqliteStore {
    path: PathBuf,
    jobs: mpsc::Sender<Job>,
    readers: Readers,
    counters: Arc<Counters>,
    closed: AtomicBool,
    damaged: Mutex<Vec<Damaged>>,
}

impl SqliteStore {
    /// Opens the store at `path`, and creates it when there is no such file. The folder has to be
    /// there.
    ///
    /// Blocks for as long as the disk takes; a file below 64 MiB is read through, up to a quarter
    /// of a second, and half a second goes by before a lock is given up.
    ///
    /// # Errors
    ///
    /// [`Error::Locked`] while another handle, here or in another process, has the file;
    /// [`Error::Corrupt`] for a file that is damaged, cut off or not ours, [`Error::Newer`] for one
    /// of a later release, neither of which is touched; [`Error::NotDurable`] and
    /// [`Error::UnsafeSqlite`] when an answer could be lost; [`Error::Missing`] without a folder;
    /// [`Error::Full`], [`Error::Busy`] and [`Error::Io`] as the disk has it.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, Error> {
        Self::start(path.as_ref(), true)
    }

    /// Opens the store at `path`, which has to exist.
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open), and [`Error::Missing`] when there is no such file.
    pub fn open_existing(path: impl AsRef<Path>) -> Result<Self, Error> {
        Self::start(path.as_ref(), false)
    }

    /// The file, by its one name.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    fn start(path: &Path, create: bool) -> Result<Self, Error> {
        let (claim, connection) = file::take(path, create)?;
        // Who held this file before us is gone, or we would not hold it.
        connection.execute("DELETE FROM workers", []).map_err(|error| plain(&error))?;
        let readers = Readers::start(&claim)?;
        let counters = Arc::new(Counters::default());
        let (jobs, waiting) = mpsc::channel(QUEUE);
        let path = claim.path().to_owned();
        let writer = Writer::new(claim, connection, Arc::clone(&counters));
        thread::Builder::new()
            .name("consign-writer".to_owned())
            .spawn(move || writer.run(waiting))
            .map_err(|error| Error::Io(error.to_string()))?;
        let (closed, damaged) = (AtomicBool::new(false), Mutex::default());
        Ok(Self { path, jobs, readers, counters, closed, damaged })
    }

    /// Hands work to the writer, and answers where its answer will be.
    async fn hand(&self, task: Task) -> Result<oneshot::Receiver<(Answer, Task)>, Error> {
        if self.closed.load(Ordering::Acquire) {
            return Err(Error::Closed);
        }
        let (reply, answer) = oneshot::channel();
        // The queue ends when the store is closed; a writer that died of a panic ends it too.
        self.jobs.send(Job { task, reply }).await.map_err(|_| self.gone())?;
        Ok(answer)
    }

    /// Writes at most a group of batches.
    async fn part(&self, batches: Vec<Batch>) -> Vec<Result<Position, CommitError>> {
        let count = batches.len();
        let all = |error: CommitError| (0..count).map(|_| Err(error.clone())).collect();
        let answers = Vec::with_capacity(count);
        match self.hand(Task::Commit { batches, answers }).await {
            Err(error) => all(error.into()),
            Ok(answer) => match answer.await {
                Ok((Answer::Commits, Task::Commit { answers, .. })) => answers,
                Ok(_) => unreachable!("{IN_KIND}"),
                Err(_) => all(CommitError::Unconfirmed(STOPPED.to_owned())),
            },
        }
    }

    async fn ask(&self, task: Task) -> Result<Answer, Error> {
        match self.hand(task).await?.await {
            Ok((Answer::Failed(error), _)) => Err(error),
            Ok((answer, _)) => Ok(answer),
            Err(_) => Err(self.gone()),
        }
    }

    fn gone(&self) -> Error {
        if self.closed.load(Ordering::Acquire) { Error::Closed } else { Error::Poisoned }
    }

    /// Notes what was met.
    fn met<T>(&self, (found, damaged): (T, Vec<Damaged>)) -> T {
        if !damaged.is_empty() {
            let mut known = self.damaged.lock().unwrap_or_else(PoisonError::into_inner);
            for damaged in damaged {
                if !known.contains(&damaged) {
                    known.push(damaged);
                }
            }
            let over = known.len().saturating_sub(DAMAGED);
            known.drain(..over);
        }
        found
    }

    async fn read<T, F>(&self, reading: F) -> Result<T, Error>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> Result<T, Fault> + Send + 'static,
    {
        if self.closed.load(Ordering::Acquire) {
            return Err(Error::Closed);
        }
        self.readers.read(reading).await
    }
}

#[async_trait]
impl Store for SqliteStore {
    async fn load(&self, order: &OrderKey) -> Result<Option<Stored>, Error> {
        let order = order.clone();
        self.read(move |connection| rows::load(connection, &order)).await
    }

    async fn commit(&self, batches: Vec<Batch>) -> Vec<Result<Position, CommitError>> {
        if batches.len() <= GROUP {
            return self.part(batches).await;
        }
        // Cut here, so that no transaction is larger than a group. The writer takes the parts one
        // after the other, as it answers them.
        let mut answers = Vec::with_capacity(batches.len());
        let mut rest = batches.into_iter().peekable();
        while rest.peek().is_some() {
            answers.extend(self.part(rest.by_ref().take(GROUP).collect()).await);
        }
        answers
    }

    async fn policy(&self, hash: &Hash) -> Result<Option<Bytes>, Error> {
        let hash = *hash;
        self.read(move |connection| reader::policy(connection, &hash)).await
    }

    async fn start_worker(
        &self,
        worker: &str,
        now: Timestamp,
        until: Timestamp,
    ) -> Result<Incarnation, Error> {
        let task = Task::StartWorker { worker: worker.into(), now, until };
        let Answer::Started(me) = self.ask(task).await? else { unreachable!("{IN_KIND}") };
        Ok(me)
    }

    async fn renew_worker(&self, me: Incarnation, until: Timestamp) -> Result<(), Error> {
        self.ask(Task::RenewWorker { me, until }).await.map(drop)
    }

    async fn claim(
        &self,
        me: Incarnation,
        now: Timestamp,
        under: &[PipelineId],
        limit: usize,
    ) -> Result<Vec<Stored>, Error> {
        let task = Task::Claim { me, now, under: under.into(), limit };
        let Answer::Claimed(orders, damaged) = self.ask(task).await? else { unreachable!("{IN_KIND}") };
        Ok(self.met((orders, damaged)))
    }

    async fn scan(
        &self,
        after: Option<OrderKey>,
        limit: usize,
        open_only: bool,
    ) -> Result<Vec<Brief>, Error> {
        let filter = Filter { open: open_only.then_some(true), ..Filter::default() };
        self.list(&filter, after, limit).await
    }

    async fn lookup(
        &self,
        tenant: &TenantId,
        space: &str,
        key: &str,
        after: Option<Found>,
        limit: usize,
    ) -> Result<Vec<Found>, Error> {
        let (tenant, space, key) = (tenant.clone(), space.to_owned(), key.to_owned());
        let find = move |connection: &Connection| {
            reader::lookup(connection, &tenant, &space, &key, after.as_ref(), limit)
        };
        self.read(find).await
    }

    async fn migrate(&self) -> Result<Migrated, Error> {
        let Answer::Migrated(done) = self.ask(Task::Migrate).await? else { unreachable!("{IN_KIND}") };
        Ok(done)
    }

    async fn list(
        &self,
        filter: &Filter,
        after: Option<OrderKey>,
        limit: usize,
    ) -> Result<Vec<Brief>, Error> {
        let filter = filter.clone();
        let list = move |connection: &Connection| reader::list(connection, &filter, after.as_ref(), limit);
        Ok(self.met(self.read(list).await?))
    }

    async fn journal(&self, order: &OrderKey, from_seq: u64, limit: usize) -> Result<Vec<Entry>, Error> {
        let order = order.clone();
        self.read(move |connection| reader::journal(connection, &order, from_seq, limit)).await
    }

    async fn feed(&self, after: Position, limit: usize) -> Result<Vec<FeedEntry>, Error> {
        self.read(move |connection| reader::feed(connection, after, limit)).await
    }

    async fn inbox_put(&self, row: InboxRow) -> Result<InboxPut, Error> {
        let task = Task::InboxPut(row);
        let Answer::Put(put) = self.ask(task).await? else { unreachable!("{IN_KIND}") };
        Ok(put)
    }

    async fn inbox_take(&self, order: &OrderKey) -> Result<Vec<InboxRow>, Error> {
        let order = order.clone();
        self.read(move |connection| reader::inbox_take(connection, &order)).await
    }

    async fn inbox_mark(&self, order: &OrderKey, source: &str, event: &str) -> Result<(), Error> {
        let (order, source, event) = (order.clone(), source.into(), event.into());
        self.ask(Task::InboxMark { order, source, event }).await.map(drop)
    }

    async fn inbox_waiting(&self, after: Option<OrderKey>, limit: usize) -> Result<Vec<OrderKey>, Error> {
        let read = move |connection: &Connection| reader::inbox_waiting(connection, after.as_ref(), limit);
        Ok(self.met(self.read(read).await?))
    }

    async fn delete(&self, order: &OrderKey, expected: u64) -> Result<(), CommitError> {
        let task = Task::Delete { order: order.clone(), expected };
        match self.hand(task).await?.await {
            Ok((Answer::Deleted(answer), _)) => answer,
            Ok(_) => unreachable!("{IN_KIND}"),
            Err(_) => Err(CommitError::Unconfirmed(STOPPED.to_owned())),
        }
    }

    async fn pipelines(&self) -> Result<Vec<Held>, Error> {
        self.read(reader::pipelines).await
    }

    async fn keep_release(&self, release: Release) -> Result<(), Error> {
        self.ask(Task::KeepRelease(release)).await.map(drop)
    }

    async fn releases(&self) -> Result<Vec<Release>, Error> {
        self.read(reader::releases).await
    }

    async fn damaged(&self) -> Result<Vec<Damaged>, Error> {
        Ok(self.damaged.lock().unwrap_or_else(PoisonError::into_inner).clone())
    }

    async fn check(&self) -> Result<(), Error> {
        self.read(reader::check).await
    }

    fn stats(&self) -> Stats {
        let Counters { commits, batches, largest_group, doubts } = &*self.counters;
        Stats {
            commits: commits.load(Ordering::Relaxed),
            batches: batches.load(Ordering::Relaxed),
            largest_group: largest_group.load(Ordering::Relaxed),
            doubts: doubts.load(Ordering::Relaxed),
            bytes: file::bytes(&self.path),
        }
    }

    async fn close(&self) -> Result<(), Error> {
        self.closed.store(true, Ordering::Release);
        self.readers.stop().await;
        let (reply, answer) = oneshot::channel();
        if self.jobs.send(Job { task: Task::Close, reply }).await.is_err() {
            return Ok(());
        }
        match answer.await {
            Ok((Answer::Failed(error), _)) => Err(error),
            Ok(_) | Err(_) => Ok(()),
        }
    }
}
