//! A payment provider with books of its own.

// What a fault does not change about a call is the same for every other one, also for those to come.
#![allow(clippy::wildcard_enum_match_arm)]

mod console;

pub(super) use console::long_number;
pub use console::{Habit, Outage};

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use super::faults::{Fault, FaultPlan, Refusal};
use super::ledger_file::LedgerFile;
use super::sandbox::{Answer, euro, lock};
use crate::clock::Timestamp;
use crate::engine::{Delivery, Env};
use crate::gateway::{PaymentGateway, Repeats, Ticket};
use crate::id::{Actor, Channel, Key, OrderKey};
use crate::machine::Reply;
use crate::money::Money;
use crate::stage::payment::{
    ActionNeeded, Authorised, Capture, CaptureRefused, Charge, Close, DeclineClass, Gone, HoldReleased,
    Inquire, NextAction, NotThere, Paid, Pended, Refused, StillHeld, Void, VoidRefused, attempt,
};
use crate::stage::refund::{Accepted, InquireRefund, RefundMissing, RefundRefused, Repaid, SendBack, refund};

/// A line of the gateway's books.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Line {
    op: String,
    order: String,
    instance: Key,
    key: String,
    channel: Channel,
    amount: Money,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    attempt: Option<Key>,
    /// Which payout of a refund it is, from 0.
    #[serde(default, skip_serializing_if = "is_first")]
    payout: u32,
}

#[allow(clippy::trivially_copy_pass_by_ref)] // the shape serde asks for
fn is_first(payout: &u32) -> bool {
    *payout == 0
}

/// A line of what went wrong, kept beside the books: a provider that is started anew still owes what it put off.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Mishap {
    fault: Fault,
    key: String,
    at: Timestamp,
    /// What is carried out later.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    later: Option<(Timestamp, OrderKey, Line)>,
}

/// What is carried out later.
#[derive(Debug, Clone)]
struct PutOff {
    order: OrderKey,
    line: Line,
    /// Whether a message tells of it; until then inquiries do not hide it.
    pending: bool,
}

#[derive(Debug, Clone)]
struct Attempt {
    channel: Channel,
    amount: Money,
    /// Whether money was held before it was taken.
    authorised: bool,
    /// Whether the customer pays it on a page of the provider.
    session: bool,
    captured: bool,
    /// What was taken of it, and what of that was given back.
    taken_minor: i64,
    back_minor: i64,
    /// What the scheme took back.
    failed_minor: i64,
    closed: bool,
}

impl Attempt {
    fn taken(&self) -> Money {
        Money::new(self.taken_minor, self.amount.currency())
    }

    /// Whether more of it may be captured.
    fn more(&self) -> bool {
        self.authorised && !self.closed && self.taken_minor < self.amount.minor()
    }
}

#[derive(Debug, Default)]
struct GatewayBooks {
    file: LedgerFile,
    mishaps: LedgerFile,
    faults: BTreeMap<&'static str, u64>,
    plan: FaultPlan,
    /// Set while a call is carried out later than it is made.
    putting_off: Option<(Timestamp, OrderKey, Fault)>,
    debts: BTreeMap<(Timestamp, String), PutOff>,
    /// Keys that are answered with an error until then.
    broken: BTreeMap<String, Timestamp>,
    forgotten: BTreeSet<String>,
    /// Whether keys mean nothing, as such a provider says.
    keyless: bool,
    messages: Vec<Delivery>,
    habits: BTreeSet<Habit>,
    /// Calls that are turned away: for which order, how, and until when.
    outages: Vec<(Option<String>, Outage, Timestamp)>,
    /// Closes of what had not arrived, which leave no other trace.
    closed_early: BTreeSet<(String, Key)>,
    /// What came back of each payout of a refund, in minor units.
    bounced: BTreeMap<(String, Key, u32), i64>,
    /// How many messages told of each payment or refund.
    told: BTreeMap<(String, String), u64>,
    /// When keys were first used, and how long they are kept.
    used: BTreeMap<String, Timestamp>,
    key_life: Option<Duration>,
    calls: BTreeMap<(String, &'static str), u32>,
    /// Attempts by order and instance.
    attempts: BTreeMap<(String, Key), Attempt>,
    /// Operations by key: the second one under a key moves nothing.
    done: BTreeMap<String, Line>,
    declined: BTreeSet<String>,
    movements: BTreeMap<(String, Key, String), u64>,
    /// Minor units taken and given back, by order.
    moved: BTreeMap<String, (i64, i64)>,
    captured: BTreeMap<Channel, i64>,
    refunded: BTreeMap<Channel, i64>,
}

/// What the gateway moved, by its own books.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct GatewayTotals {
    /// Minor units taken, by channel.
    pub captured_minor: BTreeMap<String, i64>,
    /// Minor units given back, by channel.
    pub refunded_minor: BTreeMap<String, i64>,
    /// Movements beyond one per order, instance and operation.
    pub duplicate_effects: u64,
}

/// A payment provider with books of its own.
#[derive(Debug)]
pub struct SandboxGateway {
    books: Mutex<GatewayBooks>,
    env: Option<Arc<dyn Env>>,
    repeats: Repeats,
}

impl SandboxGateway {
    /// A gateway; its books are in a file where a path is given, and in memory otherwise.
    ///
    /// # Errors
    ///
    /// When the file cannot be read or holds something else.
    pub fn open(path: Option<&Path>) -> io::Result<Self> {
        let (file, lines) = LedgerFile::open::<Line>(path)?;
        let beside = path.map(|p| p.with_extension("mishaps.jsonl"));
        let (mishaps, before) = LedgerFile::open::<Mishap>(beside.as_deref())?;
        let mut books = GatewayBooks { file, mishaps, ..GatewayBooks::default() };
        for line in lines {
            books.enter(&line);
        }
        for mishap in before {
            books.happened(&mishap);
        }
        let repeats = Repeats::Idempotent { key_ttl: Duration::from_secs(24 * 3600) };
        Ok(Self { books: Mutex::new(books), env: None, repeats })
    }

    /// A gateway that takes the time of this environment for what is slow or late. Without one, what is slow is not,
    /// and what never answers says so at once.
    #[must_use]
    pub fn in_time(mut self, env: Arc<dyn Env>) -> Self {
        self.env = Some(env);
        self
    }

    /// A gateway that promises this of its keys. At first they are kept for a day. What it does not promise it does not
    /// do: without keys, what is sent twice is carried out twice.
    #[must_use]
    pub fn promising(mut self, repeats: Repeats) -> Self {
        self.repeats = repeats;
        let mut b = lock(&self.books);
        b.keyless = !matches!(repeats, Repeats::Idempotent { .. });
        b.key_life = if let Repeats::Idempotent { key_ttl } = repeats { Some(key_ttl) } else { None };
        drop(b);
        self
    }

    /// How often each fault happened, by its name, since the books were begun.
    #[must_use]
    pub fn faults(&self) -> BTreeMap<&'static str, u64> {
        lock(&self.books).faults.clone()
    }

    /// Carries out what was put off until now, and hands out the messages that tell of it, each once.
    #[must_use]
    pub fn messages(&self, now: Timestamp) -> Vec<Delivery> {
        let mut b = lock(&self.books);
        b.catch_up(now);
        std::mem::take(&mut b.messages)
    }

    /// When the next of what was put off is carried out.
    #[must_use]
    pub fn next(&self) -> Option<Timestamp> {
        lock(&self.books).debts.first_key_value().map(|((at, _), _)| *at)
    }

    /// Lets a gateway that is in use fail as planned from now on.
    pub fn plan(&self, plan: FaultPlan) {
        lock(&self.books).plan = plan;
    }

    /// A gateway that fails as planned.
    #[must_use]
    pub fn failing(self, plan: FaultPlan) -> Self {
        lock(&self.books).plan = plan;
        self
    }

    /// What it moved.
    #[must_use]
    pub fn totals(&self) -> GatewayTotals {
        let b = lock(&self.books);
        let named = |m: &BTreeMap<Channel, i64>| {
            m.iter().filter(|(_, n)| **n != 0).map(|(c, n)| (c.to_string(), *n)).collect()
        };
        GatewayTotals {
            captured_minor: named(&b.captured),
            refunded_minor: named(&b.refunded),
            duplicate_effects: b.movements.values().map(|n| n.saturating_sub(1)).sum(),
        }
    }

    /// What it moved for one order: taken and given back, in minor units.
    #[must_use]
    pub fn moved(&self, order: &OrderKey) -> (i64, i64) {
        lock(&self.books).moved.get(&order.to_string()).copied().unwrap_or_default()
    }

    /// The provider's own time, where it has one: whoever calls may be hours ahead.
    fn now(&self, ticket: &Ticket) -> Timestamp {
        self.env.as_ref().map_or(ticket.now, |env| env.now())
    }

    async fn sleep(&self, wait: Duration) {
        if let Some(env) = &self.env {
            env.sleep_until(env.now().saturating_add(wait)).await;
        }
    }

    /// Carries an operation out under its key, with the fault that befalls the call. A number with the answer says that
    /// it shall be a lie, and which.
    async fn run<T: Send>(
        &self,
        ticket: &Ticket,
        operation: &'static str,
        act: impl FnOnce(&mut GatewayBooks) -> io::Result<T> + Send,
    ) -> Result<(T, Option<u64>), Refusal> {
        let answer = self.answered(ticket, operation, act).await;
        answer.map_err(|why| why.saying(lock(&self.books).plan.words()))
    }

    async fn answered<T: Send>(
        &self,
        ticket: &Ticket,
        operation: &'static str,
        act: impl FnOnce(&mut GatewayBooks) -> io::Result<T> + Send,
    ) -> Result<(T, Option<u64>), Refusal> {
        let now = self.now(ticket);
        let away = lock(&self.books).turned_away(&ticket.order, now);
        match away {
            Some(Outage::Refused) => return Err(Refusal::NotSent("the line is down".to_owned())),
            Some(Outage::Busy { retry_after_ms }) => {
                return Err(Refusal::Later(Duration::from_millis(retry_after_ms)));
            }
            None => {}
        }
        let (fault, roll) = lock(&self.books).befalls(ticket, operation, now);
        if fault == Fault::Late {
            // After the engine has given up waiting, so that the first inquiries find nothing.
            let at = now.saturating_add(Duration::from_millis(20_000 + roll % 30_000));
            // What cannot be noted is not carried out, and nobody hears of it either way.
            let _ = lock(&self.books).put_off(at, ticket, fault, act);
            // Past any deadline: the engine gives up first.
            self.sleep(Duration::from_secs(3600)).await;
            return Err(Refusal::Unknown("no answer".to_owned()));
        }
        if fault == Fault::Slow {
            self.sleep(Duration::from_millis(100 + roll % 4_900)).await;
        }
        let mut b = lock(&self.books);
        let done = match fault {
            Fault::NotSent => return Err(Refusal::NotSent("the line is down".to_owned())),
            Fault::LoseCall => return Err(Refusal::Unknown("no answer".to_owned())),
            Fault::Later => return Err(Refusal::Later(Duration::from_secs(1))),
            Fault::Decline => return Err(Refusal::Declined),
            Fault::StoredError if roll % 2 == 0 => {
                return Err(Refusal::Unknown("the server failed".to_owned()));
            }
            Fault::Panic => {
                let words = b.plan.words().to_owned();
                drop(b);
                panic!("the sandbox was told to panic{words}");
            }
            Fault::Pending => {
                let at = now.saturating_add(Duration::from_millis(1_000 + roll % 120_000));
                b.put_off(at, ticket, fault, act)
            }
            _ => act(&mut b),
        };
        let lost = |why: &str| Err(Refusal::Unknown(why.to_owned()));
        match (done, fault) {
            // Nothing is answered that the books do not hold.
            (Err(e), _) => Err(Refusal::NotSent(format!("the sandbox cannot write its books: {e}"))),
            (Ok(_), Fault::LoseAnswer | Fault::PrunedKey) => lost("the answer was lost"),
            (Ok(_), Fault::Error | Fault::StoredError) => lost("the server failed"),
            (Ok(value), Fault::Doubled) => {
                if let Some(line) = b.done.get(ticket.key.as_str()).cloned() {
                    let told = b.message(&ticket.order, &line, now);
                    b.messages.push(told);
                }
                Ok((value, None))
            }
            (Ok(value), fault) => Ok((value, (fault == Fault::Lie).then_some(roll))),
        }
    }
}

/// What a lying answer says in place of this money.
fn lie(channel: &Channel, amount: Money, roll: u64) -> (Channel, Money) {
    let more = || (channel.clone(), Money::new(amount.minor().saturating_add(1), amount.currency()));
    match roll % 3 {
        0 => more(),
        1 => {
            let other = if amount.currency().code() == "USD" { "EUR" } else { "USD" };
            let other = other.parse().expect("a currency");
            (channel.clone(), Money::new(amount.minor(), other))
        }
        _ => "another".parse().map_or_else(|_| more(), |c| (c, amount)),
    }
}

impl GatewayBooks {
    fn call(&mut self, ticket: &Ticket, operation: &'static str) -> u32 {
        let n = self.calls.entry((format!("{}#{}", ticket.order, ticket.instance), operation)).or_default();
        *n = n.saturating_add(1);
        *n
    }

    /// Notes what an operation would write, to be carried out then.
    fn put_off<T>(
        &mut self,
        at: Timestamp,
        ticket: &Ticket,
        fault: Fault,
        act: impl FnOnce(&mut Self) -> io::Result<T>,
    ) -> io::Result<T> {
        self.putting_off = Some((at, ticket.order.clone(), fault));
        let done = act(self);
        self.putting_off = None;
        done
    }

    /// What befalls a call, and a number to go with it. What cannot happen to this operation does not.
    fn befalls(&mut self, ticket: &Ticket, operation: &'static str, now: Timestamp) -> (Fault, u64) {
        self.catch_up(now);
        let nth = self.call(ticket, operation);
        let key = ticket.key.as_str();
        self.ages(key, now);
        let roll = self.plan.roll(ticket, "how", nth);
        if self.broken.get(key).is_some_and(|until| *until > now) {
            return (Fault::LoseCall, roll);
        }
        let asks = operation.starts_with("inquire");
        // A provider does not refuse what it has done or is about to, and an inquiry answers what is so.
        let so = self.done.contains_key(key) || self.debts.keys().any(|(_, k)| k == key);
        let moves = matches!(operation, "charge" | "refund");
        let planned = self.plan.pick(ticket, operation, nth);
        let fault = match planned {
            Fault::Decline if asks || so => Fault::None,
            Fault::PrunedKey | Fault::Pending if !moves || so => Fault::None,
            Fault::StoredError | Fault::Error if asks => Fault::LoseCall,
            Fault::Late if asks || so => Fault::LoseCall,
            Fault::Lie if !(moves || asks) => Fault::None,
            Fault::Doubled if !moves => Fault::None,
            other => other,
        };
        if fault != Fault::None {
            let mishap = Mishap { fault, key: key.to_owned(), at: now, later: None };
            self.note(&mishap);
        }
        (fault, roll)
    }

    fn note(&mut self, mishap: &Mishap) {
        // Counters and debts of a sandbox that cannot write are lost, its money is not: that stands in the books.
        let _ = self.mishaps.append(mishap);
        self.happened(mishap);
    }

    fn happened(&mut self, mishap: &Mishap) {
        let Mishap { fault, key, at, later } = mishap;
        if let Some((at, order, line)) = later {
            if !self.done.contains_key(key) {
                let pending = *fault == Fault::Pending;
                let put_off = PutOff { order: order.clone(), line: line.clone(), pending };
                self.debts.insert((*at, key.clone()), put_off);
            }
            return;
        }
        let n = self.faults.entry(fault.name()).or_default();
        *n = n.saturating_add(1);
        match fault {
            Fault::StoredError => {
                self.broken.insert(key.clone(), at.saturating_add(Duration::from_secs(1800)));
            }
            Fault::Decline => {
                self.declined.insert(key.clone());
            }
            Fault::PrunedKey => {
                self.forgotten.insert(key.clone());
            }
            _ => {}
        }
    }

    /// What was done under a key, while the key is kept.
    fn known(&self, key: &str) -> Option<&Line> {
        self.done.get(key).filter(|_| !self.keyless && !self.forgotten.contains(key))
    }

    /// Forgets a key whose life is over.
    fn ages(&mut self, key: &str, now: Timestamp) {
        let first = *self.used.entry(key.to_owned()).or_insert(now);
        if let Some(life) = self.key_life
            && self.has(Habit::KeysExpire)
            && now.since(first) > life
            && self.done.contains_key(key)
            && self.forgotten.insert(key.to_owned())
        {
            self.count(Habit::KeysExpire.name());
        }
    }

    /// Whether an attempt is accepted and not carried out yet.
    fn awaits(&self, order: &str, instance: Key, op: &[&str]) -> bool {
        self.debts.values().any(|p| {
            p.pending
                && p.line.order == order
                && p.line.instance == instance
                && op.contains(&p.line.op.as_str())
        })
    }

    /// Whether what was sent under a key is accepted and not carried out yet.
    fn awaits_key(&self, key: &str) -> bool {
        self.debts.iter().any(|((_, k), p)| p.pending && k == key)
    }

    /// Carries out what was put off until now.
    fn catch_up(&mut self, now: Timestamp) {
        while let Some(((at, _), _)) = self.debts.first_key_value()
            && *at <= now
            && let Some(((at, key), PutOff { order, line, pending })) = self.debts.pop_first()
        {
            if self.known(&key).is_some() || !self.allows(&line) || self.write(line.clone()).is_err() {
                continue;
            }
            // Nobody asks any more what became of a payment that was closed before it arrived.
            let unasked =
                line.op != "refund" && self.closed_early.contains(&(line.order.clone(), line.instance));
            if pending || unasked {
                let told = self.message(&order, &line, at);
                self.messages.push(told);
            }
        }
    }

    /// Whether a call that arrives late still finds what it is about.
    fn allows(&self, line: &Line) -> bool {
        let attempt = self.attempts.get(&(line.order.clone(), line.attempt.unwrap_or(line.instance)));
        match line.op.as_str() {
            "charge" | "authorise" => attempt.is_none_or(|a| !a.closed && !a.captured),
            "capture" if self.in_parts() => attempt.is_some_and(|a| {
                a.more() && line.amount.minor() <= a.amount.minor().saturating_sub(a.taken_minor)
            }),
            "capture" => attempt.is_some_and(|a| !a.closed && !a.captured),
            "refund" => {
                attempt.is_some_and(|a| line.amount.minor() <= a.taken_minor.saturating_sub(a.back_minor))
            }
            _ => attempt.is_none_or(|a| !a.captured),
        }
    }

    fn enter(&mut self, line: &Line) {
        let at = (line.order.clone(), line.attempt.unwrap_or(line.instance));
        let add = |m: &mut BTreeMap<Channel, i64>| {
            let n = m.entry(line.channel.clone()).or_default();
            *n = n.saturating_add(line.amount.minor());
        };
        let fresh = || Attempt {
            channel: line.channel.clone(),
            amount: line.amount,
            authorised: line.op == "authorise",
            session: line.op == "session",
            captured: false,
            taken_minor: 0,
            back_minor: 0,
            failed_minor: 0,
            closed: false,
        };
        let take = |a: &mut Attempt| {
            a.captured = true;
            a.taken_minor = a.taken_minor.saturating_add(line.amount.minor());
        };
        let mut moved = false;
        let less = |m: &mut BTreeMap<Channel, i64>| {
            let n = m.entry(line.channel.clone()).or_default();
            *n = n.saturating_sub(line.amount.minor());
        };
        match line.op.as_str() {
            "charge" => {
                if self.closed_early.contains(&at) {
                    self.count(Habit::NoTombstones.name());
                }
                take(self.attempts.entry(at).or_insert_with(fresh));
                add(&mut self.captured);
                moved = true;
            }
            "authorise" | "session" => {
                self.attempts.entry(at).or_insert_with(fresh);
            }
            "capture" | "console_capture" => {
                if self.attempts.get(&at).is_some_and(|a| a.captured) {
                    self.count(Habit::ManyCaptures.name());
                }
                take(self.attempts.entry(at).or_insert_with(fresh));
                add(&mut self.captured);
                moved = true;
            }
            "fail" => {
                if let Some(a) = self.attempts.get_mut(&at) {
                    a.taken_minor = a.taken_minor.saturating_sub(line.amount.minor());
                    a.failed_minor = a.failed_minor.saturating_add(line.amount.minor());
                }
                less(&mut self.captured);
                let (taken, _) = self.moved.entry(line.order.clone()).or_default();
                *taken = taken.saturating_sub(line.amount.minor());
            }
            "bounce" => {
                if let Some(a) = self.attempts.get_mut(&at) {
                    a.back_minor = a.back_minor.saturating_sub(line.amount.minor());
                }
                less(&mut self.refunded);
                let (_, back) = self.moved.entry(line.order.clone()).or_default();
                *back = back.saturating_sub(line.amount.minor());
                let of = self.bounced.entry((line.order.clone(), line.instance, line.payout)).or_default();
                *of = of.saturating_add(line.amount.minor());
            }
            "refund" | "console_refund" => {
                if let Some(a) = self.attempts.get_mut(&at) {
                    a.back_minor = a.back_minor.saturating_add(line.amount.minor());
                }
                add(&mut self.refunded);
                moved = true;
            }
            "close" | "void" => self.attempts.entry(at).or_insert_with(fresh).closed = true,
            _ => {}
        }
        if moved {
            let (taken, back) = self.moved.entry(line.order.clone()).or_default();
            let side = if line.op.ends_with("refund") { back } else { taken };
            *side = side.saturating_add(line.amount.minor());
            // Where captures may be many, each is one by its key, and so is what somebody does in the console; a refund
            // may be paid out again once it came back.
            let op = match line.op.as_str() {
                "capture" if self.in_parts() => line.key.clone(),
                "refund" => format!("refund {}", line.payout),
                own if own.starts_with("console") => line.key.clone(),
                other => other.to_owned(),
            };
            let key = (line.order.clone(), line.instance, op);
            let n = self.movements.entry(key).or_default();
            *n = n.saturating_add(1);
        }
        self.done.insert(line.key.clone(), line.clone());
    }

    /// Writes a line before anything is answered.
    fn write(&mut self, line: Line) -> io::Result<()> {
        if let Some((at, order, fault)) = self.putting_off.clone() {
            let key = line.key.clone();
            self.note(&Mishap { fault, key, at, later: Some((at, order, line)) });
            return Ok(());
        }
        self.file.append(&line)?;
        self.enter(&line);
        Ok(())
    }

    fn line(op: &str, ticket: &Ticket, channel: &Channel, amount: Money) -> Line {
        Line {
            op: op.to_owned(),
            order: ticket.order.to_string(),
            instance: ticket.instance,
            key: ticket.key.to_string(),
            channel: channel.clone(),
            amount,
            attempt: None,
            payout: 0,
        }
    }
}

fn refused(code: &str) -> Refused {
    Refused { class: DeclineClass::Soft, code: code.to_owned() }
}

impl SandboxGateway {
    fn reference(&self, ticket: &Ticket) -> String {
        lock(&self.books).reference(&ticket.order, ticket.instance)
    }

    fn paid(&self, ticket: &Ticket, channel: &Channel, amount: Money) -> Paid {
        let b = lock(&self.books);
        let of = b.attempts.get(&(ticket.order.to_string(), ticket.instance));
        Paid {
            channel: channel.clone(),
            reference: b.reference(&ticket.order, ticket.instance),
            amount,
            more_allowed: b.in_parts() && of.is_some_and(Attempt::more),
            movement: None,
        }
    }

    fn authorised(&self, ticket: &Ticket, channel: &Channel, amount: Money) -> Authorised {
        let reference = self.reference(ticket);
        Authorised { channel: channel.clone(), reference, amount, expires_at: None }
    }

    /// The page on which the customer pays.
    fn page(&self, ticket: &Ticket) -> ActionNeeded {
        let reference = self.reference(ticket);
        let action = NextAction::Redirect { url: format!("https://pay.example/{reference}") };
        ActionNeeded { reference, action, expires_at: None }
    }
}

#[async_trait]
impl PaymentGateway for SandboxGateway {
    fn repeats(&self) -> Repeats {
        self.repeats
    }

    async fn charge(&self, charge: Charge, ticket: &Ticket) -> Answer<Charge> {
        let at = (ticket.order.to_string(), ticket.instance);
        let done = self.run(ticket, "charge", |b| {
            if b.declined.contains(ticket.key.as_str()) || b.attempts.get(&at).is_some_and(|a| a.closed) {
                return Ok(false);
            }
            if let Some(held) = b.known(ticket.key.as_str()) {
                return Ok(held.amount == charge.amount);
            }
            // One in three pays on a page; an attempt that has one keeps it.
            let page = b.has(Habit::Sessions) && charge.capture && b.plan.roll(ticket, "page", 0) % 3 == 0;
            if page && b.attempts.get(&at).is_some_and(|a| a.session) {
                return Ok(true);
            }
            let op = match (page, charge.capture) {
                (true, _) => "session",
                (false, true) => "charge",
                (false, false) => "authorise",
            };
            if page && b.putting_off.is_none() {
                b.count(Habit::Sessions.name());
            }
            if b.has(Habit::LongNumbers) {
                b.count(Habit::LongNumbers.name());
            }
            b.write(GatewayBooks::line(op, ticket, &charge.channel, charge.amount))?;
            Ok(true)
        });
        const CHARGES: &[&str] = &["charge", "authorise", "session"];
        let awaits = |b: &GatewayBooks| b.awaits(&at.0, at.1, CHARGES);
        let page = |b: &GatewayBooks| b.attempts.get(&at).is_some_and(|a| a.session && !a.captured);
        match done.await {
            Ok((true, _)) if awaits(&lock(&self.books)) => {
                Reply::Done(Pended { reference: self.reference(ticket) }.into())
            }
            Ok((true, _)) if page(&lock(&self.books)) => Reply::Done(self.page(ticket).into()),
            Ok((true, said)) => {
                let (channel, amount) = said.map_or_else(
                    || (charge.channel.clone(), charge.amount),
                    |roll| lie(&charge.channel, charge.amount, roll),
                );
                if charge.capture {
                    Reply::Done(self.paid(ticket, &channel, amount).into())
                } else {
                    Reply::Done(self.authorised(ticket, &channel, amount).into())
                }
            }
            Ok((false, _)) => Reply::Declined(refused("closed")),
            Err(Refusal::Declined) => Reply::Declined(refused("do_not_honour")),
            Err(other) => other.reply(refused("refused")),
        }
    }

    async fn inquire(&self, inquire: Inquire, ticket: &Ticket) -> Answer<Inquire> {
        let at = (ticket.order.to_string(), ticket.instance);
        let unseen = inquire.reference.is_none();
        let seen = self.run(ticket, "inquire", |b| {
            if unseen && !b.finds(inquire.charge.as_str()) {
                return Ok((None, false));
            }
            Ok((b.attempts.get(&at).cloned(), b.awaits(&at.0, at.1, &["charge", "authorise", "session"])))
        });
        match seen.await {
            Ok(((None, true), _)) => Reply::Done(Pended { reference: self.reference(ticket) }.into()),
            Ok(((None, false), _)) => Reply::Done(NotThere.into()),
            Ok(((Some(a), _), said)) if a.captured => {
                let (channel, amount) = said
                    .map_or_else(|| (a.channel.clone(), a.taken()), |roll| lie(&a.channel, a.taken(), roll));
                Reply::Done(self.paid(ticket, &channel, amount).into())
            }
            Ok(((Some(a), _), _)) if a.closed => Reply::Done(Gone.into()),
            Ok(((Some(a), _), _)) if a.session => Reply::Done(self.page(ticket).into()),
            Ok(((Some(_), _), _)) if inquire.held => Reply::Done(StillHeld.into()),
            Ok(((Some(a), _), _)) => Reply::Done(self.authorised(ticket, &a.channel, a.amount).into()),
            Err(other) => other.reply(refused("refused")),
        }
    }

    async fn close(&self, close: Close, ticket: &Ticket) -> Answer<Close> {
        let at = (ticket.order.to_string(), ticket.instance);
        let done = self.run(ticket, "close", |b| {
            if let Some(a) = b.attempts.get(&at).filter(|a| a.captured) {
                return Ok(Some(a.clone()));
            }
            let unseen = close.reference.is_none() && !b.finds(close.charge.as_str());
            if b.has(Habit::NoTombstones) && (unseen || !b.attempts.contains_key(&at)) {
                b.closed_early.insert(at.clone());
                return Ok(None);
            }
            let none = Money::zero(b.attempts.get(&at).map_or_else(euro, |a| a.amount.currency()));
            b.write(GatewayBooks::line("close", ticket, &close.channel, none))?;
            Ok(None)
        });
        match done.await {
            Ok((Some(a), _)) => Reply::Done(self.paid(ticket, &a.channel, a.taken()).into()),
            Ok((None, _)) => Reply::Done(Gone.into()),
            Err(other) => other.reply(crate::stage::payment::CloseRefused { code: "refused".to_owned() }),
        }
    }

    async fn capture(&self, capture: Capture, ticket: &Ticket) -> Answer<Capture> {
        let at = (ticket.order.to_string(), ticket.instance);
        let done = self.run(ticket, "capture", |b| {
            if b.known(ticket.key.as_str()).is_some() {
                return Ok(true);
            }
            let parts = b.in_parts();
            let open = b.attempts.get(&at).is_some_and(|a| {
                let left = a.amount.minor().saturating_sub(a.taken_minor);
                !a.closed && (parts || !a.captured) && capture.amount.minor() <= left
            });
            if open {
                b.write(GatewayBooks::line("capture", ticket, &capture.channel, capture.amount))?;
            }
            Ok(open)
        });
        let no = |code: &str| CaptureRefused { code: code.to_owned() };
        match done.await {
            Ok((true, _)) => {
                let mut told = self.paid(ticket, &capture.channel, capture.amount);
                if lock(&self.books).names_captures() {
                    told.reference = format!("cap-{}", ticket.key);
                }
                Reply::Done(told.into())
            }
            Ok((false, _)) => Reply::Declined(no("not_capturable")),
            Err(other) => other.reply(no("refused")),
        }
    }

    async fn void(&self, void: Void, ticket: &Ticket) -> Answer<Void> {
        let at = (ticket.order.to_string(), ticket.instance);
        let done = self.run(ticket, "void", |b| {
            // What is left of an authorisation is released, also where some of it was captured.
            let more = b.in_parts() && b.attempts.get(&at).is_some_and(Attempt::more);
            if let Some(a) = b.attempts.get(&at).filter(|a| a.captured && !more) {
                return Ok(Some(a.clone()));
            }
            let none = Money::zero(b.attempts.get(&at).map_or_else(euro, |a| a.amount.currency()));
            b.write(GatewayBooks::line("void", ticket, &void.channel, none))?;
            Ok(None)
        });
        match done.await {
            Ok((Some(a), _)) => Reply::Done(self.paid(ticket, &a.channel, a.taken()).into()),
            Ok((None, _)) => Reply::Done(HoldReleased.into()),
            Err(other) => other.reply(VoidRefused { code: "refused".to_owned() }),
        }
    }

    async fn refund(&self, refund: SendBack, ticket: &Ticket) -> Answer<SendBack> {
        let done = self.run(ticket, "refund", |b| {
            if let Some(held) = b.known(ticket.key.as_str()) {
                return Ok(held.amount == refund.amount);
            }
            let at = b.paid_by(&ticket.order, refund.attempt, refund.reference.as_deref());
            let balance = b.has(Habit::PaysFromBalance);
            let left = b.attempts.get(&at).map_or(0, |a| {
                let failed = if balance { a.failed_minor } else { 0 };
                a.taken_minor.saturating_add(failed).saturating_sub(a.back_minor)
            });
            if refund.amount.minor() > left {
                return Ok(false);
            }
            let mut line = GatewayBooks::line("refund", ticket, &refund.channel, refund.amount);
            (line.attempt, line.payout) = (Some(at.1), refund.payout);
            b.write(line)?;
            Ok(true)
        });
        let no = |code: &str| RefundRefused { code: code.to_owned() };
        let awaits = |b: &GatewayBooks| b.awaits_key(ticket.key.as_str());
        let reference = || back_reference(&ticket.order, ticket.instance, refund.payout);
        match done.await {
            Ok((true, _)) if awaits(&lock(&self.books)) => {
                Reply::Done(Accepted { reference: reference() }.into())
            }
            Ok((true, said)) => {
                let (channel, amount) = said.map_or_else(
                    || (refund.channel.clone(), refund.amount),
                    |roll| lie(&refund.channel, refund.amount, roll),
                );
                Reply::Done(Repaid { channel, reference: reference(), amount }.into())
            }
            Ok((false, _)) => Reply::Declined(no("not_captured")),
            Err(other) => other.reply(no("refused")),
        }
    }

    async fn inquire_refund(&self, inquire: InquireRefund, ticket: &Ticket) -> Answer<InquireRefund> {
        let key = inquire.key.as_str();
        let found = self.run(ticket, "inquire_refund", |b| {
            Ok((b.done.get(key).filter(|l| l.op == "refund").cloned(), b.awaits_key(key)))
        });
        let reference = || back_reference(&ticket.order, ticket.instance, inquire.payout);
        match found.await {
            Ok(((Some(l), _), said)) => {
                let (channel, amount) = said.map_or_else(
                    || (l.channel.clone(), inquire.amount),
                    |roll| lie(&l.channel, inquire.amount, roll),
                );
                Reply::Done(Repaid { channel, reference: reference(), amount }.into())
            }
            Ok(((None, true), _)) => Reply::Done(Accepted { reference: reference() }.into()),
            Ok(((None, false), _)) => Reply::Done(RefundMissing.into()),
            Err(other) => other.reply(RefundRefused { code: "refused".to_owned() }),
        }
    }
}

/// The provider's number of a payout.
fn back_reference(order: &OrderKey, instance: Key, payout: u32) -> String {
    let again = if payout == 0 { String::new() } else { format!("-{payout}") };
    format!("back-{}-{instance}{again}", order.order)
}

impl GatewayBooks {
    /// Whether an inquiry that bears this key finds anything.
    fn finds(&mut self, key: &str) -> bool {
        if !self.has(Habit::LooksUpByKey) {
            return true;
        }
        self.count(Habit::LooksUpByKey.name());
        self.done.contains_key(key) || self.debts.keys().any(|(_, k)| k == key)
    }

    fn names_captures(&mut self) -> bool {
        let names = self.has(Habit::CaptureIds);
        if names {
            self.count(Habit::CaptureIds.name());
        }
        names
    }

    /// What the provider says of its own accord, once something that it had accepted is carried out.
    fn message(&mut self, order: &OrderKey, line: &Line, at: Timestamp) -> Delivery {
        let reference = self.reference(order, line.instance);
        let (channel, amount) = (line.channel.clone(), line.amount);
        let of = self.attempts.get(&(line.order.clone(), line.instance));
        let more_allowed = self.in_parts() && of.is_some_and(Attempt::more);
        let evidence = match line.op.as_str() {
            "refund" => {
                let reference = back_reference(order, line.instance, line.payout);
                refund::M::evidence(line.instance, Repaid { channel, reference, amount })
            }
            "authorise" => attempt::M::evidence(
                line.instance,
                Authorised { channel, reference, amount, expires_at: None },
            ),
            "session" => {
                let action = NextAction::Redirect { url: format!("https://pay.example/{reference}") };
                attempt::M::evidence(line.instance, ActionNeeded { reference, action, expires_at: None })
            }
            "capture" => {
                let own = self.has(Habit::CaptureIds);
                let reference = if own { format!("cap-{}", line.key) } else { reference };
                attempt::M::evidence(
                    line.instance,
                    Paid { channel, reference, amount, more_allowed, movement: None },
                )
            }
            _ => attempt::M::evidence(
                line.instance,
                Paid { channel, reference, amount, more_allowed, movement: None },
            ),
        };
        let event = if self.has(Habit::SharedEvents) {
            self.event(order, evidence.machine, evidence.key)
        } else {
            line.key.clone()
        };
        Delivery {
            order: order.clone(),
            evidence,
            source: "gateway".into(),
            event: event.into(),
            occurred: at,
            by: Actor::agent("gateway").expect("a name"),
        }
    }
}
