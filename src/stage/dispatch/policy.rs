//! How goods leave, as data that an order keeps from the day it is placed.

use serde::{Deserialize, Serialize};

use super::carrier::CarrierPolicy;
use super::warehouse::WarehousePolicy;

/// When stock is reserved.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ReserveWhen {
    /// When the order is placed, before it is paid.
    Placed,
    /// When it is paid and reviewed.
    GatesOpen,
}

/// Who says that a parcel is packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Packing {
    /// Nobody: released is ready.
    Automatic,
    /// The warehouse, by command; and a cancellation asks it whether the parcel can still be stopped.
    ByWarehouse,
}

/// When a parcel's share of the total is earned.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum EarnPolicy {
    /// When the carrier takes it.
    OnHandover,
    /// When the customer has it.
    OnDelivery,
}

/// What a shortage does to the order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum OnShortage {
    /// The order is cancelled, and refunded in full.
    Cancel,
    /// The parcel waits and asks again.
    Wait,
    /// What is missing is called off: it is waived and goes back, and the rest of the order goes on.
    CallOff,
}

/// What becomes of units that are missing when a parcel is picked.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum OnShortPick {
    /// They travel later, in a parcel of their own.
    #[default]
    Split,
    /// They are called off: waived, and paid back.
    CallOff,
}

/// What becomes of a parcel that the carrier lost. What it earned is taken back in any case, and so is the claim on the
/// carrier a person's business.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum OnLoss {
    /// The order is held: a person decides.
    #[default]
    Hold,
    /// Its share is waived, and goes back. Where nothing else is to come, the order is called off.
    Refund,
    /// The same is sent once more, in a parcel of its own.
    Resend,
}

fn once() -> u32 {
    1
}
fn month() -> u64 {
    30 * 24 * 60 * 60_000
}

/// The policy of parcels. Durations are milliseconds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DispatchPolicy {
    /// When stock is reserved.
    pub reserve: ReserveWhen,
    /// Who says that a parcel is packed.
    pub packing: Packing,
    /// When its share is earned.
    pub earn: EarnPolicy,
    /// What a shortage does.
    pub shortage: OnShortage,
    /// What becomes of units that are missing when it is picked.
    #[serde(default)]
    pub short_pick: OnShortPick,
    /// Where goods may leave from, and how that is chosen. Without it the inventory decides, and nobody asks what there
    /// is before it is to set units aside.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub warehouses: Option<WarehousePolicy>,
    /// Whether a label is booked with the carrier when a parcel is packed.
    pub book: bool,
    /// How the carrier of a label is chosen among offers. Without it the carrier's adapter decides, nobody is asked for
    /// offers, and labels of parcels that are stopped are left alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub carriers: Option<CarrierPolicy>,
    /// How long a call may stay unanswered before it is made again under the same key; after that twice as long each
    /// time, up to 128 times this. Default 30 s.
    pub answer_ms: u64,
    /// How long a reservation is kept while nobody pays. Default 30 minutes.
    pub reserve_ms: u64,
    /// How often stock is asked for again after a shortage. Default one day.
    pub restock_ms: u64,
    /// How long a released parcel may wait for the carrier before a person hears of it. Default 3 days.
    pub pack_ms: u64,
    /// How long a parcel may be silent before the carrier is asked, and asked again. Default 15 days. Where the carrier
    /// sends no scans of its own accord, a day makes it a poll.
    pub silent_ms: u64,
    /// How often the carrier is asked for a silent parcel before it counts as lost. Default 1.
    #[serde(default = "once")]
    pub inquiries: u32,
    /// After how many failed attempts to deliver it a parcel is on its way back. Default: when the carrier says so.
    #[serde(default)]
    pub attempts: Option<u32>,
    /// What becomes of a parcel that is lost.
    #[serde(default)]
    pub lost: OnLoss,
    /// How long after its delivery a parcel may still be said to be on its way back. Default 30 days.
    #[serde(default = "month")]
    pub final_ms: u64,
    /// How long a parcel on its way back may be silent before a person hears of it. Default 30 days.
    pub return_ms: u64,
}

impl Default for DispatchPolicy {
    fn default() -> Self {
        const MINUTE: u64 = 60_000;
        const DAY: u64 = 24 * 60 * MINUTE;
        Self {
            reserve: ReserveWhen::GatesOpen,
            packing: Packing::ByWarehouse,
            earn: EarnPolicy::OnDelivery,
            shortage: OnShortage::Cancel,
            short_pick: OnShortPick::Split,
            warehouses: None,
            book: true,
            carriers: None,
            answer_ms: 30_000,
            reserve_ms: 30 * MINUTE,
            restock_ms: DAY,
            pack_ms: 3 * DAY,
            silent_ms: 15 * DAY,
            inquiries: once(),
            attempts: None,
            lost: OnLoss::Hold,
            final_ms: month(),
            return_ms: 30 * DAY,
        }
    }
}
