//! Review: who looks at what, who may decide, and what a decision is worth.

mod bpic2012;
mod cases;
mod gates;
#[cfg(feature = "testing")]
mod queue;
#[cfg(all(feature = "testing", feature = "rules"))]
mod rules;
#[cfg(feature = "testing")]
mod stories;
mod tiers;
