// error: E0080
// line: machine `turn`: an amount may be open at rest in `Over`
// An order may be left at rest with money that nobody wants still in suspense.

use consign::id::Channel;
use consign::ledger::P5;
use consign::machine::{Answer, Cx, Decide, Evidence, Next, On, to, until};
use serde::{Deserialize, Serialize};

macro_rules! plain {
    ($($name:ident)*) => { $(
        #[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
        pub(crate) struct $name;
    )* };
}
plain! { Policy Waiting Over Begin Due Paid }

consign::machine! {
    pub(crate) mod turn = "turn" v 1;
    policy Policy;
    effects {}
    inputs {
        command Begin;
        outcome Paid @1;
        timer Due;
    }
    states { Waiting: wait(Due) @0, Over: rest @1 }
    rows {
        New     + Begin => Waiting;
        Waiting + Due   => Over;
        Waiting + Paid  => Over ! P5;
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
impl On<Paid> for Waiting {
    fn on(&self, _: &Paid, cx: &mut Cx<'_, Self::R>) -> Next<Self::R> {
        cx.post(P5 {
            channel: channel(),
            amount_minor: 1,
        });
        to(Over)
    }
}
impl Evidence for Paid {}

fn channel() -> Channel {
    "card".parse().expect("a channel's name")
}
