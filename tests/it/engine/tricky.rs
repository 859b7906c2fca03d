//! Stories: what people ask and the outside says to one order, told in several ways.
//!
//! A story is played plainly; with every command sent and every message told twice; and with the process ended after
//! each of its commits in turn, where whoever had no answer asks again and a payment that never left is begun anew. Each
//! way must come to the same end: state, books, and what the sandboxes moved by their own.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use consign::clock::Timestamp;
use consign::engine::{CommandError, OrderView};
use consign::id::{Actor, Key};
use consign::machine::Call;
use consign::order::Draft;
use consign::stage::payment::{Start, attempt};
use consign::testing::{GatewayTotals, PlatformTotals};

use super::support::{DAY, Disk, Folder, MORNING, SECOND, Shop, Trouble, World, carla, key, run, told};

/// A command, made from how the order stands when it is sent.
type Make = Arc<dyn Fn(&OrderView) -> Call + Send + Sync>;

/// A step of a story.
#[derive(Clone)]
pub(crate) enum Step {
    /// The order is placed.
    Place,
    /// Somebody asks, under a key of their own, and is not refused.
    Ask(Actor, &'static str, Make),
    /// Somebody asks, and is refused for this reason: a part of what they are told.
    Refused(Actor, &'static str, Make),
    /// The outside says something, in a message with an id of its own.
    Hear(&'static str, Call),
    /// A person has looked, and releases every hold.
    Release,
    /// Time passes, in milliseconds.
    Pass(u64),
    /// Whoever waits for a payment that never left pays that tender again.
    PayAgain,
}

impl fmt::Debug for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Step::Place => f.write_str("Place"),
            Step::Ask(by, once, _) => write!(f, "Ask({by}, {once})"),
            Step::Refused(by, why, _) => write!(f, "Refused({by}, {why})"),
            Step::Hear(event, _) => write!(f, "Hear({event})"),
            Step::Release => f.write_str("Release"),
            Step::Pass(ms) => write!(f, "Pass({ms})"),
            Step::PayAgain => f.write_str("PayAgain"),
        }
    }
}

impl Step {
    pub(crate) fn ask(by: &Actor, once: &'static str, call: Call) -> Self {
        Self::ask_of(by, once, move |_| call.clone())
    }

    pub(crate) fn ask_of(
        by: &Actor,
        once: &'static str,
        make: impl Fn(&OrderView) -> Call + Send + Sync + 'static,
    ) -> Self {
        Self::Ask(by.clone(), once, Arc::new(make))
    }

    pub(crate) fn refused(by: &Actor, why: &'static str, call: Call) -> Self {
        Self::refused_of(by, why, move |_| call.clone())
    }

    pub(crate) fn refused_of(
        by: &Actor,
        why: &'static str,
        make: impl Fn(&OrderView) -> Call + Send + Sync + 'static,
    ) -> Self {
        Self::Refused(by.clone(), why, Arc::new(make))
    }
}

/// How a story ended: where the order stands, its books, and what the outside moved by its own.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct End {
    pub(crate) phase: String,
    /// All but the attempts to pay: one that was never sent is begun again.
    pub(crate) instances: Vec<(String, u32, String)>,
    /// `psp:card 5000, cust -5000`
    pub(crate) balances: String,
    pub(crate) gateway: GatewayTotals,
    /// Minor units taken and given back by the gateway's books.
    pub(crate) moved: (i64, i64),
    pub(crate) labels: usize,
    /// Labels that were booked and not cancelled, by carrier.
    pub(crate) labels_of: BTreeMap<String, usize>,
    pub(crate) reserved: usize,
    pub(crate) stock_twice: u64,
    /// `N 2xtea, S 0xtea`: what stands in the warehouses, where their shelves were filled.
    pub(crate) shelves: String,
    pub(crate) platform: PlatformTotals,
    /// Commands and evidence that were accepted, by name, but for the starts of payments.
    pub(crate) accepted: BTreeMap<String, usize>,
}

/// A story about the order `o-1`.
pub(crate) struct Story {
    /// The pipeline and the world outside, made anew for each way to tell it.
    pub(crate) world: Box<dyn Fn(Disk) -> World>,
    pub(crate) order: Draft,
    pub(crate) steps: Vec<Step>,
}

impl Story {
    pub(crate) fn new(
        world: impl Fn(Disk) -> World + 'static,
        order: Draft,
        steps: impl IntoIterator<Item = Step>,
    ) -> Self {
        assert_eq!(order.id, "o-1", "a story is about `o-1`");
        Self { world: Box::new(world), order, steps: steps.into_iter().collect() }
    }

    /// Tells it in every way, and answers how it ended.
    pub(crate) fn told(&self) -> End {
        let (plain, commits) = run(self.play(Disk::memory(), None, false));
        let (twice, _) = run(self.play(Disk::memory(), None, true));
        assert_eq!(twice, plain, "everything said twice");
        for nth in 1..=commits {
            let (end, _) = run(self.play(Disk::memory(), Some((nth, Trouble::DiesAfter)), false));
            assert_eq!(end, plain, "the process ended after commit {nth} of {commits}");
        }
        let folder = Folder::new("story");
        // On the real file at a few of them, or at each.
        let full = std::env::var("CONSIGN_FULL").is_ok_and(|v| v == "1");
        for nth in (1..=commits).step_by(if full { 1 } else { 7 }) {
            let disk = Disk::file(&folder.file(&format!("{nth}.db")));
            let (end, _) = run(self.play(disk, Some((nth, Trouble::DiesAfter)), false));
            assert_eq!(end, plain, "on SQLite, the process ended after commit {nth} of {commits}");
        }
        plain
    }

    /// Plays it with trouble at one commit, counted over all lives of the process from the first, and says how many
    /// there were.
    pub(crate) async fn play(&self, disk: Disk, trouble: Option<(u64, Trouble)>, twice: bool) -> (End, u64) {
        let mut shop = (self.world)(disk).open(Timestamp::from_millis(MORNING)).await;
        if let Some((nth, what)) = trouble {
            shop.life.fail_at(nth, what);
        }
        for step in &self.steps {
            for _ in 0..if twice { 2 } else { 1 } {
                shop = self.take(shop, step).await;
                if matches!(step, Step::Pass(_)) {
                    break;
                }
            }
            // While the disk does not answer, an order waits; a second is enough for it to catch up.
            shop.pass(SECOND).await;
        }
        let commits = shop.life.commits();
        // The next start finds nothing left to do.
        shop = shop.reopened().await;
        shop.pass(DAY).await;
        let view = shop.order("o-1").await;
        assert!(view.progress.wanted.is_empty(), "{}", shop.show("o-1").await);
        (end(&shop).await, commits)
    }

    /// Takes a step, as a caller who asks again whenever the answer was no answer.
    async fn take(&self, mut shop: Shop, step: &Step) -> Shop {
        for _ in 0..8 {
            let settled = self.tried(&shop, step).await;
            if shop.life.is_dead() {
                let (world, now) = shop.killed().await;
                shop = world.open(now).await;
                if !settled {
                    continue;
                }
            }
            if settled {
                return shop;
            }
            // The caller waits a little before it asks again.
            shop.pass(SECOND).await;
        }
        panic!("{step:?} was never answered\n{}", shop.show("o-1").await);
    }

    /// Whether the step was answered; refusals are answers.
    async fn tried(&self, shop: &Shop, step: &Step) -> bool {
        match step {
            Step::Place => shop.place(self.order.clone()).await.is_ok(),
            Step::Ask(by, once, make) => {
                let Some(view) = shop.seen("o-1").await else { return false };
                match shop.command("o-1", by, once, make(&view)).await {
                    Ok(_) => true,
                    Err(CommandError::Refused(why)) => {
                        panic!("{step:?} was refused: {why}\n{}", shop.show("o-1").await)
                    }
                    Err(_) => false,
                }
            }
            Step::Refused(by, expected, make) => {
                let Some(view) = shop.seen("o-1").await else { return false };
                match shop.command("o-1", by, "", make(&view)).await {
                    Ok(_) => panic!("{step:?} was accepted\n{}", shop.show("o-1").await),
                    Err(CommandError::Refused(why)) => {
                        assert!(why.to_string().contains(expected), "{step:?}: {why}");
                        true
                    }
                    Err(_) => false,
                }
            }
            Step::Hear(event, call) => {
                let answer = shop.engine.deliver(told("o-1", event, shop.now(), call.clone())).await;
                shop.settled().await;
                answer.is_ok()
            }
            Step::Release => {
                let Some(view) = shop.seen("o-1").await else { return false };
                for hold in &view.progress.holds {
                    let answer =
                        shop.engine.release(&key("o-1"), super::support::agent("olga"), hold.id).await;
                    shop.settled().await;
                    match answer {
                        Ok(_) | Err(CommandError::Refused(_)) => {}
                        Err(_) => return false,
                    }
                }
                true
            }
            Step::Pass(ms) => {
                shop.pass(*ms).await;
                true
            }
            Step::PayAgain => self.pay_again(shop).await,
        }
    }

    async fn pay_again(&self, shop: &Shop) -> bool {
        let Some(view) = shop.seen("o-1").await else { return false };
        let attempts = view.instances().into_iter().filter(|i| i.0 == "payment.attempt").map(|i| i.1);
        for Key(at) in attempts {
            let tender = match view.state::<attempt::M>(at) {
                Some(attempt::State::NotSent(s)) => s.what.tender,
                Some(attempt::State::Closed(s)) => s.what.tender,
                _ => continue,
            };
            let again = at + 10;
            if view.state::<attempt::M>(again).is_some() {
                continue;
            }
            let call = attempt::M::command(again, Start { tender, channel: None, method: String::new() });
            match shop.command("o-1", &carla(), &format!("pay-again-{again}"), call).await {
                Ok(_) => {}
                Err(CommandError::Refused(why)) => panic!("refused: {why}\n{}", shop.show("o-1").await),
                Err(_) => return false,
            }
        }
        true
    }
}

async fn end(shop: &Shop) -> End {
    let view = shop.order("o-1").await;
    let journal = shop.journal("o-1").await;
    let mut accepted = BTreeMap::new();
    for entry in journal.iter().filter(|e| e.kind == "command" || e.kind == "evidence") {
        let name = entry.input.as_ref().map(|i| i.0.clone()).unwrap_or_default();
        if name != "Start" {
            *accepted.entry(name).or_default() += 1;
        }
    }
    End {
        phase: view.phase().to_string(),
        instances: view
            .instances()
            .iter()
            .filter(|i| i.0 != "payment.attempt")
            .map(|(p, k, s)| ((*p).to_owned(), k.0, (*s).to_owned()))
            .collect(),
        balances: shop.balances("o-1").await,
        gateway: shop.world.gateway.totals(),
        moved: shop.world.gateway.moved(&key("o-1")),
        labels: shop.world.carrier.labels(),
        labels_of: shop.world.carrier.labels_of(),
        reserved: shop.world.stock.reserved(),
        stock_twice: shop.world.stock.duplicate_effects(),
        shelves: {
            let all = shop.world.stock.shelves();
            all.iter().map(|(at, sku, n)| format!("{at} {n}x{sku}")).collect::<Vec<_>>().join(", ")
        },
        platform: shop.world.platform.totals(),
        accepted,
    }
}
