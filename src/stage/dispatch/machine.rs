//! One parcel.

use super::data::*;
use super::policy::{DispatchPolicy, EarnPolicy, OnLoss, OnShortPick, OnShortage, Packing, ReserveWhen};
use super::warehouse::Allotment;
use crate::clock::Timestamp;
use crate::id::Key;
use crate::ledger::{P7, P8};
use crate::machine::{
    Answer, AskedBy, Cx, Deadline, Decide, EmittedBy, Fold, Gates, Goto, IndexRow, Indexed, Life, Next, On,
    Opens, PostedBy, Refusal, Row, View, refuse, stay, to, until,
};
use crate::order::{EXCHANGED, Extra, Order, Parcel, Relief};
use crate::stage::proof::{
    Approved, Brought, Cancelling, Collected, Delivered as WithCustomer, Funded, Goods, Served, TakesBack,
    ToDispatch, Unwaive, Waive, Wanted,
};
use crate::stage::shared;

crate::machine! {
    /// One parcel of goods (section 2.5 of the order domain).
    ///
    /// Ranks: 0 stock was asked for, 1 the warehouse answered, 2 the carrier has it, 3 delivered, 4 on its way back,
    /// 5 back.
    pub mod parcel = "dispatch.parcel" v 9;
    policy DispatchPolicy;
    needs Funded, Approved<ToDispatch>;
    hears Collected, Cancelling, TakesBack, Wanted;
    yields Served<Goods>, WithCustomer;
    index "dispatch.tracking";
    effects {
        AskStock (read)    => done StockSeen, declined AskStockRefused, unknown StockLost, exhausted StockGaveUp;
        Reserve (repeat)   => done InStock | Short, declined ReserveRefused, unknown StockLost, exhausted StockGaveUp;
        Unreserve (repeat) while AllOpen
                           => done Unreserved, declined UnreserveRefused, unknown StockLost, exhausted StockGaveUp;
        Consume (repeat) while AllOpen
                           => done Consumed, declined ConsumeRefused, unknown StockLost, exhausted StockGaveUp;
        Quote (repeat)     => done Quoted, declined QuoteRefused, unknown BookLost, exhausted BookGaveUp;
        CancelBooking (repeat) while AllOpen
                           => done BookingCancelled, declined CancelRefused, unknown BookLost, exhausted BookGaveUp;
        BringBack (repeat) => done Intercepted, declined InterceptRefused, unknown BookLost, exhausted BookGaveUp;
        Book (repeat)      => done Booked, declined BookingRefused, unknown BookLost, exhausted BookGaveUp;
        Track (read)       => done Moving | DeliveredTo | TurnedBack | CameBack | Mislaid | NoNews,
                              declined TrackRefused, unknown BookLost, exhausted BookGaveUp;
    }
    asks { NeedsCapture, CannotFill, SplitOff, Waive, Unwaive }
    opens { Ordered, GatesOpen }
    inputs {
        command Pack, PickShort, HandOver, Hold, Unhold, ConfirmStop, CallOff, Intercept;
        outcome StockLost @0, StockGaveUp @0, BookLost @0, BookGaveUp @0, Booked @0, BookingRefused @0,
                Consumed @0, ConsumeRefused @0, Unreserved @0, UnreserveRefused @0, NoNews @0, TrackRefused @0,
                Quoted @0, QuoteRefused @0, BookingCancelled @0, CancelRefused @0, Intercepted @0, InterceptRefused @0,
                StockSeen @0, AskStockRefused @0, InStock @1, Short @1, ReserveRefused @1,
                Accepted @2, Moving @2, Mislaid @2, DeliveredTo @3, Proven @3, TurnedBack @4, CameBack @5;
        timer   PlanDue, AnswerDue, RestockDue, ReserveDue, PackDue, SilentDue, ReturnDue;
        signal  Ordered (on granted Wanted), GatesOpen (on granted), GatesShut (on withdrawn),
                Stop (on granted Cancelling), Recall (on granted TakesBack), Resend, Split, Replan, Repriced;
    }
    states {
        Planned: wait(PlanDue) @1,
        Allocating: busy(AnswerDue) @1,
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
        Unstocked = Planned | Allocating | Backordered;
        Gone      = Lost | ReturnedToSender;
        Shelved   = Reserved | OnHold | Released;
        Gated     = Released | ReadyToHandOver;
        Holdable  = Reserved | Backordered | Released;
        Stopped   = Unreserving | Cancelled;
        Leaving   = ReadyToHandOver | CancelRequested;
        Settled   = ReadyToHandOver | CancelRequested | Cancelled | HandedOver | Lost | Delivered | Returning
                  | ReturnedToSender;
        Before    = Planned | Allocating | Reserving | Backordered | Reserved | OnHold | Released | Unreserving;
        Out       = HandedOver | Lost | Delivered;
        Travelling = HandedOver | Returning;
        Missing   = HandedOver | Lost;
        AfterStop = CancelRequested | Unreserving | Cancelled | HandedOver | Lost | Delivered | Returning
                  | ReturnedToSender;
        NotOut    = Planned | Allocating | Reserving | Backordered | Reserved | OnHold | Released | ReadyToHandOver
                  | CancelRequested | Unreserving | Cancelled | Lost | Returning | ReturnedToSender;
        Carrying  = Planned | Allocating | Reserving | Backordered | Reserved | OnHold | Released | ReadyToHandOver
                  | CancelRequested | Unreserving | HandedOver | Lost | Delivered | Returning | ReturnedToSender;
        AllOpen   = Planned | Allocating | Reserving | Backordered | Reserved | OnHold | Released | ReadyToHandOver
                  | CancelRequested | Unreserving | Cancelled | HandedOver | Lost | Delivered | Returning
                  | ReturnedToSender;
        Unmoved   = Allocating | Reserving | Backordered | OnHold | Released | ReadyToHandOver | CancelRequested
                  | Unreserving | Cancelled | HandedOver | Lost | Delivered | Returning | ReturnedToSender;
        Ungated   = Planned | Allocating | Reserving | Backordered | Reserved | OnHold | CancelRequested | Unreserving
                  | Cancelled | HandedOver | Lost | Delivered | Returning | ReturnedToSender;
    }
    rows {
        New             + Ordered          => Allocating | Reserving / AskStock, Reserve;
        New             + GatesOpen        => Allocating | Reserving / AskStock, Reserve;
        New             + Resend           => Allocating | Reserving | Cancelled / AskStock, Reserve;
        New             + Split            => Planned | Reserving | Cancelled / Reserve;
        New             + Replan           => Planned | Cancelled;
        Planned         + Replan           => Planned | Cancelled;
        Backordered     + Replan           => Planned | Cancelled;
        Reserving       + Replan           => Reserving | Unreserving / Unreserve;
        Shelved         + Replan           => Reserved | OnHold | Released | Unreserving | Planned | Cancelled
                                            / Unreserve, CancelBooking;
        Unreserving     + Replan           => Unreserving;
        Planned         + GatesOpen        => Allocating | Reserving / AskStock, Reserve;
        Planned         + PlanDue          => Planned | Allocating | Reserving / AskStock, Reserve;
        Planned         + Stop             => Cancelled;
        Allocating      + StockSeen        => Reserving | Backordered | Cancelled / Reserve
                                            ? SplitOff, CannotFill, Waive;
        Allocating      + AskStockRefused  => Backordered | Cancelled ? CannotFill, Waive;
        Allocating      + AnswerDue        => Allocating / AskStock;
        Allocating      + Replan           => Allocating | Planned | Cancelled;
        Allocating      + Stop             => Cancelled;
        Reserving       + InStock          => Reserved | Released | ReadyToHandOver / Quote, Book ? NeedsCapture;
        Reserving       + Short            => Backordered | Cancelled | Allocating | Reserving / AskStock, Reserve
                                            ? CannotFill, Waive;
        Reserving       + ReserveRefused   => Backordered | Cancelled | Allocating / AskStock
                                            ? CannotFill, Waive;
        Reserving       + AnswerDue        => Reserving / Reserve;
        Reserving       + Stop             => Unreserving / Unreserve;
        Backordered     + RestockDue       => Allocating | Reserving / AskStock, Reserve;
        Backordered     + Stop             => Cancelled;
        Reserved        + GatesOpen        => Released | ReadyToHandOver / Quote, Book ? NeedsCapture;
        Reserved        + ReserveDue       => Reserved | Unreserving / Unreserve;
        Gated           + GatesShut        => Reserved;
        Holdable        + Hold             => OnHold;
        OnHold          + Hold             => OnHold;
        OnHold          + Unhold           => OnHold | Reserved | Released | Backordered;
        OnHold          + PackDue          => OnHold;
        Released        + PickShort        => Released | Unreserving / Unreserve ? SplitOff, Waive;
        Released        + Pack             => ReadyToHandOver / Quote, Book ? NeedsCapture;
        Released        + PackDue          => Released;
        ReadyToHandOver + Quoted           => ReadyToHandOver / Book;
        ReadyToHandOver + QuoteRefused     => ReadyToHandOver;
        Leaving         + Booked           => ReadyToHandOver | CancelRequested;
        Shelved         + Booked           => Reserved | OnHold | Released;
        Stopped         + Booked           => Unreserving | Cancelled / CancelBooking;
        Stopped         + CancelRefused    => Unreserving | Cancelled;
        ReadyToHandOver + BookingRefused   => ReadyToHandOver / Book;
        ReadyToHandOver + PackDue          => ReadyToHandOver / Quote, Book ? NeedsCapture;
        ReadyToHandOver + HandOver [Collected, Approved<ToDispatch>] => HandedOver / Consume ! P7;
        Leaving         + Accepted         => HandedOver | Returning / Consume ! P7;
        Shelved         + Stop             => Unreserving | Cancelled / Unreserve, CancelBooking;
        ReadyToHandOver + Stop             => CancelRequested | Unreserving / Unreserve, CancelBooking;
        Unstocked       + CallOff          => Cancelled ? Waive;
        Reserving       + CallOff          => Unreserving / Unreserve ? Waive;
        Shelved         + CallOff          => Unreserving | Cancelled / Unreserve, CancelBooking ? Waive;
        ReadyToHandOver + CallOff          => CancelRequested | Unreserving / Unreserve, CancelBooking ? Waive;
        Gone            + CallOff          => Lost | ReturnedToSender ? Waive;
        CancelRequested + ConfirmStop      => Unreserving / Unreserve, CancelBooking ? Waive;
        CancelRequested + PackDue          => CancelRequested;
        Unreserving     + Unreserved       => Cancelled | Planned;
        Unreserving     + UnreserveRefused => Cancelled | Planned;
        Unreserving     + AnswerDue        => Unreserving / Unreserve;
        HandedOver      + Intercept        => HandedOver / BringBack;
        HandedOver      + Intercepted      => Returning;
        HandedOver      + InterceptRefused => HandedOver;
        HandedOver      + Consumed         => HandedOver;
        HandedOver      + ConsumeRefused   => HandedOver;
        HandedOver      + Moving           => HandedOver | Returning;
        HandedOver      + SilentDue        => HandedOver | Lost / Track ! P8 ? CannotFill, SplitOff, Waive;
        HandedOver      + DeliveredTo      => Delivered ! P7;
        HandedOver      + Recall           => Returning;
        Travelling      + Mislaid          => Lost ! P8 ? CannotFill, SplitOff, Waive;
        Delivered       + Proven           => Delivered;
        Lost            + DeliveredTo      => Delivered ! P7 ? Waive, Unwaive;
        Delivered       + Recall           => Returning | ReturnedToSender ! P8;
        Out             + TurnedBack       => Delivered | Returning;
        Out             + CameBack         => ReturnedToSender ! P8;
        Returning       + CameBack         => ReturnedToSender ! P8;
        Returning       + ReturnDue        => Returning / Track;
        Carrying        + Repriced         => Planned | Allocating | Reserving | Backordered | Reserved | OnHold
                                            | Released | ReadyToHandOver | CancelRequested | Unreserving | HandedOver
                                            | Lost | Delivered | Returning | ReturnedToSender ! P7, P8;
    }
    ignore {
        AllOpen + Ordered; Unmoved + GatesOpen; Ungated + GatesShut;
        AfterStop + Stop; NotOut + Recall; AllOpen + Resend | Split; Settled + Replan;
        Cancelled + Repriced;
    }
    defer {
        Before + Accepted | Moving | Mislaid | DeliveredTo | Proven | TurnedBack | CameBack;
        Leaving + Moving | Mislaid | DeliveredTo | Proven | TurnedBack | CameBack;
        Missing + Proven;
    }
    alarm {
        Cancelled + Accepted | Moving | Mislaid | DeliveredTo | Proven | TurnedBack | CameBack;
    }
}

use parcel::{
    Carrying, Gated, Gone, Holdable, Leaving, M, New, Out, Shelved, State, Stopped, Travelling, Unstocked,
};

shared!(Gated.trip: Trip = Released | ReadyToHandOver);
shared!(Holdable.trip: Trip = Reserved | Backordered | Released);
shared!(Stopped.trip: Trip = Unreserving | Cancelled);
shared!(Leaving.trip: Trip = ReadyToHandOver | CancelRequested);
shared!(Unstocked.trip: Trip = Planned | Allocating | Backordered);
shared!(Shelved.trip: Trip = Reserved | OnHold | Released);
shared!(Out.trip: Trip = HandedOver | Lost | Delivered);
shared!(Travelling.trip: Trip = HandedOver | Returning);

impl Trip {
    /// What is in it, as the warehouse and the carrier count.
    #[must_use]
    pub fn units(&self) -> Vec<Unit> {
        units(&self.load)
    }

    fn of(plan: &Split, asked: u32) -> Self {
        let Split { group, load, share_minor, warehouse } = plan.clone();
        Self { group, load, share_minor, warehouse, asked, ..Self::default() }
    }
}

impl Trip {
    /// With another load; what is counted goes on being counted, since each number is an operation of its own.
    fn anew(&self, plan: &Split) -> Self {
        Self { quotes: self.quotes, bookings: self.bookings, ..Self::of(plan, self.asked) }
    }
}

fn units(load: &[Item]) -> Vec<Unit> {
    load.iter().map(|i| Unit { sku: i.sku.clone(), quantity: i.quantity }).collect()
}

/// What a parcel of the document carries.
fn planned(order: &Order, parcel: &Parcel) -> Split {
    let item = |at: &usize| {
        let line = order.lines().get(*at)?;
        let at = u32::try_from(*at).ok();
        Some(Item { sku: line.sku.clone(), quantity: line.quantity, line: at, again: false })
    };
    let load = parcel.lines.iter().filter_map(item).collect();
    Split { group: parcel.group.clone(), load, share_minor: parcel.share_minor, warehouse: None }
}

/// Takes units out of a load, and the part of its share that they carry; with the last one goes the rest. `None` when
/// the load does not have them, or nothing was named.
fn take_out<R: Row<M = M>>(trip: &Trip, missing: &[Unit], cx: &Cx<'_, R>) -> Option<(Trip, Split)> {
    let mut kept = trip.load.clone();
    let mut out: Vec<Item> = Vec::new();
    for unit in missing {
        let mut left = unit.quantity;
        for item in kept.iter_mut().filter(|i| i.sku == unit.sku) {
            let taken = item.quantity.min(left);
            if taken > 0 {
                out.push(Item { quantity: taken, ..item.clone() });
                item.quantity -= taken;
                left -= taken;
            }
        }
        if left > 0 {
            return None;
        }
    }
    kept.retain(|i| i.quantity > 0);
    if out.is_empty() {
        return None;
    }
    let share_minor = if kept.is_empty() {
        trip.share_minor
    } else {
        let left = cx.obligation().left(cx.order());
        let worth = |i: &Item| {
            let of = left.iter().find(|l| Some(l.line) == i.counted());
            of.map_or(0, |l| l.units(i.quantity))
        };
        out.iter().fold(0, |n: i64, i| n.saturating_add(worth(i))).min(trip.share_minor)
    };
    let rest = Split { group: trip.group.clone(), load: out, share_minor, warehouse: None };
    let share_minor = trip.share_minor.saturating_sub(share_minor);
    Some((Trip { load: kept, share_minor, ..trip.clone() }, rest))
}

/// Whether units are what the document says, and not sent in place of something.
fn of_document(item: &Item) -> bool {
    item.counted().is_some_and(|line| line < EXCHANGED)
}

/// The parcels of the document that are not opened yet. What is sent again opens none of them.
fn keys(view: &View<'_, M>, when: ReserveWhen) -> Vec<Key> {
    let opened = view.instances().any(|(_, s)| trip(s).load.iter().any(of_document));
    // Nothing begins for an order that is on its way out, whatever its gates say.
    if view.policy.reserve != when || opened || view.world.life != Life::Placed {
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

/// Sets its units aside where it leaves from.
fn reserve<R: Goto<Reserving> + Row<M = M>>(trip: &Trip, cx: &mut Cx<'_, R>) -> Next<R>
where
    Reserve: EmittedBy<R>,
{
    let asked = trip.asked.saturating_add(1);
    set_aside(&Trip { asked, silent: 0, ..trip.clone() }, cx)
}
/// When a question without an answer is asked again: twice as late each time, so that a warehouse that is away for days
/// does not fill the journals.
fn patience<R: Row<M = M>>(trip: &Trip, cx: &Cx<'_, R>) -> Deadline {
    cx.after_ms(cx.policy().answer_ms.saturating_mul(1 << trip.silent.min(7)))
}
impl Trip {
    fn unanswered(&self) -> Trip {
        Trip { silent: self.silent.saturating_add(1), ..self.clone() }
    }
}
fn set_aside<R: Goto<Reserving> + Row<M = M>>(trip: &Trip, cx: &mut Cx<'_, R>) -> Next<R>
where
    Reserve: EmittedBy<R>,
{
    let (asked, warehouse) = (trip.asked, trip.warehouse.clone());
    cx.want_nth(asked, Reserve { units: trip.units(), asked, warehouse });
    until(patience(trip, cx), Reserving { trip: trip.clone() })
}
/// Asks what there is and where, before a warehouse is chosen. Each look has a number of its own among the
/// reservations, since what is looked for may be another thing each time.
fn allocate<R: Goto<Allocating> + Row<M = M>>(trip: &Trip, cx: &mut Cx<'_, R>) -> Next<R>
where
    AskStock: EmittedBy<R>,
{
    let asked = trip.asked.saturating_add(1);
    cx.want_nth(asked, AskStock { units: trip.units() });
    let trip = Trip { asked, silent: 0, warehouse: None, ..trip.clone() };
    until(patience(&trip, cx), Allocating { trip })
}
/// Begins to set units aside: at once, or where a warehouse is to be chosen, with a look at what each has.
fn begin<R: Goto<Allocating> + Goto<Reserving> + Row<M = M>>(trip: &Trip, cx: &mut Cx<'_, R>) -> Next<R>
where
    AskStock: EmittedBy<R>,
    Reserve: EmittedBy<R>,
{
    let trip = Trip { warehouse: None, without: Vec::new(), ..trip.clone() };
    if cx.policy().warehouses.is_some() { allocate(&trip, cx) } else { reserve(&trip, cx) }
}
fn open<R: Goto<Allocating> + Goto<Reserving> + Row<M = M>>(cx: &mut Cx<'_, R>) -> Next<R>
where
    AskStock: EmittedBy<R>,
    Reserve: EmittedBy<R>,
{
    let (order, owed) = (cx.order(), cx.obligation());
    let parcels = order.parcels();
    let mut plans: Vec<(Key, Split)> = parcels.iter().map(|p| (p.key, planned(order, p))).collect();
    if !owed.is_untouched() {
        let loads: Vec<_> = plans.iter().map(|(_, plan)| (false, counted(&plan.load))).collect();
        for ((_, plan), share_minor) in plans.iter_mut().zip(owed.shares(order, &loads)) {
            plan.share_minor = share_minor;
        }
    }
    let plan = plans.into_iter().find(|(key, _)| *key == cx.key()).map(|(_, plan)| plan);
    begin(&plan.map(|plan| Trip::of(&plan, 0)).unwrap_or_default(), cx)
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
        begin(&self.trip, cx)
    }
}
impl On<PlanDue> for Planned {
    fn on(&self, _: &PlanDue, cx: &mut Cx<'_, Self::R>) -> Next<Self::R> {
        if cx.gates_open() && may_leave(cx) {
            begin(&self.trip, cx)
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
    Quote: EmittedBy<R>,
    Book: EmittedBy<R>,
    NeedsCapture: AskedBy<R>,
{
    let mut trip = trip.clone();
    if cx.policy().book && trip.tracking.is_none() {
        if cx.policy().carriers.is_some() {
            label(&mut trip, cx);
        } else {
            cx.want(Book { units: trip.units(), carrier: None, service: None });
        }
    }
    if cx.seen::<Collected>().is_none() {
        cx.ask(NeedsCapture { parcel: cx.key() });
    }
    until(cx.after_ms(cx.policy().pack_ms), ReadyToHandOver { trip })
}
/// Asks for a label: again with whom it was asked for last, or first for offers.
fn label<R: Row<M = M>>(trip: &mut Trip, cx: &mut Cx<'_, R>)
where
    Quote: EmittedBy<R>,
    Book: EmittedBy<R>,
{
    if trip.taken.is_some() {
        return book(trip, cx);
    }
    trip.quotes = trip.quotes.saturating_add(1);
    cx.want_nth(trip.quotes, Quote { units: trip.units(), warehouse: trip.warehouse.clone() });
}
/// Asks for the label of the offer that is taken; under one number, however often it is asked.
fn book<R: Row<M = M>>(trip: &Trip, cx: &mut Cx<'_, R>)
where
    Book: EmittedBy<R>,
{
    let (carrier, service) = trip.taken.clone().unzip();
    cx.want_nth(trip.bookings, Book { units: trip.units(), carrier, service });
}
/// Takes the best offer that is left.
fn take_next<R: Row<M = M>>(trip: &mut Trip, why_none: &str, cx: &mut Cx<'_, R>)
where
    Book: EmittedBy<R>,
{
    if trip.offers.is_empty() {
        trip.taken = None;
        cx.hold_for(Gates::Goods, "booking_refused", why_none);
        return;
    }
    let offer = trip.offers.remove(0);
    trip.taken = Some((offer.carrier, offer.service));
    trip.bookings = trip.bookings.saturating_add(1);
    book(trip, cx);
}
/// A parcel that does not leave needs no label. Where nobody chooses carriers, labels are the adapter's affair.
fn without_label<R: Row<M = M>>(trip: &Trip, cx: &mut Cx<'_, R>) -> Trip
where
    CancelBooking: EmittedBy<R>,
{
    let mut trip = trip.clone();
    if cx.policy().carriers.is_some()
        && let Some(tracking) = trip.tracking.take()
    {
        let carrier = trip.taken.take().map(|taken| taken.0);
        cx.want_nth(trip.bookings, CancelBooking { tracking, carrier });
    }
    trip
}
fn release<R>(trip: &Trip, cx: &mut Cx<'_, R>) -> Next<R>
where
    R: Goto<Released> + Goto<ReadyToHandOver> + Row<M = M>,
    Quote: EmittedBy<R>,
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

/// Units by line, of those that carry a part of what is due.
fn counted(load: &[Item]) -> Vec<(u32, u32)> {
    let mut all: Vec<(u32, u32)> = Vec::with_capacity(load.len());
    for item in load {
        let Some(line) = item.counted() else { continue };
        match all.iter_mut().find(|(l, _)| *l == line) {
            Some((_, quantity)) => *quantity = quantity.saturating_add(item.quantity),
            None => all.push((line, item.quantity)),
        }
    }
    all
}
/// What the customer is let off for units that are never sent.
fn unsent<R: Row<M = M>>(load: &[Item], cx: &Cx<'_, R>) -> Relief {
    let mut relief = cx.relief(&counted(load));
    for credit in &mut relief.credits {
        credit.unsent = credit.quantity;
    }
    // In place of what is sent once more, and is not after all, the customer gets the price of the first one.
    let again: Vec<(u32, u32)> =
        load.iter().filter(|i| i.again).filter_map(|i| Some((i.line?, i.quantity))).collect();
    relief.credits.extend(cx.relief(&again).credits);
    relief
}
/// What is called off is not due any more, and what was paid of it goes back.
fn call_off<R: Row<M = M>>(load: &[Item], why: String, cx: &mut Cx<'_, R>)
where
    Waive: AskedBy<R>,
{
    // Even of what costs nothing: the carriage that it carried is carried by others now.
    cx.ask(Waive { relief: unsent(load, cx), goes_back: true, reason: why });
}
fn short<R>(trip: &Trip, why: String, cx: &mut Cx<'_, R>) -> Next<R>
where
    R: Goto<Backordered> + Goto<Cancelled> + Row<M = M>,
    CannotFill: AskedBy<R>,
    Waive: AskedBy<R>,
{
    if cx.life() == Life::Completed {
        // The order is not called off for it: the customer has had the rest, and waits for this.
        cx.hold_for(Gates::Goods, "short", format!("parcel {}: {why}", cx.key()));
        return until(cx.after_ms(cx.policy().restock_ms), Backordered { trip: trip.clone() });
    }
    match cx.policy().shortage {
        OnShortage::Cancel => cx.ask(CannotFill { parcel: cx.key(), why }),
        OnShortage::Wait => {}
        OnShortage::CallOff => {
            call_off(&trip.load, why, cx);
            return to(Cancelled { trip: trip.clone() });
        }
    }
    until(cx.after_ms(cx.policy().restock_ms), Backordered { trip: trip.clone() })
}
impl On<Short> for Reserving {
    fn on(&self, e: &Short, cx: &mut Cx<'_, Self::R>) -> Next<Self::R> {
        if let Some(trip) = elsewhere(&self.trip) {
            return allocate(&trip, cx);
        }
        let why = out_of_stock(&e.missing);
        if cx.policy().shortage == OnShortage::CallOff
            && let Some((rest, gone)) = take_out(&self.trip, &e.missing, cx)
            && !rest.load.is_empty()
        {
            // What there is goes on without what there is not.
            call_off(&gone.load, why, cx);
            return reserve(&rest, cx);
        }
        short(&self.trip, why, cx)
    }
}
impl On<ReserveRefused> for Reserving {
    fn on(&self, e: &ReserveRefused, cx: &mut Cx<'_, Self::R>) -> Next<Self::R> {
        match elsewhere(&self.trip) {
            Some(trip) => allocate(&trip, cx),
            None => short(&self.trip, e.why.clone(), cx),
        }
    }
}
/// To be chosen anew without the warehouse that was chosen.
fn elsewhere(trip: &Trip) -> Option<Trip> {
    let mut next = trip.clone();
    next.without.push(next.warehouse.take()?);
    Some(next)
}
impl On<StockSeen> for Allocating {
    fn on(&self, e: &StockSeen, cx: &mut Cx<'_, Self::R>) -> Next<Self::R> {
        let missing = match chosen(&self.trip, e, cx) {
            Ok(way) => return spread(&self.trip, &way, cx),
            Err(missing) => missing,
        };
        let why = out_of_stock(&missing);
        if cx.policy().shortage == OnShortage::CallOff
            && cx.life() != Life::Completed
            && let Some((rest, gone)) = take_out(&self.trip, &missing, cx)
            && !rest.load.is_empty()
            && let Ok(way) = chosen(&rest, e, cx)
        {
            // What there is goes on without what there is not.
            call_off(&gone.load, why, cx);
            return spread(&rest, &way, cx);
        }
        short(&self.trip, why, cx)
    }
}
fn out_of_stock(missing: &[Unit]) -> String {
    let skus: Vec<&str> = missing.iter().map(|u| u.sku.as_str()).collect();
    format!("out of stock: {}", skus.join(", "))
}
/// Where its units leave from, by what the warehouses said.
fn chosen<R: Row<M = M>>(trip: &Trip, seen: &StockSeen, cx: &Cx<'_, R>) -> Result<Vec<Allotment>, Vec<Unit>> {
    let Some(policy) = &cx.policy().warehouses else { return Ok(Vec::new()) };
    let zone = cx.order().attributes().get(&policy.zone_attribute).map(String::as_str);
    policy.choose(&trip.units(), &seen.stock, zone, &trip.without, cx.now())
}
/// One parcel per warehouse: this one leaves from the first, and the others are split off it.
fn spread<R>(trip: &Trip, way: &[Allotment], cx: &mut Cx<'_, R>) -> Next<R>
where
    R: Goto<Reserving> + Row<M = M>,
    Reserve: EmittedBy<R>,
    SplitOff: AskedBy<R>,
{
    let mut trip = trip.clone();
    for part in way.iter().skip(1) {
        if let Some((kept, mut rest)) = take_out(&trip, &part.units, cx) {
            rest.warehouse = Some(part.warehouse.clone());
            cx.ask(SplitOff { parcel: cx.key(), rest });
            trip = kept;
        }
    }
    trip.warehouse = way.first().map(|part| part.warehouse.clone());
    reserve(&trip, cx)
}
impl On<AskStockRefused> for Allocating {
    fn on(&self, e: &AskStockRefused, cx: &mut Cx<'_, Self::R>) -> Next<Self::R> {
        short(&self.trip, e.why.clone(), cx)
    }
}
impl On<AnswerDue> for Allocating {
    fn on(&self, _: &AnswerDue, cx: &mut Cx<'_, Self::R>) -> Next<Self::R> {
        cx.want_nth(self.trip.asked, AskStock { units: self.trip.units() });
        let trip = self.trip.unanswered();
        until(patience(&trip, cx), Allocating { trip })
    }
}
impl On<Replan> for Allocating {
    fn on(&self, s: &Replan, cx: &mut Cx<'_, Self::R>) -> Next<Self::R> {
        match same_load(&self.trip, s) {
            Some(trip) => stay(Allocating { trip }),
            None => replan(&self.trip, s.plan.as_ref(), cx),
        }
    }
}
impl On<Stop> for Allocating {
    fn on(&self, _: &Stop, _: &mut Cx<'_, Self::R>) -> Next<Self::R> {
        to(Cancelled { trip: self.trip.clone() })
    }
}
impl On<AnswerDue> for Reserving {
    fn on(&self, _: &AnswerDue, cx: &mut Cx<'_, Self::R>) -> Next<Self::R> {
        set_aside(&self.trip.unanswered(), cx)
    }
}

fn unreserve<R: Goto<Unreserving> + Row<M = M>>(trip: &Trip, again: bool, cx: &mut Cx<'_, R>) -> Next<R>
where
    Unreserve: EmittedBy<R>,
{
    let trip = Trip { silent: 0, ..trip.clone() };
    give_back(Unreserving { trip, again, back: Vec::new() }, cx)
}
fn give_back<R: Goto<Unreserving> + Row<M = M>>(state: Unreserving, cx: &mut Cx<'_, R>) -> Next<R>
where
    Unreserve: EmittedBy<R>,
{
    let asked = state.trip.asked;
    let back = if state.back.is_empty() { &state.trip.load } else { &state.back };
    let warehouse = state.trip.warehouse.clone();
    cx.want_nth(asked, Unreserve { units: units(back), asked, warehouse });
    until(patience(&state.trip, cx), state)
}

/// Opened for something else than a group of the document.
fn opened<R: Goto<Planned> + Row<M = M>>(plan: &Split, cx: &Cx<'_, R>) -> Next<R> {
    until(cx.after_ms(cx.policy().answer_ms), Planned { trip: Trip::of(plan, 0) })
}
impl On<Resend> for New {
    fn on(&self, s: &Resend, cx: &mut Cx<'_, Self::R>) -> Next<Self::R> {
        let plan = Split { group: None, load: s.load.clone(), share_minor: s.share_minor, warehouse: None };
        if !may_leave(cx) {
            return to(Cancelled { trip: Trip::of(&plan, 0) });
        }
        begin(&Trip::of(&plan, 0), cx)
    }
}
impl On<Split> for New {
    fn on(&self, s: &Split, cx: &mut Cx<'_, Self::R>) -> Next<Self::R> {
        if !may_leave(cx) {
            return to(Cancelled { trip: Trip::of(s, 0) });
        }
        // Where it leaves from was chosen together with the parcel that it is split off.
        if s.warehouse.is_some() { reserve(&Trip::of(s, 0), cx) } else { opened(s, cx) }
    }
}
/// Planned anew, with nothing set aside.
fn replan<R>(trip: &Trip, plan: Option<&Split>, cx: &Cx<'_, R>) -> Next<R>
where
    R: Goto<Planned> + Goto<Cancelled> + Row<M = M>,
{
    match plan {
        Some(plan) => until(cx.after_ms(cx.policy().answer_ms), Planned { trip: trip.anew(plan) }),
        None => to(Cancelled { trip: trip.clone() }),
    }
}
/// Planned anew once what is set aside has been given back.
fn give_back_for<R>(trip: &Trip, plan: Option<&Split>, cx: &mut Cx<'_, R>) -> Next<R>
where
    R: Goto<Unreserving> + Row<M = M>,
    Unreserve: EmittedBy<R>,
{
    let next = planned_after(trip, plan);
    give_back(Unreserving { trip: next, again: plan.is_some(), back: trip.load.clone() }, cx)
}
/// What it is to carry, while what it carried before is still set aside where it was to leave from.
fn planned_after(trip: &Trip, plan: Option<&Split>) -> Trip {
    let next = plan.map_or_else(|| trip.clone(), |plan| trip.anew(plan));
    Trip { warehouse: trip.warehouse.clone(), ..next }
}
impl On<Replan> for New {
    fn on(&self, s: &Replan, cx: &mut Cx<'_, Self::R>) -> Next<Self::R> {
        replan(&Trip::default(), s.plan.as_ref(), cx)
    }
}
impl On<Replan> for Planned {
    fn on(&self, s: &Replan, cx: &mut Cx<'_, Self::R>) -> Next<Self::R> {
        replan(&self.trip, s.plan.as_ref(), cx)
    }
}
impl On<Replan> for Backordered {
    fn on(&self, s: &Replan, cx: &mut Cx<'_, Self::R>) -> Next<Self::R> {
        replan(&self.trip, s.plan.as_ref(), cx)
    }
}
impl On<Replan> for Reserving {
    fn on(&self, s: &Replan, cx: &mut Cx<'_, Self::R>) -> Next<Self::R> {
        if let Some(trip) = same_load(&self.trip, s) {
            return stay(Reserving { trip });
        }
        give_back_for(&self.trip, s.plan.as_ref(), cx)
    }
}
/// What carries the same as before keeps its place, at what it is worth now.
fn same_load(trip: &Trip, s: &Replan) -> Option<Trip> {
    let plan = s.plan.as_ref().filter(|plan| plan.load == trip.load)?;
    Some(Trip { share_minor: plan.share_minor, ..trip.clone() })
}
impl On<Replan> for Shelved {
    fn on(&self, s: &Replan, cx: &mut Cx<'_, Self::R>) -> Next<Self::R> {
        if let Some(trip) = same_load(self.trip(), s) {
            return match self {
                Shelved::Reserved(_) => stay(Reserved { trip }),
                Shelved::OnHold(held) => stay(OnHold { trip, ..held.clone() }),
                Shelved::Released(_) => stay(Released { trip }),
            };
        }
        match self {
            Shelved::OnHold(held) if !held.stocked => replan(&held.trip, s.plan.as_ref(), cx),
            Shelved::OnHold(_) | Shelved::Reserved(_) | Shelved::Released(_) => {
                let trip = without_label(self.trip(), cx);
                give_back_for(&trip, s.plan.as_ref(), cx)
            }
        }
    }
}
impl On<Replan> for Unreserving {
    fn on(&self, s: &Replan, _: &mut Cx<'_, Self::R>) -> Next<Self::R> {
        let back = if self.back.is_empty() { self.trip.load.clone() } else { self.back.clone() };
        let trip = planned_after(&self.trip, s.plan.as_ref());
        stay(Unreserving { trip, again: s.plan.is_some(), back })
    }
}
impl Decide<PickShort> for Released {
    fn decide(&self, c: &PickShort, cx: &mut Cx<'_, Self::R>) -> Answer<Self::R> {
        let Some((trip, rest)) = take_out(&self.trip, &c.missing, cx) else {
            return refuse("not_in_it", "a parcel misses only what it should carry");
        };
        let parcel = cx.key();
        if cx.policy().short_pick == OnShortPick::CallOff {
            call_off(&rest.load, "missing on the shelf".to_owned(), cx);
        } else {
            cx.ask(SplitOff { parcel, rest });
        }
        if trip.load.is_empty() {
            return Ok(unreserve(&self.trip, false, cx));
        }
        // What is missing was set aside under this parcel's reservation all the same.
        let (asked, warehouse) = (trip.asked, trip.warehouse.clone());
        cx.want_nth(
            u32::MAX.saturating_sub(trip.picks),
            Unreserve { units: c.missing.clone(), asked, warehouse },
        );
        let trip = Trip { picks: trip.picks.saturating_add(1), ..trip };
        Ok(until(cx.after_ms(cx.policy().pack_ms), Released { trip }))
    }
}

/// Where the parcels of an amended order go on: each group that is not packed yet carries what the document says now,
/// new groups get parcels of their own, and groups that are gone are called off.
#[must_use]
pub fn replanned(view: &View<'_, M>) -> Vec<(Key, Replan)> {
    if view.is_empty() {
        return Vec::new();
    }
    let order = view.world.order;
    let mut open: Vec<(Key, &Trip)> =
        view.instances().filter_map(|(key, s)| Some((key, unpacked(s)?))).collect();
    // What is sent in place of something is not in the document.
    open.retain(|(_, trip)| trip.load.is_empty() || trip.load.iter().any(of_document));
    let mut all = Vec::new();
    let mut next = next_key(view);
    for parcel in order.parcels() {
        let plan = Some(planned(order, &parcel));
        match open.iter().position(|(_, trip)| trip.group == parcel.group) {
            Some(at) => all.push((open.remove(at).0, Replan { plan })),
            None => {
                all.push((next, Replan { plan }));
                next = view.next_free(next.0);
            }
        }
    }
    all.extend(open.into_iter().map(|(key, _)| (key, Replan { plan: None })));
    all
}

/// The key of the next parcel, beyond those of the document's groups.
#[must_use]
pub fn next_key(view: &View<'_, M>) -> Key {
    let groups = u32::try_from(view.world.order.parcels().len()).unwrap_or(u32::MAX);
    view.next_free(groups)
}

/// What a parcel is that may still be planned anew.
fn unpacked(state: &State) -> Option<&Trip> {
    match state {
        State::Planned(s) => Some(&s.trip),
        State::Allocating(s) => Some(&s.trip),
        State::Reserving(s) => Some(&s.trip),
        State::Backordered(s) => Some(&s.trip),
        State::Reserved(s) => Some(&s.trip),
        State::OnHold(s) => Some(&s.trip),
        State::Released(s) => Some(&s.trip),
        State::Unreserving(s) => s.again.then_some(&s.trip),
        State::ReadyToHandOver(_)
        | State::CancelRequested(_)
        | State::Cancelled(_)
        | State::HandedOver(_)
        | State::Lost(_)
        | State::Delivered(_)
        | State::Returning(_)
        | State::ReturnedToSender(_) => None,
    }
}
impl On<Stop> for Reserving {
    fn on(&self, _: &Stop, cx: &mut Cx<'_, Self::R>) -> Next<Self::R> {
        unreserve(&self.trip, false, cx)
    }
}
impl On<RestockDue> for Backordered {
    fn on(&self, _: &RestockDue, cx: &mut Cx<'_, Self::R>) -> Next<Self::R> {
        begin(&self.trip, cx)
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
    cx.remind("overdue", format!("parcel {} should have left", cx.key()));
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
impl On<Quoted> for ReadyToHandOver {
    fn on(&self, e: &Quoted, cx: &mut Cx<'_, Self::R>) -> Next<Self::R> {
        let mut trip = self.trip.clone();
        if let Some(policy) = cx.policy().carriers.as_ref()
            && trip.taken.is_none()
            && trip.tracking.is_none()
        {
            trip.offers = policy.rank(&e.offers, cx.now());
            take_next(&mut trip, "no carrier keeps the promise", cx);
        }
        stay(ReadyToHandOver { trip })
    }
}
impl On<QuoteRefused> for ReadyToHandOver {
    fn on(&self, e: &QuoteRefused, cx: &mut Cx<'_, Self::R>) -> Next<Self::R> {
        cx.hold_for(Gates::Goods, "booking_refused", e.why.clone());
        stay(self.clone())
    }
}
impl Trip {
    fn booked(&self, e: &Booked) -> Trip {
        Trip { tracking: Some(e.tracking.clone()), offers: Vec::new(), ..self.clone() }
    }
}
impl On<Booked> for Leaving {
    fn on(&self, e: &Booked, _: &mut Cx<'_, Self::R>) -> Next<Self::R> {
        let trip = self.trip().booked(e);
        match self {
            Leaving::ReadyToHandOver(_) => stay(ReadyToHandOver { trip }),
            Leaving::CancelRequested(_) => stay(CancelRequested { trip }),
        }
    }
}
impl On<Booked> for Shelved {
    fn on(&self, e: &Booked, _: &mut Cx<'_, Self::R>) -> Next<Self::R> {
        // The gates shut while it was booked; it is not booked again when they open.
        let trip = self.trip().booked(e);
        match self {
            Shelved::Reserved(_) => stay(Reserved { trip }),
            Shelved::OnHold(held) => stay(OnHold { trip, ..held.clone() }),
            Shelved::Released(_) => stay(Released { trip }),
        }
    }
}
impl On<Booked> for Stopped {
    fn on(&self, e: &Booked, cx: &mut Cx<'_, Self::R>) -> Next<Self::R> {
        let trip = without_label(&self.trip().booked(e), cx);
        match self {
            Stopped::Unreserving(s) => stay(Unreserving { trip, ..s.clone() }),
            Stopped::Cancelled(_) => to(Cancelled { trip }),
        }
    }
}
impl On<CancelRefused> for Stopped {
    fn on(&self, e: &CancelRefused, cx: &mut Cx<'_, Self::R>) -> Next<Self::R> {
        cx.hold_for(Gates::Goods, "label_not_cancelled", e.why.clone());
        match self {
            Stopped::Unreserving(s) => stay(s.clone()),
            Stopped::Cancelled(s) => to(s.clone()),
        }
    }
}
impl On<BookingRefused> for ReadyToHandOver {
    fn on(&self, e: &BookingRefused, cx: &mut Cx<'_, Self::R>) -> Next<Self::R> {
        let mut trip = self.trip.clone();
        take_next(&mut trip, &e.why, cx);
        stay(ReadyToHandOver { trip })
    }
}
impl On<PackDue> for ReadyToHandOver {
    fn on(&self, _: &PackDue, cx: &mut Cx<'_, Self::R>) -> Next<Self::R> {
        if cx.seen::<Collected>().is_none() {
            cx.ask(NeedsCapture { parcel: cx.key() });
        }
        let mut trip = self.trip.clone();
        if cx.policy().book && cx.policy().carriers.is_some() && trip.tracking.is_none() {
            label(&mut trip, cx);
        }
        until(overdue(cx), ReadyToHandOver { trip })
    }
}

/// Whether parcels of the order may leave. What is sent in place of goods that came back leaves although the order was
/// completed.
fn may_leave<R: Row<M = M>>(cx: &Cx<'_, R>) -> bool {
    matches!(cx.life(), Life::Placed | Life::Completed)
}
/// Earns what it carries of what is due, and no more than that.
fn earn<R: Row<M = M>>(trip: &mut Trip, cx: &mut Cx<'_, R>)
where
    P7: PostedBy<R>,
{
    if !trip.earned {
        let earnable = cx.due_minor().saturating_sub(cx.books().earned());
        trip.earned = true;
        trip.earned_minor = trip.share_minor.min(earnable).max(0);
        cx.post(P7 { amount_minor: trip.earned_minor });
    }
}
fn unearn<R: Row<M = M>>(trip: &mut Trip, cx: &mut Cx<'_, R>)
where
    P8: PostedBy<R>,
{
    cx.post(P8 { amount_minor: trip.earned_minor.min(cx.books().earned()) });
    trip.earned_minor = 0;
    trip.earned = false;
}

/// Whether it left, and may be with the customer.
fn has_left(state: &State) -> bool {
    match state {
        State::HandedOver(_)
        | State::Lost(_)
        | State::Delivered(_)
        | State::Returning(_)
        | State::ReturnedToSender(_) => true,
        State::Planned(_)
        | State::Allocating(_)
        | State::Reserving(_)
        | State::Backordered(_)
        | State::Reserved(_)
        | State::OnHold(_)
        | State::Released(_)
        | State::ReadyToHandOver(_)
        | State::CancelRequested(_)
        | State::Unreserving(_)
        | State::Cancelled(_) => false,
    }
}
/// What carries a part of what is due: not what does not leave, nor what another parcel carries in its place.
fn carries(state: &State) -> Vec<(u32, u32)> {
    let stopped = match state {
        State::Cancelled(_) => true,
        State::Unreserving(s) => !s.again,
        State::Lost(s) => s.trip.resent || s.trip.relieved.is_some(),
        State::ReturnedToSender(s) => s.trip.relieved.is_some(),
        State::Planned(_)
        | State::Allocating(_)
        | State::Reserving(_)
        | State::Backordered(_)
        | State::Reserved(_)
        | State::OnHold(_)
        | State::Released(_)
        | State::ReadyToHandOver(_)
        | State::CancelRequested(_)
        | State::HandedOver(_)
        | State::Delivered(_)
        | State::Returning(_) => false,
    };
    if stopped { Vec::new() } else { counted(&trip(state).load) }
}

/// What each parcel carries of what is due, where that is another than it was.
#[must_use]
pub fn repriced(view: &View<'_, M>) -> Vec<(Key, Repriced)> {
    let all: Vec<(Key, &State)> = view.instances().collect();
    let loads: Vec<_> = all.iter().map(|(_, s)| (has_left(s), carries(s))).collect();
    let shares = view.world.obligation.shares(view.world.order, &loads);
    let another = |t: &Trip, share| t.share_minor != share || t.earned && t.earned_minor != share;
    let parcels = all.into_iter().zip(&loads).zip(shares);
    let changed = parcels.filter(|(((_, s), load), share)| !load.1.is_empty() && another(trip(s), *share));
    let (less, more): (Vec<_>, Vec<_>) = changed
        .map(|(((key, s), _), share_minor)| (trip(s).share_minor, key, Repriced { share_minor }))
        .partition(|(was, _, to)| to.share_minor < *was);
    // What one earns no more another earns: first come those that carry less.
    less.into_iter().chain(more).map(|(_, key, to)| (key, to)).collect()
}

impl On<Repriced> for Carrying {
    fn on(&self, s: &Repriced, cx: &mut Cx<'_, Self::R>) -> Next<Self::R> {
        let state = self.clone();
        macro_rules! same {
            ($($state:ident),+) => {
                match state { $(Carrying::$state(mut x) => { reprice(&mut x.trip, s, cx); stay(x) }),+ }
            };
        }
        same!(
            Planned,
            Allocating,
            Reserving,
            Backordered,
            Reserved,
            OnHold,
            Released,
            ReadyToHandOver,
            CancelRequested,
            Unreserving,
            HandedOver,
            Lost,
            Delivered,
            Returning,
            ReturnedToSender
        )
    }
}
/// Carries another part of what is due from here on; what it has earned moves with it.
fn reprice<R: Row<M = M>>(trip: &mut Trip, s: &Repriced, cx: &mut Cx<'_, R>)
where
    P7: PostedBy<R>,
    P8: PostedBy<R>,
{
    trip.share_minor = s.share_minor;
    if !trip.earned {
        return;
    }
    let less = trip.earned_minor.saturating_sub(s.share_minor).min(cx.books().earned()).max(0);
    let earnable = cx.due_minor().saturating_sub(cx.books().earned()).max(0);
    let more = s.share_minor.saturating_sub(trip.earned_minor).min(earnable).max(0);
    cx.post(P8 { amount_minor: less });
    cx.post(P7 { amount_minor: more });
    trip.earned_minor = trip.earned_minor.saturating_sub(less).saturating_add(more);
}

/// It is with the carrier: its units leave the stock, and its share is earned if the policy says so.
fn left<R: Row<M = M>>(trip: &Trip, cx: &mut Cx<'_, R>) -> Trip
where
    Consume: EmittedBy<R>,
    P7: PostedBy<R>,
{
    cx.want(Consume { units: trip.units(), asked: trip.asked, warehouse: trip.warehouse.clone() });
    let mut trip = Trip { handed_over_at: Some(cx.occurred()), ..trip.clone() };
    if cx.policy().earn == EarnPolicy::OnHandover {
        earn(&mut trip, cx);
    }
    trip
}
fn handed_over<R: Goto<HandedOver> + Row<M = M>>(trip: Trip, cx: &Cx<'_, R>) -> Next<R> {
    until(cx.after_ms(cx.policy().silent_ms), HandedOver { trip, asked: 0 })
}
impl Decide<HandOver> for ReadyToHandOver {
    fn decide(&self, _: &HandOver, cx: &mut Cx<'_, Self::R>) -> Answer<Self::R> {
        if !may_leave(cx) {
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
            Shelved::OnHold(s) if !s.stocked => to(Cancelled { trip: s.trip.clone() }),
            Shelved::OnHold(_) | Shelved::Reserved(_) | Shelved::Released(_) => {
                let trip = without_label(self.trip(), cx);
                unreserve(&trip, false, cx)
            }
        }
    }
}
impl On<Stop> for ReadyToHandOver {
    fn on(&self, _: &Stop, cx: &mut Cx<'_, Self::R>) -> Next<Self::R> {
        match cx.policy().packing {
            Packing::Automatic => {
                let trip = without_label(&self.trip, cx);
                unreserve(&trip, false, cx)
            }
            Packing::ByWarehouse => {
                let trip = self.trip.clone();
                until(cx.after_ms(cx.policy().pack_ms), CancelRequested { trip })
            }
        }
    }
}
impl Decide<CallOff> for Unstocked {
    fn decide(&self, _: &CallOff, cx: &mut Cx<'_, Self::R>) -> Answer<Self::R> {
        called_off(cx)?;
        call_off(&self.trip().load, "called off".to_owned(), cx);
        Ok(to(Cancelled { trip: self.trip().clone() }))
    }
}
impl Decide<CallOff> for Reserving {
    fn decide(&self, _: &CallOff, cx: &mut Cx<'_, Self::R>) -> Answer<Self::R> {
        called_off(cx)?;
        call_off(&self.trip.load, "called off".to_owned(), cx);
        Ok(unreserve(&self.trip, false, cx))
    }
}
impl Decide<CallOff> for Shelved {
    fn decide(&self, _: &CallOff, cx: &mut Cx<'_, Self::R>) -> Answer<Self::R> {
        called_off(cx)?;
        call_off(&self.trip().load, "called off".to_owned(), cx);
        Ok(match self {
            Shelved::OnHold(s) if !s.stocked => to(Cancelled { trip: s.trip.clone() }),
            Shelved::OnHold(_) | Shelved::Reserved(_) | Shelved::Released(_) => {
                let trip = without_label(self.trip(), cx);
                unreserve(&trip, false, cx)
            }
        })
    }
}
impl Decide<CallOff> for ReadyToHandOver {
    fn decide(&self, _: &CallOff, cx: &mut Cx<'_, Self::R>) -> Answer<Self::R> {
        called_off(cx)?;
        Ok(match cx.policy().packing {
            Packing::Automatic => {
                call_off(&self.trip.load, "called off".to_owned(), cx);
                let trip = without_label(&self.trip, cx);
                unreserve(&trip, false, cx)
            }
            // Whether it can still be stopped is the warehouse's to say.
            Packing::ByWarehouse => {
                let trip = Trip { called_off: true, ..self.trip.clone() };
                until(cx.after_ms(cx.policy().pack_ms), CancelRequested { trip })
            }
        })
    }
}
impl Decide<CallOff> for Gone {
    fn decide(&self, _: &CallOff, cx: &mut Cx<'_, Self::R>) -> Answer<Self::R> {
        called_off(cx)?;
        let was = match self {
            Gone::Lost(s) => &s.trip,
            Gone::ReturnedToSender(s) => &s.trip,
        };
        // What is sent in its place, or was let off before, is not given once more.
        if was.resent || was.relieved.is_some() {
            return refuse("called_off", "nothing is due for it any more");
        }
        let relief = unsent(&was.load, cx);
        let trip = Trip { relieved: Some(relief.clone()), ..was.clone() };
        cx.ask(Waive { relief, goes_back: true, reason: "not sent again".to_owned() });
        Ok(match self {
            Gone::Lost(_) => to(Lost { trip }),
            Gone::ReturnedToSender(_) => to(ReturnedToSender { trip }),
        })
    }
}
/// Of an order on its way out, every parcel is stopped anyway.
fn called_off<R: Row<M = M>>(cx: &Cx<'_, R>) -> Result<(), Refusal> {
    if may_leave(cx) {
        return Ok(());
    }
    Err(Refusal { code: "not_wanted", detail: "the order is not wanted any more".to_owned() })
}
impl Decide<ConfirmStop> for CancelRequested {
    fn decide(&self, _: &ConfirmStop, cx: &mut Cx<'_, Self::R>) -> Answer<Self::R> {
        if self.trip.called_off && may_leave(cx) {
            call_off(&self.trip.load, "called off".to_owned(), cx);
        }
        let trip = without_label(&self.trip, cx);
        Ok(unreserve(&trip, false, cx))
    }
}
impl On<PackDue> for CancelRequested {
    fn on(&self, _: &PackDue, cx: &mut Cx<'_, Self::R>) -> Next<Self::R> {
        cx.remind("stop_unanswered", format!("parcel {}: left, or stopped?", cx.key()));
        until(cx.after_ms(cx.policy().pack_ms), self.clone())
    }
}
fn freed<R: Goto<Cancelled> + Goto<Planned> + Row<M = M>>(s: &Unreserving, cx: &Cx<'_, R>) -> Next<R> {
    let trip = s.trip.clone();
    if s.again && may_leave(cx) {
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
        cx.hold_for(Gates::Goods, "stock_not_released", e.why.clone());
        freed(self, cx)
    }
}
impl On<AnswerDue> for Unreserving {
    fn on(&self, _: &AnswerDue, cx: &mut Cx<'_, Self::R>) -> Next<Self::R> {
        give_back(Unreserving { trip: self.trip.unanswered(), ..self.clone() }, cx)
    }
}
impl Decide<Intercept> for HandedOver {
    fn decide(&self, _: &Intercept, cx: &mut Cx<'_, Self::R>) -> Answer<Self::R> {
        let trip = Trip { intercepts: self.trip.intercepts.saturating_add(1), ..self.trip.clone() };
        let carrier = trip.taken.clone().map(|taken| taken.0);
        cx.want_nth(trip.intercepts, BringBack { tracking: trip.tracking.clone(), carrier });
        Ok(stay(HandedOver { trip, asked: self.asked }))
    }
}
impl On<Intercepted> for HandedOver {
    fn on(&self, _: &Intercepted, cx: &mut Cx<'_, Self::R>) -> Next<Self::R> {
        returning(&self.trip, cx)
    }
}
impl On<InterceptRefused> for HandedOver {
    fn on(&self, _: &InterceptRefused, _: &mut Cx<'_, Self::R>) -> Next<Self::R> {
        // It goes on, and the order with it; the customer may send it back.
        stay(self.clone())
    }
}
impl On<Consumed> for HandedOver {
    fn on(&self, _: &Consumed, _: &mut Cx<'_, Self::R>) -> Next<Self::R> {
        let trip = Trip { consumed: true, ..self.trip.clone() };
        stay(HandedOver { trip, asked: self.asked })
    }
}
impl On<ConsumeRefused> for HandedOver {
    fn on(&self, e: &ConsumeRefused, cx: &mut Cx<'_, Self::R>) -> Next<Self::R> {
        cx.hold_for(Gates::Goods, "stock_not_consumed", e.why.clone());
        stay(self.clone())
    }
}
impl On<Moving> for HandedOver {
    fn on(&self, e: &Moving, cx: &mut Cx<'_, Self::R>) -> Next<Self::R> {
        let scan = Scan { status: e.status.clone(), at: cx.occurred() };
        let mut trip = self.trip.clone();
        if scan.status == Tracking::AttemptFailed {
            trip.attempts = trip.attempts.saturating_add(1);
        }
        // Scans come out of order: the newest by the time they name stands.
        if trip.scan.as_ref().is_none_or(|held| held.at <= scan.at) {
            trip.scan = Some(scan);
        }
        if cx.policy().attempts.is_some_and(|most| trip.attempts >= most) {
            return returning(&trip, cx);
        }
        until(cx.after_ms(cx.policy().silent_ms), HandedOver { trip, asked: 0 })
    }
}
impl On<SilentDue> for HandedOver {
    fn on(&self, _: &SilentDue, cx: &mut Cx<'_, Self::R>) -> Next<Self::R> {
        if self.asked < cx.policy().inquiries {
            let asked = self.asked.saturating_add(1);
            // The first inquiry of each silence is an operation of its own.
            let nth = if asked == 1 { 0 } else { asked };
            cx.want_nth(nth, Track { tracking: self.trip.tracking.clone() });
            let state = HandedOver { trip: self.trip.clone(), asked };
            return until(cx.after_ms(cx.policy().silent_ms), state);
        }
        lost(&self.trip, "has been silent for too long", cx)
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
        earn(&mut trip, cx);
        to(Delivered { trip, by: e.by })
    }
}
impl On<DeliveredTo> for Lost {
    fn on(&self, e: &DeliveredTo, cx: &mut Cx<'_, Self::R>) -> Next<Self::R> {
        let mut trip = self.trip.delivered(cx.occurred());
        let relieved = trip.relieved.take();
        match relieved {
            // The customer has the money and the goods now, and owes for them.
            Some(relief) if may_leave(cx) => {
                trip.earned = true;
                cx.ask(Unwaive { relief });
            }
            Some(relief) => {
                trip.share_minor = relief.given_minor();
                arrived_late(&mut trip, cx);
            }
            None if trip.resent && may_leave(cx) => {
                trip.resent = false;
                trip.earned = true;
                let extras = besides(&mut trip, cx);
                let reason = format!("parcel {} arrived after all", cx.key());
                cx.ask(Waive { relief: Relief { extras, ..Relief::default() }, goes_back: false, reason });
            }
            None => arrived_late(&mut trip, cx),
        }
        to(Delivered { trip, by: e.by })
    }
}
/// What was lost arrived after all: it is earned, whatever became of the order since.
fn arrived_late<R: Row<M = M>>(trip: &mut Trip, cx: &mut Cx<'_, R>)
where
    P7: PostedBy<R>,
{
    trip.earned = true;
    trip.earned_minor = trip.share_minor.max(0);
    cx.post(P7 { amount_minor: trip.earned_minor });
}
/// What arrived beside what was sent in its place: the customer has it on top of the order, and owes for it or sends it
/// back.
fn besides<R: Row<M = M>>(trip: &mut Trip, cx: &Cx<'_, R>) -> Vec<Extra> {
    let shares = cx.order().line_shares();
    let mut extras = Vec::new();
    for (item, number) in trip.load.iter_mut().zip(cx.obligation().next_extra()..) {
        let at = item.counted().and_then(|line| usize::try_from(line).ok());
        let quantity = at.and_then(|at| cx.order().lines().get(at)).map_or(1, |l| l.quantity.max(1));
        let share = at.and_then(|at| shares.get(at)).copied().unwrap_or_default();
        let all = i128::from(share).saturating_mul(i128::from(item.quantity));
        let price = all.checked_div(i128::from(quantity)).unwrap_or(0);
        let price_minor = i64::try_from(price).unwrap_or(0);
        extras.push(Extra { sku: item.sku.clone(), quantity: item.quantity, price_minor });
        item.line = Some(number);
    }
    extras
}
/// Units of an item that came back by returns. Where several parcels brought units of a line, the first one is counted
/// first.
fn came_back<R: Row<M = M>>(item: &Item, cx: &Cx<'_, R>) -> u32 {
    let Some(line) = item.line else { return 0 };
    let all = cx.obligation().credit(line).back;
    let before = cx.siblings().instances().take_while(|(key, _)| *key < cx.key());
    let before = before.filter(|(_, s)| has_left(s)).flat_map(|(_, s)| &trip(s).load);
    let taken = before.filter(|i| i.line == Some(line)).fold(0u32, |n, i| n.saturating_add(i.quantity));
    all.saturating_sub(taken).min(item.quantity)
}
fn all_back<R: Row<M = M>>(trip: &Trip, cx: &Cx<'_, R>) -> bool {
    !trip.load.is_empty() && trip.load.iter().all(|i| came_back(i, cx) == i.quantity)
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
        // What came back unit by unit is not waited for.
        if all_back(&self.trip, cx) {
            return back(&self.trip, cx);
        }
        returning(&self.trip, cx)
    }
}
impl On<TurnedBack> for Out {
    fn on(&self, _: &TurnedBack, cx: &mut Cx<'_, Self::R>) -> Next<Self::R> {
        // A scan of before the delivery tells of a detour; and long after it, the number is another parcel's by now.
        if let Out::Delivered(s) = self {
            let at = s.trip.delivered_at.unwrap_or_else(|| cx.occurred());
            let until = at.saturating_add(std::time::Duration::from_millis(cx.policy().final_ms));
            if cx.occurred() < at || cx.occurred() > until {
                return stay(s.clone());
            }
        }
        returning(self.trip(), cx)
    }
}
impl On<Mislaid> for Travelling {
    fn on(&self, _: &Mislaid, cx: &mut Cx<'_, Self::R>) -> Next<Self::R> {
        lost(self.trip(), "is lost, says the carrier", cx)
    }
}
impl On<Proven> for Delivered {
    fn on(&self, e: &Proven, _: &mut Cx<'_, Self::R>) -> Next<Self::R> {
        // The first one stands; each reference adds what was not known.
        let held = self.trip.proof.clone().unwrap_or_default();
        let proof = ProofOfDelivery {
            signature: held.signature.or_else(|| e.proof.signature.as_deref().map(reference)),
            photo: held.photo.or_else(|| e.proof.photo.as_deref().map(reference)),
            at: held.at.or(e.proof.at),
        };
        stay(Delivered { trip: Trip { proof: Some(proof), ..self.trip.clone() }, by: self.by })
    }
}

/// A reference, at most 128 bytes of it.
fn reference(text: &str) -> String {
    let ends = text.char_indices().map(|(at, c)| at.saturating_add(c.len_utf8()));
    let end = ends.take_while(|end| *end <= 128).last().unwrap_or(0);
    text.get(..end).unwrap_or_default().to_owned()
}

/// What it earned is taken back, and the customer gets what the policy says.
fn lost<R>(trip: &Trip, why: &str, cx: &mut Cx<'_, R>) -> Next<R>
where
    R: Goto<Lost> + Row<M = M>,
    P8: PostedBy<R>,
    CannotFill: AskedBy<R>,
    SplitOff: AskedBy<R>,
    Waive: AskedBy<R>,
{
    let mut trip = trip.clone();
    unearn(&mut trip, cx);
    let why = format!("parcel {} {why}", cx.key());
    let me = cx.key();
    let more = cx.siblings().instances().any(|(key, s)| {
        key != me && !matches!(s, State::Cancelled(_) | State::Lost(_) | State::ReturnedToSender(_))
    });
    match cx.policy().lost {
        OnLoss::Hold => cx.hold_for(Gates::Goods, "lost", why),
        // Of an order on its way out, all of the money goes back anyway.
        OnLoss::Refund | OnLoss::Resend if !may_leave(cx) => {}
        OnLoss::Refund if more => {
            let relief = unsent(&trip.load, cx);
            trip.relieved = Some(relief.clone());
            cx.ask(Waive { relief, goes_back: true, reason: why });
        }
        OnLoss::Refund => cx.ask(CannotFill { parcel: me, why }),
        OnLoss::Resend => {
            let Trip { group, load, share_minor, .. } = trip.clone();
            trip.resent = true;
            cx.ask(SplitOff { parcel: me, rest: Split { group, load, share_minor, warehouse: None } });
        }
    }
    to(Lost { trip })
}
fn back<R: Goto<ReturnedToSender> + Row<M = M>>(trip: &Trip, cx: &mut Cx<'_, R>) -> Next<R>
where
    P8: PostedBy<R>,
{
    let mut trip = trip.clone();
    unearn(&mut trip, cx);
    if matches!(cx.life(), Life::Placed | Life::Completed) {
        cx.hold_for(
            Gates::Goods,
            "returned",
            format!("parcel {} came back: send it again, or refund", cx.key()),
        );
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
        cx.remind("return_overdue", format!("parcel {} should be back", cx.key()));
        until(cx.after_ms(cx.policy().return_ms), self.clone())
    }
}

/// What a parcel is, whatever became of it.
#[must_use]
pub fn trip(state: &State) -> &Trip {
    match state {
        State::Planned(s) => &s.trip,
        State::Allocating(s) => &s.trip,
        State::Reserving(s) => &s.trip,
        State::Backordered(s) => &s.trip,
        State::Reserved(s) => &s.trip,
        State::OnHold(s) => &s.trip,
        State::Released(s) => &s.trip,
        State::ReadyToHandOver(s) => &s.trip,
        State::CancelRequested(s) => &s.trip,
        State::Unreserving(s) => &s.trip,
        State::Cancelled(s) => &s.trip,
        State::HandedOver(s) => &s.trip,
        State::Lost(s) => &s.trip,
        State::Delivered(s) => &s.trip,
        State::Returning(s) => &s.trip,
        State::ReturnedToSender(s) => &s.trip,
    }
}

impl Indexed for M {
    /// By the carrier's number: how a scan that knows no order finds it.
    fn rows(_: Key, state: &State, _: &Order, _: &DispatchPolicy) -> Vec<IndexRow> {
        let row = |number: &String| IndexRow { space: "dispatch.tracking", key: number.clone(), sort: 0 };
        trip(state).tracking.as_ref().map(row).into_iter().collect()
    }
}

impl Fold<WithCustomer> for M {
    fn fold(v: &View<'_, Self>) -> Option<WithCustomer> {
        let mut units = Vec::new();
        for (_, s) in v.instances() {
            let State::Delivered(s) = s else { continue };
            let at = s.trip.delivered_at.unwrap_or(v.world.now);
            let brought = |i: &Item| Some(Brought { line: i.line?, quantity: i.quantity, at });
            units.extend(s.trip.load.iter().filter_map(brought));
        }
        (!units.is_empty()).then_some(WithCustomer { units })
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
                | State::Allocating(_)
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
        // Parcels that came back or were lost wait for a person's word; where all were called off there is none to wait
        // for.
        let all_called_off = v.instances().all(|(_, s)| matches!(s, State::Cancelled(_))) && !v.is_empty();
        (delivered > 0 || all_called_off).then(|| Served::with(delivered))
    }
}
