//! Where cases wait for people: index rows, by which the engine finds them.

use std::fmt;
use std::str::FromStr;

use super::file::File;
use super::machine::case::{M, State};
use super::policy::ReviewPolicy;
use crate::clock::Timestamp;
use crate::id::{Actor, Key};
use crate::machine::{IndexRow, Indexed};
use crate::order::{Order, OrderKind};

/// Index space of the cases that people have to decide, those that somebody holds or that wait for an answer included.
pub const QUEUE: &str = "review.queue";
/// Index space of the cases that may be claimed.
pub const FREE: &str = "review.free";
/// Index space of the decisions to be looked at a second time.
pub const SECOND_LOOK: &str = "review.second_look";

/// A queue of cases: orders of one kind in one tier. Shown as `goods/1`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Queue {
    /// Goods, services, or both.
    pub kind: OrderKind,
    /// The tier, from 1.
    pub tier: u32,
}

/// The text names no queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a queue is a kind and a tier: goods/1, service/2, mixed/1")]
pub struct NotAQueue;

impl fmt::Display for Queue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.kind.name(), self.tier)
    }
}

impl FromStr for Queue {
    type Err = NotAQueue;

    fn from_str(text: &str) -> Result<Self, NotAQueue> {
        let (kind, tier) = text.split_once('/').ok_or(NotAQueue)?;
        let kinds = [OrderKind::Goods, OrderKind::Service, OrderKind::Mixed];
        let kind = kinds.into_iter().find(|k| k.name() == kind).ok_or(NotAQueue)?;
        Ok(Self { kind, tier: tier.parse().map_err(|_| NotAQueue)? })
    }
}

/// A case as it stands in its queue.
#[derive(Debug, Clone, PartialEq)]
pub struct Waiting {
    /// The queue.
    pub queue: Queue,
    /// Raised by `Expedite`.
    pub priority: u32,
    /// When it must be decided.
    pub due_at: Timestamp,
    /// Who holds it.
    pub held_by: Option<Actor>,
    /// Whether it may be claimed.
    pub free: bool,
    /// Who asked the customer about it last.
    pub preferred: Option<Actor>,
    /// The state: `Queued`, `Escalated`.
    pub state: &'static str,
}

/// Why a case is not decided yet: what a customer who asks is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum WaitsFor {
    /// The customer was asked, and has not answered.
    InfoIncomplete,
    /// It was rejected: somebody else looks, or the time to ask for that is running.
    Appeal,
    /// Several people must look, or somebody of a higher tier.
    Complexity,
    /// Others come before it.
    QueueDepth,
}

impl WaitsFor {
    /// What a case waits for; `None` once it has ended.
    #[must_use]
    pub fn of(state: &State) -> Option<Self> {
        let file = state.file();
        match state {
            State::AutoApproved(_)
            | State::AutoRejected(_)
            | State::Approved(_)
            | State::Rejected(_)
            | State::Withdrawn(_) => None,
            State::InfoRequested(_) => Some(Self::InfoIncomplete),
            State::Appealable(_) => Some(Self::Appeal),
            State::Scoring(_)
            | State::Queued(_)
            | State::Claimed(_)
            | State::PendingSecond(_)
            | State::Snoozed(_)
            | State::Escalated(_) => Some(if file.appeals > 0 {
                Self::Appeal
            } else if file.tier > 1 || file.approvals_needed > 1 {
                Self::Complexity
            } else {
                Self::QueueDepth
            }),
        }
    }
}

/// When a case with so many `ahead` of it is decided, in milliseconds from now: where so many `people` take one case
/// after the other and need `decision_ms` for each. `None` when nobody works.
#[must_use]
pub fn eta_ms(ahead: u64, people: u32, decision_ms: u64) -> Option<u64> {
    let rounds = ahead.checked_div(u64::from(people))?.saturating_add(1);
    Some(rounds.saturating_mul(decision_ms))
}

/// The place of a case among those of its queue: the higher priority first, then the earlier due.
fn place(file: &File) -> i64 {
    const TIME_BITS: u32 = 48;
    const MOST: u32 = 0x7fff;
    let urgency = i64::from(MOST - file.priority.min(MOST));
    let due = file.due_at.millis().clamp(0, (1 << TIME_BITS) - 1);
    urgency << TIME_BITS | due
}

/// The case in its queue; `None` while people have nothing to decide.
#[must_use]
pub fn waiting(state: &State, order: &Order) -> Option<Waiting> {
    let (file, held_by, free, name) = match state {
        State::Queued(s) => (&s.file, None, true, "Queued"),
        State::Escalated(s) => (&s.file, None, true, "Escalated"),
        State::PendingSecond(s) => (&s.file, None, true, "PendingSecond"),
        State::Claimed(s) => (&s.file, Some(s.lease.actor.clone()), false, "Claimed"),
        State::InfoRequested(s) => (&s.file, None, false, "InfoRequested"),
        State::Snoozed(s) => (&s.file, None, false, "Snoozed"),
        State::Scoring(_)
        | State::AutoApproved(_)
        | State::AutoRejected(_)
        | State::Appealable(_)
        | State::Approved(_)
        | State::Rejected(_)
        | State::Withdrawn(_) => return None,
    };
    Some(Waiting {
        queue: Queue { kind: order.kind(), tier: file.tier },
        priority: file.priority,
        due_at: file.due_at,
        held_by,
        free,
        preferred: file.preferred.clone(),
        state: name,
    })
}

/// The file of a decision that is to be looked at a second time.
fn to_be_looked_at(state: &State) -> Option<&File> {
    let file = match state {
        State::AutoApproved(s) => &s.file,
        State::AutoRejected(s) => &s.file,
        State::Approved(s) => &s.file,
        State::Rejected(s) => &s.file,
        State::Scoring(_)
        | State::Queued(_)
        | State::Claimed(_)
        | State::PendingSecond(_)
        | State::InfoRequested(_)
        | State::Snoozed(_)
        | State::Escalated(_)
        | State::Appealable(_)
        | State::Withdrawn(_) => return None,
    };
    (file.second_look && file.looked.is_none()).then_some(file)
}

fn file(state: &State) -> &File {
    match state {
        State::Scoring(s) => &s.file,
        State::AutoApproved(s) => &s.file,
        State::AutoRejected(s) => &s.file,
        State::Queued(s) => &s.file,
        State::Claimed(s) => &s.file,
        State::PendingSecond(s) => &s.file,
        State::InfoRequested(s) => &s.file,
        State::Snoozed(s) => &s.file,
        State::Escalated(s) => &s.file,
        State::Appealable(s) => &s.file,
        State::Approved(s) => &s.file,
        State::Rejected(s) => &s.file,
        State::Withdrawn(s) => &s.file,
    }
}

impl State {
    /// What the case knows, whatever state it is in.
    #[must_use]
    pub fn file(&self) -> &File {
        file(self)
    }
}

impl Indexed for M {
    /// A case is found in its queue, and apart from that among those that nobody holds; a decision that is sampled,
    /// among those to be looked at again.
    fn rows(_: Key, state: &State, order: &Order, _: &ReviewPolicy) -> Vec<IndexRow> {
        let mut rows = Vec::new();
        if let Some(w) = waiting(state, order) {
            let row = |space| IndexRow { space, key: w.queue.to_string(), sort: place(file(state)) };
            rows.push(row(QUEUE));
            if w.free {
                rows.push(row(FREE));
            }
        }
        if let Some(file) = to_be_looked_at(state) {
            let queue = Queue { kind: order.kind(), tier: file.tier };
            rows.push(IndexRow { space: SECOND_LOOK, key: queue.to_string(), sort: file.due_at.millis() });
        }
        rows
    }
}
