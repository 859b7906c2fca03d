//! One review case.

use serde::{Deserialize, Serialize};

use super::policy::{OnLapse, ReviewPolicy};
use crate::clock::Timestamp;
use crate::id::{Actor, Key};
use crate::machine::{
    Answer, AskedBy, Cx, Decide, Evidence, Fold, Goto, Next, On, Opens, Refusal, Row, View, stay, to, until,
};
use crate::money::Money;
use crate::stage::proof::{Approved as Passed, Cancelling, Funded, ToCapture, ToDispatch};
use crate::stage::{data, guesses, plain, shared};

crate::machine! {
    /// A review case (section 2.4 of the order domain), opened when the money is there.
    pub mod case = "review.case" v 1;
    policy ReviewPolicy;
    needs Funded;
    hears Cancelling;
    yields Passed<ToDispatch>, Passed<ToCapture>;
    effects {
        Score (repeat) => done Scored | Banned, declined ScoreRefused, unknown ScoreLost, exhausted ScoreGaveUp;
    }
    asks { TurnDown }
    opens { Enter }
    inputs {
        command Claim, HandBack, Approve, Reject, Escalate, RequestInfo, SupplyInfo, Snooze, Expedite;
        outcome ScoreLost @0, ScoreGaveUp @0, ScoreRefused @0, Scored @1, Banned @1, RiskNotice @2;
        timer   ScoreDue, LeaseDue, SlaDue, InfoDue, WakeDue;
        signal  Enter (on granted), Stop (on granted Cancelling);
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
        Approved: done @1,
        Rejected: fail @2,
        Withdrawn: fail @2,
    }
    groups {
        Waiting  = Queued | Escalated | PendingSecond;
        OpenCase = Queued | Escalated | PendingSecond | Claimed | InfoRequested | Snoozed;
        AtRisk   = Queued | PendingSecond | Escalated;
        Live     = Scoring | Queued | Escalated | PendingSecond | Claimed | InfoRequested | Snoozed;
        LetPass  = AutoApproved | Approved;
        Ended    = AutoApproved | Approved | AutoRejected | Rejected | Withdrawn;
    }
    rows {
        New           + Enter        => Scoring | AutoApproved | Queued / Score;
        Scoring       + Scored       => AutoApproved | Queued;
        Scoring       + Banned       => AutoRejected ? TurnDown;
        Scoring       + ScoreRefused => Queued;
        Scoring       + ScoreLost    => Queued;
        Scoring       + ScoreGaveUp  => Queued;
        Scoring       + ScoreDue     => Queued;
        Waiting       + Claim        => Claimed;
        Claimed       + HandBack     => Queued;
        Claimed       + LeaseDue     => Queued;
        Claimed       + Approve      => Approved | PendingSecond;
        Claimed       + Reject       => Rejected ? TurnDown;
        PendingSecond + Approve      => Approved | PendingSecond;
        PendingSecond + Reject       => Rejected ? TurnDown;
        Claimed       + RequestInfo  => InfoRequested;
        InfoRequested + SupplyInfo   => Queued;
        InfoRequested + InfoDue      => Rejected | Escalated ? TurnDown;
        Claimed       + Escalate     => Escalated;
        Queued        + Escalate     => Escalated;
        AtRisk        + SlaDue       => Escalated;
        Claimed       + SlaDue       => Claimed;
        Claimed       + Snooze       => Snoozed;
        Snoozed       + WakeDue      => Queued;
        Snoozed       + SlaDue       => Escalated;
        OpenCase      + Expedite     => Queued | Escalated | PendingSecond | Claimed | InfoRequested | Snoozed;
        LetPass       + RiskNotice   => Queued;
        OpenCase      + RiskNotice   => Queued | Escalated | PendingSecond | Claimed | InfoRequested | Snoozed;
        Scoring       + RiskNotice   => Scoring;
        Live          + Stop         => Withdrawn;
    }
    ignore {
        Live + Enter; Ended + Enter; Ended + Stop;
    }
}

/// What a case knows; kept from state to state.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct File {
    /// How many people must approve.
    pub approvals_needed: u32,
    /// Who has.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub approved_by: Vec<Actor>,
    /// The tier it waits in; escalation raises it.
    #[serde(default)]
    pub tier: u32,
    /// Raised by `Expedite`; orders within a tier only.
    #[serde(default)]
    pub priority: u32,
    /// How often it was claimed: the fencing token of the newest lease.
    #[serde(default)]
    pub claims: u32,
    /// The score, from 0 to 100, once there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub score: Option<u8>,
    /// Why, in words for people: rules that spoke, notes of reviewers.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reasons: Vec<String>,
    /// When it must be decided.
    pub due_at: Timestamp,
    /// Whether it was let pass before and came back.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub reopened: bool,
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

data! {
    /// The scorer was asked.
    Scoring { /** What it knows. */ file: File }
    /// The fast lane let it pass.
    AutoApproved { /** What it knows. */ file: File }
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
    /// People let it pass.
    Approved { /** What it knows. */ file: File }
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

    /// Asks for the risk score of an order.
    Score { /** The order's total. */ total: Money }
    /// The score.
    Scored { /** From 0 (harmless) to 100. */ score: u8, /** Why. */ reasons: Vec<String> }
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

    /// Asks for the order to be turned down.
    TurnDown { /** The case. */ case: Key, /** Why. */ reason: String }
}

plain! {
    /// Takes a case for a while.
    Claim,
    /// Raises the priority; skips no check.
    Expedite,
    /// The scorer's time is over.
    ScoreDue,
    /// The reviewer's time is over.
    LeaseDue,
    /// The time to decide is over.
    SlaDue,
    /// The customer's time is over.
    InfoDue,
    /// Time to look again.
    WakeDue,
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

use case::{AtRisk, LetPass, Live, M, New, OpenCase, State, Waiting};

shared!(Waiting.file: File = Queued | Escalated | PendingSecond);
shared!(AtRisk.file: File = Queued | PendingSecond | Escalated);
shared!(LetPass.file: File = AutoApproved | Approved);
shared!(Live.file: File = Scoring | Queued | Escalated | PendingSecond | Claimed | InfoRequested | Snoozed);

impl File {
    fn because(&self, reason: impl Into<String>) -> File {
        let mut file = self.clone();
        file.reasons.push(reason.into());
        file
    }
}

impl Opens<Enter, M> for New {
    fn keys(view: &View<'_, M>) -> Vec<Key> {
        if view.is_empty() { vec![Key(1)] } else { Vec::new() }
    }
}

fn due<R: Row<M = M>>(file: &File, cx: &Cx<'_, R>) -> crate::machine::Deadline {
    cx.at(file.due_at).unwrap_or_else(|_| cx.after_ms(cx.policy().sla_ms))
}

fn queue<R: Goto<Queued> + Row<M = M>>(file: File, cx: &Cx<'_, R>) -> Next<R> {
    until(due(&file, cx), Queued { file })
}

impl On<Enter> for New {
    fn on(&self, _: &Enter, cx: &mut Cx<'_, Self::R>) -> Next<Self::R> {
        let total = cx.order().total();
        let needed = cx.policy().approvals(total.minor());
        let file = File {
            approvals_needed: needed,
            tier: needed,
            due_at: cx.after_ms(cx.policy().sla_ms).instant(),
            ..File::default()
        };
        if cx.policy().scorer {
            cx.want(Score { total });
            until(cx.after_ms(cx.policy().score_ms), Scoring { file })
        } else if needed == 0 {
            to(AutoApproved { file })
        } else {
            queue(file, cx)
        }
    }
}
impl On<Scored> for Scoring {
    fn on(&self, e: &Scored, cx: &mut Cx<'_, Self::R>) -> Next<Self::R> {
        let by_score = if e.score >= cx.policy().high_score {
            2
        } else {
            u32::from(e.score >= cx.policy().medium_score)
        };
        let mut file = self.file.clone();
        file.score = Some(e.score);
        file.reasons.extend(e.reasons.iter().cloned());
        file.approvals_needed = file.approvals_needed.max(by_score);
        file.tier = file.tier.max(by_score);
        if file.approvals_needed == 0 { to(AutoApproved { file }) } else { queue(file, cx) }
    }
}
impl On<Banned> for Scoring {
    fn on(&self, e: &Banned, cx: &mut Cx<'_, Self::R>) -> Next<Self::R> {
        let reason = format!("rule {}", e.rule);
        cx.ask(TurnDown { case: cx.key(), reason: reason.clone() });
        to(AutoRejected { file: self.file.because(reason) })
    }
}

/// The scorer did not answer: at least one person decides.
fn unscored<R: Goto<Queued> + Row<M = M>>(file: &File, why: String, cx: &Cx<'_, R>) -> Next<R> {
    let mut file = file.because(why);
    file.approvals_needed = file.approvals_needed.max(1);
    file.tier = file.tier.max(1);
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
        unscored(&self.file, "no score in time".to_owned(), cx)
    }
}
impl Decide<Claim> for Waiting {
    fn decide(&self, _: &Claim, cx: &mut Cx<'_, Self::R>) -> Answer<Self::R> {
        may_decide(self.file(), cx)?;
        let mut file = self.file().clone();
        file.claims = file.claims.saturating_add(1);
        let until_at = cx.after_ms(cx.policy().lease_ms);
        let lease = Lease { actor: cx.by().clone(), token: file.claims, until: until_at.instant() };
        Ok(until((until_at, due(&file, cx)), Claimed { file, lease }))
    }
}

/// Four eyes: not who placed the order, and not who approved it already.
fn may_decide<R: Row<M = M>>(file: &File, cx: &Cx<'_, R>) -> Result<(), Refusal> {
    let by = cx.by();
    if file.approved_by.contains(by) || cx.order().placed_by() == by {
        return Err(Refusal {
            code: "four_eyes",
            detail: format!("{by} placed the order or has approved it already"),
        });
    }
    Ok(())
}

impl Claimed {
    /// A decision counts only with the newest token, from the person who holds it.
    fn fenced<R: Row<M = M>>(&self, token: u32, cx: &Cx<'_, R>) -> Result<(), Refusal> {
        if self.lease.token != token || self.lease.actor != *cx.by() {
            return Err(Refusal {
                code: "stale_lease",
                detail: format!("token {token} of {}; held by {}", cx.by(), self.lease.actor),
            });
        }
        Ok(())
    }
}

impl Decide<HandBack> for Claimed {
    fn decide(&self, c: &HandBack, cx: &mut Cx<'_, Self::R>) -> Answer<Self::R> {
        self.fenced(c.token, cx)?;
        Ok(queue(self.file.clone(), cx))
    }
}
impl On<LeaseDue> for Claimed {
    fn on(&self, _: &LeaseDue, cx: &mut Cx<'_, Self::R>) -> Next<Self::R> {
        queue(self.file.clone(), cx)
    }
}
impl Decide<Approve> for Claimed {
    fn decide(&self, c: &Approve, cx: &mut Cx<'_, Self::R>) -> Answer<Self::R> {
        self.fenced(c.token, cx)?;
        approve(&self.file, cx)
    }
}
fn approve<R: Goto<Approved> + Goto<PendingSecond> + Row<M = M>>(file: &File, cx: &Cx<'_, R>) -> Answer<R> {
    may_decide(file, cx)?;
    let mut file = file.clone();
    file.approved_by.push(cx.by().clone());
    let have = u32::try_from(file.approved_by.len()).unwrap_or(u32::MAX);
    if have >= file.approvals_needed {
        Ok(to(Approved { file }))
    } else {
        Ok(until(due(&file, cx), PendingSecond { file }))
    }
}
impl Decide<Approve> for PendingSecond {
    fn decide(&self, _: &Approve, cx: &mut Cx<'_, Self::R>) -> Answer<Self::R> {
        approve(&self.file, cx)
    }
}

fn reject<R: Goto<Rejected> + Row<M = M>>(file: &File, reason: &str, cx: &mut Cx<'_, R>) -> Next<R>
where
    TurnDown: AskedBy<R>,
{
    cx.ask(TurnDown { case: cx.key(), reason: reason.to_owned() });
    to(Rejected { file: file.clone(), reason: reason.to_owned() })
}
impl Decide<Reject> for Claimed {
    fn decide(&self, c: &Reject, cx: &mut Cx<'_, Self::R>) -> Answer<Self::R> {
        self.fenced(c.token, cx)?;
        Ok(reject(&self.file, &c.reason, cx))
    }
}
impl Decide<Reject> for PendingSecond {
    fn decide(&self, c: &Reject, cx: &mut Cx<'_, Self::R>) -> Answer<Self::R> {
        may_decide(&self.file, cx)?;
        Ok(reject(&self.file, &c.reason, cx))
    }
}
impl Decide<RequestInfo> for Claimed {
    fn decide(&self, c: &RequestInfo, cx: &mut Cx<'_, Self::R>) -> Answer<Self::R> {
        self.fenced(c.token, cx)?;
        let left = self.file.due_at.since(cx.now());
        Ok(until(
            cx.after_ms(cx.policy().info_ms),
            InfoRequested {
                file: self.file.clone(),
                question: c.question.clone(),
                left_ms: u64::try_from(left.as_millis()).unwrap_or(u64::MAX),
            },
        ))
    }
}
impl Decide<SupplyInfo> for InfoRequested {
    fn decide(&self, c: &SupplyInfo, cx: &mut Cx<'_, Self::R>) -> Answer<Self::R> {
        let mut file = self.file.because(format!("information: {}", c.answer));
        file.due_at = cx.after_ms(self.left_ms).instant();
        Ok(queue(file, cx))
    }
}

fn escalate<R: Goto<Escalated> + Row<M = M>>(file: &File, why: &str, cx: &Cx<'_, R>) -> Next<R> {
    let mut file = file.because(why);
    file.tier = file.tier.saturating_add(1);
    let at = cx.after_ms(cx.policy().sla_ms);
    file.due_at = at.instant();
    until(at, Escalated { file })
}
impl On<InfoDue> for InfoRequested {
    fn on(&self, _: &InfoDue, cx: &mut Cx<'_, Self::R>) -> Next<Self::R> {
        match cx.policy().on_info_lapse {
            OnLapse::Reject => reject(&self.file, "incomplete", cx),
            OnLapse::Escalate => escalate(&self.file, "no information came", cx),
        }
    }
}
impl Decide<Escalate> for Claimed {
    fn decide(&self, c: &Escalate, cx: &mut Cx<'_, Self::R>) -> Answer<Self::R> {
        self.fenced(self.lease.token, cx)?;
        Ok(escalate(&self.file, &c.reason, cx))
    }
}
impl Decide<Escalate> for Queued {
    fn decide(&self, c: &Escalate, cx: &mut Cx<'_, Self::R>) -> Answer<Self::R> {
        Ok(escalate(&self.file, &c.reason, cx))
    }
}
impl On<SlaDue> for AtRisk {
    fn on(&self, _: &SlaDue, cx: &mut Cx<'_, Self::R>) -> Next<Self::R> {
        escalate(self.file(), "waited too long", cx)
    }
}
impl On<SlaDue> for Claimed {
    fn on(&self, _: &SlaDue, cx: &mut Cx<'_, Self::R>) -> Next<Self::R> {
        // Somebody is at it: the lease decides when it goes back.
        let mut file = self.file.because("decided late");
        let next = cx.after_ms(cx.policy().sla_ms);
        file.due_at = next.instant();
        let lease = cx.at(self.lease.until).unwrap_or_else(|_| cx.after_ms(1));
        until((lease, next), Claimed { file, lease: self.lease.clone() })
    }
}
impl Decide<Snooze> for Claimed {
    fn decide(&self, c: &Snooze, cx: &mut Cx<'_, Self::R>) -> Answer<Self::R> {
        self.fenced(c.token, cx)?;
        let at = (cx.after_ms(c.for_ms), due(&self.file, cx));
        Ok(until(at, Snoozed { file: self.file.clone() }))
    }
}
impl On<WakeDue> for Snoozed {
    fn on(&self, _: &WakeDue, cx: &mut Cx<'_, Self::R>) -> Next<Self::R> {
        queue(self.file.clone(), cx)
    }
}
impl On<SlaDue> for Snoozed {
    fn on(&self, _: &SlaDue, cx: &mut Cx<'_, Self::R>) -> Next<Self::R> {
        escalate(&self.file, "waited too long", cx)
    }
}

/// The same state with its file changed, and the instants as they were.
fn same<R>(s: &OpenCase, change: impl FnOnce(&mut File)) -> Next<R>
where
    R: Row<M = M, From = OpenCase>
        + Goto<Queued>
        + Goto<Escalated>
        + Goto<PendingSecond>
        + Goto<Claimed>
        + Goto<InfoRequested>
        + Goto<Snoozed>,
    R::Class: crate::machine::MayStay,
{
    let mut s = s.clone();
    match &mut s {
        OpenCase::Queued(x) => change(&mut x.file),
        OpenCase::Escalated(x) => change(&mut x.file),
        OpenCase::PendingSecond(x) => change(&mut x.file),
        OpenCase::Claimed(x) => change(&mut x.file),
        OpenCase::InfoRequested(x) => change(&mut x.file),
        OpenCase::Snoozed(x) => change(&mut x.file),
    }
    match s {
        OpenCase::Queued(x) => stay(x),
        OpenCase::Escalated(x) => stay(x),
        OpenCase::PendingSecond(x) => stay(x),
        OpenCase::Claimed(x) => stay(x),
        OpenCase::InfoRequested(x) => stay(x),
        OpenCase::Snoozed(x) => stay(x),
    }
}
impl Decide<Expedite> for OpenCase {
    fn decide(&self, _: &Expedite, _: &mut Cx<'_, Self::R>) -> Answer<Self::R> {
        Ok(same(self, |file| file.priority = file.priority.saturating_add(1)))
    }
}
impl On<RiskNotice> for OpenCase {
    fn on(&self, e: &RiskNotice, _: &mut Cx<'_, Self::R>) -> Next<Self::R> {
        same(self, |file| file.reasons.push(e.notice.clone()))
    }
}
impl On<RiskNotice> for Scoring {
    fn on(&self, e: &RiskNotice, _: &mut Cx<'_, Self::R>) -> Next<Self::R> {
        let mut file = self.file.because(e.notice.clone());
        file.approvals_needed = file.approvals_needed.max(1);
        file.tier = file.tier.max(1);
        stay(Scoring { file })
    }
}
impl On<RiskNotice> for LetPass {
    fn on(&self, e: &RiskNotice, cx: &mut Cx<'_, Self::R>) -> Next<Self::R> {
        let mut file = self.file().because(e.notice.clone());
        file.reopened = true;
        file.approvals_needed = file.approvals_needed.max(1);
        file.approved_by.clear();
        file.tier = file.tier.saturating_add(1);
        file.due_at = cx.after_ms(cx.policy().sla_ms).instant();
        queue(file, cx)
    }
}
impl On<Stop> for Live {
    fn on(&self, _: &Stop, _: &mut Cx<'_, Self::R>) -> Next<Self::R> {
        to(Withdrawn { file: self.file().clone() })
    }
}

fn passed(v: &View<'_, M>) -> Option<u32> {
    v.instances().find_map(|(_, s)| match s {
        State::AutoApproved(_) => Some(0),
        State::Approved(s) => Some(u32::try_from(s.file.approved_by.len()).unwrap_or(u32::MAX)),
        State::Scoring(_)
        | State::AutoRejected(_)
        | State::Queued(_)
        | State::Claimed(_)
        | State::PendingSecond(_)
        | State::InfoRequested(_)
        | State::Snoozed(_)
        | State::Escalated(_)
        | State::Rejected(_)
        | State::Withdrawn(_) => None,
    })
}
impl Fold<Passed<ToDispatch>> for M {
    fn fold(v: &View<'_, Self>) -> Option<Passed<ToDispatch>> {
        passed(v).map(Passed::by)
    }
}
impl Fold<Passed<ToCapture>> for M {
    fn fold(v: &View<'_, Self>) -> Option<Passed<ToCapture>> {
        passed(v).map(Passed::by)
    }
}
