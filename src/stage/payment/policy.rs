//! How money is taken, as data that an order keeps from the day it is placed.

use serde::{Deserialize, Serialize};

/// When money is captured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum CaptureMode {
    /// Charged at once.
    AtOnce,
    /// Authorised first; captured when a parcel asks for it, or by command.
    Later,
}

/// What must be there before goods may leave.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum FundsPolicy {
    /// Captured in full before dispatch begins.
    RequireCaptured,
    /// Authorised in full before dispatch begins, captured in full before the hand-over.
    RequireAuthorized,
    /// Paid on delivery.
    OnDelivery,
    /// Up to this many minor units may be owed.
    Credit {
        /// Minor units.
        limit_minor: i64,
    },
}

/// What must be open before an authorisation is captured. Money that a channel takes at once, when it is charged, is
/// taken before any review.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum CaptureGate {
    /// Review must have let the order pass, and not have taken that back. With [`FundsPolicy::RequireCaptured`] and
    /// [`CaptureMode::Later`] each would wait for the other: choose [`Open`](Self::Open) there.
    #[default]
    Review,
    /// Nothing: the pipeline has no review, or captures before it.
    Open,
}

/// What happens to an authorisation that is about to expire.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Expiring {
    /// It is captured; behind a gate that is shut, it is released.
    Capture,
    /// It is released; the customer is asked again.
    Release,
}

/// The policy of payment attempts. Durations are milliseconds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PaymentPolicy {
    /// When money is captured.
    pub capture: CaptureMode,
    /// What must be there before goods may leave.
    pub funds: FundsPolicy,
    /// What must be open before an authorisation is captured. Default: review.
    #[serde(default)]
    pub gate: CaptureGate,
    /// Whether an order of total zero counts as paid. If not, it waits.
    pub free_is_funded: bool,
    /// How long a call may stay unanswered before its outcome is Unknown. Default 30 s.
    pub answer_ms: u64,
    /// When an unknown outcome is asked for again: one wait per inquiry, the last one repeated. Default 10 s, 30 s,
    /// 1 m, 2 m, 5 m, 10 m, 30 m, then hourly.
    pub inquire_ms: Vec<u64>,
    /// How many inquiries before a person is called. The default of 30 falls 24 hours after the first.
    pub inquiries: u32,
    /// How often an attempt that a person must reconcile is asked for again. Default one day.
    pub reconcile_ms: u64,
    /// How long the customer has for a redirect, a code or a slip. Default 15 minutes.
    pub action_ms: u64,
    /// How often a close is repeated while it is unanswered. Default 30 s.
    pub close_ms: u64,
    /// How long after a call its payment may still appear at the channel. A close that the channel refuses is settled
    /// by "not there" only when this has passed since the last call. Default 5 minutes.
    #[serde(default = "settle_ms")]
    pub settle_ms: u64,
    /// How long an authorisation may be used, when the channel does not say. Default 6 days: schemes give 7.
    pub hold_ms: u64,
    /// What happens then.
    pub expiring: Expiring,
    /// How long a person has to resolve money of a wrong amount before it goes back. Default 3 days.
    pub mismatch_ms: u64,
}

const fn settle_ms() -> u64 {
    5 * 60_000
}

impl Default for PaymentPolicy {
    fn default() -> Self {
        const MINUTE: u64 = 60_000;
        const DAY: u64 = 24 * 60 * MINUTE;
        Self {
            capture: CaptureMode::AtOnce,
            funds: FundsPolicy::RequireCaptured,
            gate: CaptureGate::Review,
            free_is_funded: true,
            answer_ms: 30_000,
            inquire_ms: vec![
                10_000,
                30_000,
                MINUTE,
                2 * MINUTE,
                5 * MINUTE,
                10 * MINUTE,
                30 * MINUTE,
                60 * MINUTE,
            ],
            inquiries: 30,
            reconcile_ms: DAY,
            action_ms: 15 * MINUTE,
            close_ms: 30_000,
            settle_ms: settle_ms(),
            hold_ms: 6 * DAY,
            expiring: Expiring::Capture,
            mismatch_ms: 3 * DAY,
        }
    }
}

impl PaymentPolicy {
    /// The wait before inquiry `n` (from 0), in milliseconds.
    #[must_use]
    pub fn inquiry_wait_ms(&self, n: u32) -> u64 {
        let at = usize::try_from(n).unwrap_or(usize::MAX);
        self.inquire_ms.get(at).or_else(|| self.inquire_ms.last()).copied().unwrap_or(self.answer_ms)
    }

    /// Minor units of credit that the funds policy grants an order of this total.
    #[must_use]
    pub fn credit_minor(&self, total_minor: i64) -> i64 {
        match self.funds {
            FundsPolicy::RequireCaptured | FundsPolicy::RequireAuthorized => 0,
            FundsPolicy::OnDelivery => total_minor,
            FundsPolicy::Credit { limit_minor } => limit_minor,
        }
    }
}
