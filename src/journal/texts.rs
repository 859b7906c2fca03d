//! The texts within a record, without reading the record.

use std::borrow::Cow;

/// The texts of a JSON document, each with whether it names a member of an object.
pub(crate) fn texts(json: &[u8]) -> impl Iterator<Item = (Cow<'_, str>, bool)> {
    let mut left = json;
    std::iter::from_fn(move || {
        let start = left.iter().position(|b| *b == b'"')?;
        let text = left.get(start..)?;
        let mut escaped = false;
        let inside = text.iter().skip(1).position(|b| {
            let ends = *b == b'"' && !escaped;
            escaped = *b == b'\\' && !escaped;
            ends
        })?;
        let (quoted, rest) = text.split_at_checked(inside + 2)?;
        left = rest;
        let plain = quoted.get(1..=inside).unwrap_or_default();
        let text = if plain.contains(&b'\\') {
            Cow::Owned(serde_json::from_slice(quoted).unwrap_or_default())
        } else {
            String::from_utf8_lossy(plain)
        };
        Some((text, rest.first() == Some(&b':')))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_of_a_document_are_all_looked_at() {
        let json = br#"{"a":["b","say \"c\"",4111111111111111,{"d\\":"e:\"\\"}],"":null,"f" :""}"#;
        let found: Vec<(String, bool)> = texts(json).map(|(text, name)| (text.into_owned(), name)).collect();
        let expected = [
            ("a", true),
            ("b", false),
            ("say \"c\"", false),
            ("d\\", true),
            ("e:\"\\", false),
            ("", true),
            ("f", false),
            ("", false),
        ];
        assert_eq!(found, expected.map(|(text, name)| (text.to_owned(), name)));
    }
}
