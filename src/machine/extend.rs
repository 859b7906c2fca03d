//! What the [`extend!`](crate::extend!) table is made of: what own states stand for, and tables that are joined in the
//! compiler.

use super::graph::{Class, EffectSpec, Graph, InputSpec, Kind, Mode, RowSpec, StateSpec, Trigger};
use super::row::Keeps;

/// What an own state of an extension is to its base: in the base's folds, among the siblings of its handlers, and for
/// every input of the base that no own row claims.
#[diagnostic::on_unimplemented(
    message = "`{Self}` stands for `{T}` in the table, and nothing says how",
    note = "write `impl StandsFor<{T}> for {Self}`"
)]
pub trait StandsFor<T> {
    /// The state it counts as.
    fn base(&self) -> T;
}

/// A state or group of the base in a row that replaces one of the base's: what the handler is written for, since the
/// base's own is written for the state itself.
#[derive(Debug, Clone, PartialEq)]
pub struct Instead<F>(pub F);

impl<F> std::ops::Deref for Instead<F> {
    type Target = F;
    fn deref(&self) -> &F {
        &self.0
    }
}
impl<T, F: Keeps<T>> Keeps<T> for Instead<F> {}

/// The part of an extension's policy that its base goes by.
#[diagnostic::on_unimplemented(
    message = "`{Self}` holds no policy of the machine that is extended",
    note = "write `impl BasePolicy<{P}> for {Self}`"
)]
pub trait BasePolicy<P> {
    /// It.
    fn base(&self) -> &P;
}
impl<P> BasePolicy<P> for P {
    fn base(&self) -> &P {
        self
    }
}

macro_rules! joined {
    ($($(#[$doc:meta])* $name:ident: $of:ty, $none:expr;)*) => { $(
        $(#[$doc])*
        #[must_use]
        #[doc(hidden)]
        pub const fn $name<const N: usize>(base: &[$of], own: &[$of]) -> [$of; N] {
            let mut all = [$none; N];
            let mut i = 0;
            while i < N {
                all[i] = if i < base.len() { base[i] } else { own[i - base.len()] };
                i += 1;
            }
            all
        }
    )* };
}
#[allow(clippy::indexing_slicing)] // runs in the compiler, where an index out of range is an error of the build
mod join {
    use super::*;
    joined! {
        states: StateSpec, StateSpec {
            name: "", kind: Kind::Fail, timers: 0, rank: 0, stands: 0, version: 0, oldest: 0,
        };
        inputs: InputSpec,
            InputSpec { name: "", class: Class::Signal, rank: None, trigger: Trigger::Route, version: 0, oldest: 0 };
        effects: EffectSpec, EffectSpec {
            name: "", handler: "", mode: Mode::Read, wanted_in: 0, done: &[], declined: "", unknown: "", exhausted: "",
            version: 0, oldest: 0,
        };
        names: &'static str, "";
        masks: (u64, u64), (0, 0);
    }

    /// Whether an own state takes what the base does with this input: all but instants that it does not wait for.
    const fn takes(own: &StateSpec, inputs: &[InputSpec], on: u8) -> bool {
        !matches!(inputs[on as usize].class, Class::Timer) || own.timers >> on & 1 == 1
    }

    /// The rows of the base, and then the own ones. Own states take part in the rows of the states that they stand for;
    /// what an own row claims is taken out of the base's.
    #[must_use]
    #[doc(hidden)]
    pub const fn rows<const N: usize>(
        base: &Graph,
        own: &[RowSpec],
        states: &[StateSpec],
        stands: &[u64],
    ) -> [RowSpec; N] {
        let none = RowSpec {
            from: 0,
            from_name: "",
            on: 0,
            to: 0,
            uses: &[],
            effects: &[],
            may: 0,
            must: 0,
            asks: &[],
        };
        let mut all = [none; N];
        let mut i = 0;
        while i < N {
            if i < base.rows.len() {
                let row = &base.rows[i];
                all[i] = *row;
                let mut s = 0;
                while s < stands.len() {
                    let bit = 1u64 << (base.states.len() + s);
                    if row.from & stands[s] != 0 && takes(&states[s], base.inputs, row.on) {
                        all[i].from |= bit;
                        // A handler of the base that stays leaves the own state as it is.
                        if row.to & stands[s] != 0 {
                            all[i].to |= bit;
                        }
                    }
                    s += 1;
                }
                let mut j = 0;
                while j < own.len() {
                    if own[j].on == row.on {
                        all[i].from &= !own[j].from;
                    }
                    j += 1;
                }
            } else {
                all[i] = own[i - base.rows.len()];
            }
            i += 1;
        }
        all
    }

    /// A list of the base (ignore, defer, alarm), state by state: own states take part as in its rows, and what own
    /// rows claim is taken out.
    #[must_use]
    #[doc(hidden)]
    pub const fn unclaimed(
        base: &Graph,
        list: &[(u64, u64)],
        own: &[RowSpec],
        stands: &[u64],
    ) -> [(u64, u64); 64] {
        let mut all = [(0, 0); 64];
        let mut s = 0;
        while s < 64 {
            let bit = 1u64 << s;
            let first = base.states.len();
            let as_base = if s >= first && s - first < stands.len() { stands[s - first] } else { bit };
            let mut mask = 0;
            let mut i = 0;
            while i < list.len() {
                if list[i].0 & as_base != 0 {
                    mask |= list[i].1;
                }
                i += 1;
            }
            let mut j = 0;
            while j < own.len() {
                if own[j].from & bit != 0 {
                    mask &= !(1u64 << own[j].on);
                }
                j += 1;
            }
            all[s] = (bit, mask);
            s += 1;
        }
        all
    }

    const fn same(a: &str, b: &str) -> bool {
        let (a, b) = (a.as_bytes(), b.as_bytes());
        if a.len() != b.len() {
            return false;
        }
        let mut i = 0;
        while i < a.len() {
            if a[i] != b[i] {
                return false;
            }
            i += 1;
        }
        true
    }

    /// Fails the compilation when an extension has a fault that no table has by itself.
    #[doc(hidden)]
    pub const fn check(base: &Graph, is: &Graph, own: &[RowSpec], replaced: usize) {
        let mut i = 0;
        while i < own.len() {
            let mut claimed = 0;
            let mut j = 0;
            while j < base.rows.len() {
                if base.rows[j].on == own[i].on {
                    claimed |= base.rows[j].from & own[i].from;
                }
                j += 1;
            }
            let replaces = i + replaced >= own.len();
            assert!(replaces || claimed == 0, "a row that the base has too stands under `replaces`");
            assert!(!replaces || claimed == own[i].from, "a row under `replaces` is not a row of the base");
            i += 1;
        }
        if base.base.is_some() {
            panic!("an extension extends a machine, and not another extension");
        }
        let (a, b) = (base.name.as_bytes(), is.name.as_bytes());
        let mut i = 0;
        while i < a.len() && a[i] != b'.' {
            assert!(
                i < b.len() && b[i] == a[i],
                "an extension stays in the area of its base: the name before the dot"
            );
            i += 1;
        }
        assert!(
            i == b.len() || b[i] == b'.',
            "an extension stays in the area of its base: the name before the dot"
        );
        let mut i = 0;
        while i < is.states.len() {
            let mut j = 0;
            while j < i {
                assert!(
                    !same(is.states[i].name, is.states[j].name),
                    "a state has the name of one of its base"
                );
                j += 1;
            }
            i += 1;
        }
        let mut i = 0;
        while i < is.inputs.len() {
            let mut j = 0;
            while j < i {
                assert!(
                    !same(is.inputs[i].name, is.inputs[j].name),
                    "an input has the name of one of its base"
                );
                j += 1;
            }
            i += 1;
        }
        let mut i = 0;
        while i < is.effects.len() {
            let mut j = 0;
            while j < i {
                assert!(
                    !same(is.effects[i].name, is.effects[j].name),
                    "an effect has the name of one of its base"
                );
                j += 1;
            }
            i += 1;
        }
    }
}
#[doc(hidden)]
pub use join::{check, effects, inputs, masks, names, rows, states, unclaimed};
