//! The ready pipeline for goods and services in one order: paid once, reviewed once, dispatched and activated side by
//! side, with refunds beside.

use super::build::{BuildFaults, Pipeline, pipeline};
use super::lifecycle::LifePolicy;
use crate::stage::activation::{ActivationPolicy, service};
use crate::stage::aftersales::{AftersalesPolicy, rma};
use crate::stage::correction::{CorrectionPolicy, correction};
use crate::stage::dispatch::{DispatchPolicy, parcel};
use crate::stage::payment::{PaymentPolicy, attempt};
use crate::stage::refund::{RefundPolicy, refund};
use crate::stage::review::{ReviewPolicy, case};

/// The policies of [`mixed`].
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Mixed {
    /// Of the lifecycle.
    pub life: LifePolicy,
    /// Of payment.
    pub payment: PaymentPolicy,
    /// Of review.
    pub review: ReviewPolicy,
    /// Of dispatch.
    pub dispatch: DispatchPolicy,
    /// Of activation.
    pub activation: ActivationPolicy,
    /// Of refunds.
    pub refund: RefundPolicy,
    /// Of returns and claims.
    pub aftersales: AftersalesPolicy,
}

/// Goods and services: pay, review, then dispatch and activate, neither waiting for the other; refund beside. An order
/// of goods alone, or of services alone, may be placed here too.
///
/// # Errors
///
/// [`BuildFaults`] when a policy cannot be stored.
pub fn mixed(p: Mixed) -> Result<Pipeline, BuildFaults> {
    pipeline("mixed", 2, p.life)
        .then(attempt::M::with(p.payment))
        .then(case::M::with(p.review))
        .then(parcel::M::with(p.dispatch))
        .then(service::M::with(p.activation))
        .beside(refund::M::with(p.refund))
        .beside(rma::M::with(p.aftersales))
        .beside(correction::M::with(CorrectionPolicy::default()))
        .usual_routes()
        .build()
}
