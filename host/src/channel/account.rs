//! What a place may keep in the host's memory: blobs, and messages in the channels it made.
//!
//! The host's memory is not the place's own, so its memory limit would not see it. An account has that limit too.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Bytes in use against a limit.
#[derive(Debug)]
pub struct Account {
    used: AtomicU64,
    limit: u64,
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
        Arc::new(Self { used: AtomicU64::new(0), limit })
    }

    /// Takes `bytes` until the charge is dropped.
    ///
    /// # Errors
    /// [`OverBudget`] where the limit would be exceeded; nothing is taken.
    pub fn charge(self: &Arc<Self>, bytes: u64) -> Result<Charge, OverBudget> {
        let mut charge = Charge { account: Arc::clone(self), bytes: 0 };
        charge.resize(bytes)?;
        Ok(charge)
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
        let Account { used, limit } = &*self.account;
        if bytes > self.bytes {
            let more = bytes - self.bytes;
            let fits = |used: u64| used.checked_add(more).filter(|sum| sum <= limit);
            used.fetch_update(Relaxed, Relaxed, fits).map_err(|_| OverBudget { limit: *limit })?;
        } else {
            used.fetch_sub(self.bytes - bytes, Relaxed);
        }
        self.bytes = bytes;
        Ok(())
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        self.account.used.fetch_sub(self.bytes, Relaxed);
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
}
