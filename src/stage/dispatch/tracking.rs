//! What carriers say, in their own codes, and what it means here.
//!
//! A carrier's codes are data: a [`CodeMap`] names the [`TrackingStatus`] of each. A host's webhook handler is three
//! lines:
//!
//! ```
//! # use consign::clock::Timestamp;
//! # use consign::id::Key;
//! # use consign::stage::dispatch::{CodeMap, RawScan};
//! # let at = Timestamp::from_millis(0);
//! let codes = CodeMap::kuaidi100();
//! let scan = RawScan { code: "5", text: "", place: "Hangzhou", at };
//! let evidence = codes.evidence(Key(1), &scan);
//! // engine.deliver(Delivery { order, evidence, source: "kuaidi100".into(), event: scan.id().into(), .. })
//! # assert_eq!(evidence.machine, "dispatch.parcel");
//! ```
//!
//! A code that no map knows is kept as it came and stops no parcel. Scans are ordered by the time they name, whenever
//! they arrive, and told apart by code, time and place.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::data::{Accepted, CameBack, DeliveredTo, Mislaid, Moving, Receiver, Tracking, TurnedBack};
use super::machine::parcel;
use crate::clock::Timestamp;
use crate::id::Key;
use crate::machine::Call;

/// Where a parcel is, as every carrier's codes come down to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum TrackingStatus {
    /// Announced, not taken yet.
    PreTransit,
    /// Taken by the carrier: the hand-over.
    PickedUp,
    /// Moving.
    InTransit,
    /// On the last van.
    OutForDelivery,
    /// Waits to be fetched.
    AvailableForPickup,
    /// Nobody was there.
    AttemptFailed,
    /// With the customer, or with whom they trust.
    Delivered(Receiver),
    /// Not taken by the customer: on its way back.
    Refused,
    /// On its way back.
    Returning,
    /// Back at the sender.
    Returned,
    /// Lost.
    Lost,
    /// Something is wrong.
    Exception,
    /// Silent for so long that the carrier tells no more.
    Stale,
    /// A code that no map knows, as it came.
    Other(String),
}

/// A scan as the carrier says it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RawScan<'a> {
    /// Its code.
    pub code: &'a str,
    /// Its words, for carriers whose codes say nothing.
    pub text: &'a str,
    /// Where it happened.
    pub place: &'a str,
    /// When it happened.
    pub at: Timestamp,
}

impl RawScan<'_> {
    /// What tells it apart from another: code, time and place, at most 200 bytes.
    #[must_use]
    pub fn id(&self) -> String {
        let code = if self.code.is_empty() { self.text } else { self.code };
        format!("{} {} {}", short(code), self.at.millis(), short(self.place))
    }
}

/// The longest raw code, text or place that is kept, in bytes.
const SHORT_BYTES: usize = 80;

fn short(text: &str) -> &str {
    let end = text.char_indices().map(|(at, c)| at.saturating_add(c.len_utf8()));
    let end = end.take_while(|end| *end <= SHORT_BYTES).last().unwrap_or(0);
    text.get(..end).unwrap_or_default()
}

/// The codes of one carrier, or of a service that speaks for many: data, which a host may read from a file of its own.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CodeMap {
    /// Whose.
    pub carrier: String,
    /// What each code means. Codes are compared without regard to case.
    pub codes: BTreeMap<String, TrackingStatus>,
}

impl CodeMap {
    /// A map without codes.
    #[must_use]
    pub fn new(carrier: impl Into<String>) -> Self {
        Self { carrier: carrier.into(), codes: BTreeMap::new() }
    }

    /// Adds a code. One that is there already stays as it is.
    #[must_use]
    pub fn with(mut self, code: impl AsRef<str>, status: TrackingStatus) -> Self {
        self.codes.entry(code.as_ref().trim().to_lowercase()).or_insert(status);
        self
    }

    fn of(carrier: &str, codes: &[(&str, TrackingStatus)]) -> Self {
        codes.iter().fold(Self::new(carrier), |map, (code, status)| map.with(code, status.clone()))
    }

    /// The nine tags of AfterShip, and the subtags of its exceptions that say more.
    #[must_use]
    pub fn aftership() -> Self {
        use TrackingStatus as S;
        Self::of(
            "aftership",
            &[
                ("Pending", S::PreTransit),
                ("InfoReceived", S::PreTransit),
                ("InTransit", S::InTransit),
                ("OutForDelivery", S::OutForDelivery),
                ("AvailableForPickup", S::AvailableForPickup),
                ("AttemptFail", S::AttemptFailed),
                ("Delivered", S::Delivered(Receiver::Customer)),
                ("Exception", S::Exception),
                ("Exception_010", S::Returning),
                ("Exception_011", S::Returned),
                ("Exception_013", S::Lost),
                ("Expired", S::Stale),
            ],
        )
    }

    /// The six statuses of Shippo.
    #[must_use]
    pub fn shippo() -> Self {
        use TrackingStatus as S;
        Self::of(
            "shippo",
            &[
                ("PRE_TRANSIT", S::PreTransit),
                ("TRANSIT", S::InTransit),
                ("DELIVERED", S::Delivered(Receiver::Customer)),
                ("RETURNED", S::Returned),
                ("FAILURE", S::Exception),
                ("UNKNOWN", S::Stale),
            ],
        )
    }

    /// The codes of kuaidi100. Its code 2, a problem of any kind, and its subcodes are not among them: they are kept as
    /// they come.
    #[must_use]
    pub fn kuaidi100() -> Self {
        use TrackingStatus as S;
        Self::of(
            "kuaidi100",
            &[
                ("101", S::PreTransit),
                ("102", S::PreTransit),
                ("1", S::PickedUp),
                ("103", S::PickedUp),
                ("0", S::InTransit),
                ("7", S::InTransit),
                ("5", S::OutForDelivery),
                ("501", S::AvailableForPickup),
                ("3", S::Delivered(Receiver::Customer)),
                ("301", S::Delivered(Receiver::Customer)),
                ("302", S::Delivered(Receiver::Customer)),
                ("303", S::Delivered(Receiver::Proxy)),
                ("304", S::Delivered(Receiver::Locker)),
                ("14", S::Refused),
                ("6", S::Returning),
                ("4", S::Returned),
            ],
        )
    }

    /// What a scan means: by its code, else by its words, else nothing that is known.
    #[must_use]
    pub fn status(&self, scan: &RawScan<'_>) -> TrackingStatus {
        let known = |raw: &str| self.codes.get(&raw.trim().to_lowercase()).cloned();
        let raw = if scan.code.is_empty() { scan.text } else { scan.code };
        known(scan.code)
            .or_else(|| known(scan.text))
            .unwrap_or_else(|| TrackingStatus::Other(short(raw).to_owned()))
    }

    /// A scan of a parcel, as evidence for its machine: to be delivered with the time that it names.
    #[must_use]
    pub fn evidence(&self, parcel: Key, scan: &RawScan<'_>) -> Call {
        evidence(parcel, &self.status(scan), scan.id())
    }
}

/// What a status says to a parcel. `scan` tells it apart from others: [`RawScan::id`].
#[must_use]
pub fn evidence(key: Key, status: &TrackingStatus, scan: String) -> Call {
    let moving = |status| parcel::M::evidence(key, Moving { status, scan });
    match status {
        TrackingStatus::PickedUp => parcel::M::evidence(key, Accepted),
        TrackingStatus::Delivered(by) => parcel::M::evidence(key, DeliveredTo { by: *by }),
        TrackingStatus::Refused | TrackingStatus::Returning => parcel::M::evidence(key, TurnedBack),
        TrackingStatus::Returned => parcel::M::evidence(key, CameBack),
        TrackingStatus::Lost => parcel::M::evidence(key, Mislaid),
        TrackingStatus::PreTransit => moving(Tracking::PreTransit),
        TrackingStatus::InTransit => moving(Tracking::InTransit),
        TrackingStatus::OutForDelivery => moving(Tracking::OutForDelivery),
        TrackingStatus::AvailableForPickup => moving(Tracking::AvailableForPickup),
        TrackingStatus::AttemptFailed => moving(Tracking::AttemptFailed),
        TrackingStatus::Exception => moving(Tracking::Exception),
        TrackingStatus::Stale => moving(Tracking::Stale),
        TrackingStatus::Other(raw) => moving(Tracking::Other(raw.clone())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scan<'a>(code: &'a str, text: &'a str) -> RawScan<'a> {
        RawScan { code, text, place: "Kiel", at: Timestamp::from_millis(7) }
    }

    #[test]
    fn a_code_is_known_whatever_its_case_and_an_unknown_one_is_kept_as_it_came() {
        let map = CodeMap::aftership();
        assert_eq!(map.status(&scan("intransit", "")), TrackingStatus::InTransit);
        assert_eq!(map.status(&scan("Zz", "")), TrackingStatus::Other("Zz".into()));
        assert_eq!(map.status(&scan("", "Delivered ")), TrackingStatus::Delivered(Receiver::Customer));
        let long = "\u{fc}".repeat(200);
        let TrackingStatus::Other(kept) = map.status(&scan(&long, "")) else { panic!("it is known") };
        assert_eq!(kept.len(), 80, "whole letters, and no more than fit");
        assert!(RawScan { place: &long, ..scan(&long, "") }.id().len() <= 200);
    }

    #[test]
    fn the_first_meaning_of_a_code_counts() {
        let map = CodeMap::new("ups").with("NH", TrackingStatus::Exception).with("nh", TrackingStatus::Lost);
        assert_eq!(map.status(&scan("NH", "")), TrackingStatus::Exception);
        for map in [CodeMap::aftership(), CodeMap::shippo(), CodeMap::kuaidi100()] {
            assert!(map.codes.keys().all(|k| *k == k.to_lowercase()));
        }
    }
}
