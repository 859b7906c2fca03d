//! Several engines on one store: who lost an order to another does no harm to it, and what it did is not forgotten.

use std::sync::Arc;

use consign::clock::Timestamp;
use consign::engine::CommandError;
use consign::gateway::Repeats;
use consign::id::Key;
use consign::stage::refund::{Request, refund};
use consign::stage::review::{Approve, Claim, case};
use consign::testing::{Fault, FaultPlan, SandboxGateway, VirtualEnv};

use super::journey::start;
use super::support::{
    DAY, Disk, HOUR, MORNING, SECOND, Trouble, World, agent, carla, draft, key, packs_itself, run,
};
use super::watched::{self, Doom, Watch};

#[test]
pub(super) fn what_a_worker_did_that_lost_the_order_meanwhile_is_heard_all_the_same() {
    run(async {
        let now = Timestamp::from_millis(MORNING);
        let outside = VirtualEnv::new(now, 1);
        let plan = FaultPlan::default().fault("o-1", 1, "charge", 1, Fault::Slow);
        let gateway = SandboxGateway::open(None).unwrap().in_time(Arc::new(outside.clone())).failing(plan);
        let world = World { gateway: Arc::new(gateway), ..World::new(Disk::memory(), packs_itself()) };
        let first = world.open(now).await;
        first.place(draft("o-1", &[5_000], &[("card", 5_000)])).await.unwrap();
        first.asks("o-1", &carla(), start(1)).await;
        // Another takes over while the answer is on its way: it cannot know what became of the call.
        let second = world.open(now).await;
        let unknown = |i: &(_, _, &str)| i.2 == "Unknown";
        assert!(second.order("o-1").await.instances().iter().any(unknown));
        // The answer comes before anybody would ask again.
        outside.set(now.saturating_add(std::time::Duration::from_millis(6 * SECOND)));
        outside.settled().await;
        first.settled().await;
        let held = first.life.load_raw("o-1").await;
        assert_eq!(held.columns.captured_minor, 5_000, "{}", second.show("o-1").await);
    });
}

#[test]
fn a_worker_that_lost_the_order_does_not_make_the_calls_that_it_had_put_off() {
    run(async {
        let now = Timestamp::from_millis(MORNING);
        let world = World::new(Disk::memory(), packs_itself());
        let plan = FaultPlan::default().fault("o-1", 1, "charge", 1, Fault::NotSent).fault(
            "o-1",
            1,
            "charge",
            2,
            Fault::Decline,
        );
        world.gateway.plan(plan);
        let first = world.open(now).await;
        first.place(draft("o-1", &[5_000], &[("card", 5_000)])).await.unwrap();
        first.asks("o-1", &carla(), start(1)).await;
        let second = world.open(now).await;
        second.pass(5 * SECOND).await;
        let declined = |i: &(_, _, &str)| i.2 == "Declined";
        assert!(second.order("o-1").await.instances().iter().any(declined));
        // Its own alarm rings too, over an order that it knows as it was.
        let calls = first.engine.report().calls;
        first.pass(5 * SECOND).await;
        assert_eq!(first.engine.report().calls, calls, "the operation is settled");
        assert_eq!(world.gateway.moved(&key("o-1")), (0, 0));
    });
}

/// B3: the timer of a lease is the alarm of the worker where the case was claimed. Another one let a case pass three hours
/// after the lease had ended.
#[test]
fn b03_a_lease_that_ended_unheard_decides_nothing_on_another_worker() {
    run(async {
        let now = Timestamp::from_millis(MORNING);
        let world = World::new(Disk::memory(), packs_itself());
        world.scorer.score_order("o-1", 50);
        let second = world.open(now).await;
        let first = world.open_with(now, world.wiring().cache(1)).await;
        first.place(draft("o-1", &[5_000], &[("card", 5_000)])).await.unwrap();
        first.asks("o-1", &carla(), start(1)).await;
        second.asks("o-1", &agent("anna"), case::M::command(1, Claim::default())).await;
        // The first reads the order again when it is asked.
        first.place(draft("o-2", &[5_000], &[("card", 5_000)])).await.unwrap();
        first.pass(3 * HOUR).await;
        let approve = case::M::command(1, Approve { token: 1 });
        let answer = first.command("o-1", &agent("anna"), "", approve).await;
        assert!(matches!(&answer, Err(CommandError::Refused(_))), "{answer:?}");
        let queued = |i: &(_, _, &str)| i.2 == "Queued";
        assert!(
            first.order("o-1").await.instances().iter().any(queued),
            "the lease has ended: {}",
            first.show("o-1").await
        );
    });
}

/// The customer would have paid twice: who finds an attempt put off took it for one that nobody had made.
#[test]
fn an_attempt_that_was_put_off_and_made_by_a_clock_that_was_ahead_is_not_made_again() {
    run(async {
        let settle = std::time::Duration::from_millis(90 * SECOND);
        let gateway = SandboxGateway::open(None).unwrap().promising(Repeats::Lookup { settle });
        let gateway = gateway.failing(FaultPlan::default().fault("o-1", 1, "charge", 1, Fault::NotSent));
        let world = World { gateway: Arc::new(gateway), ..World::new(Disk::memory(), packs_itself()) };
        let watch = Arc::new(Watch::default());
        let (life, now) = (world.disk.life(), Timestamp::from_millis(MORNING));
        watch.lives(life.clone());
        let shop = world.open_as(life, now, watched::wiring(&world, &watch)).await;
        shop.place(draft("o-1", &[5_000], &[("card", 5_000)])).await.unwrap();
        shop.asks("o-1", &carla(), start(1)).await;
        // The second attempt takes the money, and the process ends before it hears of it.
        watch.doom_at(2, Doom::After);
        shop.pass(5 * SECOND).await;
        assert!(shop.life.is_dead() && world.gateway.moved(&key("o-1")) == (5_000, 0));
        let (world, _) = shop.killed().await;
        // By the clock of the next one, the second attempt is still put off.
        let shop = world.open(now).await;
        shop.pass(60 * SECOND).await;
        assert_eq!(world.gateway.moved(&key("o-1")), (5_000, 0), "{}", shop.show("o-1").await);
        assert_eq!(shop.balances("o-1").await, "psp:card 5000, cust -5000", "{}", shop.show("o-1").await);
    });
}

/// The customer would have had a refund twice: who could not tell whether a record of its own was written took what
/// another had begun meanwhile for its own.
#[test]
fn a_worker_in_doubt_about_a_record_does_not_make_the_calls_of_another() {
    run(async {
        let now = Timestamp::from_millis(MORNING);
        let outside = VirtualEnv::new(now, 1);
        let settle = std::time::Duration::from_millis(90 * SECOND);
        let gateway = SandboxGateway::open(None).unwrap().promising(Repeats::Lookup { settle });
        let slow = FaultPlan::default().fault("o-1", 1, "refund", 1, Fault::Slow);
        let gateway = gateway.in_time(Arc::new(outside.clone())).failing(slow);
        let world = World { gateway: Arc::new(gateway), ..World::new(Disk::memory(), packs_itself()) };
        let first = world.open_as(world.disk.life(), now, world.wiring().worker("first")).await;
        let second = world.open_as(world.disk.life(), now, world.wiring().worker("second")).await;
        first.place(draft("o-1", &[5_000], &[("card", 5_000)])).await.unwrap();
        first.asks("o-1", &carla(), start(1)).await;
        let gives_back = |k: u32, amount_minor| {
            let (attempt, channel) = (Key(1), "card".parse().unwrap());
            let reason = "as agreed".to_owned();
            refund::M::command(k, Request { attempt, channel, reference: None, amount_minor, reason })
        };
        // Nothing is written, and the first worker cannot tell.
        first.life.fail_at(first.life.commits() + 1, Trouble::LostBefore);
        let order = key("o-1");
        let answer = first.engine.command(&order, agent("sue"), "refund", gives_back(1, 1_000)).await;
        assert!(matches!(answer, Err(CommandError::Unconfirmed(_))), "{answer:?}");
        // The same is asked of the second one, whose call takes its time.
        second.asks("o-1", &agent("sue"), gives_back(1, 1_000)).await;
        // Before the first one can look, it is asked for something else, and has the order again.
        while first.engine.order(&order).await.is_err() {}
        first.asks("o-1", &agent("sue"), gives_back(2, 500)).await;
        assert_eq!(world.gateway.moved(&order), (5_000, 500));
        first.pass(SECOND).await;
        assert_eq!(world.gateway.moved(&order), (5_000, 500), "the second worker's call is under way");
        outside.set(now.saturating_add(std::time::Duration::from_millis(6 * SECOND)));
        outside.settled().await;
        first.settled().await;
        second.settled().await;
        assert_eq!(world.gateway.moved(&order), (5_000, 1_500));
        let held = first.life.load_raw("o-1").await;
        assert_eq!(held.columns.refunded_minor, 1_500, "{}", first.show("o-1").await);
    });
}

/// A payment would have waited for nobody until its time was over: its second attempt was begun by a record in doubt.
#[test]
fn an_attempt_begun_by_a_record_in_doubt_is_not_forgotten_when_another_has_the_order() {
    run(async {
        let now = Timestamp::from_millis(MORNING);
        let world = World::new(Disk::memory(), packs_itself());
        world.gateway.plan(FaultPlan::default().fault("o-1", 1, "charge", 1, Fault::NotSent));
        let first = world.open_as(world.disk.life(), now, world.wiring().worker("first")).await;
        let second = world.open_as(world.disk.life(), now, world.wiring().worker("second")).await;
        first.place(draft("o-1", &[5_000], &[("voucher", 2_000), ("card", 3_000)])).await.unwrap();
        first.asks("o-1", &carla(), start(1)).await;
        // That the second attempt begins is written, and the first worker cannot tell.
        let due = first.engine.next_wake().unwrap();
        first.life.fail_at(first.life.commits() + 1, Trouble::LostAfter);
        first.pass(u64::try_from(due.since(now).as_millis()).unwrap()).await;
        assert_eq!(first.engine.report().calls, 1, "it was not made");
        // The order is another's before the first one looks: nobody makes that attempt.
        second.asks("o-1", &carla(), start(2)).await;
        first.pass(SECOND).await;
        let view = first.order("o-1").await;
        let states: Vec<_> = view.instances().into_iter().filter(|i| i.0 == "payment.attempt").collect();
        assert_eq!(states.iter().map(|i| i.2).collect::<Vec<_>>(), ["Unknown", "Captured"]);
        second.pass(DAY).await;
        assert_eq!(world.gateway.moved(&key("o-1")), (3_000, 3_000), "{}", second.show("o-1").await);
        assert_eq!(second.phase("o-1").await, "expired");
    });
}
