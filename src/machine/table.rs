//! The `machine!` table.

/// Declares a machine. See the [module's documentation](mod@crate::machine) for the grammar, and
/// [`stage::payment`](crate::stage::payment) for a full one.
#[macro_export]
macro_rules! machine {
    // A table reaches as far as its module; what it makes stands one module deeper.
    ($(#[$meta:meta])* pub mod $($table:tt)*) => {
        $crate::machine!(@table (pub mod) (pub) $(#[$meta])* $($table)*);
    };
    ($(#[$meta:meta])* pub(crate) mod $($table:tt)*) => {
        $crate::machine!(@table (pub(crate) mod) (pub(crate)) $(#[$meta])* $($table)*);
    };
    ($(#[$meta:meta])* pub(super) mod $($table:tt)*) => {
        $crate::machine!(@table (pub(super) mod) (pub(in super::super)) $(#[$meta])* $($table)*);
    };
    ($(#[$meta:meta])* mod $($table:tt)*) => {
        $crate::machine!(@table (mod) (pub(super)) $(#[$meta])* $($table)*);
    };
    (
        @table ($vis:vis mod) ($reach:vis)
        $(#[$meta:meta])*
        $m:ident = $name:literal v $ver:literal;
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
            $st:ident $(= $stname:literal)? : $kind:ident $(($($dl:ident),+))? $(@ $strank:literal)?
                $(v $sv:literal $(<- $sold:ident)+)?
        ),* $(,)? }
        $(groups { $($g:ident = $($gm:ident)|+;)* })?
        rows { $(
            $from:ident + $on:ident $([$($use:ty),+])? => $($to:ident)|+
                $(/ $($rfx:ident),+)? $(! $($may:ident),+)? $(!! $($must:ident),+)? $(? $($rask:ident),+)?;
        )* }
        $(ignore { $($is:ident + $($ie:ident)|+;)* })?
        $(defer { $($ds:ident + $($de:ident)|+;)* })?
        $(alarm { $($als:ident + $($ale:ident)|+;)* })?
    ) => {
        $(#[$meta])*
        #[allow(non_upper_case_globals, non_camel_case_types, unused_variables, unused_mut, unused_imports,
                clippy::all, clippy::pedantic, clippy::restriction, missing_docs, dead_code, private_interfaces,
                unreachable_pub, unnameable_types)]
        $vis mod $m {
            use super::*;
            use $crate::machine::graph::NEW;
            use $crate::machine::Machine as _;

            /// The states, as stored.
            #[derive(Debug, Clone, PartialEq)]
            $reach enum State { $($st(super::$st)),* }
            /// The inputs, as stored.
            #[derive(Debug, Clone, PartialEq)]
            $reach enum Input { $($($in(super::$in),)+)* }
            /// The effects, as stored.
            #[derive(Debug, Clone, PartialEq)]
            $reach enum Fx { $($fx(super::$fx)),* }
            /// Where an instance comes from.
            #[derive(Debug, Clone, PartialEq)]
            $reach struct New;
            /// The machine.
            #[derive(Debug)]
            $reach struct M;

            mod ix {
                #[allow(dead_code)] pub enum S { $($st),* }
                #[allow(dead_code)] pub enum E { $($($in,)+)* }
                #[allow(dead_code)] pub enum F { $($fx),* }
            }
            #[doc(hidden)]
            #[allow(dead_code)]
            $reach mod bit {
                pub const New: u64 = $crate::machine::graph::NEW;
                $(pub const $st: u64 = 1 << super::ix::S::$st as u8;)*
                $($(pub const $g: u64 = 0 $(| $gm)+;)*)?
            }

            const INPUTS: &[$crate::machine::graph::InputSpec] = &[$($($crate::machine::graph::InputSpec {
                name: $crate::machine!(@name $in $($inname)?),
                class: $crate::machine!(@class $class),
                rank: $crate::machine!(@rank $($inrank)?),
                trigger: $crate::machine!(@trigger $(($ph $($pr)?))?),
                version: $crate::machine!(@version $($iv)?),
                oldest: $crate::machine!(@version $($iv)?) $($(- $crate::machine!(@one $iold))+)?,
            },)+)*];
            /// The table.
            $reach const GRAPH: $crate::machine::Graph = $crate::machine::Graph {
                name: $name,
                base: None,
                version: $ver,
                needs: &[$($(<$need as $crate::machine::Proof>::NAME),+)?],
                hears: &[$($(<$hear as $crate::machine::Proof>::NAME),+)?],
                yields: &[$($(<$yield as $crate::machine::Proof>::NAME),+)?],
                spaces: &[$($($space),+)?],
                states: &[$($crate::machine::graph::StateSpec {
                    name: $crate::machine!(@name $st $($stname)?),
                    kind: $crate::machine!(@kind $kind),
                    timers: 0 $($(| 1 << ix::E::$dl as u8)+)?,
                    rank: 0 $(+ $strank)?,
                    stands: 0,
                    version: $crate::machine!(@version $($sv)?),
                    oldest: $crate::machine!(@version $($sv)?) $($(- $crate::machine!(@one $sold))+)?,
                }),*],
                inputs: INPUTS,
                effects: &[$($crate::machine::graph::EffectSpec {
                    name: stringify!($fx),
                    handler: concat!($name, "/", stringify!($fx)),
                    mode: $crate::machine!(@mode $($mode)?),
                    wanted_in: 0 $($(| bit::$fw)+)?,
                    done: &[$(INPUTS[ix::E::$ok as usize].name),+],
                    declined: $crate::machine!(@answer $fx declined $($no)?),
                    unknown: $crate::machine!(@answer $fx unknown $($lost)?),
                    exhausted: $crate::machine!(@answer $fx exhausted $($spent)?),
                    version: $crate::machine!(@version $($fv)?),
                    oldest: $crate::machine!(@version $($fv)?) $($(- $crate::machine!(@one $fold))+)?,
                }),*],
                asks: &[$($(stringify!($ask)),+)?],
                opens: 0 $($(| 1 << ix::E::$op as u8)+)?,
                rows: &[$($crate::machine::graph::RowSpec {
                    from: bit::$from,
                    from_name: stringify!($from),
                    on: ix::E::$on as u8,
                    to: 0 $(| bit::$to)+,
                    uses: &[$($(<$use as $crate::machine::Proof>::NAME),+)?],
                    effects: &[$($(stringify!($rfx)),+)?],
                    may: 0 $($(| $crate::ledger::Code::$may.bit())+)?,
                    must: 0 $($(| $crate::ledger::Code::$must.bit())+)?,
                    asks: &[$($(stringify!($rask)),+)?],
                }),*],
                ignore: &[$($((bit::$is, 0 $(| 1 << ix::E::$ie as u8)+)),*)?],
                defer: &[$($((bit::$ds, 0 $(| 1 << ix::E::$de as u8)+)),*)?],
                alarm: &[$($((bit::$als, 0 $(| 1 << ix::E::$ale as u8)+)),*)?],
            };
            const _: () = $crate::machine::check::check(&GRAPH);

            $($(
                impl $crate::machine::HasInput<super::$in> for M {
                    type Class = $crate::machine!(@marker $class);
                    const IX: u8 = ix::E::$in as u8;
                    fn input(input: super::$in) -> Input { Input::$in(input) }
                    fn input_part(input: &Input) -> Option<&super::$in> {
                        match input { Input::$in(x) => Some(x), _ => None }
                    }
                }
                impl From<super::$in> for Input { fn from(x: super::$in) -> Self { Input::$in(x) } }
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
                        match s { $(Some(State::$gm(x)) => Some($g::$gm(x.clone())),)+ _ => None }
                    }
                }
            )*)?

            /// What an adapter answers when it happened, per effect.
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

            $(const _: () = {
                #[derive(Debug)]
                $reach struct R;
                impl $crate::machine::Row for R {
                    type M = M;
                    type Class = <M as $crate::machine::HasInput<super::$on>>::Class;
                    type From = $from;
                    const IX: usize = row_ix(bit::$from, ix::E::$on as u8);
                }
                $(impl $crate::machine::Goto<$to> for R {})+
                $($(impl $crate::machine::EmittedBy<R> for super::$rfx {
                    fn effect(self) -> Fx { <M as $crate::machine::HasEffect<super::$rfx>>::effect(self) }
                })+)?
                $($(impl $crate::machine::PostedBy<R> for $crate::ledger::$may {})+)?
                $($(impl $crate::machine::PostedBy<R> for $crate::ledger::$must {})+)?
                $($(impl $crate::machine::AskedBy<R> for super::$rask {})+)?
                $($(impl $crate::machine::Uses<$use> for R {})+)?
                impl $crate::machine::HasRow<super::$on, M> for $from { type R = R; }
            };)*
            const fn row_ix(from: u64, on: u8) -> usize {
                let mut i = 0;
                while i < GRAPH.rows.len() {
                    if GRAPH.rows[i].from == from && GRAPH.rows[i].on == on { return i; }
                    i += 1;
                }
                usize::MAX
            }
            $($(impl $crate::machine::Knows<$need> for M {})+)?
            $($(impl $crate::machine::Knows<$hear> for M {})+)?

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
                type Needs = $crate::machine!(@list $($($need,)+)?);
                type Yields = $crate::machine!(@list $($($yield,)+)?);
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
                    $(if bit::$from & b != 0 && let Input::$on(ev) = input
                        && let Some(st) = <M as $crate::machine::Part<$from>>::part(state)
                    {
                        $($(if view.world.proofs.get::<$use>().is_none() {
                            return Err($crate::machine::Step::Lacks(<$use as $crate::machine::Proof>::NAME));
                        })+)?
                        let mut cx = $crate::machine::Cx::<
                            <$from as $crate::machine::HasRow<super::$on, M>>::R,
                        >::new(key, view, out);
                        let next = <$from as $crate::machine::Handle<
                            <M as $crate::machine::HasInput<super::$on>>::Class, super::$on, M,
                        >>::run(&st, ev, &mut cx).map_err($crate::machine::Step::Refused)?;
                        let (next, due) = next.take();
                        cx.settle(&GRAPH, state.map(M::state_ix), M::state_ix(&next), &due);
                        return Ok($crate::machine::Hit::Moved {
                            row: <<$from as $crate::machine::HasRow<super::$on, M>>::R as $crate::machine::Row>::IX,
                            state: next,
                            due,
                        });
                    })*
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
                        // Money is never dropped, however late the word of it comes.
                        Some(rank) if rank <= held => match M::fact(input, "").moved {
                            $crate::machine::Moved::Nothing => Ok($crate::machine::Hit::Stale),
                            _ => Ok($crate::machine::Hit::Alarmed),
                        },
                        _ => Err($crate::machine::Step::NoRow),
                    }
                }

                fn state_ix(state: &State) -> u8 { match *state { $(State::$st(_) => ix::S::$st as u8),* } }
                fn input_ix(input: &Input) -> u8 { match *input { $($(Input::$in(_) => ix::E::$in as u8,)+)* } }
                fn effect_ix(effect: &Fx) -> u8 { match *effect { $(Fx::$fx(_) => ix::F::$fx as u8),* } }

                fn unknown(effect: u8, fault: $crate::machine::Fault) -> Option<Input> {
                    $($(if effect == ix::F::$fx as u8 {
                        return Some(Input::$lost(<super::$lost as From<$crate::machine::Fault>>::from(fault)));
                    })?)*
                    None
                }
                fn exhausted(effect: u8, spent: $crate::machine::Exhausted) -> Option<Input> {
                    $($(if effect == ix::F::$fx as u8 {
                        return Some(Input::$spent(
                            <super::$spent as From<$crate::machine::Exhausted>>::from(spent)));
                    })?)*
                    None
                }

                fn yields(view: &$crate::machine::View<'_, M>, proofs: &mut $crate::machine::Proofs) {
                    $($(if let Some(p) = <M as $crate::machine::Fold<$yield>>::fold(view) { proofs.grant(p); })+)?
                }
                fn opens(input: u8, view: &$crate::machine::View<'_, M>) -> Vec<$crate::id::Key> {
                    $($(if input == ix::E::$op as u8 {
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
                    $(return $crate::machine::indexed::<M>(&[$($space),+], key, state, order, policy);)?
                    #[allow(unreachable_code)]
                    Vec::new()
                }
                fn plain_input(at: u8) -> Option<Input> {
                    $($($crate::machine!(@plain $class $in at ($($ph)?));)+)*
                    None
                }
                fn fact(input: &Input, answers: &str) -> $crate::machine::Fact {
                    let _ = answers;
                    match input { $($(Input::$in(x) => $crate::machine!(@fact $class x answers),)+)* }
                }
                fn input_of(told: &(dyn std::any::Any + ::std::marker::Send + ::std::marker::Sync)) -> Option<Input> {
                    $($(if let Some(x) = told.downcast_ref::<super::$in>() {
                        return Some(Input::$in(x.clone()));
                    })+)*
                    None
                }
                fn effect_value(effect: &Fx) -> Box<dyn std::any::Any + ::std::marker::Send + ::std::marker::Sync> {
                    match *effect { $(Fx::$fx(ref x) => Box::new(x.clone()),)* }
                }
                fn save_state(state: &State, out: &mut Vec<u8>) -> Result<(), $crate::machine::CodecError> {
                    match *state { $(State::$st(ref x) =>
                        $crate::machine::save($crate::machine!(@name $st $($stname)?), x, out),)* }
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
                    Err($crate::machine::CodecError::Unknown {
                        machine: $name, what: "state", name: name.to_owned() })
                }
                fn save_input(input: &Input, out: &mut Vec<u8>) -> Result<(), $crate::machine::CodecError> {
                    match *input { $($(Input::$in(ref x) =>
                        $crate::machine::save($crate::machine!(@name $in $($inname)?), x, out),)+)* }
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
                    Err($crate::machine::CodecError::Unknown {
                        machine: $name, what: "input", name: name.to_owned() })
                }
                fn save_effect(effect: &Fx, out: &mut Vec<u8>) -> Result<(), $crate::machine::CodecError> {
                    match *effect { $(Fx::$fx(ref x) => $crate::machine::save(stringify!($fx), x, out),)* }
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
                    Err($crate::machine::CodecError::Unknown {
                        machine: $name, what: "effect", name: name.to_owned() })
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

    (@name $id:ident) => { stringify!($id) };
    (@name $id:ident $name:literal) => { $name };
    (@one $old:ident) => { 1 };
    (@version) => { 1 };
    (@version $v:literal) => { $v };
    (@kind wait) => { $crate::machine::Kind::Wait };
    (@kind busy) => { $crate::machine::Kind::Busy };
    (@kind rest) => { $crate::machine::Kind::Rest };
    (@kind done) => { $crate::machine::Kind::Done };
    (@kind fail) => { $crate::machine::Kind::Fail };
    (@class command) => { $crate::machine::Class::Command };
    (@class outcome) => { $crate::machine::Class::Outcome };
    (@class timer) => { $crate::machine::Class::Timer };
    (@class signal) => { $crate::machine::Class::Signal };
    (@marker command) => { $crate::machine::Command };
    (@marker outcome) => { $crate::machine::Outcome };
    (@marker timer) => { $crate::machine::Timer };
    (@marker signal) => { $crate::machine::Signal };
    (@rank) => { None };
    (@rank $r:literal) => { Some($r) };
    (@answer $fx:ident $how:ident $in:ident) => { INPUTS[ix::E::$in as usize].name };
    (@answer $fx:ident $how:ident) => {
        compile_error!(concat!("the effect `", stringify!($fx), "` has no outcome for `", stringify!($how), "`"))
    };
    (@mode) => { $crate::machine::Mode::Once };
    (@mode repeat) => { $crate::machine::Mode::Repeat };
    (@mode read) => { $crate::machine::Mode::Read };
    (@trigger) => { $crate::machine::Trigger::Route };
    (@trigger (granted)) => { $crate::machine::Trigger::NeedsGranted };
    (@trigger (withdrawn)) => { $crate::machine::Trigger::NeedsWithdrawn };
    (@trigger (granted $p:ty)) => { $crate::machine::Trigger::Granted(<$p as $crate::machine::Proof>::NAME) };
    (@trigger (withdrawn $p:ty)) => { $crate::machine::Trigger::Withdrawn(<$p as $crate::machine::Proof>::NAME) };
    (@command command $in:ident) => { impl $crate::machine::HasCommand<super::$in> for M {} };
    (@command $c:ident $in:ident) => {};
    (@evidence outcome $in:ident) => {
        impl From<super::$in> for $crate::machine::Told {
            fn from(x: super::$in) -> Self { $crate::machine::Told(std::sync::Arc::new(x)) }
        }
    };
    (@evidence $c:ident $in:ident) => {};
    (@fact outcome $x:ident $a:ident) => { $crate::machine::Fact::of($x, $a) };
    (@fact $c:ident $x:ident $a:ident) => { { let _ = $x; $crate::machine::Fact::none() } };
    (@timed $st:ident wait $t:ident) => { $crate::machine!(@one $st $t); };
    (@timed $st:ident busy $t:ident) => { $crate::machine!(@one $st $t); };
    (@timed $st:ident wait $t:ident $u:ident) => { $crate::machine!(@two $st $t $u); };
    (@timed $st:ident busy $t:ident $u:ident) => { $crate::machine!(@two $st $t $u); };
    (@timed $st:ident wait $t:ident $u:ident $w:ident) => { $crate::machine!(@three $st $t $u $w); };
    (@timed $st:ident busy $t:ident $u:ident $w:ident) => { $crate::machine!(@three $st $t $u $w); };
    (@timed $st:ident wait) => { $crate::machine!(@endless $st "` waits without a timer"); };
    (@timed $st:ident busy) => { $crate::machine!(@endless $st "` is busy without a timer"); };
    (@timed $st:ident $k:ident) => { impl $crate::machine::Untimed<super::$st> for M {} };
    (@timed $st:ident $k:ident $($t:ident)+) => {
        compile_error!(concat!(
            "`", stringify!($st), "` has timers to no use: an end has none, others have three at most"));
        impl $crate::machine::Untimed<super::$st> for M {}
    };
    // The trait stands beside the error, so that handlers add no errors of their own.
    (@endless $st:ident $why:literal) => {
        compile_error!(concat!("`", stringify!($st), $why));
        impl $crate::machine::Timed<super::$st> for M {
            type At = $crate::machine::Deadline;
            const TIMERS: &'static [u8] = &[];
        }
    };
    (@one $st:ident $t:ident) => {
        impl $crate::machine::Timed<super::$st> for M {
            type At = $crate::machine::Deadline;
            const TIMERS: &'static [u8] = &[$crate::machine!(@ix $t)];
        }
    };
    (@two $st:ident $t:ident $u:ident) => {
        impl $crate::machine::Timed<super::$st> for M {
            type At = ($crate::machine::Deadline, $crate::machine::Deadline);
            const TIMERS: &'static [u8] = &[$crate::machine!(@ix $t), $crate::machine!(@ix $u)];
        }
    };
    (@three $st:ident $t:ident $u:ident $w:ident) => {
        impl $crate::machine::Timed<super::$st> for M {
            type At = ($crate::machine::Deadline, $crate::machine::Deadline, $crate::machine::Deadline);
            const TIMERS: &'static [u8] =
                &[$crate::machine!(@ix $t), $crate::machine!(@ix $u), $crate::machine!(@ix $w)];
        }
    };
    (@ix $in:ident) => { <M as $crate::machine::HasInput<super::$in>>::IX };
    (@list) => { $crate::machine::place::Nil };
    (@list $h:ty, $($t:ty,)*) => { $crate::machine::place::Cons<$h, $crate::machine!(@list $($t,)*)> };
    (@plain timer $in:ident $at:ident ($($ph:ident)?)) => {
        if $at == ix::E::$in as u8 { return Some(Input::$in(<super::$in as Default>::default())); }
    };
    (@plain signal $in:ident $at:ident ($ph:ident)) => {
        if $at == ix::E::$in as u8 { return Some(Input::$in(<super::$in as Default>::default())); }
    };
    (@plain $c:ident $in:ident $at:ident ($($ph:ident)?)) => {};
}
