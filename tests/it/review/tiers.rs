//! Which tier an order waits in: at every boundary of amount, score, industry and history.

use std::collections::BTreeMap;

use consign::order::OrderKind;
use consign::stage::review::{
    Bound, Consequence, Facts, Queue, ReviewPolicy, RuleSet, Tier, TierPolicy, TierRule, Verdict,
};

/// A shop of goods and advertisements. Over 100.00 one person looks and over 500.00 two; gambling always needs two who
/// know it, politics somebody of tier 3, services one person from 20.00 on; whoever was charged back before is looked
/// at, and so is a stranger over 50.00; from score 40 one looks, from 75 two, from 95 nobody.
fn policy() -> TierPolicy {
    let rule = TierRule::new;
    let score = |from, then| TierRule { score_from: Some(from), ..rule("score", then) };
    let industry = |name: &str, tier| TierRule {
        industries: vec![name.to_owned()],
        ..rule("industry", Consequence::Tier(tier))
    };
    let mut policy = TierPolicy::by_amount(&[(10_000, 1), (50_000, 2)])
        .rule(score(40, Consequence::Tier(1)))
        .rule(score(75, Consequence::Tier(2)))
        .rule(score(95, Consequence::Refuse))
        .rule(industry("gambling", 2))
        .rule(industry("politics", 3))
        .rule(TierRule {
            kinds: vec![OrderKind::Service, OrderKind::Mixed],
            over_minor: Some(1999),
            ..rule("service", Consequence::Tier(1))
        })
        .rule(TierRule {
            categories: vec!["weapons".to_owned()],
            ..rule("banned category", Consequence::Refuse)
        })
        .rule(TierRule {
            history: vec![Bound {
                at_least: Some(1),
                ..Bound { fact: "chargebacks".into(), ..Bound::default() }
            }],
            ..rule("charged back before", Consequence::Tier(1))
        })
        .rule(TierRule {
            over_minor: Some(5_000),
            history: vec![Bound {
                at_most: Some(0),
                ..Bound { fact: "orders_paid".into(), ..Bound::default() }
            }],
            ..rule("stranger", Consequence::Tier(1))
        });
    policy.tiers.push(Tier { approvals: 2, skills: vec!["politics".into()], ..Tier::default() });
    policy
}

/// A customer whom the shop has known for long.
fn known() -> BTreeMap<String, i64> {
    BTreeMap::from([("chargebacks".to_owned(), 0), ("orders_paid".to_owned(), 12)])
}

const NONE: Option<u8> = None;
const REFUSED: u32 = u32::MAX;

fn tier(
    policy: &TierPolicy,
    kind: OrderKind,
    amount_minor: i64,
    industry: &str,
    category: &str,
    score: Option<u8>,
    history: &BTreeMap<String, i64>,
) -> u32 {
    match policy.decide(&Facts { kind, amount_minor, industry, category, history, score }) {
        Verdict::Tier { tier, rules } => {
            assert_eq!(tier == 0, rules.is_empty(), "whoever waits is told why: {rules:?}");
            tier
        }
        Verdict::Refused { rule } => {
            assert!(rule == "score" || rule == "banned category");
            REFUSED
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_tier_follows_score_amount_and_industry_at_every_boundary() {
    let table: &[(Option<u8>, i64, &str, u32)] = &[
        (NONE, 0, "", 0),
        (NONE, 10_000, "", 0),
        (NONE, 10_001, "", 1),
        (NONE, 50_000, "", 1),
        (NONE, 50_001, "", 2),
        (NONE, i64::MAX, "", 2),
        (Some(0), 10_000, "", 0),
        (Some(39), 10_000, "", 0),
        (Some(40), 10_000, "", 1),
        (Some(74), 10_000, "", 1),
        (Some(75), 10_000, "", 2),
        (Some(94), 10_000, "", 2),
        (Some(95), 10_000, "", REFUSED),
        (Some(100), 0, "", REFUSED),
        // The highest counts, wherever it comes from.
        (Some(40), 50_001, "", 2),
        (Some(75), 10_001, "", 2),
        (Some(0), 50_001, "", 2),
        (Some(0), 1, "gambling", 2),
        (Some(39), 50_000, "gambling", 2),
        (NONE, 1, "gambling", 2),
        (NONE, 1, "politics", 3),
        (Some(94), 50_001, "politics", 3),
        (Some(95), 1, "politics", REFUSED),
        (Some(39), 10_000, "shoes", 0),
        (Some(39), 10_000, "Gambling", 0),
    ];
    let policy = policy();
    for (score, amount, industry, expected) in table {
        let is = tier(&policy, OrderKind::Goods, *amount, industry, "", *score, &known());
        assert_eq!(is, *expected, "score {score:?}, amount {amount}, industry «{industry}»");
    }
}

#[test]
fn the_tier_follows_kind_category_and_history() {
    let policy = policy();
    let known = known();
    let of = |kind, amount, category: &str, history: &BTreeMap<String, i64>| {
        tier(&policy, kind, amount, "", category, Some(0), history)
    };
    assert_eq!(of(OrderKind::Service, 1_999, "", &known), 0);
    assert_eq!(of(OrderKind::Service, 2_000, "", &known), 1);
    assert_eq!(of(OrderKind::Mixed, 2_000, "", &known), 1);
    assert_eq!(of(OrderKind::Goods, 2_000, "", &known), 0);
    assert_eq!(of(OrderKind::Goods, 1, "weapons", &known), REFUSED);
    let with = |fact: &str, n| {
        let mut history = known.clone();
        history.insert(fact.to_owned(), n);
        history
    };
    assert_eq!(of(OrderKind::Goods, 1, "", &with("chargebacks", 1)), 1);
    assert_eq!(of(OrderKind::Goods, 5_000, "", &with("orders_paid", 0)), 0);
    assert_eq!(of(OrderKind::Goods, 5_001, "", &with("orders_paid", 0)), 1);
    assert_eq!(of(OrderKind::Goods, 5_001, "", &with("orders_paid", 1)), 0);
    // What nobody knows is looked at.
    assert_eq!(of(OrderKind::Goods, 1, "", &BTreeMap::new()), 1);
    let refuses = TierPolicy::default().rule(TierRule {
        history: vec![Bound { fact: "chargebacks".into(), at_least: Some(3), at_most: None }],
        ..TierRule::new("score", Consequence::Refuse)
    });
    let refused =
        |history: &BTreeMap<String, i64>| tier(&refuses, OrderKind::Goods, 1, "", "", None, history);
    assert_eq!(refused(&with("chargebacks", 3)), REFUSED);
    assert_eq!(refused(&with("chargebacks", 2)), 0);
    assert_eq!(refused(&BTreeMap::new()), 0, "and nobody is refused for what nobody knows");
}

#[test]
fn nothing_above_the_fast_lane_approves_itself() {
    let careless = TierPolicy { tiers: vec![Tier::default(), Tier::default()], rules: Vec::new() };
    for tier in 1..5 {
        assert_eq!(careless.approvals(tier), 1, "tier {tier} asks for nobody, and gets somebody");
        assert_eq!(TierPolicy { tiers: Vec::new(), rules: Vec::new() }.approvals(tier), 1);
    }
    assert_eq!(careless.approvals(0), 0);
    assert_eq!(careless.within(7), 2, "nobody waits where nobody looks");
    assert_eq!(TierPolicy { tiers: Vec::new(), rules: Vec::new() }.within(7), 1);
}

#[test]
fn a_policy_is_data_and_reads_back_as_it_was_written() {
    let mut policy = ReviewPolicy { tiers: policy(), ..ReviewPolicy::default() };
    policy.industry_skills.insert("gambling".into(), vec!["gambling".into()]);
    let written = serde_json::to_string(&policy).unwrap();
    assert_eq!(serde_json::from_str::<ReviewPolicy>(&written).unwrap(), policy);
    let needed: Vec<&str> = policy.skills(3, "gambling").collect();
    assert_eq!(needed, ["politics", "gambling"]);
    assert_eq!(policy.skills(1, "shoes").count(), 0);
    // What a policy of an earlier day does not say is as it was then.
    let old: ReviewPolicy = serde_json::from_str("{\"scorer\":false}").unwrap();
    assert_eq!(old, ReviewPolicy { scorer: false, ..ReviewPolicy::default() });
}

#[test]
fn every_change_of_a_rule_set_changes_its_id() {
    let set = || {
        RuleSet::new("ads").rule("dear", "amount > 100", Consequence::Tier(1)).words(
            "casino",
            ["roulette", "slots"],
            Consequence::Refuse,
        )
    };
    let others = [
        RuleSet { name: "ad".into(), ..set() },
        set().rule("dear", "amount > 100", Consequence::Tier(1)),
        RuleSet { rules: vec![], ..set() },
        RuleSet { words: vec![], ..set() },
        RuleSet::new("ads").rule("dear", "amount > 101", Consequence::Tier(1)),
        RuleSet::new("ads").rule("dear", "amount > 100", Consequence::Tier(2)),
        RuleSet::new("ads").rule("dear", "amount > 100", Consequence::Tier(1)).words(
            "casino",
            ["roulette slots"],
            Consequence::Refuse,
        ),
    ];
    assert_eq!(set().id(), set().id());
    for other in &others {
        assert_ne!(other.id(), set().id(), "{other:?}");
    }
    assert_eq!(set().id().len(), 32);
}

#[test]
fn a_queue_is_named_by_kind_and_tier() {
    let queue = Queue { kind: OrderKind::Service, tier: 2 };
    assert_eq!(queue.to_string(), "service/2");
    assert_eq!("service/2".parse(), Ok(queue));
    for no_queue in ["service", "things/1", "goods/one", "goods/", "/1"] {
        assert!(no_queue.parse::<Queue>().is_err(), "{no_queue}");
    }
}

#[test]
fn the_second_look_falls_on_as_many_as_the_policy_says_and_always_on_the_same() {
    let of = |rate| ReviewPolicy { second_look_per_mille: rate, ..ReviewPolicy::default() };
    let ids: Vec<_> = (0..20_000).map(|n| format!("order-{n}").parse().unwrap()).collect();
    let count = |rate| ids.iter().filter(|id| of(rate).samples(id)).count();
    assert_eq!(count(0), 0);
    assert_eq!(count(1000), ids.len());
    for rate in [10_u16, 50, 200] {
        let (n, expected) = (count(rate), ids.len() * usize::from(rate) / 1000);
        // Five standard deviations of a fair draw: 200 +- 71, 1,000 +- 155, 4,000 +- 283.
        let p = f64::from(rate) / 1000.0;
        let sd = (ids.len() as f64 * p * (1.0 - p)).sqrt();
        assert!((n as f64 - expected as f64).abs() < 5.0 * sd, "{n} of {} at {rate} per mille", ids.len());
        assert_eq!(n, count(rate), "the same ones again");
    }
    // A higher rate looks at all that a lower one did.
    assert!(ids.iter().all(|id| !of(50).samples(id) || of(200).samples(id)));
}
