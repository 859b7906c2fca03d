//! The tricky transitions of review, with exact final balances: told plainly, twice over, and with the process ended
//! after each commit.

use consign::machine::Call;
use consign::pipeline::Physical;
use consign::stage::dispatch::{HandOver, Pack, parcel};
use consign::stage::review::{Approve, Claim, Reject, RiskNotice, case};

use crate::engine::journey::{cancel, delivered, start};
use crate::engine::support::{DAY, Disk, HOUR, MINUTE, World, agent, carla, draft};
use crate::engine::tricky::{End, Step, Story};

/// The warehouse packs by hand, and the scorer finds this of the order.
fn world(score: u8) -> impl Fn(Disk) -> World {
    move |disk| {
        let world = World::new(disk, Physical::default());
        world.scorer.score_order("o-1", score);
        world
    }
}

fn claims(who: &str, once: &'static str) -> Step {
    Step::ask(&agent(who), once, case::M::command(1, Claim::default()))
}
fn approve(token: u32) -> Call {
    case::M::command(1, Approve { token })
}
fn reject(token: u32) -> Call {
    case::M::command(1, Reject { token, reason: "stolen card".into() })
}
fn notice() -> Step {
    Step::Hear("tc40", case::M::evidence(1, RiskNotice { notice: "tc40-1".into() }))
}
fn pack() -> Call {
    parcel::M::command(1, Pack)
}

/// An order of 50.00, paid at once, an hour later.
fn paid() -> Vec<Step> {
    vec![Step::Place, Step::ask(&carla(), "pay", start(1)), Step::Pass(HOUR), Step::PayAgain]
}

/// Packed, taken by the carrier and brought home.
fn leaves() -> Vec<Step> {
    vec![
        Step::ask(&agent("wim"), "pack", pack()),
        Step::Pass(MINUTE),
        Step::ask(&agent("wim"), "out", parcel::M::command(1, HandOver)),
        Step::Hear("home", delivered(1)),
        Step::Pass(DAY),
    ]
}

fn told(score: u8, steps: impl IntoIterator<Item = Vec<Step>>) -> End {
    let steps: Vec<Step> = paid().into_iter().chain(steps.into_iter().flatten()).collect();
    let end = Story::new(world(score), draft("o-1", &[5_000], &[("card", 5_000)]), steps).told();
    assert_eq!(end.gateway.duplicate_effects, 0);
    assert_eq!(end.stock_twice, 0);
    end
}

fn state_of(end: &End, place: &str) -> String {
    end.instances.iter().find(|i| i.0 == place).map(|i| i.2.clone()).unwrap_or_default()
}

#[test]
fn t18_review_opened_after_the_capture_shuts_dispatch_and_the_capture_stays() {
    let end = told(
        10,
        [
            vec![notice(), Step::refused(&agent("wim"), "takes no Pack", pack())],
            vec![
                claims("anna", "claim"),
                Step::refused(&agent("wim"), "takes no Pack", pack()),
                Step::ask(&agent("anna"), "approve", approve(1)),
            ],
            leaves(),
        ],
    );
    assert_eq!(end.phase, "completed");
    assert_eq!(end.balances, "psp:card 5000, earned -5000");
    assert_eq!(end.moved, (5_000, 0), "the capture stays, once");
    assert_eq!(end.labels, 1);
    assert_eq!(state_of(&end, "review.case"), "Approved");
}

#[test]
fn t18_review_opened_after_the_capture_that_turns_the_order_down_gives_everything_back() {
    let end = told(
        10,
        [vec![
            notice(),
            claims("anna", "claim"),
            Step::ask(&agent("anna"), "reject", reject(1)),
            Step::Pass(DAY),
        ]],
    );
    assert_eq!(end.phase, "rejected");
    assert_eq!(end.balances, "");
    assert_eq!(end.moved, (5_000, 5_000));
    assert_eq!((end.labels, end.reserved), (0, 0), "nothing left, and the stock is free again");
    assert_eq!(state_of(&end, "review.case"), "Rejected");
}

#[test]
fn t19_an_approval_after_the_cancellation_is_refused() {
    let end = told(
        50,
        [vec![
            claims("anna", "claim"),
            Step::ask(&carla(), "cancel", cancel()),
            Step::refused(&agent("anna"), "takes no Approve", approve(1)),
            Step::refused(&agent("anna"), "takes no Reject", reject(1)),
            Step::Pass(DAY),
            Step::refused(&agent("anna"), "takes no Approve", approve(1)),
        ]],
    );
    assert_eq!(end.phase, "cancelled");
    assert_eq!(end.balances, "");
    assert_eq!(end.moved, (5_000, 5_000));
    assert_eq!(state_of(&end, "review.case"), "Withdrawn");
    assert_eq!(end.accepted.get("Approve"), None);
}

#[test]
fn t20_a_reviewer_whose_lease_lapsed_decides_nothing() {
    let end = told(
        50,
        [
            vec![
                claims("anna", "claim-anna"),
                Step::Pass(16 * MINUTE),
                // Nobody holds it: there is no lease to show a token of.
                Step::refused(&agent("anna"), "takes no Reject", reject(1)),
                claims("bob", "claim-bob"),
                Step::refused(&agent("anna"), "stale_lease", reject(1)),
                Step::refused(&agent("anna"), "stale_lease", approve(2)),
                Step::refused(&agent("bob"), "stale_lease", approve(1)),
                Step::ask(&agent("bob"), "approve", approve(2)),
                Step::refused(&agent("anna"), "takes no Reject", reject(1)),
            ],
            leaves(),
        ],
    );
    assert_eq!(end.phase, "completed");
    assert_eq!(end.balances, "psp:card 5000, earned -5000");
    assert_eq!(end.moved, (5_000, 0));
    assert_eq!((end.accepted["Claim"], end.accepted["Approve"]), (2, 1));
    assert_eq!(state_of(&end, "review.case"), "Approved");
}

#[test]
fn an_appeal_is_heard_by_somebody_else_while_the_money_stays_where_it_is() {
    use consign::stage::review::Appeal;
    let appeals = |disk| {
        let mut policy = Physical::default();
        policy.review.appeal_ms = DAY;
        let world = World::new(disk, policy);
        world.scorer.score_order("o-1", 50);
        world
    };
    let appeal = || case::M::command(1, Appeal { reason: "it was me".into() });
    let mut steps = paid();
    steps.extend([
        claims("anna", "claim-anna"),
        Step::ask(&agent("anna"), "reject", reject(1)),
        Step::Pass(HOUR),
        Step::ask(&carla(), "appeal", appeal()),
        Step::refused(&agent("anna"), "four_eyes", case::M::command(1, Claim::default())),
        claims("bob", "claim-bob"),
        Step::ask(&agent("bob"), "approve", approve(2)),
    ]);
    steps.extend(leaves());
    let order = || draft("o-1", &[5_000], &[("card", 5_000)]);
    let end = Story::new(appeals, order(), steps).told();
    assert_eq!((end.phase.as_str(), end.moved), ("completed", (5_000, 0)));
    // And if nobody appeals, the order is turned down when the time is over, and not before.
    let mut steps = paid();
    steps.extend([
        claims("anna", "claim-anna"),
        Step::ask(&agent("anna"), "reject", reject(1)),
        Step::Pass(23 * HOUR),
        Step::refused(&agent("bob"), "takes no Claim", case::M::command(1, Claim::default())),
        Step::Pass(2 * HOUR),
        Step::refused(&carla(), "takes no Appeal", appeal()),
        Step::Pass(DAY),
    ]);
    let end = Story::new(appeals, order(), steps).told();
    assert_eq!((end.phase.as_str(), end.balances.as_str(), end.moved), ("rejected", "", (5_000, 5_000)));
}
