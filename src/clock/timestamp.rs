//! An instant.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};

/// An instant in UTC: whole milliseconds since 1970-01-01T00:00:00Z, negative before it.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Timestamp(i64);

/// A text that is not an instant.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not an instant: {why}")]
pub struct ParseTimestampError {
    why: String,
}

impl Timestamp {
    /// The instant `millis` milliseconds after the epoch.
    #[must_use]
    pub const fn from_millis(millis: i64) -> Self {
        Self(millis)
    }

    /// Reads a date and time as UTC: `2017-07-09 21:57:05`, or with an offset as RFC 3339 has it,
    /// which is then honoured. What is finer than a millisecond is cut off.
    ///
    /// # Errors
    ///
    /// [`ParseTimestampError`] when the text is neither, or names a day or time that does not
    /// exist.
    pub fn parse_utc(text: &str) -> Result<Self, ParseTimestampError> {
        // Zoned text first: a reader of plain dates would pass over the offset.
        if let Ok(instant) = text.parse::<Self>() {
            return Ok(instant);
        }
        let plain: DateTime = text.parse().map_err(ParseTimestampError::new)?;
        let instant = TimeZone::UTC
            .to_timestamp(plain)
            .map_err(ParseTimestampError::new)?;
        Ok(Self(instant.as_millisecond()))
    }

    /// Milliseconds since the epoch.
    #[must_use]
    pub const fn millis(self) -> i64 {
        self.0
    }

    /// The instant `span` later; `None` beyond the last one of 64 bits. What is finer than a
    /// millisecond is cut off.
    #[must_use]
    pub fn checked_add(self, span: Duration) -> Option<Self> {
        i64::try_from(i128::from(self.0) + millis_of(span))
            .ok()
            .map(Self)
    }

    /// The instant `span` later, or the last one of 64 bits.
    #[must_use]
    pub fn saturating_add(self, span: Duration) -> Self {
        self.checked_add(span).unwrap_or(Self(i64::MAX))
    }

    /// The instant `span` earlier, or the first one of 64 bits.
    #[must_use]
    pub fn saturating_sub(self, span: Duration) -> Self {
        Self(i64::try_from(i128::from(self.0) - millis_of(span)).unwrap_or(i64::MIN))
    }

    /// How long after `earlier` this is; zero when it is not.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        if self > earlier {
            Duration::from_millis(self.0.abs_diff(earlier.0))
        } else {
            Duration::ZERO
        }
    }

    /// Whole seconds after `other`, cut off towards zero; negative when this is the earlier one.
    #[must_use]
    pub fn seconds_since(self, other: Self) -> i64 {
        let millis = i128::from(self.0) - i128::from(other.0);
        i64::try_from(millis / 1000).expect("a thousandth of a difference of 64 bits fits in them")
    }
}

fn millis_of(span: Duration) -> i128 {
    i128::try_from(span.as_millis()).expect("the longest duration has fewer than 2^74 milliseconds")
}

impl FromStr for Timestamp {
    type Err = ParseTimestampError;

    /// Reads RFC 3339, with its offset: `2017-07-09T21:57:05Z`.
    fn from_str(text: &str) -> Result<Self, ParseTimestampError> {
        let instant: jiff::Timestamp = text.parse().map_err(ParseTimestampError::new)?;
        Ok(Self(instant.as_millisecond()))
    }
}

impl fmt::Display for Timestamp {
    /// RFC 3339 in UTC; the bare milliseconds beyond the year 9999, which RFC 3339 cannot say.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match jiff::Timestamp::from_millisecond(self.0) {
            Ok(instant) => write!(f, "{instant}"),
            Err(_) => write!(f, "{} ms", self.0),
        }
    }
}

impl ParseTimestampError {
    fn new(why: impl fmt::Display) -> Self {
        Self {
            why: why.to_string(),
        }
    }
}
