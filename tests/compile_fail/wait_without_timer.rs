// error: none
// line: `Waiting` waits without a timer
// A state waits, and nothing ends the wait.

use consign::machine::{Answer, Cx, Decide, Next, On, to, until};
use serde::{Deserialize, Serialize};

macro_rules! plain {
    ($($name:ident)*) => { $(
        #[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
        pub(crate) struct $name;
    )* };
}
plain! { Policy Waiting Over Begin Go }

consign::machine! {
    pub(crate) mod turn = "turn" v 1;
    policy Policy;
    effects {}
    inputs {
        command Begin; signal Go;
    }
    states { Waiting: wait, Over: done }
    rows {
        New     + Begin => Waiting;
        Waiting + Go    => Over;
    }
    ignore { Over + Go; }
}

use turn::New;
impl Decide<Begin> for New {
    fn decide(&self, _: &Begin, cx: &mut Cx<'_, Self::R>) -> Answer<Self::R> {
        Ok(until(cx.after_ms(1), Waiting))
    }
}
impl On<Go> for Waiting {
    fn on(&self, _: &Go, _: &mut Cx<'_, Self::R>) -> Next<Self::R> {
        to(Over)
    }
}
