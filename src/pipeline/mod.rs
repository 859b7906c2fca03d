//! The hall: composes stages, routes between them, and steps an order. Pure: no clock, no I/O, no async.
//!
//! ```text
//! input -> Pipeline::step(&Progress, input, now) -> Decision { progress, entry, .. }
//! ```
//!
//! One step is one commit: the row that the input fires, every signal that follows from it, their postings, the effects
//! they want and the instants they wait for. A refused command leaves the order as it was.

mod build;
mod digital;
pub mod giving;
pub mod lifecycle;
mod names;
mod mixed;
mod physical;
mod progress;
mod region;
mod restore;
mod rights;
mod step;
mod usual;

pub use build::{BuildFault, BuildFaults, Builder, Carried, Hall, Pipeline, RouteSpec, pipeline};
pub use digital::{Digital, digital};
pub use lifecycle::{Cause, LifePolicy};
pub use mixed::{Mixed, mixed};
pub use names::{Names, PlaceNames};
pub use physical::{Physical, physical};
pub(crate) use progress::HeldPolicy;
pub use progress::{CommandKey, Doubt, Hold, Outstanding, Phase, Progress, Reminds};
pub(crate) use restore::{Restore, RestoredDoubt, RestoredEffect, RestoredInstance};
pub use step::{
    Decision, Disposition, EffectAnswer, EntryRecord, Event, EventKind, Fire, IndexMove, Move, Refused,
    StepError, Unplaced,
};
pub(crate) use step::{Known, key_print, print, remember_command};

#[cfg(test)]
mod build_tests;
#[cfg(test)]
mod tests;
