//! The engine on virtual time: what is placed comes to its end, whatever the store, the channels and the clock do.

mod bad_input;
mod crash;
mod journey;
mod outside;
mod random;
mod stories;
mod support;
mod tricky;
mod upgrades;
