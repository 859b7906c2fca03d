//! What goes wrong, sorted by who acts next.

use crate::id::OrderKey;
use crate::journal::JournalError;
use crate::order::Fault;
use crate::pipeline::{Refused, Unplaced};
use crate::store::{CommitError, Error as StoreError};

/// Why an order was not placed.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum PlaceError {
    // Mend the draft.
    /// The draft is no order; every fault at once.
    #[error("the draft has {} faults: {}", .0.len(), .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
    Malformed(Vec<Fault>),
    /// Another order has this id.
    #[error("{order} exists with other content")]
    Conflict {
        /// The id.
        order: OrderKey,
    },
    /// No pipeline of this name is registered.
    #[error("no pipeline is registered as `{name}`")]
    UnknownPipeline {
        /// The name.
        name: String,
    },
    /// The pipeline has no stage for one of its lines: place it in another.
    #[error(transparent)]
    Unserved(Unplaced),
    // Wait, then place it again.
    /// Too much is under way.
    #[error("the engine takes nothing new at the moment")]
    Overloaded,
    /// The engine is stopping. Nothing was written.
    #[error("the engine is stopped")]
    Stopped,
    // Place it again: it is the same order if it was written.
    /// Nobody knows whether it was written.
    #[error("it is not known whether the order was written: {0}")]
    Unconfirmed(String),
    // As the inner error says.
    /// The store or a record.
    #[error(transparent)]
    Engine(#[from] EngineError),
}

/// Why a command changed nothing.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum CommandError {
    /// There is no such order.
    #[error("there is no order {order}")]
    UnknownOrder {
        /// The id.
        order: OrderKey,
    },
    /// The order refuses it. Asking again is useless until the order moves.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// Others moved the order first, `attempts` times. Nothing was written; ask again when you like.
    #[error("{order} was moved by others {attempts} times")]
    Contended {
        /// The order.
        order: OrderKey,
        /// How often it was tried.
        attempts: u32,
    },
    /// Too much is under way.
    #[error("the engine takes nothing new at the moment")]
    Overloaded,
    /// The engine is stopping. Nothing was written.
    #[error("the engine is stopped")]
    Stopped,
    /// Nobody knows whether it was written. Send it again under the same key.
    #[error("it is not known whether the command was written: {0}")]
    Unconfirmed(String),
    /// The store or a record.
    #[error(transparent)]
    Engine(#[from] EngineError),
}

/// Why a delivery was not taken. Deliver it again.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum DeliverError {
    /// No registered pipeline places the machine it speaks of.
    #[error("no pipeline places a machine as `{place}`")]
    UnknownMachine {
        /// The name.
        place: String,
    },
    /// It is no evidence: what somebody asks is a command, and may be refused.
    #[error("{place} takes it as a {class}, and only what happened is delivered")]
    NotEvidence {
        /// The machine, or its placement.
        place: &'static str,
        /// Its class: `command`, `timer` or `signal`.
        class: &'static str,
    },
    /// As many messages wait for their turn with this order as may ([`MAX_WAITING`](super::MAX_WAITING)).
    #[error("{waiting} messages wait for their turn with {order}; {limit} are the most")]
    TooMany {
        /// The order.
        order: OrderKey,
        /// Those that wait.
        waiting: usize,
        /// The most.
        limit: usize,
    },
    /// Too much is under way.
    #[error("the engine takes nothing new at the moment")]
    Overloaded,
    /// The engine is stopping. Nothing was written.
    #[error("the engine is stopped")]
    Stopped,
    /// Nobody knows whether it was written.
    #[error("it is not known whether the message was written: {0}")]
    Unconfirmed(String),
    /// The store or a record.
    #[error(transparent)]
    Engine(#[from] EngineError),
}

/// The store or a record failed.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum EngineError {
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A commit.
    #[error(transparent)]
    Commit(#[from] CommitError),
    /// A record.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// The order was placed on a pipeline that is not registered, or not in this shape.
    #[error("{order} runs on `{pipeline}` version {version} ({fingerprint:016x}), which is not registered")]
    Unregistered {
        /// The order.
        order: OrderKey,
        /// The pipeline.
        pipeline: String,
        /// Its version.
        version: u32,
        /// The fingerprint of its tables.
        fingerprint: u64,
    },
    /// What is to be written down about one input, with what follows from it, is larger than
    /// [`MAX_RECORD_BYTES`](super::MAX_RECORD_BYTES). Nothing was written.
    #[error("{order} was told {bytes} bytes at once; {limit} are the most")]
    TooLarge {
        /// The order.
        order: OrderKey,
        /// Bytes of the record.
        bytes: u64,
        /// The most.
        limit: u64,
    },
    /// What is to be written down is nested deeper than [`MAX_DEPTH`](super::MAX_DEPTH), and could not be read again.
    /// Nothing was written.
    #[error("{order} was told something that is nested {depth} deep; {limit} is the most")]
    TooDeep {
        /// The order.
        order: OrderKey,
        /// Its depth.
        depth: usize,
        /// The most.
        limit: usize,
    },
    /// The order has as many records as it may have (`EngineBuilder::journal`): it takes no command, and is parked as
    /// soon as a timer or another attempt would add to them. What the outside says is kept.
    #[error("the journal of {order} has {entries} records; {limit} are the most")]
    TooLong {
        /// The order.
        order: OrderKey,
        /// Its records.
        entries: u64,
        /// The most.
        limit: u64,
    },
    /// A command holds a card number or a labelled verification code in a field of words, and would be journaled for
    /// good (PCI DSS 4.0.1, requirements 3.3 and 3.5). Nothing was written: leave it out, and ask again. What the
    /// outside
    /// says is never refused for it; it is heard without it.
    #[error(
        "{order} was told card data in `{field}`, which is never written down: leave it out and ask again"
    )]
    ForbiddenData {
        /// The order.
        order: OrderKey,
        /// The field, by its names from the outside in.
        field: String,
    },
    /// A machine is at fault; the order is parked.
    #[error("{order} is parked: {why}")]
    Parked {
        /// The order.
        order: OrderKey,
        /// What happened.
        why: String,
    },
}

/// A fault in the set-up of an engine.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum StartFault {
    /// No pipeline was given.
    #[error("no pipeline is registered")]
    NoPipeline,
    /// Two pipelines have one name and version.
    #[error("`{name}` version {version} is registered twice")]
    PipelineTwice {
        /// The name.
        name: &'static str,
        /// The version.
        version: u32,
    },
    /// No store was given.
    #[error("no store is given")]
    NoStore,
    /// Open orders run under a release that nothing here can read, and would be left where they are: no webhook is
    /// taken for them, and no deadline kept. Register a pipeline that reads them, or say
    /// [`leave_unread`](super::EngineBuilder::leave_unread).
    #[error(
        "{open} open orders of `{pipeline}` version {version} ({fingerprint:016x}) cannot be read: {}",
        .why.join("; ")
    )]
    Unread {
        /// The pipeline that they were placed on.
        pipeline: String,
        /// Its version.
        version: u32,
        /// The fingerprint of its tables.
        fingerprint: u64,
        /// How many are open.
        open: u64,
        /// What stands in the way.
        why: Vec<String>,
    },
    /// An effect has no handler.
    #[error("the effect `{effect}` has no handler")]
    NoHandler {
        /// Its name.
        effect: String,
    },
    /// The times of a policy contradict those of the adapter that it waits for, or of that adapter's lane.
    #[error("{place}, waiting for `{effect}`: {why}")]
    Times {
        /// The placement.
        place: &'static str,
        /// The effect that it waits for.
        effect: &'static str,
        /// Which times, and how they contradict each other.
        why: String,
    },
    /// The store cannot be read.
    #[error(transparent)]
    Engine(#[from] EngineError),
}

/// Every fault in the set-up of an engine, at once.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("the engine cannot start: {}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
pub struct StartFaults(pub Vec<StartFault>);
