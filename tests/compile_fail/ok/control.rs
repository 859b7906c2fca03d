// The same kind of machine without a fault: it compiles, so that what the others fail by is their fault.

use consign::id::{Channel, Key};
use consign::ledger::{P3, P10};
use consign::machine::{
    Answer, Cx, Decide, Evidence, Exhausted, Fault, Fold, Next, On, Opens, Proof, View, stay, to,
    until,
};
use consign::pipeline::{BuildFaults, LifePolicy, Pipeline, pipeline};
use consign::stage::proof::Wanted;
use serde::{Deserialize, Serialize};

macro_rules! plain {
    ($($name:ident)*) => { $(
        #[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
        pub(crate) struct $name;
    )* };
}
plain! { Policy Waiting Over Refunding Begin Due Call Help Enter Stop Silent Spent Refused Paid Repaid }

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Settled;
impl Proof for Settled {
    const NAME: &'static str = "settled";
}

consign::machine! {
    pub(crate) mod turn = "turn" v 1;
    policy Policy;
    hears Wanted;
    yields Settled;
    effects {
        Call => done Paid | Repaid, declined Refused, unknown Silent, exhausted Spent;
    }
    asks { Help }
    opens { Enter }
    inputs {
        command Begin;
        outcome Silent @0, Spent @0, Refused @1, Paid @2, Repaid @3;
        timer Due;
        signal Enter (on granted Wanted), Stop;
    }
    states { Waiting: busy(Due) @0, Over: done @3, Refunding: wait(Due) @2 }
    groups { Open = Waiting | Refunding; }
    rows {
        New       + Enter   => Waiting / Call;
        Waiting   + Begin [Settled] => Over;
        Waiting   + Due     => Waiting / Call ? Help;
        Waiting   + Refused => Over;
        Waiting   + Paid    => Refunding ! P3;
        Refunding + Due     => Refunding;
        Open      + Repaid  => Over ! P10;
        Refunding + Stop    => Refunding;
    }
    ignore { Waiting + Stop; Over + Stop; Open + Enter; Over + Enter; }
}

use turn::{New, Open};
impl On<Enter> for New {
    fn on(&self, _: &Enter, cx: &mut Cx<'_, Self::R>) -> Next<Self::R> {
        cx.want(Call);
        until(cx.after_ms(1), Waiting)
    }
}
impl Opens<Enter, turn::M> for New {
    fn keys(_: &View<'_, turn::M>) -> Vec<Key> {
        vec![Key(1)]
    }
}
impl Decide<Begin> for Waiting {
    fn decide(&self, _: &Begin, cx: &mut Cx<'_, Self::R>) -> Answer<Self::R> {
        let _: &Settled = cx.proof::<Settled>();
        Ok(to(Over))
    }
}
impl On<Due> for Waiting {
    fn on(&self, _: &Due, cx: &mut Cx<'_, Self::R>) -> Next<Self::R> {
        cx.want(Call);
        cx.ask(Help);
        until(cx.after_ms(1), Waiting)
    }
}
impl On<Refused> for Waiting {
    fn on(&self, _: &Refused, _: &mut Cx<'_, Self::R>) -> Next<Self::R> {
        to(Over)
    }
}
impl On<Paid> for Waiting {
    fn on(&self, _: &Paid, cx: &mut Cx<'_, Self::R>) -> Next<Self::R> {
        cx.post(P3 {
            channel: channel(),
            amount_minor: 1,
        });
        until(cx.after_ms(1), Refunding)
    }
}
impl On<Due> for Refunding {
    fn on(&self, _: &Due, cx: &mut Cx<'_, Self::R>) -> Next<Self::R> {
        until(cx.after_ms(1), Refunding)
    }
}
impl On<Repaid> for Open {
    fn on(&self, _: &Repaid, cx: &mut Cx<'_, Self::R>) -> Next<Self::R> {
        cx.post(P10 {
            channel: channel(),
            amount_minor: 1,
        });
        to(Over)
    }
}
impl On<Stop> for Refunding {
    fn on(&self, _: &Stop, cx: &mut Cx<'_, Self::R>) -> Next<Self::R> {
        let _: Option<&Wanted> = cx.seen::<Wanted>();
        stay(Refunding)
    }
}
impl Fold<Settled> for turn::M {
    fn fold(view: &View<'_, Self>) -> Option<Settled> {
        (!view.is_empty()).then_some(Settled)
    }
}
impl Evidence for Silent {}
impl Evidence for Spent {}
impl Evidence for Refused {}
impl Evidence for Paid {}
impl Evidence for Repaid {}
impl From<Fault> for Silent {
    fn from(_: Fault) -> Self {
        Self
    }
}
impl From<Exhausted> for Spent {
    fn from(_: Exhausted) -> Self {
        Self
    }
}

fn channel() -> Channel {
    "card".parse().expect("a channel's name")
}

pub(crate) fn compose() -> Result<Pipeline, BuildFaults> {
    pipeline("shop", 1, LifePolicy::default())
        .then(turn::M::with(Policy))
        .spare::<Settled>()
        .build()
}
