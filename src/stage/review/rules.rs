//! Rules in the host's own words, as data. The scorer applies them; here they are only kept.

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::tier::Consequence;

/// Rules that a scorer applies to an order, snapshotted with the policy.
///
/// The expressions are in the Common Expression Language. What they may speak of and how they are checked stands with
/// `gateway::RuleScorer` (feature `rules`), which evaluates them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RuleSet {
    /// Its name, for people.
    pub name: String,
    /// The rules; every one that fits counts.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rules: Vec<Rule>,
    /// Lists of words that texts of the order must not hold.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub words: Vec<WordList>,
}

/// A condition, and what it leads to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rule {
    /// What it is called, in the reasons that people read.
    pub name: String,
    /// The condition: `amount > 100000 && industry == "gambling"`.
    pub when: String,
    /// What becomes of an order that it fits.
    pub then: Consequence,
}

/// Words that mean trouble. Letters of either case are the same, and a word is found as a whole word only.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WordList {
    /// What the list is called, in the reasons that people read.
    pub name: String,
    /// The words; phrases of several words are words too.
    pub words: Vec<String>,
    /// What becomes of an order that holds one.
    pub then: Consequence,
}

impl RuleSet {
    /// A set without rules.
    #[must_use]
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), ..Self::default() }
    }

    /// The same with a rule more.
    #[must_use]
    pub fn rule(mut self, name: impl Into<String>, when: impl Into<String>, then: Consequence) -> Self {
        self.rules.push(Rule { name: name.into(), when: when.into(), then });
        self
    }

    /// The same with a list of words more.
    #[must_use]
    pub fn words<W: Into<String>>(
        mut self,
        name: impl Into<String>,
        words: impl IntoIterator<Item = W>,
        then: Consequence,
    ) -> Self {
        let words = words.into_iter().map(Into::into).collect();
        self.words.push(WordList { name: name.into(), words, then });
        self
    }

    /// Whether it says nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rules.is_empty() && self.words.is_empty()
    }

    /// What tells this set from every other: the first 16 bytes of the SHA-256 of its content, in hex. A score says by
    /// it which rules it was reached under.
    #[must_use]
    pub fn id(&self) -> String {
        use std::fmt::Write as _;
        let Self { name, rules, words } = self;
        let mut h = Sha256::new();
        let mut tell = |text: &str| {
            // Told with its length, so that two texts are never taken for two others.
            h.update(text.len().to_be_bytes());
            h.update(text);
        };
        tell(name);
        for Rule { name, when, then } in rules {
            tell("rule");
            tell(name);
            tell(when);
            tell(&then.word());
        }
        for WordList { name, words, then } in words {
            tell("words");
            tell(name);
            words.iter().for_each(|w| tell(w));
            tell(&then.word());
        }
        let mut id = String::new();
        for byte in h.finalize().iter().take(16) {
            let _ = write!(id, "{byte:02x}");
        }
        id
    }
}
