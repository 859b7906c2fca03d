//! A placed machine without its type: what the step calls.

use std::any::Any;
use std::fmt::Debug;
use std::marker::PhantomData;
use std::sync::Arc;

use crate::id::Key;
use crate::ledger::Posting;
use crate::machine::{
    Again, AskValue, CodecError, Deadline, Due, Exhausted, Fact, Fault, Graph, Hit, IndexRow, Instance,
    Machine, Out, Placement, Proofs, Raised, Step, View, World,
};
use crate::order::Order;

/// A machine at its place in a pipeline.
pub(crate) trait Stage: Debug + Send + Sync {
    fn name(&self) -> &'static str;
    fn graph(&self) -> &'static Graph;
    /// The policy that new orders take with them, and its stored form.
    fn policy(&self) -> Arc<dyn Any + Send + Sync>;
    fn policy_version(&self) -> u16;
    /// The oldest version of a policy that can be read.
    fn oldest_policy(&self) -> u16;
    /// The part of a policy that the machine goes by which this one extends.
    fn base_policy<'a>(&self, policy: &'a (dyn Any + Send + Sync)) -> Option<&'a (dyn Any + Send + Sync)>;
    fn save_policy(&self) -> Result<String, CodecError>;
    fn load_policy(&self, version: u16, json: &str) -> Result<Arc<dyn Any + Send + Sync>, CodecError>;
    /// Steps one instance.
    fn step(&self, at: &At<'_>, input: &(dyn Any + Send + Sync)) -> Result<Outcome, Step>;
    fn yields(&self, at: &At<'_>, proofs: &mut Proofs);
    fn opens(&self, at: &At<'_>, input: u8) -> Vec<Key>;
    fn plain_input(&self, ix: u8) -> Option<Arc<dyn Any + Send + Sync>>;
    fn input_ix(&self, input: &(dyn Any + Send + Sync)) -> Option<u8>;
    fn fact(&self, input: &(dyn Any + Send + Sync), answers: &str) -> Fact;
    fn input_of(&self, told: &(dyn Any + Send + Sync)) -> Option<Arc<dyn Any + Send + Sync>>;
    fn unknown(&self, effect: u8, fault: Fault) -> Option<Arc<dyn Any + Send + Sync>>;
    fn exhausted(&self, effect: u8, spent: Exhausted) -> Option<Arc<dyn Any + Send + Sync>>;
    fn effect_value(&self, effect: &(dyn Any + Send + Sync)) -> Option<Box<dyn Any + Send + Sync>>;
    fn save_input(&self, input: &(dyn Any + Send + Sync), out: &mut Vec<u8>) -> Result<(), CodecError>;
    fn load_input(
        &self,
        name: &str,
        version: u16,
        json: &str,
    ) -> Result<Arc<dyn Any + Send + Sync>, CodecError>;
    fn load_state(&self, name: &str, version: u16, json: &str) -> Result<Loaded, CodecError>;
    fn load_effect(&self, name: &str, version: u16, json: &str) -> Result<Loaded, CodecError>;
    /// The index rows of an instance.
    fn index(
        &self,
        key: Key,
        state: &(dyn Any + Send + Sync),
        order: &Order,
        policy: &(dyn Any + Send + Sync),
    ) -> Vec<IndexRow>;
}

/// A stored value with its index in the table.
pub(crate) struct Loaded {
    pub ix: u8,
    pub value: Arc<dyn Any + Send + Sync>,
    /// As this version stores it.
    pub saved: Arc<str>,
    /// For states: as the machine sees it that is extended.
    pub base: Option<Arc<dyn Any + Send + Sync>>,
}

/// Where a step happens.
pub(crate) struct At<'a> {
    pub key: Key,
    pub world: &'a World<'a>,
    pub policy: &'a (dyn Any + Send + Sync),
    pub region: &'a [Arc<Instance>],
}

/// What a step of one instance came to.
pub(crate) enum Outcome {
    Moved(Box<MovedTo>),
    Ignored,
    Deferred,
    Stale,
    Alarmed,
}

pub(crate) struct MovedTo {
    pub row: usize,
    pub at: u8,
    pub state: Arc<dyn Any + Send + Sync>,
    pub saved: Arc<str>,
    pub index: Vec<IndexRow>,
    pub base: Option<Arc<dyn Any + Send + Sync>>,
    /// `None` keeps the instants.
    pub due: Option<Vec<(u8, Deadline)>>,
    pub effects: Vec<WantedFx>,
    pub postings: Vec<Posting>,
    pub asks: Vec<Box<dyn AskValue>>,
    pub holds: Vec<Raised>,
    pub amended: Option<Box<Order>>,
}

pub(crate) struct WantedFx {
    pub ix: u8,
    pub nth: u32,
    pub again: Again,
    pub value: Arc<dyn Any + Send + Sync>,
    pub saved: Arc<str>,
}

#[derive(Debug)]
pub(crate) struct Placed<M: Machine> {
    name: &'static str,
    policy: Arc<M::Policy>,
    machine: PhantomData<fn() -> M>,
}

impl<M: Machine> Placed<M> {
    pub(crate) fn new(p: Placement<M>) -> Self {
        Self { name: p.name, policy: Arc::new(p.policy), machine: PhantomData }
    }

    fn view<'a>(at: &'a At<'a>) -> View<'a, M> {
        let policy = at
            .policy
            .downcast_ref::<M::Policy>()
            .expect("an order's policies stand in the order of placement");
        View::new(at.world, policy, at.region)
    }
}

fn input<M: Machine>(input: &(dyn Any + Send + Sync)) -> &M::Input {
    input.downcast_ref().expect("an input is addressed to the machine it belongs to")
}

/// `"Name",version,{data}`: how a state, an input or an effect stands in a record.
fn write(
    name: &str,
    version: u16,
    out: &mut Vec<u8>,
    save: impl FnOnce(&mut Vec<u8>) -> Result<(), CodecError>,
) -> Result<(), CodecError> {
    use std::io::Write as _;
    out.push(b'"');
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b"\",");
    let _ = write!(out, "{version},");
    save(out)
}

fn stored(
    name: &str,
    version: u16,
    save: impl FnOnce(&mut Vec<u8>) -> Result<(), CodecError>,
) -> Result<Arc<str>, CodecError> {
    let mut out = Vec::with_capacity(128);
    write(name, version, &mut out, save)?;
    let text = String::from_utf8(out)
        .map_err(|e| CodecError::Malformed { name: name.to_owned(), why: e.to_string() })?;
    Ok(text.into())
}

impl<M: Machine> Placed<M> {
    fn stored_state(state: &M::State) -> Result<Arc<str>, CodecError> {
        let spec = M::GRAPH.states.get(usize::from(M::state_ix(state))).expect("a state stands in its table");
        stored(spec.name, spec.version, |out| M::save_state(state, out))
    }

    fn stored_effect(effect: &M::Fx) -> Result<Arc<str>, CodecError> {
        let spec =
            M::GRAPH.effects.get(usize::from(M::effect_ix(effect))).expect("an effect stands in its table");
        stored(spec.name, spec.version, |out| M::save_effect(effect, out))
    }
}

impl<M: Machine> Stage for Placed<M> {
    fn name(&self) -> &'static str {
        self.name
    }

    fn graph(&self) -> &'static Graph {
        M::GRAPH
    }

    fn policy(&self) -> Arc<dyn Any + Send + Sync> {
        self.policy.clone()
    }

    fn policy_version(&self) -> u16 {
        M::POLICY_VERSION
    }

    fn oldest_policy(&self) -> u16 {
        M::OLDEST_POLICY
    }

    fn base_policy<'a>(&self, policy: &'a (dyn Any + Send + Sync)) -> Option<&'a (dyn Any + Send + Sync)> {
        M::base_policy(policy.downcast_ref::<M::Policy>()?)
    }

    fn save_policy(&self) -> Result<String, CodecError> {
        let mut out = Vec::new();
        crate::machine::save(self.name, &*self.policy, &mut out)?;
        String::from_utf8(out)
            .map_err(|e| CodecError::Malformed { name: self.name.to_owned(), why: e.to_string() })
    }

    fn load_policy(&self, version: u16, json: &str) -> Result<Arc<dyn Any + Send + Sync>, CodecError> {
        Ok(Arc::new(M::load_policy(version, json)?))
    }

    fn step(&self, at: &At<'_>, event: &(dyn Any + Send + Sync)) -> Result<Outcome, Step> {
        let view = Self::view(at);
        let found = at.region.binary_search_by_key(&at.key, |i| i.key).ok();
        let state = found.and_then(|n| at.region.get(n)).map(|i| {
            i.state.downcast_ref::<M::State>().expect("a region holds the states of its own machine")
        });
        let mut out = Out::<M>::default();
        Ok(match M::step(state, input::<M>(event), at.key, &view, &mut out)? {
            Hit::Ignored => Outcome::Ignored,
            Hit::Deferred => Outcome::Deferred,
            Hit::Stale => Outcome::Stale,
            Hit::Alarmed => Outcome::Alarmed,
            Hit::Moved { row, state, due } => {
                let saved = Self::stored_state(&state).expect("states are plain data that JSON can hold");
                let index = M::index(at.key, &state, at.world.order, view.policy);
                let base = M::as_base(&state);
                let effects = out
                    .effects
                    .into_iter()
                    .map(|(fx, nth, again)| WantedFx {
                        ix: M::effect_ix(&fx),
                        nth,
                        again,
                        saved: Self::stored_effect(&fx).expect("effects are plain data that JSON can hold"),
                        value: Arc::new(fx),
                    })
                    .collect();
                Outcome::Moved(Box::new(MovedTo {
                    row,
                    at: M::state_ix(&state),
                    state: Arc::new(state),
                    saved,
                    index,
                    base,
                    due: match due {
                        Due::Keep => None,
                        Due::Set(list) => Some(list),
                    },
                    effects,
                    postings: out.postings,
                    asks: out.asks,
                    holds: out.holds,
                    amended: out.amended,
                }))
            }
        })
    }

    fn yields(&self, at: &At<'_>, proofs: &mut Proofs) {
        M::yields(&Self::view(at), proofs);
    }

    fn opens(&self, at: &At<'_>, event: u8) -> Vec<Key> {
        M::opens(event, &Self::view(at))
    }

    fn plain_input(&self, ix: u8) -> Option<Arc<dyn Any + Send + Sync>> {
        M::plain_input(ix).map(|i| Arc::new(i) as Arc<dyn Any + Send + Sync>)
    }

    fn input_ix(&self, event: &(dyn Any + Send + Sync)) -> Option<u8> {
        event.downcast_ref::<M::Input>().map(M::input_ix)
    }

    fn fact(&self, event: &(dyn Any + Send + Sync), answers: &str) -> Fact {
        M::fact(input::<M>(event), answers)
    }

    fn input_of(&self, told: &(dyn Any + Send + Sync)) -> Option<Arc<dyn Any + Send + Sync>> {
        // An answer out of which something was struck is an input of the machine already.
        let input = told.downcast_ref::<M::Input>().cloned().or_else(|| M::input_of(told));
        input.map(|i| Arc::new(i) as Arc<dyn Any + Send + Sync>)
    }

    fn unknown(&self, effect: u8, fault: Fault) -> Option<Arc<dyn Any + Send + Sync>> {
        M::unknown(effect, fault).map(|i| Arc::new(i) as Arc<dyn Any + Send + Sync>)
    }

    fn exhausted(&self, effect: u8, spent: Exhausted) -> Option<Arc<dyn Any + Send + Sync>> {
        M::exhausted(effect, spent).map(|i| Arc::new(i) as Arc<dyn Any + Send + Sync>)
    }

    fn effect_value(&self, effect: &(dyn Any + Send + Sync)) -> Option<Box<dyn Any + Send + Sync>> {
        effect.downcast_ref::<M::Fx>().map(M::effect_value)
    }

    fn save_input(&self, event: &(dyn Any + Send + Sync), out: &mut Vec<u8>) -> Result<(), CodecError> {
        let event = input::<M>(event);
        let spec =
            M::GRAPH.inputs.get(usize::from(M::input_ix(event))).expect("an input stands in its table");
        write(spec.name, spec.version, out, |out| M::save_input(event, out))
    }

    fn load_input(
        &self,
        name: &str,
        version: u16,
        json: &str,
    ) -> Result<Arc<dyn Any + Send + Sync>, CodecError> {
        Ok(Arc::new(M::load_input(name, version, json)?))
    }

    fn load_state(&self, name: &str, version: u16, json: &str) -> Result<Loaded, CodecError> {
        let state = M::load_state(name, version, json)?;
        let saved = Self::stored_state(&state)?;
        let base = M::as_base(&state);
        Ok(Loaded { ix: M::state_ix(&state), value: Arc::new(state), saved, base })
    }

    fn index(
        &self,
        key: Key,
        state: &(dyn Any + Send + Sync),
        order: &Order,
        policy: &(dyn Any + Send + Sync),
    ) -> Vec<IndexRow> {
        match (state.downcast_ref::<M::State>(), policy.downcast_ref::<M::Policy>()) {
            (Some(state), Some(policy)) => M::index(key, state, order, policy),
            (Some(_) | None, Some(_) | None) => Vec::new(),
        }
    }

    fn load_effect(&self, name: &str, version: u16, json: &str) -> Result<Loaded, CodecError> {
        let effect = M::load_effect(name, version, json)?;
        let saved = Self::stored_effect(&effect)?;
        Ok(Loaded { ix: M::effect_ix(&effect), value: Arc::new(effect), saved, base: None })
    }
}
