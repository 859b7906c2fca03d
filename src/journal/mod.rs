//! The desk: typed decisions on one side, versioned, hash-chained records on the other. The only room that decides what
//! a record looks like.
//!
//! An entry holds the input, the instances as they stand after it, and the postings; progress is the last state of
//! every instance, the sum of the postings, and what is still wanted. So progress is a [`fold`] of the entries that
//! runs no code of any stage, and re-deciding is never how an order is recovered.
//!
//! ```text
//! entry   {"v":1,"n":3,"at":..,"by":"agent:anna","k":"command","d":"moved","t":["review.case",1],"in":["Claim",1,{}],
//!          "s":[[place,key,name,version,{data},[[timer,at]..],[facts]]..],"p":[[code,source,channel,amount]..],
//!          "w":[[id,place,key,nth,attempt,sent,withdrawn,not_before,..,name,version,{data}]..],"x":[ids],
//!          "h":[[id,code,detail,at]..]}
//! chain   hash(n) = SHA-256(hash(n - 1) || entry n)
//! ```

mod encode;
mod fold;
mod read;
mod record;
mod screen;
mod texts;

pub use encode::{Desk, Encoded, index_key};
pub use fold::{ChainFault, fold, verify};
pub use read::{EntryView, JournalError, Kept, ReadPosting, read_entry};
pub(crate) use read::{depth, read_names, save_names, wants};
pub(crate) use screen::{Screened, Speaker, screened};

/// The version of the record format that this library writes.
pub const FORMAT: u16 = 1;

#[cfg(test)]
mod tests;
