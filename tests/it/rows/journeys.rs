//! Whole orders: the cases that shaped the machines, with the balances they must end with.

use consign::id::Role;
use consign::pipeline::{Phase, Physical, Refused};
use consign::stage::dispatch::{InStock, Tracking, Unreserved};
use consign::stage::payment::{Authorised, Cancel, FundsPolicy, Gone, HoldReleased, attempt};
use consign::stage::refund::RefundRefused;

use super::{dispatch, lifecycle, payment, refund as back, review};
use crate::support::shop::{Shop, agent, carla, order_in, order_of};

fn funds(funds: FundsPolicy) -> Physical {
    let mut policy = payment::later();
    policy.payment.funds = funds;
    policy
}

/// From paid and passed to handed over, for every parcel.
fn send(s: &mut Shop, parcels: u32) {
    for key in 1..=parcels {
        s.done(&format!("Reserve {key}"), InStock);
        s.asks(dispatch::pack_parcel(key));
    }
    for key in 1..=parcels {
        s.asks(dispatch::hand_over(key));
    }
}

#[test]
fn several_tenders_pay_several_parcels_and_every_cent_is_earned() {
    let order = order_in(
        &[("north", 3333), ("south", 3333), ("west", 3334)],
        &[("gift-card", 1000), ("points", 1500), ("card", 7500)],
    );
    let mut s = Shop::place(Physical::default(), order);
    for (key, channel, minor) in [(1, "gift-card", 1000), (2, "points", 1500)] {
        s.asks(payment::start(key));
        s.done("Charge", payment::paid_on(channel, channel, minor));
        assert_eq!(s.phase(), Phase::AwaitingPayment);
    }
    s.asks(payment::start(3));
    s.done("Charge", payment::paid_on("card", "r3", 7500));
    assert_eq!(s.phase(), Phase::UnderReview);
    s.done("Score", review::scored(3));
    send(&mut s, 3);
    assert_eq!(s.phase(), Phase::Dispatched);
    s.hears(dispatch::delivered(2));
    assert_eq!(s.phase(), Phase::PartiallyDelivered);
    assert_eq!(s.order.books.earned(), 3333);
    s.hears(dispatch::delivered(1));
    s.hears(dispatch::delivered(3));
    assert_eq!(s.life(), "Completed");
    assert_eq!(s.balances(), "psp:card 7500, psp:gift-card 1000, psp:points 1500, earned -10000");
}

#[test]
fn a_cancelled_order_of_several_tenders_gives_each_its_own_back() {
    let order = order_in(&[("shop", 5000)], &[("gift-card", 1000), ("card", 4000)]);
    let mut s = Shop::place(Physical::default(), order);
    s.asks(payment::start(1));
    s.done("Charge", payment::paid_on("gift-card", "g1", 1000));
    s.asks(payment::start(2));
    s.done("Charge", payment::paid_on("card", "r2", 4000));
    s.asks(lifecycle::cancel());
    let back = s.last.told.clone();
    assert!(back.contains("posts P9 gift-card cust 1000"), "{back}");
    assert!(back.contains("posts P9 card cust 4000"), "{back}");
    s.done(
        "SendBack 1",
        consign::stage::refund::Repaid {
            channel: "gift-card".parse().unwrap(),
            ..back::repaid_as("b1", 1000)
        },
    );
    assert_eq!(s.life(), "Cancelling", "one refund of two is still out");
    s.done("SendBack 2", back::repaid_as("b2", 4000));
    assert_eq!((s.life(), s.balances().as_str()), ("Cancelled", ""));
}

#[test]
fn an_order_is_authorised_then_reviewed_then_captured_at_hand_over() {
    let mut s = payment::reach("Authorized");
    assert_eq!(s.balances(), "hold:card 5000, hold_contra -5000");
    s.done("Score", review::scored(50));
    s.asks_as(&agent("bob"), review::claim());
    s.asks_as(&agent("bob"), review::approve(1));
    s.done("Reserve", InStock);
    assert_eq!(s.balances(), "hold:card 5000, hold_contra -5000", "nothing is taken before it is packed");
    s.asks(dispatch::pack());
    let said = s.tries_as(&agent("anna"), dispatch::hand_over(1));
    assert!(matches!(said, Err(Refused::Lacks { proof: "collected", .. })), "no dispatch without funds");
    s.done("Capture", payment::paid(5000));
    assert_eq!(s.balances(), "psp:card 5000, cust -5000");
    s.asks(dispatch::hand_over(1));
    s.hears(dispatch::delivered(1));
    assert_eq!((s.life(), s.balances().as_str()), ("Completed", "psp:card 5000, earned -5000"));
}

#[test]
fn cash_on_delivery_is_owed_until_it_is_paid() {
    let order = order_in(&[("shop", 5000)], &[("cash", 5000)]);
    let mut policy = Physical::default();
    policy.payment.funds = FundsPolicy::OnDelivery;
    let mut s = Shop::place(policy, order);
    s.done("Score", review::scored(3));
    send(&mut s, 1);
    s.hears(dispatch::delivered(1));
    assert_eq!((s.life(), s.balances().as_str()), ("Placed", "cust 5000, earned -5000"));
    s.due("order.life", 1, "PaymentDue");
    assert_eq!(s.life(), "Placed", "goods that are with the customer are not called off for want of money");
    s.asks(payment::start(1));
    s.done("Charge", payment::paid_on("cash", "receipt-1", 5000));
    assert_eq!((s.life(), s.balances().as_str()), ("Completed", "psp:cash 5000, earned -5000"));
}

#[test]
fn cash_on_delivery_that_is_refused_at_the_door_ends_with_nothing_owed() {
    let order = order_in(&[("shop", 5000)], &[("cash", 5000)]);
    let mut policy = Physical::default();
    policy.payment.funds = FundsPolicy::OnDelivery;
    let mut s = Shop::place(policy, order);
    s.done("Score", review::scored(3));
    send(&mut s, 1);
    s.hears(dispatch::turned_back(1));
    s.hears(dispatch::came_back(1));
    s.release_holds();
    s.asks(lifecycle::cancel());
    assert_eq!((s.life(), s.balances().as_str()), ("Cancelled", ""));
}

#[test]
fn credit_covers_what_is_not_paid_up_to_its_limit() {
    let order = order_in(&[("shop", 5000)], &[("card", 2000), ("invoice", 3000)]);
    let mut policy = Physical::default();
    policy.payment.funds = FundsPolicy::Credit { limit_minor: 3000 };
    let mut s = Shop::place(policy, order);
    assert_eq!(s.phase(), Phase::AwaitingPayment, "the limit does not cover the total");
    s.asks(payment::start(1));
    s.done("Charge", payment::paid(2000));
    s.done("Score", review::scored(3));
    send(&mut s, 1);
    s.hears(dispatch::delivered(1));
    assert_eq!(s.balances(), "psp:card 2000, cust 3000, earned -5000");
    s.asks(payment::start(2));
    s.done("Charge", payment::paid_on("invoice", "i1", 3000));
    assert_eq!(s.life(), "Completed");
    assert_eq!(s.balances(), "psp:card 2000, psp:invoice 3000, earned -5000");
}

#[test]
fn an_authorised_order_on_credit_leaves_before_it_is_captured_and_is_settled_by_command() {
    let mut s = Shop::place(funds(FundsPolicy::Credit { limit_minor: 5000 }), order_of(5000));
    s.asks(payment::start(1));
    s.done("Charge", payment::authorised(5000));
    s.done("Score", review::scored(3));
    send(&mut s, 1);
    s.hears(dispatch::delivered(1));
    assert_eq!(s.life(), "Placed");
    s.asks(payment::collect(None));
    s.done("Capture", payment::paid(5000));
    assert_eq!((s.life(), s.balances().as_str()), ("Completed", "psp:card 5000, earned -5000"));
}

#[test]
fn t1_success_after_a_local_timeout_is_booked_once_and_the_order_goes_on() {
    let mut s = payment::reach("Unknown");
    assert_eq!(s.phase(), Phase::Reconciling);
    s.hears(attempt::M::evidence(1, payment::paid(5000)));
    assert_eq!((s.phase(), s.balances().as_str()), (Phase::UnderReview, "psp:card 5000, cust -5000"));
}

#[test]
fn t2_success_after_failover_is_given_back_even_when_the_order_is_completed() {
    let mut s = payment::reach_under(Physical::default(), "Unknown");
    s.asks(attempt::M::command(1, Cancel));
    s.done("Close", Gone);
    s.asks(payment::start_again(2, 1));
    s.done("Charge", payment::paid_on("card", "r2", 5000));
    s.done("Score", review::scored(3));
    send(&mut s, 1);
    s.hears(dispatch::delivered(1));
    assert_eq!(s.life(), "Completed");
    s.hears(attempt::M::evidence(1, payment::paid_on("wechat", "r1", 5000)));
    assert_eq!(s.balances(), "psp:card 5000, earned -5000", "it is asked about first");
    s.done("Inquire", payment::paid_on("wechat", "r1", 5000));
    assert_eq!(s.balances(), "psp:card 5000, psp:wechat 5000, refund_due:wechat -5000, earned -5000");
    let repaid = consign::stage::refund::Repaid { channel: "wechat".parse().unwrap(), ..back::repaid(5000) };
    s.done("SendBack", repaid);
    assert_eq!((s.life(), s.balances().as_str()), ("Completed", "psp:card 5000, earned -5000"));
    assert_eq!(s.state("payment.attempt", 1), "Captured");
}

#[test]
fn t2_success_while_the_other_channel_is_still_asked_goes_back_and_the_other_stays() {
    let mut s = payment::reach("Closed");
    s.asks(payment::start_again(2, 1));
    s.hears(attempt::M::evidence(1, payment::paid(5000)));
    s.done("Charge", payment::paid_on("card", "r2", 5000));
    s.done("SendBack", back::repaid(5000));
    assert_eq!(s.balances(), "psp:card 5000, cust -5000");
}

#[test]
fn t3_success_after_expiry_is_given_back_and_the_order_stays_expired() {
    let mut s = dispatch::reach("Reserved");
    s.asks(payment::start(1));
    s.done("Charge", payment::redirect());
    s.due("order.life", 1, "PaymentDue");
    s.done("Close", Gone);
    s.done("Unreserve", Unreserved);
    assert_eq!((s.life(), s.balances().as_str()), ("Expired", ""));
    s.hears(attempt::M::evidence(1, payment::paid(5000)));
    assert_eq!(s.life(), "Expired", "never revived");
    assert_eq!(s.state("dispatch.parcel", 1), "Cancelled", "never oversold");
    s.done("SendBack", back::repaid(5000));
    assert_eq!((s.life(), s.balances().as_str()), ("Expired", ""));
    assert!(!s.order.is_open());
}

#[test]
fn t4_a_customer_cancels_while_paying_and_the_channel_says_orderpaid() {
    let mut s = payment::reach("RequiresAction");
    s.asks_as(&carla(), lifecycle::cancel());
    s.done("Close", payment::paid(5000));
    assert_eq!(s.balances(), "psp:card 5000, refund_due:card -5000", "P5, and out of it P9");
    s.done("SendBack", back::repaid(5000));
    assert_eq!((s.life(), s.balances().as_str()), ("Cancelled", ""));
}

#[test]
fn t6_captured_before_authorised_leaves_no_authorisation_behind() {
    let mut s = payment::reach("Unknown");
    s.hears(attempt::M::evidence(1, payment::paid(5000)));
    let said = s.hears(attempt::M::evidence(1, payment::authorised(5000)));
    assert_eq!(said, consign::pipeline::Disposition::Stale);
    assert_eq!(s.balances(), "psp:card 5000, cust -5000");
}

#[test]
fn t7_a_decline_after_the_success_changes_nothing() {
    let mut s = payment::reach("Captured");
    let said = s.hears(attempt::M::evidence(1, payment::refused()));
    assert_eq!(said, consign::pipeline::Disposition::Stale);
    assert_eq!(s.state("payment.attempt", 1), "Captured");
}

#[test]
fn t9_a_capture_that_fails_after_dispatch_leaves_a_debt_and_never_calls_the_goods_off() {
    let mut s = dispatch::reach("HandedOver");
    s.hears(attempt::M::evidence(1, payment::capture_failed(5000)));
    assert_eq!(s.holds(), ["capture_failed"]);
    assert_eq!((s.balances().as_str(), s.state("dispatch.parcel", 1)), ("", "HandedOver"));
    s.due("order.life", 1, "PaymentDue");
    s.hears(dispatch::delivered(1));
    assert_eq!((s.life(), s.balances().as_str()), ("Placed", "cust 5000, earned -5000"));
    s.release_holds();
    s.asks(payment::start_again(2, 1));
    s.done("Charge", payment::paid_on("card", "r2", 5000));
    assert_eq!((s.life(), s.balances().as_str()), ("Completed", "psp:card 5000, earned -5000"));
}

#[test]
fn t9_a_capture_that_fails_after_completion_can_be_paid_again() {
    let mut s = lifecycle::reach("Completed");
    s.hears(attempt::M::evidence(1, payment::capture_failed(5000)));
    s.release_holds();
    s.due("order.life", 1, "WindowDue");
    assert_eq!((s.life(), s.balances().as_str()), ("Completed", "cust 5000, earned -5000"));
    assert_eq!(s.holds(), ["unsettled"]);
    s.release_holds();
    s.asks(payment::start_again(2, 1));
    s.done("Charge", payment::paid_on("card", "r2", 5000));
    s.due("order.life", 1, "WindowDue");
    assert_eq!((s.life(), s.balances().as_str()), ("Closed", "psp:card 5000, earned -5000"));
}

#[test]
fn t10_an_authorisation_about_to_expire_is_captured_or_released_and_paid_again() {
    let mut s = payment::reach("Authorized");
    s.due("payment.attempt", 1, "HoldDue");
    s.done("Capture", payment::paid(5000));
    assert_eq!(s.balances(), "psp:card 5000, cust -5000");

    let mut policy = payment::later();
    policy.payment.expiring = consign::stage::payment::Expiring::Release;
    let mut s = dispatch::reach_under(policy, "Released");
    s.due("payment.attempt", 1, "HoldDue");
    assert_eq!(s.state("dispatch.parcel", 1), "Reserved", "money that is being released pays for nothing");
    s.done("Void", HoldReleased);
    assert_eq!((s.phase(), s.balances().as_str()), (Phase::AwaitingPayment, ""));
    s.asks(payment::start_again(2, 1));
    s.done("Charge", Authorised { reference: "r2".to_owned(), ..payment::authorised(5000) });
    assert_eq!(s.state("dispatch.parcel", 1), "Released", "review has passed it already");
}

#[test]
fn t11_a_partial_capture_then_a_cancellation_releases_the_rest_and_returns_the_part() {
    let mut s = payment::reach("PartiallyCaptured");
    assert_eq!(s.balances(), "psp:card 3000, cust -3000, hold:card 2000, hold_contra -2000");
    s.asks(lifecycle::cancel());
    s.done("Void", HoldReleased);
    assert_eq!(s.balances(), "psp:card 3000, refund_due:card -3000");
    s.done("SendBack", back::repaid(3000));
    assert_eq!((s.life(), s.balances().as_str()), ("Cancelled", ""));
}

#[test]
fn t12_an_unknown_capture_is_resolved_before_a_cancellation_gives_back_or_releases() {
    let unknown = || {
        let mut s = payment::reach("Capturing");
        s.asks(lifecycle::cancel());
        s.lost("Capture");
        let open = s.wants();
        assert!(open.iter().all(|w| !w.contains("Void") && !w.contains("SendBack")), "{open:?}");
        s.due("payment.attempt", 1, "AskAgain");
        s
    };
    let mut captured = unknown();
    captured.done("Inquire", payment::paid(5000));
    captured.done("SendBack", back::repaid(5000));
    assert_eq!((captured.life(), captured.balances().as_str()), ("Cancelled", ""));

    let mut held = unknown();
    held.done("Inquire", consign::stage::payment::StillHeld);
    held.done("Void", HoldReleased);
    assert_eq!((held.life(), held.balances().as_str()), ("Cancelled", ""));
}

#[test]
fn t13_an_order_is_not_cancelled_while_its_refund_is_out_or_failed() {
    let mut s = payment::reach("Captured");
    s.asks(lifecycle::cancel());
    s.done("SendBack", back::accepted());
    assert_eq!(s.life(), "Cancelling");
    s.due("refund", 1, "AskAgain");
    s.declined("InquireRefund", RefundRefused { code: "closed".to_owned() });
    assert_eq!((s.life(), s.holds()), ("Cancelling", vec!["refund_failed"]));
    assert_eq!(s.balances(), "psp:card 5000, cust -5000", "the customer is still owed");
    s.due("order.life", 1, "Watch");
    assert_eq!(s.life(), "Cancelling");
    s.release_holds();
    s.asks(back::request(2, 5000));
    s.done("SendBack", back::repaid_as("b2", 5000));
    assert_eq!((s.life(), s.balances().as_str()), ("Cancelled", ""));
}

#[test]
fn money_nobody_wants_whose_refund_fails_can_be_sent_back_again() {
    let mut s = payment::reach("RequiresAction");
    s.asks(lifecycle::cancel());
    s.done("Close", payment::paid(5000));
    s.declined("SendBack", back::declined());
    assert_eq!(s.balances(), "psp:card 5000, suspense -5000");
    s.release_holds();
    s.asks(back::request(2, 5000));
    assert_eq!(s.balances(), "psp:card 5000, refund_due:card -5000");
    s.done("SendBack", back::repaid_as("b2", 5000));
    assert_eq!((s.life(), s.balances().as_str()), ("Cancelled", ""));
}

#[test]
fn t15_a_refund_marked_failed_that_succeeded_after_all_is_booked_once() {
    let mut s = back::reach("Failed");
    assert_eq!(s.balances(), "psp:card 5000, cust -5000");
    s.hears(back::says(back::repaid(1000)));
    assert_eq!(s.balances(), "psp:card 4000, cust -4000");
    assert_eq!(s.state("refund", 1), "Succeeded");
}

#[test]
fn t15_a_second_refund_that_went_out_too_leaves_a_debt_and_a_hold() {
    let mut s = payment::reach("Captured");
    s.asks(lifecycle::cancel());
    s.declined("SendBack", back::declined());
    s.release_holds();
    s.asks(back::request(2, 5000));
    s.done("SendBack 2", back::repaid_as("b2", 5000));
    assert_eq!(s.life(), "Cancelled");
    s.hears(back::says(back::repaid(5000)));
    assert_eq!(
        (s.holds(), s.balances().as_str()),
        (vec!["books", "receivable"], "psp:card -5000, cust 5000")
    );
    assert_eq!(s.life(), "Cancelled");
}

#[test]
fn t18_review_reopened_after_capture_shuts_dispatch_and_the_capture_stays() {
    let mut s = dispatch::reach("ReadyToHandOver");
    s.hears(review::notice());
    assert_eq!(s.state("dispatch.parcel", 1), "Reserved");
    assert_eq!((s.phase(), s.balances().as_str()), (Phase::UnderReview, "psp:card 5000, cust -5000"));
    let said = s.tries_as(&agent("anna"), dispatch::hand_over(1));
    assert!(matches!(said, Err(Refused::NoRow { .. })), "{said:?}");
    s.asks_as(&agent("bob"), review::claim());
    s.asks_as(&agent("bob"), review::approve(1));
    assert_eq!(s.state("dispatch.parcel", 1), "Released");
    s.asks(dispatch::pack());
    assert!(!s.wants().contains(&"Capture 1".to_owned()), "it is captured already");
    s.asks(dispatch::hand_over(1));
}

#[test]
fn t18_review_reopened_and_turned_down_before_dispatch_returns_the_money() {
    let mut s = dispatch::reach("Released");
    s.hears(review::notice());
    s.asks_as(&agent("bob"), review::claim());
    s.asks_as(&agent("bob"), review::reject(1));
    s.done("Unreserve", Unreserved);
    s.done("SendBack", back::repaid(5000));
    assert_eq!((s.life(), s.balances().as_str()), ("Rejected", ""));
}

#[test]
fn t19_an_approval_after_the_cancellation_is_refused() {
    let mut s = review::reach("Claimed");
    s.asks(lifecycle::cancel());
    let said = s.tries_as(&agent("bob"), review::approve(1));
    assert!(matches!(said, Err(Refused::NoRow { state: "Withdrawn", .. })), "{said:?}");
}

#[test]
fn t20_a_lapsed_lease_decides_nothing() {
    let mut s = review::reach("Claimed");
    s.due("review.case", 1, "LeaseDue");
    let said = s.tries_as(&agent("bob"), review::approve(1));
    assert!(matches!(said, Err(Refused::NoRow { state: "Queued", .. })), "{said:?}");
    s.asks_as(&agent("bob"), review::claim());
    let said = s.tries_as(&agent("bob"), review::approve(1));
    assert!(matches!(said, Err(Refused::Refused { code: "stale_lease", .. })), "{said:?}");
    s.asks_as(&agent("bob"), review::approve(2));
}

#[test]
fn t21_each_parcel_is_stopped_or_gone_as_the_warehouse_says() {
    let mut s = lifecycle::lost_race();
    assert_eq!(s.life(), "Cancelling");
    assert_eq!(s.state("dispatch.parcel", 1), "HandedOver");
    assert_eq!(s.state("dispatch.parcel", 2), "Cancelled");
    s.hears(dispatch::delivered(1));
    assert_eq!(s.balances(), "psp:card 5000, refund_due:card -2000, earned -3000");
    s.done("SendBack", back::repaid(2000));
    assert_eq!((s.life(), s.balances().as_str()), ("Completed", "psp:card 3000, earned -3000"));
}

#[test]
fn t21_all_parcels_are_gone_and_the_order_is_completed_after_all() {
    let mut s = dispatch::reach("CancelRequested");
    s.hears(dispatch::accepted(1));
    s.hears(dispatch::delivered(1));
    assert_eq!((s.life(), s.balances().as_str()), ("Completed", "psp:card 5000, earned -5000"));
}

#[test]
fn t21_a_parcel_that_leaves_while_its_order_is_called_back_comes_back_too() {
    let mut s = dispatch::two_parcels_packed();
    s.asks(dispatch::hand_over(1));
    s.asks(lifecycle::request_return());
    assert_eq!(s.state("dispatch.parcel", 2), "CancelRequested");
    s.hears(dispatch::accepted(2));
    assert_eq!(s.state("dispatch.parcel", 2), "Returning");
    s.hears(dispatch::came_back(1));
    assert_eq!(s.balances(), "psp:card 5000, cust -5000", "nothing goes back before all is back");
    s.hears(dispatch::came_back(2));
    s.done("SendBack", back::repaid(5000));
    assert_eq!((s.life(), s.balances().as_str()), ("Cancelled", ""));
}

#[test]
fn t22_scans_out_of_order_stand_by_the_time_they_name() {
    let mut s = dispatch::reach("HandedOver");
    let (first, second) = (s.now, s.now.saturating_add(std::time::Duration::from_secs(60)));
    s.pass(120_000);
    s.hears_of(second, dispatch::scan("s2", Tracking::OutForDelivery));
    s.hears_of(first, dispatch::scan("s1", Tracking::InTransit));
    match s.pipeline.state::<consign::stage::dispatch::parcel::M>(&s.order, 1) {
        Some(consign::stage::dispatch::parcel::State::HandedOver(p)) => {
            assert_eq!(p.trip.scan.as_ref().unwrap().status, Tracking::OutForDelivery);
        }
        other => panic!("{other:?}"),
    }
    s.hears(dispatch::delivered(1));
    s.hears(dispatch::turned_back(1));
    assert_eq!(s.balances(), "psp:card 5000, earned -5000", "it is not back yet");
    s.hears(dispatch::came_back(1));
    assert_eq!(s.balances(), "psp:card 5000, cust -5000");
}

#[test]
fn a_parcel_lost_beside_a_delivered_one_is_refunded_and_the_order_completed() {
    let mut s = dispatch::two_parcels_packed();
    s.asks(dispatch::hand_over(1));
    s.asks(dispatch::hand_over(2));
    s.hears(dispatch::delivered(1));
    s.hears(dispatch::mislaid(2));
    s.release_holds();
    assert_eq!((s.life(), s.balances().as_str()), ("Placed", "psp:card 5000, cust -2000, earned -3000"));
    s.asks(super::owed::call_off(2));
    s.done("SendBack", back::repaid(2000));
    assert_eq!((s.life(), s.balances().as_str()), ("Completed", "psp:card 3000, earned -3000"));
    s.hears(dispatch::delivered(2));
    assert_eq!(s.balances(), "psp:card 3000, cust 2000, earned -5000", "both, and owes for it");
}

#[test]
fn the_rest_of_an_order_that_is_partly_out_can_be_stopped_by_the_shop() {
    let mut policy = Physical::default();
    policy.dispatch.shortage = consign::stage::dispatch::OnShortage::Wait;
    let order = order_in(&[("north", 3000), ("south", 2000)], &[("card", 5000)]);
    let mut s = Shop::place(policy, order);
    dispatch::pay_and_pass(&mut s);
    s.done("Reserve 1", InStock);
    s.done("Reserve 2", dispatch::short());
    s.asks(dispatch::pack());
    s.asks(dispatch::hand_over(1));
    let said = s.tries_as(&carla(), lifecycle::cancel());
    assert!(matches!(said, Err(Refused::Refused { code: "executing", .. })), "{said:?}");
    s.asks(lifecycle::cancel());
    s.hears(dispatch::delivered(1));
    s.done("SendBack", back::repaid(2000));
    assert_eq!((s.life(), s.balances().as_str()), ("Completed", "psp:card 3000, earned -3000"));
}

#[test]
fn a_goodwill_refund_while_the_goods_are_out_is_not_earned() {
    let mut s = dispatch::reach("HandedOver");
    s.asks(back::request(1, 1000));
    s.done("SendBack", back::repaid(1000));
    s.hears(dispatch::delivered(1));
    assert_eq!((s.life(), s.balances().as_str()), ("Completed", "psp:card 4000, earned -4000"));
    s.asks(back::request(2, 500));
    s.done("SendBack", back::repaid_as("b2", 500));
    s.asks(lifecycle::request_return());
    s.hears(dispatch::came_back(1));
    s.done("SendBack", back::repaid_as("b3", 3500));
    assert_eq!((s.life(), s.balances().as_str()), ("Cancelled", ""));
}

#[test]
fn a_refund_bounced_after_the_cancellation_is_owed_again_and_paid_again() {
    let mut s = payment::reach("Captured");
    s.asks(lifecycle::cancel());
    s.done("SendBack", back::repaid(5000));
    assert_eq!(s.life(), "Cancelled");
    s.hears(back::says(back::bounced(5000)));
    assert_eq!((s.holds(), s.balances().as_str()), (vec!["refund_bounced"], "psp:card 5000, cust -5000"));
    s.release_holds();
    s.asks(back::request(2, 5000));
    s.done("SendBack", back::repaid_as("b2", 5000));
    assert_eq!((s.life(), s.balances().as_str()), ("Cancelled", ""));
}

#[test]
fn a_mismatch_sent_back_leaves_the_tender_to_be_paid_again() {
    let mut s = payment::reach("Mismatch");
    s.asks(attempt::M::command(1, consign::stage::payment::RefuseMismatch));
    s.asks(payment::start_again(2, 1));
    s.done("Charge", payment::paid_on("card", "r2", 5000));
    s.done("SendBack", back::repaid(4900));
    assert_eq!((s.phase(), s.balances().as_str()), (Phase::UnderReview, "psp:card 5000, cust -5000"));
}

#[test]
fn a_tender_collected_in_part_is_collected_to_the_end() {
    let mut s = payment::reach("Mismatch");
    s.asks(attempt::M::command(1, consign::stage::payment::AcceptMismatch));
    assert_eq!(s.phase(), Phase::AwaitingPayment);
    s.asks(payment::start_again(2, 1));
    assert!(s.last.told.contains("amount=1.00 EUR"), "{}", s.last.told);
    s.done("Charge", payment::paid_on("card", "r2", 100));
    assert_eq!((s.phase(), s.balances().as_str()), (Phase::UnderReview, "psp:card 5000, cust -5000"));
}

#[test]
fn what_arrives_on_top_of_what_another_tender_paid_goes_back() {
    let order = order_in(&[("shop", 5000)], &[("card", 3000), ("card", 2000)]);
    let mut s = Shop::place(Physical::default(), order);
    s.asks(payment::start(1));
    s.asks(payment::start(2));
    s.done("Charge 2", payment::paid_on("card", "r2", 5000));
    s.release_holds();
    s.asks(attempt::M::command(2, consign::stage::payment::AcceptMismatch));
    s.done("Charge 1", payment::paid_on("card", "r1", 3000));
    assert_eq!(s.balances(), "psp:card 8000, cust -5000, refund_due:card -3000");
}

#[test]
fn cash_on_delivery_of_a_part_is_paid_for_what_came() {
    let order = order_in(&[("north", 3000), ("south", 2000)], &[("cash", 5000)]);
    let mut policy = Physical::default();
    policy.payment.funds = FundsPolicy::OnDelivery;
    policy.dispatch.shortage = consign::stage::dispatch::OnShortage::Wait;
    let mut s = Shop::place(policy, order);
    s.done("Score", review::scored(3));
    s.done("Reserve 1", InStock);
    s.done("Reserve 2", dispatch::short());
    s.asks(dispatch::pack());
    s.asks(dispatch::hand_over(1));
    s.hears(dispatch::delivered(1));
    s.asks(lifecycle::cancel());
    assert_eq!((s.life(), s.balances().as_str()), ("Cancelling", "cust 3000, earned -3000"));
    s.asks(payment::start(1));
    assert!(s.last.told.contains("amount=30.00 EUR"), "{}", s.last.told);
    s.done("Charge", payment::paid_on("cash", "receipt-1", 3000));
    assert_eq!((s.life(), s.balances().as_str()), ("Completed", "psp:cash 3000, earned -3000"));
}

#[test]
fn a_settled_order_whose_rest_is_called_off_is_completed_at_once() {
    let order = order_in(&[("north", 3000), ("south", 2000)], &[("cash", 5000)]);
    let mut policy = Physical::default();
    policy.payment.funds = FundsPolicy::OnDelivery;
    policy.dispatch.shortage = consign::stage::dispatch::OnShortage::Wait;
    let mut s = Shop::place(policy, order);
    s.asks(payment::start(1));
    s.done("Charge", payment::paid_on("cash", "receipt-1", 3000));
    s.release_holds();
    s.asks(attempt::M::command(1, consign::stage::payment::AcceptMismatch));
    s.done("Score", review::scored(3));
    s.done("Reserve 1", InStock);
    s.done("Reserve 2", dispatch::short());
    s.asks(dispatch::pack());
    s.asks(dispatch::hand_over(1));
    s.hears(dispatch::delivered(1));
    s.asks(lifecycle::cancel());
    assert_eq!((s.life(), s.balances().as_str()), ("Completed", "psp:cash 3000, earned -3000"));
    s.asks(lifecycle::request_return());
    s.hears(dispatch::came_back(1));
    assert_eq!(s.state("payment.attempt", 1), "Captured");
}

#[test]
fn an_authorisation_above_the_price_takes_the_price_only() {
    let mut s = payment::reach("Sending");
    s.done("Charge", payment::authorised(6000));
    s.asks(payment::collect(None));
    assert!(s.last.told.contains("amount=50.00 EUR"), "{}", s.last.told);
    s.done("Capture", payment::paid(5000));
    assert_eq!(s.balances(), "psp:card 5000, cust -5000");
}

#[test]
fn money_over_another_channel_than_was_asked_goes_back_over_that_channel() {
    let mut s = payment::reach("Sending");
    s.done("Charge", payment::paid_on("alipay", "a1", 5000));
    s.asks(lifecycle::cancel());
    assert!(s.last.told.contains("posts P9 alipay cust 5000"), "{}", s.last.told);
}

// S7: a cancellation at each phase (FAQ2 of the article). Goods of 99.00.

fn s7() -> Shop {
    Shop::place(Physical::default(), order_of(9900))
}
fn s7_paid() -> Shop {
    let mut s = s7();
    s.asks(payment::start(1));
    s.done("Charge", payment::paid(9900));
    s
}
fn s7_ends(mut s: Shop, refunds: usize) {
    if s.wants().contains(&"Unreserve 1".to_owned()) {
        s.done("Unreserve", Unreserved);
    }
    if refunds > 0 {
        s.done("SendBack", back::repaid(9900));
    }
    let made = s.pipeline.instances(&s.order).iter().filter(|i| i.0 == "refund").count();
    assert_eq!((s.life(), s.balances().as_str(), made), ("Cancelled", "", refunds), "{}", s.show());
}

#[test]
fn s7_a1_cancelled_while_a_code_is_shown() {
    let mut s = s7();
    s.asks(payment::start(1));
    s.done("Charge", payment::redirect());
    s.asks_as(&carla(), lifecycle::cancel());
    s.done("Close", Gone);
    s7_ends(s, 0);
}

#[test]
fn s7_a2_cancelled_while_the_customer_pays() {
    let mut s = s7();
    s.asks(payment::start(1));
    s.done("Charge", payment::redirect());
    s.asks_as(&carla(), lifecycle::cancel());
    s.declined("Close", consign::stage::payment::CloseRefused { code: "ORDERPAID".to_owned() });
    s.done("Inquire", payment::paid(9900));
    assert_eq!(s.balances(), "psp:card 9900, refund_due:card -9900");
    s7_ends(s, 1);
}

#[test]
fn s7_b_cancelled_when_paid_and_not_yet_reviewed() {
    let mut s = s7_paid();
    s.asks_as(&carla(), lifecycle::cancel());
    assert_eq!(s.state("review.case", 1), "Withdrawn");
    s7_ends(s, 1);
}

#[test]
fn s7_c_cancelled_under_review() {
    let mut s = s7_paid();
    s.done("Score", review::scored(50));
    s.asks_as(&agent("bob"), review::claim());
    s.asks_as(&carla(), lifecycle::cancel());
    let said = s.tries_as(&agent("bob"), review::approve(1));
    assert!(matches!(said, Err(Refused::NoRow { state: "Withdrawn", .. })), "{said:?}");
    s7_ends(s, 1);
}

#[test]
fn s7_d_approved_and_reserved_is_for_the_shop_to_cancel() {
    let mut s = s7_paid();
    s.done("Score", review::scored(3));
    s.done("Reserve", InStock);
    assert_eq!(carla().role(), Role::Customer);
    let said = s.tries_as(&carla(), lifecycle::cancel());
    assert!(matches!(said, Err(Refused::Refused { code: "approved", .. })), "{said:?}");
    s.asks(lifecycle::cancel());
    s7_ends(s, 1);
}

#[test]
fn s7_e_handed_over_is_not_cancelled_but_returned() {
    let mut s = s7_paid();
    s.done("Score", review::scored(3));
    send(&mut s, 1);
    let said = s.tries_as(&carla(), lifecycle::cancel());
    assert!(matches!(said, Err(Refused::Refused { code: "executing", .. })), "{said:?}");
    assert_eq!(s.balances(), "psp:card 9900, cust -9900");
    assert!(s.would_take(&lifecycle::request_return()));
    s.asks_as(&carla(), lifecycle::request_return());
    s.hears(dispatch::came_back(1));
    s7_ends(s, 1);
}

#[test]
fn a_decline_lets_the_customer_pay_another_way() {
    let mut s = payment::reach("Declined");
    s.asks(payment::start_again(2, 1));
    s.done("Charge", payment::paid_on("card", "r2", 5000));
    assert_eq!(s.phase(), Phase::UnderReview);
    assert_eq!(s.state("payment.attempt", 1), "Declined");
}
