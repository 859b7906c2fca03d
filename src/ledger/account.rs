//! The accounts of an order's books.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::id::Channel;

/// An account of one order. A positive balance is a debit, a negative one a credit.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Account {
    /// Money at a payment channel: an asset.
    Psp(Channel),
    /// The customer: credit when goods or money are owed to them, debit when they owe.
    Cust,
    /// Refunds in flight on a channel.
    RefundDue(Channel),
    /// Money without an obligation.
    Suspense,
    /// What has been earned.
    Earned,
    /// Money contested on a channel.
    Dispute(Channel),
    /// Fees paid.
    Fee,
    /// Losses taken.
    Loss,
    /// Authorisations on a channel. A memo, not money.
    Hold(Channel),
    /// The other side of the holds.
    HoldContra,
}

impl Account {
    /// The account's name without its channel: `psp`, `cust`, `refund_due`.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Psp(_) => "psp",
            Self::Cust => "cust",
            Self::RefundDue(_) => "refund_due",
            Self::Suspense => "suspense",
            Self::Earned => "earned",
            Self::Dispute(_) => "dispute",
            Self::Fee => "fee",
            Self::Loss => "loss",
            Self::Hold(_) => "hold",
            Self::HoldContra => "hold_contra",
        }
    }

    /// Accounts that must be empty before an order may be called cancelled or closed.
    #[must_use]
    pub const fn is_clearing(&self) -> bool {
        match self {
            Self::Cust
            | Self::RefundDue(_)
            | Self::Suspense
            | Self::Dispute(_)
            | Self::Hold(_)
            | Self::HoldContra => true,
            Self::Psp(_) | Self::Earned | Self::Fee | Self::Loss => false,
        }
    }
}

impl fmt::Display for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Psp(ch) | Self::RefundDue(ch) | Self::Dispute(ch) | Self::Hold(ch) => {
                write!(f, "{}:{ch}", self.name())
            }
            Self::Cust
            | Self::Suspense
            | Self::Earned
            | Self::Fee
            | Self::Loss
            | Self::HoldContra => f.write_str(self.name()),
        }
    }
}

/// Which account the free side of a posting touches, for the codes that leave a choice.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Source {
    /// The customer account. Also stands where a code leaves no choice.
    #[default]
    Cust,
    /// Money without an obligation.
    Suspense,
    /// The fee part of a dispute.
    Fee,
    /// The part of a lost dispute that nobody else carries.
    Loss,
}
