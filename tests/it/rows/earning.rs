//! I21: what is earned is never more than was captured and kept, or granted as credit; spend reports only grow, and
//! none counts beyond the budget.

use consign::id::Key;
use consign::pipeline::{Digital, EffectAnswer};
use consign::stage::activation::{EarnPolicy, Rest, Run, service};
use consign::stage::payment::FundsPolicy;
use proptest::prelude::*;

use super::activation::{self, PLACE, available, ended_by, says_of, spent_by};
use super::{ends, lifecycle, payment, refund as back, review};
use crate::support::shop::{Shop, agent, services_of};

const BUDGETS: [i64; 2] = [3_000, 2_000];

/// Something that happens to an order whose services run.
#[derive(Debug, Clone)]
enum Turn {
    /// A service reports what it spent since it began, which may be less than before or more than it may.
    Spends(u32, i64),
    /// Out of goodwill, so much is asked to go back.
    Refund(i64),
    /// The oldest call is answered as it should be.
    Answer,
    /// The next timer fires.
    Time,
    Pause(u32),
    Resume(u32),
    Terminate(u32),
    /// The platform says that it is over.
    Over(u32, i64),
}

fn turn() -> impl Strategy<Value = Turn> {
    let service = 1..=2_u32;
    prop_oneof![
        6 => (service.clone(), 0..4_500_i64).prop_map(|(s, minor)| Turn::Spends(s, minor)),
        2 => (1..2_500_i64).prop_map(Turn::Refund),
        4 => Just(Turn::Answer),
        1 => Just(Turn::Time),
        1 => service.clone().prop_map(Turn::Pause),
        1 => service.clone().prop_map(Turn::Resume),
        1 => service.clone().prop_map(Turn::Terminate),
        1 => (service, 0..4_500_i64).prop_map(|(s, minor)| Turn::Over(s, minor)),
    ]
}

fn policies() -> impl Strategy<Value = Digital> {
    let earn = prop_oneof![3 => Just(EarnPolicy::OnConsumption), 1 => Just(EarnPolicy::OnActivation)];
    let rest = prop_oneof![Just(Rest::GiveBack), Just(Rest::CarryOver { flights: 1 })];
    let funds = prop_oneof![
        3 => Just(FundsPolicy::RequireCaptured),
        1 => Just(FundsPolicy::Credit { limit_minor: 2_000 }),
    ];
    (earn, rest, funds).prop_map(|(earn, rest, funds)| {
        let mut p = Digital::default();
        (p.activation.earn, p.activation.rest, p.payment.funds) = (earn, rest, funds);
        p
    })
}

fn run(shop: &Shop, service: u32) -> Option<Run> {
    activation::run(shop, service)
}

/// The books and the services, after every turn.
fn check(shop: &Shop, was: &[Option<Run>], credit: i64) -> Result<(), TestCaseError> {
    let books = &shop.order.books;
    let (earned, kept) = (books.earned(), books.kept());
    prop_assert!(
        earned <= kept + credit,
        "earned {earned} of {kept} kept and {credit} granted\n{}",
        shop.show()
    );
    for ((service, was), budget) in (1..).zip(was).zip(BUDGETS) {
        let Some(is) = run(shop, service) else { continue };
        prop_assert!(is.consumed_minor <= budget, "{} spent of {budget}\n{}", is.consumed_minor, shop.show());
        prop_assert!(is.earned_minor <= budget, "{} earned of {budget}", is.earned_minor);
        if let Some(was) = was.as_ref().filter(|w| w.attempt == is.attempt) {
            prop_assert!(
                was.reported_minor <= is.reported_minor && was.consumed_minor <= is.consumed_minor,
                "{} spent after {}",
                is.reported_minor,
                was.reported_minor
            );
            prop_assert!(was.earned_minor <= is.earned_minor, "nothing earned is forgotten");
        }
    }
    Ok(())
}

fn take(shop: &mut Shop, turn: &Turn) {
    let anna = agent("anna");
    match turn {
        Turn::Spends(s, minor) => {
            shop.hears(says_of(*s, spent_by(&format!("a{s}"), *minor)));
        }
        Turn::Over(s, minor) => {
            shop.hears(says_of(*s, ended_by(&format!("a{s}"), *minor)));
        }
        Turn::Refund(minor) => {
            let of = shop.pipeline.instances(&shop.order);
            let refunds = of.iter().filter(|(place, ..)| *place == "refund");
            let next = refunds.map(|(_, key, _)| key.0).max().unwrap_or(0) + 1;
            let _ = shop.tries_as(&anna, back::request(next, *minor));
        }
        Turn::Answer => {
            if let Some(w) = shop.order.wanted.first().cloned() {
                let told = ends::answer(shop, &w);
                shop.answer_done(w.id, told);
            }
        }
        Turn::Time => {
            shop.next_timer();
        }
        Turn::Pause(s) => drop(shop.tries_as(&anna, addressed(*s, activation::pause()))),
        Turn::Resume(s) => drop(shop.tries_as(&anna, addressed(*s, activation::resume()))),
        Turn::Terminate(s) => drop(shop.tries_as(&anna, activation::terminate_of(*s))),
    }
    shop.release_holds();
}

fn addressed(service: u32, call: consign::machine::Call) -> consign::machine::Call {
    consign::machine::Call { key: Key(service), ..call }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if full() { 5_000 } else { 250 }))]
    #[test]
    fn i21_nothing_is_earned_that_was_not_paid_or_granted_and_no_report_counts_beyond_the_budget(
        policy in policies(), turns in prop::collection::vec(turn(), 1..40),
    ) {
        let total: i64 = BUDGETS.iter().sum();
        let credit = policy.payment.credit_minor(total);
        // On credit only what the credit does not cover is paid.
        let paid = total - credit;
        let mut shop = Shop::place(policy, services_of(&BUDGETS, &[("card", paid), ("later", credit)]
            .into_iter().filter(|t| t.1 > 0).collect::<Vec<_>>()));
        shop.asks(payment::start(1));
        shop.done("Charge", payment::paid(paid));
        shop.done("Score", review::scored(3));
        shop.done("Activate 1", available("a1"));
        shop.done("Activate 2", available("a2"));
        prop_assert_eq!((shop.state(PLACE, 1), shop.state(PLACE, 2)), ("Active", "Active"));
        for turn in &turns {
            let was = [run(&shop, 1), run(&shop, 2)];
            take(&mut shop, turn);
            check(&shop, &was, credit)?;
        }
        prop_assert!(shop.pipeline.state::<service::M>(&shop.order, 3).is_none());
        let came = ends::carry_on(&mut shop);
        prop_assert!(ends::beyond(&shop) || came.is_ok(), "it has no end:\n{}", shop.show());
    }
}

/// Something that happens to an order before its services run.
#[derive(Debug, Clone)]
enum Early {
    Pay,
    Answer,
    Lose,
    Notice,
    Claim,
    Approve,
    Cancel,
    Refund(i64),
    Time,
}

fn early() -> impl Strategy<Value = Early> {
    prop_oneof![
        3 => Just(Early::Pay),
        8 => Just(Early::Answer),
        1 => Just(Early::Lose),
        2 => Just(Early::Notice),
        3 => Just(Early::Claim),
        3 => Just(Early::Approve),
        1 => Just(Early::Cancel),
        1 => (1..5_000_i64).prop_map(Early::Refund),
        3 => Just(Early::Time),
    ]
}

fn happens(shop: &mut Shop, n: u32, what: &Early) {
    let who = agent(&format!("agent-{}", n % 3));
    let next = |shop: &Shop, place: &str| {
        let all = shop.pipeline.instances(&shop.order);
        all.iter().filter(|(p, ..)| *p == place).map(|(_, key, _)| key.0).max().unwrap_or(0) + 1
    };
    match what {
        Early::Pay => {
            let again = payment::start_again(next(shop, "payment.attempt"), 1);
            drop(shop.tries_as(&who, again));
        }
        Early::Answer => {
            if let Some(w) = shop.order.wanted.first().cloned() {
                let told = ends::answer(shop, &w);
                shop.answer_done(w.id, told);
            }
        }
        Early::Lose => {
            if let Some(w) = shop.order.wanted.first().cloned() {
                shop.answers(w.id, EffectAnswer::Unknown("reset".to_owned()));
            }
        }
        Early::Notice => drop(shop.hears(review::notice())),
        Early::Claim => drop(shop.tries_as(&who, review::claim())),
        Early::Approve => drop((1..4).find(|token| shop.tries_as(&who, review::approve(*token)).is_ok())),
        Early::Cancel => drop(shop.tries_as(&who, lifecycle::cancel())),
        Early::Refund(minor) => {
            let request = back::request(next(shop, "refund"), *minor);
            drop(shop.tries_as(&who, request));
        }
        Early::Time => drop(shop.next_timer()),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if full() { 5_000 } else { 250 }))]
    #[test]
    fn i13_i14_nothing_is_activated_unless_it_is_wanted_paid_and_passed(
        later in any::<bool>(), turns in prop::collection::vec(early(), 1..60),
    ) {
        let policy = if later { activation::later() } else { Digital::default() };
        let mut shop = Shop::place(policy, services_of(&[5_000], &[("card", 5_000)]));
        for (n, what) in (0..).zip(&turns) {
            let version = shop.order.version;
            happens(&mut shop, n, what);
            if shop.order.version > version && shop.last.told.contains("wants Activate") {
                let proofs = shop.order.proofs();
                let open = ["approved.activate", "collected", "wanted"].iter().all(|p| proofs.contains(p));
                prop_assert!(open, "activated under {proofs:?}\n{}", shop.show());
            }
            shop.release_holds();
        }
        let came = ends::carry_on(&mut shop);
        prop_assert!(ends::beyond(&shop) || came.is_ok(), "it has no end:\n{}", shop.show());
    }
}

fn full() -> bool {
    std::env::var_os("CONSIGN_FULL").is_some_and(|v| v == "1")
}
