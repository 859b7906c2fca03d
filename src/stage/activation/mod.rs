//! Activation: services that a platform switches on, runs and reports the spend of.
//!
//! One instance per service line. A platform that does not answer is asked what it has, under the same key, and is
//! never asked to create a second time; what it has created twice all the same is ended, and what that spent is our
//! loss.

mod facts;
mod machine;
mod policy;

pub use facts::*;
pub use machine::*;
pub use policy::{ActivationPolicy, EarnPolicy, Rest};
