// error: E0053
// line: method `on` has an incompatible type for trait
// Evidence has happened: its handler has no error to return.

use consign::machine::{Answer, Cx, Decide, Evidence, Next, On, Refusal, to, until};
use serde::{Deserialize, Serialize};

macro_rules! plain {
    ($($name:ident)*) => { $(
        #[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
        pub(crate) struct $name;
    )* };
}
plain! { Policy Waiting Over Begin Due Paid }

consign::machine! {
    pub(crate) mod turn = "turn" v 1;
    policy Policy;
    effects {}
    inputs {
        command Begin;
        outcome Paid @1;
        timer Due;
    }
    states { Waiting: wait(Due) @0, Over: done @1 }
    rows {
        New     + Begin => Waiting;
        Waiting + Due   => Over;
        Waiting + Paid  => Over;
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
impl On<Paid> for Waiting {
    fn on(&self, _: &Paid, _: &mut Cx<'_, Self::R>) -> Answer<Self::R> {
        Err(refusal())
    }
}
impl Evidence for Paid {}

fn refusal() -> Refusal {
    Refusal {
        code: "no",
        detail: String::new(),
    }
}
