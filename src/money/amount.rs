//! An amount with its currency.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{Currency, CurrencyError, SplitError, split_minor};

/// An amount of money: minor units of one currency, negative allowed.
///
/// Amounts have no order of their own, since one yen is not less than one dollar: compare
/// [`minor`](Self::minor) where the currency is known to be the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Money {
    minor: i64,
    currency: Currency,
}

/// Why two amounts have no result.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MoneyError {
    /// The result would not fit in 64 bits.
    #[error("the amount overflows")]
    Overflow,
    /// The amounts are of two currencies.
    #[error("{left} and {right} do not add up")]
    CurrencyMismatch {
        /// The currency of the amount that was asked.
        left: Currency,
        /// The currency of the amount that was given.
        right: Currency,
    },
}

/// Why a text is not an amount.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AmountError {
    /// The text is not an optional minus, digits, and an optional point with digits.
    #[error("an amount is digits, with a point before the decimals and a minus when negative")]
    Malformed,
    /// More decimals than the currency has, even if they are zero.
    #[error("{found} decimals, and {currency} has {}", .currency.exponent())]
    TooManyDecimals {
        /// Decimals in the text.
        found: usize,
        /// The currency.
        currency: Currency,
    },
    /// The amount does not fit in 64 bits of minor units.
    #[error("the amount overflows")]
    Overflow,
    /// The currency it is stated in is none.
    #[error(transparent)]
    Currency(#[from] CurrencyError),
}

impl Money {
    /// An amount of `minor` units: cents for `USD`, yen for `JPY`.
    #[must_use]
    pub const fn new(minor: i64, currency: Currency) -> Self {
        Self { minor, currency }
    }

    /// Nothing, in a currency.
    #[must_use]
    pub const fn zero(currency: Currency) -> Self {
        Self::new(0, currency)
    }

    /// Reads a decimal amount of major units exactly: `12.34`, `16.5`, `-3`.
    ///
    /// Neither a plus, nor a grouping character, nor an exponent is read, and a point stands
    /// between digits.
    ///
    /// # Errors
    ///
    /// [`AmountError::Malformed`], then [`AmountError::TooManyDecimals`], then
    /// [`AmountError::Overflow`].
    pub fn parse(text: &str, currency: Currency) -> Result<Self, AmountError> {
        let (negative, digits) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        let (whole, decimals) = match digits.split_once('.') {
            Some((whole, decimals)) => (whole, Some(decimals)),
            None => (digits, None),
        };
        let is_number = |s: &str| !s.is_empty() && s.bytes().all(|b| b.is_ascii_digit());
        if !is_number(whole) || decimals.is_some_and(|d| !is_number(d)) {
            return Err(AmountError::Malformed);
        }
        let decimals = decimals.unwrap_or("");
        let places = usize::from(currency.exponent());
        if decimals.len() > places {
            return Err(AmountError::TooManyDecimals {
                found: decimals.len(),
                currency,
            });
        }
        let padding = std::iter::repeat_n(b'0', places.saturating_sub(decimals.len()));
        // Negative from the start, so that the lowest amount there is can be read as well.
        let below = whole
            .bytes()
            .chain(decimals.bytes())
            .chain(padding)
            .try_fold(0_i64, |n, digit| {
                n.checked_mul(10)?
                    .checked_sub(i64::from(digit.saturating_sub(b'0')))
            });
        let minor = if negative {
            below
        } else {
            below.and_then(i64::checked_neg)
        };
        minor
            .map(|minor| Self::new(minor, currency))
            .ok_or(AmountError::Overflow)
    }

    /// The amount in minor units.
    #[must_use]
    pub const fn minor(self) -> i64 {
        self.minor
    }

    /// The currency.
    #[must_use]
    pub const fn currency(self) -> Currency {
        self.currency
    }

    /// Whether there is more than nothing.
    #[must_use]
    pub const fn is_positive(self) -> bool {
        self.minor > 0
    }

    /// The sum.
    ///
    /// # Errors
    ///
    /// [`MoneyError::CurrencyMismatch`], then [`MoneyError::Overflow`].
    pub fn checked_add(self, other: Self) -> Result<Self, MoneyError> {
        self.with(other, i64::checked_add)
    }

    /// The difference, negative when `other` is larger.
    ///
    /// # Errors
    ///
    /// [`MoneyError::CurrencyMismatch`], then [`MoneyError::Overflow`].
    pub fn checked_sub(self, other: Self) -> Result<Self, MoneyError> {
        self.with(other, i64::checked_sub)
    }

    /// The same amount the other way.
    ///
    /// # Errors
    ///
    /// [`MoneyError::Overflow`] for the lowest amount of 64 bits.
    pub fn checked_neg(self) -> Result<Self, MoneyError> {
        let minor = self.minor.checked_neg().ok_or(MoneyError::Overflow)?;
        Ok(Self::new(minor, self.currency))
    }

    /// Splits an amount in proportion to `weights` and loses nothing.
    ///
    /// The parts add up to `self` exactly. Minor units that do not divide go one each to the parts
    /// with the largest remainder, the earlier part first, so the result depends on nothing but the
    /// arguments. A part of weight zero gets nothing, and a negative amount splits as its opposite
    /// does.
    ///
    /// # Errors
    ///
    /// [`SplitError::NoWeight`] when `weights` is empty or all zero. There is no other way to fail.
    pub fn split(self, weights: &[u64]) -> Result<Vec<Self>, SplitError> {
        let parts = split_minor(self.minor, weights)?;
        Ok(parts
            .into_iter()
            .map(|minor| Self::new(minor, self.currency))
            .collect())
    }

    fn with(self, other: Self, op: fn(i64, i64) -> Option<i64>) -> Result<Self, MoneyError> {
        if self.currency != other.currency {
            return Err(MoneyError::CurrencyMismatch {
                left: self.currency,
                right: other.currency,
            });
        }
        let minor = op(self.minor, other.minor).ok_or(MoneyError::Overflow)?;
        Ok(Self::new(minor, self.currency))
    }
}

impl fmt::Display for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { minor, currency } = *self;
        let places = usize::from(currency.exponent());
        // The sign stands apart: minus five cents has a whole part of zero, which has none.
        let sign = if minor < 0 { "-" } else { "" };
        let digits = format!("{:0>1$}", minor.unsigned_abs(), places.saturating_add(1));
        let (whole, decimals) = digits.split_at(digits.len().saturating_sub(places));
        let point = if places == 0 { "" } else { "." };
        write!(f, "{sign}{whole}{point}{decimals} {currency}")
    }
}
