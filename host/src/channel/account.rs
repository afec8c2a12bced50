//! What a place may keep in the host's memory: blobs, and messages in the channels it made.
//!
//! The host's memory is not the place's own, so its memory limit would not see it. An account has that limit too. When its place
//! ends, what is still in use is inherited by the account of the place's parent, down to the last: a place cannot shed what it
//! keeps by ending.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use super::circles;
use super::mailbox::Conduit;

/// Bytes in use against a limit.
#[derive(Debug)]
pub struct Account {
    limit: u64,
    books: Mutex<Books>,
}

#[derive(Debug, Default)]
struct Books {
    used: u64,
    /// Whose account this one has become a part of.
    heir: Option<Arc<Account>>,
    /// The channels charged here; some may be gone.
    conduits: Vec<Weak<Conduit>>,
    /// How many of them there may be before those that are gone are looked for.
    prune_at: usize,
}

impl Books {
    /// Adds channels, after looking whether many are gone.
    fn remember(&mut self, conduits: impl IntoIterator<Item = Weak<Conduit>>) {
        if self.conduits.len() >= self.prune_at {
            self.conduits.retain(|conduit| conduit.strong_count() > 0);
            self.prune_at = (self.conduits.len() * 2).max(64);
        }
        self.conduits.extend(conduits);
    }
}

/// The account is used up.
#[derive(Clone, Copy, Debug, thiserror::Error, PartialEq, Eq)]
#[error("the blobs and unread messages of this place are over its memory limit of {limit} bytes")]
pub struct OverBudget {
    limit: u64,
}

impl Account {
    /// An account over `limit` bytes.
    pub fn new(limit: u64) -> Arc<Self> {
        Arc::new(Self { limit, books: Mutex::default() })
    }

    /// Takes `bytes` until the charge is dropped. Must not be called while a mailbox is locked.
    ///
    /// # Errors
    /// [`OverBudget`] where the limit would be exceeded; nothing is taken.
    pub fn charge(self: &Arc<Self>, bytes: u64) -> Result<Charge, OverBudget> {
        let mut charge = Charge { account: Arc::clone(self), bytes: 0 };
        if charge.resize(bytes).is_err() {
            self.collect();
            charge.resize(bytes)?;
        }
        Ok(charge)
    }

    /// Remembers a channel that is charged here.
    pub(super) fn add(&self, conduit: &Arc<Conduit>) {
        self.books().remember([Arc::downgrade(conduit)]);
    }

    /// At the end of the place: gives back what nobody can reach, and leaves the rest to its parent.
    pub(crate) fn settle(&self, heir: Option<&Arc<Self>>) {
        self.collect();
        let mut books = self.books();
        let conduits = std::mem::take(&mut books.conduits);
        let Some(heir) = heir else { return };
        books.heir = Some(Arc::clone(heir));
        // The books stay locked meanwhile, so that nothing is given back between the two entries. Locks are taken from child to
        // parent only.
        let mut next = Some(Arc::clone(heir));
        while let Some(account) = next {
            let mut inherited = account.books();
            inherited.used += books.used;
            next = inherited.heir.clone();
            if next.is_none() {
                inherited.remember(conduits.into_iter().filter(|conduit| conduit.strong_count() > 0));
                return;
            }
        }
    }

    fn collect(&self) {
        let conduits: Vec<_> = self.books().conduits.iter().filter_map(Weak::upgrade).collect();
        circles::collect(&conduits);
    }

    fn give_back(self: &Arc<Self>, bytes: u64) {
        let mut next = Some(Arc::clone(self));
        while let Some(account) = next {
            let mut books = account.books();
            books.used -= bytes;
            next = books.heir.clone();
        }
    }

    fn books(&self) -> MutexGuard<'_, Books> {
        self.books.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Bytes taken from an [`Account`], given back when dropped.
#[derive(Debug)]
pub struct Charge {
    account: Arc<Account>,
    bytes: u64,
}

impl Charge {
    /// What is taken now.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Takes more, or gives some back.
    pub(crate) fn resize(&mut self, bytes: u64) -> Result<(), OverBudget> {
        if bytes < self.bytes {
            self.account.give_back(self.bytes - bytes);
        } else {
            self.take(bytes - self.bytes)?;
        }
        self.bytes = bytes;
        Ok(())
    }

    /// Takes more from the account and, where it has been inherited, from the one that counts it now.
    fn take(&self, more: u64) -> Result<(), OverBudget> {
        let mut taken = Vec::new();
        let mut next = Some(Arc::clone(&self.account));
        while let Some(account) = next {
            let mut books = account.books();
            match books.used.checked_add(more).filter(|&sum| sum <= account.limit) {
                Some(sum) => books.used = sum,
                None => {
                    drop(books);
                    taken.into_iter().for_each(|account: Arc<Account>| account.books().used -= more);
                    return Err(OverBudget { limit: account.limit });
                }
            }
            next = books.heir.clone();
            drop(books);
            if next.is_some() || !taken.is_empty() {
                taken.push(account);
            }
        }
        Ok(())
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        self.account.give_back(self.bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_charge_is_refused_over_the_limit_and_given_back_when_dropped() {
        let account = Account::new(100);
        let mut first = account.charge(60).unwrap();
        assert_eq!(account.charge(41).unwrap_err(), OverBudget { limit: 100 });
        first.resize(10).unwrap();
        let second = account.charge(90).unwrap();
        assert!(first.resize(11).is_err());
        drop((first, second));
        assert!(account.charge(100).is_ok());
        assert!(account.charge(u64::MAX).is_err());
    }

    #[test]
    fn what_a_place_leaves_behind_is_its_ancestors() {
        let (grandparent, parent, child) = (Account::new(100), Account::new(100), Account::new(100));
        let mut left = child.charge(70).unwrap();
        parent.settle(Some(&grandparent));
        child.settle(Some(&parent));
        assert!(grandparent.charge(31).is_err());
        left.resize(80).unwrap();
        assert!(grandparent.charge(21).is_err() && grandparent.charge(20).is_ok());
        let other = grandparent.charge(20).unwrap();
        assert_eq!(left.resize(81), Err(OverBudget { limit: 100 }));
        drop((left, other));
        assert!(grandparent.charge(100).is_ok());
    }
}
