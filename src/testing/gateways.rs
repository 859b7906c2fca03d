//! What a payment gateway must do, as one call.
//!
//! ```text
//! testing::payment_gateway(|| async { Arc::new(MyGateway::at(&their_sandbox)) as _ }, &Trial::default()).await;
//! ```
//!
//! It looks payments up as the engine does after an answer was lost: by the key that the charge was sent under, with no
//! reference, under a ticket of another key.

use std::future::Future;
use std::sync::Arc;

use crate::clock::Timestamp;
use crate::gateway::{PaymentGateway, Repeats, Ticket};
use crate::id::{Channel, Key, OpKey, OrderId, OrderKey};
use crate::machine::{Effect, Reply};
use crate::money::{Currency, Money};
use crate::stage::payment::{Capture, Charge, Close, Inquire, Void, attempt};
use crate::stage::refund::{InquireRefund, SendBack, refund};

/// What a gateway is tried with. Amounts are minor units of the currency.
#[derive(Debug, Clone)]
pub struct Trial {
    /// A channel that it serves.
    pub channel: Channel,
    /// A currency that the channel takes.
    pub currency: Currency,
    /// A token that pays.
    pub method: String,
    /// What an order costs, at least 50.
    pub amount_minor: i64,
    /// The orders are called this and a number; another word for another run, where the provider remembers.
    pub orders: String,
    /// When the trial takes place.
    pub now: Timestamp,
}

impl Default for Trial {
    /// 50.00 EUR on `card`, with `tok`.
    fn default() -> Self {
        Self {
            channel: "card".parse().expect("a channel"),
            currency: "EUR".parse().expect("a currency"),
            method: "tok".to_owned(),
            amount_minor: 50_00,
            orders: "trial".to_owned(),
            now: Timestamp::from_millis(0),
        }
    }
}

/// Tries out the gateways that `fresh` makes. Each call of it may give the same one; the orders differ.
///
/// # Panics
///
/// With a sentence, when a gateway does what it must not.
pub async fn payment_gateway<F, Fut>(fresh: F, trial: &Trial)
where
    F: Fn() -> Fut,
    Fut: Future<Output = Arc<dyn PaymentGateway>>,
{
    let mut order = 0;
    macro_rules! tried {
        ($($case:ident)*) => { $(
            order += 1;
            Tried { gateway: fresh().await, trial, order }.$case().await;
        )* };
    }
    tried! {
        a_charge_without_an_answer_is_found_by_its_key
        what_was_never_sent_is_not_there
        a_key_takes_money_once
        what_is_closed_takes_no_money
        a_close_tells_what_was_taken
        parts_are_told_one_by_one_and_an_inquiry_tells_the_total
        a_release_finds_the_payment_by_its_key
        a_refund_without_an_answer_is_found_by_its_key
    }
}

type Answer<X> = Reply<<X as Effect>::Done, <X as Effect>::Declined>;

/// One gateway with one order.
struct Tried<'a> {
    gateway: Arc<dyn PaymentGateway>,
    trial: &'a Trial,
    order: u32,
}

impl Tried<'_> {
    fn key(&self) -> OrderKey {
        let id: OrderId = format!("{}-{}", self.trial.orders, self.order).parse().expect("an order's id");
        OrderKey::from(id)
    }

    /// A ticket for the `nth` operation of a kind.
    fn ticket<X: Effect>(&self, nth: u32) -> Ticket {
        let order = self.key();
        let place = if X::NAME.starts_with("refund") { refund::GRAPH.name } else { attempt::GRAPH.name };
        let key = OpKey::derive(&order, 0, place, Key(1), X::NAME, nth);
        Ticket { order, place, instance: Key(1), key, attempt: 1, now: self.trial.now }
    }

    fn money(&self, minor: i64) -> Money {
        Money::new(minor, self.trial.currency)
    }

    fn whole(&self) -> Money {
        self.money(self.trial.amount_minor)
    }

    async fn charge(&self, capture: bool) -> Answer<Charge> {
        let (channel, method) = (self.trial.channel.clone(), self.trial.method.clone());
        let charge = Charge { channel, amount: self.whole(), tender: Key(1), method, capture };
        self.gateway.charge(charge, &self.ticket::<Charge>(0)).await
    }

    /// Asks as the engine does after the answer to the charge was lost.
    async fn inquire(&self, nth: u32) -> Answer<Inquire> {
        let inquire = Inquire {
            channel: self.trial.channel.clone(),
            reference: None,
            amount: self.whole(),
            held: false,
            charge: self.ticket::<Charge>(0).key,
            capture: None,
        };
        self.gateway.inquire(inquire, &self.ticket::<Inquire>(nth)).await
    }

    async fn close(&self) -> Answer<Close> {
        let (channel, charge) = (self.trial.channel.clone(), self.ticket::<Charge>(0).key);
        self.gateway.close(Close { channel, reference: None, charge }, &self.ticket::<Close>(0)).await
    }

    async fn capture(&self, reference: &str, minor: i64, nth: u32) -> Answer<Capture> {
        let (channel, reference) = (self.trial.channel.clone(), Some(reference.to_owned()));
        let capture = Capture { channel, reference, amount: self.money(minor) };
        self.gateway.capture(capture, &self.ticket::<Capture>(nth)).await
    }

    /// What an inquiry says that the payment took in all, in minor units.
    async fn total(&self, nth: u32) -> i64 {
        if let Reply::Done(attempt::done::Inquire::Paid(paid)) = self.inquire(nth).await {
            return paid.amount.minor();
        }
        0
    }

    async fn a_charge_without_an_answer_is_found_by_its_key(&self) {
        let charged = self.charge(true).await;
        assert!(matches!(charged, Reply::Done(_)), "the trial charges {}: {charged:?}", self.whole());
        let found = self.inquire(1).await;
        let Reply::Done(attempt::done::Inquire::Paid(paid)) = &found else {
            panic!(
                "an inquiry finds a payment by the key of its charge, `Inquire::charge`, while it has no reference; \
                 `Ticket::key` is the inquiry's own: {found:?}"
            );
        };
        assert_eq!(
            (paid.amount, &paid.channel),
            (self.whole(), &self.trial.channel),
            "an inquiry tells what was taken, and where"
        );
    }

    async fn what_was_never_sent_is_not_there(&self) {
        let found = self.inquire(1).await;
        let money = matches!(
            found,
            Reply::Done(attempt::done::Inquire::Paid(_) | attempt::done::Inquire::Authorised(_))
        );
        assert!(!money, "a charge that was never sent took no money: {found:?}");
    }

    async fn a_key_takes_money_once(&self) {
        let _ = self.charge(true).await;
        if matches!(self.gateway.repeats(), Repeats::Idempotent { .. }) {
            let _ = self.charge(true).await;
        }
        assert_eq!(self.total(1).await, self.trial.amount_minor, "one key takes money once");
    }

    async fn what_is_closed_takes_no_money(&self) {
        let closed = self.close().await;
        if !matches!(closed, Reply::Done(attempt::done::Close::Gone(_))) {
            return;
        }
        let charged = self.charge(true).await;
        let took = matches!(
            charged,
            Reply::Done(attempt::done::Charge::Paid(_) | attempt::done::Charge::Authorised(_))
        );
        assert!(
            !took,
            "a close answered that the payment is gone, and its charge arrived after that and took money: a gateway \
             that cannot keep it from doing so refuses to close: {charged:?}"
        );
        assert_eq!(self.total(1).await, 0, "what is closed takes no money");
    }

    async fn a_close_tells_what_was_taken(&self) {
        let _ = self.charge(true).await;
        let closed = self.close().await;
        let gone = matches!(closed, Reply::Done(attempt::done::Close::Gone(_)));
        assert!(!gone, "a close finds a payment by the key of its charge, `Close::charge`: {closed:?}");
        if let Reply::Done(attempt::done::Close::Paid(paid)) = closed {
            assert_eq!(paid.amount, self.whole(), "a close tells the total that was taken");
        }
    }

    async fn parts_are_told_one_by_one_and_an_inquiry_tells_the_total(&self) {
        let Reply::Done(attempt::done::Charge::Authorised(held)) = self.charge(false).await else { return };
        let part = self.trial.amount_minor / 5 * 2;
        let first = self.capture(&held.reference, part, 0).await;
        let Reply::Done(attempt::done::Capture::Paid(first)) = first else {
            panic!("what is authorised is captured in part: {first:?}");
        };
        assert_eq!(first.amount, self.money(part), "a capture tells what it took itself");
        let mut taken = part;
        if first.more_allowed {
            let second = self.capture(&held.reference, part, 1).await;
            let Reply::Done(attempt::done::Capture::Paid(second)) = second else {
                panic!("more may be captured, it said, and a second capture does not take it: {second:?}");
            };
            assert_eq!(
                second.amount,
                self.money(part),
                "a second capture tells what it took itself, and not the total"
            );
            assert!(
                second.movement.is_none() || second.movement != first.movement,
                "the number of a movement is that of one capture, and not of the payment: {:?}",
                second.movement
            );
            taken = taken.saturating_add(part);
        }
        assert_eq!(self.total(1).await, taken, "an inquiry tells the total that was captured");
    }

    async fn a_release_finds_the_payment_by_its_key(&self) {
        let Reply::Done(attempt::done::Charge::Authorised(_)) = self.charge(false).await else { return };
        let (channel, charge) = (self.trial.channel.clone(), self.ticket::<Charge>(0).key);
        let void = Void { channel, reference: None, charge };
        let released = self.gateway.void(void, &self.ticket::<Void>(0)).await;
        assert!(
            matches!(released, Reply::Done(_)),
            "an authorisation is released by the key of its charge: {released:?}"
        );
        let found = self.inquire(1).await;
        let holds = matches!(found, Reply::Done(attempt::done::Inquire::Authorised(_)));
        assert!(!holds, "what is released is not held any more: {found:?}");
    }

    async fn a_refund_without_an_answer_is_found_by_its_key(&self) {
        let _ = self.charge(true).await;
        let (channel, amount) = (self.trial.channel.clone(), self.money(self.trial.amount_minor / 5));
        let inquire = |nth| {
            let key = self.ticket::<SendBack>(0).key;
            let channel = channel.clone();
            let ask = InquireRefund { channel, attempt: Key(1), reference: None, amount, payout: 0, key };
            let ticket = self.ticket::<InquireRefund>(nth);
            async move { self.gateway.inquire_refund(ask, &ticket).await }
        };
        let before = inquire(1).await;
        let sent = matches!(before, Reply::Done(refund::done::InquireRefund::Repaid(_)));
        assert!(!sent, "a refund that was never sent gave nothing back: {before:?}");
        let (of, reference, way) = (Key(1), None, None);
        let back = SendBack { channel: channel.clone(), attempt: of, reference, amount, payout: 0, way };
        let sent = self.gateway.refund(back, &self.ticket::<SendBack>(0)).await;
        if !matches!(sent, Reply::Done(_)) {
            return;
        }
        let found = inquire(2).await;
        let known = matches!(
            found,
            Reply::Done(refund::done::InquireRefund::Repaid(_) | refund::done::InquireRefund::Accepted(_))
        );
        assert!(known, "an inquiry finds a refund by its key, `InquireRefund::key`: {found:?}");
    }
}
