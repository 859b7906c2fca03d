// error: E0277
// line: `turn::M` yields `Paid` and has no fold for it
// A machine yields a proof and has no fold for it.

use consign::machine::{Answer, Cx, Decide, Next, On, Proof, to, until};
use serde::{Deserialize, Serialize};

macro_rules! plain {
    ($($name:ident)*) => { $(
        #[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
        pub(crate) struct $name;
    )* };
}
plain! { Policy Waiting Over Begin Due }

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
