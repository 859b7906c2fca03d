//! Money that a channel tells of: each movement is booked once, by what it names, and what does not agree with the
//! payment it is about is asked about before it is believed.

use consign::id::Actor;
use consign::machine::Call;
use consign::money::Money;
use consign::pipeline::{Disposition, EffectAnswer, Physical};
use consign::stage::payment::{
    CaptureFailed, CaptureRefused, NotThere, Paid, Saw, Settle, StillHeld, attempt,
};

use super::payment::{
    adopt, authorised, capture_failed, collect, later, paid, paid_in, paid_in_part, paid_on, reach, redirect,
    start, start_again,
};
use super::{lifecycle, refund as back};
use crate::support::shop::{Shop, agent, order_in, order_of};

fn pays<E>(e: E) -> Call
where
    E: consign::machine::Evidence,
    attempt::M: consign::machine::HasInput<E>,
{
    attempt::M::evidence(1, e)
}

/// The number of the effect of this name that is wanted.
fn wanted(s: &Shop, name: &str) -> u64 {
    let found = s.order.wanted.iter().find(|w| w.name.ends_with(&format!("/{name}")));
    found.unwrap_or_else(|| panic!("no {name} is wanted\n{}", s.show())).id
}

fn wants(s: &Shop, name: &str) -> bool {
    s.order.wanted.iter().any(|w| w.name.ends_with(&format!("/{name}")))
}

/// Authorised, and captured in these parts, each answered under the payment's own reference.
fn captured_in(parts: &[i64]) -> Shop {
    let mut s = reach("Authorized");
    for part in parts {
        s.asks(collect(Some(*part)));
        s.done("Capture", paid_in_part(*part));
    }
    s
}

const WHOLE: &str = "psp:card 5000, cust -5000";

#[test]
fn a02_two_captures_of_one_sum_under_one_reference_are_two() {
    let s = captured_in(&[2500, 2500]);
    assert_eq!((s.balances().as_str(), s.state("payment.attempt", 1)), (WHOLE, "Captured"), "{}", s.show());
    assert!(!wants(&s, "Inquire") && !wants(&s, "SendBack"), "{}", s.show());
}

#[test]
fn a02_an_inquiry_tells_the_total_and_only_what_is_new_of_it_is_booked() {
    let mut s = captured_in(&[2000]);
    s.asks(collect(Some(3000)));
    s.lost("Capture");
    s.due("payment.attempt", 1, "AskAgain");
    s.done("Inquire", paid_in_part(5000));
    assert_eq!((s.balances().as_str(), s.state("payment.attempt", 1)), (WHOLE, "Captured"), "{}", s.show());
    assert!(!wants(&s, "SendBack") && s.holds().is_empty(), "{}", s.show());
}

#[test]
fn a02_an_inquiry_that_tells_no_more_than_is_booked_says_that_the_capture_did_not_happen() {
    let mut s = captured_in(&[2500]);
    s.asks(collect(Some(2500)));
    s.lost("Capture");
    s.due("payment.attempt", 1, "AskAgain");
    s.done("Inquire", paid_in_part(2500));
    assert_eq!(s.state("payment.attempt", 1), "Capturing", "the same capture is sent again\n{}", s.show());
    s.done("Capture", paid_in_part(2500));
    assert_eq!((s.balances().as_str(), s.state("payment.attempt", 1)), (WHOLE, "Captured"), "{}", s.show());
}

#[test]
fn a02_a_late_answer_to_a_capture_that_an_inquiry_told_of_is_known() {
    let mut s = captured_in(&[2000]);
    s.asks(collect(Some(3000)));
    s.due("payment.attempt", 1, "AnswerDue");
    s.due("payment.attempt", 1, "AskAgain");
    s.done("Inquire", paid_in_part(5000));
    s.done("Capture", paid_in_part(3000));
    assert_eq!((s.balances().as_str(), s.state("payment.attempt", 1)), (WHOLE, "Captured"), "{}", s.show());
    assert!(!wants(&s, "SendBack") && s.holds().is_empty(), "{}", s.show());
}

#[test]
fn a02_a_message_that_overtakes_its_answer_is_the_same_capture() {
    let mut s = reach("Authorized");
    s.asks(collect(Some(2500)));
    assert_eq!(s.hears(pays(paid_in_part(2500))), Disposition::Moved);
    s.done("Capture", paid_in_part(2500));
    let part = "psp:card 2500, cust -2500, hold:card 2500, hold_contra -2500";
    assert_eq!((s.balances().as_str(), s.state("payment.attempt", 1)), (part, "PartiallyCaptured"));
    s.asks(collect(Some(2500)));
    assert_eq!(s.hears(pays(paid_in_part(2500))), Disposition::Duplicate, "it cannot be told from the first");
    s.done("Capture", paid_in_part(2500));
    assert_eq!((s.balances().as_str(), s.state("payment.attempt", 1)), (WHOLE, "Captured"), "{}", s.show());
}

#[test]
fn a03_what_failed_in_another_currency_or_on_another_channel_is_raised_and_not_booked() {
    let yen = Money::new(9000, "JPY".parse().unwrap());
    let others = [
        CaptureFailed { amount: yen, ..capture_failed(1) },
        CaptureFailed { channel: "wallet".parse().unwrap(), ..capture_failed(5000) },
    ];
    for other in others {
        let mut s = reach("Captured");
        s.hears(pays(other));
        assert_eq!((s.balances().as_str(), s.state("payment.attempt", 1)), (WHOLE, "Captured"));
        assert_eq!(s.holds(), ["mismatch"], "{}", s.show());
    }
}

#[test]
fn a03_a_part_that_fails_late_takes_no_more_than_itself() {
    let mut s = reach("PartiallyCaptured");
    s.hears(pays(capture_failed(1000)));
    let books = "psp:card 2000, cust -2000, hold:card 2000, hold_contra -2000";
    assert_eq!((s.balances().as_str(), s.state("payment.attempt", 1)), (books, "PartiallyCaptured"));
    // While the next part is being captured too.
    let mut s = reach("PartiallyCaptured");
    s.asks(collect(None));
    s.hears(pays(capture_failed(1000)));
    assert_eq!((s.balances().as_str(), s.state("payment.attempt", 1)), (books, "Capturing"), "{}", s.show());
    s.done("Capture", paid(2000));
    assert_eq!(s.balances(), "psp:card 4000, cust -4000", "{}", s.show());
    s.release_holds();
    s.asks(lifecycle::cancel());
    assert!(s.last.told.contains("SendBack 1 #0 amount=40.00 EUR"), "{}", s.last.told);
}

#[test]
fn a03_more_than_was_taken_does_not_fail() {
    let mut s = reach("Captured");
    s.hears(pays(capture_failed(9000)));
    assert_eq!((s.balances().as_str(), s.state("payment.attempt", 1)), ("", "FailedLate"), "{}", s.show());
    assert!(s.last.told.contains("holds capture_failed"), "{}", s.show());
}

#[test]
fn a03_money_that_nobody_wanted_fails_out_of_suspense() {
    let mut s = reach("Declined");
    s.asks(lifecycle::cancel());
    s.hears(pays(paid(5000)));
    s.declined("SendBack", back::declined());
    assert_eq!(s.balances(), "psp:card 5000, suspense -5000");
    s.hears(pays(capture_failed(5000)));
    assert_eq!((s.balances().as_str(), s.state("payment.attempt", 1)), ("", "FailedLate"), "{}", s.show());
}

#[test]
fn a03_one_attempt_gives_back_no_money_of_another() {
    let mut s = Shop::place(later(), order_in(&[("shop", 10_000)], &[("card", 5000), ("wallet", 5000)]));
    s.asks(start(1));
    s.done("Charge", paid(4900));
    s.release_holds();
    assert_eq!(s.state("payment.attempt", 1), "Mismatch");
    s.asks(attempt::M::command(
        2,
        consign::stage::payment::Start {
            tender: 2.into(),
            channel: Some("card".parse().unwrap()),
            method: String::new(),
        },
    ));
    s.done("Charge", consign::stage::payment::Authorised { reference: "r2".to_owned(), ..authorised(5000) });
    s.asks(attempt::M::command(2, consign::stage::payment::Collect { amount_minor: None }));
    s.done("Capture", paid_on("card", "r2", 5100));
    assert!(s.last.told.contains("SendBack 1 #0 amount=1.00 EUR"), "{}", s.last.told);
    assert_eq!(s.order.books.suspense(), 4900, "{}", s.show());
}

#[test]
fn a10_money_for_an_attempt_that_never_began_is_booked_and_raised_and_no_payment_is_begun_beside_it() {
    let mut s = Shop::place(Physical::default(), order_of(5000));
    assert_eq!(s.hears(attempt::M::evidence(7, paid(5000))), Disposition::Alarmed);
    assert_eq!((s.balances().as_str(), s.holds()), ("psp:card 5000, suspense -5000", vec!["unplaced"]));
    for _ in 0..2 {
        assert_eq!(s.hears(attempt::M::evidence(7, paid(5000))), Disposition::Duplicate);
    }
    s.release_holds();
    let refused = s.tries_as(&agent("anna"), start_again(7, 1)).unwrap_err();
    assert!(refused.to_string().contains("unplaced"), "{refused}");
    s.asks(lifecycle::cancel());
    assert_eq!(s.life(), "Cancelling", "it does not end with money in suspense\n{}", s.show());
}

#[test]
fn a10_money_for_an_attempt_that_never_began_is_raised_at_the_end_too() {
    let mut s = Shop::place(Physical::default(), order_of(5000));
    s.asks(lifecycle::cancel());
    assert_eq!(s.life(), "Cancelled");
    assert_eq!(s.hears(attempt::M::evidence(1, paid(5000))), Disposition::Alarmed);
    assert!(s.order.is_open() && s.holds() == ["unplaced"], "{}", s.show());
}

#[test]
fn a10_money_that_came_twice_for_attempts_that_never_began_goes_back_twice() {
    let mut s = Shop::place(Physical::default(), order_of(5000));
    s.asks(lifecycle::cancel());
    for never in [41, 42] {
        s.hears(attempt::M::evidence(never, Paid { reference: format!("r{never}"), ..paid(5000) }));
    }
    s.release_holds();
    for (attempt, refund) in [(1, "SendBack 1"), (2, "SendBack 2")] {
        s.asks(adopt(attempt, 5000));
        s.done(refund, back::repaid(5000));
    }
    assert_eq!(s.order.books.suspense(), 0, "{}", s.show());
    let refused = s.tries_as(&agent("anna"), adopt(3, 1)).unwrap_err();
    assert!(refused.to_string().contains("not_there"), "{refused}");
}

/// The first session was closed and a second one is open; then the first is paid after all.
fn two_sessions() -> Shop {
    let mut s = reach("Closed");
    s.asks(start_again(2, 1));
    s.done("Charge 2", consign::stage::payment::ActionNeeded { reference: "s2".to_owned(), ..redirect() });
    s
}

#[test]
fn a12_the_first_session_is_paid_while_a_second_one_is_open_and_counts() {
    let mut s = two_sessions();
    s.hears(pays(paid(5000)));
    assert_eq!((s.balances().as_str(), s.state("payment.attempt", 1)), (WHOLE, "Captured"), "{}", s.show());
    assert_eq!(s.state("payment.attempt", 2), "Closing", "{}", s.show());
    s.done("Close", paid_on("card", "s2", 5000));
    assert_eq!(s.state("payment.attempt", 2), "Captured");
    assert!(s.last.told.contains("SendBack 1 #0 amount=50.00 EUR attempt=2"), "{}", s.last.told);
    s.done("SendBack", back::repaid(5000));
    assert_eq!(s.balances(), WHOLE, "{}", s.show());
}

#[test]
fn a12_the_first_session_is_paid_while_the_second_one_holds_money_and_the_second_is_released() {
    let mut s = reach("Closed");
    s.asks(start_again(2, 1));
    let second = consign::stage::payment::Authorised { reference: "s2".to_owned(), ..authorised(5000) };
    s.done("Charge 2", second);
    s.hears(pays(paid(5000)));
    assert_eq!(s.state("payment.attempt", 2), "Voiding", "{}", s.show());
    s.done("Void", consign::stage::payment::HoldReleased);
    assert_eq!(s.balances(), WHOLE, "{}", s.show());
}

#[test]
fn a17_a_late_recapture_counts_where_it_agrees_and_a_person_decides_about_the_rest() {
    let moved = |n: &str| Paid { movement: Some(n.to_owned()), ..paid(5000) };
    let failed_late = || {
        let mut s = reach("Sending");
        s.done("Charge", moved("m1"));
        s.hears(pays(capture_failed(5000)));
        s.release_holds();
        s
    };
    let mut s = failed_late();
    assert_eq!(s.hears(pays(moved("m1"))), Disposition::Duplicate);
    s.hears(pays(moved("m2")));
    assert_eq!((s.balances().as_str(), s.state("payment.attempt", 1)), (WHOLE, "Captured"), "{}", s.show());
    assert!(s.holds().is_empty(), "{}", s.show());

    // Under another reference it is asked about first: the total is what was taken in both.
    let mut s = failed_late();
    s.hears(pays(paid_on("card", "r9", 5000)));
    assert_eq!(s.balances(), "", "{}", s.show());
    s.done("Inquire", paid(10_000));
    assert_eq!((s.balances().as_str(), s.state("payment.attempt", 1)), (WHOLE, "Captured"), "{}", s.show());

    // Less than was asked for is a person's to decide.
    let mut s = failed_late();
    s.hears(pays(paid_on("card", "r9", 4000)));
    s.done("Inquire", paid(9000));
    assert_eq!((s.balances().as_str(), s.holds()), ("psp:card 4000, suspense -4000", vec!["mismatch"]));
    s.release_holds();
    s.asks(attempt::M::command(1, consign::stage::payment::AcceptMismatch));
    assert_eq!(s.balances(), "psp:card 4000, cust -4000", "{}", s.show());
}

#[test]
fn a24_in_each_state_that_waits_for_a_channel_a_person_settles_it_by_what_they_saw() {
    for state in ["Unknown", "Stuck", "Pending", "Closing", "CaptureUnknown", "Voiding"] {
        let mut s = reach(state);
        let word = |saw| super::payment::settle(saw);
        for by in [crate::support::shop::carla(), Actor::host("shop").unwrap(), Actor::system()] {
            assert!(s.tries_as(&by, word(Saw::Nothing)).is_err(), "{by} says what happened ({state})");
        }
        let unproved = attempt::M::command(1, Settle { saw: Saw::Nothing, proof: " ".to_owned() });
        assert!(s.tries_as(&agent("anna"), unproved).is_err(), "{state}");
        s.asks(word(Saw::Taken { total_minor: 5000, reference: Some("r1".to_owned()) }));
        assert_eq!((s.balances().as_str(), s.state("payment.attempt", 1)), (WHOLE, "Captured"), "{state}");
    }
}

#[test]
fn a24_above_the_limit_two_people_say_the_same() {
    for state in ["Unknown", "Stuck", "Pending", "Closing", "CaptureUnknown", "Voiding"] {
        let mut policy = later();
        policy.payment.second_person_over_minor = Some(4999);
        let mut s = super::payment::reach_under(policy, state);
        let saw = |saw| super::payment::settle(saw);
        s.asks(saw(Saw::Nothing));
        assert_eq!(s.state("payment.attempt", 1), state, "one word is not enough");
        let same = s.tries_as(&agent("anna"), saw(Saw::Nothing)).unwrap_err();
        assert!(same.to_string().contains("same_person"), "{same}");
        // Another word takes the place of the first, and waits in its turn.
        s.asks_as(&agent("bob"), saw(Saw::Released));
        assert_eq!(s.state("payment.attempt", 1), state);
        s.asks_as(&agent("anna"), saw(Saw::Released));
        assert_ne!(s.state("payment.attempt", 1), state, "{}", s.show());
    }
}

#[test]
fn a24_a_close_or_a_release_that_does_not_come_calls_a_person_and_asks_less_and_less_often() {
    for (state, effect, timer, code) in
        [("Closing", "Close", "CloseDue", "closing"), ("Voiding", "Void", "AnswerDue", "voiding")]
    {
        let mut s = reach(state);
        let begun = s.now;
        let mut calls = 0;
        while s.now.since(begun) < std::time::Duration::from_secs(48 * 3600) {
            s.lost(effect);
            s.due("payment.attempt", 1, timer);
            calls += 1;
        }
        assert!(calls < 80, "{calls} calls for {effect} in two days");
        assert_eq!(s.holds(), [code], "{}", s.show());
    }
}

#[test]
fn a20_a_still_held_that_was_asked_before_the_call_was_given_up_is_not_believed() {
    let mut s = reach("Capturing");
    s.due("payment.attempt", 1, "AnswerDue");
    s.due("payment.attempt", 1, "AskAgain");
    let asked = wanted(&s, "Inquire");
    s.lost("Capture");
    s.answers(asked, EffectAnswer::Done(StillHeld.into()));
    assert_eq!(s.state("payment.attempt", 1), "CaptureUnknown", "{}", s.show());
    assert!(!wants(&s, "Capture"), "{}", s.show());
}

#[test]
fn a20_a_call_that_was_withheld_is_no_attempt() {
    let mut s = reach("CaptureUnknown");
    for _ in 0..8 {
        s.due("payment.attempt", 1, "AskAgain");
        s.done("Inquire", StillHeld);
        let id = wanted(&s, "Capture");
        s.answers(id, EffectAnswer::Kept("keys mean nothing".to_owned()));
        assert_eq!(s.state("payment.attempt", 1), "CaptureUnknown", "{}", s.show());
    }
    assert!(!s.holds().contains(&"capture_lost"), "{}", s.show());
}

#[test]
fn a20_a_definite_refusal_counts_while_the_capture_is_unknown() {
    let mut s = reach("Capturing");
    s.due("payment.attempt", 1, "AnswerDue");
    s.declined("Capture", CaptureRefused { code: "expired_card".to_owned() });
    assert_eq!(s.state("payment.attempt", 1), "Authorized", "{}", s.show());
    assert_eq!(s.holds(), ["capture_refused"]);
}

#[test]
fn a20_a_refusal_of_what_was_sent_twice_is_asked_about() {
    let mut s = reach("CaptureUnknown");
    s.due("payment.attempt", 1, "AskAgain");
    s.done("Inquire", StillHeld);
    // It may be refused since the first call was carried out.
    s.declined("Capture", CaptureRefused { code: "already_captured".to_owned() });
    assert_eq!(s.state("payment.attempt", 1), "CaptureUnknown", "{}", s.show());
    s.due("payment.attempt", 1, "AskAgain");
    s.done("Inquire", paid(5000));
    assert_eq!((s.balances().as_str(), s.state("payment.attempt", 1)), (WHOLE, "Captured"), "{}", s.show());
}

#[test]
fn a21_a_not_there_that_was_asked_while_the_charge_was_under_way_closes_nothing() {
    let mut s = reach("Sending");
    s.due("payment.attempt", 1, "AnswerDue");
    for _ in 0..2 {
        s.due("payment.attempt", 1, "AskAgain");
        s.done("Inquire", NotThere);
    }
    assert_eq!(s.state("payment.attempt", 1), "Closing");
    s.declined("Close", consign::stage::payment::CloseRefused { code: "unknown".to_owned() });
    s.pass(6 * 60_000);
    s.done("Inquire", NotThere);
    assert_eq!(s.state("payment.attempt", 1), "Closing", "the charge is still under way\n{}", s.show());
}

#[test]
fn a22_a_message_of_another_amount_is_asked_about_and_books_nothing_by_itself() {
    let mut s = reach("Sending");
    s.hears(pays(paid(98_000)));
    assert_eq!((s.balances().as_str(), s.holds()), ("", Vec::new()), "{}", s.show());
    assert!(wants(&s, "Inquire"), "{}", s.show());
    s.done("Inquire", paid(5000));
    assert_eq!((s.balances().as_str(), s.state("payment.attempt", 1)), (WHOLE, "Captured"), "{}", s.show());

    let mut s = reach("Captured");
    s.hears(pays(paid_on("card", "r1", 84_000)));
    assert_eq!((s.balances().as_str(), s.holds()), (WHOLE, Vec::new()), "{}", s.show());
    s.done("Inquire", paid(5000));
    assert_eq!((s.balances().as_str(), s.holds()), (WHOLE, Vec::new()), "{}", s.show());
    assert_eq!(s.order.books.refundable(&"card".parse().unwrap()), 5000);
}

#[test]
fn a22_a_message_of_another_currency_channel_or_reference_is_asked_about() {
    let other_channel: Paid = paid_on("wallet", "r1", 5000);
    let other_reference: Paid = paid_on("card", "somebody-elses", 5000);
    for (from, message) in
        [("Sending", paid_in("JPY", 5000)), ("Sending", other_channel), ("Pending", other_reference)]
    {
        let mut s = reach(from);
        s.hears(pays(message));
        assert_eq!((s.balances().as_str(), s.state("payment.attempt", 1)), ("", from), "{}", s.show());
        assert!(wants(&s, "Inquire"), "{}", s.show());
    }
}

#[test]
fn a22_what_is_confirmed_is_booked_and_raised_and_what_nobody_confirms_is_raised() {
    let mut s = reach("Captured");
    s.hears(pays(paid_on("card", "r1", 700)));
    s.done("Inquire", paid(5700));
    assert_eq!(s.balances(), "psp:card 5700, cust -5000, suspense -700", "{}", s.show());
    assert_eq!(s.holds(), ["mismatch"]);

    let mut s = reach("Captured");
    s.hears(pays(paid_on("card", "r1", 700)));
    s.lost("Inquire");
    assert_eq!((s.balances().as_str(), s.holds()), (WHOLE, vec!["unconfirmed"]), "{}", s.show());
}

#[test]
fn a22_an_authorisation_of_another_amount_is_asked_about() {
    let mut s = reach("Sending");
    s.hears(pays(authorised(98_000)));
    assert_eq!((s.balances().as_str(), s.state("payment.attempt", 1)), ("", "Sending"), "{}", s.show());
    assert!(wants(&s, "Inquire"), "{}", s.show());
}
