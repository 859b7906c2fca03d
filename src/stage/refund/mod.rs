//! Refunds: money on its way back, reserved in the commit that decides it.

mod machine;
mod policy;

pub use machine::*;
pub use policy::RefundPolicy;
