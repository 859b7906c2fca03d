//! The figures, from the store and the sandboxes' books alone.
// Seconds, and orders per second; money stays in integers.
#![allow(clippy::float_arithmetic)]

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use consign::journal::{Desk, EntryView, read_entry};
use consign::machine::Life;
use consign::pipeline::lifecycle::{Cause, lifecycle};
use consign::pipeline::{Phase, Progress};
use consign::stage::dispatch::{parcel, trip};
use consign::stage::payment::attempt;
use consign::stage::review::case;
use consign::store::{Bytes, Hash, Position};
use serde::Serialize;

use crate::World;

/// The replay in figures. Amounts are minor units of BRL, times are seconds.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Figures {
    orders: u64,
    by_status: BTreeMap<&'static str, u64>,
    by_phase: BTreeMap<&'static str, u64>,
    captured_minor: BTreeMap<String, i64>,
    refunded_minor: BTreeMap<String, i64>,
    zero_tenders: u64,
    tiers: Tiers,
    parcels: u64,
    late: u64,
    percentiles: Percentiles,
    gateway: consign::testing::GatewayTotals,
    balances: BTreeMap<&'static str, i64>,
    parked: u64,
    /// What people had to do beside their daily work.
    people: People,
    /// How often each fault befell a call, over all runs.
    faults: BTreeMap<&'static str, u64>,
    /// How often the warehouse's answers were lost, late or doubled, in the last run.
    stock_faults: BTreeMap<&'static str, u64>,
    /// How many runs there were over the store.
    starts: u64,
    transitions: u64,
    commits: u64,
    elapsed_s: f64,
    orders_per_s: f64,
}

/// What people did because something had gone wrong, told by the journals.
#[derive(Debug, Default, Serialize)]
struct People {
    /// Holds that an operator lifted, after a look at what the gateway had moved.
    released: u64,
    /// Refunds that support asked for again.
    asked_again: u64,
    /// Attempts of customers who had to pay again.
    paid_again: u64,
    /// Orders with any of these.
    orders: u64,
}

impl People {
    /// Counts an entry. Whether it is one of these.
    fn add(&mut self, entry: &EntryView) -> bool {
        let input = entry.input.as_ref().map_or("", |(name, _)| name.as_str());
        let key = entry.target.as_ref().map_or(0, |(_, key)| key.0);
        let count = match (entry.kind.as_str(), input) {
            ("release", _) => &mut self.released,
            ("command", "Request") if entry.by.id() == "support" => &mut self.asked_again,
            ("command", "Start") if key > crate::drive::AGAIN => &mut self.paid_again,
            _ => return false,
        };
        *count += 1;
        true
    }
}

#[derive(Debug, Default, Serialize)]
struct Tiers {
    auto: u64,
    one: u64,
    two: u64,
}

#[derive(Debug, Default, Serialize)]
struct Percentiles {
    purchase_to_approval: P,
    approval_to_carrier: P,
    carrier_to_customer: P,
    purchase_to_customer: P,
}

#[derive(Debug, Default, Serialize)]
struct P {
    p50: i64,
    p90: i64,
    p99: i64,
}

impl P {
    /// Nearest rank.
    fn of(mut all: Vec<i64>) -> Self {
        all.sort_unstable();
        let at = |percent: usize| {
            let rank = (percent * all.len()).div_ceil(100).max(1) - 1;
            all.get(rank).copied().unwrap_or(0)
        };
        Self { p50: at(50), p90: at(90), p99: at(99) }
    }
}

const ACCOUNTS: &[&str] =
    &["psp", "cust", "refund_due", "suspense", "earned", "dispute", "fee", "loss", "hold", "hold_contra"];

/// One run over a store, in the file of runs beside it: lines of `RUN ELAPSED_MS`. A run that is killed leaves what it
/// had noted last.
pub(crate) struct Run {
    begun: Cell<Instant>,
    noted: Cell<Duration>,
    file: Option<RefCell<File>>,
    number: u64,
}

impl Run {
    /// Begins a run, in the file where there is one.
    pub(crate) fn begin(path: Option<&Path>) -> Result<Self, String> {
        let number = runs(path)?.len() as u64 + 1;
        let file = path.map(|path| OpenOptions::new().create(true).append(true).open(path)).transpose();
        let file = file.map_err(|e| e.to_string())?.map(RefCell::new);
        let run = Self { begun: Cell::new(Instant::now()), noted: Cell::new(Duration::ZERO), file, number };
        run.note()?;
        Ok(run)
    }

    /// Its work begins now: the data is read.
    pub(crate) fn works(&self) {
        self.begun.set(Instant::now());
    }

    /// Notes how long it has taken so far, now and then.
    pub(crate) fn tick(&self) -> Result<(), String> {
        let due = self.begun.get().elapsed() > self.noted.get() + Duration::from_millis(200);
        if due { self.note() } else { Ok(()) }
    }

    /// Notes how long it has taken so far.
    pub(crate) fn note(&self) -> Result<(), String> {
        let elapsed = self.begun.get().elapsed();
        self.noted.set(elapsed);
        let Some(file) = &self.file else {
            LAST_MS.store(elapsed.as_millis().try_into().unwrap_or(u64::MAX), Ordering::Relaxed);
            return Ok(());
        };
        let line = format!("{} {}\n", self.number, elapsed.as_millis());
        file.borrow_mut().write_all(line.as_bytes()).map_err(|e| e.to_string())
    }
}

/// The time of the only run that a memory store can have.
static LAST_MS: AtomicU64 = AtomicU64::new(0);

/// The milliseconds of each run so far. A line that a kill cut short says nothing.
fn runs(path: Option<&Path>) -> Result<BTreeMap<u64, u64>, String> {
    let Some(path) = path else { return Ok([(1, LAST_MS.load(Ordering::Relaxed))].into()) };
    let text = match std::fs::read_to_string(path) {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => String::new(),
        other => other.map_err(|e| e.to_string())?,
    };
    let pair = |line: &str| {
        let (run, ms) = line.split_once(' ')?;
        Some((run.parse().ok()?, ms.parse().ok()?))
    };
    Ok(text.split_inclusive('\n').filter_map(|line| pair(line.strip_suffix('\n')?)).collect())
}

#[derive(Default)]
struct Samples {
    purchase_to_approval: Vec<i64>,
    approval_to_carrier: Vec<i64>,
    carrier_to_customer: Vec<i64>,
    purchase_to_customer: Vec<i64>,
}

/// The figures. Where the data says how orders end, one that ended otherwise is told by its name.
pub(crate) async fn figures(
    world: &World,
    ends: Option<&BTreeMap<String, (&'static str, i64)>>,
) -> Result<Figures, String> {
    let text = |e: &dyn std::fmt::Display| e.to_string();
    let desk = Desk::new(Arc::new(crate::drive::pipeline()?)).map_err(|e| text(&e))?;
    let mut f = Figures { gateway: world.gateway.totals(), ..Figures::default() };
    f.balances = ACCOUNTS.iter().map(|a| (*a, 0)).collect();
    let mut samples = Samples::default();
    let mut policies: BTreeMap<Hash, Bytes> = BTreeMap::new();
    let mut others = Vec::new();
    let mut after = None;
    loop {
        let page = world.store.scan(after.clone(), 500, false).await.map_err(|e| text(&e))?;
        let Some(end) = page.last() else { break };
        after = Some(end.order.clone());
        for brief in page {
            let stored = world.store.load(&brief.order).await.map_err(|e| text(&e))?;
            let stored = stored.ok_or("an order vanished")?;
            for hash in desk.policies_of(&stored.document).map_err(|e| text(&e))? {
                if let std::collections::btree_map::Entry::Vacant(slot) = policies.entry(hash)
                    && let Some(body) = world.store.policy(&hash).await.map_err(|e| text(&e))?
                {
                    slot.insert(body);
                }
            }
            let progress = desk.open(&stored, &policies).map_err(|e| format!("{}: {e}", brief.order))?;
            f.parked += u64::from(!progress.holds.is_empty());
            f.commits += progress.version;
            let is = (f.add(&desk, &progress, &mut samples), progress.books.captured(None));
            let (moved, booked) = (world.gateway.moved(&brief.order), (is.1, progress.books.refunded(None)));
            if moved != booked {
                others.push(format!(
                    "{}: the gateway moved {moved:?}, and the books say {booked:?}",
                    brief.order
                ));
            }
            if let Some(says) = ends.and_then(|ends| ends.get(brief.order.order.as_str()))
                && is != *says
            {
                others.push(format!("{} ended as {is:?}, and its data says {says:?}", brief.order));
            }
        }
    }
    if !others.is_empty() {
        return Err(format!(
            "{} orders ended otherwise than their data says:\n{}",
            others.len(),
            others.join("\n")
        ));
    }
    let mut at = Position(0);
    let mut touched = BTreeSet::new();
    loop {
        let page = world.store.feed(at, 1000).await.map_err(|e| text(&e))?;
        let Some(end) = page.last() else { break };
        at = end.position;
        for item in &page {
            let entry = read_entry(&item.entry.body).map_err(|e| text(&e))?;
            f.transitions += entry.states.len() as u64;
            if f.people.add(&entry) {
                touched.insert(item.order.clone());
            }
        }
    }
    f.people.orders = touched.len() as u64;
    f.percentiles = Percentiles {
        purchase_to_approval: P::of(samples.purchase_to_approval),
        approval_to_carrier: P::of(samples.approval_to_carrier),
        carrier_to_customer: P::of(samples.carrier_to_customer),
        purchase_to_customer: P::of(samples.purchase_to_customer),
    };
    f.faults = world.gateway.faults();
    f.stock_faults = world.stock.faults();
    let runs = runs(world.runs.as_deref())?;
    f.starts = runs.len() as u64;
    f.elapsed_s = runs.values().sum::<u64>() as f64 / 1000.0;
    f.orders_per_s = (f.orders as f64 / f.elapsed_s.max(0.001) * 10.0).round() / 10.0;
    Ok(f)
}

/// The order's end in the data's words, read from its own state.
#[allow(clippy::wildcard_enum_match_arm)] // what has not ended is open, in a life yet to be named too
fn status(desk: &Desk, p: &Progress, out: bool) -> &'static str {
    match p.life() {
        Life::Completed | Life::Closed => "delivered",
        Life::Cancelling => "cancelling",
        Life::Ended => match desk.pipeline().state::<lifecycle::M>(p, 1) {
            Some(lifecycle::State::Cancelled(s)) if s.cause == Cause::Unfillable => "unavailable",
            _ => "canceled",
        },
        _ if out => "shipped",
        _ if p.proofs().contains(&"approved.dispatch") => "approved",
        _ => "created",
    }
}

impl Figures {
    /// Counts an order; answers how it ended.
    fn add(&mut self, desk: &Desk, p: &Progress, samples: &mut Samples) -> &'static str {
        let pipeline = desk.pipeline();
        self.orders += 1;
        let phase: Phase = p.phase();
        *self.by_phase.entry(phase.name()).or_default() += 1;
        for channel in p.books.channels() {
            let add = |m: &mut BTreeMap<String, i64>, minor: i64| {
                if minor != 0 {
                    *m.entry(channel.to_string()).or_default() += minor;
                }
            };
            add(&mut self.captured_minor, p.books.captured(Some(&channel)));
            add(&mut self.refunded_minor, p.books.refunded(Some(&channel)));
        }
        for (account, minor) in p.books.balances() {
            *self.balances.entry(account.name()).or_default() += minor;
        }
        let attributes = p.order.attributes();
        let number =
            |key: &str| attributes.get(key).and_then(|v| v.trim_start_matches("at ").parse::<i64>().ok());
        self.zero_tenders += number("zero_tenders").and_then(|n| u64::try_from(n).ok()).unwrap_or(0);

        let (mut carrier, mut customer, mut out) = (None, None, false);
        let (mut reviewed, mut started, mut paid) = (None, None, false);
        for (place, key, state) in pipeline.instances(p) {
            if let Some(s) = pipeline.state_at::<parcel::M>(p, place, key) {
                let t = trip(s);
                carrier = carrier.max(t.handed_over_at);
                customer = customer.max(t.delivered_at);
                self.parcels += u64::from(t.handed_over_at.is_some());
                out |= state == "HandedOver";
            }
            // The customer approves when they start to pay; a second try does not change that.
            if let Some(s) = pipeline.state_at::<attempt::M>(p, place, key) {
                started = started.into_iter().chain([s.what().started_at]).min();
                paid |= state == "Captured";
            }
            if let Some(s) = pipeline.state_at::<case::M>(p, place, key) {
                reviewed = Some(approvals(s));
            }
        }
        // An order that was paid and cancelled within a stop has no case; its tier is the one it would have had.
        let approval = started.filter(|_| paid);
        let tier = reviewed.or_else(|| paid.then(|| crate::drive::review_policy().approvals(&p.order)));
        match tier {
            Some(0) => self.tiers.auto += 1,
            Some(1) => self.tiers.one += 1,
            Some(_) => self.tiers.two += 1,
            None => {}
        }
        let status = status(desk, p, out);
        *self.by_status.entry(status).or_default() += 1;
        if attributes.contains_key("assumed_carrier") {
            carrier = None;
        }
        if attributes.contains_key("assumed_customer") {
            customer = None;
        }
        let estimate = number("estimate_ms");
        if let (Some(at), Some(by)) = (customer, estimate) {
            self.late += u64::from(status == "delivered" && at.millis() > by);
        }
        let mut pair = |list: fn(&mut Samples) -> &mut Vec<i64>, from: Option<_>, to: Option<_>| {
            if let (Some(from), Some(to)) = (from, to) {
                let to: consign::clock::Timestamp = to;
                list(samples).push(to.seconds_since(from));
            }
        };
        pair(|s| &mut s.purchase_to_approval, Some(p.placed_at), approval);
        pair(|s| &mut s.approval_to_carrier, approval, carrier);
        pair(|s| &mut s.carrier_to_customer, carrier, customer);
        pair(|s| &mut s.purchase_to_customer, Some(p.placed_at), customer);
        status
    }
}

fn approvals(state: &case::State) -> u32 {
    state.file().approvals_needed
}

fn money(minor: i64) -> String {
    let sign = if minor < 0 { "-" } else { "" };
    format!("{sign}{}.{:02}", minor.abs() / 100, minor.abs() % 100)
}

/// The figures for people.
pub(crate) fn table(f: &Figures) -> String {
    let mut s = String::new();
    let _ = writeln!(s, "{:<24}{:>16}", "orders", f.orders);
    for (name, n) in &f.by_status {
        let _ = writeln!(s, "  {name:<22}{n:>16}");
    }
    let _ = writeln!(s, "captured, BRL");
    for (channel, minor) in &f.captured_minor {
        let _ = writeln!(s, "  {channel:<22}{:>16}", money(*minor));
    }
    let _ = writeln!(s, "refunded, BRL");
    for (channel, minor) in &f.refunded_minor {
        let _ = writeln!(s, "  {channel:<22}{:>16}", money(*minor));
    }
    let _ = writeln!(s, "balances, BRL (Dr +)");
    for (account, minor) in f.balances.iter().filter(|(_, n)| **n != 0) {
        let _ = writeln!(s, "  {account:<22}{:>16}", money(*minor));
    }
    let t = &f.tiers;
    let _ = writeln!(s, "{:<24}{:>16}", "reviewed by nobody", t.auto);
    let _ = writeln!(s, "{:<24}{:>16}", "reviewed by one", t.one);
    let _ = writeln!(s, "{:<24}{:>16}", "reviewed by two", t.two);
    let _ = writeln!(s, "{:<24}{:>16}", "parcels handed over", f.parcels);
    let _ = writeln!(s, "{:<24}{:>16}", "delivered late", f.late);
    let _ = writeln!(s, "{:<24}{:>10}{:>10}{:>10}", "seconds", "p50", "p90", "p99");
    let p = &f.percentiles;
    for (name, p) in [
        ("purchase to approval", &p.purchase_to_approval),
        ("approval to carrier", &p.approval_to_carrier),
        ("carrier to customer", &p.carrier_to_customer),
        ("purchase to customer", &p.purchase_to_customer),
    ] {
        let _ = writeln!(s, "  {name:<22}{:>10}{:>10}{:>10}", p.p50, p.p90, p.p99);
    }
    let _ = writeln!(s, "{:<24}{:>16}", "duplicate effects", f.gateway.duplicate_effects);
    let _ = writeln!(s, "{:<24}{:>16}", "parked", f.parked);
    let w = &f.people;
    let _ = writeln!(s, "{:<24}{:>16}", "holds released", w.released);
    let _ = writeln!(s, "{:<24}{:>16}", "refunds asked again", w.asked_again);
    let _ = writeln!(s, "{:<24}{:>16}", "paid again", w.paid_again);
    let _ = writeln!(s, "{:<24}{:>16}", "orders with any of these", w.orders);
    for (name, n) in &f.faults {
        let _ = writeln!(s, "  {name:<22}{n:>16}");
    }
    let _ = writeln!(s, "{:<24}{:>16}", "starts", f.starts);
    let _ = writeln!(s, "{:<24}{:>16}", "transitions", f.transitions);
    let _ = writeln!(s, "{:<24}{:>16}", "commits", f.commits);
    let _ = writeln!(s, "{:<24}{:>16.1}", "orders per second", f.orders_per_s);
    s
}
