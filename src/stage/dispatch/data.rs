//! What a parcel carries, what is said of it, and what is asked for it.

use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;
use crate::id::Key;
use crate::machine::Evidence;
use crate::order::Relief;
pub use crate::stage::proof::Unit;
use crate::stage::{data, guesses, plain, quiet};

/// What a parcel is, and what happened to it; kept from state to state.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Trip {
    /// Which group of the order's lines it carries.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// What is in it.
    #[serde(default)]
    pub load: Vec<Item>,
    /// Its share of the order's total, in minor units.
    pub share_minor: i64,
    /// How often stock was asked for: each time is an operation of its own.
    #[serde(default)]
    pub asked: u32,
    /// How often the warehouse left the last question without an answer.
    #[serde(default, skip_serializing_if = "none")]
    pub silent: u32,
    /// The warehouse it leaves from, once that is chosen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub warehouse: Option<String>,
    /// Warehouses that were short since it was last allocated.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub without: Vec<String>,
    /// How often something was missing when it was picked.
    #[serde(default, skip_serializing_if = "none")]
    pub picks: u32,
    /// How often offers were asked for.
    #[serde(default, skip_serializing_if = "none")]
    pub quotes: u32,
    /// Offers that are left in case the one that is taken is refused, the best first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub offers: Vec<Offer>,
    /// The offer that is taken: carrier and service.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub taken: Option<(String, String)>,
    /// How often a label of an offer was asked for.
    #[serde(default, skip_serializing_if = "none")]
    pub bookings: u32,
    /// How often the carrier was asked to bring it back.
    #[serde(default, skip_serializing_if = "none")]
    pub intercepts: u32,
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
    /// How often the carrier tried to deliver it and failed.
    #[serde(default, skip_serializing_if = "none")]
    pub attempts: u32,
    /// What proves that it was delivered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proof: Option<ProofOfDelivery>,
    /// Whether it has earned what it carries.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub earned: bool,
    /// What the customer was let off for it, once it was lost.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub relieved: Option<Relief>,
    /// Whether another parcel carries the same in its place.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub resent: bool,
    /// Whether it is called off once the warehouse has stopped it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub called_off: bool,
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

#[allow(clippy::trivially_copy_pass_by_ref)] // the shape serde asks for
fn none(n: &u32) -> bool {
    *n == 0
}

/// What proves that a parcel was delivered: references to what the carrier or the host keeps, never a name or a
/// picture. Each is at most 128 bytes; longer ones are cut.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProofOfDelivery {
    /// Of the signature.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signature: Option<String>,
    /// Of a photo.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub photo: Option<String>,
    /// Where it was: latitude and longitude in millionths of a degree.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<(i32, i32)>,
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
    /// Silent for so long that the carrier tells no more.
    Stale,
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

/// Units in a parcel.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Item {
    /// What.
    pub sku: String,
    /// How many.
    pub quantity: u32,
    /// The line of the order that they fill, counted from 0, or the number of what comes in exchange
    /// ([`EXCHANGED`](crate::order::EXCHANGED)); none for what a host sends besides.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line: Option<u32>,
    /// Whether it is the same once more, for nothing.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub again: bool,
}

impl Item {
    /// The line of which it carries a part of what is due.
    #[must_use]
    pub const fn counted(&self) -> Option<u32> {
        if self.again { None } else { self.line }
    }
}

/// What a warehouse has, of what was asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WarehouseStock {
    /// Which.
    pub warehouse: String,
    /// What can be set aside there.
    pub units: Vec<Unit>,
}

/// What a carrier would carry a parcel for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Offer {
    /// Who.
    pub carrier: String,
    /// With which of its services.
    pub service: String,
    /// What it costs, in minor units of the order's currency.
    pub cost_minor: u64,
    /// When it promises to have delivered.
    pub promise: Timestamp,
    /// How well it does, from 0 to 100, by whatever the host goes by.
    pub score: u8,
}

data! {
    /// Planned, nothing reserved.
    Planned { /** What happened to it. */ trip: Trip }
    /// The warehouses were asked what they have.
    Allocating { /** What happened to it. */ trip: Trip }
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
    Unreserving {
        /** What happened to it. */ trip: Trip,
        /** Whether it is planned again after that. */ again: bool,
        /** What is given back, where it is not what the parcel is to carry. */
        #[serde(default, skip_serializing_if = "Vec::is_empty")] back: Vec<Item>,
    }
    /// Will not leave.
    Cancelled { /** What happened to it. */ trip: Trip }
    /// The carrier has it.
    HandedOver {
        /** What happened to it. */ trip: Trip,
        /** How often the carrier was asked since it was last heard of. */
        #[serde(default, skip_serializing_if = "none")] asked: u32,
    }
    /// The carrier lost it.
    Lost { /** What happened to it. */ trip: Trip }
    /// The customer has it.
    Delivered { /** What happened to it. */ trip: Trip, /** Who took it. */ by: Receiver }
    /// On its way back.
    Returning { /** What happened to it. */ trip: Trip }
    /// Back.
    ReturnedToSender { /** What happened to it. */ trip: Trip }

    /// Not all of it is on the shelf. What is missing travels later in a parcel of its own, or is called off, as the
    /// policy has it.
    PickShort { /** What is missing. */ missing: Vec<Unit> }
    /// Holds a parcel. Holds stack.
    Hold { /** Why. */ reason: String }
    /// Takes one hold away.
    Unhold { /** Which. */ reason: String }

    /// Asks what every warehouse has of this. Sets nothing aside.
    AskStock { /** What. */ units: Vec<Unit> }
    /// Sets units aside.
    Reserve {
        /** What. */ units: Vec<Unit>,
        /** Which reservation of the parcel, from 1. */ asked: u32,
        /** Where, if a warehouse was chosen. */
        #[serde(default, skip_serializing_if = "Option::is_none")] warehouse: Option<String>,
    }
    /// Gives units back.
    Unreserve {
        /** What. */ units: Vec<Unit>,
        /** Which reservation: the number of times stock had been asked for. */ asked: u32,
        /** Where, if a warehouse was chosen. */
        #[serde(default, skip_serializing_if = "Option::is_none")] warehouse: Option<String>,
    }
    /// Takes units out of the stock for good.
    Consume {
        /** What. */ units: Vec<Unit>,
        /** Which reservation. */ asked: u32,
        /** Where, if a warehouse was chosen. */
        #[serde(default, skip_serializing_if = "Option::is_none")] warehouse: Option<String>,
    }
    /// Books a label.
    Book {
        /** What is in it. */ units: Vec<Unit>,
        /** With whom, if an offer was chosen. */
        #[serde(default, skip_serializing_if = "Option::is_none")] carrier: Option<String>,
        /** With which of its services. */
        #[serde(default, skip_serializing_if = "Option::is_none")] service: Option<String>,
    }
    /// Asks what carriers would carry it for. Books nothing.
    Quote {
        /** What is in it. */ units: Vec<Unit>,
        /** Where it leaves from, if a warehouse was chosen. */
        #[serde(default, skip_serializing_if = "Option::is_none")] warehouse: Option<String>,
    }
    /// Cancels a label of a parcel that does not leave.
    CancelBooking { /** The carrier's number. */ tracking: String, /** The carrier. */ carrier: Option<String> }
    /// Asks the carrier to bring a parcel back that is on its way.
    BringBack { /** The carrier's number. */ tracking: Option<String>, /** The carrier. */ carrier: Option<String> }
    /// Asks the carrier where it is.
    Track { /** The carrier's number. */ tracking: Option<String> }

    /// What the warehouses have.
    StockSeen { /** By warehouse. */ stock: Vec<WarehouseStock> }
    /// The inventory does not say what there is.
    AskStockRefused { /** Why. */ why: String }
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
    /// What carriers would carry it for.
    Quoted { /** In any order; none if nobody would. */ offers: Vec<Offer> }
    /// Nobody says what it would cost.
    QuoteRefused { /** Why. */ why: String }
    /// The label stays booked.
    CancelRefused { /** Why. */ why: String }
    /// The parcel goes on.
    InterceptRefused { /** Why. */ why: String }
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
    /// The proof of it, which may come later.
    Proven { /** What proves it. */ proof: ProofOfDelivery }

    /// Wants the money captured before it leaves.
    NeedsCapture { /** The parcel. */ parcel: Key }
    /// Travels later, in a parcel of its own.
    SplitOff { /** The parcel that it is split off. */ parcel: Key, /** What. */ rest: Split }
    /// Sends something instead of what came back, was lost or was wrong.
    Resend { /** What. */ load: Vec<Item>, /** Minor units of the order's total that it carries. */ share_minor: i64 }
    /// Opens a parcel for what another could not take.
    Split {
        /** Which group of the order's lines. */ group: Option<String>,
        /** What. */ load: Vec<Item>,
        /** Minor units of the order's total that it carries. */ share_minor: i64,
        /** Where it leaves from, if that is chosen already. */
        #[serde(default, skip_serializing_if = "Option::is_none")] warehouse: Option<String>,
    }
    /// What is due is another: what it carries of it now.
    Repriced { /** Minor units. */ share_minor: i64 }
    /// The order was amended: what it is to carry now, if anything.
    Replan { /** What. */ plan: Option<Split> }
    /// Cannot leave.
    CannotFill { /** The parcel. */ parcel: Key, /** Why. */ why: String }
}

plain! {
    /// Calls a parcel off that has not left: what is in it is not sent, and not due any more.
    CallOff,
    /// Packed.
    Pack,
    /// Handed to the carrier, says the warehouse.
    HandOver,
    /// The warehouse stopped it.
    ConfirmStop,
    /// Has a parcel that is on its way brought back, if the carrier still can.
    Intercept,
    /// The label is cancelled.
    BookingCancelled,
    /// The carrier brings it back.
    Intercepted,
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
    Quoted,
    QuoteRefused,
    BookingCancelled,
    CancelRefused,
    Intercepted,
    InterceptRefused,
    Consumed,
    ConsumeRefused,
    Unreserved,
    UnreserveRefused,
    NoNews,
    TrackRefused,
    InStock,
    StockSeen,
    AskStockRefused,
    Short,
    ReserveRefused,
    Accepted,
    Mislaid,
    DeliveredTo,
    Proven,
    TurnedBack,
    CameBack
);
guesses!(StockLost, BookLost; StockGaveUp, BookGaveUp);
impl Evidence for Moving {
    fn identity(&self) -> Option<String> {
        Some(format!("scan {}", self.scan))
    }
}
