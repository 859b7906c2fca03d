//! The tables, and why they look like this.
//!
//! The common transition updates one row of `orders` and inserts one of `journal`; no index is
//! touched by either. So:
//!
//! - The journal is in the order of commits, which is the feed, and has no index by order. Each
//!   entry names the one before it of the same order, and the order names its last: an order's
//!   journal is read backwards, one lookup by number for each entry.
//! - `pos` is an INTEGER PRIMARY KEY, which VACUUM leaves alone, and the writer counts it itself.
//!   The highest position given away before a deletion is kept in `meta`, so none returns.
//!   AUTOINCREMENT would promise the same for a page more in every transaction.
//! - Pipelines are named once and counted as orders come and go, so asking which versions the
//!   store holds reads no order.
//! - Indexes of `orders` are partial or fixed for life; only a wide update moves them.

/// "CNSG": the application id in the header of every store.
pub(super) const APPLICATION_ID: u32 = 0x434e_5347;

/// The schema this library writes, in `user_version`: one more than there are steps.
pub(super) const VERSION: u32 = 1;

/// What leads from each schema to the next, the first from schema 1. A released step never changes.
pub(super) const STEPS: &[&str] = &[];

/// Names of the counters in `meta`.
pub(super) const INCARNATION: &str = "incarnation";
pub(super) const POSITION: &str = "position";
pub(super) const TOKEN: &str = "token";

/// The highest that a counter may stand at when a file is opened: no file uses up what is left above it.
pub(super) const HIGHEST: i64 = i64::MAX / 2;

pub(super) const CREATE: &str = "
CREATE TABLE meta (
    name TEXT PRIMARY KEY,
    value INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO meta (name, value) VALUES ('incarnation', 0), ('position', 0), ('token', 0);

CREATE TABLE pipelines (
    pid INTEGER PRIMARY KEY,
    name TEXT NOT NULL,
    version INTEGER NOT NULL,
    fingerprint INTEGER NOT NULL,
    open INTEGER NOT NULL,
    closed INTEGER NOT NULL,
    names BLOB,
    UNIQUE (name, version, fingerprint),
    CHECK (open >= 0 AND closed >= 0)
) STRICT;

CREATE TABLE orders (
    no INTEGER PRIMARY KEY,
    tenant TEXT NOT NULL,
    id TEXT NOT NULL,
    pid INTEGER NOT NULL,
    open INTEGER NOT NULL CHECK (open IN (0, 1)),
    owner INTEGER NOT NULL,
    parked TEXT,
    placed_at INTEGER NOT NULL,
    version INTEGER NOT NULL CHECK (version > 0),
    epoch INTEGER NOT NULL,
    tail_pos INTEGER NOT NULL,
    tail_seq INTEGER NOT NULL,
    captured INTEGER NOT NULL,
    reserved INTEGER NOT NULL,
    refunded INTEGER NOT NULL,
    overdrawn INTEGER NOT NULL CHECK (overdrawn IN (0, 1)),
    wake_at INTEGER,
    updated_at INTEGER NOT NULL,
    phase TEXT NOT NULL,
    head BLOB NOT NULL CHECK (length(head) = 32),
    progress BLOB NOT NULL,
    UNIQUE (tenant, id),
    CHECK (overdrawn = 1 OR reserved + refunded <= captured)
) STRICT;
CREATE INDEX orders_owned ON orders (owner) WHERE open = 1;
CREATE INDEX orders_open ON orders (tenant, id) WHERE open = 1;
CREATE INDEX orders_parked ON orders (tenant, id) WHERE parked IS NOT NULL;

CREATE TABLE documents (
    no INTEGER PRIMARY KEY,
    body BLOB NOT NULL
) STRICT;

CREATE TABLE policies (
    hash BLOB PRIMARY KEY,
    body BLOB NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE journal (
    pos INTEGER PRIMARY KEY,
    no INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    prev INTEGER NOT NULL,
    hash BLOB NOT NULL CHECK (length(hash) = 32),
    body BLOB NOT NULL
) STRICT;

CREATE TABLE places (
    no INTEGER NOT NULL,
    space TEXT NOT NULL,
    name TEXT NOT NULL,
    tenant TEXT NOT NULL,
    sort INTEGER NOT NULL,
    PRIMARY KEY (no, space, name)
) STRICT, WITHOUT ROWID;
CREATE INDEX places_sorted ON places (tenant, space, name, sort);

CREATE TABLE inbox (
    arrival INTEGER PRIMARY KEY,
    tenant TEXT NOT NULL,
    source TEXT NOT NULL,
    event TEXT NOT NULL,
    id TEXT NOT NULL,
    received_at INTEGER NOT NULL,
    body BLOB,
    UNIQUE (tenant, id, source, event)
) STRICT;
CREATE INDEX inbox_waiting ON inbox (tenant, id) WHERE body IS NOT NULL;

CREATE TABLE workers (
    incarnation INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    until INTEGER NOT NULL
) STRICT;
";
