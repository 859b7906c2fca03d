//! The rows of a parcel.

use consign::machine::Call;
use consign::pipeline::Physical;
use consign::stage::dispatch::{
    Accepted, Booked, BookingRefused, CameBack, ConfirmStop, ConsumeRefused, Consumed, DeliveredTo,
    EarnPolicy, HandOver, Hold, InStock, Mislaid, Moving, OnShortage, Pack, Packing, Receiver,
    ReserveRefused, ReserveWhen, Short, Tracking, TurnedBack, Unhold, Unit, UnreserveRefused, Unreserved,
    parcel,
};

use super::{Case, case, each, lifecycle, payment, review};
use crate::support::shop::{Shop, order_in, order_of};

pub(crate) fn pack() -> Call {
    pack_parcel(1)
}
pub(crate) fn pack_parcel(key: u32) -> Call {
    parcel::M::command(key, Pack)
}
pub(crate) fn hand_over(key: u32) -> Call {
    parcel::M::command(key, HandOver)
}
pub(crate) fn confirm_stop(key: u32) -> Call {
    parcel::M::command(key, ConfirmStop)
}
pub(crate) fn hold(reason: &str) -> Call {
    parcel::M::command(1, Hold { reason: reason.to_owned() })
}
pub(crate) fn unhold(reason: &str) -> Call {
    parcel::M::command(1, Unhold { reason: reason.to_owned() })
}
pub(crate) fn accepted(key: u32) -> Call {
    parcel::M::evidence(key, Accepted)
}
pub(crate) fn delivered(key: u32) -> Call {
    parcel::M::evidence(key, DeliveredTo { by: Receiver::Customer })
}
pub(crate) fn turned_back(key: u32) -> Call {
    parcel::M::evidence(key, TurnedBack)
}
pub(crate) fn came_back(key: u32) -> Call {
    parcel::M::evidence(key, CameBack)
}
pub(crate) fn mislaid(key: u32) -> Call {
    parcel::M::evidence(key, Mislaid)
}
pub(crate) fn scan(scan: &str, status: Tracking) -> Call {
    parcel::M::evidence(1, Moving { status, scan: scan.to_owned() })
}
pub(crate) fn short() -> Short {
    Short { missing: vec![Unit { sku: "from-shop".to_owned(), quantity: 1 }] }
}
pub(crate) fn booked() -> Booked {
    Booked { tracking: "T1".to_owned() }
}

/// Stock is reserved before the customer pays.
pub(crate) fn reserved_first() -> Physical {
    let mut policy = Physical::default();
    policy.dispatch.reserve = ReserveWhen::Placed;
    policy
}
/// A parcel that cannot be filled waits.
fn patient() -> Physical {
    let mut policy = Physical::default();
    policy.dispatch.shortage = OnShortage::Wait;
    policy
}
/// Released is ready.
fn automatic() -> Physical {
    let mut policy = Physical::default();
    policy.dispatch.packing = Packing::Automatic;
    policy
}
fn earns_on_handover() -> Physical {
    let mut policy = Physical::default();
    policy.dispatch.earn = EarnPolicy::OnHandover;
    policy
}

/// Pays, however the policy takes money, and lets review pass.
pub(crate) fn pay_and_pass(s: &mut Shop) {
    let tenders = s.order.order.tenders().to_vec();
    for t in tenders {
        s.asks(payment::start(t.key.0));
        let later = s.last.told.contains("capture=false");
        let reference = format!("r{}", t.key);
        if later {
            let a = payment::authorised(t.amount_minor);
            s.done("Charge", consign::stage::payment::Authorised { channel: t.channel, reference, ..a });
        } else {
            s.done("Charge", payment::paid_on(t.channel.as_str(), &reference, t.amount_minor));
        }
    }
    s.done("Score", review::scored(3));
}

/// An order of 50.00 whose parcel is in this state, with nothing held.
pub(crate) fn reach(state: &str) -> Shop {
    let policy = match state {
        "Planned" | "Reserved" => reserved_first(),
        "Backordered" => patient(),
        _ => Physical::default(),
    };
    reach_under(policy, state)
}

pub(crate) fn reach_under(policy: Physical, state: &str) -> Shop {
    let first = policy.dispatch.reserve == ReserveWhen::Placed;
    let by_hand = policy.dispatch.packing == Packing::ByWarehouse;
    let mut s = Shop::place(policy, order_of(5000));
    if state == "New" {
        return s;
    }
    if first {
        s.done("Reserve", InStock);
        if state == "Planned" {
            s.due("dispatch.parcel", 1, "ReserveDue");
            s.done("Unreserve", Unreserved);
        }
    }
    if !["Planned", "Reserved"].contains(&state) {
        pay_and_pass(&mut s);
        on_from_reserving(&mut s, state, first, by_hand);
    }
    s.release_holds();
    assert_eq!(s.state("dispatch.parcel", 1), state, "{}", s.show());
    s
}

fn on_from_reserving(s: &mut Shop, state: &str, stocked: bool, by_hand: bool) {
    if state == "Reserving" {
        return;
    }
    if state == "Backordered" {
        s.done("Reserve", short());
        return;
    }
    if !stocked {
        s.done("Reserve", InStock);
    }
    match state {
        "Released" => return,
        "OnHold" => return s.asks(hold("address")),
        "Unreserving" | "Cancelled" => {
            s.asks(lifecycle::cancel());
            if state == "Cancelled" {
                s.done("Unreserve", Unreserved);
            }
            return;
        }
        _ => {}
    }
    if by_hand {
        s.asks(pack());
    }
    if s.state("payment.attempt", 1) == "Capturing" {
        s.done("Capture", payment::paid_on("card", "r1", 5000));
    }
    match state {
        "ReadyToHandOver" => return,
        "CancelRequested" => return s.asks(lifecycle::cancel()),
        _ => s.asks(hand_over(1)),
    }
    let next = match state {
        "HandedOver" => return,
        "Lost" => mislaid(1),
        "Delivered" => delivered(1),
        "Returning" => turned_back(1),
        "ReturnedToSender" => came_back(1),
        other => panic!("no way is known to {other}"),
    };
    s.hears(next);
}

/// Two parcels of 30.00 and 20.00, paid and packed.
pub(crate) fn two_parcels_packed() -> Shop {
    two_parcels_packed_under(Physical::default())
}
pub(crate) fn two_parcels_packed_under(policy: Physical) -> Shop {
    let order = order_in(&[("north", 3000), ("south", 2000)], &[("card", 5000)]);
    let mut s = Shop::place(policy, order);
    pay_and_pass(&mut s);
    s.done("Reserve 1", InStock);
    s.done("Reserve 2", InStock);
    s.asks(pack_parcel(1));
    s.asks(pack_parcel(2));
    s
}

pub(super) fn cases() -> Vec<Case> {
    let mut all = shelf();
    all.extend(way());
    all
}

fn shelf() -> Vec<Case> {
    let mut all = vec![
        case(
            "stock is reserved with the order",
            || reach("Planned"),
            |s| *s = Shop::place(reserved_first(), order_of(5000)),
            "
            order.life 1: New + Place -> Placed
            dispatch.parcel 1: New + Ordered -> Reserving
            wants Reserve 1 #1 asked=1 units=1xfrom-shop
        ",
        ),
        case(
            "stock is reserved when paid and passed",
            || review::reach("Scoring"),
            |s| s.done("Score", review::scored(3)),
            "
            review.case 1: Scoring + Scored -> AutoApproved
            dispatch.parcel 1: New + GatesOpen -> Reserving
            wants Reserve 1 #1 asked=1 units=1xfrom-shop
        ",
        ),
        case(
            "stock given back is asked for again when paid and passed",
            || {
                let mut s = reach("Planned");
                s.asks(payment::start(1));
                s.done("Charge", payment::paid(5000));
                s
            },
            |s| s.done("Score", review::scored(3)),
            "
            review.case 1: Scoring + Scored -> AutoApproved
            dispatch.parcel 1: Planned + GatesOpen -> Reserving
            wants Reserve 1 #2 asked=2 units=1xfrom-shop
        ",
        ),
        case(
            "a plan is looked at again, unpaid",
            || reach("Planned"),
            |s| s.due("dispatch.parcel", 1, "PlanDue"),
            "
            dispatch.parcel 1: Planned + PlanDue -> Planned
        ",
        ),
        case(
            "a plan is looked at again, paid while its stock went back",
            || {
                let mut s = reach("Reserved");
                s.due("dispatch.parcel", 1, "ReserveDue");
                pay_and_pass(&mut s);
                s.done("Unreserve", Unreserved);
                s
            },
            |s| s.due("dispatch.parcel", 1, "PlanDue"),
            "
            dispatch.parcel 1: Planned + PlanDue -> Reserving
            wants Reserve 1 #2 asked=2 units=1xfrom-shop
        ",
        ),
        case(
            "a planned parcel is cancelled",
            || reach("Planned"),
            |s| s.asks(lifecycle::cancel()),
            "
            order.life 1: Placed + Cancel -> Cancelling
            dispatch.parcel 1: Planned + Stop -> Cancelled
            order.life 1: Cancelling + Cleared -> Cancelled
        ",
        ),
        case(
            "in stock: to be packed",
            || reach("Reserving"),
            |s| s.done("Reserve", InStock),
            "
            dispatch.parcel 1: Reserving + InStock -> Released
        ",
        ),
        case(
            "in stock: ready",
            || reach_under(automatic(), "Reserving"),
            |s| s.done("Reserve", InStock),
            "
            dispatch.parcel 1: Reserving + InStock -> ReadyToHandOver
            wants Book 1 #0 units=1xfrom-shop
        ",
        ),
        case(
            "in stock: ready, and wants the money",
            || {
                let mut policy = payment::later();
                policy.dispatch.packing = Packing::Automatic;
                policy.dispatch.book = false;
                reach_under(policy, "Reserving")
            },
            |s| s.done("Reserve", InStock),
            "
            dispatch.parcel 1: Reserving + InStock -> ReadyToHandOver
            payment.attempt 1: Authorized + CaptureAsked -> Capturing
            wants Capture 1 #0 amount=50.00 EUR channel=card reference=r1
        ",
        ),
        case(
            "in stock, and not paid yet",
            || Shop::place(reserved_first(), order_of(5000)),
            |s| s.done("Reserve", InStock),
            "
            dispatch.parcel 1: Reserving + InStock -> Reserved
        ",
        ),
        case(
            "out of stock: the order goes",
            || reach("Reserving"),
            |s| s.done("Reserve", short()),
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
            "out of stock: the order waits",
            || reach_under(patient(), "Reserving"),
            |s| s.done("Reserve", short()),
            "
            dispatch.parcel 1: Reserving + Short -> Backordered
        ",
        ),
        case(
            "the warehouse refuses",
            || reach("Reserving"),
            |s| s.declined("Reserve", ReserveRefused { why: "closed".to_owned() }),
            "
            dispatch.parcel 1: Reserving + ReserveRefused -> Backordered
            order.life 1: Placed + Unfillable -> Cancelling
            dispatch.parcel 1: Backordered + Stop -> Cancelled
            payment.attempt 1: Captured + GiveBack -> Captured
            refund 1: New + Begin -> Sending
            posts P9 card cust 5000
            wants SendBack 1 #0 amount=50.00 EUR attempt=1 channel=card reference=r1
        ",
        ),
        case(
            "the warehouse does not answer in time",
            || {
                let mut s = reach("Reserving");
                s.lost("Reserve");
                s
            },
            |s| s.due("dispatch.parcel", 1, "AnswerDue"),
            "
            dispatch.parcel 1: Reserving + AnswerDue -> Reserving
            wants Reserve 1 #1 asked=1 units=1xfrom-shop
        ",
        ),
        case(
            "an order is cancelled while stock is asked for",
            || reach("Reserving"),
            |s| s.asks(lifecycle::cancel()),
            "
            order.life 1: Placed + Cancel -> Cancelling
            dispatch.parcel 1: Reserving + Stop -> Unreserving
            wants Unreserve 1 #1 asked=1 units=1xfrom-shop
        ",
        ),
        case(
            "stock is asked for again",
            || reach("Backordered"),
            |s| s.due("dispatch.parcel", 1, "RestockDue"),
            "
            dispatch.parcel 1: Backordered + RestockDue -> Reserving
            wants Reserve 1 #2 asked=2 units=1xfrom-shop
        ",
        ),
        case(
            "a parcel that waits for stock is cancelled",
            || reach("Backordered"),
            |s| s.asks(lifecycle::cancel()),
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
            "paid and passed: to be packed",
            || {
                let mut s = reach("Reserved");
                s.asks(payment::start(1));
                s.done("Charge", payment::paid(5000));
                s
            },
            |s| s.done("Score", review::scored(3)),
            "
            review.case 1: Scoring + Scored -> AutoApproved
            dispatch.parcel 1: Reserved + GatesOpen -> Released
        ",
        ),
        case(
            "paid and passed: ready",
            || {
                let mut policy = reserved_first();
                policy.dispatch.packing = Packing::Automatic;
                let mut s = reach_under(policy, "Reserved");
                s.asks(payment::start(1));
                s.done("Charge", payment::paid(5000));
                s
            },
            |s| s.done("Score", review::scored(3)),
            "
            review.case 1: Scoring + Scored -> AutoApproved
            dispatch.parcel 1: Reserved + GatesOpen -> ReadyToHandOver
            wants Book 1 #0 units=1xfrom-shop
        ",
        ),
        case(
            "a reservation runs out while nobody pays",
            || reach("Reserved"),
            |s| s.due("dispatch.parcel", 1, "ReserveDue"),
            "
            dispatch.parcel 1: Reserved + ReserveDue -> Unreserving
            wants Unreserve 1 #1 asked=1 units=1xfrom-shop
        ",
        ),
        case(
            "a reservation is kept while the customer pays",
            || {
                let mut s = reach("Reserved");
                s.asks(payment::start(1));
                s
            },
            |s| s.due("dispatch.parcel", 1, "ReserveDue"),
            "
            dispatch.parcel 1: Reserved + ReserveDue -> Reserved
        ",
        ),
        case(
            "a hold is set upon a hold",
            || reach("OnHold"),
            |s| s.asks(hold("damaged box")),
            "
            dispatch.parcel 1: OnHold + Hold -> OnHold
        ",
        ),
        case(
            "one hold of two is taken away",
            || {
                let mut s = reach("OnHold");
                s.asks(hold("damaged box"));
                s
            },
            |s| s.asks(unhold("address")),
            "
            dispatch.parcel 1: OnHold + Unhold -> OnHold
        ",
        ),
        case(
            "the last hold is taken away",
            || reach("OnHold"),
            |s| s.asks(unhold("address")),
            "
            dispatch.parcel 1: OnHold + Unhold -> Released
        ",
        ),
        case(
            "the last hold is taken away from a parcel that is not paid",
            || {
                let mut s = reach("Reserved");
                s.asks(hold("address"));
                s
            },
            |s| s.asks(unhold("address")),
            "
            dispatch.parcel 1: OnHold + Unhold -> Reserved
        ",
        ),
        case(
            "the last hold is taken away from a parcel without stock",
            || {
                let mut s = reach("Backordered");
                s.asks(hold("address"));
                s
            },
            |s| s.asks(unhold("address")),
            "
            dispatch.parcel 1: OnHold + Unhold -> Backordered
        ",
        ),
        case(
            "a parcel is on hold for too long",
            || reach("OnHold"),
            |s| s.due("dispatch.parcel", 1, "PackDue"),
            "
            dispatch.parcel 1: OnHold + PackDue -> OnHold
            holds overdue
        ",
        ),
        case(
            "a parcel is packed",
            || reach("Released"),
            |s| s.asks(pack()),
            "
            dispatch.parcel 1: Released + Pack -> ReadyToHandOver
            wants Book 1 #0 units=1xfrom-shop
        ",
        ),
        case(
            "a parcel is not packed in time",
            || reach("Released"),
            |s| s.due("dispatch.parcel", 1, "PackDue"),
            "
            dispatch.parcel 1: Released + PackDue -> Released
            holds overdue
        ",
        ),
        case(
            "a label is booked",
            || reach("ReadyToHandOver"),
            |s| s.done("Book", booked()),
            "
            dispatch.parcel 1: ReadyToHandOver + Booked -> ReadyToHandOver
        ",
        ),
        case(
            "a label is refused",
            || reach("ReadyToHandOver"),
            |s| s.declined("Book", BookingRefused { why: "no such street".to_owned() }),
            "
            dispatch.parcel 1: ReadyToHandOver + BookingRefused -> ReadyToHandOver
            holds booking_refused
        ",
        ),
        case(
            "a packed parcel does not leave in time",
            || reach("ReadyToHandOver"),
            |s| s.due("dispatch.parcel", 1, "PackDue"),
            "
            dispatch.parcel 1: ReadyToHandOver + PackDue -> ReadyToHandOver
            holds overdue
        ",
        ),
        case(
            "a packed parcel does not leave in time for want of its money",
            || {
                let mut s = reach_under(payment::later(), "Released");
                s.asks(pack());
                s.gave_up("Capture", false);
                s
            },
            |s| s.due("dispatch.parcel", 1, "PackDue"),
            "
            dispatch.parcel 1: ReadyToHandOver + PackDue -> ReadyToHandOver
            payment.attempt 1: Authorized + CaptureAsked -> Capturing
            wants Capture 1 #1 amount=50.00 EUR channel=card reference=r1
            holds overdue
        ",
        ),
        case(
            "a packed parcel is to be stopped",
            || reach("ReadyToHandOver"),
            |s| s.asks(lifecycle::cancel()),
            "
            order.life 1: Placed + Cancel -> Cancelling
            dispatch.parcel 1: ReadyToHandOver + Stop -> CancelRequested
        ",
        ),
        case(
            "a ready parcel is stopped",
            || reach_under(automatic(), "ReadyToHandOver"),
            |s| s.asks(lifecycle::cancel()),
            "
            order.life 1: Placed + Cancel -> Cancelling
            dispatch.parcel 1: ReadyToHandOver + Stop -> Unreserving
            wants Unreserve 1 #1 asked=1 units=1xfrom-shop
        ",
        ),
        case(
            "the warehouse stopped it",
            || reach("CancelRequested"),
            |s| s.asks(confirm_stop(1)),
            "
            dispatch.parcel 1: CancelRequested + ConfirmStop -> Unreserving
            wants Unreserve 1 #1 asked=1 units=1xfrom-shop
        ",
        ),
        case(
            "the warehouse does not say whether it stopped it",
            || reach("CancelRequested"),
            |s| s.due("dispatch.parcel", 1, "PackDue"),
            "
            dispatch.parcel 1: CancelRequested + PackDue -> CancelRequested
            holds stop_unanswered
        ",
        ),
        case(
            "units are back in stock",
            || reach("Unreserving"),
            |s| s.done("Unreserve", Unreserved),
            "
            dispatch.parcel 1: Unreserving + Unreserved -> Cancelled
            payment.attempt 1: Captured + GiveBack -> Captured
            refund 1: New + Begin -> Sending
            posts P9 card cust 5000
            wants SendBack 1 #0 amount=50.00 EUR attempt=1 channel=card reference=r1
        ",
        ),
        case(
            "units are back in stock, and the parcel is planned",
            || {
                let mut s = reach("Reserved");
                s.due("dispatch.parcel", 1, "ReserveDue");
                s
            },
            |s| s.done("Unreserve", Unreserved),
            "
            dispatch.parcel 1: Unreserving + Unreserved -> Planned
        ",
        ),
        case(
            "units are not taken back",
            || reach("Unreserving"),
            |s| s.declined("Unreserve", UnreserveRefused { why: "counted".to_owned() }),
            "
            dispatch.parcel 1: Unreserving + UnreserveRefused -> Cancelled
            payment.attempt 1: Captured + GiveBack -> Captured
            refund 1: New + Begin -> Sending
            posts P9 card cust 5000
            wants SendBack 1 #0 amount=50.00 EUR attempt=1 channel=card reference=r1
            holds stock_not_released
        ",
        ),
        case(
            "the return of units is not answered in time",
            || {
                let mut s = reach("Unreserving");
                s.lost("Unreserve");
                s
            },
            |s| s.due("dispatch.parcel", 1, "AnswerDue"),
            "
            dispatch.parcel 1: Unreserving + AnswerDue -> Unreserving
            wants Unreserve 1 #1 asked=1 units=1xfrom-shop
        ",
        ),
    ];
    all.extend(each(
        "a parcel is held",
        reach,
        &["Reserved", "Backordered", "Released"],
        |s| s.asks(hold("address")),
        "
            dispatch.parcel 1: {from} + Hold -> OnHold
        ",
    ));
    all.extend(each(
        "a parcel on the shelf is cancelled",
        reach,
        &["Reserved", "OnHold", "Released"],
        |s| s.asks(lifecycle::cancel()),
        "
            order.life 1: Placed + Cancel -> Cancelling
            dispatch.parcel 1: {from} + Stop -> Unreserving
            wants Unreserve 1 #1 asked=1 units=1xfrom-shop
        ",
    ));
    all.extend(each(
        "review is reopened",
        reach,
        &["Released", "ReadyToHandOver"],
        |s| {
            s.hears(review::notice());
        },
        "
            review.case 1: AutoApproved + RiskNotice -> Queued
            dispatch.parcel 1: {from} + GatesShut -> Reserved
        ",
    ));
    all
}

fn way() -> Vec<Case> {
    let mut all = vec![
        case(
            "handed over: earned later",
            || reach("ReadyToHandOver"),
            |s| s.asks(hand_over(1)),
            "
            dispatch.parcel 1: ReadyToHandOver + HandOver -> HandedOver
            wants Consume 1 #0 asked=1 units=1xfrom-shop
        ",
        ),
        case(
            "handed over: earned",
            || reach_under(earns_on_handover(), "ReadyToHandOver"),
            |s| s.asks(hand_over(1)),
            "
            dispatch.parcel 1: ReadyToHandOver + HandOver -> HandedOver
            posts P7 5000
            wants Consume 1 #0 asked=1 units=1xfrom-shop
        ",
        ),
        case(
            "the carrier took what was to be handed over",
            || reach_under(earns_on_handover(), "ReadyToHandOver"),
            |s| {
                s.hears(accepted(1));
            },
            "
            dispatch.parcel 1: ReadyToHandOver + Accepted -> HandedOver
            posts P7 5000
            wants Consume 1 #0 asked=1 units=1xfrom-shop
        ",
        ),
        case(
            "the carrier took what was to be stopped",
            || reach("CancelRequested"),
            |s| {
                s.hears(accepted(1));
            },
            "
            dispatch.parcel 1: CancelRequested + Accepted -> HandedOver
            wants Consume 1 #0 asked=1 units=1xfrom-shop
        ",
        ),
        case(
            "the carrier took what is not paid",
            || {
                let mut s = reach_under(payment::later(), "Released");
                s.asks(pack());
                s
            },
            |s| {
                s.hears(accepted(1));
            },
            "
            dispatch.parcel 1: ReadyToHandOver + Accepted -> HandedOver
            wants Consume 1 #0 asked=1 units=1xfrom-shop
            holds left_unpaid
        ",
        ),
        case(
            "units left the stock",
            || reach("HandedOver"),
            |s| s.done("Consume", Consumed),
            "
            dispatch.parcel 1: HandedOver + Consumed -> HandedOver
        ",
        ),
        case(
            "units did not leave the stock",
            || reach("HandedOver"),
            |s| s.declined("Consume", ConsumeRefused { why: "none there".to_owned() }),
            "
            dispatch.parcel 1: HandedOver + ConsumeRefused -> HandedOver
            holds stock_not_consumed
        ",
        ),
        case(
            "a scan on the way",
            || reach("HandedOver"),
            |s| {
                s.hears(scan("s1", Tracking::InTransit));
            },
            "
            dispatch.parcel 1: HandedOver + Moving -> HandedOver
        ",
        ),
        case(
            "a silent parcel is looked for",
            || reach("HandedOver"),
            |s| s.due("dispatch.parcel", 1, "SilentDue"),
            "
            dispatch.parcel 1: HandedOver + SilentDue -> HandedOver
            wants Track 1 #0 tracking=null
        ",
        ),
        case(
            "a parcel that stays silent is lost",
            || {
                let mut s = reach_under(earns_on_handover(), "HandedOver");
                s.due("dispatch.parcel", 1, "SilentDue");
                s
            },
            |s| s.due("dispatch.parcel", 1, "SilentDue"),
            "
            dispatch.parcel 1: HandedOver + SilentDue -> Lost
            posts P8 5000
            holds lost
        ",
        ),
        case(
            "delivered",
            || reach("HandedOver"),
            |s| {
                s.hears(delivered(1));
            },
            "
            dispatch.parcel 1: HandedOver + DeliveredTo -> Delivered
            order.life 1: Placed + Done -> Completed
            posts P7 5000
        ",
        ),
        case(
            "delivered, and earned before",
            || reach_under(earns_on_handover(), "HandedOver"),
            |s| {
                s.hears(delivered(1));
            },
            "
            dispatch.parcel 1: HandedOver + DeliveredTo -> Delivered
            order.life 1: Placed + Done -> Completed
        ",
        ),
        case(
            "delivered although it was lost",
            || reach("Lost"),
            |s| {
                s.hears(delivered(1));
            },
            "
            dispatch.parcel 1: Lost + DeliveredTo -> Delivered
            order.life 1: Placed + Done -> Completed
            posts P7 5000
        ",
        ),
        case(
            "a parcel on its way is called back",
            || reach("HandedOver"),
            |s| s.asks(lifecycle::request_return()),
            "
            order.life 1: Placed + RequestReturn -> Cancelling
            dispatch.parcel 1: HandedOver + Recall -> Returning
        ",
        ),
        case(
            "a delivered parcel is called back",
            || reach("Delivered"),
            |s| s.asks(lifecycle::request_return()),
            "
            order.life 1: Completed + RequestReturn -> Cancelling
            dispatch.parcel 1: Delivered + Recall -> Returning
        ",
        ),
        case(
            "a parcel comes back",
            || reach("Returning"),
            |s| {
                s.hears(came_back(1));
            },
            "
            dispatch.parcel 1: Returning + CameBack -> ReturnedToSender
            holds returned
        ",
        ),
        case(
            "a parcel that was called back comes back",
            || {
                let mut s = reach("Delivered");
                s.asks(lifecycle::request_return());
                s
            },
            |s| {
                s.hears(came_back(1));
            },
            "
            dispatch.parcel 1: Returning + CameBack -> ReturnedToSender
            payment.attempt 1: Captured + GiveBack -> Captured
            refund 1: New + Begin -> Sending
            posts P8 5000
            posts P9 card cust 5000
            wants SendBack 1 #0 amount=50.00 EUR attempt=1 channel=card reference=r1
        ",
        ),
        case(
            "a parcel should be back",
            || reach("Returning"),
            |s| s.due("dispatch.parcel", 1, "ReturnDue"),
            "
            dispatch.parcel 1: Returning + ReturnDue -> Returning
            wants Track 1 #1 tracking=null
            holds return_overdue
        ",
        ),
        case(
            "the carrier lost it",
            || reach_under(earns_on_handover(), "HandedOver"),
            |s| {
                s.hears(mislaid(1));
            },
            "
            dispatch.parcel 1: HandedOver + Mislaid -> Lost
            posts P8 5000
            holds lost
        ",
        ),
        case(
            "the carrier lost it on its way back",
            || {
                let mut s = reach("Delivered");
                s.hears(turned_back(1));
                s
            },
            |s| {
                s.hears(mislaid(1));
            },
            "
            dispatch.parcel 1: Returning + Mislaid -> Lost
            posts P8 5000
            holds lost
        ",
        ),
        case(
            "a delivered parcel is back",
            || reach("Delivered"),
            |s| {
                s.hears(came_back(1));
            },
            "
            dispatch.parcel 1: Delivered + CameBack -> ReturnedToSender
            posts P8 5000
            holds returned
        ",
        ),
    ];
    all.extend(each(
        "turned back",
        reach,
        &["HandedOver", "Lost", "Delivered"],
        |s| {
            s.hears(turned_back(1));
        },
        "
            dispatch.parcel 1: {from} + TurnedBack -> Returning
        ",
    ));
    all.extend(each(
        "back at the sender",
        reach,
        &["HandedOver", "Lost"],
        |s| {
            s.hears(came_back(1));
        },
        "
            dispatch.parcel 1: {from} + CameBack -> ReturnedToSender
            holds returned
        ",
    ));
    all
}
