//! When one person may give something up alone, and who may be the second one.
//!
//! A limit counts over an order, not over one request: what one person after the other let go of without a second one
//! adds up, as [`Conceded`] tells it.

use crate::id::{Actor, Role};
use crate::machine::{Proof, Refusal};

/// What people gave up of an order without a second person, over all refunds that they asked for.
#[derive(Debug, Clone, PartialEq)]
pub struct Conceded {
    /// Minor units, of refunds that were neither called off nor refused.
    pub alone_minor: i64,
}
impl Proof for Conceded {
    const NAME: &'static str = "conceded";
}

/// Whether a person may give up `amount_minor` more of an order alone, after `alone_minor` that were given up so
/// before: the sum does not exceed the limit. Without a limit, everybody may. All in minor units.
#[must_use]
pub fn alone(limit_minor: Option<i64>, alone_minor: i64, amount_minor: i64) -> bool {
    limit_minor.is_none_or(|limit| alone_minor.saturating_add(amount_minor) <= limit)
}

/// Whether somebody may be the second person to what `first` asked.
///
/// # Errors
///
/// A [`Refusal`] with the code `four_eyes`: it is the same person, or none who works for the shop.
pub fn second(first: &Actor, by: &Actor) -> Result<(), Refusal> {
    let why = if by.role() != Role::Agent || !by.is_person() {
        "is no person of the shop"
    } else if first.same_person(by) {
        "asked for it"
    } else {
        return Ok(());
    };
    Err(Refusal { code: "four_eyes", detail: format!("{by} {why}: another person must agree") })
}
