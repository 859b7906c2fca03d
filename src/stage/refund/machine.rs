//! One refund.

use serde::{Deserialize, Serialize};

use super::policy::RefundPolicy;
use crate::clock::Timestamp;
use crate::id::{Actor, Channel, Key};
use crate::ledger::{P7, P8, P9, P10, P11, P12, P18, Source};
use crate::machine::{
    Again, Answer, Cx, Decide, EmittedBy, Evidence, Goto, Life, Moved, Next, On, PostedBy, Row, View, refuse,
    stay, to, until,
};
use crate::money::Money;
use crate::planted::{Mutant, planted};
use crate::stage::{data, guesses, plain, quiet, shared};

crate::machine! {
    /// One refund (section 2.7 of the order domain).
    ///
    /// Ranks: 0 a local guess, 1 not final, 2 final and negative, 3 paid back, 4 paid back and returned by the bank.
    pub mod refund = "refund" v 2;
    policy RefundPolicy;
    effects {
        SendBack             => done Repaid | Accepted | ShortBalance,
                                declined RefundRefused, unknown RefundLost, exhausted RefundGaveUp;
        InquireRefund (read) => done Repaid | Accepted | AccountClosed | RefundMissing,
                                declined RefundRefused, unknown RefundLost, exhausted RefundGaveUp;
    }
    inputs {
        command Request, ApproveRefund, CancelRefund, PayOut;
        outcome RefundLost @0, RefundGaveUp @0, RefundMissing @0, Accepted @1, ShortBalance @1, AccountClosed @1,
                RefundRefused @2, Repaid @3, Bounced @4;
        timer   ApprovalDue, AnswerDue, AskAgain, ActionDue;
        signal  Begin;
    }
    states {
        ApprovalPending: wait(ApprovalDue) @0,
        Sending: busy(AnswerDue) @0,
        Unknown: busy(AskAgain) @0,
        Pending: busy(AskAgain) @1,
        RequiresAction: wait(ActionDue) @1,
        Succeeded: done @3,
        Failed: fail @2,
        Cancelled: fail @2,
        Reversed: fail @4,
    }
    groups {
        Open     = Sending | Unknown | Pending | RequiresAction;
        Sent     = Sending | Unknown | Pending;
        Negative = Failed | Cancelled;
        All      = ApprovalPending | Sending | Unknown | Pending | RequiresAction | Succeeded | Failed
                 | Cancelled | Reversed;
    }
    rows {
        New             + Request       => Sending | ApprovalPending / SendBack ! P8 !! P9;
        New             + Begin         => Sending / SendBack !! P9;
        ApprovalPending + ApproveRefund => Sending / SendBack;
        ApprovalPending + CancelRefund  => Cancelled ! P7 !! P11;
        ApprovalPending + ApprovalDue   => Cancelled ! P7 !! P11;
        Sending         + RefundLost    => Unknown;
        Sending         + AnswerDue     => Unknown;
        Sending         + RefundGaveUp  => Failed | Unknown ! P11;
        Sent            + Accepted      => Pending;
        Sent            + ShortBalance  => Pending;
        Sent            + AccountClosed => RequiresAction;
        Open            + Repaid        => Succeeded ! P11, P18 !! P10;
        Open            + RefundRefused => Failed !! P11;
        Unknown         + AskAgain      => Unknown / SendBack, InquireRefund;
        Unknown         + RefundMissing => Unknown;
        Pending         + AskAgain      => Pending / SendBack, InquireRefund;
        Pending         + CancelRefund  => Cancelled ! P7 !! P11;
        RequiresAction  + PayOut        => Sending / SendBack;
        RequiresAction  + ActionDue     => Failed !! P11;
        Negative        + Repaid        => Succeeded ! P8, P11, P18 !! P9, P10;
        Succeeded       + Bounced       => Reversed !! P12, P11;
    }
    ignore { All + Begin; }
    alarm  {
        ApprovalPending + Accepted | ShortBalance | AccountClosed | RefundRefused | Repaid;
        ApprovalPending + Bounced; Open + Bounced; Negative + Bounced;
    }
}

#[allow(clippy::trivially_copy_pass_by_ref)] // the shape serde asks for
fn none(n: &u32) -> bool {
    *n == 0
}

/// What a refund is about; the same from its start to its end.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Back {
    /// The attempt whose money goes back.
    pub attempt: Key,
    /// Its channel.
    pub channel: Channel,
    /// Its reference at the channel.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reference: Option<String>,
    /// Minor units.
    pub amount_minor: i64,
    /// The account it was reserved from.
    pub source: Source,
    /// How many payouts were begun: each is an operation of its own.
    #[serde(default)]
    pub payouts: u32,
    /// Minor units of it that had been earned and were un-earned for it.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub unearned_minor: i64,
}

#[allow(clippy::trivially_copy_pass_by_ref)] // the shape serde asks for
fn is_zero(n: &i64) -> bool {
    *n == 0
}

data! {
    /// Reserved; waits for a second person.
    ApprovalPending { /** What it is about. */ back: Back, /** Who asked. */ by: Actor }
    /// Asked of the channel, no answer yet.
    Sending { /** What it is about. */ back: Back }
    /// Nobody knows. The amount stays reserved.
    Unknown {
        /** What it is about. */ back: Back,
        /** Inquiries made. */ asked: u32,
        /** How often the channel said that it does not have it, since it was last sent. */
        #[serde(default, skip_serializing_if = "none")] missing: u32,
        /** When the last inquiry was made to which it said so. */
        #[serde(default, skip_serializing_if = "Option::is_none")] absent_at: Option<Timestamp>,
    }
    /// Accepted, not final; or waiting for the merchant's balance.
    Pending {
        /** What it is about. */ back: Back,
        /** Inquiries made. */ asked: u32,
        /** Whether it must be sent again. */ resend: bool,
        /** Whether it was, and the channel may have it. */
        #[serde(default, skip_serializing_if = "std::ops::Not::not")] resent: bool,
    }
    /// The channel cannot pay it out: another way is needed.
    RequiresAction { /** What it is about. */ back: Back }
    /// Paid back.
    Succeeded { /** What it is about. */ back: Back }
    /// Not paid back; the customer is still owed.
    Failed { /** What it is about. */ back: Back, /** Why. */ why: String }
    /// Called off before it was sent.
    Cancelled { /** What it is about. */ back: Back }
    /// Paid back, and returned by the bank; the customer is still owed.
    Reversed { /** What it is about. */ back: Back }

    /// Asks for a refund. Refused above what is refundable on the channel, counting refunds in flight.
    Request {
        /** The attempt that took the money. */ attempt: Key,
        /** Its channel. */ channel: Channel,
        /** Its reference at the channel, where the adapter needs it. */
        #[serde(default, skip_serializing_if = "Option::is_none")] reference: Option<String>,
        /** Minor units, positive. */ amount_minor: i64,
        /** Why, for people. */ reason: String,
    }
    /// Begins a refund that another machine asked for.
    Begin {
        /** The attempt that took the money. */ attempt: Key,
        /** Its channel. */ channel: Channel,
        /** Its reference at the channel. */
        #[serde(default, skip_serializing_if = "Option::is_none")] reference: Option<String>,
        /** Minor units, positive. */ amount_minor: i64,
        /** The account it comes from. */ source: Source,
    }

    /// Gives money back.
    SendBack {
        /** The channel. */ channel: Channel,
        /** The attempt that took it. */ attempt: Key,
        /** The channel's reference of that attempt. */ reference: Option<String>,
        /** How much. */ amount: Money,
    }
    /// Asks what became of a refund.
    InquireRefund {
        /** The channel. */ channel: Channel,
        /** The attempt that took the money. */ attempt: Key,
        /** The channel's reference of that attempt. */ reference: Option<String>,
        /** How much was sent. */ amount: Money,
        /** Which payout. */ payout: u32,
    }

    /// The answer was lost.
    RefundLost { /** Why. */ why: String }
    /// The calls are used up.
    RefundGaveUp { /** Whether any may have arrived. */ sent: bool, /** Why. */ why: String }
    /// Accepted, not final.
    Accepted { /** The channel's reference of the refund. */ reference: String }
    /// Refused, for good.
    RefundRefused { /** The channel's code. */ code: String }
    /// Paid back.
    Repaid {
        /** The channel. */ channel: Channel,
        /** Its reference of the refund. */ reference: String,
        /** How much. */ amount: Money,
    }
    /// Returned by the bank after it had succeeded.
    Bounced {
        /** The channel. */ channel: Channel,
        /** Its reference of the refund. */ reference: String,
        /** How much. */ amount: Money,
    }
}

plain! {
    /// Lets a refund above the limit go, by another person than asked for it.
    ApproveRefund,
    /// Calls a refund off before the channel has it.
    CancelRefund,
    /// Sends a refund another way, under a new key.
    PayOut,
    /// The merchant's balance is short; the same refund is sent again later.
    ShortBalance,
    /// The account it goes to is closed.
    AccountClosed,
    /// The channel does not know the refund.
    RefundMissing,
    /// The second person's time is over.
    ApprovalDue,
    /// The answer should be here.
    AnswerDue,
    /// Time to ask again.
    AskAgain,
    /// The time to find another way is over.
    ActionDue,
}

quiet!(RefundLost, RefundGaveUp, RefundMissing, Accepted, ShortBalance, AccountClosed, RefundRefused);
guesses!(RefundLost; RefundGaveUp);

impl Evidence for Repaid {
    fn moved(&self) -> Moved {
        Moved::Out(self.channel.clone(), self.amount)
    }
    fn identity(&self) -> Option<String> {
        Some(format!("repaid {} {}", self.reference, self.amount))
    }
}
impl Evidence for Bounced {
    fn moved(&self) -> Moved {
        Moved::In(self.channel.clone(), self.amount)
    }
    fn identity(&self) -> Option<String> {
        Some(format!("bounced {} {}", self.reference, self.amount))
    }
}

use refund::{M, Negative, New, Open, Sent, State};

shared!(Open.back: Back = Sending | Unknown | Pending | RequiresAction);
shared!(Sent.back: Back = Sending | Unknown | Pending);
shared!(Negative.back: Back = Failed | Cancelled);

impl State {
    /// What the refund is about, whatever became of it.
    #[must_use]
    pub fn back(&self) -> &Back {
        match self {
            State::ApprovalPending(s) => &s.back,
            State::Sending(s) => &s.back,
            State::Unknown(s) => &s.back,
            State::Pending(s) => &s.back,
            State::RequiresAction(s) => &s.back,
            State::Succeeded(s) => &s.back,
            State::Failed(s) => &s.back,
            State::Cancelled(s) => &s.back,
            State::Reversed(s) => &s.back,
        }
    }
}

/// What a refund instance holds of its attempt's money: reserved or given back.
fn holds(state: &State) -> Option<&Back> {
    match state {
        State::ApprovalPending(s) => Some(&s.back),
        State::Sending(s) => Some(&s.back),
        State::Unknown(s) => Some(&s.back),
        State::Pending(s) => Some(&s.back),
        State::RequiresAction(s) => Some(&s.back),
        State::Succeeded(s) => Some(&s.back),
        State::Failed(_) | State::Cancelled(_) | State::Reversed(_) => None,
    }
}

/// Minor units of an attempt that are reserved for refunds or given back.
#[must_use]
pub fn given_back(view: &View<'_, M>, attempt: Key) -> i64 {
    view.instances()
        .filter_map(|(_, s)| holds(s))
        .filter(|b| b.attempt == attempt)
        .fold(0, |n: i64, b| n.saturating_add(b.amount_minor))
}

/// The key of the next refund.
#[must_use]
pub fn next_key(view: &View<'_, M>) -> Key {
    Key(view.instances().map(|(k, _)| k.0).max().unwrap_or(0).saturating_add(1))
}

fn send<R: Goto<Sending> + Row<M = M>>(back: Back, cx: &mut Cx<'_, R>) -> Next<R>
where
    SendBack: EmittedBy<R>,
{
    emit(&back, Again::Keyed, cx);
    until(cx.after_ms(cx.policy().answer_ms), Sending { back })
}

/// The same operation under the same key, however often it is sent, until another payout is begun.
fn emit<R: Row<M = M>>(back: &Back, why: Again, cx: &mut Cx<'_, R>)
where
    SendBack: EmittedBy<R>,
{
    let amount = Money::new(back.amount_minor, cx.order().total().currency());
    cx.want_again(
        why,
        back.payouts,
        SendBack {
            channel: back.channel.clone(),
            attempt: back.attempt,
            reference: back.reference.clone(),
            amount,
        },
    );
}

impl Decide<Request> for New {
    fn decide(&self, c: &Request, cx: &mut Cx<'_, Self::R>) -> Answer<Self::R> {
        if c.amount_minor <= 0 {
            return refuse("not_positive", "an amount is positive");
        }
        let refundable = cx.books().refundable(&c.channel);
        if c.amount_minor > refundable {
            return refuse(
                "exceeds_refundable",
                format!("{} asked, {refundable} refundable on {}", c.amount_minor, c.channel),
            );
        }
        // Money that nobody wants goes back first: it has no other use.
        let from_suspense = cx.books().suspense() >= c.amount_minor;
        let source = if from_suspense { Source::Suspense } else { Source::Cust };
        // What is given back of earned money is not earned any more.
        let short = c.amount_minor.saturating_sub(cx.books().owed().max(0)).max(0);
        let unearned_minor = if from_suspense { 0 } else { short.min(cx.books().earned()) };
        let back = Back {
            attempt: c.attempt,
            channel: c.channel.clone(),
            reference: c.reference.clone(),
            amount_minor: c.amount_minor,
            source,
            payouts: 0,
            unearned_minor,
        };
        cx.post(P8 { amount_minor: unearned_minor });
        cx.post(P9 { channel: c.channel.clone(), source, amount_minor: c.amount_minor });
        if cx.policy().approval_over_minor.is_some_and(|limit| c.amount_minor > limit) {
            let by = cx.by().clone();
            return Ok(until(cx.after_ms(cx.policy().approval_ms), ApprovalPending { back, by }));
        }
        Ok(send(back, cx))
    }
}
impl On<Begin> for New {
    fn on(&self, s: &Begin, cx: &mut Cx<'_, Self::R>) -> Next<Self::R> {
        cx.post(P9 { channel: s.channel.clone(), source: s.source, amount_minor: s.amount_minor });
        let back = Back {
            attempt: s.attempt,
            channel: s.channel.clone(),
            reference: s.reference.clone(),
            amount_minor: s.amount_minor,
            source: s.source,
            payouts: 0,
            unearned_minor: 0,
        };
        send(back, cx)
    }
}
impl Decide<ApproveRefund> for ApprovalPending {
    fn decide(&self, _: &ApproveRefund, cx: &mut Cx<'_, Self::R>) -> Answer<Self::R> {
        if *cx.by() == self.by {
            return refuse("four_eyes", "who asked for a refund cannot approve it");
        }
        Ok(send(self.back.clone(), cx))
    }
}

fn release<R: Row<M = M>>(back: &Back, cx: &mut Cx<'_, R>)
where
    P11: PostedBy<R>,
{
    cx.post(P11 { channel: back.channel.clone(), source: back.source, amount_minor: back.amount_minor });
}

/// Nobody is owed it after all: the books are as they were before it was asked for.
fn call_off<R: Row<M = M>>(back: &Back, cx: &mut Cx<'_, R>)
where
    P7: PostedBy<R>,
    P11: PostedBy<R>,
{
    release(back, cx);
    cx.post(P7 { amount_minor: back.unearned_minor });
}

impl Decide<CancelRefund> for ApprovalPending {
    fn decide(&self, _: &CancelRefund, cx: &mut Cx<'_, Self::R>) -> Answer<Self::R> {
        call_off(&self.back, cx);
        Ok(to(Cancelled { back: self.back.clone() }))
    }
}
impl On<ApprovalDue> for ApprovalPending {
    fn on(&self, _: &ApprovalDue, cx: &mut Cx<'_, Self::R>) -> Next<Self::R> {
        call_off(&self.back, cx);
        if cx.life() == Life::Cancelling {
            cx.hold("refund_lapsed", "nobody approved a refund; the customer is still owed");
        }
        to(Cancelled { back: self.back.clone() })
    }
}

fn unknown<R: Goto<Unknown> + Row<M = M>>(back: &Back, cx: &Cx<'_, R>) -> Next<R> {
    let lost = Unknown { back: back.clone(), asked: 0, missing: 0, absent_at: None };
    until(cx.after_ms(cx.policy().wait_ms(0)), lost)
}
impl On<RefundLost> for Sending {
    fn on(&self, _: &RefundLost, cx: &mut Cx<'_, Self::R>) -> Next<Self::R> {
        unknown(&self.back, cx)
    }
}
impl On<AnswerDue> for Sending {
    fn on(&self, _: &AnswerDue, cx: &mut Cx<'_, Self::R>) -> Next<Self::R> {
        unknown(&self.back, cx)
    }
}
impl On<RefundGaveUp> for Sending {
    fn on(&self, e: &RefundGaveUp, cx: &mut Cx<'_, Self::R>) -> Next<Self::R> {
        if e.sent {
            return unknown(&self.back, cx);
        }
        release(&self.back, cx);
        cx.hold("refund_failed", "the channel cannot be reached; the customer is still owed");
        to(Failed { back: self.back.clone(), why: e.why.clone() })
    }
}
/// Inquiries made while pending: those of an unknown outcome start anew once the channel has answered.
fn inquiries(s: &Sent) -> u32 {
    match s {
        Sent::Pending(s) => s.asked,
        Sent::Sending(_) | Sent::Unknown(_) => 0,
    }
}
impl On<Accepted> for Sent {
    fn on(&self, _: &Accepted, cx: &mut Cx<'_, Self::R>) -> Next<Self::R> {
        let (back, asked) = (self.back().clone(), inquiries(self));
        until(cx.after_ms(cx.policy().wait_ms(asked)), Pending { back, asked, resend: false, resent: false })
    }
}
impl On<ShortBalance> for Sent {
    fn on(&self, _: &ShortBalance, cx: &mut Cx<'_, Self::R>) -> Next<Self::R> {
        // Once accepted it is on its way, whatever an older call of ours comes back with.
        let resend = !matches!(self, Sent::Pending(s) if !s.resend);
        let (back, asked) = (self.back().clone(), inquiries(self));
        until(cx.after_ms(cx.policy().wait_ms(asked)), Pending { back, asked, resend, resent: false })
    }
}
impl On<AccountClosed> for Sent {
    fn on(&self, _: &AccountClosed, cx: &mut Cx<'_, Self::R>) -> Next<Self::R> {
        cx.hold("refund_blocked", "the account is closed; another way to pay out is needed");
        until(cx.after_ms(cx.policy().action_ms), RequiresAction { back: self.back().clone() })
    }
}
impl On<Repaid> for Open {
    fn on(&self, e: &Repaid, cx: &mut Cx<'_, Self::R>) -> Next<Self::R> {
        let back = self.back().clone();
        to(Succeeded { back: settle(back, e, cx) })
    }
}

/// Books what was paid back. Less than was reserved leaves the rest owed, more is unexplained: a person hears of both.
fn settle<R: Row<M = M>>(back: Back, e: &Repaid, cx: &mut Cx<'_, R>) -> Back
where
    P10: PostedBy<R>,
    P11: PostedBy<R>,
    P18: PostedBy<R>,
{
    let same = e.amount.currency() == cx.order().total().currency();
    let paid = if same { e.amount.minor().max(0) } else { back.amount_minor };
    let amount_minor = paid.min(back.amount_minor);
    if !same || e.amount.minor() != back.amount_minor {
        cx.hold("refund_mismatch", format!("{} paid back in place of {}", e.amount, back.amount_minor));
    }
    cx.post(P10 { channel: back.channel.clone(), amount_minor });
    cx.post(P11 {
        channel: back.channel.clone(),
        source: back.source,
        amount_minor: back.amount_minor.saturating_sub(amount_minor),
    });
    cx.post(P18 { channel: back.channel.clone(), amount_minor: paid.saturating_sub(amount_minor) });
    Back { amount_minor, ..back }
}

impl On<RefundRefused> for Open {
    fn on(&self, e: &RefundRefused, cx: &mut Cx<'_, Self::R>) -> Next<Self::R> {
        release(self.back(), cx);
        cx.hold("refund_failed", format!("refused with {}; the customer is still owed", e.code));
        to(Failed { back: self.back().clone(), why: e.code.clone() })
    }
}

/// Asks again, or sends again under the same key where the channel has never taken it.
fn again<R: Row<M = M>>(back: &Back, n: u32, resend: Option<Again>, cx: &mut Cx<'_, R>)
where
    SendBack: EmittedBy<R>,
    InquireRefund: EmittedBy<R>,
{
    if let Some(why) = resend {
        emit(back, why, cx);
        return;
    }
    let amount = Money::new(back.amount_minor, cx.order().total().currency());
    cx.want_nth(
        n,
        InquireRefund {
            channel: back.channel.clone(),
            attempt: back.attempt,
            reference: back.reference.clone(),
            amount,
            payout: back.payouts,
        },
    );
}

impl On<AskAgain> for Unknown {
    fn on(&self, _: &AskAgain, cx: &mut Cx<'_, Self::R>) -> Next<Self::R> {
        let asked = self.asked.saturating_add(1);
        // Every other time the refund itself goes out again: same key, same body, so it moves money at most once while
        // its key is kept. After that it goes out only where the channel does not have it; the first call may still be
        // on its way, so only the second "not there" is believed.
        let enough = if planted(Mutant::FirstNotFoundTrusted) { 1 } else { 2 };
        let absent = self.absent_at.filter(|_| self.missing >= enough);
        let resend = asked.is_multiple_of(2).then(|| absent.map_or(Again::Keyed, Again::Missing));
        again(&self.back, asked, resend, cx);
        if asked == cx.policy().inquiries {
            cx.hold("reconcile", "the channel does not say what became of a refund");
        }
        let wait = cx.policy().wait_ms(asked);
        let missing = if matches!(resend, Some(Again::Missing(_))) { 0 } else { self.missing };
        until(cx.after_ms(wait), Unknown { asked, missing, ..self.clone() })
    }
}
impl On<RefundMissing> for Unknown {
    fn on(&self, _: &RefundMissing, cx: &mut Cx<'_, Self::R>) -> Next<Self::R> {
        let absent_at = Some(cx.asked_at());
        stay(Unknown { missing: self.missing.saturating_add(1), absent_at, ..self.clone() })
    }
}
impl On<AskAgain> for Pending {
    fn on(&self, _: &AskAgain, cx: &mut Cx<'_, Self::R>) -> Next<Self::R> {
        let asked = self.asked.saturating_add(1);
        again(&self.back, asked, self.resend.then_some(Again::Keyed), cx);
        if asked == cx.policy().inquiries {
            cx.hold("reconcile", "a refund has been pending for too long");
        }
        let wait = cx.policy().wait_ms(asked);
        let resent = self.resend || self.resent;
        until(cx.after_ms(wait), Pending { asked, resent, ..self.clone() })
    }
}
impl Decide<CancelRefund> for Pending {
    fn decide(&self, _: &CancelRefund, cx: &mut Cx<'_, Self::R>) -> Answer<Self::R> {
        if !self.resend || self.resent {
            return refuse("at_the_channel", "the channel may have it; its answer decides");
        }
        call_off(&self.back, cx);
        Ok(to(Cancelled { back: self.back.clone() }))
    }
}
impl Decide<PayOut> for RequiresAction {
    fn decide(&self, _: &PayOut, cx: &mut Cx<'_, Self::R>) -> Answer<Self::R> {
        let payouts = self.back.payouts.saturating_add(1);
        Ok(send(Back { payouts, ..self.back.clone() }, cx))
    }
}
impl On<ActionDue> for RequiresAction {
    fn on(&self, _: &ActionDue, cx: &mut Cx<'_, Self::R>) -> Next<Self::R> {
        release(&self.back, cx);
        cx.hold("refund_failed", "nobody found another way; the customer is still owed");
        to(Failed { back: self.back.clone(), why: "no other way was found".to_owned() })
    }
}
impl On<Repaid> for Negative {
    fn on(&self, e: &Repaid, cx: &mut Cx<'_, Self::R>) -> Next<Self::R> {
        let back = self.back().clone();
        if matches!(self, Negative::Cancelled(_)) {
            cx.post(P8 { amount_minor: back.unearned_minor });
        }
        cx.post(P9 { channel: back.channel.clone(), source: back.source, amount_minor: back.amount_minor });
        to(Succeeded { back: settle(back, e, cx) })
    }
}
impl On<Bounced> for Succeeded {
    fn on(&self, e: &Bounced, cx: &mut Cx<'_, Self::R>) -> Next<Self::R> {
        let channel = self.back.channel.clone();
        cx.post(P12 { channel, amount_minor: self.back.amount_minor });
        release(&self.back, cx);
        cx.hold("refund_bounced", format!("{} came back; the customer is still owed", e.amount));
        to(Reversed { back: self.back.clone() })
    }
}
