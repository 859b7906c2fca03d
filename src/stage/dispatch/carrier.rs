//! Which carrier takes a parcel, and with which service: the offers that keep the promise, best first.

use std::cmp::Ordering;

use serde::{Deserialize, Serialize};

use super::data::Offer;
use crate::clock::Timestamp;

/// What makes one offer better than another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum OfferBy {
    /// The lower cost.
    Cost,
    /// The earlier promise.
    Promise,
    /// The higher score.
    Score,
}

/// How a carrier is chosen. Durations are milliseconds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CarrierPolicy {
    /// What counts, the first before the second and so on. Offers that are equal in all of it go by the names of the
    /// carrier and the service.
    pub by: Vec<OfferBy>,
    /// How long after it is packed a parcel must have arrived, by the carrier's promise. Offers that promise it later
    /// are not taken. `None` takes any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub within_ms: Option<u64>,
    /// The lowest score that is taken, from 0.
    #[serde(default)]
    pub least_score: u8,
}

impl Default for CarrierPolicy {
    fn default() -> Self {
        Self { by: vec![OfferBy::Cost, OfferBy::Promise, OfferBy::Score], within_ms: None, least_score: 0 }
    }
}

impl CarrierPolicy {
    /// The offers that may be taken, the best first. The next one is for when a carrier refuses the one before.
    ///
    /// It depends on nothing but the arguments: neither on the order in which the carriers answered nor, among offers
    /// of one service, on anything but their terms.
    #[must_use]
    pub fn rank(&self, offers: &[Offer], packed: Timestamp) -> Vec<Offer> {
        let latest = self.within_ms.map(|ms| packed.saturating_add(std::time::Duration::from_millis(ms)));
        let keeps =
            |o: &&Offer| o.score >= self.least_score && latest.is_none_or(|latest| o.promise <= latest);
        let mut all: Vec<Offer> = offers.iter().filter(keeps).cloned().collect();
        all.sort_by(|a, b| self.compare(a, b));
        all.dedup_by(|later, first| later.carrier == first.carrier && later.service == first.service);
        all
    }

    fn compare(&self, a: &Offer, b: &Offer) -> Ordering {
        let by = |one: &OfferBy| match one {
            OfferBy::Cost => a.cost_minor.cmp(&b.cost_minor),
            OfferBy::Promise => a.promise.cmp(&b.promise),
            OfferBy::Score => b.score.cmp(&a.score),
        };
        let named = || (&a.carrier, &a.service).cmp(&(&b.carrier, &b.service));
        let terms = || (a.cost_minor, a.promise, b.score).cmp(&(b.cost_minor, b.promise, a.score));
        self.by.iter().map(by).find(|o| o.is_ne()).unwrap_or_else(|| named().then_with(terms))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn offer(carrier: &str, service: &str, cost_minor: u64, promise: i64, score: u8) -> Offer {
        let promise = Timestamp::from_millis(promise);
        Offer { carrier: carrier.to_owned(), service: service.to_owned(), cost_minor, promise, score }
    }
    fn names(of: &[Offer]) -> String {
        of.iter().map(|o| format!("{} {}", o.carrier, o.service)).collect::<Vec<_>>().join(", ")
    }

    #[test]
    fn offers_are_ranked_as_the_policy_says() {
        let offers = [
            offer("blue", "air", 900, 10, 60),
            offer("red", "road", 400, 40, 80),
            offer("red", "air", 900, 12, 80),
            offer("green", "road", 400, 30, 95),
        ];
        let ranked = |by: &[OfferBy], within_ms: Option<u64>, least_score: u8| {
            let policy = CarrierPolicy { by: by.to_vec(), within_ms, least_score };
            names(&policy.rank(&offers, Timestamp::from_millis(5)))
        };
        use OfferBy::{Cost, Promise, Score};
        let table = [
            (ranked(&[Cost, Promise], None, 0), "green road, red road, blue air, red air"),
            (ranked(&[Promise], None, 0), "blue air, red air, green road, red road"),
            (ranked(&[Score, Cost], None, 0), "green road, red road, red air, blue air"),
            (ranked(&[Cost], None, 0), "green road, red road, blue air, red air"),
            (ranked(&[], None, 0), "blue air, green road, red air, red road"),
            // Packed at 5: what is promised up to 30 keeps 25.
            (ranked(&[Cost], Some(25), 0), "green road, blue air, red air"),
            (ranked(&[Cost], Some(25), 80), "green road, red air"),
            (ranked(&[Cost], Some(1), 0), ""),
        ];
        for (n, (came, expected)) in table.iter().enumerate() {
            assert_eq!(came, expected, "row {n}");
        }
    }

    #[test]
    fn a_service_that_is_offered_twice_is_taken_by_its_better_terms() {
        let offers = [offer("red", "road", 500, 40, 80), offer("red", "road", 400, 40, 80)];
        let best = CarrierPolicy::default().rank(&offers, Timestamp::from_millis(0));
        assert_eq!(best, [offer("red", "road", 400, 40, 80)]);
    }

    proptest! {
        #[test]
        fn the_order_of_the_answers_decides_nothing(
            offers in prop::collection::vec((0u8..3, 0u8..3, 0u64..4, 0i64..4, 0u8..4), 0..8),
            by in prop::sample::subsequence(vec![OfferBy::Cost, OfferBy::Promise, OfferBy::Score], 0..=3),
            within in prop::option::of(0u64..4),
            at in 0usize..8,
        ) {
            let mut offers: Vec<Offer> =
                offers.iter().map(|(c, s, cost, at, score)| offer(&c.to_string(), &s.to_string(), *cost, *at, *score))
                    .collect();
            let policy = CarrierPolicy { by, within_ms: within, least_score: 1 };
            let first = policy.rank(&offers, Timestamp::from_millis(0));
            offers.reverse();
            let middle = at.min(offers.len());
            offers.rotate_left(middle);
            prop_assert_eq!(&policy.rank(&offers, Timestamp::from_millis(0)), &first);
            for pair in first.windows(2) {
                prop_assert!(policy.compare(&pair[0], &pair[1]).is_lt());
            }
            for o in &offers {
                let keeps = o.score >= 1 && within.is_none_or(|ms| o.promise.millis() <= i64::try_from(ms).unwrap());
                let kept = first.iter().any(|k| k.carrier == o.carrier && k.service == o.service);
                prop_assert!(kept || !keeps, "{:?} may be taken", o);
            }
        }
    }
}
