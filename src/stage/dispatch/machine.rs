//! One parcel.

use serde::{Deserialize, Serialize};

use super::policy::{DispatchPolicy, EarnPolicy, OnShortage, Packing, ReserveWhen};
use crate::clock::Timestamp;
use crate::id::Key;
use crate::ledger::{P7, P8};
use crate::machine::{
    Answer, AskedBy, Cx, Deadline, Decide, EmittedBy, Evidence, Fold, Goto, Life, Next, On, Opens, PostedBy,
    Row, View, refuse, stay, to, until,
};
use crate::stage::proof::{
    Approved, Cancelling, Collected, Funded, Goods, Served, TakesBack, ToDispatch, Wanted,
};
use crate::stage::{data, guesses, plain, quiet, shared};

crate::machine! {
    /// One parcel of goods (section 2.5 of the order domain).
    ///
    /// Ranks: 0 stock was asked for, 1 the warehouse answered, 2 the carrier has it, 3 delivered, 4 on its way back,
    /// 5 back.
    pub mod parcel = "dispatch.parcel" v 2;
    policy DispatchPolicy;
    needs Funded, Approved<ToDispatch>;
    hears Collected, Cancelling, TakesBack, Wanted;
    yields Served<Goods>;
    effects {
        Reserve (repeat)   => done InStock | Short, declined ReserveRefused, unknown StockLost, exhausted StockGaveUp;
        Unreserve (repeat) => done Unreserved, declined UnreserveRefused, unknown StockLost, exhausted StockGaveUp;
        Consume (repeat)   => done Consumed, declined ConsumeRefused, unknown StockLost, exhausted StockGaveUp;
        Book (repeat)      => done Booked, declined BookingRefused, unknown BookLost, exhausted BookGaveUp;
        Track (read)       => done Moving | DeliveredTo | TurnedBack | CameBack | Mislaid | NoNews,
                              declined TrackRefused, unknown BookLost, exhausted BookGaveUp;
    }
    asks { NeedsCapture, CannotFill }
    opens { Ordered, GatesOpen }
    inputs {
        command Pack, HandOver, Hold, Unhold, ConfirmStop;
        outcome StockLost @0, StockGaveUp @0, BookLost @0, BookGaveUp @0, Booked @0, BookingRefused @0,
                Consumed @0, ConsumeRefused @0, Unreserved @0, UnreserveRefused @0, NoNews @0, TrackRefused @0,
                InStock @1, Short @1, ReserveRefused @1,
                Accepted @2, Moving @2, Mislaid @2, DeliveredTo @3, TurnedBack @4, CameBack @5;
        timer   PlanDue, AnswerDue, RestockDue, ReserveDue, PackDue, SilentDue, ReturnDue;
        signal  Ordered (on granted Wanted), GatesOpen (on granted), GatesShut (on withdrawn),
                Stop (on granted Cancelling), Recall (on granted TakesBack);
    }
    states {
        Planned: wait(PlanDue) @1,
        Reserving: busy(AnswerDue) @0,
        Backordered: wait(RestockDue) @1,
        Reserved: wait(ReserveDue) @1,
        OnHold: wait(PackDue) @1,
        Released: wait(PackDue) @1,
        ReadyToHandOver: wait(PackDue) @1,
        CancelRequested: wait(PackDue) @1,
        Unreserving: busy(AnswerDue) @1,
        Cancelled: fail @1,
        HandedOver: wait(SilentDue) @2,
        Lost: fail @2,
        Delivered: done @3,
        Returning: wait(ReturnDue) @4,
        ReturnedToSender: done @5,
    }
    groups {
        Shelved   = Reserved | OnHold | Released;
        Gated     = Released | ReadyToHandOver;
        Holdable  = Reserved | Backordered | Released;
        Leaving   = ReadyToHandOver | CancelRequested;
        Before    = Planned | Reserving | Backordered | Reserved | OnHold | Released | Unreserving;
        Out       = HandedOver | Lost | Delivered;
        Travelling = HandedOver | Returning;
        AfterStop = CancelRequested | Unreserving | Cancelled | HandedOver | Lost | Delivered | Returning
                  | ReturnedToSender;
        NotOut    = Planned | Reserving | Backordered | Reserved | OnHold | Released | ReadyToHandOver
                  | CancelRequested | Unreserving | Cancelled | Lost | Returning | ReturnedToSender;
        AllOpen   = Planned | Reserving | Backordered | Reserved | OnHold | Released | ReadyToHandOver
                  | CancelRequested | Unreserving | Cancelled | HandedOver | Lost | Delivered | Returning
                  | ReturnedToSender;
        Unmoved   = Reserving | Backordered | OnHold | Released | ReadyToHandOver | CancelRequested | Unreserving
                  | Cancelled | HandedOver | Lost | Delivered | Returning | ReturnedToSender;
        Ungated   = Planned | Reserving | Backordered | Reserved | OnHold | CancelRequested | Unreserving
                  | Cancelled | HandedOver | Lost | Delivered | Returning | ReturnedToSender;
    }
    rows {
        New             + Ordered          => Reserving / Reserve;
        New             + GatesOpen        => Reserving / Reserve;
        Planned         + GatesOpen        => Reserving / Reserve;
        Planned         + PlanDue          => Planned | Reserving / Reserve;
        Planned         + Stop             => Cancelled;
        Reserving       + InStock          => Reserved | Released | ReadyToHandOver / Book ? NeedsCapture;
        Reserving       + Short            => Backordered ? CannotFill;
        Reserving       + ReserveRefused   => Backordered ? CannotFill;
        Reserving       + AnswerDue        => Reserving / Reserve;
        Reserving       + Stop             => Unreserving / Unreserve;
        Backordered     + RestockDue       => Reserving / Reserve;
        Backordered     + Stop             => Cancelled;
        Reserved        + GatesOpen        => Released | ReadyToHandOver / Book ? NeedsCapture;
        Reserved        + ReserveDue       => Reserved | Unreserving / Unreserve;
        Gated           + GatesShut        => Reserved;
        Holdable        + Hold             => OnHold;
        OnHold          + Hold             => OnHold;
        OnHold          + Unhold           => OnHold | Reserved | Released | Backordered;
        OnHold          + PackDue          => OnHold;
        Released        + Pack             => ReadyToHandOver / Book ? NeedsCapture;
        Released        + PackDue          => Released;
        ReadyToHandOver + Booked           => ReadyToHandOver;
        ReadyToHandOver + BookingRefused   => ReadyToHandOver;
        ReadyToHandOver + PackDue          => ReadyToHandOver ? NeedsCapture;
        ReadyToHandOver + HandOver [Collected, Approved<ToDispatch>] => HandedOver / Consume ! P7;
        Leaving         + Accepted         => HandedOver | Returning / Consume ! P7;
        Shelved         + Stop             => Unreserving / Unreserve;
        ReadyToHandOver + Stop             => CancelRequested | Unreserving / Unreserve;
        CancelRequested + ConfirmStop      => Unreserving / Unreserve;
        CancelRequested + PackDue          => CancelRequested;
        Unreserving     + Unreserved       => Cancelled | Planned;
        Unreserving     + UnreserveRefused => Cancelled | Planned;
        Unreserving     + AnswerDue        => Unreserving / Unreserve;
        HandedOver      + Consumed         => HandedOver;
        HandedOver      + ConsumeRefused   => HandedOver;
        HandedOver      + Moving           => HandedOver;
        HandedOver      + SilentDue        => HandedOver | Lost / Track ! P8;
        HandedOver      + DeliveredTo      => Delivered ! P7;
        HandedOver      + Recall           => Returning;
        Travelling      + Mislaid          => Lost ! P8;
        Lost            + DeliveredTo      => Delivered ! P7;
        Delivered       + Recall           => Returning;
        Out             + TurnedBack       => Returning;
        Out             + CameBack         => ReturnedToSender ! P8;
        Returning       + CameBack         => ReturnedToSender ! P8;
        Returning       + ReturnDue        => Returning / Track;
    }
    ignore {
        AllOpen + Ordered; Unmoved + GatesOpen; Ungated + GatesShut;
        AfterStop + Stop; NotOut + Recall;
    }
    defer {
        Before + Accepted | Moving | Mislaid | DeliveredTo | TurnedBack | CameBack;
        Leaving + Moving | Mislaid | DeliveredTo | TurnedBack | CameBack;
    }
    alarm {
        Cancelled + Accepted | Moving | Mislaid | DeliveredTo | TurnedBack | CameBack;
    }
}

/// What a parcel is, and what happened to it; kept from state to state.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Trip {
    /// Its share of the order's total, in minor units.
    pub share_minor: i64,
    /// How often stock was asked for: each time is an operation of its own.
    #[serde(default)]
    pub asked: u32,
    /// The carrier's number, once it is booked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tracking: Option<String>,
    /// When the carrier took it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub handed_over_at: Option<Timestamp>,
    /// When the customer had it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delivered_at: Option<Timestamp>,
    /// The newest scan, by the time it names.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scan: Option<Scan>,
    /// Minor units earned with it.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub earned_minor: i64,
    /// Whether its units have left the stock for good.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub consumed: bool,
}

#[allow(clippy::trivially_copy_pass_by_ref)] // the shape serde asks for
fn is_zero(n: &i64) -> bool {
    *n == 0
}

/// A scan of the carrier.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Scan {
    /// What it said.
    pub status: Tracking,
    /// When it happened.
    pub at: Timestamp,
}

/// What carriers say of a parcel on its way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Tracking {
    /// Announced, not taken yet.
    PreTransit,
    /// Moving.
    InTransit,
    /// On the last van.
    OutForDelivery,
    /// Waits to be fetched.
    AvailableForPickup,
    /// Nobody was there.
    AttemptFailed,
    /// Something is wrong.
    Exception,
    /// A code of the carrier that maps to none of these.
    Other(String),
}

/// Who took a delivered parcel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Receiver {
    /// The customer.
    Customer,
    /// Somebody else.
    Proxy,
    /// A locker or a station.
    Locker,
}

/// Units to reserve, consume or release.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unit {
    /// What.
    pub sku: String,
    /// How many.
    pub quantity: u32,
}

data! {
    /// Allocated, nothing reserved.
    Planned { /** What happened to it. */ trip: Trip }
    /// Stock was asked for.
    Reserving { /** What happened to it. */ trip: Trip }
    /// Not in stock.
    Backordered { /** What happened to it. */ trip: Trip }
    /// In stock and set aside.
    Reserved { /** What happened to it. */ trip: Trip }
    /// Held by people; every reason must clear.
    OnHold {
        /** What happened to it. */ trip: Trip,
        /** Why. */ reasons: Vec<String>,
        /** Whether stock is set aside. */ stocked: bool,
    }
    /// Paid, reviewed, and to be packed.
    Released { /** What happened to it. */ trip: Trip }
    /// Packed. It leaves when the money is collected.
    ReadyToHandOver { /** What happened to it. */ trip: Trip }
    /// Packed, and to be stopped if the warehouse still can.
    CancelRequested { /** What happened to it. */ trip: Trip }
    /// Its stock is being given back.
    Unreserving { /** What happened to it. */ trip: Trip, /** Whether it is planned again after that. */ again: bool }
    /// Will not leave.
    Cancelled { /** What happened to it. */ trip: Trip }
    /// The carrier has it.
    HandedOver { /** What happened to it. */ trip: Trip, /** Whether it was silent once already. */ silent: bool }
    /// The carrier lost it.
    Lost { /** What happened to it. */ trip: Trip }
    /// The customer has it.
    Delivered { /** What happened to it. */ trip: Trip, /** Who took it. */ by: Receiver }
    /// On its way back.
    Returning { /** What happened to it. */ trip: Trip }
    /// Back.
    ReturnedToSender { /** What happened to it. */ trip: Trip }

    /// Holds a parcel. Holds stack.
    Hold { /** Why. */ reason: String }
    /// Takes one hold away.
    Unhold { /** Which. */ reason: String }

    /// Sets units aside.
    Reserve { /** What. */ units: Vec<Unit> }
    /// Gives units back.
    Unreserve {
        /** What. */ units: Vec<Unit>,
        /** Which reservation: the number of times stock had been asked for. */ asked: u32,
    }
    /// Takes units out of the stock for good.
    Consume { /** What. */ units: Vec<Unit>, /** Which reservation. */ asked: u32 }
    /// Books a label.
    Book { /** What is in it. */ units: Vec<Unit> }
    /// Asks the carrier where it is.
    Track { /** The carrier's number. */ tracking: Option<String> }

    /// Not in stock.
    Short { /** What is missing. */ missing: Vec<Unit> }
    /// The warehouse refuses.
    ReserveRefused { /** Why. */ why: String }
    /// The warehouse refuses to take units back.
    UnreserveRefused { /** Why. */ why: String }
    /// The warehouse refuses to take units out.
    ConsumeRefused { /** Why. */ why: String }
    /// The answer was lost.
    StockLost { /** Why. */ why: String }
    /// The calls are used up.
    StockGaveUp { /** Whether any may have arrived. */ sent: bool, /** Why. */ why: String }
    /// Booked.
    Booked { /** The carrier's number. */ tracking: String }
    /// The carrier refuses.
    BookingRefused { /** Why. */ why: String }
    /// The answer was lost.
    BookLost { /** Why. */ why: String }
    /// The calls are used up.
    BookGaveUp { /** Whether any may have arrived. */ sent: bool, /** Why. */ why: String }
    /// The carrier does not answer for it.
    TrackRefused { /** Why. */ why: String }
    /// A scan on the way.
    Moving {
        /** What it said. */ status: Tracking,
        /** What tells it apart from another: the carrier's code and place. */ scan: String,
    }
    /// Delivered.
    DeliveredTo { /** To whom. */ by: Receiver }

    /// Wants the money captured before it leaves.
    NeedsCapture { /** The parcel. */ parcel: Key }
    /// Cannot leave.
    CannotFill { /** The parcel. */ parcel: Key, /** Why. */ why: String }
}

plain! {
    /// Packed.
    Pack,
    /// Handed to the carrier, says the warehouse.
    HandOver,
    /// The warehouse stopped it.
    ConfirmStop,
    /// Set aside.
    InStock,
    /// Given back.
    Unreserved,
    /// Taken out for good.
    Consumed,
    /// The carrier took it.
    Accepted,
    /// The carrier has nothing new.
    NoNews,
    /// Refused, undeliverable, or called back: on its way back.
    TurnedBack,
    /// Back at the sender.
    CameBack,
    /// Lost, says the carrier.
    Mislaid,
    /// Time to look at the plan again.
    PlanDue,
    /// The answer should be here.
    AnswerDue,
    /// Time to ask for stock again.
    RestockDue,
    /// The reservation runs out.
    ReserveDue,
    /// It should have left.
    PackDue,
    /// Nothing was heard for too long.
    SilentDue,
    /// It should be back.
    ReturnDue,
    /// The order is placed and wanted.
    Ordered,
    /// Paid and reviewed.
    GatesOpen,
    /// Not paid or not reviewed any more.
    GatesShut,
    /// The order is on its way out.
    Stop,
    /// Goods that are out are to come back.
    Recall,
}

quiet!(
    StockLost,
    StockGaveUp,
    BookLost,
    BookGaveUp,
    Booked,
    BookingRefused,
    Consumed,
    ConsumeRefused,
    Unreserved,
    UnreserveRefused,
    NoNews,
    TrackRefused,
    InStock,
    Short,
    ReserveRefused,
    Accepted,
    Mislaid,
    DeliveredTo,
    TurnedBack,
    CameBack
);
guesses!(StockLost, BookLost; StockGaveUp, BookGaveUp);
impl Evidence for Moving {
    fn identity(&self) -> Option<String> {
        Some(format!("scan {}", self.scan))
    }
}

use parcel::{Gated, Holdable, Leaving, M, New, Out, Shelved, State, Travelling};

shared!(Gated.trip: Trip = Released | ReadyToHandOver);
shared!(Holdable.trip: Trip = Reserved | Backordered | Released);
shared!(Leaving.trip: Trip = ReadyToHandOver | CancelRequested);
shared!(Shelved.trip: Trip = Reserved | OnHold | Released);
shared!(Out.trip: Trip = HandedOver | Lost | Delivered);
shared!(Travelling.trip: Trip = HandedOver | Returning);

fn units<R: Row<M = M>>(cx: &Cx<'_, R>) -> Vec<Unit> {
    let order = cx.order();
    let parcels = order.parcels();
    let lines = parcels.iter().find(|p| p.key == cx.key()).map(|p| p.lines.as_slice());
    lines
        .unwrap_or_default()
        .iter()
        .filter_map(|at| order.lines().get(*at))
        .map(|l| Unit { sku: l.sku.clone(), quantity: l.quantity })
        .collect()
}

fn keys(view: &View<'_, M>, when: ReserveWhen) -> Vec<Key> {
    if view.policy.reserve != when || !view.is_empty() {
        return Vec::new();
    }
    view.world.order.parcels().iter().map(|p| p.key).collect()
}
impl Opens<Ordered, M> for New {
    fn keys(view: &View<'_, M>) -> Vec<Key> {
        keys(view, ReserveWhen::Placed)
    }
}
impl Opens<GatesOpen, M> for New {
    fn keys(view: &View<'_, M>) -> Vec<Key> {
        keys(view, ReserveWhen::GatesOpen)
    }
}

fn reserve<R: Goto<Reserving> + Row<M = M>>(trip: &Trip, cx: &mut Cx<'_, R>) -> Next<R>
where
    Reserve: EmittedBy<R>,
{
    let asked = trip.asked.saturating_add(1);
    let units = units(cx);
    cx.want_nth(asked, Reserve { units });
    let at = cx.after_ms(cx.policy().answer_ms);
    until(at, Reserving { trip: Trip { asked, ..trip.clone() } })
}
fn open<R: Goto<Reserving> + Row<M = M>>(cx: &mut Cx<'_, R>) -> Next<R>
where
    Reserve: EmittedBy<R>,
{
    let parcels = cx.order().parcels();
    let share = parcels.iter().find(|p| p.key == cx.key()).map_or(0, |p| p.share_minor);
    reserve(&Trip { share_minor: share, ..Trip::default() }, cx)
}
impl On<Ordered> for New {
    fn on(&self, _: &Ordered, cx: &mut Cx<'_, Self::R>) -> Next<Self::R> {
        open(cx)
    }
}
impl On<GatesOpen> for New {
    fn on(&self, _: &GatesOpen, cx: &mut Cx<'_, Self::R>) -> Next<Self::R> {
        open(cx)
    }
}
impl On<GatesOpen> for Planned {
    fn on(&self, _: &GatesOpen, cx: &mut Cx<'_, Self::R>) -> Next<Self::R> {
        reserve(&self.trip, cx)
    }
}
impl On<PlanDue> for Planned {
    fn on(&self, _: &PlanDue, cx: &mut Cx<'_, Self::R>) -> Next<Self::R> {
        if cx.gates_open() && cx.life() == Life::Placed {
            reserve(&self.trip, cx)
        } else {
            until(cx.after_ms(cx.policy().restock_ms), self.clone())
        }
    }
}
impl On<Stop> for Planned {
    fn on(&self, _: &Stop, _: &mut Cx<'_, Self::R>) -> Next<Self::R> {
        to(Cancelled { trip: self.trip.clone() })
    }
}

/// Packed: books the label, and asks for the money where it is not collected yet.
fn ready<R: Goto<ReadyToHandOver> + Row<M = M>>(trip: &Trip, cx: &mut Cx<'_, R>) -> Next<R>
where
    Book: EmittedBy<R>,
    NeedsCapture: AskedBy<R>,
{
    if cx.policy().book && trip.tracking.is_none() {
        let units = units(cx);
        cx.want(Book { units });
    }
    if cx.seen::<Collected>().is_none() {
        cx.ask(NeedsCapture { parcel: cx.key() });
    }
    until(cx.after_ms(cx.policy().pack_ms), ReadyToHandOver { trip: trip.clone() })
}
fn release<R>(trip: &Trip, cx: &mut Cx<'_, R>) -> Next<R>
where
    R: Goto<Released> + Goto<ReadyToHandOver> + Row<M = M>,
    Book: EmittedBy<R>,
    NeedsCapture: AskedBy<R>,
{
    match cx.policy().packing {
        Packing::Automatic => ready(trip, cx),
        Packing::ByWarehouse => until(cx.after_ms(cx.policy().pack_ms), Released { trip: trip.clone() }),
    }
}
fn shelve<R: Goto<Reserved> + Row<M = M>>(trip: &Trip, cx: &Cx<'_, R>) -> Next<R> {
    until(cx.after_ms(cx.policy().reserve_ms), Reserved { trip: trip.clone() })
}
impl On<InStock> for Reserving {
    fn on(&self, _: &InStock, cx: &mut Cx<'_, Self::R>) -> Next<Self::R> {
        if cx.gates_open() { release(&self.trip, cx) } else { shelve(&self.trip, cx) }
    }
}

fn short<R: Goto<Backordered> + Row<M = M>>(trip: &Trip, why: String, cx: &mut Cx<'_, R>) -> Next<R>
where
    CannotFill: AskedBy<R>,
{
    match cx.policy().shortage {
        OnShortage::Cancel => cx.ask(CannotFill { parcel: cx.key(), why }),
        OnShortage::Wait => {}
    }
    until(cx.after_ms(cx.policy().restock_ms), Backordered { trip: trip.clone() })
}
impl On<Short> for Reserving {
    fn on(&self, e: &Short, cx: &mut Cx<'_, Self::R>) -> Next<Self::R> {
        let skus: Vec<&str> = e.missing.iter().map(|u| u.sku.as_str()).collect();
        short(&self.trip, format!("out of stock: {}", skus.join(", ")), cx)
    }
}
impl On<ReserveRefused> for Reserving {
    fn on(&self, e: &ReserveRefused, cx: &mut Cx<'_, Self::R>) -> Next<Self::R> {
        short(&self.trip, e.why.clone(), cx)
    }
}
impl On<AnswerDue> for Reserving {
    fn on(&self, _: &AnswerDue, cx: &mut Cx<'_, Self::R>) -> Next<Self::R> {
        let units = units(cx);
        cx.want_nth(self.trip.asked, Reserve { units });
        until(cx.after_ms(cx.policy().answer_ms), self.clone())
    }
}

fn unreserve<R: Goto<Unreserving> + Row<M = M>>(trip: &Trip, again: bool, cx: &mut Cx<'_, R>) -> Next<R>
where
    Unreserve: EmittedBy<R>,
{
    let units = units(cx);
    cx.want_nth(trip.asked, Unreserve { units, asked: trip.asked });
    let at = cx.after_ms(cx.policy().answer_ms);
    until(at, Unreserving { trip: trip.clone(), again })
}
impl On<Stop> for Reserving {
    fn on(&self, _: &Stop, cx: &mut Cx<'_, Self::R>) -> Next<Self::R> {
        unreserve(&self.trip, false, cx)
    }
}
impl On<RestockDue> for Backordered {
    fn on(&self, _: &RestockDue, cx: &mut Cx<'_, Self::R>) -> Next<Self::R> {
        reserve(&self.trip, cx)
    }
}
impl On<Stop> for Backordered {
    fn on(&self, _: &Stop, _: &mut Cx<'_, Self::R>) -> Next<Self::R> {
        to(Cancelled { trip: self.trip.clone() })
    }
}
impl On<GatesOpen> for Reserved {
    fn on(&self, _: &GatesOpen, cx: &mut Cx<'_, Self::R>) -> Next<Self::R> {
        release(&self.trip, cx)
    }
}
impl On<ReserveDue> for Reserved {
    fn on(&self, _: &ReserveDue, cx: &mut Cx<'_, Self::R>) -> Next<Self::R> {
        // A customer may be paying at this moment: stock goes back only when no attempt can still collect.
        if cx.standing().open("payment") > 0 || cx.gates_open() || cx.seen::<Funded>().is_some() {
            until(cx.after_ms(cx.policy().reserve_ms), self.clone())
        } else {
            unreserve(&self.trip, true, cx)
        }
    }
}
impl On<GatesShut> for Gated {
    fn on(&self, _: &GatesShut, cx: &mut Cx<'_, Self::R>) -> Next<Self::R> {
        shelve(self.trip(), cx)
    }
}
impl Decide<Hold> for Holdable {
    fn decide(&self, c: &Hold, cx: &mut Cx<'_, Self::R>) -> Answer<Self::R> {
        let stocked = !matches!(self, Holdable::Backordered(_));
        let state = OnHold { trip: self.trip().clone(), reasons: vec![c.reason.clone()], stocked };
        Ok(until(cx.after_ms(cx.policy().pack_ms), state))
    }
}
impl Decide<Hold> for OnHold {
    fn decide(&self, c: &Hold, _: &mut Cx<'_, Self::R>) -> Answer<Self::R> {
        if self.reasons.contains(&c.reason) {
            return refuse("held_already", c.reason.clone());
        }
        let mut next = self.clone();
        next.reasons.push(c.reason.clone());
        Ok(stay(next))
    }
}
impl Decide<Unhold> for OnHold {
    fn decide(&self, c: &Unhold, cx: &mut Cx<'_, Self::R>) -> Answer<Self::R> {
        if !self.reasons.contains(&c.reason) {
            return refuse("not_held", c.reason.clone());
        }
        let mut next = self.clone();
        next.reasons.retain(|r| *r != c.reason);
        if !next.reasons.is_empty() {
            return Ok(stay(next));
        }
        let trip = self.trip.clone();
        Ok(if !self.stocked {
            until(cx.after_ms(cx.policy().restock_ms), Backordered { trip })
        } else if cx.gates_open() {
            until(cx.after_ms(cx.policy().pack_ms), Released { trip })
        } else {
            shelve(&trip, cx)
        })
    }
}
impl On<PackDue> for OnHold {
    fn on(&self, _: &PackDue, cx: &mut Cx<'_, Self::R>) -> Next<Self::R> {
        until(overdue(cx), self.clone())
    }
}

/// A parcel that should have left: a person hears of it, and it goes on waiting.
fn overdue<R: Row<M = M>>(cx: &mut Cx<'_, R>) -> Deadline {
    cx.hold("overdue", format!("parcel {} should have left", cx.key()));
    cx.after_ms(cx.policy().pack_ms)
}
impl Decide<Pack> for Released {
    fn decide(&self, _: &Pack, cx: &mut Cx<'_, Self::R>) -> Answer<Self::R> {
        Ok(ready(&self.trip, cx))
    }
}
impl On<PackDue> for Released {
    fn on(&self, _: &PackDue, cx: &mut Cx<'_, Self::R>) -> Next<Self::R> {
        until(overdue(cx), self.clone())
    }
}
impl On<Booked> for ReadyToHandOver {
    fn on(&self, e: &Booked, _: &mut Cx<'_, Self::R>) -> Next<Self::R> {
        let trip = Trip { tracking: Some(e.tracking.clone()), ..self.trip.clone() };
        stay(ReadyToHandOver { trip })
    }
}
impl On<BookingRefused> for ReadyToHandOver {
    fn on(&self, e: &BookingRefused, cx: &mut Cx<'_, Self::R>) -> Next<Self::R> {
        cx.hold("booking_refused", e.why.clone());
        stay(self.clone())
    }
}
impl On<PackDue> for ReadyToHandOver {
    fn on(&self, _: &PackDue, cx: &mut Cx<'_, Self::R>) -> Next<Self::R> {
        if cx.seen::<Collected>().is_none() {
            cx.ask(NeedsCapture { parcel: cx.key() });
        }
        until(overdue(cx), self.clone())
    }
}

fn earn<R: Row<M = M>>(at_most: i64, trip: &mut Trip, cx: &mut Cx<'_, R>)
where
    P7: PostedBy<R>,
{
    if trip.earned_minor == 0 {
        trip.earned_minor = trip.share_minor.min(at_most).max(0);
        cx.post(P7 { amount_minor: trip.earned_minor });
    }
}
fn unearn<R: Row<M = M>>(trip: &mut Trip, cx: &mut Cx<'_, R>)
where
    P8: PostedBy<R>,
{
    // A refund out of goodwill has un-earned a part of it already.
    cx.post(P8 { amount_minor: trip.earned_minor.min(cx.books().earned()) });
    trip.earned_minor = 0;
}
/// It is with the carrier: its units leave the stock, and its share is earned if the policy says so.
fn left<R: Row<M = M>>(trip: &Trip, cx: &mut Cx<'_, R>) -> Trip
where
    Consume: EmittedBy<R>,
    P7: PostedBy<R>,
{
    let units = units(cx);
    cx.want(Consume { units, asked: trip.asked });
    let mut trip = Trip { handed_over_at: Some(cx.occurred()), ..trip.clone() };
    if cx.policy().earn == EarnPolicy::OnHandover {
        earn(cx.books().earnable(cx.order().total().minor()), &mut trip, cx);
    }
    trip
}
fn handed_over<R: Goto<HandedOver> + Row<M = M>>(trip: Trip, cx: &Cx<'_, R>) -> Next<R> {
    until(cx.after_ms(cx.policy().silent_ms), HandedOver { trip, silent: false })
}
impl Decide<HandOver> for ReadyToHandOver {
    fn decide(&self, _: &HandOver, cx: &mut Cx<'_, Self::R>) -> Answer<Self::R> {
        if cx.life() != Life::Placed {
            return refuse("not_wanted", "the order is not wanted any more");
        }
        let trip = left(&self.trip, cx);
        Ok(handed_over(trip, cx))
    }
}
impl On<Accepted> for Leaving {
    fn on(&self, _: &Accepted, cx: &mut Cx<'_, Self::R>) -> Next<Self::R> {
        // It happened, whatever we think of it; a person must hear when it should not have.
        if cx.seen::<Collected>().is_none() || !cx.gates_open() {
            cx.hold("left_unpaid", format!("parcel {} left before its money or review", cx.key()));
        }
        let trip = left(self.trip(), cx);
        // The call back went out before it left, and is not repeated.
        if cx.seen::<TakesBack>().is_some() { returning(&trip, cx) } else { handed_over(trip, cx) }
    }
}
impl On<Stop> for Shelved {
    fn on(&self, _: &Stop, cx: &mut Cx<'_, Self::R>) -> Next<Self::R> {
        match self {
            Shelved::OnHold(s) if !s.stocked => unreserve(&s.trip, false, cx),
            Shelved::OnHold(_) | Shelved::Reserved(_) | Shelved::Released(_) => {
                unreserve(self.trip(), false, cx)
            }
        }
    }
}
impl On<Stop> for ReadyToHandOver {
    fn on(&self, _: &Stop, cx: &mut Cx<'_, Self::R>) -> Next<Self::R> {
        match cx.policy().packing {
            Packing::Automatic => unreserve(&self.trip, false, cx),
            Packing::ByWarehouse => {
                let trip = self.trip.clone();
                until(cx.after_ms(cx.policy().pack_ms), CancelRequested { trip })
            }
        }
    }
}
impl Decide<ConfirmStop> for CancelRequested {
    fn decide(&self, _: &ConfirmStop, cx: &mut Cx<'_, Self::R>) -> Answer<Self::R> {
        Ok(unreserve(&self.trip, false, cx))
    }
}
impl On<PackDue> for CancelRequested {
    fn on(&self, _: &PackDue, cx: &mut Cx<'_, Self::R>) -> Next<Self::R> {
        cx.hold("stop_unanswered", format!("parcel {}: left, or stopped?", cx.key()));
        until(cx.after_ms(cx.policy().pack_ms), self.clone())
    }
}
fn freed<R: Goto<Cancelled> + Goto<Planned> + Row<M = M>>(s: &Unreserving, cx: &Cx<'_, R>) -> Next<R> {
    let trip = s.trip.clone();
    if s.again && cx.life() == Life::Placed {
        // A moment only: the gates may have opened while the stock was on its way back.
        until(cx.after_ms(cx.policy().answer_ms), Planned { trip })
    } else {
        to(Cancelled { trip })
    }
}
impl On<Unreserved> for Unreserving {
    fn on(&self, _: &Unreserved, cx: &mut Cx<'_, Self::R>) -> Next<Self::R> {
        freed(self, cx)
    }
}
impl On<UnreserveRefused> for Unreserving {
    fn on(&self, e: &UnreserveRefused, cx: &mut Cx<'_, Self::R>) -> Next<Self::R> {
        cx.hold("stock_not_released", e.why.clone());
        freed(self, cx)
    }
}
impl On<AnswerDue> for Unreserving {
    fn on(&self, _: &AnswerDue, cx: &mut Cx<'_, Self::R>) -> Next<Self::R> {
        let units = units(cx);
        cx.want_nth(self.trip.asked, Unreserve { units, asked: self.trip.asked });
        until(cx.after_ms(cx.policy().answer_ms), self.clone())
    }
}
impl On<Consumed> for HandedOver {
    fn on(&self, _: &Consumed, _: &mut Cx<'_, Self::R>) -> Next<Self::R> {
        let trip = Trip { consumed: true, ..self.trip.clone() };
        stay(HandedOver { trip, silent: self.silent })
    }
}
impl On<ConsumeRefused> for HandedOver {
    fn on(&self, e: &ConsumeRefused, cx: &mut Cx<'_, Self::R>) -> Next<Self::R> {
        cx.hold("stock_not_consumed", e.why.clone());
        stay(self.clone())
    }
}
impl On<Moving> for HandedOver {
    fn on(&self, e: &Moving, cx: &mut Cx<'_, Self::R>) -> Next<Self::R> {
        let scan = Scan { status: e.status.clone(), at: cx.occurred() };
        let mut trip = self.trip.clone();
        // Scans come out of order: the newest by the time they name stands.
        if trip.scan.as_ref().is_none_or(|held| held.at <= scan.at) {
            trip.scan = Some(scan);
        }
        until(cx.after_ms(cx.policy().silent_ms), HandedOver { trip, silent: false })
    }
}
impl On<SilentDue> for HandedOver {
    fn on(&self, _: &SilentDue, cx: &mut Cx<'_, Self::R>) -> Next<Self::R> {
        if !self.silent {
            cx.want(Track { tracking: self.trip.tracking.clone() });
            let state = HandedOver { trip: self.trip.clone(), silent: true };
            return until(cx.after_ms(cx.policy().silent_ms), state);
        }
        let mut trip = self.trip.clone();
        unearn(&mut trip, cx);
        cx.hold("lost", format!("parcel {} has been silent for too long", cx.key()));
        to(Lost { trip })
    }
}
impl Trip {
    fn delivered(&self, at: Timestamp) -> Trip {
        Trip { delivered_at: Some(at), ..self.clone() }
    }
}
impl On<DeliveredTo> for HandedOver {
    fn on(&self, e: &DeliveredTo, cx: &mut Cx<'_, Self::R>) -> Next<Self::R> {
        let mut trip = self.trip.delivered(cx.occurred());
        earn(cx.books().earnable(cx.order().total().minor()), &mut trip, cx);
        to(Delivered { trip, by: e.by })
    }
}
impl On<DeliveredTo> for Lost {
    fn on(&self, e: &DeliveredTo, cx: &mut Cx<'_, Self::R>) -> Next<Self::R> {
        // If the loss was refunded, the customer has both now, and owes for the goods.
        let mut trip = self.trip.delivered(cx.occurred());
        earn(self.trip.share_minor, &mut trip, cx);
        to(Delivered { trip, by: e.by })
    }
}
fn returning<R: Goto<Returning> + Row<M = M>>(trip: &Trip, cx: &Cx<'_, R>) -> Next<R> {
    until(cx.after_ms(cx.policy().return_ms), Returning { trip: trip.clone() })
}
impl On<Recall> for HandedOver {
    fn on(&self, _: &Recall, cx: &mut Cx<'_, Self::R>) -> Next<Self::R> {
        returning(&self.trip, cx)
    }
}
impl On<Recall> for Delivered {
    fn on(&self, _: &Recall, cx: &mut Cx<'_, Self::R>) -> Next<Self::R> {
        returning(&self.trip, cx)
    }
}
impl On<TurnedBack> for Out {
    fn on(&self, _: &TurnedBack, cx: &mut Cx<'_, Self::R>) -> Next<Self::R> {
        returning(self.trip(), cx)
    }
}
impl On<Mislaid> for Travelling {
    fn on(&self, _: &Mislaid, cx: &mut Cx<'_, Self::R>) -> Next<Self::R> {
        let mut trip = self.trip().clone();
        unearn(&mut trip, cx);
        cx.hold("lost", format!("parcel {} is lost, says the carrier", cx.key()));
        to(Lost { trip })
    }
}
fn back<R: Goto<ReturnedToSender> + Row<M = M>>(trip: &Trip, cx: &mut Cx<'_, R>) -> Next<R>
where
    P8: PostedBy<R>,
{
    let mut trip = trip.clone();
    unearn(&mut trip, cx);
    if matches!(cx.life(), Life::Placed | Life::Completed) {
        cx.hold("returned", format!("parcel {} came back: send it again, or refund", cx.key()));
    }
    to(ReturnedToSender { trip })
}
impl On<CameBack> for Out {
    fn on(&self, _: &CameBack, cx: &mut Cx<'_, Self::R>) -> Next<Self::R> {
        back(self.trip(), cx)
    }
}
impl On<CameBack> for Returning {
    fn on(&self, _: &CameBack, cx: &mut Cx<'_, Self::R>) -> Next<Self::R> {
        back(&self.trip, cx)
    }
}
impl On<ReturnDue> for Returning {
    fn on(&self, _: &ReturnDue, cx: &mut Cx<'_, Self::R>) -> Next<Self::R> {
        cx.want_nth(1, Track { tracking: self.trip.tracking.clone() });
        cx.hold("return_overdue", format!("parcel {} should be back", cx.key()));
        until(cx.after_ms(cx.policy().return_ms), self.clone())
    }
}

impl Fold<Served<Goods>> for M {
    fn fold(v: &View<'_, Self>) -> Option<Served<Goods>> {
        let mut delivered: usize = 0;
        for (_, s) in v.instances() {
            match s {
                State::Delivered(_) => delivered = delivered.saturating_add(1),
                State::Cancelled(_) | State::ReturnedToSender(_) | State::Lost(_) => {}
                State::Planned(_)
                | State::Reserving(_)
                | State::Backordered(_)
                | State::Reserved(_)
                | State::OnHold(_)
                | State::Released(_)
                | State::ReadyToHandOver(_)
                | State::CancelRequested(_)
                | State::Unreserving(_)
                | State::HandedOver(_)
                | State::Returning(_) => return None,
            }
        }
        (delivered > 0).then(|| Served::with(delivered))
    }
}
