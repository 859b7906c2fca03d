//! Durable order pipelines.
#![forbid(unsafe_code)]

pub mod clock;
pub mod id;
pub mod money;
pub mod order;
