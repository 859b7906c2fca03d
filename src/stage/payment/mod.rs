//! Payment: one machine per try to take money on one channel.
//!
//! The obligation itself is derived: [`Funded`](crate::stage::proof::Funded) and
//! [`Collected`](crate::stage::proof::Collected) are folds over the books, never fields that someone sets.

mod machine;
mod policy;

pub use machine::*;
pub use policy::{CaptureMode, Expiring, FundsPolicy, PaymentPolicy};
