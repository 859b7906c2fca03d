//! Proofs that more than one stage speaks of, and what more than one asks.

use std::marker::PhantomData;

use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;
use crate::machine::Proof;

/// Goods as the warehouse counts them: to reserve, consume, release or send.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unit {
    /// What.
    pub sku: String,
    /// How many.
    pub quantity: u32,
}

/// The order's money is there, as the funds policy counts it.
#[derive(Debug, Clone, PartialEq)]
pub struct Funded {
    /// Minor units captured and wanted, not being refunded.
    pub kept_minor: i64,
    /// Minor units authorised and not yet drawn.
    pub held_minor: i64,
}
impl Proof for Funded {
    const NAME: &'static str = "funded";
}

/// Enough is captured to let the goods go: what the funds policy wants at the hand-over.
#[derive(Debug, Clone, PartialEq)]
pub struct Collected {
    /// Minor units captured and wanted, not being refunded.
    pub kept_minor: i64,
}
impl Proof for Collected {
    const NAME: &'static str = "collected";
}

/// A gate that review can hold shut.
pub trait Gate: std::fmt::Debug + Clone + PartialEq + Send + Sync + 'static {
    /// The name of the proof that opens it.
    const NAME: &'static str;
}

/// The gate before goods leave.
#[derive(Debug, Clone, PartialEq)]
pub struct ToDispatch;
impl Gate for ToDispatch {
    const NAME: &'static str = "approved.dispatch";
}

/// The gate before a service is activated.
#[derive(Debug, Clone, PartialEq)]
pub struct ToActivate;
impl Gate for ToActivate {
    const NAME: &'static str = "approved.activate";
}

/// The gate before an authorisation is captured.
#[derive(Debug, Clone, PartialEq)]
pub struct ToCapture;
impl Gate for ToCapture {
    const NAME: &'static str = "approved.capture";
}

/// Review let it pass, for the content that the order has now.
#[derive(Debug, Clone, PartialEq)]
pub struct Approved<G: Gate> {
    /// Who decided: the fast lane, or how many people.
    pub approvals: u32,
    gate: PhantomData<G>,
}
impl<G: Gate> Approved<G> {
    /// The proof.
    #[must_use]
    pub fn by(approvals: u32) -> Self {
        Self { approvals, gate: PhantomData }
    }
}
impl<G: Gate> Proof for Approved<G> {
    const NAME: &'static str = G::NAME;
}

/// A kind of line that an order may have, and that its own stage serves.
pub trait Lines: std::fmt::Debug + Clone + PartialEq + Send + Sync + 'static {
    /// The name of the proof that all of them are served.
    const NAME: &'static str;
}

/// Lines that go in parcels.
#[derive(Debug, Clone, PartialEq)]
pub struct Goods;
impl Lines for Goods {
    const NAME: &'static str = "served.goods";
}

/// Lines that are done rather than carried.
#[derive(Debug, Clone, PartialEq)]
pub struct Services;
impl Lines for Services {
    const NAME: &'static str = "served.services";
}

/// Whatever serves lines of a kind has come to its end.
#[derive(Debug, Clone, PartialEq)]
pub struct Served<L: Lines> {
    /// How many parcels or services reached the customer.
    pub count: usize,
    lines: PhantomData<L>,
}
impl<L: Lines> Served<L> {
    /// The proof.
    #[must_use]
    pub fn with(count: usize) -> Self {
        Self { count, lines: PhantomData }
    }
}
impl<L: Lines> Proof for Served<L> {
    const NAME: &'static str = L::NAME;
}

/// Units of a line that one parcel brought.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Brought {
    /// The line, as a place in the order's lines, counted from 0.
    pub line: u32,
    /// How many.
    pub quantity: u32,
    /// When the customer had them.
    pub at: Timestamp,
}

/// Some of the goods are with the customer.
#[derive(Debug, Clone, PartialEq)]
pub struct Delivered {
    /// What each parcel brought, of the lines of the order.
    pub units: Vec<Brought>,
}
impl Proof for Delivered {
    const NAME: &'static str = "delivered";
}

/// Served and settled: nothing is owed either way.
#[derive(Debug, Clone, PartialEq)]
pub struct Finished;
impl Proof for Finished {
    const NAME: &'static str = "finished";
}

/// The order is placed and still wanted.
#[derive(Debug, Clone, PartialEq)]
pub struct Wanted;
impl Proof for Wanted {
    const NAME: &'static str = "wanted";
}

/// The order is on its way out: nothing new may start, and what is under way stops or comes back.
#[derive(Debug, Clone, PartialEq)]
pub struct Cancelling {
    /// Whether goods already handed over come back too.
    pub goods_return: bool,
}
impl Proof for Cancelling {
    const NAME: &'static str = "cancelling";
}

/// Goods that were out when the order was cancelled are to come back.
#[derive(Debug, Clone, PartialEq)]
pub struct TakesBack;
impl Proof for TakesBack {
    const NAME: &'static str = "takes_back";
}

/// The order is on its way out and no goods are: the money goes back.
#[derive(Debug, Clone, PartialEq)]
pub struct GivesBack;
impl Proof for GivesBack {
    const NAME: &'static str = "gives_back";
}

/// Asks for a part of the price not to be due any more, since what it was for will not be served. What was paid of it
/// goes back by [`OweBack`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Waive {
    /// Minor units, positive.
    pub amount_minor: i64,
}

/// Asks for money of the customer account to go back, over whatever channels took it. The pipeline splits it among the
/// attempts, by the refund policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OweBack {
    /// Minor units, positive.
    pub amount_minor: i64,
    /// Why, for people.
    pub reason: String,
}

/// Asks for more than the order's price, for goods that the customer wants in place of cheaper ones. Nothing is taken
/// by itself: what waits for its money goes on waiting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Surcharge {
    /// Minor units, positive.
    pub amount_minor: i64,
}

/// Asks for goods to be sent in place of others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Replace {
    /// What.
    pub units: Vec<Unit>,
    /// Minor units of what the customer paid that they carry.
    pub share_minor: i64,
}
