//! What a job has put out, in the driver.

use std::fmt;
use std::marker::PhantomData;

use serde::de::DeserializeOwned;

use crate::varint;

/// The pairs that a job has put out: those of the first reduce task, then those of the second and so on, each in the order in which they
/// were emitted, which is that of the keys unless the reducer emits others than it gets.
pub struct Results<K, V> {
    parts: std::vec::IntoIter<Vec<u8>>,
    part: Vec<u8>,
    at: usize,
    types: PhantomData<fn() -> (K, V)>,
}

impl<K, V> Results<K, V> {
    pub(crate) fn new(parts: Vec<Vec<u8>>) -> Self {
        Self { parts: parts.into_iter(), part: Vec::new(), at: 0, types: PhantomData }
    }
}

impl<K: DeserializeOwned, V: DeserializeOwned> Iterator for Results<K, V> {
    type Item = (K, V);

    /// # Panics
    /// Where a pair is not of these types, as may be if a type reads other than it writes.
    fn next(&mut self) -> Option<(K, V)> {
        while self.at == self.part.len() {
            self.part = self.parts.next()?;
            self.at = 0;
        }
        let len = varint::pull(&self.part, &mut self.at)? as usize;
        let bytes = self.part.get(self.at..self.at + len)?;
        self.at += len;
        Some(postcard::from_bytes(bytes).unwrap_or_else(|error| panic!("a result cannot be read: {error}")))
    }
}

impl<K, V> fmt::Debug for Results<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Results").finish_non_exhaustive()
    }
}
