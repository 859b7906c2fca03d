// error: E0080
// line: machine `turn`: a timer has no row in `Late`
// A state sets a timer, and no row says what happens then.

use consign::machine::{Answer, Cx, Decide, Next, On, to, until};
use serde::{Deserialize, Serialize};

macro_rules! plain {
    ($($name:ident)*) => { $(
        #[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
        pub(crate) struct $name;
    )* };
}
plain! { Policy Waiting Over Begin Due Late Go }

consign::machine! {
    pub(crate) mod turn = "turn" v 1;
    policy Policy;
    effects {}
    inputs {
        command Begin, Go; timer Due;
    }
    states { Waiting: wait(Due), Late: wait(Due), Over: done }
    rows {
        New     + Begin => Waiting;
        Waiting + Due   => Over;
        Waiting + Go    => Late;
        Late    + Go    => Over;
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
    fn decide(&self, _: &Go, cx: &mut Cx<'_, Self::R>) -> Answer<Self::R> {
        Ok(until(cx.after_ms(1), Late))
    }
}
impl Decide<Go> for Late {
    fn decide(&self, _: &Go, _: &mut Cx<'_, Self::R>) -> Answer<Self::R> {
        Ok(to(Over))
    }
}
