//! What review holds shut stays shut, whoever pushes (I14), and who opens it are as many different people as must, none
//! of whom asked for it, all for what the order says now (I23).
//!
//! The pipeline is that of physical goods with a nag beside it, which asks for the money to be captured at any time.

use std::collections::BTreeSet;

use consign::id::{Actor, Key};
use consign::machine::Call;
use consign::order::{Draft, Order};
use consign::pipeline::lifecycle::{Amend, Amended, TurnedDown, Unfillable, Unwaived, Waived, lifecycle};
use consign::pipeline::{Physical, Pipeline, giving, pipeline};
use consign::stage::dispatch::{self as parcels, CannotFill, InStock, NeedsCapture, parcel};
use consign::stage::payment::{CaptureAsked, MoneyBack, PaidElsewhere, Superseded, attempt};
use consign::stage::proof::{Delivered, OweBack, Reprice, Unwaive, Waive};
use consign::stage::refund::{Begin, refund};
use consign::stage::review::{self as stage, TierPolicy, TurnDown, case};
use proptest::prelude::*;

use crate::rows::{dispatch, lifecycle as life, payment, review};
use crate::support::shop::{Shop, agent, carla, order_of};

mod nag {
    use consign::machine::{Answer, Cx, Decide, Next, On, stay, to, until};
    use serde::{Deserialize, Serialize};

    consign::machine! {
        /// Asks for money, and needs none.
        pub(super) mod table = "nag" v 1;
        policy ();
        effects { }
        asks { Nag }
        inputs {
            command Begin, Poke;
            timer   Bored;
        }
        states {
            Nagging: wait(Bored),
            Gone: done,
        }
        rows {
            New     + Begin => Nagging;
            Nagging + Poke  => Nagging ? Nag;
            Nagging + Bored => Gone;
        }
    }

    #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
    pub(super) struct Nagging;
    #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
    pub(super) struct Gone;
    #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
    pub(super) struct Begin;
    #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
    pub(super) struct Poke;
    #[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
    pub(super) struct Bored;
    #[derive(Debug, Clone, PartialEq)]
    pub(super) struct Nag;

    impl Decide<Begin> for table::New {
        fn decide(&self, _: &Begin, cx: &mut Cx<'_, Self::R>) -> Answer<Self::R> {
            Ok(until(cx.after_ms(u64::MAX >> 20), Nagging))
        }
    }
    impl Decide<Poke> for Nagging {
        fn decide(&self, _: &Poke, cx: &mut Cx<'_, Self::R>) -> Answer<Self::R> {
            cx.ask(Nag);
            Ok(stay(Nagging))
        }
    }
    impl On<Bored> for Nagging {
        fn on(&self, _: &Bored, _: &mut Cx<'_, Self::R>) -> Next<Self::R> {
            to(Gone)
        }
    }
}

/// `told`: whether the case hears that the order was amended. If not, only what was approved guards the gate.
fn with_a_nag(p: Physical, told: bool) -> Pipeline {
    pipeline("nagged", 1, p.life)
        .then(attempt::M::with(p.payment))
        .then(case::M::with(p.review))
        .then(parcel::M::with(p.dispatch))
        .beside(refund::M::with(p.refund))
        .beside(nag::table::M::with(()))
        .route::<MoneyBack, refund::M, Begin>(giving::money_back)
        .route_across::<OweBack, refund::M, Begin>(giving::owe_back)
        .route::<PaidElsewhere, attempt::M, Superseded>(|ask, view| {
            let others =
                view.instances().filter(|(key, s)| *key != ask.attempt && s.what().tender == ask.tender);
            others.map(|(key, _)| (key, Superseded)).collect()
        })
        .route::<NeedsCapture, attempt::M, CaptureAsked>(|_, view| {
            view.instances().map(|(key, _)| (key, CaptureAsked)).collect()
        })
        .route::<parcels::SplitOff, parcel::M, parcels::Split>(|ask, view| {
            vec![(parcels::next_key(view), ask.rest.clone())]
        })
        .route::<Amended, parcel::M, parcels::Replan>(|_, view| parcels::replanned(view))
        .route::<Waive, lifecycle::M, Waived>(|ask, _| {
            let (relief, reason) = (ask.relief.clone(), ask.reason.clone());
            vec![(Key(1), Waived { relief, goes_back: ask.goes_back, reason })]
        })
        .route::<Unwaive, lifecycle::M, Unwaived>(|ask, _| {
            vec![(Key(1), Unwaived { relief: ask.relief.clone() })]
        })
        .route::<Reprice, parcel::M, parcels::Repriced>(|_, view| parcels::repriced(view))
        .route::<nag::Nag, attempt::M, CaptureAsked>(|_, view| {
            view.instances().map(|(key, _)| (key, CaptureAsked)).collect()
        })
        .route::<Amended, case::M, stage::Amended>(move |ask, view| {
            view.instances()
                .filter(|_| told)
                .map(|(key, _)| (key, stage::Amended { by: ask.by.clone() }))
                .collect()
        })
        .route::<TurnDown, lifecycle::M, TurnedDown>(|ask, _| {
            vec![(Key(1), TurnedDown { reason: ask.reason.clone() })]
        })
        .route::<CannotFill, lifecycle::M, Unfillable>(|ask, _| {
            vec![(Key(1), Unfillable { reason: ask.why.clone() })]
        })
        .spare::<Delivered>()
        .build()
        .unwrap()
}

/// Authorised first. Two people look from 45.00 on, one below; whoever makes an offer approves nothing; what is rejected
/// may be appealed.
fn policy() -> Physical {
    let mut policy = payment::gated();
    policy.review.tiers = TierPolicy::by_amount(&[(0, 1), (4_500, 2)]);
    policy.review.barring_work = vec!["offer".into()];
    policy.review.appeal_ms = 3_600_000;
    policy.review.appeals = 3;
    policy
}

/// An order that somebody of the shop placed for a customer.
fn ordered(price: i64) -> Draft {
    Draft { placed_by: agent("pat"), ..Draft::from(order_of(price)) }
}

fn nagged(told: bool) -> Shop {
    let mut s = Shop::place_on(with_a_nag(policy(), told), Order::parse(ordered(5000)).unwrap());
    s.asks(nag::table::M::command(1, nag::Begin));
    s.asks(payment::start(1));
    s.done("Charge", payment::authorised(5000));
    s
}

/// Something that somebody may do, or the outside may say. Most of it is refused most of the time.
#[derive(Debug, Clone, Copy)]
enum Push {
    Score(u8),
    Claim(usize),
    Approve(usize),
    ApproveUnclaimed(usize),
    Reject(usize),
    Appeal,
    Contribute(usize),
    Notice(u8),
    Amend(usize, bool),
    Collect,
    Poke,
    Captured,
    Stock,
    Pack,
    HandOver,
    Timer,
    Escalate,
}

const PEOPLE: [&str; 4] = ["anna", "bob", "dora", "pat"];

fn person(n: usize) -> Actor {
    agent(PEOPLE[n % PEOPLE.len()])
}

fn push() -> impl Strategy<Value = Push> {
    let who = 0..PEOPLE.len();
    prop_oneof![
        2 => (0..100_u8).prop_map(Push::Score),
        6 => who.clone().prop_map(Push::Claim),
        6 => who.clone().prop_map(Push::Approve),
        4 => who.clone().prop_map(Push::ApproveUnclaimed),
        1 => who.clone().prop_map(Push::Reject),
        1 => Just(Push::Appeal),
        1 => who.clone().prop_map(Push::Contribute),
        1 => (0..9_u8).prop_map(Push::Notice),
        2 => (who, any::<bool>()).prop_map(|(n, dear)| Push::Amend(n, dear)),
        3 => Just(Push::Collect),
        3 => Just(Push::Poke),
        1 => Just(Push::Captured),
        2 => Just(Push::Stock),
        2 => Just(Push::Pack),
        2 => Just(Push::HandOver),
        1 => Just(Push::Timer),
        1 => Just(Push::Escalate),
    ]
}

/// The newest token of the case, for who holds it.
fn token(s: &Shop) -> u32 {
    match s.pipeline.state::<case::M>(&s.order, 1) {
        Some(case::State::Claimed(c)) => c.lease.token,
        _ => 0,
    }
}

fn wanted(s: &Shop, effect: &str) -> bool {
    s.order.wanted.iter().any(|w| w.name.ends_with(effect))
}

/// An approval that was accepted.
struct Approval {
    by: String,
    content: [u8; 32],
    /// Whether they had placed, amended, appealed, offered or rejected the order by then.
    barred: bool,
}

/// What the test itself knows of who did what; the case is not asked.
#[derive(Default)]
struct Witness {
    approvals: Vec<Approval>,
    /// Whether the case hears who amends the order.
    told: bool,
    barred: BTreeSet<String>,
}

impl Witness {
    /// Whether these people may have opened the gate of this order: two from 45.00 on.
    fn lets_pass(&self, s: &Shop) -> Result<(), String> {
        let now = s.order.order.content_hash();
        let valid = || self.approvals.iter().filter(|a| a.content == now);
        let people: BTreeSet<&str> = valid().map(|a| a.by.as_str()).collect();
        let needed = if s.order.order.total().minor() > 4_500 { 2 } else { 1 };
        if people.len() < needed {
            return Err(format!("{people:?} approved this content, and {needed} must"));
        }
        match valid().find(|a| a.barred) {
            Some(a) => Err(format!("{} approved what they asked for, offered or rejected", a.by)),
            None => Ok(()),
        }
    }
}

/// Does it, as far as it is not refused. Whether it was done.
fn done(s: &mut Shop, push: Push, seen: &mut Witness) -> bool {
    let ask = |s: &mut Shop, by: &Actor, call: Call| s.tries_as(by, call).is_ok();
    match push {
        Push::Score(n) if wanted(s, "/Score") => {
            s.done("Score", review::scored(n));
            true
        }
        Push::Captured if wanted(s, "/Capture") => {
            s.done("Capture", payment::paid(s.order.order.total().minor().min(5000)));
            s.release_holds();
            true
        }
        Push::Stock if wanted(s, "/Reserve") => {
            s.done("Reserve", InStock);
            true
        }
        Push::Score(_) | Push::Captured | Push::Stock => false,
        Push::Claim(n) => ask(s, &person(n), review::claim()),
        Push::Approve(n) | Push::ApproveUnclaimed(n) => {
            let by = person(n);
            let token = if matches!(push, Push::Approve(_)) { token(s) } else { 0 };
            let content = s.order.order.content_hash();
            let is = ask(s, &by, review::approve(token));
            if is {
                let by = by.to_string();
                let barred = seen.barred.contains(&by);
                seen.approvals.push(Approval { by, content, barred });
            }
            is
        }
        Push::Reject(n) => {
            let is = ask(s, &person(n), review::reject(token(s)));
            if is {
                seen.barred.insert(person(n).to_string());
            }
            is
        }
        Push::Appeal => {
            let is = ask(s, &carla(), review::appeal());
            if is {
                seen.barred.insert(carla().to_string());
                seen.approvals.clear();
            }
            is
        }
        Push::Contribute(n) => {
            let open = s.state("review.case", 1) != "Approved";
            let is = ask(s, &person(n), review::contribute("offer"));
            if is && open {
                // An approval that nothing came of yet is gone. One that let the order pass was given before the offer.
                seen.approvals.retain(|a| a.by != person(n).to_string());
            }
            if is {
                seen.barred.insert(person(n).to_string());
            }
            is
        }
        Push::Notice(n) => {
            let notice = stage::RiskNotice { notice: format!("alert {n}") };
            let was = s.state("review.case", 1);
            s.hears(case::M::evidence(1, notice));
            if was == "Approved" && s.state("review.case", 1) != was {
                seen.approvals.clear();
            }
            true
        }
        Push::Amend(n, dear) => {
            let price = if dear { 4_900 } else { 4_000 };
            let is = ask(s, &person(n), lifecycle::M::command(1, Amend { draft: ordered(price) }));
            if is && seen.told {
                seen.barred.insert(person(n).to_string());
            }
            is
        }
        Push::Collect => ask(s, &agent("olga"), payment::collect(None)),
        Push::Poke => ask(s, &agent("olga"), nag::table::M::command(1, nag::Poke)),
        Push::Pack => ask(s, &agent("olga"), dispatch::pack()),
        Push::HandOver => ask(s, &agent("olga"), dispatch::hand_over(1)),
        Push::Timer => s.next_timer(),
        Push::Escalate => {
            ask(s, &agent("olga"), case::M::command(1, stage::Escalate { reason: "odd".into() }))
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 384, failure_persistence: None, ..ProptestConfig::default() })]

    /// I14: no capture is begun, no label booked and nothing handed over while review holds the gate shut.
    #[test]
    fn i14_nothing_goes_through_a_shut_gate(told in any::<bool>(), pushes in proptest::collection::vec(push(), 1..60)) {
        let mut s = nagged(told);
        let mut seen = Witness::default();
        for push in pushes {
            let open_before = s.order.proofs().contains(&"approved.capture");
            let had = s.order.effects;
            if !done(&mut s, push, &mut seen) {
                continue;
            }
            let open = s.order.proofs().contains(&"approved.capture");
            let new = s.order.wanted.iter().filter(|w| w.id > had);
            for w in new.filter(|w| w.name.ends_with("/Capture") || w.name.ends_with("/Book")) {
                prop_assert!(open, "{:?} began {} with the gate shut\n{}", push, w.name, s.show());
            }
            if let Some(f) = s.last.fires.iter().find(|f| f.to == "HandedOver") {
                prop_assert!(open_before, "{:?} handed over {} with the gate shut", push, f.key);
            }
        }
    }

    /// I23: a gate that people opened was opened by as many as must, all different, none of whom placed, amended,
    /// appealed, offered or rejected it, and all for what the order says now.
    #[test]
    fn i23_who_opens_the_gate_are_enough_others_who_saw_this_order(
        told in any::<bool>(), pushes in proptest::collection::vec(push(), 1..60),
    ) {
        let mut s = nagged(told);
        let barred = BTreeSet::from([agent("pat").to_string()]);
        let mut seen = Witness { barred, told, ..Witness::default() };
        for push in pushes {
            if !done(&mut s, push, &mut seen) {
                continue;
            }
            if s.order.proofs().contains(&"approved.dispatch") {
                let people = seen.lets_pass(&s);
                prop_assert!(people.is_ok(), "{:?}: {}\n{}", push, people.unwrap_err(), s.show());
            }
        }
    }
}

/// The property is worth nothing if nothing ever gets through.
#[test]
fn what_review_lets_pass_is_captured_and_leaves() {
    let mut s = nagged(true);
    assert!(s.tries_as(&agent("olga"), nag::table::M::command(1, nag::Poke)).is_ok());
    assert_eq!(s.state("payment.attempt", 1), "Authorized", "asked too early, and nothing comes of it");
    s.done("Score", review::scored(10));
    for (token, name) in [(1, "anna"), (2, "bob")] {
        s.asks_as(&agent(name), review::claim());
        s.asks_as(&agent(name), review::approve(token));
    }
    s.asks(nag::table::M::command(1, nag::Poke));
    assert_eq!(s.state("payment.attempt", 1), "Capturing");
    s.done("Capture", payment::paid(5000));
    s.done("Reserve", InStock);
    s.asks(dispatch::pack());
    s.asks(dispatch::hand_over(1));
    assert_eq!(s.state("dispatch.parcel", 1), "HandedOver");
    s.asks(life::request_return());
}
