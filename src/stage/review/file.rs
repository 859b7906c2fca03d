//! What a case knows of itself, and who may decide on it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::content::Content;
use super::policy::ReviewPolicy;
use super::tier::Facts;
use crate::clock::Timestamp;
use crate::id::{Actor, Role};
use crate::machine::Refusal;
use crate::order::Order;

/// What a case knows; kept from state to state.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct File {
    /// How many people must approve.
    pub approvals_needed: u32,
    /// Who has.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub approved_by: Vec<Actor>,
    /// The content that they approved; an approval of another content counts no more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content: Option<Content>,
    /// The tier it waits in; escalation raises it.
    #[serde(default)]
    pub tier: u32,
    /// Raised by `Expedite`; orders within a tier only.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub priority: u32,
    /// How often it was claimed: the fencing token of the newest lease.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub claims: u32,
    /// How often the scorer was asked.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub scorings: u32,
    /// The score, from 0 to 100, once there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub score: Option<u8>,
    /// Why, in words for people: rules that spoke, notes of reviewers. The newest 16, each of up to 200 characters.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reasons: Vec<String>,
    /// When it must be decided.
    pub due_at: Timestamp,
    /// Whether its time is running short: it went one tier up for that, and does not again before `due_at`.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub at_risk: bool,
    /// How often it was expedited, and when last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expedited: Option<Expedited>,
    /// Who did work on the order that bars from approving it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub contributors: Vec<Actor>,
    /// Who asked for it to be looked at anew.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub asked_by: Vec<Actor>,
    /// Who rejected it; an appeal goes to another.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rejected_by: Vec<Actor>,
    /// Who asked the customer last, and had best go on with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub preferred: Option<Actor>,
    /// How many appeals there were.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub appeals: u32,
    /// Whether it was let pass or rejected before and came back.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub reopened: bool,
    /// Whether the decision is looked at a second time.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub second_look: bool,
    /// What the second look said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub looked: Option<Looked>,
    /// What the decision turned out to be worth.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<OutcomeLabel>,
}

/// How many reasons a case keeps, and how many characters of each.
const REASONS_KEPT: usize = 16;
const REASON_CHARS: usize = 200;

fn is_zero(n: &u32) -> bool {
    *n == 0
}

/// How often a case was expedited.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Expedited {
    /// How often.
    pub times: u32,
    /// When last.
    pub at: Timestamp,
}

/// A second look at a decision.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Looked {
    /// Who looked.
    pub by: Actor,
    /// Whether they would have decided the same.
    pub agrees: bool,
}

/// What a decision turned out to be worth, once the world has shown it: what a scorer can learn from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum OutcomeLabel {
    /// There was a risk: fraud, a forbidden content.
    ConfirmedRisk,
    /// There was none, and the order was stopped or held up for it.
    FalsePositive,
    /// No fraud, and good that somebody looked.
    ValuableAlert,
    /// There was none, and nobody thought so.
    ConfirmedGood,
}

/// A claim on a case.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Lease {
    /// Who holds it.
    pub actor: Actor,
    /// The fencing token that a decision must carry.
    pub token: u32,
    /// Until when.
    pub until: Timestamp,
}

impl Lease {
    /// A decision counts only with the newest token, from the person who holds it, and while they hold it: the instant
    /// tells, and not whether the timer was heard.
    pub(super) fn fenced(&self, token: u32, by: &Actor, now: Timestamp) -> Result<(), Refusal> {
        if self.token != token || self.actor != *by {
            return Err(Refusal {
                code: "stale_lease",
                detail: format!("token {token} of {by}; held by {}", self.actor),
            });
        }
        if now >= self.until {
            return Err(Refusal {
                code: "lapsed_lease",
                detail: format!("held until {}; claim it again", self.until),
            });
        }
        Ok(())
    }
}

impl File {
    /// Keeps a reason. The newest are kept, and of a long one its start: the journal has them all, and whole.
    pub(super) fn note(&mut self, reason: impl Into<String>) {
        let mut reason: String = reason.into();
        if let Some((cut, _)) = reason.char_indices().nth(REASON_CHARS) {
            reason.truncate(cut);
        }
        self.reasons.push(reason);
        let over = self.reasons.len().saturating_sub(REASONS_KEPT);
        self.reasons.drain(..over);
    }

    /// Keeps a reason that it has not kept already.
    pub(super) fn note_once(&mut self, reason: &str) {
        if !self.reasons.iter().any(|r| r == reason) {
            self.note(reason);
        }
    }

    pub(super) fn because(&self, reason: impl Into<String>) -> Self {
        let mut file = self.clone();
        file.note(reason);
        file
    }

    /// Raises the tier, and with it how many must approve: never fewer than before.
    pub(super) fn at_least(&mut self, tier: u32, policy: &ReviewPolicy) {
        self.tier = policy.tiers.within(self.tier.max(tier));
        self.approvals_needed = self.approvals_needed.max(policy.tiers.approvals(tier));
    }

    /// One tier up: others decide, not more of them.
    pub(super) fn up(&mut self, policy: &ReviewPolicy) {
        self.tier = policy.tiers.within(self.tier.saturating_add(1));
    }

    /// The approvals that were given for this content. One given for another is forgotten.
    pub(super) fn approve(&mut self, by: &Actor, content: Content) {
        if self.content != Some(content) {
            self.approved_by.clear();
        }
        self.content = Some(content);
        self.approved_by.push(by.clone());
    }

    /// Whether as many people as must have approved this content.
    pub(super) fn is_approved(&self, content: Content) -> bool {
        let have = u32::try_from(self.approved_by.len()).unwrap_or(u32::MAX);
        self.content == Some(content) && have >= self.approvals_needed
    }

    /// Four eyes: nobody decides who placed the order, asked for it to be looked at, approved it already, or rejected
    /// it before.
    pub(super) fn may_decide(&self, by: &Actor, order: &Order) -> Result<(), Refusal> {
        let why = if order.placed_by() == by {
            "placed the order"
        } else if self.approved_by.contains(by) {
            "has approved it already"
        } else if self.asked_by.contains(by) {
            "asked for it to be looked at anew"
        } else if self.rejected_by.contains(by) {
            "has rejected it before"
        } else {
            return Ok(());
        };
        Err(Refusal { code: "four_eyes", detail: format!("{by} {why}") })
    }

    /// Nor does anybody approve their own work, and a machine is nobody: an approval is a person's of the shop.
    pub(super) fn may_approve(&self, by: &Actor, order: &Order) -> Result<(), Refusal> {
        self.may_decide(by, order)?;
        if by.role() != Role::Agent {
            let detail = format!("{by} is no person of the shop, and approves nothing");
            return Err(Refusal { code: "not_a_reviewer", detail });
        }
        if self.contributors.contains(by) {
            return Err(Refusal {
                code: "four_eyes",
                detail: format!("{by} did work on the order that bars from approving it"),
            });
        }
        Ok(())
    }

    /// Whether somebody with these skills may take it.
    pub(super) fn may_claim(
        &self,
        by: &Actor,
        skills: &[String],
        order: &Order,
        policy: &ReviewPolicy,
    ) -> Result<(), Refusal> {
        if by.role() == Role::Customer {
            self.may_decide(by, order)?;
            return Err(Refusal { code: "not_a_reviewer", detail: format!("{by} does not work here") });
        }
        self.may_decide(by, order)?;
        let lacks: Vec<&str> = policy
            .skills(self.tier, policy.seen.industry_of(order))
            .filter(|needed| !skills.iter().any(|s| s == needed))
            .collect();
        if !lacks.is_empty() {
            let detail = format!("tier {} needs {}", self.tier, lacks.join(", "));
            return Err(Refusal { code: "unskilled", detail });
        }
        Ok(())
    }

    /// What the tables of the policy may look at.
    pub(super) fn facts<'a>(
        &self,
        order: &'a Order,
        policy: &'a ReviewPolicy,
        history: &'a BTreeMap<String, i64>,
    ) -> Facts<'a> {
        Facts {
            kind: order.kind(),
            amount_minor: order.total().minor(),
            industry: policy.seen.industry_of(order),
            category: policy.seen.category_of(order),
            history,
            score: self.score,
        }
    }
}
