//! Composing a pipeline: what types can prove is proved by the builder's bounds, the rest by `build()`.

use std::any::{Any, TypeId};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

use petgraph::algo::toposort;
use petgraph::graph::DiGraph;
use serde::de::DeserializeOwned;

use super::lifecycle::{self, LifePolicy};
use super::names::{Names, Older};
use super::progress::{Outstanding, Progress};
use super::region::{Placed, Stage};
use crate::clock::Timestamp;
use crate::id::{Key, OpKey};
use crate::machine::check;
use crate::machine::graph::{Fnv, NEW};
use crate::machine::place::{Bit, Cons, GivenBack, Join, Nil, Or, Released, Within};
use crate::machine::{
    AskValue, Class, CodecError, Command, Graph, HasInput, Instance, Machine, Placement, Proof, Refusal,
    Signal, Trigger, View, World,
};
use crate::stage::proof::{Cancelling, GivesBack, TakesBack, Wanted};

/// A composed pipeline. Cheap to share; the same value steps every order.
pub struct Pipeline {
    pub(crate) name: &'static str,
    pub(crate) version: u32,
    pub(crate) stages: Vec<Box<dyn Stage>>,
    pub(crate) routes: Vec<Route>,
    pub(crate) vets: Vec<Vet>,
    pub(crate) older: Vec<Older>,
    fingerprint: u64,
}

impl fmt::Debug for Pipeline {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pipeline")
            .field("name", &self.name)
            .field("version", &self.version)
            .field("places", &self.places())
            .finish_non_exhaustive()
    }
}

/// What a route makes of an ask: signals for instances of its target, each as its own type, which the machine that is
/// placed takes for its own.
pub(crate) type Deliver = Box<dyn Fn(&dyn Any, &At<'_>) -> Carried<Arc<dyn Any + Send + Sync>> + Send + Sync>;

/// What a route may look at.
pub(crate) struct At<'a> {
    pub world: &'a World<'a>,
    pub policy: &'a (dyn Any + Send + Sync),
    pub region: &'a [Arc<Instance>],
    pub hall: Hall<'a>,
}

/// Every placement of the order, for a route that must see more than the one it leads to. Stages still never meet: what
/// two of them decide together is decided here, in the hall.
#[derive(Clone, Copy)]
pub struct Hall<'a> {
    pub(crate) world: &'a World<'a>,
    pub(crate) stages: &'a [Box<dyn Stage>],
    pub(crate) policies: &'a [Arc<dyn Any + Send + Sync>],
    pub(crate) regions: &'a [Arc<Vec<Arc<Instance>>>],
}

impl fmt::Debug for Hall<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hall").field("stages", &self.stages.len()).finish_non_exhaustive()
    }
}

impl<'a> Hall<'a> {
    /// The instances of a machine that is placed under its own name, or of the one that extends it. `None` where
    /// neither is placed.
    #[must_use]
    pub fn view<M: Machine>(&self) -> Option<View<'a, M>> {
        self.seen_at::<M>(position_of(self.stages, M::GRAPH.name)?)
    }

    /// The instances of a placement. `None` where there is none of this name, or another machine stands there.
    #[must_use]
    pub fn view_at<M: Machine>(&self, place: &str) -> Option<View<'a, M>> {
        self.seen_at::<M>(self.stages.iter().position(|s| s.name() == place)?)
    }

    fn seen_at<M: Machine>(&self, at: usize) -> Option<View<'a, M>> {
        let (stage, policy) = (self.stages.get(at)?, &**self.policies.get(at)?);
        let policy = if stage.graph().name == M::GRAPH.name {
            policy
        } else if stage.graph().base == Some(M::GRAPH.name) {
            stage.base_policy(policy)?
        } else {
            return None;
        };
        Some(View::new(self.world, policy.downcast_ref()?, self.regions.get(at)?))
    }
}

/// Where a machine is placed under its own name, or else the one that extends it.
fn position_of(stages: &[Box<dyn Stage>], machine: &str) -> Option<usize> {
    let own = stages.iter().position(|s| s.name() == machine);
    own.or_else(|| stages.iter().position(|s| s.graph().base == Some(machine)))
}

/// What a route delivers: a signal for each instance named, and reasons why a person must look.
#[derive(Debug)]
pub struct Carried<S> {
    /// The signals, by instance.
    pub signals: Vec<(Key, S)>,
    /// Holds to set: a stable word each, and the numbers for people.
    pub holds: Vec<(&'static str, String)>,
}

impl<S> From<Vec<(Key, S)>> for Carried<S> {
    fn from(signals: Vec<(Key, S)>) -> Self {
        Self { signals, holds: Vec::new() }
    }
}

pub(crate) struct Route {
    pub spec: RouteSpec,
    /// The machine it was written for: the one placed, or the one that it extends.
    pub machine: &'static str,
    pub ask: TypeId,
    pub to: usize,
    pub deliver: Deliver,
}

/// What is known against a command by the whole order. The command comes as stored, which is the same for the machine
/// it was written for and for those that extend it.
pub(crate) type Against = Box<dyn Fn(&str, &Hall<'_>) -> Option<Refusal> + Send + Sync>;

pub(crate) struct Vet {
    /// The machine whose command it is.
    pub machine: &'static str,
    /// The command's name.
    pub command: &'static str,
    pub against: Against,
}

/// A route, as drawn.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RouteSpec {
    /// What is asked.
    pub ask: &'static str,
    /// The placement that hears it.
    pub to: &'static str,
    /// The signal it hears.
    pub signal: &'static str,
}

/// A fault of a pipeline that only shows when all of it is there.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BuildFault {
    /// Two placements have one name.
    #[error("two machines are placed as `{name}`")]
    NameTwice {
        /// The name.
        name: &'static str,
    },
    /// A machine asks, and no route answers.
    #[error("`{place}` asks `{ask}`, and no route carries it")]
    Unrouted {
        /// The placement.
        place: &'static str,
        /// What it asks.
        ask: &'static str,
    },
    /// A route carries what nobody asks.
    #[error("a route carries `{ask}` to `{to}`, and no machine asks it")]
    Unasked {
        /// What it carries.
        ask: &'static str,
        /// Where to.
        to: &'static str,
    },
    /// A route leads to a machine that is not placed.
    #[error("a route carries `{ask}` to `{to}`, which is not placed")]
    Nowhere {
        /// What it carries.
        ask: &'static str,
        /// Where to.
        to: &'static str,
    },
    /// A route leads to a placement of another machine than it was written for.
    #[error("a route carries `{ask}` to `{to}`, where `{machine}` is not what is placed")]
    Elsewhere {
        /// What it carries.
        ask: &'static str,
        /// Where to.
        to: &'static str,
        /// The machine it was written for.
        machine: &'static str,
    },
    /// A signal causes itself, by what its rows ask and the routes that carry it: one step could go on for ever.
    #[error("`{signal}` of `{place}` causes itself along the routes")]
    Circle {
        /// A placement on the circle.
        place: &'static str,
        /// A signal on the circle.
        signal: &'static str,
    },
    /// A machine hears of a proof that nothing yields.
    #[error(
        "`{place}` hears of `{proof}`, and nothing yields it: place what does, or say `.without::<..>()`"
    )]
    Unyielded {
        /// The placement.
        place: &'static str,
        /// The proof.
        proof: &'static str,
    },
    /// A proof is yielded, and nothing uses it.
    #[error("`{place}` yields `{proof}`, and nothing uses it: use it, or say `.spare::<..>()`")]
    Unused {
        /// The placement.
        place: &'static str,
        /// The proof.
        proof: &'static str,
    },
    /// Two placements yield one proof.
    #[error("`{proof}` is yielded twice, by `{first}` and by `{second}`")]
    YieldedTwice {
        /// The proof.
        proof: &'static str,
        /// One placement.
        first: &'static str,
        /// The other.
        second: &'static str,
    },
    /// A signal has no payload-free form, and neither a route nor a proof sends it.
    #[error("nothing sends `{signal}` to `{place}`")]
    Unsent {
        /// The placement.
        place: &'static str,
        /// The signal.
        signal: &'static str,
    },
    /// A record of an older release cannot be read.
    #[error("version {from} stored {what} `{name}` v{version} of `{place}`, which nothing here reads")]
    NotUpgraded {
        /// The older version of the pipeline.
        from: u32,
        /// The placement.
        place: String,
        /// `pipeline`, `placement`, `policy`, `state`, `evidence` or `effect`.
        what: &'static str,
        /// Its stored name.
        name: String,
        /// Its stored version.
        version: u16,
    },
    /// A policy cannot be stored.
    #[error("the policy of `{place}` cannot be stored: {why}")]
    Policy {
        /// The placement.
        place: &'static str,
        /// Why.
        why: String,
    },
}

/// Every fault of a pipeline, at once.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the pipeline has {} faults: {}", .0.len(), .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
pub struct BuildFaults(pub Vec<BuildFault>);

/// A pipeline under construction. `Ev` is the list of proofs that are there, the rest whether money is taken, given
/// back, held and released.
#[allow(clippy::type_complexity)] // five marks and no value: a name for them would say less
pub struct Builder<Ev, Takes, Gives, Holds, Frees> {
    pub(super) inner: Parts,
    types: PhantomData<fn() -> (Ev, Takes, Gives, Holds, Frees)>,
}

impl<Ev, T, G, H, F> fmt::Debug for Builder<Ev, T, G, H, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Builder").field("name", &self.inner.name).finish_non_exhaustive()
    }
}

pub(crate) struct Parts {
    name: &'static str,
    version: u32,
    stages: Vec<Box<dyn Stage>>,
    routes: Vec<PendingRoute>,
    vets: Vec<Vet>,
    spare: Vec<&'static str>,
    without: Vec<&'static str>,
    older: Vec<Names>,
}

struct PendingRoute {
    ask: TypeId,
    ask_name: &'static str,
    machine: &'static str,
    to: &'static str,
    signal: &'static str,
    deliver: Deliver,
}

/// The proofs of the lifecycle, which is part of every pipeline.
pub(crate) type HallProofs = Cons<Wanted, Cons<Cancelling, Cons<TakesBack, Cons<GivesBack, Nil>>>>;

/// Begins a pipeline. Its lifecycle machine is there from the start.
#[must_use]
pub fn pipeline(
    name: &'static str,
    version: u32,
    life: LifePolicy,
) -> Builder<HallProofs, Bit<false>, Bit<false>, Bit<false>, Bit<false>> {
    let life = Placed::<lifecycle::lifecycle::M>::new(lifecycle::lifecycle::M::with(life));
    Builder {
        inner: Parts {
            name,
            version,
            stages: vec![Box::new(life)],
            routes: Vec::new(),
            vets: Vec::new(),
            spare: Vec::new(),
            without: Vec::new(),
            older: Vec::new(),
        },
        types: PhantomData,
    }
}

fn short(name: &'static str) -> &'static str {
    name.rsplit("::").next().unwrap_or(name)
}

/// A stage placed on this builder.
type After<M, Ev, T, G, H, F> = Builder<
    <<M as Machine>::Yields as Join<Ev>>::Out,
    <T as Or<<M as Machine>::Takes>>::Out,
    <G as Or<<M as Machine>::Gives>>::Out,
    <H as Or<<M as Machine>::Holds>>::Out,
    <F as Or<<M as Machine>::Frees>>::Out,
>;

impl<Ev, T, G, H, F> Builder<Ev, T, G, H, F> {
    /// Places a stage after those that yield what it needs. `then` orders proofs, not time.
    #[must_use]
    pub fn then<M, I>(mut self, stage: Placement<M>) -> After<M, Ev, T, G, H, F>
    where
        M: Machine,
        M::Needs: Within<Ev, I>,
        M::Yields: Join<Ev>,
        T: Or<M::Takes>,
        G: Or<M::Gives>,
        H: Or<M::Holds>,
        F: Or<M::Frees>,
    {
        self.inner.stages.push(Box::new(Placed::<M>::new(stage)));
        Builder { inner: self.inner, types: PhantomData }
    }

    /// Places a stage beside the flow: refunds, after-sales. The same as [`then`](Self::then), said for the reader.
    #[must_use]
    pub fn beside<M, I>(self, stage: Placement<M>) -> After<M, Ev, T, G, H, F>
    where
        M: Machine,
        M::Needs: Within<Ev, I>,
        M::Yields: Join<Ev>,
        T: Or<M::Takes>,
        G: Or<M::Gives>,
        H: Or<M::Holds>,
        F: Or<M::Frees>,
    {
        self.then(stage)
    }

    /// Carries what one machine asks to instances of another, as a signal, in the same commit.
    #[must_use]
    pub fn route<A, M, S>(
        self,
        keys: impl Fn(&A, &View<'_, M>) -> Vec<(Key, S)> + Send + Sync + 'static,
    ) -> Self
    where
        A: AskValue,
        M: HasInput<S, Class = Signal>,
        S: Any + Send + Sync,
    {
        self.route_to::<A, M, S>(M::GRAPH.name, keys)
    }

    /// As [`route`](Self::route), to a placement under another name than its machine's.
    #[must_use]
    pub fn route_to<A, M, S>(
        self,
        to: &'static str,
        keys: impl Fn(&A, &View<'_, M>) -> Vec<(Key, S)> + Send + Sync + 'static,
    ) -> Self
    where
        A: AskValue,
        M: HasInput<S, Class = Signal>,
        S: Any + Send + Sync,
    {
        self.route_across_to::<A, M, S>(to, move |ask, view, _| keys(ask, view).into())
    }

    /// As [`route`](Self::route), for a route that must look at other placements too, or may have to call a person.
    #[must_use]
    pub fn route_across<A, M, S>(
        self,
        carry: impl Fn(&A, &View<'_, M>, &Hall<'_>) -> Carried<S> + Send + Sync + 'static,
    ) -> Self
    where
        A: AskValue,
        M: HasInput<S, Class = Signal>,
        S: Any + Send + Sync,
    {
        self.route_across_to::<A, M, S>(M::GRAPH.name, carry)
    }

    /// As [`route_across`](Self::route_across), to a placement under another name than its machine's.
    #[must_use]
    pub fn route_across_to<A, M, S>(
        mut self,
        to: &'static str,
        carry: impl Fn(&A, &View<'_, M>, &Hall<'_>) -> Carried<S> + Send + Sync + 'static,
    ) -> Self
    where
        A: AskValue,
        M: HasInput<S, Class = Signal>,
        S: Any + Send + Sync,
    {
        let deliver: Deliver = Box::new(move |ask, at| {
            let ask = ask.downcast_ref::<A>().expect("a route hears the type it was declared for");
            let policy =
                at.policy.downcast_ref::<M::Policy>().expect("a route is given the policy of its machine");
            let Carried { signals, holds } =
                carry(ask, &View::<M>::new(at.world, policy, at.region), &at.hall);
            let signals =
                signals.into_iter().map(|(k, s)| (k, Arc::new(s) as Arc<dyn Any + Send + Sync>)).collect();
            Carried { signals, holds }
        });
        self.inner.routes.push(PendingRoute {
            ask: TypeId::of::<A>(),
            ask_name: short(std::any::type_name::<A>()),
            machine: M::GRAPH.name,
            to,
            signal: M::GRAPH.inputs.get(usize::from(<M as HasInput<S>>::IX)).map_or("?", |i| i.name),
            deliver,
        });
        self
    }

    /// Refuses a command by what other placements of the order hold, which its own machine cannot see: the command is
    /// asked about before its row fires.
    #[must_use]
    pub fn vet<M, C>(
        mut self,
        against: impl Fn(&C, &Hall<'_>) -> Result<(), Refusal> + Send + Sync + 'static,
    ) -> Self
    where
        M: HasInput<C, Class = Command>,
        C: DeserializeOwned,
    {
        let against: Against = Box::new(move |saved, hall| match crate::machine::parse::<C>(saved) {
            Ok(command) => against(&command, hall).err(),
            Err(e) => Some(Refusal { code: "unreadable", detail: e.to_string() }),
        });
        let input = M::GRAPH.inputs.get(usize::from(<M as HasInput<C>>::IX));
        let command = input.map_or("?", |input| input.name);
        self.inner.vets.push(Vet { machine: M::GRAPH.name, command, against });
        self
    }

    /// Says that a proof is yielded on purpose although nothing in this pipeline uses it.
    #[must_use]
    pub fn spare<P: Proof>(mut self) -> Self {
        self.inner.spare.push(P::NAME);
        self
    }

    /// Says that nothing in this pipeline yields a proof although a stage hears of it: payment without review.
    #[must_use]
    pub fn without<P: Proof>(mut self) -> Self {
        self.inner.without.push(P::NAME);
        self
    }

    /// Goes on with the orders of an older release, whose names the host has kept: each is read by the upgrades that
    /// the tables declare, and brought up to date when an engine takes it over. Stages that are new to it hear of
    /// every proof that holds, and an instant that the older release did not set has come.
    #[must_use]
    pub fn upgrades(mut self, older: Names) -> Self {
        self.inner.older.push(older);
        self
    }

    /// Checks what only the whole shows, and gives the pipeline.
    ///
    /// # Errors
    ///
    /// [`BuildFaults`]: every fault at once.
    pub fn build(self) -> Result<Pipeline, BuildFaults>
    where
        G: GivenBack<T>,
        F: Released<H>,
    {
        self.inner.build()
    }
}

impl Parts {
    /// Whether a machine is placed, or one that extends it.
    pub(super) fn places(&self, machine: &Graph) -> bool {
        position_of(&self.stages, machine.name).is_some()
    }

    /// Whether a placed machine asks this.
    pub(super) fn asked(&self, ask: &str) -> bool {
        self.stages.iter().any(|s| s.graph().asks.contains(&ask))
    }

    fn build(self) -> Result<Pipeline, BuildFaults> {
        let mut faults = Vec::new();
        self.names(&mut faults);
        self.proofs(&mut faults);
        self.asks(&mut faults);
        self.circles(&mut faults);
        for s in &self.stages {
            if let Err(why) = s.save_policy() {
                faults.push(BuildFault::Policy { place: s.name(), why: why.to_string() });
            }
        }
        for older in &self.older {
            faults.extend(older.faults(self.name, &self.stages));
        }
        let mut routes = Vec::new();
        let mut lost = Vec::new();
        for r in &self.routes {
            match position_of(&self.stages, r.to).and_then(|n| self.stages.get(n)) {
                None => lost.push(BuildFault::Nowhere { ask: r.ask_name, to: r.to }),
                Some(s) if s.graph().name != r.machine && s.graph().base != Some(r.machine) => {
                    lost.push(BuildFault::Elsewhere { ask: r.ask_name, to: r.to, machine: r.machine });
                }
                Some(_) => {}
            }
        }
        faults.extend(lost);
        if !faults.is_empty() {
            return Err(BuildFaults(faults));
        }
        for r in self.routes {
            let Some(to) = position_of(&self.stages, r.to) else { continue };
            let name = self.stages.get(to).map_or(r.to, |s| s.name());
            routes.push(Route {
                spec: RouteSpec { ask: r.ask_name, to: name, signal: r.signal },
                machine: r.machine,
                ask: r.ask,
                to,
                deliver: r.deliver,
            });
        }
        let mut print = Fnv::new();
        print.text(self.name);
        print.number(u64::from(self.version));
        for s in &self.stages {
            print.text(s.name());
            print.number(s.graph().fingerprint());
        }
        for r in &routes {
            print.text(r.spec.ask);
            print.text(r.spec.to);
            print.text(r.spec.signal);
        }
        Ok(Pipeline {
            name: self.name,
            version: self.version,
            stages: self.stages,
            routes,
            vets: self.vets,
            older: self.older.iter().map(Names::older).collect(),
            fingerprint: print.0,
        })
    }

    fn names(&self, faults: &mut Vec<BuildFault>) {
        let mut seen = BTreeSet::new();
        for s in &self.stages {
            if !seen.insert(s.name()) {
                faults.push(BuildFault::NameTwice { name: s.name() });
            }
        }
    }

    fn proofs(&self, faults: &mut Vec<BuildFault>) {
        let mut yielded: Vec<(&'static str, &'static str)> = Vec::new();
        for s in &self.stages {
            for proof in s.graph().yields {
                match yielded.iter().find(|(p, _)| p == proof) {
                    Some((_, first)) => {
                        faults.push(BuildFault::YieldedTwice { proof, first, second: s.name() })
                    }
                    None => yielded.push((proof, s.name())),
                }
            }
        }
        let uses = |g: &Graph, proof: &str| {
            g.needs.contains(&proof)
                || g.hears.contains(&proof)
                || g.rows.iter().any(|r| r.uses.contains(&proof))
                || g.inputs.iter().any(|i| match i.trigger {
                    Trigger::Granted(p) | Trigger::Withdrawn(p) => p == proof,
                    Trigger::Route | Trigger::NeedsGranted | Trigger::NeedsWithdrawn => false,
                })
        };
        let hall = self.stages.first().map(|s| s.name());
        for (proof, place) in &yielded {
            let used = self.stages.iter().any(|s| uses(s.graph(), proof));
            // The hall yields for whatever stages may be placed: an unused one of its proofs is no fault.
            if !used && !self.spare.contains(proof) && Some(*place) != hall {
                faults.push(BuildFault::Unused { place, proof });
            }
        }
        for s in &self.stages {
            // The hall hears of every kind of stage, and does without those that are not placed.
            if Some(s.name()) == hall {
                continue;
            }
            let sent_by = s.graph().inputs.iter().filter_map(|i| match i.trigger {
                Trigger::Granted(p) | Trigger::Withdrawn(p) => Some(p),
                Trigger::Route | Trigger::NeedsGranted | Trigger::NeedsWithdrawn => None,
            });
            let heard: BTreeSet<&'static str> = s.graph().hears.iter().copied().chain(sent_by).collect();
            for proof in heard {
                if !yielded.iter().any(|(p, _)| *p == proof) && !self.without.contains(&proof) {
                    faults.push(BuildFault::Unyielded { place: s.name(), proof });
                }
            }
        }
    }

    fn asks(&self, faults: &mut Vec<BuildFault>) {
        let hall = self.stages.first().map(|s| s.name());
        let takes = self.stages.iter().any(|s| check::posts(s.graph(), check::TAKES));
        for s in &self.stages {
            for ask in s.graph().asks {
                // The hall asks whatever stages may be placed. Only where money is taken must its word of money that
                // goes back find a way.
                if Some(s.name()) == hall && !(takes && *ask == "OweBack") {
                    continue;
                }
                if !self.routes.iter().any(|r| r.ask_name == *ask) {
                    faults.push(BuildFault::Unrouted { place: s.name(), ask });
                }
            }
        }
        for r in &self.routes {
            if !self.stages.iter().any(|s| s.graph().asks.contains(&r.ask_name)) {
                faults.push(BuildFault::Unasked { ask: r.ask_name, to: r.to });
            }
        }
        for s in &self.stages {
            for i in s.graph().inputs {
                // A signal that does nothing but open instances may have nobody to send it.
                let ix = s.graph().inputs.iter().position(|other| other.name == i.name);
                let opens = s.graph().rows.iter().filter(|r| Some(usize::from(r.on)) == ix);
                if opens.clone().count() > 0 && opens.clone().all(|r| r.from == NEW) {
                    continue;
                }
                let by_route = i.class == Class::Signal && i.trigger == Trigger::Route;
                let sent = self.routes.iter().any(|r| self.leads(r, &**s) && r.signal == i.name);
                if by_route && !sent && Some(s.name()) != hall {
                    faults.push(BuildFault::Unsent { place: s.name(), signal: i.name });
                }
            }
        }
    }

    /// Whether a route leads to this placement.
    fn leads(&self, route: &PendingRoute, stage: &dyn Stage) -> bool {
        let to = position_of(&self.stages, route.to).and_then(|at| self.stages.get(at));
        to.is_some_and(|to| to.name() == stage.name())
    }

    /// A signal that causes itself could make one step go on for ever. What a signal's row asks leads on along the
    /// routes; what commands, evidence and timers ask only begins a chain.
    fn circles(&self, faults: &mut Vec<BuildFault>) {
        let mut g = DiGraph::<(&'static str, &'static str), ()>::new();
        let mut nodes = BTreeMap::new();
        for s in &self.stages {
            for signal in s.graph().inputs.iter().filter(|i| i.class == Class::Signal) {
                let at = (s.name(), signal.name);
                nodes.insert(at, g.add_node(at));
            }
        }
        for s in &self.stages {
            for row in s.graph().rows {
                let input = s.graph().inputs.get(usize::from(row.on)).map_or("?", |i| i.name);
                let Some(from) = nodes.get(&(s.name(), input)) else { continue };
                for r in self.routes.iter().filter(|r| row.asks.contains(&r.ask_name)) {
                    let to = position_of(&self.stages, r.to).and_then(|at| self.stages.get(at));
                    if let Some(to) = to.and_then(|to| nodes.get(&(to.name(), r.signal))) {
                        g.update_edge(*from, *to, ());
                    }
                }
            }
        }
        if let Err(circle) = toposort(&g, None) {
            let (place, signal) = g.node_weight(circle.node_id()).copied().unwrap_or(("?", "?"));
            faults.push(BuildFault::Circle { place, signal });
        }
    }
}

impl Pipeline {
    /// Its name.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// Its version.
    #[must_use]
    pub fn version(&self) -> u32 {
        self.version
    }

    /// A number that changes whenever a table, a route or the composition does.
    #[must_use]
    pub fn fingerprint(&self) -> u64 {
        self.fingerprint
    }

    /// The names of its placements, the lifecycle first.
    #[must_use]
    pub fn places(&self) -> Vec<&'static str> {
        self.stages.iter().map(|s| s.name()).collect()
    }

    /// The tables of its placements.
    #[must_use]
    pub fn graphs(&self) -> Vec<(&'static str, &'static Graph)> {
        self.stages.iter().map(|s| (s.name(), s.graph())).collect()
    }

    /// Its routes.
    #[must_use]
    pub fn routes(&self) -> Vec<RouteSpec> {
        self.routes.iter().map(|r| r.spec.clone()).collect()
    }

    /// The instances of an order: placement, key and state, in the order of placement and key.
    #[must_use]
    pub fn instances(&self, p: &Progress) -> Vec<(&'static str, Key, &'static str)> {
        let mut all = Vec::new();
        for (stage, region) in self.stages.iter().zip(&p.regions) {
            for i in region.iter() {
                let state = stage.graph().states.get(usize::from(i.at)).map_or("?", |s| s.name);
                all.push((stage.name(), i.key, state));
            }
        }
        all
    }

    /// The state of one instance, typed; of an extension of the machine, what the state stands for in it. `None` when
    /// there is none, or the machine is placed under another name.
    #[must_use]
    pub fn state<'a, M: Machine>(&self, p: &'a Progress, key: impl Into<Key>) -> Option<&'a M::State> {
        p.instance(position_of(&self.stages, M::GRAPH.name)?, key.into())?.as_state::<M>()
    }

    /// The state of one instance of a placement, typed.
    #[must_use]
    pub fn state_at<'a, M: Machine>(
        &self,
        p: &'a Progress,
        place: &str,
        key: impl Into<Key>,
    ) -> Option<&'a M::State> {
        let at = self.position(place)?;
        p.instance(at, key.into())?.as_state::<M>()
    }

    /// The instants that an instance waits for: timer and time.
    #[must_use]
    pub fn instants(&self, p: &Progress, place: &str, key: impl Into<Key>) -> Vec<(&'static str, Timestamp)> {
        let Some(at) = self.position(place) else { return Vec::new() };
        let (Some(stage), Some(i)) = (self.stage(at), p.instance(at, key.into())) else {
            return Vec::new();
        };
        let name = |t: u8| stage.graph().inputs.get(usize::from(t)).map_or("?", |i| i.name);
        i.due.iter().map(|(t, when)| (name(*t), *when)).collect()
    }

    /// The key that an effect of an order is sent under.
    #[must_use]
    pub fn op_key(&self, p: &Progress, effect: &Outstanding) -> OpKey {
        let place = self.stage(effect.place).map_or("?", |s| s.name());
        OpKey::derive(&p.id, p.placed_at.millis(), place, effect.key, &effect.name, effect.nth)
    }

    /// An effect as the type that its adapter is registered for.
    #[must_use]
    pub fn effect_value(&self, effect: &Outstanding) -> Option<Box<dyn Any + Send + Sync>> {
        self.stage(effect.place)?.effect_value(&*effect.value)
    }

    /// The name and the table of a placement.
    pub(crate) fn placed(&self, place: usize) -> (&'static str, &'static Graph) {
        let stage = self.stages.get(place).expect("a placement of this pipeline");
        (stage.name(), stage.graph())
    }

    pub(crate) fn save_input(
        &self,
        place: usize,
        input: &(dyn Any + Send + Sync),
        out: &mut Vec<u8>,
    ) -> Result<(), CodecError> {
        self.stages.get(place).expect("a placement of this pipeline").save_input(input, out)
    }

    /// The policies that new orders take with them: placement, version, JSON.
    pub(crate) fn saved_policies(&self) -> Result<Vec<(&'static str, u16, String)>, CodecError> {
        self.stages.iter().map(|s| Ok((s.name(), s.policy_version(), s.save_policy()?))).collect()
    }

    /// Shows the policy that new orders take with them, placement by placement; of an extension, the part that its base
    /// goes by.
    pub(crate) fn each_policy(&self, mut see: impl FnMut(&'static str, &(dyn Any + Send + Sync))) {
        for s in &self.stages {
            let policy = s.policy();
            see(s.name(), s.base_policy(&*policy).unwrap_or(&*policy));
        }
    }

    /// The position of a placement.
    pub(crate) fn position(&self, name: &str) -> Option<usize> {
        self.stages.iter().position(|s| s.name() == name)
    }

    pub(crate) fn stage(&self, place: usize) -> Option<&dyn Stage> {
        self.stages.get(place).map(AsRef::as_ref)
    }

    /// The composition as a Mermaid flowchart: which proofs lead from stage to stage, and which routes.
    #[must_use]
    pub fn mermaid(&self) -> String {
        use fmt::Write as _;
        let id = |name: &str| name.replace(['.', '-'], "_");
        let mut s = format!("flowchart LR\n    %% {} v{}\n", self.name, self.version);
        for stage in &self.stages {
            let _ = writeln!(s, "    {}[\"{}\"]", id(stage.name()), stage.name());
        }
        for from in &self.stages {
            for proof in from.graph().yields {
                for to in &self.stages {
                    let g = to.graph();
                    if g.needs.contains(proof) || g.hears.contains(proof) {
                        let arrow = if g.needs.contains(proof) { "==>" } else { "-->" };
                        let _ = writeln!(s, "    {} {arrow}|{proof}| {}", id(from.name()), id(to.name()));
                    }
                }
            }
            for r in self.routes.iter().filter(|r| from.graph().asks.contains(&r.spec.ask)) {
                let _ = writeln!(
                    s,
                    "    {} -.->|{} / {}| {}",
                    id(from.name()),
                    r.spec.ask,
                    r.spec.signal,
                    id(r.spec.to)
                );
            }
        }
        s
    }
}
