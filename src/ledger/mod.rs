//! The books of one order: double entry, integer minor units, one currency.
//!
//! Every movement of money is a [`Posting`]: a code of the table below, a positive amount, and the two accounts it
//! moves between. Balances, payment statuses and what may still be refunded are folds over postings; no field holds
//! them. Dr is positive, Cr is negative, and the accounts of an order always sum to zero.
//!
//! | code | what happened | Dr | Cr |
//! |---|---|---|---|
//! | P1 | authorised | hold | hold_contra |
//! | P2 | authorisation released, expired or drawn | hold_contra | hold |
//! | P3 | captured, wanted | psp | cust |
//! | P4 | capture failed late | cust | psp |
//! | P5 | verified money nobody wants | psp | suspense |
//! | P6 | suspense applied to what is owed | suspense | cust |
//! | P7 | earned | cust | earned |
//! | P8 | un-earned | earned | cust |
//! | P9 | refund reserved, before the call | suspense or cust | refund_due |
//! | P10 | refund succeeded | refund_due | psp |
//! | P11 | refund failed or cancelled | refund_due | suspense or cust |
//! | P12 | refund reversed after success | psp | refund_due |
//! | P13 | dispute funds withdrawn, with a fee | dispute, fee | psp |
//! | P14 | dispute won | psp | dispute |
//! | P15 | dispute lost | suspense, cust or loss | dispute |
//! | P16 | receivable written off | loss | cust |
//! | P17 | processing fee | fee | psp |
//! | P18 | money that left without an operation of ours | suspense | psp |
//! | P19 | what a provider takes for a service that nobody ordered | loss | psp |
//! | P20 | money that left unexplained, explained by people | cust or loss | suspense |
//! | P21 | what the customer is owed, settled without a refund | cust | loss |

mod account;
mod books;
mod posting;
#[cfg(test)]
mod tests;

pub use account::{Account, Source};
pub use books::{Books, Breach, Broken};
pub use posting::{
    Code, P1, P2, P3, P4, P5, P6, P7, P8, P9, P10, P11, P12, P13, P14, P15, P16, P17, P18, P19, P20, P21,
    Post, Posting, PostingError,
};
