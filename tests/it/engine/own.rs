//! A payment provider as a host may have it: it keeps books, promises what a test says, and answers as it is told to.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use async_trait::async_trait;
use consign::clock::Timestamp;
use consign::gateway::{PaymentGateway, Repeats, Ticket};
use consign::id::Channel;
use consign::machine::{Effect, Reply};
use consign::money::Money;
use consign::stage::payment::{
    Authorised, Capture, Charge, Close, Gone, HoldReleased, Inquire, NotThere, Paid, StillHeld, Void,
};
use consign::stage::refund::{InquireRefund, RefundMissing, Repaid, SendBack};

type Answer<X> = Reply<<X as Effect>::Done, <X as Effect>::Declined>;

/// What becomes of one call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Say {
    /// It is carried out and answered.
    Yes,
    /// It is provably not sent.
    NotSent,
    /// Too many calls: again after this many milliseconds.
    Later(u64),
    /// It is carried out, and the answer is lost.
    LoseAnswer,
    /// It never arrives, and nobody can tell.
    LoseCall,
    /// It is carried out this many milliseconds after the call, and nobody can tell.
    Late(u64),
}

#[derive(Debug, Default)]
struct Books {
    script: BTreeMap<&'static str, VecDeque<Say>>,
    always: BTreeMap<&'static str, Say>,
    calls: Vec<(&'static str, Timestamp, String)>,
    /// What is carried out later: when, under which key.
    late: Vec<(Timestamp, &'static str, String, Money)>,
    held: Vec<Money>,
    taken: Vec<(String, Money)>,
    given: Vec<(String, Money)>,
}

/// A provider without tombstones: what arrives after a close is carried out.
#[derive(Debug)]
pub(super) struct Own {
    repeats: Repeats,
    books: Mutex<Books>,
}

impl Own {
    pub(super) fn new(repeats: Repeats) -> Arc<Self> {
        Arc::new(Self { repeats, books: Mutex::default() })
    }

    fn books(&self) -> MutexGuard<'_, Books> {
        self.books.lock().unwrap()
    }

    /// What becomes of the next calls of an operation; those after them are carried out and answered.
    pub(super) fn says(&self, operation: &'static str, script: &[Say]) {
        self.books().script.entry(operation).or_default().extend(script);
    }

    /// What becomes of every call of an operation that the script says nothing of.
    pub(super) fn always(&self, operation: &'static str, say: Say) {
        self.books().always.insert(operation, say);
    }

    /// The calls of an operation: when, and under which key.
    pub(super) fn calls(&self, operation: &str) -> Vec<(Timestamp, String)> {
        let b = self.books();
        b.calls.iter().filter(|(op, ..)| *op == operation).map(|(_, at, key)| (*at, key.clone())).collect()
    }

    /// Taken and given back, in minor units.
    pub(super) fn moved(&self) -> (i64, i64) {
        let sum = |all: &[(String, Money)]| all.iter().map(|(_, m)| m.minor()).sum();
        let b = self.books();
        (sum(&b.taken), sum(&b.given))
    }

    fn call(&self, operation: &'static str, t: &Ticket, amount: Option<Money>) -> Say {
        let mut b = self.books();
        b.catch_up(t.now);
        b.calls.push((operation, t.now, t.key.to_string()));
        let scripted = b.script.get_mut(operation).and_then(VecDeque::pop_front);
        let say = scripted.or_else(|| b.always.get(operation).copied()).unwrap_or(Say::Yes);
        match (say, amount) {
            (Say::Yes | Say::LoseAnswer, Some(amount)) => b.carry_out(operation, t.key.to_string(), amount),
            (Say::Late(ms), Some(amount)) => {
                let at = t.now.saturating_add(Duration::from_millis(ms));
                b.late.push((at, operation, t.key.to_string(), amount));
            }
            _ => {}
        }
        say
    }

    fn reply<D, N>(say: Say, yes: impl FnOnce() -> D) -> Reply<D, N> {
        match say {
            Say::Yes => Reply::Done(yes()),
            Say::NotSent => Reply::NotSent("connection refused".to_owned()),
            Say::Later(ms) => Reply::Later(Duration::from_millis(ms)),
            Say::LoseAnswer | Say::LoseCall | Say::Late(_) => Reply::Unknown("no answer".to_owned()),
        }
    }
}

impl Books {
    fn catch_up(&mut self, now: Timestamp) {
        let (due, later): (Vec<_>, Vec<_>) = self.late.drain(..).partition(|(at, ..)| *at <= now);
        self.late = later;
        for (_, operation, key, amount) in due {
            self.carry_out(operation, key, amount);
        }
    }

    fn carry_out(&mut self, operation: &str, key: String, amount: Money) {
        match operation {
            "hold" => self.held.push(amount),
            "refund" => self.given.push((key, amount)),
            _ => self.taken.push((key, amount)),
        }
    }
}

fn paid(channel: Channel, reference: &str, amount: Money, more_allowed: bool) -> Paid {
    Paid { channel, reference: reference.to_owned(), amount, more_allowed, movement: None }
}

#[async_trait]
impl PaymentGateway for Own {
    fn repeats(&self) -> Repeats {
        self.repeats
    }
    async fn charge(&self, x: Charge, t: &Ticket) -> Answer<Charge> {
        let say = self.call(if x.capture { "charge" } else { "hold" }, t, Some(x.amount));
        let reference = format!("pi-{}", t.instance);
        Self::reply(say, || match x.capture {
            true => paid(x.channel, &reference, x.amount, false).into(),
            false => Authorised { channel: x.channel, reference, amount: x.amount, expires_at: None }.into(),
        })
    }
    async fn inquire(&self, x: Inquire, t: &Ticket) -> Answer<Inquire> {
        let say = self.call("inquire", t, None);
        let b = self.books();
        let total: i64 = b.taken.iter().map(|(_, m)| m.minor()).sum();
        let reference = format!("pi-{}", t.instance);
        Self::reply(say, || {
            let amount = Money::new(total, x.amount.currency());
            match b.held.first() {
                _ if total > 0 => paid(x.channel, &reference, amount, !b.held.is_empty()).into(),
                Some(_) if x.held => StillHeld {}.into(),
                Some(held) => {
                    let (channel, amount) = (x.channel, *held);
                    Authorised { channel, reference, amount, expires_at: None }.into()
                }
                None => NotThere {}.into(),
            }
        })
    }
    async fn close(&self, _: Close, t: &Ticket) -> Answer<Close> {
        Self::reply(self.call("close", t, None), || Gone {}.into())
    }
    async fn capture(&self, x: Capture, t: &Ticket) -> Answer<Capture> {
        let say = self.call("capture", t, Some(x.amount));
        let reference = format!("pi-{}", t.instance);
        Self::reply(say, || paid(x.channel, &reference, x.amount, false).into())
    }
    async fn void(&self, _: Void, t: &Ticket) -> Answer<Void> {
        Self::reply(self.call("void", t, None), || HoldReleased {}.into())
    }
    async fn refund(&self, x: SendBack, t: &Ticket) -> Answer<SendBack> {
        let say = self.call("refund", t, Some(x.amount));
        let reference = format!("re-{}", t.key);
        Self::reply(say, || Repaid { channel: x.channel, reference, amount: x.amount }.into())
    }
    async fn inquire_refund(&self, x: InquireRefund, t: &Ticket) -> Answer<InquireRefund> {
        let say = self.call("inquire_refund", t, None);
        let there = self.books().given.first().map(|(key, amount)| (key.clone(), *amount));
        Self::reply(say, || match there {
            Some((key, amount)) => {
                Repaid { channel: x.channel, reference: format!("re-{key}"), amount }.into()
            }
            None => RefundMissing {}.into(),
        })
    }
}
