//! Spans around every store and adapter call, from outside: adapters hold none of their own.

use std::future::Future;

use tracing::Instrument as _;

use crate::gateway::Ticket;
use crate::id::OrderKey;

pub(super) fn commit<T>(
    order: &OrderKey,
    version: u64,
    call: impl Future<Output = T>,
) -> impl Future<Output = T> {
    call.instrument(tracing::debug_span!("store.commit", %order, version))
}

pub(super) fn load<T>(order: &OrderKey, call: impl Future<Output = T>) -> impl Future<Output = T> {
    call.instrument(tracing::debug_span!("store.load", %order))
}

pub(super) fn adapter<T>(
    effect: &str,
    ticket: &Ticket,
    call: impl Future<Output = T>,
) -> impl Future<Output = T> {
    let span = tracing::debug_span!(
        "adapter.call",
        effect,
        order = %ticket.order,
        key = %ticket.key,
        attempt = ticket.attempt
    );
    call.instrument(span)
}
