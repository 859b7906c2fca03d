//! Drives the engine along the data's own times: one line of virtual time over all orders.
//!
//! ```text
//! event of an order --- nothing is under way -------------------------> it happens
//!                  \--- a call is out, a hold stands, money is due --> it waits behind those before it
//! ```
//!
//! So a fault delays an order and never changes its end: whoever lives along the data asks again, pays again, and looks
//! at what is held, until the order has come to where the data has it.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use consign::clock::Timestamp;
use consign::engine::{CommandError, Delivered, Delivery, Engine, LaneLimits, OrderView};
use consign::id::{Actor, Key, OrderId, OrderKey};
use consign::machine::{Call, Life};
use consign::order::{Charge, ChargeKind, Draft, DraftTender, Line};
use consign::pipeline::lifecycle::{Cancel, RequestReturn, lifecycle};
use consign::pipeline::{LifePolicy, Physical, Pipeline, Refused, physical};
use consign::stage::dispatch::{
    Accepted, CameBack, DeliveredTo, DispatchPolicy, EarnPolicy, OnShortage, Packing, Receiver, ReserveWhen,
    parcel,
};
use consign::stage::payment::{PaymentPolicy, Start, attempt};
use consign::stage::refund::{self, refund as back};
use consign::stage::review::{self, ReviewPolicy, TierPolicy, case};
use consign::testing::{Fault, FaultPlan, SandboxCarrier, SandboxScorer, VirtualEnv};
use indicatif::{ProgressBar, ProgressStyle};

use crate::World;
use crate::data::{Purchase, Status};
use crate::report::Run;

/// No timer ends an order of the data: every deadline is 1,000 days. Inquiries and retries keep their own.
const NEVER_MS: u64 = 1000 * 24 * 3600 * 1000;
const DAY_MS: i64 = 24 * 3600 * 1000;
/// How far behind the last event an order may come to its end.
const MOST_DAYS: i64 = 60;
/// States in which an answer is awaited.
const BUSY: &[&str] = &[
    "Sending",
    "Unknown",
    "Stuck",
    "Pending",
    "RequiresAction",
    "Closing",
    "Capturing",
    "CaptureUnknown",
    "Voiding",
    "Allocating",
    "Reserving",
    "Unreserving",
    "Scoring",
];

/// The attempts of customers who pay again are numbered from here on.
pub(crate) const AGAIN: u32 = 1000;

/// Orders of the bundled sample that also show what the data does not tell.
const DECLINED: &str = "sample-0001";
const REJECTED: &str = "sample-0002";
const ESCALATED: &str = "sample-0003";
const LAPSED: &str = "sample-0004";

/// Up to 100.00 nobody looks, up to 500.00 one person, above that two.
pub(crate) fn review_policy() -> ReviewPolicy {
    ReviewPolicy {
        tiers: TierPolicy::by_amount(&[(10_000, 1), (50_000, 2)]),
        scorer: false,
        sla_ms: NEVER_MS,
        ..ReviewPolicy::default()
    }
}

/// The pipeline of the replay.
pub(crate) fn pipeline() -> Result<Pipeline, String> {
    physical(Physical {
        life: LifePolicy {
            payment_ms: NEVER_MS,
            watch_ms: NEVER_MS,
            window_ms: NEVER_MS,
            customer_cancels_approved: false,
            ..LifePolicy::default()
        },
        payment: PaymentPolicy {
            free_is_funded: false,
            action_ms: NEVER_MS,
            mismatch_ms: NEVER_MS,
            ..PaymentPolicy::default()
        },
        review: review_policy(),
        dispatch: DispatchPolicy {
            reserve: ReserveWhen::GatesOpen,
            packing: Packing::Automatic,
            earn: EarnPolicy::OnDelivery,
            shortage: OnShortage::Cancel,
            book: false,
            reserve_ms: NEVER_MS,
            restock_ms: NEVER_MS,
            pack_ms: NEVER_MS,
            silent_ms: NEVER_MS,
            return_ms: NEVER_MS,
            ..DispatchPolicy::default()
        },
        refund: refund::RefundPolicy { action_ms: NEVER_MS, ..Default::default() },
        aftersales: consign::stage::aftersales::AftersalesPolicy::default(),
    })
    .map_err(|e| e.to_string())
}

/// What happens to an order, in the order in which it happens within one instant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    Place,
    Start,
    Review,
    LateDecision,
    HandOver,
    Deliver,
    Cancel,
}

/// Every event of the data, by time, kind and order.
fn plan(purchases: &[Purchase], bundled: bool) -> Vec<(i64, Event, usize)> {
    let mut all = Vec::new();
    for (n, p) in purchases.iter().enumerate() {
        all.push((p.purchased_ms, Event::Place, n));
        let paid = p.approved_ms.filter(|_| !p.tenders.is_empty());
        if let Some(at) = paid {
            all.push((at, Event::Start, n));
            all.push((at, Event::Review, n));
            if bundled && p.id == LAPSED {
                all.push((at + 16 * 60 * 1000, Event::LateDecision, n));
            }
        }
        if let Some(at) = p.carrier_ms {
            all.push((at, Event::HandOver, n));
        }
        if let Some(at) = p.customer_ms {
            all.push((at, Event::Deliver, n));
        }
        if p.status == Status::Canceled {
            let times = [Some(p.purchased_ms), p.approved_ms, p.carrier_ms, p.customer_ms];
            let last = times.into_iter().flatten().max().unwrap_or(p.purchased_ms);
            all.push((last + 1000, Event::Cancel, n));
        }
    }
    all.sort_unstable();
    all
}

/// The end that the data says of an order, in its words, and how much was paid for it.
pub(crate) fn ends(purchases: &[Purchase], bundled: bool) -> BTreeMap<String, (&'static str, i64)> {
    let end = |p: &Purchase| {
        let paid = p.approved_ms.is_some() && !p.tenders.is_empty();
        // Review turns this one down, which the data does not tell.
        let status = if bundled && p.id == REJECTED { Status::Canceled } else { p.status };
        (p.id.clone(), (status.word(), if paid { p.total_minor } else { 0 }))
    };
    purchases.iter().map(end).collect()
}

/// How the data is replayed.
pub(crate) struct How {
    /// It is the bundled sample, which shows a little more than its data tells.
    pub bundled: bool,
    /// Nothing is drawn.
    pub quiet: bool,
    /// The outside fails in every way, as this seed has it.
    pub faults: Option<u64>,
    /// The gateway keeps keys, and so forgets none.
    pub keys: bool,
}

struct Replay<'a> {
    world: &'a World,
    engine: Engine,
    env: VirtualEnv,
    purchases: &'a [Purchase],
    bundled: bool,
    /// Nothing goes wrong and nothing did before: no order is ever behind.
    calm: bool,
    /// Orders that are behind, and what waits to happen to them.
    behind: RefCell<BTreeMap<usize, VecDeque<Event>>>,
    /// Orders whose customers have begun to pay.
    paying: RefCell<BTreeSet<usize>>,
}

pub(crate) async fn drive(
    world: &World,
    purchases: Vec<Purchase>,
    how: &How,
    run: &Run,
) -> Result<(), String> {
    let events = plan(&purchases, how.bundled);
    let Some((first, ..)) = events.first().copied() else { return Ok(()) };
    let (last, ..) = events.last().copied().unwrap_or((first, Event::Place, 0));
    // A store that holds part of the replay has seen time up to its newest entry: time goes on from there.
    let seen = newest(world).await?;
    let env = world.env.clone();
    env.set(Timestamp::from_millis(first.max(seen.unwrap_or(first))));
    for p in purchases.iter().filter(|p| p.status == Status::Unavailable) {
        world.stock.tell_short(&p.id);
    }
    let keeps: Vec<_> = Fault::MIX.iter().copied().filter(|(_, f)| *f != Fault::PrunedKey).collect();
    let mixed = |seed| match how.keys {
        true => FaultPlan::default().by_chance(seed, &keeps),
        false => FaultPlan::mixed(seed),
    };
    let mut plan = how.faults.map_or_else(FaultPlan::default, mixed);
    if how.bundled {
        plan = plan.fault(DECLINED, 1, "charge", 1, Fault::Decline);
    }
    world.gateway.plan(plan);
    if let Some(seed) = how.faults {
        world.stock.plan(FaultPlan::answers(seed));
    }
    let engine = Engine::builder()
        .pipeline(pipeline()?)
        .store(world.store.clone())
        .payments(world.gateway.clone())
        .inventory(world.stock.clone())
        .carrier(Arc::new(SandboxCarrier::default()))
        .scorer(Arc::new(SandboxScorer::new(Some(0))))
        .lane("payments", LaneLimits::default())
        .env(Arc::new(env.clone()))
        .start()
        .await
        .map_err(|e| e.to_string())?;
    let bar = if how.quiet { ProgressBar::hidden() } else { ProgressBar::new(events.len() as u64) };
    if let Ok(style) =
        ProgressStyle::with_template("{bar:40} {pos}/{len} events, {elapsed} elapsed, {eta} left")
    {
        bar.set_style(style);
    }
    let replay = Replay {
        world,
        engine,
        env,
        purchases: &purchases,
        bundled: how.bundled,
        calm: how.faults.is_none() && !how.bundled && seen.is_none(),
        behind: RefCell::default(),
        paying: RefCell::default(),
    };
    for (at, event, n) in &events {
        replay.until(*at).await?;
        replay.meet(*event, *n).await?;
        run.tick()?;
        bar.inc(1);
    }
    // What the engine still has to ask by itself; deadlines of 1,000 days are not waited for.
    for days in 1..=MOST_DAYS {
        replay.until(last + days * DAY_MS).await?;
        let behind = replay.behind.borrow().clone();
        if behind.is_empty() {
            break;
        }
        if days == MOST_DAYS {
            let mut ends = Vec::new();
            for n in behind.keys() {
                let (p, key) = replay.key(*n)?;
                let view = replay.engine.order(&key).await.map_err(|e| e.to_string())?;
                let stands = view
                    .map(|v| (v.phase(), v.instances(), v.progress.wanted.clone(), v.progress.holds.clone()));
                ends.push(format!("{} at {stands:?}", p.id));
            }
            return Err(format!(
                "{MOST_DAYS} days after the last event orders are still behind: {}",
                ends.join("\n")
            ));
        }
    }
    bar.finish_and_clear();
    Ok(())
}

/// The time of the newest entry that the store holds.
async fn newest(world: &World) -> Result<Option<i64>, String> {
    let mut after = None;
    let mut newest = None;
    loop {
        let page = world.store.scan(after.clone(), 1000, false).await.map_err(|e| e.to_string())?;
        let Some(end) = page.last() else { return Ok(newest) };
        after = Some(end.order.clone());
        newest = newest.max(page.iter().map(|b| b.columns.updated_at.millis()).max());
    }
}

fn agent(name: &str) -> Actor {
    Actor::agent(name).expect("the names of the replay are valid")
}

impl Replay<'_> {
    /// Moves time on, and stops at every instant that anything waits for on the way.
    async fn until(&self, at: i64) -> Result<(), String> {
        let end = Timestamp::from_millis(at);
        self.settled().await?;
        loop {
            let outside = [self.world.gateway.next(), self.world.stock.next()];
            let own = [self.engine.next_wake(), self.env.next_sleep()];
            let next = own.into_iter().chain(outside).flatten().min();
            let Some(next) = next.filter(|next| *next < end) else { break };
            self.env.set(next);
            self.engine.fire_due();
            self.settled().await?;
            let behind: Vec<usize> = self.behind.borrow().keys().copied().collect();
            for n in behind {
                self.catch_up(n).await?;
            }
        }
        self.env.set(end);
        Ok(())
    }

    /// Waits until nothing goes on by itself, and passes on what the outside says of its own accord.
    async fn settled(&self) -> Result<(), String> {
        self.env.settled().await;
        let (world, now) = (self.world, self.now());
        for message in world.gateway.messages(now).into_iter().chain(world.stock.messages(now)) {
            self.engine.deliver(message).await.map_err(|e| e.to_string())?;
            self.env.settled().await;
        }
        Ok(())
    }

    fn now(&self) -> Timestamp {
        consign::clock::Clock::now(&self.env)
    }

    /// An event of the data: it happens, or waits until all that came before it is through.
    async fn meet(&self, event: Event, n: usize) -> Result<(), String> {
        if self.calm {
            return self.happen(event, n).await;
        }
        self.behind.borrow_mut().entry(n).or_default().push_back(event);
        self.catch_up(n).await
    }

    /// Lets happen what may, and forgets an order that is no longer behind.
    async fn catch_up(&self, n: usize) -> Result<(), String> {
        loop {
            let next = self.behind.borrow().get(&n).and_then(|waiting| waiting.front().copied());
            if !self.ready(n, next).await? {
                return Ok(());
            }
            let Some(event) = next else { break };
            self.happen(event, n).await?;
            self.behind.borrow_mut().get_mut(&n).map(VecDeque::pop_front);
        }
        self.behind.borrow_mut().remove(&n);
        Ok(())
    }

    /// Whether nothing is under way, after people have done what is theirs to do.
    async fn ready(&self, n: usize, next: Option<Event>) -> Result<bool, String> {
        let (p, key) = self.key(n)?;
        // Each round somebody does something that leads on, or it is the last.
        for _ in 0..32 {
            let Some(view) = self.engine.order(&key).await.map_err(|e| e.to_string())? else {
                return Ok(true);
            };
            if self.released(&view, &key).await? {
                self.settled().await?;
                continue;
            }
            if !view.progress.wanted.is_empty() || view.instances().iter().any(|i| BUSY.contains(&i.2)) {
                return Ok(false);
            }
            let lapses = matches!(view.state::<case::M>(1), Some(case::State::Claimed(_)));
            if next == Some(Event::LateDecision) && lapses {
                return Ok(false);
            }
            let moved = self.paid_again(p, n, &view, &key).await? || self.repaid_again(&view, &key).await?;
            if !moved {
                // While a try holds its tender and gives no money, nobody can pay again: they come back.
                return Ok(!self.owes(n, &view));
            }
            self.settled().await?;
        }
        Err(format!("order {}: what people do leads nowhere", p.id))
    }

    /// The operator looks at what is held, asks the gateway what it has really moved, and lets the order go on: the
    /// engine then inquires by itself.
    async fn released(&self, view: &OrderView, key: &OrderKey) -> Result<bool, String> {
        let total = view.progress.order.total().minor();
        for hold in &view.progress.holds {
            let (taken, back) = self.world.gateway.moved(key);
            if taken > total || back > taken {
                return Err(format!(
                    "{key} of {total} is held, and the gateway moved {taken} and {back}: {hold:?}"
                ));
            }
            self.engine.release(key, agent("operator"), hold.id).await.map_err(|e| e.to_string())?;
        }
        Ok(!view.progress.holds.is_empty())
    }

    /// Whether the customer has begun to pay, and money is still missing.
    fn owes(&self, n: usize, view: &OrderView) -> bool {
        let due = view.progress.order.total().minor() > view.progress.books.captured(None);
        due && view.progress.life() == Life::Placed && self.paying.borrow().contains(&n)
    }

    /// The customer pays again what they had begun to pay, where every try ended without money.
    async fn paid_again(
        &self,
        p: &Purchase,
        n: usize,
        view: &OrderView,
        key: &OrderKey,
    ) -> Result<bool, String> {
        if !self.owes(n, view) {
            return Ok(false);
        }
        let customer = Actor::customer(&p.id).map_err(|e| e.to_string())?;
        // A number that no try had: under one that is taken nobody ever pays.
        let tries = view.instances().into_iter().filter(|(place, ..)| *place == "payment.attempt");
        let mut next = tries.map(|(_, key, _)| key.0).max().unwrap_or_default().max(AGAIN);
        let mut any = false;
        for (_, k) in p.tenders.iter().zip(1..) {
            let start = Start { tender: Key(k), channel: None, method: "another".into() };
            next += 1;
            match self.engine.command(key, customer.clone(), "", attempt::M::command(next, start)).await {
                Ok(_) => any = true,
                // The tender is paid, or still may be.
                Err(CommandError::Refused(Refused::Refused { .. })) => {}
                Err(e) => return Err(e.to_string()),
            }
        }
        Ok(any)
    }

    /// Support asks again for what was to go back and did not.
    async fn repaid_again(&self, view: &OrderView, key: &OrderKey) -> Result<bool, String> {
        let all: Vec<&back::State> = (1..).map_while(|k| view.state::<back::M>(k)).collect();
        let mut next = u32::try_from(all.len()).map_err(|e| e.to_string())?;
        let mut any = false;
        for (n, state) in all.iter().enumerate() {
            let back::State::Failed(_) = state else { continue };
            let failed = state.back();
            let again =
                |b: &refund::Back| b.attempt == failed.attempt && b.amount_minor == failed.amount_minor;
            if all.iter().skip(n + 1).any(|s| again(s.back())) {
                continue;
            }
            next += 1;
            let ask = refund::Request {
                attempt: failed.attempt,
                channel: failed.channel.clone(),
                reference: failed.reference.clone(),
                amount_minor: failed.amount_minor,
                reason: "it was refused before".into(),
            };
            self.command(key, &agent("support"), &format!("again-{next}"), back::M::command(next, ask))
                .await?;
            any = true;
        }
        Ok(any)
    }

    fn key(&self, n: usize) -> Result<(&Purchase, OrderKey), String> {
        let p = self.purchases.get(n).ok_or("an event of no order")?;
        let id: OrderId = p.id.parse().map_err(|e| format!("order {}: {e}", p.id))?;
        Ok((p, id.into()))
    }

    async fn happen(&self, event: Event, n: usize) -> Result<(), String> {
        let (p, key) = self.key(n)?;
        let done = match event {
            Event::Place => self.place(p).await,
            Event::Start => self.start(p, n, &key).await,
            Event::Review => self.review(n).await,
            Event::LateDecision => self.late_decision(&key).await,
            Event::HandOver => {
                self.scan(p, &key, "hand-over", p.carrier_ms, |k| parcel::M::evidence(k, Accepted)).await
            }
            Event::Deliver => {
                let by = Receiver::Customer;
                self.scan(p, &key, "delivery", p.customer_ms, |k| parcel::M::evidence(k, DeliveredTo { by }))
                    .await
            }
            Event::Cancel => self.cancel(p, &key).await,
        };
        done.map_err(|why| format!("order {}, {event:?}: {why}", p.id))?;
        self.settled().await
    }

    async fn place(&self, p: &Purchase) -> Result<(), String> {
        let customer = Actor::customer(&p.id).map_err(|e| e.to_string())?;
        let mut d = Draft::new(&p.id, "BRL", customer);
        let mut freight: BTreeMap<&str, i64> = BTreeMap::new();
        for l in &p.lines {
            d.lines.push(Line::goods(&l.sku, 1, l.price_minor).in_group(&l.seller));
            *freight.entry(&l.seller).or_default() += l.freight_minor;
        }
        for (seller, minor) in freight.into_iter().filter(|(_, minor)| *minor != 0) {
            d.charges.push(Charge::new(ChargeKind::Shipping, minor).in_group(seller));
        }
        if p.adjustment_minor != 0 {
            d.charges.push(Charge::new(ChargeKind::Adjustment, p.adjustment_minor));
        }
        d.total_minor = p.total_minor;
        d.tenders.extend(p.tenders.iter().map(|t| DraftTender::new(&t.channel, t.amount_minor)));
        d.attributes.insert("estimate_ms".into(), format!("at {}", p.estimate_ms));
        if p.zero_tenders > 0 {
            d.attributes.insert("zero_tenders".into(), p.zero_tenders.to_string());
        }
        let assumed = [(p.assumed_carrier, "carrier"), (p.assumed_customer, "customer")];
        for (assumed, what) in assumed {
            if assumed {
                d.attributes.insert(format!("assumed_{what}"), "yes".into());
            }
        }
        self.engine.place(d).await.map(drop).map_err(|e| e.to_string())
    }

    async fn command(&self, key: &OrderKey, by: &Actor, idem: &str, call: Call) -> Result<(), String> {
        self.engine.command(key, by.clone(), idem, call).await.map(drop).map_err(|e| e.to_string())
    }

    /// The customer starts every tender at the approval time.
    async fn start(&self, p: &Purchase, n: usize, key: &OrderKey) -> Result<(), String> {
        let customer = Actor::customer(&p.id).map_err(|e| e.to_string())?;
        let tries = p.tenders.iter().zip(1..).map(|(_, k)| {
            let start = Start { tender: Key(k), channel: None, method: String::new() };
            (format!("start-{k}"), attempt::M::command(k, start))
        });
        let all = tries.map(|(idem, call)| {
            let customer = &customer;
            async move { self.command(key, customer, &idem, call).await }
        });
        futures::future::try_join_all(all).await?;
        self.paying.borrow_mut().insert(n);
        Ok(())
    }

    async fn case(&self, key: &OrderKey) -> Result<Option<case::State>, String> {
        let view = self.engine.order(key).await.map_err(|e| e.to_string())?;
        Ok(view.and_then(|v| v.state::<case::M>(1).cloned()))
    }

    async fn claim(&self, key: &OrderKey, by: &Actor) -> Result<u32, String> {
        self.command(key, by, "", case::M::command(1, review::Claim::default())).await?;
        match self.case(key).await? {
            Some(case::State::Claimed(s)) => Ok(s.lease.token),
            other => Err(format!("a claimed case stands at {other:?}")),
        }
    }

    /// Reviewers claim and decide in the same second, each a different person.
    async fn review(&self, n: usize) -> Result<(), String> {
        let (p, key) = self.key(n)?;
        let special = if self.bundled { p.id.as_str() } else { "" };
        for reviewer in ["anna", "ben", "carla"] {
            let by = agent(reviewer);
            let case = self.case(&key).await?;
            let (approved_by, held) = match &case {
                Some(case::State::Queued(s)) => (&s.file.approved_by, None),
                Some(case::State::Escalated(s)) => (&s.file.approved_by, None),
                Some(case::State::PendingSecond(s)) => (&s.file.approved_by, None),
                Some(case::State::Claimed(s)) => (&s.file.approved_by, Some(&s.lease)),
                Some(_) | None => break,
            };
            // Stopped in the middle: who approved does not again, and who holds a claim decides.
            if approved_by.contains(&by) || held.is_some_and(|lease| lease.actor != by) {
                continue;
            }
            let token = match held {
                Some(lease) => lease.token,
                None => self.claim(&key, &by).await?,
            };
            let call = match (special, reviewer) {
                (LAPSED, _) => break,
                (REJECTED, _) => review_reject(token),
                (ESCALATED, "anna") => {
                    case::M::command(1, review::Escalate { reason: "above my limit".into() })
                }
                _ => case::M::command(1, review::Approve { token }),
            };
            self.command(&key, &by, "", call).await?;
            self.env.settled().await;
        }
        Ok(())
    }

    /// The lease has lapsed: the late decision is refused, and somebody else decides.
    async fn late_decision(&self, key: &OrderKey) -> Result<(), String> {
        if !matches!(self.case(key).await?, Some(case::State::Queued(_))) {
            return Ok(());
        }
        let late = case::M::command(1, review::Approve { token: 1 });
        if self.command(key, &agent("anna"), "", late).await.is_ok() {
            return Err("a lapsed lease decided".to_owned());
        }
        let by = agent("ben");
        let token = self.claim(key, &by).await?;
        self.command(key, &by, "", case::M::command(1, review::Approve { token })).await
    }

    /// A scan of every parcel, told with the time it happened.
    async fn scan(
        &self,
        p: &Purchase,
        key: &OrderKey,
        what: &str,
        at: Option<i64>,
        call: impl Fn(u32) -> Call,
    ) -> Result<(), String> {
        let Some(at) = at else { return Ok(()) };
        for k in (1..).take(p.sellers().len()) {
            self.deliver(key, &format!("{}-{k}-{what}", p.id), at, call(k)).await?;
        }
        Ok(())
    }

    async fn deliver(&self, key: &OrderKey, event: &str, at: i64, evidence: Call) -> Result<(), String> {
        let delivery = Delivery {
            order: key.clone(),
            evidence,
            source: "carrier".into(),
            event: event.into(),
            occurred: Timestamp::from_millis(at),
            by: agent("carrier"),
        };
        match self.engine.deliver(delivery).await.map_err(|e| e.to_string())? {
            Delivered::Applied(_) | Delivered::Known | Delivered::Kept => Ok(()),
            other => Err(format!("a scan was answered with {other:?}")),
        }
    }

    /// Asked to cancel: before it is out it is cancelled, after that it comes back first.
    async fn cancel(&self, p: &Purchase, key: &OrderKey) -> Result<(), String> {
        let by = agent("support");
        let view = self.engine.order(key).await.map_err(|e| e.to_string())?.ok_or("the order is gone")?;
        if view.phase().is_end() {
            return Ok(());
        }
        let out = view
            .instances()
            .iter()
            .any(|(_, _, state)| matches!(*state, "HandedOver" | "Delivered" | "Returning"));
        let reason = "asked by the customer".to_owned();
        if !out {
            if view.phase() == consign::pipeline::Phase::Cancelling {
                return Ok(());
            }
            return self.command(key, &by, "cancel", lifecycle::M::command(1, Cancel { reason })).await;
        }
        self.command(key, &by, "return", lifecycle::M::command(1, RequestReturn { reason })).await?;
        self.env.settled().await;
        let now = self.now().millis();
        for k in (1..).take(p.sellers().len()) {
            let event = format!("{}-{k}-back", p.id);
            self.deliver(key, &event, now, parcel::M::evidence(k, CameBack)).await?;
        }
        Ok(())
    }
}

fn review_reject(token: u32) -> Call {
    case::M::command(1, review::Reject { token, reason: "the address is a forwarder".into() })
}
