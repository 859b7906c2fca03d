//! The ready pipeline for physical goods: paid, reviewed, dispatched, with refunds beside.

use super::build::{BuildFaults, Pipeline, pipeline};
use super::giving;
use super::lifecycle::{Amended, LifePolicy, TurnedDown, Unfillable, lifecycle};
use crate::id::Key;
use crate::stage::dispatch::{CannotFill, DispatchPolicy, NeedsCapture, parcel};
use crate::stage::payment::{CaptureAsked, MoneyBack, PaymentPolicy, attempt};
use crate::stage::proof::{Approved, OweBack, ToCapture};
use crate::stage::refund::{Begin, RefundPolicy, refund};
use crate::stage::review::{self, ReviewPolicy, TurnDown, case};

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
}

/// Goods: pay, review, dispatch; refund beside.
///
/// # Errors
///
/// [`BuildFaults`] when a policy cannot be stored.
pub fn physical(p: Physical) -> Result<Pipeline, BuildFaults> {
    pipeline("physical", 1, p.life)
        .then(attempt::M::with(p.payment))
        .then(case::M::with(p.review))
        .then(parcel::M::with(p.dispatch))
        .beside(refund::M::with(p.refund))
        .spare::<Approved<ToCapture>>()
        .route::<MoneyBack, refund::M, Begin>(giving::money_back)
        .route_across::<OweBack, refund::M, Begin>(giving::owe_back)
        .route::<NeedsCapture, attempt::M, CaptureAsked>(|_, view| {
            view.instances().map(|(key, _)| (key, CaptureAsked)).collect()
        })
        .route::<Amended, case::M, review::Amended>(|ask, view| {
            view.instances().map(|(key, _)| (key, review::Amended { by: ask.by.clone() })).collect()
        })
        .route::<TurnDown, lifecycle::M, TurnedDown>(|ask, _| {
            vec![(Key(1), TurnedDown { reason: ask.reason.clone() })]
        })
        .route::<CannotFill, lifecycle::M, Unfillable>(|ask, _| {
            vec![(Key(1), Unfillable { reason: ask.why.clone() })]
        })
        .build()
}
