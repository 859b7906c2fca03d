//! Stories with their exact ends: told plainly, twice over, and with the process ended after each commit.

use consign::id::Key;
use consign::machine::Call;
use consign::pipeline::Physical;
use consign::pipeline::lifecycle::{Amend, Cancel, lifecycle};
use consign::stage::aftersales::{
    Approve as Allow, AskClaim, AskReturn, Found, Inspect, IssueLabel, OnItsWay, Reason, Receive, Resolution,
    Units, Verdict, rma,
};
use consign::stage::dispatch::{
    Accepted, CameBack, ConfirmStop, HandOver, Moving, Pack, Tracking, TurnedBack, Unit, parcel,
};
use consign::stage::payment::{CaptureMode, FundsPolicy, Start, attempt};
use consign::stage::refund::{Request, refund};
use consign::stage::review::{Approve, Claim, case};

use super::journey::{cancel, delivered, start};
use super::support::{DAY, HOUR, World, agent, carla, draft, packs_itself};
use super::tricky::{Step, Story};

#[test]
fn a_parcel_that_nobody_takes_comes_back_and_the_shop_cancels_and_refunds() {
    let story = Story::new(
        |disk| World::new(disk, packs_itself()),
        draft("o-1", &[5_000], &[("card", 5_000)]),
        [
            Step::Place,
            Step::ask(&carla(), "pay", start(1)),
            Step::Pass(HOUR),
            Step::PayAgain,
            Step::ask(&agent("wim"), "out", parcel::M::command(1, HandOver)),
            Step::refused(&carla(), "executing", cancel()),
            Step::Hear("turned", parcel::M::evidence(1, TurnedBack)),
            Step::Hear("back", parcel::M::evidence(1, CameBack)),
            Step::Release,
            Step::ask(
                &agent("anna"),
                "cancel",
                lifecycle::M::command(1, Cancel { reason: "nobody home".into() }),
            ),
            Step::Pass(DAY),
        ],
    );
    let end = story.told();
    assert_eq!(end.phase, "cancelled");
    assert_eq!(end.balances, "");
    assert_eq!(end.moved, (5_000, 5_000));
    assert_eq!(end.gateway.duplicate_effects, 0);
}

/// A reviewer claims the case and lets it pass.
fn passes(who: &'static str, claim: &'static str, approve: &'static str) -> [Step; 2] {
    [
        Step::ask(&agent(who), claim, case::M::command(1, Claim::default())),
        Step::ask_of(&agent(who), approve, |view| {
            let token = match view.state::<case::M>(1) {
                Some(case::State::Claimed(s)) => s.lease.token,
                _ => 0,
            };
            case::M::command(1, Approve { token })
        }),
    ]
}

/// The order with one line at this price.
fn at_price(minor: i64) -> Call {
    let draft = draft("o-1", &[minor], &[("card", minor)]);
    lifecycle::M::command(1, Amend { draft })
}

#[test]
fn t26_an_order_that_is_amended_to_more_is_reviewed_again_and_what_is_missing_is_paid_by_a_new_attempt() {
    let again = Start { tender: Key(1), channel: None, method: String::new() };
    let mut steps = vec![Step::Place, Step::ask(&carla(), "pay", start(1)), Step::Pass(HOUR), Step::PayAgain];
    steps.extend(passes("anna", "claim-1", "approve-1"));
    steps.extend([
        Step::ask(&agent("olga"), "amend", at_price(25_000)),
        // The approval was for another order, and not all of it is paid.
        Step::refused(&agent("wim"), "takes no Pack", parcel::M::command(1, Pack)),
        Step::ask(&carla(), "pay-more", attempt::M::command(21, again)),
        Step::Pass(HOUR),
        Step::PayAgain,
    ]);
    steps.extend(passes("ben", "claim-2", "approve-2"));
    steps.extend([
        Step::Pass(HOUR),
        Step::ask(&agent("wim"), "pack", parcel::M::command(1, Pack)),
        Step::ask(&agent("wim"), "out", parcel::M::command(1, HandOver)),
        Step::Hear("home", delivered(1)),
        Step::Pass(DAY),
    ]);
    let order = draft("o-1", &[20_000], &[("card", 20_000)]);
    let end = Story::new(|disk| World::new(disk, Physical::default()), order, steps).told();
    assert_eq!(end.phase, "completed");
    assert_eq!(end.balances, "psp:card 25000, earned -25000");
    assert_eq!(end.moved, (25_000, 0));
    assert_eq!(end.gateway.duplicate_effects, 0);
}

#[test]
fn t26_an_order_that_is_amended_to_less_captures_less_and_releases_the_rest() {
    let later = || {
        let mut policy = Physical::default();
        policy.payment.capture = CaptureMode::Later;
        policy.payment.funds = FundsPolicy::RequireAuthorized;
        policy
    };
    let mut steps = vec![Step::Place, Step::ask(&carla(), "pay", start(1)), Step::Pass(HOUR), Step::PayAgain];
    steps.extend(passes("anna", "claim-1", "approve-1"));
    steps.push(Step::ask(&agent("olga"), "amend", at_price(15_000)));
    steps.extend(passes("ben", "claim-2", "approve-2"));
    steps.extend([
        Step::ask(&agent("wim"), "pack", parcel::M::command(1, Pack)),
        Step::Pass(HOUR),
        Step::ask(&agent("wim"), "out", parcel::M::command(1, HandOver)),
        Step::Hear("home", delivered(1)),
        Step::Pass(DAY),
    ]);
    let order = draft("o-1", &[20_000], &[("card", 20_000)]);
    let end = Story::new(move |disk| World::new(disk, later()), order, steps).told();
    assert_eq!(end.phase, "completed");
    assert_eq!(end.balances, "psp:card 15000, earned -15000", "the hold of 200.00 is gone");
    assert_eq!(end.moved, (15_000, 0));
}

/// Two parcels are with the customer: 30.00 and 20.00, paid by card.
fn at_home() -> Vec<Step> {
    vec![
        Step::Place,
        Step::ask(&carla(), "pay", start(1)),
        Step::Pass(HOUR),
        Step::PayAgain,
        Step::ask(&agent("wim"), "out-1", parcel::M::command(1, HandOver)),
        Step::ask(&agent("wim"), "out-2", parcel::M::command(2, HandOver)),
        Step::Hear("home-1", delivered(1)),
        Step::Hear("home-2", delivered(2)),
        Step::Pass(HOUR),
    ]
}

/// The first thing comes back for this, and is as new.
fn comes_back(resolution: Resolution) -> Vec<Step> {
    let one = || vec![Units { line: 0, quantity: 1 }];
    let ask = AskReturn { items: one(), reason: Reason::Wrong, resolution, photos: Vec::new() };
    let found = vec![Found { line: 0, quantity: 1, verdict: Verdict::Restock }];
    vec![
        Step::ask(&carla(), "ask", rma::M::command(1, ask.clone())),
        Step::ask(&agent("anna"), "allow", rma::M::command(1, Allow { instead: None })),
        Step::ask(&agent("anna"), "label", rma::M::command(1, IssueLabel { label: "R1".into() })),
        Step::Hear("scan", rma::M::evidence(1, OnItsWay)),
        Step::refused(&carla(), "not_there", rma::M::command(2, ask)),
        Step::ask(&agent("wim"), "received", rma::M::command(1, Receive { items: one() })),
        Step::ask(&agent("wim"), "found", rma::M::command(1, Inspect { found })),
        Step::Pass(DAY),
    ]
}

fn bought() -> consign::order::Draft {
    draft("o-1", &[3_000, 2_000], &[("card", 5_000)])
}

#[test]
fn a_thing_comes_back_and_is_paid_back_and_a_scratch_on_another_is_made_good() {
    let mut steps = at_home();
    steps.extend(comes_back(Resolution::Refund));
    let scratch = AskClaim {
        items: vec![Units { line: 1, quantity: 1 }],
        reason: Reason::Damaged,
        resolution: Resolution::Discount { amount_minor: 700 },
        photos: vec!["p-1".into()],
    };
    steps.extend([
        Step::ask(&carla(), "claim", rma::M::command(2, scratch)),
        Step::ask(&agent("anna"), "allow-2", rma::M::command(2, Allow { instead: None })),
        Step::Pass(DAY),
    ]);
    let end = Story::new(|disk| World::new(disk, packs_itself()), bought(), steps).told();
    assert_eq!(end.phase, "completed");
    assert_eq!(end.balances, "psp:card 1300, earned -1300");
    assert_eq!(end.moved, (5_000, 3_700));
    assert_eq!(end.gateway.duplicate_effects, 0);
}

#[test]
fn a_thing_is_exchanged_for_a_dearer_one_that_leaves_when_the_difference_is_paid() {
    let dearer = vec![Unit { sku: "mug".into(), quantity: 1 }];
    let mut steps = at_home();
    steps.extend(comes_back(Resolution::Exchange { units: dearer, price_minor: 3_600 }));
    let again = Start { tender: Key(1), channel: None, method: String::new() };
    steps.extend([
        Step::refused(&agent("wim"), "takes no HandOver", parcel::M::command(3, HandOver)),
        Step::ask(&carla(), "pay-more", attempt::M::command(21, again)),
        Step::Pass(HOUR),
        Step::PayAgain,
        Step::Pass(2 * DAY),
        Step::ask(&agent("wim"), "out-3", parcel::M::command(3, HandOver)),
        Step::Hear("home-3", delivered(3)),
        Step::Pass(DAY),
    ]);
    let end = Story::new(|disk| World::new(disk, packs_itself()), bought(), steps).told();
    assert_eq!(end.phase, "completed");
    assert_eq!(end.balances, "psp:card 5600, earned -5600");
    assert_eq!(end.moved, (5_600, 0));
    assert_eq!(end.gateway.duplicate_effects, 0);
}

#[test]
fn a_broken_thing_is_sent_once_more_for_nothing() {
    let broken = AskClaim {
        items: vec![Units { line: 1, quantity: 1 }],
        reason: Reason::Defective,
        resolution: Resolution::Replace,
        photos: vec!["p-1".into()],
    };
    let mut steps = at_home();
    steps.extend([
        Step::ask(&carla(), "claim", rma::M::command(1, broken)),
        Step::ask(&agent("anna"), "allow", rma::M::command(1, Allow { instead: None })),
        Step::Pass(HOUR),
        Step::ask(&agent("wim"), "out-3", parcel::M::command(3, HandOver)),
        Step::Hear("home-3", delivered(3)),
        Step::Pass(DAY),
    ]);
    let end = Story::new(|disk| World::new(disk, packs_itself()), bought(), steps).told();
    assert_eq!(end.phase, "completed");
    assert_eq!(end.balances, "psp:card 5000, earned -5000");
    assert_eq!(end.moved, (5_000, 0));
}

#[test]
fn t21_a_cancellation_races_the_hand_over_and_the_warehouse_decides_parcel_by_parcel() {
    let steps = [
        Step::Place,
        Step::ask(&carla(), "pay", start(1)),
        Step::Pass(HOUR),
        Step::PayAgain,
        Step::ask(&agent("wim"), "pack-1", parcel::M::command(1, Pack)),
        Step::ask(&agent("wim"), "pack-2", parcel::M::command(2, Pack)),
        Step::Pass(HOUR),
        Step::ask(&agent("anna"), "cancel", cancel()),
        // The first one is on the van already, the second one is still on the shelf.
        Step::Hear("out-1", parcel::M::evidence(1, Accepted)),
        Step::ask(&agent("wim"), "stop-2", parcel::M::command(2, ConfirmStop)),
        Step::refused(&agent("wim"), "takes no HandOver", parcel::M::command(2, HandOver)),
        Step::Hear("home-1", delivered(1)),
        Step::Pass(DAY),
    ];
    let end = Story::new(|disk| World::new(disk, Physical::default()), bought(), steps).told();
    assert_eq!(end.phase, "completed");
    assert_eq!(end.balances, "psp:card 3000, earned -3000");
    assert_eq!(end.moved, (5_000, 2_000));
    assert_eq!(end.gateway.duplicate_effects, 0);
}

#[test]
fn t22_a_delivered_parcel_comes_back_and_scans_stand_by_their_time() {
    let moving = |status, scan: &str| parcel::M::evidence(1, Moving { status, scan: scan.into() });
    let steps = [
        Step::Place,
        Step::ask(&carla(), "pay", start(1)),
        Step::Pass(HOUR),
        Step::PayAgain,
        // The last van is heard of before the first hub, and both before the hand-over.
        Step::Hear("van", moving(Tracking::OutForDelivery, "van")),
        Step::Hear("hub", moving(Tracking::InTransit, "hub")),
        Step::ask(&agent("wim"), "out", parcel::M::command(1, HandOver)),
        Step::Hear("home", delivered(1)),
        Step::Pass(DAY),
        Step::Hear("turned", parcel::M::evidence(1, TurnedBack)),
        Step::Hear("late", moving(Tracking::InTransit, "late")),
        Step::Hear("back", parcel::M::evidence(1, CameBack)),
        Step::Release,
        Step::ask_of(&agent("anna"), "refund", |view| {
            let paid = view.instances().into_iter().find(|(_, _, state)| *state == "Captured");
            let back = Request {
                attempt: paid.map_or(Key(1), |(_, key, _)| key),
                channel: "card".parse().unwrap(),
                reference: None,
                amount_minor: 5_000,
                reason: "it came back".into(),
            };
            refund::M::command(9, back)
        }),
        Step::Pass(DAY),
    ];
    let order = draft("o-1", &[5_000], &[("card", 5_000)]);
    let end = Story::new(|disk| World::new(disk, packs_itself()), order, steps).told();
    assert_eq!(end.balances, "");
    assert_eq!(end.moved, (5_000, 5_000));
    assert_eq!(end.gateway.duplicate_effects, 0);
}
