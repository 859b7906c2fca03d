//! What people do with a case, and the clocks that run while they do.

use std::time::Duration;

use super::content::Content;
use super::file::{Expedited, File, Lease, Looked};
use super::machine::case::{AtRisk, Decided, Ended, Live, M, OpenCase, Waiting};
use super::machine::{
    Appeal, AppealDue, Appealable, Approve, Approved, Claim, Claimed, Contribute, Escalate, Escalated,
    Expedite, HandBack, InfoDue, InfoRequested, Label, LeaseDue, PendingSecond, Queued, Reject, Rejected,
    RequestInfo, SecondLook, SlaDue, Snooze, Snoozed, SupplyInfo, TurnDown, WakeDue, clock, open_file, queue,
    reopen, same_decided, same_ended, same_live, same_open, sampled, score, wind_up,
};
use super::policy::{OnLapse, ReviewPolicy};
use crate::id::Actor;
use crate::machine::{Answer, AskedBy, Cx, Decide, Goto, Next, On, Refusal, Row, refuse, to, until};

impl Decide<Claim> for Waiting {
    fn decide(&self, c: &Claim, cx: &mut Cx<'_, Self::R>) -> Answer<Self::R> {
        self.file().may_claim(cx.by(), &c.skills, cx.order(), cx.policy())?;
        let mut file = self.file().clone();
        file.claims = file.claims.saturating_add(1);
        file.preferred = None;
        let until_at = cx.after_ms(cx.policy().lease_ms);
        let lease = Lease { actor: cx.by().clone(), token: file.claims, until: until_at.instant() };
        Ok(until((until_at, clock(&file, cx)), Claimed { file, lease }))
    }
}
impl Decide<HandBack> for Claimed {
    fn decide(&self, c: &HandBack, cx: &mut Cx<'_, Self::R>) -> Answer<Self::R> {
        self.lease.fenced(c.token, cx.by(), cx.now())?;
        Ok(queue(self.file.clone(), cx))
    }
}
impl On<LeaseDue> for Claimed {
    fn on(&self, _: &LeaseDue, cx: &mut Cx<'_, Self::R>) -> Next<Self::R> {
        queue(self.file.clone(), cx)
    }
}

fn approve<R: Goto<Approved> + Goto<PendingSecond> + Row<M = M>>(file: &File, cx: &Cx<'_, R>) -> Answer<R> {
    file.may_approve(cx.by(), cx.order())?;
    let content = Content::of(cx.order());
    let mut file = file.clone();
    file.approve(cx.by(), content);
    if file.is_approved(content) {
        Ok(to(Approved { file: sampled(file, cx), content }))
    } else {
        Ok(until(clock(&file, cx), PendingSecond { file }))
    }
}
impl Decide<Approve> for Claimed {
    fn decide(&self, c: &Approve, cx: &mut Cx<'_, Self::R>) -> Answer<Self::R> {
        self.lease.fenced(c.token, cx.by(), cx.now())?;
        approve(&self.file, cx)
    }
}

/// Whether somebody may decide without a claim. Where skills are asked for, the claim is what shows them.
fn unclaimed<R: Row<M = M>>(file: &File, cx: &Cx<'_, R>) -> Result<(), Refusal> {
    file.may_claim(cx.by(), &[], cx.order(), cx.policy())
}
impl Decide<Approve> for PendingSecond {
    fn decide(&self, _: &Approve, cx: &mut Cx<'_, Self::R>) -> Answer<Self::R> {
        unclaimed(&self.file, cx)?;
        approve(&self.file, cx)
    }
}

/// Rejected for good, or until the customer has had the time to appeal.
fn reject<R>(file: &File, by: Option<&Actor>, reason: &str, cx: &mut Cx<'_, R>) -> Next<R>
where
    R: Goto<Rejected> + Goto<Appealable> + Row<M = M>,
    TurnDown: AskedBy<R>,
{
    let mut file = file.clone();
    file.rejected_by.extend(by.cloned());
    let policy = cx.policy();
    if policy.appeal_ms > 0 && file.appeals < policy.appeals {
        return until(cx.after_ms(policy.appeal_ms), Appealable { file, reason: reason.to_owned() });
    }
    cx.ask(TurnDown { case: cx.key(), reason: reason.to_owned() });
    to(Rejected { file: sampled(file, cx), reason: reason.to_owned() })
}
impl Decide<Reject> for Claimed {
    fn decide(&self, c: &Reject, cx: &mut Cx<'_, Self::R>) -> Answer<Self::R> {
        self.lease.fenced(c.token, cx.by(), cx.now())?;
        Ok(reject(&self.file, Some(cx.by()), &c.reason, cx))
    }
}
impl Decide<Reject> for PendingSecond {
    fn decide(&self, c: &Reject, cx: &mut Cx<'_, Self::R>) -> Answer<Self::R> {
        unclaimed(&self.file, cx)?;
        Ok(reject(&self.file, Some(cx.by()), &c.reason, cx))
    }
}
impl Decide<Appeal> for Appealable {
    fn decide(&self, c: &Appeal, cx: &mut Cx<'_, Self::R>) -> Answer<Self::R> {
        if self.file.rejected_by.contains(cx.by()) {
            return refuse("four_eyes", format!("{} rejected it", cx.by()));
        }
        let mut file = self.file.because(format!("appeal: {}", c.reason));
        file.appeals = file.appeals.saturating_add(1);
        file.asked_by.push(cx.by().clone());
        reopen(&mut file, cx);
        Ok(queue(file, cx))
    }
}
impl On<AppealDue> for Appealable {
    fn on(&self, _: &AppealDue, cx: &mut Cx<'_, Self::R>) -> Next<Self::R> {
        cx.ask(TurnDown { case: cx.key(), reason: self.reason.clone() });
        to(Rejected { file: sampled(self.file.clone(), cx), reason: self.reason.clone() })
    }
}
impl Decide<RequestInfo> for Claimed {
    fn decide(&self, c: &RequestInfo, cx: &mut Cx<'_, Self::R>) -> Answer<Self::R> {
        self.lease.fenced(c.token, cx.by(), cx.now())?;
        let left = self.file.due_at.since(cx.now());
        let mut file = self.file.clone();
        file.preferred = Some(cx.by().clone());
        Ok(until(
            cx.after_ms(cx.policy().info_ms),
            InfoRequested {
                file,
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
        // What a person has begun, a person ends: a better score alone lets nothing pass any more.
        file.at_least(1, cx.policy());
        if cx.policy().scorer && cx.policy().score_again {
            return Ok(score(file, cx));
        }
        Ok(queue(file, cx))
    }
}

fn escalate<R: Goto<Escalated> + Row<M = M>>(file: &File, why: &str, cx: &Cx<'_, R>) -> Next<R> {
    let mut file = file.because(why);
    file.up(cx.policy());
    wind_up(&mut file, cx);
    until(clock(&file, cx), Escalated { file })
}
impl On<InfoDue> for InfoRequested {
    fn on(&self, _: &InfoDue, cx: &mut Cx<'_, Self::R>) -> Next<Self::R> {
        match cx.policy().on_info_lapse {
            OnLapse::Reject => reject(&self.file, None, "incomplete", cx),
            OnLapse::Escalate => escalate(&self.file, "no information came", cx),
        }
    }
}
impl Decide<Escalate> for Claimed {
    fn decide(&self, c: &Escalate, cx: &mut Cx<'_, Self::R>) -> Answer<Self::R> {
        self.lease.fenced(self.lease.token, cx.by(), cx.now())?;
        Ok(escalate(&self.file, &c.reason, cx))
    }
}
impl Decide<Escalate> for Queued {
    fn decide(&self, c: &Escalate, cx: &mut Cx<'_, Self::R>) -> Answer<Self::R> {
        Ok(escalate(&self.file, &c.reason, cx))
    }
}

/// The clock spoke. The first time the case is at risk and goes one tier up, once; at the end of its time it is late,
/// and its time begins anew.
fn late<R: Row<M = M>>(file: &File, cx: &Cx<'_, R>) -> File {
    let over = file.at_risk || cx.now() >= file.due_at;
    let mut file = file.because(if over { "decided late" } else { "at risk of being decided late" });
    if !file.at_risk {
        file.up(cx.policy());
        file.at_risk = true;
    }
    if over {
        wind_up(&mut file, cx);
    }
    file
}
impl On<SlaDue> for AtRisk {
    fn on(&self, _: &SlaDue, cx: &mut Cx<'_, Self::R>) -> Next<Self::R> {
        let file = late(self.file(), cx);
        until(clock(&file, cx), Escalated { file })
    }
}
impl On<SlaDue> for Claimed {
    fn on(&self, _: &SlaDue, cx: &mut Cx<'_, Self::R>) -> Next<Self::R> {
        // Somebody is at it, and stays at it while the lease lasts: then it waits where it has risen to.
        let file = late(&self.file, cx);
        let lease = cx.at(self.lease.until).unwrap_or_else(|_| cx.after_ms(1));
        until((lease, clock(&file, cx)), Claimed { file, lease: self.lease.clone() })
    }
}
impl Decide<Snooze> for Claimed {
    fn decide(&self, c: &Snooze, cx: &mut Cx<'_, Self::R>) -> Answer<Self::R> {
        self.lease.fenced(c.token, cx.by(), cx.now())?;
        let at = (cx.after_ms(c.for_ms), clock(&self.file, cx));
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
        let file = late(&self.file, cx);
        until(clock(&file, cx), Escalated { file })
    }
}

impl Decide<Expedite> for OpenCase {
    fn decide(&self, _: &Expedite, cx: &mut Cx<'_, Self::R>) -> Answer<Self::R> {
        let (policy, now) = (cx.policy(), cx.now());
        let before = open_file(self).expedited.clone();
        let times = before.as_ref().map_or(0, |e| e.times);
        if times >= policy.expedites {
            return refuse("expedited_enough", format!("{times} times, which is all the policy allows"));
        }
        let again = before.map(|e| e.at.saturating_add(Duration::from_millis(policy.expedite_every_ms)));
        if let Some(at) = again.filter(|at| *at > now) {
            return refuse("expedited_lately", format!("not again before {at}"));
        }
        let said = format!("expedited by {}", cx.by());
        Ok(same_open(self, |file| {
            file.priority = file.priority.saturating_add(1);
            file.expedited = Some(Expedited { times: times.saturating_add(1), at: now });
            file.note(said);
        }))
    }
}

/// Keeps who did work that bars from approving.
fn contributed(file: &mut File, c: &Contribute, by: &Actor, policy: &ReviewPolicy) {
    if policy.barring_work.contains(&c.work) && !file.contributors.contains(by) {
        file.contributors.push(by.clone());
    }
}
impl Decide<Contribute> for Live {
    fn decide(&self, c: &Contribute, cx: &mut Cx<'_, Self::R>) -> Answer<Self::R> {
        Ok(same_live(self, |file| {
            contributed(file, c, cx.by(), cx.policy());
            // What they approved before and nothing came of yet is their own work now.
            let File { approved_by, contributors, .. } = file;
            approved_by.retain(|by| !contributors.contains(by));
        }))
    }
}
impl Decide<Contribute> for Ended {
    fn decide(&self, c: &Contribute, cx: &mut Cx<'_, Self::R>) -> Answer<Self::R> {
        Ok(same_ended(self, |file| contributed(file, c, cx.by(), cx.policy())))
    }
}
impl Decide<SecondLook> for Decided {
    fn decide(&self, c: &SecondLook, cx: &mut Cx<'_, Self::R>) -> Answer<Self::R> {
        let (file, by) = (self.file(), cx.by());
        if let Some(looked) = &file.looked {
            return refuse("looked_already", format!("{} has looked at it", looked.by));
        }
        file.may_approve(by, cx.order())?;
        let looked = Looked { by: by.clone(), agrees: c.agrees };
        Ok(same_decided(self, |file| {
            file.looked = Some(looked);
            file.note(format!("second look: {}", c.note));
        }))
    }
}
impl Decide<Label> for Ended {
    fn decide(&self, c: &Label, _: &mut Cx<'_, Self::R>) -> Answer<Self::R> {
        Ok(same_ended(self, |file| {
            file.label = Some(c.label);
            file.note(format!("outcome: {}", c.note));
        }))
    }
}
