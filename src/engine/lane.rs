//! Lanes: one per adapter, each with bounds of its own, so that a slow or broken one blocks no other.

use std::sync::Mutex;
use std::time::Duration;

use tokio::sync::{Semaphore, SemaphorePermit};

use super::env::{Busy, Env, idle};
use crate::clock::Timestamp;

/// How often it is asked whether the call that went to see has been answered.
const LOOK: Duration = Duration::from_secs(1);

const TWO_HOURS: Duration = Duration::from_secs(2 * 60 * 60);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// Nanoseconds of a millisecond, and of a second.
const NANOS: i128 = 1_000_000;
const SECOND: i128 = 1_000 * NANOS;

/// The bounds of a lane.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LaneLimits {
    /// Calls under way at once. Default 64.
    pub concurrency: usize,
    /// Calls begun per second, at least 1. Default: no bound.
    pub per_second: Option<u32>,
    /// How long a call may take before its outcome is unknown. Default 20 s.
    pub deadline: Duration,
    /// Failed calls in a row after which the lane is shut for a while. Default 20.
    pub failures: u32,
    /// How long it stays shut. Default 10 s. Then one call goes through to see, and the others wait for its answer: if
    /// it works the lane is open again, if not it is shut once more.
    pub shut: Duration,
}

impl Default for LaneLimits {
    fn default() -> Self {
        Self {
            concurrency: 64,
            per_second: None,
            deadline: Duration::from_secs(20),
            failures: 20,
            shut: Duration::from_secs(10),
        }
    }
}

/// How often an effect is tried when it was provably not sent, or may be repeated under its key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Budget {
    /// Attempts in all, at least 1. Default 5: the last one falls 85 seconds after the first.
    pub attempts: u32,
    /// The wait before the second attempt. Default 1 s.
    pub first: Duration,
    /// What each wait is multiplied with. Default 4.
    pub factor: u32,
    /// The longest wait. Default 5 minutes.
    pub longest: Duration,
}

impl Default for Budget {
    fn default() -> Self {
        Self { attempts: 5, first: Duration::from_secs(1), factor: 4, longest: Duration::from_secs(300) }
    }
}

impl Budget {
    /// The wait after an outside that was busy at attempt `n` (from 1) and asked for `wait`: what it asked for, at most
    /// a day, and no less than each wait before it multiplied with `factor`, up to two hours. Who is busy for ever is
    /// asked every two hours, and who asks for a year is asked tomorrow.
    #[must_use]
    pub fn later(&self, n: u32, wait: Duration) -> Duration {
        let power = self.factor.saturating_pow(n.saturating_sub(1));
        let least = self.first.saturating_mul(power).clamp(Duration::from_millis(1), TWO_HOURS);
        wait.clamp(least, DAY)
    }

    /// The wait after attempt `n` (from 1), spread by up to a tenth.
    #[must_use]
    pub fn wait(&self, n: u32, chance: u64) -> Duration {
        let power = self.factor.saturating_pow(n.saturating_sub(1));
        let wait = self.first.saturating_mul(power).min(self.longest);
        let tenth = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX) / 10;
        let spread = chance.checked_rem(tenth.saturating_add(1)).unwrap_or(0);
        wait.saturating_add(Duration::from_millis(spread))
    }
}

#[derive(Debug)]
pub(super) struct Lane {
    pub limits: LaneLimits,
    permits: Semaphore,
    state: Mutex<LaneState>,
}

#[derive(Debug, Default)]
struct LaneState {
    failures: u32,
    /// Set until a call that went to see has worked.
    shut_until: Option<Timestamp>,
    /// Whether such a call is under way.
    probing: bool,
    /// When the next call may begin, under a rate: nanoseconds since 1970, since several may fall into a millisecond.
    next: Option<i128>,
}

/// A place in a lane.
#[derive(Debug)]
pub(super) struct Pass<'a> {
    lane: &'a Lane,
    /// Whether it went to see whether a lane that was shut works again.
    probes: bool,
    _permit: SemaphorePermit<'a>,
}

impl Drop for Pass<'_> {
    /// One that went to see and found nothing out lets the next one see.
    fn drop(&mut self) {
        if self.probes {
            self.lane.state().probing = false;
        }
    }
}

impl Lane {
    pub(super) fn new(limits: LaneLimits) -> Self {
        Self {
            permits: Semaphore::new(limits.concurrency.max(1)),
            state: Mutex::new(LaneState::default()),
            limits,
        }
    }

    fn state(&self) -> std::sync::MutexGuard<'_, LaneState> {
        self.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// A place in the lane, or until when it is shut. Who queues for it does nothing meanwhile.
    pub(super) async fn enter(&self, env: &dyn Env, busy: Busy) -> (Result<Pass<'_>, Timestamp>, Busy) {
        let (permit, busy) = idle(env, self.permits.acquire(), busy).await;
        let permit = permit.expect("a lane is never closed");
        let now = env.now();
        let (begins, probes) = match self.admit(now) {
            Ok(admitted) => admitted,
            Err(until) => return (Err(until), busy),
        };
        let pass = Pass { lane: self, probes, _permit: permit };
        match begins.filter(|at| *at > now) {
            Some(at) => {
                let ((), busy) = idle(env, env.sleep_until(at), busy).await;
                (Ok(pass), busy)
            }
            None => (Ok(pass), busy),
        }
    }

    /// When a call may begin under the rate, and whether it goes to see; or when it is worth asking again.
    fn admit(&self, now: Timestamp) -> Result<(Option<Timestamp>, bool), Timestamp> {
        let mut s = self.state();
        if let Some(until) = s.shut_until {
            if until > now {
                return Err(until);
            }
            if s.probing {
                return Err(now.saturating_add(LOOK.min(self.limits.shut).max(Duration::from_millis(1))));
            }
            s.probing = true;
        }
        let probes = s.shut_until.is_some();
        let begins = self.limits.per_second.map(|rate| {
            let at = i128::from(now.millis()).saturating_mul(NANOS);
            let at = s.next.map_or(at, |next| next.max(at));
            s.next = Some(at.saturating_add(SECOND / i128::from(rate.max(1))));
            let up = at.saturating_add(NANOS - 1) / NANOS;
            Timestamp::from_millis(i64::try_from(up).unwrap_or(i64::MAX))
        });
        Ok((begins, probes))
    }
}

impl Pass<'_> {
    /// The call was answered.
    pub(super) fn worked(&self) {
        let mut s = self.lane.state();
        s.failures = 0;
        if self.probes {
            s.shut_until = None;
        }
    }

    /// The call failed.
    pub(super) fn failed(&self, now: Timestamp) {
        let mut s = self.lane.state();
        s.failures = s.failures.saturating_add(1);
        if self.probes || s.failures >= self.lane.limits.failures.max(1) {
            s.shut_until = Some(now.saturating_add(self.lane.limits.shut));
        }
    }
}
