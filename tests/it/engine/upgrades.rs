//! Two releases of a host's pipeline: orders of the first go on under the second, or under both side by side, or are
//! left alone by who cannot read them.

use consign::engine::StartFault;
use consign::id::Key;
use consign::machine::{Answer, Cx, Decide, Machine, Next, On, Opens, View, to, until};
use consign::pipeline::lifecycle::LifePolicy;
use consign::pipeline::{BuildFault, BuildFaults, Pipeline, pipeline};
use consign::stage::proof::Wanted;
use serde::{Deserialize, Serialize};

use super::support::{DAY, Disk, Folder, MINUTE, MORNING, Pipelines, Shop, World, agent, draft, key, run};

/// What both releases share.
macro_rules! plain {
    ($($name:ident)*) => { $(
        #[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
        pub(crate) struct $name;
    )* };
}

/// The first release: a box is packed when somebody says so, or given up after a day.
mod first {
    use super::*;
    plain! { Begin Seal Late }
    #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
    pub(crate) struct Packing {
        pub(crate) note: String,
    }
    #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
    pub(crate) struct Sealed {
        pub(crate) note: String,
    }
    #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
    pub(crate) struct Policy {
        pub(crate) note: String,
    }
    consign::machine! {
        pub(crate) mod table = "box.pack" v 1;
        policy Policy;
        hears Wanted;
        effects {}
        opens { Begin }
        inputs { command Seal; timer Late; signal Begin (on granted Wanted); }
        states { Packing: wait(Late), Sealed: done }
        rows {
            New     + Begin => Packing;
            Packing + Seal  => Sealed;
            Packing + Late  => Sealed;
        }
        ignore { Packing + Begin; Sealed + Begin; }
    }
    impl Opens<Begin, table::M> for table::New {
        fn keys(view: &View<'_, table::M>) -> Vec<Key> {
            if view.is_empty() { vec![Key(1)] } else { Vec::new() }
        }
    }
    impl On<Begin> for table::New {
        fn on(&self, _: &Begin, cx: &mut Cx<'_, Self::R>) -> Next<Self::R> {
            until(cx.after_ms(DAY), Packing { note: cx.policy().note.clone() })
        }
    }
    impl Decide<Seal> for Packing {
        fn decide(&self, _: &Seal, _: &mut Cx<'_, Self::R>) -> Answer<Self::R> {
            Ok(to(Sealed { note: self.note.clone() }))
        }
    }
    impl On<Late> for Packing {
        fn on(&self, _: &Late, _: &mut Cx<'_, Self::R>) -> Next<Self::R> {
            to(Sealed { note: format!("late: {}", self.note) })
        }
    }
    pub(crate) fn release() -> Pipeline {
        pipeline("boxes", 1, LifePolicy::default())
            .then(table::M::with(Policy { note: "blue".into() }))
            .usual_routes()
            .build()
            .unwrap()
    }
}

/// The second release: a box has a weight, is looked at every hour, and gets a label.
mod second {
    use super::*;
    plain! { Begin Seal Late Look }
    #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
    pub(crate) struct Packing {
        pub(crate) note: String,
        pub(crate) grams: u32,
        #[serde(default)]
        pub(crate) looks: u32,
    }
    impl From<first::Packing> for Packing {
        fn from(old: first::Packing) -> Self {
            Self { note: old.note, grams: 0, looks: 0 }
        }
    }
    pub(crate) use first::Packing as PackingV1;
    pub(crate) use first::Policy as PolicyV1;
    #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
    pub(crate) struct Sealed {
        pub(crate) note: String,
    }
    #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
    pub(crate) struct Policy {
        pub(crate) note: String,
        pub(crate) look_ms: u64,
    }
    impl From<first::Policy> for Policy {
        fn from(old: first::Policy) -> Self {
            Self { note: old.note, look_ms: 60 * MINUTE }
        }
    }
    consign::machine! {
        pub(crate) mod table = "box.pack" v 2;
        policy Policy, v 2 <- PolicyV1;
        hears Wanted;
        effects {}
        opens { Begin }
        inputs { command Seal; timer Late, Look; signal Begin (on granted Wanted); }
        states { Packing: wait(Late, Look) v 2 <- PackingV1, Sealed: done }
        rows {
            New     + Begin => Packing;
            Packing + Seal  => Sealed;
            Packing + Late  => Sealed;
            Packing + Look  => Packing;
        }
        ignore { Packing + Begin; Sealed + Begin; }
    }
    fn wait(
        cx: &Cx<'_, impl consign::machine::Row<M = table::M>>,
    ) -> (consign::machine::Deadline, consign::machine::Deadline) {
        (cx.after_ms(DAY), cx.after_ms(cx.policy().look_ms))
    }
    impl Opens<Begin, table::M> for table::New {
        fn keys(view: &View<'_, table::M>) -> Vec<Key> {
            if view.is_empty() { vec![Key(1)] } else { Vec::new() }
        }
    }
    impl On<Begin> for table::New {
        fn on(&self, _: &Begin, cx: &mut Cx<'_, Self::R>) -> Next<Self::R> {
            until(wait(cx), Packing { note: cx.policy().note.clone(), grams: 100, looks: 0 })
        }
    }
    impl Decide<Seal> for Packing {
        fn decide(&self, _: &Seal, _: &mut Cx<'_, Self::R>) -> Answer<Self::R> {
            Ok(to(Sealed { note: format!("{} {} g, {} looks", self.note, self.grams, self.looks) }))
        }
    }
    impl On<Late> for Packing {
        fn on(&self, _: &Late, _: &mut Cx<'_, Self::R>) -> Next<Self::R> {
            to(Sealed { note: format!("late: {}", self.note) })
        }
    }
    impl On<Look> for Packing {
        fn on(&self, _: &Look, cx: &mut Cx<'_, Self::R>) -> Next<Self::R> {
            until(wait(cx), Packing { looks: self.looks + 1, ..self.clone() })
        }
    }

    /// A stage that the first release did not have.
    pub(crate) mod label {
        use super::*;
        plain! { Print Done Policy Late }
        consign::machine! {
            pub(crate) mod table = "box.label" v 1;
            policy Policy;
            hears Wanted;
            effects {}
            opens { Print }
            inputs { timer Late; signal Print (on granted Wanted); }
            states { Done: done }
            rows { New + Print => Done; }
            ignore { Done + Print; }
        }
        impl Opens<Print, table::M> for table::New {
            fn keys(view: &View<'_, table::M>) -> Vec<Key> {
                if view.is_empty() { vec![Key(1)] } else { Vec::new() }
            }
        }
        impl On<Print> for table::New {
            fn on(&self, _: &Print, _: &mut Cx<'_, Self::R>) -> Next<Self::R> {
                to(Done)
            }
        }
    }

    pub(crate) fn release(goes_on: bool) -> Result<Pipeline, BuildFaults> {
        let release = pipeline("boxes", 2, LifePolicy::default())
            .then(table::M::with(Policy { note: "red".into(), look_ms: MINUTE }))
            .then(label::table::M::with(label::Policy))
            .usual_routes();
        if goes_on { release.upgrades(first::release().names()).build() } else { release.build() }
    }
}

fn world(disk: &Disk, pipelines: impl Fn() -> Vec<Pipeline> + Send + Sync + 'static) -> World {
    World::of(disk.clone(), Pipelines::of(pipelines))
}

async fn opened(disk: &Disk, pipelines: impl Fn() -> Vec<Pipeline> + Send + Sync + 'static) -> Shop {
    world(disk, pipelines).open(consign::clock::Timestamp::from_millis(MORNING)).await
}

async fn placed_under_the_first(disk: &Disk) {
    let shop = opened(disk, || vec![first::release()]).await;
    shop.place(draft("o-1", &[5_000], &[("card", 5_000)])).await.unwrap();
    let view = shop.order("o-1").await;
    assert_eq!(view.instances().last().unwrap(), &("box.pack", Key(1), "Packing"));
    shop.stopped().await;
}

/// What is written on the box.
async fn note(shop: &Shop, order: &str) -> String {
    match shop.order(order).await.state::<second::table::M>(1) {
        Some(second::table::State::Sealed(s)) => s.note.clone(),
        other => panic!("{other:?}"),
    }
}

async fn goes_on(disk: Disk) {
    placed_under_the_first(&disk).await;
    let shop = opened(&disk, || vec![second::release(true).unwrap()]).await;
    assert!(shop.engine.report().unread.is_empty());
    assert_eq!(shop.engine.report().recovered, 1);
    // It is brought up to date at once, and the instant that was never set has come.
    let kinds: Vec<String> = shop.journal("o-1").await.into_iter().map(|e| e.kind).collect();
    assert_eq!(kinds, ["place", "upgrade", "timer"]);
    shop.pass(MINUTE / 2).await;
    shop.asks("o-1", &agent("anna"), second::table::M::command(1, second::Seal)).await;
    // The state and the policy of the first release are read by the second.
    assert_eq!(note(&shop, "o-1").await, "blue 0 g, 1 looks");
    let view = shop.order("o-1").await;
    assert!(view.instances().contains(&("box.label", Key(1), "Done")), "a new stage hears what holds");
    let kinds: Vec<String> = shop.journal("o-1").await.into_iter().map(|e| e.kind).collect();
    assert_eq!(kinds, ["place", "upgrade", "timer", "command"], "and the journal adds up");
    let stored = shop.life.load_raw("o-1").await;
    assert_eq!(stored.columns.pipeline_version, 2);
    // From here on it is an order of the second release, which needs no word of the first.
    shop.stopped().await;
    let shop = opened(&disk, || vec![second::release(false).unwrap()]).await;
    assert!(shop.engine.report().unread.is_empty());
    assert_eq!(note(&shop, "o-1").await, "blue 0 g, 1 looks");
    shop.place(draft("o-2", &[5_000], &[("card", 5_000)])).await.unwrap();
    shop.asks("o-2", &agent("anna"), second::table::M::command(1, second::Seal)).await;
    assert_eq!(note(&shop, "o-2").await, "red 100 g, 0 looks", "new orders go by the new policy");
}

#[test]
fn an_order_of_an_older_release_goes_on_under_the_next_with_its_own_policy() {
    run(goes_on(Disk::memory()));
    let folder = Folder::new("upgrade");
    run(goes_on(Disk::file(&folder.file("orders.db"))));
}

#[test]
fn two_releases_run_side_by_side_in_one_engine() {
    run(async {
        let disk = Disk::memory();
        placed_under_the_first(&disk).await;
        let shop = opened(&disk, || vec![second::release(false).unwrap(), first::release()]).await;
        assert!(shop.engine.report().unread.is_empty());
        shop.place(draft("o-2", &[5_000], &[("card", 5_000)])).await.unwrap();
        shop.asks("o-1", &agent("anna"), first::table::M::command(1, first::Seal)).await;
        shop.asks("o-2", &agent("anna"), second::table::M::command(1, second::Seal)).await;
        let old = shop.order("o-1").await;
        let Some(first::table::State::Sealed(s)) = old.state::<first::table::M>(1) else { panic!() };
        assert_eq!((old.pipeline.version(), s.note.as_str()), (1, "blue"));
        assert_eq!(shop.order("o-2").await.pipeline.version(), 2);
    });
}

#[test]
fn orders_that_nobody_can_read_are_reported_and_left_unclaimed() {
    run(async {
        let disk = Disk::memory();
        placed_under_the_first(&disk).await;
        let before = {
            let shop = opened(&disk, || vec![first::release()]).await;
            let stored = shop.life.load_raw("o-1").await;
            shop.stopped().await;
            stored
        };
        // A release without boxes cannot read one.
        let labels = || {
            pipeline("boxes", 3, LifePolicy::default())
                .then(second::label::table::M::with(second::label::Policy))
                .usual_routes()
                .build()
                .unwrap()
        };
        let world = world(&disk, move || vec![labels()]);
        let env = consign::testing::VirtualEnv::new(consign::clock::Timestamp::from_millis(MORNING), 1);
        let refused = world.wiring().store(disk.life()).env(std::sync::Arc::new(env)).start().await;
        let told = refused.unwrap_err();
        let StartFault::Unread { pipeline, version: 1, open: 1, why, .. } = &told.0[0] else {
            panic!("{told}")
        };
        assert_eq!(pipeline, "boxes");
        assert!(why.iter().any(|why| why.contains("box.pack")), "{told}");
        assert_eq!(told.0.len(), 1, "{told}");
        let wiring = world.wiring().leave_unread();
        let shop = world.open_with(consign::clock::Timestamp::from_millis(MORNING), wiring).await;
        let unread = shop.engine.report().unread;
        let told: Vec<_> = unread.iter().map(|h| (&*h.pipeline, h.version, h.open)).collect();
        assert_eq!(told, [("boxes", 1, 1)]);
        assert_eq!(shop.engine.report().recovered, 0);
        let why = shop
            .command("o-1", &agent("anna"), "", first::table::M::command(1, first::Seal))
            .await
            .unwrap_err();
        assert!(why.to_string().contains("boxes"), "{why}");
        shop.pass(2 * DAY).await;
        assert_eq!(shop.life.load_raw("o-1").await, before, "not a byte of it changed, nor who owns it");
        shop.stopped().await;
        // Whoever can read it goes on with it.
        let shop = opened(&disk, || vec![first::release()]).await;
        shop.pass(2 * DAY).await;
        let view = shop.seen(key("o-1").order.as_str()).await.unwrap();
        let Some(first::table::State::Sealed(s)) = view.state::<first::table::M>(1) else { panic!() };
        assert_eq!(s.note, "late: blue");
    });
}

#[test]
fn an_upgrade_that_cannot_read_everything_is_refused_before_the_first_order() {
    let mut names = first::release().names();
    let text = serde_json::to_string(&names).unwrap();
    assert_eq!(serde_json::from_str::<consign::pipeline::Names>(&text).unwrap(), names, "kept as JSON");
    names.places[1].states.push(("Taped".into(), 1));
    names.places[1].states[0].1 = 7;
    names.places[1].policy = 3;
    let mut gone = names.places[1].clone();
    gone.place = "box.ribbon".into();
    names.places.push(gone);
    let built = pipeline("boxes", 2, LifePolicy::default())
        .then(second::table::M::with(second::Policy { note: "red".into(), look_ms: 1 }))
        .usual_routes()
        .upgrades(names)
        .build();
    let told: Vec<String> = built.unwrap_err().0.iter().map(ToString::to_string).collect();
    assert_eq!(
        told,
        [
            "version 1 stored policy `box.pack` v3 of `box.pack`, which nothing here reads",
            "version 1 stored state `Packing` v7 of `box.pack`, which nothing here reads",
            "version 1 stored state `Taped` v1 of `box.pack`, which nothing here reads",
            "version 1 stored placement `box.ribbon` v0 of `box.ribbon`, which nothing here reads",
        ]
    );
    let other = pipeline("crates", 1, LifePolicy::default())
        .usual_routes()
        .upgrades(first::release().names())
        .build();
    assert!(matches!(other.unwrap_err().0[0], BuildFault::NotUpgraded { what: "pipeline", .. }));
    assert_eq!(second::table::M::OLDEST_POLICY, 1);
}

/// The first release once more, with one row changed: a box that is late stays open.
mod patched {
    use super::*;
    plain! { Begin Seal Late }
    #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
    pub(crate) struct Packing {
        pub(crate) note: String,
    }
    #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
    pub(crate) struct Sealed {
        pub(crate) note: String,
    }
    #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
    pub(crate) struct Policy {
        pub(crate) note: String,
    }
    consign::machine! {
        pub(crate) mod table = "box.pack" v 1;
        policy Policy;
        hears Wanted;
        effects {}
        opens { Begin }
        inputs { command Seal; timer Late; signal Begin (on granted Wanted); }
        states { Packing: wait(Late), Sealed: done }
        rows {
            New     + Begin => Packing;
            Packing + Seal  => Sealed;
            Packing + Late  => Packing | Sealed;
        }
        ignore { Packing + Begin; Sealed + Begin; }
    }
    impl Opens<Begin, table::M> for table::New {
        fn keys(view: &View<'_, table::M>) -> Vec<Key> {
            if view.is_empty() { vec![Key(1)] } else { Vec::new() }
        }
    }
    impl On<Begin> for table::New {
        fn on(&self, _: &Begin, cx: &mut Cx<'_, Self::R>) -> Next<Self::R> {
            until(cx.after_ms(DAY), Packing { note: cx.policy().note.clone() })
        }
    }
    impl Decide<Seal> for Packing {
        fn decide(&self, _: &Seal, _: &mut Cx<'_, Self::R>) -> Answer<Self::R> {
            Ok(to(Sealed { note: self.note.clone() }))
        }
    }
    impl On<Late> for Packing {
        fn on(&self, _: &Late, cx: &mut Cx<'_, Self::R>) -> Next<Self::R> {
            until(cx.after_ms(DAY), Packing { note: format!("{}, late", self.note) })
        }
    }
    pub(crate) fn release() -> Pipeline {
        pipeline("boxes", 1, LifePolicy::default())
            .then(table::M::with(Policy { note: "green".into() }))
            .usual_routes()
            .build()
            .unwrap()
    }
}

async fn one_row_changed(disk: Disk) {
    placed_under_the_first(&disk).await;
    let shop = opened(&disk, || vec![patched::release()]).await;
    assert!(shop.engine.report().unread.is_empty(), "{:?}", shop.engine.report());
    assert_eq!(shop.engine.report().recovered, 1);
    shop.pass(DAY + MINUTE).await;
    let view = shop.order("o-1").await;
    let Some(patched::table::State::Packing(s)) = view.state::<patched::table::M>(1) else {
        panic!("{:?}", view.instances())
    };
    assert_eq!(s.note, "blue, late", "by its own policy, and by the rows of this release");
    shop.journal("o-1").await;
    // And back again.
    let shop = {
        shop.stopped().await;
        opened(&disk, || vec![first::release()]).await
    };
    shop.asks("o-1", &agent("anna"), first::table::M::command(1, first::Seal)).await;
    shop.journal("o-1").await;
}

/// A release in which one row is another left every open order of the one before it unread, without a word.
#[test]
fn e02_a_release_with_one_row_changed_goes_on_with_open_orders() {
    run(one_row_changed(Disk::memory()));
    let folder = Folder::new("patched");
    run(one_row_changed(Disk::file(&folder.file("orders.db"))));
}
