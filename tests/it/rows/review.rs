//! The rows of a review case.

use consign::machine::Call;
use consign::pipeline::Physical;
use consign::stage::dispatch::InStock;
use consign::stage::review::{
    Appeal, Approve, Banned, Claim, Consequence, Contribute, Escalate, Expedite, HandBack, Label, OnLapse,
    OutcomeLabel, Reject, RequestInfo, RiskNotice, Score, ScoreRefused, Scored, SecondLook, Snooze,
    SupplyInfo, TierPolicy, TierRule, case as review_case,
};

use super::amend::amend_to;
use super::{Case, case, dispatch, each, lifecycle, payment};
use crate::support::shop::{Shop, agent, carla, order_of};

pub(crate) fn scored(score: u8) -> Scored {
    if score < 40 { Scored::of(score) } else { Scored::of(score).because("new card") }
}
pub(crate) fn claim() -> Call {
    review_case::M::command(1, Claim::default())
}
pub(crate) fn approve(token: u32) -> Call {
    review_case::M::command(1, Approve { token })
}
pub(crate) fn reject(token: u32) -> Call {
    review_case::M::command(1, Reject { token, reason: "stolen card".to_owned() })
}
pub(crate) fn notice() -> Call {
    review_case::M::evidence(1, RiskNotice { notice: "tc40-1".to_owned() })
}
pub(crate) fn request_info() -> Call {
    review_case::M::command(1, RequestInfo { token: 1, question: "who pays?".to_owned() })
}

pub(crate) fn appeal() -> Call {
    review_case::M::command(1, Appeal { reason: "it was me".to_owned() })
}
pub(crate) fn contribute(work: &str) -> Call {
    review_case::M::command(1, Contribute { work: work.to_owned() })
}
pub(crate) fn second_look(agrees: bool) -> Call {
    review_case::M::command(1, SecondLook { agrees, note: "same card as last week".to_owned() })
}
pub(crate) fn label() -> Call {
    let label = OutcomeLabel::ConfirmedRisk;
    review_case::M::command(1, Label { label, note: "chargeback".to_owned() })
}

/// The customer has a day to appeal.
pub(crate) fn appeals() -> Physical {
    let mut policy = Physical::default();
    policy.review.appeal_ms = 24 * 3_600_000;
    policy
}

/// Paid, and held by a person: what is refused may be appealed.
fn claimed_where_appeals_are() -> Shop {
    reach_under(appeals(), "Claimed")
}

/// An order of 50.00, charged, whose case is in this state, with nothing held. Bob holds what is claimed; a second
/// approval is needed where one is pending.
pub(crate) fn reach(state: &str) -> Shop {
    reach_under(if state == "Appealable" { appeals() } else { Physical::default() }, state)
}

pub(crate) fn reach_under(policy: Physical, state: &str) -> Shop {
    let mut s = Shop::place(policy, order_of(5000));
    if state == "New" {
        return s;
    }
    s.asks(payment::start(1));
    s.done("Charge", payment::paid(5000));
    let bob = agent("bob");
    match state {
        "Scoring" => {}
        "AutoApproved" => s.done("Score", scored(3)),
        "AutoRejected" => s.done("Score", Banned { rule: "sanctions".to_owned() }),
        "PendingSecond" => s.done("Score", scored(80)),
        _ => s.done("Score", scored(50)),
    }
    match state {
        "Scoring" | "AutoApproved" | "AutoRejected" | "Queued" => {}
        "Escalated" => s.asks(review_case::M::command(1, Escalate { reason: "odd".to_owned() })),
        "Withdrawn" => s.asks(lifecycle::cancel()),
        _ => s.asks_as(&bob, claim()),
    }
    match state {
        "PendingSecond" | "Approved" => s.asks_as(&bob, approve(1)),
        "InfoRequested" => s.asks_as(&bob, request_info()),
        "Snoozed" => s.asks_as(&bob, review_case::M::command(1, Snooze { token: 1, for_ms: 60_000 })),
        "Rejected" | "Appealable" => s.asks_as(&bob, reject(1)),
        _ => {}
    }
    assert_eq!(s.state("review.case", 1), state, "{}", s.show());
    s
}

const WAITING: &[&str] = &["Queued", "Escalated", "PendingSecond"];
const OPEN: &[&str] = &["Queued", "Escalated", "PendingSecond", "Claimed", "InfoRequested", "Snoozed"];
const LIVE: &[&str] =
    &["Scoring", "Queued", "Escalated", "PendingSecond", "Claimed", "InfoRequested", "Snoozed", "Appealable"];
const ENDED: &[&str] = &["AutoApproved", "Approved", "AutoRejected", "Rejected", "Withdrawn"];

/// A rule of the policy that refuses without asking anyone.
fn refuses_dear_orders() -> Physical {
    let mut policy = Physical::default();
    let rule = TierRule { over_minor: Some(4999), ..TierRule::new("too dear", Consequence::Refuse) };
    policy.review.tiers = TierPolicy::default().rule(rule);
    policy
}

/// A rule of the policy that refuses by the score.
fn refuses_high_scores() -> Physical {
    let mut policy = Physical::default();
    let rule = TierRule { score_from: Some(90), ..TierRule::new("score 90", Consequence::Refuse) };
    policy.review.tiers = TierPolicy::default().rule(rule);
    policy
}

fn amend(s: &mut Shop) {
    s.asks(amend_to(&[("shop", 4000)], &[("card", 4000)]));
}

/// No scorer is asked: without one, the fast lane takes what people do not.
fn unscored(state: &str) -> Shop {
    let mut policy = Physical::default();
    policy.review.scorer = false;
    if state != "AutoApproved" {
        policy.review.tiers = TierPolicy::by_amount(&[(0, 1)]);
    }
    let mut s = payment::reach_under(policy, "Sending");
    s.done("Charge", payment::paid(5000));
    if state == "Approved" {
        bob(&mut s, claim());
        bob(&mut s, approve(1));
    }
    assert_eq!(s.state("review.case", 1), state, "{}", s.show());
    s
}

/// Let pass, and the only parcel is with the carrier.
fn sent_out(state: &str) -> Shop {
    let mut s = reach(state);
    s.done("Reserve", InStock);
    s.asks(dispatch::pack());
    s.asks(dispatch::hand_over(1));
    s
}

fn bob(s: &mut Shop, call: Call) {
    s.asks_as(&agent("bob"), call);
}

pub(super) fn cases() -> Vec<Case> {
    let bare = || {
        let mut policy = Physical::default();
        policy.review.scorer = false;
        policy
    };
    let mut all = vec![
        case(
            "review begins with a score",
            || payment::reach_under(Physical::default(), "Sending"),
            |s| s.done("Charge", payment::paid(5000)),
            "
            payment.attempt 1: Sending + Paid -> Captured
            review.case 1: New + Enter -> Scoring
            posts P3 card 5000
            wants Score 1 #0 total=50.00 EUR
        ",
        ),
        case(
            "review begins in the fast lane",
            move || payment::reach_under(bare(), "Sending"),
            |s| s.done("Charge", payment::paid(5000)),
            "
            payment.attempt 1: Sending + Paid -> Captured
            review.case 1: New + Enter -> AutoApproved
            dispatch.parcel 1: New + GatesOpen -> Reserving
            posts P3 card 5000
            wants Reserve 1 #1 asked=1 units=1xfrom-shop
        ",
        ),
        case(
            "review begins with people",
            || {
                let mut policy = Physical::default();
                policy.review.scorer = false;
                policy.review.tiers = TierPolicy::by_amount(&[(0, 1)]);
                payment::reach_under(policy, "Sending")
            },
            |s| s.done("Charge", payment::paid(5000)),
            "
            payment.attempt 1: Sending + Paid -> Captured
            review.case 1: New + Enter -> Queued
            posts P3 card 5000
        ",
        ),
        case(
            "a low score lets it pass",
            || reach("Scoring"),
            |s| s.done("Score", scored(3)),
            "
            review.case 1: Scoring + Scored -> AutoApproved
            dispatch.parcel 1: New + GatesOpen -> Reserving
            wants Reserve 1 #1 asked=1 units=1xfrom-shop
        ",
        ),
        case(
            "a middling score brings it to a person",
            || reach("Scoring"),
            |s| s.done("Score", scored(50)),
            "
            review.case 1: Scoring + Scored -> Queued
        ",
        ),
        case(
            "a rule forbids it",
            || reach("Scoring"),
            |s| s.done("Score", Banned { rule: "sanctions".to_owned() }),
            "
            review.case 1: Scoring + Banned -> AutoRejected
            order.life 1: Placed + TurnedDown -> Cancelling
            payment.attempt 1: Captured + GiveBack -> Captured
            refund 1: New + Begin -> Sending
            posts P9 card cust 5000
            wants SendBack 1 #0 amount=50.00 EUR attempt=1 channel=card reference=r1
        ",
        ),
        case(
            "the scorer refuses",
            || reach("Scoring"),
            |s| s.declined("Score", ScoreRefused { why: "no country".to_owned() }),
            "
            review.case 1: Scoring + ScoreRefused -> Queued
        ",
        ),
        case(
            "the score is lost",
            || reach("Scoring"),
            |s| s.lost("Score"),
            "
            review.case 1: Scoring + ScoreLost -> Queued
        ",
        ),
        case(
            "the scorer cannot be reached",
            || reach("Scoring"),
            |s| s.gave_up("Score", false),
            "
            review.case 1: Scoring + ScoreGaveUp -> Queued
        ",
        ),
        case(
            "the score does not come in time",
            || reach("Scoring"),
            |s| s.due("review.case", 1, "ScoreDue"),
            "
            review.case 1: Scoring + ScoreDue -> Queued
        ",
        ),
        case(
            "a reviewer hands a case back",
            || reach("Claimed"),
            |s| bob(s, review_case::M::command(1, HandBack { token: 1 })),
            "
            review.case 1: Claimed + HandBack -> Queued
        ",
        ),
        case(
            "a reviewer's time runs out",
            || reach("Claimed"),
            |s| s.due("review.case", 1, "LeaseDue"),
            "
            review.case 1: Claimed + LeaseDue -> Queued
        ",
        ),
        case(
            "a reviewer lets it pass",
            || reach("Claimed"),
            |s| bob(s, approve(1)),
            "
            review.case 1: Claimed + Approve -> Approved
            dispatch.parcel 1: New + GatesOpen -> Reserving
            wants Reserve 1 #1 asked=1 units=1xfrom-shop
        ",
        ),
        case(
            "a reviewer lets it pass, and another must",
            || {
                let mut s = reach("Scoring");
                s.done("Score", scored(80));
                bob(&mut s, claim());
                s
            },
            |s| bob(s, approve(1)),
            "
            review.case 1: Claimed + Approve -> PendingSecond
        ",
        ),
        case(
            "a reviewer turns it down",
            || reach("Claimed"),
            |s| bob(s, reject(1)),
            "
            review.case 1: Claimed + Reject -> Rejected
            order.life 1: Placed + TurnedDown -> Cancelling
            payment.attempt 1: Captured + GiveBack -> Captured
            refund 1: New + Begin -> Sending
            posts P9 card cust 5000
            wants SendBack 1 #0 amount=50.00 EUR attempt=1 channel=card reference=r1
        ",
        ),
        case(
            "the second reviewer lets it pass",
            || reach("PendingSecond"),
            |s| s.asks(approve(0)),
            "
            review.case 1: PendingSecond + Approve -> Approved
            dispatch.parcel 1: New + GatesOpen -> Reserving
            wants Reserve 1 #1 asked=1 units=1xfrom-shop
        ",
        ),
        case(
            "the second of three reviewers lets it pass",
            || {
                let mut policy = Physical::default();
                policy.review.tiers = TierPolicy::by_amount(&[(0, 3)]);
                reach_under(policy, "PendingSecond")
            },
            |s| s.asks(approve(0)),
            "
            review.case 1: PendingSecond + Approve -> PendingSecond
        ",
        ),
        case(
            "the second reviewer turns it down",
            || reach("PendingSecond"),
            |s| s.asks(reject(0)),
            "
            review.case 1: PendingSecond + Reject -> Rejected
            order.life 1: Placed + TurnedDown -> Cancelling
            payment.attempt 1: Captured + GiveBack -> Captured
            refund 1: New + Begin -> Sending
            posts P9 card cust 5000
            wants SendBack 1 #0 amount=50.00 EUR attempt=1 channel=card reference=r1
        ",
        ),
        case(
            "a reviewer asks the customer",
            || reach("Claimed"),
            |s| bob(s, request_info()),
            "
            review.case 1: Claimed + RequestInfo -> InfoRequested
        ",
        ),
        case(
            "the customer answers",
            || reach("InfoRequested"),
            |s| s.asks(review_case::M::command(1, SupplyInfo { answer: "my sister".to_owned() })),
            "
            review.case 1: InfoRequested + SupplyInfo -> Queued
        ",
        ),
        case(
            "the customer does not answer: turned down",
            || reach("InfoRequested"),
            |s| s.due("review.case", 1, "InfoDue"),
            "
            review.case 1: InfoRequested + InfoDue -> Rejected
            order.life 1: Placed + TurnedDown -> Cancelling
            payment.attempt 1: Captured + GiveBack -> Captured
            refund 1: New + Begin -> Sending
            posts P9 card cust 5000
            wants SendBack 1 #0 amount=50.00 EUR attempt=1 channel=card reference=r1
        ",
        ),
        case(
            "the customer does not answer: one tier up",
            || {
                let mut policy = Physical::default();
                policy.review.on_info_lapse = OnLapse::Escalate;
                reach_under(policy, "InfoRequested")
            },
            |s| s.due("review.case", 1, "InfoDue"),
            "
            review.case 1: InfoRequested + InfoDue -> Escalated
        ",
        ),
        case(
            "a reviewer sends it up",
            || reach("Claimed"),
            |s| bob(s, review_case::M::command(1, Escalate { reason: "odd".to_owned() })),
            "
            review.case 1: Claimed + Escalate -> Escalated
        ",
        ),
        case(
            "a waiting case is sent up",
            || reach("Queued"),
            |s| s.asks(review_case::M::command(1, Escalate { reason: "odd".to_owned() })),
            "
            review.case 1: Queued + Escalate -> Escalated
        ",
        ),
        case(
            "a claimed case is late",
            || {
                let mut policy = Physical::default();
                policy.review.sla_ms = 60_000;
                reach_under(policy, "Claimed")
            },
            |s| s.due("review.case", 1, "SlaDue"),
            "
            review.case 1: Claimed + SlaDue -> Claimed
        ",
        ),
        case(
            "a reviewer puts it off",
            || reach("Claimed"),
            |s| bob(s, review_case::M::command(1, Snooze { token: 1, for_ms: 60_000 })),
            "
            review.case 1: Claimed + Snooze -> Snoozed
        ",
        ),
        case(
            "a case that was put off comes back",
            || reach("Snoozed"),
            |s| s.due("review.case", 1, "WakeDue"),
            "
            review.case 1: Snoozed + WakeDue -> Queued
        ",
        ),
        case(
            "a case that was put off is late",
            || {
                let mut policy = Physical::default();
                policy.review.sla_ms = 30_000;
                reach_under(policy, "Snoozed")
            },
            |s| s.due("review.case", 1, "SlaDue"),
            "
            review.case 1: Snoozed + SlaDue -> Escalated
        ",
        ),
        case(
            "risk is told while the score is awaited",
            || reach("Scoring"),
            |s| {
                s.hears(notice());
            },
            "
            review.case 1: Scoring + RiskNotice -> Scoring
        ",
        ),
        case(
            "a rule of the policy refuses before anyone is asked",
            || payment::reach_under(refuses_dear_orders(), "Sending"),
            |s| s.done("Charge", payment::paid(5000)),
            "
            payment.attempt 1: Sending + Paid -> Captured
            review.case 1: New + Enter -> Scoring
            posts P3 card 5000
        ",
        ),
        case(
            "a rule of the policy refuses",
            || {
                let mut s = payment::reach_under(refuses_dear_orders(), "Sending");
                s.done("Charge", payment::paid(5000));
                s
            },
            |s| s.due("review.case", 1, "ScoreDue"),
            "
            review.case 1: Scoring + ScoreDue -> AutoRejected
            order.life 1: Placed + TurnedDown -> Cancelling
            payment.attempt 1: Captured + GiveBack -> Captured
            refund 1: New + Begin -> Sending
            posts P9 card cust 5000
            wants SendBack 1 #0 amount=50.00 EUR attempt=1 channel=card reference=r1
        ",
        ),
        case(
            "a rule of the policy refuses by the score",
            || reach_under(refuses_high_scores(), "Scoring"),
            |s| s.done("Score", scored(95)),
            "
            review.case 1: Scoring + Scored -> AutoRejected
            order.life 1: Placed + TurnedDown -> Cancelling
            payment.attempt 1: Captured + GiveBack -> Captured
            refund 1: New + Begin -> Sending
            posts P9 card cust 5000
            wants SendBack 1 #0 amount=50.00 EUR attempt=1 channel=card reference=r1
        ",
        ),
        case(
            "a reviewer turns it down, and the customer may appeal",
            claimed_where_appeals_are,
            |s| bob(s, reject(1)),
            "
            review.case 1: Claimed + Reject -> Appealable
        ",
        ),
        case(
            "the second reviewer turns it down, and the customer may appeal",
            || reach_under(appeals(), "PendingSecond"),
            |s| s.asks(reject(0)),
            "
            review.case 1: PendingSecond + Reject -> Appealable
        ",
        ),
        case(
            "the customer does not answer, and may appeal",
            || reach_under(appeals(), "InfoRequested"),
            |s| s.due("review.case", 1, "InfoDue"),
            "
            review.case 1: InfoRequested + InfoDue -> Appealable
        ",
        ),
        case(
            "the customer appeals",
            || reach("Appealable"),
            |s| s.asks_as(&carla(), appeal()),
            "
            review.case 1: Appealable + Appeal -> Queued
        ",
        ),
        case(
            "nobody appeals",
            || reach("Appealable"),
            |s| s.due("review.case", 1, "AppealDue"),
            "
            review.case 1: Appealable + AppealDue -> Rejected
            order.life 1: Placed + TurnedDown -> Cancelling
            payment.attempt 1: Captured + GiveBack -> Captured
            refund 1: New + Begin -> Sending
            posts P9 card cust 5000
            wants SendBack 1 #0 amount=50.00 EUR attempt=1 channel=card reference=r1
        ",
        ),
        case(
            "the customer answers, and the score is asked for anew",
            || {
                let mut policy = Physical::default();
                policy.review.score_again = true;
                reach_under(policy, "InfoRequested")
            },
            |s| s.asks(review_case::M::command(1, SupplyInfo { answer: "my sister".to_owned() })),
            "
            review.case 1: InfoRequested + SupplyInfo -> Scoring
            wants Score 1 #1 total=50.00 EUR
        ",
        ),
        case(
            "risk is told while the customer may appeal",
            || reach("Appealable"),
            |s| {
                s.hears(notice());
            },
            "
            review.case 1: Appealable + RiskNotice -> Appealable
        ",
        ),
        case(
            "risk is told of what people let pass, after it has left",
            || sent_out("Approved"),
            |s| {
                s.hears(notice());
            },
            "
            review.case 1: Approved + RiskNotice -> Approved
            holds risk_notice
        ",
        ),
        case(
            "risk is told of what the fast lane let pass, after it has left",
            || sent_out("AutoApproved"),
            |s| {
                s.hears(notice());
            },
            "
            review.case 1: AutoApproved + RiskNotice -> AutoApproved
            holds risk_notice
        ",
        ),
    ];
    let back = "
            order.life 1: Placed + Amend -> Placed
            review.case 1: {from} + Amended -> Scoring
            refund 1: New + Begin -> Sending
            posts P9 card cust 1000
            wants Score 1 #1 total=40.00 EUR
            wants SendBack 1 #0 amount=10.00 EUR attempt=1 channel=card reference=r1
        ";
    all.extend(each("the order is amended under review", reach, OPEN, amend, back));
    all.extend(each("the order is amended while it is scored", reach, &["Scoring"], amend, back));
    all.extend(each(
        "the order is amended after it passed",
        reach,
        &["AutoApproved", "Approved"],
        amend,
        "
            order.life 1: Placed + Amend -> Placed
            review.case 1: {from} + Amended -> Scoring
            dispatch.parcel 1: Reserving + Replan -> Reserving
            refund 1: New + Begin -> Sending
            posts P9 card cust 1000
            wants Score 1 #1 total=40.00 EUR
            wants SendBack 1 #0 amount=10.00 EUR attempt=1 channel=card reference=r1
        ",
    ));
    all.extend([
        case(
            "the order is amended while the customer may appeal",
            || reach("Appealable"),
            amend,
            "
            order.life 1: Placed + Amend -> Placed
            review.case 1: Appealable + Amended -> Queued
            refund 1: New + Begin -> Sending
            posts P9 card cust 1000
            wants SendBack 1 #0 amount=10.00 EUR attempt=1 channel=card reference=r1
        ",
        ),
        case(
            "an amended order stays in the fast lane",
            || unscored("AutoApproved"),
            amend,
            "
            order.life 1: Placed + Amend -> Placed
            review.case 1: AutoApproved + Amended -> AutoApproved
            dispatch.parcel 1: Reserving + Replan -> Reserving
            refund 1: New + Begin -> Sending
            posts P9 card cust 1000
            wants SendBack 1 #0 amount=10.00 EUR attempt=1 channel=card reference=r1
        ",
        ),
        case(
            "people let another order pass than the amended one",
            || unscored("Approved"),
            amend,
            "
            order.life 1: Placed + Amend -> Placed
            review.case 1: Approved + Amended -> Queued
            dispatch.parcel 1: Reserving + Replan -> Reserving
            refund 1: New + Begin -> Sending
            posts P9 card cust 1000
            wants SendBack 1 #0 amount=10.00 EUR attempt=1 channel=card reference=r1
        ",
        ),
        case(
            "people look at the amended order",
            || unscored("Queued"),
            amend,
            "
            order.life 1: Placed + Amend -> Placed
            review.case 1: Queued + Amended -> Queued
            refund 1: New + Begin -> Sending
            posts P9 card cust 1000
            wants SendBack 1 #0 amount=10.00 EUR attempt=1 channel=card reference=r1
        ",
        ),
    ]);
    all.extend(each(
        "somebody works on the order",
        reach,
        LIVE,
        |s| s.asks(contribute("offer")),
        "
            review.case 1: {from} + Contribute -> {from}
        ",
    ));
    all.extend(each(
        "somebody works on the order after the decision",
        reach,
        ENDED,
        |s| s.asks(contribute("offer")),
        "
            review.case 1: {from} + Contribute -> {from}
        ",
    ));
    all.extend(each(
        "somebody looks at the decision a second time",
        reach,
        &["AutoApproved", "Approved", "AutoRejected", "Rejected"],
        |s| s.asks(second_look(true)),
        "
            review.case 1: {from} + SecondLook -> {from}
        ",
    ));
    all.extend(each(
        "the world shows what the decision was worth",
        reach,
        ENDED,
        |s| s.asks(label()),
        "
            review.case 1: {from} + Label -> {from}
        ",
    ));
    all.extend(each(
        "a reviewer claims a case",
        reach,
        WAITING,
        |s| s.asks(claim()),
        "
            review.case 1: {from} + Claim -> Claimed
        ",
    ));
    all.extend(each(
        "a waiting case is late",
        reach,
        WAITING,
        |s| s.due("review.case", 1, "SlaDue"),
        "
            review.case 1: {from} + SlaDue -> Escalated
        ",
    ));
    all.extend(each(
        "the customer presses",
        reach,
        OPEN,
        |s| s.asks(review_case::M::command(1, Expedite)),
        "
            review.case 1: {from} + Expedite -> {from}
        ",
    ));
    all.extend(each(
        "risk is told of an open case",
        reach,
        OPEN,
        |s| {
            s.hears(notice());
        },
        "
            review.case 1: {from} + RiskNotice -> {from}
        ",
    ));
    all.extend(each(
        "risk is told after it passed",
        reach,
        &["AutoApproved", "Approved"],
        |s| {
            s.hears(notice());
        },
        "
            review.case 1: {from} + RiskNotice -> Queued
        ",
    ));
    all.extend(each(
        "the order is cancelled under review",
        reach,
        LIVE,
        |s| s.asks(lifecycle::cancel()),
        "
            order.life 1: Placed + Cancel -> Cancelling
            payment.attempt 1: Captured + GiveBack -> Captured
            review.case 1: {from} + Stop -> Withdrawn
            refund 1: New + Begin -> Sending
            posts P9 card cust 5000
            wants SendBack 1 #0 amount=50.00 EUR attempt=1 channel=card reference=r1
        ",
    ));
    all
}

/// What the scorer is asked.
#[test]
fn the_scorer_is_told_the_total() {
    let s = reach("Scoring");
    let asked = s.pipeline.effect_value(&s.order.wanted[0]).unwrap();
    assert_eq!(asked.downcast_ref::<Score>().unwrap().total, crate::support::shop::eur(5000));
}
