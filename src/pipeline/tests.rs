#![allow(clippy::unwrap_used)]
use super::*;
use crate::clock::Timestamp;
use crate::id::{Actor, Key, OrderId, OrderKey};
use crate::machine::Told;
use crate::money::Money;
use crate::order::{Draft, DraftTender, Line, Order};
use crate::stage::dispatch::{self, parcel};
use crate::stage::payment::{Paid, Start, attempt};
use crate::stage::refund;
use crate::stage::review::{self, case};

fn at(s: i64) -> Timestamp {
    Timestamp::from_millis(s * 1000)
}
fn order(total: i64) -> (OrderKey, Order) {
    let mut d = Draft::new("o-1", "EUR", Actor::customer("c-1").unwrap());
    d.lines.push(Line::goods("sku-1", 1, total));
    d.total_minor = total;
    d.tenders.push(DraftTender::new("card", total));
    let id: OrderId = "o-1".parse().unwrap();
    (id.into(), Order::parse(d).unwrap())
}
fn event(kind: EventKind, by: &str) -> Event {
    Event { kind, by: Actor::agent(by).unwrap(), occurred: None }
}

#[test]
fn an_order_is_paid_reviewed_dispatched_delivered_and_earned_in_pure_steps() {
    let p = physical(Physical::default()).unwrap();
    let (id, order) = order(5_000);
    let mut o = p.place(id, order, at(0)).unwrap().progress;
    assert_eq!(o.phase(), Phase::AwaitingPayment);
    let mut now = 1;
    let mut step = |o: &mut Progress, kind: EventKind| {
        now += 1;
        let d = p.step(o, event(kind, "anna"), at(now)).unwrap().unwrap();
        *o = d.progress;
        d.fires.iter().map(|f| format!("{}:{}", f.place, f.to)).collect::<Vec<_>>().join(" ")
    };
    let cmd = |call| EventKind::Command { call, command: None };
    let start = Start { tender: Key(1), channel: None, method: String::new() };
    assert_eq!(step(&mut o, cmd(attempt::M::command(1, start))), "payment.attempt:Sending");
    let paid = Paid {
        channel: "card".parse().unwrap(),
        reference: "r1".into(),
        amount: Money::new(5_000, "EUR".parse().unwrap()),
        more_allowed: false,
        movement: None,
    };
    let answer = |o: &Progress, told: Told| EventKind::Answer {
        effect: o.wanted.first().unwrap().id,
        answer: EffectAnswer::Done(told),
    };
    let a = answer(&o, paid.into());
    assert_eq!(step(&mut o, a), "payment.attempt:Captured review.case:Scoring");
    let a = answer(&o, review::Scored::of(3).into());
    assert_eq!(step(&mut o, a), "review.case:AutoApproved dispatch.parcel:Reserving");
    let a = answer(&o, dispatch::InStock.into());
    assert_eq!(step(&mut o, a), "dispatch.parcel:Released");
    assert_eq!(step(&mut o, cmd(parcel::M::command(1, dispatch::Pack))), "dispatch.parcel:ReadyToHandOver");
    assert_eq!(step(&mut o, cmd(parcel::M::command(1, dispatch::HandOver))), "dispatch.parcel:HandedOver");
    let done = dispatch::DeliveredTo { by: dispatch::Receiver::Customer };
    let e = EventKind::Evidence { call: parcel::M::evidence(1, done), message: None };
    assert_eq!(step(&mut o, e), "dispatch.parcel:Delivered order.life:Completed");
    let show: Vec<String> = o.books.balances().iter().map(|(a, n)| format!("{a} {n}")).collect();
    assert_eq!(show, ["psp:card 5000", "earned -5000"]);
    assert_eq!(o.phase(), Phase::Completed);
    let _ = (case::M::with(Default::default()), refund::RefundPolicy::default());
}
