//! Drives the engine along the data's own times: one line of virtual time over all orders.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use consign::clock::Timestamp;
use consign::engine::{CommandError, Delivered, Delivery, Engine, LaneLimits};
use consign::id::{Actor, Key, OrderId, OrderKey};
use consign::machine::Call;
use consign::order::{Charge, ChargeKind, Draft, DraftTender, Line};
use consign::pipeline::lifecycle::{Cancel, RequestReturn, lifecycle};
use consign::pipeline::{LifePolicy, Physical, Pipeline, physical};
use consign::stage::dispatch::{
    Accepted, CameBack, DeliveredTo, DispatchPolicy, EarnPolicy, OnShortage, Packing, Receiver, ReserveWhen,
    parcel,
};
use consign::stage::payment::{PaymentPolicy, Start, attempt};
use consign::stage::review::{self, ReviewPolicy, TierPolicy, case};
use consign::testing::{Fault, FaultPlan, SandboxCarrier, SandboxScorer, VirtualEnv};
use indicatif::{ProgressBar, ProgressStyle};

use crate::World;
use crate::data::{Purchase, Status};

/// No timer ends an order of the data: every deadline is 1,000 days. Inquiries and retries keep their own.
const NEVER_MS: u64 = 1000 * 24 * 3600 * 1000;
/// How far behind the last event the engine's own inquiries may run.
const DAY_MS: i64 = 24 * 3600 * 1000;

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
        refund: consign::stage::refund::RefundPolicy { action_ms: NEVER_MS, ..Default::default() },
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

struct Replay<'a> {
    engine: Engine,
    env: VirtualEnv,
    purchases: &'a [Purchase],
    bundled: bool,
    /// Orders that reviewers look for, and find no case of yet.
    waiting: RefCell<BTreeSet<usize>>,
    /// Orders whose cancellation waits for what a stop interrupted before it.
    postponed: RefCell<BTreeSet<usize>>,
}

pub(crate) async fn drive(
    world: &World,
    purchases: Vec<Purchase>,
    bundled: bool,
    quiet: bool,
) -> Result<(), String> {
    let events = plan(&purchases, bundled);
    let Some((first, ..)) = events.first().copied() else { return Ok(()) };
    let (last, ..) = events.last().copied().unwrap_or((first, Event::Place, 0));
    // A store that holds part of the replay has seen time up to its newest entry: time goes on from there.
    let seen = newest(world).await?.unwrap_or(first);
    let env = VirtualEnv::new(Timestamp::from_millis(first.max(seen)), 1);
    for p in purchases.iter().filter(|p| p.status == Status::Unavailable) {
        world.stock.tell_short(&p.id);
    }
    let gateway = world.gateway.clone();
    if bundled {
        gateway.plan(FaultPlan::default().fault(DECLINED, 1, "charge", 1, Fault::Decline));
    }
    let engine = Engine::builder()
        .pipeline(pipeline()?)
        .store(world.store.clone())
        .payments(gateway)
        .inventory(world.stock.clone())
        .carrier(Arc::new(SandboxCarrier::default()))
        .scorer(Arc::new(SandboxScorer::new(Some(0))))
        .lane("payments", LaneLimits::default())
        .env(Arc::new(env.clone()))
        .start()
        .await
        .map_err(|e| e.to_string())?;
    let bar = if quiet { ProgressBar::hidden() } else { ProgressBar::new(events.len() as u64) };
    if let Ok(style) =
        ProgressStyle::with_template("{bar:40} {pos}/{len} events, {elapsed} elapsed, {eta} left")
    {
        bar.set_style(style);
    }
    let replay = Replay {
        engine,
        env,
        purchases: &purchases,
        bundled,
        waiting: RefCell::default(),
        postponed: RefCell::default(),
    };
    for (at, event, n) in &events {
        replay.until(*at).await?;
        replay.happen(*event, *n).await?;
        bar.inc(1);
    }
    // What the engine still has to ask by itself; deadlines of 1,000 days are not waited for.
    replay.until(last + DAY_MS).await?;
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
    /// Moves time on, and stops at every instant that an order waits for on the way.
    async fn until(&self, at: i64) -> Result<(), String> {
        let end = Timestamp::from_millis(at);
        self.env.settled().await;
        while let Some(next) = self.engine.next_wake().filter(|next| *next < end) {
            self.env.set(next);
            self.engine.fire_due();
            self.env.settled().await;
            let waiting: Vec<usize> = self.waiting.borrow().iter().copied().collect();
            for n in waiting {
                self.review(n).await?;
                self.env.settled().await;
                if !self.waiting.borrow().contains(&n) && self.postponed.borrow_mut().remove(&n) {
                    self.happen(Event::Cancel, n).await?;
                }
            }
        }
        self.env.set(end);
        Ok(())
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
            Event::Start => self.start(p, &key).await,
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
            Event::Cancel if self.waiting.borrow().contains(&n) => {
                self.postponed.borrow_mut().insert(n);
                Ok(())
            }
            Event::Cancel => self.cancel(p, &key).await,
        };
        self.env.settled().await;
        done.map_err(|why| format!("order {}, {event:?}: {why}", p.id))
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

    /// The customer starts every tender at the approval time; one that is declined is tried a second time.
    async fn start(&self, p: &Purchase, key: &OrderKey) -> Result<(), String> {
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
        self.env.settled().await;
        if self.bundled && p.id == DECLINED {
            self.start_again(p, key).await?;
        }
        Ok(())
    }

    /// The customer tries once more where a try ended without money: it was declined, or a stop kept it from being sent.
    async fn start_again(&self, p: &Purchase, key: &OrderKey) -> Result<(), String> {
        let customer = Actor::customer(&p.id).map_err(|e| e.to_string())?;
        for (_, k) in p.tenders.iter().zip(1..) {
            let view = self.engine.order(key).await.map_err(|e| e.to_string())?.ok_or("the order is gone")?;
            let tries = view.instances().iter().filter(|(place, ..)| *place == "payment.attempt").count();
            let next = 1000 + u32::try_from(tries).map_err(|e| e.to_string())?;
            let start = Start { tender: Key(k), channel: None, method: "another".into() };
            match self.engine.command(key, customer.clone(), "", attempt::M::command(next, start)).await {
                // The tender is paid, or still may be.
                Ok(_) | Err(CommandError::Refused(_)) => {}
                Err(e) => return Err(e.to_string()),
            }
        }
        self.env.settled().await;
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

    /// Reviewers claim and decide in the same second, each a different person. A case that is not there yet, since a
    /// stop interrupted its payment, is looked for again until it is.
    async fn review(&self, n: usize) -> Result<(), String> {
        let (p, key) = self.key(n)?;
        let special = if self.bundled { p.id.as_str() } else { "" };
        let mut open = true;
        for reviewer in ["anna", "ben", "carla"] {
            let by = agent(reviewer);
            let case = self.case(&key).await?;
            open = case.is_none();
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
        if open {
            self.start_again(p, &key).await?;
        }
        let mut waiting = self.waiting.borrow_mut();
        if open {
            waiting.insert(n)
        } else {
            waiting.remove(&n)
        };
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
        let now = consign::clock::Clock::now(&self.env).millis();
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
