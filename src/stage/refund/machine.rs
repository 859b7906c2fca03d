//! One refund.

use serde::{Deserialize, Serialize};

use super::policy::RefundPolicy;
use crate::clock::Timestamp;
use crate::id::{Actor, Channel, Key, OpKey, Role};
use crate::ledger::{P5, P7, P8, P9, P10, P11, P12, P18, Source};
use crate::machine::{
    Again, Answer, AskedBy, Cx, Decide, EmittedBy, Evidence, Fold, Gates, Goto, Life, Moved, Next, On,
    PostedBy, Refusal, Row, View, refuse, stay, to, until,
};
use crate::money::Money;
use crate::order::Relief;
use crate::planted::{Mutant, planted};
use crate::stage::approval::{self, Conceded};
use crate::stage::proof::{Unwaive, Waive};
use crate::stage::{data, guesses, plain, quiet, shared};

crate::machine! {
    /// One refund (section 2.7 of the order domain).
    ///
    /// Ranks: 0 a local guess, 1 not final, 2 final and negative, 3 paid back, 4 paid back and returned by the bank.
    pub mod refund = "refund" v 4;
    policy RefundPolicy;
    yields Conceded;
    effects {
        SendBack while Sent  => done Repaid | Accepted | ShortBalance,
                                declined RefundRefused, unknown RefundLost, exhausted RefundGaveUp;
        InquireRefund (read) => done Repaid | Accepted | AccountClosed | RefundMissing,
                                declined RefundRefused, unknown RefundLost, exhausted RefundGaveUp;
    }
    asks { Waive, Unwaive }
    inputs {
        command Request, ApproveRefund, CancelRefund, PayOut, SettleRefund;
        outcome RefundLost @0, RefundGaveUp @0, RefundMissing @0, Accepted @1, ShortBalance @1, AccountClosed @1,
                RefundRefused @2, Repaid @3, Bounced @4;
        timer   ApprovalDue, AnswerDue, AskAgain, ActionDue;
        signal  Begin, Record;
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
        NotPaid  = Failed | Reversed;
        All      = ApprovalPending | Sending | Unknown | Pending | RequiresAction | Succeeded | Failed
                 | Cancelled | Reversed;
    }
    rows {
        New             + Request       => Sending | ApprovalPending / SendBack ! P8 !! P9 ? Waive;
        New             + Begin         => Sending | ApprovalPending / SendBack !! P9;
        New             + Record        => Succeeded ! P8, P18 !! P9, P10 ? Waive;
        ApprovalPending + ApproveRefund => Sending / SendBack;
        ApprovalPending + CancelRefund  => Cancelled ! P7 !! P11 ? Unwaive;
        ApprovalPending + ApprovalDue   => Cancelled ! P7 !! P11 ? Unwaive;
        Sending         + RefundLost    => Unknown;
        Sending         + AnswerDue     => Unknown;
        Sending         + RefundGaveUp  => Failed | Unknown ! P11;
        Sent            + Accepted      => Pending;
        Sent            + ShortBalance  => Pending;
        Sent            + AccountClosed => RequiresAction;
        Open            + Repaid        => Succeeded | Sending | Unknown | Pending | RequiresAction
                                         ! P11, P18 !! P10;
        Open            + Bounced       => Succeeded | Reversed | Sending | Unknown | Pending | RequiresAction
                                         ! P5, P10, P11, P12;
        Open            + RefundRefused => Failed !! P11;
        Open            + SettleRefund  => Succeeded | Failed | Sending | Unknown | Pending | RequiresAction
                                         ! P10, P11;
        Unknown         + AskAgain      => Unknown / SendBack, InquireRefund;
        Unknown         + RefundMissing => Unknown;
        Pending         + AskAgain      => Pending / SendBack, InquireRefund;
        Pending         + CancelRefund  => Cancelled ! P7 !! P11 ? Unwaive;
        RequiresAction  + PayOut        => Sending | ApprovalPending / SendBack;
        RequiresAction  + ActionDue     => Failed !! P11;
        NotPaid         + PayOut        => Sending | ApprovalPending / SendBack !! P9;
        Negative        + Repaid        => Succeeded | Failed | Cancelled ! P8, P9, P10, P11, P18
                                         ? Waive;
        Negative        + Bounced       => Succeeded | Reversed | Failed | Cancelled ! P5, P8, P9, P10, P11, P12
                                         ? Waive;
        Succeeded       + Repaid        => Succeeded ! P9, P10, P11, P12, P18;
        Succeeded       + Bounced       => Succeeded | Reversed ! P5, P11, P12;
        Reversed        + Repaid        => Reversed ! P18;
    }
    ignore { All + Begin | Record; }
    alarm  {
        ApprovalPending + Accepted | ShortBalance | AccountClosed | RefundRefused | Repaid | Bounced;
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
    /// What the customer was let off with it: due again should it be called off.
    #[serde(default, skip_serializing_if = "Relief::is_empty")]
    pub relief: Relief,
    /// Minor units of it that had been earned and were un-earned for it.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub unearned_minor: i64,
    /// The person who gave it up without a second one. `None` where the pipeline did, or two people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alone: Option<Actor>,
    /// Another way to pay it out than back over the payment, in the channel's words; a person named it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub way: Option<String>,
    /// What a person says became of it, while a second one must agree.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub word: Option<Word>,
}

/// What a person saw of a refund at the provider.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Saw {
    /// It was paid back.
    PaidBack {
        /// Minor units, at most what was asked.
        amount_minor: i64,
    },
    /// It was not, and never will be.
    NotPaid,
}

/// A person's word of what became of a refund.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Word {
    /// What they saw.
    pub saw: Saw,
    /// Who says so.
    pub by: Actor,
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
    /// Paid back, and still with the customer, but for what came back.
    Succeeded {
        /** What it is about; its amount is what was paid back. */ back: Back,
        /** Minor units of it that the bank returned. */
        #[serde(default, skip_serializing_if = "is_zero")] bounced_minor: i64,
        /** Minor units that were asked and not paid back. */
        #[serde(default, skip_serializing_if = "is_zero")] short_minor: i64,
        /** Whether a person said so, and the channel has not yet. */
        #[serde(default, skip_serializing_if = "std::ops::Not::not")] by_word: bool,
    }
    /// Not paid back; the customer is still owed.
    Failed { /** What it is about. */ back: Back, /** Why. */ why: String }
    /// Called off before it was sent.
    Cancelled { /** What it is about. */ back: Back }
    /// Paid back, and returned by the bank; the customer is still owed.
    Reversed {
        /** What it is about. */ back: Back,
        /** Whether the channel has not said yet that it was paid back. */
        #[serde(default, skip_serializing_if = "std::ops::Not::not")] unsaid: bool,
    }

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
        /** The person who gave it up without a second one, where somebody did. */ alone: Option<Actor>,
        /** What the customer was let off with it. */
        #[serde(default, skip_serializing_if = "Relief::is_empty")] relief: Relief,
    }

    /// Books a refund that was made without the library, in the provider's console.
    Record {
        /** The attempt whose money went back, 0 where nobody says. */ attempt: Key,
        /** The channel. */ channel: Channel,
        /** The channel's reference of the refund. */ reference: String,
        /** How much. */ amount: Money,
    }
    /// Sends a refund another way, under a new key: one that cannot be paid out, was refused, or came back whole.
    /// Refused where the customer is not owed it any more.
    PayOut {
        /** The way, as the adapter knows it, of 1 to 128 bytes: a token of an account, a voucher. */ way: String,
    }
    /// Settles a refund by what a person saw at the provider, where the channel does not say. Above the limit of the
    /// policy, two people must say the same.
    SettleRefund {
        /** What they saw. */ saw: Saw,
        /** What shows it, for people, of 1 to 1,024 bytes: where they looked, and what it said. */ proof: String,
    }

    /// Gives money back.
    SendBack {
        /** The channel. */ channel: Channel,
        /** The attempt that took it. */ attempt: Key,
        /** The channel's reference of that attempt. */ reference: Option<String>,
        /** How much. */ amount: Money,
        /** Which payout of this refund it is, from 0: each is a key of its own. */
        #[serde(default, skip_serializing_if = "none")] payout: u32,
        /** Another way than back over the payment, where a person named one. */
        #[serde(default, skip_serializing_if = "Option::is_none")] way: Option<String>,
    }
    /// Asks what became of a refund.
    InquireRefund {
        /** The channel. */ channel: Channel,
        /** The attempt that took the money. */ attempt: Key,
        /** The channel's reference of that attempt. */ reference: Option<String>,
        /** How much was sent. */ amount: Money,
        /** Which payout. */ payout: u32,
        /** The key that it was sent under: what to look it up by. */ key: OpKey,
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
        /** Its own reference of this movement, the same however often it is told. */ reference: String,
        /** How much. */ amount: Money,
    }
    /// Returned by the bank after it had succeeded, in whole or in part.
    Bounced {
        /** The channel. */ channel: Channel,
        /** Its own reference of this movement: two parts of one refund have two. */ reference: String,
        /** How much. */ amount: Money,
    }
}

plain! {
    /// Lets a refund above the limit go, by another person than asked for it.
    ApproveRefund,
    /// Calls a refund off before the channel has it.
    CancelRefund,
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

use refund::{M, Negative, New, NotPaid, Open, Sent, State};

shared!(Open.back: Back = Sending | Unknown | Pending | RequiresAction);
shared!(Sent.back: Back = Sending | Unknown | Pending);
shared!(Negative.back: Back = Failed | Cancelled);
shared!(NotPaid.back: Back = Failed | Reversed);

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

/// Minor units that a refund instance holds of its attempt's money: reserved, or with the customer.
fn holds(state: &State) -> i64 {
    match state {
        State::ApprovalPending(s) => s.back.amount_minor,
        State::Sending(s) => s.back.amount_minor,
        State::Unknown(s) => s.back.amount_minor,
        State::Pending(s) => s.back.amount_minor,
        State::RequiresAction(s) => s.back.amount_minor,
        State::Succeeded(s) => s.back.amount_minor.saturating_sub(s.bounced_minor),
        State::Failed(_) | State::Cancelled(_) | State::Reversed(_) => 0,
    }
}

fn held(view: &View<'_, M>, of: impl Fn(&Back) -> bool) -> i64 {
    let of = view.instances().filter(|(_, s)| of(s.back()));
    of.fold(0, |n: i64, (_, s)| n.saturating_add(holds(s)))
}

/// Minor units of an attempt that are reserved for refunds or given back.
#[must_use]
pub fn given_back(view: &View<'_, M>, attempt: Key) -> i64 {
    held(view, |back| back.attempt == attempt)
}

/// Minor units that people gave up of the order, each without a second person: what [`Conceded`] tells the others.
#[must_use]
pub fn conceded(view: &View<'_, M>) -> i64 {
    held(view, |back| back.alone.is_some())
}

impl Fold<Conceded> for M {
    fn fold(v: &View<'_, Self>) -> Option<Conceded> {
        Some(Conceded { alone_minor: conceded(v) })
    }
}

/// The key of the next refund: the lowest that is free.
#[must_use]
pub fn next_key(view: &View<'_, M>) -> Key {
    view.next_free(0)
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
            payout: back.payouts,
            way: back.way.clone(),
        },
    );
}

/// Sends it, or waits for a second person first.
fn send_or_wait<R>(back: Back, alone: bool, cx: &mut Cx<'_, R>) -> Next<R>
where
    R: Goto<Sending> + Goto<ApprovalPending> + Row<M = M>,
    SendBack: EmittedBy<R>,
{
    let by = cx.by().clone();
    if alone {
        return send(back, cx);
    }
    until(cx.after_ms(cx.policy().approval_ms), ApprovalPending { back: Back { alone: None, ..back }, by })
}

/// Refuses a text that says nothing, or too much.
fn said(what: &'static str, text: &str, most: usize) -> Result<(), Refusal> {
    if text.trim().is_empty() || text.len() > most {
        return Err(Refusal { code: what, detail: format!("a text of 1 to {most} bytes is needed") });
    }
    Ok(())
}

/// The account that an amount comes from, what the customer is let off with it, and how much of it is not earned any
/// more.
fn origin<R: Row<M = M>>(amount_minor: i64, cx: &Cx<'_, R>) -> (Source, Relief, i64) {
    let books = cx.books();
    // Money that nobody wants goes back first: it has no other use.
    if books.suspense() >= amount_minor {
        return (Source::Suspense, Relief::default(), 0);
    }
    match cx.life() {
        // What goes back lowers the price; what carries the price un-earns it.
        Life::Placed | Life::Cancelling | Life::Completed | Life::Closed => {
            (Source::Cust, cx.lowered(amount_minor), 0)
        }
        // Of an order that has ended nothing is due: what is given back of earned money is not earned any more.
        Life::Ended => {
            let short = amount_minor.saturating_sub(books.owed().max(0)).max(0);
            (Source::Cust, Relief::default(), short.min(books.earned()).max(0))
        }
    }
}
fn let_off<R: Row<M = M>>(relief: &Relief, reason: &str, cx: &mut Cx<'_, R>)
where
    Waive: AskedBy<R>,
{
    if !relief.is_empty() {
        cx.ask(Waive { relief: relief.clone(), goes_back: false, reason: reason.to_owned() });
    }
}

impl Decide<Request> for New {
    fn decide(&self, c: &Request, cx: &mut Cx<'_, Self::R>) -> Answer<Self::R> {
        if c.amount_minor <= 0 {
            return refuse("not_positive", "an amount is positive");
        }
        if cx.by().role() == Role::Customer {
            let hers = |back: &Back| back.alone.as_ref().is_some_and(|by| by.role() == Role::Customer);
            let (before, most) = (held(cx.siblings(), hers), cx.policy().customer_minor);
            if before.saturating_add(c.amount_minor) > most {
                return refuse(
                    "above_policy",
                    format!(
                        "{} asked and {before} before, {most} allowed: ask for a return, or the shop",
                        c.amount_minor
                    ),
                );
            }
        }
        let refundable = cx.books().refundable(&c.channel);
        if c.amount_minor > refundable {
            return refuse(
                "exceeds_refundable",
                format!("{} asked, {refundable} refundable on {}", c.amount_minor, c.channel),
            );
        }
        let (source, relief, unearned_minor) = origin(c.amount_minor, cx);
        let_off(&relief, &c.reason, cx);
        let back = Back {
            attempt: c.attempt,
            channel: c.channel.clone(),
            reference: c.reference.clone(),
            amount_minor: c.amount_minor,
            source,
            payouts: 0,
            relief,
            unearned_minor,
            alone: Some(cx.by().clone()),
            way: None,
            word: None,
        };
        cx.post(P8 { amount_minor: unearned_minor });
        cx.post(P9 { channel: c.channel.clone(), source, amount_minor: c.amount_minor });
        let before = conceded(cx.siblings());
        let alone = approval::alone(cx.policy().approval_over_minor, before, c.amount_minor);
        Ok(send_or_wait(back, alone, cx))
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
            relief: s.relief.clone(),
            unearned_minor: 0,
            alone: s.alone.clone(),
            way: None,
            word: None,
        };
        // What a person asked for counts against what people may give alone, as their other refunds do.
        let before = conceded(cx.siblings());
        let limit = cx.policy().approval_over_minor;
        let alone = s.alone.is_none() || approval::alone(limit, before, s.amount_minor);
        send_or_wait(back, alone, cx)
    }
}
impl On<Record> for New {
    fn on(&self, s: &Record, cx: &mut Cx<'_, Self::R>) -> Next<Self::R> {
        let same = s.amount.currency() == cx.order().total().currency();
        let gone = if same { s.amount.minor().max(0) } else { 0 };
        let amount_minor = gone.min(cx.books().refundable(&s.channel));
        let (source, relief, unearned_minor) = origin(amount_minor, cx);
        let_off(&relief, "given back without the library", cx);
        cx.post(P8 { amount_minor: unearned_minor });
        cx.post(P9 { channel: s.channel.clone(), source, amount_minor });
        cx.post(P10 { channel: s.channel.clone(), amount_minor });
        cx.post(P18 { channel: s.channel.clone(), amount_minor: gone.saturating_sub(amount_minor) });
        let told = format!("{} went back over {} without the library: {}", s.amount, s.channel, s.reference);
        if same && gone == amount_minor {
            cx.remind("refund_outside", told);
        } else {
            cx.hold_for(Gates::Money, "refund_outside", format!("{told}; {amount_minor} could be booked so"));
        }
        let back = Back {
            attempt: s.attempt,
            channel: s.channel.clone(),
            reference: None,
            amount_minor,
            source,
            payouts: 0,
            relief,
            unearned_minor,
            alone: None,
            way: None,
            word: None,
        };
        to(Succeeded { back, bounced_minor: 0, short_minor: 0, by_word: false })
    }
}
impl Decide<ApproveRefund> for ApprovalPending {
    fn decide(&self, _: &ApproveRefund, cx: &mut Cx<'_, Self::R>) -> Answer<Self::R> {
        approval::second(&self.by, cx.by())?;
        // What was reserved days ago may have been taken back since.
        let over = cx.books().overdrawn(&self.back.channel);
        if over > 0 {
            return refuse(
                "exceeds_refundable",
                format!("{} are promised on {} beyond what was captured there", over, self.back.channel),
            );
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
    Unwaive: AskedBy<R>,
{
    release(back, cx);
    if !back.relief.is_empty() {
        cx.ask(Unwaive { relief: back.relief.clone() });
    }
    cx.post(P7 { amount_minor: back.unearned_minor });
}

/// The customer calls off what she asked for herself.
fn hers<R: Row<M = M>>(asked_by: Option<&Actor>, cx: &Cx<'_, R>) -> Result<(), Refusal> {
    if cx.by().role() == Role::Customer && !asked_by.is_some_and(|by| by.same_person(cx.by())) {
        return Err(Refusal { code: "not_asked_by", detail: format!("{} did not ask for it", cx.by()) });
    }
    Ok(())
}

impl Decide<CancelRefund> for ApprovalPending {
    fn decide(&self, _: &CancelRefund, cx: &mut Cx<'_, Self::R>) -> Answer<Self::R> {
        hers(Some(&self.by), cx)?;
        call_off(&self.back, cx);
        Ok(to(Cancelled { back: self.back.clone() }))
    }
}
impl On<ApprovalDue> for ApprovalPending {
    fn on(&self, _: &ApprovalDue, cx: &mut Cx<'_, Self::R>) -> Next<Self::R> {
        call_off(&self.back, cx);
        if cx.life() == Life::Cancelling || self.back.payouts > 0 {
            cx.remind("refund_lapsed", "nobody approved a refund; the customer is still owed");
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
        cx.remind("refund_failed", "the channel cannot be reached; the customer is still owed");
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
        cx.remind("refund_blocked", "the account is closed; another way to pay out is needed");
        until(cx.after_ms(cx.policy().action_ms), RequiresAction { back: self.back().clone() })
    }
}

/// Keeps the state and its instants.
macro_rules! unmoved {
    ($group:ident: $($state:ident)|+ = $of:expr) => {
        match $of.clone() { $($group::$state(s) => stay(s)),+ }
    };
}

/// Minor units that moved and are not this refund's: they moved over another channel, or in another currency, of which
/// the books hold none. A person hears of them. `None` where they are.
fn strange<R: Row<M = M>>(
    what: &str,
    back: &Back,
    channel: &Channel,
    amount: Money,
    cx: &mut Cx<'_, R>,
) -> Option<i64> {
    let same = amount.currency() == cx.order().total().currency();
    if same && *channel == back.channel {
        return None;
    }
    cx.hold_for(
        Gates::Money,
        "refund_mismatch",
        format!(
            "{amount} {what} over {channel}; the refund is of {} over {}",
            back.amount_minor, back.channel
        ),
    );
    Some(if same { amount.minor().max(0) } else { 0 })
}

impl On<Repaid> for Open {
    fn on(&self, e: &Repaid, cx: &mut Cx<'_, Self::R>) -> Next<Self::R> {
        if let Some(amount_minor) = strange("paid back", self.back(), &e.channel, e.amount, cx) {
            cx.post(P10 { channel: e.channel.clone(), amount_minor: 0 });
            cx.post(P18 { channel: e.channel.clone(), amount_minor });
            return unmoved!(Open: Sending | Unknown | Pending | RequiresAction = self);
        }
        to(settle(self.back().clone(), e, cx))
    }
}

/// Books what was paid back. Less than was reserved leaves the rest owed, more is unexplained: a person hears of both.
fn settle<R: Row<M = M>>(back: Back, e: &Repaid, cx: &mut Cx<'_, R>) -> Succeeded
where
    P10: PostedBy<R>,
    P11: PostedBy<R>,
    P18: PostedBy<R>,
{
    let paid = e.amount.minor().max(0);
    let amount_minor = paid.min(back.amount_minor);
    let short_minor = back.amount_minor.saturating_sub(amount_minor);
    if paid != back.amount_minor {
        let detail = format!("{} paid back in place of {}", e.amount, back.amount_minor);
        cx.hold_for(Gates::Money, "refund_mismatch", detail);
    }
    cx.post(P10 { channel: back.channel.clone(), amount_minor });
    cx.post(P11 { channel: back.channel.clone(), source: back.source, amount_minor: short_minor });
    cx.post(P18 { channel: back.channel.clone(), amount_minor: paid.saturating_sub(amount_minor) });
    Succeeded { back: Back { amount_minor, ..back }, bounced_minor: 0, short_minor, by_word: false }
}

impl On<RefundRefused> for Open {
    fn on(&self, e: &RefundRefused, cx: &mut Cx<'_, Self::R>) -> Next<Self::R> {
        release(self.back(), cx);
        cx.remind("refund_failed", format!("refused with {}; the customer is still owed", e.code));
        to(Failed { back: self.back().clone(), why: e.code.clone() })
    }
}

impl Decide<SettleRefund> for Open {
    fn decide(&self, c: &SettleRefund, cx: &mut Cx<'_, Self::R>) -> Answer<Self::R> {
        said("proof", &c.proof, 1_024)?;
        let asked = self.back().amount_minor;
        let paid = match c.saw {
            Saw::PaidBack { amount_minor } if (1..=asked).contains(&amount_minor) => amount_minor,
            Saw::PaidBack { amount_minor } => {
                return refuse("exceeds_refund", format!("{amount_minor} seen, 1 to {asked} were asked"));
            }
            Saw::NotPaid => 0,
        };
        let word = match &self.back().word {
            Some(first) if first.saw == c.saw => {
                approval::second(&first.by, cx.by())?;
                Some(first.clone())
            }
            _ if approval::alone(cx.policy().approval_over_minor, 0, asked) => None,
            _ => {
                // The word of one person changes nothing yet, and another word begins anew.
                let word = Some(Word { saw: c.saw.clone(), by: cx.by().clone() });
                let mut is = self.clone();
                match &mut is {
                    Open::Sending(s) => s.back.word = word,
                    Open::Unknown(s) => s.back.word = word,
                    Open::Pending(s) => s.back.word = word,
                    Open::RequiresAction(s) => s.back.word = word,
                }
                return Ok(unmoved!(Open: Sending | Unknown | Pending | RequiresAction = is));
            }
        };
        let back = Back { word, ..self.back().clone() };
        if paid == 0 {
            release(&back, cx);
            cx.remind("refund_failed", format!("{} saw that it was not paid back: {}", cx.by(), c.proof));
            return Ok(to(Failed { back, why: c.proof.clone() }));
        }
        let short_minor = asked.saturating_sub(paid);
        cx.post(P10 { channel: back.channel.clone(), amount_minor: paid });
        cx.post(P11 { channel: back.channel.clone(), source: back.source, amount_minor: short_minor });
        let back = Back { amount_minor: paid, ..back };
        Ok(to(Succeeded { back, bounced_minor: 0, short_minor, by_word: true }))
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
            key: cx.op_key::<SendBack>(back.payouts),
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
            cx.remind("reconcile", "the channel does not say what became of a refund");
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
            cx.remind("reconcile", "a refund has been pending for too long");
        }
        let wait = cx.policy().wait_ms(asked);
        let resent = self.resend || self.resent;
        until(cx.after_ms(wait), Pending { asked, resent, ..self.clone() })
    }
}
impl Decide<CancelRefund> for Pending {
    fn decide(&self, _: &CancelRefund, cx: &mut Cx<'_, Self::R>) -> Answer<Self::R> {
        hers(self.back.alone.as_ref(), cx)?;
        if !self.resend || self.resent {
            return refuse("at_the_channel", "the channel may have it; its answer decides");
        }
        call_off(&self.back, cx);
        Ok(to(Cancelled { back: self.back.clone() }))
    }
}

/// The same refund another way, as an operation of its own. The money goes somewhere else than it came from, so that a
/// second person looks at it above the limit.
fn pay_out<R>(back: &Back, c: &PayOut, cx: &mut Cx<'_, R>) -> Answer<R>
where
    R: Goto<Sending> + Goto<ApprovalPending> + Row<M = M>,
    SendBack: EmittedBy<R>,
{
    said("way", &c.way, 128)?;
    let alone = approval::alone(cx.policy().approval_over_minor, 0, back.amount_minor);
    let payouts = back.payouts.saturating_add(1);
    let back = Back { payouts, way: Some(c.way.clone()), word: None, ..back.clone() };
    Ok(send_or_wait(back, alone, cx))
}
impl Decide<PayOut> for RequiresAction {
    fn decide(&self, c: &PayOut, cx: &mut Cx<'_, Self::R>) -> Answer<Self::R> {
        pay_out(&self.back, c, cx)
    }
}
impl Decide<PayOut> for NotPaid {
    fn decide(&self, c: &PayOut, cx: &mut Cx<'_, Self::R>) -> Answer<Self::R> {
        let back = self.back();
        let amount_minor = back.amount_minor;
        let owed = match back.source {
            Source::Suspense => cx.books().suspense(),
            Source::Cust | Source::Fee | Source::Loss => cx.books().owed(),
        };
        let most = owed.min(cx.books().refundable(&back.channel));
        if amount_minor > most {
            return refuse(
                "exceeds_refundable",
                format!("{amount_minor} failed to go back, {most} are still owed"),
            );
        }
        cx.post(P9 { channel: back.channel.clone(), source: back.source, amount_minor });
        pay_out(back, c, cx)
    }
}
impl On<ActionDue> for RequiresAction {
    fn on(&self, _: &ActionDue, cx: &mut Cx<'_, Self::R>) -> Next<Self::R> {
        release(&self.back, cx);
        cx.remind("refund_failed", "nobody found another way; the customer is still owed");
        to(Failed { back: self.back.clone(), why: "no other way was found".to_owned() })
    }
}

/// Takes back that a refund was given up: it was carried out all the same.
fn revive<R: Row<M = M>>(negative: &Negative, cx: &mut Cx<'_, R>)
where
    P8: PostedBy<R>,
    P9: PostedBy<R>,
    Waive: AskedBy<R>,
{
    let back = negative.back();
    if matches!(negative, Negative::Cancelled(_)) {
        let_off(&back.relief, "paid back after it was called off", cx);
        cx.post(P8 { amount_minor: back.unearned_minor });
    }
    cx.post(P9 { channel: back.channel.clone(), source: back.source, amount_minor: back.amount_minor });
}
impl On<Repaid> for Negative {
    fn on(&self, e: &Repaid, cx: &mut Cx<'_, Self::R>) -> Next<Self::R> {
        if let Some(amount_minor) = strange("paid back", self.back(), &e.channel, e.amount, cx) {
            cx.post(P18 { channel: e.channel.clone(), amount_minor });
            return unmoved!(Negative: Failed | Cancelled = self);
        }
        revive(self, cx);
        to(settle(self.back().clone(), e, cx))
    }
}
impl On<Repaid> for Succeeded {
    /// Another movement than the one that is booked: a part that was still missing, what a person saw before the
    /// channel said it, or money that should not have gone.
    fn on(&self, e: &Repaid, cx: &mut Cx<'_, Self::R>) -> Next<Self::R> {
        let back = &self.back;
        if let Some(amount_minor) = strange("paid back", back, &e.channel, e.amount, cx) {
            cx.post(P18 { channel: e.channel.clone(), amount_minor });
            return stay(self.clone());
        }
        // Of what a person saw, all is told now; else it comes on top.
        let known = if self.by_word { back.amount_minor } else { 0 };
        let more = e.amount.minor().max(0).saturating_sub(known);
        let part = more.clamp(0, self.short_minor);
        cx.post(P9 { channel: back.channel.clone(), source: back.source, amount_minor: part });
        cx.post(P10 { channel: back.channel.clone(), amount_minor: part });
        // Less than was seen went back: the rest is owed after all.
        let less = more.saturating_neg().max(0);
        cx.post(P12 { channel: back.channel.clone(), amount_minor: less });
        cx.post(P11 { channel: back.channel.clone(), source: back.source, amount_minor: less });
        let beyond = more.saturating_sub(part).max(0);
        cx.post(P18 { channel: back.channel.clone(), amount_minor: beyond });
        if beyond > 0 || less > 0 {
            let detail = format!("{} paid back, and {} were known", e.amount, back.amount_minor);
            cx.hold_for(Gates::Outflow, "refund_mismatch", detail);
        }
        let amount_minor = back.amount_minor.saturating_add(part).saturating_sub(less);
        stay(Succeeded {
            back: Back { amount_minor, ..back.clone() },
            bounced_minor: self.bounced_minor,
            short_minor: self.short_minor.saturating_sub(part).saturating_add(less),
            by_word: false,
        })
    }
}

/// Books what the bank returned of a refund that was paid back: a part is a part, and what is more than all of it
/// belongs to nobody. The customer is owed it again.
fn bounce<R>(paid: &Succeeded, e: &Bounced, cx: &mut Cx<'_, R>) -> Next<R>
where
    R: Goto<Succeeded> + Goto<Reversed> + Row<M = M>,
    P5: PostedBy<R>,
    P11: PostedBy<R>,
    P12: PostedBy<R>,
{
    let back = paid.back.clone();
    let left = back.amount_minor.saturating_sub(paid.bounced_minor);
    let came = e.amount.minor().max(0);
    let amount_minor = came.min(left);
    cx.post(P12 { channel: back.channel.clone(), amount_minor });
    cx.post(P11 { channel: back.channel.clone(), source: back.source, amount_minor });
    cx.post(P5 { channel: back.channel.clone(), amount_minor: came.saturating_sub(amount_minor) });
    if came > left {
        let detail = format!("{} came back of {left} that were paid back", e.amount);
        cx.hold_for(Gates::Money, "refund_mismatch", detail);
    }
    let total = Money::new(back.amount_minor, e.amount.currency());
    cx.remind("refund_bounced", format!("{} of {total} came back; the customer is still owed", e.amount));
    if amount_minor == left {
        return to(Reversed { back, unsaid: paid.by_word });
    }
    let bounced_minor = paid.bounced_minor.saturating_add(amount_minor);
    to(Succeeded { back, bounced_minor, ..paid.clone() })
}
impl On<Bounced> for Succeeded {
    fn on(&self, e: &Bounced, cx: &mut Cx<'_, Self::R>) -> Next<Self::R> {
        if let Some(amount_minor) = strange("came back", &self.back, &e.channel, e.amount, cx) {
            cx.post(P5 { channel: e.channel.clone(), amount_minor });
            return stay(self.clone());
        }
        bounce(self, e, cx)
    }
}
impl On<Repaid> for Reversed {
    fn on(&self, e: &Repaid, cx: &mut Cx<'_, Self::R>) -> Next<Self::R> {
        let back = &self.back;
        if let Some(amount_minor) = strange("paid back", back, &e.channel, e.amount, cx) {
            cx.post(P18 { channel: e.channel.clone(), amount_minor });
            return stay(self.clone());
        }
        let known = if self.unsaid { back.amount_minor } else { 0 };
        let beyond = e.amount.minor().saturating_sub(known).max(0);
        cx.post(P18 { channel: back.channel.clone(), amount_minor: beyond });
        if beyond > 0 {
            let detail = format!("{} paid back of a refund that had come back", e.amount);
            cx.hold_for(Gates::Outflow, "refund_mismatch", detail);
        }
        stay(Reversed { unsaid: false, ..self.clone() })
    }
}
/// What came back had been paid back, whatever was said of it so far.
fn paid_all(back: &Back) -> Succeeded {
    Succeeded { back: back.clone(), bounced_minor: 0, short_minor: 0, by_word: true }
}
impl On<Bounced> for Open {
    fn on(&self, e: &Bounced, cx: &mut Cx<'_, Self::R>) -> Next<Self::R> {
        if let Some(amount_minor) = strange("came back", self.back(), &e.channel, e.amount, cx) {
            cx.post(P5 { channel: e.channel.clone(), amount_minor });
            return unmoved!(Open: Sending | Unknown | Pending | RequiresAction = self);
        }
        cx.post(P10 { channel: self.back().channel.clone(), amount_minor: self.back().amount_minor });
        bounce(&paid_all(self.back()), e, cx)
    }
}
impl On<Bounced> for Negative {
    fn on(&self, e: &Bounced, cx: &mut Cx<'_, Self::R>) -> Next<Self::R> {
        if let Some(amount_minor) = strange("came back", self.back(), &e.channel, e.amount, cx) {
            cx.post(P5 { channel: e.channel.clone(), amount_minor });
            return unmoved!(Negative: Failed | Cancelled = self);
        }
        revive(self, cx);
        cx.post(P10 { channel: self.back().channel.clone(), amount_minor: self.back().amount_minor });
        bounce(&paid_all(self.back()), e, cx)
    }
}
