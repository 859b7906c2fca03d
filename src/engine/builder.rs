//! Wiring an engine: every fault is told at once.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::Engine;
use super::env::{Env, TokioEnv};
use super::error::{EngineError, StartFault, StartFaults};
use super::inner::{Inner, Limits, Wired};
use super::lane::{Budget, Lane, LaneLimits};
use super::times;
use crate::gateway::{
    AdPlatform, AnyHandler, Carrier, CarrierAdapter, Compared, Erased, Handler, Inventory, InventoryAdapter,
    PaymentGateway, Payments, Platform, RiskScorer, Scorer,
};
use crate::journal::Desk;
use crate::machine::Effect;
use crate::pipeline::Pipeline;
use crate::stage::activation::{Activate, End, EndTwin, InquireService, Submit, Switch};
use crate::stage::aftersales::Restock;
use crate::stage::dispatch::{
    AskStock, Book, BringBack, CancelBooking, Consume, Quote, Reserve, Track, Unreserve,
};
use crate::stage::payment::{Capture, Charge, Close, Inquire, Void};
use crate::stage::refund::{InquireRefund, SendBack};
use crate::stage::review::Score;
use crate::store::{PipelineId, Release, Store};

/// Wires an engine.
pub struct EngineBuilder {
    pipelines: Vec<Pipeline>,
    store: Option<Arc<dyn Store>>,
    handlers: BTreeMap<&'static str, (Arc<dyn AnyHandler>, &'static str)>,
    lanes: BTreeMap<&'static str, LaneLimits>,
    env: Arc<dyn Env>,
    limits: Limits,
    worker: String,
    leave_unread: bool,
}

impl std::fmt::Debug for EngineBuilder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("EngineBuilder")
            .field("pipelines", &self.pipelines)
            .field("effects", &self.handlers.keys().collect::<Vec<_>>())
            .finish_non_exhaustive()
    }
}

impl EngineBuilder {
    pub(super) fn new() -> Self {
        Self {
            pipelines: Vec::new(),
            store: None,
            handlers: BTreeMap::new(),
            lanes: BTreeMap::new(),
            env: Arc::new(TokioEnv::default()),
            limits: Limits::default(),
            worker: "engine".to_owned(),
            leave_unread: false,
        }
    }

    /// Registers a pipeline. New orders go to the first one, unless they name another.
    #[must_use]
    pub fn pipeline(mut self, pipeline: Pipeline) -> Self {
        self.pipelines.push(pipeline);
        self
    }

    /// The store.
    #[must_use]
    pub fn store(mut self, store: Arc<dyn Store>) -> Self {
        self.store = Some(store);
        self
    }

    /// Registers a handler for one effect, in a lane of its own.
    #[must_use]
    pub fn effect<X: Effect>(self, handler: impl Handler<X>) -> Self {
        self.effect_in::<X>(X::NAME, handler)
    }

    /// Registers a handler for one effect in a named lane, which it may share with others.
    #[must_use]
    pub fn effect_in<X: Effect>(mut self, lane: &'static str, handler: impl Handler<X>) -> Self {
        self.handlers.insert(X::NAME, (Arc::new(Erased::<X, _>::new(handler)), lane));
        self
    }

    /// Registers a payment provider for every effect of payment and refund.
    #[must_use]
    pub fn payments(self, gateway: Arc<dyn PaymentGateway>) -> Self {
        let compared: Arc<dyn PaymentGateway> = Arc::new(Compared(gateway));
        let p = || Payments(compared.clone());
        self.effect_in::<Charge>("payments", p())
            .effect_in::<Inquire>("payments", p())
            .effect_in::<Close>("payments", p())
            .effect_in::<Capture>("payments", p())
            .effect_in::<Void>("payments", p())
            .effect_in::<SendBack>("payments", p())
            .effect_in::<InquireRefund>("payments", p())
    }

    /// Registers the risk scorer.
    #[must_use]
    pub fn scorer(self, scorer: Arc<dyn RiskScorer>) -> Self {
        self.effect_in::<Score>("scorer", Scorer(scorer))
    }

    /// Registers the stock.
    #[must_use]
    pub fn inventory(self, inventory: Arc<dyn InventoryAdapter>) -> Self {
        let i = || Inventory(inventory.clone());
        self.effect_in::<AskStock>("inventory", i())
            .effect_in::<Reserve>("inventory", i())
            .effect_in::<Unreserve>("inventory", i())
            .effect_in::<Consume>("inventory", i())
            .effect_in::<Restock>("inventory", i())
    }

    /// Registers the carrier.
    #[must_use]
    pub fn carrier(self, carrier: Arc<dyn CarrierAdapter>) -> Self {
        let c = || Carrier(carrier.clone());
        self.effect_in::<Book>("carrier", c())
            .effect_in::<Quote>("carrier", c())
            .effect_in::<CancelBooking>("carrier", c())
            .effect_in::<BringBack>("carrier", c())
            .effect_in::<Track>("carrier", c())
    }

    /// Registers the platform that runs services.
    #[must_use]
    pub fn platform(self, platform: Arc<dyn AdPlatform>) -> Self {
        let p = || Platform(platform.clone());
        self.effect_in::<Activate>("platform", p())
            .effect_in::<InquireService>("platform", p())
            .effect_in::<Submit>("platform", p())
            .effect_in::<Switch>("platform", p())
            .effect_in::<End>("platform", p())
            .effect_in::<EndTwin>("platform", p())
    }

    /// The bounds of a lane: `payments`, `scorer`, `inventory`, `carrier`, `platform`, or an effect's name.
    #[must_use]
    pub fn lane(mut self, name: &'static str, limits: LaneLimits) -> Self {
        self.lanes.insert(name, limits);
        self
    }

    /// How often effects are tried.
    #[must_use]
    pub fn budget(mut self, budget: Budget) -> Self {
        self.limits.budget = budget;
        self
    }

    /// How many inputs may wait at once before new ones are refused as overload. Default 10,000.
    #[must_use]
    pub fn admission(mut self, inputs: usize) -> Self {
        self.limits.inputs = inputs;
        self
    }

    /// How many records the journal of one order may have before it takes no more commands and is parked
    /// ([`EngineError::TooLong`](super::EngineError::TooLong)). Default 10,000. To let one go on, start an engine with
    /// more, and release it.
    #[must_use]
    pub fn journal(mut self, records: u64) -> Self {
        self.limits.journal = records;
        self
    }

    /// How many orders without work are kept in memory. Default 10,000.
    #[must_use]
    pub fn cache(mut self, orders: usize) -> Self {
        self.limits.cache = orders;
        self
    }

    /// The name of this worker, where several share one store: each has a name of its own, and keeps it when it is
    /// started again. Starting one ends whatever bore its name before, and takes over the orders of every worker that
    /// is dead by then. Default `engine`.
    #[must_use]
    pub fn worker(mut self, name: impl Into<String>) -> Self {
        self.worker = name.into();
        self
    }

    /// How long messages wait for an order that does not come; after that they stand in
    /// [`Report::expired`](super::Report::expired), and are not kept any more. Default 30 days.
    #[must_use]
    pub fn unknown_orders(mut self, wait: Duration) -> Self {
        self.limits.unknown = wait;
        self
    }

    /// Starts although there are open orders that no registered pipeline can read, and leaves them where they are: for
    /// another worker on the same store, or for a later release. Otherwise they are a fault
    /// ([`StartFault::Unread`]).
    #[must_use]
    pub fn leave_unread(mut self) -> Self {
        self.leave_unread = true;
        self
    }

    /// Where time, waiting, chance and tasks come from. Default: the real world.
    #[must_use]
    pub fn env(mut self, env: Arc<dyn Env>) -> Self {
        self.env = env;
        self
    }

    /// Starts: checks the wiring, takes over what the store holds, and goes on with it. What the orders of each
    /// registered pipeline are stored under is kept in the store: orders of an earlier release go on under this one if
    /// it can read all of that, whether or not its builder named the release
    /// ([`upgrades`](crate::pipeline::Builder::upgrades)).
    ///
    /// # Errors
    ///
    /// [`StartFaults`]: every fault at once. Nothing was started.
    pub async fn start(mut self) -> Result<Engine, StartFaults> {
        let mut faults = Vec::new();
        if self.pipelines.is_empty() {
            faults.push(StartFault::NoPipeline);
        }
        for (n, p) in self.pipelines.iter().enumerate() {
            let same = |q: &&Pipeline| q.name() == p.name() && q.version() == p.version();
            if self.pipelines.iter().take(n).any(|q| same(&q)) {
                faults.push(StartFault::PipelineTwice { name: p.name(), version: p.version() });
            }
            for (_, graph) in p.graphs() {
                for spec in graph.effects {
                    let effect = spec.handler.to_owned();
                    let fault = StartFault::NoHandler { effect };
                    let StartFault::NoHandler { effect } = &fault else { continue };
                    if !self.handlers.contains_key(effect.as_str()) && !faults.contains(&fault) {
                        faults.push(fault);
                    }
                }
            }
        }
        for p in &self.pipelines {
            p.each_policy(|place, policy| {
                let Some(times) = times::of(policy) else { return };
                let Some((handler, lane)) = self.handlers.get(times.effect) else { return };
                let limits = self.lanes.get(lane).copied().unwrap_or_default();
                for fault in times::faults(place, &times, &**handler, &limits) {
                    if !faults.contains(&fault) {
                        faults.push(fault);
                    }
                }
            });
        }
        if self.store.is_none() {
            faults.push(StartFault::NoStore);
        }
        if let (Some(store), true) = (self.store.clone(), faults.is_empty()) {
            let unread = releases(&*store, &mut self.pipelines).await;
            match unread.map_err(StartFault::from) {
                Err(fault) => faults.push(fault),
                Ok(unread) if self.leave_unread => {
                    unread.iter().for_each(|fault| tracing::warn!(%fault, "open orders are left alone"));
                }
                Ok(unread) => faults.extend(unread),
            }
        }
        let mut desks = Vec::new();
        for p in self.pipelines {
            match Desk::new(Arc::new(p)) {
                Ok(desk) => desks.push(Arc::new(desk)),
                Err(e) => faults.push(StartFault::Engine(EngineError::Journal(e.into()))),
            }
        }
        let Some(store) = self.store.filter(|_| faults.is_empty()) else { return Err(StartFaults(faults)) };
        let mut lanes: BTreeMap<&'static str, Arc<Lane>> = BTreeMap::new();
        let mut wired = BTreeMap::new();
        for (effect, (handler, lane)) in self.handlers {
            let limits = self.lanes.get(lane).copied().unwrap_or_default();
            let lane = lanes.entry(lane).or_insert_with(|| Arc::new(Lane::new(limits))).clone();
            wired.insert(effect, Wired { handler, lane });
        }
        let inner = Inner::start(desks, store, wired, self.env, self.limits, &self.worker)
            .await
            .map_err(|e| StartFaults(vec![StartFault::Engine(e)]))?;
        Ok(Engine { inner })
    }
}

/// Brings the store up to date, keeps what the orders of each release are stored under, and lets a release go on with
/// the orders of earlier ones. Gives the open orders that nothing reads.
async fn releases(store: &dyn Store, pipelines: &mut [Pipeline]) -> Result<Vec<StartFault>, EngineError> {
    let migrated = store.migrate().await?;
    if migrated.from < migrated.to {
        tracing::info!(from = migrated.from, to = migrated.to, "the store was brought up to date");
    }
    let kept = store.releases().await?;
    let mut unread = Vec::new();
    for held in store.pipelines().await? {
        let (version, fingerprint) = (held.version, held.fingerprint);
        let own = |p: &Pipeline| {
            *held.pipeline == *p.name() && p.version() == version && p.fingerprint() == fingerprint
        };
        let reads = |p: &Pipeline| own(p) || *held.pipeline == *p.name() && p.upgrades(version, fingerprint);
        if pipelines.iter().any(reads) {
            continue;
        }
        let is = |release: &&Release| {
            let PipelineId { name, version, fingerprint } = &release.id;
            (name, *version, *fingerprint) == (&held.pipeline, held.version, held.fingerprint)
        };
        let names = kept.iter().find(is).map(|release| crate::journal::read_names(&release.names));
        let mut why = Vec::new();
        match names {
            None => why.push("what they are stored under was not kept".to_owned()),
            Some(Err(e)) => why.push(format!("what they are stored under cannot be read: {e}")),
            Some(Ok(names)) => {
                // The same version first, then the newest.
                let mut same: Vec<&mut Pipeline> =
                    pipelines.iter_mut().filter(|p| *held.pipeline == *p.name()).collect();
                same.sort_by_key(|p| std::cmp::Reverse((p.version() == version, p.version())));
                if same.is_empty() {
                    why.push(format!("no pipeline `{}` is registered", held.pipeline));
                }
                for p in same {
                    let faults = p.goes_on_with(&names);
                    if faults.is_empty() {
                        why.clear();
                        break;
                    }
                    why.extend(faults.iter().map(ToString::to_string));
                }
            }
        }
        if !why.is_empty() && held.open > 0 {
            let (pipeline, open) = (held.pipeline.to_string(), held.open);
            unread.push(StartFault::Unread { pipeline, version, fingerprint, open, why });
        }
    }
    for p in pipelines {
        let id = PipelineId { name: p.name().into(), version: p.version(), fingerprint: p.fingerprint() };
        let release = Release { id, names: crate::journal::save_names(&p.names())? };
        if !kept.contains(&release) {
            store.keep_release(release).await?;
        }
    }
    Ok(unread)
}
