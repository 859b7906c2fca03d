//! What is bounded, each at its bound and one beyond; and one order with a poisoned adapter, while others flow.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use consign::clock::Timestamp;
use consign::engine::{
    CommandError, DeliverError, Delivered, Engine, EngineError, LaneLimits, MAX_DEPTH, MAX_RECORD_BYTES,
    MAX_WAITING, OrderView,
};
use consign::gateway::{RiskScorer, Ticket};
use consign::machine::{Answer, Cx, Decide, Effect, Reply, stay};
use consign::pipeline::{LifePolicy, Phase, Physical, pipeline};
use consign::stage::aftersales::rma;
use consign::stage::dispatch::{Hold, parcel};
use consign::stage::payment::{Captured, DeclineClass, Paid, PaymentPolicy, Refused, attempt};
use consign::stage::refund::refund;
use consign::stage::review::{Score, Scored, case};
use consign::store::MemoryStore;
use consign::testing::{Fault, FaultPlan};
use serde::{Deserialize, Serialize};

use super::journey::{approves, delivered, start};
use super::support::{
    DAY, Disk, HOUR, MORNING, Pipelines, Shop, World, agent, carla, draft, key, packs_itself, run, told,
};
use super::watched::{self, Watch};

// Poison.

/// A scorer that does this to some orders, and answers the others.
struct Poisoned;

#[async_trait]
impl RiskScorer for Poisoned {
    async fn score(
        &self,
        _: Score,
        ticket: &Ticket,
    ) -> Reply<<Score as Effect>::Done, <Score as Effect>::Declined> {
        match ticket.order.order.as_str() {
            "panics" => panic!("the scorer met something new"),
            "huge" => Reply::Done(Scored { reasons: vec!["x".repeat(2 << 20)], ..Scored::of(1) }.into()),
            "wordy" => Reply::Unknown("x".repeat(2 << 20)),
            "never" => std::future::pending().await,
            _ => Reply::Done(Scored::of(1).into()),
        }
    }
}

#[test]
fn a_poisoned_adapter_parks_its_order_while_others_flow() {
    run(async {
        let world = World::new(Disk::memory(), packs_itself());
        let wiring = world.wiring().scorer(Arc::new(Poisoned));
        let shop = world.open_with(Timestamp::from_millis(MORNING), wiring).await;
        let poisoned = ["panics", "huge", "wordy", "never"];
        let well: Vec<String> = (0..12).map(|n| format!("o-{n}")).collect();
        let all = || well.iter().map(String::as_str).chain(poisoned);
        for order in all() {
            shop.place(draft(order, &[5_000], &[("card", 5_000)])).await.unwrap();
            shop.asks(order, &carla(), start(1)).await;
        }
        for order in &well {
            assert_eq!(shop.phase(order).await, "dispatching", "{}", shop.show(order).await);
        }
        shop.pass(HOUR).await;
        for (order, says) in [("panics", "panicked"), ("huge", "1048576 are the most")] {
            let holds = shop.order(order).await.progress.holds;
            assert!(
                holds.iter().any(|h| h.code == "parked" && h.detail.contains(says)),
                "{order}: {holds:?}"
            );
            assert!(holds.iter().all(|h| h.detail.len() < 2_000), "what is said of it is short");
            for hold in holds {
                shop.engine.release(&key(order), agent("olga"), hold.id).await.unwrap();
            }
        }
        shop.pass(HOUR).await;
        // No score, no approval: people decide.
        for order in poisoned {
            assert_eq!(shop.phase(order).await, "under_review", "{}", shop.show(order).await);
            approves(&shop, order, "anna").await;
            assert_eq!(shop.phase(order).await, "dispatching", "{}", shop.show(order).await);
            let wanted = shop.order(order).await.progress.wanted;
            assert!(wanted.is_empty(), "{order} still wants {wanted:?}");
            shop.journal(order).await;
        }
        assert!(shop.life.load_raw("huge").await.progress.len() < 20_000, "nothing of it is kept");
    });
}

/// What is set is cleared at the end.
struct Ends([Arc<AtomicBool>; 2]);

impl Drop for Ends {
    fn drop(&mut self) {
        self.0.iter().for_each(|set| set.store(false, Ordering::Release));
    }
}

/// Looks every 10 ms, for half a minute, until an order is as it should be.
async fn until(engine: &Engine, order: &str, is_so: impl Fn(&OrderView) -> bool) -> OrderView {
    for _ in 0..3_000 {
        let view = engine.order(&key(order)).await.unwrap().unwrap();
        if is_so(&view) {
            return view;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let view = engine.order(&key(order)).await.unwrap().unwrap();
    panic!("{order} waits: {} {:?} {:?}", view.phase(), view.progress.holds, view.instances())
}

/// A call that does not even let go of its thread costs that thread; its order is parked, and the others flow. What it
/// came to is heard when it ends after all.
#[test]
fn an_adapter_that_spins_parks_its_order_while_others_flow() {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_time().build().unwrap();
    let (score, charge) = (Arc::new(AtomicBool::new(true)), Arc::new(AtomicBool::new(true)));
    // Whatever fails, no thread is left behind.
    let _ends = Ends([score.clone(), charge.clone()]);
    runtime.block_on(async {
        for (effect, spins) in [("review.case/Score", score), ("payment.attempt/Charge", charge)] {
            let world = World::new(Disk::memory(), packs_itself());
            let watch = Arc::new(Watch::default());
            watch.spins(effect, &spins);
            let soon = LaneLimits { deadline: Duration::from_secs(1), ..LaneLimits::default() };
            let wiring = watched::wiring(&world, &watch).lane("scorer", soon).lane("payments", soon);
            let engine: Engine = wiring.store(Arc::new(MemoryStore::new())).start().await.unwrap();
            let pay = async |order: &str| {
                engine.place(draft(order, &[5_000], &[("card", 5_000)])).await.unwrap();
                engine.command(&key(order), carla(), "pay", start(1)).await.unwrap();
            };
            pay("spins").await;
            tokio::time::sleep(Duration::from_millis(100)).await;
            watch.spins("none", &spins);
            for n in 0..10 {
                pay(&format!("o-{n}")).await;
            }
            for n in 0..10 {
                until(&engine, &format!("o-{n}"), |view| view.phase() == Phase::Dispatching).await;
            }
            let parked = until(&engine, "spins", |view| view.phase() == Phase::OnHold).await.progress.holds;
            assert!(spins.swap(false, Ordering::AcqRel), "nothing waited for its end");
            assert!(
                parked.iter().any(|h| h.code == "parked"
                    && h.detail == format!("the adapter of {effect} does not let go of its thread")),
                "{parked:?}"
            );
            // The money was taken: it is known, although nobody may go on yet.
            let taken = |view: &OrderView| view.progress.books.captured(None) == 5_000;
            until(&engine, "spins", taken).await;
            for hold in parked {
                engine.release(&key("spins"), agent("olga"), hold.id).await.unwrap();
            }
            // No score, no approval: people decide.
            let goes_on = if effect == "review.case/Score" { Phase::UnderReview } else { Phase::Dispatching };
            until(&engine, "spins", |view| view.phase() == goes_on).await;
            let stopped = engine.stop(Duration::from_secs(10)).await;
            assert!(stopped.unfinished.is_empty(), "{stopped:?}");
        }
    });
}

// Bounds.

async fn paid(world: &World, wiring: consign::engine::EngineBuilder) -> Shop {
    let shop = world.open_with(Timestamp::from_millis(MORNING), wiring).await;
    shop.place(draft("o-1", &[5_000], &[("card", 5_000)])).await.unwrap();
    shop.asks("o-1", &carla(), start(1)).await;
    shop
}

fn hold(bytes: usize) -> consign::machine::Call {
    parcel::M::command(1, Hold { reason: "x".repeat(bytes) })
}

/// The largest text that is taken, found by halving; what the next one is told.
async fn largest<E>(limit: u64, taken: impl AsyncFn(usize) -> Result<(), E>) -> (usize, E) {
    let (mut most, mut over) = (0, usize::try_from(limit).unwrap() + 1);
    let mut told = taken(over).await.expect_err("more than all of it");
    while over - most > 1 {
        let middle = most + (over - most) / 2;
        match taken(middle).await {
            Ok(()) => most = middle,
            Err(why) => (over, told) = (middle, why),
        }
    }
    (most, told)
}

#[test]
fn a_record_has_a_size_that_commands_evidence_and_what_waits_keep() {
    run(async {
        let told_of = |why: &EngineError| match why {
            EngineError::TooLarge { bytes, limit, .. } => (*bytes, *limit),
            other => panic!("{other}"),
        };
        // A command: each try is about an order of its own.
        let (most, why) = largest(MAX_RECORD_BYTES, async |bytes| {
            let world = World::new(Disk::memory(), Physical::default());
            let shop = paid(&world, world.wiring()).await;
            let before = shop.life.load_raw("o-1").await;
            let answer = shop.command("o-1", &agent("wim"), "", hold(bytes)).await;
            if answer.is_err() {
                assert_eq!(shop.life.load_raw("o-1").await, before, "nothing is written");
            } else {
                let entries = shop.life.load_raw("o-1").await.version;
                assert_eq!(entries, before.version + 1);
            }
            answer.map(drop)
        })
        .await;
        let CommandError::Engine(why) = why else { panic!("{why}") };
        let (bytes, limit) = told_of(&why);
        // The reason stands in the input and in the state.
        assert!((1..=2).contains(&(bytes - limit)) && most > 400_000, "{most}: {why}");

        // Evidence that has its turn, and evidence that waits.
        for early in [false, true] {
            let (most, why) = largest(MAX_RECORD_BYTES, async |bytes| {
                let world = World::new(Disk::memory(), packs_itself());
                world.gateway.plan(FaultPlan::default().fault("o-1", 1, "charge", 1, Fault::LoseCall));
                let shop = paid(&world, world.wiring()).await;
                let refused = Refused { class: DeclineClass::Soft, code: "x".repeat(bytes) };
                let order = if early { "o-2" } else { "o-1" };
                let call = attempt::M::evidence(1, refused);
                shop.engine.deliver(told(order, "no", shop.now(), call)).await.map(drop)
            })
            .await;
            let DeliverError::Engine(why) = why else { panic!("{why}") };
            let (bytes, limit) = told_of(&why);
            assert!((1..=2).contains(&(bytes - limit)) && most > 400_000, "{early}: {most}: {why}");
        }
    });
}

/// A host's own input, nested as deep as it likes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Remark {
    inside: Vec<Remark>,
}

consign::extend! {
    pub(crate) mod remarked = "payment.remarked" v 1 extends attempt;
    policy PaymentPolicy;
    effects {}
    inputs { command Remark; }
    states {}
    rows { Captured + Remark => Captured; }
}

impl Decide<Remark, remarked::M> for Captured {
    fn decide(&self, _: &Remark, _: &mut Cx<'_, Self::R>) -> Answer<Self::R> {
        Ok(stay(self.clone()))
    }
}

#[test]
fn a_record_is_as_deep_as_can_be_read_again() {
    run(async {
        let composed = || {
            let p = packs_itself();
            pipeline("remarked", 1, LifePolicy::default())
                .then(remarked::M::with(p.payment))
                .then(case::M::with(p.review))
                .then(parcel::M::with(p.dispatch))
                .beside(refund::M::with(p.refund))
                .beside(rma::M::with(p.aftersales))
                .usual_routes()
                .build()
                .unwrap()
        };
        let world = World::of(Disk::memory(), Pipelines::of(move || vec![composed()]));
        let shop = world.open(Timestamp::from_millis(MORNING)).await;
        shop.place(draft("o-1", &[5_000], &[("card", 5_000)])).await.unwrap();
        let pay = consign::stage::payment::Start { tender: 1.into(), channel: None, method: String::new() };
        shop.asks("o-1", &carla(), remarked::M::command(1, pay)).await;
        let nested =
            |levels: usize| (1..levels).fold(Remark { inside: vec![] }, |r, _| Remark { inside: vec![r] });
        // A remark is two levels each, an object and a list, within the record and its input.
        let most = (MAX_DEPTH - 2) / 2;
        shop.asks("o-1", &carla(), remarked::M::command(1, nested(most))).await;
        let before = shop.life.load_raw("o-1").await;
        let why =
            shop.command("o-1", &carla(), "", remarked::M::command(1, nested(most + 1))).await.unwrap_err();
        let CommandError::Engine(EngineError::TooDeep { depth, limit, .. }) = &why else { panic!("{why}") };
        assert_eq!((*depth, *limit), (MAX_DEPTH + 2, MAX_DEPTH));
        assert_eq!(shop.life.load_raw("o-1").await, before, "nothing is written");
        let shop = shop.reopened().await;
        shop.journal("o-1").await;
        assert_eq!(shop.phase("o-1").await, "dispatching", "what was taken is read again");
    });
}

#[test]
fn a_journal_has_a_length_and_what_the_outside_says_is_kept_all_the_same() {
    run(async {
        let world = World::new(Disk::memory(), Physical::default());
        let shop = paid(&world, world.wiring().journal(20)).await;
        let mut refused = None;
        for n in 0..20 {
            let hold = parcel::M::command(1, Hold { reason: format!("reason {n}") });
            if let Err(why) = shop.command("o-1", &agent("wim"), "", hold).await {
                refused = Some(why);
                break;
            }
        }
        let Some(CommandError::Engine(EngineError::TooLong { entries, limit, .. })) = refused else {
            panic!("{refused:?}")
        };
        assert_eq!((entries, limit), (20, 20));
        assert_eq!(
            shop.life.load_raw("o-1").await.version,
            20,
            "the last one was taken, the next one was not"
        );
        // Money that was taken once more is known, whatever the length.
        let order = shop.order("o-1").await.progress.order;
        let again = Paid {
            channel: "card".parse().unwrap(),
            reference: "another".into(),
            amount: order.total(),
            more_allowed: false,
            movement: None,
        };
        let answer = shop.hears("o-1", "again", attempt::M::evidence(1, again)).await;
        assert!(matches!(answer, Delivered::Applied(_)), "{answer:?}");
        // A timer would add to it: a person is called instead.
        shop.pass(10 * DAY).await;
        let holds = shop.order("o-1").await.progress.holds;
        assert!(holds.iter().any(|h| h.code == "parked" && h.detail.contains("records")), "{holds:?}");
        let stands = shop.life.load_raw("o-1").await.version;
        shop.pass(10 * DAY).await;
        assert_eq!(shop.life.load_raw("o-1").await.version, stands, "and nothing more is written");
        // With more room it goes on.
        let (world, now) = shop.stopped().await;
        let shop = world.open_with(now, world.wiring().journal(1_000)).await;
        for hold in shop.order("o-1").await.progress.holds {
            shop.engine.release(&key("o-1"), agent("olga"), hold.id).await.unwrap();
        }
        let more = parcel::M::command(1, Hold { reason: "one more".into() });
        shop.asks("o-1", &agent("wim"), more).await;
        shop.journal("o-1").await;
    });
}

#[test]
fn so_many_messages_wait_with_one_order_and_no_more() {
    run(async {
        let shop = paid(
            &World::new(Disk::memory(), packs_itself()),
            World::new(Disk::memory(), packs_itself()).wiring(),
        )
        .await;
        let scan = |n: usize| told("o-1", &format!("scan-{n}"), shop.now(), delivered(1));
        for n in 0..MAX_WAITING {
            assert_eq!(shop.engine.deliver(scan(n)).await, Ok(Delivered::Kept), "{n}");
        }
        let why = shop.engine.deliver(scan(MAX_WAITING)).await.unwrap_err();
        let DeliverError::TooMany { waiting, limit, .. } = why else { panic!("{why}") };
        assert_eq!((waiting, limit), (MAX_WAITING, MAX_WAITING));
        assert_eq!(shop.engine.deliver(scan(7)).await, Ok(Delivered::Known));
        // Another order is not concerned, and this one makes room by going on.
        shop.place(draft("o-2", &[5_000], &[("card", 5_000)])).await.unwrap();
        assert_eq!(
            shop.engine.deliver(told("o-2", "scan", shop.now(), delivered(1))).await,
            Ok(Delivered::Kept)
        );
        shop.asks("o-1", &agent("wim"), parcel::M::command(1, consign::stage::dispatch::HandOver)).await;
        assert_eq!(shop.phase("o-1").await, "completed", "{}", shop.show("o-1").await);
        assert!(shop.engine.deliver(scan(MAX_WAITING)).await.is_ok());
    });
}

#[test]
fn an_outside_that_is_away_for_days_does_not_fill_the_journal() {
    run(async {
        let world = World::new(Disk::memory(), packs_itself());
        let away = || FaultPlan::default().by_chance(1, &[(1_000, Fault::LoseCall)]);
        let shop = world.open(Timestamp::from_millis(MORNING)).await;
        for order in ["reserves", "closes"] {
            shop.place(draft(order, &[5_000], &[("card", 5_000)])).await.unwrap();
        }
        shop.world.stock.plan(away());
        shop.asks("reserves", &carla(), start(1)).await;
        shop.world.gateway.plan(away());
        shop.asks("closes", &carla(), start(1)).await;
        shop.asks("closes", &carla(), super::journey::cancel()).await;
        let mut before = [0, 0];
        for days in 1..=4 {
            shop.pass(DAY).await;
            for (n, order) in ["reserves", "closes"].into_iter().enumerate() {
                let records = shop.journal(order).await.len();
                let more = records - before[n];
                assert!(more < 400, "{order}: {more} records on day {days}\n{}", shop.show(order).await);
                before[n] = records;
            }
        }
        assert!(before.iter().all(|records| *records > 20), "and nobody gives up: {before:?}");
        // It is back, and both go on.
        shop.world.stock.plan(FaultPlan::default());
        shop.world.gateway.plan(FaultPlan::default());
        shop.pass(2 * DAY).await;
        assert_eq!(shop.phase("reserves").await, "dispatching", "{}", shop.show("reserves").await);
        assert_eq!(shop.phase("closes").await, "cancelled", "{}", shop.show("closes").await);
    });
}
