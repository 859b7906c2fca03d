//! A platform that runs services, with books of its own.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::Path;
use std::time::Duration;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use super::faults::FaultPlan;
use super::ledger_file::LedgerFile;
use super::sandbox::{Answer, euro};
use super::wire::{Operation, Wire};
use crate::clock::Timestamp;
use crate::engine::Delivery;
use crate::gateway::{AdPlatform, Repeats, Ticket};
use crate::id::Key;
use crate::machine::{Call, Reply};
use crate::money::Money;
use crate::stage::activation::{
    Activate, ActivationRefused, Available, End, EndRefused, EndTwin, Ended, InquireService, InquiryRefused,
    NotThere, Rejected, Reviewing, Spent, Submit, SubmitRefused, Switch, SwitchRefused, Switched, TwinEnded,
    TwinRefused, service,
};

/// A line of the platform's books.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Line {
    op: Op,
    order: String,
    service: Key,
    attempt: u32,
    /// The platform's number; the key of the call where it never made anything.
    external_ref: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    amount: Option<Money>,
    /// Which submission, or which switch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    n: Option<u32>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Op {
    Create,
    Pass,
    Reject,
    Submit,
    Pause,
    Run,
    Spend,
    End,
    /// Ended before anything was made: the key makes nothing any more.
    Bar,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stands {
    Reviewing,
    Rejected,
    Running,
    Paused,
    Ended,
}

/// Which activation of which service of which order: what both sides call a service by.
type At = (String, Key, u32);

#[derive(Debug, Clone)]
struct Made {
    external_ref: String,
    budget: Money,
    spent: Money,
    stands: Stands,
    revision: u32,
    switches: u32,
}

#[derive(Debug, Default)]
struct PlatformBooks {
    file: LedgerFile,
    /// What was made, by order, service and activation, in the order of making.
    made: BTreeMap<At, Vec<Made>>,
    barred: BTreeSet<At>,
    reviews: bool,
    twice: BTreeMap<String, i64>,
}

/// What the platform did, by its own books.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct PlatformTotals {
    /// Services made.
    pub made: u64,
    /// Services that may still spend.
    pub running: u64,
    /// Minor units that services spent.
    pub spent_minor: i64,
    /// Services made beyond one per line, by no fault of who asked once.
    pub duplicate_effects: u64,
}

/// A platform with books of its own. What it says of its own accord is returned by the methods that let it happen, for
/// the test to deliver.
#[derive(Debug)]
pub struct SandboxPlatform {
    wire: Wire<PlatformBooks>,
}

impl SandboxPlatform {
    /// A platform whose review passes everything at once; its books are in a file where a path is given, and in memory
    /// otherwise.
    ///
    /// # Errors
    ///
    /// When the file cannot be read or holds something else.
    pub fn open(path: Option<&Path>) -> io::Result<Self> {
        let (file, lines) = LedgerFile::open::<Line>(path)?;
        let mut books = PlatformBooks { file, ..PlatformBooks::default() };
        for line in lines {
            books.enter(&line);
        }
        Ok(Self { wire: Wire::open("platform", books, path)? })
    }

    /// A platform that looks at services before it runs them, until [`pass`](Self::pass) or [`reject`](Self::reject).
    #[must_use]
    pub fn reviewing(self) -> Self {
        self.wire.books().reviews = true;
        self
    }

    /// Lets a platform that is in use fail as planned from now on: `activate`, `inquire`, `submit`, `switch`, `end`,
    /// `end_twin`. A platform is never slow, pending or lying; what is an error or a forgotten key elsewhere is an
    /// answer that is lost here.
    pub fn plan(&self, plan: FaultPlan) {
        self.wire.plan(plan);
    }

    /// How often each fault happened, by its name.
    #[must_use]
    pub fn faults(&self) -> BTreeMap<&'static str, u64> {
        self.wire.faults()
    }

    /// Carries out what was late until now, and hands out the messages that say something twice, each once.
    #[must_use]
    pub fn messages(&self, now: Timestamp) -> Vec<Delivery> {
        self.wire.messages(now)
    }

    /// When the next of what is late is carried out.
    #[must_use]
    pub fn next(&self) -> Option<Timestamp> {
        self.wire.next()
    }

    /// Lets the platform make each service of an order twice, the second of which spends this many minor units.
    pub fn make_twice(&self, order: &str, spent_minor: i64) {
        self.wire.books().twice.insert(order.to_owned(), spent_minor);
    }

    /// The platform's review passes a service: what it says of it.
    pub fn pass(&self, order: &str, service: u32) -> Available {
        let made = self.happens(order, service, Op::Pass, None);
        Available { external_ref: made.external_ref, part: false, reasons: Vec::new() }
    }

    /// The platform's review rejects a service: what it says of it.
    pub fn reject(&self, order: &str, service: u32, reason: &str) -> Rejected {
        let made = self.happens(order, service, Op::Reject, None);
        let reasons = vec![reason.to_owned()];
        Rejected { external_ref: made.external_ref, revision: made.revision, reasons }
    }

    /// A service has spent so many minor units since it began: what the platform reports.
    pub fn spend(&self, order: &str, service: u32, minor: i64) -> Spent {
        let made = self.happens(order, service, Op::Spend, Some(minor));
        Spent { external_ref: made.external_ref, spent: made.spent }
    }

    /// A service is over: what the platform says of it.
    pub fn finish(&self, order: &str, service: u32) -> Ended {
        let made = self.happens(order, service, Op::End, None);
        Ended { external_ref: Some(made.external_ref), spent: made.spent }
    }

    /// The second service that was made under the key of one, where there is one: what the platform says of it.
    #[must_use]
    pub fn second(&self, order: &str, service: u32) -> Option<Available> {
        let b = self.wire.books();
        let made = b
            .made
            .iter()
            .find(|((o, key, _), all)| named(o, order) && key.0 == service && !all.is_empty())?
            .1
            .get(1)?;
        Some(Available { external_ref: made.external_ref.clone(), part: false, reasons: Vec::new() })
    }

    /// What it did.
    #[must_use]
    pub fn totals(&self) -> PlatformTotals {
        let b = self.wire.books();
        let all = || b.made.values().flatten();
        let count = |n: usize| u64::try_from(n).unwrap_or(u64::MAX);
        PlatformTotals {
            made: count(all().count()),
            running: count(all().filter(|m| m.stands == Stands::Running).count()),
            spent_minor: all().fold(0, |n: i64, m| n.saturating_add(m.spent.minor())),
            duplicate_effects: b.made.values().map(|m| count(m.len().saturating_sub(1))).sum(),
        }
    }

    /// Something happens at the platform, to the first service that was made.
    ///
    /// # Panics
    ///
    /// When there is none, or the books cannot be written.
    fn happens(&self, order: &str, service: u32, op: Op, minor: Option<i64>) -> Made {
        let mut b = self.wire.books();
        let found =
            b.made.iter().find(|((o, key, _), all)| named(o, order) && key.0 == service && !all.is_empty());
        let (at, made) = found
            .and_then(|(at, made)| made.first().map(|m| (at.clone(), m.clone())))
            .unwrap_or_else(|| panic!("the platform has no service {service} of {order}"));
        let amount = minor.map(|minor| Money::new(minor, made.budget.currency()));
        let line = Line {
            op,
            order: at.0.clone(),
            service: at.1,
            attempt: at.2,
            external_ref: made.external_ref,
            amount,
            n: None,
        };
        b.write(&line).expect("the sandbox can write its books");
        b.first(&at).expect("it was there")
    }
}

/// Whether an order's full name is that of this id.
fn named(full: &str, id: &str) -> bool {
    full == id || full.rsplit('/').next() == Some(id)
}

fn at(ticket: &Ticket, attempt: u32) -> At {
    (ticket.order.to_string(), ticket.instance, attempt)
}

fn line(op: Op, at: &At, external_ref: &str) -> Line {
    let (order, service, attempt) = at.clone();
    Line { op, order, service, attempt, external_ref: external_ref.to_owned(), amount: None, n: None }
}

impl PlatformBooks {
    /// Writes a line before anything is answered.
    fn write(&mut self, line: &Line) -> io::Result<()> {
        self.file.append(line)?;
        self.enter(line);
        Ok(())
    }

    fn enter(&mut self, line: &Line) {
        let at = (line.order.clone(), line.service, line.attempt);
        let all = self.made.entry(at.clone()).or_default();
        if line.op == Op::Create {
            let budget = line.amount.unwrap_or_else(|| Money::zero(euro()));
            all.push(Made {
                external_ref: line.external_ref.clone(),
                budget,
                spent: Money::zero(budget.currency()),
                stands: Stands::Reviewing,
                revision: 0,
                switches: 0,
            });
            return;
        }
        if line.op == Op::Bar {
            self.barred.insert(at);
            return;
        }
        let Some(made) = all.iter_mut().find(|m| m.external_ref == line.external_ref) else { return };
        match line.op {
            Op::Create | Op::Bar => {}
            Op::Pass => made.stands = Stands::Running,
            Op::Run | Op::Pause => {
                made.stands = if line.op == Op::Run { Stands::Running } else { Stands::Paused };
                made.switches = line.n.unwrap_or(made.switches);
            }
            Op::Reject => made.stands = Stands::Rejected,
            Op::Submit => {
                made.stands = Stands::Reviewing;
                made.revision = line.n.unwrap_or(made.revision);
            }
            Op::Spend => made.spent = line.amount.unwrap_or(made.spent),
            Op::End => made.stands = Stands::Ended,
        }
    }

    fn first(&self, at: &At) -> Option<Made> {
        self.made.get(at).and_then(|all| all.first()).cloned()
    }

    fn create(&mut self, activate: &Activate, ticket: &Ticket, at: &At) -> io::Result<()> {
        let nth = self.made.get(at).map_or(0, Vec::len).saturating_add(1);
        let external_ref = format!("ad-{}-{}-{nth}", ticket.order.order, ticket.instance);
        let create = Line { amount: Some(activate.budget), ..line(Op::Create, at, &external_ref) };
        self.write(&create)?;
        if !self.reviews {
            self.write(&line(Op::Pass, at, &external_ref))?;
        }
        Ok(())
    }

    fn end(&mut self, at: &At, made: &Made) -> io::Result<()> {
        if made.stands == Stands::Ended { Ok(()) } else { self.write(&line(Op::End, at, &made.external_ref)) }
    }
}

impl Made {
    fn available(&self) -> Available {
        Available { external_ref: self.external_ref.clone(), part: false, reasons: Vec::new() }
    }

    fn reviewing(&self) -> Reviewing {
        Reviewing { external_ref: self.external_ref.clone(), revision: self.revision }
    }
}

#[async_trait]
impl AdPlatform for SandboxPlatform {
    fn repeats(&self) -> Repeats {
        Repeats::Idempotent { key_ttl: Duration::from_secs(90 * 24 * 3600) }
    }

    async fn activate(&self, activate: Activate, ticket: &Ticket) -> Answer<Activate> {
        let at = at(ticket, activate.attempt);
        let so = self.wire.books().first(&at).is_some();
        let asked = ticket.clone();
        let act = move |b: &mut PlatformBooks| {
            if b.barred.contains(&at) {
                return Ok(None);
            }
            if b.first(&at).is_none() {
                b.create(&activate, &asked, &at)?;
                if let Some(spent) = b.twice.get(asked.order.order.as_str()).copied() {
                    b.create(&activate, &asked, &at)?;
                    let second = b.made.get(&at).and_then(|all| all.get(1)).map(|m| m.external_ref.clone());
                    let amount = Some(Money::new(spent, activate.budget.currency()));
                    let spend = line(Op::Spend, &at, &second.unwrap_or_default());
                    b.write(&Line { amount, ..spend })?;
                }
            }
            Ok(b.first(&at))
        };
        let made =
            self.wire.call(&Operation { ticket, name: "activate", so }, act, |m| stands(m.as_ref(), ticket));
        let no = |why: &str| ActivationRefused { why: why.to_owned() };
        match made {
            Ok(Some(m)) if m.stands == Stands::Reviewing => Reply::Done(m.reviewing().into()),
            Ok(Some(m)) => Reply::Done(m.available().into()),
            Ok(None) => Reply::Declined(no("ended before it was made")),
            Err(other) => other.reply(no("not taken")),
        }
    }

    async fn inquire(&self, inquire: InquireService, ticket: &Ticket) -> Answer<InquireService> {
        let at = at(ticket, inquire.attempt);
        let ask = Operation { ticket, name: "inquire", so: true };
        let found = self.wire.call(&ask, move |b| Ok(b.first(&at)), |m| stands(m.as_ref(), ticket));
        match found {
            Ok(None) => Reply::Done(NotThere.into()),
            Ok(Some(m)) => {
                let (external_ref, spent) = (m.external_ref.clone(), m.spent);
                Reply::Done(match m.stands {
                    Stands::Ended => Ended { external_ref: Some(external_ref), spent }.into(),
                    Stands::Running | Stands::Paused if spent.minor() > 0 => {
                        Spent { external_ref, spent }.into()
                    }
                    Stands::Running | Stands::Paused => m.available().into(),
                    Stands::Reviewing => m.reviewing().into(),
                    Stands::Rejected => {
                        Rejected { external_ref, revision: m.revision, reasons: Vec::new() }.into()
                    }
                })
            }
            Err(other) => other.reply(InquiryRefused { why: "not told".to_owned() }),
        }
    }

    async fn submit(&self, submit: Submit, ticket: &Ticket) -> Answer<Submit> {
        let at = at(ticket, submit.attempt);
        let so = self.wire.books().first(&at).is_some_and(|m| m.revision >= submit.revision);
        let act = move |b: &mut PlatformBooks| {
            let Some(made) = b.first(&at).filter(|m| m.stands != Stands::Ended) else { return Ok(None) };
            if made.revision < submit.revision {
                let again = line(Op::Submit, &at, &made.external_ref);
                b.write(&Line { n: Some(submit.revision), ..again })?;
                if !b.reviews {
                    b.write(&line(Op::Pass, &at, &made.external_ref))?;
                }
            }
            Ok(b.first(&at))
        };
        let made =
            self.wire.call(&Operation { ticket, name: "submit", so }, act, |m| stands(m.as_ref(), ticket));
        let no = |why: &str| SubmitRefused { why: why.to_owned() };
        match made {
            Ok(Some(m)) if m.stands == Stands::Reviewing => Reply::Done(m.reviewing().into()),
            Ok(Some(m)) => Reply::Done(m.available().into()),
            Ok(None) => Reply::Declined(no("there is nothing to look at")),
            Err(other) => other.reply(no("not taken")),
        }
    }

    async fn switch(&self, switch: Switch, ticket: &Ticket) -> Answer<Switch> {
        let (at, n) = (at(ticket, switch.attempt), switch.n);
        let act = move |b: &mut PlatformBooks| {
            let on = |m: &Made| matches!(m.stands, Stands::Running | Stands::Paused);
            let Some(made) = b.first(&at).filter(on) else { return Ok(false) };
            // A switch that a newer one overtook changes nothing.
            if made.switches < n {
                let op = if switch.run { Op::Run } else { Op::Pause };
                b.write(&Line { n: Some(n), ..line(op, &at, &made.external_ref) })?;
            }
            Ok(true)
        };
        let said = |done: &bool| done.then(|| service::M::evidence(ticket.instance, Switched { n }));
        let no = |why: &str| SwitchRefused { n, why: why.to_owned() };
        match self.wire.call(&Operation { ticket, name: "switch", so: false }, act, said) {
            Ok(true) => Reply::Done(Switched { n }.into()),
            Ok(false) => Reply::Declined(no("it does not run")),
            Err(other) => other.reply(no("not taken")),
        }
    }

    async fn end(&self, end: End, ticket: &Ticket) -> Answer<End> {
        let at = at(ticket, end.attempt);
        let so = self.wire.books().first(&at).is_some_and(|m| m.stands == Stands::Ended);
        let key = ticket.key.to_string();
        let act = move |b: &mut PlatformBooks| {
            let Some(made) = b.first(&at) else {
                if !b.barred.contains(&at) {
                    b.write(&line(Op::Bar, &at, &key))?;
                }
                return Ok(None);
            };
            b.end(&at, &made)?;
            Ok(Some(made))
        };
        let over = |made: &Option<Made>| {
            let spent = made.as_ref().map_or_else(|| Money::zero(euro()), |m| m.spent);
            Ended { external_ref: made.as_ref().map(|m| m.external_ref.clone()), spent }
        };
        let said = |made: &Option<Made>| Some(service::M::evidence(ticket.instance, over(made)));
        match self.wire.call(&Operation { ticket, name: "end", so }, act, said) {
            Ok(made) => Reply::Done(over(&made).into()),
            Err(other) => other.reply(EndRefused { why: "not taken".to_owned() }),
        }
    }

    async fn end_twin(&self, end: EndTwin, ticket: &Ticket) -> Answer<EndTwin> {
        let order = ticket.order.to_string();
        let find = move |b: &PlatformBooks| {
            let of_order = b.made.iter().filter(|((o, ..), _)| *o == order);
            of_order
                .flat_map(|(at, all)| all.iter().map(move |m| (at.clone(), m.clone())))
                .find(|(_, m)| m.external_ref == end.external_ref)
        };
        let so = find(&self.wire.books()).is_some_and(|(_, m)| m.stands == Stands::Ended);
        let act = move |b: &mut PlatformBooks| {
            let Some((at, made)) = find(b) else { return Ok(None) };
            b.end(&at, &made)?;
            Ok(Some(made.spent))
        };
        let said = |spent: &Option<Money>| {
            Some(service::M::evidence(ticket.instance, TwinEnded { spent: (*spent)? }))
        };
        let no = |why: &str| TwinRefused { why: why.to_owned() };
        match self.wire.call(&Operation { ticket, name: "end_twin", so }, act, said) {
            Ok(Some(spent)) => Reply::Done(TwinEnded { spent }.into()),
            Ok(None) => Reply::Declined(no("there is no such service")),
            Err(other) => other.reply(no("not taken")),
        }
    }
}

/// What the platform says of a service of its own accord, as far as it stands well.
fn stands(made: Option<&Made>, ticket: &Ticket) -> Option<Call> {
    let made = made?;
    Some(match made.stands {
        Stands::Reviewing => service::M::evidence(ticket.instance, made.reviewing()),
        Stands::Running | Stands::Paused if made.spent.minor() == 0 => {
            service::M::evidence(ticket.instance, made.available())
        }
        Stands::Running | Stands::Paused | Stands::Rejected | Stands::Ended => return None,
    })
}
