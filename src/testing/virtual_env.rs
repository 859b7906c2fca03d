//! Time that moves only when it is told to, and chance that a seed decides.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use futures::future::BoxFuture;
use tokio::sync::Notify;

use crate::clock::{Clock, Timestamp};
use crate::engine::{Busy, Env};

/// An environment on virtual time. The clock stands still until [`set`](Self::set) moves it; [`settled`](Self::settled)
/// waits until nothing is under way. On a current-thread runtime with a memory store, a seed decides the whole run.
#[derive(Debug, Clone)]
pub struct VirtualEnv {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    quiet: Notify,
}

#[derive(Debug)]
struct State {
    now: Timestamp,
    busy: usize,
    chance: u64,
    next: u64,
    sleepers: BTreeMap<(Timestamp, u64), Sleeper>,
}

#[derive(Debug)]
struct Sleeper {
    waker: Waker,
    /// It was woken and has not looked around yet: that counts as work under way.
    woken: bool,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A sleeper is up, or gone.
    fn up(&self, id: (Timestamp, u64)) {
        let woken = self.state().sleepers.remove(&id).is_some_and(|s| s.woken);
        if woken {
            self.done();
        }
    }

    /// A piece of work is done.
    fn done(&self) {
        let quiet = {
            let mut s = self.state();
            s.busy = s.busy.saturating_sub(1);
            s.busy == 0
        };
        if quiet {
            self.quiet.notify_waiters();
        }
    }
}

impl VirtualEnv {
    /// Time begins at `now`.
    #[must_use]
    pub fn new(now: Timestamp, seed: u64) -> Self {
        Self {
            shared: Arc::new(Shared {
                state: Mutex::new(State {
                    now,
                    busy: 0,
                    chance: seed | 1,
                    next: 0,
                    sleepers: BTreeMap::new(),
                }),
                quiet: Notify::new(),
            }),
        }
    }

    /// Moves the clock to a time, never back, and wakes who waited for it.
    pub fn set(&self, now: Timestamp) {
        let mut wake = Vec::new();
        {
            let mut s = self.shared.state();
            s.now = s.now.max(now);
            let reached = s.now;
            for ((at, _), sleeper) in &mut s.sleepers {
                if *at <= reached && !sleeper.woken {
                    sleeper.woken = true;
                    wake.push(sleeper.waker.clone());
                }
            }
            s.busy += wake.len();
        }
        wake.into_iter().for_each(Waker::wake);
    }

    /// Sets the clock to a time, also back, as a person or a time server does. Who waits for a later one sleeps on.
    pub fn turn(&self, to: Timestamp) {
        self.shared.state().now = to;
        self.set(to);
    }

    /// Waits until nothing is under way. Who was given what it queued for has its turn first.
    pub async fn settled(&self) {
        loop {
            self.quiet().await;
            // A place in a lane that came free wakes the next in the queue, who is not under way before it is up.
            tokio::task::yield_now().await;
            if self.shared.state().busy == 0 {
                return;
            }
        }
    }

    async fn quiet(&self) {
        loop {
            let quiet = self.shared.quiet.notified();
            tokio::pin!(quiet);
            quiet.as_mut().enable();
            if self.shared.state().busy == 0 {
                return;
            }
            quiet.await;
        }
    }

    /// The earliest time that anyone sleeps until. Who was woken sleeps no more, also before it looked around.
    #[must_use]
    pub fn next_sleep(&self) -> Option<Timestamp> {
        self.shared.state().sleepers.iter().find(|(_, s)| !s.woken).map(|((at, _), _)| *at)
    }
}

impl Clock for VirtualEnv {
    fn now(&self) -> Timestamp {
        self.shared.state().now
    }
}

struct Sleep {
    shared: Arc<Shared>,
    id: (Timestamp, u64),
}

impl Future for Sleep {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        {
            let mut s = self.shared.state();
            if s.now < self.id.0 {
                s.sleepers.insert(self.id, Sleeper { waker: cx.waker().clone(), woken: false });
                return Poll::Pending;
            }
        }
        self.shared.up(self.id);
        Poll::Ready(())
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        self.shared.up(self.id);
    }
}

impl Env for VirtualEnv {
    fn now(&self) -> Timestamp {
        Clock::now(self)
    }

    fn sleep_until(&self, at: Timestamp) -> BoxFuture<'static, ()> {
        let id = {
            let mut s = self.shared.state();
            s.next = s.next.wrapping_add(1);
            (at, s.next)
        };
        Box::pin(Sleep { shared: self.shared.clone(), id })
    }

    fn random(&self) -> u64 {
        // xorshift64: small, and the same on every machine.
        let mut s = self.shared.state();
        s.chance ^= s.chance << 13;
        s.chance ^= s.chance >> 7;
        s.chance ^= s.chance << 17;
        s.chance
    }

    fn spawn(&self, task: BoxFuture<'static, ()>) {
        tokio::spawn(task);
    }

    fn busy(&self) -> Busy {
        self.shared.state().busy += 1;
        let shared = self.shared.clone();
        Busy::until(move || shared.done())
    }

    fn wakes(&self) -> bool {
        false
    }
}
