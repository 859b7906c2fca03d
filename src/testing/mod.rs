//! What tests need: a store's conformance kit, sandboxes with books of their own, and a virtual clock.
//!
//! A sandbox keeps its books in a file beside the store, written before it answers and never derived from what the
//! engine believes: after a crash the two can be compared.

pub mod conformance;
mod faults;
mod ledger_file;
mod payments;
mod platform;
mod sandbox;
mod virtual_env;

pub use faults::{Fault, FaultPlan};
pub use payments::{GatewayTotals, SandboxGateway};
pub use platform::{PlatformTotals, SandboxPlatform};
pub use sandbox::{SandboxCarrier, SandboxInventory, SandboxNotifier, SandboxScorer};
pub use virtual_env::VirtualEnv;
