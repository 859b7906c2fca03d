//! The routes by which the library's own stages ask one another.

use super::build::Builder;
use super::giving;
use super::lifecycle::{Amended, GoneBack, Trimmed, TurnedDown, Unfillable, Unwaived, Waived, lifecycle};
use crate::id::Key;
use crate::stage::activation::{self, DueAgain, NeedsFunds, Remove, Twin, service};
use crate::stage::aftersales::rma;
use crate::stage::dispatch::{
    self, CannotFill, Item, NeedsCapture, Replan, Repriced, Resend, Split, SplitOff, Unit, parcel,
};
use crate::stage::payment::{CaptureAsked, MoneyBack, PaidElsewhere, Superseded, attempt};
use crate::stage::proof::{Delivered, DueMore, Instead, OweBack, Replace, Reprice, Unwaive, Waive};
use crate::stage::refund::{Begin, Record, Request, next_key, refund};
use crate::stage::review::{self, TurnDown, case};

impl<Ev, T, G, H, F> Builder<Ev, T, G, H, F> {
    /// Adds the routes that the library's stages need among one another, of those that are placed so far, or that what
    /// is placed extends. The ready pipelines use it; so does a host's, before its own routes.
    #[must_use]
    pub fn usual_routes(mut self) -> Self {
        if self.inner.places(&refund::GRAPH) {
            self = self.route::<GoneBack, refund::M, Record>(|ask, view| {
                let GoneBack { attempt, channel, reference, amount } = ask.clone();
                vec![(next_key(view), Record { attempt, channel, reference, amount })]
            });
            if self.inner.asked("MoneyBack") {
                self = self.route::<MoneyBack, refund::M, Begin>(giving::money_back);
            }
            if self.inner.places(&attempt::GRAPH) {
                self = self.route_across::<OweBack, refund::M, Begin>(giving::owe_back);
                self = self.vet::<refund::M, Request>(giving::request);
            }
        }
        if self.inner.places(&attempt::GRAPH) {
            self = self.route::<PaidElsewhere, attempt::M, Superseded>(|ask, view| {
                let others =
                    view.instances().filter(|(key, s)| *key != ask.attempt && s.what().tender == ask.tender);
                others.map(|(key, _)| (key, Superseded)).collect()
            });
        }
        if self.inner.places(&attempt::GRAPH) && self.inner.asked("NeedsCapture") {
            self = self.route::<NeedsCapture, attempt::M, CaptureAsked>(|_, view| {
                view.instances().map(|(key, _)| (key, CaptureAsked)).collect()
            });
        }
        if self.inner.places(&attempt::GRAPH) && self.inner.asked("NeedsFunds") {
            self = self.route::<NeedsFunds, attempt::M, CaptureAsked>(|_, view| {
                view.instances().map(|(key, _)| (key, CaptureAsked)).collect()
            });
        }
        if self.inner.asked("Waive") {
            self = self.route::<Waive, lifecycle::M, Waived>(|ask, _| {
                let (relief, reason) = (ask.relief.clone(), ask.reason.clone());
                vec![(Key(1), Waived { relief, goes_back: ask.goes_back, reason })]
            });
        }
        if self.inner.asked("Unwaive") {
            self = self.route::<Unwaive, lifecycle::M, Unwaived>(|ask, _| {
                vec![(Key(1), Unwaived { relief: ask.relief.clone() })]
            });
        }
        // What parcels carry moves first; the lifecycle takes care of what they do not carry.
        if self.inner.places(&parcel::GRAPH) {
            self = self.route::<Reprice, parcel::M, Repriced>(|_, view| dispatch::repriced(view));
        }
        if self.inner.places(&service::GRAPH) {
            self = self.route::<DueMore, service::M, DueAgain>(|_, view| activation::due_again(view));
        }
        self = self.route::<Reprice, lifecycle::M, Trimmed>(|_, view| {
            let over = view.world.books.earned() > view.world.due_minor.max(0);
            if over { vec![(Key(1), Trimmed)] } else { Vec::new() }
        });
        if self.inner.places(&parcel::GRAPH) && self.inner.asked("Replace") {
            self = self.route::<Replace, parcel::M, Resend>(|ask, view| {
                let item = |u: &Instead| {
                    let Unit { sku, quantity } = u.unit.clone();
                    Item { sku, quantity, line: Some(u.line), again: u.again }
                };
                let load = ask.units.iter().map(item).collect();
                vec![(dispatch::next_key(view), Resend { load, share_minor: ask.share_minor })]
            });
        }
        if self.inner.places(&service::GRAPH) && self.inner.asked("Twin") {
            self = self.route::<Twin, service::M, Remove>(activation::remove);
        }
        if self.inner.places(&case::GRAPH) {
            self = self.route::<Amended, case::M, review::Amended>(|ask, view| {
                view.instances().map(|(key, _)| (key, review::Amended { by: ask.by.clone() })).collect()
            });
        }
        // Dispatch tells after-sales what it brought: a pipeline may do without.
        if self.inner.places(&parcel::GRAPH) && !self.inner.places(&rma::GRAPH) {
            self = self.spare::<Delivered>();
        }
        if !self.inner.places(&parcel::GRAPH) && self.inner.places(&rma::GRAPH) {
            self = self.without::<Delivered>();
        }
        if self.inner.places(&parcel::GRAPH) {
            if self.inner.asked("SplitOff") {
                self = self.route::<SplitOff, parcel::M, Split>(|ask, view| {
                    vec![(dispatch::next_key(view), ask.rest.clone())]
                });
            }
            self = self.route::<Amended, parcel::M, Replan>(|_, view| dispatch::replanned(view));
        }
        if self.inner.asked("TurnDown") {
            self = self.route::<TurnDown, lifecycle::M, TurnedDown>(|ask, _| {
                vec![(Key(1), TurnedDown { reason: ask.reason.clone() })]
            });
        }
        if self.inner.asked("CannotFill") {
            self = self.route::<CannotFill, lifecycle::M, Unfillable>(|ask, _| {
                vec![(Key(1), Unfillable { reason: ask.why.clone() })]
            });
        }
        self
    }
}
