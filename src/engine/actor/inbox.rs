//! What reaches an order once: keys and messages that it knows for longer than its row has room for, messages at the
//! door, those that cannot be taken, those that a person lets go, and those that nobody will hear.

use super::{Actor, Arc, InboxRow, Kept, Key, MAX_DEPTH, MAX_MESSAGE_BYTES, Role};
use super::{CommandError, Disposition, Done, EngineError, Event, EventKind, Failed, OrderTask, Refused};
use crate::engine::view::{Expired, Waiting};
use crate::pipeline::Known;

/// The code of the hold that tells of a message which cannot be taken.
const SOUR: &str = "message";

impl OrderTask {
    /// Where the order stands. `None` when it is not in memory.
    pub(super) fn stands(&self, disposition: Disposition, about: Option<(&str, Key)>) -> Option<Done> {
        let live = self.live.as_ref()?;
        let (pipeline, p) = (live.desk.pipeline(), &live.progress);
        let state = about.and_then(|(place, key)| {
            let instances = pipeline.instances(p).into_iter();
            instances.into_iter().find(|(at, of, _)| *at == place && *of == key).map(|(_, _, state)| state)
        });
        Some(Done { disposition, version: p.version, phase: p.phase(), state })
    }

    /// Applies what a caller asks for, unless the order accepted it long ago.
    pub(super) async fn apply_once(&mut self, event: &Event) -> Result<Disposition, Failed> {
        self.open().await?;
        let disposition = match self.long_known(&event.kind).await? {
            Some(held) => {
                let EventKind::Command { call, .. } = &event.kind else { return Ok(Disposition::Duplicate) };
                let same = self.live.as_ref().is_some_and(|l| {
                    l.desk
                        .pipeline()
                        .content(call, &event.by)
                        .is_some_and(|content| Known::sort(content) == held)
                });
                if !same {
                    return Err(Failed::Refused(Refused::KeyReused));
                }
                Disposition::Duplicate
            }
            None => self.apply(event).await?,
        };
        if disposition == Disposition::Duplicate {
            tracing::warn!(order = %self.id, by = %event.by, "a command came again under its key, and did nothing");
        }
        Ok(disposition)
    }

    /// Offers evidence to the order, unless it heard it long ago. `None` when it is too early.
    pub(super) async fn offer_once(
        &mut self,
        kept: &Kept,
        message: u64,
    ) -> Result<Option<Disposition>, Failed> {
        self.open().await?;
        let kind = EventKind::Evidence { call: kept.call.clone(), message: Some(message) };
        if self.long_known(&kind).await?.is_some() {
            return Ok(Some(Disposition::Duplicate));
        }
        self.offer(kept, Some(message)).await
    }

    /// What is noted of an input that the order's row has no room for any more.
    async fn long_known(&mut self, kind: &EventKind) -> Result<Option<i64>, Failed> {
        let known = self.live.as_ref().and_then(|l| l.desk.pipeline().long_known(&l.progress, kind));
        let Some(Known { space, key }) = known else { return Ok(None) };
        let key = crate::journal::index_key(&key);
        let found = self.inner.store.lookup(&self.id.tenant, space, &key, None, 2).await;
        let found = found.map_err(EngineError::from)?;
        Ok(found.into_iter().find(|found| found.order == self.id).map(|found| found.sort))
    }

    /// Whether a message that must wait can be written when its turn comes: it stands in the record then, once as it
    /// was told and once in the state that it leads to.
    pub(super) fn judge(&self, body: &[u8]) -> Result<(), EngineError> {
        let (bytes, limit) = (u64::try_from(body.len()).unwrap_or(u64::MAX), MAX_MESSAGE_BYTES);
        if bytes > limit {
            return Err(EngineError::TooLarge { order: self.id.clone(), bytes, limit });
        }
        // In a state it stands one level deeper.
        let depth = crate::journal::depth(body).saturating_add(1);
        if depth > MAX_DEPTH {
            return Err(EngineError::TooDeep { order: self.id.clone(), depth, limit: MAX_DEPTH });
        }
        Ok(())
    }

    /// A message cannot be taken although it is its turn: a person hears of it, and those behind it have theirs.
    pub(super) async fn sours(&mut self, row: &InboxRow, why: &str) {
        if !self.inner.sours(row) {
            return;
        }
        let detail = format!("message {} of {} cannot be taken, and waits: {why}", row.event, row.source);
        let kind = EventKind::Park { code: SOUR, detail: crate::engine::words::kept(&detail) };
        self.certainly(Event { kind, by: Actor::system(), occurred: None }).await;
    }

    /// Lets go of a message that waits: journaled first, so that nobody loses one without a name.
    pub(super) async fn let_go(
        &mut self,
        by: Actor,
        source: Arc<str>,
        event: Arc<str>,
    ) -> Result<Done, CommandError> {
        if by.role() != Role::Agent {
            return Err(Refused::OnlyAgents { by: by.to_string() }.into());
        }
        if let Err(failed) = self.open().await {
            let order = self.id.clone();
            if matches!(failed, Failed::Unknown) {
                return Err(CommandError::UnknownOrder { order });
            }
            return Err(failed.engine(&order).into());
        }
        let rows = self.inner.inbox_take(&self.id).await.map_err(EngineError::from)?;
        let Some(row) = rows.into_iter().find(|row| row.source == source && row.event == event) else {
            return Err(
                Refused::UnknownMessage { sender: source.to_string(), event: event.to_string() }.into()
            );
        };
        let says = self.waiting(&row).says;
        let kind = EventKind::LetGo { source, event, says };
        let done = self.asked(Event { kind, by, occurred: None }).await?;
        if let Err(e) = self.inner.inbox_mark(&row).await {
            return Err(CommandError::Unconfirmed(e.to_string()));
        }
        self.take_turns().await;
        Ok(self.stands(done.disposition, None).unwrap_or(done))
    }

    /// What waits, for people.
    fn waiting(&self, row: &InboxRow) -> Waiting {
        let desk = self.live.as_ref().map(|l| l.desk.clone());
        let desk = desk.or_else(|| self.inner.desks.first().cloned());
        super::super::inner::waiting(desk.as_deref(), row)
    }

    /// Looks whether messages have waited for too long for an order that does not come.
    pub(super) async fn expire(&mut self) {
        if !matches!(self.open().await, Err(Failed::Unknown)) {
            return;
        }
        let Ok(rows) = self.inner.inbox_take(&self.id).await else { return };
        let (now, mut left) = (self.inner.env.now(), false);
        for row in rows {
            if now.since(row.received_at) < self.inner.limits.unknown
                || self.inner.inbox_mark(&row).await.is_err()
            {
                left = true;
                continue;
            }
            let body = String::from_utf8_lossy(&row.body).into_owned();
            let InboxRow { order, source, event, received_at, .. } = row;
            self.inner.expired(Expired { order, source, event, received_at, body });
        }
        if !left {
            self.inner.set_waiting(&self.id, false);
        }
    }
}
