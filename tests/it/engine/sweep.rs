//! The ways an order commonly goes, each with the process ended after every commit, and before and after every call to
//! the outside; with every message doubled; and with every answer lost, late and doubled.

use consign::id::Key;
use consign::machine::Call;
use consign::pipeline::Physical;
use consign::pipeline::lifecycle::{RequestReturn, lifecycle};
use consign::stage::dispatch::{CameBack, ConfirmStop, HandOver, Pack, parcel};
use consign::stage::payment::{CaptureMode, FundsPolicy, PaymentPolicy, Start, attempt};
use consign::stage::review::{Approve, Claim, Reject, case};
use consign::testing::Fault;

use super::journey::{cancel, delivered, start};
use super::support::{DAY, HOUR, World, agent, carla, draft, packs_itself};
use super::tricky::{End, Step, Story};

fn told(policy: Physical, minor: i64, gateway: Option<(&'static str, Fault)>, steps: Vec<Step>) -> End {
    let order = draft("o-1", &[minor], &[("card", minor)]);
    let end = Story::new(move |disk| World::new(disk, policy.clone()), order, steps).failing(gateway).told();
    assert_eq!((end.gateway.duplicate_effects, end.stock_twice, end.reserved), (0, 0, 0));
    end
}

fn bought() -> Vec<Step> {
    vec![
        Step::Place,
        Step::ask(&carla(), "pay", start(1)),
        Step::Pass(HOUR),
        Step::PayAgain,
        Step::Pass(HOUR),
    ]
}

fn with(mut before: Vec<Step>, more: impl IntoIterator<Item = Step>) -> Vec<Step> {
    before.extend(more);
    before
}

fn ask(who: &str, once: &'static str, call: Call) -> Step {
    Step::ask(&agent(who), once, call)
}

fn decides(what: fn(u32) -> Call) -> [Step; 2] {
    [
        ask("anna", "claim", case::M::command(1, Claim::default())),
        Step::ask_of(&agent("anna"), "decide", move |view| {
            let Some(case::State::Claimed(s)) = view.state::<case::M>(1) else { return what(0) };
            what(s.lease.token)
        }),
    ]
}

fn approve(token: u32) -> Call {
    case::M::command(1, Approve { token })
}

fn reject(token: u32) -> Call {
    case::M::command(1, Reject { token, reason: "the address is a forwarder".into() })
}

fn out() -> Step {
    ask("wim", "out", parcel::M::command(1, HandOver))
}

fn home() -> Step {
    Step::Hear("home", delivered(1))
}

#[test]
fn sweep_paid_to_delivered() {
    let steps = with(bought(), [out(), home(), Step::Pass(DAY)]);
    let end = told(packs_itself(), 5_000, None, steps);
    assert_eq!((end.phase.as_str(), end.balances.as_str()), ("completed", "psp:card 5000, earned -5000"));
    assert_eq!(end.moved, (5_000, 0));
}

#[test]
fn sweep_declined_and_paid_on_another_channel() {
    let other = Start { tender: Key(1), channel: Some("wallet".parse().unwrap()), method: String::new() };
    let gateway = Some(("charge", Fault::Decline));
    let steps = vec![
        Step::Place,
        Step::ask(&carla(), "pay", start(1)),
        Step::Pass(HOUR),
        Step::ask(&carla(), "pay-2", attempt::M::command(2, other)),
        Step::Pass(HOUR),
        Step::PayAgain,
        Step::Pass(HOUR),
        out(),
        home(),
        Step::Pass(DAY),
    ];
    let end = told(packs_itself(), 5_000, gateway, steps);
    assert_eq!((end.phase.as_str(), end.balances.as_str()), ("completed", "psp:wallet 5000, earned -5000"));
    assert_eq!(end.moved, (5_000, 0));
}

#[test]
fn sweep_rejected() {
    let steps = with(with(bought(), decides(reject)), [Step::Pass(DAY)]);
    let end = told(packs_itself(), 20_000, None, steps);
    assert_eq!((end.phase.as_str(), end.balances.as_str()), ("rejected", ""));
    assert_eq!(end.moved, (20_000, 20_000));
}

#[test]
fn sweep_lost_answer_to_a_charge() {
    let gateway = Some(("charge", Fault::LoseAnswer));
    let steps = with(bought(), [out(), home(), Step::Pass(DAY)]);
    let end = told(packs_itself(), 5_000, gateway, steps);
    assert_eq!((end.phase.as_str(), end.balances.as_str()), ("completed", "psp:card 5000, earned -5000"));
    assert_eq!(end.moved, (5_000, 0));
}

#[test]
fn sweep_lost_answer_to_a_refund() {
    let gateway = Some(("refund", Fault::LoseAnswer));
    let steps = with(bought(), [ask("anna", "cancel", cancel()), Step::Pass(DAY)]);
    let end = told(Physical::default(), 5_000, gateway, steps);
    assert_eq!((end.phase.as_str(), end.balances.as_str()), ("cancelled", ""));
    assert_eq!(end.moved, (5_000, 5_000));
}

#[test]
fn sweep_captured_at_the_hand_over() {
    let later = Physical {
        payment: PaymentPolicy {
            capture: CaptureMode::Later,
            funds: FundsPolicy::RequireAuthorized,
            ..PaymentPolicy::default()
        },
        ..Physical::default()
    };
    let pack = ask("wim", "pack", parcel::M::command(1, Pack));
    let steps = with(bought(), [pack, Step::Pass(HOUR), out(), home(), Step::Pass(DAY)]);
    let end = told(later, 5_000, None, steps);
    assert_eq!((end.phase.as_str(), end.balances.as_str()), ("completed", "psp:card 5000, earned -5000"));
    assert_eq!(end.moved, (5_000, 0));
}

#[test]
fn sweep_cancelled_before_anything_is_paid() {
    let steps = vec![Step::Place, Step::ask(&carla(), "cancel", cancel()), Step::Pass(DAY)];
    let end = told(packs_itself(), 5_000, None, steps);
    assert_eq!((end.phase.as_str(), end.balances.as_str(), end.moved), ("cancelled", "", (0, 0)));
}

#[test]
fn sweep_cancelled_under_review() {
    let steps = with(bought(), [Step::ask(&carla(), "cancel", cancel()), Step::Pass(DAY)]);
    let end = told(packs_itself(), 20_000, None, steps);
    assert_eq!((end.phase.as_str(), end.balances.as_str()), ("cancelled", ""));
    assert_eq!(end.moved, (20_000, 20_000));
}

#[test]
fn sweep_cancelled_after_its_approval() {
    let steps = with(with(bought(), decides(approve)), [ask("sue", "cancel", cancel()), Step::Pass(DAY)]);
    let end = told(Physical::default(), 20_000, None, steps);
    assert_eq!((end.phase.as_str(), end.balances.as_str()), ("cancelled", ""));
    assert_eq!(end.moved, (20_000, 20_000));
}

#[test]
fn sweep_cancelled_when_it_is_packed() {
    let stop = ask("wim", "stop", parcel::M::command(1, ConfirmStop));
    let pack = ask("wim", "pack", parcel::M::command(1, Pack));
    let steps =
        with(bought(), [pack, Step::Pass(HOUR), ask("sue", "cancel", cancel()), stop, Step::Pass(DAY)]);
    let end = told(Physical::default(), 5_000, None, steps);
    assert_eq!((end.phase.as_str(), end.balances.as_str()), ("cancelled", ""));
    assert_eq!(end.moved, (5_000, 5_000));
}

fn comes_back() -> [Step; 3] {
    let back = lifecycle::M::command(1, RequestReturn { reason: "too small".into() });
    [
        Step::ask(&agent("sue"), "back", back),
        Step::Hear("returned", parcel::M::evidence(1, CameBack)),
        Step::Pass(DAY),
    ]
}

#[test]
fn sweep_cancelled_when_it_is_out() {
    let steps = with(with(bought(), [out()]), comes_back());
    let end = told(packs_itself(), 5_000, None, steps);
    assert_eq!((end.phase.as_str(), end.balances.as_str()), ("cancelled", ""));
    assert_eq!(end.moved, (5_000, 5_000));
}

#[test]
fn sweep_cancelled_when_it_is_delivered() {
    let steps = with(with(bought(), [out(), home()]), comes_back());
    let end = told(packs_itself(), 5_000, None, steps);
    assert_eq!((end.phase.as_str(), end.balances.as_str()), ("cancelled", ""));
    assert_eq!(end.moved, (5_000, 5_000));
}
