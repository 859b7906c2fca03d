//! What is asked for after delivery, what is decided, and what is asked of other stages.

use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;
use crate::stage::proof::Unit;
use crate::stage::{data, guesses, plain, quiet};

/// Why something is to come back or to be put right.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Reason {
    /// No reason of the shop's making.
    ChangedMind,
    /// It does not fit.
    DoesNotFit,
    /// It never came.
    Missing,
    /// It is another thing than was ordered.
    Wrong,
    /// It does not work.
    Defective,
    /// It came damaged.
    Damaged,
    /// It came too late.
    Late,
    /// A service had no effect.
    NotEffective,
}

/// Whether something comes back for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Kind {
    /// Goods come back.
    Return,
    /// Nothing does.
    Claim,
}

/// Some units of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Units {
    /// The line, as a place in [`Order::lines`](crate::order::Order::lines), counted from 0; goods that came in
    /// exchange are numbered from [`EXCHANGED`](crate::order::EXCHANGED) on, in the order in which they were sent.
    pub line: u32,
    /// How many, at least 1.
    pub quantity: u32,
}

/// What the customer gets for it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Resolution {
    /// The money back: the net paid share of each unit.
    Refund,
    /// Other goods in place of what comes back. Where they cost more, the difference is asked for and never taken by
    /// itself: they leave once the customer has paid it. Where they cost less, it goes back.
    Exchange {
        /// What.
        units: Vec<Unit>,
        /// What they cost, in minor units, zero or more.
        price_minor: i64,
    },
    /// The same goods once more, for nothing. For claims.
    Replace,
    /// A part of the money back, and the goods are kept. For claims.
    Discount {
        /// Minor units, positive, and at most what was paid.
        amount_minor: i64,
    },
    /// A service is done once more: a person sees to it. For claims.
    Redo,
}

/// What the inspection found of a unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Verdict {
    /// As new: back into the stock.
    Restock,
    /// Damaged, and accepted or not as the reason has it.
    Damaged,
    /// Worthless.
    WriteOff,
    /// Not what was sent.
    WrongItem,
    /// Not in the parcel.
    Missing,
}

/// What the inspection found of the units of one line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Found {
    /// The line, counted from 0.
    pub line: u32,
    /// How many units.
    pub quantity: u32,
    /// What they are.
    pub verdict: Verdict,
}

/// What is asked for, and what has become of it; kept from state to state.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Rma {
    /// Whether something comes back.
    pub kind: Kind,
    /// What it is about.
    pub items: Vec<Units>,
    /// Why.
    pub reason: Reason,
    /// What the customer gets for it.
    pub resolution: Resolution,
    /// Who pays for the way back.
    pub freight: super::Payer,
    /// What is kept of the price, in hundredths of a percent.
    #[serde(default, skip_serializing_if = "none")]
    pub fee_bp: u32,
    /// References of photos, as the host keeps them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub photos: Vec<String>,
    /// When it was asked for.
    pub asked_at: Timestamp,
    /// The label of the way back, once there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// What was received.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub received: Vec<Units>,
    /// What the inspection found.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub found: Vec<Found>,
    /// What was accepted, once it is settled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub accepted: Option<Vec<Units>>,
    /// Minor units that it gave the customer credit for.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub value_minor: i64,
}

#[allow(clippy::trivially_copy_pass_by_ref)] // the shape serde asks for
fn is_zero(n: &i64) -> bool {
    *n == 0
}

#[allow(clippy::trivially_copy_pass_by_ref)] // the shape serde asks for
fn none(n: &u32) -> bool {
    *n == 0
}

data! {
    /// Asked for; waits for a person.
    Requested { /** What it is about. */ rma: Rma }
    /// Refused.
    Declined { /** What it is about. */ rma: Rma, /** Why. */ reason: String }
    /// May come back.
    Approved { /** What it is about. */ rma: Rma }
    /// The customer has a label.
    AwaitingItems { /** What it is about. */ rma: Rma }
    /// The goods never came.
    Expired { /** What it is about. */ rma: Rma }
    /// Called off by the customer, or part of a return of the whole order.
    Cancelled { /** What it is about. */ rma: Rma }
    /// On its way back.
    InTransit { /** What it is about. */ rma: Rma }
    /// Lost on its way back, at the customer's risk: a person decides.
    LostInTransit { /** What it is about. */ rma: Rma }
    /// At the warehouse.
    Received { /** What it is about. */ rma: Rma }
    /// Looked at; a person decides what is accepted.
    Inspected { /** What it is about. */ rma: Rma }
    /// Accepted, in full or in part; money or goods are on their way to the customer.
    Settling { /** What it is about. */ rma: Rma }
    /// The customer has what was to be given.
    Settled { /** What it is about. */ rma: Rma }
    /// Not accepted: it goes back to the customer.
    Rejected { /** What it is about. */ rma: Rma, /** Why. */ reason: String }

    /// Asks to send units back. Refused after the window of its reason, and for units that the customer does not have
    /// or that are given back already.
    AskReturn {
        /** What. */ items: Vec<Units>,
        /** Why. */ reason: Reason,
        /** What the customer wants for it. */ resolution: Resolution,
        /** References of photos, at most 16 of at most 128 bytes. */
        #[serde(default)] photos: Vec<String>,
    }
    /// Claims that something is wrong with units, which are not sent back.
    AskClaim {
        /** What. */ items: Vec<Units>,
        /** Why. */ reason: Reason,
        /** What the customer wants for it. */ resolution: Resolution,
        /** References of photos, at most 16 of at most 128 bytes. */
        #[serde(default)] photos: Vec<String>,
    }
    /// Lets it pass; a claim is settled by it.
    Approve { /** Another resolution than was asked for. */ #[serde(default)] instead: Option<Resolution> }
    /// Refuses it.
    Decline { /** Why. */ reason: String }
    /// Gives the customer a label.
    IssueLabel { /** The carrier's number. */ label: String }
    /// The warehouse has it. Counts what came; what did not is not accepted.
    Receive { /** What came. */ items: Vec<Units> }
    /// Says what each received unit is. Where every unit speaks for itself, the return is settled by it; else a person
    /// decides. Those as new go back into the stock once they are accepted.
    Inspect { /** What was found. */ found: Vec<Found> }
    /// Decides how much of it is accepted; none rejects it.
    Conclude { /** What is accepted. */ accepted: Vec<Units>, /** Why, for people. */ reason: String }

    /// Puts units back into the stock.
    Restock { /** What. */ units: Vec<Unit> }
    /// The warehouse refuses to take them back.
    RestockRefused { /** Why. */ why: String }
    /// The answer was lost.
    RestockLost { /** Why. */ why: String }
    /// The calls are used up.
    RestockGaveUp { /** Whether any may have arrived. */ sent: bool, /** Why. */ why: String }
}

plain! {
    /// Calls it off, before the goods are sent.
    Withdraw,
    /// They are in the stock again.
    Restocked,
    /// The carrier has it: the first scan of the way back.
    OnItsWay,
    /// The carrier lost it.
    LostOnWay,
    /// Somebody should have decided.
    DecideDue,
    /// The goods should be on their way.
    ItemsDue,
    /// They should have come.
    TransitDue,
    /// They should have been looked at.
    InspectDue,
    /// It should be over.
    SettleDue,
    /// Nothing is owed either way any more.
    Squared,
    /// All that is out of the order is to come back.
    Recalled,
}

quiet!(RestockRefused, RestockLost, RestockGaveUp, Restocked, OnItsWay, LostOnWay);
guesses!(RestockLost; RestockGaveUp);
