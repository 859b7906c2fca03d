// error: E0080
// line: machine `turn`: only a command's row can need a proof: `Waiting` + `Done`
// A proof cannot keep evidence out: it has happened.

use consign::machine::{Answer, Cx, Decide, Evidence, Next, On, Proof, to, until};
use serde::{Deserialize, Serialize};

macro_rules! plain {
    ($($name:ident)*) => { $(
        #[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
        pub(crate) struct $name;
    )* };
}
plain! { Policy Waiting Over Begin Due Done }

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Paid;
impl Proof for Paid {
    const NAME: &'static str = "paid";
}

consign::machine! {
    pub(crate) mod turn = "turn" v 1;
    policy Policy;
    needs Paid;
    effects {}
    inputs {
        command Begin;
        outcome Done @1;
        timer Due;
    }
    states { Waiting: wait(Due) @0, Over: done @1 }
    rows {
        New     + Begin => Waiting;
        Waiting + Due   => Over;
        Waiting + Done [Paid] => Over;
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
impl On<Done> for Waiting {
    fn on(&self, _: &Done, _: &mut Cx<'_, Self::R>) -> Next<Self::R> {
        to(Over)
    }
}
impl Evidence for Done {}
