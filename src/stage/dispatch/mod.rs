//! Dispatch: parcels of goods, from the reservation to the customer's door, and back where they must.

mod data;
mod machine;
mod policy;

pub use data::*;
pub use machine::*;
pub use policy::{DispatchPolicy, EarnPolicy, OnShortPick, OnShortage, Packing, ReserveWhen};
