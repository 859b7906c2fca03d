//! What a handler and a fold may see, and what a handler may do.

use std::any::Any;
use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::effect::Effect;
use super::graph::{Again, Graph};
use super::row::{AskedBy, Due, EmittedBy, IndexRow, Knows, Machine, PostedBy, Proof, Row, Uses};
use crate::clock::Timestamp;
use crate::id::{Actor, Key, OpKey, OrderKey};
use crate::ledger::{Books, Code, Post, Posting};
use crate::order::{CarriageBack, Obligation, Order, Relief};

/// Where the order's own lifecycle stands, as handlers may read it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Life {
    /// Placed and wanted.
    Placed,
    /// On its way to an end without goods or money left out.
    Cancelling,
    /// Every line served and paid.
    Completed,
    /// Ended without being served: cancelled, rejected or expired.
    Ended,
    /// Completed, and the time for returns and disputes is over.
    Closed,
}

/// What a hold keeps from happening until a person lifts it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Gates {
    /// Nothing: it calls a person, and lifts itself once what it reminds of has passed.
    Nothing,
    /// Commands that move goods.
    Goods,
    /// Commands that move money.
    Money,
    /// Commands that move money or goods.
    #[default]
    All,
    /// These, and money that the order would send out by itself: the books cannot be relied on.
    Outflow,
}

impl Gates {
    /// Every kind.
    pub const ALL: &'static [Self] = &[Self::Nothing, Self::Goods, Self::Money, Self::All, Self::Outflow];

    /// The word in a record.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Nothing => "nothing",
            Self::Goods => "goods",
            Self::Money => "money",
            Self::All => "all",
            Self::Outflow => "outflow",
        }
    }

    /// Whether commands that move money are refused.
    #[must_use]
    pub const fn money(self) -> bool {
        matches!(self, Self::Money | Self::All | Self::Outflow)
    }

    /// Whether commands that move goods are refused.
    #[must_use]
    pub const fn goods(self) -> bool {
        matches!(self, Self::Goods | Self::All | Self::Outflow)
    }

    /// Whether money that nobody sent out by hand waits.
    #[must_use]
    pub const fn outflow(self) -> bool {
        matches!(self, Self::Outflow)
    }
}

/// A hold that a handler set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Raised {
    /// A stable word.
    pub code: &'static str,
    /// The numbers, for people.
    pub detail: String,
    /// What it keeps from happening.
    pub gates: Gates,
}

/// An instant in the future, by construction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Deadline(pub(crate) Timestamp);

impl Deadline {
    /// The instant.
    #[must_use]
    pub const fn instant(self) -> Timestamp {
        self.0
    }
}

/// The instant has passed already.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{at} has passed already")]
pub struct Past {
    /// The instant.
    pub at: Timestamp,
}

/// The proofs that hold, by name.
#[derive(Debug, Clone, Default)]
pub struct Proofs(Vec<(&'static str, Arc<dyn Any + Send + Sync>)>);

impl Proofs {
    /// The proof, while it holds.
    #[must_use]
    pub fn get<P: Proof>(&self) -> Option<&P> {
        self.0.iter().find(|(name, _)| *name == P::NAME).and_then(|(_, p)| p.downcast_ref())
    }

    /// Grants a proof.
    pub fn grant<P: Proof>(&mut self, proof: P) {
        self.0.push((P::NAME, Arc::new(proof)));
    }

    /// Adds what another stage grants.
    pub(crate) fn append(&mut self, mut granted: Self) {
        self.0.append(&mut granted.0);
    }

    /// Whether a proof of this name holds.
    #[must_use]
    pub fn holds(&self, name: &str) -> bool {
        self.0.iter().any(|(n, _)| *n == name)
    }

    /// The names, in the order of placement.
    pub fn names(&self) -> impl Iterator<Item = &'static str> + '_ {
        self.0.iter().map(|(n, _)| *n)
    }
}

/// How many instances stand where, by area (the part of a machine's name before the dot).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Standing(Vec<Stand>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Stand {
    area: &'static str,
    state: &'static str,
    open: bool,
    count: usize,
}

impl Standing {
    /// Counts nothing yet.
    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }

    /// Counts one instance.
    pub fn add(&mut self, area: &'static str, state: &'static str, open: bool) {
        match self.0.iter_mut().find(|s| s.area == area && s.state == state) {
            Some(s) => s.count = s.count.saturating_add(1),
            None => self.0.push(Stand { area, state, open, count: 1 }),
        }
    }

    /// Instances of an area that are not at an end.
    #[must_use]
    pub fn open(&self, area: &str) -> usize {
        self.0.iter().filter(|s| s.open && s.area == area).map(|s| s.count).sum()
    }

    /// Instances of every other area that are not at an end.
    #[must_use]
    pub fn open_besides(&self, area: &str) -> usize {
        self.0.iter().filter(|s| s.open && s.area != area).map(|s| s.count).sum()
    }

    /// Instances of an area in one of these states.
    #[must_use]
    pub fn within(&self, area: &str, states: &[&str]) -> usize {
        self.0.iter().filter(|s| s.area == area && states.contains(&s.state)).map(|s| s.count).sum()
    }

    /// Every instance of an area.
    #[must_use]
    pub fn all(&self, area: &str) -> usize {
        self.0.iter().filter(|s| s.area == area).map(|s| s.count).sum()
    }
}

/// What an answer answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Answers<'a> {
    /// The name of the effect: `payment.attempt/Charge`.
    pub effect: &'a str,
    /// Which operation of its kind.
    pub nth: u32,
    /// Whether it was wanted after every call of its instance had settled, so that what is not there will not come.
    pub settled: bool,
    /// Whether the call was made; one that was withheld is none.
    pub made: bool,
}

/// Everything a step may look at.
#[derive(Debug, Clone, Copy)]
pub struct World<'a> {
    /// Which order.
    pub id: &'a OrderKey,
    /// The name of the placement of the machine that is stepped; empty where none is.
    pub placement: &'a str,
    /// When the order was placed.
    pub placed_at: Timestamp,
    /// Where it is an answer: to what.
    pub answers: Option<Answers<'a>>,
    /// The time of this step.
    pub now: Timestamp,
    /// When what it is about happened: for evidence the time it names, else `now`.
    pub occurred: Timestamp,
    /// Where it is an answer: when what it answers was wanted. Else `occurred`.
    pub asked: Timestamp,
    /// Who asks.
    pub by: &'a Actor,
    /// The document.
    pub order: &'a Order,
    /// The books.
    pub books: &'a Books,
    /// The proofs that hold.
    pub proofs: &'a Proofs,
    /// The order's lifecycle.
    pub life: Life,
    /// What the order costs, in minor units: its total, less what the customer was let off, and more where goods came
    /// in exchange for others.
    pub due_minor: i64,
    /// What the customer was let off, line by line, and what came on top.
    pub obligation: &'a Obligation,
    /// Whether carriage goes back with a part of the order.
    pub carriage: CarriageBack,
    /// What stands open.
    pub standing: &'a Standing,
    /// The position of the placement that steps.
    pub place: usize,
    /// The operations that are outstanding.
    pub operations: &'a dyn Operations,
}

/// What is outstanding outside.
pub trait Operations: std::fmt::Debug {
    /// Whether an operation is put off, and no call of it was ever made.
    fn unsent(&self, place: usize, key: Key, effect: u8, nth: u32) -> bool;
}

/// One machine of an order, with its key.
#[derive(Debug, Clone)]
pub struct Instance {
    /// Which one of its placement.
    pub key: Key,
    /// The state, as the machine's enum.
    pub state: Arc<dyn Any + Send + Sync>,
    /// The index of the state.
    pub at: u8,
    /// The instants it waits for: timer index and time.
    pub due: Vec<(u8, Timestamp)>,
    /// Facts it has booked or heard, as fingerprints: a duplicate is known after the end too.
    pub facts: Vec<u64>,
    /// The state as stored: `"Name",version,{data}`.
    pub saved: Arc<str>,
    /// What the order is found by because of it.
    pub index: Vec<IndexRow>,
    /// The state as the machine that this one extends sees it, where it extends one.
    pub base: Option<Arc<dyn Any + Send + Sync>>,
}

impl Instance {
    /// The state of a machine, or what it stands for in the machine that is extended.
    #[must_use]
    pub fn as_state<M: Machine>(&self) -> Option<&M::State> {
        self.state.downcast_ref().or_else(|| self.base.as_ref()?.downcast_ref())
    }
}

/// The instances of one placement, typed.
#[derive(Debug)]
pub struct View<'a, M: Machine> {
    /// What the step may look at.
    pub world: &'a World<'a>,
    /// The policy the order was placed under.
    pub policy: &'a M::Policy,
    region: &'a [Arc<Instance>],
}

impl<'a, M: Machine> View<'a, M> {
    #[doc(hidden)]
    #[must_use]
    pub fn new(world: &'a World<'a>, policy: &'a M::Policy, region: &'a [Arc<Instance>]) -> Self {
        Self { world, policy, region }
    }

    /// The instances, by key. Where another machine extends this one, each is what it stands for here.
    pub fn instances(&self) -> impl Iterator<Item = (Key, &'a M::State)> + use<'a, M> {
        self.region.iter().map(|i| {
            let state = i.as_state::<M>().expect("a region holds the states of its own machine");
            (i.key, state)
        })
    }

    /// The same instances as the machine sees them that this one extends.
    #[doc(hidden)]
    #[must_use]
    pub fn of_base<B: Machine>(&self, policy: &'a B::Policy) -> View<'a, B> {
        View { world: self.world, policy, region: self.region }
    }

    /// One instance.
    #[must_use]
    pub fn instance(&self, key: Key) -> Option<&'a M::State> {
        self.instances().find(|(k, _)| *k == key).map(|(_, s)| s)
    }

    /// The lowest number above `above` that no instance has: what the next one is called, whatever numbers people have
    /// chosen for others.
    #[must_use]
    pub fn next_free(&self, above: u32) -> Key {
        let from = self.region.partition_point(|i| i.key.0 <= above);
        let later = self.region.get(from..).unwrap_or_default();
        // Keys are in order and each is there once: up to the first gap, they are as far apart as their places.
        let first = above.saturating_add(1);
        let dense = |n: usize, i: &Arc<Instance>| {
            u32::try_from(n).ok().and_then(|n| first.checked_add(n)) == Some(i.key.0)
        };
        let (mut low, mut high) = (0, later.len());
        while low < high {
            let middle = low.midpoint(high);
            match later.get(middle) {
                Some(i) if dense(middle, i) => low = middle + 1,
                Some(_) | None => high = middle,
            }
        }
        Key(first.saturating_add(u32::try_from(low).unwrap_or(u32::MAX)))
    }

    /// Whether it has no instance yet.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.region.is_empty()
    }
}

/// What a handler leaves behind, besides the next state.
#[derive(Debug)]
pub struct Out<M: Machine> {
    /// Effects wanted, each with the number that tells repeated operations of one kind apart, and why it may be sent
    /// again where it was sent before.
    pub effects: Vec<(M::Fx, u32, Again)>,
    /// Postings.
    pub postings: Vec<Posting>,
    /// What is asked of other machines.
    pub asks: Vec<Box<dyn AskValue>>,
    /// Holds set.
    pub holds: Vec<Raised>,
    /// Mask of the posting codes written, also those of zero.
    pub posted: u32,
    /// The document that takes the place of the order's own.
    pub amended: Option<Box<Order>>,
}

impl<M: Machine> Default for Out<M> {
    fn default() -> Self {
        Self {
            effects: Vec::new(),
            postings: Vec::new(),
            asks: Vec::new(),
            holds: Vec::new(),
            posted: 0,
            amended: None,
        }
    }
}

impl<M: Machine> Out<M> {
    /// Takes over what a handler of the machine left that this one extends.
    #[doc(hidden)]
    pub fn take_base<B: Machine>(&mut self, base: Out<B>, effect: impl Fn(B::Fx) -> M::Fx) {
        let Out { effects, postings, asks, holds, posted, amended } = base;
        self.effects.extend(effects.into_iter().map(|(fx, n, again)| (effect(fx), n, again)));
        self.postings.extend(postings);
        self.asks.extend(asks);
        self.holds.extend(holds);
        self.posted |= posted;
        self.amended = self.amended.take().or(amended);
    }
}

/// A value asked of another machine.
pub trait AskValue: Any + std::fmt::Debug + Send + Sync {
    /// For routes, which know its type.
    fn as_any(&self) -> &dyn Any;
}
impl<T: Any + std::fmt::Debug + Send + Sync> AskValue for T {
    fn as_any(&self) -> &dyn Any {
        self
    }
}

/// What the handler of one row sees and may do.
#[derive(Debug)]
pub struct Cx<'a, R: Row> {
    key: Key,
    view: &'a View<'a, R::M>,
    out: &'a mut Out<R::M>,
    row: PhantomData<R>,
}

impl<'a, R: Row> Cx<'a, R> {
    #[doc(hidden)]
    pub fn new(key: Key, view: &'a View<'a, R::M>, out: &'a mut Out<R::M>) -> Self {
        Self { key, view, out, row: PhantomData }
    }

    /// Panics when the handler broke a promise that only a run can show: it did not write a posting of `!!`, or kept
    /// the instants of another state than the one the instance is in.
    #[doc(hidden)]
    pub fn settle(&self, graph: &Graph, was: Option<u8>, is: u8, due: &Due) {
        let Some(row) = graph.rows.get(R::IX) else { return };
        let input = graph.inputs.get(usize::from(row.on)).map_or("?", |i| i.name);
        assert!(
            !matches!(due, Due::Keep) || was == Some(is),
            "machine `{}`: the handler of `{} + {input}` stays in another state than its own: write `until`",
            graph.name,
            row.from_name,
        );
        let missing = row.must & !self.out.posted;
        assert!(
            missing == 0,
            "machine `{}`: the handler of `{} + {input}` must post {:?} and did not",
            graph.name,
            row.from_name,
            Code::ALL.iter().filter(|c| missing & c.bit() != 0).collect::<Vec<_>>(),
        );
    }

    /// Which instance this is.
    #[must_use]
    pub fn key(&self) -> Key {
        self.key
    }

    /// The time of this step.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.view.world.now
    }

    /// When what it is about happened: for evidence the time it names, else now.
    #[must_use]
    pub fn occurred(&self) -> Timestamp {
        self.view.world.occurred
    }

    /// Where it is an answer: when what it answers was wanted, before anybody was called. Else when it occurred.
    #[must_use]
    pub fn asked_at(&self) -> Timestamp {
        self.view.world.asked
    }

    /// Whether the `n`th operation of a kind is put off, and no call of it was ever made: it is certain not to have
    /// happened, and leaving the state withdraws it.
    #[must_use]
    pub fn unsent<X: Effect>(&self, n: u32) -> bool {
        let world = self.view.world;
        Self::effect::<X>().is_some_and(|at| world.operations.unsent(world.place, self.key, at, n))
    }

    fn effect<X: Effect>() -> Option<u8> {
        let at = R::M::GRAPH.effects.iter().position(|e| e.handler == X::NAME)?;
        u8::try_from(at).ok()
    }

    /// Where it is an answer to this effect: the number of the operation.
    #[must_use]
    pub fn answers<X: Effect>(&self) -> Option<u32> {
        self.view.world.answers.filter(|a| a.effect == X::NAME).map(|a| a.nth)
    }

    /// Whether it is an answer at all, and nothing that was told unasked.
    #[must_use]
    pub fn is_answer(&self) -> bool {
        self.view.world.answers.is_some()
    }

    /// Where it is an answer to a question: whether that was asked after every call of this instance had settled. A
    /// "not there" that was asked earlier proves nothing, since a call may still be on its way. What is told unasked
    /// answers no question.
    #[must_use]
    pub fn settled(&self) -> bool {
        self.view.world.answers.is_some_and(|a| a.settled)
    }

    /// Whether it is the answer to a call that was withheld: an earlier one may have arrived, and nothing was sent.
    #[must_use]
    pub fn withheld(&self) -> bool {
        self.view.world.answers.is_some_and(|a| !a.made)
    }

    /// The key under which the `n`th operation of a kind is sent for this instance.
    #[must_use]
    pub fn op_key<X: Effect>(&self, n: u32) -> OpKey {
        let world = self.view.world;
        OpKey::derive(world.id, world.placed_at.millis(), world.placement, self.key, X::NAME, n)
    }

    /// Who asks.
    #[must_use]
    pub fn by(&self) -> &'a Actor {
        self.view.world.by
    }

    /// The document.
    #[must_use]
    pub fn order(&self) -> &'a Order {
        self.view.world.order
    }

    /// The books as they stand, with what this handler has not yet posted left out.
    #[must_use]
    pub fn books(&self) -> &'a Books {
        self.view.world.books
    }

    /// The order's lifecycle.
    #[must_use]
    pub fn life(&self) -> Life {
        self.view.world.life
    }

    /// What the order costs, in minor units: its total, less what the customer was let off, and more where goods came
    /// in exchange for others.
    #[must_use]
    pub fn due_minor(&self) -> i64 {
        self.view.world.due_minor
    }

    /// What the customer was let off, line by line, and what came on top.
    #[must_use]
    pub fn obligation(&self) -> &'a Obligation {
        self.view.world.obligation
    }

    /// What is given for units, by line and quantity, with the carriage that goes back with them by policy.
    #[must_use]
    pub fn relief(&self, units: &[(u32, u32)]) -> Relief {
        let world = self.view.world;
        world.obligation.relief(world.order, units, Some(world.carriage)).at_most(world.due_minor)
    }

    /// What the price is lowered by when an amount, in minor units, goes back for no unit. What was paid too much is
    /// owed anyway, and lowers no price.
    #[must_use]
    pub fn lowered(&self, amount_minor: i64) -> Relief {
        let world = self.view.world;
        let over = world.books.kept().saturating_sub(world.due_minor).max(0);
        world.obligation.lowered(world.order, amount_minor.saturating_sub(over).max(0), None)
    }

    /// What stands open in the order.
    #[must_use]
    pub fn standing(&self) -> &'a Standing {
        self.view.world.standing
    }

    /// The policy the order was placed under.
    #[must_use]
    pub fn policy(&self) -> &'a <R::M as Machine>::Policy {
        self.view.policy
    }

    /// The instances of the same machine and placement.
    #[must_use]
    pub fn siblings(&self) -> &'a View<'a, R::M> {
        self.view
    }

    /// An instant `ms` milliseconds from now, at least one.
    #[must_use]
    pub fn after_ms(&self, ms: u64) -> Deadline {
        Deadline(self.now().saturating_add(Duration::from_millis(ms.max(1))))
    }

    /// An instant.
    ///
    /// # Errors
    ///
    /// [`Past`] when it is not after now.
    pub fn at(&self, instant: Timestamp) -> Result<Deadline, Past> {
        if instant > self.now() { Ok(Deadline(instant)) } else { Err(Past { at: instant }) }
    }

    /// Wants an effect; its key is that of this operation, and stays with it over every retry and restart.
    pub fn want<X: EmittedBy<R>>(&mut self, effect: X) {
        self.want_nth(0, effect);
    }

    /// Wants the `n`th operation of a kind: another number is another operation, the same number the same one again.
    ///
    /// An operation whose earlier outcome nobody told is sent again only while its adapter keeps keys; see
    /// [`want_again`](Self::want_again) for what a machine may know besides.
    pub fn want_nth<X: EmittedBy<R>>(&mut self, n: u32, effect: X) {
        self.want_again(Again::Keyed, n, effect);
    }

    /// Wants the `n`th operation of a kind, and says why it may be sent although it may have been sent before.
    pub fn want_again<X: EmittedBy<R>>(&mut self, again: Again, n: u32, effect: X) {
        self.out.effects.push((effect.effect(), n, again));
    }

    /// Posts. An amount of zero writes nothing and counts as posted.
    pub fn post<P: Post + PostedBy<R>>(&mut self, posting: P) {
        self.out.posted |= P::CODE.bit();
        posting.postings(&mut self.out.postings);
    }

    /// Asks another machine, through the route the pipeline declares.
    pub fn ask<A: AskedBy<R>>(&mut self, ask: A) {
        self.out.asks.push(Box::new(ask));
    }

    /// Holds the order and raises it to a person: commands that move money or goods are refused until it is released.
    pub fn hold(&mut self, code: &'static str, detail: impl Into<String>) {
        self.hold_for(Gates::All, code, detail);
    }

    /// Holds the order and raises it to a person: what the gates name is refused until it is released.
    pub fn hold_for(&mut self, gates: Gates, code: &'static str, detail: impl Into<String>) {
        self.out.holds.push(Raised { code, detail: detail.into(), gates });
    }

    /// Calls a person and holds up nothing: what waits for a command of theirs calls them so. It lifts itself when the
    /// instance leaves the state that this row leads to.
    pub fn remind(&mut self, code: &'static str, detail: impl Into<String>) {
        self.hold_for(Gates::Nothing, code, detail);
    }

    /// Puts another document in the place of the order's own. Only the lifecycle may: what a document means to every
    /// stage is the hall's to know.
    pub(crate) fn amend(&mut self, order: Order) {
        self.out.amended = Some(Box::new(order));
    }

    /// A proof that the row needs; checked before the handler runs.
    #[must_use]
    pub fn proof<P: Proof>(&self) -> &'a P
    where
        R: Uses<P>,
    {
        self.view.world.proofs.get::<P>().expect("the step checks a row's proofs before its handler runs")
    }

    /// A proof that this machine knows of, while it holds.
    #[must_use]
    pub fn seen<P: Proof>(&self) -> Option<&'a P>
    where
        R::M: Knows<P>,
    {
        self.view.world.proofs.get::<P>()
    }

    /// Whether every proof that this machine needs holds.
    #[must_use]
    pub fn gates_open(&self) -> bool {
        R::M::GRAPH.needs.iter().all(|p| self.view.world.proofs.holds(p))
    }
}
