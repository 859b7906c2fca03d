//! The plant: the only room with tasks, time and retries.
//!
//! ```text
//! place, command, deliver --> mailbox of the order --> step (pure) --> encode --> commit --> answer
//!                                   ^                                               |
//!                                   |                                               v
//!                               outcome <--- lane <--- adapter <--- wanted effects of the commit
//! ```
//!
//! An order with work has one task, which alone steps it; an order without work has none. The commit that decides an
//! effect holds its intent and key and counts its first attempt, so the call comes after it, and its outcome comes back
//! in by the front door. A timeout is never a refusal. A started attempt that a crash interrupted is Unknown.

mod actor;
mod builder;
mod env;
mod error;
mod inner;
mod lane;
mod observe;
mod queue;
mod times;
mod view;
mod watch;
mod words;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{broadcast, oneshot};

pub use actor::{MAX_DEPTH, MAX_MESSAGE_BYTES, MAX_RECORD_BYTES, MAX_WAITING};
pub use builder::EngineBuilder;
pub use env::{Busy, Env, TokioEnv};
pub use error::{CommandError, DeliverError, EngineError, PlaceError, StartFault, StartFaults};
pub use lane::{Budget, LaneLimits};
pub use queue::{HeldCase, QueuePlace, QueuedCase};
pub use view::{
    Change, Delivered, Delivery, Done, Expired, OrderView, Placed, Report, Stopped, Summary, Waiting,
};

use crate::clock::Timestamp;
use crate::id::{Actor, OrderKey, TenantId};
use crate::machine::{Call, Class};
use crate::order::{Draft, Order};
use crate::pipeline::Pipeline;
use crate::store::{Brief, FeedEntry, Filter, Found, Position};
use actor::Msg;
use inner::Inner;

/// Why an input that was handed over has no answer.
const DIED: &str = "the order's task ended before it answered";

/// Carries orders to their ends. Cheap to clone; every clone is the same engine.
///
/// Dropping a future of the engine never half-does a write: what was handed over is carried out, and only the answer is
/// lost. Dropping the engine stops nothing that is committed; [`stop`](Self::stop) ends it in order.
#[derive(Clone, Debug)]
pub struct Engine {
    inner: Arc<Inner>,
}

impl Engine {
    /// Begins an engine.
    #[must_use]
    pub fn builder() -> EngineBuilder {
        EngineBuilder::new()
    }

    /// Places an order of the default tenant on the first pipeline. Idempotent on the order's id: the same content is
    /// the same order.
    ///
    /// When it answers `Ok`, the order survives process kill, OS crash and power loss, as far as its store promises.
    ///
    /// # Errors
    ///
    /// [`PlaceError`]; nothing is placed, except after [`PlaceError::Unconfirmed`], where nobody knows: place it again.
    pub async fn place(&self, draft: Draft) -> Result<Placed, PlaceError> {
        let order = Order::parse(draft).map_err(PlaceError::Malformed)?;
        let id = OrderKey::from(order.id().clone());
        self.place_at(id, None, order).await
    }

    /// Places an order of a tenant on a named pipeline.
    ///
    /// # Errors
    ///
    /// As [`place`](Self::place).
    pub async fn place_at(
        &self,
        id: OrderKey,
        pipeline: Option<&str>,
        order: Order,
    ) -> Result<Placed, PlaceError> {
        let desk = self
            .inner
            .desk_for(pipeline)
            .ok_or_else(|| PlaceError::UnknownPipeline { name: pipeline.unwrap_or_default().to_owned() })?;
        let (reply, answer) = oneshot::channel();
        let msg = Msg::Place { desk, order: Box::new(order), reply };
        self.inner.admit(id, msg).map_err(|()| PlaceError::Overloaded)?;
        answer.await.unwrap_or_else(|_| Err(PlaceError::Unconfirmed(DIED.to_owned())))
    }

    /// Sends a command. `key` is the caller's own key for it, and an order knows every key that it ever accepted a
    /// command under: the same command of the same actor under the same key again changes nothing, and answers
    /// `Duplicate` with where the order stands *now*, which need not be where the command had led. Another command,
    /// another actor or other content under a known key is refused. An empty key is not remembered.
    ///
    /// A key names one wish of one person, not a kind of wish: take a random one for each form that is shown or each
    /// message that is read (`pack-7f3c..`), keep it with the wish until there is an answer, and take a new one when
    /// the person asks anew. One that is built of what the command is about (`pack-parcel-1`) makes a second packing,
    /// after the first was undone, a duplicate of the first.
    ///
    /// # Errors
    ///
    /// [`CommandError`]; the order is as it was, except after [`CommandError::Unconfirmed`], where nobody knows: send
    /// it again under the same key.
    pub async fn command(
        &self,
        order: &OrderKey,
        by: Actor,
        key: &str,
        command: Call,
    ) -> Result<Done, CommandError> {
        let print = (!key.is_empty()).then(|| crate::pipeline::key_print(key));
        let (reply, answer) = oneshot::channel();
        let msg = Msg::Command { by, key: print, call: command, reply };
        self.inner.admit(order.clone(), msg).map_err(|()| CommandError::Overloaded)?;
        answer.await.unwrap_or_else(|_| Err(CommandError::Unconfirmed(DIED.to_owned())))
    }

    /// Hands over what the outside said. When it answers `Ok`, it is applied, known already, or kept until its turn; in
    /// each case it may be acknowledged to whoever sent it.
    ///
    /// The caller has verified where it comes from: what reaches the engine counts as true.
    ///
    /// # Errors
    ///
    /// [`DeliverError`]; deliver it again.
    pub async fn deliver(&self, delivery: Delivery) -> Result<Delivered, DeliverError> {
        let call = &delivery.evidence;
        if call.class != Class::Outcome {
            let (place, class) = (call.place.unwrap_or(call.machine), call.class.name());
            return Err(DeliverError::NotEvidence { place, class });
        }
        let (reply, answer) = oneshot::channel();
        let order = delivery.order.clone();
        let msg = Msg::Evidence { delivery: Box::new(delivery), reply };
        self.inner.admit(order, msg).map_err(|()| DeliverError::Overloaded)?;
        answer.await.unwrap_or_else(|_| Err(DeliverError::Unconfirmed(DIED.to_owned())))
    }

    /// The messages that wait for an order, which need not exist: in the order in which they came.
    ///
    /// # Errors
    ///
    /// [`EngineError`] when the store cannot be read.
    pub async fn messages(&self, order: &OrderKey) -> Result<Vec<Waiting>, EngineError> {
        self.inner.messages(order).await
    }

    /// Lets go of a message that waits for its turn with an order and can never have it: a person of the shop has
    /// looked. The journal keeps who did it, and which message it was; delivered again, it is known.
    ///
    /// # Errors
    ///
    /// [`CommandError`], with [`Refused::UnknownMessage`](crate::pipeline::Refused::UnknownMessage) when no such
    /// message waits, and [`Refused::OnlyAgents`](crate::pipeline::Refused::OnlyAgents) for anybody else.
    pub async fn drop_message(
        &self,
        order: &OrderKey,
        by: Actor,
        source: &str,
        event: &str,
    ) -> Result<Done, CommandError> {
        let (reply, answer) = oneshot::channel();
        let msg = Msg::Drop { by, source: source.into(), event: event.into(), reply };
        self.inner.admit(order.clone(), msg).map_err(|()| CommandError::Overloaded)?;
        answer.await.unwrap_or_else(|_| Err(CommandError::Unconfirmed(DIED.to_owned())))
    }

    /// Releases a hold: a person has looked.
    ///
    /// # Errors
    ///
    /// [`CommandError`], with [`Refused::UnknownHold`](crate::pipeline::Refused::UnknownHold) when it has no such hold.
    pub async fn release(&self, order: &OrderKey, by: Actor, hold: u32) -> Result<Done, CommandError> {
        let (reply, answer) = oneshot::channel();
        let msg = Msg::Release { by, hold, reply };
        self.inner.admit(order.clone(), msg).map_err(|()| CommandError::Overloaded)?;
        answer.await.unwrap_or_else(|_| Err(CommandError::Unconfirmed(DIED.to_owned())))
    }

    /// Where an order stands. `None` when there is none.
    ///
    /// # Errors
    ///
    /// [`EngineError`] when the store or a record cannot be read.
    pub async fn order(&self, order: &OrderKey) -> Result<Option<OrderView>, EngineError> {
        self.inner.view(order).await
    }

    /// Orders by phase, age, queue (a phase) or parked reason, in the order of their keys. One whose row cannot be read
    /// is left out; [`report`](Self::report) names it.
    ///
    /// # Errors
    ///
    /// [`EngineError`] when the store cannot be read.
    pub async fn list(
        &self,
        filter: &Filter,
        after: Option<OrderKey>,
        limit: usize,
    ) -> Result<Vec<Brief>, EngineError> {
        let listed = self.inner.store.list(filter, after, limit).await?;
        self.inner.meet_damage().await;
        Ok(listed)
    }

    /// Orders of a tenant by an index row, such as a channel's reference (`payment.reference`, `card:ch_123`): in the
    /// order of their sort, after `after`, at most `limit`. Which spaces there are stands in the machines' tables.
    ///
    /// # Errors
    ///
    /// [`EngineError`] when the store cannot be read.
    pub async fn find(
        &self,
        tenant: &TenantId,
        space: &str,
        key: &str,
        after: Option<Found>,
        limit: usize,
    ) -> Result<Vec<Found>, EngineError> {
        let key = crate::journal::index_key(key);
        Ok(self.inner.store.lookup(tenant, space, &key, after, limit).await?)
    }

    /// Changes as they are committed in this process. Lossy: a slow reader misses some, and is told so.
    #[must_use]
    pub fn watch(&self) -> broadcast::Receiver<Change> {
        self.inner.changes.subscribe()
    }

    /// Journal entries of all orders after a position: durable, at least once, in order per order, without gaps.
    ///
    /// # Errors
    ///
    /// [`EngineError`] when the store cannot be read.
    pub async fn feed(&self, after: Position, limit: usize) -> Result<Vec<FeedEntry>, EngineError> {
        Ok(self.inner.store.feed(after, limit).await?)
    }

    /// Hands committed facts to a notifier until the engine stops, from where the notifier left off.
    pub fn notify(&self, notifier: Arc<dyn crate::gateway::Notifier>) {
        inner::notify(&self.inner, notifier);
    }

    /// What `start()` found in the store, and what the engine has done since.
    #[must_use]
    pub fn report(&self) -> Report {
        self.inner.report()
    }

    /// The pipelines it was built with.
    #[must_use]
    pub fn pipelines(&self) -> Vec<Arc<Pipeline>> {
        self.inner.desks.iter().map(|d| d.pipeline().clone()).collect()
    }

    /// The store it was built with.
    #[must_use]
    pub fn store(&self) -> Arc<dyn crate::store::Store> {
        self.inner.store.clone()
    }

    /// The earliest instant at which an order must be woken. For tests that move time by hand.
    #[must_use]
    pub fn next_wake(&self) -> Option<Timestamp> {
        self.inner.next_wake()
    }

    /// Wakes every order whose instant has passed. For tests that move time by hand; the engine does it by itself
    /// otherwise.
    pub fn fire_due(&self) {
        self.inner.fire_due();
    }

    /// Stops: takes nothing new, and waits for what is under way, at most this long.
    pub async fn stop(&self, within: Duration) -> Stopped {
        self.inner.stop(within).await
    }
}
