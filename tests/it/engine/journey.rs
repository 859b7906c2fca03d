//! Whole journeys, and what they cost in commits.

use consign::engine::Delivered;
use consign::id::Key;
use consign::pipeline::Disposition;
use consign::pipeline::lifecycle::{Cancel, RequestReturn, lifecycle};
use consign::stage::dispatch::{Accepted, CameBack, DeliveredTo, HandOver, Receiver, parcel};
use consign::stage::payment::{Start, attempt};
use consign::stage::refund::{Request, refund};
use consign::stage::review::{Approve, Claim, case};
use consign::store::Store as _;

use super::support::{Counts, DAY, Disk, Folder, MINUTE, Shop, agent, carla, count, draft, key};

pub(crate) fn start(tender: u32) -> consign::machine::Call {
    attempt::M::command(tender, Start { tender: Key(tender), channel: None, method: String::new() })
}

pub(crate) fn cancel() -> consign::machine::Call {
    lifecycle::M::command(1, Cancel { reason: "changed their mind".into() })
}

pub(crate) fn delivered(parcel: u32) -> consign::machine::Call {
    parcel::M::evidence(parcel, DeliveredTo { by: Receiver::Customer })
}

/// A reviewer claims the case and lets it pass.
pub(crate) async fn approves(shop: &Shop, order: &str, who: &str) {
    shop.asks(order, &agent(who), case::M::command(1, Claim::default())).await;
    let view = shop.order(order).await;
    let Some(case::State::Claimed(s)) = view.state::<case::M>(1) else {
        panic!("{}", shop.show(order).await)
    };
    let token = s.lease.token;
    shop.asks(order, &agent(who), case::M::command(1, Approve { token })).await;
}

/// 600.00 over two tenders, seen by two people, in two parcels.
async fn sold(shop: &Shop, order: &str) {
    let placed =
        shop.place(draft(order, &[40_000, 20_000], &[("card", 45_000), ("voucher", 15_000)])).await.unwrap();
    assert!(!placed.existing);
    assert_eq!(shop.phase(order).await, "awaiting_payment");
    shop.pass(MINUTE).await;
    shop.asks(order, &carla(), start(1)).await;
    assert_eq!(shop.phase(order).await, "awaiting_payment");
    shop.asks(order, &carla(), start(2)).await;
    assert_eq!(shop.phase(order).await, "under_review");
    approves(shop, order, "anna").await;
    assert_eq!(shop.phase(order).await, "under_review", "one of two has approved");
    approves(shop, order, "ben").await;
    assert_eq!(shop.phase(order).await, "dispatching", "{}", shop.show(order).await);
}

async fn shipped(shop: &Shop, order: &str) {
    // The warehouse says so for one, the carrier for the other.
    shop.asks(order, &agent("wim"), parcel::M::command(1, HandOver)).await;
    assert_eq!(shop.phase(order).await, "partially_dispatched");
    let scan = shop.hears(order, &format!("{order}-out"), parcel::M::evidence(2, Accepted)).await;
    assert_eq!(scan, Delivered::Applied(Disposition::Moved));
    assert_eq!(shop.phase(order).await, "dispatched");
}

async fn whole_journey(disk: Disk, reopens: bool) {
    let mut shop = Shop::morning(disk).await;
    sold(&shop, "o-1").await;
    if reopens {
        shop = shop.reopened().await;
    }
    shipped(&shop, "o-1").await;
    shop.pass(DAY).await;
    shop.hears("o-1", "d-1", delivered(1)).await;
    assert_eq!(shop.phase("o-1").await, "partially_delivered");
    shop.hears("o-1", "d-2", delivered(2)).await;
    assert_eq!(shop.phase("o-1").await, "completed", "{}", shop.show("o-1").await);
    assert_eq!(shop.balances("o-1").await, "psp:card 45000, psp:voucher 15000, earned -60000");
    assert_eq!(shop.world.gateway.moved(&key("o-1")), (60_000, 0));

    // The second comes back, and its money goes back.
    sold(&shop, "o-2").await;
    shipped(&shop, "o-2").await;
    if reopens {
        shop = shop.reopened().await;
    }
    let back = lifecycle::M::command(1, RequestReturn { reason: "too small".into() });
    shop.asks("o-2", &agent("sue"), back).await;
    shop.hears("o-2", "b-1", parcel::M::evidence(1, CameBack)).await;
    assert_eq!(shop.world.gateway.moved(&key("o-2")), (60_000, 0), "half of it is still out");
    shop.hears("o-2", "b-2", parcel::M::evidence(2, CameBack)).await;
    assert_eq!(shop.phase("o-2").await, "cancelled", "{}", shop.show("o-2").await);
    assert_eq!(shop.balances("o-2").await, "");
    assert_eq!(shop.world.gateway.moved(&key("o-2")), (60_000, 60_000));
    let totals = shop.world.gateway.totals();
    assert_eq!(totals.refunded_minor["card"], 45_000);
    assert_eq!(totals.refunded_minor["voucher"], 15_000);
    assert_eq!(totals.duplicate_effects, 0);
    assert_eq!(shop.world.stock.duplicate_effects(), 0);

    // The window for returns passes; nothing happens but that the order closes.
    shop.pass(121 * DAY).await;
    assert_eq!(shop.phase("o-1").await, "closed");
    assert_eq!(shop.world.gateway.moved(&key("o-1")), (60_000, 0));
    assert_eq!(shop.engine.report().parked, 0);
    shop.journal("o-1").await;
    shop.journal("o-2").await;
    shop.life.check().await.unwrap();
}

#[test]
fn an_order_is_paid_approved_by_two_shipped_and_delivered_and_another_is_refunded_in_full() {
    super::support::run(whole_journey(Disk::memory(), false));
}

#[test]
fn the_same_on_sqlite() {
    let folder = Folder::new("journey");
    super::support::run(whole_journey(Disk::file(&folder.file("orders.db")), false));
}

#[test]
fn the_same_when_the_engine_is_stopped_and_started_on_the_way() {
    super::support::run(whole_journey(Disk::memory(), true));
    let folder = Folder::new("journey-reopened");
    super::support::run(whole_journey(Disk::file(&folder.file("orders.db")), true));
}

#[test]
fn a_part_of_the_money_goes_back_and_never_more_than_was_captured() {
    super::support::run(async {
        let shop = Shop::morning(Disk::memory()).await;
        shop.place(draft("o-1", &[5_000], &[("card", 5_000)])).await.unwrap();
        shop.asks("o-1", &carla(), start(1)).await;
        let request = |key: u32, minor: i64| {
            refund::M::command(
                key,
                Request {
                    attempt: Key(1),
                    channel: "card".parse().unwrap(),
                    reference: None,
                    amount_minor: minor,
                    reason: "a scratch".into(),
                },
            )
        };
        shop.asks("o-1", &agent("sue"), request(1, 1_500)).await;
        assert_eq!(shop.world.gateway.moved(&key("o-1")), (5_000, 1_500));
        let refused = shop.command("o-1", &agent("sue"), "", request(2, 3_501)).await;
        assert!(refused.is_err(), "{refused:?}");
        assert_eq!(shop.world.gateway.moved(&key("o-1")), (5_000, 1_500));
        shop.asks("o-1", &agent("sue"), request(2, 3_500)).await;
        assert_eq!(shop.world.gateway.moved(&key("o-1")), (5_000, 5_000));
        shop.journal("o-1").await;
    });
}

/// Commits = 1 + accepted commands + evidence and timers applied; an effect adds exactly one.
async fn commits(disk: Disk) {
    let shop = Shop::morning(disk).await;
    sold(&shop, "o-1").await;
    shipped(&shop, "o-1").await;
    assert!(shop.command("o-1", &carla(), "", cancel()).await.is_err(), "it is out");
    shop.hears("o-1", "d-1", delivered(1)).await;
    assert_eq!(shop.hears("o-1", "d-1", delivered(1)).await, Delivered::Known);
    shop.hears("o-1", "d-2", delivered(2)).await;
    shop.pass(121 * DAY).await;
    let journal = shop.journal("o-1").await;
    let counts = count(&journal);
    let expected = Counts {
        placed: 1,
        // Two tenders, two reviewers who claim and approve, one hand-over.
        commands: 7,
        // One scan of the carrier, two deliveries; the repeated one is known.
        evidence: 3,
        // The window for returns.
        timers: 1,
        answers: counts.effects,
        // Score, two charges, and for each parcel reserve, book and consume.
        effects: 9,
        ..Counts::default()
    };
    assert_eq!(counts, expected);
    let formula = 1 + 7 + 3 + 1 + 9;
    assert_eq!(journal.len(), formula, "commits of one order");
    assert_eq!(shop.life.commits(), formula as u64);
    assert_eq!(shop.engine.report().commits, formula as u64);
    assert_eq!(shop.life.stats().batches, formula as u64);
    assert_eq!(shop.engine.report().calls, 9);
}

#[test]
fn an_order_costs_one_commit_per_input_and_one_per_effect() {
    super::support::run(commits(Disk::memory()));
    let folder = Folder::new("commits");
    super::support::run(commits(Disk::file(&folder.file("orders.db"))));
}
