//! The rows of a refund.

use consign::machine::Call;
use consign::pipeline::Physical;
use consign::stage::payment::attempt;
use consign::stage::refund::{
    Accepted, AccountClosed, ApproveRefund, Bounced, CancelRefund, PayOut, RefundMissing, RefundRefused,
    Repaid, Request, Saw, SettleRefund, ShortBalance, refund,
};

use super::{Case, case, dispatch, each, lifecycle, payment};
use crate::support::shop::{Shop, agent, eur};

/// Asks for some of the money of attempt 1 to go back.
pub(crate) fn request(key: u32, amount_minor: i64) -> Call {
    request_on("card", key, amount_minor)
}
pub(crate) fn request_on(channel: &str, key: u32, amount_minor: i64) -> Call {
    let request = Request {
        attempt: 1.into(),
        channel: channel.parse().unwrap(),
        reference: Some("r1".to_owned()),
        amount_minor,
        reason: "goodwill".to_owned(),
    };
    refund::M::command(key, request)
}
pub(crate) fn repaid_as(reference: &str, minor: i64) -> Repaid {
    Repaid { channel: "card".parse().unwrap(), reference: reference.to_owned(), amount: eur(minor) }
}
pub(crate) fn repaid_in(currency: &str, minor: i64) -> Repaid {
    Repaid { amount: consign::money::Money::new(minor, currency.parse().unwrap()), ..repaid(minor) }
}
pub(crate) fn repaid(minor: i64) -> Repaid {
    repaid_as("b1", minor)
}
pub(crate) fn bounced(minor: i64) -> Bounced {
    Bounced { channel: "card".parse().unwrap(), reference: "b1".to_owned(), amount: eur(minor) }
}
pub(crate) fn bounced_as(reference: &str, minor: i64) -> Bounced {
    Bounced { reference: reference.to_owned(), ..bounced(minor) }
}
/// Another way than back over the card.
pub(crate) fn another_way(key: u32) -> Call {
    refund::M::command(key, PayOut { way: "account-7".to_owned() })
}
/// What a person saw of refund 1 at the provider.
pub(crate) fn settled_by_word(saw: Saw) -> Call {
    refund::M::command(1, SettleRefund { saw, proof: "the provider's console, 14:05".to_owned() })
}
pub(crate) fn accepted() -> Accepted {
    Accepted { reference: "b1".to_owned() }
}
pub(crate) fn declined() -> RefundRefused {
    RefundRefused { code: "too_old".to_owned() }
}
pub(crate) fn says<E>(e: E) -> Call
where
    E: consign::machine::Evidence,
    refund::M: consign::machine::HasInput<E>,
{
    refund::M::evidence(1, e)
}

/// A second person must let every refund go.
pub(crate) fn approved_by_two() -> Physical {
    let mut policy = Physical::default();
    policy.refund.approval_over_minor = Some(0);
    policy
}

/// An order of 50.00, charged, of which a refund of 10.00 is in this state, with nothing held.
pub(crate) fn reach(state: &str) -> Shop {
    let policy = match state {
        "ApprovalPending" | "Cancelled" => approved_by_two(),
        _ => Physical::default(),
    };
    reach_under(policy, state)
}

pub(crate) fn reach_under(policy: Physical, state: &str) -> Shop {
    let mut s = payment::reach_under(policy, "Captured");
    if state == "New" {
        return s;
    }
    s.asks(request(1, 1000));
    match state {
        "ApprovalPending" | "Sending" => {}
        "Unknown" => s.lost("SendBack"),
        "Pending" => s.done("SendBack", accepted()),
        "RequiresAction" => {
            s.done("SendBack", accepted());
            s.hears(says(AccountClosed));
        }
        "Succeeded" => s.done("SendBack", repaid(1000)),
        "Failed" => s.declined("SendBack", declined()),
        "Cancelled" => s.asks(refund::M::command(1, CancelRefund)),
        "Reversed" => {
            s.done("SendBack", repaid(1000));
            s.hears(says(bounced(1000)));
        }
        other => panic!("no way is known to {other}"),
    }
    s.release_holds();
    assert_eq!(s.state("refund", 1), state, "{}", s.show());
    s
}

/// The merchant's balance at the channel is short.
fn short_balance() -> Shop {
    let mut s = reach("Sending");
    s.done("SendBack", ShortBalance);
    s
}

const SENT: &[&str] = &["Sending", "Unknown", "Pending"];
const OPEN: &[&str] = &["Sending", "Unknown", "Pending", "RequiresAction"];

pub(super) fn cases() -> Vec<Case> {
    let mut all = vec![
        case(
            "a refund is asked for",
            || reach("New"),
            |s| s.asks(request(1, 1000)),
            "
            refund 1: New + Request -> Sending
            order.life 1: Placed + Waived -> Placed
            posts P9 card cust 1000
            wants SendBack 1 #0 amount=10.00 EUR attempt=1 channel=card reference=r1
        ",
        ),
        case(
            "a refund above the limit is asked for",
            || reach_under(approved_by_two(), "New"),
            |s| s.asks(request(1, 1000)),
            "
            refund 1: New + Request -> ApprovalPending
            order.life 1: Placed + Waived -> Placed
            posts P9 card cust 1000
        ",
        ),
        case(
            "a refund of earned money is asked for",
            || dispatch::reach("Delivered"),
            |s| s.asks(request(1, 1000)),
            "
            refund 1: New + Request -> Sending
            order.life 1: Completed + Waived -> Completed
            dispatch.parcel 1: Delivered + Repriced -> Delivered
            posts P9 card cust 1000
            posts P8 1000
            wants SendBack 1 #0 amount=10.00 EUR attempt=1 channel=card reference=r1
        ",
        ),
        case(
            "a refund of money that nobody wants is asked for",
            || {
                let mut s = reach("New");
                s.hears(attempt::M::evidence(1, payment::paid_on("card", "r2", 700)));
                s.done("Inquire", payment::paid(5700));
                s.release_holds();
                s
            },
            |s| s.asks(request(1, 700)),
            "
            refund 1: New + Request -> Sending
            posts P9 card suspense 700
            wants SendBack 1 #0 amount=7.00 EUR attempt=1 channel=card reference=r1
        ",
        ),
        case(
            "a cancelled order's money goes back",
            || reach("New"),
            |s| s.asks(lifecycle::cancel()),
            "
            order.life 1: Placed + Cancel -> Cancelling
            payment.attempt 1: Captured + GiveBack -> Captured
            review.case 1: Scoring + Stop -> Withdrawn
            refund 1: New + Begin -> Sending
            posts P9 card cust 5000
            wants SendBack 1 #0 amount=50.00 EUR attempt=1 channel=card reference=r1
        ",
        ),
        case(
            "a second person lets a refund go",
            || reach("ApprovalPending"),
            |s| s.asks_as(&agent("olga"), refund::M::command(1, ApproveRefund)),
            "
            refund 1: ApprovalPending + ApproveRefund -> Sending
            wants SendBack 1 #0 amount=10.00 EUR attempt=1 channel=card reference=r1
        ",
        ),
        case(
            "a refund is called off",
            || reach("ApprovalPending"),
            |s| s.asks(refund::M::command(1, CancelRefund)),
            "
            refund 1: ApprovalPending + CancelRefund -> Cancelled
            order.life 1: Placed + Unwaived -> Placed
            posts P11 card cust 1000
        ",
        ),
        case(
            "a refund of earned money is called off",
            || {
                let mut s = dispatch::reach_under(approved_by_two(), "Delivered");
                s.asks(request(1, 1000));
                s
            },
            |s| s.asks(refund::M::command(1, CancelRefund)),
            "
            refund 1: ApprovalPending + CancelRefund -> Cancelled
            order.life 1: Completed + Unwaived -> Completed
            dispatch.parcel 1: Delivered + Repriced -> Delivered
            posts P11 card cust 1000
            posts P7 1000
        ",
        ),
        case(
            "nobody lets a refund go",
            || reach("ApprovalPending"),
            |s| s.due("refund", 1, "ApprovalDue"),
            "
            refund 1: ApprovalPending + ApprovalDue -> Cancelled
            order.life 1: Placed + Unwaived -> Placed
            posts P11 card cust 1000
        ",
        ),
        case(
            "nobody lets a refund go, and the order leaves",
            || {
                let mut s = reach("ApprovalPending");
                s.asks(lifecycle::cancel());
                s
            },
            |s| s.due("refund", 1, "ApprovalDue"),
            "
            refund 1: ApprovalPending + ApprovalDue -> Cancelled
            order.life 1: Cancelling + Unwaived -> Cancelling
            posts P11 card cust 1000
            holds refund_lapsed
        ",
        ),
        case(
            "the answer to a refund is lost",
            || reach("Sending"),
            |s| s.lost("SendBack"),
            "
            refund 1: Sending + RefundLost -> Unknown
        ",
        ),
        case(
            "a refund is not answered in time",
            || reach("Sending"),
            |s| s.due("refund", 1, "AnswerDue"),
            "
            refund 1: Sending + AnswerDue -> Unknown
        ",
        ),
        case(
            "a refund was never sent",
            || reach("Sending"),
            |s| s.gave_up("SendBack", false),
            "
            refund 1: Sending + RefundGaveUp -> Failed
            posts P11 card cust 1000
            holds refund_failed
        ",
        ),
        case(
            "a refund was sent and never answered",
            || reach("Sending"),
            |s| s.gave_up("SendBack", true),
            "
            refund 1: Sending + RefundGaveUp -> Unknown
        ",
        ),
        case(
            "an unknown refund is inquired",
            || reach("Unknown"),
            |s| s.due("refund", 1, "AskAgain"),
            "
            refund 1: Unknown + AskAgain -> Unknown
            wants InquireRefund 1 #1 amount=10.00 EUR attempt=1 channel=card payout=0 reference=r1
        ",
        ),
        case(
            "an unknown refund is sent again under its key",
            || {
                let mut s = reach("Unknown");
                s.due("refund", 1, "AskAgain");
                s
            },
            |s| s.due("refund", 1, "AskAgain"),
            "
            refund 1: Unknown + AskAgain -> Unknown
            wants SendBack 1 #0 amount=10.00 EUR attempt=1 channel=card reference=r1
        ",
        ),
        case(
            "the channel does not have an unknown refund",
            || {
                let mut s = reach("Unknown");
                s.due("refund", 1, "AskAgain");
                s
            },
            |s| s.done("InquireRefund", RefundMissing),
            "
            refund 1: Unknown + RefundMissing -> Unknown
        ",
        ),
        case(
            "an unknown refund is inquired until a person hears of it",
            || {
                let mut policy = Physical::default();
                policy.refund.inquiries = 1;
                reach_under(policy, "Unknown")
            },
            |s| s.due("refund", 1, "AskAgain"),
            "
            refund 1: Unknown + AskAgain -> Unknown
            wants InquireRefund 1 #1 amount=10.00 EUR attempt=1 channel=card payout=0 reference=r1
            holds reconcile
        ",
        ),
        case(
            "a pending refund is inquired",
            || reach("Pending"),
            |s| s.due("refund", 1, "AskAgain"),
            "
            refund 1: Pending + AskAgain -> Pending
            wants InquireRefund 1 #1 amount=10.00 EUR attempt=1 channel=card payout=0 reference=r1
        ",
        ),
        case(
            "a refund that the balance was short for is sent again",
            short_balance,
            |s| s.due("refund", 1, "AskAgain"),
            "
            refund 1: Pending + AskAgain -> Pending
            wants SendBack 1 #0 amount=10.00 EUR attempt=1 channel=card reference=r1
        ",
        ),
        case(
            "a refund that the balance is short for is called off",
            short_balance,
            |s| s.asks(refund::M::command(1, CancelRefund)),
            "
            refund 1: Pending + CancelRefund -> Cancelled
            order.life 1: Placed + Unwaived -> Placed
            posts P11 card cust 1000
        ",
        ),
        case(
            "another way to pay out",
            || reach("RequiresAction"),
            |s| s.asks(another_way(1)),
            "
            refund 1: RequiresAction + PayOut -> Sending
            wants SendBack 1 #1 amount=10.00 EUR attempt=1 channel=card payout=1 reference=r1 way=account-7
        ",
        ),
        case(
            "a refund of earned money made outside is told",
            || dispatch::reach("Delivered"),
            |s| {
                s.hears(lifecycle::refunded_outside(1000));
            },
            "
            order.life 1: Completed + RefundedOutside -> Completed
            refund 1: New + Record -> Succeeded
            order.life 1: Completed + Waived -> Completed
            dispatch.parcel 1: Delivered + Repriced -> Delivered
            posts P9 card cust 1000
            posts P10 card 1000
            posts P8 1000
            holds refund_outside
        ",
        ),
        case(
            "the other part of a refund is paid back",
            || {
                let mut s = reach("Sending");
                s.done("SendBack", repaid(900));
                s
            },
            |s| {
                s.hears(says(repaid_as("b2", 100)));
            },
            "
            refund 1: Succeeded + Repaid -> Succeeded
            posts P9 card cust 100
            posts P10 card 100
        ",
        ),
        case(
            "a refund that came back is paid back again",
            || reach("Reversed"),
            |s| {
                s.hears(says(repaid_as("b2", 1000)));
            },
            "
            refund 1: Reversed + Repaid -> Reversed
            posts P18 card 1000
            holds refund_mismatch
            holds books
        ",
        ),
        case(
            "the bank sends a part of a refund back",
            || reach("Succeeded"),
            |s| {
                s.hears(says(bounced(10)));
            },
            "
            refund 1: Succeeded + Bounced -> Succeeded
            posts P12 card 10
            posts P11 card cust 10
            holds refund_bounced
        ",
        ),
        case(
            "no other way to pay out is found",
            || reach("RequiresAction"),
            |s| s.due("refund", 1, "ActionDue"),
            "
            refund 1: RequiresAction + ActionDue -> Failed
            posts P11 card cust 1000
            holds refund_failed
        ",
        ),
        case(
            "less is paid back than was asked",
            || reach("Sending"),
            |s| s.done("SendBack", repaid(900)),
            "
            refund 1: Sending + Repaid -> Succeeded
            posts P10 card 900
            posts P11 card cust 100
            holds refund_mismatch
        ",
        ),
        case(
            "more is paid back than was asked",
            || reach("Sending"),
            |s| s.done("SendBack", repaid(1100)),
            "
            refund 1: Sending + Repaid -> Succeeded
            posts P10 card 1000
            posts P18 card 100
            holds refund_mismatch
            holds books
        ",
        ),
        case(
            "the bank sends a refund back",
            || reach("Succeeded"),
            |s| {
                s.hears(says(bounced(1000)));
            },
            "
            refund 1: Succeeded + Bounced -> Reversed
            posts P12 card 1000
            posts P11 card cust 1000
            holds refund_bounced
        ",
        ),
    ];
    all.extend(each(
        "a refund is accepted",
        reach,
        SENT,
        |s| {
            s.hears(says(accepted()));
        },
        "
            refund 1: {from} + Accepted -> Pending
        ",
    ));
    all.extend(each(
        "the balance is short",
        reach,
        SENT,
        |s| {
            s.hears(says(ShortBalance));
        },
        "
            refund 1: {from} + ShortBalance -> Pending
        ",
    ));
    all.extend(each(
        "the account is closed",
        reach,
        SENT,
        |s| {
            s.hears(says(AccountClosed));
        },
        "
            refund 1: {from} + AccountClosed -> RequiresAction
            holds refund_blocked
        ",
    ));
    all.extend(each(
        "paid back",
        reach,
        OPEN,
        |s| {
            s.hears(says(repaid(1000)));
        },
        "
            refund 1: {from} + Repaid -> Succeeded
            posts P10 card 1000
        ",
    ));
    all.extend(each(
        "a refund is refused",
        reach,
        OPEN,
        |s| {
            s.hears(says(declined()));
        },
        "
            refund 1: {from} + RefundRefused -> Failed
            posts P11 card cust 1000
            holds refund_failed
        ",
    ));
    all.extend(each(
        "a refund comes back before it is said to be paid",
        reach,
        OPEN,
        |s| {
            s.hears(says(bounced(1000)));
        },
        "
            refund 1: {from} + Bounced -> Reversed
            posts P10 card 1000
            posts P12 card 1000
            posts P11 card cust 1000
            holds refund_bounced
        ",
    ));
    all.extend(each(
        "a person saw that a refund was paid back",
        reach,
        OPEN,
        |s| s.asks(settled_by_word(Saw::PaidBack { amount_minor: 900 })),
        "
            refund 1: {from} + SettleRefund -> Succeeded
            posts P10 card 900
            posts P11 card cust 100
        ",
    ));
    all.extend(each(
        "a refund that was not paid is paid out another way",
        reach,
        &["Failed", "Reversed"],
        |s| s.asks(another_way(1)),
        "
            refund 1: {from} + PayOut -> Sending
            posts P9 card cust 1000
            wants SendBack 1 #1 amount=10.00 EUR attempt=1 channel=card payout=1 reference=r1 way=account-7
        ",
    ));
    // What failed is still owed; what was called off is let off anew.
    for (state, more) in [("Failed", ""), ("Cancelled", "order.life 1: Placed + Waived -> Placed\n")] {
        let told = format!(
            "refund 1: {state} + Repaid -> Succeeded
            {more}posts P9 card cust 1000
            posts P10 card 1000"
        );
        let name = format!("paid back after all ({state})");
        let then = |s: &mut Shop| {
            s.hears(says(repaid(1000)));
        };
        all.push(case(name, move || reach(state), then, &told));
        let told = format!(
            "refund 1: {state} + Bounced -> Succeeded
            {more}posts P9 card cust 1000
            posts P10 card 1000
            posts P12 card 400
            posts P11 card cust 400
            holds refund_bounced"
        );
        let name = format!("a refund that was given up comes back in part ({state})");
        let then = |s: &mut Shop| {
            s.hears(says(bounced(400)));
        };
        all.push(case(name, move || reach(state), then, &told));
    }
    all
}
