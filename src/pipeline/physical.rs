//! The ready pipeline for physical goods: paid, reviewed, dispatched, with refunds beside.

use super::build::{BuildFaults, Pipeline, pipeline};
use super::lifecycle::LifePolicy;
use crate::stage::aftersales::{AftersalesPolicy, rma};
use crate::stage::correction::{CorrectionPolicy, correction};
use crate::stage::dispatch::{DispatchPolicy, parcel};
use crate::stage::payment::{PaymentPolicy, attempt};
use crate::stage::refund::{RefundPolicy, refund};
use crate::stage::review::{ReviewPolicy, case};

/// The policies of [`physical`].
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Physical {
    /// Of the lifecycle.
    pub life: LifePolicy,
    /// Of payment.
    pub payment: PaymentPolicy,
    /// Of review.
    pub review: ReviewPolicy,
    /// Of dispatch.
    pub dispatch: DispatchPolicy,
    /// Of refunds.
    pub refund: RefundPolicy,
    /// Of returns and claims.
    pub aftersales: AftersalesPolicy,
}

/// Goods: pay, review, dispatch; refund beside.
///
/// # Errors
///
/// [`BuildFaults`] when a policy cannot be stored.
pub fn physical(p: Physical) -> Result<Pipeline, BuildFaults> {
    pipeline("physical", 2, p.life)
        .then(attempt::M::with(p.payment))
        .then(case::M::with(p.review))
        .then(parcel::M::with(p.dispatch))
        .beside(refund::M::with(p.refund))
        .beside(rma::M::with(p.aftersales))
        .beside(correction::M::with(CorrectionPolicy::default()))
        .usual_routes()
        .build()
}
