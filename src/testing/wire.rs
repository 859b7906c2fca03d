//! The line to a sandbox whose answers may be lost, doubled or late.

// What a fault does not change about a call is the same for every other one, also for those to come.
#![allow(clippy::wildcard_enum_match_arm)]

use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::faults::{Fault, FaultPlan, Refusal};
use super::ledger_file::LedgerFile;
use super::sandbox::lock;
use crate::clock::Timestamp;
use crate::engine::Delivery;
use crate::gateway::Ticket;
use crate::id::{Actor, Key};
use crate::machine::Call;

/// What is carried out later than it was asked for.
type Debt<B> = Box<dyn FnOnce(&mut B) + Send>;

/// Books, and the line that leads to them.
#[derive(Debug, Default)]
pub(super) struct Wire<B> {
    source: &'static str,
    state: Mutex<State<B>>,
}

/// Something that befell a call.
#[derive(Debug, Serialize, Deserialize)]
struct Mishap {
    fault: Fault,
    key: String,
}

#[derive(Default)]
struct State<B> {
    books: B,
    /// What befell calls, in a file beside the books: it is counted over all starts.
    mishaps: LedgerFile,
    plan: FaultPlan,
    calls: BTreeMap<(String, Key, &'static str), u32>,
    faults: BTreeMap<&'static str, u64>,
    debts: BTreeMap<(Timestamp, u64), Debt<B>>,
    messages: Vec<Delivery>,
}

impl<B: std::fmt::Debug> std::fmt::Debug for State<B> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("State").field("books", &self.books).finish_non_exhaustive()
    }
}

/// What a sandbox is asked to do, and how it is spoken of.
pub(super) struct Operation<'a> {
    pub ticket: &'a Ticket,
    pub name: &'static str,
    /// Whether it has been carried out before, or asks only: it is not refused then.
    pub so: bool,
}

impl<B> Wire<B> {
    /// A line to these books. Messages name this source.
    pub(super) fn new(source: &'static str, books: B) -> Self
    where
        B: Default,
    {
        Self { source, state: Mutex::new(State { books, ..State::default() }) }
    }

    /// A line to books that are in this file. What befalls calls stands in one beside it.
    pub(super) fn open(source: &'static str, books: B, path: Option<&Path>) -> io::Result<Self>
    where
        B: Default,
    {
        let beside = path.map(|p| p.with_extension("mishaps.jsonl"));
        let (mishaps, before) = LedgerFile::open::<Mishap>(beside.as_deref())?;
        let mut state = State { books, mishaps, ..State::default() };
        before.iter().for_each(|mishap| state.count(mishap.fault));
        Ok(Self { source, state: Mutex::new(state) })
    }

    /// The books, at once.
    pub(super) fn books(&self) -> Books<'_, B> {
        Books(lock(&self.state))
    }

    pub(super) fn plan(&self, plan: FaultPlan) {
        lock(&self.state).plan = plan;
    }

    pub(super) fn faults(&self) -> BTreeMap<&'static str, u64> {
        lock(&self.state).faults.clone()
    }

    /// Carries out what was late until now, and hands out what was said twice.
    pub(super) fn messages(&self, now: Timestamp) -> Vec<Delivery> {
        let mut s = lock(&self.state);
        s.catch_up(now);
        std::mem::take(&mut s.messages)
    }

    pub(super) fn next(&self) -> Option<Timestamp> {
        lock(&self.state).debts.first_key_value().map(|((at, _), _)| *at)
    }

    /// Carries a call out, with the fault that befalls it. `said` tells an answer once more, as a message.
    pub(super) fn call<T>(
        &self,
        operation: &Operation<'_>,
        act: impl FnOnce(&mut B) -> io::Result<T> + Send + 'static,
        said: impl FnOnce(&T) -> Option<Call>,
    ) -> Result<T, Refusal> {
        self.answered(operation, act, said).map_err(|why| why.saying(lock(&self.state).plan.words()))
    }

    fn answered<T>(
        &self,
        operation: &Operation<'_>,
        act: impl FnOnce(&mut B) -> io::Result<T> + Send + 'static,
        said: impl FnOnce(&T) -> Option<Call>,
    ) -> Result<T, Refusal> {
        let Operation { ticket, name, so } = *operation;
        let mut s = lock(&self.state);
        s.catch_up(ticket.now);
        let nth = s.calls.entry((ticket.order.to_string(), ticket.instance, name)).or_default();
        *nth = nth.saturating_add(1);
        let nth = *nth;
        let fault = match s.plan.pick(ticket, name, nth) {
            Fault::Decline if so => Fault::None,
            Fault::Late if so => Fault::LoseCall,
            // Such a sandbox is never slow, pending or lying; what is left of an error or a forgotten key is that
            // the answer is lost.
            Fault::Slow | Fault::Pending | Fault::Lie => Fault::None,
            Fault::Error | Fault::StoredError | Fault::PrunedKey => Fault::LoseAnswer,
            other => other,
        };
        if fault != Fault::None {
            // What cannot be noted is not counted by the next start; nothing else depends on it.
            let _ = s.mishaps.append(&Mishap { fault, key: ticket.key.to_string() });
            s.count(fault);
        }
        match fault {
            Fault::NotSent => return Err(Refusal::NotSent("the line is down".to_owned())),
            Fault::LoseCall => return Err(Refusal::Unknown("no answer".to_owned())),
            Fault::Later => return Err(Refusal::Later(Duration::from_secs(1))),
            Fault::Decline => return Err(Refusal::Declined),
            Fault::Late => {
                let wait = 20_000 + s.plan.roll(ticket, "how", nth) % 30_000;
                let at = ticket.now.saturating_add(Duration::from_millis(wait));
                let id = u64::try_from(s.debts.len()).unwrap_or(u64::MAX);
                // What cannot be written is not carried out, and nobody hears of it either way.
                s.debts.insert((at, id), Box::new(|books| drop(act(books))));
                return Err(Refusal::Unknown("no answer".to_owned()));
            }
            Fault::Panic => {
                let words = s.plan.words().to_owned();
                drop(s);
                panic!("the sandbox was told to panic{words}");
            }
            _ => {}
        }
        match act(&mut s.books) {
            // Nothing is answered that the books do not hold.
            Err(e) => Err(Refusal::NotSent(format!("the sandbox cannot write its books: {e}"))),
            Ok(_) if fault == Fault::LoseAnswer => Err(Refusal::Unknown("the answer was lost".to_owned())),
            Ok(value) => {
                if fault == Fault::Doubled
                    && let Some(evidence) = said(&value)
                {
                    s.messages.push(Delivery {
                        order: ticket.order.clone(),
                        evidence,
                        source: self.source.into(),
                        event: format!("{}-{nth}", ticket.key).into(),
                        occurred: ticket.now,
                        by: Actor::agent(self.source).expect("a name"),
                    });
                }
                Ok(value)
            }
        }
    }
}

impl<B> State<B> {
    fn count(&mut self, fault: Fault) {
        let n = self.faults.entry(fault.name()).or_default();
        *n = n.saturating_add(1);
    }

    fn catch_up(&mut self, now: Timestamp) {
        while let Some(((at, _), _)) = self.debts.first_key_value()
            && *at <= now
            && let Some((_, debt)) = self.debts.pop_first()
        {
            debt(&mut self.books);
        }
    }
}

/// The books, held while they are looked at.
pub(super) struct Books<'a, B>(MutexGuard<'a, State<B>>);

impl<B> std::ops::Deref for Books<'_, B> {
    type Target = B;
    fn deref(&self) -> &B {
        &self.0.books
    }
}

impl<B> std::ops::DerefMut for Books<'_, B> {
    fn deref_mut(&mut self) -> &mut B {
        &mut self.0.books
    }
}
