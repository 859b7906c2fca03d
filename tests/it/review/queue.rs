//! Queues through the engine: listed page by page, and worked off by several people at once.

use std::collections::{BTreeMap, BTreeSet};

use consign::engine::{CommandError, Engine, HeldCase};
use consign::id::{OrderKey, TenantId};
use consign::order::OrderKind;
use consign::pipeline::{Physical, Refused};
use consign::stage::payment::FundsPolicy;
use consign::stage::review::{
    Approve, Claim, Expedite, Queue, RequestInfo, SecondLook, SupplyInfo, Tier, TierPolicy, WaitsFor, case,
    eta_ms,
};

use crate::engine::support::{DAY, Disk, Folder, HOUR, MINUTE, Shop, World, agent, carla, draft, key, run};

const GOODS: Queue = Queue { kind: OrderKind::Goods, tier: 1 };

fn shop() -> TenantId {
    TenantId::default()
}

/// Paid on delivery, and looked at by one person each.
fn policy() -> Physical {
    let mut policy = Physical::default();
    policy.payment.funds = FundsPolicy::OnDelivery;
    policy.review.scorer = false;
    policy.review.tiers = TierPolicy::by_amount(&[(0, 1)]);
    policy.review.tiers.tiers.push(Tier::default());
    policy
}

async fn placed(shop: &Shop, n: usize) {
    for n in 0..n {
        shop.engine.place(draft(&format!("o-{n:04}"), &[5_000], &[("cash", 5_000)])).await.unwrap();
    }
    shop.settled().await;
}

/// Claims until nothing is left.
async fn works(engine: Engine, name: String) -> Vec<HeldCase> {
    let me = agent(&name);
    let mut mine = Vec::new();
    while let Some(held) = engine.claim_next(&shop(), GOODS, &me, &[]).await.unwrap() {
        assert_eq!(held.lease.actor, me);
        mine.push(held);
    }
    mine
}

async fn listed(engine: &Engine, queue: Queue, page: usize) -> Vec<consign::engine::QueuedCase> {
    let (mut all, mut after) = (Vec::new(), None);
    loop {
        let cases = engine.queue(&shop(), queue, after, page).await.unwrap();
        let Some(last) = cases.last() else { return all };
        assert!(cases.len() <= page);
        after = Some(last.found.clone());
        all.extend(cases);
    }
}

/// Ten people work off one queue on SQLite at once, on several threads: nobody is given what another holds, nothing is
/// left, and whoever holds a case too long decides nothing.
#[test]
fn ten_reviewers_claim_from_one_queue_and_no_case_is_held_twice() {
    let full = std::env::var("CONSIGN_FULL").is_ok_and(|v| v == "1");
    let n = if full { 2_000 } else { 100 };
    let folder = Folder::new("queue");
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(4).build().unwrap();
    runtime.block_on(async {
        let world = World::new(Disk::file(&folder.file("orders.db")), policy());
        let shop = world.open(consign::clock::Timestamp::from_millis(0)).await;
        placed(&shop, n).await;
        let people: Vec<String> = (0..10).map(|n| format!("reviewer-{n}")).collect();
        let tasks: Vec<_> =
            people.iter().map(|p| tokio::spawn(works(shop.engine.clone(), p.clone()))).collect();
        let mut held: BTreeMap<OrderKey, HeldCase> = BTreeMap::new();
        let mut busy = 0;
        for task in tasks {
            let mine = task.await.unwrap();
            busy += usize::from(!mine.is_empty());
            for h in mine {
                let twice = held.insert(h.order.clone(), h);
                assert!(twice.is_none(), "held twice: {twice:?}");
            }
        }
        assert_eq!(held.len(), n, "every case is held");
        assert!(busy > 1, "several people worked");
        shop.settled().await;
        // The list says the same.
        let all = listed(&shop.engine, GOODS, 64).await;
        assert_eq!(all.len(), n);
        for c in &all {
            assert_eq!(c.held_by.as_ref(), Some(&held[&c.order].lease.actor), "{}", c.order);
            assert!(!c.free);
        }
        // Whoever decides in time decides; the others hold what lapses.
        let (order, first) = held.iter().next().unwrap();
        let approve = |h: &HeldCase| case::M::command(h.case, Approve { token: h.lease.token });
        shop.engine.command(order, first.lease.actor.clone(), "", approve(first)).await.unwrap();
        shop.pass(15 * MINUTE).await;
        let mut again = BTreeSet::new();
        for (order, h) in held.iter().skip(1) {
            let late = shop.engine.command(order, h.lease.actor.clone(), "", approve(h)).await;
            assert!(matches!(late, Err(CommandError::Refused(Refused::NoRow { .. }))), "{late:?}");
            if again.len() < 20 {
                again.insert(order.clone());
            }
        }
        // Another person holds some now: the old token is stale, and the new one is not.
        let other = agent("zoe");
        for order in &again {
            let h = &held[order];
            shop.engine
                .command(order, other.clone(), "", case::M::command(1, Claim::default()))
                .await
                .unwrap();
            let late = shop.engine.command(order, h.lease.actor.clone(), "", approve(h)).await;
            match late {
                Err(CommandError::Refused(Refused::Refused { code, .. })) => assert_eq!(code, "stale_lease"),
                other => panic!("{other:?}"),
            }
            let token = h.lease.token + 1;
            let is =
                shop.engine.command(order, other.clone(), "", case::M::command(1, Approve { token })).await;
            assert!(is.is_ok(), "{is:?}");
        }
        shop.settled().await;
        assert_eq!(listed(&shop.engine, GOODS, 64).await.len(), n - 1 - again.len());
    });
}

#[test]
fn a_queue_is_listed_by_priority_then_by_what_is_due_first_and_follows_its_cases() {
    run(async {
        let world = World::new(Disk::memory(), policy());
        let shop = world.open(consign::clock::Timestamp::from_millis(0)).await;
        for n in 0..3 {
            shop.place(draft(&format!("o-{n}"), &[5_000], &[("cash", 5_000)])).await.unwrap();
            shop.pass(MINUTE).await;
        }
        let names = |cases: Vec<consign::engine::QueuedCase>| -> Vec<String> {
            cases.iter().map(|c| c.order.order.to_string()).collect()
        };
        assert_eq!(names(listed(&shop.engine, GOODS, 1).await), ["o-0", "o-1", "o-2"]);
        shop.asks("o-2", &carla(), case::M::command(1, Expedite)).await;
        assert_eq!(names(listed(&shop.engine, GOODS, 2).await), ["o-2", "o-0", "o-1"]);
        let anna = agent("anna");
        let first = shop.engine.claim_next(&self::shop(), GOODS, &anna, &[]).await.unwrap().unwrap();
        assert_eq!(first.order, key("o-2"), "the pressed one first");
        let is = listed(&shop.engine, GOODS, 9).await;
        assert_eq!(is[0].held_by, Some(anna.clone()), "who holds it is told, and it stays in its place");
        assert_eq!((is[0].priority, is[0].state, is[1].free), (1, "Claimed", true));
        // Who asked the customer is given the answer before the rest.
        let ask = RequestInfo { token: 1, question: "who pays?".into() };
        shop.asks("o-2", &anna, case::M::command(1, ask)).await;
        let bert = agent("bert");
        let second = shop.engine.claim_next(&self::shop(), GOODS, &bert, &[]).await.unwrap().unwrap();
        assert_eq!(second.order, key("o-0"), "what waits for an answer is nobody's");
        let back = case::M::command(1, consign::stage::review::HandBack { token: 1 });
        shop.asks("o-0", &bert, back).await;
        let supply = SupplyInfo { answer: "I do".into() };
        shop.asks("o-2", &carla(), case::M::command(1, supply)).await;
        let third = shop.engine.claim_next(&self::shop(), GOODS, &bert, &[]).await.unwrap().unwrap();
        assert_eq!(third.order, key("o-0"), "not bert's, while there are others");
        let fourth = shop.engine.claim_next(&self::shop(), GOODS, &anna, &[]).await.unwrap().unwrap();
        assert_eq!(fourth.order, key("o-2"));
        // At risk, it waits in the queue of the next tier.
        shop.pass(3 * HOUR + 30 * MINUTE).await;
        let up = Queue { tier: 2, ..GOODS };
        assert_eq!(listed(&shop.engine, up, 9).await.len(), 3);
        assert!(listed(&shop.engine, GOODS, 9).await.is_empty());
    });
}

/// M28: whoever presses is told why their order waits, how many come before it, and when to expect a decision, which
/// then comes within the time that one decision takes.
#[test]
fn m28_the_place_in_the_queue_says_when_a_decision_comes() {
    const DECISION: u64 = 10 * MINUTE;
    run(async {
        let world = World::new(Disk::memory(), policy());
        let shop = world.open(consign::clock::Timestamp::from_millis(0)).await;
        placed(&shop, 17).await;
        let mut expected = BTreeMap::new();
        for c in listed(&shop.engine, GOODS, 50).await {
            let place = shop.engine.queue_place(&c.order).await.unwrap().unwrap();
            assert_eq!((place.queue, place.waits_for, place.due_at), (GOODS, WaitsFor::QueueDepth, c.due_at));
            expected.insert(c.order, eta_ms(place.ahead, 3, DECISION).unwrap());
        }
        assert_eq!(expected.values().max(), Some(&(6 * DECISION)), "the 17th of three people's queue");
        let people = [agent("anna"), agent("bert"), agent("cora")];
        let start = shop.now();
        let mut decided = BTreeMap::new();
        while decided.len() < expected.len() {
            let mut round = Vec::new();
            for person in &people {
                round.extend(shop.engine.claim_next(&self::shop(), GOODS, person, &[]).await.unwrap());
            }
            if let Some(held) = round.first() {
                let place = shop.engine.queue_place(&held.order).await.unwrap().unwrap();
                assert_eq!(place.ahead, 0, "somebody is at it");
            }
            shop.pass(DECISION).await;
            for held in round {
                let approve = case::M::command(1, Approve { token: held.lease.token });
                shop.engine.command(&held.order, held.lease.actor, "", approve).await.unwrap();
                assert_eq!(shop.engine.queue_place(&held.order).await.unwrap(), None, "it has ended");
                decided.insert(held.order, shop.now().since(start).as_millis());
            }
        }
        for (order, at) in decided {
            let said = u128::from(expected[&order]);
            assert!(at.abs_diff(said) <= u128::from(DECISION), "{order}: said {said}, was {at}");
        }
        assert_eq!(eta_ms(4, 0, DECISION), None, "nobody works");
    });
}

#[test]
fn who_lacks_the_skill_is_passed_over_and_a_sampled_decision_waits_for_a_second_look() {
    run(async {
        let mut policy = policy();
        policy.review.tiers.tiers[0].skills = vec!["fraud".into()];
        policy.review.second_look_per_mille = 1000;
        let world = World::new(Disk::memory(), policy);
        let shop = world.open(consign::clock::Timestamp::from_millis(0)).await;
        placed(&shop, 2).await;
        let (anna, bert) = (agent("anna"), agent("bert"));
        let none = shop.engine.claim_next(&self::shop(), GOODS, &bert, &["german".into()]).await.unwrap();
        assert_eq!(none, None);
        let held =
            shop.engine.claim_next(&self::shop(), GOODS, &anna, &["fraud".into()]).await.unwrap().unwrap();
        let approve = case::M::command(1, Approve { token: held.lease.token });
        shop.engine.command(&held.order, anna, "", approve).await.unwrap();
        let again = shop.engine.second_looks(&self::shop(), GOODS, None, 9).await.unwrap();
        assert_eq!(
            again.iter().map(|f| f.order.clone()).collect::<Vec<_>>(),
            std::slice::from_ref(&held.order)
        );
        let look = SecondLook { agrees: true, note: "as I would".into() };
        shop.engine.command(&held.order, bert, "", case::M::command(1, look)).await.unwrap();
        assert!(shop.engine.second_looks(&self::shop(), GOODS, None, 9).await.unwrap().is_empty());
        // It is found again after the process has ended.
        let shop = shop.reopened().await;
        shop.pass(DAY).await;
        assert_eq!(listed(&shop.engine, Queue { tier: 2, ..GOODS }, 9).await.len(), 1);
    });
}
