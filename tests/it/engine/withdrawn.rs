//! A call whose reason is gone is not made: what was never sent is withdrawn in the commit that leaves its state.

use std::sync::Arc;
use std::time::Duration;

use consign::clock::Timestamp;
use consign::engine::LaneLimits;
use consign::gateway::Repeats;
use consign::pipeline::Physical;
use consign::stage::payment::{CaptureMode, FundsPolicy, PaymentPolicy};

use super::journey::{cancel, start};
use super::own::{Own, Say};
use super::support::{
    DAY, Disk, HOUR, MINUTE, MORNING, SECOND, Shop, World, agent, carla, draft, packs_itself, run,
};

const KEYS: Repeats = Repeats::Idempotent { key_ttl: Duration::from_secs(24 * 3600) };

async fn shop(provider: &Arc<Own>, policy: Physical) -> Shop {
    let world = World::new(Disk::memory(), policy);
    let wiring = world.wiring().payments(provider.clone());
    world.open_with(Timestamp::from_millis(MORNING), wiring).await
}

/// The customer of a cancelled order would have been charged, and nobody would have given it back.
#[test]
fn a01_a_charge_that_was_put_off_is_not_made_for_an_order_that_is_cancelled() {
    run(async {
        for put_off in [&[Say::NotSent, Say::NotSent][..], &[Say::Later(10 * MINUTE)]] {
            let provider = Own::new(KEYS);
            provider.says("charge", put_off);
            let shop = shop(&provider, packs_itself()).await;
            shop.place(draft("o-1", &[5_000], &[("card", 5_000)])).await.unwrap();
            shop.asks("o-1", &carla(), start(1)).await;
            shop.pass(2 * SECOND).await;
            shop.asks("o-1", &agent("sue"), cancel()).await;
            shop.pass(DAY).await;
            assert_eq!(provider.moved(), (0, 0), "{}", shop.show("o-1").await);
            assert_eq!(provider.calls("charge").len(), put_off.len(), "{}", shop.show("o-1").await);
            assert_eq!(shop.phase("o-1").await, "cancelled");
            shop.journal("o-1").await;
        }
    });
}

/// A customer who is told to come back later pays on another channel, and would have paid twice.
#[test]
fn a01_a_charge_that_was_put_off_is_not_made_once_its_attempt_is_given_up_for_another() {
    run(async {
        let provider = Own::new(KEYS);
        provider.says("charge", &[Say::Later(10 * MINUTE)]);
        let shop = shop(&provider, packs_itself()).await;
        shop.place(draft("o-1", &[5_000], &[("card", 5_000)])).await.unwrap();
        shop.asks("o-1", &carla(), start(1)).await;
        shop.pass(MINUTE).await;
        let second = consign::stage::payment::attempt::M::command(
            2,
            consign::stage::payment::Start {
                tender: consign::id::Key(1),
                channel: Some("wallet".parse().unwrap()),
                method: String::new(),
            },
        );
        shop.asks("o-1", &carla(), second).await;
        shop.pass(HOUR).await;
        assert_eq!(provider.moved(), (5_000, 0), "{}", shop.show("o-1").await);
        shop.journal("o-1").await;
    });
}

/// What waits for its turn in a lane is looked at once more before it is sent.
#[test]
fn a01_a_charge_that_waits_in_its_lane_is_not_made_once_nobody_wants_it() {
    run(async {
        let provider = Own::new(KEYS);
        let world = World::new(Disk::memory(), packs_itself());
        let slow = LaneLimits { per_second: Some(1), ..LaneLimits::default() };
        let wiring = world.wiring().payments(provider.clone()).lane("payments", slow);
        let shop = world.open_with(Timestamp::from_millis(MORNING), wiring).await;
        let ids: Vec<String> = (0..40).map(|n| format!("o-{n}")).collect();
        for id in &ids {
            shop.place(draft(id, &[5_000], &[("card", 5_000)])).await.unwrap();
            shop.asks(id, &carla(), start(1)).await;
        }
        // One call a second: the last one has not been made yet.
        shop.pass(5 * SECOND).await;
        let before = provider.calls("charge").len();
        assert!((1..20).contains(&before), "{before} of 40 calls in five seconds");
        let last = ids.last().unwrap();
        shop.asks(last, &agent("sue"), cancel()).await;
        shop.pass(DAY).await;
        assert_eq!(shop.phase(last).await, "cancelled", "{}", shop.show(last).await);
        let balances = shop.balances(last).await;
        assert_eq!(balances, "", "{}", shop.show(last).await);
        shop.journal(last).await;
    });
}

/// A capture that the provider refuses to take for ten minutes is not made when the order was cancelled in between.
#[test]
fn a01_a_capture_that_was_put_off_is_not_made_for_an_order_that_is_cancelled() {
    run(async {
        let payment = PaymentPolicy {
            capture: CaptureMode::Later,
            funds: FundsPolicy::RequireAuthorized,
            ..packs_itself().payment
        };
        let provider = Own::new(KEYS);
        provider.says("capture", &[Say::Later(10 * MINUTE)]);
        let shop = shop(&provider, Physical { payment, ..packs_itself() }).await;
        shop.place(draft("o-1", &[5_000], &[("card", 5_000)])).await.unwrap();
        shop.asks("o-1", &carla(), start(1)).await;
        shop.pass(SECOND).await;
        let called = provider.calls("capture").len();
        shop.asks("o-1", &agent("sue"), cancel()).await;
        shop.pass(DAY).await;
        assert_eq!(called, 1, "{}", shop.show("o-1").await);
        assert_eq!(provider.calls("capture").len(), called, "{}", shop.show("o-1").await);
        assert_eq!(provider.moved(), (0, 0), "{}", shop.show("o-1").await);
        shop.journal("o-1").await;
    });
}

/// A provider that refuses connections for a while is provably not reached, however long the retries take.
#[test]
fn a13_a_charge_that_was_provably_never_sent_is_not_unknown() {
    run(async {
        let provider = Own::new(KEYS);
        provider.always("charge", Say::NotSent);
        let shop = shop(&provider, packs_itself()).await;
        shop.place(draft("o-1", &[5_000], &[("card", 5_000)])).await.unwrap();
        shop.asks("o-1", &carla(), start(1)).await;
        shop.pass(5 * MINUTE).await;
        let view = shop.order("o-1").await;
        let states: Vec<_> = view.instances().iter().map(|i| format!("{i:?}")).collect();
        assert!(states.iter().any(|s| s.contains("NotSent")), "{}", shop.show("o-1").await);
        assert_eq!(provider.calls("close").len(), 0, "there is nothing to close");
        shop.journal("o-1").await;
    });
}
