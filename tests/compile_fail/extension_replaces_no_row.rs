// error: E0080
// line: a row under `replaces` is not a row of the base
// A row is said to replace one that the base does not have.

use consign::machine::{Answer, Cx, Decide, Next, On, Instead, StandsFor, to, until};
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
    replaces { Over + Begin => Over; }
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
impl Decide<Begin, wide::M> for Instead<Over> {
    fn decide(&self, _: &Begin, _: &mut Cx<'_, Self::R>) -> Answer<Self::R> {
        Ok(to(Over))
    }
}

impl StandsFor<Waiting> for Asking {
    fn base(&self) -> Waiting {
        Waiting
    }
}
