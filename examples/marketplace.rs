//! A marketplace: one order of two sellers. One of them has run out of what was bought, so its parcel is called off and
//! paid back; the other one delivers, and one of the two cups that it sent comes back, is as new, and is paid back. Run
//! it with `cargo run --example marketplace`. It prints the journal:
//!
//! ```text
//! cart-1  answer    Short        order.life/1 Placed, dispatch.parcel/2 Cancelled, refund/1 Sending
//! cart-1  evidence  DeliveredTo  order.life/1 Completed, dispatch.parcel/1 Delivered
//! cart-1  command   Inspect      order.life/1 Completed, refund/2 Sending, aftersales.rma/1 Settling
//! cart-1 is completed: 74.00 EUR taken, 50.00 EUR given back, 24.00 EUR earned, 1 unit put back into the stock
//! ```

use std::sync::Arc;

use consign::journal::read_entry;
use consign::machine::Call;
use consign::prelude::*;
use consign::stage::aftersales::{
    AskReturn, Found, Inspect, OnItsWay, Reason, Receive, Resolution, Units, Verdict, rma,
};
use consign::stage::{dispatch::parcel, payment::attempt};
use consign::testing::{SandboxCarrier, SandboxGateway, SandboxInventory, SandboxScorer};

type Failure = Box<dyn std::error::Error>;

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let folder = std::env::temp_dir().join(format!("consign-marketplace-{}", std::process::id()));
    std::fs::create_dir_all(&folder)?;
    let gateway = Arc::new(SandboxGateway::open(Some(&folder.join("gateway.jsonl")))?);
    let stock = Arc::new(SandboxInventory::open(Some(&folder.join("stock.jsonl")))?);
    stock.lacks("lamp");
    // What a seller cannot send is called off and paid back; small returns need no person.
    let mut policy = Physical::default();
    policy.dispatch.shortage = dispatch::OnShortage::CallOff;
    policy.aftersales.approve_up_to_minor = Some(50_00);
    let engine = Engine::builder()
        .pipeline(physical(policy)?)
        .store(Arc::new(SqliteStore::open(folder.join("orders.db"))?))
        .payments(gateway.clone())
        .scorer(Arc::new(SandboxScorer::new(Some(5))))
        .inventory(stock.clone())
        .carrier(Arc::new(SandboxCarrier::default()))
        .start()
        .await?;
    let customer = Actor::customer("carla")?;
    let (pottery, warehouse) = (Actor::agent("pottery")?, Actor::host("warehouse")?);

    // Each seller sends a parcel of its own, with its own shipping.
    let mut draft = Draft::new("cart-1", "EUR", customer.clone());
    draft.lines.push(Line::goods("cup", 2, draft.minor("20.00")?).in_group("pottery"));
    draft.lines.push(Line::goods("lamp", 1, draft.minor("30.00")?).in_group("lights"));
    draft.charges.push(Charge::new(ChargeKind::Shipping, draft.minor("4.00")?).in_group("pottery"));
    draft.total_minor = draft.minor("74.00")?;
    draft.tenders.push(DraftTender::new("card", draft.total_minor));
    let order = engine.place(draft).await?.order;
    let start = payment::Start { tender: Key(1), channel: None, method: "tok_visa".into() };
    engine.command(&order, customer.clone(), "pay", attempt::M::command(1, start)).await?;
    until(&engine, &order, "dispatch.parcel/2 Cancelled").await?;
    until(&engine, &order, "refund/1 Succeeded").await?;

    until(&engine, &order, "dispatch.parcel/1 Released").await?;
    engine.command(&order, pottery.clone(), "pack", parcel::M::command(1, dispatch::Pack)).await?;
    engine.command(&order, pottery, "hand over", parcel::M::command(1, dispatch::HandOver)).await?;
    let home = dispatch::DeliveredTo { by: dispatch::Receiver::Customer };
    hears(&engine, &order, "home", parcel::M::evidence(1, home)).await?;
    until(&engine, &order, "order.life/1 Completed").await?;

    // One of the two cups comes back.
    let cup = || vec![Units { line: 0, quantity: 1 }];
    let ask = AskReturn {
        items: cup(),
        reason: Reason::DoesNotFit,
        resolution: Resolution::Refund,
        photos: Vec::new(),
    };
    engine.command(&order, customer, "return", rma::M::command(1, ask)).await?;
    hears(&engine, &order, "on its way", rma::M::evidence(1, OnItsWay)).await?;
    engine
        .command(&order, warehouse.clone(), "received", rma::M::command(1, Receive { items: cup() }))
        .await?;
    let found = vec![Found { line: 0, quantity: 1, verdict: Verdict::Restock }];
    engine.command(&order, warehouse, "inspected", rma::M::command(1, Inspect { found })).await?;
    until(&engine, &order, "aftersales.rma/1 Settled").await?;
    // The stock has heard of it too.
    while stock.restocked() == 0 {
        tokio::task::yield_now().await;
    }

    for kept in engine.feed(Position::default(), 1000).await? {
        let entry = read_entry(&kept.entry.body)?;
        let (input, _) = entry.input.unwrap_or_default();
        let states: Vec<String> = entry.states.iter().map(|(m, key, s)| format!("{m}/{key} {s}")).collect();
        println!("{}  {:9} {input:12} {}", kept.order.order, entry.kind, states.join(", "));
    }
    let view = engine.order(&order).await?.ok_or("the order is gone")?;
    let money = |minor| Money::new(minor, view.progress.order.currency());
    let (taken, back) = gateway.moved(&order);
    let earned = money(view.progress.books.earned());
    println!(
        "cart-1 is {}: {} taken, {} given back, {earned} earned, {} unit put back into the stock",
        view.phase().name(),
        money(taken),
        money(back),
        stock.restocked(),
    );
    engine.stop(std::time::Duration::from_secs(5)).await;
    Ok(std::fs::remove_dir_all(folder)?)
}

async fn hears(engine: &Engine, order: &OrderKey, event: &str, evidence: Call) -> Result<(), Failure> {
    let by = Actor::host("carrier")?;
    let (source, occurred) = ("carrier".into(), SystemClock.now());
    engine
        .deliver(Delivery { order: order.clone(), evidence, source, event: event.into(), occurred, by })
        .await?;
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
