//! What is believed of what comes in: outcomes and no commands, answers that agree, clocks within a margin.

use std::sync::Arc;
use std::time::Duration;

use consign::clock::Timestamp;
use consign::engine::DeliverError;
use consign::gateway::Repeats;
use consign::machine::Class;
use consign::pipeline::Physical;
use consign::stage::payment::{CaptureMode, FundsPolicy, Paid, PaymentPolicy, attempt};
use consign::testing::{Fault, FaultPlan, VirtualEnv};

use super::journey::{cancel, start};
use super::own::{Own, Say};
use super::support::{
    DAY, Disk, HOUR, MINUTE, MORNING, SECOND, Shop, World, agent, carla, draft, key, packs_itself, run, told,
};

/// A command that is handed over as evidence would be carried out although a hold refuses it.
#[test]
fn a05_only_what_happened_is_delivered() {
    run(async {
        let shop = Shop::morning(Disk::memory()).await;
        shop.place(draft("o-1", &[5_000], &[("card", 5_000)])).await.unwrap();
        shop.asks("o-1", &carla(), start(1)).await;
        let version = shop.order("o-1").await.progress.version;
        let asked = told("o-1", "event-1", shop.now(), cancel());
        assert_eq!(asked.evidence.class, Class::Command);
        let refused = shop.engine.deliver(asked).await;
        assert!(matches!(refused, Err(DeliverError::NotEvidence { class: "command", .. })), "{refused:?}");
        assert_eq!(shop.order("o-1").await.progress.version, version, "nothing is written");
        assert!(shop.order("o-1").await.progress.holds.is_empty(), "and nobody is called");
    });
}

/// One lying answer parked the order, although an inquiry would have told the truth.
#[test]
fn a25_an_answer_that_is_not_believed_is_asked_about_and_no_person_is_called() {
    run(async {
        for operation in ["charge", "refund"] {
            let shop = Shop::morning(Disk::memory()).await;
            shop.world.gateway.plan(FaultPlan::default().fault("o-1", 1, operation, 1, Fault::Lie));
            shop.place(draft("o-1", &[5_000], &[("card", 5_000)])).await.unwrap();
            shop.asks("o-1", &carla(), start(1)).await;
            shop.pass(MINUTE).await;
            shop.asks("o-1", &agent("sue"), cancel()).await;
            shop.pass(DAY).await;
            assert_eq!(shop.world.gateway.faults().get("lie"), Some(&1), "{operation}");
            assert_eq!(shop.world.gateway.moved(&key("o-1")), (5_000, 5_000), "{operation}");
            assert_eq!(shop.phase("o-1").await, "cancelled", "{}", shop.show("o-1").await);
            let journal = shop.journal("o-1").await;
            assert!(journal.iter().all(|e| e.kind != "park"), "{}", shop.show("o-1").await);
        }
    });
}

/// Where no answer agrees, a person is called after a bounded number of questions.
#[test]
fn a25_a_provider_that_never_agrees_with_itself_is_asked_a_bounded_number_of_times() {
    run(async {
        let shop = Shop::morning(Disk::memory()).await;
        let lies = (1..500).fold(FaultPlan::default(), |plan, n| {
            plan.fault("o-1", 1, "charge", n, Fault::Lie).fault("o-1", 1, "inquire", n, Fault::Lie)
        });
        shop.world.gateway.plan(lies);
        shop.place(draft("o-1", &[5_000], &[("card", 5_000)])).await.unwrap();
        shop.asks("o-1", &carla(), start(1)).await;
        shop.pass(2 * DAY).await;
        let view = shop.order("o-1").await;
        // A lie that is told twice in the same way is booked as what came, and a person decides.
        let called = |code: &str| ["reconcile", "mismatch"].contains(&code);
        assert!(view.progress.holds.iter().any(|h| called(&h.code)), "{}", shop.show("o-1").await);
        assert_eq!(view.progress.books.kept(), 0, "nothing of it pays for the order");
        assert!(view.progress.version < 100, "{} records in two days", view.progress.version);
    });
}

/// A webhook that says the truth about a parked order was kept until a person had looked.
#[test]
fn a25_a_parked_order_goes_on_taking_what_happened_into_its_books() {
    run(async {
        let shop = Shop::morning(Disk::memory()).await;
        let plan = FaultPlan::default().fault("o-1", 1, "charge", 1, Fault::Panic);
        shop.world.gateway.plan((1..100).fold(plan, |p, n| p.fault("o-1", 1, "inquire", n, Fault::LoseCall)));
        shop.place(draft("o-1", &[5_000], &[("card", 5_000)])).await.unwrap();
        shop.asks("o-1", &carla(), start(1)).await;
        let parked = shop.order("o-1").await.progress.holds;
        assert!(parked.iter().any(|h| h.code == "parked"), "{parked:?}");
        let attempt = shop.order("o-1").await;
        let (amount, channel) = (attempt.progress.order.total(), "card".parse().unwrap());
        let paid = Paid { channel, reference: "r-1".into(), amount, more_allowed: false, movement: None };
        shop.hears("o-1", "webhook-1", attempt::M::evidence(1, paid)).await;
        assert_eq!(shop.balances("o-1").await, "psp:card 5000, cust -5000", "{}", shop.show("o-1").await);
    });
}

const KEYS: Repeats = Repeats::Idempotent { key_ttl: Duration::from_secs(24 * 3600) };

/// A refund would go out twice: the key was forgotten, and the clock had been set back since it was first used.
#[test]
fn a06_a_clock_that_was_set_back_lets_no_key_live_longer() {
    run(async {
        for back in [2 * HOUR, 8 * HOUR, 11 * HOUR] {
            let provider = Own::new(KEYS);
            provider.always("refund", Say::LoseAnswer);
            provider.always("inquire_refund", Say::LoseCall);
            let world = World::new(Disk::memory(), packs_itself());
            let wiring = world.wiring().payments(provider.clone());
            let shop = world.open_with(Timestamp::from_millis(MORNING), wiring).await;
            shop.place(draft("o-1", &[5_000], &[("card", 5_000)])).await.unwrap();
            shop.asks("o-1", &carla(), start(1)).await;
            shop.asks("o-1", &agent("sue"), cancel()).await;
            shop.pass(SECOND).await;
            let first = provider.calls("refund")[0].0;
            let (world, now) = shop.stopped().await;
            // The machine starts again with a clock that is behind: from here on it shows less than is true.
            let wiring = world.wiring().payments(Arc::clone(&provider) as _);
            let shop = world.open_with(now.saturating_sub(Duration::from_millis(back)), wiring).await;
            shop.pass(10 * DAY).await;
            for (at, _) in provider.calls("refund").into_iter().skip(1) {
                let shown = at.saturating_add(Duration::from_millis(back));
                assert!(
                    shown.since(first) < Duration::from_millis(DAY),
                    "{back}: sent under a key of {shown:?}"
                );
            }
            assert!(
                shop.order("o-1").await.progress.holds.iter().any(|h| h.code == "reconcile"),
                "{}",
                shop.show("o-1").await
            );
        }
    });
}

/// What is carried out after everybody has given up is found by asking, and taken once.
#[test]
fn a13_a_charge_that_arrives_late_is_found_by_an_inquiry_and_is_not_made_again() {
    run(async {
        let provider = Own::new(KEYS);
        provider.says("charge", &[Say::Late(40 * SECOND)]);
        let world = World::new(Disk::memory(), packs_itself());
        let wiring = world.wiring().payments(provider.clone());
        let shop = world.open_with(Timestamp::from_millis(MORNING), wiring).await;
        shop.place(draft("o-1", &[5_000], &[("card", 5_000)])).await.unwrap();
        shop.asks("o-1", &carla(), start(1)).await;
        shop.pass(DAY).await;
        assert_eq!(provider.moved(), (5_000, 0), "{}", shop.show("o-1").await);
        assert_eq!(provider.calls("charge").len(), 1, "{}", shop.show("o-1").await);
        assert!(shop.balances("o-1").await.starts_with("psp:card 5000"), "{}", shop.show("o-1").await);
    });
}

/// Two numbers that nobody compared: the machine called a call unknown that the engine still waited for.
#[test]
fn a21_times_that_contradict_each_other_are_refused_at_the_start() {
    run(async {
        let short = |payment: PaymentPolicy| Physical { payment, ..packs_itself() };
        let default = || packs_itself().payment;
        let keys = |secs| Repeats::Idempotent { key_ttl: Duration::from_secs(secs) };
        let settles = |hours: u64| Repeats::Lookup { settle: Duration::from_secs(hours * 3600) };
        for (policy, repeats, says) in [
            (short(default()), KEYS, None),
            (
                short(PaymentPolicy { answer_ms: 15_000, ..default() }),
                KEYS,
                Some("an answer is due after 15s"),
            ),
            (short(default()), keys(30), Some("keys are kept for 30s")),
            (short(default()), settles(20), None),
            (short(default()), settles(60), Some("a person is called after")),
        ] {
            let world = World::new(Disk::memory(), policy);
            let env = Arc::new(VirtualEnv::new(Timestamp::from_millis(MORNING), 1));
            let life = world.disk.life();
            let wiring = world.wiring().payments(Own::new(repeats)).env(env).store(life);
            let refused = wiring.start().await.err().map(|faults| faults.to_string());
            match (says, &refused) {
                (None, None) => {}
                (Some(says), Some(why)) => assert!(why.contains(says), "{why}"),
                _ => panic!("{says:?} is not {refused:?}"),
            }
        }
    });
}

/// The worst of all: the first capture arrived late, a second one was begun under a new key, and both were carried out.
#[test]
fn a20_a_capture_in_doubt_is_followed_by_no_other_until_an_inquiry_after_its_time_says_no() {
    run(async {
        let settle = 5 * MINUTE;
        let lookup = Repeats::Lookup { settle: Duration::from_millis(settle) };
        for late in [20 * SECOND, 60 * SECOND, settle - SECOND] {
            let provider = Own::new(lookup);
            provider.says("capture", &[Say::Late(late)]);
            let payment = PaymentPolicy {
                capture: CaptureMode::Later,
                funds: FundsPolicy::RequireAuthorized,
                ..packs_itself().payment
            };
            let world = World::new(Disk::memory(), Physical { payment, ..packs_itself() });
            let wiring = world.wiring().payments(provider.clone());
            let shop = world.open_with(Timestamp::from_millis(MORNING), wiring).await;
            shop.place(draft("o-1", &[5_000], &[("card", 5_000)])).await.unwrap();
            shop.asks("o-1", &carla(), start(1)).await;
            shop.pass(DAY).await;
            assert_eq!(provider.moved(), (5_000, 0), "{late}: {}", shop.show("o-1").await);
            assert_eq!(provider.calls("capture").len(), 1, "{late}: {}", shop.show("o-1").await);
            assert!(shop.balances("o-1").await.starts_with("psp:card 5000"), "{}", shop.show("o-1").await);
            shop.journal("o-1").await;
        }
    });
}
