//! What `cargo check` proves about a table: each fault fails the compilation with one line.
#![allow(clippy::indexing_slicing)] // runs in the compiler, where an index out of range is an error of the build

use super::graph::{Class, Graph, Kind, NEW, Trigger};
use crate::ledger::Code;

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
    Msg([0; 240], 0).add("machine `").add(g.name).add("`: ").add(what).add(" `").add(s).add("`")
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
                        Some(rank) if rank > s.rank => {
                            say(g, "evidence outranks the state and has no row:", s.name)
                                .add(" + `")
                                .add(input.name)
                                .add("`")
                                .fail()
                        }
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
