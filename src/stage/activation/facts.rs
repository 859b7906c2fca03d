//! What a service is, where it may stand, and what is asked and said of it.

use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;
use crate::id::{Channel, Key};
use crate::machine::Evidence;
use crate::money::Money;
use crate::stage::{data, guesses, plain, quiet};

/// What a service is, and what happened to it; kept from state to state.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Run {
    /// Which activation it is, from 1: one that provably never arrived is followed by another.
    pub attempt: u32,
    /// The platform that runs it.
    pub platform: Channel,
    /// Its share of the order's total, in minor units: what it may spend.
    pub budget_minor: i64,
    /// Minor units spent of the budget, by the platform's newest report.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub consumed_minor: i64,
    /// Minor units spent as the platform says, which may be more than the budget.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub reported_minor: i64,
    /// Minor units earned with it.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub earned_minor: i64,
    /// The platform's number for it, once it told one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub external_ref: Option<String>,
    /// How often it was submitted again.
    #[serde(default)]
    pub submissions: u32,
    /// How many flights followed the first.
    #[serde(default)]
    pub flights: u32,
    /// When it took effect.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_at: Option<Timestamp>,
    /// When its flight ends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ends_at: Option<Timestamp>,
    /// How many inquiries were made: each is an operation of its own.
    #[serde(default)]
    pub asked: u32,
    /// How often it was paused, resumed or carried over: each is an operation of its own.
    #[serde(default)]
    pub switches: u32,
    /// Whether the platform has not confirmed the newest of them yet.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub switching: bool,
}

#[allow(clippy::trivially_copy_pass_by_ref)] // the shape serde asks for
fn is_zero(n: &i64) -> bool {
    *n == 0
}

#[allow(clippy::trivially_copy_pass_by_ref)] // the shape serde asks for
fn none(n: &u32) -> bool {
    *n == 0
}

/// A second service that the platform made under the key of a first one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Double {
    /// The service whose key it was made under.
    pub service: Key,
    /// The platform that made it.
    pub platform: Channel,
    /// The platform's number for it.
    pub external_ref: String,
    /// Minor units that it spent, once that is known.
    pub spent_minor: i64,
}

/// How a service ran when it was paused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Was {
    /// All of it was available, and nothing was spent.
    Active,
    /// A part of it was available.
    PartActive,
    /// It was spending.
    Delivering,
}

/// Why a service is ended before its flight is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Why {
    /// Somebody asked.
    Asked,
    /// The order is on its way out.
    OrderCancelled,
    /// The platform does not know it.
    NotFound,
    /// Nobody fixed what the platform rejected.
    NotFixed,
}

data! {
    /// Waits for its money or its review.
    Planned {
        /** How often it was activated and provably never arrived. */
        #[serde(default, skip_serializing_if = "none")] attempts: u32,
    }
    /// Asked of the platform, no answer yet.
    Activating { /** The service. */ run: Run }
    /// Nobody knows whether the platform has it.
    ActivationUnknown {
        /** The service. */ run: Run,
        /** Inquiries made. */ asked: u32,
        /** Answers "not there". */ missing: u32,
    }
    /// The platform has it, and looks at it.
    PendingPlatformReview {
        /** The service. */ run: Run,
        /** Inquiries made. */ asked: u32,
        /** When it should be decided. */ due_at: Timestamp,
        /** What was submitted again, until the platform confirms it. */
        #[serde(default, skip_serializing_if = "Option::is_none")] submitted: Option<Submit>,
    }
    /// The platform rejected it; the customer may fix it. The clock of the platform's review stands still.
    PlatformRejected {
        /** The service. */ run: Run,
        /** The platform's reasons. */ reasons: Vec<String>,
        /** What the clock had left, in milliseconds. */ left_ms: u64,
    }
    /// All of it is available, and nothing is spent yet.
    Active { /** The service. */ run: Run }
    /// A part of it is available.
    PartActive { /** The service. */ run: Run, /** Why not all. */ reasons: Vec<String> }
    /// It spends.
    Delivering { /** The service. */ run: Run }
    /// It stands still; its flight goes on.
    Paused { /** The service. */ run: Run, /** How it ran before. */ was: Was }
    /// Its flight is over; its final spend is awaited.
    Settling {
        /** The service. */ run: Run,
        /** Whether the platform said that it spends no more. */ stopped: bool,
        /** When its last report counts, or a person hears of it. */ settle_by: Timestamp,
    }
    /// It is being ended; its final spend is awaited.
    Terminating {
        /** The service. */ run: Run,
        /** Why. */ why: Why,
        /** Whether the platform said that it spends no more. */ stopped: bool,
        /** When its last report counts, or a person hears of it. */ settle_by: Timestamp,
    }
    /// Its budget is spent, or its flight is over.
    Completed { /** The service. */ run: Run }
    /// Ended before that.
    Terminated { /** The service. */ run: Run, /** Why. */ why: Why }
    /// It never took effect.
    ActivationFailed { /** The service. */ run: Run, /** Why. */ reason: String }
    /// Called off before the platform was asked.
    Cancelled { }
    /// A second one under the same key, being ended.
    Removing { /** Which. */ double: Double, /** How often the platform was asked to. */ asked: u32 }
    /// A second one under the same key, ended.
    Removed { /** Which. */ double: Double }

    /// Submits a rejected service again, fixed. Refused when the policy's resubmissions are used up.
    Resubmit { /** What was fixed, or a reference to it. */ material: String }
    /// Submits a rejected service again as it is, for another to look at. Refused as [`Resubmit`] is.
    Appeal { /** Why it should pass. */ reason: String }

    /// Asks the platform to create and run a service. Sent once under its key: a lost answer is inquired for, and never
    /// leads to a second creation under it. Only one that the platform never had, and has promised never to have, is
    /// followed by another.
    Activate {
        /** The platform. */ platform: Channel,
        /** Which activation of this service, from 1. */ attempt: u32,
        /** The line's SKU. */ sku: String,
        /** The line's quantity. */ quantity: u32,
        /** What it may spend. */ budget: Money,
        /** How long it runs from the moment it takes effect, in milliseconds. */ flight_ms: u64,
    }
    /// Asks what the platform has under the key of a service, and what that has spent.
    InquireService {
        /** The platform. */ platform: Channel,
        /** Which activation it is about. */ attempt: u32,
        /** Its number for it, if it told one. */ external_ref: Option<String>,
    }
    /// Submits a rejected service again.
    Submit {
        /** The platform. */ platform: Channel,
        /** Which activation it is about. */ attempt: u32,
        /** Its number for it, if it told one. */ external_ref: Option<String>,
        /** Which submission, from 1; the first activation is 0. */ revision: u32,
        /** Whether it is an appeal, and the service unchanged. */ appeal: bool,
        /** What was fixed, or why it should pass. */ material: String,
    }
    /// Pauses a service, or lets it run.
    Switch {
        /** The platform. */ platform: Channel,
        /** Which activation it is about. */ attempt: u32,
        /** Its number for it, if it told one. */ external_ref: Option<String>,
        /** Which switch, from 1. */ n: u32,
        /** Whether it shall run. */ run: bool,
        /** When its flight ends. */ until: Timestamp,
    }
    /// Ends a service for good. One that never arrived counts as ended, and must not arrive later.
    End {
        /** The platform. */ platform: Channel,
        /** Which activation it is about. */ attempt: u32,
        /** Its number for it, if it told one. */ external_ref: Option<String>,
    }
    /// Ends a second service that was made under the same key, and leaves the first alone.
    EndTwin { /** The platform. */ platform: Channel, /** Its number for it. */ external_ref: String }

    /// The answer to an activation was lost.
    ActivationLost { /** Why. */ why: String }
    /// The calls of an activation are used up.
    ActivationGaveUp { /** Whether any may have arrived. */ sent: bool, /** Why. */ why: String }
    /// The platform will never run it.
    ActivationRefused { /** Why. */ why: String }
    /// The answer was lost.
    CallLost { /** Why. */ why: String }
    /// The calls are used up.
    CallGaveUp { /** Whether any may have arrived. */ sent: bool, /** Why. */ why: String }
    /// The platform does not say.
    InquiryRefused { /** Why. */ why: String }
    /// The platform does not take a submission.
    SubmitRefused { /** Why. */ why: String }
    /// Paused, or running again.
    Switched { /** Which switch. */ n: u32 }
    /// The platform does not pause it, or does not let it run.
    SwitchRefused { /** Which switch. */ n: u32, /** Why. */ why: String }
    /// The platform does not end it.
    EndRefused { /** Why. */ why: String }
    /// The second one is ended.
    TwinEnded { /** What it spent, for good. */ spent: Money }
    /// The platform does not end the second one.
    TwinRefused { /** Why. */ why: String }
    /// The platform has it, and looks at it.
    Reviewing {
        /** The platform's number for it. */ external_ref: String,
        /** Which submission it looks at; the first activation is 0. */ revision: u32,
    }
    /// The platform rejected it.
    Rejected {
        /** The platform's number for it. */ external_ref: String,
        /** Which submission it looked at; the first activation is 0. */ revision: u32,
        /** Why. */ reasons: Vec<String>,
    }
    /// It takes effect, all of it or a part.
    Available {
        /** The platform's number for it. */ external_ref: String,
        /** Whether it is only a part. */ #[serde(default, skip_serializing_if = "std::ops::Not::not")] part: bool,
        /** Why only a part. */ #[serde(default, skip_serializing_if = "Vec::is_empty")] reasons: Vec<String>,
    }
    /// What it has spent since it began. Reports are cumulative: a smaller one is an older one.
    Spent { /** The platform's number for it. */ external_ref: String, /** How much. */ spent: Money }
    /// It is over for good, and spends no more.
    Ended {
        /** The platform's number for it; none where it never had one. */ external_ref: Option<String>,
        /** What it spent, for good. */ spent: Money,
    }

    /// Wants the money captured before it is activated.
    NeedsFunds { /** The service. */ service: Key }
    /// The platform has another one under the key of a service.
    Twin {
        /** The service. */ service: Key,
        /** The platform. */ platform: Channel,
        /** The platform's number for the other one. */ external_ref: String,
    }
    /// Ends a second one.
    Remove {
        /** The service whose key it was made under. */ service: Key,
        /** The platform. */ platform: Channel,
        /** The platform's number for it. */ external_ref: String,
    }
}

plain! {
    /// Lets a service stand still. Its flight goes on.
    Pause,
    /// Lets a paused service run.
    Resume,
    /// Ends a service before its time. What it did not spend goes back, as the policy says.
    Terminate,
    /// The platform has nothing under the key.
    NotThere,
    /// It spends no more; what it spent follows.
    Stopped,
    /// Time to look at the plan again.
    PlanDue,
    /// The answer should be here.
    AnswerDue,
    /// Time to ask again.
    AskAgain,
    /// The platform should have decided.
    ReviewDue,
    /// The customer's time is over.
    FixDue,
    /// The flight is over.
    FlightDue,
    /// The final spend should be here.
    SpendDue,
    /// Paid and reviewed.
    GatesOpen,
    /// Enough is captured.
    FundsIn,
    /// The order is on its way out.
    Stop,
    /// A price that was let off is due again, and more of it than the service earned.
    DueAgain,
}

quiet!(
    ActivationLost,
    ActivationGaveUp,
    ActivationRefused,
    CallLost,
    CallGaveUp,
    InquiryRefused,
    NotThere,
    SubmitRefused,
    Switched,
    SwitchRefused,
    Stopped,
    EndRefused,
    TwinRefused
);
guesses!(ActivationLost, CallLost; ActivationGaveUp, CallGaveUp);

impl Evidence for Reviewing {
    fn identity(&self) -> Option<String> {
        Some(format!("reviewing {} {}", self.external_ref, self.revision))
    }
}
impl Evidence for Rejected {
    fn identity(&self) -> Option<String> {
        Some(format!("rejected {} {}", self.external_ref, self.revision))
    }
}
impl Evidence for Available {
    fn identity(&self) -> Option<String> {
        Some(format!("available {} {}", self.external_ref, if self.part { "part" } else { "all" }))
    }
}
impl Evidence for Spent {
    fn identity(&self) -> Option<String> {
        Some(format!("spent {} {}", self.external_ref, self.spent))
    }
}
impl Evidence for Ended {
    fn identity(&self) -> Option<String> {
        // That there is nothing is said of each activation anew.
        Some(format!("ended {} {}", self.external_ref.as_deref()?, self.spent))
    }
}
impl Evidence for TwinEnded {
    fn identity(&self) -> Option<String> {
        Some(format!("twin ended {}", self.spent))
    }
}
