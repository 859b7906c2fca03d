//! The table as data: what diagrams are drawn from, and what `cargo check` proves about a machine.
//!
//! Sets of states are bit masks: 63 states and `New`; sets of inputs are masks of 64.

use crate::ledger::Code;

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
#[derive(Debug)]
pub struct StateSpec {
    /// The name it is stored and drawn under.
    pub name: &'static str,
    /// How it stands.
    pub kind: Kind,
    /// Mask of the timers it waits for.
    pub timers: u64,
    /// The highest evidence that this state already holds.
    pub rank: u8,
    /// The version of its stored form.
    pub version: u16,
}

/// An input of a machine.
#[derive(Debug)]
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
#[derive(Debug)]
pub struct EffectSpec {
    /// The name it is stored and registered under.
    pub name: &'static str,
    /// How it may be repeated.
    pub mode: Mode,
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
}

/// A row of the table.
#[derive(Debug)]
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
    /// The version of the table.
    pub version: u32,
    /// Proofs that open its gate.
    pub needs: &'static [&'static str],
    /// Proofs it hears of besides.
    pub hears: &'static [&'static str],
    /// Proofs it yields.
    pub yields: &'static [&'static str],
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
        h.number(u64::from(self.version));
        for list in [self.needs, self.hears, self.yields, self.asks] {
            h.list(list);
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

// ---- what `cargo check` proves ------------------------------------------------------------------------------------

/// Clearing accounts that a posting may open: hold, suspense, refund_due.
const fn opens(posts: u32) -> u8 {
    let hold = posts & Code::P1.bit() != 0;
    let suspense = posts & (Code::P5.bit() | Code::P18.bit()) != 0;
    let refund = posts & (Code::P9.bit() | Code::P12.bit()) != 0;
    hold as u8 | (suspense as u8) << 1 | (refund as u8) << 2
}

const fn closes(posts: u32) -> u8 {
    let hold = posts & Code::P2.bit() != 0;
    let suspense = posts & Code::P6.bit() != 0;
    let refund = posts & (Code::P10.bit() | Code::P11.bit()) != 0;
    hold as u8 | (suspense as u8) << 1 | (refund as u8) << 2
}

/// Whether any row of the table may write one of these postings.
#[doc(hidden)]
#[must_use]
pub const fn posts(g: &Graph, of: u32) -> bool {
    let mut i = 0;
    while i < g.rows.len() {
        if (g.rows[i].may | g.rows[i].must) & of != 0 {
            return true;
        }
        i += 1;
    }
    false
}

/// Takes money in: captured, or arrived unwanted.
#[doc(hidden)]
pub const TAKES: u32 = Code::P3.bit() | Code::P5.bit();
/// Gives money back.
#[doc(hidden)]
pub const GIVES: u32 = Code::P10.bit();

struct Msg([u8; 240], usize);

impl Msg {
    const fn add(mut self, s: &str) -> Self {
        let s = s.as_bytes();
        let mut i = 0;
        while i < s.len() && self.1 < 240 {
            self.0[self.1] = s[i];
            self.1 += 1;
            i += 1;
        }
        self
    }

    const fn fail(self) -> ! {
        let (head, _) = self.0.split_at(self.1);
        match std::str::from_utf8(head) {
            Ok(s) => panic!("{}", s),
            Err(_) => panic!(),
        }
    }
}

const fn say(g: &Graph, what: &str, s: &str) -> Msg {
    Msg([0; 240], 0)
        .add("machine `")
        .add(g.name)
        .add("`: ")
        .add(what)
        .add(" `")
        .add(s)
        .add("`")
}

const fn state_name(g: &Graph, at: usize) -> &'static str {
    if at == 63 { "New" } else { g.states[at].name }
}

/// States from which an end can be reached, with or without commands.
const fn reaches(g: &Graph, ends: u64, commands: bool) -> u64 {
    let mut ok = ends;
    loop {
        let was = ok;
        let mut i = 0;
        while i < g.rows.len() {
            let r = &g.rows[i];
            let by_person = matches!(g.inputs[r.on as usize].class, Class::Command);
            if ok & r.to != 0 && (commands || !by_person) {
                ok |= r.from;
            }
            i += 1;
        }
        if was == ok {
            return ok;
        }
    }
}

/// Per state, the inputs that stand in a list.
const fn spread(list: &[(u64, u64)], mut into: [u64; 64]) -> [u64; 64] {
    let mut i = 0;
    while i < list.len() {
        let mut s = 0;
        while s < 64 {
            if list[i].0 >> s & 1 == 1 {
                into[s] |= list[i].1;
            }
            s += 1;
        }
        i += 1;
    }
    into
}

/// Per state, the inputs that a row handles; fails on a pair that two rows claim.
const fn handled(g: &Graph) -> [u64; 64] {
    let mut all = [0u64; 64];
    let mut i = 0;
    while i < g.rows.len() {
        let r = &g.rows[i];
        let mut s = 0;
        while s < 64 {
            if r.from >> s & 1 == 1 {
                if all[s] >> r.on & 1 == 1 {
                    say(g, "two rows claim", state_name(g, s))
                        .add(" + `")
                        .add(g.inputs[r.on as usize].name)
                        .add("`")
                        .fail()
                }
                all[s] |= 1 << r.on;
            }
            s += 1;
        }
        i += 1;
    }
    all
}

/// Per state, the clearing accounts that this machine's own rows may have left open.
const fn open_money(g: &Graph) -> [u8; 64] {
    let mut live = [0u8; 64];
    loop {
        let mut more = false;
        let mut i = 0;
        while i < g.rows.len() {
            let r = &g.rows[i];
            let mut f = 0;
            while f < 64 {
                if r.from >> f & 1 == 1 {
                    let l = (live[f] & !closes(r.must)) | opens(r.may | r.must);
                    let mut t = 0;
                    while t < g.states.len() {
                        if r.to >> t & 1 == 1 && live[t] | l != live[t] {
                            live[t] |= l;
                            more = true;
                        }
                        t += 1;
                    }
                }
                f += 1;
            }
            i += 1;
        }
        if !more {
            return live;
        }
    }
}

/// What only some classes of inputs may do: all but commands happen, whatever proofs hold, and only evidence is kept
/// for later.
const fn classes(g: &Graph) {
    let mut i = 0;
    while i < g.rows.len() {
        let r = &g.rows[i];
        let input = &g.inputs[r.on as usize];
        if !matches!(input.class, Class::Command) && !r.uses.is_empty() {
            say(g, "only a command's row can need a proof:", r.from_name)
                .add(" + `")
                .add(input.name)
                .add("`")
                .fail()
        }
        let mut s = 0;
        while s < g.states.len() {
            let timer = matches!(input.class, Class::Timer);
            if timer && r.from >> s & 1 == 1 && g.states[s].timers >> r.on & 1 == 0 {
                say(g, "a row on a timer that the state does not set:", g.states[s].name)
                    .add(" + `")
                    .add(input.name)
                    .add("`")
                    .fail()
            }
            s += 1;
        }
        i += 1;
    }
    let mut e = 0;
    while e < g.inputs.len() {
        let input = &g.inputs[e];
        let routed = matches!(input.trigger, Trigger::Route);
        if !routed && !matches!(input.class, Class::Signal) {
            say(g, "only a signal is sent by a proof, and not", input.name).fail()
        }
        let of_needs = matches!(input.trigger, Trigger::NeedsGranted | Trigger::NeedsWithdrawn);
        if of_needs && g.needs.is_empty() {
            say(g, "nothing is needed, and so nothing ever sends", input.name).fail()
        }
        e += 1;
    }
    let deferred = spread(g.defer, [0; 64]);
    let mut s = 0;
    while s < g.states.len() {
        let mut e = 0;
        while e < g.inputs.len() {
            if deferred[s] >> e & 1 == 1 && !matches!(g.inputs[e].class, Class::Outcome) {
                say(g, "only evidence can be deferred:", g.states[s].name)
                    .add(" + `")
                    .add(g.inputs[e].name)
                    .add("`")
                    .fail()
            }
            e += 1;
        }
        s += 1;
    }
}

/// Fails the compilation, with one line, when the table has a fault that its own rows show.
#[doc(hidden)]
pub const fn check(g: &Graph) {
    let n = g.states.len();
    assert!(n < 64 && g.inputs.len() <= 64, "a machine has at most 63 states and 64 inputs");
    let mut ends = 0u64;
    let mut i = 0;
    while i < n {
        if g.states[i].kind.is_end() {
            ends |= 1 << i;
        }
        i += 1;
    }
    let rows = handled(g);
    let quiet = spread(g.alarm, spread(g.defer, spread(g.ignore, [0; 64])));
    let mut seen = NEW;
    loop {
        let was = seen;
        i = 0;
        while i < g.rows.len() {
            if seen & g.rows[i].from != 0 {
                seen |= g.rows[i].to;
            }
            i += 1;
        }
        if was == seen {
            break;
        }
    }
    let mut news = 0u64;
    i = 0;
    while i < g.rows.len() {
        if g.rows[i].from & NEW != 0 {
            news |= 1 << g.rows[i].on;
        }
        i += 1;
    }
    i = 0;
    while i < g.inputs.len() {
        let by_proof = !matches!(g.inputs[i].trigger, Trigger::Route);
        if by_proof && (news & !g.opens) >> i & 1 == 1 {
            say(g, "a proof opens instances, and `opens` does not list", g.inputs[i].name).fail()
        }
        if (g.opens & !news) >> i & 1 == 1 {
            say(g, "no row from `New` for what `opens` lists:", g.inputs[i].name).fail()
        }
        i += 1;
    }
    classes(g);
    let live = open_money(g);
    let (end, alone) = (reaches(g, ends, true), reaches(g, ends, false));
    i = 0;
    while i < n {
        let s = &g.states[i];
        if seen >> i & 1 == 0 {
            say(g, "unreachable state", s.name).fail()
        }
        if s.timers & !rows[i] != 0 {
            say(g, "a timer has no row in", s.name).fail()
        }
        if end >> i & 1 == 0 {
            say(g, "no path to an end from", s.name).fail()
        }
        if alone >> i & 1 == 0 {
            say(g, "only a person can move the order out of", s.name).fail()
        }
        if matches!(s.kind, Kind::Rest) && live[i] != 0 {
            say(g, "an amount may be open at rest in", s.name).fail()
        }
        if rows[i] & quiet[i] != 0 {
            say(g, "a row is also ignored, deferred or alarmed in", s.name).fail()
        }
        let mut e = 0;
        while e < g.inputs.len() {
            let input = &g.inputs[e];
            if (rows[i] | quiet[i]) >> e & 1 == 0 {
                match input.class {
                    Class::Signal => say(g, "neither handled, ignored nor alarmed:", s.name)
                        .add(" + `")
                        .add(input.name)
                        .add("`")
                        .fail(),
                    Class::Outcome => match input.rank {
                        None => say(g, "neither handled, ignored nor alarmed:", s.name)
                            .add(" + `")
                            .add(input.name)
                            .add("`")
                            .fail(),
                        Some(rank) if rank > s.rank => say(g, "evidence outranks the state and has no row:", s.name)
                            .add(" + `")
                            .add(input.name)
                            .add("`")
                            .fail(),
                        Some(_) => {}
                    },
                    Class::Command | Class::Timer => {}
                }
            }
            e += 1;
        }
        i += 1;
    }
}
