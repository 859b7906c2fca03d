//! Dispatch: parcels of goods, from the reservation to the customer's door, and back where they must.

mod carrier;
mod data;
mod machine;
mod policy;
mod tracking;
mod warehouse;

pub use carrier::{CarrierPolicy, OfferBy};
pub use data::*;
pub use machine::*;
pub use policy::{DispatchPolicy, EarnPolicy, OnLoss, OnShortPick, OnShortage, Packing, ReserveWhen};
pub use tracking::{CodeMap, RawScan, TrackingStatus, evidence};
pub use warehouse::{Allotment, SplitCost, Warehouse, WarehousePolicy};
