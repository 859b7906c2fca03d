//! Wherever the process ends or the disk fails, the order comes to the same end, and no money moves twice.

use consign::pipeline::lifecycle::{RequestReturn, lifecycle};
use consign::stage::dispatch::{Accepted, CameBack, HandOver, parcel};
use consign::stage::review::{Approve, Claim, case};

use super::journey::{delivered, start};
use super::support::{DAY, Disk, Folder, HOUR, Trouble, World, agent, carla, draft, packs_itself, run};
use super::tricky::{Step, Story, Way};

/// Two tenders, two reviewers, two parcels, a scan before its turn, and all of it back again.
fn journey() -> Story {
    let back = lifecycle::M::command(1, RequestReturn { reason: "too small".into() });
    let claim = |who| {
        Step::ask(
            &agent(who),
            if who == "anna" { "claim-anna" } else { "claim-ben" },
            case::M::command(1, Claim::default()),
        )
    };
    let approve = |who| {
        let once = if who == "anna" { "approve-anna" } else { "approve-ben" };
        Step::ask_of(&agent(who), once, |view| {
            let token = match view.state::<case::M>(1) {
                Some(case::State::Claimed(s)) => s.lease.token,
                _ => 0,
            };
            case::M::command(1, Approve { token })
        })
    };
    Story::new(
        |disk| World::new(disk, packs_itself()),
        draft("o-1", &[40_000, 20_000], &[("card", 45_000), ("voucher", 15_000)]),
        [
            Step::Place,
            Step::ask(&carla(), "pay-1", start(1)),
            Step::ask(&carla(), "pay-2", start(2)),
            Step::Pass(HOUR),
            Step::PayAgain,
            claim("anna"),
            approve("anna"),
            claim("ben"),
            approve("ben"),
            // A scan that comes before its turn.
            Step::Hear("home-1", delivered(1)),
            Step::ask(&agent("wim"), "out-1", parcel::M::command(1, HandOver)),
            Step::Hear("out-2", parcel::M::evidence(2, Accepted)),
            Step::Hear("home-2", delivered(2)),
            Step::Pass(DAY),
            Step::ask(&agent("sue"), "back", back),
            Step::Hear("back-1", parcel::M::evidence(1, CameBack)),
            Step::Hear("back-2", parcel::M::evidence(2, CameBack)),
            Step::Pass(DAY),
        ],
    )
}

const TROUBLES: [Trouble; 5] =
    [Trouble::Io, Trouble::LostBefore, Trouble::LostAfter, Trouble::DiesBefore, Trouble::DiesAfter];

/// Fails at every commit of the journey in every way, and compares with the undisturbed one.
fn every_commit(disk: impl Fn() -> (Disk, Option<Folder>), troubles: &[Trouble], every: usize) -> usize {
    let story = journey();
    let (first, _folder) = disk();
    let plain = run(story.play(first, Way::default()));
    let (undisturbed, commits) = (plain.end, plain.commits);
    assert_eq!(undisturbed.phase, "cancelled");
    assert_eq!(undisturbed.moved, (60_000, 60_000));
    assert_eq!(undisturbed.gateway.duplicate_effects, 0);
    let mut runs = 0;
    for nth in (1..=commits).step_by(every) {
        for what in troubles {
            let (disk, _folder) = disk();
            let way = Way { trouble: Some((nth, *what)), ..Way::default() };
            let end = run(story.play(disk, way)).end;
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
fn everything_said_twice_changes_nothing_about_the_end() {
    let story = journey();
    let once = run(story.play(Disk::memory(), Way::default()));
    let twice = run(story.play(Disk::memory(), Way { twice: true, ..Way::default() }));
    assert_eq!(twice.end, once.end);
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
