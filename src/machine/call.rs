//! Inputs with an address, and machines with a policy: what crosses between typed and erased.

use std::any::Any;
use std::sync::Arc;

use super::graph::Class;
use super::row::Machine;
use crate::id::Key;

/// An input addressed to an instance of a machine. Made by `M::command` and `M::evidence` of the table's module.
#[derive(Debug, Clone)]
pub struct Call {
    /// The machine's name.
    pub machine: &'static str,
    /// The name of its placement, where it is placed under another than its own.
    pub place: Option<&'static str>,
    /// Which instance.
    pub key: Key,
    /// The index of the input.
    pub input: u8,
    /// The class of the input.
    pub class: Class,
    /// The input, as the machine's enum.
    pub value: Arc<dyn Any + Send + Sync>,
}

impl Call {
    /// Addresses an input of a machine.
    #[must_use]
    pub fn new<M: Machine>(key: Key, input: M::Input) -> Self {
        let ix = M::input_ix(&input);
        Self {
            machine: M::GRAPH.name,
            place: None,
            key,
            input: ix,
            class: M::GRAPH.inputs.get(usize::from(ix)).map_or(Class::Signal, |i| i.class),
            value: Arc::new(input),
        }
    }

    /// Addresses a machine that is placed under another name than its own.
    #[must_use]
    pub fn named(mut self, place: &'static str) -> Self {
        self.place = Some(place);
        self
    }
}

/// A machine with its policy, ready to be placed in a pipeline.
#[derive(Debug)]
pub struct Placement<M: Machine> {
    /// The name it is placed under.
    pub name: &'static str,
    /// The policy that new orders take with them.
    pub policy: M::Policy,
}

impl<M: Machine> Placement<M> {
    /// Under the machine's own name.
    #[must_use]
    pub fn new(policy: M::Policy) -> Self {
        Self { name: M::GRAPH.name, policy }
    }

    /// Under another name, so that a machine can be placed twice.
    #[must_use]
    pub fn named(mut self, name: &'static str) -> Self {
        self.name = name;
        self
    }
}
