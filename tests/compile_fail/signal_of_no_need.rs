// error: E0080
// line: machine `turn`: nothing is needed, and so nothing ever sends `Go`
// A signal waits for what the machine needs, and the machine needs nothing.

use consign::machine::{Answer, Cx, Decide, Next, On, to, until};
use serde::{Deserialize, Serialize};

macro_rules! plain {
    ($($name:ident)*) => { $(
        #[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
        pub(crate) struct $name;
    )* };
}
plain! { Policy Waiting Over Begin Due Go }

consign::machine! {
    pub(crate) mod turn = "turn" v 1;
    policy Policy;
    effects {}
    inputs {
        command Begin; timer Due; signal Go (on granted);
    }
    states { Waiting: wait(Due), Over: done }
    rows {
        New     + Begin => Waiting;
        Waiting + Due   => Over;
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
impl On<Due> for Waiting {
    fn on(&self, _: &Due, _: &mut Cx<'_, Self::R>) -> Next<Self::R> {
        to(Over)
    }
}
impl On<Go> for Waiting {
    fn on(&self, _: &Go, _: &mut Cx<'_, Self::R>) -> Next<Self::R> {
        to(Over)
    }
}
