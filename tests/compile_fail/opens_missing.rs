// error: E0080
// line: machine `turn`: a proof opens instances, and `opens` does not list `Enter`
// A proof opens instances by a signal that `opens` does not list.

use consign::machine::{Cx, Next, On, Proof, to, until};
use serde::{Deserialize, Serialize};

macro_rules! plain {
    ($($name:ident)*) => { $(
        #[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
        pub(crate) struct $name;
    )* };
}
plain! { Policy Waiting Over Due Enter }

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Paid;
impl Proof for Paid {
    const NAME: &'static str = "paid";
}

consign::machine! {
    pub(crate) mod turn = "turn" v 1;
    policy Policy;
    needs Paid;
    effects {}
    inputs {
        timer Due; signal Enter (on granted);
    }
    states { Waiting: wait(Due), Over: done }
    rows {
        New     + Enter => Waiting;
        Waiting + Due   => Over;
    }
    ignore { Waiting + Enter; Over + Enter; }
}

use turn::New;
impl On<Enter> for New {
    fn on(&self, _: &Enter, cx: &mut Cx<'_, Self::R>) -> Next<Self::R> {
        until(cx.after_ms(1), Waiting)
    }
}
impl On<Due> for Waiting {
    fn on(&self, _: &Due, _: &mut Cx<'_, Self::R>) -> Next<Self::R> {
        to(Over)
    }
}
