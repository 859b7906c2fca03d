//! The rows of a review case.

use consign::machine::Call;
use consign::pipeline::Physical;
use consign::stage::review::{
    Approve, Banned, Claim, Escalate, Expedite, HandBack, OnLapse, Reject, RequestInfo, RiskNotice, Score,
    ScoreRefused, Scored, Snooze, SupplyInfo, case as review_case,
};

use super::{Case, case, each, lifecycle, payment};
use crate::support::shop::{Shop, agent, order_of};

pub(crate) fn scored(score: u8) -> Scored {
    let reasons = if score < 40 { Vec::new() } else { vec!["new card".to_owned()] };
    Scored { score, reasons }
}
pub(crate) fn claim() -> Call {
    review_case::M::command(1, Claim)
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

/// An order of 50.00, charged, whose case is in this state, with nothing held. Bob holds what is claimed; a second
/// approval is needed where one is pending.
pub(crate) fn reach(state: &str) -> Shop {
    reach_under(Physical::default(), state)
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
        "Rejected" => s.asks_as(&bob, reject(1)),
        _ => {}
    }
    assert_eq!(s.state("review.case", 1), state, "{}", s.show());
    s
}

const WAITING: &[&str] = &["Queued", "Escalated", "PendingSecond"];
const OPEN: &[&str] = &["Queued", "Escalated", "PendingSecond", "Claimed", "InfoRequested", "Snoozed"];
const LIVE: &[&str] =
    &["Scoring", "Queued", "Escalated", "PendingSecond", "Claimed", "InfoRequested", "Snoozed"];

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
            wants Reserve 1 #1 units=1xfrom-shop
        ",
        ),
        case(
            "review begins with people",
            || {
                let mut policy = Physical::default();
                policy.review.scorer = false;
                policy.review.tiers = vec![consign::stage::review::Tier { above_minor: 0, approvals: 1 }];
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
            wants Reserve 1 #1 units=1xfrom-shop
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
            wants Reserve 1 #1 units=1xfrom-shop
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
            wants Reserve 1 #1 units=1xfrom-shop
        ",
        ),
        case(
            "the second of three reviewers lets it pass",
            || {
                let mut policy = Physical::default();
                policy.review.tiers = vec![consign::stage::review::Tier { above_minor: 0, approvals: 3 }];
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
    ];
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
