//! The kernel: one table per machine, projected into types.
//!
//! [`machine!`](crate::machine!) takes a table and makes from the same tokens the state and input enums, the match
//! that runs, the trait impls that bind handlers to rows, and `const GRAPH`, which diagrams and checks read. The
//! drawing and the behaviour cannot differ.
//!
//! ```text
//! rows {
//!     New      + Start [Proof] => Sending / Charge;          a command may need proofs
//!     Live     + Paid          => Captured ! P3, P5 ? Back;  may post, may ask another machine
//!     Sending  + AnswerDue     => Unknown / Inquire;         a timer's row names its instants anew
//!     Refunding + Repaid       => Repaid !! P10;             must post
//! }
//! ```
//!
//! A handler sees its state, its input and a [`Cx`]; it returns the next state and nothing else. It reads no clock,
//! does no I/O, and can only go where its row says, want what its row says, and post what its row says. Handlers of
//! commands ([`Decide`]) may refuse; handlers of evidence, timers and signals ([`On`]) have no error to return.

mod call;
#[doc(hidden)]
pub mod check;
mod codec;
mod cx;
mod diagram;
mod effect;
#[doc(hidden)]
pub mod extend;
mod extend_table;
pub mod graph;
pub mod place;
mod row;
mod table;
#[cfg(test)]
mod tests;

pub use call::{Call, Placement};
pub use codec::{CodecError, Decoded};
#[doc(hidden)]
pub use codec::{load, parse, save};
pub use cx::{
    Answers, AskValue, Cx, Deadline, Gates, Instance, Life, Operations, Out, Past, Proofs, Raised, Standing,
    View, World,
};
pub use diagram::{dot, mermaid};
pub use effect::{Effect, Exhausted, Fault, Reply, Told};
pub use extend::{BasePolicy, Instead, StandsFor};
pub use graph::{Again, Class, Graph, Kind, Mode, Trigger};
pub use row::{
    Answer, AskedBy, Command, Decide, Due, EmittedBy, Evidence, Fold, Goto, Handle, HasCommand, HasEffect,
    HasInput, HasRow, HasState, Hit, Home, IndexRow, Indexed, Instants, Keeps, Knows, Machine, MayStay,
    Moved, Next, On, Opens, Outcome, Part, Plain, PostedBy, Proof, Refusal, Row, Signal, Step, Timed, Timer,
    Untimed, Uses, refuse, stay, to, until,
};
#[doc(hidden)]
pub use row::{Fact, indexed};
