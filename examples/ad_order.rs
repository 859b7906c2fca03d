//! Two ads on a platform: one is paid, let pass by two people, activated, ended when a part of its budget is spent, and
//! the rest goes back; the other is rejected by the platform, nobody fixes it, and all of its money goes back. Run it
//! with `cargo run --example ad_order`. It prints the journal:
//!
//! ```text
//! ad-1  command   Approve      review.case/1 PendingSecond
//! ad-1  command   Approve      review.case/1 Approved, activation.service/1 Activating
//! ad-1 is completed: 600.00 EUR taken, 420.00 EUR given back, 180.00 EUR earned
//! ad-2 is cancelled: 600.00 EUR taken, 600.00 EUR given back, 0.00 EUR earned
//! ```

use std::sync::Arc;

use consign::journal::read_entry;
use consign::prelude::*;
use consign::stage::{activation::service, payment::attempt, review::case};
use consign::testing::{SandboxGateway, SandboxPlatform, SandboxScorer};

type Failure = Box<dyn std::error::Error>;

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let folder = std::env::temp_dir().join(format!("consign-ad-order-{}", std::process::id()));
    std::fs::create_dir_all(&folder)?;
    let gateway = Arc::new(SandboxGateway::open(Some(&folder.join("gateway.jsonl")))?);
    let platform = Arc::new(SandboxPlatform::open(Some(&folder.join("platform.jsonl")))?.reviewing());
    let engine = Engine::builder()
        .pipeline(digital(Digital::default())?)
        .store(Arc::new(SqliteStore::open(folder.join("orders.db"))?))
        .payments(gateway.clone())
        .scorer(Arc::new(SandboxScorer::new(Some(12))))
        .platform(platform.clone())
        .start()
        .await?;
    let customer = Actor::customer("carla")?;

    // 600.00 is above 500.00: two people must let it pass, neither of whom placed it.
    let shown = bought(&engine, "ad-1", &customer).await?;
    hears(&engine, &shown, "passed", service::M::evidence(1, platform.pass("ad-1", 1))).await?;
    hears(&engine, &shown, "report-1", service::M::evidence(1, platform.spend("ad-1", 1, 15_000))).await?;
    // It runs, so it is not cancelled any more: it is ended, and the platform says what it spent in the end.
    platform.spend("ad-1", 1, 18_000);
    let end = service::M::command(1, activation::Terminate);
    engine.command(&shown, customer.clone(), "end", end).await?;
    until(&engine, &shown, "order.life/1 Completed").await?;

    let rejected = bought(&engine, "ad-2", &customer).await?;
    let word = platform.reject("ad-2", 1, "the claim is not substantiated");
    hears(&engine, &rejected, "rejected", service::M::evidence(1, word)).await?;
    let give_up = service::M::command(1, activation::Terminate);
    engine.command(&rejected, customer, "give up", give_up).await?;
    until(&engine, &rejected, "order.life/1 Cancelled").await?;

    for kept in engine.feed(Position::default(), 1000).await? {
        let entry = read_entry(&kept.entry.body)?;
        let (input, _) = entry.input.unwrap_or_default();
        let states: Vec<String> = entry.states.iter().map(|(m, key, s)| format!("{m}/{key} {s}")).collect();
        println!("{}  {:9} {input:12} {}", kept.order.order, entry.kind, states.join(", "));
    }
    for id in [&shown, &rejected] {
        let view = engine.order(id).await?.ok_or("the order is gone")?;
        let money = |minor| Money::new(minor, view.progress.order.currency());
        let (taken, back) = gateway.moved(id);
        let (id, phase, earned) = (&id.order, view.phase().name(), money(view.progress.books.earned()));
        println!("{id} is {phase}: {} taken, {} given back, {earned} earned", money(taken), money(back));
    }
    engine.stop(std::time::Duration::from_secs(5)).await;
    Ok(std::fs::remove_dir_all(folder)?)
}

/// An ad for 600.00, paid, let pass by two people, and with the platform.
async fn bought(engine: &Engine, id: &str, customer: &Actor) -> Result<OrderKey, Failure> {
    let mut draft = Draft::new(id, "EUR", customer.clone());
    draft.lines.push(Line::service("banner-30-days", 1, draft.minor("600.00")?));
    draft.total_minor = draft.minor("600.00")?;
    draft.tenders.push(DraftTender::new("card", draft.total_minor));
    let order = engine.place(draft).await?.order;
    let start = payment::Start { tender: Key(1), channel: None, method: "tok_visa".into() };
    engine.command(&order, customer.clone(), "pay", attempt::M::command(1, start)).await?;
    for (who, waits, token) in [("anna", "Queued", 1), ("ben", "PendingSecond", 2)] {
        until(engine, &order, &format!("review.case/1 {waits}")).await?;
        let who = Actor::agent(who)?;
        engine.command(&order, who.clone(), "", case::M::command(1, review::Claim::default())).await?;
        engine.command(&order, who, "", case::M::command(1, review::Approve { token })).await?;
    }
    until(engine, &order, "activation.service/1 PendingPlatformReview").await?;
    Ok(order)
}

/// The platform says something.
async fn hears(
    engine: &Engine,
    order: &OrderKey,
    event: &str,
    evidence: consign::machine::Call,
) -> Result<(), Failure> {
    let (occurred, by) = (SystemClock.now(), Actor::host("platform")?);
    let (source, event) = ("platform".into(), format!("{}-{event}", order.order).into());
    engine.deliver(Delivery { order: order.clone(), evidence, source, event, occurred, by }).await?;
    Ok(())
}

/// Waits until an instance of the order is in a state.
async fn until(engine: &Engine, order: &OrderKey, wanted: &str) -> Result<(), Failure> {
    let mut changes = engine.watch();
    loop {
        let view = engine.order(order).await?.ok_or("the order is gone")?;
        if view.instances().iter().any(|(machine, key, state)| format!("{machine}/{key} {state}") == wanted) {
            return Ok(());
        }
        // A change missed is a change made: look again either way.
        let _ = changes.recv().await;
    }
}
