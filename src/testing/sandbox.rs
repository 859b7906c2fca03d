//! Sandboxes: adapters that keep books of their own, and fail as they are told to.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use super::ledger_file::LedgerFile;
use crate::gateway::{CarrierAdapter, InventoryAdapter, Notice, Notifier, RiskScorer, Ticket};
use crate::id::Key;
use crate::machine::{Effect, Reply};
use crate::stage::aftersales::{Restock, Restocked};
use crate::stage::dispatch::{
    AskStock, Book, Booked, BookingCancelled, BookingRefused, BringBack, CancelBooking, CancelRefused,
    Consume, Consumed, InStock, InterceptRefused, Intercepted, NoNews, Offer, Quote, Quoted, Reserve, Short,
    StockSeen, Track, Unit, Unreserve, Unreserved, WarehouseStock,
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
