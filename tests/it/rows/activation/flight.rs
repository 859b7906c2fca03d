//! From its flight to its end, and what was made twice.

use super::*;

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

pub(super) fn running() -> Vec<Case> {
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

pub(super) fn winding() -> Vec<Case> {
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

pub(super) fn twins() -> Vec<Case> {
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

/// A service that is over in this state, while a refund that let off 40.00 of its 50.00 waits for a second person.
fn let_off(state: &str) -> Shop {
    let mut policy = Digital::default();
    policy.refund.approval_over_minor = Some(500);
    let mut s = reach_under(policy, "Active");
    s.asks(refund::request(1, 4_000));
    if state == "Terminated" {
        s.asks(terminate());
        s.done("End", ended(475));
    } else {
        s.hears(says(ended(475)));
    }
    s.done("SendBack 2", refund::repaid_as("b2", 525));
    assert_eq!(s.state(PLACE, 1), state, "{}", s.show());
    s
}

pub(super) fn due_again() -> Vec<Case> {
    each(
        "what a refund had let off is due again, and goes back",
        let_off,
        &["Completed", "Terminated"],
        |s| s.due("refund", 1, "ApprovalDue"),
        "
        refund 1: ApprovalPending + ApprovalDue -> Cancelled
        order.life 1: Placed + Unwaived -> Placed
        activation.service 1: {from} + DueAgain -> {from}
        order.life 1: Placed + Waived -> Placed
        refund 3: New + Begin -> Sending
        posts P11 card cust 4000
        posts P9 card cust 4000
        wants SendBack 3 #0 amount=40.00 EUR attempt=1 channel=card reference=r1
        ",
    )
}
