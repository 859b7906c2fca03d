//! The one thread that writes.
//!
//! It takes whatever waits, up to a group, writes it in one transaction and answers after the
//! COMMIT. When nothing else waits, a lone batch is committed at once. Callers only hand over work
//! and wait for an answer, so a caller that stops waiting stops nothing.
//!
//! ```text
//! group --> BEGIN --> pieces --> COMMIT --> answers
//!             |         |          |
//!             |         |          +-- failed: nobody knows. Reopen, settle, ask the witness;
//!             |         |              not written: once more from BEGIN, then give up
//!             |         +-- SQLite objects to a piece: undo all, once more with savepoints
//!             |         +-- no room: undo all, every piece hears Full
//!             |         +-- the disk fails: undo all, reopen, once more, then give up
//!             +-- locked: every piece hears Busy
//! ```

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use rusqlite::Connection;
use tokio::sync::{mpsc, oneshot};

use super::apply::{Memo, Witness, Work};
use super::fault::{Fault, Reach, plain, reach};
use super::file::{self, Claim};
use super::schema;
use crate::clock::Timestamp;
use crate::id::OrderKey;
use crate::store::{
    Batch, CommitError, Damaged, Error, InboxPut, InboxRow, Incarnation, Migrated, PipelineId, Position,
    Release, Stored,
};

/// The most batches in one transaction. Larger groups gain no rate and hold their first callers
/// back for longer.
pub(super) const GROUP: usize = 256;

/// How often a group is tried on a connection that had to be reopened.
const REOPENINGS: u32 = 1;

/// Work for the writer, and where its answer goes.
///
/// The task goes back with the answer, so that its memory is freed where it was taken: freeing it
/// here would have every caller wait for the writer's hold on their allocator, and the reverse.
#[derive(Debug)]
pub(super) struct Job {
    pub(super) task: Task,
    pub(super) reply: oneshot::Sender<(Answer, Task)>,
}

/// What can be asked of the writer.
#[derive(Debug)]
pub(super) enum Task {
    /// The answers are filled in, one for each batch.
    Commit {
        batches: Vec<Batch>,
        answers: Vec<Result<Position, CommitError>>,
    },
    StartWorker {
        worker: Box<str>,
        now: Timestamp,
        until: Timestamp,
    },
    RenewWorker {
        me: Incarnation,
        until: Timestamp,
    },
    Claim {
        me: Incarnation,
        now: Timestamp,
        under: Box<[PipelineId]>,
        limit: usize,
    },
    InboxPut(InboxRow),
    KeepRelease(Release),
    InboxMark {
        order: OrderKey,
        source: Box<str>,
        event: Box<str>,
    },
    Delete {
        order: OrderKey,
        expected: u64,
    },
    Migrate,
    Close,
}

/// What the writer answers. Each task has its own variant; any may have failed.
#[derive(Debug)]
pub(super) enum Answer {
    /// The answers are in the task.
    Commits,
    Started(Incarnation),
    Claimed(Vec<Stored>, Vec<Damaged>),
    Put(InboxPut),
    Deleted(Result<(), CommitError>),
    Migrated(Migrated),
    Done,
    Failed(Error),
}

/// Counters the writer keeps and anybody reads.
#[derive(Debug, Default)]
pub(super) struct Counters {
    pub(super) commits: AtomicU64,
    pub(super) batches: AtomicU64,
    pub(super) largest_group: AtomicU64,
    pub(super) doubts: AtomicU64,
}

#[derive(Debug)]
pub(super) struct Writer {
    claim: Arc<Claim>,
    /// `None` after a failure nobody could make sure of: poisoned until it can be reopened.
    connection: Option<Connection>,
    memo: Memo,
    counters: Arc<Counters>,
}

/// How one try at a group ended.
enum Try {
    Answered(Vec<Answer>),
    /// A piece was objected to; undone, and to be done with savepoints.
    Objected,
    /// Undone, and not to be tried again.
    Failed(Error),
    /// The connection is gone. With a witness the COMMIT was under way; without, it was not.
    Lost {
        underway: Option<(Vec<Answer>, Witness)>,
        why: rusqlite::Error,
    },
}

impl Writer {
    pub(super) fn new(claim: Arc<Claim>, connection: Connection, counters: Arc<Counters>) -> Self {
        Self { claim, connection: Some(connection), memo: Memo::default(), counters }
    }

    /// Serves until it is closed, or nobody is left who could ask.
    pub(super) fn run(mut self, mut jobs: mpsc::Receiver<Job>) {
        let mut waiting = Vec::with_capacity(GROUP);
        let mut closing = Vec::new();
        while jobs.blocking_recv_many(&mut waiting, GROUP) > 0 {
            let mut group = Vec::with_capacity(waiting.len());
            let mut size = 0;
            for job in waiting.drain(..) {
                let more = match &job.task {
                    Task::Commit { batches, .. } => batches.len(),
                    Task::Close => {
                        // What was accepted before is still served; nothing is accepted after.
                        jobs.close();
                        closing.push(job.reply);
                        continue;
                    }
                    Task::StartWorker { .. }
                    | Task::RenewWorker { .. }
                    | Task::Claim { .. }
                    | Task::InboxPut(_)
                    | Task::KeepRelease(_)
                    | Task::InboxMark { .. }
                    | Task::Delete { .. }
                    | Task::Migrate => 1,
                };
                if size + more > GROUP && !group.is_empty() {
                    self.serve(&mut group);
                    size = 0;
                }
                size += more;
                group.push(job);
            }
            if !group.is_empty() {
                self.serve(&mut group);
            }
        }
        // Last handle to the file: SQLite folds the log into the database.
        let closed = self.connection.take().map_or(Ok(()), Connection::close);
        let closed = closed.map_err(|(_, error)| plain(&error));
        drop(self.claim);
        for reply in closing {
            let answer = closed.clone().map_or_else(Answer::Failed, |()| Answer::Done);
            // A caller that has stopped waiting needs no answer.
            drop(reply.send((answer, Task::Close)));
        }
    }

    fn serve(&mut self, group: &mut Vec<Job>) {
        let answers = self.answers(group);
        for (job, answer) in group.drain(..).zip(answers) {
            drop(job.reply.send((answer, job.task)));
        }
    }

    fn answers(&mut self, group: &mut [Job]) -> Vec<Answer> {
        let mut careful = false;
        let mut reopenings = 0;
        loop {
            if self.connection.is_none()
                && let Err(error) = self.reopen()
            {
                let error = if error == Error::Full { error } else { Error::Poisoned };
                return failed(group, &error);
            }
            match self.attempt(group, careful) {
                Try::Answered(answers) => return answers,
                Try::Objected => careful = true,
                Try::Failed(error) => return failed(group, &error),
                Try::Lost { underway, why } => {
                    let settled = self.reopen();
                    if let Some((answers, witness)) = underway {
                        self.counters.doubts.fetch_add(1, Ordering::Relaxed);
                        match settled.and_then(|()| self.ask(&witness)) {
                            Ok(true) => return answers,
                            Ok(false) => {}
                            Err(_) => return unconfirmed(group, answers, &why),
                        }
                    }
                    if reopenings == REOPENINGS {
                        return failed(group, &plain(&why));
                    }
                    reopenings += 1;
                }
            }
        }
    }

    fn attempt(&mut self, group: &mut [Job], careful: bool) -> Try {
        let Some(connection) = &self.connection else {
            return Try::Failed(Error::Poisoned);
        };
        let done = Work::begin(connection, &mut self.memo).map_err(Fault::Sql).and_then(|mut work| {
            let answers = group
                .iter_mut()
                .map(|job| answer(&mut work, &mut job.task, careful))
                .collect::<Result<Vec<_>, _>>()?;
            let (witness, batches) = work.finish()?;
            Ok((answers, witness, batches))
        });
        let (answers, witness, batches) = match done {
            Ok(done) => done,
            Err(Fault::Sql(why)) => return self.undo(why, careful),
            // Pieces answer their own refusals, so none gets here.
            Err(fault @ (Fault::Refuse(_) | Fault::Answer(_))) => {
                let error = Error::from(fault);
                return match self.undo(rusqlite::Error::InvalidQuery, true) {
                    Try::Lost { underway, why } => Try::Lost { underway, why },
                    Try::Answered(_) | Try::Objected | Try::Failed(_) => Try::Failed(error),
                };
            }
        };
        match connection.prepare_cached("COMMIT").and_then(|mut commit| commit.execute([])) {
            Ok(_) => {
                if witness != Witness::Nothing {
                    self.counters.commits.fetch_add(1, Ordering::Relaxed);
                    self.counters.batches.fetch_add(batches, Ordering::Relaxed);
                    self.counters.largest_group.fetch_max(batches, Ordering::Relaxed);
                }
                Try::Answered(answers)
            }
            // Full means that the frame which would have committed did not fit: not written, and
            // never will be. Every other error leaves it open.
            Err(why) if plain(&why) == Error::Full => self.undo(why, careful),
            Err(why) => {
                self.connection = None;
                self.memo.forget();
                Try::Lost { underway: Some((answers, witness)), why }
            }
        }
    }

    /// Rolls back a transaction that was not being committed.
    fn undo(&mut self, why: rusqlite::Error, careful: bool) -> Try {
        self.memo.forget();
        let reach = reach(&why);
        let undone = self.connection.as_ref().is_some_and(|connection| {
            connection.is_autocommit() || connection.execute_batch("ROLLBACK").is_ok()
        });
        match reach {
            _ if !undone => {}
            Reach::Piece if !careful => return Try::Objected,
            Reach::Piece | Reach::Group => return Try::Failed(plain(&why)),
            Reach::Connection => {}
        }
        self.connection = None;
        Try::Lost { underway: None, why }
    }

    fn reopen(&mut self) -> Result<(), Error> {
        self.connection = None;
        self.memo.forget();
        let connection = file::writer(self.claim.path())?;
        file::settle(self.claim.path(), &connection)?;
        self.connection = Some(connection);
        Ok(())
    }

    fn ask(&mut self, witness: &Witness) -> Result<bool, Error> {
        let connection = self.connection.as_ref().ok_or(Error::Poisoned)?;
        let testimony = witness.testifies(connection);
        if testimony.is_err() {
            self.connection = None;
        }
        Ok(testimony?)
    }
}

fn answer(work: &mut Work<'_>, task: &mut Task, careful: bool) -> Result<Answer, Fault> {
    let told = |answer: Result<Answer, Fault>| match answer {
        Err(Fault::Answer(error)) => Ok(Answer::Failed(error)),
        other => other,
    };
    match task {
        Task::Commit { batches, answers } => {
            // Left over from an earlier try.
            answers.clear();
            for batch in &*batches {
                answers.push(refusable(piece(work, careful, |work| work.commit(batch)))?);
            }
            Ok(Answer::Commits)
        }
        Task::StartWorker { worker, now, until } => {
            let begin = |work: &mut Work<'_>| work.start_worker(worker, *now, *until);
            told(piece(work, careful, begin).map(Answer::Started))
        }
        Task::RenewWorker { me, until } => {
            let renew = |work: &mut Work<'_>| work.renew_worker(*me, *until);
            told(piece(work, careful, renew).map(|()| Answer::Done))
        }
        Task::Claim { me, now, under, limit } => {
            let claim = |work: &mut Work<'_>| work.claim(*me, *now, under, *limit);
            let claimed = piece(work, careful, claim);
            told(claimed.map(|(orders, damaged)| Answer::Claimed(orders, damaged)))
        }
        Task::Migrate => told(piece(work, careful, |work| work.migrate(schema::STEPS)).map(Answer::Migrated)),
        Task::InboxPut(row) => told(piece(work, careful, |work| work.inbox_put(row)).map(Answer::Put)),
        Task::KeepRelease(release) => {
            told(piece(work, careful, |work| work.keep_release(release)).map(|()| Answer::Done))
        }
        Task::InboxMark { order, source, event } => {
            let mark = |work: &mut Work<'_>| work.inbox_mark(order, source, event);
            told(piece(work, careful, mark).map(|()| Answer::Done))
        }
        Task::Delete { order, expected } => {
            let delete = |work: &mut Work<'_>| work.delete(order, *expected);
            refusable(piece(work, careful, delete)).map(Answer::Deleted)
        }
        Task::Close => Ok(Answer::Done),
    }
}

/// Does one piece; when careful, so that SQLite's objections to it undo it alone.
fn piece<T>(
    work: &mut Work<'_>,
    careful: bool,
    act: impl FnOnce(&mut Work<'_>) -> Result<T, Fault>,
) -> Result<T, Fault> {
    if !careful {
        return act(work);
    }
    work.mark()?;
    match act(work) {
        Err(Fault::Sql(why)) if reach(&why) == Reach::Piece => {
            work.take_back()?;
            Err(Fault::Answer(plain(&why)))
        }
        // Without a transaction there is no savepoint left to release.
        Err(Fault::Sql(why)) => Err(Fault::Sql(why)),
        done => {
            work.keep()?;
            done
        }
    }
}

/// Splits what is answered to a batch from what stops the transaction.
fn refusable<T>(done: Result<T, Fault>) -> Result<Result<T, CommitError>, Fault> {
    match done {
        Ok(value) => Ok(Ok(value)),
        Err(Fault::Sql(why)) => Err(Fault::Sql(why)),
        Err(fault @ (Fault::Refuse(_) | Fault::Answer(_))) => Ok(Err(fault.into())),
    }
}

/// The same failure for everybody: nothing was written.
fn failed(group: &mut [Job], error: &Error) -> Vec<Answer> {
    let answer = |job: &mut Job| match &mut job.task {
        Task::Commit { batches, answers } => {
            answers.clear();
            answers.extend(batches.iter().map(|_| Err(error.clone().into())));
            Answer::Commits
        }
        Task::Delete { .. } => Answer::Deleted(Err(error.clone().into())),
        Task::StartWorker { .. }
        | Task::RenewWorker { .. }
        | Task::Claim { .. }
        | Task::InboxPut(_)
        | Task::KeepRelease(_)
        | Task::InboxMark { .. }
        | Task::Migrate
        | Task::Close => Answer::Failed(error.clone()),
    };
    group.iter_mut().map(answer).collect()
}

/// Takes back every promise of a transaction that nobody can make sure of.
fn unconfirmed(group: &mut [Job], answers: Vec<Answer>, why: &rusqlite::Error) -> Vec<Answer> {
    let doubt = || CommitError::Unconfirmed(why.to_string());
    for job in group {
        if let Task::Commit { answers, .. } = &mut job.task {
            for answer in answers.iter_mut().filter(|answer| answer.is_ok()) {
                *answer = Err(doubt());
            }
        }
    }
    let answer = |answer| match answer {
        Answer::Deleted(answer) => Answer::Deleted(answer.and_then(|()| Err(doubt()))),
        Answer::Started(_) | Answer::Claimed(..) | Answer::Put(_) | Answer::Migrated(_) | Answer::Done => {
            Answer::Failed(Error::Poisoned)
        }
        Answer::Commits | Answer::Failed(_) => answer,
    };
    answers.into_iter().map(answer).collect()
}
