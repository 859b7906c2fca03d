//! Queues of review cases, as those who work on them see them.

use super::Engine;
use super::error::{CommandError, EngineError};
use super::view::OrderView;
use crate::clock::Timestamp;
use crate::id::{Actor, Key, OrderKey, TenantId};
use crate::machine::{Call, Graph};
use crate::stage::review::{Claim, FREE, Lease, QUEUE, Queue, SECOND_LOOK, WaitsFor, case, waiting};
use crate::store::Found;

/// A case in its queue.
#[derive(Debug, Clone, PartialEq)]
pub struct QueuedCase {
    /// The order.
    pub order: OrderKey,
    /// The placement that the case stands in.
    pub place: &'static str,
    /// The case.
    pub case: Key,
    /// The queue; its tier is the case's.
    pub queue: Queue,
    /// Raised by `Expedite`.
    pub priority: u32,
    /// When it must be decided.
    pub due_at: Timestamp,
    /// Who holds it.
    pub held_by: Option<Actor>,
    /// Whether it may be claimed.
    pub free: bool,
    /// Who asked the customer about it last, and had best go on with it.
    pub preferred: Option<Actor>,
    /// The state: `Queued`, `Claimed`.
    pub state: &'static str,
    /// Its place in the queue: where the next page begins.
    pub found: Found,
}

/// A case that somebody holds now.
#[derive(Debug, Clone, PartialEq)]
pub struct HeldCase {
    /// The order.
    pub order: OrderKey,
    /// The placement that the case stands in.
    pub place: &'static str,
    /// The case.
    pub case: Key,
    /// The lease; a decision carries its token.
    pub lease: Lease,
}

/// Where an order stands in its queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QueuePlace {
    /// The queue.
    pub queue: Queue,
    /// How many come before it that nobody holds; none when somebody holds it, or it waits for an answer.
    pub ahead: u64,
    /// What it waits for.
    pub waits_for: WaitsFor,
    /// When it must be decided.
    pub due_at: Timestamp,
}

/// How many cases are looked at in one go.
const PAGE: usize = 16;

impl Engine {
    /// The cases of a queue that people have to decide, those that somebody holds or that wait for an answer included:
    /// the higher priority first, then the earlier due. At most `limit` after `after`.
    ///
    /// A case that moved on while the page was read is left out, so a page may be short; the queue is at its end when a
    /// page is empty.
    ///
    /// # Errors
    ///
    /// [`EngineError`] when the store or a record cannot be read.
    pub async fn queue(
        &self,
        tenant: &TenantId,
        queue: Queue,
        after: Option<Found>,
        limit: usize,
    ) -> Result<Vec<QueuedCase>, EngineError> {
        let mut after = after;
        loop {
            let page = self.find(tenant, QUEUE, &queue.to_string(), after, limit).await?;
            let Some(last) = page.last().cloned() else { return Ok(Vec::new()) };
            let mut cases = Vec::new();
            for found in page {
                cases.extend(self.cases(found, queue).await?);
            }
            if !cases.is_empty() {
                return Ok(cases);
            }
            after = Some(last);
        }
    }

    /// Claims the first case of a queue that nobody holds and that this person may decide: one that they asked the
    /// customer about before others, and one that somebody else did after them. `None` when there is none.
    ///
    /// Several may call it at once; nobody is given what another holds. `skills` are what the person is able to do, as
    /// the host knows it now. If the answer is lost, so is the case until its lease lapses.
    ///
    /// # Errors
    ///
    /// [`CommandError`], but never [`CommandError::Refused`]: a case that is refused is passed over.
    pub async fn claim_next(
        &self,
        tenant: &TenantId,
        queue: Queue,
        by: &Actor,
        skills: &[String],
    ) -> Result<Option<HeldCase>, CommandError> {
        let mut after = None;
        loop {
            let page = self.find(tenant, FREE, &queue.to_string(), after, PAGE).await?;
            let Some(last) = page.last().cloned() else { return Ok(None) };
            let mut cases = Vec::new();
            for found in page {
                cases.extend(self.cases(found, queue).await?.into_iter().filter(|c| c.free));
            }
            cases.sort_by_key(|c| match &c.preferred {
                Some(who) if who == by => 0,
                None => 1,
                Some(_) => 2,
            });
            for case in cases {
                if let Some(held) = self.claim(&case, by, skills).await? {
                    return Ok(Some(held));
                }
            }
            after = Some(last);
        }
    }

    /// Decisions of a queue that are to be looked at a second time, the earliest due first. At most `limit` after
    /// `after`.
    ///
    /// # Errors
    ///
    /// [`EngineError`] when the store cannot be read.
    pub async fn second_looks(
        &self,
        tenant: &TenantId,
        queue: Queue,
        after: Option<Found>,
        limit: usize,
    ) -> Result<Vec<Found>, EngineError> {
        self.find(tenant, SECOND_LOOK, &queue.to_string(), after, limit).await
    }

    /// Where an order stands in its queue, and why it waits: what a customer who presses is told. With several cases
    /// the first counts; `None` when people have none of it to decide.
    ///
    /// With [`eta_ms`](crate::stage::review::eta_ms) it says when to expect a decision.
    ///
    /// # Errors
    ///
    /// [`EngineError`] when the store or a record cannot be read.
    pub async fn queue_place(&self, order: &OrderKey) -> Result<Option<QueuePlace>, EngineError> {
        let Some(view) = self.order(order).await? else { return Ok(None) };
        let first = places_of(&view)
            .find_map(|(_, _, state)| Some((waiting(state, &view.progress.order)?, WaitsFor::of(state)?)));
        let Some((w, waits_for)) = first else { return Ok(None) };
        let place = |ahead| Some(QueuePlace { queue: w.queue, ahead, waits_for, due_at: w.due_at });
        let (mut after, mut ahead) = (None, 0);
        if !w.free {
            return Ok(place(0));
        }
        loop {
            let page = self.find(&order.tenant, FREE, &w.queue.to_string(), after, PAGE).await?;
            // It was taken while it was looked for.
            let Some(last) = page.last().cloned() else { return Ok(place(0)) };
            let before = page.iter().take_while(|f| f.order != *order).count();
            ahead = u64::try_from(before).unwrap_or(u64::MAX).saturating_add(ahead);
            if before < page.len() {
                return Ok(place(ahead));
            }
            after = Some(last);
        }
    }

    async fn claim(
        &self,
        c: &QueuedCase,
        by: &Actor,
        skills: &[String],
    ) -> Result<Option<HeldCase>, CommandError> {
        let call: Call = case::M::command(c.case, Claim { skills: skills.to_vec() });
        let call = if c.place == case::GRAPH.name { call } else { call.named(c.place) };
        match self.command(&c.order, by.clone(), "", call).await {
            Ok(_) => {}
            Err(CommandError::Refused(_) | CommandError::Contended { .. }) => return Ok(None),
            Err(why) => return Err(why),
        }
        let Some(view) = self.order(&c.order).await? else { return Ok(None) };
        let state = view.pipeline.state_at::<case::M>(&view.progress, c.place, c.case);
        let Some(case::State::Claimed(claimed)) = state else { return Ok(None) };
        // It may have gone round already, when the caller was slow.
        let mine = claimed.lease.actor == *by;
        let (order, lease) = (c.order.clone(), claimed.lease.clone());
        Ok(mine.then_some(HeldCase { order, place: c.place, case: c.case, lease }))
    }

    /// The cases of an order that stand in a queue now.
    async fn cases(&self, found: Found, queue: Queue) -> Result<Vec<QueuedCase>, EngineError> {
        let Some(view) = self.order(&found.order).await? else { return Ok(Vec::new()) };
        Ok(cases_of(&view, &found, queue))
    }
}

/// The cases of an order: placement, key and state.
fn places_of(view: &OrderView) -> impl Iterator<Item = (&'static str, Key, &case::State)> {
    let name = case::GRAPH.name;
    let graphs = view.pipeline.graphs();
    view.instances().into_iter().filter_map(move |(place, key, _)| {
        let is_case = |(at, g): &(&str, &Graph)| *at == place && (g.name == name || g.base == Some(name));
        graphs.iter().any(|(at, g)| is_case(&(*at, *g))).then_some(())?;
        Some((place, key, view.pipeline.state_at::<case::M>(&view.progress, place, key)?))
    })
}

fn cases_of(view: &OrderView, found: &Found, queue: Queue) -> Vec<QueuedCase> {
    let mut cases = Vec::new();
    for (place, case, state) in places_of(view) {
        let Some(w) = waiting(state, &view.progress.order).filter(|w| w.queue == queue) else { continue };
        cases.push(QueuedCase {
            order: found.order.clone(),
            place,
            case,
            queue: w.queue,
            priority: w.priority,
            due_at: w.due_at,
            held_by: w.held_by,
            free: w.free,
            preferred: w.preferred,
            state: w.state,
            found: found.clone(),
        });
    }
    cases
}
