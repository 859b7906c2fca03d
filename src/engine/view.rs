//! What the engine tells its callers.

use std::sync::Arc;

use crate::clock::Timestamp;
use crate::id::{Actor, Key, OrderKey};
use crate::machine::{Call, Machine};
use crate::pipeline::{Disposition, Phase, Pipeline, Progress};
use crate::store::{Damaged, Held};

/// An order that is placed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Placed {
    /// Which.
    pub order: OrderKey,
    /// Whether it was placed before, with the same content.
    pub existing: bool,
    /// How many entries its journal has.
    pub version: u64,
}

/// A command that was accepted, now or earlier.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Done {
    /// `Moved`; or `Duplicate` when its key was known: it was accepted earlier, did nothing now, and what it did then
    /// may have been undone since.
    pub disposition: Disposition,
    /// How many entries the order's journal has now.
    pub version: u64,
    /// Where the order stands now.
    pub phase: Phase,
    /// The state in which the instance is now that the command was addressed to; `None` for a hold or a message.
    pub state: Option<&'static str>,
}

impl Done {
    /// Whether the command did nothing now, since its key was known.
    #[must_use]
    pub fn is_duplicate(&self) -> bool {
        self.disposition == Disposition::Duplicate
    }
}

/// A message that waits for its order, for its instance, or for its turn.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Waiting {
    /// Who sent it.
    pub source: Arc<str>,
    /// The sender's number for it.
    pub event: Arc<str>,
    /// When it came in.
    pub received_at: Timestamp,
    /// When it happened, says the sender; `None` where it cannot be read.
    pub occurred: Option<Timestamp>,
    /// The placement, instance and evidence: `dispatch.parcel 1 DeliveredTo`, or why it cannot be read.
    pub says: String,
}

/// A message that waited for an order that did not come, and is not kept any more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expired {
    /// The order it was for.
    pub order: OrderKey,
    /// Who sent it.
    pub source: Arc<str>,
    /// The sender's number for it. It is known still.
    pub event: Arc<str>,
    /// When it came in.
    pub received_at: Timestamp,
    /// What it said, as it was kept: JSON.
    pub body: String,
}

/// What the outside said, and about what.
#[derive(Debug, Clone)]
pub struct Delivery {
    /// The order.
    pub order: OrderKey,
    /// The evidence and its address.
    pub evidence: Call,
    /// Who sent the message: `stripe`, `dhl`.
    pub source: Arc<str>,
    /// The sender's own number for the message; the same one again is known.
    pub event: Arc<str>,
    /// When it happened, says the sender.
    pub occurred: Timestamp,
    /// Whose word it is.
    pub by: Actor,
}

/// What became of a delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Delivered {
    /// Applied; how.
    Applied(Disposition),
    /// Known already.
    Known,
    /// Kept until its order, its instance, or its turn comes.
    Kept,
}

/// A commit, as [`watch`](super::Engine::watch) tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// The order.
    pub order: OrderKey,
    /// How many entries its journal has.
    pub version: u64,
    /// Where it stands.
    pub phase: Phase,
    /// The rows that fired: placement, instance, from, input, to.
    pub fires: Vec<crate::pipeline::Fire>,
}

/// Where an order stands.
#[derive(Debug, Clone)]
pub struct OrderView {
    /// The pipeline it was placed on.
    pub pipeline: Arc<Pipeline>,
    /// Where it stands.
    pub progress: Progress,
}

impl OrderView {
    /// Where it stands, in one word.
    #[must_use]
    pub fn phase(&self) -> Phase {
        self.progress.phase()
    }

    /// Its instances: placement, key and state.
    #[must_use]
    pub fn instances(&self) -> Vec<(&'static str, Key, &'static str)> {
        self.pipeline.instances(&self.progress)
    }

    /// The state of one instance, typed.
    #[must_use]
    pub fn state<M: Machine>(&self, key: impl Into<Key>) -> Option<&M::State> {
        self.pipeline.state::<M>(&self.progress, key)
    }
}

/// What the engine has done, and what it found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    /// Orders that the store holds under pipelines, versions or fingerprints that are not registered. They are left
    /// alone.
    pub unread: Vec<Held>,
    /// Orders of which something cannot be read. They are left alone, and every other one runs.
    pub damaged: Vec<Damaged>,
    /// Messages that waited for an order that did not come: the newest 1,000 since the start.
    pub expired: Vec<Expired>,
    /// Open orders found at the start.
    pub recovered: u64,
    /// Effects that a crash had interrupted.
    pub interrupted: u64,
    /// Batches committed since.
    pub commits: u64,
    /// Rows fired since.
    pub transitions: u64,
    /// Adapter calls made since.
    pub calls: u64,
    /// Orders parked since.
    pub parked: u64,
}

/// What a stop left.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Stopped {
    /// Orders that still had work under way when the time was over. Their work is journaled; the next start goes on.
    pub unfinished: Vec<OrderKey>,
}

/// Counts by phase.
pub type Summary = std::collections::BTreeMap<Phase, u64>;
