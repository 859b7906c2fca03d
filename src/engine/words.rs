//! Words that come from outside: how much of them is kept, and what may not be in them.
//!
//! What an order is told is journaled for good, and goes to whoever reads its journal, its notices and its log. Card
//! numbers and verification codes must be in none of these (PCI DSS 4.0.1, requirements 3.3 and 3.5).

use crate::order::forbidden::{Known, struck};

/// Characters of an explanation that are kept.
const MAX_WORDS: usize = 1_000;

/// How much further a card number may reach that begins within them.
const REACH: usize = 64;

/// What an adapter or a panic says in words: as far as it is worth keeping, and without card data.
pub(super) fn kept(why: &str) -> String {
    let start: String = why.chars().take(MAX_WORDS + REACH).collect();
    struck(&start, &Known::default()).chars().take(MAX_WORDS).collect()
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
}
