//! After-sales: what comes back from a customer who has it, and what is put right without coming back.
//!
//! ```text
//! asked -> approved -> label -> on its way -> received -> inspected -> settling -> settled
//!   |         |                     |                         |
//! declined  withdrawn, expired     lost                    rejected
//! ```
//!
//! One machine carries returns and claims, so that no unit is given back twice. What it settles is the net paid share
//! of each unit; it asks for the money to go back, and never takes any.

mod data;
mod machine;
mod policy;

pub use data::*;
pub use machine::*;
pub use policy::{AftersalesPolicy, Payer, ReasonRule};
