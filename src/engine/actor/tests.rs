use super::*;
use crate::id::Key;

const HOUR: Duration = Duration::from_secs(3600);
const SETTLE: Duration = Duration::from_secs(90);

fn at(hours: u32) -> Timestamp {
    Timestamp::from_millis(0).saturating_add(HOUR * hours)
}

/// An operation that was first wanted at hour 0, and whose last call was given up at hour 1.
fn sent(mode: Mode, again: Again) -> Outstanding {
    Outstanding {
        id: 1,
        place: 0,
        key: Key(1),
        effect: 0,
        name: "refund.refund/Refund".into(),
        mode,
        nth: 0,
        attempt: 2,
        sent: true,
        withdrawn: false,
        wanted_at: at(0),
        since: at(0),
        doubted: Some(at(1)),
        again,
        not_before: None,
        value: Arc::new(()),
        saved: "".into(),
    }
}

/// Each row turns red when its guard is taken out: what was never sent, what only asks and what does no harm twice
/// goes out whatever the adapter promises, and anything else only while its key is kept, or once the outside was asked
/// for it after the last call had settled.
#[test]
fn what_may_have_been_carried_out_goes_out_again_only_where_that_is_safe() {
    use Again::{Harmless, Keyed, Missing};
    let keyed = Repeats::Idempotent { key_ttl: 24 * HOUR };
    let lookup = Repeats::Lookup { settle: SETTLE };
    let all = [keyed, lookup, Repeats::AtMostOnce];
    let may = |w: &Outstanding, repeats, hours| may_send(w, repeats, at(hours), at(1), at(0)).is_ok();
    for repeats in all {
        let fresh = Outstanding { sent: false, ..sent(Mode::Once, Keyed) };
        assert!(may(&fresh, repeats, 100), "it was never sent: {repeats:?}");
        assert!(may(&sent(Mode::Read, Keyed), repeats, 100), "it asks: {repeats:?}");
        assert!(may(&sent(Mode::Repeat, Harmless), repeats, 100), "twice is as good as once: {repeats:?}");
    }
    for mode in [Mode::Once, Mode::Repeat] {
        let again = sent(mode, Keyed);
        assert!(may(&again, keyed, 11), "while its key is kept");
        assert!(
            !may(&again, keyed, 12),
            "a clock may have been set back since: half of its life is relied on"
        );
        let behind = |newest, repeats| may_send(&again, repeats, at(2), newest, at(0)).is_ok();
        assert!(
            behind(at(2), keyed) && !behind(at(3), keyed),
            "the clock was set back: nobody knows its age"
        );
        let kept = Repeats::Idempotent { key_ttl: Duration::MAX };
        assert!(behind(at(3), kept), "a key that is kept indefinitely has no age");
        assert!(!may(&again, lookup, 2), "nobody has asked");
        // Asked at hour 1, while the call may still have been on its way; and well after.
        for (asked, settled) in [(at(1), false), (at(2), true)] {
            let missing = sent(mode, Missing(asked));
            assert_eq!(may(&missing, lookup, 3), settled, "asked at {asked}");
        }
        let taken = |hours| may_send(&sent(mode, Missing(at(2))), lookup, at(4), at(1), at(hours)).is_ok();
        assert!(taken(3) && !taken(4), "the clock of another worker says when it was sent");
        assert!(may(&sent(mode, Missing(at(2))), keyed, 100), "the key is gone, and so is the operation");
        assert!(!may(&sent(mode, Missing(at(0))), keyed, 100), "it was asked for before the last call");
        for again in [Keyed, Missing(at(2))] {
            assert!(!may(&sent(mode, again), Repeats::AtMostOnce, 2), "it is tried at most once");
        }
    }
}
