//! From records back to values.

use std::any::Any;
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Deserialize;

use super::FORMAT;
use super::encode::Desk;
use super::record::{RawDocument, RawEntry, RawPosting, RawProgress};
use crate::clock::Timestamp;
use crate::id::{Actor, Channel, Key};
use crate::ledger::{Code, Posting, Source};
use crate::machine::{Again, Call, CodecError};
use crate::order::Order;
use crate::pipeline::{
    CommandKey, HeldPolicy, Hold, Names, Progress, Reminds, Restore, RestoredDoubt, RestoredEffect,
    RestoredInstance,
};
use crate::store::{Bytes, Hash, Stored};

/// Why a record cannot be written or read. Nothing is guessed and nothing is mended: the bytes stay as they are.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum JournalError {
    /// The record was written by a newer version of the library.
    #[error("the record has format {found}; this library reads up to {known}")]
    Newer {
        /// The record's format.
        found: u16,
        /// The newest that this library reads.
        known: u16,
    },
    /// The record is not what this library writes.
    #[error("the record is damaged: {0}")]
    Damaged(String),
    /// A state, input, effect or policy cannot be read or written.
    #[error(transparent)]
    Codec(#[from] CodecError),
    /// The order was placed under a policy that the store does not hold.
    #[error("policy {hash} of {place} is missing from the store")]
    NoPolicy {
        /// The placement.
        place: String,
        /// The policy's SHA-256, in hexadecimal.
        hash: String,
    },
    /// The order was placed under another pipeline.
    #[error("the record speaks of `{place}`, which `{pipeline}` does not place")]
    NoPlace {
        /// The placement.
        place: String,
        /// The pipeline.
        pipeline: &'static str,
    },
    /// The decision changed nothing, so there is nothing to write.
    #[error("a decision without an entry")]
    NoEntry,
}

impl JournalError {
    fn damaged(why: impl std::fmt::Display) -> Self {
        Self::Damaged(why.to_string())
    }
}

pub(super) fn parse<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> Result<T, JournalError> {
    let text = std::str::from_utf8(bytes).map_err(JournalError::damaged)?;
    #[derive(Deserialize)]
    struct Version {
        v: u16,
    }
    serde_json::from_str(text).map_err(|e| match serde_json::from_str::<Version>(text) {
        // A newer format may well have another shape: say that, and not that it is damaged.
        Ok(Version { v }) if v > FORMAT => JournalError::Newer { found: v, known: FORMAT },
        Ok(_) | Err(_) => JournalError::damaged(e),
    })
}

fn known(v: u16) -> Result<(), JournalError> {
    if v > FORMAT { Err(JournalError::Newer { found: v, known: FORMAT }) } else { Ok(()) }
}

/// The stored form of what a release stores its orders under.
///
/// # Errors
///
/// [`JournalError`] when it cannot be stored.
pub(crate) fn save_names(names: &Names) -> Result<Bytes, JournalError> {
    Ok(serde_json::to_vec(names).map_err(JournalError::damaged)?.into())
}

/// What a release stores its orders under.
///
/// # Errors
///
/// [`JournalError`] when it cannot be read.
pub(crate) fn read_names(body: &[u8]) -> Result<Names, JournalError> {
    serde_json::from_slice(body).map_err(JournalError::damaged)
}

/// Whether stored progress has effects that wait for an answer.
///
/// # Errors
///
/// [`JournalError`] when it cannot be read.
pub(crate) fn wants(progress: &[u8]) -> Result<bool, JournalError> {
    let raw: RawProgress<'_> = parse(progress)?;
    known(raw.v)?;
    Ok(!raw.w.is_empty())
}

fn posting(raw: &RawPosting<'_>) -> Result<Posting, JournalError> {
    let code = Code::ALL
        .iter()
        .find(|c| c.name() == raw.0)
        .ok_or_else(|| JournalError::damaged(format!("posting code {}", raw.0)))?;
    let source = match raw.1.as_ref() {
        "cust" => Source::Cust,
        "suspense" => Source::Suspense,
        "fee" => Source::Fee,
        "loss" => Source::Loss,
        other => return Err(JournalError::damaged(format!("posting source {other}"))),
    };
    let channel = match &raw.2 {
        Some(ch) => Some(ch.parse::<Channel>().map_err(JournalError::damaged)?),
        None => None,
    };
    Ok(Posting { code: *code, channel, source, amount_minor: raw.3 })
}

impl Desk {
    /// The policies that a stored document names: what [`open`](Self::open) must be given.
    ///
    /// # Errors
    ///
    /// [`JournalError`] when the document cannot be read.
    pub fn policies_of(&self, document: &[u8]) -> Result<Vec<Hash>, JournalError> {
        let raw: RawDocument<'_> = parse(document)?;
        known(raw.v)?;
        raw.p.iter().map(|(_, _, hash)| unhex(hash)).collect()
    }

    /// The progress of a stored order. `policies` holds the bodies of [`policies_of`](Self::policies_of), by hash.
    ///
    /// # Errors
    ///
    /// [`JournalError`] when a record cannot be read; nothing is guessed.
    pub fn open(&self, stored: &Stored, policies: &BTreeMap<Hash, Bytes>) -> Result<Progress, JournalError> {
        let document: RawDocument<'_> = parse(&stored.document)?;
        known(document.v)?;
        let order: Order = serde_json::from_str(document.o.get()).map_err(JournalError::damaged)?;
        let pipeline = self.pipeline();
        let place = |name: &str| {
            pipeline
                .position(name)
                .ok_or_else(|| JournalError::NoPlace { place: name.to_owned(), pipeline: pipeline.name() })
        };
        let mut held: Vec<Option<Arc<dyn Any + Send + Sync>>> =
            pipeline.places().iter().map(|_| None).collect();
        for (name, version, hash) in &document.p {
            let missing = || JournalError::NoPolicy { place: name.to_string(), hash: hash.to_string() };
            let body = policies.get(&unhex(hash)?).ok_or_else(missing)?;
            let json = std::str::from_utf8(body).map_err(JournalError::damaged)?;
            let policy = pipeline.load_policy(place(name)?, *version, json)?;
            if let Some(slot) = held.get_mut(place(name)?) {
                *slot = Some(policy);
            }
        }
        let held_policies = document.p.iter().map(|(place, version, hash)| HeldPolicy {
            place: place.to_string(),
            version: *version,
            hash: hash.to_string(),
        });
        let placed_content = document.f.as_deref().map(unhex).transpose()?.map(|hash| hash.0);
        let raw: RawProgress<'_> = parse(&stored.progress)?;
        known(raw.v)?;
        let mut instances = Vec::with_capacity(raw.s.len());
        for i in &raw.s {
            let due = i.5.iter().map(|(t, at)| (t.to_string(), Timestamp::from_millis(*at)));
            instances.push(RestoredInstance {
                place: place(&i.0)?,
                key: Key(i.1),
                name: i.2.to_string(),
                version: i.3,
                json: i.4.get().to_owned(),
                due: due.collect(),
                facts: i.6.clone(),
            });
        }
        let mut wanted = Vec::with_capacity(raw.w.len());
        for w in &raw.w {
            wanted.push(RestoredEffect {
                id: w.0,
                place: place(&w.1)?,
                key: Key(w.2),
                nth: w.3,
                attempt: w.4,
                sent: w.5,
                withdrawn: w.6,
                not_before: w.7.map(Timestamp::from_millis),
                wanted_at: Timestamp::from_millis(w.8),
                since: Timestamp::from_millis(w.9),
                doubted: w.10.map(Timestamp::from_millis),
                again: Again::from_code(w.11, w.12.map(Timestamp::from_millis)),
                name: w.13.to_string(),
                version: w.14,
                json: w.15.get().to_owned(),
            });
        }
        let mut doubts = Vec::with_capacity(raw.l.len());
        for d in &raw.l {
            doubts.push(RestoredDoubt {
                place: place(&d.0)?,
                key: Key(d.1),
                effect: d.2.to_string(),
                nth: d.3,
                since: Timestamp::from_millis(d.4),
                last: Timestamp::from_millis(d.5),
            });
        }
        let holds = raw
            .h
            .iter()
            .map(|h| Hold {
                id: h.0,
                code: h.1.to_string(),
                detail: h.2.to_string(),
                at: Timestamp::from_millis(h.3),
                gates: h.4,
                of: h.5.as_ref().map(|(place, key, state)| Reminds {
                    place: place.to_string(),
                    key: Key(*key),
                    state: state.to_string(),
                }),
            })
            .collect();
        let sums = raw.b.iter().map(posting).collect::<Result<Vec<_>, _>>()?;
        let restore = Restore {
            id: stored.order.clone(),
            order,
            placed_content,
            held_policies: held_policies.collect(),
            version: stored.version,
            policies: held,
            instances,
            sums,
            wanted,
            doubts,
            holds,
            effects: raw.e.0,
            holds_set: raw.e.1,
            commands: raw
                .c
                .iter()
                .map(|c| CommandKey::parse(c).ok_or_else(|| JournalError::damaged(format!("key {c}"))))
                .collect::<Result<_, _>>()?,
            placed_at: Timestamp::from_millis(raw.t.0),
            updated_at: Timestamp::from_millis(raw.t.1),
            older: pipeline.upgrades(stored.columns.pipeline_version, stored.columns.fingerprint),
        };
        pipeline.restore(restore).map_err(JournalError::from)
    }
}

/// Evidence as the inbox keeps it: placement, instance, input, when it happened, whose word it is.
#[derive(Debug, Deserialize)]
struct RawEvidence<'a> {
    v: u16,
    #[serde(borrow)]
    t: (Cow<'a, str>, u32),
    #[serde(borrow)]
    r#in: (Cow<'a, str>, u16, &'a serde_json::value::RawValue),
    oc: i64,
    #[serde(borrow)]
    by: Cow<'a, str>,
}

/// Evidence out of the inbox.
#[derive(Debug, Clone)]
pub struct Kept {
    /// The evidence and its address.
    pub call: Call,
    /// When it happened.
    pub occurred: Timestamp,
    /// Whose word it is.
    pub by: Actor,
}

impl Desk {
    /// The stored form of evidence that must wait.
    ///
    /// # Errors
    ///
    /// [`JournalError`] when the pipeline does not place its machine, or it cannot be stored.
    pub fn keep(&self, kept: &Kept) -> Result<Bytes, JournalError> {
        let pipeline = self.pipeline();
        let name = kept.call.place.unwrap_or(kept.call.machine);
        let place = pipeline
            .position(name)
            .ok_or_else(|| JournalError::NoPlace { place: name.to_owned(), pipeline: pipeline.name() })?;
        let mut out = format!(
            "{{\"v\":{FORMAT},\"t\":[\"{name}\",{}],\"oc\":{},\"by\":",
            kept.call.key,
            kept.occurred.millis()
        )
        .into_bytes();
        serde_json::to_writer(&mut out, &kept.by).map_err(JournalError::damaged)?;
        out.extend_from_slice(b",\"in\":[");
        pipeline.save_input(place, &*kept.call.value, &mut out)?;
        out.extend_from_slice(b"]}");
        Ok(out.into())
    }

    /// Reads evidence that waited.
    ///
    /// # Errors
    ///
    /// [`JournalError`] when it cannot be read.
    pub fn kept(&self, bytes: &[u8]) -> Result<Kept, JournalError> {
        let raw: RawEvidence<'_> = parse(bytes)?;
        known(raw.v)?;
        let call =
            self.pipeline().load_call(&raw.t.0, Key(raw.t.1), &raw.r#in.0, raw.r#in.1, raw.r#in.2.get())?;
        Ok(Kept {
            call: call.ok_or_else(|| JournalError::NoPlace {
                place: raw.t.0.to_string(),
                pipeline: self.pipeline().name(),
            })?,
            occurred: Timestamp::from_millis(raw.oc),
            by: serde_json::from_value(serde_json::Value::String(raw.by.to_string()))
                .map_err(JournalError::damaged)?,
        })
    }
}

fn unhex(text: &str) -> Result<Hash, JournalError> {
    let wrong = || JournalError::damaged(format!("hash {text}"));
    let mut out = [0u8; 32];
    if text.len() != 64 || !text.is_ascii() {
        return Err(wrong());
    }
    for (at, slot) in out.iter_mut().enumerate() {
        let pair = text.get(at * 2..at * 2 + 2).ok_or_else(wrong)?;
        *slot = u8::from_str_radix(pair, 16).map_err(|_| wrong())?;
    }
    Ok(Hash(out))
}

/// A posting as a reader of the journal sees it.
pub type ReadPosting = Posting;

/// A journal entry, for people and reports.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EntryView {
    /// Its number within the order, from 1.
    pub seq: u64,
    /// When it was decided.
    pub at: Timestamp,
    /// When it happened, where that is not the same.
    pub occurred: Option<Timestamp>,
    /// Who asked, or whose word it is.
    pub by: Actor,
    /// `place`, `command`, `evidence`, `answer`, `timer`, `retry`, `park`, `upgrade`, `release` or `let_go`.
    pub kind: String,
    /// What became of it.
    pub disposition: String,
    /// The machine and instance it was addressed to.
    pub target: Option<(String, Key)>,
    /// The input: name and JSON.
    pub input: Option<(String, String)>,
    /// Instances as they stand after it: machine, key, state.
    pub states: Vec<(String, Key, String)>,
    /// Postings.
    pub postings: Vec<ReadPosting>,
    /// Effects wanted or put off: id, name, JSON.
    pub wanted: Vec<(u64, String, String)>,
    /// Holds set: code and detail.
    pub holds: Vec<(String, String)>,
    /// The message that a person let go: its source, its number there, and what it said.
    pub let_go: Option<(String, String, String)>,
}

/// Reads an entry without knowing its pipeline.
///
/// # Errors
///
/// [`JournalError`] when it cannot be read.
pub fn read_entry(body: &[u8]) -> Result<EntryView, JournalError> {
    let raw: RawEntry<'_> = parse(body)?;
    known(raw.v)?;
    Ok(EntryView {
        seq: raw.n,
        at: Timestamp::from_millis(raw.at),
        occurred: raw.oc.map(Timestamp::from_millis),
        by: serde_json::from_value(serde_json::Value::String(raw.by.to_string()))
            .map_err(JournalError::damaged)?,
        kind: raw.k.to_string(),
        disposition: raw.d.to_string(),
        target: raw.t.map(|(place, key)| (place.to_string(), Key(key))),
        input: raw.r#in.map(|(name, _, json)| (name.to_string(), json.get().to_owned())),
        states: raw.s.iter().map(|i| (i.0.to_string(), Key(i.1), i.2.to_string())).collect(),
        postings: raw.p.iter().map(posting).collect::<Result<_, _>>()?,
        wanted: raw.w.iter().map(|w| (w.0, w.13.to_string(), w.15.get().to_owned())).collect(),
        holds: raw.h.iter().map(|h| (h.1.to_string(), h.2.to_string())).collect(),
        let_go: raw.lg.map(|(source, event, says)| (source.to_string(), event.to_string(), says.to_string())),
    })
}

/// How deep a record is nested: an empty one is 1.
pub(crate) fn depth(body: &[u8]) -> usize {
    let (mut now, mut most, mut text, mut escaped) = (0_usize, 0, false, false);
    for byte in body {
        if escaped {
            escaped = false;
        } else if text {
            escaped = *byte == b'\\';
            text = *byte != b'"';
        } else {
            match byte {
                b'"' => text = true,
                b'{' | b'[' => {
                    now = now.saturating_add(1);
                    most = most.max(now);
                }
                b'}' | b']' => now = now.saturating_sub(1),
                _ => {}
            }
        }
    }
    most
}
