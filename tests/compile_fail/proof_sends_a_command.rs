// error: E0080
// line: machine `turn`: only a signal is sent by a proof, and not `Go`
// A proof sends signals; commands are what someone asks.

use consign::machine::{Answer, Cx, Decide, Next, On, Proof, to, until};
use serde::{Deserialize, Serialize};

macro_rules! plain {
    ($($name:ident)*) => { $(
        #[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
        pub(crate) struct $name;
    )* };
}
plain! { Policy Waiting Over Begin Due Go }

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Paid;
impl Proof for Paid {
    const NAME: &'static str = "paid";
}

consign::machine! {
    pub(crate) mod turn = "turn" v 1;
    policy Policy;
    effects {}
    inputs {
        command Begin, Go (on granted Paid); timer Due;
    }
    states { Waiting: wait(Due), Over: done }
    rows {
        New     + Begin => Waiting;
        Waiting + Due   => Over;
        Waiting + Go    => Over;
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
impl Decide<Go> for Waiting {
    fn decide(&self, _: &Go, _: &mut Cx<'_, Self::R>) -> Answer<Self::R> {
        Ok(to(Over))
    }
}
