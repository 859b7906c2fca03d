//! A payment provider whose answers are compared with what was asked before they are believed.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use super::{PaymentGateway, Repeats, Ticket};
use crate::id::Channel;
use crate::machine::{Effect, Reply};
use crate::money::Money;
use crate::planted::{Mutant, planted};
use crate::stage::payment::{Capture, Charge, Close, Inquire, Void, attempt};
use crate::stage::refund::{InquireRefund, SendBack, refund};

type Answer<X> = Reply<<X as Effect>::Done, <X as Effect>::Declined>;

/// A provider, and the comparison.
pub(crate) struct Compared(pub Arc<dyn PaymentGateway>);

/// The money that an answer speaks of, and where.
macro_rules! money_of {
    ($answer:expr, $($done:path),+) => {
        match &$answer {
            $(Reply::Done($done(p)) => Some((p.channel.clone(), p.amount)),)+
            _ => None,
        }
    };
}

/// Why an answer is none to what was asked. `None` when it is, or speaks of no money.
fn contradiction(asked: &(Channel, Money), told: Option<&(Channel, Money)>) -> Option<String> {
    let told = told.filter(|told| *told != asked && !planted(Mutant::AmountNotCompared))?;
    Some(format!("asked of {} on {}, and told of {} on {}", asked.1, asked.0, told.1, told.0))
}

/// Believes an answer that speaks of what was asked.
fn compared<D, N>(
    answer: Reply<D, N>,
    asked: &(Channel, Money),
    told: Option<(Channel, Money)>,
) -> Reply<D, N> {
    contradiction(asked, told.as_ref()).map_or(answer, Reply::Contradicted)
}

/// Believes an answer that speaks of any money on this channel: what was paid in the meantime is what it is.
fn on_channel<D, N>(answer: Reply<D, N>, channel: Channel, told: Option<(Channel, Money)>) -> Reply<D, N> {
    match told {
        Some((on, of)) => compared(answer, &(channel, of), Some((on, of))),
        None => answer,
    }
}

#[async_trait]
impl PaymentGateway for Compared {
    fn repeats(&self) -> Repeats {
        self.0.repeats()
    }

    fn settle(&self) -> Duration {
        self.0.settle()
    }

    async fn charge(&self, charge: Charge, ticket: &Ticket) -> Answer<Charge> {
        let asked = (charge.channel.clone(), charge.amount);
        let answer = self.0.charge(charge, ticket).await;
        let told = money_of!(answer, attempt::done::Charge::Paid, attempt::done::Charge::Authorised);
        compared(answer, &asked, told)
    }

    async fn inquire(&self, inquire: Inquire, ticket: &Ticket) -> Answer<Inquire> {
        let of = |answer: &Answer<Inquire>| {
            money_of!(*answer, attempt::done::Inquire::Paid, attempt::done::Inquire::Authorised)
        };
        let asked = (inquire.channel.clone(), inquire.amount);
        let answer = self.0.inquire(inquire.clone(), ticket).await;
        let first = of(&answer);
        let Some(why) = contradiction(&asked, first.as_ref()) else { return answer };
        let here = |(on, of): &(Channel, Money)| *on == asked.0 && of.currency() == asked.1.currency();
        if !first.as_ref().is_some_and(here) {
            return Reply::Contradicted(why);
        }
        let again = self.0.inquire(inquire, ticket).await;
        let second = of(&again);
        if second.is_some() && (second == first || second.as_ref() == Some(&asked)) {
            again
        } else {
            Reply::Contradicted(why)
        }
    }

    async fn close(&self, close: Close, ticket: &Ticket) -> Answer<Close> {
        let channel = close.channel.clone();
        let answer = self.0.close(close, ticket).await;
        let told = money_of!(answer, attempt::done::Close::Paid);
        on_channel(answer, channel, told)
    }

    async fn capture(&self, capture: Capture, ticket: &Ticket) -> Answer<Capture> {
        let asked = (capture.channel.clone(), capture.amount);
        let answer = self.0.capture(capture, ticket).await;
        let told = money_of!(answer, attempt::done::Capture::Paid);
        compared(answer, &asked, told)
    }

    async fn void(&self, void: Void, ticket: &Ticket) -> Answer<Void> {
        let channel = void.channel.clone();
        let answer = self.0.void(void, ticket).await;
        let told = money_of!(answer, attempt::done::Void::Paid);
        on_channel(answer, channel, told)
    }

    async fn refund(&self, back: SendBack, ticket: &Ticket) -> Answer<SendBack> {
        let asked = (back.channel.clone(), back.amount);
        let answer = self.0.refund(back, ticket).await;
        let told = money_of!(answer, refund::done::SendBack::Repaid);
        compared(answer, &asked, told)
    }

    async fn inquire_refund(&self, inquire: InquireRefund, ticket: &Ticket) -> Answer<InquireRefund> {
        let asked = (inquire.channel.clone(), inquire.amount);
        let answer = self.0.inquire_refund(inquire, ticket).await;
        let told = money_of!(answer, refund::done::InquireRefund::Repaid);
        compared(answer, &asked, told)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::sync::Mutex;

    use super::*;
    use crate::clock::Timestamp;
    use crate::id::{Key, OpKey, OrderKey};
    use crate::stage::payment::Paid;

    /// Answers everything with the next of these sums.
    struct Says(Mutex<Vec<(&'static str, Money)>>);

    impl Says {
        fn paid(&self) -> Paid {
            let (channel, amount) = self.0.lock().unwrap().remove(0);
            Paid {
                channel: channel.parse().unwrap(),
                reference: "r".into(),
                amount,
                more_allowed: false,
                movement: None,
            }
        }
    }

    #[async_trait]
    impl PaymentGateway for Says {
        fn repeats(&self) -> Repeats {
            Repeats::AtMostOnce
        }
        async fn charge(&self, _: Charge, _: &Ticket) -> Answer<Charge> {
            Reply::Done(self.paid().into())
        }
        async fn inquire(&self, _: Inquire, _: &Ticket) -> Answer<Inquire> {
            Reply::Done(self.paid().into())
        }
        async fn close(&self, _: Close, _: &Ticket) -> Answer<Close> {
            Reply::Done(self.paid().into())
        }
        async fn capture(&self, _: Capture, _: &Ticket) -> Answer<Capture> {
            Reply::Done(self.paid().into())
        }
        async fn void(&self, _: Void, _: &Ticket) -> Answer<Void> {
            Reply::Done(self.paid().into())
        }
        async fn refund(&self, _: SendBack, _: &Ticket) -> Answer<SendBack> {
            let Paid { channel, reference, amount, .. } = self.paid();
            Reply::Done(refund::done::SendBack::Repaid(crate::stage::refund::Repaid {
                channel,
                reference,
                amount,
            }))
        }
        async fn inquire_refund(&self, _: InquireRefund, _: &Ticket) -> Answer<InquireRefund> {
            let Paid { channel, reference, amount, .. } = self.paid();
            Reply::Done(crate::stage::refund::Repaid { channel, reference, amount }.into())
        }
    }

    fn eur(minor: i64) -> Money {
        Money::new(minor, "EUR".parse().unwrap())
    }

    fn ticket() -> Ticket {
        let order = OrderKey::from("o-1".parse::<crate::id::OrderId>().unwrap());
        let key = OpKey::derive(&order, 0, "payment.attempt", Key(1), "Charge", 0);
        let now = Timestamp::from_millis(0);
        Ticket { order, place: "payment.attempt", instance: Key(1), key, attempt: 1, now }
    }

    /// Whether each of the seven believes a provider that says this when it is asked for 50.00 EUR on `card`.
    fn believed(says: &[(&'static str, Money)]) -> [bool; 7] {
        let card: Channel = "card".parse().unwrap();
        let (amount, reference, t) = (eur(5_000), None, ticket());
        let p = || Compared(Arc::new(Says(Mutex::new(says.to_vec()))));
        fn yes<D, N>(answer: Reply<D, N>) -> bool {
            matches!(answer, Reply::Done(_))
        }
        let charge =
            Charge { channel: card.clone(), amount, tender: Key(1), method: String::new(), capture: true };
        let key = t.key.clone();
        let (charge_key, held) = (key.clone(), false);
        let inquire = Inquire {
            channel: card.clone(),
            reference: None,
            amount,
            held,
            charge: charge_key,
            capture: None,
        };
        let back = SendBack {
            channel: card.clone(),
            attempt: Key(1),
            reference: None,
            amount,
            payout: 0,
            way: None,
        };
        let asked = InquireRefund {
            channel: card.clone(),
            attempt: Key(1),
            reference: None,
            amount,
            payout: 0,
            key: t.key.clone(),
        };
        let capture = Capture { channel: card.clone(), reference: None, amount };
        let close = Close { channel: card.clone(), reference: None, charge: key.clone() };
        let void = Void { channel: card, reference, charge: key };
        tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
            [
                yes(p().charge(charge, &t).await),
                yes(p().inquire(inquire, &t).await),
                yes(p().close(close, &t).await),
                yes(p().capture(capture, &t).await),
                yes(p().void(void, &t).await),
                yes(p().refund(back, &t).await),
                yes(p().inquire_refund(asked, &t).await),
            ]
        })
    }

    #[test]
    fn an_answer_about_other_money_is_not_believed() {
        let usd = Money::new(5_000, "USD".parse().unwrap());
        let true_one = ("card", eur(5_000));
        assert_eq!(believed(&[true_one]), [true; 7]);
        // Close and void tell what was paid in the meantime, which may be any sum; an inquiry is made twice.
        let other_sum = [false, false, true, false, true, false, false];
        assert_eq!(believed(&[("card", eur(4_999)), ("card", eur(4_998))]), other_sum);
        assert_eq!(believed(&[("wallet", eur(5_000))]), [false; 7]);
        let other_currency = [false, false, true, false, true, false, false];
        assert_eq!(believed(&[("card", usd)]), other_currency);
    }

    #[test]
    fn an_inquiry_of_another_sum_is_believed_when_it_is_said_twice_or_taken_back() {
        let (less, true_one) = (("card", eur(4_999)), ("card", eur(5_000)));
        assert!(believed(&[less, less])[1]);
        assert!(believed(&[less, true_one])[1]);
        assert!(!believed(&[less, ("wallet", eur(4_999))])[1]);
    }
}
