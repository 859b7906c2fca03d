//! Card data in what an order is told, field by field.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::texts::texts;
use crate::machine::Call;
use crate::order::forbidden::{CODE_STRUCK, Known, card_data, is_card_data_key, names_a_reference, struck};
use crate::pipeline::{Pipeline, Progress};

/// Who says something to an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Speaker {
    /// Somebody asks for something, and can be told to leave it out.
    Caller,
    /// The outside tells what happened. It is heard whatever it says.
    Outside,
}

/// An input that was looked at for card data.
#[derive(Debug)]
pub(crate) enum Screened {
    /// It holds none.
    Clean,
    /// The same, with card data struck out of its texts.
    Struck(Call),
    /// This field of a command holds some.
    Forbidden(String),
}

/// Looks at the texts of an input, one field after the other.
///
/// Fields that are named for identifiers are not looked at, and numbers that the order is known by are no card's. A
/// number that is all of a value which the outside gives is taken for a reference too, but for fields of words.
pub(crate) fn screened(pipeline: &Pipeline, order: Option<&Progress>, call: &Call, by: Speaker) -> Screened {
    let name = call.place.unwrap_or(call.machine);
    let Some(place) = pipeline.position(name) else { return Screened::Clean };
    let mut saved = vec![b'['];
    // What cannot be stored is refused where it is to be stored.
    if pipeline.save_input(place, &*call.value, &mut saved).is_err() {
        return Screened::Clean;
    }
    saved.push(b']');
    if !texts(&saved).any(|(text, is_name)| suspect(&text, is_name)) {
        return Screened::Clean;
    }
    let Ok((input, version, data)) = serde_json::from_slice::<(String, u16, Value)>(&saved) else {
        return Screened::Clean;
    };
    let known = known(order, &saved);
    let mut all = BTreeSet::new();
    let clean = without(&data, &known, by, &mut |field| {
        all.insert(field.to_owned());
        true
    });
    let Some(first) = all.first() else { return Screened::Clean };
    if by == Speaker::Caller {
        return Screened::Forbidden(first.clone());
    }
    let reads = |data: &Value| {
        let read = pipeline.load_call(name, call.key, &input, version, &data.to_string());
        Some(Call { value: read.ok()??.value, ..call.clone() })
    };
    if let Some(read) = reads(&clean) {
        return Screened::Struck(read);
    }
    // Some field takes no words, and so is none for words: it is left as it is.
    let (mut words, mut last) = (BTreeSet::new(), Screened::Clean);
    for field in all {
        words.insert(field.clone());
        match reads(&without(&data, &known, by, &mut |f| words.contains(f))) {
            Some(read) => last = Screened::Struck(read),
            None => {
                words.remove(&field);
            }
        }
    }
    last
}

fn suspect(text: &str, is_name: bool) -> bool {
    is_name && is_card_data_key(text) || !card_data(text, &Known::default()).is_empty()
}

/// What the order is known by: its document, what its instances and wanted effects refer to, and what the input itself
/// names.
fn known(order: Option<&Progress>, input: &[u8]) -> Known {
    let mut known = order.map(|p| Known::of(&p.order)).unwrap_or_default();
    let instances = order.into_iter().flat_map(|p| &p.regions).flat_map(|r| r.iter()).map(|i| &i.saved);
    let wanted = order.into_iter().flat_map(|p| &p.wanted).map(|w| &w.saved);
    for stored in instances.chain(wanted).map(|s| s.as_bytes()).chain([input]) {
        let mut named = false;
        for (text, is_name) in texts(stored) {
            if is_name {
                named = names_a_reference(&text);
            } else if named {
                known.add(&text);
            }
        }
    }
    known
}

/// A value without the card data of the fields that `strikes` names. Fields are told by their names, without the places
/// of lists.
fn without(value: &Value, known: &Known, by: Speaker, strikes: &mut dyn FnMut(&str) -> bool) -> Value {
    Walk { known, by, strikes }.of(value, "", "")
}

struct Walk<'a> {
    known: &'a Known,
    by: Speaker,
    strikes: &'a mut dyn FnMut(&str) -> bool,
}

impl Walk<'_> {
    fn of(&mut self, value: &Value, path: &str, name: &str) -> Value {
        match value {
            Value::String(text) => Value::String(self.text(text, path, name)),
            Value::Array(all) => Value::Array(all.iter().map(|v| self.of(v, path, name)).collect()),
            Value::Object(members) => Value::Object(self.members(members, path)),
            Value::Null | Value::Bool(_) | Value::Number(_) => value.clone(),
        }
    }

    fn text(&mut self, text: &str, path: &str, name: &str) -> String {
        let whole = || text.chars().all(|c| c.is_ascii_digit());
        let refers =
            names_a_reference(name) || self.by == Speaker::Outside && !WORDS.contains(&name) && whole();
        if refers || card_data(text, self.known).is_empty() || !(self.strikes)(path) {
            return text.to_owned();
        }
        struck(text, self.known)
    }

    fn members(&mut self, members: &Map<String, Value>, path: &str) -> Map<String, Value> {
        let mut out = Map::new();
        for (name, value) in members {
            let clean = struck(name, self.known);
            let field = if path.is_empty() { clean.clone() } else { format!("{path}.{clean}") };
            if is_card_data_key(name) {
                if !(self.strikes)(&field) {
                    out.insert(name.clone(), value.clone());
                } else if value.is_string() {
                    out.insert(clean, CODE_STRUCK.into());
                }
                // A number cannot be struck out in its place: the member goes.
                continue;
            }
            let value = self.of(value, &field, name);
            let name = if clean != *name && (self.strikes)(&field) { clean } else { name.clone() };
            out.insert(name, value);
        }
        out
    }
}

/// Names of fields that hold words, whoever fills them.
const WORDS: &[&str] = &[
    "answer",
    "comment",
    "description",
    "detail",
    "message",
    "note",
    "notes",
    "notice",
    "question",
    "reason",
    "reasons",
    "text",
    "texts",
    "why",
];

#[cfg(test)]
mod tests {
    use super::*;

    const CARD: &str = "4111111111111111";

    fn of(json: &Value, by: Speaker) -> (Value, Vec<String>) {
        let mut fields = Vec::new();
        let known = known(None, json.to_string().as_bytes());
        let clean = without(json, &known, by, &mut |field| {
            fields.push(field.to_owned());
            true
        });
        (clean, fields)
    }

    #[test]
    fn c1_card_data_is_found_field_by_field() {
        use Speaker::{Caller, Outside};
        let json = |text: &str| serde_json::from_str::<Value>(text).unwrap();
        for (is, by, left, fields) in [
            (
                format!(r#"{{"method":"{CARD}"}}"#),
                Caller,
                r#"{"method":"[card number]"}"#.to_owned(),
                &["method"][..],
            ),
            // A reference of a provider that counts, under whatever name.
            (format!(r#"{{"method":"{CARD}"}}"#), Outside, format!(r#"{{"method":"{CARD}"}}"#), &[]),
            (format!(r#"{{"reference":"{CARD}"}}"#), Caller, format!(r#"{{"reference":"{CARD}"}}"#), &[]),
            (format!(r#"{{"why":"{CARD}"}}"#), Outside, r#"{"why":"[card number]"}"#.to_owned(), &["why"]),
            (
                format!(r#"{{"a":[{{"why":"card {CARD}"}}],"n":{CARD}}}"#),
                Outside,
                format!(r#"{{"a":[{{"why":"card [card number]"}}],"n":{CARD}}}"#),
                &["a.why"],
            ),
            (
                r#"["4111 1111\t1111-1111 cvv 123"]"#.to_owned(),
                Outside,
                r#"["[card number] cvv [security code]"]"#.to_owned(),
                &[""],
            ),
            (
                format!(r#"{{"card {CARD}":1,"cvv":"123","cvc":123}}"#),
                Outside,
                r#"{"card [card number]":1,"cvv":"[security code]"}"#.to_owned(),
                &["card [card number]", "cvc", "cvv"],
            ),
            // What the input itself refers to is no card's number where it is spoken of.
            (
                format!(r#"{{"tracking":"{CARD}","note":"parcel {CARD}"}}"#),
                Caller,
                format!(r#"{{"tracking":"{CARD}","note":"parcel {CARD}"}}"#),
                &[],
            ),
        ] {
            assert_eq!(
                of(&json(&is), by),
                (json(&left), fields.iter().map(|f| (*f).to_owned()).collect()),
                "{is}"
            );
        }
    }
}
