//! I12, I24: card numbers get into nothing that is kept or told, whoever says them.

use std::sync::Arc;

use async_trait::async_trait;
use consign::clock::Timestamp;
use consign::engine::{Budget, CommandError, Delivered, EngineError, PlaceError};
use consign::gateway::{Notice, Notifier, RiskScorer, Ticket};
use consign::machine::{Effect, Reply};
use consign::order::Fault as Malformed;
use consign::pipeline::Physical;
use consign::pipeline::lifecycle::{Cancel, lifecycle};
use consign::stage::dispatch::{Hold, parcel};
use consign::stage::payment::{Paid, Start, attempt};
use consign::stage::review::{RiskNotice, Score, Scored, case};
use consign::store::{Position, Store};
use consign::testing::{Fault, FaultPlan};

use super::heard::Heard;
use super::journey::{cancel, start};
use super::support::{DAY, Disk, HOUR, MORNING, World, agent, carla, draft, key, packs_itself, run, told};

pub(crate) const CARD: &str = "4111 1111 1111 1111";
pub(crate) const BARE: &str = "4111111111111111";
const OTHER: &str = "5555 5555 5555 4444";

/// Everything of an order that a store or an engine gives out.
pub(crate) async fn hears_all_of(heard: &Heard, store: &dyn Store, order: &str) {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    if let Some(stored) = store.load(&key(order)).await.unwrap() {
        heard.hears("progress", &text(&stored.progress));
        heard.hears("document", &text(&stored.document));
        heard.hears("columns", &format!("{:?}", stored.columns));
    }
    for entry in store.journal(&key(order), 1, usize::MAX >> 1).await.unwrap() {
        heard.hears("journal", &text(&entry.body));
    }
    for row in store.inbox_take(&key(order)).await.unwrap() {
        heard.hears("inbox", &format!("{} {} {}", row.source, row.event, text(&row.body)));
    }
}

fn forbidden(why: &EngineError) -> bool {
    matches!(why, EngineError::ForbiddenData { order, field } if *order == key("o-1") && why.to_string().contains(field))
}

#[test]
fn a_caller_who_says_a_card_number_is_refused_and_nothing_is_written() {
    run(async {
        let heard = Heard::new(&[CARD, BARE]);
        let _listens = heard.listens();
        let shop =
            World::new(Disk::memory(), Physical::default()).open(Timestamp::from_millis(MORNING)).await;
        let mut noted = draft("o-1", &[5_000], &[("card", 5_000)]);
        noted.attributes.insert("note".into(), format!("paid with {CARD}, thanks"));
        let why = shop.place(noted).await.unwrap_err();
        heard.hears("error", &format!("{why} {why:?}"));
        let PlaceError::Malformed(faults) = why else { panic!("{why}") };
        assert_eq!(faults, [Malformed::ForbiddenData { path: "attributes.note".into() }]);
        shop.place(draft("o-1", &[5_000], &[("card", 5_000)])).await.unwrap();
        let pays = |method: &str| Start { tender: 1.into(), channel: None, method: method.into() };
        for method in [BARE, CARD, "exp 12/29 4111-1111-1111-1111"] {
            let why =
                shop.command("o-1", &carla(), "", attempt::M::command(1, pays(method))).await.unwrap_err();
            heard.hears("error", &format!("{why} {why:?}"));
            assert!(matches!(&why, CommandError::Engine(e) if forbidden(e)), "{why}");
        }
        assert_eq!(shop.journal("o-1").await.len(), 1, "nothing was written");
        shop.asks("o-1", &carla(), attempt::M::command(1, pays("tok_4111"))).await;
        let hold = Hold { reason: format!("she read {CARD} to me") };
        let why = shop.command("o-1", &agent("wim"), "", parcel::M::command(1, hold)).await.unwrap_err();
        assert!(matches!(&why, CommandError::Engine(e) if forbidden(e)), "{why}");
        assert_eq!(shop.phase("o-1").await, "dispatching", "the order goes on");
        hears_all_of(&heard, &*shop.engine.store(), "o-1").await;
        assert!(heard.leaks().is_empty() && heard.said() > 10, "{:?}", heard.leaks());
    });
}

#[test]
fn c01_a_message_that_says_a_card_number_is_heard_without_it_and_a_reference_that_is_a_number_is_kept() {
    run(async {
        let heard = Heard::new(&[OTHER]);
        let _listens = heard.listens();
        let world = World::new(Disk::memory(), packs_itself());
        world.gateway.plan(FaultPlan::default().fault("o-1", 1, "charge", 1, Fault::LoseCall));
        let shop = world.open(Timestamp::from_millis(MORNING)).await;
        shop.place(draft("o-1", &[5_000], &[("card", 5_000)])).await.unwrap();
        shop.asks("o-1", &carla(), start(1)).await;
        let order = shop.order("o-1").await.progress.order;
        let paid = Paid {
            channel: "card".parse().unwrap(),
            reference: BARE.into(),
            amount: order.total(),
            more_allowed: false,
            movement: None,
        };
        let taken = shop.hears("o-1", "yes", attempt::M::evidence(1, paid)).await;
        assert!(matches!(taken, Delivered::Applied(_)), "{taken:?}");
        let Some(attempt::State::Captured(s)) = shop.order("o-1").await.state::<attempt::M>(1).cloned()
        else {
            panic!("{}", shop.show("o-1").await)
        };
        assert_eq!(s.what.reference.as_deref(), Some(BARE), "a refund needs it");
        // One that has its turn, and one that comes before its order.
        for order in ["o-1", "o-2"] {
            let notice = format!("tc40 about {OTHER}, cvv 123, and {BARE}");
            let call = case::M::evidence(1, RiskNotice { notice });
            let heard = shop.engine.deliver(told(order, "notice", shop.now(), call)).await.unwrap();
            assert_eq!(matches!(heard, Delivered::Applied(_)), order == "o-1", "{heard:?}");
        }
        let waiting = shop.engine.store().inbox_take(&key("o-2")).await.unwrap();
        let body = String::from_utf8_lossy(&waiting[0].body).into_owned();
        assert!(body.contains("about [card number], cvv [security code], and [card number]"), "{body}");
        // The number that the order is paid under is spoken of as it is.
        let said = format!("tc40 about [card number], cvv [security code], and {BARE}");
        let journal = shop.journal("o-1").await;
        assert!(
            journal.iter().any(|e| e.input.as_ref().is_some_and(|i| i.1.contains(&said))),
            "{journal:#?}"
        );
        // What the order says next holds the reference, and is no fault of whoever says it.
        shop.asks("o-1", &agent("sue"), cancel()).await;
        for order in ["o-1", "o-2"] {
            hears_all_of(&heard, &*shop.engine.store(), order).await;
        }
        assert!(heard.leaks().is_empty() && heard.said() > 10, "{:?}", heard.leaks());
        assert!(!shop.order("o-1").await.progress.holds.iter().any(|h| h.code == "parked"));
    });
}

/// C1: an order was parked for good by the echo of its own id in an answer.
#[test]
fn c01_an_order_whose_id_looks_like_a_card_is_served_and_spoken_of() {
    #[derive(Debug)]
    struct Echo;
    #[async_trait]
    impl RiskScorer for Echo {
        async fn score(
            &self,
            _: Score,
            ticket: &Ticket,
        ) -> Reply<<Score as Effect>::Done, <Score as Effect>::Declined> {
            let reasons = vec![format!("{} is new", ticket.order.order)];
            Reply::Done(Scored { reasons, ..Scored::of(1) }.into())
        }
    }
    run(async {
        let world = World::new(Disk::memory(), packs_itself());
        let wiring = world.wiring().scorer(Arc::new(Echo));
        let shop = world.open_with(Timestamp::from_millis(MORNING), wiring).await;
        for id in ["ord-31883-00000049", BARE, "4111-1111-1111-1111"] {
            let mut of = draft(id, &[5_000], &[("card", 5_000)]);
            of.attributes.insert("note".into(), format!("see {id}"));
            shop.place(of).await.unwrap();
            shop.asks(id, &carla(), start(1)).await;
            shop.pass(HOUR).await;
            let order = shop.order(id).await;
            assert!(order.progress.holds.is_empty(), "{id}: {:?}", order.progress.holds);
            let said = format!("{id} is new");
            let journal = shop.journal(id).await;
            assert!(journal.iter().any(|e| e.input.as_ref().is_some_and(|i| i.1.contains(&said))), "{id}");
            let reason = format!("the customer of {id} called");
            shop.asks(id, &agent("wim"), lifecycle::M::command(1, Cancel { reason })).await;
        }
    });
}

/// A scorer that explains itself with what it should not.
struct Loose;

#[async_trait]
impl RiskScorer for Loose {
    async fn score(
        &self,
        _: Score,
        _: &Ticket,
    ) -> Reply<<Score as Effect>::Done, <Score as Effect>::Declined> {
        Reply::Done(Scored { reasons: vec![format!("{CARD} was seen before")], ..Scored::of(1) }.into())
    }
}

/// A notifier that fails, and says why.
#[derive(Debug)]
struct Away;

#[async_trait]
impl Notifier for Away {
    async fn last(&self) -> u64 {
        0
    }

    async fn notify(&self, _: Notice) -> Result<(), String> {
        Err(format!("no answer about {CARD}"))
    }
}

#[test]
fn an_adapter_that_says_a_card_number_is_heard_without_it() {
    run(async {
        let heard = Heard::new(&[CARD, BARE]);
        let _listens = heard.listens();
        let world = World::new(Disk::memory(), packs_itself());
        let fails = |fault| {
            let plan = FaultPlan::default().saying(format!(" for {CARD}"));
            ["charge", "reserve"].into_iter().fold(plan, |p, op| {
                (1..=6).fold(p, |p, nth| p.fault("o-1", 1, op, nth, fault).fault("o-2", 1, op, nth, fault))
            })
        };
        // The calls are used up before the answer is due.
        let budget = Budget { attempts: 3, ..Budget::default() };
        let wiring = world.wiring().scorer(Arc::new(Loose)).budget(budget);
        let shop = world.open_with(Timestamp::from_millis(MORNING), wiring).await;
        shop.engine.notify(Arc::new(Away));
        let said = |detail: &str| detail.contains("for [card number]");
        for (order, fault) in [("o-1", Fault::NotSent), ("o-2", Fault::LoseAnswer)] {
            shop.world.gateway.plan(fails(fault));
            shop.world.stock.plan(fails(fault));
            shop.place(draft(order, &[5_000], &[("card", 5_000)])).await.unwrap();
            shop.asks(order, &carla(), start(1)).await;
            shop.pass(HOUR).await;
            let journal = shop.journal(order).await;
            assert!(journal.iter().any(|e| e.input.as_ref().is_some_and(|i| said(&i.1))), "{journal:#?}");
        }
        shop.world.gateway.plan(FaultPlan::default());
        shop.world.stock.plan(FaultPlan::default());
        shop.pass(DAY).await;
        // The score is heard, without the number in its reasons: nobody is called for that.
        let scored = |i: &(String, String)| i.1.contains("[card number] was seen before");
        let journal = shop.journal("o-2").await;
        assert!(journal.iter().any(|e| e.input.as_ref().is_some_and(scored)), "{journal:#?}");
        let holds = shop.order("o-2").await.progress.holds;
        assert!(!holds.iter().any(|h| h.code == "parked"), "{holds:?}");
        for order in ["o-1", "o-2"] {
            hears_all_of(&heard, &*shop.engine.store(), order).await;
            heard.hears("view", &format!("{:?}", shop.order(order).await.progress));
        }
        for item in shop.engine.feed(Position(0), 1_000).await.unwrap() {
            heard.hears("feed", &String::from_utf8_lossy(&item.entry.body));
        }
        assert!(heard.leaks().is_empty(), "{:?}", heard.leaks());
    });
}
