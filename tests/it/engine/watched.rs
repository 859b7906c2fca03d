//! Adapters that are watched: every call is written down, and a process may end just before one or just after it.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use consign::engine::EngineBuilder;
use consign::gateway::{
    AdPlatform, CarrierAdapter, InventoryAdapter, PaymentGateway, Repeats, RiskScorer, Ticket,
};
use consign::machine::{Effect, Reply};
use consign::stage::activation::{Activate, End, EndTwin, InquireService, Submit, Switch};
use consign::stage::aftersales::Restock;
use consign::stage::dispatch::{
    AskStock, Book, BringBack, CancelBooking, Consume, Quote, Reserve, Track, Unreserve,
};
use consign::stage::payment::{Capture, Charge, Close, Inquire, Void};
use consign::stage::refund::{InquireRefund, SendBack};
use consign::stage::review::Score;

use super::support::{Life, World};

type Answer<X> = Reply<<X as Effect>::Done, <X as Effect>::Declined>;

/// When a process ends, seen from a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Doom {
    /// Before the call leaves.
    Before,
    /// After it was carried out, before the answer is heard.
    After,
}

/// What is known of all calls, over all lives of the process.
#[derive(Debug, Default)]
pub(crate) struct Watch {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    calls: u64,
    doom: Option<(u64, Doom)>,
    /// An effect of which every call ends the process.
    deadly: Option<&'static str>,
    life: Option<Arc<Life>>,
    /// An effect of which a call, once carried out, keeps its thread for as long as this is set.
    spins: Option<(&'static str, Arc<AtomicBool>)>,
    /// Calls that moved something or might have, by effect and key.
    keys: BTreeMap<(&'static str, String), u32>,
}

impl Watch {
    /// Lets the process end at the `nth` call (from 1).
    pub(crate) fn doom_at(&self, nth: u64, doom: Doom) {
        self.state.lock().unwrap().doom = Some((nth, doom));
    }

    /// Lets every call of an effect end the process.
    pub(crate) fn deadly(&self, effect: &'static str) {
        self.state.lock().unwrap().deadly = Some(effect);
    }

    /// Lets a call of an effect, once it is carried out, keep its thread for as long as this is set.
    pub(crate) fn spins(&self, effect: &'static str, while_set: &Arc<AtomicBool>) {
        self.state.lock().unwrap().spins = Some((effect, while_set.clone()));
    }

    /// The life that ends.
    pub(crate) fn lives(&self, life: Arc<Life>) {
        self.state.lock().unwrap().life = Some(life);
    }

    pub(crate) fn calls(&self) -> u64 {
        self.state.lock().unwrap().calls
    }

    /// How often each operation was sent, by effect and key.
    pub(crate) fn keys(&self) -> BTreeMap<(&'static str, String), u32> {
        self.state.lock().unwrap().keys.clone()
    }

    async fn around<X: Effect>(&self, ticket: &Ticket, call: impl Future<Output = Answer<X>>) -> Answer<X> {
        let doom = {
            let mut s = self.state.lock().unwrap();
            if s.life.as_ref().is_some_and(|l| l.is_dead()) {
                // Nothing leaves a process that has ended.
                return Reply::Unknown("the process has ended".into());
            }
            s.calls += 1;
            let doom = s.doom.filter(|(nth, _)| *nth == s.calls).map(|(_, doom)| doom);
            if doom == Some(Doom::Before) || s.deadly == Some(X::NAME) {
                s.life.as_ref().unwrap().die();
                return Reply::Unknown("the process has ended".into());
            }
            *s.keys.entry((X::NAME, ticket.key.to_string())).or_default() += 1;
            doom
        };
        let answer = call.await;
        let spins = self.state.lock().unwrap().spins.clone().filter(|(effect, _)| *effect == X::NAME);
        while spins.as_ref().is_some_and(|(_, set)| set.load(Ordering::Acquire)) {
            std::hint::spin_loop();
        }
        if doom == Some(Doom::After) {
            self.state.lock().unwrap().life.as_ref().unwrap().die();
        }
        answer
    }
}

/// An adapter, and who watches it.
#[derive(Debug)]
struct Watched<A>(Arc<A>, Arc<Watch>);

macro_rules! watched {
    ($port:ident: $($call:ident($effect:ident)),+ $(; $repeats:ident)?) => {
        #[async_trait]
        impl<A: $port> $port for Watched<A> {
            $(fn $repeats(&self) -> Repeats {
                self.0.$repeats()
            })?
            $(async fn $call(&self, what: $effect, ticket: &Ticket) -> Answer<$effect> {
                self.1.around::<$effect>(ticket, self.0.$call(what, ticket)).await
            })+
        }
    };
}

watched!(PaymentGateway: charge(Charge), inquire(Inquire), close(Close), capture(Capture), void(Void),
         refund(SendBack), inquire_refund(InquireRefund); repeats);
watched!(InventoryAdapter: stock(AskStock), reserve(Reserve), unreserve(Unreserve), consume(Consume), restock(Restock));
watched!(CarrierAdapter: book(Book), quote(Quote), cancel(CancelBooking), intercept(BringBack), track(Track));
watched!(AdPlatform: activate(Activate), inquire(InquireService), submit(Submit), switch(Switch), end(End),
         end_twin(EndTwin); repeats);
watched!(RiskScorer: score(Score));

/// An engine whose calls are watched.
pub(crate) fn wiring(world: &World, watch: &Arc<Watch>) -> EngineBuilder {
    (world.pipelines.0)()
        .into_iter()
        .fold(consign::engine::Engine::builder(), EngineBuilder::pipeline)
        .payments(Arc::new(Watched(world.gateway.clone(), watch.clone())))
        .inventory(Arc::new(Watched(world.stock.clone(), watch.clone())))
        .carrier(Arc::new(Watched(world.carrier.clone(), watch.clone())))
        .scorer(Arc::new(Watched(world.scorer.clone(), watch.clone())))
        .platform(Arc::new(Watched(world.platform.clone(), watch.clone())))
}
