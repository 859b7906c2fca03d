//! What a payment provider does of its own accord, or by other hands than the engine's: habits that no caller should
//! count on being otherwise, and money that moves unasked.

use super::{Attempt, GatewayBooks, Line, SandboxGateway, back_reference, lock};
use crate::clock::Timestamp;
use crate::engine::Delivery;
use crate::gateway::Ticket;
use crate::id::{Actor, Channel, Key, OrderKey};
use crate::machine::Call;
use crate::money::Money;
use crate::stage::payment::{CaptureFailed, Paid, attempt};
use crate::stage::refund::{Bounced, Repaid, refund};

/// What one provider is like and another is not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Habit {
    /// A close of what never arrived is answered "gone", and nothing is kept of it: a charge that arrives afterwards is
    /// carried out, and told by a message.
    NoTombstones,
    /// An authorisation may be captured in parts. Each answer bears the reference of the payment, and an inquiry tells
    /// the total captured so far.
    ManyCaptures,
    /// As [`ManyCaptures`](Self::ManyCaptures), and each capture has an id of its own.
    CaptureIds,
    /// A customer pays on a page of the provider: charges are answered with a redirect.
    Sessions,
    /// References are numbers of sixteen digits.
    LongNumbers,
    /// The ids of messages are numbered for each payment anew: two orders have the same ones.
    SharedEvents,
    /// An inquiry or a close without a reference finds an operation by the key that it names, and by nothing else.
    LooksUpByKey,
    /// Keys are forgotten once their life is over.
    KeysExpire,
    /// What a capture took and the scheme took back is paid out all the same, when it is asked for.
    PaysFromBalance,
}

impl Habit {
    /// Its name, as what comes of it is counted.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Habit::NoTombstones => "charged_after_close",
            Habit::ManyCaptures => "captured_in_parts",
            Habit::CaptureIds => "capture_ids",
            Habit::Sessions => "session",
            Habit::LongNumbers => "long_number",
            Habit::SharedEvents => "shared_event",
            Habit::LooksUpByKey => "looked_up_by_key",
            Habit::KeysExpire => "key_expired",
            Habit::PaysFromBalance => "paid_from_balance",
        }
    }
}

/// How a provider turns every call away for a while.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Outage {
    /// No connection is made: provably not sent.
    Refused,
    /// It is busy, and says how long to wait, in milliseconds.
    Busy {
        /// How long.
        retry_after_ms: u64,
    },
}

impl SandboxGateway {
    /// A gateway with this habit, besides those that it has.
    #[must_use]
    pub fn with(self, habit: Habit) -> Self {
        lock(&self.books).habits.insert(habit);
        self
    }

    /// Turns all calls for an order away until then, or all calls where none is named.
    pub fn outage(&self, order: Option<&OrderKey>, how: Outage, until: Timestamp) {
        let mut b = lock(&self.books);
        b.outages.push((order.map(ToString::to_string), how, until));
        b.count(match how {
            Outage::Refused => "outage",
            Outage::Busy { .. } => "busy_for_minutes",
        });
    }

    /// Everything is reachable again.
    pub fn reachable(&self) {
        lock(&self.books).outages.clear();
    }

    /// Money that is held for an attempt and not captured, in minor units.
    #[must_use]
    pub fn held(&self, order: &OrderKey, attempt: Key) -> i64 {
        let b = lock(&self.books);
        let of = b.attempts.get(&(order.to_string(), attempt));
        of.filter(|a| a.authorised && !a.closed).map_or(0, |a| a.amount.minor().saturating_sub(a.taken_minor))
    }

    /// What was captured of an attempt and not given back, in minor units.
    #[must_use]
    pub fn kept(&self, order: &OrderKey, attempt: Key) -> i64 {
        let b = lock(&self.books);
        let of = b.attempts.get(&(order.to_string(), attempt));
        of.map_or(0, |a| a.taken_minor.saturating_sub(a.back_minor))
    }

    /// What the console shows of an order: every payment that was captured, by the number of its attempt, with its
    /// channel, its reference and what was not given back of it.
    #[must_use]
    pub fn payments(&self, order: &OrderKey) -> Vec<(Key, Channel, String, Money)> {
        let (id, b) = (order.to_string(), lock(&self.books));
        let own = b.attempts.iter().filter(|((of, _), a)| *of == id && a.captured);
        let kept = |a: &Attempt| Money::new(a.taken_minor.saturating_sub(a.back_minor), a.amount.currency());
        own.map(|((_, k), a)| (*k, a.channel.clone(), b.reference(order, *k), kept(a))).collect()
    }

    /// Minor units captured of the same attempt under other keys of the engine than this one, late failures not taken
    /// off.
    #[must_use]
    pub fn captured_under_other_keys(&self, ticket: &Ticket) -> i64 {
        let (order, b) = (ticket.order.to_string(), lock(&self.books));
        let other = b.done.values().filter(|l| l.op == "capture" && l.order == order);
        let other = other.filter(|l| l.instance == ticket.instance && l.key != ticket.key.as_str());
        other.fold(0, |n: i64, l| n.saturating_add(l.amount.minor()))
    }

    /// Whether the customer may still pay an attempt on the provider's page.
    #[must_use]
    pub fn payable(&self, order: &OrderKey, attempt: Key) -> bool {
        let b = lock(&self.books);
        b.attempts.get(&(order.to_string(), attempt)).is_some_and(|a| a.session && !a.captured)
    }

    /// The customer pays on the provider's page, also one that was closed meanwhile: the page was open.
    pub fn pay(&self, order: &OrderKey, attempt: Key, at: Timestamp) -> bool {
        let mut b = lock(&self.books);
        let of = (order.to_string(), attempt);
        let Some(a) = b.attempts.get(&of).filter(|a| a.session && !a.captured).cloned() else { return false };
        let line = b.own("charge", order, attempt, attempt, &a.channel, a.amount);
        if b.write(line).is_err() {
            return false;
        }
        b.count("session_paid");
        b.tell_paid(order, attempt, a.amount, at);
        true
    }

    /// Captures what is held, by hand in the provider's console.
    pub fn capture_by_hand(&self, order: &OrderKey, attempt: Key, minor: i64, at: Timestamp) -> bool {
        let minor = minor.min(self.held(order, attempt));
        let mut b = lock(&self.books);
        let of = (order.to_string(), attempt);
        let Some(a) = b.attempts.get(&of).filter(|_| minor > 0).cloned() else { return false };
        let amount = Money::new(minor, a.amount.currency());
        let line = b.own("console_capture", order, attempt, attempt, &a.channel, amount);
        if b.write(line).is_err() {
            return false;
        }
        b.count("console_capture");
        b.tell_paid(order, attempt, amount, at);
        true
    }

    /// Gives money of an attempt back, by hand in the provider's console. The message speaks of this refund.
    pub fn refund_by_hand(
        &self,
        order: &OrderKey,
        attempt: Key,
        refund: Key,
        minor: i64,
        at: Timestamp,
    ) -> bool {
        let minor = minor.min(self.kept(order, attempt));
        let mut b = lock(&self.books);
        let of = (order.to_string(), attempt);
        let Some(a) = b.attempts.get(&of).filter(|_| minor > 0).cloned() else { return false };
        let amount = Money::new(minor, a.amount.currency());
        let line = b.own("console_refund", order, refund, attempt, &a.channel, amount);
        let reference = line.key.clone();
        if b.write(line).is_err() {
            return false;
        }
        b.count("console_refund");
        let told = Repaid { channel: a.channel, reference, amount };
        b.tell(order, refund::M::evidence(refund, told), at);
        true
    }

    /// The bank returns a part of what a refund paid back.
    pub fn bounce(&self, order: &OrderKey, refund: Key, minor: i64, at: Timestamp) -> bool {
        let id = order.to_string();
        let mut b = lock(&self.books);
        let of = b.done.values().filter(|l| l.op == "refund" && l.order == id && l.instance == refund);
        let Some(sent) = of.max_by_key(|l| l.payout).cloned() else { return false };
        let before = b.bounced.get(&(id, refund, sent.payout)).copied().unwrap_or_default();
        let minor = minor.min(sent.amount.minor().saturating_sub(before));
        if minor <= 0 {
            return false;
        }
        let amount = Money::new(minor, sent.amount.currency());
        let mut line = b.own("bounce", order, refund, sent.attempt.unwrap_or(refund), &sent.channel, amount);
        line.payout = sent.payout;
        if b.write(line).is_err() {
            return false;
        }
        b.count(if minor < sent.amount.minor() { "bounced_in_part" } else { "bounced" });
        let reference = back_reference(order, refund, sent.payout);
        let told = Bounced { channel: sent.channel, reference, amount };
        b.tell(order, refund::M::evidence(refund, told), at);
        true
    }

    /// The scheme takes a part of what was captured back. In another currency it is about no money of this order's.
    pub fn fail_capture(&self, order: &OrderKey, attempt: Key, money: Money, at: Timestamp) -> bool {
        let kept = self.kept(order, attempt);
        let mut b = lock(&self.books);
        let of = (order.to_string(), attempt);
        let Some(a) = b.attempts.get(&of).filter(|_| kept > 0).cloned() else { return false };
        let own = a.amount.currency() == money.currency();
        let amount = if own { Money::new(money.minor().min(kept), money.currency()) } else { money };
        let line = b.own("fail", order, attempt, attempt, &a.channel, amount);
        if own && b.write(line).is_err() {
            return false;
        }
        b.count(match own {
            true if amount.minor() < a.taken_minor => "capture_failed_in_part",
            true => "capture_failed",
            false => "failed_in_another_currency",
        });
        let reference = b.reference(order, attempt);
        b.tell(
            order,
            attempt::M::evidence(
                attempt,
                CaptureFailed { channel: a.channel, reference, amount, movement: None },
            ),
            at,
        );
        true
    }

    /// Money is paid with the number of an attempt that never began.
    pub fn pay_astray(&self, order: &OrderKey, attempt: Key, amount: Money, at: Timestamp) -> bool {
        let Ok(channel) = "card".parse() else { return false };
        let mut b = lock(&self.books);
        if b.attempts.contains_key(&(order.to_string(), attempt)) {
            return false;
        }
        let line = b.own("charge", order, attempt, attempt, &channel, amount);
        if b.write(line).is_err() {
            return false;
        }
        b.count("paid_astray");
        b.tell_paid(order, attempt, amount, at);
        true
    }

    /// A truly signed message tells of a payment with another amount than was paid.
    pub fn misquote(&self, order: &OrderKey, attempt: Key, minor: i64, at: Timestamp) -> bool {
        let mut b = lock(&self.books);
        let of = (order.to_string(), attempt);
        let Some(a) = b.attempts.get(&of).filter(|a| a.captured && a.taken_minor != minor).cloned() else {
            return false;
        };
        b.count("misquoted");
        b.tell_paid(order, attempt, Money::new(minor, a.amount.currency()), at);
        true
    }
}

impl GatewayBooks {
    pub(super) fn has(&self, habit: Habit) -> bool {
        self.habits.contains(&habit)
    }

    pub(super) fn in_parts(&self) -> bool {
        self.has(Habit::ManyCaptures) || self.has(Habit::CaptureIds)
    }

    pub(super) fn count(&mut self, what: &'static str) {
        let n = self.faults.entry(what).or_default();
        *n = n.saturating_add(1);
    }

    /// What turns this call away.
    pub(super) fn turned_away(&mut self, order: &OrderKey, now: Timestamp) -> Option<Outage> {
        self.outages.retain(|(_, _, until)| *until > now);
        let order = order.to_string();
        let about = |of: &Option<String>| of.as_ref().is_none_or(|of| *of == order);
        self.outages.iter().find(|(of, _, _)| about(of)).map(|(_, how, _)| *how)
    }

    /// A line of what the engine did not ask for.
    fn own(
        &self,
        op: &str,
        order: &OrderKey,
        instance: Key,
        attempt: Key,
        channel: &Channel,
        amount: Money,
    ) -> Line {
        Line {
            op: op.to_owned(),
            order: order.to_string(),
            instance,
            key: format!("{op}-{order}-{instance}-{}", self.done.len()),
            channel: channel.clone(),
            amount,
            attempt: (attempt != instance).then_some(attempt),
            payout: 0,
        }
    }

    /// The provider's number of a payment.
    pub(super) fn reference(&self, order: &OrderKey, attempt: Key) -> String {
        if self.has(Habit::LongNumbers) {
            return long_number(&format!("pay-{order}-{attempt}"));
        }
        format!("pay-{}-{attempt}", order.order)
    }

    /// The attempt whose money a refund speaks of: the one with its reference, where it names one that there is.
    pub(super) fn paid_by(&self, order: &OrderKey, named: Key, reference: Option<&str>) -> (String, Key) {
        let id = order.to_string();
        let own = self.attempts.keys().filter(|(of, _)| *of == id);
        let same = |(_, k): &&(String, Key)| reference.is_some_and(|r| r == self.reference(order, *k));
        own.into_iter().find(same).cloned().unwrap_or((id, named))
    }

    pub(super) fn event(&mut self, order: &OrderKey, place: &str, instance: Key) -> String {
        let of = (order.to_string(), place.to_owned());
        let n = self.told.entry(of).or_default();
        *n = n.saturating_add(1);
        let n = *n;
        if self.has(Habit::SharedEvents) {
            self.count(Habit::SharedEvents.name());
            return format!("evt-{place}-{instance}-{n}");
        }
        format!("evt-{order}-{place}-{instance}-{n}")
    }

    fn tell(&mut self, order: &OrderKey, evidence: Call, at: Timestamp) {
        let event = self.event(order, evidence.machine, evidence.key);
        self.messages.push(Delivery {
            order: order.clone(),
            evidence,
            source: "gateway".into(),
            event: event.into(),
            occurred: at,
            by: Actor::agent("gateway").expect("a name"),
        });
    }

    pub(super) fn tell_paid(&mut self, order: &OrderKey, attempt: Key, amount: Money, at: Timestamp) {
        let Some(a) = self.attempts.get(&(order.to_string(), attempt)) else { return };
        let (channel, more_allowed) = (a.channel.clone(), self.in_parts() && a.more());
        let reference = self.reference(order, attempt);
        let paid = Paid { channel, reference, amount, more_allowed, movement: None };
        self.tell(order, attempt::M::evidence(attempt, paid), at);
    }
}

/// A number of sixteen digits, the same for the same text.
pub(in crate::testing) fn long_number(text: &str) -> String {
    let mut h = crate::machine::graph::Fnv::new();
    h.text(text);
    format!("{:016}", h.0 % 10_000_000_000_000_000)
}
