//! The contract with the outside: who carries out effects.
//!
//! An adapter answers one call with one [`Reply`], and tells three things apart that are easily confused: *refused*
//! (nothing happened), *not sent* (provably nothing happened, and it may be sent again) and *unknown* (nobody knows). A
//! timeout is unknown. An adapter never retries by itself and keeps no state: the engine has journaled the intent and
//! its key before it calls, and journals the answer before anything follows from it.
//!
//! ```text
//! wrong   Err(timeout) => Reply::Declined(..)      a dropped connection has turned out to be a charge
//! wrong   Err(timeout) => self.charge(..).await    the second call may be the second charge
//! right   Err(timeout) => Reply::Unknown("no answer within 10 s".into())
//! ```

mod compared;
mod ports;
#[cfg(feature = "rules")]
mod rules;
#[cfg(feature = "rules")]
mod words;

pub(crate) use compared::Compared;
pub use ports::{AdPlatform, CarrierAdapter, InventoryAdapter, Notice, Notifier, PaymentGateway, RiskScorer};
pub(crate) use ports::{Carrier, Inventory, Payments, Platform, Scorer};

#[cfg(feature = "rules")]
pub use rules::{RuleFault, RuleFaults, RuleScorer};

use std::any::Any;
use std::fmt::Debug;
use std::time::Duration;

use async_trait::async_trait;
use futures::future::BoxFuture;

use crate::clock::Timestamp;
use crate::id::{Key, OpKey, OrderKey};
use crate::machine::{Effect, Reply, Told};

/// What an adapter must know of a call besides the effect itself.
#[derive(Debug, Clone)]
pub struct Ticket {
    /// The order.
    pub order: OrderKey,
    /// The placement of the machine that wants it.
    pub place: &'static str,
    /// The instance that wants it.
    pub instance: Key,
    /// The key to send it under: the same for one operation over every retry, restart and worker.
    pub key: OpKey,
    /// The attempt, from 1.
    pub attempt: u32,
    /// When the call is made.
    pub now: Timestamp,
}

/// What an adapter promises about sending the same key again. It decides whether an operation that may have been
/// carried out already is sent once more; where it may not, its machine goes on asking, and at last calls a person.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Repeats {
    /// The same key moves the outside at most once, for this long after the operation was first wanted. After that it
    /// is sent again only when the outside says that it does not have it.
    Idempotent {
        /// How long the outside keeps keys.
        key_ttl: Duration,
    },
    /// Keys mean nothing, and an inquiry finds what happened once it has had time to settle. An operation is sent again
    /// only when inquiries made after that say that it is not there.
    Lookup {
        /// How long a call may be invisible to an inquiry. Say twice what the outside needs: an engine whose clock is
        /// behind the system's catches up at twice the speed.
        settle: Duration,
    },
    /// Neither: tried at most once. A lost answer goes to a person.
    AtMostOnce,
}

impl Repeats {
    /// How long a call may be invisible to an inquiry, where an adapter does not say it itself: as promised, else 5
    /// minutes.
    #[must_use]
    pub const fn settle(self) -> Duration {
        match self {
            Repeats::Lookup { settle } => settle,
            Repeats::Idempotent { .. } | Repeats::AtMostOnce => Duration::from_secs(5 * 60),
        }
    }
}

/// Carries out one kind of effect.
#[async_trait]
pub trait Handler<X: Effect>: Send + Sync + 'static {
    /// What it promises about sending the same key again.
    fn repeats(&self) -> Repeats;
    /// How long a call may be invisible to an inquiry. It is the only number that says so: before a question was asked
    /// that long after the last call, "not there" is no answer to it.
    fn settle(&self) -> Duration {
        self.repeats().settle()
    }
    /// Carries it out once.
    async fn call(&self, effect: X, ticket: &Ticket) -> Reply<X::Done, X::Declined>;
}

/// A handler without its effect's type.
pub(crate) trait AnyHandler: Send + Sync {
    fn repeats(&self) -> Repeats;
    fn settle(&self) -> Duration;
    fn call(&self, value: Box<dyn Any + Send + Sync>, ticket: Ticket) -> BoxFuture<'_, Reply<Told, Told>>;
}

pub(crate) struct Erased<X, H> {
    handler: H,
    effect: std::marker::PhantomData<fn() -> X>,
}

impl<X, H> Erased<X, H> {
    pub(crate) fn new(handler: H) -> Self {
        Self { handler, effect: std::marker::PhantomData }
    }
}

impl<X: Effect, H: Handler<X>> AnyHandler for Erased<X, H> {
    fn repeats(&self) -> Repeats {
        self.handler.repeats()
    }

    fn settle(&self) -> Duration {
        self.handler.settle()
    }

    fn call(&self, value: Box<dyn Any + Send + Sync>, ticket: Ticket) -> BoxFuture<'_, Reply<Told, Told>> {
        Box::pin(async move {
            let Ok(effect) = value.downcast::<X>() else {
                return Reply::NotSent("the effect is of another type than its handler".to_owned());
            };
            match self.handler.call(*effect, &ticket).await {
                Reply::Done(d) => Reply::Done(d.into()),
                Reply::Declined(d) => Reply::Declined(d.into()),
                Reply::NotSent(why) => Reply::NotSent(why),
                Reply::Later(wait) => Reply::Later(wait),
                Reply::Unknown(why) => Reply::Unknown(why),
                Reply::Contradicted(why) => Reply::Contradicted(why),
            }
        })
    }
}
