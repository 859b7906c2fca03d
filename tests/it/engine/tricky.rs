//! Stories: what people ask and the outside says to one order, told in several ways.
//!
//! A story is played plainly; with every command sent and every message told twice; and with the process ended after
//! each of its commits in turn, where whoever had no answer asks again and a payment that never left is begun anew. Each
//! way must come to the same end: state, books, and what the sandboxes moved by their own.

use std::cell::OnceCell;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use consign::clock::Timestamp;
use consign::engine::{CommandError, OrderView};
use consign::id::{Actor, Key};
use consign::journal::EntryView;
use consign::machine::Call;
use consign::order::Draft;
use consign::stage::payment::{Start, attempt};
use consign::testing::{Fault, FaultPlan, GatewayTotals, PlatformTotals};

use super::support::{
    DAY, Disk, Folder, MINUTE, MORNING, SECOND, Shop, Trouble, World, carla, key, run, told,
};
use super::watched::{self, Doom, Watch};

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

/// One way to tell a story.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Way {
    /// What goes wrong at which commit.
    pub(crate) trouble: Option<(u64, Trouble)>,
    /// At which call the process ends.
    pub(crate) doom: Option<(u64, Doom)>,
    /// What befalls the first call of an operation, for each instance.
    pub(crate) fault: Option<(&'static str, Fault)>,
    /// Whether everything is said twice.
    pub(crate) twice: bool,
}

/// A story that was told.
pub(crate) struct Played {
    pub(crate) end: End,
    pub(crate) commits: u64,
    pub(crate) calls: u64,
    /// How many calls to the outside came to grief.
    pub(crate) befell: u64,
    /// How often each operation was sent, by effect and key.
    pub(crate) keys: BTreeMap<(&'static str, String), u32>,
}

/// What adapters are asked for, by the names that faults are planned under.
const OPERATIONS: &[&str] = &[
    "charge",
    "capture",
    "refund",
    "close",
    "void",
    "stock",
    "reserve",
    "unreserve",
    "consume",
    "restock",
    "book",
    "quote",
    "cancel",
    "intercept",
    "activate",
    "submit",
    "switch",
    "end",
    "end_twin",
];

async fn opened(world: &World, watch: &Arc<Watch>, now: Timestamp) -> Shop {
    let life = world.disk.life();
    watch.lives(life.clone());
    world.open_as(life, now, watched::wiring(world, watch)).await
}

/// A process that ended at a call sends at most that one operation once more, under its key.
fn one_more(plain: &Played, told: &Played, nth: u64, doom: Doom) {
    let asks =
        |name: &str| ["/Inquire", "/Ask", "/Track", "/Quote", "/Score"].iter().any(|q| name.contains(q));
    let more: Vec<_> = told
        .keys
        .iter()
        .filter(|((name, key), n)| {
            !asks(name) && plain.keys.get(&(*name, key.clone())).is_some_and(|before| *n > before)
        })
        .collect();
    assert!(more.len() <= 1, "{doom:?} call {nth}: {more:?} were sent again");
    for (key, n) in more {
        assert_eq!(*n, plain.keys[key] + 1, "{doom:?} call {nth}: {key:?}");
    }
}

/// A story about the order `o-1`.
pub(crate) struct Story {
    /// What befalls the gateway's first call of an operation in the story itself.
    pub(crate) gateway: Option<(&'static str, Fault)>,
    /// The pipeline and the world outside, made anew for each way to tell it.
    pub(crate) world: Box<dyn Fn(Disk) -> World>,
    pub(crate) order: Draft,
    pub(crate) steps: Vec<Step>,
}

impl Story {
    /// The gateway fails in the story itself.
    pub(crate) fn failing(self, gateway: Option<(&'static str, Fault)>) -> Self {
        Self { gateway, ..self }
    }

    pub(crate) fn new(
        world: impl Fn(Disk) -> World + 'static,
        order: Draft,
        steps: impl IntoIterator<Item = Step>,
    ) -> Self {
        assert_eq!(order.id, "o-1", "a story is about `o-1`");
        Self { gateway: None, world: Box::new(world), order, steps: steps.into_iter().collect() }
    }

    /// Tells it in every way, and answers how it ended.
    pub(crate) fn told(&self) -> End {
        let plain = run(self.play(Disk::memory(), Way::default()));
        let tellings = std::cell::Cell::new(1);
        let same = |disk: Disk, way: Way| {
            tellings.set(tellings.get() + 1);
            let told = run(self.play(disk, way));
            assert_eq!(told.end, plain.end, "{way:?} of {} commits, {} calls", plain.commits, plain.calls);
            told
        };
        same(Disk::memory(), Way { twice: true, ..Way::default() });
        let dies = |nth, what| Way { trouble: Some((nth, what)), ..Way::default() };
        for nth in 1..=plain.commits {
            same(Disk::memory(), dies(nth, Trouble::DiesAfter));
        }
        for nth in 1..=plain.calls {
            for doom in [Doom::Before, Doom::After] {
                let told = same(Disk::memory(), Way { doom: Some((nth, doom)), ..Way::default() });
                one_more(&plain, &told, nth, doom);
            }
        }
        for (_, fault) in Fault::ANSWERS {
            let way = |operation| Way { fault: Some((operation, *fault)), ..Way::default() };
            let befell: u64 = OPERATIONS.iter().map(|o| same(Disk::memory(), way(*o)).befell).sum();
            assert!(befell > 0 || plain.calls == 0, "{fault:?} never happened");
        }
        let folder = Folder::new("story");
        // On the real file at a few of them, or at each.
        let full = std::env::var("CONSIGN_FULL").is_ok_and(|v| v == "1");
        let every = if full { 1 } else { 7 };
        let mut files = 0;
        let mut file = || {
            files += 1;
            Disk::file(&folder.file(&format!("{files}.db")))
        };
        for nth in (1..=plain.commits).step_by(every) {
            same(file(), dies(nth, Trouble::DiesAfter));
            if full {
                same(file(), dies(nth, Trouble::DiesBefore));
            }
        }
        for nth in (1..=plain.calls).step_by(every) {
            for doom in [Doom::Before, Doom::After] {
                same(file(), Way { doom: Some((nth, doom)), ..Way::default() });
            }
        }
        println!("told {} times: {} commits, {} calls", tellings.get(), plain.commits, plain.calls);
        plain.end
    }

    /// Plays it in one way. Commits and calls are counted over all lives of the process from the first.
    pub(crate) async fn play(&self, disk: Disk, way: Way) -> Played {
        let world = (self.world)(disk);
        let watch = Arc::new(Watch::default());
        let each = |plan: FaultPlan, (operation, fault)| {
            (1..=4).fold(plan, |p, k| p.fault("o-1", k, operation, 1, fault))
        };
        let befalls = way.fault.into_iter().fold(FaultPlan::default(), each);
        // What the story is about befalls it in every way.
        let own = |p: FaultPlan, (operation, fault)| p.fault("o-1", 1, operation, 1, fault);
        world.gateway.plan(self.gateway.into_iter().fold(befalls.clone(), own));
        if way.fault.is_some() {
            world.stock.plan(befalls.clone());
            world.carrier.plan(befalls.clone());
            world.platform.plan(befalls);
        }
        let mut shop = opened(&world, &watch, Timestamp::from_millis(MORNING)).await;
        if let Some((nth, what)) = way.trouble {
            shop.life.fail_at(nth, what);
        }
        if let Some((nth, doom)) = way.doom {
            watch.doom_at(nth, doom);
        }
        for step in &self.steps {
            // Who asks again asks for the same thing, however the order looks by now.
            let asked = OnceCell::new();
            for _ in 0..if way.twice { 2 } else { 1 } {
                shop = self.take(shop, step, &asked, &watch).await;
                if matches!(step, Step::Pass(_)) {
                    break;
                }
            }
            // While the disk or the outside does not answer, an order waits; a little is enough for it to catch up.
            shop.pass(if way.fault.is_some() { 2 * MINUTE } else { SECOND }).await;
        }
        let (commits, calls, keys) = (shop.life.commits(), watch.calls(), watch.keys());
        // The next start finds nothing left to do.
        let (world, now) = shop.stopped().await;
        let shop = opened(&world, &watch, now).await;
        shop.pass(DAY).await;
        let view = shop.order("o-1").await;
        assert!(view.progress.wanted.is_empty(), "{way:?}: {}", shop.show("o-1").await);
        let w = &shop.world;
        let all = [w.gateway.faults(), w.stock.faults(), w.carrier.faults(), w.platform.faults()];
        let befell = all.iter().flat_map(BTreeMap::values).sum();
        Played { end: end(&shop).await, commits, calls, keys, befell }
    }

    /// Takes a step, as a caller who asks again whenever the answer was no answer.
    async fn take(&self, mut shop: Shop, step: &Step, asked: &OnceCell<Call>, watch: &Arc<Watch>) -> Shop {
        let begun = shop.now();
        for _ in 0..8 {
            // A process that ended while time passed is started at once.
            let passed = u64::try_from(shop.now().since(begun).as_millis()).unwrap();
            let settled = match step {
                Step::Pass(ms) => self.tried(&shop, &Step::Pass(ms - passed), asked).await,
                step => self.tried(&shop, step, asked).await,
            };
            if shop.life.is_dead() {
                let (world, now) = shop.killed().await;
                shop = opened(&world, watch, now).await;
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
    async fn tried(&self, shop: &Shop, step: &Step, asked: &OnceCell<Call>) -> bool {
        match step {
            Step::Place => shop.place(self.order.clone()).await.is_ok(),
            Step::Ask(by, once, make) => {
                let Some(view) = shop.seen("o-1").await else { return false };
                let call = asked.get_or_init(|| make(&view)).clone();
                match shop.command("o-1", by, once, call).await {
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
                !shop.life.is_dead()
            }
            Step::PayAgain => self.pay_again(shop).await,
        }
    }

    /// Pays a tender again, in the way of its last attempt, where that ended without being sent.
    async fn pay_again(&self, shop: &Shop) -> bool {
        let Some(view) = shop.seen("o-1").await else { return false };
        let mut last = BTreeMap::new();
        for (_, Key(at), _) in view.instances().into_iter().filter(|i| i.0 == "payment.attempt") {
            let state = view.state::<attempt::M>(at).unwrap();
            let unsent = matches!(state, attempt::State::NotSent(_) | attempt::State::Closed(_));
            let again = unsent.then(|| state.what().channel.clone());
            last.insert(state.what().tender, (at, again));
        }
        for (tender, (at, channel)) in last {
            let Some(channel) = channel else { continue };
            let start = Start { tender, channel: Some(channel), method: String::new() };
            let call = attempt::M::command(at + 10, start);
            match shop.command("o-1", &carla(), &format!("pay-again-{}", at + 10), call).await {
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
    // What an adapter answers is no evidence of its own when it says so twice.
    let adapters = ["gateway", "warehouse", "carriers", "platform"];
    let said = |e: &&EntryView| e.kind == "command" || e.kind == "evidence" && !adapters.contains(&e.by.id());
    for entry in journal.iter().filter(said) {
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
