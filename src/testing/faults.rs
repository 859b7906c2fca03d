//! What goes wrong outside, by plan or by chance.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::gateway::Ticket;
use crate::machine::Reply;

/// What goes wrong with one call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Fault {
    /// Nothing.
    None,
    /// The answer takes its time: up to five seconds.
    Slow,
    /// No answer comes, and it is carried out 20 to 50 seconds after the call; inquiries say until then that it is not
    /// there.
    Late,
    /// It is provably not sent.
    NotSent,
    /// It is carried out, and the answer is lost.
    LoseAnswer,
    /// It is carried out, and answered with a server's error.
    Error,
    /// A server's error is kept for the key and answered again, for half an hour; it may have been carried out.
    StoredError,
    /// The outside is busy: ask again.
    Later,
    /// It is refused.
    Decline,
    /// It is carried out, the answer is lost, and the key is forgotten at once.
    PrunedKey,
    /// It is accepted, and carried out later; a message tells of it.
    Pending,
    /// It is carried out, and answered with another amount, currency or channel.
    Lie,
    /// It never arrives, and nobody can tell.
    LoseCall,
    /// It is carried out and answered, and a message says the same once more.
    Doubled,
    /// The adapter panics.
    Panic,
}

impl Fault {
    /// How often each happens in a thousand calls, where all of them are mixed.
    pub const MIX: &'static [(u32, Fault)] = &[
        (80, Fault::Slow),
        (40, Fault::Late),
        (40, Fault::NotSent),
        (80, Fault::LoseAnswer),
        (40, Fault::Error),
        (20, Fault::StoredError),
        (30, Fault::Later),
        (30, Fault::Decline),
        (10, Fault::PrunedKey),
        (20, Fault::Pending),
        (10, Fault::Lie),
    ];

    /// How often each happens in a thousand calls to a warehouse, a carrier or a platform, where all of them are mixed.
    pub const ANSWERS: &'static [(u32, Fault)] = &[
        (40, Fault::Late),
        (40, Fault::NotSent),
        (80, Fault::LoseAnswer),
        (40, Fault::LoseCall),
        (30, Fault::Later),
        (40, Fault::Doubled),
    ];

    /// Its name, as it is counted.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Fault::None => "none",
            Fault::Slow => "slow",
            Fault::Late => "late",
            Fault::NotSent => "not_sent",
            Fault::LoseAnswer => "lose_answer",
            Fault::Error => "error",
            Fault::StoredError => "stored_error",
            Fault::Later => "later",
            Fault::Decline => "decline",
            Fault::PrunedKey => "pruned_key",
            Fault::Pending => "pending",
            Fault::Lie => "lie",
            Fault::LoseCall => "lose_call",
            Fault::Doubled => "doubled",
            Fault::Panic => "panic",
        }
    }
}

/// Which call goes wrong, and how: `(order, instance, attempt number from 1 of that kind of call)`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FaultPlan {
    planned: BTreeMap<(String, u32, &'static str, u32), Fault>,
    chances: Vec<(u32, Fault)>,
    seed: u64,
    words: String,
}

impl FaultPlan {
    /// Plans a fault: the `nth` call (from 1) of `operation` (`charge`, `capture`, `refund`, ..) for an instance of an
    /// order.
    #[must_use]
    pub fn fault(
        mut self,
        order: &str,
        instance: u32,
        operation: &'static str,
        nth: u32,
        fault: Fault,
    ) -> Self {
        self.planned.insert((order.to_owned(), instance, operation, nth), fault);
        self
    }

    /// Lets faults happen by chance, each so many times in a thousand calls. The seed and the call decide, so the same
    /// run fails the same way.
    #[must_use]
    pub fn by_chance(mut self, seed: u64, per_mille: &[(u32, Fault)]) -> Self {
        self.seed = seed;
        self.chances = per_mille.to_vec();
        self
    }

    /// Lets everything go wrong by chance that can, as [`Fault::MIX`] has it.
    #[must_use]
    pub fn mixed(seed: u64) -> Self {
        Self::default().by_chance(seed, Fault::MIX)
    }

    /// Lets answers be lost, late and doubled by chance, as [`Fault::ANSWERS`] has it.
    #[must_use]
    pub fn answers(seed: u64) -> Self {
        Self::default().by_chance(seed, Fault::ANSWERS)
    }

    /// Lets whatever goes wrong be told with these words: an outside may say anything, also what it must not.
    #[must_use]
    pub fn saying(mut self, words: impl Into<String>) -> Self {
        self.words = words.into();
        self
    }

    pub(super) fn words(&self) -> &str {
        &self.words
    }

    pub(super) fn pick(&self, ticket: &Ticket, operation: &'static str, nth: u32) -> Fault {
        let order = ticket.order.order.as_str();
        let key = (order.to_owned(), ticket.instance.0, operation, nth);
        if let Some(fault) = self.planned.get(&key) {
            return *fault;
        }
        if self.chances.is_empty() {
            return Fault::None;
        }
        let mut roll = u32::try_from(self.roll(ticket, operation, nth) % 1000).unwrap_or_default();
        for (per_mille, fault) in &self.chances {
            if roll < *per_mille {
                return *fault;
            }
            roll -= per_mille;
        }
        Fault::None
    }

    /// A number that the seed and the call decide.
    pub(super) fn roll(&self, ticket: &Ticket, operation: &str, nth: u32) -> u64 {
        let mut h = crate::machine::graph::Fnv::new();
        h.number(self.seed);
        h.text(ticket.key.as_str());
        h.text(operation);
        h.number(u64::from(nth));
        // The low bits of FNV are its weak ones.
        h.0 >> 20
    }
}

/// Why a call is not answered.
pub(super) enum Refusal {
    NotSent(String),
    Unknown(String),
    Later(Duration),
    Declined,
}

impl Refusal {
    /// The same, in more words.
    pub(super) fn saying(self, words: &str) -> Self {
        match self {
            Refusal::NotSent(why) => Refusal::NotSent(why + words),
            Refusal::Unknown(why) => Refusal::Unknown(why + words),
            Refusal::Later(_) | Refusal::Declined => self,
        }
    }

    pub(super) fn reply<D, N>(self, declined: N) -> Reply<D, N> {
        match self {
            Refusal::NotSent(why) => Reply::NotSent(why),
            Refusal::Unknown(why) => Reply::Unknown(why),
            Refusal::Later(wait) => Reply::Later(wait),
            Refusal::Declined => Reply::Declined(declined),
        }
    }
}
