//! A clock that never jumps.

use std::fmt;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::{Clock, SystemClock, Timestamp};

/// The time of the system at its start, carried on by a steady clock: it never steps back, and never jumps ahead.
///
/// Where the clock of the system is set, this one follows it slowly. It runs at twice the speed while the system is
/// ahead, so that an hour is made up in an hour; and at nine tenths while the system is behind, so that the age of
/// anything is understated by a tenth at most. A process that starts with a wrong clock believes it.
pub struct SteadyClock {
    wall: Box<dyn Clock>,
    steady: Box<dyn Fn() -> Duration + Send + Sync>,
    reading: Mutex<Reading>,
}

#[derive(Debug, Clone, Copy)]
struct Reading {
    /// What it said last.
    said: Timestamp,
    /// The steady clock at that time.
    at: Duration,
}

impl fmt::Debug for SteadyClock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SteadyClock").field("reading", &self.reading).finish_non_exhaustive()
    }
}

impl Default for SteadyClock {
    fn default() -> Self {
        let began = Instant::now();
        Self::of(Box::new(SystemClock), Box::new(move || began.elapsed()))
    }
}

impl SteadyClock {
    /// Carries `wall` on by `steady`, which tells how long ago any fixed instant was and never steps back.
    #[must_use]
    pub fn of(wall: Box<dyn Clock>, steady: Box<dyn Fn() -> Duration + Send + Sync>) -> Self {
        let reading = Reading { said: wall.now(), at: steady() };
        Self { wall, steady, reading: Mutex::new(reading) }
    }
}

impl Clock for SteadyClock {
    fn now(&self) -> Timestamp {
        // A reading is whole between two of its operations, whatever panicked.
        let mut reading = self.reading.lock().unwrap_or_else(PoisonError::into_inner);
        let (wall, at) = (self.wall.now(), (self.steady)());
        let passed = at.saturating_sub(reading.at);
        let own = reading.said.saturating_add(passed);
        let now = if wall >= own {
            own.saturating_add(wall.since(own).min(passed))
        } else {
            own.saturating_sub(own.since(wall).min(passed / 10))
        };
        // What is less than a millisecond is kept for the next reading.
        if now > reading.said {
            *reading = Reading { said: now, at };
        }
        reading.said
    }
}
