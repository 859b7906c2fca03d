//! One service.

use super::facts::*;
use super::policy::{ActivationPolicy, EarnPolicy, Rest};
use crate::clock::Timestamp;
use crate::id::Key;
use crate::ledger::{P7, P19};
use crate::machine::{
    Again, Answer, AskedBy, Cx, Deadline, Decide, EmittedBy, Fold, Goto, Life, Next, On, Opens, PostedBy,
    Row, View, World, refuse, stay, to, until,
};
use crate::money::Money;
use crate::order::{Credit, Relief};
use crate::stage::proof::{Approved, Cancelling, Collected, Funded, Served, Services, ToActivate, Waive};
use crate::stage::shared;

crate::machine! {
    /// One service that a platform runs (section 2.6 of the order domain). A second one that the platform made under
    /// the same key is an instance of its own, from `Removing` on.
    ///
    /// Ranks: 0 a local guess or an answer of ours, 1 the platform has it, 2 rejected, 3 it runs, 4 it is over.
    pub mod service = "activation.service" v 3;
    policy ActivationPolicy;
    needs Funded, Approved<ToActivate>;
    hears Collected, Cancelling;
    yields Served<Services>;
    effects {
        Activate while Fresh  => done Reviewing | Available,
                                 declined ActivationRefused, unknown ActivationLost, exhausted ActivationGaveUp;
        InquireService (read) => done Reviewing | Rejected | Available | Spent | Ended | NotThere,
                                 declined InquiryRefused, unknown CallLost, exhausted CallGaveUp;
        Submit (repeat) while Judged
                              => done Reviewing | Available,
                                 declined SubmitRefused, unknown CallLost, exhausted CallGaveUp;
        Switch (repeat) while Flying
                              => done Switched, declined SwitchRefused, unknown CallLost, exhausted CallGaveUp;
        End (repeat) while Winding
                              => done Ended | Stopped, declined EndRefused, unknown CallLost, exhausted CallGaveUp;
        EndTwin (repeat)      => done TwinEnded, declined TwinRefused, unknown CallLost, exhausted CallGaveUp;
    }
    asks { NeedsFunds, Waive, Twin }
    opens { GatesOpen }
    inputs {
        command Pause, Resume, Terminate, Resubmit, Appeal;
        outcome ActivationLost @0, ActivationGaveUp @0, ActivationRefused @0, CallLost @0, CallGaveUp @0,
                InquiryRefused @0, NotThere @0, SubmitRefused @0, Switched @0, SwitchRefused @0, Stopped @0,
                EndRefused @0, TwinEnded @0, TwinRefused @0,
                Reviewing @1, Rejected @2, Available @3, Spent @3, Ended @4;
        timer   PlanDue, AnswerDue, AskAgain, ReviewDue, FixDue, FlightDue, SpendDue;
        signal  GatesOpen (on granted), FundsIn (on granted Collected), Stop (on granted Cancelling), Remove,
                DueAgain;
    }
    states {
        Planned: wait(PlanDue) @0,
        Activating: busy(AnswerDue) @0,
        ActivationUnknown: busy(AskAgain) @0,
        PendingPlatformReview: wait(AskAgain, ReviewDue) @1,
        PlatformRejected: wait(FixDue) @2,
        Active: wait(FlightDue, AskAgain) @3,
        PartActive: wait(FlightDue, AskAgain) @3,
        Delivering: wait(FlightDue, AskAgain) @3,
        Paused: wait(FlightDue, AskAgain) @3,
        Settling: busy(AskAgain, SpendDue) @3,
        Terminating: busy(AskAgain, SpendDue) @3,
        Completed: done @4,
        Terminated: done @4,
        ActivationFailed: fail @4,
        Cancelled: fail @4,
        Removing: busy(AskAgain) @4,
        Removed: done @4,
    }
    groups {
        Fresh    = Activating | ActivationUnknown;
        Judged   = PendingPlatformReview | PlatformRejected;
        Running  = Active | PartActive | Delivering;
        Flying   = Active | PartActive | Delivering | Paused;
        Winding  = Settling | Terminating;
        Endable  = PendingPlatformReview | PlatformRejected | Active | PartActive | Delivering | Paused;
        Over     = Completed | Terminated | ActivationFailed;
        Known    = PendingPlatformReview | PlatformRejected | Active | PartActive | Delivering | Paused | Settling
                 | Terminating | Completed | Terminated | ActivationFailed;
        Late     = Active | Delivering | Paused | Settling | Terminating | Completed | Terminated
                 | ActivationFailed;
        Begun    = Activating | ActivationUnknown | PendingPlatformReview | PlatformRejected | Active | PartActive
                 | Delivering | Paused | Settling | Terminating | Completed | Terminated | ActivationFailed
                 | Cancelled | Removing | Removed;
        AllOpen  = Planned | Activating | ActivationUnknown | PendingPlatformReview | PlatformRejected | Active
                 | PartActive | Delivering | Paused | Settling | Terminating | Completed | Terminated
                 | ActivationFailed | Cancelled | Removing | Removed;
        AfterStop = Settling | Terminating | Completed | Terminated | ActivationFailed | Cancelled | Removing
                 | Removed;
        Ran      = Completed | Terminated;
        NotRan   = Planned | Activating | ActivationUnknown | PendingPlatformReview | PlatformRejected | Active
                 | PartActive | Delivering | Paused | Settling | Terminating | ActivationFailed | Cancelled
                 | Removing | Removed;
        Unsent   = Planned | Cancelled;
    }
    rows {
        New                   + GatesOpen         => Planned | Activating | Cancelled / Activate ? NeedsFunds;
        Planned               + GatesOpen         => Planned | Activating | Cancelled / Activate ? NeedsFunds;
        Planned               + FundsIn           => Planned | Activating | Cancelled / Activate ? NeedsFunds;
        Planned               + PlanDue           => Planned | Activating | Cancelled / Activate ? NeedsFunds;
        Planned               + Stop              => Cancelled;
        Activating            + ActivationLost    => ActivationUnknown;
        Activating            + AnswerDue         => ActivationUnknown;
        Fresh                 + ActivationGaveUp  => Planned | ActivationUnknown;
        Fresh                 + ActivationRefused => ActivationFailed ? Waive;
        Fresh                 + Reviewing         => PendingPlatformReview;
        Fresh                 + Rejected          => PlatformRejected;
        Fresh                 + Available         => Active | PartActive ! P7;
        Fresh                 + Spent             => Delivering | Completed ! P7;
        Fresh                 + Ended             => Completed | ActivationFailed ! P7 ? Waive;
        Fresh                 + Stop              => Terminating / End;
        ActivationUnknown     + AskAgain          => ActivationUnknown / InquireService;
        ActivationUnknown     + NotThere          => ActivationUnknown | Terminating / End;
        PendingPlatformReview + AskAgain          => PendingPlatformReview / InquireService, Submit;
        PendingPlatformReview + ReviewDue         => PendingPlatformReview;
        PendingPlatformReview + Rejected          => PlatformRejected | PendingPlatformReview ? Twin;
        PendingPlatformReview + SubmitRefused     => PlatformRejected;
        PlatformRejected      + Resubmit          => PendingPlatformReview / Submit;
        PlatformRejected      + Appeal            => PendingPlatformReview / Submit;
        PlatformRejected      + FixDue            => Terminating / End;
        Known                 + Reviewing         => PendingPlatformReview | PlatformRejected | Active | PartActive
                                                   | Delivering | Paused | Settling | Terminating | Completed
                                                   | Terminated | ActivationFailed ? Twin;
        Judged                + Available         => Active | PartActive | PendingPlatformReview
                                                   | PlatformRejected ! P7 ? Twin;
        PartActive            + Available         => Active | PartActive ? Twin;
        Late                  + Available         => Active | Delivering | Paused | Settling | Terminating
                                                   | Completed | Terminated | ActivationFailed ? Twin;
        Judged                + Spent             => Delivering | Completed | PendingPlatformReview
                                                   | PlatformRejected ! P7 ? Twin;
        Running               + Spent             => Active | PartActive | Delivering | Completed ! P7 ? Twin;
        Paused                + Spent             => Paused | Completed ! P7 ? Twin;
        Winding               + Spent             => Settling | Terminating ! P7 ? Twin;
        Over                  + Spent             => Completed | Terminated | ActivationFailed ? Twin;
        Running               + Pause             => Paused / Switch;
        Paused                + Resume            => Active | PartActive | Delivering / Switch;
        Flying                + Switched          => Active | PartActive | Delivering | Paused;
        Flying                + SwitchRefused     => Active | PartActive | Delivering | Paused;
        Flying                + AskAgain          => Active | PartActive | Delivering | Paused
                                                   / InquireService, Switch;
        Flying                + FlightDue         => Active | PartActive | Delivering | Paused | Settling
                                                   / Switch, End;
        Endable               + Terminate         => Terminating / End;
        Endable               + Stop              => Terminating / End;
        Judged                + Ended             => Completed | ActivationFailed | PendingPlatformReview
                                                   | PlatformRejected ! P7 ? Waive, Twin;
        Flying                + Ended             => Completed | Active | PartActive | Delivering | Paused
                                                   ! P7 ? Waive, Twin;
        Winding               + Ended             => Completed | Terminated | ActivationFailed | Planned
                                                   | Settling | Terminating ! P7 ? Waive, Twin;
        Over                  + Ended             => Completed | Terminated | ActivationFailed ? Twin;
        Ran                   + DueAgain          => Completed | Terminated ? Waive;
        Winding               + Stopped           => Settling | Terminating;
        Winding               + EndRefused        => Settling | Terminating;
        Winding               + AskAgain          => Settling | Terminating / End, InquireService;
        Winding               + SpendDue          => Settling | Terminating | Completed | Terminated
                                                   | ActivationFailed ? Waive;
        New                   + Remove            => Removing / EndTwin;
        Removing              + AskAgain          => Removing / EndTwin;
        Removing              + TwinRefused       => Removing;
        Removing              + TwinEnded         => Removed ! P19;
    }
    ignore {
        Begun + GatesOpen | FundsIn; AfterStop + Stop; AllOpen + Remove; NotRan + DueAgain;
    }
    alarm {
        Unsent + Reviewing | Rejected | Available | Spent | Ended;
    }
}

use service::{Endable, Flying, Fresh, Judged, Known, Late, M, New, Over, Ran, Running, State, Winding};

shared!(Fresh.run: Run = Activating | ActivationUnknown);
shared!(Judged.run: Run = PendingPlatformReview | PlatformRejected);
shared!(Running.run: Run = Active | PartActive | Delivering);
shared!(Flying.run: Run = Active | PartActive | Delivering | Paused);
shared!(Winding.run: Run = Settling | Terminating);
shared!(Winding.stopped: bool = Settling | Terminating);
shared!(Winding.settle_by: Timestamp = Settling | Terminating);
shared!(Endable.run: Run = PendingPlatformReview | PlatformRejected | Active | PartActive | Delivering | Paused);
shared!(Over.run: Run = Completed | Terminated | ActivationFailed);
shared!(Ran.run: Run = Completed | Terminated);
shared!(Known.run: Run = PendingPlatformReview | PlatformRejected | Active | PartActive | Delivering | Paused | Settling
    | Terminating | Completed | Terminated | ActivationFailed);
shared!(Late.run: Run = Active | Delivering | Paused | Settling | Terminating | Completed | Terminated
    | ActivationFailed);

/// The same state with its service changed, and the instants as they were.
macro_rules! same {
    ($me:ident, $group:ident [$($state:ident)|+], $run:expr) => {
        match $me.clone() { $($group::$state(mut s) => { s.run = $run; stay(s) })+ }
    };
}
/// The same state with its service changed, and new instants.
macro_rules! again {
    ($me:ident, $group:ident [$($state:ident)|+], $run:expr, $at:expr) => {
        match $me.clone() { $($group::$state(mut s) => { s.run = $run; until($at, s) })+ }
    };
}

impl Run {
    fn known_as(&self, external_ref: &str) -> Run {
        Run { external_ref: Some(external_ref.to_owned()), ..self.clone() }
    }

    /// Whether the platform speaks of another one than this. Once a service is over, any that it never told of is.
    fn is_other(&self, external_ref: &str, over: bool) -> bool {
        self.external_ref.as_deref().map_or(over, |own| own != external_ref)
    }

    /// Minor units that nobody earned, and that its customer is owed once it is over.
    fn rest_minor(&self, policy: &ActivationPolicy) -> i64 {
        match policy.earn {
            EarnPolicy::OnActivation if self.started_at.is_some() => 0,
            EarnPolicy::OnActivation | EarnPolicy::OnConsumption => {
                self.budget_minor.saturating_sub(self.consumed_minor).max(0)
            }
        }
    }

    fn spent_up(&self) -> bool {
        self.consumed_minor >= self.budget_minor
    }
}

/// The platform has another one under this service's key.
fn twin<R: Row<M = M>>(run: &Run, external_ref: &str, cx: &mut Cx<'_, R>)
where
    Twin: AskedBy<R>,
{
    let (service, platform) = (cx.key(), run.platform.clone());
    cx.ask(Twin { service, platform, external_ref: external_ref.to_owned() });
}

impl Opens<GatesOpen, M> for New {
    fn keys(view: &View<'_, M>) -> Vec<Key> {
        // Nothing begins for an order that is on its way out, whatever its gates say.
        if view.world.life != Life::Placed {
            return Vec::new();
        }
        view.world.order.services().iter().map(|s| s.key).collect()
    }
}

/// Activates a service whose gates are open and whose money is there; else it waits, and asks for the money.
fn plan<R>(attempts: u32, cx: &mut Cx<'_, R>) -> Next<R>
where
    R: Goto<Planned> + Goto<Activating> + Goto<Cancelled> + Row<M = M>,
    Activate: EmittedBy<R>,
    NeedsFunds: AskedBy<R>,
{
    let order = cx.order();
    let service = order.services().into_iter().find(|s| s.key == cx.key());
    // An order that was amended may have it no more.
    let Some((service, line)) = service.and_then(|s| order.lines().get(s.line).map(|l| (s, l))) else {
        return to(Cancelled {});
    };
    if cx.life() != Life::Placed {
        return to(Cancelled {});
    }
    if !cx.gates_open() || cx.seen::<Collected>().is_none() {
        if cx.gates_open() {
            cx.ask(NeedsFunds { service: cx.key() });
        }
        return until(cx.after_ms(cx.policy().plan_ms), Planned { attempts });
    }
    let policy = cx.policy();
    let run = Run {
        attempt: attempts.saturating_add(1),
        platform: policy.platform.clone(),
        budget_minor: service.share_minor,
        consumed_minor: 0,
        reported_minor: 0,
        earned_minor: 0,
        external_ref: None,
        submissions: 0,
        flights: 0,
        started_at: None,
        ends_at: None,
        asked: 0,
        switches: 0,
        switching: false,
    };
    let activate = Activate {
        platform: run.platform.clone(),
        attempt: run.attempt,
        sku: line.sku.clone(),
        quantity: line.quantity,
        budget: Money::new(run.budget_minor, order.currency()),
        flight_ms: policy.flight_ms,
    };
    cx.want_nth(run.attempt, activate);
    until(cx.after_ms(policy.answer_ms), Activating { run })
}
impl On<GatesOpen> for New {
    fn on(&self, _: &GatesOpen, cx: &mut Cx<'_, Self::R>) -> Next<Self::R> {
        plan(0, cx)
    }
}
impl On<GatesOpen> for Planned {
    fn on(&self, _: &GatesOpen, cx: &mut Cx<'_, Self::R>) -> Next<Self::R> {
        plan(self.attempts, cx)
    }
}
impl On<FundsIn> for Planned {
    fn on(&self, _: &FundsIn, cx: &mut Cx<'_, Self::R>) -> Next<Self::R> {
        plan(self.attempts, cx)
    }
}
impl On<PlanDue> for Planned {
    fn on(&self, _: &PlanDue, cx: &mut Cx<'_, Self::R>) -> Next<Self::R> {
        plan(self.attempts, cx)
    }
}
impl On<Stop> for Planned {
    fn on(&self, _: &Stop, _: &mut Cx<'_, Self::R>) -> Next<Self::R> {
        to(Cancelled {})
    }
}

fn unknown<R: Goto<ActivationUnknown> + Row<M = M>>(run: &Run, cx: &Cx<'_, R>) -> Next<R> {
    let wait = cx.policy().inquiry_wait_ms(0);
    until(cx.after_ms(wait), ActivationUnknown { run: run.clone(), asked: 0, missing: 0 })
}
impl On<ActivationLost> for Activating {
    fn on(&self, _: &ActivationLost, cx: &mut Cx<'_, Self::R>) -> Next<Self::R> {
        unknown(&self.run, cx)
    }
}
impl On<AnswerDue> for Activating {
    fn on(&self, _: &AnswerDue, cx: &mut Cx<'_, Self::R>) -> Next<Self::R> {
        unknown(&self.run, cx)
    }
}
impl On<ActivationGaveUp> for Fresh {
    fn on(&self, e: &ActivationGaveUp, cx: &mut Cx<'_, Self::R>) -> Next<Self::R> {
        if e.sent {
            return match self {
                Fresh::Activating(s) => unknown(&s.run, cx),
                Fresh::ActivationUnknown(s) => stay(s.clone()),
            };
        }
        // Nothing ever left, so asking later under the same key creates it once.
        cx.hold("platform_unreachable", format!("service {}: {}", cx.key(), e.why));
        let attempts = self.run().attempt.saturating_sub(1);
        until(cx.after_ms(cx.policy().plan_ms), Planned { attempts })
    }
}

/// What of the price of a service nobody earned, and is due all the same. What went back for it before is not given
/// once more.
fn unearned(run: &Run, key: Key, world: &World<'_>, policy: &ActivationPolicy) -> Option<Credit> {
    let services = world.order.services();
    let line = services.iter().find(|s| s.key == key).and_then(|s| u32::try_from(s.line).ok())?;
    let all = world.obligation.left(world.order);
    let left = all.iter().find(|l| l.line == line)?;
    let given_minor = run.rest_minor(policy).min(left.due_minor.saturating_sub(run.earned_minor));
    if given_minor <= 0 {
        return None;
    }
    let worth_minor = given_minor.min(left.worth_minor);
    let quantity = if worth_minor == left.worth_minor { left.quantity } else { 0 };
    Some(Credit { line, quantity, unsent: quantity, worth_minor, given_minor, ..Credit::default() })
}

/// What nobody earned is not due any more, and what was paid of it goes back.
fn owe<R: Row<M = M>>(run: &Run, reason: &str, cx: &mut Cx<'_, R>)
where
    Waive: AskedBy<R>,
{
    let view = cx.siblings();
    if let Some(credit) = unearned(run, cx.key(), view.world, view.policy) {
        let relief = Relief { credits: vec![credit], extras: Vec::new() };
        cx.ask(Waive { relief, goes_back: true, reason: format!("service {}: {reason}", cx.key()) });
    }
}

/// The services that ran and are over, of whose price more is due than they earned: a refund was called off that had
/// let it off before they ended. Of one that never ran nothing is due.
#[must_use]
pub fn due_again(view: &View<'_, M>) -> Vec<(Key, DueAgain)> {
    let over = view.instances().filter(|(key, state)| {
        let run = match state {
            State::Completed(s) => &s.run,
            State::Terminated(s) => &s.run,
            State::Planned(_)
            | State::Activating(_)
            | State::ActivationUnknown(_)
            | State::PendingPlatformReview(_)
            | State::PlatformRejected(_)
            | State::Active(_)
            | State::PartActive(_)
            | State::Delivering(_)
            | State::Paused(_)
            | State::Settling(_)
            | State::Terminating(_)
            | State::ActivationFailed(_)
            | State::Cancelled(_)
            | State::Removing(_)
            | State::Removed(_) => return false,
        };
        unearned(run, *key, view.world, view.policy).is_some()
    });
    over.map(|(key, _)| (key, DueAgain)).collect()
}
impl On<DueAgain> for Ran {
    fn on(&self, _: &DueAgain, cx: &mut Cx<'_, Self::R>) -> Next<Self::R> {
        owe(self.run(), "it is over, and earned no more", cx);
        same!(self, Ran[Completed | Terminated], self.run().clone())
    }
}

fn failed<R: Goto<ActivationFailed> + Row<M = M>>(run: &Run, reason: &str, cx: &mut Cx<'_, R>) -> Next<R>
where
    Waive: AskedBy<R>,
{
    owe(run, reason, cx);
    to(ActivationFailed { run: run.clone(), reason: reason.to_owned() })
}
impl On<ActivationRefused> for Fresh {
    fn on(&self, e: &ActivationRefused, cx: &mut Cx<'_, Self::R>) -> Next<Self::R> {
        failed(self.run(), &e.why, cx)
    }
}
impl On<Reviewing> for Fresh {
    fn on(&self, e: &Reviewing, cx: &mut Cx<'_, Self::R>) -> Next<Self::R> {
        let due = cx.after_ms(cx.policy().review_ms);
        let run = self.run().known_as(&e.external_ref);
        let state = PendingPlatformReview { run, asked: 0, due_at: due.instant(), submitted: None };
        until((cx.after_ms(cx.policy().inquiry_wait_ms(0)), due), state)
    }
}
fn rejected<R: Goto<PlatformRejected> + Row<M = M>>(
    run: Run,
    reasons: &[String],
    left_ms: u64,
    cx: &Cx<'_, R>,
) -> Next<R> {
    until(cx.after_ms(cx.policy().fix_ms), PlatformRejected { run, reasons: reasons.to_vec(), left_ms })
}
impl On<Rejected> for Fresh {
    fn on(&self, e: &Rejected, cx: &mut Cx<'_, Self::R>) -> Next<Self::R> {
        rejected(self.run().known_as(&e.external_ref), &e.reasons, cx.policy().review_ms, cx)
    }
}

/// It takes effect: its flight begins.
fn begin<R: Row<M = M>>(run: &Run, external_ref: &str, cx: &Cx<'_, R>) -> Run {
    let mut run = run.known_as(external_ref);
    run.started_at = Some(cx.occurred());
    run.ends_at = Some(cx.after_ms(cx.policy().flight_ms).instant());
    run
}
/// The platform's newest figure. A smaller one than is known is an older one; more than the budget was never ordered,
/// and a person hears of it.
fn report<R: Row<M = M>>(run: &mut Run, spent: Money, cx: &mut Cx<'_, R>) {
    if spent.minor() != 0 && spent.currency() != cx.order().currency() {
        cx.hold("spend_mismatch", format!("service {} reports {spent}", cx.key()));
        return;
    }
    if spent.minor() <= run.reported_minor {
        return;
    }
    run.reported_minor = spent.minor();
    run.consumed_minor = spent.minor().min(run.budget_minor);
    if spent.minor() > run.budget_minor {
        cx.hold("overspent", format!("service {} spent more than {}", cx.key(), run.budget_minor));
    }
}
/// Earns what the policy says it has earned by now, and never more than the order can still earn.
fn earn<R: Row<M = M>>(run: &mut Run, cx: &mut Cx<'_, R>)
where
    P7: PostedBy<R>,
{
    let by_now = match cx.policy().earn {
        EarnPolicy::OnConsumption => run.consumed_minor,
        EarnPolicy::OnActivation if run.started_at.is_some() => run.budget_minor,
        EarnPolicy::OnActivation => 0,
    };
    let earnable = cx.due_minor().saturating_sub(cx.books().earned());
    let amount_minor = by_now.saturating_sub(run.earned_minor).min(earnable).max(0);
    run.earned_minor = run.earned_minor.saturating_add(amount_minor);
    cx.post(P7 { amount_minor });
}
/// The instants of a service in flight: its end, and the next time its spend is asked for.
fn aloft<R: Row<M = M>>(run: &Run, cx: &Cx<'_, R>) -> (Deadline, Deadline) {
    let end = run.ends_at.and_then(|at| cx.at(at).ok()).unwrap_or_else(|| cx.after_ms(1));
    (end, cx.after_ms(cx.policy().report_ms))
}
fn available<R: Goto<Active> + Goto<PartActive> + Row<M = M>>(
    run: &Run,
    e: &Available,
    cx: &mut Cx<'_, R>,
) -> Next<R>
where
    P7: PostedBy<R>,
{
    let mut run = begin(run, &e.external_ref, cx);
    earn(&mut run, cx);
    let at = aloft(&run, cx);
    if e.part { until(at, PartActive { run, reasons: e.reasons.clone() }) } else { until(at, Active { run }) }
}
impl On<Available> for Fresh {
    fn on(&self, e: &Available, cx: &mut Cx<'_, Self::R>) -> Next<Self::R> {
        available(self.run(), e, cx)
    }
}
/// It spends, so it must have taken effect.
fn spending<R: Goto<Delivering> + Goto<Completed> + Row<M = M>>(
    run: &Run,
    e: &Spent,
    cx: &mut Cx<'_, R>,
) -> Next<R>
where
    P7: PostedBy<R>,
{
    let mut run = begin(run, &e.external_ref, cx);
    report(&mut run, e.spent, cx);
    earn(&mut run, cx);
    if run.spent_up() { to(Completed { run }) } else { until(aloft(&run, cx), Delivering { run }) }
}
impl On<Spent> for Fresh {
    fn on(&self, e: &Spent, cx: &mut Cx<'_, Self::R>) -> Next<Self::R> {
        spending(self.run(), e, cx)
    }
}
/// Over before anybody heard that it began: it did, if it spent anything.
fn over_early<R: Goto<Completed> + Goto<ActivationFailed> + Row<M = M>>(
    run: &Run,
    e: &Ended,
    cx: &mut Cx<'_, R>,
) -> Next<R>
where
    P7: PostedBy<R>,
    Waive: AskedBy<R>,
{
    let mut run =
        Run { external_ref: e.external_ref.clone().or_else(|| run.external_ref.clone()), ..run.clone() };
    if e.spent.minor() <= 0 {
        return failed(&run, "the platform ended it before it took effect", cx);
    }
    run.started_at = Some(cx.occurred());
    report(&mut run, e.spent, cx);
    earn(&mut run, cx);
    owe(&run, "not all was spent", cx);
    to(Completed { run })
}
impl On<Ended> for Fresh {
    fn on(&self, e: &Ended, cx: &mut Cx<'_, Self::R>) -> Next<Self::R> {
        over_early(self.run(), e, cx)
    }
}

/// Ends it at the platform; what it spent decides what goes back.
fn terminate<R: Goto<Terminating> + Row<M = M>>(run: &Run, why: Why, cx: &mut Cx<'_, R>) -> Next<R>
where
    End: EmittedBy<R>,
{
    end(run, cx);
    let by = cx.after_ms(cx.policy().final_ms);
    let state = Terminating { run: run.clone(), why, stopped: false, settle_by: by.instant() };
    until((cx.after_ms(cx.policy().answer_ms), by), state)
}
fn end<R: Row<M = M>>(run: &Run, cx: &mut Cx<'_, R>)
where
    End: EmittedBy<R>,
{
    let (platform, external_ref) = (run.platform.clone(), run.external_ref.clone());
    cx.want_again(Again::Harmless, run.attempt, End { platform, attempt: run.attempt, external_ref });
}
impl On<Stop> for Fresh {
    fn on(&self, _: &Stop, cx: &mut Cx<'_, Self::R>) -> Next<Self::R> {
        terminate(self.run(), Why::OrderCancelled, cx)
    }
}

/// Asks what the platform has, as an operation of its own.
fn inquire<R: Row<M = M>>(run: &Run, cx: &mut Cx<'_, R>) -> Run
where
    InquireService: EmittedBy<R>,
{
    let asked = run.asked.saturating_add(1);
    let (platform, external_ref) = (run.platform.clone(), run.external_ref.clone());
    let ask = InquireService { platform, attempt: run.attempt, external_ref };
    cx.want_nth(asked, ask);
    Run { asked, ..run.clone() }
}
impl On<AskAgain> for ActivationUnknown {
    fn on(&self, _: &AskAgain, cx: &mut Cx<'_, Self::R>) -> Next<Self::R> {
        let (run, asked) = (inquire(&self.run, cx), self.asked.saturating_add(1));
        if asked == cx.policy().inquiries {
            cx.remind("reconcile", format!("the platform does not say what became of service {}", cx.key()));
        }
        let wait = cx.policy().inquiry_wait_ms(asked);
        until(cx.after_ms(wait), ActivationUnknown { run, asked, missing: self.missing })
    }
}
impl On<NotThere> for ActivationUnknown {
    fn on(&self, _: &NotThere, cx: &mut Cx<'_, Self::R>) -> Next<Self::R> {
        // The first call may still be on its way: only the second "not there" is worth ending it, which settles it.
        if self.missing == 0 {
            return stay(ActivationUnknown { missing: 1, ..self.clone() });
        }
        terminate(&self.run, Why::NotFound, cx)
    }
}

impl On<AskAgain> for PendingPlatformReview {
    fn on(&self, _: &AskAgain, cx: &mut Cx<'_, Self::R>) -> Next<Self::R> {
        // A submission that nobody confirmed goes out again: same key, same body.
        if let Some(submitted) = &self.submitted {
            cx.want_again(Again::Harmless, submitted.revision, submitted.clone());
        }
        let (run, asked) = (inquire(&self.run, cx), self.asked.saturating_add(1));
        let at = (cx.after_ms(cx.policy().inquiry_wait_ms(asked)), self.due(cx));
        until(at, PendingPlatformReview { run, asked, ..self.clone() })
    }
}
impl PendingPlatformReview {
    fn due<R: Row<M = M>>(&self, cx: &Cx<'_, R>) -> Deadline {
        cx.at(self.due_at).unwrap_or_else(|_| cx.after_ms(1))
    }

    fn left_ms<R: Row<M = M>>(&self, cx: &Cx<'_, R>) -> u64 {
        u64::try_from(self.due_at.since(cx.now()).as_millis()).unwrap_or(u64::MAX)
    }
}
impl On<ReviewDue> for PendingPlatformReview {
    fn on(&self, _: &ReviewDue, cx: &mut Cx<'_, Self::R>) -> Next<Self::R> {
        cx.remind("platform_review", format!("the platform has not decided on service {}", cx.key()));
        let due = cx.after_ms(cx.policy().review_ms);
        let ask = cx.after_ms(cx.policy().inquiry_wait_ms(self.asked));
        until((ask, due), PendingPlatformReview { due_at: due.instant(), ..self.clone() })
    }
}
impl On<Rejected> for PendingPlatformReview {
    fn on(&self, e: &Rejected, cx: &mut Cx<'_, Self::R>) -> Next<Self::R> {
        if self.run.is_other(&e.external_ref, false) {
            twin(&self.run, &e.external_ref, cx);
            return stay(self.clone());
        }
        // What it says of an older submission is old.
        if e.revision < self.run.submissions {
            return stay(self.clone());
        }
        rejected(self.run.known_as(&e.external_ref), &e.reasons, self.left_ms(cx), cx)
    }
}
impl On<SubmitRefused> for PendingPlatformReview {
    fn on(&self, e: &SubmitRefused, cx: &mut Cx<'_, Self::R>) -> Next<Self::R> {
        rejected(self.run.clone(), std::slice::from_ref(&e.why), self.left_ms(cx), cx)
    }
}

impl PlatformRejected {
    fn submit<R: Goto<PendingPlatformReview> + Row<M = M>>(
        &self,
        appeal: bool,
        material: &str,
        cx: &mut Cx<'_, R>,
    ) -> Answer<R>
    where
        Submit: EmittedBy<R>,
    {
        let allowed = cx.policy().resubmissions;
        if self.run.submissions >= allowed {
            return refuse("resubmissions_used", format!("it was submitted again {allowed} times already"));
        }
        let revision = self.run.submissions.saturating_add(1);
        let run = Run { submissions: revision, ..self.run.clone() };
        let (platform, external_ref) = (run.platform.clone(), run.external_ref.clone());
        let submit = Submit {
            platform,
            attempt: run.attempt,
            external_ref,
            revision,
            appeal,
            material: material.to_owned(),
        };
        cx.want_again(Again::Harmless, revision, submit.clone());
        let due = cx.after_ms(self.left_ms);
        let at = (cx.after_ms(cx.policy().inquiry_wait_ms(0)), due);
        let submitted = Some(submit);
        Ok(until(at, PendingPlatformReview { run, asked: 0, due_at: due.instant(), submitted }))
    }
}
impl Decide<Resubmit> for PlatformRejected {
    fn decide(&self, c: &Resubmit, cx: &mut Cx<'_, Self::R>) -> Answer<Self::R> {
        self.submit(false, &c.material, cx)
    }
}
impl Decide<Appeal> for PlatformRejected {
    fn decide(&self, c: &Appeal, cx: &mut Cx<'_, Self::R>) -> Answer<Self::R> {
        self.submit(true, &c.reason, cx)
    }
}
impl On<FixDue> for PlatformRejected {
    fn on(&self, _: &FixDue, cx: &mut Cx<'_, Self::R>) -> Next<Self::R> {
        // Ended at the platform too, so that a late change of its mind runs up no bill.
        terminate(&self.run, Why::NotFixed, cx)
    }
}

impl On<Reviewing> for Known {
    fn on(&self, e: &Reviewing, cx: &mut Cx<'_, Self::R>) -> Next<Self::R> {
        let over = matches!(self, Known::Completed(_) | Known::Terminated(_) | Known::ActivationFailed(_));
        let mut run = self.run().clone();
        if run.is_other(&e.external_ref, over) {
            twin(&run, &e.external_ref, cx);
        } else {
            run.external_ref = Some(e.external_ref.clone());
            if let Known::PendingPlatformReview(s) = self {
                let submitted = s.submitted.clone().filter(|s| s.revision > e.revision);
                return stay(PendingPlatformReview { run, submitted, ..s.clone() });
            }
        }
        same!(
            self,
            Known[PendingPlatformReview
                | PlatformRejected
                | Active
                | PartActive
                | Delivering
                | Paused
                | Settling
                | Terminating
                | Completed
                | Terminated
                | ActivationFailed],
            run
        )
    }
}
impl On<Available> for Judged {
    fn on(&self, e: &Available, cx: &mut Cx<'_, Self::R>) -> Next<Self::R> {
        if self.run().is_other(&e.external_ref, false) {
            twin(self.run(), &e.external_ref, cx);
            return same!(self, Judged[PendingPlatformReview | PlatformRejected], self.run().clone());
        }
        available(self.run(), e, cx)
    }
}
impl On<Available> for PartActive {
    fn on(&self, e: &Available, cx: &mut Cx<'_, Self::R>) -> Next<Self::R> {
        if self.run.is_other(&e.external_ref, false) {
            twin(&self.run, &e.external_ref, cx);
            return stay(self.clone());
        }
        if e.part {
            return stay(PartActive { reasons: e.reasons.clone(), ..self.clone() });
        }
        until(aloft(&self.run, cx), Active { run: self.run.clone() })
    }
}
impl On<Available> for Late {
    fn on(&self, e: &Available, cx: &mut Cx<'_, Self::R>) -> Next<Self::R> {
        let over = matches!(self, Late::Completed(_) | Late::Terminated(_) | Late::ActivationFailed(_));
        let mut run = self.run().clone();
        if run.is_other(&e.external_ref, over) {
            twin(&run, &e.external_ref, cx);
        } else {
            run.external_ref = Some(e.external_ref.clone());
            if let Late::Paused(s) = self
                && s.was == Was::PartActive
                && !e.part
            {
                return stay(Paused { run, was: Was::Active });
            }
        }
        same!(
            self,
            Late[Active
                | Delivering
                | Paused
                | Settling
                | Terminating
                | Completed
                | Terminated
                | ActivationFailed],
            run
        )
    }
}
impl On<Spent> for Judged {
    fn on(&self, e: &Spent, cx: &mut Cx<'_, Self::R>) -> Next<Self::R> {
        if self.run().is_other(&e.external_ref, false) {
            twin(self.run(), &e.external_ref, cx);
            return same!(self, Judged[PendingPlatformReview | PlatformRejected], self.run().clone());
        }
        spending(self.run(), e, cx)
    }
}
impl On<Spent> for Running {
    fn on(&self, e: &Spent, cx: &mut Cx<'_, Self::R>) -> Next<Self::R> {
        let mut run = self.run().clone();
        if run.is_other(&e.external_ref, false) {
            twin(&run, &e.external_ref, cx);
            return same!(self, Running[Active | PartActive | Delivering], run);
        }
        let known = run.reported_minor;
        report(&mut run, e.spent, cx);
        earn(&mut run, cx);
        if run.spent_up() {
            to(Completed { run })
        } else if run.reported_minor > known {
            until(aloft(&run, cx), Delivering { run })
        } else {
            same!(self, Running[Active | PartActive | Delivering], run)
        }
    }
}
impl On<Spent> for Paused {
    fn on(&self, e: &Spent, cx: &mut Cx<'_, Self::R>) -> Next<Self::R> {
        let mut run = self.run.clone();
        if run.is_other(&e.external_ref, false) {
            twin(&run, &e.external_ref, cx);
            return stay(self.clone());
        }
        report(&mut run, e.spent, cx);
        earn(&mut run, cx);
        let was = if run.reported_minor > 0 { Was::Delivering } else { self.was };
        if run.spent_up() { to(Completed { run }) } else { stay(Paused { run, was }) }
    }
}
impl On<Spent> for Winding {
    fn on(&self, e: &Spent, cx: &mut Cx<'_, Self::R>) -> Next<Self::R> {
        let mut run = self.run().clone();
        if run.is_other(&e.external_ref, false) {
            twin(&run, &e.external_ref, cx);
        } else {
            spent_after_all(&mut run, e.spent, cx);
        }
        same!(self, Winding[Settling | Terminating], run)
    }
}
/// Spent by a service that is being ended, whether or not anybody heard that it had begun.
fn spent_after_all<R: Row<M = M>>(run: &mut Run, spent: Money, cx: &mut Cx<'_, R>)
where
    P7: PostedBy<R>,
{
    report(run, spent, cx);
    if run.reported_minor > 0 && run.started_at.is_none() {
        run.started_at = Some(cx.occurred());
    }
    earn(run, cx);
}
/// More spent than was settled: its customer has the rest back already, so a person must hear of it.
fn beyond<R: Row<M = M>>(run: &mut Run, spent: Money, cx: &mut Cx<'_, R>) {
    if spent.minor() > run.reported_minor {
        run.reported_minor = spent.minor();
        cx.hold("spent_late", format!("service {} was settled, and spent more since", cx.key()));
    }
}
impl On<Spent> for Over {
    fn on(&self, e: &Spent, cx: &mut Cx<'_, Self::R>) -> Next<Self::R> {
        let mut run = self.run().clone();
        if run.is_other(&e.external_ref, true) {
            twin(&run, &e.external_ref, cx);
        } else {
            beyond(&mut run, e.spent, cx);
        }
        same!(self, Over[Completed | Terminated | ActivationFailed], run)
    }
}

/// Pauses it or lets it run, as an operation of its own.
fn switch<R: Row<M = M>>(run: &Run, on: bool, cx: &mut Cx<'_, R>) -> Run
where
    Switch: EmittedBy<R>,
{
    let run = Run { switches: run.switches.saturating_add(1), switching: true, ..run.clone() };
    switch_again(&run, on, cx);
    run
}
fn switch_again<R: Row<M = M>>(run: &Run, on: bool, cx: &mut Cx<'_, R>)
where
    Switch: EmittedBy<R>,
{
    let n = run.switches;
    let (platform, external_ref) = (run.platform.clone(), run.external_ref.clone());
    let until = run.ends_at.unwrap_or_else(|| cx.now());
    // The newest switch counts, so an older one changes nothing.
    let switch = Switch { platform, attempt: run.attempt, external_ref, n, run: on, until };
    cx.want_again(Again::Harmless, n, switch);
}
impl Decide<Pause> for Running {
    fn decide(&self, _: &Pause, cx: &mut Cx<'_, Self::R>) -> Answer<Self::R> {
        let was = match self {
            Running::Active(_) => Was::Active,
            Running::PartActive(_) => Was::PartActive,
            Running::Delivering(_) => Was::Delivering,
        };
        let run = switch(self.run(), false, cx);
        Ok(until(aloft(&run, cx), Paused { run, was }))
    }
}
impl Paused {
    /// As it ran before.
    fn back<R>(&self, run: Run, cx: &Cx<'_, R>) -> Next<R>
    where
        R: Goto<Active> + Goto<PartActive> + Goto<Delivering> + Row<M = M>,
    {
        let at = aloft(&run, cx);
        match self.was {
            Was::Active => until(at, Active { run }),
            Was::PartActive => until(at, PartActive { run, reasons: Vec::new() }),
            Was::Delivering => until(at, Delivering { run }),
        }
    }
}
impl Decide<Resume> for Paused {
    fn decide(&self, _: &Resume, cx: &mut Cx<'_, Self::R>) -> Answer<Self::R> {
        let run = switch(&self.run, true, cx);
        Ok(self.back(run, cx))
    }
}
impl On<Switched> for Flying {
    fn on(&self, e: &Switched, _: &mut Cx<'_, Self::R>) -> Next<Self::R> {
        let run = self.run();
        let run = Run { switching: run.switching && e.n != run.switches, ..run.clone() };
        same!(self, Flying[Active | PartActive | Delivering | Paused], run)
    }
}
impl On<SwitchRefused> for Flying {
    fn on(&self, e: &SwitchRefused, cx: &mut Cx<'_, Self::R>) -> Next<Self::R> {
        if e.n != self.run().switches {
            return same!(self, Flying[Active | PartActive | Delivering | Paused], self.run().clone());
        }
        cx.hold("switch_refused", format!("service {}: {}", cx.key(), e.why));
        let run = Run { switching: false, ..self.run().clone() };
        match self {
            // It was not paused after all.
            Flying::Paused(s) => s.back(run, cx),
            Flying::Active(_) | Flying::PartActive(_) | Flying::Delivering(_) => {
                let at = aloft(&run, cx);
                again!(self, Flying[Active | PartActive | Delivering | Paused], run.clone(), at)
            }
        }
    }
}
impl On<AskAgain> for Flying {
    fn on(&self, _: &AskAgain, cx: &mut Cx<'_, Self::R>) -> Next<Self::R> {
        if self.run().switching {
            switch_again(self.run(), !matches!(self, Flying::Paused(_)), cx);
        }
        let run = inquire(self.run(), cx);
        let at = aloft(&run, cx);
        again!(self, Flying[Active | PartActive | Delivering | Paused], run.clone(), at)
    }
}
impl On<FlightDue> for Flying {
    fn on(&self, _: &FlightDue, cx: &mut Cx<'_, Self::R>) -> Next<Self::R> {
        let run = self.run();
        let flights = match cx.policy().rest {
            Rest::GiveBack => 0,
            Rest::CarryOver { flights } => flights,
        };
        if run.flights < flights && run.rest_minor(cx.policy()) > 0 {
            let ends_at = Some(cx.after_ms(cx.policy().flight_ms).instant());
            let run = Run { flights: run.flights.saturating_add(1), ends_at, ..run.clone() };
            let run = switch(&run, !matches!(self, Flying::Paused(_)), cx);
            let at = aloft(&run, cx);
            return again!(self, Flying[Active | PartActive | Delivering | Paused], run.clone(), at);
        }
        // The platform should have stopped by itself. Asked to, it says what was spent.
        end(run, cx);
        let by = cx.after_ms(cx.policy().final_ms);
        let state = Settling { run: run.clone(), stopped: false, settle_by: by.instant() };
        until((cx.after_ms(cx.policy().answer_ms), by), state)
    }
}
impl Decide<Terminate> for Endable {
    fn decide(&self, _: &Terminate, cx: &mut Cx<'_, Self::R>) -> Answer<Self::R> {
        Ok(terminate(self.run(), Why::Asked, cx))
    }
}
impl On<Stop> for Endable {
    fn on(&self, _: &Stop, cx: &mut Cx<'_, Self::R>) -> Next<Self::R> {
        terminate(self.run(), Why::OrderCancelled, cx)
    }
}

/// The number under which it ended, if that is another one's.
fn ended_other<'e>(run: &Run, e: &'e Ended, over: bool) -> Option<&'e str> {
    e.external_ref.as_deref().filter(|told| run.is_other(told, over))
}
impl On<Ended> for Judged {
    fn on(&self, e: &Ended, cx: &mut Cx<'_, Self::R>) -> Next<Self::R> {
        if let Some(other) = ended_other(self.run(), e, false) {
            twin(self.run(), other, cx);
            return same!(self, Judged[PendingPlatformReview | PlatformRejected], self.run().clone());
        }
        over_early(self.run(), e, cx)
    }
}
impl On<Ended> for Flying {
    fn on(&self, e: &Ended, cx: &mut Cx<'_, Self::R>) -> Next<Self::R> {
        let mut run = self.run().clone();
        if let Some(other) = ended_other(&run, e, false) {
            twin(&run, other, cx);
            return same!(self, Flying[Active | PartActive | Delivering | Paused], run.clone());
        }
        report(&mut run, e.spent, cx);
        earn(&mut run, cx);
        owe(&run, "not all was spent", cx);
        to(Completed { run })
    }
}

/// It is over: what it did not spend goes back.
fn settle<R>(s: &Winding, run: Run, cx: &mut Cx<'_, R>) -> Next<R>
where
    R: Goto<Completed> + Goto<Terminated> + Goto<ActivationFailed> + Row<M = M>,
    Waive: AskedBy<R>,
{
    match s {
        Winding::Settling(_) => {
            owe(&run, "not all was spent", cx);
            to(Completed { run })
        }
        Winding::Terminating(s) if s.why == Why::NotFound && run.started_at.is_none() => {
            failed(&run, "the platform never had it", cx)
        }
        Winding::Terminating(s) => {
            owe(&run, "ended before its time", cx);
            to(Terminated { run, why: s.why })
        }
    }
}
impl On<Ended> for Winding {
    fn on(&self, e: &Ended, cx: &mut Cx<'_, Self::R>) -> Next<Self::R> {
        let mut run = self.run().clone();
        if let Some(other) = ended_other(&run, e, false) {
            twin(&run, other, cx);
            return same!(self, Winding[Settling | Terminating], run.clone());
        }
        spent_after_all(&mut run, e.spent, cx);
        let never = matches!(self, Winding::Terminating(s) if s.why == Why::NotFound);
        if never && run.started_at.is_none() && run.external_ref.is_none() && cx.life() == Life::Placed {
            // It never was there and never will be, so another under a key of its own is the only one.
            let attempts = run.attempt;
            if attempts < cx.policy().attempts {
                return until(cx.after_ms(cx.policy().answer_ms), Planned { attempts });
            }
        }
        settle(self, run, cx)
    }
}
impl On<Ended> for Over {
    fn on(&self, e: &Ended, cx: &mut Cx<'_, Self::R>) -> Next<Self::R> {
        let mut run = self.run().clone();
        match ended_other(&run, e, true) {
            Some(other) => twin(&run, other, cx),
            None => beyond(&mut run, e.spent, cx),
        }
        same!(self, Over[Completed | Terminated | ActivationFailed], run)
    }
}
impl On<Stopped> for Winding {
    fn on(&self, _: &Stopped, cx: &mut Cx<'_, Self::R>) -> Next<Self::R> {
        let by = cx.after_ms(cx.policy().final_ms);
        let (at, settle_by) = ((cx.after_ms(cx.policy().inquiry_wait_ms(0)), by), by.instant());
        match self.clone() {
            Winding::Settling(s) => until(at, Settling { stopped: true, settle_by, ..s }),
            Winding::Terminating(s) => until(at, Terminating { stopped: true, settle_by, ..s }),
        }
    }
}
impl On<EndRefused> for Winding {
    fn on(&self, e: &EndRefused, cx: &mut Cx<'_, Self::R>) -> Next<Self::R> {
        cx.hold("not_ended", format!("service {}: {}", cx.key(), e.why));
        same!(self, Winding[Settling | Terminating], self.run().clone())
    }
}
impl On<AskAgain> for Winding {
    fn on(&self, _: &AskAgain, cx: &mut Cx<'_, Self::R>) -> Next<Self::R> {
        // Until it says that it stopped, it is told to; from then on it is asked what was spent.
        let run = if *self.stopped() {
            inquire(self.run(), cx)
        } else {
            end(self.run(), cx);
            Run { asked: self.run().asked.saturating_add(1), ..self.run().clone() }
        };
        let by = cx.at(*self.settle_by()).unwrap_or_else(|_| cx.after_ms(1));
        let at = (cx.after_ms(cx.policy().inquiry_wait_ms(run.asked)), by);
        again!(self, Winding[Settling | Terminating], run.clone(), at)
    }
}
impl On<SpendDue> for Winding {
    fn on(&self, _: &SpendDue, cx: &mut Cx<'_, Self::R>) -> Next<Self::R> {
        if *self.stopped() {
            cx.hold("no_final_spend", format!("service {} is settled by its last report", cx.key()));
            return settle(self, self.run().clone(), cx);
        }
        // It may spend still, so nothing of it is given back.
        cx.hold("not_ended", format!("service {}: the platform does not say that it stopped", cx.key()));
        let by = cx.after_ms(cx.policy().final_ms);
        let (at, settle_by) = ((cx.after_ms(cx.policy().answer_ms), by), by.instant());
        match self.clone() {
            Winding::Settling(s) => until(at, Settling { settle_by, ..s }),
            Winding::Terminating(s) => until(at, Terminating { settle_by, ..s }),
        }
    }
}

/// The key of the next second one: above every line that an order may have.
fn next_double(view: &View<'_, M>) -> Key {
    const LINES: u32 = 1_000;
    Key(view.instances().map(|(k, _)| k.0).max().unwrap_or(0).max(LINES).saturating_add(1))
}
/// Which instance ends a second one: each of them once.
#[must_use]
pub fn remove(ask: &Twin, view: &View<'_, M>) -> Vec<(Key, Remove)> {
    let known = view.instances().any(|(_, s)| match s {
        State::Removing(s) => s.double.external_ref == ask.external_ref,
        State::Removed(s) => s.double.external_ref == ask.external_ref,
        State::Planned(_)
        | State::Activating(_)
        | State::ActivationUnknown(_)
        | State::PendingPlatformReview(_)
        | State::PlatformRejected(_)
        | State::Active(_)
        | State::PartActive(_)
        | State::Delivering(_)
        | State::Paused(_)
        | State::Settling(_)
        | State::Terminating(_)
        | State::Completed(_)
        | State::Terminated(_)
        | State::ActivationFailed(_)
        | State::Cancelled(_) => false,
    });
    if known {
        return Vec::new();
    }
    let Twin { service, platform, external_ref } = ask.clone();
    vec![(next_double(view), Remove { service, platform, external_ref })]
}
fn end_twin<R: Goto<Removing> + Row<M = M>>(double: Double, asked: u32, cx: &mut Cx<'_, R>) -> Next<R>
where
    EndTwin: EmittedBy<R>,
{
    let end = EndTwin { platform: double.platform.clone(), external_ref: double.external_ref.clone() };
    cx.want_again(Again::Harmless, 0, end);
    until(cx.after_ms(cx.policy().inquiry_wait_ms(asked)), Removing { double, asked })
}
impl On<Remove> for New {
    fn on(&self, s: &Remove, cx: &mut Cx<'_, Self::R>) -> Next<Self::R> {
        let Remove { service, platform, external_ref } = s.clone();
        end_twin(Double { service, platform, external_ref, spent_minor: 0 }, 0, cx)
    }
}
impl On<AskAgain> for Removing {
    fn on(&self, _: &AskAgain, cx: &mut Cx<'_, Self::R>) -> Next<Self::R> {
        let asked = self.asked.saturating_add(1);
        if asked == cx.policy().inquiries {
            cx.hold("created_twice", format!("{} does not end", self.double.external_ref));
        }
        end_twin(self.double.clone(), asked, cx)
    }
}
impl On<TwinRefused> for Removing {
    fn on(&self, e: &TwinRefused, cx: &mut Cx<'_, Self::R>) -> Next<Self::R> {
        cx.hold("created_twice", format!("{} does not end: {}", self.double.external_ref, e.why));
        stay(self.clone())
    }
}
impl On<TwinEnded> for Removing {
    fn on(&self, e: &TwinEnded, cx: &mut Cx<'_, Self::R>) -> Next<Self::R> {
        let mut double = self.double.clone();
        if e.spent.currency() == cx.order().currency() {
            double.spent_minor = e.spent.minor().max(0);
        }
        if e.spent.minor() != 0 {
            cx.hold("created_twice", format!("{} spent {}: claim it", double.external_ref, e.spent));
        }
        cx.post(P19 { channel: double.platform.clone(), amount_minor: double.spent_minor });
        to(Removed { double })
    }
}

impl Fold<Served<Services>> for M {
    fn fold(v: &View<'_, Self>) -> Option<Served<Services>> {
        let services = v.world.order.services();
        let mut served: usize = 0;
        for s in &services {
            match v.instance(s.key)? {
                State::Completed(_) => served = served.saturating_add(1),
                State::Terminated(s) => {
                    let reached = s.run.consumed_minor > 0 || s.run.earned_minor > 0;
                    served = served.saturating_add(usize::from(reached));
                }
                State::ActivationFailed(_) | State::Cancelled(_) => {}
                State::Planned(_)
                | State::Activating(_)
                | State::ActivationUnknown(_)
                | State::PendingPlatformReview(_)
                | State::PlatformRejected(_)
                | State::Active(_)
                | State::PartActive(_)
                | State::Delivering(_)
                | State::Paused(_)
                | State::Settling(_)
                | State::Terminating(_)
                | State::Removing(_)
                | State::Removed(_) => return None,
            }
        }
        (!services.is_empty()).then(|| Served::with(served))
    }
}
