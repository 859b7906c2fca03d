//! Words that come twice, late, too early, or say something else than before.

use consign::ledger::Code;
use consign::machine::Call;
use consign::pipeline::Disposition::{Alarmed, Duplicate, Early, Moved, Noted, Stale};
use consign::pipeline::Physical;
use consign::stage::dispatch::Tracking;
use consign::stage::payment::{Authorised, CaptureFailed, Paid, attempt};
use consign::stage::refund::{Bounced, Repaid};
use consign::stage::review::Scored;

use super::{dispatch, graphs, lifecycle, payment, refund as back, review};
use crate::support::shop::{Shop, eur, order_of};

fn pays<E>(e: E) -> Call
where
    E: consign::machine::Evidence,
    attempt::M: consign::machine::HasInput<E>,
{
    attempt::M::evidence(1, e)
}

/// A fact that names itself, where it is told first, and how the instance comes to its end after it.
struct Fact {
    name: &'static str,
    at: fn() -> Shop,
    call: fn() -> Call,
    end: fn(&mut Shop),
}

const FACTS: &[Fact] = &[
    Fact {
        name: "Authorised",
        at: || payment::reach("Unknown"),
        call: || pays(payment::authorised(5000)),
        end: |s| {
            s.asks(attempt::M::command(1, consign::stage::payment::Release));
            s.done("Void", consign::stage::payment::HoldReleased);
        },
    },
    Fact {
        name: "Paid",
        at: || payment::reach("Unknown"),
        call: || pays(payment::paid(5000)),
        end: |s| {
            s.asks(lifecycle::cancel());
            s.done("SendBack", back::repaid(5000));
        },
    },
    Fact {
        name: "CaptureFailed",
        at: || payment::reach("Captured"),
        call: || pays(payment::capture_failed(5000)),
        end: |s| {
            s.asks(lifecycle::cancel());
        },
    },
    Fact {
        name: "Repaid",
        at: || back::reach("Unknown"),
        call: || back::says(back::repaid(1000)),
        end: |s| {
            s.asks(lifecycle::cancel());
            s.done("SendBack", back::repaid_as("b2", 4000));
        },
    },
    Fact {
        name: "Bounced",
        at: || back::reach("Succeeded"),
        call: || back::says(back::bounced(1000)),
        end: |s| {
            s.release_holds();
            s.asks(lifecycle::cancel());
            s.done("SendBack", back::repaid_as("b2", 5000));
        },
    },
    Fact {
        name: "RiskNotice",
        at: || review::reach("Queued"),
        call: review::notice,
        end: |s| s.asks(lifecycle::cancel()),
    },
    Fact {
        name: "Moving",
        at: || dispatch::reach("HandedOver"),
        call: || dispatch::scan("s1", Tracking::InTransit),
        end: |s| {
            s.hears(dispatch::delivered(1));
        },
    },
];

#[test]
fn a_fact_told_twice_is_known_also_after_the_end() {
    for fact in FACTS {
        let mut s = (fact.at)();
        assert_eq!(s.hears((fact.call)()), Moved, "{}", fact.name);
        for _ in 0..3 {
            assert_eq!(s.hears((fact.call)()), Duplicate, "{}", fact.name);
        }
        (fact.end)(&mut s);
        let (version, balances) = (s.order.version, s.balances());
        assert_eq!(s.hears((fact.call)()), Duplicate, "{} after the end", fact.name);
        assert_eq!((s.order.version, s.balances()), (version, balances), "nothing is recorded");
    }
}

#[test]
fn every_kind_of_word_that_moves_money_names_its_fact() {
    let named: Vec<&str> = FACTS.iter().map(|f| f.name).collect();
    let mut moving = Vec::new();
    for (_, graph) in graphs() {
        for row in graph.rows {
            let input = graph.inputs[usize::from(row.on)].name;
            let outcome = graph.inputs[usize::from(row.on)].class == consign::machine::Class::Outcome;
            let moves = [Code::P1, Code::P3, Code::P4, Code::P5, Code::P10, Code::P12];
            if outcome && moves.iter().any(|c| (row.may | row.must) & c.bit() != 0) {
                moving.push(input);
            }
        }
    }
    assert!(moving.iter().all(|m| named.contains(m)), "{moving:?}");
}

#[test]
fn t5_one_success_told_by_answer_webhook_and_inquiry_is_booked_once_in_any_order() {
    let mut answer_first = payment::reach("Sending");
    answer_first.done("Charge", payment::paid(5000));
    assert_eq!(answer_first.hears(pays(payment::paid(5000))), Duplicate);

    let mut webhook_first = payment::reach("Sending");
    assert_eq!(webhook_first.hears(pays(payment::paid(5000))), Moved);
    webhook_first.done("Charge", payment::paid(5000));
    assert_eq!(webhook_first.last.disposition, Noted, "the effect is settled all the same");
    assert!(!webhook_first.wants().contains(&"Charge 1".to_owned()));

    let mut inquiry_first = payment::reach("Sending");
    inquiry_first.due("payment.attempt", 1, "AnswerDue");
    inquiry_first.due("payment.attempt", 1, "AskAgain");
    inquiry_first.done("Inquire", payment::paid(5000));
    inquiry_first.done("Charge", payment::paid(5000));
    assert_eq!(inquiry_first.hears(pays(payment::paid(5000))), Duplicate);

    for s in [answer_first, webhook_first, inquiry_first] {
        assert_eq!(s.balances(), "psp:card 5000, cust -5000");
    }
}

#[test]
fn a_message_without_a_fact_of_its_own_is_told_apart_by_the_message() {
    let mut s = back::reach("Sending");
    assert_eq!(s.hears_in(7, back::says(back::accepted())), Moved);
    assert_eq!(s.hears_in(7, back::says(back::accepted())), Duplicate);
    s.hears(back::says(back::repaid(1000)));
    assert_eq!(s.hears_in(7, back::says(back::accepted())), Duplicate);
    assert_eq!(s.hears_in(8, back::says(back::accepted())), Stale);
    assert_eq!(s.hears_in(8, back::says(back::accepted())), Duplicate);
}

#[test]
fn a_word_of_lower_rank_is_kept_and_changes_nothing() {
    let told: Vec<(Shop, Call)> = vec![
        (payment::reach("Captured"), pays(payment::authorised(5000))),
        (payment::reach("Captured"), pays(payment::refused())),
        (payment::reach("Captured"), pays(payment::pended())),
        (payment::reach("Authorized"), pays(payment::redirect())),
        (payment::reach("Declined"), pays(payment::pended())),
        (payment::reach("Closing"), pays(payment::pended())),
        (payment::reach("Captured"), pays(consign::stage::payment::HoldExpired)),
        (back::reach("Succeeded"), back::says(back::declined())),
        (back::reach("Succeeded"), back::says(back::accepted())),
        (back::reach("Failed"), back::says(back::accepted())),
        (review::reach("AutoApproved"), review_says(review::scored(90))),
        (review::reach("Withdrawn"), review::notice()),
        (dispatch::reach("Delivered"), dispatch::scan("s9", Tracking::InTransit)),
        (dispatch::reach("Delivered"), dispatch::mislaid(1)),
        (dispatch::reach("Returning"), dispatch::delivered(1)),
        (dispatch::reach("ReturnedToSender"), dispatch::turned_back(1)),
    ];
    for (mut s, call) in told {
        let stood = s.pipeline.instances(&s.order);
        let balances = s.balances();
        let input = call.input;
        assert_eq!(s.hears(call.clone()), Stale, "{} input {input}\n{}", call.machine, s.show());
        assert_eq!((stood, balances), (s.pipeline.instances(&s.order), s.balances()));
        assert!(s.holds().is_empty() && s.last.told.is_empty(), "{}", s.show());
    }
}

fn review_says(e: Scored) -> Call {
    consign::stage::review::case::M::evidence(1, e)
}

#[test]
fn money_that_says_something_else_than_is_known_is_booked_held_and_raised() {
    let came: fn(Shop, Call, &str) = |mut s, call, books| {
        let stood = s.pipeline.instances(&s.order);
        assert_eq!(s.hears(call), Alarmed, "{}", s.show());
        assert_eq!((s.holds()[0], s.balances().as_str()), ("alarm", books));
        assert_eq!(stood, s.pipeline.instances(&s.order), "no state moves");
    };
    // What an attempt is said to have taken besides is asked about first.
    let confirmed: fn(Shop, i64, &[&str], &str) = |mut s, total, holds, books| {
        let before = s.balances();
        assert_eq!(s.hears(pays(payment::paid(700))), Moved, "{}", s.show());
        assert_eq!((s.balances(), s.holds().len()), (before, 0), "{}", s.show());
        s.done("Inquire", payment::paid(total));
        assert_eq!((s.holds().as_slice(), s.balances().as_str()), (holds, books), "{}", s.show());
    };
    let held = &["mismatch"];
    confirmed(payment::reach("Captured"), 5700, held, "psp:card 5700, cust -5000, suspense -700");
    confirmed(payment::reach("Mismatch"), 5600, held, "psp:card 5600, suspense -5600");
    confirmed(payment::reach("FailedLate"), 5700, held, "psp:card 700, suspense -700");
    // Of an order that wants no more it goes straight back.
    let back = "psp:card 5700, refund_due:card -700, earned -5000";
    confirmed(lifecycle::reach("Completed"), 5700, &[], back);
    confirmed(lifecycle::reach("Closed"), 5700, &[], back);
    // What left without an operation of ours leaves suspense in debit, which the books raise besides.
    let failed = || pays(payment::capture_failed(5000));
    let hold = "psp:card -5000, suspense 5000, hold:card 5000, hold_contra -5000";
    came(payment::reach("Authorized"), failed(), hold);
    came(payment::reach("Declined"), failed(), "psp:card -5000, suspense 5000");
    let left = || back::says(back::repaid_as("b7", 700));
    let pending = "psp:card 4300, cust -4000, refund_due:card -1000, suspense 700";
    came(back::reach("ApprovalPending"), left(), pending);
    let bounced = || back::says(back::bounced(300));
    let pending = "psp:card 5300, cust -4000, refund_due:card -1000, suspense -300";
    came(back::reach("ApprovalPending"), bounced(), pending);
    // A refund that was paid, and is paid again, is as unexplained; its own rows book it.
    let twice: fn(&str, &str) = |from, books| {
        let mut s = back::reach(from);
        s.hears(back::says(back::repaid_as("b7", 700)));
        assert_eq!((s.state("refund", 1), s.balances().as_str()), (from, books));
        assert_eq!(s.holds(), ["refund_mismatch", "books"]);
    };
    twice("Succeeded", "psp:card 3300, cust -4000, suspense 700");
    twice("Reversed", "psp:card 4300, cust -5000, suspense 700");
}

#[test]
fn goods_that_move_after_they_were_cancelled_raise_an_alarm() {
    let calls = [
        dispatch::accepted(1),
        dispatch::scan("s1", Tracking::InTransit),
        dispatch::mislaid(1),
        dispatch::delivered(1),
        dispatch::turned_back(1),
        dispatch::came_back(1),
    ];
    for call in calls {
        let mut s = dispatch::reach("Cancelled");
        assert_eq!(s.hears(call), Alarmed);
        assert_eq!((s.holds(), s.state("dispatch.parcel", 1)), (vec!["alarm"], "Cancelled"));
    }
}

#[test]
fn a_word_for_nobody_or_before_its_time_is_early_and_leaves_no_trace() {
    let new = || Shop::place(Physical::default(), order_of(5000));
    let early: Vec<(Shop, Call)> = vec![
        (new(), dispatch::delivered(1)),
        (new(), review::notice()),
        (dispatch::reach("Reserving"), dispatch::accepted(1)),
        (dispatch::reach("Released"), dispatch::accepted(1)),
        (dispatch::reach("Released"), dispatch::delivered(1)),
        (dispatch::reach("ReadyToHandOver"), dispatch::delivered(1)),
        (dispatch::reach("CancelRequested"), dispatch::came_back(1)),
        (dispatch::reach("Unreserving"), dispatch::scan("s1", Tracking::InTransit)),
    ];
    for (mut s, call) in early {
        let before = s.fingerprint();
        assert_eq!(s.hears(call), Early, "{}", s.show());
        assert_eq!(before, s.fingerprint());
    }
}

#[test]
fn words_that_came_too_early_are_taken_when_told_again() {
    let mut s = dispatch::reach("Released");
    assert_eq!(s.hears(dispatch::delivered(1)), Early);
    s.asks(dispatch::pack());
    assert_eq!(s.hears(dispatch::accepted(1)), Moved);
    assert_eq!(s.hears(dispatch::delivered(1)), Moved);
    assert_eq!(s.life(), "Completed");
}

/// What names a fact is what it says, not who carried it: another amount is another fact.
#[test]
fn facts_are_told_apart_by_reference_and_amount() {
    use consign::machine::Evidence;
    let paid = |r: &str, n: i64| payment::paid_on("card", r, n);
    let identity = |p: &Paid| p.identity().unwrap();
    assert_eq!(identity(&paid("r1", 1)), identity(&paid("r1", 1)));
    assert_ne!(identity(&paid("r1", 1)), identity(&paid("r2", 1)));
    assert_ne!(identity(&paid("r1", 1)), identity(&paid("r1", 2)));
    let a: Authorised = payment::authorised(1);
    let f: CaptureFailed = payment::capture_failed(1);
    let r: Repaid = back::repaid(1);
    let b: Bounced = back::bounced(1);
    for id in [a.identity(), f.identity(), r.identity(), b.identity()] {
        assert!(id.is_some_and(|id| id.contains(&eur(1).to_string())));
    }
}
