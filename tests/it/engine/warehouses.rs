//! Orders whose goods stand in several warehouses, told in every way.

use consign::order::{Draft, Line};
use consign::pipeline::Physical;
use consign::stage::dispatch::{Accepted, ConfirmStop, HandOver, OnShortage, Pack, parcel};

use super::journey::{cancel, delivered, start};
use super::support::{DAY, HOUR, World, agent, carla, draft};
use super::tricky::{Step, Story};
use crate::rows::warehouses::chooses;

/// Three teas for 10.00 each, to the south.
fn teas() -> Draft {
    let mut order = draft("o-1", &[], &[("card", 3_000)]);
    order.lines = vec![Line::goods("tea", 3, 1_000)];
    order.total_minor = 3_000;
    order.attributes.insert("zone".into(), "south".into());
    order
}

/// What stands in the north and in the south before the order comes.
fn shelves(north: u32, south: u32) -> impl Fn(super::support::Disk) -> World {
    let policy: Physical = chooses(OnShortage::Cancel);
    move |disk| {
        let world = World::new(disk, policy.clone());
        world.stock.fill("N", "tea", north);
        world.stock.fill("S", "tea", south);
        world
    }
}

fn paid() -> Vec<Step> {
    vec![
        Step::Place,
        Step::ask(&carla(), "pay", start(1)),
        Step::Pass(HOUR),
        Step::PayAgain,
        Step::Pass(HOUR),
    ]
}
fn packed(n: u32, pack: &'static str) -> Step {
    Step::ask(&agent("wim"), pack, parcel::M::command(n, Pack))
}
fn out(n: u32, out: &'static str) -> Step {
    Step::ask(&agent("wim"), out, parcel::M::command(n, HandOver))
}

#[test]
fn t21_of_the_parcels_of_two_warehouses_one_is_gone_and_the_other_goes_back_to_its_shelf() {
    let mut steps = paid();
    steps.extend([
        packed(1, "pack-1"),
        packed(2, "pack-2"),
        Step::ask(&agent("anna"), "cancel", cancel()),
        Step::Hear("out-1", parcel::M::evidence(1, Accepted)),
        Step::ask(&agent("nora"), "stop-2", parcel::M::command(2, ConfirmStop)),
        Step::Hear("home-1", delivered(1)),
        Step::Pass(DAY),
    ]);
    let end = Story::new(shelves(2, 1), teas(), steps).told();
    assert_eq!(end.phase, "completed");
    assert_eq!(end.balances, "psp:card 1000, earned -1000", "one tea from the south is kept and paid for");
    assert_eq!(end.moved, (3_000, 2_000));
    assert_eq!(end.shelves, "N 2xtea, S 0xtea");
    assert_eq!((end.reserved, end.stock_twice), (0, 0));
}

#[test]
fn goods_of_two_warehouses_travel_in_a_parcel_each() {
    let mut steps = paid();
    steps.extend([packed(1, "pack-1"), out(1, "out-1"), packed(2, "pack-2"), out(2, "out-2")]);
    steps.extend([Step::Hear("home-1", delivered(1)), Step::Hear("home-2", delivered(2)), Step::Pass(DAY)]);
    let end = Story::new(shelves(2, 1), teas(), steps).told();
    assert_eq!(end.phase, "completed");
    assert_eq!(end.balances, "psp:card 3000, earned -3000");
    assert_eq!(end.shelves, "N 0xtea, S 0xtea", "one from the south, which is near, and two from the north");
    assert_eq!((end.reserved, end.stock_twice), (0, 0));
}

#[test]
fn a_warehouse_that_is_short_after_all_is_left_out_of_the_next_choice() {
    let mut steps = paid();
    steps.extend([packed(1, "pack"), out(1, "out"), Step::Hear("home", delivered(1)), Step::Pass(DAY)]);
    let filled = shelves(3, 3);
    let world = move |disk| {
        let world = filled(disk);
        world.stock.tell_empty("S");
        world
    };
    let end = Story::new(world, teas(), steps).told();
    assert_eq!(end.phase, "completed");
    assert_eq!(end.balances, "psp:card 3000, earned -3000");
    assert_eq!(end.shelves, "N 0xtea, S 3xtea", "the south said that it had them");
}

#[test]
fn what_is_lacking_everywhere_ends_the_order_and_everything_goes_back() {
    let mut steps = paid();
    steps.push(Step::Pass(DAY));
    let filled = shelves(3, 3);
    let world = move |disk| {
        let world = filled(disk);
        world.stock.lacks("tea");
        world
    };
    let end = Story::new(world, teas(), steps).told();
    assert_eq!(end.phase, "cancelled");
    assert_eq!(end.balances, "");
    assert_eq!(end.moved, (3_000, 3_000));
    assert_eq!(end.shelves, "N 3xtea, S 3xtea");
}
