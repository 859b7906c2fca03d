//! The laws of [`Store`], as one call.
//!
//! ```text
//! conformance::store(|| async { Arc::new(MyStore::fresh().await) as Arc<dyn Store> }).await;
//! conformance::durable(|| async { Arc::new(MyStore::at(&path).await) as Arc<dyn Store> }).await;
//! ```
//!
//! A store that passes keeps every promise the library builds on. A broken law panics with a
//! sentence that says which. The suite needs no runtime of its own and takes seconds.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;
use std::future::Future;
use std::sync::Arc;

use futures::FutureExt;
use futures::future::join_all;

use crate::clock::Timestamp;
use crate::id::{OrderId, OrderKey, TenantId};
use crate::store::{
    Batch, Brief, Bytes, Columns, CommitError, Entry, Error, Filter, Found, Hash, Held, InboxPut, InboxRow,
    Incarnation, IndexChange, MAX_BATCH_BYTES, MAX_KEY_BYTES, MAX_NUMBER, MAX_SPACE_BYTES, Owner, PipelineId,
    Position, Release, Store, Stored,
};

/// Proves that stores made by `fresh` keep the laws. Each call of `fresh` has to make an empty
/// store of its own.
///
/// # Panics
///
/// With a sentence, when a law is broken.
pub async fn store<F, Fut>(fresh: F)
where
    F: Fn() -> Fut,
    Fut: Future<Output = Arc<dyn Store>>,
{
    macro_rules! topics {
        ($($topic:ident)*) => {
            $(
                let store = fresh().await;
                Box::pin($topic(&*store)).await;
                well(store.check().await, concat!("the store is whole after ", stringify!($topic)));
                well(store.close().await, concat!("the store closes after ", stringify!($topic)));
            )*
        };
    }
    topics! {
        an_empty_store_is_empty
        a_placed_order_comes_back_as_it_was
        columns_survive_their_extremes
        a_version_is_taken_once
        the_same_batch_twice_is_once
        a_batch_that_breaks_a_law_writes_nothing
        neighbours_do_not_suffer
        batches_of_one_order_are_taken_in_order
        many_batches_in_one_call_are_each_answered
        refunds_stay_within_what_was_captured
        too_large_is_said
        the_journal_has_no_gaps
        the_journal_is_read_in_pages
        the_document_stays_until_it_is_replaced
        policies_are_kept_by_content
        index_rows_find_orders_in_sort_order
        index_rows_are_read_in_pages
        migrating_twice_is_once
        the_feed_is_in_the_order_of_commits
        a_feed_read_while_writing_misses_nothing
        cursors_walk_all_orders_once
        filters_let_through_what_they_say
        tenants_never_meet
        incarnations_grow
        leases_end
        claims_take_what_nobody_owns
        claims_leave_what_the_claimant_cannot_read
        an_old_owner_is_fenced
        what_another_owner_wrote_is_not_the_same_batch
        an_event_is_known_for_good
        events_wait_in_order
        an_archive_holds_the_row_and_the_whole_journal
        only_closed_orders_are_deleted
        a_deleted_order_leaves_no_trace
        pipelines_are_counted
        releases_are_kept
        of_racing_writers_one_wins
        a_dropped_future_does_nothing_by_halves
    }
    a_closed_store_says_so(&*fresh().await).await;
}

/// Proves that what a store answered with `Ok` is there when it is opened again. `open` opens the
/// same storage each time; the first time it has to be empty.
///
/// # Panics
///
/// With a sentence, when something is missing.
pub async fn durable<F, Fut>(open: F)
where
    F: Fn() -> Fut,
    Fut: Future<Output = Arc<dyn Store>>,
{
    Box::pin(everything_is_there_after_reopening(&open)).await;
    Box::pin(positions_and_incarnations_go_on_after_reopening(&open)).await;
    Box::pin(repeated_reopening_loses_nothing(&open)).await;
}

// ------------------------------------------------------------------------------------ placing

async fn an_empty_store_is_empty(store: &dyn Store) {
    let key = order("nobody");
    same(store.load(&key).await, Ok(None), "an order never placed is not there");
    same(store.journal(&key, 0, 10).await, Ok(vec![]), "it has no journal");
    same(store.policy(&hash("none")).await, Ok(None), "an unknown policy is not there");
    same(store.scan(None, 10, false).await, Ok(vec![]), "a scan finds nothing");
    same(store.list(&Filter::default(), None, 10).await, Ok(vec![]), "a list finds nothing");
    let found = store.lookup(&TenantId::default(), "space", "key", None, 10).await;
    same(found, Ok(vec![]), "a lookup finds nothing");
    same(store.feed(Position(0), 10).await, Ok(vec![]), "the feed is empty");
    same(store.inbox_take(&key).await, Ok(vec![]), "no event waits");
    same(store.inbox_waiting(None, 10).await, Ok(vec![]), "no order has events");
    same(store.pipelines().await, Ok(vec![]), "no pipeline is in use");
    let gone = Err(CommitError::Stale { found: None });
    same(store.delete(&key, 1).await, gone, "what is not there cannot be deleted");
    same(store.stats().batches, 0, "nothing has been counted");
    let none: Vec<Batch> = Vec::new();
    same(store.commit(none).await, vec![], "no batches, no answers");
}

async fn a_placed_order_comes_back_as_it_was(store: &dyn Store) {
    let first = Batch { owner: Some(Owner { incarnation: begin(store, "w").await, epoch: 7 }), ..place("a") };
    commit(store, &first).await;
    same(loaded(store, &first.order).await, as_stored(&first), "it comes back as it was placed");
    let second = Batch {
        columns: Columns {
            phase: "shipping".into(),
            parked: Some("address unclear".into()),
            captured_minor: 12_990,
            wake_at: None,
            updated_at: at(99),
            ..first.columns.clone()
        },
        progress: bytes("further on"),
        ..after(&first)
    };
    commit(store, &second).await;
    let expected = Stored { document: as_stored(&first).document, owner: first.owner, ..as_stored(&second) };
    same(loaded(store, &first.order).await, expected, "and as the next batch left it");
    let jump = Batch { version: 900, ..after(&second) };
    commit(store, &jump).await;
    same(loaded(store, &first.order).await.version, 900, "a version may skip numbers");
    let placed_elsewhere = OrderKey::new(tenant("other"), first.order.order.clone());
    same(store.load(&placed_elsewhere).await, Ok(None), "its name in another tenant is free");
}

async fn columns_survive_their_extremes(store: &dyn Store) {
    let extremes = [
        Columns {
            fingerprint: u64::MAX,
            pipeline_version: u32::MAX,
            captured_minor: i64::MAX,
            reserved_minor: i64::MAX,
            refunded_minor: 0,
            wake_at: Some(at(i64::MAX)),
            placed_at: at(i64::MIN),
            updated_at: at(-1),
            phase: "".into(),
            parked: Some("".into()),
            ..columns()
        },
        Columns {
            captured_minor: i64::MIN,
            reserved_minor: i64::MAX,
            refunded_minor: i64::MAX,
            overdrawn: true,
            fingerprint: 0,
            pipeline: "na\u{EF}ve \u{2019}; DROP TABLE orders; -- \u{1F4E6}".into(),
            parked: Some("%_'\"\\\u{0}".into()),
            ..columns()
        },
    ];
    for (number, columns) in extremes.into_iter().enumerate() {
        let name = format!("extreme-{number}");
        let batch = Batch {
            version: MAX_NUMBER,
            head: Hash([0xff; 32]),
            columns,
            progress: Arc::from([]),
            document: Some(Arc::from([0, 255, 0])),
            entries: vec![Entry { seq: MAX_NUMBER, hash: Hash([0; 32]), body: Arc::from([]) }],
            ..place(&name)
        };
        commit(store, &batch).await;
        same(loaded(store, &batch.order).await, as_stored(&batch), "extremes come back");
        let journal = store.journal(&batch.order, 0, 9).await;
        same(journal, Ok(batch.entries.clone()), "the last sequence number is one too");
    }
}

// ----------------------------------------------------------------------------------- guarding

async fn a_version_is_taken_once(store: &dyn Store) {
    let first = place("a");
    let stale = |found| Err(CommitError::Stale { found });
    let early = Batch { expected: 1, version: 2, ..first.clone() };
    same(answer(store, &early).await, stale(None), "an order is placed before it moves");
    commit(store, &first).await;
    let again = Batch { head: hash("another content"), ..first.clone() };
    same(answer(store, &again).await, stale(Some(1)), "a name is placed once");
    let second = after(&first);
    let rival = Batch { head: hash("rival"), progress: bytes("rival"), ..second.clone() };
    commit(store, &second).await;
    same(answer(store, &rival).await, stale(Some(2)), "a version leads one way");
    let far = Batch { expected: 9, version: 10, ..second.clone() };
    same(answer(store, &far).await, stale(Some(2)), "nobody writes from the future");
    let now = loaded(store, &first.order).await;
    same((now.version, now.head), (second.version, second.head), "the losers left nothing");
    same(journal(store, &first.order).await.len(), 2, "not even an entry");
}

async fn the_same_batch_twice_is_once(store: &dyn Store) {
    let first = Batch { index: vec![put("ref", "x", 1)], ..place("a") };
    let position = commit(store, &first).await;
    commit(store, &place("b")).await;
    same(answer(store, &first).await, Ok(position), "placing again answers the first position");
    let second = after(&first);
    let later = commit(store, &second).await;
    law(later > position, "positions grow");
    same(answer(store, &second).await, Ok(later), "moving again answers the first position");
    let twice = store.commit(vec![second.clone(), second.clone()]).await;
    same(twice, vec![Ok(later), Ok(later)], "twice in one call too");
    let third = after(&second);
    let both = store.commit(vec![third.clone(), third.clone()]).await;
    law(both.first() == both.get(1), "even when neither was there before");
    well(both.into_iter().collect::<Result<Vec<_>, _>>(), "and it is written");
    same(journal(store, &first.order).await.len(), 3, "each entry is there once");
    let other = Batch { head: hash("other"), ..third.clone() };
    let stale = Err(CommitError::Stale { found: Some(3) });
    same(answer(store, &other).await, stale, "the version alone is no token");
    let last = answer(store, &third).await;
    let silent = Batch { entries: vec![], ..after(&third) };
    same(answer(store, &silent).await, last.clone(), "without entries it is the last position");
    same(answer(store, &silent).await, last, "also when asked again");
    let now = loaded(store, &first.order).await;
    same(now.version, silent.version, "a batch without entries moves the order all the same");
}

async fn a_batch_that_breaks_a_law_writes_nothing(store: &dyn Store) {
    let good = place("a");
    let backwards = Batch { expected: 5, version: 5, ..good.clone() };
    let nowhere = Batch { version: 0, ..good.clone() };
    let bare = Batch { document: None, ..good.clone() };
    let entry = |seq| Entry { seq, hash: hash("e"), body: bytes("e") };
    let gap = Batch { entries: vec![entry(1), entry(3)], ..good.clone() };
    let twice = Batch { entries: vec![entry(1), entry(1)], ..good.clone() };
    let huge = Batch { version: MAX_NUMBER + 1, ..good.clone() };
    let nobody = Owner { incarnation: Incarnation(0), epoch: 1 };
    let owned = Batch { owner: Some(nobody), ..good.clone() };
    for (batch, why) in [
        (backwards, "a batch leads forwards"),
        (nowhere, "the first version is not zero"),
        (bare, "an order is placed with its document"),
        (gap, "entries follow one another"),
        (twice, "no entry has the number of another"),
        (huge, "numbers fit what a database can keep"),
        (owned, "incarnations begin at one"),
    ] {
        refused(answer(store, &batch).await, why);
        same(store.load(&batch.order).await, Ok(None), why);
    }
    same(store.feed(Position(0), 9).await, Ok(vec![]), "refused batches leave no entry");
    commit(store, &good).await;
}

async fn neighbours_do_not_suffer(store: &dyn Store) {
    commit(store, &place("taken")).await;
    let overspent = Columns { refunded_minor: 1, ..columns() };
    let batches = vec![
        place("first"),
        Batch { head: hash("rival"), ..place("taken") },
        place("second"),
        Batch { columns: overspent, ..place("overspent") },
        Batch { expected: 3, version: 4, ..place("absent") },
        Batch { policies: vec![(hash("big"), Arc::from(vec![0; 17 << 20]))], ..place("heavy") },
        place("third"),
    ];
    let answers = store.commit(batches).await;
    same(answers.len(), 7, "there is one answer for each batch");
    let kinds: Vec<_> = answers
        .iter()
        .map(|answer| match answer {
            Ok(_) => "ok",
            Err(CommitError::Stale { .. }) => "stale",
            Err(CommitError::Refused(_)) => "refused",
            Err(CommitError::TooLarge { .. }) => "too large",
            Err(_) => "other",
        })
        .collect();
    let expected = ["ok", "stale", "ok", "refused", "stale", "too large", "ok"];
    same(kinds, expected.to_vec(), "each batch is answered for itself");
    let names = names(store.scan(None, 99, false).await);
    same(names, strings(&["first", "second", "taken", "third"]), "and written");
}

async fn batches_of_one_order_are_taken_in_order(store: &dyn Store) {
    let first = place("a");
    let second = after(&first);
    let third = after(&second);
    let skipped = Batch { expected: 9, version: 10, ..after(&third) };
    let fourth = after(&third);
    let answers = store.commit(vec![first.clone(), second, third, skipped, fourth.clone()]).await;
    let stale = Err(CommitError::Stale { found: Some(3) });
    law(answers.get(3) == Some(&stale), "a batch sees what those before it in the call did");
    let positions: Vec<_> = answers.into_iter().filter_map(Result::ok).collect();
    same(positions.len(), 4, "the others are written");
    law(positions.is_sorted_by(|left, right| left < right), "in the order they were given");
    same(loaded(store, &first.order).await.head, fourth.head, "the last one counts");
    same(journal(store, &first.order).await.len(), 4, "the journal has all of them");
}

async fn many_batches_in_one_call_are_each_answered(store: &dyn Store) {
    let batches: Vec<_> = (0..1_000).map(|number| place(&format!("o-{number:04}"))).collect();
    let answers = store.commit(batches).await;
    same(answers.len(), 1_000, "one answer for each of a thousand");
    law(answers.iter().all(Result::is_ok), "all of them are written");
    same(store.scan(None, 2_000, true).await.map(|page| page.len()), Ok(1_000), "and found");
}

async fn refunds_stay_within_what_was_captured(store: &dyn Store) {
    let cases = [
        (10_000, 0, 10_000, false, true),
        (10_000, 4_000, 6_000, false, true),
        (10_000, 4_000, 6_001, false, false),
        (10_000, 10_001, 0, false, false),
        (0, 0, 1, false, false),
        (0, 0, 1, true, true),
        (i64::MAX, i64::MAX, i64::MAX, false, false),
        (-5, 0, 0, false, false),
        (5, 9, -4, false, true),
    ];
    for (number, (captured, reserved, refunded, overdrawn, allowed)) in cases.into_iter().enumerate() {
        let name = format!("money-{number}");
        let first = place(&name);
        commit(store, &first).await;
        let batch = Batch {
            columns: Columns {
                captured_minor: captured,
                reserved_minor: reserved,
                refunded_minor: refunded,
                overdrawn,
                ..columns()
            },
            ..after(&first)
        };
        let what = format!("captured {captured}, reserved {reserved}, refunded {refunded}");
        if allowed {
            well(answer(store, &batch).await, &format!("{what} is allowed"));
        } else {
            refused(answer(store, &batch).await, &what);
            same(loaded(store, &first.order).await.version, 1, &what);
        }
    }
}

async fn too_large_is_said(store: &dyn Store) {
    let limit = |bytes: u64| usize::try_from(bytes).expect("the limits fit into memory");
    let of = |length: usize| -> Bytes { Arc::from(vec![7; length]) };
    let bare = Batch { progress: of(0), document: Some(of(0)), entries: vec![], ..place("a") };
    let full = Batch { progress: of(limit(MAX_BATCH_BYTES)), ..bare.clone() };
    let over = Batch { document: Some(of(1)), ..full.clone() };
    let too_large = |answer| matches!(answer, Err(CommitError::TooLarge { .. }));
    law(too_large(answer(store, &over).await), "a batch has a size it may not exceed");
    let row = |space: u64, key: u64| IndexChange {
        space: "s".repeat(limit(space)).into(),
        key: "k".repeat(limit(key)).into(),
        sort: 0,
        put: true,
    };
    for change in [row(MAX_SPACE_BYTES + 1, 1), row(1, MAX_KEY_BYTES + 1)] {
        let batch = Batch { index: vec![change], ..bare.clone() };
        law(too_large(answer(store, &batch).await), "an index row has a size too");
    }
    same(store.load(&bare.order).await, Ok(None), "what is too large is not written");
    commit(store, &full).await;
    let row = row(MAX_SPACE_BYTES, MAX_KEY_BYTES);
    commit(store, &Batch { index: vec![row.clone()], ..place("b") }).await;
    let found = store.lookup(&TenantId::default(), &row.space, &row.key, None, 10).await;
    same(found, Ok(vec![Found { sort: row.sort, order: order("b") }]), "what just fits is");
}

// ------------------------------------------------------------------------------------ reading

async fn the_journal_has_no_gaps(store: &dyn Store) {
    let entry = |seq| Entry { seq, hash: hash("e"), body: bytes("e") };
    for (name, start) in [("from-zero", 0), ("from-one", 1), ("from-far", 1_000)] {
        let first = Batch { entries: vec![entry(start), entry(start + 1)], ..place(name) };
        commit(store, &first).await;
        for wrong in [start, start + 1, start + 3] {
            let batch = Batch { entries: vec![entry(wrong)], ..after(&first) };
            refused(answer(store, &batch).await, "a journal goes on where it ended");
        }
        same(journal(store, &first.order).await.len(), 2, "what does not fit leaves no entry");
        let none = Batch { entries: vec![], ..after(&first) };
        commit(store, &none).await;
        let next = Batch { entries: vec![entry(start + 2)], ..after(&none) };
        commit(store, &next).await;
        let numbers: Vec<_> = journal(store, &first.order).await.iter().map(|entry| entry.seq).collect();
        same(numbers, vec![start, start + 1, start + 2], "batches without entries leave no gap");
    }
    let silent = Batch { entries: vec![], ..place("silent") };
    same(answer(store, &silent).await, Ok(Position(0)), "no entry, no position");
    commit(store, &Batch { entries: vec![entry(5)], ..after(&silent) }).await;
    same(journal(store, &silent.order).await.len(), 1, "the first entry may come later");
}

async fn the_journal_is_read_in_pages(store: &dyn Store) {
    let first = place("a");
    let mut last = first.clone();
    commit(store, &first).await;
    for _ in 1..40 {
        last = after(&last);
        commit(store, &last).await;
        commit(store, &place(&format!("other-{}", last.version))).await;
    }
    let all = journal(store, &first.order).await;
    same(all.len(), 40, "every entry is there");
    law(all.iter().zip(1..).all(|(entry, seq)| entry.seq == seq), "in order");
    let page = |from, limit| store.journal(&first.order, from, limit);
    let seqs = |page: Result<Vec<Entry>, Error>| -> Vec<u64> {
        well(page, "a page is read").iter().map(|entry| entry.seq).collect()
    };
    same(seqs(page(0, 3).await), vec![1, 2, 3], "the first page begins with the first entry");
    same(seqs(page(4, 3).await), vec![4, 5, 6], "a page begins where it is asked to");
    same(seqs(page(39, 9).await), vec![39, 40], "the last page is short");
    same(seqs(page(41, 9).await), vec![], "behind the end is nothing");
    same(seqs(page(u64::MAX, 9).await), vec![], "nor far behind it");
    same(seqs(page(1, 0).await), vec![], "a page of nothing is empty");
    same(seqs(page(0, usize::MAX).await).len(), 40, "a page may be larger than the journal");
}

async fn the_document_stays_until_it_is_replaced(store: &dyn Store) {
    let first = place("a");
    commit(store, &first).await;
    let second = after(&first);
    commit(store, &second).await;
    let document = |stored: Stored| stored.document;
    let held = document(loaded(store, &first.order).await);
    same(Some(held), first.document.clone(), "a batch without a document leaves it");
    let edited = Batch { document: Some(bytes("edited")), ..after(&second) };
    commit(store, &edited).await;
    let held = document(loaded(store, &first.order).await);
    same(held, bytes("edited"), "a batch with a document replaces it");
}

async fn policies_are_kept_by_content(store: &dyn Store) {
    let (known, other) = (hash("known"), hash("other"));
    let with = |policies, batch: Batch| Batch { policies, ..batch };
    commit(store, &with(vec![(known, bytes("one"))], place("a"))).await;
    same(store.policy(&known).await, Ok(Some(bytes("one"))), "a policy is found by its address");
    let again = vec![(known, bytes("two")), (other, bytes("three"))];
    commit(store, &with(again, place("b"))).await;
    same(store.policy(&known).await, Ok(Some(bytes("one"))), "the first content stays");
    same(store.policy(&other).await, Ok(Some(bytes("three"))), "a new one is added beside it");
    let lost = with(vec![(hash("lost"), bytes("x"))], Batch { expected: 7, version: 8, ..place("c") });
    law(answer(store, &lost).await.is_err(), "a stale batch is stale");
    same(store.policy(&hash("lost")).await, Ok(None), "and leaves no policy");
}

async fn index_rows_find_orders_in_sort_order(store: &dyn Store) {
    let with = |index, batch: Batch| Batch { index, ..batch };
    let default = TenantId::default();
    let find = async |space: &str, key: &str| -> Vec<String> {
        let found = well(store.lookup(&default, space, key, None, 10).await, "a lookup answers");
        found.iter().map(|f| f.order.order.as_str().to_owned()).collect()
    };
    let a = with(vec![put("queue", "tier1", 30), put("ref", "psp-1", 0)], place("a"));
    let b = with(vec![put("queue", "tier1", i64::MIN)], place("b"));
    let c = with(vec![put("queue", "tier1", 30), put("queue", "tier2", 1)], place("c"));
    for batch in [&c, &b, &a] {
        commit(store, batch).await;
    }
    same(find("queue", "tier1").await, strings(&["b", "a", "c"]), "by sort, by key");
    same(find("ref", "psp-1").await, strings(&["a"]), "spaces are apart");
    same(find("ref", "tier1").await, Vec::new(), "a key belongs to its space");
    same(find("queue", "TIER1").await, Vec::new(), "keys are compared byte by byte");
    let resorted = with(vec![put("queue", "tier1", 40)], after(&a));
    commit(store, &resorted).await;
    same(find("queue", "tier1").await, strings(&["b", "c", "a"]), "put moves a row");
    let removed = with(
        vec![IndexChange { put: false, ..put("queue", "tier1", 0) }, put("ref", "psp-2", 0)],
        after(&resorted),
    );
    commit(store, &removed).await;
    same(find("queue", "tier1").await, strings(&["b", "c"]), "whatever its sort");
    same(find("ref", "psp-1").await, strings(&["a"]), "other rows stay");
    same(find("ref", "psp-2").await, strings(&["a"]), "an order has many rows");
    let flip = vec![
        put("flip", "x", 1),
        IndexChange { put: false, ..put("flip", "x", 1) },
        IndexChange { put: false, ..put("flip", "never", 1) },
        put("flip", "y", 1),
    ];
    commit(store, &with(flip, after(&removed))).await;
    same(find("flip", "x").await, Vec::new(), "changes are applied in order");
    same(find("flip", "y").await, strings(&["a"]), "to the last");
    let stale = with(vec![put("queue", "tier1", 0)], Batch { expected: 9, version: 10, ..place("b") });
    law(answer(store, &stale).await.is_err(), "a stale batch is stale");
    same(find("queue", "tier1").await, strings(&["b", "c"]), "and moves no row");
}

fn orders(found: Vec<Found>) -> Vec<OrderKey> {
    found.into_iter().map(|f| f.order).collect()
}

async fn index_rows_are_read_in_pages(store: &dyn Store) {
    // Several orders at one place, at both ends of the scale, and one beyond the page.
    let sorts = [i64::MIN, -1, 7, 7, 7, i64::MAX];
    let mut all = Vec::new();
    for (name, sort) in ["f", "e", "a", "b", "c", "d"].iter().zip(sorts) {
        commit(store, &Batch { index: vec![put("queue", "one", sort)], ..place(name) }).await;
        all.push(Found { sort, order: order(name) });
    }
    commit(store, &Batch { index: vec![put("queue", "two", 7)], ..place("z") }).await;
    all.sort();
    for limit in 1..=7 {
        let (mut walked, mut after) = (Vec::new(), None);
        loop {
            let page = store.lookup(&TenantId::default(), "queue", "one", after, limit).await;
            let page = well(page, "a page is read");
            law(page.len() <= limit, "a page is no longer than asked for");
            after = page.last().cloned();
            if after.is_none() {
                break;
            }
            walked.extend(page);
        }
        same(walked, all.clone(), "pages of any size walk all rows once, in order");
    }
    let none = store.lookup(&TenantId::default(), "queue", "one", None, 0).await;
    same(none, Ok(vec![]), "a page of none is empty");
}

async fn migrating_twice_is_once(store: &dyn Store) {
    commit(store, &place("a")).await;
    let first = well(store.migrate().await, "a store migrates");
    law(first.from >= 1 && first.from <= first.to, "forms begin at one and grow");
    let again = well(store.migrate().await, "it migrates again");
    same((again.from, again.to), (first.to, first.to), "and finds nothing to do");
    same(loaded(store, &order("a")).await, as_stored(&place("a")), "the orders are as they were");
}

async fn the_feed_is_in_the_order_of_commits(store: &dyn Store) {
    let (a, b) = (place("a"), place("b"));
    let mut expected = Vec::new();
    for batch in [&a, &b, &after(&b), &after(&a)] {
        let two = Entry { seq: batch.version * 2, ..entry(batch) };
        let one = Entry { seq: batch.version * 2 - 1, ..entry(batch) };
        let batch = Batch { entries: vec![one, two], ..batch.clone() };
        let position = commit(store, &batch).await;
        expected.extend(batch.entries.iter().map(|entry| (batch.order.clone(), entry.clone())));
        let last = well(store.feed(Position(0), 99).await, "the feed is read").pop();
        let last = last.map(|entry| entry.position);
        same(last, Some(position), "the answer is the position of the last entry");
    }
    let feed = well(store.feed(Position(0), 99).await, "the feed is read");
    law(feed.is_sorted_by(|left, right| left.position < right.position), "positions grow");
    law(feed.iter().all(|entry| entry.position > Position(0)), "from above zero");
    let told: Vec<_> = feed.iter().map(|told| (told.order.clone(), told.entry.clone())).collect();
    same(told, expected, "every entry is told once, in the order of commits");
    let mut paged = Vec::new();
    let mut cursor = Position(0);
    loop {
        let page = well(store.feed(cursor, 3).await, "a page is read");
        law(page.len() <= 3, "a page is no longer than asked");
        let Some(last) = page.last() else { break };
        cursor = last.position;
        paged.extend(page);
    }
    same(paged, feed, "pages make up the whole");
    same(store.feed(Position(u64::MAX), 9).await, Ok(vec![]), "behind the end is nothing");
    same(store.feed(Position(0), 0).await, Ok(vec![]), "a page of nothing is empty");
}

async fn a_feed_read_while_writing_misses_nothing(store: &dyn Store) {
    let write = async |number: usize| {
        let mut batch = place(&format!("o-{number}"));
        commit(store, &batch).await;
        for _ in 1..20 {
            batch = after(&batch);
            commit(store, &batch).await;
        }
    };
    let writers = join_all((0..16).map(write));
    let reader = async {
        let mut seen = BTreeMap::<OrderKey, u64>::new();
        let (mut cursor, mut told) = (Position(0), 0);
        while told < 16 * 20 {
            for entry in well(store.feed(cursor, 7).await, "the feed is read while writing") {
                let last = seen.entry(entry.order).or_default();
                same(entry.entry.seq, *last + 1, "an order's entries are told in order, none left out");
                *last = entry.entry.seq;
                cursor = entry.position;
                told += 1;
            }
        }
    };
    futures::join!(writers, reader);
}

async fn cursors_walk_all_orders_once(store: &dyn Store) {
    let mut keys = BTreeSet::new();
    let default = TenantId::default();
    for owner in [default.as_str(), "a", "b-2", "b"] {
        for number in [7, 70, 8, 1] {
            let key = OrderKey::new(tenant(owner), order(&format!("o{number}")).order);
            let open = number != 70;
            let columns = Columns { open, ..columns() };
            commit(store, &Batch { order: key.clone(), columns, ..place("x") }).await;
            keys.insert(key);
        }
    }
    let keys: Vec<_> = keys.into_iter().collect();
    for open_only in [false, true] {
        let mut walked = Vec::new();
        let mut cursor = None;
        loop {
            let page = well(store.scan(cursor.clone(), 3, open_only).await, "a page is scanned");
            let Some(last) = page.last() else { break };
            cursor = Some(last.order.clone());
            walked.extend(page.into_iter().map(|brief| brief.order));
        }
        let wanted: Vec<_> =
            keys.iter().filter(|key| !open_only || key.order.as_str() != "o70").cloned().collect();
        same(walked, wanted, "a scan meets every order once, in key order");
    }
    let between = OrderKey::new(tenant("b"), order("o5").order);
    let page = well(store.scan(Some(between.clone()), 1, false).await, "a page is scanned");
    let next = keys.iter().find(|key| **key > between).cloned();
    let met = page.into_iter().next().map(|brief| brief.order);
    same(met, next, "a cursor need not be an order");
    same(store.scan(None, 0, false).await, Ok(vec![]), "a page of nothing is empty");
}

async fn filters_let_through_what_they_say(store: &dyn Store) {
    let mut all = Vec::new();
    for number in 0..48_u32 {
        let bit = |place: u32| number & (1 << place) != 0;
        let owner = if bit(0) { tenant("other") } else { TenantId::default() };
        let first = Batch {
            order: OrderKey::new(owner, order(&format!("o-{number:02}")).order),
            columns: Columns {
                pipeline: if bit(1) { "digital" } else { "physical" }.into(),
                pipeline_version: number,
                phase: if bit(2) { "paying" } else { "review" }.into(),
                parked: bit(3).then(|| "look".into()),
                open: !bit(4),
                placed_at: at(i64::from(number)),
                ..columns()
            },
            ..place("x")
        };
        commit(store, &first).await;
        all.push(first);
    }
    // Moves them all, so that filters read what is, not what was.
    for batch in &mut all {
        let columns = Columns {
            parked: batch.columns.parked.is_none().then(|| "again".into()),
            open: !batch.columns.open,
            ..batch.columns.clone()
        };
        *batch = Batch { columns, ..after(batch) };
        commit(store, batch).await;
    }
    all.sort_by(|left, right| left.order.cmp(&right.order));
    let some = Filter::default;
    let filters = [
        some(),
        Filter { tenant: Some(tenant("other")), ..some() },
        Filter { tenant: Some(tenant("nobody")), ..some() },
        Filter { pipeline: Some("digital".into()), ..some() },
        Filter { phase: Some("paying".into()), ..some() },
        Filter { phase: Some("".into()), ..some() },
        Filter { parked: Some(true), ..some() },
        Filter { parked: Some(false), ..some() },
        Filter { open: Some(true), ..some() },
        Filter { open: Some(false), ..some() },
        Filter { placed_before: Some(at(10)), ..some() },
        Filter { placed_after: Some(at(10)), ..some() },
        Filter { placed_after: Some(at(10)), placed_before: Some(at(10)), ..some() },
        Filter {
            tenant: Some(TenantId::default()),
            pipeline: Some("physical".into()),
            phase: Some("review".into()),
            parked: Some(true),
            open: Some(false),
            placed_before: Some(at(40)),
            placed_after: Some(at(0)),
        },
    ];
    for filter in filters {
        let admitted = |batch: &&Batch| filter.admits(&batch.order, &batch.columns);
        let wanted: Vec<_> = all.iter().filter(admitted).map(as_brief).collect();
        for limit in [1, 5, 100] {
            let mut listed = Vec::new();
            let mut cursor = None;
            loop {
                let page = well(store.list(&filter, cursor, limit).await, "a page is listed");
                law(page.len() <= limit, "a page is no longer than asked");
                let Some(last) = page.last() else { break };
                cursor = Some(last.order.clone());
                listed.extend(page);
            }
            same(&listed, &wanted, &format!("{filter:?} lets through what it says"));
        }
    }
}

async fn tenants_never_meet(store: &dyn Store) {
    let (mine, theirs) = (tenant("mine"), tenant("theirs"));
    let of = |tenant: &TenantId, name: &str| OrderKey::new(tenant.clone(), order(name).order);
    for tenant in [&mine, &theirs] {
        let batch = Batch {
            order: of(tenant, "same"),
            index: vec![put("ref", "psp-1", 0)],
            progress: bytes(tenant.as_str()),
            ..place("x")
        };
        commit(store, &batch).await;
        let row = event(&of(tenant, "same"), "psp", "evt-1", tenant.as_str());
        same(store.inbox_put(row).await, Ok(InboxPut::New), "an event id belongs to its tenant");
    }
    for tenant in [&mine, &theirs] {
        let key = of(tenant, "same");
        let found = store.lookup(tenant, "ref", "psp-1", None, 10).await;
        same(found.map(orders), Ok(vec![key.clone()]), "a lookup stays in its tenant");
        let stored = loaded(store, &key).await;
        same(stored.progress, bytes(tenant.as_str()), "each tenant has its own order");
        same(journal(store, &key).await.len(), 1, "and journal");
        let taken = well(store.inbox_take(&key).await, "the inbox is read");
        same(taken.len(), 1, "and inbox");
        let filter = Filter { tenant: Some(tenant.clone()), ..Filter::default() };
        same(names(store.list(&filter, None, 9).await).len(), 1, "and list");
    }
    well(store.inbox_mark(&of(&mine, "same"), "psp", "evt-1").await, "an event is marked");
    let waiting = store.inbox_waiting(None, 9).await;
    same(waiting, Ok(vec![of(&theirs, "same")]), "marking stays in its tenant");
    let closed = Batch {
        order: of(&mine, "same"),
        columns: Columns { open: false, ..columns() },
        ..after(&place("x"))
    };
    commit(store, &closed).await;
    well(store.delete(&closed.order, 2).await, "a closed order is deleted");
    law(well(store.load(&of(&theirs, "same")).await, "loads").is_some(), "only its own tenant's");
}

// ------------------------------------------------------------------------------------- owning

async fn incarnations_grow(store: &dyn Store) {
    let mut last = Incarnation(0);
    for worker in ["w", "v", "w", "w", "x"] {
        let me = begin(store, worker).await;
        law(me > last, "each incarnation is larger than all before");
        last = me;
    }
}

async fn leases_end(store: &dyn Store) {
    let start = |worker: &'static str, now, until| store.start_worker(worker, at(now), at(until));
    let old = well(start("w", 0, 100).await, "a worker starts");
    let new = well(start("w", 10, 100).await, "it starts again");
    same(store.renew_worker(old, at(200)).await, Err(Error::LeaseLost), "its earlier life is over");
    well(store.renew_worker(new, at(200)).await, "its present life is renewed");
    let late = well(start("late", 20, 30).await, "another starts");
    well(store.renew_worker(late, at(60)).await, "late, but nobody declared it dead");
    same(store.claim(new, at(60), &shop(), 9).await, Ok(vec![]), "a claim declares the late one dead");
    same(store.renew_worker(late, at(90)).await, Err(Error::LeaseLost), "and so it is");
    same(store.claim(late, at(60), &shop(), 9).await, Err(Error::LeaseLost), "the dead claim nothing");
    same(store.claim(new, at(200), &shop(), 9).await, Err(Error::LeaseLost), "nor do those who are past");
    let unknown = Incarnation(MAX_NUMBER);
    same(store.renew_worker(unknown, at(9)).await, Err(Error::LeaseLost), "the unknown are dead");
    let third = well(start("third", 300, 400).await, "a third starts");
    let fourth = well(start("fourth", 400, 500).await, "a fourth, when the third is past");
    same(store.renew_worker(third, at(900)).await, Err(Error::LeaseLost), "starting buries too");
    well(store.renew_worker(fourth, at(900)).await, "but not the living");
}

async fn claims_take_what_nobody_owns(store: &dyn Store) {
    let start = |worker: &'static str, now, until| store.start_worker(worker, at(now), at(until));
    let dead = well(start("dead", 0, 10).await, "a worker starts");
    let alive = well(start("alive", 0, 1_000).await, "another starts");
    let owned = |name: &str, owner: Option<Incarnation>, open| Batch {
        columns: Columns { open, ..columns() },
        owner: owner.map(|incarnation| Owner { incarnation, epoch: 4 }),
        ..place(name)
    };
    let batches = [
        owned("dead-open", Some(dead), true),
        owned("dead-closed", Some(dead), false),
        owned("alive-open", Some(alive), true),
        owned("free-open", None, true),
        owned("free-closed", None, false),
        owned("unknown-open", Some(Incarnation(77_777)), true),
    ];
    for batch in &batches {
        commit(store, batch).await;
    }
    let me = well(start("me", 5, 1_000).await, "a third starts");
    let mut taken = BTreeMap::new();
    loop {
        let claimed = well(store.claim(me, at(10), &shop(), 2).await, "the living may claim");
        law(claimed.len() <= 2, "a claim takes no more than asked");
        if claimed.is_empty() {
            break;
        }
        for order in claimed {
            same(store.load(&order.order).await, Ok(Some(order.clone())), "a claim is written");
            taken.insert(order.order.order.as_str().to_owned(), order);
        }
    }
    let wanted = strings(&["dead-open", "free-open", "unknown-open"]);
    same(taken.keys().cloned().collect::<Vec<_>>(), wanted, "open orders of nobody and the dead");
    for batch in &batches {
        if let Some(order) = taken.get(batch.order.order.as_str()) {
            let epoch = batch.owner.map_or(0, |owner| owner.epoch) + 1;
            let owner = Some(Owner { incarnation: me, epoch });
            let expected = Stored { owner, ..as_stored(batch) };
            same(order, &expected, "a claim changes the owner, bumps the epoch, and nothing else");
        } else {
            let untouched = loaded(store, &batch.order).await;
            same(untouched, as_stored(batch), "what is not claimed stays as it was");
        }
    }
    same(store.claim(me, at(10), &shop(), 9).await, Ok(vec![]), "nothing is claimed twice");
    for (name, order) in &taken {
        let batch = Batch { owner: order.owner, ..after(&place(name)) };
        commit(store, &batch).await;
    }
    same(store.claim(me, at(10), &shop(), 0).await, Ok(vec![]), "who asks for nothing gets nothing");
    let heir = well(start("me", 10, 1_000).await, "the worker starts again");
    let claimed = well(store.claim(heir, at(11), &shop(), 99).await, "it claims what was its own");
    same(claimed.len(), 3, "a new life takes over from the one before");
    law(claimed.iter().all(|order| order.version == 2), "as the old one left it");
}

/// The pipeline that the orders of this kit run under.
fn shop() -> [PipelineId; 1] {
    [under(&columns())]
}

fn under(columns: &Columns) -> PipelineId {
    PipelineId {
        name: columns.pipeline.clone(),
        version: columns.pipeline_version,
        fingerprint: columns.fingerprint,
    }
}

async fn claims_leave_what_the_claimant_cannot_read(store: &dyn Store) {
    let theirs = |n: u64| match n {
        0 => Columns { pipeline: "other".into(), ..columns() },
        1 => Columns { pipeline_version: columns().pipeline_version + 1, ..columns() },
        _ => Columns { fingerprint: columns().fingerprint ^ 1, ..columns() },
    };
    for n in 0..3 {
        commit(store, &Batch { columns: theirs(n), ..place(&format!("theirs-{n}")) }).await;
    }
    commit(store, &place("ours")).await;
    let me = begin(store, "me").await;
    same(store.claim(me, at(1), &[], 9).await, Ok(vec![]), "who can read nothing claims nothing");
    let claimed = well(store.claim(me, at(1), &shop(), 9).await, "the living claim");
    let names: Vec<_> = claimed.iter().map(|o| o.order.order.as_str().to_owned()).collect();
    same(names, strings(&["ours"]), "name, version and fingerprint must be known");
    for n in 0..3 {
        let order = loaded(store, &order(&format!("theirs-{n}"))).await;
        same(order.owner, None, "what is not claimed has no new owner");
    }
    let both = [under(&theirs(1)), under(&theirs(2))];
    let claimed = well(store.claim(me, at(1), &both, 9).await, "the living claim");
    same(claimed.len(), 2, "several pipelines are claimed for at once");
}

async fn what_another_owner_wrote_is_not_the_same_batch(store: &dyn Store) {
    let (one, two) = (begin(store, "one").await, begin(store, "two").await);
    let owned =
        |incarnation, epoch, batch: Batch| Batch { owner: Some(Owner { incarnation, epoch }), ..batch };
    let first = owned(one, 1, place("a"));
    commit(store, &first).await;
    let mine = owned(one, 2, after(&first));
    let position = commit(store, &mine).await;
    same(answer(store, &mine).await, Ok(position), "its own is known again");
    // Both have decided the same, each for itself.
    let stale = Err(CommitError::Stale { found: Some(mine.version) });
    for theirs in [owned(two, 2, mine.clone()), owned(two, 3, mine.clone()), owned(one, 3, mine.clone())] {
        same(answer(store, &theirs).await, stale.clone(), "what another wrote is not theirs");
    }
    same(loaded(store, &first.order).await.owner, mine.owner, "it is still whose it was");
    let silent = Batch { owner: None, ..mine.clone() };
    same(answer(store, &silent).await, Ok(position), "who names no owner asks for none");
}

async fn an_old_owner_is_fenced(store: &dyn Store) {
    let (old, new) = (begin(store, "old").await, begin(store, "new").await);
    let owner = |incarnation, epoch| Some(Owner { incarnation, epoch });
    let first = Batch { owner: owner(old, 3), ..place("a") };
    commit(store, &first).await;
    let next = after(&first);
    for late in [owner(old, 2), owner(new, 2), owner(new, 3)] {
        let fenced = answer(store, &Batch { owner: late, ..next.clone() }).await;
        let found = Owner { incarnation: old, epoch: 3 };
        same(fenced, Err(CommitError::Fenced { found }), "a late owner is turned away");
    }
    commit(store, &Batch { owner: owner(old, 3), ..next.clone() }).await;
    let taken = Batch { owner: owner(new, 4), ..after(&next) };
    commit(store, &taken).await;
    let evidence = Batch { owner: None, ..after(&taken) };
    commit(store, &evidence).await;
    same(loaded(store, &first.order).await.owner, owner(new, 4), "evidence leaves the owner");
    let stale = Batch { owner: owner(old, 1), ..next.clone() };
    let answer = answer(store, &Batch { head: hash("else"), ..stale }).await;
    same(answer, Err(CommitError::Stale { found: Some(4) }), "stale is said before fenced");
}

async fn releases_are_kept(store: &dyn Store) {
    same(store.releases().await, Ok(vec![]), "no release is known at first");
    let release = |version, fingerprint, names: &str| Release {
        id: PipelineId { name: "physical".into(), version, fingerprint },
        names: bytes(names),
    };
    let (first, second) = (release(1, u64::MAX, "names"), release(1, 2, "others"));
    for _ in 0..2 {
        well(store.keep_release(first.clone()).await, "a release is kept, twice as well as once");
    }
    well(store.keep_release(second.clone()).await, "beside it one of another graph");
    commit(store, &place("a")).await;
    let again = release(1, 2, "as the engine writes them now");
    well(store.keep_release(again.clone()).await, "what is kept may be written anew");
    let mut kept = well(store.releases().await, "releases are read");
    kept.sort_by(|a, b| a.id.cmp(&b.id));
    same(kept, vec![again, first], "each as it was last written");
    let held = well(store.pipelines().await, "pipelines are counted");
    let open: u64 = held.iter().map(|held| held.open).sum();
    same(open, 1, "and a release is no order");
    same(store.damaged().await, Ok(vec![]), "and nothing is damaged");
}

// ------------------------------------------------------------------------------------- events

async fn an_event_is_known_for_good(store: &dyn Store) {
    let key = order("a");
    let row = event(&key, "psp", "evt-1", "captured");
    same(store.inbox_put(row.clone()).await, Ok(InboxPut::New), "an event is new once");
    let changed = InboxRow { body: bytes("forged"), received_at: at(99), ..row.clone() };
    for again in [row.clone(), changed] {
        same(store.inbox_put(again).await, Ok(InboxPut::Known), "then it is known");
    }
    same(store.inbox_take(&key).await, Ok(vec![row.clone()]), "and stays as first put");
    let beside = InboxRow { order: order("b"), ..row.clone() };
    well(store.inbox_mark(&order("b"), "psp", "evt-1").await, "another order's mark is no error");
    same(store.inbox_put(beside.clone()).await, Ok(InboxPut::New), "one event may tell of two orders");
    same(store.inbox_put(beside.clone()).await, Ok(InboxPut::Known), "and is known to each");
    same(store.inbox_take(&order("b")).await, Ok(vec![beside]), "and waits for each");
    let other = InboxRow { source: "carrier".into(), ..row.clone() };
    same(store.inbox_put(other).await, Ok(InboxPut::New), "sources are apart");
    well(store.inbox_mark(&order("b"), "psp", "evt-1").await, "another order's mark is no error");
    same(store.inbox_take(&key).await.map(|rows| rows.len()), Ok(2), "and changes nothing of others");
    for _ in 0..2 {
        well(store.inbox_mark(&key, "psp", "evt-1").await, "marking is repeatable");
        let rows = well(store.inbox_take(&key).await, "the inbox is read");
        let sources: Vec<_> = rows.iter().map(|row| &*row.source).collect();
        same(sources, vec!["carrier"], "what is applied waits no more");
    }
    same(store.inbox_put(row).await, Ok(InboxPut::Known), "what is applied stays known");
    well(store.inbox_mark(&key, "psp", "never").await, "marking the unknown is no error");
    let never = event(&key, "psp", "never", "x");
    same(store.inbox_put(never).await, Ok(InboxPut::New), "and does not make it known");
}

async fn events_wait_in_order(store: &dyn Store) {
    let keys: Vec<_> = ["c", "a", "b"].iter().map(|name| order(name)).collect();
    let mut put = Vec::new();
    for number in (0..9).rev() {
        for key in &keys {
            let name = format!("evt-{}-{number}", key.order.as_str());
            let row = InboxRow { received_at: at(number), ..event(key, "psp", &name, &name) };
            same(store.inbox_put(row.clone()).await, Ok(InboxPut::New), "an event is put");
            put.push(row);
        }
    }
    for key in &keys {
        let wanted: Vec<_> = put.iter().filter(|row| row.order == *key).cloned().collect();
        same(store.inbox_take(key).await, Ok(wanted), "they wait in the order they were put");
    }
    let all = [order("a"), order("b"), order("c")];
    same(store.inbox_waiting(None, 9).await, Ok(all.to_vec()), "each order is named once");
    let two = store.inbox_waiting(None, 2).await;
    same(two, Ok(vec![order("a"), order("b")]), "in pages");
    let rest = store.inbox_waiting(Some(order("b")), 2).await;
    same(rest, Ok(vec![order("c")]), "from the cursor on");
    for row in put.iter().filter(|row| row.order == order("b")) {
        well(store.inbox_mark(&row.order, &row.source, &row.event).await, "an event is marked");
    }
    let left = store.inbox_waiting(None, 9).await;
    same(left, Ok(vec![order("a"), order("c")]), "who waits for nothing is not named");
    let empty = InboxRow { body: Arc::from([]), ..event(&order("e"), "psp", "empty", "") };
    same(store.inbox_put(empty.clone()).await, Ok(InboxPut::New), "an event may be empty");
    same(store.inbox_take(&order("e")).await, Ok(vec![empty]), "and waits all the same");
}

// ----------------------------------------------------------------------------------- deleting

async fn an_archive_holds_the_row_and_the_whole_journal(store: &dyn Store) {
    let first = place("a");
    commit(store, &first).await;
    let last = close(&first);
    commit(store, &last).await;
    let archive = well(store.archive(&first.order).await, "an order is archived")
        .expect("an archive of an order that is there");
    same(archive.stored.head, last.head, "the archive holds the order's row");
    let hashes: Vec<Hash> = archive.entries.iter().map(|entry| entry.hash).collect();
    let wanted: Vec<Hash> = first.entries.iter().chain(&last.entries).map(|entry| entry.hash).collect();
    same(hashes, wanted, "the archive holds every entry, in order");
    let nobody = place("b").order;
    same(store.archive(&nobody).await, Ok(None), "what is not there cannot be archived");
}

async fn only_closed_orders_are_deleted(store: &dyn Store) {
    let open = place("a");
    commit(store, &open).await;
    refused(store.delete(&open.order, 1).await, "an open order stays");
    let closed = close(&open);
    commit(store, &closed).await;
    for wrong in [0, 1, 3] {
        let stale = Err(CommitError::Stale { found: Some(2) });
        same(store.delete(&open.order, wrong).await, stale, "a deletion is guarded too");
    }
    let row = event(&open.order, "psp", "dispute", "chargeback");
    same(store.inbox_put(row).await, Ok(InboxPut::New), "an event comes in late");
    refused(store.delete(&open.order, 2).await, "an order somebody waits for stays");
    well(store.inbox_mark(&open.order, "psp", "dispute").await, "the event is applied");
    same(loaded(store, &open.order).await.version, 2, "a refused deletion changes nothing");
    well(store.delete(&open.order, 2).await, "then it may go");
    let gone = Err(CommitError::Stale { found: None });
    same(store.delete(&open.order, 2).await, gone, "once");
}

async fn a_deleted_order_leaves_no_trace(store: &dyn Store) {
    let other = place("other");
    commit(store, &other).await;
    let row = event(&order("a"), "psp", "evt", "x");
    same(store.inbox_put(row.clone()).await, Ok(InboxPut::New), "an event is put");
    well(store.inbox_mark(&row.order, "psp", "evt").await, "and applied");
    let first =
        Batch { index: vec![put("ref", "x", 1)], policies: vec![(hash("p"), bytes("policy"))], ..place("a") };
    commit(store, &first).await;
    let second = close(&first);
    let last = commit(store, &second).await;
    well(store.delete(&first.order, 2).await, "a closed order is deleted");

    same(store.load(&first.order).await, Ok(None), "it is gone");
    same(store.journal(&first.order, 0, 9).await, Ok(vec![]), "with its journal");
    let found = store.lookup(&TenantId::default(), "ref", "x", None, 10).await;
    same(found, Ok(vec![]), "and its index rows");
    let feed = well(store.feed(Position(0), 9).await, "the feed is read");
    law(feed.iter().all(|entry| entry.order == other.order), "and its entries in the feed");
    same(feed.len(), 1, "the others stay");
    same(store.policy(&hash("p")).await, Ok(Some(bytes("policy"))), "policies are shared, and stay");
    same(store.inbox_put(row).await, Ok(InboxPut::Known), "its events stay known");
    let moved = answer(store, &after(&second)).await;
    same(moved, Err(CommitError::Stale { found: None }), "nobody moves it any more");
    let again = Batch { entries: vec![entry(&first)], index: vec![], ..first.clone() };
    let position = commit(store, &again).await;
    law(position > last, "the name is free again, and its old positions are not");
    same(journal(store, &first.order).await.len(), 1, "a new order of that name begins anew");
}

async fn pipelines_are_counted(store: &dyn Store) {
    let running = |name: &str, pipeline: &str, version, fingerprint| Batch {
        columns: Columns { pipeline: pipeline.into(), pipeline_version: version, fingerprint, ..columns() },
        ..place(name)
    };
    let held = |pipeline: &str, version, fingerprint, open, closed| Held {
        pipeline: pipeline.into(),
        version,
        fingerprint,
        open,
        closed,
    };
    let all = async || -> Vec<Held> {
        let mut held = well(store.pipelines().await, "the pipelines are read");
        held.retain(|held| held.open + held.closed > 0);
        held.sort_by(|left, right| {
            (&left.pipeline, left.version, left.fingerprint).cmp(&(
                &right.pipeline,
                right.version,
                right.fingerprint,
            ))
        });
        held
    };
    let a = running("a", "physical", 1, u64::MAX);
    for batch in [
        &a,
        &running("b", "physical", 1, u64::MAX),
        &running("c", "physical", 2, 5),
        &running("d", "digital", 1, 5),
    ] {
        commit(store, batch).await;
        commit(store, batch).await;
    }
    let expected = [held("digital", 1, 5, 1, 0), held("physical", 1, u64::MAX, 2, 0)];
    let third = held("physical", 2, 5, 1, 0);
    same(all().await, [&expected[..], &[third]].concat(), "by name, version and fingerprint");
    let upgraded = Batch { columns: running("a", "physical", 2, 5).columns, ..after(&a) };
    commit(store, &upgraded).await;
    let closed = close(&upgraded);
    commit(store, &closed).await;
    let expected =
        [held("digital", 1, 5, 1, 0), held("physical", 1, u64::MAX, 1, 0), held("physical", 2, 5, 1, 1)];
    same(all().await, expected.to_vec(), "upgrades and endings are counted");
    well(store.delete(&closed.order, closed.version).await, "a closed order is deleted");
    let expected =
        [held("digital", 1, 5, 1, 0), held("physical", 1, u64::MAX, 1, 0), held("physical", 2, 5, 1, 0)];
    same(all().await, expected.to_vec(), "deletions too");
}

// ------------------------------------------------------------------------------------- racing

async fn of_racing_writers_one_wins(store: &dyn Store) {
    let mut last = place("a");
    commit(store, &last).await;
    for round in 0..20 {
        let rivals: Vec<_> =
            (0..8).map(|rival| Batch { head: hash(&format!("{round} {rival}")), ..after(&last) }).collect();
        let answers = join_all(rivals.iter().map(|rival| answer(store, rival))).await;
        let mut winner = None;
        for (rival, answer) in rivals.iter().zip(answers) {
            match answer {
                Ok(_) => {
                    law(winner.is_none(), "of racing writers one wins");
                    winner = Some(rival.clone());
                }
                Err(error) => {
                    let found = Some(last.version + 1);
                    same(error, CommitError::Stale { found }, "the others hear that they are late");
                }
            }
        }
        law(winner.is_some(), "one of them does win");
        last = winner.unwrap_or(last);
        same(loaded(store, &last.order).await.head, last.head, "and it is the winner's word");
    }
    same(journal(store, &last.order).await.len(), 21, "each round left one entry");
}

async fn a_dropped_future_does_nothing_by_halves(store: &dyn Store) {
    for number in 0..50 {
        let name = format!("o-{number}");
        let first = Batch { index: vec![put("ref", &name, 1)], ..place(&name) };
        // Polled once, then dropped.
        drop(store.commit(vec![first.clone()]).now_or_never());
        // What comes later waits its turn behind it.
        let barrier = place(&format!("barrier-{number}"));
        commit(store, &barrier).await;
        let found = well(store.load(&first.order).await, "loads");
        let rows = well(store.lookup(&TenantId::default(), "ref", &name, None, 10).await, "a lookup answers");
        let entries = journal(store, &first.order).await;
        match found {
            Some(found) => {
                same(found, as_stored(&first), "a dropped commit has happened whole");
                same((rows.len(), entries.len()), (1, 1), "with all its parts");
            }
            None => same((rows.len(), entries.len()), (0, 0), "or not at all"),
        }
        well(answer(store, &first).await, "asking again settles it");
    }
}

async fn a_closed_store_says_so(store: &dyn Store) {
    let first = place("a");
    commit(store, &first).await;
    well(store.close().await, "a store closes");
    well(store.close().await, "closing twice is no error");
    same(store.load(&first.order).await, Err(Error::Closed), "a closed store reads nothing");
    let closed = Err(CommitError::Store(Error::Closed));
    same(answer(store, &after(&first)).await, closed, "and writes nothing");
    let row = event(&first.order, "psp", "evt", "x");
    same(store.inbox_put(row).await, Err(Error::Closed), "takes no event");
    let closed = Err(CommitError::Store(Error::Closed));
    same(store.delete(&first.order, 1).await, closed, "and deletes nothing");
    let started = store.start_worker("w", at(0), at(1)).await;
    same(started, Err(Error::Closed), "nobody starts on it");
    same(store.check().await, Err(Error::Closed), "and cannot say whether it is whole");
}

// ------------------------------------------------------------------------------------ durably

async fn everything_is_there_after_reopening<F, Fut>(open: &F)
where
    F: Fn() -> Fut,
    Fut: Future<Output = Arc<dyn Store>>,
{
    let store = open().await;
    same(store.scan(None, 1, false).await, Ok(vec![]), "the storage is empty at first");
    let first = Batch {
        index: vec![put("ref", "x", 1)],
        policies: vec![(hash("p"), bytes("policy"))],
        ..place("kept")
    };
    commit(&*store, &first).await;
    let second =
        Batch { columns: Columns { captured_minor: 500, reserved_minor: 500, ..columns() }, ..after(&first) };
    let position = commit(&*store, &second).await;
    let waiting = event(&first.order, "psp", "evt-1", "waits");
    let applied = event(&first.order, "psp", "evt-2", "applied");
    for row in [&waiting, &applied] {
        same(store.inbox_put(row.clone()).await, Ok(InboxPut::New), "an event is put");
    }
    well(store.inbox_mark(&first.order, "psp", "evt-2").await, "an event is applied");
    let before = loaded(&*store, &first.order).await;
    let entries = journal(&*store, &first.order).await;
    let feed = store.feed(Position(0), 9).await;
    let held = store.pipelines().await;
    well(store.close().await, "a store closes");

    let store = open().await;
    same(loaded(&*store, &first.order).await, before, "the order is there");
    same(journal(&*store, &first.order).await, entries, "with its journal");
    same(store.feed(Position(0), 9).await, feed, "in the same places");
    same(store.pipelines().await, held, "counted as before");
    let found = store.lookup(&TenantId::default(), "ref", "x", None, 10).await;
    same(found.map(orders), Ok(vec![first.order.clone()]), "found as before");
    same(store.policy(&hash("p")).await, Ok(Some(bytes("policy"))), "under its policy");
    same(store.inbox_take(&first.order).await, Ok(vec![waiting.clone()]), "its event waits");
    for row in [waiting, applied] {
        same(store.inbox_put(row).await, Ok(InboxPut::Known), "its events are known");
    }
    same(answer(&*store, &second).await, Ok(position), "the same batch is still the same");
    commit(&*store, &after(&second)).await;
    well(store.check().await, "the store is whole");
    well(store.close().await, "a store closes");
}

async fn positions_and_incarnations_go_on_after_reopening<F, Fut>(open: &F)
where
    F: Fn() -> Fut,
    Fut: Future<Output = Arc<dyn Store>>,
{
    let store = open().await;
    let first = begin(&*store, "w").await;
    let owner = Some(Owner { incarnation: first, epoch: 9 });
    commit(&*store, &Batch { owner, ..place("owned") }).await;
    let brief = place("brief");
    commit(&*store, &brief).await;
    let last = commit(&*store, &close(&brief)).await;
    well(store.delete(&brief.order, 2).await, "the youngest order is deleted");
    well(store.close().await, "a store closes");

    let store = open().await;
    let next = commit(&*store, &place("next")).await;
    law(next > last, "a position is never given twice, not even after deletion and reopening");
    let second = begin(&*store, "w").await;
    law(second > first, "incarnations go on");
    let mut claimed = well(store.claim(second, at(1), &shop(), 99).await, "the new life claims");
    claimed.retain(|stored| stored.order == order("owned"));
    let owners: Vec<_> = claimed.iter().map(|stored| stored.owner).collect();
    let owner = Some(Owner { incarnation: second, epoch: 10 });
    same(owners, vec![owner], "what the former life owned can be claimed");
    well(store.close().await, "a store closes");
}

async fn repeated_reopening_loses_nothing<F, Fut>(open: &F)
where
    F: Fn() -> Fut,
    Fut: Future<Output = Arc<dyn Store>>,
{
    let mut last = None::<Batch>;
    for round in 1..=10_u64 {
        let store = open().await;
        let next = last.as_ref().map_or_else(|| place("long"), after);
        if let Some(last) = &last {
            let found = loaded(&*store, &last.order).await;
            same((found.version, found.head), (last.version, last.head), "the last word stands");
        }
        commit(&*store, &next).await;
        same(journal(&*store, &next.order).await.len() as u64, round, "the journal grows");
        last = Some(next);
        well(store.check().await, "the store is whole");
        well(store.close().await, "a store closes");
    }
}

// -------------------------------------------------------------------------------------- words

#[track_caller]
fn law(kept: bool, sentence: &str) {
    assert!(kept, "a law of the store is broken: {sentence}");
}

#[track_caller]
fn same<T: PartialEq + Debug>(found: T, expected: T, sentence: &str) {
    assert!(
        found == expected,
        "a law of the store is broken: {sentence}\n   found: {found:?}\nexpected: {expected:?}"
    );
}

#[track_caller]
fn well<T, E: Debug>(answer: Result<T, E>, sentence: &str) -> T {
    match answer {
        Ok(value) => value,
        Err(error) => panic!("a law of the store is broken: {sentence}\n   found: {error:?}"),
    }
}

#[track_caller]
fn refused<T: Debug>(answer: Result<T, CommitError>, sentence: &str) {
    assert!(
        matches!(answer, Err(CommitError::Refused(_))),
        "a law of the store is broken: this is refused: {sentence}\n   found: {answer:?}"
    );
}

async fn answer(store: &dyn Store, batch: &Batch) -> Result<Position, CommitError> {
    let mut answers = store.commit(vec![batch.clone()]).await;
    same(answers.len(), 1, "one batch has one answer");
    answers.pop().expect("there is one")
}

#[track_caller]
fn commit(store: &dyn Store, batch: &Batch) -> impl Future<Output = Position> {
    let caller = std::panic::Location::caller();
    async move {
        match answer(store, batch).await {
            Ok(position) => position,
            Err(error) => panic!(
                "a law of the store is broken: a sound batch is written\n   found: {error:?}\n   \
                 batch: {batch:?}\n      at: {caller}"
            ),
        }
    }
}

async fn loaded(store: &dyn Store, order: &OrderKey) -> Stored {
    let found = well(store.load(order).await, "an order loads");
    well(found.ok_or(order), "an order that was placed is there")
}

async fn journal(store: &dyn Store, order: &OrderKey) -> Vec<Entry> {
    well(store.journal(order, 0, 10_000).await, "a journal is read")
}

async fn begin(store: &dyn Store, worker: &str) -> Incarnation {
    well(store.start_worker(worker, at(0), at(i64::MAX)).await, "a worker starts")
}

fn names(page: Result<Vec<Brief>, Error>) -> Vec<String> {
    let page = well(page, "a page is read");
    page.iter().map(|brief| brief.order.order.as_str().to_owned()).collect()
}

fn order(name: &str) -> OrderKey {
    let order = OrderId::try_from(name).expect("the suite uses sound names");
    OrderKey::new(TenantId::default(), order)
}

fn tenant(name: &str) -> TenantId {
    TenantId::try_from(name).expect("the suite uses sound names")
}

fn at(millis: i64) -> Timestamp {
    Timestamp::from_millis(millis)
}

fn bytes(text: &str) -> Bytes {
    Arc::from(text.as_bytes())
}

/// Thirty-two bytes that differ for different texts; no need for more.
fn hash(text: &str) -> Hash {
    let mut state = 0xcbf2_9ce4_8422_2325_u64;
    let mut hash = [0; 32];
    for (place, byte) in hash.iter_mut().enumerate() {
        let fed = text.bytes().chain(place.to_le_bytes());
        state = fed.fold(state, |state, byte| (state ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3));
        *byte = state.to_be_bytes()[0];
    }
    Hash(hash)
}

fn columns() -> Columns {
    Columns {
        pipeline: "physical".into(),
        pipeline_version: 1,
        fingerprint: 0x00c0_ffee,
        phase: "paying".into(),
        open: true,
        parked: None,
        captured_minor: 0,
        reserved_minor: 0,
        refunded_minor: 0,
        overdrawn: false,
        wake_at: Some(at(50)),
        placed_at: at(10),
        updated_at: at(20),
    }
}

fn entry(batch: &Batch) -> Entry {
    Entry { seq: batch.version, hash: batch.head, body: bytes("what happened") }
}

fn place(name: &str) -> Batch {
    Batch {
        order: order(name),
        expected: 0,
        version: 1,
        head: hash(name),
        columns: columns(),
        progress: bytes("placed"),
        document: Some(bytes("two shirts, one size")),
        policies: Vec::new(),
        entries: vec![Entry { seq: 1, hash: hash(name), body: bytes("placed") }],
        index: Vec::new(),
        owner: None,
    }
}

/// The batch after `batch`: one version on, one entry on, nothing else changed.
fn after(batch: &Batch) -> Batch {
    let version = batch.version + 1;
    let head = hash(&format!("{:?}", (batch.head, version)));
    let seq = batch.entries.last().map_or(version, |entry| entry.seq.saturating_add(1));
    Batch {
        expected: batch.version,
        version,
        head,
        document: None,
        policies: Vec::new(),
        entries: vec![Entry { seq, hash: head, body: bytes("moved") }],
        index: Vec::new(),
        owner: None,
        ..batch.clone()
    }
}

fn close(batch: &Batch) -> Batch {
    Batch { columns: Columns { open: false, ..batch.columns.clone() }, ..after(batch) }
}

fn strings(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

fn put(space: &str, key: &str, sort: i64) -> IndexChange {
    IndexChange { space: space.into(), key: key.into(), sort, put: true }
}

fn event(order: &OrderKey, source: &str, event: &str, body: &str) -> InboxRow {
    InboxRow {
        order: order.clone(),
        source: source.into(),
        event: event.into(),
        received_at: at(5),
        body: bytes(body),
    }
}

fn as_stored(batch: &Batch) -> Stored {
    Stored {
        order: batch.order.clone(),
        version: batch.version,
        head: batch.head,
        columns: batch.columns.clone(),
        progress: batch.progress.clone(),
        document: batch.document.clone().unwrap_or_default(),
        owner: batch.owner,
    }
}

fn as_brief(batch: &Batch) -> Brief {
    let Stored { order, version, columns, owner, .. } = as_stored(batch);
    Brief { order, version, columns, owner }
}
