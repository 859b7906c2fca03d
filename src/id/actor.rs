//! Who asked.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::name::{self, IdError, IdFault, IdKind};

/// Who triggers an input: a role, and an id the host knows them by.
///
/// Written `agent:anna`, or the role alone when the id is empty. The id is a reference of at most
/// 64 bytes without control characters, not a name to print on a letter.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Actor {
    role: Role,
    id: Arc<str>,
}

/// In which capacity an actor asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Role {
    /// Whoever ordered.
    Customer,
    /// A person who works for the shop.
    Agent,
    /// The application the library is embedded in.
    Host,
    /// The library itself: a timer, an outcome, a route.
    System,
}

impl Role {
    /// The role's name: `customer`, `agent`, `host`, `system`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Customer => "customer",
            Self::Agent => "agent",
            Self::Host => "host",
            Self::System => "system",
        }
    }
}

impl Actor {
    /// An actor in a role; the id may be empty.
    ///
    /// # Errors
    ///
    /// [`IdFault::TooLong`] above 64 bytes, then [`IdFault::Character`] for a control character.
    pub fn new(role: Role, id: &str) -> Result<Self, IdError> {
        name::check(IdKind::Actor, id, 64, "the characters that print", |c| {
            !c.is_control()
        })?;
        let id = Arc::from(id);
        Ok(Self { role, id })
    }

    /// A customer, by the host's id.
    ///
    /// # Errors
    ///
    /// As [`new`](Self::new).
    pub fn customer(id: &str) -> Result<Self, IdError> {
        Self::new(Role::Customer, id)
    }

    /// A person who works for the shop, by the host's id. Four eyes are told apart by it.
    ///
    /// # Errors
    ///
    /// As [`new`](Self::new).
    pub fn agent(id: &str) -> Result<Self, IdError> {
        Self::new(Role::Agent, id)
    }

    /// A part of the host application.
    ///
    /// # Errors
    ///
    /// As [`new`](Self::new).
    pub fn host(id: &str) -> Result<Self, IdError> {
        Self::new(Role::Host, id)
    }

    /// The library itself.
    #[must_use]
    pub fn system() -> Self {
        Self {
            role: Role::System,
            id: Arc::default(),
        }
    }

    /// In which capacity.
    #[must_use]
    pub const fn role(&self) -> Role {
        self.role
    }

    /// By which id of the host's; may be empty.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Role {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        [Self::Customer, Self::Agent, Self::Host, Self::System]
            .into_iter()
            .find(|role| role.as_str() == text)
            .ok_or(IdError {
                kind: IdKind::Actor,
                why: IdFault::Role,
            })
    }
}

impl Serialize for Role {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for Role {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        name::from_text(deserializer)
    }
}

impl fmt::Display for Actor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.role.as_str())?;
        if self.id.is_empty() {
            return Ok(());
        }
        write!(f, ":{}", self.id)
    }
}

impl FromStr for Actor {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        let (role, id) = text.split_once(':').unwrap_or((text, ""));
        Self::new(role.parse()?, id)
    }
}

impl Serialize for Actor {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Actor {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        name::from_text(deserializer)
    }
}
