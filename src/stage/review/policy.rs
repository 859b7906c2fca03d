//! Who must look at what, as data that an order keeps from the day it is placed.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::rules::RuleSet;
use super::tier::{TierPolicy, Verdict};
use crate::id::OrderId;
use crate::order::Order;

/// What happens when information that was asked for does not come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum OnLapse {
    /// The case is rejected.
    Reject,
    /// The case goes one tier up.
    Escalate,
}

/// Which attributes of an order review reads. What is not named here, no rule and no scorer sees.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seen {
    /// The attribute that names the industry.
    pub industry: String,
    /// The attribute that names the category.
    pub category: String,
    /// Attributes that hold text of the customer's: what is advertised, a note. Banned words are looked for in them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub texts: Vec<String>,
    /// Attributes that hold a whole number of the customer's history, by the name of the fact. One that holds none is
    /// not known; what the scorer says overrides it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub history: Vec<String>,
}

impl Default for Seen {
    fn default() -> Self {
        Self {
            industry: "industry".to_owned(),
            category: "category".to_owned(),
            texts: Vec::new(),
            history: Vec::new(),
        }
    }
}

impl Seen {
    fn word<'a>(key: &str, order: &'a Order) -> &'a str {
        order.attributes().get(key).map_or("", String::as_str)
    }

    /// The order's industry; empty when it names none.
    #[must_use]
    pub fn industry_of<'a>(&self, order: &'a Order) -> &'a str {
        Self::word(&self.industry, order)
    }

    /// The order's category; empty when it names none.
    #[must_use]
    pub fn category_of<'a>(&self, order: &'a Order) -> &'a str {
        Self::word(&self.category, order)
    }

    /// The texts that the order carries, by attribute.
    #[must_use]
    pub fn texts_of(&self, order: &Order) -> BTreeMap<String, String> {
        let text = |key: &String| Some((key.clone(), order.attributes().get(key)?.clone()));
        self.texts.iter().filter_map(text).collect()
    }

    /// What the order itself says of the customer's history.
    #[must_use]
    pub fn history_of(&self, order: &Order) -> BTreeMap<String, i64> {
        let fact = |key: &String| Some((key.clone(), order.attributes().get(key)?.trim().parse().ok()?));
        self.history.iter().filter_map(fact).collect()
    }
}

/// The policy of review. Durations are milliseconds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ReviewPolicy {
    /// Which tier an order waits in, and what a tier asks.
    pub tiers: TierPolicy,
    /// Which attributes of the order count.
    pub seen: Seen,
    /// The rules that the scorer applies. A score that was reached without them counts as none.
    #[serde(skip_serializing_if = "RuleSet::is_empty")]
    pub rules: RuleSet,
    /// Whether the risk scorer is asked.
    pub scorer: bool,
    /// How long it has. Then, or when it fails, people decide. Default 10 s.
    pub score_ms: u64,
    /// The tier of a case that nothing scored; at least 1. Default 1.
    pub unscored_tier: u32,
    /// Whether the scorer is asked anew when information comes. People decide in any case.
    pub score_again: bool,
    /// What people must be able to do to decide on an industry.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub industry_skills: BTreeMap<String, Vec<String>>,
    /// How long a reviewer may hold a case. Default 15 minutes.
    pub lease_ms: u64,
    /// How long a case may wait to be decided, where its tier does not say. Default 4 hours.
    pub sla_ms: u64,
    /// After which part of that time, in percent, a case goes one tier up. Default 80.
    pub at_risk_percent: u8,
    /// How long the customer has to supply information. Default 72 hours.
    pub info_ms: u64,
    /// What happens when they do not.
    pub on_info_lapse: OnLapse,
    /// How long the customer may appeal after a rejection; the order waits so long before it is turned down. Default 0:
    /// it is turned down at once.
    pub appeal_ms: u64,
    /// How many times. Default 1.
    pub appeals: u32,
    /// How many times a case may be expedited. Default 3.
    pub expedites: u32,
    /// How long after one time the next may follow. Default 1 hour.
    pub expedite_every_ms: u64,
    /// Kinds of work on an order whose doer may not approve it, by the words of [`Contribute`](super::Contribute):
    /// `offer`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub barring_work: Vec<String>,
    /// How many of 1,000 decisions are looked at a second time. Default none.
    pub second_look_per_mille: u16,
}

impl Default for ReviewPolicy {
    fn default() -> Self {
        const MINUTE: u64 = 60_000;
        Self {
            tiers: TierPolicy::default(),
            seen: Seen::default(),
            rules: RuleSet::default(),
            scorer: true,
            score_ms: 10_000,
            unscored_tier: 1,
            score_again: false,
            industry_skills: BTreeMap::new(),
            lease_ms: 15 * MINUTE,
            sla_ms: 240 * MINUTE,
            at_risk_percent: 80,
            info_ms: 72 * 60 * MINUTE,
            on_info_lapse: OnLapse::Reject,
            appeal_ms: 0,
            appeals: 1,
            expedites: 3,
            expedite_every_ms: 60 * MINUTE,
            barring_work: Vec::new(),
            second_look_per_mille: 0,
        }
    }
}

impl ReviewPolicy {
    /// How many people must approve an order before any score: none where the tables let it take the fast lane, and
    /// none where they refuse it.
    #[must_use]
    pub fn approvals(&self, order: &Order) -> u32 {
        let history = self.seen.history_of(order);
        match self.tiers.decide(&super::file::File::default().facts(order, self, &history)) {
            Verdict::Tier { tier, .. } => self.tiers.approvals(tier),
            Verdict::Refused { .. } => 0,
        }
    }

    /// What a person must be able to do to decide in a tier on an industry.
    pub fn skills<'a>(&'a self, tier: u32, industry: &str) -> impl Iterator<Item = &'a str> {
        let of_tier = self.tiers.tier(tier).map_or(&[][..], |t| &t.skills);
        let of_industry = self.industry_skills.get(industry).map_or(&[][..], Vec::as_slice);
        of_tier.iter().chain(of_industry).map(String::as_str)
    }

    /// How long a case may wait in a tier, in milliseconds.
    #[must_use]
    pub fn sla_of(&self, tier: u32) -> u64 {
        self.tiers.tier(tier).and_then(|t| t.sla_ms).unwrap_or(self.sla_ms)
    }

    /// Whether the decision on an order is one of those that are looked at a second time. The same order always is or
    /// never is, so a sample can be told again; over many orders their share is that of the policy.
    #[must_use]
    pub fn samples(&self, order: &OrderId) -> bool {
        let mut h = Sha256::new();
        h.update(b"second look ");
        h.update(order.as_str());
        let digest = h.finalize();
        let number = digest.iter().take(8).fold(0u64, |n, byte| n << 8 | u64::from(*byte));
        number % 1000 < u64::from(self.second_look_per_mille)
    }
}
