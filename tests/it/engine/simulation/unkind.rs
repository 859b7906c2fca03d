//! What is unkind outside: each kind of it may be switched on by itself, is met by some seeds and not by others, and is
//! counted.
//!
//! ```text
//! CONSIGN_UNKIND=bounces,holds cargo test --release --test it simulation -- --nocapture    these alone, in every seed
//! CONSIGN_UNKIND=none cargo test --release --test it simulation -- --nocapture             none of them
//! ```

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use consign::clock::Timestamp;
use consign::engine::{Delivered, LaneLimits, OrderView};
use consign::gateway::{PaymentGateway, Repeats, Ticket};
use consign::id::{Key, OrderKey};
use consign::machine::{Effect, Machine as _, Reply};
use consign::money::Money;
use consign::pipeline::Phase;
use consign::stage::correction::{Agree, Entry, Propose, correction};
use consign::stage::dispatch::{CallOff, Mislaid, parcel};
use consign::stage::payment::{
    Adopt, Cancel, Capture, Charge, Close, Collect, Inquire, Release, Void, attempt,
};
use consign::stage::refund::{ApproveRefund, CancelRefund, InquireRefund, Request, SendBack, refund};
use consign::store::{MemoryStore, Store as _};
use consign::testing::{Habit, Outage, SandboxGateway};

use super::super::journey::{cancel, delivered};
use super::super::support::{HOUR, MINUTE, SECOND, agent, carla, told};
use super::{Dice, Simulation, of};

/// A kind of what is unkind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Unkind {
    /// Money is held first, and captured by people and parcels, in parts too.
    Holds,
    /// A close of what never arrived leaves no trace at the provider.
    NoTombstones,
    /// An authorisation may be captured in parts, all under one reference.
    ManyCaptures,
    /// An authorisation may be captured in parts, each with an id of its own.
    CaptureIds,
    /// Refunds come back, in parts and more than once.
    Bounces,
    /// Captures fail late, in part, as a whole, or in another currency.
    CaptureFailures,
    /// All calls are refused, or put off, for minutes on end.
    Outages,
    /// Money is captured and given back in the provider's console.
    Console,
    /// Customers pay on pages of the provider, also on an old one.
    Sessions,
    /// Money is paid with the number of an attempt that never began.
    Astray,
    /// Truly signed messages tell wrong amounts.
    Misquotes,
    /// Messages about two orders have one id.
    SharedEvents,
    /// An inquiry finds an operation by the key that it names.
    LooksUpByKey,
    /// The provider forgets keys once their life is over.
    KeysExpire,
    /// Ids, references, labels and SKUs are long numbers.
    LongNumbers,
    /// Clocks of workers go back as well as forward.
    ClocksBack,
    /// The lane of payments has room for one call, and a rate.
    FullLanes,
    /// Refunds above a sum need a second person.
    Approvals,
    /// One key for two commands.
    ReusedKeys,
    /// Refunds are asked for attempts that never were, and under the last of all numbers.
    WrongRefunds,
    /// Commands are handed over as messages.
    Confused,
    /// People cancel and give back while money is in flight or put off.
    InFlight,
    /// What was lost is delivered after all.
    LostAndFound,
}

use Unkind::{
    Approvals, Astray, Bounces, CaptureFailures, CaptureIds, ClocksBack, Confused, Console, FullLanes, Holds,
    InFlight, KeysExpire, LongNumbers, LooksUpByKey, LostAndFound, ManyCaptures, Misquotes, NoTombstones,
    Outages, ReusedKeys, Sessions, SharedEvents, WrongRefunds,
};

/// What the engine does not stand yet, and what no run lasts long enough for (keys that expire): off, unless it is asked
/// for by name.
pub(super) const NOT_YET: &[Unkind] =
    &[Approvals, Astray, Bounces, CaptureFailures, Console, KeysExpire, LostAndFound];

impl Unkind {
    pub(super) const ALL: &'static [Unkind] = &[
        Holds,
        NoTombstones,
        ManyCaptures,
        CaptureIds,
        Bounces,
        CaptureFailures,
        Outages,
        Console,
        Sessions,
        Astray,
        Misquotes,
        SharedEvents,
        LooksUpByKey,
        KeysExpire,
        LongNumbers,
        ClocksBack,
        FullLanes,
        Approvals,
        ReusedKeys,
        WrongRefunds,
        Confused,
        InFlight,
        LostAndFound,
    ];

    pub(super) fn name(self) -> String {
        let mut name = String::new();
        for c in format!("{self:?}").chars() {
            if c.is_uppercase() && !name.is_empty() {
                name.push('_');
            }
            name.extend(c.to_lowercase());
        }
        name
    }

    /// What is counted of it.
    pub(super) fn counted(self) -> &'static [&'static str] {
        match self {
            Holds => &["collected"],
            NoTombstones => &["charged_after_close"],
            ManyCaptures => &["captured_in_parts"],
            CaptureIds => &["capture_ids"],
            Bounces => &["bounced", "bounced_in_part"],
            CaptureFailures => &["capture_failed", "capture_failed_in_part", "failed_in_another_currency"],
            Outages => &["outage", "busy_for_minutes"],
            Console => &["console_capture", "console_refund"],
            Sessions => &["session", "session_paid", "old_session_paid"],
            Astray => &["paid_astray"],
            Misquotes => &["misquoted"],
            SharedEvents => &["shared_event"],
            LooksUpByKey => &["looked_up_by_key"],
            KeysExpire => &["key_expired"],
            LongNumbers => &["long_number", "long_label"],
            ClocksBack => &["clock_back"],
            FullLanes => &["full_lane"],
            Approvals => &["refund_approved"],
            ReusedKeys => &["key_reused"],
            WrongRefunds => &["wrong_refund"],
            Confused => &["command_as_message"],
            InFlight => &["cancelled_in_flight", "given_back_in_flight"],
            LostAndFound => &["mislaid", "found_again"],
        }
    }

    /// The kinds that a seed meets.
    pub(super) fn of_seed(seed: u64) -> BTreeSet<Unkind> {
        if let Ok(names) = std::env::var("CONSIGN_UNKIND") {
            let asked = |kind: &&Unkind| names == "all" || names.split(',').any(|n| n == kind.name());
            return Unkind::ALL.iter().filter(asked).copied().collect();
        }
        let mut dice = Dice::new(seed ^ 0x756e_6b69_6e64);
        let mut all = BTreeSet::new();
        for kind in Unkind::ALL {
            // Each is rolled for, so that what others are on does not change it.
            if dice.roll(3) == 0 && !NOT_YET.contains(kind) {
                all.insert(*kind);
            }
        }
        all
    }

    fn habit(self) -> Option<Habit> {
        Some(match self {
            NoTombstones => Habit::NoTombstones,
            ManyCaptures => Habit::ManyCaptures,
            CaptureIds => Habit::CaptureIds,
            Sessions => Habit::Sessions,
            LongNumbers => Habit::LongNumbers,
            SharedEvents => Habit::SharedEvents,
            LooksUpByKey => Habit::LooksUpByKey,
            KeysExpire => Habit::KeysExpire,
            CaptureFailures => Habit::PaysFromBalance,
            _ => return None,
        })
    }

    /// Whether it happens of itself, or needs somebody who does it.
    fn is_done(self) -> bool {
        matches!(
            self,
            Holds
                | Bounces
                | CaptureFailures
                | Outages
                | Console
                | Sessions
                | Astray
                | Misquotes
                | ClocksBack
                | Approvals
                | ReusedKeys
                | WrongRefunds
                | Confused
                | InFlight
                | LostAndFound
        )
    }
}

/// A provider with the habits of these kinds.
pub(super) fn habits(gateway: SandboxGateway, kinds: &BTreeSet<Unkind>) -> SandboxGateway {
    kinds.iter().filter_map(|k| k.habit()).fold(gateway, SandboxGateway::with)
}

/// A lane for payments that is soon full.
pub(super) fn narrow() -> LaneLimits {
    LaneLimits { concurrency: 1, per_second: Some(1), ..LaneLimits::default() }
}

/// The id of an order, of a shape that large platforms use.
pub(super) fn long_id(n: usize, seed: u64) -> String {
    let mut dice = Dice::new(seed ^ (n as u64) << 24);
    let digits = [13, 16, 17, 19][n % 4];
    // No two orders have the same: the last two digits are its own.
    let body: String =
        (0..digits - 3).map(|_| char::from(b'0' + u8::try_from(dice.roll(10)).unwrap())).collect();
    format!("{}{body}{n:02}", 1 + dice.roll(9))
}

/// The number of a book.
pub(super) fn isbn(dice: &mut Dice) -> String {
    let body = format!("978{:09}", dice.roll(1_000_000_000));
    let sum: u32 =
        body.bytes().enumerate().map(|(n, b)| u32::from(b - b'0') * if n % 2 == 0 { 1 } else { 3 }).sum();
    format!("{body}{}", (10 - sum % 10) % 10)
}

/// Calls that should not have been made: of which order, and why.
pub(super) type Wrong = Arc<Mutex<Vec<(OrderKey, &'static str, String)>>>;

/// A provider that looks, at each call, at what the order says at that instant.
pub(super) struct Watched {
    pub(super) gateway: Arc<SandboxGateway>,
    pub(super) disk: Arc<MemoryStore>,
    pub(super) wrong: Wrong,
}

impl Watched {
    fn says(&self, ticket: &Ticket, which: &'static str, why: String) {
        self.wrong.lock().unwrap().push((ticket.order.clone(), which, why));
    }

    async fn progress(&self, ticket: &Ticket) -> String {
        let stored = self.disk.load(&ticket.order).await.unwrap();
        stored.map(|s| String::from_utf8_lossy(&s.progress).into_owned()).unwrap_or_default()
    }

    async fn looks(&self, ticket: &Ticket, operation: &str, gone: &[&str]) {
        let progress = self.progress(ticket).await;
        let state = stands(&progress, ticket).map_or("nothing", |at| name(at));
        if gone.contains(&state) {
            self.says(
                ticket,
                "I14",
                format!("{operation} of {} is called while it is {state}", ticket.instance),
            );
        }
    }
}

/// Where an instance stands in a stored progress, from the name of its state on.
fn stands<'a>(progress: &'a str, ticket: &Ticket) -> Option<&'a str> {
    let place = format!("[\"{}\",{},\"", ticket.place, ticket.instance.0);
    let from = progress.find(&place)? + place.len();
    progress.get(from..)
}

fn name(at: &str) -> &str {
    at.split('"').next().unwrap_or_default()
}

/// What the books of a stored progress still let go back.
fn free(progress: &str) -> i64 {
    let Some(books) = progress.split("],\"b\":").nth(1) else { return 0 };
    let mut read =
        serde_json::Deserializer::from_str(books).into_iter::<Vec<(String, String, Option<String>, i64)>>();
    let sums = read.next().and_then(Result::ok).unwrap_or_default();
    sums.iter().fold(0, |n, (code, _, _, minor)| match code.as_str() {
        "P3" | "P5" | "P11" => n + minor,
        "P4" | "P9" | "P18" => n - minor,
        _ => n,
    })
}

type Answer<X> = Reply<<X as Effect>::Done, <X as Effect>::Declined>;

#[async_trait]
impl PaymentGateway for Watched {
    fn repeats(&self) -> Repeats {
        self.gateway.repeats()
    }
    async fn charge(&self, charge: Charge, ticket: &Ticket) -> Answer<Charge> {
        let gone = [
            "NotSent",
            "Closing",
            "Declined",
            "Closed",
            "Voiding",
            "Voided",
            "Expired",
            "FailedLate",
            "Mismatch",
        ];
        self.looks(ticket, "charge", &gone).await;
        self.gateway.charge(charge, ticket).await
    }
    async fn inquire(&self, inquire: Inquire, ticket: &Ticket) -> Answer<Inquire> {
        self.gateway.inquire(inquire, ticket).await
    }
    async fn close(&self, close: Close, ticket: &Ticket) -> Answer<Close> {
        self.gateway.close(close, ticket).await
    }
    async fn capture(&self, capture: Capture, ticket: &Ticket) -> Answer<Capture> {
        let progress = self.progress(ticket).await;
        let at = stands(&progress, ticket).unwrap_or_default();
        let state = name(at);
        if !["Capturing", "CaptureUnknown"].contains(&state) {
            self.says(ticket, "I14", format!("capture of {} is called while it is {state}", ticket.instance));
        }
        let booked = at.split_once("\"captured_minor\":").and_then(|(_, rest)| {
            rest.split(|c: char| !c.is_ascii_digit()).next().and_then(|n| n.parse::<i64>().ok())
        });
        let taken = self.gateway.captured_under_other_keys(ticket);
        if taken > booked.unwrap_or_default() {
            let why =
                format!("{} is captured anew while {taken} is taken and {booked:?} booked", capture.amount);
            self.says(ticket, "I15", why);
        }
        self.gateway.capture(capture, ticket).await
    }
    async fn void(&self, void: Void, ticket: &Ticket) -> Answer<Void> {
        self.gateway.void(void, ticket).await
    }
    async fn refund(&self, back: SendBack, ticket: &Ticket) -> Answer<SendBack> {
        let progress = self.progress(ticket).await;
        let state = stands(&progress, ticket).map_or("nothing", |at| name(at));
        if !["Sending", "Unknown", "Pending"].contains(&state) {
            self.says(ticket, "I14", format!("refund {} is called while it is {state}", ticket.instance));
        }
        let free = free(&progress);
        if free < 0 {
            let why = format!("{} goes back, and the books have {} too little", back.amount, -free);
            self.says(ticket, "I14", why);
        }
        self.gateway.refund(back, ticket).await
    }
    async fn inquire_refund(&self, inquire: InquireRefund, ticket: &Ticket) -> Answer<InquireRefund> {
        self.gateway.inquire_refund(inquire, ticket).await
    }
}

impl Simulation {
    /// Somebody is unkind.
    pub(super) async fn mischief(&mut self) {
        let able: Vec<Unkind> = self.kinds.iter().copied().filter(|k| k.is_done()).collect();
        if able.is_empty() {
            return;
        }
        let kind = self.dice.pick(&able);
        // Not every order is one that it can befall.
        for _ in 0..3 {
            let n = usize::try_from(self.dice.roll(super::ORDERS as u64)).unwrap();
            let Some(view) = self.view(n).await else { continue };
            if self.befalls(kind, n, &view).await {
                return;
            }
        }
    }

    fn minor(&mut self, most: i64) -> i64 {
        1 + i64::try_from(self.dice.roll(u64::try_from(most.max(1)).unwrap())).unwrap()
    }

    async fn befalls(&mut self, kind: Unkind, n: usize, view: &OrderView) -> bool {
        let (id, now) = (self.id(n), self.now());
        let gateway = self.world.gateway.clone();
        let attempts: Vec<(u32, &'static str)> = attempts(view);
        match kind {
            Holds => return self.hold_acts(n, view).await,
            Bounces => {
                let paid: Vec<(u32, i64)> = (of::<refund::M>(view).into_iter())
                    .filter_map(|(k, s)| match s {
                        refund::State::Succeeded(s) => Some((k, s.back.amount_minor)),
                        refund::State::Reversed(s) => Some((k, s.back.amount_minor)),
                        _ => None,
                    })
                    .collect();
                let Some(&(k, of)) = paid.first() else { return false };
                let minor = if self.dice.roll(3) == 0 { of } else { self.minor(of) };
                if !gateway.bounce(&id, Key(k), minor, now) {
                    return false;
                }
            }
            CaptureFailures => {
                let Some(&(k, _)) = attempts.iter().find(|a| gateway.kept(&id, Key(a.0)) > 0) else {
                    return false;
                };
                let kept = gateway.kept(&id, Key(k));
                let money = match self.dice.roll(3) {
                    0 => Money::new(kept, "EUR".parse().unwrap()),
                    1 => Money::new(self.minor(kept), "EUR".parse().unwrap()),
                    _ => Money::new(9_000, "JPY".parse().unwrap()),
                };
                gateway.fail_capture(&id, Key(k), money, now);
            }
            Outages => {
                let whose = if self.dice.roll(4) == 0 { None } else { Some(&id) };
                let span = self.dice.pick(&[2 * MINUTE, 5 * MINUTE, 12 * MINUTE]);
                let how = if self.dice.roll(2) == 0 {
                    Outage::Refused
                } else {
                    Outage::Busy { retry_after_ms: self.dice.pick(&[30 * SECOND, 2 * MINUTE, 10 * MINUTE]) }
                };
                gateway.outage(whose, how, now.saturating_add(Duration::from_millis(span)));
            }
            Console => {
                let held = attempts.iter().find(|a| gateway.held(&id, Key(a.0)) > 0);
                if let Some(&(k, _)) = held {
                    let held = gateway.held(&id, Key(k));
                    let minor = if self.dice.roll(2) == 0 { held } else { self.minor(held) };
                    gateway.capture_by_hand(&id, Key(k), minor, now);
                } else if let Some(&(k, _)) = attempts.iter().find(|a| gateway.kept(&id, Key(a.0)) > 0) {
                    let kept = gateway.kept(&id, Key(k));
                    let minor = if self.dice.roll(3) == 0 { kept } else { self.minor(kept) };
                    let next = next_refund(view);
                    gateway.refund_by_hand(&id, Key(k), Key(next), minor, now);
                } else {
                    return false;
                }
            }
            Sessions => return self.session(n, view).await,
            Astray => {
                if view.phase().is_end() && self.dice.roll(2) == 0 {
                    return false;
                }
                let (never, price) =
                    (Key(40 + u32::try_from(self.dice.roll(9)).unwrap()), view.progress.order.total());
                if !gateway.pay_astray(&id, never, price, now) {
                    return false;
                }
                *self.astray.entry(n).or_default() += price.minor();
            }
            Misquotes => {
                let Some(&(k, _)) = attempts.iter().find(|a| gateway.kept(&id, Key(a.0)) > 0) else {
                    return false;
                };
                let wrong = gateway.kept(&id, Key(k)) * self.dice.pick(&[2, 7, 10]);
                if !gateway.misquote(&id, Key(k), wrong, now) {
                    return false;
                }
            }
            ClocksBack => {
                self.fire("clock_back");
                let w = usize::try_from(self.dice.roll(self.workers.len() as u64)).unwrap();
                let back =
                    i64::try_from(self.dice.pick(&[10 * SECOND, 20 * MINUTE, 5 * HOUR, 8 * HOUR])).unwrap();
                let wall = &mut self.workers[w].wall;
                *wall = (*wall - back).max(-i64::try_from(12 * HOUR).unwrap());
            }
            Approvals => return self.approve_refunds(n, view).await,
            ReusedKeys => {
                // One key, two people, two commands: the second one must not be told that it is done.
                self.events += 1;
                let once = format!("k-{}", self.events);
                let at = self.someone();
                let engine = self.workers[at].engine.clone();
                let pack = parcel::M::command(1, consign::stage::dispatch::Pack);
                let first = engine.command(&id, agent("wim"), &once, pack).await;
                self.settled().await;
                if first.is_err() {
                    return false;
                }
                let second = engine.command(&id, carla(), &once, cancel()).await;
                self.settled().await;
                self.fire("key_reused");
                if second.is_ok() {
                    self.breach(&id, "I18", "a command under the key of another one was dropped".to_owned());
                }
            }
            WrongRefunds => {
                let amount_minor = self.minor(500);
                let ask = Request {
                    attempt: Key(77),
                    channel: "card".parse().unwrap(),
                    reference: Some("pay-of-somebody-else".into()),
                    amount_minor,
                    reason: "as agreed".into(),
                };
                self.events += 1;
                let (once, at) = (format!("w-{}", self.events), self.someone());
                let engine = self.workers[at].engine.clone();
                let next = next_refund(view);
                let number = if self.dice.roll(2) == 0 { u32::MAX } else { next };
                let answer = engine.command(&id, agent("sue"), &once, refund::M::command(number, ask)).await;
                self.settled().await;
                self.fire("wrong_refund");
                if answer.is_ok() {
                    self.breach(&id, "I18", format!("refund {number} of an attempt that never was is taken"));
                }
            }
            Confused => {
                self.events += 1;
                let event = format!("x-{}", self.events);
                let at = self.someone();
                let engine = self.workers[at].engine.clone();
                let answer = engine.deliver(told(&self.ids[n].clone(), &event, now, cancel())).await;
                self.settled().await;
                self.fire("command_as_message");
                if matches!(answer, Ok(Delivered::Applied(_) | Delivered::Kept)) {
                    self.breach(&id, "I19", format!("a command was taken as a message: {answer:?}"));
                }
            }
            InFlight => {
                let of_money = |name: &str| name.starts_with("payment") || name.starts_with("refund");
                let flies = view.progress.wanted.iter().any(|w| of_money(&w.name));
                if !flies {
                    // Something is put in flight, and the next one who comes does not wait for it.
                    if view.phase() == Phase::AwaitingPayment {
                        let span = self.dice.pick(&[5 * SECOND, MINUTE]);
                        let until = now.saturating_add(Duration::from_millis(span));
                        gateway.outage(Some(&id), Outage::Refused, until);
                        self.pay(n, view).await;
                        if self.dice.roll(2) == 0 {
                            self.fire("cancelled_in_flight");
                            self.command(&id, &carla(), cancel()).await;
                        }
                        return true;
                    }
                    return false;
                }
                if self.dice.roll(2) == 0 {
                    self.fire("cancelled_in_flight");
                    self.command(&id, &carla(), cancel()).await;
                } else {
                    self.fire("given_back_in_flight");
                    self.give_back(n, view).await;
                }
                return true;
            }
            LostAndFound => {
                for (p, state) in of::<parcel::M>(view) {
                    match state {
                        parcel::State::HandedOver(_) => {
                            self.fire("mislaid");
                            self.hear(n, parcel::M::evidence(p, Mislaid)).await;
                            return true;
                        }
                        parcel::State::Lost(_) => {
                            self.fire("found_again");
                            self.hear(n, delivered(p)).await;
                            return true;
                        }
                        _ => {}
                    }
                }
                return false;
            }
            _ => return false,
        }
        // Some messages come at once, others when the time moves on.
        if self.dice.roll(3) != 0 {
            self.post().await;
        }
        true
    }

    /// People who deal with money that is held.
    async fn hold_acts(&mut self, n: usize, view: &OrderView) -> bool {
        let id = self.id(n);
        for (k, state) in of::<attempt::M>(view) {
            let left = match state {
                attempt::State::Authorized(s) => s.hold.authorized_minor,
                attempt::State::PartiallyCaptured(s) => s.hold.authorized_minor - s.hold.captured_minor,
                _ => continue,
            };
            if self.dice.roll(6) == 0 {
                self.fire("released");
                self.command(&id, &agent("sue"), attempt::M::command(k, Release)).await;
            } else {
                self.fire("collected");
                // Two halves alike are two captures, not one told twice.
                let half = Some(left / 2).filter(|h| *h > 0);
                let amount_minor = if self.dice.roll(3) == 0 { None } else { half };
                self.command(&id, &agent("sue"), attempt::M::command(k, Collect { amount_minor })).await;
            }
            return true;
        }
        false
    }

    /// A customer at a page of the provider: pays it, or goes back and begins anew.
    async fn session(&mut self, n: usize, view: &OrderView) -> bool {
        let (id, now, gateway) = (self.id(n), self.now(), self.world.gateway.clone());
        let all = attempts(view);
        let open: Vec<u32> = all.iter().map(|a| a.0).filter(|k| gateway.payable(&id, Key(*k))).collect();
        if open.is_empty() {
            if view.phase() == Phase::AwaitingPayment {
                self.pay(n, view).await;
                return true;
            }
            return false;
        }
        let k = self.dice.pick(&open);
        let stands = all.iter().find(|a| a.0 == k).map_or("", |a| a.1);
        if stands == "RequiresAction" && self.dice.roll(2) == 0 {
            self.command(&id, &carla(), attempt::M::command(k, Cancel)).await;
            let Some(view) = self.view(n).await else { return true };
            self.pay(n, &view).await;
            return true;
        }
        let newer = all.iter().any(|a| a.0 > k && ["RequiresAction", "Pending", "Sending"].contains(&a.1));
        if !gateway.pay(&id, Key(k), now) {
            return false;
        }
        if newer {
            self.fire("old_session_paid");
        }
        let before = view.progress.books.kept();
        self.post().await;
        let Some(after) = self.view(n).await else { return true };
        // Money for an order that waits for it stays.
        let waited = view.phase() == Phase::AwaitingPayment && before == 0;
        let stood = self.stood_when_paid(n, k).await;
        if waited
            && stood.as_deref() == Some("Placed")
            && let Some(attempt::State::Captured(s)) = after.state::<attempt::M>(Key(k))
            && s.unwanted
        {
            self.breach(
                &id,
                "I16",
                format!("{} was paid by attempt {k}, is wanted, and goes back", s.captured_minor),
            );
        }
        true
    }

    pub(super) async fn approve_refunds(&mut self, n: usize, view: &OrderView) -> bool {
        let id = self.id(n);
        let mut any = false;
        for (k, state) in of::<refund::M>(view) {
            if !matches!(state, refund::State::ApprovalPending(_)) {
                continue;
            }
            any = true;
            if !self.heals && self.dice.roll(6) == 0 {
                self.command(&id, &agent("sue"), refund::M::command(k, CancelRefund)).await;
            } else {
                self.fire("refund_approved");
                self.command(&id, &agent("ulla"), refund::M::command(k, ApproveRefund)).await;
            }
        }
        any
    }

    /// A person who knows the provider's console sees to it that nobody's money is left lying.
    pub(super) async fn settles(&mut self, n: usize, view: &OrderView) {
        let p = &view.progress;
        self.approve_refunds(n, view).await;
        self.adopts(n, view).await;
        let leaving = view.phase().is_end()
            || of::<consign::pipeline::lifecycle::lifecycle::M>(view)
                .iter()
                .any(|(_, s)| !matches!(s, consign::pipeline::lifecycle::lifecycle::State::Placed(_)));
        let gone = -p.books.suspense();
        if gone > 0 {
            return self.corrects(n, view, gone).await;
        }
        // What came back or was lost is not sent again: its units are given up, and their price with them.
        for (k, state) in of::<parcel::M>(view) {
            let gone = matches!(state, parcel::State::Lost(_) | parcel::State::ReturnedToSender(_));
            let owed = gone && p.books.owed() > 0 && p.phase() == Phase::Completed;
            if owed && self.called_off.insert((n, k)) {
                self.command(&self.id(n), &agent("olga"), parcel::M::command(k, CallOff)).await;
                return;
            }
        }
        let lying = p.books.suspense().max(if leaving { p.books.owed() } else { 0 });
        if lying <= 0 || p.books.refund_due(None) != 0 {
            return;
        }
        let id = self.id(n);
        let mut next = of::<refund::M>(view).iter().map(|i| i.0).filter(|k| *k < 1000).max().unwrap_or(0);
        for (k, state) in of::<attempt::M>(view) {
            let channel = state.what().channel.clone();
            let most = self.world.gateway.kept(&id, Key(k)).min(p.books.refundable(&channel)).min(lying);
            if most <= 0 {
                continue;
            }
            next += 1;
            let ask = Request {
                attempt: Key(k),
                channel,
                reference: None,
                amount_minor: most,
                reason: "owed".into(),
            };
            self.fire("settled_by_hand");
            self.command(&id, &agent("olga"), refund::M::command(next, ask)).await;
            break;
        }
    }

    /// Two people agree that what left unexplained is with the customer.
    async fn corrects(&mut self, n: usize, view: &OrderView, gone: i64) {
        let (id, next) = (self.id(n), 1 + of::<correction::M>(view).iter().map(|i| i.0).max().unwrap_or(0));
        let reason = "it is in the console, under the customer's name".to_owned();
        let what = Propose { entry: Entry::WentToCustomer, amount_minor: gone, reason };
        self.fire("corrected");
        self.command(&id, &agent("olga"), correction::M::command(next, what)).await;
        self.command(&id, &agent("ulla"), correction::M::command(next, Agree)).await;
        let Some(after) = self.view(n).await else { return };
        if matches!(after.state::<correction::M>(Key(next)), Some(correction::State::Booked(_))) {
            *self.astray.entry(n).or_default() += gone;
        }
    }

    /// Money that came under the number of an attempt that never began finds its place.
    async fn adopts(&mut self, n: usize, view: &OrderView) {
        let (id, gateway) = (self.id(n), self.world.gateway.clone());
        let known: Vec<u32> = of::<attempt::M>(view).iter().map(|i| i.0).collect();
        let astray = gateway.payments(&id).into_iter().filter(|p| !known.contains(&p.0.0) && p.3.minor() > 0);
        for (_, channel, reference, money) in astray.collect::<Vec<_>>() {
            let Some(view) = self.view(n).await else { return };
            let adopted = |s: &attempt::State| s.what().reference.as_ref() == Some(&reference);
            if view.progress.books.suspense() < money.minor()
                || of::<attempt::M>(&view).iter().any(|i| adopted(i.1))
            {
                continue;
            }
            let next = of::<attempt::M>(&view).iter().map(|i| i.0).max().unwrap_or(0) + 1;
            let (amount_minor, proof) = (money.minor(), "the line in the console".to_owned());
            let adopt = Adopt { tender: Key(1), channel, reference: reference.clone(), amount_minor, proof };
            self.fire("adopted");
            self.command(&id, &agent("olga"), attempt::M::command(next, adopt)).await;
            let Some(after) = self.view(n).await else { return };
            if let Some(attempt::State::Captured(took)) = after.state::<attempt::M>(Key(next)) {
                // That much counts as this attempt's surplus from now on.
                *self.astray.entry(n).or_default() -= took.captured_minor;
            }
        }
    }

    pub(super) fn breach(&self, id: &OrderKey, which: &'static str, what: String) {
        self.wrong.lock().unwrap().push((id.clone(), which, what));
    }

    /// Hands over what the outside says of its own accord. What is not taken is said again until it is.
    pub(super) async fn post(&mut self) {
        let (at, w) = (self.now(), &self.world);
        let all =
            [w.gateway.messages(at), w.stock.messages(at), w.carrier.messages(at), w.platform.messages(at)];
        let mut all: Vec<_> =
            std::mem::take(&mut self.unheard).into_iter().chain(all.into_iter().flatten()).collect();
        for message in all.drain(..) {
            let mut taken = false;
            // Webhooks come twice.
            for _ in 0..2 {
                let at = self.someone();
                taken |= self.workers[at].engine.deliver(message.clone()).await.is_ok();
                self.settled().await;
            }
            // Where everything is kind nobody repeats one that was not taken: inquiries find it.
            if !taken && !self.kinds.is_empty() {
                self.unheard.push(message);
            }
        }
    }
}

/// The attempts of an order, and the names of their states.
fn attempts(view: &OrderView) -> Vec<(u32, &'static str)> {
    let own = view.instances().into_iter().filter(|i| i.0 == attempt::M::GRAPH.name);
    own.map(|(_, k, state)| (k.0, state)).collect()
}

/// The number of the next refund. Who asked under the last of all numbers does not count.
pub(super) fn next_refund(view: &OrderView) -> u32 {
    of::<refund::M>(view).iter().map(|i| i.0).filter(|k| *k < u32::MAX).max().unwrap_or(0) + 1
}

/// The instant of a clock that is off.
pub(super) fn off(at: Timestamp, by: i64) -> Timestamp {
    Timestamp::from_millis(at.millis() + by)
}
