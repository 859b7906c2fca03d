//! An embeddable engine that carries shop orders to their ends: paid, reviewed, dispatched, cancelled, refunded,
//! through crashes, lost answers and late webhooks.
//!
//! ```
//! use std::sync::Arc;
//!
//! use consign::prelude::*;
//! use consign::testing::{SandboxCarrier, SandboxGateway, SandboxInventory, SandboxScorer};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
//! let engine = Engine::builder()
//!     .pipeline(physical(Physical::default())?)
//!     .store(Arc::new(MemoryStore::new()))
//!     .payments(Arc::new(SandboxGateway::open(None)?))
//!     .scorer(Arc::new(SandboxScorer::new(Some(5))))
//!     .inventory(Arc::new(SandboxInventory::open(None)?))
//!     .carrier(Arc::new(SandboxCarrier::default()))
//!     .start()
//!     .await?;
//!
//! let shop = Actor::host("shop")?;
//! let mut draft = Draft::new("tea-1", "EUR", shop.clone());
//! draft.lines.push(Line::goods("tea-100g", 2, draft.minor("9.20")?));
//! draft.total_minor = draft.minor("18.40")?;
//! draft.tenders.push(DraftTender::new("card", draft.total_minor));
//! let placed = engine.place(draft).await?;
//!
//! let mut changes = engine.watch();
//! let start = payment::Start { tender: Key(1), channel: None, method: "tok_visa".into() };
//! engine.command(&placed.order, shop, "pay", payment::attempt::M::command(1, start)).await?;
//! // Paid, passed by the fast lane of review, and released to the warehouse.
//! while changes.recv().await?.phase != Phase::Dispatching {}
//!
//! let order = engine.order(&placed.order).await?.expect("it is placed");
//! assert_eq!(order.progress.books.captured(None), 18_40);
//! # engine.stop(std::time::Duration::from_secs(5)).await;
//! # Ok(()) })
//! # }
//! ```
//!
//! A host gives the engine a store and one adapter for each part of the outside, and sends it three kinds of input: a
//! *command* of a person or the host, which can be refused; *evidence* of the outside, which cannot; and time, which
//! passes by itself. What the engine promises in return:
//!
//! - If [`place`](engine::Engine::place) answers `Ok`, the order survives a killed process, a crashed system and a
//!   power cut (on `store::SqliteStore`; [`MemoryStore`](store::MemoryStore) keeps nothing).
//! - Each effect outside is journaled before it is tried, sent under one key over every retry and restart, and resolved
//!   by inquiry when its answer is lost. Where neither keys nor inquiry exist it is tried at most once, and a person is
//!   called.
//! - No refund exceeds what was captured, counting refunds that are under way.
//! - A pipeline with an unreachable state, a state that nobody wakes, a late webhook without an answer, or money taken
//!   without a way back is refused before the first order: by the compiler where types reach, else by
//!   [`build`](pipeline::Builder::build).
//!
//! # Features
//!
//! - `sqlite` (default): `store::SqliteStore`, orders in one file inside the process.
//! - `sqlite-bundled` (default): compiles SQLite in. Without it the system's library is linked; one that may lose a
//!   commit is refused when a store is opened.
//! - `rules`: `gateway::RuleScorer`, which applies rule sets of review: expressions over amount, kind, industry,
//!   category, history and score, and lists of banned words.
//! - `testing`: the `testing` module: sandboxes with books of their own, a virtual clock, and the conformance kit that
//!   proves a store.
//!
//! # Where to read
//!
//! The modules in the order in which they explain each other; none imports from further down.
//!
//! - [`money`], [`id`], [`clock`]: the ground, which knows no order. Integer minor units, names, instants.
//! - [`order`]: the document. A [`Draft`](order::Draft) is checked whole, and an [`Order`](order::Order) is valid.
//! - [`ledger`]: the books of one order, in double entry. What is paid is a fold over them.
//! - [`machine`](mod@machine): the kernel. One table per machine, from which types, behaviour and drawing come.
//! - [`stage`]: the machines of the library: payment, review, dispatch, activation, refund, aftersales.
//! - [`pipeline`]: composes stages, routes between them, and steps an order. Pure, as is everything above it.
//! - [`gateway`]: the contract with the outside, for who writes an adapter.
//! - [`store`]: the contract with the disk, for who writes a store.
//! - [`journal`]: typed facts to versioned, hash-chained records and back; nothing else serialises.
//! - [`engine`]: the only room with tasks, time and retries.
//! - `testing` (feature `testing`): sandboxes, a virtual clock, and the conformance kit.
//!
//! A host that uses the ready pipeline needs the [`prelude`]. `docs/guide.md` follows one order from start to end,
//! `docs/stages.md` writes a stage, and `docs/glossary.md` has the words.
#![forbid(unsafe_code)]
#![warn(missing_docs)]
// A library prints nothing: it traces, and answers.
#![warn(clippy::print_stdout, clippy::print_stderr)]
// A test that meets what it does not expect has failed, and says so.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::wildcard_enum_match_arm))]

// The ground: knows no order.
pub mod money;
pub mod id;
pub mod clock;
// The frame: documents and books that are valid as soon as they exist, and the kernel.
pub mod order;
pub mod ledger;
pub mod machine;
// The rooms, and the hall between them. Pure to here: no task, no clock, no disk.
pub mod stage;
pub mod pipeline;
// The contracts with the outside and with the disk, and the only room that serialises.
pub mod gateway;
pub mod store;
pub mod journal;
// The only room with tasks, time and retries.
pub mod engine;
mod planted;
// May look into any room; no room looks into it.
#[cfg(any(test, feature = "testing"))]
pub mod testing;

/// The paved path: what a host that uses the ready pipeline names.
///
/// ```
/// use consign::prelude::*;
/// ```
pub mod prelude {
    pub use crate::clock::{Clock, SystemClock, Timestamp};
    pub use crate::engine::{
        CommandError, DeliverError, Delivered, Delivery, Engine, OrderView, PlaceError, Placed,
    };
    pub use crate::id::{Actor, Channel, Key, OrderId, OrderKey};
    pub use crate::money::{Currency, Money};
    pub use crate::order::{Charge, ChargeKind, Draft, DraftTender, Line, Order};
    pub use crate::pipeline::{
        Digital, Mixed, Phase, Physical, Pipeline, digital, lifecycle, mixed, physical,
    };
    pub use crate::stage::{activation, aftersales, dispatch, payment, refund, review};
    #[cfg(feature = "sqlite")]
    pub use crate::store::SqliteStore;
    pub use crate::store::{Filter, MemoryStore, Position, Store};
}

/// The taste that the README gives, compiled.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

/// The guide, compiled.
#[cfg(doctest)]
#[doc = include_str!("../docs/guide.md")]
struct Guide;

/// How stages are written, compiled.
#[cfg(doctest)]
#[doc = include_str!("../docs/stages.md")]
struct Stages;
