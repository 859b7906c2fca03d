//! Stories with their exact ends: told plainly, twice over, and with the process ended after each commit.

use consign::pipeline::lifecycle::{Cancel, lifecycle};
use consign::stage::dispatch::{CameBack, HandOver, TurnedBack, parcel};

use super::journey::{cancel, start};
use super::support::{DAY, HOUR, World, agent, carla, draft, packs_itself};
use super::tricky::{Step, Story};

#[test]
fn a_parcel_that_nobody_takes_comes_back_and_the_shop_cancels_and_refunds() {
    let story = Story::new(
        |disk| World::new(disk, packs_itself()),
        draft("o-1", &[5_000], &[("card", 5_000)]),
        [
            Step::Place,
            Step::ask(&carla(), "pay", start(1)),
            Step::Pass(HOUR),
            Step::PayAgain,
            Step::ask(&agent("wim"), "out", parcel::M::command(1, HandOver)),
            Step::refused(&carla(), "executing", cancel()),
            Step::Hear("turned", parcel::M::evidence(1, TurnedBack)),
            Step::Hear("back", parcel::M::evidence(1, CameBack)),
            Step::Release,
            Step::ask(
                &agent("anna"),
                "cancel",
                lifecycle::M::command(1, Cancel { reason: "nobody home".into() }),
            ),
            Step::Pass(DAY),
        ],
    );
    let end = story.told();
    assert_eq!(end.phase, "cancelled");
    assert_eq!(end.balances, "");
    assert_eq!(end.moved, (5_000, 5_000));
    assert_eq!(end.gateway.duplicate_effects, 0);
}
