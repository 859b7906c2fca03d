//! Who must look at what, as data that an order keeps from the day it is placed.

use serde::{Deserialize, Serialize};

/// How many people must approve an order above an amount.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tier {
    /// Orders of more than this many minor units.
    pub above_minor: i64,
    /// How many different people must approve; zero is the fast lane.
    pub approvals: u32,
}

/// What happens when information that was asked for does not come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum OnLapse {
    /// The case is rejected.
    Reject,
    /// The case goes one tier up.
    Escalate,
}

/// The policy of review. Durations are milliseconds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReviewPolicy {
    /// Tiers by the order's total, lowest first; the last one that the total exceeds counts. Orders below every tier
    /// take the fast lane.
    pub tiers: Vec<Tier>,
    /// Whether the risk scorer is asked.
    pub scorer: bool,
    /// How long it has. Then, or when it fails, people decide. Default 10 s.
    pub score_ms: u64,
    /// From this score on (0 to 100) at least one person looks, whatever the total.
    pub medium_score: u8,
    /// From this score on at least two people look.
    pub high_score: u8,
    /// How long a reviewer may hold a case. Default 15 minutes.
    pub lease_ms: u64,
    /// How long a case may wait before it goes one tier up. Default 4 hours.
    pub sla_ms: u64,
    /// How long the customer has to supply information. Default 72 hours.
    pub info_ms: u64,
    /// What happens when they do not.
    pub on_info_lapse: OnLapse,
}

impl Default for ReviewPolicy {
    fn default() -> Self {
        const MINUTE: u64 = 60_000;
        Self {
            tiers: vec![
                Tier { above_minor: 10_000, approvals: 1 },
                Tier { above_minor: 50_000, approvals: 2 },
            ],
            scorer: true,
            score_ms: 10_000,
            medium_score: 40,
            high_score: 75,
            lease_ms: 15 * MINUTE,
            sla_ms: 240 * MINUTE,
            info_ms: 72 * 60 * MINUTE,
            on_info_lapse: OnLapse::Reject,
        }
    }
}

impl ReviewPolicy {
    /// How many approvals an order of this total needs, before any score.
    #[must_use]
    pub fn approvals(&self, total_minor: i64) -> u32 {
        self.tiers.iter().rev().find(|t| total_minor > t.above_minor).map_or(0, |t| t.approvals)
    }
}
