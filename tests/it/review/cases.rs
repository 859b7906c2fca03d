//! One case among several people and clocks.

use consign::id::Actor;
use consign::machine::Call;
use consign::order::{Draft, Order};
use consign::pipeline::{Physical, Refused};
use consign::stage::review::{
    Approve, Claim, Escalate, Expedite, File, HandBack, OutcomeLabel, Snooze, SupplyInfo, Tier, TierPolicy,
    WaitsFor, case,
};

use crate::rows::{amend, payment, review};
use crate::support::shop::{Shop, agent, carla, order_of};

const MINUTE: u64 = 60_000;
const HOUR: u64 = 60 * MINUTE;

fn file(s: &Shop) -> &File {
    s.pipeline.state::<case::M>(&s.order, 1).unwrap().file()
}
fn state(s: &Shop) -> &'static str {
    s.state("review.case", 1)
}
fn claim_with(skills: &[&str]) -> Call {
    case::M::command(1, Claim { skills: skills.iter().map(|s| (*s).to_owned()).collect() })
}
fn expedite() -> Call {
    case::M::command(1, Expedite)
}

/// Why somebody is refused.
fn refused(s: &mut Shop, by: &Actor, call: Call) -> &'static str {
    match s.tries_as(by, call) {
        Err(Refused::Refused { code, .. }) => code,
        Err(Refused::NoRow { .. }) => "no row",
        other => panic!("{other:?}\n{}", s.show()),
    }
}

/// A paid order with attributes, whose score is known.
fn with(policy: Physical, attributes: &[(&str, &str)], score: u8) -> Shop {
    let mut draft = Draft::from(order_of(5000));
    draft.attributes = attributes.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
    let mut s = Shop::place(policy, Order::parse(draft).unwrap());
    s.asks(payment::start(1));
    s.done("Charge", payment::paid(5000));
    s.done("Score", review::scored(score));
    s
}

#[test]
fn a_reviewer_without_the_skill_cannot_claim_nor_decide_without_a_claim() {
    let mut policy = Physical::default();
    policy.review.industry_skills.insert("gambling".into(), vec!["gambling".into()]);
    policy.review.tiers.tiers = vec![
        Tier { approvals: 2, skills: vec!["fraud".into()], ..Tier::default() },
        Tier { approvals: 2, skills: vec!["senior".into()], ..Tier::default() },
    ];
    let mut s = with(policy, &[("industry", "gambling")], 50);
    let bob = agent("bob");
    assert_eq!(refused(&mut s, &bob, review::claim()), "unskilled");
    assert_eq!(refused(&mut s, &bob, claim_with(&["fraud"])), "unskilled");
    assert_eq!(refused(&mut s, &bob, claim_with(&["gambling", "senior"])), "unskilled");
    s.asks_as(&bob, claim_with(&["gambling", "fraud", "german"]));
    s.asks_as(&bob, review::approve(1));
    assert_eq!(state(&s), "PendingSecond");
    let anna = agent("anna");
    assert_eq!(refused(&mut s, &anna, review::approve(0)), "unskilled", "the claim shows the skill");
    assert_eq!(refused(&mut s, &anna, review::reject(0)), "unskilled");
    s.due("review.case", 1, "SlaDue");
    assert_eq!(refused(&mut s, &anna, claim_with(&["gambling", "fraud"])), "unskilled", "one tier up");
    s.asks_as(&anna, claim_with(&["gambling", "senior"]));
    s.asks_as(&anna, review::approve(2));
    assert_eq!(state(&s), "Approved");
}

#[test]
fn a_customer_is_no_reviewer() {
    let mut s = review::reach("Queued");
    let other = Actor::customer("otto").unwrap();
    assert_eq!(refused(&mut s, &other, review::claim()), "not_a_reviewer");
    let mut s = review::reach("PendingSecond");
    assert_eq!(refused(&mut s, &other, review::approve(0)), "not_a_reviewer");
}

/// B1. Before, the shop's host and the library's own hand were two people, and let an order of two approvals leave.
#[test]
fn b01_machines_and_strangers_approve_nothing_and_nobody_is_two_people() {
    let host = Actor::host("shop").unwrap();
    for machine in [&host, &Actor::system()] {
        let mut s = with(Physical::default(), &[], 50);
        s.asks_as(machine, review::claim());
        assert_eq!(refused(&mut s, machine, review::approve(1)), "not_a_reviewer", "{machine}");
    }
    let mut s = review::reach("PendingSecond");
    for nobody in [&host, &Actor::system(), &Actor::customer("dora").unwrap()] {
        assert_eq!(refused(&mut s, nobody, review::approve(0)), "not_a_reviewer", "{nobody}");
    }
    for bob in ["bob\u{200b}", "\u{ff42}ob", " bob", "b\u{ad}ob\u{fe0f}"] {
        assert_eq!(refused(&mut s, &agent(bob), review::approve(0)), "four_eyes", "{bob:?}");
    }
    s.asks_as(&agent("dora"), review::approve(0));
    assert_eq!(state(&s), "Approved");
    let mut policy = Physical::default();
    policy.review.second_look_per_mille = 1000;
    let mut s = review::reach_under(policy, "Approved");
    for nobody in [&host, &Actor::system(), &Actor::customer("dora").unwrap()] {
        assert_eq!(refused(&mut s, nobody, review::second_look(true)), "not_a_reviewer", "{nobody}");
    }
    assert_eq!(refused(&mut s, &agent("bob\u{200d}"), review::second_look(true)), "four_eyes");
}

/// B3: the lease decides by its instant, though nobody has heard its timer.
#[test]
fn b03_a_lapsed_lease_decides_nothing_before_its_timer_is_heard() {
    let bob = agent("bob");
    let asks = [
        review::approve(1),
        review::reject(1),
        review::request_info(),
        case::M::command(1, HandBack { token: 1 }),
        case::M::command(1, Escalate { reason: "odd".to_owned() }),
        case::M::command(1, Snooze { token: 1, for_ms: MINUTE }),
    ];
    for ask in asks {
        let mut s = review::reach("Claimed");
        s.pass(15 * MINUTE);
        assert_eq!(refused(&mut s, &bob, ask.clone()), "lapsed_lease");
        let mut s = review::reach("Claimed");
        s.pass(14 * MINUTE);
        s.asks_as(&bob, ask);
    }
}

#[test]
fn the_clock_stands_still_while_the_customer_is_asked_and_runs_on_while_a_case_is_put_off() {
    let mut s = review::reach("Claimed");
    let due = file(&s).due_at;
    s.asks_as(&agent("bob"), review::request_info());
    let left = due.since(s.now);
    s.pass(48 * HOUR);
    s.asks_as(&carla(), case::M::command(1, SupplyInfo { answer: "my sister".into() }));
    assert_eq!(file(&s).due_at.since(s.now), left, "what was left then is left now");
    assert_eq!(file(&s).preferred, Some(agent("bob")), "who asked had best go on with it");
    assert_eq!(file(&s).tier, 1);

    let mut s = review::reach("Claimed");
    let due = file(&s).due_at;
    s.asks_as(&agent("bob"), case::M::command(1, Snooze { token: 1, for_ms: HOUR }));
    s.due("review.case", 1, "WakeDue");
    assert_eq!(file(&s).due_at, due, "nobody is given time by putting it off");
}

#[test]
fn m10_a_case_at_risk_goes_one_tier_up_once() {
    let mut s = review::reach("Queued");
    let due = file(&s).due_at;
    assert_eq!(file(&s).tier, 1);
    let at_risk = s.pipeline.instants(&s.order, "review.case", 1)[0].1;
    let all = Physical::default().review.sla_ms;
    assert_eq!(due.since(at_risk).as_millis(), u128::from(all / 5), "at 80 % of its time");
    s.due("review.case", 1, "SlaDue");
    assert_eq!((state(&s), file(&s).tier, file(&s).at_risk), ("Escalated", 2, true));
    // Whatever happens to it until its time is over, it does not go up again.
    s.asks_as(&agent("bob"), review::claim());
    s.due("review.case", 1, "LeaseDue");
    assert_eq!((state(&s), file(&s).tier), ("Queued", 2));
    let next = s.pipeline.instants(&s.order, "review.case", 1);
    assert_eq!(next, [("SlaDue", due)], "the next word of the clock is the last");
    s.due("review.case", 1, "SlaDue");
    assert_eq!(file(&s).tier, 2);
    assert!(!file(&s).at_risk && file(&s).due_at > s.now, "late, and its time begins anew");
    let late = file(&s).reasons.iter().filter(|r| r.contains("decided late")).count();
    assert_eq!(late, 2, "at risk, then late: {:?}", file(&s).reasons);
}

#[test]
fn a_case_at_risk_stays_with_who_holds_it_and_waits_one_tier_up_afterwards() {
    let mut policy = Physical::default();
    policy.review.lease_ms = 24 * HOUR;
    let mut s = review::reach_under(policy, "Claimed");
    s.due("review.case", 1, "SlaDue");
    assert_eq!((state(&s), file(&s).tier), ("Claimed", 2));
    s.due("review.case", 1, "LeaseDue");
    assert_eq!((state(&s), file(&s).tier), ("Queued", 2));
}

#[test]
fn a_case_is_expedited_within_its_tier_only_and_not_too_often() {
    let mut s = review::reach("Queued");
    let (due, tier, needed) = (file(&s).due_at, file(&s).tier, file(&s).approvals_needed);
    s.asks_as(&carla(), expedite());
    assert_eq!(refused(&mut s, &carla(), expedite()), "expedited_lately");
    assert_eq!(refused(&mut s, &agent("anna"), expedite()), "expedited_lately");
    s.pass(HOUR);
    s.asks_as(&agent("anna"), expedite());
    s.pass(HOUR);
    s.asks_as(&carla(), expedite());
    s.pass(HOUR);
    assert_eq!(refused(&mut s, &carla(), expedite()), "expedited_enough");
    assert_eq!(file(&s).priority, 3);
    assert_eq!((file(&s).due_at, file(&s).tier, file(&s).approvals_needed), (due, tier, needed));
    let said: Vec<&str> = file(&s).reasons.iter().map(String::as_str).collect();
    let by = ["expedited by customer:carla", "expedited by agent:anna", "expedited by customer:carla"];
    assert_eq!(said[said.len() - 3..], by, "it is on file who pressed");
    assert_eq!(state(&s), "Queued");
}

#[test]
fn an_appeal_goes_one_tier_up_and_to_somebody_else_while_the_order_waits() {
    let mut policy = review::appeals();
    policy.review.tiers.tiers.push(Tier { approvals: 1, ..Tier::default() });
    let mut s = review::reach_under(policy, "Claimed");
    let (bob, anna, customer) = (agent("bob"), agent("anna"), carla());
    s.asks_as(&bob, review::reject(1));
    assert_eq!((state(&s), s.life()), ("Appealable", "Placed"));
    assert_eq!(s.balances(), "psp:card 5000, cust -5000", "nothing goes back yet");
    assert_eq!(refused(&mut s, &bob, review::appeal()), "four_eyes");
    s.asks_as(&customer, review::appeal());
    assert_eq!((state(&s), file(&s).tier, file(&s).reopened), ("Queued", 2, true));
    assert_eq!(refused(&mut s, &bob, review::claim()), "four_eyes", "not who rejected it");
    assert_eq!(refused(&mut s, &customer, review::claim()), "four_eyes", "nor who appealed");
    s.asks_as(&anna, review::claim());
    s.asks_as(&anna, review::approve(2));
    assert_eq!(state(&s), "Approved");

    // A second rejection is the last: the policy grants one appeal.
    let mut s = review::reach_under(review::appeals(), "Appealable");
    s.asks_as(&carla(), review::appeal());
    s.asks_as(&agent("anna"), review::claim());
    s.asks_as(&agent("anna"), review::reject(2));
    assert_eq!((state(&s), s.life()), ("Rejected", "Cancelling"));
}

#[test]
fn a_rejected_order_is_turned_down_when_nobody_appealed_in_time() {
    let mut s = review::reach("Appealable");
    let instants = s.pipeline.instants(&s.order, "review.case", 1);
    s.due("review.case", 1, "AppealDue");
    assert_eq!(instants, [("AppealDue", s.now.saturating_sub(std::time::Duration::from_millis(1000)))]);
    assert_eq!((state(&s), s.life()), ("Rejected", "Cancelling"));
    assert_eq!(refused(&mut s, &carla(), review::appeal()), "no row", "the time to appeal is over");
}

#[test]
fn an_approval_is_of_what_the_order_said_then() {
    let less = || amend::amend_to(&[("shop", 4000)], &[("card", 4000)]);
    let mut policy = Physical::default();
    policy.review.scorer = false;
    policy.review.tiers = TierPolicy::by_amount(&[(0, 2)]);
    let mut s = payment::reach_under(policy, "Sending");
    s.done("Charge", payment::paid(5000));
    let (anna, bob, dora) = (agent("anna"), agent("bob"), agent("dora"));
    s.asks_as(&bob, review::claim());
    s.asks_as(&bob, review::approve(1));
    // One approved; then the order is another.
    s.asks_as(&anna, less());
    assert_eq!((state(&s), file(&s).approved_by.len()), ("Queued", 0));
    assert_eq!(refused(&mut s, &anna, review::claim()), "four_eyes", "who amended it has asked for it");
    s.asks_as(&dora, review::claim());
    assert_eq!(refused(&mut s, &bob, review::approve(1)), "stale_lease");
    s.asks_as(&dora, review::approve(2));
    assert_eq!(state(&s), "PendingSecond", "the approval of the old order does not count");
    s.asks_as(&bob, review::approve(0));
    assert_eq!(state(&s), "Approved");
    assert!(s.order.proofs().contains(&"approved.dispatch"));
    // An edit after the decision shuts the gates in the commit that makes it.
    s.asks_as(&agent("sue"), amend::amend_to(&[("shop", 3000)], &[("card", 3000)]));
    assert!(!s.order.proofs().contains(&"approved.dispatch"), "{}", s.show());
    assert_eq!(state(&s), "Queued");
}

#[test]
fn who_did_work_that_bars_may_hold_a_case_and_not_approve_it() {
    let mut policy = Physical::default();
    policy.review.barring_work = vec!["offer".into()];
    let mut s = review::reach_under(policy, "Queued");
    let (bob, anna) = (agent("bob"), agent("anna"));
    s.asks_as(&bob, review::contribute("offer"));
    s.asks_as(&anna, review::contribute("call"));
    s.asks_as(&bob, review::claim());
    assert_eq!(refused(&mut s, &bob, review::approve(1)), "four_eyes");
    s.asks_as(&bob, case::M::command(1, HandBack { token: 1 }));
    s.asks_as(&anna, review::claim());
    s.asks_as(&anna, review::approve(2));
    assert_eq!(state(&s), "Approved");
    // Without such a policy the same person may.
    let mut s = review::reach("Queued");
    s.asks_as(&bob, review::contribute("offer"));
    s.asks_as(&bob, review::claim());
    s.asks_as(&bob, review::approve(1));
    assert_eq!(state(&s), "Approved");
}

#[test]
fn a_decision_is_looked_at_a_second_time_by_somebody_else_and_labelled_when_the_truth_is_out() {
    let mut policy = Physical::default();
    policy.review.second_look_per_mille = 1000;
    let mut s = review::reach_under(policy, "Approved");
    assert!(file(&s).second_look);
    let (bob, anna) = (agent("bob"), agent("anna"));
    assert_eq!(refused(&mut s, &bob, review::second_look(true)), "four_eyes");
    s.asks_as(&anna, review::second_look(false));
    assert_eq!(file(&s).looked.as_ref().map(|l| (l.by.id(), l.agrees)), Some(("anna", false)));
    assert_eq!(refused(&mut s, &agent("dora"), review::second_look(true)), "looked_already");
    s.asks_as(&anna, review::label());
    assert_eq!(file(&s).label, Some(OutcomeLabel::ConfirmedRisk));
    assert_eq!(state(&s), "Approved", "neither changes what was decided");
    assert!(!file(&review::reach("Approved")).second_look);
}

#[test]
fn new_information_scored_well_still_goes_to_a_person() {
    let mut policy = Physical::default();
    policy.review.score_again = true;
    let mut s = review::reach_under(policy, "InfoRequested");
    s.asks_as(&carla(), case::M::command(1, SupplyInfo { answer: "my sister".into() }));
    s.done("Score", review::scored(0));
    assert_eq!((state(&s), file(&s).score), ("Queued", Some(0)));
}

#[test]
fn m4_no_answer_of_the_scorer_lets_anything_pass() {
    let small = || review::reach("Scoring");
    type Way = (&'static str, fn(&mut Shop));
    let ways: [Way; 5] = [
        ("no answer in time", |s| s.due("review.case", 1, "ScoreDue")),
        ("the answer is lost", |s| s.lost("Score")),
        ("it cannot be reached", |s| s.gave_up("Score", false)),
        ("it may have been reached", |s| s.gave_up("Score", true)),
        ("it refuses", |s| s.declined("Score", consign::stage::review::ScoreRefused { why: "no".into() })),
    ];
    for (name, way) in ways {
        let mut s = small();
        way(&mut s);
        assert_eq!((state(&s), file(&s).tier, file(&s).approvals_needed), ("Queued", 1, 1), "{name}");
        assert!(!s.order.proofs().contains(&"approved.dispatch"), "{name}");
        assert!(!s.order.proofs().contains(&"approved.capture"), "{name}");
    }
    // A good answer that comes after the time is over changes nothing.
    let mut s = small();
    s.due("review.case", 1, "ScoreDue");
    s.done("Score", review::scored(0));
    assert_eq!(state(&s), "Queued");
    let by_policy = Physical {
        review: consign::stage::review::ReviewPolicy { unscored_tier: 0, ..Default::default() },
        ..Physical::default()
    };
    let mut s = review::reach_under(by_policy, "Scoring");
    s.lost("Score");
    assert_eq!((state(&s), file(&s).tier), ("Queued", 1), "nor does a policy that asks for nobody");
}

#[test]
fn an_answer_about_the_order_as_it_was_lets_nothing_pass_after_an_edit() {
    let mut s = review::reach("Scoring");
    s.asks_as(&agent("sue"), amend::amend_to(&[("shop", 4000)], &[("card", 4000)]));
    s.done("Score", review::scored(0));
    assert_eq!(state(&s), "Queued");
}

#[test]
fn an_escalated_case_is_decided_by_others_and_not_by_more() {
    let mut s = review::reach("Queued");
    s.asks(case::M::command(1, Escalate { reason: "odd".into() }));
    assert_eq!((file(&s).tier, file(&s).approvals_needed), (2, 1));
    s.asks_as(&agent("bob"), review::claim());
    s.asks_as(&agent("bob"), case::M::command(1, Approve { token: 1 }));
    assert_eq!(state(&s), "Approved");
}

#[test]
fn m28_whoever_asks_is_told_what_a_case_waits_for() {
    let of = |state: &str| {
        let s = review::reach(state);
        WaitsFor::of(s.pipeline.state::<case::M>(&s.order, 1).unwrap())
    };
    assert_eq!(of("Queued"), Some(WaitsFor::QueueDepth));
    assert_eq!(of("Claimed"), Some(WaitsFor::QueueDepth));
    assert_eq!(of("Snoozed"), Some(WaitsFor::QueueDepth));
    assert_eq!(of("InfoRequested"), Some(WaitsFor::InfoIncomplete));
    assert_eq!(of("PendingSecond"), Some(WaitsFor::Complexity));
    assert_eq!(of("Escalated"), Some(WaitsFor::Complexity));
    assert_eq!(of("Appealable"), Some(WaitsFor::Appeal));
    for ended in ["AutoApproved", "AutoRejected", "Approved", "Rejected", "Withdrawn"] {
        assert_eq!(of(ended), None, "{ended}");
    }
    let mut s = review::reach("Appealable");
    s.asks_as(&carla(), review::appeal());
    let state = s.pipeline.state::<case::M>(&s.order, 1).unwrap();
    assert_eq!(WaitsFor::of(state), Some(WaitsFor::Appeal));
}
