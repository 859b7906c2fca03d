//! Parcels on their way: what carriers say late, twice, or not at all.

use consign::pipeline::Physical;
use consign::stage::dispatch::{
    InStock, OnLoss, ProofOfDelivery, Proven, Short, Tracking, Unit, parcel, trip,
};

use super::dispatch::{delivered, mislaid, reach, reach_under, scan, turned_back};
use super::{Case, aftersales, case, dispatch};
use crate::support::shop::Shop;

fn proven(signature: &str) -> consign::machine::Call {
    let proof =
        ProofOfDelivery { signature: Some(signature.to_owned()), photo: None, at: Some((54_323, 10_139)) };
    parcel::M::evidence(1, Proven { proof })
}
fn lost_means(lost: OnLoss) -> Physical {
    let mut policy = Physical::default();
    policy.dispatch.lost = lost;
    policy
}
fn two_attempts() -> Physical {
    let mut policy = Physical::default();
    policy.dispatch.attempts = Some(2);
    policy
}
/// The carrier is asked three times before a parcel counts as lost.
fn polled() -> Physical {
    let mut policy = Physical::default();
    policy.dispatch.inquiries = 3;
    policy
}
/// Two parcels of 30.00 and 20.00, the first one with the carrier.
fn first_is_out(policy: Physical) -> Shop {
    let mut s = dispatch::two_parcels_packed_under(policy);
    s.asks(dispatch::hand_over(1));
    s
}

pub(super) fn cases() -> Vec<Case> {
    vec![
        case(
            "an attempt to deliver fails",
            || reach_under(two_attempts(), "HandedOver"),
            |s| {
                s.hears(scan("a1", Tracking::AttemptFailed));
            },
            "
            dispatch.parcel 1: HandedOver + Moving -> HandedOver
        ",
        ),
        case(
            "the last attempt to deliver fails",
            || {
                let mut s = reach_under(two_attempts(), "HandedOver");
                s.hears(scan("a1", Tracking::AttemptFailed));
                s
            },
            |s| {
                s.hears(scan("a2", Tracking::AttemptFailed));
            },
            "
            dispatch.parcel 1: HandedOver + Moving -> Returning
        ",
        ),
        case(
            "a silent parcel is asked for a second time",
            || {
                let mut s = reach_under(polled(), "HandedOver");
                s.due("dispatch.parcel", 1, "SilentDue");
                s
            },
            |s| s.due("dispatch.parcel", 1, "SilentDue"),
            "
            dispatch.parcel 1: HandedOver + SilentDue -> HandedOver
            wants Track 1 #2 tracking=null
        ",
        ),
        case(
            "the proof of a delivery",
            || reach("Delivered"),
            |s| {
                s.hears(proven("sig-1"));
            },
            "
            dispatch.parcel 1: Delivered + Proven -> Delivered
        ",
        ),
        case(
            "a scan of before the delivery says that it was turned back",
            || reach("Delivered"),
            |s| {
                s.hears_of(consign::clock::Timestamp::from_millis(0), turned_back(1));
            },
            "
            dispatch.parcel 1: Delivered + TurnedBack -> Delivered
        ",
        ),
        case(
            "a lost parcel is sent once more",
            || reach_under(lost_means(OnLoss::Resend), "HandedOver"),
            |s| {
                s.hears(mislaid(1));
            },
            "
            dispatch.parcel 1: HandedOver + Mislaid -> Lost
            dispatch.parcel 2: New + Split -> Planned
        ",
        ),
        case(
            "a lost parcel is paid back, and nothing else is to come",
            || reach_under(lost_means(OnLoss::Refund), "HandedOver"),
            |s| {
                s.hears(mislaid(1));
            },
            "
            dispatch.parcel 1: HandedOver + Mislaid -> Lost
            order.life 1: Placed + Unfillable -> Cancelling
            payment.attempt 1: Captured + GiveBack -> Captured
            refund 1: New + Begin -> Sending
            posts P9 card cust 5000
            wants SendBack 1 #0 amount=50.00 EUR attempt=1 channel=card reference=r1
        ",
        ),
        case(
            "a lost parcel is paid back beside another",
            || first_is_out(lost_means(OnLoss::Refund)),
            |s| {
                s.hears(mislaid(1));
            },
            "
            dispatch.parcel 1: HandedOver + Mislaid -> Lost
            order.life 1: Placed + Waived -> Placed
            refund 1: New + Begin -> Sending
            posts P9 card cust 3000
            wants SendBack 1 #0 amount=30.00 EUR attempt=1 channel=card reference=r1
        ",
        ),
        case(
            "a parcel that was silent for too long is sent once more",
            || {
                let mut s = reach_under(lost_means(OnLoss::Resend), "HandedOver");
                s.due("dispatch.parcel", 1, "SilentDue");
                s
            },
            |s| s.due("dispatch.parcel", 1, "SilentDue"),
            "
            dispatch.parcel 1: HandedOver + SilentDue -> Lost
            dispatch.parcel 2: New + Split -> Planned
        ",
        ),
        case(
            "a parcel is lost on its way back",
            || reach_under(lost_means(OnLoss::Refund), "Returning"),
            |s| {
                s.hears(mislaid(1));
            },
            "
            dispatch.parcel 1: Returning + Mislaid -> Lost
            order.life 1: Placed + Unfillable -> Cancelling
            payment.attempt 1: Captured + GiveBack -> Captured
            refund 1: New + Begin -> Sending
            posts P9 card cust 5000
            wants SendBack 1 #0 amount=50.00 EUR attempt=1 channel=card reference=r1
        ",
        ),
        case(
            "what is sent in place of what came back is short",
            || {
                let mut s = aftersales::exchange(1_818);
                s.asks(aftersales::inspect(1, &[(0, 2, consign::stage::aftersales::Verdict::Restock)]));
                s
            },
            |s| s.done("Reserve", Short { missing: vec![Unit { sku: "mug".to_owned(), quantity: 1 }] }),
            "
            dispatch.parcel 2: Reserving + Short -> Backordered
            holds short
        ",
        ),
    ]
}

#[test]
fn a_proof_may_come_late_and_in_parts_and_the_first_word_stands() {
    let mut s = reach("HandedOver");
    assert_eq!(s.hears(proven("sig-1")), consign::pipeline::Disposition::Early, "not before the delivery");
    s.hears(delivered(1));
    s.hears(proven("sig-1"));
    s.hears(proven(&"another".repeat(40)));
    let proof = trip(s.pipeline.state::<parcel::M>(&s.order, 1).unwrap()).proof.clone().unwrap();
    assert_eq!((proof.signature.as_deref(), proof.at), (Some("sig-1"), Some((54_323, 10_139))));
    assert_eq!(s.balances(), "psp:card 5000, earned -5000");
}

#[test]
fn a_parcel_is_turned_back_within_its_days_and_after_them_its_number_is_anothers() {
    const DAY: u64 = 24 * 60 * 60_000;
    let mut s = reach("Delivered");
    s.pass(31 * DAY);
    s.hears(turned_back(1));
    assert_eq!(s.state("dispatch.parcel", 1), "Delivered");
    let mut s = reach("Delivered");
    s.pass(29 * DAY);
    s.hears(turned_back(1));
    assert_eq!(s.state("dispatch.parcel", 1), "Returning");
}

#[test]
fn what_was_lost_and_sent_again_is_earned_once_and_what_was_paid_back_closes_the_order() {
    let mut s = reach_under(lost_means(OnLoss::Resend), "HandedOver");
    s.hears(mislaid(1));
    s.due("dispatch.parcel", 2, "PlanDue");
    s.done("Reserve", InStock);
    s.asks(dispatch::pack_parcel(2));
    s.asks(dispatch::hand_over(2));
    s.hears(delivered(2));
    assert_eq!((s.life(), s.balances().as_str()), ("Completed", "psp:card 5000, earned -5000"));
    let mut s = reach_under(lost_means(OnLoss::Refund), "HandedOver");
    s.hears(mislaid(1));
    s.done("SendBack", super::refund::repaid(5_000));
    assert_eq!((s.life(), s.balances().as_str()), ("Cancelled", ""));
    let mut s = first_is_out(lost_means(OnLoss::Refund));
    s.hears(mislaid(1));
    s.done("SendBack", super::refund::repaid(3_000));
    s.asks(dispatch::hand_over(2));
    s.hears(delivered(2));
    assert_eq!((s.life(), s.balances().as_str()), ("Completed", "psp:card 2000, earned -2000"));
    s.due("order.life", 1, "WindowDue");
    assert_eq!(s.life(), "Closed");
}
