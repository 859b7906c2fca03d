//! What is taken over, what is damaged and left where it is, and what is told when a task does not come to its end.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use consign::clock::Timestamp;
use consign::engine::{CommandError, Delivered, LaneLimits};
use consign::gateway::{Handler, Repeats, RiskScorer, Ticket};
use consign::id::Key;
use consign::machine::{Cx, Effect, Evidence, Exhausted, Fault, Next, On, Opens, Reply, View, to, until};
use consign::pipeline::lifecycle::LifePolicy;
use consign::pipeline::{Disposition, Pipeline, pipeline};
use consign::stage::dispatch::{HandOver, parcel};
use consign::stage::payment::{DeclineClass, Refused, attempt};
use consign::stage::proof::Wanted;
use consign::stage::review::{Score, Scored};
use consign::store::{Filter, Store as _};
use serde::{Deserialize, Serialize};

use super::journey::{delivered, start};
use super::support::{
    DAY, Disk, Folder, HOUR, MINUTE, MORNING, Pipelines, SECOND, Shop, Trouble, World, agent, carla, draft,
    key, packs_itself, run, told,
};

/// A host's stage whose state has a list by the name that the progress has one by.
mod oven {
    use super::*;

    macro_rules! data { ($($name:ident { $($field:ident: $ty:ty),* })*) => { $(
        #[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
        pub(crate) struct $name { $(pub(crate) $field: $ty),* }
    )* } }
    data! {
        Policy {} Open {} Late {} Bake {}
        Baking { v: u32, w: Vec<u32>, x: u32 } Baked {}
        Done {} Burnt {} Lost { why: String } GaveUp { why: String }
    }
    impl Evidence for Done {}
    impl Evidence for Burnt {}
    impl Evidence for Lost {}
    impl Evidence for GaveUp {}
    impl From<Fault> for Lost {
        fn from(f: Fault) -> Self {
            Self { why: f.why }
        }
    }
    impl From<Exhausted> for GaveUp {
        fn from(e: Exhausted) -> Self {
            Self { why: e.why }
        }
    }
    consign::machine! {
        pub(crate) mod table = "oven" v 1;
        policy Policy;
        hears Wanted;
        effects { Bake (repeat) => done Done, declined Burnt, unknown Lost, exhausted GaveUp; }
        opens { Open }
        inputs { outcome Done @1, Burnt @1, Lost @0, GaveUp @0; timer Late; signal Open (on granted Wanted); }
        states { Baking: busy(Late) @0, Baked: done @1 }
        groups { All = Baking | Baked; }
        rows {
            New    + Open  => Baking / Bake;
            Baking + Done  => Baked;
            Baking + Burnt => Baked;
            Baking + Late  => Baking;
        }
        ignore { All + Open; }
    }
    impl Opens<Open, table::M> for table::New {
        fn keys(view: &View<'_, table::M>) -> Vec<Key> {
            if view.is_empty() { vec![Key(1)] } else { Vec::new() }
        }
    }
    impl On<Open> for table::New {
        fn on(&self, _: &Open, cx: &mut Cx<'_, Self::R>) -> Next<Self::R> {
            cx.want(Bake {});
            until(cx.after_ms(30 * DAY), Baking { v: 1, w: vec![], x: 1 })
        }
    }
    impl On<Late> for Baking {
        fn on(&self, _: &Late, cx: &mut Cx<'_, Self::R>) -> Next<Self::R> {
            until(cx.after_ms(30 * DAY), self.clone())
        }
    }
    impl On<Done> for Baking {
        fn on(&self, _: &Done, _: &mut Cx<'_, Self::R>) -> Next<Self::R> {
            to(Baked {})
        }
    }
    impl On<Burnt> for Baking {
        fn on(&self, _: &Burnt, _: &mut Cx<'_, Self::R>) -> Next<Self::R> {
            to(Baked {})
        }
    }
    pub(crate) fn release() -> Pipeline {
        pipeline("bakery", 1, LifePolicy::default())
            .then(table::M::with(Policy {}))
            .usual_routes()
            .build()
            .unwrap()
    }
}

/// A kitchen that answers once it is open.
struct Kitchen(Arc<AtomicBool>);

#[async_trait]
impl Handler<oven::Bake> for Kitchen {
    fn repeats(&self) -> Repeats {
        Repeats::Idempotent { key_ttl: Duration::from_secs(86_400) }
    }
    async fn call(
        &self,
        _: oven::Bake,
        _: &Ticket,
    ) -> Reply<<oven::Bake as Effect>::Done, <oven::Bake as Effect>::Declined> {
        if !self.0.load(Ordering::SeqCst) {
            std::future::pending::<()>().await;
        }
        Reply::Done(oven::Done {}.into())
    }
}

/// What a crash interrupted was looked for among the bytes of the record, where a host's state may hold the same ones.
#[test]
fn d01_a_call_is_recovered_whatever_the_states_of_a_host_look_like() {
    run(async {
        let open = Arc::new(AtomicBool::new(false));
        let world = World::of(Disk::memory(), Pipelines::of(|| vec![oven::release()]));
        let wiring = || world.wiring().effect::<oven::Bake>(Kitchen(open.clone()));
        let shop = world.open_with(Timestamp::from_millis(MORNING), wiring()).await;
        shop.place(draft("o-1", &[5_000], &[("card", 5_000)])).await.unwrap();
        assert_eq!(shop.order("o-1").await.progress.wanted.len(), 1);
        let (_, now) = shop.killed().await;
        open.store(true, Ordering::SeqCst);
        let shop = world.open_with(now, wiring()).await;
        shop.pass(MINUTE).await;
        let view = shop.order("o-1").await;
        assert!(view.instances().contains(&("oven", Key(1), "Baked")), "{:?}", view.instances());
    });
}

/// Orders whose records cannot be read stay where they are, and are told of; the others run.
#[test]
fn d02_a_damaged_order_is_named_and_the_others_run() {
    run(async {
        let disk = Disk::memory();
        let shop = Shop::morning(disk.clone()).await;
        for order in ["no-json", "no-document", "no-policy", "well"] {
            shop.place(draft(order, &[5_000], &[("card", 5_000)])).await.unwrap();
        }
        shop.world.gateway.plan(consign::testing::FaultPlan::default());
        let (world, now) = shop.killed().await;
        let life = disk.life();
        life.read_as(|stored| match stored.order.order.as_str() {
            "no-json" => stored.progress = Arc::from(&b"\xff{"[..]),
            "no-document" => stored.document = Arc::from(&b""[..]),
            "no-policy" => {
                let document = String::from_utf8(stored.document.to_vec()).unwrap();
                let hash = document.split('"').find(|part| part.len() == 64).unwrap();
                stored.document = document.replace(hash, &"0".repeat(64)).into_bytes().into();
            }
            _ => {}
        });
        let shop = world.open_as(life, now, world.wiring()).await;
        // Whoever is woken, and whoever is asked about.
        shop.pass(2 * DAY).await;
        let said = format!("{:?}", shop.engine.report());
        for order in ["no-json", "no-document", "no-policy"] {
            assert!(said.contains(order), "{order} is missing: {said}");
            let why = shop.engine.order(&key(order)).await.unwrap_err();
            assert!(!why.to_string().is_empty());
        }
        assert!(!said.contains("well"), "{said}");
        let listed = shop.engine.list(&Filter::default(), None, 10).await.unwrap();
        assert_eq!(listed.len(), 4, "what the store knows of them is seen");
        shop.place(draft("later", &[5_000], &[("card", 5_000)])).await.unwrap();
        shop.asks("later", &carla(), start(1)).await;
        assert_eq!(shop.phase("later").await, "dispatching");
    });
}

/// A message whose record would be too large once its turn comes was taken at the door, and kept those behind it from
/// being heard.
#[test]
fn d04_a_message_that_cannot_be_written_keeps_no_other_waiting() {
    run(async {
        let shop = Shop::morning(Disk::memory()).await;
        let long = Refused { class: DeclineClass::Soft, code: "x".repeat(600_000) };
        let _ = shop.engine.deliver(told("o-1", "long", shop.now(), attempt::M::evidence(1, long))).await;
        let mut scan = told("o-1", "scan", shop.now().saturating_add(Duration::from_secs(1)), delivered(1));
        scan.source = "dhl".into();
        assert_eq!(shop.engine.deliver(scan).await, Ok(Delivered::Kept));
        shop.place(draft("o-1", &[5_000], &[("card", 5_000)])).await.unwrap();
        shop.world.gateway.plan(consign::testing::FaultPlan::default().fault(
            "o-1",
            1,
            "charge",
            1,
            consign::testing::Fault::Slow,
        ));
        shop.asks("o-1", &carla(), start(1)).await;
        shop.pass(HOUR).await;
        for hold in shop.order("o-1").await.progress.holds {
            shop.engine.release(&key("o-1"), agent("olga"), hold.id).await.unwrap();
        }
        shop.pass(HOUR).await;
        shop.asks("o-1", &agent("wim"), parcel::M::command(1, HandOver)).await;
        let stands = shop.order("o-1").await.instances();
        assert!(stands.contains(&("dispatch.parcel", Key(1), "Delivered")), "{}", shop.show("o-1").await);
    });
}

/// Counts who is with the scorer, and lets it fail or take its time.
#[derive(Default)]
struct Counter {
    calls: AtomicU32,
    fails: AtomicBool,
    hangs: AtomicBool,
}

#[async_trait]
impl RiskScorer for Counter {
    async fn score(
        &self,
        _: Score,
        _: &Ticket,
    ) -> Reply<<Score as Effect>::Done, <Score as Effect>::Declined> {
        self.calls.fetch_add(1, Ordering::SeqCst);
        if self.hangs.load(Ordering::SeqCst) {
            std::future::pending::<()>().await;
        }
        if self.fails.load(Ordering::SeqCst) {
            return Reply::Unknown("down".into());
        }
        Reply::Done(Scored::of(1).into())
    }
}

/// Sixty calls waited before a shut lane, and sixty went through when its time was over.
#[test]
fn d06_a_lane_that_was_shut_lets_one_call_through_and_no_more_until_it_is_answered() {
    run(async {
        let world = World::new(Disk::memory(), packs_itself());
        let counter = Arc::new(Counter::default());
        counter.fails.store(true, Ordering::SeqCst);
        let limits = LaneLimits {
            failures: 2,
            shut: Duration::from_secs(2),
            deadline: Duration::from_secs(1),
            ..LaneLimits::default()
        };
        let wiring = world.wiring().scorer(counter.clone()).lane("scorer", limits);
        let shop = world.open_with(Timestamp::from_millis(MORNING), wiring).await;
        for n in 0..2 {
            let order = format!("first-{n}");
            shop.place(draft(&order, &[5_000], &[("card", 5_000)])).await.unwrap();
            shop.asks(&order, &carla(), start(1)).await;
        }
        assert_eq!(counter.calls.load(Ordering::SeqCst), 2, "the lane is shut now");
        for n in 0..60 {
            let order = format!("o-{n}");
            shop.place(draft(&order, &[5_000], &[("card", 5_000)])).await.unwrap();
            shop.asks(&order, &carla(), start(1)).await;
        }
        assert_eq!(counter.calls.load(Ordering::SeqCst), 2);
        counter.hangs.store(true, Ordering::SeqCst);
        shop.pass(2_400).await;
        assert_eq!(counter.calls.load(Ordering::SeqCst), 3, "one goes to see");
        // It fails: the lane is shut again, and the next one goes when that is over.
        shop.pass(SECOND).await;
        assert_eq!(counter.calls.load(Ordering::SeqCst), 3);
        shop.pass(2 * SECOND).await;
        assert_eq!(counter.calls.load(Ordering::SeqCst), 4, "again one");
        counter.hangs.store(false, Ordering::SeqCst);
        counter.fails.store(false, Ordering::SeqCst);
        shop.pass(60 * SECOND).await;
        assert!(counter.calls.load(Ordering::SeqCst) > 5, "it is open again");
    });
}

/// A rate above 1,000 calls a second was none.
#[test]
fn d06_a_rate_above_a_thousand_a_second_is_kept() {
    run(async {
        let world = World::new(Disk::memory(), packs_itself());
        let counter = Arc::new(Counter::default());
        let limits = LaneLimits { per_second: Some(4_000), ..LaneLimits::default() };
        let wiring = world.wiring().scorer(counter.clone()).lane("scorer", limits);
        let shop = world.open_with(Timestamp::from_millis(MORNING), wiring).await;
        for n in 0..40 {
            let order = format!("o-{n}");
            shop.engine.place(draft(&order, &[5_000], &[("card", 5_000)])).await.unwrap();
            shop.engine.command(&key(&order), carla(), "", start(1)).await.unwrap();
        }
        shop.settled().await;
        let at_once = counter.calls.load(Ordering::SeqCst);
        assert!((1..=5).contains(&at_once), "{at_once} calls in no time");
        for ms in 1..=9 {
            shop.pass(1).await;
            let calls = counter.calls.load(Ordering::SeqCst);
            assert!((4 * ms..=4 * ms + 5).contains(&calls), "{calls} calls in {ms} ms");
        }
        shop.pass(5).await;
        assert_eq!(counter.calls.load(Ordering::SeqCst), 40);
    });
}

/// Names and addresses stand in the file.
#[cfg(unix)]
#[test]
fn d06_files_are_for_their_owner_alone() {
    use std::os::unix::fs::PermissionsExt as _;
    run(async {
        let folder = Folder::new("modes");
        let path = folder.file("orders.db");
        let shop = Shop::morning(Disk::file(&path)).await;
        shop.place(draft("o-1", &[5_000], &[("card", 5_000)])).await.unwrap();
        let mut seen = 0;
        for file in std::fs::read_dir(path.parent().unwrap()).unwrap() {
            let file = file.unwrap();
            let mode = file.metadata().unwrap().permissions().mode() & 0o777;
            assert_eq!(mode, 0o600, "{:?} has mode {mode:o}", file.file_name());
            seen += 1;
        }
        assert!(seen >= 4, "the database, its log, the index of that, and the lock: {seen}");
        shop.stopped().await;
    });
}

/// A message about an order that never comes is not kept for good, and not lost in silence.
#[test]
fn d06_messages_of_unknown_orders_expire_into_the_report() {
    run(async {
        let shop = Shop::morning(Disk::memory()).await;
        assert_eq!(
            shop.engine.deliver(told("o-never", "scan-1", shop.now(), delivered(1))).await,
            Ok(Delivered::Kept)
        );
        shop.place(draft("o-1", &[5_000], &[("card", 5_000)])).await.unwrap();
        assert_eq!(
            shop.engine.deliver(told("o-1", "scan-1", shop.now(), delivered(1))).await,
            Ok(Delivered::Kept)
        );
        shop.pass(29 * DAY).await;
        assert_eq!(shop.life.inbox_waiting(None, 9).await.unwrap(), [key("o-1"), key("o-never")]);
        shop.pass(3 * DAY).await;
        assert_eq!(shop.life.inbox_waiting(None, 9).await.unwrap(), [key("o-1")], "what has an order stays");
        let said = format!("{:?}", shop.engine.report());
        for part in ["o-never", "scan-1", "carrier", "DeliveredTo"] {
            assert!(said.contains(part), "{part} is missing: {said}");
        }
        assert_eq!(
            shop.engine.deliver(told("o-never", "scan-1", shop.now(), delivered(1))).await,
            Ok(Delivered::Known),
            "and is known"
        );
    });
}

/// One order that moves and rests all day pushed every other one out of memory.
#[test]
fn d06_a_hot_order_pushes_no_other_out_of_memory() {
    run(async {
        let world = World::new(Disk::memory(), packs_itself());
        let wiring = world.wiring().cache(10);
        let shop = world.open_with(Timestamp::from_millis(MORNING), wiring).await;
        for n in 0..9 {
            shop.place(draft(&format!("o-{n}"), &[5_000], &[("card", 5_000)])).await.unwrap();
        }
        shop.place(draft("hot", &[5_000], &[("card", 5_000)])).await.unwrap();
        for n in 0..100 {
            let _ =
                shop.command("hot", &agent("wim"), &format!("k-{n}"), parcel::M::command(1, HandOver)).await;
        }
        let before = shop.life.loads.load(Ordering::SeqCst);
        for n in 0..9 {
            shop.order(&format!("o-{n}")).await;
        }
        assert_eq!(shop.life.loads.load(Ordering::SeqCst) - before, 0, "all of them are in memory");
        for n in 0..30 {
            shop.place(draft(&format!("new-{n}"), &[5_000], &[("card", 5_000)])).await.unwrap();
        }
        let before = shop.life.loads.load(Ordering::SeqCst);
        for n in 0..9 {
            shop.order(&format!("o-{n}")).await;
        }
        assert_eq!(shop.life.loads.load(Ordering::SeqCst) - before, 9, "there is room for ten");
    });
}

/// `Stopped` says that nothing was written. A task that ends before its answer says no such thing.
#[test]
fn d07_a_task_that_dies_after_its_commit_leaves_doubt() {
    run(async {
        let shop = Shop::morning(Disk::memory()).await;
        shop.place(draft("o-1", &[5_000], &[("card", 5_000)])).await.unwrap();
        for (trouble, more) in [(Trouble::Panics, 0), (Trouble::PanicsAfter, 1)] {
            let before = shop.life.load_raw("o-1").await.version;
            shop.life.fail_at(shop.life.commits() + 1, trouble);
            let answer = shop.command("o-1", &carla(), "pay", start(1)).await;
            assert_eq!(shop.life.load_raw("o-1").await.version, before + more);
            let Err(why) = answer else { panic!("{trouble:?}: {answer:?}") };
            assert!(matches!(why, CommandError::Unconfirmed(_)), "{trouble:?}: {why:?}");
        }
        let again = shop.command("o-1", &carla(), "pay", start(1)).await.unwrap();
        assert_eq!(again.disposition, Disposition::Duplicate, "the same key tells");
        // The task that died made no call; another one goes on with the order.
        shop.pass(HOUR).await;
        let state = shop.order("o-1").await.instances().pop().unwrap().2;
        assert_eq!(state, "Closed", "asked about, and not there: {}", shop.show("o-1").await);
        shop.life.fail_at(shop.life.commits() + 1, Trouble::PanicsAfter);
        let placed = shop.place(draft("o-2", &[5_000], &[("card", 5_000)])).await.unwrap_err();
        assert!(matches!(placed, consign::engine::PlaceError::Unconfirmed(_)), "{placed:?}");
        shop.pass(SECOND).await;
        assert!(shop.place(draft("o-2", &[5_000], &[("card", 5_000)])).await.unwrap().existing);
        shop.asks("o-2", &carla(), start(1)).await;
        shop.asks("o-2", &agent("wim"), parcel::M::command(1, HandOver)).await;
        shop.life.fail_at(shop.life.commits() + 1, Trouble::PanicsAfter);
        let scan = || told("o-2", "there", shop.now(), delivered(1));
        let why = shop.engine.deliver(scan()).await.unwrap_err().to_string();
        assert!(why.contains("not known"), "{why}");
        assert_eq!(shop.engine.deliver(scan()).await, Ok(Delivered::Known));
        // Only a stop that came first says that nothing was written.
        shop.engine.stop(Duration::from_secs(1)).await;
        let late = shop.command("o-1", &carla(), "late", start(1)).await;
        assert_eq!(late, Err(CommandError::Stopped));
    });
}

/// An order that could not be read after its commit stood nowhere: at version 0, on hold.
#[test]
fn d07_an_accepted_command_tells_where_the_order_stands_and_invents_nothing() {
    run(async {
        for trouble in [Trouble::LostBefore, Trouble::LostAfter] {
            let shop = Shop::morning(Disk::memory()).await;
            shop.place(draft("o-1", &[5_000], &[("card", 5_000)])).await.unwrap();
            shop.asks("o-1", &carla(), start(1)).await;
            assert_eq!(shop.hears("o-1", "there", delivered(1)).await, Delivered::Kept);
            // The command is written; what follows from it is lost in doubt.
            shop.life.fail_at(shop.life.commits() + 2, trouble);
            let done = shop.asks("o-1", &agent("wim"), parcel::M::command(1, HandOver)).await;
            assert!(done.version > 3, "{done:?}");
            assert_ne!(done.phase, consign::pipeline::Phase::OnHold, "{done:?}");
            shop.pass(HOUR).await;
            assert_eq!(shop.phase("o-1").await, "completed", "{}", shop.show("o-1").await);
        }
    });
}

/// What was packed and unpacked since answered `Ok` to the key of the first packing, and nobody saw that nothing
/// happened.
#[test]
fn a26_a_command_that_comes_again_tells_where_the_order_stands_now() {
    run(async {
        let shop = Shop::with(Disk::memory(), consign::pipeline::Physical::default()).await;
        shop.place(draft("o-1", &[5_000], &[("card", 5_000)])).await.unwrap();
        shop.asks("o-1", &carla(), start(1)).await;
        let hold = || parcel::M::command(1, consign::stage::dispatch::Hold { reason: "wet".into() });
        let first = shop.command("o-1", &agent("wim"), "hold-parcel-1", hold()).await.unwrap();
        assert_eq!((first.is_duplicate(), first.state), (false, Some("OnHold")));
        let dry = parcel::M::command(1, consign::stage::dispatch::Unhold { reason: "wet".into() });
        let undone = shop.asks("o-1", &agent("wim"), dry).await;
        let again = shop.command("o-1", &agent("wim"), "hold-parcel-1", hold()).await.unwrap();
        assert!(again.is_duplicate());
        assert_eq!((again.state, again.version), (undone.state, undone.version));
        assert_ne!(again.state, first.state, "nothing is on hold");
    });
}

/// A message that can never have its turn is let go by a person, and the journal says so.
#[test]
fn a05_a_person_lets_go_of_a_message_and_the_journal_keeps_it() {
    run(async {
        let shop = Shop::morning(Disk::memory()).await;
        shop.place(draft("o-1", &[5_000], &[("card", 5_000)])).await.unwrap();
        assert_eq!(shop.hears("o-1", "scan-1", delivered(9)).await, Delivered::Kept);
        let waits = shop.engine.messages(&key("o-1")).await.unwrap();
        let told: Vec<_> = waits.iter().map(|w| (&*w.source, &*w.event, w.says.as_str())).collect();
        assert_eq!(told, [("carrier", "scan-1", "dispatch.parcel 9 DeliveredTo")]);
        let drop = async |who, event| {
            let answer = shop.engine.drop_message(&key("o-1"), who, "carrier", event).await;
            shop.settled().await;
            answer.map_err(|why| why.to_string())
        };
        let before = shop.life.load_raw("o-1").await;
        for (who, event, says) in [
            (carla(), "scan-1", "for a person of the shop"),
            (consign::id::Actor::system(), "scan-1", "for a person of the shop"),
            (agent("olga"), "scan-2", "no message scan-2"),
        ] {
            let why = drop(who, event).await.unwrap_err();
            assert!(why.contains(says), "{why}");
        }
        assert_eq!(shop.life.load_raw("o-1").await, before);
        let done = drop(agent("olga"), "scan-1").await.unwrap();
        assert_eq!(done.version, 2);
        assert!(shop.engine.messages(&key("o-1")).await.unwrap().is_empty());
        assert_eq!(shop.hears("o-1", "scan-1", delivered(9)).await, Delivered::Known);
        let last = shop.journal("o-1").await.pop().unwrap();
        let let_go = ("carrier".into(), "scan-1".into(), "dispatch.parcel 9 DeliveredTo".into());
        assert_eq!((last.kind.as_str(), last.by, last.let_go), ("let_go", agent("olga"), Some(let_go)));
        let unknown = shop.engine.drop_message(&key("o-9"), agent("olga"), "carrier", "scan-1").await;
        assert!(matches!(unknown, Err(CommandError::UnknownOrder { .. })), "{unknown:?}");
        // One that cannot be read is let go as well.
        shop.life
            .inbox_put(consign::store::InboxRow {
                order: key("o-1"),
                source: "carrier".into(),
                event: "torn".into(),
                received_at: shop.now(),
                body: Arc::from(&b"{"[..]),
            })
            .await
            .unwrap();
        let shop = shop.reopened().await;
        shop.pass(MINUTE).await;
        let holds = shop.order("o-1").await.progress.holds;
        assert!(holds.iter().any(|h| h.code == "message" && h.detail.contains("torn")), "{holds:?}");
        shop.engine.drop_message(&key("o-1"), agent("olga"), "carrier", "torn").await.unwrap();
        for hold in holds {
            shop.engine.release(&key("o-1"), agent("olga"), hold.id).await.unwrap();
        }
        shop.asks("o-1", &carla(), start(1)).await;
        shop.pass(DAY).await;
        let after = shop.order("o-1").await.progress.holds;
        assert!(after.iter().all(|h| h.code != "message"), "{after:?}");
        shop.journal("o-1").await;
    });
}

/// A scorer that is busy for ever, and says for how long.
struct Busy(AtomicU32, Duration);

#[async_trait]
impl RiskScorer for Busy {
    async fn score(
        &self,
        _: Score,
        _: &Ticket,
    ) -> Reply<<Score as Effect>::Done, <Score as Effect>::Declined> {
        self.0.fetch_add(1, Ordering::SeqCst);
        Reply::Later(self.1)
    }
}

/// "Ask again in no time" was a thousand calls a second, "in a year" was never.
#[test]
fn d03_who_is_busy_is_asked_again_at_bounded_times() {
    run(async {
        for (asks_for, calls) in [(0, 2..=40), (365 * DAY, 1..=4)] {
            let world = World::new(Disk::memory(), packs_itself());
            let busy = Arc::new(Busy(AtomicU32::new(0), Duration::from_millis(asks_for)));
            let shop =
                world.open_with(Timestamp::from_millis(MORNING), world.wiring().scorer(busy.clone())).await;
            shop.place(draft("o-1", &[5_000], &[("card", 5_000)])).await.unwrap();
            shop.asks("o-1", &carla(), start(1)).await;
            let mut before = shop.life.load_raw("o-1").await.version;
            for day in 1..=2 {
                shop.pass(DAY).await;
                let stands = shop.life.load_raw("o-1").await.version;
                let most = if day == 1 { 80 } else { 50 };
                assert!(stands - before <= most, "day {day}: {} records", stands - before);
                before = stands;
                if day == 1 {
                    let made = busy.0.load(Ordering::SeqCst);
                    assert!(calls.contains(&made), "{asks_for}: {made} calls on the first day");
                }
            }
        }
    });
}
