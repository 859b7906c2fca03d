//! No unit is given back, or put into the stock, more often than the customer had it, over all returns and claims of an
//! order, whatever becomes of each.

use consign::pipeline::{Outstanding, Physical, Refused, physical};
use consign::stage::aftersales::{
    Reason, Resolution, Restock, RestockRefused, Restocked, Units, Verdict, about, rma,
};
use consign::stage::refund::SendBack;
use proptest::prelude::*;

use super::aftersales::{
    approve, ask_claim, ask_return, conclude, decline_of, delivered, delivered_under, inspect, receive, units,
};
use super::refund;
use crate::support::shop::{Shop, carla};

/// Something that is done to a return or a claim of the tea set; numbers are taken as they fit.
#[derive(Debug, Clone)]
enum Turn {
    /// Units of a line are asked back, or something is claimed for them.
    Ask(bool, u32, u32),
    Approve(u32),
    Decline(u32),
    Receive(u32, u32),
    Inspect(u32, Vec<Verdict>),
    Conclude(u32, u32),
    /// The warehouse takes the units, or refuses to.
    Stock(bool),
    Repay,
    Timer,
}

fn turns() -> impl Strategy<Value = Vec<Turn>> {
    let verdict = prop::sample::select(vec![
        Verdict::Restock,
        Verdict::Restock,
        Verdict::Damaged,
        Verdict::WriteOff,
        Verdict::WrongItem,
        Verdict::Missing,
    ]);
    let key = 1u32..7;
    let turn = prop_oneof![
        4 => (any::<bool>(), 0u32..2, 1u32..4).prop_map(|(claim, line, n)| Turn::Ask(claim, line, n)),
        4 => key.clone().prop_map(Turn::Approve),
        1 => key.clone().prop_map(Turn::Decline),
        4 => (key.clone(), 1u32..4).prop_map(|(k, n)| Turn::Receive(k, n)),
        4 => (key.clone(), prop::collection::vec(verdict, 3)).prop_map(|(k, v)| Turn::Inspect(k, v)),
        3 => (key, 0u32..4).prop_map(|(k, n)| Turn::Conclude(k, n)),
        1 => any::<bool>().prop_map(Turn::Stock),
        2 => Just(Turn::Repay),
        1 => Just(Turn::Timer),
    ];
    prop::collection::vec(turn, 1..40)
}

/// What came of it, counted from what was said and asked outside, and not from what the orders keep.
#[derive(Default)]
struct Counted {
    /// Units put into the stock, by SKU.
    stocked: std::collections::BTreeMap<String, u32>,
    /// Effects that were counted.
    seen: std::collections::BTreeSet<String>,
}

impl Counted {
    fn look(&mut self, s: &Shop) {
        for w in &s.order.wanted {
            let value = s.pipeline.effect_value(w).unwrap();
            let Some(x) = value.downcast_ref::<Restock>() else { continue };
            if self.seen.insert(s.pipeline.op_key(&s.order, w).to_string()) {
                for u in &x.units {
                    *self.stocked.entry(u.sku.clone()).or_default() += u.quantity;
                }
            }
        }
    }
}

/// The units of a case as it stands: asked for, or received.
fn of(s: &Shop, key: u32) -> Option<(u32, u32, u32)> {
    let about = about(s.pipeline.state::<rma::M>(&s.order, key)?);
    let line = about.items.first()?.line;
    let count = |l: &[Units]| l.iter().map(|u| u.quantity).sum();
    Some((line, count(&about.items), count(&about.received)))
}

fn take(s: &mut Shop, turn: &Turn, next: &mut u32) {
    match turn {
        Turn::Ask(claim, line, n) => {
            let items = units(*line, *n);
            let call = match claim {
                true => ask_claim(*next, items, Reason::Missing, Resolution::Refund),
                false => ask_return(*next, items, Reason::Wrong, Resolution::Refund),
            };
            if s.tries_as(&carla(), call).is_ok() {
                *next += 1;
            }
        }
        Turn::Approve(key) => drop(s.tries_as(&crate::support::shop::agent("anna"), approve(*key))),
        Turn::Decline(key) => drop(s.tries_as(&crate::support::shop::agent("anna"), decline_of(*key))),
        Turn::Receive(key, n) => {
            let Some((line, asked, _)) = of(s, *key) else { return };
            let call = receive(*key, units(line, (*n).min(asked)));
            drop(s.tries_as(&crate::support::shop::agent("wim"), call));
        }
        Turn::Inspect(key, verdicts) => {
            let Some((line, _, came)) = of(s, *key) else { return };
            let found: Vec<_> = verdicts.iter().zip(0..came).map(|(v, _)| (line, 1, *v)).collect();
            drop(s.tries_as(&crate::support::shop::agent("wim"), inspect(*key, &found)));
        }
        Turn::Conclude(key, n) => {
            let Some((line, asked, came)) = of(s, *key) else { return };
            let most = if came > 0 { came } else { asked };
            let call = conclude(*key, units(line, (*n).min(most)));
            drop(s.tries_as(&crate::support::shop::agent("anna"), call));
        }
        Turn::Stock(takes) => {
            if s.wants().iter().any(|w| w.starts_with("Restock")) {
                match takes {
                    true => s.done("Restock", Restocked),
                    false => s.declined("Restock", RestockRefused { why: "no shelf".to_owned() }),
                }
                s.release_holds();
            }
        }
        Turn::Repay => {
            let sends = |w: &Outstanding| {
                let value = s.pipeline.effect_value(w)?;
                let send = value.downcast_ref::<SendBack>()?;
                Some((w.id, send.amount.minor()))
            };
            if let Some((id, amount)) = s.order.wanted.iter().find_map(|w| sends(w)) {
                s.answer_done(id, refund::repaid(amount).into());
            }
        }
        Turn::Timer => {
            let open = s.state("order.life", 1) == "Completed";
            if open && s.next_timer() {
                s.release_holds();
            }
        }
    }
}

fn once(policy: Physical, turns: &[Turn]) -> Result<(), TestCaseError> {
    let mut s = delivered_under(policy);
    let shares = s.order.order.line_shares();
    let had = [("cup", 3u32), ("pot", 1u32)];
    let (mut counted, mut next) = (Counted::default(), 1);
    for turn in turns {
        take(&mut s, turn, &mut next);
        counted.look(&s);
        for (sku, most) in had {
            let stocked = counted.stocked.get(sku).copied().unwrap_or_default();
            prop_assert!(stocked <= most, "{stocked} of {most} {sku} went into the stock\n{}", s.show());
        }
        let mut accepted = [0u32; 2];
        let mut worth = 0;
        for key in 1..next {
            let about = about(s.pipeline.state::<rma::M>(&s.order, key).unwrap());
            for u in about.accepted.iter().flatten() {
                accepted[usize::try_from(u.line).unwrap()] += u.quantity;
            }
            worth += about.value_minor;
        }
        for (at, (sku, most)) in had.into_iter().enumerate() {
            prop_assert!(
                accepted[at] <= most,
                "{} of {most} {sku} were accepted\n{}",
                accepted[at],
                s.show()
            );
            let stocked = counted.stocked.get(sku).copied().unwrap_or_default();
            prop_assert!(stocked <= accepted[at], "{sku}: {stocked} stocked, {} accepted", accepted[at]);
        }
        let net: i64 = (0..2).map(|at| s.order.order.unit_share(at, 0..accepted[at])).sum();
        prop_assert_eq!(worth, net, "what is given is what was paid for the units that are accepted");
        let back = s.order.books.refunded(None) + s.order.books.refund_due(None);
        prop_assert_eq!(back, worth);
        prop_assert!(back <= shares.iter().sum::<i64>());
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: if std::env::var("CONSIGN_FULL").is_ok_and(|v| v == "1") { 5_000 } else { 120 },
        failure_persistence: None,
        ..ProptestConfig::default()
    })]
    #[test]
    fn a_unit_is_given_back_once_and_stocked_once_whatever_is_asked(turns in turns(), early in any::<bool>()) {
        let mut policy = Physical::default();
        policy.aftersales.refund_before_receipt = early;
        once(policy, &turns)?;
    }
}

#[test]
fn what_is_sent_back_to_the_customer_was_never_in_the_stock() {
    let mut s = delivered();
    let ask = |key| ask_return(key, units(0, 2), Reason::Wrong, Resolution::Refund);
    for key in [1, 2] {
        s.asks_as(&carla(), ask(key));
        s.asks(approve(key));
        s.asks(receive(key, units(0, 2)));
        s.asks(inspect(key, &[(0, 1, Verdict::Restock), (0, 1, Verdict::Damaged)]));
        assert!(s.wants().is_empty(), "nothing is decided yet\n{}", s.show());
        if key == 1 {
            s.asks(conclude(key, Vec::new()));
            assert_eq!(s.state("aftersales.rma", key), "Rejected");
            assert!(s.wants().is_empty(), "{}", s.show());
        }
    }
    s.asks(conclude(2, units(0, 1)));
    assert_eq!(s.wants(), ["Restock 2", "SendBack 1"]);
}

/// M19: the rules are those of the day the order was placed.
#[test]
fn an_order_keeps_the_rules_of_returns_it_was_placed_under() {
    let mut strict = Physical::default();
    strict.aftersales.returns.clear();
    strict.aftersales.claims.clear();
    let ask = || ask_return(1, units(0, 1), Reason::Wrong, Resolution::Refund);

    let mut old = delivered();
    old.pipeline = physical(strict.clone()).unwrap();
    old.asks_as(&carla(), ask());
    assert_eq!(old.state("aftersales.rma", 1), "Requested");

    let mut new = delivered_under(strict);
    let told = |s: &mut Shop| match s.tries_as(&carla(), ask()) {
        Err(Refused::Refused { code, .. }) => code,
        other => panic!("{other:?}"),
    };
    assert_eq!(told(&mut new), "reason");
    new.pipeline = physical(Physical::default()).unwrap();
    assert_eq!(told(&mut new), "reason", "nor do rules that are kinder now reach it");
}
