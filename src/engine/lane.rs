//! Lanes: one per adapter, each with bounds of its own, so that a slow or broken one blocks no other.

use std::sync::Mutex;
use std::time::Duration;

use tokio::sync::Semaphore;

use super::env::{Busy, Env, idle};
use crate::clock::Timestamp;

/// The bounds of a lane.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LaneLimits {
    /// Calls under way at once. Default 64.
    pub concurrency: usize,
    /// Calls begun per second. Default: no bound.
    pub per_second: Option<u32>,
    /// How long a call may take before its outcome is unknown. Default 20 s.
    pub deadline: Duration,
    /// Failed calls in a row after which the lane is shut for a while. Default 20.
    pub failures: u32,
    /// How long it stays shut. Default 10 s.
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
    shut_until: Option<Timestamp>,
    /// When the next call may begin, under a rate.
    next: Option<Timestamp>,
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
    pub(super) async fn enter(
        &self,
        env: &dyn Env,
        busy: Busy,
    ) -> (Result<tokio::sync::SemaphorePermit<'_>, Timestamp>, Busy) {
        let (permit, busy) = idle(env, self.permits.acquire(), busy).await;
        let permit = permit.expect("a lane is never closed");
        let now = env.now();
        let wait = {
            let mut s = self.state();
            if let Some(until) = s.shut_until {
                if until > now {
                    return (Err(until), busy);
                }
                // One call goes through to see; the next failure shuts the lane again.
                s.shut_until = None;
                s.failures = self.limits.failures.saturating_sub(1);
            }
            self.limits.per_second.map(|rate| {
                let gap = Duration::from_millis(1000 / u64::from(rate.max(1)));
                let at = s.next.unwrap_or(now).max(now);
                s.next = Some(at.saturating_add(gap));
                at
            })
        };
        match wait.filter(|at| *at > now) {
            Some(at) => {
                let ((), busy) = idle(env, env.sleep_until(at), busy).await;
                (Ok(permit), busy)
            }
            None => (Ok(permit), busy),
        }
    }

    pub(super) fn worked(&self) {
        self.state().failures = 0;
    }

    pub(super) fn failed(&self, now: Timestamp) {
        let mut s = self.state();
        s.failures = s.failures.saturating_add(1);
        if s.failures >= self.limits.failures.max(1) {
            s.shut_until = Some(now.saturating_add(self.limits.shut));
        }
    }
}
