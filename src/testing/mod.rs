//! What tests need: conformance kits for stores and for payment gateways, sandboxes with books of their own, and a
//! virtual clock.
//!
//! A sandbox keeps its books in a file beside the store, written before it answers and never derived from what the
//! engine believes: after a crash the two can be compared.

pub mod conformance;
mod faults;
mod gateways;
mod ledger_file;
mod payments;
mod platform;
mod sandbox;
mod virtual_env;
mod wire;

pub use crate::planted::{Mutant, Planted, plant};
pub use faults::{Fault, FaultPlan};
pub use gateways::{Trial, payment_gateway};
pub use payments::{GatewayTotals, Habit, Outage, SandboxGateway};
pub use platform::{PlatformTotals, SandboxPlatform};
pub use sandbox::{SandboxCarrier, SandboxInventory, SandboxNotifier, SandboxScorer};
pub use virtual_env::VirtualEnv;

/// From here on every SQLite store that this process opens answers before its commits are flushed, and may lose them
/// in a power cut. It is the control of a test that cuts the power: where nothing is lost without the flush, losing
/// nothing with it proves nothing. There is no way back.
#[cfg(feature = "sqlite")]
pub fn answer_before_flushing() {
    crate::store::UNFLUSHED.store(true, std::sync::atomic::Ordering::Relaxed);
}
