//! Every movement of money back has a cause that moves what is due in the same commit: what is due, what is kept and
//! what may leave agree, whatever came before.

use consign::machine::Call;
use consign::order::{CarriageBack, Charge, ChargeKind, Draft, DraftTender, EXCHANGED, Order};
use consign::pipeline::lifecycle::{Refund, lifecycle};
use consign::pipeline::{Phase, Physical, Refused};
use consign::stage::aftersales::{Reason, Resolution, Verdict};
use consign::stage::dispatch::{CallOff, InStock, OnShortPick, Unit, Unreserved, parcel};
use consign::stage::refund::{CancelRefund, refund as back};

use super::aftersales::{approve, ask_return, inspect, receive, units};
use super::{Case, activation, case, dispatch, each, payment, refund};
use crate::support::shop::{Shop, agent, carla, order_in, order_of};

/// Gives an amount back, for no line.
pub(crate) fn give(amount_minor: i64) -> Call {
    let reason = "goodwill".to_owned();
    lifecycle::M::command(1, Refund { units: Vec::new(), amount_minor: Some(amount_minor), reason })
}
/// Gives back what units of lines are worth.
pub(crate) fn give_for(units: &[(u32, u32)]) -> Call {
    let reason = "as agreed".to_owned();
    lifecycle::M::command(1, Refund { units: units.to_vec(), amount_minor: None, reason })
}
pub(crate) fn call_off(key: u32) -> Call {
    parcel::M::command(key, CallOff)
}

/// A parcel of an order of 50.00 that was paid, in this state.
fn paid_parcel(state: &str) -> Shop {
    match state {
        "Planned" => {
            let mut s = super::parcels::released(OnShortPick::Split);
            s.asks(super::parcels::pick_short("tea", 1));
            s
        }
        "Allocating" => {
            let mut policy = Physical::default();
            policy.dispatch.warehouses = Some(super::warehouses::north_and_south());
            let mut s = Shop::place(policy, order_of(5_000));
            dispatch::pay_and_pass(&mut s);
            s
        }
        "Reserved" => {
            let mut s = dispatch::reach("Released");
            s.hears(super::review::notice());
            s
        }
        "Unreserving" => {
            let mut s = dispatch::reach("Released");
            s.asks(super::amend::amend_to(&[("shop", 2_500), ("shop", 1_500)], &[("card", 4_000)]));
            s.done("SendBack", refund::repaid(1_000));
            s.release_holds();
            s
        }
        "CancelRequested" => {
            let mut s = dispatch::reach("ReadyToHandOver");
            s.asks(call_off(1));
            s
        }
        _ => dispatch::reach(state),
    }
}
const WAITING: &[&str] =
    &["Reserving", "Backordered", "Reserved", "OnHold", "Released", "ReadyToHandOver", "CancelRequested"];
const OUT: &[&str] = &["HandedOver", "Lost", "Returning", "ReturnedToSender"];

/// A service that has spent 15.00 of 50.00, in this state of its order.
fn spent(life: &str) -> Shop {
    let mut s = activation::reach(if life == "Placed" { "Delivering" } else { "Completed" });
    if life == "Closed" {
        s.due("order.life", 1, "WindowDue");
    }
    if life == "Cancelling" {
        s = activation::reach("Delivering");
        s.hears(super::review::notice());
        s.asks(super::review::claim());
        s.release_holds();
        s.asks(super::review::reject(1));
    }
    s.release_holds();
    assert_eq!(s.life(), life, "{}", s.show());
    s
}
/// Paid, delivered and past the time for returns.
fn closed(policy: Physical) -> Shop {
    let mut s = super::aftersales::delivered_under(policy);
    s.due("order.life", 1, "WindowDue");
    assert_eq!(s.life(), "Closed");
    s
}

pub(super) fn cases() -> Vec<Case> {
    let mut all = vec![
        case(
            "an amount goes back before the order leaves",
            || payment::reach("Captured"),
            |s| s.asks(give(1_000)),
            "
            order.life 1: Placed + Refund -> Placed
            refund 1: New + Begin -> Sending
            posts P9 card cust 1000
            wants SendBack 1 #0 amount=10.00 EUR attempt=1 channel=card reference=r1
        ",
        ),
        case(
            "units go back that the customer keeps",
            super::aftersales::delivered,
            |s| s.asks(give_for(&[(0, 1)])),
            "
            order.life 1: Completed + Refund -> Completed
            dispatch.parcel 1: Delivered + Repriced -> Delivered
            refund 1: New + Begin -> Sending
            posts P8 909
            posts P9 card cust 909
            wants SendBack 1 #0 amount=9.09 EUR attempt=1 channel=card reference=r1
        ",
        ),
        case(
            "money of a closed order goes back",
            || closed(Physical::default()),
            |s| s.asks(refund::request(1, 1_000)),
            "
            refund 1: New + Request -> Sending
            order.life 1: Closed + Waived -> Closed
            dispatch.parcel 1: Delivered + Repriced -> Delivered
            posts P9 card cust 1000
            posts P8 1000
            wants SendBack 1 #0 amount=10.00 EUR attempt=1 channel=card reference=r1
        ",
        ),
        case(
            "money of a closed order does not go back after all",
            || {
                let mut s = closed(refund::approved_by_two());
                s.asks(refund::request(1, 1_000));
                s
            },
            |s| s.asks(back::M::command(1, CancelRefund)),
            "
            refund 1: ApprovalPending + CancelRefund -> Cancelled
            order.life 1: Closed + Unwaived -> Closed
            dispatch.parcel 1: Delivered + Repriced -> Delivered
            posts P11 card cust 1000
            posts P7 1000
        ",
        ),
        case(
            "a part of a split parcel is called off",
            || paid_parcel("Planned"),
            |s| s.asks(call_off(2)),
            "
            dispatch.parcel 2: Planned + CallOff -> Cancelled
            order.life 1: Placed + Waived -> Placed
            refund 1: New + Begin -> Sending
            posts P9 card cust 1000
            wants SendBack 1 #0 amount=10.00 EUR attempt=1 channel=card reference=r1
        ",
        ),
        case(
            "a parcel is called off before a warehouse is chosen",
            || paid_parcel("Allocating"),
            |s| s.asks(call_off(1)),
            "
            dispatch.parcel 1: Allocating + CallOff -> Cancelled
            order.life 1: Placed + Waived -> Placed
            refund 1: New + Begin -> Sending
            order.life 1: Placed + Failed -> Cancelling
            payment.attempt 1: Captured + GiveBack -> Captured
            posts P9 card cust 5000
            wants SendBack 1 #0 amount=50.00 EUR attempt=1 channel=card reference=r1
        ",
        ),
        case(
            "a parcel that is set aside is called off",
            || paid_parcel("Reserving"),
            |s| s.asks(call_off(1)),
            "
            dispatch.parcel 1: Reserving + CallOff -> Unreserving
            order.life 1: Placed + Waived -> Placed
            refund 1: New + Begin -> Sending
            posts P9 card cust 5000
            wants Unreserve 1 #1 asked=1 units=1xfrom-shop
            wants SendBack 1 #0 amount=50.00 EUR attempt=1 channel=card reference=r1
        ",
        ),
        case(
            "a parcel that nobody has is called off",
            || paid_parcel("Backordered"),
            |s| s.asks(call_off(1)),
            "
            dispatch.parcel 1: Backordered + CallOff -> Cancelled
            order.life 1: Placed + Waived -> Placed
            refund 1: New + Begin -> Sending
            order.life 1: Placed + Failed -> Cancelling
            payment.attempt 1: Captured + GiveBack -> Captured
            posts P9 card cust 5000
            wants SendBack 1 #0 amount=50.00 EUR attempt=1 channel=card reference=r1
        ",
        ),
        case(
            "the price of a planned parcel is lowered",
            || paid_parcel("Planned"),
            |s| s.asks(refund::request(1, 1_000)),
            "
            refund 1: New + Request -> Sending
            order.life 1: Placed + Waived -> Placed
            dispatch.parcel 1: Released + Repriced -> Released
            dispatch.parcel 2: Planned + Repriced -> Planned
            posts P9 card cust 1000
            wants SendBack 1 #0 amount=10.00 EUR attempt=1 channel=card reference=r1
        ",
        ),
        case(
            "the price of a parcel is lowered while a warehouse is chosen",
            || paid_parcel("Allocating"),
            |s| s.asks(refund::request(1, 1_000)),
            "
            refund 1: New + Request -> Sending
            order.life 1: Placed + Waived -> Placed
            dispatch.parcel 1: Allocating + Repriced -> Allocating
            posts P9 card cust 1000
            wants SendBack 1 #0 amount=10.00 EUR attempt=1 channel=card reference=r1
        ",
        ),
        case(
            "the price of a parcel is lowered while its stock goes back",
            || paid_parcel("Unreserving"),
            |s| s.asks(refund::request(2, 1_000)),
            "
            refund 2: New + Request -> Sending
            order.life 1: Placed + Waived -> Placed
            dispatch.parcel 1: Unreserving + Repriced -> Unreserving
            posts P9 card cust 1000
            wants SendBack 2 #0 amount=10.00 EUR attempt=1 channel=card reference=r1
        ",
        ),
    ];
    for (life, minor, over) in [
        ("Placed", 4_000, 500),
        ("Cancelling", 4_000, 500),
        ("Completed", 1_000, 1_000),
        ("Closed", 1_000, 1_000),
    ] {
        let told = format!(
            "
            refund 1: New + Request -> Sending
            order.life 1: {life} + Waived -> {life}
            order.life 1: {life} + Trimmed -> {life}
            posts P9 card cust {minor}
            posts P8 {over}
            wants SendBack 1 #0 amount={}.00 EUR attempt=1 channel=card reference=r1
            ",
            minor / 100
        );
        let name = format!("more was earned by a service than is due ({life})");
        all.push(case(name, move || spent(life), move |s| s.asks(refund::request(1, minor)), &told));
    }
    all.extend(each(
        "a parcel on the shelf is called off",
        paid_parcel,
        &["Reserved", "OnHold", "Released"],
        |s| s.asks(call_off(1)),
        "
            dispatch.parcel 1: {from} + CallOff -> Unreserving
            order.life 1: Placed + Waived -> Placed
            refund 1: New + Begin -> Sending
            posts P9 card cust 5000
            wants Unreserve 1 #1 asked=1 units=1xfrom-shop
            wants SendBack 1 #0 amount=50.00 EUR attempt=1 channel=card reference=r1
        ",
    ));
    all.extend(each(
        "a packed parcel is called off",
        paid_parcel,
        &["ReadyToHandOver"],
        |s| s.asks(call_off(1)),
        "
            dispatch.parcel 1: {from} + CallOff -> CancelRequested
        ",
    ));
    all.extend(each(
        "what is gone is not sent again",
        paid_parcel,
        &["Lost", "ReturnedToSender"],
        |s| s.asks(call_off(1)),
        "
            dispatch.parcel 1: {from} + CallOff -> {from}
            order.life 1: Placed + Waived -> Placed
            refund 1: New + Begin -> Sending
            posts P9 card cust 5000
            wants SendBack 1 #0 amount=50.00 EUR attempt=1 channel=card reference=r1
        ",
    ));
    all.extend(each(
        "the price of a parcel is lowered",
        paid_parcel,
        WAITING,
        |s| s.asks(refund::request(1, 1_000)),
        "
            refund 1: New + Request -> Sending
            order.life 1: Placed + Waived -> Placed
            dispatch.parcel 1: {from} + Repriced -> {from}
            posts P9 card cust 1000
            wants SendBack 1 #0 amount=10.00 EUR attempt=1 channel=card reference=r1
        ",
    ));
    all.extend(each(
        "the price of a parcel that left is lowered",
        paid_parcel,
        OUT,
        |s| s.asks(refund::request(1, 1_000)),
        "
            refund 1: New + Request -> Sending
            order.life 1: Placed + Waived -> Placed
            dispatch.parcel 1: {from} + Repriced -> {from}
            posts P9 card cust 1000
            wants SendBack 1 #0 amount=10.00 EUR attempt=1 channel=card reference=r1
        ",
    ));
    all
}

const MINUTE: u64 = 60_000;

fn mug(quantity: u32, price_minor: i64) -> Resolution {
    Resolution::Exchange { units: vec![Unit { sku: "mug".to_owned(), quantity }], price_minor }
}

/// A paid order of 20.00 gets 1.00 back before it leaves: it stays paid, and leaves.
#[test]
fn a14_a_refund_lowers_what_is_due() {
    let mut s = Shop::place(Physical::default(), order_of(2_000));
    dispatch::pay_and_pass(&mut s);
    s.asks(refund::request(1, 100));
    s.done("SendBack", refund::repaid(100));
    assert_eq!(s.order.due_minor(), 1_900);
    assert_eq!(s.phase(), Phase::Dispatching, "{}", s.show());
    s.done("Reserve", InStock);
    s.asks(dispatch::pack());
    s.done("Book", dispatch::booked());
    s.asks(dispatch::hand_over(1));
    s.hears(dispatch::delivered(1));
    assert_eq!((s.life(), s.balances().as_str()), ("Completed", "psp:card 1900, earned -1900"));
}

/// One parcel of two is with the customer, the other one is packed, and 7.00 go back for the delay.
#[test]
fn a14_a_packed_parcel_stays_packed_when_money_goes_back_for_the_delay() {
    let mut s = dispatch::two_parcels_packed();
    s.asks(dispatch::hand_over(1));
    s.hears(dispatch::delivered(1));
    s.asks(refund::request(1, 700));
    s.done("SendBack", refund::repaid(700));
    assert_eq!(s.state("dispatch.parcel", 2), "ReadyToHandOver", "{}", s.show());
    s.pass(31 * MINUTE);
    s.asks(dispatch::hand_over(2));
    s.hears(dispatch::delivered(2));
    assert_eq!((s.life(), s.balances().as_str()), ("Completed", "psp:card 4300, earned -4300"));
    s.due("order.life", 1, "WindowDue");
    assert_eq!(s.life(), "Closed");
}

/// After a refund, goods of any price can be had in exchange, and leave once they are paid.
#[test]
fn a14_an_exchange_after_a_refund_is_paid_and_leaves() {
    for (price, missing) in [(6_000, 4_436), (1_564, 0), (500, -1_064)] {
        let mut s = super::aftersales::delivered();
        s.asks(refund::request(1, 700));
        s.done("SendBack", refund::repaid(700));
        s.asks_as(&carla(), ask_return(1, units(0, 2), Reason::Wrong, mug(2, price)));
        s.asks(approve(1));
        s.asks(receive(1, units(0, 2)));
        s.asks(inspect(1, &[(0, 2, Verdict::Restock)]));
        s.done("Reserve", InStock);
        if missing > 0 {
            assert_eq!(s.state("dispatch.parcel", 2), "Reserved", "it waits for its money");
            s.asks(payment::start_again(2, 1));
            assert!(
                s.last.told.contains(&format!("amount={}.{}", missing / 100, missing % 100)),
                "{}",
                s.show()
            );
            s.done("Charge", payment::paid_on("card", "r2", missing));
        }
        if missing < 0 {
            s.done("SendBack", refund::repaid(-missing));
        }
        s.asks(dispatch::pack_parcel(2));
        s.asks(dispatch::hand_over(2));
        s.hears(dispatch::delivered(2));
        let kept = 4_300 + missing;
        assert_eq!(s.balances(), format!("psp:card {kept}, earned -{kept}"), "at {price}");
        s.due("order.life", 1, "WindowDue");
        assert_eq!(s.life(), "Closed", "at {price}\n{}", s.show());
    }
}

/// Two lines of 100.00; 100.00 go back by hand, and then a line comes back: no more than its price goes back for it,
/// and nobody keeps the other one for nothing.
#[test]
fn a07_what_went_back_by_hand_counts_against_what_returns_may_give() {
    let order = order_in(&[("shop", 10_000), ("shop", 10_000)], &[("card", 20_000)]);
    let mut policy = Physical::default();
    policy.review.tiers = consign::stage::review::TierPolicy::by_amount(&[]);
    let mut s = Shop::place(policy, order);
    dispatch::pay_and_pass(&mut s);
    s.done("Reserve", InStock);
    s.asks(dispatch::pack());
    s.asks(dispatch::hand_over(1));
    s.hears(dispatch::delivered(1));
    s.asks(refund::request(1, 10_000));
    s.done("SendBack", refund::repaid(10_000));
    for (key, left) in [(1, 5_000), (2, 0)] {
        s.asks_as(&carla(), ask_return(key, units(key - 1, 1), Reason::Wrong, Resolution::Refund));
        s.asks(approve(key));
        s.asks(receive(key, units(key - 1, 1)));
        s.asks(inspect(key, &[(key - 1, 1, Verdict::Restock)]));
        s.done("SendBack", refund::repaid(5_000));
        assert_eq!(s.order.books.kept(), left, "after line {key}");
    }
}

/// What an exchange costs on top is asked for once, whatever tenders there are.
#[test]
fn a07_two_tenders_do_not_each_collect_one_surcharge() {
    let order = order_in(&[("shop", 5_000)], &[("gift-card", 2_000), ("card", 3_000)]);
    let mut s = Shop::place(Physical::default(), order);
    dispatch::pay_and_pass(&mut s);
    s.done("Reserve", InStock);
    s.asks(dispatch::pack());
    s.asks(dispatch::hand_over(1));
    s.hears(dispatch::delivered(1));
    s.asks_as(&carla(), ask_return(1, units(0, 1), Reason::Wrong, mug(1, 6_000)));
    s.asks(approve(1));
    s.asks(receive(1, units(0, 1)));
    s.asks(inspect(1, &[(0, 1, Verdict::Restock)]));
    s.asks(payment::start_again(3, 1));
    match s.tries_as(&carla(), payment::start_again(4, 2)) {
        Err(Refused::Refused { code: "tender_busy", .. }) => {}
        other => panic!("{other:?}\n{}", s.show()),
    }
    s.done("Charge", payment::paid_on("gift-card", "r3", 1_000));
    assert_eq!(s.order.books.kept(), 6_000);
}

/// Cups of 10.00 and a pot of 25.00 in one parcel, 4.90 of carriage and a coupon of 2.50 for the pot alone, delivered.
fn with_carriage(carriage: CarriageBack) -> Shop {
    let mut draft = Draft::from(order_in(&[("shop", 1_000), ("shop", 2_500)], &[]));
    draft.lines[0].quantity = 2;
    draft.charges.push(Charge::new(ChargeKind::Shipping, 490));
    draft.charges.push(Charge::new(ChargeKind::Discount, -250).for_lines(&[1]));
    draft.total_minor = 4_740;
    draft.tenders.push(DraftTender::new("card", 4_740));
    let mut policy = Physical::default();
    policy.life.carriage = carriage;
    let mut s = Shop::place(policy, Order::parse(draft).unwrap());
    dispatch::pay_and_pass(&mut s);
    s.done("Reserve", InStock);
    s
}
fn arrives(s: &mut Shop) {
    s.asks(dispatch::pack());
    s.asks(dispatch::hand_over(1));
    s.hears(dispatch::delivered(1));
}
/// Comes back as new; the money goes back. How much.
fn comes_back(s: &mut Shop, key: u32, line: u32, quantity: u32) -> i64 {
    s.asks_as(&carla(), ask_return(key, units(line, quantity), Reason::Wrong, Resolution::Refund));
    s.asks(approve(key));
    s.asks(receive(key, units(line, quantity)));
    s.asks(inspect(key, &[(line, quantity, Verdict::Restock)]));
    repay(s)
}
/// Everything that is to go back does. How much.
fn repay(s: &mut Shop) -> i64 {
    let due = s.order.books.refund_due(None);
    if due > 0 {
        s.done("SendBack", refund::repaid(due));
    }
    due
}

#[test]
fn a16_carriage_goes_back_with_the_last_unit_or_in_parts_or_never() {
    for (policy, given) in [
        (CarriageBack::WithLast, [1_000, 2_250, 1_490]),
        (CarriageBack::InParts, [1_115, 2_510, 1_115]),
        (CarriageBack::Never, [1_000, 2_250, 1_000]),
    ] {
        let mut s = with_carriage(policy);
        arrives(&mut s);
        let came = [comes_back(&mut s, 1, 0, 1), comes_back(&mut s, 2, 1, 1), comes_back(&mut s, 3, 0, 1)];
        assert_eq!(came, given, "{policy:?}");
        let left = 4_740 - given.iter().sum::<i64>();
        assert_eq!((s.order.due_minor(), s.order.books.earned()), (left, left), "{policy:?}");
        s.due("order.life", 1, "WindowDue");
        assert_eq!(s.life(), "Closed", "{policy:?}");
    }
}

#[test]
fn a16_carriage_is_kept_when_a_part_is_never_sent_and_given_when_nothing_is() {
    let mut s = with_carriage(CarriageBack::WithLast);
    let mut policy = Physical::default();
    policy.dispatch.short_pick = OnShortPick::CallOff;
    s.asks(super::parcels::pick_short("from-shop", 1));
    assert_eq!(s.order.due_minor(), 4_740, "it travels later");
    s.asks(call_off(2));
    assert_eq!(repay(&mut s), 1_000);
    s.asks(call_off(1));
    assert_eq!(repay(&mut s), 3_740, "with the last of it goes the carriage");
    let _ = policy;
}

/// A claim for the last unit gives the carriage, and an exchange of it does not: that goes on.
#[test]
fn a16_an_exchange_keeps_the_carriage() {
    let mut s = with_carriage(CarriageBack::WithLast);
    arrives(&mut s);
    assert_eq!(comes_back(&mut s, 1, 0, 2), 2_000);
    s.asks_as(&carla(), ask_return(2, units(1, 1), Reason::Wrong, mug(1, 2_250)));
    s.asks(approve(2));
    s.asks(receive(2, units(1, 1)));
    s.asks(inspect(2, &[(1, 1, Verdict::Restock)]));
    assert_eq!(repay(&mut s), 0);
    sent(&mut s, 2);
    assert_eq!(comes_back(&mut s, 3, EXCHANGED, 1), 2_740);
    assert_eq!((s.order.due_minor(), s.balances().as_str()), (0, ""));
}

/// Set aside, packed, handed over and delivered.
fn sent(s: &mut Shop, key: u32) {
    s.done("Reserve", InStock);
    s.asks(dispatch::pack_parcel(key));
    s.asks(dispatch::hand_over(key));
    s.hears(dispatch::delivered(key));
}

#[test]
fn a19_a_refund_of_an_order_is_split_over_its_tenders_and_its_refusal_tells_what_is_left() {
    let order = order_in(&[("shop", 5_000)], &[("gift-card", 2_000), ("card", 3_000)]);
    let mut s = Shop::place(Physical::default(), order);
    dispatch::pay_and_pass(&mut s);
    match s.tries_as(&agent("anna"), give(5_001)) {
        Err(Refused::Refused { code: "exceeds_refundable", detail, .. }) => {
            let told = "5001 asked, 5000 can go back in all: 3000 on card, 2000 on gift-card";
            assert_eq!(detail, told);
        }
        other => panic!("{other:?}"),
    }
    s.asks(give(3_500));
    assert_eq!(s.order.books.refund_due(Some(&"card".parse().unwrap())), 3_000, "the last tender first");
    assert_eq!(s.order.books.refund_due(Some(&"gift-card".parse().unwrap())), 500);
    assert_eq!((s.order.due_minor(), s.order.books.kept()), (1_500, 1_500));
}

/// Each part of a refund waits for a second person, and what nobody lets go is due again.
#[test]
fn a19_what_is_called_off_of_a_refund_is_due_again() {
    let order = order_in(&[("shop", 5_000)], &[("gift-card", 2_000), ("card", 3_000)]);
    let mut s = Shop::place(refund::approved_by_two(), order);
    dispatch::pay_and_pass(&mut s);
    s.asks(give_for(&[(0, 1)]));
    assert_eq!((s.order.due_minor(), s.order.books.kept()), (0, 0));
    for (key, due) in [(1, 2_000), (2, 5_000)] {
        s.asks(back::M::command(key, CancelRefund));
        assert_eq!((s.order.due_minor(), s.order.books.kept()), (due, due), "{}", s.show());
    }
    assert!(s.order.obligation().is_untouched());
}

#[test]
fn a19_an_exchange_can_be_called_off_and_what_was_paid_for_it_goes_back() {
    let mut s = super::aftersales::exchange(1_000);
    s.asks(inspect(1, &[(0, 2, Verdict::Restock)]));
    assert_eq!(repay(&mut s), 818);
    s.asks(call_off(2));
    assert_eq!(repay(&mut s), 1_000);
    s.done("Unreserve", Unreserved);
    assert_eq!((s.state("aftersales.rma", 1), s.state("dispatch.parcel", 2)), ("Settled", "Cancelled"));
    assert_eq!(s.balances(), "psp:card 3182, earned -3182");
    let twice = s.tries_as(&carla(), ask_return(2, units(0, 2), Reason::Wrong, Resolution::Refund));
    assert!(matches!(twice, Err(Refused::Refused { code: "not_there", .. })), "{twice:?}");
}

#[test]
fn a19_what_came_in_exchange_or_once_more_can_be_returned() {
    let mut s = super::aftersales::exchange(1_000);
    s.asks(inspect(1, &[(0, 2, Verdict::Restock)]));
    repay(&mut s);
    let early = s.tries_as(&carla(), ask_return(2, units(EXCHANGED, 1), Reason::Wrong, Resolution::Refund));
    assert!(matches!(early, Err(Refused::Refused { code: "not_there", .. })), "{early:?}");
    sent(&mut s, 2);
    assert_eq!(comes_back(&mut s, 2, EXCHANGED, 1), 500, "one of two mugs of 10.00 in all");
    assert_eq!(comes_back(&mut s, 3, EXCHANGED, 1), 500);
    // The pot is sent once more, and the second one comes back for what was paid for the first.
    s.asks_as(&carla(), super::aftersales::ask_claim(4, units(1, 1), Reason::Damaged, Resolution::Replace));
    s.asks(approve(4));
    sent(&mut s, 3);
    assert_eq!(s.order.due_minor(), s.order.books.earned());
    assert_eq!(comes_back(&mut s, 5, 1, 1), 2_273);
    assert_eq!(comes_back(&mut s, 6, 0, 1), 909);
    assert_eq!((s.order.due_minor(), s.balances().as_str()), (0, ""));
}

#[test]
fn a19_a_discount_leaves_the_right_to_return_at_the_lower_price() {
    let mut s = super::aftersales::delivered();
    let discount = Resolution::Discount { amount_minor: 700 };
    s.asks_as(&carla(), super::aftersales::ask_claim(1, units(1, 1), Reason::Damaged, discount));
    s.asks(approve(1));
    assert_eq!(repay(&mut s), 700);
    assert_eq!(comes_back(&mut s, 2, 1, 1), 1_573);
    assert_eq!(s.balances(), "psp:card 2727, earned -2727");
}

#[test]
fn a19_a_recall_does_not_wait_for_what_is_back_already() {
    let mut s = super::aftersales::delivered();
    comes_back(&mut s, 1, 0, 3);
    comes_back(&mut s, 2, 1, 1);
    s.asks(super::lifecycle::request_return());
    assert_eq!((s.state("dispatch.parcel", 1), s.life()), ("ReturnedToSender", "Cancelled"));
    let mut s = super::aftersales::delivered();
    comes_back(&mut s, 1, 0, 3);
    s.asks(super::lifecycle::request_return());
    assert_eq!(s.state("dispatch.parcel", 1), "Returning", "the pot is still out");
}

/// The money of an order that is called off cannot go back: it is kept, and all the same nothing is sent for it.
#[test]
fn a23_nothing_is_opened_for_an_order_that_leaves() {
    for fails in [
        |s: &mut Shop| s.declined("SendBack", refund::declined()),
        |s: &mut Shop| s.gave_up("SendBack", false),
    ] {
        let mut s = payment::reach("Captured");
        s.asks(super::lifecycle::cancel());
        fails(&mut s);
        s.release_holds();
        s.done("Score", super::review::scored(3));
        assert!(s.order.proofs().contains(&"funded"), "{}", s.show());
        assert_eq!(s.state("dispatch.parcel", 1), "none");
        assert!(s.wants().is_empty(), "{:?}", s.wants());
    }
    let mut s = activation::reach("New");
    s.asks(super::lifecycle::cancel());
    s.declined("SendBack", refund::declined());
    assert_eq!(s.state("activation.service", 1), "none");
}

/// A refund that waits for a second person lowers the price; a parcel is called off, and then the refund is.
#[test]
fn i11_what_a_called_off_refund_had_let_off_units_that_are_gone_goes_back_after_all() {
    let mut policy = Physical::default();
    policy.refund.approval_over_minor = Some(500);
    let mut s = dispatch::two_parcels_packed_under(policy);
    s.asks(refund::request(1, 1_000));
    s.asks(call_off(2));
    s.asks(dispatch::confirm_stop(2));
    s.done("SendBack 2", refund::repaid_as("b2", 1_600));
    assert_eq!(s.order.due_minor(), 2_400, "{}", s.show());
    s.asks(back::M::command(1, CancelRefund));
    assert_eq!(s.order.due_minor(), 3_000, "{}", s.show());
    s.done("SendBack 3", refund::repaid_as("b3", 400));
    s.asks(dispatch::hand_over(1));
    s.hears(dispatch::delivered(1));
    s.done("Unreserve 2", Unreserved);
    assert_eq!(
        (s.life(), s.balances().as_str()),
        ("Completed", "psp:card 3000, earned -3000"),
        "{}",
        s.show()
    );
}
