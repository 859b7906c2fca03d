//! Orders of services, and of goods and services, through the engine: whole journeys on virtual time, and stories told
//! in every way.

use std::sync::Arc;

use consign::engine::PlaceError;
use consign::money::Money;
use consign::order::{Draft, DraftTender, Line};
use consign::pipeline::{Digital, Mixed, Pipeline, Unplaced, digital, lifecycle, mixed};
use consign::stage::activation::{
    Appeal, Available, Ended, Pause, Resubmit, Resume, Spent, Terminate, service,
};
use consign::stage::dispatch::{DispatchPolicy, HandOver, Packing, parcel};
use consign::stage::review::{ReviewPolicy, TierPolicy};
use consign::testing::{Fault, FaultPlan, PlatformTotals, SandboxPlatform};

use super::journey::{cancel, delivered, start};
use super::support::{DAY, Disk, Folder, HOUR, MINUTE, Pipelines, World, agent, carla, key, run};
use super::tricky::{Step, Story};

/// The score alone decides who looks at an order, and parcels pack themselves.
fn quick() -> Mixed {
    Mixed {
        review: ReviewPolicy { tiers: TierPolicy::by_amount(&[]), ..ReviewPolicy::default() },
        dispatch: DispatchPolicy { packing: Packing::Automatic, ..DispatchPolicy::default() },
        ..Mixed::default()
    }
}

fn quick_digital() -> Pipeline {
    let Mixed { life, payment, review, activation, refund, .. } = quick();
    digital(Digital { life, payment, review, activation, refund }).unwrap()
}

/// An order of one parcel, where it has goods, and one service per price.
fn order(id: &str, goods: Option<i64>, services: &[i64]) -> Draft {
    let mut draft = Draft::new(id, "EUR", carla());
    draft.lines.extend(goods.map(|price| Line::goods("poster", 1, price)));
    for (n, price) in services.iter().enumerate() {
        draft.lines.push(Line::service(format!("ad-{}", n + 1), 1, *price));
    }
    draft.total_minor = goods.unwrap_or(0) + services.iter().sum::<i64>();
    draft.tenders.push(DraftTender::new("card", draft.total_minor));
    draft
}

fn eur(minor: i64) -> Money {
    Money::new(minor, "EUR".parse().unwrap())
}

fn spent(external_ref: &str, minor: i64) -> consign::machine::Call {
    service::M::evidence(1, Spent { external_ref: external_ref.to_owned(), spent: eur(minor) })
}

fn ended(external_ref: &str, minor: i64) -> consign::machine::Call {
    service::M::evidence(1, Ended { external_ref: Some(external_ref.to_owned()), spent: eur(minor) })
}

fn terminate() -> consign::machine::Call {
    service::M::command(1, Terminate)
}

async fn digital_journey(disk: Disk, reopens: bool) {
    let world = World {
        platform: Arc::new(SandboxPlatform::open(None).unwrap().reviewing()),
        ..World::of(disk, Pipelines::of(|| vec![quick_digital()]))
    };
    let platform = world.platform.clone();
    let mut shop = world.open(consign::clock::Timestamp::from_millis(super::support::MORNING)).await;
    shop.place(order("o-1", None, &[50_000])).await.unwrap();
    shop.asks("o-1", &carla(), start(1)).await;
    assert_eq!(shop.phase("o-1").await, "activating", "{}", shop.show("o-1").await);
    if reopens {
        shop = shop.reopened().await;
    }
    // Rejected, fixed, rejected, and passed on appeal.
    shop.pass(HOUR).await;
    shop.hears("o-1", "p-1", service::M::evidence(1, platform.reject("o-1", 1, "unclear"))).await;
    shop.asks("o-1", &carla(), service::M::command(1, Resubmit { material: "banner-2".into() })).await;
    shop.hears("o-1", "p-2", service::M::evidence(1, platform.reject("o-1", 1, "a foreign mark"))).await;
    shop.asks("o-1", &carla(), service::M::command(1, Appeal { reason: "it is our own".into() })).await;
    platform.pass("o-1", 1);
    // Nobody tells; the next inquiry finds it.
    shop.pass(2 * HOUR).await;
    assert_eq!(shop.phase("o-1").await, "active", "{}", shop.show("o-1").await);
    if reopens {
        shop = shop.reopened().await;
    }
    platform.spend("o-1", 1, 12_000);
    shop.pass(DAY).await;
    assert_eq!(shop.balances("o-1").await, "psp:card 50000, cust -38000, earned -12000");
    shop.asks("o-1", &carla(), service::M::command(1, Pause)).await;
    assert_eq!(platform.totals().running, 0);
    shop.asks("o-1", &carla(), service::M::command(1, Resume)).await;
    assert_eq!(platform.totals().running, 1);
    let refused = shop.command("o-1", &agent("anna"), "", cancel()).await;
    assert!(refused.is_err(), "it runs: {refused:?}");
    platform.spend("o-1", 1, 15_000);
    shop.asks("o-1", &agent("anna"), terminate()).await;
    assert_eq!(shop.phase("o-1").await, "completed", "{}", shop.show("o-1").await);
    assert_eq!(shop.balances("o-1").await, "psp:card 15000, earned -15000");
    assert_eq!(shop.world.gateway.moved(&key("o-1")), (50_000, 35_000));

    // The next one flies to its end by itself, and what it did not spend goes back.
    shop.place(order("o-2", None, &[30_000])).await.unwrap();
    shop.asks("o-2", &carla(), start(1)).await;
    shop.hears("o-2", "p-3", service::M::evidence(1, platform.pass("o-2", 1))).await;
    platform.spend("o-2", 1, 21_000);
    shop.pass(31 * DAY).await;
    assert_eq!(shop.phase("o-2").await, "completed", "{}", shop.show("o-2").await);
    assert_eq!(shop.balances("o-2").await, "psp:card 21000, earned -21000");
    let totals = PlatformTotals { made: 2, running: 0, spent_minor: 36_000, duplicate_effects: 0 };
    assert_eq!(platform.totals(), totals);

    shop.pass(121 * DAY).await;
    assert_eq!(shop.phase("o-1").await, "closed");
    assert_eq!(shop.engine.report().parked, 0);
    shop.journal("o-1").await;
    shop.journal("o-2").await;
}

#[test]
fn an_ad_is_rejected_fixed_appealed_paused_and_ended_and_another_flies_to_its_end() {
    run(digital_journey(Disk::memory(), false));
}

#[test]
fn ads_on_sqlite_with_the_engine_stopped_and_started_on_the_way() {
    let folder = Folder::new("ads");
    run(digital_journey(Disk::file(&folder.file("orders.db")), true));
}

async fn mixed_journey(disk: Disk) {
    let world = World::of(disk, Pipelines::of(|| vec![mixed(quick()).unwrap()]));
    let platform = world.platform.clone();
    let shop = world.open(consign::clock::Timestamp::from_millis(super::support::MORNING)).await;
    shop.place(order("o-1", Some(6_000), &[4_000])).await.unwrap();
    shop.asks("o-1", &carla(), start(1)).await;
    assert_eq!(shop.phase("o-1").await, "dispatching", "{}", shop.show("o-1").await);
    shop.asks("o-1", &agent("wim"), parcel::M::command(1, HandOver)).await;
    assert_eq!(shop.phase("o-1").await, "dispatched");
    shop.hears("o-1", "d-1", delivered(1)).await;
    assert_eq!(shop.phase("o-1").await, "active");
    platform.spend("o-1", 1, 1_000);
    shop.pass(31 * DAY).await;
    assert_eq!(shop.phase("o-1").await, "completed", "{}", shop.show("o-1").await);
    assert_eq!(shop.balances("o-1").await, "psp:card 7000, earned -7000");
    assert_eq!(shop.world.gateway.moved(&key("o-1")), (10_000, 3_000));

    // The platform never runs the second one; its goods leave all the same.
    platform.plan(FaultPlan::default().fault("o-2", 1, "activate", 1, Fault::Decline));
    shop.place(order("o-2", Some(6_000), &[4_000])).await.unwrap();
    shop.asks("o-2", &carla(), start(1)).await;
    assert_eq!(shop.balances("o-2").await, "psp:card 6000, cust -6000", "{}", shop.show("o-2").await);
    shop.asks("o-2", &agent("wim"), parcel::M::command(1, HandOver)).await;
    shop.hears("o-2", "d-2", delivered(1)).await;
    assert_eq!(shop.phase("o-2").await, "completed");
    assert_eq!(shop.balances("o-2").await, "psp:card 6000, earned -6000");
    shop.journal("o-1").await;
    shop.journal("o-2").await;
}

#[test]
fn a_poster_and_an_ad_are_sold_in_one_order() {
    run(mixed_journey(Disk::memory()));
}

#[test]
fn a_poster_and_an_ad_are_sold_in_one_order_on_sqlite() {
    let folder = Folder::new("mixed");
    run(mixed_journey(Disk::file(&folder.file("orders.db"))));
}

#[test]
fn an_order_that_its_pipeline_does_not_serve_is_not_placed() {
    run(async {
        let shop = World::of(Disk::memory(), Pipelines::of(|| vec![quick_digital()]))
            .open(consign::clock::Timestamp::from_millis(super::support::MORNING))
            .await;
        let said = shop.place(order("o-1", Some(6_000), &[4_000])).await;
        let Err(PlaceError::Unserved(why)) = said else { panic!("{said:?}") };
        assert!(matches!(why, Unplaced::Unserved { pipeline: "digital", line: 0, .. }), "{why}");
        assert!(shop.seen("o-1").await.is_none(), "nothing is stored");
    });
}

/// What the platform did is in a file of its own, and a platform that is opened again goes on from there.
#[test]
fn a_platform_keeps_its_books_over_a_restart() {
    let folder = Folder::new("platform");
    let open = || Arc::new(SandboxPlatform::open(Some(&folder.file("platform.jsonl"))).unwrap());
    run(async {
        let world = World {
            platform: open(),
            ..World::of(Disk::file(&folder.file("orders.db")), Pipelines::of(|| vec![quick_digital()]))
        };
        let shop = world.open(consign::clock::Timestamp::from_millis(super::support::MORNING)).await;
        shop.place(order("o-1", None, &[50_000])).await.unwrap();
        shop.asks("o-1", &carla(), start(1)).await;
        shop.world.platform.spend("o-1", 1, 7_000);
        let totals = shop.world.platform.totals();
        assert_eq!((totals.made, totals.running, totals.spent_minor), (1, 1, 7_000));
        let (world, now) = shop.stopped().await;
        let world = World { platform: open(), ..world };
        assert_eq!(world.platform.totals(), totals, "read back from the file");
        let shop = world.open(now).await;
        shop.asks("o-1", &agent("anna"), terminate()).await;
        assert_eq!(shop.balances("o-1").await, "psp:card 7000, earned -7000");
    });
    assert_eq!(open().totals().running, 0);
}

/// Lost calls, lost answers, busy lines: every ad comes to its end, none is made twice, and no cent of what the
/// platform did not spend is kept.
#[test]
fn whatever_becomes_of_the_calls_no_ad_is_made_twice_and_every_cent_is_accounted_for() {
    const ADS: usize = 40;
    run(async {
        let world = World::of(Disk::memory(), Pipelines::of(|| vec![quick_digital()]));
        let platform = world.platform.clone();
        let troubles =
            [(120, Fault::LoseAnswer), (120, Fault::LoseCall), (100, Fault::NotSent), (100, Fault::Later)];
        platform.plan(FaultPlan::default().by_chance(23, &troubles));
        let shop = world.open(consign::clock::Timestamp::from_millis(super::support::MORNING)).await;
        let ids: Vec<String> = (1..=ADS).map(|n| format!("o-{n}")).collect();
        for id in &ids {
            shop.place(order(id, None, &[50_000])).await.unwrap();
            shop.asks(id, &carla(), start(1)).await;
        }
        shop.pass(2 * DAY).await;
        for id in &ids {
            assert_eq!(shop.phase(id).await, "active", "{}", shop.show(id).await);
            platform.spend(id, 1, 21_000);
        }
        shop.pass(40 * DAY).await;
        for id in &ids {
            assert_eq!(shop.phase(id).await, "completed", "{}", shop.show(id).await);
            assert_eq!(shop.balances(id).await, "psp:card 21000, earned -21000");
            shop.journal(id).await;
        }
        let totals = platform.totals();
        assert_eq!((totals.running, totals.duplicate_effects), (0, 0));
        assert_eq!(totals.spent_minor, 21_000 * i64::try_from(ADS).unwrap());
        assert!(totals.made >= ADS as u64);
    });
}

/// The platform of a story.
fn on_platform(plan: impl Fn(&SandboxPlatform) + 'static) -> impl Fn(Disk) -> World {
    move |disk| {
        let world = World::of(disk, Pipelines::of(|| vec![quick_digital()]));
        plan(&world.platform);
        world
    }
}

/// A merchant would have paid the platform twice for one order, and charged the customer for both.
#[test]
fn t23_what_the_platform_made_twice_after_a_timeout_is_ended_and_its_spend_is_our_loss() {
    let second = Available { external_ref: "ad-o-1-1-2".into(), part: false, reasons: Vec::new() };
    let story = Story::new(
        on_platform(|platform| {
            platform.plan(FaultPlan::default().fault("o-1", 1, "activate", 1, Fault::LoseAnswer));
            platform.make_twice("o-1", 1_200);
        }),
        order("o-1", None, &[50_000]),
        [
            Step::Place,
            Step::ask(&carla(), "pay", start(1)),
            Step::Pass(10 * MINUTE),
            Step::PayAgain,
            // Nobody knows; an inquiry under the same name finds the first one.
            Step::Pass(30 * MINUTE),
            Step::Hear("made", service::M::evidence(1, second)),
            Step::Pass(MINUTE),
            Step::Release,
            Step::Hear("spent", spent("ad-o-1-1-1", 20_000)),
            Step::Hear("older", spent("ad-o-1-1-1", 9_000)),
            Step::Hear("over", ended("ad-o-1-1-1", 50_000)),
        ],
    );
    let end = story.told();
    assert_eq!(end.phase, "completed");
    assert_eq!(end.balances, "psp:ads -1200, psp:card 50000, earned -50000, loss 1200");
    assert_eq!(end.moved, (50_000, 0));
    assert_eq!((end.platform.made, end.platform.duplicate_effects, end.platform.spent_minor), (2, 1, 1_200));
    let of_services: Vec<_> = end.instances.iter().filter(|i| i.0 == "activation.service").collect();
    assert_eq!(
        of_services.iter().map(|i| (i.1, i.2.as_str())).collect::<Vec<_>>(),
        [(1, "Completed"), (1001, "Removed")]
    );
}

/// A merchant would have refunded 500.00 for an ad that had run for 150.00.
#[test]
fn s7f_told_in_every_way() {
    let story = Story::new(
        on_platform(|_| {}),
        order("o-1", None, &[50_000]),
        [
            Step::Place,
            Step::ask(&carla(), "pay", start(1)),
            Step::Pass(10 * MINUTE),
            Step::PayAgain,
            Step::Pass(30 * MINUTE),
            Step::Hear("spent", spent("ad-o-1-1-1", 15_000)),
            Step::refused(&agent("anna"), "executing", cancel()),
            Step::ask(&agent("anna"), "end", terminate()),
            Step::Pass(MINUTE),
            Step::Hear("over", ended("ad-o-1-1-1", 15_000)),
            Step::Pass(10 * MINUTE),
        ],
    );
    let end = story.told();
    assert_eq!((end.phase.as_str(), end.balances.as_str()), ("completed", "psp:card 15000, earned -15000"));
    assert_eq!(end.moved, (50_000, 35_000));
    assert_eq!((end.platform.made, end.platform.running), (1, 0));
}

/// S1 with every message doubled and the process ended after each commit.
#[test]
fn s1_told_in_every_way() {
    let story = Story::new(
        on_platform(|_| {}),
        order("o-1", None, &[50_000]),
        [
            Step::Place,
            Step::ask(&carla(), "pay", start(1)),
            Step::Pass(10 * MINUTE),
            Step::PayAgain,
            Step::Pass(30 * MINUTE),
            Step::Hear("spent", spent("ad-o-1-1-1", 50_000)),
        ],
    );
    let end = story.told();
    assert_eq!((end.phase.as_str(), end.balances.as_str()), ("completed", "psp:card 50000, earned -50000"));
    assert_eq!((end.moved, end.platform.made), ((50_000, 0), 1));
}

/// The call never arrived and nobody could tell: the platform promises that it never will, and is asked anew.
#[test]
fn an_activation_that_never_arrived_is_followed_by_another_and_no_service_is_made_twice() {
    let story = Story::new(
        on_platform(|platform| {
            platform.plan(FaultPlan::default().fault("o-1", 1, "activate", 1, Fault::LoseCall));
        }),
        order("o-1", None, &[50_000]),
        [
            Step::Place,
            Step::ask(&carla(), "pay", start(1)),
            Step::Pass(10 * MINUTE),
            Step::PayAgain,
            Step::Pass(HOUR),
            Step::Hear("over", ended("ad-o-1-1-1", 50_000)),
        ],
    );
    let end = story.told();
    assert_eq!((end.phase.as_str(), end.balances.as_str()), ("completed", "psp:card 50000, earned -50000"));
    assert_eq!((end.platform.made, end.platform.duplicate_effects), (1, 0));
}

#[test]
fn a_cancelled_ad_leaves_nothing_running_and_nothing_owed() {
    let cancel = lifecycle::Cancel { reason: "another agency".into() };
    let cancel = lifecycle::lifecycle::M::command(1, cancel);
    let story = Story::new(
        |disk| World {
            platform: Arc::new(SandboxPlatform::open(None).unwrap().reviewing()),
            ..World::of(disk, Pipelines::of(|| vec![quick_digital()]))
        },
        order("o-1", None, &[50_000]),
        [
            Step::Place,
            Step::ask(&carla(), "pay", start(1)),
            Step::Pass(10 * MINUTE),
            Step::PayAgain,
            Step::Pass(30 * MINUTE),
            Step::ask(&agent("anna"), "cancel", cancel),
            Step::Pass(HOUR),
        ],
    );
    let end = story.told();
    assert_eq!((end.phase.as_str(), end.balances.as_str()), ("cancelled", ""));
    assert_eq!((end.moved, end.platform.made, end.platform.running), ((50_000, 50_000), 1, 0));
}
