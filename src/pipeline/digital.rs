//! The ready pipeline for services: paid, reviewed, activated, with refunds beside.

use super::build::{BuildFaults, Pipeline, pipeline};
use super::lifecycle::LifePolicy;
use crate::stage::activation::{ActivationPolicy, service};
use crate::stage::correction::{CorrectionPolicy, correction};
use crate::stage::payment::{PaymentPolicy, attempt};
use crate::stage::refund::{RefundPolicy, refund};
use crate::stage::review::{ReviewPolicy, case};

/// The policies of [`digital`].
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Digital {
    /// Of the lifecycle.
    pub life: LifePolicy,
    /// Of payment.
    pub payment: PaymentPolicy,
    /// Of review.
    pub review: ReviewPolicy,
    /// Of activation.
    pub activation: ActivationPolicy,
    /// Of refunds.
    pub refund: RefundPolicy,
}

/// Services: pay, review, activate; refund beside. It serves no goods.
///
/// # Errors
///
/// [`BuildFaults`] when a policy cannot be stored.
pub fn digital(p: Digital) -> Result<Pipeline, BuildFaults> {
    pipeline("digital", 2, p.life)
        .then(attempt::M::with(p.payment))
        .then(case::M::with(p.review))
        .then(service::M::with(p.activation))
        .beside(refund::M::with(p.refund))
        .beside(correction::M::with(CorrectionPolicy::default()))
        .usual_routes()
        .build()
}
