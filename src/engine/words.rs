//! Words that come from outside: how much of them is kept, and what may not be in them.
//!
//! What an order is told is journaled for good, and goes to whoever reads its journal, its notices and its log. Card
//! numbers and verification codes must be in none of these (PCI DSS 4.0.1, requirements 3.3 and 3.5).

use crate::journal::texts;
use crate::order::forbidden::{card_number, is_card_data_key, struck};

/// Characters of an explanation that are kept.
const MAX_WORDS: usize = 1_000;

/// How much further a card number may reach that begins within them.
const REACH: usize = 64;

/// What an adapter or a panic says in words: as far as it is worth keeping, and without card numbers.
pub(super) fn kept(why: &str) -> String {
    let start: String = why.chars().take(MAX_WORDS + REACH).collect();
    struck(&start).chars().take(MAX_WORDS).collect()
}

/// Who says something to an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Speaker {
    /// Somebody asks for something, and can be told to leave it out.
    Caller,
    /// The outside tells what happened. References that are numbers are its own, and stand for money: they are kept.
    Outside,
}

/// Whether an input as it is stored holds card data.
pub(super) fn hold_card_data(stored: &[u8], by: Speaker) -> bool {
    texts(stored).any(|(text, is_name)| {
        let is_reference = by == Speaker::Outside && text.bytes().all(|b| b.is_ascii_digit());
        is_name && is_card_data_key(&text) || !is_reference && card_number(&text).is_some()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const CARD: &str = "4111111111111111";

    #[test]
    fn words_are_kept_so_far_and_without_card_numbers() {
        assert_eq!(kept("no answer"), "no answer");
        assert_eq!(kept(&format!("declined: {CARD}!")), "declined: [card number]!");
        assert_eq!(kept(&"x".repeat(2_000)).len(), MAX_WORDS);
        for before in MAX_WORDS - 20..MAX_WORDS + 20 {
            let kept = kept(&format!("{} {CARD}", "x".repeat(before)));
            assert!(!kept.contains("4111") && kept.len() <= MAX_WORDS, "{kept}");
        }
    }

    #[test]
    fn card_data_is_found_in_every_text_and_in_no_number() {
        use Speaker::{Caller, Outside};
        let bare = format!("[\"Start\",1,{{\"method\":\"{CARD}\"}}]");
        assert!(hold_card_data(bare.as_bytes(), Caller));
        // A reference of a provider that counts.
        assert!(!hold_card_data(bare.as_bytes(), Outside));
        for by in [Caller, Outside] {
            for stored in [
                format!("[\"Hold\",1,{{\"reason\":\"card {CARD} was shown\"}}]"),
                "[\"Note\",1,[\"4111 1111\\t1111-1111\"]]".to_owned(),
                format!("[\"Note\",1,{{\"card {CARD}\":1}}]"),
                "[\"Note\",1,{\"cvv\":\"123\"}]".to_owned(),
            ] {
                assert!(hold_card_data(stored.as_bytes(), by), "{stored}");
            }
            for stored in [format!("[\"Paid\",1,{{\"amount\":{CARD},\"at\":{CARD}}}]"), "[]".to_owned()] {
                assert!(!hold_card_data(stored.as_bytes(), by), "{stored}");
            }
        }
    }
}
