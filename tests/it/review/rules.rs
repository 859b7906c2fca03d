//! Rules in the host's own words: checked when they are loaded, applied by the scorer, and never a reason to let pass
//! what they could not judge.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use consign::clock::Timestamp;
use consign::gateway::{RiskScorer, RuleFault, RuleScorer, Ticket};
use consign::id::{Key, OpKey};
use consign::machine::{Effect, Reply};
use consign::money::Money;
use consign::order::OrderKind;
use consign::pipeline::Physical;
use consign::stage::payment::FundsPolicy;
use consign::stage::review::{
    Banned, Consequence, RuleSet, Score, ScoreRefused, Scored, Seen, TierPolicy, case, case::done,
};

use crate::engine::support::{DAY, Disk, Shop, World, draft, key, run};

type Answer = Reply<<Score as Effect>::Done, <Score as Effect>::Declined>;

fn set() -> RuleSet {
    RuleSet::new("ads")
        .rule("dear", "amount > 20000", Consequence::Tier(2))
        .rule("stranger", "history.orders_paid < 1", Consequence::Tier(1))
        .rule("arms", "category == 'weapons' && currency == 'EUR'", Consequence::Refuse)
        .rule(
            "gambling abroad",
            "kind != 'goods' && industry in ['gambling', 'betting']",
            Consequence::Tier(3),
        )
        .rule("shouting", "texts.exists(k, texts[k].contains('!!!'))", Consequence::Tier(1))
        .rule("two lists", "size(banned) > 1", Consequence::Refuse)
        .words("casino", ["casino", "free spins"], Consequence::Tier(2))
        .words("pills", ["miracle cure"], Consequence::Tier(1))
}

fn asked(rules: &RuleSet) -> Score {
    Score {
        total: Money::new(5_000, "EUR".parse().unwrap()),
        kind: OrderKind::Service,
        industry: "shoes".into(),
        category: "boots".into(),
        texts: BTreeMap::from([("title".to_owned(), "Good boots".to_owned())]),
        history: BTreeMap::from([("orders_paid".to_owned(), 4)]),
        rules: rules.id(),
    }
}

async fn answer(scorer: &RuleScorer, score: Score) -> Answer {
    let order = key("o-1");
    let place = "review.case";
    let ticket = Ticket {
        key: OpKey::derive(&order, 0, place, Key(1), "review.case/Score", 0),
        order,
        place,
        instance: Key(1),
        attempt: 1,
        now: Timestamp::from_millis(0),
    };
    scorer.score(score, &ticket).await
}

/// The tier that the rules ask for and why, or the rule that refuses.
fn said(scorer: &RuleScorer, score: Score) -> Result<(u32, Vec<String>), String> {
    match run(answer(scorer, score)) {
        Reply::Done(done::Score::Scored(s)) => Ok((s.tier, s.reasons)),
        Reply::Done(done::Score::Banned(b)) => Err(b.rule),
        other => panic!("{other:?}"),
    }
}

#[test]
fn every_rule_that_fits_counts_and_the_highest_tier_wins() {
    let rules = set();
    let scorer = RuleScorer::new([rules.clone()]).unwrap();
    let of = |change: fn(&mut Score)| {
        let mut score = asked(&rules);
        change(&mut score);
        said(&scorer, score)
    };
    let tier = |change: fn(&mut Score)| of(change).map(|s| s.0);
    assert_eq!(of(|_| {}), Ok((0, vec![])));
    assert_eq!(tier(|s| s.total = Money::new(20_000, s.total.currency())), Ok(0));
    assert_eq!(tier(|s| s.total = Money::new(20_001, s.total.currency())), Ok(2));
    assert_eq!(tier(|s| s.category = "weapons".into()), Err("arms".to_owned()));
    assert_eq!(tier(|s| s.industry = "betting".into()), Ok(3));
    assert_eq!(
        tier(|s| {
            s.industry = "betting".into();
            s.kind = OrderKind::Goods;
        }),
        Ok(0)
    );
    assert_eq!(tier(|s| s.texts = BTreeMap::from([("note".into(), "now!!!".into())])), Ok(1));
    assert_eq!(tier(|s| s.history = BTreeMap::from([("orders_paid".into(), 0)])), Ok(1));
    let (at, why) = of(|s| {
        s.texts.insert("note".into(), "Free\u{a0}SPINS for you".into());
    })
    .unwrap();
    assert_eq!((at, why), (2, vec!["rule casino: `free spins` in note".to_owned()]));
    // A rule may speak of the lists that were hit.
    assert_eq!(
        tier(|s| {
            s.texts.insert(
                "note".into(),
                "A miracle cure at the \u{ff23}\u{ff21}\u{ff33}\u{ff29}\u{ff2e}\u{ff2f}".into(),
            );
        }),
        Err("two lists".to_owned())
    );
}

#[test]
fn a_rule_that_cannot_be_evaluated_sends_to_people_and_says_why() {
    let rules = set();
    let scorer = RuleScorer::new([rules.clone()]).unwrap();
    let score = Score { history: BTreeMap::new(), ..asked(&rules) };
    let (tier, why) = said(&scorer, score).unwrap();
    assert_eq!(tier, 1);
    assert!(why[0].starts_with("rule stranger could not be evaluated: No such key"), "{why:?}");
    // There is no score without a model.
    let rules = RuleSet::new("s").rule("risky", "score > 50", Consequence::Tier(2));
    let (tier, why) = said(&RuleScorer::new([rules.clone()]).unwrap(), asked(&rules)).unwrap();
    assert_eq!(tier, 1, "{why:?}");
}

#[test]
fn what_is_wrong_with_a_rule_is_told_by_its_name_when_it_is_loaded_and_all_at_once() {
    let set = RuleSet::new("ads")
        .rule("syntax", "amount >", Consequence::Tier(1))
        .rule("fact", "amout > 1", Consequence::Tier(1))
        .rule("hidden fact", "amount > 1 || texts.exists(k, texts[k] == nobody)", Consequence::Tier(1))
        .rule("types", "industry > 5", Consequence::Tier(1))
        .rule("function", "sum(amount) > 5", Consequence::Tier(1))
        .rule("number", "amount + 1", Consequence::Tier(1))
        .rule("deep", format!("{}true{}", "(".repeat(400), ")".repeat(400)), Consequence::Tier(1))
        .rule("long", format!("industry == '{}'", "x".repeat(2_000)), Consequence::Tier(1))
        .rule("twice", "true", Consequence::Tier(1))
        .rule("twice", "true", Consequence::Tier(1))
        .rule("fine", "score > 1 && history.orders > 2 && has(texts.title)", Consequence::Tier(1))
        .words("nothing", Vec::<String>::new(), Consequence::Tier(1))
        .words("empty", ["casino", " "], Consequence::Tier(1));
    let faults = RuleScorer::new([set]).unwrap_err().0;
    let told: Vec<(&str, &str)> = faults
        .iter()
        .map(|f| match f {
            RuleFault::NameTwice { name, .. } => ("name twice", name.as_str()),
            RuleFault::TooBig { rule, .. } => ("too big", rule.as_str()),
            RuleFault::Syntax { rule, .. } => ("syntax", rule.as_str()),
            RuleFault::UnknownFact { rule, fact, .. } => {
                assert!(fact == "amout" || fact == "nobody", "{fact}");
                ("unknown fact", rule.as_str())
            }
            RuleFault::Fails { rule, .. } => ("fails", rule.as_str()),
            RuleFault::NotACondition { rule, gives, .. } => {
                assert_eq!(gives, "int");
                ("no condition", rule.as_str())
            }
            RuleFault::NoWord { list, .. } => ("no word", list.as_str()),
            other => panic!("{other:?}"),
        })
        .collect();
    let expected = [
        ("name twice", "twice"),
        ("syntax", "syntax"),
        ("unknown fact", "fact"),
        ("unknown fact", "hidden fact"),
        ("fails", "types"),
        ("fails", "function"),
        ("no condition", "number"),
        ("too big", "deep"),
        ("too big", "long"),
        ("no word", "nothing"),
        ("no word", "empty"),
    ];
    assert_eq!(told, expected);
}

#[test]
fn the_deepest_rule_that_is_taken_is_read_and_applied() {
    let deep = format!("{}amount > 1{}", "(".repeat(24), ")".repeat(24));
    let rules = RuleSet::new("deep").rule("deep", deep, Consequence::Tier(1));
    assert_eq!(said(&RuleScorer::new([rules.clone()]).unwrap(), asked(&rules)).unwrap().0, 1);
}

#[test]
fn rules_that_are_not_loaded_score_nothing() {
    let scorer = RuleScorer::new([set()]).unwrap();
    let other = RuleSet::new("of another day").rule("all", "true", Consequence::Refuse);
    match run(answer(&scorer, asked(&other))) {
        Reply::Declined(ScoreRefused { why }) => assert!(why.contains(&other.id()), "{why}"),
        answer => panic!("{answer:?}"),
    }
}

/// A model that says what it is told to say.
#[derive(Debug)]
struct Model(fn() -> Answer);

#[async_trait]
impl RiskScorer for Model {
    async fn score(&self, _: Score, _: &Ticket) -> Answer {
        (self.0)()
    }
}

#[test]
fn rules_hear_the_model_and_a_model_that_fails_lets_nothing_pass() {
    let rules = RuleSet::new("s")
        .rule("risky", "score > 50 && history.orders_paid < 10", Consequence::Tier(2))
        .rule("arms", "category == 'weapons'", Consequence::Refuse);
    let with = |answer| RuleScorer::new([rules.clone()]).unwrap().beside(Arc::new(Model(answer)));
    let high = || {
        let history = BTreeMap::from([("orders_paid".to_owned(), 3)]);
        Reply::Done(Scored { history, ..Scored::of(80).because("new card") }.into())
    };
    match run(answer(&with(high), asked(&rules))) {
        Reply::Done(done::Score::Scored(s)) => {
            assert_eq!((s.score, s.tier, s.rules), (80, 2, rules.id()));
            assert_eq!(s.reasons, ["new card", "rule risky"]);
            assert_eq!(s.history["orders_paid"], 3, "what the model knows counts before what the order says");
        }
        other => panic!("{other:?}"),
    }
    let fails: [fn() -> Answer; 4] = [
        || Reply::Unknown("timeout".into()),
        || Reply::NotSent("refused".into()),
        || Reply::Declined(ScoreRefused { why: "no".into() }),
        || Reply::Later(std::time::Duration::from_secs(1)),
    ];
    for fail in fails {
        let scorer = with(fail);
        let said = run(answer(&scorer, asked(&rules)));
        assert!(!matches!(said, Reply::Done(_)), "{said:?}");
        // A rule that needs no model refuses all the same.
        let said = run(answer(&scorer, Score { category: "weapons".into(), ..asked(&rules) }));
        assert_eq!(said, Reply::Done(done::Score::Banned(Banned { rule: "arms".into() })));
    }
}

fn policy(rules: &RuleSet) -> Physical {
    let mut policy = Physical::default();
    policy.payment.funds = FundsPolicy::OnDelivery;
    policy.review.tiers = TierPolicy::by_amount(&[]);
    policy.review.rules = rules.clone();
    policy.review.seen = Seen { texts: vec!["title".into()], ..Seen::default() };
    policy
}

async fn judged(shop: &Shop, id: &str, title: &str) -> String {
    let mut order = draft(id, &[5_000], &[("cash", 5_000)]);
    order.attributes = BTreeMap::from([("title".to_owned(), title.to_owned())]);
    shop.place(order).await.unwrap();
    shop.pass(DAY / 24).await;
    match shop.order(id).await.state::<case::M>(1).unwrap() {
        case::State::AutoApproved(_) => "let pass".to_owned(),
        case::State::Queued(s) => format!("tier {}: {}", s.file.tier, s.file.reasons.join(", ")),
        case::State::AutoRejected(s) => s.file.reasons.join(", "),
        other => panic!("{other:?}"),
    }
}

/// M4, through the engine: banned words go to people, forbidden ones are refused, and rules that were not applied, or a
/// scorer that does not answer, let nothing pass.
#[test]
fn m4_rules_are_applied_to_orders_and_what_was_not_judged_waits_for_a_person() {
    run(async {
        let rules = RuleSet::new("ads").words("casino", ["casino"], Consequence::Tier(1)).words(
            "arms",
            ["rifle"],
            Consequence::Refuse,
        );
        let world = World::new(Disk::memory(), policy(&rules));
        let morning = Timestamp::from_millis(0);
        let scorer = Arc::new(RuleScorer::new([rules.clone()]).unwrap());
        let shop = world.open_with(morning, world.wiring().scorer(scorer)).await;
        assert_eq!(judged(&shop, "o-1", "Good boots").await, "let pass");
        assert_eq!(
            judged(&shop, "o-2", "The CASINO is open").await,
            "tier 1: rule casino: `casino` in title"
        );
        assert_eq!(judged(&shop, "o-3", "A rifle for you").await, "rule arms");
        // A model alone knows nothing of the rules.
        let world = World::new(Disk::memory(), policy(&rules));
        let shop = world.open(morning).await;
        assert_eq!(judged(&shop, "o-4", "Good boots").await, "tier 1: the rules were not applied");
        // Nor does a scorer that loaded other rules, or one that does not answer.
        let world = World::new(Disk::memory(), policy(&rules));
        let other = Arc::new(RuleScorer::new([set()]).unwrap());
        let shop = world.open_with(morning, world.wiring().scorer(other)).await;
        assert!(judged(&shop, "o-5", "Good boots").await.starts_with("tier 1: no score: the rules"));
        let silent = Arc::new(
            RuleScorer::new([rules.clone()])
                .unwrap()
                .beside(Arc::new(Model(|| Reply::Unknown("timeout".into())))),
        );
        let world = World::new(Disk::memory(), policy(&rules));
        let shop = world.open_with(morning, world.wiring().scorer(silent)).await;
        let judged = judged(&shop, "o-6", "Good boots").await;
        assert!(judged.starts_with("tier 1: no score"), "{judged}");
    });
}
