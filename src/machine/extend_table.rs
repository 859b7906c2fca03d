//! The `extend!` table: a machine of a host that wraps one of the library's.

/// Extends a machine by delegation: own states, inputs and rows beside those of the base, and handlers in the place of
/// its own, without a copy of anything.
///
/// The table reads as that of [`machine!`](crate::machine!), with `extends` and the module of the base's table after
/// the version. An own state refines one of the base: `Identifying as RequiresAction` is a `RequiresAction` to
/// everything that the table does not say about it, with rank, proofs, siblings and the rows of the base. `replaces`
/// lists rows that the base has too, with handlers of the host's own: `impl On<Paid, identified::M> for
/// Instead<Sending>`.
///
/// ```
/// use consign::machine::{Cx, Evidence, Next, On, StandsFor, until};
/// use consign::stage::payment::{Charge, Close, Closing, NextAction, PaymentPolicy, RequiresAction, Try, attempt};
/// use serde::{Deserialize, Serialize};
///
/// /// The channel wants to see the customer's passport before it takes the money.
/// #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
/// pub struct PassportNeeded;
/// impl Evidence for PassportNeeded {}
/// /// The customer was asked for it.
/// #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
/// pub struct Identifying {
///     pub what: Try,
/// }
/// /// The customer's time is over.
/// #[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
/// pub struct PassportDue;
///
/// consign::extend! {
///     pub mod identified = "payment.identified" v 1 extends attempt;
///     policy PaymentPolicy;
///     effects {}
///     inputs { outcome PassportNeeded @1; timer PassportDue; }
///     states { Identifying as RequiresAction: wait(PassportDue) }
///     rows {
///         Open        + PassportNeeded => Identifying;
///         Identifying + PassportDue    => Closing / Close;
///     }
/// }
/// use attempt::Open; // sending, unknown, or pending
/// use identified::M;
///
/// impl StandsFor<RequiresAction> for Identifying {
///     fn base(&self) -> RequiresAction {
///         RequiresAction { what: self.what.clone(), action: NextAction::Wait }
///     }
/// }
/// impl On<PassportNeeded, M> for Open {
///     fn on(&self, _: &PassportNeeded, cx: &mut Cx<'_, Self::R>) -> Next<Self::R> {
///         until(cx.after_ms(3 * 24 * 60 * 60_000), Identifying { what: self.what().clone() })
///     }
/// }
/// impl On<PassportDue> for Identifying {
///     fn on(&self, _: &PassportDue, cx: &mut Cx<'_, Self::R>) -> Next<Self::R> {
///         let (channel, reference) = (self.what.channel.clone(), self.what.reference.clone());
///         cx.want(Close { channel, reference, charge: cx.op_key::<Charge>(0) });
///         until(cx.after_ms(30_000), Closing::of(self.what.clone(), cx.now()))
///     }
/// }
/// # fn main() {}
/// ```
#[macro_export]
macro_rules! extend {
    ($(#[$meta:meta])* pub mod $($table:tt)*) => {
        $crate::extend!(@table (pub mod) (pub) $(#[$meta])* $($table)*);
    };
    ($(#[$meta:meta])* pub(crate) mod $($table:tt)*) => {
        $crate::extend!(@table (pub(crate) mod) (pub(crate)) $(#[$meta])* $($table)*);
    };
    ($(#[$meta:meta])* mod $($table:tt)*) => {
        $crate::extend!(@table (mod) (pub(super)) $(#[$meta])* $($table)*);
    };
    (
        @table ($vis:vis mod) ($reach:vis)
        $(#[$meta:meta])*
        $m:ident = $name:literal v $ver:literal extends $base:ident;
        policy $policy:ty $(, v $pv:literal $(<- $pold:ident)+)?;
        $(needs $($need:ty),+;)?
        $(hears $($hear:ty),+;)?
        $(yields $($yield:ty),+;)?
        $(index $($space:literal),+;)?
        effects { $(
            $fx:ident $(($mode:ident))? $(v $fv:literal $(<- $fold:ident)+)? $(while $($fw:ident)|+)?
                => done $($ok:ident)|+ $(, declined $no:ident)? $(, unknown $lost:ident)? $(, exhausted $spent:ident)?;
        )* }
        $(asks { $($ask:ident),+ $(,)? })?
        $(opens { $($op:ident),+ $(,)? })?
        inputs { $($class:ident $(
            $in:ident $(= $inname:literal)? $(@ $inrank:literal)? $(v $iv:literal $(<- $iold:ident)+)?
                $((on $ph:ident $($pr:ty)?))?
        ),+;)* }
        states { $(
            $st:ident as $stands:ident $(= $stname:literal)? : $kind:ident $(($($dl:ident),+))?
                $(v $sv:literal $(<- $sold:ident)+)?
        ),* $(,)? }
        $(groups { $($g:ident = $($gm:ident)|+;)* })?
        rows { $(
            $from:ident + $on:ident $([$($use:ty),+])? => $($to:ident)|+
                $(/ $($rfx:ident),+)? $(! $($may:ident),+)? $(!! $($must:ident),+)? $(? $($rask:ident),+)?;
        )* }
        $(replaces { $(
            $rf:ident + $ro:ident $([$($ruse:ty),+])? => $($rto:ident)|+
                $(/ $($rrfx:ident),+)? $(! $($rmay:ident),+)? $(!! $($rmust:ident),+)? $(? $($rrask:ident),+)?;
        )* })?
        $(ignore { $($is:ident + $($ie:ident)|+;)* })?
        $(defer { $($ds:ident + $($de:ident)|+;)* })?
        $(alarm { $($als:ident + $($ale:ident)|+;)* })?
    ) => {
        $(#[$meta])*
        #[allow(non_upper_case_globals, non_camel_case_types, unused_variables, unused_mut, unused_imports,
                clippy::all, clippy::pedantic, clippy::restriction, missing_docs, dead_code, private_interfaces,
                unreachable_pub, unnameable_types, unreachable_patterns)]
        $vis mod $m {
            use super::*;
            use $crate::machine::graph::NEW;
            use $crate::machine::{Machine as _, extend as x};

            /// The machine that is extended.
            $reach type Base = super::$base::M;
            type BaseOf = <Base as $crate::machine::Machine>::State;
            const BASE: &$crate::machine::Graph = <Base as $crate::machine::Machine>::GRAPH;

            /// The states, as stored: those of the base, and the own ones.
            #[derive(Debug, Clone, PartialEq)]
            $reach enum State { Base(BaseOf), $($st(super::$st)),* }
            /// The inputs, as stored.
            #[derive(Debug, Clone, PartialEq)]
            $reach enum Input { Base(<Base as $crate::machine::Machine>::Input), $($($in(super::$in),)+)* }
            /// The effects, as stored.
            #[derive(Debug, Clone, PartialEq)]
            $reach enum Fx { Base(<Base as $crate::machine::Machine>::Fx), $($fx(super::$fx)),* }
            /// Where an instance comes from.
            #[derive(Debug, Clone, PartialEq)]
            $reach struct New;
            /// The machine.
            #[derive(Debug)]
            $reach struct M;

            mod ix {
                #[allow(dead_code)] pub enum S { $($st,)* Count }
                #[allow(dead_code)] pub enum E { $($($in,)+)* Count }
                #[allow(dead_code)] pub enum F { $($fx,)* Count }
            }
            const STATES_BEFORE: usize = BASE.states.len();
            const INPUTS_BEFORE: usize = BASE.inputs.len();
            const EFFECTS_BEFORE: usize = BASE.effects.len();
            #[doc(hidden)]
            #[allow(dead_code)]
            $reach mod bit {
                pub use super::super::$base::bit::*;
                $(pub const $st: u64 = 1 << (super::STATES_BEFORE + super::ix::S::$st as usize);)*
                $($(pub const $g: u64 = 0 $(| $gm)+;)*)?
            }

            const INPUTS: &[$crate::machine::graph::InputSpec] =
                &x::inputs::<{ INPUTS_BEFORE + ix::E::Count as usize }>(BASE.inputs, &[
                    $($($crate::machine::graph::InputSpec {
                        name: $crate::machine!(@name $in $($inname)?),
                        class: $crate::machine!(@class $class),
                        rank: $crate::machine!(@rank $($inrank)?),
                        trigger: $crate::machine!(@trigger $(($ph $($pr)?))?),
                        version: $crate::machine!(@version $($iv)?),
                        oldest: $crate::machine!(@version $($iv)?) $($(- $crate::machine!(@one $iold))+)?,
                    },)+)*
                ]);
            const ROWS: &[$crate::machine::graph::RowSpec] = &[$($crate::machine::graph::RowSpec {
                from: bit::$from,
                from_name: stringify!($from),
                on: <M as $crate::machine::HasInput<super::$on>>::IX,
                to: 0 $(| bit::$to)+,
                uses: &[$($(<$use as $crate::machine::Proof>::NAME),+)?],
                effects: &[$($(stringify!($rfx)),+)?],
                may: 0 $($(| $crate::ledger::Code::$may.bit())+)?,
                must: 0 $($(| $crate::ledger::Code::$must.bit())+)?,
                asks: &[$($(stringify!($rask)),+)?],
            },)* $($($crate::machine::graph::RowSpec {
                from: bit::$rf,
                from_name: stringify!($rf),
                on: <M as $crate::machine::HasInput<super::$ro>>::IX,
                to: 0 $(| bit::$rto)+,
                uses: &[$($(<$ruse as $crate::machine::Proof>::NAME),+)?],
                effects: &[$($(stringify!($rrfx)),+)?],
                may: 0 $($(| $crate::ledger::Code::$rmay.bit())+)?,
                must: 0 $($(| $crate::ledger::Code::$rmust.bit())+)?,
                asks: &[$($(stringify!($rrask)),+)?],
            },)*)?];
            const STATES: &[$crate::machine::graph::StateSpec] = &[$($crate::machine::graph::StateSpec {
                name: $crate::machine!(@name $st $($stname)?),
                kind: $crate::machine!(@kind $kind),
                timers: 0 $($(| 1 << <M as $crate::machine::HasInput<super::$dl>>::IX)+)?,
                rank: BASE.states[bit::$stands.trailing_zeros() as usize].rank,
                stands: bit::$stands,
                version: $crate::machine!(@version $($sv)?),
                oldest: $crate::machine!(@version $($sv)?) $($(- $crate::machine!(@one $sold))+)?,
            }),*];
            /// What each own state stands for.
            const STANDS: &[u64] = &[$(bit::$stands),*];
            const NEEDS: &[&str] = &[$($(<$need as $crate::machine::Proof>::NAME),+)?];
            const HEARS: &[&str] = &[$($(<$hear as $crate::machine::Proof>::NAME),+)?];
            const YIELDS: &[&str] = &[$($(<$yield as $crate::machine::Proof>::NAME),+)?];
            const SPACES: &[&str] = &[$($($space),+)?];
            const ASKS: &[&str] = &[$($(stringify!($ask)),+)?];
            const IGNORE: &[(u64, u64)] =
                &[$($((bit::$is, 0 $(| 1 << <M as $crate::machine::HasInput<super::$ie>>::IX)+)),*)?];
            const DEFER: &[(u64, u64)] =
                &[$($((bit::$ds, 0 $(| 1 << <M as $crate::machine::HasInput<super::$de>>::IX)+)),*)?];
            const ALARM: &[(u64, u64)] =
                &[$($((bit::$als, 0 $(| 1 << <M as $crate::machine::HasInput<super::$ale>>::IX)+)),*)?];
            /// The table: the base's, and what this one adds and replaces.
            $reach const GRAPH: $crate::machine::Graph = $crate::machine::Graph {
                name: $name,
                base: Some(BASE.name),
                version: $ver,
                needs: &x::names::<{ BASE.needs.len() + NEEDS.len() }>(BASE.needs, NEEDS),
                hears: &x::names::<{ BASE.hears.len() + HEARS.len() }>(BASE.hears, HEARS),
                yields: &x::names::<{ BASE.yields.len() + YIELDS.len() }>(BASE.yields, YIELDS),
                spaces: &x::names::<{ BASE.spaces.len() + SPACES.len() }>(BASE.spaces, SPACES),
                states: &x::states::<{ STATES_BEFORE + ix::S::Count as usize }>(BASE.states, STATES),
                inputs: INPUTS,
                effects: &x::effects::<{ EFFECTS_BEFORE + ix::F::Count as usize }>(BASE.effects, &[
                    $($crate::machine::graph::EffectSpec {
                        name: stringify!($fx),
                        handler: concat!($name, "/", stringify!($fx)),
                        mode: $crate::machine!(@mode $($mode)?),
                        wanted_in: 0 $($(| bit::$fw)+)?,
                        done: &[$($crate::extend!(@input $ok)),+],
                        declined: $crate::extend!(@answer $fx declined $($no)?),
                        unknown: $crate::extend!(@answer $fx unknown $($lost)?),
                        exhausted: $crate::extend!(@answer $fx exhausted $($spent)?),
                        version: $crate::machine!(@version $($fv)?),
                        oldest: $crate::machine!(@version $($fv)?) $($(- $crate::machine!(@one $fold))+)?,
                    }),*
                ]),
                asks: &x::names::<{ BASE.asks.len() + ASKS.len() }>(BASE.asks, ASKS),
                opens: BASE.opens $($(| 1 << <M as $crate::machine::HasInput<super::$op>>::IX)+)?,
                rows: &x::rows::<{ BASE.rows.len() + ROWS.len() }>(BASE, ROWS, STATES, STANDS),
                ignore: &x::masks::<{ 64 + IGNORE.len() }>(
                    &x::unclaimed(BASE, BASE.ignore, ROWS, STANDS), IGNORE),
                defer: &x::masks::<{ 64 + DEFER.len() }>(
                    &x::unclaimed(BASE, BASE.defer, ROWS, STANDS), DEFER),
                alarm: &x::masks::<{ 64 + ALARM.len() }>(
                    &x::unclaimed(BASE, BASE.alarm, ROWS, STANDS), ALARM),
            };
            const REPLACED: &[&str] = &[$($(stringify!($rf)),*)?];
            const _: () = x::check(BASE, &GRAPH, ROWS, REPLACED.len());
            const _: () = $crate::machine::check::check(&GRAPH);

            impl<E> $crate::machine::HasInput<E> for M where Base: $crate::machine::HasInput<E> {
                type Class = <Base as $crate::machine::HasInput<E>>::Class;
                const IX: u8 = <Base as $crate::machine::HasInput<E>>::IX;
                fn input(input: E) -> Input {
                    Input::Base(<Base as $crate::machine::HasInput<E>>::input(input))
                }
                fn input_part(input: &Input) -> Option<&E> {
                    match input {
                        Input::Base(i) => <Base as $crate::machine::HasInput<E>>::input_part(i),
                        _ => None,
                    }
                }
            }
            impl<E> $crate::machine::HasCommand<E> for M where Base: $crate::machine::HasCommand<E> {}
            impl<T> $crate::machine::HasState<T> for M where Base: $crate::machine::HasState<T> {
                fn wrap(state: T) -> State { State::Base(<Base as $crate::machine::HasState<T>>::wrap(state)) }
            }
            impl<T> $crate::machine::Untimed<T> for M where Base: $crate::machine::Untimed<T> {}
            impl<T> $crate::machine::Timed<T> for M where Base: $crate::machine::Timed<T> {
                type At = <Base as $crate::machine::Timed<T>>::At;
                const TIMERS: &'static [u8] = <Base as $crate::machine::Timed<T>>::TIMERS;
            }
            impl<F> $crate::machine::Part<F> for M where Base: $crate::machine::Part<F> {
                fn part(state: Option<&State>) -> Option<F> {
                    match state {
                        Some(State::Base(s)) => <Base as $crate::machine::Part<F>>::part(Some(s)),
                        _ => None,
                    }
                }
            }
            impl<X> $crate::machine::HasEffect<X> for M where Base: $crate::machine::HasEffect<X> {
                fn effect(effect: X) -> Fx { Fx::Base(<Base as $crate::machine::HasEffect<X>>::effect(effect)) }
            }
            impl<P> $crate::machine::Knows<P> for M where Base: $crate::machine::Knows<P> {}

            $($(
                impl $crate::machine::HasInput<super::$in> for M {
                    type Class = $crate::machine!(@marker $class);
                    const IX: u8 = INPUTS_BEFORE as u8 + ix::E::$in as u8;
                    fn input(input: super::$in) -> Input { Input::$in(input) }
                    fn input_part(input: &Input) -> Option<&super::$in> {
                        match input { Input::$in(x) => Some(x), _ => None }
                    }
                }
                $crate::machine!(@command $class $in);
                $crate::machine!(@evidence $class $in);
            )+)*
            $(
                impl $crate::machine::Home for super::$st { type M = M; }
                impl $crate::machine::Keeps<super::$st> for super::$st {}
                impl $crate::machine::HasState<super::$st> for M {
                    fn wrap(state: super::$st) -> State { State::$st(state) }
                }
                impl $crate::machine::Part<super::$st> for M {
                    fn part(s: Option<&State>) -> Option<super::$st> {
                        match s { Some(State::$st(x)) => Some(x.clone()), _ => None }
                    }
                }
                $crate::machine!(@timed $st $kind $($($dl)+)?);
            )*
            impl $crate::machine::Home for New { type M = M; }
            impl $crate::machine::Part<New> for M {
                fn part(s: Option<&State>) -> Option<New> { s.is_none().then_some(New) }
            }
            $($(
                /// A group of states.
                #[derive(Debug, Clone, PartialEq)]
                $reach enum $g { $($gm(super::$gm)),+ }
                impl $crate::machine::Home for $g { type M = M; }
                $(impl $crate::machine::Keeps<super::$gm> for $g {})+
                impl $crate::machine::Part<$g> for M {
                    fn part(s: Option<&State>) -> Option<$g> {
                        $(if let Some(x) = <M as $crate::machine::Part<super::$gm>>::part(s) {
                            return Some($g::$gm(x));
                        })+
                        None
                    }
                }
            )*)?

            /// What an adapter answers when it happened, per own effect.
            $reach mod done {
                use super::super as host;
                $(
                    #[derive(Debug, Clone, PartialEq)]
                    pub enum $fx { $($ok(host::$ok)),+ }
                    impl From<$fx> for $crate::machine::Told {
                        fn from(x: $fx) -> Self {
                            match x { $($fx::$ok(v) => $crate::machine::Told(std::sync::Arc::new(v))),+ }
                        }
                    }
                    $(impl From<host::$ok> for $fx { fn from(x: host::$ok) -> Self { $fx::$ok(x) } })+
                )*
            }
            $(impl $crate::machine::HasEffect<super::$fx> for M {
                fn effect(effect: super::$fx) -> Fx { Fx::$fx(effect) }
            })*
            $(impl $crate::machine::Effect for super::$fx {
                const NAME: &'static str = concat!($name, "/", stringify!($fx));
                type Done = done::$fx;
                $(type Declined = super::$no;)?
                $(type Unknown = super::$lost;)?
                $(type Exhausted = super::$spent;)?
            })*

            $($crate::extend!(@row ($reach) ($from) bit::$from, $on, ($($to)+) ($($($rfx)+)?) ($($($may)+)?)
                ($($($must)+)?) ($($($rask)+)?) ($($($use,)+)?));)*
            $($($crate::extend!(@row ($reach) ($crate::machine::Instead<$rf>) bit::$rf, $ro, ($($rto)+) ($($($rrfx)+)?)
                ($($($rmay)+)?) ($($($rmust)+)?) ($($($rrask)+)?) ($($($ruse,)+)?));)*)?
            const fn row_ix(from: u64, on: u8) -> usize {
                let mut i = BASE.rows.len();
                while i < GRAPH.rows.len() {
                    if GRAPH.rows[i].from == from && GRAPH.rows[i].on == on { return i; }
                    i += 1;
                }
                usize::MAX
            }
            $($(impl $crate::machine::Knows<$need> for M {})+)?
            $($(impl $crate::machine::Knows<$hear> for M {})+)?

            fn as_base(state: &State) -> BaseOf {
                match state {
                    State::Base(s) => s.clone(),
                    $(State::$st(s) => <Base as $crate::machine::HasState<super::$stands>>::wrap(
                        <super::$st as x::StandsFor<super::$stands>>::base(s)),)*
                }
            }
            fn base_policy(policy: &$policy) -> &<Base as $crate::machine::Machine>::Policy {
                <$policy as x::BasePolicy<<Base as $crate::machine::Machine>::Policy>>::base(policy)
            }
            fn base_view<'a>(view: &$crate::machine::View<'a, M>) -> $crate::machine::View<'a, Base> {
                view.of_base(base_policy(view.policy))
            }

            impl M {
                /// Addresses a command to an instance.
                pub fn command<C>(key: impl Into<$crate::id::Key>, command: C) -> $crate::machine::Call
                where M: $crate::machine::HasCommand<C> {
                    let command = <M as $crate::machine::HasInput<C>>::input(command);
                    $crate::machine::Call::new::<M>(key.into(), command)
                }
                /// Addresses evidence to an instance.
                pub fn evidence<E>(key: impl Into<$crate::id::Key>, evidence: E) -> $crate::machine::Call
                where E: $crate::machine::Evidence, M: $crate::machine::HasInput<E> {
                    let evidence = <M as $crate::machine::HasInput<E>>::input(evidence);
                    $crate::machine::Call::new::<M>(key.into(), evidence)
                }
                /// Places the machine, under its own name, with a policy.
                pub fn with(policy: $policy) -> $crate::machine::Placement<M> {
                    $crate::machine::Placement::new(policy)
                }
            }

            impl $crate::machine::Machine for M {
                type State = State;
                type Input = Input;
                type Fx = Fx;
                type Policy = $policy;
                type Needs = <$crate::machine!(@list $($($need,)+)?) as $crate::machine::place::Join<
                    <Base as $crate::machine::Machine>::Needs>>::Out;
                type Yields = <$crate::machine!(@list $($($yield,)+)?) as $crate::machine::place::Join<
                    <Base as $crate::machine::Machine>::Yields>>::Out;
                type Takes = $crate::machine::place::Bit<{
                    $crate::machine::check::posts(&GRAPH, $crate::machine::check::TAKES) }>;
                type Gives = $crate::machine::place::Bit<{
                    $crate::machine::check::posts(&GRAPH, $crate::machine::check::GIVES) }>;
                type Holds = $crate::machine::place::Bit<{
                    $crate::machine::check::posts(&GRAPH, $crate::ledger::Code::P1.bit()) }>;
                type Frees = $crate::machine::place::Bit<{
                    $crate::machine::check::posts(&GRAPH, $crate::ledger::Code::P2.bit()) }>;
                const GRAPH: &'static $crate::machine::Graph = &GRAPH;
                const POLICY_VERSION: u16 = $crate::machine!(@version $($pv)?);
                const OLDEST_POLICY: u16 =
                    $crate::machine!(@version $($pv)?) $($(- $crate::machine!(@one $pold))+)?;

                fn step(
                    state: Option<&State>,
                    input: &Input,
                    key: $crate::id::Key,
                    view: &$crate::machine::View<'_, M>,
                    out: &mut $crate::machine::Out<M>,
                ) -> Result<$crate::machine::Hit<State>, $crate::machine::Step> {
                    let b = state.map_or(NEW, |s| 1 << M::state_ix(s));
                    $(if bit::$from & b != 0
                        && let Some(ev) = <M as $crate::machine::HasInput<super::$on>>::input_part(input)
                        && let Some(st) = <M as $crate::machine::Part<$from>>::part(state)
                    {
                        $($($crate::extend!(@needs view $use);)+)?
                        return $crate::extend!(@fire ($from) $on st ev key view out state);
                    })*
                    $($(if bit::$rf & b != 0
                        && let Some(ev) = <M as $crate::machine::HasInput<super::$ro>>::input_part(input)
                        && let Some(st) = <M as $crate::machine::Part<$rf>>::part(state)
                    {
                        let st = $crate::machine::Instead(st);
                        $($($crate::extend!(@needs view $ruse);)+)?
                        return $crate::extend!(@fire ($crate::machine::Instead<$rf>) $ro st ev key view out state);
                    })*)?
                    if let Input::Base(ev) = input {
                        let stands = state.map(as_base);
                        let mut base_out = $crate::machine::Out::<Base>::default();
                        let hit = <Base as $crate::machine::Machine>::step(
                            stands.as_ref(), ev, key, &base_view(view), &mut base_out)?;
                        out.take_base(base_out, Fx::Base);
                        return Ok(match (hit, state) {
                            // Who stays in the state that an own one stands for stays in the own one.
                            ($crate::machine::Hit::Moved { row, due: $crate::machine::Due::Keep, .. }, Some(own))
                                if !matches!(own, State::Base(_)) =>
                            {
                                let due = $crate::machine::Due::Keep;
                                $crate::machine::Hit::Moved { row, state: own.clone(), due }
                            }
                            (hit, _) => hit.map(State::Base),
                        });
                    }
                    let i = M::input_ix(input);
                    if $crate::machine::Graph::listed(GRAPH.ignore, b, i) {
                        return Ok($crate::machine::Hit::Ignored);
                    }
                    if $crate::machine::Graph::listed(GRAPH.defer, b, i) {
                        return Ok($crate::machine::Hit::Deferred);
                    }
                    if $crate::machine::Graph::listed(GRAPH.alarm, b, i) {
                        return Ok($crate::machine::Hit::Alarmed);
                    }
                    let spec = &GRAPH.inputs[usize::from(i)];
                    let held = state.map_or(0, |s| GRAPH.states[usize::from(M::state_ix(s))].rank);
                    match spec.rank {
                        Some(rank) if rank <= held => match M::fact(input, "").moved {
                            $crate::machine::Moved::Nothing => Ok($crate::machine::Hit::Stale),
                            _ => Ok($crate::machine::Hit::Alarmed),
                        },
                        _ => Err($crate::machine::Step::NoRow),
                    }
                }

                fn as_base(
                    state: &State,
                ) -> Option<std::sync::Arc<dyn std::any::Any + ::std::marker::Send + ::std::marker::Sync>> {
                    Some(std::sync::Arc::new(as_base(state)))
                }
                fn base_policy(
                    policy: &$policy,
                ) -> Option<&(dyn std::any::Any + ::std::marker::Send + ::std::marker::Sync)> {
                    Some(base_policy(policy))
                }
                fn state_ix(state: &State) -> u8 {
                    match state {
                        State::Base(s) => <Base as $crate::machine::Machine>::state_ix(s),
                        $(State::$st(_) => STATES_BEFORE as u8 + ix::S::$st as u8),*
                    }
                }
                fn input_ix(input: &Input) -> u8 {
                    match input {
                        Input::Base(i) => <Base as $crate::machine::Machine>::input_ix(i),
                        $($(Input::$in(_) => INPUTS_BEFORE as u8 + ix::E::$in as u8,)+)*
                    }
                }
                fn effect_ix(effect: &Fx) -> u8 {
                    match effect {
                        Fx::Base(x) => <Base as $crate::machine::Machine>::effect_ix(x),
                        $(Fx::$fx(_) => EFFECTS_BEFORE as u8 + ix::F::$fx as u8),*
                    }
                }

                fn unknown(effect: u8, fault: $crate::machine::Fault) -> Option<Input> {
                    if usize::from(effect) < EFFECTS_BEFORE {
                        return <Base as $crate::machine::Machine>::unknown(effect, fault).map(Input::Base);
                    }
                    $($(if effect == EFFECTS_BEFORE as u8 + ix::F::$fx as u8 {
                        return Some(<M as $crate::machine::HasInput<super::$lost>>::input(
                            <super::$lost as From<$crate::machine::Fault>>::from(fault)));
                    })?)*
                    None
                }
                fn exhausted(effect: u8, spent: $crate::machine::Exhausted) -> Option<Input> {
                    if usize::from(effect) < EFFECTS_BEFORE {
                        return <Base as $crate::machine::Machine>::exhausted(effect, spent).map(Input::Base);
                    }
                    $($(if effect == EFFECTS_BEFORE as u8 + ix::F::$fx as u8 {
                        return Some(<M as $crate::machine::HasInput<super::$spent>>::input(
                            <super::$spent as From<$crate::machine::Exhausted>>::from(spent)));
                    })?)*
                    None
                }

                fn yields(view: &$crate::machine::View<'_, M>, proofs: &mut $crate::machine::Proofs) {
                    <Base as $crate::machine::Machine>::yields(&base_view(view), proofs);
                    $($(if let Some(p) = <M as $crate::machine::Fold<$yield>>::fold(view) { proofs.grant(p); })+)?
                }
                fn opens(input: u8, view: &$crate::machine::View<'_, M>) -> Vec<$crate::id::Key> {
                    if usize::from(input) < INPUTS_BEFORE {
                        return <Base as $crate::machine::Machine>::opens(input, &base_view(view));
                    }
                    $($(if input == <M as $crate::machine::HasInput<super::$op>>::IX {
                        return <New as $crate::machine::Opens<super::$op, M>>::keys(view);
                    })+)?
                    Vec::new()
                }
                fn index(
                    key: $crate::id::Key,
                    state: &State,
                    order: &$crate::order::Order,
                    policy: &$policy,
                ) -> Vec<$crate::machine::IndexRow> {
                    let mut rows = <Base as $crate::machine::Machine>::index(
                        key, &as_base(state), order, base_policy(policy));
                    $(rows.extend($crate::machine::indexed::<M>(&[$($space),+], key, state, order, policy));)?
                    rows
                }
                fn plain_input(at: u8) -> Option<Input> {
                    if usize::from(at) < INPUTS_BEFORE {
                        return <Base as $crate::machine::Machine>::plain_input(at).map(Input::Base);
                    }
                    let at = at - INPUTS_BEFORE as u8;
                    $($($crate::machine!(@plain $class $in at ($($ph)?));)+)*
                    None
                }
                fn fact(input: &Input, answers: &str) -> $crate::machine::Fact {
                    match input {
                        Input::Base(i) => <Base as $crate::machine::Machine>::fact(i, answers),
                        $($(Input::$in(x) => $crate::machine!(@fact $class x answers),)+)*
                    }
                }
                fn input_of(told: &(dyn std::any::Any + ::std::marker::Send + ::std::marker::Sync)) -> Option<Input> {
                    $($(if let Some(x) = told.downcast_ref::<super::$in>() {
                        return Some(Input::$in(x.clone()));
                    })+)*
                    <Base as $crate::machine::Machine>::input_of(told).map(Input::Base)
                }
                fn effect_value(effect: &Fx) -> Box<dyn std::any::Any + ::std::marker::Send + ::std::marker::Sync> {
                    match effect {
                        Fx::Base(x) => <Base as $crate::machine::Machine>::effect_value(x),
                        $(Fx::$fx(x) => Box::new(x.clone()),)*
                    }
                }
                fn save_state(state: &State, out: &mut Vec<u8>) -> Result<(), $crate::machine::CodecError> {
                    match state {
                        State::Base(s) => <Base as $crate::machine::Machine>::save_state(s, out),
                        $(State::$st(x) =>
                            $crate::machine::save($crate::machine!(@name $st $($stname)?), x, out),)*
                    }
                }
                fn load_state(name: &str, version: u16, json: &str)
                    -> Result<State, $crate::machine::CodecError>
                {
                    $(if name == $crate::machine!(@name $st $($stname)?) {
                        return $crate::machine::load::<super::$st>(
                            $crate::machine!(@name $st $($stname)?), version, $crate::machine!(@version $($sv)?),
                            &[$($(|j| serde_json_from::<super::$sold>(j).map(Into::into)),+)?], json,
                        ).map(State::$st);
                    })*
                    <Base as $crate::machine::Machine>::load_state(name, version, json).map(State::Base)
                }
                fn save_input(input: &Input, out: &mut Vec<u8>) -> Result<(), $crate::machine::CodecError> {
                    match input {
                        Input::Base(i) => <Base as $crate::machine::Machine>::save_input(i, out),
                        $($(Input::$in(x) =>
                            $crate::machine::save($crate::machine!(@name $in $($inname)?), x, out),)+)*
                    }
                }
                fn load_input(name: &str, version: u16, json: &str)
                    -> Result<Input, $crate::machine::CodecError>
                {
                    $($(if name == $crate::machine!(@name $in $($inname)?) {
                        return $crate::machine::load::<super::$in>(
                            $crate::machine!(@name $in $($inname)?), version, $crate::machine!(@version $($iv)?),
                            &[$($(|j| serde_json_from::<super::$iold>(j).map(Into::into)),+)?], json,
                        ).map(Input::$in);
                    })+)*
                    <Base as $crate::machine::Machine>::load_input(name, version, json).map(Input::Base)
                }
                fn save_effect(effect: &Fx, out: &mut Vec<u8>) -> Result<(), $crate::machine::CodecError> {
                    match effect {
                        Fx::Base(x) => <Base as $crate::machine::Machine>::save_effect(x, out),
                        $(Fx::$fx(x) => $crate::machine::save(stringify!($fx), x, out),)*
                    }
                }
                fn load_effect(name: &str, version: u16, json: &str)
                    -> Result<Fx, $crate::machine::CodecError>
                {
                    $(if name == stringify!($fx) {
                        return $crate::machine::load::<super::$fx>(
                            stringify!($fx), version, $crate::machine!(@version $($fv)?),
                            &[$($(|j| serde_json_from::<super::$fold>(j).map(Into::into)),+)?], json,
                        ).map(Fx::$fx);
                    })*
                    <Base as $crate::machine::Machine>::load_effect(name, version, json).map(Fx::Base)
                }
                fn load_policy(version: u16, json: &str) -> Result<$policy, $crate::machine::CodecError> {
                    $crate::machine::load::<$policy>(
                        $name, version, $crate::machine!(@version $($pv)?),
                        &[$($(|j| serde_json_from::<super::$pold>(j).map(Into::into)),+)?], json,
                    )
                }
            }
            use $crate::machine::parse as serde_json_from;
        }
    };

    (@row ($reach:vis) ($from:ty) $bit:expr, $on:ident, ($($to:ident)+) ($($rfx:ident)*) ($($may:ident)*)
        ($($must:ident)*) ($($rask:ident)*) ($($use:ty,)*)) =>
    {
        const _: () = {
            #[derive(Debug)]
            $reach struct R;
            impl $crate::machine::Row for R {
                type M = M;
                type Class = <M as $crate::machine::HasInput<super::$on>>::Class;
                type From = $from;
                const IX: usize = row_ix($bit, <M as $crate::machine::HasInput<super::$on>>::IX);
            }
            $(impl $crate::machine::Goto<$to> for R {})+
            $(impl $crate::machine::EmittedBy<R> for super::$rfx {
                fn effect(self) -> Fx { <M as $crate::machine::HasEffect<super::$rfx>>::effect(self) }
            })*
            $(impl $crate::machine::PostedBy<R> for $crate::ledger::$may {})*
            $(impl $crate::machine::PostedBy<R> for $crate::ledger::$must {})*
            $(impl $crate::machine::AskedBy<R> for super::$rask {})*
            $(impl $crate::machine::Uses<$use> for R {})*
            impl $crate::machine::HasRow<super::$on, M> for $from { type R = R; }
        };
    };
    (@needs $view:ident $use:ty) => {
        if $view.world.proofs.get::<$use>().is_none() {
            return Err($crate::machine::Step::Lacks(<$use as $crate::machine::Proof>::NAME));
        }
    };
    (@fire ($from:ty) $on:ident $st:ident $ev:ident $key:ident $view:ident $out:ident $state:ident) => {{
        let mut cx = $crate::machine::Cx::<<$from as $crate::machine::HasRow<super::$on, M>>::R>::new(
            $key, $view, $out);
        let next = <$from as $crate::machine::Handle<
            <M as $crate::machine::HasInput<super::$on>>::Class, super::$on, M,
        >>::run(&$st, $ev, &mut cx).map_err($crate::machine::Step::Refused)?;
        let (next, due) = next.take();
        cx.settle(&GRAPH, $state.map(M::state_ix), M::state_ix(&next), &due);
        Ok($crate::machine::Hit::Moved {
            row: <<$from as $crate::machine::HasRow<super::$on, M>>::R as $crate::machine::Row>::IX,
            state: next,
            due,
        })
    }};
    (@input $in:ident) => { INPUTS[<M as $crate::machine::HasInput<super::$in>>::IX as usize].name };
    (@answer $fx:ident $how:ident $in:ident) => { $crate::extend!(@input $in) };
    (@answer $fx:ident $how:ident) => { $crate::machine!(@answer $fx $how) };
}
