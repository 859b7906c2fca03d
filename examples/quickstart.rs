//! Two orders on a fresh SQLite file: one is paid, approved by a person, shipped and delivered; the other is cancelled
//! after it was paid, and its money goes back. Run it with `cargo run --example quickstart`. It prints the journal:
//!
//! ```text
//! tea-1  command   Claim        review.case/1 Claimed
//! tea-1  command   Approve      review.case/1 Approved, dispatch.parcel/1 Reserving
//! tea-1 is completed: 184.00 EUR taken, 0.00 EUR given back
//! tea-2 is cancelled: 184.00 EUR taken, 184.00 EUR given back
//! ```

use std::sync::Arc;

use consign::journal::read_entry;
use consign::prelude::*;
use consign::stage::{dispatch::parcel, payment::attempt, review::case};
use consign::testing::{SandboxCarrier, SandboxGateway, SandboxInventory, SandboxScorer};

type Failure = Box<dyn std::error::Error>;

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let folder = std::env::temp_dir().join(format!("consign-quickstart-{}", std::process::id()));
    std::fs::create_dir_all(&folder)?;
    let gateway = Arc::new(SandboxGateway::open(Some(&folder.join("gateway.jsonl")))?);
    let engine = Engine::builder()
        .pipeline(physical(Physical::default())?)
        .store(Arc::new(SqliteStore::open(folder.join("orders.db"))?))
        .payments(gateway.clone())
        .scorer(Arc::new(SandboxScorer::new(Some(12))))
        .inventory(Arc::new(SandboxInventory::open(None)?))
        .carrier(Arc::new(SandboxCarrier::default()))
        .start()
        .await?;
    let (anna, shop) = (Actor::agent("anna")?, Actor::host("shop")?);

    // 184.00 is above 100.00: one person must let it pass before the goods leave.
    let tea = place_and_pay(&engine, "tea-1", &shop).await?;
    until(&engine, &tea, "review.case/1 Queued").await?;
    engine.command(&tea, anna.clone(), "claim", case::M::command(1, review::Claim::default())).await?;
    engine.command(&tea, anna.clone(), "approve", case::M::command(1, review::Approve { token: 1 })).await?;
    until(&engine, &tea, "dispatch.parcel/1 Released").await?;
    engine.command(&tea, shop.clone(), "pack", parcel::M::command(1, dispatch::Pack)).await?;
    engine.command(&tea, shop.clone(), "hand over", parcel::M::command(1, dispatch::HandOver)).await?;
    let scan = Delivery {
        order: tea.clone(),
        evidence: parcel::M::evidence(1, dispatch::DeliveredTo { by: dispatch::Receiver::Customer }),
        source: "carrier".into(),
        event: "scan-1".into(),
        occurred: SystemClock.now(),
        by: Actor::host("carrier")?,
    };
    engine.deliver(scan).await?;

    let gone = place_and_pay(&engine, "tea-2", &shop).await?;
    until(&engine, &gone, "payment.attempt/1 Captured").await?;
    let cancel = lifecycle::Cancel { reason: "changed their mind".into() };
    engine.command(&gone, anna, "cancel", lifecycle::lifecycle::M::command(1, cancel)).await?;
    until(&engine, &gone, "order.life/1 Cancelled").await?;

    for kept in engine.feed(Position::default(), 1000).await? {
        let entry = read_entry(&kept.entry.body)?;
        let (input, _) = entry.input.unwrap_or_default();
        let states: Vec<String> = entry.states.iter().map(|(m, key, s)| format!("{m}/{key} {s}")).collect();
        println!("{}  {:9} {input:12} {}", kept.order.order, entry.kind, states.join(", "));
    }
    for id in [&tea, &gone] {
        let view = engine.order(id).await?.ok_or("the order is gone")?;
        let money = |minor| Money::new(minor, view.progress.order.currency());
        let (taken, back) = gateway.moved(id);
        let (id, phase) = (&id.order, view.phase().name());
        println!("{id} is {phase}: {} taken, {} given back", money(taken), money(back));
    }
    engine.stop(std::time::Duration::from_secs(5)).await;
    Ok(std::fs::remove_dir_all(folder)?)
}

async fn place_and_pay(engine: &Engine, id: &str, shop: &Actor) -> Result<OrderKey, Failure> {
    let mut draft = Draft::new(id, "EUR", shop.clone());
    draft.lines.push(Line::goods("tea-100g", 10, draft.minor("18.40")?));
    draft.total_minor = draft.minor("184.00")?;
    draft.tenders.push(DraftTender::new("card", draft.total_minor));
    let order = engine.place(draft).await?.order;
    let start = payment::Start { tender: Key(1), channel: None, method: "tok_visa".into() };
    engine.command(&order, shop.clone(), "pay", attempt::M::command(1, start)).await?;
    Ok(order)
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
