//! One binary for all integration tests.
// A test that meets what it does not expect has failed, and says so.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::wildcard_enum_match_arm)]

mod carriers;
mod committed;
mod compile_fail;
mod diagrams;
#[cfg(feature = "testing")]
mod disk;
mod docs;
#[cfg(feature = "testing")]
mod engine;
mod examples;
mod extended;
mod kills;
mod names_and_versions;
// The replay's own tests of how it reads an order book.
#[allow(dead_code)]
#[path = "../../examples/replay/data.rs"]
mod replay_data;
mod review;
mod rows;
mod spec_rows;
mod support;
mod tidy;
mod uci_returns;
