//! Progress from entries, and the chain that binds them: no code of any stage runs here.

use std::borrow::Cow;
use std::collections::BTreeMap;

use super::FORMAT;
use super::encode::{Json, chain, hash};
use super::read::{JournalError, parse};
use super::record::{
    RawDocument, RawDoubt, RawEntry, RawHold, RawInstance, RawPosting, RawProgress, RawWanted,
};
use crate::store::{Entry, Hash, Stored};

/// Where a journal does not hang together.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ChainFault {
    /// An entry is missing, or out of its place.
    #[error("entry {expected} is missing: found {found}")]
    Gap {
        /// The sequence number that should come.
        expected: u64,
        /// The one that came.
        found: u64,
    },
    /// An entry was altered, or the one before it.
    #[error("entry {seq} does not fit its hash")]
    Altered {
        /// Its sequence number.
        seq: u64,
    },
    /// The last entry is not the one that the order's row names.
    #[error("the journal ends at another entry than the order names")]
    Head,
    /// What the entries add up to is not what the order's row holds.
    #[error("the entries do not add up to the order's progress")]
    Progress,
    /// The document is not the one that the entries speak of.
    #[error("the order's document is not the one that its journal names")]
    Document,
    /// An entry cannot be read.
    #[error("entry {seq} cannot be read: {why}")]
    Unreadable {
        /// Its sequence number.
        seq: u64,
        /// Why.
        why: String,
    },
}

/// Checks an order's journal from its first entry against its row: numbers, chain, head, that it adds up to the
/// progress, and that the document is the one it was placed with or last amended to.
///
/// # Errors
///
/// [`ChainFault`]: the first one found.
pub fn verify(entries: &[Entry], stored: &Stored) -> Result<(), ChainFault> {
    let mut at = Hash::default();
    for (n, e) in entries.iter().enumerate() {
        let expected = u64::try_from(n).unwrap_or(u64::MAX).saturating_add(1);
        if e.seq != expected {
            return Err(ChainFault::Gap { expected, found: e.seq });
        }
        at = chain(&at, &e.body);
        if at != e.hash {
            return Err(ChainFault::Altered { seq: e.seq });
        }
    }
    if at != stored.head {
        return Err(ChainFault::Head);
    }
    let unreadable = |e: JournalError| ChainFault::Unreadable {
        seq: entries.last().map_or(0, |e| e.seq),
        why: e.to_string(),
    };
    if fold(entries).map_err(unreadable)? != *stored.progress {
        return Err(ChainFault::Progress);
    }
    let mut named = None;
    for e in entries {
        let entry: RawEntry<'_> = parse(&e.body).map_err(unreadable)?;
        named = entry.o.map(Cow::into_owned).or(named);
    }
    let document: RawDocument<'_> = parse(&stored.document).map_err(|_| ChainFault::Document)?;
    let is = format!("{:?}", hash(document.o.get().as_bytes()));
    if named.is_some_and(|named| named == is) { Ok(()) } else { Err(ChainFault::Document) }
}

/// The stored progress of an order, from its entries alone.
///
/// # Errors
///
/// [`JournalError`] when an entry cannot be read.
pub fn fold(entries: &[Entry]) -> Result<Vec<u8>, JournalError> {
    let mut raw: Vec<RawEntry<'_>> = Vec::with_capacity(entries.len());
    for e in entries {
        let entry: RawEntry<'_> = parse(&e.body)?;
        if entry.v > FORMAT {
            return Err(JournalError::Newer { found: entry.v, known: FORMAT });
        }
        raw.push(entry);
    }
    let mut folded = Folded::default();
    for e in raw {
        folded.add(e);
    }
    Ok(folded.finish())
}

#[derive(Default)]
struct Folded<'a> {
    instances: Vec<RawInstance<'a>>,
    sums: BTreeMap<(u32, u32, Option<Cow<'a, str>>), RawPosting<'a>>,
    wanted: Vec<RawWanted<'a>>,
    doubts: Vec<RawDoubt<'a>>,
    holds: Vec<RawHold<'a>>,
    effects: u64,
    holds_set: u32,
    commands: Vec<Cow<'a, str>>,
    placed_at: i64,
    updated_at: i64,
}

fn code_rank(code: &str) -> u32 {
    code.strip_prefix('P').and_then(|n| n.parse().ok()).unwrap_or(u32::MAX)
}

fn source_rank(source: &str) -> u32 {
    match source {
        "cust" => 0,
        "suspense" => 1,
        "fee" => 2,
        "loss" => 3,
        _ => u32::MAX,
    }
}

impl<'a> Folded<'a> {
    fn add(&mut self, e: RawEntry<'a>) {
        if e.n == 1 {
            self.placed_at = e.at;
        }
        self.updated_at = e.at;
        for i in e.s {
            match self.instances.iter_mut().find(|held| held.0 == i.0 && held.1 == i.1) {
                Some(held) => *held = i,
                None => self.instances.push(i),
            }
        }
        for p in e.p {
            let key = (code_rank(&p.0), source_rank(&p.1), p.2.clone());
            match self.sums.get_mut(&key) {
                Some(sum) => sum.3 = sum.3.saturating_add(p.3),
                None => {
                    self.sums.insert(key, p);
                }
            }
        }
        self.wanted.retain(|w| !e.x.contains(&w.0));
        for w in e.w {
            self.effects = self.effects.max(w.0);
            match self.wanted.iter_mut().find(|held| held.0 == w.0) {
                Some(held) => *held = w,
                None => self.wanted.push(w),
            }
        }
        if let Some(doubts) = e.l {
            self.doubts = doubts;
        }
        for h in e.h {
            self.holds_set = self.holds_set.max(h.0);
            self.holds.push(h);
        }
        self.holds.retain(|h| !e.r.contains(&h.0));
        if let Some(c) = e.c {
            let _ = crate::pipeline::remember_command(&mut self.commands, c);
        }
    }

    fn finish(mut self) -> Vec<u8> {
        self.instances.sort_by(|a, b| (&a.0, a.1).cmp(&(&b.0, b.1)));
        let raw = RawProgress {
            v: FORMAT,
            s: self.instances,
            b: self.sums.into_values().collect(),
            w: self.wanted,
            l: self.doubts,
            h: self.holds,
            e: (self.effects, self.holds_set),
            c: self.commands,
            t: (self.placed_at, self.updated_at),
        };
        let mut out = Json(Vec::with_capacity(1024));
        let _ = serde_json::to_writer(&mut out.0, &raw);
        out.0
    }
}
