//! Finds words in texts.

use unicode_normalization::UnicodeNormalization as _;

/// A text as it is compared: compatible forms of one letter are one (NFKC), so are its cases, runs of space are one
/// space, and what does not show is gone.
pub(super) fn plain(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    // Lower case may take a letter apart again, so it is put together after.
    let shown = text.nfkc().filter(|c| !invisible(*c)).flat_map(char::to_lowercase).nfkc();
    for c in shown {
        match c {
            c if c.is_whitespace() => {
                if !out.is_empty() && !out.ends_with(' ') {
                    out.push(' ');
                }
            }
            c => out.push(c),
        }
    }
    out.truncate(out.trim_end().len());
    out
}

/// Characters that are put between letters to hide a word.
fn invisible(c: char) -> bool {
    matches!(c, '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{2060}'..='\u{2064}' | '\u{feff}')
}

/// Whether a plain text holds a plain word, as a word of its own. In scripts that write no spaces between words, as a
/// part of the text.
pub(super) fn holds(text: &str, word: &str) -> bool {
    if word.is_empty() {
        return false;
    }
    let joins =
        |a: Option<char>, b: Option<char>| a.zip(b).is_some_and(|(a, b)| of_a_word(a) && of_a_word(b));
    text.match_indices(word).any(|(at, found)| {
        let (before, after) = (text.get(..at).unwrap_or(""), text.get(at..).unwrap_or(""));
        let after = after.get(found.len()..).unwrap_or("");
        let starts = !joins(before.chars().next_back(), word.chars().next());
        let ends = !joins(word.chars().next_back(), after.chars().next());
        starts && ends
    })
}

/// Whether this letter makes a longer word of its neighbour.
fn of_a_word(c: char) -> bool {
    c.is_alphanumeric() && !unspaced(c)
}

/// Letters of scripts without spaces between words: Thai to Myanmar, Khmer, kana, Han, Hangul.
fn unspaced(c: char) -> bool {
    matches!(c,
        '\u{e00}'..='\u{eff}' | '\u{1000}'..='\u{109f}' | '\u{1100}'..='\u{11ff}' | '\u{1780}'..='\u{17ff}'
        | '\u{3040}'..='\u{30ff}' | '\u{3400}'..='\u{4dbf}' | '\u{4e00}'..='\u{9fff}' | '\u{ac00}'..='\u{d7af}'
        | '\u{f900}'..='\u{faff}' | '\u{20000}'..='\u{3134f}')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str, word: &str) -> bool {
        holds(&plain(text), &plain(word))
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
}
