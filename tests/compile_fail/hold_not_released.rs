// error: E0277
// line: money is authorised and no stage of this pipeline releases it
// Money is authorised, and no row of any stage releases it.

use consign::id::Channel;
use consign::ledger::P1;
use consign::machine::{Answer, Cx, Decide, Evidence, Next, On, to, until};
use consign::pipeline::{BuildFaults, LifePolicy, Pipeline, pipeline};
use serde::{Deserialize, Serialize};

macro_rules! plain {
    ($($name:ident)*) => { $(
        #[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
        pub(crate) struct $name;
    )* };
}
plain! { Policy Waiting Over Begin Due Held }

consign::machine! {
    pub(crate) mod turn = "turn" v 1;
    policy Policy;
    effects {}
    inputs {
        command Begin;
        outcome Held @1;
        timer Due;
    }
    states { Waiting: wait(Due) @0, Over: done @1 }
    rows {
        New     + Begin => Waiting;
        Waiting + Due   => Over;
        Waiting + Held  => Over ! P1;
    }
}

use turn::New;
impl Decide<Begin> for New {
    fn decide(&self, _: &Begin, cx: &mut Cx<'_, Self::R>) -> Answer<Self::R> {
        Ok(until(cx.after_ms(1), Waiting))
    }
}
impl On<Due> for Waiting {
    fn on(&self, _: &Due, _: &mut Cx<'_, Self::R>) -> Next<Self::R> {
        to(Over)
    }
}
impl On<Held> for Waiting {
    fn on(&self, _: &Held, cx: &mut Cx<'_, Self::R>) -> Next<Self::R> {
        cx.post(P1 {
            channel: channel(),
            amount_minor: 1,
        });
        to(Over)
    }
}
impl Evidence for Held {}

fn channel() -> Channel {
    "card".parse().expect("a channel's name")
}

pub(crate) fn compose() -> Result<Pipeline, BuildFaults> {
    pipeline("shop", 1, LifePolicy::default())
        .then(turn::M::with(Policy))
        .build()
}
