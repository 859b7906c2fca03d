//! Whatever the disk does, an order that was acknowledged is there afterwards, whole.
//!
//! ```text
//! parent --starts--> child: this same binary, an engine on a SQLite file
//!    ^                  |
//!    +-- acks, by pipe -+      never by the disk that is going to fail
//!    |
//!    +-- fails a system call of it (strace), or cuts the power under it (ext4 on a loop device, shut down)
//!    +-- opens what is left, and compares
//! ```
//!
//! What this needs of the system (strace, mounting, a program that can shut a file system down) may be absent or
//! refused: the test then says so, and that nothing was tried.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use consign::clock::Timestamp;
use consign::engine::{CommandError, Engine, EngineError, PlaceError};
use consign::gateway::{RiskScorer, Ticket};
use consign::journal::verify;
use consign::machine::{Effect, Reply};
use consign::stage::review::Score;
use consign::store::{CommitError, Error, SqliteStore, Store};
use consign::testing::{SandboxGateway, SandboxScorer};

use crate::engine::journey::start;
use crate::engine::support::{
    Disk, Folder, MINUTE, MORNING, Shop, World, carla, draft, key, packs_itself, run as at_once,
};

pub(crate) fn full() -> bool {
    std::env::var("CONSIGN_FULL").is_ok_and(|v| v == "1")
}

/// A test tries nothing, since the system lacks what it needs. A full run fails for it, since its promises would rest on
/// nothing; any other says how many there were and why, past the harness, which keeps what tests that pass print.
pub(crate) fn untried(what: &str, why: &str) {
    static UNTRIED: AtomicUsize = AtomicUsize::new(0);
    assert!(
        !full(),
        "nothing was tried: {what}: {why}; a full run needs strace, mkfs.ext4 and the right to mount"
    );
    let nth = UNTRIED.fetch_add(1, Ordering::Relaxed) + 1;
    let _ = writeln!(std::io::stderr(), "skipped, {nth} so far: {what}: {why}");
}

/// Runs a test in real time, since what fails here is a real disk.
pub(crate) fn run<T>(test: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(test)
}

// The child.

/// The file that the child works on. Without it, it is not a child.
const CHILD: &str = "CONSIGN_DISK_CHILD";
/// The first order that it places, and how many.
const FIRST: &str = "CONSIGN_DISK_FIRST";
const ORDERS: &str = "CONSIGN_DISK_ORDERS";
const HABIT: &str = "CONSIGN_DISK_HABIT";
/// Where the books of its gateway are. Without it they are forgotten with the child.
const BOOKS: &str = "CONSIGN_DISK_BOOKS";

/// How a child goes about its work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Habit {
    /// Goes on after an error, on the same handle, and closes its store at the end.
    Persists,
    /// Ends without closing its store.
    Vanishes,
    /// Ends at the first error.
    GivesUp,
    /// Ends at the first error, and has its store answer before it flushes.
    Careless,
}

impl Habit {
    const ALL: [Self; 4] = [Self::Persists, Self::Vanishes, Self::GivesUp, Self::Careless];

    fn name(self) -> String {
        format!("{self:?}")
    }
}

/// A line of its own, whatever the test harness has printed before it.
fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    // A parent that has gone away needs no answer.
    let _ = out.write_all(format!("\n{line}\n").as_bytes()).and_then(|()| out.flush());
}

fn of_engine(why: &EngineError) -> &'static str {
    match why {
        EngineError::Store(Error::Full) | EngineError::Commit(CommitError::Full) => "full",
        EngineError::Commit(CommitError::Unconfirmed(_)) => "unconfirmed",
        _ => "failed",
    }
}

fn of_place(why: &PlaceError) -> &'static str {
    match why {
        PlaceError::Engine(why) => of_engine(why),
        PlaceError::Unconfirmed(_) => "unconfirmed",
        _ => "failed",
    }
}

fn of_command(why: &CommandError) -> &'static str {
    match why {
        CommandError::Engine(why) => of_engine(why),
        CommandError::Unconfirmed(_) => "unconfirmed",
        _ => "failed",
    }
}

/// The other process. As a test of its own it does nothing.
#[test]
fn child() {
    let Some(path) = std::env::var_os(CHILD) else { return };
    let number = |name: &str| std::env::var(name).unwrap().parse::<u32>().unwrap();
    let said = std::env::var(HABIT).unwrap();
    let habit = Habit::ALL.into_iter().find(|habit| habit.name() == said).unwrap();
    // A child that hangs is found out, and its parent does not wait for ever.
    std::thread::spawn(|| {
        std::thread::park_timeout(Duration::from_secs(60));
        say("hangs");
        std::process::exit(3);
    });
    if habit == Habit::Careless {
        consign::testing::answer_before_flushing();
    }
    run(work(Path::new(&path), number(FIRST), number(ORDERS), habit));
}

async fn work(path: &Path, first: u32, orders: u32, habit: Habit) {
    // A fault of the calls that open a file is met once by each thread: who asks again is let in, and gets to the
    // writer's own.
    let mut engine = None;
    for _ in 0..3 {
        match opened(path).await {
            Ok(open) => {
                engine = Some(open);
                break;
            }
            Err(why) => say(&format!("error open {why}")),
        }
    }
    let Some(engine) = engine else { return };
    for n in first..first.saturating_add(orders) {
        let id = format!("o-{n}");
        let placed = match engine.place(draft(&id, &[2000, 500], &[("card", 2500)])).await {
            Ok(placed) => Ok(placed.version),
            Err(why) => Err(format!("{} {why}", of_place(&why))),
        };
        let went = placed.is_ok();
        ack(&id, placed);
        if went {
            // The money is taken, the score is asked for and the goods are set aside while the next order comes in.
            let paid = match engine.command(&key(&id), carla(), "pay", start(1)).await {
                Ok(done) => Ok(done.version),
                Err(why) => Err(format!("{} {why}", of_command(&why))),
            };
            if ack(&id, paid) {
                continue;
            }
        }
        if matches!(habit, Habit::GivesUp | Habit::Careless) {
            break;
        }
    }
    if habit == Habit::Vanishes {
        say("end");
        // Before anything is dropped, and so closed.
        std::process::exit(0);
    }
    engine.stop(Duration::from_millis(100)).await;
    say("end");
}

async fn opened(path: &Path) -> Result<Engine, String> {
    let store = SqliteStore::open(path).map_err(|why| match why {
        Error::Full => format!("full {why}"),
        why => format!("failed {why}"),
    })?;
    let store = Arc::new(store);
    let books = std::env::var_os(BOOKS).map(PathBuf::from);
    let gateway = Arc::new(SandboxGateway::open(books.as_deref()).unwrap());
    let world = World { gateway, ..World::new(Disk::file(path), packs_itself()) };
    match world.wiring().store(store.clone()).start().await {
        Ok(engine) => Ok(engine),
        Err(why) => {
            let _ = store.close().await;
            let what = if why.to_string().contains("no room left") { "full" } else { "failed" };
            Err(format!("{what} {why}"))
        }
    }
}

/// What the clock shows that all processes see.
fn micros() -> u128 {
    SystemTime::UNIX_EPOCH.elapsed().unwrap().as_micros()
}

/// Says that an order stands at least at a version, or why it does not.
fn ack(id: &str, answer: Result<u64, String>) -> bool {
    match &answer {
        Ok(version) => say(&format!("ack {id} {version} {}", micros())),
        Err(why) => say(&format!("error {id} {why}")),
    }
    answer.is_ok()
}

// The parent.

/// What a child said.
#[derive(Debug, Default)]
pub(crate) struct Told {
    /// Orders, the version that each was acknowledged at, and when.
    pub(crate) acks: Vec<(String, u64, u128)>,
    pub(crate) errors: Vec<String>,
    pub(crate) ended: bool,
}

impl Told {
    fn line(&mut self, line: &str) {
        let words: Vec<&str> = line.split(' ').collect();
        match words.as_slice() {
            ["ack", id, version, at] => {
                self.acks.push(((*id).to_owned(), version.parse().unwrap(), at.parse().unwrap()));
            }
            ["error", ..] => self.errors.push(line.to_owned()),
            ["end"] => self.ended = true,
            // What the harness prints.
            _ => {}
        }
    }

    /// The last version that was acknowledged of each order before a time.
    fn before(&self, time: u128) -> BTreeMap<String, u64> {
        let early = self.acks.iter().filter(|(_, _, at)| *at < time);
        early.map(|(id, version, _)| (id.clone(), *version)).collect()
    }

    pub(crate) fn all(&self) -> BTreeMap<String, u64> {
        self.before(u128::MAX)
    }
}

/// A child of this test; killed and waited for when the test is over before it is.
pub(crate) struct Child {
    process: std::process::Child,
    lines: std::io::Lines<BufReader<std::process::ChildStdout>>,
    complaints: PathBuf,
}

impl Child {
    fn start(tracer: &[String], file: &Path, orders: (u32, u32), habit: Habit, complaints: &Path) -> Self {
        Self::start_with(tracer, file, orders, habit, complaints, None)
    }

    /// Starts one whose gateway has its books in a file.
    pub(crate) fn start_with(
        tracer: &[String],
        file: &Path,
        orders: (u32, u32),
        habit: Habit,
        complaints: &Path,
        books: Option<&Path>,
    ) -> Self {
        let me = std::env::current_exe().unwrap();
        let mut command = match tracer.split_first() {
            None => Command::new(&me),
            Some((program, args)) => {
                let mut command = Command::new(program);
                command.args(args).arg(&me);
                command
            }
        };
        let mut process = command
            .args(["--exact", "disk::child", "--nocapture", "--test-threads=1"])
            .env(CHILD, file)
            .env(FIRST, orders.0.to_string())
            .env(ORDERS, orders.1.to_string())
            .env(HABIT, habit.name())
            .envs(books.map(|path| (BOOKS, path)))
            .stdout(Stdio::piped())
            .stderr(File::create(complaints).unwrap())
            .spawn()
            .unwrap();
        let lines = BufReader::new(process.stdout.take().unwrap()).lines();
        Self { process, lines, complaints: complaints.to_owned() }
    }

    /// Listens until it has heard so many acknowledgements.
    fn hear(&mut self, told: &mut Told, acks: usize) {
        while told.acks.len() < acks {
            let Some(line) = self.lines.next() else { break };
            told.line(&line.unwrap());
        }
    }

    /// Listens to the end, whatever it is. Whether it was an orderly one.
    pub(crate) fn gone(mut self, told: &mut Told) -> bool {
        self.hear(told, usize::MAX);
        self.process.wait().unwrap().success()
    }

    /// Listens to the end, which is an orderly one.
    fn ended(mut self, told: &mut Told) {
        self.hear(told, usize::MAX);
        let status = self.process.wait().unwrap();
        let complaints = fs::read_to_string(&self.complaints).unwrap();
        assert!(status.success() && !complaints.contains("panicked"), "{status}\n{told:?}\n{complaints}");
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// What is left on a disk, opened anew: every order is whole and the store goes on. Answers the acknowledgements that
/// are not there, and how many orders are.
fn left(file: &Path, acks: &BTreeMap<String, u64>, about: &str) -> (Vec<String>, usize) {
    run(async {
        let store = Arc::new(SqliteStore::open(file).unwrap_or_else(|why| panic!("{about}: {why}")));
        store.check().await.unwrap_or_else(|why| panic!("{about}: {why}"));
        let mut versions = BTreeMap::new();
        for brief in store.scan(None, 1_000_000, false).await.unwrap() {
            let stored = store.load(&brief.order).await.unwrap().unwrap();
            let entries = store.journal(&brief.order, 1, 1_000_000).await.unwrap();
            assert_eq!(stored.version, entries.len() as u64, "{about}: {}", brief.order);
            verify(&entries, &stored).unwrap_or_else(|why| panic!("{about}: {}: {why}", brief.order));
            versions.insert(brief.order.order.as_str().to_owned(), stored.version);
        }
        let lost = acks
            .iter()
            .filter(|(id, version)| versions.get(*id) < Some(*version))
            .map(|(id, version)| format!("{id} at {version}, found {:?}", versions.get(id)))
            .collect();
        let world = World::new(Disk::file(file), packs_itself());
        let engine = world.wiring().store(store).start().await.unwrap();
        engine.place(draft("afterwards", &[100], &[("card", 100)])).await.unwrap();
        engine.stop(Duration::ZERO).await;
        (lost, versions.len())
    })
}

/// Why a program of the system does not do what a test needs; none when it does.
pub(crate) fn refused(program: &str, args: &[&str]) -> Option<String> {
    match Command::new(program).args(args).output() {
        Err(why) => Some(format!("{program}: {why}")),
        Ok(out) if out.status.success() => None,
        Ok(out) => Some(format!("{program}: {}", String::from_utf8_lossy(&out.stderr).trim())),
    }
}

// A failing disk.

/// One child on one file, whose calls fail from the `nth` on, once or for good.
#[derive(Debug, Clone, Copy)]
struct Trial {
    error: &'static str,
    /// Which calls: none but those on the store's own files are counted, for each thread by itself.
    calls: &'static str,
    nth: u32,
    for_good: bool,
    /// Whether another process was here before, and did not close the file.
    left_open: bool,
}

struct Tried {
    told: Told,
    injected: usize,
    /// The most such calls that one thread made.
    made: usize,
}

/// Orders of a trial, and of the process before it.
const TRIED: u32 = 4;
const BEFORE: u32 = 3;

/// A trial in which nothing fails acknowledges that each order is placed, and that its payment is begun.
const ACKS: usize = 2 * TRIED as usize;

/// More calls than a trial makes, and the most that can be counted.
const NEVER: u32 = 65_535;

impl Trial {
    fn run(self, before: &BTreeMap<String, u64>, template: &Path) -> Tried {
        let folder = Folder::new("fails");
        let (file, log) = (folder.file("orders.db"), folder.file("calls.txt"));
        if self.left_open {
            for ending in ["", "-wal"] {
                let from = PathBuf::from(format!("{}{ending}", template.display()));
                fs::copy(from, format!("{}{ending}", file.display())).unwrap();
            }
        }
        let mut tracer: Vec<String> =
            ["strace", "-f", "-qq", "--seccomp-bpf", "-e", "signal=none", "-o"].map(str::to_owned).into();
        tracer.push(log.display().to_string());
        for ending in ["", "-wal", "-shm", ".new", ".new-wal", ".new-shm"] {
            tracer.extend(["-P".to_owned(), format!("{}{ending}", file.display())]);
        }
        tracer.extend(["-P".to_owned(), file.parent().unwrap().display().to_string()]);
        let on = if self.for_good { "+" } else { "" };
        tracer.extend(["-e".to_owned(), format!("trace={}", self.calls)]);
        tracer.extend([
            "-e".to_owned(),
            format!("inject={}:error={}:when={}{on}", self.calls, self.error, self.nth),
        ]);
        let mut told = Told::default();
        let orders = (BEFORE, TRIED);
        Child::start(&tracer, &file, orders, Habit::Persists, &folder.file("complaints.txt"))
            .ended(&mut told);
        let log = fs::read_to_string(log).unwrap();
        let mut made: BTreeMap<&str, usize> = BTreeMap::new();
        for line in log.lines() {
            *made.entry(line.split(' ').next().unwrap()).or_default() += 1;
        }
        let mut acks = told.all();
        if self.left_open {
            acks.extend(before.clone());
        }
        let (lost, _) = left(&file, &acks, &format!("{self:?}"));
        assert!(lost.is_empty(), "{self:?} lost {lost:?}\n{told:?}");
        let injected = log.matches("(INJECTED)").count();
        Tried { told, injected, made: made.into_values().max().unwrap_or(0) }
    }
}

/// Fails every write, then every flush, of a child with an error; once and for good; on a new file and on one that was
/// left open. Answers what was tried, with what was said.
fn everywhere(error: &'static str) -> Vec<(Trial, Tried)> {
    if let Some(why) = refused("strace", &["-f", "-o", "/dev/null", "--seccomp-bpf", "true"]) {
        untried("no call to the disk can be made to fail", &why);
        return Vec::new();
    }
    let folder = Folder::new("left-open");
    let (template, mut before) = (folder.file("orders.db"), Told::default());
    Child::start(&[], &template, (0, BEFORE), Habit::Vanishes, &folder.file("complaints.txt"))
        .ended(&mut before);
    assert!(before.ended && before.all().len() == BEFORE as usize, "{before:?}");
    let before = before.all();
    let mut all = Vec::new();
    for calls in ["pwrite64", "fsync,fdatasync"] {
        for left_open in [false, true] {
            let trial = |nth, for_good| Trial { error, calls, nth, for_good, left_open };
            let clean = trial(NEVER, false).run(&before, &template);
            assert!(
                clean.injected == 0 && clean.told.ended && clean.told.errors.is_empty(),
                "{:?}",
                clean.told
            );
            assert_eq!(clean.told.acks.len(), ACKS);
            let made = u32::try_from(clean.made).unwrap();
            for for_good in [false, true] {
                let every = match (full(), for_good) {
                    (false, _) => (made / 2).max(1),
                    (true, false) => 1,
                    // What comes after the first failure differs little from one to the next.
                    (true, true) => (made / 25).max(1),
                };
                for nth in (1..).step_by(every as usize) {
                    let tried = trial(nth, for_good).run(&before, &template);
                    if tried.injected == 0 {
                        break;
                    }
                    all.push((trial(nth, for_good), tried));
                }
            }
            println!("{error}: {calls} {made} times, left open: {left_open}");
        }
    }
    let sum = |of: fn(&Tried) -> usize| all.iter().map(|(_, tried)| of(tried)).sum::<usize>();
    println!(
        "{error}: {} trials, {} injections, {} acknowledgements, {} errors told, of them {} that the disk is full \
         and {} that the outcome is unknown",
        all.len(),
        sum(|tried| tried.injected),
        sum(|tried| tried.told.acks.len()),
        sum(|tried| tried.told.errors.len()),
        sum(|tried| tried.told.errors.iter().filter(|why| is(why, "full")).count()),
        sum(|tried| tried.told.errors.iter().filter(|why| is(why, "unconfirmed")).count()),
    );
    all
}

/// Whether a line of a child tells this kind of error.
fn is(error: &str, kind: &str) -> bool {
    error.split(' ').nth(2) == Some(kind)
}

#[test]
fn eio_at_every_write_and_flush() {
    let all = everywhere("EIO");
    for (trial, tried) in &all {
        // Opening takes a failure of the log's index for a lack of room.
        let full = |why: &String| is(why, "full") && !why.starts_with("error open ");
        assert!(!tried.told.errors.iter().any(full), "{trial:?}: {:?}", tried.told);
        // One failed call in the life of a connection is made good by opening another.
        if !trial.for_good {
            assert!(tried.told.ended, "{trial:?}: {:?}", tried.told);
        }
    }
    let dead =
        |(trial, tried): &(Trial, Tried)| trial.for_good && trial.nth == 1 && tried.told.acks.is_empty();
    assert!(all.is_empty() || all.iter().any(dead), "a disk that takes nothing has acknowledged something");
}

#[test]
fn enospc_at_every_write_and_flush() {
    let all = everywhere("ENOSPC");
    for (trial, tried) in all.iter().filter(|(trial, _)| trial.calls == "pwrite64") {
        assert!(tried.told.errors.iter().all(|why| is(why, "full")), "{trial:?}: {:?}", tried.told);
        if trial.for_good && tried.told.acks.len() < ACKS {
            assert!(!tried.told.errors.is_empty(), "{trial:?}: {:?}", tried.told);
        }
    }
    let told = |(_, tried): &(Trial, Tried)| tried.told.errors.iter().any(|why| is(why, "full"));
    assert!(all.is_empty() || all.iter().any(told), "no child was told that the disk is full");
}

// A full disk.

/// A scorer under whose hands the disk fills up: the answer comes when there is no room to write it down.
#[derive(Default)]
struct FillsUp {
    fill: OnceLock<Box<dyn Fn() + Send + Sync>>,
    asked: AtomicBool,
}

struct Scorer(Arc<FillsUp>, SandboxScorer);

#[async_trait]
impl RiskScorer for Scorer {
    async fn score(
        &self,
        score: Score,
        ticket: &Ticket,
    ) -> Reply<<Score as Effect>::Done, <Score as Effect>::Declined> {
        if !self.0.asked.swap(true, Ordering::SeqCst) {
            (self.0.fill.get().unwrap())();
        }
        self.1.score(score, ticket).await
    }
}

async fn fills_up(disk: Disk, fill: impl Fn(&Shop) -> Box<dyn Fn() + Send + Sync>, free: impl Fn(&Shop)) {
    let world = World::new(disk, packs_itself());
    let hand = Arc::new(FillsUp::default());
    let wiring = world.wiring().scorer(Arc::new(Scorer(hand.clone(), SandboxScorer::new(Some(10)))));
    let shop = world.open_with(Timestamp::from_millis(MORNING), wiring).await;
    assert!(hand.fill.set(fill(&shop)).is_ok());
    shop.place(draft("before", &[2000], &[("card", 2000)])).await.unwrap();
    shop.place(draft("under-way", &[2000], &[("card", 2000)])).await.unwrap();
    // Paid; then the disk is full, and what the scorer said cannot be written down.
    shop.asks("under-way", &carla(), start(1)).await;
    assert!(hand.asked.load(Ordering::SeqCst), "{}", shop.show("under-way").await);

    let mut refusals = 0;
    for n in 0..20 {
        let no = shop.place(draft(&format!("refused-{n}"), &[2000], &[("card", 2000)])).await.unwrap_err();
        assert_eq!(no, PlaceError::Engine(EngineError::Commit(CommitError::Full)));
        let no = shop.command("before", &carla(), "", start(1)).await.unwrap_err();
        assert_eq!(no, CommandError::Engine(EngineError::Commit(CommitError::Full)));
        refusals += 2;
        // Reading goes on, from memory and from the disk.
        assert_eq!(shop.phase("before").await, "awaiting_payment");
        assert_eq!(shop.life.load_raw("before").await.version, 1);
        assert!(shop.seen(&format!("refused-{n}")).await.is_none());
        shop.pass(MINUTE).await;
        assert_eq!(
            shop.phase("under-way").await,
            "under_review",
            "nothing is decided that is not written down"
        );
    }

    free(&shop);
    // Nobody asks: what was under way goes on by itself.
    shop.pass(MINUTE).await;
    assert_eq!(shop.phase("under-way").await, "dispatching", "{}", shop.show("under-way").await);
    shop.place(draft("refused-0", &[2000], &[("card", 2000)])).await.unwrap();
    shop.asks("before", &carla(), start(1)).await;
    assert_eq!(shop.phase("before").await, "dispatching", "{}", shop.show("before").await);
    for order in ["before", "under-way", "refused-0"] {
        shop.journal(order).await;
    }
    assert_eq!(shop.world.gateway.totals().duplicate_effects, 0);
    shop.engine.store().check().await.unwrap();
    println!("{refusals} refusals, each typed as full");
    shop.stopped().await;
}

#[test]
fn a_full_store_is_typed_and_the_engine_goes_on_by_itself_when_there_is_room() {
    let fill = |shop: &Shop| -> Box<dyn Fn() + Send + Sync> {
        let life = shop.life.clone();
        Box::new(move || life.fill(true))
    };
    at_once(fills_up(Disk::memory(), fill, |shop| shop.life.fill(false)));
}

#[test]
fn a_full_disk_is_typed_and_the_engine_goes_on_by_itself_when_there_is_room() {
    let folder = Folder::new("full");
    let small = folder.file("disk");
    let Some(mounted) = small_disk(&small) else { return };
    let filler = small.join("filler");
    let fill = |_: &Shop| -> Box<dyn Fn() + Send + Sync> {
        let filler = filler.clone();
        Box::new(move || fill_with(&filler))
    };
    at_once(fills_up(Disk::file(&small.join("orders.db")), fill, |_| fs::remove_file(&filler).unwrap()));
    drop(mounted);
}

#[test]
fn a_store_is_not_opened_on_a_full_disk_which_is_typed_and_is_opened_when_there_is_room() {
    let folder = Folder::new("full");
    let small = folder.file("disk");
    let Some(mounted) = small_disk(&small) else { return };
    let (old, new, filler) = (small.join("old.db"), small.join("new.db"), small.join("filler"));
    run(async { SqliteStore::open(&old).unwrap().close().await.unwrap() });
    fill_with(&filler);
    for file in [&old, &new] {
        assert_eq!(SqliteStore::open(file).unwrap_err(), Error::Full, "{}", file.display());
    }
    fs::remove_file(&filler).unwrap();
    for file in [&old, &new] {
        let store = SqliteStore::open(file).unwrap();
        run(async { store.check().await.unwrap() });
        run(async { store.close().await.unwrap() });
    }
    drop(mounted);
}

/// A disk with little room; none, with the reason printed, where nothing may be mounted.
fn small_disk(at: &Path) -> Option<Mounted> {
    match Mounted::new(&["-t", "tmpfs", "-o", "size=2m", "none"], at) {
        Ok(mounted) => Some(mounted),
        Err(why) => {
            untried("no small disk can be mounted", &why);
            None
        }
    }
}

/// Takes all the room that is left.
fn fill_with(filler: &Path) {
    let mut file = File::create(filler).unwrap();
    // The error is the end of the disk.
    while file.write_all(&[1; 4096]).is_ok() {}
}

// A power cut.

/// A mounted file system, gone when the test is over.
struct Mounted(PathBuf);

impl Mounted {
    fn new(what: &[&str], at: &Path) -> Result<Self, String> {
        fs::create_dir_all(at).unwrap();
        let at_text = at.display().to_string();
        let args: Vec<&str> = what.iter().copied().chain([at_text.as_str()]).collect();
        refused("mount", &args).map_or_else(|| Ok(Self(at.to_owned())), Err)
    }

    fn path(&self) -> String {
        self.0.display().to_string()
    }

    /// Takes it away and brings it back, as the system does when the power comes back.
    fn again(self, what: &[&str]) -> Self {
        let at = self.0.clone();
        assert_eq!(refused("umount", &[&self.path()]), None);
        std::mem::forget(self);
        Self::new(what, &at).unwrap()
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        if let Some(why) = refused("umount", &["-l", &self.path()]) {
            println!("{} stays mounted: {why}", self.path());
        }
    }
}

/// Ends a file system at once: what was not flushed stays unwritten, its log included (`EXT4_IOC_SHUTDOWN`, with the
/// flag `NOLOGFLUSH`), and says when it began to. A program does it, since this crate calls nothing unsafe.
const CUT: &str = "import fcntl, os, struct, sys, time
disk = os.open(sys.argv[1], os.O_RDONLY)
sys.stdin.readline()
print(time.time_ns() // 1000)
fcntl.ioctl(disk, 0x8004587D, struct.pack('I', 2))";

/// The program that cuts the power of a disk at the moment it is told to, not after it has started.
struct Switch(std::process::Child);

impl Switch {
    fn of(disk: &Mounted) -> std::io::Result<Self> {
        let mut command = Command::new("python3");
        command.args(["-c", CUT, &disk.path()]).stdin(Stdio::piped());
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        command.spawn().map(Self)
    }

    /// When the cut began, or why there was none.
    fn cut(mut self) -> Result<u128, String> {
        // Whether it heard shows in how it ends.
        let _ = self.0.stdin.take().unwrap().write_all(b"now\n");
        let out = self.0.wait_with_output().unwrap();
        if !out.status.success() {
            return Err(String::from_utf8_lossy(&out.stderr).trim().to_owned());
        }
        Ok(String::from_utf8_lossy(&out.stdout).trim().parse().unwrap())
    }
}

/// Cuts the power so many times under a child, each time after another number of acknowledgements. Answers how many
/// orders were acknowledged before the cut, and which of them were lost; none when it cannot be done here.
fn cuts(times: u32, habit: Habit) -> Option<(usize, Vec<String>)> {
    let skip = |why: String| {
        untried("the power cannot be cut", &why);
        None
    };
    let folder = Folder::new("power");
    let image = folder.file("image").display().to_string();
    File::create(&image).unwrap().set_len(64 << 20).unwrap();
    if let Some(why) = refused("mkfs.ext4", &["-q", "-F", &image]) {
        return skip(why);
    }
    let how = ["-t", "ext4", "-o", "loop", image.as_str()];
    let mut disk = match Mounted::new(&how, &folder.file("disk")) {
        Ok(disk) => disk,
        Err(why) => return skip(why),
    };
    match Switch::of(&disk).map(Switch::cut) {
        Ok(Ok(_)) => {}
        Ok(Err(why)) => return skip(why),
        Err(why) => return skip(why.to_string()),
    }
    disk = disk.again(&how);
    let (mut acks, mut lost) = (BTreeMap::new(), Vec::new());
    for cut in 0..times {
        let file = disk.0.join("orders.db");
        let mut told = Told::default();
        let orders = (cut * 100_000, 100_000);
        let switch = Switch::of(&disk).unwrap();
        let mut child = Child::start(&[], &file, orders, habit, &folder.file("complaints.txt"));
        child.hear(&mut told, 2 + (cut as usize * 7) % 60);
        assert!(!told.acks.is_empty() && told.errors.is_empty(), "{told:?}");
        let began = switch.cut().unwrap();
        child.ended(&mut told);
        assert!(!told.errors.is_empty(), "nothing failed when the power was cut: {told:?}");
        disk = disk.again(&how);
        // The kernel answers a flush that it is at when this begins as if it had written, which no dead machine does:
        // what is acknowledged from then on is whole or absent, and no more is asked of it.
        acks.extend(told.before(began));
        let (gone, _) = left(&file, &acks, &format!("cut {cut}"));
        for told in &gone {
            acks.remove(told.split(' ').next().unwrap());
        }
        lost.extend(gone);
    }
    Some((acks.len() + lost.len(), lost))
}

#[test]
fn a_power_cut_loses_no_acknowledged_order() {
    let times = if full() { 20 } else { 3 };
    let Some((acks, lost)) = cuts(times, Habit::GivesUp) else { return };
    assert!(lost.is_empty(), "{} of {acks} are lost: {lost:?}", lost.len());
    println!("{times} cuts, {acks} orders acknowledged, none lost");
}

/// The check above, checked: with `synchronous=NORMAL` in the child's store it notices.
#[test]
fn mutant_synchronous_normal() {
    let times = if full() { 20 } else { 3 };
    let Some((_, lost)) = cuts(1, Habit::GivesUp) else { return };
    assert!(lost.is_empty(), "the switch is off, and {lost:?} are lost");
    let Some((acks, lost)) = cuts(times, Habit::Careless) else { return };
    assert!(
        !lost.is_empty(),
        "{acks} orders survived without a flush, so cutting the power proves nothing here"
    );
    println!("{times} cuts, {acks} orders acknowledged, {} lost without the flush", lost.len());
}
