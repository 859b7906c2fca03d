//! Applies rule sets of review to an order.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use cel::common::ast::{EntryExpr, Expr};
use cel::{Context, ExecutionError, Program, Value};

use super::words::Text;
use super::{RiskScorer, Ticket};
use crate::machine::{Effect, Reply};
use crate::stage::review::{Banned, Consequence, RuleSet, Score, ScoreRefused, Scored, case::done};

/// A scorer that applies rule sets, alone or beside a model.
///
/// The order says which set it was placed under; one that is not here is a refusal to score, and people decide. So they
/// do when a rule cannot be evaluated: nothing is let pass by a rule that failed.
///
/// The conditions are expressions of the Common Expression Language over these facts:
///
/// | fact | type | |
/// |---|---|---|
/// | `amount` | int | the total, in minor units of the currency |
/// | `currency` | string | its ISO 4217 code |
/// | `kind` | string | `goods`, `service` or `mixed` |
/// | `industry`, `category` | string | as the order names them; empty when it does not |
/// | `texts` | map of strings | the attributes that the policy counts as text |
/// | `history` | map of ints | what the model, else the order, says of the customer |
/// | `banned` | list of strings | the names of the word lists of which a text holds a word |
/// | `score` | int | the model's, from 0 to 100; there is none without a model |
///
/// ```
/// use consign::gateway::RuleScorer;
/// use consign::stage::review::{Consequence, RuleSet};
///
/// let rules = RuleSet::new("ads, 2026")
///     .rule("dear stranger", "amount > 20000 && history.orders_paid < 1", Consequence::Tier(2))
///     .rule("arms", "category == 'weapons'", Consequence::Refuse)
///     .words("gambling", ["casino", "free spins"], Consequence::Tier(1));
/// let scorer = RuleScorer::new([rules])?;
/// let faults = RuleScorer::new([RuleSet::new("ads").rule("typo", "amout > 1", Consequence::Refuse)]).unwrap_err();
/// assert_eq!(faults.to_string(), "ads: rule `typo` speaks of `amout`, which is no fact");
/// # Ok::<(), consign::gateway::RuleFaults>(())
/// ```
pub struct RuleScorer {
    sets: BTreeMap<String, Compiled>,
    model: Option<Arc<dyn RiskScorer>>,
}

/// What is wrong with a rule set.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RuleFault {
    /// Two rules or lists have one name.
    #[error("{set}: two rules are called `{name}`")]
    NameTwice {
        /// The set.
        set: String,
        /// The name.
        name: String,
    },
    /// The condition is too long, or nested too deep, to be read safely.
    #[error("{set}: rule `{rule}` is longer than {max} bytes, or nested deeper than {depth}")]
    TooBig {
        /// The set.
        set: String,
        /// The rule.
        rule: String,
        /// The most bytes.
        max: usize,
        /// The deepest nesting.
        depth: usize,
    },
    /// The condition is no expression.
    #[error("{set}: rule `{rule}` cannot be read: {why}")]
    Syntax {
        /// The set.
        set: String,
        /// The rule.
        rule: String,
        /// Where and why.
        why: String,
    },
    /// The condition speaks of something that nobody tells.
    #[error("{set}: rule `{rule}` speaks of `{fact}`, which is no fact")]
    UnknownFact {
        /// The set.
        set: String,
        /// The rule.
        rule: String,
        /// What it speaks of.
        fact: String,
    },
    /// The condition cannot be evaluated, whatever the order: it compares what cannot be compared, or calls what is no
    /// function.
    #[error("{set}: rule `{rule}` cannot be evaluated: {why}")]
    Fails {
        /// The set.
        set: String,
        /// The rule.
        rule: String,
        /// Why.
        why: String,
    },
    /// The expression is something else than true or false.
    #[error("{set}: rule `{rule}` is no condition: it gives {gives}")]
    NotACondition {
        /// The set.
        set: String,
        /// The rule.
        rule: String,
        /// What it gives: `int`.
        gives: String,
    },
    /// A list holds no word, or a word without a letter.
    #[error("{set}: the list `{list}` has an empty word, or none")]
    NoWord {
        /// The set.
        set: String,
        /// The list.
        list: String,
    },
}

/// Everything that is wrong with some rule sets, at once.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
pub struct RuleFaults(pub Vec<RuleFault>);

struct Compiled {
    rules: Vec<(String, Program, Consequence)>,
    words: Vec<(String, Vec<Text>, Consequence)>,
}

impl fmt::Debug for RuleScorer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RuleScorer")
            .field("sets", &self.sets.keys().collect::<Vec<_>>())
            .field("model", &self.model.is_some())
            .finish()
    }
}

const FACTS: [&str; 9] =
    ["amount", "currency", "kind", "industry", "category", "texts", "history", "banned", "score"];

/// Longest condition, in bytes, and how deep its brackets and choices may nest: the reader goes down as deep.
const MAX_BYTES: usize = 2_000;
const MAX_DEPTH: usize = 24;
/// Room for that depth.
const STACK_BYTES: usize = 64 << 20;

impl RuleScorer {
    /// Reads and checks rule sets: that of the policy that new orders get, and those of the policies under which others
    /// were placed that are not scored yet.
    ///
    /// # Errors
    ///
    /// [`RuleFaults`]: everything that is wrong with any of them. What only some orders show, such as a fact of the
    /// history that is not told, is no fault here; it sends those orders to people.
    pub fn new(sets: impl IntoIterator<Item = RuleSet>) -> Result<Self, RuleFaults> {
        let sets: Vec<RuleSet> = sets.into_iter().collect();
        // The reader of the expression library goes down with every bracket, and takes much stack for each.
        let read = std::thread::Builder::new().stack_size(STACK_BYTES).spawn(move || {
            let mut faults = Vec::new();
            let read = sets.iter().map(|set| (set.id(), compiled(set, &mut faults))).collect();
            (read, faults)
        });
        let (sets, faults) = read
            .expect("a thread can be started where an engine is to run")
            .join()
            .expect("the expression library answers and does not panic");
        if faults.is_empty() { Ok(Self { sets, model: None }) } else { Err(RuleFaults(faults)) }
    }

    /// Asks a model first: its score and what it knows of the customer are facts for the rules. When it does not
    /// answer, only a rule that refuses the order without it is heard; else people decide.
    #[must_use]
    pub fn beside(self, model: Arc<dyn RiskScorer>) -> Self {
        Self { model: Some(model), ..self }
    }
}

fn compiled(set: &RuleSet, faults: &mut Vec<RuleFault>) -> Compiled {
    let name = || set.name.clone();
    let mut names = BTreeSet::new();
    for n in set.rules.iter().map(|r| &r.name).chain(set.words.iter().map(|w| &w.name)) {
        if !names.insert(n) {
            faults.push(RuleFault::NameTwice { set: name(), name: n.clone() });
        }
    }
    let mut rules = Vec::new();
    for rule in &set.rules {
        match condition(set, &rule.name, &rule.when) {
            Ok(program) => rules.push((rule.name.clone(), program, rule.then)),
            Err(fault) => faults.push(fault),
        }
    }
    let mut words = Vec::new();
    for list in &set.words {
        let plain: Vec<Text> = list.words.iter().map(|w| Text::of(w)).collect();
        if plain.is_empty() || plain.iter().any(|w| !w.as_str().chars().any(char::is_alphanumeric)) {
            faults.push(RuleFault::NoWord { set: name(), list: list.name.clone() });
        }
        words.push((list.name.clone(), plain, list.then));
    }
    Compiled { rules, words }
}

fn condition(set: &RuleSet, rule: &str, when: &str) -> Result<Program, RuleFault> {
    let (set, rule) = (set.name.clone(), rule.to_owned());
    if when.len() > MAX_BYTES || depth(when) > MAX_DEPTH {
        return Err(RuleFault::TooBig { set, rule, max: MAX_BYTES, depth: MAX_DEPTH });
    }
    let program = match Program::compile(when) {
        Ok(program) => program,
        Err(why) => return Err(RuleFault::Syntax { set, rule, why: why.to_string() }),
    };
    let mut bound = BTreeSet::new();
    bound_by(&program.expression().expr, &mut bound);
    let unknown = {
        let references = program.references();
        let mut names = references.variables();
        names.sort_unstable();
        names.into_iter().find(|v| !FACTS.contains(v) && !bound.contains(v)).map(str::to_owned)
    };
    if let Some(fact) = unknown {
        return Err(RuleFault::UnknownFact { set, rule, fact });
    }
    match program.execute(&context(&Facts::sample())) {
        Ok(Value::Bool(_)) => Ok(program),
        Ok(other) => Err(RuleFault::NotACondition { set, rule, gives: other.type_of().to_string() }),
        Err(why) if of_this_order(&why) => Ok(program),
        Err(why) => Err(RuleFault::Fails { set, rule, why: why.to_string() }),
    }
}

/// How deep brackets and choices nest, counted generously: also those inside a text.
fn depth(when: &str) -> usize {
    let mut open: usize = 0;
    let mut most = 0;
    for c in when.chars() {
        match c {
            '(' | '[' | '{' => open = open.saturating_add(1),
            ')' | ']' | '}' => open = open.saturating_sub(1),
            _ => {}
        }
        most = open.max(most);
    }
    let choices = when.matches('?').count();
    most.saturating_add(choices)
}

/// Names that an expression gives to the elements of a list or map.
fn bound_by<'e>(expr: &'e Expr, bound: &mut BTreeSet<&'e str>) {
    match expr {
        Expr::Call(call) => {
            call.target.iter().for_each(|t| bound_by(&t.expr, bound));
            call.args.iter().for_each(|a| bound_by(&a.expr, bound));
        }
        Expr::Comprehension(c) => {
            bound.insert(&c.iter_var);
            bound.extend(c.iter_var2.as_deref());
            bound.insert(&c.accu_var);
            for part in [&c.iter_range, &c.accu_init, &c.loop_cond, &c.loop_step, &c.result] {
                bound_by(&part.expr, bound);
            }
        }
        Expr::List(list) => list.elements.iter().for_each(|e| bound_by(&e.expr, bound)),
        Expr::Map(map) => {
            for entry in &map.entries {
                match &entry.expr {
                    EntryExpr::StructField(f) => bound_by(&f.value.expr, bound),
                    EntryExpr::MapEntry(e) => {
                        bound_by(&e.key.expr, bound);
                        bound_by(&e.value.expr, bound);
                    }
                }
            }
        }
        Expr::Select(select) => bound_by(&select.operand.expr, bound),
        Expr::Unspecified | Expr::Ident(_) | Expr::Literal(_) | Expr::Struct(_) => {}
    }
}

/// Whether an error comes of what this order says, and another order might do without.
fn of_this_order(why: &ExecutionError) -> bool {
    matches!(
        why,
        ExecutionError::NoSuchKey(_)
            | ExecutionError::DivisionByZero(_)
            | ExecutionError::RemainderByZero(_)
            | ExecutionError::Overflow(..)
            | ExecutionError::IndexOutOfBounds(_)
    )
}

/// What the conditions may speak of.
struct Facts {
    score: Score,
    history: BTreeMap<String, i64>,
    banned: Vec<String>,
    risk: Option<u8>,
}

impl Facts {
    /// An order such as there may be, to try a condition on.
    fn sample() -> Self {
        let currency = "EUR".parse().expect("the euro is a currency");
        let text = |t: &str| (t.to_owned(), t.to_owned());
        Self {
            score: Score {
                total: crate::money::Money::new(12_345, currency),
                kind: crate::order::OrderKind::Goods,
                industry: "shoes".to_owned(),
                category: "boots".to_owned(),
                texts: BTreeMap::from([text("title")]),
                history: BTreeMap::new(),
                rules: String::new(),
            },
            history: BTreeMap::new(),
            banned: vec!["words".to_owned()],
            risk: Some(50),
        }
    }
}

fn context(facts: &Facts) -> Context<'static, 'static> {
    let mut c = Context::default();
    let Facts { score, history, banned, risk } = facts;
    c.add_variable_from_value("amount", score.total.minor());
    c.add_variable_from_value("currency", score.total.currency().code());
    c.add_variable_from_value("kind", score.kind.name());
    c.add_variable_from_value("industry", score.industry.as_str());
    c.add_variable_from_value("category", score.category.as_str());
    c.add_variable_from_value("texts", score.texts.clone().into_iter().collect::<HashMap<_, _>>());
    c.add_variable_from_value("history", history.clone().into_iter().collect::<HashMap<_, _>>());
    c.add_variable_from_value("banned", banned.clone());
    if let Some(risk) = risk {
        c.add_variable_from_value("score", i64::from(*risk));
    }
    c
}

/// What a set says of an order.
#[derive(Default)]
struct Said {
    refused: Option<String>,
    tier: u32,
    reasons: Vec<String>,
}

impl Said {
    fn hear(&mut self, then: Consequence, rule: &str, reason: String) {
        match then {
            Consequence::Refuse => {
                self.refused.get_or_insert_with(|| rule.to_owned());
            }
            Consequence::Tier(tier) => self.tier = tier.max(self.tier),
        }
        self.reasons.push(reason);
    }
}

impl Compiled {
    fn apply(&self, score: &Score, model: Option<&Scored>) -> Said {
        let mut said = Said::default();
        let texts: Vec<(&String, Text)> = score.texts.iter().map(|(key, t)| (key, Text::of(t))).collect();
        let mut banned = Vec::new();
        for (name, words, then) in &self.words {
            let found = texts
                .iter()
                .find_map(|(key, text)| Some((*key, words.iter().find(|word| text.holds(word))?.as_str())));
            if let Some((key, word)) = found {
                banned.push(name.clone());
                said.hear(*then, name, format!("rule {name}: `{word}` in {key}"));
            }
        }
        let mut history = score.history.clone();
        history.extend(model.iter().flat_map(|m| m.history.clone()));
        let facts = Facts { score: score.clone(), history, banned, risk: model.map(|m| m.score) };
        let context = context(&facts);
        for (name, program, then) in &self.rules {
            match program.execute(&context) {
                Ok(Value::Bool(true)) => said.hear(*then, name, format!("rule {name}")),
                Ok(Value::Bool(false)) => {}
                // Nobody knows what it would have said: a person looks, and is told.
                Ok(other) => said.hear(
                    Consequence::Tier(1),
                    name,
                    format!("rule {name} could not be evaluated: it gave {}", other.type_of()),
                ),
                Err(why) => said.hear(
                    Consequence::Tier(1),
                    name,
                    format!("rule {name} could not be evaluated: {why}"),
                ),
            }
        }
        said
    }
}

#[async_trait]
impl RiskScorer for RuleScorer {
    async fn score(
        &self,
        score: Score,
        ticket: &Ticket,
    ) -> Reply<<Score as Effect>::Done, <Score as Effect>::Declined> {
        let rules = score.rules.clone();
        let set = if rules.is_empty() { None } else { self.sets.get(&rules) };
        if !rules.is_empty() && set.is_none() {
            let why = format!("the rules {rules} are not loaded");
            return Reply::Declined(ScoreRefused { why });
        }
        let answer = match &self.model {
            None => Reply::Done(Scored::of(0).into()),
            Some(model) => model.score(score.clone(), ticket).await,
        };
        let Some(set) = set else { return answer };
        match answer {
            Reply::Done(done::Score::Scored(scored)) => {
                let said = set.apply(&score, self.model.is_some().then_some(&scored));
                if let Some(rule) = said.refused {
                    return Reply::Done(Banned { rule }.into());
                }
                let tier = scored.tier.max(said.tier);
                let reasons = scored.reasons.into_iter().chain(said.reasons).collect();
                Reply::Done(Scored { tier, reasons, rules, ..scored }.into())
            }
            Reply::Done(done::Score::Banned(banned)) => Reply::Done(banned.into()),
            failed @ (Reply::Declined(_)
            | Reply::NotSent(_)
            | Reply::Later(_)
            | Reply::Unknown(_)
            | Reply::Contradicted(_)) => match set.apply(&score, None).refused {
                Some(rule) => Reply::Done(Banned { rule }.into()),
                None => failed,
            },
        }
    }
}
