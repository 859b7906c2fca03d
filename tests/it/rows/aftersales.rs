//! The rows of returns and claims.

use consign::machine::Call;
use consign::order::{Draft, DraftTender, Line, Order};
use consign::pipeline::Physical;
use consign::stage::aftersales::{
    Approve, AskClaim, AskReturn, Conclude, Decline, Found, Inspect, IssueLabel, LostOnWay, OnItsWay, Reason,
    Receive, Resolution, RestockRefused, Units, Verdict, Withdraw, rma,
};
use consign::stage::dispatch::{InStock, Unit};

use super::{Case, case, dispatch, each, lifecycle, refund};
use crate::support::shop::{Shop, carla};

pub(crate) fn units(line: u32, quantity: u32) -> Vec<Units> {
    vec![Units { line, quantity }]
}
pub(crate) fn ask_return(key: u32, items: Vec<Units>, reason: Reason, resolution: Resolution) -> Call {
    rma::M::command(key, AskReturn { items, reason, resolution, photos: Vec::new() })
}
pub(crate) fn ask_claim(key: u32, items: Vec<Units>, reason: Reason, resolution: Resolution) -> Call {
    rma::M::command(key, AskClaim { items, reason, resolution, photos: vec!["photo-1".to_owned()] })
}
pub(crate) fn approve(key: u32) -> Call {
    rma::M::command(key, Approve { instead: None })
}
pub(crate) fn decline() -> Call {
    decline_of(1)
}
pub(crate) fn decline_of(key: u32) -> Call {
    rma::M::command(key, Decline { reason: "worn".to_owned() })
}
pub(crate) fn label() -> Call {
    rma::M::command(1, IssueLabel { label: "back-1".to_owned() })
}
pub(crate) fn withdraw() -> Call {
    rma::M::command(1, Withdraw)
}
pub(crate) fn receive(key: u32, items: Vec<Units>) -> Call {
    rma::M::command(key, Receive { items })
}
pub(crate) fn inspect(key: u32, found: &[(u32, u32, Verdict)]) -> Call {
    let found = found.iter().map(|(line, quantity, verdict)| Found {
        line: *line,
        quantity: *quantity,
        verdict: *verdict,
    });
    rma::M::command(key, Inspect { found: found.collect() })
}
pub(crate) fn conclude(key: u32, accepted: Vec<Units>) -> Call {
    rma::M::command(key, Conclude { accepted, reason: "as found".to_owned() })
}
fn on_its_way() -> Call {
    rma::M::evidence(1, OnItsWay)
}
fn lost_on_way() -> Call {
    rma::M::evidence(1, LostOnWay)
}
/// Two mugs of 12.00 in place of what comes back.
fn mugs(price_minor: i64) -> Resolution {
    Resolution::Exchange { units: vec![Unit { sku: "mug".to_owned(), quantity: 2 }], price_minor }
}

/// Three cups of 10.00 and a pot of 25.00, with 5.00 off: 50.00 in one parcel. A cup carries 9.09, the pot 22.73.
pub(crate) fn tea_set() -> Order {
    let mut draft = Draft::new("o-1", "EUR", carla());
    draft.lines.push(Line::goods("cup", 3, 1_000));
    draft.lines.push(Line::goods("pot", 1, 2_500));
    draft.charges.push(consign::order::Charge::new(consign::order::ChargeKind::Discount, -500));
    draft.total_minor = 5_000;
    draft.tenders.push(DraftTender::new("card", 5_000));
    Order::parse(draft).unwrap()
}

/// The tea set with the customer, paid and earned.
pub(crate) fn delivered() -> Shop {
    delivered_under(Physical::default())
}
pub(crate) fn delivered_under(policy: Physical) -> Shop {
    let mut s = Shop::place(policy, tea_set());
    dispatch::pay_and_pass(&mut s);
    s.done("Reserve", InStock);
    s.asks(dispatch::pack());
    s.done("Book", dispatch::booked());
    s.asks(dispatch::hand_over(1));
    s.done("Consume", consign::stage::dispatch::Consumed);
    s.hears(dispatch::delivered(1));
    assert_eq!((s.life(), s.balances().as_str()), ("Completed", "psp:card 5000, earned -5000"));
    s
}

/// Whatever is asked for up to 100.00 is approved by itself.
fn generous() -> Physical {
    let mut policy = Physical::default();
    policy.aftersales.approve_up_to_minor = Some(10_000);
    policy
}
/// Money goes back when a return is approved.
fn early() -> Physical {
    let mut policy = generous();
    policy.aftersales.refund_before_receipt = true;
    policy
}

/// A return of two cups for the money is in this state, with nothing held.
pub(crate) fn reach(state: &str) -> Shop {
    let reason = if state == "LostInTransit" { Reason::ChangedMind } else { Reason::Wrong };
    let mut s = delivered();
    s.asks_as(&carla(), ask_return(1, units(0, 2), reason, Resolution::Refund));
    on(&mut s, state);
    s.release_holds();
    assert_eq!(s.state("aftersales.rma", 1), state, "{}", s.show());
    s
}

fn on(s: &mut Shop, state: &str) {
    match state {
        "Requested" => return,
        "Declined" => return s.asks(decline()),
        "Cancelled" => return s.asks_as(&carla(), withdraw()),
        _ => s.asks(approve(1)),
    }
    if state == "Approved" {
        return;
    }
    s.asks(label());
    match state {
        "AwaitingItems" => return,
        "Expired" => return s.due("aftersales.rma", 1, "ItemsDue"),
        _ => {}
    }
    s.hears(on_its_way());
    match state {
        "InTransit" => return,
        "LostInTransit" => {
            s.hears(lost_on_way());
            return;
        }
        _ => {}
    }
    s.asks(receive(1, units(0, 2)));
    if state == "Received" {
        return;
    }
    if state == "Inspected" || state == "Rejected" {
        s.asks(inspect(1, &[(0, 1, Verdict::Restock), (0, 1, Verdict::Damaged)]));
        if state == "Rejected" {
            s.asks(conclude(1, Vec::new()));
        }
        return;
    }
    s.asks(inspect(1, &[(0, 2, Verdict::Restock)]));
    if state == "Settled" {
        s.done("SendBack", refund::repaid(1_818));
    }
}

/// What people do for a return or a claim, where it is their turn: everything is taken as it should be.
pub(crate) fn turn(shop: &Shop, key: u32) -> Option<Call> {
    use rma::State;
    let state = shop.pipeline.state::<rma::M>(&shop.order, key)?;
    let about = consign::stage::aftersales::about(state);
    match state {
        State::Requested(_) => Some(approve(key)),
        State::Approved(_) | State::AwaitingItems(_) | State::InTransit(_) => {
            Some(receive(key, about.items.clone()))
        }
        State::LostInTransit(_) => Some(conclude(key, about.items.clone())),
        State::Received(_) => {
            let found: Vec<_> =
                about.received.iter().map(|u| (u.line, u.quantity, Verdict::Restock)).collect();
            Some(inspect(key, &found))
        }
        State::Inspected(_) => Some(conclude(key, about.received.clone())),
        _ => None,
    }
}

const EXPECTING: &[&str] = &["Approved", "AwaitingItems"];
const COMING: &[&str] = &["Approved", "AwaitingItems", "InTransit"];
const OPEN: &[&str] =
    &["Requested", "Approved", "AwaitingItems", "InTransit", "LostInTransit", "Received", "Inspected"];
const STOCKED: &[&str] = &["Settling", "Settled"];

/// As [`reach`], with the goods still to be taken back by the stock.
fn stocked(state: &str) -> Shop {
    reach(state)
}

pub(super) fn cases() -> Vec<Case> {
    let mut all = asked();
    all.extend(on_the_way());
    all.extend(decided());
    all
}

fn asked() -> Vec<Case> {
    vec![
        case(
            "a return is asked for",
            delivered,
            |s| s.asks_as(&carla(), ask_return(1, units(0, 2), Reason::Wrong, Resolution::Refund)),
            "
            aftersales.rma 1: New + AskReturn -> Requested
        ",
        ),
        case(
            "a small return is approved by itself",
            || delivered_under(generous()),
            |s| s.asks_as(&carla(), ask_return(1, units(0, 2), Reason::Wrong, Resolution::Refund)),
            "
            aftersales.rma 1: New + AskReturn -> Approved
        ",
        ),
        case(
            "a return is paid back before it comes",
            || delivered_under(early()),
            |s| s.asks_as(&carla(), ask_return(1, units(0, 2), Reason::Wrong, Resolution::Refund)),
            "
            aftersales.rma 1: New + AskReturn -> Approved
            order.life 1: Completed + Waived -> Completed
            dispatch.parcel 1: Delivered + Repriced -> Delivered
            refund 1: New + Begin -> Sending
            posts P8 1818
            posts P9 card cust 1818
            wants SendBack 1 #0 amount=18.18 EUR attempt=1 channel=card reference=r1
        ",
        ),
        case(
            "a claim is asked for",
            delivered,
            |s| s.asks_as(&carla(), ask_claim(1, units(1, 1), Reason::Damaged, Resolution::Refund)),
            "
            aftersales.rma 1: New + AskClaim -> Requested
        ",
        ),
        case(
            "a small claim is settled by itself",
            || delivered_under(generous()),
            |s| s.asks_as(&carla(), ask_claim(1, units(1, 1), Reason::Damaged, Resolution::Refund)),
            "
            aftersales.rma 1: New + AskClaim -> Settling
            order.life 1: Completed + Waived -> Completed
            dispatch.parcel 1: Delivered + Repriced -> Delivered
            refund 1: New + Begin -> Sending
            posts P8 2273
            posts P9 card cust 2273
            wants SendBack 1 #0 amount=22.73 EUR attempt=1 channel=card reference=r1
        ",
        ),
        case(
            "a claim that nothing is left of is settled at once",
            || {
                let mut s = delivered_under(generous());
                s.asks(refund::request(1, 5_000));
                s.done("SendBack", refund::repaid(5_000));
                s
            },
            |s| s.asks_as(&carla(), ask_claim(1, units(1, 1), Reason::Damaged, Resolution::Refund)),
            "
            aftersales.rma 1: New + AskClaim -> Settled
            order.life 1: Completed + Waived -> Completed
        ",
        ),
        case(
            "a return is approved",
            || reach("Requested"),
            |s| s.asks(approve(1)),
            "
            aftersales.rma 1: Requested + Approve -> Approved
        ",
        ),
        case(
            "a claim is approved with a discount in place of the money",
            || {
                let mut s = delivered();
                s.asks_as(&carla(), ask_claim(1, units(1, 1), Reason::Damaged, Resolution::Refund));
                s
            },
            |s| {
                let instead = Some(Resolution::Discount { amount_minor: 700 });
                s.asks(rma::M::command(1, Approve { instead }));
            },
            "
            aftersales.rma 1: Requested + Approve -> Settling
            order.life 1: Completed + Waived -> Completed
            dispatch.parcel 1: Delivered + Repriced -> Delivered
            refund 1: New + Begin -> Sending
            posts P8 700
            posts P9 card cust 700
            wants SendBack 1 #0 amount=7.00 EUR attempt=1 channel=card reference=r1
        ",
        ),
        case(
            "a claim is approved, and the same is sent once more",
            || {
                let mut s = delivered();
                s.asks_as(&carla(), ask_claim(1, units(1, 1), Reason::Damaged, Resolution::Replace));
                s
            },
            |s| s.asks(approve(1)),
            "
            aftersales.rma 1: Requested + Approve -> Settling
            dispatch.parcel 2: New + Resend -> Reserving
            wants Reserve 2 #1 asked=1 units=1xpot
        ",
        ),
        case(
            "a claim on an order that was paid back is approved",
            || {
                let mut s = delivered();
                s.asks_as(&carla(), ask_claim(1, units(1, 1), Reason::Damaged, Resolution::Refund));
                s.asks(refund::request(1, 5_000));
                s.done("SendBack", refund::repaid(5_000));
                s
            },
            |s| s.asks(approve(1)),
            "
            aftersales.rma 1: Requested + Approve -> Settled
            order.life 1: Completed + Waived -> Completed
        ",
        ),
        case(
            "a return is declined",
            || reach("Requested"),
            |s| s.asks(decline()),
            "
            aftersales.rma 1: Requested + Decline -> Declined
        ",
        ),
        case(
            "a request is withdrawn",
            || reach("Requested"),
            |s| s.asks_as(&carla(), withdraw()),
            "
            aftersales.rma 1: Requested + Withdraw -> Cancelled
        ",
        ),
        case(
            "nobody decides on a request",
            || reach("Requested"),
            |s| s.due("aftersales.rma", 1, "DecideDue"),
            "
            aftersales.rma 1: Requested + DecideDue -> Requested
            holds aftersales_waits
        ",
        ),
        case(
            "a label is issued",
            || reach("Approved"),
            |s| s.asks(label()),
            "
            aftersales.rma 1: Approved + IssueLabel -> AwaitingItems
        ",
        ),
    ]
}

fn on_the_way() -> Vec<Case> {
    let mut all = vec![
        case(
            "a return that was paid back never comes",
            || {
                let mut s = delivered_under(early());
                s.asks_as(&carla(), ask_return(1, units(0, 2), Reason::Wrong, Resolution::Refund));
                s.done("SendBack", refund::repaid(1_818));
                s
            },
            |s| s.due("aftersales.rma", 1, "ItemsDue"),
            "
            aftersales.rma 1: Approved + ItemsDue -> Expired
            holds not_returned
        ",
        ),
        case(
            "a return that was paid back is lost on its way",
            || {
                let mut s = delivered_under(early());
                s.asks_as(&carla(), ask_return(1, units(0, 2), Reason::Wrong, Resolution::Refund));
                s.done("SendBack", refund::repaid(1_818));
                s
            },
            |s| {
                s.hears(lost_on_way());
            },
            "
            aftersales.rma 1: Approved + LostOnWay -> Settled
        ",
        ),
        case(
            "a return at the customer's risk is lost on its way",
            || {
                let mut s = delivered();
                s.asks_as(&carla(), ask_return(1, units(0, 2), Reason::ChangedMind, Resolution::Refund));
                s.asks(approve(1));
                s
            },
            |s| {
                s.hears(lost_on_way());
            },
            "
            aftersales.rma 1: Approved + LostOnWay -> LostInTransit
            holds return_lost
        ",
        ),
        case(
            "a return is overdue",
            || reach("InTransit"),
            |s| s.due("aftersales.rma", 1, "TransitDue"),
            "
            aftersales.rma 1: InTransit + TransitDue -> InTransit
            holds return_overdue
        ",
        ),
        case(
            "nobody decides on a return that was lost",
            || reach("LostInTransit"),
            |s| s.due("aftersales.rma", 1, "DecideDue"),
            "
            aftersales.rma 1: LostInTransit + DecideDue -> LostInTransit
            holds aftersales_waits
        ",
        ),
        case(
            "one of two units arrives after all",
            || reach("LostInTransit"),
            |s| s.asks(receive(1, units(0, 1))),
            "
            aftersales.rma 1: LostInTransit + Receive -> Received
        ",
        ),
    ];
    all.extend(each(
        "a return is withdrawn",
        reach,
        EXPECTING,
        |s| s.asks_as(&carla(), withdraw()),
        "
            aftersales.rma 1: {from} + Withdraw -> Cancelled
        ",
    ));
    all.extend(each(
        "goods never come",
        reach,
        EXPECTING,
        |s| s.due("aftersales.rma", 1, "ItemsDue"),
        "
            aftersales.rma 1: {from} + ItemsDue -> Expired
        ",
    ));
    all.extend(each(
        "the carrier has it",
        reach,
        EXPECTING,
        |s| {
            s.hears(on_its_way());
        },
        "
            aftersales.rma 1: {from} + OnItsWay -> InTransit
        ",
    ));
    all.extend(each(
        "a return at the shop's risk is lost on its way",
        reach,
        COMING,
        |s| {
            s.hears(lost_on_way());
        },
        "
            aftersales.rma 1: {from} + LostOnWay -> Settling
            order.life 1: Completed + Waived -> Completed
            dispatch.parcel 1: Delivered + Repriced -> Delivered
            refund 1: New + Begin -> Sending
            posts P8 1818
            posts P9 card cust 1818
            wants SendBack 1 #0 amount=18.18 EUR attempt=1 channel=card reference=r1
        ",
    ));
    all.extend(each(
        "goods arrive",
        reach,
        COMING,
        |s| s.asks(receive(1, units(0, 2))),
        "
            aftersales.rma 1: {from} + Receive -> Received
        ",
    ));
    all.extend(each(
        "all of the order is to come back",
        reach,
        OPEN,
        |s| s.asks(lifecycle::request_return()),
        "
            order.life 1: Completed + RequestReturn -> Cancelling
            dispatch.parcel 1: Delivered + Recall -> Returning
            aftersales.rma 1: {from} + Recalled -> Cancelled
        ",
    ));
    all
}

fn decided() -> Vec<Case> {
    let mut all = vec![
        case(
            "dearer goods wait for the difference, and another parcel is still to come",
            || {
                let mut s = dispatch::two_parcels_packed();
                s.asks(dispatch::hand_over(1));
                s.hears(dispatch::delivered(1));
                s.asks_as(&carla(), ask_return(1, units(0, 1), Reason::Wrong, mugs(9_000)));
                s.asks(approve(1));
                s.asks(receive(1, units(0, 1)));
                s
            },
            |s| s.asks(inspect(1, &[(0, 1, Verdict::Restock)])),
            "
            aftersales.rma 1: Received + Inspect -> Settling
            order.life 1: Placed + Waived -> Placed
            dispatch.parcel 3: New + Resend -> Reserving
            dispatch.parcel 1: Delivered + Repriced -> Delivered
            dispatch.parcel 2: ReadyToHandOver + GatesShut -> Reserved
            posts P8 3000
            wants Restock 1 #0 units=1xfrom-north
            wants Reserve 3 #1 asked=1 units=2xmug
        ",
        ),
        case(
            "all of the order is to come back while money is on its way",
            || reach("Settling"),
            |s| s.asks(lifecycle::request_return()),
            "
            order.life 1: Completed + RequestReturn -> Cancelling
            dispatch.parcel 1: Delivered + Recall -> Returning
            aftersales.rma 1: Settling + Recalled -> Settled
        ",
        ),
        case(
            "every unit is as new",
            || reach("Received"),
            |s| s.asks(inspect(1, &[(0, 2, Verdict::Restock)])),
            "
            aftersales.rma 1: Received + Inspect -> Settling
            order.life 1: Completed + Waived -> Completed
            dispatch.parcel 1: Delivered + Repriced -> Delivered
            refund 1: New + Begin -> Sending
            posts P8 1818
            posts P9 card cust 1818
            wants Restock 1 #0 units=2xcup
            wants SendBack 1 #0 amount=18.18 EUR attempt=1 channel=card reference=r1
        ",
        ),
        case(
            "one unit is not what it should be",
            || reach("Received"),
            |s| s.asks(inspect(1, &[(0, 1, Verdict::Restock), (0, 1, Verdict::Damaged)])),
            "
            aftersales.rma 1: Received + Inspect -> Inspected
        ",
        ),
        case(
            "a unit that was paid back is missing",
            || {
                let mut s = delivered_under(early());
                s.asks_as(&carla(), ask_return(1, units(0, 2), Reason::Wrong, Resolution::Refund));
                s.done("SendBack", refund::repaid(1_818));
                s.asks(receive(1, units(0, 1)));
                s
            },
            |s| s.asks(inspect(1, &[(0, 1, Verdict::Restock)])),
            "
            aftersales.rma 1: Received + Inspect -> Settled
            wants Restock 1 #0 units=1xcup
            holds returned_short
        ",
        ),
        case(
            "a return of an order that was paid back is settled at once",
            || {
                let mut s = reach("Received");
                s.asks(refund::request(1, 5_000));
                s.done("SendBack", refund::repaid(5_000));
                s
            },
            |s| s.asks(inspect(1, &[(0, 2, Verdict::Restock)])),
            "
            aftersales.rma 1: Received + Inspect -> Settled
            order.life 1: Completed + Waived -> Completed
            wants Restock 1 #0 units=2xcup
        ",
        ),
        case(
            "nobody looks at what was received",
            || reach("Received"),
            |s| s.due("aftersales.rma", 1, "InspectDue"),
            "
            aftersales.rma 1: Received + InspectDue -> Received
            holds inspection_waits
        ",
        ),
        case(
            "nobody decides on what was found",
            || reach("Inspected"),
            |s| s.due("aftersales.rma", 1, "DecideDue"),
            "
            aftersales.rma 1: Inspected + DecideDue -> Inspected
            holds aftersales_waits
        ",
        ),
        case(
            "a part is accepted",
            || reach("Inspected"),
            |s| s.asks(conclude(1, units(0, 1))),
            "
            aftersales.rma 1: Inspected + Conclude -> Settling
            order.life 1: Completed + Waived -> Completed
            dispatch.parcel 1: Delivered + Repriced -> Delivered
            refund 1: New + Begin -> Sending
            posts P8 909
            posts P9 card cust 909
            wants Restock 1 #0 units=1xcup
            wants SendBack 1 #0 amount=9.09 EUR attempt=1 channel=card reference=r1
        ",
        ),
        case(
            "nothing is accepted",
            || reach("Inspected"),
            |s| s.asks(conclude(1, Vec::new())),
            "
            aftersales.rma 1: Inspected + Conclude -> Rejected
        ",
        ),
        case(
            "what was lost is accepted all the same",
            || reach("LostInTransit"),
            |s| s.asks(conclude(1, units(0, 2))),
            "
            aftersales.rma 1: LostInTransit + Conclude -> Settling
            order.life 1: Completed + Waived -> Completed
            dispatch.parcel 1: Delivered + Repriced -> Delivered
            refund 1: New + Begin -> Sending
            posts P8 1818
            posts P9 card cust 1818
            wants SendBack 1 #0 amount=18.18 EUR attempt=1 channel=card reference=r1
        ",
        ),
        case(
            "what was lost is not accepted",
            || reach("LostInTransit"),
            |s| s.asks(conclude(1, Vec::new())),
            "
            aftersales.rma 1: LostInTransit + Conclude -> Rejected
        ",
        ),
        case(
            "cheaper goods are sent in place of what came back",
            || exchange(1_000),
            |s| s.asks(inspect(1, &[(0, 2, Verdict::Restock)])),
            "
            aftersales.rma 1: Received + Inspect -> Settling
            order.life 1: Completed + Waived -> Completed
            dispatch.parcel 2: New + Resend -> Reserving
            dispatch.parcel 1: Delivered + Repriced -> Delivered
            refund 1: New + Begin -> Sending
            posts P8 1818
            posts P9 card cust 818
            wants Restock 1 #0 units=2xcup
            wants Reserve 2 #1 asked=1 units=2xmug
            wants SendBack 1 #0 amount=8.18 EUR attempt=1 channel=card reference=r1
        ",
        ),
        case(
            "dearer goods wait for the difference",
            || exchange(2_400),
            |s| s.asks(inspect(1, &[(0, 2, Verdict::Restock)])),
            "
            aftersales.rma 1: Received + Inspect -> Settling
            order.life 1: Completed + Waived -> Completed
            dispatch.parcel 2: New + Resend -> Reserving
            dispatch.parcel 1: Delivered + Repriced -> Delivered
            posts P8 1818
            wants Restock 1 #0 units=2xcup
            wants Reserve 2 #1 asked=1 units=2xmug
        ",
        ),
        case(
            "the money is back",
            || reach("Settling"),
            |s| s.done("SendBack", refund::repaid(1_818)),
            "
            refund 1: Sending + Repaid -> Succeeded
            aftersales.rma 1: Settling + Squared -> Settled
            posts P10 card 1818
        ",
        ),
        case(
            "the money is not back in time",
            || reach("Settling"),
            |s| s.due("aftersales.rma", 1, "SettleDue"),
            "
            aftersales.rma 1: Settling + SettleDue -> Settling
            holds unsettled
        ",
        ),
    ];
    all.extend(each(
        "the warehouse refuses what came back",
        stocked,
        STOCKED,
        |s| s.declined("Restock", RestockRefused { why: "no shelf".to_owned() }),
        "
            aftersales.rma 1: {from} + RestockRefused -> {from}
            holds not_restocked
        ",
    ));
    all.extend(each(
        "the warehouse cannot be reached",
        stocked,
        STOCKED,
        |s| s.gave_up("Restock", false),
        "
            aftersales.rma 1: {from} + RestockGaveUp -> {from}
            holds not_restocked
        ",
    ));
    all
}

/// Two cups came back, for two mugs of this price.
pub(crate) fn exchange(price_minor: i64) -> Shop {
    let mut s = delivered();
    s.asks_as(&carla(), ask_return(1, units(0, 2), Reason::Wrong, mugs(price_minor)));
    s.asks(approve(1));
    s.asks(receive(1, units(0, 2)));
    s
}
