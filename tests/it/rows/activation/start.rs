//! Until it takes effect: planned, activated, looked at by the platform.

use super::*;

const FRESH: &[&str] = &["Activating", "ActivationUnknown"];
const JUDGED: &[&str] = &["PendingPlatformReview", "PlatformRejected"];

pub(super) fn planned() -> Vec<Case> {
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
            payment.attempt 1: Capturing + Stop -> Capturing
            activation.service 1: Planned + Stop -> Cancelled
        ",
        ),
    ]
}

pub(super) fn fresh() -> Vec<Case> {
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
            "the platform turns out never to have been reached when its answer was due long ago",
            || {
                let mut s = reach("Activating");
                s.due(PLACE, 1, "AnswerDue");
                s
            },
            |s| s.gave_up("Activate", false),
            "
            activation.service 1: ActivationUnknown + ActivationGaveUp -> Planned
            holds platform_unreachable
        ",
        ),
        case(
            "the platform may have been reached, and is asked already",
            || {
                let mut s = reach("Activating");
                s.due(PLACE, 1, "AnswerDue");
                s
            },
            |s| s.gave_up("Activate", true),
            "
            activation.service 1: ActivationUnknown + ActivationGaveUp -> ActivationUnknown
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

pub(super) fn judged() -> Vec<Case> {
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
