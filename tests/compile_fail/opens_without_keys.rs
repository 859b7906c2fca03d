// error: E0277
// line: the table opens instances by `Enter` and nothing says which
// `opens` lists a signal, and nothing says which instances it opens.

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
    opens { Enter }
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
