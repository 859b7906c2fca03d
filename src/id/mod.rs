//! Names: who, which order, which channel, which instance.
//!
//! A value of these types is a valid name, also when it was read from a record. The names are
//! shared text, so a clone copies no bytes. What is refused is never repeated in the error, since
//! it may be anything.

mod actor;
mod name;
mod op_key;
pub(crate) mod plain;

pub use actor::{Actor, Role};
pub use name::{Channel, IdError, IdFault, IdKind, OrderId, TenantId};
pub use op_key::OpKey;

use std::fmt;

use serde::{Deserialize, Serialize};

/// An order of a tenant: what every record, hash and index row is keyed by.
///
/// Shown as `tenant/order`; a tenant's name holds no slash, so the first one divides them.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct OrderKey {
    /// Whose order.
    pub tenant: TenantId,
    /// Which one.
    pub order: OrderId,
}

impl OrderKey {
    /// An order of a tenant.
    #[must_use]
    pub const fn new(tenant: TenantId, order: OrderId) -> Self {
        Self { tenant, order }
    }
}

impl From<OrderId> for OrderKey {
    /// The order of the default tenant.
    fn from(order: OrderId) -> Self {
        Self::new(TenantId::default(), order)
    }
}

impl fmt::Display for OrderKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.tenant, self.order)
    }
}

/// Which instance of a machine within an order: the first tender's attempt, the second parcel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Key(pub u32);

impl From<u32> for Key {
    fn from(number: u32) -> Self {
        Self(number)
    }
}

impl From<Key> for u32 {
    fn from(key: Key) -> Self {
        key.0
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests;
