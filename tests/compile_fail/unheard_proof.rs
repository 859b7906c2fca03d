// error: E0277
// line: this machine does not know the proof `Paid`
// A handler reads a proof that its machine neither needs nor hears of.

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
    fn on(&self, _: &Due, cx: &mut Cx<'_, Self::R>) -> Next<Self::R> {
        let _: Option<&Paid> = cx.seen::<Paid>();
        to(Over)
    }
}
