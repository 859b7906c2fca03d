//! A host's payment attempt: the library's, with a state, an input and a row of its own, and one handler replaced.

use consign::clock::Timestamp;
use consign::id::{Actor, Key, OrderId};
use consign::machine::{
    Answer, BasePolicy, Call, Class, Cx, Decide, Evidence, Instead, Kind, Machine, Next, On, StandsFor,
    refuse, until,
};
use consign::pipeline::lifecycle::{Cancel, LifePolicy, lifecycle};
use consign::pipeline::{
    Disposition, EffectAnswer, Event, EventKind, Physical, Pipeline, Progress, Refused, physical, pipeline,
};
use consign::stage::payment::{
    AnswerDue, Charge, Close, Closing, CustomerBack, NextAction, Paid, PaymentPolicy, RequiresAction, Start,
    Try, attempt,
};
use consign::stage::{dispatch::parcel, refund::refund, review::case};
use serde::{Deserialize, Serialize};

use crate::support::shop::{agent, carla, eur, order_of};

/// The channel wants to see the customer's passport.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct PassportNeeded {
    /// The channel's reference.
    reference: String,
}
impl Evidence for PassportNeeded {}
/// The customer was asked for it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Identifying {
    what: Try,
}
/// The customer's time is over.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct PassportDue;
/// The library's policy, and how long the customer has for the passport.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Policy {
    payment: PaymentPolicy,
    passport_ms: u64,
}
impl BasePolicy<PaymentPolicy> for Policy {
    fn base(&self) -> &PaymentPolicy {
        &self.payment
    }
}

consign::extend! {
    pub(crate) mod identified = "payment.identified" v 1 extends attempt;
    policy Policy;
    effects {}
    inputs { outcome PassportNeeded @1; timer PassportDue; }
    states { Identifying as RequiresAction: wait(PassportDue) }
    rows {
        Open           + PassportNeeded => Identifying;
        Identifying    + PassportDue    => Closing / Close;
    }
    replaces { RequiresAction + CustomerBack => RequiresAction; }
}
use attempt::Open;
use identified::M;

impl StandsFor<RequiresAction> for Identifying {
    fn base(&self) -> RequiresAction {
        RequiresAction { what: self.what.clone(), action: NextAction::Wait }
    }
}
impl On<PassportNeeded, M> for Open {
    fn on(&self, e: &PassportNeeded, cx: &mut Cx<'_, Self::R>) -> Next<Self::R> {
        let what = Try { reference: Some(e.reference.clone()), ..self.what().clone() };
        until(cx.after_ms(cx.policy().passport_ms), Identifying { what })
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
/// In the place of the library's: a customer who comes back is believed only by the bank.
impl Decide<CustomerBack, M> for Instead<RequiresAction> {
    fn decide(&self, _: &CustomerBack, _: &mut Cx<'_, Self::R>) -> Answer<Self::R> {
        refuse("ask_the_bank", "the browser proves nothing")
    }
}

fn composed() -> Pipeline {
    let p = Physical::default();
    pipeline("identified", 1, LifePolicy::default())
        .then(M::with(Policy { payment: p.payment, passport_ms: 1_000 }))
        .then(case::M::with(p.review))
        .then(parcel::M::with(p.dispatch))
        .beside(refund::M::with(p.refund))
        .usual_routes()
        .build()
        .unwrap()
}

/// An order on its way, on a clock that each step moves by a second.
struct Walk {
    pipeline: Pipeline,
    order: Progress,
    now: i64,
}

impl Walk {
    fn new() -> Self {
        let pipeline = composed();
        let id: OrderId = "o-1".parse().unwrap();
        let order = pipeline.place(id.into(), order_of(5_000), Timestamp::from_millis(0)).unwrap().progress;
        Self { pipeline, order, now: 0 }
    }

    fn step(&mut self, by: &Actor, kind: EventKind) -> Result<Vec<String>, Refused> {
        self.now += 100;
        let event = Event { kind, by: by.clone(), occurred: None };
        let decision = self.pipeline.step(&self.order, event, Timestamp::from_millis(self.now)).unwrap()?;
        self.order = decision.progress;
        Ok(decision
            .fires
            .iter()
            .map(|f| format!("{}: {} + {} -> {}", f.place, f.from, f.input, f.to))
            .collect())
    }

    fn asks(&mut self, call: Call) -> Result<Vec<String>, Refused> {
        self.step(&carla(), EventKind::Command { call, command: None })
    }

    fn hears(&mut self, call: Call) -> Vec<String> {
        self.step(&agent("bank"), EventKind::Evidence { call, message: None }).unwrap()
    }

    fn identifying(mut self) -> Self {
        self.asks(M::command(1, start())).unwrap();
        let fired = self.hears(M::evidence(1, PassportNeeded { reference: "r1".into() }));
        assert_eq!(fired, ["payment.identified: Sending + PassportNeeded -> Identifying"]);
        self
    }
}

fn start() -> Start {
    Start { tender: Key(1), channel: None, method: String::new() }
}

fn paid() -> Paid {
    Paid {
        channel: "card".parse().unwrap(),
        reference: "r1".into(),
        amount: eur(5_000),
        more_allowed: false,
        movement: None,
    }
}

#[test]
fn what_the_own_table_does_not_say_the_base_does() {
    let mut w = Walk::new().identifying();
    let fired = w.hears(M::evidence(1, paid()));
    assert_eq!(fired[0], "payment.identified: Identifying + Paid -> Captured");
    assert_eq!(fired[1], "review.case: New + Enter -> Scoring", "the base's proof is yielded");
    assert_eq!(w.order.books.kept(), 5_000);
    // The hall and its routes see the base's state.
    assert!(matches!(w.pipeline.state::<attempt::M>(&w.order, 1), Some(attempt::State::Captured(_))));
    w.asks(lifecycle::M::command(1, Cancel { reason: "no".into() })).unwrap();
    let refunds: Vec<_> = w.pipeline.instances(&w.order).into_iter().filter(|i| i.0 == "refund").collect();
    assert_eq!(refunds, [("refund", Key(1), "Sending")]);
}

#[test]
fn an_own_state_counts_as_the_one_it_stands_for() {
    let mut w = Walk::new().identifying();
    let again = w.asks(M::command(2, start())).unwrap_err();
    assert!(again.to_string().contains("tender_busy"), "the base's handler sees its sibling: {again}");
    let stands = w.pipeline.state::<attempt::M>(&w.order, 1);
    assert!(
        matches!(stands, Some(attempt::State::RequiresAction(s)) if s.what.reference.as_deref() == Some("r1"))
    );
    assert!(matches!(w.pipeline.state::<M>(&w.order, 1), Some(identified::State::Identifying(_))));
    // What the base refuses to a state, it refuses to this one; what it takes, it takes.
    let fired = w.asks(M::command(1, consign::stage::payment::Cancel)).unwrap();
    assert_eq!(fired, ["payment.identified: Identifying + Cancel -> Closing"]);
}

#[test]
fn an_own_timer_leads_back_into_the_base_and_the_bases_timers_do_not_run() {
    let mut w = Walk::new().identifying();
    let at = w.pipeline.instants(&w.order, "payment.identified", 1);
    assert_eq!(at.iter().map(|(name, _)| *name).collect::<Vec<_>>(), ["PassportDue"]);
    w.now = 2_000;
    let due = w.pipeline.due(&w.order, Timestamp::from_millis(w.now)).pop().unwrap();
    let fired = w.step(&Actor::system(), due).unwrap();
    assert_eq!(fired, ["payment.identified: Identifying + PassportDue -> Closing"]);
    let wanted: Vec<_> = w.order.wanted.iter().map(|e| &*e.name).collect();
    assert_eq!(
        wanted,
        ["payment.attempt/Charge", "payment.attempt/Close"],
        "the library's adapters carry them out"
    );
    // The answer to the close is the base's affair again.
    let effect = w.order.wanted[1].id;
    let gone = consign::machine::Told::from(consign::stage::payment::Gone);
    let fired =
        w.step(&agent("bank"), EventKind::Answer { effect, answer: EffectAnswer::Done(gone) }).unwrap();
    assert_eq!(fired, ["payment.identified: Closing + Gone -> Closed"]);
}

#[test]
fn a_row_of_the_base_is_replaced_with_its_handler_and_where_it_stood_for_another_it_is_not() {
    let mut w = Walk::new();
    w.asks(M::command(1, start())).unwrap();
    let action = consign::stage::payment::ActionNeeded {
        reference: "r1".into(),
        action: NextAction::Otp,
        expires_at: None,
    };
    let fired = w.hears(M::evidence(1, action));
    assert_eq!(fired, ["payment.identified: Sending + ActionNeeded -> RequiresAction"]);
    let refused = w.asks(M::command(1, CustomerBack)).unwrap_err();
    assert!(refused.to_string().contains("ask_the_bank"), "{refused}");
    // An own state that stands for it goes by the base, since no own row speaks of it.
    let mut w = Walk::new().identifying();
    let fired = w.asks(M::command(1, CustomerBack)).unwrap();
    assert_eq!(fired, ["payment.identified: Identifying + CustomerBack -> Pending"]);
}

#[test]
fn an_extended_order_is_stored_and_read_back_as_it_was() {
    use consign::journal::Desk;
    use consign::store::{Hash, Stored};
    let w = Walk::new().identifying();
    let desk = Desk::new(std::sync::Arc::new(composed())).unwrap();
    let id: OrderId = "o-1".parse().unwrap();
    let first = desk.pipeline().place(id.into(), order_of(5_000), Timestamp::from_millis(0)).unwrap();
    let batch = desk.encode(&Hash::default(), &first, None).unwrap().batch;
    let stored = Stored {
        order: batch.order,
        version: w.order.version,
        head: batch.head,
        columns: batch.columns,
        progress: desk.progress(&w.order),
        document: batch.document.unwrap(),
        owner: None,
    };
    let read = desk.open(&stored, &batch.policies.into_iter().collect()).unwrap();
    assert_eq!(desk.progress(&read), stored.progress);
    assert!(matches!(desk.pipeline().state::<M>(&read, 1), Some(identified::State::Identifying(_))));
    let seen = desk.pipeline().state::<attempt::M>(&read, 1);
    assert!(matches!(seen, Some(attempt::State::RequiresAction(_))), "what it stands for too");
}

#[test]
fn the_table_of_an_extension_is_the_bases_with_what_it_adds_and_without_what_it_replaces() {
    let (base, is) = (attempt::M::GRAPH, M::GRAPH);
    assert_eq!(is.base, Some("payment.attempt"));
    assert_eq!(is.area(), base.area());
    assert_eq!(is.states.len(), base.states.len() + 1);
    assert_eq!(is.rows.len(), base.rows.len() + 3);
    let own = is.state("Identifying").unwrap();
    assert_eq!((is.states[own].kind, is.states[own].rank), (Kind::Wait, 1));
    let requires = 1u64 << base.state("RequiresAction").unwrap();
    for (was, row) in base.rows.iter().zip(is.rows) {
        let input = &base.inputs[usize::from(was.on)];
        let stands = was.from & requires != 0 && input.class != Class::Timer;
        let mut from = was.from | if stands { 1 << own } else { 0 };
        if input.name == "CustomerBack" {
            from &= !requires;
        }
        assert_eq!(row.from, from, "{} + {}", was.from_name, input.name);
    }
    assert_ne!(is.fingerprint(), base.fingerprint());
    // The base is what it was: the ready pipeline knows nothing of it.
    assert!(physical(Physical::default()).unwrap().places().contains(&"payment.attempt"));
    let _ = (AnswerDue, Disposition::Moved);
}
