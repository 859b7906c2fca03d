// error: E0277
// line: `Waiting` waits, so entering it takes an instant
// A state that waits is entered without the instant that ends the wait.

use consign::machine::{Answer, Cx, Decide, Next, On, to};
use serde::{Deserialize, Serialize};

macro_rules! plain {
    ($($name:ident)*) => { $(
        #[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
        pub(crate) struct $name;
    )* };
}
plain! { Policy Waiting Over Begin Due }

consign::machine! {
    pub(crate) mod turn = "turn" v 1;
    policy Policy;
    effects {}
    inputs {
        command Begin; timer Due;
    }
    states { Waiting: wait(Due), Over: done }
    rows {
        New     + Begin => Waiting;
        Waiting + Due   => Over;
    }
}

use turn::New;
impl Decide<Begin> for New {
    fn decide(&self, _: &Begin, _: &mut Cx<'_, Self::R>) -> Answer<Self::R> {
        Ok(to(Waiting))
    }
}
impl On<Due> for Waiting {
    fn on(&self, _: &Due, _: &mut Cx<'_, Self::R>) -> Next<Self::R> {
        to(Over)
    }
}
