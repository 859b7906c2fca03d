//! Another document in the place of the order's own.

use consign::id::Actor;
use consign::machine::Call;
use consign::order::Draft;
use consign::pipeline::lifecycle::{Amend, lifecycle};
use consign::pipeline::{Physical, Refused};

use super::{Case, case, dispatch, lifecycle as life, payment, review};
use crate::support::shop::{Shop, agent, order_in, order_of};

/// The same order with other lines and tenders.
pub(crate) fn amend_to(parcels: &[(&str, i64)], tenders: &[(&str, i64)]) -> Call {
    amend(Draft::from(order_in(parcels, tenders)))
}

fn amend(draft: Draft) -> Call {
    lifecycle::M::command(1, Amend { draft })
}

pub(super) fn cases() -> Vec<Case> {
    vec![
        case(
            "an order is amended before it is paid",
            || life::reach("Placed"),
            |s| s.asks(amend_to(&[("shop", 4000)], &[("card", 4000)])),
            "
            order.life 1: Placed + Amend -> Placed
        ",
        ),
        case(
            "a paid order is amended to less, and the rest goes back",
            || payment::reach("Captured"),
            |s| s.asks(amend_to(&[("shop", 4000)], &[("card", 4000)])),
            "
            order.life 1: Placed + Amend -> Placed
            review.case 1: Scoring + Amended -> Scoring
            refund 1: New + Begin -> Sending
            posts P9 card cust 1000
            wants Score 1 #1 total=40.00 EUR
            wants SendBack 1 #0 amount=10.00 EUR attempt=1 channel=card reference=r1
        ",
        ),
        case(
            "the tender of an authorisation is gone when a parcel asks for the money",
            || {
                let mut s = dispatch::reach_under(payment::later(), "Released");
                s.asks(amend_to(&[("shop", 5000)], &[]));
                s.done("Score", review::scored(3));
                s
            },
            |s| s.asks(dispatch::pack()),
            "
            dispatch.parcel 1: Released + Pack -> ReadyToHandOver
            payment.attempt 1: Authorized + CaptureAsked -> Voiding
            dispatch.parcel 1: ReadyToHandOver + GatesShut -> Reserved
            wants Book 1 #0 units=1xfrom-shop
            wants Void 1 #0 channel=card reference=r1
        ",
        ),
    ]
}

/// Why Anna of the shop is refused.
fn refused(s: &mut Shop, call: Call) -> String {
    match s.tries_as(&agent("anna"), call) {
        Err(Refused::Refused { code, .. }) => code.to_owned(),
        other => panic!("{other:?}\n{}", s.show()),
    }
}

#[test]
fn what_is_no_amendment_is_refused_and_says_why() {
    let mut s = life::reach("Placed");
    let is = || Draft::from(order_of(5000));
    assert_eq!(refused(&mut s, amend(is())), "nothing_new");
    assert_eq!(refused(&mut s, amend(Draft { total_minor: 1, ..is() })), "malformed");
    let other = Actor::customer("carl").unwrap();
    for draft in [
        Draft { id: "o-2".into(), ..is() },
        Draft { currency: "USD".into(), ..is() },
        Draft { placed_by: other, ..is() },
    ] {
        assert_eq!(refused(&mut s, amend(draft)), "another_order");
    }
}

#[test]
fn an_order_is_not_amended_while_a_payment_is_under_way_or_goods_are_packed() {
    let less = || amend_to(&[("shop", 4000)], &[("card", 4000)]);
    for state in ["Sending", "Unknown", "Pending", "RequiresAction", "Closing", "Capturing", "Mismatch"] {
        let mut s = payment::reach(state);
        s.release_holds();
        assert_eq!(refused(&mut s, less()), "paying", "{state}");
    }
    for state in ["ReadyToHandOver", "CancelRequested", "HandedOver"] {
        let mut s = dispatch::reach(state);
        s.release_holds();
        let why = s.tries_as(&agent("anna"), less()).unwrap_err();
        let expected = if state == "CancelRequested" { "takes no Amend" } else { "executing" };
        assert!(why.to_string().contains(expected), "{state}: {why}");
    }
}

#[test]
fn an_amended_order_is_still_the_one_that_was_placed_and_keeps_its_policies() {
    let mut s = Shop::place(Physical::default(), order_of(5000));
    assert!(s.order.was_placed_as(&order_of(5000)));
    s.asks(amend_to(&[("shop", 4000)], &[("card", 4000)]));
    s.asks(amend_to(&[("shop", 3000)], &[("card", 3000)]));
    assert!(s.order.was_placed_as(&order_of(5000)), "the first placing told twice is the same order");
    assert!(!s.order.was_placed_as(&order_of(3000)), "another order under its id is not");
    assert_eq!(s.order.order.total().minor(), 3000);
}

#[test]
fn what_an_amended_order_lacks_is_paid_by_a_new_attempt_and_no_more_than_that() {
    let mut s = payment::reach("Captured");
    s.asks(amend_to(&[("shop", 7000)], &[("card", 7000)]));
    assert_eq!(s.phase().name(), "awaiting_payment");
    s.asks(payment::start_again(2, 1));
    let wanted = s.order.wanted.iter().find(|w| w.name.ends_with("/Charge")).unwrap();
    assert!(wanted.saved.contains("2000"), "{}", wanted.saved);
    s.done("Charge", payment::paid_on("card", "r2", 2000));
    assert_eq!(s.order.books.kept(), 7000);
    assert_eq!(*s.order.order, order_of(7000));
}
