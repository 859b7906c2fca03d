#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use proptest::prelude::*;

use super::*;
use crate::id::Channel;

fn card() -> Channel {
    "card".parse().unwrap()
}
fn wallet() -> Channel {
    "wallet".parse().unwrap()
}

/// The books after these postings, each of which is bookable.
fn books(postings: &[Posting]) -> Books {
    let mut b = Books::default();
    for p in postings {
        b.post(p).unwrap_or_else(|why| panic!("{p:?}: {why}"));
    }
    b
}
fn many<P: Post>(post: P) -> Vec<Posting> {
    let mut out = Vec::new();
    post.postings(&mut out);
    out
}
macro_rules! posted {
    ($($code:ident { $($field:ident : $value:expr),* $(,)? }),* $(,)?) => {{
        let mut all: Vec<Posting> = Vec::new();
        $(all.extend(many($code { $($field: $value),* }));)*
        books(&all)
    }};
}
fn show(b: &Books) -> Vec<String> {
    b.balances().iter().map(|(account, minor)| format!("{account} {minor}")).collect()
}

fn raw(code: Code, channel: Option<Channel>, source: Source, amount_minor: i64) -> Posting {
    Posting { code, channel, source, amount_minor }
}

/// Code, free side, debit, credit: the table of the order domain, written down a second time.
const TABLE: &[(Code, Source, &str, &str)] = &[
    (Code::P1, Source::Cust, "hold:card", "hold_contra"),
    (Code::P2, Source::Cust, "hold_contra", "hold:card"),
    (Code::P3, Source::Cust, "psp:card", "cust"),
    (Code::P4, Source::Cust, "cust", "psp:card"),
    (Code::P5, Source::Cust, "psp:card", "suspense"),
    (Code::P6, Source::Cust, "suspense", "cust"),
    (Code::P7, Source::Cust, "cust", "earned"),
    (Code::P8, Source::Cust, "earned", "cust"),
    (Code::P9, Source::Cust, "cust", "refund_due:card"),
    (Code::P9, Source::Suspense, "suspense", "refund_due:card"),
    (Code::P10, Source::Cust, "refund_due:card", "psp:card"),
    (Code::P11, Source::Cust, "refund_due:card", "cust"),
    (Code::P11, Source::Suspense, "refund_due:card", "suspense"),
    (Code::P12, Source::Cust, "psp:card", "refund_due:card"),
    (Code::P13, Source::Cust, "dispute:card", "psp:card"),
    (Code::P13, Source::Fee, "fee", "psp:card"),
    (Code::P14, Source::Cust, "psp:card", "dispute:card"),
    (Code::P15, Source::Cust, "cust", "dispute:card"),
    (Code::P15, Source::Suspense, "suspense", "dispute:card"),
    (Code::P15, Source::Loss, "loss", "dispute:card"),
    (Code::P16, Source::Cust, "loss", "cust"),
    (Code::P17, Source::Cust, "fee", "psp:card"),
    (Code::P18, Source::Cust, "suspense", "psp:card"),
    (Code::P19, Source::Cust, "loss", "psp:card"),
    (Code::P20, Source::Cust, "cust", "suspense"),
    (Code::P20, Source::Loss, "loss", "suspense"),
    (Code::P21, Source::Cust, "cust", "loss"),
];

const SOURCES: [Source; 4] = [Source::Cust, Source::Suspense, Source::Fee, Source::Loss];

fn has_channel(code: Code) -> bool {
    let touches = |name: &str| name.contains(':');
    TABLE.iter().any(|(c, _, dr, cr)| *c == code && (touches(dr) || touches(cr)))
}

#[test]
fn every_posting_moves_between_the_two_accounts_of_its_table() {
    for (code, source, dr, cr) in TABLE {
        let channel = has_channel(*code).then(card);
        let (d, c) = raw(*code, channel, *source, 1).sides().unwrap();
        assert_eq!((d.to_string().as_str(), c.to_string().as_str()), (*dr, *cr), "{code:?}");
    }
    for code in Code::ALL {
        assert!(TABLE.iter().any(|(c, ..)| c == code), "{code:?} is not in the table");
    }
}

#[test]
fn a_posting_takes_no_account_that_its_code_does_not_leave_open() {
    for code in Code::ALL {
        for source in SOURCES {
            let known = TABLE.iter().any(|(c, s, ..)| c == code && *s == source);
            let sides = raw(*code, has_channel(*code).then(card), source, 1).sides();
            let expected = PostingError::Source { code: *code, source_account: source };
            assert_eq!(sides.err(), (!known).then_some(expected), "{code:?} {source:?}");
        }
    }
}

#[test]
fn a_posting_names_a_channel_exactly_when_its_code_touches_one() {
    for code in Code::ALL {
        let wrong = (!has_channel(*code)).then(card);
        let refused = raw(*code, wrong, Source::Cust, 1).sides();
        assert_eq!(refused, Err(PostingError::Channel { code: *code }));
    }
}

#[test]
fn an_amount_of_a_posting_is_positive() {
    for amount_minor in [0, -1, i64::MIN] {
        let p = raw(Code::P3, Some(card()), Source::Cust, amount_minor);
        assert_eq!(p.sides(), Err(PostingError::NotPositive { amount_minor }));
        assert_eq!(Books::default().post(&p), Err(PostingError::NotPositive { amount_minor }));
    }
}

#[test]
fn an_amount_of_zero_writes_no_posting() {
    assert!(many(P3 { channel: card(), amount_minor: 0 }).is_empty());
    let dispute = many(P13 { channel: card(), amount_minor: 500, fee_minor: 0 });
    assert_eq!(dispute.len(), 1);
}

#[test]
fn a_dispute_takes_the_contested_amount_and_its_fee() {
    let b = posted![
        P3 { channel: card(), amount_minor: 1_000 },
        P13 { channel: card(), amount_minor: 600, fee_minor: 15 },
    ];
    assert_eq!(show(&b), ["psp:card 385", "cust -1000", "dispute:card 600", "fee 15"]);
    assert_eq!(b.refundable(&card()), 400);
}

#[test]
fn what_the_books_cannot_hold_is_refused_and_leaves_them_as_they_were() {
    let mut b = posted![P3 { channel: card(), amount_minor: i64::MAX }];
    let was = b.clone();
    let more = raw(Code::P3, Some(card()), Source::Cust, 1);
    assert_eq!(b.post(&more), Err(PostingError::Overflow));
    assert_eq!(b, was);
}

#[test]
fn sums_near_the_limit_saturate_and_do_not_wrap() {
    let b = posted![
        P3 { channel: card(), amount_minor: i64::MAX },
        P5 { channel: card(), amount_minor: i64::MAX },
    ];
    assert_eq!(b.captured(None), i64::MAX);
    assert_eq!(b.refundable(&card()), i64::MAX);
}

#[test]
fn a_refund_in_flight_counts_against_what_may_be_refunded() {
    let mut b = posted![P3 { channel: card(), amount_minor: 6_000 }];
    assert_eq!(b.refundable(&card()), 6_000);
    let step = |b: &mut Books, p: Vec<Posting>| p.iter().for_each(|p| b.post(p).unwrap());
    step(&mut b, many(P9 { channel: card(), source: Source::Cust, amount_minor: 2_000 }));
    assert_eq!((b.refundable(&card()), b.refund_due(None), b.refunded(None)), (4_000, 2_000, 0));
    step(&mut b, many(P10 { channel: card(), amount_minor: 2_000 }));
    assert_eq!((b.refundable(&card()), b.refund_due(None), b.refunded(None)), (4_000, 0, 2_000));
    step(&mut b, many(P9 { channel: card(), source: Source::Cust, amount_minor: 1_500 }));
    step(&mut b, many(P11 { channel: card(), source: Source::Cust, amount_minor: 1_500 }));
    assert_eq!((b.refundable(&card()), b.refund_due(None), b.refunded(None)), (4_000, 0, 2_000));
    step(&mut b, many(P12 { channel: card(), amount_minor: 2_000 }));
    assert_eq!((b.refundable(&card()), b.refund_due(None), b.refunded(None)), (4_000, 2_000, 0));
    step(&mut b, many(P11 { channel: card(), source: Source::Cust, amount_minor: 2_000 }));
    assert_eq!((b.refundable(&card()), b.kept()), (6_000, 6_000));
}

#[test]
fn what_may_be_refunded_is_counted_by_channel_and_never_negative() {
    let b = posted![
        P3 { channel: card(), amount_minor: 700 },
        P3 { channel: wallet(), amount_minor: 300 },
        P4 { channel: card(), amount_minor: 200 },
        P18 { channel: wallet(), amount_minor: 400 },
    ];
    assert_eq!(b.refundable(&card()), 500);
    assert_eq!(b.refundable(&wallet()), 0);
    assert_eq!(b.channels(), [card(), wallet()]);
    let never_used = "voucher".parse().unwrap();
    assert_eq!(b.refundable(&never_used), 0);
}

#[test]
fn books_are_clear_when_no_clearing_account_holds_anything() {
    assert!(Books::default().is_clear());
    let open = [
        posted![P1 { channel: card(), amount_minor: 1 }],
        posted![P3 { channel: card(), amount_minor: 1 }],
        posted![P5 { channel: card(), amount_minor: 1 }],
        posted![P12 { channel: card(), amount_minor: 1 }],
        posted![P13 { channel: card(), amount_minor: 1, fee_minor: 0 }],
    ];
    for b in open {
        assert!(!b.is_clear(), "{:?}", show(&b));
    }
    let done = posted![
        P1 { channel: card(), amount_minor: 9 },
        P2 { channel: card(), amount_minor: 9 },
        P3 { channel: card(), amount_minor: 9 },
        P7 { amount_minor: 9 },
        P17 { channel: card(), amount_minor: 1 },
    ];
    assert!(done.is_clear(), "{:?}", show(&done));
    assert_eq!(show(&done), ["psp:card 8", "earned -9", "fee 1"]);
}

#[test]
fn what_a_provider_takes_for_nothing_is_our_loss_and_touches_no_customer() {
    let platform: Channel = "ads".parse().unwrap();
    let b = posted![
        P3 { channel: card(), amount_minor: 100 },
        P7 { amount_minor: 100 },
        P19 { channel: platform.clone(), amount_minor: 7 },
    ];
    assert_eq!(show(&b), ["psp:ads -7", "psp:card 100", "earned -100", "loss 7"]);
    assert!(b.is_clear());
    assert_eq!((b.check(100), b.kept(), b.refundable(&platform)), (Ok(()), 100, 0));
}

#[test]
fn money_on_one_channel_does_not_clear_what_is_open_on_another() {
    let b = posted![P1 { channel: card(), amount_minor: 5 }, P2 { channel: wallet(), amount_minor: 5 },];
    assert!(!b.is_clear());
    assert_eq!(b.check(100), Err(Broken::Hold { channel: wallet() }));
}

#[test]
fn each_broken_invariant_is_told_with_its_numbers() {
    let overdrawn = |over_minor| Err(Broken::Overdrawn { channel: card(), over_minor });
    let earned = |earned_minor| Err(Broken::Earned { earned_minor, total_minor: 100 });
    let cases: Vec<(Books, Result<(), Broken>)> = vec![
        (
            posted![
                P3 { channel: card(), amount_minor: 60 },
                P9 { channel: card(), source: Source::Cust, amount_minor: 61 },
            ],
            overdrawn(1),
        ),
        (
            posted![
                P3 { channel: wallet(), amount_minor: 60 },
                P13 { channel: card(), amount_minor: 7, fee_minor: 2 },
            ],
            overdrawn(7),
        ),
        (
            posted![P3 { channel: card(), amount_minor: 60 }, P10 { channel: card(), amount_minor: 10 },],
            Err(Broken::RefundDue { channel: card() }),
        ),
        (
            posted![P1 { channel: card(), amount_minor: 10 }, P2 { channel: card(), amount_minor: 11 },],
            Err(Broken::Hold { channel: card() }),
        ),
        (
            posted![P5 { channel: card(), amount_minor: 3 }, P6 { amount_minor: 8 }],
            Err(Broken::Suspense { over_minor: 5 }),
        ),
        (posted![P7 { amount_minor: 101 }], earned(101)),
        (posted![P7 { amount_minor: 10 }, P8 { amount_minor: 11 }], earned(-1)),
        (posted![P7 { amount_minor: 100 }], Ok(())),
        (Books::default(), Ok(())),
    ];
    for (b, expected) in cases {
        assert_eq!(b.check(100), expected, "{:?}", show(&b));
    }
}

#[test]
fn of_several_broken_invariants_the_gravest_is_told() {
    let b = posted![
        P10 { channel: card(), amount_minor: 10 },
        P2 { channel: card(), amount_minor: 1 },
        P6 { amount_minor: 8 },
        P7 { amount_minor: 500 },
        P9 { channel: wallet(), source: Source::Cust, amount_minor: 1 },
    ];
    assert_eq!(b.check(100), Err(Broken::Overdrawn { channel: wallet(), over_minor: 1 }));
    let b = posted![P6 { amount_minor: 8 }, P7 { amount_minor: 500 }];
    assert_eq!(b.check(100), Err(Broken::Suspense { over_minor: 8 }));
}

#[test]
fn the_name_of_a_code_and_its_bit_are_its_own() {
    let mut bits = 0_u32;
    for code in Code::ALL {
        assert_eq!(bits & code.bit(), 0, "{code:?}");
        bits |= code.bit();
        assert_eq!(format!("{code:?}"), code.name());
    }
}

fn posting() -> impl Strategy<Value = Posting> {
    (0..TABLE.len(), any::<bool>(), 1..=10_000_i64).prop_map(|(row, on_card, amount_minor)| {
        let (code, source, ..) = TABLE[row];
        let channel = has_channel(code).then(|| if on_card { card() } else { wallet() });
        raw(code, channel, source, amount_minor)
    })
}

proptest! {
    #[test]
    fn the_accounts_of_an_order_sum_to_zero_whatever_is_posted(
        all in prop::collection::vec(posting(), 0..60)
    ) {
        let b = books(&all);
        prop_assert_eq!(b.balances().values().sum::<i64>(), 0);
    }

    #[test]
    fn each_account_is_the_sum_of_its_debits_less_its_credits(
        all in prop::collection::vec(posting(), 0..60)
    ) {
        let b = books(&all);
        for (account, minor) in b.balances() {
            let mut sum = 0;
            for p in &all {
                let (dr, cr) = p.sides().unwrap();
                sum += i64::from(dr == account) * p.amount_minor;
                sum -= i64::from(cr == account) * p.amount_minor;
            }
            prop_assert_eq!(minor, sum, "{}", account);
        }
    }

    #[test]
    fn the_order_of_postings_changes_no_balance(
        all in prop::collection::vec(posting(), 0..40)
    ) {
        let forth = books(&all);
        let back: Vec<Posting> = all.iter().rev().cloned().collect();
        prop_assert_eq!(&forth, &books(&back));
        let sums: Vec<Posting> = forth.sums().collect();
        prop_assert_eq!(&forth, &books(&sums));
    }

    #[test]
    fn what_may_be_refunded_is_exactly_what_was_captured_and_has_not_left(
        all in prop::collection::vec(posting(), 0..60)
    ) {
        let b = books(&all);
        for channel in [card(), wallet()] {
            let free: i64 = all
                .iter()
                .filter(|p| p.channel.as_ref() == Some(&channel))
                .map(|p| match p.code {
                    Code::P3 | Code::P5 | Code::P11 | Code::P14 => p.amount_minor,
                    Code::P4 | Code::P9 | Code::P18 => -p.amount_minor,
                    Code::P13 if p.source == Source::Cust => -p.amount_minor,
                    Code::P1 | Code::P2 | Code::P6 | Code::P7 | Code::P8 | Code::P10 | Code::P12
                    | Code::P13 | Code::P15 | Code::P16 | Code::P17 | Code::P19 | Code::P20
                    | Code::P21 => 0,
                })
                .sum();
            prop_assert_eq!(b.refundable(&channel), free.max(0));
        }
    }

    #[test]
    fn what_is_owed_is_what_was_kept_less_what_was_earned_and_written_off(
        all in prop::collection::vec(posting(), 0..60)
    ) {
        let b = books(&all);
        let sum = |code| all.iter().filter(|p| p.code == code).map(|p| p.amount_minor).sum::<i64>();
        let written_off = sum(Code::P16) - sum(Code::P21);
        prop_assert_eq!(b.owed(), b.kept() - b.earned() + written_off);
    }
}
