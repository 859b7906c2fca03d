//! A host's own stage between review and dispatch, and the library's payment with a state and an input of the host's: a
//! tankard is engraved once it is paid and let pass, and leaves when it is; and the channel may ask for a passport
//! before it takes the money. Run it with `cargo run --example custom_stage`. It prints the journal:
//!
//! ```text
//! mug-1  evidence  PassportNeeded payment.passport/1 Identifying
//! mug-1  evidence  Paid           payment.passport/1 Captured, review.case/1 Scoring
//! mug-1  answer    Scored         review.case/1 AutoApproved, engraving/1 Engraving
//! mug-1  answer    Cut            engraving/1 Engraved, dispatch.engraved/1 Reserving
//! mug-1 is completed: 80.00 EUR taken, 80.00 EUR earned
//! ```

use std::sync::Arc;

use async_trait::async_trait;
use consign::gateway::{Handler, Repeats, Ticket};
use consign::journal::read_entry;
use consign::machine::{
    Cx, Effect, Evidence, Exhausted, Fault, Fold, Next, On, Opens, Proof, Reply, StandsFor, View, to, until,
};
use consign::pipeline::pipeline;
use consign::prelude::*;
use consign::stage::payment::{
    Charge, Close, Closing, NextAction, Paid, PaymentPolicy, RequiresAction, Try, attempt,
};
use consign::stage::proof::{Approved, Cancelling, Funded, ToDispatch};
use consign::stage::{dispatch::DispatchPolicy, dispatch::parcel, refund::refund, review::case};
use consign::testing::{SandboxCarrier, SandboxGateway, SandboxInventory, SandboxScorer};
use serde::{Deserialize, Serialize};

/// A stage of the host's own: one job per order.
mod engraving {
    use super::*;

    /// The goods are engraved: what the host's parcels wait for.
    #[derive(Debug, Clone, PartialEq)]
    pub(crate) struct Cutting;
    impl Proof for Cutting {
        const NAME: &'static str = "engraved";
    }

    /// The policy: how long the workshop may take, in milliseconds, and what is cut.
    #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
    pub(crate) struct Policy {
        pub(crate) cut_ms: u64,
        pub(crate) words: String,
    }

    macro_rules! data { ($($name:ident { $($field:ident: $ty:ty),* })*) => { $(
        #[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
        pub(crate) struct $name { $(pub(crate) $field: $ty),* }
    )* } }
    data! {
        Engraving {} Engraved {} Spoiled { why: String } CalledOff {}
        Engrave { words: String }
        Cut {} Refused { why: String } Lost { why: String } GaveUp { sent: bool, why: String }
        Late {} Open {} Stop {}
    }
    impl Evidence for Cut {}
    impl Evidence for Refused {}
    impl Evidence for Lost {}
    impl Evidence for GaveUp {}
    impl From<Fault> for Lost {
        fn from(f: Fault) -> Self {
            Self { why: f.why }
        }
    }
    impl From<Exhausted> for GaveUp {
        fn from(e: Exhausted) -> Self {
            Self { sent: e.sent, why: e.why }
        }
    }

    consign::machine! {
        /// One job of the workshop.
        pub(crate) mod job = "engraving" v 1;
        policy Policy;
        needs Funded, Approved<ToDispatch>;
        hears Cancelling;
        yields Cutting;
        effects { Engrave (repeat) => done Cut, declined Refused, unknown Lost, exhausted GaveUp; }
        opens { Open }
        inputs {
            outcome Cut @1, Refused @1, Lost @0, GaveUp @0;
            timer   Late;
            signal  Open (on granted), Stop (on granted Cancelling);
        }
        states { Engraving: busy(Late) @0, Engraved: done @1, Spoiled: fail @1, CalledOff: fail @2 }
        groups { Over = Engraved | Spoiled | CalledOff; All = Engraving | Engraved | Spoiled | CalledOff; }
        rows {
            New       + Open    => Engraving / Engrave;
            Engraving + Cut     => Engraved;
            Engraving + Refused => Spoiled;
            Engraving + Late    => Engraving / Engrave;
            Engraving + Stop    => CalledOff;
        }
        ignore { All + Open; Over + Stop; }
    }
    use job::{M, New};

    impl Opens<Open, M> for New {
        fn keys(view: &View<'_, M>) -> Vec<Key> {
            if view.is_empty() { vec![Key(1)] } else { Vec::new() }
        }
    }
    impl On<Open> for New {
        fn on(&self, _: &Open, cx: &mut Cx<'_, Self::R>) -> Next<Self::R> {
            cx.want(Engrave { words: cx.policy().words.clone() });
            until(cx.after_ms(cx.policy().cut_ms), Engraving {})
        }
    }
    impl On<Late> for Engraving {
        fn on(&self, _: &Late, cx: &mut Cx<'_, Self::R>) -> Next<Self::R> {
            cx.want(Engrave { words: cx.policy().words.clone() });
            until(cx.after_ms(cx.policy().cut_ms), Engraving {})
        }
    }
    impl On<Cut> for Engraving {
        fn on(&self, _: &Cut, _: &mut Cx<'_, Self::R>) -> Next<Self::R> {
            to(Engraved {})
        }
    }
    impl On<Refused> for Engraving {
        fn on(&self, e: &Refused, cx: &mut Cx<'_, Self::R>) -> Next<Self::R> {
            cx.hold("spoiled", e.why.clone());
            to(Spoiled { why: e.why.clone() })
        }
    }
    impl On<Stop> for Engraving {
        fn on(&self, _: &Stop, _: &mut Cx<'_, Self::R>) -> Next<Self::R> {
            to(CalledOff {})
        }
    }
    impl Fold<Cutting> for M {
        fn fold(v: &View<'_, Self>) -> Option<Cutting> {
            let done = v.instances().all(|(_, s)| matches!(s, job::State::Engraved(_)));
            (done && !v.is_empty()).then_some(Cutting)
        }
    }
}
use engraving::{Cut, Cutting, Engrave, job};

// The library's parcel, which waits for one proof more.
consign::extend! {
    mod engraved = "dispatch.engraved" v 1 extends parcel;
    policy DispatchPolicy;
    needs Cutting;
    effects {}
    inputs { }
    states { }
    rows { }
}

/// The channel wants to see a passport.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct PassportNeeded {}
impl Evidence for PassportNeeded {}
/// The customer was asked for it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Identifying {
    what: Try,
}
/// The customer's time is over.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
struct PassportDue;

// The library's payment attempt, extended by a state, an input and a timer.
consign::extend! {
    mod passport = "payment.passport" v 1 extends attempt;
    policy PaymentPolicy;
    effects {}
    inputs { outcome PassportNeeded @1; timer PassportDue; }
    states { Identifying as RequiresAction: wait(PassportDue) }
    rows {
        Open        + PassportNeeded => Identifying;
        Identifying + PassportDue    => Closing / Close;
    }
}
use attempt::Open;

impl StandsFor<RequiresAction> for Identifying {
    fn base(&self) -> RequiresAction {
        RequiresAction { what: self.what.clone(), action: NextAction::Wait }
    }
}
impl On<PassportNeeded, passport::M> for Open {
    fn on(&self, _: &PassportNeeded, cx: &mut Cx<'_, Self::R>) -> Next<Self::R> {
        until(cx.after_ms(3 * 24 * 60 * 60_000), Identifying { what: self.what().clone() })
    }
}
impl On<PassportDue> for Identifying {
    fn on(&self, _: &PassportDue, cx: &mut Cx<'_, Self::R>) -> Next<Self::R> {
        cx.want(Close {
            channel: self.what.channel.clone(),
            reference: self.what.reference.clone(),
            charge: cx.op_key::<Charge>(0),
        });
        until(cx.after_ms(30_000), Closing::of(self.what.clone(), cx.now()))
    }
}

/// The workshop.
struct Workshop;
#[async_trait]
impl Handler<Engrave> for Workshop {
    fn repeats(&self) -> Repeats {
        Repeats::Idempotent { key_ttl: std::time::Duration::MAX }
    }
    async fn call(
        &self,
        _: Engrave,
        _: &Ticket,
    ) -> Reply<<Engrave as Effect>::Done, <Engrave as Effect>::Declined> {
        Reply::Done(Cut {}.into())
    }
}
/// A channel that takes the charge, and answers by webhook only.
struct Slow;
#[async_trait]
impl Handler<Charge> for Slow {
    fn repeats(&self) -> Repeats {
        Repeats::Idempotent { key_ttl: std::time::Duration::from_secs(24 * 3600) }
    }
    async fn call(
        &self,
        _: Charge,
        t: &Ticket,
    ) -> Reply<<Charge as Effect>::Done, <Charge as Effect>::Declined> {
        Reply::Done(payment::Pended { reference: format!("pay-{}", t.order.order) }.into())
    }
}

type Failure = Box<dyn std::error::Error>;

fn engraved_goods() -> Result<Pipeline, consign::pipeline::BuildFaults> {
    let p = Physical::default();
    pipeline("engraved-goods", 1, p.life)
        .then(passport::M::with(p.payment))
        .then(case::M::with(p.review))
        .then(job::M::with(engraving::Policy { cut_ms: 24 * 60 * 60_000, words: "For Ada".into() }))
        .then(engraved::M::with(p.dispatch))
        .beside(refund::M::with(p.refund))
        .usual_routes()
        .build()
}

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let folder = std::env::temp_dir().join(format!("consign-custom-stage-{}", std::process::id()));
    std::fs::create_dir_all(&folder)?;
    let engine = Engine::builder()
        .pipeline(engraved_goods()?)
        .store(Arc::new(SqliteStore::open(folder.join("orders.db"))?))
        .payments(Arc::new(SandboxGateway::open(None)?))
        .effect::<Charge>(Slow)
        .effect::<Engrave>(Workshop)
        .scorer(Arc::new(SandboxScorer::new(Some(5))))
        .inventory(Arc::new(SandboxInventory::open(None)?))
        .carrier(Arc::new(SandboxCarrier::default()))
        .start()
        .await?;
    let shop = Actor::host("shop")?;
    let mut draft = Draft::new("mug-1", "EUR", shop.clone());
    draft.lines.push(Line::goods("tankard", 1, draft.minor("80.00")?));
    draft.total_minor = draft.minor("80.00")?;
    draft.tenders.push(DraftTender::new("card", draft.total_minor));
    let order = engine.place(draft).await?.order;
    let start = payment::Start { tender: Key(1), channel: None, method: "tok_visa".into() };
    engine.command(&order, shop.clone(), "pay", passport::M::command(1, start)).await?;
    until_state(&engine, &order, "payment.passport/1 Pending").await?;
    hears(&engine, &order, "passport", passport::M::evidence(1, PassportNeeded {})).await?;
    let amount = Money::new(8_000, "EUR".parse()?);
    let paid = Paid {
        channel: "card".parse()?,
        reference: "pay-mug-1".into(),
        amount,
        more_allowed: false,
        movement: None,
    };
    hears(&engine, &order, "paid", passport::M::evidence(1, paid)).await?;
    until_state(&engine, &order, "dispatch.engraved/1 Released").await?;
    engine.command(&order, shop.clone(), "pack", engraved::M::command(1, dispatch::Pack)).await?;
    engine.command(&order, shop, "hand over", engraved::M::command(1, dispatch::HandOver)).await?;
    let home = dispatch::DeliveredTo { by: dispatch::Receiver::Customer };
    hears(&engine, &order, "home", engraved::M::evidence(1, home)).await?;
    until_state(&engine, &order, "order.life/1 Completed").await?;
    for kept in engine.feed(Position::default(), 1000).await? {
        let entry = read_entry(&kept.entry.body)?;
        let (input, _) = entry.input.unwrap_or_default();
        let states: Vec<String> = entry.states.iter().map(|(m, key, s)| format!("{m}/{key} {s}")).collect();
        println!("{}  {:9} {input:14} {}", kept.order.order, entry.kind, states.join(", "));
    }
    let view = engine.order(&order).await?.ok_or("the order is gone")?;
    let (books, eur) = (&view.progress.books, |minor| Money::new(minor, view.progress.order.currency()));
    let (taken, earned) = (eur(books.captured(None)), eur(books.earned()));
    println!("mug-1 is {}: {taken} taken, {earned} earned", view.phase().name());
    engine.stop(std::time::Duration::from_secs(5)).await;
    Ok(std::fs::remove_dir_all(folder)?)
}

async fn hears(
    engine: &Engine,
    order: &OrderKey,
    event: &str,
    evidence: consign::machine::Call,
) -> Result<(), Failure> {
    let by = Actor::host("webhooks")?;
    let (source, occurred) = ("webhooks".into(), SystemClock.now());
    engine
        .deliver(Delivery { order: order.clone(), evidence, source, event: event.into(), occurred, by })
        .await?;
    Ok(())
}

/// Waits until an instance of the order is in a state.
async fn until_state(engine: &Engine, order: &OrderKey, wanted: &str) -> Result<(), Failure> {
    let mut changes = engine.watch();
    loop {
        let view = engine.order(order).await?.ok_or("the order is gone")?;
        if view.instances().iter().any(|(machine, key, state)| format!("{machine}/{key} {state}") == wanted) {
            return Ok(());
        }
        let _ = changes.recv().await;
    }
}
