//! The tables of the order domain (2.2, 2.4, 2.5, 2.6, 2.7, 2.8, 2.10), row by row: which rows of the machines carry each, or why
//! none does. A row named here that a table lost fails the test.

/// What became of a row of the specification.
enum Is {
    /// These rows of the machines, written as in their tables: `payment.attempt: Sending + Lost`.
    By(&'static [&'static str]),
    /// Nothing, for this reason.
    Not(&'static str),
}
use Is::{By, Not};

/// Section, row, and what became of it.
const SPEC: &[(&str, &str, Is)] = &[
    ("2.2", "- | start | Created", By(&["payment.attempt: New + Start"])),
    ("2.2", "Created | begin call | Sending", By(&["payment.attempt: New + Start"])),
    ("2.2", "Sending | provably not sent | NotSent", By(&["payment.attempt: Fresh + ChargeGaveUp"])),
    (
        "2.2",
        "Sending | timeout, reset, 5xx, unparseable | Unknown",
        By(&["payment.attempt: Sending + Lost", "payment.attempt: Sending + AnswerDue"]),
    ),
    ("2.2", "Sending | accepted, async | Pending", By(&["payment.attempt: Fresh + Pended"])),
    (
        "2.2",
        "Sending, Pending | needs redirect, QR, 3DS, OTP, wait | RequiresAction",
        By(&["payment.attempt: Open + ActionNeeded"]),
    ),
    (
        "2.2",
        "RequiresAction | customer back, not final | Pending",
        By(&["payment.attempt: RequiresAction + CustomerBack", "payment.attempt: RequiresAction + Pended"]),
    ),
    (
        "2.2",
        "Sending..Unknown, RequiresAction, Pending | authorised | Authorized",
        By(&["payment.attempt: Early + Authorised"]),
    ),
    ("2.2", "same | captured as expected | Captured", By(&["payment.attempt: Early + Paid"])),
    (
        "2.2",
        "same | amount or currency differs | Mismatch",
        By(&[
            "payment.attempt: Early + Paid",
            "payment.attempt: Extra + AcceptMismatch",
            "payment.attempt: Mismatch + RefuseMismatch",
            "payment.attempt: Mismatch + ResolveDue",
            "payment.attempt: Mismatch + Stop",
        ]),
    ),
    ("2.2", "same | decline | Declined", By(&["payment.attempt: Early + Refused"])),
    (
        "2.2",
        "RequiresAction, Pending, Unknown | cancel, deadline, failover | Closing",
        By(&[
            "payment.attempt: Asked + Cancel",
            "payment.attempt: Live + Stop",
            "payment.attempt: RequiresAction + ActionDue",
            "payment.attempt: Unknown + NotThere",
        ]),
    ),
    (
        "2.2",
        "Closing | close ok, or not-exist after close | Closed",
        By(&["payment.attempt: Early + Gone", "payment.attempt: Closing + NotThere"]),
    ),
    ("2.2", "Closing | already paid | Captured", By(&["payment.attempt: Early + Paid"])),
    (
        "2.2",
        "Closing | close unknown | Closing",
        By(&["payment.attempt: Closing + CloseDue", "payment.attempt: Closing + CloseRefused"]),
    ),
    (
        "2.2",
        "Unknown | query final | Authorized, Captured, Declined, Pending",
        By(&[
            "payment.attempt: Unknown + AskAgain",
            "payment.attempt: Early + Authorised",
            "payment.attempt: Early + Paid",
            "payment.attempt: Early + Refused",
            "payment.attempt: Fresh + Pended",
        ]),
    ),
    (
        "2.2",
        "Unknown | schedule exhausted | Unknown + ManualReconcile task",
        By(&["payment.attempt: Unknown + AskAgain", "payment.attempt: Stuck + AskAgain"]),
    ),
    (
        "2.2",
        "Authorized | capture ok | Captured, PartiallyCaptured",
        By(&[
            "payment.attempt: Holding + Collect",
            "payment.attempt: Holding + CaptureAsked",
            "payment.attempt: Secured + Paid",
        ]),
    ),
    (
        "2.2",
        "Authorized, PartiallyCaptured | void remainder ok | Voided, Captured(final)",
        By(&["payment.attempt: Holding + Release", "payment.attempt: Secured + HoldReleased"]),
    ),
    (
        "2.2",
        "Authorized | hold expires | Expired",
        By(&["payment.attempt: Holding + HoldDue", "payment.attempt: Secured + HoldExpired"]),
    ),
    (
        "2.2",
        "Captured | scheme reports capture failed | Captured(-a)",
        By(&["payment.attempt: Captured + CaptureFailed", "payment.attempt: Drawn + CaptureFailed"]),
    ),
    (
        "2.2",
        "Declined, Closed, Expired, NotSent, Voided | verified paid | Captured(late)",
        By(&["payment.attempt: Negative + Paid"]),
    ),
    (
        "2.2",
        "ops: Requested -> Sending -> NotSent, Pending, Unknown, Succeeded, Failed (capture)",
        By(&[
            "payment.attempt: Capturing + CaptureRefused",
            "payment.attempt: Capturing + CaptureLost",
            "payment.attempt: Capturing + CaptureGaveUp",
            "payment.attempt: CaptureUnknown + AskAgain",
            "payment.attempt: CaptureUnknown + StillHeld",
            "payment.attempt: CaptureUnknown + CaptureRefused",
        ]),
    ),
    (
        "2.2",
        "ops: the same (void)",
        By(&["payment.attempt: Voiding + AnswerDue", "payment.attempt: Voiding + VoidRefused"]),
    ),
    (
        "2.2a",
        "Hard, Soft, AuthRequired | route | next channel or method",
        Not("the host starts the next attempt, by the class of decline in the state; routing is later"),
    ),
    ("2.2a", "Fraud | stop + review signal", Not("later: with routing; the host may deliver a risk notice")),
    ("2.4", "- | order enters stage | Scoring", By(&["review.case: New + Enter"])),
    ("2.4", "Scoring | score below threshold | AutoApproved", By(&["review.case: Scoring + Scored"])),
    ("2.4", "Scoring | hard rule | AutoRejected", By(&["review.case: Scoring + Banned"])),
    ("2.4", "Scoring | medium or high, amount, industry | Queued", By(&["review.case: Scoring + Scored"])),
    (
        "2.4",
        "Scoring | scorer error, deadline | Queued",
        By(&[
            "review.case: Scoring + ScoreRefused",
            "review.case: Scoring + ScoreLost",
            "review.case: Scoring + ScoreGaveUp",
            "review.case: Scoring + ScoreDue",
        ]),
    ),
    ("2.4", "Queued, Escalated | claim | Claimed", By(&["review.case: Waiting + Claim"])),
    (
        "2.4",
        "Claimed | lease lapses, release | Queued",
        By(&["review.case: Claimed + LeaseDue", "review.case: Claimed + HandBack"]),
    ),
    ("2.4", "Claimed | request info | InfoRequested", By(&["review.case: Claimed + RequestInfo"])),
    ("2.4", "InfoRequested | info supplied | Queued", By(&["review.case: InfoRequested + SupplyInfo"])),
    ("2.4", "InfoRequested | deadline | Rejected, Escalated", By(&["review.case: InfoRequested + InfoDue"])),
    ("2.4", "Claimed | approve, one needed | Approved", By(&["review.case: Claimed + Approve"])),
    ("2.4", "Claimed | approve, two needed | PendingSecond", By(&["review.case: Claimed + Approve"])),
    ("2.4", "PendingSecond | approve by another | Approved", By(&["review.case: PendingSecond + Approve"])),
    ("2.4", "PendingSecond | reject | Rejected", By(&["review.case: PendingSecond + Reject"])),
    (
        "2.4",
        "Claimed, Queued | escalate, SLA at risk | Escalated",
        By(&[
            "review.case: Claimed + Escalate",
            "review.case: Queued + Escalate",
            "review.case: AtRisk + SlaDue",
            "review.case: Claimed + SlaDue",
        ]),
    ),
    (
        "2.4",
        "Claimed | snooze until | Snoozed -> Queued",
        By(&[
            "review.case: Claimed + Snooze",
            "review.case: Snoozed + WakeDue",
            "review.case: Snoozed + SlaDue",
        ]),
    ),
    ("2.4", "any open | expedite | same, priority+1", By(&["review.case: OpenCase + Expedite"])),
    ("2.4", "any open | order cancelled, payment voided | Withdrawn", By(&["review.case: Live + Stop"])),
    (
        "2.4",
        "Claimed, PendingSecond | reject | Rejected",
        By(&["review.case: Claimed + Reject", "review.case: PendingSecond + Reject"]),
    ),
    (
        "2.4",
        "Rejected | appeal, resubmit | Reopened -> Queued",
        By(&["review.case: Appealable + Appeal", "review.case: Appealable + AppealDue"]),
    ),
    (
        "2.4",
        "Approved | new risk evidence before dispatch | Reopened",
        By(&[
            "review.case: LetPass + RiskNotice",
            "review.case: OpenCase + RiskNotice",
            "review.case: Scoring + RiskNotice",
            "review.case: Appealable + RiskNotice",
        ]),
    ),
    (
        "2.4",
        "editing a reviewed order invalidates the approval",
        By(&[
            "review.case: LetPass + Amended",
            "review.case: OpenCase + Amended",
            "review.case: Scoring + Amended",
            "review.case: Appealable + Amended",
        ]),
    ),
    (
        "2.5",
        "- | allocate | Planned",
        By(&[
            "dispatch.parcel: New + Ordered",
            "dispatch.parcel: New + GatesOpen",
            "dispatch.parcel: Allocating + StockSeen",
            "dispatch.parcel: Allocating + AnswerDue",
        ]),
    ),
    (
        "2.5",
        "Planned | reserve ok, short | Reserved, Backordered",
        By(&[
            "dispatch.parcel: Planned + GatesOpen",
            "dispatch.parcel: Planned + PlanDue",
            "dispatch.parcel: Allocating + AskStockRefused",
            "dispatch.parcel: Reserving + InStock",
            "dispatch.parcel: Reserving + Short",
            "dispatch.parcel: Reserving + ReserveRefused",
            "dispatch.parcel: Reserving + AnswerDue",
            "dispatch.parcel: Backordered + RestockDue",
        ]),
    ),
    (
        "2.5",
        "Reserved | TTL | Planned",
        By(&["dispatch.parcel: Reserved + ReserveDue", "dispatch.parcel: Unreserving + Unreserved"]),
    ),
    (
        "2.5",
        "Reserved, Backordered | hold, unhold | OnHold, back",
        By(&[
            "dispatch.parcel: Holdable + Hold",
            "dispatch.parcel: OnHold + Hold",
            "dispatch.parcel: OnHold + Unhold",
            "dispatch.parcel: OnHold + PackDue",
        ]),
    ),
    (
        "2.5",
        "Reserved | funds gate + review gate open | Released",
        By(&["dispatch.parcel: Reserved + GatesOpen", "dispatch.parcel: Gated + GatesShut"]),
    ),
    (
        "2.5",
        "Released | pick short | split",
        By(&["dispatch.parcel: Released + PickShort", "dispatch.parcel: New + Split"]),
    ),
    (
        "2.5",
        "Released | packed, capture before handover | ReadyToHandOver",
        By(&[
            "dispatch.parcel: Released + Pack",
            "dispatch.parcel: ReadyToHandOver + Quoted",
            "dispatch.parcel: ReadyToHandOver + QuoteRefused",
            "dispatch.parcel: ReadyToHandOver + BookingRefused",
            "dispatch.parcel: Leaving + Booked",
            "dispatch.parcel: Shelved + Booked",
            "payment.attempt: Holding + CaptureAsked",
        ]),
    ),
    (
        "2.5",
        "ReadyToHandOver | capture Unknown | blocked",
        By(&["dispatch.parcel: ReadyToHandOver + HandOver", "dispatch.parcel: ReadyToHandOver + PackDue"]),
    ),
    (
        "2.5",
        "ReadyToHandOver | carrier accepted | HandedOver",
        By(&[
            "dispatch.parcel: ReadyToHandOver + HandOver",
            "dispatch.parcel: Leaving + Accepted",
            "dispatch.parcel: HandedOver + Consumed",
        ]),
    ),
    ("2.5", "HandedOver | tracking evidence | same", By(&["dispatch.parcel: HandedOver + Moving"])),
    (
        "2.5",
        "HandedOver | delivered + proof | Delivered",
        By(&["dispatch.parcel: Delivered + Proven", "dispatch.parcel: HandedOver + DeliveredTo"]),
    ),
    (
        "2.5",
        "HandedOver | failed, refused, returned | Returning -> ReturnedToSender",
        By(&[
            "dispatch.parcel: Out + TurnedBack",
            "dispatch.parcel: Returning + CameBack",
            "dispatch.parcel: Out + CameBack",
            "dispatch.parcel: Returning + ReturnDue",
        ]),
    ),
    (
        "2.5",
        "HandedOver | lost, silent | Lost",
        By(&["dispatch.parcel: Travelling + Mislaid", "dispatch.parcel: HandedOver + SilentDue"]),
    ),
    (
        "2.5",
        "up to Released | cancel | Cancelled",
        By(&[
            "dispatch.parcel: Planned + Stop",
            "dispatch.parcel: Allocating + Stop",
            "dispatch.parcel: Reserving + Stop",
            "dispatch.parcel: Backordered + Stop",
            "dispatch.parcel: Shelved + Stop",
            "dispatch.parcel: Unreserving + Unreserved",
            "dispatch.parcel: Unreserving + UnreserveRefused",
        ]),
    ),
    (
        "2.5",
        "ReadyToHandOver | cancel | CancelRequested -> Cancelled, HandedOver",
        By(&[
            "dispatch.parcel: ReadyToHandOver + Stop",
            "dispatch.parcel: CancelRequested + ConfirmStop",
            "dispatch.parcel: CancelRequested + PackDue",
            "dispatch.parcel: Leaving + Accepted",
            "dispatch.parcel: Stopped + Booked",
            "dispatch.parcel: Stopped + CancelRefused",
        ]),
    ),
    (
        "2.5",
        "HandedOver | cancel | refused; intercept or return",
        By(&[
            "dispatch.parcel: HandedOver + Intercept",
            "dispatch.parcel: HandedOver + Intercepted",
            "dispatch.parcel: HandedOver + InterceptRefused",
            "dispatch.parcel: HandedOver + Recall",
            "order.life: Whole + RequestReturn",
        ]),
    ),
    ("2.5", "Delivered | later Returned scan | Returning", By(&["dispatch.parcel: Out + TurnedBack"])),
    (
        "2.6",
        "Planned | gates open, funds captured | Activating",
        By(&[
            "activation.service: New + GatesOpen",
            "activation.service: Planned + GatesOpen",
            "activation.service: Planned + FundsIn",
            "activation.service: Planned + PlanDue",
            "payment.attempt: Holding + CaptureAsked",
        ]),
    ),
    (
        "2.6",
        "Activating | timeout | ActivationUnknown (query by key; never re-create)",
        By(&[
            "activation.service: Activating + ActivationLost",
            "activation.service: Activating + AnswerDue",
            "activation.service: Fresh + ActivationGaveUp",
            "activation.service: ActivationUnknown + AskAgain",
            "activation.service: ActivationUnknown + NotThere",
        ]),
    ),
    (
        "2.6",
        "Activating, ActivationUnknown | created, platform reviewing | PendingPlatformReview",
        By(&[
            "activation.service: Fresh + Reviewing",
            "activation.service: PendingPlatformReview + AskAgain",
        ]),
    ),
    (
        "2.6",
        "PendingPlatformReview | all, part available | Active, PartActive",
        By(&[
            "activation.service: Judged + Available",
            "activation.service: Fresh + Available",
            "activation.service: PartActive + Available",
        ]),
    ),
    (
        "2.6",
        "PendingPlatformReview | rejected | PlatformRejected (fix + resubmit, appeal, or cancel)",
        By(&[
            "activation.service: PendingPlatformReview + Rejected",
            "activation.service: Fresh + Rejected",
            "activation.service: PlatformRejected + Resubmit",
            "activation.service: PlatformRejected + Appeal",
            "activation.service: PendingPlatformReview + SubmitRefused",
            "activation.service: PlatformRejected + FixDue",
            "activation.service: Endable + Terminate",
        ]),
    ),
    (
        "2.6",
        "Active | spend report | Delivering",
        By(&[
            "activation.service: Running + Spent",
            "activation.service: Fresh + Spent",
            "activation.service: Judged + Spent",
            "activation.service: Flying + AskAgain",
        ]),
    ),
    (
        "2.6",
        "Active, Delivering | pause, resume | Paused, back",
        By(&[
            "activation.service: Running + Pause",
            "activation.service: Paused + Resume",
            "activation.service: Flying + Switched",
            "activation.service: Flying + SwitchRefused",
            "activation.service: Paused + Spent",
        ]),
    ),
    (
        "2.6",
        "Delivering | budget or flight end | Completed",
        By(&[
            "activation.service: Running + Spent",
            "activation.service: Flying + Ended",
            "activation.service: Flying + FlightDue",
            "activation.service: Winding + Ended",
            "activation.service: Fresh + Ended",
            "order.life: Lasting + Waived",
        ]),
    ),
    (
        "2.6",
        "Activating | permanent failure | ActivationFailed",
        By(&[
            "activation.service: Fresh + ActivationRefused",
            "activation.service: Judged + Ended",
            "order.life: Placed + Failed",
        ]),
    ),
    (
        "2.6",
        "Active..Paused | terminate | Terminating -> Terminated",
        By(&[
            "activation.service: Endable + Terminate",
            "activation.service: Winding + Spent",
            "activation.service: Winding + Stopped",
            "activation.service: Winding + Ended",
            "activation.service: Winding + SpendDue",
        ]),
    ),
    (
        "2.10",
        "approved, not executing | cancel | the service is called off, or ended",
        By(&[
            "activation.service: Planned + Stop",
            "activation.service: Fresh + Stop",
            "activation.service: Endable + Stop",
        ]),
    ),
    (
        "2.11",
        "T23: activation timeout, then created twice",
        By(&[
            "activation.service: Known + Reviewing",
            "activation.service: Late + Available",
            "activation.service: Over + Spent",
            "activation.service: Over + Ended",
            "activation.service: New + Remove",
            "activation.service: Removing + TwinEnded",
        ]),
    ),
    ("2.7", "- | request | Requested", By(&["refund: New + Request", "refund: New + Begin"])),
    (
        "2.7",
        "Requested | over limit | ApprovalPending (-> Approved, Cancelled)",
        By(&[
            "refund: New + Request",
            "refund: ApprovalPending + ApproveRefund",
            "refund: ApprovalPending + ApprovalDue",
        ]),
    ),
    (
        "2.7",
        "Requested, Approved | send | Sending",
        By(&["refund: New + Request", "refund: New + Begin", "refund: ApprovalPending + ApproveRefund"]),
    ),
    ("2.7", "Sending | PSP accepted | Pending", By(&["refund: Sent + Accepted"])),
    (
        "2.7",
        "Sending | timeout | Unknown",
        By(&[
            "refund: Sending + RefundLost",
            "refund: Sending + AnswerDue",
            "refund: Sending + RefundGaveUp",
            "refund: Unknown + AskAgain",
            "refund: Unknown + RefundMissing",
        ]),
    ),
    (
        "2.7",
        "Sending | merchant balance short | Pending{retry_same_key}",
        By(&["refund: Sent + ShortBalance", "refund: Pending + AskAgain"]),
    ),
    ("2.7", "Pending, Unknown | success | Succeeded", By(&["refund: Open + Repaid"])),
    (
        "2.7",
        "Pending | account closed | RequiresAction",
        By(&["refund: Sent + AccountClosed", "refund: RequiresAction + PayOut"]),
    ),
    (
        "2.7",
        "Pending, RequiresAction | closed, failed | Failed",
        By(&[
            "refund: Open + RefundRefused",
            "refund: RequiresAction + ActionDue",
            "refund: Sending + RefundGaveUp",
        ]),
    ),
    (
        "2.7",
        "Requested, ApprovalPending, Pending(cancellable) | cancel | Cancelled",
        By(&["refund: ApprovalPending + CancelRefund", "refund: Pending + CancelRefund"]),
    ),
    (
        "2.7",
        "Succeeded | bank returns it | Reversed",
        By(&[
            "refund: Succeeded + Bounced",
            "refund: Open + Bounced",
            "refund: Negative + Bounced",
            "refund: NotPaid + PayOut",
        ]),
    ),
    (
        "2.7",
        "Sending | attempt only authorised | void instead",
        By(&["payment.attempt: Holding + Release", "payment.attempt: Holding + Stop"]),
    ),
    ("2.7", "T15: failed, later success | Succeeded", By(&["refund: Negative + Repaid"])),
    (
        "2.8",
        "- | request in window | Requested",
        By(&["aftersales.rma: New + AskReturn", "aftersales.rma: New + AskClaim"]),
    ),
    (
        "2.8",
        "Requested | low risk, approve, refuse | Approved, Declined",
        By(&[
            "aftersales.rma: New + AskReturn",
            "aftersales.rma: Requested + Approve",
            "aftersales.rma: Requested + Decline",
            "aftersales.rma: Requested + DecideDue",
        ]),
    ),
    ("2.8", "Approved | label issued | AwaitingItems", By(&["aftersales.rma: Approved + IssueLabel"])),
    (
        "2.8",
        "AwaitingItems | first scan, deadline, withdraw | InTransit, Expired, Cancelled",
        By(&[
            "aftersales.rma: Expecting + OnItsWay",
            "aftersales.rma: Expecting + ItemsDue",
            "aftersales.rma: Expecting + Withdraw",
            "aftersales.rma: Requested + Withdraw",
            "aftersales.rma: Open + Recalled",
            "aftersales.rma: Settling + Recalled",
        ]),
    ),
    (
        "2.8",
        "InTransit | receipt, lost | Received, LostInTransit",
        By(&[
            "aftersales.rma: Missing + Receive",
            "aftersales.rma: Coming + LostOnWay",
            "aftersales.rma: InTransit + TransitDue",
            "aftersales.rma: LostInTransit + DecideDue",
        ]),
    ),
    (
        "2.8",
        "Received | inspect per unit | Inspected",
        By(&[
            "aftersales.rma: Received + Inspect",
            "aftersales.rma: Received + InspectDue",
            "aftersales.rma: Stocked + RestockRefused",
            "aftersales.rma: Stocked + RestockGaveUp",
        ]),
    ),
    (
        "2.8",
        "Inspected | decide | Accepted, PartiallyAccepted, Rejected, ManualReview",
        By(&[
            "aftersales.rma: Received + Inspect",
            "aftersales.rma: Undecided + Conclude",
            "aftersales.rma: Inspected + DecideDue",
        ]),
    ),
    (
        "2.8",
        "Accepted, PartiallyAccepted | refund, exchange | Settling",
        By(&[
            "aftersales.rma: Received + Inspect",
            "aftersales.rma: Undecided + Conclude",
            "order.life: Lasting + Waived",
        ]),
    ),
    (
        "2.8",
        "Accepted | credit | Settling",
        Not("store credit has no account of its own yet: money goes back"),
    ),
    (
        "2.8",
        "Settling | refund or replacement done | Settled, Closed",
        By(&["aftersales.rma: Settling + Squared", "aftersales.rma: Settling + SettleDue"]),
    ),
    (
        "2.8",
        "Claim | refund, replace, redo, discount, reject",
        By(&[
            "aftersales.rma: New + AskClaim",
            "aftersales.rma: Requested + Approve",
            "aftersales.rma: Requested + Decline",
        ]),
    ),
    ("2.10", "Draft -> Placed", By(&["order.life: New + Place"])),
    (
        "2.10",
        "Placed -> Expired",
        By(&["order.life: Placed + PaymentDue", "order.life: Cancelling + Cleared"]),
    ),
    (
        "2.10",
        "Placed -> Cancelling",
        By(&[
            "order.life: Placed + Cancel",
            "order.life: Placed + TurnedDown",
            "order.life: Placed + Unfillable",
            "order.life: Placed + PaymentDue",
        ]),
    ),
    (
        "2.10",
        "Cancelling -> Cancelled, Rejected",
        By(&[
            "order.life: Cancelling + Cleared",
            "order.life: Cancelling + Watch",
            "payment.attempt: Captured + GiveBack",
        ]),
    ),
    ("2.10", "Cancelling -> Completed", By(&["order.life: Cancelling + Done"])),
    ("2.10", "Placed -> Completed", By(&["order.life: Placed + Done"])),
    ("2.10", "Completed -> Closed", By(&["order.life: Completed + WindowDue"])),
    (
        "2.10a",
        "HandedOver, Delivered | request return | Returning -> ReturnedToSender",
        By(&[
            "order.life: Whole + RequestReturn",
            "order.life: Cancelling + RequestReturn",
            "dispatch.parcel: HandedOver + Recall",
            "dispatch.parcel: Delivered + Recall",
        ]),
    ),
    (
        "2.10a",
        "Completed -> Cancelling{Returned} -> Cancelled",
        By(&["order.life: Whole + RequestReturn", "order.life: Cancelling + Cleared"]),
    ),
];

/// Rows of the machines that the tables of the specification do not speak of, and why they are there.
const BESIDES: &[(&str, &str)] = &[
    ("dispatch.parcel: New + Resend", "an exchange or a claim sends something else (2.8)"),
    ("dispatch.parcel: New + Replan", "an amended order has another group (2.11, T26)"),
    ("dispatch.parcel: Planned + Replan", "an amended order is planned anew (2.11, T26)"),
    ("dispatch.parcel: Allocating + Replan", "an amended order is planned anew (2.11, T26)"),
    ("dispatch.parcel: Backordered + Replan", "an amended order is planned anew (2.11, T26)"),
    ("dispatch.parcel: Reserving + Replan", "an amended order is planned anew (2.11, T26)"),
    ("dispatch.parcel: Shelved + Replan", "an amended order is planned anew (2.11, T26)"),
    ("dispatch.parcel: Unreserving + Replan", "an amended order is planned anew (2.11, T26)"),
    ("order.life: Placed + Amend", "the document of a placed order may be amended (2.11, T26)"),
    (
        "order.life: Any + RefundedOutside",
        "a refund made in the provider's console is booked when it is told",
    ),
    ("refund: New + Record", "a refund made in the provider's console is booked when it is told"),
    ("refund: Open + SettleRefund", "a person says what the channel does not say"),
    ("refund: Succeeded + Repaid", "another part of it, or money that left unexplained (2.1, P18)"),
    (
        "refund: Reversed + Repaid",
        "the word that it was paid comes late, or money left unexplained (2.1, P18)",
    ),
    ("payment.attempt: New + Adopt", "money told for an attempt that never began finds its place (A10)"),
    ("payment.attempt: Any + Changed", "a webhook becomes an inquiry (A22)"),
    ("payment.attempt: Sending + GaveUp", "that nobody could be asked says nothing of a charge (A22)"),
    ("payment.attempt: Rest + Lost", "a message that was asked about and not confirmed is raised (A22)"),
    ("payment.attempt: Rest + GaveUp", "a message that was asked about and not confirmed is raised (A22)"),
    ("payment.attempt: Live + Superseded", "another session was paid: this one is closed (A12)"),
    ("payment.attempt: Holding + Superseded", "another session was paid: this one is released (A12)"),
    ("payment.attempt: Untold + Settle", "a person settles it by what they saw (A24)"),
    ("payment.attempt: Unsettled + Settle", "a person settles it by what they saw (A24)"),
    ("payment.attempt: Unknown + Anew", "a person has it asked at once (A24)"),
    ("payment.attempt: Stuck + Anew", "a person has it asked at once (A24)"),
    ("payment.attempt: Closing + Anew", "a person has it closed under a new key (A24)"),
    (
        "payment.attempt: CaptureUnknown + Anew",
        "a person has it captured under a new key after an inquiry (A24)",
    ),
    ("payment.attempt: Voiding + Anew", "a person has it released under a new key (A24)"),
    (
        "payment.attempt: Captured + Paid",
        "what comes besides is asked about, booked by what is new, and raised (A2, A22)",
    ),
    (
        "payment.attempt: Mismatch + Paid",
        "what comes besides is asked about, booked by what is new, and raised (A2, A22)",
    ),
    ("payment.attempt: FailedLate + Paid", "a late recapture counts where it agrees (A17)"),
    ("payment.attempt: Captured + RefuseMismatch", "what came besides goes back (A17)"),
    ("order.life: Whole + Refund", "money goes back over all tenders, for lines or for nothing (2.7)"),
    ("order.life: Lasting + Unwaived", "what a refund gave is due again once it is called off (2.7)"),
    ("activation.service: Ran + DueAgain", "a price that is due again and was not earned goes back (I11)"),
    ("order.life: Lasting + Trimmed", "no more is earned than is due (I21)"),
    ("dispatch.parcel: Unstocked + CallOff", "a part of an order, or an exchange, is called off"),
    ("dispatch.parcel: Reserving + CallOff", "a part of an order, or an exchange, is called off"),
    ("dispatch.parcel: Shelved + CallOff", "a part of an order, or an exchange, is called off"),
    ("dispatch.parcel: ReadyToHandOver + CallOff", "a part of an order, or an exchange, is called off"),
    ("dispatch.parcel: Gone + CallOff", "what came back or was lost is not sent again, and given back"),
    ("dispatch.parcel: Carrying + Repriced", "every parcel carries its part of what is due"),
    ("books.correction: New + Propose", "P16 and P18 are settled by people, with four eyes (2.1)"),
    ("books.correction: Proposed + Agree", "P16 and P18 are settled by people, with four eyes (2.1)"),
    ("books.correction: Proposed + Withdraw", "P16 and P18 are settled by people, with four eyes (2.1)"),
    ("books.correction: Proposed + AgreeDue", "no state waits for ever (R5)"),
    ("payment.attempt: Pending + AskAgain", "no state waits for a message that can be lost (R5)"),
    ("payment.attempt: Early + HoldReleased", "an authorisation that was never heard of is gone"),
    ("payment.attempt: Early + HoldExpired", "an authorisation that was never heard of is gone"),
    ("payment.attempt: Capturing + AnswerDue", "no state waits for a message that can be lost (R5)"),
    ("payment.attempt: Closing + ChargeGaveUp", "what was never sent needs no closing"),
    ("payment.attempt: Uncertain + Stop", "a capture that was never sent is not sent for a cancelled order"),
    ("payment.attempt: Negative + Authorised", "an authorisation that nobody wants is released"),
    ("review.case: Live + Contribute", "who did work on an order may be barred from approving it (I23)"),
    ("review.case: Ended + Contribute", "the same, after the decision: the journal has who did what"),
    ("review.case: Decided + SecondLook", "sampling of decisions (M12)"),
    ("review.case: Ended + Label", "outcome labels (1b)"),
    ("dispatch.parcel: Released + PackDue", "no state waits for ever (R5)"),
    ("dispatch.parcel: Unreserving + AnswerDue", "no state waits for a message that can be lost (R5)"),
    ("dispatch.parcel: HandedOver + ConsumeRefused", "the stock"),
    ("dispatch.parcel: Lost + DeliveredTo", "what was lost turns up"),
    ("activation.service: PendingPlatformReview + ReviewDue", "no state waits for ever (R5)"),
    ("activation.service: Winding + EndRefused", "a person must see to it that it stops"),
    ("activation.service: Winding + AskAgain", "no state waits for a message that can be lost (R5)"),
    ("activation.service: Removing + AskAgain", "no state waits for a message that can be lost (R5)"),
    ("activation.service: Removing + TwinRefused", "a person must see to it that it stops"),
];

#[test]
fn every_row_of_the_specification_is_carried_or_its_absence_explained() {
    let graphs = crate::rows::graphs();
    let mut rows = Vec::new();
    for (place, graph) in &graphs {
        for row in graph.rows {
            rows.push(format!("{place}: {} + {}", row.from_name, graph.inputs[usize::from(row.on)].name));
        }
    }
    let mut wrong = Vec::new();
    let mut named = Vec::new();
    for (section, spec, is) in SPEC {
        match is {
            By(by) => {
                if by.is_empty() {
                    wrong.push(format!("{section} «{spec}» is carried by nothing"));
                }
                for row in by.iter().filter(|row| !rows.iter().any(|r| r == *row)) {
                    wrong.push(format!("{section} «{spec}»: no table has the row {row}"));
                }
                named.extend(by.iter().copied());
            }
            Not("") => wrong.push(format!("{section} «{spec}» is absent, and why?")),
            Not(_) => {}
        }
    }
    named.extend(BESIDES.iter().map(|(row, _)| *row));
    wrong.extend(
        BESIDES
            .iter()
            .filter(|(row, _)| !rows.iter().any(|r| r == row))
            .map(|(row, _)| format!("no table has the row {row}")),
    );
    for row in rows.iter().filter(|row| !named.contains(&row.as_str())) {
        wrong.push(format!("{row} is in a table, and neither in the specification nor explained"));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
