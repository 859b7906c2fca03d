//! Orders whose carrier is chosen among offers, told in every way.

use std::collections::BTreeMap;
use std::sync::Arc;

use consign::clock::Timestamp;
use consign::pipeline::Physical;
use consign::stage::dispatch::{CarrierPolicy, ConfirmStop, HandOver, Intercept, OfferBy, Pack, parcel};
use consign::testing::{Fault, FaultPlan, SandboxCarrier};

use super::journey::{cancel, delivered, start};
use super::support::{
    DAY, Disk, Folder, HOUR, MINUTE, MORNING, World, agent, carla, draft, packs_itself, run,
};
use super::tricky::{End, Step, Story};
use crate::rows::carriers::offers;

/// Red goes by road for 4.00 and blue by air for 9.00; what counts is as the policy says.
fn world(by: OfferBy, prepare: impl Fn(&World) + 'static) -> impl Fn(Disk) -> World {
    let mut policy = Physical::default();
    policy.dispatch.carriers = Some(CarrierPolicy { by: vec![by], ..CarrierPolicy::default() });
    move |disk| {
        let world = World::new(disk, policy.clone());
        offers().into_iter().for_each(|offer| world.carrier.offer(offer));
        prepare(&world);
        world
    }
}

/// Paid, reviewed, packed, and then what comes.
fn packed(world: impl Fn(Disk) -> World + 'static, then: Vec<Step>) -> End {
    let mut steps = vec![Step::Place, Step::ask(&carla(), "pay", start(1)), Step::Pass(HOUR), Step::PayAgain];
    steps.extend([Step::Pass(HOUR), Step::ask(&agent("wim"), "pack", parcel::M::command(1, Pack))]);
    steps.extend(then);
    Story::new(world, draft("o-1", &[5_000], &[("card", 5_000)]), steps).told()
}

fn goes_home() -> Vec<Step> {
    vec![
        Step::ask(&agent("wim"), "out", parcel::M::command(1, HandOver)),
        Step::Hear("home", delivered(1)),
        Step::Pass(DAY),
    ]
}

fn labels(of: &[(&str, usize)]) -> BTreeMap<String, usize> {
    of.iter().map(|(carrier, n)| ((*carrier).to_owned(), *n)).collect()
}

#[test]
fn the_carrier_is_chosen_by_cost_or_by_what_it_promises() {
    for (by, carrier) in [(OfferBy::Cost, "red"), (OfferBy::Promise, "blue")] {
        let end = packed(world(by, |_| {}), goes_home());
        assert_eq!((end.phase.as_str(), end.labels_of), ("completed", labels(&[(carrier, 1)])), "by {by:?}");
    }
}

#[test]
fn a_carrier_that_refuses_to_book_is_followed_by_the_next_offer() {
    let end = packed(world(OfferBy::Cost, |w| w.carrier.refuse_bookings("red")), goes_home());
    assert_eq!((end.phase.as_str(), end.labels_of), ("completed", labels(&[("blue", 1)])));
    assert_eq!(end.balances, "psp:card 5000, earned -5000");
}

#[test]
fn the_label_of_a_parcel_that_is_stopped_is_cancelled() {
    let then = vec![
        Step::Pass(HOUR),
        Step::ask(&agent("anna"), "cancel", cancel()),
        Step::ask(&agent("wim"), "stop", parcel::M::command(1, ConfirmStop)),
        Step::Pass(DAY),
    ];
    let end = packed(world(OfferBy::Cost, |_| {}), then);
    assert_eq!((end.phase.as_str(), end.balances.as_str()), ("cancelled", ""));
    assert_eq!(end.labels_of, labels(&[]), "it was booked, and is not any more");
    assert_eq!((end.reserved, end.moved), (0, (5_000, 5_000)));
}

#[test]
fn s7e_a_parcel_on_its_way_that_is_not_brought_back_is_delivered() {
    let mut then = goes_home();
    then.insert(1, Step::ask(&agent("anna"), "intercept", parcel::M::command(1, Intercept)));
    then.insert(1, Step::refused(&carla(), "executing", cancel()));
    let end = packed(world(OfferBy::Cost, |w| w.carrier.bring_back(false)), then);
    assert_eq!((end.phase.as_str(), end.moved), ("completed", (5_000, 0)));
    assert_eq!(end.balances, "psp:card 5000, earned -5000");
}

#[test]
fn carriers_keep_their_books_over_a_restart() {
    let folder = Folder::new("carriers");
    let open = || Arc::new(SandboxCarrier::open(Some(&folder.file("labels.jsonl"))).unwrap());
    run(async {
        let world = World { carrier: open(), ..World::new(Disk::memory(), packs_itself()) };
        world.carrier.plan(FaultPlan::default().fault("o-1", 1, "book", 1, Fault::LoseAnswer));
        let shop = world.open(Timestamp::from_millis(MORNING)).await;
        shop.place(draft("o-1", &[5_000], &[("card", 5_000)])).await.unwrap();
        shop.asks("o-1", &carla(), start(1)).await;
        // The label was booked, and nobody heard of it: those who are asked again are other ones, with the same books.
        assert_eq!(world.carrier.faults().get("lose_answer"), Some(&1));
        let (world, now) = shop.killed().await;
        let world = World { carrier: open(), ..world };
        assert_eq!(world.carrier.labels(), 1, "read back from the file");
        let shop = world.open(now).await;
        shop.pass(MINUTE).await;
        assert_eq!(shop.world.carrier.labels(), 1, "and booked once");
    });
}
