//! Texts as people see them.

use unicode_normalization::UnicodeNormalization as _;

/// A text as it is compared: compatible forms of one letter are one (NFKC), a run of white space is one space, there is
/// none at the ends, and what does not show is gone.
///
/// The same again for a text that is plain already.
pub(crate) fn plain(text: &str) -> String {
    // Most texts are ASCII, and ASCII is its own compatible form.
    let shown: String = if text.is_ascii() {
        text.to_owned()
    } else {
        // What stood between two characters kept them apart; without it they may compose.
        let seen: String = text.nfkc().filter(|c| !is_invisible(*c)).collect();
        seen.nfkc().collect()
    };
    let mut out = String::with_capacity(shown.len());
    for c in shown.chars() {
        if !is_space(c) {
            out.push(c);
        } else if !out.is_empty() && !out.ends_with(' ') {
            out.push(' ');
        }
    }
    out.truncate(out.trim_end().len());
    out
}

/// White space, but for control characters: those are nobody's spaces.
fn is_space(c: char) -> bool {
    c.is_whitespace() && !c.is_control()
}

/// Whether a character leaves no trace on paper: `Default_Ignorable_Code_Point` of the Unicode Character Database
/// (`DerivedCoreProperties.txt` 18.0.0). Joiners, marks of direction, fillers, variation selectors and tags are such.
pub(crate) const fn is_invisible(c: char) -> bool {
    matches!(c,
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}'..='\u{1160}' | '\u{17b4}'..='\u{17b5}'
        | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
        | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fff8}'
        | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}')
}

/// Letters of scripts without spaces between words: Thai to Myanmar, Khmer, kana, Han, Hangul.
pub(crate) const fn is_unspaced(c: char) -> bool {
    matches!(c,
        '\u{e00}'..='\u{eff}' | '\u{1000}'..='\u{109f}' | '\u{1100}'..='\u{11ff}' | '\u{1780}'..='\u{17ff}'
        | '\u{3040}'..='\u{30ff}' | '\u{3400}'..='\u{4dbf}' | '\u{4e00}'..='\u{9fff}' | '\u{ac00}'..='\u{d7af}'
        | '\u{f900}'..='\u{faff}' | '\u{20000}'..='\u{3134f}')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_plain_text_is_what_is_seen() {
        for (text, seen) in [
            ("anna", "anna"),
            ("  anna \u{a0} maria\u{3000}", "anna maria"),
            ("an\u{200b}na\u{feff}\u{e0041}\u{fe0f}", "anna"),
            ("\u{ff41}nna", "anna"),
            ("e\u{200d}\u{301}ve", "\u{e9}ve"),
            ("\u{3164}\u{202e}", ""),
            ("an\tna", "an\tna"),
        ] {
            assert_eq!(plain(text), seen, "{text:?}");
        }
    }

    /// The table of another library that generates its own is the oracle.
    #[cfg(feature = "rules")]
    #[test]
    fn what_is_invisible_is_what_unicode_says_may_be_ignored() {
        for c in '\0'..=char::MAX {
            let decomposed: String = c.nfd().collect();
            let ignored = unicode_security::skeleton(&decomposed).next().is_none();
            assert_eq!(is_invisible(c), ignored, "{c:?}");
        }
    }

    #[test]
    fn every_character_is_plain_once_it_was_made_plain() {
        for c in '\0'..=char::MAX {
            let once = plain(&format!("a{c}\u{301}"));
            assert_eq!(plain(&once), once, "{c:?}");
        }
    }

    proptest! {
        #[test]
        fn a_text_is_plain_once_it_was_made_plain(text in any::<String>()) {
            let once = plain(&text);
            prop_assert_eq!(plain(&once), once);
        }
    }
}
