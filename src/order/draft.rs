//! What a host fills in.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Order, Tender};
use crate::id::Actor;
use crate::money::{AmountError, Currency, Money};

/// An order as its host states it, not yet checked: see [`Order::parse`].
///
/// Amounts are integer minor units of the currency. Lists that are empty may be left out of the
/// JSON; a field nobody knows is refused, since a misspelt one could be money.
///
/// ```
/// # use consign::id::Actor;
/// # use consign::order::{Charge, ChargeKind, Draft, Line, Order};
/// let mut draft = Draft::new("2017-00042", "BRL", Actor::customer("c-1")?);
/// draft.lines.push(Line::goods("tea-100g", 2, draft.minor("16.5")?).in_group("seller-7"));
/// draft.charges.push(Charge::new(ChargeKind::Shipping, draft.minor("7.90")?));
/// draft.total_minor = draft.minor("40.90")?;
/// let order = Order::parse(draft).expect("a draft without faults");
/// assert_eq!(order.total().to_string(), "40.90 BRL");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Draft {
    /// The host's id of the order: see [`OrderId`](crate::id::OrderId).
    pub id: String,
    /// The ISO 4217 code of every amount's currency.
    pub currency: String,
    /// What is ordered: 1 to [`Order::MAX_LINES`].
    pub lines: Vec<Line>,
    /// What comes on top or off: up to [`Order::MAX_CHARGES`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub charges: Vec<Charge>,
    /// Whom it concerns: up to [`Order::MAX_PARTIES`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub parties: Vec<Party>,
    /// What lines and charges add up to, zero or more. Stated, so that a host that counts otherwise
    /// learns it before money moves.
    pub total_minor: i64,
    /// How it is to be paid: up to [`Order::MAX_TENDERS`], together the total; or none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tenders: Vec<DraftTender>,
    /// What the host wants kept with the order: up to [`Order::MAX_ATTRIBUTES`], keys of 1 to
    /// [`Order::MAX_ATTRIBUTE_KEY_BYTES`], values of up to [`Order::MAX_ATTRIBUTE_VALUE_BYTES`].
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub attributes: BTreeMap<String, String>,
    /// Who places it.
    pub placed_by: Actor,
}

/// Some units of one thing.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Line {
    /// The thing, by the host's name for it. Several lines may name the same.
    pub sku: String,
    /// How many, at least 1.
    pub quantity: u32,
    /// Minor units for each, zero or more.
    pub unit_price_minor: i64,
    /// Whether it is carried or done.
    pub kind: LineKind,
    /// Which parcel it goes with, such as its seller.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
}

/// Whether a line is carried or done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum LineKind {
    /// Goods, which go in a parcel.
    Goods,
    /// A service, which does not.
    Service,
}

/// An amount on top of the lines, or off them.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Charge {
    /// What for.
    pub kind: ChargeKind,
    /// Minor units. Negative ones take off, which only an adjustment and a discount may.
    pub amount_minor: i64,
    /// Which parcel it belongs to; all of them when there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
}

/// What a charge is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ChargeKind {
    /// Carriage.
    Shipping,
    /// Tax that the prices do not include.
    Tax,
    /// What makes the sum agree, either way.
    Adjustment,
    /// What is taken off.
    Discount,
}

/// Somebody the order concerns.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Party {
    /// In which capacity.
    pub role: PartyRole,
    /// The host's reference to them. Never a name, an address, or a number to reach them by: a
    /// journal cannot forget.
    pub reference: String,
}

/// What somebody is to an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum PartyRole {
    /// Whoever ordered.
    Customer,
    /// Whoever gets it.
    Recipient,
    /// Whoever pays.
    Payer,
    /// Whoever sells.
    Seller,
}

/// A part of the total to be paid on one channel.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DraftTender {
    /// Where: see [`Channel`](crate::id::Channel).
    pub channel: String,
    /// Minor units, positive.
    pub amount_minor: i64,
}

impl Draft {
    /// A draft of nothing yet, worth nothing.
    #[must_use]
    pub fn new(id: impl Into<String>, currency: impl Into<String>, placed_by: Actor) -> Self {
        Self {
            id: id.into(),
            currency: currency.into(),
            lines: Vec::new(),
            charges: Vec::new(),
            parties: Vec::new(),
            total_minor: 0,
            tenders: Vec::new(),
            attributes: BTreeMap::new(),
            placed_by,
        }
    }

    /// The minor units of a decimal amount such as `12.34`, in this draft's currency.
    ///
    /// # Errors
    ///
    /// [`AmountError::Currency`] when the draft's currency is none; else as [`Money::parse`].
    pub fn minor(&self, amount: &str) -> Result<i64, AmountError> {
        let currency: Currency = self.currency.parse()?;
        Money::parse(amount, currency).map(Money::minor)
    }
}

impl Line {
    /// Goods without a group.
    #[must_use]
    pub fn goods(sku: impl Into<String>, quantity: u32, unit_price_minor: i64) -> Self {
        Self { sku: sku.into(), quantity, unit_price_minor, kind: LineKind::Goods, group: None }
    }

    /// A service without a group.
    #[must_use]
    pub fn service(sku: impl Into<String>, quantity: u32, unit_price_minor: i64) -> Self {
        Self { kind: LineKind::Service, ..Self::goods(sku, quantity, unit_price_minor) }
    }

    /// The same line in a group.
    #[must_use]
    pub fn in_group(self, group: impl Into<String>) -> Self {
        Self { group: Some(group.into()), ..self }
    }

    /// Minor units for all of them. `None` on overflow, which no line of an [`Order`] has.
    #[must_use]
    pub fn amount_minor(&self) -> Option<i64> {
        self.unit_price_minor.checked_mul(i64::from(self.quantity))
    }
}

impl Charge {
    /// A charge without a group.
    #[must_use]
    pub const fn new(kind: ChargeKind, amount_minor: i64) -> Self {
        Self { kind, amount_minor, group: None }
    }

    /// The same charge in a group.
    #[must_use]
    pub fn in_group(self, group: impl Into<String>) -> Self {
        Self { group: Some(group.into()), ..self }
    }
}

impl Party {
    /// A party by the host's reference.
    #[must_use]
    pub fn new(role: PartyRole, reference: impl Into<String>) -> Self {
        Self { role, reference: reference.into() }
    }
}

impl DraftTender {
    /// A tender.
    #[must_use]
    pub fn new(channel: impl Into<String>, amount_minor: i64) -> Self {
        Self { channel: channel.into(), amount_minor }
    }
}

impl From<Order> for Draft {
    fn from(order: Order) -> Self {
        let Order { id, currency, lines, charges, parties, total_minor, tenders, attributes, placed_by } =
            order;
        Self {
            id: id.as_str().into(),
            currency: currency.code().into(),
            lines,
            charges,
            parties,
            total_minor,
            tenders: tenders.into_iter().map(DraftTender::from).collect(),
            attributes,
            placed_by,
        }
    }
}

impl From<Tender> for DraftTender {
    fn from(tender: Tender) -> Self {
        // The key is the place in the list, so it is not written.
        let Tender { key: _, channel, amount_minor } = tender;
        Self::new(channel.as_str(), amount_minor)
    }
}
