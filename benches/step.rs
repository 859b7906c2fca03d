//! What one decision costs, without any store: nanoseconds per operation, the median of several rounds.
//!
//! ```text
//! cargo bench --bench step              a table
//! cargo bench --bench step -- --json    one line
//! ```
//!
//! The decision is the one that moves money: a charge was sent, and the gateway's answer says what was captured. The
//! *typed* step is the machine's table alone. The *erased* step is the pipeline's: the order's progress before and after
//! it, the books, every proof, the signal to review, and the record for the journal.
#![allow(clippy::unwrap_used, clippy::float_arithmetic)] // A benchmark that meets what it does not expect has failed.

use std::collections::BTreeMap;
use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use consign::clock::Timestamp;
use consign::id::{Actor, Key, OrderId, OrderKey};
use consign::journal::Desk;
use consign::ledger::Books;
use consign::machine::{Instance, Life, Machine, Operations, Out, Proofs, Standing, View, World};
use consign::money::Money;
use consign::order::{CarriageBack, Draft, DraftTender, Line, Obligation, Order};
use consign::pipeline::{Decision, EffectAnswer, Event, EventKind, Physical, Progress, physical};
use consign::stage::payment::{Paid, PaymentPolicy, Start, attempt};
use consign::stage::review::ReviewPolicy;
use consign::store::{Hash, Stored};

fn at(s: i64) -> Timestamp {
    Timestamp::from_millis(s * 1_000)
}

fn order() -> Order {
    let mut d = Draft::new("ord-10482", "EUR", Actor::customer("c-000482113").unwrap());
    d.lines.push(Line::goods("SKU-11-883-A", 2, 49_950));
    d.lines.push(Line::goods("SKU-07-114-C", 1, 30_000));
    d.total_minor = 129_900;
    d.tenders.push(DraftTender::new("card", 129_900));
    Order::parse(d).unwrap()
}

fn paid() -> Paid {
    Paid {
        channel: "card".parse().unwrap(),
        reference: "7f0d3c1e-9a44-4d1b-8b59-0c62e1f5a2d7".into(),
        amount: Money::new(129_900, "EUR".parse().unwrap()),
        more_allowed: false,
        movement: None,
    }
}

fn started() -> Start {
    Start { tender: Key(1), channel: None, method: "tok_visa".into() }
}

/// How long the rounds of a measurement are.
#[derive(Debug, Clone, Copy)]
struct Length {
    rounds: usize,
    round: Duration,
}

/// Nanoseconds per call, the median of several rounds.
fn median<T>(length: Length, mut call: impl FnMut() -> T) -> f64 {
    let mut rounds: Vec<f64> = (0..length.rounds)
        .map(|_| {
            let (begun, mut calls) = (Instant::now(), 0_u32);
            while begun.elapsed() < length.round {
                for _ in 0..64 {
                    black_box(call());
                }
                calls += 64;
            }
            begun.elapsed().as_secs_f64() * 1e9 / f64::from(calls)
        })
        .collect();
    rounds.sort_by(f64::total_cmp);
    rounds.get(rounds.len() / 2).copied().unwrap_or_default()
}

/// Nothing is outstanding.
#[derive(Debug)]
struct Idle;

impl Operations for Idle {
    fn unsent(&self, _: usize, _: Key, _: u8, _: u32) -> bool {
        false
    }
}

/// The machine's table alone: `Sending + Paid => Captured`, and what it posts.
fn typed(length: Length) -> f64 {
    let (order, by) = (order(), Actor::host("shop").unwrap());
    let (books, proofs, standing) = (Books::default(), Proofs::default(), Standing::default());
    let (id, obligation) = ("o-1".parse::<OrderId>().unwrap(), Obligation::default());
    let id = OrderKey::from(id);
    let world = World {
        id: &id,
        placement: attempt::GRAPH.name,
        answers: None,
        placed_at: at(1),
        now: at(2),
        occurred: at(2),
        asked: at(2),
        by: &by,
        order: &order,
        books: &books,
        proofs: &proofs,
        life: Life::Placed,
        due_minor: order.total().minor(),
        obligation: &obligation,
        carriage: CarriageBack::default(),
        standing: &standing,
        place: 0,
        operations: &Idle,
    };
    let policy = PaymentPolicy::default();
    let none: [Arc<Instance>; 0] = [];
    let view = View::<attempt::M>::new(&world, &policy, &none);
    let mut out = Out::default();
    let begun = attempt::M::step(None, &attempt::Input::Start(started()), Key(1), &view, &mut out).unwrap();
    let consign::machine::Hit::Moved { state, .. } = begun else { panic!("a start begins an attempt") };
    let answer = attempt::Input::Paid(paid());
    median(length, || {
        let mut out = Out::default();
        let hit = attempt::M::step(Some(&state), &answer, Key(1), &view, &mut out).unwrap();
        assert!(!out.postings.is_empty(), "what is captured is posted");
        (hit, out)
    })
}

/// An order whose charge was sent, and the answer that ends it.
struct Sent {
    desk: Desk,
    progress: Progress,
    head: Hash,
    answer: Event,
}

impl Sent {
    fn new() -> Self {
        let review = ReviewPolicy { scorer: false, ..ReviewPolicy::default() };
        let pipeline = Arc::new(physical(Physical { review, ..Physical::default() }).unwrap());
        let desk = Desk::new(pipeline.clone()).unwrap();
        let id: OrderId = "ord-10482".parse().unwrap();
        let placed = pipeline.place(OrderKey::from(id), order(), at(0)).unwrap();
        let head = desk.encode(&Hash::default(), &placed, None).unwrap().head;
        let call = attempt::M::command(1, started());
        let start = Event {
            kind: EventKind::Command { call, command: Some(1) },
            by: Actor::host("shop").unwrap(),
            occurred: None,
        };
        let sent = pipeline.step(&placed.progress, start, at(1)).unwrap().unwrap();
        let head = desk.encode(&head, &sent, None).unwrap().head;
        let effect = sent.progress.wanted.first().unwrap().id;
        let kind = EventKind::Answer { effect, answer: EffectAnswer::Done(paid().into()) };
        let answer = Event { kind, by: Actor::system(), occurred: None };
        Self { desk, progress: sent.progress, head, answer }
    }

    fn step(&self) -> Decision {
        self.desk.pipeline().step(&self.progress, self.answer.clone(), at(2)).unwrap().unwrap()
    }
}

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let has = |name: &str| args.iter().any(|a| a == name);
    if has("--list") {
        return;
    }
    let quick = has("--quick") || !has("--bench");
    let length = if quick {
        Length { rounds: 3, round: Duration::from_millis(5) }
    } else {
        Length { rounds: 15, round: Duration::from_millis(100) }
    };
    let sent = Sent::new();
    let decision = sent.step();
    assert_eq!(decision.progress.books.captured(None), 129_900);
    let encoded = sent.desk.encode(&sent.head, &decision, None).unwrap();
    let placed = sent.desk.pipeline().place(sent.progress.id.clone(), order(), at(0)).unwrap();
    let new = sent.desk.encode(&Hash::default(), &placed, None).unwrap().batch;
    let policies: BTreeMap<_, _> = new.policies.iter().cloned().collect();
    let batch = encoded.batch;
    let stored = Stored {
        order: batch.order.clone(),
        version: batch.version,
        head: batch.head,
        columns: batch.columns.clone(),
        progress: batch.progress.clone(),
        document: new.document.unwrap(),
        owner: None,
    };
    let figures = [
        ("typed_step_ns", "the machine's step, typed", typed(length)),
        ("erased_step_ns", "the pipeline's step, with books", median(length, || sent.step())),
        (
            "encode_ns",
            "the decision as records",
            median(length, || sent.desk.encode(&sent.head, &decision, None).unwrap()),
        ),
        (
            "decode_ns",
            "the stored order, opened",
            median(length, || sent.desk.open(&stored, &policies).unwrap()),
        ),
    ];
    if has("--json") {
        let line: serde_json::Map<_, _> =
            figures.iter().map(|(key, _, ns)| ((*key).to_owned(), ns.round().into())).collect();
        println!("{}", serde_json::Value::Object(line));
    } else {
        for (_, name, ns) in figures {
            println!("{name:<32} {ns:>8.0} ns");
        }
        let bytes = batch.entries.iter().map(|e| e.body.len()).sum::<usize>();
        println!("{bytes} bytes of journal, {} of progress", stored.progress.len());
    }
}
