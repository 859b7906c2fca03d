//! Where an order stands.

use std::any::Any;
use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;
use crate::id::{Key, OrderKey};
use crate::ledger::Books;
use crate::machine::{Again, Gates, Instance, Life, Mode, Operations, Proofs, Standing};
use crate::order::{LineKind, Obligation, Order};

/// Where an order stands: the last state of every instance, the sum of its postings, and what is wanted outside.
#[derive(Debug, Clone)]
pub struct Progress {
    /// Which order.
    pub id: OrderKey,
    /// The document.
    pub order: Arc<Order>,
    /// The content hash of the document that it was placed with, where that has been amended since.
    pub placed_content: Option<[u8; 32]>,
    /// The policies it was placed under, as its document names them; `None` while it has not been read back.
    pub(crate) held_policies: Option<Arc<[HeldPolicy]>>,
    /// How many entries its journal has.
    pub version: u64,
    /// The books.
    pub books: Books,
    /// Reasons why a person must look at it before money or goods move on command.
    pub holds: Vec<Hold>,
    /// Effects that were wanted and not answered yet.
    pub wanted: Vec<Arc<Outstanding>>,
    /// Operations that were sent, and of which nobody told what came of them.
    pub doubts: Vec<Doubt>,
    /// How many effects were ever wanted.
    pub effects: u64,
    /// How many holds were ever set.
    pub holds_set: u32,
    /// The newest command keys; the others are index rows.
    pub commands: Vec<CommandKey>,
    /// When it was placed.
    pub placed_at: Timestamp,
    /// The time of its newest entry.
    pub updated_at: Timestamp,
    pub(crate) policies: Arc<[Arc<dyn Any + Send + Sync>]>,
    pub(crate) regions: Vec<Arc<Vec<Arc<Instance>>>>,
    pub(crate) proofs: Proofs,
    pub(crate) standing: Standing,
    pub(crate) life: Life,
    pub(crate) obligation: Arc<Obligation>,
}

/// A policy as a document names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct HeldPolicy {
    /// The placement.
    pub place: String,
    /// The version of its stored form.
    pub version: u16,
    /// Its SHA-256, in hexadecimal.
    pub hash: String,
}

/// How many command keys stand in an order's row. An older one is an index row of its own.
pub(crate) const COMMANDS_KEPT: usize = 32;
/// How many facts stand in the row of an instance. An older one is an index row of its own.
pub(crate) const FACTS_KEPT: usize = 128;

/// A host's key for a command, and what was asked for under it: 128 bits of SHA-256 each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CommandKey {
    /// The key.
    pub key: u128,
    /// The machine, the instance, the actor, the command and its content.
    pub content: u128,
}

impl CommandKey {
    /// From 64 hexadecimal digits.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (key, content) = text.split_at_checked(32).filter(|(_, content)| content.len() == 32)?;
        let half = |text| u128::from_str_radix(text, 16).ok();
        Some(Self { key: half(key)?, content: half(content)? })
    }
}

impl fmt::Display for CommandKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}{:032x}", self.key, self.content)
    }
}

/// A reason why a person must look at an order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hold {
    /// Its number within the order; what a release names.
    pub id: u32,
    /// A stable word.
    pub code: String,
    /// The numbers, for people.
    pub detail: String,
    /// When it was set.
    pub at: Timestamp,
    /// What it keeps from happening.
    #[serde(default)]
    pub gates: Gates,
    /// What it reminds of, where it keeps nothing from happening: it lifts itself when that has passed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub of: Option<Reminds>,
}

/// A state that a hold reminds of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reminds {
    /// The placement.
    pub place: String,
    /// The instance.
    pub key: Key,
    /// Its state.
    pub state: String,
}

/// An effect that was wanted and is not answered.
#[derive(Debug, Clone)]
pub struct Outstanding {
    /// Its number within the order.
    pub id: u64,
    /// The placement of the machine that wants it.
    pub place: usize,
    /// The instance that wants it.
    pub key: Key,
    /// The index of the effect in its machine's table.
    pub effect: u8,
    /// Its name: `payment.attempt/Charge`.
    pub name: Arc<str>,
    /// How it may be repeated.
    pub mode: Mode,
    /// Tells repeated operations of one kind apart.
    pub nth: u32,
    /// The attempt that is under way or comes next, from 1.
    pub attempt: u32,
    /// Whether an earlier attempt may have reached the outside.
    pub sent: bool,
    /// Whether its instance has left the states that want it while a call was under way. That call is made no more
    /// where it has not begun, and no other follows.
    pub withdrawn: bool,
    /// When it was wanted.
    pub wanted_at: Timestamp,
    /// When this operation was first wanted, under its key: what the life of the key is counted from.
    pub since: Timestamp,
    /// Where it was wanted before: when the last call was given up of which nobody told what came of it.
    pub doubted: Option<Timestamp>,
    /// Why it may be sent although an earlier attempt may have arrived.
    pub again: Again,
    /// Not before this time.
    pub not_before: Option<Timestamp>,
    /// The effect, as its machine's enum.
    pub value: Arc<dyn Any + Send + Sync>,
    /// The effect as stored: `"Name",version,{data}`.
    pub saved: Arc<str>,
}

/// The instant until which money waits that must not go out by itself: until the order says otherwise.
const HELD_BACK: Timestamp = Timestamp::from_millis(i64::MAX);

impl Outstanding {
    /// Whether it waits until the order lets money go again, rather than for an instant.
    #[must_use]
    pub fn is_held_back(&self) -> bool {
        self.not_before == Some(HELD_BACK)
    }

    /// When it is tried next, where it is put off to an instant.
    #[must_use]
    pub fn due_at(&self) -> Option<Timestamp> {
        self.not_before.filter(|at| *at != HELD_BACK)
    }

    /// The same, to be sent only once the order lets money go again.
    pub(crate) fn held_back(&self) -> Self {
        Self { not_before: Some(HELD_BACK), ..self.clone() }
    }

    /// Whether it is the same operation, sent under the same key.
    fn is(&self, d: &Doubt) -> bool {
        (self.place, self.key, self.effect, self.nth) == (d.place, d.key, d.effect, d.nth)
    }
}

/// An operation that was sent under its key, and of which nobody told what came of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Doubt {
    /// The placement of the machine that wanted it.
    pub place: usize,
    /// The instance that wanted it.
    pub key: Key,
    /// The index of the effect in its machine's table.
    pub effect: u8,
    /// Tells repeated operations of one kind apart.
    pub nth: u32,
    /// When it was first wanted.
    pub since: Timestamp,
    /// When the last call of it was given up.
    pub last: Timestamp,
}

/// Where an order stands, in one word: derived, never written. The first that fits, from the top.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Phase {
    /// Cancelled, with nothing left.
    Cancelled,
    /// Not paid in time, with nothing left.
    Expired,
    /// Turned down by review, with nothing left.
    Rejected,
    /// Served, settled, and past the time for returns.
    Closed,
    /// On its way out.
    Cancelling,
    /// A person must look at it.
    OnHold,
    /// Served and settled.
    Completed,
    /// Not paid.
    AwaitingPayment,
    /// Nobody knows what became of a payment.
    Reconciling,
    /// Paid, and under review.
    UnderReview,
    /// Every parcel is with the customer, and something is not settled.
    Delivered,
    /// Every service takes effect, or has.
    Active,
    /// Some parcels are with the customer.
    PartiallyDelivered,
    /// Every parcel left.
    Dispatched,
    /// Services are being activated.
    Activating,
    /// Some parcels left.
    PartiallyDispatched,
    /// Parcels are being prepared.
    Dispatching,
    /// Paid and reviewed.
    Approved,
}

impl Phase {
    /// Every phase, in the order they are looked for.
    pub const ALL: &'static [Phase] = &[
        Phase::Cancelled,
        Phase::Expired,
        Phase::Rejected,
        Phase::Closed,
        Phase::Cancelling,
        Phase::OnHold,
        Phase::Completed,
        Phase::AwaitingPayment,
        Phase::Reconciling,
        Phase::UnderReview,
        Phase::Delivered,
        Phase::Active,
        Phase::PartiallyDelivered,
        Phase::Dispatched,
        Phase::Activating,
        Phase::PartiallyDispatched,
        Phase::Dispatching,
        Phase::Approved,
    ];

    /// The word: `awaiting_payment`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Phase::Cancelled => "cancelled",
            Phase::Expired => "expired",
            Phase::Rejected => "rejected",
            Phase::Closed => "closed",
            Phase::Cancelling => "cancelling",
            Phase::OnHold => "on_hold",
            Phase::Completed => "completed",
            Phase::AwaitingPayment => "awaiting_payment",
            Phase::Reconciling => "reconciling",
            Phase::UnderReview => "under_review",
            Phase::Delivered => "delivered",
            Phase::Active => "active",
            Phase::PartiallyDelivered => "partially_delivered",
            Phase::Dispatched => "dispatched",
            Phase::Activating => "activating",
            Phase::PartiallyDispatched => "partially_dispatched",
            Phase::Dispatching => "dispatching",
            Phase::Approved => "approved",
        }
    }

    /// Whether nothing more is expected of the order.
    #[must_use]
    pub const fn is_end(self) -> bool {
        matches!(self, Phase::Cancelled | Phase::Expired | Phase::Rejected | Phase::Closed)
    }
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl Operations for Progress {
    fn unsent(&self, place: usize, key: Key, effect: u8, nth: u32) -> bool {
        self.outstanding(place, key, effect, nth).is_some_and(|w| w.not_before.is_some() && !w.sent)
    }
}

impl Progress {
    /// An operation that was wanted and is not answered.
    fn outstanding(&self, place: usize, key: Key, effect: u8, nth: u32) -> Option<&Outstanding> {
        let same = |w: &&Arc<Outstanding>| (w.place, w.key, w.effect, w.nth) == (place, key, effect, nth);
        self.wanted.iter().find(same).map(|w| &**w)
    }

    /// Whether an effect that is outstanding is not wanted any more.
    pub(crate) fn withdrawn(&self, effect: u64) -> bool {
        self.wanted.iter().any(|w| w.id == effect && w.withdrawn)
    }

    /// That it is not known what came of an operation which is wanted anew.
    pub(crate) fn doubt(&self, place: usize, key: Key, effect: u8, nth: u32) -> Option<Doubt> {
        let same = |d: &&Doubt| (d.place, d.key, d.effect, d.nth) == (place, key, effect, nth);
        self.doubts.iter().find(same).copied()
    }

    /// Notes how an operation was answered: its outcome is known now, or still is not.
    pub(crate) fn answered(&mut self, w: &Outstanding, known: bool, last: Timestamp) {
        self.doubts.retain(|d| !w.is(d));
        if !known && w.mode != Mode::Read {
            let Outstanding { place, key, effect, nth, since, .. } = *w;
            self.doubts.push(Doubt { place, key, effect, nth, since, last });
        }
    }

    /// Whether this is the order that was placed: amendments since do not make it another.
    #[must_use]
    pub fn was_placed_as(&self, order: &Order) -> bool {
        match self.placed_content {
            Some(hash) => hash == order.content_hash(),
            None => *self.order == *order,
        }
    }

    /// Where the order stands, in one word.
    #[must_use]
    pub fn phase(&self) -> Phase {
        let s = &self.standing;
        let ends = [
            ("Cancelled", Phase::Cancelled),
            ("Expired", Phase::Expired),
            ("Rejected", Phase::Rejected),
            ("Closed", Phase::Closed),
            ("Cancelling", Phase::Cancelling),
        ];
        for (state, phase) in ends {
            if s.within("order", &[state]) > 0 {
                return phase;
            }
        }
        if self.is_held() {
            return Phase::OnHold;
        }
        if s.within("order", &["Completed"]) > 0 {
            return Phase::Completed;
        }
        if s.within("payment", &["Unknown", "CaptureUnknown", "Stuck"]) > 0 {
            return Phase::Reconciling;
        }
        if !self.proofs.holds("funded") {
            return Phase::AwaitingPayment;
        }
        let has = |kind| self.order.lines().iter().any(|l| l.kind == kind);
        let (goods, services) = (has(LineKind::Goods), has(LineKind::Service));
        let shut = |gate, wanted| wanted && !self.proofs.holds(gate);
        if shut("approved.dispatch", goods) || shut("approved.activate", services) {
            return Phase::UnderReview;
        }
        // Of goods and services, the word is that of what is further from its end.
        match (goods, services) {
            (true, true) => self.goods().max(self.services()),
            (false, true) => self.services(),
            (_, false) => self.goods(),
        }
    }

    /// Where its parcels stand.
    fn goods(&self) -> Phase {
        let s = &self.standing;
        let parcels = s.all("dispatch").saturating_sub(s.within("dispatch", &["Cancelled"]));
        let delivered = s.within("dispatch", &["Delivered"]);
        let out = s.within("dispatch", &["HandedOver", "Returning", "Lost"]);
        if delivered > 0 {
            if delivered == parcels { Phase::Delivered } else { Phase::PartiallyDelivered }
        } else if out > 0 {
            if out == parcels { Phase::Dispatched } else { Phase::PartiallyDispatched }
        } else if parcels > 0 {
            Phase::Dispatching
        } else {
            Phase::Approved
        }
    }

    /// Where its services stand.
    fn services(&self) -> Phase {
        let s = &self.standing;
        let to_come = ["Activating", "ActivationUnknown", "PendingPlatformReview", "PlatformRejected"];
        let planned = s.within("activation", &["Planned"]);
        if s.within("activation", &to_come) > 0 {
            Phase::Activating
        } else if planned == 0 && s.all("activation") > 0 {
            Phase::Active
        } else {
            Phase::Approved
        }
    }

    /// Whether the customer has more than she paid for, of an order that is over: goods that were lost, paid back, and
    /// came after all, or a capture that was taken back after the delivery.
    pub(crate) fn is_owed(&self) -> bool {
        self.life != Life::Placed && self.books.owed() < 0
    }

    /// Whether a person must look at it before money or goods move on command. Reminders alone hold up nothing.
    #[must_use]
    pub fn is_held(&self) -> bool {
        self.holds.iter().any(|h| h.gates != Gates::Nothing)
    }

    /// The order's lifecycle.
    #[must_use]
    pub fn life(&self) -> Life {
        self.life
    }

    /// What the order costs, in minor units: its total, less what the customer was let off, and more where goods came
    /// in exchange for others.
    #[must_use]
    pub fn due_minor(&self) -> i64 {
        self.order.total().minor().saturating_sub(self.obligation.waived_minor())
    }

    /// What the customer was let off, line by line, and what came on top.
    #[must_use]
    pub fn obligation(&self) -> &Obligation {
        &self.obligation
    }

    /// What the order is worth at most, in minor units: its total, or more where goods were exchanged for dearer ones.
    #[must_use]
    pub fn worth_minor(&self) -> i64 {
        self.order.total().minor().max(self.due_minor())
    }

    /// Whether a return or a claim is open.
    #[must_use]
    pub fn in_aftersales(&self) -> bool {
        self.standing.open("aftersales") > 0
    }

    /// Whether anything can still be expected of it: its lifecycle, an instance or an effect is open.
    #[must_use]
    pub fn is_open(&self) -> bool {
        !self.phase().is_end()
            || !self.wanted.is_empty()
            || self.standing.open_besides("order") > 0
            || !self.holds.is_empty()
    }

    /// The names of the proofs that hold.
    #[must_use]
    pub fn proofs(&self) -> Vec<&'static str> {
        self.proofs.names().collect()
    }

    /// The earliest instant that any instance waits for, or an effect is put off to.
    #[must_use]
    pub fn wake_at(&self) -> Option<Timestamp> {
        let retries = self.wanted.iter().filter_map(|w| w.due_at());
        self.next_timer().into_iter().chain(retries).min()
    }

    /// The earliest instant that any instance waits for.
    pub(crate) fn next_timer(&self) -> Option<Timestamp> {
        self.regions.iter().flat_map(|r| r.iter()).flat_map(|i| i.due.iter().map(|d| d.1)).min()
    }

    /// The instances of a placement, by position.
    pub(crate) fn region(&self, place: usize) -> &[Arc<Instance>] {
        self.regions.get(place).map_or(&[], |r| r.as_slice())
    }

    /// One instance.
    pub(crate) fn instance(&self, place: usize, key: Key) -> Option<&Arc<Instance>> {
        let region = self.region(place);
        region.binary_search_by_key(&key, |i| i.key).ok().and_then(|at| region.get(at))
    }

    pub(crate) fn put(&mut self, place: usize, instance: Instance) {
        let Some(region) = self.regions.get_mut(place) else { return };
        let region = Arc::make_mut(region);
        match region.binary_search_by_key(&instance.key, |i| i.key) {
            Ok(at) => {
                if let Some(slot) = region.get_mut(at) {
                    *slot = Arc::new(instance);
                }
            }
            Err(at) => region.insert(at, Arc::new(instance)),
        }
    }
}
