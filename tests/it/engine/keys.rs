//! How often a refund goes out, by what its provider promises about keys.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use consign::clock::Timestamp;
use consign::gateway::{PaymentGateway, Repeats, Ticket};
use consign::machine::{Effect, Reply};
use consign::stage::payment::{Capture, Charge, Close, Inquire, Void};
use consign::stage::refund::{InquireRefund, SendBack};
use consign::testing::{Fault, FaultPlan, SandboxGateway};

use super::journey::{cancel, start};
use super::support::{DAY, Disk, HOUR, MINUTE, MORNING, Shop, World, agent, carla, draft, packs_itself, run};

type Answer<X> = Reply<<X as Effect>::Done, <X as Effect>::Declined>;

/// A sandbox that promises something else about its keys, and notes when it was asked to give money back.
struct Promises {
    inner: Arc<SandboxGateway>,
    repeats: Repeats,
    refunds: Arc<Mutex<Vec<Timestamp>>>,
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
        self.refunds.lock().unwrap().push(t.now);
        self.inner.refund(x, t).await
    }
    async fn inquire_refund(&self, x: InquireRefund, t: &Ticket) -> Answer<InquireRefund> {
        self.inner.inquire_refund(x, t).await
    }
}

fn every(plan: FaultPlan, operation: &'static str, from: u32, fault: Fault) -> FaultPlan {
    (from..200).fold(plan, |plan, n| plan.fault("o-1", 1, operation, n, fault))
}

/// A paid order is cancelled, and the provider fails as planned. When the refund went out, counted from the first call.
async fn refunds(repeats: Repeats, plan: FaultPlan) -> (Shop, Vec<Duration>) {
    let world = World::new(Disk::memory(), packs_itself());
    world.gateway.plan(plan);
    let calls = Arc::new(Mutex::new(Vec::new()));
    let gateway = Promises { inner: world.gateway.clone(), repeats, refunds: calls.clone() };
    let wiring = world.wiring().payments(Arc::new(gateway));
    let shop = world.open_with(Timestamp::from_millis(MORNING), wiring).await;
    shop.place(draft("o-1", &[5_000], &[("card", 5_000)])).await.unwrap();
    shop.asks("o-1", &carla(), start(1)).await;
    shop.asks("o-1", &agent("sue"), cancel()).await;
    shop.pass(10 * DAY).await;
    let calls = calls.lock().unwrap().clone();
    let first = calls[0];
    (shop, calls.into_iter().map(|at| at.since(first)).collect())
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
