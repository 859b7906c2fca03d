//! Which tier a case waits in: a decision table, as data.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::order::OrderKind;

/// The tiers of a shop, and what brings an order into which.
///
/// Every rule that fits counts, and the highest tier among them is the order's; an order that none fits takes the fast
/// lane, tier 0.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TierPolicy {
    /// The tiers above the fast lane, from tier 1. Who waits in a higher one than the last waits in the last.
    pub tiers: Vec<Tier>,
    /// What brings an order into a tier, or out of the shop.
    pub rules: Vec<TierRule>,
}

/// What a tier asks of those who decide in it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tier {
    /// How many different people must approve. Zero counts as one: nothing above the fast lane approves itself.
    pub approvals: u32,
    /// What they must be able to do, by the host's words: `gambling`, `german`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub skills: Vec<String>,
    /// How long a case may wait here, in milliseconds; the policy's `sla_ms` when it does not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sla_ms: Option<u64>,
}

/// One row of the decision table. A condition that is empty or `None` fits every order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TierRule {
    /// What it is called, in the reasons that people read.
    pub name: String,
    /// Orders of these kinds.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub kinds: Vec<OrderKind>,
    /// Orders of more than this many minor units.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub over_minor: Option<i64>,
    /// Orders of these industries; `""` is an order that names none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub industries: Vec<String>,
    /// Orders of these categories; `""` is an order that names none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub categories: Vec<String>,
    /// Orders of customers with such a history; all must fit.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub history: Vec<Bound>,
    /// Orders of this score or a higher one, from 0 to 100. Without a score it does not fit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub score_from: Option<u8>,
    /// What becomes of the order.
    pub then: Consequence,
}

/// A fact of the customer's history within bounds, both included.
///
/// A fact that nobody knows fits a rule that sends to people, and none that refuses: what is not known is looked at.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bound {
    /// Its name, as the scorer or the host says it: `orders_paid`, `chargebacks`.
    pub fact: String,
    /// At least this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at_least: Option<i64>,
    /// At most this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at_most: Option<i64>,
}

/// What a rule that fits does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Consequence {
    /// People of this tier look, or of a higher one. Tier 0 does nothing.
    Tier(u32),
    /// The order is refused, by rule.
    Refuse,
}

impl Consequence {
    pub(super) fn word(self) -> String {
        match self {
            Self::Tier(tier) => format!("tier {tier}"),
            Self::Refuse => "refuse".to_owned(),
        }
    }
}

/// What is known of an order when its tier is decided.
#[derive(Debug, Clone, Copy)]
pub struct Facts<'a> {
    /// Goods, services, or both.
    pub kind: OrderKind,
    /// The total, in minor units.
    pub amount_minor: i64,
    /// The industry; empty when the order names none.
    pub industry: &'a str,
    /// The category; empty when the order names none.
    pub category: &'a str,
    /// The customer's history, by the names of its facts.
    pub history: &'a BTreeMap<String, i64>,
    /// The score, once there is one.
    pub score: Option<u8>,
}

/// What the table says of an order.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Verdict {
    /// It waits in this tier, because of these rules; tier 0 is the fast lane.
    Tier {
        /// The tier.
        tier: u32,
        /// The rules that fitted.
        rules: Vec<String>,
    },
    /// This rule refuses it.
    Refused {
        /// The rule.
        rule: String,
    },
}

impl TierPolicy {
    /// Tiers by amount alone: orders of more than so many minor units need so many approvals. Lowest first, one tier
    /// each.
    #[must_use]
    pub fn by_amount(steps: &[(i64, u32)]) -> Self {
        let tiers = steps.iter().map(|(_, approvals)| Tier { approvals: *approvals, ..Tier::default() });
        let rules = (1..).zip(steps).map(|(tier, (above, _))| TierRule {
            over_minor: Some(*above),
            ..TierRule::new(format!("over {above}"), Consequence::Tier(tier))
        });
        Self { tiers: tiers.collect(), rules: rules.collect() }
    }

    /// The same, with one rule more.
    #[must_use]
    pub fn rule(mut self, rule: TierRule) -> Self {
        self.rules.push(rule);
        self
    }

    /// What the table says.
    #[must_use]
    pub fn decide(&self, facts: &Facts<'_>) -> Verdict {
        let fitting = || self.rules.iter().filter(|r| r.fits(facts));
        if let Some(rule) = fitting().find(|r| r.then == Consequence::Refuse) {
            return Verdict::Refused { rule: rule.name.clone() };
        }
        let mut tier = 0;
        let mut rules = Vec::new();
        for rule in fitting() {
            if let Consequence::Tier(at) = rule.then
                && at > 0
            {
                tier = at.max(tier);
                rules.push(rule.name.clone());
            }
        }
        Verdict::Tier { tier: self.within(tier), rules }
    }

    /// The tier, or the last one there is. People decide in tier 1 also where none is described.
    #[must_use]
    pub fn within(&self, tier: u32) -> u32 {
        let last = u32::try_from(self.tiers.len()).unwrap_or(u32::MAX).max(1);
        tier.min(last)
    }

    /// What a tier asks. `None` for the fast lane, and where no tier is described.
    #[must_use]
    pub fn tier(&self, tier: u32) -> Option<&Tier> {
        let at = usize::try_from(self.within(tier)).ok()?.checked_sub(1)?;
        self.tiers.get(at)
    }

    /// How many people must approve in a tier: none in the fast lane, and at least one above it.
    #[must_use]
    pub fn approvals(&self, tier: u32) -> u32 {
        if tier == 0 { 0 } else { self.tier(tier).map_or(1, |t| t.approvals.max(1)) }
    }
}

impl TierRule {
    /// A rule that fits every order, to be narrowed.
    #[must_use]
    pub fn new(name: impl Into<String>, then: Consequence) -> Self {
        Self {
            name: name.into(),
            kinds: Vec::new(),
            over_minor: None,
            industries: Vec::new(),
            categories: Vec::new(),
            history: Vec::new(),
            score_from: None,
            then,
        }
    }

    fn fits(&self, f: &Facts<'_>) -> bool {
        let among = |list: &[String], word: &str| list.is_empty() || list.iter().any(|w| w == word);
        let unknown = self.then != Consequence::Refuse;
        (self.kinds.is_empty() || self.kinds.contains(&f.kind))
            && self.over_minor.is_none_or(|above| f.amount_minor > above)
            && among(&self.industries, f.industry)
            && among(&self.categories, f.category)
            && self.score_from.is_none_or(|from| f.score.is_some_and(|score| score >= from))
            && self.history.iter().all(|b| f.history.get(&b.fact).map_or(unknown, |n| b.holds(*n)))
    }
}

impl Bound {
    fn holds(&self, n: i64) -> bool {
        self.at_least.is_none_or(|least| n >= least) && self.at_most.is_none_or(|most| n <= most)
    }
}

impl Default for TierPolicy {
    /// Over 100.00 (in a currency of cents) or from score 40 on one person looks; over 500.00 or from score 75 on, two.
    fn default() -> Self {
        let score =
            |from, tier| TierRule { score_from: Some(from), ..TierRule::new(format!("score {from}"), tier) };
        Self::by_amount(&[(10_000, 1), (50_000, 2)])
            .rule(score(40, Consequence::Tier(1)))
            .rule(score(75, Consequence::Tier(2)))
    }
}
