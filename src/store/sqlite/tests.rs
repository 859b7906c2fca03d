#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use rusqlite::Connection;

use super::*;
use crate::store::{Columns, Owner};
use crate::testing::conformance;

/// A folder of its own, gone with the test.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("consign-store-{}-{number}", std::process::id());
        let folder = std::env::temp_dir().join(name);
        fs::create_dir_all(&folder).unwrap();
        Self(folder)
    }

    fn file(&self) -> PathBuf {
        self.0.join("orders.db")
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        drop(fs::remove_dir_all(&self.0));
    }
}

fn place(name: &str) -> Batch {
    let hash = Hash([7; 32]);
    Batch {
        order: OrderKey::new(TenantId::default(), name.parse().unwrap()),
        expected: 0,
        version: 1,
        head: hash,
        columns: Columns {
            pipeline: "physical".into(),
            pipeline_version: 1,
            fingerprint: 1,
            phase: "paying".into(),
            open: true,
            parked: None,
            captured_minor: 0,
            reserved_minor: 0,
            refunded_minor: 0,
            overdrawn: false,
            wake_at: None,
            placed_at: Timestamp::from_millis(0),
            updated_at: Timestamp::from_millis(0),
        },
        progress: Arc::from(&b"progress"[..]),
        document: Some(Arc::from(&b"document"[..])),
        policies: vec![],
        entries: vec![Entry { seq: 1, hash, body: Arc::from(&b"entry"[..]) }],
        index: vec![],
        owner: None,
    }
}

fn after(batch: &Batch) -> Batch {
    let version = batch.version + 1;
    let mut head = Hash([7; 32]);
    head.0[..8].copy_from_slice(&version.to_be_bytes());
    Batch {
        expected: batch.version,
        version,
        head,
        document: None,
        entries: vec![Entry { seq: version, hash: head, body: Arc::from(&b"next"[..]) }],
        ..batch.clone()
    }
}

async fn commit(store: &SqliteStore, batch: &Batch) -> Result<Position, CommitError> {
    store.commit(vec![batch.clone()]).await.pop().unwrap()
}

/// A closed file that holds one order.
async fn used(folder: &Folder) -> PathBuf {
    let path = folder.file();
    let store = SqliteStore::open(&path).unwrap();
    commit(&store, &place("o-1")).await.unwrap();
    store.close().await.unwrap();
    path
}

fn corrupt(path: &Path) -> String {
    match SqliteStore::open(path) {
        Err(Error::Corrupt { what }) => what,
        other => panic!("damage was not found: {other:?}"),
    }
}

#[tokio::test]
async fn sqlite_keeps_the_laws() {
    let folder = Folder::new();
    let number = AtomicU64::new(0);
    conformance::store(|| async {
        let name = format!("{}.db", number.fetch_add(1, Ordering::Relaxed));
        Arc::new(SqliteStore::open(folder.0.join(name)).unwrap()) as Arc<dyn Store>
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sqlite_keeps_the_laws_among_threads() {
    let folder = Folder::new();
    let number = AtomicU64::new(0);
    conformance::store(|| async {
        let name = format!("{}.db", number.fetch_add(1, Ordering::Relaxed));
        Arc::new(SqliteStore::open(folder.0.join(name)).unwrap()) as Arc<dyn Store>
    })
    .await;
}

#[tokio::test]
async fn what_was_answered_is_there_after_reopening() {
    let folder = Folder::new();
    let path = folder.file();
    conformance::durable(|| async { Arc::new(SqliteStore::open(&path).unwrap()) as Arc<dyn Store> }).await;
}

#[tokio::test]
async fn a_dropped_store_lets_go_of_its_file() {
    let folder = Folder::new();
    let path = folder.file();
    let mut last = place("o-1");
    commit(&SqliteStore::open(&path).unwrap(), &last).await.unwrap();
    for _ in 0..5 {
        let store = SqliteStore::open_existing(&path).unwrap();
        let next = after(&last);
        commit(&store, &next).await.unwrap();
        last = next;
    }
}

#[tokio::test]
async fn a_second_handle_is_told_that_the_file_is_taken() {
    let folder = Folder::new();
    let path = folder.file();
    let store = SqliteStore::open(&path).unwrap();
    let locked = |path: &Path| match SqliteStore::open(path) {
        Err(Error::Locked { path }) => path,
        other => panic!("two writers on one file: {other:?}"),
    };
    assert_eq!(locked(&path), store.path());
    let roundabout = folder.0.join(".").join("orders.db");
    assert_eq!(locked(&roundabout), store.path());
    #[cfg(unix)]
    {
        let link = folder.0.join("link.db");
        std::os::unix::fs::symlink(&path, &link).unwrap();
        assert_eq!(locked(&link), store.path());
    }
    commit(&store, &place("o-1")).await.unwrap();
    store.close().await.unwrap();
    SqliteStore::open(&path).unwrap().close().await.unwrap();
}

#[tokio::test]
async fn a_store_that_is_missing_is_not_made_up() {
    let folder = Folder::new();
    let missing = |path: &Path| {
        let found = SqliteStore::open_existing(path);
        assert!(matches!(found, Err(Error::Missing { .. })), "{found:?}");
    };
    missing(&folder.file());
    assert_eq!(fs::read_dir(&folder.0).unwrap().count(), 0, "the question left a trace");
    let nowhere = folder.0.join("no").join("folder.db");
    missing(&nowhere);
    assert!(matches!(SqliteStore::open(&nowhere), Err(Error::Missing { .. })));
}

#[tokio::test]
async fn every_connection_is_power_safe() {
    let folder = Folder::new();
    let path = used(&folder).await;
    for connection in [file::writer(&path).unwrap(), file::reader(&path).unwrap()] {
        let number = |pragma: &str| -> i64 { connection.query_row(pragma, [], |row| row.get(0)).unwrap() };
        assert_eq!(number("PRAGMA synchronous"), 2);
        assert_eq!(number("PRAGMA trusted_schema"), 0);
        let mode: String = connection.query_row("PRAGMA journal_mode", [], |row| row.get(0)).unwrap();
        assert_eq!(mode, "wal");
    }
    let reader = file::reader(&path).unwrap();
    assert!(reader.execute("DELETE FROM orders", []).is_err(), "a reader wrote");
}

#[tokio::test]
async fn a_file_that_is_not_in_wal_mode_is_refused() {
    let folder = Folder::new();
    let path = used(&folder).await;
    let connection = Connection::open(&path).unwrap();
    let mode: String = connection.query_row("PRAGMA journal_mode = DELETE", [], |row| row.get(0)).unwrap();
    assert_eq!(mode, "delete");
    drop(connection);
    let refused = SqliteStore::open(&path);
    assert!(matches!(&refused, Err(Error::NotDurable { setting, .. }) if *setting == "journal_mode"));
}

#[tokio::test]
async fn a_file_of_a_later_release_is_left_alone() {
    let folder = Folder::new();
    let path = used(&folder).await;
    let connection = Connection::open(&path).unwrap();
    connection.execute_batch("PRAGMA user_version = 99; PRAGMA wal_checkpoint(TRUNCATE)").unwrap();
    drop(connection);
    let before = fs::read(&path).unwrap();
    let newer = SqliteStore::open(&path).unwrap_err();
    assert_eq!(newer, Error::Newer { found: 99, known: schema::VERSION });
    assert_eq!(fs::read(&path).unwrap(), before, "the file was touched");
    let connection = Connection::open(&path).unwrap();
    connection.execute_batch("PRAGMA user_version = 0").unwrap();
    drop(connection);
    assert!(corrupt(&path).contains("schema 0"));
}

#[tokio::test]
async fn the_steps_of_a_schema_are_taken_whole_once_and_from_where_the_file_is() {
    let folder = Folder::new();
    let path = used(&folder).await;
    let connection = file::writer(&path).unwrap();
    let steps = [
        "ALTER TABLE orders ADD COLUMN region TEXT",
        "CREATE TABLE notes (no INTEGER PRIMARY KEY) STRICT; UPDATE orders SET region = 'north'",
    ];
    let mut memo = apply::Memo::default();
    let mut take = |steps: &[&str]| {
        memo.forget();
        let mut work = apply::Work::begin(&connection, &mut memo).unwrap();
        let done = work.migrate(steps);
        let end = if done.is_ok() { "COMMIT" } else { "ROLLBACK" };
        connection.execute_batch(end).unwrap();
        done.ok()
    };
    assert_eq!(take(&["ALTER TABLE orders ADD COLUMN area TEXT", "no SQL"]), None);
    assert_eq!(take(&[]), Some(Migrated { from: 1, to: 1 }), "a step that fails takes the others back");
    assert_eq!(take(&steps[..1]), Some(Migrated { from: 1, to: 2 }));
    assert_eq!(take(&steps), Some(Migrated { from: 2, to: 3 }), "the first step is not taken again");
    assert_eq!(take(&steps), Some(Migrated { from: 3, to: 3 }));
    let region: String = connection.query_row("SELECT region FROM orders", [], |row| row.get(0)).unwrap();
    assert_eq!(region, "north");
    // This release does not know that form, and says so.
    drop(connection);
    assert_eq!(SqliteStore::open(&path).unwrap_err(), Error::Newer { found: 3, known: schema::VERSION });
}

#[tokio::test]
async fn a_database_of_another_program_is_left_alone() {
    let folder = Folder::new();
    let path = folder.file();
    let connection = Connection::open(&path).unwrap();
    connection.execute_batch("CREATE TABLE photos (id INTEGER PRIMARY KEY)").unwrap();
    drop(connection);
    let before = fs::read(&path).unwrap();
    assert!(corrupt(&path).contains("another program"));
    assert_eq!(fs::read(&path).unwrap(), before, "the file was touched");
}

#[tokio::test]
async fn a_damaged_file_is_not_opened() {
    let folder = Folder::new();
    let path = used(&folder).await;
    let whole = fs::read(&path).unwrap();
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut random = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    let garbage: Vec<u8> = (0..whole.len()).map(|_| random().to_be_bytes()[0]).collect();
    let mut beheaded = whole.clone();
    beheaded[..16].copy_from_slice(b"SQLite format 9\0");
    let mut hollow = whole.clone();
    hollow[100..].fill(0);
    let mut shuffled = whole.clone();
    shuffled[100..].copy_from_slice(&garbage[100..]);
    let cut = |length: usize| whole[..length].to_vec();
    for damaged in [
        Vec::new(),
        vec![0; whole.len()],
        b"hello".to_vec(),
        cut(99),
        cut(100),
        cut(4096),
        cut(whole.len() / 2),
        cut(whole.len() - 4096),
        cut(whole.len() - 1),
        garbage,
        beheaded,
        hollow,
        shuffled,
    ] {
        fs::write(&path, &damaged).unwrap();
        corrupt(&path);
        assert_eq!(fs::read(&path).unwrap(), damaged, "a damaged file was touched");
    }
    fs::write(&path, &whole).unwrap();
    let store = SqliteStore::open(&path).unwrap();
    store.check().await.unwrap();
    store.close().await.unwrap();
}

#[tokio::test]
async fn flipped_bits_are_found_or_harmless() {
    let folder = Folder::new();
    let path = used(&folder).await;
    let whole = fs::read(&path).unwrap();
    let mut found = 0;
    for place in (0..whole.len()).step_by(whole.len() / 97) {
        let mut flipped = whole.clone();
        flipped[place] ^= 0xff;
        fs::write(&path, &flipped).unwrap();
        match SqliteStore::open(&path) {
            Err(_) => found += 1,
            Ok(store) => {
                // Where the file is empty, or a body the store does not look into.
                drop(store.check().await);
                drop(store.load(&place_of("o-1")).await);
                store.close().await.unwrap();
            }
        }
        drop(fs::remove_file(folder.0.join("orders.db-wal")));
        drop(fs::remove_file(folder.0.join("orders.db-shm")));
    }
    assert!(found > 0, "no flipped bit was found");
}

fn place_of(name: &str) -> OrderKey {
    place(name).order
}

#[tokio::test]
async fn a_log_without_its_database_is_not_replayed_into_a_new_one() {
    let folder = Folder::new();
    let path = folder.file();
    for log in ["orders.db-wal", "orders.db-journal"] {
        let log = folder.0.join(log);
        fs::write(&log, [1; 4096]).unwrap();
        assert!(corrupt(&path).contains("lost its database"));
        assert!(!path.exists());
        fs::remove_file(log).unwrap();
    }
}

#[tokio::test]
async fn a_creation_that_was_cut_short_is_begun_again() {
    let folder = Folder::new();
    for ending in [".new", ".new-wal", ".new-shm", ".new-journal"] {
        fs::write(folder.0.join(format!("orders.db{ending}")), b"half a database").unwrap();
    }
    let path = used(&folder).await;
    let store = SqliteStore::open_existing(&path).unwrap();
    assert!(store.load(&place_of("o-1")).await.unwrap().is_some());
    store.close().await.unwrap();
    assert!(!folder.0.join("orders.db.new").exists());
}

#[test]
fn versions_of_sqlite_with_the_wal_reset_race_are_refused() {
    for (number, sound) in [
        (3_006_000, false),
        (3_040_001, false),
        (3_044_005, false),
        (3_044_006, true),
        (3_045_000, false),
        (3_046_000, false),
        (3_050_006, false),
        (3_050_007, true),
        (3_051_000, false),
        (3_051_002, false),
        (3_051_003, true),
        (3_054_001, true),
    ] {
        assert_eq!(file::sound_version(number, "x").is_ok(), sound, "{number}");
    }
    assert!(file::sound_version(rusqlite::version_number(), rusqlite::version()).is_ok());
}

#[tokio::test]
async fn the_database_itself_refuses_to_refund_more_than_was_captured() {
    let folder = Folder::new();
    let path = used(&folder).await;
    let connection = file::writer(&path).unwrap();
    let set = |sql: &str| connection.execute(sql, []);
    assert!(set("UPDATE orders SET captured = 10, reserved = 4, refunded = 6").is_ok());
    assert!(set("UPDATE orders SET refunded = 7").is_err());
    assert!(set("UPDATE orders SET refunded = 7, overdrawn = 1").is_ok());
    assert!(set("UPDATE orders SET open = 2").is_err());
    assert!(set("UPDATE orders SET version = 'two'").is_err(), "the tables are strict");
}

#[tokio::test]
async fn the_common_transition_touches_no_index() {
    let folder = Folder::new();
    let path = used(&folder).await;
    let connection = file::writer(&path).unwrap();
    let steps = |statement: &str| -> Vec<String> {
        let mut explain = connection.prepare(&format!("EXPLAIN {statement}")).unwrap();
        let steps = explain.raw_query().mapped(|row| row.get(1)).map(Result::unwrap);
        steps.collect()
    };
    for common in [apply::ADVANCE, apply::APPEND] {
        let steps = steps(common);
        assert!(steps.iter().any(|step| step == "Insert"), "{steps:?}");
        assert!(!steps.iter().any(|step| step.starts_with("Idx")), "{steps:?}");
    }
}

#[tokio::test]
async fn an_objection_of_sqlite_undoes_one_batch_and_leaves_its_neighbours() {
    let folder = Folder::new();
    let path = used(&folder).await;
    // A constraint the store does not know of, so that it meets the objection half way in.
    let connection = Connection::open(&path).unwrap();
    connection
        .execute_batch(
            "CREATE UNIQUE INDEX odd ON places (space, name) WHERE space = 'unique';
             PRAGMA wal_checkpoint(TRUNCATE)",
        )
        .unwrap();
    drop(connection);
    let store = SqliteStore::open(&path).unwrap();
    let unique = |name: &str| Batch {
        index: vec![crate::store::IndexChange {
            space: "unique".into(),
            key: "x".into(),
            sort: 0,
            put: true,
        }],
        ..place(name)
    };
    let batches = vec![
        place("before"),
        unique("first"),
        place("between"),
        unique("second"),
        after(&place("between")),
        place("behind"),
    ];
    let answers = store.commit(batches).await;
    let written: Vec<_> = answers.iter().map(Result::is_ok).collect();
    assert_eq!(written, [true, true, true, false, true, true], "{answers:?}");
    assert_eq!(store.load(&place_of("second")).await, Ok(None));
    assert_eq!(store.journal(&place_of("second"), 0, 9).await, Ok(vec![]));
    let between = store.load(&place_of("between")).await.unwrap().unwrap();
    assert_eq!(between.version, 2);
    store.check().await.unwrap();
    assert!(commit(&store, &place("second")).await.is_ok(), "the store goes on");
    store.check().await.unwrap();
    store.close().await.unwrap();
}

#[tokio::test]
async fn what_another_connection_wrote_is_seen() {
    let folder = Folder::new();
    let path = folder.file();
    let store = SqliteStore::open(&path).unwrap();
    let first = place("o-1");
    commit(&store, &first).await.unwrap();
    let other = file::writer(&path).unwrap();
    other.execute("UPDATE orders SET version = 5", []).unwrap();
    let late = commit(&store, &after(&first)).await;
    assert_eq!(late, Err(CommitError::Stale { found: Some(5) }));
    store.close().await.unwrap();
}

#[tokio::test]
async fn check_names_what_is_damaged() {
    let breakages = [
        ("DELETE FROM journal WHERE seq = 2", "default/o-1: the last journal entry"),
        ("DELETE FROM journal WHERE seq = 1", "default/o-1, entry 1"),
        ("DELETE FROM documents", "default/o-1: a document"),
        ("DELETE FROM orders", "belongs to no order"),
        ("UPDATE pipelines SET open = 7", "miscounted"),
    ];
    for (damage, named) in breakages {
        let folder = Folder::new();
        let path = folder.file();
        let store = SqliteStore::open(&path).unwrap();
        let first = place("o-1");
        commit(&store, &first).await.unwrap();
        commit(&store, &after(&first)).await.unwrap();
        store.check().await.unwrap();
        file::writer(&path).unwrap().execute(damage, []).unwrap();
        match store.check().await {
            Err(Error::Corrupt { what }) => assert!(what.contains(named), "{what}"),
            other => panic!("{damage} was not found: {other:?}"),
        }
        store.close().await.unwrap();
    }
}

#[tokio::test]
async fn a_missing_part_of_an_order_is_damage_and_not_a_missing_order() {
    let folder = Folder::new();
    let path = folder.file();
    let store = SqliteStore::open(&path).unwrap();
    commit(&store, &place("o-1")).await.unwrap();
    file::writer(&path).unwrap().execute("DELETE FROM documents", []).unwrap();
    let found = store.load(&place_of("o-1")).await;
    assert!(matches!(&found, Err(Error::Corrupt { what }) if what.contains("o-1")), "{found:?}");
    store.close().await.unwrap();
}

#[tokio::test]
async fn a_writer_kept_waiting_too_long_says_busy_and_goes_on() {
    let folder = Folder::new();
    let path = used(&folder).await;
    let (claim, connection) = file::take(&path, false).unwrap();
    connection.busy_timeout(std::time::Duration::ZERO).unwrap();
    let (jobs, waiting) = mpsc::channel(8);
    let writer = Writer::new(claim, connection, Arc::default());
    let thread = thread::spawn(move || writer.run(waiting));
    let ask = async || {
        let (reply, answer) = oneshot::channel();
        let task = Task::Commit { batches: vec![after(&place("o-1"))], answers: vec![] };
        jobs.send(Job { task, reply }).await.unwrap();
        match answer.await.unwrap() {
            (Answer::Commits, Task::Commit { mut answers, .. }) => answers.pop().unwrap(),
            other => panic!("{other:?}"),
        }
    };
    let other = file::writer(&path).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    assert_eq!(ask().await, Err(CommitError::Store(Error::Busy)));
    other.execute_batch("ROLLBACK").unwrap();
    assert!(ask().await.is_ok());
    drop(jobs);
    thread.join().unwrap();
}

#[tokio::test]
async fn a_full_store_says_so_and_resumes_when_there_is_room() {
    let folder = Folder::new();
    let path = used(&folder).await;
    let (claim, connection) = file::take(&path, false).unwrap();
    // A limit on pages is the same error as a disk without room. It goes with the connection, as
    // does SQLite's idea of a full disk when space returns.
    let pages: i64 = connection.query_row("PRAGMA page_count", [], |row| row.get(0)).unwrap();
    connection.query_row(&format!("PRAGMA max_page_count = {}", pages + 8), [], |_| Ok(())).unwrap();
    let counters = Arc::new(Counters::default());
    let (jobs, waiting) = mpsc::channel(8);
    let writer = Writer::new(claim, connection, Arc::clone(&counters));
    let thread = thread::spawn(move || writer.run(waiting));
    let ask = async |batches: Vec<Batch>| {
        let (reply, answer) = oneshot::channel();
        jobs.send(Job { task: Task::Commit { batches, answers: vec![] }, reply }).await.unwrap();
        match answer.await.unwrap() {
            (Answer::Commits, Task::Commit { answers, .. }) => answers,
            other => panic!("{other:?}"),
        }
    };
    let heavy = |name: &str| Batch { progress: Arc::from(vec![1; 200_000]), ..place(name) };
    let answers = ask(vec![place("o-2"), heavy("o-3")]).await;
    assert_eq!(answers, [Err(CommitError::Full), Err(CommitError::Full)]);
    assert!(ask(vec![after(&place("o-1"))]).await[0].is_ok(), "what fits is still written");
    assert_eq!(ask(vec![heavy("o-3")]).await, [Err(CommitError::Full)]);
    assert!(ask(vec![place("o-2")]).await[0].is_ok());
    assert_eq!(counters.doubts.load(Ordering::Relaxed), 0, "full is not in doubt");
    drop(jobs);
    thread.join().unwrap();
    let store = SqliteStore::open(&path).unwrap();
    assert_eq!(store.load(&place_of("o-3")).await, Ok(None));
    assert!(commit(&store, &heavy("o-3")).await.is_ok());
    store.check().await.unwrap();
    store.close().await.unwrap();
}

#[tokio::test]
async fn a_witness_tells_whether_its_transaction_was_written() {
    let folder = Folder::new();
    let path = used(&folder).await;
    let connection = file::writer(&path).unwrap();
    let mut memo = apply::Memo::default();
    for (committed, end) in [(false, "ROLLBACK"), (true, "COMMIT")] {
        memo.forget();
        let mut work = apply::Work::begin(&connection, &mut memo).unwrap();
        work.commit(&after(&place("o-1"))).unwrap();
        let (witness, batches) = work.finish().unwrap();
        connection.execute_batch(end).unwrap();
        assert_eq!(batches, 1);
        assert_eq!(witness.testifies(&connection).unwrap(), committed);
    }
    for (committed, end) in [(false, "ROLLBACK"), (true, "COMMIT")] {
        memo.forget();
        let mut work = apply::Work::begin(&connection, &mut memo).unwrap();
        let until = Timestamp::from_millis(10);
        work.start_worker("w", Timestamp::from_millis(0), until).unwrap();
        let (witness, _) = work.finish().unwrap();
        connection.execute_batch(end).unwrap();
        assert_eq!(witness.testifies(&connection).unwrap(), committed);
    }
}

#[tokio::test]
async fn lone_orders_and_crowds_share_the_same_file() {
    let folder = Folder::new();
    let store = Arc::new(SqliteStore::open(folder.file()).unwrap());
    let me = Timestamp::from_millis(0);
    let incarnation = store.start_worker("w", me, Timestamp::from_millis(9)).await.unwrap();
    let crowd = (0..300).map(|number| {
        let store = Arc::clone(&store);
        async move {
            let owner = Some(Owner { incarnation, epoch: 1 });
            let mut batch = Batch { owner, ..place(&format!("o-{number}")) };
            commit(&store, &batch).await.unwrap();
            for _ in 0..5 {
                batch = after(&batch);
                commit(&store, &batch).await.unwrap();
            }
        }
    });
    futures::future::join_all(crowd).await;
    let stats = store.stats();
    assert_eq!(stats.batches, 1_800);
    assert!(stats.commits < 600, "{stats:?}");
    assert!(stats.largest_group > 1 && stats.largest_group <= 256, "{stats:?}");
    assert!(stats.bytes > 0);
    store.check().await.unwrap();
    store.close().await.unwrap();
}

/// One order whose row is damaged kept every other one from being taken over.
#[tokio::test]
async fn d02_damaged_rows_are_named_and_the_others_are_claimed() {
    let folder = Folder::new();
    let path = folder.file();
    let store = SqliteStore::open(&path).unwrap();
    for name in ["a-document", "b-tenant", "c-pipeline", "e-well"] {
        commit(&store, &place(name)).await.unwrap();
    }
    let row = |name: &str, event: &str| InboxRow {
        order: OrderKey::new(TenantId::default(), name.parse().unwrap()),
        source: "dhl".into(),
        event: event.into(),
        received_at: Timestamp::from_millis(0),
        body: Arc::from(&b"scan"[..]),
    };
    store.inbox_put(row("a-inbox", "1")).await.unwrap();
    store.inbox_put(row("e-well", "2")).await.unwrap();
    store.close().await.unwrap();
    drop(store);
    let raw = Connection::open(&path).unwrap();
    raw.execute_batch(
        "PRAGMA ignore_check_constraints = ON;
         DELETE FROM documents WHERE no = (SELECT no FROM orders WHERE id = 'a-document');
         UPDATE orders SET tenant = 'no tenant!' WHERE id = 'b-tenant';
         UPDATE orders SET pid = 77 WHERE id = 'c-pipeline';
         UPDATE inbox SET id = 'no order!' WHERE id = 'a-inbox';",
    )
    .unwrap();
    drop(raw);
    let store = SqliteStore::open(&path).unwrap();
    let (now, until) = (Timestamp::from_millis(1), Timestamp::from_millis(99));
    let me = store.start_worker("one", now, until).await.unwrap();
    let under = [PipelineId { name: "physical".into(), version: 1, fingerprint: 1 }];
    let mut claimed = Vec::new();
    for _ in 0..9 {
        let page = store.claim(me, now, &under, 2).await.unwrap();
        if page.is_empty() {
            break;
        }
        claimed.extend(page.into_iter().map(|stored| stored.order.order.to_string()));
    }
    assert_eq!(claimed, ["e-well"]);
    let listed = store.list(&Filter::default(), None, 99).await.unwrap();
    assert!(listed.iter().any(|brief| brief.order.order.as_str() == "e-well"), "{listed:?}");
    let waiting = store.inbox_waiting(None, 9).await.unwrap();
    assert_eq!(waiting.iter().map(|key| key.order.as_str()).collect::<Vec<_>>(), ["e-well"]);
    let said = format!("{:?}", store.damaged().await.unwrap());
    for name in ["a-document", "b-tenant", "no order!"] {
        assert!(said.contains(name), "{name} is missing: {said}");
    }
    assert!(!said.contains("e-well"), "{said}");
}

/// A position from which there is no next one: the first commit would have been the last.
#[tokio::test]
async fn d02_a_file_whose_counters_are_at_their_end_is_refused() {
    for (table, what) in [
        ("UPDATE meta SET value = 9223372036854775807 WHERE name = 'position'", "position"),
        ("UPDATE meta SET value = 9223372036854775807 WHERE name = 'incarnation'", "incarnation"),
        ("UPDATE meta SET value = -1 WHERE name = 'token'", "token"),
        ("UPDATE journal SET pos = 9223372036854775807", "position"),
    ] {
        let folder = Folder::new();
        let path = used(&folder).await;
        Connection::open(&path).unwrap().execute_batch(table).unwrap();
        assert!(corrupt(&path).contains(what), "{table}");
    }
}
