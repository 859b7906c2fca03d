#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use proptest::prelude::*;

use super::*;

fn currency(code: &str) -> Currency {
    code.parse().unwrap()
}

fn brl(minor: i64) -> Money {
    Money::new(minor, currency("BRL"))
}

#[test]
fn a_currency_counts_in_the_decimals_of_its_standard() {
    for (code, exponent) in [
        ("BRL", 2),
        ("USD", 2),
        ("EUR", 2),
        ("JPY", 0),
        ("KRW", 0),
        ("ISK", 0),
        ("XOF", 0),
        ("KWD", 3),
        ("BHD", 3),
        ("TND", 3),
        ("CLF", 4),
        ("HRK", 2),
    ] {
        assert_eq!(currency(code).exponent(), exponent, "{code}");
        assert_eq!(currency(code).to_string(), code);
    }
}

#[test]
fn what_has_no_minor_unit_is_no_currency_to_keep_books_in() {
    for code in ["XAU", "XAG", "XDR", "XTS", "XXX"] {
        assert_eq!(code.parse::<Currency>(), Err(CurrencyError::NoMinorUnit { code: code.into() }));
    }
    for code in ["", "BR", "BRLX", "brl", "B L", "\u{20ac}"] {
        assert_eq!(code.parse::<Currency>(), Err(CurrencyError::Malformed));
    }
    assert_eq!("QQQ".parse::<Currency>(), Err(CurrencyError::Unknown { code: "QQQ".into() }));
}

#[test]
fn currencies_are_ordered_by_their_codes() {
    assert!(currency("BGN") < currency("BRL"));
    assert!(currency("XCG") > currency("USD"));
}

#[test]
fn an_amount_reads_as_people_write_it() {
    for (minor, code, text) in [
        (1234, "BRL", "12.34 BRL"),
        (-5, "BRL", "-0.05 BRL"),
        (0, "BRL", "0.00 BRL"),
        (-100, "BRL", "-1.00 BRL"),
        (1234, "JPY", "1234 JPY"),
        (-7, "JPY", "-7 JPY"),
        (1234, "KWD", "1.234 KWD"),
        (-1, "KWD", "-0.001 KWD"),
        (1, "CLF", "0.0001 CLF"),
        (i64::MAX, "BRL", "92233720368547758.07 BRL"),
        (i64::MIN, "BRL", "-92233720368547758.08 BRL"),
    ] {
        assert_eq!(Money::new(minor, currency(code)).to_string(), text);
    }
}

#[test]
fn a_decimal_amount_is_read_to_the_cent() {
    for (text, code, minor) in [
        ("12.34", "BRL", 1234),
        ("16.5", "BRL", 1650),
        ("-3", "BRL", -300),
        ("-0.05", "BRL", -5),
        ("-0", "BRL", 0),
        ("007", "BRL", 700),
        ("0.29", "BRL", 29),
        ("1234", "JPY", 1234),
        ("1.5", "KWD", 1500),
        ("92233720368547758.07", "BRL", i64::MAX),
        ("-92233720368547758.08", "BRL", i64::MIN),
        ("-9223372036854775808", "JPY", i64::MIN),
    ] {
        let code = currency(code);
        assert_eq!(Money::parse(text, code), Ok(Money::new(minor, code)), "{text}");
    }
}

#[test]
fn what_is_not_an_exact_amount_is_refused() {
    let brl = currency("BRL");
    for text in [
        "", "-", ".", "1.", ".5", "-.5", "+3", "--3", "1,50", "1.2.3", "1e3", " 1", "1 ", "0x1", "NaN",
        "1_000", "\u{0663}",
    ] {
        assert_eq!(Money::parse(text, brl), Err(AmountError::Malformed), "{text:?}");
    }
    for (text, code, found) in [("1.234", "BRL", 3), ("1.500", "BRL", 3), ("1.0", "JPY", 1)] {
        let currency = currency(code);
        assert_eq!(Money::parse(text, currency), Err(AmountError::TooManyDecimals { found, currency }));
    }
    for text in ["92233720368547758.08", "-92233720368547758.09", "100000000000000000", &"9".repeat(400)] {
        assert_eq!(Money::parse(text, brl), Err(AmountError::Overflow), "{text}");
    }
}

#[test]
fn amounts_never_wrap_and_never_mix_currencies() {
    let usd = Money::new(1, currency("USD"));
    assert_eq!(brl(60).checked_add(brl(40)), Ok(brl(100)));
    assert_eq!(brl(60).checked_sub(brl(100)), Ok(brl(-40)));
    assert_eq!(brl(60).checked_neg(), Ok(brl(-60)));
    assert_eq!(brl(i64::MAX).checked_add(brl(1)), Err(MoneyError::Overflow));
    assert_eq!(brl(i64::MIN).checked_sub(brl(1)), Err(MoneyError::Overflow));
    assert_eq!(brl(i64::MIN).checked_neg(), Err(MoneyError::Overflow));
    let mismatch = MoneyError::CurrencyMismatch { left: currency("BRL"), right: currency("USD") };
    assert_eq!(brl(i64::MAX).checked_add(usd), Err(mismatch));
    assert_eq!(brl(1).checked_sub(usd), Err(mismatch));
    assert!(brl(1).is_positive());
    assert!(!Money::zero(currency("BRL")).is_positive());
}

#[test]
fn an_amount_travels_with_its_currency() {
    let json = serde_json::to_string(&brl(-1234)).unwrap();
    assert_eq!(json, r#"{"minor":-1234,"currency":"BRL"}"#);
    assert_eq!(serde_json::from_str::<Money>(&json).unwrap(), brl(-1234));
    for refused in [
        r#"{"minor":1}"#,
        r#"{"minor":1.5,"currency":"BRL"}"#,
        r#"{"minor":1,"currency":"XXX"}"#,
        r#"{"minor":1,"currency":986}"#,
    ] {
        assert!(serde_json::from_str::<Money>(refused).is_err(), "{refused}");
    }
}

#[test]
fn cents_that_do_not_divide_go_to_the_largest_remainder_and_the_earlier_part() {
    for (total, weights, parts) in [
        (100, vec![1, 1, 1], vec![34, 33, 33]),
        (101, vec![1, 1, 1], vec![34, 34, 33]),
        (-100, vec![1, 1, 1], vec![-34, -33, -33]),
        (10, vec![1, 2, 3], vec![2, 3, 5]),
        (1, vec![1, 5, 5], vec![0, 1, 0]),
        (7, vec![0, 1, 0, 1], vec![0, 4, 0, 3]),
        (0, vec![3, 4], vec![0, 0]),
        (i64::MAX, vec![u64::MAX, 1], vec![i64::MAX, 0]),
        (i64::MIN, vec![u64::MAX], vec![i64::MIN]),
    ] {
        assert_eq!(split_minor(total, &weights), Ok(parts), "{total} by {weights:?}");
    }
    assert_eq!(brl(100).split(&[1, 2]), Ok(vec![brl(33), brl(67)]));
}

#[test]
fn nothing_can_be_split_among_nobody() {
    assert_eq!(split_minor(1, &[]), Err(SplitError::NoWeight));
    assert_eq!(split_minor(0, &[0, 0]), Err(SplitError::NoWeight));
    assert_eq!(brl(1).split(&[]), Err(SplitError::NoWeight));
}

fn weights() -> impl Strategy<Value = Vec<u64>> {
    let weight = prop_oneof![3 => 0..10_u64, 3 => 0..100_000_u64, 1 => any::<u64>()];
    proptest::collection::vec(weight, 1..40).prop_filter("some weight", |all| all.iter().any(|w| *w > 0))
}

proptest! {
    #[test]
    fn a_split_loses_nothing_and_strays_less_than_one_unit(
        total in any::<i64>(), weights in weights(),
    ) {
        let parts = split_minor(total, &weights).unwrap();
        prop_assert_eq!(parts.len(), weights.len());
        let sum: i128 = parts.iter().copied().map(i128::from).sum();
        prop_assert_eq!(sum, i128::from(total));
        let whole: i128 = weights.iter().copied().map(i128::from).sum();
        for (part, weight) in parts.iter().zip(&weights) {
            // |part - total * weight / whole| < 1, told without dividing.
            let exact = i128::from(total) * i128::from(*weight);
            let below = exact / whole;
            let far = i128::from(*part) - below;
            prop_assert!(far == 0 || far == i128::from(total.signum()), "{} of {}", part, total);
            prop_assert!(far == 0 || exact % whole != 0);
        }
    }

    #[test]
    fn a_heavier_part_never_gets_less(total in 0..i64::MAX, weights in weights()) {
        let parts = split_minor(total, &weights).unwrap();
        for (a, wa) in parts.iter().zip(&weights) {
            for (b, wb) in parts.iter().zip(&weights) {
                prop_assert!(wa <= wb || a >= b);
            }
        }
    }

    #[test]
    fn giving_back_splits_as_taking_did(total in -i64::MAX..i64::MAX, weights in weights()) {
        let taken = split_minor(total, &weights).unwrap();
        let given: Vec<i64> = split_minor(-total, &weights).unwrap();
        prop_assert_eq!(given, taken.iter().map(|part| -part).collect::<Vec<_>>());
    }

    #[test]
    fn an_amount_survives_being_written_and_read(
        minor in any::<i64>(), code in prop_oneof![Just("BRL"), Just("JPY"), Just("KWD")],
    ) {
        let amount = Money::new(minor, currency(code));
        let shown = amount.to_string();
        let decimal = shown.strip_suffix(code).unwrap().trim_end();
        prop_assert_eq!(Money::parse(decimal, currency(code)), Ok(amount));
    }

    #[test]
    fn no_text_makes_reading_panic(text in "\\PC{0,40}|[-0-9.]{0,30}") {
        let _ = Money::parse(&text, currency("BRL"));
        let _ = text.parse::<Currency>();
    }
}
