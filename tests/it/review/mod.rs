//! Review: who looks at what, who may decide, and what a decision is worth.

mod cases;
mod gates;
mod tiers;
