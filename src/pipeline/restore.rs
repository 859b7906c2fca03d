//! An order from its stored parts.

use std::any::Any;
use std::sync::Arc;

use super::build::Pipeline;
use super::lifecycle;
use super::progress::{CommandKey, Doubt, HeldPolicy, Hold, Outstanding, Progress};
use crate::clock::Timestamp;
use crate::id::{Key, OrderKey};
use crate::ledger::{Books, Posting};
use crate::machine::{Again, Call, Class, CodecError, Instance, Life, Proofs, Standing};
use crate::order::Order;

/// The stored parts of an order, as the journal read them.
pub(crate) struct Restore {
    pub id: OrderKey,
    pub order: Order,
    pub placed_content: Option<[u8; 32]>,
    pub held_policies: Arc<[HeldPolicy]>,
    pub version: u64,
    pub policies: Vec<Option<Arc<dyn Any + Send + Sync>>>,
    pub instances: Vec<RestoredInstance>,
    pub sums: Vec<Posting>,
    pub wanted: Vec<RestoredEffect>,
    pub doubts: Vec<RestoredDoubt>,
    pub holds: Vec<Hold>,
    pub effects: u64,
    pub holds_set: u32,
    pub commands: Vec<CommandKey>,
    pub placed_at: Timestamp,
    pub updated_at: Timestamp,
    /// Whether an older release wrote it.
    pub older: bool,
}

pub(crate) struct RestoredInstance {
    pub place: usize,
    pub key: Key,
    pub name: String,
    pub version: u16,
    pub json: String,
    pub due: Vec<(String, Timestamp)>,
    pub facts: Vec<u64>,
}

pub(crate) struct RestoredEffect {
    pub id: u64,
    pub place: usize,
    pub key: Key,
    pub nth: u32,
    pub attempt: u32,
    pub sent: bool,
    pub withdrawn: bool,
    pub wanted_at: Timestamp,
    pub since: Timestamp,
    pub doubted: Option<Timestamp>,
    pub again: Again,
    pub not_before: Option<Timestamp>,
    pub name: String,
    pub version: u16,
    pub json: String,
}

pub(crate) struct RestoredDoubt {
    pub place: usize,
    pub key: Key,
    pub effect: String,
    pub nth: u32,
    pub since: Timestamp,
    pub last: Timestamp,
}

impl Pipeline {
    pub(crate) fn load_policy(
        &self,
        place: usize,
        version: u16,
        json: &str,
    ) -> Result<Arc<dyn Any + Send + Sync>, CodecError> {
        self.stage(place).expect("a placement of this pipeline").load_policy(version, json)
    }

    /// An input with its address, from its stored form. `None` when no machine is placed there.
    pub(crate) fn load_call(
        &self,
        place: &str,
        key: Key,
        name: &str,
        version: u16,
        json: &str,
    ) -> Result<Option<Call>, CodecError> {
        let Some(stage) = self.position(place).and_then(|at| self.stage(at)) else {
            return Ok(None);
        };
        let value = stage.load_input(name, version, json)?;
        let input = stage.input_ix(&*value).unwrap_or_default();
        let class = stage.graph().inputs.get(usize::from(input)).map_or(Class::Signal, |i| i.class);
        Ok(Some(Call { machine: stage.graph().name, place: Some(stage.name()), key, input, class, value }))
    }

    pub(crate) fn restore(&self, r: Restore) -> Result<Progress, CodecError> {
        // A stage that was added after the order was placed works under its present policy.
        let policies = self
            .stages
            .iter()
            .zip(r.policies.into_iter().chain(std::iter::repeat(None)))
            .map(|(stage, held)| held.unwrap_or_else(|| stage.policy()))
            .collect();
        let mut books = Books::default();
        for p in &r.sums {
            books
                .post(p)
                .map_err(|e| CodecError::Malformed { name: p.code.name().to_owned(), why: e.to_string() })?;
        }
        let mut p = Progress {
            id: r.id,
            order: Arc::new(r.order),
            placed_content: r.placed_content,
            held_policies: Some(r.held_policies),
            version: r.version,
            books,
            holds: r.holds,
            wanted: Vec::new(),
            doubts: Vec::new(),
            effects: r.effects,
            holds_set: r.holds_set,
            commands: r.commands,
            placed_at: r.placed_at,
            updated_at: r.updated_at,
            policies,
            regions: self.stages.iter().map(|_| Arc::new(Vec::new())).collect(),
            proofs: Proofs::default(),
            standing: Standing::default(),
            life: Life::Placed,
            obligation: Arc::default(),
        };
        for i in r.instances {
            let Some(stage) = self.stage(i.place) else { continue };
            let loaded = stage.load_state(&i.name, i.version, &i.json)?;
            if i.place == 0
                && let Some(s) = loaded.value.downcast_ref::<lifecycle::lifecycle::State>()
            {
                p.life = lifecycle::life(s);
                p.obligation = Arc::new(lifecycle::obligation(s).clone());
            }
            let mut due = Vec::with_capacity(i.due.len());
            for (timer, at) in i.due {
                // A timer that an older release knew and this one does not has nobody to wake.
                if let Some(ix) = stage.graph().input(&timer) {
                    due.push((u8::try_from(ix).unwrap_or(u8::MAX), at));
                } else if !r.older {
                    return Err(CodecError::Unknown {
                        machine: stage.graph().name,
                        what: "timer",
                        name: timer,
                    });
                }
            }
            let policy = p.policies.get(i.place).expect("one policy per placement");
            let index = stage.index(i.key, &*loaded.value, &p.order, &**policy);
            let (state, at, saved, base) = (loaded.value, loaded.ix, loaded.saved, loaded.base);
            p.put(i.place, Instance { key: i.key, state, at, due, facts: i.facts, saved, index, base });
        }
        for w in r.wanted {
            let Some(stage) = self.stage(w.place) else { continue };
            let loaded = stage.load_effect(&w.name, w.version, &w.json)?;
            let Some(spec) = stage.graph().effects.get(usize::from(loaded.ix)) else { continue };
            p.wanted.push(Arc::new(Outstanding {
                id: w.id,
                place: w.place,
                key: w.key,
                effect: loaded.ix,
                name: spec.handler.into(),
                mode: spec.mode,
                nth: w.nth,
                attempt: w.attempt,
                sent: w.sent,
                withdrawn: w.withdrawn,
                wanted_at: w.wanted_at,
                since: w.since,
                doubted: w.doubted,
                again: w.again,
                not_before: w.not_before,
                value: loaded.value,
                saved: loaded.saved,
            }));
        }
        for r in r.doubts {
            // An effect that this release does not know any more is not sent again.
            let effects = self.stage(r.place).map_or(&[][..], |s| s.graph().effects);
            let at = effects.iter().position(|spec| spec.name == r.effect);
            if let Some(effect) = at.and_then(|at| u8::try_from(at).ok()) {
                let RestoredDoubt { place, key, nth, since, last, .. } = r;
                p.doubts.push(Doubt { place, key, effect, nth, since, last });
            }
        }
        self.stand(&mut p);
        let at = p.updated_at;
        p.proofs = self.fold(&p, at);
        Ok(p)
    }
}
