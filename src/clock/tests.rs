#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use std::time::Duration;

use proptest::prelude::*;

use super::*;

fn at(millis: i64) -> Timestamp {
    Timestamp::from_millis(millis)
}

#[test]
fn a_time_of_purchase_is_read_as_utc() {
    for (text, millis) in [
        ("2017-07-09 21:57:05", 1_499_637_425_000),
        ("2017-07-09T21:57:05", 1_499_637_425_000),
        ("2017-07-09T21:57:05Z", 1_499_637_425_000),
        ("2017-07-09T18:57:05-03:00", 1_499_637_425_000),
        ("2017-07-09 21:57:05.123456", 1_499_637_425_123),
        ("1970-01-01 00:00:00", 0),
        ("1969-12-31 23:59:59", -1_000),
    ] {
        assert_eq!(Timestamp::parse_utc(text), Ok(at(millis)), "{text}");
    }
}

#[test]
fn a_day_that_does_not_exist_is_no_instant() {
    for text in ["", "soon", "2017-02-29 00:00:00", "2017-07-09 25:00:00", "09/07/2017"] {
        assert!(Timestamp::parse_utc(text).is_err(), "{text:?}");
    }
    assert!("2017-07-09 21:57:05".parse::<Timestamp>().is_err());
}

#[test]
fn an_instant_is_shown_as_rfc_3339() {
    assert_eq!(at(1_499_637_425_000).to_string(), "2017-07-09T21:57:05Z");
    assert_eq!(at(1_499_637_425_120).to_string(), "2017-07-09T21:57:05.12Z");
    assert_eq!(at(-1).to_string(), "1969-12-31T23:59:59.999Z");
    assert_eq!(at(i64::MAX).to_string(), "9223372036854775807 ms");
}

#[test]
fn an_instant_is_stored_as_a_number() {
    assert_eq!(serde_json::to_string(&at(-5)).unwrap(), "-5");
    assert_eq!(serde_json::from_str::<Timestamp>("7").unwrap(), at(7));
}

#[test]
fn time_never_wraps() {
    let hour = Duration::from_secs(3_600);
    assert_eq!(at(5).checked_add(hour), Some(at(3_600_005)));
    assert_eq!(at(i64::MAX).checked_add(Duration::from_millis(1)), None);
    assert_eq!(at(0).checked_add(Duration::MAX), None);
    assert_eq!(at(1).saturating_add(Duration::MAX), at(i64::MAX));
    assert_eq!(at(-2).saturating_sub(Duration::MAX), at(i64::MIN));
    let all = Duration::from_millis(u64::MAX);
    assert_eq!(at(i64::MIN).checked_add(all), Some(at(i64::MAX)));
    assert_eq!(at(i64::MAX).saturating_sub(all), at(i64::MIN));
    assert_eq!(at(9).since(at(4)), Duration::from_millis(5));
    assert_eq!(at(4).since(at(9)), Duration::ZERO);
    assert_eq!(at(i64::MAX).since(at(i64::MIN)), Duration::from_millis(u64::MAX));
    assert_eq!(at(2_999).seconds_since(at(0)), 2);
    assert_eq!(at(0).seconds_since(at(2_999)), -2);
    assert_eq!(at(i64::MIN).seconds_since(at(i64::MAX)), -18_446_744_073_709_551);
}

#[test]
fn the_system_clock_knows_this_century() {
    let now = SystemClock.now();
    assert!(now > Timestamp::parse_utc("2024-01-01 00:00:00").unwrap(), "{now}");
    assert!(now < Timestamp::parse_utc("2100-01-01 00:00:00").unwrap(), "{now}");
}

proptest! {
    #[test]
    fn an_instant_survives_being_shown_and_read(
        millis in -62_000_000_000_000_i64..253_000_000_000_000,
    ) {
        prop_assert_eq!(at(millis).to_string().parse(), Ok(at(millis)));
    }
}

/// A clock that is set by hand, and a steady one beside it.
#[derive(Debug, Clone, Default)]
struct Set(std::sync::Arc<std::sync::Mutex<(i64, u64)>>);

impl Clock for Set {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.0.lock().unwrap().0)
    }
}

impl Set {
    /// Lets time pass, and sets the clock of the system by so much besides.
    fn pass(&self, ms: u64, set_by: i64) {
        let mut at = self.0.lock().unwrap();
        *at = (at.0 + i64::try_from(ms).unwrap() + set_by, at.1 + ms);
    }

    fn steady(&self) -> SteadyClock {
        let own = self.clone();
        let steady = move || Duration::from_millis(own.0.lock().unwrap().1);
        SteadyClock::of(Box::new(self.clone()), Box::new(steady))
    }
}

const HOUR: u64 = 3_600_000;

/// A clock that is set ten days ahead would capture every authorisation at once, and end every deadline.
#[test]
fn a06_a_clock_that_is_set_ahead_is_followed_and_not_jumped_to() {
    let set = Set::default();
    let clock = set.steady();
    set.pass(0, i64::try_from(240 * HOUR).unwrap());
    assert_eq!(clock.now().millis(), 0);
    for hour in 1..=24 {
        set.pass(HOUR, 0);
        assert_eq!(clock.now().millis(), i64::try_from(2 * hour * HOUR).unwrap());
    }
}

/// A clock that is set back eight hours would make a key of 27 hours count as one of 19.
#[test]
fn a06_a_clock_that_is_set_back_never_steps_back_and_understates_an_age_by_a_tenth_at_most() {
    let set = Set::default();
    let clock = set.steady();
    set.pass(HOUR, 0);
    let before = clock.now();
    set.pass(0, -i64::try_from(8 * HOUR).unwrap());
    assert_eq!(clock.now(), before);
    let mut last = before;
    for _ in 0..27 * 60 {
        set.pass(60_000, 0);
        assert!(clock.now() > last);
        last = clock.now();
    }
    let age = last.since(before);
    assert!(age >= Duration::from_millis(27 * HOUR * 9 / 10), "{age:?}");
}

#[test]
fn a06_a_clock_that_nobody_sets_is_the_clock_of_the_system() {
    let set = Set::default();
    let clock = set.steady();
    for ms in [0, 1, 999, 5, HOUR] {
        set.pass(ms, 0);
        assert_eq!(clock.now(), set.now());
    }
}
