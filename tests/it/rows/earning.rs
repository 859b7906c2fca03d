//! I21: what is earned is never more than was captured and kept, or granted as credit; spend reports only grow, and
//! none counts beyond the budget.

use consign::id::Key;
use consign::pipeline::Digital;
use consign::stage::activation::{EarnPolicy, Rest, Run, service};
use consign::stage::payment::FundsPolicy;
use proptest::prelude::*;

use super::activation::{self, PLACE, available, ended_by, says_of, spent_by};
use super::{ends, payment, refund as back, review};
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

fn full() -> bool {
    std::env::var_os("CONSIGN_FULL").is_some_and(|v| v == "1")
}
