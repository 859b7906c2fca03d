//! Time: an instant, and where it is read.
//!
//! Everything that decides is handed its instant. Whoever needs to know the time asks a [`Clock`],
//! and only [`SystemClock`] asks the system. An engine goes by a [`SteadyClock`]: setting the clock of the
//! system moves no money.

mod steady;
mod timestamp;

pub use steady::SteadyClock;
pub use timestamp::{ParseTimestampError, Timestamp};

use std::time::{SystemTime, UNIX_EPOCH};

/// Where the time comes from.
pub trait Clock: Send + Sync {
    /// The present instant. It may stand still or step back, as clocks do; callers bear it.
    fn now(&self) -> Timestamp;
}

/// The clock of the system.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        let epoch = Timestamp::from_millis(0);
        match SystemTime::now().duration_since(UNIX_EPOCH) {
            Ok(after) => epoch.saturating_add(after),
            Err(before) => epoch.saturating_sub(before.duration()),
        }
    }
}

#[cfg(test)]
mod tests;
