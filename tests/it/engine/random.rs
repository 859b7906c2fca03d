//! Whatever is asked, said, lost and repeated, in whatever order, and wherever the process ends: the books agree with
//! what the outside did.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use consign::engine::{CommandError, Delivered};
use consign::id::Key;
use consign::machine::Call;
use consign::pipeline::lifecycle::{RequestReturn, lifecycle};
use consign::pipeline::{Disposition, Physical};
use consign::stage::dispatch::{Accepted, CameBack, ConfirmStop, HandOver, Pack, TurnedBack, parcel};
use consign::stage::payment::{CaptureMode, FundsPolicy, PaymentPolicy, Start, attempt};
use consign::stage::refund::{Request, refund};
use consign::stage::review::{Approve, Claim, Reject, case};
use consign::store::{Position, Store as _};
use consign::testing::{Fault, FaultPlan};
use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

use super::journey::{cancel, delivered};
use super::support::{
    DAY, Disk, Folder, HOUR, MINUTE, Shop, Trouble, agent, carla, count, draft, key, packs_itself, run,
};

const ORDERS: [&str; 2] = ["o-1", "o-2"];
/// Above two tiers, in two parcels, over two tenders; and below every tier, in one.
const TENDERS: [&[(&str, i64)]; 2] = [&[("card", 45_000), ("voucher", 15_000)], &[("card", 5_000)]];
const PARCELS: [&[i64]; 2] = [&[40_000, 20_000], &[5_000]];

/// Something happens to one of the orders, or to the shop.
#[derive(Debug, Clone)]
enum Op {
    Place(usize),
    Start {
        order: usize,
        key: u32,
        tender: u32,
    },
    Review {
        order: usize,
        who: usize,
        passes: bool,
    },
    Pack {
        order: usize,
        parcel: u32,
    },
    HandOver {
        order: usize,
        parcel: u32,
    },
    ConfirmStop {
        order: usize,
        parcel: u32,
    },
    Scan {
        order: usize,
        parcel: u32,
        what: Scan,
    },
    /// The same word from outside comes once more.
    Again(usize),
    Cancel {
        order: usize,
        shop: bool,
    },
    Return(usize),
    Refund {
        order: usize,
        key: u32,
        attempt: u32,
        minor: i64,
    },
    Release(usize),
    Pass(u64),
    Stop,
    Kill,
    /// One of the next commits comes to grief.
    Trouble(u64, Trouble),
    Heal,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Scan {
    Out,
    Home,
    TurnedBack,
    Back,
}

fn op() -> impl Strategy<Value = Op> {
    let order = || 0..2usize;
    let parcel = || 1..3u32;
    let scan = prop_oneof![3 => Just(Scan::Out), 3 => Just(Scan::Home), 1 => Just(Scan::TurnedBack), 2 => Just(Scan::Back)];
    let trouble = prop_oneof![
        Just(Trouble::Io),
        Just(Trouble::LostBefore),
        Just(Trouble::LostAfter),
        Just(Trouble::DiesBefore),
        Just(Trouble::DiesAfter),
    ];
    let span = prop_oneof![
        Just(1_000),
        Just(30_000),
        Just(20 * MINUTE),
        Just(5 * HOUR),
        Just(2 * DAY),
        Just(20 * DAY)
    ];
    prop_oneof![
        2 => order().prop_map(Op::Place),
        6 => (order(), 1..4u32, 1..3u32).prop_map(|(order, key, tender)| Op::Start { order, key, tender }),
        6 => (order(), 0..3usize, prop::bool::weighted(0.9))
            .prop_map(|(order, who, passes)| Op::Review { order, who, passes }),
        3 => (order(), parcel()).prop_map(|(order, parcel)| Op::Pack { order, parcel }),
        3 => (order(), parcel()).prop_map(|(order, parcel)| Op::HandOver { order, parcel }),
        1 => (order(), parcel()).prop_map(|(order, parcel)| Op::ConfirmStop { order, parcel }),
        5 => (order(), parcel(), scan).prop_map(|(order, parcel, what)| Op::Scan { order, parcel, what }),
        2 => (0..40usize).prop_map(Op::Again),
        1 => (order(), any::<bool>()).prop_map(|(order, shop)| Op::Cancel { order, shop }),
        1 => order().prop_map(Op::Return),
        2 => (order(), 50..53u32, 1..4u32, prop_oneof![Just(1i64), Just(700), Just(5_000), Just(15_000), Just(45_001)])
            .prop_map(|(order, key, attempt, minor)| Op::Refund { order, key, attempt, minor }),
        1 => order().prop_map(Op::Release),
        4 => span.prop_map(Op::Pass),
        1 => Just(Op::Stop),
        2 => Just(Op::Kill),
        3 => (1..6u64, trouble).prop_map(|(n, trouble)| Op::Trouble(n, trouble)),
        1 => Just(Op::Heal),
    ]
}

/// A run: how the shop works, what its channels do, and what happens.
#[derive(Debug, Clone)]
struct Script {
    captures_later: bool,
    packs_itself: bool,
    /// Faults in a thousand calls.
    faults: u32,
    seed: u64,
    ops: Vec<Op>,
}

fn script() -> impl Strategy<Value = Script> {
    let faults = prop_oneof![2 => Just(0u32), 2 => Just(60), 1 => Just(250)];
    (any::<bool>(), any::<bool>(), faults, any::<u64>(), prop::collection::vec(op(), 1..=40)).prop_map(
        |(captures_later, packs_itself, faults, seed, ops)| Script {
            captures_later,
            packs_itself,
            faults,
            seed,
            ops,
        },
    )
}

impl Script {
    fn policy(&self) -> Physical {
        let base = if self.packs_itself { packs_itself() } else { Physical::default() };
        if !self.captures_later {
            return base;
        }
        let payment = PaymentPolicy {
            capture: CaptureMode::Later,
            funds: FundsPolicy::RequireAuthorized,
            ..PaymentPolicy::default()
        };
        Physical { payment, ..base }
    }

    fn plan(&self) -> FaultPlan {
        let n = self.faults;
        let all = [Fault::NotSent, Fault::LoseAnswer, Fault::LoseCall, Fault::Later, Fault::Decline];
        let chances: Vec<_> =
            all.iter().map(|f| (if *f == Fault::Decline { n / 3 } else { n / 5 }, *f)).collect();
        FaultPlan::default().by_chance(self.seed, &chances)
    }
}

/// What the shop agreed to, kept beside the engine.
#[derive(Debug, Default)]
struct Reference {
    placed: BTreeMap<&'static str, bool>,
    /// Minor units that each accepted attempt may take.
    started: BTreeMap<(&'static str, u32), i64>,
    /// Commands that were answered with "done", and those that nobody knows about.
    accepted: usize,
    doubtful: usize,
    /// Words from outside that were handed over, to be said again.
    said: Vec<(&'static str, String, consign::clock::Timestamp, Call)>,
}

async fn command(shop: &Shop, r: &mut Reference, order: &'static str, shop_acts: bool, call: Call) -> bool {
    let by = if shop_acts { agent("sue") } else { carla() };
    command_as(shop, r, order, &by, call).await
}

async fn command_as(
    shop: &Shop,
    r: &mut Reference,
    order: &'static str,
    by: &consign::id::Actor,
    call: Call,
) -> bool {
    match shop.command(order, by, "", call).await {
        Ok(done) => {
            assert_eq!(done.disposition, Disposition::Moved);
            r.accepted += 1;
            true
        }
        Err(CommandError::Refused(_) | CommandError::UnknownOrder { .. }) => false,
        // The process ended, or the store failed, while it was under way.
        Err(_) => {
            r.doubtful += 1;
            true
        }
    }
}

async fn happen(shop: Shop, r: &mut Reference, op: &Op, script: &Script) -> Shop {
    let name = |order: &usize| ORDERS[*order];
    match op {
        Op::Place(order) => {
            let placed = shop.place(draft(name(order), PARCELS[*order], TENDERS[*order])).await;
            if let Ok(placed) = placed {
                assert!(!placed.existing || r.placed.contains_key(name(order)));
                r.placed.insert(name(order), true);
            } else {
                r.placed.entry(name(order)).or_insert(false);
            }
        }
        Op::Start { order, key, tender } => {
            let start = Start { tender: Key(*tender), channel: None, method: String::new() };
            if command(&shop, r, name(order), false, attempt::M::command(*key, start)).await {
                let minor = TENDERS[*order].get(*tender as usize - 1).map_or(0, |t| t.1);
                // Of two starts that nobody knows about, either may have been taken.
                let held = r.started.entry((name(order), *key)).or_default();
                *held = minor.max(*held);
            }
        }
        Op::Review { order, who, passes } => {
            let by = agent(["anna", "ben", "cleo"][*who]);
            command_as(&shop, r, name(order), &by, case::M::command(1, Claim::default())).await;
            if shop.life.is_dead() {
                return reborn(shop).await;
            }
            let view = shop.seen(name(order)).await;
            if let Some(case::State::Claimed(s)) = view.as_ref().and_then(|v| v.state::<case::M>(1)) {
                let token = s.lease.token;
                let call = if *passes {
                    case::M::command(1, Approve { token })
                } else {
                    case::M::command(1, Reject { token, reason: "a forwarder".into() })
                };
                command_as(&shop, r, name(order), &by, call).await;
            }
        }
        Op::Pack { order, parcel } => {
            command(&shop, r, name(order), true, parcel::M::command(*parcel, Pack)).await;
        }
        Op::HandOver { order, parcel } => {
            command(&shop, r, name(order), true, parcel::M::command(*parcel, HandOver)).await;
        }
        Op::ConfirmStop { order, parcel } => {
            command(&shop, r, name(order), true, parcel::M::command(*parcel, ConfirmStop)).await;
        }
        Op::Scan { order, parcel, what } => {
            let call = match what {
                Scan::Out => parcel::M::evidence(*parcel, Accepted),
                Scan::Home => delivered(*parcel),
                Scan::TurnedBack => parcel::M::evidence(*parcel, TurnedBack),
                Scan::Back => parcel::M::evidence(*parcel, CameBack),
            };
            // Nothing arrives that was not sent; the order of the scans is another matter.
            let event = format!("{}-{parcel}-{what:?}", name(order));
            say(&shop, r, name(order), event, shop.now(), call).await;
        }
        Op::Again(n) => {
            if let Some((order, event, at, call)) = r.said.get(n % r.said.len().max(1)).cloned() {
                say(&shop, r, order, event, at, call).await;
            }
        }
        Op::Cancel { order, shop: by_shop } => {
            command(&shop, r, name(order), *by_shop, cancel()).await;
        }
        Op::Return(order) => {
            let call = lifecycle::M::command(1, RequestReturn { reason: "too small".into() });
            command(&shop, r, name(order), true, call).await;
        }
        Op::Refund { order, key, attempt, minor } => {
            let tender = TENDERS[*order].get(*attempt as usize - 1).map_or("card", |t| t.0);
            let request = Request {
                attempt: Key(*attempt),
                channel: tender.parse().unwrap(),
                reference: None,
                amount_minor: *minor,
                reason: "a scratch".into(),
            };
            command(&shop, r, name(order), true, refund::M::command(*key, request)).await;
        }
        Op::Release(order) => release_all(&shop, name(order)).await,
        Op::Pass(ms) => shop.pass(*ms).await,
        Op::Stop => return shop.reopened().await,
        Op::Kill => {
            return reborn(shop).await;
        }
        Op::Trouble(n, trouble) => shop.life.fail_at(shop.life.commits() + n, *trouble),
        Op::Heal => {
            let plan = if script.faults > 0 { script.plan() } else { FaultPlan::default() };
            shop.world.gateway.plan(plan);
        }
    }
    if shop.life.is_dead() {
        return reborn(shop).await;
    }
    shop
}

async fn reborn(shop: Shop) -> Shop {
    let (world, now) = shop.killed().await;
    world.open(now).await
}

async fn say(
    shop: &Shop,
    r: &mut Reference,
    order: &'static str,
    event: String,
    at: consign::clock::Timestamp,
    call: Call,
) {
    let word = super::support::told(order, &event, at, call.clone());
    let answer = shop.engine.deliver(word).await;
    shop.settled().await;
    if matches!(answer, Ok(Delivered::Applied(_) | Delivered::Kept | Delivered::Known)) {
        r.said.push((order, event, at, call));
    }
}

async fn release_all(shop: &Shop, order: &str) {
    if shop.life.is_dead() {
        return;
    }
    let Some(view) = shop.seen(order).await else { return };
    for hold in &view.progress.holds {
        let _ = shop.engine.release(&key(order), agent("olga"), hold.id).await;
        shop.settled().await;
    }
}

/// Holds at every moment, whatever is under way.
async fn at_all_times(shop: &Shop, r: &Reference) {
    let totals = shop.world.gateway.totals();
    assert_eq!(totals.duplicate_effects, 0, "the gateway moved money twice");
    for order in ORDERS {
        let (taken, back) = shop.world.gateway.moved(&key(order));
        let started: i64 = r.started.iter().filter(|(at, _)| at.0 == order).map(|(_, minor)| minor).sum();
        assert!(taken <= started, "{order}: {taken} taken, and {started} were agreed to");
        assert!(back <= taken, "{order}: {back} went back of {taken}");
        if let Some(view) = shop.seen(order).await {
            let sum: i64 = view.progress.books.balances().values().sum();
            assert_eq!(sum, 0, "{}", shop.show(order).await);
            let faults = ["parked", "proofs", "signal", "unbookable", "books"];
            let held: Vec<_> =
                view.progress.holds.iter().filter(|h| faults.contains(&h.code.as_str())).collect();
            assert!(held.is_empty(), "{held:?}\n{}", shop.show(order).await);
        }
    }
}

/// Holds once the channels are healed and nothing more happens.
async fn in_the_end(shop: &Shop, r: &Reference) {
    assert_eq!(shop.engine.report().parked, 0);
    for order in ORDERS {
        let Some(view) = shop.seen(order).await else {
            assert_ne!(r.placed.get(order), Some(&true), "{order} was placed, and is lost");
            continue;
        };
        let show = shop.show(order).await;
        let (taken, back) = shop.world.gateway.moved(&key(order));
        let books = &view.progress.books;
        assert_eq!(
            (books.captured(None), books.refunded(None)),
            (taken, back),
            "the gateway's books differ\n{show}"
        );
        assert!(view.progress.wanted.is_empty(), "an effect was never answered\n{show}");
        let held = !view.progress.holds.is_empty();
        match view.phase().name() {
            "cancelled" | "expired" | "rejected" => {
                assert!(books.is_clear(), "{show}");
                assert_eq!(taken - back, books.earned(), "money is left\n{show}");
                assert_eq!(books.earned(), 0, "{show}");
            }
            "cancelling" => {
                assert!(held, "it is on its way out, and nobody sees that it does not get there\n{show}")
            }
            "completed" | "closed" => {
                // What came back unasked, or could not be paid back, is owed until a person decides.
                let open = |i: &(&str, Key, &str)| {
                    matches!((i.0, i.2), (_, "ReturnedToSender") | ("refund", "Failed"))
                };
                assert!(books.owed() == 0 || view.instances().iter().any(open), "{show}");
                assert_eq!(taken - back, books.earned() + books.owed(), "{show}");
            }
            _ => {}
        }
        let journal = shop.journal(order).await;
        let counts = count(&journal);
        assert_eq!(counts.answers, counts.effects, "every effect has one commit\n{show}");
        let all = counts.placed + counts.commands + counts.evidence + counts.answers + counts.timers;
        assert_eq!(journal.len(), all + counts.retries + counts.parks + counts.releases, "{counts:?}");
        assert_eq!(counts.placed, 1);
    }
    let mut commands = 0;
    for order in ORDERS {
        if shop.seen(order).await.is_some() {
            commands += count(&shop.journal(order).await).commands;
        }
    }
    assert!(
        commands >= r.accepted,
        "{} commands were accepted, and {commands} are in the journals",
        r.accepted
    );
    assert!(commands <= r.accepted + r.doubtful, "a refused command is in a journal");
}

async fn play(disk: Disk, script: &Script) -> Shop {
    let mut r = Reference::default();
    let mut shop = Shop::with(disk, script.policy()).await;
    shop.world.seed = script.seed;
    shop.world.gateway.plan(script.plan());
    for (op, order) in [(Op::Place(0), 0), (Op::Place(1), 1)] {
        shop = happen(shop, &mut r, &op, script).await;
        assert_eq!(r.placed.get(ORDERS[order]), Some(&true));
    }
    for op in &script.ops {
        shop = happen(shop, &mut r, op, script).await;
        at_all_times(&shop, &r).await;
    }
    shop.world.gateway.plan(FaultPlan::default());
    let (world, now) = shop.stopped().await;
    let shop = world.open(now).await;
    // Every inquiry of the longest ladder, and every refund's; a person looks at what is held.
    shop.pass(10 * DAY).await;
    for order in ORDERS {
        release_all(&shop, order).await;
    }
    shop.pass(30 * DAY).await;
    at_all_times(&shop, &r).await;
    in_the_end(&shop, &r).await;
    shop
}

fn full() -> bool {
    std::env::var("CONSIGN_FULL").is_ok_and(|v| v == "1")
}

fn seed() -> u64 {
    std::env::var("CONSIGN_SEED").ok().and_then(|s| s.parse().ok()).unwrap_or(20_261_124)
}

fn property(name: &str, cases: u32, disk: impl Fn() -> (Disk, Option<Folder>)) {
    let seed = seed();
    println!("{name}: {cases} cases of up to 40 steps, CONSIGN_SEED={seed}");
    let config = Config { cases, failure_persistence: None, max_shrink_iters: 2_000, ..Config::default() };
    let mut bytes = [0u8; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
    let result = TestRunner::new_with_rng(config, rng).run(&script(), |script| {
        let (disk, _folder) = disk();
        run(play(disk, &script));
        Ok(())
    });
    if let Err(why) = result {
        panic!("CONSIGN_SEED={seed}: {why}");
    }
}

#[test]
fn whatever_happens_the_books_agree_with_the_gateway() {
    property("memory", if full() { 1_000 } else { 60 }, || (Disk::memory(), None));
}

#[test]
fn whatever_happens_the_books_agree_with_the_gateway_on_sqlite() {
    property("sqlite", if full() { 200 } else { 12 }, || {
        let folder = Folder::new("random");
        (Disk::file(&folder.file("orders.db")), Some(folder))
    });
}

/// Everything that is in the feed, in its order.
async fn log(shop: &Shop) -> (u64, usize) {
    let feed = shop.life.feed(Position(0), usize::MAX >> 1).await.unwrap();
    let mut hash = DefaultHasher::new();
    for item in &feed {
        (item.position, item.order.to_string(), item.entry.hash, item.entry.body.len()).hash(&mut hash);
    }
    (hash.finish(), feed.len())
}

/// Twenty orders at once, on channels that fail by chance.
async fn busy_day(seed: u64) -> (u64, usize) {
    let shop = Shop::morning(Disk::memory()).await;
    let (mut world, now) = shop.stopped().await;
    world.seed = seed;
    let chances = [(80, Fault::NotSent), (80, Fault::LoseAnswer), (80, Fault::LoseCall), (80, Fault::Later)];
    world.gateway.plan(FaultPlan::default().by_chance(seed, &chances));
    let shop = world.open(now).await;
    let orders: Vec<String> = (0..20).fold(Vec::new(), |mut all, n| {
        let mut name = String::new();
        let _ = write!(name, "day-{n}");
        all.push(name);
        all
    });
    let places = orders.iter().map(|o| shop.engine.place(draft(o, &[5_000], &[("card", 5_000)])));
    for placed in futures::future::join_all(places).await {
        placed.unwrap();
    }
    shop.settled().await;
    let keys: Vec<_> = orders.iter().map(|o| key(o)).collect();
    let starts = keys.iter().map(|o| shop.engine.command(o, carla(), "pay", super::journey::start(1)));
    for started in futures::future::join_all(starts).await {
        started.unwrap();
    }
    shop.pass(2 * DAY).await;
    for o in &orders {
        shop.hears(o, &format!("{o}-out"), parcel::M::evidence(1, Accepted)).await;
        shop.hears(o, &format!("{o}-home"), delivered(1)).await;
    }
    shop.pass(DAY).await;
    log(&shop).await
}

#[test]
fn the_same_seed_writes_the_same_log_and_another_seed_another() {
    let first = run(busy_day(1));
    let second = run(busy_day(1));
    let other = run(busy_day(2));
    println!("log of seed 1: {} entries, hash {:016x}", first.1, first.0);
    assert!(first.1 > 200, "{} entries", first.1);
    assert_eq!(first, second);
    assert_ne!(first.0, other.0);
}
