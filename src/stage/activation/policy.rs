//! How services run, as data that an order keeps from the day it is placed.

use serde::{Deserialize, Serialize};

use crate::id::Channel;

/// When a service's share of the total is earned.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum EarnPolicy {
    /// All of it when the service takes effect, whatever is spent later: the price is for being switched on, so nothing
    /// is left over at its end.
    OnActivation,
    /// As the platform reports that it is spent.
    OnConsumption,
}

/// What happens to the part of a budget that a flight left unspent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Rest {
    /// It goes back to the customer.
    GiveBack,
    /// It is carried over to another flight of the same length, so many times; what is left then goes back.
    CarryOver {
        /// How many flights may follow the first.
        flights: u32,
    },
}

/// The policy of services. Durations are milliseconds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ActivationPolicy {
    /// The platform: what its account is called in the books. Default `ads`.
    pub platform: Channel,
    /// When a service's share is earned.
    pub earn: EarnPolicy,
    /// What happens to what a flight left unspent.
    pub rest: Rest,
    /// How often a service is activated at most, where each time before it provably never arrived. Default 3.
    pub attempts: u32,
    /// How often a service that the platform rejected may be submitted again, fixed or on appeal. Default 3.
    pub resubmissions: u32,
    /// How long a call may stay unanswered before its outcome is unknown, or it is made again under the same key.
    /// Default 30 s.
    pub answer_ms: u64,
    /// When the platform is asked what it has: one wait per inquiry, the last one repeated. Default 10 s, 1 m, 10 m,
    /// then hourly.
    pub inquire_ms: Vec<u64>,
    /// After how many inquiries without an answer a person is called. The default of 24 falls 21 hours after the first.
    pub inquiries: u32,
    /// How often a service that waits for its money is looked at again. Default one hour.
    pub plan_ms: u64,
    /// How long the platform's review may take before a person hears of it. It stands still while a rejected service
    /// is with the customer. Default 24 hours.
    pub review_ms: u64,
    /// How long the customer has to fix what the platform rejected. Then the service is ended, and its money goes back.
    /// Default 72 hours.
    pub fix_ms: u64,
    /// How long a flight takes from the moment the service takes effect, also while it is paused. Default 30 days.
    pub flight_ms: u64,
    /// How often the spend is asked for while a service runs. Default one day.
    pub report_ms: u64,
    /// How long the final spend may be awaited once the platform has stopped. Then the last report counts, and a person
    /// hears of it. Default 3 days.
    pub final_ms: u64,
}

impl Default for ActivationPolicy {
    fn default() -> Self {
        const MINUTE: u64 = 60_000;
        const HOUR: u64 = 60 * MINUTE;
        const DAY: u64 = 24 * HOUR;
        Self {
            platform: "ads".parse().expect("`ads` is a name of a channel"),
            earn: EarnPolicy::OnConsumption,
            rest: Rest::GiveBack,
            attempts: 3,
            resubmissions: 3,
            answer_ms: 30_000,
            inquire_ms: vec![10_000, MINUTE, 10 * MINUTE, HOUR],
            inquiries: 24,
            plan_ms: HOUR,
            review_ms: DAY,
            fix_ms: 3 * DAY,
            flight_ms: 30 * DAY,
            report_ms: DAY,
            final_ms: 3 * DAY,
        }
    }
}

impl ActivationPolicy {
    /// The wait before inquiry `n` (from 0), in milliseconds.
    #[must_use]
    pub fn inquiry_wait_ms(&self, n: u32) -> u64 {
        let at = usize::try_from(n).unwrap_or(usize::MAX);
        self.inquire_ms.get(at).or_else(|| self.inquire_ms.last()).copied().unwrap_or(self.answer_ms)
    }
}
