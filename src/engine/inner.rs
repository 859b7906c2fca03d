//! What all tasks of an engine share.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, broadcast};

use super::actor::{self, Live, Msg};
use super::env::{Busy, Env};
use super::error::EngineError;
use super::lane::{Budget, Lane};
use super::observe;
use super::view::{Change, Expired, OrderView, Report, Stopped, Waiting};
use super::watch::Watch;
use super::words;
use crate::clock::Timestamp;
use crate::gateway::{AnyHandler, Notice, Notifier};
use crate::id::OrderKey;
use crate::journal::Desk;
use crate::pipeline::Pipeline;
use crate::planted::{Mutant, planted};
use crate::store::{
    Bytes, Damaged, Error as StoreError, Hash, Held, InboxPut, InboxRow, Incarnation, PipelineId, Position,
    Store, Stored,
};

/// How long a worker's lease runs; it is renewed three times within it.
const LEASE: Duration = Duration::from_secs(30);
const SHARDS: usize = 64;
/// When somebody goes on with an order whose task did not end in order.
const LEFT: Duration = Duration::from_secs(5);
const HOUR: Duration = Duration::from_secs(60 * 60);

/// How many damaged orders, and how many expired messages, a report names.
const REMEMBERED: usize = 1000;

pub(super) struct Wired {
    pub handler: Arc<dyn AnyHandler>,
    pub lane: Arc<Lane>,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    pub budget: Budget,
    pub inputs: usize,
    pub cache: usize,
    pub journal: u64,
    /// How long messages wait for an order that does not come.
    pub unknown: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        let unknown = Duration::from_secs(30 * 24 * 60 * 60);
        Self { budget: Budget::default(), inputs: 10_000, cache: 10_000, journal: 10_000, unknown }
    }
}

/// An order's mailbox, and its state while it is in memory.
#[derive(Default)]
pub(super) struct Slot {
    pub queue: VecDeque<Queued>,
    pub running: bool,
    pub live: Option<Box<Live>>,
    pub bell: Arc<Notify>,
    /// What its task computes, while it has one.
    pub watch: Arc<Watch>,
}

pub(super) struct Queued {
    pub msg: Msg,
    pub busy: Busy,
}

type Shard = Mutex<HashMap<OrderKey, Slot, BuildHasherDefault<DefaultHasher>>>;

#[derive(Default)]
pub(super) struct Counters {
    pub commits: AtomicU64,
    pub transitions: AtomicU64,
    pub calls: AtomicU64,
    pub parked: AtomicU64,
    pub recovered: AtomicU64,
    pub interrupted: AtomicU64,
}

pub(super) struct Inner {
    pub desks: Vec<Arc<Desk>>,
    pub store: Arc<dyn Store>,
    pub handlers: BTreeMap<&'static str, Wired>,
    pub env: Arc<dyn Env>,
    pub limits: Limits,
    pub me: Incarnation,
    pub changes: broadcast::Sender<Change>,
    pub counters: Counters,
    pub stopping: AtomicBool,
    abandoned: AtomicBool,
    shards: Vec<Shard>,
    timers: Mutex<BTreeSet<(Timestamp, OrderKey)>>,
    timer_bell: Notify,
    waiting: Mutex<BTreeSet<OrderKey>>,
    waiting_count: AtomicUsize,
    /// Evidence that waits, where a test plants that it is not on the disk.
    kept: Mutex<Vec<InboxRow>>,
    policies: Mutex<BTreeMap<Hash, Bytes>>,
    idle: Mutex<Idle>,
    inputs: AtomicUsize,
    active: AtomicUsize,
    quiet: Notify,
    unread: Mutex<Vec<Held>>,
    /// Orders whose task did not end in order: what it had under way is nobody's.
    left: Mutex<BTreeSet<OrderKey>>,
    /// Orders of which something cannot be read, by their stored names, and why.
    damaged: Mutex<BTreeMap<String, String>>,
    /// When this worker began, by its own clock, and took over all that stood still.
    began: Timestamp,
    /// When it took orders over from another one since, for as long as a call may be invisible to inquiries.
    taken_over: Mutex<HashMap<OrderKey, Timestamp>>,
    /// Messages that could not be taken when their turn came.
    sour: Mutex<BTreeSet<Message>>,
    expired: Mutex<VecDeque<Expired>>,
    /// When it is looked next which messages have waited for long, in milliseconds.
    expires: AtomicI64,
}

/// A message: order, source and event.
type Message = (OrderKey, Arc<str>, Arc<str>);

/// The orders that rest in memory, from the one that has rested longest. Each is in it once.
#[derive(Debug, Default)]
struct Idle {
    next: u64,
    by_age: BTreeMap<u64, OrderKey>,
    ages: HashMap<OrderKey, u64>,
}

impl Idle {
    /// Notes that an order rests from now on. Gives the one that is too many.
    fn rests(&mut self, id: &OrderKey, room: usize) -> Option<OrderKey> {
        if let Some(was) = self.ages.insert(id.clone(), self.next) {
            self.by_age.remove(&was);
        }
        self.by_age.insert(self.next, id.clone());
        self.next = self.next.saturating_add(1);
        if self.by_age.len() <= room {
            return None;
        }
        let (_, oldest) = self.by_age.pop_first()?;
        self.ages.remove(&oldest);
        Some(oldest)
    }
}

impl std::fmt::Debug for Inner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Engine")
            .field("pipelines", &self.desks.iter().map(|d| d.pipeline().name()).collect::<Vec<_>>())
            .field("store", &self.store)
            .finish_non_exhaustive()
    }
}

pub(super) fn lock<T>(m: &Mutex<T>) -> MutexGuard<'_, T> {
    // What a panic interrupted is only ever a map or a list, and each is whole between two of its operations.
    m.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Inner {
    pub(super) async fn start(
        desks: Vec<Arc<Desk>>,
        store: Arc<dyn Store>,
        handlers: BTreeMap<&'static str, Wired>,
        env: Arc<dyn Env>,
        limits: Limits,
        worker: &str,
    ) -> Result<Arc<Self>, EngineError> {
        let now = env.now();
        let me = store.start_worker(worker, now, now.saturating_add(LEASE)).await?;
        let inner = Arc::new(Self {
            desks,
            store,
            handlers,
            env,
            limits,
            me,
            changes: broadcast::channel(1024).0,
            counters: Counters::default(),
            stopping: AtomicBool::new(false),
            abandoned: AtomicBool::new(false),
            shards: (0..SHARDS).map(|_| Mutex::default()).collect(),
            timers: Mutex::default(),
            timer_bell: Notify::new(),
            waiting: Mutex::default(),
            waiting_count: AtomicUsize::new(0),
            kept: Mutex::default(),
            policies: Mutex::default(),
            idle: Mutex::default(),
            left: Mutex::default(),
            damaged: Mutex::default(),
            began: now,
            taken_over: Mutex::default(),
            sour: Mutex::default(),
            expired: Mutex::default(),
            expires: AtomicI64::new(i64::MIN),
            inputs: AtomicUsize::new(0),
            active: AtomicUsize::new(0),
            quiet: Notify::new(),
            unread: Mutex::default(),
        });
        inner.take_over().await?;
        if inner.env.wakes() {
            let weak = Arc::downgrade(&inner);
            inner.env.spawn(Box::pin(tick(weak)));
            let weak = Arc::downgrade(&inner);
            inner.env.spawn(Box::pin(beat(weak)));
            let weak = Arc::downgrade(&inner);
            inner.env.spawn(Box::pin(renew(weak)));
        }
        Ok(inner)
    }

    /// Goes on with what the store holds: recovery only re-queues.
    async fn take_over(self: &Arc<Self>) -> Result<(), EngineError> {
        let mut unread = Vec::new();
        for held in self.store.pipelines().await? {
            if self.desk_of(&held.pipeline, held.version, held.fingerprint).is_none() {
                unread.push(held);
            }
        }
        let mut after = None;
        loop {
            let page = self.store.inbox_waiting(after.clone(), 1024).await?;
            after = page.last().cloned();
            if page.is_empty() {
                break;
            }
            let mut waiting = lock(&self.waiting);
            waiting.extend(page);
            self.waiting_count.store(waiting.len(), Ordering::Release);
        }
        let now = self.env.now();
        let readable = self.readable();
        loop {
            let page = self.store.claim(self.me, now, &readable, 256).await?;
            if page.is_empty() {
                break;
            }
            for stored in page {
                let c = &stored.columns;
                let wants = match crate::journal::wants(&stored.progress) {
                    Ok(wants) => wants,
                    Err(e) => {
                        self.damage(stored.order.to_string(), &e.to_string());
                        continue;
                    }
                };
                self.counters.recovered.fetch_add(1, Ordering::Relaxed);
                // The row says when it must be woken; whether a crash interrupted an effect stands in its progress.
                let current = self.desks.iter().any(|d| {
                    let p = d.pipeline();
                    p.version() == c.pipeline_version && p.fingerprint() == c.fingerprint
                });
                if wants || lock(&self.waiting).contains(&stored.order) {
                    self.post(stored.order.clone(), Msg::Recover);
                } else if !current {
                    // Brought up to date at once: it may wait for instants that the older release did not set.
                    self.post(stored.order.clone(), Msg::Wake);
                } else if let Some(at) = c.wake_at {
                    self.arm(at, stored.order.clone());
                }
            }
        }
        *lock(&self.unread) = unread;
        self.meet_damage().await;
        Ok(())
    }

    /// Leaves an order where it is, and says so once.
    pub(super) fn damage(&self, order: String, why: &str) {
        let why = words::kept(why);
        let mut damaged = lock(&self.damaged);
        if damaged.len() < REMEMBERED && !damaged.contains_key(&order) {
            tracing::error!(%order, %why, "the order cannot be read, and is left alone");
            damaged.insert(order, why);
        }
    }

    /// Takes over what the store has met.
    pub(super) async fn meet_damage(&self) {
        for damaged in self.store.damaged().await.unwrap_or_default() {
            self.damage(damaged.order, &damaged.why);
        }
    }

    /// Whether a message could not be taken when its turn came.
    pub(super) fn is_sour(&self, row: &InboxRow) -> bool {
        let sour = lock(&self.sour);
        !sour.is_empty() && sour.contains(&(row.order.clone(), row.source.clone(), row.event.clone()))
    }

    /// Notes that a message could not be taken. Whether that is new.
    pub(super) fn sours(&self, row: &InboxRow) -> bool {
        lock(&self.sour).insert((row.order.clone(), row.source.clone(), row.event.clone()))
    }

    /// Notes that nobody heard a message.
    pub(super) fn expired(&self, message: Expired) {
        tracing::warn!(order = %message.order, source = %message.source, event = %message.event,
            "a message waited for an order that did not come, and is not kept any more");
        let mut expired = lock(&self.expired);
        if expired.len() >= REMEMBERED {
            expired.pop_front();
        }
        expired.push_back(message);
    }

    /// Once an hour, asks the orders that messages wait for whether they exist.
    fn expire(self: &Arc<Self>, now: Timestamp) {
        if self.waiting_count.load(Ordering::Acquire) == 0
            || now.millis() < self.expires.load(Ordering::Acquire)
        {
            return;
        }
        self.expires.store(now.saturating_add(HOUR).millis(), Ordering::Release);
        let waiting = lock(&self.waiting).clone();
        for id in waiting {
            self.post(id, Msg::Expire);
        }
    }

    pub(super) fn desk_for(&self, name: Option<&str>) -> Option<Arc<Desk>> {
        match name {
            None => self.desks.first().cloned(),
            Some(name) => self.desks.iter().find(|d| d.pipeline().name() == name).cloned(),
        }
    }

    pub(super) fn desk_of(&self, name: &str, version: u32, fingerprint: u64) -> Option<Arc<Desk>> {
        self.desks
            .iter()
            .find(|d| {
                let p = d.pipeline();
                p.name() == name && p.version() == version && p.fingerprint() == fingerprint
            })
            .or_else(|| {
                let upgrades = |p: &Pipeline| p.name() == name && p.upgrades(version, fingerprint);
                self.desks.iter().find(|d| upgrades(d.pipeline()))
            })
            .cloned()
    }

    /// Everything that some desk can read.
    fn readable(&self) -> Vec<PipelineId> {
        let ids = self.desks.iter().flat_map(|d| {
            let p = d.pipeline();
            let own = std::iter::once((p.version(), p.fingerprint()));
            let name: Arc<str> = p.name().into();
            own.chain(p.older()).map(move |(version, fingerprint)| PipelineId {
                name: name.clone(),
                version,
                fingerprint,
            })
        });
        ids.collect()
    }

    fn shard(&self, id: &OrderKey) -> &Shard {
        let hash = BuildHasherDefault::<DefaultHasher>::default().hash_one(id);
        let at = usize::try_from(hash % (SHARDS as u64)).unwrap_or_default();
        self.shards.get(at).expect("as many shards as the modulus")
    }

    pub(super) fn slot<T>(&self, id: &OrderKey, f: impl FnOnce(&mut Slot) -> T) -> Option<T> {
        lock(self.shard(id)).get_mut(id).map(f)
    }

    /// Hands an input of a caller to an order, unless too much is waiting.
    pub(super) fn admit(self: &Arc<Self>, id: OrderKey, msg: Msg) -> Result<(), ()> {
        if self.stopping.load(Ordering::Acquire) {
            msg.refuse_stopped();
            return Ok(());
        }
        if self.inputs.load(Ordering::Relaxed) >= self.limits.inputs {
            return Err(());
        }
        self.post(id, msg);
        Ok(())
    }

    /// Notes that this worker takes an order over from another one.
    pub(super) fn takes_over(&self, id: &OrderKey) {
        let settle = self.handlers.values().map(|wired| wired.handler.settle()).max().unwrap_or_default();
        if settle.is_zero() {
            return;
        }
        let (now, mut taken) = (self.env.now(), lock(&self.taken_over));
        if taken.len() >= REMEMBERED {
            taken.retain(|_, at| at.saturating_add(settle) > now);
        }
        taken.insert(id.clone(), now);
    }

    /// When this worker took an order over from another one, or began, where that is all that is known.
    pub(super) fn took_over(&self, id: &OrderKey) -> Timestamp {
        lock(&self.taken_over).get(id).copied().unwrap_or(self.began)
    }

    /// Hands an input to an order, and starts its task if it has none.
    pub(super) fn post(self: &Arc<Self>, id: OrderKey, msg: Msg) {
        let busy = self.env.busy();
        self.inputs.fetch_add(1, Ordering::Relaxed);
        let start = {
            let mut shard = lock(self.shard(&id));
            let slot = shard.entry(id.clone()).or_default();
            slot.queue.push_back(Queued { msg, busy });
            if slot.running {
                slot.bell.notify_one();
                None
            } else {
                slot.running = true;
                Some((slot.live.take(), slot.bell.clone(), slot.watch.clone()))
            }
        };
        if let Some((live, bell, watch)) = start {
            self.active.fetch_add(1, Ordering::AcqRel);
            let inner = self.clone();
            self.env.spawn(Box::pin(actor::drive(inner, id, live, bell, watch)));
        }
    }

    /// Gives the orders of tasks that an adapter never lets go of to tasks of their own, as if the process of the old
    /// ones had ended.
    pub(super) fn take_from_stuck(self: &Arc<Self>) {
        let now = self.env.now();
        for shard in &self.shards {
            for (id, slot) in lock(shard).iter_mut().filter(|(_, slot)| slot.running) {
                let Some(effect) = slot.watch.take(now) else { continue };
                self.inputs.fetch_add(1, Ordering::Relaxed);
                slot.queue.push_front(Queued { msg: Msg::Stuck { effect }, busy: self.env.busy() });
                // The old task is told that the order is not its own any more, if it ever hears again.
                std::mem::take(&mut slot.bell).notify_one();
                slot.watch = Arc::default();
                let (inner, bell, watch) = (self.clone(), slot.bell.clone(), slot.watch.clone());
                self.env.spawn(Box::pin(actor::drive(inner, id.clone(), None, bell, watch)));
            }
        }
    }

    pub(super) fn taken(&self, n: usize) {
        self.inputs.fetch_sub(n, Ordering::Relaxed);
    }

    /// The task of an order ends: its state stays in memory while there is room. Gives the state back when an input
    /// came in the meantime.
    pub(super) fn rest_or(
        &self,
        id: &OrderKey,
        live: Option<Box<Live>>,
        watch: &Arc<Watch>,
    ) -> Option<Option<Box<Live>>> {
        let kept = {
            let mut shard = lock(self.shard(id));
            match shard.get_mut(id) {
                None => false,
                Some(slot) if !Arc::ptr_eq(&slot.watch, watch) => return None,
                Some(slot) if !slot.queue.is_empty() => return Some(live),
                Some(slot) => {
                    slot.running = false;
                    let keep = live.is_some() && self.limits.cache > 0;
                    if keep {
                        slot.live = live;
                    } else {
                        shard.remove(id);
                    }
                    keep
                }
            }
        };
        if kept {
            self.evict(id);
        }
        self.ended();
        None
    }

    /// The task of an order is given up.
    pub(super) fn rest(&self, id: &OrderKey, watch: &Arc<Watch>) {
        let left = {
            let mut shard = lock(self.shard(id));
            if shard.get(id).is_some_and(|slot| !Arc::ptr_eq(&slot.watch, watch)) {
                return;
            }
            shard.remove(id)
        };
        self.taken(left.map_or(0, |slot| slot.queue.len()));
        self.ended();
    }

    /// Sees to it that somebody goes on with an order whose task did not end in order.
    pub(super) fn left(&self, id: &OrderKey) {
        lock(&self.left).insert(id.clone());
        self.arm(self.env.now().saturating_add(LEFT), id.clone());
    }

    fn ended(&self) {
        if self.active.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.quiet.notify_waiters();
        }
    }

    /// Keeps as many orders without work in memory as there is room for.
    fn evict(&self, id: &OrderKey) {
        let oldest = lock(&self.idle).rests(id, self.limits.cache);
        if let Some(old) = oldest {
            let mut shard = lock(self.shard(&old));
            if shard.get(&old).is_some_and(|s| !s.running && s.queue.is_empty()) {
                shard.remove(&old);
            }
        }
    }

    pub(super) fn abandoned(&self) -> bool {
        self.abandoned.load(Ordering::Acquire)
    }

    pub(super) fn arm(&self, at: Timestamp, id: OrderKey) {
        let first = {
            let mut timers = lock(&self.timers);
            let earliest = timers.first().map(|(t, _)| *t);
            timers.insert((at, id));
            earliest.is_none_or(|t| at < t)
        };
        if first {
            self.timer_bell.notify_one();
        }
    }

    pub(super) fn next_wake(&self) -> Option<Timestamp> {
        lock(&self.timers).first().map(|(at, _)| *at)
    }

    pub(super) fn fire_due(self: &Arc<Self>) {
        let now = self.env.now();
        let mut due = Vec::new();
        {
            let mut timers = lock(&self.timers);
            while let Some((at, _)) = timers.first() {
                if *at > now {
                    break;
                }
                if let Some((_, id)) = timers.pop_first() {
                    due.push(id);
                }
            }
        }
        due.dedup();
        for id in due {
            let left = lock(&self.left).remove(&id);
            self.post(id, if left { Msg::Recover } else { Msg::Wake });
        }
        self.expire(now);
    }

    pub(super) fn waits(&self, id: &OrderKey) -> bool {
        self.waiting_count.load(Ordering::Acquire) > 0 && lock(&self.waiting).contains(id)
    }

    pub(super) fn set_waiting(&self, id: &OrderKey, waits: bool) {
        let mut waiting = lock(&self.waiting);
        if waits {
            waiting.insert(id.clone());
        } else {
            waiting.remove(id);
        }
        self.waiting_count.store(waiting.len(), Ordering::Release);
    }

    /// Opens a stored order.
    pub(super) async fn open(&self, stored: &Stored) -> Result<Live, EngineError> {
        let c = &stored.columns;
        let desk = self.desk_of(&c.pipeline, c.pipeline_version, c.fingerprint).ok_or_else(|| {
            EngineError::Unregistered {
                order: stored.order.clone(),
                pipeline: c.pipeline.to_string(),
                version: c.pipeline_version,
                fingerprint: c.fingerprint,
            }
        })?;
        let mut policies = BTreeMap::new();
        for hash in desk.policies_of(&stored.document)? {
            let held = lock(&self.policies).get(&hash).cloned();
            let body = match held {
                Some(body) => Some(body),
                None => self.store.policy(&hash).await?,
            };
            if let Some(body) = body {
                lock(&self.policies).insert(hash, body.clone());
                policies.insert(hash, body);
            }
        }
        let progress = desk.open(stored, &policies)?;
        let is = desk.pipeline();
        let current = c.pipeline_version == is.version() && c.fingerprint == is.fingerprint();
        let older = (!current).then_some((c.pipeline_version, c.fingerprint));
        Ok(Live::new(desk, progress, stored.head, stored.owner, older))
    }

    /// Keeps evidence that comes before its turn.
    pub(super) async fn inbox_put(&self, row: InboxRow) -> Result<InboxPut, StoreError> {
        if planted(Mutant::InboxInMemory) {
            lock(&self.kept).push(row);
            return Ok(InboxPut::New);
        }
        self.store.inbox_put(row).await
    }

    /// What waits for its turn.
    pub(super) async fn inbox_take(&self, order: &OrderKey) -> Result<Vec<InboxRow>, StoreError> {
        if planted(Mutant::InboxInMemory) {
            return Ok(lock(&self.kept).iter().filter(|row| row.order == *order).cloned().collect());
        }
        self.store.inbox_take(order).await
    }

    /// It had its turn.
    pub(super) async fn inbox_mark(&self, row: &InboxRow) -> Result<(), StoreError> {
        if planted(Mutant::InboxInMemory) {
            lock(&self.kept).retain(|kept| kept != row);
            return Ok(());
        }
        self.store.inbox_mark(&row.order, &row.source, &row.event).await
    }

    pub(super) async fn load(&self, id: &OrderKey) -> Result<Option<Live>, EngineError> {
        let loaded = async {
            match observe::load(id, self.store.load(id)).await? {
                Some(stored) => Ok(Some(self.open(&stored).await?)),
                None => Ok(None),
            }
        };
        let loaded = loaded.await;
        if let Err(e @ (EngineError::Journal(_) | EngineError::Store(StoreError::Corrupt { .. }))) = &loaded {
            self.damage(id.to_string(), &e.to_string());
        }
        loaded
    }

    pub(super) async fn view(&self, id: &OrderKey) -> Result<Option<OrderView>, EngineError> {
        let held = self.slot(id, |s| s.live.as_ref().map(|l| l.view())).flatten();
        if held.is_some() {
            return Ok(held);
        }
        Ok(self.load(id).await?.map(|l| l.view()))
    }

    /// The messages that wait for an order, in the order in which they came.
    pub(super) async fn messages(&self, id: &OrderKey) -> Result<Vec<Waiting>, EngineError> {
        let rows = self.inbox_take(id).await?;
        let desk = match self.store.load(id).await? {
            Some(stored) => {
                let c = &stored.columns;
                self.desk_of(&c.pipeline, c.pipeline_version, c.fingerprint)
            }
            None => self.desks.first().cloned(),
        };
        Ok(rows.iter().map(|row| waiting(desk.as_deref(), row)).collect())
    }

    pub(super) fn report(&self) -> Report {
        let c = &self.counters;
        let get = |a: &AtomicU64| a.load(Ordering::Relaxed);
        Report {
            unread: lock(&self.unread).clone(),
            damaged: lock(&self.damaged)
                .iter()
                .map(|(order, why)| Damaged { order: order.clone(), why: why.clone() })
                .collect(),
            expired: lock(&self.expired).iter().cloned().collect(),
            recovered: get(&c.recovered),
            interrupted: get(&c.interrupted),
            commits: get(&c.commits),
            transitions: get(&c.transitions),
            calls: get(&c.calls),
            parked: get(&c.parked),
        }
    }

    pub(super) async fn stop(&self, within: Duration) -> Stopped {
        self.stopping.store(true, Ordering::Release);
        self.timer_bell.notify_one();
        let end = self.env.now().saturating_add(within);
        loop {
            let quiet = self.quiet.notified();
            if self.active.load(Ordering::Acquire) == 0 {
                break;
            }
            if super::env::within(&*self.env, end, quiet).await.is_none() {
                break;
            }
        }
        let mut unfinished = Vec::new();
        self.abandoned.store(true, Ordering::Release);
        for shard in &self.shards {
            for (id, slot) in lock(shard).iter() {
                if slot.running {
                    unfinished.push(id.clone());
                    slot.bell.notify_one();
                }
            }
        }
        unfinished.sort();
        let _ = self.store.close().await;
        Stopped { unfinished }
    }
}

/// A message that waits, for people.
pub(super) fn waiting(desk: Option<&Desk>, row: &InboxRow) -> Waiting {
    let read = desk.map(|desk| (desk, desk.kept(&row.body)));
    let (occurred, says) = match read {
        Some((desk, Ok(kept))) => {
            let place = kept.call.place.unwrap_or(kept.call.machine);
            (
                Some(kept.occurred),
                format!("{place} {} {}", kept.call.key, desk.pipeline().input_name(&kept.call)),
            )
        }
        Some((_, Err(e))) => (None, format!("it cannot be read: {e}")),
        None => (None, "no pipeline reads it".to_owned()),
    };
    let InboxRow { source, event, received_at, .. } = row.clone();
    Waiting { source, event, received_at, occurred, says }
}

/// Wakes orders when their instants pass.
async fn tick(inner: std::sync::Weak<Inner>) {
    loop {
        let Some(engine) = inner.upgrade() else { return };
        if engine.stopping.load(Ordering::Acquire) {
            return;
        }
        engine.fire_due();
        let now = engine.env.now();
        let longest = now.saturating_add(Duration::from_secs(1));
        let at = engine.next_wake().map_or(longest, |at| at.min(longest));
        let sleep = engine.env.sleep_until(at);
        let bell = engine.timer_bell.notified();
        futures::future::select(sleep, std::pin::pin!(bell)).await;
    }
}

/// Looks around every second, woken by time alone: a task that others ring for may have been put behind the one that an
/// adapter never lets go of, on the same thread.
async fn beat(inner: std::sync::Weak<Inner>) {
    loop {
        let Some(engine) = inner.upgrade() else { return };
        if engine.stopping.load(Ordering::Acquire) {
            return;
        }
        engine.take_from_stuck();
        engine.fire_due();
        let sleep = engine.env.sleep_until(engine.env.now().saturating_add(Duration::from_secs(1)));
        drop(engine);
        sleep.await;
    }
}

/// Renews the worker's lease.
async fn renew(inner: std::sync::Weak<Inner>) {
    loop {
        let Some(engine) = inner.upgrade() else { return };
        if engine.stopping.load(Ordering::Acquire) {
            return;
        }
        let now = engine.env.now();
        if let Err(e) = engine.store.renew_worker(engine.me, now.saturating_add(LEASE)).await {
            tracing::error!(error = %e, "the worker's lease could not be renewed");
        }
        let sleep = engine.env.sleep_until(now.saturating_add(LEASE / 3));
        drop(engine);
        sleep.await;
    }
}

/// Hands the feed to a notifier, which keeps its own place in it.
pub(super) fn notify(inner: &Arc<Inner>, notifier: Arc<dyn Notifier>) {
    let weak = Arc::downgrade(inner);
    inner.env.spawn(Box::pin(async move {
        let mut after = notifier.last().await;
        loop {
            let Some(engine) = weak.upgrade() else { return };
            if engine.stopping.load(Ordering::Acquire) {
                return;
            }
            let mut changes = engine.changes.subscribe();
            let page = engine.store.feed(Position(after), 256).await.unwrap_or_default();
            let (mut rests, mut kept) = (page.is_empty(), false);
            for item in page {
                let notice = Notice { position: item.position.0, order: item.order, entry: item.entry.body };
                if let Err(why) = notifier.notify(notice).await {
                    let why = words::kept(&why);
                    tracing::warn!(%why, "a notice was not taken; it is kept");
                    (rests, kept) = (true, true);
                    break;
                }
                after = item.position.0;
            }
            if rests {
                let wait = engine.env.sleep_until(engine.env.now().saturating_add(Duration::from_secs(1)));
                drop(engine);
                if kept {
                    // Whatever happens meanwhile, this one comes first.
                    wait.await;
                } else {
                    futures::future::select(wait, std::pin::pin!(changes.recv())).await;
                }
            }
        }
    }));
}
