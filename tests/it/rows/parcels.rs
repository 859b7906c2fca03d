//! Parcels that carry what the document did not say at first: amended, split, short, sent again.

use consign::id::Key;
use consign::machine::{Answer, Call, Cx, Decide, Next, On, to, until};
use consign::order::{Draft, Line};
use consign::pipeline::lifecycle::{Amend, lifecycle};
use consign::pipeline::{Physical, Pipeline, pipeline};
use consign::stage::dispatch::{
    InStock, Item, OnShortPick, OnShortage, PickShort, Resend, Short, Unit, parcel,
};
use consign::stage::{payment::attempt, refund::refund, review};
use serde::{Deserialize, Serialize};

use super::{Case, case, dispatch};
use crate::support::shop::{Shop, order_in, order_of};

/// Two units of what there was one of, for less.
fn two_units() -> Call {
    let mut draft = Draft::from(order_of(5000));
    draft.lines = vec![Line::goods("from-shop", 2, 2500).in_group("shop")];
    lifecycle::M::command(1, Amend { draft })
}
/// From elsewhere.
fn elsewhere() -> Call {
    let mut draft = Draft::from(order_of(5000));
    draft.lines = vec![Line::goods("from-north", 1, 5000).in_group("north")];
    lifecycle::M::command(1, Amend { draft })
}
/// The same for less.
fn cheaper() -> Call {
    super::amend::amend_to(&[("shop", 4000)], &[("card", 4000)])
}

pub(crate) fn pick_short(sku: &str, quantity: u32) -> Call {
    parcel::M::command(1, PickShort { missing: vec![Unit { sku: sku.into(), quantity }] })
}

/// One parcel of three teas and a pot, paid, reviewed and to be packed.
pub(crate) fn released(short_pick: OnShortPick) -> Shop {
    let mut policy = Physical::default();
    policy.dispatch.short_pick = short_pick;
    let mut s = tea_and_pot(policy);
    s.done("Reserve", InStock);
    s
}

fn tea_and_pot(policy: Physical) -> Shop {
    let mut draft = Draft::from(order_of(5000));
    draft.lines =
        vec![Line::goods("tea", 3, 1000).in_group("shop"), Line::goods("pot", 1, 2000).in_group("shop")];
    let mut s = Shop::place(policy, consign::order::Order::parse(draft).unwrap());
    dispatch::pay_and_pass(&mut s);
    s
}

/// A parcel before it is paid for, in a state that it can be in then.
fn unpaid(state: &str) -> Shop {
    let mut policy = dispatch::reserved_first();
    policy.dispatch.shortage = OnShortage::Wait;
    let mut s = Shop::place(policy, order_of(5000));
    match state {
        "Reserving" => {}
        "Backordered" => s.done("Reserve", dispatch::short()),
        _ => s.done("Reserve", InStock),
    }
    match state {
        "OnHold" => s.asks(dispatch::hold("address")),
        "Unreserving" | "Planned" => s.due("dispatch.parcel", 1, "ReserveDue"),
        _ => {}
    }
    if state == "Planned" {
        s.done("Unreserve", consign::stage::dispatch::Unreserved);
    }
    assert_eq!(s.state("dispatch.parcel", 1), state, "{}", s.show());
    s
}

/// A held parcel of which nothing is set aside.
fn held_unstocked() -> Shop {
    let mut s = unpaid("Backordered");
    s.asks(dispatch::hold("address"));
    s
}

/// Whoever sends something again, so that `Resend` has somebody to ask for it.
pub(crate) mod again {
    use super::*;

    #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
    pub(crate) struct Asked;
    #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
    pub(crate) struct Over;
    #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
    pub(crate) struct Send;
    #[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
    pub(crate) struct Due;
    #[derive(Debug)]
    pub(crate) struct Again;

    consign::machine! {
        pub(crate) mod table = "again" v 1;
        policy ();
        effects {}
        asks { Again }
        inputs { command Send; timer Due; }
        states { Asked: wait(Due), Over: done }
        rows {
            New   + Send => Asked ? Again;
            Asked + Due  => Over;
        }
    }
    impl Decide<Send> for table::New {
        fn decide(&self, _: &Send, cx: &mut Cx<'_, Self::R>) -> Answer<Self::R> {
            cx.ask(Again);
            Ok(until(cx.after_ms(1), Asked))
        }
    }
    impl On<Due> for Asked {
        fn on(&self, _: &Due, _: &mut Cx<'_, Self::R>) -> Next<Self::R> {
            to(Over)
        }
    }

    pub(crate) fn composed() -> Pipeline {
        let p = Physical::default();
        pipeline("again", 1, p.life)
            .then(attempt::M::with(p.payment))
            .then(review::case::M::with(p.review))
            .then(parcel::M::with(p.dispatch))
            .beside(refund::M::with(p.refund))
            .beside(table::M::with(()))
            .usual_routes()
            .route::<Again, parcel::M, Resend>(|_, view| {
                let load = vec![Item { sku: "tea".into(), quantity: 1, line: None, again: false }];
                vec![(consign::stage::dispatch::next_key(view), Resend { load, share_minor: 0 })]
            })
            .build()
            .unwrap()
    }
}

pub(super) fn cases() -> Vec<Case> {
    let mut all = amended();
    all.extend(missing());
    all
}

fn amended() -> Vec<Case> {
    let mut all = Vec::new();
    for state in ["Planned", "Reserving", "Backordered", "Reserved", "OnHold", "Unreserving"] {
        let then: fn(&mut Shop) = |s| s.asks(two_units());
        let name = format!("amended to two units ({state})");
        let told = told(&name);
        all.push(case(name, move || unpaid(state), then, told));
    }
    for state in ["Planned", "Backordered", "Reserved", "Unreserving"] {
        let then: fn(&mut Shop) = |s| s.asks(elsewhere());
        let name = format!("amended to another group ({state})");
        let told = told(&name);
        all.push(case(name, move || unpaid(state), then, told));
    }
    for state in ["Reserving", "Reserved", "OnHold"] {
        let then: fn(&mut Shop) = |s| s.asks(cheaper());
        let name = format!("amended to another price ({state})");
        let told = told(&name);
        all.push(case(name, move || unpaid(state), then, told));
    }
    all.push(case(
        "amended while it is held without stock",
        held_unstocked,
        |s| s.asks(two_units()),
        told("amended while it is held without stock"),
    ));
    all.push(case(
        "gone while it is held without stock",
        held_unstocked,
        |s| s.asks(elsewhere()),
        told("gone while it is held without stock"),
    ));
    all.push(case(
        "amended when it was to be packed",
        || dispatch::reach("Released"),
        |s| s.asks(two_units()),
        told("amended when it was to be packed"),
    ));
    all.push(case(
        "cheaper when it was to be packed",
        || dispatch::reach("Released"),
        |s| s.asks(cheaper()),
        told("cheaper when it was to be packed"),
    ));
    all
}

fn missing() -> Vec<Case> {
    vec![
        case(
            "a part is missing and travels later",
            || released(OnShortPick::Split),
            |s| s.asks(pick_short("tea", 2)),
            told("a part is missing and travels later"),
        ),
        case(
            "a part is missing and is called off",
            || released(OnShortPick::CallOff),
            |s| s.asks(pick_short("tea", 2)),
            told("a part is missing and is called off"),
        ),
        case(
            "all of it is missing and travels later",
            || {
                let mut s = dispatch::reach("Released");
                s.release_holds();
                s
            },
            |s| s.asks(pick_short("from-shop", 1)),
            told("all of it is missing and travels later"),
        ),
        case(
            "a part is not in stock and is called off",
            || {
                let mut policy = Physical::default();
                policy.dispatch.shortage = OnShortage::CallOff;
                tea_and_pot(policy)
            },
            |s| s.done("Reserve", Short { missing: vec![Unit { sku: "pot".into(), quantity: 1 }] }),
            told("a part is not in stock and is called off"),
        ),
        case(
            "one of two parcels is not in stock and is called off",
            || {
                let mut policy = Physical::default();
                policy.dispatch.shortage = OnShortage::CallOff;
                let order = order_in(&[("north", 3000), ("south", 2000)], &[("card", 5000)]);
                let mut s = Shop::place(policy, order);
                dispatch::pay_and_pass(&mut s);
                s
            },
            |s| s.done("Reserve 2", dispatch::short()),
            told("one of two parcels is not in stock and is called off"),
        ),
        case(
            "the warehouse refuses, and it is called off",
            || {
                let mut policy = Physical::default();
                policy.dispatch.shortage = OnShortage::CallOff;
                dispatch::reach_under(policy, "Reserving")
            },
            |s| s.declined("Reserve", consign::stage::dispatch::ReserveRefused { why: "fire".into() }),
            told("the warehouse refuses, and it is called off"),
        ),
        case(
            "something is sent again",
            || Shop::place_on(again::composed(), order_of(5000)),
            |s| s.asks(again::table::M::command(1, again::Send)),
            told("something is sent again"),
        ),
    ]
}

#[test]
fn what_is_split_off_carries_its_share_and_nothing_is_lost() {
    let mut s = released(OnShortPick::Split);
    s.asks(pick_short("tea", 2));
    let shares: Vec<i64> = [1, 2]
        .iter()
        .map(|k| {
            s.pipeline
                .state::<parcel::M>(&s.order, Key(*k))
                .map(|p| consign::stage::dispatch::trip(p).share_minor)
                .unwrap()
        })
        .collect();
    assert_eq!(shares, [3000, 2000], "one tea and the pot, and two teas");
    // A parcel misses only what it should carry.
    for (sku, quantity) in [("tea", 2), ("cup", 1), ("pot", 0)] {
        let refused = s.tries_as(&crate::support::shop::agent("wim"), pick_short(sku, quantity));
        assert!(refused.unwrap_err().to_string().contains("not_in_it"), "{quantity} {sku}");
    }
}

/// What comes of each case.
fn told(name: &str) -> &'static str {
    match name {
        "amended to two units (Planned)" => {
            "
            order.life 1: Placed + Amend -> Placed
            dispatch.parcel 1: Planned + Replan -> Planned
        "
        }
        "amended to two units (Reserving)" => {
            "
            order.life 1: Placed + Amend -> Placed
            dispatch.parcel 1: Reserving + Replan -> Unreserving
            wants Unreserve 1 #1 asked=1 units=1xfrom-shop
        "
        }
        "amended to two units (Backordered)" => {
            "
            order.life 1: Placed + Amend -> Placed
            dispatch.parcel 1: Backordered + Replan -> Planned
        "
        }
        "amended to two units (Reserved)" => {
            "
            order.life 1: Placed + Amend -> Placed
            dispatch.parcel 1: Reserved + Replan -> Unreserving
            wants Unreserve 1 #1 asked=1 units=1xfrom-shop
        "
        }
        "amended to two units (OnHold)" => {
            "
            order.life 1: Placed + Amend -> Placed
            dispatch.parcel 1: OnHold + Replan -> Unreserving
            wants Unreserve 1 #1 asked=1 units=1xfrom-shop
        "
        }
        "amended to two units (Unreserving)" => {
            "
            order.life 1: Placed + Amend -> Placed
            dispatch.parcel 1: Unreserving + Replan -> Unreserving
        "
        }
        "amended to another group (Planned)" => {
            "
            order.life 1: Placed + Amend -> Placed
            dispatch.parcel 2: New + Replan -> Planned
            dispatch.parcel 1: Planned + Replan -> Cancelled
        "
        }
        "amended to another group (Backordered)" => {
            "
            order.life 1: Placed + Amend -> Placed
            dispatch.parcel 2: New + Replan -> Planned
            dispatch.parcel 1: Backordered + Replan -> Cancelled
        "
        }
        "amended to another group (Reserved)" => {
            "
            order.life 1: Placed + Amend -> Placed
            dispatch.parcel 2: New + Replan -> Planned
            dispatch.parcel 1: Reserved + Replan -> Unreserving
            wants Unreserve 1 #1 asked=1 units=1xfrom-shop
        "
        }
        "amended to another group (Unreserving)" => {
            "
            order.life 1: Placed + Amend -> Placed
            dispatch.parcel 2: New + Replan -> Planned
            dispatch.parcel 1: Unreserving + Replan -> Unreserving
        "
        }
        "amended to another price (Reserving)" => {
            "
            order.life 1: Placed + Amend -> Placed
            dispatch.parcel 1: Reserving + Replan -> Reserving
        "
        }
        "amended to another price (Reserved)" => {
            "
            order.life 1: Placed + Amend -> Placed
            dispatch.parcel 1: Reserved + Replan -> Reserved
        "
        }
        "amended to another price (OnHold)" => {
            "
            order.life 1: Placed + Amend -> Placed
            dispatch.parcel 1: OnHold + Replan -> OnHold
        "
        }
        "amended while it is held without stock" => {
            "
            order.life 1: Placed + Amend -> Placed
            dispatch.parcel 1: OnHold + Replan -> Planned
        "
        }
        "gone while it is held without stock" => {
            "
            order.life 1: Placed + Amend -> Placed
            dispatch.parcel 2: New + Replan -> Planned
            dispatch.parcel 1: OnHold + Replan -> Cancelled
        "
        }
        "amended when it was to be packed" => {
            "
            order.life 1: Placed + Amend -> Placed
            review.case 1: AutoApproved + Amended -> Scoring
            dispatch.parcel 1: Released + Replan -> Unreserving
            wants Score 1 #1 total=50.00 EUR
            wants Unreserve 1 #1 asked=1 units=1xfrom-shop
        "
        }
        "cheaper when it was to be packed" => {
            "
            order.life 1: Placed + Amend -> Placed
            review.case 1: AutoApproved + Amended -> Scoring
            dispatch.parcel 1: Released + Replan -> Released
            refund 1: New + Begin -> Sending
            dispatch.parcel 1: Released + GatesShut -> Reserved
            posts P9 card cust 1000
            wants Score 1 #1 total=40.00 EUR
            wants SendBack 1 #0 amount=10.00 EUR attempt=1 channel=card reference=r1
        "
        }
        "a part is missing and travels later" => {
            "
            dispatch.parcel 1: Released + PickShort -> Released
            dispatch.parcel 2: New + Split -> Planned
            wants Unreserve 1 #4294967295 asked=1 units=2xtea
        "
        }
        "a part is missing and is called off" => {
            "
            dispatch.parcel 1: Released + PickShort -> Released
            order.life 1: Placed + Waived -> Placed
            refund 1: New + Begin -> Sending
            posts P9 card cust 2000
            wants Unreserve 1 #4294967295 asked=1 units=2xtea
            wants SendBack 1 #0 amount=20.00 EUR attempt=1 channel=card reference=r1
        "
        }
        "all of it is missing and travels later" => {
            "
            dispatch.parcel 1: Released + PickShort -> Unreserving
            dispatch.parcel 2: New + Split -> Planned
            wants Unreserve 1 #1 asked=1 units=1xfrom-shop
        "
        }
        "a part is not in stock and is called off" => {
            "
            dispatch.parcel 1: Reserving + Short -> Reserving
            order.life 1: Placed + Waived -> Placed
            refund 1: New + Begin -> Sending
            posts P9 card cust 2000
            wants Reserve 1 #2 asked=2 units=3xtea
            wants SendBack 1 #0 amount=20.00 EUR attempt=1 channel=card reference=r1
        "
        }
        "one of two parcels is not in stock and is called off" => {
            "
            dispatch.parcel 2: Reserving + Short -> Cancelled
            order.life 1: Placed + Waived -> Placed
            refund 1: New + Begin -> Sending
            posts P9 card cust 2000
            wants SendBack 1 #0 amount=20.00 EUR attempt=1 channel=card reference=r1
        "
        }
        "the warehouse refuses, and it is called off" => {
            "
            dispatch.parcel 1: Reserving + ReserveRefused -> Cancelled
            order.life 1: Placed + Waived -> Placed
            refund 1: New + Begin -> Sending
            order.life 1: Placed + Failed -> Cancelling
            payment.attempt 1: Captured + GiveBack -> Captured
            posts P9 card cust 5000
            wants SendBack 1 #0 amount=50.00 EUR attempt=1 channel=card reference=r1
        "
        }
        "something is sent again" => {
            "
            again 1: New + Send -> Asked
            dispatch.parcel 2: New + Resend -> Reserving
            wants Reserve 2 #1 asked=1 units=1xtea
        "
        }
        other => panic!("nothing is said of {other}"),
    }
}
