//! Everything the engine takes from outside comes through one [`Env`]: time, waiting, chance, and tasks.

use std::fmt::Debug;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;

use crate::clock::{Clock, SteadyClock, Timestamp};

/// What the engine takes from outside.
pub trait Env: Debug + Send + Sync + 'static {
    /// The time.
    fn now(&self) -> Timestamp;
    /// Waits until a time.
    fn sleep_until(&self, at: Timestamp) -> BoxFuture<'static, ()>;
    /// A number that nobody can guess from outside; it spreads retries.
    fn random(&self) -> u64;
    /// Runs a task.
    fn spawn(&self, task: BoxFuture<'static, ()>);
    /// Says that work is under way until the value is dropped. A virtual clock moves only when none is.
    fn busy(&self) -> Busy {
        Busy::default()
    }
    /// Whether the engine shall wake orders by itself. A test that moves time by hand says no, and calls
    /// [`Engine::fire_due`](super::Engine::fire_due).
    fn wakes(&self) -> bool {
        true
    }
}

/// Work under way.
#[derive(Default)]
pub struct Busy(Option<Box<dyn FnOnce() + Send + Sync>>);

impl Debug for Busy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Busy").field(&self.0.is_some()).finish()
    }
}

impl Busy {
    /// Work whose end is told.
    #[must_use]
    pub fn until(end: impl FnOnce() + Send + Sync + 'static) -> Self {
        Self(Some(Box::new(end)))
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        if let Some(end) = self.0.take() {
            end();
        }
    }
}

/// The real world, on tokio.
#[derive(Debug, Clone)]
pub struct TokioEnv {
    clock: Arc<dyn ClockDebug>,
}

trait ClockDebug: Clock + Debug {}
impl<T: Clock + Debug> ClockDebug for T {}

impl Default for TokioEnv {
    fn default() -> Self {
        Self { clock: Arc::new(SteadyClock::default()) }
    }
}

impl Env for TokioEnv {
    fn now(&self) -> Timestamp {
        self.clock.now()
    }

    fn sleep_until(&self, at: Timestamp) -> BoxFuture<'static, ()> {
        let clock = self.clock.clone();
        Box::pin(async move {
            loop {
                let left = at.since(clock.now());
                if left.is_zero() {
                    return;
                }
                // The clock may run faster than this sleeps: it is looked at again every hour.
                tokio::time::sleep(left.min(Duration::from_secs(3600))).await;
            }
        })
    }

    fn random(&self) -> u64 {
        use std::hash::{BuildHasher, RandomState};
        RandomState::new().hash_one(self.now().millis())
    }

    fn spawn(&self, task: BoxFuture<'static, ()>) {
        tokio::spawn(task);
    }
}

/// Runs `call`, at most until `at`. While it waits, nothing of ours is under way: a virtual clock may move.
pub(super) async fn within_idle<T>(
    env: &dyn Env,
    at: Timestamp,
    call: impl Future<Output = T>,
    busy: Busy,
) -> (Option<T>, Busy) {
    let mut call = std::pin::pin!(call);
    if let std::task::Poll::Ready(value) = futures::poll!(call.as_mut()) {
        return (Some(value), busy);
    }
    let sleep = env.sleep_until(at);
    drop(busy);
    let ended = futures::future::select(call, sleep).await;
    let busy = env.busy();
    match ended {
        futures::future::Either::Left((value, _)) => (Some(value), busy),
        futures::future::Either::Right(((), _)) => (None, busy),
    }
}

/// Waits. While it does, nothing of ours is under way: a virtual clock may move.
pub(super) async fn idle<T>(env: &dyn Env, wait: impl Future<Output = T>, busy: Busy) -> (T, Busy) {
    let mut wait = std::pin::pin!(wait);
    if let std::task::Poll::Ready(value) = futures::poll!(wait.as_mut()) {
        return (value, busy);
    }
    drop(busy);
    let value = wait.await;
    (value, env.busy())
}

/// Runs `call`, at most until `at`.
pub(super) async fn within<T>(env: &dyn Env, at: Timestamp, call: impl Future<Output = T>) -> Option<T> {
    let mut call = std::pin::pin!(call);
    // What is there at once needs no alarm.
    if let std::task::Poll::Ready(value) = futures::poll!(call.as_mut()) {
        return Some(value);
    }
    let sleep = env.sleep_until(at);
    match futures::future::select(call, sleep).await {
        futures::future::Either::Left((value, _)) => Some(value),
        futures::future::Either::Right(((), _)) => None,
    }
}
