//! The ports of the library's stages: what a host implements once per provider.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use super::{Handler, Repeats, Ticket};
use crate::machine::{Effect, Reply};
use crate::stage::activation::{Activate, End, EndTwin, InquireService, Submit, Switch};
use crate::stage::aftersales::Restock;
use crate::stage::dispatch::{
    AskStock, Book, BringBack, CancelBooking, Consume, Quote, Reserve, Track, Unreserve,
};
use crate::stage::payment::{Capture, Charge, Close, Inquire, Void};
use crate::stage::refund::{InquireRefund, SendBack};
use crate::stage::review::Score;

/// The answer to an effect.
type Answer<X> = Reply<<X as Effect>::Done, <X as Effect>::Declined>;

/// A payment provider: one per engine; it chooses the channel by the effect.
///
/// What it answers is compared with what was asked. An answer of another amount, currency or channel counts as
/// [`Reply::Contradicted`]. A customer may have paid another amount than was asked for: an inquiry that tells of one is
/// made a second time at once, and believed when it says the same.
///
/// **What to look up by.** A question, a close and a release carry the key of the charge that they are about, and a
/// question the key of the newest capture too. [`Ticket::key`] of these calls is their own key, which the provider has
/// never seen: whoever looks that up is told "not there" for ever. The reference is `None` exactly when the answer to
/// the charge was lost, so what finds a payment by its key is needed there.
///
/// **Sums.** [`Paid`](crate::stage::payment::Paid) tells what *this* movement took where it answers a charge or a
/// capture, or comes as a message. Where it answers an inquiry, a close or a release it tells the *total* that the
/// payment has taken so far, what failed late not taken off; what is booked already is taken off here. The number of
/// the movement goes into `movement`, where the provider has one: two captures of one sum under one reference are the
/// same fact otherwise, when a message tells of them.
///
/// ```text
/// wrong   inquire: GET /payments?key={ticket.key}                    the key of the question, which nobody has seen
/// right   inquire: GET /payments/{reference}, or ?key={inquire.charge} while there is no reference
/// wrong   inquire: Paid { amount: the newest capture }               the sum of the others is told to be missing
/// right   inquire: Paid { amount: payment.amount_captured }
/// wrong   close:   404 => Gone                                       the charge may arrive after it, and take money
/// right   close:   404 => CloseRefused, unless the provider refuses that charge from then on
/// ```
///
/// [`testing::payment_gateway`](crate::testing::payment_gateway) tries a gateway out against these rules.
#[async_trait]
pub trait PaymentGateway: Send + Sync + 'static {
    /// What it promises about sending the same key again.
    fn repeats(&self) -> Repeats;
    /// How long a call may be invisible to an inquiry. Before a question was asked that long after the last call, "not
    /// there" and "still held" say nothing: what is in doubt stays in doubt. Default: as
    /// [`Repeats::Lookup`](Repeats::Lookup) says, else 5 minutes.
    fn settle(&self) -> Duration {
        self.repeats().settle()
    }
    /// Takes money, or holds it.
    async fn charge(&self, charge: Charge, ticket: &Ticket) -> Answer<Charge>;
    /// Says what became of an attempt, by its reference or else by the key of its charge: the total that it took.
    /// Changes nothing.
    async fn inquire(&self, inquire: Inquire, ticket: &Ticket) -> Answer<Inquire>;
    /// Makes sure that an attempt takes no money any more, or says that it did. It refuses where it can do neither.
    async fn close(&self, close: Close, ticket: &Ticket) -> Answer<Close>;
    /// Captures an authorisation, and says what this capture took.
    async fn capture(&self, capture: Capture, ticket: &Ticket) -> Answer<Capture>;
    /// Releases what is left of an authorisation.
    async fn void(&self, void: Void, ticket: &Ticket) -> Answer<Void>;
    /// Gives money back.
    async fn refund(&self, refund: SendBack, ticket: &Ticket) -> Answer<SendBack>;
    /// Says what became of a refund. Changes nothing.
    async fn inquire_refund(&self, inquire: InquireRefund, ticket: &Ticket) -> Answer<InquireRefund>;
}

/// Scores the risk of an order. When it fails, people decide: it never approves by silence.
#[async_trait]
pub trait RiskScorer: Send + Sync + 'static {
    /// Scores.
    async fn score(&self, score: Score, ticket: &Ticket) -> Answer<Score>;
}

/// Stock. Each of these changes it at most once per key, however often it is sent.
#[async_trait]
pub trait InventoryAdapter: Send + Sync + 'static {
    /// Says what every warehouse has of some units, beyond what is set aside. Changes nothing. It is asked only where
    /// the policy chooses among warehouses; an inventory of one place answers for that one.
    async fn stock(&self, ask: AskStock, ticket: &Ticket) -> Answer<AskStock>;
    /// Sets units aside, all or none, until they are taken out or given back: no time limit is sent along, since the
    /// parcel's own timer gives back what waits for too long.
    async fn reserve(&self, reserve: Reserve, ticket: &Ticket) -> Answer<Reserve>;
    /// Gives them back. A reservation that never arrived counts as given back, and must not arrive later.
    async fn unreserve(&self, unreserve: Unreserve, ticket: &Ticket) -> Answer<Unreserve>;
    /// Takes them out for good.
    async fn consume(&self, consume: Consume, ticket: &Ticket) -> Answer<Consume>;
    /// Puts units that came back as new into the stock again.
    async fn restock(&self, restock: Restock, ticket: &Ticket) -> Answer<Restock>;
}

/// A carrier.
#[async_trait]
pub trait CarrierAdapter: Send + Sync + 'static {
    /// Books a label; the same key gives the same number.
    async fn book(&self, book: Book, ticket: &Ticket) -> Answer<Book>;
    /// Says who would carry a parcel, for how much, by when and how well. Changes nothing. It is asked only where the
    /// policy chooses among carriers.
    async fn quote(&self, quote: Quote, ticket: &Ticket) -> Answer<Quote>;
    /// Cancels a label of a parcel that does not leave. One that is cancelled already counts as cancelled.
    async fn cancel(&self, cancel: CancelBooking, ticket: &Ticket) -> Answer<CancelBooking>;
    /// Brings a parcel back that is on its way, or refuses, and it goes on.
    async fn intercept(&self, back: BringBack, ticket: &Ticket) -> Answer<BringBack>;
    /// Says where a parcel is. Changes nothing.
    async fn track(&self, track: Track, ticket: &Ticket) -> Answer<Track>;
}

/// A platform that runs services: an ad platform, a licence server.
///
/// Both sides call a service by [`Ticket::order`], [`Ticket::instance`] and the number of the activation, which every
/// call carries: send them along as the platform's external id, since a service whose first answer was lost has no
/// other name yet. What the platform says of its own accord (its webhooks, its reports) is delivered to that instance
/// as evidence.
///
/// ```text
/// wrong   activate: look it up by key, and create it when it is not there     two lookups cross, two services spend
/// wrong   inquire: not in yesterday's report => NotThere                      it is there, and is given up
/// right   activate: create under the key, and answer Unknown when no answer comes
/// ```
#[async_trait]
pub trait AdPlatform: Send + Sync + 'static {
    /// What it promises about sending the same key again.
    fn repeats(&self) -> Repeats;
    /// Creates a service, and submits it to the platform's review. It never creates a second one under one external id.
    /// `Done` says that the platform has it, and how it stands; `Declined` that it never will; a lost answer is
    /// `Unknown`, whatever the platform may have done.
    async fn activate(&self, activate: Activate, ticket: &Ticket) -> Answer<Activate>;
    /// Says what the platform has under the key of a service, and the newest it knows of it: what it has spent since it
    /// began, else how its review stands. It changes nothing. `NotThere` says that the platform would show a service
    /// that it has; while it may not show it yet, the answer is `Unknown`.
    async fn inquire(&self, inquire: InquireService, ticket: &Ticket) -> Answer<InquireService>;
    /// Submits a rejected service again, once per revision, however often it is sent.
    async fn submit(&self, submit: Submit, ticket: &Ticket) -> Answer<Submit>;
    /// Pauses a service, or lets it run until the instant that is given. The newest switch counts: an older one that
    /// arrives late changes nothing. It answers with the number of the switch that was sent.
    async fn switch(&self, switch: Switch, ticket: &Ticket) -> Answer<Switch>;
    /// Ends a service for good. `Ended` carries its final spend, after which it spends nothing; `Stopped` says that it
    /// spends no more and that the final figure follows. A service that never arrived counts as ended without spend,
    /// and must not arrive later.
    async fn end(&self, end: End, ticket: &Ticket) -> Answer<End>;
    /// Ends a second service that the platform made under the same key, by the platform's own number for it, and leaves
    /// the first one alone. It answers with what that one spent, for good.
    async fn end_twin(&self, end: EndTwin, ticket: &Ticket) -> Answer<EndTwin>;
}

/// A committed fact, for the world outside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    /// Its place in the feed.
    pub position: u64,
    /// The order.
    pub order: crate::id::OrderKey,
    /// The journal entry as stored; `journal::read_entry` reads it.
    pub entry: Arc<[u8]>,
}

/// Hears of every committed fact, at least once and in order per order. It keeps its own place in the feed, so that
/// nothing counts as delivered before it has said so.
#[async_trait]
pub trait Notifier: Send + Sync + 'static {
    /// The position of the last notice that it has kept.
    async fn last(&self) -> u64;
    /// Takes a notice. `Err` keeps it for later.
    ///
    /// # Errors
    ///
    /// Why it could not take it.
    async fn notify(&self, notice: Notice) -> Result<(), String>;
}

macro_rules! handlers {
    (
        $(#[$doc:meta])*
        $wrap:ident($port:ident) repeats $repeats:expr, settle $settle:expr => {
            $($effect:ident = $method:ident),+ $(,)?
        }
    ) => {
        $(#[$doc])*
        pub(crate) struct $wrap(pub Arc<dyn $port>);
        $(
            #[async_trait]
            impl Handler<$effect> for $wrap {
                fn repeats(&self) -> Repeats {
                    let repeats: fn(&dyn $port) -> Repeats = $repeats;
                    repeats(&*self.0)
                }
                fn settle(&self) -> Duration {
                    let settle: fn(&dyn $port) -> Duration = $settle;
                    settle(&*self.0)
                }
                async fn call(&self, effect: $effect, ticket: &Ticket) -> Answer<$effect> {
                    self.0.$method(effect, ticket).await
                }
            }
        )+
    };
}

const FOR_EVER: Repeats = Repeats::Idempotent { key_ttl: Duration::MAX };

handlers!(Payments(PaymentGateway) repeats |p| p.repeats(), settle |p| p.settle() => {
    Charge = charge, Inquire = inquire, Close = close, Capture = capture, Void = void,
    SendBack = refund, InquireRefund = inquire_refund,
});
handlers!(Scorer(RiskScorer) repeats |_| FOR_EVER, settle |_| FOR_EVER.settle() => { Score = score });
handlers!(Inventory(InventoryAdapter) repeats |_| FOR_EVER, settle |_| FOR_EVER.settle() => {
    AskStock = stock, Reserve = reserve, Unreserve = unreserve, Consume = consume, Restock = restock,
});
handlers!(Platform(AdPlatform) repeats |p| p.repeats(), settle |p| p.repeats().settle() => {
    Activate = activate, InquireService = inquire, Submit = submit, Switch = switch, End = end, EndTwin = end_twin,
});
handlers!(Carrier(CarrierAdapter) repeats |_| FOR_EVER, settle |_| FOR_EVER.settle() => {
    Book = book, Quote = quote, CancelBooking = cancel, BringBack = intercept, Track = track,
});
