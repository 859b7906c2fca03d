//! What one decision costs, without any disk: nanoseconds per operation, the median of several rounds.
//!
//! ```text
//! cargo bench --bench step              a table
//! cargo bench --bench step -- --json    one line of JSON
//! cargo bench --bench step -- --quick   small rounds
//! ```

#![allow(clippy::float_arithmetic)] // Times are averaged, money is not.

use std::collections::BTreeMap;
use std::hint::black_box;
use std::sync::Arc;
use std::time::Instant;

use consign::clock::Timestamp;
use consign::id::{Actor, Key, OrderId, OrderKey};
use consign::journal::Desk;
use consign::ledger::Books;
use consign::machine::{Life, Machine as _, Out, Proofs, Standing, View, World};
use consign::money::Money;
use consign::order::{Draft, DraftTender, Line, Order};
use consign::pipeline::{EffectAnswer, Event, EventKind, Physical, Pipeline, Progress, physical};
use consign::stage::payment::{Paid, Start, attempt};
use consign::stage::review::{Expedite, ReviewPolicy, case};
use consign::store::{Hash, Stored};

type Failure = Box<dyn std::error::Error>;

/// Nanoseconds per call: the median of `rounds` rounds of `calls` calls.
fn measure(rounds: usize, calls: u32, mut call: impl FnMut()) -> f64 {
    let mut all: Vec<f64> = (0..rounds)
        .map(|_| {
            let begun = Instant::now();
            for _ in 0..calls {
                call();
            }
            begun.elapsed().as_secs_f64() * 1e9 / f64::from(calls)
        })
        .collect();
    all.sort_by(f64::total_cmp);
    all.get(all.len() / 2).copied().unwrap_or_default()
}

fn order() -> Result<(OrderKey, Order), Failure> {
    let mut d = Draft::new("o-1", "EUR", Actor::customer("c-1")?);
    d.lines.push(Line::goods("sku-1", 2, 7_500).in_group("a"));
    d.lines.push(Line::goods("sku-2", 1, 3_000).in_group("b"));
    d.total_minor = 18_000;
    d.tenders.push(DraftTender::new("card", 18_000));
    let id: OrderId = "o-1".parse()?;
    Ok((id.into(), Order::parse(d).map_err(|faults| format!("{faults:?}"))?))
}

fn event(kind: EventKind) -> Result<Event, Failure> {
    Ok(Event { kind, by: Actor::agent("anna")?, occurred: None })
}

/// An order that asked its channel for money, and the event that says it was paid.
fn paying(pipeline: &Pipeline) -> Result<(Progress, Event), Failure> {
    let (id, order) = order()?;
    let placed = pipeline.place(id, order, Timestamp::from_millis(1))?.progress;
    let start = Start { tender: Key(1), channel: None, method: String::new() };
    let start = event(EventKind::Command { call: attempt::M::command(1, start), command: None })?;
    let sending = pipeline.step(&placed, start, Timestamp::from_millis(2))??.progress;
    let paid = Paid {
        channel: "card".parse()?,
        reference: "r-1".into(),
        amount: Money::new(18_000, "EUR".parse()?),
        more_allowed: false,
    };
    let effect = sending.wanted.first().ok_or("a charge is wanted")?.id;
    let answer = EventKind::Answer { effect, answer: EffectAnswer::Done(paid.into()) };
    Ok((sending, event(answer)?))
}

fn main() -> Result<(), Failure> {
    let asked = |flag: &str| std::env::args().any(|a| a == flag);
    let (rounds, calls) = if asked("--quick") || !asked("--bench") { (5, 200) } else { (25, 20_000) };
    let review = ReviewPolicy { scorer: false, ..ReviewPolicy::default() };
    let pipeline = Arc::new(physical(Physical { review: review.clone(), ..Physical::default() })?);
    let desk = Desk::new(pipeline.clone())?;
    let (sending, paid) = paying(&pipeline)?;
    let now = Timestamp::from_millis(3);
    let decision = pipeline.step(&sending, paid.clone(), now)??;

    let (_, document) = order()?;
    let (by, books, proofs, standing) =
        (Actor::agent("anna")?, Books::default(), Proofs::default(), Standing::default());
    let world = World {
        now,
        occurred: now,
        by: &by,
        order: &document,
        books: &books,
        proofs: &proofs,
        life: Life::Placed,
        standing: &standing,
    };
    let state = pipeline.state::<case::M>(&decision.progress, 1).ok_or("a case is open")?.clone();
    let expedite = case::Input::from(Expedite);
    let typed = measure(rounds, calls, || {
        let view = View::<case::M>::new(&world, &review, &[]);
        let mut out = Out::default();
        let _ = black_box(case::M::step(Some(black_box(&state)), &expedite, Key(1), &view, &mut out));
    });
    let erased = measure(rounds, calls, || {
        let _ = black_box(pipeline.step(black_box(&sending), paid.clone(), now));
    });
    let encode = measure(rounds, calls, || {
        let _ = black_box(desk.encode(&Hash::default(), black_box(&decision), None));
    });

    let (id, order) = order()?;
    let placed = pipeline.place(id, order, Timestamp::from_millis(1))?;
    let first = desk.encode(&Hash::default(), &placed, None)?.batch;
    let newest = desk.encode(&Hash::default(), &decision, None)?.batch;
    let stored = Stored {
        order: newest.order,
        version: newest.version,
        head: newest.head,
        columns: newest.columns,
        progress: newest.progress,
        document: first.document.ok_or("a placed order has a document")?,
        owner: None,
    };
    let policies: BTreeMap<_, _> = first.policies.into_iter().collect();
    let decode = measure(rounds, calls, || {
        let _ = black_box(desk.open(black_box(&stored), &policies));
    });

    let rows =
        [("typed_step", typed), ("erased_step_with_books", erased), ("encode", encode), ("decode", decode)];
    if asked("--json") {
        let runs: BTreeMap<&str, f64> = rows.into_iter().collect();
        println!("{}", serde_json::to_string(&runs)?);
    } else {
        for (name, ns) in rows {
            println!("{name:<24}{ns:>10.0} ns");
        }
    }
    Ok(())
}
