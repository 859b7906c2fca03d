//! What may come back, until when, and who pays, as data that an order keeps from the day it is placed.

use serde::{Deserialize, Serialize};

use super::data::{Kind, Reason};

/// Who pays for the way back, and bears it when goods are lost on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Payer {
    /// The shop.
    Shop,
    /// The customer.
    Customer,
}

/// What holds for one reason.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReasonRule {
    /// The reason.
    pub reason: Reason,
    /// How long after delivery it may be given, in milliseconds.
    pub window_ms: u64,
    /// Who pays for the way back.
    pub freight: Payer,
    /// Whether photos must come with it.
    #[serde(default)]
    pub photos: bool,
    /// What is kept of the price, in hundredths of a percent, from 0 to 10,000.
    #[serde(default)]
    pub restocking_fee_bp: u32,
}

/// The policy of after-sales. Durations are milliseconds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AftersalesPolicy {
    /// What returns may be asked for. A reason that is not listed is refused.
    pub returns: Vec<ReasonRule>,
    /// What may be claimed without sending anything back. A reason that is not listed is refused.
    pub claims: Vec<ReasonRule>,
    /// Up to this many minor units, what is asked for is approved by itself. Default: nothing is.
    #[serde(default)]
    pub approve_up_to_minor: Option<i64>,
    /// Whether the money of a return goes back when it is approved, before the goods are received. Default: no.
    #[serde(default)]
    pub refund_before_receipt: bool,
    /// How long a request may wait for a person before it is raised. Default 2 days.
    pub decide_ms: u64,
    /// How long the customer has to send the goods. Default 14 days.
    pub items_ms: u64,
    /// How long goods may be on their way before a person hears of it. Default 30 days.
    pub transit_ms: u64,
    /// How long received goods may wait for their inspection before it is raised. Default 3 days.
    pub inspect_ms: u64,
    /// How often it is raised that a settled return or claim has not come to its end. Default 30 days.
    pub settle_ms: u64,
}

impl Default for AftersalesPolicy {
    fn default() -> Self {
        const DAY: u64 = 24 * 60 * 60_000;
        let rule = |reason, days: u64, freight, photos| ReasonRule {
            reason,
            window_ms: days.saturating_mul(DAY),
            freight,
            photos,
            restocking_fee_bp: 0,
        };
        Self {
            returns: vec![
                rule(Reason::ChangedMind, 14, Payer::Customer, false),
                rule(Reason::DoesNotFit, 30, Payer::Customer, false),
                rule(Reason::Wrong, 30, Payer::Shop, false),
                rule(Reason::Defective, 30, Payer::Shop, false),
                rule(Reason::Damaged, 30, Payer::Shop, true),
            ],
            claims: vec![
                rule(Reason::Missing, 30, Payer::Shop, false),
                rule(Reason::Wrong, 30, Payer::Shop, true),
                rule(Reason::Defective, 30, Payer::Shop, true),
                rule(Reason::Damaged, 30, Payer::Shop, true),
                rule(Reason::Late, 30, Payer::Shop, false),
                rule(Reason::NotEffective, 30, Payer::Shop, false),
            ],
            approve_up_to_minor: None,
            refund_before_receipt: false,
            decide_ms: 2 * DAY,
            items_ms: 14 * DAY,
            transit_ms: 30 * DAY,
            inspect_ms: 3 * DAY,
            settle_ms: 30 * DAY,
        }
    }
}

impl AftersalesPolicy {
    /// The rule of a reason, if it is one that may be given.
    #[must_use]
    pub fn rule(&self, kind: Kind, reason: Reason) -> Option<&ReasonRule> {
        let rules = match kind {
            Kind::Return => &self.returns,
            Kind::Claim => &self.claims,
        };
        rules.iter().find(|r| r.reason == reason)
    }
}
