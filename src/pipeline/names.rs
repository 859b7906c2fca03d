//! What the orders of a pipeline are stored under, and whether another release of it can read them.

use serde::{Deserialize, Serialize};

use super::build::{BuildFault, Pipeline};
use super::region::Stage;
use crate::machine::Class;

/// Every name and version that the records of a pipeline's orders speak of. A host keeps those of each release that has
/// placed orders, beside its source: the next release says with [`upgrades`](super::Builder::upgrades) that it goes on
/// with them, and `build()` checks that it can.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Names {
    /// The pipeline.
    pub pipeline: String,
    /// Its version.
    pub version: u32,
    /// The fingerprint of its graph, in hexadecimal: JSON has no whole numbers of 64 bits.
    pub fingerprint: String,
    /// Its placements, the lifecycle first.
    pub places: Vec<PlaceNames>,
}

/// The names of one placement.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlaceNames {
    /// The name it is placed under.
    pub place: String,
    /// The version of its policy's stored form.
    pub policy: u16,
    /// Its states, each with the version of its stored form.
    pub states: Vec<(String, u16)>,
    /// Its evidence, which may wait in the inbox.
    pub evidence: Vec<(String, u16)>,
    /// Its effects, which may be under way.
    pub effects: Vec<(String, u16)>,
}

/// An older release whose orders a pipeline goes on with.
#[derive(Debug)]
pub(crate) struct Older {
    pub version: u32,
    pub fingerprint: u64,
    pub places: Vec<String>,
}

impl Names {
    fn print(&self) -> Option<u64> {
        u64::from_str_radix(&self.fingerprint, 16).ok()
    }

    /// What of these names the stages cannot read.
    pub(crate) fn faults(&self, pipeline: &str, stages: &[Box<dyn Stage>]) -> Vec<BuildFault> {
        let mut faults = Vec::new();
        let mut fault = |place: &str, what: &'static str, name: &str, version: u16| {
            faults.push(BuildFault::NotUpgraded {
                from: self.version,
                place: place.to_owned(),
                what,
                name: name.to_owned(),
                version,
            });
        };
        if self.pipeline != pipeline || self.print().is_none() {
            fault("-", "pipeline", &self.pipeline, 0);
        }
        for held in &self.places {
            let Some(stage) = stages.iter().find(|s| s.name() == held.place) else {
                fault(&held.place, "placement", &held.place, 0);
                continue;
            };
            let g = stage.graph();
            if !(stage.oldest_policy()..=stage.policy_version()).contains(&held.policy) {
                fault(&held.place, "policy", &held.place, held.policy);
            }
            let states: Vec<_> = g.states.iter().map(|s| (s.name, s.oldest, s.version)).collect();
            let evidence: Vec<_> = g.inputs.iter().map(|i| (i.name, i.oldest, i.version)).collect();
            let effects: Vec<_> = g.effects.iter().map(|e| (e.name, e.oldest, e.version)).collect();
            let lists = [
                ("state", &held.states, states),
                ("evidence", &held.evidence, evidence),
                ("effect", &held.effects, effects),
            ];
            for (what, old, new) in lists {
                for (name, version) in old {
                    let read = new.iter().any(|(n, from, to)| n == name && (*from..=*to).contains(version));
                    if !read {
                        fault(&held.place, what, name, *version);
                    }
                }
            }
        }
        faults
    }

    pub(crate) fn older(&self) -> Older {
        Older {
            version: self.version,
            fingerprint: self.print().unwrap_or_default(),
            places: self.places.iter().map(|p| p.place.clone()).collect(),
        }
    }
}

impl Pipeline {
    /// What its orders are stored under: to be kept for the release that comes after this one.
    #[must_use]
    pub fn names(&self) -> Names {
        let owned = |name: &str, version| (name.to_owned(), version);
        let place = |s: &dyn Stage| {
            let g = s.graph();
            PlaceNames {
                place: s.name().to_owned(),
                policy: s.policy_version(),
                states: g.states.iter().map(|s| owned(s.name, s.version)).collect(),
                evidence: g
                    .inputs
                    .iter()
                    .filter(|i| i.class == Class::Outcome)
                    .map(|i| owned(i.name, i.version))
                    .collect(),
                effects: g.effects.iter().map(|e| owned(e.name, e.version)).collect(),
            }
        };
        Names {
            pipeline: self.name().to_owned(),
            version: self.version(),
            fingerprint: format!("{:016x}", self.fingerprint()),
            places: self.stages.iter().map(|s| place(&**s)).collect(),
        }
    }

    /// Whether it goes on with orders that an older release placed.
    #[must_use]
    pub fn upgrades(&self, version: u32, fingerprint: u64) -> bool {
        self.older_release(version, fingerprint).is_some()
    }

    /// The versions and fingerprints that it goes on with besides its own.
    #[must_use]
    pub fn older(&self) -> Vec<(u32, u64)> {
        self.older.iter().map(|o| (o.version, o.fingerprint)).collect()
    }

    /// Goes on with the orders of another release, if it can read all that they are stored under. What it cannot read
    /// otherwise.
    pub(crate) fn goes_on_with(&mut self, names: &Names) -> Vec<BuildFault> {
        let faults = names.faults(self.name, &self.stages);
        if faults.is_empty() {
            self.older.push(names.older());
        }
        faults
    }

    pub(crate) fn older_release(&self, version: u32, fingerprint: u64) -> Option<&Older> {
        self.older.iter().find(|o| o.version == version && o.fingerprint == fingerprint)
    }
}
