//! What tests need: a store's conformance kit, sandboxes with books of their own, and a virtual clock.

pub mod conformance;
