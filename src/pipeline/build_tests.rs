#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::*;
use crate::clock::Timestamp;
use crate::id::{Actor, Key, OrderId};
use crate::machine::{
    Answer, Cx, Decide, Evidence, Fold, IndexRow, Indexed, Machine, Next, On, Proof, View, to, until,
};
use crate::order::{Draft, DraftTender, Line, Order};

/// A machine that waits for a signal, may ask one thing of others, and hears of one fact when it is over.
macro_rules! part {
    (
        $m:ident = $name:literal, policy $policy:ty, { $($head:tt)* }
        asks [$($ask:ident)?] hears $signal:ident $((on granted $proof:ty))?
    ) => {
        pub(crate) mod $m {
            use super::*;

            #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
            pub(crate) struct Waiting;
            #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
            pub(crate) struct Over;
            #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
            pub(crate) struct Begin;
            #[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
            pub(crate) struct Due;
            #[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
            pub(crate) struct $signal;
            #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
            pub(crate) struct Told(pub(crate) u32);
            impl Evidence for Told {
                fn identity(&self) -> Option<String> {
                    Some(self.0.to_string())
                }
            }

            crate::machine! {
                pub(crate) mod table = $name v 1;
                policy $policy;
                $($head)*
                effects {}
                $(asks { $ask })?
                inputs {
                    command Begin;
                    outcome Told;
                    timer Due;
                    signal $signal $((on granted $proof))?;
                }
                states { Waiting: wait(Due), Over: done }
                rows {
                    New     + Begin   => Waiting;
                    Waiting + Due     => Over $(? $ask)?;
                    Waiting + $signal => Over;
                    Over    + Told    => Over;
                }
                ignore { Over + $signal; }
                defer { Waiting + Told; }
            }
            pub(crate) use table::M;

            impl Decide<Begin> for table::New {
                fn decide(&self, _: &Begin, cx: &mut Cx<'_, Self::R>) -> Answer<Self::R> {
                    Ok(until(cx.after_ms(10), Waiting))
                }
            }
            impl On<Due> for Waiting {
                fn on(&self, _: &Due, cx: &mut Cx<'_, Self::R>) -> Next<Self::R> {
                    cx.hold("late", "nobody came");
                    $(cx.ask($ask);)?
                    to(Over)
                }
            }
            impl On<$signal> for Waiting {
                fn on(&self, _: &$signal, _: &mut Cx<'_, Self::R>) -> Next<Self::R> {
                    to(Over)
                }
            }
            impl On<Told> for Over {
                fn on(&self, _: &Told, _: &mut Cx<'_, Self::R>) -> Next<Self::R> {
                    to(Over)
                }
            }
        }
    };
}

#[derive(Debug)]
pub(crate) struct Ready;
#[derive(Debug)]
pub(crate) struct Bill;
#[derive(Debug)]
pub(crate) struct Gossip;

macro_rules! proofs {
    ($($name:ident = $text:literal of $($m:ident),+;)*) => { $(
        #[derive(Debug, Clone, PartialEq)]
        pub(crate) struct $name;
        impl Proof for $name {
            const NAME: &'static str = $text;
        }
        $(impl Fold<$name> for $m::M {
            fn fold(view: &View<'_, Self>) -> Option<$name> {
                view.instances().any(|(_, s)| matches!(s, $m::table::State::Over(_))).then_some($name)
            }
        })+
    )* };
}
proofs! {
    Baked = "baked" of oven, twin;
    Sold = "sold" of shop;
}

// The oven tells the shop what is ready, the shop tells the till what to bill, and a sale stops the oven.
part! { oven = "oven", policy (), { yields Baked; } asks [Ready] hears Rung (on granted Sold) }
part! { shop = "shop", policy (), { hears Baked; yields Sold; } asks [Bill] hears Called }
part! { till = "till", policy (), {} asks [] hears Counted }
part! { twin = "twin", policy (), { yields Baked; } asks [] hears Woken (on granted Sold) }
part! { clock = "clock", policy BTreeMap<(u8, u8), u8>, {} asks [] hears Wound (on granted Sold) }
use shop::Called;
use till::Counted;

fn everyone<M: Machine, S: Default>(view: &View<'_, M>) -> Vec<(Key, S)> {
    view.instances().map(|(key, _)| (key, S::default())).collect()
}

macro_rules! empty {
    () => {
        pipeline("bakery", 1, LifePolicy::default())
    };
}
/// The bakery without fault, before it is built.
macro_rules! bakery {
    () => {
        empty!()
            .then(oven::M::with(()))
            .then(shop::M::with(()))
            .then(till::M::with(()))
            .route::<Ready, shop::M, Called>(|_, view| everyone(view))
            .route::<Bill, till::M, Counted>(|_, view| everyone(view))
    };
}

fn faults(built: Result<Pipeline, BuildFaults>) -> Vec<BuildFault> {
    built.expect_err("a pipeline with a fault is not built").0
}

#[test]
fn a_pipeline_without_fault_is_built_with_the_lifecycle_first() {
    let p = bakery!().build().unwrap();
    assert_eq!(p.places(), ["order.life", "oven", "shop", "till"]);
    let routes: Vec<_> = p.routes().iter().map(|r| (r.ask, r.to, r.signal)).collect();
    assert_eq!(routes, [("Ready", "shop", "Called"), ("Bill", "till", "Counted")]);
}

#[test]
fn two_machines_cannot_have_one_name() {
    let built = bakery!().then(till::M::with(())).build();
    assert_eq!(faults(built), [BuildFault::NameTwice { name: "till" }]);
}

#[test]
fn a_machine_is_placed_twice_under_two_names() {
    let p = bakery!()
        .then(till::M::with(()).named("second"))
        .route_to::<Bill, till::M, Counted>("second", |_, view| everyone(view))
        .build()
        .unwrap();
    assert_eq!(p.places().last(), Some(&"second"));
}

#[test]
fn what_a_machine_asks_is_carried_and_what_it_hears_is_sent() {
    let built = empty!()
        .then(oven::M::with(()))
        .then(shop::M::with(()))
        .then(till::M::with(()))
        .route::<Ready, shop::M, Called>(|_, view| everyone(view))
        .build();
    let expected = [
        BuildFault::Unrouted { place: "shop", ask: "Bill" },
        BuildFault::Unsent { place: "till", signal: "Counted" },
    ];
    assert_eq!(faults(built), expected);
}

#[test]
fn a_route_carries_what_somebody_asks() {
    let built = bakery!().route::<Gossip, till::M, Counted>(|_, view| everyone(view)).build();
    assert_eq!(faults(built), [BuildFault::Unasked { ask: "Gossip", to: "till" }]);
}

#[test]
fn a_route_leads_to_a_placement() {
    let built = bakery!().route_to::<Ready, till::M, Counted>("cellar", |_, view| everyone(view)).build();
    assert_eq!(faults(built), [BuildFault::Nowhere { ask: "Ready", to: "cellar" }]);
}

#[test]
fn a_route_leads_to_the_machine_it_was_written_for() {
    let built = bakery!().route_to::<Ready, shop::M, Called>("till", |_, view| everyone(view)).build();
    let expected = BuildFault::Elsewhere { ask: "Ready", to: "till", machine: "shop" };
    assert_eq!(faults(built), [expected]);
}

/// A machine that talks to its own placement: what it says is heard there, and when it is over another one grows.
pub(crate) mod mill {
    use super::*;

    #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
    pub(crate) struct Turning;
    #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
    pub(crate) struct Still;
    #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
    pub(crate) struct Turn;
    #[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
    pub(crate) struct Due;
    #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
    pub(crate) struct Heard;
    #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
    pub(crate) struct Grown;
    #[derive(Debug)]
    pub(crate) struct Say;
    #[derive(Debug)]
    pub(crate) struct Grow;

    crate::machine! {
        pub(crate) mod table = "mill" v 1;
        policy ();
        index "mill.place";
        effects {}
        asks { Say, Grow }
        inputs { command Turn; timer Due; signal Heard, Grown; }
        states { Turning: wait(Due), Still: done }
        rows {
            New     + Turn  => Turning;
            New     + Grown => Turning;
            Turning + Due   => Still ? Grow;
            Turning + Heard => Still ? Say;
        }
        ignore { Turning + Grown; Still + Grown | Heard; }
    }
    pub(crate) use table::M;

    impl Indexed for M {
        fn rows(key: Key, state: &table::State, _: &Order, (): &()) -> Vec<IndexRow> {
            let row = |key: &str, sort| IndexRow { space: "mill.place", key: key.to_owned(), sort };
            match state {
                table::State::Turning(_) => vec![row("turning", i64::from(key.0)), row("any", 9)],
                table::State::Still(_) => vec![row("any", i64::from(key.0))],
            }
        }
    }

    impl Decide<Turn> for table::New {
        fn decide(&self, _: &Turn, cx: &mut Cx<'_, Self::R>) -> Answer<Self::R> {
            Ok(until(cx.after_ms(10), Turning))
        }
    }
    impl On<Grown> for table::New {
        fn on(&self, _: &Grown, cx: &mut Cx<'_, Self::R>) -> Next<Self::R> {
            until(cx.after_ms(10), Turning)
        }
    }
    impl On<Due> for Turning {
        fn on(&self, _: &Due, cx: &mut Cx<'_, Self::R>) -> Next<Self::R> {
            cx.ask(Grow);
            to(Still)
        }
    }
    impl On<Heard> for Turning {
        fn on(&self, _: &Heard, cx: &mut Cx<'_, Self::R>) -> Next<Self::R> {
            cx.ask(Say);
            to(Still)
        }
    }
}
use mill::{Grow, Grown, Heard, Say};

#[test]
fn no_signal_causes_itself() {
    let built = empty!()
        .then(mill::M::with(()))
        .route::<Say, mill::M, Heard>(|_, view| view.instances().map(|(key, _)| (key, Heard)).collect())
        .route::<Grow, mill::M, Grown>(|_, _| vec![(Key(2), Grown)])
        .build();
    assert_eq!(faults(built), [BuildFault::Circle { place: "mill", signal: "Heard" }]);
}

#[test]
fn a_machine_hears_of_proofs_that_somebody_yields() {
    let built = empty!()
        .then(shop::M::with(()))
        .then(till::M::with(()))
        .spare::<Sold>()
        .route::<Bill, till::M, Counted>(|_, view| everyone(view))
        .build();
    let expected = [
        BuildFault::Unyielded { place: "shop", proof: "baked" },
        BuildFault::Unsent { place: "shop", signal: "Called" },
    ];
    assert_eq!(faults(built), expected);
}

#[test]
fn a_signal_of_a_proof_needs_somebody_who_yields_it() {
    let built = empty!().then(twin::M::with(())).spare::<Baked>().build();
    assert_eq!(faults(built), [BuildFault::Unyielded { place: "twin", proof: "sold" }]);
    let said = empty!().then(twin::M::with(())).spare::<Baked>().without::<Sold>().build();
    assert!(said.is_ok(), "that nobody yields it is said: {:?}", said.err());
}

#[test]
fn a_proof_is_used_or_said_to_be_spare() {
    let twin_alone = || bakery!().then(twin::M::with(()).named("other"));
    let expected = BuildFault::YieldedTwice { proof: "baked", first: "oven", second: "other" };
    assert_eq!(faults(twin_alone().build()), [expected]);
    let unused = empty!()
        .then(oven::M::with(()))
        .then(till::M::with(()))
        .route::<Ready, till::M, Counted>(|_, view| everyone(view))
        .build();
    let expected = [
        BuildFault::Unused { place: "oven", proof: "baked" },
        BuildFault::Unyielded { place: "oven", proof: "sold" },
    ];
    assert_eq!(faults(unused), expected);
}

#[test]
fn a_policy_that_cannot_be_stored_is_found_before_the_first_order() {
    let odd = BTreeMap::from([((1, 2), 3)]);
    let built = bakery!().then(clock::M::with(odd)).build();
    let why = "`clock` is malformed: key must be a string".to_owned();
    assert_eq!(faults(built), [BuildFault::Policy { place: "clock", why }]);
}

#[test]
fn every_fault_is_listed_at_once_and_told_in_one_line_each() {
    let built = empty!()
        .then(shop::M::with(()))
        .then(till::M::with(()))
        .then(till::M::with(()))
        .then(clock::M::with(BTreeMap::from([((1, 2), 3)])))
        .route::<Gossip, shop::M, Called>(|_, view| everyone(view))
        .route_to::<Bill, till::M, Counted>("cellar", |_, view| everyone(view))
        .route_to::<Bill, till::M, Counted>("shop", |_, view| everyone(view))
        .build();
    let Err(all) = built else { panic!("a pipeline with faults is not built") };
    let told: Vec<String> = all.0.iter().map(ToString::to_string).collect();
    assert_eq!(
        told,
        [
            "two machines are placed as `till`",
            "`shop` hears of `baked`, and nothing yields it: place what does, or say `.without::<..>()`",
            "a route carries `Gossip` to `shop`, and no machine asks it",
            "nothing sends `Counted` to `till`",
            "nothing sends `Counted` to `till`",
            "the policy of `clock` cannot be stored: `clock` is malformed: key must be a string",
            "a route carries `Bill` to `cellar`, which is not placed",
            "a route carries `Bill` to `shop`, where `till` is not what is placed",
        ]
    );
    assert!(all.to_string().starts_with("the pipeline has 8 faults: two machines"), "{all}");
}

#[test]
fn the_fingerprint_of_a_pipeline_is_that_of_its_tables_routes_and_names() {
    let print = |built: Result<Pipeline, BuildFaults>| built.unwrap().fingerprint();
    let is = print(bakery!().build());
    assert_eq!(print(bakery!().build()), is);
    assert_ne!(
        print(
            bakery!()
                .spare::<Sold>()
                .then(till::M::with(()).named("b"))
                .route_to::<Bill, till::M, Counted>("b", |_, view| everyone(view))
                .build()
        ),
        is
    );
    assert_ne!(print(bakery!().route::<Ready, till::M, Counted>(|_, view| everyone(view)).build()), is);
}

// ---- what the composition does, step by step

fn at(ms: i64) -> Timestamp {
    Timestamp::from_millis(1_000_000 + ms)
}

fn placed(p: &Pipeline) -> Progress {
    let mut d = Draft::new("o-1", "EUR", Actor::customer("c-1").unwrap());
    d.lines.push(Line::goods("bread", 1, 400));
    d.total_minor = 400;
    d.tenders.push(DraftTender::new("card", 400));
    let id: OrderId = "o-1".parse().unwrap();
    p.place(id.into(), Order::parse(d).unwrap(), at(0)).unwrap().progress
}

/// An order of the bakery, with one instance of each machine begun at once.
fn open(p: &Pipeline) -> Progress {
    let mut o = placed(p);
    for call in
        [oven::M::command(1, oven::Begin), shop::M::command(1, shop::Begin), till::M::command(1, till::Begin)]
    {
        o = step(p, &o, EventKind::Command { call, command: None }, 0).progress;
    }
    o
}
fn step(p: &Pipeline, o: &Progress, kind: EventKind, ms: i64) -> Decision {
    let by = Actor::agent("anna").unwrap();
    p.step(o, Event { kind, by, occurred: None }, at(ms)).unwrap().unwrap()
}
fn fires(d: &Decision) -> Vec<String> {
    d.fires.iter().map(|f| format!("{} {} -> {}", f.place, f.input, f.to)).collect()
}

#[test]
fn what_is_asked_arrives_and_what_is_proved_is_heard_in_the_same_commit() {
    let p = bakery!().build().unwrap();
    let o = open(&p);
    let due = p.due(&o, at(10)).remove(0);
    let d = step(&p, &o, due, 10);
    assert_eq!(d.disposition, Disposition::Moved);
    assert_eq!(fires(&d), ["oven Due -> Over", "shop Called -> Over"]);
    let entry = d.entry.unwrap();
    assert_eq!((entry.moves.len(), d.progress.version), (2, o.version + 1));
}

#[test]
fn a_proof_stops_who_waits_for_it() {
    let p = bakery!().build().unwrap();
    let o = open(&p);
    let timers = p.due(&o, at(10));
    assert_eq!(timers.len(), 3);
    let shop_is_late = timers.into_iter().nth(1).unwrap();
    let d = step(&p, &o, shop_is_late, 10);
    assert_eq!(fires(&d), ["shop Due -> Over", "till Counted -> Over", "oven Rung -> Over"]);
    assert_eq!(d.progress.holds.len(), 1, "the shop alone was late");
}

#[test]
fn a_timer_whose_instant_was_taken_away_is_void() {
    let p = bakery!().build().unwrap();
    let o = open(&p);
    let mut timers = p.due(&o, at(10));
    let (till, oven) = (timers.remove(2), timers.remove(0));
    let o = step(&p, &o, oven, 10).progress;
    let o = step(&p, &o, till, 10).progress;
    let again = EventKind::Timer { place: 3, key: Key(1), timer: 2 };
    let d = step(&p, &o, again, 20);
    assert_eq!((d.disposition, d.entry.is_none()), (Disposition::Void, true));
    assert_eq!(p.due(&o, at(1_000_000_000)).len(), 1, "only the lifecycle still waits");
}

#[test]
fn evidence_that_a_state_defers_or_whose_instance_is_to_come_is_early_and_records_nothing() {
    let p = bakery!().build().unwrap();
    let o = open(&p);
    let told =
        |key: u32, message| EventKind::Evidence { call: till::M::evidence(key, till::Told(1)), message };
    for key in [1, 2] {
        let d = step(&p, &o, told(key, None), 1);
        assert_eq!((d.disposition, d.entry.is_none()), (Disposition::Early, true), "till {key}");
        assert_eq!(d.progress.version, o.version);
    }
}

#[test]
fn one_fact_moves_an_instance_once_whichever_message_carries_it() {
    let p = bakery!().build().unwrap();
    let o = open(&p);
    let o = step(&p, &o, p.due(&o, at(10)).remove(2), 10).progress;
    let told = |fact, message| EventKind::Evidence {
        call: till::M::evidence(1, till::Told(fact)),
        message: Some(message),
    };
    let first = step(&p, &o, told(1, 1), 11);
    assert_eq!(first.disposition, Disposition::Moved);
    let o = first.progress;
    for message in [1, 2] {
        let again = step(&p, &o, told(1, message), 12);
        assert_eq!((again.disposition, again.entry.is_none()), (Disposition::Duplicate, true));
    }
    assert_eq!(step(&p, &o, told(2, 1), 13).disposition, Disposition::Moved);
}

#[test]
fn evidence_for_a_machine_that_is_not_placed_is_told_apart_from_evidence_that_is_early() {
    let p = bakery!().build().unwrap();
    let o = open(&p);
    let call = twin::M::evidence(1, twin::Told(1));
    let event = EventKind::Evidence { call, message: None };
    let event = Event { kind: event, by: Actor::system(), occurred: None };
    let refused = p.step(&o, event, at(1)).unwrap().unwrap_err();
    assert_eq!(refused, Refused::UnknownMachine { place: "twin".to_owned() });
}

#[test]
fn a_machine_may_open_another_instance_of_its_own() {
    let p = empty!()
        .then(mill::M::with(()))
        .then(till::M::with(()))
        .route::<Say, till::M, Counted>(|_, view| everyone(view))
        .route_across::<Grow, mill::M, Grown>(|_, view, hall| {
            assert!(hall.view::<till::M>().is_some_and(|till| till.is_empty()));
            assert!(hall.view::<oven::M>().is_none(), "it is not placed");
            let next = view.instances().count() + 1;
            Carried {
                signals: vec![(Key(u32::try_from(next).unwrap()), Grown)],
                holds: vec![("grown", "two".into())],
            }
        })
        // What a timer's row asks may come back as a signal: it is a signal that must not cause itself.
        .route::<Grow, mill::M, Heard>(|_, _| Vec::new())
        .build()
        .unwrap();
    let mut order = placed(&p);
    let turn = EventKind::Command { call: mill::M::command(1, mill::Turn), command: None };
    let event = |kind| Event { kind, by: Actor::system(), occurred: None };
    order = p.step(&order, event(turn), at(1)).unwrap().unwrap().progress;
    let due = p.due(&order, at(11)).pop().unwrap();
    order = p.step(&order, event(due), at(11)).unwrap().unwrap().progress;
    let mills: Vec<_> = p.instances(&order).into_iter().filter(|i| i.0 == "mill").collect();
    assert_eq!(mills, [("mill", Key(1), "Still"), ("mill", Key(2), "Turning")]);
    assert_eq!(order.holds[0].code, "grown", "what a route calls a person for is a hold");
}

#[test]
fn index_rows_are_told_when_they_change_and_of_several_with_one_key_the_lowest() {
    let p = empty!()
        .then(mill::M::with(()))
        .then(till::M::with(()))
        .route::<Say, till::M, Counted>(|_, view| everyone(view))
        .route::<Grow, mill::M, Grown>(|_, _| vec![(Key(2), Grown)])
        .route::<Grow, mill::M, Heard>(|_, _| Vec::new())
        .build()
        .unwrap();
    let mut order = placed(&p);
    let row = |key: &str, sort| IndexMove { space: "mill.place", key: key.to_owned(), sort };
    let mut step = |kind, ms| {
        let by = Actor::agent("anna").unwrap();
        let decision = p.step(&order, Event { kind, by, occurred: None }, at(ms)).unwrap().unwrap();
        order = decision.progress;
        (decision.entry.unwrap().index, order.clone())
    };
    let turn = || EventKind::Command { call: mill::M::command(1, mill::Turn), command: None };
    assert_eq!(step(turn(), 1).0, [row("any", Some(9)), row("turning", Some(1))]);
    let (_, held) = step(EventKind::Park { code: "parked", detail: String::new() }, 2);
    let due = p.due(&held, at(11)).pop().unwrap();
    // The first stands still and the second turns: each row moves to the lowest of both.
    assert_eq!(step(due, 11).0, [row("any", Some(1)), row("turning", Some(2))]);
    let (moves, held) = step(EventKind::Release { hold: 1 }, 12);
    assert_eq!(moves, [], "what does not change is not written");
    let due = p.due(&held, at(30)).pop().unwrap();
    // A third is not opened: the key exists. The second stands still too.
    assert_eq!(step(due, 30).0, [row("turning", None)]);
}
