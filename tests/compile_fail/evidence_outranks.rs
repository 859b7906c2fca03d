// error: E0080
// line: machine `turn`: evidence outranks the state and has no row: `Lapsed` + `Paid`
// A late payment outranks the end that the order went to, and nobody hears of it.

use consign::machine::{Answer, Cx, Decide, Evidence, Next, On, to, until};
use serde::{Deserialize, Serialize};

macro_rules! plain {
    ($($name:ident)*) => { $(
        #[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
        pub(crate) struct $name;
    )* };
}
plain! { Policy Waiting Over Lapsed Begin Due Paid }

consign::machine! {
    pub(crate) mod turn = "turn" v 1;
    policy Policy;
    effects {}
    inputs {
        command Begin;
        outcome Paid @2;
        timer Due;
    }
    states { Waiting: wait(Due) @0, Lapsed: fail @1, Over: done @2 }
    rows {
        New     + Begin => Waiting;
        Waiting + Due   => Lapsed;
        Waiting + Paid  => Over;
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
        to(Lapsed)
    }
}
impl On<Paid> for Waiting {
    fn on(&self, _: &Paid, _: &mut Cx<'_, Self::R>) -> Next<Self::R> {
        to(Over)
    }
}
impl Evidence for Paid {}
