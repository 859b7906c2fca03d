//! Rows as traits: what a handler may be written for, and what it may do.

use std::any::Any;
use std::fmt::Debug;
use std::sync::Arc;

use serde::{Serialize, de::DeserializeOwned};

use super::codec::CodecError;
use super::cx::{Cx, Deadline, Out, Proofs, View};
use super::effect::{Exhausted, Fault};
use super::graph::Graph;
use crate::id::Key;
use crate::money::Money;

/// What states, inputs, effects and policies are: plain data that can be stored.
pub trait Plain: Clone + Debug + PartialEq + Serialize + DeserializeOwned + Send + Sync + 'static {}
impl<T: Clone + Debug + PartialEq + Serialize + DeserializeOwned + Send + Sync + 'static> Plain for T {}

/// Why a handler refuses a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// A stable word to match on: `exceeds_captured`.
    pub code: &'static str,
    /// The numbers, for people.
    pub detail: String,
}

/// Refuses a command.
///
/// # Errors
///
/// Always: that is what it is for.
pub fn refuse<R: Row>(code: &'static str, detail: impl Into<String>) -> Answer<R> {
    Err(Refusal { code, detail: detail.into() })
}

// ---- classes: only commands can be refused

/// Marks an input someone asks for.
#[derive(Debug)]
pub struct Command;
/// Marks an input the outside said.
#[derive(Debug)]
pub struct Outcome;
/// Marks an instant that passed.
#[derive(Debug)]
pub struct Timer;
/// Marks a change of a proof, or what a sibling asked.
#[derive(Debug)]
pub struct Signal;

/// The machine's table has this input. Its class and place follow.
#[diagnostic::on_unimplemented(
    message = "the table of `{Self}` has no input `{E}`",
    label = "not among its `inputs`"
)]
pub trait HasInput<E>: Machine {
    /// [`Command`], [`Outcome`], [`Timer`] or [`Signal`].
    type Class;
    /// Its index.
    const IX: u8;
    /// The input as the machine's enum.
    fn input(input: E) -> Self::Input;
    /// The input out of the machine's enum, if it is this one.
    fn input_part(input: &Self::Input) -> Option<&E>;
}

/// The input can be refused: it is a command of the machine.
#[diagnostic::on_unimplemented(
    message = "`{E}` already happened: only commands can be refused",
    label = "not a `command` in the table",
    note = "write `impl On<{E}>`, whose handler has no error; what nobody wants is `ignore` or `alarm`"
)]
pub trait HasCommand<E>: HasInput<E> {}

/// Money that evidence says moved outside.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Moved {
    /// None did.
    Nothing,
    /// It came to a channel.
    In(crate::id::Channel, Money),
    /// It left a channel.
    Out(crate::id::Channel, Money),
}

/// What the outside said.
///
/// `moved` is what an alarm books: money that came goes to suspense, money that left is booked as unexplained.
/// `identity` names the fact itself, not the message that carried it, so that the same capture told by the answer, a
/// webhook and an inquiry is booked once. Without an identity every message stands for itself.
///
/// Two facts may be told alike: two captures of one sum under one reference. So the answer to a call of one's own is
/// told apart by the call, where `by_call` says so; its machine then knows by the number of the call what it has
/// booked.
pub trait Evidence: Plain {
    /// The money that moved.
    fn moved(&self) -> Moved {
        Moved::Nothing
    }
    /// The fact, for instance the gateway's reference and the amount.
    fn identity(&self) -> Option<String> {
        None
    }
    /// The same fact as it is told where its best name is not: without the number of the movement, say.
    fn alias(&self) -> Option<String> {
        None
    }
    /// Whether an answer to this effect is a fact of its own, whatever was told alike before.
    fn by_call(&self, effect: &str) -> bool {
        let _ = effect;
        false
    }
}

/// What is known of an input besides what its machine makes of it.
#[doc(hidden)]
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fact {
    /// The money that moved.
    pub moved: Moved,
    /// What names the fact.
    pub identity: Option<String>,
    /// What else it may be told as.
    pub alias: Option<String>,
    /// Whether it is an answer that is told apart by its call.
    pub by_call: bool,
}

impl Fact {
    /// Of an input that is no evidence.
    #[must_use]
    pub const fn none() -> Self {
        Self { moved: Moved::Nothing, identity: None, alias: None, by_call: false }
    }

    /// Of evidence.
    #[must_use]
    pub fn of<E: Evidence>(e: &E, answers: &str) -> Self {
        let by_call = !answers.is_empty() && e.by_call(answers);
        Self { moved: e.moved(), identity: e.identity(), alias: e.alias(), by_call }
    }
}

/// What a stage yields to later stages: a pure fold over its instances and the books, evaluated anew in every step.
pub trait Proof: Clone + Debug + PartialEq + Send + Sync + 'static {
    /// The name of the proof, one in the whole pipeline.
    const NAME: &'static str;
}

/// A row, as a type.
pub trait Row {
    /// Its machine.
    type M: Machine;
    /// The class of its input.
    type Class;
    /// The state, the group or `New` it starts from.
    type From;
    /// Its place in [`Graph::rows`].
    const IX: usize;
}

/// A pair of a state (or group, or `New`) and an input that the table has a row for.
#[diagnostic::on_unimplemented(
    message = "the table declares no row `{Self} + {E}`",
    label = "no such row in `machine!`"
)]
pub trait HasRow<E, M: Machine = <Self as Home>::M> {
    /// The row.
    type R: Row<M = M>;
}

/// The machine a state belongs to.
pub trait Home {
    /// The machine.
    type M: Machine;
}

/// The row leads to `T`.
#[diagnostic::on_unimplemented(
    message = "`{T}` is not a declared target of this row",
    label = "not after `=>` in the table"
)]
pub trait Goto<T>: Row {}

/// The row declares this effect.
#[diagnostic::on_unimplemented(
    message = "this row does not declare the effect `{Self}`",
    label = "not after `/` in the table"
)]
pub trait EmittedBy<R: Row> {
    /// The effect as the machine's enum.
    fn effect(self) -> <R::M as Machine>::Fx;
}

/// The row declares this posting.
#[diagnostic::on_unimplemented(
    message = "this row does not declare the posting `{Self}`",
    label = "not after `!` in the table"
)]
pub trait PostedBy<R: Row> {}

/// The row declares that it asks this.
#[diagnostic::on_unimplemented(
    message = "this row does not declare that it asks `{Self}`",
    label = "not after `?` in the table"
)]
pub trait AskedBy<R: Row>: Any + Debug + Send + Sync {}

/// The row declares this proof.
#[diagnostic::on_unimplemented(
    message = "this row does not declare the proof `{P}`",
    label = "not in `[..]` in the table"
)]
pub trait Uses<P>: Row {}

/// The machine knows of this proof: it needs, hears or yields it.
#[diagnostic::on_unimplemented(
    message = "this machine does not know the proof `{P}`",
    label = "neither in `needs` nor in `hears`"
)]
pub trait Knows<P> {}

/// The state does not wait.
#[diagnostic::on_unimplemented(
    message = "`{T}` waits, so entering it takes an instant",
    label = "a `wait` or `busy` state",
    note = "write `until(cx.after_ms(..), {T} {{ .. }})`"
)]
pub trait Untimed<T>: HasState<T> {}

/// The state waits.
#[diagnostic::on_unimplemented(
    message = "`{T}` does not wait: it takes no instant",
    label = "neither `wait` nor `busy`"
)]
pub trait Timed<T>: HasState<T> {
    /// One instant per declared timer.
    type At: Instants;
    /// The timers, by input index.
    const TIMERS: &'static [u8];
}

/// One instant per timer of a state.
pub trait Instants {
    /// In the order of the table.
    fn list(self) -> Vec<Deadline>;
}
impl Instants for Deadline {
    fn list(self) -> Vec<Deadline> {
        vec![self]
    }
}
impl Instants for (Deadline, Deadline) {
    fn list(self) -> Vec<Deadline> {
        vec![self.0, self.1]
    }
}
impl Instants for (Deadline, Deadline, Deadline) {
    fn list(self) -> Vec<Deadline> {
        vec![self.0, self.1, self.2]
    }
}

/// Classes whose rows may keep the instants that are set: all but timers, whose instant has passed.
#[diagnostic::on_unimplemented(
    message = "a timer's own row cannot `stay`: its instant has passed",
    label = "this row is on a `timer`",
    note = "write `until(..)` with a new instant"
)]
pub trait MayStay {}
impl MayStay for Command {}
impl MayStay for Outcome {}
impl MayStay for Signal {}

/// Where a row starts, among which is the state `T`: `stay` keeps the instants of that state and of no other.
#[diagnostic::on_unimplemented(
    message = "`stay` keeps the instants of `{Self}`, and `{T}` is another state",
    label = "`{T}` is not where this row starts",
    note = "write `to(..)`, or `until(..)` with the instants of `{T}`"
)]
pub trait Keeps<T> {}

/// The machine's table has this state.
#[diagnostic::on_unimplemented(
    message = "the table of `{Self}` has no state `{T}`",
    label = "not among its `states`"
)]
pub trait HasState<T>: Machine {
    /// The state as the machine's enum.
    fn wrap(state: T) -> Self::State;
}

/// What a row starts from (a state, a group or `New`), read out of the machine's enum.
pub trait Part<F>: Machine {
    /// It, if the state is one of these.
    fn part(state: Option<&Self::State>) -> Option<F>;
}

/// The machine's table has this effect.
pub trait HasEffect<X>: Machine {
    /// The effect as the machine's enum.
    fn effect(effect: X) -> Self::Fx;
}

/// The instants of the next state.
#[derive(Debug)]
#[non_exhaustive]
pub enum Due {
    /// As they were.
    Keep,
    /// These.
    Set(Vec<(u8, Deadline)>),
}

/// Where a handler goes.
#[derive(Debug)]
#[must_use]
pub struct Next<R: Row> {
    state: <R::M as Machine>::State,
    due: Due,
}

impl<R: Row> Next<R> {
    #[doc(hidden)]
    pub fn take(self) -> (<R::M as Machine>::State, Due) {
        (self.state, self.due)
    }
}

/// What a command's handler returns.
pub type Answer<R> = Result<Next<R>, Refusal>;

/// Enters a state that does not wait.
pub fn to<R: Goto<T>, T>(state: T) -> Next<R>
where
    R::M: Untimed<T>,
{
    Next { state: R::M::wrap(state), due: Due::Set(Vec::new()) }
}

/// Enters a state that waits, at most until `at`.
pub fn until<R: Goto<T>, T>(at: <R::M as Timed<T>>::At, state: T) -> Next<R>
where
    R::M: Timed<T>,
{
    let timers = <R::M as Timed<T>>::TIMERS;
    Next { state: R::M::wrap(state), due: Due::Set(timers.iter().copied().zip(at.list()).collect()) }
}

/// A row back to its own state: keeps the instants that are set. On a row of a group, the state must be the one the
/// instance is in; another is a fault of the handler, and panics.
pub fn stay<R, T>(state: T) -> Next<R>
where
    R: Goto<T>,
    R::M: HasState<T>,
    R::Class: MayStay,
    R::From: Keeps<T>,
{
    Next { state: R::M::wrap(state), due: Due::Keep }
}

/// Handles a command.
#[diagnostic::on_unimplemented(
    message = "row `{Self} + {E}` is declared but has no handler",
    note = "write `impl Decide<{E}> for {Self}`"
)]
pub trait Decide<E, M: HasCommand<E> = <Self as Home>::M>: HasRow<E, M> + Sized {
    /// Decides: the next state, or a refusal that leaves the order as it was.
    ///
    /// # Errors
    ///
    /// A [`Refusal`] of the handler's own.
    fn decide(&self, command: &E, cx: &mut Cx<'_, Self::R>) -> Answer<Self::R>;
}

/// Handles evidence, a timer or a signal.
#[diagnostic::on_unimplemented(
    message = "row `{Self} + {E}` is declared but has no handler",
    note = "write `impl On<{E}> for {Self}`"
)]
pub trait On<E, M: Machine = <Self as Home>::M>: HasRow<E, M> + Sized {
    /// The next state.
    fn on(&self, input: &E, cx: &mut Cx<'_, Self::R>) -> Next<Self::R>;
}

/// Which instances a signal opens, for rows `New + Signal` that a proof sends.
#[diagnostic::on_unimplemented(
    message = "the table opens instances by `{E}` and nothing says which",
    note = "write `impl Opens<{E}, M> for New`"
)]
pub trait Opens<E, M: Machine> {
    /// Keys; those that exist already are not opened again.
    fn keys(view: &View<'_, M>) -> Vec<Key>;
}

#[doc(hidden)]
#[diagnostic::on_unimplemented(
    message = "row `{Self} + {E}` is declared but has no handler",
    note = "a command takes `impl Decide<{E}> for {Self}`, all else `impl On<{E}> for {Self}`"
)]
pub trait Handle<C, E, M: Machine>: HasRow<E, M> {
    fn run(&self, e: &E, cx: &mut Cx<'_, Self::R>) -> Answer<Self::R>;
}
impl<S: Decide<E, M>, E, M: HasCommand<E>> Handle<Command, E, M> for S {
    fn run(&self, e: &E, cx: &mut Cx<'_, Self::R>) -> Answer<Self::R> {
        self.decide(e, cx)
    }
}
impl<S: On<E, M>, E, M: Machine> Handle<Outcome, E, M> for S {
    fn run(&self, e: &E, cx: &mut Cx<'_, Self::R>) -> Answer<Self::R> {
        Ok(self.on(e, cx))
    }
}
impl<S: On<E, M>, E, M: Machine> Handle<Timer, E, M> for S {
    fn run(&self, e: &E, cx: &mut Cx<'_, Self::R>) -> Answer<Self::R> {
        Ok(self.on(e, cx))
    }
}
impl<S: On<E, M>, E, M: Machine> Handle<Signal, E, M> for S {
    fn run(&self, e: &E, cx: &mut Cx<'_, Self::R>) -> Answer<Self::R> {
        Ok(self.on(e, cx))
    }
}

/// Yields a proof: a pure fold over the machine's instances and the books.
#[diagnostic::on_unimplemented(
    message = "`{Self}` yields `{P}` and has no fold for it",
    note = "write `impl Fold<{P}> for {Self}`"
)]
pub trait Fold<P: Proof>: Machine {
    /// The proof, while it holds.
    fn fold(view: &View<'_, Self>) -> Option<P>;
}

/// What an order is found by: written when it changes, in the commit that changes it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct IndexRow {
    /// Which index, one of those that the table names: `payment.reference`.
    pub space: &'static str,
    /// What it is found by. Beyond 512 bytes, only its start and a fingerprint of the rest are kept.
    pub key: String,
    /// Its place among the orders with the same key, ascending. Of several rows of one order with one key, the lowest
    /// counts.
    pub sort: i64,
}

/// Says which index rows an instance has in a state, for tables with an `index` line. It may look at nothing that
/// changes while the state stays: the rows are worked out when the instance or the document changes.
#[diagnostic::on_unimplemented(
    message = "the table of `{Self}` names index spaces and nothing says which rows it has",
    note = "write `impl Indexed for {Self}`"
)]
pub trait Indexed: Machine {
    /// The rows, each in one of the spaces that the table names.
    fn rows(
        key: Key,
        state: &Self::State,
        order: &crate::order::Order,
        policy: &Self::Policy,
    ) -> Vec<IndexRow>;
}

/// The rows of an instance, each in a space that its table names.
#[doc(hidden)]
pub fn indexed<M: Indexed>(
    spaces: &[&'static str],
    key: Key,
    state: &M::State,
    order: &crate::order::Order,
    policy: &M::Policy,
) -> Vec<IndexRow> {
    let rows = M::rows(key, state, order, policy);
    for row in &rows {
        assert!(
            spaces.contains(&row.space),
            "machine `{}`: an index row in `{}`, which its table does not name",
            M::GRAPH.name,
            row.space,
        );
    }
    rows
}

/// What a typed step found.
#[derive(Debug)]
#[non_exhaustive]
pub enum Hit<S> {
    /// A row fired.
    Moved {
        /// The row.
        row: usize,
        /// The next state.
        state: S,
        /// Its instants.
        due: Due,
    },
    /// Nothing changes: listed under `ignore`.
    Ignored,
    /// Waits until the state changes: listed under `defer`.
    Deferred,
    /// Less than what is held already, or no news: decided by rank.
    Stale,
    /// Listed under `alarm`, or evidence of the rank that is held that says something else.
    Alarmed,
}

impl<S> Hit<S> {
    /// The same, with the state as another type.
    #[doc(hidden)]
    pub fn map<T>(self, wrap: impl FnOnce(S) -> T) -> Hit<T> {
        match self {
            Hit::Moved { row, state, due } => Hit::Moved { row, state: wrap(state), due },
            Hit::Ignored => Hit::Ignored,
            Hit::Deferred => Hit::Deferred,
            Hit::Stale => Hit::Stale,
            Hit::Alarmed => Hit::Alarmed,
        }
    }
}

/// Why a typed step changed nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Step {
    /// The table has no row for this command here.
    NoRow,
    /// The row needs a proof that does not hold.
    Lacks(&'static str),
    /// The handler refused.
    Refused(Refusal),
}

/// A machine: what [`machine!`](crate::machine!) makes of a table.
pub trait Machine: Sized + Debug + 'static {
    /// Its states.
    type State: Clone + Debug + PartialEq + Send + Sync + 'static;
    /// Its inputs.
    type Input: Clone + Debug + PartialEq + Send + Sync + 'static;
    /// Its effects.
    type Fx: Clone + Debug + PartialEq + Send + Sync + 'static;
    /// Its policy: data, kept with the order when it is placed.
    type Policy: Plain;
    /// Proofs that must be yielded before it is placed.
    type Needs;
    /// Proofs it yields.
    type Yields;
    /// Whether it takes money.
    type Takes;
    /// Whether it gives money back.
    type Gives;
    /// Whether it holds authorisations.
    type Holds;
    /// Whether it releases them.
    type Frees;
    /// The table.
    const GRAPH: &'static Graph;
    /// The version of the policy's stored form.
    const POLICY_VERSION: u16;
    /// The oldest version of it that can be read.
    const OLDEST_POLICY: u16;

    /// Steps one instance.
    ///
    /// # Errors
    ///
    /// [`Step`], for commands only; the caller treats any other as a fault of the kernel.
    fn step(
        state: Option<&Self::State>,
        input: &Self::Input,
        key: Key,
        view: &View<'_, Self>,
        out: &mut Out<Self>,
    ) -> Result<Hit<Self::State>, Step>;
    /// The state of the machine that this one extends, or that it stands for there. `None` where it extends none.
    #[must_use]
    fn as_base(_: &Self::State) -> Option<Arc<dyn Any + Send + Sync>> {
        None
    }
    /// The part of the policy that the machine it extends goes by. `None` where it extends none.
    #[must_use]
    fn base_policy(_: &Self::Policy) -> Option<&(dyn Any + Send + Sync)> {
        None
    }
    /// The index of a state.
    fn state_ix(state: &Self::State) -> u8;
    /// The index of an input.
    fn input_ix(input: &Self::Input) -> u8;
    /// The index of an effect.
    fn effect_ix(effect: &Self::Fx) -> u8;
    /// The input that says the answer to an effect was lost.
    fn unknown(effect: u8, fault: Fault) -> Option<Self::Input>;
    /// The input that says the attempts of an effect are used up.
    fn exhausted(effect: u8, spent: Exhausted) -> Option<Self::Input>;
    /// Adds the proofs that hold.
    fn yields(view: &View<'_, Self>, proofs: &mut Proofs);
    /// Keys that a signal sent by a proof opens.
    fn opens(input: u8, view: &View<'_, Self>) -> Vec<Key>;
    /// The index rows of an instance.
    fn index(
        key: Key,
        state: &Self::State,
        order: &crate::order::Order,
        policy: &Self::Policy,
    ) -> Vec<IndexRow>;
    /// The timer or proof signal of an index.
    fn plain_input(ix: u8) -> Option<Self::Input>;
    /// The money and the identity of evidence.
    /// `answers` is the name of the effect that it answers, and empty where it is no answer.
    fn fact(input: &Self::Input, answers: &str) -> Fact;
    /// An input from its parts, as adapters and routes hand them over.
    fn input_of(told: &(dyn Any + Send + Sync)) -> Option<Self::Input>;
    /// A single effect as the type its adapter is registered for.
    fn effect_value(effect: &Self::Fx) -> Box<dyn Any + Send + Sync>;
    /// Writes a state's data as JSON.
    ///
    /// # Errors
    ///
    /// [`CodecError`] when it has a value that JSON cannot hold.
    fn save_state(state: &Self::State, out: &mut Vec<u8>) -> Result<(), CodecError>;
    /// Reads a state, of this version or an older one.
    ///
    /// # Errors
    ///
    /// [`CodecError`].
    fn load_state(name: &str, version: u16, json: &str) -> Result<Self::State, CodecError>;
    /// Writes an input's data as JSON.
    ///
    /// # Errors
    ///
    /// [`CodecError`].
    fn save_input(input: &Self::Input, out: &mut Vec<u8>) -> Result<(), CodecError>;
    /// Reads an input.
    ///
    /// # Errors
    ///
    /// [`CodecError`].
    fn load_input(name: &str, version: u16, json: &str) -> Result<Self::Input, CodecError>;
    /// Writes an effect's data as JSON.
    ///
    /// # Errors
    ///
    /// [`CodecError`].
    fn save_effect(effect: &Self::Fx, out: &mut Vec<u8>) -> Result<(), CodecError>;
    /// Reads an effect.
    ///
    /// # Errors
    ///
    /// [`CodecError`].
    fn load_effect(name: &str, version: u16, json: &str) -> Result<Self::Fx, CodecError>;
    /// Reads a policy.
    ///
    /// # Errors
    ///
    /// [`CodecError`].
    fn load_policy(version: u16, json: &str) -> Result<Self::Policy, CodecError>;
}
