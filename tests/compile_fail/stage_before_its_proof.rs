// error: E0277
// line: no earlier stage yields the proof `Paid`
// A stage stands before the one that yields what it needs.

use consign::machine::{Answer, Cx, Decide, Fold, Next, On, Proof, View, to, until};
use consign::pipeline::{BuildFaults, LifePolicy, Pipeline, pipeline};
use serde::{Deserialize, Serialize};

macro_rules! plain {
    ($($name:ident)*) => { $(
        #[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
        pub(crate) struct $name;
    )* };
}
plain! { Policy Waiting Over Begin Due Packing Gone Pack Late }

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Paid;
impl Proof for Paid {
    const NAME: &'static str = "paid";
}

consign::machine! {
    pub(crate) mod turn = "turn" v 1;
    policy Policy;
    yields Paid;
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
impl Fold<Paid> for turn::M {
    fn fold(view: &View<'_, Self>) -> Option<Paid> {
        (!view.is_empty()).then_some(Paid)
    }
}

consign::machine! {
    pub(crate) mod pack = "pack" v 1;
    policy Policy;
    needs Paid;
    effects {}
    inputs {
        command Pack; timer Late;
    }
    states { Packing: wait(Late), Gone: done }
    rows {
        New     + Pack [Paid] => Packing;
        Packing + Late        => Gone;
    }
}
impl Decide<Pack> for pack::New {
    fn decide(&self, _: &Pack, cx: &mut Cx<'_, Self::R>) -> Answer<Self::R> {
        Ok(until(cx.after_ms(1), Packing))
    }
}
impl On<Late> for Packing {
    fn on(&self, _: &Late, _: &mut Cx<'_, Self::R>) -> Next<Self::R> {
        to(Gone)
    }
}

pub(crate) fn compose() -> Result<Pipeline, BuildFaults> {
    pipeline("shop", 1, LifePolicy::default())
        .then(pack::M::with(Policy))
        .then(turn::M::with(Policy))
        .build()
}
