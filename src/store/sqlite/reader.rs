//! The threads that only read, each with a connection of its own.
//!
//! Two, so that a long list or a check does not keep a load waiting. In WAL mode they neither wait
//! for the writer nor make it wait, and a reading begun after a commit was answered sees it.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension, params, params_from_iter};
use tokio::sync::{mpsc, oneshot};

use super::fault::{Fault, Reach, reach};
use super::file::{self, Claim};
use super::rows;
use crate::clock::Timestamp;
use crate::id::{OrderKey, TenantId};
use crate::store::{
    Brief, Bytes, Damaged, Entry, Error, FeedEntry, Filter, Found, Hash, Held, InboxRow, PipelineId,
    Position, Release,
};

const THREADS: usize = 2;

/// Readings that may wait; beyond that callers wait to hand theirs over.
const QUEUE: usize = 1024;

type Act = dyn FnOnce(Result<&Connection, Error>) -> Health + Send;

enum Reading {
    Do(Box<Act>),
    Stop,
}

/// Whether a connection can be kept after what it answered.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Health {
    Sound,
    Suspect,
}

/// Where readings are handed over.
pub(super) struct Readers {
    queue: mpsc::Sender<Reading>,
    /// Ends when the last thread has let go of its connection.
    gone: tokio::sync::Mutex<mpsc::Receiver<()>>,
}

impl fmt::Debug for Readers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Readers").field("waiting", &(QUEUE - self.queue.capacity())).finish()
    }
}

impl Readers {
    pub(super) fn start(claim: &Arc<Claim>) -> Result<Self, Error> {
        let (queue, readings) = mpsc::channel::<Reading>(QUEUE);
        let readings = Arc::new(Mutex::new(readings));
        let (last, gone) = mpsc::channel::<()>(1);
        for _ in 0..THREADS {
            let connection = file::reader(claim.path())?;
            let (claim, readings) = (Arc::clone(claim), Arc::clone(&readings));
            let last = last.clone();
            thread::Builder::new()
                .name("consign-reader".to_owned())
                .spawn(move || {
                    serve(&claim, connection, &readings);
                    drop(claim);
                    drop(last);
                })
                .map_err(|error| Error::Io(error.to_string()))?;
        }
        Ok(Self { queue, gone: tokio::sync::Mutex::new(gone) })
    }

    /// Runs a reading on whichever thread is free.
    pub(super) async fn read<T, F>(&self, reading: F) -> Result<T, Error>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> Result<T, Fault> + Send + 'static,
    {
        let (reply, answer) = oneshot::channel();
        let reading = Reading::Do(Box::new(move |connection: Result<&Connection, Error>| {
            let (value, health) = match connection {
                Ok(connection) => match reading(connection) {
                    Err(Fault::Sql(error)) => {
                        let sound = reach(&error) != Reach::Connection;
                        let health = if sound { Health::Sound } else { Health::Suspect };
                        (Err(Fault::Sql(error).into()), health)
                    }
                    done => (done.map_err(Error::from), Health::Sound),
                },
                Err(error) => (Err(error), Health::Suspect),
            };
            drop(reply.send(value));
            health
        }));
        self.queue.send(reading).await.map_err(|_| Error::Closed)?;
        answer.await.map_err(|_| Error::Poisoned)?
    }

    /// Lets the threads finish what waits, and returns when their connections are closed.
    pub(super) async fn stop(&self) {
        // No thread left is as good as a stopped one.
        drop(self.queue.send(Reading::Stop).await);
        while self.gone.lock().await.recv().await.is_some() {}
    }
}

fn serve(claim: &Claim, connection: Connection, readings: &Mutex<mpsc::Receiver<Reading>>) {
    let mut connection = Some(connection);
    while let Some(act) = next(readings) {
        let opened = match connection.take() {
            Some(connection) => Ok(connection),
            None => file::reader(claim.path()),
        };
        let health = act(opened.as_ref().map_err(Clone::clone));
        connection = opened.ok().filter(|_| health == Health::Sound);
    }
}

/// The next reading; none when the queue was stopped and what had been queued is answered.
fn next(readings: &Mutex<mpsc::Receiver<Reading>>) -> Option<Box<Act>> {
    // Held while waiting: whoever holds it is the one to wake, so only they may close the queue.
    let mut queue = readings.lock().unwrap_or_else(PoisonError::into_inner);
    loop {
        match queue.blocking_recv()? {
            Reading::Do(act) => return Some(act),
            Reading::Stop => queue.close(),
        }
    }
}

pub(super) fn policy(connection: &Connection, hash: &Hash) -> Result<Option<Bytes>, Fault> {
    let mut find = connection.prepare_cached("SELECT body FROM policies WHERE hash = ?1")?;
    Ok(find.query_row([&hash.0[..]], |row| rows::bytes(row, 0)).optional()?)
}

pub(super) fn lookup(
    connection: &Connection,
    tenant: &TenantId,
    space: &str,
    key: &str,
    after: Option<&Found>,
    limit: usize,
) -> Result<Vec<Found>, Fault> {
    let mut find = connection.prepare_cached(
        "SELECT o.tenant, o.id, r.sort FROM places r JOIN orders o ON o.no = r.no
         WHERE r.tenant = ?1 AND r.space = ?2 AND r.name = ?3
           AND r.sort >= ?4 AND (r.sort > ?4 OR o.id > ?5)
         ORDER BY r.sort, o.id LIMIT ?6",
    )?;
    // Every id comes after the empty one, which no order has.
    let (sort, id) = after.map_or((i64::MIN, ""), |f| (f.sort, f.order.order.as_str()));
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let mut found = find.query(params![tenant.as_str(), space, key, sort, id, limit])?;
    let mut orders = Vec::new();
    while let Some(row) = found.next()? {
        let order = rows::key(rows::text(row, 0)?, rows::text(row, 1)?)?;
        orders.push(Found { sort: row.get(2)?, order });
    }
    Ok(orders)
}

pub(super) fn list(
    connection: &Connection,
    filter: &Filter,
    after: Option<&OrderKey>,
    limit: usize,
) -> Result<(Vec<Brief>, Vec<Damaged>), Fault> {
    let Filter { tenant, pipeline, phase, parked, open, placed_before, placed_after } = filter;
    let mut query = format!("{} WHERE 1", rows::BRIEF);
    let mut values = Vec::new();
    // The conditions are words of ours; what the caller gave is only ever bound.
    let mut when = |condition: &str, value: Value| {
        query.push_str(condition);
        values.push(value);
    };
    let text = |text: &str| Value::Text(text.to_owned());
    if let Some(tenant) = tenant {
        when(" AND o.tenant = ?", text(tenant.as_str()));
    }
    if let Some(pipeline) = pipeline {
        when(" AND p.name = ?", text(pipeline));
    }
    if let Some(phase) = phase {
        when(" AND o.phase = ?", text(phase));
    }
    if let Some(before) = placed_before {
        when(" AND o.placed_at < ?", Value::Integer(before.millis()));
    }
    if let Some(after) = placed_after {
        when(" AND o.placed_at >= ?", Value::Integer(after.millis()));
    }
    if let Some(after) = after {
        when(" AND (o.tenant, o.id) > (?, ", text(after.tenant.as_str()));
        when("?)", text(after.order.as_str()));
    }
    // Spelt out, so that SQLite sees which partial index answers them.
    query.push_str(match open {
        Some(true) => " AND o.open = 1",
        Some(false) => " AND o.open = 0",
        None => "",
    });
    query.push_str(match parked {
        Some(true) => " AND o.parked IS NOT NULL",
        Some(false) => " AND o.parked IS NULL",
        None => "",
    });
    query.push_str(" ORDER BY o.tenant, o.id");

    let mut find = connection.prepare_cached(&query)?;
    let mut found = find.query(params_from_iter(values))?;
    let (mut briefs, mut damaged) = (Vec::new(), Vec::new());
    while briefs.len() < limit {
        let Some(row) = found.next()? else { break };
        match rows::brief(row) {
            Ok(brief) => briefs.push(brief),
            Err(fault) => damaged.push(rows::damaged(row, fault)?),
        }
    }
    Ok((briefs, damaged))
}

pub(super) fn journal(
    connection: &Connection,
    order: &OrderKey,
    from_seq: u64,
    limit: usize,
) -> Result<Vec<Entry>, Fault> {
    // One snapshot, for the order may be deleted while its chain is walked.
    let snapshot = connection.unchecked_transaction()?;
    let tail: Option<(i64, i64)> = snapshot
        .prepare_cached("SELECT tail_pos, tail_seq FROM orders WHERE tenant = ?1 AND id = ?2")?
        .query_row(params![order.tenant.as_str(), order.order.as_str()], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    let Some((mut pos, mut seq)) = tail else {
        return Ok(Vec::new());
    };
    let from = i64::try_from(from_seq).unwrap_or(i64::MAX);
    let broken = |seq: i64| Fault::from(Error::corrupt(format!("{order} lacks journal entry {seq}")));

    let mut chain = Vec::new();
    let mut step = snapshot.prepare_cached("SELECT seq, prev FROM journal WHERE pos = ?1")?;
    while pos != 0 && seq >= from {
        chain.push(pos);
        let found: Option<(i64, i64)> =
            step.query_row([pos], |row| Ok((row.get(0)?, row.get(1)?))).optional()?;
        let Some((_, prev)) = found.filter(|(at, _)| *at == seq) else {
            return Err(broken(seq));
        };
        pos = prev;
        seq -= 1;
    }
    let mut read = snapshot.prepare_cached("SELECT seq, hash, body FROM journal WHERE pos = ?1")?;
    chain.iter().rev().take(limit).map(|pos| Ok(read.query_row([pos], |row| entry(row, 0))?)).collect()
}

pub(super) fn feed(connection: &Connection, after: Position, limit: usize) -> Result<Vec<FeedEntry>, Fault> {
    let after = i64::try_from(after.0).unwrap_or(i64::MAX);
    let mut find = connection.prepare_cached(
        "SELECT j.pos, o.tenant, o.id, j.seq, j.hash, j.body FROM journal j
         JOIN orders o ON o.no = j.no WHERE j.pos > ?1 ORDER BY j.pos LIMIT ?2",
    )?;
    let mut found = find.query([after, rows_of(limit)])?;
    let mut entries = Vec::new();
    while let Some(row) = found.next()? {
        entries.push(FeedEntry {
            position: Position(rows::unsigned(row, 0)?),
            order: rows::key(rows::text(row, 1)?, rows::text(row, 2)?)?,
            entry: entry(row, 3)?,
        });
    }
    Ok(entries)
}

fn entry(row: &rusqlite::Row<'_>, first: usize) -> rusqlite::Result<Entry> {
    Ok(Entry {
        seq: rows::unsigned(row, first)?,
        hash: rows::hash(row, first + 1)?,
        body: rows::bytes(row, first + 2)?,
    })
}

pub(super) fn inbox_take(connection: &Connection, order: &OrderKey) -> Result<Vec<InboxRow>, Fault> {
    let mut find = connection.prepare_cached(
        "SELECT source, event, received_at, body FROM inbox
         WHERE tenant = ?1 AND id = ?2 AND body IS NOT NULL ORDER BY arrival",
    )?;
    let found = find.query_map(params![order.tenant.as_str(), order.order.as_str()], |row| {
        Ok(InboxRow {
            order: order.clone(),
            source: row.get(0)?,
            event: row.get(1)?,
            received_at: Timestamp::from_millis(row.get(2)?),
            body: rows::bytes(row, 3)?,
        })
    })?;
    Ok(found.collect::<Result<_, _>>()?)
}

pub(super) fn inbox_waiting(
    connection: &Connection,
    after: Option<&OrderKey>,
    limit: usize,
) -> Result<(Vec<OrderKey>, Vec<Damaged>), Fault> {
    // No order has an empty name, so the empty pair is before the first.
    let (tenant, id) = after.map_or(("", ""), |key| (key.tenant.as_str(), key.order.as_str()));
    let mut find = connection.prepare_cached(
        "SELECT DISTINCT tenant, id FROM inbox WHERE body IS NOT NULL
         AND (tenant, id) > (?1, ?2) ORDER BY tenant, id",
    )?;
    let mut found = find.query(params![tenant, id])?;
    let (mut orders, mut damaged) = (Vec::new(), Vec::new());
    while orders.len() < limit {
        let Some(row) = found.next()? else { break };
        match rows::key(rows::text(row, 0)?, rows::text(row, 1)?) {
            Ok(order) => orders.push(order),
            Err(error) => damaged.push(rows::damaged(row, error.into())?),
        }
    }
    Ok((orders, damaged))
}

pub(super) fn pipelines(connection: &Connection) -> Result<Vec<Held>, Fault> {
    let mut find = connection.prepare_cached(
        "SELECT name, version, fingerprint, open, closed FROM pipelines
         WHERE open + closed > 0 ORDER BY name, version, fingerprint",
    )?;
    let found = find.query_map([], |row| {
        Ok(Held {
            pipeline: row.get(0)?,
            version: row.get(1)?,
            fingerprint: rows::unsigned(row, 2)?,
            open: rows::unsigned(row, 3)?,
            closed: rows::unsigned(row, 4)?,
        })
    })?;
    Ok(found.collect::<Result<_, _>>()?)
}

pub(super) fn releases(connection: &Connection) -> Result<Vec<Release>, Fault> {
    let mut find = connection
        .prepare_cached("SELECT name, version, fingerprint, names FROM pipelines WHERE names IS NOT NULL")?;
    let found = find.query_map([], |row| {
        let (name, version, fingerprint) = (row.get(0)?, row.get(1)?, rows::unsigned(row, 2)?);
        Ok(Release { id: PipelineId { name, version, fingerprint }, names: rows::bytes(row, 3)? })
    })?;
    Ok(found.collect::<Result<_, _>>()?)
}

/// What SQLite can find, then what only we know: each chain is whole, each part has its order.
pub(super) fn check(connection: &Connection) -> Result<(), Fault> {
    let snapshot = connection.unchecked_transaction()?;
    let first = |query: &str| snapshot.query_row(query, [], |row| row.get::<_, String>(0)).optional();
    let found = first("PRAGMA integrity_check(1)")?;
    if found.as_deref() != Some("ok") {
        return Err(Error::corrupt(found.unwrap_or_default()).into());
    }
    for (what, query) in [
        (
            "the last journal entry is missing",
            "SELECT o.tenant || '/' || o.id FROM orders o LEFT JOIN journal j ON j.pos = o.tail_pos
             AND j.no = o.no AND j.seq = o.tail_seq WHERE o.tail_pos <> 0 AND j.pos IS NULL LIMIT 1",
        ),
        (
            "an earlier journal entry is missing",
            "SELECT o.tenant || '/' || o.id || ', entry ' || (j.seq - 1) FROM journal j
             JOIN orders o ON o.no = j.no LEFT JOIN journal p ON p.pos = j.prev
             AND p.no = j.no AND p.seq = j.seq - 1 WHERE j.prev <> 0 AND p.pos IS NULL LIMIT 1",
        ),
        (
            "a journal entry belongs to no order",
            "SELECT 'position ' || j.pos FROM journal j LEFT JOIN orders o ON o.no = j.no
             WHERE o.no IS NULL LIMIT 1",
        ),
        (
            "a document or a pipeline is missing",
            "SELECT o.tenant || '/' || o.id FROM orders o LEFT JOIN documents d ON d.no = o.no
             LEFT JOIN pipelines p ON p.pid = o.pid
             WHERE d.no IS NULL OR p.pid IS NULL LIMIT 1",
        ),
        (
            "a document or an index row belongs to no order",
            "SELECT 'number ' || r.no FROM (SELECT no FROM documents UNION SELECT no FROM places) r
             LEFT JOIN orders o ON o.no = r.no WHERE o.no IS NULL LIMIT 1",
        ),
        (
            "an index row names another tenant than its order",
            "SELECT o.tenant || '/' || o.id FROM places r JOIN orders o ON o.no = r.no
             WHERE o.tenant <> r.tenant LIMIT 1",
        ),
        (
            "the orders of a pipeline are miscounted",
            "SELECT p.name || ' ' || p.version FROM pipelines p LEFT JOIN
             (SELECT pid, sum(open) AS open, sum(1 - open) AS closed FROM orders GROUP BY pid) o
             ON o.pid = p.pid WHERE p.open <> coalesce(o.open, 0)
             OR p.closed <> coalesce(o.closed, 0) LIMIT 1",
        ),
    ] {
        if let Some(name) = first(query)? {
            return Err(Error::corrupt(format!("{name}: {what}")).into());
        }
    }
    Ok(())
}

/// A page as SQLite counts it.
fn rows_of(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX)
}
