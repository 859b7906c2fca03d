//! Checks that are checked: a fault is planted into the engine's own code, and the check that is there for it notices.
//!
//! `mutant_synchronous_normal` stands with the power cuts, in `disk`.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use consign::clock::Timestamp;
use consign::gateway::Repeats;
use consign::id::Key;
use consign::pipeline::Physical;
use consign::stage::refund::{RefundPolicy, Request, refund};
use consign::store::{MemoryStore, Store};
use consign::testing::{Fault, FaultPlan, Mutant, SandboxGateway, conformance, plant};

use super::journey::{cancel, delivered, start};
use super::support::{
    DAY, Disk, HOUR, MINUTE, MORNING, SECOND, Shop, Trouble, World, agent, carla, draft, key, packs_itself,
    run,
};
use super::watched::{self, Watch};
use super::{keys, provider, workers};

/// The check passes, and with the fault planted it says this.
fn notices(mutant: Mutant, says: &str, check: impl Fn()) {
    check();
    let planted = plant(mutant);
    let failed = catch_unwind(AssertUnwindSafe(&check));
    drop(planted);
    let why = failed.expect_err("the check does not notice");
    let why =
        why.downcast_ref::<String>().cloned().or_else(|| why.downcast_ref::<&str>().map(|s| (*s).to_owned()));
    let why = why.unwrap();
    assert!(why.contains(says), "another check noticed: {why}");
}

async fn paid(world: &World) -> Shop {
    let shop = world.open(Timestamp::from_millis(MORNING)).await;
    shop.place(draft("o-1", &[5_000], &[("card", 5_000)])).await.unwrap();
    shop.asks("o-1", &carla(), start(1)).await;
    shop.pass(MINUTE).await;
    shop
}

fn agree(shop: &Shop, booked: (i64, i64)) {
    let moved = shop.world.gateway.moved(&key("o-1"));
    assert_eq!(moved, booked, "the gateway and the books do not agree");
}

async fn books(shop: &Shop) -> (i64, i64) {
    let books = shop.order("o-1").await.progress.books;
    (books.captured(None), books.refunded(None))
}

#[test]
fn mutant_effect_before_intent() {
    notices(Mutant::EffectBeforeIntent, "the gateway and the books do not agree", || {
        run(async {
            let shop = World::new(Disk::memory(), packs_itself()).open(Timestamp::from_millis(MORNING)).await;
            shop.place(draft("o-1", &[5_000], &[("card", 5_000)])).await.unwrap();
            // The process ends before the intent is written, and nobody asks again.
            shop.life.fail_at(2, Trouble::DiesBefore);
            shop.command("o-1", &carla(), "pay", start(1)).await.unwrap_err();
            let (world, now) = shop.killed().await;
            let shop = world.open(now).await;
            shop.pass(DAY).await;
            agree(&shop, books(&shop).await);
        });
    });
}

/// A small refund of a paid order; the outside fails as planned.
async fn goodwill(repeats: Repeats, plan: FaultPlan) -> Shop {
    let gateway = SandboxGateway::open(None).unwrap().promising(repeats);
    // Asked for soon, while a call may still be on its way.
    let asks = RefundPolicy { inquire_ms: vec![5 * SECOND], inquiries: 100, ..RefundPolicy::default() };
    let policy = Physical { refund: asks, ..packs_itself() };
    let world = World { gateway: Arc::new(gateway), ..World::new(Disk::memory(), policy) };
    let shop = paid(&world).await;
    world.gateway.plan(plan);
    let ask = Request {
        attempt: Key(1),
        channel: "card".parse().unwrap(),
        reference: None,
        amount_minor: 2_000,
        reason: "a scratch".into(),
    };
    shop.asks("o-1", &agent("sue"), refund::M::command(1, ask)).await;
    shop.pass(2 * HOUR).await;
    shop
}

#[test]
fn mutant_random_key() {
    notices(Mutant::RandomKey, "the gateway and the books do not agree", || {
        run(async {
            let keyed = Repeats::Idempotent { key_ttl: Duration::from_millis(DAY) };
            let lost = FaultPlan::default().fault("o-1", 1, "refund", 1, Fault::LoseAnswer).fault(
                "o-1",
                1,
                "inquire_refund",
                1,
                Fault::LoseCall,
            );
            let shop = goodwill(keyed, lost).await;
            agree(&shop, books(&shop).await);
        });
    });
}

#[test]
fn mutant_first_not_found_trusted() {
    notices(Mutant::FirstNotFoundTrusted, "the gateway and the books do not agree", || {
        run(async {
            let settle = Duration::from_millis(90 * SECOND);
            let late = FaultPlan::default().fault("o-1", 1, "refund", 1, Fault::Late);
            let shop = goodwill(Repeats::Lookup { settle }, late).await;
            agree(&shop, books(&shop).await);
        });
    });
}

#[test]
fn mutant_recovery_in_place() {
    notices(Mutant::RecoveryInPlace, "the gateway and the books do not agree", || {
        run(async {
            let settle = Duration::from_millis(90 * SECOND);
            let gateway = SandboxGateway::open(None).unwrap().promising(Repeats::Lookup { settle });
            let world = World { gateway: Arc::new(gateway), ..World::new(Disk::memory(), packs_itself()) };
            let watch = Arc::new(Watch::default());
            let life = world.disk.life();
            watch.lives(life.clone());
            let now = Timestamp::from_millis(MORNING);
            let shop = world.open_as(life, now, watched::wiring(&world, &watch)).await;
            shop.place(draft("o-1", &[5_000], &[("card", 5_000)])).await.unwrap();
            // The money is taken, and the process ends before it hears of it.
            watch.doom_at(1, watched::Doom::After);
            let _ = shop.command("o-1", &carla(), "pay", start(1)).await;
            let (world, now) = shop.killed().await;
            let shop = world.open(now).await;
            shop.pass(DAY).await;
            agree(&shop, books(&shop).await);
        });
    });
}

#[test]
fn mutant_no_epoch_check() {
    notices(Mutant::NoEpochCheck, "a late owner is turned away", || {
        run(conformance::store(|| async { Arc::new(MemoryStore::new()) as Arc<dyn Store> }));
    });
}

#[test]
fn mutant_stale_outcome_dropped() {
    notices(
        Mutant::StaleOutcomeDropped,
        "payment.attempt",
        workers::what_a_worker_did_that_lost_the_order_meanwhile_is_heard_all_the_same,
    );
}

/// All that was paid, back again.
fn everything() -> consign::machine::Call {
    refund::M::command(
        1,
        Request {
            attempt: Key(1),
            channel: "card".parse().unwrap(),
            reference: None,
            amount_minor: 5_000,
            reason: "sold out".into(),
        },
    )
}

#[test]
fn mutant_refund_checked_and_then_inserted() {
    notices(Mutant::CheckedThenInserted, "one of two refunds of everything is refused", || {
        run(async {
            let world = World::new(Disk::memory(), packs_itself());
            let first = paid(&world).await;
            world.gateway.plan(FaultPlan::default().fault("o-1", 1, "refund", 1, Fault::Pending));
            let second = world.open(first.now()).await;
            let one = second.command("o-1", &agent("sue"), "a", everything()).await;
            // The first knows the order as it was before.
            let again = refund::M::command(2, Request { reason: "too small".into(), ..of(&everything()) });
            let two = first.command("o-1", &agent("tom"), "b", again).await;
            assert!(
                one.is_ok() != two.is_ok(),
                "one of two refunds of everything is refused: {one:?} {two:?}"
            );
        });
    });
}

fn of(call: &consign::machine::Call) -> Request {
    match call.value.downcast_ref::<refund::Input>() {
        Some(refund::Input::Request(r)) => r.clone(),
        _ => unreachable!("it is a request"),
    }
}

#[test]
fn mutant_pending_refunds_uncounted() {
    notices(Mutant::PendingRefundsUncounted, "exceeds_refundable", || {
        run(async {
            let world = World::new(Disk::memory(), packs_itself());
            let shop = paid(&world).await;
            world.gateway.plan(FaultPlan::default().fault("o-1", 1, "refund", 1, Fault::Pending));
            shop.command("o-1", &agent("sue"), "a", everything()).await.unwrap();
            let again = refund::M::command(2, of(&everything()));
            let why = shop.command("o-1", &agent("tom"), "b", again).await.unwrap_err();
            assert!(why.to_string().contains("exceeds_refundable"), "not exceeds_refundable: {why}");
        });
    });
}

#[test]
fn mutant_timeout_as_decline() {
    notices(Mutant::TimeoutAsDecline, "the customer pays once", || {
        run(async {
            let world = World::new(Disk::memory(), packs_itself());
            world.gateway.plan(FaultPlan::default().fault("o-1", 1, "charge", 1, Fault::LoseAnswer));
            let shop = world.open(Timestamp::from_millis(MORNING)).await;
            shop.place(draft("o-1", &[5_000], &[("card", 5_000)])).await.unwrap();
            shop.asks("o-1", &carla(), start(1)).await;
            // A customer who is told that it did not work pays again.
            let again =
                consign::stage::payment::Start { tender: Key(1), channel: None, method: String::new() };
            let again = consign::stage::payment::attempt::M::command(2, again);
            let _ = shop.command("o-1", &carla(), "again", again).await;
            shop.pass(DAY).await;
            assert_eq!(shop.world.gateway.moved(&key("o-1")).0, 5_000, "the customer pays once");
        });
    });
}

#[test]
fn mutant_inbox_in_memory() {
    notices(Mutant::InboxInMemory, "what was taken is there after a restart", || {
        run(async {
            let shop = paid(&World::new(Disk::memory(), packs_itself())).await;
            // A scan that comes before the parcel has left.
            shop.hears("o-1", "home", delivered(1)).await;
            let (world, now) = shop.killed().await;
            let shop = world.open(now).await;
            let out = consign::stage::dispatch::HandOver;
            shop.asks("o-1", &agent("wim"), consign::stage::dispatch::parcel::M::command(1, out)).await;
            let home = |i: &(_, _, &str)| i.2 == "Delivered";
            let there = shop.order("o-1").await.instances().iter().any(home);
            assert!(there, "what was taken is there after a restart\n{}", shop.show("o-1").await);
        });
    });
}

#[test]
fn mutant_amount_not_compared() {
    notices(
        Mutant::AmountNotCompared,
        "nothing of it is believed",
        provider::a_lie_about_money_is_not_booked_and_what_is_so_is_asked,
    );
}

#[test]
fn mutant_commit_error_as_rollback() {
    notices(Mutant::CommitErrorAsRollback, "who is told that nothing was written finds nothing", || {
        run(async {
            let shop = World::new(Disk::memory(), packs_itself()).open(Timestamp::from_millis(MORNING)).await;
            shop.place(draft("o-1", &[5_000], &[("card", 5_000)])).await.unwrap();
            shop.life.fail_at(2, Trouble::LostAfter);
            let told = shop.command("o-1", &carla(), "pay", start(1)).await;
            shop.pass(DAY).await;
            // It was written: whoever looks, and whoever asks again, finds it carried out.
            let view = shop.order("o-1").await;
            assert!(
                view.progress.books.captured(None) == 5_000,
                "who is told that nothing was written finds nothing: {told:?}\n{}",
                shop.show("o-1").await
            );
        });
    });
}

#[test]
fn mutant_counted_afterwards() {
    notices(Mutant::CountedAfterwards, "the process ended 12 times", || {
        run(async {
            let world = World::new(Disk::memory(), packs_itself());
            let watch = Arc::new(Watch::default());
            watch.deadly("dispatch.parcel/Reserve");
            let mut now = Timestamp::from_millis(MORNING);
            let mut begun = false;
            for lives in 0.. {
                assert!(lives < 12, "the process ended {lives} times of one call");
                let life = world.disk.life();
                watch.lives(life.clone());
                let shop = world.open_as(life, now, watched::wiring(&world, &watch)).await;
                if !begun {
                    shop.place(draft("o-1", &[5_000], &[("card", 5_000)])).await.unwrap();
                    let _ = shop.command("o-1", &carla(), "pay", start(1)).await;
                    begun = true;
                }
                shop.pass(SECOND).await;
                if !shop.life.is_dead() {
                    assert!(lives > 3, "it was tried more than once: {}", shop.show("o-1").await);
                    break;
                }
                now = shop.killed().await.1;
            }
        });
    });
}

#[test]
fn mutant_key_lifetime_ignored() {
    notices(
        Mutant::KeyLifetimeIgnored,
        "s, ",
        keys::a_refund_of_which_nobody_tells_goes_out_again_only_while_its_key_is_kept,
    );
}

#[test]
fn a_fault_is_planted_on_its_thread_and_only_while_it_is_held() {
    let _planted = plant(Mutant::TimeoutAsDecline);
    std::thread::spawn(|| {
        run(async {
            let shop = paid(&World::new(Disk::memory(), packs_itself())).await;
            shop.asks("o-1", &agent("sue"), cancel()).await;
            shop.pass(HOUR).await;
            agree(&shop, (5_000, 5_000));
        });
    })
    .join()
    .unwrap();
}
