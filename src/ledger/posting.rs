//! The posting codes, each also a type, so that a row of a machine can declare which of them it may write.

use serde::{Deserialize, Serialize};

use super::{Account, Source};
use crate::id::Channel;

/// Why an amount cannot be posted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PostingError {
    /// Amounts of postings are positive; the code carries the direction.
    #[error("a posting of {amount_minor} minor units: amounts are positive")]
    NotPositive {
        /// The amount that was given, in minor units.
        amount_minor: i64,
    },
    /// The code needs a channel and none was given, or the other way round.
    #[error("posting {code:?} does not fit its channel")]
    Channel {
        /// The code of the posting.
        code: Code,
    },
    /// The code leaves no such choice of the account it comes from or goes to.
    #[error("posting {code:?} does not touch {source_account:?}")]
    Source {
        /// The code of the posting.
        code: Code,
        /// The account that was named.
        source_account: Source,
    },
    /// The sum would not fit in 64 bits.
    #[error("the books overflow")]
    Overflow,
}

macro_rules! codes {
    ($($(#[$doc:meta])* $code:ident = $bit:literal $shape:ident;)+) => {
        /// A posting code of the table in the module's documentation.
        #[derive(
            Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
        )]
        #[non_exhaustive]
        pub enum Code { $($(#[$doc])* $code = $bit),+ }

        impl Code {
            /// Every code, in the order of the table.
            pub const ALL: &'static [Code] = &[$(Code::$code),+];

            /// The code's bit in the masks of a machine's rows.
            #[must_use]
            pub const fn bit(self) -> u32 {
                1 << self as u32
            }

            /// The code's name: `P3`.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Code::$code => stringify!($code)),+ }
            }
        }

        $(codes!(@$shape $(#[$doc])* $code);)+
    };
    (@channel $(#[$doc:meta])* $code:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq)]
        pub struct $code {
            /// The channel whose account moves.
            pub channel: Channel,
            /// Minor units, positive; zero writes nothing.
            pub amount_minor: i64,
        }
        impl Post for $code {
            const CODE: Code = Code::$code;
            fn postings(self, out: &mut Vec<Posting>) {
                push(out, Code::$code, Some(self.channel), Source::Cust, self.amount_minor);
            }
        }
    };
    (@sourced $(#[$doc:meta])* $code:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq)]
        pub struct $code {
            /// The channel whose account moves.
            pub channel: Channel,
            /// Where the amount comes from or goes back to.
            pub source: Source,
            /// Minor units, positive; zero writes nothing.
            pub amount_minor: i64,
        }
        impl Post for $code {
            const CODE: Code = Code::$code;
            fn postings(self, out: &mut Vec<Posting>) {
                push(out, Code::$code, Some(self.channel), self.source, self.amount_minor);
            }
        }
    };
    (@plain $(#[$doc:meta])* $code:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq)]
        pub struct $code {
            /// Minor units, positive; zero writes nothing.
            pub amount_minor: i64,
        }
        impl Post for $code {
            const CODE: Code = Code::$code;
            fn postings(self, out: &mut Vec<Posting>) {
                push(out, Code::$code, None, Source::Cust, self.amount_minor);
            }
        }
    };
    (@fee $(#[$doc:meta])* $code:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq)]
        pub struct $code {
            /// The channel whose account moves.
            pub channel: Channel,
            /// Contested minor units, positive; zero writes nothing.
            pub amount_minor: i64,
            /// The fee the channel takes with it, in minor units; zero writes nothing.
            pub fee_minor: i64,
        }
        impl Post for $code {
            const CODE: Code = Code::$code;
            fn postings(self, out: &mut Vec<Posting>) {
                push(out, Code::$code, Some(self.channel.clone()), Source::Cust, self.amount_minor);
                push(out, Code::$code, Some(self.channel), Source::Fee, self.fee_minor);
            }
        }
    };
}

fn push(out: &mut Vec<Posting>, code: Code, channel: Option<Channel>, source: Source, amount_minor: i64) {
    if amount_minor != 0 {
        out.push(Posting { code, channel, source, amount_minor });
    }
}

impl Code {
    /// Whether it moves money of a channel.
    const fn has_channel(self) -> bool {
        !matches!(self, Code::P6 | Code::P7 | Code::P8 | Code::P16)
    }

    /// Whether its free side may be this account; where there is none, [`Source::Cust`] stands for it.
    const fn leaves(self, source: Source) -> bool {
        match source {
            Source::Cust => true,
            Source::Suspense => matches!(self, Code::P9 | Code::P11 | Code::P15),
            Source::Loss => matches!(self, Code::P15),
            Source::Fee => matches!(self, Code::P13),
        }
    }
}

codes! {
    /// Authorised.
    P1 = 1 channel;
    /// Authorisation released, expired, or drawn by a capture.
    P2 = 2 channel;
    /// Captured or charged, and wanted.
    P3 = 3 channel;
    /// A capture that failed late, at the scheme or the bank.
    P4 = 4 channel;
    /// Verified money that nobody wants.
    P5 = 5 channel;
    /// Suspense applied to what the customer owes.
    P6 = 6 plain;
    /// Earned.
    P7 = 7 plain;
    /// Un-earned.
    P8 = 8 plain;
    /// A refund reserved, in the commit that decides it.
    P9 = 9 sourced;
    /// A refund succeeded.
    P10 = 10 channel;
    /// A refund failed or was cancelled.
    P11 = 11 sourced;
    /// A refund came back after it had succeeded.
    P12 = 12 channel;
    /// Dispute funds withdrawn.
    P13 = 13 fee;
    /// A dispute won or reversed.
    P14 = 14 channel;
    /// A dispute lost; one posting per carrier of the loss.
    P15 = 15 sourced;
    /// A receivable written off.
    P16 = 16 plain;
    /// A processing fee.
    P17 = 17 channel;
    /// Verified money that left without an operation of ours.
    P18 = 18 channel;
}

/// A posting as a type: what a row declares after `!`, and what its handler may then write.
pub trait Post {
    /// The code.
    const CODE: Code;
    /// Appends the postings this value stands for; an amount of zero writes none.
    fn postings(self, out: &mut Vec<Posting>);
}

/// One movement between two accounts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Posting {
    /// The code of the table.
    pub code: Code,
    /// The channel, for codes that touch a channel's account.
    pub channel: Option<Channel>,
    /// The free side, for codes that leave a choice.
    pub source: Source,
    /// Minor units of the order's currency, positive.
    pub amount_minor: i64,
}

impl Posting {
    /// The debited and the credited account.
    ///
    /// # Errors
    ///
    /// [`PostingError::NotPositive`], [`PostingError::Channel`] and [`PostingError::Source`]; they guard records read
    /// from outside, and the codes that leave a choice.
    pub fn sides(&self) -> Result<(Account, Account), PostingError> {
        if self.amount_minor <= 0 {
            return Err(PostingError::NotPositive { amount_minor: self.amount_minor });
        }
        let code = self.code;
        if !code.leaves(self.source) {
            return Err(PostingError::Source { code, source_account: self.source });
        }
        if !code.has_channel() && self.channel.is_some() {
            return Err(PostingError::Channel { code });
        }
        let ch = || self.channel.clone().ok_or(PostingError::Channel { code });
        let source = || match self.source {
            Source::Cust => Account::Cust,
            Source::Suspense => Account::Suspense,
            Source::Fee => Account::Fee,
            Source::Loss => Account::Loss,
        };
        Ok(match code {
            Code::P1 => (Account::Hold(ch()?), Account::HoldContra),
            Code::P2 => (Account::HoldContra, Account::Hold(ch()?)),
            Code::P3 => (Account::Psp(ch()?), Account::Cust),
            Code::P4 => (Account::Cust, Account::Psp(ch()?)),
            Code::P5 => (Account::Psp(ch()?), Account::Suspense),
            Code::P6 => (Account::Suspense, Account::Cust),
            Code::P7 => (Account::Cust, Account::Earned),
            Code::P8 => (Account::Earned, Account::Cust),
            Code::P9 => (source(), Account::RefundDue(ch()?)),
            Code::P10 => (Account::RefundDue(ch()?), Account::Psp(ch()?)),
            Code::P11 => (Account::RefundDue(ch()?), source()),
            Code::P12 => (Account::Psp(ch()?), Account::RefundDue(ch()?)),
            Code::P13 => match self.source {
                Source::Fee => (Account::Fee, Account::Psp(ch()?)),
                Source::Cust | Source::Suspense | Source::Loss => {
                    (Account::Dispute(ch()?), Account::Psp(ch()?))
                }
            },
            Code::P14 => (Account::Psp(ch()?), Account::Dispute(ch()?)),
            Code::P15 => (source(), Account::Dispute(ch()?)),
            Code::P16 => (Account::Loss, Account::Cust),
            Code::P17 => (Account::Fee, Account::Psp(ch()?)),
            Code::P18 => (Account::Suspense, Account::Psp(ch()?)),
        })
    }
}
