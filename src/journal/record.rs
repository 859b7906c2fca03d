//! The records as they stand on disk, read without knowing any stage.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::machine::Gates;

/// An instance: placement, key, state name, version, data, instants by timer name, facts.
#[derive(Debug, Deserialize, Serialize)]
pub(super) struct RawInstance<'a>(
    #[serde(borrow)] pub Cow<'a, str>,
    pub u32,
    #[serde(borrow)] pub Cow<'a, str>,
    pub u16,
    #[serde(borrow)] pub &'a RawValue,
    #[serde(borrow)] pub Vec<(Cow<'a, str>, i64)>,
    pub Vec<u64>,
);

/// A posting, or a sum of postings: code, source, channel, amount.
#[derive(Debug, Clone, Deserialize, Serialize)]
pub(super) struct RawPosting<'a>(
    #[serde(borrow)] pub Cow<'a, str>,
    #[serde(borrow)] pub Cow<'a, str>,
    #[serde(borrow)] pub Option<Cow<'a, str>>,
    pub i64,
);

/// An effect wanted: id, placement, key, number, attempt, sent, withdrawn, not before, wanted at, first wanted
/// at, given up at, why it may be sent again, when the outside was asked, name, version, data.
#[derive(Debug, Deserialize, Serialize)]
pub(super) struct RawWanted<'a>(
    pub u64,
    #[serde(borrow)] pub Cow<'a, str>,
    pub u32,
    pub u32,
    pub u32,
    pub bool,
    pub bool,
    pub Option<i64>,
    pub i64,
    pub i64,
    pub Option<i64>,
    pub u8,
    pub Option<i64>,
    #[serde(borrow)] pub Cow<'a, str>,
    pub u16,
    #[serde(borrow)] pub &'a RawValue,
);

/// An operation of which nobody told what came of it: placement, key, effect, number, first wanted at, given up at.
#[derive(Debug, Clone, Deserialize, Serialize)]
pub(super) struct RawDoubt<'a>(
    #[serde(borrow)] pub Cow<'a, str>,
    pub u32,
    #[serde(borrow)] pub Cow<'a, str>,
    pub u32,
    pub i64,
    pub i64,
);

/// A hold: id, code, detail, time, what it gates, and the placement, instance and state that it reminds of.
#[derive(Debug, Clone, Deserialize, Serialize)]
pub(super) struct RawHold<'a>(
    pub u32,
    #[serde(borrow)] pub Cow<'a, str>,
    #[serde(borrow)] pub Cow<'a, str>,
    pub i64,
    pub Gates,
    #[serde(borrow)] pub Option<(Cow<'a, str>, u32, Cow<'a, str>)>,
);

/// A journal entry.
#[derive(Debug, Deserialize)]
pub(super) struct RawEntry<'a> {
    pub v: u16,
    pub n: u64,
    pub at: i64,
    #[serde(default)]
    pub oc: Option<i64>,
    #[serde(borrow)]
    pub by: Cow<'a, str>,
    #[serde(borrow)]
    pub k: Cow<'a, str>,
    #[serde(borrow)]
    pub d: Cow<'a, str>,
    #[serde(borrow, default)]
    pub t: Option<(Cow<'a, str>, u32)>,
    #[serde(borrow, default)]
    pub r#in: Option<(Cow<'a, str>, u16, &'a RawValue)>,
    #[serde(borrow, default)]
    pub s: Vec<RawInstance<'a>>,
    #[serde(borrow, default)]
    pub p: Vec<RawPosting<'a>>,
    #[serde(borrow, default)]
    pub w: Vec<RawWanted<'a>>,
    #[serde(default)]
    pub x: Vec<u64>,
    #[serde(borrow, default)]
    pub l: Option<Vec<RawDoubt<'a>>>,
    #[serde(borrow, default)]
    pub h: Vec<RawHold<'a>>,
    #[serde(default)]
    pub r: Vec<u32>,
    /// The command's key and content, as [`CommandKey`](crate::pipeline::CommandKey) writes them.
    #[serde(borrow, default)]
    pub c: Option<Cow<'a, str>>,
    /// The message that a person let go: source, event, what it said.
    #[serde(borrow, default)]
    pub lg: Option<(Cow<'a, str>, Cow<'a, str>, Cow<'a, str>)>,
    /// The content hash of the document from here on, in hexadecimal: where it was placed or amended.
    #[serde(borrow, default)]
    pub o: Option<Cow<'a, str>>,
}

/// The progress of an order.
#[derive(Debug, Deserialize, Serialize)]
pub(super) struct RawProgress<'a> {
    pub v: u16,
    #[serde(borrow)]
    pub s: Vec<RawInstance<'a>>,
    #[serde(borrow)]
    pub b: Vec<RawPosting<'a>>,
    #[serde(borrow)]
    pub w: Vec<RawWanted<'a>>,
    #[serde(borrow, default, skip_serializing_if = "Vec::is_empty")]
    pub l: Vec<RawDoubt<'a>>,
    #[serde(borrow)]
    pub h: Vec<RawHold<'a>>,
    /// Effects ever wanted, holds ever set.
    pub e: (u64, u32),
    #[serde(borrow)]
    pub c: Vec<Cow<'a, str>>,
    /// Placed at, updated at.
    pub t: (i64, i64),
}

/// The document of an order, and which policies it was placed under: placement, version, SHA-256 in hexadecimal.
#[derive(Debug, Deserialize, Serialize)]
pub(super) struct RawDocument<'a> {
    pub v: u16,
    #[serde(borrow)]
    pub p: Vec<(Cow<'a, str>, u16, Cow<'a, str>)>,
    /// The content hash of the document that the order was placed with, in hexadecimal, where this is another.
    #[serde(borrow, default)]
    pub f: Option<Cow<'a, str>>,
    #[serde(borrow)]
    pub o: &'a RawValue,
}
