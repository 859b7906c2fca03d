//! Whatever a provider does to one call, the order comes to the same end, and money moves once.

use std::sync::Arc;
use std::time::Duration;

use consign::clock::Timestamp;
use consign::gateway::Repeats;
use consign::id::Key;
use consign::stage::payment::{Start, attempt};
use consign::stage::refund::{Request, refund};
use consign::testing::{Fault, FaultPlan, SandboxGateway, VirtualEnv};

use super::journey::{cancel, start};
use super::support::{
    DAY, Disk, Folder, HOUR, MINUTE, MORNING, SECOND, Shop, World, agent, carla, draft, key, packs_itself,
    run,
};

/// A shop whose provider takes its time from the same clock.
async fn shop(plan: FaultPlan, repeats: Repeats, file: Option<&std::path::Path>) -> (Shop, VirtualEnv) {
    let outside = VirtualEnv::new(Timestamp::from_millis(MORNING), 1);
    let gateway = SandboxGateway::open(file).unwrap().in_time(Arc::new(outside.clone()));
    let gateway = Arc::new(gateway.promising(repeats).failing(plan));
    let world = World { gateway, ..World::new(Disk::memory(), packs_itself()) };
    (world.open(Timestamp::from_millis(MORNING)).await, outside)
}

/// Time passes for the shop and for its provider, whose messages are told.
async fn pass(shop: &Shop, outside: &VirtualEnv, ms: u64) {
    let end = shop.now().saturating_add(Duration::from_millis(ms));
    loop {
        shop.settled().await;
        let next = [shop.engine.next_wake(), shop.env.next_sleep(), outside.next_sleep()];
        let next = next.into_iter().flatten().chain(shop.world.gateway.next()).min();
        let at = next.unwrap_or(end).clamp(shop.now(), end);
        outside.set(at);
        outside.settled().await;
        shop.env.set(at);
        shop.engine.fire_due();
        shop.settled().await;
        for message in shop.world.gateway.messages(at) {
            shop.engine.deliver(message).await.unwrap();
            shop.settled().await;
        }
        if at == end && next.is_none_or(|next| next > end) {
            return;
        }
    }
}

async fn release(shop: &Shop) {
    for hold in &shop.order("o-1").await.progress.holds {
        shop.engine.release(&key("o-1"), agent("olga"), hold.id).await.unwrap();
        shop.settled().await;
    }
}

#[test]
pub(super) fn a_lie_about_money_is_not_booked_and_what_is_so_is_asked() {
    run(async {
        for operation in ["charge", "inquire"] {
            let plan = FaultPlan::default().fault("o-1", 1, operation, 1, Fault::Lie).fault(
                "o-1",
                1,
                "charge",
                if operation == "charge" { 2 } else { 1 },
                Fault::LoseAnswer,
            );
            let repeats = Repeats::Idempotent { key_ttl: Duration::from_millis(DAY) };
            let (shop, outside) = shop(plan, repeats, None).await;
            shop.place(draft("o-1", &[5_000], &[("card", 5_000)])).await.unwrap();
            shop.asks("o-1", &carla(), start(1)).await;
            if operation == "charge" {
                assert_eq!(shop.balances("o-1").await, "", "nothing of it is believed");
            }
            pass(&shop, &outside, 3 * HOUR).await;
            let p = shop.order("o-1").await.progress;
            assert!(p.holds.iter().all(|h| h.code != "parked"), "what is so was asked: {:?}", p.holds);
            let balances = shop.balances("o-1").await;
            assert_eq!(
                balances, "psp:card 5000, cust -5000",
                "{operation}: what was taken is booked, and no more"
            );
            assert_eq!(shop.world.gateway.moved(&key("o-1")), (5_000, 0));
            assert_eq!(shop.world.gateway.faults().get("lie"), Some(&1));
        }
    });
}

#[test]
fn every_fault_at_every_call_for_money_comes_to_the_same_end() {
    let keyed = Repeats::Idempotent { key_ttl: Duration::from_millis(DAY) };
    let settle = Duration::from_millis(90 * SECOND);
    run(async {
        for (_, fault) in Fault::MIX {
            for operation in ["charge", "refund", "inquire", "inquire_refund"] {
                for repeats in [keyed, Repeats::Lookup { settle }] {
                    // A key that is forgotten is no key: such a provider does not promise it.
                    if *fault == Fault::PrunedKey && repeats == keyed {
                        continue;
                    }
                    let what = format!("{fault:?} at {operation} under {repeats:?}");
                    let plan = FaultPlan::default().fault("o-1", 1, operation, 1, *fault);
                    let plan = match operation {
                        "inquire" => plan.fault("o-1", 1, "charge", 1, Fault::LoseAnswer),
                        "inquire_refund" => plan.fault("o-1", 1, "refund", 1, Fault::LoseAnswer),
                        _ => plan,
                    };
                    through(plan, repeats, &what).await;
                }
            }
        }
    });
}

/// A customer pays, again where it did not work; the order is cancelled, and the money goes back, again where it did
/// not.
async fn through(plan: FaultPlan, repeats: Repeats, what: &str) {
    let (shop, outside) = shop(plan, repeats, None).await;
    shop.place(draft("o-1", &[5_000], &[("card", 5_000)])).await.unwrap();
    shop.asks("o-1", &carla(), start(1)).await;
    pass(&shop, &outside, 5 * HOUR).await;
    release(&shop).await;
    pass(&shop, &outside, HOUR).await;
    if shop.world.gateway.moved(&key("o-1")).0 == 0 {
        let again = Start { tender: Key(1), channel: None, method: String::new() };
        shop.asks("o-1", &carla(), attempt::M::command(2, again)).await;
        pass(&shop, &outside, HOUR).await;
    }
    assert_eq!(shop.balances("o-1").await, "psp:card 5000, cust -5000", "{what}\n{}", shop.show("o-1").await);
    shop.asks("o-1", &agent("sue"), cancel()).await;
    pass(&shop, &outside, 2 * DAY).await;
    release(&shop).await;
    pass(&shop, &outside, DAY).await;
    let view = shop.order("o-1").await;
    let refused = view.instances().into_iter().any(|(p, _, s)| p == "refund" && s == "Failed");
    if refused {
        let paid = view.instances().into_iter().find(|(_, _, s)| *s == "Captured").unwrap().1;
        let ask = Request {
            attempt: paid,
            channel: "card".parse().unwrap(),
            reference: None,
            amount_minor: 5_000,
            reason: "once more".into(),
        };
        shop.asks("o-1", &agent("sue"), refund::M::command(9, ask)).await;
    }
    pass(&shop, &outside, 8 * DAY).await;
    assert_eq!(shop.phase("o-1").await, "cancelled", "{what}\n{}", shop.show("o-1").await);
    assert_eq!(shop.balances("o-1").await, "", "{what}");
    assert_eq!(shop.world.gateway.moved(&key("o-1")), (5_000, 5_000), "{what}");
    assert_eq!(shop.world.gateway.totals().duplicate_effects, 0, "{what}");
    assert!(shop.world.gateway.faults().values().sum::<u64>() > 0, "{what}: it never happened");
    shop.journal("o-1").await;
}

#[test]
fn a_provider_that_is_started_anew_still_owes_what_it_put_off_and_has_forgotten_what_it_forgot() {
    run(async {
        let folder = Folder::new("provider");
        let file = folder.file("books.jsonl");
        let settle = Duration::from_millis(90 * SECOND);
        let plan = FaultPlan::default().fault("o-1", 1, "charge", 1, Fault::Pending).fault(
            "o-1",
            2,
            "charge",
            1,
            Fault::PrunedKey,
        );
        let (shop, _) = shop(plan, Repeats::Lookup { settle }, Some(&file)).await;
        shop.place(draft("o-1", &[5_000], &[("card", 3_000), ("voucher", 2_000)])).await.unwrap();
        shop.asks("o-1", &carla(), start(1)).await;
        shop.asks("o-1", &carla(), start(2)).await;
        let faults = shop.world.gateway.faults();
        assert_eq!(shop.world.gateway.moved(&key("o-1")), (2_000, 0), "the card's is put off");

        let anew = SandboxGateway::open(Some(&file)).unwrap();
        assert_eq!(anew.faults(), faults);
        assert_eq!(anew.moved(&key("o-1")), (2_000, 0));
        let later = shop.now().saturating_add(Duration::from_millis(3 * MINUTE));
        let told = anew.messages(later);
        assert_eq!(told.len(), 1, "it tells of it once");
        assert!(anew.messages(later).is_empty());
        assert_eq!(anew.moved(&key("o-1")), (5_000, 0));
        assert_eq!(anew.totals().duplicate_effects, 0);
    });
}
