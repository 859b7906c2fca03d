//! How often a refund goes out, by what its provider promises about keys.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use consign::clock::Timestamp;
use consign::gateway::{PaymentGateway, Repeats, Ticket};
use consign::machine::{Effect, Reply};
use consign::pipeline::Physical;
use consign::stage::payment::{Capture, Charge, Close, Inquire, PaymentPolicy, Void};
use consign::stage::refund::{InquireRefund, SendBack};
use consign::testing::{Fault, FaultPlan, SandboxGateway};

use super::journey::{cancel, start};
use super::support::{DAY, Disk, HOUR, MINUTE, MORNING, Shop, World, agent, carla, draft, packs_itself, run};

type Answer<X> = Reply<<X as Effect>::Done, <X as Effect>::Declined>;

/// When a provider was asked to give money back, and when it was asked what came of that.
#[derive(Debug, Clone, Default)]
struct Asked {
    refunds: Vec<Timestamp>,
    inquiries: Vec<Timestamp>,
}

/// A sandbox that promises something else about its keys, and notes what it is asked about refunds.
struct Promises {
    inner: Arc<SandboxGateway>,
    repeats: Repeats,
    asked: Arc<Mutex<Asked>>,
}

#[async_trait]
impl PaymentGateway for Promises {
    fn repeats(&self) -> Repeats {
        self.repeats
    }
    async fn charge(&self, x: Charge, t: &Ticket) -> Answer<Charge> {
        self.inner.charge(x, t).await
    }
    async fn inquire(&self, x: Inquire, t: &Ticket) -> Answer<Inquire> {
        self.inner.inquire(x, t).await
    }
    async fn close(&self, x: Close, t: &Ticket) -> Answer<Close> {
        self.inner.close(x, t).await
    }
    async fn capture(&self, x: Capture, t: &Ticket) -> Answer<Capture> {
        self.inner.capture(x, t).await
    }
    async fn void(&self, x: Void, t: &Ticket) -> Answer<Void> {
        self.inner.void(x, t).await
    }
    async fn refund(&self, x: SendBack, t: &Ticket) -> Answer<SendBack> {
        self.asked.lock().unwrap().refunds.push(t.now);
        self.inner.refund(x, t).await
    }
    async fn inquire_refund(&self, x: InquireRefund, t: &Ticket) -> Answer<InquireRefund> {
        self.asked.lock().unwrap().inquiries.push(t.now);
        self.inner.inquire_refund(x, t).await
    }
}

fn every(plan: FaultPlan, operation: &'static str, from: u32, fault: Fault) -> FaultPlan {
    (from..200).fold(plan, |plan, n| plan.fault("o-1", 1, operation, n, fault))
}

/// When the refund went out, counted from the first call.
async fn refunds(repeats: Repeats, plan: FaultPlan) -> (Shop, Vec<Duration>) {
    let (shop, asked) = refunded(repeats, plan).await;
    let first = asked.refunds[0];
    (shop, asked.refunds.into_iter().map(|at| at.since(first)).collect())
}

/// A paid order is cancelled, and the provider fails as planned.
async fn refunded(repeats: Repeats, plan: FaultPlan) -> (Shop, Asked) {
    // Nobody is called before it can be known, however long a call takes to settle.
    let payment = PaymentPolicy { inquiries: 60, ..packs_itself().payment };
    let world = World::new(Disk::memory(), Physical { payment, ..packs_itself() });
    world.gateway.plan(plan);
    let asked = Arc::new(Mutex::new(Asked::default()));
    let gateway = Promises { inner: world.gateway.clone(), repeats, asked: asked.clone() };
    let wiring = world.wiring().payments(Arc::new(gateway));
    let shop = world.open_with(Timestamp::from_millis(MORNING), wiring).await;
    shop.place(draft("o-1", &[5_000], &[("card", 5_000)])).await.unwrap();
    shop.asks("o-1", &carla(), start(1)).await;
    shop.asks("o-1", &agent("sue"), cancel()).await;
    shop.pass(10 * DAY).await;
    let asked = asked.lock().unwrap().clone();
    (shop, asked)
}

/// The merchant would have paid twice: the key of the first refund was forgotten when the second went out.
#[test]
pub(super) fn a_refund_of_which_nobody_tells_goes_out_again_only_while_its_key_is_kept() {
    run(async {
        let key_ttl = Duration::from_millis(HOUR);
        let lost = every(FaultPlan::default(), "refund", 1, Fault::LoseAnswer);
        let silent = every(lost, "inquire_refund", 1, Fault::LoseCall);
        let (shop, calls) = refunds(Repeats::Idempotent { key_ttl }, silent).await;
        assert!(calls.len() > 1, "the same key may go out again for an hour: {calls:?}");
        assert!(calls.iter().all(|age| *age < key_ttl), "{calls:?}");
        assert!(shop.order("o-1").await.progress.holds.iter().any(|h| h.code == "reconcile"));
        assert_eq!(shop.world.gateway.moved(&super::support::key("o-1")), (5_000, 5_000));
        shop.journal("o-1").await;
    });
}

#[test]
fn a_refund_without_keys_and_without_inquiry_goes_out_once_and_waits_for_a_person() {
    run(async {
        let lost = every(FaultPlan::default(), "refund", 1, Fault::LoseAnswer);
        let silent = every(lost, "inquire_refund", 1, Fault::LoseCall);
        for repeats in [Repeats::AtMostOnce, Repeats::Lookup { settle: Duration::from_millis(MINUTE) }] {
            let (shop, calls) = refunds(repeats, silent.clone()).await;
            assert_eq!(calls.len(), 1, "{repeats:?}");
            assert!(shop.order("o-1").await.progress.holds.iter().any(|h| h.code == "reconcile"));
            assert_eq!(shop.phase("o-1").await, "cancelling", "and the order stays where it is");
        }
    });
}

#[test]
fn a_refund_that_the_provider_does_not_have_goes_out_again_once_the_first_call_has_settled() {
    run(async {
        let never = FaultPlan::default().fault("o-1", 1, "refund", 1, Fault::LoseCall);
        let settle = Duration::from_millis(HOUR);
        let (shop, calls) = refunds(Repeats::Lookup { settle }, never).await;
        assert_eq!(calls.len(), 2, "{calls:?}");
        assert!(calls[1] >= settle, "not before the first call has settled: {calls:?}");
        assert_eq!(shop.phase("o-1").await, "cancelled", "{}", shop.show("o-1").await);
        assert_eq!(shop.world.gateway.moved(&super::support::key("o-1")), (5_000, 5_000));
        // A provider that keeps keys is asked sooner, and later than its keys live by an inquiry only.
        let never = every(FaultPlan::default(), "refund", 1, Fault::LoseCall);
        let key_ttl = Duration::from_millis(MINUTE);
        let (_, calls) = refunds(Repeats::Idempotent { key_ttl }, never).await;
        assert!(calls.len() > 2 && calls[1] >= key_ttl, "cleared by inquiries: {calls:?}");
    });
}

/// What is not there yet may still come: an inquiry made too early says nothing, however much later it is acted upon.
#[test]
fn a_refund_goes_out_again_only_where_an_inquiry_made_after_it_had_settled_did_not_find_it() {
    run(async {
        for settle in [HOUR / 2, 2 * HOUR, 7 * HOUR, 30 * HOUR] {
            let settle = Duration::from_millis(settle);
            // Two of them never arrive.
            let plan = FaultPlan::default();
            let lost = plan.fault("o-1", 1, "refund", 1, Fault::LoseCall).fault(
                "o-1",
                1,
                "refund",
                2,
                Fault::LoseCall,
            );
            let (shop, asked) = refunded(Repeats::Lookup { settle }, lost).await;
            assert_eq!(asked.refunds.len(), 3, "{settle:?}: {asked:?}");
            for sent in asked.refunds.windows(2) {
                let late = |at: &&Timestamp| **at < sent[1] && **at >= sent[0].saturating_add(settle);
                assert!(asked.inquiries.iter().any(|at| late(&at)), "{settle:?}: {asked:?}");
            }
            assert_eq!(shop.phase("o-1").await, "cancelled", "{}", shop.show("o-1").await);
            assert_eq!(shop.world.gateway.moved(&super::support::key("o-1")), (5_000, 5_000));
        }
    });
}
