//! Amounts: integer minor units with their ISO 4217 currency.
//!
//! No float comes near an amount, no operation wraps, and two currencies never add up. What does
//! not divide is dealt out by [`split_minor`], which loses nothing.

mod amount;
mod currency;
mod split;

pub use amount::{AmountError, Money, MoneyError};
pub use currency::{Currency, CurrencyError};
pub use split::{SplitError, split_minor};

#[cfg(test)]
mod tests;
