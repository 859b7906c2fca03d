//! Review: a case that gates money and goods until rules or people let it pass.
//!
//! ```text
//! Funded -> Scoring -> AutoApproved                 the fast lane: nothing speaks against it
//!              |   \-> AutoRejected                 a hard rule does
//!              v
//!   Queued, Escalated <-> Claimed -> Approved       by as many people as the tier asks, each another
//!              ^             |   \-> Appealable -> Rejected
//!              +-------------+ InfoRequested, Snoozed
//! ```
//!
//! A scorer that fails never approves: the case goes to people. Who decides holds the case for a while and shows the
//! newest token; nobody decides on what they placed, asked for, or approved already. What was approved is the content
//! that the order had then.

mod content;
mod file;
mod machine;
mod people;
mod policy;
mod queue;
mod rules;
mod tier;

pub use content::{Content, NotContent};
pub use file::{Expedited, File, Lease, Looked, OutcomeLabel};
pub use machine::*;
pub use policy::{OnLapse, ReviewPolicy, Seen};
pub use queue::{FREE, NotAQueue, QUEUE, Queue, SECOND_LOOK, Waiting, WaitsFor, eta_ms, waiting};
pub use rules::{Rule, RuleSet, WordList};
pub use tier::{Bound, Consequence, Facts, Tier, TierPolicy, TierRule, Verdict};
