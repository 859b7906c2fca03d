//! One try to take money on one channel.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::policy::{CaptureGate, CaptureMode, Expiring, PaymentPolicy};
use crate::clock::Timestamp;
use crate::id::{Channel, Key};
use crate::ledger::{P1, P2, P3, P4, P5, P6, Source};
use crate::machine::{
    Again, Answer, Cx, Decide, EmittedBy, Evidence, Fold, Gates, Goto, IndexRow, Indexed, Life, Moved, Next,
    On, Row, View, refuse, stay, to, until,
};
use crate::money::Money;
use crate::order::Order;
use crate::stage::proof::{Approved, Cancelling, Collected, Funded, GivesBack, ToCapture};
use crate::stage::{data, guesses, plain, quiet, shared};

crate::machine! {
    /// One try to take money on one channel (section 2.2 of the order domain).
    ///
    /// Ranks: 0 a local guess, 1 not final, 2 final and negative, 3 authorised, 4 captured, 5 captured and lost again.
    pub mod attempt = "payment.attempt" v 6;
    policy PaymentPolicy;
    hears Cancelling, GivesBack, Approved<ToCapture>;
    yields Funded, Collected;
    index "payment.reference";
    effects {
        Charge           => done Paid | Authorised | Pended | ActionNeeded,
                            declined Refused, unknown Lost, exhausted ChargeGaveUp;
        Inquire (read)   => done Paid | Authorised | StillHeld | Pended | ActionNeeded | NotThere | Gone,
                            declined Refused, unknown Lost, exhausted GaveUp;
        Close (repeat)   => done Gone | Paid, declined CloseRefused, unknown Lost, exhausted GaveUp;
        Capture while Uncertain
                         => done Paid, declined CaptureRefused, unknown CaptureLost, exhausted CaptureGaveUp;
        Void (repeat)    => done HoldReleased | Paid, declined VoidRefused, unknown Lost, exhausted GaveUp;
    }
    asks { MoneyBack }
    inputs {
        command Start, Cancel, CustomerBack, Collect, Release, AcceptMismatch, RefuseMismatch;
        outcome Lost @0, GaveUp @0, ChargeGaveUp @0, NotThere @0, CloseRefused @0, StillHeld @0,
                CaptureRefused @0, CaptureLost @0, CaptureGaveUp @0, VoidRefused @0,
                Pended @1, ActionNeeded @1, Refused @2, Gone @2, HoldReleased @2, HoldExpired @2,
                Authorised @3, Paid @4, CaptureFailed @5;
        timer   AnswerDue, AskAgain, ActionDue, CloseDue, HoldDue, ResolveDue;
        signal  Stop (on granted Cancelling), GiveBack (on granted GivesBack), CaptureAsked;
    }
    states {
        Sending: busy(AnswerDue) @0,
        NotSent: fail @2,
        Unknown: busy(AskAgain) @0,
        Stuck: wait(AskAgain) @0,
        Pending: busy(AskAgain) @1,
        RequiresAction: wait(ActionDue) @1,
        Closing: busy(CloseDue) @1,
        Declined: fail @2,
        Closed: fail @2,
        Authorized: wait(HoldDue) @3,
        Capturing: busy(AnswerDue) @3,
        CaptureUnknown: busy(AskAgain) @3,
        Voiding: busy(AnswerDue) @3,
        Voided: fail @3,
        Expired: fail @3,
        PartiallyCaptured: wait(HoldDue) @4,
        Captured: done @4,
        Mismatch: wait(ResolveDue) @4,
        FailedLate: fail @5,
    }
    groups {
        Fresh     = Sending | Unknown | Stuck;
        Open      = Sending | Unknown | Stuck | Pending;
        Early     = Sending | Unknown | Stuck | Pending | RequiresAction | Closing;
        Asked     = Unknown | Stuck | Pending | RequiresAction;
        Live      = Sending | Unknown | Stuck | Pending | RequiresAction;
        Secured   = Authorized | Capturing | CaptureUnknown | Voiding | PartiallyCaptured;
        Holding   = Authorized | PartiallyCaptured;
        Uncertain = Capturing | CaptureUnknown;
        Resolving = Capturing | CaptureUnknown | Voiding;
        Taken     = Captured | PartiallyCaptured;
        Negative  = NotSent | Declined | Closed | Voided | Expired;
        Ended     = NotSent | Declined | Closed | Voided | Expired | FailedLate;
    }
    rows {
        New            + Start          => Sending / Charge;
        Fresh          + ChargeGaveUp   => NotSent | Unknown | Stuck;
        Closing        + ChargeGaveUp   => Closing | Closed;
        Sending        + Lost           => Unknown;
        Sending        + AnswerDue      => Unknown;
        Fresh          + Pended         => Pending;
        Open           + ActionNeeded   => RequiresAction;
        RequiresAction + Pended         => Pending;
        RequiresAction + CustomerBack   => Pending;
        RequiresAction + ActionDue      => Closing / Close;
        Early          + Authorised     => Authorized | Voiding | Mismatch / Void ! P1;
        Early          + Paid           => Captured | Mismatch ! P3, P5 ? MoneyBack;
        Early          + Refused        => Declined;
        Early          + Gone           => Closed;
        Early          + HoldReleased   => Closed;
        Early          + HoldExpired    => Closed;
        Asked          + Cancel         => Closing / Close;
        Live           + Stop           => Closing / Close;
        Unknown        + AskAgain       => Unknown | Stuck / Inquire;
        Unknown        + NotThere       => Unknown | Closing / Close;
        Pending        + AskAgain       => Pending | Stuck / Inquire;
        Stuck          + AskAgain       => Stuck / Inquire;
        Closing        + CloseDue       => Closing / Close;
        Closing        + CloseRefused   => Closing / Inquire;
        Closing        + NotThere       => Closing | Closed;
        Holding        + Collect        => Capturing / Capture;
        Holding        + CaptureAsked   => Capturing | Voiding | Authorized | PartiallyCaptured / Capture, Void;
        Holding        + HoldDue        => Capturing | Voiding / Capture, Void;
        Holding        + Release        => Voiding / Void;
        Holding        + Stop           => Voiding / Void;
        Uncertain      + Stop           => Capturing | CaptureUnknown | Voiding / Void;
        Secured        + Paid           => Captured | PartiallyCaptured ! P2, P3, P5 ? MoneyBack;
        Secured        + HoldReleased   => Voided | Captured !! P2 ? MoneyBack;
        Secured        + HoldExpired    => Expired | Captured !! P2 ? MoneyBack;
        Capturing      + CaptureRefused => Authorized | Voiding / Void;
        Capturing      + CaptureLost    => CaptureUnknown;
        Capturing      + CaptureGaveUp  => Authorized | Voiding | CaptureUnknown / Void;
        Capturing      + AnswerDue      => CaptureUnknown;
        CaptureUnknown + AskAgain       => CaptureUnknown / Inquire;
        CaptureUnknown + StillHeld      => Capturing | Authorized | Voiding / Capture, Void;
        Voiding        + AnswerDue      => Voiding / Void;
        Voiding        + VoidRefused    => Voiding / Inquire;
        Negative       + Authorised     => Voiding / Void !! P1;
        Negative       + Paid           => Captured ! P6 !! P5 ? MoneyBack;
        Taken          + CaptureFailed  => Captured | FailedLate ! P2 !! P4;
        Captured       + GiveBack       => Captured ? MoneyBack;
        Mismatch       + AcceptMismatch => Captured ! P6;
        Mismatch       + RefuseMismatch => Captured | Closed ? MoneyBack;
        Mismatch       + ResolveDue     => Captured | Closed ? MoneyBack;
        Mismatch       + Stop           => Captured | Closed ? MoneyBack;
    }
    ignore {
        Closing + Stop; Voiding + Stop; Ended + Stop; Captured + Stop;
        Early + GiveBack; Secured + GiveBack; Ended + GiveBack; Mismatch + GiveBack;
        Early + CaptureAsked; Resolving + CaptureAsked; Ended + CaptureAsked;
        Captured + CaptureAsked; Mismatch + CaptureAsked;
    }
    alarm {
        Early + CaptureFailed; Negative + CaptureFailed; Mismatch + CaptureFailed;
        Authorized + CaptureFailed; Resolving + CaptureFailed;
    }
}

/// What an attempt is about; the same from its start to its end.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Try {
    /// The tender of the order that it pays.
    pub tender: Key,
    /// The channel it goes over.
    pub channel: Channel,
    /// What it shall take, in minor units.
    pub amount_minor: i64,
    /// When it was asked for.
    pub started_at: Timestamp,
    /// The channel's reference, once there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reference: Option<String>,
}

/// Why a channel refused, as far as it decides what may be tried next.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum DeclineClass {
    /// This credential will not work again: ask for another.
    Hard,
    /// Another channel, or later.
    Soft,
    /// The same channel, with the customer present.
    AuthRequired,
    /// Stop, and tell review.
    Fraud,
}

/// What the customer must do before an attempt can go on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum NextAction {
    /// Follow a link.
    Redirect {
        /// Where to.
        url: String,
    },
    /// Scan a code.
    Qr {
        /// What the code says.
        payload: String,
    },
    /// Confirm at the bank (3-D Secure).
    Confirm {
        /// What the bank's page needs.
        payload: String,
    },
    /// Type a one-time code.
    Otp,
    /// Pay a slip.
    Slip {
        /// The number on the slip.
        number: String,
    },
    /// Nothing but wait.
    Wait,
}

data! {
    /// Asked of the channel, no answer yet.
    Sending { /** What it is about. */ what: Try }
    /// Provably never reached the channel: safe to try another.
    NotSent { /** What it is about. */ what: Try }
    /// Nobody knows. The amount stays reserved.
    Unknown {
        /** What it is about. */ what: Try,
        /** Inquiries made. */ asked: u32,
        /** Answers "not there". */ missing: u32,
    }
    /// The inquiries are used up; a person reconciles.
    Stuck { /** What it is about. */ what: Try }
    /// Accepted, not final.
    Pending { /** What it is about. */ what: Try, /** Inquiries made. */ asked: u32 }
    /// Waits for the customer.
    RequiresAction { /** What it is about. */ what: Try, /** What they must do. */ action: NextAction }
    /// Being closed, so that another may be tried.
    Closing {
        /** What it is about. */ what: Try,
        /** Since when: no call is made for it after that, but one may still be on its way. */
        #[serde(default = "long_ago")] since: Timestamp,
        /** Whether the channel refused to close it. */
        #[serde(default, skip_serializing_if = "std::ops::Not::not")] refused: bool,
    }
    /// Refused.
    Declined {
        /** What it is about. */ what: Try,
        /** How. */ class: DeclineClass,
        /** The channel's code. */ code: String,
    }
    /// Closed without taking money.
    Closed { /** What it is about. */ what: Try }
    /// Held for us, not taken.
    Authorized { /** What it is about. */ what: Try, /** What is held. */ hold: Held }
    /// Being captured.
    Capturing { /** What it is about. */ what: Try, /** What is held. */ hold: Held }
    /// Nobody knows whether it was captured.
    CaptureUnknown {
        /** What it is about. */ what: Try,
        /** What is held. */ hold: Held,
        /** Inquiries made. */ asked: u32,
    }
    /// The rest of the authorisation is being released.
    Voiding { /** What it is about. */ what: Try, /** What is held. */ hold: Held }
    /// Released without taking money.
    Voided { /** What it is about. */ what: Try }
    /// The authorisation ran out.
    Expired { /** What it is about. */ what: Try }
    /// Some is taken, and more may be.
    PartiallyCaptured { /** What it is about. */ what: Try, /** What is held. */ hold: Held }
    /// Taken.
    Captured {
        /** What it is about. */ what: Try,
        /** Minor units taken, late failures taken off. */ captured_minor: i64,
        /** When the channel took it. */ at: Timestamp,
        /** Whether it came after this attempt had been given up. */
        #[serde(default, skip_serializing_if = "std::ops::Not::not")] late: bool,
        /** Whether nobody wanted it and it goes back: its tender may be paid again. */
        #[serde(default, skip_serializing_if = "std::ops::Not::not")] unwanted: bool,
    }
    /// Money of another amount or currency arrived: a person decides.
    Mismatch {
        /** What it is about. */ what: Try,
        /** Minor units in suspense. */ arrived_minor: i64,
        /** When. */ at: Timestamp,
    }
    /// Everything taken was taken back by the scheme or the bank.
    FailedLate { /** What it is about. */ what: Try }

    /// Starts an attempt to take what is left of a tender, or what is still missing if that is less. Refused for an
    /// unknown tender, when nothing is missing, for an order that is not wanted any more, and while another attempt may
    /// still collect the same tender.
    Start {
        /** Which tender of the order. */ tender: Key,
        /** Another channel than the tender names. */
        #[serde(default, skip_serializing_if = "Option::is_none")] channel: Option<Channel>,
        /** A token of the host's vault or the channel's; never a card number. */
        #[serde(default, skip_serializing_if = "String::is_empty")] method: String,
    }
    /// Captures what is authorised, or part of it.
    Collect { /** Minor units; all that is left when `None`. */ amount_minor: Option<i64> }

    /// Takes money, or holds it.
    Charge {
        /** The channel. */ channel: Channel,
        /** How much. */ amount: Money,
        /** Which tender it pays. */ tender: Key,
        /** The token it is charged to. */
        #[serde(default, skip_serializing_if = "String::is_empty")] method: String,
        /** Whether to capture at once. */ capture: bool,
    }
    /// Asks what became of an attempt.
    Inquire {
        /** The channel. */ channel: Channel,
        /** Its reference, if it gave one. */ reference: Option<String>,
        /** What was asked for. */ amount: Money,
        /** Whether it is known to be authorised, so that only more than that is news. */ held: bool,
    }
    /// Closes an attempt, so that it can take no money any more.
    Close { /** The channel. */ channel: Channel, /** Its reference, if it gave one. */ reference: Option<String> }
    /// Captures an authorisation.
    Capture {
        /** The channel. */ channel: Channel,
        /** Its reference. */ reference: Option<String>,
        /** How much. */ amount: Money,
    }
    /// Releases what is left of an authorisation.
    Void { /** The channel. */ channel: Channel, /** Its reference. */ reference: Option<String> }

    /// The answer was lost.
    Lost { /** Why. */ why: String }
    /// The calls are used up.
    GaveUp { /** Whether any may have arrived. */ sent: bool, /** Why. */ why: String }
    /// The calls that take the money are used up.
    ChargeGaveUp { /** Whether any may have arrived. */ sent: bool, /** Why. */ why: String }
    /// The answer to a capture was lost.
    CaptureLost { /** Why. */ why: String }
    /// The calls of a capture are used up.
    CaptureGaveUp { /** Whether any may have arrived. */ sent: bool, /** Why. */ why: String }
    /// The channel does not close it; what it did instead must be asked.
    CloseRefused { /** The channel's code. */ code: String }
    /// The channel refuses the capture.
    CaptureRefused { /** The channel's code. */ code: String }
    /// The channel refuses to release.
    VoidRefused { /** The channel's code. */ code: String }
    /// Accepted, not final.
    Pended { /** The channel's reference. */ reference: String }
    /// The customer must do something.
    ActionNeeded {
        /** The channel's reference. */ reference: String,
        /** What. */ action: NextAction,
        /** Until when, if the channel says. */ expires_at: Option<Timestamp>,
    }
    /// Refused.
    Refused { /** How. */ class: DeclineClass, /** The channel's code. */ code: String }
    /// Authorised.
    Authorised {
        /** The channel. */ channel: Channel,
        /** Its reference. */ reference: String,
        /** How much. */ amount: Money,
        /** Until when, if the channel says. */ expires_at: Option<Timestamp>,
    }
    /// Captured or charged.
    Paid {
        /** The channel. */ channel: Channel,
        /** Its reference. */ reference: String,
        /** How much. */ amount: Money,
        /** Whether the channel lets more of the same authorisation be captured. */
        #[serde(default)] more_allowed: bool,
    }
    /// A capture that failed late, at the scheme or the bank.
    CaptureFailed {
        /** The channel. */ channel: Channel,
        /** Its reference. */ reference: String,
        /** How much. */ amount: Money,
    }

    /// Asks for money to be given back.
    MoneyBack {
        /** The attempt that took it. */ attempt: Key,
        /** Its channel. */ channel: Channel,
        /** Its reference. */ reference: Option<String>,
        /** At most this many minor units. */ amount_minor: i64,
        /** Out of which account. */ source: Source,
    }
}

/// What is left of an authorisation.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Held {
    /// Minor units authorised.
    pub authorized_minor: i64,
    /// Minor units captured of it.
    pub captured_minor: i64,
    /// How many captures were begun: each is an operation of its own.
    pub captures: u32,
    /// Until when it may be used.
    pub until: Timestamp,
    /// When the channel took what is captured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<Timestamp>,
    /// Minor units that the newest capture asks for.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub asking_minor: i64,
    /// How often the newest capture was sent again after it had never arrived.
    #[serde(default, skip_serializing_if = "none")]
    pub repeats: u32,
}

#[allow(clippy::trivially_copy_pass_by_ref)] // the shape serde asks for
fn is_zero(n: &i64) -> bool {
    *n == 0
}

#[allow(clippy::trivially_copy_pass_by_ref)] // the shape serde asks for
fn none(n: &u32) -> bool {
    *n == 0
}

impl Held {
    fn left(&self) -> i64 {
        self.authorized_minor.saturating_sub(self.captured_minor)
    }
}

plain! {
    /// Closes an attempt that the customer may still pay.
    Cancel,
    /// The customer came back from the channel's page. A hint, never evidence.
    CustomerBack,
    /// Releases an authorisation.
    Release,
    /// Takes money of another amount towards what is due.
    AcceptMismatch,
    /// Gives money of another amount back.
    RefuseMismatch,
    /// Nothing of this attempt is known to the channel.
    NotThere,
    /// Closed at the channel, or never there after a close.
    Gone,
    /// Authorised still, and not captured.
    StillHeld,
    /// The authorisation was released.
    HoldReleased,
    /// The authorisation ran out at the channel.
    HoldExpired,
    /// The answer should be here.
    AnswerDue,
    /// Time to ask again.
    AskAgain,
    /// The customer's time is over.
    ActionDue,
    /// Time to close again.
    CloseDue,
    /// The authorisation is about to expire.
    HoldDue,
    /// The time to resolve a mismatch is over.
    ResolveDue,
    /// The order is on its way out.
    Stop,
    /// No goods are out: the money goes back.
    GiveBack,
    /// A parcel is ready and wants the money captured.
    CaptureAsked,
}

quiet!(
    Lost,
    GaveUp,
    ChargeGaveUp,
    NotThere,
    CloseRefused,
    StillHeld,
    CaptureRefused,
    CaptureLost,
    CaptureGaveUp,
    VoidRefused,
    Pended,
    ActionNeeded,
    Refused,
    Gone,
    HoldReleased,
    HoldExpired
);
guesses!(Lost, CaptureLost; GaveUp, ChargeGaveUp, CaptureGaveUp);

impl Evidence for Authorised {
    fn identity(&self) -> Option<String> {
        Some(format!("authorised {} {}", self.reference, self.amount))
    }
}
impl Evidence for Paid {
    fn moved(&self) -> Moved {
        Moved::In(self.channel.clone(), self.amount)
    }
    fn identity(&self) -> Option<String> {
        Some(format!("paid {} {}", self.reference, self.amount))
    }
}
impl Evidence for CaptureFailed {
    fn moved(&self) -> Moved {
        Moved::Out(self.channel.clone(), self.amount)
    }
    fn identity(&self) -> Option<String> {
        Some(format!("capture failed {} {}", self.reference, self.amount))
    }
}

use attempt::{Asked, Early, Fresh, Holding, Live, M, Negative, New, Open, Secured, State, Taken, Uncertain};

shared!(Fresh.what: Try = Sending | Unknown | Stuck);
shared!(Open.what: Try = Sending | Unknown | Stuck | Pending);
shared!(Early.what: Try = Sending | Unknown | Stuck | Pending | RequiresAction | Closing);
shared!(Asked.what: Try = Unknown | Stuck | Pending | RequiresAction);
shared!(Live.what: Try = Sending | Unknown | Stuck | Pending | RequiresAction);
shared!(Secured.what: Try = Authorized | Capturing | CaptureUnknown | Voiding | PartiallyCaptured);
shared!(Secured.hold: Held = Authorized | Capturing | CaptureUnknown | Voiding | PartiallyCaptured);
shared!(Uncertain.what: Try = Capturing | CaptureUnknown);
shared!(Uncertain.hold: Held = Capturing | CaptureUnknown);
shared!(Holding.what: Try = Authorized | PartiallyCaptured);
shared!(Holding.hold: Held = Authorized | PartiallyCaptured);
shared!(Negative.what: Try = NotSent | Declined | Closed | Voided | Expired);

impl Try {
    fn money<R: Row>(&self, cx: &Cx<'_, R>) -> Money {
        Money::new(self.amount_minor, cx.order().total().currency())
    }

    fn referred(&self, reference: &str) -> Try {
        Try { reference: Some(reference.to_owned()), ..self.clone() }
    }

    /// Money goes back over the channel it came by.
    fn come_by(&self, channel: &Channel, reference: &str) -> Try {
        Try { channel: channel.clone(), ..self.referred(reference) }
    }

    fn back(&self, attempt: Key, amount_minor: i64, source: Source) -> MoneyBack {
        MoneyBack {
            attempt,
            channel: self.channel.clone(),
            reference: self.reference.clone(),
            amount_minor,
            source,
        }
    }
}

impl State {
    /// What the attempt is about, whatever became of it.
    #[must_use]
    pub fn what(&self) -> &Try {
        match self {
            State::Sending(s) => &s.what,
            State::NotSent(s) => &s.what,
            State::Unknown(s) => &s.what,
            State::Stuck(s) => &s.what,
            State::Pending(s) => &s.what,
            State::RequiresAction(s) => &s.what,
            State::Closing(s) => &s.what,
            State::Declined(s) => &s.what,
            State::Closed(s) => &s.what,
            State::Authorized(s) => &s.what,
            State::Capturing(s) => &s.what,
            State::CaptureUnknown(s) => &s.what,
            State::Voiding(s) => &s.what,
            State::Voided(s) => &s.what,
            State::Expired(s) => &s.what,
            State::PartiallyCaptured(s) => &s.what,
            State::Captured(s) => &s.what,
            State::Mismatch(s) => &s.what,
            State::FailedLate(s) => &s.what,
        }
    }
}

/// Whether this state may still take or hold money for its tender, or has.
fn occupies(state: &State) -> Option<Key> {
    let free = match state {
        State::Captured(s) => s.unwanted,
        State::NotSent(_)
        | State::Declined(_)
        | State::Closed(_)
        | State::Voided(_)
        | State::Expired(_)
        | State::FailedLate(_) => true,
        State::Sending(_)
        | State::Unknown(_)
        | State::Stuck(_)
        | State::Pending(_)
        | State::RequiresAction(_)
        | State::Closing(_)
        | State::Authorized(_)
        | State::Capturing(_)
        | State::CaptureUnknown(_)
        | State::Voiding(_)
        | State::PartiallyCaptured(_)
        | State::Mismatch(_) => false,
    };
    (!free).then(|| state.what().tender)
}

/// Whether money is wanted: the order is, or its goods are out and the customer owes for them.
fn wanted<R: Row<M = M>>(cx: &Cx<'_, R>) -> bool {
    match cx.life() {
        Life::Placed => true,
        // Goods sent in place of others may cost more than those did.
        Life::Completed => missing(cx) > 0,
        Life::Cancelling => cx.books().owed() < 0,
        Life::Ended | Life::Closed => false,
    }
}

/// What the customer has not paid yet, in minor units: of the price, or of what was served once no parcel is to come
/// and no service runs.
fn missing<R: Row<M = M>>(cx: &Cx<'_, R>) -> i64 {
    let s = cx.standing();
    let (all, open) = (
        s.all("dispatch").saturating_add(s.all("activation")),
        s.open("dispatch").saturating_add(s.open("activation")),
    );
    if all > 0 && open == 0 {
        return cx.books().owed().saturating_neg().max(0);
    }
    cx.due_minor().saturating_sub(cx.books().kept())
}

impl Decide<Start> for New {
    fn decide(&self, c: &Start, cx: &mut Cx<'_, Self::R>) -> Answer<Self::R> {
        if !wanted(cx) {
            return refuse("not_wanted", "the order is not wanted any more");
        }
        let Some(tender) = cx.order().tenders().iter().find(|t| t.key == c.tender) else {
            return refuse("unknown_tender", format!("the order has no tender {}", c.tender));
        };
        // What is due on top of the price is no tender's own: it is paid over any of them.
        let extra = cx.due_minor().saturating_sub(cx.order().total().minor()).max(0);
        let mut left = tender.amount_minor.saturating_add(extra);
        for (other, s) in cx.siblings().instances().filter(|(_, s)| occupies(s) == Some(c.tender)) {
            if let State::Captured(s) = s {
                left = left.saturating_sub(s.captured_minor);
            }
            if left <= 0 || !matches!(s, State::Captured(_)) {
                return refuse(
                    "tender_busy",
                    format!("attempt {other} has collected tender {} or still may", c.tender),
                );
            }
        }
        let amount_minor = left.min(missing(cx));
        if amount_minor <= 0 {
            return refuse("nothing_due", "the order is paid in full by other tenders");
        }
        let what = Try {
            tender: c.tender,
            channel: c.channel.clone().unwrap_or_else(|| tender.channel.clone()),
            amount_minor,
            started_at: cx.now(),
            reference: None,
        };
        cx.want(Charge {
            channel: what.channel.clone(),
            amount: what.money(cx),
            tender: what.tender,
            method: c.method.clone(),
            // No parcel will ask for the money of goods that are out.
            capture: cx.policy().capture == CaptureMode::AtOnce || cx.books().owed() < 0,
        });
        Ok(until(cx.after_ms(cx.policy().answer_ms), Sending { what }))
    }
}

fn unknown<R: Goto<Unknown> + Row<M = M>>(what: &Try, cx: &Cx<'_, R>) -> Next<R> {
    let wait = cx.policy().inquiry_wait_ms(0);
    until(cx.after_ms(wait), Unknown { what: what.clone(), asked: 0, missing: 0 })
}

impl On<ChargeGaveUp> for Fresh {
    fn on(&self, e: &ChargeGaveUp, cx: &mut Cx<'_, Self::R>) -> Next<Self::R> {
        match self {
            _ if !e.sent => to(NotSent { what: self.what().clone() }),
            Fresh::Sending(s) => unknown(&s.what, cx),
            Fresh::Unknown(s) => stay(s.clone()),
            Fresh::Stuck(s) => stay(s.clone()),
        }
    }
}
impl On<ChargeGaveUp> for Closing {
    fn on(&self, e: &ChargeGaveUp, _: &mut Cx<'_, Self::R>) -> Next<Self::R> {
        // What never reached the channel needs no closing there.
        if e.sent { stay(self.clone()) } else { to(Closed { what: self.what.clone() }) }
    }
}
impl On<Lost> for Sending {
    fn on(&self, _: &Lost, cx: &mut Cx<'_, Self::R>) -> Next<Self::R> {
        unknown(&self.what, cx)
    }
}
impl On<AnswerDue> for Sending {
    fn on(&self, _: &AnswerDue, cx: &mut Cx<'_, Self::R>) -> Next<Self::R> {
        unknown(&self.what, cx)
    }
}

fn pending<R: Goto<Pending> + Row<M = M>>(what: Try, cx: &Cx<'_, R>) -> Next<R> {
    until(cx.after_ms(cx.policy().inquiry_wait_ms(0)), Pending { what, asked: 0 })
}

impl On<Pended> for Fresh {
    fn on(&self, e: &Pended, cx: &mut Cx<'_, Self::R>) -> Next<Self::R> {
        pending(self.what().referred(&e.reference), cx)
    }
}
impl On<Pended> for RequiresAction {
    fn on(&self, e: &Pended, cx: &mut Cx<'_, Self::R>) -> Next<Self::R> {
        pending(self.what.referred(&e.reference), cx)
    }
}
impl Decide<CustomerBack> for RequiresAction {
    fn decide(&self, _: &CustomerBack, cx: &mut Cx<'_, Self::R>) -> Answer<Self::R> {
        Ok(pending(self.what.clone(), cx))
    }
}
impl On<ActionNeeded> for Open {
    fn on(&self, e: &ActionNeeded, cx: &mut Cx<'_, Self::R>) -> Next<Self::R> {
        let own = cx.after_ms(cx.policy().action_ms);
        let at = e.expires_at.and_then(|t| cx.at(t).ok()).unwrap_or(own);
        until(at, RequiresAction { what: self.what().referred(&e.reference), action: e.action.clone() })
    }
}

/// A close of which nothing says when it began.
const fn long_ago() -> Timestamp {
    Timestamp::from_millis(0)
}

fn close<R: Goto<Closing> + Row<M = M>>(what: &Try, since: Timestamp, cx: &mut Cx<'_, R>) -> Next<R>
where
    Close: EmittedBy<R>,
{
    let ask = Close { channel: what.channel.clone(), reference: what.reference.clone() };
    // What is closed stays closed, however often it is asked for.
    cx.want_again(Again::Harmless, 0, ask);
    // As long again as it has been going on: a channel that is away for days does not fill the journal.
    let so_far = u64::try_from(cx.now().since(since).as_millis()).unwrap_or(u64::MAX);
    let first = cx.policy().close_ms;
    let wait = so_far.clamp(first, first.saturating_mul(128));
    until(cx.after_ms(wait), Closing { what: what.clone(), since, refused: false })
}

impl On<ActionDue> for RequiresAction {
    fn on(&self, _: &ActionDue, cx: &mut Cx<'_, Self::R>) -> Next<Self::R> {
        close(&self.what, cx.now(), cx)
    }
}
impl Decide<Cancel> for Asked {
    fn decide(&self, _: &Cancel, cx: &mut Cx<'_, Self::R>) -> Answer<Self::R> {
        Ok(close(self.what(), cx.now(), cx))
    }
}
impl On<Stop> for Live {
    fn on(&self, _: &Stop, cx: &mut Cx<'_, Self::R>) -> Next<Self::R> {
        close(self.what(), cx.now(), cx)
    }
}
impl On<CloseDue> for Closing {
    fn on(&self, _: &CloseDue, cx: &mut Cx<'_, Self::R>) -> Next<Self::R> {
        close(&self.what, self.since, cx)
    }
}

fn inquire<R: Row<M = M>>(what: &Try, n: u32, held: bool, cx: &mut Cx<'_, R>)
where
    Inquire: EmittedBy<R>,
{
    let ask = Inquire {
        channel: what.channel.clone(),
        reference: what.reference.clone(),
        amount: what.money(cx),
        held,
    };
    cx.want_nth(n, ask);
}

impl On<CloseRefused> for Closing {
    fn on(&self, _: &CloseRefused, cx: &mut Cx<'_, Self::R>) -> Next<Self::R> {
        inquire(&self.what, 0, false, cx);
        stay(Closing { refused: true, ..self.clone() })
    }
}
impl On<NotThere> for Closing {
    fn on(&self, _: &NotThere, cx: &mut Cx<'_, Self::R>) -> Next<Self::R> {
        // Asked before the close, it proves nothing; the channel that refused to close it says that there is nothing
        // to close. But a call that is still on its way may yet open what was not there to be closed.
        let arrived = cx.now() >= self.since.saturating_add(Duration::from_millis(cx.policy().settle_ms));
        if self.refused && arrived { to(Closed { what: self.what.clone() }) } else { stay(self.clone()) }
    }
}
impl On<AskAgain> for Unknown {
    fn on(&self, _: &AskAgain, cx: &mut Cx<'_, Self::R>) -> Next<Self::R> {
        let asked = self.asked.saturating_add(1);
        inquire(&self.what, asked, false, cx);
        if asked > cx.policy().inquiries {
            cx.remind("reconcile", "the channel does not say what became of a payment");
            return until(cx.after_ms(cx.policy().reconcile_ms), Stuck { what: self.what.clone() });
        }
        let wait = cx.policy().inquiry_wait_ms(asked);
        until(cx.after_ms(wait), Unknown { asked, ..self.clone() })
    }
}
impl On<NotThere> for Unknown {
    fn on(&self, _: &NotThere, cx: &mut Cx<'_, Self::R>) -> Next<Self::R> {
        // The first call may still be on its way: only the second "not there" is worth a close, which settles it.
        if self.missing == 0 {
            return stay(Unknown { missing: 1, ..self.clone() });
        }
        close(&self.what, cx.now(), cx)
    }
}
impl On<AskAgain> for Pending {
    fn on(&self, _: &AskAgain, cx: &mut Cx<'_, Self::R>) -> Next<Self::R> {
        let asked = self.asked.saturating_add(1);
        inquire(&self.what, asked, false, cx);
        if asked > cx.policy().inquiries {
            cx.remind("reconcile", "a payment has been pending for too long");
            return until(cx.after_ms(cx.policy().reconcile_ms), Stuck { what: self.what.clone() });
        }
        let wait = cx.policy().inquiry_wait_ms(asked);
        until(cx.after_ms(wait), Pending { asked, ..self.clone() })
    }
}
impl On<AskAgain> for Stuck {
    fn on(&self, _: &AskAgain, cx: &mut Cx<'_, Self::R>) -> Next<Self::R> {
        inquire(&self.what, u32::MAX, false, cx);
        until(cx.after_ms(cx.policy().reconcile_ms), self.clone())
    }
}

fn void<R: Goto<Voiding> + Row<M = M>>(what: &Try, hold: &Held, cx: &mut Cx<'_, R>) -> Next<R>
where
    Void: EmittedBy<R>,
{
    let ask = Void { channel: what.channel.clone(), reference: what.reference.clone() };
    cx.want_again(Again::Harmless, 0, ask);
    until(cx.after_ms(cx.policy().answer_ms), Voiding { what: what.clone(), hold: hold.clone() })
}

fn held(e: &Authorised, until: Timestamp) -> Held {
    Held { authorized_minor: e.amount.minor(), until, ..Held::default() }
}

impl On<Authorised> for Early {
    fn on(&self, e: &Authorised, cx: &mut Cx<'_, Self::R>) -> Next<Self::R> {
        let what = self.what().come_by(&e.channel, &e.reference);
        if e.amount.currency() != what.money(cx).currency() {
            cx.hold("mismatch", format!("authorised {} in place of {}", e.amount, what.money(cx)));
            return until(
                cx.after_ms(cx.policy().mismatch_ms),
                Mismatch { what, arrived_minor: 0, at: cx.occurred() },
            );
        }
        let own = cx.after_ms(cx.policy().hold_ms);
        let at = e.expires_at.and_then(|t| cx.at(t).ok()).unwrap_or(own);
        cx.post(P1 { channel: e.channel.clone(), amount_minor: e.amount.minor() });
        let hold = held(e, at.instant());
        if wanted(cx) && !matches!(self, Early::Closing(_)) {
            until(at, Authorized { what, hold })
        } else {
            void(&what, &hold, cx)
        }
    }
}
impl On<Authorised> for Negative {
    fn on(&self, e: &Authorised, cx: &mut Cx<'_, Self::R>) -> Next<Self::R> {
        cx.post(P1 { channel: e.channel.clone(), amount_minor: e.amount.minor() });
        let hold = held(e, cx.now());
        void(&self.what().come_by(&e.channel, &e.reference), &hold, cx)
    }
}
impl On<Paid> for Early {
    fn on(&self, e: &Paid, cx: &mut Cx<'_, Self::R>) -> Next<Self::R> {
        let what = self.what().come_by(&e.channel, &e.reference);
        let amount_minor = e.amount.minor();
        let expected = what.money(cx);
        if e.amount.currency() != expected.currency() {
            cx.hold("mismatch", format!("paid {} in place of {expected}", e.amount));
            return until(
                cx.after_ms(cx.policy().mismatch_ms),
                Mismatch { what, arrived_minor: 0, at: cx.occurred() },
            );
        }
        let captured = Captured {
            what: what.clone(),
            captured_minor: amount_minor,
            at: cx.occurred(),
            late: false,
            unwanted: !wanted(cx) || e.amount == expected && amount_minor > missing(cx),
        };
        if captured.unwanted {
            cx.post(P5 { channel: e.channel.clone(), amount_minor });
            cx.ask(what.back(cx.key(), amount_minor, Source::Suspense));
            return to(captured);
        }
        if e.amount != expected {
            cx.post(P5 { channel: e.channel.clone(), amount_minor });
            cx.hold("mismatch", format!("paid {} in place of {expected}", e.amount));
            return until(
                cx.after_ms(cx.policy().mismatch_ms),
                Mismatch { what, arrived_minor: amount_minor, at: cx.occurred() },
            );
        }
        cx.post(P3 { channel: e.channel.clone(), amount_minor });
        to(captured)
    }
}
impl On<Refused> for Early {
    fn on(&self, e: &Refused, _: &mut Cx<'_, Self::R>) -> Next<Self::R> {
        to(Declined { what: self.what().clone(), class: e.class, code: e.code.clone() })
    }
}
impl On<Gone> for Early {
    fn on(&self, _: &Gone, _: &mut Cx<'_, Self::R>) -> Next<Self::R> {
        to(Closed { what: self.what().clone() })
    }
}
impl On<HoldReleased> for Early {
    fn on(&self, _: &HoldReleased, _: &mut Cx<'_, Self::R>) -> Next<Self::R> {
        to(Closed { what: self.what().clone() })
    }
}
impl On<HoldExpired> for Early {
    fn on(&self, _: &HoldExpired, _: &mut Cx<'_, Self::R>) -> Next<Self::R> {
        to(Closed { what: self.what().clone() })
    }
}

fn capture<R: Goto<Capturing> + Row<M = M>>(
    what: &Try,
    hold: &Held,
    amount_minor: i64,
    cx: &mut Cx<'_, R>,
) -> Next<R>
where
    Capture: EmittedBy<R>,
{
    let amount = Money::new(amount_minor, cx.order().total().currency());
    cx.want_nth(
        hold.captures,
        Capture { channel: what.channel.clone(), reference: what.reference.clone(), amount },
    );
    let captures = hold.captures.saturating_add(1);
    let hold = Held { captures, asking_minor: amount_minor, repeats: 0, ..hold.clone() };
    until(cx.after_ms(cx.policy().answer_ms), Capturing { what: what.clone(), hold })
}

/// What may still be captured: no more than is left of the authorisation, and no more than the tender asks, which an
/// amended order may have made less or taken away.
fn due<R: Row<M = M>>(s: &Holding, cx: &Cx<'_, R>) -> i64 {
    let tender = cx.order().tenders().iter().find(|t| t.key == s.what().tender);
    let asked = s.what().amount_minor.min(tender.map_or(0, |t| t.amount_minor));
    asked.saturating_sub(s.hold().captured_minor).min(s.hold().left()).min(missing(cx)).max(0)
}

/// Whether an authorisation may be captured: no money is drawn through a gate that review holds shut (I14).
fn may_capture<R: Row<M = M>>(cx: &Cx<'_, R>) -> bool {
    match cx.policy().gate {
        CaptureGate::Open => true,
        CaptureGate::Review => cx.seen::<Approved<ToCapture>>().is_some(),
    }
}

impl Decide<Collect> for Holding {
    fn decide(&self, c: &Collect, cx: &mut Cx<'_, Self::R>) -> Answer<Self::R> {
        let left = due(self, cx);
        let amount = c.amount_minor.unwrap_or(left);
        if !wanted(cx) {
            return refuse("not_wanted", "the order is not wanted any more");
        }
        if amount <= 0 {
            return refuse("not_positive", "an amount is positive");
        }
        if amount > left {
            return refuse("exceeds_authorized", format!("{amount} of {left} left"));
        }
        if !may_capture(cx) {
            return refuse("gate_shut", "review has not let the order pass");
        }
        Ok(capture(self.what(), self.hold(), amount, cx))
    }
}
impl On<CaptureAsked> for Holding {
    fn on(&self, _: &CaptureAsked, cx: &mut Cx<'_, Self::R>) -> Next<Self::R> {
        if !may_capture(cx) {
            // Whoever wants the money asks again.
            return match self {
                Holding::Authorized(s) => stay(s.clone()),
                Holding::PartiallyCaptured(s) => stay(s.clone()),
            };
        }
        match due(self, cx) {
            0 => void(self.what(), self.hold(), cx),
            left => capture(self.what(), self.hold(), left, cx),
        }
    }
}
impl On<HoldDue> for Holding {
    fn on(&self, _: &HoldDue, cx: &mut Cx<'_, Self::R>) -> Next<Self::R> {
        let wanted = wanted(cx) && matches!(self, Holding::Authorized(_));
        let left = due(self, cx);
        if wanted && left > 0 && cx.policy().expiring == Expiring::Capture && may_capture(cx) {
            capture(self.what(), self.hold(), left, cx)
        } else {
            void(self.what(), self.hold(), cx)
        }
    }
}
impl Decide<Release> for Holding {
    fn decide(&self, _: &Release, cx: &mut Cx<'_, Self::R>) -> Answer<Self::R> {
        Ok(void(self.what(), self.hold(), cx))
    }
}
impl On<Stop> for Holding {
    fn on(&self, _: &Stop, cx: &mut Cx<'_, Self::R>) -> Next<Self::R> {
        void(self.what(), self.hold(), cx)
    }
}
impl On<Paid> for Secured {
    fn on(&self, e: &Paid, cx: &mut Cx<'_, Self::R>) -> Next<Self::R> {
        let (what, hold) = (self.what().come_by(&e.channel, &e.reference), self.hold());
        let authorized_on = self.what().channel.clone();
        let amount = e.amount.minor();
        let same = e.amount.currency() == what.money(cx).currency();
        if !same {
            cx.hold("mismatch", format!("captured {} in place of {}", e.amount, what.money(cx)));
        }
        let drawn = if same { amount.min(hold.left()).max(0) } else { 0 };
        let extra = if same { amount.saturating_sub(drawn) } else { 0 };
        let wanted = wanted(cx);
        let keep = if wanted { drawn.min(missing(cx)).max(0) } else { 0 };
        let unwanted = drawn.saturating_add(extra).saturating_sub(keep);
        cx.post(P3 { channel: e.channel.clone(), amount_minor: keep });
        cx.post(P5 { channel: e.channel.clone(), amount_minor: unwanted });
        if wanted && extra > 0 {
            cx.hold("mismatch", format!("captured {extra} more than was authorised"));
        }
        let captured_minor = hold.captured_minor.saturating_add(drawn).saturating_add(extra);
        if unwanted > 0 {
            cx.ask(what.back(cx.key(), captured_minor, Source::Suspense));
        }
        if !wanted && hold.captured_minor > 0 && cx.seen::<GivesBack>().is_some() {
            cx.ask(what.back(cx.key(), captured_minor, Source::Cust));
        }
        let hold = Held {
            captured_minor: hold.captured_minor.saturating_add(drawn),
            at: Some(cx.occurred()),
            ..hold.clone()
        };
        if e.more_allowed && wanted && hold.left() > 0 {
            cx.post(P2 { channel: authorized_on, amount_minor: drawn });
            let own = cx.after_ms(cx.policy().hold_ms);
            let at = cx.at(hold.until).unwrap_or(own);
            return until(at, PartiallyCaptured { what, hold });
        }
        // The channel takes no further capture, so the rest of the authorisation is free on its word.
        cx.post(P2 { channel: authorized_on, amount_minor: drawn.saturating_add(hold.left()) });
        to(Captured { what, captured_minor, at: cx.occurred(), late: false, unwanted: false })
    }
}

/// An authorisation is gone: what was captured of it stays captured.
fn freed<R, T>(what: &Try, hold: &Held, cx: &mut Cx<'_, R>, nothing: T) -> Next<R>
where
    R: Goto<Captured> + Goto<T> + Row<M = M>,
    M: crate::machine::Untimed<T>,
    P2: crate::machine::PostedBy<R>,
    MoneyBack: crate::machine::AskedBy<R>,
{
    cx.post(P2 { channel: what.channel.clone(), amount_minor: hold.left() });
    if hold.captured_minor == 0 {
        return to(nothing);
    }
    if cx.seen::<GivesBack>().is_some() {
        cx.ask(what.back(cx.key(), hold.captured_minor, Source::Cust));
    }
    to(Captured {
        what: what.clone(),
        captured_minor: hold.captured_minor,
        at: hold.at.unwrap_or_else(|| cx.occurred()),
        late: false,
        unwanted: false,
    })
}

impl On<HoldReleased> for Secured {
    fn on(&self, _: &HoldReleased, cx: &mut Cx<'_, Self::R>) -> Next<Self::R> {
        let nothing = Voided { what: self.what().clone() };
        freed(self.what(), self.hold(), cx, nothing)
    }
}
impl On<HoldExpired> for Secured {
    fn on(&self, _: &HoldExpired, cx: &mut Cx<'_, Self::R>) -> Next<Self::R> {
        let nothing = Expired { what: self.what().clone() };
        freed(self.what(), self.hold(), cx, nothing)
    }
}

/// Not captured after all: the authorisation stands, or is released if the order is not wanted any more.
fn uncaptured<R: Goto<Authorized> + Goto<Voiding> + Row<M = M>>(
    what: &Try,
    hold: &Held,
    cx: &mut Cx<'_, R>,
) -> Next<R>
where
    Void: EmittedBy<R>,
{
    if !wanted(cx) {
        return void(what, hold, cx);
    }
    let own = cx.after_ms(cx.policy().hold_ms);
    let at = cx.at(hold.until).unwrap_or(own);
    until(at, Authorized { what: what.clone(), hold: hold.clone() })
}

fn capture_unknown<R: Goto<CaptureUnknown> + Row<M = M>>(s: &Capturing, cx: &Cx<'_, R>) -> Next<R> {
    let wait = cx.policy().inquiry_wait_ms(0);
    until(cx.after_ms(wait), CaptureUnknown { what: s.what.clone(), hold: s.hold.clone(), asked: 0 })
}

impl On<CaptureRefused> for Capturing {
    fn on(&self, e: &CaptureRefused, cx: &mut Cx<'_, Self::R>) -> Next<Self::R> {
        if wanted(cx) {
            cx.hold("capture_refused", format!("the channel refuses a capture: {}", e.code));
        }
        uncaptured(&self.what, &self.hold, cx)
    }
}
impl On<CaptureLost> for Capturing {
    fn on(&self, _: &CaptureLost, cx: &mut Cx<'_, Self::R>) -> Next<Self::R> {
        capture_unknown(self, cx)
    }
}
impl On<CaptureGaveUp> for Capturing {
    fn on(&self, e: &CaptureGaveUp, cx: &mut Cx<'_, Self::R>) -> Next<Self::R> {
        if e.sent { capture_unknown(self, cx) } else { uncaptured(&self.what, &self.hold, cx) }
    }
}
impl On<AnswerDue> for Capturing {
    fn on(&self, _: &AnswerDue, cx: &mut Cx<'_, Self::R>) -> Next<Self::R> {
        capture_unknown(self, cx)
    }
}
impl On<AskAgain> for CaptureUnknown {
    fn on(&self, _: &AskAgain, cx: &mut Cx<'_, Self::R>) -> Next<Self::R> {
        let asked = self.asked.saturating_add(1);
        inquire(&self.what, asked, true, cx);
        if asked == cx.policy().inquiries {
            cx.remind("reconcile", "the channel does not say what became of a capture");
        }
        let wait = cx.policy().inquiry_wait_ms(asked);
        until(cx.after_ms(wait), CaptureUnknown { asked, ..self.clone() })
    }
}
/// How often a capture that never arrived is sent again before a person hears of it.
const CAPTURE_REPEATS: u32 = 3;

impl On<StillHeld> for CaptureUnknown {
    fn on(&self, _: &StillHeld, cx: &mut Cx<'_, Self::R>) -> Next<Self::R> {
        let hold = &self.hold;
        let wanted = wanted(cx) && may_capture(cx) && hold.asking_minor > 0;
        if wanted && hold.repeats < CAPTURE_REPEATS {
            // Whoever asked for the money still wants it. The same operation under the same key: should the first call
            // arrive after all, it is captured once.
            let amount = Money::new(hold.asking_minor, cx.order().total().currency());
            let (channel, reference) = (self.what.channel.clone(), self.what.reference.clone());
            let nth = hold.captures.saturating_sub(1);
            cx.want_again(Again::Missing(cx.asked_at()), nth, Capture { channel, reference, amount });
            let hold = Held { repeats: hold.repeats.saturating_add(1), ..hold.clone() };
            return until(cx.after_ms(cx.policy().answer_ms), Capturing { what: self.what.clone(), hold });
        }
        if wanted {
            cx.hold("capture_lost", "the channel holds the money and takes none of it");
        }
        uncaptured(&self.what, &self.hold, cx)
    }
}
impl On<Stop> for Uncertain {
    fn on(&self, _: &Stop, cx: &mut Cx<'_, Self::R>) -> Next<Self::R> {
        let (what, hold) = (self.what(), self.hold());
        if cx.unsent::<Capture>(hold.captures.saturating_sub(1)) {
            return void(what, hold, cx);
        }
        match self {
            Uncertain::Capturing(s) => stay(s.clone()),
            Uncertain::CaptureUnknown(s) => stay(s.clone()),
        }
    }
}
impl On<AnswerDue> for Voiding {
    fn on(&self, _: &AnswerDue, cx: &mut Cx<'_, Self::R>) -> Next<Self::R> {
        void(&self.what, &self.hold, cx)
    }
}
impl On<VoidRefused> for Voiding {
    fn on(&self, e: &VoidRefused, cx: &mut Cx<'_, Self::R>) -> Next<Self::R> {
        cx.hold("void_refused", format!("the channel keeps an authorisation: {}", e.code));
        inquire(&self.what, 0, true, cx);
        stay(self.clone())
    }
}
impl On<Paid> for Negative {
    fn on(&self, e: &Paid, cx: &mut Cx<'_, Self::R>) -> Next<Self::R> {
        let what = self.what().come_by(&e.channel, &e.reference);
        let amount_minor = e.amount.minor();
        let total = cx.order().total();
        if e.amount.currency() != total.currency() {
            // The books hold one currency: a person takes this one out of the channel's own report.
            cx.hold("mismatch", format!("paid {} late, in another currency", e.amount));
            cx.post(P5 { channel: e.channel.clone(), amount_minor: 0 });
            let at = cx.occurred();
            return to(Captured { what, captured_minor: 0, at, late: true, unwanted: true });
        }
        cx.post(P5 { channel: e.channel.clone(), amount_minor });
        let taken = cx.siblings().instances().any(|(k, s)| k != cx.key() && occupies(s) == Some(what.tender));
        let due = missing(cx).saturating_sub(cx.books().held());
        let unwanted = !wanted(cx) || taken || amount_minor > due;
        if unwanted {
            cx.ask(what.back(cx.key(), amount_minor, Source::Suspense));
        } else {
            cx.post(P6 { amount_minor });
        }
        let at = cx.occurred();
        to(Captured { what, captured_minor: amount_minor, at, late: true, unwanted })
    }
}
impl On<CaptureFailed> for Taken {
    fn on(&self, e: &CaptureFailed, cx: &mut Cx<'_, Self::R>) -> Next<Self::R> {
        let (was, captured_minor) = match self {
            Taken::Captured(s) => (s.clone(), s.captured_minor),
            Taken::PartiallyCaptured(s) => {
                // The scheme took it back, so the rest of this authorisation is not worth having.
                cx.post(P2 { channel: s.what.channel.clone(), amount_minor: s.hold.left() });
                let (what, captured_minor) = (s.what.clone(), s.hold.captured_minor);
                let at = s.hold.at.unwrap_or_else(|| cx.occurred());
                (Captured { what, captured_minor, at, late: false, unwanted: false }, captured_minor)
            }
        };
        let amount_minor = e.amount.minor();
        cx.post(P4 { channel: e.channel.clone(), amount_minor });
        cx.hold_for(
            Gates::Outflow,
            "capture_failed",
            format!("{} was taken back by the scheme or the bank", e.amount),
        );
        let left = captured_minor.saturating_sub(amount_minor);
        if left > 0 {
            to(Captured { captured_minor: left, ..was })
        } else {
            to(FailedLate { what: was.what })
        }
    }
}
impl On<GiveBack> for Captured {
    fn on(&self, _: &GiveBack, cx: &mut Cx<'_, Self::R>) -> Next<Self::R> {
        cx.ask(self.what.back(cx.key(), self.captured_minor, Source::Cust));
        stay(self.clone())
    }
}

impl Decide<AcceptMismatch> for Mismatch {
    fn decide(&self, _: &AcceptMismatch, cx: &mut Cx<'_, Self::R>) -> Answer<Self::R> {
        let due = missing(cx);
        if self.arrived_minor <= 0 || self.arrived_minor > due {
            return refuse("exceeds_due", format!("{} arrived, {due} due", self.arrived_minor));
        }
        cx.post(P6 { amount_minor: self.arrived_minor });
        Ok(to(Captured {
            what: self.what.clone(),
            captured_minor: self.arrived_minor,
            at: self.at,
            late: false,
            unwanted: false,
        }))
    }
}

fn unwanted<R: Goto<Captured> + Goto<Closed> + Row<M = M>>(s: &Mismatch, cx: &mut Cx<'_, R>) -> Next<R>
where
    MoneyBack: crate::machine::AskedBy<R>,
{
    if s.arrived_minor == 0 {
        return to(Closed { what: s.what.clone() });
    }
    cx.ask(s.what.back(cx.key(), s.arrived_minor, Source::Suspense));
    to(Captured {
        what: s.what.clone(),
        captured_minor: s.arrived_minor,
        at: s.at,
        late: false,
        unwanted: true,
    })
}
impl Decide<RefuseMismatch> for Mismatch {
    fn decide(&self, _: &RefuseMismatch, cx: &mut Cx<'_, Self::R>) -> Answer<Self::R> {
        Ok(unwanted(self, cx))
    }
}
impl On<ResolveDue> for Mismatch {
    fn on(&self, _: &ResolveDue, cx: &mut Cx<'_, Self::R>) -> Next<Self::R> {
        unwanted(self, cx)
    }
}
impl On<Stop> for Mismatch {
    fn on(&self, _: &Stop, cx: &mut Cx<'_, Self::R>) -> Next<Self::R> {
        unwanted(self, cx)
    }
}

impl Indexed for M {
    /// By channel and reference, `card:ch_123`: how a webhook that knows no order finds it, also after the end.
    fn rows(_: Key, state: &State, _: &Order, _: &PaymentPolicy) -> Vec<IndexRow> {
        let what = state.what();
        let row = |reference| IndexRow {
            space: "payment.reference",
            key: format!("{}:{reference}", what.channel),
            sort: 0,
        };
        what.reference.as_ref().map(row).into_iter().collect()
    }
}

/// What an attempt took and the order kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Taking {
    /// The attempt.
    pub attempt: Key,
    /// The tender that it paid.
    pub tender: Key,
    /// The channel that the money came by.
    pub channel: Channel,
    /// The channel's reference, where it gave one.
    pub reference: Option<String>,
    /// Minor units, late failures taken off.
    pub amount_minor: i64,
}

/// What each attempt took and the order kept, by key. Money that nobody wanted is not among it.
#[must_use]
pub fn takings(view: &View<'_, M>) -> Vec<Taking> {
    let taking = |attempt, what: &Try, amount_minor| Taking {
        attempt,
        tender: what.tender,
        channel: what.channel.clone(),
        reference: what.reference.clone(),
        amount_minor,
    };
    let kept = view.instances().filter_map(|(key, s)| match s {
        State::Captured(s) => (!s.unwanted).then(|| taking(key, &s.what, s.captured_minor)),
        State::PartiallyCaptured(s) => Some(taking(key, &s.what, s.hold.captured_minor)),
        State::Capturing(s) => Some(taking(key, &s.what, s.hold.captured_minor)),
        State::CaptureUnknown(s) => Some(taking(key, &s.what, s.hold.captured_minor)),
        State::Voiding(s) => Some(taking(key, &s.what, s.hold.captured_minor)),
        State::Sending(_)
        | State::NotSent(_)
        | State::Unknown(_)
        | State::Stuck(_)
        | State::Pending(_)
        | State::RequiresAction(_)
        | State::Closing(_)
        | State::Declined(_)
        | State::Closed(_)
        | State::Authorized(_)
        | State::Voided(_)
        | State::Expired(_)
        | State::Mismatch(_)
        | State::FailedLate(_) => None,
    });
    kept.filter(|t| t.amount_minor > 0).collect()
}

impl Fold<Funded> for M {
    fn fold(v: &View<'_, Self>) -> Option<Funded> {
        let total = v.world.order.total().minor();
        // What is being released is still in the books, and pays for nothing.
        let releasing = v.instances().fold(0, |n: i64, (_, s)| {
            if let State::Voiding(s) = s { n.saturating_add(s.hold.left()) } else { n }
        });
        let kept_minor = v.world.books.kept();
        let held_minor = v.world.books.held().saturating_sub(releasing);
        if total == 0 && !v.policy.free_is_funded {
            return None;
        }
        let credit = v.policy.credit_minor(total);
        let counted = match v.policy.funds {
            super::FundsPolicy::RequireCaptured => kept_minor,
            super::FundsPolicy::RequireAuthorized
            | super::FundsPolicy::OnDelivery
            | super::FundsPolicy::Credit { .. } => kept_minor.saturating_add(held_minor),
        };
        (counted.saturating_add(credit) >= v.world.due_minor).then_some(Funded { kept_minor, held_minor })
    }
}
impl Fold<Collected> for M {
    fn fold(v: &View<'_, Self>) -> Option<Collected> {
        let total = v.world.order.total().minor();
        let kept_minor = v.world.books.kept();
        if total == 0 && !v.policy.free_is_funded {
            return None;
        }
        let credit = v.policy.credit_minor(total);
        (kept_minor.saturating_add(credit) >= v.world.due_minor).then_some(Collected { kept_minor })
    }
}
