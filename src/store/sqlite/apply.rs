//! One piece of work inside an open transaction.
//!
//! Each piece looks before it writes, and answers what it refuses before its first statement that
//! changes anything that must not stay. So a refused piece has nothing to undo, and a transaction
//! needs no savepoint unless SQLite itself objects.

use std::collections::HashMap;
use std::collections::hash_map::Entry as Slot;
use std::sync::Arc;

use rusqlite::{CachedStatement, Connection, OptionalExtension, params};

use super::fault::Fault;
use super::rows;
use super::schema;
use crate::clock::Timestamp;
use crate::id::OrderKey;
use crate::store::{
    Batch, Columns, CommitError, Damaged, Entry, Error, Hash, InboxPut, InboxRow, Incarnation, Migrated,
    Owner, PipelineId, Position, Release, Stored,
};

/// The common transition: columns no index looks at.
pub(super) const ADVANCE: &str = "UPDATE orders SET version = ?3, epoch = ?4, tail_pos = ?5, tail_seq = ?6,
    captured = ?7, reserved = ?8, refunded = ?9, overdrawn = ?10, wake_at = ?11, updated_at = ?12,
    phase = ?13, head = ?14, progress = ?15 WHERE no = ?1 AND version = ?2";

/// The rest of the columns, when one of them changes.
const WIDEN: &str =
    "UPDATE orders SET pid = ?2, open = ?3, owner = ?4, parked = ?5, placed_at = ?6 WHERE no = ?1";

const PLACE: &str = "INSERT INTO orders (tenant, id, pid, open, owner, parked, placed_at, version,
    epoch, tail_pos, tail_seq, captured, reserved, refunded, overdrawn, wake_at, updated_at, phase,
    head, progress)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19,
    ?20) ON CONFLICT DO NOTHING";

pub(super) const APPEND: &str =
    "INSERT INTO journal (pos, no, seq, prev, hash, body) VALUES (?1, ?2, ?3, ?4, ?5, ?6)";

/// An order remembered costs about 300 bytes; twice this many are remembered.
const GENERATION: usize = 50_000;

/// No entry: journals begin at zero or later.
const NO_SEQ: i64 = -1;

/// What the writer remembers between transactions so as not to ask for it.
///
/// Only what is committed may stay: after any rollback, and whenever another connection has
/// written, it is thrown away.
#[derive(Debug, Default)]
pub(super) struct Memo {
    orders: Orders,
    pipelines: HashMap<i64, Pipeline>,
    /// The next position; zero when it has to be asked for.
    next: i64,
    /// SQLite's counter of foreign commits.
    data_version: i64,
}

/// The orders of late, in two generations: when the younger is full it becomes the older.
#[derive(Debug, Default)]
struct Orders {
    young: HashMap<OrderKey, Known>,
    old: HashMap<OrderKey, Known>,
}

/// Of one order, all that a batch is checked against.
#[derive(Debug, Clone)]
struct Known {
    no: i64,
    version: u64,
    head: Hash,
    tail_pos: i64,
    tail_seq: i64,
    owner: Option<Owner>,
    pid: i64,
    open: bool,
    parked: Option<Arc<str>>,
    placed_at: Timestamp,
}

#[derive(Debug, PartialEq, Eq)]
struct Pipeline {
    name: Arc<str>,
    version: u32,
    fingerprint: u64,
}

/// An open transaction.
pub(super) struct Work<'c> {
    connection: &'c Connection,
    memo: &'c mut Memo,
    advance: CachedStatement<'c>,
    append: CachedStatement<'c>,
    tally: Tally,
    /// The tally at the last [`mark`](Self::mark).
    marked: Tally,
}

/// What a transaction knows about itself.
#[derive(Debug, Clone)]
struct Tally {
    /// Orders opened and closed per pipeline, written once at the end.
    census: HashMap<i64, (i64, i64)>,
    /// What tells afterwards whether this transaction was committed.
    witness: Witness,
    /// Batches written.
    batches: u64,
}

/// How to find out whether a transaction was written whose COMMIT failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Witness {
    /// It changed nothing, so there is nothing to find out.
    Nothing,
    /// The last batch written left its order here.
    Token { order: OrderKey, version: u64, head: Hash },
    /// It set the store's own counter to this.
    Counter(i64),
}

impl Witness {
    pub(super) fn testifies(&self, connection: &Connection) -> Result<bool, Fault> {
        match self {
            Self::Nothing => Ok(true),
            Self::Token { order, version, head } => Ok(Orders::ask(connection, order)?
                .is_some_and(|known| known.version == *version && known.head == *head)),
            Self::Counter(counter) => Ok(meta(connection, schema::TOKEN)? == *counter),
        }
    }
}

impl Memo {
    pub(super) fn forget(&mut self) {
        *self = Self::default();
    }
}

impl Orders {
    fn recall(&mut self, connection: &Connection, order: &OrderKey) -> rusqlite::Result<Option<&mut Known>> {
        if !self.young.contains_key(order) {
            let known = match self.old.remove(order) {
                Some(known) => known,
                None => match Self::ask(connection, order)? {
                    Some(known) => known,
                    None => return Ok(None),
                },
            };
            self.keep(order.clone(), known);
        }
        Ok(self.young.get_mut(order))
    }

    fn keep(&mut self, order: OrderKey, known: Known) {
        if self.young.len() >= GENERATION {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(order, known);
    }

    fn forget(&mut self, order: &OrderKey) {
        self.young.remove(order);
        self.old.remove(order);
    }

    fn holds(&self, order: &OrderKey) -> bool {
        self.young.contains_key(order) || self.old.contains_key(order)
    }

    fn ask(connection: &Connection, order: &OrderKey) -> rusqlite::Result<Option<Known>> {
        connection
            .prepare_cached(
                "SELECT no, version, head, tail_pos, tail_seq, owner, epoch, pid, open, parked,
                 placed_at FROM orders WHERE tenant = ?1 AND id = ?2",
            )?
            .query_row(params![order.tenant.as_str(), order.order.as_str()], |row| {
                Ok(Known {
                    no: row.get(0)?,
                    version: rows::unsigned(row, 1)?,
                    head: rows::hash(row, 2)?,
                    tail_pos: row.get(3)?,
                    tail_seq: row.get(4)?,
                    owner: rows::owner(row.get(5)?, row.get(6)?),
                    pid: row.get(7)?,
                    open: row.get(8)?,
                    parked: row.get(9)?,
                    placed_at: Timestamp::from_millis(row.get(10)?),
                })
            })
            .optional()
    }
}

impl Known {
    fn position(&self) -> Position {
        Position(self.tail_pos.cast_unsigned())
    }

    fn tail(&self) -> Option<u64> {
        (self.tail_seq != NO_SEQ).then_some(self.tail_seq.cast_unsigned())
    }
}

impl<'c> Work<'c> {
    /// Begins a transaction that holds the write lock from the start.
    pub(super) fn begin(connection: &'c Connection, memo: &'c mut Memo) -> rusqlite::Result<Self> {
        connection.prepare_cached("BEGIN IMMEDIATE")?.execute([])?;
        let foreign =
            connection.prepare_cached("PRAGMA data_version")?.query_row([], |row| row.get::<_, i64>(0))?;
        if memo.data_version != foreign {
            memo.forget();
            memo.data_version = foreign;
        }
        if memo.next == 0 {
            let floor = meta(connection, schema::POSITION)?;
            let last = connection
                .prepare_cached("SELECT coalesce(max(pos), 0) FROM journal")?
                .query_row([], |row| row.get::<_, i64>(0))?;
            memo.next = floor.max(last) + 1;
        }
        let tally = Tally { census: HashMap::new(), witness: Witness::Nothing, batches: 0 };
        Ok(Self {
            connection,
            memo,
            advance: connection.prepare_cached(ADVANCE)?,
            append: connection.prepare_cached(APPEND)?,
            marked: tally.clone(),
            tally,
        })
    }

    /// Writes what is written once per transaction. Only COMMIT may follow.
    pub(super) fn finish(self) -> rusqlite::Result<(Witness, u64)> {
        for (pid, (open, closed)) in self.tally.census {
            if (open, closed) != (0, 0) {
                self.connection
                    .prepare_cached(
                        "UPDATE pipelines SET open = open + ?2, closed = closed + ?3
                         WHERE pid = ?1",
                    )?
                    .execute(params![pid, open, closed])?;
            }
        }
        Ok((self.tally.witness, self.tally.batches))
    }

    /// Marks the point a single piece can be taken back to.
    pub(super) fn mark(&mut self) -> rusqlite::Result<()> {
        self.marked = self.tally.clone();
        self.connection.prepare_cached("SAVEPOINT piece")?.execute([]).map(drop)
    }

    /// Takes back everything since [`mark`](Self::mark), and with it what was remembered.
    pub(super) fn take_back(&mut self) -> rusqlite::Result<()> {
        self.connection.execute_batch("ROLLBACK TO piece; RELEASE piece")?;
        self.tally = self.marked.clone();
        self.memo.orders = Orders::default();
        self.memo.pipelines.clear();
        // `next` may have run ahead of the journal, which is harmless: positions need only grow.
        Ok(())
    }

    /// Gives up the way back to [`mark`](Self::mark).
    pub(super) fn keep(&self) -> rusqlite::Result<()> {
        self.connection.prepare_cached("RELEASE piece")?.execute([]).map(drop)
    }

    pub(super) fn commit(&mut self, batch: &Batch) -> Result<Position, Fault> {
        batch.check()?;
        if batch.expected == 0
            && !self.memo.orders.holds(&batch.order)
            && let Some(position) = self.place(batch)?
        {
            return Ok(position);
        }
        let connection = self.connection;
        let Some(known) = self.memo.orders.recall(connection, &batch.order)? else {
            return Err(CommitError::Stale { found: None }.into());
        };
        if batch.repeats(known.version, &known.head, known.owner) {
            return Ok(known.position());
        }
        if known.version != batch.expected {
            return Err(CommitError::Stale { found: Some(known.version) }.into());
        }
        batch.fence(known.owner)?;
        if !batch.continues(known.tail()) {
            return Err(CommitError::Refused("the journal would have a gap".to_owned()).into());
        }

        let columns = &batch.columns;
        let owner = batch.owner.or(known.owner);
        let pipelines = &mut self.memo.pipelines;
        let pid = match pipelines.get(&known.pid) {
            Some(pipeline) if pipeline.carries(columns) => known.pid,
            Some(_) | None => pipeline(connection, pipelines, columns)?,
        };
        let incarnation = |owner: Option<Owner>| owner.map_or(0, |owner| owner.incarnation.0);
        if pid != known.pid
            || columns.open != known.open
            || columns.parked != known.parked
            || columns.placed_at != known.placed_at
            || incarnation(owner) != incarnation(known.owner)
        {
            connection.prepare_cached(WIDEN)?.execute(params![
                known.no,
                pid,
                columns.open,
                incarnation(owner).cast_signed(),
                columns.parked.as_deref(),
                columns.placed_at.millis(),
            ])?;
            count(&mut self.tally.census, known.pid, known.open, -1);
            count(&mut self.tally.census, pid, columns.open, 1);
        }
        let tail = (known.tail_pos, known.tail_seq);
        let (tail_pos, tail_seq) =
            append(&mut self.append, &mut self.memo.next, known.no, tail, &batch.entries)?;
        let changed = self.advance.execute(params![
            known.no,
            known.version.cast_signed(),
            batch.version.cast_signed(),
            owner.map_or(0, |owner| owner.epoch).cast_signed(),
            tail_pos,
            tail_seq,
            columns.captured_minor,
            columns.reserved_minor,
            columns.refunded_minor,
            columns.overdrawn,
            columns.wake_at.map(Timestamp::millis),
            columns.updated_at.millis(),
            &*columns.phase,
            &batch.head.0[..],
            &*batch.progress,
        ])?;
        if changed != 1 {
            return Err(rusqlite::Error::StatementChangedRows(changed).into());
        }
        *known = Known {
            no: known.no,
            version: batch.version,
            head: batch.head,
            tail_pos,
            tail_seq,
            owner,
            pid,
            open: columns.open,
            parked: columns.parked.clone(),
            placed_at: columns.placed_at,
        };
        let (no, position) = (known.no, known.position());
        self.parts(no, batch)?;
        Ok(position)
    }

    /// Places an order, unless there is one of this name.
    fn place(&mut self, batch: &Batch) -> Result<Option<Position>, Fault> {
        let columns = &batch.columns;
        let pid = pipeline(self.connection, &mut self.memo.pipelines, columns)?;
        // The entries are numbered only after the order has its number, so their end is foretold.
        let count_of = i64::try_from(batch.entries.len()).unwrap_or(i64::MAX);
        let tail_pos = if count_of == 0 { 0 } else { self.memo.next + count_of - 1 };
        let tail_seq = batch.entries.last().map_or(NO_SEQ, |entry| entry.seq.cast_signed());
        let placed = self.connection.prepare_cached(PLACE)?.execute(params![
            batch.order.tenant.as_str(),
            batch.order.order.as_str(),
            pid,
            columns.open,
            batch.owner.map_or(0, |owner| owner.incarnation.0).cast_signed(),
            columns.parked.as_deref(),
            columns.placed_at.millis(),
            batch.version.cast_signed(),
            batch.owner.map_or(0, |owner| owner.epoch).cast_signed(),
            tail_pos,
            tail_seq,
            columns.captured_minor,
            columns.reserved_minor,
            columns.refunded_minor,
            columns.overdrawn,
            columns.wake_at.map(Timestamp::millis),
            columns.updated_at.millis(),
            &*columns.phase,
            &batch.head.0[..],
            &*batch.progress,
        ])?;
        if placed == 0 {
            return Ok(None);
        }
        let no = self.connection.last_insert_rowid();
        append(&mut self.append, &mut self.memo.next, no, (0, NO_SEQ), &batch.entries)?;
        count(&mut self.tally.census, pid, columns.open, 1);
        let known = Known {
            no,
            version: batch.version,
            head: batch.head,
            tail_pos,
            tail_seq,
            owner: batch.owner,
            pid,
            open: columns.open,
            parked: columns.parked.clone(),
            placed_at: columns.placed_at,
        };
        let position = known.position();
        self.memo.orders.keep(batch.order.clone(), known);
        self.parts(no, batch)?;
        Ok(Some(position))
    }

    /// What most batches do not carry.
    fn parts(&mut self, no: i64, batch: &Batch) -> Result<(), Fault> {
        let connection = self.connection;
        if let Some(document) = &batch.document {
            connection
                .prepare_cached(
                    "INSERT INTO documents (no, body) VALUES (?1, ?2)
                     ON CONFLICT (no) DO UPDATE SET body = excluded.body",
                )?
                .execute(params![no, &**document])?;
        }
        for (hash, body) in &batch.policies {
            connection
                .prepare_cached("INSERT INTO policies (hash, body) VALUES (?1, ?2) ON CONFLICT DO NOTHING")?
                .execute(params![&hash.0[..], &**body])?;
        }
        for change in &batch.index {
            if change.put {
                connection
                    .prepare_cached(
                        "INSERT INTO places (no, space, name, tenant, sort)
                         VALUES (?1, ?2, ?3, ?4, ?5)
                         ON CONFLICT (no, space, name) DO UPDATE SET sort = excluded.sort",
                    )?
                    .execute(params![
                        no,
                        &*change.space,
                        &*change.key,
                        batch.order.tenant.as_str(),
                        change.sort
                    ])?;
            } else {
                connection
                    .prepare_cached("DELETE FROM places WHERE no = ?1 AND space = ?2 AND name = ?3")?
                    .execute(params![no, &*change.space, &*change.key])?;
            }
        }
        self.tally.batches += 1;
        if !matches!(self.tally.witness, Witness::Counter(_)) {
            let (order, version, head) = (batch.order.clone(), batch.version, batch.head);
            self.tally.witness = Witness::Token { order, version, head };
        }
        Ok(())
    }

    /// Leaves a trace of work that moves no order by a batch.
    fn testify(&mut self) -> Result<(), Fault> {
        if !matches!(self.tally.witness, Witness::Counter(_)) {
            let counter = meta(self.connection, schema::TOKEN)? + 1;
            set_meta(self.connection, schema::TOKEN, counter)?;
            self.tally.witness = Witness::Counter(counter);
        }
        Ok(())
    }

    pub(super) fn start_worker(
        &mut self,
        worker: &str,
        now: Timestamp,
        until: Timestamp,
    ) -> Result<Incarnation, Fault> {
        let me = meta(self.connection, schema::INCARNATION)? + 1;
        self.testify()?;
        set_meta(self.connection, schema::INCARNATION, me)?;
        self.bury(now)?;
        self.connection.prepare_cached("DELETE FROM workers WHERE name = ?1")?.execute(params![worker])?;
        self.connection
            .prepare_cached("INSERT INTO workers (incarnation, name, until) VALUES (?1, ?2, ?3)")?
            .execute(params![me, worker, until.millis()])?;
        Ok(Incarnation(me.cast_unsigned()))
    }

    /// Takes the steps that lead from the schema found to the newest, in the transaction that is open.
    pub(super) fn migrate(&mut self, steps: &[&str]) -> Result<Migrated, Fault> {
        let connection = self.connection;
        let from: u32 = connection.query_row("PRAGMA user_version", [], |row| row.get(0))?;
        let to = u32::try_from(steps.len()).unwrap_or(u32::MAX).saturating_add(1);
        let taken = usize::try_from(from.saturating_sub(1)).unwrap_or(usize::MAX);
        if from < to {
            self.testify()?;
            for step in steps.iter().skip(taken) {
                connection.execute_batch(step)?;
            }
            connection.execute_batch(&format!("PRAGMA user_version = {to}"))?;
        }
        Ok(Migrated { from, to: from.max(to) })
    }

    pub(super) fn renew_worker(&mut self, me: Incarnation, until: Timestamp) -> Result<(), Fault> {
        if !self.lives(me)? {
            return Err(Error::LeaseLost.into());
        }
        self.testify()?;
        self.connection
            .prepare_cached("UPDATE workers SET until = ?2 WHERE incarnation = ?1")?
            .execute(params![me.0.cast_signed(), until.millis()])?;
        Ok(())
    }

    pub(super) fn claim(
        &mut self,
        me: Incarnation,
        now: Timestamp,
        under: &[PipelineId],
        limit: usize,
    ) -> Result<(Vec<Stored>, Vec<Damaged>), Fault> {
        let connection = self.connection;
        self.bury(now)?;
        if !self.lives(me)? {
            return Err(Error::LeaseLost.into());
        }
        let under = self.pids(under)?;
        let (mut claimed, mut taken, mut damaged) = (Vec::new(), Vec::new(), Vec::new());
        let mut owner = -1_i64;
        while claimed.len() < limit {
            // From one owner to the next without reading the orders of the living.
            let next: Option<i64> = connection
                .prepare_cached("SELECT min(owner) FROM orders WHERE open = 1 AND owner > ?1")?
                .query_row([owner], |row| row.get(0))?;
            let Some(next) = next else { break };
            owner = next;
            if self.lives(Incarnation(owner.cast_unsigned()))? {
                continue;
            }
            // One whose pipeline is gone runs under none, and would never be heard of.
            let mut find = connection.prepare_cached(&format!(
                "{} INDEXED BY orders_owned {} WHERE o.open = 1 AND o.owner = ?1
                 AND (o.pid IN ({under}) OR p.pid IS NULL) ORDER BY o.no",
                rows::STORED,
                rows::STORED_PARTS
            ))?;
            let mut found = find.query([owner])?;
            while claimed.len() < limit {
                let Some(row) = found.next()? else { break };
                taken.push(row.get::<_, i64>(rows::STORED_NO)?);
                match rows::stored(row) {
                    Ok(mut stored) => {
                        let epoch: i64 = row.get(rows::STORED_EPOCH)?;
                        stored.owner = rows::owner(me.0.cast_signed(), epoch + 1);
                        claimed.push(stored);
                    }
                    // It is taken all the same, so that the next page does not meet it again.
                    Err(fault) => damaged.push(rows::damaged(row, fault)?),
                }
            }
        }
        if taken.is_empty() {
            return Ok((claimed, damaged));
        }
        self.testify()?;
        let mut take =
            connection.prepare_cached("UPDATE orders SET owner = ?2, epoch = epoch + 1 WHERE no = ?1")?;
        for no in taken {
            take.execute(params![no, me.0.cast_signed()])?;
        }
        for stored in &claimed {
            self.memo.orders.forget(&stored.order);
        }
        Ok((claimed, damaged))
    }

    pub(super) fn keep_release(&mut self, release: &Release) -> Result<(), Fault> {
        let PipelineId { name, version, fingerprint } = &release.id;
        let kept = self
            .connection
            .prepare_cached(
                "INSERT INTO pipelines (name, version, fingerprint, open, closed, names)
                 VALUES (?1, ?2, ?3, 0, 0, ?4) ON CONFLICT (name, version, fingerprint)
                 DO UPDATE SET names = excluded.names WHERE names IS NOT excluded.names",
            )?
            .execute(params![&**name, version, fingerprint.cast_signed(), &*release.names])?;
        if kept > 0 {
            self.testify()?;
        }
        Ok(())
    }

    /// The numbers of these pipelines, as a list for a query.
    fn pids(&self, under: &[PipelineId]) -> Result<String, Fault> {
        let mut find = self.connection.prepare_cached(
            "SELECT pid FROM pipelines WHERE name = ?1 AND version = ?2 AND fingerprint = ?3",
        )?;
        let mut pids = Vec::new();
        for PipelineId { name, version, fingerprint } in under {
            let found = params![&**name, version, fingerprint.cast_signed()];
            pids.extend(find.query_row(found, |row| row.get::<_, i64>(0)).optional()?);
        }
        Ok(pids.iter().map(ToString::to_string).collect::<Vec<_>>().join(","))
    }

    fn bury(&mut self, now: Timestamp) -> Result<(), Fault> {
        let dead: bool = self
            .connection
            .prepare_cached("SELECT EXISTS (SELECT 1 FROM workers WHERE until <= ?1)")?
            .query_row([now.millis()], |row| row.get(0))?;
        if dead {
            self.testify()?;
            self.connection
                .prepare_cached("DELETE FROM workers WHERE until <= ?1")?
                .execute([now.millis()])?;
        }
        Ok(())
    }

    fn lives(&self, incarnation: Incarnation) -> Result<bool, Fault> {
        Ok(self
            .connection
            .prepare_cached("SELECT EXISTS (SELECT 1 FROM workers WHERE incarnation = ?1)")?
            .query_row([incarnation.0.cast_signed()], |row| row.get(0))?)
    }

    pub(super) fn inbox_put(&mut self, row: &InboxRow) -> Result<InboxPut, Fault> {
        let added = self
            .connection
            .prepare_cached(
                "INSERT INTO inbox (tenant, source, event, id, received_at, body)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT DO NOTHING",
            )?
            .execute(params![
                row.order.tenant.as_str(),
                &*row.source,
                &*row.event,
                row.order.order.as_str(),
                row.received_at.millis(),
                &*row.body,
            ])?;
        if added == 0 {
            return Ok(InboxPut::Known);
        }
        self.testify()?;
        Ok(InboxPut::New)
    }

    pub(super) fn inbox_mark(&mut self, order: &OrderKey, source: &str, event: &str) -> Result<(), Fault> {
        let marked = self
            .connection
            .prepare_cached(
                "UPDATE inbox SET body = NULL WHERE tenant = ?1 AND source = ?2 AND event = ?3
                 AND id = ?4 AND body IS NOT NULL",
            )?
            .execute(params![order.tenant.as_str(), source, event, order.order.as_str()])?;
        if marked > 0 {
            self.testify()?;
        }
        Ok(())
    }

    pub(super) fn delete(&mut self, order: &OrderKey, expected: u64) -> Result<(), Fault> {
        let connection = self.connection;
        let Some(known) = self.memo.orders.recall(connection, order)? else {
            return Err(CommitError::Stale { found: None }.into());
        };
        let known = known.clone();
        if known.version != expected {
            return Err(CommitError::Stale { found: Some(known.version) }.into());
        }
        if known.open {
            let why = "an open order cannot be deleted".to_owned();
            return Err(CommitError::Refused(why).into());
        }
        let waiting: bool = connection
            .prepare_cached(
                "SELECT EXISTS (SELECT 1 FROM inbox WHERE tenant = ?1 AND id = ?2
                 AND body IS NOT NULL)",
            )?
            .query_row(params![order.tenant.as_str(), order.order.as_str()], |row| row.get(0))?;
        if waiting {
            return Err(CommitError::Refused("an event waits for the order".to_owned()).into());
        }

        self.testify()?;
        let last = self.memo.next - 1;
        if meta(connection, schema::POSITION)? < last {
            set_meta(connection, schema::POSITION, last)?;
        }
        let mut find = connection.prepare_cached("SELECT prev FROM journal WHERE pos = ?1")?;
        let mut erase = connection.prepare_cached("DELETE FROM journal WHERE pos = ?1")?;
        let mut pos = known.tail_pos;
        while pos != 0 {
            let prev = find.query_row([pos], |row| row.get(0))?;
            erase.execute([pos])?;
            pos = prev;
        }
        for table in [
            "DELETE FROM places WHERE no = ?1",
            "DELETE FROM documents WHERE no = ?1",
            "DELETE FROM orders WHERE no = ?1",
        ] {
            connection.prepare_cached(table)?.execute([known.no])?;
        }
        count(&mut self.tally.census, known.pid, known.open, -1);
        self.memo.orders.forget(order);
        Ok(())
    }
}

impl Pipeline {
    fn carries(&self, columns: &Columns) -> bool {
        self.fingerprint == columns.fingerprint
            && self.version == columns.pipeline_version
            && (Arc::ptr_eq(&self.name, &columns.pipeline) || self.name == columns.pipeline)
    }
}

/// The number of the pipeline the columns name, given now if it is new.
fn pipeline(
    connection: &Connection,
    pipelines: &mut HashMap<i64, Pipeline>,
    columns: &Columns,
) -> rusqlite::Result<i64> {
    if let Some((pid, _)) = pipelines.iter().find(|(_, pipeline)| pipeline.carries(columns)) {
        return Ok(*pid);
    }
    let Columns { pipeline: name, pipeline_version: version, fingerprint, .. } = columns;
    let print = fingerprint.cast_signed();
    let found: Option<i64> = connection
        .prepare_cached("SELECT pid FROM pipelines WHERE name = ?1 AND version = ?2 AND fingerprint = ?3")?
        .query_row(params![&**name, version, print], |row| row.get(0))
        .optional()?;
    let pid = match found {
        Some(pid) => pid,
        None => {
            connection
                .prepare_cached(
                    "INSERT INTO pipelines (name, version, fingerprint, open, closed)
                     VALUES (?1, ?2, ?3, 0, 0)",
                )?
                .execute(params![&**name, version, print])?;
            connection.last_insert_rowid()
        }
    };
    let (version, fingerprint) = (*version, *fingerprint);
    pipelines.insert(pid, Pipeline { name: name.clone(), version, fingerprint });
    Ok(pid)
}

/// Appends entries behind `tail`, and answers the new tail.
fn append(
    statement: &mut CachedStatement<'_>,
    next: &mut i64,
    no: i64,
    tail: (i64, i64),
    entries: &[Entry],
) -> rusqlite::Result<(i64, i64)> {
    let (mut prev, mut last) = tail;
    for entry in entries {
        let seq = entry.seq.cast_signed();
        statement.execute(params![*next, no, seq, prev, &entry.hash.0[..], &*entry.body])?;
        (prev, last) = (*next, seq);
        *next += 1;
    }
    Ok((prev, last))
}

fn count(census: &mut HashMap<i64, (i64, i64)>, pid: i64, open: bool, by: i64) {
    let slot = match census.entry(pid) {
        Slot::Occupied(slot) => slot.into_mut(),
        Slot::Vacant(slot) => slot.insert((0, 0)),
    };
    *(if open { &mut slot.0 } else { &mut slot.1 }) += by;
}

fn meta(connection: &Connection, name: &str) -> rusqlite::Result<i64> {
    connection.prepare_cached("SELECT value FROM meta WHERE name = ?1")?.query_row([name], |row| row.get(0))
}

fn set_meta(connection: &Connection, name: &str, value: i64) -> rusqlite::Result<()> {
    connection
        .prepare_cached("UPDATE meta SET value = ?2 WHERE name = ?1")?
        .execute(params![name, value])
        .map(drop)
}
