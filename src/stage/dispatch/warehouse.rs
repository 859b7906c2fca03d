//! Which warehouses an order leaves from: as few as can be, then the cheapest, then those that send it first.
//!
//! ```text
//! what is wanted  +  what each warehouse has  +  policy, zone, now  --choose-->  a load per warehouse
//!                                                                   --------->  or what nobody has
//! ```

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::data::{Unit, WarehouseStock};
use crate::clock::Timestamp;

/// A place that goods leave from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Warehouse {
    /// What the inventory calls it.
    pub name: String,
    /// What a parcel to a zone costs from here, by zone: money or distance, in one unit for all warehouses. It sends
    /// nothing to a zone that is not named, unless `elsewhere` says what that costs.
    pub zones: BTreeMap<String, u64>,
    /// What a parcel to any other zone costs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub elsewhere: Option<u64>,
    /// What is ordered before this minute of the day (UTC, 0 to 1440) leaves the same day, and what comes later the
    /// next. 1440 means that whatever is ordered leaves the same day.
    pub cut_off_minute: u16,
}

/// What a further parcel is worth avoiding.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum SplitCost {
    /// Any price: of two ways, the one with fewer parcels is taken.
    #[default]
    Any,
    /// This much, in the unit of the warehouses' costs.
    Each(u64),
}

/// The warehouses of a shop, and how one is chosen.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct WarehousePolicy {
    /// Where goods may leave from. Where two ways are equal in everything else, the earlier warehouses are taken.
    pub warehouses: Vec<Warehouse>,
    /// The attribute of the order that says which zone it goes to.
    pub zone_attribute: String,
    /// What a further parcel is worth avoiding.
    #[serde(default)]
    pub split: SplitCost,
}

/// What one warehouse sends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Allotment {
    /// Which.
    pub warehouse: String,
    /// What, in the order of what is wanted.
    pub units: Vec<Unit>,
}

/// How good a way is; the least is the best.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Worth {
    /// Parcels, where fewer of them are worth any price.
    parcels: usize,
    cost: u64,
    /// The day the last of it leaves, counted from 1970-01-01 (UTC).
    last_day: i64,
    /// The days all of it leaves, added up.
    days: i64,
    /// The warehouses, by their places in the policy.
    places: Vec<usize>,
}

struct Candidate<'a> {
    place: usize,
    warehouse: &'a Warehouse,
    cost: u64,
    day: i64,
    /// What it has of each thing that is wanted.
    has: Vec<u64>,
}

impl WarehousePolicy {
    /// Most warehouses that are weighed against one another for a parcel.
    pub const MOST: usize = 12;

    /// Chooses what leaves from where, so that all of `wanted` does.
    ///
    /// Of the ways that can be, it takes the one with the fewest parcels, then the lowest cost, then the one whose last
    /// parcel leaves first, then the one whose parcels leave first all in all, then the warehouses that the policy
    /// names first. Where a further parcel has a price ([`SplitCost::Each`]), that price is a part of the cost, and the
    /// number of parcels does not come first. Within a way, the cheapest warehouse sends all it can, and so on. The
    /// answer depends on nothing but the arguments.
    ///
    /// Warehouses in `without`, those that send nothing to the zone, and stock of warehouses that the policy does not
    /// name are left out. Of more than [`MOST`](Self::MOST) that could send something, the cheapest are weighed.
    ///
    /// # Errors
    ///
    /// What is missing, when all of them together have too little. There is no other way to fail.
    pub fn choose(
        &self,
        wanted: &[Unit],
        stock: &[WarehouseStock],
        zone: Option<&str>,
        without: &[String],
        now: Timestamp,
    ) -> Result<Vec<Allotment>, Vec<Unit>> {
        let wanted = gathered(wanted);
        let candidates = self.candidates(&wanted, stock, zone, without, now);
        let missing: Vec<Unit> = wanted
            .iter()
            .enumerate()
            .filter_map(|(at, unit)| {
                let there =
                    candidates.iter().filter_map(|c| c.has.get(at)).fold(0, |n: u64, h| n.saturating_add(*h));
                let left = u64::from(unit.quantity).saturating_sub(there);
                let quantity = u32::try_from(left).ok().filter(|n| *n > 0)?;
                Some(Unit { sku: unit.sku.clone(), quantity })
            })
            .collect();
        if !missing.is_empty() {
            return Err(missing);
        }
        let mut best: Option<(Worth, Vec<Allotment>)> = None;
        for set in 1u32..1 << candidates.len() {
            let chosen: Vec<&Candidate<'_>> = candidates
                .iter()
                .enumerate()
                .filter(|(at, _)| set & (1 << at) != 0)
                .map(|(_, c)| c)
                .collect();
            let worth = self.worth(&chosen);
            if best.as_ref().is_some_and(|(held, _)| *held <= worth) {
                continue;
            }
            if let Some(way) = allot(&wanted, &chosen) {
                best = Some((worth, way));
            }
        }
        Ok(best.map(|(_, way)| way).unwrap_or_default())
    }

    /// Those that have something of it and send to the zone, the cheapest first.
    fn candidates<'a>(
        &'a self,
        wanted: &[Unit],
        stock: &[WarehouseStock],
        zone: Option<&str>,
        without: &[String],
        now: Timestamp,
    ) -> Vec<Candidate<'a>> {
        let mut all: Vec<Candidate<'a>> = Vec::new();
        for (place, warehouse) in self.warehouses.iter().enumerate() {
            let near = zone.and_then(|zone| warehouse.zones.get(zone)).copied();
            let Some(cost) = near.or(warehouse.elsewhere) else { continue };
            let known = all.iter().any(|c| c.warehouse.name == warehouse.name);
            if known || without.contains(&warehouse.name) {
                continue;
            }
            let of = |sku: &str| {
                let there = stock.iter().filter(|s| s.warehouse == warehouse.name).flat_map(|s| &s.units);
                there.filter(|u| u.sku == sku).fold(0, |n: u64, u| n.saturating_add(u64::from(u.quantity)))
            };
            let has: Vec<u64> = wanted.iter().map(|u| of(&u.sku)).collect();
            if has.iter().any(|n| *n > 0) {
                all.push(Candidate { place, warehouse, cost, day: warehouse.leaves(now), has });
            }
        }
        all.sort_by_key(|c| (c.cost, c.day, c.place));
        if all.len() > Self::MOST {
            keep_enough(&mut all, wanted);
        }
        all
    }

    fn worth(&self, chosen: &[&Candidate<'_>]) -> Worth {
        let further = u64::try_from(chosen.len()).unwrap_or(u64::MAX).saturating_sub(1);
        let (parcels, price) = match self.split {
            SplitCost::Any => (chosen.len(), 0),
            SplitCost::Each(price) => (0, price.saturating_mul(further)),
        };
        let mut places: Vec<usize> = chosen.iter().map(|c| c.place).collect();
        places.sort_unstable();
        Worth {
            parcels,
            cost: chosen.iter().fold(price, |n, c| n.saturating_add(c.cost)),
            last_day: chosen.iter().map(|c| c.day).max().unwrap_or_default(),
            days: chosen.iter().fold(0, |n: i64, c| n.saturating_add(c.day)),
            places,
        }
    }
}

impl Warehouse {
    /// The day on which it sends what is ordered now, counted from 1970-01-01 (UTC).
    fn leaves(&self, now: Timestamp) -> i64 {
        const DAY_MS: i64 = 86_400_000;
        let (day, minute) = (now.millis().div_euclid(DAY_MS), now.millis().rem_euclid(DAY_MS) / 60_000);
        day.saturating_add(i64::from(minute >= i64::from(self.cut_off_minute)))
    }
}

/// Keeps as many as are weighed: first those that are needed to have all of it, taking at each turn the one that has
/// most of what is missing, then the cheapest.
fn keep_enough(all: &mut Vec<Candidate<'_>>, wanted: &[Unit]) {
    let mut left: Vec<u64> = wanted.iter().map(|u| u64::from(u.quantity)).collect();
    let mut kept: BTreeSet<usize> = BTreeSet::new();
    while kept.len() < WarehousePolicy::MOST && left.iter().any(|n| *n > 0) {
        let gives =
            |c: &Candidate<'_>| c.has.iter().zip(&left).fold(0, |n: u64, (h, l)| n.saturating_add(*h.min(l)));
        let rest = all.iter().enumerate().filter(|(at, _)| !kept.contains(at));
        let Some((at, most)) = rest.max_by_key(|(at, c)| (gives(c), Reverse(*at))) else { break };
        if gives(most) == 0 {
            break;
        }
        for (l, h) in left.iter_mut().zip(&most.has) {
            *l = l.saturating_sub(*h);
        }
        kept.insert(at);
    }
    for at in 0..all.len() {
        if kept.len() < WarehousePolicy::MOST {
            kept.insert(at);
        }
    }
    let mut at = 0;
    all.retain(|_| {
        at += 1;
        kept.contains(&(at - 1))
    });
}

/// What is wanted, each thing once, in order of first appearance.
fn gathered(wanted: &[Unit]) -> Vec<Unit> {
    let mut all: Vec<Unit> = Vec::new();
    for unit in wanted.iter().filter(|u| u.quantity > 0) {
        match all.iter_mut().find(|u| u.sku == unit.sku) {
            Some(held) => held.quantity = held.quantity.saturating_add(unit.quantity),
            None => all.push(unit.clone()),
        }
    }
    all
}

/// What each of these sends, the first as much as it can. `None` when they have too little together, or one of them
/// would send nothing.
fn allot(wanted: &[Unit], chosen: &[&Candidate<'_>]) -> Option<Vec<Allotment>> {
    let mut left: Vec<u64> = wanted.iter().map(|u| u64::from(u.quantity)).collect();
    let mut way = Vec::with_capacity(chosen.len());
    for c in chosen {
        let mut units = Vec::new();
        for ((unit, left), has) in wanted.iter().zip(left.iter_mut()).zip(&c.has) {
            let taken = (*left).min(*has);
            *left = left.saturating_sub(taken);
            if taken > 0 {
                let quantity = u32::try_from(taken).ok()?;
                units.push(Unit { sku: unit.sku.clone(), quantity });
            }
        }
        if units.is_empty() {
            return None;
        }
        way.push(Allotment { warehouse: c.warehouse.name.clone(), units });
    }
    left.iter().all(|n| *n == 0).then_some(way)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const DAY: i64 = 86_400_000;

    fn unit(sku: &str, quantity: u32) -> Unit {
        Unit { sku: sku.to_owned(), quantity }
    }
    fn house(name: &str, north: u64, south: u64, cut_off_minute: u16) -> Warehouse {
        let zones = [("north".to_owned(), north), ("south".to_owned(), south)].into();
        Warehouse { name: name.to_owned(), zones, elsewhere: None, cut_off_minute }
    }
    fn policy(warehouses: Vec<Warehouse>, split: SplitCost) -> WarehousePolicy {
        WarehousePolicy { warehouses, zone_attribute: "zone".to_owned(), split }
    }
    fn has(warehouse: &str, units: &[(&str, u32)]) -> WarehouseStock {
        let units = units.iter().map(|(sku, n)| unit(sku, *n)).collect();
        WarehouseStock { warehouse: warehouse.to_owned(), units }
    }
    fn at(minute: i64) -> Timestamp {
        Timestamp::from_millis(20_000 * DAY + minute * 60_000)
    }

    /// `A:2xtea B:1xpot`
    fn told(answer: Result<Vec<Allotment>, Vec<Unit>>) -> String {
        let all = |units: &[Unit]| {
            units.iter().map(|u| format!("{}x{}", u.quantity, u.sku)).collect::<Vec<_>>().join("+")
        };
        match answer {
            Ok(way) => {
                way.iter().map(|a| format!("{}:{}", a.warehouse, all(&a.units))).collect::<Vec<_>>().join(" ")
            }
            Err(missing) => format!("missing {}", all(&missing)),
        }
    }

    #[test]
    fn the_choice_is_the_one_worked_out_by_hand() {
        let three = || vec![house("A", 500, 900, 840), house("B", 700, 300, 600), house("C", 500, 800, 600)];
        let fewest = policy(three(), SplitCost::Any);
        let priced = policy(three(), SplitCost::Each(200));
        let tea_and_pot = [unit("tea", 2), unit("pot", 1)];
        let tea = [unit("tea", 2)];
        let all = [has("A", &[("tea", 9), ("pot", 9)]), has("B", &[("tea", 9), ("pot", 9)])];
        let (noon, late) = (at(720), at(1300));
        let none: &[String] = &[];
        let cases = [
            // A sends to the north for 5.00, B for 7.00; to the south it is 9.00 and 3.00.
            ("near in the north", fewest.choose(&tea, &all, Some("north"), none, noon), "A:2xtea"),
            ("near in the south", fewest.choose(&tea, &all, Some("south"), none, noon), "B:2xtea"),
            ("nobody sends there", fewest.choose(&tea, &all, Some("moon"), none, noon), "missing 2xtea"),
            ("no zone is said", fewest.choose(&tea, &all, None, none, noon), "missing 2xtea"),
            ("one that was short", fewest.choose(&tea, &all, Some("north"), &["A".into()], noon), "B:2xtea"),
            (
                // One parcel for 9.00 is better than two for 8.00, unless a further one costs 0.50 only.
                "fewest parcels come before the cost",
                fewest.choose(
                    &tea_and_pot,
                    &[has("A", &[("tea", 2), ("pot", 1)]), has("B", &[("tea", 2)]), has("C", &[("pot", 1)])],
                    Some("south"),
                    none,
                    noon,
                ),
                "A:2xtea+1xpot",
            ),
            (
                // Two parcels cost 3.00 + 3.00 + 2.00, one costs 9.00.
                "a further parcel has a price",
                {
                    let mut two_near = priced.clone();
                    two_near.warehouses[2] = house("C", 500, 300, 600);
                    two_near.choose(
                        &tea_and_pot,
                        &[
                            has("A", &[("tea", 2), ("pot", 1)]),
                            has("B", &[("tea", 2)]),
                            has("C", &[("pot", 1)]),
                        ],
                        Some("south"),
                        none,
                        noon,
                    )
                },
                "B:2xtea C:1xpot",
            ),
            (
                // A and C cost the same in the north; at noon only A still sends today.
                "the cut-off decides between equals",
                fewest.choose(
                    &tea,
                    &[has("C", &[("tea", 2)]), has("A", &[("tea", 2)])],
                    Some("north"),
                    none,
                    noon,
                ),
                "A:2xtea",
            ),
            (
                "after every cut-off the first of the policy is taken",
                fewest.choose(
                    &tea,
                    &[has("C", &[("tea", 2)]), has("A", &[("tea", 2)])],
                    Some("north"),
                    none,
                    late,
                ),
                "A:2xtea",
            ),
            (
                "two of them share a thing, the cheapest sends most",
                fewest.choose(
                    &tea,
                    &[has("A", &[("tea", 1)]), has("B", &[("tea", 1)])],
                    Some("south"),
                    none,
                    noon,
                ),
                "B:1xtea A:1xtea",
            ),
            (
                "all of them have too little",
                fewest.choose(&tea_and_pot, &[has("A", &[("tea", 1)])], Some("north"), none, noon),
                "missing 1xtea+1xpot",
            ),
            (
                "a thing on two lines is one thing",
                fewest.choose(
                    &[unit("tea", 1), unit("tea", 1)],
                    &[has("A", &[("tea", 1)]), has("B", &[("tea", 2)])],
                    Some("north"),
                    none,
                    noon,
                ),
                "B:2xtea",
            ),
            (
                "stock of a warehouse that the policy does not name",
                fewest.choose(&tea, &[has("X", &[("tea", 9)])], Some("north"), none, noon),
                "missing 2xtea",
            ),
        ];
        for (name, answer, expected) in cases {
            assert_eq!(told(answer), expected, "{name}");
        }
    }

    #[test]
    fn of_many_warehouses_those_are_weighed_that_have_all_of_it() {
        let mut warehouses: Vec<Warehouse> = (0..30).map(|n| house(&format!("W{n}"), n, n, 600)).collect();
        warehouses.push(house("far", 1_000, 1_000, 600));
        let mut stock: Vec<WarehouseStock> = (0..30).map(|n| has(&format!("W{n}"), &[("tea", 1)])).collect();
        stock.push(has("far", &[("tea", 1), ("pot", 1)]));
        let p = policy(warehouses, SplitCost::Any);
        let answer = p.choose(&[unit("tea", 2), unit("pot", 1)], &stock, Some("north"), &[], at(0));
        assert_eq!(told(answer), "W0:1xtea far:1xtea+1xpot");
    }

    /// What a way is worth, worked out anew from the warehouses it uses: parcels, cost, last day, days, places.
    fn worth(p: &WarehousePolicy, used: &[usize], now: Timestamp) -> (usize, u64, i64, i64, Vec<usize>) {
        let cost: u64 = used.iter().map(|w| p.warehouses[*w].zones["north"]).sum();
        let day = |w: &usize| {
            let minute = now.millis() % DAY / 60_000;
            now.millis() / DAY + i64::from(minute >= i64::from(p.warehouses[*w].cut_off_minute))
        };
        let (parcels, price) = match p.split {
            SplitCost::Any => (used.len(), 0),
            SplitCost::Each(price) => (0, price * (used.len() as u64 - 1)),
        };
        let last = used.iter().map(day).max().unwrap();
        (parcels, cost + price, last, used.iter().map(day).sum(), used.to_vec())
    }

    /// The best of all ways to take every single unit from some warehouse that has it.
    fn brute_force(
        p: &WarehousePolicy,
        units: &[&str],
        stock: &[WarehouseStock],
        now: Timestamp,
    ) -> Option<(usize, u64, i64, i64, Vec<usize>)> {
        let n = p.warehouses.len();
        let ways = n.pow(u32::try_from(units.len()).unwrap());
        let mut best = None;
        for way in 0..ways {
            let mut left: Vec<BTreeMap<&str, u32>> = stock
                .iter()
                .map(|s| s.units.iter().map(|u| (u.sku.as_str(), u.quantity)).collect())
                .collect();
            let mut used = BTreeSet::new();
            let mut code = way;
            let fits = units.iter().all(|sku| {
                let from = code % n;
                code /= n;
                used.insert(from);
                let Some(there) = left[from].get_mut(sku).filter(|there| **there > 0) else { return false };
                *there -= 1;
                true
            });
            if fits {
                let used: Vec<usize> = used.into_iter().collect();
                let this = worth(p, &used, now);
                if best.as_ref().is_none_or(|held| this < *held) {
                    best = Some(this);
                }
            }
        }
        best
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]

        #[test]
        fn the_choice_equals_the_best_of_all_ways(
            costs in prop::collection::vec((0u64..4, 0u16..3), 1..5),
            held in prop::collection::vec([0u32..4, 0..4, 0..3], 4),
            wanted in [0u32..3, 0..3, 0..2],
            priced in prop::option::of(0u64..4),
            minute in 0i64..1440,
        ) {
            let skus = ["tea", "pot", "cup"];
            let now = at(minute);
            let warehouses: Vec<Warehouse> = costs
                .iter()
                .enumerate()
                .map(|(n, (cost, cut_off))| house(&format!("W{n}"), *cost, 0, cut_off * 700))
                .collect();
            let stock: Vec<WarehouseStock> = warehouses
                .iter()
                .zip(&held)
                .map(|(w, held)| has(&w.name, &[("tea", held[0]), ("pot", held[1]), ("cup", held[2])]))
                .collect();
            let p = policy(warehouses, priced.map_or(SplitCost::Any, SplitCost::Each));
            let units: Vec<Unit> = skus.iter().zip(wanted).map(|(sku, n)| unit(sku, n)).collect();
            let single: Vec<&str> =
                skus.iter().zip(wanted).flat_map(|(sku, n)| std::iter::repeat_n(*sku, n as usize)).collect();
            let answer = p.choose(&units, &stock, Some("north"), &[], now);
            prop_assume!(!single.is_empty());
            match (answer, brute_force(&p, &single, &stock, now)) {
                (Err(missing), None) => {
                    for unit in &missing {
                        let there: u32 = stock
                            .iter()
                            .flat_map(|s| &s.units)
                            .filter(|u| u.sku == unit.sku)
                            .map(|u| u.quantity)
                            .sum();
                        let asked = units.iter().find(|u| u.sku == unit.sku).unwrap().quantity;
                        prop_assert_eq!(asked - there, unit.quantity);
                    }
                }
                (Ok(way), Some(best)) => {
                    let place = |a: &Allotment| p.warehouses.iter().position(|w| w.name == a.warehouse).unwrap();
                    let mut used: Vec<usize> = way.iter().map(place).collect();
                    used.sort_unstable();
                    prop_assert_eq!(worth(&p, &used, now), best);
                    let mut sent: BTreeMap<&str, u32> = BTreeMap::new();
                    for a in &way {
                        for u in &a.units {
                            let there = stock[place(a)].units.iter().find(|s| s.sku == u.sku).unwrap().quantity;
                            prop_assert!(u.quantity <= there, "{} sends more than it has", a.warehouse);
                            *sent.entry(&u.sku).or_default() += u.quantity;
                        }
                    }
                    for u in units.iter().filter(|u| u.quantity > 0) {
                        prop_assert_eq!(sent.get(u.sku.as_str()), Some(&u.quantity));
                    }
                }
                (answer, best) => prop_assert!(false, "{:?}, but the best is {:?}", answer, best),
            }
        }
    }
}
