//! A shop on virtual time: an engine, its store, and a world outside that outlives both.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use consign::clock::{Clock as _, Timestamp};
use consign::engine::{
    CommandError, Delivered, Delivery, Done, Engine, EngineBuilder, OrderView, PlaceError, Placed, Stopped,
};
use consign::id::{Actor, OrderId, OrderKey};
use consign::journal::{EntryView, read_entry, verify};
use consign::machine::Call;
use consign::order::{Draft, DraftTender, Line};
use consign::pipeline::{Physical, Pipeline, physical};
use consign::stage::dispatch::{DispatchPolicy, Packing};
use consign::store::{
    Batch, Brief, Bytes, CommitError, Damaged, Entry, Error, FeedEntry, Filter, Found, Hash, Held, InboxPut,
    InboxRow, Incarnation, MemoryStore, Migrated, PipelineId, Position, Release, SqliteStore, Stats, Store,
    Stored,
};
use consign::testing::{
    SandboxCarrier, SandboxGateway, SandboxInventory, SandboxPlatform, SandboxScorer, VirtualEnv,
};

/// Runs a test on one thread, so that nothing but the test decides what comes after what.
pub(crate) fn run<T>(test: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(test)
}

/// Every test begins at this time.
pub(crate) const MORNING: i64 = 1_700_000_000_000;
pub(crate) const SECOND: u64 = 1000;
pub(crate) const MINUTE: u64 = 60 * SECOND;
pub(crate) const HOUR: u64 = 60 * MINUTE;
pub(crate) const DAY: u64 = 24 * HOUR;

pub(crate) fn key(order: &str) -> OrderKey {
    order.parse::<OrderId>().unwrap().into()
}

pub(crate) fn agent(name: &str) -> Actor {
    Actor::agent(name).unwrap()
}

pub(crate) fn carla() -> Actor {
    Actor::customer("carla").unwrap()
}

/// An order of one parcel per sum, paid over these tenders.
pub(crate) fn draft(id: &str, parcels: &[i64], tenders: &[(&str, i64)]) -> Draft {
    let mut draft = Draft::new(id, "EUR", carla());
    for (n, price) in parcels.iter().enumerate() {
        draft.lines.push(Line::goods(format!("sku-{n}"), 1, *price).in_group(format!("shop-{n}")));
    }
    draft.total_minor = parcels.iter().sum();
    draft.tenders = tenders.iter().map(|(channel, minor)| DraftTender::new(*channel, *minor)).collect();
    draft
}

/// Released is ready: nobody has to say that a parcel is packed.
pub(crate) fn packs_itself() -> Physical {
    Physical {
        dispatch: DispatchPolicy { packing: Packing::Automatic, ..DispatchPolicy::default() },
        ..Physical::default()
    }
}

/// What becomes of the commits of one life of an engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Trouble {
    /// The disk fails before anything is written.
    Io,
    /// Nothing is written, and nobody can tell.
    LostBefore,
    /// It is written, and nobody can tell.
    LostAfter,
    /// The process ends before it is written.
    DiesBefore,
    /// The process ends when it is written, before anything follows from it.
    DiesAfter,
    /// The store itself panics.
    Panics,
    /// It is written, and then the store panics.
    PanicsAfter,
}

/// One life of a process with its store: it counts commits, fails at one of them, and is dead when it is told so.
#[derive(Debug)]
pub(crate) struct Life {
    disk: Arc<dyn Store>,
    keeps: bool,
    dead: AtomicBool,
    commits: AtomicU64,
    /// Orders read in this life.
    pub(crate) loads: AtomicU64,
    trouble: Mutex<Option<(u64, Trouble)>>,
    /// How many loads fail after the trouble.
    blind: AtomicU32,
    /// Whether the disk has no room.
    full: AtomicBool,
    /// What decides by chance which commits come to grief, and how many in a thousand.
    chance: Mutex<(u64, u64)>,
    /// Troubles that came by chance.
    pub(crate) befell: AtomicU64,
    /// Batches that were taken from an owner who had lost the order.
    pub(crate) unfenced: AtomicU64,
    /// While this is held, commits wait.
    pub(crate) gate: Arc<tokio::sync::RwLock<()>>,
    /// How an order reads in this life, where that is not as it was written.
    reads: Mutex<Option<Patch>>,
}

#[derive(Clone)]
struct Patch(Arc<dyn Fn(&mut Stored) + Send + Sync>);

impl std::fmt::Debug for Patch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Patch")
    }
}

impl Life {
    pub(crate) fn new(disk: Arc<dyn Store>, keeps: bool) -> Arc<Self> {
        Arc::new(Self {
            disk,
            keeps,
            dead: AtomicBool::new(false),
            commits: AtomicU64::new(0),
            loads: AtomicU64::new(0),
            trouble: Mutex::new(None),
            blind: AtomicU32::new(0),
            chance: Mutex::new((0, 0)),
            befell: AtomicU64::new(0),
            unfenced: AtomicU64::new(0),
            gate: Arc::default(),
            full: AtomicBool::new(false),
            reads: Mutex::new(None),
        })
    }

    /// Lets the `nth` commit from the start of this life (from 1) come to grief.
    pub(crate) fn fail_at(&self, nth: u64, trouble: Trouble) {
        *self.trouble.lock().unwrap() = Some((nth, trouble));
    }

    /// Lets commits come to grief by chance, so many in a thousand.
    pub(crate) fn chance(&self, seed: u64, per_mille: u64) {
        *self.chance.lock().unwrap() = (seed | 1, per_mille);
    }

    fn by_chance(&self) -> Option<Trouble> {
        let mut chance = self.chance.lock().unwrap();
        let (seed, per_mille) = &mut *chance;
        if *per_mille == 0 {
            return None;
        }
        *seed ^= *seed << 13;
        *seed ^= *seed >> 7;
        *seed ^= *seed << 17;
        let roll = *seed >> 20;
        if roll % 1000 >= *per_mille {
            return None;
        }
        self.befell.fetch_add(1, Ordering::SeqCst);
        Some([Trouble::Io, Trouble::LostBefore, Trouble::LostAfter][(roll / 1000 % 3) as usize])
    }

    /// Lets every order read otherwise than it was written.
    pub(crate) fn read_as(&self, patch: impl Fn(&mut Stored) + Send + Sync + 'static) {
        *self.reads.lock().unwrap() = Some(Patch(Arc::new(patch)));
    }

    fn patched(&self, mut stored: Stored) -> Stored {
        let patch = self.reads.lock().unwrap().clone();
        if let Some(patch) = patch {
            patch.0(&mut stored);
        }
        stored
    }

    /// Batches written in this life.
    pub(crate) fn commits(&self) -> u64 {
        self.commits.load(Ordering::SeqCst)
    }

    /// Lets the next loads fail.
    pub(crate) fn blind_for(&self, loads: u32) {
        self.blind.store(loads, Ordering::SeqCst);
    }

    /// Lets the disk have no room, or have it again.
    pub(crate) fn fill(&self, full: bool) {
        self.full.store(full, Ordering::SeqCst);
    }

    /// An order as it stands on the disk, whatever this life makes of it.
    pub(crate) async fn load_raw(&self, order: &str) -> Stored {
        self.disk.load(&key(order)).await.unwrap().unwrap()
    }

    pub(crate) fn die(&self) {
        self.dead.store(true, Ordering::SeqCst);
    }

    pub(crate) fn is_dead(&self) -> bool {
        self.dead.load(Ordering::SeqCst)
    }

    fn alive(&self) -> Result<(), Error> {
        if self.is_dead() { Err(Error::Closed) } else { Ok(()) }
    }

    fn sees(&self) -> Result<(), Error> {
        self.alive()?;
        match self.blind.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |n| n.checked_sub(1)) {
            Ok(_) => Err(Error::Io("the disk does not answer".into())),
            Err(_) => Ok(()),
        }
    }
}

#[async_trait]
impl Store for Life {
    async fn load(&self, order: &OrderKey) -> Result<Option<Stored>, Error> {
        self.sees()?;
        self.loads.fetch_add(1, Ordering::SeqCst);
        Ok(self.disk.load(order).await?.map(|stored| self.patched(stored)))
    }
    async fn commit(&self, batches: Vec<Batch>) -> Vec<Result<Position, CommitError>> {
        let mut answers = Vec::new();
        let _open = self.gate.read().await;
        for batch in batches {
            if self.is_dead() {
                answers.push(Err(CommitError::Store(Error::Closed)));
                continue;
            }
            if self.full.load(Ordering::SeqCst) {
                answers.push(Err(CommitError::Full));
                continue;
            }
            let nth = self.commits().saturating_add(1);
            let trouble = {
                let mut planned = self.trouble.lock().unwrap();
                if planned.is_some_and(|(at, _)| at == nth) { planned.take() } else { None }
            };
            let lost = || CommitError::Unconfirmed("the answer of the disk was lost".into());
            let answer = match trouble.map(|t| t.1).or_else(|| self.by_chance()) {
                None => {
                    let (order, mine) = (batch.order.clone(), batch.owner);
                    let held = match mine {
                        Some(_) => self.disk.load(&order).await.ok().flatten().and_then(|s| s.owner),
                        None => None,
                    };
                    let answer = self.disk.commit(vec![batch]).await.pop().unwrap();
                    let late = mine.zip(held).is_some_and(|(mine, held)| {
                        mine.epoch < held.epoch || mine.epoch == held.epoch && mine != held
                    });
                    self.unfenced.fetch_add(u64::from(late && answer.is_ok()), Ordering::SeqCst);
                    answer
                }
                Some(Trouble::Io) => Err(CommitError::Store(Error::Io("no spindle".into()))),
                Some(Trouble::LostBefore) => {
                    self.blind_for(2);
                    Err(lost())
                }
                Some(Trouble::LostAfter) => {
                    let written = self.disk.commit(vec![batch]).await.pop().unwrap();
                    self.commits.fetch_add(u64::from(written.is_ok()), Ordering::SeqCst);
                    self.blind_for(2);
                    Err(lost())
                }
                Some(Trouble::Panics) => panic!("the store was told to panic"),
                Some(Trouble::PanicsAfter) => {
                    let written = self.disk.commit(vec![batch]).await.pop().unwrap();
                    self.commits.fetch_add(u64::from(written.is_ok()), Ordering::SeqCst);
                    panic!("the store was told to panic when it had written")
                }
                Some(Trouble::DiesBefore) => {
                    self.die();
                    Err(CommitError::Store(Error::Closed))
                }
                Some(Trouble::DiesAfter) => {
                    let written = self.disk.commit(vec![batch]).await.pop().unwrap();
                    self.commits.fetch_add(u64::from(written.is_ok()), Ordering::SeqCst);
                    self.die();
                    Err(CommitError::Store(Error::Closed))
                }
            };
            if answer.is_ok() {
                self.commits.fetch_add(1, Ordering::SeqCst);
            }
            answers.push(answer);
        }
        answers
    }
    async fn policy(&self, hash: &Hash) -> Result<Option<Bytes>, Error> {
        self.alive()?;
        self.disk.policy(hash).await
    }
    async fn start_worker(
        &self,
        worker: &str,
        now: Timestamp,
        until: Timestamp,
    ) -> Result<Incarnation, Error> {
        self.disk.start_worker(worker, now, until).await
    }
    async fn renew_worker(&self, me: Incarnation, until: Timestamp) -> Result<(), Error> {
        self.disk.renew_worker(me, until).await
    }
    async fn claim(
        &self,
        me: Incarnation,
        now: Timestamp,
        under: &[PipelineId],
        limit: usize,
    ) -> Result<Vec<Stored>, Error> {
        Ok(self
            .disk
            .claim(me, now, under, limit)
            .await?
            .into_iter()
            .map(|stored| self.patched(stored))
            .collect())
    }
    async fn scan(
        &self,
        after: Option<OrderKey>,
        limit: usize,
        open_only: bool,
    ) -> Result<Vec<Brief>, Error> {
        self.disk.scan(after, limit, open_only).await
    }
    async fn lookup(
        &self,
        tenant: &consign::id::TenantId,
        space: &str,
        key: &str,
        after: Option<Found>,
        limit: usize,
    ) -> Result<Vec<Found>, Error> {
        self.disk.lookup(tenant, space, key, after, limit).await
    }
    async fn list(
        &self,
        filter: &Filter,
        after: Option<OrderKey>,
        limit: usize,
    ) -> Result<Vec<Brief>, Error> {
        self.disk.list(filter, after, limit).await
    }
    async fn journal(&self, order: &OrderKey, from_seq: u64, limit: usize) -> Result<Vec<Entry>, Error> {
        self.disk.journal(order, from_seq, limit).await
    }
    async fn feed(&self, after: Position, limit: usize) -> Result<Vec<FeedEntry>, Error> {
        self.disk.feed(after, limit).await
    }
    async fn inbox_put(&self, row: InboxRow) -> Result<InboxPut, Error> {
        self.alive()?;
        if self.full.load(Ordering::SeqCst) {
            return Err(Error::Full);
        }
        self.disk.inbox_put(row).await
    }
    async fn inbox_take(&self, order: &OrderKey) -> Result<Vec<InboxRow>, Error> {
        self.sees()?;
        self.disk.inbox_take(order).await
    }
    async fn inbox_mark(&self, order: &OrderKey, source: &str, event: &str) -> Result<(), Error> {
        self.alive()?;
        self.disk.inbox_mark(order, source, event).await
    }
    async fn inbox_waiting(&self, after: Option<OrderKey>, limit: usize) -> Result<Vec<OrderKey>, Error> {
        self.disk.inbox_waiting(after, limit).await
    }
    async fn delete(&self, order: &OrderKey, expected: u64) -> Result<(), CommitError> {
        self.disk.delete(order, expected).await
    }
    async fn migrate(&self) -> Result<Migrated, Error> {
        self.disk.migrate().await
    }
    async fn pipelines(&self) -> Result<Vec<Held>, Error> {
        self.disk.pipelines().await
    }
    async fn keep_release(&self, release: Release) -> Result<(), Error> {
        self.disk.keep_release(release).await
    }
    async fn releases(&self) -> Result<Vec<Release>, Error> {
        self.disk.releases().await
    }
    async fn damaged(&self) -> Result<Vec<Damaged>, Error> {
        self.disk.damaged().await
    }
    async fn check(&self) -> Result<(), Error> {
        self.disk.check().await
    }
    fn stats(&self) -> Stats {
        self.disk.stats()
    }
    async fn close(&self) -> Result<(), Error> {
        self.die();
        // What is in memory must outlive the engine, as a disk would.
        if self.keeps { Ok(()) } else { self.disk.close().await }
    }
}

/// Where orders are kept while no engine runs.
#[derive(Debug, Clone)]
pub(crate) enum Disk {
    Memory(Arc<MemoryStore>),
    File(PathBuf),
}

/// A folder of its own for one test, gone when the test is over.
#[derive(Debug)]
pub(crate) struct Folder(PathBuf);

impl Folder {
    pub(crate) fn new(name: &str) -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let n = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("consign-engine-{}-{name}-{n}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

impl Disk {
    pub(crate) fn memory() -> Self {
        Self::Memory(Arc::new(MemoryStore::new()))
    }

    pub(crate) fn file(path: &Path) -> Self {
        Self::File(path.to_owned())
    }

    pub(crate) fn life(&self) -> Arc<Life> {
        match self {
            Disk::Memory(store) => Life::new(store.clone(), true),
            Disk::File(path) => Life::new(Arc::new(SqliteStore::open(path).unwrap()), false),
        }
    }
}

/// The pipelines that an engine is built with, composed anew for each process.
#[derive(Clone)]
pub(crate) struct Pipelines(pub(crate) Arc<dyn Fn() -> Vec<Pipeline> + Send + Sync>);

impl Pipelines {
    pub(crate) fn of(compose: impl Fn() -> Vec<Pipeline> + Send + Sync + 'static) -> Self {
        Self(Arc::new(compose))
    }
}

impl std::fmt::Debug for Pipelines {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries((self.0)()).finish()
    }
}

/// The world outside, and the disk: what outlives a process.
#[derive(Debug, Clone)]
pub(crate) struct World {
    pub(crate) disk: Disk,
    pub(crate) pipelines: Pipelines,
    pub(crate) gateway: Arc<SandboxGateway>,
    pub(crate) stock: Arc<SandboxInventory>,
    pub(crate) carrier: Arc<SandboxCarrier>,
    pub(crate) scorer: Arc<SandboxScorer>,
    pub(crate) platform: Arc<SandboxPlatform>,
    pub(crate) seed: u64,
}

impl World {
    /// A world for physical goods.
    pub(crate) fn new(disk: Disk, policy: Physical) -> Self {
        Self::of(disk, Pipelines::of(move || vec![physical(policy.clone()).unwrap()]))
    }

    pub(crate) fn of(disk: Disk, pipelines: Pipelines) -> Self {
        Self {
            disk,
            pipelines,
            gateway: Arc::new(SandboxGateway::open(None).unwrap()),
            stock: Arc::new(SandboxInventory::open(None).unwrap()),
            carrier: Arc::new(SandboxCarrier::default()),
            scorer: Arc::new(SandboxScorer::new(Some(10))),
            platform: Arc::new(SandboxPlatform::open(None).unwrap()),
            seed: 7,
        }
    }

    /// An engine with everything in place but its store and its clock.
    pub(crate) fn wiring(&self) -> EngineBuilder {
        (self.pipelines.0)()
            .into_iter()
            .fold(Engine::builder(), EngineBuilder::pipeline)
            .payments(self.gateway.clone())
            .inventory(self.stock.clone())
            .carrier(self.carrier.clone())
            .scorer(self.scorer.clone())
            .platform(self.platform.clone())
    }

    pub(crate) async fn open(&self, now: Timestamp) -> Shop {
        self.open_with(now, self.wiring()).await
    }

    pub(crate) async fn open_with(&self, now: Timestamp, wiring: EngineBuilder) -> Shop {
        self.open_as(self.disk.life(), now, wiring).await
    }

    /// Opens for a life that has begun.
    pub(crate) async fn open_as(&self, life: Arc<Life>, now: Timestamp, wiring: EngineBuilder) -> Shop {
        let env = VirtualEnv::new(now, self.seed);
        let engine = wiring.store(life.clone()).env(Arc::new(env.clone())).start().await.unwrap();
        let shop = Shop { world: self.clone(), env, engine, life };
        shop.settled().await;
        shop
    }
}

/// A shop that is open.
#[derive(Debug)]
pub(crate) struct Shop {
    pub(crate) world: World,
    pub(crate) env: VirtualEnv,
    pub(crate) engine: Engine,
    pub(crate) life: Arc<Life>,
}

impl Shop {
    pub(crate) async fn morning(disk: Disk) -> Self {
        Self::with(disk, packs_itself()).await
    }

    pub(crate) async fn with(disk: Disk, policy: Physical) -> Self {
        World::new(disk, policy).open(Timestamp::from_millis(MORNING)).await
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.env.now()
    }

    pub(crate) async fn settled(&self) {
        self.env.settled().await;
    }

    /// Lets time pass, and stops at every instant that anything waits for.
    pub(crate) async fn pass(&self, ms: u64) {
        let end = self.now().saturating_add(Duration::from_millis(ms));
        let mut stops = 0;
        loop {
            self.settled().await;
            let w = &self.world;
            let late = [w.gateway.next(), w.stock.next(), w.carrier.next(), w.platform.next()];
            let own = [self.engine.next_wake(), self.env.next_sleep()];
            let next = own.into_iter().chain(late).flatten().min();
            let Some(next) = next.filter(|next| *next <= end && !self.life.is_dead()) else { break };
            self.env.set(next);
            self.engine.fire_due();
            self.messages().await;
            stops += 1;
            assert!(stops < 100_000, "the engine wakes for {next:?} again and again at {:?}", self.now());
        }
        if self.life.is_dead() {
            return;
        }
        self.env.set(end);
        self.engine.fire_due();
        self.messages().await;
    }

    /// What is late outside is carried out, and what the outside says twice is heard.
    async fn messages(&self) {
        self.settled().await;
        let (w, now) = (&self.world, self.now());
        let all = [
            w.gateway.messages(now),
            w.stock.messages(now),
            w.carrier.messages(now),
            w.platform.messages(now),
        ];
        for message in all.into_iter().flatten() {
            // Nobody repeats one that was not taken.
            let _ = self.engine.deliver(message).await;
            self.settled().await;
        }
    }

    pub(crate) async fn place(&self, draft: Draft) -> Result<Placed, PlaceError> {
        let answer = self.engine.place(draft).await;
        self.settled().await;
        answer
    }

    pub(crate) async fn command(
        &self,
        order: &str,
        by: &Actor,
        once: &str,
        call: Call,
    ) -> Result<Done, CommandError> {
        let answer = self.engine.command(&key(order), by.clone(), once, call).await;
        self.settled().await;
        answer
    }

    /// Asks, and is not refused.
    pub(crate) async fn asks(&self, order: &str, by: &Actor, call: Call) -> Done {
        match self.command(order, by, "", call).await {
            Ok(done) => done,
            Err(why) => panic!("{order}: {why}\n{}", self.show(order).await),
        }
    }

    pub(crate) async fn hears(&self, order: &str, event: &str, call: Call) -> Delivered {
        self.hears_of(order, event, self.now(), call).await
    }

    pub(crate) async fn hears_of(
        &self,
        order: &str,
        event: &str,
        occurred: Timestamp,
        call: Call,
    ) -> Delivered {
        let answer = self.engine.deliver(told(order, event, occurred, call)).await.unwrap();
        self.settled().await;
        answer
    }

    /// Looks at an order, also while the disk of the engine is out of order.
    pub(crate) async fn seen(&self, order: &str) -> Option<OrderView> {
        let blind = self.life.blind.swap(0, Ordering::SeqCst);
        let view = self.engine.order(&key(order)).await.unwrap();
        self.life.blind.store(blind, Ordering::SeqCst);
        view
    }

    pub(crate) async fn order(&self, order: &str) -> OrderView {
        self.seen(order).await.unwrap()
    }

    pub(crate) async fn phase(&self, order: &str) -> String {
        self.order(order).await.phase().to_string()
    }

    /// `psp:card 5000, cust -5000`
    pub(crate) async fn balances(&self, order: &str) -> String {
        let books = self.order(order).await.progress.books.balances();
        books.iter().map(|(a, n)| format!("{a} {n}")).collect::<Vec<_>>().join(", ")
    }

    pub(crate) async fn show(&self, order: &str) -> String {
        let Some(view) = self.seen(order).await else { return "no such order".into() };
        let p = &view.progress;
        let entries = self.life.disk.journal(&key(order), 1, usize::MAX >> 1).await.unwrap_or_default();
        let told: Vec<String> = entries
            .iter()
            .filter_map(|e| read_entry(&e.body).ok())
            .map(|e| format!("{} {:?} {:?}", e.kind, e.input.map(|i| i.0), e.states))
            .collect();
        let wanted: Vec<_> = p.wanted.iter().map(|w| format!("{} {}", w.name, w.key)).collect();
        format!(
            "{}\n{order} {}: {:?}\nwanted {wanted:?}\nholds {:?}\nbooks {:?}\noutside {:?}",
            told.join("\n"),
            view.phase(),
            view.instances(),
            p.holds,
            p.books.balances(),
            self.world.gateway.moved(&key(order)),
        )
    }

    /// The journal of an order, after it was checked: the chain holds, and its fold is what is stored.
    pub(crate) async fn journal(&self, order: &str) -> Vec<EntryView> {
        let entries = self.life.disk.journal(&key(order), 1, usize::MAX >> 1).await.unwrap();
        let stored = self.life.disk.load(&key(order)).await.unwrap().unwrap();
        assert_eq!(stored.version, entries.len() as u64, "{order}: the version counts entries");
        verify(&entries, &stored).unwrap_or_else(|why| panic!("{order}: {why}"));
        entries.iter().map(|e| read_entry(&e.body).unwrap()).collect()
    }

    /// The process ends without a word.
    pub(crate) async fn killed(self) -> (World, Timestamp) {
        self.life.die();
        self.stopped().await
    }

    /// Stops, and says where things were left.
    pub(crate) async fn stopped(self) -> (World, Timestamp) {
        let now = self.now();
        let _: Stopped = self.engine.stop(Duration::ZERO).await;
        (self.world, now)
    }

    /// Stops and opens again on the same disk.
    pub(crate) async fn reopened(self) -> Self {
        let (world, now) = self.stopped().await;
        world.open(now).await
    }
}

pub(crate) fn told(order: &str, event: &str, occurred: Timestamp, evidence: Call) -> Delivery {
    Delivery {
        order: key(order),
        evidence,
        source: "carrier".into(),
        event: event.into(),
        occurred,
        by: agent("carrier"),
    }
}

/// The entries of a journal by what made them.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) placed: usize,
    pub(crate) commands: usize,
    pub(crate) evidence: usize,
    pub(crate) answers: usize,
    pub(crate) timers: usize,
    pub(crate) retries: usize,
    pub(crate) parks: usize,
    pub(crate) releases: usize,
    /// Effects ever wanted, each counted once however often it was tried.
    pub(crate) effects: usize,
}

pub(crate) fn count(journal: &[EntryView]) -> Counts {
    let of = |kind: &str| journal.iter().filter(|e| e.kind == kind).count();
    let effects: std::collections::BTreeSet<u64> =
        journal.iter().flat_map(|e| e.wanted.iter().map(|w| w.0)).collect();
    Counts {
        placed: of("place"),
        commands: of("command"),
        evidence: of("evidence"),
        answers: of("answer"),
        timers: of("timer"),
        retries: of("retry"),
        parks: of("park"),
        releases: of("release"),
        effects: effects.len(),
    }
}
