// error: E0277
// line: this row does not declare that it asks `Help`
// A handler asks another machine for what its row does not declare.

use consign::machine::{Answer, Cx, Decide, Next, On, to, until};
use serde::{Deserialize, Serialize};

macro_rules! plain {
    ($($name:ident)*) => { $(
        #[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
        pub(crate) struct $name;
    )* };
}
plain! { Policy Waiting Over Begin Due Help Go }

consign::machine! {
    pub(crate) mod turn = "turn" v 1;
    policy Policy;
    effects {}
    asks { Help }
    inputs {
        command Begin, Go; timer Due;
    }
    states { Waiting: wait(Due), Over: done }
    rows {
        New     + Begin => Waiting;
        Waiting + Due   => Over;
        Waiting + Go    => Over ? Help;
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
        cx.ask(Help);
        to(Over)
    }
}
impl Decide<Go> for Waiting {
    fn decide(&self, _: &Go, cx: &mut Cx<'_, Self::R>) -> Answer<Self::R> {
        cx.ask(Help);
        Ok(to(Over))
    }
}
