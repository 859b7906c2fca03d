//! Wherever an order stands, it comes to an end, and its books are clear then: called off there, or carried on.
//!
//! The world of these tests does its part: channels answer, warehouses confirm, carriers deliver, people look at what
//! is held and ask again for what is still owed. Nothing here knows how an order came to where it stands.

use consign::id::Channel;
use consign::ledger::Code;
use consign::machine::{Call, Told};
use consign::pipeline::Outstanding;
use consign::stage::aftersales::Restocked;
use consign::stage::correction::{Agree, Entry, Withdraw, correction};
use consign::stage::dispatch::{
    AskStock, Booked, BookingCancelled, Consumed, InStock, Intercepted, NoNews, Quoted, StockSeen, Unhold,
    Unreserved, WarehouseStock, parcel,
};
use consign::stage::payment::{
    Authorised, Capture, Charge, Gone, HoldReleased, Paid, RefuseMismatch, StillHeld, attempt,
};
use consign::stage::refund::{ApproveRefund, InquireRefund, Repaid, Request, SendBack, refund};
use consign::stage::review::{Lease, case};

use super::{activation, aftersales, carriers, cases, dispatch, lifecycle, payment, review};
use crate::support::shop::{Shop, agent};

/// What the outside answers, when all goes well.
pub(super) fn answer(shop: &Shop, w: &Outstanding) -> Told {
    let value = shop.pipeline.effect_value(w).unwrap();
    let reference = format!("{} {} {}", w.name, w.key, w.nth);
    if let Some(x) = value.downcast_ref::<Charge>() {
        let (channel, amount) = (x.channel.clone(), x.amount);
        return if x.capture {
            Paid { channel, reference, amount, more_allowed: false, movement: None }.into()
        } else {
            Authorised { channel, reference, amount, expires_at: None }.into()
        };
    }
    if let Some(x) = value.downcast_ref::<Capture>() {
        let (channel, amount) = (x.channel.clone(), x.amount);
        return Paid { channel, reference, amount, more_allowed: false, movement: None }.into();
    }
    let sent = value.downcast_ref::<SendBack>().map(|x| (x.channel.clone(), x.amount, x.payout));
    let asked = value.downcast_ref::<InquireRefund>().map(|x| (x.channel.clone(), x.amount, x.payout));
    if let Some((channel, amount, payout)) = sent.or(asked) {
        // A channel stands by what it said.
        return match shop.state("refund", w.key.0) {
            "Failed" => super::refund::declined().into(),
            _ => Repaid { channel, reference: format!("b{}-{payout}", w.key), amount }.into(),
        };
    }
    if let Some(told) = activation::answer(shop, w) {
        return told;
    }
    let held = shop.state("payment.attempt", w.key.0) == "CaptureUnknown";
    match w.name.rsplit('/').next().unwrap() {
        "Inquire" if held => StillHeld.into(),
        "Inquire" => payment::refused().into(),
        "Close" => Gone.into(),
        "Void" => HoldReleased.into(),
        "Score" => review::scored(3).into(),
        "AskStock" => stock(value.downcast_ref::<AskStock>().unwrap()).into(),
        "Reserve" => InStock.into(),
        "Unreserve" => Unreserved.into(),
        "Consume" => Consumed.into(),
        "Book" => Booked { tracking: reference }.into(),
        "Quote" => Quoted { offers: carriers::offers() }.into(),
        "CancelBooking" => BookingCancelled.into(),
        "BringBack" => Intercepted.into(),
        "Track" => NoNews.into(),
        "Restock" => Restocked.into(),
        other => panic!("nobody answers {other}"),
    }
}

/// Enough of everything in two warehouses.
fn stock(ask: &AskStock) -> StockSeen {
    let of = |name: &str| WarehouseStock { warehouse: name.to_owned(), units: ask.units.clone() };
    StockSeen { stock: vec![of("N"), of("S")] }
}

/// What people and carriers do, where it is their turn.
pub(super) fn turn(shop: &Shop) -> Option<Turn> {
    use Turn::{Asks, Says};
    for (place, key, state) in shop.pipeline.instances(&shop.order) {
        let key = key.0;
        let turn = match (place, state) {
            ("payment.attempt", "Mismatch") => Asks(attempt::M::command(key, RefuseMismatch)),
            ("payment.attempt", "RequiresAction") => Says(attempt::M::evidence(key, payment::refused())),
            ("review.case", "Queued" | "Escalated") => Asks(review::claim()),
            ("review.case", "PendingSecond") => Asks(review::approve(0)),
            ("dispatch.parcel", "OnHold") => match shop.pipeline.state::<parcel::M>(&shop.order, key) {
                Some(parcel::State::OnHold(s)) => {
                    Asks(parcel::M::command(key, Unhold { reason: s.reasons[0].clone() }))
                }
                other => panic!("{other:?}"),
            },
            ("dispatch.parcel", "Released") => Asks(dispatch::pack_parcel(key)),
            ("dispatch.parcel", "ReadyToHandOver") if shop.order.proofs().contains(&"collected") => {
                Asks(dispatch::hand_over(key))
            }
            ("dispatch.parcel", "CancelRequested") => Asks(dispatch::confirm_stop(key)),
            ("dispatch.parcel", "HandedOver") => Says(dispatch::delivered(key)),
            ("dispatch.parcel", "Returning") => Says(dispatch::came_back(key)),
            ("activation.service", "PlatformRejected") => Asks(activation::terminate_of(key)),
            (
                "activation.service",
                "PendingPlatformReview" | "Active" | "PartActive" | "Delivering" | "Paused",
            ) => Says(activation::goes_on(shop, key)),
            ("aftersales.rma", _) => match aftersales::turn(shop, key) {
                Some(call) => Asks(call),
                None => continue,
            },
            ("books.correction", "Proposed") => {
                let state = shop.pipeline.state::<correction::M>(&shop.order, key);
                let Some(correction::State::Proposed(s)) = state else { panic!("{state:?}") };
                // It may have been settled otherwise meanwhile.
                let over = s.what.entry == Entry::WriteOff && shop.order.books.owed() >= 0;
                Asks(if over {
                    correction::M::command(key, Withdraw)
                } else {
                    correction::M::command(key, Agree)
                })
            }
            ("refund", "ApprovalPending") => Asks(refund::M::command(key, ApproveRefund)),
            ("refund", "RequiresAction") => Asks(super::refund::another_way(key)),
            _ => continue,
        };
        return Some(turn);
    }
    None
}

/// Whose turn it is, and with what.
pub(super) enum Turn {
    Asks(Call),
    Says(Call),
}

/// What a person asks for when nothing else moves: the money that is still missing, or still owed.
fn settle(shop: &Shop) -> Option<Call> {
    let books = &shop.order.books;
    let instances = shop.pipeline.instances(&shop.order);
    let next = |place: &str| {
        instances.iter().filter(|(p, _, _)| *p == place).map(|(_, k, _)| k.0).max().unwrap_or(0) + 1
    };
    let wanted = shop.life() == "Placed" || shop.life() == "Completed";
    if books.owed() < 0 || wanted && !shop.order.proofs().contains(&"funded") {
        let again = |key| payment::start_again(next("payment.attempt"), key);
        let tenders = shop.order.order.tenders();
        let mut calls = tenders.iter().map(|t| again(t.key.0)).chain([lifecycle::cancel()]);
        if let Some(call) = calls.find(|call| shop.would_take(call)) {
            return Some(call);
        }
    }
    let enter = |entry, minor| Some(super::correction::propose_as(next("books.correction"), entry, minor));
    if books.suspense() < 0 {
        return enter(Entry::Lost, -books.suspense());
    }
    if books.owed() < 0 && shop.life() != "Placed" {
        return enter(Entry::WriteOff, -books.owed());
    }
    let owed = if books.suspense() > 0 { books.suspense() } else { books.owed() };
    let gone = ["Cancelling", "Cancelled", "Rejected", "Expired"].contains(&shop.life());
    let ended = ["Lost", "ReturnedToSender", "Failed", "Reversed", "Cancelled"];
    let failed = instances.iter().any(|(_, _, s)| ended.contains(s)) || books.kept() > shop.order.due_minor();
    let planned = instances.iter().any(|i| i.2 == "Planned");
    let over = ["Completed", "Terminated", "ActivationFailed"];
    let served = instances.iter().any(|i| i.0 == "activation.service" && over.contains(&i.2))
        && instances.iter().all(|i| i.0 != "dispatch.parcel");
    if owed == 0 && (failed || planned) && shop.life() == "Placed" {
        return Some(lifecycle::cancel()).filter(|call| shop.would_take(call));
    }
    if owed <= 0 || !(gone || failed || served || books.suspense() > 0) {
        return None;
    }
    let on = |channel: &Channel| books.refundable(channel) > 0;
    let Some(channel) = books.channels().into_iter().find(on) else {
        return enter(Entry::PaidOutside, owed);
    };
    let amount_minor = owed.min(books.refundable(&channel));
    let reason = "still owed".to_owned();
    let took = |key: &u32| {
        let attempt = shop.pipeline.state::<attempt::M>(&shop.order, *key);
        attempt.is_some_and(|state| state.what().channel == channel)
    };
    let attempt = (1..=99).find(took).unwrap_or(1).into();
    let request = Request { attempt, channel, reference: None, amount_minor, reason };
    Some(refund::M::command(next("refund"), request))
}

/// Carries an order on until nothing is expected of it any more.
pub(super) fn carry_on(shop: &mut Shop) -> Result<(), String> {
    for n in 0..400 {
        shop.release_holds();
        if !shop.order.is_open() && settle(shop).is_none() {
            return Ok(());
        }
        if !one_turn(shop, n) {
            break;
        }
    }
    Err(shop.show())
}

/// The next thing that somebody does who does their part. Whether there was any.
pub(super) fn one_turn(shop: &mut Shop, n: u32) -> bool {
    if let Some(w) = shop.order.wanted.first().cloned() {
        let told = answer(shop, &w);
        shop.answer_done(w.id, told);
    } else if let Some(turn) = turn(shop) {
        // Every case is looked at by somebody else than the case before.
        let by = agent(&format!("agent-{n}"));
        match turn {
            Turn::Asks(call) => shop.asks_as(&by, call),
            Turn::Says(call) => {
                shop.hears(call);
            }
        }
    } else if let Some(lease) = claimed(shop) {
        shop.asks_as(&lease.actor, review::approve(lease.token));
    } else if let Some(call) = settle(shop) {
        shop.asks(call);
    } else {
        return shop.next_timer();
    }
    true
}

/// The lease on the case, where somebody holds it.
pub(super) fn claimed(shop: &Shop) -> Option<Lease> {
    if let case::State::Claimed(s) = shop.pipeline.state::<case::M>(&shop.order, 1)? {
        return Some(s.lease.clone());
    }
    None
}

/// Whether words from outside left something that only people beyond the order can settle: money that left or came
/// twice, goods that are with a customer who has their money too.
pub(super) fn beyond(shop: &Shop) -> bool {
    let books = &shop.order.books;
    let unexplained = books.sums().any(|p| p.code == Code::P18);
    unexplained || books.check(shop.order.worth_minor()).is_err() || books.owed() < 0
}

fn check(how: &str, begin: fn(&mut Shop)) {
    let mut wrong = Vec::new();
    for case in cases() {
        let mut shop = (case.at)();
        (case.then)(&mut shop);
        begin(&mut shop);
        let came = carry_on(&mut shop);
        let books = &shop.order.books;
        // What people have explained has left the channel all the same.
        let explained = books.sums().any(|p| matches!(p.code, Code::P16 | Code::P20));
        if beyond(&shop) && how.starts_with("paid") {
            // Two words of the channel that do not go together.
        } else if let Err(stands) = came {
            wrong.push(format!("## {how} after «{}» it has no end:\n{stands}", case.name));
        } else if !books.is_clear() || !explained && books.check(shop.order.worth_minor()).is_err() {
            wrong.push(format!("## {how} after «{}» its books are open:\n{}", case.name, shop.show()));
        }
    }
    assert!(wrong.is_empty(), "{}\n{}", wrong.join("\n"), wrong.len());
}

#[test]
fn an_order_that_is_called_off_comes_to_an_end_with_clear_books() {
    check("called off", |shop| {
        let call = [lifecycle::cancel(), lifecycle::request_return()];
        if let Some(call) = call.into_iter().find(|c| shop.would_take(c)) {
            shop.asks(call);
        }
    });
}

#[test]
fn an_order_that_is_carried_on_comes_to_an_end_with_clear_books() {
    check("carried on", |_| {});
}

#[test]
fn an_order_that_gets_money_nobody_asked_for_comes_to_an_end_with_clear_books() {
    check("paid 7.00 more", |shop| {
        let more = payment::paid_on("card", "out of the blue", 700);
        shop.hears(attempt::M::evidence(1, more));
        // Where it is asked about, the channel stands by it.
        let taken = match shop.pipeline.state::<attempt::M>(&shop.order, 1) {
            Some(s) => s.what().booked.taken_minor,
            None => return,
        };
        let asked = |w: &&std::sync::Arc<Outstanding>| w.name.ends_with("/Inquire") && w.nth >= 1 << 31;
        if let Some(id) = shop.order.wanted.iter().find(asked).map(|w| w.id) {
            shop.answer_done(id, payment::paid(taken + 700).into());
        }
    });
}
