//! Finds words in texts, disguised ones too.

use unicode_normalization::UnicodeNormalization as _;
use unicode_script::{Script, UnicodeScript as _};
use unicode_security::{MixedScript as _, skeleton};

use crate::id::plain::{is_unspaced, plain};

/// How many letters of another script a word has that is nobody's honest word by chance.
const LONG: usize = 5;

/// A text as it is compared with others.
#[derive(Debug, Clone)]
pub(super) struct Text {
    /// As it is seen, in small letters.
    plain: String,
    /// The same, letter by letter, with each as the letter that it resembles.
    letters: Vec<Letter>,
}

#[derive(Debug, Clone, Copy)]
struct Letter {
    /// What its small form resembles (UTS 39, confusable prototypes), in small letters.
    like: char,
    /// What it resembles as it stands: a capital may look like another letter than the small one does.
    or: char,
    /// What it is.
    is: char,
}

impl Text {
    /// A text: compatible forms of one letter are one (NFKC), so are its cases, runs of space are one space, and
    /// what does
    /// not show is gone, also marks that only strike a letter out.
    pub(super) fn of(text: &str) -> Self {
        let shown: String = plain(&text.replace(char::is_whitespace, " "));
        // Lower case may take a letter apart again, so it is put together after.
        let small: String =
            shown.chars().flat_map(char::to_lowercase).nfkc().filter(|c| !is_mark(*c)).collect();
        let letters = shown.chars().filter(|c| !is_mark(*c)).map(Letter::of).collect();
        Self { plain: small, letters }
    }

    /// The text as it is seen, in small letters.
    pub(super) fn as_str(&self) -> &str {
        &self.plain
    }

    /// Whether it holds a word, as a word of its own. In scripts that write no spaces between words, as a part of the
    /// text. A word in letters of other scripts that look the same counts too, unless it is an honest one of that
    /// script.
    pub(super) fn holds(&self, word: &Self) -> bool {
        let own: Vec<char> = self.plain.chars().collect();
        let sought: Vec<char> = word.plain.chars().collect();
        !found(&own, &sought, |a, b| a == b, |c| *c).is_empty() || self.disguises(word)
    }

    fn disguises(&self, word: &Self) -> bool {
        let sought: Vec<char> = word.plain.chars().map(|c| Letter::of(c).like).collect();
        let alike = |l: &Letter, c: &char| l.like == *c || l.or == *c;
        found(&self.letters, &sought, alike, |l| l.like).into_iter().any(|at| {
            let end = at.saturating_add(sought.len());
            let within = self.letters.get(at..end).unwrap_or_default();
            let is: String = within.iter().map(|l| l.is).collect();
            let letters = is.chars().filter(|c| c.is_alphabetic()).count();
            // Letters of two scripts in one word are nobody's spelling.
            if !is.split(' ').all(|part| part.is_single_script()) || letters >= LONG {
                return true;
            }
            let foreign = is.chars().find(|c| c.is_alphabetic() && !c.is_ascii()).map(|c| c.script());
            match foreign {
                // Small capitals and the like.
                Some(Script::Latin) => true,
                // A short word of a script that the rest of the text is written in is what it says.
                Some(script) => {
                    !self.letters.iter().enumerate().any(|(n, l)| {
                        !(at..end).contains(&n) && l.is.script() == script && !l.like.is_ascii()
                    })
                }
                None => false,
            }
        })
    }
}

impl Letter {
    /// A letter. ASCII resembles itself, and so do the letters of Latin alphabets: that they differ by a mark or a
    /// dot is
    /// how they are told apart.
    fn of(is: char) -> Self {
        let small = is.to_lowercase().next().unwrap_or(is);
        if is < '\u{250}' {
            return Self { like: small, or: small, is };
        }
        let prototype = |c: char| {
            let mut like = skeleton(c.encode_utf8(&mut [0; 4])).collect::<Vec<_>>().into_iter();
            let one = like.next().filter(char::is_ascii_alphanumeric)?;
            like.next().is_none().then(|| one.to_ascii_lowercase())
        };
        let like = prototype(small).unwrap_or(small);
        Self { like, or: prototype(is).unwrap_or(like), is }
    }
}

/// A mark that no letter has by itself: general combining marks that composed with none.
const fn is_mark(c: char) -> bool {
    matches!(c,
        '\u{300}'..='\u{36f}' | '\u{483}'..='\u{489}' | '\u{1ab0}'..='\u{1aff}' | '\u{1dc0}'..='\u{1dff}'
        | '\u{20d0}'..='\u{20ff}' | '\u{fe20}'..='\u{fe2f}')
}

/// Where a text holds a word as a word of its own.
fn found<T>(
    text: &[T],
    word: &[char],
    same: impl Fn(&T, &char) -> bool,
    of: impl Fn(&T) -> char,
) -> Vec<usize> {
    let (Some(first), Some(last)) = (word.first(), word.last()) else { return Vec::new() };
    let joins =
        |a: Option<char>, b: Option<char>| a.zip(b).is_some_and(|(a, b)| of_a_word(a) && of_a_word(b));
    let alike = |w: &[T]| w.iter().zip(word).all(|(a, b)| same(a, b));
    let starts = text.windows(word.len()).enumerate().filter(|(_, w)| alike(w)).map(|(at, _)| at);
    starts
        .filter(|at| {
            let before = at.checked_sub(1).and_then(|b| text.get(b)).map(&of);
            let after = text.get(at.saturating_add(word.len())).map(&of);
            !joins(before, Some(*first)) && !joins(Some(*last), after)
        })
        .collect()
}

/// Whether this letter makes a longer word of its neighbour.
fn of_a_word(c: char) -> bool {
    c.is_alphanumeric() && !is_unspaced(c)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str, word: &str) -> bool {
        Text::of(text).holds(&Text::of(word))
    }

    #[test]
    fn a_word_is_found_in_any_case_and_form_and_only_as_a_word() {
        let table = [
            ("Win at the Casino tonight", "casino", true),
            ("CASINO!", "casino", true),
            ("the casinos", "casino", false),
            ("occasion", "casino", false),
            ("e-casino.example", "casino", true),
            ("\u{ff43}\u{ff41}\u{ff53}\u{ff49}\u{ff4e}\u{ff4f}", "casino", true),
            ("cas\u{200b}ino", "casino", true),
            ("ca\u{ad}sino", "casino", true),
            ("free   spins\nnow", "free spins", true),
            ("freespins", "free spins", false),
            ("CAFE\u{301}", "caf\u{e9}", true),
            ("cafe", "caf\u{e9}", false),
            ("\u{5728}\u{7ebf}\u{8d4c}\u{573a}\u{5f00}\u{4e1a}", "\u{8d4c}\u{573a}", true),
            ("casino2", "casino", false),
            ("", "casino", false),
            ("anything", "", false),
        ];
        for (text, word, expected) in table {
            assert_eq!(found(text, word), expected, "`{word}` in `{text}`");
        }
    }

    #[test]
    fn b04_no_disguise_hides_a_word() {
        let all_between = |c: char| "casino".chars().map(|l| format!("{l}{c}")).collect::<String>();
        let mut disguises: Vec<(&str, String)> = vec![
            ("bold letters of mathematics", "\u{1d41c}\u{1d41a}\u{1d42c}\u{1d422}\u{1d427}\u{1d428}".into()),
            ("circled letters", "\u{24d2}\u{24d0}\u{24e2}\u{24d8}\u{24dd}\u{24de}".into()),
            ("one Cyrillic letter", "c\u{430}sino".into()),
            ("Cyrillic letters among Latin ones", "\u{441}\u{430}sin\u{43e}".into()),
            ("Cyrillic capitals", "\u{421}\u{410}SIN\u{41e}".into()),
            ("Cyrillic letters alone", "\u{441}\u{430}\u{455}\u{456}\u{578}\u{43e}".into()),
            ("Greek letters", "cas\u{3b9}n\u{3bf}".into()),
            ("Greek capitals", "CAS\u{399}\u{39d}\u{39f}".into()),
            ("Armenian letters", "casin\u{585}".into()),
            ("Cherokee letters", "\u{13df}asino".into()),
            ("Latin letters that look alike", "c\u{251}sin\u{1d0f}".into()),
            ("a word turned around and back", "\u{202e}\u{202d}casino\u{202c}\u{202c}".into()),
            ("isolates", "cas\u{2066}ino\u{2069}".into()),
        ];
        for (what, c) in [
            ("a zero-width space", '\u{200b}'),
            ("a joiner", '\u{200d}'),
            ("a word joiner", '\u{2060}'),
            ("a soft hyphen", '\u{ad}'),
            ("a variation selector", '\u{fe0f}'),
            ("a variation selector of the supplement", '\u{e0101}'),
            ("a Mongolian variation selector", '\u{180b}'),
            ("a mark of direction", '\u{200f}'),
            ("an Arabic mark of direction", '\u{61c}'),
            ("an override", '\u{202d}'),
            ("a Hangul filler", '\u{3164}'),
            ("a half-width Hangul filler", '\u{ffa0}'),
            ("a Khmer vowel that does not show", '\u{17b4}'),
            ("a grapheme joiner", '\u{34f}'),
            ("a tag", '\u{e0063}'),
            ("an invisible sign of mathematics", '\u{2063}'),
            ("a byte order mark", '\u{feff}'),
            ("a stroke through each letter", '\u{336}'),
            ("a circle around each letter", '\u{20dd}'),
        ] {
            disguises.push((what, all_between(c)));
        }
        for (what, disguised) in &disguises {
            let text = format!("Win at the {disguised} tonight");
            assert!(found(&text, "casino"), "{what}: {text:?}");
            assert!(found(&disguised.to_uppercase(), "casino"), "{what}, in capitals");
        }
        assert!(disguises.len() >= 30, "{}", disguises.len());
        // The other way round: Latin letters in a Cyrillic word.
        assert!(found("\u{43a}a\u{437}\u{438}\u{43d}o", "\u{43a}\u{430}\u{437}\u{438}\u{43d}\u{43e}"));
        assert!(
            found("a cop: \u{441}\u{43e}\u{440}!", "cop"),
            "alone among Latin words it is no Russian word"
        );
    }

    #[test]
    fn b04_an_honest_text_of_any_script_holds_no_word_that_it_only_resembles() {
        for (text, word) in [
            // "Litter in the yard", "cancer", "a sulphur bath": Russian words in Cyrillic letters.
            ("\u{421}\u{43e}\u{440} \u{432}\u{43e} \u{434}\u{432}\u{43e}\u{440}\u{435}", "cop"),
            ("\u{440}\u{430}\u{43a} \u{438} \u{449}\u{443}\u{43a}\u{430}", "pak"),
            // Turkish tells the dotless i from the other.
            ("s\u{131}k s\u{131}k", "sik"),
            ("a\u{f1}o nuevo", "ano"),
            ("na\u{ef}ve r\u{e9}sum\u{e9}", "resume"),
            ("modern burn", "modem"),
            ("modern burn", "bum"),
            ("kl\u{e4}rt", "klart"),
            // "The way" in Greek.
            ("\u{3b7} \u{3bf}\u{3b4}\u{3cc}\u{3c2} \u{3bf}", "o"),
            ("100 IOO l00", "loo"),
            ("\u{5efa}\u{8bbe}\u{94f6}\u{884c}", "\u{8d4c}\u{573a}"),
            ("\u{915}\u{93e}\u{930} \u{914}\u{930} \u{918}\u{930}", "car"),
            ("\u{643}\u{62a}\u{627}\u{628} \u{647}\u{647}", "o"),
            ("\u{5d1}\u{5d9}\u{5ea} \u{5e1}\u{5e4}\u{5e8}", "o"),
        ] {
            assert!(!found(text, word), "`{word}` in `{text}`");
        }
    }
}
