//! Parcels whose warehouse is chosen: asked, allotted, split, and chosen anew.

use consign::machine::Call;
use consign::order::{Draft, Line, Order};
use consign::pipeline::Physical;
use consign::pipeline::lifecycle::{Amend, lifecycle};
use consign::stage::dispatch::{
    AskStockRefused, InStock, OnShortage, ReserveRefused, ReserveWhen, Short, SplitCost, StockSeen, Unit,
    Unreserved, Warehouse, WarehousePolicy, WarehouseStock, parcel,
};

use super::{Case, case, dispatch, lifecycle as life};
use crate::support::shop::{Shop, order_of};

/// A warehouse in the north and one in the south; either sends anywhere, and is near to its own.
pub(crate) fn north_and_south() -> WarehousePolicy {
    let house = |name: &str, north: u64, south: u64| Warehouse {
        name: name.to_owned(),
        zones: [("north".to_owned(), north), ("south".to_owned(), south)].into(),
        elsewhere: Some(900),
        cut_off_minute: 840,
    };
    WarehousePolicy {
        warehouses: vec![house("N", 300, 700), house("S", 800, 200)],
        zone_attribute: "zone".to_owned(),
        split: SplitCost::Any,
    }
}

pub(crate) fn chooses(shortage: OnShortage) -> Physical {
    let mut policy = Physical::default();
    policy.dispatch.warehouses = Some(north_and_south());
    policy.dispatch.shortage = shortage;
    policy
}

/// Three teas and a pot in one group, to the south.
fn tea_and_pot() -> Order {
    let mut draft = Draft::from(order_of(5000));
    draft.lines =
        vec![Line::goods("tea", 3, 1000).in_group("shop"), Line::goods("pot", 1, 2000).in_group("shop")];
    draft.attributes.insert("zone".to_owned(), "south".to_owned());
    Order::parse(draft).unwrap()
}

fn has(warehouse: &str, tea: u32, pot: u32) -> WarehouseStock {
    let unit = |sku: &str, quantity| Unit { sku: sku.to_owned(), quantity };
    WarehouseStock { warehouse: warehouse.to_owned(), units: vec![unit("tea", tea), unit("pot", pot)] }
}
fn seen(north: (u32, u32), south: (u32, u32)) -> StockSeen {
    StockSeen { stock: vec![has("N", north.0, north.1), has("S", south.0, south.1)] }
}
fn plenty() -> StockSeen {
    seen((9, 9), (9, 9))
}
fn short() -> Short {
    Short { missing: vec![Unit { sku: "tea".into(), quantity: 3 }] }
}
fn amended(tea: u32, price: i64, group: &str) -> Call {
    let mut draft = Draft::from(tea_and_pot());
    draft.lines =
        vec![Line::goods("tea", tea, price).in_group(group), Line::goods("pot", 1, 2000).in_group(group)];
    draft.total_minor = i64::from(tea) * price + 2000;
    draft.tenders[0].amount_minor = draft.total_minor;
    lifecycle::M::command(1, Amend { draft })
}

/// Paid and reviewed: the warehouses are asked.
fn asked(shortage: OnShortage) -> Shop {
    let mut s = Shop::place(chooses(shortage), tea_and_pot());
    dispatch::pay_and_pass(&mut s);
    assert_eq!(s.state("dispatch.parcel", 1), "Allocating", "{}", s.show());
    s
}
/// The same before anybody has paid.
fn asked_first() -> Shop {
    let mut policy = chooses(OnShortage::Wait);
    policy.dispatch.reserve = ReserveWhen::Placed;
    Shop::place(policy, tea_and_pot())
}
/// Set aside is asked for in the south.
fn south() -> Shop {
    let mut s = asked(OnShortage::Wait);
    s.done("AskStock", plenty());
    s
}

pub(super) fn cases() -> Vec<Case> {
    let mut all = looked();
    all.extend(anew());
    all
}

fn looked() -> Vec<Case> {
    vec![
        case(
            "the warehouses are asked with the order",
            asked_first,
            |s| *s = asked_first(),
            "
            order.life 1: New + Place -> Placed
            dispatch.parcel 1: New + Ordered -> Allocating
            wants AskStock 1 #1 units=3xtea+1xpot
        ",
        ),
        case(
            "the warehouses are asked when paid and passed",
            || {
                let mut s = Shop::place(chooses(OnShortage::Wait), tea_and_pot());
                s.asks(super::payment::start(1));
                s.done("Charge", super::payment::paid(5000));
                s
            },
            |s| s.done("Score", super::review::scored(3)),
            "
            review.case 1: Scoring + Scored -> AutoApproved
            dispatch.parcel 1: New + GatesOpen -> Allocating
            wants AskStock 1 #1 units=3xtea+1xpot
        ",
        ),
        case(
            "one warehouse has all of it",
            || asked(OnShortage::Wait),
            |s| s.done("AskStock", plenty()),
            "
            dispatch.parcel 1: Allocating + StockSeen -> Reserving
            wants Reserve 1 #2 asked=2 units=3xtea+1xpot warehouse=S
        ",
        ),
        case(
            "two warehouses send a parcel each",
            || asked(OnShortage::Wait),
            |s| s.done("AskStock", seen((2, 9), (1, 0))),
            "
            dispatch.parcel 1: Allocating + StockSeen -> Reserving
            dispatch.parcel 2: New + Split -> Reserving
            wants Reserve 1 #2 asked=2 units=1xtea warehouse=S
            wants Reserve 2 #1 asked=1 units=2xtea+1xpot warehouse=N
        ",
        ),
        case(
            "no warehouse has it, and the order goes",
            || asked(OnShortage::Cancel),
            |s| s.done("AskStock", seen((1, 1), (1, 0))),
            "
            dispatch.parcel 1: Allocating + StockSeen -> Backordered
            order.life 1: Placed + Unfillable -> Cancelling
            dispatch.parcel 1: Backordered + Stop -> Cancelled
            payment.attempt 1: Captured + GiveBack -> Captured
            refund 1: New + Begin -> Sending
            posts P9 card cust 5000
            wants SendBack 1 #0 amount=50.00 EUR attempt=1 channel=card reference=r1
        ",
        ),
        case(
            "no warehouse has it, and the parcel waits",
            || asked(OnShortage::Wait),
            |s| s.done("AskStock", seen((1, 1), (1, 0))),
            "
            dispatch.parcel 1: Allocating + StockSeen -> Backordered
        ",
        ),
        case(
            "what no warehouse has is called off",
            || asked(OnShortage::CallOff),
            |s| s.done("AskStock", seen((1, 1), (1, 0))),
            "
            dispatch.parcel 1: Allocating + StockSeen -> Reserving
            order.life 1: Placed + Waived -> Placed
            dispatch.parcel 2: New + Split -> Reserving
            refund 1: New + Begin -> Sending
            posts P9 card cust 1000
            wants Reserve 1 #2 asked=2 units=1xtea warehouse=S
            wants Reserve 2 #1 asked=1 units=1xtea+1xpot warehouse=N
            wants SendBack 1 #0 amount=10.00 EUR attempt=1 channel=card reference=r1
        ",
        ),
        case(
            "none of it is anywhere, and all is called off",
            || asked(OnShortage::CallOff),
            |s| s.done("AskStock", seen((0, 0), (0, 0))),
            "
            dispatch.parcel 1: Allocating + StockSeen -> Cancelled
            order.life 1: Placed + Waived -> Placed
            refund 1: New + Begin -> Sending
            order.life 1: Placed + Failed -> Cancelling
            payment.attempt 1: Captured + GiveBack -> Captured
            posts P9 card cust 5000
            wants SendBack 1 #0 amount=50.00 EUR attempt=1 channel=card reference=r1
        ",
        ),
        case(
            "the inventory does not say what there is",
            || asked(OnShortage::Wait),
            |s| s.declined("AskStock", AskStockRefused { why: "closed".into() }),
            "
            dispatch.parcel 1: Allocating + AskStockRefused -> Backordered
        ",
        ),
        case(
            "the warehouses are asked again",
            || {
                let mut s = asked(OnShortage::Wait);
                s.lost("AskStock");
                s
            },
            |s| s.due("dispatch.parcel", 1, "AnswerDue"),
            "
            dispatch.parcel 1: Allocating + AnswerDue -> Allocating
            wants AskStock 1 #1 units=3xtea+1xpot
        ",
        ),
        case(
            "called off while the warehouses are asked",
            asked_first,
            |s| s.asks(life::cancel()),
            "
            order.life 1: Placed + Cancel -> Cancelling
            dispatch.parcel 1: Allocating + Stop -> Cancelled
            order.life 1: Cancelling + Cleared -> Cancelled
        ",
        ),
        case(
            "another price while the warehouses are asked",
            asked_first,
            |s| s.asks(amended(3, 900, "shop")),
            "
            order.life 1: Placed + Amend -> Placed
            dispatch.parcel 1: Allocating + Replan -> Allocating
        ",
        ),
        case(
            "more of it while the warehouses are asked",
            asked_first,
            |s| s.asks(amended(4, 900, "shop")),
            "
            order.life 1: Placed + Amend -> Placed
            dispatch.parcel 1: Allocating + Replan -> Planned
        ",
        ),
        case(
            "another group while the warehouses are asked",
            asked_first,
            |s| s.asks(amended(3, 1000, "north")),
            "
            order.life 1: Placed + Amend -> Placed
            dispatch.parcel 2: New + Replan -> Planned
            dispatch.parcel 1: Allocating + Replan -> Cancelled
        ",
        ),
    ]
}

fn anew() -> Vec<Case> {
    vec![
        case(
            "short after all: chosen without that one",
            south,
            |s| s.done("Reserve", short()),
            "
            dispatch.parcel 1: Reserving + Short -> Allocating
            wants AskStock 1 #3 units=3xtea+1xpot
        ",
        ),
        case(
            "refused after all: chosen without that one",
            south,
            |s| s.declined("Reserve", ReserveRefused { why: "fire".into() }),
            "
            dispatch.parcel 1: Reserving + ReserveRefused -> Allocating
            wants AskStock 1 #3 units=3xtea+1xpot
        ",
        ),
        case(
            "held without stock, and called off",
            || {
                let mut s = dispatch::reach("Backordered");
                s.asks(dispatch::hold("address"));
                s
            },
            |s| s.asks(life::cancel()),
            "
            order.life 1: Placed + Cancel -> Cancelling
            dispatch.parcel 1: OnHold + Stop -> Cancelled
            payment.attempt 1: Captured + GiveBack -> Captured
            refund 1: New + Begin -> Sending
            posts P9 card cust 5000
            wants SendBack 1 #0 amount=50.00 EUR attempt=1 channel=card reference=r1
        ",
        ),
        case(
            "the other one sends it",
            || {
                let mut s = south();
                s.done("Reserve", short());
                s
            },
            |s| s.done("AskStock", plenty()),
            "
            dispatch.parcel 1: Allocating + StockSeen -> Reserving
            wants Reserve 1 #4 asked=4 units=3xtea+1xpot warehouse=N
        ",
        ),
        case(
            "short everywhere after all",
            || {
                let mut s = south();
                s.done("Reserve", short());
                s.done("AskStock", plenty());
                s.done("Reserve", short());
                s
            },
            |s| s.done("AskStock", plenty()),
            "
            dispatch.parcel 1: Allocating + StockSeen -> Backordered
        ",
        ),
        case(
            "every warehouse is asked again after a shortage",
            || {
                let mut s = south();
                s.done("Reserve", short());
                s.done("AskStock", seen((0, 0), (9, 9)));
                s
            },
            |s| s.due("dispatch.parcel", 1, "RestockDue"),
            "
            dispatch.parcel 1: Backordered + RestockDue -> Allocating
            wants AskStock 1 #4 units=3xtea+1xpot
        ",
        ),
        case(
            "a plan is looked at again: the warehouses are asked",
            || {
                let mut s = asked_first();
                s.done("AskStock", plenty());
                s.done("Reserve", InStock);
                s.due("dispatch.parcel", 1, "ReserveDue");
                dispatch::pay_and_pass(&mut s);
                s.done("Unreserve", Unreserved);
                s
            },
            |s| s.due("dispatch.parcel", 1, "PlanDue"),
            "
            dispatch.parcel 1: Planned + PlanDue -> Allocating
            wants AskStock 1 #3 units=3xtea+1xpot
        ",
        ),
    ]
}

/// The parcels: key, state, warehouse, load, share.
fn parcels(s: &Shop) -> Vec<String> {
    let of = |key| {
        let state = s.pipeline.state::<parcel::M>(&s.order, key)?;
        let trip = consign::stage::dispatch::trip(state);
        let load: Vec<String> = trip.load.iter().map(|i| format!("{}x{}", i.quantity, i.sku)).collect();
        let at = trip.warehouse.as_deref().unwrap_or("-");
        Some(format!(
            "{key} {} {at} {} {}",
            s.state("dispatch.parcel", key),
            load.join("+"),
            trip.share_minor
        ))
    };
    (1..10).map_while(of).collect()
}

#[test]
fn the_parcels_of_two_warehouses_share_what_the_order_costs() {
    let mut s = asked(OnShortage::Wait);
    s.done("AskStock", seen((2, 9), (1, 0)));
    assert_eq!(parcels(&s), ["1 Reserving S 1xtea 1000", "2 Reserving N 2xtea+1xpot 4000"]);
    // The second one is short after all, and is looked for elsewhere; the first keeps its place.
    s.done("Reserve 2", short());
    s.done("AskStock 2", seen((9, 9), (2, 9)));
    assert_eq!(parcels(&s), ["1 Reserving S 1xtea 1000", "2 Reserving S 2xtea+1xpot 4000"]);
    s.done("Reserve 1", InStock);
    s.done("Reserve 2", InStock);
    for key in [1, 2] {
        s.asks(dispatch::pack_parcel(key));
        s.asks(dispatch::hand_over(key));
        assert!(s.last.told.contains("wants Consume"), "{}", s.last.told);
        assert!(s.last.told.contains("warehouse=S"), "{}", s.last.told);
        s.hears(dispatch::delivered(key));
    }
    assert_eq!(s.life(), "Completed");
    assert_eq!(s.balances(), "psp:card 5000, earned -5000");
}

#[test]
fn what_is_planned_anew_goes_back_to_where_it_was_set_aside() {
    let mut s = asked_first();
    s.done("AskStock", plenty());
    s.done("Reserve", InStock);
    s.asks(amended(4, 900, "shop"));
    assert!(
        s.last.told.contains("wants Unreserve 1 #2 asked=2 units=3xtea+1xpot warehouse=S"),
        "{}",
        s.last.told
    );
    s.done("Unreserve", Unreserved);
    dispatch::pay_and_pass(&mut s);
    s.done("AskStock", seen((9, 9), (3, 9)));
    assert_eq!(parcels(&s), ["1 Reserving N 4xtea+1xpot 5600"], "what the south has is not enough any more");
}

#[test]
fn without_warehouses_nobody_is_asked_what_there_is() {
    let mut s = Shop::place(Physical::default(), tea_and_pot());
    let before = s.order.version;
    dispatch::pay_and_pass(&mut s);
    s.done("Reserve", InStock);
    assert_eq!(s.state("dispatch.parcel", 1), "Released");
    assert_eq!(s.order.version, before + 4, "asked to pay, paid, reviewed, set aside");
}
