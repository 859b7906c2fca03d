//! The task of one order: it alone steps it, one input after the other.

mod inbox;

use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::Poll;
use std::time::Duration;

use futures::FutureExt as _;
use futures::future::{BoxFuture, Either, select};
use futures::stream::{FuturesUnordered, StreamExt as _};
use tokio::sync::{Notify, oneshot};

use super::env::{Busy, idle, within_idle};
use super::error::{CommandError, DeliverError, EngineError, PlaceError};
use super::inner::Inner;
use super::observe;
use super::times::KEY_MARGIN;
use super::view::{Change, Delivered, Delivery, Done, OrderView, Placed};
use super::watch::Watch;
use super::words;
use crate::clock::Timestamp;
use crate::gateway::{Repeats, Ticket};
use crate::id::{Actor, Key, OrderKey, Role};
use crate::journal::{Desk, Kept, Screened, Speaker};
use crate::machine::{Again, Call, Mode, Reply, Told};
use crate::order::Order;
use crate::pipeline::{
    Decision, Disposition, EffectAnswer, Event, EventKind, Outstanding, Progress, Refused, Unplaced,
};
use crate::planted::{Mutant, planted};
use crate::store::{CommitError, Entry, Error as StoreError, Hash, InboxPut, InboxRow, Owner, Stored};

/// How often an input is decided again when others moved the order in between.
const ATTEMPTS: u32 = 5;

/// As many timers at once as any order has: a timer's row sets a later instant, so it cannot go on for ever.
const MAX_DUE: u32 = 1024;
/// The largest record of one input, with what follows from it: 1 MiB.
pub const MAX_RECORD_BYTES: u64 = 1 << 20;

/// The largest message that may wait for its turn: it stands in the record twice then, as it was told and in the state
/// that it leads to, and some things beside it. 508 KiB.
pub const MAX_MESSAGE_BYTES: u64 = MAX_RECORD_BYTES / 2 - 4096;

/// How deep a record may be nested, the record itself counted. Deeper ones could be written, and not read again.
pub const MAX_DEPTH: usize = 64;

/// How many messages may wait for their turn with one order.
pub const MAX_WAITING: usize = 256;

/// How long after it was wanted a call may be made without another look at the order.
const FRESH: Duration = Duration::from_secs(5);

/// How far the clocks of workers may differ before the age of a key counts as unknown.
const CLOCKS_AGREE: Duration = Duration::from_secs(60);

/// The code of the hold that parks an order.
const PARKED: &str = "parked";

/// An input of an order.
pub(super) enum Msg {
    Place {
        desk: Arc<Desk>,
        order: Box<Order>,
        reply: oneshot::Sender<Result<Placed, PlaceError>>,
    },
    Command {
        by: Actor,
        key: Option<u128>,
        call: Call,
        reply: oneshot::Sender<Result<Done, CommandError>>,
    },
    Release {
        by: Actor,
        hold: u32,
        reply: oneshot::Sender<Result<Done, CommandError>>,
    },
    Evidence {
        delivery: Box<Delivery>,
        reply: oneshot::Sender<Result<Delivered, DeliverError>>,
    },
    /// A person lets go of a message that waits.
    Drop {
        by: Actor,
        source: Arc<str>,
        event: Arc<str>,
        reply: oneshot::Sender<Result<Done, CommandError>>,
    },
    /// Messages have waited for long; the order may not exist.
    Expire,
    Wake,
    Recover,
    /// The adapter of an effect never let go of the thread of the task that the order had before.
    Stuck {
        effect: u64,
    },
    /// What a call came to that was made by such a task.
    Heard(Box<Called>),
}

impl Msg {
    pub(super) fn refuse_stopped(self) {
        match self {
            Msg::Place { reply, .. } => drop(reply.send(Err(PlaceError::Stopped))),
            Msg::Command { reply, .. } | Msg::Release { reply, .. } | Msg::Drop { reply, .. } => {
                drop(reply.send(Err(CommandError::Stopped)));
            }
            Msg::Evidence { reply, .. } => drop(reply.send(Err(DeliverError::Stopped))),
            Msg::Expire | Msg::Wake | Msg::Recover | Msg::Stuck { .. } | Msg::Heard(_) => {}
        }
    }
}

/// An order in memory.
#[derive(Debug)]
pub(super) struct Live {
    desk: Arc<Desk>,
    progress: Progress,
    head: Hash,
    owner: Option<Owner>,
    armed: Option<Timestamp>,
    /// The version and fingerprint of the release that wrote it, where that is an older one.
    older: Option<(u32, u64)>,
}

impl Live {
    pub(super) fn new(
        desk: Arc<Desk>,
        progress: Progress,
        head: Hash,
        owner: Option<Owner>,
        older: Option<(u32, u64)>,
    ) -> Self {
        Self { desk, progress, head, owner, armed: None, older }
    }

    pub(super) fn view(&self) -> OrderView {
        OrderView { pipeline: self.desk.pipeline().clone(), progress: self.progress.clone() }
    }

    fn parked(&self) -> bool {
        self.progress.holds.iter().any(|h| h.code == PARKED)
    }
}

/// The end of an adapter call.
pub(super) struct Called {
    wanted: Arc<Outstanding>,
    end: CallEnd,
    repeats: Option<Repeats>,
    /// How long a call of the adapter may be invisible to its inquiries.
    settle: Duration,
    /// When its turn was asked for.
    asked: Timestamp,
    busy: Busy,
}

enum CallEnd {
    Said(Reply<Told, Told>),
    Late(Duration),
    Panicked,
    /// It was not made: it may have been carried out already, and nothing keeps it from being so twice.
    Kept(String),
    /// It was not made: when its turn came, nobody wanted it any more.
    Withdrawn,
    /// It was not made: when its turn came, another worker had the order.
    Lost,
    /// It was not made: when its turn came, the store did not say whether it is still wanted.
    Unsure,
}

/// Why an input was not applied.
enum Failed {
    Unknown,
    Refused(Refused),
    Contended,
    Unconfirmed(String),
    Engine(EngineError),
}

impl From<EngineError> for Failed {
    fn from(e: EngineError) -> Self {
        Self::Engine(e)
    }
}

impl Failed {
    fn transient(&self) -> bool {
        match self {
            Failed::Contended | Failed::Unconfirmed(_) => true,
            Failed::Engine(EngineError::Store(e) | EngineError::Commit(CommitError::Store(e))) => {
                matches!(e, StoreError::Busy | StoreError::Full | StoreError::Io(_) | StoreError::Poisoned)
            }
            Failed::Engine(EngineError::Commit(e)) => matches!(e, CommitError::Full),
            Failed::Unknown | Failed::Refused(_) | Failed::Engine(_) => false,
        }
    }

    fn engine(self, order: &OrderKey) -> EngineError {
        match self {
            Failed::Engine(e) => e,
            Failed::Unconfirmed(why) => EngineError::Commit(CommitError::Unconfirmed(why)),
            Failed::Contended | Failed::Unknown => EngineError::Commit(CommitError::Stale { found: None }),
            Failed::Refused(r) => EngineError::Parked { order: order.clone(), why: r.to_string() },
        }
    }
}

struct OrderTask {
    inner: Arc<Inner>,
    id: OrderKey,
    live: Option<Box<Live>>,
    calls: FuturesUnordered<BoxFuture<'static, Called>>,
    /// Calls under way, by the numbers of their effects.
    in_flight: BTreeMap<u64, Arc<Outstanding>>,
    /// Tells calls that wait for their turn that nobody wants them any more.
    queued: BTreeMap<u64, Arc<Notify>>,
    /// What the store kept from being done, and must be done once it answers again.
    due: Due,
    /// Whether the task has given the order back.
    ended: bool,
    watch: Arc<Watch>,
}

impl Drop for OrderTask {
    /// A task that does not end in order (it is given up, or a store panicked under it) leaves the order to the next
    /// input: it is read again, and what was under way goes on from its records, after a few seconds at the latest.
    fn drop(&mut self) {
        if !self.ended {
            self.inner.rest(&self.id, &self.watch);
            if !self.watch.is_lost() && !self.inner.abandoned() {
                self.inner.left(&self.id);
            }
        }
    }
}

/// A batch of which nobody knows whether it was written.
#[derive(Debug)]
struct Doubtful {
    version: u64,
    head: Hash,
    /// Whose the order is with it.
    owner: Option<Owner>,
    /// The attempts that it begins: effects by their numbers, and which attempt of each.
    begins: Vec<(u64, u32)>,
}

/// What an order's task still owes because the store failed.
#[derive(Debug, Default)]
struct Due {
    /// Batches that may have been written. What they want was never begun.
    doubtful: Vec<Doubtful>,
    /// The order must be taken over from another process.
    recover: bool,
    /// The order must be woken, or its inbox must be read.
    wake: bool,
    /// What cannot be refused and must not be lost: answers, attempts put off, and the word that an order is parked.
    inputs: Vec<Event>,
    /// How often it was tried.
    tries: u32,
}

impl Due {
    fn any(&self) -> bool {
        !self.doubtful.is_empty() || self.recover || self.wake || !self.inputs.is_empty()
    }
}

/// Runs an order while it has work.
pub(super) async fn drive(
    inner: Arc<Inner>,
    id: OrderKey,
    live: Option<Box<Live>>,
    bell: Arc<Notify>,
    watch: Arc<Watch>,
) {
    let mut t = OrderTask {
        inner,
        id,
        live,
        calls: FuturesUnordered::new(),
        in_flight: BTreeMap::new(),
        queued: BTreeMap::new(),
        due: Due::default(),
        ended: false,
        watch,
    };
    loop {
        if t.watch.is_lost() {
            return;
        }
        let batch = t.inner.slot(&t.id, |s| std::mem::take(&mut s.queue)).unwrap_or_default();
        if batch.is_empty() {
            if t.inner.abandoned() {
                // What is under way is journaled: the next start goes on with it.
                return;
            }
            if t.due.any() {
                let wait = t.inner.env.sleep_until(t.again_at());
                tokio::select! {
                    biased;
                    () = bell.notified() => {}
                    Some(called) = t.calls.next() => t.called(called).await,
                    () = wait => t.catch_up().await,
                }
                continue;
            }
            if t.calls.is_empty() {
                let live = t.live.take();
                let id = t.id.clone();
                // The state goes back before the task ends, so that an input that comes now finds it.
                match t.inner.rest_or(&id, live, &t.watch) {
                    None => {
                        t.ended = true;
                        return;
                    }
                    Some(live) => {
                        t.live = live;
                        continue;
                    }
                }
            }
            tokio::select! {
                biased;
                () = bell.notified() => {}
                Some(called) = t.calls.next() => t.called(called).await,
            }
            continue;
        }
        t.inner.taken(batch.len());
        for queued in batch {
            t.handle(queued.msg).await;
            drop(queued.busy);
        }
    }
}

impl OrderTask {
    /// When what the store kept from being done is tried again: after 50 ms, then twice as long each time, up to 5 s.
    fn again_at(&self) -> Timestamp {
        let wait = Duration::from_millis(50u64.saturating_mul(1 << self.due.tries.min(7)))
            .min(Duration::from_secs(5));
        self.inner.env.now().saturating_add(wait)
    }

    /// Does what the store kept from being done.
    async fn catch_up(&mut self) {
        let busy = self.inner.env.busy();
        let due = std::mem::take(&mut self.due);
        if matches!(self.open().await, Err(failed) if failed.transient()) {
            self.due = Due { tries: due.tries.saturating_add(1), ..due };
            return;
        }
        let tries = due.tries.saturating_add(1);
        for doubtful in due.doubtful {
            self.look_up(doubtful).await;
        }
        for event in due.inputs {
            self.certainly(event).await;
        }
        if due.recover {
            self.recover().await;
        } else {
            self.wake().await;
        }
        if self.due.any() {
            self.due.tries = tries;
        }
        drop(busy);
    }

    /// Begins what a batch wants, if it was written.
    async fn look_up(&mut self, batch: Doubtful) {
        let Some(live) = &self.live else { return };
        let its = |w: &&Arc<Outstanding>| {
            let begun = w.not_before.is_none() && !self.in_flight.contains_key(&w.id);
            begun && batch.begins.contains(&(w.id, w.attempt))
        };
        let wanted: Vec<_> = live.progress.wanted.iter().filter(its).cloned().collect();
        if wanted.is_empty() {
            return;
        }
        if live.owner == batch.owner {
            wanted.iter().for_each(|w| self.begin(w));
            return;
        }
        // Another has had the order since, and may have decided the same or something else under the same numbers.
        // Nobody begins what was this worker's; that it was not begun is not certain enough to begin it now.
        match self.inner.store.journal(&self.id, batch.version, 1).await {
            Ok(entries) if entries.first().is_some_and(|e| e.hash == batch.head) => {
                for w in wanted {
                    self.interrupted(&w, "the store failed before it was sent").await;
                }
            }
            Ok(_) => {}
            Err(_) => self.due.doubtful.push(batch),
        }
    }

    async fn handle(&mut self, msg: Msg) {
        match msg {
            Msg::Place { desk, order, reply } => {
                let answer = self.place(desk, *order).await;
                let _ = reply.send(answer);
            }
            Msg::Command { by, key, call, reply } => {
                let event = Event { kind: EventKind::Command { call, command: key }, by, occurred: None };
                let answer = self.asked(event).await;
                let _ = reply.send(answer);
            }
            Msg::Release { by, hold, reply } => {
                let event = Event { kind: EventKind::Release { hold }, by, occurred: None };
                let answer = self.asked(event).await;
                if answer.is_ok() {
                    self.wake().await;
                    self.take_turns().await;
                }
                let _ = reply.send(answer);
            }
            Msg::Evidence { delivery, reply } => {
                let answer = self.evidence(*delivery).await;
                let _ = reply.send(answer);
            }
            Msg::Drop { by, source, event, reply } => {
                let answer = self.let_go(by, source, event).await;
                let _ = reply.send(answer);
            }
            Msg::Expire => self.expire().await,
            Msg::Wake => {
                if let Some(live) = &mut self.live {
                    live.armed = None;
                }
                self.wake().await;
            }
            Msg::Recover => self.recover().await,
            Msg::Stuck { effect } => self.stuck(effect).await,
            Msg::Heard(called) => {
                self.in_flight.entry(called.wanted.id).or_insert_with(|| called.wanted.clone());
                self.called(*called).await;
            }
        }
    }

    /// Goes on with an order whose last task is stuck in an adapter. It is parked first, so that nobody asks that
    /// adapter again before a person has looked.
    async fn stuck(&mut self, effect: u64) {
        if let Err(failed) = self.open().await
            && !failed.transient()
        {
            return;
        }
        let wanted = self.live.as_ref().and_then(|l| l.progress.wanted.iter().find(|w| w.id == effect));
        let name = wanted.map_or("an effect", |w| &*w.name);
        let why = format!("the adapter of {name} does not let go of its thread");
        self.park(&why).await;
        self.answer(effect, EffectAnswer::Unknown(why)).await;
        self.recover().await;
    }

    async fn place(&mut self, desk: Arc<Desk>, order: Order) -> Result<Placed, PlaceError> {
        let now = self.inner.env.now();
        for _ in 0..ATTEMPTS {
            if let Some(live) = &self.live {
                return if live.progress.was_placed_as(&order) {
                    Ok(Placed { order: self.id.clone(), existing: true, version: live.progress.version })
                } else {
                    Err(PlaceError::Conflict { order: self.id.clone() })
                };
            }
            let decision =
                desk.pipeline().place(self.id.clone(), order.clone(), now).map_err(|why| match why {
                    Unplaced::Unserved { .. } => PlaceError::Unserved(why),
                    Unplaced::Fault(e) => {
                        EngineError::Parked { order: self.id.clone(), why: e.to_string() }.into()
                    }
                })?;
            match self.commit(&desk, &Hash::default(), decision, None).await {
                Ok(()) => {
                    self.take_turns().await;
                    let version = self.live.as_ref().map_or(1, |l| l.progress.version);
                    return Ok(Placed { order: self.id.clone(), existing: false, version });
                }
                Err(Failed::Contended) => {
                    self.live = self.inner.load(&self.id).await?.map(Box::new);
                }
                Err(Failed::Unconfirmed(why)) => return Err(PlaceError::Unconfirmed(why)),
                Err(other) => return Err(other.engine(&self.id).into()),
            }
        }
        Err(PlaceError::Unconfirmed("the order appears and disappears".to_owned()))
    }

    async fn asked(&mut self, event: Event) -> Result<Done, CommandError> {
        let about = if let EventKind::Command { call, .. } = &event.kind {
            Some((call.place.unwrap_or(call.machine), call.key))
        } else {
            None
        };
        match self.apply_once(&event).await {
            Ok(disposition) => {
                // Where it stands is noted before anything follows: the store may fail in that, and what was accepted
                // stays accepted.
                let stands = self.stands(disposition, about);
                self.take_turns().await;
                let lost = || CommandError::Unconfirmed("the order cannot be read".to_owned());
                self.stands(disposition, about).or(stands).ok_or_else(lost)
            }
            Err(Failed::Unknown) => Err(CommandError::UnknownOrder { order: self.id.clone() }),
            Err(Failed::Refused(r)) => Err(CommandError::Refused(r)),
            Err(Failed::Contended) => {
                Err(CommandError::Contended { order: self.id.clone(), attempts: ATTEMPTS })
            }
            Err(Failed::Unconfirmed(why)) => Err(CommandError::Unconfirmed(why)),
            Err(Failed::Engine(e)) => Err(e.into()),
        }
    }

    async fn evidence(&mut self, d: Delivery) -> Result<Delivered, DeliverError> {
        let message = crate::pipeline::print(&["message", &d.source, &d.event]);
        let kept = Kept { call: d.evidence, occurred: d.occurred, by: d.by };
        match self.offer_once(&kept, message).await {
            Ok(Some(Disposition::Duplicate)) => Ok(Delivered::Known),
            Ok(Some(disposition)) => {
                self.take_turns().await;
                Ok(Delivered::Applied(disposition))
            }
            // Too early, or the order is parked: it must not be lost, and it must not be told again.
            Ok(None) | Err(Failed::Unknown | Failed::Engine(EngineError::Parked { .. })) => {
                self.keep(&kept, d.source, d.event).await
            }
            Err(Failed::Refused(r)) => Err(DeliverError::UnknownMachine { place: r.to_string() }),
            Err(other) => Err(other.engine(&self.id).into()),
        }
    }

    async fn keep(
        &mut self,
        kept: &Kept,
        source: Arc<str>,
        event: Arc<str>,
    ) -> Result<Delivered, DeliverError> {
        let name = kept.call.place.unwrap_or(kept.call.machine);
        let desk = match &self.live {
            Some(live) => Some(live.desk.clone()),
            None => self.inner.desks.iter().find(|d| d.pipeline().places().contains(&name)).cloned(),
        };
        let desk = desk.ok_or_else(|| DeliverError::UnknownMachine { place: name.to_owned() })?;
        let order = self.live.as_ref().map(|l| &l.progress);
        let clean = match crate::journal::screened(desk.pipeline(), order, &kept.call, Speaker::Outside) {
            Screened::Struck(call) => Some(Kept { call, ..kept.clone() }),
            Screened::Clean | Screened::Forbidden(_) => None,
        };
        let body = desk.keep(clean.as_ref().unwrap_or(kept)).map_err(EngineError::from)?;
        self.judge(&body)?;
        if self.inner.waits(&self.id) {
            let rows = self.inner.inbox_take(&self.id).await.map_err(EngineError::from)?;
            let known = rows.iter().any(|row| row.source == source && row.event == event);
            if rows.len() >= MAX_WAITING && !known {
                let (order, waiting) = (self.id.clone(), rows.len());
                return Err(DeliverError::TooMany { order, waiting, limit: MAX_WAITING });
            }
        }
        let row = InboxRow { order: self.id.clone(), source, event, received_at: self.inner.env.now(), body };
        let put = self.inner.inbox_put(row).await.map_err(EngineError::from)?;
        // Also when it is known: the put that made it known may have been answered with an error.
        self.inner.set_waiting(&self.id, true);
        match put {
            InboxPut::Known => Ok(Delivered::Known),
            InboxPut::New => Ok(Delivered::Kept),
        }
    }

    /// Offers evidence to the order: `None` when it is too early.
    async fn offer(&mut self, kept: &Kept, message: Option<u64>) -> Result<Option<Disposition>, Failed> {
        self.open().await?;
        // Also of an order that is parked: what happened is booked, and a machine that cannot take it says so again.
        let event = Event {
            kind: EventKind::Evidence { call: kept.call.clone(), message },
            by: kept.by.clone(),
            occurred: Some(kept.occurred),
        };
        let disposition = self.apply(&event).await?;
        Ok((disposition != Disposition::Early).then_some(disposition))
    }

    /// Offers what waits in the inbox, in the order in which it happened, until nothing more has its turn.
    async fn take_turns(&mut self) {
        while self.inner.waits(&self.id) {
            let Ok(rows) = self.inner.inbox_take(&self.id).await else {
                self.due.wake = true;
                return;
            };
            let Some(desk) = self.live.as_ref().map(|l| l.desk.clone()) else { return };
            if rows.is_empty() {
                self.inner.set_waiting(&self.id, false);
                return;
            }
            let mut kept: Vec<(Kept, InboxRow)> = Vec::with_capacity(rows.len());
            for row in rows {
                if self.inner.is_sour(&row) {
                    continue;
                }
                match desk.kept(&row.body) {
                    Ok(k) => kept.push((k, row)),
                    Err(e) => self.sours(&row, &format!("it cannot be read: {e}")).await,
                }
            }
            kept.sort_by_key(|(k, _)| k.occurred);
            let mut moved = false;
            for (k, row) in kept {
                let message = crate::pipeline::print(&["message", &row.source, &row.event]);
                match self.offer_once(&k, message).await {
                    Ok(Some(_)) => {
                        // A second commit: should it be lost, the fact is known to the order and falls away there.
                        if self.inner.inbox_mark(&row).await.is_err() {
                            self.due.wake = true;
                            return;
                        }
                        moved = true;
                        break;
                    }
                    Ok(None) => {}
                    // Its step is what parked the order; what came after it has its turn.
                    Err(Failed::Engine(EngineError::Parked { .. })) => {}
                    Err(failed) if failed.transient() => {
                        self.due.wake = true;
                        return;
                    }
                    Err(failed) => self.sours(&row, &failed.engine(&self.id).to_string()).await,
                }
            }
            if !moved {
                return;
            }
        }
    }

    /// Fires what is due, and makes the calls that were put off until now.
    async fn wake(&mut self) {
        if let Err(failed) = self.open().await {
            // The instant has passed and nobody else will say so again.
            self.due.wake |= failed.transient();
            return;
        }
        match self.up_to_date().await {
            Ok(true) => {}
            Ok(false) => self.due.wake = true,
            Err(failed) => self.due.wake |= failed.transient(),
        }
        if self.live.as_ref().is_none_or(|l| l.older.is_some()) {
            return;
        }
        for _ in 0..MAX_DUE {
            let Some(live) = &self.live else { return };
            if live.parked() {
                return;
            }
            let due = live.desk.pipeline().due(&live.progress, self.inner.env.now());
            let Some(kind) = due.into_iter().next() else { break };
            let applied = self.certainly(Event { kind, by: Actor::system(), occurred: None }).await;
            if !applied || self.inner.abandoned() {
                return;
            }
        }
        self.take_turns().await;
        self.begin_due().await;
        self.arm();
    }

    /// Takes over an order that another process left: what it had begun is unknown, unless it may be done again.
    async fn recover(&mut self) {
        if let Err(failed) = self.open().await {
            self.due.recover |= failed.transient();
            return;
        }
        let wanted = self.live.as_ref().map(|l| l.progress.wanted.clone()).unwrap_or_default();
        for w in wanted {
            // What is put off has not been made by anybody.
            if w.not_before.is_some() || self.in_flight.contains_key(&w.id) {
                continue;
            }
            self.inner.counters.interrupted.fetch_add(1, Ordering::Relaxed);
            if w.mode == Mode::Once && planted(Mutant::RecoveryInPlace)
                || w.mode != Mode::Once && planted(Mutant::CountedAfterwards)
            {
                self.begin(&w);
                continue;
            }
            self.interrupted(&w, "the process ended while it was under way").await;
        }
        self.wake().await;
    }

    /// A call that this worker does not make, and of which nobody else may tell.
    async fn interrupted(&mut self, w: &Outstanding, why: &str) {
        let why = why.to_owned();
        // The call may have gone out before the process ended.
        let sent = w.sent || w.mode != Mode::Read;
        match w.mode {
            Mode::Once => self.answer(w.id, EffectAnswer::Unknown(why)).await,
            // A call that ends the process is made no more often than any other: it is counted before it is made.
            Mode::Read | Mode::Repeat if w.attempt >= self.inner.limits.budget.attempts => {
                self.answer(w.id, EffectAnswer::Exhausted { sent, why }).await;
            }
            Mode::Read | Mode::Repeat => {
                let kind = EventKind::Retry { effect: w.id, not_before: None, sent };
                self.certainly(Event { kind, by: Actor::system(), occurred: None }).await;
            }
        }
    }

    async fn open(&mut self) -> Result<(), Failed> {
        if self.live.is_none() {
            let live = self.inner.load(&self.id).await?;
            self.live = Some(Box::new(live.ok_or(Failed::Unknown)?));
        }
        Ok(())
    }

    /// Steps and commits one input. An order of an older release is brought up to date first.
    async fn apply(&mut self, event: &Event) -> Result<Disposition, Failed> {
        for _ in 0..ATTEMPTS {
            self.open().await?;
            if self.up_to_date().await?
                && self.before(event).await?
                && let Some(disposition) = self.step(event.clone()).await?
            {
                return Ok(disposition);
            }
        }
        Err(Failed::Contended)
    }

    /// Fires what is due before somebody asks for something: a right that ended is not used because its timer was not
    /// heard yet. Whether the order is as it was read; if not, others moved it.
    async fn before(&mut self, event: &Event) -> Result<bool, Failed> {
        if !matches!(event.kind, EventKind::Command { .. }) {
            return Ok(true);
        }
        for _ in 0..MAX_DUE {
            let now = self.inner.env.now();
            let Some(live) = self.live.as_ref().filter(|l| !l.parked()) else { return Ok(true) };
            if live.progress.next_timer().is_none_or(|at| at > now) {
                return Ok(true);
            }
            let Some(kind) = live.desk.pipeline().due(&live.progress, now).into_iter().next() else {
                return Ok(true);
            };
            if self.step(Event { kind, by: Actor::system(), occurred: None }).await?.is_none() {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Brings an order of an older release up to date, in an entry of its own. Whether it is; if not, others moved it.
    async fn up_to_date(&mut self) -> Result<bool, Failed> {
        let Some((from, fingerprint)) = self.live.as_ref().and_then(|l| l.older) else { return Ok(true) };
        let kind = EventKind::Upgrade { from, fingerprint };
        let upgraded = self.step(Event { kind, by: Actor::system(), occurred: None }).await?;
        Ok(upgraded.is_some())
    }

    /// Steps and commits one input once. `None` when others moved the order in between.
    async fn step(&mut self, event: Event) -> Result<Option<Disposition>, Failed> {
        if let Some(too_long) = self.too_long() {
            match event.kind {
                EventKind::Command { .. } => return Err(too_long.into()),
                EventKind::Timer { .. } | EventKind::Retry { .. } | EventKind::Begin { .. } => {
                    self.park(&too_long.to_string()).await;
                    return Err(too_long.into());
                }
                // What happened is heard, and so is a person.
                EventKind::Answer { .. }
                | EventKind::Evidence { .. }
                | EventKind::LetGo { .. }
                | EventKind::Park { .. }
                | EventKind::Upgrade { .. }
                | EventKind::Release { .. } => {}
            }
        }
        let event = self.screened(event)?;
        let now = self.inner.env.now();
        let Some(live) = &self.live else { return Err(Failed::Unknown) };
        let pipeline = live.desk.pipeline().clone();
        let stepped =
            std::panic::catch_unwind(AssertUnwindSafe(|| pipeline.step(&live.progress, event, now)));
        let decision = match stepped {
            Ok(Ok(Ok(decision))) => decision,
            Ok(Ok(Err(refused))) => return Err(Failed::Refused(refused)),
            Ok(Err(fault)) => {
                self.park(&fault.0).await;
                return Err(EngineError::Parked { order: self.id.clone(), why: fault.0 }.into());
            }
            Err(panic) => {
                let why = said(&*panic);
                self.park(&why).await;
                return Err(EngineError::Parked { order: self.id.clone(), why }.into());
            }
        };
        let disposition = decision.disposition;
        if decision.entry.is_none() {
            return Ok(Some(disposition));
        }
        let (desk, head, owner) = (live.desk.clone(), live.head, live.owner);
        match self.commit(&desk, &head, decision, owner).await {
            Ok(()) => Ok(Some(disposition)),
            Err(Failed::Contended) => Ok(None),
            Err(other) => Err(other),
        }
    }

    /// Applies an input that cannot be refused and must not be lost: while the store is out of order, later. Whether it
    /// is applied.
    async fn certainly(&mut self, event: Event) -> bool {
        let effect = match &event.kind {
            EventKind::Answer { effect, .. } | EventKind::Retry { effect, .. } => Some(*effect),
            EventKind::Command { .. }
            | EventKind::Evidence { .. }
            | EventKind::Timer { .. }
            | EventKind::Begin { .. }
            | EventKind::LetGo { .. }
            | EventKind::Park { .. }
            | EventKind::Upgrade { .. }
            | EventKind::Release { .. } => None,
        };
        let call = effect.and_then(|effect| self.in_flight.remove(&effect));
        let failed = match self.apply(&event).await {
            Ok(Disposition::Duplicate) => {
                if let Some(event) = call.and_then(|w| self.overtaken(&w, event.kind)) {
                    return Box::pin(self.certainly(event)).await;
                }
                return true;
            }
            Ok(_) => return true,
            Err(failed) => failed,
        };
        if !failed.transient() {
            if let Failed::Engine(e) = &failed {
                tracing::error!(order = %self.id, error = %e, "an input was not applied");
                // An answer that cannot be written down is none, and a person hears of it.
                if let EventKind::Answer {
                    effect,
                    answer: EffectAnswer::Done(_) | EffectAnswer::Unsettled(_) | EffectAnswer::Declined(_),
                } = event.kind
                {
                    let why = format!("an answer cannot be written down: {e}");
                    let answer = EffectAnswer::Unknown(why.clone());
                    let kind = EventKind::Answer { effect, answer };
                    let applied = Box::pin(self.certainly(Event { kind, ..event })).await;
                    self.park(&why).await;
                    return applied;
                }
                if let EventKind::Evidence { .. } = event.kind {
                    self.park(&format!("an outcome cannot be written down: {e}")).await;
                }
            }
        } else if matches!(event.kind, EventKind::Timer { .. } | EventKind::Begin { .. }) {
            self.due.wake = true;
        } else {
            // Its effect counts as under way until then: it must not be begun a second time.
            self.in_flight.extend(call.map(|w| (w.id, w)));
            self.due.inputs.push(event);
        }
        false
    }

    /// The outcome of an operation that is settled already, as evidence: somebody else may have settled it otherwise,
    /// and it happened all the same.
    fn overtaken(&self, w: &Outstanding, kind: EventKind) -> Option<Event> {
        let EventKind::Answer { answer: EffectAnswer::Done(told), .. } = kind else { return None };
        // What was only asked is out of date by now.
        if w.mode == Mode::Read || planted(Mutant::StaleOutcomeDropped) {
            return None;
        }
        let call = self.live.as_ref()?.desk.pipeline().told(w, &told)?;
        let kind = EventKind::Evidence { call, message: None };
        Some(Event { kind, by: Actor::system(), occurred: None })
    }

    /// Why nothing may be added to the journal that need not be.
    fn too_long(&self) -> Option<EngineError> {
        let (entries, limit) = (self.live.as_ref()?.progress.version, self.inner.limits.journal);
        (entries >= limit).then(|| EngineError::TooLong { order: self.id.clone(), entries, limit })
    }

    async fn park(&mut self, why: &str) {
        if self.live.as_ref().is_some_and(|l| l.parked()) {
            return;
        }
        let why = words::kept(why);
        self.inner.counters.parked.fetch_add(1, Ordering::Relaxed);
        tracing::error!(order = %self.id, %why, "the order is parked");
        let event = Event {
            kind: EventKind::Park { code: PARKED, detail: why },
            by: Actor::system(),
            occurred: None,
        };
        let Some(live) = &self.live else {
            self.due.inputs.push(event);
            return;
        };
        // What an older release wrote and this one cannot bring up to date stays as it is.
        if live.older.is_some() {
            return;
        }
        let now = self.inner.env.now();
        let Ok(Ok(decision)) = live.desk.pipeline().step(&live.progress, event.clone(), now) else { return };
        let (desk, head, owner) = (live.desk.clone(), live.head, live.owner);
        if let Err(failed) = self.commit(&desk, &head, decision, owner).await {
            self.live = None;
            if failed.transient() {
                self.due.inputs.push(event);
            }
        }
    }

    async fn commit(
        &mut self,
        desk: &Arc<Desk>,
        head: &Hash,
        decision: Decision,
        owner: Option<Owner>,
    ) -> Result<(), Failed> {
        // Wanting something outside takes ownership; anything else leaves it as it is.
        let wants = decision.entry.as_ref().is_some_and(|e| e.wanted.iter().any(|w| !w.withdrawn));
        let me = self.inner.me;
        let others = owner.is_some_and(|o| o.incarnation != me);
        let owner = match owner {
            Some(o) if o.incarnation == me => Some(o),
            Some(o) if wants => Some(Owner { incarnation: me, epoch: o.epoch.saturating_add(1) }),
            None if wants => Some(Owner { incarnation: me, epoch: 1 }),
            Some(_) | None => None,
        };
        if others && owner.is_some() {
            self.inner.takes_over(&self.id);
        }
        let encoded = desk.encode(head, &decision, owner).map_err(EngineError::from)?;
        self.bounded(&encoded.batch.entries)?;
        let version = encoded.batch.version;
        let early = if planted(Mutant::EffectBeforeIntent) {
            self.called_first(desk, encoded.head, &decision, owner).await
        } else {
            Vec::new()
        };
        let store = &self.inner.store;
        let answer = observe::commit(&self.id, version, store.commit(vec![encoded.batch])).await;
        match answer.into_iter().next() {
            Some(Ok(_)) => {}
            Some(Err(CommitError::Stale { .. } | CommitError::Fenced { .. })) => {
                self.live = None;
                return Err(Failed::Contended);
            }
            Some(Err(e @ CommitError::Unconfirmed(_))) if planted(Mutant::CommitErrorAsRollback) => {
                return Err(EngineError::Commit(e).into());
            }
            Some(Err(CommitError::Unconfirmed(why))) => {
                // The head of the chain is the token: if the order has it, the batch was written. Another worker may
                // have decided the same: whose it is, the owner tells.
                let held = store.load(&self.id).await;
                let mine = |s: &Stored| s.head == encoded.head && owner.is_none_or(|o| s.owner == Some(o));
                if !matches!(&held, Ok(Some(s)) if mine(s)) {
                    // It may be written all the same: what it wants and waits for is looked up once the store answers.
                    let wanted = decision.entry.iter().filter(|e| !e.upgraded).flat_map(|e| &e.wanted);
                    let begins = wanted
                        .filter(|w| w.attempt == 1 && !w.withdrawn)
                        .map(|w| (w.id, w.attempt))
                        .collect();
                    self.due.doubtful.push(Doubtful { version, head: encoded.head, owner, begins });
                    self.live = None;
                    return Err(Failed::Unconfirmed(why));
                }
            }
            Some(Err(e)) => return Err(EngineError::Commit(e).into()),
            None => return Err(Failed::Unconfirmed("the store gave no answer".to_owned())),
        }
        self.committed(desk, encoded.head, decision, owner);
        self.calls.extend(early.into_iter().map(|called| async { called }.boxed()));
        Ok(())
    }

    /// Whether records are small enough to be written, and flat enough to be read again.
    fn bounded(&self, entries: &[Entry]) -> Result<(), EngineError> {
        for entry in entries {
            let bytes = u64::try_from(entry.body.len()).unwrap_or(u64::MAX);
            if bytes > MAX_RECORD_BYTES {
                return Err(EngineError::TooLarge { order: self.id.clone(), bytes, limit: MAX_RECORD_BYTES });
            }
            let depth = crate::journal::depth(&entry.body);
            if depth > MAX_DEPTH {
                return Err(EngineError::TooDeep { order: self.id.clone(), depth, limit: MAX_DEPTH });
            }
        }
        Ok(())
    }

    /// An input as it may be journaled: a command that holds card data is refused, and what the outside says is heard
    /// without it.
    fn screened(&self, event: Event) -> Result<Event, EngineError> {
        let Some(live) = &self.live else { return Ok(event) };
        let pipeline = live.desk.pipeline();
        let screened = |call: &Call, by| crate::journal::screened(pipeline, Some(&live.progress), call, by);
        let kind = match event.kind {
            EventKind::Command { call, command } => {
                if let Screened::Forbidden(field) = screened(&call, Speaker::Caller) {
                    return Err(EngineError::ForbiddenData { order: self.id.clone(), field });
                }
                EventKind::Command { call, command }
            }
            EventKind::Evidence { call, message } => match screened(&call, Speaker::Outside) {
                Screened::Struck(call) => EventKind::Evidence { call, message },
                Screened::Clean | Screened::Forbidden(_) => EventKind::Evidence { call, message },
            },
            EventKind::Answer { effect, answer } => {
                let wanted = live.progress.wanted.iter().find(|w| w.id == effect);
                let clean = |told: Told| {
                    let call = wanted.and_then(|w| pipeline.answered(w, &told));
                    match call.map(|call| screened(&call, Speaker::Outside)) {
                        Some(Screened::Struck(call)) => Told(call.value),
                        Some(Screened::Clean | Screened::Forbidden(_)) | None => told,
                    }
                };
                let answer = match answer {
                    EffectAnswer::Done(told) => EffectAnswer::Done(clean(told)),
                    EffectAnswer::Unsettled(told) => EffectAnswer::Unsettled(clean(told)),
                    EffectAnswer::Declined(told) => EffectAnswer::Declined(clean(told)),
                    EffectAnswer::Unknown(_) | EffectAnswer::Exhausted { .. } | EffectAnswer::Kept(_) => {
                        answer
                    }
                };
                EventKind::Answer { effect, answer }
            }
            // What the engine itself says.
            kind @ (EventKind::Timer { .. }
            | EventKind::Begin { .. }
            | EventKind::Retry { .. }
            | EventKind::Park { .. }
            | EventKind::LetGo { .. }
            | EventKind::Release { .. }
            | EventKind::Upgrade { .. }) => kind,
        };
        Ok(Event { kind, ..event })
    }

    /// Makes the calls of a decision that is not written, where that fault is planted.
    async fn called_first(
        &mut self,
        desk: &Arc<Desk>,
        head: Hash,
        decision: &Decision,
        owner: Option<Owner>,
    ) -> Vec<Called> {
        let wanted = decision.entry.iter().flat_map(|e| e.wanted.iter().cloned());
        let wanted: Vec<_> = wanted.filter(|w| w.not_before.is_none()).collect();
        let progress = decision.progress.clone();
        let live = Live { desk: desk.clone(), progress, head, owner, armed: None, older: None };
        let before = self.live.replace(Box::new(live));
        wanted.iter().for_each(|w| self.begin(w));
        let mut early = Vec::new();
        while let Some(called) = self.calls.next().await {
            early.push(called);
        }
        self.live = before;
        early
    }

    fn committed(&mut self, desk: &Arc<Desk>, head: Hash, decision: Decision, owner: Option<Owner>) {
        let c = &self.inner.counters;
        c.commits.fetch_add(1, Ordering::Relaxed);
        c.transitions.fetch_add(u64::try_from(decision.fires.len()).unwrap_or(0), Ordering::Relaxed);
        let armed = self.live.as_ref().and_then(|l| l.armed);
        if self.inner.changes.receiver_count() > 0 {
            let _ = self.inner.changes.send(Change {
                order: self.id.clone(),
                version: decision.progress.version,
                phase: decision.progress.phase(),
                fires: decision.fires,
            });
        }
        self.live = Some(Box::new(Live {
            desk: desk.clone(),
            progress: decision.progress,
            head,
            owner,
            armed,
            older: None,
        }));
        // An upgrade writes down what is wanted already; nothing is begun by it.
        if let Some(entry) = decision.entry.filter(|e| !e.upgraded) {
            for w in entry.wanted.iter().filter(|w| w.not_before.is_none()) {
                match self.queued.get(&w.id).filter(|_| w.withdrawn) {
                    Some(queued) => queued.notify_one(),
                    None => self.begin(w),
                }
            }
        }
        self.arm();
    }

    /// Sees to it that the order is woken for its next instant.
    fn arm(&mut self) {
        let Some(live) = &mut self.live else { return };
        // An attempt that is under way is past its instant, and one of another worker's order is that worker's.
        let mine = live.owner.is_some_and(|o| o.incarnation == self.inner.me);
        let put_off = live.progress.wanted.iter().filter(|w| mine && !self.in_flight.contains_key(&w.id));
        let at = put_off.filter_map(|w| w.due_at()).chain(live.progress.next_timer()).min();
        let Some(at) = at else { return };
        if live.armed.is_none_or(|armed| at < armed) {
            live.armed = Some(at);
            self.inner.arm(at, self.id.clone());
        }
    }

    /// Makes the calls that were put off until now, unless another worker has the order by now: what it has come to
    /// since is not in memory here.
    async fn begin_due(&mut self) {
        if self.due_calls().is_empty() {
            return;
        }
        let Ok(stored) = self.inner.store.load(&self.id).await else {
            self.due.wake = true;
            return;
        };
        let same =
            |live: &Live| stored.as_ref().is_some_and(|s| s.head == live.head && s.owner == live.owner);
        if !self.live.as_deref().is_some_and(same) {
            self.live = None;
            if let Err(failed) = self.open().await {
                self.due.wake |= failed.transient();
                return;
            }
        }
        for w in self.due_calls() {
            let (kind, before) = (EventKind::Begin { effect: w.id }, self.due.doubtful.len());
            if !self.certainly(Event { kind, by: Actor::system(), occurred: None }).await {
                // Should it be written all the same, it is this worker's to make.
                for batch in self.due.doubtful.iter_mut().skip(before) {
                    batch.begins.push((w.id, w.attempt));
                }
                return;
            }
        }
    }

    fn due_calls(&self) -> Vec<Arc<Outstanding>> {
        let (now, me) = (self.inner.env.now(), self.inner.me);
        let mine = |live: &&Live| live.owner.is_some_and(|o| o.incarnation == me);
        let wanted = self.live.as_deref().filter(mine).into_iter().flat_map(|live| &live.progress.wanted);
        let due = |w: &&Arc<Outstanding>| {
            w.not_before.is_some_and(|at| at <= now) && !self.in_flight.contains_key(&w.id)
        };
        wanted.filter(due).cloned().collect()
    }

    /// Begins a call: its intent and key are committed.
    fn begin(&mut self, w: &Arc<Outstanding>) {
        let Some(live) = &self.live else { return };
        // Who owns the order makes its calls.
        let mine = live.owner.is_some_and(|o| o.incarnation == self.inner.me);
        if !mine || w.withdrawn || self.in_flight.contains_key(&w.id) {
            return;
        }
        self.in_flight.insert(w.id, w.clone());
        let gone = Arc::new(Notify::new());
        self.queued.insert(w.id, gone.clone());
        let pipeline = live.desk.pipeline().clone();
        let newest = live.progress.updated_at;
        let asked = self.inner.env.now();
        let key = if planted(Mutant::RandomKey) {
            let nth = u32::try_from(self.inner.env.random() >> 32).unwrap_or_default();
            pipeline.op_key(&live.progress, &Outstanding { nth, ..(**w).clone() })
        } else {
            pipeline.op_key(&live.progress, w)
        };
        let (inner, w, order, watch) = (self.inner.clone(), w.clone(), self.id.clone(), self.watch.clone());
        self.calls.push(Box::pin(async move {
            let busy = inner.env.busy();
            let (Some(wired), Some(value)) = (inner.handlers.get(&*w.name), pipeline.effect_value(&w)) else {
                let why = format!("{} has no handler", w.name);
                return Called {
                    end: CallEnd::Said(Reply::NotSent(why)),
                    wanted: w,
                    repeats: None,
                    settle: Duration::ZERO,
                    asked,
                    busy,
                };
            };
            let (repeats, settle) = (wired.handler.repeats(), wired.handler.settle());
            let mut entering = Box::pin(async {
                let mut busy = busy;
                loop {
                    let (entered, held) = wired.lane.enter(&*inner.env, busy).await;
                    match entered {
                        Ok(permit) => break (permit, held),
                        Err(until) => {
                            ((), busy) = idle(&*inner.env, inner.env.sleep_until(until), held).await
                        }
                    }
                }
            });
            let (permit, busy) = match futures::poll!(entering.as_mut()) {
                Poll::Ready((permit, busy)) => {
                    // Another call of the order may have been answered since this one was begun; and a process that
                    // stood still between its commit and the call does not know how the order stands by now.
                    let withdrawn = futures::poll!(std::pin::pin!(gone.notified())).is_ready();
                    let end = if withdrawn {
                        Some(CallEnd::Withdrawn)
                    } else if asked.since(w.wanted_at) > FRESH {
                        unwanted(&inner, &order, &w).await
                    } else {
                        None
                    };
                    if let Some(end) = end {
                        return Called { end, wanted: w, repeats: Some(repeats), settle, asked, busy };
                    }
                    (permit, busy)
                }
                Poll::Pending => {
                    let gone = std::pin::pin!(gone.notified());
                    let (permit, busy) = match select(gone, entering).await {
                        Either::Left(((), entering)) => {
                            drop(entering);
                            let busy = inner.env.busy();
                            return Called {
                                end: CallEnd::Withdrawn,
                                wanted: w,
                                repeats: Some(repeats),
                                settle,
                                asked,
                                busy,
                            };
                        }
                        Either::Right((entered, _)) => entered,
                    };
                    // The order may have moved while the call waited for its turn.
                    if let Some(end) = unwanted(&inner, &order, &w).await {
                        return Called { end, wanted: w, repeats: Some(repeats), settle, asked, busy };
                    }
                    (permit, busy)
                }
            };
            let now = inner.env.now();
            if let Err(why) = may_send(&w, repeats, now, newest, inner.took_over(&order)) {
                return Called {
                    end: CallEnd::Kept(why),
                    wanted: w,
                    repeats: Some(repeats),
                    settle,
                    asked,
                    busy,
                };
            }
            inner.counters.calls.fetch_add(1, Ordering::Relaxed);
            let (place, _) = pipeline.placed(w.place);
            let ticket = Ticket { order, place, instance: w.key, key, attempt: w.attempt, now };
            let deadline = wired.lane.limits.deadline;
            let call = observe::adapter(&w.name, &ticket, wired.handler.call(value, ticket.clone()));
            let end = now.saturating_add(deadline);
            let call = watch.over(&*inner.env, w.id, end, AssertUnwindSafe(call).catch_unwind());
            let (ended, busy) = within_idle(&*inner.env, end, call, busy).await;
            let end = match ended {
                Some(Ok(reply)) => CallEnd::Said(reply),
                None => CallEnd::Late(deadline),
                Some(Err(_)) => CallEnd::Panicked,
            };
            match &end {
                CallEnd::Said(Reply::Done(_) | Reply::Declined(_) | Reply::Later(_)) => permit.worked(),
                CallEnd::Said(Reply::NotSent(_) | Reply::Unknown(_) | Reply::Contradicted(_))
                | CallEnd::Late(_)
                | CallEnd::Panicked => permit.failed(inner.env.now()),
                CallEnd::Kept(_) | CallEnd::Withdrawn | CallEnd::Lost | CallEnd::Unsure => {}
            }
            drop(permit);
            Called { end, wanted: w, repeats: Some(repeats), settle, asked, busy }
        }));
    }

    async fn called(&mut self, called: Called) {
        if self.watch.is_lost() {
            // The order has another task by now, which hears of it.
            self.inner.post(self.id.clone(), Msg::Heard(Box::new(called)));
            return;
        }
        let Called { wanted: w, end, repeats, settle, asked, busy } = called;
        self.queued.remove(&w.id);
        let budget = self.inner.limits.budget;
        let now = self.inner.env.now();
        let more = w.attempt < budget.attempts;
        let again = || now.saturating_add(budget.wait(w.attempt, self.inner.env.random()));
        let keyed = matches!(repeats, Some(Repeats::Idempotent { .. }));
        let lost = |why: String| match w.mode {
            _ if planted(Mutant::TimeoutAsDecline) => Ok(EffectAnswer::Exhausted { sent: false, why }),
            // The same key moves the outside once, so sending it again is safe and is the quickest way to know.
            Mode::Repeat if keyed && more => Err((again(), true)),
            Mode::Repeat if keyed => Ok(EffectAnswer::Exhausted { sent: true, why }),
            Mode::Repeat | Mode::Once | Mode::Read => Ok(EffectAnswer::Unknown(why)),
        };
        let mut alarm = None;
        let next = match end {
            CallEnd::Said(Reply::Done(told)) if self.unsettled(&w, settle, asked) => {
                Ok(EffectAnswer::Unsettled(told))
            }
            CallEnd::Said(Reply::Done(told)) => Ok(EffectAnswer::Done(told)),
            CallEnd::Said(Reply::Declined(told)) => Ok(EffectAnswer::Declined(told)),
            CallEnd::Said(Reply::Later(wait)) => {
                Err((now.saturating_add(budget.later(w.attempt, wait)), false))
            }
            CallEnd::Said(Reply::NotSent(_)) if more => Err((again(), false)),
            CallEnd::Said(Reply::NotSent(why)) => {
                Ok(EffectAnswer::Exhausted { sent: w.sent, why: words::kept(&why) })
            }
            CallEnd::Said(Reply::Unknown(why)) => lost(words::kept(&why)),
            CallEnd::Kept(why) => Ok(EffectAnswer::Kept(why)),
            CallEnd::Unsure => Err((again(), false)),
            CallEnd::Withdrawn => {
                let why = "it is not wanted any more".to_owned();
                Ok(EffectAnswer::Exhausted { sent: w.sent, why })
            }
            CallEnd::Lost => {
                // Who has the order has found the call under way, and settles it.
                self.in_flight.remove(&w.id);
                self.live = None;
                return;
            }
            CallEnd::Late(deadline) => lost(format!("no answer within {} ms", deadline.as_millis())),
            CallEnd::Said(Reply::Contradicted(why)) => {
                let why = words::kept(&why);
                let why = format!("the answer to {} is not believed: {why}", w.name);
                tracing::error!(order = %self.id, %why, "an answer is not believed");
                // Its machine asks what is so, as after any lost answer, and calls a person when nobody says it. One
                // that cannot ask has nobody but a person.
                let asks = self.live.as_ref().is_some_and(|l| {
                    let (_, graph) = l.desk.pipeline().placed(w.place);
                    graph.effects.iter().any(|e| e.mode == Mode::Read)
                });
                alarm = (!asks).then(|| why.clone());
                Ok(EffectAnswer::Unknown(why))
            }
            CallEnd::Panicked => {
                alarm = Some(format!("the adapter of {} panicked", w.name));
                Ok(EffectAnswer::Unknown("the adapter panicked".to_owned()))
            }
        };
        match next {
            Ok(answer) => self.answer(w.id, answer).await,
            Err((not_before, sent)) => {
                let kind = EventKind::Retry { effect: w.id, not_before: Some(not_before), sent };
                self.certainly(Event { kind, by: Actor::system(), occurred: None }).await;
            }
        }
        if let Some(why) = alarm {
            self.park(&why).await;
        }
        drop(busy);
    }

    /// Whether a question was asked before the calls that it asks about had settled. Another worker's clock may have
    /// said when they were made: counted by this one's, they settle from when it took the order over.
    fn unsettled(&self, w: &Outstanding, settle: Duration, asked: Timestamp) -> bool {
        let settled = |live: &Live| live.desk.pipeline().settled(&live.progress, w, settle);
        let early = self.inner.took_over(&self.id).saturating_add(settle) > asked;
        w.mode == Mode::Read && (early || !self.live.as_deref().is_some_and(settled))
    }

    async fn answer(&mut self, effect: u64, answer: EffectAnswer) {
        let kind = EventKind::Answer { effect, answer };
        self.certainly(Event { kind, by: Actor::system(), occurred: None }).await;
        self.take_turns().await;
    }
}

/// Looks at the order again for a call that had to wait for its turn: why it is not made, if it is not.
async fn unwanted(inner: &Inner, order: &OrderKey, w: &Outstanding) -> Option<CallEnd> {
    let Ok(Some(live)) = inner.load(order).await else { return Some(CallEnd::Unsure) };
    if live.owner.is_none_or(|o| o.incarnation != inner.me) {
        return Some(CallEnd::Lost);
    }
    let same = |held: &&Arc<Outstanding>| held.id == w.id && held.attempt == w.attempt;
    let held = live.progress.wanted.iter().find(same);
    held.is_none_or(|held| held.withdrawn).then_some(CallEnd::Withdrawn)
}

/// Whether an operation may be sent now: an earlier attempt of it may have been carried out. `newest` is when the order
/// moved last, `taken` when this worker took it over from another one.
fn may_send(
    w: &Outstanding,
    repeats: Repeats,
    now: Timestamp,
    newest: Timestamp,
    taken: Timestamp,
) -> Result<(), String> {
    if !w.sent || w.mode == Mode::Read || w.again == Again::Harmless {
        return Ok(());
    }
    let age = now.since(w.since);
    let missing = match w.again {
        Again::Missing(asked) => Some(asked),
        Again::Keyed | Again::Harmless => None,
    };
    if planted(Mutant::KeyLifetimeIgnored) || missing.is_some() && planted(Mutant::FirstNotFoundTrusted) {
        return Ok(());
    }
    // An inquiry that was made before the last call had settled says nothing of it.
    let settled = |settle| missing >= Some(w.doubted.unwrap_or(now).saturating_add(settle));
    match repeats {
        Repeats::Idempotent { .. } if settled(Duration::ZERO) => Ok(()),
        // A key that is kept indefinitely has no age.
        Repeats::Idempotent { key_ttl: Duration::MAX } => Ok(()),
        Repeats::Idempotent { .. } if newest > now.saturating_add(CLOCKS_AGREE) => {
            let back = newest.since(now).as_secs();
            Err(format!("the clock is {back} s behind the order, so that nobody knows how old its key is"))
        }
        Repeats::Idempotent { key_ttl } if age < key_ttl / KEY_MARGIN => Ok(()),
        Repeats::Idempotent { key_ttl } => {
            Err(format!("its key is kept for {} s, and is {} s old", key_ttl.as_secs(), age.as_secs()))
        }
        // When an earlier call was made, the clock of another worker may have said.
        Repeats::Lookup { settle } if taken.saturating_add(settle) > now => {
            Err(format!("the order was taken over less than {} s ago", settle.as_secs()))
        }
        Repeats::Lookup { settle } if settled(settle) => Ok(()),
        Repeats::Lookup { .. } => Err("keys mean nothing, and no inquiry has cleared it".to_owned()),
        Repeats::AtMostOnce => Err("it is tried at most once".to_owned()),
    }
}

fn said(panic: &(dyn std::any::Any + Send)) -> String {
    panic
        .downcast_ref::<String>()
        .cloned()
        .or_else(|| panic.downcast_ref::<&str>().map(|s| (*s).to_owned()))
        .unwrap_or_else(|| "a handler panicked".to_owned())
}

#[cfg(test)]
mod tests;
