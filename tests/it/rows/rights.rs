//! Who may ask what, how many people it takes, and what a hold keeps back.

use consign::id::Actor;
use consign::machine::{Call, Gates};
use consign::pipeline::{EffectAnswer, EventKind, Hold, Phase, Physical, Refused};
use consign::stage::payment::attempt;
use consign::stage::refund::{
    AccountClosed, ApproveRefund, CancelRefund, RefundMissing, Saw, ShortBalance, refund,
};

use super::{aftersales, amend, dispatch, lifecycle, payment, refund as back, review};
use crate::support::shop::{Shop, agent, carla};

fn approve(key: u32) -> Call {
    refund::M::command(key, ApproveRefund)
}
/// With which word it is refused.
fn refused(s: &mut Shop, by: &Actor, call: Call) -> String {
    match s.tries_as(by, call) {
        Err(Refused::Refused { code, .. }) => code.to_owned(),
        Err(Refused::NotAllowed { .. }) => "not allowed".to_owned(),
        Err(Refused::Held { holds }) => format!("held: {}", holds.join(", ")),
        Err(Refused::Invariant(broken)) => format!("invariant: {broken}"),
        other => format!("{other:?}"),
    }
}
fn host() -> Actor {
    Actor::host("shop").unwrap()
}
/// One person may give back 10.00 of an order.
fn ten() -> Physical {
    let mut p = Physical::default();
    p.refund.approval_over_minor = Some(1_000);
    p
}
/// What an order would send out now, and what it holds back.
fn sends(s: &Shop) -> (usize, usize) {
    let back = s.order.wanted.iter().filter(|w| w.name.ends_with("SendBack"));
    let (held, free): (Vec<_>, Vec<_>) = back.partition(|w| w.is_held_back());
    (free.len(), held.len())
}
fn put_off(s: &mut Shop, effect: &str) {
    let id = s.order.wanted.iter().find(|w| w.name.ends_with(effect)).unwrap().id;
    let later = s.now.saturating_add(std::time::Duration::from_secs(60));
    s.tells(EventKind::Retry { effect: id, not_before: Some(later), sent: false });
}

// ---- A3: a part is a part

#[test]
fn a03_a_part_of_a_refund_that_bounces_is_booked_as_a_part_and_may_come_again() {
    let mut s = back::reach("Succeeded");
    s.hears(back::says(back::bounced_as("b-1", 10)));
    assert_eq!((s.state("refund", 1), s.balances().as_str()), ("Succeeded", "psp:card 4010, cust -4010"));
    assert_eq!(s.order.books.refundable(&"card".parse().unwrap()), 4010);
    s.release_holds();
    assert_eq!(refused(&mut s, &agent("anna"), back::request(2, 4011)), "exceeds_refundable");
    // The same word again is known; another part is another.
    s.hears(back::says(back::bounced_as("b-1", 10)));
    s.hears(back::says(back::bounced_as("b-2", 490)));
    assert_eq!((s.state("refund", 1), s.balances().as_str()), ("Succeeded", "psp:card 4500, cust -4500"));
    // The last part, and more than was ever paid back: the rest belongs to nobody.
    s.hears(back::says(back::bounced_as("b-3", 700)));
    let books = "psp:card 5200, cust -5000, suspense -200";
    assert_eq!((s.state("refund", 1), s.balances().as_str()), ("Reversed", books));
    assert!(s.holds().contains(&"refund_mismatch"), "{:?}", s.holds());
}

#[test]
fn a03_money_of_another_currency_or_channel_is_not_the_refunds() {
    let yen = |minor| consign::money::Money::new(minor, "JPY".parse().unwrap());
    let wallet = || "wallet".parse().unwrap();
    let came: fn(&str, Call, &str) = |from, call, books| {
        let mut s = back::reach(from);
        s.hears(call);
        assert_eq!((s.state("refund", 1), s.balances().as_str()), (from, books), "{}", s.show());
        assert!(s.holds().contains(&"refund_mismatch"), "{:?}", s.holds());
    };
    let (paid, sent) = ("psp:card 4000, cust -4000", "psp:card 5000, cust -4000, refund_due:card -1000");
    came(
        "Succeeded",
        back::says(consign::stage::refund::Bounced { amount: yen(1000), ..back::bounced(1) }),
        paid,
    );
    let other = consign::stage::refund::Bounced { channel: wallet(), ..back::bounced(300) };
    came("Succeeded", back::says(other), "psp:card 4000, psp:wallet 300, cust -4000, suspense -300");
    came("Unknown", back::says(back::repaid_in("JPY", 1000)), sent);
    let other = consign::stage::refund::Repaid { channel: wallet(), ..back::repaid(1000) };
    let left = "psp:card 5000, psp:wallet -1000, cust -4000, refund_due:card -1000, suspense 1000";
    came("Pending", back::says(other), left);
    came("Failed", back::says(back::repaid_in("JPY", 1000)), "psp:card 5000, cust -5000");
}

#[test]
fn a03_what_came_back_before_anybody_said_that_it_was_paid_had_been_paid() {
    for from in ["Sending", "Unknown", "Pending", "RequiresAction", "Failed"] {
        let mut s = back::reach(from);
        s.hears(back::says(back::bounced_as("b-9", 300)));
        assert_eq!((s.state("refund", 1), s.balances().as_str()), ("Succeeded", "psp:card 4300, cust -4300"));
        // The word that it was paid comes after, and moves nothing any more.
        s.hears(back::says(back::repaid(1000)));
        assert_eq!((s.state("refund", 1), s.balances().as_str()), ("Succeeded", "psp:card 4300, cust -4300"));
        let mut s = back::reach(from);
        s.hears(back::says(back::bounced_as("b-9", 1000)));
        s.hears(back::says(back::repaid(1000)));
        assert_eq!((s.state("refund", 1), s.balances().as_str()), ("Reversed", "psp:card 5000, cust -5000"));
    }
}

#[test]
fn a03_a_refund_that_is_paid_in_two_parts_is_booked_as_two_and_no_more() {
    let mut s = back::reach("Sending");
    s.done("SendBack", back::repaid(900));
    assert_eq!(s.balances(), "psp:card 4100, cust -4100");
    s.hears(back::says(back::repaid_as("b2", 100)));
    assert_eq!(s.balances(), "psp:card 4000, cust -4000");
    s.hears(back::says(back::repaid_as("b3", 100)));
    assert_eq!(s.balances(), "psp:card 3900, cust -4000, suspense 100");
    assert!(s.holds().contains(&"books"), "{:?}", s.holds());
}

// ---- A4: what is not sent is looked at again

#[test]
fn a04_a_refund_that_was_put_off_stays_in_when_its_capture_fails() {
    let mut s = back::reach("Sending");
    put_off(&mut s, "SendBack");
    assert_eq!(sends(&s), (1, 0));
    s.hears(attempt::M::evidence(1, payment::capture_failed(5000)));
    assert_eq!(sends(&s), (0, 1), "{}", s.show());
    assert!(s.order.wake_at().is_none_or(|at| at.millis() < i64::MAX));
    // A person looked, and there still is no money that it could be paid from.
    s.release_holds();
    assert_eq!(sends(&s), (0, 1));
    // Once there is, it goes out by itself.
    s.asks(payment::start_again(2, 1));
    s.done("Charge", payment::paid_on("card", "r2", 5000));
    s.release_holds();
    assert_eq!(sends(&s), (1, 0), "{}", s.show());
}

#[test]
fn a04_a_refund_is_looked_at_again_when_the_second_person_lets_it_go() {
    let mut s = back::reach("ApprovalPending");
    s.hears(attempt::M::evidence(1, payment::capture_failed(4500)));
    assert_eq!(refused(&mut s, &agent("olga"), approve(1)), "held: capture_failed, books");
    s.release_holds();
    assert_eq!(refused(&mut s, &agent("olga"), approve(1)), "exceeds_refundable");
    assert_eq!(s.state("refund", 1), "ApprovalPending");
}

#[test]
fn a04_what_a_step_begins_on_an_order_whose_books_cannot_be_relied_on_waits_for_a_person() {
    let mut s = payment::reach("Captured");
    s.hears(attempt::M::evidence(1, payment::capture_failed(2000)));
    assert_eq!(s.holds(), ["capture_failed"]);
    s.asks(lifecycle::cancel());
    assert_eq!((s.state("refund", 1), sends(&s)), ("Sending", (0, 1)), "{}", s.show());
    s.release_holds();
    assert_eq!(sends(&s), (1, 0));
    s.done("SendBack", back::repaid(3000));
    assert_eq!(s.phase(), Phase::Cancelled);
}

#[test]
fn a04_broken_books_may_not_be_made_worse_by_a_command_and_what_makes_them_worse_is_raised() {
    let mut s = back::reach("Succeeded");
    // 10.00 are with the customer, and the capture is gone: 10.00 more given back than taken.
    s.hears(attempt::M::evidence(1, payment::capture_failed(5000)));
    s.release_holds();
    assert_eq!(s.order.books.overdrawn(&"card".parse().unwrap()), 1000);
    // A word that makes it worse is raised anew, although the books were broken before.
    s.hears(back::says(back::repaid_as("b8", 300)));
    assert!(s.holds().contains(&"books"), "{:?}", s.holds());
    // A command that leaves them as they are is taken.
    s.release_holds();
    s.asks(payment::start_again(2, 1));
    s.done("Charge", payment::paid_on("card", "r2", 5000));
    assert_eq!(s.balances(), "psp:card 3700, cust -4000, suspense 300");
    // One that makes them worse is refused, broken as they are: what arrived is on its way back, and 7.00 besides.
    let mut s = payment::reach("Mismatch");
    s.asks(back::request(1, 4900));
    s.hears(lifecycle::refunded_outside(700));
    s.release_holds();
    let accept = attempt::M::command(1, consign::stage::payment::AcceptMismatch);
    let word = refused(&mut s, &agent("anna"), accept);
    assert!(word.starts_with("invariant: suspense"), "{word}");
}

#[test]
fn a04_the_hold_of_the_books_lifts_itself_when_they_are_whole_again() {
    let mut s = back::reach("Sending");
    s.hears(attempt::M::evidence(1, payment::capture_failed(4500)));
    assert_eq!(s.holds(), ["capture_failed", "books"]);
    s.declined("SendBack", back::declined());
    assert!(!s.holds().contains(&"books"), "{:?}", s.holds());
}

// ---- how many people it takes

#[test]
fn requests_add_up_over_the_order_until_a_second_person_is_needed() {
    let mut s = payment::reach_under(ten(), "Captured");
    s.asks(back::request(1, 600));
    s.asks_as(&agent("bob"), back::request(2, 400));
    assert_eq!((s.state("refund", 1), s.state("refund", 2)), ("Sending", "Sending"));
    // Ten more cents exceed what people may give up alone, whoever asks and however small the part.
    s.asks(back::request(3, 10));
    s.asks_as(&host(), back::request(4, 10));
    assert_eq!((s.state("refund", 3), s.state("refund", 4)), ("ApprovalPending", "ApprovalPending"));
    for by in [agent("anna"), carla(), host(), Actor::system(), agent("anna\u{200b}")] {
        let word = refused(&mut s, &by, approve(3));
        assert!(word == "four_eyes" || word == "not allowed", "{by}: {word}");
    }
    s.asks_as(&agent("olga"), approve(3));
    assert_eq!(s.state("refund", 3), "Sending");
    // What two people let go counts against nobody, and what failed was not given.
    s.declined("SendBack 2", back::declined());
    s.asks(back::request(5, 400));
    s.asks(back::request(6, 1));
    assert_eq!((s.state("refund", 5), s.state("refund", 6)), ("Sending", "ApprovalPending"));
    assert!(s.order.proofs().contains(&"conceded"));
}

#[test]
fn a_customer_asks_back_no_more_than_the_policy_gives_her_by_herself() {
    let mut s = payment::reach("Captured");
    assert_eq!(refused(&mut s, &carla(), back::request(1, 1)), "above_policy");
    let mut policy = Physical::default();
    policy.refund.customer_minor = 500;
    let mut s = payment::reach_under(policy, "Captured");
    s.asks_as(&carla(), back::request(1, 300));
    assert_eq!(refused(&mut s, &carla(), back::request(2, 201)), "above_policy");
    s.asks_as(&carla(), back::request(2, 200));
    s.asks(back::request(3, 1));
    // She calls off what she asked for, and nothing else.
    s.done("SendBack 2", ShortBalance);
    s.done("SendBack 3", ShortBalance);
    assert_eq!(refused(&mut s, &carla(), refund::M::command(3, CancelRefund)), "not_asked_by");
    s.asks_as(&carla(), refund::M::command(2, CancelRefund));
}

#[test]
fn a_customer_does_nothing_that_is_the_shops_to_do_and_nothing_to_anothers_order() {
    let of = |s: Shop, call: Call| (s, call);
    let carl = Actor::customer("carl").unwrap();
    let shops: Vec<(Shop, Call)> = vec![
        of(dispatch::reach("Released"), dispatch::pack()),
        of(dispatch::reach("ReadyToHandOver"), dispatch::hand_over(1)),
        of(dispatch::reach("Released"), dispatch::hold("address")),
        of(payment::reach("Authorized"), payment::collect(None)),
        of(payment::reach("Mismatch"), attempt::M::command(1, consign::stage::payment::AcceptMismatch)),
        of(payment::reach("Captured"), amend::amend_to(&[("shop", 1)], &[("card", 1)])),
        of(back::reach("ApprovalPending"), approve(1)),
        of(back::reach("RequiresAction"), back::another_way(1)),
        of(back::reach("Unknown"), back::settled_by_word(Saw::NotPaid)),
        of(review::reach("Approved"), review::label()),
        of(aftersales::reach("Requested"), aftersales::approve(1)),
        of(aftersales::reach("Inspected"), aftersales::conclude(1, Vec::new())),
        of(aftersales::reach("Received"), aftersales::inspect(1, &[])),
    ];
    for (mut s, call) in shops {
        assert_eq!(refused(&mut s, &carla(), call.clone()), "not allowed", "{call:?}");
    }
    // What has not reached her she calls back; what has is a return, with its window and its fees.
    assert_eq!(
        refused(&mut dispatch::reach("Delivered"), &carla(), lifecycle::request_return()),
        "delivered"
    );
    dispatch::reach("HandedOver").asks_as(&carla(), lifecycle::request_return());
    let anybodys: Vec<(Shop, Call)> = vec![
        of(payment::reach("Captured"), lifecycle::cancel()),
        of(lifecycle::reach("Placed"), payment::start(1)),
    ];
    for (mut s, call) in anybodys {
        assert_eq!(refused(&mut s, &carl, call.clone()), "not allowed", "{call:?}");
        s.asks_as(&carla(), call);
    }
}

#[test]
fn a_hold_is_released_by_a_person_of_the_shop_alone() {
    let mut s = payment::reach("Captured");
    s.hears(attempt::M::evidence(1, payment::capture_failed(2000)));
    let hold = s.order.holds[0].id;
    for by in [carla(), host(), Actor::system()] {
        let said = s.tries(&by, EventKind::Release { hold });
        assert!(matches!(said, Err(Refused::NotAllowed { .. })), "{by}: {said:?}");
    }
    s.tries(&agent("olga"), EventKind::Release { hold }).unwrap();
    assert_eq!(s.holds(), [""; 0]);
}

// ---- B2: what a hold keeps back

fn gates(s: &Shop) -> Vec<(&str, Gates)> {
    s.order.holds.iter().map(|h: &Hold| (h.code.as_str(), h.gates)).collect()
}

#[test]
fn b02_a_reminder_holds_up_nothing_and_lifts_itself_when_what_it_reminds_of_has_passed() {
    let mut s = dispatch::reach("ReadyToHandOver");
    s.due("dispatch.parcel", 1, "PackDue");
    assert_eq!(gates(&s), [("overdue", Gates::Nothing)], "{}", s.show());
    assert_ne!(s.phase(), Phase::OnHold);
    s.asks(dispatch::hand_over(1));
    assert_eq!((s.state("dispatch.parcel", 1), s.holds()), ("HandedOver", vec![]));

    let mut s = aftersales::reach("Requested");
    s.due("aftersales.rma", 1, "DecideDue");
    assert_eq!(gates(&s), [("aftersales_waits", Gates::Nothing)]);
    s.asks(aftersales::approve(1));
    assert_eq!(s.holds(), [""; 0]);

    let mut policy = Physical::default();
    policy.refund.inquiries = 1;
    let mut s = back::reach_under(policy, "Unknown");
    s.due("refund", 1, "AskAgain");
    assert_eq!(gates(&s), [("reconcile", Gates::Nothing)]);
    s.done("InquireRefund", back::repaid(1000));
    assert_eq!((s.state("refund", 1), s.holds()), ("Succeeded", vec![]));
}

#[test]
fn b02_a_reminder_stays_while_its_state_does_and_each_instance_has_its_own() {
    let mut policy = Physical::default();
    policy.refund.inquiries = 1;
    let mut s = back::reach_under(policy, "Unknown");
    s.asks(back::request(2, 500));
    s.lost("SendBack 2");
    s.due("refund", 1, "AskAgain");
    s.due("refund", 2, "AskAgain");
    assert_eq!(s.holds(), ["reconcile", "reconcile"]);
    s.done("InquireRefund 1", RefundMissing);
    s.done("InquireRefund 2", back::repaid_as("b2", 500));
    assert_eq!(s.holds(), ["reconcile"], "one of them is still unknown");
}

#[test]
fn b02_what_is_wrong_with_goods_holds_up_goods_and_what_is_wrong_with_money_holds_up_money() {
    let mut s = dispatch::reach("Released");
    s.asks(back::request(1, 1000));
    s.done("SendBack", back::repaid(900));
    assert_eq!(gates(&s), [("refund_mismatch", Gates::Money)]);
    assert_eq!(refused(&mut s, &agent("anna"), back::request(2, 100)), "held: refund_mismatch");
    assert_eq!(s.phase(), Phase::OnHold);
}

// ---- A11: what moved in the provider's console

use lifecycle::refunded_as as outside;

#[test]
fn a11_a_refund_made_in_the_providers_console_is_booked_when_it_is_told() {
    let mut s = payment::reach("Captured");
    s.hears(outside("console-1", 2000));
    assert_eq!((s.balances().as_str(), s.holds()), ("psp:card 3000, cust -3000", vec!["refund_outside"]));
    assert_eq!(s.hears(outside("console-1", 2000)), consign::pipeline::Disposition::Duplicate);
    assert_eq!(refused(&mut s, &agent("anna"), back::request(7, 3001)), "exceeds_refundable");
    // The order's own refunds are others, whatever their numbers.
    s.asks(back::request(2, 500));
    assert_eq!((s.state("refund", 1), s.state("refund", 2)), ("Succeeded", "Sending"));
    s.done("SendBack", back::repaid_as("b2", 500));
    s.asks(lifecycle::cancel());
    s.done("SendBack", back::repaid_as("b3", 2500));
    assert_eq!((s.life(), s.balances().as_str()), ("Cancelled", ""));
}

#[test]
fn a11_a_refund_made_outside_while_one_is_under_way_or_after_the_end_is_booked_all_the_same() {
    let mut s = back::reach("Sending");
    s.hears(outside("console-1", 1000));
    assert_eq!((s.state("refund", 1), s.state("refund", 2)), ("Sending", "Succeeded"));
    s.done("SendBack", back::repaid(1000));
    assert_eq!(s.balances(), "psp:card 3000, cust -3000");
    // What was never there to give is unexplained, and no other word is made of it.
    s.hears(outside("console-2", 3500));
    assert_eq!(s.balances(), "psp:card -500, suspense 500");
    assert!(s.holds().contains(&"books"));
    let mut s = lifecycle::reach("Completed");
    s.hears(outside("console-3", 1000));
    assert_eq!(s.balances(), "psp:card 4000, earned -4000");
    let mut s = lifecycle::reach("Closed");
    s.hears(outside("console-4", 1000));
    assert_eq!(s.balances(), "psp:card 4000, earned -4000");
}

// ---- A18: another way to pay out

#[test]
fn a18_another_way_to_pay_out_carries_the_way_and_its_number() {
    let mut s = back::reach("Pending");
    s.hears(back::says(AccountClosed));
    assert_eq!(gates(&s), [("refund_blocked", Gates::Nothing)]);
    let none = refund::M::command(1, consign::stage::refund::PayOut { way: " ".to_owned() });
    assert_eq!(refused(&mut s, &agent("anna"), none), "way");
    // The reminder does not hold up what it reminds of, and lifts itself.
    s.asks(back::another_way(1));
    assert_eq!((s.state("refund", 1), s.holds()), ("Sending", vec![]));
    assert!(s.last.told.contains("SendBack 1 #1"), "{}", s.last.told);
    assert!(s.last.told.contains("payout=1") && s.last.told.contains("way=account-7"), "{}", s.last.told);
    // It may be refused, and another be found.
    s.declined("SendBack", back::declined());
    assert_eq!((s.state("refund", 1), s.balances().as_str()), ("Failed", "psp:card 5000, cust -5000"));
    s.asks(back::another_way(1));
    assert!(s.last.told.contains("payout=2"), "{}", s.last.told);
    s.done("SendBack", back::repaid(1000));
    assert_eq!((s.state("refund", 1), s.balances().as_str()), ("Succeeded", "psp:card 4000, cust -4000"));
}

#[test]
fn a18_a_payout_to_somewhere_else_needs_a_second_person_above_the_limit_and_money_that_is_owed() {
    let mut s = back::reach_under(ten(), "RequiresAction");
    s.asks(back::another_way(1));
    assert_eq!(s.state("refund", 1), "Sending", "10.00 are within the limit");
    let mut policy = ten();
    policy.refund.approval_over_minor = Some(999);
    let mut s = back::reach_under(policy.clone(), "New");
    s.asks(back::request(1, 1000));
    s.asks_as(&agent("olga"), approve(1));
    s.hears(back::says(AccountClosed));
    s.asks(back::another_way(1));
    assert_eq!(s.state("refund", 1), "ApprovalPending");
    assert_eq!(refused(&mut s, &agent("anna"), approve(1)), "four_eyes");
    s.asks_as(&agent("olga"), approve(1));
    assert_eq!(s.state("refund", 1), "Sending");

    // What came back whole may go another way too, unless it was given again meanwhile.
    let mut s = back::reach("Reversed");
    s.asks(back::request(2, 4500));
    assert_eq!(refused(&mut s, &agent("anna"), back::another_way(1)), "exceeds_refundable");
    let mut s = back::reach("Reversed");
    s.asks(back::another_way(1));
    assert_eq!(s.balances(), "psp:card 5000, cust -4000, refund_due:card -1000");
}

// ---- A24: a person settles what the channel does not say

#[test]
fn a24_a_person_settles_an_unknown_refund_by_what_they_saw() {
    for from in ["Sending", "Unknown", "Pending", "RequiresAction"] {
        let mut s = back::reach(from);
        s.asks(back::settled_by_word(Saw::PaidBack { amount_minor: 1000 }));
        assert_eq!((s.state("refund", 1), s.balances().as_str()), ("Succeeded", "psp:card 4000, cust -4000"));
        // The channel says it too in the end, which is no second payment.
        s.hears(back::says(back::repaid(1000)));
        assert_eq!((s.balances().as_str(), s.holds()), ("psp:card 4000, cust -4000", vec![]));
        // A payment beyond it is one.
        s.hears(back::says(back::repaid_as("b2", 1000)));
        assert_eq!(s.balances(), "psp:card 3000, cust -4000, suspense 1000");

        let mut s = back::reach(from);
        s.asks(back::settled_by_word(Saw::NotPaid));
        assert_eq!((s.state("refund", 1), s.balances().as_str()), ("Failed", "psp:card 5000, cust -5000"));
        // They were wrong: the channel's word outranks theirs.
        s.hears(back::says(back::repaid(1000)));
        assert_eq!((s.state("refund", 1), s.balances().as_str()), ("Succeeded", "psp:card 4000, cust -4000"));

        // They saw more than the channel says in the end: the rest is owed after all, and a person hears of it.
        let mut s = back::reach(from);
        s.asks(back::settled_by_word(Saw::PaidBack { amount_minor: 1000 }));
        s.hears(back::says(back::repaid(700)));
        assert_eq!(
            (s.balances().as_str(), s.holds()),
            ("psp:card 4300, cust -4300", vec!["refund_mismatch"])
        );
    }
}

#[test]
fn a24_a_persons_word_needs_proof_a_name_and_above_the_limit_a_second_one() {
    let mut policy = ten();
    policy.refund.approval_over_minor = Some(999);
    let reach = || {
        let mut s = back::reach_under(policy.clone(), "New");
        s.asks(back::request(1, 1000));
        s.asks_as(&agent("olga"), approve(1));
        s.lost("SendBack");
        s
    };
    let mut s = reach();
    let blank = consign::stage::refund::SettleRefund { saw: Saw::NotPaid, proof: String::new() };
    assert_eq!(refused(&mut s, &agent("anna"), refund::M::command(1, blank)), "proof");
    assert_eq!(refused(&mut s, &host(), back::settled_by_word(Saw::NotPaid)), "not allowed");
    let more = back::settled_by_word(Saw::PaidBack { amount_minor: 1001 });
    assert_eq!(refused(&mut s, &agent("anna"), more), "exceeds_refund");
    s.asks(back::settled_by_word(Saw::NotPaid));
    assert_eq!(s.state("refund", 1), "Unknown", "one person's word is kept, and moves nothing");
    assert_eq!(refused(&mut s, &agent("anna"), back::settled_by_word(Saw::NotPaid)), "four_eyes");
    s.asks_as(&agent("bob"), back::settled_by_word(Saw::NotPaid));
    assert_eq!((s.state("refund", 1), s.balances().as_str()), ("Failed", "psp:card 5000, cust -5000"));
    // Another word is not the second to the first.
    let mut s = reach();
    s.asks(back::settled_by_word(Saw::NotPaid));
    s.asks_as(&agent("bob"), back::settled_by_word(Saw::PaidBack { amount_minor: 1000 }));
    assert_eq!(s.state("refund", 1), "Unknown");
    s.asks_as(&agent("anna"), back::settled_by_word(Saw::PaidBack { amount_minor: 1000 }));
    assert_eq!(s.state("refund", 1), "Succeeded");
}

#[test]
fn an_answer_that_gives_up_unsent_reminds_and_holds_up_nothing() {
    let mut s = back::reach("Sending");
    let id = s.order.wanted.iter().find(|w| w.name.ends_with("SendBack")).unwrap().id;
    s.answers(id, EffectAnswer::Exhausted { sent: false, why: "down".to_owned() });
    assert_eq!(gates(&s), [("refund_failed", Gates::Nothing)]);
    s.asks(back::request(2, 1000));
}
