//! From a decision to the batch that a store commits.

use std::collections::BTreeMap;
use std::sync::Arc;

use sha2::{Digest, Sha256};

use super::FORMAT;
use super::read::JournalError;
use crate::clock::Timestamp;
use crate::id::Key;
use crate::ledger::{Posting, Source};
use crate::machine::{CodecError, Gates, Instance};
use crate::pipeline::{
    Decision, Doubt, EntryRecord, HeldPolicy, Hold, IndexMove, Outstanding, Pipeline, Progress, Reminds,
};
use crate::store::{Batch, Bytes, Columns, Entry, Hash, IndexChange, Owner};

/// Encodes the decisions of one pipeline. Holds what is the same for every order: names, and the policies that new
/// orders are placed under.
#[derive(Debug)]
pub struct Desk {
    pipeline: Arc<Pipeline>,
    name: Arc<str>,
    policies: Vec<PolicyRecord>,
    phases: BTreeMap<&'static str, Arc<str>>,
    by_name: Vec<usize>,
}

#[derive(Debug)]
struct PolicyRecord {
    place: &'static str,
    version: u16,
    hash: Hash,
    body: Bytes,
}

/// A decision as records.
#[derive(Debug, Clone)]
pub struct Encoded {
    /// What the store commits.
    pub batch: Batch,
    /// The head of the order's chain after it.
    pub head: Hash,
}

pub(super) fn chain(head: &Hash, body: &[u8]) -> Hash {
    let mut h = Sha256::new();
    h.update(head.0);
    h.update(body);
    Hash(h.finalize().into())
}

pub(super) fn hash(body: &[u8]) -> Hash {
    Hash(Sha256::digest(body).into())
}

/// Writes JSON by hand: the records are many, small and of one shape.
pub(super) struct Json(pub Vec<u8>);

impl Json {
    fn raw(&mut self, text: &str) -> &mut Self {
        self.0.extend_from_slice(text.as_bytes());
        self
    }

    fn int(&mut self, n: i128) -> &mut Self {
        // Nearly every number has few digits, and the formatter takes its time over 128 bits.
        let Ok(mut left) = u64::try_from(n) else {
            use std::io::Write as _;
            let _ = write!(self.0, "{n}");
            return self;
        };
        let mut digits = [0; 20];
        let mut at = digits.len();
        for slot in digits.iter_mut().rev() {
            *slot = b'0' + u8::try_from(left % 10).unwrap_or_default();
            at -= 1;
            left /= 10;
            if left == 0 {
                break;
            }
        }
        self.0.extend_from_slice(digits.get(at..).unwrap_or_default());
        self
    }

    fn text(&mut self, text: &str) -> &mut Self {
        let plain = text.bytes().all(|b| (0x20..0x7f).contains(&b) && b != b'"' && b != b'\\');
        if plain {
            self.0.push(b'"');
            self.raw(text);
            self.0.push(b'"');
        } else {
            let _ = serde_json::to_writer(&mut self.0, text);
        }
        self
    }

    /// A list: every item writes itself, commas come between.
    fn list<T>(&mut self, items: impl Iterator<Item = T>, mut each: impl FnMut(&mut Self, T)) -> &mut Self {
        self.0.push(b'[');
        let mut first = true;
        for item in items {
            if !first {
                self.0.push(b',');
            }
            first = false;
            each(self, item);
        }
        self.0.push(b']');
        self
    }

    fn instance(&mut self, pipeline: &Pipeline, place: usize, i: &Instance) {
        let (name, graph) = pipeline.placed(place);
        self.raw("[").text(name).raw(",").int(i.key.0.into()).raw(",").raw(&i.saved).raw(",");
        self.list(i.due.iter(), |j, (timer, at)| {
            let timer = graph.inputs.get(usize::from(*timer)).map_or("?", |s| s.name);
            j.raw("[").text(timer).raw(",").int(at.millis().into()).raw("]");
        });
        self.raw(",").list(i.facts.iter(), |j, f| {
            j.int((*f).into());
        });
        self.raw("]");
    }

    pub(super) fn posting(&mut self, p: &Posting) {
        let source = match p.source {
            Source::Cust => "cust",
            Source::Suspense => "suspense",
            Source::Fee => "fee",
            Source::Loss => "loss",
        };
        self.raw("[").text(p.code.name()).raw(",").text(source).raw(",");
        match &p.channel {
            Some(ch) => self.text(ch.as_str()),
            None => self.raw("null"),
        };
        self.raw(",").int(p.amount_minor.into()).raw("]");
    }

    fn policy(&mut self, place: &str, version: u16, hash: &str) {
        self.raw("[").text(place).raw(",").int(version.into()).raw(",").text(hash).raw("]");
    }

    fn wanted(&mut self, pipeline: &Pipeline, w: &Outstanding) {
        let (name, _) = pipeline.placed(w.place);
        self.raw("[").int(w.id.into()).raw(",").text(name).raw(",").int(w.key.0.into());
        self.raw(",").int(w.nth.into()).raw(",").int(w.attempt.into()).raw(",");
        let bit = |yes| if yes { "true" } else { "false" };
        self.raw(bit(w.sent)).raw(",").raw(bit(w.withdrawn)).instant(w.not_before);
        let (again, asked) = w.again.code();
        self.instant(Some(w.wanted_at)).instant(Some(w.since)).instant(w.doubted);
        self.raw(",").int(again.into()).instant(asked).raw(",").raw(&w.saved).raw("]");
    }

    /// One more of a list.
    fn instant(&mut self, at: Option<Timestamp>) -> &mut Self {
        match at {
            Some(at) => self.raw(",").int(at.millis().into()),
            None => self.raw(",null"),
        }
    }

    fn hold(&mut self, h: &Hold) {
        self.raw("[").int(h.id.into()).raw(",").text(&h.code).raw(",").text(&h.detail);
        self.raw(",").int(h.at.millis().into()).raw(",").text(h.gates.name()).raw(",");
        match &h.of {
            Some(Reminds { place, key: Key(key), state }) => {
                self.raw("[").text(place).raw(",").int((*key).into()).raw(",").text(state).raw("]");
            }
            None => {
                self.raw("null");
            }
        }
        self.raw("]");
    }

    fn doubt(&mut self, pipeline: &Pipeline, d: &Doubt) {
        let (name, graph) = pipeline.placed(d.place);
        let effect = graph.effects.get(usize::from(d.effect)).map_or("?", |spec| spec.name);
        self.raw("[").text(name).raw(",").int(d.key.0.into()).raw(",").text(effect);
        self.raw(",").int(d.nth.into()).instant(Some(d.since)).instant(Some(d.last)).raw("]");
    }
}

/// The hold that an order is found by: the first that keeps something from happening, else the first reminder.
fn parked(p: &Progress) -> Option<&Hold> {
    p.holds.iter().find(|h| h.gates != Gates::Nothing).or_else(|| p.holds.first())
}

fn index_change(row: &IndexMove) -> IndexChange {
    let sort = row.sort.unwrap_or_default();
    IndexChange { space: row.space.into(), key: index_key(&row.key), sort, put: row.sort.is_some() }
}

/// What an index row is stored under: the key itself, or the start of a long one and a fingerprint of all of it. What
/// the outside names may be as long as it likes, and must not keep an order from moving.
#[must_use]
pub fn index_key(key: &str) -> Arc<str> {
    if key.len() <= INDEX_KEY_BYTES {
        return key.into();
    }
    let start = key.char_indices().map(|(at, _)| at).take_while(|at| *at <= INDEX_KEY_BYTES / 2).last();
    let start = key.get(..start.unwrap_or_default()).unwrap_or_default();
    format!("{start}~{:?}", hash(key.as_bytes())).into()
}

/// The longest key of an index row that is stored as it is, in bytes.
const INDEX_KEY_BYTES: usize = 512;

impl Desk {
    /// A desk for a pipeline.
    ///
    /// # Errors
    ///
    /// [`CodecError`] when a policy cannot be stored; `build()` has checked that already.
    pub fn new(pipeline: Arc<Pipeline>) -> Result<Self, CodecError> {
        let policies = pipeline
            .saved_policies()?
            .into_iter()
            .map(|(place, version, json)| {
                let body: Bytes = json.into_bytes().into();
                PolicyRecord { place, version, hash: hash(&body), body }
            })
            .collect();
        let phases = crate::pipeline::Phase::ALL.iter().map(|p| (p.name(), p.name().into())).collect();
        let places = pipeline.places();
        let mut by_name: Vec<usize> = (0..places.len()).collect();
        by_name.sort_by_key(|at| places.get(*at).copied());
        Ok(Self { name: pipeline.name().into(), policies, phases, by_name, pipeline })
    }

    /// The pipeline.
    #[must_use]
    pub fn pipeline(&self) -> &Arc<Pipeline> {
        &self.pipeline
    }

    /// The stored form of an order's progress: what the store keeps in its row, and what [`fold`](super::fold) gives.
    #[must_use]
    pub fn progress(&self, p: &Progress) -> Bytes {
        let mut j = Json(Vec::with_capacity(1024));
        j.raw("{\"v\":").int(FORMAT.into()).raw(",\"s\":[");
        let mut first = true;
        // By name, not by placement: records outlive the order in which stages are placed.
        for place in &self.by_name {
            for instance in p.region(*place) {
                if !first {
                    j.raw(",");
                }
                first = false;
                j.instance(&self.pipeline, *place, instance);
            }
        }
        j.raw("],\"b\":").list(p.books.sums(), |j, s| j.posting(&s));
        j.raw(",\"w\":").list(p.wanted.iter(), |j, w| j.wanted(&self.pipeline, w));
        if !p.doubts.is_empty() {
            j.raw(",\"l\":").list(p.doubts.iter(), |j, d| j.doubt(&self.pipeline, d));
        }
        j.raw(",\"h\":").list(p.holds.iter(), |j, h| j.hold(h));
        j.raw(",\"e\":[").int(p.effects.into()).raw(",").int(p.holds_set.into()).raw("],\"c\":");
        j.list(p.commands.iter(), |j, c| {
            j.text(&c.to_string());
        });
        j.raw(",\"t\":[").int(p.placed_at.millis().into()).raw(",").int(p.updated_at.millis().into());
        j.raw("]}");
        j.0.into()
    }

    fn entry(&self, p: &Progress, e: &EntryRecord) -> Result<Vec<u8>, CodecError> {
        let n = p.version;
        let mut j = Json(Vec::with_capacity(640));
        j.raw("{\"v\":").int(FORMAT.into()).raw(",\"n\":").int(n.into());
        j.raw(",\"at\":").int(e.at.millis().into());
        if let Some(at) = e.occurred {
            j.raw(",\"oc\":").int(at.millis().into());
        }
        j.raw(",\"by\":").text(&e.by.to_string());
        j.raw(",\"k\":").text(e.kind).raw(",\"d\":").text(e.disposition.name());
        if let Some((place, Key(key))) = e.target {
            let (name, _) = self.pipeline.placed(place);
            j.raw(",\"t\":[").text(name).raw(",").int(key.into()).raw("]");
            if let Some(input) = &e.input {
                j.raw(",\"in\":[");
                self.pipeline.save_input(place, &**input, &mut j.0)?;
                j.raw("]");
            }
        }
        if !e.moves.is_empty() {
            j.raw(",\"s\":").list(e.moves.iter(), |j, m| j.instance(&self.pipeline, m.place, &m.instance));
        }
        if !e.postings.is_empty() {
            j.raw(",\"p\":").list(e.postings.iter(), |j, p| j.posting(p));
        }
        if !e.wanted.is_empty() {
            j.raw(",\"w\":").list(e.wanted.iter(), |j, w| j.wanted(&self.pipeline, w));
        }
        if !e.settled.is_empty() {
            j.raw(",\"x\":").list(e.settled.iter(), |j, id| {
                j.int((*id).into());
            });
        }
        if let Some(doubts) = &e.doubts {
            j.raw(",\"l\":").list(doubts.iter(), |j, d| j.doubt(&self.pipeline, d));
        }
        if !e.holds.is_empty() {
            j.raw(",\"h\":").list(e.holds.iter(), |j, h| j.hold(h));
        }
        if !e.released.is_empty() {
            j.raw(",\"r\":").list(e.released.iter(), |j, hold| {
                j.int((*hold).into());
            });
        }
        if let Some(c) = e.command {
            j.raw(",\"c\":").text(&c.to_string());
        }
        if let Some((source, event, says)) = &e.let_go {
            j.raw(",\"lg\":[").text(source).raw(",").text(event).raw(",").text(says).raw("]");
        }
        if n == 1 || e.amended {
            j.raw(",\"o\":").text(&format!("{:?}", Hash(p.order.content_hash())));
        }
        j.raw("}");
        Ok(j.0)
    }

    fn document(&self, p: &Progress) -> Bytes {
        let mut j = Json(Vec::with_capacity(512));
        j.raw("{\"v\":").int(FORMAT.into()).raw(",\"p\":");
        match &p.held_policies {
            // An order keeps the policies that it was placed under, whatever new ones get.
            Some(held) => {
                let new = self.new_policies(held).map(|p| (p.place, p.version, format!("{:?}", p.hash)));
                let held = held.iter().map(|p| (p.place.as_str(), p.version, p.hash.clone()));
                j.list(held.chain(new), |j, (place, version, hash)| j.policy(place, version, &hash))
            }
            None => {
                j.list(self.policies.iter(), |j, p| j.policy(p.place, p.version, &format!("{:?}", p.hash)))
            }
        };
        if let Some(hash) = p.placed_content {
            j.raw(",\"f\":").text(&format!("{:?}", Hash(hash)));
        }
        j.raw(",\"o\":");
        j.0.extend_from_slice(&p.order.content());
        j.raw("}");
        j.0.into()
    }

    /// The policies of placements that an order did not know when it was placed.
    fn new_policies<'a>(&'a self, held: &'a [HeldPolicy]) -> impl Iterator<Item = &'a PolicyRecord> + 'a {
        self.policies.iter().filter(|p| !held.iter().any(|h| h.place == p.place))
    }

    fn columns(&self, p: &Progress) -> Columns {
        let phase = p.phase();
        let (captured, reserved, refunded) =
            (p.books.captured(None), p.books.refund_due(None), p.books.refunded(None));
        Columns {
            pipeline: self.name.clone(),
            pipeline_version: self.pipeline.version(),
            fingerprint: self.pipeline.fingerprint(),
            phase: self.phases.get(phase.name()).cloned().unwrap_or_else(|| phase.name().into()),
            open: p.is_open(),
            parked: parked(p).map(|h| h.code.as_str().into()),
            captured_minor: captured,
            reserved_minor: reserved,
            refunded_minor: refunded,
            overdrawn: reserved.saturating_add(refunded) > captured,
            wake_at: p.wake_at(),
            placed_at: p.placed_at,
            updated_at: p.updated_at,
        }
    }

    /// Encodes what a step decided. `head` is the head of the order's chain before it; zeros for a new order.
    ///
    /// # Errors
    ///
    /// [`JournalError`] when the decision makes no entry, or an input cannot be stored.
    pub fn encode(
        &self,
        head: &Hash,
        decision: &Decision,
        owner: Option<Owner>,
    ) -> Result<Encoded, JournalError> {
        let p = &decision.progress;
        let record = decision.entry.as_ref().ok_or(JournalError::NoEntry)?;
        let body = self.entry(p, record)?;
        let body: Bytes = body.into();
        let next = chain(head, &body);
        let new = p.version == 1;
        let batch = Batch {
            order: p.id.clone(),
            expected: p.version.saturating_sub(1),
            version: p.version,
            head: next,
            columns: self.columns(p),
            progress: self.progress(p),
            document: (new || record.amended || record.upgraded).then(|| self.document(p)),
            policies: match &p.held_policies {
                _ if new => self.policies.iter().map(|p| (p.hash, p.body.clone())).collect(),
                Some(held) if record.upgraded => {
                    self.new_policies(held).map(|p| (p.hash, p.body.clone())).collect()
                }
                Some(_) | None => Vec::new(),
            },
            entries: vec![Entry { seq: p.version, hash: next, body }],
            index: record.index.iter().map(index_change).collect(),
            owner,
        };
        Ok(Encoded { batch, head: next })
    }
}
