//! Opening: one writer per file, settings that survive power loss, and nothing repaired in silence.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
#[cfg(feature = "testing")]
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};

use super::fault::plain;
use super::schema;
use crate::store::Error;

/// How long to wait for another connection's lock before answering [`Error::Busy`].
const BUSY: Duration = Duration::from_secs(5);

/// How often, and how long apart, to try for the lock of a handle that is just letting go.
const LOCK_TRIES: u32 = 20;
const LOCK_PAUSE: Duration = Duration::from_millis(25);

/// Files up to this size are read through when they are opened: about a quarter of a second.
const QUICK_CHECK_BYTES: u64 = 64 << 20;

const MAGIC: &[u8; 16] = b"SQLite format 3\0";

/// Whether commits of this process are answered before they are flushed: set by a test that shows what is lost then.
#[cfg(feature = "testing")]
pub(crate) static UNFLUSHED: AtomicBool = AtomicBool::new(false);

/// The right to write one database file. Held by every thread that has a connection to it.
#[derive(Debug)]
pub(super) struct Claim {
    path: PathBuf,
    _lock: File,
}

impl Claim {
    pub(super) fn path(&self) -> &Path {
        &self.path
    }
}

/// Takes the file for this handle, creating it when `create`, and makes sure of what is in it.
pub(super) fn take(path: &Path, create: bool) -> Result<(Arc<Claim>, Connection), Error> {
    sound_version(rusqlite::version_number(), rusqlite::version())?;
    let path = resolve(path)?;
    // An absent store leaves no trace of the question.
    if !create && !path.exists() {
        return Err(Error::Missing { path });
    }
    let claim = Arc::new(Claim { _lock: lock(&path)?, path });
    let path = claim.path();
    let fresh = !path.exists();
    if fresh {
        build(path)?;
    }
    let length = inspect(path)?;
    let connection = writer(path)?;
    settle(path, &connection)?;
    counters(&connection)?;
    if length < QUICK_CHECK_BYTES {
        let found: String = connection
            .query_row("PRAGMA quick_check(1)", [], |row| row.get(0))
            .map_err(|error| told(&error))?;
        if found != "ok" {
            return Err(Error::corrupt(found));
        }
    }
    Ok((claim, connection))
}

/// A connection that may write: WAL and FULL, both read back.
pub(super) fn writer(path: &Path) -> Result<Connection, Error> {
    let connection = connect(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    sql(&connection, "PRAGMA cache_size = -65536; PRAGMA journal_size_limit = 67108864")?;
    durable(&connection)?;
    Ok(connection)
}

/// A connection that only reads.
pub(super) fn reader(path: &Path) -> Result<Connection, Error> {
    // Opened for writing since a read-only WAL connection cannot recover the log; `query_only`
    // keeps it from using that.
    let connection = connect(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    sql(&connection, "PRAGMA cache_size = -8192; PRAGMA query_only = ON")?;
    durable(&connection)?;
    Ok(connection)
}

fn connect(path: &Path, flags: OpenFlags) -> Result<Connection, Error> {
    // No URI flag: a file may be called "file:x?mode=memory" without becoming something else.
    let flags = flags | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags).map_err(|error| told(&error))?;
    let set = || {
        connection.busy_timeout(BUSY)?;
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true)?;
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false)?;
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_TRIGGER, false)?;
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_VIEW, false)?;
        connection.set_prepared_statement_cache_capacity(64);
        Ok(())
    };
    set().map_err(|error: rusqlite::Error| told(&error))?;
    // Memory-mapped pages would turn a failing disk into a signal. The flushes matter on macOS.
    sql(
        &connection,
        "PRAGMA mmap_size = 0; PRAGMA trusted_schema = OFF; PRAGMA cell_size_check = ON;
         PRAGMA fullfsync = ON; PRAGMA checkpoint_fullfsync = ON",
    )?;
    Ok(connection)
}

fn durable(connection: &Connection) -> Result<(), Error> {
    let text = |pragma: &str| connection.query_row(pragma, [], |row| row.get::<_, String>(0));
    let mode = text("PRAGMA journal_mode").map_err(|error| told(&error))?;
    if !mode.eq_ignore_ascii_case("wal") {
        let (setting, wanted) = ("journal_mode", "wal");
        return Err(Error::NotDurable { setting, wanted, found: mode });
    }
    #[cfg(feature = "testing")]
    if UNFLUSHED.load(Ordering::Relaxed) {
        return sql(connection, "PRAGMA synchronous = NORMAL");
    }
    sql(connection, "PRAGMA synchronous = FULL")?;
    match number(connection, "PRAGMA synchronous")? {
        2 => Ok(()),
        found => {
            Err(Error::NotDurable { setting: "synchronous", wanted: "2 (FULL)", found: found.to_string() })
        }
    }
}

/// Makes the database file itself hold what is true, and checks that it is ours and whole.
///
/// After a failed COMMIT the log may end in a transaction that was, or was not, written; a flush
/// that failed once may succeed the next time without having written anything (fsync reports an
/// error once). Copying the log into the database and emptying it leaves one truth, on disk.
pub(super) fn settle(path: &Path, connection: &Connection) -> Result<(), Error> {
    let application = number(connection, "PRAGMA application_id")?;
    if application != i64::from(schema::APPLICATION_ID) {
        return Err(Error::corrupt(format!("application id {application:#x} is not ours")));
    }
    let found = number(connection, "PRAGMA user_version")?;
    match u32::try_from(found) {
        Ok(found) if found > schema::VERSION => {
            return Err(Error::Newer { found, known: schema::VERSION });
        }
        // An older one is brought up to date by `migrate`.
        Ok(1..=schema::VERSION) => {}
        Ok(_) | Err(_) => return Err(Error::corrupt(format!("schema {found} never existed"))),
    }
    let busy: bool = connection
        .query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0))
        .map_err(|error| told(&error))?;
    if busy {
        return Err(Error::Busy);
    }
    let pages = number(connection, "PRAGMA page_count")?;
    let size = number(connection, "PRAGMA page_size")?;
    let length = fs::metadata(path).map_err(|error| io(path, &error))?.len();
    if i128::from(length) < i128::from(pages) * i128::from(size) {
        return Err(Error::corrupt(format!("{pages} pages do not fit into {length} bytes")));
    }
    Ok(())
}

/// Refuses counters that no store of ours has counted to: the next one would begin anew, or not be there.
fn counters(connection: &Connection) -> Result<(), Error> {
    let highest = schema::HIGHEST;
    for name in [schema::INCARNATION, schema::POSITION, schema::TOKEN] {
        let found = connection.query_row("SELECT value FROM meta WHERE name = ?1", [name], |row| row.get(0));
        match found {
            Ok(0..schema::HIGHEST) => {}
            Ok(other) => {
                let what = format!("the {name} stands at {other}, beyond {highest}");
                return Err(Error::corrupt(what));
            }
            Err(rusqlite::Error::QueryReturnedNoRows) => {
                return Err(Error::corrupt(format!("the {name} is missing")));
            }
            Err(error) => return Err(told(&error)),
        }
    }
    match number(connection, "SELECT coalesce(max(pos), 0) FROM journal")? {
        0..schema::HIGHEST => Ok(()),
        last => Err(Error::corrupt(format!("the last position of the journal is {last}, beyond {highest}"))),
    }
}

/// Reads the header, before SQLite sees the file. Answers the file's length.
fn inspect(path: &Path) -> Result<u64, Error> {
    let mut file = File::open(path).map_err(|error| io(path, &error))?;
    let length = file.metadata().map_err(|error| io(path, &error))?.len();
    let mut header = [0; 100];
    if length < header.len() as u64 {
        return Err(Error::corrupt(format!("the file has {length} bytes")));
    }
    file.read_exact(&mut header).map_err(|error| io(path, &error))?;
    if !header.starts_with(MAGIC) {
        return Err(Error::corrupt("the file is not an SQLite database"));
    }
    match header.last_chunk::<32>().and_then(|tail| tail.first_chunk::<4>()) {
        Some(id) if u32::from_be_bytes(*id) == schema::APPLICATION_ID => Ok(length),
        Some(_) | None => Err(Error::corrupt("the file belongs to another program")),
    }
}

/// Creates the database under another name and moves it into place, so that whatever bears the
/// right name was once complete, and an empty file is damage rather than a beginning.
fn build(path: &Path) -> Result<(), Error> {
    for log in [beside(path, "-wal"), beside(path, "-journal")] {
        if log.exists() {
            let what = format!("{} has lost its database", log.display());
            return Err(Error::corrupt(what));
        }
    }
    let draft = beside(path, ".new");
    match compose(&draft) {
        // When the write fails by which the file becomes one with a log, SQLite tells nobody, and goes on without. The
        // second time it works, or another write tells what is wrong with the disk, or the disk can have no log.
        Err(Error::NotDurable { .. }) => compose(&draft)?,
        done => done?,
    }
    fs::rename(&draft, path).map_err(|error| io(path, &error))?;
    if cfg!(unix) {
        // Without this a power cut can take the name of a file whose contents are safe.
        let folder = path.parent().unwrap_or_else(|| Path::new("/"));
        flush(folder)?;
    }
    Ok(())
}

/// Writes an empty store, whatever an earlier try has left of it.
fn compose(draft: &Path) -> Result<(), Error> {
    for ending in ["", "-wal", "-shm", "-journal"] {
        let leftover = beside(draft, ending);
        match fs::remove_file(&leftover) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(io(&leftover, &error));
            }
            Ok(()) | Err(_) => {}
        }
    }
    // SQLite gives the log and its index the mode of the database.
    private().create_new(true).open(draft).map_err(|error| io(draft, &error))?;
    let connection = connect(draft, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    sql(&connection, "PRAGMA page_size = 4096; PRAGMA journal_mode = WAL")?;
    durable(&connection)?;
    sql(
        &connection,
        &format!(
            "BEGIN; {} PRAGMA application_id = {}; PRAGMA user_version = {}; COMMIT",
            schema::CREATE,
            schema::APPLICATION_ID,
            schema::VERSION
        ),
    )?;
    settle(draft, &connection)?;
    connection.close().map_err(|(_, error)| told(&error))?;
    // Read back by a connection that knows only the file: where a flush failed, SQLite may have
    // gone on in another journal mode than it answered.
    let read_back = writer(draft)?;
    settle(draft, &read_back)?;
    read_back.close().map_err(|(_, error)| told(&error))?;
    flush(draft)
}

fn flush(path: &Path) -> Result<(), Error> {
    File::open(path).and_then(|file| file.sync_all()).map_err(|error| io(path, &error))
}

/// The one name of the file, whatever links lead to it, so that two handles meet at one lock.
fn resolve(path: &Path) -> Result<PathBuf, Error> {
    if let Ok(path) = path.canonicalize() {
        return Ok(path);
    }
    let name = path.file_name().ok_or_else(|| Error::Missing { path: path.to_owned() })?;
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        Some(_) | None => Path::new("."),
    };
    match folder.canonicalize() {
        Ok(folder) => Ok(folder.join(name)),
        Err(_) => Err(Error::Missing { path: folder.to_owned() }),
    }
}

fn lock(path: &Path) -> Result<File, Error> {
    // A file of its own: closing any handle to the database file drops SQLite's own locks on it.
    let name = beside(path, ".lock");
    let file = private().create(true).truncate(false).open(&name).map_err(|error| io(&name, &error))?;
    for attempt in 1.. {
        match file.try_lock() {
            Ok(()) => break,
            Err(TryLockError::Error(error)) => return Err(io(&name, &error)),
            Err(TryLockError::WouldBlock) if attempt >= LOCK_TRIES => {
                return Err(Error::Locked { path: path.to_owned() });
            }
            Err(TryLockError::WouldBlock) => thread::sleep(LOCK_PAUSE),
        }
    }
    Ok(file)
}

/// How a file is created: for its owner alone, since names and addresses stand in it. One that exists keeps its mode.
fn private() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.write(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}

/// The bytes of the database and its log.
pub(super) fn bytes(path: &Path) -> u64 {
    [path.to_owned(), beside(path, "-wal")]
        .iter()
        .filter_map(|path| fs::metadata(path).ok())
        .map(|found| found.len())
        .sum()
}

/// Whether this SQLite is free of the WAL-reset race: 3.7.0 to 3.51.2 have it, except for the
/// two branches it was mended in (sqlite.org/wal.html).
pub(super) fn sound_version(number: i32, version: &str) -> Result<(), Error> {
    match number {
        3_051_003.. | 3_050_007..=3_050_999 | 3_044_006..=3_044_999 => Ok(()),
        _ => Err(Error::UnsafeSqlite { version: version.to_owned() }),
    }
}

fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(ending);
    name.into()
}

fn sql(connection: &Connection, text: &str) -> Result<(), Error> {
    connection.execute_batch(text).map_err(|error| told(&error))
}

fn number(connection: &Connection, pragma: &str) -> Result<i64, Error> {
    connection.query_row(pragma, [], |row| row.get(0)).map_err(|error| told(&error))
}

/// What SQLite says of a file that is being opened.
fn told(error: &rusqlite::Error) -> Error {
    // The index of the log could not be made larger, which SQLite tries by writing to it: there is no room. Not so in
    // `plain`, since a COMMIT may fail like this when it has been written; here nothing has been.
    let grows = rusqlite::ffi::SQLITE_IOERR_SHMSIZE;
    if error.sqlite_error().is_some_and(|error| error.extended_code == grows) {
        return Error::Full;
    }
    plain(error)
}

fn io(path: &Path, error: &io::Error) -> Error {
    if matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded) {
        return Error::Full;
    }
    Error::Io(format!("{}: {error}", path.display()))
}
