//! What the outside does to the engine: words that come too early or twice, adapters that fail, and those who listen.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use consign::clock::Timestamp;
use consign::engine::{Budget, CommandError, Delivered, Engine, Env as _, LaneLimits, PlaceError};
use consign::gateway::{Handler, PaymentGateway as _, Repeats, Ticket};
use consign::id::Key;
use consign::machine::{Effect, Reply};
use consign::pipeline::Disposition;
use consign::stage::dispatch::{Accepted, HandOver, parcel};
use consign::stage::payment::{Charge, Start, attempt};
use consign::store::{MemoryStore, Position, Store as _};
use consign::testing::{Fault, FaultPlan, SandboxGateway, SandboxNotifier, VirtualEnv};

use super::journey::{delivered, start};
use super::support::{
    Disk, Folder, HOUR, MINUTE, MORNING, SECOND, Shop, Trouble, World, agent, carla, count, draft, key,
    packs_itself, run,
};

/// Below every tier, in one parcel, on a card.
async fn placed(shop: &Shop, order: &str) {
    shop.place(draft(order, &[5_000], &[("card", 5_000)])).await.unwrap();
}

async fn scans_wait(disk: Disk) {
    let shop = Shop::morning(disk).await;
    let out = Timestamp::from_millis(MORNING - 2_000);
    let home = Timestamp::from_millis(MORNING - 1_000);
    // Both scans come before the order, the later one first.
    assert_eq!(shop.hears_of("o-1", "home", home, delivered(1)).await, Delivered::Kept);
    assert_eq!(shop.hears_of("o-1", "out", out, parcel::M::evidence(1, Accepted)).await, Delivered::Kept);
    assert_eq!(shop.hears_of("o-1", "out", out, parcel::M::evidence(1, Accepted)).await, Delivered::Known);
    let shop = shop.reopened().await;
    shop.pass(HOUR).await;
    placed(&shop, "o-1").await;
    assert_eq!(shop.phase("o-1").await, "awaiting_payment", "there is no parcel yet");
    let shop = shop.reopened().await;
    shop.asks("o-1", &carla(), start(1)).await;
    assert_eq!(shop.phase("o-1").await, "completed", "{}", shop.show("o-1").await);
    assert_eq!(shop.hears_of("o-1", "home", home, delivered(1)).await, Delivered::Known);
    let journal = shop.journal("o-1").await;
    let told: Vec<_> = journal.iter().filter(|e| e.kind == "evidence").map(|e| e.occurred).collect();
    assert_eq!(told, [Some(out), Some(home)], "in the order and with the times in which it happened");
    assert!(shop.life.inbox_waiting(None, 10).await.unwrap().is_empty());
}

#[test]
fn a_scan_that_comes_before_its_order_waits_and_is_applied_with_the_time_it_happened() {
    run(scans_wait(Disk::memory()));
    let folder = Folder::new("inbox");
    run(scans_wait(Disk::file(&folder.file("orders.db"))));
}

#[test]
fn an_adapter_that_panics_parks_its_own_order_and_no_other() {
    run(async {
        let shop = Shop::morning(Disk::memory()).await;
        placed(&shop, "o-1").await;
        placed(&shop, "o-2").await;
        shop.world.gateway.plan(FaultPlan::default().fault("o-1", 1, "charge", 1, Fault::Panic));
        shop.asks("o-1", &carla(), start(1)).await;
        shop.asks("o-2", &carla(), start(1)).await;
        assert_eq!(shop.phase("o-1").await, "on_hold");
        assert_eq!(shop.phase("o-2").await, "dispatching");
        assert_eq!(shop.engine.report().parked, 1);
        // Time passes by a parked order, and what is said of it is kept.
        shop.pass(HOUR).await;
        let scan = shop.hears("o-1", "out", parcel::M::evidence(1, Accepted)).await;
        assert_eq!(scan, Delivered::Kept);
        let hold = shop.order("o-1").await.progress.holds[0].clone();
        assert_eq!(hold.code, "parked");
        shop.engine.release(&key("o-1"), agent("olga"), hold.id).await.unwrap();
        shop.pass(MINUTE).await;
        // The panic left nothing outside: the inquiries find nothing there, and the customer pays again.
        shop.pass(HOUR).await;
        let again = attempt::M::command(2, Start { tender: Key(1), channel: None, method: String::new() });
        shop.asks("o-1", &carla(), again).await;
        assert_eq!(shop.phase("o-1").await, "dispatched", "{}", shop.show("o-1").await);
        assert_eq!(shop.world.gateway.totals().duplicate_effects, 0);
    });
}

#[test]
fn a_store_that_panics_costs_one_answer_and_no_order() {
    run(async {
        let shop = Shop::morning(Disk::memory()).await;
        placed(&shop, "o-1").await;
        placed(&shop, "o-2").await;
        shop.life.fail_at(shop.life.commits() + 1, Trouble::Panics);
        let pay = |k: u32| {
            let tender = Key(1);
            let start = Start { tender, channel: None, method: String::new() };
            attempt::M::command(k, start)
        };
        let lost = shop.engine.command(&key("o-1"), carla(), "pay", pay(1)).await;
        assert!(
            matches!(lost, Err(CommandError::Unconfirmed(_))),
            "the answer is lost with the task: {lost:?}"
        );
        shop.asks("o-2", &carla(), start(1)).await;
        assert_eq!(shop.phase("o-2").await, "dispatching", "another order goes on");
        shop.engine.command(&key("o-1"), carla(), "pay", pay(1)).await.unwrap();
        shop.pass(MINUTE).await;
        assert_eq!(shop.phase("o-1").await, "dispatching", "and so does this one, when it is asked again");
    });
}

#[test]
fn what_was_provably_not_sent_is_sent_again_within_the_budget_and_then_given_up() {
    run(async {
        let world = World::new(Disk::memory(), packs_itself());
        let budget = Budget { attempts: 3, ..Budget::default() };
        let shop = world.open_with(Timestamp::from_millis(MORNING), world.wiring().budget(budget)).await;
        let never = (1..=9).fold(FaultPlan::default(), |p, n| p.fault("o-1", 1, "charge", n, Fault::NotSent));
        let later =
            never.fault("o-2", 1, "charge", 1, Fault::Later).fault("o-2", 1, "charge", 2, Fault::NotSent);
        shop.world.gateway.plan(later);
        for order in ["o-1", "o-2"] {
            placed(&shop, order).await;
            shop.asks(order, &carla(), start(1)).await;
        }
        shop.pass(MINUTE).await;
        let attempt = |view: consign::engine::OrderView| {
            view.instances().iter().find(|i| i.0 == "payment.attempt").map(|i| i.2).unwrap_or("none")
        };
        assert_eq!(attempt(shop.order("o-1").await), "NotSent");
        assert_eq!(attempt(shop.order("o-2").await), "Captured");
        let counts = count(&shop.journal("o-1").await);
        // Each attempt but the first is put off, and then begun, each in a commit of its own.
        assert_eq!((counts.effects, counts.answers, counts.retries), (1, 1, 4), "three attempts, one effect");
        assert_eq!(shop.world.gateway.moved(&key("o-1")), (0, 0));
        assert_eq!(shop.world.gateway.moved(&key("o-2")), (5_000, 0));
    });
}

#[test]
fn a_lane_that_is_shut_blocks_no_other_and_opens_again() {
    run(async {
        let world = World::new(Disk::memory(), packs_itself());
        let shut = LaneLimits { failures: 1, shut: Duration::from_secs(600), ..LaneLimits::default() };
        let wiring = world.wiring().lane("payments", shut);
        let shop = world.open_with(Timestamp::from_millis(MORNING), wiring).await;
        for order in ["paid", "fails", "waits"] {
            placed(&shop, order).await;
        }
        shop.asks("paid", &carla(), start(1)).await;
        shop.world.gateway.plan(FaultPlan::default().fault("fails", 1, "charge", 1, Fault::NotSent));
        shop.asks("fails", &carla(), start(1)).await;
        shop.asks("waits", &carla(), start(1)).await;
        assert_eq!(shop.world.gateway.moved(&key("waits")), (0, 0), "the lane is shut");
        // The warehouse and the carrier work on.
        shop.asks("paid", &agent("wim"), parcel::M::command(1, HandOver)).await;
        assert_eq!(shop.phase("paid").await, "dispatched");
        shop.pass(10 * SECOND).await;
        assert_eq!(shop.world.gateway.moved(&key("waits")), (0, 0), "the lane is still shut");
        shop.pass(MINUTE).await;
        for order in ["fails", "waits"] {
            // Nothing was sent, and the customer waits no longer than for an answer.
            let view = shop.order(order).await;
            let attempt = view.instances().into_iter().find(|i| i.0 == "payment.attempt").map(|i| i.2);
            assert_eq!(attempt, Some("NotSent"), "{}", shop.show(order).await);
        }
        shop.pass(9 * MINUTE).await;
        for order in ["fails", "waits"] {
            let again = Start { tender: Key(1), channel: None, method: String::new() };
            shop.asks(order, &carla(), attempt::M::command(2, again)).await;
            assert_eq!(shop.world.gateway.moved(&key(order)), (5_000, 0), "{}", shop.show(order).await);
        }
    });
}

#[test]
fn too_much_at_once_is_refused_before_it_takes_memory_and_a_stopped_engine_takes_nothing() {
    run(async {
        let world = World::new(Disk::memory(), packs_itself());
        let shop = world.open_with(Timestamp::from_millis(MORNING), world.wiring().admission(3)).await;
        let names: Vec<String> = (0..10).map(|n| format!("o-{n}")).collect();
        let all = names.iter().map(|o| shop.engine.place(draft(o, &[5_000], &[("card", 5_000)])));
        let answers = futures::future::join_all(all).await;
        let refused = answers.iter().filter(|a| matches!(a, Err(PlaceError::Overloaded))).count();
        assert_eq!((refused, answers.iter().filter(|a| a.is_ok()).count()), (7, 3));
        shop.settled().await;
        shop.place(draft("o-9", &[5_000], &[("card", 5_000)])).await.unwrap();
        let stopped = shop.engine.stop(Duration::from_secs(1)).await;
        assert!(stopped.unfinished.is_empty());
        let late = shop.engine.place(draft("late", &[5_000], &[("card", 5_000)])).await;
        assert_eq!(late, Err(PlaceError::Stopped));
        let asked = shop.engine.command(&key("o-9"), carla(), "", start(1)).await;
        assert_eq!(asked, Err(CommandError::Stopped));
    });
}

#[test]
fn a_stop_tells_which_orders_still_had_work_and_the_next_start_goes_on_with_them() {
    run(async {
        let world = World::new(Disk::memory(), packs_itself());
        let shut = LaneLimits { failures: 1, shut: Duration::from_secs(600), ..LaneLimits::default() };
        let wiring = world.wiring().lane("payments", shut);
        let shop = world.open_with(Timestamp::from_millis(MORNING), wiring).await;
        for order in ["fails", "waits"] {
            placed(&shop, order).await;
        }
        shop.world.gateway.plan(FaultPlan::default().fault("fails", 1, "charge", 1, Fault::NotSent));
        shop.asks("fails", &carla(), start(1)).await;
        shop.asks("waits", &carla(), start(1)).await;
        let stopped = shop.engine.stop(Duration::ZERO).await;
        assert_eq!(stopped.unfinished, [key("waits")]);
        let now = shop.now();
        let next = world.open(now).await;
        let report = next.engine.report();
        assert_eq!((report.recovered, report.interrupted), (2, 1));
        next.pass(MINUTE).await;
        assert_eq!(world.gateway.moved(&key("fails")), (5_000, 0));
        assert!(next.order("waits").await.progress.wanted.is_empty());
    });
}

async fn heard(engine: &Engine) -> BTreeMap<String, Vec<u64>> {
    let mut all: BTreeMap<String, Vec<u64>> = BTreeMap::new();
    for item in engine.feed(Position(0), 10_000).await.unwrap() {
        all.entry(item.order.to_string()).or_default().push(item.entry.seq);
    }
    all
}

#[test]
fn who_watches_sees_every_commit_and_a_notifier_hears_each_in_its_order_also_after_a_restart() {
    run(async {
        let shop = Shop::morning(Disk::memory()).await;
        let notifier = Arc::new(SandboxNotifier::default());
        let mut watch = shop.engine.watch();
        shop.engine.notify(notifier.clone());
        for order in ["o-1", "o-2"] {
            placed(&shop, order).await;
            shop.asks(order, &carla(), start(1)).await;
        }
        let mut seen: BTreeMap<String, Vec<u64>> = BTreeMap::new();
        while let Ok(change) = watch.try_recv() {
            seen.entry(change.order.to_string()).or_default().push(change.version);
        }
        let feed = heard(&shop.engine).await;
        assert_eq!(seen, feed, "one change per commit, in order per order");
        for versions in feed.values() {
            assert!(versions.len() > 5);
            assert_eq!(*versions, (1..=versions.len() as u64).collect::<Vec<_>>());
        }
        shop.pass(3 * SECOND).await;
        let positions = || notifier.heard().iter().map(|h| h.0).collect::<Vec<_>>();
        let all = |n: u64| (1..=n).collect::<Vec<_>>();
        let n = shop.life.commits();
        assert_eq!(positions(), all(n), "each commit once, in its order");

        let shop = shop.reopened().await;
        shop.engine.notify(notifier.clone());
        let scan = shop.hears("o-1", "out", parcel::M::evidence(1, Accepted)).await;
        assert_eq!(scan, Delivered::Applied(Disposition::Moved));
        shop.pass(3 * SECOND).await;
        assert_eq!(positions(), all(n + shop.life.commits()), "it goes on where it was");
    });
}

/// A reference of the channel, and the orders that a webhook with nothing else would be for.
async fn found(shop: &Shop, reference: &str) -> Vec<String> {
    let tenant = consign::id::TenantId::default();
    let found = shop.engine.find(&tenant, "payment.reference", reference, None, 10).await.unwrap();
    found.into_iter().map(|f| f.order.order.to_string()).collect()
}

async fn references(disk: Disk) {
    let shop = Shop::morning(disk).await;
    for order in ["o-1", "o-2"] {
        placed(&shop, order).await;
        shop.asks(order, &carla(), start(1)).await;
    }
    let view = shop.order("o-2").await;
    let Some(attempt::State::Captured(s)) = view.state::<attempt::M>(1) else {
        panic!("{}", shop.show("o-2").await)
    };
    let reference = format!("{}:{}", s.what.channel, s.what.reference.clone().unwrap());
    assert_eq!(found(&shop, &reference).await, ["o-2"]);
    assert_eq!(found(&shop, "card:nobody").await, [""; 0]);
    let shop = shop.reopened().await;
    assert_eq!(found(&shop, &reference).await, ["o-2"], "after a restart too");
}

#[test]
fn an_order_is_found_by_the_reference_that_the_channel_gave_it() {
    run(references(Disk::memory()));
    let folder = Folder::new("references");
    run(references(Disk::file(&folder.file("orders.db"))));
}

/// A channel that carries a charge out and answers when nobody waits any more.
struct Slow {
    gateway: Arc<SandboxGateway>,
    env: VirtualEnv,
}

#[async_trait]
impl Handler<Charge> for Slow {
    fn repeats(&self) -> Repeats {
        Repeats::Lookup { settle: Duration::ZERO }
    }

    async fn call(
        &self,
        charge: Charge,
        ticket: &Ticket,
    ) -> Reply<<Charge as Effect>::Done, <Charge as Effect>::Declined> {
        let answer = self.gateway.charge(charge, ticket).await;
        match ticket.order.order.as_str() {
            // Never.
            "o-2" => std::future::pending().await,
            _ => self.env.sleep_until(ticket.now.saturating_add(Duration::from_secs(60))).await,
        }
        answer
    }
}

#[test]
fn a_call_that_runs_into_its_deadline_is_unknown_and_resolved_by_inquiry() {
    run(async {
        let world = World::new(Disk::memory(), packs_itself());
        let env = VirtualEnv::new(Timestamp::from_millis(MORNING), 7);
        let life = super::support::Life::new(Arc::new(MemoryStore::new()), true);
        let slow = Slow { gateway: world.gateway.clone(), env: env.clone() };
        let limits = LaneLimits { deadline: Duration::from_secs(5), ..LaneLimits::default() };
        let wiring = world.wiring().effect_in::<Charge>("slow", slow).lane("slow", limits);
        let engine = wiring.store(life.clone()).env(Arc::new(env.clone())).start().await.unwrap();
        let shop = Shop { world, env, engine, life };
        for order in ["o-1", "o-2"] {
            placed(&shop, order).await;
            shop.asks(order, &carla(), start(1)).await;
        }
        let state = async |order: &str| {
            let view = shop.order(order).await;
            view.instances().iter().find(|i| i.0 == "payment.attempt").map(|i| i.2).unwrap()
        };
        shop.pass(4 * SECOND).await;
        assert_eq!((state("o-1").await, state("o-2").await), ("Sending", "Sending"));
        shop.pass(2 * SECOND).await;
        assert_eq!(
            (state("o-1").await, state("o-2").await),
            ("Unknown", "Unknown"),
            "late is never a decline"
        );
        shop.pass(5 * MINUTE).await;
        for order in ["o-1", "o-2"] {
            assert_eq!(state(order).await, "Captured", "{}", shop.show(order).await);
            assert_eq!(shop.world.gateway.moved(&key(order)), (5_000, 0));
        }
        assert_eq!(shop.world.gateway.totals().duplicate_effects, 0);
    });
}
