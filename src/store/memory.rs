//! The laws as plain maps: the reading every other store is compared with.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt;
use std::ops::Bound;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;

use crate::clock::Timestamp;
use crate::id::{OrderKey, TenantId};
use crate::planted::{Mutant, planted};

use super::{
    Batch, Brief, Bytes, CommitError, Entry, Error, FeedEntry, Filter, Found, Hash, Held, InboxPut, InboxRow,
    Incarnation, Migrated, Owner, PipelineId, Position, Release, Stats, Store, Stored,
};

/// A store in memory. It forgets everything when dropped and survives nothing.
///
/// For tests, simulations and examples; several engines may share one.
#[derive(Default)]
pub struct MemoryStore {
    state: Mutex<State>,
}

impl MemoryStore {
    /// An empty store.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    fn open(&self) -> Result<MutexGuard<'_, State>, Error> {
        // A panic under the lock may have left a half-applied batch behind.
        let state = self.state.lock().map_err(|_| Error::Poisoned)?;
        if state.closed { Err(Error::Closed) } else { Ok(state) }
    }
}

impl fmt::Debug for MemoryStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        f.debug_struct("MemoryStore")
            .field("orders", &state.rows.len())
            .field("last", &state.last)
            .finish_non_exhaustive()
    }
}

#[derive(Default)]
struct State {
    rows: HashMap<OrderKey, Row>,
    /// The same keys in order, for cursors.
    keys: BTreeSet<OrderKey>,
    /// Every entry of every order.
    feed: BTreeMap<Position, (OrderKey, Entry)>,
    last: Position,
    policies: HashMap<Hash, Bytes>,
    index: HashMap<Place, BTreeSet<(i64, OrderKey)>>,
    inbox: Vec<Event>,
    /// Where (order, source, event) is in `inbox`.
    known: HashMap<(OrderKey, Arc<str>, Arc<str>), usize>,
    waiting: BTreeMap<OrderKey, Vec<usize>>,
    incarnations: u64,
    workers: HashMap<Incarnation, Lease>,
    releases: HashMap<PipelineId, Bytes>,
    stats: Stats,
    closed: bool,
}

/// What an index row is found by.
type Place = (TenantId, Arc<str>, Arc<str>);

struct Row {
    stored: Stored,
    /// Where its entries are, from the first on.
    positions: Vec<Position>,
    first_seq: u64,
    /// Its index rows with their sort.
    index: HashMap<Place, i64>,
}

impl Row {
    fn tail(&self) -> Option<u64> {
        let entries = self.positions.len() as u64;
        entries.checked_sub(1).map(|more| self.first_seq + more)
    }

    fn position(&self) -> Position {
        self.positions.last().copied().unwrap_or_default()
    }

    fn brief(&self) -> Brief {
        let Stored { order, version, columns, owner, .. } = &self.stored;
        Brief { order: order.clone(), version: *version, columns: columns.clone(), owner: *owner }
    }
}

struct Lease {
    worker: Box<str>,
    until: Timestamp,
}

struct Event {
    row: InboxRow,
    waits: bool,
}

impl State {
    fn commit(&mut self, batch: Batch) -> Result<Position, CommitError> {
        batch.check()?;
        // Everything that can fail comes first: below the checks nothing does, so a batch is whole.
        if let Some(row) = self.rows.get(&batch.order) {
            let held = &row.stored;
            if batch.repeats(held.version, &held.head, held.owner) {
                return Ok(row.position());
            }
            let unguarded = planted(Mutant::CheckedThenInserted);
            if batch.expected != held.version && !unguarded {
                return Err(CommitError::Stale { found: Some(held.version) });
            }
            if !unguarded {
                batch.fence(held.owner)?;
            }
            if !batch.continues(row.tail()) && !unguarded {
                return Err(CommitError::Refused("the journal would have a gap".to_owned()));
            }
        } else if batch.expected != 0 {
            return Err(CommitError::Stale { found: None });
        }

        let Batch {
            order,
            expected: _,
            version,
            head,
            columns,
            progress,
            document,
            policies,
            entries,
            index,
            owner,
        } = batch;
        for (hash, body) in policies {
            self.policies.entry(hash).or_insert(body);
        }
        if !self.rows.contains_key(&order) {
            self.keys.insert(order.clone());
        }
        let first_seq = entries.first().map_or(0, |entry| entry.seq);
        let row = self.rows.entry(order.clone()).or_insert_with(|| Row {
            stored: Stored {
                order: order.clone(),
                version,
                head,
                columns: columns.clone(),
                progress: Arc::default(),
                document: Arc::default(),
                owner: None,
            },
            positions: Vec::new(),
            first_seq,
            index: HashMap::new(),
        });
        row.stored.version = version;
        row.stored.head = head;
        row.stored.columns = columns;
        row.stored.progress = progress;
        row.stored.owner = owner.or(row.stored.owner);
        if let Some(document) = document {
            row.stored.document = document;
        }
        if row.positions.is_empty() {
            row.first_seq = first_seq;
        }
        for entry in entries {
            self.last.0 += 1;
            row.positions.push(self.last);
            self.feed.insert(self.last, (order.clone(), entry));
        }
        for change in index {
            let place = (order.tenant.clone(), change.space, change.key);
            let rows = self.index.entry(place.clone()).or_default();
            if let Some(sort) = row.index.remove(&place) {
                rows.remove(&(sort, order.clone()));
            }
            if change.put {
                rows.insert((change.sort, order.clone()));
                row.index.insert(place, change.sort);
            } else if rows.is_empty() {
                self.index.remove(&place);
            }
        }
        let position = row.position();
        self.stats.batches += 1;
        Ok(position)
    }

    fn delete(&mut self, order: &OrderKey, expected: u64) -> Result<(), CommitError> {
        let Some(row) = self.rows.get(order) else {
            return Err(CommitError::Stale { found: None });
        };
        if row.stored.version != expected {
            return Err(CommitError::Stale { found: Some(row.stored.version) });
        }
        if row.stored.columns.open {
            return Err(CommitError::Refused("an open order cannot be deleted".to_owned()));
        }
        if self.waiting.contains_key(order) {
            return Err(CommitError::Refused("an event waits for the order".to_owned()));
        }
        self.keys.remove(order);
        let row = self.rows.remove(order).expect("it was there a moment ago, under the same lock");
        for position in row.positions {
            self.feed.remove(&position);
        }
        for (place, sort) in row.index {
            if let Some(rows) = self.index.get_mut(&place) {
                rows.remove(&(sort, order.clone()));
                if rows.is_empty() {
                    self.index.remove(&place);
                }
            }
        }
        Ok(())
    }

    fn bury(&mut self, now: Timestamp) {
        self.workers.retain(|_, lease| lease.until > now);
    }

    fn page(&self, after: Option<&OrderKey>) -> impl Iterator<Item = &Row> {
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        self.keys.range::<OrderKey, _>((from, Bound::Unbounded)).filter_map(|key| self.rows.get(key))
    }
}

#[async_trait]
impl Store for MemoryStore {
    async fn load(&self, order: &OrderKey) -> Result<Option<Stored>, Error> {
        Ok(self.open()?.rows.get(order).map(|row| row.stored.clone()))
    }

    async fn commit(&self, batches: Vec<Batch>) -> Vec<Result<Position, CommitError>> {
        let mut state = match self.open() {
            Ok(state) => state,
            Err(error) => return batches.iter().map(|_| Err(error.clone().into())).collect(),
        };
        let before = state.stats.batches;
        let answers = batches.into_iter().map(|batch| state.commit(batch)).collect();
        let written = state.stats.batches - before;
        if written > 0 {
            state.stats.commits += 1;
            state.stats.largest_group = state.stats.largest_group.max(written);
        }
        answers
    }

    async fn policy(&self, hash: &Hash) -> Result<Option<Bytes>, Error> {
        Ok(self.open()?.policies.get(hash).cloned())
    }

    async fn start_worker(
        &self,
        worker: &str,
        now: Timestamp,
        until: Timestamp,
    ) -> Result<Incarnation, Error> {
        let mut state = self.open()?;
        state.bury(now);
        state.workers.retain(|_, lease| &*lease.worker != worker);
        state.incarnations += 1;
        let me = Incarnation(state.incarnations);
        state.workers.insert(me, Lease { worker: worker.into(), until });
        state.stats.commits += 1;
        Ok(me)
    }

    async fn renew_worker(&self, me: Incarnation, until: Timestamp) -> Result<(), Error> {
        let mut state = self.open()?;
        let lease = state.workers.get_mut(&me).ok_or(Error::LeaseLost)?;
        lease.until = until;
        state.stats.commits += 1;
        Ok(())
    }

    async fn claim(
        &self,
        me: Incarnation,
        now: Timestamp,
        under: &[PipelineId],
        limit: usize,
    ) -> Result<Vec<Stored>, Error> {
        let mut state = self.open()?;
        state.bury(now);
        let State { rows, keys, workers, .. } = &mut *state;
        if !workers.contains_key(&me) {
            return Err(Error::LeaseLost);
        }
        let mut claimed = Vec::new();
        for key in &*keys {
            if claimed.len() == limit {
                break;
            }
            let Some(Row { stored, .. }) = rows.get_mut(key) else {
                continue;
            };
            let alive = stored.owner.is_some_and(|owner| workers.contains_key(&owner.incarnation));
            if stored.columns.open && !alive && under.iter().any(|p| p.carries(&stored.columns)) {
                let epoch = stored.owner.map_or(0, |owner| owner.epoch) + 1;
                stored.owner = Some(Owner { incarnation: me, epoch });
                claimed.push(stored.clone());
            }
        }
        state.stats.commits += u64::from(!claimed.is_empty());
        Ok(claimed)
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
        let place = (tenant.clone(), Arc::from(space), Arc::from(key));
        let state = self.open()?;
        let Some(rows) = state.index.get(&place) else { return Ok(Vec::new()) };
        let from = after.map_or(Bound::Unbounded, |f| Bound::Excluded((f.sort, f.order)));
        let page = rows.range((from, Bound::Unbounded)).take(limit);
        Ok(page.map(|(sort, order)| Found { sort: *sort, order: order.clone() }).collect())
    }

    async fn migrate(&self) -> Result<Migrated, Error> {
        drop(self.open()?);
        Ok(Migrated { from: 1, to: 1 })
    }

    async fn list(
        &self,
        filter: &Filter,
        after: Option<OrderKey>,
        limit: usize,
    ) -> Result<Vec<Brief>, Error> {
        let state = self.open()?;
        let rows = state.page(after.as_ref());
        Ok(rows
            .filter(|row| filter.admits(&row.stored.order, &row.stored.columns))
            .take(limit)
            .map(Row::brief)
            .collect())
    }

    async fn journal(&self, order: &OrderKey, from_seq: u64, limit: usize) -> Result<Vec<Entry>, Error> {
        let state = self.open()?;
        let Some(row) = state.rows.get(order) else {
            return Ok(Vec::new());
        };
        // A journal longer than memory's addresses cannot be in memory.
        let skip = usize::try_from(from_seq.saturating_sub(row.first_seq)).unwrap_or(usize::MAX);
        let positions = row.positions.iter().skip(skip).take(limit);
        Ok(positions
            .filter_map(|position| state.feed.get(position))
            .map(|(_, entry)| entry.clone())
            .collect())
    }

    async fn feed(&self, after: Position, limit: usize) -> Result<Vec<FeedEntry>, Error> {
        let state = self.open()?;
        let later = state.feed.range((Bound::Excluded(after), Bound::Unbounded));
        Ok(later
            .take(limit)
            .map(|(position, (order, entry))| FeedEntry {
                position: *position,
                order: order.clone(),
                entry: entry.clone(),
            })
            .collect())
    }

    async fn inbox_put(&self, row: InboxRow) -> Result<InboxPut, Error> {
        let mut state = self.open()?;
        let name = (row.order.clone(), row.source.clone(), row.event.clone());
        if state.known.contains_key(&name) {
            return Ok(InboxPut::Known);
        }
        let place = state.inbox.len();
        state.known.insert(name, place);
        state.waiting.entry(row.order.clone()).or_default().push(place);
        state.inbox.push(Event { row, waits: true });
        state.stats.commits += 1;
        Ok(InboxPut::New)
    }

    async fn inbox_take(&self, order: &OrderKey) -> Result<Vec<InboxRow>, Error> {
        let state = self.open()?;
        let places = state.waiting.get(order).into_iter().flatten();
        Ok(places.filter_map(|place| state.inbox.get(*place)).map(|event| event.row.clone()).collect())
    }

    async fn inbox_mark(&self, order: &OrderKey, source: &str, event: &str) -> Result<(), Error> {
        let mut state = self.open()?;
        let name = (order.clone(), Arc::from(source), Arc::from(event));
        let Some(place) = state.known.get(&name).copied() else {
            return Ok(());
        };
        let State { inbox, waiting, .. } = &mut *state;
        let Some(event) = inbox.get_mut(place) else {
            return Ok(());
        };
        if event.waits {
            event.waits = false;
            event.row.body = Arc::default();
            if let Some(places) = waiting.get_mut(order) {
                places.retain(|other| *other != place);
                if places.is_empty() {
                    waiting.remove(order);
                }
            }
            state.stats.commits += 1;
        }
        Ok(())
    }

    async fn inbox_waiting(&self, after: Option<OrderKey>, limit: usize) -> Result<Vec<OrderKey>, Error> {
        let state = self.open()?;
        let from = after.as_ref().map_or(Bound::Unbounded, Bound::Excluded);
        let waiting = state.waiting.range::<OrderKey, _>((from, Bound::Unbounded));
        Ok(waiting.take(limit).map(|(order, _)| order.clone()).collect())
    }

    async fn delete(&self, order: &OrderKey, expected: u64) -> Result<(), CommitError> {
        let mut state = self.open()?;
        state.delete(order, expected)?;
        state.stats.commits += 1;
        Ok(())
    }

    async fn pipelines(&self) -> Result<Vec<Held>, Error> {
        let state = self.open()?;
        let mut held = BTreeMap::<_, (u64, u64)>::new();
        for row in state.rows.values() {
            let columns = &row.stored.columns;
            let graph = (columns.pipeline.clone(), columns.pipeline_version, columns.fingerprint);
            let (open, closed) = held.entry(graph).or_default();
            *(if columns.open { open } else { closed }) += 1;
        }
        Ok(held
            .into_iter()
            .map(|((pipeline, version, fingerprint), (open, closed))| Held {
                pipeline,
                version,
                fingerprint,
                open,
                closed,
            })
            .collect())
    }

    async fn keep_release(&self, release: Release) -> Result<(), Error> {
        let mut state = self.open()?;
        if state.releases.insert(release.id, release.names.clone()) != Some(release.names) {
            state.stats.commits += 1;
        }
        Ok(())
    }

    async fn releases(&self) -> Result<Vec<Release>, Error> {
        let state = self.open()?;
        let all = state.releases.iter();
        Ok(all.map(|(id, names)| Release { id: id.clone(), names: names.clone() }).collect())
    }

    async fn check(&self) -> Result<(), Error> {
        let state = self.open()?;
        for (key, row) in &state.rows {
            let entries = row.positions.iter().map(|position| state.feed.get(position));
            for (seq, entry) in (row.first_seq..).zip(entries) {
                if !entry.is_some_and(|(order, entry)| order == key && entry.seq == seq) {
                    return Err(Error::corrupt(format!("{key} lacks journal entry {seq}")));
                }
            }
            if !row.stored.columns.covered() {
                return Err(Error::corrupt(format!("{key} refunds more than it captured")));
            }
        }
        Ok(())
    }

    fn stats(&self) -> Stats {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).stats
    }

    async fn close(&self) -> Result<(), Error> {
        self.state.lock().map_err(|_| Error::Poisoned)?.closed = true;
        Ok(())
    }
}
