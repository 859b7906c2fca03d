//! Which adapter computes on the thread of which order's task, and until when it may: one that never lets go of its
//! thread would hold its order for ever.

use std::future::Future;
use std::sync::{Mutex, MutexGuard};
use std::task::Poll;
use std::time::Duration;

use super::env::Env;
use super::inner::lock;
use crate::clock::Timestamp;

/// How much longer a call may compute past its deadline, or past the moment at which it began to.
const GRACE: Duration = Duration::from_secs(1);

/// What a task of an order is computing.
#[derive(Debug, Default)]
pub(super) struct Watch(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    /// The effect whose adapter computes, and until when it may.
    computes: Option<(u64, Timestamp)>,
    lost: bool,
}

impl Watch {
    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.0)
    }

    /// Whether the order was taken from the task.
    pub(super) fn is_lost(&self) -> bool {
        self.state().lost
    }

    /// Takes the order from a task whose adapter has computed for too long; the effect that it was asked for.
    pub(super) fn take(&self, now: Timestamp) -> Option<u64> {
        let mut s = self.state();
        let (effect, _) = s.computes.filter(|(_, until)| *until < now && !s.lost)?;
        s.lost = true;
        Some(effect)
    }

    /// A call whose every look is watched.
    pub(super) async fn over<T>(
        &self,
        env: &dyn Env,
        effect: u64,
        deadline: Timestamp,
        call: impl Future<Output = T>,
    ) -> T {
        let mut call = std::pin::pin!(call);
        std::future::poll_fn(|cx| {
            let until = env.now().max(deadline).saturating_add(GRACE);
            self.state().computes = Some((effect, until));
            let polled: Poll<T> = call.as_mut().poll(cx);
            self.state().computes = None;
            polled
        })
        .await
    }
}
