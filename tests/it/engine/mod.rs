//! The engine on virtual time: what is placed comes to its end, whatever the store, the channels and the clock do.

mod bad_input;
mod bounds;
mod carriers;
mod crash;
mod heard;
pub(crate) mod journey;
mod keys;
mod money;
mod mutants;
mod outside;
mod own;
mod provider;
mod random;
mod secrets;
mod services;
mod simulation;
mod stories;
mod sweep;
pub(crate) mod support;
pub(crate) mod tricky;
mod trust;
mod upgrades;
mod warehouses;
mod watched;
mod withdrawn;
mod workers;
