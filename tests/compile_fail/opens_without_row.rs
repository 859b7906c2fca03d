// error: E0080
// line: machine `turn`: no row from `New` for what `opens` lists: `Enter`
// `opens` lists a signal that no row from `New` takes.

use consign::machine::{Answer, Cx, Decide, Next, On, Opens, Proof, View, to, until};
use serde::{Deserialize, Serialize};

macro_rules! plain {
    ($($name:ident)*) => { $(
        #[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
        pub(crate) struct $name;
    )* };
}
plain! { Policy Waiting Over Begin Due Enter }

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
        command Begin; timer Due; signal Enter (on granted);
    }
    states { Waiting: wait(Due), Over: done }
    rows {
        New     + Begin => Waiting;
        Waiting + Due   => Over;
    }
    ignore { Waiting + Enter; Over + Enter; }
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
impl Opens<Enter, turn::M> for New {
    fn keys(_: &View<'_, turn::M>) -> Vec<consign::id::Key> {
        Vec::new()
    }
}
