//! Review: a case that gates money and goods until rules or people let it pass.
//!
//! A scorer that fails never approves: the case goes to people.

mod machine;
mod policy;

pub use machine::*;
pub use policy::{OnLapse, ReviewPolicy, Tier};
