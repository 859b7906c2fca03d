//! A shop with one order: commands, words from outside and passing time in, what came of them out.

use std::fmt::Write as _;

use consign::clock::Timestamp;
use consign::id::{Actor, Key, OrderId};
use consign::ledger::{Books, Code, Posting};
use consign::machine::{Call, Told};
use consign::money::Money;
use consign::order::{Draft, DraftTender, Line, Order};
use consign::pipeline::{
    Decision, Digital, Disposition, EffectAnswer, Event, EventKind, Fire, Mixed, Outstanding, Phase,
    Physical, Pipeline, Progress, Refused, digital, mixed, physical,
};

/// Everything a test does not say about an order: one parcel, one tender on a card.
pub(crate) fn order_of(total: i64) -> Order {
    order_in(&[("shop", total)], &[("card", total)])
}

/// An order of one line per parcel, paid over these tenders.
pub(crate) fn order_in(parcels: &[(&str, i64)], tenders: &[(&str, i64)]) -> Order {
    ordered(parcels, &[], tenders)
}

fn ordered(parcels: &[(&str, i64)], services: &[i64], tenders: &[(&str, i64)]) -> Order {
    let mut draft = Draft::new("o-1", "EUR", Actor::customer("carla").unwrap());
    for (group, price) in parcels {
        draft.lines.push(Line::goods(format!("from-{group}"), 1, *price).in_group(*group));
    }
    for (n, price) in services.iter().enumerate() {
        draft.lines.push(Line::service(format!("ad-{}", n + 1), 1, *price));
    }
    draft.total_minor = parcels.iter().map(|p| p.1).chain(services.iter().copied()).sum();
    draft.tenders = tenders.iter().map(|(ch, n)| DraftTender::new(*ch, *n)).collect();
    Order::parse(draft).unwrap()
}

thread_local! {
    static UNDER_MIXED: std::cell::Cell<bool> = const { std::cell::Cell::new(false) };
}

/// Places whatever orders a test places in the mixed pipeline, under the same policies.
pub(crate) fn under_mixed<T>(test: impl FnOnce() -> T) -> T {
    UNDER_MIXED.set(true);
    let came = test();
    UNDER_MIXED.set(false);
    came
}

/// The policies of a ready pipeline.
pub(crate) trait Ready {
    /// That pipeline.
    fn pipeline(self) -> Pipeline;
}
impl Ready for Physical {
    fn pipeline(self) -> Pipeline {
        if !UNDER_MIXED.get() {
            return physical(self).unwrap();
        }
        let Physical { life, payment, review, dispatch, refund, aftersales } = self;
        Mixed { life, payment, review, dispatch, refund, aftersales, ..Mixed::default() }.pipeline()
    }
}
impl Ready for Digital {
    fn pipeline(self) -> Pipeline {
        if !UNDER_MIXED.get() {
            return digital(self).unwrap();
        }
        let Digital { life, payment, review, activation, refund } = self;
        Mixed { life, payment, review, activation, refund, ..Mixed::default() }.pipeline()
    }
}
impl Ready for Mixed {
    fn pipeline(self) -> Pipeline {
        mixed(self).unwrap()
    }
}

/// An order of one service per price, paid over these tenders.
pub(crate) fn services_of(services: &[i64], tenders: &[(&str, i64)]) -> Order {
    ordered(&[], services, tenders)
}

/// An order of one parcel and one service, paid by card.
pub(crate) fn mixed_of(goods: i64, service: i64) -> Order {
    ordered(&[("shop", goods)], &[service], &[("card", goods + service)])
}

/// An amount in the order's currency.
pub(crate) fn eur(minor: i64) -> Money {
    Money::new(minor, "EUR".parse().unwrap())
}

/// Who works in the shop.
pub(crate) fn agent(name: &str) -> Actor {
    Actor::agent(name).unwrap()
}

/// Whose order it is.
pub(crate) fn carla() -> Actor {
    Actor::customer("carla").unwrap()
}

/// What a step came to.
#[derive(Debug, Clone)]
pub(crate) struct Came {
    pub(crate) disposition: Disposition,
    pub(crate) fires: Vec<Fire>,
    /// One line per row that fired, posting, effect wanted and hold set, in this order.
    pub(crate) told: String,
}

/// One order on its way through a ready pipeline, on a clock that the test moves.
#[derive(Debug)]
pub(crate) struct Shop {
    pub(crate) pipeline: Pipeline,
    pub(crate) order: Progress,
    pub(crate) now: Timestamp,
    pub(crate) last: Came,
    /// Every row fired so far.
    pub(crate) walked: Vec<Fire>,
    /// What every posting so far adds up to, kept beside the order's own books.
    books: Books,
}

const SECOND: u64 = 1000;

impl Shop {
    /// Places an order.
    pub(crate) fn place(policy: impl Ready, order: Order) -> Self {
        Self::place_on(policy.pipeline(), order)
    }

    /// Places an order on another pipeline.
    pub(crate) fn place_on(pipeline: Pipeline, order: Order) -> Self {
        let id: OrderId = "o-1".parse().unwrap();
        let now = Timestamp::from_millis(0);
        let decision = pipeline.place(id.into(), order, now).unwrap();
        let order = decision.progress.clone();
        let last = came(&decision);
        let mut shop = Self { pipeline, order, now, last, walked: Vec::new(), books: Books::default() };
        shop.take(decision);
        shop
    }

    /// Lets time pass; nothing fires by itself.
    pub(crate) fn pass(&mut self, ms: u64) {
        self.now = self.now.saturating_add(std::time::Duration::from_millis(ms));
    }

    /// Anna of the shop asks, and is not refused.
    pub(crate) fn asks(&mut self, call: Call) {
        self.asks_as(&agent("anna"), call);
    }

    /// Somebody asks, and is not refused.
    pub(crate) fn asks_as(&mut self, by: &Actor, call: Call) {
        if let Err(refused) = self.tries_as(by, call) {
            panic!("refused: {refused}\n{}", self.show());
        }
    }

    /// Somebody asks, and may be refused; the order is then as it was, to the byte.
    pub(crate) fn tries_as(&mut self, by: &Actor, call: Call) -> Result<(), Refused> {
        let before = self.fingerprint();
        let came = self.step(by.clone(), EventKind::Command { call, command: None });
        if came.is_err() {
            assert_eq!(before, self.fingerprint(), "a refused command changed the order");
        }
        came
    }

    /// Something reaches the order from somebody, and may be refused; the order is then as it was, to the byte.
    pub(crate) fn tries(&mut self, by: &Actor, kind: EventKind) -> Result<(), Refused> {
        let before = self.fingerprint();
        let came = self.step(by.clone(), kind);
        if came.is_err() {
            assert_eq!(before, self.fingerprint(), "what was refused changed the order");
        }
        came
    }

    /// Something reaches the order from the engine itself.
    pub(crate) fn tells(&mut self, kind: EventKind) {
        self.step(Actor::system(), kind).unwrap();
    }

    /// The outside says something, unasked.
    pub(crate) fn hears(&mut self, call: Call) -> Disposition {
        let kind = EventKind::Evidence { call, message: None };
        self.step(Actor::system(), kind).unwrap();
        self.last.disposition
    }

    /// The outside says something in a message that can be told from others.
    pub(crate) fn hears_in(&mut self, message: u64, call: Call) -> Disposition {
        let kind = EventKind::Evidence { call, message: Some(message) };
        self.step(Actor::system(), kind).unwrap();
        self.last.disposition
    }

    /// The outside says something that happened some time ago.
    pub(crate) fn hears_of(&mut self, occurred: Timestamp, call: Call) -> Disposition {
        self.pass(SECOND);
        let kind = EventKind::Evidence { call, message: None };
        let event = Event { kind, by: Actor::system(), occurred: Some(occurred) };
        let decision = self.pipeline.step(&self.order, event, self.now).unwrap().unwrap();
        self.take(decision);
        self.last.disposition
    }

    /// The outside did what an effect wanted.
    pub(crate) fn done(&mut self, effect: &str, told: impl Into<Told>) {
        let id = self.effect(effect);
        self.answers(id, EffectAnswer::Done(told.into()));
    }

    /// The outside answered a question that was asked before every call had settled.
    pub(crate) fn unsettled(&mut self, effect: &str, told: impl Into<Told>) {
        let id = self.effect(effect);
        self.answers(id, EffectAnswer::Unsettled(told.into()));
    }

    /// The outside refused an effect.
    pub(crate) fn declined(&mut self, effect: &str, told: impl Into<Told>) {
        let id = self.effect(effect);
        self.answers(id, EffectAnswer::Declined(told.into()));
    }

    /// The answer to an effect got lost.
    pub(crate) fn lost(&mut self, effect: &str) {
        let id = self.effect(effect);
        self.answers(id, EffectAnswer::Unknown("no answer within 30 s".to_owned()));
    }

    /// The attempts of an effect are used up.
    pub(crate) fn gave_up(&mut self, effect: &str, sent: bool) {
        let id = self.effect(effect);
        self.answers(id, EffectAnswer::Exhausted { sent, why: "unreachable".to_owned() });
    }

    /// It was provably not sent, and is tried again in a minute.
    pub(crate) fn put_off(&mut self, effect: &str) {
        let effect = self.effect(effect);
        let not_before = Some(self.now.saturating_add(std::time::Duration::from_secs(60)));
        self.step(Actor::system(), EventKind::Retry { effect, not_before, sent: false }).unwrap();
    }

    /// The outside did what the effect of this number wanted.
    pub(crate) fn answer_done(&mut self, effect: u64, told: Told) {
        self.answers(effect, EffectAnswer::Done(told));
    }

    /// The outside answers the effect of this number.
    pub(crate) fn answers(&mut self, effect: u64, answer: EffectAnswer) {
        self.step(Actor::system(), EventKind::Answer { effect, answer }).unwrap();
    }

    /// The oldest outstanding effect of this name, or of this name and instance: `Charge`, `Charge 2`.
    fn effect(&self, name: &str) -> u64 {
        let (name, key) = match name.split_once(' ') {
            Some((name, key)) => (name, Some(Key(key.parse().unwrap()))),
            None => (name, None),
        };
        let found = self
            .order
            .wanted
            .iter()
            .find(|w| w.name.rsplit('/').next() == Some(name) && key.is_none_or(|k| w.key == k));
        found.unwrap_or_else(|| panic!("no {name} is wanted\n{}", self.show())).id
    }

    /// A timer's instant comes, and it fires.
    pub(crate) fn due(&mut self, place: &str, key: u32, timer: &str) {
        let instants = self.pipeline.instants(&self.order, place, key);
        let found = instants.iter().find(|(name, _)| *name == timer);
        let at = found.unwrap_or_else(|| panic!("no {timer} is set\n{}", self.show())).1;
        self.now = self.now.max(at);
        let position = self.pipeline.places().iter().position(|p| *p == place).unwrap();
        let graphs = self.pipeline.graphs();
        let timer = graphs[position].1.input(timer).unwrap();
        let kind = EventKind::Timer { place: position, key: Key(key), timer: u8::try_from(timer).unwrap() };
        self.step(Actor::system(), kind).unwrap();
        assert_ne!(self.last.disposition, Disposition::Void, "the timer was due");
    }

    /// Whether Anna would be refused.
    pub(crate) fn would_take(&self, call: &Call) -> bool {
        let kind = EventKind::Command { call: call.clone(), command: None };
        let event = Event { kind, by: agent("anna"), occurred: None };
        self.pipeline.step(&self.order, event, self.now).unwrap().is_ok()
    }

    /// The earliest instant that anything waits for comes, and its timer fires. Whether there was any.
    pub(crate) fn next_timer(&mut self) -> bool {
        let Some(at) = self.order.wake_at() else { return false };
        self.now = self.now.max(at);
        let Some(kind) = self.pipeline.due(&self.order, self.now).into_iter().next() else {
            return false;
        };
        self.step(Actor::system(), kind).unwrap();
        true
    }

    /// A person has looked: every hold is released.
    pub(crate) fn release_holds(&mut self) {
        for hold in self.order.holds.clone() {
            self.step(agent("olga"), EventKind::Release { hold: hold.id }).unwrap();
        }
    }

    fn step(&mut self, by: Actor, kind: EventKind) -> Result<(), Refused> {
        self.pass(SECOND);
        let event = Event { kind, by, occurred: None };
        let decision = self.pipeline.step(&self.order, event, self.now).unwrap()?;
        self.take(decision);
        Ok(())
    }

    /// Takes a decision over, and checks what must hold after every one.
    fn take(&mut self, decision: Decision) {
        self.last = came(&decision);
        self.walked.extend(decision.fires.iter().cloned());
        if let Some(entry) = &decision.entry {
            for posting in &entry.postings {
                self.books.post(posting).unwrap();
            }
            assert_eq!(
                decision.progress.version,
                self.order.version.max(1).saturating_add(u64::from(entry.kind != "place"),)
            );
        } else {
            assert_eq!(fingerprint(&decision.progress), fingerprint(&self.order));
        }
        // Nothing begins for an order that is on its way out, but for money that goes back or that the customer owes,
        // what ends a double, and what people correct in its books.
        if ["Cancelling", "Cancelled", "Rejected", "Expired"].contains(&self.life()) {
            let begins = |f: &&Fire| {
                let people = ["refund", "books.correction"].contains(&f.place);
                f.from == "New" && !people && !["Remove", "Start", "Adopt"].contains(&f.input)
            };
            let begun: Vec<_> = decision.fires.iter().filter(begins).collect();
            assert!(begun.is_empty(), "begun for an order that leaves: {begun:?}");
        }
        self.order = decision.progress;
        assert_eq!(self.books, self.order.books, "the books are the sum of the postings");
        let sum: i64 = self.order.books.balances().values().sum();
        assert_eq!(sum, 0, "the books balance");
        let parks = ["proofs", "signal", "unbookable"];
        let parked: Vec<_> = self.order.holds.iter().filter(|h| parks.contains(&h.code.as_str())).collect();
        assert!(parked.is_empty(), "a fault of the machines: {parked:?}\n{}", self.last.told);
        assert!(
            self.order.wanted.iter().enumerate().all(|(n, w)| {
                let (key, rest) = (self.pipeline.op_key(&self.order, w), &self.order.wanted);
                rest.iter().skip(n.saturating_add(1)).all(|v| self.pipeline.op_key(&self.order, v) != key)
            }),
            "two effects under way share a key"
        );
    }

    /// The state of an instance: `Captured`.
    pub(crate) fn state(&self, place: &str, key: u32) -> &'static str {
        let all = self.pipeline.instances(&self.order);
        all.iter().find(|(p, k, _)| *p == place && *k == Key(key)).map_or("none", |i| i.2)
    }

    /// The order's lifecycle: `Placed`.
    pub(crate) fn life(&self) -> &'static str {
        self.state("order.life", 1)
    }

    /// Every account that is not empty: `psp:card 5000, cust -5000`.
    pub(crate) fn balances(&self) -> String {
        let all = self.order.books.balances();
        all.iter().map(|(a, n)| format!("{a} {n}")).collect::<Vec<_>>().join(", ")
    }

    /// The codes of the holds that stand.
    pub(crate) fn holds(&self) -> Vec<&str> {
        self.order.holds.iter().map(|h| h.code.as_str()).collect()
    }

    /// The names of the effects under way, with their instances.
    pub(crate) fn wants(&self) -> Vec<String> {
        let name = |w: &Outstanding| w.name.rsplit('/').next().unwrap_or("?").to_owned();
        self.order.wanted.iter().map(|w| format!("{} {}", name(w), w.key)).collect()
    }

    pub(crate) fn phase(&self) -> Phase {
        self.order.phase()
    }

    /// Everything about the order, for comparing.
    pub(crate) fn fingerprint(&self) -> String {
        fingerprint(&self.order)
    }

    /// Where the order stands, for a failing test's message.
    pub(crate) fn show(&self) -> String {
        format!(
            "{:?}\nwanted {:?}\nholds {:?}\nbooks {}\nlast\n{}",
            self.pipeline.instances(&self.order),
            self.wants(),
            self.holds(),
            self.balances(),
            self.last.told,
        )
    }
}

fn fingerprint(p: &Progress) -> String {
    format!("{p:?}")
}

fn came(d: &Decision) -> Came {
    let mut told = String::new();
    for f in &d.fires {
        let _ = writeln!(told, "{} {}: {} + {} -> {}", f.place, f.key, f.from, f.input, f.to);
    }
    if let Some(entry) = &d.entry {
        for p in &entry.postings {
            let _ = writeln!(told, "posts {}", posting(p));
        }
        for w in entry.wanted.iter().filter(|w| !w.withdrawn) {
            let _ =
                writeln!(told, "wants {} {} {}", w.name.rsplit('/').next().unwrap_or("?"), w.key, effect(w));
        }
        for h in &entry.holds {
            let _ = writeln!(told, "holds {}", h.code);
        }
    }
    Came { disposition: d.disposition, fires: d.fires.clone(), told }
}

/// Code, channel, source where the code leaves a choice, and minor units.
fn posting(p: &Posting) -> String {
    let mut text = p.code.name().to_owned();
    if let Some(channel) = &p.channel {
        let _ = write!(text, " {channel}");
    }
    if matches!(p.code, Code::P9 | Code::P11 | Code::P15 | Code::P20) {
        let _ = write!(text, " {:?}", p.source);
    }
    let _ = write!(text, " {}", p.amount_minor);
    text.to_ascii_lowercase().replacen('p', "P", 1)
}

/// The fields of an effect as it will be stored and sent, by name; an amount as `50.00 EUR`.
fn effect(w: &Outstanding) -> String {
    let stored: serde_json::Value = serde_json::from_str(&format!("[{}]", w.saved)).unwrap();
    let fields = stored[2].as_object().unwrap();
    let mut text = format!("#{}", w.nth);
    // What each is looked up by is a hash of what it is.
    let is_key = |v: &serde_json::Value| {
        v.as_str().is_some_and(|v| v.len() == 32 && v.bytes().all(|b| b.is_ascii_hexdigit()))
    };
    for (name, value) in fields.iter().filter(|(_, value)| !is_key(value)) {
        let value = if let Ok(money) = serde_json::from_value::<Money>(value.clone()) {
            money.to_string()
        } else if let Some(units) = value.as_array() {
            let unit = |u: &serde_json::Value| format!("{}x{}", u["quantity"], u["sku"].as_str().unwrap());
            units.iter().map(unit).collect::<Vec<_>>().join("+")
        } else {
            value.as_str().map_or_else(|| value.to_string(), ToOwned::to_owned)
        };
        let _ = write!(text, " {name}={value}");
    }
    text
}
