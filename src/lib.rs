//! Durable order pipelines.
#![forbid(unsafe_code)]

pub mod money;
pub mod id;
pub mod clock;
pub mod order;
pub mod ledger;
pub mod machine;
pub mod stage;
pub mod pipeline;
pub mod store;
pub mod journal;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
pub mod gateway;
pub mod engine;
