//! One try to take money on one channel.

use serde::{Deserialize, Serialize};

use super::policy::{CaptureGate, CaptureMode, Expiring, PaymentPolicy};
use crate::clock::Timestamp;
use crate::id::{Actor, Channel, Key, OpKey, Role};
use crate::ledger::{P1, P2, P3, P4, P5, P6, P18, Source};
use crate::machine::{
    Again, Answer, AskedBy, Cx, Decide, Effect, EmittedBy, Evidence, Fold, Gates, Goto, IndexRow, Indexed,
    Life, Moved, Next, On, PostedBy, Refusal, Row, View, refuse, stay, to, until,
};
use crate::money::Money;
use crate::order::Order;
use crate::planted::{Mutant, planted};
use crate::stage::proof::{Approved, Cancelling, Collected, Funded, GivesBack, ToCapture};
use crate::stage::{data, guesses, plain, quiet, shared};

crate::machine! {
    /// One try to take money on one channel (section 2.2 of the order domain).
    ///
    /// Ranks: 0 a local guess, 1 not final, 2 final and negative, 3 authorised, 4 captured, 5 captured and lost again.
    pub mod attempt = "payment.attempt" v 7;
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
    asks { MoneyBack, PaidElsewhere }
    inputs {
        command Start, Adopt, Cancel, CustomerBack, Collect, Release, AcceptMismatch, RefuseMismatch, Settle, Anew;
        outcome Changed @0, Lost @0, GaveUp @0, ChargeGaveUp @0, NotThere @0, CloseRefused @0, StillHeld @0,
                CaptureRefused @0, CaptureLost @0, CaptureGaveUp @0, VoidRefused @0,
                Pended @1, ActionNeeded @1, Refused @2, Gone @2, HoldReleased @2, HoldExpired @2,
                Authorised @3, Paid @4, CaptureFailed @5;
        timer   AnswerDue, AskAgain, ActionDue, CloseDue, HoldDue, ResolveDue;
        signal  Stop (on granted Cancelling), GiveBack (on granted GivesBack), CaptureAsked, Superseded;
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
        Drawn     = Capturing | CaptureUnknown | Voiding | PartiallyCaptured;
        Extra     = Captured | Mismatch;
        Negative  = NotSent | Declined | Closed | Voided | Expired;
        Ended     = NotSent | Declined | Closed | Voided | Expired | FailedLate;
        Rest      = RequiresAction | Closing | Authorized | Capturing | Voiding | PartiallyCaptured | NotSent
                  | Declined | Closed | Voided | Expired | Captured | Mismatch | FailedLate;
        Any       = Sending | Unknown | Stuck | Pending | RequiresAction | Closing | Authorized | Capturing
                  | CaptureUnknown | Voiding | PartiallyCaptured | NotSent | Declined | Closed | Voided | Expired
                  | Captured | Mismatch | FailedLate;
        Untold    = Unknown | Stuck | Pending | Closing;
        Unsettled = CaptureUnknown | Voiding;
    }
    rows {
        New            + Start          => Sending / Charge;
        New            + Adopt          => Captured ! P6 ? MoneyBack;
        Fresh          + ChargeGaveUp   => NotSent | Unknown | Stuck;
        Closing        + ChargeGaveUp   => Closing | Closed;
        Sending        + GaveUp         => Sending;
        Sending        + Lost           => Sending | Unknown;
        Any            + Changed        => Sending | Unknown | Stuck | Pending | RequiresAction | Closing | Authorized
                                         | Capturing | CaptureUnknown | Voiding | PartiallyCaptured | NotSent
                                         | Declined | Closed | Voided | Expired | Captured | Mismatch | FailedLate
                                         / Inquire;
        Rest           + Lost           => RequiresAction | Closing | Authorized | Capturing | Voiding
                                         | PartiallyCaptured | NotSent | Declined | Closed | Voided | Expired
                                         | Captured | Mismatch | FailedLate;
        Rest           + GaveUp         => RequiresAction | Closing | Authorized | Capturing | Voiding
                                         | PartiallyCaptured | NotSent | Declined | Closed | Voided | Expired
                                         | Captured | Mismatch | FailedLate;
        Sending        + AnswerDue      => Unknown;
        Fresh          + Pended         => Pending;
        Open           + ActionNeeded   => RequiresAction;
        RequiresAction + Pended         => Pending;
        RequiresAction + CustomerBack   => Pending;
        RequiresAction + ActionDue      => Closing / Close;
        Early          + Authorised     => Sending | Unknown | Stuck | Pending | RequiresAction | Closing | Authorized
                                         | Voiding | Mismatch / Inquire, Void ! P1;
        Early          + Paid           => Sending | Unknown | Stuck | Pending | RequiresAction | Closing | Captured
                                         | Mismatch / Inquire ! P3, P5 ? MoneyBack;
        Early          + Refused        => Declined;
        Early          + Gone           => Closed;
        Early          + HoldReleased   => Closed;
        Early          + HoldExpired    => Closed;
        Asked          + Cancel         => Closing / Close;
        Live           + Stop           => Closing / Close;
        Live           + Superseded     => Closing / Close;
        Untold         + Settle         => Unknown | Stuck | Pending | Closing | Closed | Captured | Mismatch
                                         ! P3, P5 ? MoneyBack;
        Unknown        + Anew           => Unknown / Inquire;
        Stuck          + Anew           => Unknown / Inquire;
        Closing        + Anew           => Closing / Close;
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
        Holding        + Superseded     => Voiding / Void;
        Secured        + Paid           => Authorized | Capturing | CaptureUnknown | Voiding | PartiallyCaptured
                                         | Captured | FailedLate / Inquire, Capture, Void ! P2, P3, P5 ? MoneyBack;
        Secured        + HoldReleased   => Voided | Captured | FailedLate !! P2 ? MoneyBack;
        Secured        + HoldExpired    => Expired | Captured | FailedLate !! P2 ? MoneyBack;
        Capturing      + CaptureRefused => Authorized | PartiallyCaptured | Voiding | CaptureUnknown / Void;
        Capturing      + CaptureLost    => CaptureUnknown;
        Capturing      + CaptureGaveUp  => Authorized | PartiallyCaptured | Voiding | CaptureUnknown / Void;
        Capturing      + AnswerDue      => CaptureUnknown;
        CaptureUnknown + AskAgain       => CaptureUnknown / Inquire;
        CaptureUnknown + StillHeld      => CaptureUnknown | Capturing | Authorized | PartiallyCaptured | Voiding
                                         / Capture, Void;
        CaptureUnknown + CaptureRefused => CaptureUnknown | Authorized | PartiallyCaptured | Voiding / Void;
        CaptureUnknown + Anew           => CaptureUnknown / Inquire;
        Unsettled      + Settle         => CaptureUnknown | Voiding | Authorized | PartiallyCaptured | Voided | Captured
                                         | FailedLate / Void ! P2, P3, P5 ? MoneyBack;
        Voiding        + AnswerDue      => Voiding / Void;
        Voiding        + VoidRefused    => Voiding / Inquire;
        Voiding        + Anew           => Voiding / Void;
        Negative       + Authorised     => NotSent | Declined | Closed | Voided | Expired | Voiding
                                         / Inquire, Void ! P1;
        Negative       + Paid           => NotSent | Declined | Closed | Voided | Expired | Captured
                                         / Inquire ! P5, P6 ? MoneyBack, PaidElsewhere;
        Captured       + Paid           => Captured / Inquire ! P5 ? MoneyBack;
        Mismatch       + Paid           => Mismatch / Inquire ! P5;
        FailedLate     + Paid           => FailedLate | Captured | Mismatch
                                         / Inquire ! P5, P6 ? MoneyBack, PaidElsewhere;
        Captured       + CaptureFailed  => Captured | FailedLate ! P4, P18;
        Drawn          + CaptureFailed  => Capturing | CaptureUnknown | Voiding | PartiallyCaptured ! P4, P18;
        Captured       + GiveBack       => Captured ? MoneyBack;
        Extra          + AcceptMismatch => Captured ! P6;
        Captured       + RefuseMismatch => Captured ? MoneyBack;
        Mismatch       + RefuseMismatch => Captured | Closed ? MoneyBack;
        Mismatch       + ResolveDue     => Captured | Closed ? MoneyBack;
        Mismatch       + Stop           => Captured | Closed ? MoneyBack;
    }
    ignore {
        Closing + Stop; Voiding + Stop; Ended + Stop; Captured + Stop;
        Early + GiveBack; Secured + GiveBack; Ended + GiveBack; Mismatch + GiveBack;
        Early + CaptureAsked; Resolving + CaptureAsked; Ended + CaptureAsked;
        Captured + CaptureAsked; Mismatch + CaptureAsked;
        Closing + Superseded; Resolving + Superseded; Ended + Superseded; Captured + Superseded;
        Mismatch + Superseded;
    }
    alarm {
        Early + CaptureFailed; Negative + CaptureFailed; Mismatch + CaptureFailed; Authorized + CaptureFailed;
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
    /// What is booked of it.
    #[serde(default, skip_serializing_if = "Booked::is_nothing")]
    pub booked: Booked,
    /// How many messages that did not agree with it were asked about.
    #[serde(default, skip_serializing_if = "none")]
    pub claims: u32,
    /// What one person saw at the channel, where a second one must have seen it too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub word: Option<Word>,
}

/// What is booked of an attempt, in minor units.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Booked {
    /// All that the channel took, what failed late not taken off.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub taken_minor: i64,
    /// What of it is the customer's, for this order; the rest was put in suspense. What failed late is taken off.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub kept_minor: i64,
    /// What of it failed late.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub failed_minor: i64,
    /// What of it is in suspense until a person decides, although the attempt itself is settled.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub open_minor: i64,
    /// Captures whose money is booked, or was told not to come: all of lower numbers.
    #[serde(default, skip_serializing_if = "none")]
    pub captures: u32,
}

impl Booked {
    #[allow(clippy::trivially_copy_pass_by_ref)] // the shape serde asks for
    fn is_nothing(&self) -> bool {
        *self == Self::default()
    }

    /// What is left of it, what failed late taken off.
    fn left(self) -> i64 {
        self.taken_minor.saturating_sub(self.failed_minor)
    }

    /// What counts as captured: what is kept, or all that is left where nothing of it is.
    fn counted(self) -> i64 {
        if self.kept_minor > 0 { self.kept_minor } else { self.left() }
    }
}

/// What a person saw at the channel.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Saw {
    /// The attempt took nothing and can take nothing any more. Of a capture: it did not happen.
    Nothing,
    /// The channel took this much in all, in minor units: the total of the attempt, not what came last.
    Taken {
        /// Minor units, in the currency of the order.
        total_minor: i64,
        /// The channel's reference, where it gave none before.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reference: Option<String>,
    },
    /// The authorisation is released, or ran out.
    Released,
}

/// What one person saw, until a second one says the same.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Word {
    /// Who.
    pub by: Actor,
    /// What.
    pub saw: Saw,
    /// In which state the attempt was.
    pub state: String,
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
        /** How often a person had it closed anew: each is an operation of its own. */
        #[serde(default, skip_serializing_if = "none")] nth: u32,
        /** Whether a person was called. */
        #[serde(default, skip_serializing_if = "std::ops::Not::not")] raised: bool,
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
    Voiding {
        /** What it is about. */ what: Try,
        /** What is held. */ hold: Held,
        /** Since when. */
        #[serde(default = "long_ago")] since: Timestamp,
        /** How often a person had it released anew: each is an operation of its own. */
        #[serde(default, skip_serializing_if = "none")] nth: u32,
        /** Whether a person was called. */
        #[serde(default, skip_serializing_if = "std::ops::Not::not")] raised: bool,
    }
    /// Released without taking money.
    Voided { /** What it is about. */ what: Try }
    /// The authorisation ran out.
    Expired { /** What it is about. */ what: Try }
    /// Some is taken, and more may be.
    PartiallyCaptured { /** What it is about. */ what: Try, /** What is held. */ hold: Held }
    /// Taken.
    Captured {
        /** What it is about. */ what: Try,
        /** Minor units taken for the order, late failures taken off; of what nobody wants, all of it. */
        captured_minor: i64,
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
    /// Takes money into the books of a new attempt that the channel told of for an attempt which never began, and which
    /// waits in suspense since. What the order still needs is kept, the rest goes back.
    Adopt {
        /** Which tender of the order it pays. */ tender: Key,
        /** The channel that it came by. */ channel: Channel,
        /** The channel's reference. */ reference: String,
        /** Minor units, no more than is in suspense for no attempt. */ amount_minor: i64,
        /** What proves that it is this order's. */ proof: String,
    }
    /// Says what a person saw at the channel, where the channel does not say it itself. Above the limit of the policy a
    /// second person must say the same. It is journaled as the word of who says it.
    Settle {
        /** What they saw. */ saw: Saw,
        /** What proves it: the report, the line, the number of the call. */ proof: String,
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
        /** The key that the charge was sent under: what to look it up by while there is no reference. */
        charge: OpKey,
        /** The key of the newest capture, where one was begun. */
        #[serde(default, skip_serializing_if = "Option::is_none")] capture: Option<OpKey>,
    }
    /// Closes an attempt, so that it can take no money any more.
    Close {
        /** The channel. */ channel: Channel,
        /** Its reference, if it gave one. */ reference: Option<String>,
        /** The key that the charge was sent under. */ charge: OpKey,
    }
    /// Captures an authorisation.
    Capture {
        /** The channel. */ channel: Channel,
        /** Its reference. */ reference: Option<String>,
        /** How much. */ amount: Money,
    }
    /// Releases what is left of an authorisation.
    Void {
        /** The channel. */ channel: Channel,
        /** Its reference. */ reference: Option<String>,
        /** The key that the charge was sent under. */ charge: OpKey,
    }

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
    /// Captured or charged. In an answer to a charge or a capture, and in a message: what this movement took. In an
    /// answer to an inquiry, a close or a release: the total that the attempt has taken so far, what failed late not
    /// taken off.
    Paid {
        /** The channel. */ channel: Channel,
        /** Its reference of the payment. */ reference: String,
        /** How much. */ amount: Money,
        /** The channel's own number of the movement, where it gives one: it tells two captures of one sum apart. */
        #[serde(default, skip_serializing_if = "Option::is_none")] movement: Option<String>,
        /** Whether the channel lets more of the same authorisation be captured. */
        #[serde(default)] more_allowed: bool,
    }
    /// A capture that failed late, at the scheme or the bank.
    CaptureFailed {
        /** The channel. */ channel: Channel,
        /** Its reference of the payment. */ reference: String,
        /** How much. */ amount: Money,
        /** The channel's own number of the movement, where it gives one. */
        #[serde(default, skip_serializing_if = "Option::is_none")] movement: Option<String>,
    }

    /// Asks for money to be given back.
    MoneyBack {
        /** The attempt that took it. */ attempt: Key,
        /** Its channel. */ channel: Channel,
        /** Its reference. */ reference: Option<String>,
        /** At most this many minor units. */ amount_minor: i64,
        /** All that the attempt took, in minor units: what it gave back already counts against it. */ taken_minor: i64,
        /** Out of which account. */ source: Source,
    }
    /// Tells the other attempts for a tender that it is paid.
    PaidElsewhere { /** The tender. */ tender: Key, /** The attempt that took it. */ attempt: Key }
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
    /// How many calls of the newest capture were made and not answered.
    #[serde(default, skip_serializing_if = "none")]
    pub repeats: u32,
    /// How often it was asked what became of the newest capture.
    #[serde(default, skip_serializing_if = "none")]
    pub asked: u32,
    /// The code with which a call of the newest capture was refused that was not its only one: it may be refused
    /// since an earlier one was carried out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refused: Option<String>,
    /// Whether a person wants another capture in the place of the newest one, once that is known not to come.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub anew: bool,
}

#[allow(clippy::trivially_copy_pass_by_ref)] // the shape serde asks for
fn is_zero(n: &i64) -> bool {
    *n == 0
}

#[allow(clippy::trivially_copy_pass_by_ref)] // the shape serde asks for
fn none(n: &u32) -> bool {
    *n == 0
}

impl Closing {
    /// An attempt that is being closed since then.
    #[must_use]
    pub const fn of(what: Try, since: Timestamp) -> Self {
        Self { what, since, refused: false, nth: 0, raised: false }
    }
}

impl Held {
    fn left(&self) -> i64 {
        self.authorized_minor.saturating_sub(self.captured_minor)
    }
}

plain! {
    /// Begins anew what does not come to its end: closes or releases under a new key, or asks once more and captures
    /// under a new key when that says that the money is still held.
    Anew,
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
    /// The channel says that something became of the attempt: it is asked what. A webhook is best told so, since what
    /// it says itself is only believed where it agrees with the attempt.
    Changed,
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
    /// Another attempt was paid for the same tender.
    Superseded,
}

quiet!(
    Changed,
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
    fn by_call(&self, effect: &str) -> bool {
        // What was told before may be what is asked about.
        effect == <Inquire as Effect>::NAME
    }
}
impl Evidence for Paid {
    fn moved(&self) -> Moved {
        Moved::In(self.channel.clone(), self.amount)
    }
    fn identity(&self) -> Option<String> {
        let plain = || format!("paid {} {}", self.reference, self.amount);
        Some(self.movement.as_ref().map_or_else(plain, |m| format!("paid in movement {m}")))
    }
    fn alias(&self) -> Option<String> {
        self.movement.as_ref().map(|_| format!("paid {} {}", self.reference, self.amount))
    }
    fn by_call(&self, effect: &str) -> bool {
        // A charge takes money once. Captures are told apart by their numbers, and the others tell a total.
        effect != <Charge as Effect>::NAME
    }
}
impl Evidence for CaptureFailed {
    fn moved(&self) -> Moved {
        Moved::Out(self.channel.clone(), self.amount)
    }
    fn identity(&self) -> Option<String> {
        let plain = || format!("capture failed {} {}", self.reference, self.amount);
        Some(self.movement.as_ref().map_or_else(plain, |m| format!("capture failed in movement {m}")))
    }
    fn alias(&self) -> Option<String> {
        self.movement.as_ref().map(|_| format!("capture failed {} {}", self.reference, self.amount))
    }
}

use attempt::{
    Any, Asked, Drawn, Early, Extra, Fresh, Holding, Live, M, Negative, New, Open, Rest, Secured, State,
    Uncertain, Unsettled, Untold,
};

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
shared!(Any.what: Try = Sending | Unknown | Stuck | Pending | RequiresAction | Closing
    | Authorized | Capturing | CaptureUnknown | Voiding | PartiallyCaptured | NotSent | Declined
    | Closed | Voided | Expired | Captured | Mismatch | FailedLate);
shared!(Drawn.what: Try = Capturing | CaptureUnknown | Voiding | PartiallyCaptured);
shared!(Untold.what: Try = Unknown | Stuck | Pending | Closing);
shared!(Unsettled.what: Try = CaptureUnknown | Voiding);
shared!(Unsettled.hold: Held = CaptureUnknown | Voiding);

/// Stays in whatever state of a group it is, about this from here on.
macro_rules! still {
    ($self:ident: $group:ident = $($state:ident)|+, $what:expr) => {
        match $self { $($group::$state(s) => { let mut s = s.clone(); s.what = $what; stay(s) }),+ }
    };
}

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

    /// What it is about once this much came, of which this much is kept for the order.
    fn took(&self, came_minor: i64, kept_minor: i64) -> Try {
        let booked = Booked {
            taken_minor: self.booked.taken_minor.saturating_add(came_minor),
            kept_minor: self.booked.kept_minor.saturating_add(kept_minor),
            ..self.booked
        };
        Try { booked, ..self.clone() }
    }

    /// Captures below this number are booked.
    fn settled(&self, captures: u32) -> Try {
        let captures = captures.max(self.booked.captures);
        Try { booked: Booked { captures, ..self.booked }, ..self.clone() }
    }

    fn back(&self, attempt: Key, amount_minor: i64, source: Source) -> MoneyBack {
        MoneyBack {
            attempt,
            channel: self.channel.clone(),
            reference: self.reference.clone(),
            amount_minor,
            taken_minor: self.booked.left(),
            source,
        }
    }
}

/// What news of money comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum News {
    /// It is booked already.
    Known,
    /// This much is new, in minor units.
    Came(i64),
    /// It is of another currency than the order, or came over another channel than what is booked: a person sees to it.
    Foreign,
    /// A message that does not agree with the attempt: the channel is asked before it is believed.
    Doubtful,
}

/// What is new of what a channel tells. `expected_minor` is what a message may tell unasked, and be believed.
fn news<R: Row<M = M>>(what: &Try, expected_minor: Option<i64>, e: &Paid, cx: &Cx<'_, R>) -> News {
    let amount = e.amount.minor();
    let foreign = e.amount.currency() != cx.order().total().currency();
    if !cx.is_answer() {
        // The engine compares answers; nobody has compared what comes unasked.
        let same = !foreign && agrees(what, &e.channel, &e.reference);
        let believed = same && expected_minor == Some(amount) || planted(Mutant::AmountNotCompared);
        return if believed { News::Came(amount) } else { News::Doubtful };
    }
    if foreign {
        return News::Foreign;
    }
    if let Some(n) = cx.answers::<Capture>() {
        return if n < what.booked.captures { News::Known } else { News::Came(amount) };
    }
    if what.booked.taken_minor > 0 && e.channel != what.channel {
        return News::Foreign;
    }
    let new = amount.saturating_sub(what.booked.taken_minor);
    if new > 0 { News::Came(new) } else { News::Known }
}

/// Whether a message speaks of this payment.
fn agrees(what: &Try, channel: &Channel, reference: &str) -> bool {
    *channel == what.channel && what.reference.as_deref().is_none_or(|known| known == reference)
}

/// Inquiries about messages that do not agree have numbers of their own, from here on; the others count from 0.
const CLAIMS: u32 = 1 << 31;

/// Asks about a message that does not agree with the attempt, on the channel that it speaks of. The attempt is looked
/// up by its own reference and key there, and not by what the message says.
fn ask_about<R: Row<M = M>>(what: &Try, on: &Channel, hold: Option<&Held>, cx: &mut Cx<'_, R>) -> Try
where
    Inquire: EmittedBy<R>,
{
    let asked = Try { channel: on.clone(), ..what.clone() };
    inquire(&asked, CLAIMS.saturating_add(what.claims).min(u32::MAX - 1), hold, cx);
    Try { claims: what.claims.saturating_add(1), ..what.clone() }
}

impl On<Changed> for Any {
    fn on(&self, _: &Changed, cx: &mut Cx<'_, Self::R>) -> Next<Self::R> {
        let hold = match self {
            Any::Authorized(s) => Some(&s.hold),
            Any::Capturing(s) => Some(&s.hold),
            Any::CaptureUnknown(s) => Some(&s.hold),
            Any::Voiding(s) => Some(&s.hold),
            Any::PartiallyCaptured(s) => Some(&s.hold),
            Any::Sending(_)
            | Any::Unknown(_)
            | Any::Stuck(_)
            | Any::Pending(_)
            | Any::RequiresAction(_)
            | Any::Closing(_)
            | Any::NotSent(_)
            | Any::Declined(_)
            | Any::Closed(_)
            | Any::Voided(_)
            | Any::Expired(_)
            | Any::Captured(_)
            | Any::Mismatch(_)
            | Any::FailedLate(_) => None,
        };
        let what = ask_about(self.what(), &self.what().channel, hold, cx);
        still!(self: Any = Sending | Unknown | Stuck | Pending | RequiresAction | Closing
            | Authorized | Capturing | CaptureUnknown | Voiding | PartiallyCaptured | NotSent | Declined
            | Closed | Voided | Expired | Captured | Mismatch | FailedLate, what)
    }
}

/// Raises a message that the channel was asked about and does not speak of.
fn unconfirmed<R: Row<M = M>>(cx: &mut Cx<'_, R>) {
    if cx.answers::<Inquire>().is_some_and(|n| n >= CLAIMS && n != u32::MAX) {
        cx.remind(
            "unconfirmed",
            "a message tells of other money than was asked for, and the channel does not say",
        );
    }
}

macro_rules! rest_stays {
    ($input:ident) => {
        impl On<$input> for Rest {
            fn on(&self, _: &$input, cx: &mut Cx<'_, Self::R>) -> Next<Self::R> {
                unconfirmed(cx);
                match self {
                    Rest::RequiresAction(s) => stay(s.clone()),
                    Rest::Closing(s) => stay(s.clone()),
                    Rest::Authorized(s) => stay(s.clone()),
                    Rest::Capturing(s) => stay(s.clone()),
                    Rest::Voiding(s) => stay(s.clone()),
                    Rest::PartiallyCaptured(s) => stay(s.clone()),
                    Rest::NotSent(s) => stay(s.clone()),
                    Rest::Declined(s) => stay(s.clone()),
                    Rest::Closed(s) => stay(s.clone()),
                    Rest::Voided(s) => stay(s.clone()),
                    Rest::Expired(s) => stay(s.clone()),
                    Rest::Captured(s) => stay(s.clone()),
                    Rest::Mismatch(s) => stay(s.clone()),
                    Rest::FailedLate(s) => stay(s.clone()),
                }
            }
        }
    };
}
rest_stays!(Lost);
rest_stays!(GaveUp);

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

/// What the customer has not paid yet, in minor units: what is due less what is kept; of an order on its way out, what
/// was served.
fn missing<R: Row<M = M>>(cx: &Cx<'_, R>) -> i64 {
    if cx.life() == Life::Cancelling {
        return cx.books().owed().saturating_neg().max(0);
    }
    // What was written off is asked for no more: paid all the same, it goes back.
    cx.due_minor().saturating_sub(cx.books().kept()).saturating_sub(cx.books().written_off())
}

/// What an attempt over a tender is to take, in minor units: what is missing and no other attempt is about to take, and
/// of it what the tender asks for, with what no tender covers.
fn asks<R: Row<M = M>>(tender: Key, cx: &Cx<'_, R>) -> i64 {
    let mut under_way: i64 = 0;
    let mut of_others: i64 = 0;
    let mut own: i64 = 0;
    for t in cx.order().tenders() {
        let mut covered: i64 = 0;
        for (_, s) in cx.siblings().instances().filter(|(_, s)| occupies(s) == Some(t.key)) {
            let (taken, coming) = match s {
                State::Captured(s) => (s.captured_minor, 0),
                State::Authorized(s) => (s.hold.captured_minor, s.hold.left()),
                State::Capturing(s) => (s.hold.captured_minor, s.hold.left()),
                State::CaptureUnknown(s) => (s.hold.captured_minor, s.hold.left()),
                State::PartiallyCaptured(s) => (s.hold.captured_minor, s.hold.left()),
                State::Voiding(s) => (s.hold.captured_minor, 0),
                State::Mismatch(s) => (0, s.arrived_minor),
                State::Sending(_)
                | State::NotSent(_)
                | State::Unknown(_)
                | State::Stuck(_)
                | State::Pending(_)
                | State::RequiresAction(_)
                | State::Closing(_)
                | State::Declined(_)
                | State::Closed(_)
                | State::Voided(_)
                | State::Expired(_)
                | State::FailedLate(_) => (0, s.what().amount_minor),
            };
            under_way = under_way.saturating_add(coming);
            covered = covered.saturating_add(taken).saturating_add(coming);
        }
        let open = t.amount_minor.saturating_sub(covered).max(0);
        if t.key == tender { own = open } else { of_others = of_others.saturating_add(open) }
    }
    let missing = missing(cx).saturating_sub(under_way);
    let on_top = missing.saturating_sub(own).saturating_sub(of_others).max(0);
    missing.min(own.saturating_add(on_top))
}

impl Decide<Start> for New {
    fn decide(&self, c: &Start, cx: &mut Cx<'_, Self::R>) -> Answer<Self::R> {
        if !wanted(cx) {
            return refuse("not_wanted", "the order is not wanted any more");
        }
        let Some(tender) = cx.order().tenders().iter().find(|t| t.key == c.tender) else {
            return refuse("unknown_tender", format!("the order has no tender {}", c.tender));
        };
        let mut collected = None;
        for (other, s) in cx.siblings().instances().filter(|(_, s)| occupies(s) == Some(c.tender)) {
            collected = Some(other);
            // What it took or holds is counted; what it is to take is not known yet.
            if !matches!(s, State::Captured(_) | State::PartiallyCaptured(_) | State::Authorized(_)) {
                return refuse(
                    "tender_busy",
                    format!("attempt {other} may still collect tender {}", c.tender),
                );
            }
        }
        let stray = unplaced(cx);
        if stray > 0 {
            return refuse(
                "unplaced_money",
                format!("{stray} came for an attempt that never began: see to it first"),
            );
        }
        let amount_minor = asks(c.tender, cx);
        if amount_minor <= 0 {
            return match collected {
                Some(other) => {
                    refuse("tender_busy", format!("attempt {other} has collected tender {}", c.tender))
                }
                None => refuse("nothing_due", "what is due is paid, or about to be"),
            };
        }
        let what = Try {
            tender: c.tender,
            channel: c.channel.clone().unwrap_or_else(|| tender.channel.clone()),
            amount_minor,
            started_at: cx.now(),
            reference: None,
            booked: Booked::default(),
            claims: 0,
            word: None,
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

/// Minor units in suspense that no attempt took: they came for one that never began.
fn unplaced<R: Row<M = M>>(cx: &Cx<'_, R>) -> i64 {
    let (mut placed, mut waits) = (0i64, 0i64);
    for (_, s) in cx.siblings().instances() {
        let booked = s.what().booked;
        placed = placed.saturating_add(booked.left());
        // What an attempt took and nobody wanted is on its way back, but for what waits for a person's word.
        if let State::Mismatch(_) = s {
            waits = waits.saturating_add(booked.left().saturating_sub(booked.kept_minor).max(0));
        }
    }
    let stray = cx.books().captured(None).saturating_sub(placed);
    stray.min(cx.books().suspense().saturating_sub(waits)).max(0)
}

/// Whether a person speaks, who answers for it with a proof.
fn vouched(by: &Actor, proof: &str) -> Result<(), Refusal> {
    if by.role() != Role::Agent {
        return Err(Refusal {
            code: "not_a_person",
            detail: "a person at work says what they saw".to_owned(),
        });
    }
    if proof.trim().is_empty() {
        return Err(Refusal { code: "no_proof", detail: "say what proves it".to_owned() });
    }
    Ok(())
}

impl Decide<Adopt> for New {
    fn decide(&self, c: &Adopt, cx: &mut Cx<'_, Self::R>) -> Answer<Self::R> {
        vouched(cx.by(), &c.proof)?;
        if !cx.order().tenders().iter().any(|t| t.key == c.tender) {
            return refuse("unknown_tender", format!("the order has no tender {}", c.tender));
        }
        let stray = unplaced(cx);
        if c.amount_minor <= 0 || c.amount_minor > stray {
            return refuse(
                "not_there",
                format!("{} of {stray} that are in suspense for no attempt", c.amount_minor),
            );
        }
        let keep = if wanted(cx) { c.amount_minor.min(missing(cx)).max(0) } else { 0 };
        let back = c.amount_minor.saturating_sub(keep);
        let what = Try {
            tender: c.tender,
            channel: c.channel.clone(),
            amount_minor: c.amount_minor,
            started_at: cx.now(),
            reference: Some(c.reference.clone()),
            booked: Booked::default(),
            claims: 0,
            word: None,
        };
        let what = what.took(c.amount_minor, keep);
        cx.post(P6 { amount_minor: keep });
        if back > 0 {
            cx.ask(what.back(cx.key(), back, Source::Suspense));
        }
        let at = cx.now();
        let captured_minor = what.booked.counted();
        Ok(to(Captured { what, captured_minor, at, late: true, unwanted: keep == 0 }))
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
impl On<GaveUp> for Sending {
    fn on(&self, _: &GaveUp, cx: &mut Cx<'_, Self::R>) -> Next<Self::R> {
        // That nobody could be asked says nothing of the charge.
        unconfirmed(cx);
        stay(self.clone())
    }
}
impl On<Lost> for Sending {
    fn on(&self, _: &Lost, cx: &mut Cx<'_, Self::R>) -> Next<Self::R> {
        if cx.answers::<Inquire>().is_some() {
            unconfirmed(cx);
            return stay(self.clone());
        }
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

/// The wait before something is asked for again that has been going on since then: as long again, so that a channel
/// which is away for days does not fill the journal. Up to 128 times the first wait.
fn as_long_again<R: Row<M = M>>(since: Timestamp, first_ms: u64, cx: &Cx<'_, R>) -> (u64, u64) {
    let so_far = u64::try_from(cx.now().since(since).as_millis()).unwrap_or(u64::MAX);
    (so_far.clamp(first_ms, first_ms.saturating_mul(128)), so_far)
}

fn close<R: Goto<Closing> + Row<M = M>>(what: &Try, cx: &mut Cx<'_, R>) -> Next<R>
where
    Close: EmittedBy<R>,
{
    let since = cx.now();
    close_again(Closing::of(what.clone(), since), cx)
}

fn close_again<R: Goto<Closing> + Row<M = M>>(s: Closing, cx: &mut Cx<'_, R>) -> Next<R>
where
    Close: EmittedBy<R>,
{
    let (channel, reference) = (s.what.channel.clone(), s.what.reference.clone());
    let ask = Close { channel, reference, charge: cx.op_key::<Charge>(0) };
    // What is closed stays closed, however often it is asked for.
    cx.want_again(Again::Harmless, s.nth, ask);
    let (wait, so_far) = as_long_again(s.since, cx.policy().close_ms, cx);
    let late = so_far >= cx.policy().reconcile_ms;
    if late && !s.raised {
        cx.remind("closing", "the channel does not close an attempt, and does not say what it took");
    }
    until(cx.after_ms(wait), Closing { refused: false, raised: s.raised || late, ..s })
}

impl On<ActionDue> for RequiresAction {
    fn on(&self, _: &ActionDue, cx: &mut Cx<'_, Self::R>) -> Next<Self::R> {
        close(&self.what, cx)
    }
}
impl Decide<Cancel> for Asked {
    fn decide(&self, _: &Cancel, cx: &mut Cx<'_, Self::R>) -> Answer<Self::R> {
        Ok(close(self.what(), cx))
    }
}
impl On<Stop> for Live {
    fn on(&self, _: &Stop, cx: &mut Cx<'_, Self::R>) -> Next<Self::R> {
        close(self.what(), cx)
    }
}
impl On<Superseded> for Live {
    fn on(&self, _: &Superseded, cx: &mut Cx<'_, Self::R>) -> Next<Self::R> {
        close(self.what(), cx)
    }
}
impl On<CloseDue> for Closing {
    fn on(&self, _: &CloseDue, cx: &mut Cx<'_, Self::R>) -> Next<Self::R> {
        close_again(self.clone(), cx)
    }
}
impl Decide<Anew> for Closing {
    fn decide(&self, _: &Anew, cx: &mut Cx<'_, Self::R>) -> Answer<Self::R> {
        Ok(close_again(Closing { nth: self.nth.saturating_add(1), ..self.clone() }, cx))
    }
}

/// Asks what became of an attempt; of one with an authorisation, what became of that.
fn inquire<R: Row<M = M>>(what: &Try, n: u32, hold: Option<&Held>, cx: &mut Cx<'_, R>)
where
    Inquire: EmittedBy<R>,
{
    let captures = hold.map_or(0, |h| h.captures);
    let ask = Inquire {
        channel: what.channel.clone(),
        reference: what.reference.clone(),
        amount: what.money(cx),
        held: hold.is_some(),
        charge: cx.op_key::<Charge>(0),
        capture: captures.checked_sub(1).map(|nth| cx.op_key::<Capture>(nth)),
    };
    cx.want_nth(n, ask);
}

impl On<CloseRefused> for Closing {
    fn on(&self, _: &CloseRefused, cx: &mut Cx<'_, Self::R>) -> Next<Self::R> {
        inquire(&self.what, 0, None, cx);
        stay(Closing { refused: true, ..self.clone() })
    }
}
impl On<NotThere> for Closing {
    fn on(&self, _: &NotThere, cx: &mut Cx<'_, Self::R>) -> Next<Self::R> {
        // Asked before the close, it proves nothing; the channel that refused to close it says that there is nothing
        // to close. But a call that was still on its way when it was asked may yet open what was not there to be
        // closed.
        if self.refused && cx.settled() { to(Closed { what: self.what.clone() }) } else { stay(self.clone()) }
    }
}
impl On<AskAgain> for Unknown {
    fn on(&self, _: &AskAgain, cx: &mut Cx<'_, Self::R>) -> Next<Self::R> {
        let asked = self.asked.saturating_add(1);
        inquire(&self.what, asked, None, cx);
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
        close(&self.what, cx)
    }
}
impl Decide<Anew> for Unknown {
    fn decide(&self, _: &Anew, cx: &mut Cx<'_, Self::R>) -> Answer<Self::R> {
        Ok(ask_anew(&self.what, self.asked, cx))
    }
}
impl Decide<Anew> for Stuck {
    fn decide(&self, _: &Anew, cx: &mut Cx<'_, Self::R>) -> Answer<Self::R> {
        Ok(ask_anew(&self.what, 0, cx))
    }
}
/// Asks at once. Nothing is charged anew: what is not there is closed, and another attempt may be begun.
fn ask_anew<R: Goto<Unknown> + Row<M = M>>(what: &Try, asked: u32, cx: &mut Cx<'_, R>) -> Next<R>
where
    Inquire: EmittedBy<R>,
{
    let asked = asked.saturating_add(1);
    inquire(what, asked, None, cx);
    until(cx.after_ms(cx.policy().inquiry_wait_ms(asked)), Unknown { what: what.clone(), asked, missing: 1 })
}
impl On<AskAgain> for Pending {
    fn on(&self, _: &AskAgain, cx: &mut Cx<'_, Self::R>) -> Next<Self::R> {
        let asked = self.asked.saturating_add(1);
        inquire(&self.what, asked, None, cx);
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
        inquire(&self.what, u32::MAX, None, cx);
        until(cx.after_ms(cx.policy().reconcile_ms), self.clone())
    }
}

fn void<R: Goto<Voiding> + Row<M = M>>(what: &Try, hold: &Held, cx: &mut Cx<'_, R>) -> Next<R>
where
    Void: EmittedBy<R>,
{
    let (since, what, hold) = (cx.now(), what.clone(), hold.clone());
    void_again(Voiding { what, hold, since, nth: 0, raised: false }, cx)
}

fn void_again<R: Goto<Voiding> + Row<M = M>>(s: Voiding, cx: &mut Cx<'_, R>) -> Next<R>
where
    Void: EmittedBy<R>,
{
    let (channel, reference) = (s.what.channel.clone(), s.what.reference.clone());
    let ask = Void { channel, reference, charge: cx.op_key::<Charge>(0) };
    cx.want_again(Again::Harmless, s.nth, ask);
    let (wait, so_far) = as_long_again(s.since, cx.policy().answer_ms, cx);
    let late = so_far >= cx.policy().reconcile_ms;
    if late && !s.raised {
        cx.remind("voiding", "the channel does not say that it released an authorisation");
    }
    until(cx.after_ms(wait), Voiding { raised: s.raised || late, ..s })
}

fn held(e: &Authorised, until: Timestamp) -> Held {
    Held { authorized_minor: e.amount.minor(), until, ..Held::default() }
}

impl On<Authorised> for Early {
    fn on(&self, e: &Authorised, cx: &mut Cx<'_, Self::R>) -> Next<Self::R> {
        if !cx.is_answer() && !authorises(self.what(), e, cx) {
            let what = ask_about(self.what(), &e.channel, None, cx);
            return still!(self: Early = Sending | Unknown | Stuck | Pending | RequiresAction | Closing, what);
        }
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
/// Whether a message of an authorisation agrees with what was asked for.
fn authorises<R: Row<M = M>>(what: &Try, e: &Authorised, cx: &Cx<'_, R>) -> bool {
    e.amount == what.money(cx) && agrees(what, &e.channel, &e.reference)
}
impl On<Authorised> for Negative {
    fn on(&self, e: &Authorised, cx: &mut Cx<'_, Self::R>) -> Next<Self::R> {
        let foreign = e.amount.currency() != cx.order().total().currency();
        if foreign || !cx.is_answer() && !authorises(self.what(), e, cx) {
            let what = ask_about(self.what(), &e.channel, None, cx);
            return still!(self: Negative = NotSent | Declined | Closed | Voided | Expired, what);
        }
        cx.post(P1 { channel: e.channel.clone(), amount_minor: e.amount.minor() });
        let hold = held(e, cx.now());
        void(&self.what().come_by(&e.channel, &e.reference), &hold, cx)
    }
}
impl On<Paid> for Early {
    fn on(&self, e: &Paid, cx: &mut Cx<'_, Self::R>) -> Next<Self::R> {
        if news(self.what(), Some(self.what().amount_minor), e, cx) == News::Doubtful {
            let what = ask_about(self.what(), &e.channel, None, cx);
            return still!(self: Early = Sending | Unknown | Stuck | Pending | RequiresAction | Closing, what);
        }
        arrived(self.what(), e, cx)
    }
}
/// Money came for an attempt of which nothing was booked before.
fn arrived<R: Goto<Captured> + Goto<Mismatch> + Row<M = M>>(
    what: &Try,
    e: &Paid,
    cx: &mut Cx<'_, R>,
) -> Next<R>
where
    P3: PostedBy<R>,
    P5: PostedBy<R>,
    MoneyBack: AskedBy<R>,
{
    let what = what.come_by(&e.channel, &e.reference);
    let amount_minor = e.amount.minor();
    let expected = what.money(cx);
    let resolve = cx.after_ms(cx.policy().mismatch_ms);
    if e.amount.currency() != expected.currency() {
        cx.hold("mismatch", format!("paid {} in place of {expected}", e.amount));
        return until(resolve, Mismatch { what, arrived_minor: 0, at: cx.occurred() });
    }
    let unwanted = !wanted(cx) || e.amount == expected && amount_minor > missing(cx);
    let (captured_minor, at) = (amount_minor, cx.occurred());
    if unwanted {
        let what = what.took(amount_minor, 0);
        cx.post(P5 { channel: e.channel.clone(), amount_minor });
        cx.ask(what.back(cx.key(), amount_minor, Source::Suspense));
        return to(Captured { what, captured_minor, at, late: false, unwanted });
    }
    if e.amount != expected {
        cx.post(P5 { channel: e.channel.clone(), amount_minor });
        cx.hold("mismatch", format!("paid {} in place of {expected}", e.amount));
        return until(
            resolve,
            Mismatch { what: what.took(amount_minor, 0), arrived_minor: amount_minor, at },
        );
    }
    cx.post(P3 { channel: e.channel.clone(), amount_minor });
    let what = what.took(amount_minor, amount_minor);
    to(Captured { what, captured_minor, at, late: false, unwanted })
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
    let hold = Held {
        captures,
        asking_minor: amount_minor,
        repeats: 0,
        asked: 0,
        refused: None,
        anew: false,
        ..hold.clone()
    };
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
impl On<Superseded> for Holding {
    fn on(&self, _: &Superseded, cx: &mut Cx<'_, Self::R>) -> Next<Self::R> {
        void(self.what(), self.hold(), cx)
    }
}
impl On<Stop> for Holding {
    fn on(&self, _: &Stop, cx: &mut Cx<'_, Self::R>) -> Next<Self::R> {
        void(self.what(), self.hold(), cx)
    }
}
impl On<Paid> for Secured {
    fn on(&self, e: &Paid, cx: &mut Cx<'_, Self::R>) -> Next<Self::R> {
        let (what, hold) = (self.what(), self.hold());
        let expected = match self {
            Secured::Capturing(_) | Secured::CaptureUnknown(_) => Some(hold.asking_minor),
            Secured::Authorized(_) | Secured::Voiding(_) | Secured::PartiallyCaptured(_) => None,
        };
        let what = match news(what, expected, e, cx) {
            News::Came(new) => return drawn(what, hold, new, e, cx),
            News::Doubtful => ask_about(what, &e.channel, Some(hold), cx),
            News::Foreign => {
                cx.hold(
                    "mismatch",
                    format!("captured {} on {} in place of {}", e.amount, e.channel, what.money(cx)),
                );
                what.clone()
            }
            News::Known => {
                let asked = cx.answers::<Inquire>().is_some();
                match self {
                    // The channel has taken no more than is booked: the capture did not happen so far.
                    Secured::CaptureUnknown(s) if asked && cx.settled() => return not_captured(s, cx),
                    // It cannot release what it took, and nothing is left to be released.
                    Secured::Voiding(_) if cx.answers::<Void>().is_some() || asked && !e.more_allowed => {
                        return over(what, hold, cx);
                    }
                    Secured::Authorized(_)
                    | Secured::Capturing(_)
                    | Secured::CaptureUnknown(_)
                    | Secured::Voiding(_)
                    | Secured::PartiallyCaptured(_) => what.clone(),
                }
            }
        };
        still!(self: Secured = Authorized | Capturing | CaptureUnknown | Voiding | PartiallyCaptured, what)
    }
}

/// Money was drawn from an authorisation.
fn drawn<R>(what: &Try, hold: &Held, new_minor: i64, e: &Paid, cx: &mut Cx<'_, R>) -> Next<R>
where
    R: Goto<Captured> + Goto<PartiallyCaptured> + Row<M = M>,
    P2: PostedBy<R>,
    P3: PostedBy<R>,
    P5: PostedBy<R>,
    MoneyBack: AskedBy<R>,
{
    let authorized_on = what.channel.clone();
    let drawn = new_minor.min(hold.left()).max(0);
    let extra = new_minor.saturating_sub(drawn);
    let wanted = wanted(cx);
    let keep = if wanted { drawn.min(missing(cx)).max(0) } else { 0 };
    let unwanted = new_minor.saturating_sub(keep);
    let captures = cx.answers::<Capture>().map_or(hold.captures, |n| n.saturating_add(1));
    let what = what.come_by(&e.channel, &e.reference).took(new_minor, keep).settled(captures);
    cx.post(P3 { channel: e.channel.clone(), amount_minor: keep });
    cx.post(P5 { channel: e.channel.clone(), amount_minor: unwanted });
    if wanted && extra > 0 {
        cx.hold("mismatch", format!("captured {extra} more than was authorised"));
    }
    if unwanted > 0 {
        cx.ask(what.back(cx.key(), unwanted, Source::Suspense));
    }
    if !wanted && what.booked.kept_minor > 0 && cx.seen::<GivesBack>().is_some() {
        cx.ask(what.back(cx.key(), what.booked.kept_minor, Source::Cust));
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
    let (captured_minor, unwanted) = (what.booked.counted(), what.booked.kept_minor == 0);
    to(Captured { what, captured_minor, at: cx.occurred(), late: false, unwanted })
}

/// An authorisation is gone, and something had been captured of it.
fn over<R>(what: &Try, hold: &Held, cx: &mut Cx<'_, R>) -> Next<R>
where
    R: Goto<Captured> + Goto<FailedLate> + Row<M = M>,
    P2: PostedBy<R>,
    MoneyBack: AskedBy<R>,
{
    cx.post(P2 { channel: what.channel.clone(), amount_minor: hold.left() });
    let Booked { kept_minor, .. } = what.booked;
    if what.booked.left() <= 0 {
        return to(FailedLate { what: what.clone() });
    }
    if cx.seen::<GivesBack>().is_some() {
        cx.ask(what.back(cx.key(), kept_minor, Source::Cust));
    }
    to(Captured {
        what: what.clone(),
        captured_minor: what.booked.counted(),
        at: hold.at.unwrap_or_else(|| cx.occurred()),
        late: false,
        unwanted: kept_minor == 0,
    })
}

/// An authorisation is gone: what was captured of it stays captured.
fn freed<R, T>(what: &Try, hold: &Held, cx: &mut Cx<'_, R>, nothing: T) -> Next<R>
where
    R: Goto<Captured> + Goto<FailedLate> + Goto<T> + Row<M = M>,
    M: crate::machine::Untimed<T>,
    P2: PostedBy<R>,
    MoneyBack: AskedBy<R>,
{
    if what.booked.taken_minor == 0 {
        cx.post(P2 { channel: what.channel.clone(), amount_minor: hold.left() });
        return to(nothing);
    }
    over(what, hold, cx)
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
fn uncaptured<R>(what: &Try, hold: &Held, cx: &mut Cx<'_, R>) -> Next<R>
where
    R: Goto<Authorized> + Goto<PartiallyCaptured> + Goto<Voiding> + Row<M = M>,
    Void: EmittedBy<R>,
{
    if !wanted(cx) {
        return void(what, hold, cx);
    }
    let own = cx.after_ms(cx.policy().hold_ms);
    let at = cx.at(hold.until).unwrap_or(own);
    let (what, hold) = (what.clone(), hold.clone());
    if hold.captured_minor > 0 {
        return until(at, PartiallyCaptured { what, hold });
    }
    until(at, Authorized { what, hold })
}

/// Nobody knows what became of a capture. `made` says whether one more call of it was made.
fn capture_unknown<R: Goto<CaptureUnknown> + Row<M = M>>(
    s: &Capturing,
    made: bool,
    cx: &Cx<'_, R>,
) -> Next<R> {
    let asked = s.hold.asked;
    let repeats = s.hold.repeats.saturating_add(u32::from(made));
    let hold = Held { repeats, ..s.hold.clone() };
    let wait = cx.policy().inquiry_wait_ms(asked);
    until(cx.after_ms(wait), CaptureUnknown { what: s.what.clone(), hold, asked })
}

/// Whether a refusal is of the newest capture, of which this many calls were not answered.
fn refuses_newest<R: Row<M = M>>(hold: &Held, unanswered: u32, cx: &Cx<'_, R>) -> bool {
    let newest = cx.answers::<Capture>().is_some_and(|n| n.saturating_add(1) == hold.captures);
    newest && hold.repeats == unanswered
}

fn capture_refused<R>(what: &Try, hold: &Held, code: &str, cx: &mut Cx<'_, R>) -> Next<R>
where
    R: Goto<Authorized> + Goto<PartiallyCaptured> + Goto<Voiding> + Row<M = M>,
    Void: EmittedBy<R>,
{
    if wanted(cx) {
        cx.hold("capture_refused", format!("the channel refuses a capture: {code}"));
    }
    uncaptured(what, hold, cx)
}

impl On<CaptureRefused> for Capturing {
    fn on(&self, e: &CaptureRefused, cx: &mut Cx<'_, Self::R>) -> Next<Self::R> {
        if refuses_newest(&self.hold, 0, cx) {
            return capture_refused(&self.what, &self.hold, &e.code, cx);
        }
        let hold = Held { refused: Some(e.code.clone()), ..self.hold.clone() };
        capture_unknown(&Capturing { hold, ..self.clone() }, false, cx)
    }
}
impl On<CaptureRefused> for CaptureUnknown {
    fn on(&self, e: &CaptureRefused, cx: &mut Cx<'_, Self::R>) -> Next<Self::R> {
        // It is the late answer to the only call there was.
        if refuses_newest(&self.hold, 1, cx) {
            return capture_refused(&self.what, &self.hold, &e.code, cx);
        }
        let hold = Held { refused: Some(e.code.clone()), ..self.hold.clone() };
        stay(CaptureUnknown { hold, ..self.clone() })
    }
}
impl On<CaptureLost> for Capturing {
    fn on(&self, _: &CaptureLost, cx: &mut Cx<'_, Self::R>) -> Next<Self::R> {
        // What was withheld is no call that was made.
        capture_unknown(self, !cx.withheld(), cx)
    }
}
impl On<CaptureGaveUp> for Capturing {
    fn on(&self, e: &CaptureGaveUp, cx: &mut Cx<'_, Self::R>) -> Next<Self::R> {
        if e.sent || self.hold.repeats > 0 {
            // What was withheld, or never left, is no call that was made.
            return capture_unknown(self, self.hold.repeats == 0, cx);
        }
        uncaptured(&self.what, &self.hold, cx)
    }
}
impl On<AnswerDue> for Capturing {
    fn on(&self, _: &AnswerDue, cx: &mut Cx<'_, Self::R>) -> Next<Self::R> {
        capture_unknown(self, true, cx)
    }
}
impl On<AskAgain> for CaptureUnknown {
    fn on(&self, _: &AskAgain, cx: &mut Cx<'_, Self::R>) -> Next<Self::R> {
        let asked = self.asked.saturating_add(1);
        inquire(&self.what, asked, Some(&self.hold), cx);
        if asked == cx.policy().inquiries {
            cx.remind("reconcile", "the channel does not say what became of a capture");
        }
        let wait = cx.policy().inquiry_wait_ms(asked);
        until(cx.after_ms(wait), CaptureUnknown { asked, ..self.clone() })
    }
}
impl Decide<Anew> for CaptureUnknown {
    fn decide(&self, _: &Anew, cx: &mut Cx<'_, Self::R>) -> Answer<Self::R> {
        let asked = self.asked.saturating_add(1);
        inquire(&self.what, asked, Some(&self.hold), cx);
        let wait = cx.policy().inquiry_wait_ms(asked);
        let hold = Held { anew: true, ..self.hold.clone() };
        Ok(until(cx.after_ms(wait), CaptureUnknown { asked, hold, ..self.clone() }))
    }
}
/// How often a capture that never arrived is sent again before a person hears of it.
const CAPTURE_REPEATS: u32 = 3;

impl On<StillHeld> for CaptureUnknown {
    fn on(&self, _: &StillHeld, cx: &mut Cx<'_, Self::R>) -> Next<Self::R> {
        // A call that was under way when it was asked may be carried out yet. Until that is out of the question nothing
        // else is begun: neither another capture nor a release.
        if cx.settled() { not_captured(self, cx) } else { stay(self.clone()) }
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

/// The channel says that a capture in doubt did not happen, and was asked after its calls had settled.
fn not_captured<R>(s: &CaptureUnknown, cx: &mut Cx<'_, R>) -> Next<R>
where
    R: Goto<Capturing> + Goto<Authorized> + Goto<PartiallyCaptured> + Goto<Voiding> + Row<M = M>,
    Capture: EmittedBy<R>,
    Void: EmittedBy<R>,
{
    let hold = &s.hold;
    if let Some(code) = &hold.refused {
        return capture_refused(&s.what, hold, code, cx);
    }
    let wanted = wanted(cx) && may_capture(cx) && hold.asking_minor > 0;
    if wanted && hold.anew {
        return capture(&s.what, hold, hold.asking_minor, cx);
    }
    if wanted && hold.repeats <= CAPTURE_REPEATS {
        // Whoever asked for the money still wants it. The same operation under the same key: should the first call
        // arrive after all, it is captured once.
        let amount = Money::new(hold.asking_minor, cx.order().total().currency());
        let (channel, reference) = (s.what.channel.clone(), s.what.reference.clone());
        let nth = hold.captures.saturating_sub(1);
        cx.want_again(Again::Missing(cx.asked_at()), nth, Capture { channel, reference, amount });
        let hold = Held { asked: s.asked, ..hold.clone() };
        return until(cx.after_ms(cx.policy().answer_ms), Capturing { what: s.what.clone(), hold });
    }
    if wanted {
        cx.hold("capture_lost", "the channel holds the money and takes none of it");
    }
    uncaptured(&s.what, hold, cx)
}
impl On<AnswerDue> for Voiding {
    fn on(&self, _: &AnswerDue, cx: &mut Cx<'_, Self::R>) -> Next<Self::R> {
        void_again(self.clone(), cx)
    }
}
impl Decide<Anew> for Voiding {
    fn decide(&self, _: &Anew, cx: &mut Cx<'_, Self::R>) -> Answer<Self::R> {
        Ok(void_again(Voiding { nth: self.nth.saturating_add(1), ..self.clone() }, cx))
    }
}
impl On<VoidRefused> for Voiding {
    fn on(&self, e: &VoidRefused, cx: &mut Cx<'_, Self::R>) -> Next<Self::R> {
        cx.hold("void_refused", format!("the channel keeps an authorisation: {}", e.code));
        inquire(&self.what, 0, Some(&self.hold), cx);
        stay(self.clone())
    }
}
impl On<Paid> for Negative {
    fn on(&self, e: &Paid, cx: &mut Cx<'_, Self::R>) -> Next<Self::R> {
        let what = self.what();
        let what = match news(what, Some(what.amount_minor), e, cx) {
            News::Came(new) => return late(what, new, e, cx),
            News::Foreign => {
                // The books hold one currency: a person takes this one out of the channel's own report.
                cx.hold("mismatch", format!("paid {} on {} late", e.amount, e.channel));
                let (what, at) = (what.come_by(&e.channel, &e.reference), cx.occurred());
                return to(Captured { what, captured_minor: 0, at, late: true, unwanted: true });
            }
            News::Doubtful => ask_about(what, &e.channel, None, cx),
            News::Known => what.clone(),
        };
        still!(self: Negative = NotSent | Declined | Closed | Voided | Expired, what)
    }
}

/// Money came for an attempt that had been given up. It counts where the order still needs it, and then other attempts
/// for the tender are closed; else it goes back.
fn late<R>(what: &Try, new_minor: i64, e: &Paid, cx: &mut Cx<'_, R>) -> Next<R>
where
    R: Goto<Captured> + Row<M = M>,
    P5: PostedBy<R>,
    P6: PostedBy<R>,
    MoneyBack: AskedBy<R>,
    PaidElsewhere: AskedBy<R>,
{
    cx.post(P5 { channel: e.channel.clone(), amount_minor: new_minor });
    // What others hold for the same tender will be released.
    let tender = what.tender;
    let released = cx.siblings().instances().fold(0, |n: i64, (_, s)| match s {
        State::Authorized(s) if s.what.tender == tender => n.saturating_add(s.hold.left()),
        State::Capturing(s) if s.what.tender == tender => n.saturating_add(s.hold.left()),
        State::CaptureUnknown(s) if s.what.tender == tender => n.saturating_add(s.hold.left()),
        State::PartiallyCaptured(s) if s.what.tender == tender => n.saturating_add(s.hold.left()),
        State::Voiding(s) => n.saturating_add(s.hold.left()),
        State::Authorized(_)
        | State::Capturing(_)
        | State::CaptureUnknown(_)
        | State::PartiallyCaptured(_)
        | State::Sending(_)
        | State::NotSent(_)
        | State::Unknown(_)
        | State::Stuck(_)
        | State::Pending(_)
        | State::RequiresAction(_)
        | State::Closing(_)
        | State::Declined(_)
        | State::Closed(_)
        | State::Voided(_)
        | State::Expired(_)
        | State::Captured(_)
        | State::Mismatch(_)
        | State::FailedLate(_) => n,
    });
    let due = missing(cx).saturating_sub(cx.books().held().saturating_sub(released));
    let unwanted = !wanted(cx) || new_minor > due;
    let kept = if unwanted { 0 } else { new_minor };
    let what = what.come_by(&e.channel, &e.reference).took(new_minor, kept);
    if unwanted {
        cx.ask(what.back(cx.key(), new_minor, Source::Suspense));
    } else {
        cx.post(P6 { amount_minor: new_minor });
        cx.ask(PaidElsewhere { tender, attempt: cx.key() });
    }
    let (captured_minor, at) = (what.booked.left(), cx.occurred());
    to(Captured { what, captured_minor, at, late: true, unwanted })
}

impl On<Paid> for Captured {
    fn on(&self, e: &Paid, cx: &mut Cx<'_, Self::R>) -> Next<Self::R> {
        let what = &self.what;
        let what = match news(what, None, e, cx) {
            News::Came(more) => {
                let what = what.took(more, 0);
                cx.post(P5 { channel: e.channel.clone(), amount_minor: more });
                if self.unwanted || !wanted(cx) {
                    cx.ask(what.back(cx.key(), more, Source::Suspense));
                    what
                } else {
                    cx.hold("mismatch", format!("{more} more came than was asked for"));
                    let open_minor = what.booked.open_minor.saturating_add(more);
                    Try { booked: Booked { open_minor, ..what.booked }, ..what }
                }
            }
            News::Foreign => {
                cx.hold("mismatch", format!("paid {} on {} besides", e.amount, e.channel));
                what.clone()
            }
            News::Doubtful => ask_about(what, &e.channel, None, cx),
            News::Known => what.clone(),
        };
        stay(Captured { captured_minor: what.booked.counted(), what, ..self.clone() })
    }
}
impl On<Paid> for Mismatch {
    fn on(&self, e: &Paid, cx: &mut Cx<'_, Self::R>) -> Next<Self::R> {
        let (what, mut arrived_minor) = (&self.what, self.arrived_minor);
        let what = match news(what, None, e, cx) {
            News::Came(more) => {
                cx.post(P5 { channel: e.channel.clone(), amount_minor: more });
                cx.hold("mismatch", format!("{more} more came than was told before"));
                arrived_minor = arrived_minor.saturating_add(more);
                what.took(more, 0)
            }
            News::Foreign => {
                cx.hold("mismatch", format!("paid {} on {} besides", e.amount, e.channel));
                what.clone()
            }
            News::Doubtful => ask_about(what, &e.channel, None, cx),
            News::Known => what.clone(),
        };
        stay(Mismatch { what, arrived_minor, ..self.clone() })
    }
}
impl On<Paid> for FailedLate {
    fn on(&self, e: &Paid, cx: &mut Cx<'_, Self::R>) -> Next<Self::R> {
        let what = &self.what;
        let what = match news(what, Some(what.amount_minor), e, cx) {
            News::Came(new) if new == what.amount_minor => return late(what, new, e, cx),
            News::Came(new) => {
                cx.post(P5 { channel: e.channel.clone(), amount_minor: new });
                cx.hold("mismatch", format!("{new} came again after the capture had failed"));
                let what = what.come_by(&e.channel, &e.reference).took(new, 0);
                let resolve = cx.after_ms(cx.policy().mismatch_ms);
                return until(resolve, Mismatch { what, arrived_minor: new, at: cx.occurred() });
            }
            News::Foreign => {
                cx.hold("mismatch", format!("paid {} on {} besides", e.amount, e.channel));
                what.clone()
            }
            News::Doubtful => ask_about(what, &e.channel, None, cx),
            News::Known => what.clone(),
        };
        stay(FailedLate { what })
    }
}

/// Books what the scheme or the bank took back: no more than was taken, and out of where it is.
fn failed<R: Row<M = M>>(what: &Try, e: &CaptureFailed, cx: &mut Cx<'_, R>) -> Try
where
    P4: PostedBy<R>,
    P18: PostedBy<R>,
{
    let same = e.channel == what.channel && e.amount.currency() == cx.order().total().currency();
    let amount_minor = e.amount.minor().min(what.booked.left());
    if !same || amount_minor <= 0 {
        let (left, on) = (Money::new(what.booked.left(), cx.order().total().currency()), &what.channel);
        let told =
            format!("{} on {} is said to have failed late, of {left} taken on {on}", e.amount, e.channel);
        cx.hold("mismatch", told);
        return what.clone();
    }
    let kept = amount_minor.min(what.booked.kept_minor);
    let nobodys = amount_minor.saturating_sub(kept);
    let channel = || e.channel.clone();
    cx.post(P4 { channel: channel(), amount_minor: kept });
    cx.post(P18 { channel: channel(), amount_minor: nobodys });
    let told = format!("{} was taken back by the scheme or the bank", e.amount);
    cx.hold_for(Gates::Outflow, "capture_failed", told);
    let booked = Booked {
        failed_minor: what.booked.failed_minor.saturating_add(amount_minor),
        kept_minor: what.booked.kept_minor.saturating_sub(kept),
        open_minor: what.booked.open_minor.saturating_sub(nobodys).max(0),
        ..what.booked
    };
    Try { booked, ..what.clone() }
}

impl On<CaptureFailed> for Captured {
    fn on(&self, e: &CaptureFailed, cx: &mut Cx<'_, Self::R>) -> Next<Self::R> {
        let what = failed(&self.what, e, cx);
        if what.booked.left() <= 0 && what.booked.failed_minor > 0 {
            return to(FailedLate { what });
        }
        let (captured_minor, unwanted) =
            (what.booked.counted(), self.unwanted || what.booked.kept_minor == 0);
        to(Captured { what, captured_minor, unwanted, ..self.clone() })
    }
}
impl On<CaptureFailed> for Drawn {
    fn on(&self, e: &CaptureFailed, cx: &mut Cx<'_, Self::R>) -> Next<Self::R> {
        // It says nothing of the rest of the authorisation, which stands until the channel or a person ends it.
        let what = failed(self.what(), e, cx);
        still!(self: Drawn = Capturing | CaptureUnknown | Voiding | PartiallyCaptured, what)
    }
}
impl On<GiveBack> for Captured {
    fn on(&self, _: &GiveBack, cx: &mut Cx<'_, Self::R>) -> Next<Self::R> {
        cx.ask(self.what.back(cx.key(), self.captured_minor, Source::Cust));
        let mut s = self.clone();
        if s.what.booked.open_minor > 0 {
            cx.ask(s.what.back(cx.key(), s.what.booked.open_minor, Source::Suspense));
            s.what.booked.open_minor = 0;
        }
        stay(s)
    }
}

impl Decide<AcceptMismatch> for Extra {
    fn decide(&self, _: &AcceptMismatch, cx: &mut Cx<'_, Self::R>) -> Answer<Self::R> {
        let (what, arrived_minor) = match self {
            Extra::Captured(s) => (&s.what, s.what.booked.open_minor),
            Extra::Mismatch(s) => (&s.what, s.arrived_minor),
        };
        let due = missing(cx);
        if arrived_minor <= 0 || arrived_minor > due {
            return refuse("exceeds_due", format!("{arrived_minor} arrived, {due} due"));
        }
        cx.post(P6 { amount_minor: arrived_minor });
        let kept_minor = what.booked.kept_minor.saturating_add(arrived_minor);
        let what = Try { booked: Booked { kept_minor, open_minor: 0, ..what.booked }, ..what.clone() };
        let captured_minor = what.booked.counted();
        Ok(to(match self {
            Extra::Captured(s) => Captured { what, captured_minor, unwanted: false, ..s.clone() },
            Extra::Mismatch(s) => Captured { what, captured_minor, at: s.at, late: false, unwanted: false },
        }))
    }
}

fn unwanted<R: Goto<Captured> + Goto<Closed> + Row<M = M>>(s: &Mismatch, cx: &mut Cx<'_, R>) -> Next<R>
where
    MoneyBack: AskedBy<R>,
{
    if s.arrived_minor == 0 {
        return to(Closed { what: s.what.clone() });
    }
    cx.ask(s.what.back(cx.key(), s.arrived_minor, Source::Suspense));
    to(Captured {
        what: s.what.clone(),
        captured_minor: s.what.booked.left(),
        at: s.at,
        late: false,
        unwanted: true,
    })
}
impl Decide<RefuseMismatch> for Captured {
    fn decide(&self, _: &RefuseMismatch, cx: &mut Cx<'_, Self::R>) -> Answer<Self::R> {
        let open = self.what.booked.open_minor;
        if open <= 0 {
            return refuse("nothing_open", "all that came is wanted, or on its way back");
        }
        cx.ask(self.what.back(cx.key(), open, Source::Suspense));
        let mut s = self.clone();
        s.what.booked.open_minor = 0;
        Ok(stay(s))
    }
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

/// Whether one person's word settles an attempt, or a second one must say the same: then the attempt with that word.
fn heard<R: Row<M = M>>(
    what: &Try,
    state: &'static str,
    c: &Settle,
    cx: &Cx<'_, R>,
) -> Result<Option<Try>, Refusal> {
    vouched(cx.by(), &c.proof)?;
    let taken = if let Saw::Taken { total_minor, .. } = &c.saw { *total_minor } else { 0 };
    let at_stake = what.amount_minor.max(taken);
    if cx.policy().second_person_over_minor.is_none_or(|limit| at_stake <= limit) {
        return Ok(None);
    }
    match &what.word {
        Some(first) if first.saw == c.saw && first.state == state => {
            if first.by == *cx.by() {
                let why = format!("{at_stake} are at stake: a second person says what they saw");
                return Err(Refusal { code: "same_person", detail: why });
            }
            Ok(None)
        }
        Some(_) | None => {
            let word = Word { by: cx.by().clone(), saw: c.saw.clone(), state: state.to_owned() };
            Ok(Some(Try { word: Some(word), ..what.clone() }))
        }
    }
}

/// What a person saw that the channel took, in the words of the channel.
fn seen<R: Row<M = M>>(
    what: &Try,
    total_minor: i64,
    reference: Option<&String>,
    cx: &Cx<'_, R>,
) -> Result<Paid, Refusal> {
    if total_minor <= 0 {
        return Err(Refusal { code: "not_positive", detail: "what was taken is positive".to_owned() });
    }
    let Some(reference) = reference.or(what.reference.as_ref()) else {
        let detail = "the channel gave no reference yet: say which it is".to_owned();
        return Err(Refusal { code: "no_reference", detail });
    };
    Ok(Paid {
        channel: what.channel.clone(),
        reference: reference.clone(),
        amount: Money::new(total_minor, cx.order().total().currency()),
        movement: None,
        more_allowed: false,
    })
}

impl Decide<Settle> for Untold {
    fn decide(&self, c: &Settle, cx: &mut Cx<'_, Self::R>) -> Answer<Self::R> {
        let state = match self {
            Untold::Unknown(_) => "Unknown",
            Untold::Stuck(_) => "Stuck",
            Untold::Pending(_) => "Pending",
            Untold::Closing(_) => "Closing",
        };
        if let Some(what) = heard(self.what(), state, c, cx)? {
            return Ok(still!(self: Untold = Unknown | Stuck | Pending | Closing, what));
        }
        match &c.saw {
            Saw::Nothing | Saw::Released => Ok(to(Closed { what: self.what().clone() })),
            Saw::Taken { total_minor, reference } => {
                let paid = seen(self.what(), *total_minor, reference.as_ref(), cx)?;
                Ok(arrived(self.what(), &paid, cx))
            }
        }
    }
}
impl Decide<Settle> for Unsettled {
    fn decide(&self, c: &Settle, cx: &mut Cx<'_, Self::R>) -> Answer<Self::R> {
        let (what, hold) = (self.what(), self.hold());
        let state = match self {
            Unsettled::CaptureUnknown(_) => "CaptureUnknown",
            Unsettled::Voiding(_) => "Voiding",
        };
        if let Some(what) = heard(what, state, c, cx)? {
            return Ok(still!(self: Unsettled = CaptureUnknown | Voiding, what));
        }
        let nothing = Voided { what: what.clone() };
        let new_minor = match &c.saw {
            Saw::Released => return Ok(freed(what, hold, cx, nothing)),
            Saw::Nothing => 0,
            Saw::Taken { total_minor, reference } => {
                let paid = seen(what, *total_minor, reference.as_ref(), cx)?;
                let new = total_minor.saturating_sub(what.booked.taken_minor);
                if new > 0 {
                    return Ok(drawn(what, hold, new, &paid, cx));
                }
                new
            }
        };
        if new_minor < 0 {
            let booked = what.booked.taken_minor;
            return refuse("less_than_booked", format!("the channel has told of {booked} in all"));
        }
        Ok(match self {
            Unsettled::CaptureUnknown(_) => uncaptured(what, hold, cx),
            Unsettled::Voiding(_) => freed(what, hold, cx, nothing),
        })
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
        State::Captured(s) => (!s.unwanted).then(|| taking(key, &s.what, s.what.booked.left())),
        State::PartiallyCaptured(s) => Some(taking(key, &s.what, s.what.booked.left())),
        State::Capturing(s) => Some(taking(key, &s.what, s.what.booked.left())),
        State::CaptureUnknown(s) => Some(taking(key, &s.what, s.what.booked.left())),
        State::Voiding(s) => Some(taking(key, &s.what, s.what.booked.left())),
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
