//! Effects: what is wanted outside, and the four answers that every one of them has.

use std::any::Any;
use std::sync::Arc;
use std::time::Duration;

use super::row::Plain;

/// Something wanted outside. Made by the `effects` of a table, which name an input for each way it can end.
pub trait Effect: Plain {
    /// The name adapters are registered under: `payment.attempt/Charge`.
    const NAME: &'static str;
    /// The inputs that say it happened.
    type Done: Into<Told>;
    /// The input that says the outside refused.
    type Declined: Into<Told>;
    /// The input that says the answer was lost.
    type Unknown: Into<Told> + From<Fault>;
    /// The input that says the attempts are used up.
    type Exhausted: Into<Told> + From<Exhausted>;
}

/// What an adapter answers.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Reply<D, N> {
    /// It happened.
    Done(D),
    /// The outside refused; nothing happened.
    Declined(N),
    /// It was provably not sent. The engine tries again, within the budget.
    NotSent(String),
    /// Not now; ask again after this long. The engine's affair: the machine hears nothing.
    Later(Duration),
    /// Nobody knows whether it happened. A timeout is this, never a refusal.
    Unknown(String),
}

/// Why an answer was lost, in words for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// The cause: `no answer within 10 s`.
    pub why: String,
}

/// The attempts are used up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exhausted {
    /// Whether any attempt may have reached the outside. `false` is proof that nothing happened.
    pub sent: bool,
    /// The last cause.
    pub why: String,
}

/// An input without its machine: what an answer becomes before the machine that asked takes it back.
#[derive(Debug, Clone)]
pub struct Told(pub Arc<dyn Any + Send + Sync>);
