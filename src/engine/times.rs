//! Which times belong together.
//!
//! ```text
//! deadline of the lane  <  answer of the policy      the engine gives up a call before its machine calls it unknown
//! deadline of the lane  <  half the life of a key    a call may be repeated under its key once at least
//! settle of the adapter <= all inquiries together    somebody can know before a person is called
//! ```
//!
//! How long calls of one operation are retried, the budget, needs no such rule: what was never sent when the answer is
//! due is withdrawn, and counts as not sent.

use std::any::Any;
use std::time::Duration;

use super::error::StartFault;
use super::lane::LaneLimits;
use crate::gateway::{AnyHandler, Repeats};
use crate::machine::Effect as _;
use crate::stage::activation::{Activate, ActivationPolicy};
use crate::stage::dispatch::{DispatchPolicy, Reserve};
use crate::stage::payment::{Charge, PaymentPolicy};
use crate::stage::refund::{RefundPolicy, SendBack};

/// Of the life of a key, one part in this many is relied on: the outside counts by another clock, and ours may have
/// been set back since. After that an operation goes out again only where an inquiry says that it did not arrive.
pub(super) const KEY_MARGIN: u32 = 2;

/// The times of one policy.
#[derive(Debug)]
pub(super) struct Times {
    /// The effect whose calls they are about.
    pub effect: &'static str,
    answer: Duration,
    /// From the first inquiry to the last one before a person is called; `None` where nobody asks.
    inquiries: Option<Duration>,
}

fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

/// The waits of a schedule whose last one is repeated.
fn schedule(waits: &[u64], answer_ms: u64, inquiries: u32) -> Duration {
    let last = waits.last().copied().unwrap_or(answer_ms);
    let listed = u32::try_from(waits.len()).unwrap_or(u32::MAX).min(inquiries);
    let first: u64 = waits.iter().take(usize::try_from(listed).unwrap_or(usize::MAX)).sum();
    ms(first).saturating_add(ms(last).saturating_mul(inquiries.saturating_sub(listed)))
}

/// The times of a policy of the library's stages; a host's own policy says nothing that could be compared.
pub(super) fn of(policy: &(dyn Any + Send + Sync)) -> Option<Times> {
    if let Some(p) = policy.downcast_ref::<PaymentPolicy>() {
        let inquiries = schedule(&p.inquire_ms, p.answer_ms, p.inquiries);
        return Some(Times { effect: Charge::NAME, answer: ms(p.answer_ms), inquiries: Some(inquiries) });
    }
    if let Some(p) = policy.downcast_ref::<RefundPolicy>() {
        let inquiries = schedule(&p.inquire_ms, p.answer_ms, p.inquiries);
        return Some(Times { effect: SendBack::NAME, answer: ms(p.answer_ms), inquiries: Some(inquiries) });
    }
    if let Some(p) = policy.downcast_ref::<ActivationPolicy>() {
        let inquiries = schedule(&p.inquire_ms, p.answer_ms, p.inquiries);
        return Some(Times { effect: Activate::NAME, answer: ms(p.answer_ms), inquiries: Some(inquiries) });
    }
    let p = policy.downcast_ref::<DispatchPolicy>()?;
    Some(Times { effect: Reserve::NAME, answer: ms(p.answer_ms), inquiries: None })
}

/// Where the times of a policy contradict those of the adapter and of its lane.
pub(super) fn faults(
    place: &'static str,
    times: &Times,
    handler: &dyn AnyHandler,
    lane: &LaneLimits,
) -> Vec<StartFault> {
    let mut all = Vec::new();
    let mut fault = |why: String| all.push(StartFault::Times { place, effect: times.effect, why });
    let (deadline, settle) = (lane.deadline, handler.settle());
    if times.answer <= deadline {
        fault(format!("an answer is due after {:?}, and the lane waits {deadline:?} for it", times.answer));
    }
    if let Repeats::Idempotent { key_ttl } = handler.repeats()
        && key_ttl / KEY_MARGIN <= deadline
    {
        fault(format!(
            "keys are kept for {key_ttl:?}, of which half is relied on, and one call may take {deadline:?}"
        ));
    }
    if let Some(inquiries) = times.inquiries.filter(|inquiries| *inquiries < settle) {
        fault(format!(
            "a person is called after {inquiries:?}, and inquiries tell nothing before {settle:?}"
        ));
    }
    all
}
