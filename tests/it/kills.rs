//! A process that is killed at any of its calls to the disk, also while it recovers, loses nothing and does nothing twice.
//!
//! The child says what it has acknowledged by a pipe, and its gateway writes books of its own: both outlive it. What is
//! left is opened, brought to its end, and compared with them.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use consign::clock::{Clock as _, SystemClock};
use consign::journal::verify;
use consign::machine::Call;
use consign::stage::payment::{Start, attempt};
use consign::store::{SqliteStore, Store as _};
use consign::testing::SandboxGateway;

use crate::disk::{Child, Habit, Told, full, refused, run, untried};
use crate::engine::journey::approves;
use crate::engine::support::{
    DAY, Disk, Folder, HOUR, MINUTE, Shop, World, carla, key, packs_itself, run as at_once,
};

/// Everything that changes a file or a folder, or waits until it is on the disk.
const CALLS: &str = "pwrite64,ftruncate,openat,unlink,rename,fsync,fdatasync";

const ORDERS: u32 = 3;
const PRICE: i64 = 2500;

/// A folder with a store and the books of a gateway, in which children live and die.
struct Scene {
    folder: Folder,
    acks: BTreeMap<String, u64>,
    lives: usize,
}

impl Scene {
    fn new() -> Self {
        Self { folder: Folder::new("killed"), acks: BTreeMap::new(), lives: 0 }
    }

    fn file(&self) -> PathBuf {
        self.folder.file("orders.db")
    }

    fn books(&self) -> PathBuf {
        self.folder.file("books.jsonl")
    }

    /// A child works on the orders, and is killed at the `nth` call that one of its threads makes. Whether it was.
    fn lives(&mut self, nth: u32) -> bool {
        let (file, log) = (self.file(), self.folder.file("calls.txt"));
        // With `--seccomp-bpf`, no signal is ever sent.
        let mut tracer: Vec<String> =
            ["strace", "-f", "-qq", "-e", "signal=none", "-o"].map(str::to_owned).into();
        tracer.push(log.display().to_string());
        for ending in ["", "-wal", "-shm", ".new", ".new-wal", ".new-shm"] {
            tracer.extend(["-P".to_owned(), format!("{}{ending}", file.display())]);
        }
        tracer.extend(["-e".to_owned(), format!("trace={CALLS}")]);
        tracer.extend(["-e".to_owned(), format!("inject={CALLS}:signal=KILL:when={nth}")]);
        let mut told = Told::default();
        let complaints = self.folder.file("complaints.txt");
        let child =
            Child::start_with(&tracer, &file, (0, ORDERS), Habit::Persists, &complaints, Some(&self.books()));
        let whole = child.gone(&mut told);
        assert_eq!(whole, told.ended, "{told:?}\n{}", fs::read_to_string(&complaints).unwrap());
        for (id, version) in told.all() {
            let known = self.acks.entry(id).or_default();
            *known = version.max(*known);
        }
        self.lives += 1;
        !whole
    }

    /// Opens what is left, brings every order to where it goes, and compares.
    fn settles(&self, about: &str) {
        let file = self.file();
        run(async {
            let Ok(store) = SqliteStore::open_existing(&file) else {
                assert!(
                    self.acks.is_empty(),
                    "{about}: the file is gone, and {:?} were acknowledged",
                    self.acks
                );
                return;
            };
            store.check().await.unwrap_or_else(|why| panic!("{about}: {why}"));
            for (id, version) in &self.acks {
                let stored = store.load(&key(id)).await.unwrap();
                let stored = stored.unwrap_or_else(|| panic!("{about}: {id} was acknowledged and is gone"));
                assert!(stored.version >= *version, "{about}: {id} at {version}, found {}", stored.version);
                let entries = store.journal(&key(id), 1, 1_000_000).await.unwrap();
                verify(&entries, &stored).unwrap_or_else(|why| panic!("{about}: {id}: {why}"));
            }
            store.close().await.unwrap();
        });
        at_once(self.continues(about));
    }

    /// The same commands once more, under the same keys, until every order is paid.
    async fn continues(&self, about: &str) {
        let gateway = Arc::new(SandboxGateway::open(Some(&self.books())).unwrap());
        let world = World { gateway, ..World::new(Disk::file(&self.file()), packs_itself()) };
        let shop = world.open(SystemClock.now()).await;
        for n in 0..ORDERS {
            let id = format!("o-{n}");
            shop.place(crate::engine::support::draft(&id, &[2000, 500], &[("card", PRICE)])).await.unwrap();
            shop.command(&id, &carla(), "pay", start(1)).await.unwrap();
        }
        shop.pass(HOUR).await;
        for n in 0..ORDERS {
            let id = format!("o-{n}");
            self.pays(&shop, &id).await;
            // What the scorer did not say in time, since the process was not there, is decided by people.
            if shop.phase(&id).await == "under_review" {
                approves(&shop, &id, "anna").await;
            }
        }
        shop.pass(DAY).await;
        for n in 0..ORDERS {
            let id = format!("o-{n}");
            let paid = format!("psp:card {PRICE}, cust -{PRICE}");
            assert_eq!(shop.balances(&id).await, paid, "{about}: {}", shop.show(&id).await);
            assert_eq!(shop.phase(&id).await, "dispatching", "{about}: {}", shop.show(&id).await);
            assert_eq!(shop.world.gateway.moved(&key(&id)), (PRICE, 0), "{about}: {}", shop.show(&id).await);
            shop.journal(&id).await;
        }
        assert_eq!(shop.world.gateway.totals().duplicate_effects, 0, "{about}");
        shop.stopped().await;
    }

    /// A customer whose payment never left pays again.
    async fn pays(&self, shop: &Shop, id: &str) {
        let view = shop.order(id).await;
        let ended = |s: &attempt::State| matches!(s, attempt::State::NotSent(_) | attempt::State::Closed(_));
        if view.state::<attempt::M>(1).is_some_and(ended) {
            shop.asks(id, &carla(), start(2)).await;
            shop.pass(MINUTE).await;
        }
    }

    /// The same scene once more, as another folder.
    fn copied(&self) -> Self {
        let other = Self { acks: self.acks.clone(), ..Self::new() };
        for from in files(&self.file()).into_iter().chain([self.books()]).filter(|path| path.exists()) {
            fs::copy(&from, other.folder.file(from.file_name().unwrap().to_str().unwrap())).unwrap();
        }
        other
    }
}

fn files(file: &Path) -> Vec<PathBuf> {
    ["", "-wal", ".new", ".new-wal"]
        .iter()
        .map(|ending| format!("{}{ending}", file.display()).into())
        .collect()
}

fn start(attempt: u32) -> Call {
    let tender = consign::id::Key(1);
    attempt::M::command(attempt, Start { tender, channel: None, method: String::new() })
}

#[test]
fn a_process_that_is_killed_at_any_call_to_the_disk_loses_nothing_and_does_nothing_twice() {
    if let Some(why) = refused("strace", &["-f", "-o", "/dev/null", "true"]) {
        untried("no process is killed at a call; the sweeps end it at its commits and calls", &why);
        return;
    }
    let every = if full() { 1 } else { 19 };
    let (mut kills, mut acks) = (0, 0);
    // From nothing, at each of its calls. What the middle one leaves is taken up below.
    let mut middle = Scene::new();
    for nth in (1..).step_by(every) {
        let mut scene = Scene::new();
        if !scene.lives(nth) {
            break;
        }
        (kills, acks) = (kills + 1, acks + scene.acks.len());
        if nth <= 150 {
            middle = scene.copied();
        }
        scene.settles(&format!("killed at call {nth}"));
    }
    let from_nothing = kills;
    assert!(kills >= 5 && acks > 0, "{kills} kills, {acks} orders acknowledged");
    // While it takes up what one that was killed has left, at each of its calls.
    let mut again = 0;
    for nth in (1..).step_by(every) {
        let mut scene = middle.copied();
        if !scene.lives(nth) {
            break;
        }
        (again, acks) = (again + 1, acks + scene.acks.len());
        scene.settles(&format!("killed at call {nth} of its second life"));
    }
    assert!(again >= 3, "{again} kills in a second life");
    // And at every start in turn, until one comes through.
    let mut scene = Scene::new();
    let mut lives = 0;
    while scene.lives(3 + 31 * lives) {
        lives += 1;
    }
    scene.settles("killed in life after life");
    println!(
        "{from_nothing} processes killed from nothing, {again} in their second life, {lives} in a row; {acks} orders \
         acknowledged before"
    );
}
