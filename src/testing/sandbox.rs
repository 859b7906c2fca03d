//! Sandboxes: adapters that keep books of their own, and fail as they are told to.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use super::faults::{FaultPlan, Refusal};
use super::ledger_file::LedgerFile;
use super::wire::{Operation, Wire};
use crate::clock::Timestamp;
use crate::engine::Delivery;
use crate::gateway::{CarrierAdapter, InventoryAdapter, Notice, Notifier, RiskScorer, Ticket};
use crate::id::Key;
use crate::machine::{Call, Effect, Reply};
use crate::stage::aftersales::{Restock, RestockRefused, Restocked, rma};
use crate::stage::dispatch::{
    AskStock, AskStockRefused, Book, Booked, BookingCancelled, BookingRefused, BringBack, CancelBooking,
    CancelRefused, Consume, ConsumeRefused, Consumed, InStock, InterceptRefused, Intercepted, NoNews, Offer,
    Quote, QuoteRefused, Quoted, Reserve, ReserveRefused, Short, StockSeen, Track, TrackRefused, Unit,
    Unreserve, UnreserveRefused, Unreserved, WarehouseStock, parcel,
};
use crate::stage::review::{Score, Scored};

pub(super) type Answer<X> = Reply<<X as Effect>::Done, <X as Effect>::Declined>;

pub(super) fn lock<T>(m: &Mutex<T>) -> MutexGuard<'_, T> {
    m.lock().unwrap_or_else(PoisonError::into_inner)
}

pub(super) fn euro() -> crate::money::Currency {
    "EUR".parse().expect("EUR is a currency")
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
    wire: Wire<StockBooks>,
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
        Ok(Self { wire: Wire::open("warehouse", books, path)? })
    }

    /// Lets an order find nothing in stock.
    pub fn tell_short(&self, order: &str) {
        self.wire.books().short.insert(order.to_owned());
    }

    /// Lets a SKU be out of stock everywhere.
    pub fn lacks(&self, sku: &str) {
        self.wire.books().lacks.insert(sku.to_owned());
    }

    /// Lets a SKU that was out of stock be there again.
    pub fn has_again(&self, sku: &str) {
        self.wire.books().lacks.remove(sku);
    }

    /// Puts units on the shelves of a warehouse, which has nothing else from then on but what is put there.
    pub fn fill(&self, warehouse: &str, sku: &str, quantity: u32) {
        let mut b = self.wire.books();
        let shelf = b.shelves.entry(warehouse.to_owned()).or_default().entry(sku.to_owned()).or_default();
        *shelf = shelf.saturating_add(i64::from(quantity));
    }

    /// Lets a warehouse answer short whenever it is asked to set something aside, whatever it says it has.
    pub fn tell_empty(&self, warehouse: &str) {
        self.wire.books().empty.insert(warehouse.to_owned());
    }

    /// Units on the shelves that were filled and that are not set aside: warehouse, SKU and how many, in this order.
    #[must_use]
    pub fn shelves(&self) -> Vec<(String, String, i64)> {
        let b = self.wire.books();
        let of = |(at, shelf): (&String, &BTreeMap<String, i64>)| -> Vec<(String, String, i64)> {
            shelf.iter().map(|(sku, n)| (at.clone(), sku.clone(), *n)).collect()
        };
        b.shelves.iter().flat_map(of).collect()
    }

    /// Units set aside again without having been given back, and taken out more than once: operations beyond one per
    /// parcel and reservation.
    #[must_use]
    pub fn duplicate_effects(&self) -> u64 {
        let b = self.wire.books();
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
        self.wire.books().done.values().filter(|l| l.op == "restock").map(|l| l.units).sum()
    }

    /// How many parcels hold a reservation that was neither consumed nor given back.
    #[must_use]
    pub fn reserved(&self) -> usize {
        let b = self.wire.books();
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

    /// Lets a warehouse that is in use fail as planned from now on: `stock`, `reserve`, `unreserve`, `consume`,
    /// `restock`. It is never slow, pending or lying; what is an error or a forgotten key elsewhere is an answer that
    /// is lost here.
    pub fn plan(&self, plan: FaultPlan) {
        self.wire.plan(plan);
    }

    /// How often each fault happened, by its name.
    #[must_use]
    pub fn faults(&self) -> BTreeMap<&'static str, u64> {
        self.wire.faults()
    }

    /// Carries out what was late until now, and hands out the messages that say something twice, each once.
    #[must_use]
    pub fn messages(&self, now: Timestamp) -> Vec<Delivery> {
        self.wire.messages(now)
    }

    /// When the next of what is late is carried out.
    #[must_use]
    pub fn next(&self) -> Option<Timestamp> {
        self.wire.next()
    }

    /// Carries an operation out under its key.
    fn run(
        &self,
        op: &'static str,
        ticket: &Ticket,
        asked: u32,
        what: Vec<Unit>,
        warehouse: Option<String>,
        said: impl FnOnce() -> Call,
    ) -> Result<(), Refusal> {
        let line = StockLine {
            op: op.to_owned(),
            key: ticket.key.to_string(),
            order: ticket.order.to_string(),
            parcel: ticket.instance,
            units: count(&what),
            asked,
            warehouse,
            what,
        };
        // A warehouse refuses nothing but to set aside, and that by saying what is short.
        let act = move |b: &mut StockBooks| b.write(line);
        self.wire.call(&Operation { ticket, name: op, so: op != "reserve" }, act, |()| Some(said()))
    }
}

impl StockBooks {
    /// Writes a line before anything is answered; the second one under a key changes nothing.
    fn write(&mut self, line: StockLine) -> io::Result<()> {
        if self.done.contains_key(&line.key) {
            return Ok(());
        }
        self.file.append(&line)?;
        self.enter(&line);
        Ok(())
    }

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
    async fn stock(&self, ask: AskStock, ticket: &Ticket) -> Answer<AskStock> {
        let act = move |b: &mut StockBooks| Ok(b.seen(&ask.units));
        let said = |stock: &Vec<WarehouseStock>| {
            Some(parcel::M::evidence(ticket.instance, StockSeen { stock: stock.clone() }))
        };
        match self.wire.call(&Operation { ticket, name: "stock", so: true }, act, said) {
            Ok(stock) => Reply::Done(StockSeen { stock }.into()),
            Err(other) => other.reply(AskStockRefused { why: "not told".to_owned() }),
        }
    }

    async fn restock(&self, restock: Restock, ticket: &Ticket) -> Answer<Restock> {
        let said = || rma::M::evidence(ticket.instance, Restocked);
        match self.run("restock", ticket, 0, restock.units, None, said) {
            Ok(()) => Reply::Done(Restocked.into()),
            Err(other) => other.reply(RestockRefused { why: "not taken".to_owned() }),
        }
    }

    async fn reserve(&self, reserve: Reserve, ticket: &Ticket) -> Answer<Reserve> {
        let line = StockLine {
            op: "reserve".to_owned(),
            key: ticket.key.to_string(),
            order: ticket.order.to_string(),
            parcel: ticket.instance,
            units: count(&reserve.units),
            asked: reserve.asked,
            warehouse: reserve.warehouse,
            what: reserve.units,
        };
        let so = self.wire.books().done.contains_key(ticket.key.as_str());
        let id = ticket.order.order.to_string();
        let act = move |b: &mut StockBooks| {
            let missing = b.missing(&id, line.warehouse.as_ref(), &line.what);
            // What was set aside under this key is set aside, whatever is left on the shelf.
            if !missing.is_empty() && !b.done.contains_key(&line.key) {
                return Ok(missing);
            }
            b.write(line)?;
            Ok(Vec::new())
        };
        let said = |missing: &Vec<Unit>| {
            Some(if missing.is_empty() {
                parcel::M::evidence(ticket.instance, InStock)
            } else {
                parcel::M::evidence(ticket.instance, Short { missing: missing.clone() })
            })
        };
        match self.wire.call(&Operation { ticket, name: "reserve", so }, act, said) {
            Ok(missing) if missing.is_empty() => Reply::Done(InStock.into()),
            Ok(missing) => Reply::Done(Short { missing }.into()),
            Err(other) => other.reply(ReserveRefused { why: "not taken".to_owned() }),
        }
    }

    async fn unreserve(&self, back: Unreserve, ticket: &Ticket) -> Answer<Unreserve> {
        let said = || parcel::M::evidence(ticket.instance, Unreserved);
        match self.run("unreserve", ticket, back.asked, back.units, back.warehouse, said) {
            Ok(()) => Reply::Done(Unreserved.into()),
            Err(other) => other.reply(UnreserveRefused { why: "not taken".to_owned() }),
        }
    }

    async fn consume(&self, consume: Consume, ticket: &Ticket) -> Answer<Consume> {
        let said = || parcel::M::evidence(ticket.instance, Consumed);
        match self.run("consume", ticket, consume.asked, consume.units, consume.warehouse, said) {
            Ok(()) => Reply::Done(Consumed.into()),
            Err(other) => other.reply(ConsumeRefused { why: "not taken".to_owned() }),
        }
    }
}

/// A line of the carriers' books.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "op")]
enum LabelLine {
    Book {
        tracking: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        carrier: Option<String>,
    },
    Cancel {
        tracking: String,
    },
    TurnBack {
        parcel: String,
    },
}

#[derive(Debug, Default)]
struct CarrierBooks {
    file: LedgerFile,
    /// Carriers by the numbers of their labels.
    booked: BTreeMap<String, Option<String>>,
    cancelled: BTreeSet<String>,
    offers: Vec<Offer>,
    refusing: BTreeSet<String>,
    brings_back: bool,
    /// Whether labels have numbers as large carriers give them, and how many have.
    numbers: bool,
    numbered: u64,
    /// Parcels that are wanted back, by order and instance.
    turned: BTreeSet<String>,
}

/// Carriers with books of their own. They book under the key they are given, and say nothing of their own accord.
#[derive(Debug)]
pub struct SandboxCarrier {
    wire: Wire<CarrierBooks>,
}

impl Default for SandboxCarrier {
    fn default() -> Self {
        Self { wire: Wire::new("carriers", CarrierBooks::default()) }
    }
}

impl CarrierBooks {
    /// Writes a line before anything is answered; what is so already changes nothing.
    fn write(&mut self, line: LabelLine) -> io::Result<()> {
        let known = match &line {
            LabelLine::Book { tracking, .. } => self.booked.contains_key(tracking),
            LabelLine::Cancel { tracking } => self.cancelled.contains(tracking),
            LabelLine::TurnBack { parcel } => self.turned.contains(parcel),
        };
        if known {
            return Ok(());
        }
        self.file.append(&line)?;
        self.enter(line);
        Ok(())
    }

    fn enter(&mut self, line: LabelLine) {
        match line {
            LabelLine::Book { tracking, carrier } => drop(self.booked.insert(tracking, carrier)),
            LabelLine::Cancel { tracking } => drop(self.cancelled.insert(tracking)),
            LabelLine::TurnBack { parcel } => drop(self.turned.insert(parcel)),
        }
    }
}

impl SandboxCarrier {
    /// Carriers; their books are in a file where a path is given, and in memory otherwise.
    ///
    /// # Errors
    ///
    /// When the file cannot be read or holds something else.
    pub fn open(path: Option<&Path>) -> io::Result<Self> {
        let (file, lines) = LedgerFile::open::<LabelLine>(path)?;
        let mut books = CarrierBooks { file, ..CarrierBooks::default() };
        for line in lines {
            books.enter(line);
        }
        Ok(Self { wire: Wire::open("carriers", books, path)? })
    }

    /// How many labels were booked.
    #[must_use]
    pub fn labels(&self) -> usize {
        self.wire.books().booked.len()
    }

    /// The labels that were booked and not cancelled, by carrier; those of nobody in particular as `-`.
    #[must_use]
    pub fn labels_of(&self) -> BTreeMap<String, usize> {
        let b = self.wire.books();
        let mut all = BTreeMap::new();
        for (_, carrier) in b.booked.iter().filter(|(number, _)| !b.cancelled.contains(*number)) {
            let n: &mut usize = all.entry(carrier.clone().unwrap_or_else(|| "-".to_owned())).or_default();
            *n = n.saturating_add(1);
        }
        all
    }

    /// Lets carriers that are in use fail as planned from now on: `book`, `quote`, `cancel`, `intercept`, `track`. They
    /// are never slow, pending or lying; what is an error or a forgotten key elsewhere is an answer that is lost here.
    pub fn plan(&self, plan: FaultPlan) {
        self.wire.plan(plan);
    }

    /// How often each fault happened, by its name.
    #[must_use]
    pub fn faults(&self) -> BTreeMap<&'static str, u64> {
        self.wire.faults()
    }

    /// Carries out what was late until now, and hands out the messages that say something twice, each once.
    #[must_use]
    pub fn messages(&self, now: Timestamp) -> Vec<Delivery> {
        self.wire.messages(now)
    }

    /// When the next of what is late is carried out.
    #[must_use]
    pub fn next(&self) -> Option<Timestamp> {
        self.wire.next()
    }

    /// Adds an offer to those that every parcel gets.
    pub fn offer(&self, offer: Offer) {
        self.wire.books().offers.push(offer);
    }

    /// Lets a carrier refuse to book what it offers.
    pub fn refuse_bookings(&self, carrier: &str) {
        self.wire.books().refusing.insert(carrier.to_owned());
    }

    /// Lets labels have numbers as large carriers give them: a code and thirteen digits, of an instant.
    pub fn number_labels(&self) {
        self.wire.books().numbers = true;
    }

    /// How many labels have such numbers.
    #[must_use]
    pub fn numbered(&self) -> u64 {
        self.wire.books().numbered
    }

    /// Whether parcels that are on their way are brought back when that is asked. At first they are not.
    pub fn bring_back(&self, yes: bool) {
        self.wire.books().brings_back = yes;
    }
}

#[async_trait]
impl CarrierAdapter for SandboxCarrier {
    async fn book(&self, book: Book, ticket: &Ticket) -> Answer<Book> {
        let number: String = ticket.key.as_str().chars().take(12).collect();
        let tracking = if self.wire.books().numbers {
            let digits = super::payments::long_number(&number);
            format!("JD-17{}", digits.chars().take(11).collect::<String>())
        } else {
            format!("TRK-{number}")
        };
        let so = self.wire.books().booked.contains_key(&tracking);
        let label = tracking.clone();
        let act = move |b: &mut CarrierBooks| {
            let refuses = book.carrier.as_ref().is_some_and(|carrier| b.refusing.contains(carrier));
            if !refuses {
                b.numbered = b.numbered.saturating_add(u64::from(b.numbers));
                b.write(LabelLine::Book { tracking: label, carrier: book.carrier })?;
            }
            Ok(!refuses)
        };
        let said = |booked: &bool| {
            booked.then(|| parcel::M::evidence(ticket.instance, Booked { tracking: tracking.clone() }))
        };
        let no = |why: &str| BookingRefused { why: why.to_owned() };
        match self.wire.call(&Operation { ticket, name: "book", so }, act, said) {
            Ok(true) => Reply::Done(Booked { tracking }.into()),
            Ok(false) => Reply::Declined(no("no van is free")),
            Err(other) => other.reply(no("not taken")),
        }
    }

    async fn quote(&self, _: Quote, ticket: &Ticket) -> Answer<Quote> {
        let said = |offers: &Vec<Offer>| {
            Some(parcel::M::evidence(ticket.instance, Quoted { offers: offers.clone() }))
        };
        let act = |b: &mut CarrierBooks| Ok(b.offers.clone());
        match self.wire.call(&Operation { ticket, name: "quote", so: true }, act, said) {
            Ok(offers) => Reply::Done(Quoted { offers }.into()),
            Err(other) => other.reply(QuoteRefused { why: "not told".to_owned() }),
        }
    }

    async fn cancel(&self, cancel: CancelBooking, ticket: &Ticket) -> Answer<CancelBooking> {
        let so = self.wire.books().cancelled.contains(&cancel.tracking);
        let act = move |b: &mut CarrierBooks| {
            let known = b.booked.contains_key(&cancel.tracking);
            if known {
                b.write(LabelLine::Cancel { tracking: cancel.tracking })?;
            }
            Ok(known)
        };
        let said = |known: &bool| known.then(|| parcel::M::evidence(ticket.instance, BookingCancelled));
        let no = |why: &str| CancelRefused { why: why.to_owned() };
        match self.wire.call(&Operation { ticket, name: "cancel", so }, act, said) {
            Ok(true) => Reply::Done(BookingCancelled.into()),
            Ok(false) => Reply::Declined(no("no such label")),
            Err(other) => other.reply(no("not taken")),
        }
    }

    async fn intercept(&self, _: BringBack, ticket: &Ticket) -> Answer<BringBack> {
        let at = ticket.order.to_string() + "#" + &ticket.instance.to_string();
        let so = self.wire.books().turned.contains(&at);
        let act = move |b: &mut CarrierBooks| {
            if b.brings_back {
                b.write(LabelLine::TurnBack { parcel: at })?;
            }
            Ok(b.brings_back)
        };
        let said = |turned: &bool| turned.then(|| parcel::M::evidence(ticket.instance, Intercepted));
        let no = |why: &str| InterceptRefused { why: why.to_owned() };
        match self.wire.call(&Operation { ticket, name: "intercept", so }, act, said) {
            Ok(true) => Reply::Done(Intercepted.into()),
            Ok(false) => Reply::Declined(no("it is on the last van")),
            Err(other) => other.reply(no("not taken")),
        }
    }

    async fn track(&self, _: Track, ticket: &Ticket) -> Answer<Track> {
        let said = |(): &()| Some(parcel::M::evidence(ticket.instance, NoNews));
        match self.wire.call(&Operation { ticket, name: "track", so: true }, |_| Ok(()), said) {
            Ok(()) => Reply::Done(NoNews.into()),
            Err(other) => other.reply(TrackRefused { why: "not told".to_owned() }),
        }
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
