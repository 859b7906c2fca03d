//! The order's own lifecycle: the one axis that is written, and what every stage hears of.

use serde::{Deserialize, Serialize};

use crate::id::{Actor, Channel, Key, Role};
use crate::ledger::P8;
use crate::machine::{
    Answer, Cx, Decide, Evidence, Fold, Goto, Life, MayStay, Moved, Next, On, Refusal, Row, Standing, View,
    refuse, stay, to, until,
};
use crate::money::Money;
use crate::order::{CarriageBack, Credit, Draft, Left, LineKind, Obligation, Order, Relief};
use crate::stage::approval::Conceded;
use crate::stage::proof::{
    Approved, Cancelling as Leaving, DueMore, Finished, Funded, GivesBack, Goods, Lines, OweBack, Reprice,
    Served, Services, TakesBack, ToActivate, ToDispatch, Wanted,
};
use crate::stage::{data, plain};

crate::machine! {
    /// The lifecycle of an order (section 2.10 of the order domain).
    pub mod lifecycle = "order.life" v 8;
    policy LifePolicy;
    hears Served<Goods>, Served<Services>, Funded, Approved<ToDispatch>, Approved<ToActivate>, Conceded;
    yields Wanted, Leaving, TakesBack, GivesBack, Clear, Finished, Unserved;
    effects { }
    asks { Amended, Reprice, DueMore, OweBack, GoneBack }
    inputs {
        command Place, Amend, Cancel, RequestReturn, Refund;
        outcome RefundedOutside;
        timer   PaymentDue, Watch, WindowDue;
        signal  TurnedDown, Unfillable, Waived, Unwaived, Trimmed, Cleared (on granted Clear),
                Done (on granted Finished), Failed (on granted Unserved);
    }
    states {
        Placed: wait(PaymentDue),
        Cancelling: wait(Watch),
        Cancelled: done,
        Rejected: fail,
        Expired: fail,
        Completed: wait(WindowDue),
        Closed: done,
    }
    groups {
        Whole   = Placed | Completed;
        Lasting = Placed | Cancelling | Completed | Closed;
        Gone    = Cancelled | Rejected | Expired;
        NotOpen = Completed | Cancelled | Rejected | Expired | Closed;
        Any     = Placed | Cancelling | Completed | Cancelled | Rejected | Expired | Closed;
    }
    rows {
        New        + Place         => Placed;
        Placed     + PaymentDue    => Placed | Cancelling;
        Placed     + Amend         => Placed ? Amended, Reprice, OweBack;
        Whole      + Refund        => Placed | Completed ? Reprice, OweBack;
        Placed     + Cancel        => Cancelling;
        Placed     + TurnedDown    => Cancelling;
        Placed     + Unfillable    => Cancelling;
        Placed     + Done          => Completed;
        Placed     + Failed        => Cancelling;
        Whole      + RequestReturn => Cancelling;
        Cancelling + RequestReturn => Cancelling;
        Cancelling + Cleared       => Cancelled | Rejected | Expired;
        Cancelling + Done          => Completed;
        Cancelling + Watch         => Cancelling;
        Completed  + WindowDue     => Completed | Closed;
        Lasting    + Waived        => Placed | Cancelling | Completed | Closed ? Reprice, OweBack;
        Lasting    + Unwaived      => Placed | Cancelling | Completed | Closed ? Reprice, DueMore, OweBack;
        Lasting    + Trimmed       => Placed | Cancelling | Completed | Closed ! P8;
        Any        + RefundedOutside
                                   => Placed | Cancelling | Completed | Cancelled | Rejected | Expired | Closed
                                    ? GoneBack;
    }
    ignore {
        Placed + Cleared; Cancelling + TurnedDown | Unfillable | Failed;
        NotOpen + TurnedDown | Unfillable | Done | Cleared | Failed;
        Gone + Waived | Unwaived | Trimmed;
    }
}

/// What the lifecycle waits for, and who may end it. Durations are milliseconds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LifePolicy {
    /// How long an order may stay unpaid. Then it expires. Default one day.
    pub payment_ms: u64,
    /// How long a cancellation may take before a person hears of it. Default 7 days.
    pub watch_ms: u64,
    /// How long after completion returns and disputes may come. Default 120 days, which is what card schemes give.
    pub window_ms: u64,
    /// Whether carriage goes back when a part of the order does, or is never sent. Default: with the last unit.
    #[serde(default)]
    pub carriage: CarriageBack,
    /// Whether the customer may cancel after review let the order pass. People at work may.
    pub customer_cancels_approved: bool,
}

impl Default for LifePolicy {
    fn default() -> Self {
        const DAY: u64 = 24 * 60 * 60_000;
        Self {
            payment_ms: DAY,
            watch_ms: 7 * DAY,
            window_ms: 120 * DAY,
            carriage: CarriageBack::WithLast,
            customer_cancels_approved: false,
        }
    }
}

/// Why an order is on its way out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Cause {
    /// Somebody asked.
    Asked,
    /// It was not paid in time.
    Expired,
    /// Review turned it down.
    Rejected,
    /// It cannot be filled.
    Unfillable,
    /// The goods come back.
    Returned,
}

data! {
    /// Placed, and wanted.
    Placed {
        /** What the customer was let off, and what came on top. */
        #[serde(default, skip_serializing_if = "Obligation::is_untouched")] obligation: Obligation,
    }
    /// On its way out.
    Cancelling {
        /** Why. */ cause: Cause,
        /** In words. */ reason: String,
        /** Whether goods that are out come back. */ goods_return: bool,
        /** What the customer was let off, and what came on top. */
        #[serde(default, skip_serializing_if = "Obligation::is_untouched")] obligation: Obligation,
    }
    /// Out, with nothing left.
    Cancelled {
        /** Why. */ cause: Cause,
        /** In words. */ reason: String,
        /** Whether goods that were out came back. */
        #[serde(default, skip_serializing_if = "std::ops::Not::not")] goods_return: bool,
        /** What the customer was let off, and what came on top. */
        #[serde(default, skip_serializing_if = "Obligation::is_untouched")] obligation: Obligation,
    }
    /// Turned down by review, with nothing left.
    Rejected {
        /** In words. */ reason: String,
        /** Whether goods that were out came back. */
        #[serde(default, skip_serializing_if = "std::ops::Not::not")] goods_return: bool,
        /** What the customer was let off, and what came on top. */
        #[serde(default, skip_serializing_if = "Obligation::is_untouched")] obligation: Obligation,
    }
    /// Not paid in time, with nothing left.
    Expired {
        /** Whether goods that were out came back. */
        #[serde(default, skip_serializing_if = "std::ops::Not::not")] goods_return: bool,
        /** What the customer was let off, and what came on top. */
        #[serde(default, skip_serializing_if = "Obligation::is_untouched")] obligation: Obligation,
    }
    /// Served and settled.
    Completed {
        /** Whether the rest of it was called off. */
        #[serde(default, skip_serializing_if = "std::ops::Not::not")] stopped: bool,
        /** What the customer was let off, and what came on top. */
        #[serde(default, skip_serializing_if = "Obligation::is_untouched")] obligation: Obligation,
    }
    /// Served and settled, and the time for returns and disputes is over.
    Closed {
        /** What the customer was let off, and what came on top. */
        #[serde(default, skip_serializing_if = "Obligation::is_untouched")] obligation: Obligation,
    }

    /// Puts another document in the place of the order's own: the same order in the same currency. Approvals were given
    /// to the old one, and are given anew; what is missing is paid by new attempts, what is too much goes back. Refused
    /// while a payment is under way, and once goods are packed or a service has begun.
    Amend { /** The whole order as it shall be. */ draft: Draft }
    /// Asks for the order to be cancelled, before it is on its way.
    Cancel { /** Why. */ reason: String }
    /// Asks for goods that are out to come back, and the money to go back.
    RequestReturn { /** Why. */ reason: String }
    /// A refund was made without the library, in the provider's console: it is booked as a refund of the order, and
    /// less may be refunded from here on. Told to the lifecycle, whose instance is 1, since none of the order's own
    /// refunds is meant.
    RefundedOutside {
        /** The attempt whose money went back; 0 where nobody says. */ attempt: Key,
        /** The channel. */ channel: Channel,
        /** The channel's own reference of this movement: by it the refund is known when it is told again. */
        reference: String,
        /** How much. */ amount: Money,
    }
    /// Asks for a refund to be booked that was made without the library.
    GoneBack {
        /** The attempt whose money went back; 0 where nobody says. */ attempt: Key,
        /** The channel. */ channel: Channel,
        /** The channel's own reference of this movement. */ reference: String,
        /** How much. */ amount: Money,
    }
    /// Tells the stages that the document is another.
    Amended { /** Who amended it. */ by: Actor }
    /// Review turned it down.
    TurnedDown { /** Why. */ reason: String }
    /// It cannot be filled.
    Unfillable { /** Why. */ reason: String }
    /// Gives money back over whatever tenders paid it: the price of units that are named, or an amount. The price is
    /// lowered by it in the same commit, that of the lines it names or that of all; what was paid too much goes first.
    /// Refused above what can go back, with what that is in all and per channel.
    Refund {
        /** For which lines, and for how many units of each. */
        #[serde(default, skip_serializing_if = "Vec::is_empty")] units: Vec<(u32, u32)>,
        /** Minor units, positive; the worth of the units when `None`. */
        #[serde(default, skip_serializing_if = "Option::is_none")] amount_minor: Option<i64>,
        /** Why, for people. */ reason: String,
    }
    /// The customer was let off a part of the price.
    Waived {
        /** Which. */ relief: Relief,
        /** Whether what was paid for it is to go back. */ goes_back: bool,
        /** Why. */ reason: String,
    }
    /// What the customer was let off is due again.
    Unwaived { /** Which. */ relief: Relief }
}

plain! {
    /// Places the order.
    Place,
    /// It should be paid by now.
    PaymentDue,
    /// It should be out by now.
    Watch,
    /// The time for returns and disputes is over.
    WindowDue,
    /// Nothing is left: no goods, no money, nothing under way.
    Cleared,
    /// More is earned than is due.
    Trimmed,
    /// Served and settled.
    Done,
    /// All of it came to an end, and none of it reached the customer.
    Failed,
}

/// Nothing is left: no goods out, nothing under way, and every clearing account is empty.
#[derive(Debug, Clone, PartialEq)]
pub struct Clear;
impl crate::machine::Proof for Clear {
    const NAME: &'static str = "clear";
}

/// Every service came to its end, none reached the customer, and there is nothing else to serve.
#[derive(Debug, Clone, PartialEq)]
pub struct Unserved;
impl crate::machine::Proof for Unserved {
    const NAME: &'static str = "unserved";
}

impl Evidence for RefundedOutside {
    fn moved(&self) -> Moved {
        Moved::Out(self.channel.clone(), self.amount)
    }
    fn identity(&self) -> Option<String> {
        Some(format!("refunded {} {} {}", self.channel, self.reference, self.amount))
    }
}

use lifecycle::{Any, Lasting, M, New, State, Whole};

/// States of a parcel that is with the carrier or the customer.
const OUT: &[&str] = &["HandedOver", "Delivered", "Returning"];

/// States of a parcel that has not left yet, and does not leave unpaid.
const INSIDE: &[&str] = &[
    "Planned",
    "Allocating",
    "Reserving",
    "Backordered",
    "Reserved",
    "OnHold",
    "Released",
    "ReadyToHandOver",
];
/// States of a service that is not begun unpaid.
const GATED: &[&str] = &["Planned"];

/// States of a service that takes effect, or has.
const RUNNING: &[&str] =
    &["Active", "PartActive", "Delivering", "Paused", "Settling", "Terminating", "Completed"];
/// States of a service that can be called off before it takes effect.
const TO_COME: &[&str] =
    &["Planned", "Activating", "ActivationUnknown", "PendingPlatformReview", "PlatformRejected"];

/// The lifecycle as handlers may read it.
#[must_use]
pub fn life(state: &State) -> Life {
    match state {
        State::Placed(_) => Life::Placed,
        State::Cancelling(_) => Life::Cancelling,
        State::Cancelled(_) | State::Rejected(_) | State::Expired(_) => Life::Ended,
        State::Completed(_) => Life::Completed,
        State::Closed(_) => Life::Closed,
    }
}

/// What the customer was let off, and what came on top.
#[must_use]
pub fn obligation(state: &State) -> &Obligation {
    match state {
        State::Placed(s) => &s.obligation,
        State::Cancelling(s) => &s.obligation,
        State::Completed(s) => &s.obligation,
        State::Cancelled(s) => &s.obligation,
        State::Rejected(s) => &s.obligation,
        State::Expired(s) => &s.obligation,
        State::Closed(s) => &s.obligation,
    }
}

impl Decide<Place> for New {
    fn decide(&self, _: &Place, cx: &mut Cx<'_, Self::R>) -> Answer<Self::R> {
        if !cx.siblings().is_empty() {
            return refuse("placed_already", "an order has one lifecycle");
        }
        Ok(until(cx.after_ms(cx.policy().payment_ms), Placed { obligation: Obligation::default() }))
    }
}

fn leave<R: Goto<Cancelling> + Row<M = M>>(cause: Cause, reason: &str, cx: &Cx<'_, R>) -> Next<R> {
    let (goods_return, obligation) = (cause == Cause::Returned, cx.obligation().clone());
    let state = Cancelling { cause, reason: reason.to_owned(), goods_return, obligation };
    until(cx.after_ms(cx.policy().watch_ms), state)
}

impl On<PaymentDue> for Placed {
    fn on(&self, _: &PaymentDue, cx: &mut Cx<'_, Self::R>) -> Next<Self::R> {
        let (books, total) = (cx.books(), cx.due_minor());
        let out = cx.standing().within("dispatch", OUT) > 0 || books.earned() > 0;
        let there = books.kept().saturating_add(books.held());
        let given_back = there > 0 && books.captured(None) >= total;
        if cx.seen::<Funded>().is_none() {
            // Goods that are out are never called back for want of money: that is a matter between people.
            if !out && !given_back {
                return leave(Cause::Expired, "not paid in time", cx);
            }
            let standing = cx.standing();
            let waits = standing.within("dispatch", INSIDE) > 0 || standing.within("activation", GATED) > 0;
            if !out || waits || books.earned() > there {
                cx.hold("underpaid", format!("{there} of {total} are left after refunds"));
            }
        }
        until(cx.after_ms(cx.policy().payment_ms), self.clone())
    }
}
/// States of a payment whose end is not known yet.
const PAYING: &[&str] = &[
    "Sending",
    "Unknown",
    "Stuck",
    "Pending",
    "RequiresAction",
    "Closing",
    "Capturing",
    "CaptureUnknown",
    "Voiding",
    "Mismatch",
];
/// States of a parcel that is packed, or that the warehouse was asked to stop.
const PACKED: &[&str] = &["ReadyToHandOver", "CancelRequested"];
/// States of a service that has not begun.
const NOT_BEGUN: &[&str] = &["Planned", "Cancelled"];

impl Decide<Amend> for Placed {
    fn decide(&self, c: &Amend, cx: &mut Cx<'_, Self::R>) -> Answer<Self::R> {
        let order = match Order::parse(c.draft.clone()) {
            Ok(order) => order,
            Err(faults) => {
                let told: Vec<String> = faults.iter().map(ToString::to_string).collect();
                return refuse("malformed", told.join("; "));
            }
        };
        let is = cx.order();
        if order.id() != is.id() || order.currency() != is.currency() || order.placed_by() != is.placed_by() {
            return refuse("another_order", "an amendment keeps the id, the currency and who placed it");
        }
        if order == *is {
            return refuse("nothing_new", "the order is that already");
        }
        let s = cx.standing();
        let begun = s.all("activation").saturating_sub(s.within("activation", NOT_BEGUN));
        let out = s.within("dispatch", PACKED).saturating_add(s.within("dispatch", OUT));
        if out > 0 || begun > 0 {
            return refuse(
                "executing",
                format!("{out} parcels are packed or out, {begun} services have begun"),
            );
        }
        let paying = s.within("payment", PAYING);
        if paying > 0 {
            return refuse("paying", format!("the end of {paying} payments is not known yet"));
        }
        // The document says anew what is to be served; what went back for anything else stays off its price.
        let obligation = cx.obligation().amended(&order);
        let total = order.total().minor().saturating_sub(obligation.waived_minor()).max(0);
        let (kept, earned) = (cx.books().kept(), cx.books().earned());
        if earned > total {
            return refuse("earned", format!("{earned} are earned of {total}"));
        }
        cx.ask(Amended { by: cx.by().clone() });
        if !obligation.is_untouched() {
            cx.ask(Reprice);
        }
        if kept > total {
            let reason = "the order was amended".to_owned();
            cx.ask(OweBack { amount_minor: kept.saturating_sub(total), reason, asked: None });
        }
        cx.amend(order);
        // What is missing now has its own time to come.
        Ok(until(cx.after_ms(cx.policy().payment_ms), Placed { obligation }))
    }
}

/// Parcels between the hand-over and their end.
fn on_the_way(standing: &Standing) -> usize {
    standing.within("dispatch", &["HandedOver", "Returning"])
}
impl Decide<Cancel> for Placed {
    fn decide(&self, c: &Cancel, cx: &mut Cx<'_, Self::R>) -> Answer<Self::R> {
        let s = cx.standing();
        let (out, running) = (s.within("dispatch", OUT), s.within("activation", RUNNING));
        let customer = cx.by().role() == Role::Customer;
        // People at work may stop what is not out or running yet; what is stays with the customer.
        let to_stop =
            s.open("dispatch").saturating_sub(on_the_way(s)).saturating_add(s.within("activation", TO_COME));
        if out.saturating_add(running) > 0 && (customer || to_stop == 0) {
            return refuse(
                "executing",
                format!(
                    "{out} parcels are out, {running} services run: ask for a return, or end the service"
                ),
            );
        }
        let approved =
            cx.seen::<Approved<ToDispatch>>().is_some() || cx.seen::<Approved<ToActivate>>().is_some();
        if approved && customer && !cx.policy().customer_cancels_approved {
            return refuse("approved", "review let it pass: ask the shop");
        }
        Ok(leave(Cause::Asked, &c.reason, cx))
    }
}
impl On<TurnedDown> for Placed {
    fn on(&self, s: &TurnedDown, cx: &mut Cx<'_, Self::R>) -> Next<Self::R> {
        leave(Cause::Rejected, &s.reason, cx)
    }
}
impl On<Unfillable> for Placed {
    fn on(&self, s: &Unfillable, cx: &mut Cx<'_, Self::R>) -> Next<Self::R> {
        leave(Cause::Unfillable, &s.reason, cx)
    }
}

impl On<Failed> for Placed {
    fn on(&self, _: &Failed, cx: &mut Cx<'_, Self::R>) -> Next<Self::R> {
        leave(Cause::Unfillable, "nothing of it could be served", cx)
    }
}

fn completed<R: Goto<Completed> + Row<M = M>>(stopped: bool, cx: &Cx<'_, R>) -> Next<R> {
    until(cx.after_ms(cx.policy().window_ms), Completed { stopped, obligation: cx.obligation().clone() })
}
impl On<Done> for Placed {
    fn on(&self, _: &Done, cx: &mut Cx<'_, Self::R>) -> Next<Self::R> {
        completed(false, cx)
    }
}
impl On<Done> for Cancelling {
    fn on(&self, _: &Done, cx: &mut Cx<'_, Self::R>) -> Next<Self::R> {
        // What was called off is not due any more: its money went back, or never came.
        let mut obligation = self.obligation.clone();
        obligation.call_off(cx.due_minor().saturating_sub(cx.books().kept()));
        until(cx.after_ms(cx.policy().window_ms), Completed { stopped: true, obligation })
    }
}
/// The customer calls back what has not reached her. What has is a return, with its window, its reasons and its fees.
fn may_call_back<R: Row<M = M>>(cx: &Cx<'_, R>) -> Result<(), Refusal> {
    let delivered = cx.standing().within("dispatch", &["Delivered"]);
    if cx.by().role() == Role::Customer && delivered > 0 {
        let detail = format!("{delivered} parcels were delivered: ask for a return of their units");
        return Err(Refusal { code: "delivered", detail });
    }
    Ok(())
}
impl Decide<RequestReturn> for Whole {
    fn decide(&self, c: &RequestReturn, cx: &mut Cx<'_, Self::R>) -> Answer<Self::R> {
        if cx.standing().within("dispatch", OUT) == 0 {
            return refuse("nothing_out", "no parcel is out: cancel instead");
        }
        may_call_back(cx)?;
        Ok(leave(Cause::Returned, &c.reason, cx))
    }
}
impl Decide<RequestReturn> for Cancelling {
    fn decide(&self, c: &RequestReturn, cx: &mut Cx<'_, Self::R>) -> Answer<Self::R> {
        if self.goods_return {
            return refuse("returning", "the goods are coming back already");
        }
        may_call_back(cx)?;
        Ok(stay(Cancelling { goods_return: true, reason: c.reason.clone(), ..self.clone() }))
    }
}
impl On<Cleared> for Cancelling {
    fn on(&self, _: &Cleared, _: &mut Cx<'_, Self::R>) -> Next<Self::R> {
        let (obligation, goods_return) = (self.obligation.clone(), self.goods_return);
        match self.cause {
            Cause::Expired => to(Expired { goods_return, obligation }),
            Cause::Rejected => to(Rejected { reason: self.reason.clone(), goods_return, obligation }),
            Cause::Asked | Cause::Unfillable | Cause::Returned => to(Cancelled {
                cause: self.cause.clone(),
                reason: self.reason.clone(),
                goods_return,
                obligation,
            }),
        }
    }
}
impl On<Watch> for Cancelling {
    fn on(&self, _: &Watch, cx: &mut Cx<'_, Self::R>) -> Next<Self::R> {
        cx.remind("cancelling", "goods or money are still out");
        until(cx.after_ms(cx.policy().watch_ms), self.clone())
    }
}
impl On<WindowDue> for Completed {
    fn on(&self, _: &WindowDue, cx: &mut Cx<'_, Self::R>) -> Next<Self::R> {
        let open = cx.standing().open_besides("order");
        let clear = cx.books().is_clear();
        if clear && open == 0 {
            return to(Closed { obligation: self.obligation.clone() });
        }
        // Nothing is under way that could settle it: without a person it would stay so for ever.
        if !clear && open == 0 {
            let (owed, nobody) = (cx.books().owed(), cx.books().suspense());
            cx.hold("unsettled", format!("{owed} are owed to the customer, {nobody} belong to nobody"));
        }
        completed(self.stopped, cx)
    }
}

impl Lasting {
    /// The same state with another obligation.
    fn owing<R>(&self, obligation: Obligation) -> Next<R>
    where
        R: Goto<Placed> + Goto<Cancelling> + Goto<Completed> + Goto<Closed> + Row<M = M, From = Lasting>,
        R::Class: MayStay,
    {
        match self.clone() {
            Lasting::Placed(_) => stay(Placed { obligation }),
            Lasting::Cancelling(x) => stay(Cancelling { obligation, ..x }),
            Lasting::Completed(x) => stay(Completed { obligation, ..x }),
            Lasting::Closed(_) => to(Closed { obligation }),
        }
    }
}
impl On<Waived> for Lasting {
    fn on(&self, s: &Waived, cx: &mut Cx<'_, Self::R>) -> Next<Self::R> {
        let mut obligation = cx.obligation().clone();
        obligation.add(&s.relief);
        let due = cx.order().total().minor().saturating_sub(obligation.waived_minor());
        cx.ask(Reprice);
        // Of what was paid for it, as much goes back as is not due any more: what went back already is counted.
        let amount_minor = cx.books().kept().saturating_sub(due).min(s.relief.net_minor());
        if s.goes_back && amount_minor > 0 {
            cx.ask(OweBack { amount_minor, reason: s.reason.clone(), asked: None });
        }
        self.owing(obligation)
    }
}
impl On<Unwaived> for Lasting {
    fn on(&self, s: &Unwaived, cx: &mut Cx<'_, Self::R>) -> Next<Self::R> {
        let mut obligation = cx.obligation().clone();
        obligation.undo(&s.relief);
        // Units that came back or were never sent carry no price: what is due again for them goes back too.
        let gone = |l: &Left| {
            let known = obligation.credit(l.line);
            let nowhere = known.quantity > 0 && known.unsent.saturating_add(known.back) >= known.quantity;
            l.quantity == 0 && nowhere && l.worth_minor.min(l.due_minor) > 0
        };
        let left = obligation.left(cx.order()).into_iter().filter(gone);
        let credits = left.map(|Left { line, worth_minor, due_minor, .. }| {
            let given_minor = worth_minor.min(due_minor);
            Credit { line, worth_minor: given_minor, given_minor, ..Credit::default() }
        });
        let relief = Relief { credits: credits.collect(), extras: Vec::new() };
        obligation.add(&relief);
        cx.ask(Reprice);
        cx.ask(DueMore);
        let due = cx.order().total().minor().saturating_sub(obligation.waived_minor());
        let amount_minor = cx.books().kept().saturating_sub(due).min(relief.given_minor());
        if amount_minor > 0 {
            let reason = "what it was paid for is gone".to_owned();
            cx.ask(OweBack { amount_minor, reason, asked: None });
        }
        self.owing(obligation)
    }
}
impl On<Trimmed> for Lasting {
    fn on(&self, _: &Trimmed, cx: &mut Cx<'_, Self::R>) -> Next<Self::R> {
        // What has no parcel to carry it: services that were let off a part of what they had earned.
        let over = cx.books().earned().saturating_sub(cx.due_minor()).max(0);
        cx.post(P8 { amount_minor: over.min(cx.books().earned()) });
        self.owing(cx.obligation().clone())
    }
}

impl Decide<Refund> for Whole {
    fn decide(&self, c: &Refund, cx: &mut Cx<'_, Self::R>) -> Answer<Self::R> {
        let (books, order, owed) = (cx.books(), cx.order(), cx.obligation());
        let left = owed.left(order);
        for (n, (line, quantity)) in c.units.iter().enumerate() {
            let there = left.iter().find(|l| l.line == *line && !l.is_carriage()).map_or(0, |l| l.quantity);
            let twice = c.units.iter().take(n).any(|(other, _)| other == line);
            if twice || *quantity == 0 || *quantity > there {
                return refuse(
                    "not_there",
                    format!("{quantity} of line {line} named, {there} are left to give"),
                );
            }
        }
        let whole = cx.relief(&c.units);
        let amount_minor = c.amount_minor.unwrap_or_else(|| whole.given_minor());
        if amount_minor <= 0 {
            return refuse("not_positive", "an amount is positive, and units are worth something");
        }
        let channels = books.channels();
        let on = |ch: &Channel| books.refundable(ch);
        let all = channels.iter().fold(0i64, |n, ch| n.saturating_add(on(ch))).min(books.kept()).max(0);
        if amount_minor > all {
            let each: Vec<String> = channels.iter().map(|ch| format!("{} on {ch}", on(ch))).collect();
            let told = format!("{amount_minor} asked, {all} can go back in all: {}", each.join(", "));
            return refuse("exceeds_refundable", told);
        }
        let lines: Vec<u32> = c.units.iter().map(|u| u.0).collect();
        let relief = if lines.is_empty() {
            cx.lowered(amount_minor)
        } else if amount_minor == whole.given_minor() {
            whole
        } else if amount_minor < whole.given_minor() {
            owed.lowered(order, amount_minor, Some(&lines))
        } else {
            let most = whole.given_minor();
            return refuse("exceeds_worth", format!("{amount_minor} asked for units that are worth {most}"));
        };
        let mut obligation = owed.clone();
        obligation.add(&relief);
        cx.ask(Reprice);
        let reason = c.reason.clone();
        cx.ask(OweBack { amount_minor, reason, asked: Some((cx.by().clone(), relief)) });
        Ok(match self.clone() {
            Whole::Placed(_) => stay(Placed { obligation }),
            Whole::Completed(x) => stay(Completed { obligation, ..x }),
        })
    }
}

impl On<RefundedOutside> for Any {
    fn on(&self, e: &RefundedOutside, cx: &mut Cx<'_, Self::R>) -> Next<Self::R> {
        let RefundedOutside { attempt, channel, reference, amount } = e.clone();
        cx.ask(GoneBack { attempt, channel, reference, amount });
        match self.clone() {
            Any::Placed(s) => stay(s),
            Any::Cancelling(s) => stay(s),
            Any::Completed(s) => stay(s),
            Any::Cancelled(s) => stay(s),
            Any::Rejected(s) => stay(s),
            Any::Expired(s) => stay(s),
            Any::Closed(s) => stay(s),
        }
    }
}

fn state<'a>(v: &View<'a, M>) -> Option<&'a State> {
    v.instances().next().map(|(_, s)| s)
}
fn leaving<'a>(v: &View<'a, M>) -> Option<&'a Cancelling> {
    match state(v)? {
        State::Cancelling(s) => Some(s),
        State::Placed(_)
        | State::Cancelled(_)
        | State::Rejected(_)
        | State::Expired(_)
        | State::Completed(_)
        | State::Closed(_) => None,
    }
}
impl Fold<Wanted> for M {
    fn fold(v: &View<'_, Self>) -> Option<Wanted> {
        matches!(state(v)?, State::Placed(_)).then_some(Wanted)
    }
}
/// Whether the order is on its way out, or out already: what held on the way holds at the end too, so that an order
/// with nothing left may go both steps at once. The same goes for one whose rest was called off.
fn gone(v: &View<'_, M>) -> bool {
    match state(v) {
        Some(State::Cancelling(_) | State::Cancelled(_) | State::Rejected(_) | State::Expired(_)) => true,
        Some(State::Placed(_) | State::Completed(_) | State::Closed(_)) | None => false,
    }
}
/// Whether what is not served is not to be served any more.
fn called_off(v: &View<'_, M>) -> bool {
    gone(v) || matches!(state(v), Some(State::Completed(s)) if s.stopped)
}
impl Fold<Leaving> for M {
    fn fold(v: &View<'_, Self>) -> Option<Leaving> {
        let goods_return = leaving(v).is_some_and(|s| s.goods_return);
        called_off(v).then_some(Leaving { goods_return })
    }
}
impl Fold<TakesBack> for M {
    fn fold(v: &View<'_, Self>) -> Option<TakesBack> {
        let takes = match state(v)? {
            State::Cancelling(s) => s.goods_return,
            State::Cancelled(s) => s.goods_return,
            State::Rejected(s) => s.goods_return,
            State::Expired(s) => s.goods_return,
            State::Placed(_) | State::Completed(_) | State::Closed(_) => false,
        };
        takes.then_some(TakesBack)
    }
}
impl Fold<GivesBack> for M {
    fn fold(v: &View<'_, Self>) -> Option<GivesBack> {
        let standing = v.world.standing;
        let returns = leaving(v).is_some_and(|s| s.goods_return);
        // What comes back is not back while it is with the customer.
        let waits = returns && standing.within("dispatch", OUT) > 0;
        let under_way = standing.open("dispatch").saturating_add(standing.open("activation"));
        let over = under_way == 0 && !waits && !finished(v);
        (gone(v) && over).then_some(GivesBack)
    }
}
impl Fold<Clear> for M {
    fn fold(v: &View<'_, Self>) -> Option<Clear> {
        let nothing_out = v.world.standing.within("dispatch", OUT) == 0 && reached::<Services>(v) == 0;
        let nothing_open = v.world.standing.open_besides("order") == 0;
        (gone(v) && nothing_out && nothing_open && v.world.books.is_clear()).then_some(Clear)
    }
}
/// Whether the order has lines of a kind.
fn has(v: &View<'_, M>, kind: LineKind) -> bool {
    v.world.order.lines().iter().any(|l| l.kind == kind)
}
/// How many parcels or services reached the customer, of a kind that came to its end.
fn reached<L: Lines>(v: &View<'_, M>) -> usize {
    v.world.proofs.get::<Served<L>>().map_or(0, |s| s.count)
}
/// Whether every kind of line that the order has came to its end, and some of it reached the customer. Once the rest is
/// called off, a kind of which nothing is under way came to its end too.
fn served(v: &View<'_, M>) -> bool {
    let left = |area| called_off(v) && v.world.standing.open(area) == 0;
    let proofs = v.world.proofs;
    let goods = !has(v, LineKind::Goods) || proofs.get::<Served<Goods>>().is_some() || left("dispatch");
    let services =
        !has(v, LineKind::Service) || proofs.get::<Served<Services>>().is_some() || left("activation");
    goods && services && reached::<Goods>(v).saturating_add(reached::<Services>(v)) > 0
}
impl Fold<Unserved> for M {
    fn fold(v: &View<'_, Self>) -> Option<Unserved> {
        let proofs = v.world.proofs;
        let goods = !has(v, LineKind::Goods) || proofs.get::<Served<Goods>>().is_some();
        let services = !has(v, LineKind::Service) || proofs.get::<Served<Services>>().is_some();
        let reached = reached::<Goods>(v).saturating_add(reached::<Services>(v));
        (goods && services && reached == 0).then_some(Unserved)
    }
}
/// Served, and nothing is owed either way.
fn finished(v: &View<'_, M>) -> bool {
    let settled =
        v.world.books.owed() == 0 && v.world.books.suspense() == 0 && v.world.books.refund_due(None) == 0;
    // Returns and claims that are settled wait for this very moment.
    let standing = v.world.standing;
    let under_way = standing.open_besides("order") > standing.open("aftersales");
    // A cancellation that lost the race to the carrier ends here too, once its own money has gone back.
    served(v) && settled && (leaving(v).is_none() || !under_way)
}
impl Fold<Finished> for M {
    fn fold(v: &View<'_, Self>) -> Option<Finished> {
        finished(v).then_some(Finished)
    }
}
