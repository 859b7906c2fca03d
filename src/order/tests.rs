#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use proptest::prelude::*;

use super::*;
use crate::id::{IdError, IdFault, IdKind};
use crate::money::CurrencyError;

/// Two lines of goods from two sellers, a service, shipping: 100.00 in all, on two channels.
fn draft() -> Draft {
    Draft {
        lines: vec![
            Line::goods("tea", 2, 1_250).in_group("ana"),
            Line::goods("cup", 1, 5_000).in_group("bob"),
            Line::service("gift-card", 1, 1_500),
        ],
        charges: vec![Charge::new(ChargeKind::Shipping, 1_000)],
        parties: vec![Party::new(PartyRole::Customer, "c-1")],
        total_minor: 10_000,
        tenders: vec![DraftTender::new("voucher", 3_000), DraftTender::new("credit_card", 7_000)],
        attributes: BTreeMap::from([("source".into(), "web".into())]),
        ..Draft::new("o-1", "BRL", Actor::customer("c-1").unwrap())
    }
}

fn order(draft: Draft) -> Order {
    Order::parse(draft).unwrap()
}

fn faults(draft: Draft) -> Vec<Fault> {
    Order::parse(draft).unwrap_err()
}

/// What a draft made wrong by `change` is refused for.
fn refused(change: impl FnOnce(&mut Draft)) -> Vec<Fault> {
    let mut draft = draft();
    change(&mut draft);
    faults(draft)
}

fn accepted(change: impl FnOnce(&mut Draft)) -> Order {
    let mut draft = draft();
    change(&mut draft);
    order(draft)
}

fn at(path: &str) -> String {
    path.into()
}

fn forbidden(path: &str) -> Fault {
    Fault::ForbiddenData { path: at(path) }
}

#[test]
fn an_order_says_what_its_draft_said() {
    let order = order(draft());
    assert_eq!(order.id().as_str(), "o-1");
    assert_eq!(order.currency().code(), "BRL");
    assert_eq!(order.total().to_string(), "100.00 BRL");
    assert_eq!(order.lines().len(), 3);
    assert_eq!(order.charges(), draft().charges);
    assert_eq!(order.parties(), draft().parties);
    assert_eq!(order.attributes()["source"], "web");
    assert_eq!(order.placed_by().id(), "c-1");
    assert_eq!(Draft::from(order), draft());
}

#[test]
fn what_an_order_says_has_one_hash_and_another_order_has_another() {
    let one = order(draft());
    let hash = one.content_hash();
    assert_eq!(hash, order(draft()).content_hash());
    let read: Order = serde_json::from_slice(&one.content()).unwrap();
    assert_eq!(hash, read.content_hash(), "a stored order has the hash it was placed with");
    let dearer = accepted(|d| {
        d.lines[0].unit_price_minor += 1;
        d.total_minor += i64::from(d.lines[0].quantity);
        d.tenders.clear();
    });
    let noted = accepted(|d| {
        d.attributes.insert("note".into(), "ring twice".into());
    });
    assert_ne!(hash, dearer.content_hash());
    assert_ne!(hash, noted.content_hash());
}

#[test]
fn an_order_is_about_goods_or_services_or_both() {
    let kind = |lines| order(of(lines, vec![], 100)).kind();
    assert_eq!(kind(vec![Line::goods("a", 1, 100)]), OrderKind::Goods);
    assert_eq!(kind(vec![Line::service("a", 1, 100)]), OrderKind::Service);
    assert_eq!(kind(vec![Line::service("a", 1, 60), Line::goods("b", 1, 40)]), OrderKind::Mixed);
    assert_eq!(OrderKind::Mixed.name(), "mixed");
}

#[test]
fn tenders_are_numbered_from_one_in_the_order_of_the_draft() {
    let order = order(draft());
    let tenders: Vec<_> =
        order.tenders().iter().map(|t| (t.key, t.channel.as_str(), t.amount_minor)).collect();
    assert_eq!(tenders, [(Key(1), "voucher", 3_000), (Key(2), "credit_card", 7_000)]);
}

#[test]
fn each_fault_is_told_with_its_place() {
    type Change = fn(&mut Draft);
    let cases: Vec<(Change, Fault)> = vec![
        (
            |d| d.id = "o 1".into(),
            Fault::Name {
                path: at("id"),
                why: IdError {
                    kind: IdKind::Order,
                    why: IdFault::Character { at: 1, allowed: "visible ASCII" },
                },
            },
        ),
        (
            |d| d.currency = "QQQ".into(),
            Fault::Currency { path: at("currency"), why: CurrencyError::Unknown { code: "QQQ".into() } },
        ),
        (
            |d| d.currency = "XAU".into(),
            Fault::Currency { path: at("currency"), why: CurrencyError::NoMinorUnit { code: "XAU".into() } },
        ),
        (|d| d.lines[0].sku = String::new(), Fault::Empty { path: at("lines[0].sku") }),
        (
            |d| d.lines[1].group = Some("g".repeat(129)),
            Fault::TooLong { path: at("lines[1].group"), bytes: 129, max: 128 },
        ),
        (
            |d| d.parties[0].reference = "c\n1".into(),
            Fault::ControlCharacter { path: at("parties[0].reference") },
        ),
        (
            |d| d.charges = vec![Charge::new(ChargeKind::Shipping, 1); 1_001],
            Fault::TooMany { path: at("charges"), found: 1_001, max: 1_000 },
        ),
        (
            |d| d.parties = vec![Party::new(PartyRole::Payer, "p"); 65],
            Fault::TooMany { path: at("parties"), found: 65, max: 64 },
        ),
        (
            |d| d.tenders = vec![DraftTender::new("boleto", 1); 65],
            Fault::TooMany { path: at("tenders"), found: 65, max: 64 },
        ),
        (
            |d| d.attributes = (0..33).map(|n| (n.to_string(), String::new())).collect(),
            Fault::TooMany { path: at("attributes"), found: 33, max: 32 },
        ),
        (
            |d| d.total_minor = 9_999,
            Fault::TotalMismatch { path: at("total_minor"), stated_minor: 9_999, counted_minor: 10_000 },
        ),
        (
            |d| d.tenders[1].amount_minor = 7_001,
            Fault::TendersMismatch { path: at("tenders"), total_minor: 10_000, tendered_minor: 10_001 },
        ),
        (
            |d| d.tenders[0].channel = "Voucher".into(),
            Fault::Name {
                path: at("tenders[0].channel"),
                why: IdError {
                    kind: IdKind::Channel,
                    why: IdFault::Character { at: 0, allowed: "a-z 0-9 _ . -" },
                },
            },
        ),
        (
            |d| {
                d.attributes.insert("k".repeat(65), "v".into());
            },
            Fault::TooLong { path: at("attributes[0]"), bytes: 65, max: 64 },
        ),
        (
            |d| {
                d.attributes.insert("note".into(), "v".repeat(513));
            },
            Fault::TooLong { path: at("attributes.note"), bytes: 513, max: 512 },
        ),
        (
            |d| {
                d.attributes.insert(String::new(), "v".into());
            },
            Fault::Empty { path: at("attributes[0]") },
        ),
    ];
    for (change, fault) in cases {
        let tells_total = matches!(fault, Fault::TotalMismatch { .. });
        let mut found = refused(change);
        if tells_total {
            // The tenders still pay the old total, and that is told too.
            assert!(matches!(found.pop(), Some(Fault::TendersMismatch { .. })));
        }
        assert_eq!(found, [fault]);
    }
}

#[test]
fn all_faults_of_a_draft_are_told_at_once_and_in_order() {
    let found = refused(|d| {
        d.id = String::new();
        d.currency = "brl".into();
        d.lines[0].quantity = 0;
        d.lines[1].unit_price_minor = -5_000;
        d.charges[0].amount_minor = -1;
        d.tenders[0].amount_minor = 0;
        d.attributes.insert("cvv".into(), "123".into());
    });
    assert_eq!(
        found,
        [
            Fault::Name { path: at("id"), why: IdError { kind: IdKind::Order, why: IdFault::Empty } },
            Fault::Currency { path: at("currency"), why: CurrencyError::Malformed },
            Fault::NotPositive { path: at("lines[0].quantity"), found: 0 },
            Fault::Negative { path: at("lines[1].unit_price_minor"), found_minor: -5_000 },
            Fault::Negative { path: at("charges[0].amount_minor"), found_minor: -1 },
            Fault::TotalMismatch { path: at("total_minor"), stated_minor: 10_000, counted_minor: -3_501 },
            Fault::NotPositive { path: at("tenders[0].amount_minor"), found: 0 },
            Fault::TendersMismatch { path: at("tenders"), total_minor: 10_000, tendered_minor: 7_000 },
            forbidden("attributes.cvv"),
        ]
    );
    for fault in &found {
        assert!(fault.to_string().starts_with(fault.path()), "{fault}");
    }
    assert!(Faults(found).to_string().starts_with("id: order id: is empty; currency: "));
}

#[test]
fn an_order_of_nothing_is_none() {
    let mut draft = draft();
    draft.lines.clear();
    draft.charges.clear();
    draft.tenders.clear();
    draft.total_minor = 0;
    assert_eq!(faults(draft), [Fault::Empty { path: at("lines") }]);
}

#[test]
fn discounts_take_off_and_never_below_nothing() {
    let discounted = |minor, total| {
        move |d: &mut Draft| {
            d.charges.push(Charge::new(ChargeKind::Discount, minor));
            d.total_minor = total;
            d.tenders.clear();
        }
    };
    assert_eq!(accepted(discounted(-10_000, 0)).total().minor(), 0);
    assert_eq!(
        refused(discounted(-10_001, -1)),
        [Fault::Negative { path: at("total_minor"), found_minor: -1 }]
    );
}

#[test]
fn an_order_may_be_placed_before_anyone_says_how_it_is_paid() {
    assert!(accepted(|d| d.tenders.clear()).tenders().is_empty());
}

#[test]
fn the_same_thing_may_stand_on_two_lines_and_the_same_channel_in_two_tenders() {
    let order = accepted(|d| {
        d.lines[1].sku = "tea".into();
        d.tenders[0].channel = "credit_card".into();
    });
    assert_eq!(order.tenders()[0].channel, order.tenders()[1].channel);
}

#[test]
fn amounts_that_overflow_are_refused_wherever_they_do() {
    let overflow = |path: &str| Fault::Overflow { path: at(path) };
    let lines = |lines: Vec<Line>, charges: Vec<Charge>| Draft {
        lines,
        charges,
        ..Draft::new("o-1", "BRL", Actor::system())
    };
    let half = i64::MAX / 2 + 1;
    for draft in [
        lines(vec![Line::goods("a", 2, i64::MAX)], vec![]),
        lines(vec![Line::goods("a", u32::MAX, i64::MAX); 1_000], vec![]),
        lines(vec![Line::goods("a", 1, half); 2], vec![]),
        lines(vec![Line::goods("a", 2, i64::MIN)], vec![]),
        // The sum would fit; that of the lines alone would not.
        lines(vec![Line::goods("a", 1, half); 2], vec![Charge::new(ChargeKind::Discount, i64::MIN)]),
    ] {
        assert!(faults(draft).contains(&overflow("total_minor")));
    }
    let mut most = lines(vec![Line::goods("a", 1, i64::MAX)], vec![]);
    most.total_minor = i64::MAX;
    most.tenders = vec![DraftTender::new("boleto", i64::MAX); 2];
    assert_eq!(faults(most.clone()), [overflow("tenders")]);
    most.tenders.pop();
    assert_eq!(order(most).parcels()[0].share_minor, i64::MAX);
}

#[test]
fn ten_thousand_lines_are_refused_without_reading_them() {
    let line = Line::goods("4111111111111111".repeat(100), 0, -1);
    let draft = Draft { lines: vec![line; 10_000], ..draft() };
    // Had they been read, each line would add faults of its own.
    assert_eq!(faults(draft), [Fault::TooMany { path: at("lines"), found: 10_000, max: 1_000 }]);
}

#[test]
fn card_numbers_have_no_place_in_an_order_and_are_not_repeated() {
    // The numbers that card schemes publish for tests.
    for card in [
        "4111111111111111",
        "4111 1111 1111 1111",
        " 4111-1111-1111-1111 ",
        "4222222222222",
        "378282246310005",
        "5555\u{a0}5555\u{2013}5555 4444",
        "6304000000000000000",
    ] {
        let mut draft = draft();
        draft.attributes.insert("note".into(), card.into());
        draft.attributes.insert(card.into(), String::new());
        let by_place = draft.attributes.keys().position(|key| key == card).unwrap();
        let mut found = faults(draft);
        let shown = format!("{found:?} {}", Faults(found.clone()));
        assert!(!shown.contains(card), "{shown}");
        found.sort_by_key(|fault| fault.path().to_owned());
        let mut expected = [forbidden("attributes.note"), forbidden(&format!("attributes[{by_place}]"))];
        expected.sort_by_key(|fault| fault.path().to_owned());
        assert_eq!(found, expected, "{card}");
    }
}

#[test]
fn what_only_resembles_a_card_number_is_kept() {
    for reference in [
        "4111111111111112",
        "411111111111",
        "41111111111111111111",
        "c4111111111111111",
        "4111.1111.1111.1111",
        "bd07b66896d6f1494f5b86251848ced7",
        "-",
    ] {
        let order = accepted(|d| {
            d.lines[0].sku = reference.into();
            d.attributes.insert("note".into(), reference.into());
        });
        assert_eq!(order.lines()[0].sku, reference);
    }
}

fn struck(text: &str) -> String {
    forbidden::struck(text, &forbidden::Known::default())
}

/// Numbers that look drawn by chance, and are the same in every run.
struct Dice(u64);

impl Dice {
    fn below(&mut self, n: u64) -> u64 {
        // splitmix64
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % n
    }

    fn digits(&mut self, n: usize) -> String {
        (0..n).map(|_| char::from_digit(u32::try_from(self.below(10)).unwrap(), 10).unwrap()).collect()
    }

    fn one_of<'a>(&mut self, all: &[&'a str]) -> &'a str {
        all[usize::try_from(self.below(all.len() as u64)).unwrap()]
    }

    /// A number that begins so, has so many digits, and ends in the right check digit.
    fn card(&mut self, head: &str, len: usize) -> String {
        let body = format!("{head}{}", self.digits(len - head.len() - 1));
        let sum: u32 = body
            .chars()
            .rev()
            .enumerate()
            .map(|(at, c)| {
                let d = c.to_digit(10).unwrap();
                if at % 2 == 0 { d * 2 / 10 + d * 2 % 10 } else { d }
            })
            .sum();
        format!("{body}{}", (10 - sum % 10) % 10)
    }
}

/// What schemes issue: how numbers begin, and how long they are.
const ISSUED: &[(&[&str], &[usize])] = &[
    (&["4"], &[13, 16, 19]),
    (&["51", "52", "53", "54", "55", "2221", "2300", "2699", "2720"], &[16]),
    (&["34", "37"], &[15]),
    (&["300", "305", "3095", "36", "38", "39"], &[14]),
    (&["6011", "644", "649", "65"], &[16, 19]),
    (&["3528", "3589", "356"], &[16]),
    (&["62"], &[16, 17, 18, 19]),
    (&["5018", "5020", "5038", "5893", "6304", "6759", "6761", "6763"], &[12, 13, 14, 15, 16, 17, 18, 19]),
    (&["2200", "2204"], &[16]),
    (&["508500", "606985", "652150"], &[16]),
];

#[test]
fn c01_every_card_number_in_words_is_found() {
    let mut dice = Dice(1);
    let mut seen = BTreeMap::<&str, usize>::new();
    for _ in 0..10_000 {
        let (heads, lengths) = ISSUED[usize::try_from(dice.below(ISSUED.len() as u64)).unwrap()];
        let len = lengths[usize::try_from(dice.below(lengths.len() as u64)).unwrap()];
        let head = dice.one_of(heads);
        let number = dice.card(head, len);
        let digits: Vec<char> = number.chars().collect();
        let gap = dice.one_of(&["", " ", "-", "\u{a0}", "\u{2013}", "  ", " -", "\u{200b}", "\u{3000}"]);
        let parts: Vec<String> = match (len, dice.below(3)) {
            (15, 0) => vec![number[..4].into(), number[4..10].into(), number[10..].into()],
            (14, 0) => vec![number[..4].into(), number[4..10].into(), number[10..].into()],
            (_, 1) => digits.iter().map(char::to_string).collect(),
            _ => digits.chunks(4).map(String::from_iter).collect(),
        };
        let mut written = parts.join(gap);
        let wide = dice.below(8);
        if wide == 0 {
            let full = |c: char| c.to_digit(10).map_or(c, |d| char::from_u32(0xff10 + d).unwrap());
            written = written.chars().map(full).collect();
        }
        let (before, after) = [
            ("", ""),
            ("paid with ", ", thanks"),
            ("card: ", "."),
            ("(", ")"),
            ("exp 12/29 ", ""),
            ("", " exp 12/29"),
            ("\u{5361}\u{53f7}\u{ff1a}", "\u{8c22}\u{8c22}"),
            ("\u{6211}\u{7684}\u{5361}", "\u{3002}"),
            ("pan=", ";cvv=123"),
            ("order 12, ", "\n"),
            ("\"", "\""),
            ("she said: <", ">"),
        ][usize::try_from(dice.below(12)).unwrap()];
        let text = format!("{before}{written}{after}");
        let left = struck(&text);
        let kept: String = left.chars().filter(char::is_ascii_digit).collect();
        assert!(left.contains("[card number]") && !left.contains(&*parts.join(gap)), "{text:?}: {left:?}");
        assert!(kept.len() <= 6, "{text:?}: {left:?}");
        *seen.entry(head).or_default() += 1;
    }
    assert_eq!(
        seen.len(),
        ISSUED.iter().map(|(heads, _)| heads.len()).sum::<usize>(),
        "each range was tried"
    );
}

/// Numbers of things, as large platforms, carriers and publishers give them.
fn innocent(dice: &mut Dice) -> String {
    let ms = 1_700_000_000_000 + dice.below(100_000_000_000);
    match dice.below(10) {
        // Of the time and the machine (Snowflake), 18 and 19 digits.
        0 => (((ms - 1_288_834_974_657) << 22) | dice.below(1 << 22)).to_string(),
        // Of the date: 16 to 19 digits.
        1 => format!("20{}{:02}{:02}{}", 24 + dice.below(3), 1 + dice.below(12), 1 + dice.below(28), {
            let more = 8 + usize::try_from(dice.below(4)).unwrap();
            dice.digits(more)
        }),
        // Amazon's.
        2 => format!("{}-{}-{}", 100 + dice.below(900), dice.digits(7), dice.digits(7)),
        // AliExpress'.
        3 => format!("8{}{}", 1 + dice.below(2), dice.digits(14)),
        // Books.
        4 => format!("97{}{}", 8 + dice.below(2), dice.digits(10)),
        5 => format!(
            "97{}-{}-{}-{}-{}",
            8 + dice.below(2),
            dice.digits(1),
            dice.digits(3),
            dice.digits(5),
            dice.digits(1)
        ),
        // A scan: a code and when.
        6 => format!("{}{ms}", dice.one_of(&["RX", "pu-", "5:", "delivered ", "44 "])),
        // Return labels.
        7 => format!("{}{}", dice.one_of(&["JD", "SF", "1Z", "YT", "LP00", "RR"]), dice.digits(13)),
        // Serial shipping containers (SSCC) of GS1.
        8 => format!("00{}", dice.digits(18)),
        _ => format!("ord-{}-{:08}", 10_000 + dice.below(90_000), dice.below(100)),
    }
}

#[test]
fn c01_numbers_of_things_are_not_taken_for_cards() {
    let mut dice = Dice(2);
    let (mut alarms, mut own) = (0, 0);
    for _ in 0..10_000 {
        let known = innocent(&mut dice);
        // Any number of 16 to 19 digits, whatever it begins with.
        let len = 16 + usize::try_from(dice.below(4)).unwrap();
        let any = dice.digits(len);
        let mut draft = draft();
        draft.id.clone_from(&any);
        draft.lines[0].sku.clone_from(&any);
        draft.lines[1].group = Some(known.clone());
        draft.charges[0].group = Some(known.clone());
        draft.parties[0].reference.clone_from(&any);
        for key in ["tracking", "platform_order_no", "isbn", "return_label", "scan_id"] {
            draft.attributes.insert(key.into(), if key == "isbn" { known.clone() } else { any.clone() });
        }
        draft.attributes.insert("note".into(), format!("about {any}, again"));
        own += usize::from(Order::parse(draft).is_err());
        let text = format!("about order {known}, again: {known} - thanks");
        alarms += usize::from(struck(&text) != text);
    }
    assert_eq!(own, 0, "in their own fields, and where they are spoken of in the order's own notes");
    assert!(alarms <= 10, "{alarms} of 10,000 in free text");
}

#[test]
fn c01_a_field_named_for_a_card_is_looked_at_whatever_else_it_is_named() {
    for key in ["card_number", "card_no", "cc-number", "card id"] {
        let found = refused(|d| {
            d.attributes.insert(key.into(), "4111111111111111".into());
        });
        assert_eq!(found, [forbidden(&format!("attributes.{key}"))]);
    }
    let found = refused(|d| {
        d.attributes.insert("gift_note".into(), "my card 4111111111111111, security code: 123".into());
        d.attributes.insert("wish".into(), "\u{5b89}\u{5168}\u{7801} 123".into());
    });
    assert_eq!(found, [forbidden("attributes.gift_note"), forbidden("attributes.wish")]);
}

#[test]
fn a_card_number_is_found_and_struck_out_of_words_however_it_is_written() {
    for (text, left) in [
        ("4111111111111111", "[card number]"),
        ("4111 1111 1111 1111", "[card number]"),
        ("4111-1111-1111-1111 exp 12/29", "[card number] exp 12/29"),
        ("card: 4111111111111111.", "card: [card number]."),
        ("order 12 4111 1111 1111 1111, paid", "order 12 [card number], paid"),
        ("she said 3782 822463 10005 and 5555  5555  5555  4444", "she said [card number] and [card number]"),
        ("the number is \u{ff14}111\u{3000}1111 1111 111\u{ff11}!", "the number is [card number]!"),
        ("\"6011000990139424\"", "\"[card number]\""),
        ("a Maestro 6304000000000000", "a Maestro [card number]"),
        // None of these is one.
        ("ref c4111111111111111 and 4111111111111111c", "ref c4111111111111111 and 4111111111111111c"),
        ("4111 1111 1111 1112", "4111 1111 1111 1112"),
        ("4111.1111.1111.1111 is no way to write it", "4111.1111.1111.1111 is no way to write it"),
        ("4111 1111 / 1111 1111", "4111 1111 / 1111 1111"),
        ("call +49 30 901820 or +49 30 901821", "call +49 30 901820 or +49 30 901821"),
        ("scan 00340434161094042557 at 1764261913000", "scan 00340434161094042557 at 1764261913000"),
        ("", ""),
        // Scripts without spaces, other digits, and what does not show.
        ("\u{5361}\u{53f7}4111111111111111\u{8c22}\u{8c22}", "\u{5361}\u{53f7}[card number]\u{8c22}\u{8c22}"),
        ("4111\u{200b}1111\u{2060}1111\u{feff}1111", "[card number]"),
        ("\u{664}\u{661}\u{661}\u{661} 1111 1111 1111", "[card number]"),
        // A part of a longer number, or of a number with a scheme of its own.
        ("1-4111-1111-1111-1111", "1-4111-1111-1111-1111"),
        ("tok_4111111111111111", "tok_4111111111111111"),
        ("order 302-1234567-1234567", "order 302-1234567-1234567"),
        // Verification codes, by their labels.
        ("cvv 123", "cvv [security code]"),
        ("CVC2: 1234.", "CVC2: [security code]."),
        ("my security code is 123, thanks", "my security code is [security code], thanks"),
        (
            "\u{5b89}\u{5168}\u{7801}\u{ff1a}\u{ff11}\u{ff12}\u{ff13}\u{3002}",
            "\u{5b89}\u{5168}\u{7801}\u{ff1a}[security code]\u{3002}",
        ),
        ("4111111111111111 cvv123", "[card number] cvv[security code]"),
        ("cvv 12", "cvv 12"),
        ("cvv 12345", "cvv 12345"),
        ("the code for the gate is 1234", "the code for the gate is 1234"),
        ("security code missing, order 1234", "security code missing, order 1234"),
        ("cvc", "cvc"),
    ] {
        assert_eq!(struck(text), left);
    }
}

#[test]
fn an_attribute_named_for_card_data_is_refused_whatever_it_holds() {
    for key in ["cvv", "cvc", "cvn", "pan", "pin", "CVV", "Pin", " pan ", "cvv2", "card_cvv", "card-cvc"] {
        let found = refused(|d| {
            d.attributes.insert(key.into(), String::new());
        });
        assert_eq!(found, [forbidden(&format!("attributes.{key}"))]);
    }
    for key in ["pin_code", "pan-size", "opinion", "spancvvx", "japan"] {
        accepted(|d| {
            d.attributes.insert(key.into(), "6".into());
        });
    }
}

/// Group, lines and share of a parcel.
type Packed = (Option<String>, Vec<usize>, i64);

/// The parcels, and what the services carry.
fn shared(draft: Draft) -> (Vec<Packed>, i64) {
    let order = order(draft);
    let parcels = order.parcels();
    for (number, parcel) in (1..).zip(&parcels) {
        assert_eq!(parcel.key, Key(number));
    }
    let parcels = parcels.into_iter().map(|p| (p.group, p.lines, p.share_minor)).collect();
    (parcels, order.services_minor())
}

fn of(lines: Vec<Line>, charges: Vec<Charge>, total_minor: i64) -> Draft {
    Draft { lines, charges, total_minor, ..Draft::new("o-1", "BRL", Actor::system()) }
}

#[test]
fn goods_travel_by_group_and_carry_their_part_of_the_rest() {
    let group = |name: &str| Some(name.to_owned());
    let (parcels, services) = shared(draft());
    // Shipping of 10.00 over goods of 25.00 and 50.00: 3.33 and 6.67. A service is not shipped.
    assert_eq!(parcels, [(group("ana"), vec![0], 2_833), (group("bob"), vec![1], 5_667)]);
    assert_eq!(services, 1_500);
}

#[test]
fn parcels_come_in_the_order_their_groups_appear() {
    let (parcels, services) = shared(of(
        vec![
            Line::goods("a", 1, 100).in_group("zoe"),
            Line::goods("b", 1, 200),
            Line::goods("c", 1, 300).in_group("ana"),
            Line::goods("d", 1, 400).in_group("zoe"),
            Line::goods("e", 1, 500),
        ],
        vec![
            Charge::new(ChargeKind::Shipping, 50).in_group("ana"),
            Charge::new(ChargeKind::Discount, -25).in_group("zoe"),
        ],
        1_525,
    ));
    assert_eq!(
        parcels,
        [(Some("zoe".into()), vec![0, 3], 475), (None, vec![1, 4], 700), (Some("ana".into()), vec![2], 350),]
    );
    assert_eq!(services, 0);
}

#[test]
fn an_order_of_services_has_no_parcel() {
    let draft = of(
        vec![Line::service("visit", 2, 500).in_group("ana")],
        vec![Charge::new(ChargeKind::Tax, 100)],
        1_100,
    );
    assert_eq!(shared(draft), (vec![], 1_100));
}

#[test]
fn services_are_numbered_by_line_and_share_what_they_carry_by_largest_remainder() {
    let lines = vec![
        Line::service("setup", 1, 100),
        Line::goods("poster", 1, 700),
        Line::service("ads", 2, 50),
        Line::service("report", 1, 100),
    ];
    let order = order(of(lines, vec![Charge::new(ChargeKind::Discount, -200)], 800));
    assert_eq!(order.services_minor(), 240);
    let dealt = |o: &Order| o.services().iter().map(|s| (s.key.0, s.line, s.share_minor)).collect::<Vec<_>>();
    assert_eq!(dealt(&order), [(1, 0, 80), (2, 2, 80), (3, 3, 80)]);
    let odd = of(
        vec![Line::service("a", 1, 1), Line::service("b", 1, 1), Line::service("c", 1, 1)],
        vec![Charge::new(ChargeKind::Tax, 97)],
        100,
    );
    assert_eq!(dealt(&self::order(odd)), [(1, 0, 34), (2, 1, 33), (3, 2, 33)]);
    let free = of(vec![Line::service("a", 1, 0), Line::service("b", 1, 0)], vec![], 0);
    assert_eq!(dealt(&self::order(free)), [(1, 0, 0), (2, 1, 0)]);
    assert!(self::order(of(vec![Line::goods("g", 1, 5)], vec![], 5)).services().is_empty());
}

#[test]
fn a_groups_charge_goes_to_its_goods_then_to_its_services_then_to_all() {
    let draft = |group: &str| {
        of(
            vec![
                Line::goods("chair", 1, 100).in_group("ana"),
                Line::service("assembly", 1, 100).in_group("ana"),
                Line::service("visit", 1, 200).in_group("bob"),
            ],
            vec![Charge::new(ChargeKind::Tax, 40).in_group(group)],
            440,
        )
    };
    let parcel = |share| vec![(Some("ana".to_owned()), vec![0], share)];
    assert_eq!(shared(draft("ana")), (parcel(140), 300));
    assert_eq!(shared(draft("bob")), (parcel(100), 340));
    assert_eq!(shared(draft("eve")), (parcel(110), 330));
}

#[test]
fn shared_charges_are_equal_where_the_goods_are_free() {
    let draft = of(
        vec![Line::goods("a", 1, 0).in_group("ana"), Line::goods("b", 1, 0).in_group("bob")],
        vec![Charge::new(ChargeKind::Shipping, 101)],
        101,
    );
    let (parcels, _) = shared(draft);
    assert_eq!(parcels.iter().map(|p| p.2).collect::<Vec<_>>(), [51, 50]);
}

#[test]
fn no_parcel_owes_money_because_its_discount_is_larger_than_its_goods() {
    let draft = of(
        vec![Line::goods("a", 1, 100).in_group("ana"), Line::goods("b", 1, 300).in_group("bob")],
        vec![Charge::new(ChargeKind::Discount, -200).in_group("ana")],
        200,
    );
    let (parcels, _) = shared(draft);
    assert_eq!(parcels.iter().map(|p| p.2).collect::<Vec<_>>(), [50, 150]);
}

#[test]
fn an_order_survives_being_written_and_read() {
    let order = order(draft());
    let bytes = order.content();
    assert_eq!(serde_json::from_slice::<Order>(&bytes).unwrap(), order);
    assert_eq!(
        String::from_utf8(bytes).unwrap(),
        concat!(
            r#"{"id":"o-1","currency":"BRL","lines":["#,
            r#"{"sku":"tea","quantity":2,"unit_price_minor":1250,"kind":"goods","group":"ana"},"#,
            r#"{"sku":"cup","quantity":1,"unit_price_minor":5000,"kind":"goods","group":"bob"},"#,
            r#"{"sku":"gift-card","quantity":1,"unit_price_minor":1500,"kind":"service"}],"#,
            r#""charges":[{"kind":"shipping","amount_minor":1000}],"#,
            r#""parties":[{"role":"customer","reference":"c-1"}],"#,
            r#""total_minor":10000,"#,
            r#""tenders":[{"channel":"voucher","amount_minor":3000},"#,
            r#"{"channel":"credit_card","amount_minor":7000}],"#,
            r#""attributes":{"source":"web"},"placed_by":"customer:c-1"}"#,
        )
    );
}

#[test]
fn a_record_that_was_tampered_with_is_not_an_order() {
    let json = String::from_utf8(order(draft()).content()).unwrap();
    for (from, to, why) in [
        (r#""total_minor":10000"#, r#""total_minor":10001"#, "total_minor: 10001 minor units"),
        (r#""quantity":2"#, r#""quantity":0"#, "lines[0].quantity: 0 is not above zero"),
        (r#""quantity":2"#, r#""quantity":-2"#, "invalid value"),
        (r#""tenders""#, r#""tender""#, "unknown field"),
        (r#""customer:c-1""#, r#""c-1""#, "names no role"),
    ] {
        let error = serde_json::from_str::<Order>(&json.replace(from, to)).unwrap_err();
        assert!(error.to_string().contains(why), "{error}");
    }
}

#[test]
fn what_may_be_left_out_may_also_be_written_empty() {
    let short = r#"{"id":"o","currency":"JPY","total_minor":5,"placed_by":"host",
        "lines":[{"sku":"a","quantity":1,"unit_price_minor":5,"kind":"goods"}]}"#;
    let long = r#"{"placed_by":"host:","currency":"JPY","id":"o","total_minor":5,"charges":[],
        "parties":[],"tenders":[],"attributes":{},
        "lines":[{"group":null,"kind":"goods","unit_price_minor":5,"quantity":1,"sku":"a"}]}"#;
    let read = |json| serde_json::from_str::<Order>(json).unwrap();
    assert_eq!(read(short).content(), read(long).content());
}

#[test]
fn an_amount_is_stated_in_the_decimals_of_the_drafts_currency() {
    let draft = |code: &str| Draft::new("o-1", code, Actor::system());
    assert_eq!(draft("BRL").minor("16.5"), Ok(1_650));
    assert_eq!(draft("KWD").minor("16.5"), Ok(16_500));
    assert!(draft("JPY").minor("16.5").is_err());
    assert!(draft("XXX").minor("16").is_err());
}

fn group() -> impl Strategy<Value = Option<String>> {
    proptest::option::of(prop_oneof![Just("a"), Just("b"), Just("c")].prop_map(str::to_owned))
}

fn price() -> impl Strategy<Value = i64> {
    prop_oneof![4 => 0..10_000_i64, 1 => Just(0), 1 => 0..1_000_000_000_000_i64]
}

fn line() -> impl Strategy<Value = Line> {
    (1..20_u32, price(), any::<bool>(), group()).prop_map(|(quantity, price, goods, group)| {
        let line =
            if goods { Line::goods("sku", quantity, price) } else { Line::service("sku", quantity, price) };
        Line { group, ..line }
    })
}

fn charge() -> impl Strategy<Value = Charge> {
    let charge = prop_oneof![
        price().prop_map(|minor| (ChargeKind::Shipping, minor)),
        price().prop_map(|minor| (ChargeKind::Tax, minor)),
        (-100_000..100_000_i64).prop_map(|minor| (ChargeKind::Adjustment, minor)),
        price().prop_map(|minor| (ChargeKind::Discount, -minor)),
    ];
    (charge, group()).prop_map(|((kind, minor), group)| Charge { group, ..Charge::new(kind, minor) })
}

/// Drafts that agree with themselves: where the discounts are larger than all the rest, an
/// adjustment makes up for it.
fn drafts() -> impl Strategy<Value = Draft> {
    let lines = proptest::collection::vec(line(), 1..12);
    let charges = proptest::collection::vec(charge(), 0..8);
    let cuts = proptest::collection::vec(any::<u64>(), 0..6);
    (lines, charges, cuts).prop_map(|(lines, mut charges, cuts)| {
        let goods: i64 = lines.iter().filter_map(Line::amount_minor).sum();
        let total: i64 = goods + charges.iter().map(|c| c.amount_minor).sum::<i64>();
        if total < 0 {
            charges.push(Charge::new(ChargeKind::Adjustment, -total));
        }
        let total = total.max(0);
        let tenders = crate::money::split_minor(total, &cuts)
            .unwrap_or_default()
            .into_iter()
            .filter(|minor| *minor > 0)
            .map(|minor| DraftTender::new("credit_card", minor))
            .collect();
        Draft { tenders, ..of(lines, charges, total) }
    })
}

proptest! {
    #[test]
    fn lines_and_charges_are_the_total_and_so_are_tenders_and_parcels(draft in drafts()) {
        let order = order(draft);
        let total = order.total().minor();
        let lines: i64 = order.lines().iter().filter_map(Line::amount_minor).sum();
        let charges: i64 = order.charges().iter().map(|c| c.amount_minor).sum();
        prop_assert_eq!(lines + charges, total);
        let tendered: i64 = order.tenders().iter().map(|t| t.amount_minor).sum();
        prop_assert!(order.tenders().is_empty() || tendered == total);

        let parcels = order.parcels();
        let services = order.services_minor();
        let shares: i64 = parcels.iter().map(|p| p.share_minor).sum();
        prop_assert_eq!(shares + services, total);
        prop_assert!(services >= 0 && parcels.iter().all(|p| p.share_minor >= 0));

        let done = order.services();
        prop_assert_eq!(done.iter().map(|s| s.share_minor).sum::<i64>(), services);
        prop_assert!(done.iter().all(|s| s.share_minor >= 0));
        let of_services: Vec<usize> =
            (0..order.lines().len()).filter(|at| order.lines()[*at].kind == LineKind::Service).collect();
        prop_assert_eq!(done.iter().map(|s| s.line).collect::<Vec<_>>(), of_services);
        prop_assert!(done.iter().zip(1..).all(|(s, n)| s.key.0 == n));
        for (a, b) in done.iter().zip(done.iter().skip(1)) {
            let cost = |s: &Service| order.lines()[s.line].amount_minor().unwrap();
            // What costs more carries more, and what costs the same carries the same but for one unit.
            prop_assert!(cost(a) <= cost(b) || a.share_minor >= b.share_minor);
            prop_assert!(cost(a) != cost(b) || (a.share_minor - b.share_minor).abs() <= 1);
        }

        let mut packed: Vec<usize> = parcels.into_iter().flat_map(|p| p.lines).collect();
        packed.sort_unstable();
        let goods = order.lines().iter().enumerate();
        let goods: Vec<usize> = goods
            .filter(|(_, line)| line.kind == LineKind::Goods)
            .map(|(at, _)| at)
            .collect();
        prop_assert_eq!(packed, goods);
    }

    #[test]
    fn equal_orders_have_equal_bytes_and_others_do_not(a in drafts(), b in drafts()) {
        let (a, b) = (order(a), order(b));
        prop_assert_eq!(&serde_json::from_slice::<Order>(&a.content()).unwrap(), &a);
        prop_assert_eq!(a.content() == b.content(), a == b);
    }

    #[test]
    fn a_total_that_is_off_is_always_told(draft in drafts(), off in 1..1_000_i64) {
        let counted_minor = draft.total_minor;
        let stated_minor = counted_minor + off;
        let found = faults(Draft { total_minor: stated_minor, ..draft });
        let told = found.contains(&Fault::TotalMismatch {
            path: at("total_minor"),
            stated_minor,
            counted_minor,
        });
        prop_assert!(told, "{:?}", found);
    }

    #[test]
    fn no_draft_makes_checking_panic(
        lines in proptest::collection::vec(("\\PC{0,5}", any::<u32>(), any::<i64>()), 0..5),
        charges in proptest::collection::vec(any::<i64>(), 0..5),
        tenders in proptest::collection::vec(("\\PC{0,5}", any::<i64>()), 0..5),
        attributes in proptest::collection::btree_map("\\PC{0,5}", "\\PC{0,20}", 0..5),
        total_minor in any::<i64>(),
    ) {
        let found = Order::parse(Draft {
            lines: lines.into_iter().map(|(s, n, p)| Line::goods(s, n, p)).collect(),
            charges: charges
                .into_iter()
                .map(|minor| Charge::new(ChargeKind::Adjustment, minor))
                .collect(),
            tenders: tenders.into_iter().map(|(c, a)| DraftTender::new(c, a)).collect(),
            attributes,
            ..of(vec![], vec![], total_minor)
        });
        if let Err(faults) = found {
            prop_assert!(!faults.is_empty());
        }
    }
}
