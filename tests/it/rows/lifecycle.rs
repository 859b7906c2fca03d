//! The rows of an order's lifecycle.

use consign::machine::Call;
use consign::pipeline::Physical;
use consign::pipeline::lifecycle::{Cancel, RefundedOutside, RequestReturn, lifecycle};
use consign::stage::dispatch::{OnShortage, Short, Unit, Unreserved};
use consign::stage::review::Banned;

use super::{Case, case, dispatch, each, payment, refund, review};
use crate::support::shop::{Shop, eur, order_of};

pub(crate) fn cancel() -> Call {
    lifecycle::M::command(1, Cancel { reason: "changed my mind".to_owned() })
}
pub(crate) fn request_return() -> Call {
    lifecycle::M::command(1, RequestReturn { reason: "does not fit".to_owned() })
}

/// A refund over the card that somebody made in the provider's console, of attempt 1.
pub(crate) fn refunded_as(reference: &str, minor: i64) -> Call {
    let (channel, amount) = ("card".parse().unwrap(), eur(minor));
    let told = RefundedOutside { attempt: 1.into(), channel, reference: reference.to_owned(), amount };
    lifecycle::M::evidence(1, told)
}
pub(crate) fn refunded_outside(minor: i64) -> Call {
    refunded_as("console-1", minor)
}

/// An order of 50.00 whose lifecycle is in this state, with nothing held.
pub(crate) fn reach(state: &str) -> Shop {
    let mut s = match state {
        "Placed" => Shop::place(Physical::default(), order_of(5000)),
        "Cancelling" | "Cancelled" => {
            let mut s = payment::reach("Authorized");
            s.asks(cancel());
            if state == "Cancelled" {
                s.done("Void", consign::stage::payment::HoldReleased);
            }
            s
        }
        "Rejected" => {
            let mut s = review::reach("AutoRejected");
            s.done("SendBack", refund::repaid(5000));
            s
        }
        "Expired" => {
            let mut s = reach("Placed");
            s.due("order.life", 1, "PaymentDue");
            s
        }
        "Completed" => dispatch::reach("Delivered"),
        "Closed" => {
            let mut s = reach("Completed");
            s.due("order.life", 1, "WindowDue");
            s
        }
        other => panic!("no way is known to {other}"),
    };
    s.release_holds();
    assert_eq!(s.life(), state, "{}", s.show());
    s
}

/// Two parcels, one with the carrier although the order was cancelled, the other stopped.
pub(crate) fn lost_race() -> Shop {
    let mut s = dispatch::two_parcels_packed();
    s.asks(cancel());
    s.hears(dispatch::accepted(1));
    s.asks(dispatch::confirm_stop(2));
    s.done("Unreserve", Unreserved);
    s
}

pub(super) fn cases() -> Vec<Case> {
    let mut all = vec![
        case(
            "an order is placed",
            || reach("Placed"),
            |s| {
                *s = Shop::place(Physical::default(), order_of(5000));
            },
            "
            order.life 1: New + Place -> Placed
        ",
        ),
        case(
            "an order is not paid in time",
            || reach("Placed"),
            |s| s.due("order.life", 1, "PaymentDue"),
            "
            order.life 1: Placed + PaymentDue -> Cancelling
            order.life 1: Cancelling + Cleared -> Expired
        ",
        ),
        case(
            "an order is not paid in time, and the customer is at it",
            || payment::reach("RequiresAction"),
            |s| s.due("order.life", 1, "PaymentDue"),
            "
            order.life 1: Placed + PaymentDue -> Cancelling
            payment.attempt 1: RequiresAction + Stop -> Closing
            wants Close 1 #0 channel=card reference=r1
        ",
        ),
        case(
            "an order is paid when it should be",
            || payment::reach("Captured"),
            |s| s.due("order.life", 1, "PaymentDue"),
            "
            order.life 1: Placed + PaymentDue -> Placed
        ",
        ),
        case(
            "an order of two tenders is paid in part only",
            || {
                let tenders = [("gift-card", 2000), ("card", 3000)];
                let order = crate::support::shop::order_in(&[("shop", 5000)], &tenders);
                let mut s = Shop::place(Physical::default(), order);
                s.asks(payment::start(1));
                s.done("Charge", payment::paid_on("gift-card", "g1", 2000));
                s
            },
            |s| s.due("order.life", 1, "PaymentDue"),
            "
            order.life 1: Placed + PaymentDue -> Cancelling
            payment.attempt 1: Captured + GiveBack -> Captured
            refund 1: New + Begin -> Sending
            posts P9 gift-card cust 2000
            wants SendBack 1 #0 amount=20.00 EUR attempt=1 channel=gift-card reference=g1
        ",
        ),
        case(
            "an order was paid, and a part of it given back",
            || {
                let mut s = payment::reach("Captured");
                s.asks(refund::request(1, 1000));
                s.done("SendBack", refund::repaid(1000));
                s
            },
            |s| s.due("order.life", 1, "PaymentDue"),
            "
            order.life 1: Placed + PaymentDue -> Placed
        ",
        ),
        case(
            "an order was paid, left, and lost its money",
            || {
                let mut s = dispatch::reach("HandedOver");
                s.hears(consign::stage::payment::attempt::M::evidence(1, payment::capture_failed(5000)));
                s
            },
            |s| s.due("order.life", 1, "PaymentDue"),
            "
            order.life 1: Placed + PaymentDue -> Placed
        ",
        ),
        case(
            "an order lost its money, and was delivered",
            || {
                let mut s = dispatch::reach("HandedOver");
                s.hears(consign::stage::payment::attempt::M::evidence(1, payment::capture_failed(5000)));
                s.hears(dispatch::delivered(1));
                s.release_holds();
                s
            },
            |s| s.due("order.life", 1, "PaymentDue"),
            "
            order.life 1: Placed + PaymentDue -> Placed
            holds underpaid
        ",
        ),
        case(
            "a parcel left, and the other one waits for money that was given back",
            || {
                let mut s = dispatch::two_parcels_packed();
                s.asks(dispatch::hand_over(1));
                s.asks(refund::request(1, 1000));
                s.done("SendBack", refund::repaid(1000));
                s.release_holds();
                s
            },
            |s| s.due("order.life", 1, "PaymentDue"),
            "
            order.life 1: Placed + PaymentDue -> Placed
        ",
        ),
        case(
            "a customer cancels before paying",
            || reach("Placed"),
            |s| s.asks(cancel()),
            "
            order.life 1: Placed + Cancel -> Cancelling
            order.life 1: Cancelling + Cleared -> Cancelled
        ",
        ),
        case(
            "review turns an order down",
            || review::reach("Scoring"),
            |s| {
                s.done("Score", Banned { rule: "sanctions".to_owned() });
            },
            "
            review.case 1: Scoring + Banned -> AutoRejected
            order.life 1: Placed + TurnedDown -> Cancelling
            payment.attempt 1: Captured + GiveBack -> Captured
            refund 1: New + Begin -> Sending
            posts P9 card cust 5000
            wants SendBack 1 #0 amount=50.00 EUR attempt=1 channel=card reference=r1
        ",
        ),
        case(
            "an order cannot be filled",
            || dispatch::reach("Reserving"),
            |s| {
                let missing = vec![Unit { sku: "from-shop".to_owned(), quantity: 1 }];
                s.done("Reserve", Short { missing });
            },
            "
            dispatch.parcel 1: Reserving + Short -> Backordered
            order.life 1: Placed + Unfillable -> Cancelling
            dispatch.parcel 1: Backordered + Stop -> Cancelled
            payment.attempt 1: Captured + GiveBack -> Captured
            refund 1: New + Begin -> Sending
            posts P9 card cust 5000
            wants SendBack 1 #0 amount=50.00 EUR attempt=1 channel=card reference=r1
        ",
        ),
        case(
            "an order that waits for stock is cancelled",
            || {
                let mut policy = Physical::default();
                policy.dispatch.shortage = OnShortage::Wait;
                dispatch::reach_under(policy, "Backordered")
            },
            |s| s.asks(cancel()),
            "
            order.life 1: Placed + Cancel -> Cancelling
            dispatch.parcel 1: Backordered + Stop -> Cancelled
            payment.attempt 1: Captured + GiveBack -> Captured
            refund 1: New + Begin -> Sending
            posts P9 card cust 5000
            wants SendBack 1 #0 amount=50.00 EUR attempt=1 channel=card reference=r1
        ",
        ),
        case(
            "an order is served and settled",
            || dispatch::reach("HandedOver"),
            |s| {
                s.hears(dispatch::delivered(1));
            },
            "
            dispatch.parcel 1: HandedOver + DeliveredTo -> Delivered
            order.life 1: Placed + Done -> Completed
            posts P7 5000
        ",
        ),
        case(
            "goods on their way are called back",
            || dispatch::reach("HandedOver"),
            |s| s.asks(request_return()),
            "
            order.life 1: Placed + RequestReturn -> Cancelling
            dispatch.parcel 1: HandedOver + Recall -> Returning
        ",
        ),
        case(
            "delivered goods are returned",
            || reach("Completed"),
            |s| s.asks(request_return()),
            "
            order.life 1: Completed + RequestReturn -> Cancelling
            dispatch.parcel 1: Delivered + Recall -> Returning
        ",
        ),
        case(
            "the goods that left a cancelled order are called back too",
            lost_race,
            |s| s.asks(request_return()),
            "
            order.life 1: Cancelling + RequestReturn -> Cancelling
            dispatch.parcel 1: HandedOver + Recall -> Returning
        ",
        ),
        case(
            "nothing is left of a cancelled order",
            || reach("Cancelling"),
            |s| {
                s.done("Void", consign::stage::payment::HoldReleased);
            },
            "
            payment.attempt 1: Voiding + HoldReleased -> Voided
            order.life 1: Cancelling + Cleared -> Cancelled
            posts P2 card 5000
        ",
        ),
        case(
            "nothing is left of a rejected order",
            || review::reach("AutoRejected"),
            |s| s.done("SendBack", refund::repaid(5000)),
            "
            refund 1: Sending + Repaid -> Succeeded
            order.life 1: Cancelling + Cleared -> Rejected
            posts P10 card 5000
        ",
        ),
        case(
            "nothing is left of an order that was not paid in time",
            || {
                let mut s = payment::reach("RequiresAction");
                s.due("order.life", 1, "PaymentDue");
                s
            },
            |s| s.done("Close", consign::stage::payment::Gone),
            "
            payment.attempt 1: Closing + Gone -> Closed
            order.life 1: Cancelling + Cleared -> Expired
        ",
        ),
        case(
            "a cancellation that lost the race is settled",
            || {
                let mut s = lost_race();
                s.hears(dispatch::delivered(1));
                s
            },
            |s| s.done("SendBack", refund::repaid(2000)),
            "
            refund 1: Sending + Repaid -> Succeeded
            order.life 1: Cancelling + Done -> Completed
            posts P10 card 2000
        ",
        ),
        case(
            "a cancellation takes too long",
            || reach("Cancelling"),
            |s| s.due("order.life", 1, "Watch"),
            "
            order.life 1: Cancelling + Watch -> Cancelling
            holds cancelling
        ",
        ),
        case(
            "the time for returns is over",
            || reach("Completed"),
            |s| s.due("order.life", 1, "WindowDue"),
            "
            order.life 1: Completed + WindowDue -> Closed
        ",
        ),
        case(
            "the time for returns is over, and a refund is under way",
            || {
                let mut s = reach("Completed");
                s.asks(refund::request(1, 1000));
                s
            },
            |s| s.due("order.life", 1, "WindowDue"),
            "
            order.life 1: Completed + WindowDue -> Completed
        ",
        ),
        case(
            "the time for returns is over, and a refund failed",
            || {
                let mut s = reach("Completed");
                s.asks(refund::request(1, 1000));
                s.declined("SendBack", refund::declined());
                s.release_holds();
                s
            },
            |s| s.due("order.life", 1, "WindowDue"),
            "
            order.life 1: Completed + WindowDue -> Completed
            holds unsettled
        ",
        ),
    ];
    all.extend(each(
        "a refund made outside is told, and there was nothing to give back",
        reach,
        &["Placed", "Cancelling", "Cancelled", "Expired"],
        |s| {
            s.hears(refunded_outside(700));
        },
        "
            order.life 1: {from} + RefundedOutside -> {from}
            refund 1: New + Record -> Succeeded
            posts P18 card 700
            holds refund_outside
            holds books
        ",
    ));
    all.push(case(
        "a refund made outside is told of an order whose money went back",
        || reach("Rejected"),
        |s| {
            s.hears(refunded_outside(700));
        },
        "
            order.life 1: Rejected + RefundedOutside -> Rejected
            refund 2: New + Record -> Succeeded
            posts P18 card 700
            holds refund_outside
            holds books
        ",
    ));
    all.extend(each(
        "a refund made outside is told",
        reach,
        &["Completed", "Closed"],
        |s| {
            s.hears(refunded_outside(700));
        },
        "
            order.life 1: {from} + RefundedOutside -> {from}
            refund 1: New + Record -> Succeeded
            order.life 1: {from} + Waived -> {from}
            dispatch.parcel 1: Delivered + Repriced -> Delivered
            posts P9 card cust 700
            posts P10 card 700
            posts P8 700
            holds refund_outside
        ",
    ));
    all
}
