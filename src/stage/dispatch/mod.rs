//! Dispatch: parcels of goods, from the reservation to the customer's door, and back where they must.

mod machine;
mod policy;

pub use machine::*;
pub use policy::{DispatchPolicy, EarnPolicy, OnShortage, Packing, ReserveWhen};
