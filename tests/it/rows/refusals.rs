//! What is refused, and with which word. A refused command leaves the order as it was, to the byte.

use std::collections::{BTreeMap, BTreeSet};

use consign::id::{Actor, Key};
use consign::machine::{Call, Class};
use consign::pipeline::lifecycle::{Place, lifecycle};
use consign::pipeline::{Event, EventKind, Mixed, Physical, Pipeline, Progress, Refused, mixed};
use consign::stage::aftersales::{Reason, Resolution, Verdict};
use consign::stage::correction::Entry;
use consign::stage::payment::{
    AcceptMismatch, Anew, Cancel, CustomerBack, FundsPolicy, RefuseMismatch, Release, Start, attempt,
};
use consign::stage::refund::{ApproveRefund, CancelRefund, Saw, ShortBalance, refund};
use consign::stage::review::{Escalate, Expedite, HandBack, Snooze, SupplyInfo, case};

use super::{
    activation, aftersales, amend, carriers, cases, dispatch, graphs, lifecycle as life, owed, parcels,
    payment, refund as back, review,
};
use crate::names_and_versions::ready;
use crate::support::shop::{Shop, agent, carla, order_in};

/// One of every command of the ready pipelines, to instance 1.
pub(super) fn samples() -> Vec<Call> {
    let escalate = Escalate { reason: "odd".to_owned() };
    let supply = SupplyInfo { answer: "my sister".to_owned() };
    vec![
        lifecycle::M::command(1, Place),
        life::cancel(),
        life::request_return(),
        payment::start(1),
        attempt::M::command(1, Cancel),
        attempt::M::command(1, CustomerBack),
        payment::collect(None),
        attempt::M::command(1, Release),
        attempt::M::command(1, AcceptMismatch),
        attempt::M::command(1, RefuseMismatch),
        payment::adopt(1, 5000),
        payment::settle(consign::stage::payment::Saw::Nothing),
        attempt::M::command(1, Anew),
        review::claim(),
        case::M::command(1, HandBack { token: 1 }),
        review::approve(1),
        review::reject(1),
        case::M::command(1, escalate),
        review::request_info(),
        case::M::command(1, supply),
        case::M::command(1, Snooze { token: 1, for_ms: 60_000 }),
        case::M::command(1, Expedite),
        amend::amend_to(&[("shop", 4000)], &[("card", 4000)]),
        owed::give(1_000),
        review::contribute("offer"),
        review::appeal(),
        review::second_look(false),
        review::label(),
        dispatch::pack(),
        parcels::pick_short("from-shop", 1),
        dispatch::hand_over(1),
        dispatch::hold("address"),
        dispatch::unhold("address"),
        dispatch::confirm_stop(1),
        owed::call_off(1),
        carriers::intercept(),
        back::request(1, 1000),
        refund::M::command(1, ApproveRefund),
        refund::M::command(1, CancelRefund),
        back::another_way(1),
        back::settled_by_word(Saw::NotPaid),
        super::correction::propose(Entry::WriteOff, 1),
        super::correction::agree(),
        super::correction::withdraw(),
        activation::pause(),
        activation::resume(),
        activation::terminate(),
        activation::resubmit(),
        activation::appeal(),
        aftersales::ask_return(1, aftersales::units(0, 1), Reason::Wrong, Resolution::Refund),
        aftersales::ask_claim(1, aftersales::units(0, 1), Reason::Wrong, Resolution::Refund),
        aftersales::approve(1),
        aftersales::decline(),
        aftersales::label(),
        aftersales::withdraw(),
        aftersales::receive(1, aftersales::units(0, 1)),
        aftersales::inspect(1, &[(0, 1, Verdict::Restock)]),
        aftersales::conclude(1, Vec::new()),
    ]
}

fn ask(pipeline: &Pipeline, order: &Progress, call: Call) -> Result<(), Refused> {
    let kind = EventKind::Command { call, command: None };
    let event = Event { kind, by: agent("anna"), occurred: None };
    let now = order.updated_at;
    pipeline.step(order, event, now).unwrap().map(|_| ())
}

/// An order for every state that a case begins or ends in: its pipeline, the order, and the instance.
fn reached() -> BTreeMap<(&'static str, &'static str), (&'static str, Progress, Key)> {
    let mut all = BTreeMap::new();
    let known = graphs();
    let mut note = |shop: &Shop| {
        let ready = shop.pipeline.instances(&shop.order).into_iter();
        // Some cases compose a pipeline of their own around the machines of the library.
        for (place, key, state) in ready.filter(|(place, ..)| known.iter().any(|(p, _)| p == place)) {
            all.entry((place, state)).or_insert_with(|| (shop.pipeline.name(), shop.order.clone(), key));
        }
    };
    for case in cases() {
        let mut shop = (case.at)();
        note(&shop);
        (case.then)(&mut shop);
        note(&shop);
    }
    all
}

#[test]
fn every_command_without_a_row_is_refused_and_changes_nothing() {
    let pipelines = ready();
    let graphs = graphs();
    let reached = reached();
    let samples = samples();
    for (place, graph) in &graphs {
        for state in graph.states {
            assert!(reached.contains_key(&(place, state.name)), "no case is in {place} {}", state.name);
        }
        for (at, input) in graph.inputs.iter().enumerate() {
            let sampled = samples.iter().any(|c| c.machine == *place && usize::from(c.input) == at);
            assert_eq!(sampled, input.class == Class::Command, "{place} {}", input.name);
        }
    }
    for ((place, state), (pipeline, order, key)) in &reached {
        let pipeline = pipelines.iter().find(|p| p.name() == *pipeline).unwrap();
        let graph = graphs.iter().find(|(p, _)| p == place).unwrap().1;
        let bit = 1u64 << graph.state(state).unwrap();
        let takes = |input: u8| graph.rows.iter().any(|r| r.from & bit != 0 && r.on == input);
        let accepted: BTreeSet<&str> = (0u8..)
            .zip(graph.inputs)
            .filter(|(at, i)| i.class == Class::Command && takes(*at))
            .map(|(_, i)| i.name)
            .collect();
        for call in samples.iter().filter(|c| c.machine == *place && !takes(c.input)) {
            let name = graph.inputs[usize::from(call.input)].name;
            let before = format!("{order:?}");
            match ask(pipeline, order, Call { key: *key, ..call.clone() }) {
                Err(Refused::NoRow { state: at, command, accepts, .. }) => {
                    assert_eq!((at, command), (*state, name));
                    assert_eq!(accepts.into_iter().collect::<BTreeSet<_>>(), accepted);
                }
                other => panic!("{place} {state} + {name}: {other:?}"),
            }
            assert_eq!(before, format!("{order:?}"), "{place} {state} + {name}");
        }
    }
}

#[test]
fn a_command_to_nobody_is_refused() {
    let pipeline = mixed(Mixed::default()).unwrap();
    let order = Shop::place(Mixed::default(), crate::support::shop::order_of(5000)).order;
    let graphs = graphs();
    for call in samples() {
        let graph = graphs.iter().find(|(p, _)| *p == call.machine).unwrap().1;
        let begins = graph.rows.iter().any(|r| r.from_name == "New" && r.on == call.input);
        if !begins {
            let said = ask(&pipeline, &order, Call { key: Key(9), ..call });
            assert!(matches!(said, Err(Refused::UnknownInstance { key: Key(9), .. })), "{said:?}");
        }
    }
    let said = ask(&pipeline, &order, payment::start(1).named("payment.voucher"));
    assert!(matches!(said, Err(Refused::UnknownMachine { .. })), "{said:?}");
    let event = Event { kind: EventKind::Release { hold: 1 }, by: agent("anna"), occurred: None };
    let said = pipeline.step(&order, event, order.updated_at).unwrap();
    assert!(matches!(said, Err(Refused::UnknownHold { hold: 1 })));
}

/// Whom it refuses, what, and in which word.
struct Refusal {
    at: Box<dyn Fn() -> Shop>,
    by: Actor,
    call: Call,
    code: &'static str,
}

fn refusal(at: impl Fn() -> Shop + 'static, call: Call, code: &'static str) -> Refusal {
    Refusal { at: Box::new(at), by: agent("anna"), call, code }
}
fn refusal_of(by: Actor, at: impl Fn() -> Shop + 'static, call: Call, code: &'static str) -> Refusal {
    Refusal { by, ..refusal(at, call, code) }
}

/// Delivered on credit and paid by the second tender alone: the first is still authorised.
fn completed_with_an_authorisation() -> Shop {
    let mut policy = payment::later();
    policy.payment.funds = FundsPolicy::OnDelivery;
    let order = order_in(&[("shop", 5000)], &[("card", 3000), ("card", 2000)]);
    let mut s = Shop::place(policy, order);
    s.asks(payment::start(1));
    s.done("Charge", payment::authorised(3000));
    s.asks(payment::start(2));
    s.done("Charge", payment::paid_on("card", "r2", 5000));
    s.release_holds();
    s.asks(attempt::M::command(2, AcceptMismatch));
    s.done("Score", review::scored(3));
    s.done("Reserve", consign::stage::dispatch::InStock);
    s.asks(dispatch::pack());
    s.asks(dispatch::hand_over(1));
    s.hears(dispatch::delivered(1));
    assert_eq!(s.life(), "Completed", "{}", s.show());
    s
}

/// One tender of two took the whole price.
fn paid_by_the_other_tender() -> Shop {
    let order = order_in(&[("shop", 5000)], &[("card", 3000), ("card", 2000)]);
    let mut s = Shop::place(Physical::default(), order);
    s.asks(payment::start(2));
    s.done("Charge", payment::paid_on("card", "r2", 5000));
    s.release_holds();
    s.asks(attempt::M::command(2, AcceptMismatch));
    s
}

/// The money that was to be accepted is on its way back already.
fn mismatch_given_back() -> Shop {
    let mut s = payment::reach("Mismatch");
    s.asks(back::request(1, 4900));
    s
}

/// Rejected four times.
fn resubmitted_thrice() -> Shop {
    let mut s = activation::reach("PlatformRejected");
    for revision in 1..=3 {
        s.asks(activation::resubmit());
        s.hears(activation::says(activation::rejected(revision)));
    }
    s
}

fn refusals() -> Vec<Refusal> {
    let bob = || agent("bob");
    let no_tender = Start { tender: Key(9), channel: None, method: String::new() };
    let lapsed = || {
        let mut s = review::reach("Claimed");
        s.due("review.case", 1, "LeaseDue");
        s.asks(review::claim());
        s
    };
    let snooze = case::M::command(1, Snooze { token: 1, for_ms: 60_000 });
    let hand_back = case::M::command(1, HandBack { token: 1 });
    let escalate = case::M::command(1, Escalate { reason: "odd".to_owned() });
    let resent = || {
        let mut s = back::reach("Sending");
        s.done("SendBack", ShortBalance);
        s.due("refund", 1, "AskAgain");
        s
    };
    let called_back = || {
        let mut s = dispatch::reach("HandedOver");
        s.asks(life::request_return());
        s
    };
    let unpaid = || {
        let mut s = dispatch::reach_under(payment::later(), "Released");
        s.asks(dispatch::pack());
        s
    };
    vec![
        refusal(|| life::reach("Cancelled"), payment::start_again(2, 1), "not_wanted"),
        refusal(|| life::reach("Completed"), payment::start_again(2, 1), "not_wanted"),
        refusal(|| life::reach("Placed"), attempt::M::command(1, no_tender), "unknown_tender"),
        refusal(|| payment::reach("Unknown"), payment::start_again(2, 1), "tender_busy"),
        refusal(|| payment::reach("Closing"), payment::start_again(2, 1), "tender_busy"),
        refusal(|| payment::reach("Captured"), payment::start_again(2, 1), "tender_busy"),
        refusal(paid_by_the_other_tender, payment::start(1), "nothing_due"),
        refusal(completed_with_an_authorisation, payment::collect(None), "not_wanted"),
        refusal(|| payment::reach("Authorized"), payment::collect(Some(0)), "not_positive"),
        refusal(|| payment::reach("Authorized"), payment::collect(Some(-1)), "not_positive"),
        refusal(|| payment::reach("Authorized"), payment::collect(Some(5001)), "exceeds_authorized"),
        refusal(|| payment::reach("PartiallyCaptured"), payment::collect(Some(2001)), "exceeds_authorized"),
        refusal(|| payment::reach_under(payment::gated(), "Authorized"), payment::collect(None), "gate_shut"),
        refusal(
            || {
                let mut s = payment::reach("Sending");
                s.done("Charge", payment::authorised(6000));
                s
            },
            payment::collect(Some(5001)),
            "exceeds_authorized",
        ),
        refusal(
            || {
                let mut s = payment::reach("Sending");
                s.done("Charge", payment::paid(5100));
                s.release_holds();
                s
            },
            attempt::M::command(1, AcceptMismatch),
            "exceeds_due",
        ),
        refusal_of(carla(), || review::reach("Queued"), review::claim(), "four_eyes"),
        refusal_of(bob(), || review::reach("PendingSecond"), review::claim(), "four_eyes"),
        refusal_of(bob(), || review::reach("PendingSecond"), review::approve(1), "four_eyes"),
        refusal_of(bob(), || review::reach("PendingSecond"), review::reject(1), "four_eyes"),
        refusal_of(carla(), || review::reach("PendingSecond"), review::approve(0), "four_eyes"),
        refusal_of(bob(), lapsed, review::approve(1), "stale_lease"),
        refusal_of(bob(), lapsed, review::reject(1), "stale_lease"),
        refusal_of(bob(), lapsed, review::request_info(), "stale_lease"),
        refusal_of(bob(), lapsed, snooze, "stale_lease"),
        refusal_of(bob(), lapsed, hand_back, "stale_lease"),
        refusal_of(bob(), lapsed, escalate, "stale_lease"),
        refusal_of(bob(), lapsed, review::approve(2), "stale_lease"),
        refusal(lapsed, review::approve(1), "stale_lease"),
        refusal(|| dispatch::reach("OnHold"), dispatch::hold("address"), "held_already"),
        refusal(|| dispatch::reach("OnHold"), dispatch::unhold("customs"), "not_held"),
        refusal(unpaid, dispatch::hand_over(1), "lacks collected"),
        refusal(|| payment::reach("Captured"), back::request(1, 0), "not_positive"),
        refusal(|| payment::reach("Captured"), back::request(1, -5000), "not_positive"),
        refusal(|| payment::reach("Captured"), back::request(1, i64::MAX), "exceeds_refundable"),
        refusal(|| payment::reach("Captured"), back::request(1, 5001), "exceeds_refundable"),
        refusal(|| payment::reach("Authorized"), back::request(1, 1), "exceeds_refundable"),
        refusal(|| payment::reach("Captured"), back::request_on("cash", 1, 1), "exceeds_refundable"),
        refusal(|| back::reach("Unknown"), back::request(2, 4001), "exceeds_refundable"),
        refusal(|| back::reach("Succeeded"), back::request(2, 4001), "exceeds_refundable"),
        refusal(|| back::reach("ApprovalPending"), back::request(2, 4001), "exceeds_refundable"),
        refusal(|| back::reach("ApprovalPending"), refund::M::command(1, ApproveRefund), "four_eyes"),
        refusal(|| back::reach("Pending"), refund::M::command(1, CancelRefund), "at_the_channel"),
        refusal(resent, refund::M::command(1, CancelRefund), "at_the_channel"),
        refusal(|| dispatch::reach("HandedOver"), life::cancel(), "executing"),
        refusal_of(carla(), || dispatch::reach("Released"), life::cancel(), "approved"),
        refusal(|| life::reach("Placed"), lifecycle::M::command(2, Place), "placed_already"),
        refusal(|| life::reach("Placed"), life::request_return(), "nothing_out"),
        refusal(|| dispatch::reach("Released"), life::request_return(), "nothing_out"),
        refusal(called_back, life::request_return(), "returning"),
        refusal(resubmitted_thrice, activation::resubmit(), "resubmissions_used"),
        refusal(resubmitted_thrice, activation::appeal(), "resubmissions_used"),
        refusal(|| activation::reach("Active"), life::cancel(), "executing"),
        refusal(|| activation::reach("Terminating"), life::cancel(), "executing"),
        refusal_of(carla(), || activation::reach("PendingPlatformReview"), life::cancel(), "approved"),
        refusal(mismatch_given_back, attempt::M::command(1, AcceptMismatch), "invariant"),
    ]
}

#[test]
fn every_refusal_has_its_word_and_changes_nothing() {
    for (n, r) in refusals().into_iter().enumerate() {
        let mut shop = (r.at)();
        let said = shop.tries_as(&r.by, r.call);
        let code = match &said {
            Err(Refused::Refused { code, .. }) => (*code).to_owned(),
            Err(Refused::Lacks { proof, .. }) => format!("lacks {proof}"),
            Err(Refused::Invariant(_)) => "invariant".to_owned(),
            other => panic!("refusal {n}, {}: {other:?}\n{}", r.code, shop.show()),
        };
        assert_eq!(code, r.code, "refusal {n}");
    }
}

#[test]
fn a_held_order_takes_no_command_that_moves_money_or_goods_and_still_hears() {
    let held = |mut s: Shop| {
        s.hears(attempt::M::evidence(9, payment::paid_on("card", "twice", 700)));
        assert_eq!(s.holds(), ["unplaced"]);
        s
    };
    let moving: Vec<(Shop, Call)> = vec![
        (held(payment::reach("Captured")), back::request(1, 1000)),
        (held(dispatch::reach("Released")), dispatch::pack()),
        (held(dispatch::reach("ReadyToHandOver")), dispatch::hand_over(1)),
        (held(review::reach("Claimed")), review::reject(1)),
        (held(activation::reach("Active")), activation::pause()),
        (held(activation::reach("Delivering")), activation::terminate()),
        (held(activation::reach("PlatformRejected")), activation::resubmit()),
    ];
    for (mut s, call) in moving {
        let said = s.tries_as(&agent("bob"), call.clone());
        assert!(matches!(said, Err(Refused::Held { .. })), "{said:?}");
        s.release_holds();
        s.asks_as(&agent("bob"), call);
    }
    let mut s = held(dispatch::reach("HandedOver"));
    s.hears(dispatch::delivered(1));
    assert_eq!(s.state("dispatch.parcel", 1), "Delivered");
    let mut s = held(payment::reach("Captured"));
    s.asks(life::cancel());
    assert_eq!(s.life(), "Cancelling", "a held order may still be called off");
}
