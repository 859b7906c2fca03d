//! Entries that people make by hand.

use consign::machine::Call;
use consign::pipeline::{Phase, Physical};
use consign::stage::correction::{Agree, Entry, Propose, Withdraw, correction};
use consign::stage::dispatch::{Consumed, OnLoss};
use consign::stage::payment::attempt;

use super::{Case, case, dispatch, lifecycle, payment, refund};
use crate::support::shop::{Shop, agent};

pub(crate) fn propose(entry: Entry, amount_minor: i64) -> Call {
    propose_as(1, entry, amount_minor)
}
pub(crate) fn propose_as(key: u32, entry: Entry, amount_minor: i64) -> Call {
    let reason = "the customer does not answer".to_owned();
    correction::M::command(key, Propose { entry, amount_minor, reason })
}
pub(crate) fn agree() -> Call {
    correction::M::command(1, Agree)
}
pub(crate) fn withdraw() -> Call {
    correction::M::command(1, Withdraw)
}

/// Delivered, and the capture taken back after it: the customer has 50.00 that she did not pay.
fn unpaid() -> Shop {
    let mut s = lifecycle::reach("Completed");
    s.hears(attempt::M::evidence(1, payment::capture_failed(5000)));
    s.release_holds();
    s
}
/// 7.00 left over the card, and nobody knows why.
fn unexplained() -> Shop {
    let mut s = refund::reach("Reversed");
    s.hears(refund::says(refund::repaid_as("b7", 700)));
    s.release_holds();
    s
}
fn proposed(mut s: Shop, entry: Entry, amount_minor: i64) -> Shop {
    s.asks(propose(entry, amount_minor));
    s
}
fn agreed(s: &mut Shop) {
    s.asks_as(&agent("olga"), agree());
}

pub(super) fn cases() -> Vec<Case> {
    vec![
        case(
            "what a customer owes is to be written off",
            unpaid,
            |s| s.asks(propose(Entry::WriteOff, 5000)),
            "
            books.correction 1: New + Propose -> Proposed
            holds correction_waits
        ",
        ),
        case(
            "what a customer owes is written off",
            || proposed(unpaid(), Entry::WriteOff, 5000),
            agreed,
            "
            books.correction 1: Proposed + Agree -> Booked
            posts P16 5000
        ",
        ),
        case(
            "money that left unexplained is lost",
            || proposed(unexplained(), Entry::Lost, 700),
            agreed,
            "
            books.correction 1: Proposed + Agree -> Booked
            posts P20 loss 700
        ",
        ),
        case(
            "money that left unexplained went to the customer",
            || proposed(unexplained(), Entry::WentToCustomer, 700),
            agreed,
            "
            books.correction 1: Proposed + Agree -> Booked
            posts P20 cust 700
        ",
        ),
        case(
            "what is owed was paid outside",
            || {
                let mut s = unpaid();
                s.asks(propose(Entry::WriteOff, 5000));
                s.asks_as(&agent("olga"), agree());
                s.asks_as(&agent("olga"), lifecycle::request_return());
                s.hears(dispatch::came_back(1));
                s.asks(propose_as(2, Entry::PaidOutside, 5000));
                s
            },
            |s| s.asks_as(&agent("olga"), correction::M::command(2, Agree)),
            "
            books.correction 2: Proposed + Agree -> Booked
            order.life 1: Cancelling + Cleared -> Cancelled
            posts P21 5000
        ",
        ),
        case(
            "an entry is taken back",
            || proposed(unpaid(), Entry::WriteOff, 5000),
            |s| s.asks(withdraw()),
            "
            books.correction 1: Proposed + Withdraw -> Withdrawn
        ",
        ),
        case(
            "nobody agrees to an entry",
            || proposed(unpaid(), Entry::WriteOff, 5000),
            |s| s.due("books.correction", 1, "AgreeDue"),
            "
            books.correction 1: Proposed + AgreeDue -> Withdrawn
        ",
        ),
    ]
}

#[test]
fn a15_what_was_lost_paid_back_and_then_delivered_is_raised_at_once_and_settled_by_two_people() {
    let mut policy = Physical::default();
    policy.dispatch.lost = OnLoss::Refund;
    let mut s = dispatch::reach_under(policy, "HandedOver");
    if s.wants().contains(&"Consume 1".to_owned()) {
        s.done("Consume", Consumed);
    }
    s.hears(dispatch::mislaid(1));
    let due = s.order.books.refund_due(None);
    if due == 0 {
        s.release_holds();
        s.asks(lifecycle::cancel());
    }
    s.done("SendBack", refund::repaid(5000));
    assert_eq!(s.life(), "Cancelled", "{}", s.show());
    s.hears(dispatch::delivered(1));
    assert_eq!(s.balances(), "cust 5000, earned -5000", "{}", s.show());
    assert!(s.holds().contains(&"receivable"), "nobody would hear of it: {:?}", s.holds());
    s.asks(propose(Entry::WriteOff, 5000));
    s.asks_as(&agent("olga"), agree());
    assert_eq!((s.balances().as_str(), s.holds()), ("earned -5000, loss 5000", vec![]));
}

#[test]
fn a15_a_capture_lost_after_delivery_is_raised_and_lifts_itself_when_it_is_paid_or_written_off() {
    let mut s = lifecycle::reach("Completed");
    s.hears(attempt::M::evidence(1, payment::capture_failed(5000)));
    assert_eq!(s.holds(), ["capture_failed", "receivable"]);
    s.hears(attempt::M::evidence(1, payment::paid_on("card", "late", 5000)));
    s.release_holds();
    assert_eq!(s.phase(), Phase::Completed);
    let mut s = unpaid();
    s.asks(propose(Entry::WriteOff, 2000));
    s.asks_as(&agent("olga"), agree());
    assert_eq!(s.balances(), "cust 3000, earned -5000, loss 2000");
    s.asks(propose_as(2, Entry::WriteOff, 3000));
    s.asks_as(&agent("olga"), correction::M::command(2, Agree));
    s.due("order.life", 1, "WindowDue");
    assert_eq!((s.life(), s.balances().as_str()), ("Closed", "earned -5000, loss 5000"));
}

#[test]
fn a15_money_that_left_unexplained_is_settled_by_two_people() {
    let mut s = unexplained();
    assert_eq!(s.balances(), "psp:card 4300, cust -5000, suspense 700");
    for by in ["anna", "bob"] {
        let more = s.tries_as(&agent(by), propose(Entry::Lost, 701)).unwrap_err();
        assert!(more.to_string().contains("nothing_to_settle"), "{more}");
    }
    let nothing = s.tries_as(&agent("anna"), propose(Entry::WriteOff, 1)).unwrap_err();
    assert!(nothing.to_string().contains("nothing_to_settle"), "{nothing}");
    s.asks(propose(Entry::WentToCustomer, 700));
    let alone = s.tries_as(&agent("anna"), agree()).unwrap_err();
    assert!(alone.to_string().contains("four_eyes"), "{alone}");
    agreed(&mut s);
    assert_eq!(s.balances(), "psp:card 4300, cust -4300");
    // Of earned money, what went to the customer is earned no more.
    let mut s = lifecycle::reach("Completed");
    s.asks(refund::request(1, 1000));
    s.done("SendBack", refund::repaid(1000));
    s.hears(refund::says(refund::repaid_as("b2", 300)));
    s.asks(propose(Entry::WentToCustomer, 300));
    agreed(&mut s);
    assert_eq!((s.balances().as_str(), s.holds()), ("psp:card 3700, earned -3700", vec!["refund_mismatch"]));
}
