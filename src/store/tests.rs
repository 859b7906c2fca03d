#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use std::sync::Arc;

use super::*;
use crate::testing::conformance;

#[tokio::test]
async fn memory_keeps_the_laws() {
    conformance::store(|| async { Arc::new(MemoryStore::new()) as Arc<dyn Store> }).await;
}

fn columns(captured: i64, reserved: i64, refunded: i64, overdrawn: bool) -> Columns {
    Columns {
        pipeline: "physical".into(),
        pipeline_version: 1,
        fingerprint: 1,
        phase: "paying".into(),
        open: true,
        parked: None,
        captured_minor: captured,
        reserved_minor: reserved,
        refunded_minor: refunded,
        overdrawn,
        wake_at: None,
        placed_at: Timestamp::from_millis(0),
        updated_at: Timestamp::from_millis(0),
    }
}

#[test]
fn pending_refunds_count_against_what_was_captured() {
    assert!(columns(100, 40, 60, false).covered());
    assert!(!columns(100, 41, 60, false).covered());
    assert!(columns(100, 41, 60, true).covered());
    assert!(!columns(i64::MAX, i64::MAX, i64::MAX, false).covered());
    assert!(!columns(0, i64::MAX, 1, false).covered());
}

#[test]
fn a_store_without_room_is_full_however_it_is_asked() {
    assert_eq!(CommitError::from(Error::Full), CommitError::Full);
    assert_eq!(CommitError::from(Error::Busy), CommitError::Store(Error::Busy));
    assert!(Error::Full.is_transient());
    assert!(!Error::Poisoned.is_transient());
}

#[test]
fn what_is_shown_in_logs_has_no_body() {
    let secret: Bytes = Arc::from(&b"4111 1111 1111 1111"[..]);
    let entry = Entry { seq: 1, hash: Hash([0xab; 32]), body: secret.clone() };
    let shown = format!("{entry:?}");
    assert!(shown.contains("19 bytes") && shown.contains("abab"), "{shown}");
    let order = OrderKey::new(TenantId::default(), "o-1".parse().unwrap());
    let columns = columns(0, 0, 0, false);
    let batch = Batch {
        order: order.clone(),
        expected: 0,
        version: 1,
        head: Hash::default(),
        columns: columns.clone(),
        progress: secret.clone(),
        document: Some(secret.clone()),
        policies: vec![(Hash::default(), secret.clone())],
        entries: vec![entry],
        index: vec![],
        owner: None,
    };
    let stored = Stored {
        order: order.clone(),
        version: 1,
        head: Hash::default(),
        columns,
        progress: secret.clone(),
        document: secret.clone(),
        owner: None,
    };
    let row = InboxRow {
        order,
        source: "psp".into(),
        event: "evt".into(),
        received_at: Timestamp::from_millis(0),
        body: secret,
    };
    for shown in [format!("{batch:?}"), format!("{stored:?}"), format!("{row:?}")] {
        assert!(!shown.contains("4111") && !shown.contains("52, 49, 49, 49"), "{shown}");
    }
}
