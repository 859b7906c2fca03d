//! The document: what was ordered, what it costs, and how it is to be paid.
//!
//! ```text
//! Draft  --parse-->  Order  --content-->  bytes that are equal when the orders are
//!   |                  |
//!   | every Fault      +-- tenders()   ways to pay, numbered
//!   v                  +-- parcels()   goods by group, numbered, each with its share of the total
//! the host             +-- services()  services, numbered, each with its share of what is left for them
//! ```
//!
//! A [`Draft`] is what a host fills or reads from JSON. [`Order::parse`] checks it whole, and an
//! [`Order`] is valid from then on: its lines and charges add up to its total, its tenders do too
//! where there are any, no sum of its amounts overflows, and no SKU, group, reference or attribute
//! looks like a card number. It holds references to people, never their names or addresses.

mod draft;
mod fault;
pub(crate) mod forbidden;
mod obligation;
mod parcel;
mod parse;
mod share;

pub use draft::{Charge, ChargeKind, Draft, DraftTender, Line, LineKind, Party, PartyRole};
pub use fault::{Fault, Faults};
pub use obligation::{CarriageBack, Credit, EXCHANGED, Extra, Left, Obligation, Relief};
pub use parcel::{Carriage, Parcel, Service};

use std::collections::BTreeMap;
use std::sync::OnceLock;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::id::{Actor, Channel, Key, OrderId};
use crate::money::{Currency, Money};

/// A valid order. Written and read as its [`Draft`], so what is read is checked again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Draft", into = "Draft")]
pub struct Order {
    id: OrderId,
    currency: Currency,
    lines: Vec<Line>,
    charges: Vec<Charge>,
    parties: Vec<Party>,
    total_minor: i64,
    tenders: Vec<Tender>,
    attributes: BTreeMap<String, String>,
    placed_by: Actor,
    hash: ContentHash,
}

/// What an order is about: its lines' kinds together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum OrderKind {
    /// Goods only.
    #[default]
    Goods,
    /// Services only.
    Service,
    /// Goods and services.
    Mixed,
}

impl OrderKind {
    /// The word: `goods`, `service`, `mixed`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Goods => "goods",
            Self::Service => "service",
            Self::Mixed => "mixed",
        }
    }
}

/// The SHA-256 of an order's content, worked out when it is first asked for. Equal orders have
/// equal content, so it adds nothing to a comparison.
#[derive(Clone, Default)]
struct ContentHash(OnceLock<[u8; 32]>);

impl PartialEq for ContentHash {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}
impl Eq for ContentHash {}

impl std::fmt::Debug for ContentHash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ContentHash")
    }
}

/// A part of the total that is to be paid on one channel.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Tender {
    /// Its number, from 1 in the order of the draft.
    pub key: Key,
    /// Where it is to be paid.
    pub channel: Channel,
    /// Minor units of the order's currency, positive.
    pub amount_minor: i64,
}

impl Order {
    /// Most lines of an order.
    pub const MAX_LINES: usize = 1_000;
    /// Most charges of an order.
    pub const MAX_CHARGES: usize = 1_000;
    /// Most parties of an order.
    pub const MAX_PARTIES: usize = 64;
    /// Most tenders of an order.
    pub const MAX_TENDERS: usize = 64;
    /// Most attributes of an order.
    pub const MAX_ATTRIBUTES: usize = 32;
    /// Longest SKU, group or reference, in bytes.
    pub const MAX_TEXT_BYTES: usize = 128;
    /// Longest key of an attribute, in bytes.
    pub const MAX_ATTRIBUTE_KEY_BYTES: usize = 64;
    /// Longest value of an attribute, in bytes.
    pub const MAX_ATTRIBUTE_VALUE_BYTES: usize = 512;

    /// Checks a draft.
    ///
    /// # Errors
    ///
    /// Every [`Fault`] of the draft, in the order of its fields. Where a list has more entries than
    /// it may, that is its only fault: the entries are not looked at, and sums over them not taken.
    pub fn parse(draft: Draft) -> Result<Self, Vec<Fault>> {
        parse::parse(draft)
    }

    /// The host's id.
    #[must_use]
    pub const fn id(&self) -> &OrderId {
        &self.id
    }

    /// The one currency of every amount here.
    #[must_use]
    pub const fn currency(&self) -> Currency {
        self.currency
    }

    /// What was ordered; at least one line.
    #[must_use]
    pub fn lines(&self) -> &[Line] {
        &self.lines
    }

    /// What comes on top or off.
    #[must_use]
    pub fn charges(&self) -> &[Charge] {
        &self.charges
    }

    /// Whom it concerns, by reference.
    #[must_use]
    pub fn parties(&self) -> &[Party] {
        &self.parties
    }

    /// Lines plus charges; zero or more.
    #[must_use]
    pub const fn total(&self) -> Money {
        Money::new(self.total_minor, self.currency)
    }

    /// How it is to be paid. They add up to the total, or there are none yet.
    #[must_use]
    pub fn tenders(&self) -> &[Tender] {
        &self.tenders
    }

    /// What the host keeps with the order.
    #[must_use]
    pub const fn attributes(&self) -> &BTreeMap<String, String> {
        &self.attributes
    }

    /// Who placed it.
    #[must_use]
    pub const fn placed_by(&self) -> &Actor {
        &self.placed_by
    }

    /// The goods by group, in order of first appearance; lines without a group are one parcel.
    ///
    /// A parcel's share is what it carries of the total: its lines, the charges that name them, those of its group, its
    /// part of the charges without one, and its [`carriage`](Self::carriage), by largest remainder. That part follows
    /// what the parcel carries on its own, or is equal where this is negative for some parcel or zero for all. A
    /// charge whose group no line has counts as one without. If some share came out negative, the
    /// whole total is split by the lines alone, or equally where they cost nothing. Thus no share
    /// is negative, and all of them with [`services_minor`](Self::services_minor) are the total.
    #[must_use]
    pub fn parcels(&self) -> Vec<Parcel> {
        parcel::shares(self).0
    }

    /// What the services carry of the total, in minor units: all of it in an order without goods,
    /// nothing in one without services.
    #[must_use]
    pub fn services_minor(&self) -> i64 {
        parcel::shares(self).1
    }

    /// Whether it is about goods, services, or both.
    #[must_use]
    pub fn kind(&self) -> OrderKind {
        let goods = self.lines.iter().any(|l| l.kind == LineKind::Goods);
        let services = self.lines.iter().any(|l| l.kind == LineKind::Service);
        match (goods, services) {
            (true, true) => OrderKind::Mixed,
            (false, true) => OrderKind::Service,
            (true | false, false) => OrderKind::Goods,
        }
    }

    /// The services, one per line, in the order of the lines.
    ///
    /// A service's share is its part of [`services_minor`](Self::services_minor), by largest remainder: it follows what
    /// the lines cost, or is equal where they cost nothing. Thus no share is negative, and all of them together are
    /// what the services carry.
    #[must_use]
    pub fn services(&self) -> Vec<Service> {
        parcel::services(self)
    }

    /// The charges for shipping that goods are carried for: no part of what a line or a unit carries. Whether they go
    /// back is policy: see [`CarriageBack`].
    #[must_use]
    pub fn carriage(&self) -> Vec<Carriage> {
        parcel::carriage(self)
    }

    /// What each line carries of the total, in minor units and in the order of the lines: the net of what was paid for
    /// it, with discounts, taxes and adjustments apportioned, and carriage left out.
    ///
    /// A charge that names lines is carried by them. For the rest, the lines of a parcel divide its share by what they
    /// cost, by largest remainder, or evenly where they cost nothing. No share is negative, and all of them together
    /// with the [`carriage`](Self::carriage) are the total.
    #[must_use]
    pub fn line_shares(&self) -> Vec<i64> {
        share::lines(self)
    }

    /// What some units of a line carry of the total, in minor units: what a refund of them gives back. `line` is a
    /// place in [`Order::lines`], counted from 0, and so are the units; those that the line does not have carry
    /// nothing.
    ///
    /// However the units of a line are parted, the parts together are what the line carries.
    #[must_use]
    pub fn unit_share(&self, line: usize, units: std::ops::Range<u32>) -> i64 {
        let share = self.line_shares().get(line).copied().unwrap_or_default();
        self.lines.get(line).map_or(0, |l| share::units(share, l.quantity, units))
    }

    /// The order as bytes: two orders are equal exactly when these are. They tell a second placing
    /// of the same order from another order under the same id.
    #[must_use]
    pub fn content(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("a document is text and integers, which JSON can say")
    }

    /// The SHA-256 of [`content`](Self::content): what an approval is bound to.
    #[must_use]
    pub fn content_hash(&self) -> [u8; 32] {
        *self.hash.0.get_or_init(|| Sha256::digest(self.content()).into())
    }
}

impl TryFrom<Draft> for Order {
    type Error = Faults;

    fn try_from(draft: Draft) -> Result<Self, Faults> {
        Self::parse(draft).map_err(Faults)
    }
}

#[cfg(test)]
mod tests;
