//! What is wrong is told in a typed error, with everything that is wrong, and nothing is lost by it.

use std::fs;
use std::sync::Arc;

use consign::clock::Timestamp;
use consign::engine::{CommandError, DeliverError, Engine, EngineError, PlaceError, StartFault};
use consign::journal::JournalError;
use consign::order::Fault;
use consign::pipeline::{Refused, physical};
use consign::stage::refund::{CancelRefund, refund};
use consign::store::{Error, SqliteStore};

use super::journey::{cancel, start};
use super::support::{Disk, Folder, MORNING, Shop, World, agent, carla, draft, packs_itself, run};

#[test]
fn a_malformed_order_is_told_every_fault_and_nothing_is_placed() {
    run(async {
        let shop = Shop::morning(Disk::memory()).await;
        let mut bad = draft("o 1", &[5_000], &[("card", 0)]);
        bad.currency = "XQQ".into();
        bad.lines[0].quantity = 0;
        let Err(PlaceError::Malformed(faults)) = shop.place(bad).await else { panic!("it was placed") };
        let has = |what: fn(&Fault) -> bool| faults.iter().any(what);
        assert!(has(|f| matches!(f, Fault::Name { path, .. } if path == "id")), "{faults:?}");
        assert!(has(|f| matches!(f, Fault::Currency { .. })), "{faults:?}");
        assert!(
            has(|f| matches!(f, Fault::NotPositive { path, .. } if path.starts_with("lines[0]"))),
            "{faults:?}"
        );
        assert!(
            has(|f| matches!(f, Fault::NotPositive { path, .. } if path.starts_with("tenders[0]"))),
            "{faults:?}"
        );
        let mut huge = draft("o-1", &[i64::MAX], &[]);
        huge.lines.push(huge.lines[0].clone());
        let Err(PlaceError::Malformed(faults)) = shop.place(huge).await else { panic!("it was placed") };
        assert!(faults.iter().any(|f| matches!(f, Fault::Overflow { .. })), "{faults:?}");
        assert_eq!(shop.life.commits(), 0);
        assert!(shop.engine.list(&consign::store::Filter::default(), None, 10).await.unwrap().is_empty());
    });
}

#[test]
fn the_same_order_twice_is_one_order_and_another_under_its_name_is_a_conflict() {
    run(async {
        let shop = Shop::morning(Disk::memory()).await;
        let order = || draft("o-1", &[5_000], &[("card", 5_000)]);
        assert!(!shop.place(order()).await.unwrap().existing);
        assert!(shop.place(order()).await.unwrap().existing);
        let shop = shop.reopened().await;
        shop.pass(1000).await;
        assert!(shop.place(order()).await.unwrap().existing, "also after a restart");
        let other = shop.place(draft("o-1", &[4_999], &[("card", 4_999)])).await;
        assert_eq!(other, Err(PlaceError::Conflict { order: super::support::key("o-1") }));
        assert_eq!(shop.order("o-1").await.progress.order.total().minor(), 5_000);
        assert_eq!(shop.journal("o-1").await.len(), 1);
        let nowhere = consign::order::Order::parse(order()).unwrap();
        let placed = shop.engine.place_at(super::support::key("o-2"), Some("digital"), nowhere).await;
        assert_eq!(placed, Err(PlaceError::UnknownPipeline { name: "digital".into() }));
    });
}

#[test]
fn a_command_to_nobody_is_refused_and_a_repeated_one_is_done_once() {
    run(async {
        let shop = Shop::morning(Disk::memory()).await;
        let nobody = shop.command("o-9", &carla(), "", cancel()).await;
        assert!(matches!(nobody, Err(CommandError::UnknownOrder { .. })), "{nobody:?}");
        shop.place(draft("o-1", &[5_000], &[("card", 5_000)])).await.unwrap();
        let none = shop.command("o-1", &agent("sue"), "", refund::M::command(7, CancelRefund)).await;
        assert!(matches!(none, Err(CommandError::Refused(Refused::UnknownInstance { .. }))), "{none:?}");
        let elsewhere = shop.command("o-1", &agent("sue"), "", cancel().named("order.afterlife")).await;
        assert!(
            matches!(elsewhere, Err(CommandError::Refused(Refused::UnknownMachine { .. }))),
            "{elsewhere:?}"
        );
        let lost = shop.engine.deliver(super::support::told(
            "o-9",
            "e-1",
            shop.now(),
            super::journey::delivered(1).named("dispatch.drone"),
        ));
        assert!(matches!(lost.await, Err(DeliverError::UnknownMachine { .. })));
        assert_eq!(shop.journal("o-1").await.len(), 1, "a refused command leaves no trace");
        shop.command("o-1", &carla(), "pay", start(1)).await.unwrap();
        let version = shop.order("o-1").await.progress.version;
        let again = shop.command("o-1", &carla(), "pay", start(1)).await.unwrap();
        assert_eq!((again.disposition, again.version), (consign::pipeline::Disposition::Duplicate, version));
        let no_hold = shop.engine.release(&super::support::key("o-1"), agent("olga"), 3).await;
        assert!(
            matches!(no_hold, Err(CommandError::Refused(Refused::UnknownHold { hold: 3 }))),
            "{no_hold:?}"
        );
    });
}

#[test]
fn an_engine_that_is_wired_wrongly_says_everything_that_is_missing() {
    run(async {
        let nothing = Engine::builder().start().await.unwrap_err().0;
        assert_eq!(nothing, [StartFault::NoPipeline, StartFault::NoStore]);
        let pipeline = || physical(packs_itself()).unwrap();
        let faults = Engine::builder().pipeline(pipeline()).pipeline(pipeline()).start().await.unwrap_err().0;
        let missing: Vec<_> = faults.iter().filter(|f| matches!(f, StartFault::NoHandler { .. })).collect();
        // Five of payment, one of review, nine of dispatch, two of refund, one of after-sales; each told once.
        assert_eq!(missing.len(), 18, "{faults:?}");
        assert!(
            faults.iter().any(|f| matches!(f, StartFault::PipelineTwice { name: "physical", version: 2 }))
        );
        assert!(faults.contains(&StartFault::NoStore));
    });
}

#[test]
fn an_order_of_a_pipeline_that_is_not_registered_is_left_alone_and_reported() {
    run(async {
        let shop = Shop::morning(Disk::memory()).await;
        shop.place(draft("o-1", &[5_000], &[("card", 5_000)])).await.unwrap();
        let (world, now) = shop.stopped().await;
        let life = match &world.disk {
            Disk::Memory(store) => super::support::Life::new(store.clone(), true),
            Disk::File(_) => unreachable!("it is in memory"),
        };
        life.read_as(|stored| stored.columns.pipeline_version = 9);
        let env = consign::testing::VirtualEnv::new(now, 1);
        let engine = world.wiring().store(life).env(Arc::new(env.clone())).start().await.unwrap();
        let key = super::support::key("o-1");
        let seen = engine.order(&key).await;
        assert!(matches!(seen, Err(EngineError::Unregistered { version: 9, .. })), "{seen:?}");
        let asked = engine.command(&key, carla(), "", cancel()).await;
        assert!(matches!(asked, Err(CommandError::Engine(EngineError::Unregistered { .. }))), "{asked:?}");
        let shop = world.open(now).await;
        assert_eq!(shop.phase("o-1").await, "awaiting_payment", "nothing was lost");
        shop.journal("o-1").await;
    });
}

#[test]
fn a_record_of_a_newer_release_or_a_damaged_one_is_an_error_and_not_a_guess() {
    run(async {
        let shop = Shop::morning(Disk::memory()).await;
        shop.place(draft("o-1", &[5_000], &[("card", 5_000)])).await.unwrap();
        let (world, now) = shop.stopped().await;
        let patched = |patch: fn(&str) -> String| {
            let Disk::Memory(store) = &world.disk else { unreachable!("it is in memory") };
            let life = super::support::Life::new(store.clone(), true);
            life.read_as(move |stored| {
                stored.progress = patch(std::str::from_utf8(&stored.progress).unwrap()).into_bytes().into();
            });
            let env = consign::testing::VirtualEnv::new(now, 1);
            world.wiring().store(life).env(Arc::new(env))
        };
        let key = super::support::key("o-1");
        let newer = patched(|p| p.replacen("{\"v\":1,", "{\"v\":2,", 1)).start().await.unwrap();
        let asked = newer.command(&key, carla(), "", cancel()).await;
        let why = JournalError::Newer { found: 2, known: 1 };
        assert_eq!(asked, Err(CommandError::Engine(EngineError::Journal(why))));
        let torn = patched(|p| p[..p.len() / 2].to_owned()).start().await.unwrap();
        let asked = torn.command(&key, carla(), "", cancel()).await;
        assert!(
            matches!(asked, Err(CommandError::Engine(EngineError::Journal(JournalError::Damaged(_))))),
            "{asked:?}"
        );
        let shop = world.open(now).await;
        shop.asks("o-1", &carla(), cancel()).await;
        assert_eq!(shop.phase("o-1").await, "cancelled", "nothing was lost");
    });
}

#[test]
fn a_file_that_is_missing_locked_newer_cut_off_or_garbage_is_told_apart_and_left_as_it_is() {
    run(async {
        let folder = Folder::new("files");
        let path = folder.file("orders.db");
        assert!(matches!(SqliteStore::open_existing(&path), Err(Error::Missing { .. })));
        assert!(!path.exists());
        let world = World::new(Disk::file(&path), packs_itself());
        let shop = world.open(Timestamp::from_millis(MORNING)).await;
        shop.place(draft("o-1", &[5_000], &[("card", 5_000)])).await.unwrap();
        assert!(matches!(SqliteStore::open(&path), Err(Error::Locked { .. })));
        shop.asks("o-1", &carla(), start(1)).await;
        let (world, now) = shop.stopped().await;
        let whole = fs::read(&path).unwrap();

        let newer = folder.file("newer.db");
        fs::write(&newer, &whole).unwrap();
        rusqlite::Connection::open(&newer).unwrap().pragma_update(None, "user_version", 99).unwrap();
        let before = fs::read(&newer).unwrap();
        assert!(matches!(SqliteStore::open_existing(&newer), Err(Error::Newer { found: 99, .. })));
        assert_eq!(fs::read(&newer).unwrap(), before);

        for (name, bytes) in [
            ("cut.db", whole[..whole.len() / 2].to_vec()),
            ("short.db", whole[..50].to_vec()),
            ("garbage.db", b"this is a letter to a friend, and no database at all".repeat(200)),
        ] {
            let at = folder.file(name);
            fs::write(&at, &bytes).unwrap();
            let opened = SqliteStore::open_existing(&at);
            assert!(matches!(opened, Err(Error::Corrupt { .. })), "{name}: {opened:?}");
            assert_eq!(fs::read(&at).unwrap(), bytes, "{name} was touched");
        }
        let shop = world.open(now).await;
        assert_eq!(shop.balances("o-1").await, "psp:card 5000, cust -5000");
        shop.journal("o-1").await;
    });
}
