//! What is told apart by what: events by their order, keys by who asks for what, refunds by what took the money, and
//! orders of one name by when they were placed.

use consign::engine::Delivered;
use consign::id::Key;
use consign::pipeline::Disposition;
use consign::pipeline::lifecycle::{Cancel, lifecycle};
use consign::stage::dispatch::{HandOver, parcel};
use consign::stage::payment::{Paid, attempt};
use consign::stage::refund::{Request, refund};

use super::journey::{cancel, delivered, start};
use super::support::{DAY, Disk, Folder, HOUR, Shop, agent, carla, draft, key, run, told};

async fn paid(shop: &Shop, order: &str) {
    shop.place(draft(order, &[5_000], &[("card", 5_000)])).await.unwrap();
    shop.asks(order, &carla(), start(1)).await;
    assert_eq!(shop.world.gateway.moved(&key(order)).0, 5_000, "{}", shop.show(order).await);
}

fn request(attempt: u32, reference: Option<&str>, amount_minor: i64) -> Request {
    Request {
        attempt: Key(attempt),
        channel: "card".parse().unwrap(),
        reference: reference.map(Into::into),
        amount_minor,
        reason: "for the delay".into(),
    }
}

async fn one_event(disk: Disk) {
    let shop = Shop::morning(disk).await;
    let scan = |order| told(order, "manifest-7", shop.now(), delivered(1));
    for order in ["o-1", "o-2"] {
        assert_eq!(shop.engine.deliver(scan(order)).await, Ok(Delivered::Kept), "{order}");
        assert_eq!(shop.engine.deliver(scan(order)).await, Ok(Delivered::Known), "{order}, once more");
    }
    let shop = shop.reopened().await;
    for order in ["o-1", "o-2"] {
        paid(&shop, order).await;
        shop.asks(order, &agent("wim"), parcel::M::command(1, HandOver)).await;
        assert_eq!(shop.phase(order).await, "completed", "{}", shop.show(order).await);
    }
}

/// A carrier's manifest tells of many orders in one message. The second order's parcel would never have arrived.
#[test]
fn a08_one_event_about_two_orders_reaches_both() {
    run(one_event(Disk::memory()));
    let folder = Folder::new("manifest");
    run(one_event(Disk::file(&folder.file("orders.db"))));
}

/// A second command under a key that another one bore was answered `Ok`, and dropped.
#[test]
fn a08_a_key_belongs_to_one_command_of_one_person() {
    run(async {
        let shop = Shop::morning(Disk::memory()).await;
        paid(&shop, "o-1").await;
        let why = |text: &str| lifecycle::M::command(1, Cancel { reason: text.into() });
        let hand_over = || parcel::M::command(1, HandOver);
        shop.command("o-1", &agent("wim"), "click-1", hand_over()).await.unwrap();
        let before = shop.life.load_raw("o-1").await;
        for (who, call) in [
            (agent("wim"), why("lost")),
            (agent("ann"), hand_over()),
            (carla(), hand_over()),
            (agent("wim"), parcel::M::command(2, HandOver)),
        ] {
            let told = shop.command("o-1", &who, "click-1", call).await.unwrap_err().to_string();
            assert!(told.contains("key"), "{who}: {told}");
        }
        assert_eq!(shop.life.load_raw("o-1").await, before, "nothing is written");
        let again = shop.command("o-1", &agent("wim"), "click-1", hand_over()).await.unwrap();
        assert_eq!(again.disposition, Disposition::Duplicate);
        // Also by who reads it back.
        let shop = shop.reopened().await;
        let again = shop.command("o-1", &agent("wim"), "click-1", hand_over()).await.unwrap();
        assert_eq!(again.disposition, Disposition::Duplicate);
        let told = shop.command("o-1", &agent("ann"), "click-1", hand_over()).await.unwrap_err();
        assert!(told.to_string().contains("key"), "{told}");
        shop.journal("o-1").await;
    });
}

/// A key is known for as long as its command could be sent again, however many came since.
#[test]
fn a08_a_key_is_not_forgotten_after_many_others() {
    run(async {
        let shop = Shop::with(Disk::memory(), consign::pipeline::Physical::default()).await;
        paid(&shop, "o-1").await;
        let hold = |n: usize| match n % 2 {
            0 => parcel::M::command(1, consign::stage::dispatch::Hold { reason: format!("reason {n}") }),
            _ => parcel::M::command(
                1,
                consign::stage::dispatch::Unhold { reason: format!("reason {}", n - 1) },
            ),
        };
        for n in 0..200 {
            shop.command("o-1", &agent("wim"), &format!("click-{n}"), hold(n)).await.unwrap();
        }
        let shop = shop.reopened().await;
        let version = shop.life.load_raw("o-1").await.version;
        for n in [0, 1, 100, 199] {
            let again = shop.command("o-1", &agent("wim"), &format!("click-{n}"), hold(n)).await.unwrap();
            assert_eq!(again.disposition, Disposition::Duplicate, "{n}");
            let other = shop.command("o-1", &agent("wim"), &format!("click-{n}"), hold(n + 1)).await;
            assert!(other.unwrap_err().to_string().contains("key"), "{n}");
        }
        assert_eq!(shop.life.load_raw("o-1").await.version, version);
        shop.journal("o-1").await;
    });
}

/// A webhook that comes again after 200 others was money that came once more.
#[test]
fn a08_the_first_message_is_known_after_many_others() {
    run(async {
        let shop = Shop::morning(Disk::memory()).await;
        paid(&shop, "o-1").await;
        let order = shop.order("o-1").await.progress.order;
        let money = |n: usize| Paid {
            channel: "card".parse().unwrap(),
            reference: format!("ch_{n}"),
            amount: order.total(),
            more_allowed: false,
            movement: None,
        };
        for n in 0..200 {
            shop.hears("o-1", &format!("evt-{n}"), attempt::M::evidence(1, money(n))).await;
        }
        let (books, version) = (shop.balances("o-1").await, shop.life.load_raw("o-1").await.version);
        let shop = shop.reopened().await;
        for n in [0, 1, 100] {
            let again = shop.hears("o-1", &format!("evt-{n}"), attempt::M::evidence(1, money(n))).await;
            assert_eq!(again, Delivered::Known, "{n}");
        }
        assert_eq!((shop.balances("o-1").await, shop.life.load_raw("o-1").await.version), (books, version));
        shop.journal("o-1").await;
    });
}

/// A refund with the highest number there is took the place of all that came after it: they never went out.
#[test]
fn a08_a_refund_with_the_highest_number_swallows_no_other() {
    run(async {
        let shop = Shop::morning(Disk::memory()).await;
        paid(&shop, "o-1").await;
        let last = refund::M::command(u32::MAX, request(1, None, 1_000));
        let _ = shop.command("o-1", &agent("sue"), "", last).await;
        shop.asks("o-1", &agent("sue"), cancel()).await;
        shop.pass(HOUR).await;
        assert_eq!(shop.world.gateway.moved(&key("o-1")), (5_000, 5_000), "{}", shop.show("o-1").await);
        assert_eq!(shop.phase("o-1").await, "cancelled", "{}", shop.show("o-1").await);
    });
}

/// A refund of an attempt that never was, under somebody else's reference, went to the provider.
#[test]
fn a08_a_refund_is_bound_to_the_attempt_that_took_the_money() {
    run(async {
        let shop = Shop::morning(Disk::memory()).await;
        paid(&shop, "o-1").await;
        let before = shop.life.load_raw("o-1").await;
        let voucher = Request { channel: "voucher".parse().unwrap(), ..request(1, None, 1_000) };
        for wrong in [
            request(77, Some("ch_of_somebody_else"), 1_000),
            request(77, None, 1_000),
            request(1, Some("ch_of_somebody_else"), 1_000),
            voucher,
        ] {
            let said = format!("{wrong:?}");
            let answer = shop.command("o-1", &agent("sue"), "", refund::M::command(1, wrong)).await;
            assert!(answer.is_err(), "{said}");
        }
        assert_eq!(shop.life.load_raw("o-1").await, before, "nothing is written");
        assert_eq!(shop.world.gateway.moved(&key("o-1")), (5_000, 0));
        shop.asks("o-1", &agent("sue"), refund::M::command(1, request(1, None, 1_000))).await;
        shop.pass(HOUR).await;
        assert_eq!(shop.world.gateway.moved(&key("o-1")), (5_000, 1_000));
    });
}

/// The name of an order that is deleted is free. What is sent for the next one of that name is another operation.
#[test]
fn a08_a_name_that_is_used_again_uses_no_key_again() {
    run(async {
        let shop = Shop::morning(Disk::memory()).await;
        paid(&shop, "o-1").await;
        shop.asks("o-1", &agent("sue"), cancel()).await;
        shop.pass(DAY).await;
        assert_eq!(shop.world.gateway.moved(&key("o-1")), (5_000, 5_000), "{}", shop.show("o-1").await);
        let version = shop.life.load_raw("o-1").await.version;
        let shop = shop.reopened().await;
        let store = shop.engine.store();
        store.delete(&key("o-1"), version).await.unwrap();
        let shop = shop.reopened().await;
        shop.place(draft("o-1", &[7_000], &[("card", 7_000)])).await.unwrap();
        shop.asks("o-1", &carla(), start(1)).await;
        shop.pass(HOUR).await;
        assert_eq!(shop.world.gateway.moved(&key("o-1")), (12_000, 5_000), "{}", shop.show("o-1").await);
    });
}
