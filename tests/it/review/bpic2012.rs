//! The BPI Challenge 2012 log of loan applications, replayed through the review stage: the same outcomes, the same work
//! items per person, and the approvals that four eyes refuse.
//!
//! The log is that of van Dongen (2012), doi 10.4121/uuid:3926db30-f712-4394-aebc-75976070e91f; it is read where
//! `CONSIGN_SHARED` (or `../shared`) has it, and the tests say so and pass where it is not. The first 400 cases are
//! replayed, and with `CONSIGN_FULL=1` all 10,202.
//!
//! | in the log | here |
//! |---|---|
//! | an application, `A_SUBMITTED` | an order owed until it is served: its case opens, and is scored; nothing is sent out |
//! | `A_DECLINED` by the machine (112), before anybody worked on it | the scorer says that a rule forbids it |
//! | anything else after `A_PARTLYSUBMITTED` | the scorer finds nothing; the case waits in tier 1, for a person |
//! | `W_.. START` by a person | the person claims the case |
//! | `W_.. COMPLETE` by a person | the person tells of the work (`Contribute`), and who holds the case hands it back |
//! | `O_CREATED` | the person tells of an `offer` |
//! | `A_APPROVED`, `A_DECLINED` by a person | the person claims the case, where they do not hold it, and decides |
//! | `A_CANCELLED` | the order is cancelled, and the case withdrawn |
//!
//! A resource of the log is an agent, the machine a part of the host, and a row without a resource nobody in
//! particular: such a start claims nothing. A work item is done when it completes, by whom the log says completed it.
//! The clock is the log's, and every timer that is due before an event fires.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use consign::clock::Timestamp;
use consign::id::{Actor, OrderId};
use consign::machine::Call;
use consign::order::{Draft, Line, Order};
use consign::pipeline::lifecycle::{Cancel, lifecycle};
use consign::pipeline::{EffectAnswer, Event, EventKind, Physical, Pipeline, Progress, Refused, physical};
use consign::stage::payment::FundsPolicy;
use consign::stage::review::{
    Approve, Banned, Claim, Consequence, Contribute, HandBack, Reject, Scored, TierPolicy, TierRule, case,
};

/// A row of the log.
struct Row {
    activity: String,
    lifecycle: String,
    resource: String,
    at: Timestamp,
    amount_minor: i64,
}

/// How a case ends, by the log's own words.
const ENDS: [&str; 3] = ["A_APPROVED", "A_DECLINED", "A_CANCELLED"];
const MACHINE: &str = "112";

/// The cases in the order of the log, or none where it is not there.
fn log() -> Option<Vec<(String, Vec<Row>)>> {
    let shared = std::env::var_os("CONSIGN_SHARED")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../shared"), PathBuf::from);
    let path = shared.join("data/bpic2012/events.csv.gz");
    let Ok(file) = std::fs::File::open(&path) else {
        println!("skipped: no {}", path.display());
        return None;
    };
    let full = std::env::var("CONSIGN_FULL").is_ok_and(|v| v == "1");
    let most = if full { usize::MAX } else { 400 };
    let mut cases: Vec<(String, Vec<Row>)> = Vec::new();
    for row in csv::Reader::from_reader(flate2::read::MultiGzDecoder::new(file)).records() {
        let row = row.unwrap();
        if cases.last().is_none_or(|(id, _)| *id != row[0]) {
            if cases.len() == most {
                break;
            }
            cases.push((row[0].to_owned(), Vec::new()));
        }
        cases.last_mut().unwrap().1.push(Row {
            activity: row[2].to_owned(),
            lifecycle: row[3].to_owned(),
            resource: row[4].to_owned(),
            at: row[5].parse().unwrap(),
            amount_minor: row[1].parse::<i64>().unwrap_or(0) * 100,
        });
    }
    Some(cases)
}

const DAY: u64 = 24 * 3_600_000;

/// Somebody always decides; a case may take a month, and a work item as long as it did.
fn policy(barring: &[&str]) -> Physical {
    let mut policy = Physical::default();
    policy.payment.funds = FundsPolicy::OnDelivery;
    let everyone = TierRule::new("every application", Consequence::Tier(1));
    policy.review.tiers = TierPolicy { rules: vec![everyone], ..TierPolicy::by_amount(&[]) };
    policy.review.score_ms = 1000 * DAY;
    policy.review.lease_ms = 1000 * DAY;
    policy.review.sla_ms = 30 * DAY;
    policy.review.barring_work = barring.iter().map(|w| (*w).to_owned()).collect();
    policy.life.payment_ms = 1000 * DAY;
    policy.dispatch.answer_ms = 1000 * DAY;
    policy
}

/// What came of the replay.
#[derive(Debug, Default, PartialEq, Eq)]
struct Figures {
    approved: usize,
    declined: usize,
    cancelled: usize,
    open: usize,
    /// Work items by who completed them, as the journals tell.
    work: BTreeMap<String, usize>,
    /// Who approved and who declined, by case.
    decided_by: BTreeMap<String, String>,
    /// Approvals that four eyes refused.
    refused: usize,
}

struct Replay<'a> {
    pipeline: &'a Pipeline,
    order: Progress,
    now: Timestamp,
    figures: &'a mut Figures,
}

impl Replay<'_> {
    fn step(&mut self, by: Actor, kind: EventKind) -> Result<(), Refused> {
        let event = Event { kind, by, occurred: None };
        let decision = self.pipeline.step(&self.order, event, self.now).unwrap()?;
        if let Some(entry) = &decision.entry
            && let Some(case::Input::Contribute(c)) = entry.input.as_ref().and_then(|i| i.downcast_ref())
            && c.work.starts_with("W_")
        {
            *self.figures.work.entry(entry.by.id().to_owned()).or_default() += 1;
        }
        self.order = decision.progress;
        Ok(())
    }

    fn asks(&mut self, by: &Actor, call: Call) -> Result<(), Refused> {
        self.step(by.clone(), EventKind::Command { call, command: None })
    }

    fn does(&mut self, by: &Actor, call: Call) {
        if let Err(why) = self.asks(by, call) {
            panic!("{}: {why}", self.order.id);
        }
    }

    fn state(&self) -> &case::State {
        self.pipeline.state::<case::M>(&self.order, 1).unwrap()
    }

    /// Time passes, and whatever is due until then fires.
    fn until(&mut self, at: Timestamp) {
        while let Some(due) = self.order.wake_at().filter(|due| *due <= at) {
            self.now = due.max(self.now);
            for timer in self.pipeline.due(&self.order, self.now) {
                self.step(Actor::system(), timer).unwrap();
            }
        }
        self.now = at;
    }

    /// The scorer answers, where it has not yet.
    fn scored(&mut self, answer: EffectAnswer) {
        if let Some(w) = self.order.wanted.iter().find(|w| w.name.ends_with("/Score")) {
            self.step(Actor::system(), EventKind::Answer { effect: w.id, answer }).unwrap();
        }
    }

    fn holder(&self) -> Option<(Actor, u32)> {
        match self.state() {
            case::State::Claimed(c) => Some((c.lease.actor.clone(), c.lease.token)),
            _ => None,
        }
    }

    /// Whoever holds the case gives it back.
    fn released(&mut self) {
        if let Some((holder, token)) = self.holder() {
            self.does(&holder, case::M::command(1, HandBack { token }));
        }
    }

    /// The case in the hands of this person: the token.
    fn held_by(&mut self, by: &Actor) -> u32 {
        match self.holder() {
            Some((holder, token)) if holder == *by => return token,
            _ => self.released(),
        }
        self.does(by, case::M::command(1, Claim::default()));
        self.holder().unwrap().1
    }

    fn tells(&mut self, by: &Actor, work: &str) {
        self.does(by, case::M::command(1, Contribute { work: work.to_owned() }));
    }

    fn event(&mut self, row: &Row, worked: bool) {
        self.until(row.at);
        let by = person(&row.resource);
        let work = row.activity.starts_with("W_");
        if row.activity == "A_DECLINED" && row.resource == MACHINE && !worked {
            self.scored(EffectAnswer::Done(Banned { rule: MACHINE.to_owned() }.into()));
            return;
        }
        if row.activity != "A_SUBMITTED" && row.activity != "A_PARTLYSUBMITTED" {
            self.scored(EffectAnswer::Done(Scored::of(0).into()));
        }
        match (row.activity.as_str(), row.lifecycle.as_str()) {
            (_, "START") if work => {
                let free = matches!(self.state(), case::State::Queued(_) | case::State::Escalated(_));
                if free && !row.resource.is_empty() {
                    self.does(&by, case::M::command(1, Claim::default()));
                }
            }
            (_, "COMPLETE") if work => {
                self.tells(&by, &row.activity);
                self.released();
            }
            ("O_CREATED", _) => self.tells(&by, "offer"),
            ("A_APPROVED", _) => {
                let token = self.held_by(&by);
                match self.asks(&by, case::M::command(1, Approve { token })) {
                    Ok(()) => {}
                    Err(Refused::Refused { code: "four_eyes", .. }) => {
                        self.figures.refused += 1;
                        // Somebody else has to, who made no offer.
                        let other = Actor::agent("another").unwrap();
                        let token = self.held_by(&other);
                        self.does(&other, case::M::command(1, Approve { token }));
                    }
                    Err(why) => panic!("{}: {why}", self.order.id),
                }
            }
            ("A_DECLINED", _) => {
                let token = self.held_by(&by);
                self.does(&by, case::M::command(1, Reject { token, reason: "declined".to_owned() }));
            }
            ("A_CANCELLED", _) => {
                let cancel = Cancel { reason: "cancelled".to_owned() };
                self.does(&by, lifecycle::M::command(1, cancel));
            }
            _ => {}
        }
    }
}

fn person(resource: &str) -> Actor {
    match resource {
        // The machine of the log approves, too: it works under an account of the shop.
        "" => Actor::host(""),
        person => Actor::agent(person),
    }
    .unwrap()
}

fn replay(cases: &[(String, Vec<Row>)], barring: &[&str]) -> Figures {
    let pipeline = physical(policy(barring)).unwrap();
    let mut figures = Figures::default();
    for (id, rows) in cases {
        let mut draft = Draft::new(id, "EUR", Actor::customer("applicant").unwrap());
        draft.lines.push(Line::goods("loan", 1, rows[0].amount_minor));
        draft.total_minor = rows[0].amount_minor;
        let (order, key): (Order, OrderId) = (Order::parse(draft).unwrap(), id.parse().unwrap());
        let placed = pipeline.place(key.into(), order, rows[0].at).unwrap();
        let mut r =
            Replay { pipeline: &pipeline, order: placed.progress, now: rows[0].at, figures: &mut figures };
        let mut worked = false;
        for row in rows {
            r.event(row, worked);
            worked |= row.activity.starts_with("W_");
        }
        let state = r.state().clone();
        let life = pipeline.instances(&r.order)[0].2;
        let by = match &state {
            case::State::Approved(s) => s.file.approved_by.last(),
            case::State::Rejected(s) => s.file.rejected_by.last(),
            _ => None,
        };
        if let Some(by) = by {
            figures.decided_by.insert(id.clone(), by.id().to_owned());
        }
        let (count, ends) = match &state {
            case::State::Approved(_) => (&mut figures.approved, "Placed"),
            case::State::Rejected(_) | case::State::AutoRejected(_) => (&mut figures.declined, "Rejected"),
            case::State::Withdrawn(_) => (&mut figures.cancelled, "Cancelled"),
            case::State::AutoApproved(_) => panic!("{id}: nobody decided it"),
            _ => (&mut figures.open, "Placed"),
        };
        *count += 1;
        assert_eq!(life, ends, "{id}: {state:?}");
    }
    figures
}

/// The same figures, counted in the log alone.
fn counted(cases: &[(String, Vec<Row>)]) -> (Figures, usize) {
    let mut f = Figures::default();
    let mut offered_and_approved = 0;
    for (id, rows) in cases {
        let end = rows.iter().find(|r| ENDS.contains(&r.activity.as_str()));
        match end.map(|r| r.activity.as_str()) {
            Some("A_APPROVED") => f.approved += 1,
            Some("A_DECLINED") => f.declined += 1,
            Some("A_CANCELLED") => f.cancelled += 1,
            _ => f.open += 1,
        }
        for row in rows.iter().filter(|r| r.activity.starts_with("W_") && r.lifecycle == "COMPLETE") {
            *f.work.entry(row.resource.clone()).or_default() += 1;
        }
        if let Some(end) = end.filter(|r| r.activity != "A_CANCELLED") {
            if end.activity == "A_APPROVED" || end.resource != MACHINE {
                f.decided_by.insert(id.clone(), end.resource.clone());
            }
            let offers: BTreeSet<&str> =
                rows.iter().filter(|r| r.activity == "O_CREATED").map(|r| r.resource.as_str()).collect();
            let own = end.activity == "A_APPROVED" && offers.contains(end.resource.as_str());
            offered_and_approved += usize::from(own);
        }
    }
    (f, offered_and_approved)
}

#[test]
fn the_log_of_loan_applications_comes_to_the_same_outcomes_by_the_same_people() {
    let Some(cases) = log() else { return };
    let (expected, own) = counted(&cases);
    println!(
        "{} cases: {} approved, {} declined, {} cancelled, {} open, {} people",
        cases.len(),
        expected.approved,
        expected.declined,
        expected.cancelled,
        expected.open,
        expected.work.len()
    );
    if cases.len() == 10_202 {
        let outcomes = (expected.approved, expected.declined, expected.cancelled, expected.open);
        assert_eq!(outcomes, (1_823, 6_000, 2_359, 20), "the log is the one that was described");
        assert_eq!(own, 182);
    }
    assert_eq!(replay(&cases, &[]), expected, "nobody is barred");
}

#[test]
fn who_made_an_offer_does_not_approve_it_when_the_policy_says_so() {
    let Some(cases) = log() else { return };
    let (mut expected, own) = counted(&cases);
    let mut is = replay(&cases, &["offer"]);
    assert_eq!(is.refused, own, "each approval by who made an offer, and no other, is refused");
    assert!(own > 0, "some are");
    // Somebody else approved those; all else is as it was.
    let another = is.decided_by.values().filter(|by| *by == "another").count();
    assert_eq!(another, own);
    is.decided_by.retain(|_, by| by != "another");
    expected.decided_by.retain(|id, _| is.decided_by.contains_key(id));
    is.refused = 0;
    assert_eq!(is, expected);
}
