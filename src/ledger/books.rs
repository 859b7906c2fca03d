//! Balances as a fold over postings.

use std::collections::BTreeMap;

use super::{Account, Code, Posting, PostingError, Source};
use crate::id::Channel;

/// What an order's postings add up to. Kept as one sum per (code, source, channel), from which every balance follows.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Books {
    sums: Vec<Sum>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Sum {
    code: Code,
    source: Source,
    channel: Option<Channel>,
    amount_minor: i64,
}

/// An invariant that a set of books breaks. A command that would lead here is refused; verified evidence is booked,
/// and the order is held and raised.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Broken {
    /// More was refunded, reserved or contested on a channel than was captured there.
    #[error("{channel}: {over_minor} minor units more given back than captured")]
    Overdrawn {
        /// The channel.
        channel: Channel,
        /// How much too much, in minor units.
        over_minor: i64,
    },
    /// A refund was settled that was never reserved.
    #[error("{channel}: refunds in flight are negative")]
    RefundDue {
        /// The channel.
        channel: Channel,
    },
    /// More of an authorisation was released or drawn than was held.
    #[error("{channel}: authorisations are negative")]
    Hold {
        /// The channel.
        channel: Channel,
    },
    /// More suspense was applied or refunded than had arrived, or money left unexplained.
    #[error("suspense is in debit by {over_minor} minor units")]
    Suspense {
        /// By how much, in minor units.
        over_minor: i64,
    },
    /// More was un-earned than earned, or more earned than the order is worth.
    #[error("earned {earned_minor} of an order worth {total_minor} minor units")]
    Earned {
        /// Net earned, in minor units.
        earned_minor: i64,
        /// The order's total, in minor units.
        total_minor: i64,
    },
}

impl Books {
    /// Adds a posting.
    ///
    /// # Errors
    ///
    /// [`PostingError`] when the posting is malformed or a sum would overflow; the books are then unchanged.
    pub fn post(&mut self, p: &Posting) -> Result<(), PostingError> {
        p.sides()?;
        self.add(p)
    }

    fn add(&mut self, p: &Posting) -> Result<(), PostingError> {
        let at =
            self.sums.iter_mut().find(|s| s.code == p.code && s.source == p.source && s.channel == p.channel);
        if let Some(s) = at {
            s.amount_minor = s.amount_minor.checked_add(p.amount_minor).ok_or(PostingError::Overflow)?;
        } else {
            self.sums.push(Sum {
                code: p.code,
                source: p.source,
                channel: p.channel.clone(),
                amount_minor: p.amount_minor,
            });
            self.sums.sort_by(|a, b| (a.code, a.source, &a.channel).cmp(&(b.code, b.source, &b.channel)));
        }
        Ok(())
    }

    /// The books as one posting per (code, source, channel), in a fixed order: what a progress record holds.
    pub fn sums(&self) -> impl Iterator<Item = Posting> + '_ {
        self.sums.iter().map(|s| Posting {
            code: s.code,
            channel: s.channel.clone(),
            source: s.source,
            amount_minor: s.amount_minor,
        })
    }

    fn of(&self, code: Code, channel: Option<&Channel>) -> i64 {
        self.sums
            .iter()
            .filter(|s| s.code == code && (channel.is_none() || s.channel.as_ref() == channel))
            .fold(0, |n: i64, s| n.saturating_add(s.amount_minor))
    }

    fn of_source(&self, code: Code, source: Source) -> i64 {
        self.sums
            .iter()
            .filter(|s| s.code == code && s.source == source)
            .fold(0, |n: i64, s| n.saturating_add(s.amount_minor))
    }

    /// Every account that is not empty, Dr positive.
    #[must_use]
    pub fn balances(&self) -> BTreeMap<Account, i64> {
        let mut all = BTreeMap::new();
        for p in self.sums() {
            let Ok((dr, cr)) = p.sides() else { continue };
            let d: &mut i64 = all.entry(dr).or_default();
            *d = d.saturating_add(p.amount_minor);
            let c: &mut i64 = all.entry(cr).or_default();
            *c = c.saturating_sub(p.amount_minor);
        }
        all.retain(|_, minor| *minor != 0);
        all
    }

    /// The balance of one account, Dr positive.
    #[must_use]
    pub fn balance(&self, account: &Account) -> i64 {
        // Asked for in every step, so without a map of all the others.
        self.sums().fold(0, |n: i64, p| match p.sides() {
            Ok((dr, _)) if dr == *account => n.saturating_add(p.amount_minor),
            Ok((_, cr)) if cr == *account => n.saturating_sub(p.amount_minor),
            Ok(_) | Err(_) => n,
        })
    }

    /// Minor units authorised and neither drawn nor released, over all channels.
    #[must_use]
    pub fn held(&self) -> i64 {
        self.of(Code::P1, None).saturating_sub(self.of(Code::P2, None))
    }

    /// Minor units the customer is credited with or has been served for: captured and wanted, less what failed late,
    /// was refunded, or is being refunded out of the customer account.
    #[must_use]
    pub fn kept(&self) -> i64 {
        self.of(Code::P3, None)
            .saturating_add(self.of(Code::P6, None))
            .saturating_sub(self.of(Code::P4, None))
            .saturating_sub(self.of_source(Code::P9, Source::Cust))
            .saturating_add(self.of_source(Code::P11, Source::Cust))
            .saturating_sub(self.of_source(Code::P15, Source::Cust))
    }

    /// Minor units owed to the customer and not yet earned; negative when the customer owes.
    #[must_use]
    pub fn owed(&self) -> i64 {
        self.balance(&Account::Cust).saturating_neg()
    }

    /// Minor units in suspense; negative when money left unexplained.
    #[must_use]
    pub fn suspense(&self) -> i64 {
        self.balance(&Account::Suspense).saturating_neg()
    }

    /// Net earned minor units.
    #[must_use]
    pub fn earned(&self) -> i64 {
        self.of(Code::P7, None).saturating_sub(self.of(Code::P8, None))
    }

    /// Minor units that an order worth `total_minor` can still earn: all of it, less what is earned, and less what was
    /// given back or is on its way back out of the customer account and was not paid again. Never negative.
    #[must_use]
    pub fn earnable(&self, total_minor: i64) -> i64 {
        let given =
            self.of_source(Code::P9, Source::Cust).saturating_sub(self.of_source(Code::P11, Source::Cust));
        // What was paid again after it was given back is earned all the same.
        let missing = total_minor.saturating_sub(self.kept());
        total_minor.saturating_sub(given.min(missing).max(0)).saturating_sub(self.earned()).max(0)
    }

    /// Minor units taken from the customer on a channel (all channels when `None`), late failures taken off.
    #[must_use]
    pub fn captured(&self, channel: Option<&Channel>) -> i64 {
        self.of(Code::P3, channel)
            .saturating_add(self.of(Code::P5, channel))
            .saturating_sub(self.of(Code::P4, channel))
    }

    /// Minor units of refunds in flight on a channel (all channels when `None`).
    #[must_use]
    pub fn refund_due(&self, channel: Option<&Channel>) -> i64 {
        self.of(Code::P9, channel)
            .saturating_add(self.of(Code::P12, channel))
            .saturating_sub(self.of(Code::P10, channel))
            .saturating_sub(self.of(Code::P11, channel))
    }

    /// Minor units given back on a channel (all channels when `None`).
    #[must_use]
    pub fn refunded(&self, channel: Option<&Channel>) -> i64 {
        self.of(Code::P10, channel).saturating_sub(self.of(Code::P12, channel))
    }

    fn contested(&self, channel: &Channel) -> i64 {
        let main: i64 = self
            .sums
            .iter()
            .filter(|s| s.code == Code::P13 && s.source != Source::Fee && s.channel.as_ref() == Some(channel))
            .fold(0, |n: i64, s| n.saturating_add(s.amount_minor));
        main.saturating_sub(self.of(Code::P14, Some(channel)))
    }

    fn free(&self, channel: &Channel) -> i64 {
        self.captured(Some(channel))
            .saturating_sub(self.refunded(Some(channel)))
            .saturating_sub(self.refund_due(Some(channel)))
            .saturating_sub(self.contested(channel))
            .saturating_sub(self.of(Code::P18, Some(channel)))
    }

    /// Minor units that may still be refunded on a channel: captured less failed, refunded, in flight, contested or
    /// lost in a dispute, or gone unexplained. Never negative.
    #[must_use]
    pub fn refundable(&self, channel: &Channel) -> i64 {
        self.free(channel).max(0)
    }

    /// Channels that any posting touched, in order.
    #[must_use]
    pub fn channels(&self) -> Vec<Channel> {
        let mut all: Vec<Channel> = self.sums.iter().filter_map(|s| s.channel.clone()).collect();
        all.sort();
        all.dedup();
        all
    }

    /// Whether hold, refund_due, suspense, dispute and cust are all zero, on every channel.
    #[must_use]
    pub fn is_clear(&self) -> bool {
        self.sums.is_empty() || self.balances().keys().all(|a| !a.is_clearing())
    }

    /// The first invariant these books break, for an order worth `total_minor`.
    ///
    /// # Errors
    ///
    /// [`Broken`], in the order of its variants.
    pub fn check(&self, total_minor: i64) -> Result<(), Broken> {
        let channels = self.channels();
        let first = |broken: &dyn Fn(&Channel) -> bool| channels.iter().find(|c| broken(c)).cloned();
        if let Some(channel) = first(&|c| self.free(c) < 0) {
            let over_minor = self.free(&channel).saturating_neg();
            return Err(Broken::Overdrawn { channel, over_minor });
        }
        if let Some(channel) = first(&|c| self.refund_due(Some(c)) < 0) {
            return Err(Broken::RefundDue { channel });
        }
        if let Some(channel) = first(&|c| self.of(Code::P1, Some(c)) < self.of(Code::P2, Some(c))) {
            return Err(Broken::Hold { channel });
        }
        let suspense = self.suspense();
        if suspense < 0 {
            return Err(Broken::Suspense { over_minor: suspense.saturating_neg() });
        }
        let earned_minor = self.earned();
        if earned_minor < 0 || earned_minor > total_minor {
            return Err(Broken::Earned { earned_minor, total_minor });
        }
        Ok(())
    }
}
