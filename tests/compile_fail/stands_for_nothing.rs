// error: E0277
// line: `Asking` stands for `Waiting` in the table, and nothing says how
// An own state of an extension never says what it is to the base.

use consign::machine::{Answer, Cx, Decide, Next, On, to, until};
use serde::{Deserialize, Serialize};

macro_rules! plain {
    ($($name:ident)*) => { $(
        #[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
        pub(crate) struct $name;
    )* };
}
plain! { Policy Waiting Over Begin Due Asking Ask }

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

impl Decide<Begin> for turn::New {
    fn decide(&self, _: &Begin, cx: &mut Cx<'_, Self::R>) -> Answer<Self::R> {
        Ok(until(cx.after_ms(1), Waiting))
    }
}
impl On<Due> for Waiting {
    fn on(&self, _: &Due, _: &mut Cx<'_, Self::R>) -> Next<Self::R> {
        to(Over)
    }
}

consign::extend! {
    pub(crate) mod wide = "turn.wide" v 1 extends turn;
    policy Policy;
    effects {}
    inputs { command Ask; }
    states { Asking as Waiting: wait(Due) }
    rows {
        Waiting + Ask => Asking;
        Asking  + Due => Over;
    }
}

impl Decide<Ask, wide::M> for Waiting {
    fn decide(&self, _: &Ask, cx: &mut Cx<'_, Self::R>) -> Answer<Self::R> {
        Ok(until(cx.after_ms(1), Asking))
    }
}
impl On<Due, wide::M> for Asking {
    fn on(&self, _: &Due, _: &mut Cx<'_, Self::R>) -> Next<Self::R> {
        to(Over)
    }
}
