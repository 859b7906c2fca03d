//! One binary for all integration tests.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

mod committed;
mod compile_fail;
mod diagrams;
mod examples;
mod names_and_versions;
mod tidy;
