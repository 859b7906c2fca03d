#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use serde::{Deserialize, Serialize};

use super::graph::{Fnv, NEW};
use super::*;
use crate::clock::Timestamp;
use crate::id::{Actor, Channel, Key};
use crate::ledger::{Books, Code, P3, P5};
use crate::money::Money;
use crate::order::{CarriageBack, Draft, DraftTender, Line, Obligation, Order};

/// One proof in the way of one command.
#[derive(Debug, Clone, PartialEq)]
struct Allowed;
impl Proof for Allowed {
    const NAME: &'static str = "allowed";
}

crate::machine! {
    /// A till: asks for money, takes it, and may be reminded.
    mod till = "shop.till" v 3;
    policy Policy, v 2 <- PolicyV1;
    needs Allowed;
    effects {
        Charge v 2 <- ChargeV1 => done Paid, declined Refused, unknown Lost, exhausted Spent;
        Look (read) => done Paid | Nothing, declined Refused, unknown Lost, exhausted Spent;
    }
    asks { Help }
    inputs {
        command Start, Take, Finish = "close", Move;
        outcome Lost @0, Spent @0, Nothing @0, Refused @1, Paid @2, Odd, Later;
        timer   Due, Remind;
        signal  Stop, Nudge (on granted);
    }
    states {
        Charging = "sending": busy(Due) @0,
        Asking: wait(Due, Remind) @0,
        Taken: done @2 v 3 <- TakenV2 <- TakenV1,
        Lapsed: fail @1,
    }
    groups { Open = Charging | Asking; Over = Taken | Lapsed; }
    rows {
        New      + Start          => Charging / Charge;
        Charging + Due            => Asking / Look;
        Asking   + Due            => Asking | Lapsed;
        Asking   + Remind         => Asking ? Help;
        Open     + Refused        => Lapsed;
        Open     + Paid           => Taken ! P3, P5;
        Lapsed   + Paid           => Taken !! P5;
        Asking   + Take [Allowed] => Taken;
        Asking   + Finish         => Taken !! P3;
        Open     + Move           => Charging | Asking;
        Open     + Stop           => Charging | Asking;
    }
    ignore { Over + Stop | Nudge; Open + Nudge; Open + Odd; }
    defer  { Charging + Later; }
    alarm  { Over + Odd; Asking + Later; Over + Later; }
}
use till::{Input, M, New, Open, State};

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Policy {
    wait_ms: u64,
    remind_ms: u64,
}
#[derive(Serialize, Deserialize)]
struct PolicyV1 {
    wait_s: u64,
}
impl From<PolicyV1> for Policy {
    fn from(old: PolicyV1) -> Self {
        Self { wait_ms: old.wait_s * 1_000, remind_ms: 10 }
    }
}

macro_rules! plain {
    ($($name:ident),*) => { $(
        #[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
        struct $name;
    )* };
}
plain! { Start, Take, Move, Due, Remind, Stop, Nudge, Help, Refused, Odd, Later, Nothing, Lapsed }

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Charging {
    tries: u32,
}
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Asking {
    asked: u32,
}
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Taken {
    minor: i64,
    by: String,
}
/// Before it was known who took it.
#[derive(Serialize, Deserialize)]
struct TakenV2 {
    minor: i64,
}
/// When amounts were whole units.
#[derive(Serialize, Deserialize)]
struct TakenV1 {
    units: i64,
}
impl From<TakenV2> for Taken {
    fn from(old: TakenV2) -> Self {
        Self { minor: old.minor, by: "unknown".to_owned() }
    }
}
impl From<TakenV1> for Taken {
    fn from(old: TakenV1) -> Self {
        TakenV2 { minor: old.units * 100 }.into()
    }
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Charge {
    minor: i64,
}
#[derive(Serialize, Deserialize)]
struct ChargeV1 {
    units: i64,
}
impl From<ChargeV1> for Charge {
    fn from(old: ChargeV1) -> Self {
        Self { minor: old.units * 100 }
    }
}
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Look;

/// Ends the asking, with an amount that may be nothing.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Finish {
    minor: Option<i64>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Paid {
    reference: String,
    amount: Money,
}
impl Evidence for Paid {
    fn moved(&self) -> Moved {
        Moved::In(card(), self.amount)
    }
    fn identity(&self) -> Option<String> {
        Some(format!("{} {}", self.reference, self.amount))
    }
}
impl Evidence for Refused {}
impl Evidence for Odd {}
impl Evidence for Later {}
impl Evidence for Nothing {}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Lost {
    why: String,
}
impl Evidence for Lost {}
impl From<Fault> for Lost {
    fn from(fault: Fault) -> Self {
        Self { why: fault.why }
    }
}
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Spent {
    sent: bool,
}
impl Evidence for Spent {}
impl From<Exhausted> for Spent {
    fn from(e: Exhausted) -> Self {
        Self { sent: e.sent }
    }
}

fn card() -> Channel {
    "card".parse().unwrap()
}

fn taken(minor: i64, cx: &Cx<'_, impl Row<M = M>>) -> Taken {
    Taken { minor, by: cx.by().id().to_owned() }
}

impl Decide<Start> for New {
    fn decide(&self, _: &Start, cx: &mut Cx<'_, Self::R>) -> Answer<Self::R> {
        if !cx.siblings().is_empty() {
            return refuse("open_already", "the till is open");
        }
        cx.want_nth(7, Charge { minor: 500 });
        Ok(until(cx.after_ms(cx.policy().wait_ms), Charging { tries: 1 }))
    }
}
impl On<Due> for Charging {
    fn on(&self, _: &Due, cx: &mut Cx<'_, Self::R>) -> Next<Self::R> {
        cx.want(Look);
        let p = cx.policy();
        until((cx.after_ms(p.wait_ms), cx.after_ms(p.remind_ms)), Asking { asked: 0 })
    }
}
impl On<Due> for Asking {
    fn on(&self, _: &Due, cx: &mut Cx<'_, Self::R>) -> Next<Self::R> {
        // The order's own instant first: what has passed cannot be waited for.
        let Ok(at) = cx.at(cx.occurred()) else {
            return to(Lapsed);
        };
        until((at, cx.after_ms(0)), self.clone())
    }
}
impl On<Remind> for Asking {
    fn on(&self, _: &Remind, cx: &mut Cx<'_, Self::R>) -> Next<Self::R> {
        cx.ask(Help);
        cx.hold("unpaid", "nobody pays");
        until((cx.after_ms(5), cx.after_ms(6)), Asking { asked: self.asked + 1 })
    }
}
impl On<Refused> for Open {
    fn on(&self, _: &Refused, _: &mut Cx<'_, Self::R>) -> Next<Self::R> {
        to(Lapsed)
    }
}
impl On<Paid> for Open {
    fn on(&self, e: &Paid, cx: &mut Cx<'_, Self::R>) -> Next<Self::R> {
        // What was not asked for is nobody's yet.
        let amount_minor = e.amount.minor();
        match self {
            Open::Charging(_) => cx.post(P3 { channel: card(), amount_minor }),
            Open::Asking(_) => cx.post(P5 { channel: card(), amount_minor }),
        }
        to(taken(amount_minor, cx))
    }
}
impl On<Paid> for Lapsed {
    fn on(&self, e: &Paid, cx: &mut Cx<'_, Self::R>) -> Next<Self::R> {
        cx.post(P5 { channel: card(), amount_minor: e.amount.minor() });
        to(taken(e.amount.minor(), cx))
    }
}
impl Decide<Take> for Asking {
    fn decide(&self, _: &Take, cx: &mut Cx<'_, Self::R>) -> Answer<Self::R> {
        let _: &Allowed = cx.proof();
        Ok(to(taken(0, cx)))
    }
}
impl Decide<Finish> for Asking {
    fn decide(&self, c: &Finish, cx: &mut Cx<'_, Self::R>) -> Answer<Self::R> {
        let Some(amount_minor) = c.minor else {
            return Ok(to(taken(0, cx)));
        };
        if amount_minor < 0 {
            return refuse("negative", amount_minor.to_string());
        }
        cx.post(P3 { channel: card(), amount_minor });
        Ok(to(taken(amount_minor, cx)))
    }
}
impl Decide<Move> for Open {
    fn decide(&self, _: &Move, _: &mut Cx<'_, Self::R>) -> Answer<Self::R> {
        // Wrong from `Charging`: the type cannot tell which of its group the instance is in.
        Ok(stay(Asking { asked: 9 }))
    }
}
impl On<Stop> for Open {
    fn on(&self, _: &Stop, _: &mut Cx<'_, Self::R>) -> Next<Self::R> {
        match self {
            Open::Charging(s) => stay(s.clone()),
            Open::Asking(s) => stay(Asking { asked: s.asked + 100 }),
        }
    }
}

/// Where a step happens: an order of 10.00 EUR at second 1000.
struct Scene {
    now: Timestamp,
    occurred: Timestamp,
    by: Actor,
    order: Order,
    books: Books,
    proofs: Proofs,
    standing: Standing,
    policy: Policy,
}

fn at(ms: i64) -> Timestamp {
    Timestamp::from_millis(1_000_000 + ms)
}

/// Nothing is outstanding.
#[derive(Debug)]
struct Clear;
impl Operations for Clear {
    fn unsent(&self, _: usize, _: Key, _: u8, _: u32) -> bool {
        false
    }
}

impl Scene {
    fn new() -> Self {
        let mut d = Draft::new("o-1", "EUR", Actor::customer("c-1").unwrap());
        d.lines.push(Line::goods("sku-1", 1, 1_000));
        d.total_minor = 1_000;
        d.tenders.push(DraftTender::new("card", 1_000));
        Self {
            now: at(0),
            occurred: at(0),
            by: Actor::agent("anna").unwrap(),
            order: Order::parse(d).unwrap(),
            books: Books::default(),
            proofs: Proofs::default(),
            standing: Standing::default(),
            policy: Policy { wait_ms: 1_000, remind_ms: 300 },
        }
    }

    fn with<T>(&self, see: impl FnOnce(&View<'_, M>) -> T) -> T {
        let id = crate::id::OrderKey::from("o-1".parse::<crate::id::OrderId>().unwrap());
        let world = World {
            id: &id,
            placement: "till",
            placed_at: Timestamp::from_millis(0),
            answers: None,
            now: self.now,
            occurred: self.occurred,
            asked: self.occurred,
            by: &self.by,
            order: &self.order,
            books: &self.books,
            proofs: &self.proofs,
            life: Life::Placed,
            due_minor: self.order.total().minor(),
            obligation: &Obligation::default(),
            carriage: CarriageBack::default(),
            standing: &self.standing,
            place: 0,
            operations: &Clear,
        };
        see(&View::new(&world, &self.policy, &[]))
    }

    fn step(&self, state: Option<&State>, input: impl Into<Input>) -> (Result<Hit<State>, Step>, Out<M>) {
        let mut out = Out::default();
        let hit = self.with(|view| M::step(state, &input.into(), Key(1), view, &mut out));
        (hit, out)
    }
}

/// What became of an input, short: the state it moved to, or the word.
fn hit(state: Option<State>, input: impl Into<Input>) -> String {
    match Scene::new().step(state.as_ref(), input).0 {
        Ok(Hit::Moved { state, .. }) => till::GRAPH.states[usize::from(M::state_ix(&state))].name.to_owned(),
        Ok(Hit::Ignored) => "ignored".to_owned(),
        Ok(Hit::Deferred) => "deferred".to_owned(),
        Ok(Hit::Stale) => "stale".to_owned(),
        Ok(Hit::Alarmed) => "alarmed".to_owned(),
        Err(why) => format!("{why:?}"),
    }
}

fn due(state: State, input: impl Into<Input>) -> Vec<(&'static str, i64)> {
    match Scene::new().step(Some(&state), input).0 {
        Ok(Hit::Moved { due: super::Due::Set(all), .. }) => all
            .into_iter()
            .map(|(t, d)| {
                let name = till::GRAPH.inputs[usize::from(t)].name;
                (name, d.instant().millis() - at(0).millis())
            })
            .collect(),
        other => panic!("sets no instants: {other:?}"),
    }
}

fn charging() -> State {
    State::Charging(Charging { tries: 1 })
}
fn asking() -> State {
    State::Asking(Asking { asked: 2 })
}
fn has_taken() -> State {
    State::Taken(Taken { minor: 500, by: "anna".to_owned() })
}
fn lapsed() -> State {
    State::Lapsed(Lapsed)
}
fn paid(minor: i64) -> Paid {
    Paid { reference: "r-1".to_owned(), amount: Money::new(minor, "EUR".parse().unwrap()) }
}

// ---- evidence and its ranks

#[test]
fn evidence_that_says_less_than_what_is_held_is_stale() {
    assert_eq!(hit(Some(has_taken()), Refused), "stale");
    assert_eq!(hit(Some(has_taken()), Nothing), "stale");
    assert_eq!(hit(Some(lapsed()), Lost { why: String::new() }), "stale");
}

#[test]
fn evidence_of_the_rank_that_is_held_and_without_a_row_is_stale() {
    assert_eq!(hit(Some(charging()), Nothing), "stale");
    assert_eq!(hit(Some(lapsed()), Refused), "stale");
}

#[test]
fn evidence_that_outranks_the_state_moves_it_however_late_it_comes() {
    assert_eq!(hit(Some(asking()), Refused), "Lapsed");
    assert_eq!(hit(Some(lapsed()), paid(500)), "Taken");
}

#[test]
fn money_that_came_twice_is_an_alarm_and_never_stale() {
    assert_eq!(hit(Some(has_taken()), paid(500)), "alarmed");
    assert_eq!(hit(Some(has_taken()), paid(1)), "alarmed");
}

#[test]
fn evidence_tells_the_fact_it_is_about_and_the_money_that_moved() {
    let fact = |p: Paid| M::fact(&p.into(), "");
    assert_eq!(fact(paid(500)), fact(paid(500)));
    assert_ne!(fact(paid(500)).identity, fact(paid(501)).identity);
    assert_eq!(fact(paid(500)).moved, Moved::In(card(), paid(500).amount));
    assert_eq!(M::fact(&Refused.into(), ""), Fact::none());
    assert_eq!(M::fact(&Start.into(), ""), Fact::none());
}

#[test]
fn what_the_table_lists_is_ignored_deferred_or_alarmed() {
    assert_eq!(hit(Some(lapsed()), Stop), "ignored");
    assert_eq!(hit(Some(asking()), Odd), "ignored");
    assert_eq!(hit(Some(charging()), Later), "deferred");
    assert_eq!(hit(Some(asking()), Later), "alarmed");
    assert_eq!(hit(Some(has_taken()), Odd), "alarmed");
}

// ---- commands

#[test]
fn a_command_without_a_row_is_refused_in_every_state() {
    for state in [None, Some(charging()), Some(has_taken()), Some(lapsed())] {
        assert_eq!(hit(state, Take), "NoRow");
    }
    assert_eq!(hit(Some(asking()), Start), "NoRow");
}

#[test]
fn a_row_fires_only_while_its_proof_holds() {
    let mut scene = Scene::new();
    let (lacks, _) = scene.step(Some(&asking()), Take);
    assert_eq!(lacks.unwrap_err(), Step::Lacks("allowed"));
    scene.proofs.grant(Allowed);
    let (moved, _) = scene.step(Some(&asking()), Take);
    assert!(matches!(moved, Ok(Hit::Moved { state: State::Taken(_), .. })));
}

#[test]
fn a_refusal_leaves_nothing_behind() {
    let (refused, out) = Scene::new().step(Some(&asking()), Finish { minor: Some(-5) });
    let why = Refusal { code: "negative", detail: "-5".to_owned() };
    assert_eq!(refused.unwrap_err(), Step::Refused(why));
    assert!(out.effects.is_empty() && out.postings.is_empty() && out.posted == 0);
}

#[test]
fn a_new_instance_comes_from_its_first_row_with_what_it_wants() {
    let (hit, out) = Scene::new().step(None, Start);
    let Ok(Hit::Moved { row, state, .. }) = hit else { panic!("no row: {hit:?}") };
    assert_eq!((row, state), (0, charging()));
    assert_eq!(out.effects, [(till::Fx::Charge(Charge { minor: 500 }), 7, Again::Keyed)]);
}

// ---- instants

#[test]
fn entering_a_state_that_waits_sets_one_instant_per_timer_in_the_order_of_the_table() {
    assert_eq!(due(charging(), Due), [("Due", 1_000), ("Remind", 300)]);
}

#[test]
fn until_replaces_the_instants_also_on_the_way_back_to_the_same_state() {
    assert_eq!(due(asking(), Remind), [("Due", 5), ("Remind", 6)]);
}

#[test]
fn an_end_waits_for_nothing() {
    assert_eq!(due(asking(), paid(500)), []);
}

#[test]
fn staying_keeps_the_instants_and_may_change_the_state_itself() {
    let (hit, _) = Scene::new().step(Some(&asking()), Stop);
    let Ok(Hit::Moved { state, due, .. }) = hit else { panic!("no row: {hit:?}") };
    assert!(matches!(due, super::Due::Keep));
    assert_eq!(state, State::Asking(Asking { asked: 102 }));
}

#[test]
fn an_instant_that_has_passed_cannot_be_waited_for_and_the_next_one_is_a_millisecond_away() {
    let mut scene = Scene::new();
    assert!(matches!(scene.step(Some(&asking()), Due).0, Ok(Hit::Moved { state: State::Lapsed(_), .. })));
    scene.occurred = at(40);
    let (hit, _) = scene.step(Some(&asking()), Due);
    let Ok(Hit::Moved { due: super::Due::Set(all), .. }) = hit else { panic!("{hit:?}") };
    let when: Vec<i64> = all.iter().map(|(_, d)| d.instant().millis() - at(0).millis()).collect();
    assert_eq!(when, [40, 1]);
}

#[test]
#[should_panic(
    expected = "machine `shop.till`: the handler of `Open + Move` stays in another state than its own"
)]
fn staying_in_another_state_of_the_group_stops_the_step() {
    let _ = Scene::new().step(Some(&charging()), Move);
}

#[test]
fn staying_in_its_own_state_of_the_group_is_right() {
    assert_eq!(hit(Some(asking()), Move), "Asking");
}

// ---- groups, postings, asks, holds

#[test]
fn a_group_has_one_handler_that_sees_which_of_its_states_it_is_in() {
    let posted = |state: State| {
        let (_, out) = Scene::new().step(Some(&state), paid(70));
        out.postings.iter().map(|p| (p.code, p.amount_minor)).collect::<Vec<_>>()
    };
    assert_eq!(posted(charging()), [(Code::P3, 70)]);
    assert_eq!(posted(asking()), [(Code::P5, 70)]);
}

#[test]
#[should_panic(expected = "machine `shop.till`: the handler of `Asking + close` must post [P3] and did not")]
fn a_posting_promised_and_not_written_stops_the_step() {
    let _ = Scene::new().step(Some(&asking()), Finish { minor: None });
}

#[test]
fn a_promised_posting_of_nothing_is_kept_without_a_line_in_the_books() {
    let (hit, out) = Scene::new().step(Some(&asking()), Finish { minor: Some(0) });
    assert!(matches!(hit, Ok(Hit::Moved { .. })));
    assert!(out.postings.is_empty());
    assert_eq!(out.posted, Code::P3.bit());
}

#[test]
fn a_handler_may_ask_another_machine_and_hold_the_order() {
    let (_, out) = Scene::new().step(Some(&asking()), Remind);
    assert_eq!(out.asks.len(), 1);
    assert_eq!((*out.asks[0]).as_any().downcast_ref(), Some(&Help));
    let held = Raised { code: "unpaid", detail: "nobody pays".to_owned(), gates: Gates::All };
    assert_eq!(out.holds, [held]);
}

// ---- effects

#[test]
fn every_answer_to_an_effect_becomes_an_input_of_its_machine() {
    let fault = Fault { why: "no answer".to_owned() };
    assert_eq!(M::unknown(0, fault), Some(Lost { why: "no answer".to_owned() }.into()));
    let spent = Exhausted { sent: true, why: "three tries".to_owned() };
    assert_eq!(M::exhausted(1, spent), Some(Spent { sent: true }.into()));
    assert_eq!(M::unknown(2, Fault { why: String::new() }), None);
    let done: Told = till::done::Look::from(Nothing).into();
    assert_eq!(M::input_of(&*done.0), Some(Nothing.into()));
    assert_eq!(M::input_of(&"of another machine"), None);
    let effect = M::effect_value(&till::Fx::Charge(Charge { minor: 5 }));
    assert_eq!(effect.downcast_ref(), Some(&Charge { minor: 5 }));
    assert_eq!(<Charge as Effect>::NAME, "shop.till/Charge");
}

#[test]
fn only_timers_and_signals_of_proofs_can_be_made_by_the_kernel() {
    let ix = |name: &str| u8::try_from(till::GRAPH.input(name).unwrap()).unwrap();
    assert_eq!(M::plain_input(ix("Due")), Some(Due.into()));
    assert_eq!(M::plain_input(ix("Nudge")), Some(Nudge.into()));
    for routed in ["Stop", "Start", "Paid"] {
        assert_eq!(M::plain_input(ix(routed)), None, "{routed}");
    }
}

// ---- stored forms

fn saved(state: &State) -> String {
    let mut out = Vec::new();
    M::save_state(state, &mut out).unwrap();
    String::from_utf8(out).unwrap()
}

#[test]
fn a_state_is_read_as_it_was_written() {
    for state in [charging(), asking(), has_taken(), lapsed()] {
        let spec = &till::GRAPH.states[usize::from(M::state_ix(&state))];
        assert_eq!(M::load_state(spec.name, spec.version, &saved(&state)), Ok(state));
    }
}

#[test]
fn a_renamed_state_keeps_the_name_it_is_stored_under() {
    assert_eq!(till::GRAPH.states[0].name, "sending");
    assert_eq!(M::load_state("sending", 1, r#"{"tries":1}"#), Ok(charging()));
    let unknown = M::load_state("Charging", 1, r#"{"tries":1}"#).unwrap_err();
    assert_eq!(unknown.to_string(), "shop.till knows no state named `Charging`");
}

#[test]
fn a_state_of_an_older_version_is_upgraded() {
    let taken = |minor| {
        let by = "unknown".to_owned();
        Ok(State::Taken(Taken { minor, by }))
    };
    assert_eq!(M::load_state("Taken", 2, r#"{"minor":250}"#), taken(250));
    assert_eq!(M::load_state("Taken", 1, r#"{"units":3}"#), taken(300));
}

#[test]
fn a_state_newer_than_this_program_or_older_than_any_upgrade_is_not_guessed_at() {
    for found in [0, 4, u16::MAX] {
        let why = M::load_state("Taken", found, r#"{"minor":1}"#).unwrap_err();
        let name = "Taken".to_owned();
        assert_eq!(why, CodecError::Version { name, found, oldest: 1, newest: 3 });
    }
    let why = M::load_state("sending", 2, r#"{"tries":1}"#).unwrap_err();
    let name = "sending".to_owned();
    assert_eq!(why, CodecError::Version { name, found: 2, oldest: 1, newest: 1 });
}

#[test]
fn data_that_does_not_fit_is_malformed_and_names_what_was_read() {
    let why = M::load_state("Taken", 3, r#"{"minor":"much"}"#).unwrap_err();
    assert!(matches!(&why, CodecError::Malformed { name, .. } if name == "Taken"), "{why}");
    let why = M::load_state("Taken", 1, r#"{"minor":1}"#).unwrap_err();
    assert!(why.to_string().contains("units"), "{why}");
}

#[test]
fn inputs_effects_and_policies_are_stored_and_upgraded_too() {
    let mut out = Vec::new();
    M::save_input(&Finish { minor: Some(4) }.into(), &mut out).unwrap();
    assert_eq!(out, br#"{"minor":4}"#);
    assert_eq!(M::load_input("close", 1, r#"{"minor":4}"#), Ok(Finish { minor: Some(4) }.into()));
    assert!(matches!(M::load_input("Finish", 1, "{}"), Err(CodecError::Unknown { what: "input", .. })));
    out.clear();
    M::save_effect(&till::Fx::Charge(Charge { minor: 7 }), &mut out).unwrap();
    assert_eq!(out, br#"{"minor":7}"#);
    let charge = till::Fx::Charge(Charge { minor: 200 });
    assert_eq!(M::load_effect("Charge", 1, r#"{"units":2}"#), Ok(charge));
    assert!(matches!(M::load_effect("Void", 1, "{}"), Err(CodecError::Unknown { what: "effect", .. })));
    assert_eq!(M::POLICY_VERSION, 2);
    let policy = Policy { wait_ms: 3_000, remind_ms: 10 };
    assert_eq!(M::load_policy(1, r#"{"wait_s":3}"#), Ok(policy));
    assert!(matches!(M::load_policy(3, "{}"), Err(CodecError::Version { newest: 2, .. })));
}

// ---- the table as data

#[test]
fn the_graph_is_the_table() {
    let g = &till::GRAPH;
    assert_eq!((g.name, g.version, g.area()), ("shop.till", 3, "shop"));
    assert_eq!(g.names(g.rows[4].from), ["sending", "Asking"]);
    assert_eq!(g.names(NEW | 1), ["New", "sending"]);
    assert_eq!(g.rows[5].may, Code::P3.bit() | Code::P5.bit());
    assert_eq!(g.rows[6].must, Code::P5.bit());
    assert_eq!(g.rows[7].uses, ["allowed"]);
    assert_eq!(g.effects[1].done, ["Paid", "Nothing"]);
    assert_eq!(g.effects[1].mode, Mode::Read);
    assert_eq!(g.inputs[g.input("Nudge").unwrap()].trigger, Trigger::NeedsGranted);
    assert_eq!(g.inputs[g.input("Stop").unwrap()].trigger, Trigger::Route);
    assert_eq!(g.state("Charging"), None);
}

#[test]
fn a_call_knows_its_machine_its_class_and_its_place() {
    let call = M::command(3, Take);
    assert_eq!((call.machine, call.place, call.key, call.class), ("shop.till", None, Key(3), Class::Command));
    assert_eq!(M::evidence(1, paid(5)).class, Class::Outcome);
    assert_eq!(call.named("second").place, Some("second"));
    let placed = M::with(Scene::new().policy);
    assert_eq!((placed.name, placed.named("second").name), ("shop.till", "second"));
}

#[test]
fn a_fingerprint_is_the_same_in_every_build_and_changes_with_the_table() {
    let mut h = Fnv::new();
    assert_eq!(h.0, 0xcbf2_9ce4_8422_2325);
    h.bytes(b"foobar");
    assert_eq!(h.0, 0x8594_4171_f739_67e8);
    let copy = |version, needs, hears| {
        let g = &till::GRAPH;
        Graph {
            name: g.name,
            base: g.base,
            version,
            needs,
            hears,
            yields: g.yields,
            spaces: g.spaces,
            states: g.states,
            inputs: g.inputs,
            effects: g.effects,
            asks: g.asks,
            opens: g.opens,
            rows: g.rows,
            ignore: g.ignore,
            defer: g.defer,
            alarm: g.alarm,
        }
        .fingerprint()
    };
    let is = till::GRAPH.fingerprint();
    assert_eq!(copy(3, &["allowed"], &[]), is);
    assert_ne!(copy(4, &["allowed"], &[]), is);
    assert_ne!(copy(3, &[], &["allowed"]), is);
}

#[test]
fn drawings_show_what_a_row_needs_wants_posts_and_asks() {
    let drawn = mermaid(&till::GRAPH);
    for line in [
        "    [*] --> sending: Start / Charge",
        "    Asking --> Taken: Take [allowed]",
        "    Asking --> Taken: Paid !P3 !P5",
        "    Lapsed --> Taken: Paid !!P5",
        "    Asking --> Asking: Remind ?Help",
        "    Lapsed --> [*]",
    ] {
        assert!(drawn.lines().any(|l| l == line), "{line} is missing in\n{drawn}");
    }
    let dotted = dot(&till::GRAPH);
    for line in [
        "    sending [shape=component];",
        "    Taken [shape=doublecircle];",
        "    sending -> Asking [label=\"Due / Look\", style=dotted];",
        "    Asking -> Taken [label=\"Paid !P3 !P5\", style=bold];",
        "    Asking -> Asking [label=\"Stop\", style=dashed];",
    ] {
        assert!(dotted.lines().any(|l| l == line), "{line} is missing in\n{dotted}");
    }
}
