//! Parcels whose carrier is chosen among offers, labels that are cancelled, and parcels that are called back.

use consign::clock::Timestamp;
use consign::machine::Call;
use consign::pipeline::Physical;
use consign::stage::dispatch::{
    Booked, BookingRefused, CancelRefused, CarrierPolicy, Intercept, InterceptRefused, Intercepted, Offer,
    Packing, QuoteRefused, Quoted, Unreserved, parcel,
};

use super::{Case, case, dispatch, lifecycle, review};
use crate::support::shop::{Shop, order_of};

pub(crate) fn intercept() -> Call {
    parcel::M::command(1, Intercept)
}

/// By road for 4.00, or by air for 9.00.
pub(crate) fn offers() -> Vec<Offer> {
    let offer = |carrier: &str, service: &str, cost_minor, promise| Offer {
        carrier: carrier.to_owned(),
        service: service.to_owned(),
        cost_minor,
        promise: Timestamp::from_millis(promise),
        score: 80,
    };
    vec![offer("blue", "air", 900, 86_400_000), offer("red", "road", 400, 4 * 86_400_000)]
}

fn chooses() -> Physical {
    let mut policy = Physical::default();
    policy.dispatch.carriers = Some(CarrierPolicy::default());
    policy
}
fn automatic() -> Physical {
    let mut policy = chooses();
    policy.dispatch.packing = Packing::Automatic;
    policy
}
/// Packed, and offers asked for.
fn asked() -> Shop {
    dispatch::reach_under(chooses(), "ReadyToHandOver")
}
/// The best one is to be booked.
fn taken() -> Shop {
    let mut s = asked();
    s.done("Quote", Quoted { offers: offers() });
    s
}
fn booked() -> Shop {
    let mut s = taken();
    s.done("Book", dispatch::booked());
    s
}
fn out() -> Shop {
    let mut s = booked();
    s.asks(dispatch::hand_over(1));
    s
}
fn stopping() -> Shop {
    let mut s = booked();
    s.asks(lifecycle::cancel());
    s
}
/// The gates shut while a label is being booked.
fn shut() -> Shop {
    let mut s = taken();
    s.hears(review::notice());
    assert_eq!(s.state("dispatch.parcel", 1), "Reserved", "{}", s.show());
    s
}
fn refused() -> BookingRefused {
    BookingRefused { why: "no van".into() }
}

pub(super) fn cases() -> Vec<Case> {
    let mut all = chosen();
    all.extend(stopped());
    all
}

fn chosen() -> Vec<Case> {
    vec![
        case(
            "packed: offers are asked for",
            || dispatch::reach_under(chooses(), "Released"),
            |s| s.asks(dispatch::pack()),
            "
            dispatch.parcel 1: Released + Pack -> ReadyToHandOver
            wants Quote 1 #1 units=1xfrom-shop
        ",
        ),
        case(
            "the best offer is booked",
            asked,
            |s| s.done("Quote", Quoted { offers: offers() }),
            "
            dispatch.parcel 1: ReadyToHandOver + Quoted -> ReadyToHandOver
            wants Book 1 #1 carrier=red service=road units=1xfrom-shop
        ",
        ),
        case(
            "nobody offers",
            asked,
            |s| s.done("Quote", Quoted { offers: Vec::new() }),
            "
            dispatch.parcel 1: ReadyToHandOver + Quoted -> ReadyToHandOver
            holds booking_refused
        ",
        ),
        case(
            "nobody says what it costs",
            asked,
            |s| s.declined("Quote", QuoteRefused { why: "closed".into() }),
            "
            dispatch.parcel 1: ReadyToHandOver + QuoteRefused -> ReadyToHandOver
            holds booking_refused
        ",
        ),
        case(
            "refused: the next offer is booked",
            taken,
            |s| s.declined("Book", refused()),
            "
            dispatch.parcel 1: ReadyToHandOver + BookingRefused -> ReadyToHandOver
            wants Book 1 #2 carrier=blue service=air units=1xfrom-shop
        ",
        ),
        case(
            "all of them refuse",
            || {
                let mut s = taken();
                s.declined("Book", refused());
                s
            },
            |s| s.declined("Book", refused()),
            "
            dispatch.parcel 1: ReadyToHandOver + BookingRefused -> ReadyToHandOver
            holds booking_refused
        ",
        ),
        case(
            "offers are asked for again when it should have left",
            || {
                let mut s = asked();
                s.lost("Quote");
                s
            },
            |s| s.due("dispatch.parcel", 1, "PackDue"),
            "
            dispatch.parcel 1: ReadyToHandOver + PackDue -> ReadyToHandOver
            wants Quote 1 #2 units=1xfrom-shop
            holds overdue
        ",
        ),
        case(
            "the label is asked for again when it should have left",
            || {
                let mut s = taken();
                s.lost("Book");
                s
            },
            |s| s.due("dispatch.parcel", 1, "PackDue"),
            "
            dispatch.parcel 1: ReadyToHandOver + PackDue -> ReadyToHandOver
            wants Book 1 #1 carrier=red service=road units=1xfrom-shop
            holds overdue
        ",
        ),
        case(
            "booked when the gates had shut",
            shut,
            |s| s.done("Book", dispatch::booked()),
            "
            dispatch.parcel 1: Reserved + Booked -> Reserved
        ",
        ),
        case(
            "booked when it was held",
            || {
                let mut s = shut();
                s.release_holds();
                s.asks(dispatch::hold("address"));
                s
            },
            |s| s.done("Book", dispatch::booked()),
            "
            dispatch.parcel 1: OnHold + Booked -> OnHold
        ",
        ),
        case(
            "booked when it was to be packed again",
            || {
                let mut s = shut();
                s.release_holds();
                s.asks(review::claim());
                s.asks(review::approve(1));
                assert_eq!(s.state("dispatch.parcel", 1), "Released", "{}", s.show());
                s
            },
            |s| s.done("Book", dispatch::booked()),
            "
            dispatch.parcel 1: Released + Booked -> Released
        ",
        ),
    ]
}

fn stopped() -> Vec<Case> {
    vec![
        case(
            "stopped after it was booked",
            stopping,
            |s| s.asks(dispatch::confirm_stop(1)),
            "
            dispatch.parcel 1: CancelRequested + ConfirmStop -> Unreserving
            wants CancelBooking 1 #1 carrier=red tracking=T1
            wants Unreserve 1 #1 asked=1 units=1xfrom-shop
        ",
        ),
        case(
            "booked and ready, and called off",
            || {
                let mut s = dispatch::reach_under(automatic(), "ReadyToHandOver");
                s.done("Quote", Quoted { offers: offers() });
                s.done("Book", dispatch::booked());
                s
            },
            |s| s.asks(lifecycle::cancel()),
            "
            order.life 1: Placed + Cancel -> Cancelling
            dispatch.parcel 1: ReadyToHandOver + Stop -> Unreserving
            wants CancelBooking 1 #1 carrier=red tracking=T1
            wants Unreserve 1 #1 asked=1 units=1xfrom-shop
        ",
        ),
        case(
            "booked while the warehouse was to stop it",
            || {
                let mut s = taken();
                s.asks(lifecycle::cancel());
                s
            },
            |s| s.done("Book", dispatch::booked()),
            "
            dispatch.parcel 1: CancelRequested + Booked -> CancelRequested
        ",
        ),
        case(
            "booked while its stock goes back",
            || {
                let mut s = taken();
                s.asks(lifecycle::cancel());
                s.asks(dispatch::confirm_stop(1));
                s
            },
            |s| s.done("Book", dispatch::booked()),
            "
            dispatch.parcel 1: Unreserving + Booked -> Unreserving
            wants CancelBooking 1 #1 carrier=red tracking=T1
        ",
        ),
        case(
            "booked after it was called off",
            || {
                let mut s = taken();
                s.asks(lifecycle::cancel());
                s.asks(dispatch::confirm_stop(1));
                s.done("Unreserve", Unreserved);
                s
            },
            |s| s.done("Book", Booked { tracking: "T1".into() }),
            "
            dispatch.parcel 1: Cancelled + Booked -> Cancelled
            wants CancelBooking 1 #1 carrier=red tracking=T1
        ",
        ),
        case(
            "the label stays booked while its stock goes back",
            || {
                let mut s = stopping();
                s.asks(dispatch::confirm_stop(1));
                s
            },
            |s| s.declined("CancelBooking", CancelRefused { why: "scanned".into() }),
            "
            dispatch.parcel 1: Unreserving + CancelRefused -> Unreserving
            holds label_not_cancelled
        ",
        ),
        case(
            "the label stays booked after it was called off",
            || {
                let mut s = stopping();
                s.asks(dispatch::confirm_stop(1));
                s.done("Unreserve", Unreserved);
                s
            },
            |s| s.declined("CancelBooking", CancelRefused { why: "scanned".into() }),
            "
            dispatch.parcel 1: Cancelled + CancelRefused -> Cancelled
            holds label_not_cancelled
        ",
        ),
        case(
            "booked and shelved, and called off",
            || {
                let mut s = shut();
                s.done("Book", dispatch::booked());
                s.release_holds();
                s
            },
            |s| s.asks(lifecycle::cancel()),
            "
            order.life 1: Placed + Cancel -> Cancelling
            review.case 1: Queued + Stop -> Withdrawn
            dispatch.parcel 1: Reserved + Stop -> Unreserving
            wants CancelBooking 1 #1 carrier=red tracking=T1
            wants Unreserve 1 #1 asked=1 units=1xfrom-shop
        ",
        ),
        case(
            "to be brought back",
            out,
            |s| s.asks(intercept()),
            "
            dispatch.parcel 1: HandedOver + Intercept -> HandedOver
            wants BringBack 1 #1 carrier=red tracking=T1
        ",
        ),
        case(
            "the carrier brings it back",
            || {
                let mut s = out();
                s.asks(intercept());
                s
            },
            |s| s.done("BringBack", Intercepted),
            "
            dispatch.parcel 1: HandedOver + Intercepted -> Returning
        ",
        ),
        case(
            "the carrier does not bring it back",
            || {
                let mut s = out();
                s.asks(intercept());
                s
            },
            |s| s.declined("BringBack", InterceptRefused { why: "on the van".into() }),
            "
            dispatch.parcel 1: HandedOver + InterceptRefused -> HandedOver
        ",
        ),
    ]
}

#[test]
fn s7e_a_parcel_that_is_not_brought_back_goes_on_and_its_order_with_it() {
    let mut s = Shop::place(Physical::default(), order_of(9900));
    dispatch::pay_and_pass(&mut s);
    s.done("Reserve", consign::stage::dispatch::InStock);
    s.asks(dispatch::pack());
    s.asks(dispatch::hand_over(1));
    let (phase, balances) = (s.phase(), s.balances());
    s.asks(intercept());
    s.declined("BringBack", InterceptRefused { why: "on the last van".into() });
    assert_eq!((s.phase(), s.balances()), (phase, balances), "unchanged");
    assert_eq!(s.balances(), "psp:card 9900, cust -9900");
    assert!(s.holds().is_empty());
    s.hears(dispatch::delivered(1));
    assert_eq!((s.life(), s.balances().as_str()), ("Completed", "psp:card 9900, earned -9900"));
}

#[test]
fn s7e_a_parcel_that_is_brought_back_can_be_called_off_and_is_paid_back() {
    let mut s = out();
    s.asks(intercept());
    s.done("BringBack", Intercepted);
    assert_eq!(s.state("dispatch.parcel", 1), "Returning");
    s.hears(dispatch::came_back(1));
    assert_eq!(s.holds(), ["returned"]);
    s.release_holds();
    s.asks(lifecycle::cancel());
    s.done("SendBack", super::refund::repaid(5000));
    assert_eq!((s.life(), s.balances().as_str()), ("Cancelled", ""));
}

#[test]
fn without_a_policy_of_carriers_nobody_is_asked_for_offers_and_labels_are_left_alone() {
    let mut s = dispatch::reach("Released");
    s.asks(dispatch::pack());
    assert!(s.last.told.contains("wants Book 1 #0 units=1xfrom-shop\n"), "{}", s.last.told);
    s.done("Book", dispatch::booked());
    s.asks(lifecycle::cancel());
    s.asks(dispatch::confirm_stop(1));
    assert!(!s.wants().iter().any(|w| w.starts_with("CancelBooking")), "{:?}", s.wants());
}
