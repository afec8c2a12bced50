//! What owns places: the embedder, the host itself, a place, a session with another node.
//!
//! Whoever owns a place ends it by ending, and pays for what it leaves behind. An owner knows the places here and how to stop those
//! elsewhere; it does not know how an order reaches another node.

use std::sync::Arc;

use super::Family;
use crate::channel::Account;

/// Something that may own places.
#[derive(Debug)]
pub(crate) struct Owner {
    pub(crate) family: Family,
    /// What it keeps in the host's memory.
    pub(crate) account: Arc<Account>,
    /// Whether it pays for what its places leave behind.
    pays: bool,
    /// Whether it is told how its places end. Else the log has to say when one goes wrong, for nobody may ask.
    told: bool,
}

impl Owner {
    /// An owner that pays from `account` for what its places leave behind.
    pub(crate) fn new(account: Arc<Account>) -> Arc<Self> {
        Arc::new(Self { family: Family::default(), account, pays: true, told: false })
    }

    /// The embedder. What its places leave behind is nobody's expense.
    pub(crate) fn embedder() -> Arc<Self> {
        Arc::new(Self { family: Family::default(), account: Account::new(u64::MAX), pays: false, told: true })
    }

    /// The host itself, of places that are detached.
    pub(crate) fn host() -> Arc<Self> {
        Arc::new(Self { family: Family::default(), account: Account::new(u64::MAX), pays: false, told: false })
    }

    /// Ends all it owns; from now on it can own nothing more.
    pub(crate) fn end(&self) {
        self.family.end();
    }

    pub(super) fn is_told(&self) -> bool {
        self.told
    }

    /// Who inherits what its places leave behind.
    pub(super) fn heir(&self) -> Option<&Arc<Account>> {
        self.pays.then_some(&self.account)
    }
}
