//! The rows of a payment attempt.

use consign::machine::Call;
use consign::pipeline::Physical;
use consign::stage::payment::{
    AcceptMismatch, ActionNeeded, Adopt, Anew, Authorised, Cancel, CaptureFailed, CaptureGate, CaptureMode,
    CaptureRefused, CloseRefused, Collect, CustomerBack, DeclineClass, Expiring, FundsPolicy, Gone,
    HoldExpired, HoldReleased, NextAction, NotThere, Paid, PaymentPolicy, Pended, RefuseMismatch, Refused,
    Release, Saw, Settle, Start, StillHeld, VoidRefused, attempt,
};

use super::{Case, case, each};
use crate::support::shop::{Shop, eur, order_of};

/// Authorised when the customer pays, captured when a parcel is ready.
/// Authorised first; whoever asks may capture, whatever review says.
pub(crate) fn later() -> Physical {
    let mut policy = gated();
    policy.payment.gate = CaptureGate::Open;
    policy
}

/// Authorised first; captured when review has let the order pass.
pub(crate) fn gated() -> Physical {
    let payment = PaymentPolicy {
        capture: CaptureMode::Later,
        funds: FundsPolicy::RequireAuthorized,
        ..PaymentPolicy::default()
    };
    Physical { payment, ..Physical::default() }
}

pub(crate) fn start(tender: u32) -> Call {
    let start = Start { tender: tender.into(), channel: None, method: "tok-1".to_owned() };
    attempt::M::command(tender, start)
}
pub(crate) fn start_again(key: u32, tender: u32) -> Call {
    let start = Start { tender: tender.into(), channel: None, method: "tok-2".to_owned() };
    attempt::M::command(key, start)
}
pub(crate) fn paid_on(channel: &str, reference: &str, minor: i64) -> Paid {
    Paid {
        channel: channel.parse().unwrap(),
        reference: reference.to_owned(),
        amount: eur(minor),
        more_allowed: false,
        movement: None,
    }
}
pub(crate) fn paid_in(currency: &str, minor: i64) -> Paid {
    Paid { amount: consign::money::Money::new(minor, currency.parse().unwrap()), ..paid(minor) }
}
pub(crate) fn paid(minor: i64) -> Paid {
    paid_on("card", "r1", minor)
}
pub(crate) fn paid_in_part(minor: i64) -> Paid {
    Paid { more_allowed: true, ..paid(minor) }
}
pub(crate) fn authorised(minor: i64) -> Authorised {
    Authorised {
        channel: "card".parse().unwrap(),
        reference: "r1".to_owned(),
        amount: eur(minor),
        expires_at: None,
    }
}
pub(crate) fn capture_failed(minor: i64) -> CaptureFailed {
    CaptureFailed {
        channel: "card".parse().unwrap(),
        reference: "r1".to_owned(),
        amount: eur(minor),
        movement: None,
    }
}
pub(crate) fn pended() -> Pended {
    Pended { reference: "r1".to_owned() }
}
pub(crate) fn redirect() -> ActionNeeded {
    let action = NextAction::Redirect { url: "https://pay.example/r1".to_owned() };
    ActionNeeded { reference: "r1".to_owned(), action, expires_at: None }
}
pub(crate) fn refused() -> Refused {
    Refused { class: DeclineClass::Soft, code: "do_not_honour".to_owned() }
}
/// Money that came for no attempt is this one's.
pub(crate) fn adopt(key: u32, amount_minor: i64) -> Call {
    let channel = "card".parse().unwrap();
    let (reference, proof) = ("r1".to_owned(), "report 7, line 3".to_owned());
    attempt::M::command(key, Adopt { tender: 1.into(), channel, reference, amount_minor, proof })
}
/// What somebody saw at the channel.
pub(crate) fn settle(saw: Saw) -> Call {
    attempt::M::command(1, Settle { saw, proof: "report 7, line 3".to_owned() })
}
pub(crate) fn saw(total_minor: i64) -> Saw {
    Saw::Taken { total_minor, reference: Some("r1".to_owned()) }
}
pub(crate) fn collect(amount_minor: Option<i64>) -> Call {
    attempt::M::command(1, Collect { amount_minor })
}

/// An order of 50.00 whose first attempt is in this state, with nothing held.
pub(crate) fn reach(state: &str) -> Shop {
    reach_under(later(), state)
}

pub(crate) fn reach_under(policy: Physical, state: &str) -> Shop {
    let mut policy = policy;
    if state == "Stuck" {
        policy.payment.inquiries = 0;
    }
    let mut s = Shop::place(policy, order_of(5000));
    if state == "New" {
        return s;
    }
    s.asks(start(1));
    let authorised_first =
        ["Authorized", "Capturing", "CaptureUnknown", "Voiding", "Voided", "Expired", "PartiallyCaptured"];
    if authorised_first.contains(&state) {
        s.done("Charge", authorised(5000));
    }
    match state {
        "Sending" | "Authorized" => {}
        "NotSent" => s.gave_up("Charge", false),
        "Unknown" => s.lost("Charge"),
        "Stuck" => {
            s.lost("Charge");
            s.due("payment.attempt", 1, "AskAgain");
        }
        "Pending" => s.done("Charge", pended()),
        "RequiresAction" => s.done("Charge", redirect()),
        "Closing" | "Closed" => {
            s.done("Charge", redirect());
            s.asks(attempt::M::command(1, Cancel));
            if state == "Closed" {
                s.done("Close", Gone);
            }
        }
        "Declined" => s.declined("Charge", refused()),
        "Capturing" => s.asks(collect(None)),
        "CaptureUnknown" => {
            s.asks(collect(None));
            s.lost("Capture");
        }
        "Voiding" | "Voided" => {
            s.asks(attempt::M::command(1, Release));
            if state == "Voided" {
                s.done("Void", HoldReleased);
            }
        }
        "Expired" => {
            s.hears(attempt::M::evidence(1, HoldExpired));
        }
        "PartiallyCaptured" => {
            s.asks(collect(Some(3000)));
            s.done("Capture", paid_in_part(3000));
        }
        "Captured" => s.done("Charge", paid(5000)),
        "Mismatch" => s.done("Charge", paid(4900)),
        "FailedLate" => {
            s.done("Charge", paid(5000));
            s.hears(attempt::M::evidence(1, capture_failed(5000)));
        }
        other => panic!("no way is known to {other}"),
    }
    s.release_holds();
    assert_eq!(s.state("payment.attempt", 1), state, "{}", s.show());
    s
}

/// The same, of an order that is on its way out.
fn reach_leaving(state: &str) -> Shop {
    let mut s = reach(match state {
        "Closing" => "Pending",
        "Voiding" => "Authorized",
        other => other,
    });
    s.asks(super::lifecycle::cancel());
    assert_eq!(s.state("payment.attempt", 1), state, "{}", s.show());
    s
}

/// The charge is still being called when its answer has been due for some time.
fn reach_late(state: &str) -> Shop {
    let mut policy = later();
    if state == "Stuck" {
        policy.payment.inquiries = 0;
    }
    let mut s = Shop::place(policy, order_of(5000));
    s.asks(start(1));
    s.due("payment.attempt", 1, "AnswerDue");
    match state {
        "Stuck" => s.due("payment.attempt", 1, "AskAgain"),
        "Closing" => s.asks(attempt::M::command(1, Cancel)),
        _ => {}
    }
    assert_eq!(s.state("payment.attempt", 1), state, "{}", s.show());
    s
}

fn says<E>(e: E) -> Call
where
    E: consign::machine::Evidence,
    attempt::M: consign::machine::HasInput<E>,
{
    attempt::M::evidence(1, e)
}

const FRESH: &[&str] = &["Sending", "Unknown", "Stuck"];
const OPEN: &[&str] = &["Sending", "Unknown", "Stuck", "Pending"];
const WANTED: &[&str] = &["Sending", "Unknown", "Stuck", "Pending", "RequiresAction"];
const EARLY: &[&str] = &["Sending", "Unknown", "Stuck", "Pending", "RequiresAction", "Closing"];
const HOLDING: &[&str] = &["Authorized", "PartiallyCaptured"];
const REST: &[&str] = &[
    "RequiresAction",
    "Closing",
    "Authorized",
    "Capturing",
    "Voiding",
    "PartiallyCaptured",
    "NotSent",
    "Declined",
    "Closed",
    "Voided",
    "Expired",
    "Captured",
    "Mismatch",
    "FailedLate",
];

pub(super) fn cases() -> Vec<Case> {
    let mut all = Vec::new();
    all.extend(begin());
    all.extend(early());
    all.extend(secured());
    all.extend(ended());
    all.extend(told_unasked());
    all.extend(settled_by_people());
    all
}

fn begin() -> Vec<Case> {
    let mut all = vec![
        case(
            "a customer pays: charged at once",
            || reach_under(Physical::default(), "New"),
            |s| s.asks(start(1)),
            "
            payment.attempt 1: New + Start -> Sending
            wants Charge 1 #0 amount=50.00 EUR capture=true channel=card method=tok-1 tender=1
        ",
        ),
        case(
            "a customer pays: authorised only",
            || reach("New"),
            |s| s.asks(start(1)),
            "
            payment.attempt 1: New + Start -> Sending
            wants Charge 1 #0 amount=50.00 EUR capture=false channel=card method=tok-1 tender=1
        ",
        ),
        case(
            "the charge was never sent",
            || reach("Sending"),
            |s| s.gave_up("Charge", false),
            "
            payment.attempt 1: Sending + ChargeGaveUp -> NotSent
        ",
        ),
        case(
            "the charge was sent and never answered",
            || reach("Sending"),
            |s| s.gave_up("Charge", true),
            "
            payment.attempt 1: Sending + ChargeGaveUp -> Unknown
        ",
        ),
        case(
            "the charge turns out never to have been sent when its answer was due long ago",
            || reach_late("Unknown"),
            |s| s.gave_up("Charge", false),
            "
            payment.attempt 1: Unknown + ChargeGaveUp -> NotSent
        ",
        ),
        case(
            "the charge was sent and is unknown already",
            || reach_late("Unknown"),
            |s| s.gave_up("Charge", true),
            "
            payment.attempt 1: Unknown + ChargeGaveUp -> Unknown
        ",
        ),
        case(
            "the charge was sent and a person looks at it already",
            || reach_late("Stuck"),
            |s| s.gave_up("Charge", true),
            "
            payment.attempt 1: Stuck + ChargeGaveUp -> Stuck
        ",
        ),
        case(
            "the charge of an attempt that is being closed was never sent",
            || reach_late("Closing"),
            |s| s.gave_up("Charge", false),
            "
            payment.attempt 1: Closing + ChargeGaveUp -> Closed
        ",
        ),
        case(
            "the charge of an attempt that is being closed may have been sent",
            || reach_late("Closing"),
            |s| s.gave_up("Charge", true),
            "
            payment.attempt 1: Closing + ChargeGaveUp -> Closing
        ",
        ),
        case(
            "the answer to the charge is lost",
            || reach("Sending"),
            |s| s.lost("Charge"),
            "
            payment.attempt 1: Sending + Lost -> Unknown
        ",
        ),
        case(
            "the charge is not answered in time",
            || reach("Sending"),
            |s| s.due("payment.attempt", 1, "AnswerDue"),
            "
            payment.attempt 1: Sending + AnswerDue -> Unknown
        ",
        ),
        case(
            "the customer must act, and then the channel works on it",
            || reach("RequiresAction"),
            |s| {
                s.hears(says(pended()));
            },
            "
            payment.attempt 1: RequiresAction + Pended -> Pending
        ",
        ),
        case(
            "the customer comes back",
            || reach("RequiresAction"),
            |s| s.asks(attempt::M::command(1, CustomerBack)),
            "
            payment.attempt 1: RequiresAction + CustomerBack -> Pending
        ",
        ),
        case(
            "the customer does not act in time",
            || reach("RequiresAction"),
            |s| s.due("payment.attempt", 1, "ActionDue"),
            "
            payment.attempt 1: RequiresAction + ActionDue -> Closing
            wants Close 1 #0 channel=card reference=r1
        ",
        ),
        case(
            "an unknown charge is inquired",
            || reach("Unknown"),
            |s| s.due("payment.attempt", 1, "AskAgain"),
            "
            payment.attempt 1: Unknown + AskAgain -> Unknown
            wants Inquire 1 #1 amount=50.00 EUR channel=card held=false reference=null
        ",
        ),
        case(
            "an unknown charge is inquired for the last time",
            || {
                let mut policy = later();
                policy.payment.inquiries = 0;
                reach_under(policy, "Unknown")
            },
            |s| s.due("payment.attempt", 1, "AskAgain"),
            "
            payment.attempt 1: Unknown + AskAgain -> Stuck
            wants Inquire 1 #1 amount=50.00 EUR channel=card held=false reference=null
            holds reconcile
        ",
        ),
        case(
            "the channel knows nothing of it, once",
            || {
                let mut s = reach("Unknown");
                s.due("payment.attempt", 1, "AskAgain");
                s
            },
            |s| s.done("Inquire", NotThere),
            "
            payment.attempt 1: Unknown + NotThere -> Unknown
        ",
        ),
        case(
            "the channel knows nothing of it, twice",
            || {
                let mut s = reach("Unknown");
                s.due("payment.attempt", 1, "AskAgain");
                s.done("Inquire", NotThere);
                s.due("payment.attempt", 1, "AskAgain");
                s
            },
            |s| s.done("Inquire", NotThere),
            "
            payment.attempt 1: Unknown + NotThere -> Closing
            wants Close 1 #0 channel=card reference=null
        ",
        ),
        case(
            "a pending charge is inquired",
            || reach("Pending"),
            |s| s.due("payment.attempt", 1, "AskAgain"),
            "
            payment.attempt 1: Pending + AskAgain -> Pending
            wants Inquire 1 #1 amount=50.00 EUR channel=card held=false reference=r1
        ",
        ),
        case(
            "a pending charge is inquired for the last time",
            || {
                let mut policy = later();
                policy.payment.inquiries = 0;
                reach_under(policy, "Pending")
            },
            |s| s.due("payment.attempt", 1, "AskAgain"),
            "
            payment.attempt 1: Pending + AskAgain -> Stuck
            wants Inquire 1 #1 amount=50.00 EUR channel=card held=false reference=r1
            holds reconcile
        ",
        ),
        case(
            "a charge that a person reconciles is inquired",
            || reach("Stuck"),
            |s| s.due("payment.attempt", 1, "AskAgain"),
            "
            payment.attempt 1: Stuck + AskAgain -> Stuck
            wants Inquire 1 #4294967295 amount=50.00 EUR channel=card held=false reference=null
        ",
        ),
        case(
            "a close is repeated",
            || {
                let mut s = reach("Closing");
                s.lost("Close");
                s
            },
            |s| s.due("payment.attempt", 1, "CloseDue"),
            "
            payment.attempt 1: Closing + CloseDue -> Closing
            wants Close 1 #0 channel=card reference=r1
        ",
        ),
        case(
            "a close that is under way is not sent twice",
            || reach("Closing"),
            |s| s.due("payment.attempt", 1, "CloseDue"),
            "
            payment.attempt 1: Closing + CloseDue -> Closing
        ",
        ),
        case(
            "the channel refuses to close",
            || reach("Closing"),
            |s| s.declined("Close", CloseRefused { code: "paying".to_owned() }),
            "
            payment.attempt 1: Closing + CloseRefused -> Closing
            wants Inquire 1 #0 amount=50.00 EUR channel=card held=false reference=r1
        ",
        ),
        case(
            "not there, it refused to close it, and no call is on its way any more",
            || {
                let mut s = reach("Closing");
                s.declined("Close", CloseRefused { code: "unknown".to_owned() });
                s
            },
            |s| s.done("Inquire", NotThere),
            "
            payment.attempt 1: Closing + NotThere -> Closed
        ",
        ),
        case(
            "not there, and it refused to close it, but a call may still be on its way",
            || {
                let mut s = reach("Closing");
                s.declined("Close", CloseRefused { code: "unknown".to_owned() });
                s
            },
            |s| s.unsettled("Inquire", NotThere),
            "
            payment.attempt 1: Closing + NotThere -> Closing
        ",
        ),
        case(
            "not there, before it was to be closed",
            || {
                let mut s = reach("Unknown");
                s.due("payment.attempt", 1, "AskAgain");
                s.asks(attempt::M::command(1, Cancel));
                s
            },
            |s| s.done("Inquire", NotThere),
            "
            payment.attempt 1: Closing + NotThere -> Closing
        ",
        ),
    ];
    all.extend(each(
        "accepted, not final",
        reach,
        FRESH,
        |s| {
            s.hears(says(pended()));
        },
        "
            payment.attempt 1: {from} + Pended -> Pending
        ",
    ));
    all.extend(each(
        "the customer must act",
        reach,
        OPEN,
        |s| {
            s.hears(says(redirect()));
        },
        "
            payment.attempt 1: {from} + ActionNeeded -> RequiresAction
        ",
    ));
    let unreferenced = &["Unknown", "Stuck"];
    all.extend(each(
        "an attempt without a reference is cancelled",
        reach,
        unreferenced,
        |s| s.asks(attempt::M::command(1, Cancel)),
        "
            payment.attempt 1: {from} + Cancel -> Closing
            wants Close 1 #0 channel=card reference=null
        ",
    ));
    let referenced = &["Pending", "RequiresAction"];
    all.extend(each(
        "an attempt is cancelled",
        reach,
        referenced,
        |s| s.asks(attempt::M::command(1, Cancel)),
        "
            payment.attempt 1: {from} + Cancel -> Closing
            wants Close 1 #0 channel=card reference=r1
        ",
    ));
    all.extend(each(
        "the order is cancelled before the channel answered",
        reach,
        FRESH,
        |s| s.asks(super::lifecycle::cancel()),
        "
            order.life 1: Placed + Cancel -> Cancelling
            payment.attempt 1: {from} + Stop -> Closing
            wants Close 1 #0 channel=card reference=null
        ",
    ));
    all.extend(each(
        "the order is cancelled while the customer pays",
        reach,
        referenced,
        |s| s.asks(super::lifecycle::cancel()),
        "
            order.life 1: Placed + Cancel -> Cancelling
            payment.attempt 1: {from} + Stop -> Closing
            wants Close 1 #0 channel=card reference=r1
        ",
    ));
    all
}

fn early() -> Vec<Case> {
    let mut all = Vec::new();
    all.extend(each(
        "authorised",
        reach,
        WANTED,
        |s| {
            s.hears(says(authorised(5000)));
        },
        "
            payment.attempt 1: {from} + Authorised -> Authorized
            review.case 1: New + Enter -> Scoring
            posts P1 card 5000
            wants Score 1 #0 total=50.00 EUR
        ",
    ));
    all.push(case(
        "authorised while it is being closed",
        || reach("Closing"),
        |s| {
            s.hears(says(authorised(5000)));
        },
        "
            payment.attempt 1: Closing + Authorised -> Voiding
            posts P1 card 5000
            wants Void 1 #0 channel=card reference=r1
        ",
    ));
    all.push(case(
        "authorised in another currency",
        || reach("Sending"),
        |s| {
            let amount = consign::money::Money::new(5000, "JPY".parse().unwrap());
            s.done("Charge", Authorised { amount, ..authorised(5000) });
        },
        "
            payment.attempt 1: Sending + Authorised -> Mismatch
            holds mismatch
        ",
    ));
    all.extend(each(
        "charged",
        reach,
        EARLY,
        |s| {
            s.hears(says(paid(5000)));
        },
        "
            payment.attempt 1: {from} + Paid -> Captured
            review.case 1: New + Enter -> Scoring
            posts P3 card 5000
            wants Score 1 #0 total=50.00 EUR
        ",
    ));
    all.push(case(
        "charged although it was to be closed, of an order that leaves",
        || reach_leaving("Closing"),
        |s| s.done("Close", paid(5000)),
        "
            payment.attempt 1: Closing + Paid -> Captured
            refund 1: New + Begin -> Sending
            posts P5 card 5000
            posts P9 card suspense 5000
            wants SendBack 1 #0 amount=50.00 EUR attempt=1 channel=card reference=r1
        ",
    ));
    all.push(case(
        "another amount is charged",
        || reach("Sending"),
        |s| s.done("Charge", paid(4900)),
        "
            payment.attempt 1: Sending + Paid -> Mismatch
            posts P5 card 4900
            holds mismatch
        ",
    ));
    all.push(case(
        "another currency is charged",
        || reach("Sending"),
        |s| {
            let amount = consign::money::Money::new(5000, "JPY".parse().unwrap());
            s.done("Charge", Paid { amount, ..paid(5000) });
        },
        "
            payment.attempt 1: Sending + Paid -> Mismatch
            holds mismatch
        ",
    ));
    all.extend(each(
        "refused",
        reach,
        EARLY,
        |s| {
            s.hears(says(refused()));
        },
        "
            payment.attempt 1: {from} + Refused -> Declined
        ",
    ));
    all.extend(each(
        "closed at the channel",
        reach,
        EARLY,
        |s| {
            s.hears(says(Gone));
        },
        "
            payment.attempt 1: {from} + Gone -> Closed
        ",
    ));
    all.extend(each(
        "released at the channel",
        reach,
        EARLY,
        |s| {
            s.hears(says(HoldReleased));
        },
        "
            payment.attempt 1: {from} + HoldReleased -> Closed
        ",
    ));
    all.extend(each(
        "run out at the channel",
        reach,
        EARLY,
        |s| {
            s.hears(says(HoldExpired));
        },
        "
            payment.attempt 1: {from} + HoldExpired -> Closed
        ",
    ));
    all
}

fn secured() -> Vec<Case> {
    let mut all = Vec::new();
    all.push(case(
        "what is authorised is collected",
        || reach("Authorized"),
        |s| s.asks(collect(None)),
        "
            payment.attempt 1: Authorized + Collect -> Capturing
            wants Capture 1 #0 amount=50.00 EUR channel=card reference=r1
        ",
    ));
    all.push(case(
        "the rest of what is authorised is collected",
        || reach("PartiallyCaptured"),
        |s| s.asks(collect(None)),
        "
            payment.attempt 1: PartiallyCaptured + Collect -> Capturing
            wants Capture 1 #1 amount=20.00 EUR channel=card reference=r1
        ",
    ));
    all.push(case(
        "a parcel wants the money",
        || super::dispatch::reach_under(later(), "Released"),
        |s| s.asks(super::dispatch::pack()),
        "
            dispatch.parcel 1: Released + Pack -> ReadyToHandOver
            payment.attempt 1: Authorized + CaptureAsked -> Capturing
            wants Book 1 #0 units=1xfrom-shop
            wants Capture 1 #0 amount=50.00 EUR channel=card reference=r1
        ",
    ));
    all.push(case(
        "a parcel wants the rest of the money",
        || {
            let mut s = super::dispatch::reach_under(later(), "Released");
            s.asks(collect(Some(3000)));
            s.done("Capture", paid_in_part(3000));
            s
        },
        |s| s.asks(super::dispatch::pack()),
        "
            dispatch.parcel 1: Released + Pack -> ReadyToHandOver
            payment.attempt 1: PartiallyCaptured + CaptureAsked -> Capturing
            wants Book 1 #0 units=1xfrom-shop
            wants Capture 1 #1 amount=20.00 EUR channel=card reference=r1
        ",
    ));
    all.push(case(
        "an authorisation is about to expire: it is captured",
        || reach("Authorized"),
        |s| s.due("payment.attempt", 1, "HoldDue"),
        "
            payment.attempt 1: Authorized + HoldDue -> Capturing
            wants Capture 1 #0 amount=50.00 EUR channel=card reference=r1
        ",
    ));
    all.push(case(
        "an authorisation is about to expire behind a gate that is shut: it is released",
        || reach_under(gated(), "Authorized"),
        |s| s.due("payment.attempt", 1, "HoldDue"),
        "
            payment.attempt 1: Authorized + HoldDue -> Voiding
            wants Void 1 #0 channel=card reference=r1
        ",
    ));
    all.push(case(
        "an authorisation is about to expire after review let the order pass: it is captured",
        || {
            let mut s = reach_under(gated(), "Authorized");
            s.done("Score", super::review::scored(3));
            s
        },
        |s| s.due("payment.attempt", 1, "HoldDue"),
        "
            payment.attempt 1: Authorized + HoldDue -> Capturing
            wants Capture 1 #0 amount=50.00 EUR channel=card reference=r1
        ",
    ));
    all.push(case(
        "an authorisation is about to expire: it is released",
        || {
            let mut policy = later();
            policy.payment.expiring = Expiring::Release;
            reach_under(policy, "Authorized")
        },
        |s| s.due("payment.attempt", 1, "HoldDue"),
        "
            payment.attempt 1: Authorized + HoldDue -> Voiding
            wants Void 1 #0 channel=card reference=r1
        ",
    ));
    all.push(case(
        "the rest of an authorisation is about to expire",
        || reach("PartiallyCaptured"),
        |s| s.due("payment.attempt", 1, "HoldDue"),
        "
            payment.attempt 1: PartiallyCaptured + HoldDue -> Voiding
            wants Void 1 #0 channel=card reference=r1
        ",
    ));
    all.extend(each(
        "an authorisation is released",
        reach,
        HOLDING,
        |s| s.asks(attempt::M::command(1, Release)),
        "
            payment.attempt 1: {from} + Release -> Voiding
            wants Void 1 #0 channel=card reference=r1
        ",
    ));
    all.extend(each(
        "the order is cancelled while money is held",
        reach,
        HOLDING,
        |s| s.asks(super::lifecycle::cancel()),
        "
            order.life 1: Placed + Cancel -> Cancelling
            payment.attempt 1: {from} + Stop -> Voiding
            review.case 1: Scoring + Stop -> Withdrawn
            wants Void 1 #0 channel=card reference=r1
        ",
    ));
    all.extend(each(
        "captured in full",
        reach,
        &["Capturing", "CaptureUnknown"],
        |s| {
            s.hears(says(paid(5000)));
        },
        "
            payment.attempt 1: {from} + Paid -> Captured
            posts P3 card 5000
            posts P2 card 5000
        ",
    ));
    all.extend(each(
        "captured without being asked for, and asked about",
        reach,
        &["Authorized", "Voiding", "PartiallyCaptured"],
        |s| {
            s.hears(says(paid_on("card", "r2", 5000)));
        },
        "
            payment.attempt 1: {from} + Paid -> {from}
            wants Inquire 1 #2147483648 amount=50.00 EUR channel=card held=true reference=r1
        ",
    ));
    all.extend(each(
        "captured without being asked for, and confirmed",
        |state| {
            let mut s = reach(state);
            s.hears(says(paid_on("card", "r2", 5000)));
            s
        },
        &["Authorized", "Voiding"],
        |s| s.done("Inquire", paid(5000)),
        "
            payment.attempt 1: {from} + Paid -> Captured
            posts P3 card 5000
            posts P2 card 5000
        ",
    ));
    all.push(case(
        "the rest is captured",
        || {
            let mut s = reach("PartiallyCaptured");
            s.hears(says(paid_on("card", "r2", 2000)));
            s
        },
        |s| s.done("Inquire", paid(5000)),
        "
            payment.attempt 1: PartiallyCaptured + Paid -> Captured
            posts P3 card 2000
            posts P2 card 2000
        ",
    ));
    all.push(case(
        "captured in part, and more may be",
        || {
            let mut s = reach("Authorized");
            s.asks(collect(Some(3000)));
            s
        },
        |s| s.done("Capture", paid_in_part(3000)),
        "
            payment.attempt 1: Capturing + Paid -> PartiallyCaptured
            posts P3 card 3000
            posts P2 card 3000
        ",
    ));
    all.push(case(
        "captured in part, and no more may be",
        || {
            let mut s = reach("Authorized");
            s.asks(collect(Some(3000)));
            s
        },
        |s| s.done("Capture", paid(3000)),
        "
            payment.attempt 1: Capturing + Paid -> Captured
            posts P3 card 3000
            posts P2 card 5000
        ",
    ));
    all.push(case(
        "more is captured than was authorised",
        || reach("Capturing"),
        |s| s.done("Capture", paid(5100)),
        "
            payment.attempt 1: Capturing + Paid -> Captured
            refund 1: New + Begin -> Sending
            posts P3 card 5000
            posts P5 card 100
            posts P2 card 5000
            posts P9 card suspense 100
            wants SendBack 1 #0 amount=1.00 EUR attempt=1 channel=card reference=r1
            holds mismatch
        ",
    ));
    all.push(case(
        "captured although the order leaves",
        || {
            let mut s = reach("Capturing");
            s.asks(super::lifecycle::cancel());
            s
        },
        |s| s.done("Capture", paid(5000)),
        "
            payment.attempt 1: Capturing + Paid -> Captured
            refund 1: New + Begin -> Sending
            posts P5 card 5000
            posts P2 card 5000
            posts P9 card suspense 5000
            wants SendBack 1 #0 amount=50.00 EUR attempt=1 channel=card reference=r1
        ",
    ));
    all.push(case(
        "the rest is captured although the order leaves",
        || {
            let mut s = reach("PartiallyCaptured");
            s.asks(super::lifecycle::cancel());
            s.hears(says(paid_on("card", "r2", 2000)));
            s
        },
        |s| s.done("Inquire", paid(5000)),
        "
            payment.attempt 1: Voiding + Paid -> Captured
            refund 1: New + Begin -> Sending
            refund 2: New + Begin -> Sending
            posts P5 card 2000
            posts P2 card 2000
            posts P9 card suspense 2000
            posts P9 card cust 3000
            wants SendBack 1 #0 amount=20.00 EUR attempt=1 channel=card reference=r1
            wants SendBack 2 #0 amount=30.00 EUR attempt=1 channel=card reference=r1
        ",
    ));
    all.extend(each(
        "the channel releases an authorisation",
        reach,
        &["Authorized", "Capturing", "CaptureUnknown", "Voiding"],
        |s| {
            s.hears(says(HoldReleased));
        },
        "
            payment.attempt 1: {from} + HoldReleased -> Voided
            posts P2 card 5000
        ",
    ));
    all.push(case(
        "the channel releases the rest of an authorisation",
        || reach("PartiallyCaptured"),
        |s| {
            s.hears(says(HoldReleased));
        },
        "
            payment.attempt 1: PartiallyCaptured + HoldReleased -> Captured
            posts P2 card 2000
        ",
    ));
    all.push(case(
        "the rest is released, and what was taken goes back",
        || {
            let mut s = reach("PartiallyCaptured");
            s.asks(super::lifecycle::cancel());
            s
        },
        |s| s.done("Void", HoldReleased),
        "
            payment.attempt 1: Voiding + HoldReleased -> Captured
            refund 1: New + Begin -> Sending
            posts P2 card 2000
            posts P9 card cust 3000
            wants SendBack 1 #0 amount=30.00 EUR attempt=1 channel=card reference=r1
        ",
    ));
    all.extend(each(
        "an authorisation runs out at the channel",
        reach,
        &["Authorized", "Capturing", "CaptureUnknown", "Voiding"],
        |s| {
            s.hears(says(HoldExpired));
        },
        "
            payment.attempt 1: {from} + HoldExpired -> Expired
            posts P2 card 5000
        ",
    ));
    all.push(case(
        "the rest of an authorisation runs out at the channel",
        || reach("PartiallyCaptured"),
        |s| {
            s.hears(says(HoldExpired));
        },
        "
            payment.attempt 1: PartiallyCaptured + HoldExpired -> Captured
            posts P2 card 2000
        ",
    ));
    let refuses = || CaptureRefused { code: "expired_card".to_owned() };
    all.push(case(
        "a capture is refused",
        || reach("Capturing"),
        move |s| s.declined("Capture", refuses()),
        "
            payment.attempt 1: Capturing + CaptureRefused -> Authorized
            holds capture_refused
        ",
    ));
    all.push(case(
        "a capture is refused, and the order leaves",
        || {
            let mut s = reach("Capturing");
            s.asks(super::lifecycle::cancel());
            s
        },
        move |s| s.declined("Capture", refuses()),
        "
            payment.attempt 1: Capturing + CaptureRefused -> Voiding
            wants Void 1 #0 channel=card reference=r1
        ",
    ));
    all.push(case(
        "the answer to a capture is lost",
        || reach("Capturing"),
        |s| s.lost("Capture"),
        "
            payment.attempt 1: Capturing + CaptureLost -> CaptureUnknown
        ",
    ));
    all.push(case(
        "a capture was never sent",
        || reach("Capturing"),
        |s| s.gave_up("Capture", false),
        "
            payment.attempt 1: Capturing + CaptureGaveUp -> Authorized
        ",
    ));
    all.push(case(
        "a capture was sent and never answered",
        || reach("Capturing"),
        |s| s.gave_up("Capture", true),
        "
            payment.attempt 1: Capturing + CaptureGaveUp -> CaptureUnknown
        ",
    ));
    all.push(case(
        "a capture was never sent, and the order leaves",
        || {
            let mut s = reach("Capturing");
            s.asks(super::lifecycle::cancel());
            s
        },
        |s| s.gave_up("Capture", false),
        "
            payment.attempt 1: Capturing + CaptureGaveUp -> Voiding
            wants Void 1 #0 channel=card reference=r1
        ",
    ));
    all.push(case(
        "a capture is not answered in time",
        || reach("Capturing"),
        |s| s.due("payment.attempt", 1, "AnswerDue"),
        "
            payment.attempt 1: Capturing + AnswerDue -> CaptureUnknown
        ",
    ));
    all.push(case(
        "the order is cancelled while nobody knows of a capture",
        || reach("CaptureUnknown"),
        |s| s.asks(super::lifecycle::cancel()),
        "
            order.life 1: Placed + Cancel -> Cancelling
            payment.attempt 1: CaptureUnknown + Stop -> CaptureUnknown
            review.case 1: Scoring + Stop -> Withdrawn
        ",
    ));
    all.push(case(
        "the order is cancelled before a capture was sent",
        || {
            let mut s = reach("Capturing");
            s.put_off("Capture");
            s
        },
        |s| s.asks(super::lifecycle::cancel()),
        "
            order.life 1: Placed + Cancel -> Cancelling
            payment.attempt 1: Capturing + Stop -> Voiding
            review.case 1: Scoring + Stop -> Withdrawn
            wants Void 1 #0 channel=card reference=r1
        ",
    ));
    all.push(case(
        "an unknown capture is inquired",
        || reach("CaptureUnknown"),
        |s| s.due("payment.attempt", 1, "AskAgain"),
        "
            payment.attempt 1: CaptureUnknown + AskAgain -> CaptureUnknown
            wants Inquire 1 #1 amount=50.00 EUR channel=card held=true reference=r1
        ",
    ));
    all.push(case(
        "an unknown capture is inquired until a person hears of it",
        || {
            let mut policy = later();
            policy.payment.inquiries = 1;
            reach_under(policy, "CaptureUnknown")
        },
        |s| s.due("payment.attempt", 1, "AskAgain"),
        "
            payment.attempt 1: CaptureUnknown + AskAgain -> CaptureUnknown
            wants Inquire 1 #1 amount=50.00 EUR channel=card held=true reference=r1
            holds reconcile
        ",
    ));
    all.push(case(
        "an unknown capture did not happen",
        || {
            let mut s = reach("CaptureUnknown");
            s.due("payment.attempt", 1, "AskAgain");
            s
        },
        |s| s.done("Inquire", StillHeld),
        "
            payment.attempt 1: CaptureUnknown + StillHeld -> Capturing
            wants Capture 1 #0 amount=50.00 EUR channel=card reference=r1
        ",
    ));
    all.push(case(
        "a capture never arrives, however often it is sent",
        || {
            let mut s = reach("CaptureUnknown");
            for _ in 0..3 {
                s.due("payment.attempt", 1, "AskAgain");
                s.done("Inquire", StillHeld);
                s.lost("Capture");
            }
            s.due("payment.attempt", 1, "AskAgain");
            s
        },
        |s| s.done("Inquire", StillHeld),
        "
            payment.attempt 1: CaptureUnknown + StillHeld -> Authorized
            holds capture_lost
        ",
    ));
    all.push(case(
        "an unknown capture did not happen, and the order leaves",
        || {
            let mut s = reach("CaptureUnknown");
            s.asks(super::lifecycle::cancel());
            s.due("payment.attempt", 1, "AskAgain");
            s
        },
        |s| s.done("Inquire", StillHeld),
        "
            payment.attempt 1: CaptureUnknown + StillHeld -> Voiding
            wants Void 1 #0 channel=card reference=r1
        ",
    ));
    all.push(case(
        "a release is repeated",
        || {
            let mut s = reach("Voiding");
            s.lost("Void");
            s
        },
        |s| s.due("payment.attempt", 1, "AnswerDue"),
        "
            payment.attempt 1: Voiding + AnswerDue -> Voiding
            wants Void 1 #0 channel=card reference=r1
        ",
    ));
    all.push(case(
        "the channel refuses to release",
        || reach("Voiding"),
        |s| s.declined("Void", VoidRefused { code: "captured".to_owned() }),
        "
            payment.attempt 1: Voiding + VoidRefused -> Voiding
            wants Inquire 1 #0 amount=50.00 EUR channel=card held=true reference=r1
            holds void_refused
        ",
    ));
    all
}

fn ended() -> Vec<Case> {
    let mut all = Vec::new();
    all.extend(each(
        "authorised after all",
        reach,
        &["NotSent", "Declined"],
        |s| {
            s.hears(says(Authorised { reference: "r2".to_owned(), ..authorised(5000) }));
        },
        "
            payment.attempt 1: {from} + Authorised -> Voiding
            posts P1 card 5000
            wants Void 1 #0 channel=card reference=r2
        ",
    ));
    all.extend(each(
        "authorised after all under another reference, and confirmed",
        |state| {
            let mut s = reach(state);
            s.hears(says(Authorised { reference: "r2".to_owned(), ..authorised(5000) }));
            s
        },
        &["Closed", "Voided", "Expired"],
        |s| s.done("Inquire", Authorised { reference: "r2".to_owned(), ..authorised(5000) }),
        "
            payment.attempt 1: {from} + Authorised -> Voiding
            posts P1 card 5000
            wants Void 1 #0 channel=card reference=r2
        ",
    ));
    all.extend(each(
        "paid after all, and reviewed before",
        reach,
        &["Voided", "Expired"],
        |s| {
            s.hears(says(paid(5000)));
        },
        "
            payment.attempt 1: {from} + Paid -> Captured
            posts P5 card 5000
            posts P6 5000
        ",
    ));
    all.extend(each(
        "paid after all, and still wanted",
        reach,
        &["NotSent", "Declined", "Closed"],
        |s| {
            s.hears(says(paid(5000)));
        },
        "
            payment.attempt 1: {from} + Paid -> Captured
            review.case 1: New + Enter -> Scoring
            posts P5 card 5000
            posts P6 5000
            wants Score 1 #0 total=50.00 EUR
        ",
    ));
    all.push(case(
        "paid after all, of an order that is out",
        || {
            let mut s = reach("Declined");
            s.asks(super::lifecycle::cancel());
            s
        },
        |s| {
            s.hears(says(paid(5000)));
        },
        "
            payment.attempt 1: Declined + Paid -> Captured
            refund 1: New + Begin -> Sending
            posts P5 card 5000
            posts P9 card suspense 5000
            wants SendBack 1 #0 amount=50.00 EUR attempt=1 channel=card reference=r1
        ",
    ));
    all.push(case(
        "paid after all, while another attempt collects",
        || {
            let mut s = reach("Closed");
            s.asks(start_again(2, 1));
            s
        },
        |s| {
            s.hears(says(paid(5000)));
        },
        "
            payment.attempt 1: Closed + Paid -> Captured
            payment.attempt 2: Sending + Superseded -> Closing
            review.case 1: New + Enter -> Scoring
            posts P5 card 5000
            posts P6 5000
            wants Close 2 #0 channel=card reference=null
            wants Score 1 #0 total=50.00 EUR
        ",
    ));
    all.push(case(
        "paid after all, and more than is due",
        || {
            let mut s = reach("Closed");
            s.hears(says(paid(5100)));
            s
        },
        |s| s.done("Inquire", paid(5100)),
        "
            payment.attempt 1: Closed + Paid -> Captured
            refund 1: New + Begin -> Sending
            posts P5 card 5100
            posts P9 card suspense 5100
            wants SendBack 1 #0 amount=51.00 EUR attempt=1 channel=card reference=r1
        ",
    ));
    all.push(case(
        "paid after all, in another currency",
        || {
            let mut s = reach("Closed");
            s.hears(says(paid_in("JPY", 5000)));
            s
        },
        |s| s.done("Inquire", paid_in("JPY", 5000)),
        "
            payment.attempt 1: Closed + Paid -> Captured
            holds mismatch
        ",
    ));
    all.push(case(
        "a capture fails late",
        || reach("Captured"),
        |s| {
            s.hears(says(capture_failed(5000)));
        },
        "
            payment.attempt 1: Captured + CaptureFailed -> FailedLate
            posts P4 card 5000
            holds capture_failed
        ",
    ));
    all.push(case(
        "a part of a capture fails late",
        || reach("Captured"),
        |s| {
            s.hears(says(capture_failed(1000)));
        },
        "
            payment.attempt 1: Captured + CaptureFailed -> Captured
            posts P4 card 1000
            holds capture_failed
        ",
    ));
    all.push(case(
        "a capture fails late with more to capture",
        || reach("PartiallyCaptured"),
        |s| {
            s.hears(says(capture_failed(3000)));
        },
        "
            payment.attempt 1: PartiallyCaptured + CaptureFailed -> PartiallyCaptured
            posts P4 card 3000
            holds capture_failed
        ",
    ));
    all.push(case(
        "the money goes back with the order",
        || reach("Captured"),
        |s| s.asks(super::lifecycle::cancel()),
        "
            order.life 1: Placed + Cancel -> Cancelling
            payment.attempt 1: Captured + GiveBack -> Captured
            review.case 1: Scoring + Stop -> Withdrawn
            refund 1: New + Begin -> Sending
            posts P9 card cust 5000
            wants SendBack 1 #0 amount=50.00 EUR attempt=1 channel=card reference=r1
        ",
    ));
    all.push(case(
        "another amount is accepted",
        || reach("Mismatch"),
        |s| s.asks(attempt::M::command(1, AcceptMismatch)),
        "
            payment.attempt 1: Mismatch + AcceptMismatch -> Captured
            posts P6 4900
        ",
    ));
    all.push(case(
        "another amount is sent back",
        || reach("Mismatch"),
        |s| s.asks(attempt::M::command(1, RefuseMismatch)),
        "
            payment.attempt 1: Mismatch + RefuseMismatch -> Captured
            refund 1: New + Begin -> Sending
            posts P9 card suspense 4900
            wants SendBack 1 #0 amount=49.00 EUR attempt=1 channel=card reference=r1
        ",
    ));
    all.push(case(
        "nobody resolves another amount",
        || reach("Mismatch"),
        |s| s.due("payment.attempt", 1, "ResolveDue"),
        "
            payment.attempt 1: Mismatch + ResolveDue -> Captured
            refund 1: New + Begin -> Sending
            posts P9 card suspense 4900
            wants SendBack 1 #0 amount=49.00 EUR attempt=1 channel=card reference=r1
        ",
    ));
    all.push(case(
        "an order of another amount is cancelled",
        || reach("Mismatch"),
        |s| s.asks(super::lifecycle::cancel()),
        "
            order.life 1: Placed + Cancel -> Cancelling
            payment.attempt 1: Mismatch + Stop -> Captured
            payment.attempt 1: Captured + GiveBack -> Captured
            refund 1: New + Begin -> Sending
            posts P9 card suspense 4900
            wants SendBack 1 #0 amount=49.00 EUR attempt=1 channel=card reference=r1
        ",
    ));
    all.push(case(
        "another currency is given up",
        || {
            let mut s = reach("Sending");
            let amount = consign::money::Money::new(5000, "JPY".parse().unwrap());
            s.done("Charge", Paid { amount, ..paid(5000) });
            s.release_holds();
            s
        },
        |s| s.asks(attempt::M::command(1, RefuseMismatch)),
        "
            payment.attempt 1: Mismatch + RefuseMismatch -> Closed
        ",
    ));
    all
}

/// The first attempt is closed; the second one is in this state.
fn beside(state: &str) -> Shop {
    let mut policy = later();
    if state == "Stuck" {
        policy.payment.inquiries = 0;
    }
    let mut s = reach_under(policy, "Closed");
    s.asks(start_again(2, 1));
    let reference = "s2".to_owned();
    match state {
        "Unknown" => s.lost("Charge 2"),
        "Stuck" => {
            s.lost("Charge 2");
            s.due("payment.attempt", 2, "AskAgain");
        }
        "Pending" => s.done("Charge 2", Pended { reference }),
        "RequiresAction" => s.done("Charge 2", ActionNeeded { reference, ..redirect() }),
        _ => s.done("Charge 2", Authorised { reference, ..authorised(5000) }),
    }
    if state == "PartiallyCaptured" {
        s.asks(attempt::M::command(2, Collect { amount_minor: Some(3000) }));
        s.done("Capture 2", Paid { more_allowed: true, ..paid_on("card", "s2", 3000) });
        // The first one took what is missing now, as the channel says when it is asked about it.
        s.hears(says(paid(2000)));
    }
    s.release_holds();
    assert_eq!(s.state("payment.attempt", 2), state, "{}", s.show());
    s
}

/// What the channel says unasked, and does not agree with what was asked for.
fn told_unasked() -> Vec<Case> {
    let mut all = Vec::new();
    for state in REST.iter().chain(&["Sending", "Unknown", "Stuck", "Pending", "CaptureUnknown"]) {
        let held =
            ["Authorized", "Capturing", "CaptureUnknown", "Voiding", "PartiallyCaptured"].contains(state);
        let unreferenced = ["Sending", "NotSent", "Unknown", "Stuck", "Declined"].contains(state);
        let reference = if unreferenced { "null" } else { "r1" };
        let told = format!(
            "payment.attempt 1: {state} + Changed -> {state}
            wants Inquire 1 #2147483648 amount=50.00 EUR channel=card held={held} reference={reference}"
        );
        let hears = |s: &mut Shop| {
            s.hears(says(consign::stage::payment::Changed));
        };
        all.push(case(
            format!("the channel says that something changed ({state})"),
            || reach(state),
            hears,
            &told,
        ));
    }
    for (input, call) in [
        ("Lost", says(consign::stage::payment::Lost { why: "reset".to_owned() })),
        ("GaveUp", says(consign::stage::payment::GaveUp { sent: true, why: "down".to_owned() })),
    ] {
        for state in REST.iter().chain(&["Sending"]).filter(|s| input == "GaveUp" || **s != "Sending") {
            let call = call.clone();
            let told = format!("payment.attempt 1: {state} + {input} -> {state}");
            let name = format!("nobody confirms a message: {input} ({state})");
            let hears = move |s: &mut Shop| {
                s.hears(call.clone());
            };
            all.push(case(name, || reach(state), hears, &told));
        }
    }
    for (state, reference) in
        [("Unknown", "null"), ("Stuck", "null"), ("Pending", "s2"), ("RequiresAction", "s2")]
    {
        let told = format!(
            "payment.attempt 1: Closed + Paid -> Captured
            payment.attempt 2: {state} + Superseded -> Closing
            review.case 1: New + Enter -> Scoring
            posts P5 card 5000
            posts P6 5000
            wants Close 2 #0 channel=card reference={reference}
            wants Score 1 #0 total=50.00 EUR"
        );
        let pays = |s: &mut Shop| {
            s.hears(says(paid(5000)));
        };
        all.push(case(format!("another attempt was paid ({state})"), || beside(state), pays, &told));
    }
    all.push(case(
        "another attempt was paid while this one holds money",
        || beside("Authorized"),
        |s| {
            s.hears(says(paid(5000)));
        },
        "
            payment.attempt 1: Closed + Paid -> Captured
            payment.attempt 2: Authorized + Superseded -> Voiding
            posts P5 card 5000
            posts P6 5000
            wants Void 2 #0 channel=card reference=s2
        ",
    ));
    all.push(case(
        "another attempt was paid while this one holds the rest",
        || beside("PartiallyCaptured"),
        |s| s.done("Inquire 1", paid(2000)),
        "
            payment.attempt 1: Closed + Paid -> Captured
            payment.attempt 2: PartiallyCaptured + Superseded -> Voiding
            posts P5 card 2000
            posts P6 2000
            wants Void 2 #0 channel=card reference=s2
        ",
    ));
    all.extend(each(
        "more came, it is said",
        reach,
        &["Captured", "Mismatch", "FailedLate"],
        |s| {
            s.hears(says(paid_on("card", "r1", 700)));
        },
        "
            payment.attempt 1: {from} + Paid -> {from}
            wants Inquire 1 #2147483648 amount=50.00 EUR channel=card held=false reference=r1
        ",
    ));
    all.extend(each(
        "a part of what was captured fails late while the rest is settled",
        |state| {
            let mut s = reach("PartiallyCaptured");
            match state {
                "Voiding" => s.asks(attempt::M::command(1, Release)),
                _ => s.asks(collect(None)),
            }
            if state == "CaptureUnknown" {
                s.lost("Capture");
            }
            s
        },
        &["Capturing", "CaptureUnknown", "Voiding"],
        |s| {
            s.hears(says(capture_failed(1000)));
        },
        "
            payment.attempt 1: {from} + CaptureFailed -> {from}
            posts P4 card 1000
            holds capture_failed
        ",
    ));
    all.push(case(
        "a capture is refused after its time",
        || {
            let mut s = reach("Capturing");
            s.due("payment.attempt", 1, "AnswerDue");
            s
        },
        |s| s.declined("Capture", CaptureRefused { code: "expired_card".to_owned() }),
        "
            payment.attempt 1: CaptureUnknown + CaptureRefused -> Authorized
            holds capture_refused
        ",
    ));
    all
}

/// Captured, and this much more came, which a person decides about.
fn captured_and_more() -> Shop {
    let mut s = reach("Captured");
    s.hears(says(capture_failed(1000)));
    s.release_holds();
    s.hears(says(paid_on("card", "r2", 1000)));
    s.done("Inquire", paid(6000));
    s.release_holds();
    assert_eq!(s.balances(), "psp:card 5000, cust -4000, suspense -1000", "{}", s.show());
    s
}

/// What people settle by what they saw at the channel.
fn settled_by_people() -> Vec<Case> {
    let mut all = vec![
        case(
            "money that came for no attempt is taken up",
            || {
                let mut s = reach("New");
                s.hears(attempt::M::evidence(7, paid(5000)));
                s.release_holds();
                s
            },
            |s| s.asks(adopt(1, 5000)),
            "
            payment.attempt 1: New + Adopt -> Captured
            review.case 1: New + Enter -> Scoring
            posts P6 5000
            wants Score 1 #0 total=50.00 EUR
        ",
        ),
        case(
            "somebody saw that a charge was taken",
            || reach("Stuck"),
            |s| s.asks(settle(saw(5000))),
            "
            payment.attempt 1: Stuck + Settle -> Captured
            review.case 1: New + Enter -> Scoring
            posts P3 card 5000
            wants Score 1 #0 total=50.00 EUR
        ",
        ),
        case(
            "somebody saw that a capture was made",
            || reach("CaptureUnknown"),
            |s| s.asks(settle(saw(5000))),
            "
            payment.attempt 1: CaptureUnknown + Settle -> Captured
            posts P3 card 5000
            posts P2 card 5000
        ",
        ),
        case(
            "somebody saw that a capture was not made",
            || reach("CaptureUnknown"),
            |s| s.asks(settle(Saw::Nothing)),
            "
            payment.attempt 1: CaptureUnknown + Settle -> Authorized
        ",
        ),
        case(
            "somebody saw that an authorisation was released",
            || reach("Voiding"),
            |s| s.asks(settle(Saw::Released)),
            "
            payment.attempt 1: Voiding + Settle -> Voided
            posts P2 card 5000
        ",
        ),
        case(
            "an unknown charge is asked about at once",
            || reach("Unknown"),
            |s| s.asks(attempt::M::command(1, Anew)),
            "
            payment.attempt 1: Unknown + Anew -> Unknown
            wants Inquire 1 #1 amount=50.00 EUR channel=card held=false reference=null
        ",
        ),
        case(
            "a charge that nobody tells of is asked about at once",
            || {
                let mut s = reach("Stuck");
                s.lost("Inquire");
                s
            },
            |s| s.asks(attempt::M::command(1, Anew)),
            "
            payment.attempt 1: Stuck + Anew -> Unknown
            wants Inquire 1 #1 amount=50.00 EUR channel=card held=false reference=null
        ",
        ),
        case(
            "an attempt is closed anew",
            || reach("Closing"),
            |s| s.asks(attempt::M::command(1, Anew)),
            "
            payment.attempt 1: Closing + Anew -> Closing
            wants Close 1 #1 channel=card reference=r1
        ",
        ),
        case(
            "an authorisation is released anew",
            || reach("Voiding"),
            |s| s.asks(attempt::M::command(1, Anew)),
            "
            payment.attempt 1: Voiding + Anew -> Voiding
            wants Void 1 #1 channel=card reference=r1
        ",
        ),
        case(
            "a capture shall be made anew",
            || reach("CaptureUnknown"),
            |s| s.asks(attempt::M::command(1, Anew)),
            "
            payment.attempt 1: CaptureUnknown + Anew -> CaptureUnknown
            wants Inquire 1 #1 amount=50.00 EUR channel=card held=true reference=r1
        ",
        ),
        case(
            "a capture is made anew, once it is known that the old one will not come",
            || {
                let mut s = reach("CaptureUnknown");
                s.asks(attempt::M::command(1, Anew));
                s
            },
            |s| s.done("Inquire", StillHeld),
            "
            payment.attempt 1: CaptureUnknown + StillHeld -> Capturing
            wants Capture 1 #1 amount=50.00 EUR channel=card reference=r1
        ",
        ),
        case(
            "what came besides is taken for what is missing",
            captured_and_more,
            |s| s.asks(attempt::M::command(1, AcceptMismatch)),
            "
            payment.attempt 1: Captured + AcceptMismatch -> Captured
            posts P6 1000
        ",
        ),
        case(
            "what came besides goes back",
            captured_and_more,
            |s| s.asks(attempt::M::command(1, RefuseMismatch)),
            "
            payment.attempt 1: Captured + RefuseMismatch -> Captured
            refund 1: New + Begin -> Sending
            posts P9 card suspense 1000
            wants SendBack 1 #0 amount=10.00 EUR attempt=1 channel=card reference=r1
        ",
        ),
    ];
    all.extend(each(
        "somebody saw that nothing was taken",
        reach,
        &["Unknown", "Stuck", "Pending", "Closing"],
        |s| s.asks(settle(Saw::Nothing)),
        "
            payment.attempt 1: {from} + Settle -> Closed
        ",
    ));
    all
}
