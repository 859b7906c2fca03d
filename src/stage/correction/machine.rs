//! One entry by hand.

use serde::{Deserialize, Serialize};

use crate::id::Actor;
use crate::ledger::{P8, P16, P20, P21, Source};
use crate::machine::{Answer, Cx, Decide, Next, On, Refusal, Row, refuse, to, until};
use crate::stage::approval;
use crate::stage::{data, plain};

crate::machine! {
    /// An entry by hand: it needs two people, whatever its amount, and moves no money.
    ///
    /// What it settles is what no refund and no payment can: a customer who has the goods and the money (P16), money
    /// that left without an operation of the order (P18), and what is owed and cannot go back over any channel.
    pub mod correction = "books.correction" v 1;
    policy CorrectionPolicy;
    effects { }
    inputs {
        command Propose, Agree, Withdraw;
        timer   AgreeDue;
    }
    states {
        Proposed: wait(AgreeDue),
        Booked: done,
        Withdrawn: fail,
    }
    rows {
        New      + Propose  => Proposed;
        Proposed + Agree    => Booked ! P8, P16, P20, P21;
        Proposed + Withdraw => Withdrawn;
        Proposed + AgreeDue => Withdrawn;
    }
}

/// The policy of entries by hand. Durations are milliseconds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CorrectionPolicy {
    /// How long the second person has. Default 7 days.
    pub agree_ms: u64,
}

impl Default for CorrectionPolicy {
    fn default() -> Self {
        Self { agree_ms: 7 * 24 * 60 * 60_000 }
    }
}

/// What is entered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Entry {
    /// What the customer owes is given up, and is a loss (P16).
    WriteOff,
    /// Money that left unexplained had gone to the customer: it counts as given back (P20).
    WentToCustomer,
    /// Money that left unexplained is a loss (P20).
    Lost,
    /// What the customer is owed was paid outside of every channel, or is what had been written off (P21).
    PaidOutside,
}

/// What an entry is, from its proposal to its end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Correction {
    /// What.
    pub entry: Entry,
    /// Minor units, positive.
    pub amount_minor: i64,
    /// Why, for people.
    pub reason: String,
    /// Who proposed it.
    pub by: Actor,
}

data! {
    /// Waits for a second person.
    Proposed { /** What is to be entered. */ what: Correction }
    /// In the books.
    Booked { /** What was entered. */ what: Correction, /** Who agreed. */ agreed: Actor }
    /// Not entered.
    Withdrawn { /** What was to be entered. */ what: Correction }

    /// Proposes an entry. Refused above what there is to settle.
    Propose {
        /** What. */ entry: Entry,
        /** Minor units, positive. */ amount_minor: i64,
        /** Why, for people, of 1 to 1,024 bytes. */ reason: String,
    }
}

plain! {
    /// Agrees, as another person than proposed it: it is booked.
    Agree,
    /// Takes the proposal back.
    Withdraw,
    /// The second person's time is over.
    AgreeDue,
}

use correction::{M, New};

/// Whether there is as much to settle.
fn open<R: Row<M = M>>(entry: Entry, amount_minor: i64, cx: &Cx<'_, R>) -> Result<(), Refusal> {
    let (what, most) = match entry {
        Entry::WriteOff => ("owed by the customer", cx.books().owed().saturating_neg().max(0)),
        Entry::WentToCustomer | Entry::Lost => {
            ("gone unexplained", cx.books().suspense().saturating_neg().max(0))
        }
        Entry::PaidOutside => ("owed to the customer", cx.books().owed().max(0)),
    };
    if (1..=most).contains(&amount_minor) {
        return Ok(());
    }
    Err(Refusal { code: "nothing_to_settle", detail: format!("{amount_minor} proposed, {most} are {what}") })
}

impl Decide<Propose> for New {
    fn decide(&self, c: &Propose, cx: &mut Cx<'_, Self::R>) -> Answer<Self::R> {
        open(c.entry, c.amount_minor, cx)?;
        if c.reason.trim().is_empty() || c.reason.len() > 1_024 {
            return refuse("reason", "a reason of 1 to 1024 bytes is needed");
        }
        let (entry, amount_minor, reason, by) = (c.entry, c.amount_minor, c.reason.clone(), cx.by().clone());
        cx.remind("correction_waits", format!("{by} proposes an entry of {amount_minor}: {reason}"));
        let what = Correction { entry, amount_minor, reason, by };
        Ok(until(cx.after_ms(cx.policy().agree_ms), Proposed { what }))
    }
}
impl Decide<Agree> for Proposed {
    fn decide(&self, _: &Agree, cx: &mut Cx<'_, Self::R>) -> Answer<Self::R> {
        approval::second(&self.what.by, cx.by())?;
        let Correction { entry, amount_minor, .. } = self.what;
        // It may have been settled otherwise meanwhile.
        open(entry, amount_minor, cx)?;
        match entry {
            Entry::WriteOff => cx.post(P16 { amount_minor }),
            Entry::WentToCustomer => {
                // What is given back of earned money is not earned any more.
                let short = amount_minor.saturating_sub(cx.books().owed().max(0)).max(0);
                cx.post(P8 { amount_minor: short.min(cx.books().earned()).max(0) });
                cx.post(P20 { source: Source::Cust, amount_minor });
            }
            Entry::Lost => cx.post(P20 { source: Source::Loss, amount_minor }),
            Entry::PaidOutside => cx.post(P21 { amount_minor }),
        }
        Ok(to(Booked { what: self.what.clone(), agreed: cx.by().clone() }))
    }
}
impl Decide<Withdraw> for Proposed {
    fn decide(&self, _: &Withdraw, _: &mut Cx<'_, Self::R>) -> Answer<Self::R> {
        Ok(to(Withdrawn { what: self.what.clone() }))
    }
}
impl On<AgreeDue> for Proposed {
    fn on(&self, _: &AgreeDue, _: &mut Cx<'_, Self::R>) -> Next<Self::R> {
        to(Withdrawn { what: self.what.clone() })
    }
}
