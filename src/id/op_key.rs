//! The key of one operation on the outside.

use std::fmt;

use sha2::{Digest, Sha256};

use super::{Key, OrderKey};

/// The key an effect is sent under: the same for one logical operation over every retry, restart and worker.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct OpKey(String);

impl OpKey {
    /// Derives the key from what the operation is: order, placement, instance, kind and number.
    #[must_use]
    pub fn derive(order: &OrderKey, place: &str, key: Key, effect: &str, nth: u32) -> Self {
        let mut h = Sha256::new();
        for part in [order.tenant.as_str(), order.order.as_str(), place, effect] {
            h.update(part.as_bytes());
            h.update([0xff]);
        }
        h.update(key.0.to_le_bytes());
        h.update(nth.to_le_bytes());
        let digest = h.finalize();
        let mut text = String::with_capacity(32);
        for byte in digest.iter().take(16) {
            use fmt::Write as _;
            let _ = write!(text, "{byte:02x}");
        }
        Self(text)
    }

    /// The key: 32 lowercase hexadecimal digits.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for OpKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
