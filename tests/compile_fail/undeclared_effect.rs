// error: E0277
// line: this row does not declare the effect `Call`
// A handler wants an effect that its row does not declare.

use consign::machine::{Answer, Cx, Decide, Evidence, Exhausted, Fault, Next, On, to, until};
use serde::{Deserialize, Serialize};

macro_rules! plain {
    ($($name:ident)*) => { $(
        #[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
        pub(crate) struct $name;
    )* };
}
plain! { Policy Waiting Over Begin Due Call Done Refused Silent Spent }

consign::machine! {
    pub(crate) mod turn = "turn" v 1;
    policy Policy;
    effects {
        Call => done Done, declined Refused, unknown Silent, exhausted Spent;
    }
    inputs {
        command Begin;
        outcome Silent @0, Spent @0, Refused @1, Done @1;
        timer Due;
    }
    states { Waiting: busy(Due) @0, Over: done @1 }
    rows {
        New     + Begin   => Waiting;
        Waiting + Due     => Over;
        Waiting + Done    => Over;
        Waiting + Refused => Over;
    }
}

use turn::New;
impl Decide<Begin> for New {
    fn decide(&self, _: &Begin, cx: &mut Cx<'_, Self::R>) -> Answer<Self::R> {
        cx.want(Call);
        Ok(until(cx.after_ms(1), Waiting))
    }
}
impl On<Due> for Waiting {
    fn on(&self, _: &Due, _: &mut Cx<'_, Self::R>) -> Next<Self::R> {
        to(Over)
    }
}
impl On<Done> for Waiting {
    fn on(&self, _: &Done, _: &mut Cx<'_, Self::R>) -> Next<Self::R> {
        to(Over)
    }
}
impl On<Refused> for Waiting {
    fn on(&self, _: &Refused, _: &mut Cx<'_, Self::R>) -> Next<Self::R> {
        to(Over)
    }
}
impl Evidence for Done {}
impl Evidence for Refused {}
impl Evidence for Silent {}
impl Evidence for Spent {}
impl From<Fault> for Silent {
    fn from(_: Fault) -> Self {
        Self
    }
}
impl From<Exhausted> for Spent {
    fn from(_: Exhausted) -> Self {
        Self
    }
}
