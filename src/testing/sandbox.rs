//! Sandboxes: adapters that keep books of their own, and fail as they are told to.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use super::ledger_file::LedgerFile;
use crate::gateway::{
    CarrierAdapter, InventoryAdapter, Notice, Notifier, PaymentGateway, Repeats, RiskScorer, Ticket,
};
use crate::id::{Channel, Key};
use crate::machine::{Effect, Reply};
use crate::money::Money;
use crate::stage::aftersales::{Restock, Restocked};
use crate::stage::dispatch::{
    AskStock, Book, Booked, BookingCancelled, BookingRefused, BringBack, CancelBooking, CancelRefused,
    Consume, Consumed, InStock, InterceptRefused, Intercepted, NoNews, Offer, Quote, Quoted, Reserve, Short,
    StockSeen, Track, Unit, Unreserve, Unreserved, WarehouseStock,
};
use crate::stage::payment::{
    Authorised, Capture, CaptureRefused, Charge, Close, DeclineClass, Gone, HoldReleased, Inquire, NotThere,
    Paid, Refused, StillHeld, Void, VoidRefused,
};
use crate::stage::refund::{InquireRefund, RefundMissing, RefundRefused, Repaid, SendBack};
use crate::stage::review::{Score, Scored};

pub(super) type Answer<X> = Reply<<X as Effect>::Done, <X as Effect>::Declined>;

pub(super) fn lock<T>(m: &Mutex<T>) -> MutexGuard<'_, T> {
    m.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What goes wrong with one call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Fault {
    /// Nothing.
    None,
    /// It is provably not sent.
    NotSent,
    /// It is carried out, and the answer is lost.
    LoseAnswer,
    /// It never arrives, and nobody can tell.
    LoseCall,
    /// The outside is busy: ask again.
    Later,
    /// It is refused.
    Decline,
    /// The adapter panics.
    Panic,
}

/// Which call goes wrong, and how: `(order, instance, attempt number from 1 of that kind of call)`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FaultPlan {
    planned: BTreeMap<(String, u32, &'static str, u32), Fault>,
    chances: Vec<(u32, Fault)>,
    seed: u64,
}

impl FaultPlan {
    /// Plans a fault: the `nth` call (from 1) of `operation` (`charge`, `capture`, `refund`, ..) for an instance of an
    /// order.
    #[must_use]
    pub fn fault(
        mut self,
        order: &str,
        instance: u32,
        operation: &'static str,
        nth: u32,
        fault: Fault,
    ) -> Self {
        self.planned.insert((order.to_owned(), instance, operation, nth), fault);
        self
    }

    /// Lets faults happen by chance, each so many times in a thousand calls. The seed and the call decide, so the same
    /// run fails the same way.
    #[must_use]
    pub fn by_chance(mut self, seed: u64, per_mille: &[(u32, Fault)]) -> Self {
        self.seed = seed;
        self.chances = per_mille.to_vec();
        self
    }

    pub(super) fn pick(&self, ticket: &Ticket, operation: &'static str, nth: u32) -> Fault {
        let order = ticket.order.order.as_str();
        let key = (order.to_owned(), ticket.instance.0, operation, nth);
        if let Some(fault) = self.planned.get(&key) {
            return *fault;
        }
        if self.chances.is_empty() {
            return Fault::None;
        }
        let mut h = crate::machine::graph::Fnv::new();
        h.number(self.seed);
        h.text(ticket.key.as_str());
        h.text(operation);
        h.number(u64::from(nth));
        // The low bits of FNV are its weak ones.
        let mut roll = u32::try_from((h.0 >> 20) % 1000).unwrap_or_default();
        for (per_mille, fault) in &self.chances {
            if roll < *per_mille {
                return *fault;
            }
            roll -= per_mille;
        }
        Fault::None
    }
}

/// A line of the gateway's books.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Line {
    op: String,
    order: String,
    instance: Key,
    key: String,
    channel: Channel,
    amount: Money,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    attempt: Option<Key>,
}

#[derive(Debug, Clone)]
struct Attempt {
    channel: Channel,
    amount: Money,
    captured: bool,
    /// What was taken of it, and what of that was given back.
    taken_minor: i64,
    back_minor: i64,
    closed: bool,
}

impl Attempt {
    fn taken(&self) -> Money {
        Money::new(self.taken_minor, self.amount.currency())
    }
}

#[derive(Debug, Default)]
struct GatewayBooks {
    file: LedgerFile,
    plan: FaultPlan,
    calls: BTreeMap<(String, &'static str), u32>,
    /// Attempts by order and instance.
    attempts: BTreeMap<(String, Key), Attempt>,
    /// Operations by key: the second one under a key moves nothing.
    done: BTreeMap<String, Line>,
    declined: BTreeSet<String>,
    movements: BTreeMap<(String, Key, String), u64>,
    captured: BTreeMap<Channel, i64>,
    refunded: BTreeMap<Channel, i64>,
}

/// What the gateway moved, by its own books.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct GatewayTotals {
    /// Minor units taken, by channel.
    pub captured_minor: BTreeMap<String, i64>,
    /// Minor units given back, by channel.
    pub refunded_minor: BTreeMap<String, i64>,
    /// Movements beyond one per order, instance and operation.
    pub duplicate_effects: u64,
}

/// A payment provider with books of its own.
#[derive(Debug)]
pub struct SandboxGateway {
    books: Mutex<GatewayBooks>,
}

impl SandboxGateway {
    /// A gateway; its books are in a file where a path is given, and in memory otherwise.
    ///
    /// # Errors
    ///
    /// When the file cannot be read or holds something else.
    pub fn open(path: Option<&Path>) -> io::Result<Self> {
        let (file, lines) = LedgerFile::open::<Line>(path)?;
        let mut books = GatewayBooks { file, ..GatewayBooks::default() };
        for line in lines {
            books.enter(&line);
        }
        Ok(Self { books: Mutex::new(books) })
    }

    /// Lets a gateway that is in use fail as planned from now on.
    pub fn plan(&self, plan: FaultPlan) {
        lock(&self.books).plan = plan;
    }

    /// A gateway that fails as planned.
    #[must_use]
    pub fn failing(self, plan: FaultPlan) -> Self {
        lock(&self.books).plan = plan;
        self
    }

    /// What it moved.
    #[must_use]
    pub fn totals(&self) -> GatewayTotals {
        let b = lock(&self.books);
        let named = |m: &BTreeMap<Channel, i64>| {
            m.iter().filter(|(_, n)| **n != 0).map(|(c, n)| (c.to_string(), *n)).collect()
        };
        GatewayTotals {
            captured_minor: named(&b.captured),
            refunded_minor: named(&b.refunded),
            duplicate_effects: b.movements.values().map(|n| n.saturating_sub(1)).sum(),
        }
    }

    /// What it moved for one order: taken and given back, in minor units.
    #[must_use]
    pub fn moved(&self, order: &crate::id::OrderKey) -> (i64, i64) {
        let name = order.to_string();
        let b = lock(&self.books);
        let sum = |ops: &[&str]| {
            b.done
                .values()
                .filter(|l| l.order == name && ops.contains(&l.op.as_str()))
                .fold(0, |n: i64, l| n.saturating_add(l.amount.minor()))
        };
        (sum(&["charge", "capture"]), sum(&["refund"]))
    }

    /// Carries an operation out under its key, with the fault that is planned for the call.
    fn run<T>(
        &self,
        ticket: &Ticket,
        operation: &'static str,
        act: impl FnOnce(&mut GatewayBooks) -> io::Result<T>,
    ) -> Result<T, Refusal> {
        let mut b = lock(&self.books);
        let nth = b.call(ticket, operation);
        let planned = b.plan.pick(ticket, operation, nth);
        // A provider does not refuse what it has done, and an inquiry answers what is so.
        let so = b.done.contains_key(ticket.key.as_str()) || operation.starts_with("inquire");
        let fault = if planned == Fault::Decline && so { Fault::None } else { planned };
        let done = match fault {
            Fault::NotSent => return Err(Refusal::NotSent("the line is down".to_owned())),
            Fault::LoseCall => return Err(Refusal::Unknown("no answer".to_owned())),
            Fault::Later => return Err(Refusal::Later),
            Fault::Decline => return Err(Refusal::Declined),
            Fault::Panic => {
                drop(b);
                panic!("the sandbox was told to panic");
            }
            Fault::None | Fault::LoseAnswer => act(&mut b),
        };
        match (done, fault) {
            // Nothing is answered that the books do not hold.
            (Err(e), _) => Err(Refusal::NotSent(format!("the sandbox cannot write its books: {e}"))),
            (Ok(_), Fault::LoseAnswer) => Err(Refusal::Unknown("the answer was lost".to_owned())),
            (Ok(value), _) => Ok(value),
        }
    }
}

pub(super) enum Refusal {
    NotSent(String),
    Unknown(String),
    Later,
    Declined,
}

impl Refusal {
    pub(super) fn reply<D, N>(self, declined: N) -> Reply<D, N> {
        match self {
            Refusal::NotSent(why) => Reply::NotSent(why),
            Refusal::Unknown(why) => Reply::Unknown(why),
            Refusal::Later => Reply::Later(Duration::from_secs(1)),
            Refusal::Declined => Reply::Declined(declined),
        }
    }
}

impl GatewayBooks {
    fn call(&mut self, ticket: &Ticket, operation: &'static str) -> u32 {
        let n = self.calls.entry((format!("{}#{}", ticket.order, ticket.instance), operation)).or_default();
        *n = n.saturating_add(1);
        *n
    }

    fn enter(&mut self, line: &Line) {
        let at = (line.order.clone(), line.attempt.unwrap_or(line.instance));
        let add = |m: &mut BTreeMap<Channel, i64>| {
            let n = m.entry(line.channel.clone()).or_default();
            *n = n.saturating_add(line.amount.minor());
        };
        let fresh = || Attempt {
            channel: line.channel.clone(),
            amount: line.amount,
            captured: false,
            taken_minor: 0,
            back_minor: 0,
            closed: false,
        };
        let take = |a: &mut Attempt| {
            a.captured = true;
            a.taken_minor = a.taken_minor.saturating_add(line.amount.minor());
        };
        let mut moved = false;
        match line.op.as_str() {
            "charge" => {
                take(self.attempts.entry(at).or_insert_with(fresh));
                add(&mut self.captured);
                moved = true;
            }
            "authorise" => {
                self.attempts.entry(at).or_insert_with(fresh);
            }
            "capture" => {
                take(self.attempts.entry(at).or_insert_with(fresh));
                add(&mut self.captured);
                moved = true;
            }
            "refund" => {
                if let Some(a) = self.attempts.get_mut(&at) {
                    a.back_minor = a.back_minor.saturating_add(line.amount.minor());
                }
                add(&mut self.refunded);
                moved = true;
            }
            "close" | "void" => self.attempts.entry(at).or_insert_with(fresh).closed = true,
            _ => {}
        }
        if moved {
            let key = (line.order.clone(), line.instance, line.op.clone());
            let n = self.movements.entry(key).or_default();
            *n = n.saturating_add(1);
        }
        self.done.insert(line.key.clone(), line.clone());
    }

    /// Writes a line before anything is answered.
    fn write(&mut self, line: Line) -> io::Result<()> {
        self.file.append(&line)?;
        self.enter(&line);
        Ok(())
    }

    fn line(op: &str, ticket: &Ticket, channel: &Channel, amount: Money) -> Line {
        Line {
            op: op.to_owned(),
            order: ticket.order.to_string(),
            instance: ticket.instance,
            key: ticket.key.to_string(),
            channel: channel.clone(),
            amount,
            attempt: None,
        }
    }
}

fn reference(ticket: &Ticket, instance: Key) -> String {
    format!("pay-{}-{instance}", ticket.order.order)
}

fn refused(code: &str) -> Refused {
    Refused { class: DeclineClass::Soft, code: code.to_owned() }
}

fn paid(ticket: &Ticket, channel: &Channel, amount: Money) -> Paid {
    Paid {
        channel: channel.clone(),
        reference: reference(ticket, ticket.instance),
        amount,
        more_allowed: false,
    }
}

fn authorised(ticket: &Ticket, channel: &Channel, amount: Money) -> Authorised {
    Authorised {
        channel: channel.clone(),
        reference: reference(ticket, ticket.instance),
        amount,
        expires_at: None,
    }
}

#[async_trait]
impl PaymentGateway for SandboxGateway {
    fn repeats(&self) -> Repeats {
        Repeats::Idempotent { key_ttl: Duration::from_secs(24 * 3600) }
    }

    async fn charge(&self, charge: Charge, ticket: &Ticket) -> Answer<Charge> {
        let at = (ticket.order.to_string(), ticket.instance);
        let done = self.run(ticket, "charge", |b| {
            if b.declined.contains(ticket.key.as_str()) || b.attempts.get(&at).is_some_and(|a| a.closed) {
                return Ok(false);
            }
            if let Some(held) = b.done.get(ticket.key.as_str()) {
                return Ok(held.amount == charge.amount);
            }
            let op = if charge.capture { "charge" } else { "authorise" };
            b.write(GatewayBooks::line(op, ticket, &charge.channel, charge.amount))?;
            Ok(true)
        });
        match done {
            Ok(true) if charge.capture => Reply::Done(paid(ticket, &charge.channel, charge.amount).into()),
            Ok(true) => Reply::Done(authorised(ticket, &charge.channel, charge.amount).into()),
            Ok(false) => Reply::Declined(refused("closed")),
            Err(Refusal::Declined) => {
                lock(&self.books).declined.insert(ticket.key.to_string());
                Reply::Declined(refused("do_not_honour"))
            }
            Err(other) => other.reply(refused("refused")),
        }
    }

    async fn inquire(&self, inquire: Inquire, ticket: &Ticket) -> Answer<Inquire> {
        let at = (ticket.order.to_string(), ticket.instance);
        match self.run(ticket, "inquire", |b| Ok(b.attempts.get(&at).cloned())) {
            Ok(None) => Reply::Done(NotThere.into()),
            Ok(Some(a)) if a.captured => Reply::Done(paid(ticket, &a.channel, a.taken()).into()),
            Ok(Some(a)) if a.closed => Reply::Done(Gone.into()),
            Ok(Some(_)) if inquire.held => Reply::Done(StillHeld.into()),
            Ok(Some(a)) => Reply::Done(authorised(ticket, &a.channel, a.amount).into()),
            Err(other) => other.reply(refused("refused")),
        }
    }

    async fn close(&self, close: Close, ticket: &Ticket) -> Answer<Close> {
        let at = (ticket.order.to_string(), ticket.instance);
        let done = self.run(ticket, "close", |b| {
            if let Some(a) = b.attempts.get(&at).filter(|a| a.captured) {
                return Ok(Some(a.clone()));
            }
            let none = Money::zero(b.attempts.get(&at).map_or_else(euro, |a| a.amount.currency()));
            b.write(GatewayBooks::line("close", ticket, &close.channel, none))?;
            Ok(None)
        });
        match done {
            Ok(Some(a)) => Reply::Done(paid(ticket, &a.channel, a.taken()).into()),
            Ok(None) => Reply::Done(Gone.into()),
            Err(other) => other.reply(crate::stage::payment::CloseRefused { code: "refused".to_owned() }),
        }
    }

    async fn capture(&self, capture: Capture, ticket: &Ticket) -> Answer<Capture> {
        let at = (ticket.order.to_string(), ticket.instance);
        let done = self.run(ticket, "capture", |b| {
            if b.done.contains_key(ticket.key.as_str()) {
                return Ok(true);
            }
            let open = b
                .attempts
                .get(&at)
                .is_some_and(|a| !a.closed && !a.captured && capture.amount.minor() <= a.amount.minor());
            if open {
                b.write(GatewayBooks::line("capture", ticket, &capture.channel, capture.amount))?;
            }
            Ok(open)
        });
        let no = |code: &str| CaptureRefused { code: code.to_owned() };
        match done {
            Ok(true) => Reply::Done(paid(ticket, &capture.channel, capture.amount).into()),
            Ok(false) => Reply::Declined(no("not_capturable")),
            Err(other) => other.reply(no("refused")),
        }
    }

    async fn void(&self, void: Void, ticket: &Ticket) -> Answer<Void> {
        let at = (ticket.order.to_string(), ticket.instance);
        let done = self.run(ticket, "void", |b| {
            if let Some(a) = b.attempts.get(&at).filter(|a| a.captured) {
                return Ok(Some(a.clone()));
            }
            let none = Money::zero(b.attempts.get(&at).map_or_else(euro, |a| a.amount.currency()));
            b.write(GatewayBooks::line("void", ticket, &void.channel, none))?;
            Ok(None)
        });
        match done {
            Ok(Some(a)) => Reply::Done(paid(ticket, &a.channel, a.taken()).into()),
            Ok(None) => Reply::Done(HoldReleased.into()),
            Err(other) => other.reply(VoidRefused { code: "refused".to_owned() }),
        }
    }

    async fn refund(&self, refund: SendBack, ticket: &Ticket) -> Answer<SendBack> {
        let done = self.run(ticket, "refund", |b| {
            if let Some(held) = b.done.get(ticket.key.as_str()) {
                return Ok(held.amount == refund.amount);
            }
            let at = (ticket.order.to_string(), refund.attempt);
            let left = b.attempts.get(&at).map_or(0, |a| a.taken_minor.saturating_sub(a.back_minor));
            if refund.amount.minor() > left {
                return Ok(false);
            }
            let mut line = GatewayBooks::line("refund", ticket, &refund.channel, refund.amount);
            line.attempt = Some(refund.attempt);
            b.write(line)?;
            Ok(true)
        });
        let no = |code: &str| RefundRefused { code: code.to_owned() };
        match done {
            Ok(true) => Reply::Done(repaid(ticket, &refund.channel, refund.amount).into()),
            Ok(false) => Reply::Declined(no("not_captured")),
            Err(other) => other.reply(no("refused")),
        }
    }

    async fn inquire_refund(&self, inquire: InquireRefund, ticket: &Ticket) -> Answer<InquireRefund> {
        let (order, instance) = (ticket.order.to_string(), ticket.instance);
        let found = self.run(ticket, "inquire_refund", |b| {
            Ok(b.done
                .values()
                .find(|l| l.op == "refund" && l.order == order && l.instance == instance)
                .cloned())
        });
        match found {
            Ok(Some(l)) => Reply::Done(repaid(ticket, &l.channel, inquire.amount).into()),
            Ok(None) => Reply::Done(RefundMissing.into()),
            Err(other) => other.reply(RefundRefused { code: "refused".to_owned() }),
        }
    }
}

pub(super) fn euro() -> crate::money::Currency {
    "EUR".parse().expect("EUR is a currency")
}

fn repaid(ticket: &Ticket, channel: &Channel, amount: Money) -> Repaid {
    Repaid {
        channel: channel.clone(),
        reference: format!("back-{}-{}", ticket.order.order, ticket.instance),
        amount,
    }
}

/// A line of the warehouse's books.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct StockLine {
    op: String,
    key: String,
    order: String,
    parcel: Key,
    units: u64,
    /// Which reservation of the parcel.
    #[serde(default)]
    asked: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    warehouse: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    what: Vec<Unit>,
}

#[derive(Debug, Default)]
struct StockBooks {
    file: LedgerFile,
    done: BTreeMap<String, StockLine>,
    short: BTreeSet<String>,
    lacks: BTreeSet<String>,
    counts: BTreeMap<(String, Key, String), u64>,
    /// What is on the shelves, by warehouse and SKU. A warehouse that is not named here has everything.
    shelves: BTreeMap<String, BTreeMap<String, i64>>,
    /// Warehouses that answer short whatever they said they have.
    empty: BTreeSet<String>,
    /// What is set aside, by order, parcel and reservation.
    aside: BTreeMap<(String, Key, u32), BTreeMap<String, i64>>,
    /// Reservations that were given back before they arrived.
    void: BTreeSet<(String, Key, u32)>,
}

/// An inventory with books of its own. It has everything in stock, except for orders that are told short, SKUs that it
/// lacks, and warehouses whose shelves are filled by hand.
#[derive(Debug)]
pub struct SandboxInventory {
    books: Mutex<StockBooks>,
}

impl SandboxInventory {
    /// A warehouse; its books are in a file where a path is given, and in memory otherwise.
    ///
    /// # Errors
    ///
    /// When the file cannot be read or holds something else.
    pub fn open(path: Option<&Path>) -> io::Result<Self> {
        let (file, lines) = LedgerFile::open::<StockLine>(path)?;
        let mut books = StockBooks { file, ..StockBooks::default() };
        for line in lines {
            books.enter(&line);
        }
        Ok(Self { books: Mutex::new(books) })
    }

    /// Lets an order find nothing in stock.
    pub fn tell_short(&self, order: &str) {
        lock(&self.books).short.insert(order.to_owned());
    }

    /// Lets a SKU be out of stock everywhere.
    pub fn lacks(&self, sku: &str) {
        lock(&self.books).lacks.insert(sku.to_owned());
    }

    /// Lets a SKU that was out of stock be there again.
    pub fn has_again(&self, sku: &str) {
        lock(&self.books).lacks.remove(sku);
    }

    /// Puts units on the shelves of a warehouse, which has nothing else from then on but what is put there.
    pub fn fill(&self, warehouse: &str, sku: &str, quantity: u32) {
        let mut b = lock(&self.books);
        let shelf = b.shelves.entry(warehouse.to_owned()).or_default().entry(sku.to_owned()).or_default();
        *shelf = shelf.saturating_add(i64::from(quantity));
    }

    /// Lets a warehouse answer short whenever it is asked to set something aside, whatever it says it has.
    pub fn tell_empty(&self, warehouse: &str) {
        lock(&self.books).empty.insert(warehouse.to_owned());
    }

    /// Units on the shelves that were filled and that are not set aside: warehouse, SKU and how many, in this order.
    #[must_use]
    pub fn shelves(&self) -> Vec<(String, String, i64)> {
        let b = lock(&self.books);
        let of = |(at, shelf): (&String, &BTreeMap<String, i64>)| -> Vec<(String, String, i64)> {
            shelf.iter().map(|(sku, n)| (at.clone(), sku.clone(), *n)).collect()
        };
        b.shelves.iter().flat_map(of).collect()
    }

    /// Units set aside again without having been given back, and taken out more than once: operations beyond one per
    /// parcel and reservation.
    #[must_use]
    pub fn duplicate_effects(&self) -> u64 {
        let b = lock(&self.books);
        let parcels: BTreeSet<(&String, Key)> =
            b.counts.keys().map(|(order, parcel, _)| (order, *parcel)).collect();
        let doubled = parcels.into_iter().map(|(order, parcel)| {
            let of = |op: &str| b.counts.get(&(order.clone(), parcel, op.to_owned())).copied().unwrap_or(0);
            // Set aside anew after it was given back is no double.
            let reserved = of("reserve").saturating_sub(of("unreserve").saturating_add(1));
            reserved.saturating_add(of("consume").saturating_sub(1))
        });
        doubled.sum()
    }

    /// Units put back into the stock.
    #[must_use]
    pub fn restocked(&self) -> u64 {
        lock(&self.books).done.values().filter(|l| l.op == "restock").map(|l| l.units).sum()
    }

    /// How many parcels hold a reservation that was neither consumed nor given back.
    #[must_use]
    pub fn reserved(&self) -> usize {
        let b = lock(&self.books);
        let of = |order: &str, parcel: Key, op: &str| {
            b.counts.get(&(order.to_owned(), parcel, op.to_owned())).copied().unwrap_or(0)
        };
        b.counts
            .keys()
            .filter(|(order, parcel, op)| {
                let gone = of(order, *parcel, "consume").saturating_add(of(order, *parcel, "unreserve"));
                op == "reserve" && of(order, *parcel, "reserve") > gone
            })
            .count()
    }

    fn run(
        &self,
        op: &str,
        ticket: &Ticket,
        asked: u32,
        what: &[Unit],
        warehouse: Option<&String>,
    ) -> io::Result<()> {
        let mut b = lock(&self.books);
        if b.done.contains_key(ticket.key.as_str()) {
            return Ok(());
        }
        let line = StockLine {
            op: op.to_owned(),
            key: ticket.key.to_string(),
            order: ticket.order.to_string(),
            parcel: ticket.instance,
            units: count(what),
            asked,
            warehouse: warehouse.cloned(),
            what: what.to_vec(),
        };
        b.file.append(&line)?;
        b.enter(&line);
        Ok(())
    }
}

impl StockBooks {
    fn enter(&mut self, line: &StockLine) {
        let n = self.counts.entry((line.order.clone(), line.parcel, line.op.clone())).or_default();
        *n = n.saturating_add(1);
        self.done.insert(line.key.clone(), line.clone());
        let of = (line.order.clone(), line.parcel, line.asked);
        // What is given back before it was set aside is not set aside any more.
        if line.op == "unreserve" && !self.aside.contains_key(&of)
            || line.op == "reserve" && self.void.contains(&of)
        {
            self.void.insert(of);
            return;
        }
        let aside = self.aside.entry(of).or_default();
        for unit in &line.what {
            let held = aside.entry(unit.sku.clone()).or_default();
            let (delta, back) = match line.op.as_str() {
                "reserve" => (i64::from(unit.quantity), -i64::from(unit.quantity)),
                // What was never set aside does not come back to the shelf.
                "unreserve" => {
                    let there = i64::from(unit.quantity).min(*held);
                    (-there, there)
                }
                "consume" => (-i64::from(unit.quantity), 0),
                _ => (0, 0),
            };
            *held = held.saturating_add(delta);
            let shelves = line.warehouse.as_ref().and_then(|w| self.shelves.get_mut(w));
            if let Some(shelf) = shelves {
                let there = shelf.entry(unit.sku.clone()).or_default();
                *there = there.saturating_add(back);
            }
        }
    }

    /// What cannot be set aside of these units.
    fn missing(&self, order: &str, warehouse: Option<&String>, units: &[Unit]) -> Vec<Unit> {
        let empty = self.short.contains(order) || warehouse.is_some_and(|w| self.empty.contains(w));
        let shelf = warehouse.and_then(|w| self.shelves.get(w));
        let lacking = |unit: &Unit| {
            if empty || self.lacks.contains(&unit.sku) {
                return Some(unit.clone());
            }
            let there = shelf?.get(&unit.sku).copied().unwrap_or_default().max(0);
            let quantity =
                u32::try_from(i64::from(unit.quantity).saturating_sub(there)).ok().filter(|n| *n > 0)?;
            Some(Unit { sku: unit.sku.clone(), quantity })
        };
        units.iter().filter_map(lacking).collect()
    }

    /// What the warehouses have of these units.
    fn seen(&self, units: &[Unit]) -> Vec<WarehouseStock> {
        let of = |(warehouse, shelf): (&String, &BTreeMap<String, i64>)| {
            let there = |sku: &String| {
                let held =
                    if self.lacks.contains(sku) { 0 } else { shelf.get(sku).copied().unwrap_or_default() };
                u32::try_from(held.max(0)).unwrap_or(u32::MAX)
            };
            let units = units.iter().map(|u| Unit { sku: u.sku.clone(), quantity: there(&u.sku) }).collect();
            WarehouseStock { warehouse: warehouse.clone(), units }
        };
        self.shelves.iter().map(of).collect()
    }
}

fn count(units: &[Unit]) -> u64 {
    units.iter().map(|u| u64::from(u.quantity)).sum()
}

#[async_trait]
impl InventoryAdapter for SandboxInventory {
    async fn stock(&self, ask: AskStock, _: &Ticket) -> Answer<AskStock> {
        let stock = lock(&self.books).seen(&ask.units);
        Reply::Done(StockSeen { stock }.into())
    }

    async fn restock(&self, restock: Restock, ticket: &Ticket) -> Answer<Restock> {
        match self.run("restock", ticket, 0, &restock.units, None) {
            Ok(()) => Reply::Done(Restocked.into()),
            Err(e) => Reply::NotSent(e.to_string()),
        }
    }

    async fn reserve(&self, reserve: Reserve, ticket: &Ticket) -> Answer<Reserve> {
        let (units, warehouse) = (reserve.units, reserve.warehouse.as_ref());
        {
            let b = lock(&self.books);
            let missing = b.missing(ticket.order.order.as_str(), warehouse, &units);
            // What was set aside under this key is set aside, whatever is left on the shelf.
            if !missing.is_empty() && !b.done.contains_key(ticket.key.as_str()) {
                return Reply::Done(Short { missing }.into());
            }
        }
        match self.run("reserve", ticket, reserve.asked, &units, warehouse) {
            Ok(()) => Reply::Done(InStock.into()),
            Err(e) => Reply::NotSent(e.to_string()),
        }
    }

    async fn unreserve(&self, back: Unreserve, ticket: &Ticket) -> Answer<Unreserve> {
        match self.run("unreserve", ticket, back.asked, &back.units, back.warehouse.as_ref()) {
            Ok(()) => Reply::Done(Unreserved.into()),
            Err(e) => Reply::NotSent(e.to_string()),
        }
    }

    async fn consume(&self, consume: Consume, ticket: &Ticket) -> Answer<Consume> {
        match self.run("consume", ticket, consume.asked, &consume.units, consume.warehouse.as_ref()) {
            Ok(()) => Reply::Done(Consumed.into()),
            Err(e) => Reply::NotSent(e.to_string()),
        }
    }
}

#[derive(Debug, Default)]
struct CarrierBooks {
    /// Carriers by the numbers of their labels.
    booked: BTreeMap<String, Option<String>>,
    cancelled: BTreeSet<String>,
    offers: Vec<Offer>,
    refusing: BTreeSet<String>,
    brings_back: bool,
}

/// Carriers with books of their own. They book under the key they are given, and say nothing of their own accord.
#[derive(Debug, Default)]
pub struct SandboxCarrier {
    books: Mutex<CarrierBooks>,
}

impl SandboxCarrier {
    /// How many labels were booked.
    #[must_use]
    pub fn labels(&self) -> usize {
        lock(&self.books).booked.len()
    }

    /// The labels that were booked and not cancelled, by carrier; those of nobody in particular as `-`.
    #[must_use]
    pub fn labels_of(&self) -> BTreeMap<String, usize> {
        let b = lock(&self.books);
        let mut all = BTreeMap::new();
        for (_, carrier) in b.booked.iter().filter(|(number, _)| !b.cancelled.contains(*number)) {
            let n: &mut usize = all.entry(carrier.clone().unwrap_or_else(|| "-".to_owned())).or_default();
            *n = n.saturating_add(1);
        }
        all
    }

    /// Adds an offer to those that every parcel gets.
    pub fn offer(&self, offer: Offer) {
        lock(&self.books).offers.push(offer);
    }

    /// Lets a carrier refuse to book what it offers.
    pub fn refuse_bookings(&self, carrier: &str) {
        lock(&self.books).refusing.insert(carrier.to_owned());
    }

    /// Whether parcels that are on their way are brought back when that is asked. At first they are not.
    pub fn bring_back(&self, yes: bool) {
        lock(&self.books).brings_back = yes;
    }
}

#[async_trait]
impl CarrierAdapter for SandboxCarrier {
    async fn book(&self, book: Book, ticket: &Ticket) -> Answer<Book> {
        let mut b = lock(&self.books);
        if book.carrier.as_ref().is_some_and(|carrier| b.refusing.contains(carrier)) {
            return Reply::Declined(BookingRefused { why: "no van is free".to_owned() });
        }
        let number: String = ticket.key.as_str().chars().take(12).collect();
        let tracking = format!("TRK-{number}");
        b.booked.insert(tracking.clone(), book.carrier);
        Reply::Done(Booked { tracking }.into())
    }

    async fn quote(&self, _: Quote, _: &Ticket) -> Answer<Quote> {
        Reply::Done(Quoted { offers: lock(&self.books).offers.clone() }.into())
    }

    async fn cancel(&self, cancel: CancelBooking, _: &Ticket) -> Answer<CancelBooking> {
        let mut b = lock(&self.books);
        if !b.booked.contains_key(&cancel.tracking) {
            return Reply::Declined(CancelRefused { why: "no such label".to_owned() });
        }
        b.cancelled.insert(cancel.tracking);
        Reply::Done(BookingCancelled.into())
    }

    async fn intercept(&self, _: BringBack, _: &Ticket) -> Answer<BringBack> {
        if lock(&self.books).brings_back {
            Reply::Done(Intercepted.into())
        } else {
            Reply::Declined(InterceptRefused { why: "it is on the last van".to_owned() })
        }
    }

    async fn track(&self, _: Track, _: &Ticket) -> Answer<Track> {
        Reply::Done(NoNews.into())
    }
}

/// A scorer that answers from a table, and with a default for everyone else. `None` never answers.
#[derive(Debug)]
pub struct SandboxScorer {
    default: Option<u8>,
    scores: Mutex<BTreeMap<String, u8>>,
}

impl SandboxScorer {
    /// Scores everyone the same.
    #[must_use]
    pub fn new(default: Option<u8>) -> Self {
        Self { default, scores: Mutex::default() }
    }

    /// Scores one order.
    pub fn score_order(&self, order: &str, score: u8) {
        lock(&self.scores).insert(order.to_owned(), score);
    }
}

#[async_trait]
impl RiskScorer for SandboxScorer {
    async fn score(&self, _: Score, ticket: &Ticket) -> Answer<Score> {
        let held = lock(&self.scores).get(ticket.order.order.as_str()).copied();
        match held.or(self.default) {
            Some(score) => Reply::Done(Scored::of(score).into()),
            None => Reply::Unknown("the scorer does not answer".to_owned()),
        }
    }
}

/// A notifier that keeps what it hears, and its own place in the feed.
#[derive(Debug, Default)]
pub struct SandboxNotifier {
    heard: Mutex<Vec<(u64, String)>>,
}

impl SandboxNotifier {
    /// Positions and orders, in the order in which they came.
    #[must_use]
    pub fn heard(&self) -> Vec<(u64, String)> {
        lock(&self.heard).clone()
    }
}

#[async_trait]
impl Notifier for SandboxNotifier {
    async fn last(&self) -> u64 {
        lock(&self.heard).last().map_or(0, |(at, _)| *at)
    }

    async fn notify(&self, notice: Notice) -> Result<(), String> {
        lock(&self.heard).push((notice.position, notice.order.to_string()));
        Ok(())
    }
}
