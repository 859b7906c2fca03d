//! One review case.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::content::Content;
use super::file::{File, Lease, OutcomeLabel};
use super::policy::ReviewPolicy;
use super::tier::Verdict;
use crate::id::{Actor, Key};
use crate::machine::{
    AskedBy, Cx, Deadline, EmittedBy, Evidence, Fold, Goto, Life, MayStay, Next, On, Opens, Row, View, stay,
    to, until,
};
use crate::money::Money;
use crate::order::OrderKind;
use crate::stage::proof::{Approved as Passed, Cancelling, Funded, ToActivate, ToCapture, ToDispatch};
use crate::stage::{data, guesses, plain, shared};

crate::machine! {
    /// A review case (section 2.4 of the order domain), opened when the money is there.
    pub mod case = "review.case" v 3;
    policy ReviewPolicy;
    needs Funded;
    hears Cancelling;
    yields Passed<ToDispatch>, Passed<ToCapture>, Passed<ToActivate>;
    index "review.queue", "review.free", "review.second_look";
    effects {
        Score (repeat) => done Scored | Banned, declined ScoreRefused, unknown ScoreLost, exhausted ScoreGaveUp;
    }
    asks { TurnDown }
    opens { Enter }
    inputs {
        command Claim, HandBack, Approve, Reject, Escalate, RequestInfo, SupplyInfo, Snooze, Expedite, Contribute,
                Appeal, SecondLook, Label;
        outcome ScoreLost @0, ScoreGaveUp @0, ScoreRefused @0, Scored @1, Banned @1, RiskNotice @2;
        timer   ScoreDue, LeaseDue, SlaDue, InfoDue, WakeDue, AppealDue;
        signal  Enter (on granted), Stop (on granted Cancelling), Amended;
    }
    states {
        Scoring: busy(ScoreDue) @0,
        AutoApproved: done @1,
        AutoRejected: fail @2,
        Queued: wait(SlaDue) @1,
        Claimed: wait(LeaseDue, SlaDue) @1,
        PendingSecond: wait(SlaDue) @1,
        InfoRequested: wait(InfoDue) @1,
        Snoozed: wait(WakeDue, SlaDue) @1,
        Escalated: wait(SlaDue) @1,
        Appealable: wait(AppealDue) @1,
        Approved: done @1,
        Rejected: fail @2,
        Withdrawn: fail @2,
    }
    groups {
        Waiting  = Queued | Escalated | PendingSecond;
        OpenCase = Queued | Escalated | PendingSecond | Claimed | InfoRequested | Snoozed;
        AtRisk   = Queued | PendingSecond | Escalated;
        Live     = Scoring | Queued | Escalated | PendingSecond | Claimed | InfoRequested | Snoozed | Appealable;
        LetPass  = AutoApproved | Approved;
        Refused  = AutoRejected | Rejected | Withdrawn;
        Decided  = AutoApproved | Approved | AutoRejected | Rejected;
        Ended    = AutoApproved | Approved | AutoRejected | Rejected | Withdrawn;
    }
    rows {
        New           + Enter        => Scoring | AutoApproved | Queued / Score;
        Scoring       + Scored       => AutoApproved | AutoRejected | Queued ? TurnDown;
        Scoring       + Banned       => AutoRejected ? TurnDown;
        Scoring       + ScoreRefused => Queued;
        Scoring       + ScoreLost    => Queued;
        Scoring       + ScoreGaveUp  => Queued;
        Scoring       + ScoreDue     => Queued | AutoRejected ? TurnDown;
        Waiting       + Claim        => Claimed;
        Claimed       + HandBack     => Queued;
        Claimed       + LeaseDue     => Queued;
        Claimed       + Approve      => Approved | PendingSecond;
        Claimed       + Reject       => Rejected | Appealable ? TurnDown;
        PendingSecond + Approve      => Approved | PendingSecond;
        PendingSecond + Reject       => Rejected | Appealable ? TurnDown;
        Claimed       + RequestInfo  => InfoRequested;
        InfoRequested + SupplyInfo   => Queued | Scoring / Score;
        InfoRequested + InfoDue      => Rejected | Appealable | Escalated ? TurnDown;
        Appealable    + Appeal       => Queued;
        Appealable    + AppealDue    => Rejected ? TurnDown;
        Claimed       + Escalate     => Escalated;
        Queued        + Escalate     => Escalated;
        AtRisk        + SlaDue       => Escalated;
        Claimed       + SlaDue       => Claimed;
        Claimed       + Snooze       => Snoozed;
        Snoozed       + WakeDue      => Queued;
        Snoozed       + SlaDue       => Escalated;
        OpenCase      + Expedite     => Queued | Escalated | PendingSecond | Claimed | InfoRequested | Snoozed;
        LetPass       + RiskNotice   => Queued | AutoApproved | Approved;
        OpenCase      + RiskNotice   => Queued | Escalated | PendingSecond | Claimed | InfoRequested | Snoozed;
        Scoring       + RiskNotice   => Scoring;
        Appealable    + RiskNotice   => Appealable;
        Live          + Contribute   => Scoring | Queued | Escalated | PendingSecond | Claimed | InfoRequested | Snoozed
                                      | Appealable;
        Ended         + Contribute   => AutoApproved | Approved | AutoRejected | Rejected | Withdrawn;
        Decided       + SecondLook   => AutoApproved | Approved | AutoRejected | Rejected;
        Ended         + Label        => AutoApproved | Approved | AutoRejected | Rejected | Withdrawn;
        Scoring       + Amended      => Scoring | Queued / Score;
        OpenCase      + Amended      => Scoring | Queued / Score;
        LetPass       + Amended      => Scoring | AutoApproved | Queued / Score;
        Appealable    + Amended      => Queued;
        Live          + Stop         => Withdrawn;
    }
    ignore {
        Live + Enter; Ended + Enter; Ended + Stop; Refused + Amended;
    }
}

data! {
    /// The scorer was asked.
    Scoring { /** What it knows. */ file: File }
    /// The fast lane let it pass.
    AutoApproved { /** What it knows. */ file: File, /** What it let pass. */ content: Content }
    /// A hard rule refused it.
    AutoRejected { /** What it knows. */ file: File }
    /// Waits for a reviewer.
    Queued { /** What it knows. */ file: File }
    /// A reviewer holds it.
    Claimed { /** What it knows. */ file: File, /** Who has it. */ lease: Lease }
    /// One approved; another person must.
    PendingSecond { /** What it knows. */ file: File }
    /// Waits for the customer; the clock stands still.
    InfoRequested {
        /** What it knows. */ file: File,
        /** What was asked. */ question: String,
        /** What the clock had left. */ left_ms: u64,
    }
    /// Put off; the clock runs.
    Snoozed { /** What it knows. */ file: File }
    /// Waits one tier higher.
    Escalated { /** What it knows. */ file: File }
    /// Refused by a person, or by the customer's silence, who may still appeal. The order waits.
    Appealable { /** What it knows. */ file: File, /** Why. */ reason: String }
    /// People let it pass.
    Approved { /** What it knows. */ file: File, /** What they let pass. */ content: Content }
    /// A person, or the customer's silence, refused it.
    Rejected { /** What it knows. */ file: File, /** Why. */ reason: String }
    /// The order was cancelled first.
    Withdrawn { /** What it knows. */ file: File }

    /// Gives a claimed case back to the queue.
    HandBack { /** The lease's token. */ token: u32 }
    /// Lets it pass. Refused with an old token, by the same person twice, and by who placed the order.
    Approve { /** The lease's token; not needed for a second approval without a claim. */ token: u32 }
    /// Refuses it.
    Reject { /** The lease's token. */ token: u32, /** Why. */ reason: String }
    /// Sends it one tier up.
    Escalate { /** Why. */ reason: String }
    /// Asks the customer.
    RequestInfo { /** The lease's token. */ token: u32, /** What. */ question: String }
    /// Answers.
    SupplyInfo { /** The answer, or a reference to it. */ answer: String }
    /// Puts it off.
    Snooze { /** The lease's token. */ token: u32, /** For how long. */ for_ms: u64 }
    /// Tells of work that somebody did on the order: it is in the journal under their name, and where the policy says
    /// that such work bars from approving, it does.
    Contribute { /** Which kind of work: `offer`. */ work: String }
    /// Asks for a rejected case to be looked at anew, by somebody else.
    Appeal { /** Why. */ reason: String }
    /// Says whether somebody who did not decide would have decided the same.
    SecondLook { /** Whether. */ agrees: bool, /** Why. */ note: String }
    /// Says what a decision turned out to be worth.
    Label { /** What. */ label: OutcomeLabel, /** By what it shows. */ note: String }

    /// Asks for the risk score of an order.
    Score {
        /** The order's total. */ total: Money,
        /** Goods, services, or both. */
        #[serde(default, skip_serializing_if = "goods")] kind: OrderKind,
        /** The industry; empty when the order names none. */
        #[serde(default, skip_serializing_if = "String::is_empty")] industry: String,
        /** The category; empty when the order names none. */
        #[serde(default, skip_serializing_if = "String::is_empty")] category: String,
        /** Texts of the customer's, by attribute. */
        #[serde(default, skip_serializing_if = "BTreeMap::is_empty")] texts: BTreeMap<String, String>,
        /** What the order says of the customer's history. */
        #[serde(default, skip_serializing_if = "BTreeMap::is_empty")] history: BTreeMap<String, i64>,
        /** Which rules to apply, by [`RuleSet::id`](super::RuleSet::id); empty when there are none. */
        #[serde(default, skip_serializing_if = "String::is_empty")] rules: String,
    }
    /// A hard rule forbids it.
    Banned { /** Which. */ rule: String }
    /// The scorer refuses to answer.
    ScoreRefused { /** Why. */ why: String }
    /// The answer was lost.
    ScoreLost { /** Why. */ why: String }
    /// The calls are used up.
    ScoreGaveUp { /** Whether any may have arrived. */ sent: bool, /** Why. */ why: String }
    /// New risk evidence: a fraud notice, an alert of the channel.
    RiskNotice { /** Whose, and which. */ notice: String }

    /// The order says something else from here on.
    Amended { /** Who amended it. */ by: Actor }

    /// Asks for the order to be turned down.
    TurnDown { /** The case. */ case: Key, /** Why. */ reason: String }
}

/// Takes a case for a while.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Claim {
    /// What the reviewer is able to do, as the host knows it now: a fact that is journaled with the claim.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub skills: Vec<String>,
}

/// The score.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Scored {
    /// From 0 (harmless) to 100.
    pub score: u8,
    /// Why.
    #[serde(default)]
    pub reasons: Vec<String>,
    /// The tier that rules ask for at least; 0 when none does.
    #[serde(default, skip_serializing_if = "zero")]
    pub tier: u32,
    /// What the scorer knows of the customer's history. It counts before what the order says.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub history: BTreeMap<String, i64>,
    /// Which rules were applied, by [`RuleSet::id`](super::RuleSet::id); empty when none were.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub rules: String,
}

impl Scored {
    /// A score, from 0 (harmless) to 100, and nothing else.
    #[must_use]
    pub fn of(score: u8) -> Self {
        Self { score, ..Self::default() }
    }

    /// The same for a reason more.
    #[must_use]
    pub fn because(mut self, reason: impl Into<String>) -> Self {
        self.reasons.push(reason.into());
        self
    }
}

fn goods(kind: &OrderKind) -> bool {
    *kind == OrderKind::Goods
}
fn zero(n: &u32) -> bool {
    *n == 0
}

plain! {
    /// Raises the priority; skips no check.
    Expedite,
    /// The scorer's time is over.
    ScoreDue,
    /// The reviewer's time is over.
    LeaseDue,
    /// The time to decide is running short, or over.
    SlaDue,
    /// The customer's time is over.
    InfoDue,
    /// Time to look again.
    WakeDue,
    /// The time to appeal is over.
    AppealDue,
    /// The order enters review.
    Enter,
    /// The order is on its way out.
    Stop,
}

crate::stage::quiet!(ScoreLost, ScoreGaveUp, ScoreRefused, Scored, Banned);
guesses!(ScoreLost; ScoreGaveUp);
impl Evidence for RiskNotice {
    fn identity(&self) -> Option<String> {
        Some(format!("risk notice {}", self.notice))
    }
}

use case::{AtRisk, Decided, Ended, LetPass, Live, M, New, OpenCase, State, Waiting};

shared!(Waiting.file: File = Queued | Escalated | PendingSecond);
shared!(AtRisk.file: File = Queued | PendingSecond | Escalated);
shared!(LetPass.file: File = AutoApproved | Approved);
shared!(
    Live.file: File =
        Scoring | Queued | Escalated | PendingSecond | Claimed | InfoRequested | Snoozed | Appealable
);
shared!(Decided.file: File = AutoApproved | Approved | AutoRejected | Rejected);

/// The same state with its file changed, and the instants as they were.
macro_rules! same {
    ($name:ident, $group:ident = $($state:ident)|+) => {
        pub(super) fn $name<R>(s: &$group, change: impl FnOnce(&mut File)) -> Next<R>
        where
            R: Row<M = M, From = $group> $(+ Goto<$state>)+,
            R::Class: MayStay,
        {
            let mut s = s.clone();
            match &mut s { $($group::$state(x) => change(&mut x.file)),+ }
            match s { $($group::$state(x) => stay(x)),+ }
        }
    };
}
same!(same_open, OpenCase = Queued | Escalated | PendingSecond | Claimed | InfoRequested | Snoozed);
same!(
    same_live,
    Live = Scoring | Queued | Escalated | PendingSecond | Claimed | InfoRequested | Snoozed | Appealable
);
same!(same_decided, Decided = AutoApproved | Approved | AutoRejected | Rejected);
same!(same_ended, Ended = AutoApproved | Approved | AutoRejected | Rejected | Withdrawn);

impl Opens<Enter, M> for New {
    fn keys(view: &View<'_, M>) -> Vec<Key> {
        if view.is_empty() { vec![Key(1)] } else { Vec::new() }
    }
}

/// When the clock speaks next: at the part of the time after which the case is at risk, or at its end.
pub(super) fn clock<R: Row<M = M>>(file: &File, cx: &Cx<'_, R>) -> Deadline {
    let all = cx.policy().sla_of(file.tier);
    let rest = all.saturating_mul(u64::from(100_u8.saturating_sub(cx.policy().at_risk_percent))) / 100;
    let rest = if file.at_risk { 0 } else { rest };
    cx.at(file.due_at.saturating_sub(std::time::Duration::from_millis(rest)))
        .unwrap_or_else(|_| cx.after_ms(1))
}

/// A new time to decide, from now.
pub(super) fn wind_up<R: Row<M = M>>(file: &mut File, cx: &Cx<'_, R>) {
    file.due_at = cx.after_ms(cx.policy().sla_of(file.tier)).instant();
    file.at_risk = false;
}

pub(super) fn queue<R: Goto<Queued> + Row<M = M>>(file: File, cx: &Cx<'_, R>) -> Next<R> {
    until(clock(&file, cx), Queued { file })
}

/// Whether this decision is looked at a second time.
pub(super) fn sampled<R: Row<M = M>>(mut file: File, cx: &Cx<'_, R>) -> File {
    file.second_look = cx.policy().samples(cx.order().id());
    file
}

pub(super) fn score<R: Goto<Scoring> + Row<M = M>>(mut file: File, cx: &mut Cx<'_, R>) -> Next<R>
where
    Score: EmittedBy<R>,
{
    let (order, policy) = (cx.order(), cx.policy());
    let nth = file.scorings;
    file.scorings = nth.saturating_add(1);
    cx.want_nth(
        nth,
        Score {
            total: order.total(),
            kind: order.kind(),
            industry: policy.seen.industry_of(order).to_owned(),
            category: policy.seen.category_of(order).to_owned(),
            texts: policy.seen.texts_of(order),
            history: policy.seen.history_of(order),
            rules: if policy.rules.is_empty() { String::new() } else { policy.rules.id() },
        },
    );
    until(cx.after_ms(policy.score_ms), Scoring { file })
}

fn refused_by_rule<R: Goto<AutoRejected> + Row<M = M>>(file: &File, rule: &str, cx: &mut Cx<'_, R>) -> Next<R>
where
    TurnDown: AskedBy<R>,
{
    let reason = format!("rule {rule}");
    cx.ask(TurnDown { case: cx.key(), reason: reason.clone() });
    to(AutoRejected { file: sampled(file.because(reason), cx) })
}

fn let_pass<R: Goto<AutoApproved> + Row<M = M>>(file: File, cx: &Cx<'_, R>) -> Next<R> {
    to(AutoApproved { file: sampled(file, cx), content: Content::of(cx.order()) })
}

/// Brings a case before the tables of the policy: the tier, and whether they refuse it without a score.
fn weigh<R: Row<M = M>>(file: &mut File, cx: &Cx<'_, R>) -> bool {
    let (order, policy) = (cx.order(), cx.policy());
    let history = policy.seen.history_of(order);
    let verdict = policy.tiers.decide(&file.facts(order, policy, &history));
    if let Verdict::Tier { tier, rules } = &verdict {
        file.at_least(*tier, policy);
        for rule in rules {
            file.note_once(rule);
        }
    }
    wind_up(file, cx);
    matches!(verdict, Verdict::Refused { .. })
}

/// Asks the scorer; or nobody, where the tables refuse the order anyway. The refusal is a step of its own: what came in
/// with this one goes back in that one.
fn score_or_refuse<R: Goto<Scoring> + Row<M = M>>(file: File, refused: bool, cx: &mut Cx<'_, R>) -> Next<R>
where
    Score: EmittedBy<R>,
{
    if refused { until(cx.after_ms(1), Scoring { file }) } else { score(file, cx) }
}

impl On<Enter> for New {
    fn on(&self, _: &Enter, cx: &mut Cx<'_, Self::R>) -> Next<Self::R> {
        let mut file = File::default();
        let refused = weigh(&mut file, cx);
        if refused || cx.policy().scorer {
            score_or_refuse(file, refused, cx)
        } else {
            without_scorer(file, cx)
        }
    }
}

/// No scorer is asked: the tables alone decide. Rules that nobody applies let nothing pass.
fn without_scorer<R: Goto<AutoApproved> + Goto<Queued> + Row<M = M>>(file: File, cx: &Cx<'_, R>) -> Next<R> {
    if !cx.policy().rules.is_empty() {
        unscored(&file, "no scorer applies the rules".to_owned(), cx)
    } else if file.approvals_needed == 0 {
        let_pass(file, cx)
    } else {
        queue(file, cx)
    }
}
impl On<Scored> for Scoring {
    fn on(&self, e: &Scored, cx: &mut Cx<'_, Self::R>) -> Next<Self::R> {
        let (order, policy) = (cx.order(), cx.policy());
        let mut file = self.file.clone();
        file.score = Some(e.score);
        for reason in &e.reasons {
            file.note(reason);
        }
        let mut history = policy.seen.history_of(order);
        history.extend(e.history.iter().map(|(fact, n)| (fact.clone(), *n)));
        match policy.tiers.decide(&file.facts(order, policy, &history)) {
            Verdict::Refused { rule } => return refused_by_rule(&file, &rule, cx),
            Verdict::Tier { tier, rules } => {
                for rule in &rules {
                    file.note_once(rule);
                }
                file.at_least(tier.max(e.tier), policy);
            }
        }
        if !policy.rules.is_empty() && e.rules != policy.rules.id() {
            return unscored(&file, "the rules were not applied".to_owned(), cx);
        }
        if file.approvals_needed == 0 { let_pass(file, cx) } else { queue(file, cx) }
    }
}
impl On<Banned> for Scoring {
    fn on(&self, e: &Banned, cx: &mut Cx<'_, Self::R>) -> Next<Self::R> {
        refused_by_rule(&self.file, &e.rule, cx)
    }
}

/// Nothing scored it: at least one person decides.
fn unscored<R: Goto<Queued> + Row<M = M>>(file: &File, why: String, cx: &Cx<'_, R>) -> Next<R> {
    let mut file = file.because(why);
    file.at_least(cx.policy().unscored_tier.max(1), cx.policy());
    queue(file, cx)
}
impl On<ScoreRefused> for Scoring {
    fn on(&self, e: &ScoreRefused, cx: &mut Cx<'_, Self::R>) -> Next<Self::R> {
        unscored(&self.file, format!("no score: {}", e.why), cx)
    }
}
impl On<ScoreLost> for Scoring {
    fn on(&self, e: &ScoreLost, cx: &mut Cx<'_, Self::R>) -> Next<Self::R> {
        unscored(&self.file, format!("no score: {}", e.why), cx)
    }
}
impl On<ScoreGaveUp> for Scoring {
    fn on(&self, e: &ScoreGaveUp, cx: &mut Cx<'_, Self::R>) -> Next<Self::R> {
        unscored(&self.file, format!("no score: {}", e.why), cx)
    }
}
impl On<ScoreDue> for Scoring {
    fn on(&self, _: &ScoreDue, cx: &mut Cx<'_, Self::R>) -> Next<Self::R> {
        let (order, policy) = (cx.order(), cx.policy());
        let history = policy.seen.history_of(order);
        match policy.tiers.decide(&self.file.facts(order, policy, &history)) {
            Verdict::Refused { rule } => refused_by_rule(&self.file, &rule, cx),
            Verdict::Tier { .. } => unscored(&self.file, "no score in time".to_owned(), cx),
        }
    }
}
pub(super) fn open_file(s: &OpenCase) -> &File {
    match s {
        OpenCase::Queued(s) => &s.file,
        OpenCase::Escalated(s) => &s.file,
        OpenCase::PendingSecond(s) => &s.file,
        OpenCase::Claimed(s) => &s.file,
        OpenCase::InfoRequested(s) => &s.file,
        OpenCase::Snoozed(s) => &s.file,
    }
}
impl On<RiskNotice> for Scoring {
    fn on(&self, e: &RiskNotice, cx: &mut Cx<'_, Self::R>) -> Next<Self::R> {
        let mut file = self.file.because(e.notice.clone());
        file.at_least(1, cx.policy());
        stay(Scoring { file })
    }
}
impl On<RiskNotice> for OpenCase {
    fn on(&self, e: &RiskNotice, _: &mut Cx<'_, Self::R>) -> Next<Self::R> {
        same_open(self, |file| file.note(&e.notice))
    }
}
impl On<RiskNotice> for Appealable {
    fn on(&self, e: &RiskNotice, _: &mut Cx<'_, Self::R>) -> Next<Self::R> {
        stay(Appealable { file: self.file.because(e.notice.clone()), ..self.clone() })
    }
}
impl On<RiskNotice> for LetPass {
    fn on(&self, e: &RiskNotice, cx: &mut Cx<'_, Self::R>) -> Next<Self::R> {
        let mut file = self.file().because(e.notice.clone());
        if !anything_to_stop(cx) {
            // Nothing is left behind the gates: what is out is a matter of after-sales, and a person must know.
            cx.hold("risk_notice", e.notice.clone());
            return match self {
                LetPass::AutoApproved(s) => stay(AutoApproved { file, ..s.clone() }),
                LetPass::Approved(s) => stay(Approved { file, ..s.clone() }),
            };
        }
        reopen(&mut file, cx);
        queue(file, cx)
    }
}

/// Whether the gates still keep anything back: the order is wanted, and not all of it has left.
fn anything_to_stop<R: Row<M = M>>(cx: &Cx<'_, R>) -> bool {
    const AREAS: [&str; 2] = ["dispatch", "activation"];
    // A parcel that left does not come back for a shut gate. A service that runs can still be ended.
    const OUT: &[&str] = &["HandedOver", "Returning"];
    let standing = cx.standing();
    let begun = AREAS.iter().any(|area| standing.all(area) > 0);
    let kept = AREAS.iter().any(|area| standing.open(area) > standing.within(area, OUT));
    cx.life() == Life::Placed && (kept || !begun)
}

/// One tier up, from the beginning: what was approved before is approved no more.
pub(super) fn reopen<R: Row<M = M>>(file: &mut File, cx: &Cx<'_, R>) {
    file.reopened = true;
    file.second_look = false;
    file.looked = None;
    file.approved_by.clear();
    file.content = None;
    file.at_least(1, cx.policy());
    file.up(cx.policy());
    wind_up(file, cx);
}

/// What was approved is not what the order says now: approvals and leases are gone, and whoever amended it has asked.
fn amended<R: Row<M = M>>(file: &File, by: &Actor, cx: &Cx<'_, R>) -> (File, bool) {
    let mut file = file.because(format!("amended by {by}"));
    file.approved_by.clear();
    file.content = None;
    file.score = None;
    file.second_look = false;
    file.looked = None;
    if !file.asked_by.contains(by) {
        file.asked_by.push(by.clone());
    }
    let refused = weigh(&mut file, cx);
    (file, refused)
}

/// People had it, or were to have it: they look at what it says now.
fn amended_before_people<R>(file: &File, by: &Actor, cx: &mut Cx<'_, R>) -> Next<R>
where
    R: Goto<Scoring> + Goto<Queued> + Row<M = M>,
    Score: EmittedBy<R>,
{
    let (mut file, refused) = amended(file, by, cx);
    file.at_least(1, cx.policy());
    if refused || cx.policy().scorer { score_or_refuse(file, refused, cx) } else { queue(file, cx) }
}
impl On<Amended> for Scoring {
    fn on(&self, s: &Amended, cx: &mut Cx<'_, Self::R>) -> Next<Self::R> {
        // An answer about the old content may still come. It is no longer enough to let the new one pass.
        amended_before_people(&self.file, &s.by, cx)
    }
}
impl On<Amended> for OpenCase {
    fn on(&self, s: &Amended, cx: &mut Cx<'_, Self::R>) -> Next<Self::R> {
        amended_before_people(open_file(self), &s.by, cx)
    }
}
impl On<Amended> for LetPass {
    fn on(&self, s: &Amended, cx: &mut Cx<'_, Self::R>) -> Next<Self::R> {
        let (mut file, refused) = amended(self.file(), &s.by, cx);
        if let LetPass::Approved(_) = self {
            file.reopened = true;
            file.at_least(1, cx.policy());
        }
        if refused || cx.policy().scorer {
            score_or_refuse(file, refused, cx)
        } else {
            without_scorer(file, cx)
        }
    }
}
impl On<Amended> for Appealable {
    fn on(&self, s: &Amended, cx: &mut Cx<'_, Self::R>) -> Next<Self::R> {
        // Resubmitted: as good as an appeal.
        let (mut file, _) = amended(&self.file, &s.by, cx);
        file.appeals = file.appeals.saturating_add(1);
        reopen(&mut file, cx);
        queue(file, cx)
    }
}

impl On<Stop> for Live {
    fn on(&self, _: &Stop, _: &mut Cx<'_, Self::R>) -> Next<Self::R> {
        to(Withdrawn { file: self.file().clone() })
    }
}

/// Who let it pass, while the order says what it said then: an approval of another content opens nothing.
fn passed(v: &View<'_, M>) -> Option<u32> {
    let (approvals, content) = v.instances().find_map(|(_, s)| match s {
        State::AutoApproved(s) => Some((0, s.content)),
        State::Approved(s) => Some((u32::try_from(s.file.approved_by.len()).unwrap_or(u32::MAX), s.content)),
        State::Scoring(_)
        | State::AutoRejected(_)
        | State::Queued(_)
        | State::Claimed(_)
        | State::PendingSecond(_)
        | State::InfoRequested(_)
        | State::Snoozed(_)
        | State::Escalated(_)
        | State::Appealable(_)
        | State::Rejected(_)
        | State::Withdrawn(_) => None,
    })?;
    (content == Content::of(v.world.order)).then_some(approvals)
}
impl Fold<Passed<ToDispatch>> for M {
    fn fold(v: &View<'_, Self>) -> Option<Passed<ToDispatch>> {
        passed(v).map(Passed::by)
    }
}
impl Fold<Passed<ToActivate>> for M {
    fn fold(v: &View<'_, Self>) -> Option<Passed<ToActivate>> {
        passed(v).map(Passed::by)
    }
}
impl Fold<Passed<ToCapture>> for M {
    fn fold(v: &View<'_, Self>) -> Option<Passed<ToCapture>> {
        passed(v).map(Passed::by)
    }
}
