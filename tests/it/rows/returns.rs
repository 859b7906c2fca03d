//! Whole returns and claims: what they come to, and what they refuse.

use consign::machine::Call;
use consign::order::{Charge, ChargeKind, Draft, DraftTender, Line, Order};
use consign::pipeline::{Physical, Refused};
use consign::stage::aftersales::{Payer, Reason, ReasonRule, Resolution, Units, Verdict, rma};
use consign::stage::dispatch::{Consumed, InStock, Packing};
use proptest::prelude::*;

use super::aftersales::{
    approve, ask_claim, ask_return, conclude, delivered, delivered_under, exchange, inspect, reach, receive,
    units,
};
use super::{dispatch, lifecycle, payment, refund};
use crate::support::shop::{Shop, carla};

const DAY: u64 = 24 * 60 * 60_000;

fn refused(s: &mut Shop, call: Call) -> &'static str {
    match s.tries_as(&carla(), call) {
        Err(Refused::Refused { code, .. }) => code,
        other => panic!("{other:?}\n{}", s.show()),
    }
}

/// Comes back, is found as new, and is paid back.
fn comes_back(s: &mut Shop, key: u32, items: &[Units]) {
    s.asks_as(&carla(), ask_return(key, items.to_vec(), Reason::Wrong, Resolution::Refund));
    if s.state("aftersales.rma", key) == "Requested" {
        s.asks(approve(key));
    }
    s.asks(receive(key, items.to_vec()));
    let found: Vec<_> = items.iter().map(|u| (u.line, u.quantity, Verdict::Restock)).collect();
    s.asks(inspect(key, &found));
    let due = s.order.books.refund_due(None);
    if due > 0 {
        s.done("SendBack", refund::repaid(due));
    }
}

#[test]
fn no_unit_is_given_back_twice_whatever_it_is_called() {
    let mut s = delivered();
    comes_back(&mut s, 1, &units(0, 2));
    let again = |n| ask_return(2, units(0, n), Reason::Wrong, Resolution::Refund);
    assert_eq!(refused(&mut s, again(2)), "not_there");
    assert_eq!(refused(&mut s, ask_claim(2, units(0, 2), Reason::Damaged, Resolution::Refund)), "not_there");
    s.asks_as(&carla(), again(1));
    assert_eq!(
        refused(&mut s, ask_claim(3, units(0, 1), Reason::Damaged, Resolution::Discount { amount_minor: 1 })),
        "not_there",
        "it is asked for, and not decided yet"
    );
    s.asks(super::aftersales::decline_of(2));
    comes_back(&mut s, 3, &units(0, 1));
    assert_eq!(s.balances(), "psp:card 2273, earned -2273", "{}", s.show());
}

#[test]
fn what_is_no_return_is_refused_and_says_why() {
    let mut s = delivered();
    let ask = |items, reason, resolution| ask_return(1, items, reason, resolution);
    let two = vec![Units { line: 0, quantity: 1 }, Units { line: 0, quantity: 1 }];
    let exchange = |n| Resolution::Exchange {
        units: vec![consign::stage::dispatch::Unit { sku: "mug".to_owned(), quantity: n }],
        price_minor: 0,
    };
    let cases = [
        (ask(units(0, 4), Reason::Wrong, Resolution::Refund), "not_there"),
        (ask(units(7, 1), Reason::Wrong, Resolution::Refund), "resolution"),
        (ask(units(0, 0), Reason::Wrong, Resolution::Refund), "nothing"),
        (ask(Vec::new(), Reason::Wrong, Resolution::Refund), "nothing"),
        (ask(two, Reason::Wrong, Resolution::Refund), "line_twice"),
        (ask(units(0, 1), Reason::Late, Resolution::Refund), "reason"),
        (ask(units(0, 1), Reason::Damaged, Resolution::Refund), "photos"),
        (ask(units(0, 1), Reason::Wrong, Resolution::Redo), "resolution"),
        (ask(units(0, 1), Reason::Wrong, exchange(0)), "resolution"),
        (ask_claim(1, units(0, 1), Reason::Damaged, exchange(1)), "resolution"),
        (ask_claim(1, units(0, 1), Reason::Damaged, Resolution::Discount { amount_minor: 0 }), "resolution"),
        (ask_claim(1, units(0, 1), Reason::ChangedMind, Resolution::Refund), "reason"),
    ];
    for (n, (call, code)) in cases.into_iter().enumerate() {
        assert_eq!(refused(&mut s, call), code, "case {n}");
    }
    let mut early = Shop::place(Physical::default(), super::aftersales::tea_set());
    dispatch::pay_and_pass(&mut early);
    let none = ask_return(1, units(0, 1), Reason::Wrong, Resolution::Refund);
    assert_eq!(refused(&mut early, none), "not_there", "the customer does not have it yet");
}

#[test]
fn a_window_is_counted_from_the_delivery_and_each_reason_has_its_own() {
    let mut s = delivered();
    s.pass(15 * DAY);
    let ask = |reason| ask_return(1, units(0, 1), reason, Resolution::Refund);
    assert_eq!(refused(&mut s, ask(Reason::ChangedMind)), "window_over");
    let mut in_time = delivered();
    in_time.pass(13 * DAY);
    in_time.asks_as(&carla(), ask(Reason::ChangedMind));
    s.asks_as(&carla(), ask(Reason::Wrong));
    let mut closed = delivered();
    closed.due("order.life", 1, "WindowDue");
    assert_eq!(refused(&mut closed, ask(Reason::Wrong)), "not_open");
}

/// I18: a return needs no refund and a refund no return; an order that was paid back in full can still be closed.
#[test]
fn i18_returns_and_refunds_go_without_each_other() {
    // Paid back by hand, nothing comes back.
    let mut s = delivered();
    s.asks(refund::request(1, 5_000));
    s.done("SendBack", refund::repaid(5_000));
    s.due("order.life", 1, "WindowDue");
    assert_eq!((s.life(), s.balances().as_str()), ("Closed", ""));
    // Paid back by hand, and then it comes back: no cent goes twice.
    let mut s = delivered();
    s.asks(refund::request(1, 5_000));
    s.done("SendBack", refund::repaid(5_000));
    comes_back(&mut s, 1, &units(0, 3));
    assert_eq!((s.state("aftersales.rma", 1), s.balances().as_str()), ("Settled", ""));
    // It comes back, and nothing is paid back.
    let mut s = reach("Inspected");
    s.asks(conclude(1, Vec::new()));
    assert_eq!(
        (s.state("aftersales.rma", 1), s.balances().as_str()),
        ("Rejected", "psp:card 5000, earned -5000")
    );
    s.due("order.life", 1, "WindowDue");
    assert_eq!(s.life(), "Closed");
    // All of it came back unit by unit: the order can be closed.
    let mut s = delivered();
    comes_back(&mut s, 1, &units(0, 3));
    comes_back(&mut s, 2, &units(1, 1));
    s.due("order.life", 1, "WindowDue");
    assert_eq!((s.life(), s.balances().as_str()), ("Closed", ""));
    // And an order of which a part came back can be called back as a whole.
    let mut s = delivered();
    comes_back(&mut s, 1, &units(0, 1));
    s.asks(lifecycle::request_return());
    s.hears(dispatch::came_back(1));
    let due = s.order.books.refund_due(None);
    s.done("SendBack", refund::repaid(due));
    assert_eq!((s.life(), s.balances().as_str()), ("Cancelled", ""), "{}", s.show());
    assert_eq!(s.order.books.refunded(None), 5_000);
}

#[test]
fn a_difference_is_never_charged_by_itself_and_the_goods_leave_once_it_is_paid() {
    let mut s = exchange(2_400);
    s.asks(inspect(1, &[(0, 2, Verdict::Restock)]));
    s.done("Reserve", InStock);
    assert_eq!(s.state("dispatch.parcel", 2), "Reserved", "it waits for 5.82");
    assert!(s.order.wanted.iter().all(|w| !w.name.contains("Charge")), "{}", s.show());
    s.asks(payment::start_again(2, 1));
    s.done("Charge", payment::paid_on("card", "r2", 582));
    s.asks(dispatch::pack_parcel(2));
    s.asks(dispatch::hand_over(2));
    s.hears(dispatch::delivered(2));
    assert_eq!(s.balances(), "psp:card 5582, earned -5582");
    assert_eq!(s.state("aftersales.rma", 1), "Settled");
    s.due("order.life", 1, "WindowDue");
    assert_eq!(s.life(), "Closed", "{}", s.show());
}

/// The customer was owed money that another parcel had earned: the share of what came back was counted twice.
#[test]
fn what_was_given_back_unit_by_unit_is_not_taken_from_another_parcel_when_it_comes_back_as_a_whole() {
    let mut s = dispatch::two_parcels_packed();
    for key in [1, 2] {
        s.asks(dispatch::hand_over(key));
        s.hears(dispatch::delivered(key));
    }
    comes_back(&mut s, 1, &units(0, 1));
    assert_eq!(s.balances(), "psp:card 2000, earned -2000");
    s.hears(dispatch::turned_back(1));
    s.hears(dispatch::came_back(1));
    assert_eq!(s.balances(), "psp:card 2000, earned -2000", "{}", s.show());
}

#[test]
fn a_restocking_fee_is_kept_and_the_rest_goes_back() {
    let mut policy = Physical::default();
    policy.aftersales.returns = vec![ReasonRule {
        reason: Reason::Wrong,
        window_ms: 30 * DAY,
        freight: Payer::Customer,
        photos: false,
        restocking_fee_bp: 1_000,
    }];
    let mut s = delivered_under(policy);
    comes_back(&mut s, 1, &units(1, 1));
    assert_eq!(s.balances(), "psp:card 2954, earned -2954", "a tenth of 22.73 is kept");
    assert_eq!(s.state("aftersales.rma", 1), "Settled");
}

/// Lines of an order, and which units come back, in which order.
type Returned = (Vec<(u32, i64)>, i64, Vec<(usize, u32)>);
fn returned() -> impl Strategy<Value = Returned> {
    (
        prop::collection::vec((1u32..5, 1i64..4_000), 1..5),
        -700i64..700,
        prop::collection::vec((0usize..5, 1u32..4), 0..8),
    )
}

/// I7: what goes back for a line is its net paid share, once all of it came back; before that, that of the units that
/// did. No cent more or less, however they are parted.
fn i7(lines: &[(u32, i64)], charge: i64, returns: &[(usize, u32)]) -> Result<(), TestCaseError> {
    let mut draft = Draft::new("o-1", "EUR", carla());
    let goods: i64 = lines.iter().map(|(n, price)| i64::from(*n) * price).sum();
    draft.lines = lines.iter().enumerate().map(|(n, l)| Line::goods(format!("sku-{n}"), l.0, l.1)).collect();
    let charge = charge.max(1 - goods);
    if charge != 0 {
        draft.charges.push(Charge::new(ChargeKind::Adjustment, charge));
    }
    draft.total_minor = goods + charge;
    draft.tenders.push(DraftTender::new("card", draft.total_minor));
    let mut policy = Physical::default();
    policy.dispatch.packing = Packing::Automatic;
    policy.dispatch.book = false;
    policy.aftersales.approve_up_to_minor = Some(i64::MAX);
    policy.review.tiers = consign::stage::review::TierPolicy::by_amount(&[]);
    let mut s = Shop::place(policy, Order::parse(draft).unwrap());
    dispatch::pay_and_pass(&mut s);
    s.done("Reserve", InStock);
    s.asks(dispatch::hand_over(1));
    s.done("Consume", Consumed);
    s.hears(dispatch::delivered(1));
    let mut back = vec![0u32; lines.len()];
    let mut given = vec![0i64; lines.len()];
    for (key, (line, n)) in (1..).zip(returns) {
        let (Some(had), Some(gone)) = (lines.get(*line).map(|l| l.0), back.get_mut(*line)) else { continue };
        let n = (*n).min(had - *gone);
        if n == 0 {
            continue;
        }
        let before = s.order.books.refunded(None);
        comes_back(&mut s, key, &units(u32::try_from(*line).unwrap(), n));
        *gone += n;
        given[*line] += s.order.books.refunded(None) - before;
        prop_assert_eq!(s.state("aftersales.rma", key), "Settled");
        prop_assert_eq!(given[*line], s.order.order.unit_share(*line, 0..*gone), "line {}", line);
    }
    let shares = s.order.order.line_shares();
    for (at, (had, _)) in lines.iter().enumerate() {
        if back[at] == *had {
            prop_assert_eq!(given[at], shares[at], "all of line {}", at);
        }
    }
    prop_assert!(s.order.books.is_clear());
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: if std::env::var("CONSIGN_FULL").is_ok_and(|v| v == "1") { 3_000 } else { 60 },
        failure_persistence: None,
        ..ProptestConfig::default()
    })]
    #[test]
    fn i7_what_goes_back_for_a_line_is_what_was_paid_for_it((lines, charge, returns) in returned()) {
        i7(&lines, charge, &returns)?;
    }
}

#[test]
fn i7_three_lines_one_coupon_and_prime_amounts() {
    i7(&[(3, 1_109), (2, 701), (1, 97)], -499, &[(0, 1), (1, 2), (0, 2), (2, 1)]).unwrap();
}

/// The rules of a return are those of the day the order was placed: see also the engine's test of policies.
#[test]
fn what_a_return_is_about_is_told_from_its_state() {
    let s = reach("Settled");
    let state = s.pipeline.state::<rma::M>(&s.order, 1).unwrap();
    let about = consign::stage::aftersales::about(state);
    assert_eq!((about.value_minor, about.accepted.clone()), (1_818, Some(units(0, 2))));
    assert!(!s.order.in_aftersales());
    assert!(reach("Received").order.in_aftersales());
}
