//! The rows of a service.

mod flight;
mod start;

use consign::machine::{Call, Evidence, HasInput, Told};
use consign::pipeline::{Digital, Outstanding, Physical};
use consign::stage::activation::{
    ActivationPolicy, ActivationRefused, Appeal, Available, EarnPolicy, EndRefused, Ended, NotThere, Pause,
    Rejected, Rest, Resubmit, Resume, Reviewing, Run, Spent, Stopped, SubmitRefused, Switch, SwitchRefused,
    Switched, Terminate, TwinEnded, TwinRefused, service,
};

use super::{Case, case, each, lifecycle, payment, refund, review};
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

pub(super) fn cases() -> Vec<Case> {
    let mut all = start::planned();
    all.extend(start::fresh());
    all.extend(start::judged());
    all.extend(flight::running());
    all.extend(flight::winding());
    all.extend(flight::twins());
    all.extend(flight::due_again());
    all
}
