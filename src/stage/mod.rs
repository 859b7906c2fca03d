//! The stages: machines of the library, and the proofs they exchange.
//!
//! Siblings never meet. A stage says what it needs, what it yields and what it asks; the pipeline connects them.

pub mod activation;
pub mod aftersales;
pub mod approval;
pub mod correction;
pub mod dispatch;
pub mod payment;
pub mod proof;
pub mod refund;
pub mod review;

/// Reads one field that every state of a group carries.
macro_rules! shared {
    ($group:ident . $field:ident : $ty:ty = $($state:ident)|+) => {
        impl $group {
            /// What every state of the group carries.
            #[must_use]
            pub fn $field(&self) -> &$ty {
                match self { $(Self::$state(s) => &s.$field),+ }
            }
        }
    };
}
pub(crate) use shared;

/// Defines the plain data of a machine: states, inputs and effects.
macro_rules! data {
    ($($(#[$doc:meta])* $name:ident { $($(#[$fdoc:meta])* $field:ident: $ty:ty),* $(,)? })*) => { $(
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
        pub struct $name { $($(#[$fdoc])* pub $field: $ty),* }
    )* };
}
pub(crate) use data;

/// Defines inputs that carry nothing: timers and signals.
macro_rules! plain {
    ($($(#[$doc:meta])* $name:ident),* $(,)?) => { $(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
        pub struct $name;
    )* };
}
pub(crate) use plain;

/// Evidence that moves no money and names no fact of its own: an answer of ours, or a local guess.
macro_rules! quiet {
    ($($name:ident),* $(,)?) => { $(impl $crate::machine::Evidence for $name {})* };
}
pub(crate) use quiet;

/// Evidence made when an answer was lost or the attempts are used up.
macro_rules! guesses {
    ($($lost:ident),*; $($spent:ident),* $(,)?) => {
        $(impl From<$crate::machine::Fault> for $lost {
            fn from(fault: $crate::machine::Fault) -> Self { Self { why: fault.why } }
        })*
        $(impl From<$crate::machine::Exhausted> for $spent {
            fn from(e: $crate::machine::Exhausted) -> Self { Self { sent: e.sent, why: e.why } }
        })*
    };
}
pub(crate) use guesses;
