//! Wherever the process ends or the disk fails, the order comes to the same end, and no money moves twice.

use std::collections::BTreeMap;

use consign::engine::CommandError;
use consign::id::Key;
use consign::machine::Call;
use consign::pipeline::lifecycle::{RequestReturn, lifecycle};
use consign::stage::dispatch::{Accepted, CameBack, HandOver, parcel};
use consign::stage::payment::{Start, attempt};
use consign::stage::review::{Approve, Claim, case};
use consign::testing::GatewayTotals;

use super::journey::{delivered, start};
use super::support::{DAY, Disk, Folder, HOUR, Shop, Trouble, agent, carla, draft, key, run};

/// How a journey ended: where the order stands, its books, and what the gateway and the warehouse moved.
#[derive(Debug, PartialEq, Eq)]
struct End {
    phase: String,
    /// All but the attempts to pay, and every input but the starts: an attempt that was never sent is begun again.
    instances: Vec<(String, u32, String)>,
    balances: String,
    gateway: GatewayTotals,
    moved: (i64, i64),
    labels: usize,
    reserved: usize,
    stock_twice: u64,
    accepted: BTreeMap<String, usize>,
}

/// Each step of the journey, with a key of its own, so that it may be asked again after a crash.
#[derive(Debug, Clone)]
enum Step {
    Place,
    Ask(&'static str, Call),
    Claim(&'static str),
    Approve(&'static str),
    Hear(&'static str, Call),
    Pass(u64),
    /// A charge that a crash kept from being sent is found not to be there: the customer pays that tender once more.
    PayAgain,
}

fn journey() -> Vec<Step> {
    let back = lifecycle::M::command(1, RequestReturn { reason: "too small".into() });
    vec![
        Step::Place,
        Step::Ask("pay-1", start(1)),
        Step::Ask("pay-2", start(2)),
        Step::Pass(HOUR),
        Step::PayAgain,
        Step::Claim("anna"),
        Step::Approve("anna"),
        Step::Claim("ben"),
        Step::Approve("ben"),
        // A scan that comes before its turn.
        Step::Hear("home-1", delivered(1)),
        Step::Ask("out-1", parcel::M::command(1, HandOver)),
        Step::Hear("out-2", parcel::M::evidence(2, Accepted)),
        Step::Hear("home-2", delivered(2)),
        Step::Pass(DAY),
        Step::Ask("back", back),
        Step::Hear("back-1", parcel::M::evidence(1, CameBack)),
        Step::Hear("back-2", parcel::M::evidence(2, CameBack)),
        Step::Pass(DAY),
    ]
}

/// Takes a step, as a caller who asks again whenever the answer was no answer.
async fn take(mut shop: Shop, step: &Step) -> Shop {
    for _ in 0..8 {
        let settled = tried(&shop, step).await;
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
        shop.pass(1000).await;
    }
    panic!("{step:?} was never answered\n{}", shop.show("o-1").await);
}

/// Whether the step was answered; refusals are answers.
async fn tried(shop: &Shop, step: &Step) -> bool {
    match step {
        Step::Place => {
            let order = draft("o-1", &[40_000, 20_000], &[("card", 45_000), ("voucher", 15_000)]);
            shop.place(order).await.is_ok()
        }
        Step::Ask(once, call) => answered(shop.command("o-1", &carla(), once, call.clone()).await),
        Step::Claim(who) => {
            let once = format!("claim-{who}");
            answered(shop.command("o-1", &agent(who), &once, case::M::command(1, Claim)).await)
        }
        Step::Approve(who) => {
            let token = match shop.order("o-1").await.state::<case::M>(1) {
                Some(case::State::Claimed(s)) => s.lease.token,
                _ => 0,
            };
            let once = format!("approve-{who}");
            answered(shop.command("o-1", &agent(who), &once, case::M::command(1, Approve { token })).await)
        }
        Step::Hear(event, call) => {
            let word = super::support::told("o-1", event, shop.now(), call.clone());
            let answer = shop.engine.deliver(word).await;
            shop.settled().await;
            answer.is_ok()
        }
        Step::Pass(ms) => {
            shop.pass(*ms).await;
            true
        }
        Step::PayAgain => {
            for tender in 1..=2 {
                let view = shop.order("o-1").await;
                let paid = matches!(view.state::<attempt::M>(tender), Some(attempt::State::Captured(_)));
                if !paid {
                    let again = Start { tender: Key(tender), channel: None, method: String::new() };
                    let call = attempt::M::command(tender + 10, again);
                    if !answered(shop.command("o-1", &carla(), &format!("pay-again-{tender}"), call).await) {
                        return false;
                    }
                }
            }
            true
        }
    }
}

fn answered<T>(answer: Result<T, CommandError>) -> bool {
    match answer {
        Ok(_) => true,
        Err(CommandError::Refused(why)) => panic!("refused: {why}"),
        Err(_) => false,
    }
}

/// Plays the journey with trouble at one commit, counted over all lives of the process from the first.
async fn play(disk: Disk, trouble: Option<(u64, Trouble)>) -> (End, u64) {
    let mut shop = Shop::morning(disk).await;
    if let Some((nth, what)) = trouble {
        shop.life.fail_at(nth, what);
    }
    for step in journey() {
        shop = take(shop, &step).await;
        // While the disk does not answer, an order waits; a second is enough for it to catch up.
        shop.pass(1000).await;
    }
    let commits = shop.life.commits();
    // The next start finds nothing left to do.
    shop = shop.reopened().await;
    shop.pass(DAY).await;
    let view = shop.order("o-1").await;
    assert!(view.progress.wanted.is_empty(), "{}", shop.show("o-1").await);
    let journal = shop.journal("o-1").await;
    let mut accepted = BTreeMap::new();
    for entry in journal.iter().filter(|e| e.kind == "command" || e.kind == "evidence") {
        let name = entry.input.as_ref().map(|i| i.0.clone()).unwrap_or_default();
        if name == "Start" {
            continue;
        }
        *accepted.entry(name).or_default() += 1;
    }
    let end = End {
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
        reserved: shop.world.stock.reserved(),
        stock_twice: shop.world.stock.duplicate_effects(),
        accepted,
    };
    (end, commits)
}

const TROUBLES: [Trouble; 5] =
    [Trouble::Io, Trouble::LostBefore, Trouble::LostAfter, Trouble::DiesBefore, Trouble::DiesAfter];

/// Fails at every commit of the journey in every way, and compares with the undisturbed one.
fn every_commit(disk: impl Fn() -> (Disk, Option<Folder>), troubles: &[Trouble], every: usize) -> usize {
    let (first, _folder) = disk();
    let (undisturbed, commits) = run(play(first, None));
    assert_eq!(undisturbed.phase, "cancelled");
    assert_eq!(undisturbed.moved, (60_000, 60_000));
    assert_eq!(undisturbed.gateway.duplicate_effects, 0);
    let mut runs = 0;
    for nth in (1..=commits).step_by(every) {
        for what in troubles {
            let (disk, _folder) = disk();
            let (end, _) = run(play(disk, Some((nth, *what))));
            assert_eq!(end, undisturbed, "{what:?} at commit {nth} of {commits}");
            runs += 1;
        }
    }
    println!("{commits} commits, {runs} disturbed runs");
    runs
}

#[test]
fn trouble_at_any_commit_changes_nothing_about_the_end() {
    let runs = every_commit(|| (Disk::memory(), None), &TROUBLES, 1);
    assert!(runs >= 100, "{runs} runs");
}

#[test]
fn trouble_at_any_commit_changes_nothing_about_the_end_on_sqlite() {
    let disk = || {
        let folder = Folder::new("crash");
        (Disk::file(&folder.file("orders.db")), Some(folder))
    };
    let full = std::env::var("CONSIGN_FULL").is_ok_and(|v| v == "1");
    let (troubles, every): (&[Trouble], usize) =
        if full { (&TROUBLES, 1) } else { (&[Trouble::DiesBefore, Trouble::DiesAfter], 3) };
    every_commit(disk, troubles, every);
}
