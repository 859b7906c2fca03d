//! Entries that people make by hand, where nothing else can settle what stands open: one proposes, another one agrees.

mod machine;

pub use machine::*;
