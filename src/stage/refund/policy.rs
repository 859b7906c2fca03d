//! How money goes back, as data that an order keeps from the day it is placed.

use serde::{Deserialize, Serialize};

/// The policy of refunds. Durations are milliseconds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefundPolicy {
    /// Requests above this many minor units need a second person. `None`: no request does. What the pipeline gives
    /// back by itself needs none.
    pub approval_over_minor: Option<i64>,
    /// How long that person has before the request lapses. Default 3 days.
    pub approval_ms: u64,
    /// How long a call may stay unanswered before its outcome is Unknown. Default 30 s.
    pub answer_ms: u64,
    /// When an open refund is asked for again: one wait per inquiry, the last one repeated. Default 1 m, 10 m,
    /// 1 h, 6 h.
    pub inquire_ms: Vec<u64>,
    /// How many inquiries before a person is called. The default of 30 falls 7 days after the first.
    pub inquiries: u32,
    /// How long a person has to find another way to pay out. Default 14 days.
    pub action_ms: u64,
}

impl Default for RefundPolicy {
    fn default() -> Self {
        const MINUTE: u64 = 60_000;
        const DAY: u64 = 24 * 60 * MINUTE;
        Self {
            approval_over_minor: None,
            approval_ms: 3 * DAY,
            answer_ms: 30_000,
            inquire_ms: vec![MINUTE, 10 * MINUTE, 60 * MINUTE, 360 * MINUTE],
            inquiries: 30,
            action_ms: 14 * DAY,
        }
    }
}

impl RefundPolicy {
    pub(super) fn wait_ms(&self, n: u32) -> u64 {
        let at = usize::try_from(n).unwrap_or(usize::MAX);
        self.inquire_ms.get(at).or_else(|| self.inquire_ms.last()).copied().unwrap_or(self.answer_ms)
    }
}
