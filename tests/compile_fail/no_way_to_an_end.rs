// error: E0080
// line: machine `turn`: no path to an end from `Waiting`
// Two states hand an order to each other for ever.

use consign::machine::{Answer, Cx, Decide, Next, On, until};
use serde::{Deserialize, Serialize};

macro_rules! plain {
    ($($name:ident)*) => { $(
        #[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
        pub(crate) struct $name;
    )* };
}
plain! { Policy Waiting Over Begin Due Late }

consign::machine! {
    pub(crate) mod turn = "turn" v 1;
    policy Policy;
    effects {}
    inputs {
        command Begin; timer Due;
    }
    states { Waiting: wait(Due), Late: wait(Due), Over: done }
    rows {
        New     + Begin => Waiting | Over;
        Waiting + Due   => Late;
        Late    + Due   => Waiting;
    }
}

use turn::New;
impl Decide<Begin> for New {
    fn decide(&self, _: &Begin, cx: &mut Cx<'_, Self::R>) -> Answer<Self::R> {
        Ok(until(cx.after_ms(1), Waiting))
    }
}
impl On<Due> for Waiting {
    fn on(&self, _: &Due, cx: &mut Cx<'_, Self::R>) -> Next<Self::R> {
        until(cx.after_ms(1), Late)
    }
}
impl On<Due> for Late {
    fn on(&self, _: &Due, cx: &mut Cx<'_, Self::R>) -> Next<Self::R> {
        until(cx.after_ms(1), Waiting)
    }
}
