//! Money in doubt, through the whole engine: what a provider does late is found, and nothing is taken twice.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use consign::clock::Timestamp;
use consign::gateway::{PaymentGateway, Repeats, Ticket};
use consign::machine::{Effect, Reply};
use consign::money::Money;
use consign::pipeline::Physical;
use consign::stage::payment::{
    Authorised, Capture, CaptureGate, CaptureMode, Charge, Close, CloseRefused, Collect, FundsPolicy,
    HoldReleased, Inquire, NotThere, Paid, StillHeld, Void, attempt,
};
use consign::stage::refund::{InquireRefund, RefundMissing, Repaid, SendBack};
use consign::testing::{SandboxGateway, Trial, payment_gateway};

use super::journey::{cancel, start};
use super::support::{
    DAY, Disk, HOUR, MINUTE, MORNING, SECOND, World, agent, carla, draft, key, packs_itself, run,
};

type Answer<X> = Reply<<X as Effect>::Done, <X as Effect>::Declined>;

/// What a slow provider holds of its one payment.
#[derive(Debug, Default)]
struct Books {
    authorised: bool,
    /// When each call that takes money is carried out, and how much it takes.
    taken: Vec<(Timestamp, i64)>,
    back: i64,
}

impl Books {
    fn total(&self, now: Timestamp) -> i64 {
        self.taken.iter().filter(|(at, _)| *at <= now).map(|(_, n)| n).sum()
    }
}

/// A provider that answers no charge or no capture, and carries it out a while after that. Keys mean nothing to it, and
/// it knows nothing to close.
struct Slow {
    books: Arc<Mutex<Books>>,
    after: Duration,
    settle: Duration,
}

fn paid(channel: &consign::id::Channel, minor: i64) -> Paid {
    let amount = Money::new(minor, "EUR".parse().unwrap());
    Paid { channel: channel.clone(), reference: "r1".to_owned(), amount, more_allowed: true, movement: None }
}

#[async_trait]
impl PaymentGateway for Slow {
    fn repeats(&self) -> Repeats {
        Repeats::Lookup { settle: self.settle }
    }
    async fn charge(&self, x: Charge, t: &Ticket) -> Answer<Charge> {
        let mut books = self.books.lock().unwrap();
        if x.capture {
            books.taken.push((t.now.saturating_add(self.after), x.amount.minor()));
            return Reply::Unknown("no answer".to_owned());
        }
        books.authorised = true;
        let (channel, amount) = (x.channel, x.amount);
        Reply::Done(Authorised { channel, reference: "r1".to_owned(), amount, expires_at: None }.into())
    }
    async fn inquire(&self, x: Inquire, t: &Ticket) -> Answer<Inquire> {
        let books = self.books.lock().unwrap();
        match books.total(t.now) {
            0 if books.authorised => Reply::Done(StillHeld.into()),
            0 => Reply::Done(NotThere.into()),
            total => Reply::Done(paid(&x.channel, total).into()),
        }
    }
    async fn close(&self, _: Close, _: &Ticket) -> Answer<Close> {
        Reply::Declined(CloseRefused { code: "unknown".to_owned() })
    }
    async fn capture(&self, x: Capture, t: &Ticket) -> Answer<Capture> {
        let at = t.now.saturating_add(self.after);
        self.books.lock().unwrap().taken.push((at, x.amount.minor()));
        Reply::Unknown("no answer".to_owned())
    }
    async fn void(&self, _: Void, _: &Ticket) -> Answer<Void> {
        Reply::Done(HoldReleased.into())
    }
    async fn refund(&self, x: SendBack, _: &Ticket) -> Answer<SendBack> {
        self.books.lock().unwrap().back += x.amount.minor();
        Reply::Done(Repaid { channel: x.channel, reference: "b1".to_owned(), amount: x.amount }.into())
    }
    async fn inquire_refund(&self, _: InquireRefund, _: &Ticket) -> Answer<InquireRefund> {
        Reply::Done(RefundMissing.into())
    }
}

/// A shop with such a provider, an order of 50.00, and its first payment begun.
async fn begun(policy: Physical, after: u64, settle: u64) -> (super::support::Shop, Arc<Mutex<Books>>) {
    let books = Arc::new(Mutex::new(Books::default()));
    let (after, settle) = (Duration::from_millis(after), Duration::from_millis(settle));
    let gateway = Slow { books: books.clone(), after, settle };
    let world = World::new(Disk::memory(), policy);
    let wiring = world.wiring().payments(Arc::new(gateway));
    let shop = world.open_with(Timestamp::from_millis(MORNING), wiring).await;
    shop.place(draft("o-1", &[5_000], &[("card", 5_000)])).await.unwrap();
    shop.asks("o-1", &carla(), start(1)).await;
    (shop, books)
}

/// The merchant would have had 50.00 of a cancelled order, and no trace of it: "not there" was believed after five
/// minutes, and the provider takes up to twenty.
#[test]
fn a21_not_there_is_believed_only_after_the_time_that_the_adapter_names() {
    run(async {
        let (shop, books) = begun(packs_itself(), 15 * MINUTE, 20 * MINUTE).await;
        shop.asks("o-1", &agent("sue"), cancel()).await;
        shop.pass(DAY).await;
        let moved = {
            let books = books.lock().unwrap();
            (books.total(shop.now()), books.back)
        };
        assert_eq!(moved, (5_000, 5_000), "{}", shop.show("o-1").await);
        assert_eq!(shop.phase("o-1").await, "cancelled");
    });
}

/// The customer would have been charged twice: the first capture was not answered, "still held" was believed before it
/// had its time, and another one was begun under a new key.
#[test]
fn a20_no_second_capture_is_begun_while_the_first_is_in_doubt() {
    run(async {
        let mut policy = packs_itself();
        policy.payment.capture = CaptureMode::Later;
        policy.payment.funds = FundsPolicy::RequireAuthorized;
        policy.payment.gate = CaptureGate::Open;
        let (shop, books) = begun(policy, 60 * SECOND, 90 * SECOND).await;
        for n in 0..60 {
            let collect = attempt::M::command(1, Collect { amount_minor: None });
            let _ = shop.engine.command(&key("o-1"), agent("sue"), &format!("collect-{n}"), collect).await;
            shop.pass(10 * SECOND).await;
            for hold in shop.order("o-1").await.progress.holds {
                shop.engine.release(&key("o-1"), agent("olga"), hold.id).await.unwrap();
            }
        }
        shop.pass(HOUR).await;
        let taken = books.lock().unwrap().taken.clone();
        assert_eq!(taken.len(), 1, "{taken:?}\n{}", shop.show("o-1").await);
        assert_eq!(shop.order("o-1").await.progress.books.captured(None), 5_000);
    });
}

#[test]
fn a09_the_sandbox_does_what_a_gateway_must() {
    let fresh = || async { Arc::new(SandboxGateway::open(None).unwrap()) as Arc<dyn PaymentGateway> };
    run(payment_gateway(fresh, &Trial::default()));
}

/// What a natural adapter does: it looks a payment up by the key of the call that asks.
struct ByTicket(SandboxGateway, Mutex<std::collections::BTreeSet<String>>);

#[async_trait]
impl PaymentGateway for ByTicket {
    fn repeats(&self) -> Repeats {
        self.0.repeats()
    }
    async fn charge(&self, x: Charge, t: &Ticket) -> Answer<Charge> {
        self.1.lock().unwrap().insert(t.key.to_string());
        self.0.charge(x, t).await
    }
    async fn inquire(&self, x: Inquire, t: &Ticket) -> Answer<Inquire> {
        let known = self.1.lock().unwrap().contains(t.key.as_str());
        if known { self.0.inquire(x, t).await } else { Reply::Done(NotThere.into()) }
    }
    async fn close(&self, x: Close, t: &Ticket) -> Answer<Close> {
        self.0.close(x, t).await
    }
    async fn capture(&self, x: Capture, t: &Ticket) -> Answer<Capture> {
        self.0.capture(x, t).await
    }
    async fn void(&self, x: Void, t: &Ticket) -> Answer<Void> {
        self.0.void(x, t).await
    }
    async fn refund(&self, x: SendBack, t: &Ticket) -> Answer<SendBack> {
        self.0.refund(x, t).await
    }
    async fn inquire_refund(&self, x: InquireRefund, t: &Ticket) -> Answer<InquireRefund> {
        self.0.inquire_refund(x, t).await
    }
}

#[test]
#[should_panic(expected = "by the key of its charge")]
fn a09_a_gateway_that_looks_up_the_key_of_the_question_is_found_out() {
    let natural = || async {
        let known = Mutex::default();
        Arc::new(ByTicket(SandboxGateway::open(None).unwrap(), known)) as Arc<dyn PaymentGateway>
    };
    run(payment_gateway(natural, &Trial::default()));
}

/// A natural adapter finds what the engine asks about by the key that it was charged under: told "not there" twice, the
/// customer would have paid twice.
#[test]
fn a09_every_question_names_the_key_that_the_charge_was_sent_under() {
    #[derive(Default)]
    struct Noted(Mutex<(Vec<String>, Vec<String>)>);
    #[async_trait]
    impl PaymentGateway for Noted {
        fn repeats(&self) -> Repeats {
            Repeats::Idempotent { key_ttl: Duration::from_millis(DAY) }
        }
        async fn charge(&self, _: Charge, t: &Ticket) -> Answer<Charge> {
            self.0.lock().unwrap().0.push(t.key.to_string());
            Reply::Unknown("no answer".to_owned())
        }
        async fn inquire(&self, x: Inquire, _: &Ticket) -> Answer<Inquire> {
            self.0.lock().unwrap().1.push(x.charge.to_string());
            Reply::Done(NotThere.into())
        }
        async fn close(&self, x: Close, _: &Ticket) -> Answer<Close> {
            self.0.lock().unwrap().1.push(x.charge.to_string());
            Reply::Unknown("no answer".to_owned())
        }
        async fn capture(&self, _: Capture, _: &Ticket) -> Answer<Capture> {
            Reply::Unknown("no answer".to_owned())
        }
        async fn void(&self, _: Void, _: &Ticket) -> Answer<Void> {
            Reply::Unknown("no answer".to_owned())
        }
        async fn refund(&self, _: SendBack, _: &Ticket) -> Answer<SendBack> {
            Reply::Unknown("no answer".to_owned())
        }
        async fn inquire_refund(&self, _: InquireRefund, _: &Ticket) -> Answer<InquireRefund> {
            Reply::Done(RefundMissing.into())
        }
    }
    run(async {
        let gateway = Arc::new(Noted::default());
        let world = World::new(Disk::memory(), packs_itself());
        let wiring = world.wiring().payments(gateway.clone());
        let shop = world.open_with(Timestamp::from_millis(MORNING), wiring).await;
        shop.place(draft("o-1", &[5_000], &[("card", 5_000)])).await.unwrap();
        shop.asks("o-1", &carla(), start(1)).await;
        shop.pass(HOUR).await;
        let (charged, asked) = &*gateway.0.lock().unwrap();
        assert!(!charged.is_empty() && asked.len() > 2, "{charged:?} {asked:?}");
        assert!(charged.iter().chain(asked).all(|key| *key == charged[0]), "{charged:?} {asked:?}");
    });
}
