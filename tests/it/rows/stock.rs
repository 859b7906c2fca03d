//! I17: every unit is set aside, taken out and given back at most once, and never more of it than there is. I13: goods
//! leave only while they are paid for, passed and wanted.
//!
//! The inventory is a model that carries out what it is asked under the key it is asked with. Its answers get lost,
//! and so do calls on their way to it; the order knows no more than it is told.

use std::collections::{BTreeMap, BTreeSet};

use consign::machine::Told;
use consign::order::{Draft, Line, Order};
use consign::pipeline::{EffectAnswer, Outstanding, Physical};
use consign::stage::dispatch::{
    AskStock, Consume, Consumed, InStock, OnShortPick, OnShortage, Packing, PickShort, Reserve,
    ReserveRefused, ReserveWhen, Short, StockSeen, Unit, Unreserve, Unreserved, WarehouseStock, parcel,
};
use consign::stage::payment::FundsPolicy;
use proptest::prelude::*;

use super::{dispatch, ends, lifecycle, payment, review, warehouses};
use crate::support::shop::{Shop, agent, order_of};

/// A reservation: a parcel, and its number.
type Reservation = (u32, u32);

/// What the inventory did.
#[derive(Debug, Default)]
struct Model {
    /// What is set aside, by reservation and SKU.
    aside: BTreeMap<(Reservation, String), i64>,
    /// Units that left for good, by SKU.
    gone: BTreeMap<String, i64>,
    /// What was asked under each key.
    asked: BTreeMap<String, String>,
    /// Keys under which something is to be given back.
    seen: BTreeSet<String>,
    /// What is on its way back under each of them, or was lost on it.
    leaving: BTreeMap<String, (Reservation, Vec<Unit>)>,
    /// Keys that were carried out.
    done: BTreeSet<String>,
    /// Reservations that were answered short, or refused.
    denied: BTreeSet<Reservation>,
    /// Reservations that were given back before they arrived, and that must not arrive any more.
    void: BTreeSet<Reservation>,
    /// Whether a call was lost on its way, so that something may stay where it is.
    unheard: bool,
}

fn sku_units(units: &[Unit]) -> impl Iterator<Item = (String, i64)> + '_ {
    units.iter().map(|u| (u.sku.clone(), i64::from(u.quantity)))
}

impl Model {
    /// What is asked is asked under a key of its own.
    fn hears(&mut self, s: &Shop, w: &Outstanding) -> String {
        let key = s.pipeline.op_key(&s.order, w).to_string();
        let held = self.asked.entry(key.clone()).or_insert_with(|| w.saved.to_string());
        assert_eq!(held.as_str(), &*w.saved, "one key stands for one thing\n{}", s.show());
        key
    }

    /// Carries an operation out, once per key.
    fn act(&mut self, s: &Shop, w: &Outstanding) {
        let key = self.hears(s, w);
        self.leaving.remove(&key);
        if !self.done.insert(key) {
            return;
        }
        let value = s.pipeline.effect_value(w).unwrap();
        if let Some(x) = value.downcast_ref::<Reserve>() {
            for (sku, n) in sku_units(&x.units).filter(|_| !self.void.contains(&(w.key.0, x.asked))) {
                *self.aside.entry(((w.key.0, x.asked), sku)).or_default() += n;
            }
        } else if let Some(x) = value.downcast_ref::<Unreserve>() {
            let of = (w.key.0, x.asked);
            let arrived = self.aside.keys().any(|(r, _)| *r == of);
            if !arrived {
                self.void.insert(of);
            }
            for (sku, n) in sku_units(&x.units).filter(|_| arrived) {
                let held = self.aside.entry((of, sku.clone())).or_default();
                *held -= n;
                assert!(*held >= 0, "{sku} of {of:?} was given back twice\n{}", s.show());
            }
        } else if let Some(x) = value.downcast_ref::<Consume>() {
            let of = (w.key.0, x.asked);
            for (sku, n) in sku_units(&x.units) {
                let held = self.aside.entry((of, sku.clone())).or_default();
                *held -= n;
                assert!(*held >= 0, "{sku} of {of:?} was taken out and not set aside\n{}", s.show());
                *self.gone.entry(sku).or_default() += n;
            }
        }
    }

    /// Of nothing is more set aside or gone than was ordered, but for what is asked back already, and nothing is to be given back that is known not to have
    /// been set aside.
    fn check(&mut self, s: &Shop, ordered: &[(&str, i64)]) -> Result<(), TestCaseError> {
        for w in &s.order.wanted {
            let value = s.pipeline.effect_value(w).unwrap();
            let Some(x) = value.downcast_ref::<Unreserve>() else { continue };
            let of = (w.key.0, x.asked);
            let key = s.pipeline.op_key(&s.order, w).to_string();
            if self.seen.insert(key.clone()) {
                self.leaving.insert(key, (of, x.units.clone()));
                prop_assert!(!self.denied.contains(&of), "nothing was set aside under {of:?}\n{}", s.show());
            }
        }
        for (sku, most) in ordered {
            let back = |of: &Reservation| -> i64 {
                let units = self.leaving.values().filter(|(r, _)| r == of).flat_map(|(_, units)| units);
                units.filter(|u| u.sku == *sku).map(|u| i64::from(u.quantity)).sum()
            };
            let held = self.aside.iter().filter(|((_, k), _)| k == sku);
            let aside: i64 = held.map(|((of, _), n)| (n - back(of)).max(0)).sum();
            let gone = self.gone.get(*sku).copied().unwrap_or_default();
            prop_assert!(aside + gone <= *most, "{} of {} {}\n{}", aside + gone, most, sku, s.show());
        }
        Ok(())
    }
}

/// Something that happens to an order of goods.
#[derive(Debug, Clone)]
enum Turn {
    Pay,
    /// An effect is carried out and answered, carried out and not answered, or neither.
    Answer(usize, Luck),
    Time,
    Hold,
    Unhold,
    Pack(u32),
    PickShort(u32, bool),
    HandOver(u32),
    Left(u32),
    Stopped(u32),
    Home(u32),
    Notice,
    Claim,
    Approve,
    Cancel,
}

#[derive(Debug, Clone, Copy)]
enum Luck {
    Good,
    AnswerLost,
    CallLost,
    No,
}

fn turn() -> impl Strategy<Value = Turn> {
    let parcel = 1..=3_u32;
    let luck = prop_oneof![
        8 => Just(Luck::Good), 1 => Just(Luck::AnswerLost), 1 => Just(Luck::CallLost), 1 => Just(Luck::No)
    ];
    prop_oneof![
        3 => Just(Turn::Pay),
        16 => (0..4_usize, luck).prop_map(|(n, luck)| Turn::Answer(n, luck)),
        4 => Just(Turn::Time),
        1 => Just(Turn::Hold),
        1 => Just(Turn::Unhold),
        4 => parcel.clone().prop_map(Turn::Pack),
        2 => (parcel.clone(), any::<bool>()).prop_map(|(p, all)| Turn::PickShort(p, all)),
        4 => parcel.clone().prop_map(Turn::HandOver),
        1 => parcel.clone().prop_map(Turn::Left),
        1 => parcel.clone().prop_map(Turn::Stopped),
        1 => parcel.prop_map(Turn::Home),
        1 => Just(Turn::Notice),
        1 => Just(Turn::Claim),
        1 => Just(Turn::Approve),
        1 => Just(Turn::Cancel),
    ]
}

fn policies() -> impl Strategy<Value = Physical> {
    let funds = prop_oneof![
        2 => Just(FundsPolicy::RequireCaptured),
        2 => Just(FundsPolicy::RequireAuthorized),
        1 => Just(FundsPolicy::Credit { limit_minor: 2_000 }),
    ];
    let first = any::<bool>();
    let by_hand = any::<bool>();
    let chosen = any::<bool>();
    let shortage = prop_oneof![Just(OnShortage::Cancel), Just(OnShortage::Wait), Just(OnShortage::CallOff)];
    let pick = prop_oneof![Just(OnShortPick::Split), Just(OnShortPick::CallOff)];
    (funds, first, by_hand, chosen, shortage, pick).prop_map(
        |(funds, first, by_hand, chosen, shortage, pick)| {
            let mut p =
                if funds == FundsPolicy::RequireAuthorized { payment::later() } else { Physical::default() };
            p.payment.funds = funds;
            p.dispatch.reserve = if first { ReserveWhen::Placed } else { ReserveWhen::GatesOpen };
            p.dispatch.packing = if by_hand { Packing::ByWarehouse } else { Packing::Automatic };
            p.dispatch.warehouses = chosen.then(warehouses::north_and_south);
            (p.dispatch.shortage, p.dispatch.short_pick) = (shortage, pick);
            p
        },
    )
}

const ORDERED: [(&str, i64); 3] = [("tea", 3), ("pot", 1), ("cup", 2)];

/// Three teas and a pot from one shop, two cups from another.
fn order() -> Order {
    let mut draft = Draft::from(order_of(5000));
    draft.lines = vec![
        Line::goods("tea", 3, 700).in_group("shop"),
        Line::goods("pot", 1, 900).in_group("shop"),
        Line::goods("cup", 2, 1000).in_group("other"),
    ];
    draft.attributes.insert("zone".to_owned(), "south".to_owned());
    Order::parse(draft).unwrap()
}

/// What an effect comes to, by luck; the model carries it out where it arrives.
fn answer(s: &mut Shop, model: &mut Model, w: &Outstanding, luck: Luck) {
    let lost = || EffectAnswer::Unknown("reset".to_owned());
    let value = s.pipeline.effect_value(w).unwrap();
    let stock = [
        value.downcast_ref::<Reserve>().map(|x| (Told::from(InStock), Some(x.asked))),
        value.downcast_ref::<Unreserve>().map(|_| (Unreserved.into(), None)),
        value.downcast_ref::<Consume>().map(|_| (Consumed.into(), None)),
    ];
    let Some((told, reservation)) = stock.into_iter().flatten().next() else {
        let told = match value.downcast_ref::<AskStock>() {
            // Neither has all of it.
            Some(x) => {
                let part = |n: u32, name: &str| WarehouseStock {
                    warehouse: name.to_owned(),
                    units: x
                        .units
                        .iter()
                        .map(|u| Unit { sku: u.sku.clone(), quantity: n.min(u.quantity) })
                        .collect(),
                };
                StockSeen { stock: vec![part(2, "N"), part(1, "S")] }.into()
            }
            None => ends::answer(s, w),
        };
        return match luck {
            Luck::Good | Luck::No => s.answer_done(w.id, told),
            Luck::AnswerLost | Luck::CallLost => s.answers(w.id, lost()),
        };
    };
    let key = model.hears(s, w);
    match (luck, reservation) {
        // What is set aside is set aside.
        (Luck::No, Some(asked)) if !model.done.contains(&key) => {
            model.denied.insert((w.key.0, asked));
            let x = value.downcast_ref::<Reserve>().unwrap();
            if asked % 2 == 0 {
                s.answers(w.id, EffectAnswer::Declined(ReserveRefused { why: "fire".into() }.into()));
            } else {
                s.answer_done(w.id, Short { missing: x.units.iter().take(1).cloned().collect() }.into());
            }
        }
        (Luck::Good | Luck::No, _) => {
            model.act(s, w);
            s.answer_done(w.id, told);
        }
        (Luck::AnswerLost, _) => {
            model.act(s, w);
            s.answers(w.id, lost());
        }
        (Luck::CallLost, _) => {
            model.unheard = true;
            s.answers(w.id, lost());
        }
    }
}

fn happens(s: &mut Shop, model: &mut Model, n: u32, turn: &Turn) {
    let who = agent(&format!("agent-{}", n % 3));
    let next = |s: &Shop| {
        let all = s.pipeline.instances(&s.order);
        all.iter().filter(|i| i.0 == "payment.attempt").map(|i| i.1.0).max().unwrap_or(0) + 1
    };
    match turn {
        Turn::Pay => drop(s.tries_as(&who, payment::start_again(next(s), 1))),
        Turn::Answer(at, luck) => {
            let wanted = s.order.wanted.clone();
            if let Some(w) = wanted.get(at % wanted.len().max(1)) {
                answer(s, model, w, *luck);
            }
        }
        Turn::Time => drop(s.next_timer()),
        Turn::Hold => drop(s.tries_as(&who, dispatch::hold("address"))),
        Turn::Unhold => drop(s.tries_as(&who, dispatch::unhold("address"))),
        Turn::Pack(p) => drop(s.tries_as(&who, dispatch::pack_parcel(*p))),
        Turn::PickShort(p, all) => {
            let Some(state) = s.pipeline.state::<parcel::M>(&s.order, *p) else { return };
            let units = consign::stage::dispatch::trip(state).units();
            let missing = units.into_iter().take(if *all { 9 } else { 1 }).collect();
            drop(s.tries_as(&who, parcel::M::command(*p, PickShort { missing })));
        }
        Turn::HandOver(p) => drop(s.tries_as(&who, dispatch::hand_over(*p))),
        Turn::Left(p) => drop(s.hears(dispatch::accepted(*p))),
        Turn::Stopped(p) => drop(s.tries_as(&who, dispatch::confirm_stop(*p))),
        Turn::Home(p) => drop(s.hears(dispatch::delivered(*p))),
        Turn::Notice => drop(s.hears(review::notice())),
        Turn::Claim => drop(s.tries_as(&who, review::claim())),
        Turn::Approve => drop((1..4).find(|token| s.tries_as(&who, review::approve(*token)).is_ok())),
        Turn::Cancel => drop(s.tries_as(&who, lifecycle::cancel())),
    }
}

/// How an order stands, by its books and its machines rather than by what they yield.
#[derive(Debug)]
struct Stands {
    paid: bool,
    passed: bool,
    wanted: bool,
}

fn stands(s: &Shop, credit: i64) -> Stands {
    Stands {
        paid: s.order.books.kept() + credit >= s.order.due_minor(),
        passed: ["AutoApproved", "Approved"].contains(&s.state("review.case", 1)),
        wanted: ["Placed", "Completed"].contains(&s.life()),
    }
}

/// I13, for the commit that came last: who hands a parcel over may, and what left all the same is held.
fn left_rightly(s: &Shop, was: &Stands) -> Result<(), TestCaseError> {
    let fires = s.last.fires.iter().filter(|f| f.place == "dispatch.parcel" && f.to == "HandedOver");
    for fire in fires.filter(|f| f.from == "ReadyToHandOver" || f.from == "CancelRequested") {
        let may = was.paid && was.passed && (was.wanted || fire.input == "Accepted");
        let told = fire.input == "Accepted" && s.holds().contains(&"left_unpaid");
        prop_assert!(may || told, "{} under {was:?}\n{}", fire.input, s.show());
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: if full() { 10_000 } else { 500 }, failure_persistence: None, ..ProptestConfig::default()
    })]
    #[test]
    fn i13_i17_goods_leave_paid_and_passed_and_each_unit_is_set_aside_taken_out_and_given_back_once(
        policy in policies(), paid in any::<bool>(), turns in prop::collection::vec(turn(), 1..90),
    ) {
        let credit = policy.payment.credit_minor(5000);
        let mut s = Shop::place(policy, order());
        let mut model = Model::default();
        if paid {
            dispatch::pay_and_pass(&mut s);
        }
        for (n, turn) in (0..).zip(&turns) {
            let (was, version) = (stands(&s, credit), s.order.version);
            happens(&mut s, &mut model, n, turn);
            if s.order.version > version {
                left_rightly(&s, &was)?;
            }
            model.check(&s, &ORDERED)?;
            s.release_holds();
        }
        // From here on everything arrives; what was lost on its way before may still be missing.
        for _ in 0..60 {
            match s.order.wanted.first().cloned() {
                Some(w) => answer(&mut s, &mut model, &w, Luck::Good),
                None if s.next_timer() => {}
                None => break,
            }
            model.check(&s, &ORDERED)?;
            s.release_holds();
        }
        let at_rest = ["Cancelled", "HandedOver", "Delivered", "Lost", "ReturnedToSender"];
        let parcels: Vec<_> = s.pipeline.instances(&s.order).into_iter().filter(|i| i.0 == "dispatch.parcel").collect();
        if s.order.wanted.is_empty() && !model.unheard && parcels.iter().all(|i| at_rest.contains(&i.2)) {
            let left: Vec<_> = model.aside.iter().filter(|(_, n)| **n != 0).collect();
            prop_assert!(left.is_empty(), "{left:?} is still set aside\n{}", s.show());
        }
    }
}

fn full() -> bool {
    std::env::var_os("CONSIGN_FULL").is_some_and(|v| v == "1")
}
