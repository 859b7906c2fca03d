//! The rows of a service.

use consign::machine::{Call, Evidence, HasInput, Told};
use consign::pipeline::{Digital, Outstanding, Physical};
use consign::stage::activation::{
    ActivationPolicy, ActivationRefused, Appeal, Available, EarnPolicy, EndRefused, Ended, NotThere, Pause,
    Rejected, Rest, Resubmit, Resume, Reviewing, Run, Spent, Stopped, SubmitRefused, Switch, SwitchRefused,
    Switched, Terminate, TwinEnded, TwinRefused, service,
};

use super::{Case, case, each, lifecycle, payment, review};
use crate::support::shop::{Shop, eur, services_of};

pub(crate) const PLACE: &str = "activation.service";

pub(crate) fn says<E>(e: E) -> Call
where
    E: Evidence,
    service::M: HasInput<E>,
{
    service::M::evidence(1, e)
}
pub(crate) fn says_of<E>(key: u32, e: E) -> Call
where
    E: Evidence,
    service::M: HasInput<E>,
{
    service::M::evidence(key, e)
}
pub(crate) fn pause() -> Call {
    service::M::command(1, Pause)
}
pub(crate) fn resume() -> Call {
    service::M::command(1, Resume)
}
pub(crate) fn terminate() -> Call {
    service::M::command(1, Terminate)
}
pub(crate) fn resubmit() -> Call {
    service::M::command(1, Resubmit { material: "banner-2".to_owned() })
}
pub(crate) fn appeal() -> Call {
    service::M::command(1, Appeal { reason: "it is our own mark".to_owned() })
}
pub(crate) fn reviewing(external_ref: &str) -> Reviewing {
    Reviewing { external_ref: external_ref.to_owned(), revision: 0 }
}
pub(crate) fn rejected(revision: u32) -> Rejected {
    Rejected { external_ref: "a1".to_owned(), revision, reasons: vec!["unclear".to_owned()] }
}
pub(crate) fn available(external_ref: &str) -> Available {
    Available { external_ref: external_ref.to_owned(), part: false, reasons: Vec::new() }
}
pub(crate) fn in_part() -> Available {
    Available { part: true, reasons: vec!["no video".to_owned()], ..available("a1") }
}
pub(crate) fn spent(minor: i64) -> Spent {
    Spent { external_ref: "a1".to_owned(), spent: eur(minor) }
}
pub(crate) fn spent_by(external_ref: &str, minor: i64) -> Spent {
    Spent { external_ref: external_ref.to_owned(), ..spent(minor) }
}
pub(crate) fn ended(minor: i64) -> Ended {
    Ended { external_ref: Some("a1".to_owned()), spent: eur(minor) }
}
pub(crate) fn ended_by(external_ref: &str, minor: i64) -> Ended {
    Ended { external_ref: Some(external_ref.to_owned()), ..ended(minor) }
}
/// The platform had nothing to end.
pub(crate) fn nothing() -> Ended {
    Ended { external_ref: None, spent: eur(0) }
}
pub(crate) fn refused() -> ActivationRefused {
    ActivationRefused { why: "banned".to_owned() }
}

pub(crate) fn terminate_of(key: u32) -> Call {
    service::M::command(key, Terminate)
}

/// What is known of a service, where the platform was asked for it.
pub(super) fn run(shop: &Shop, key: u32) -> Option<Run> {
    match shop.pipeline.state::<service::M>(&shop.order, key)? {
        service::State::Activating(s) => Some(s.run.clone()),
        service::State::ActivationUnknown(s) => Some(s.run.clone()),
        service::State::PendingPlatformReview(s) => Some(s.run.clone()),
        service::State::PlatformRejected(s) => Some(s.run.clone()),
        service::State::Active(s) => Some(s.run.clone()),
        service::State::PartActive(s) => Some(s.run.clone()),
        service::State::Delivering(s) => Some(s.run.clone()),
        service::State::Paused(s) => Some(s.run.clone()),
        service::State::Settling(s) => Some(s.run.clone()),
        service::State::Terminating(s) => Some(s.run.clone()),
        service::State::Completed(s) => Some(s.run.clone()),
        service::State::Terminated(s) => Some(s.run.clone()),
        service::State::ActivationFailed(s) => Some(s.run.clone()),
        _ => None,
    }
}

/// What the platform answers, when all goes well and it says of each service what it said before.
pub(super) fn answer(shop: &Shop, w: &Outstanding) -> Option<Told> {
    let run = run(shop, w.key.0);
    let known = run.as_ref().and_then(|r| r.external_ref.clone());
    let external_ref = known.clone().unwrap_or_else(|| format!("a{}", w.key));
    let value = shop.pipeline.effect_value(w).unwrap();
    let spent = eur(run.as_ref().map_or(0, |r| r.reported_minor));
    Some(match w.name.strip_prefix("activation.service/")? {
        "Activate" => available(&external_ref).into(),
        "InquireService" if spent.minor() > 0 => Spent { external_ref, spent }.into(),
        "InquireService" | "Submit" => available(&external_ref).into(),
        "Switch" => Switched { n: value.downcast_ref::<Switch>()?.n }.into(),
        "End" => Ended { external_ref: known, spent }.into(),
        "EndTwin" => TwinEnded { spent: eur(0) }.into(),
        other => panic!("nobody answers {other}"),
    })
}

/// What the platform says of its own accord, until a service is over.
pub(super) fn goes_on(shop: &Shop, key: u32) -> Call {
    let run = run(shop, key).unwrap();
    let external_ref = run.external_ref.unwrap();
    match shop.state(PLACE, key) {
        "PendingPlatformReview" => says_of(key, available(&external_ref)),
        _ => says_of(key, Ended { external_ref: Some(external_ref), spent: eur(run.budget_minor) }),
    }
}

/// Authorised when the customer pays, captured when a service is to be activated.
pub(crate) fn later() -> Digital {
    let Physical { payment, .. } = payment::later();
    Digital { payment, ..Digital::default() }
}
pub(crate) fn on_activation() -> Digital {
    let activation = ActivationPolicy { earn: EarnPolicy::OnActivation, ..ActivationPolicy::default() };
    Digital { activation, ..Digital::default() }
}
fn carries_over() -> Digital {
    let rest = Rest::CarryOver { flights: 1 };
    let activation = ActivationPolicy { rest, ..ActivationPolicy::default() };
    Digital { activation, ..Digital::default() }
}

/// An order of 50.00 for one service, which is in this state, with nothing held.
pub(crate) fn reach(state: &str) -> Shop {
    reach_under(if ["Planned", "Cancelled"].contains(&state) { later() } else { Digital::default() }, state)
}

/// Pays and lets review pass.
fn bought(s: &mut Shop) {
    s.asks(payment::start(1));
    if s.last.told.contains("capture=false") {
        s.done("Charge", payment::authorised(5000));
    } else {
        s.done("Charge", payment::paid(5000));
    }
}

pub(crate) fn reach_under(policy: Digital, state: &str) -> Shop {
    let mut s = Shop::place(policy, services_of(&[5000], &[("card", 5000)]));
    bought(&mut s);
    if state == "New" {
        return s;
    }
    s.done("Score", review::scored(3));
    match state {
        "Planned" | "Activating" => {}
        "Cancelled" => s.asks(lifecycle::cancel()),
        "ActivationUnknown" => s.lost("Activate"),
        "ActivationFailed" => s.declined("Activate", refused()),
        "PendingPlatformReview" => s.done("Activate", reviewing("a1")),
        "PlatformRejected" => {
            s.done("Activate", reviewing("a1"));
            s.hears(says(rejected(0)));
        }
        "PartActive" => s.done("Activate", in_part()),
        _ => s.done("Activate", available("a1")),
    }
    match state {
        "Delivering" => {
            s.hears(says(spent(1500)));
        }
        "Paused" => s.asks(pause()),
        "Settling" => s.due(PLACE, 1, "FlightDue"),
        "Completed" => {
            s.hears(says(ended(5000)));
        }
        "Terminating" | "Terminated" => {
            s.asks(terminate());
            if state == "Terminated" {
                s.done("End", ended(1500));
            }
        }
        "Removing" | "Removed" => {
            s.hears(says(available("b2")));
            if state == "Removed" {
                s.done("EndTwin", TwinEnded { spent: eur(0) });
            }
        }
        _ => {}
    }
    s.release_holds();
    let key = if state.starts_with("Remov") { 1001 } else { 1 };
    assert_eq!(s.state(PLACE, key), state, "{}", s.show());
    s
}

/// Twice the platform says that it has nothing, and is told to have nothing for good.
fn never_there(policy: Digital) -> Shop {
    let mut s = reach_under(policy, "ActivationUnknown");
    for _ in 0..2 {
        s.due(PLACE, 1, "AskAgain");
        s.done("InquireService", NotThere);
    }
    assert_eq!(s.wants(), ["End 1"]);
    s
}

/// The order is turned down by a review that was opened again.
fn turned_down(state: &str) -> Shop {
    let mut s = reach(state);
    s.hears(review::notice());
    s.asks(review::claim());
    s
}

const FRESH: &[&str] = &["Activating", "ActivationUnknown"];
const JUDGED: &[&str] = &["PendingPlatformReview", "PlatformRejected"];
const RUNNING: &[&str] = &["Active", "PartActive", "Delivering"];
const FLYING: &[&str] = &["Active", "PartActive", "Delivering", "Paused"];
const WINDING: &[&str] = &["Settling", "Terminating"];
const ENDABLE: &[&str] =
    &["PendingPlatformReview", "PlatformRejected", "Active", "PartActive", "Delivering", "Paused"];
const KNOWN: &[&str] = &[
    "PendingPlatformReview",
    "PlatformRejected",
    "Active",
    "PartActive",
    "Delivering",
    "Paused",
    "Settling",
    "Terminating",
    "Completed",
    "Terminated",
    "ActivationFailed",
];
const LATE: &[&str] = &[
    "Active",
    "Delivering",
    "Paused",
    "Settling",
    "Terminating",
    "Completed",
    "Terminated",
    "ActivationFailed",
];

pub(super) fn cases() -> Vec<Case> {
    let mut all = planned();
    all.extend(fresh());
    all.extend(judged());
    all.extend(running());
    all.extend(winding());
    all.extend(twins());
    all
}

fn planned() -> Vec<Case> {
    vec![
        case(
            "a service is activated when paid and passed",
            || reach("New"),
            |s| s.done("Score", review::scored(3)),
            "
            review.case 1: Scoring + Scored -> AutoApproved
            activation.service 1: New + GatesOpen -> Activating
            wants Activate 1 #1 attempt=1 budget=50.00 EUR flight_ms=2592000000 platform=ads quantity=1 sku=ad-1
        ",
        ),
        case(
            "a service wants its money captured first",
            || reach_under(later(), "New"),
            |s| s.done("Score", review::scored(3)),
            "
            review.case 1: Scoring + Scored -> AutoApproved
            activation.service 1: New + GatesOpen -> Planned
            payment.attempt 1: Authorized + CaptureAsked -> Capturing
            wants Capture 1 #0 amount=50.00 EUR channel=card reference=r1
        ",
        ),
        case(
            "a service is activated when its money is captured",
            || reach("Planned"),
            |s| s.done("Capture", payment::paid(5000)),
            "
            payment.attempt 1: Capturing + Paid -> Captured
            activation.service 1: Planned + FundsIn -> Activating
            posts P3 card 5000
            posts P2 card 5000
            wants Activate 1 #1 attempt=1 budget=50.00 EUR flight_ms=2592000000 platform=ads quantity=1 sku=ad-1
        ",
        ),
        case(
            "a service that waits for its money is looked at again",
            || reach("Planned"),
            |s| s.due(PLACE, 1, "PlanDue"),
            "
            activation.service 1: Planned + PlanDue -> Planned
        ",
        ),
        case(
            "a service that waits for its review is activated when it passes",
            || {
                let mut s = reach("Planned");
                s.hears(review::notice());
                s.done("Capture", payment::paid(5000));
                s.asks(review::claim());
                s
            },
            |s| s.asks(review::approve(1)),
            "
            review.case 1: Claimed + Approve -> Approved
            activation.service 1: Planned + GatesOpen -> Activating
            wants Activate 1 #1 attempt=1 budget=50.00 EUR flight_ms=2592000000 platform=ads quantity=1 sku=ad-1
        ",
        ),
        case(
            "a service that nobody was asked for is called off",
            || reach("Planned"),
            |s| s.asks(lifecycle::cancel()),
            "
            order.life 1: Placed + Cancel -> Cancelling
            activation.service 1: Planned + Stop -> Cancelled
        ",
        ),
    ]
}

fn fresh() -> Vec<Case> {
    let mut all = vec![
        case(
            "the answer of the platform is lost",
            || reach("Activating"),
            |s| s.lost("Activate"),
            "
            activation.service 1: Activating + ActivationLost -> ActivationUnknown
        ",
        ),
        case(
            "the platform does not answer in time",
            || reach("Activating"),
            |s| s.due(PLACE, 1, "AnswerDue"),
            "
            activation.service 1: Activating + AnswerDue -> ActivationUnknown
        ",
        ),
        case(
            "the platform was never reached",
            || reach("Activating"),
            |s| s.gave_up("Activate", false),
            "
            activation.service 1: Activating + ActivationGaveUp -> Planned
            holds platform_unreachable
        ",
        ),
        case(
            "the platform may have been reached",
            || reach("Activating"),
            |s| s.gave_up("Activate", true),
            "
            activation.service 1: Activating + ActivationGaveUp -> ActivationUnknown
        ",
        ),
        case(
            "the platform is asked what it has",
            || reach("ActivationUnknown"),
            |s| s.due(PLACE, 1, "AskAgain"),
            "
            activation.service 1: ActivationUnknown + AskAgain -> ActivationUnknown
            wants InquireService 1 #1 attempt=1 external_ref=null platform=ads
        ",
        ),
        case(
            "the platform does not say what it has for too long",
            || {
                let mut policy = Digital::default();
                policy.activation.inquiries = 1;
                reach_under(policy, "ActivationUnknown")
            },
            |s| s.due(PLACE, 1, "AskAgain"),
            "
            activation.service 1: ActivationUnknown + AskAgain -> ActivationUnknown
            wants InquireService 1 #1 attempt=1 external_ref=null platform=ads
            holds reconcile
        ",
        ),
        case(
            "the platform has nothing, the first time",
            || {
                let mut s = reach("ActivationUnknown");
                s.due(PLACE, 1, "AskAgain");
                s
            },
            |s| s.done("InquireService", NotThere),
            "
            activation.service 1: ActivationUnknown + NotThere -> ActivationUnknown
        ",
        ),
        case(
            "the platform has nothing, the second time",
            || {
                let mut s = reach("ActivationUnknown");
                s.due(PLACE, 1, "AskAgain");
                s.done("InquireService", NotThere);
                s.due(PLACE, 1, "AskAgain");
                s
            },
            |s| s.done("InquireService", NotThere),
            "
            activation.service 1: ActivationUnknown + NotThere -> Terminating
            wants End 1 #1 attempt=1 external_ref=null platform=ads
        ",
        ),
        case(
            "a service takes effect, and is earned with that",
            || reach_under(on_activation(), "Activating"),
            |s| s.done("Activate", available("a1")),
            "
            activation.service 1: Activating + Available -> Active
            posts P7 5000
        ",
        ),
    ];
    let many = [
        each(
            "the platform will never run it",
            reach,
            FRESH,
            |s| {
                s.hears(says(refused()));
            },
            "
            activation.service 1: {from} + ActivationRefused -> ActivationFailed
            order.life 1: Placed + Waived -> Placed
            refund 1: New + Begin -> Sending
            order.life 1: Placed + Failed -> Cancelling
            payment.attempt 1: Captured + GiveBack -> Captured
            posts P9 card cust 5000
            wants SendBack 1 #0 amount=50.00 EUR attempt=1 channel=card reference=r1
        ",
        ),
        each(
            "the platform looks at it",
            reach,
            FRESH,
            |s| {
                s.hears(says(reviewing("a1")));
            },
            "
            activation.service 1: {from} + Reviewing -> PendingPlatformReview
        ",
        ),
        each(
            "the platform rejects it at once",
            reach,
            FRESH,
            |s| {
                s.hears(says(rejected(0)));
            },
            "
            activation.service 1: {from} + Rejected -> PlatformRejected
        ",
        ),
        each(
            "it takes effect",
            reach,
            FRESH,
            |s| {
                s.hears(says(available("a1")));
            },
            "
            activation.service 1: {from} + Available -> Active
        ",
        ),
        each(
            "it takes effect in part",
            reach,
            FRESH,
            |s| {
                s.hears(says(in_part()));
            },
            "
            activation.service 1: {from} + Available -> PartActive
        ",
        ),
        each(
            "it spends before anybody said that it runs",
            reach,
            FRESH,
            |s| {
                s.hears(says(spent(1500)));
            },
            "
            activation.service 1: {from} + Spent -> Delivering
            posts P7 1500
        ",
        ),
        each(
            "it spends all before anybody said that it runs",
            reach,
            FRESH,
            |s| {
                s.hears(says(spent(5000)));
            },
            "
            activation.service 1: {from} + Spent -> Completed
            order.life 1: Placed + Done -> Completed
            posts P7 5000
        ",
        ),
        each(
            "it is over before anybody said that it runs",
            reach,
            FRESH,
            |s| {
                s.hears(says(ended(1500)));
            },
            "
            activation.service 1: {from} + Ended -> Completed
            order.life 1: Placed + Waived -> Placed
            refund 1: New + Begin -> Sending
            posts P7 1500
            posts P9 card cust 3500
            wants SendBack 1 #0 amount=35.00 EUR attempt=1 channel=card reference=r1
        ",
        ),
        each(
            "it is over and never ran",
            reach,
            FRESH,
            |s| {
                s.hears(says(nothing()));
            },
            "
            activation.service 1: {from} + Ended -> ActivationFailed
            order.life 1: Placed + Waived -> Placed
            refund 1: New + Begin -> Sending
            order.life 1: Placed + Failed -> Cancelling
            payment.attempt 1: Captured + GiveBack -> Captured
            posts P9 card cust 5000
            wants SendBack 1 #0 amount=50.00 EUR attempt=1 channel=card reference=r1
        ",
        ),
        each(
            "its order is cancelled",
            reach,
            FRESH,
            |s| s.asks(lifecycle::cancel()),
            "
            order.life 1: Placed + Cancel -> Cancelling
            activation.service 1: {from} + Stop -> Terminating
            wants End 1 #1 attempt=1 external_ref=null platform=ads
        ",
        ),
    ];
    all.extend(many.into_iter().flatten());
    all
}

fn judged() -> Vec<Case> {
    let resubmitted = || {
        let mut s = reach("PlatformRejected");
        s.asks(resubmit());
        s
    };
    let mut all = vec![
        case(
            "the platform is asked whether it has decided",
            || reach("PendingPlatformReview"),
            |s| s.due(PLACE, 1, "AskAgain"),
            "
            activation.service 1: PendingPlatformReview + AskAgain -> PendingPlatformReview
            wants InquireService 1 #1 attempt=1 external_ref=a1 platform=ads
        ",
        ),
        case(
            "the platform does not decide",
            || reach("PendingPlatformReview"),
            |s| s.due(PLACE, 1, "ReviewDue"),
            "
            activation.service 1: PendingPlatformReview + ReviewDue -> PendingPlatformReview
            holds platform_review
        ",
        ),
        case(
            "the platform rejects it",
            || reach("PendingPlatformReview"),
            |s| {
                s.hears(says(rejected(0)));
            },
            "
            activation.service 1: PendingPlatformReview + Rejected -> PlatformRejected
        ",
        ),
        case(
            "the platform rejects another one under its key",
            || reach("PendingPlatformReview"),
            |s| {
                s.hears(says(Rejected { external_ref: "b2".to_owned(), ..rejected(0) }));
            },
            "
            activation.service 1: PendingPlatformReview + Rejected -> PendingPlatformReview
            activation.service 1001: New + Remove -> Removing
            wants EndTwin 1001 #0 external_ref=b2 platform=ads
        ",
        ),
        case(
            "the platform still speaks of what was rejected before",
            move || {
                let mut s = resubmitted();
                s.declined("Submit", SubmitRefused { why: "closed".to_owned() });
                s.asks(appeal());
                s
            },
            |s| {
                s.hears(says(rejected(1)));
            },
            "
            activation.service 1: PendingPlatformReview + Rejected -> PendingPlatformReview
        ",
        ),
        case(
            "a submission that nobody confirmed goes out again",
            move || {
                let mut s = resubmitted();
                s.lost("Submit");
                s
            },
            |s| s.due(PLACE, 1, "AskAgain"),
            "
            activation.service 1: PendingPlatformReview + AskAgain -> PendingPlatformReview
            wants Submit 1 #1 appeal=false attempt=1 external_ref=a1 material=banner-2 platform=ads revision=1
            wants InquireService 1 #1 attempt=1 external_ref=a1 platform=ads
        ",
        ),
        case(
            "a submission that the platform confirmed does not",
            move || {
                let mut s = resubmitted();
                s.done("Submit", Reviewing { revision: 1, ..reviewing("a1") });
                s
            },
            |s| s.due(PLACE, 1, "AskAgain"),
            "
            activation.service 1: PendingPlatformReview + AskAgain -> PendingPlatformReview
            wants InquireService 1 #1 attempt=1 external_ref=a1 platform=ads
        ",
        ),
        case(
            "the platform takes no other submission",
            resubmitted,
            |s| s.declined("Submit", SubmitRefused { why: "closed".to_owned() }),
            "
            activation.service 1: PendingPlatformReview + SubmitRefused -> PlatformRejected
        ",
        ),
        case(
            "a rejected service is fixed",
            || reach("PlatformRejected"),
            |s| s.asks(resubmit()),
            "
            activation.service 1: PlatformRejected + Resubmit -> PendingPlatformReview
            wants Submit 1 #1 appeal=false attempt=1 external_ref=a1 material=banner-2 platform=ads revision=1
        ",
        ),
        case(
            "a rejected service is appealed",
            || reach("PlatformRejected"),
            |s| s.asks(appeal()),
            "
            activation.service 1: PlatformRejected + Appeal -> PendingPlatformReview
            wants Submit 1 #1 appeal=true attempt=1 external_ref=a1 material=it is our own mark platform=ads revision=1
        ",
        ),
        case(
            "a rejected service is not fixed in time",
            || reach("PlatformRejected"),
            |s| s.due(PLACE, 1, "FixDue"),
            "
            activation.service 1: PlatformRejected + FixDue -> Terminating
            wants End 1 #1 attempt=1 external_ref=a1 platform=ads
        ",
        ),
        case(
            "all of a service is available after a part of it was",
            || reach("PartActive"),
            |s| {
                s.hears(says(available("a1")));
            },
            "
            activation.service 1: PartActive + Available -> Active
        ",
        ),
    ];
    let many = [
        each(
            "it passes",
            reach,
            JUDGED,
            |s| {
                s.hears(says(available("a1")));
            },
            "
            activation.service 1: {from} + Available -> Active
        ",
        ),
        each(
            "it spends although nobody said that it passed",
            reach,
            JUDGED,
            |s| {
                s.hears(says(spent(1500)));
            },
            "
            activation.service 1: {from} + Spent -> Delivering
            posts P7 1500
        ",
        ),
        each(
            "it is over although nobody said that it passed",
            reach,
            JUDGED,
            |s| {
                s.hears(says(ended(0)));
            },
            "
            activation.service 1: {from} + Ended -> ActivationFailed
            order.life 1: Placed + Waived -> Placed
            refund 1: New + Begin -> Sending
            order.life 1: Placed + Failed -> Cancelling
            payment.attempt 1: Captured + GiveBack -> Captured
            posts P9 card cust 5000
            wants SendBack 1 #0 amount=50.00 EUR attempt=1 channel=card reference=r1
        ",
        ),
    ];
    all.extend(many.into_iter().flatten());
    all
}

fn running() -> Vec<Case> {
    let mut all = vec![
        case(
            "a smaller report is an older one",
            || reach("Delivering"),
            |s| {
                s.hears(says(spent(1400)));
            },
            "
            activation.service 1: Delivering + Spent -> Delivering
        ",
        ),
        case(
            "more is spent than was ordered",
            || reach("Delivering"),
            |s| {
                s.hears(says(spent(5001)));
            },
            "
            activation.service 1: Delivering + Spent -> Completed
            order.life 1: Placed + Done -> Completed
            posts P7 3500
            holds overspent
        ",
        ),
        case(
            "a report in another currency is for a person",
            || reach("Delivering"),
            |s| {
                let yen = consign::money::Money::new(9000, "JPY".parse().unwrap());
                s.hears(says(Spent { spent: yen, ..spent(0) }));
            },
            "
            activation.service 1: Delivering + Spent -> Delivering
            holds spend_mismatch
        ",
        ),
        case(
            "a paused service spends a little more",
            || reach("Paused"),
            |s| {
                s.hears(says(spent(1500)));
            },
            "
            activation.service 1: Paused + Spent -> Paused
            posts P7 1500
        ",
        ),
        case(
            "a paused service runs again",
            || reach("Paused"),
            |s| s.asks(resume()),
            "
            activation.service 1: Paused + Resume -> Active
            wants Switch 1 #2 attempt=1 external_ref=a1 n=2 platform=ads run=true until=2592004000
        ",
        ),
        case(
            "a flight is followed by another for the rest",
            || reach_under(carries_over(), "Delivering"),
            |s| s.due(PLACE, 1, "FlightDue"),
            "
            activation.service 1: Delivering + FlightDue -> Delivering
            wants Switch 1 #1 attempt=1 external_ref=a1 n=1 platform=ads run=true until=5184005000
        ",
        ),
        case(
            "a flight after the last one is none",
            || {
                let mut s = reach_under(carries_over(), "Delivering");
                s.due(PLACE, 1, "FlightDue");
                s.done("Switch", Switched { n: 1 });
                s
            },
            |s| s.due(PLACE, 1, "FlightDue"),
            "
            activation.service 1: Delivering + FlightDue -> Settling
            wants End 1 #1 attempt=1 external_ref=a1 platform=ads
        ",
        ),
        case(
            "a service that was earned when it took effect is over",
            || reach_under(on_activation(), "Active"),
            |s| {
                s.hears(says(ended(1500)));
            },
            "
            activation.service 1: Active + Ended -> Completed
            order.life 1: Placed + Done -> Completed
        ",
        ),
        case(
            "a switch that nobody confirmed is sent again",
            || {
                let mut s = reach("Paused");
                s.gave_up("Switch", true);
                s
            },
            |s| s.due(PLACE, 1, "AskAgain"),
            "
            activation.service 1: Paused + AskAgain -> Paused
            wants Switch 1 #1 attempt=1 external_ref=a1 n=1 platform=ads run=false until=2592004000
            wants InquireService 1 #1 attempt=1 external_ref=a1 platform=ads
        ",
        ),
    ];
    let many = [
        each(
            "it reports what it spent",
            reach,
            &["Active", "PartActive"],
            |s| {
                s.hears(says(spent(2000)));
            },
            "
            activation.service 1: {from} + Spent -> Delivering
            posts P7 2000
        ",
        ),
        each(
            "it reports what it spent, not for the first time",
            reach,
            &["Delivering"],
            |s| {
                s.hears(says(spent(2000)));
            },
            "
            activation.service 1: {from} + Spent -> {from}
            posts P7 500
        ",
        ),
        each(
            "it has spent its budget",
            reach,
            &["Active", "PartActive", "Paused"],
            |s| {
                s.hears(says(spent(5000)));
            },
            "
            activation.service 1: {from} + Spent -> Completed
            order.life 1: Placed + Done -> Completed
            posts P7 5000
        ",
        ),
        each(
            "it has spent its budget, not for the first time",
            reach,
            &["Delivering"],
            |s| {
                s.hears(says(spent(5000)));
            },
            "
            activation.service 1: {from} + Spent -> Completed
            order.life 1: Placed + Done -> Completed
            posts P7 3500
        ",
        ),
        each(
            "it is paused",
            reach,
            RUNNING,
            |s| s.asks(pause()),
            "
            activation.service 1: {from} + Pause -> Paused
            wants Switch 1 #1 attempt=1 external_ref=a1 n=1 platform=ads run=false until=2592004000
        ",
        ),
        each(
            "the platform did as it was asked",
            reach,
            FLYING,
            |s| {
                s.hears(says(Switched { n: 1 }));
            },
            "
            activation.service 1: {from} + Switched -> {from}
        ",
        ),
        each(
            "the platform does not do what nobody asks any more",
            reach,
            FLYING,
            |s| {
                s.hears(says(SwitchRefused { n: 9, why: "busy".to_owned() }));
            },
            "
            activation.service 1: {from} + SwitchRefused -> {from}
        ",
        ),
        each(
            "the platform does not pause it",
            reach,
            &["Paused"],
            |s| {
                s.hears(says(SwitchRefused { n: 1, why: "busy".to_owned() }));
            },
            "
            activation.service 1: {from} + SwitchRefused -> Active
            holds switch_refused
        ",
        ),
        each(
            "the platform does not let it run again",
            |_| {
                let mut s = reach("Paused");
                s.done("Switch", Switched { n: 1 });
                s.asks(resume());
                s
            },
            &["Active"],
            |s| s.declined("Switch", SwitchRefused { n: 2, why: "busy".to_owned() }),
            "
            activation.service 1: {from} + SwitchRefused -> {from}
            holds switch_refused
        ",
        ),
        each(
            "its spend is asked for",
            reach,
            RUNNING,
            |s| s.due(PLACE, 1, "AskAgain"),
            "
            activation.service 1: {from} + AskAgain -> {from}
            wants InquireService 1 #1 attempt=1 external_ref=a1 platform=ads
        ",
        ),
        each(
            "its flight is over",
            reach,
            FLYING,
            |s| s.due(PLACE, 1, "FlightDue"),
            "
            activation.service 1: {from} + FlightDue -> Settling
            wants End 1 #1 attempt=1 external_ref=a1 platform=ads
        ",
        ),
        each(
            "somebody ends it",
            reach,
            ENDABLE,
            |s| s.asks(terminate()),
            "
            activation.service 1: {from} + Terminate -> Terminating
            wants End 1 #1 attempt=1 external_ref=a1 platform=ads
        ",
        ),
        each(
            "its order is turned down",
            turned_down,
            ENDABLE,
            |s| s.asks(review::reject(1)),
            "
            review.case 1: Claimed + Reject -> Rejected
            order.life 1: Placed + TurnedDown -> Cancelling
            activation.service 1: {from} + Stop -> Terminating
            wants End 1 #1 attempt=1 external_ref=a1 platform=ads
        ",
        ),
        each(
            "the platform says that it is over",
            reach,
            &["Active", "PartActive", "Paused"],
            |s| {
                s.hears(says(ended(2000)));
            },
            "
            activation.service 1: {from} + Ended -> Completed
            order.life 1: Placed + Waived -> Placed
            refund 1: New + Begin -> Sending
            posts P7 2000
            posts P9 card cust 3000
            wants SendBack 1 #0 amount=30.00 EUR attempt=1 channel=card reference=r1
        ",
        ),
        each(
            "the platform says that it is over, not for the first time",
            reach,
            &["Delivering"],
            |s| {
                s.hears(says(ended(2000)));
            },
            "
            activation.service 1: {from} + Ended -> Completed
            order.life 1: Placed + Waived -> Placed
            refund 1: New + Begin -> Sending
            posts P7 500
            posts P9 card cust 3000
            wants SendBack 1 #0 amount=30.00 EUR attempt=1 channel=card reference=r1
        ",
        ),
    ];
    all.extend(many.into_iter().flatten());
    all
}

fn winding() -> Vec<Case> {
    let stopped = |state: &str| {
        let mut s = reach(state);
        s.done("End", Stopped);
        s
    };
    let mut all = vec![
        case(
            "its final spend is known",
            || reach("Settling"),
            |s| s.done("End", ended(1500)),
            "
            activation.service 1: Settling + Ended -> Completed
            order.life 1: Placed + Waived -> Placed
            refund 1: New + Begin -> Sending
            posts P7 1500
            posts P9 card cust 3500
            wants SendBack 1 #0 amount=35.00 EUR attempt=1 channel=card reference=r1
        ",
        ),
        case(
            "an ended service has its final spend",
            || reach("Terminating"),
            |s| s.done("End", ended(1500)),
            "
            activation.service 1: Terminating + Ended -> Terminated
            order.life 1: Placed + Waived -> Placed
            refund 1: New + Begin -> Sending
            posts P7 1500
            posts P9 card cust 3500
            wants SendBack 1 #0 amount=35.00 EUR attempt=1 channel=card reference=r1
        ",
        ),
        case(
            "a service that was not there is activated once more",
            || never_there(Digital::default()),
            |s| s.done("End", nothing()),
            "
            activation.service 1: Terminating + Ended -> Planned
        ",
        ),
        case(
            "a service that was never there is given up",
            || {
                let mut policy = Digital::default();
                policy.activation.attempts = 1;
                never_there(policy)
            },
            |s| s.done("End", nothing()),
            "
            activation.service 1: Terminating + Ended -> ActivationFailed
            order.life 1: Placed + Waived -> Placed
            refund 1: New + Begin -> Sending
            order.life 1: Placed + Failed -> Cancelling
            payment.attempt 1: Captured + GiveBack -> Captured
            posts P9 card cust 5000
            wants SendBack 1 #0 amount=50.00 EUR attempt=1 channel=card reference=r1
        ",
        ),
        case(
            "a cancelled order's service has its final spend",
            || {
                let mut s = reach("Activating");
                s.asks(lifecycle::cancel());
                s
            },
            |s| s.done("End", nothing()),
            "
            activation.service 1: Terminating + Ended -> Terminated
            order.life 1: Cancelling + Waived -> Cancelling
            refund 1: New + Begin -> Sending
            payment.attempt 1: Captured + GiveBack -> Captured
            posts P9 card cust 5000
            wants SendBack 1 #0 amount=50.00 EUR attempt=1 channel=card reference=r1
        ",
        ),
        case(
            "a cancelled order's service had spent",
            || {
                let mut s = reach("Activating");
                s.asks(lifecycle::cancel());
                s
            },
            |s| s.done("End", ended(700)),
            "
            activation.service 1: Terminating + Ended -> Terminated
            order.life 1: Cancelling + Waived -> Cancelling
            refund 1: New + Begin -> Sending
            payment.attempt 1: Captured + GiveBack -> Captured
            posts P7 700
            posts P9 card cust 4300
            wants SendBack 1 #0 amount=43.00 EUR attempt=1 channel=card reference=r1
        ",
        ),
    ];
    let many = [
        each(
            "it spends while it is being ended",
            reach,
            WINDING,
            |s| {
                s.hears(says(spent(1500)));
            },
            "
            activation.service 1: {from} + Spent -> {from}
            posts P7 1500
        ",
        ),
        each(
            "the platform stopped it",
            reach,
            WINDING,
            |s| s.done("End", Stopped),
            "
            activation.service 1: {from} + Stopped -> {from}
        ",
        ),
        each(
            "the platform does not end it",
            reach,
            WINDING,
            |s| s.declined("End", EndRefused { why: "busy".to_owned() }),
            "
            activation.service 1: {from} + EndRefused -> {from}
            holds not_ended
        ",
        ),
        each(
            "the platform is told again to end it",
            |state| {
                let mut s = reach(state);
                s.gave_up("End", true);
                s
            },
            WINDING,
            |s| s.due(PLACE, 1, "AskAgain"),
            "
            activation.service 1: {from} + AskAgain -> {from}
            wants End 1 #1 attempt=1 external_ref=a1 platform=ads
        ",
        ),
        each(
            "the platform is asked for the final spend",
            stopped,
            WINDING,
            |s| s.due(PLACE, 1, "AskAgain"),
            "
            activation.service 1: {from} + AskAgain -> {from}
            wants InquireService 1 #1 attempt=1 external_ref=a1 platform=ads
        ",
        ),
        each(
            "the platform does not say that it stopped",
            reach,
            WINDING,
            |s| s.due(PLACE, 1, "SpendDue"),
            "
            activation.service 1: {from} + SpendDue -> {from}
            holds not_ended
        ",
        ),
        each(
            "the final spend does not come",
            stopped,
            &["Settling"],
            |s| s.due(PLACE, 1, "SpendDue"),
            "
            activation.service 1: {from} + SpendDue -> Completed
            order.life 1: Placed + Waived -> Placed
            refund 1: New + Begin -> Sending
            posts P9 card cust 5000
            wants SendBack 1 #0 amount=50.00 EUR attempt=1 channel=card reference=r1
            holds no_final_spend
        ",
        ),
        each(
            "the final spend of an ended service does not come",
            stopped,
            &["Terminating"],
            |s| s.due(PLACE, 1, "SpendDue"),
            "
            activation.service 1: {from} + SpendDue -> Terminated
            order.life 1: Placed + Waived -> Placed
            refund 1: New + Begin -> Sending
            order.life 1: Placed + Failed -> Cancelling
            payment.attempt 1: Captured + GiveBack -> Captured
            posts P9 card cust 5000
            wants SendBack 1 #0 amount=50.00 EUR attempt=1 channel=card reference=r1
            holds no_final_spend
        ",
        ),
        each(
            "it has spent no more than was settled",
            reach,
            &["Completed", "Terminated"],
            |s| {
                s.hears(says(spent(0)));
            },
            "
            activation.service 1: {from} + Spent -> {from}
        ",
        ),
        each(
            "it spends although it never ran",
            reach,
            &["ActivationFailed"],
            |s| {
                s.hears(says(spent(0)));
            },
            "
            activation.service 1: {from} + Spent -> {from}
            activation.service 1001: New + Remove -> Removing
            wants EndTwin 1001 #0 external_ref=a1 platform=ads
        ",
        ),
        each(
            "it has spent more than was settled",
            reach,
            &["Completed", "Terminated"],
            |s| {
                s.hears(says(spent(5700)));
            },
            "
            activation.service 1: {from} + Spent -> {from}
            holds spent_late
        ",
        ),
        each(
            "it is said once more to be over",
            reach,
            &["Completed", "Terminated"],
            |s| {
                s.hears(says(ended(0)));
            },
            "
            activation.service 1: {from} + Ended -> {from}
        ",
        ),
        each(
            "it is over although it never ran",
            reach,
            &["ActivationFailed"],
            |s| {
                s.hears(says(ended(0)));
            },
            "
            activation.service 1: {from} + Ended -> {from}
            activation.service 1001: New + Remove -> Removing
            wants EndTwin 1001 #0 external_ref=a1 platform=ads
        ",
        ),
    ];
    all.extend(many.into_iter().flatten());
    all
}

fn twins() -> Vec<Case> {
    let mut all = vec![
        case(
            "the platform says again that it looks at it",
            || reach("Active"),
            |s| {
                s.hears(says(reviewing("a1")));
            },
            "
            activation.service 1: Active + Reviewing -> Active
        ",
        ),
        case(
            "a second one is found once",
            || reach("Removing"),
            |s| {
                s.hears(says(spent_by("b2", 100)));
            },
            "
            activation.service 1: Active + Spent -> Active
        ",
        ),
        case(
            "a second one is told again to end",
            || {
                let mut s = reach("Removing");
                s.gave_up("EndTwin", true);
                s
            },
            |s| s.due(PLACE, 1001, "AskAgain"),
            "
            activation.service 1001: Removing + AskAgain -> Removing
            wants EndTwin 1001 #0 external_ref=b2 platform=ads
        ",
        ),
        case(
            "a second one does not end",
            || reach("Removing"),
            |s| s.declined("EndTwin", TwinRefused { why: "busy".to_owned() }),
            "
            activation.service 1001: Removing + TwinRefused -> Removing
            holds created_twice
        ",
        ),
        case(
            "a second one is ended, and spent nothing",
            || reach("Removing"),
            |s| s.done("EndTwin", TwinEnded { spent: eur(0) }),
            "
            activation.service 1001: Removing + TwinEnded -> Removed
        ",
        ),
        case(
            "what a second one spent is our loss",
            || reach("Removing"),
            |s| s.done("EndTwin", TwinEnded { spent: eur(1200) }),
            "
            activation.service 1001: Removing + TwinEnded -> Removed
            posts P19 ads 1200
            holds created_twice
        ",
        ),
    ];
    let many = [
        each(
            "a second one is looked at",
            reach,
            KNOWN,
            |s| {
                s.hears(says(reviewing("b2")));
            },
            "
            activation.service 1: {from} + Reviewing -> {from}
            activation.service 1001: New + Remove -> Removing
            wants EndTwin 1001 #0 external_ref=b2 platform=ads
        ",
        ),
        each(
            "a second one takes effect",
            reach,
            LATE,
            |s| {
                s.hears(says(available("b2")));
            },
            "
            activation.service 1: {from} + Available -> {from}
            activation.service 1001: New + Remove -> Removing
            wants EndTwin 1001 #0 external_ref=b2 platform=ads
        ",
        ),
        each(
            "a second one takes effect early",
            reach,
            &["PendingPlatformReview", "PlatformRejected", "PartActive"],
            |s| {
                s.hears(says(available("b2")));
            },
            "
            activation.service 1: {from} + Available -> {from}
            activation.service 1001: New + Remove -> Removing
            wants EndTwin 1001 #0 external_ref=b2 platform=ads
        ",
        ),
        each(
            "a second one spends",
            reach,
            KNOWN,
            |s| {
                s.hears(says(spent_by("b2", 100)));
            },
            "
            activation.service 1: {from} + Spent -> {from}
            activation.service 1001: New + Remove -> Removing
            wants EndTwin 1001 #0 external_ref=b2 platform=ads
        ",
        ),
        each(
            "a second one is over",
            reach,
            KNOWN,
            |s| {
                s.hears(says(ended_by("b2", 100)));
            },
            "
            activation.service 1: {from} + Ended -> {from}
            activation.service 1001: New + Remove -> Removing
            wants EndTwin 1001 #0 external_ref=b2 platform=ads
        ",
        ),
    ];
    all.extend(many.into_iter().flatten());
    all
}
