#![allow(clippy::unwrap_used, clippy::indexing_slicing)]
//! Records: their fold is the state, their chain shows what was touched, and what cannot be read is said.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::*;
use crate::clock::Timestamp;
use crate::id::{Actor, Key, OrderId, OrderKey};
use crate::money::Money;
use crate::order::{Draft, DraftTender, Line, Order};
use crate::pipeline::lifecycle::{Amend, lifecycle};
use crate::pipeline::{EffectAnswer, Event, EventKind, Physical, Progress, physical};
use crate::stage::payment::{Paid, Start, attempt};
use crate::stage::review::{self, ReviewPolicy, case};
use crate::store::{Bytes, Entry, Hash, Stored};

/// An order on the desk: its entries, its head, its newest batch, and its progress.
struct Book {
    desk: Desk,
    progress: Progress,
    head: Hash,
    entries: Vec<Entry>,
    stored: Option<Stored>,
    policies: BTreeMap<Hash, Bytes>,
    now: i64,
}

impl Book {
    fn place(lines: usize, tenders: u32) -> Self {
        let review = ReviewPolicy {
            scorer: false,
            expedites: u32::MAX,
            expedite_every_ms: 0,
            ..ReviewPolicy::default()
        };
        let pipeline = physical(Physical { review, ..Physical::default() }).unwrap();
        let desk = Desk::new(Arc::new(pipeline)).unwrap();
        let mut d = Draft::new("o-1", "EUR", Actor::customer("c-1").unwrap());
        d.lines.extend((0..lines).map(|n| Line::goods(format!("sku-{n}"), 1, 2_900)));
        d.total_minor = 2_900 * i64::try_from(lines).unwrap();
        let share = d.total_minor / i64::from(tenders);
        for n in 0..tenders {
            let rest = d.total_minor - share * i64::from(tenders - 1);
            d.tenders.push(DraftTender::new("card", if n == 0 { rest } else { share }));
        }
        let id: OrderId = "o-1".parse().unwrap();
        let order = Order::parse(d).unwrap();
        let now = Timestamp::from_millis(0);
        let decision = desk.pipeline().place(OrderKey::from(id), order, now).unwrap();
        let mut book = Self {
            progress: decision.progress.clone(),
            desk,
            head: Hash::default(),
            entries: Vec::new(),
            stored: None,
            policies: BTreeMap::new(),
            now: 0,
        };
        book.write(&decision);
        book
    }

    fn write(&mut self, decision: &crate::pipeline::Decision) {
        let encoded = self.desk.encode(&self.head, decision, None).unwrap();
        let batch = encoded.batch;
        self.policies.extend(batch.policies.iter().cloned());
        let document = batch.document.clone().or_else(|| self.stored.as_ref().map(|s| s.document.clone()));
        self.stored = Some(Stored {
            order: batch.order.clone(),
            version: batch.version,
            head: batch.head,
            columns: batch.columns.clone(),
            progress: batch.progress.clone(),
            document: document.unwrap(),
            owner: None,
        });
        self.entries.extend(batch.entries);
        self.head = encoded.head;
        self.progress = decision.progress.clone();
    }

    fn step(&mut self, by: &str, kind: EventKind) {
        self.now += 1000;
        let event = Event { kind, by: Actor::agent(by).unwrap(), occurred: None };
        let at = Timestamp::from_millis(self.now);
        let decision = self.desk.pipeline().step(&self.progress, event, at).unwrap().unwrap();
        self.write(&decision);
    }

    fn command(&mut self, by: &str, call: crate::machine::Call) {
        let command = Some(u128::try_from(self.now).unwrap());
        self.step(by, EventKind::Command { call, command });
    }

    fn pay(&mut self, tender: u32) {
        let start = Start { tender: Key(tender), channel: None, method: String::new() };
        self.command("host", attempt::M::command(tender, start));
        let amount = self.progress.order.tenders()[tender as usize - 1].amount_minor;
        let paid = Paid {
            channel: "card".parse().unwrap(),
            reference: format!("r-{tender}"),
            amount: Money::new(amount, "EUR".parse().unwrap()),
            more_allowed: false,
            movement: None,
        };
        let effect = self.progress.wanted.last().unwrap().id;
        self.step("host", EventKind::Answer { effect, answer: EffectAnswer::Done(paid.into()) });
    }

    fn stored(&self) -> &Stored {
        self.stored.as_ref().unwrap()
    }

    fn whole(&self) {
        let stored = self.stored();
        assert_eq!(self.head, stored.head);
        verify(&self.entries, stored).unwrap();
        let opened = self.desk.open(stored, &self.policies).unwrap();
        assert_eq!(self.desk.progress(&opened), stored.progress, "what is opened is stored as it was");
        assert_eq!(opened.proofs(), self.progress.proofs());
        assert_eq!(opened.phase(), self.progress.phase());
        assert_eq!(opened.books, self.progress.books);
    }
}

#[test]
fn entries_fold_to_the_progress_byte_for_byte_at_every_version() {
    let mut book = Book::place(30, 2);
    book.whole();
    book.pay(1);
    book.whole();
    book.pay(2);
    book.whole();
    for reviewer in ["anna", "ben"] {
        book.command(reviewer, case::M::command(1, review::Claim::default()));
        book.whole();
        let token = if reviewer == "anna" { 1 } else { 2 };
        book.command(reviewer, case::M::command(1, review::Approve { token }));
        book.whole();
    }
    let hold = EventKind::Park { code: "looked_at", detail: "a \"quote\", a \\ and a\nnew line".into() };
    book.step("anna", hold);
    book.whole();
    book.step("anna", EventKind::Release { hold: 1 });
    book.whole();
    assert_eq!(u64::try_from(book.entries.len()).unwrap(), book.progress.version);
}

#[test]
fn whatever_is_touched_in_a_journal_shows() {
    let mut book = Book::place(2, 1);
    book.pay(1);
    let stored = book.stored().clone();
    let check = |entries: &[Entry]| verify(entries, &stored).unwrap_err();
    let mut missing = book.entries.clone();
    missing.remove(1);
    assert_eq!(check(&missing), ChainFault::Gap { expected: 2, found: 3 });
    let mut swapped = book.entries.clone();
    swapped.swap(0, 1);
    assert_eq!(check(&swapped), ChainFault::Gap { expected: 1, found: 2 });
    for n in 0..book.entries.len() {
        let mut altered = book.entries.clone();
        let mut body = altered[n].body.to_vec();
        let last = body.len() - 1;
        body[last] ^= 1;
        altered[n].body = body.into();
        assert_eq!(check(&altered), ChainFault::Altered { seq: altered[n].seq });
    }
    assert_eq!(check(&book.entries[..2]), ChainFault::Head);
    let mut other = stored.clone();
    let mut progress = stored.progress.to_vec();
    progress[3] ^= 1;
    other.progress = progress.into();
    assert_eq!(verify(&book.entries, &other), Err(ChainFault::Progress));
    let mut other = stored.clone();
    let document = String::from_utf8(stored.document.to_vec()).unwrap();
    other.document = document.replace("sku-1", "sku-9").into_bytes().into();
    assert_eq!(verify(&book.entries, &other), Err(ChainFault::Document));
}

#[test]
fn an_amended_document_is_bound_to_the_chain_and_the_order_keeps_its_policies() {
    let mut book = Book::place(3, 1);
    let placed = (*book.progress.order).clone();
    let mut draft = Draft::from(placed.clone());
    draft.lines.truncate(2);
    draft.total_minor = 5_800;
    draft.tenders = vec![DraftTender::new("card", 5_800)];
    let before = book.stored().clone();
    // Between placing and amending, the pipeline got other policies for new orders.
    let other =
        Physical { review: ReviewPolicy { lease_ms: 1, ..ReviewPolicy::default() }, ..Physical::default() };
    let desk = Desk::new(Arc::new(physical(other).unwrap())).unwrap();
    book.progress = desk.open(&before, &book.policies).unwrap();
    book.desk = desk;
    book.command("anna", lifecycle::M::command(1, Amend { draft }));
    book.whole();
    assert!(book.progress.was_placed_as(&placed));
    let named = |stored: &Stored| book.desk.policies_of(&stored.document).unwrap();
    assert_eq!(named(book.stored()), named(&before));
    let again = book.desk.open(book.stored(), &book.policies).unwrap();
    assert_eq!(again.order.total().minor(), 5_800);
    assert!(again.was_placed_as(&placed), "after it was read back too");
    let mut other = book.stored().clone();
    other.document = before.document;
    assert_eq!(
        verify(&book.entries, &other),
        Err(ChainFault::Document),
        "the old document is not the order's"
    );
}

#[test]
fn a_newer_record_is_called_newer_and_a_broken_one_damaged() {
    let mut book = Book::place(2, 1);
    book.pay(1);
    let replaced = |bytes: &Bytes, with: &str| -> Bytes {
        let text = String::from_utf8(bytes.to_vec()).unwrap();
        text.replacen("\"v\":1", with, 1).into_bytes().into()
    };
    let open = |stored: &Stored| book.desk.open(stored, &book.policies).map(drop);
    for with in ["\"v\":2", "\"v\":9,\"shape\":{}"] {
        let mut stored = book.stored().clone();
        stored.progress = replaced(&stored.progress, with);
        assert!(matches!(open(&stored), Err(JournalError::Newer { known: FORMAT, .. })), "{with}");
        let mut stored = book.stored().clone();
        stored.document = replaced(&stored.document, with);
        assert!(matches!(open(&stored), Err(JournalError::Newer { .. })), "{with}");
        let entry = replaced(&book.entries[0].body, with);
        assert!(matches!(read_entry(&entry), Err(JournalError::Newer { .. })), "{with}");
    }
    let mut stored = book.stored().clone();
    stored.progress = stored.progress[..stored.progress.len() / 2].into();
    assert!(matches!(open(&stored), Err(JournalError::Damaged(_))));
    let state =
        String::from_utf8(book.stored().progress.to_vec()).unwrap().replace("Captured\",1,", "Captured\",7,");
    let mut stored = book.stored().clone();
    stored.progress = state.into_bytes().into();
    assert!(matches!(
        open(&stored),
        Err(JournalError::Codec(crate::machine::CodecError::Version { found: 7, .. }))
    ));
    let none = BTreeMap::new();
    assert!(matches!(book.desk.open(book.stored(), &none), Err(JournalError::NoPolicy { .. })));
}

#[test]
fn progress_stays_small_over_29_tenders_500_lines_and_200_transitions() {
    let mut book = Book::place(500, 29);
    for tender in 1..=29 {
        book.pay(tender);
    }
    while book.progress.version < 200 {
        book.command("anna", case::M::command(1, review::Expedite));
    }
    book.whole();
    let size = book.stored().progress.len();
    assert!(size < 16 * 1024, "{size} bytes of progress");
    let newest = book.entries.last().unwrap().body.len();
    assert!(newest < 1024, "{newest} bytes for an entry that changed one instance");
}

#[test]
fn an_entry_reads_as_it_was_written() {
    let mut book = Book::place(2, 1);
    book.pay(1);
    let paid = read_entry(&book.entries[2].body).unwrap();
    assert_eq!((paid.seq, paid.kind.as_str(), paid.disposition.as_str()), (3, "answer", "moved"));
    assert_eq!(paid.target, Some(("payment.attempt".to_owned(), Key(1))));
    let states: Vec<_> = paid.states.iter().map(|(place, _, state)| format!("{place}:{state}")).collect();
    assert!(states.contains(&"payment.attempt:Captured".to_owned()), "{states:?}");
    assert_eq!(paid.postings.len(), 1);
    assert_eq!(paid.postings[0].amount_minor, 5_800);
}

#[test]
fn a_long_key_of_an_index_row_is_stored_short_and_apart_from_others() {
    assert_eq!(&*index_key("card:ch_1"), "card:ch_1");
    let long = |end: &str| format!("card:{}{end}", "\u{e9}".repeat(400));
    let stored = index_key(&long("a"));
    assert!(stored.len() <= 512, "{}", stored.len());
    assert!(stored.starts_with("card:\u{e9}"), "{stored}");
    assert_eq!(stored, index_key(&long("a")), "the same key is stored under the same name");
    assert_ne!(stored, index_key(&long("b")), "another is not");
    assert_eq!(index_key(&"x".repeat(512)).len(), 512, "what fits is left as it is");
}
