//! The pure step: one input, everything that follows from it, one decision.

use std::any::Any;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use sha2::{Digest, Sha256};

use super::build::{At as RouteAt, Hall, Pipeline, Vet};
use super::lifecycle;
use super::progress::{COMMANDS_KEPT, CommandKey, Doubt, FACTS_KEPT, Hold, Outstanding, Progress, Reminds};
use super::region::{At, MovedTo, Outcome, Stage, WantedFx};
use super::rights;
use crate::clock::Timestamp;
use crate::id::{Actor, Key, OrderKey};
use crate::ledger::{Books, Breach, Broken, P5, P18, Post, Posting};
use crate::machine::graph::{Fnv, Graph, NEW};
use crate::machine::{
    Answers, AskValue, Call, Class, Exhausted, Fact, Fault, Gates, Instance, Life, Mode, Moved, Proof as _,
    Proofs, Raised, Refusal, Standing, Step, Told, Trigger, World,
};
use crate::order::{CarriageBack, LineKind, Order};
use crate::stage::proof::{Goods, Served, Services};
use crate::stage::refund::SendBack;

/// The code of the hold that stands while the books break one of their invariants.
const BOOKS: &str = "books";

/// The code of the hold that stands while the customer of an order that is over has more than she paid for.
const RECEIVABLE: &str = "receivable";

/// Something that reaches an order.
#[derive(Debug, Clone)]
pub struct Event {
    /// What.
    pub kind: EventKind,
    /// Who asks, or whose word it is.
    pub by: Actor,
    /// When it happened, where that is not now.
    pub occurred: Option<Timestamp>,
}

/// What reaches an order.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum EventKind {
    /// Someone asks.
    Command {
        /// The command and its address.
        call: Call,
        /// The fingerprint of the host's key for it.
        command: Option<u128>,
    },
    /// The outside said, unasked.
    Evidence {
        /// The evidence and its address.
        call: Call,
        /// The fingerprint of the message that carried it.
        message: Option<u64>,
    },
    /// The outside answered an effect.
    Answer {
        /// The effect's number within the order.
        effect: u64,
        /// The answer.
        answer: EffectAnswer,
    },
    /// An instant passed.
    Timer {
        /// The placement.
        place: usize,
        /// The instance.
        key: Key,
        /// The timer, by input index.
        timer: u8,
    },
    /// An attempt that was put off is made now. It is written down first: who finds it put off knows that nobody has
    /// made it, whatever their clocks say.
    Begin {
        /// The effect's number within the order.
        effect: u64,
    },
    /// An effect was not sent, or may be sent again: there is another attempt.
    Retry {
        /// The effect's number within the order.
        effect: u64,
        /// Until when it is put off; `None` when it is made at once.
        not_before: Option<Timestamp>,
        /// Whether this attempt may have reached the outside.
        sent: bool,
    },
    /// The engine cannot go on with the order: a machine or an adapter is at fault.
    Park {
        /// A stable word.
        code: &'static str,
        /// What happened, for people.
        detail: String,
    },
    /// The order was placed or last moved by an older release, which had these placements: it goes on under this one.
    Upgrade {
        /// The version that it comes from.
        from: u32,
        /// The fingerprint of that version's graph.
        fingerprint: u64,
    },
    /// A person has looked, and releases a hold.
    Release {
        /// The hold's number within the order.
        hold: u32,
    },
    /// A person has looked, and lets go of a message that waits.
    LetGo {
        /// Who sent it.
        source: Arc<str>,
        /// The sender's number for it.
        event: Arc<str>,
        /// What it says, for people.
        says: String,
    },
}

/// The answer to an effect.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum EffectAnswer {
    /// It happened.
    Done(Told),
    /// The answer to a question that was asked before every call of the instance had settled: what it says is there is
    /// there, and what it says is not may come yet.
    Unsettled(Told),
    /// The outside refused.
    Declined(Told),
    /// Nobody knows.
    Unknown(String),
    /// The attempts are used up.
    Exhausted {
        /// Whether any attempt may have arrived.
        sent: bool,
        /// Why.
        why: String,
    },
    /// It was not sent: an earlier attempt may have arrived, and nothing says that it may go out once more.
    Kept(String),
}

/// What became of an input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Disposition {
    /// A row fired.
    Moved,
    /// Recorded; nothing changes.
    Ignored,
    /// Recorded; less than what is held already.
    Stale,
    /// Booked, held and raised: it should have been impossible.
    Alarmed,
    /// Recorded by the engine itself: a retry, a release.
    Noted,
    /// Known already. Nothing is recorded.
    Duplicate,
    /// Too early: the instance does not exist yet, or its state defers this. Nothing is recorded; keep it.
    Early,
    /// Nothing is due any more. Nothing is recorded.
    Void,
}

impl Disposition {
    /// The word in a record.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Disposition::Moved => "moved",
            Disposition::Ignored => "ignored",
            Disposition::Stale => "stale",
            Disposition::Alarmed => "alarmed",
            Disposition::Noted => "noted",
            Disposition::Duplicate => "duplicate",
            Disposition::Early => "early",
            Disposition::Void => "void",
        }
    }

    /// Whether it makes an entry.
    #[must_use]
    pub const fn commits(self) -> bool {
        !matches!(self, Disposition::Duplicate | Disposition::Early | Disposition::Void)
    }
}

/// Why a command changed nothing. The order is byte-identical.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refused {
    /// No machine of this name is placed.
    #[error("the pipeline places no machine as `{place}`")]
    UnknownMachine {
        /// The name.
        place: String,
    },
    /// The machine has no instance of this key.
    #[error("{place}: there is no instance {key}")]
    UnknownInstance {
        /// The placement.
        place: &'static str,
        /// The key.
        key: Key,
    },
    /// The table has no row for it in this state.
    #[error("{place} {key} in {state} takes no {command}; it takes {accepts:?}")]
    NoRow {
        /// The placement.
        place: &'static str,
        /// The instance.
        key: Key,
        /// Its state.
        state: &'static str,
        /// The command.
        command: &'static str,
        /// The commands it takes.
        accepts: Vec<&'static str>,
    },
    /// Whoever asks has no right to.
    #[error("{by} may not ask {command}: {why}")]
    NotAllowed {
        /// Who asked.
        by: Actor,
        /// The command.
        command: &'static str,
        /// Whose it is to ask.
        why: &'static str,
    },
    /// A person must look at the order first.
    #[error("the order is held: {}", .holds.join(", "))]
    Held {
        /// The codes of its holds.
        holds: Vec<String>,
    },
    /// The row needs a proof that does not hold.
    #[error("{place} {key}: `{proof}` does not hold")]
    Lacks {
        /// The placement.
        place: &'static str,
        /// The instance.
        key: Key,
        /// The proof.
        proof: &'static str,
    },
    /// The stage refuses it in this state. Asking again is useless until the order moves.
    #[error("{place} {key} refuses: {code}: {detail}")]
    Refused {
        /// The placement.
        place: &'static str,
        /// The instance.
        key: Key,
        /// A stable word.
        code: &'static str,
        /// The numbers, for people.
        detail: String,
    },
    /// It would break an invariant of the books.
    #[error("it would break the books: {0}")]
    Invariant(Broken),
    /// Another command was accepted under this key, or the same one of another actor, or with other content. Take a new
    /// key.
    #[error("this key was used for another command")]
    KeyReused,
    /// Only a person of the shop may do this.
    #[error("this is for a person of the shop, and not for {by}")]
    OnlyAgents {
        /// Who asked.
        by: String,
    },
    /// No such message waits.
    #[error("no message {event} of {sender} waits")]
    UnknownMessage {
        /// Who sent it.
        sender: String,
        /// The sender's number for it.
        event: String,
    },
    /// The order has no such hold.
    #[error("the order has no hold {hold}")]
    UnknownHold {
        /// The hold's number.
        hold: u32,
    },
}

/// A fault of the kernel or of a machine: an input that cannot be refused was. The order is parked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct StepError(pub String);

/// Why an order is not placed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Unplaced {
    /// The pipeline has no stage for a line of it: place it in another.
    #[error("lines[{line}]: the pipeline `{pipeline}` has no stage for a line of kind {kind:?}")]
    Unserved {
        /// The pipeline.
        pipeline: &'static str,
        /// The first such line, as a place in [`Order::lines`], counted from 0.
        line: usize,
        /// Its kind.
        kind: LineKind,
    },
    /// A machine is at fault.
    #[error(transparent)]
    Fault(#[from] StepError),
}

/// A row that fired.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fire {
    /// The placement.
    pub place: &'static str,
    /// The instance.
    pub key: Key,
    /// The row, by its position in the table.
    pub row: usize,
    /// From which state; `New` where the instance did not exist.
    pub from: &'static str,
    /// The input.
    pub input: &'static str,
    /// To which state.
    pub to: &'static str,
}

/// An instance as a step left it.
#[derive(Debug, Clone)]
pub struct Move {
    /// The position of the placement.
    pub place: usize,
    /// The instance.
    pub instance: Arc<Instance>,
}

/// An index row that a step put, moved or took away.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IndexMove {
    /// Which index.
    pub space: &'static str,
    /// What the order is found by.
    pub key: String,
    /// Its place among the orders with the same key; `None` when the row is gone.
    pub sort: Option<i64>,
}

/// What a step writes to the journal: enough to fold the progress from, without running any code of a stage.
#[derive(Debug)]
pub struct EntryRecord {
    /// When.
    pub at: Timestamp,
    /// When it happened, where that is not the same.
    pub occurred: Option<Timestamp>,
    /// Who.
    pub by: Actor,
    /// `place`, `command`, `evidence`, `answer`, `timer`, `retry`, `park`, `upgrade` or `release`.
    pub kind: &'static str,
    /// What became of the input.
    pub disposition: Disposition,
    /// The position of the placement, and the instance, that it was addressed to.
    pub target: Option<(usize, Key)>,
    /// The input as stored, for inputs of a machine.
    pub input: Option<Arc<dyn Any + Send + Sync>>,
    /// Instances that changed.
    pub moves: Vec<Move>,
    /// Postings, in order.
    pub postings: Vec<Posting>,
    /// Effects newly wanted, or put off.
    pub wanted: Vec<Arc<Outstanding>>,
    /// Effects that were answered.
    pub settled: Vec<u64>,
    /// The operations of which nobody told what came of them, where they are others from here on.
    pub doubts: Option<Vec<Doubt>>,
    /// Index rows that changed. Not journaled: they follow from the instances.
    pub index: Vec<IndexMove>,
    /// Holds set.
    pub holds: Vec<Hold>,
    /// The holds released, and those that lifted themselves.
    pub released: Vec<u32>,
    /// The command's key and content.
    pub command: Option<CommandKey>,
    /// The message that was let go: source, event, and what it said.
    pub let_go: Option<(Arc<str>, Arc<str>, String)>,
    /// Whether the document is another from here on. The input holds it.
    pub amended: bool,
    /// Whether the order goes on under another release from here on.
    pub upgraded: bool,
}

/// What a step decided.
#[derive(Debug)]
pub struct Decision {
    /// What became of the input.
    pub disposition: Disposition,
    /// The order after it. As before where the disposition does not commit.
    pub progress: Progress,
    /// What the journal gets, where the disposition commits.
    pub entry: Option<EntryRecord>,
    /// The rows that fired, in order.
    pub fires: Vec<Fire>,
}

/// What an order knows for good and keeps as an index row, since there is no room for it in its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Known {
    pub space: &'static str,
    pub key: String,
}

impl Known {
    fn command(order: &OrderKey, key: u128) -> Self {
        Self { space: "order.command", key: format!("{}/{key:032x}", order.order) }
    }

    fn fact(order: &OrderKey, place: &str, key: Key, fact: u64) -> Self {
        Self { space: "order.fact", key: format!("{}/{place}/{key}/{fact:016x}", order.order) }
    }

    /// What a command's content is compared by.
    pub(crate) fn sort(content: u128) -> i64 {
        i64::try_from(content >> 65).unwrap_or_default()
    }

    fn row(self, sort: i64) -> IndexMove {
        IndexMove { space: self.space, key: self.key, sort: Some(sort) }
    }
}

/// 128 bits of the SHA-256 of some parts.
fn digest(parts: &[&[u8]]) -> u128 {
    let mut h = Sha256::new();
    for part in parts {
        h.update(u64::try_from(part.len()).unwrap_or(u64::MAX).to_le_bytes());
        h.update(part);
    }
    let digest: [u8; 32] = h.finalize().into();
    digest.iter().take(16).fold(0, |n, byte| n << 8 | u128::from(*byte))
}

/// The fingerprint of a host's key for a command.
#[must_use]
pub(crate) fn key_print(key: &str) -> u128 {
    digest(&[key.as_bytes()])
}

/// Fingerprint of a message's identity.
#[must_use]
pub(crate) fn print(parts: &[&str]) -> u64 {
    let mut h = Fnv::new();
    for part in parts {
        h.text(part);
    }
    h.0
}

/// Whether carriage goes back with a part of an order, as the policy of its lifecycle has it.
fn carriage(p: &Progress) -> CarriageBack {
    let policy = p.policies.first().and_then(|policy| policy.downcast_ref::<lifecycle::LifePolicy>());
    policy.map_or_else(CarriageBack::default, |policy| policy.carriage)
}

struct Draft {
    next: Progress,
    /// The instances before the step.
    was: Vec<Arc<Vec<Arc<Instance>>>>,
    by: Actor,
    now: Timestamp,
    occurred: Timestamp,
    /// When what is answered was wanted.
    asked: Option<Timestamp>,
    /// What is answered, whether it was asked after every call had settled, and whether the call was made.
    answers: Option<(Arc<Outstanding>, bool, bool)>,
    changed: BTreeSet<(usize, Key)>,
    fires: Vec<Fire>,
    postings: Vec<Posting>,
    wanted: Vec<Arc<Outstanding>>,
    settled: Vec<u64>,
    /// The doubts before the step.
    doubts: Vec<Doubt>,
    /// What the order knows for good and keeps as index rows from here on.
    known: Vec<IndexMove>,
    holds: Vec<Hold>,
    released: Vec<u32>,
    /// Whether the customer owed something before the step, of an order that is over.
    owed: bool,
    asks: VecDeque<Box<dyn AskValue>>,
    amended: bool,
    upgraded: bool,
}

impl Draft {
    fn new(p: &Progress, by: Actor, now: Timestamp, occurred: Option<Timestamp>) -> Self {
        Self {
            next: p.clone(),
            was: p.regions.clone(),
            by,
            now,
            occurred: occurred.unwrap_or(now),
            asked: None,
            answers: None,
            changed: BTreeSet::new(),
            fires: Vec::new(),
            postings: Vec::new(),
            wanted: Vec::new(),
            settled: Vec::new(),
            doubts: p.doubts.clone(),
            known: Vec::new(),
            holds: Vec::new(),
            released: Vec::new(),
            owed: p.is_owed(),
            asks: VecDeque::new(),
            amended: false,
            upgraded: false,
        }
    }

    fn world(&self) -> World<'_> {
        World {
            id: &self.next.id,
            placement: "",
            placed_at: self.next.placed_at,
            answers: None,
            now: self.now,
            occurred: self.occurred,
            asked: self.asked.unwrap_or(self.occurred),
            by: &self.by,
            order: &self.next.order,
            books: &self.next.books,
            proofs: &self.next.proofs,
            life: self.next.life,
            due_minor: self.next.due_minor(),
            obligation: &self.next.obligation,
            carriage: carriage(&self.next),
            standing: &self.next.standing,
            place: 0,
            operations: &self.next,
        }
    }

    /// How the index rows differ from those before the step. Of several rows with one key, the lowest counts.
    fn index_moves(&self) -> Vec<IndexMove> {
        let any = |regions: &[Arc<Vec<Arc<Instance>>>], (place, key): &(usize, Key)| {
            let region = regions.get(*place).map_or(&[][..], |r| r.as_slice());
            let at = region.binary_search_by_key(key, |i| i.key).ok();
            at.and_then(|at| region.get(at)).is_some_and(|i| !i.index.is_empty())
        };
        if !self.changed.iter().any(|at| any(&self.was, at) || any(&self.next.regions, at)) {
            return Vec::new();
        }
        let all = |regions: &[Arc<Vec<Arc<Instance>>>]| {
            let mut rows: BTreeMap<(&'static str, String), i64> = BTreeMap::new();
            for row in regions.iter().flat_map(|r| r.iter()).flat_map(|i| &i.index) {
                let sort = rows.entry((row.space, row.key.clone())).or_insert(row.sort);
                *sort = row.sort.min(*sort);
            }
            rows
        };
        let (was, is) = (all(&self.was), all(&self.next.regions));
        let gone = was.keys().filter(|row| !is.contains_key(*row));
        let gone = gone.map(|(space, key)| IndexMove { space, key: key.clone(), sort: None });
        let new = is.iter().filter(|(row, sort)| was.get(*row) != Some(*sort));
        let new = new.map(|((space, key), sort)| IndexMove { space, key: key.clone(), sort: Some(*sort) });
        gone.chain(new).collect()
    }

    /// Sets a hold that keeps back commands which move money or goods, unless the very same one stands already.
    fn hold(&mut self, code: &str, detail: String) {
        self.raise(code, detail, Gates::All, None);
    }

    /// Sets a hold, unless the very same one stands already.
    fn raise(&mut self, code: &str, detail: String, gates: Gates, of: Option<Reminds>) {
        if self.next.holds.iter().any(|h| h.code == code && h.detail == detail && h.of == of) {
            return;
        }
        self.next.holds_set = self.next.holds_set.saturating_add(1);
        let hold = Hold { id: self.next.holds_set, code: code.to_owned(), detail, at: self.now, gates, of };
        self.next.holds.push(hold.clone());
        self.holds.push(hold);
    }

    /// Lifts the holds whose cause is gone.
    fn lift(&mut self, gone: impl Fn(&Hold) -> bool) {
        let lifted = self.next.holds.iter().filter(|h| gone(h)).map(|h| h.id);
        self.released.extend(lifted);
        self.next.holds.retain(|h| !gone(h));
    }

    fn post(&mut self, posting: Posting) {
        match self.next.books.post(&posting) {
            Ok(()) => self.postings.push(posting),
            // An amount that 64 bits cannot hold is beyond any order: a person must see it.
            Err(why) => {
                self.raise("unbookable", format!("{:?}: {why}", posting.code), Gates::Outflow, None);
            }
        }
    }
}

/// What applying one input to one instance came to.
enum Applied {
    Moved,
    Ignored,
    Stale,
    Alarmed,
    Duplicate,
    Deferred,
}

impl Pipeline {
    /// Places an order: the first step of its life.
    ///
    /// # Errors
    ///
    /// [`Unplaced`]: the pipeline has no stage for a line of it, or a machine is at fault.
    pub fn place(&self, id: OrderKey, order: Order, now: Timestamp) -> Result<Decision, Unplaced> {
        self.serves(&order)?;
        let by = order.placed_by().clone();
        let empty = Progress {
            id,
            order: Arc::new(order),
            placed_content: None,
            held_policies: None,
            version: 0,
            books: Books::default(),
            holds: Vec::new(),
            wanted: Vec::new(),
            doubts: Vec::new(),
            effects: 0,
            holds_set: 0,
            commands: Vec::new(),
            placed_at: now,
            updated_at: now,
            policies: self.stages.iter().map(|s| s.policy()).collect(),
            regions: self.stages.iter().map(|_| Arc::new(Vec::new())).collect(),
            proofs: Proofs::default(),
            standing: Standing::default(),
            life: Life::Placed,
            obligation: Arc::default(),
        };
        let mut d = Draft::new(&empty, by, now, None);
        let place = lifecycle::lifecycle::M::command(1, lifecycle::Place);
        self.apply(&mut d, 0, Key(1), &*place.value, place.input, None)
            .map_err(|e| StepError(format!("the lifecycle refuses to begin: {e:?}")))?;
        self.settle(&mut d);
        Ok(self.finish(d, "place", Disposition::Moved, Some((0, Key(1))), Some(place.value), |_| {}))
    }

    /// Whether some stage serves every line of an order. A pipeline none of whose stages says what it serves, by
    /// yielding [`Served`], takes any.
    fn serves(&self, order: &Order) -> Result<(), Unplaced> {
        let yields = |proof: &str| self.stages.iter().any(|s| s.graph().yields.contains(&proof));
        let (goods, services) = (yields(Served::<Goods>::NAME), yields(Served::<Services>::NAME));
        let served = |kind| match kind {
            LineKind::Goods => goods,
            LineKind::Service => services,
        };
        let unserved = order.lines().iter().enumerate().find(|(_, line)| !served(line.kind));
        match unserved {
            Some((line, of)) if goods || services => {
                Err(Unplaced::Unserved { pipeline: self.name, line, kind: of.kind })
            }
            Some(_) | None => Ok(()),
        }
    }

    /// Steps an order.
    ///
    /// # Errors
    ///
    /// The outer one is a fault of a machine; the inner one is a command refused.
    pub fn step(
        &self,
        p: &Progress,
        event: Event,
        now: Timestamp,
    ) -> Result<Result<Decision, Refused>, StepError> {
        let Event { kind, by, occurred } = event;
        match kind {
            EventKind::Command { call, command } => Ok(self.command(p, &call, command, by, now)),
            EventKind::Evidence { call, message } => {
                let Some(place) = self.position(call.place.unwrap_or(call.machine)) else {
                    return Ok(Err(Refused::UnknownMachine { place: call.machine.to_owned() }));
                };
                let mut d = Draft::new(p, by, now, occurred);
                self.evidence(&mut d, place, call.key, &call.value, call.input, message)
                    .map(|disposition| {
                        self.recorded(d, p, "evidence", disposition, place, call.key, call.value)
                    })
                    .map(Ok)
            }
            EventKind::Answer { effect, answer } => self.answer(p, effect, answer, by, now, occurred).map(Ok),
            EventKind::Timer { place, key, timer } => self.timer(p, place, key, timer, by, now).map(Ok),
            EventKind::Begin { effect } => {
                let put_off = |w: &Outstanding| w.not_before.is_some();
                let begun = |w: &Outstanding| Outstanding { not_before: None, ..w.clone() };
                Ok(Ok(self.attempt(p, effect, put_off, begun, by, now)))
            }
            EventKind::Retry { effect, sent, .. } if p.withdrawn(effect) => {
                // Nobody wants it any more, so that there is no other attempt.
                let sent = sent || p.wanted.iter().any(|w| w.id == effect && w.sent);
                let why = "it is not wanted any more".to_owned();
                let answer = EffectAnswer::Exhausted { sent, why };
                self.answer(p, effect, answer, by, now, None).map(Ok)
            }
            EventKind::Retry { effect, not_before, sent } => {
                let again = |w: &Outstanding| Outstanding {
                    attempt: w.attempt.saturating_add(1),
                    sent: w.sent || sent,
                    doubted: if sent { Some(now) } else { w.doubted },
                    not_before,
                    ..w.clone()
                };
                Ok(Ok(self.attempt(p, effect, |_| true, again, by, now)))
            }
            EventKind::Park { code, detail } => {
                let mut d = Draft::new(p, by, now, None);
                d.hold(code, detail);
                Ok(Ok(self.finish(d, "park", Disposition::Noted, None, None, |_| {})))
            }
            EventKind::Release { hold } => Ok(self.release(p, hold, by, now)),
            EventKind::LetGo { source, event, says } => {
                let d = Draft::new(p, by, now, None);
                let says = |e: &mut EntryRecord| e.let_go = Some((source, event, says));
                Ok(Ok(self.finish(d, "let_go", Disposition::Noted, None, None, says)))
            }
            EventKind::Upgrade { from, fingerprint } => self.upgrade(p, from, fingerprint, by, now).map(Ok),
        }
    }

    /// The timers that are due, in the order of their instants, then of placement and key.
    #[must_use]
    pub fn due(&self, p: &Progress, now: Timestamp) -> Vec<EventKind> {
        let mut all: Vec<(Timestamp, usize, Key, u8)> = Vec::new();
        for (place, region) in p.regions.iter().enumerate() {
            for i in region.iter() {
                all.extend(i.due.iter().filter(|(_, at)| *at <= now).map(|(t, at)| (*at, place, i.key, *t)));
            }
        }
        all.sort_unstable();
        all.into_iter().map(|(_, place, key, timer)| EventKind::Timer { place, key, timer }).collect()
    }

    fn unchanged(p: &Progress, disposition: Disposition) -> Decision {
        Decision { disposition, progress: p.clone(), entry: None, fires: Vec::new() }
    }

    fn command(
        &self,
        p: &Progress,
        call: &Call,
        command: Option<u128>,
        by: Actor,
        now: Timestamp,
    ) -> Result<Decision, Refused> {
        let name = call.place.unwrap_or(call.machine);
        let Some(at) = self.position(name) else {
            return Err(Refused::UnknownMachine { place: name.to_owned() });
        };
        let content = command.and_then(|_| self.content(call, &by)).unwrap_or_default();
        let command = command.map(|key| CommandKey { key, content });
        match p.commands.iter().find(|held| command.is_some_and(|c| c.key == held.key)) {
            Some(held) if Some(*held) == command => return Ok(Self::unchanged(p, Disposition::Duplicate)),
            Some(_) => return Err(Refused::KeyReused),
            None => {}
        }
        let Some(stage) = self.stage(at) else {
            return Err(Refused::UnknownMachine { place: name.to_owned() });
        };
        let graph = stage.graph();
        let asked = graph.inputs.get(usize::from(call.input)).map_or("?", |i| i.name);
        if let Some(why) = rights::forbids(graph, asked, &by, &p.order) {
            return Err(Refused::NotAllowed { by, command: asked, why });
        }
        let instance = p.instance(at, call.key);
        let from = instance.map_or(NEW, |i| 1 << i.at);
        let row = graph.rows.iter().find(|r| r.from & from != 0 && r.on == call.input);
        let Some(row) = row.filter(|_| call.class == Class::Command) else {
            if instance.is_none() {
                return Err(Refused::UnknownInstance { place: stage.name(), key: call.key });
            }
            return Err(self.no_row(stage, call, from));
        };
        let moves = row.may != 0
            || row.must != 0
            || !row.asks.is_empty()
            || row
                .effects
                .iter()
                .any(|e| graph.effects.iter().any(|spec| spec.name == *e && spec.mode != Mode::Read));
        // What an area moves is all that its commands are held up for: a parcel that came back holds up no refund.
        let gated = |gates: Gates| match graph.area() {
            "payment" | "refund" => gates.money(),
            "dispatch" => gates.goods(),
            // An entry that two people make settles what the hold is about.
            "books" => false,
            _ => gates != Gates::Nothing,
        };
        if moves && p.holds.iter().any(|h| gated(h.gates)) {
            let holds = p.holds.iter().filter(|h| gated(h.gates)).map(|h| h.code.clone()).collect();
            return Err(Refused::Held { holds });
        }
        let mut d = Draft::new(p, by, now, None);
        self.vet(&d, stage, call)?;
        match self.apply(&mut d, at, call.key, &*call.value, call.input, None) {
            Ok(_) => {}
            Err(Step::NoRow) => return Err(self.no_row(stage, call, from)),
            Err(Step::Lacks(proof)) => {
                return Err(Refused::Lacks { place: stage.name(), key: call.key, proof });
            }
            Err(Step::Refused(r)) => {
                return Err(Refused::Refused {
                    place: stage.name(),
                    key: call.key,
                    code: r.code,
                    detail: r.detail,
                });
            }
        }
        self.settle(&mut d);
        if let Some(broken) = Breach::worse(&Self::breaches(p), Self::breaches(&d.next)) {
            return Err(Refused::Invariant(broken));
        }
        if let Some(c) = command
            && let Some(old) = remember_command(&mut d.next.commands, c)
        {
            d.known.push(Known::command(&p.id, old.key).row(Known::sort(old.content)));
        }
        Ok(self.finish(
            d,
            "command",
            Disposition::Moved,
            Some((at, call.key)),
            Some(call.value.clone()),
            |entry| entry.command = command,
        ))
    }

    /// What a command of an actor is told apart by from any other: where it goes, who asks, and what for.
    pub(crate) fn content(&self, call: &Call, by: &Actor) -> Option<u128> {
        let at = self.position(call.place.unwrap_or(call.machine))?;
        let mut saved = Vec::with_capacity(256);
        self.save_input(at, &*call.value, &mut saved).ok()?;
        let (place, _) = self.placed(at);
        let by = by.to_string();
        Some(digest(&[place.as_bytes(), &call.key.0.to_le_bytes(), by.as_bytes(), &saved]))
    }

    /// What the hall knows against a command, which the stage that it is for cannot see.
    fn vet(&self, d: &Draft, stage: &dyn Stage, call: &Call) -> Result<(), Refused> {
        let graph = stage.graph();
        let world = d.world();
        let hall = Hall {
            world: &world,
            stages: &self.stages,
            policies: &d.next.policies,
            regions: &d.next.regions,
        };
        let input = graph.inputs.get(usize::from(call.input)).map_or("?", |i| i.name);
        let of = |v: &&Vet| v.command == input && (v.machine == graph.name || Some(v.machine) == graph.base);
        for vet in self.vets.iter().filter(of) {
            let mut saved = Vec::with_capacity(256);
            let stored = stage.save_input(&*call.value, &mut saved).ok();
            let stored = stored.and_then(|()| std::str::from_utf8(&saved).ok());
            // `"Name",version,{data}`
            let data = stored.and_then(|s| s.splitn(3, ',').nth(2)).unwrap_or_default();
            if let Some(Refusal { code, detail }) = (vet.against)(data, &hall) {
                return Err(Refused::Refused { place: stage.name(), key: call.key, code, detail });
            }
        }
        Ok(())
    }

    /// Where it stands whether an input was known long ago, if the order's row does not tell.
    pub(crate) fn long_known(&self, p: &Progress, kind: &EventKind) -> Option<Known> {
        match kind {
            EventKind::Command { command: Some(key), .. } => {
                let here = p.commands.len() < COMMANDS_KEPT || p.commands.iter().any(|c| c.key == *key);
                (!here).then(|| Known::command(&p.id, *key))
            }
            EventKind::Evidence { call, message } => {
                let place = self.position(call.place.unwrap_or(call.machine))?;
                let (stage, i) = (self.stage(place)?, p.instance(place, call.key)?);
                if i.facts.len() < FACTS_KEPT {
                    return None;
                }
                let name = stage.graph().inputs.get(usize::from(call.input))?.name;
                let told = stage.fact(&*call.value, "");
                let all = prints(name, &told, *message);
                let here = is_known(&i.facts, name, &told, &all);
                let fact = all.first().copied().filter(|_| !here)?;
                Some(Known::fact(&p.id, stage.name(), call.key, fact))
            }
            EventKind::Command { command: None, .. }
            | EventKind::Answer { .. }
            | EventKind::Timer { .. }
            | EventKind::Begin { .. }
            | EventKind::Retry { .. }
            | EventKind::Park { .. }
            | EventKind::Upgrade { .. }
            | EventKind::Release { .. }
            | EventKind::LetGo { .. } => None,
        }
    }

    /// The name of an input.
    pub(crate) fn input_name(&self, call: &Call) -> &'static str {
        let at = self.position(call.place.unwrap_or(call.machine));
        let stage = at.and_then(|at| self.stage(at));
        stage.and_then(|s| s.graph().inputs.get(usize::from(call.input))).map_or("?", |i| i.name)
    }

    fn no_row(&self, stage: &dyn Stage, call: &Call, from: u64) -> Refused {
        let g = stage.graph();
        Refused::NoRow {
            place: stage.name(),
            key: call.key,
            state: g.names(from).first().copied().unwrap_or("?"),
            command: g.inputs.get(usize::from(call.input)).map_or("?", |i| i.name),
            accepts: g
                .rows
                .iter()
                .filter(|r| r.from & from != 0)
                .filter_map(|r| g.inputs.get(usize::from(r.on)))
                .filter(|i| i.class == Class::Command)
                .map(|i| i.name)
                .collect(),
        }
    }

    /// Applies evidence and what follows from it.
    fn evidence(
        &self,
        d: &mut Draft,
        place: usize,
        key: Key,
        input: &Arc<dyn Any + Send + Sync>,
        ix: u8,
        message: Option<u64>,
    ) -> Result<Disposition, StepError> {
        let unplaced = self.unplaced(d, place, key, &**input, ix, message);
        if d.next.instance(place, key).is_none() {
            return Ok(unplaced
                .map_or(Disposition::Early, |fact| self.book_unplaced(d, place, key, &**input, ix, fact)));
        }
        // It was told of the instance before that began, and is booked already.
        let of_life = d.next.instance(0, Key(1));
        if let (Some(fact), Some(life)) = (unplaced, of_life)
            && life.facts.contains(&fact)
        {
            return Ok(Disposition::Duplicate);
        }
        let before = Self::breaches(&d.next);
        let applied = self
            .apply(d, place, key, &**input, ix, Some(message))
            .map_err(|e| self.fault(place, key, ix, &e))?;
        let disposition = match applied {
            Applied::Duplicate => return Ok(Disposition::Duplicate),
            Applied::Deferred => return Ok(Disposition::Early),
            Applied::Moved => Disposition::Moved,
            Applied::Ignored => Disposition::Ignored,
            Applied::Stale => Disposition::Stale,
            Applied::Alarmed => Disposition::Alarmed,
        };
        self.settle(d);
        Self::sound(d, &before);
        Ok(disposition)
    }

    /// By what money is known that is told of an instance which never began. An instance begins before its first call
    /// is made, so nothing is told too early of one that will: such money has no place, and would wait for one for
    /// ever.
    fn unplaced(
        &self,
        d: &Draft,
        place: usize,
        key: Key,
        input: &(dyn Any + Send + Sync),
        ix: u8,
        message: Option<u64>,
    ) -> Option<u64> {
        let stage = self.stage(place).filter(|_| d.answers.is_none())?;
        let told = stage.fact(input, "");
        if told.moved == Moved::Nothing {
            return None;
        }
        let spec = stage.graph().inputs.get(usize::from(ix))?;
        let own = told.identity.or_else(|| message.map(|m| m.to_string()))?;
        Some(print(&["unplaced", stage.name(), &key.to_string(), spec.name, &own]))
    }

    /// Books money that has no place on the order itself, and raises it. The lifecycle remembers it.
    fn book_unplaced(
        &self,
        d: &mut Draft,
        place: usize,
        key: Key,
        input: &(dyn Any + Send + Sync),
        ix: u8,
        fact: u64,
    ) -> Disposition {
        let (Some(stage), Some(life)) = (self.stage(place), d.next.instance(0, Key(1)).cloned()) else {
            return Disposition::Early;
        };
        if life.facts.contains(&fact) {
            return Disposition::Duplicate;
        }
        let mut life = (*life).clone();
        remember(&mut life.facts, fact, FACTS_KEPT);
        d.next.put(0, life);
        d.changed.insert((0, Key(1)));
        let name = stage.graph().inputs.get(usize::from(ix)).map_or("?", |i| i.name);
        let before = Self::breaches(&d.next);
        self.raise(
            d,
            "unplaced",
            &format!("{} {key} never began, and heard {name}", stage.name()),
            &stage.fact(input, "").moved,
        );
        self.settle(d);
        Self::sound(d, &before);
        Disposition::Alarmed
    }

    /// Reality is never rejected: what breaks the books is booked, held and raised.
    fn sound(d: &mut Draft, before: &[Breach]) {
        if let Some(broken) = Breach::worse(before, Self::breaches(&d.next)) {
            d.raise(BOOKS, broken.to_string(), Gates::Outflow, None);
        }
    }

    fn breaches(p: &Progress) -> Vec<Breach> {
        p.books.breaches(p.worth_minor())
    }

    /// Whether an effect sends money out of an order that must not by itself: a person has to look first, or more of
    /// the channel's money is promised than was taken there.
    fn holds_back(&self, p: &Progress, w: &Outstanding) -> bool {
        let Some(value) = self.effect_value(w) else { return false };
        value.downcast_ref::<SendBack>().is_some_and(|send| {
            p.holds.iter().any(|h| h.gates.outflow()) || p.books.overdrawn(&send.channel) > 0
        })
    }

    /// Holds back what must not go out by itself and was not sent yet, and lets go what may again. What is under way
    /// can be called back by nobody.
    fn hold_back(&self, d: &mut Draft) {
        let uneasy = d.next.holds.iter().any(|h| h.gates.outflow())
            || d.next.books.channels().iter().any(|c| d.next.books.overdrawn(c) > 0);
        if !uneasy && !d.next.wanted.iter().any(|w| w.is_held_back()) {
            return;
        }
        for at in 0..d.next.wanted.len() {
            let Some(w) = d.next.wanted.get(at).cloned() else { continue };
            let fresh = w.not_before.is_none() && d.wanted.iter().any(|new| new.id == w.id);
            if w.not_before.is_none() && !fresh {
                continue;
            }
            let held = self.holds_back(&d.next, &w);
            if held == w.is_held_back() {
                continue;
            }
            let w = Arc::new(if held {
                w.held_back()
            } else {
                Outstanding { not_before: Some(d.now), ..(*w).clone() }
            });
            d.wanted.retain(|new| new.id != w.id);
            d.wanted.push(w.clone());
            if let Some(slot) = d.next.wanted.get_mut(at) {
                *slot = w;
            }
        }
    }

    fn fault(&self, place: usize, key: Key, ix: u8, e: &Step) -> StepError {
        let stage = self.stage(place).map_or("?", |s| s.name());
        let input =
            self.stage(place).and_then(|s| s.graph().inputs.get(usize::from(ix))).map_or("?", |i| i.name);
        StepError(format!("{stage} {key} cannot take {input}, which cannot be refused: {e:?}"))
    }

    #[allow(clippy::too_many_arguments)] // every one is a part of the record
    fn recorded(
        &self,
        d: Draft,
        p: &Progress,
        kind: &'static str,
        disposition: Disposition,
        place: usize,
        key: Key,
        input: Arc<dyn Any + Send + Sync>,
    ) -> Decision {
        if disposition.commits() {
            self.finish(d, kind, disposition, Some((place, key)), Some(input), |_| {})
        } else {
            Self::unchanged(p, disposition)
        }
    }

    fn answer(
        &self,
        p: &Progress,
        effect: u64,
        answer: EffectAnswer,
        by: Actor,
        now: Timestamp,
        occurred: Option<Timestamp>,
    ) -> Result<Decision, StepError> {
        let Some(w) = p.wanted.iter().find(|w| w.id == effect) else {
            return Ok(Self::unchanged(p, Disposition::Duplicate));
        };
        let Some(stage) = self.stage(w.place) else {
            return Err(StepError(format!("effect {effect} belongs to no placement")));
        };
        let known = match &answer {
            EffectAnswer::Done(_) | EffectAnswer::Unsettled(_) | EffectAnswer::Declined(_) => true,
            EffectAnswer::Unknown(_) | EffectAnswer::Kept(_) => false,
            EffectAnswer::Exhausted { sent, .. } => !sent,
        };
        let unsent = matches!(answer, EffectAnswer::Kept(_));
        let settled = !matches!(answer, EffectAnswer::Unsettled(_)) && self.settled(p, w, Duration::ZERO);
        let input = match answer {
            EffectAnswer::Done(told) | EffectAnswer::Unsettled(told) | EffectAnswer::Declined(told) => {
                stage.input_of(&*told.0)
            }
            EffectAnswer::Unknown(why) => stage.unknown(w.effect, Fault { why }),
            EffectAnswer::Exhausted { sent, why } => stage.exhausted(w.effect, Exhausted { sent, why }),
            EffectAnswer::Kept(why) => stage.unknown(w.effect, Fault { why }),
        };
        let Some(input) = input else {
            return Err(StepError(format!("{} was answered with an input of another machine", w.name)));
        };
        let ix = stage.input_ix(&*input).unwrap_or_default();
        let (place, key) = (w.place, w.key);
        let mut d = Draft::new(p, by, now, occurred);
        d.next.wanted.retain(|w| w.id != effect);
        let last = if unsent { w.doubted } else { None };
        d.next.answered(w, known, last.unwrap_or(now));
        d.asked = Some(w.wanted_at);
        d.answers = Some((w.clone(), settled, !unsent));
        d.settled.push(effect);
        let disposition = match self.evidence(&mut d, place, key, &input, ix, None)? {
            // The fact is known already, told by a message that overtook the answer: the effect is settled anyway.
            Disposition::Duplicate | Disposition::Early | Disposition::Void => Disposition::Noted,
            told @ (Disposition::Moved
            | Disposition::Ignored
            | Disposition::Stale
            | Disposition::Alarmed
            | Disposition::Noted) => told,
        };
        Ok(self.finish(d, "answer", disposition, Some((place, key)), Some(input), |_| {}))
    }

    /// Whether what a question finds missing will not come: it was asked when no other call of its instance was under
    /// way, and those of which nobody told what came of them had been given up `settle` before.
    pub(crate) fn settled(&self, p: &Progress, asked: &Outstanding, settle: Duration) -> bool {
        let Some(stage) = self.stage(asked.place) else { return false };
        let effects = stage.graph().effects;
        let once = |effect: u8| effects.get(usize::from(effect)).is_some_and(|e| e.mode == Mode::Once);
        let of = |place: usize, key: Key| place == asked.place && key == asked.key;
        let under_way = p.wanted.iter().any(|w| {
            let begun = w.sent || w.not_before.is_none();
            w.id != asked.id && of(w.place, w.key) && w.mode == Mode::Once && begun
        });
        let unsettled = p
            .doubts
            .iter()
            .any(|d| of(d.place, d.key) && once(d.effect) && d.last.saturating_add(settle) > asked.wanted_at);
        !under_way && !unsettled
    }

    /// What the outside did for an effect, as evidence addressed to the instance that wanted it. `None` for what has no
    /// identity by which it would be known when it is told a second time.
    pub(crate) fn told(&self, w: &Outstanding, told: &Told) -> Option<Call> {
        let call = self.answered(w, told)?;
        self.stage(w.place)?.fact(&*call.value, "").identity?;
        Some(call)
    }

    /// An answer as the input of the machine that asked.
    pub(crate) fn answered(&self, w: &Outstanding, told: &Told) -> Option<Call> {
        let stage = self.stage(w.place)?;
        let value = stage.input_of(&*told.0)?;
        let (graph, input) = (stage.graph(), stage.input_ix(&*value)?);
        let class = graph.inputs.get(usize::from(input))?.class;
        Some(Call { machine: graph.name, place: Some(stage.name()), key: w.key, input, class, value })
    }

    fn timer(
        &self,
        p: &Progress,
        place: usize,
        key: Key,
        timer: u8,
        by: Actor,
        now: Timestamp,
    ) -> Result<Decision, StepError> {
        let due =
            p.instance(place, key).is_some_and(|i| i.due.iter().any(|(t, at)| *t == timer && *at <= now));
        let input = self.stage(place).and_then(|s| s.plain_input(timer));
        let (true, Some(input)) = (due, input) else {
            return Ok(Self::unchanged(p, Disposition::Void));
        };
        let mut d = Draft::new(p, by, now, None);
        self.apply(&mut d, place, key, &*input, timer, None)
            .map_err(|e| self.fault(place, key, timer, &e))?;
        self.settle(&mut d);
        Self::sound(&mut d, &Self::breaches(p));
        Ok(self.finish(d, "timer", Disposition::Moved, Some((place, key)), Some(input), |_| {}))
    }

    fn attempt(
        &self,
        p: &Progress,
        effect: u64,
        applies: impl Fn(&Outstanding) -> bool,
        next: impl Fn(&Outstanding) -> Outstanding,
        by: Actor,
        now: Timestamp,
    ) -> Decision {
        let Some(at) = p.wanted.iter().position(|w| w.id == effect && applies(w)) else {
            return Self::unchanged(p, Disposition::Void);
        };
        let mut d = Draft::new(p, by, now, None);
        if let Some(slot) = d.next.wanted.get_mut(at) {
            let w = Arc::new(next(slot));
            *slot = w.clone();
            d.wanted.push(w);
        }
        self.finish(d, "retry", Disposition::Noted, None, None, |_| {})
    }

    /// Brings an order of an older release up to date. Everything of it is journaled as this release stores it, so that
    /// the fold stays the state.
    fn upgrade(
        &self,
        p: &Progress,
        from: u32,
        fingerprint: u64,
        by: Actor,
        now: Timestamp,
    ) -> Result<Decision, StepError> {
        let Some(older) = self.older_release(from, fingerprint) else {
            return Err(StepError(format!("version {from} ({fingerprint:016x}) is not upgraded here")));
        };
        let mut d = Draft::new(p, by, now, None);
        for (place, stage) in self.stages.iter().enumerate() {
            for i in p.region(place) {
                let timers = stage.graph().states.get(usize::from(i.at)).map_or(0, |s| s.timers);
                let mut due: Vec<_> = i.due.iter().filter(|(t, _)| timers >> t & 1 == 1).copied().collect();
                // An instant that the older release did not set has come: the handler decides anew.
                for timer in (0..64).filter(|t| timers >> t & 1 == 1) {
                    if !due.iter().any(|(t, _)| *t == timer) {
                        due.push((timer, now));
                    }
                }
                d.next.put(place, Instance { due, ..(**i).clone() });
                d.changed.insert((place, i.key));
            }
        }
        d.wanted = p.wanted.clone();
        d.upgraded = true;
        let held: Vec<&'static str> = d.next.proofs.names().collect();
        for (place, stage) in self.stages.iter().enumerate() {
            if !older.places.iter().any(|known| known == stage.name()) {
                self.tell(&mut d, place, &Proofs::default(), &[], &held);
            }
        }
        self.settle(&mut d);
        Ok(self.finish(d, "upgrade", Disposition::Noted, None, None, |_| {}))
    }

    fn release(&self, p: &Progress, hold: u32, by: Actor, now: Timestamp) -> Result<Decision, Refused> {
        if !p.holds.iter().any(|h| h.id == hold) {
            return Err(Refused::UnknownHold { hold });
        }
        if let Some(why) = rights::no_person(&by) {
            return Err(Refused::NotAllowed { by, command: "Release", why });
        }
        let mut d = Draft::new(p, by, now, None);
        d.lift(|h| h.id == hold);
        Ok(self.finish(d, "release", Disposition::Noted, None, None, |_| {}))
    }

    /// Applies one input to one instance. `message` is set for evidence: its own identity, where it has one, or its
    /// message's, tells a duplicate.
    fn apply(
        &self,
        d: &mut Draft,
        place: usize,
        key: Key,
        input: &(dyn Any + Send + Sync),
        ix: u8,
        message: Option<Option<u64>>,
    ) -> Result<Applied, Step> {
        let stage = self.stage(place).expect("a placement of this pipeline");
        let graph = stage.graph();
        let spec = graph.inputs.get(usize::from(ix)).expect("an input of this table");
        // What follows from an answer is none.
        let answers = d.answers.clone().filter(|_| message.is_some());
        let answers = answers.as_ref().map(|(w, settled, made)| Answers {
            effect: &w.name,
            nth: w.nth,
            settled: *settled,
            made: *made,
        });
        let told = stage.fact(input, answers.map_or("", |a| a.effect));
        let facts = message.map_or_else(Vec::new, |message| prints(spec.name, &told, message));
        let known = d.next.instance(place, key).cloned();
        if let Some(i) = &known
            && !told.by_call
            && is_known(&i.facts, spec.name, &told, &facts)
        {
            return Ok(Applied::Duplicate);
        }
        let moved = told.moved;
        let outcome = {
            let world = World { place, placement: stage.name(), answers, ..d.world() };
            let policy = d.next.policies.get(place).expect("one policy per placement");
            let at = At { key, world: &world, policy: &**policy, region: d.next.region(place) };
            stage.step(&at, input)?
        };
        let applied = match outcome {
            Outcome::Deferred => return Ok(Applied::Deferred),
            Outcome::Ignored => Applied::Ignored,
            Outcome::Stale => Applied::Stale,
            Outcome::Alarmed => {
                self.alarm(d, stage, key, spec.name, &moved);
                Applied::Alarmed
            }
            Outcome::Moved(m) => {
                self.go(d, place, key, spec.name, known.as_deref(), *m, &facts);
                return Ok(Applied::Moved);
            }
        };
        if let (false, Some(i)) = (facts.is_empty(), known) {
            let mut i = (*i).clone();
            for f in &facts {
                if let Some(old) = remember(&mut i.facts, *f, FACTS_KEPT) {
                    d.known.push(Known::fact(&d.next.id, stage.name(), key, old).row(0));
                }
            }
            d.next.put(place, i);
            d.changed.insert((place, key));
        }
        Ok(applied)
    }

    fn alarm(&self, d: &mut Draft, stage: &dyn Stage, key: Key, input: &str, moved: &Moved) {
        self.raise(d, "alarm", &format!("{} {key} heard {input}", stage.name()), moved);
    }

    /// Books money that came into suspense, and money that left as unexplained, and holds.
    fn raise(&self, d: &mut Draft, code: &str, what: &str, moved: &Moved) {
        let currency = d.next.order.total().currency();
        let mut posts = Vec::new();
        let said = match moved {
            Moved::Nothing => String::new(),
            Moved::In(channel, money) => {
                if money.currency() == currency && money.minor() > 0 {
                    P5 { channel: channel.clone(), amount_minor: money.minor() }.postings(&mut posts);
                }
                format!(": {money} came over {channel}")
            }
            Moved::Out(channel, money) => {
                if money.currency() == currency && money.minor() > 0 {
                    P18 { channel: channel.clone(), amount_minor: money.minor() }.postings(&mut posts);
                }
                format!(": {money} left over {channel}")
            }
        };
        for p in posts {
            d.post(p);
        }
        d.hold(code, format!("{what}{said}"));
    }

    /// Carries out what a row decided.
    #[allow(clippy::too_many_arguments)] // the parts of one move
    fn go(
        &self,
        d: &mut Draft,
        place: usize,
        key: Key,
        input: &'static str,
        was: Option<&Instance>,
        m: MovedTo,
        told: &[u64],
    ) {
        let stage = self.stage(place).expect("a placement of this pipeline");
        let graph = stage.graph();
        let state = |at: u8| graph.states.get(usize::from(at)).map_or("?", |s| s.name);
        d.fires.push(Fire {
            place: stage.name(),
            key,
            row: m.row,
            from: was.map_or("New", |i| state(i.at)),
            input,
            to: state(m.at),
        });
        let to = state(m.at);
        let mut facts = was.map(|i| i.facts.clone()).unwrap_or_default();
        for f in told {
            if let Some(old) = remember(&mut facts, *f, FACTS_KEPT) {
                d.known.push(Known::fact(&d.next.id, stage.name(), key, old).row(0));
            }
        }
        let due = match m.due {
            None => was.map(|i| i.due.clone()).unwrap_or_default(),
            Some(list) => list.into_iter().map(|(t, at)| (t, at.instant())).collect(),
        };
        if place == 0
            && let Some(s) = m.state.downcast_ref::<lifecycle::lifecycle::State>()
        {
            d.next.life = lifecycle::life(s);
            let owed = lifecycle::obligation(s);
            if *d.next.obligation != *owed {
                d.next.obligation = Arc::new(owed.clone());
            }
        }
        let (state, at, saved, index, base) = (m.state, m.at, m.saved, m.index, m.base);
        d.next.put(place, Instance { key, state, at, due, facts, saved, index, base });
        d.changed.insert((place, key));
        let is = Reminds { place: stage.name().to_owned(), key, state: to.to_owned() };
        d.lift(|h| {
            h.of.as_ref().is_some_and(|of| of.place == is.place && of.key == key && of.state != is.state)
        });
        if let Some(order) = m.amended {
            self.amend(d, *order);
        }
        for p in m.postings {
            d.post(p);
        }
        for Raised { code, detail, gates } in m.holds {
            let of = (gates == Gates::Nothing).then(|| is.clone());
            d.raise(code, detail, gates, of);
        }
        let unsent = self.withdraw(d, graph, (place, key), was.map(|i| i.at), &m.effects);
        for fx in m.effects {
            let under_way = d
                .next
                .wanted
                .iter()
                .any(|w| w.place == place && w.key == key && w.effect == fx.ix && w.nth == fx.nth);
            // The same operation is under way: one call is enough, and its answer is this one's too.
            if under_way {
                continue;
            }
            let Some(spec) = graph.effects.get(usize::from(fx.ix)) else { continue };
            d.next.effects = d.next.effects.saturating_add(1);
            let doubt = d.next.doubt(place, key, fx.ix, fx.nth);
            let w = Arc::new(Outstanding {
                id: d.next.effects,
                place,
                key,
                effect: fx.ix,
                name: spec.handler.into(),
                mode: spec.mode,
                nth: fx.nth,
                attempt: 1,
                sent: doubt.is_some(),
                withdrawn: false,
                wanted_at: d.now,
                since: doubt.map_or(d.now, |doubt| doubt.since),
                doubted: doubt.map(|doubt| doubt.last),
                again: fx.again,
                not_before: None,
                value: fx.value,
                saved: fx.saved,
            });
            d.next.wanted.push(w.clone());
            d.wanted.push(w);
        }
        d.asks.extend(m.asks);
        self.stand(&mut d.next);
        for effect in unsent {
            self.never_sent(d, stage, (place, key), effect);
        }
    }

    /// Withdraws what an instance wanted in the state that it leaves. What was never sent is dropped, and answered; of
    /// what is being called, a call that has not begun is not made, and no other follows.
    fn withdraw(
        &self,
        d: &mut Draft,
        graph: &Graph,
        (place, key): (usize, Key),
        from: Option<u8>,
        anew: &[WantedFx],
    ) -> Vec<u8> {
        let (Some(from), Some(to)) = (from, d.next.instance(place, key).map(|i| i.at)) else {
            return Vec::new();
        };
        if from == to {
            return Vec::new();
        }
        let mut unsent = Vec::new();
        let old = std::mem::take(&mut d.next.wanted);
        for w in old {
            let its = w.place == place && w.key == key && !w.withdrawn;
            let again = anew.iter().any(|fx| fx.ix == w.effect && fx.nth == w.nth);
            if !its || again || graph.still_wants(w.effect, from, to) {
                d.next.wanted.push(w);
            } else if w.not_before.is_some() {
                if w.sent {
                    // Another attempt of it may have arrived, and nobody has told.
                    d.next.answered(&w, false, w.doubted.unwrap_or(d.now));
                } else if !anew.iter().any(|fx| fx.ix == w.effect) {
                    unsent.push(w.effect);
                }
                d.settled.push(w.id);
            } else if w.mode == Mode::Read {
                // It changes nothing, and what it says may be news all the same.
                d.next.wanted.push(w);
            } else {
                let w = Arc::new(Outstanding { withdrawn: true, ..(*w).clone() });
                d.next.wanted.push(w.clone());
                d.wanted.push(w);
            }
        }
        unsent
    }

    /// Tells an instance that what it had wanted was never sent: that is proof, as the word of an adapter would be.
    fn never_sent(&self, d: &mut Draft, stage: &dyn Stage, (place, key): (usize, Key), effect: u8) {
        let why = "it is not wanted any more".to_owned();
        let spent = Exhausted { sent: false, why };
        let Some(input) = stage.exhausted(effect, spent) else { return };
        let ix = stage.input_ix(&*input).unwrap_or_default();
        if let Err(e) = self.apply(d, place, key, &*input, ix, Some(None)) {
            let fault = self.fault(place, key, ix, &e);
            d.hold("signal", fault.0);
        }
    }

    /// Puts another document in the place of the order's own. What the order is found by may depend on it.
    fn amend(&self, d: &mut Draft, order: Order) {
        let placed = d.next.placed_content.unwrap_or_else(|| d.next.order.content_hash());
        d.next.placed_content = Some(placed);
        d.next.order = Arc::new(order);
        d.amended = true;
        for (place, stage) in self.stages.iter().enumerate() {
            let policy = d.next.policies.get(place).expect("one policy per placement").clone();
            for i in d.next.region(place).to_vec() {
                let index = stage.index(i.key, &*i.state, &d.next.order, &*policy);
                if index != i.index {
                    d.next.put(place, Instance { index, ..(*i).clone() });
                    d.changed.insert((place, i.key));
                }
            }
        }
    }

    /// Counts what stands where.
    pub(crate) fn stand(&self, p: &mut Progress) {
        let mut standing = std::mem::take(&mut p.standing);
        standing.clear();
        for (stage, region) in self.stages.iter().zip(&p.regions) {
            let graph = stage.graph();
            for i in region.iter() {
                if let Some(s) = graph.states.get(usize::from(i.at)) {
                    standing.add(graph.area(), s.name, !s.kind.is_end());
                }
            }
        }
        p.standing = standing;
    }

    /// Folds every proof. The lifecycle folds last, since its proofs speak of the others.
    pub(crate) fn fold(&self, p: &Progress, now: Timestamp) -> Proofs {
        let mut proofs = Proofs::default();
        let by = Actor::system();
        let order = (1..self.stages.len()).chain(std::iter::once(0));
        for place in order {
            let mut granted = Proofs::default();
            let world = World {
                id: &p.id,
                placement: self.stage(place).map_or("", |s| s.name()),
                placed_at: p.placed_at,
                answers: None,
                now,
                occurred: now,
                asked: now,
                by: &by,
                order: &p.order,
                books: &p.books,
                proofs: &proofs,
                life: p.life,
                due_minor: p.due_minor(),
                obligation: &p.obligation,
                carriage: carriage(p),
                standing: &p.standing,
                place,
                operations: p,
            };
            if let (Some(stage), Some(policy)) = (self.stage(place), p.policies.get(place)) {
                let at = At { key: Key(0), world: &world, policy: &**policy, region: p.region(place) };
                stage.yields(&at, &mut granted);
            }
            proofs.append(granted);
        }
        proofs
    }

    /// Carries asks along their routes and proofs to those who hear of them, until nothing changes any more.
    fn settle(&self, d: &mut Draft) {
        let mut changed: BTreeSet<&'static str> = BTreeSet::new();
        loop {
            while let Some(ask) = d.asks.pop_front() {
                self.carry(d, &*ask);
            }
            let is = self.fold(&d.next, d.now);
            let was = std::mem::replace(&mut d.next.proofs, is);
            let gone: Vec<&'static str> = was.names().filter(|n| !d.next.proofs.holds(n)).collect();
            let new: Vec<&'static str> = d.next.proofs.names().filter(|n| !was.holds(n)).collect();
            if gone.is_empty() && new.is_empty() {
                return;
            }
            // A proof that turns twice in one step would turn for ever: the order waits for a person instead.
            let twice: Vec<&str> = gone.iter().chain(&new).copied().filter(|p| !changed.insert(p)).collect();
            if !twice.is_empty() {
                d.hold("proofs", format!("{} changed twice in one step", twice.join(", ")));
                return;
            }
            for place in 0..self.stages.len() {
                self.tell(d, place, &was, &gone, &new);
            }
        }
    }

    /// Tells one placement what changed: withdrawals before grants.
    fn tell(&self, d: &mut Draft, place: usize, was: &Proofs, gone: &[&str], new: &[&str]) {
        let Some(stage) = self.stage(place) else { return };
        let graph = stage.graph();
        let all = |p: &Proofs| graph.needs.iter().all(|n| p.holds(n));
        let (had, has) = (all(was), all(&d.next.proofs));
        let hears = |trigger: Trigger, granted: bool| match trigger {
            Trigger::Route => false,
            Trigger::NeedsGranted => granted && !graph.needs.is_empty() && has && !had,
            Trigger::NeedsWithdrawn => !granted && had && !has,
            Trigger::Granted(p) => granted && new.contains(&p),
            Trigger::Withdrawn(p) => !granted && gone.contains(&p),
        };
        for granted in [false, true] {
            for (ix, spec) in graph.inputs.iter().enumerate() {
                if spec.class != Class::Signal || !hears(spec.trigger, granted) {
                    continue;
                }
                let ix = u8::try_from(ix).unwrap_or(u8::MAX);
                let Some(signal) = stage.plain_input(ix) else { continue };
                let mut keys: BTreeSet<Key> = d.next.region(place).iter().map(|i| i.key).collect();
                if graph.opens >> ix & 1 == 1 {
                    let world = d.world();
                    let policy = d.next.policies.get(place).expect("one policy per placement");
                    let at =
                        At { key: Key(0), world: &world, policy: &**policy, region: d.next.region(place) };
                    keys.extend(stage.opens(&at, ix));
                }
                for key in keys {
                    self.signal(d, place, key, &signal, ix);
                }
            }
        }
    }

    fn signal(&self, d: &mut Draft, place: usize, key: Key, input: &Arc<dyn Any + Send + Sync>, ix: u8) {
        if let Err(e) = self.apply(d, place, key, &**input, ix, None) {
            // Signals are total by the table; a `New` without a row for one is the only way here, and means nobody.
            if d.next.instance(place, key).is_some() {
                let fault = self.fault(place, key, ix, &e);
                d.hold("signal", fault.0);
            }
        }
    }

    fn carry(&self, d: &mut Draft, ask: &dyn AskValue) {
        let any = ask.as_any();
        for route in self.routes.iter().filter(|r| r.ask == any.type_id()) {
            let carried = {
                let world = d.world();
                let policy = &**d.next.policies.get(route.to).expect("one policy per placement");
                let stage = self.stage(route.to).expect("a placement of this pipeline");
                let extended = stage.graph().name != route.machine;
                let policy = if extended { stage.base_policy(policy).unwrap_or(policy) } else { policy };
                let hall = Hall {
                    world: &world,
                    stages: &self.stages,
                    policies: &d.next.policies,
                    regions: &d.next.regions,
                };
                let region = d.next.region(route.to);
                (route.deliver)(any, &RouteAt { world: &world, policy, region, hall })
            };
            for (code, detail) in carried.holds {
                d.hold(code, detail);
            }
            let Some(stage) = self.stage(route.to) else { continue };
            for (key, signal) in carried.signals {
                let input = stage.input_of(&*signal);
                if let Some((input, ix)) =
                    input.and_then(|input| Some((input.clone(), stage.input_ix(&*input)?)))
                {
                    self.signal(d, route.to, key, &input, ix);
                }
            }
        }
    }

    fn finish(
        &self,
        mut d: Draft,
        kind: &'static str,
        disposition: Disposition,
        target: Option<(usize, Key)>,
        input: Option<Arc<dyn Any + Send + Sync>>,
        more: impl FnOnce(&mut EntryRecord),
    ) -> Decision {
        if d.next.holds.iter().any(|h| h.code == BOOKS) && Self::breaches(&d.next).is_empty() {
            d.lift(|h| h.code == BOOKS);
        }
        let owed = d.next.is_owed();
        if owed && !d.owed {
            let detail = format!("the customer owes {}", d.next.books.owed().saturating_neg());
            // It waits for a payment or an entry, and holds up neither.
            d.raise(RECEIVABLE, detail, Gates::Nothing, None);
        } else if !owed {
            d.lift(|h| h.code == RECEIVABLE);
        }
        self.hold_back(&mut d);
        d.next.version = d.next.version.saturating_add(1);
        d.next.updated_at = d.now;
        let moves = d
            .changed
            .iter()
            .filter_map(|(place, key)| {
                let instance = d.next.instance(*place, *key)?.clone();
                Some(Move { place: *place, instance })
            })
            .collect();
        let mut index = d.index_moves();
        index.append(&mut d.known);
        // What has come to its end sends nothing again.
        if !d.next.doubts.is_empty() {
            let ended = |at: &Doubt| {
                let state = d.next.instance(at.place, at.key)?.at;
                let graph = self.stage(at.place)?.graph();
                Some(graph.states.get(usize::from(state))?.kind.is_end())
            };
            let kept = d.next.doubts.iter().filter(|at| ended(at) == Some(false)).copied().collect();
            d.next.doubts = kept;
        }
        let doubts = (d.next.doubts != d.doubts).then(|| d.next.doubts.clone());
        let mut entry = EntryRecord {
            at: d.now,
            occurred: (d.occurred != d.now).then_some(d.occurred),
            by: d.by,
            kind,
            disposition,
            target,
            input,
            moves,
            postings: d.postings,
            wanted: d.wanted,
            settled: d.settled,
            doubts,
            index,
            holds: d.holds,
            released: d.released,
            command: None,
            let_go: None,
            amended: d.amended,
            upgraded: d.upgraded,
        };
        more(&mut entry);
        Decision { disposition, progress: d.next, entry: Some(entry), fires: d.fires }
    }
}

/// The fingerprints under which a fact is remembered: its own or its message's, and that it may be told as.
fn prints(input: &str, told: &Fact, message: Option<u64>) -> Vec<u64> {
    let own = told.identity.as_ref().map(|id| print(&[input, id])).or(message);
    let also = told.alias.as_ref().map(|alias| print(&[input, "told as", alias]));
    own.into_iter().chain(also).collect()
}

/// Whether a fact is among those that are remembered: told by its own name, by the name that it may be told as, or by
/// its own where that is what another may be told as.
fn is_known(known: &[u64], input: &str, told: &Fact, prints: &[u64]) -> bool {
    let has = |f: u64| known.contains(&f);
    prints.first().is_some_and(|own| has(*own))
        || match (&told.alias, &told.identity) {
            (Some(alias), _) => has(print(&[input, alias])),
            (None, Some(own)) => has(print(&[input, "told as", own])),
            (None, None) => false,
        }
}

/// Adds a command's key. Gives the one for which there is no room any more.
#[must_use]
pub(crate) fn remember_command<T: PartialEq>(list: &mut Vec<T>, command: T) -> Option<T> {
    remember(list, command, COMMANDS_KEPT)
}

/// Adds to a list of things to remember. Gives the oldest where there are more than `limit`.
fn remember<T: PartialEq>(list: &mut Vec<T>, item: T, limit: usize) -> Option<T> {
    if list.contains(&item) {
        return None;
    }
    let oldest = (list.len() >= limit).then(|| list.remove(0));
    list.push(item);
    oldest
}

impl fmt::Display for Disposition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
