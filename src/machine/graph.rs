//! The table as data: what diagrams are drawn from, and what is checked of a machine.
//!
//! Sets of states are bit masks: 63 states and `New`; sets of inputs are masks of 64.

use crate::clock::Timestamp;

/// How a state stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Kind {
    /// Waits for the outside or a person, at most until its instants.
    Wait,
    /// Waits for the answer to an effect, at most until its instants.
    Busy,
    /// May be left for ever, with no money open.
    Rest,
    /// An end that was wanted.
    Done,
    /// An end that was not.
    Fail,
}

impl Kind {
    /// Whether an instance may be left here for ever.
    #[must_use]
    pub const fn is_end(self) -> bool {
        matches!(self, Kind::Rest | Kind::Done | Kind::Fail)
    }

    /// The word of the table.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Kind::Wait => "wait",
            Kind::Busy => "busy",
            Kind::Rest => "rest",
            Kind::Done => "done",
            Kind::Fail => "fail",
        }
    }
}

/// Where an input comes from, and so what may be done with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Class {
    /// Someone asks. The only class that can be refused.
    Command,
    /// The outside said. Never refused.
    Outcome,
    /// An instant passed.
    Timer,
    /// A proof changed, or a sibling asked through a route.
    Signal,
}

impl Class {
    /// The word of the table.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Class::Command => "command",
            Class::Outcome => "outcome",
            Class::Timer => "timer",
            Class::Signal => "signal",
        }
    }
}

/// What makes the kernel send a signal by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Trigger {
    /// Only routes send it.
    Route,
    /// The last of the machine's needs was granted.
    NeedsGranted,
    /// One of the machine's needs was withdrawn while all were held.
    NeedsWithdrawn,
    /// This proof was granted.
    Granted(&'static str),
    /// This proof was withdrawn.
    Withdrawn(&'static str),
}

/// A state of a machine.
#[derive(Debug, Clone, Copy)]
pub struct StateSpec {
    /// The name it is stored and drawn under.
    pub name: &'static str,
    /// How it stands.
    pub kind: Kind,
    /// Mask of the timers it waits for.
    pub timers: u64,
    /// The highest evidence that this state already holds.
    pub rank: u8,
    /// Mask of the state that it stands for in the machine that is extended; 0 for a state of its own right.
    pub stands: u64,
    /// The version of its stored form.
    pub version: u16,
    /// The oldest version of it that can be read.
    pub oldest: u16,
}

/// An input of a machine.
#[derive(Debug, Clone, Copy)]
pub struct InputSpec {
    /// The name it is stored and drawn under.
    pub name: &'static str,
    /// Its class.
    pub class: Class,
    /// Rank among the evidence of the machine; `None` where the table speaks of every state.
    pub rank: Option<u8>,
    /// What sends it, for signals.
    pub trigger: Trigger,
    /// The version of its stored form.
    pub version: u16,
    /// The oldest version of it that can be read.
    pub oldest: u16,
}

/// How an effect may be repeated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Mode {
    /// Changes the outside. A lost answer is Unknown, and the machine decides.
    Once,
    /// Changes the outside under its key only once, however often it is sent: the engine may send it again itself.
    Repeat,
    /// Changes nothing outside; counted apart.
    Read,
}

/// Why an operation may be sent once more, where an earlier call of it may have arrived and nobody told what came of
/// it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Again {
    /// Its key: the outside does nothing twice under one. That is so while the adapter's outside keeps keys, and no
    /// longer; see `gateway::Repeats`.
    #[default]
    Keyed,
    /// The outside was asked, at this time, and did not have it. Trusted where every call before had had its time to
    /// settle by then; see [`Cx::asked_at`](crate::machine::Cx::asked_at).
    Missing(Timestamp),
    /// Nothing comes of doing it twice: closing what is closed.
    Harmless,
}

impl Again {
    /// The number in a record, and the time that goes with it.
    #[must_use]
    pub const fn code(self) -> (u8, Option<Timestamp>) {
        match self {
            Again::Keyed => (0, None),
            Again::Missing(asked) => (1, Some(asked)),
            Again::Harmless => (2, None),
        }
    }

    /// From a record. A number of a later release is the most careful one.
    #[must_use]
    pub const fn from_code(code: u8, at: Option<Timestamp>) -> Self {
        match (code, at) {
            (1, Some(asked)) => Again::Missing(asked),
            (2, _) => Again::Harmless,
            _ => Again::Keyed,
        }
    }
}

impl Mode {
    /// The word of the table; empty for [`Mode::Once`].
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Mode::Once => "",
            Mode::Repeat => "repeat",
            Mode::Read => "read",
        }
    }
}

/// An effect of a machine, with the inputs that answer it.
#[derive(Debug, Clone, Copy)]
pub struct EffectSpec {
    /// The name it is stored under.
    pub name: &'static str,
    /// The name that its handler is registered under: that of the machine whose table first named it, and its own.
    pub handler: &'static str,
    /// How it may be repeated.
    pub mode: Mode,
    /// Mask of the states in which it stays wanted; 0 where that is only the state of the row that wants it.
    pub wanted_in: u64,
    /// Inputs that say it happened.
    pub done: &'static [&'static str],
    /// The input that says the outside refused it.
    pub declined: &'static str,
    /// The input that says the answer was lost.
    pub unknown: &'static str,
    /// The input that says the attempts are used up.
    pub exhausted: &'static str,
    /// The version of its stored form.
    pub version: u16,
    /// The oldest version of it that can be read.
    pub oldest: u16,
}

/// A row of the table.
#[derive(Debug, Clone, Copy)]
pub struct RowSpec {
    /// Mask of the states it starts from.
    pub from: u64,
    /// The name written in the table: a state, a group, or `New`.
    pub from_name: &'static str,
    /// The input, by index.
    pub on: u8,
    /// Mask of the states it may lead to.
    pub to: u64,
    /// Proofs it needs, by name.
    pub uses: &'static [&'static str],
    /// Effects it may want.
    pub effects: &'static [&'static str],
    /// Mask of the postings it may write.
    pub may: u32,
    /// Mask of the postings it always writes.
    pub must: u32,
    /// What it may ask of other machines.
    pub asks: &'static [&'static str],
}

/// A machine's table.
#[derive(Debug)]
pub struct Graph {
    /// The machine's name: `payment.attempt`. What stands before the dot is its area.
    pub name: &'static str,
    /// The name of the machine that this one extends.
    pub base: Option<&'static str>,
    /// The version of the table.
    pub version: u32,
    /// Proofs that open its gate.
    pub needs: &'static [&'static str],
    /// Proofs it hears of besides.
    pub hears: &'static [&'static str],
    /// Proofs it yields.
    pub yields: &'static [&'static str],
    /// Spaces of the index rows that its orders are found by.
    pub spaces: &'static [&'static str],
    /// Its states.
    pub states: &'static [StateSpec],
    /// Its inputs.
    pub inputs: &'static [InputSpec],
    /// Its effects.
    pub effects: &'static [EffectSpec],
    /// What it asks of other machines.
    pub asks: &'static [&'static str],
    /// Mask of the signals whose proofs open instances.
    pub opens: u64,
    /// Its rows.
    pub rows: &'static [RowSpec],
    /// Inputs that change nothing: masks of states and of inputs.
    pub ignore: &'static [(u64, u64)],
    /// Evidence that waits until the state changes: masks of states and of inputs.
    pub defer: &'static [(u64, u64)],
    /// Evidence that should be impossible: masks of states and of inputs.
    pub alarm: &'static [(u64, u64)],
}

/// The bit of `New`, where instances come from.
pub const NEW: u64 = 1 << 63;

impl Graph {
    /// The part of the name before the dot.
    #[must_use]
    pub fn area(&self) -> &'static str {
        self.name.split('.').next().unwrap_or(self.name)
    }

    /// The position of a state.
    #[must_use]
    pub fn state(&self, name: &str) -> Option<usize> {
        self.states.iter().position(|s| s.name == name)
    }

    /// The position of an input.
    #[must_use]
    pub fn input(&self, name: &str) -> Option<usize> {
        self.inputs.iter().position(|s| s.name == name)
    }

    /// The names of the states in a mask, `New` first.
    #[must_use]
    pub fn names(&self, mask: u64) -> Vec<&'static str> {
        let mut all = Vec::new();
        if mask & NEW != 0 {
            all.push("New");
        }
        for (i, s) in self.states.iter().enumerate() {
            if mask >> i & 1 == 1 {
                all.push(s.name);
            }
        }
        all
    }

    /// The bit of a state, with that of the state that it stands for in the machine that is extended.
    #[must_use]
    pub fn bits(&self, state: u8) -> u64 {
        let stands = self.states.get(usize::from(state)).map_or(0, |s| s.stands);
        1u64.checked_shl(u32::from(state)).unwrap_or(0) | stands
    }

    /// Whether an effect that was wanted in one state is still wanted in another: in the same one, in one that stands
    /// for the same, and in those that the table names after `while`.
    #[must_use]
    pub fn still_wants(&self, effect: u8, from: u8, to: u8) -> bool {
        let wanted_in = self.effects.get(usize::from(effect)).map_or(0, |e| e.wanted_in);
        self.bits(to) & (self.bits(from) | wanted_in) != 0
    }

    /// Whether a (state, input) pair stands in one of the lists `ignore`, `defer`, `alarm`.
    #[must_use]
    pub fn listed(list: &[(u64, u64)], state: u64, input: u8) -> bool {
        list.iter().any(|(s, e)| s & state != 0 && e >> input & 1 == 1)
    }

    /// A number that changes whenever the table does: FNV-1a over every part that decides behaviour.
    #[must_use]
    pub fn fingerprint(&self) -> u64 {
        let mut h = Fnv::new();
        h.text(self.name);
        if let Some(base) = self.base {
            h.text(base);
        }
        h.number(u64::from(self.version));
        for list in [self.needs, self.hears, self.yields, self.asks] {
            h.list(list);
        }
        // Only where there are any: a table without index rows keeps the fingerprint it had.
        if !self.spaces.is_empty() {
            h.list(self.spaces);
        }
        for s in self.states {
            h.text(s.name);
            h.text(s.kind.name());
            h.number(s.timers);
            h.number(u64::from(s.rank));
            h.number(u64::from(s.version));
        }
        for i in self.inputs {
            h.text(i.name);
            h.text(i.class.name());
            h.number(i.rank.map_or(u64::MAX, u64::from));
            h.text(&format!("{:?}", i.trigger));
            h.number(u64::from(i.version));
        }
        for e in self.effects {
            h.text(e.name);
            h.text(e.mode.name());
            h.number(e.wanted_in);
            h.list(e.done);
            h.text(e.declined);
            h.text(e.unknown);
            h.text(e.exhausted);
            h.number(u64::from(e.version));
        }
        for r in self.rows {
            h.number(r.from);
            h.number(u64::from(r.on));
            h.number(r.to);
            for list in [r.uses, r.effects, r.asks] {
                h.list(list);
            }
            h.number(u64::from(r.may));
            h.number(u64::from(r.must));
        }
        h.number(self.opens);
        for list in [self.ignore, self.defer, self.alarm] {
            h.text("list");
            for (s, e) in list {
                h.number(*s);
                h.number(*e);
            }
        }
        h.0
    }
}

/// FNV-1a, 64 bits: a fingerprint that no library version changes.
#[derive(Debug, Clone, Copy)]
pub struct Fnv(pub u64);

impl Fnv {
    /// The empty fingerprint.
    #[must_use]
    pub const fn new() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }

    /// Adds bytes.
    pub fn bytes(&mut self, bytes: &[u8]) {
        for b in bytes {
            self.0 = (self.0 ^ u64::from(*b)).wrapping_mul(0x0100_0000_01b3);
        }
    }

    /// Adds a text and its end.
    pub fn text(&mut self, text: &str) {
        self.bytes(text.as_bytes());
        self.bytes(&[0xff]);
    }

    /// Adds texts and how many they are.
    fn list(&mut self, texts: &[&str]) {
        self.number(texts.len() as u64);
        for text in texts {
            self.text(text);
        }
    }

    /// Adds a number.
    pub fn number(&mut self, n: u64) {
        self.bytes(&n.to_le_bytes());
    }
}

impl Default for Fnv {
    fn default() -> Self {
        Self::new()
    }
}
