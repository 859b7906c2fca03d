//! Card data that hosts put where it must not be.
//!
//! PCI DSS 4.0.1, requirements 3.3 and 3.5: verification codes are never stored after
//! authorisation, card numbers never in the clear. What an order holds is journaled for good, so
//! both are refused at the door.

/// Whether a text is shaped like a card number: 13 to 19 digits (ISO/IEC 7812-1 allows up to 19)
/// that pass the Luhn check, with spaces and dashes anywhere.
///
/// One in ten other numbers of that length passes as well. Hosts whose own references are such
/// numbers put a letter before them.
pub(super) fn is_card_number(text: &str) -> bool {
    let mut digits = Vec::with_capacity(19);
    for c in text.chars() {
        match c.to_digit(10) {
            Some(_) if digits.len() == 19 => return false,
            Some(digit) => digits.push(digit),
            None if c == '-' || c.is_whitespace() || ('\u{2010}'..='\u{2015}').contains(&c) => {}
            None => return false,
        }
    }
    digits.len() >= 13 && luhn(&digits)
}

/// Whether the name of an attribute says that its value is card data.
pub(super) fn is_card_data_key(key: &str) -> bool {
    let key = key.trim().to_ascii_lowercase();
    if matches!(key.as_str(), "pan" | "pin") {
        return true;
    }
    // Codes may be part of a longer name, such as `card_cvv`; `pin` may not, since `pin_code` is
    // what India calls the postal one.
    key.split(|c: char| !c.is_ascii_alphanumeric())
        .any(|word| matches!(word, "cvv" | "cvv2" | "cvc" | "cvc2" | "cvn" | "cvn2"))
}

fn luhn(digits: &[u32]) -> bool {
    let sum: u32 = digits
        .iter()
        .rev()
        .zip([false, true].into_iter().cycle())
        .map(|(digit, doubled)| match (digit, doubled) {
            (digit, false) => *digit,
            (digit, true) if *digit > 4 => digit * 2 - 9,
            (digit, true) => digit * 2,
        })
        .sum();
    sum.is_multiple_of(10)
}
