//! Whole orders of services, and of goods and services, with the balances they must end with.

use consign::clock::Timestamp;
use consign::id::{Channel, OrderId};
use consign::ledger::Books;
use consign::order::LineKind;
use consign::pipeline::{Digital, Mixed, Phase, Physical, Refused, Unplaced};
use consign::stage::activation::{ActivationPolicy, EarnPolicy, Rest, Stopped, Switched, TwinEnded};
use consign::stage::dispatch::{InStock, Unreserved};
use consign::stage::payment::{CaptureMode, FundsPolicy};
use consign::stage::review::{ReviewPolicy, TierPolicy};

use super::activation::{self, PLACE, available, ended, nothing, says, says_of, spent};
use super::{dispatch, lifecycle, payment, refund as back, review};
use crate::support::shop::{Ready, Shop, agent, carla, eur, mixed_of, order_of, services_of};

const MINUTE: u64 = 60_000;
const HOUR: u64 = 60 * MINUTE;

/// Whatever an order costs, its score alone decides who looks at it.
fn fast_lane() -> Digital {
    let tiers = TierPolicy::by_amount(&[]);
    Digital { review: ReviewPolicy { tiers, ..ReviewPolicy::default() }, ..Digital::default() }
}

/// Pays every tender and lets review pass.
fn bought(policy: impl Ready, order: consign::order::Order) -> Shop {
    let mut s = Shop::place(policy, order);
    dispatch::pay_and_pass(&mut s);
    s
}

fn repaid(s: &mut Shop, key: u32, channel: &str, minor: i64) {
    let repaid = consign::stage::refund::Repaid {
        channel: channel.parse().unwrap(),
        ..back::repaid_as(&format!("b{key}"), minor)
    };
    s.done(&format!("SendBack {key}"), repaid);
}

#[test]
fn s1_an_ad_is_paid_over_the_second_card_reviewed_by_the_fast_lane_and_earned_when_it_takes_effect() {
    let activation = ActivationPolicy { earn: EarnPolicy::OnActivation, ..ActivationPolicy::default() };
    let policy = Digital { activation, ..fast_lane() };
    let mut s = Shop::place(policy, services_of(&[50_000], &[("card-a", 50_000)]));
    s.asks(payment::start(1));
    s.declined("Charge", payment::refused());
    assert_eq!((s.state("payment.attempt", 1), s.phase()), ("Declined", Phase::AwaitingPayment));
    let over_b = consign::stage::payment::Start {
        tender: 1.into(),
        channel: Some("card-b".parse().unwrap()),
        method: "tok-2".to_owned(),
    };
    s.asks(consign::stage::payment::attempt::M::command(2, over_b));
    s.done("Charge", payment::paid_on("card-b", "r2", 50_000));
    let authorised = consign::stage::payment::Authorised {
        channel: "card-b".parse().unwrap(),
        reference: "r2".to_owned(),
        ..payment::authorised(50_000)
    };
    s.hears(consign::stage::payment::attempt::M::evidence(2, authorised));
    assert_eq!(s.balances(), "psp:card-b 50000, cust -50000", "what is captured is not authorised any more");
    assert_eq!(s.phase(), Phase::UnderReview);
    s.done("Score", review::scored(8));
    assert_eq!((s.state("review.case", 1), s.phase()), ("AutoApproved", Phase::Activating));
    s.pass(40 * MINUTE);
    s.done("Activate", activation::reviewing("a1"));
    assert_eq!((s.state(PLACE, 1), s.phase()), ("PendingPlatformReview", Phase::Activating));
    s.pass(140 * MINUTE);
    s.hears(says(available("a1")));
    assert_eq!((s.state(PLACE, 1), s.phase()), ("Active", Phase::Active));
    assert_eq!(s.balances(), "psp:card-b 50000, earned -50000");
    s.due(PLACE, 1, "FlightDue");
    s.done("End", ended(0));
    assert_eq!((s.state(PLACE, 1), s.life()), ("Completed", "Completed"));
    assert_eq!(s.balances(), "psp:card-b 50000, earned -50000", "the price was for being switched on");
    assert_eq!((s.state("payment.attempt", 1), s.state("payment.attempt", 2)), ("Declined", "Captured"));
    s.due("order.life", 1, "WindowDue");
    assert_eq!(s.life(), "Closed");
}

#[test]
fn s7f_a_running_ad_is_not_cancelled_but_ended_and_what_it_did_not_spend_goes_back() {
    let mut s = bought(fast_lane(), services_of(&[50_000], &[("card", 50_000)]));
    s.done("Activate", available("a1"));
    s.hears(says(spent(15_000)));
    for by in [carla(), agent("anna")] {
        let said = s.tries_as(&by, lifecycle::cancel());
        assert!(matches!(said, Err(Refused::Refused { code: "executing", .. })), "{said:?}");
    }
    assert_eq!(s.balances(), "psp:card 50000, cust -35000, earned -15000");
    s.asks(activation::terminate());
    s.done("End", ended(15_000));
    assert_eq!((s.state(PLACE, 1), s.life()), ("Terminated", "Placed"));
    assert_eq!(s.balances(), "psp:card 50000, refund_due:card -35000, earned -15000");
    repaid(&mut s, 1, "card", 35_000);
    assert_eq!((s.life(), s.phase()), ("Completed", Phase::Completed), "ended is not cancelled");
    assert_eq!(s.balances(), "psp:card 15000, earned -15000");
}

#[test]
fn an_ad_that_nobody_ever_spent_of_is_cancelled_when_it_is_ended() {
    let mut s = bought(fast_lane(), services_of(&[50_000], &[("card", 50_000)]));
    s.done("Activate", available("a1"));
    s.asks(activation::terminate());
    s.done("End", ended(0));
    repaid(&mut s, 1, "card", 50_000);
    assert_eq!((s.life(), s.balances().as_str()), ("Cancelled", ""));
}

#[test]
fn a_customer_may_not_cancel_what_review_let_pass_and_people_at_work_may_until_it_runs() {
    let mut s = bought(fast_lane(), services_of(&[50_000], &[("card", 50_000)]));
    s.done("Activate", activation::reviewing("a1"));
    let said = s.tries_as(&carla(), lifecycle::cancel());
    assert!(matches!(said, Err(Refused::Refused { code: "approved", .. })), "{said:?}");
    s.asks(lifecycle::cancel());
    assert_eq!((s.state(PLACE, 1), s.life()), ("Terminating", "Cancelling"));
    assert!(
        !s.wants().contains(&"SendBack 1".to_owned()),
        "nothing goes back before the platform has stopped"
    );
    s.done("End", ended(0));
    repaid(&mut s, 1, "card", 50_000);
    assert_eq!((s.life(), s.balances().as_str()), ("Cancelled", ""));
}

#[test]
fn a_cancelled_order_whose_ad_ran_all_the_same_is_completed_with_what_was_spent() {
    let mut s = bought(fast_lane(), services_of(&[50_000], &[("card", 50_000)]));
    s.lost("Activate");
    s.asks(lifecycle::cancel());
    // It had arrived, and was passed before it was ended.
    s.hears(says(available("a1")));
    s.hears(says(spent(4_000)));
    s.done("End", ended(6_000));
    assert_eq!(s.balances(), "psp:card 50000, refund_due:card -44000, earned -6000");
    repaid(&mut s, 1, "card", 44_000);
    assert_eq!((s.life(), s.balances().as_str()), ("Completed", "psp:card 6000, earned -6000"));
}

#[test]
fn of_two_services_one_fails_and_its_share_goes_back_over_the_tenders_in_turn() {
    let order = services_of(&[3_000, 2_000], &[("gift-card", 1_500), ("card", 3_500)]);
    let mut s = bought(Digital::default(), order);
    s.done("Activate 1", available("a1"));
    s.declined("Activate 2", activation::refused());
    assert_eq!(s.life(), "Placed", "the other one runs");
    assert_eq!(
        s.balances(),
        "psp:card 3500, psp:gift-card 1500, cust -3000, refund_due:card -2000",
        "the last tender gives first"
    );
    repaid(&mut s, 1, "card", 2_000);
    s.hears(says(ended(3_000)));
    assert_eq!(s.life(), "Completed", "{}", s.show());
    assert_eq!(s.balances(), "psp:card 1500, psp:gift-card 1500, earned -3000");
}

#[test]
fn on_credit_an_ended_service_costs_what_it_spent() {
    let mut policy = Digital::default();
    policy.payment.funds = FundsPolicy::Credit { limit_minor: 5_000 };
    let mut s = Shop::place(policy, services_of(&[5_000], &[("invoice", 5_000)]));
    s.done("Score", review::scored(3));
    s.done("Activate", available("a1"));
    s.hears(says(spent(1_500)));
    assert_eq!(s.balances(), "cust 1500, earned -1500");
    s.asks(activation::terminate());
    s.done("End", ended(1_500));
    assert_eq!((s.holds(), s.life()), (Vec::new(), "Placed"), "nothing was paid, so nothing goes back");
    s.asks(payment::start(1));
    assert!(s.last.told.contains("amount=15.00 EUR"), "{}", s.last.told);
    s.done("Charge", payment::paid_on("invoice", "i1", 1_500));
    assert_eq!((s.life(), s.balances().as_str()), ("Completed", "psp:invoice 1500, earned -1500"));
}

#[test]
fn a_goodwill_refund_while_an_ad_runs_is_not_earned() {
    let mut s = bought(Digital::default(), services_of(&[5_000], &[("card", 5_000)]));
    s.done("Activate", available("a1"));
    s.hears(says(spent(1_000)));
    s.asks(back::request(1, 1_500));
    repaid(&mut s, 1, "card", 1_500);
    s.hears(says(spent(4_000)));
    assert_eq!(s.balances(), "psp:card 3500, earned -3500", "3500 of 4000 was left to be earned");
    s.hears(says(ended(4_000)));
    assert_eq!((s.life(), s.balances().as_str()), ("Completed", "psp:card 3500, earned -3500"));
}

#[test]
fn money_that_is_only_authorised_is_captured_before_a_service_is_activated() {
    let mut policy = Digital::default();
    policy.payment.capture = CaptureMode::Later;
    policy.payment.funds = FundsPolicy::RequireAuthorized;
    let mut s = bought(policy, services_of(&[5_000], &[("card", 5_000)]));
    assert_eq!((s.state(PLACE, 1), s.wants()), ("Planned", vec!["Capture 1".to_owned()]));
    s.lost("Capture");
    s.due(PLACE, 1, "PlanDue");
    assert_eq!(
        (s.state(PLACE, 1), s.phase()),
        ("Planned", Phase::Reconciling),
        "no activation without funds"
    );
    s.due("payment.attempt", 1, "AskAgain");
    s.done("Inquire", payment::paid(5_000));
    assert_eq!((s.state(PLACE, 1), s.wants()), ("Activating", vec!["Activate 1".to_owned()]));
}

#[test]
fn a_budget_that_a_flight_left_over_is_flown_once_more_and_the_rest_goes_back() {
    let mut policy = Digital::default();
    policy.activation.rest = Rest::CarryOver { flights: 1 };
    let mut s = bought(policy, services_of(&[5_000], &[("card", 5_000)]));
    s.done("Activate", available("a1"));
    s.hears(says(spent(1_000)));
    s.due(PLACE, 1, "FlightDue");
    assert_eq!(
        (s.state(PLACE, 1), s.wants()),
        ("Delivering", vec!["Switch 1".to_owned()]),
        "nothing is owed yet"
    );
    s.done("Switch", Switched { n: 1 });
    s.hears(says(spent(4_000)));
    s.due(PLACE, 1, "FlightDue");
    s.done("End", ended(4_200));
    repaid(&mut s, 1, "card", 800);
    assert_eq!((s.life(), s.balances().as_str()), ("Completed", "psp:card 4200, earned -4200"));
}

#[test]
fn a_service_that_is_available_in_part_and_then_in_full_is_earned_once() {
    let activation = ActivationPolicy { earn: EarnPolicy::OnActivation, ..ActivationPolicy::default() };
    let policy = Digital { activation, ..Digital::default() };
    let mut s = bought(policy, services_of(&[5_000], &[("card", 5_000)]));
    s.done("Activate", activation::in_part());
    assert_eq!(s.balances(), "psp:card 5000, earned -5000", "the effect started");
    s.asks(activation::pause());
    s.hears(says(available("a1")));
    s.asks(activation::resume());
    assert_eq!((s.state(PLACE, 1), s.balances().as_str()), ("Active", "psp:card 5000, earned -5000"));
    s.asks(activation::terminate());
    s.done("End", ended(900));
    assert_eq!((s.life(), s.balances().as_str()), ("Completed", "psp:card 5000, earned -5000"));
}

#[test]
fn nothing_of_a_service_goes_back_before_the_platform_says_that_it_stopped() {
    let mut s = bought(Digital::default(), services_of(&[5_000], &[("card", 5_000)]));
    s.done("Activate", available("a1"));
    s.asks(activation::terminate());
    for _ in 0..3 {
        s.gave_up("End", true);
        s.due(PLACE, 1, "AskAgain");
        s.release_holds();
    }
    s.due(PLACE, 1, "SpendDue");
    assert_eq!((s.holds(), s.state(PLACE, 1)), (vec!["not_ended"], "Terminating"));
    assert_eq!(s.balances(), "psp:card 5000, cust -5000");
    s.done("End", Stopped);
    s.hears(says(spent(2_000)));
    s.due(PLACE, 1, "SpendDue");
    s.release_holds();
    assert_eq!(s.balances(), "psp:card 5000, refund_due:card -3000, earned -2000", "the last report counts");
    // What it had spent besides is for a person: the customer has it back.
    s.hears(says(spent(2_600)));
    assert_eq!((s.holds(), s.order.books.earned()), (vec!["spent_late"], 2_000));
}

/// A review that is opened again shuts the gate also for a service whose money is not there yet (I14).
#[test]
fn nothing_is_activated_through_a_shut_gate() {
    let mut s = activation::reach("Planned");
    s.hears(review::notice());
    s.done("Capture", payment::paid(5_000));
    s.due(PLACE, 1, "PlanDue");
    assert_eq!((s.state(PLACE, 1), s.wants()), ("Planned", Vec::new()), "{}", s.show());
    s.asks(review::claim());
    s.asks(review::reject(1));
    assert_eq!(s.state(PLACE, 1), "Cancelled");
    repaid(&mut s, 1, "card", 5_000);
    assert_eq!((s.life(), s.balances().as_str()), ("Rejected", ""));
}

#[test]
fn a_paused_ad_flies_on_and_a_switch_that_is_late_changes_nothing() {
    let mut s = activation::reach("Paused");
    s.asks(activation::resume());
    s.asks(activation::pause());
    assert_eq!(s.wants(), ["Switch 1", "Switch 1", "Switch 1"]);
    s.hears(says(Switched { n: 1 }));
    s.due(PLACE, 1, "AskAgain");
    assert!(!s.last.told.contains("Switch"), "the newest is under way: {}", s.last.told);
    s.due(PLACE, 1, "FlightDue");
    assert_eq!(s.state(PLACE, 1), "Settling", "a pause does not stop the calendar");
}

#[test]
fn what_a_second_one_spent_is_our_loss_and_the_customer_pays_for_one() {
    let mut s = bought(Digital::default(), services_of(&[5_000], &[("card", 5_000)]));
    s.lost("Activate");
    s.due(PLACE, 1, "AskAgain");
    s.done("InquireService", available("a1"));
    s.hears(says(available("a2")));
    s.hears(says(activation::spent_by("a2", 300)));
    s.done("EndTwin 1001", TwinEnded { spent: eur(400) });
    s.release_holds();
    s.hears(says(ended(5_000)));
    assert_eq!((s.life(), s.phase()), ("Completed", Phase::Completed));
    assert_eq!(s.balances(), "psp:ads -400, psp:card 5000, earned -5000, loss 400");
    s.due("order.life", 1, "WindowDue");
    assert_eq!(s.life(), "Closed");
}

#[test]
fn goods_and_services_of_one_order_go_their_ways_and_it_is_completed_by_the_last() {
    let mut s = bought(Mixed::default(), mixed_of(3_000, 2_000));
    assert_eq!(s.wants(), ["Reserve 1", "Activate 1"], "neither waits for the other");
    assert_eq!(s.phase(), Phase::Dispatching);
    s.done("Activate", available("a1"));
    assert_eq!(s.phase(), Phase::Dispatching, "the word is that of what is further from its end");
    s.done("Reserve", InStock);
    s.asks(dispatch::pack());
    s.asks(dispatch::hand_over(1));
    assert_eq!(s.phase(), Phase::Dispatched);
    s.hears(dispatch::delivered(1));
    assert_eq!((s.life(), s.phase()), ("Placed", Phase::Active));
    assert_eq!(s.balances(), "psp:card 5000, cust -2000, earned -3000");
    s.hears(says(ended(2_000)));
    assert_eq!((s.life(), s.balances().as_str()), ("Completed", "psp:card 5000, earned -5000"));
}

/// What is not to be served any more is not due: its refund does not shut the gate before the goods.
#[test]
fn a_service_that_fails_gives_its_share_back_and_the_goods_leave_all_the_same() {
    let mut s = bought(Mixed::default(), mixed_of(3_000, 2_000));
    s.declined("Activate", activation::refused());
    repaid(&mut s, 1, "card", 2_000);
    assert_eq!(s.balances(), "psp:card 3000, cust -3000");
    assert_eq!((s.order.due_minor(), s.phase()), (3_000, Phase::Dispatching));
    let again = s.tries_as(&carla(), payment::start_again(2, 1));
    assert!(again.is_err(), "nothing is missing: {again:?}");
    s.done("Reserve", InStock);
    s.asks(dispatch::pack());
    s.asks(dispatch::hand_over(1));
    s.hears(dispatch::delivered(1));
    assert_eq!((s.life(), s.balances().as_str()), ("Completed", "psp:card 3000, earned -3000"));
}

#[test]
fn a_mixed_order_that_is_called_off_gives_the_goods_back_and_what_the_service_did_not_spend() {
    let mut s = bought(Mixed::default(), mixed_of(3_000, 2_000));
    s.done("Activate", available("a1"));
    s.hears(says(spent(500)));
    s.done("Reserve", InStock);
    let said = s.tries_as(&carla(), lifecycle::cancel());
    assert!(matches!(said, Err(Refused::Refused { code: "executing", .. })), "{said:?}");
    s.asks(lifecycle::cancel());
    assert_eq!((s.state("dispatch.parcel", 1), s.state(PLACE, 1)), ("Unreserving", "Terminating"));
    s.done("Unreserve", Unreserved);
    assert_eq!(s.balances(), "psp:card 5000, cust -4500, earned -500", "the platform has not stopped yet");
    s.done("End", ended(700));
    assert_eq!(s.balances(), "psp:card 5000, refund_due:card -4300, earned -700");
    repaid(&mut s, 1, "card", 1_300);
    assert_eq!(s.life(), "Cancelling");
    repaid(&mut s, 2, "card", 3_000);
    assert_eq!((s.life(), s.balances().as_str()), ("Completed", "psp:card 700, earned -700"));
}

#[test]
fn a_mixed_order_whose_service_never_ran_is_cancelled_with_its_goods() {
    let mut s = bought(Mixed::default(), mixed_of(3_000, 2_000));
    s.asks(lifecycle::cancel());
    s.done("Unreserve", Unreserved);
    s.done("End", nothing());
    repaid(&mut s, 1, "card", 2_000);
    repaid(&mut s, 2, "card", 3_000);
    assert_eq!((s.life(), s.balances().as_str()), ("Cancelled", ""), "{}", s.show());
}

#[test]
fn goods_that_come_back_leave_a_completed_service_earned() {
    let mut s = bought(Mixed::default(), mixed_of(3_000, 2_000));
    s.done("Activate", available("a1"));
    s.hears(says(ended(2_000)));
    s.done("Reserve", InStock);
    s.asks(dispatch::pack());
    s.asks(dispatch::hand_over(1));
    s.hears(dispatch::delivered(1));
    assert_eq!(s.life(), "Completed");
    s.asks(lifecycle::request_return());
    s.hears(dispatch::came_back(1));
    s.done("SendBack", back::repaid(3_000));
    assert_eq!(
        (s.life(), s.balances().as_str()),
        ("Completed", "psp:card 2000, earned -2000"),
        "{}",
        s.show()
    );
}

#[test]
fn a_pipeline_takes_no_line_that_it_has_no_stage_for() {
    let place = |policy: Box<dyn FnOnce() -> consign::pipeline::Pipeline>, order| {
        let id: OrderId = "o-1".parse().unwrap();
        policy().place(id.into(), order, Timestamp::from_millis(0)).map(|_| ())
    };
    let services = || services_of(&[5_000], &[("card", 5_000)]);
    let said = place(Box::new(|| Physical::default().pipeline()), services());
    let kind = LineKind::Service;
    assert_eq!(said, Err(Unplaced::Unserved { pipeline: "physical", line: 0, kind }));
    let said = place(Box::new(|| Physical::default().pipeline()), mixed_of(3_000, 2_000));
    assert_eq!(said, Err(Unplaced::Unserved { pipeline: "physical", line: 1, kind }));
    let said = place(Box::new(|| Digital::default().pipeline()), order_of(5_000));
    assert_eq!(said, Err(Unplaced::Unserved { pipeline: "digital", line: 0, kind: LineKind::Goods }));
    for order in [services(), order_of(5_000), mixed_of(3_000, 2_000)] {
        assert_eq!(place(Box::new(|| Mixed::default().pipeline()), order), Ok(()));
    }
}

/// Words that come before their time, of another service, or again.
#[test]
fn words_of_a_platform_are_taken_once_each_by_the_service_they_are_about() {
    use consign::pipeline::Disposition::{Alarmed, Duplicate, Early, Moved, Stale};
    let order = services_of(&[3_000, 2_000], &[("card", 5_000)]);
    let mut s = Shop::place(Digital::default(), order);
    assert_eq!(s.hears(says(available("a1"))), Early, "nobody was asked yet");
    dispatch::pay_and_pass(&mut s);
    assert_eq!(s.hears(says_of(2, spent(10))), Moved);
    assert_eq!(s.hears(says_of(2, spent(10))), Duplicate);
    assert_eq!(s.hears(says_of(2, activation::rejected(0))), Stale, "it spends, so it was passed");
    assert_eq!((s.state(PLACE, 1), s.state(PLACE, 2)), ("Activating", "Delivering"));
    let mut s = activation::reach("Cancelled");
    assert_eq!(s.hears(says(spent(10))), Alarmed, "nobody ever asked for it");
    let books: &Books = &s.order.books;
    let platform: Channel = "ads".parse().unwrap();
    assert_eq!((books.earned(), books.captured(Some(&platform))), (0, 0));
}

#[test]
fn the_24_hours_of_a_review_stand_still_while_the_customer_fixes_what_was_rejected() {
    let mut s = bought(Digital::default(), services_of(&[5_000], &[("card", 5_000)]));
    s.done("Activate", activation::reviewing("a1"));
    s.pass(20 * HOUR);
    s.hears(says(activation::rejected(0)));
    s.pass(48 * HOUR);
    s.asks(activation::resubmit());
    s.pass(3 * HOUR);
    let due = s.pipeline.instants(&s.order, PLACE, 1);
    let review = due.iter().find(|(name, _)| *name == "ReviewDue").unwrap().1;
    assert!(review > s.now, "4 of 24 hours were left when it was rejected");
    s.due(PLACE, 1, "ReviewDue");
    assert_eq!(s.holds(), ["platform_review"]);
}

/// A refund that waits for a second person lowers the price; the service ends, and then the refund is called off.
#[test]
fn i11_what_a_called_off_refund_had_let_off_a_service_that_is_over_goes_back_after_all() {
    let mut policy = fast_lane();
    policy.refund.approval_over_minor = Some(500);
    let mut s = bought(policy, services_of(&[2_577], &[("card", 2_577)]));
    s.done("Activate", available("a1"));
    s.asks(back::request(1, 1_925));
    assert_eq!((s.state("refund", 1), s.order.due_minor()), ("ApprovalPending", 652));
    s.hears(says(ended(475)));
    repaid(&mut s, 2, "card", 177);
    s.due("refund", 1, "ApprovalDue");
    assert_eq!((s.state("refund", 1), s.order.due_minor()), ("Cancelled", 475), "{}", s.show());
    repaid(&mut s, 3, "card", 1_925);
    assert_eq!((s.life(), s.balances().as_str()), ("Completed", "psp:card 475, earned -475"), "{}", s.show());
}
