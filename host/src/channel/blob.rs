//! Immutable bytes that places share without copying.

use std::ops::Range;
use std::sync::Arc;

use super::account::{Account, Charge, OverBudget};

/// A range of shared, immutable bytes. Clones and slices share them.
#[derive(Clone, Debug)]
pub struct Blob {
    bytes: Arc<Bytes>,
    range: Range<usize>,
}

#[derive(Debug)]
struct Bytes {
    data: Vec<u8>,
    /// Held for its drop: the account is relieved when the last handle goes.
    _charge: Option<Charge>,
}

impl Blob {
    /// A blob at nobody's expense.
    pub fn new(data: Vec<u8>) -> Self {
        Self::of(data, None)
    }

    /// A blob charged to `account` as long as anybody has it or a slice of it.
    pub fn on(account: &Arc<Account>, data: Vec<u8>) -> Result<Self, OverBudget> {
        let charge = account.charge(data.len() as u64)?;
        Ok(Self::of(data, Some(charge)))
    }

    /// A blob whose charge was taken before.
    pub(crate) fn charged(data: Vec<u8>, charge: Charge) -> Self {
        Self::of(data, Some(charge))
    }

    fn of(data: Vec<u8>, charge: Option<Charge>) -> Self {
        let range = 0..data.len();
        Self { bytes: Arc::new(Bytes { data, _charge: charge }), range }
    }

    /// Its bytes.
    pub fn as_slice(&self) -> &[u8] {
        &self.bytes.data[self.range.clone()]
    }

    /// At most `len` bytes from `offset` on; fewer at the end, none past it.
    pub fn read(&self, offset: u64, len: usize) -> &[u8] {
        let all = self.as_slice();
        let start = usize::try_from(offset).map_or(all.len(), |offset| offset.min(all.len()));
        &all[start..start.saturating_add(len).min(all.len())]
    }

    /// A part of it, or nothing where it does not lie inside.
    pub fn slice(&self, offset: u64, len: u64) -> Option<Self> {
        let end = offset.checked_add(len).filter(|&end| end <= self.as_slice().len() as u64)?;
        let range = self.range.start + offset as usize..self.range.start + end as usize;
        Some(Self { bytes: Arc::clone(&self.bytes), range })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slices_share_and_never_leave_their_blob() {
        let blob = Blob::new(b"0123456789".to_vec());
        let middle = blob.slice(2, 5).unwrap();
        assert_eq!(middle.as_slice(), b"23456");
        assert_eq!(middle.slice(1, 4).unwrap().as_slice(), b"3456");
        assert!(middle.slice(1, 5).is_none() && middle.slice(u64::MAX, 2).is_none());
        assert_eq!(middle.read(3, 100), b"56");
        assert_eq!(middle.read(u64::MAX, usize::MAX), b"");
    }
}
