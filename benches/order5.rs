//! order-5: place, then five durable steps per order, beside a bare writer of the same records in the same run.
//!
//! ```text
//! cargo bench --bench order5              a table; at most a minute
//! cargo bench --bench order5 -- --json    one line
//! cargo bench --bench order5 -- --quick   small sizes, as when it runs as a test
//! ```
//!
//! An order is placed and then served in five steps. Each step is an asynchronous call that does nothing and answers
//! with about 200 bytes of JSON, which must be durable before the next step begins: six commits per order. The reference
//! does that and nothing else: one thread that groups what waits, updates one row and inserts another per record, and
//! answers after the COMMIT (for memory: a hash map and `serde_json` behind the same channel). It has no types, no
//! deadlines, no retries, no recovery. The two take turns on fresh files, and the median of their rounds is compared,
//! since the figures of a machine drift from minute to minute and their ratio does not.
//!
//! The files lie in Cargo's folder for temporary files. A disk that answers a flush before it is done (`/tmp` in memory,
//! for one) makes both sides faster and the figures worthless.
#![allow(clippy::unwrap_used, clippy::float_arithmetic)] // A benchmark that meets what it does not expect has failed.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use consign::engine::Engine;
use consign::gateway::{Handler, Repeats, Ticket};
use consign::id::{Actor, Key, OrderKey};
use consign::machine::{
    Cx, Deadline, Evidence, Exhausted, Fault, Fold, Goto, Next, On, Opens, Reply, Row, Timed, View, to, until,
};
use consign::order::{Draft, DraftTender, Line};
use consign::pipeline::{LifePolicy, Pipeline, pipeline};
use consign::stage::proof::{Goods, Served, Wanted};
use consign::store::{MemoryStore, SqliteStore, Store};
use futures::future::BoxFuture;
use serde::{Deserialize, Serialize};
use tokio::sync::{broadcast, mpsc, oneshot};

// ---- the pipeline of the host: five busy states, each with one effect

consign::machine! {
    /// Five steps, one after the other.
    mod steps = "bench.steps" v 1;
    policy ();
    needs Wanted;
    yields Served<Goods>;
    effects {
        Reserve (repeat)   => done Reserved, declined Failed, unknown Failed, exhausted Failed;
        Authorise (repeat) => done Authorised, declined Failed, unknown Failed, exhausted Failed;
        Review (repeat)    => done Reviewed, declined Failed, unknown Failed, exhausted Failed;
        Dispatch (repeat)  => done Dispatched, declined Failed, unknown Failed, exhausted Failed;
        Capture (repeat)   => done Captured, declined Failed, unknown Failed, exhausted Failed;
    }
    opens { Enter }
    inputs {
        outcome Failed, Reserved @1, Authorised @2, Reviewed @3, Dispatched @4, Captured @5;
        timer   Due;
        signal  Enter (on granted);
    }
    states {
        Reserving: busy(Due) @0,
        Authorising: busy(Due) @1,
        Reviewing: busy(Due) @2,
        Dispatching: busy(Due) @3,
        Capturing: busy(Due) @4,
        Complete: done @5,
        Stuck: fail @5,
    }
    groups {
        Busy   = Reserving | Authorising | Reviewing | Dispatching | Capturing;
        Opened = Reserving | Authorising | Reviewing | Dispatching | Capturing | Complete | Stuck;
        Over   = Complete | Stuck;
    }
    rows {
        New         + Enter      => Reserving / Reserve;
        Reserving   + Reserved   => Authorising / Authorise;
        Authorising + Authorised => Reviewing / Review;
        Reviewing   + Reviewed   => Dispatching / Dispatch;
        Dispatching + Dispatched => Capturing / Capture;
        Capturing   + Captured   => Complete;
        Busy        + Failed     => Stuck;
        Busy        + Due        => Stuck;
    }
    ignore { Opened + Enter; Over + Failed; }
    alarm {
        Reserving + Authorised | Reviewed | Dispatched | Captured; Authorising + Reviewed | Dispatched | Captured;
        Reviewing + Dispatched | Captured; Dispatching + Captured;
    }
}

/// What every step answers: about 200 bytes of JSON.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Answer {
    step: String,
    order: String,
    status: String,
    amount_minor: i64,
    currency: String,
    reference: String,
    provider: String,
    at: String,
}

impl Answer {
    fn of(step: &str, order: &str) -> Self {
        Self {
            step: step.to_owned(),
            order: order.to_owned(),
            status: "ok".to_owned(),
            amount_minor: 129_900,
            currency: "EUR".to_owned(),
            reference: "7f0d3c1e-9a44-4d1b-8b59-0c62e1f5a2d7".to_owned(),
            provider: "loopback-psp".to_owned(),
            at: "2026-11-23T02:14:17.123456Z".to_owned(),
        }
    }
}

/// The steps' names, in their order; the reference writes the same.
const STEPS: [&str; 5] = ["reserve", "authorise", "review", "dispatch", "capture"];

macro_rules! steps {
    ($($effect:ident $state:ident $done:ident $name:literal => $next:ident $($want:ident)?;)*) => { $(
        #[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
        struct $effect {}
        #[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
        struct $state {}
        #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
        struct $done(Answer);
        impl Evidence for $done {}
        #[async_trait]
        impl Handler<$effect> for Loopback {
            fn repeats(&self) -> Repeats {
                Repeats::Idempotent { key_ttl: Duration::from_secs(86_400) }
            }
            async fn call(&self, _: $effect, ticket: &Ticket) -> Reply<steps::done::$effect, Failed> {
                Reply::Done($done(Answer::of($name, ticket.order.order.as_str())).into())
            }
        }
        impl On<$done> for $state {
            fn on(&self, _: &$done, cx: &mut Cx<'_, Self::R>) -> Next<Self::R> {
                steps!(@next cx $next $($want)?)
            }
        }
    )* };
    (@next $cx:ident $next:ident) => {{ let _ = $cx; to($next {}) }};
    (@next $cx:ident $next:ident $want:ident) => {{ $cx.want($want {}); busy($next {}, $cx) }};
}
steps! {
    Reserve Reserving Reserved "reserve" => Authorising Authorise;
    Authorise Authorising Authorised "authorise" => Reviewing Review;
    Review Reviewing Reviewed "review" => Dispatching Dispatch;
    Dispatch Dispatching Dispatched "dispatch" => Capturing Capture;
    Capture Capturing Captured "capture" => Complete;
}

/// Answers at once.
struct Loopback;

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
struct Complete {}
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
struct Stuck {}
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
struct Due;
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
struct Enter;
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Failed {
    why: String,
}
impl Evidence for Failed {}
impl From<Fault> for Failed {
    fn from(f: Fault) -> Self {
        Self { why: f.why }
    }
}
impl From<Exhausted> for Failed {
    fn from(e: Exhausted) -> Self {
        Self { why: e.why }
    }
}

use steps::{Busy, M, New, State};

/// A step's answer is waited for a minute.
fn busy<R: Row<M = M> + Goto<S>, S>(state: S, cx: &Cx<'_, R>) -> Next<R>
where
    M: Timed<S, At = Deadline>,
{
    until(cx.after_ms(60_000), state)
}
impl Opens<Enter, M> for New {
    fn keys(view: &View<'_, M>) -> Vec<Key> {
        if view.is_empty() { vec![Key(1)] } else { Vec::new() }
    }
}
impl On<Enter> for New {
    fn on(&self, _: &Enter, cx: &mut Cx<'_, Self::R>) -> Next<Self::R> {
        cx.want(Reserve {});
        busy(Reserving {}, cx)
    }
}
impl On<Failed> for Busy {
    fn on(&self, _: &Failed, _: &mut Cx<'_, Self::R>) -> Next<Self::R> {
        to(Stuck {})
    }
}
impl On<Due> for Busy {
    fn on(&self, _: &Due, _: &mut Cx<'_, Self::R>) -> Next<Self::R> {
        to(Stuck {})
    }
}
impl Fold<Served<Goods>> for M {
    fn fold(view: &View<'_, Self>) -> Option<Served<Goods>> {
        let done = view.instances().filter(|(_, s)| matches!(s, State::Complete(_))).count();
        (done > 0).then(|| Served::with(done))
    }
}

fn five() -> Pipeline {
    pipeline("order-5", 1, LifePolicy::default()).then(M::with(())).build().unwrap()
}

// ---- the two sides

/// One side of the comparison: carries an order from its placing to its last record.
trait Side: Send + Sync + 'static {
    fn carry(self: Arc<Self>, order: String) -> BoxFuture<'static, ()>;
}

/// What a side has written, per order.
#[derive(Debug, Clone, Copy, Default)]
struct Written {
    commits: f64,
    flushes: f64,
    bytes: f64,
}

struct Consign {
    engine: Engine,
    ends: Arc<Mutex<HashMap<OrderKey, oneshot::Sender<()>>>>,
}

impl Consign {
    async fn start(store: Arc<dyn Store>) -> Self {
        let engine = Engine::builder()
            .pipeline(five())
            .store(store)
            .effect::<Reserve>(Loopback)
            .effect::<Authorise>(Loopback)
            .effect::<Review>(Loopback)
            .effect::<Dispatch>(Loopback)
            .effect::<Capture>(Loopback)
            .start()
            .await
            .unwrap();
        let ends: Arc<Mutex<HashMap<OrderKey, oneshot::Sender<()>>>> = Arc::default();
        let (mut changes, heard, asked) = (engine.watch(), ends.clone(), engine.clone());
        tokio::spawn(async move {
            loop {
                match changes.recv().await {
                    Ok(change) => {
                        if change.fires.iter().any(|f| f.to == "Complete")
                            && let Some(end) = heard.lock().unwrap().remove(&change.order)
                        {
                            let _ = end.send(());
                        }
                    }
                    // Changes are a lossy stream: after a gap the orders themselves are asked.
                    Err(broadcast::error::RecvError::Lagged(_)) => {
                        let waiting: Vec<OrderKey> = heard.lock().unwrap().keys().cloned().collect();
                        for order in waiting {
                            let Some(view) = asked.order(&order).await.unwrap() else { continue };
                            if view.instances().iter().any(|(_, _, state)| *state == "Complete")
                                && let Some(end) = heard.lock().unwrap().remove(&order)
                            {
                                let _ = end.send(());
                            }
                        }
                    }
                    Err(broadcast::error::RecvError::Closed) => return,
                }
            }
        });
        Self { engine, ends }
    }
}

impl Side for Consign {
    fn carry(self: Arc<Self>, order: String) -> BoxFuture<'static, ()> {
        Box::pin(async move {
            let mut d = Draft::new(order.as_str(), "EUR", Actor::customer("c-000482113").unwrap());
            d.lines.push(Line::goods("SKU-11-883-A", 2, 49_950));
            d.lines.push(Line::goods("SKU-07-114-C", 1, 30_000));
            d.total_minor = 129_900;
            d.tenders.push(DraftTender::new("card", 129_900));
            let key = OrderKey::from(d.id.parse::<consign::id::OrderId>().unwrap());
            let (end, ended) = oneshot::channel();
            self.ends.lock().unwrap().insert(key, end);
            self.engine.place(d).await.unwrap();
            ended.await.unwrap();
        })
    }
}

/// A record on its way to the bare writer.
struct Record {
    order: i64,
    seq: i64,
    state: &'static str,
    body: String,
    done: oneshot::Sender<()>,
}

#[derive(Clone)]
struct Bare {
    tx: mpsc::Sender<Record>,
}

impl Bare {
    async fn write(&self, order: i64, seq: i64, state: &'static str, body: String) {
        let (done, written) = oneshot::channel();
        assert!(self.tx.send(Record { order, seq, state, body, done }).await.is_ok(), "the writer is gone");
        written.await.unwrap();
    }
}

/// The order as a client sends it, about 200 bytes too.
fn sent(order: &str) -> String {
    serde_json::json!({"order": order, "customer": "c-000482113",
        "lines": [{"sku": "SKU-11-883-A", "qty": 2, "unit_minor": 49950},
            {"sku": "SKU-07-114-C", "qty": 1, "unit_minor": 30000}],
        "ship_to": "NL-1017", "channel": "web"})
    .to_string()
}

impl Side for Bare {
    fn carry(self: Arc<Self>, order: String) -> BoxFuture<'static, ()> {
        Box::pin(async move {
            let n: i64 = order.rsplit('-').next().unwrap().parse().unwrap();
            self.write(n, 0, "new", sent(&order)).await;
            let me = self.clone();
            let steps = tokio::spawn(async move {
                for (seq, step) in (1..).zip(STEPS) {
                    let body = serde_json::to_value(Answer::of(step, &order)).unwrap().to_string();
                    me.write(n, seq, step, body).await;
                }
            });
            steps.await.unwrap();
        })
    }
}

/// The most records in one transaction, as in the store.
const GROUP: usize = 256;

fn sqlite_writer(mut rx: mpsc::Receiver<Record>, file: &Path, commits: &AtomicU64) {
    let c = rusqlite::Connection::open(file).unwrap();
    c.execute_batch(
        "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA cache_size=-65536;
         CREATE TABLE orders(id INTEGER PRIMARY KEY, state TEXT NOT NULL, version INTEGER NOT NULL, updated INTEGER NOT NULL);
         CREATE TABLE journal(order_id INTEGER NOT NULL, seq INTEGER NOT NULL, kind TEXT NOT NULL, at INTEGER NOT NULL,
             body TEXT NOT NULL, PRIMARY KEY(order_id, seq)) WITHOUT ROWID;",
    )
    .unwrap();
    let mut group = Vec::with_capacity(GROUP);
    while rx.blocking_recv_many(&mut group, GROUP) > 0 {
        c.execute_batch("BEGIN IMMEDIATE").unwrap();
        {
            let mut place = c.prepare_cached("INSERT INTO orders VALUES(?1,?2,0,0)").unwrap();
            let mut update = c
                .prepare_cached(
                    "UPDATE orders SET state=?1, version=version+1, updated=?2 WHERE id=?3 AND version=?4",
                )
                .unwrap();
            let mut entry = c.prepare_cached("INSERT INTO journal VALUES(?1,?2,?3,?4,?5)").unwrap();
            for r in &group {
                if r.seq == 0 {
                    place.execute((r.order, r.state)).unwrap();
                } else {
                    assert_eq!(update.execute((r.state, r.seq, r.order, r.seq - 1)).unwrap(), 1);
                }
                entry.execute((r.order, r.seq, r.state, 0, &r.body)).unwrap();
            }
        }
        c.execute_batch("COMMIT").unwrap();
        commits.fetch_add(1, Ordering::Relaxed);
        for r in group.drain(..) {
            let _ = r.done.send(());
        }
    }
}

fn memory_writer(mut rx: mpsc::Receiver<Record>) {
    let mut orders: HashMap<i64, (&'static str, i64, Vec<Vec<u8>>)> = HashMap::new();
    let mut group = Vec::with_capacity(GROUP);
    while rx.blocking_recv_many(&mut group, GROUP) > 0 {
        for r in &group {
            let record = serde_json::json!({"o": r.order, "q": r.seq, "s": r.state, "b": r.body});
            let held = orders.entry(r.order).or_default();
            (held.0, held.1) = (r.state, r.seq);
            held.2.push(serde_json::to_vec(&record).unwrap());
        }
        for r in group.drain(..) {
            let _ = r.done.send(());
        }
    }
}

// ---- the run

/// What one round measured.
#[derive(Debug, Clone, Default)]
struct Round {
    per_s: f64,
    p50_ms: f64,
    p99_ms: f64,
    written: Written,
}

/// Nearest rank.
fn rank(sorted: &[f64], percent: usize) -> f64 {
    let at = (sorted.len() * percent).div_ceil(100);
    sorted.get(at.clamp(1, sorted.len().max(1)) - 1).copied().unwrap_or_default()
}

fn median(rounds: &[Round], of: impl Fn(&Round) -> f64) -> f64 {
    let mut all: Vec<f64> = rounds.iter().map(of).collect();
    all.sort_by(f64::total_cmp);
    rank(&all, 50)
}

/// Carries `orders` orders, at most `in_flight` of them at a time.
async fn burst<S: Side>(side: &Arc<S>, first: u64, orders: u64, in_flight: u64) -> Round {
    let (next, end) = (Arc::new(AtomicU64::new(first)), first + orders);
    let took = Arc::new(Mutex::new(Vec::new()));
    let begun = Instant::now();
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..in_flight.min(orders) {
        let (side, next, took) = (side.clone(), next.clone(), took.clone());
        tasks.spawn(async move {
            loop {
                let n = next.fetch_add(1, Ordering::Relaxed);
                if n >= end {
                    return;
                }
                let begun = Instant::now();
                side.clone().carry(format!("ord-10482-{n:08}")).await;
                took.lock().unwrap().push(begun.elapsed().as_secs_f64() * 1e3);
            }
        });
    }
    while let Some(task) = tasks.join_next().await {
        task.unwrap();
    }
    let per_s = orders as f64 / begun.elapsed().as_secs_f64();
    let mut took = std::mem::take(&mut *took.lock().unwrap());
    took.sort_by(f64::total_cmp);
    Round { per_s, p50_ms: rank(&took, 50), p99_ms: rank(&took, 99), written: Written::default() }
}

fn size(folder: &Path) -> f64 {
    let files = std::fs::read_dir(folder).unwrap().map(|f| f.unwrap().metadata().unwrap().len());
    files.sum::<u64>() as f64
}

/// A folder that goes when it is dropped.
struct Folder(PathBuf);

impl Folder {
    fn fresh(name: &str) -> Self {
        let path =
            Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("order5-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&path);
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

#[derive(Debug, Clone, Copy)]
struct Case {
    store: &'static str,
    in_flight: u64,
    orders: u64,
}

async fn engine_round(case: Case) -> Round {
    let folder = Folder::fresh("engine");
    let store: Arc<dyn Store> = match case.store {
        "sqlite" => Arc::new(SqliteStore::open(folder.0.join("orders.db")).unwrap()),
        _ => Arc::new(MemoryStore::new()),
    };
    let side = Arc::new(Consign::start(store.clone()).await);
    let warm = case.orders.min(64);
    burst(&side, 0, warm, case.in_flight.min(16)).await;
    let before = store.stats();
    let mut round = burst(&side, warm, case.orders, case.in_flight).await;
    let after = store.stats();
    let report = side.engine.report();
    assert_eq!(report.commits, 6 * (warm + case.orders), "six commits per order");
    assert_eq!(report.parked, 0);
    assert!(side.engine.stop(Duration::from_secs(10)).await.unfinished.is_empty());
    let orders = case.orders as f64;
    round.written = Written {
        commits: (after.batches - before.batches) as f64 / orders,
        flushes: (after.commits - before.commits) as f64 / orders,
        bytes: size(&folder.0) / (warm + case.orders) as f64,
    };
    round
}

async fn bare_round(case: Case) -> Round {
    let folder = Folder::fresh("bare");
    let (tx, rx) = mpsc::channel(4096);
    let (file, commits) = (folder.0.join("bare.db"), Arc::new(AtomicU64::new(0)));
    let flushes = commits.clone();
    let writer = std::thread::spawn(move || match case.store {
        "sqlite" => sqlite_writer(rx, &file, &flushes),
        _ => memory_writer(rx),
    });
    let side = Arc::new(Bare { tx });
    let warm = case.orders.min(64);
    burst(&side, 0, warm, case.in_flight.min(16)).await;
    let before = commits.load(Ordering::Relaxed);
    let mut round = burst(&side, warm, case.orders, case.in_flight).await;
    let flushes = commits.load(Ordering::Relaxed) - before;
    drop(side);
    tokio::task::spawn_blocking(move || writer.join().unwrap()).await.unwrap();
    round.written = Written {
        commits: 6.0,
        flushes: flushes as f64 / case.orders as f64,
        bytes: size(&folder.0) / (warm + case.orders) as f64,
    };
    round
}

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let has = |name: &str| args.iter().any(|a| a == name);
    if has("--list") {
        return;
    }
    let only = args.iter().find(|a| !a.starts_with('-'));
    let quick = has("--quick") || !has("--bench");
    let rounds = if quick { 1 } else { 7 };
    let few = |orders: u64| if quick { orders.div_ceil(50) } else { orders };
    let cases = [
        Case { store: "memory", in_flight: 1, orders: few(4_000) },
        Case { store: "memory", in_flight: 256, orders: few(20_000) },
        Case { store: "sqlite", in_flight: 1, orders: few(300) },
        Case { store: "sqlite", in_flight: 256, orders: few(8_000) },
    ];
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let (mut table, mut lines) = (String::new(), Vec::new());
    for case in
        cases.into_iter().filter(|c| only.is_none_or(|o| format!("{}/{}", c.store, c.in_flight) == *o))
    {
        let (mut ours, mut bare) = (Vec::new(), Vec::new());
        for _ in 0..rounds {
            bare.push(runtime.block_on(async move { tokio::spawn(bare_round(case)).await.unwrap() }));
            ours.push(runtime.block_on(async move { tokio::spawn(engine_round(case)).await.unwrap() }));
        }
        let (per_s, reference) = (median(&ours, |r| r.per_s), median(&bare, |r| r.per_s));
        lines.push(serde_json::json!({"store": case.store, "in_flight": case.in_flight,
            "orders_per_s": per_s.round(), "reference_orders_per_s": reference.round(),
            "ratio": (per_s / reference * 1e3).round() / 1e3}));
        for (name, rounds) in [("engine", &ours), ("reference", &bare)] {
            let m = |of: fn(&Round) -> f64| median(rounds, of);
            let _ = writeln!(
                table,
                "{:<7} {:>9}  {name:<9} {:>9.0} {:>8.3} {:>8.3} {:>8.2} {:>8.2} {:>11.0}  {:>6.2}",
                case.store,
                case.in_flight,
                m(|r| r.per_s),
                m(|r| r.p50_ms),
                m(|r| r.p99_ms),
                m(|r| r.written.commits),
                m(|r| r.written.flushes),
                m(|r| r.written.bytes),
                m(|r| r.per_s) / reference,
            );
        }
    }
    if has("--json") {
        println!("{}", serde_json::json!({ "runs": lines }));
    } else {
        println!(
            "store   in flight  side       orders/s   p50 ms   p99 ms  commits  flushes bytes/order   ratio\n{table}"
        );
        println!("commits, flushes (transactions) and bytes on disk are per order");
    }
}
