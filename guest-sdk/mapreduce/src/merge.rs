//! Sorted sources as one, and their records in groups of one key.

use std::cmp::Ordering;
use std::marker::PhantomData;

use serde::de::DeserializeOwned;

use crate::run::Records;
use crate::short;

/// The blocks of one part of one run, in order.
pub(crate) trait Source {
    /// The next block; none at the end.
    fn next(&mut self) -> Result<Option<Vec<u8>>, String>;
}

/// A merge of sources. Of records with one key those of an earlier source come first, so its result depends on the sources alone.
///
/// It is a heap of cursors: its root is the smallest, and after each record it sinks to its place.
pub(crate) struct Merge {
    cursors: Vec<Cursor>,
    /// Indices of cursors.
    heap: Vec<u32>,
}

struct Cursor {
    source: Box<dyn Source>,
    records: Records,
    /// The first eight bytes of the key, as a number of that order.
    prefix: u64,
}

/// The beginning of a key, as a number that has the order of keys.
#[inline]
pub(crate) fn prefix(key: &[u8]) -> u64 {
    match key.first_chunk() {
        Some(eight) => u64::from_be_bytes(*eight),
        None => {
            let mut eight = [0; 8];
            eight[..key.len()].copy_from_slice(key);
            u64::from_be_bytes(eight)
        }
    }
}

impl Cursor {
    fn advance(&mut self) -> Result<bool, String> {
        while !self.records.advance()? {
            match self.source.next()? {
                Some(block) => self.records = Records::new(block),
                None => return Ok(false),
            }
        }
        self.prefix = prefix(self.records.key());
        Ok(true)
    }
}

impl Merge {
    pub(crate) fn new(sources: impl IntoIterator<Item = Box<dyn Source>>) -> Result<Self, String> {
        let (mut cursors, mut heap) = (Vec::new(), Vec::new());
        for source in sources {
            let mut cursor = Cursor { source, records: Records::default(), prefix: 0 };
            if cursor.advance()? {
                heap.push(cursors.len() as u32);
                cursors.push(cursor);
            }
        }
        let mut merge = Self { cursors, heap };
        (0..merge.heap.len() / 2).rev().for_each(|at| merge.sink(at));
        Ok(merge)
    }

    /// The record that is next.
    #[inline]
    pub(crate) fn record(&self) -> Option<(&[u8], &[u8])> {
        let root = *self.heap.first()?;
        let records = &self.cursors[root as usize].records;
        Some((records.key(), records.value()))
    }

    #[inline]
    pub(crate) fn advance(&mut self) -> Result<(), String> {
        let Some(&root) = self.heap.first() else { return Ok(()) };
        if !self.cursors[root as usize].advance()? {
            self.heap.swap_remove(0);
        }
        self.sink(0);
        Ok(())
    }

    fn less(&self, a: u32, b: u32) -> bool {
        let (one, other) = (&self.cursors[a as usize], &self.cursors[b as usize]);
        let order = one.prefix.cmp(&other.prefix).then_with(|| one.records.key().cmp(other.records.key())).then(a.cmp(&b));
        order == Ordering::Less
    }

    fn sink(&mut self, mut at: usize) {
        loop {
            let mut child = 2 * at + 1;
            if child >= self.heap.len() {
                return;
            }
            if child + 1 < self.heap.len() && self.less(self.heap[child + 1], self.heap[child]) {
                child += 1;
            }
            if !self.less(self.heap[child], self.heap[at]) {
                return;
            }
            self.heap.swap(at, child);
            at = child;
        }
    }
}

/// A merge by groups.
pub(crate) struct Groups {
    merge: Merge,
    key: Vec<u8>,
    /// There is a group already.
    begun: bool,
    /// Of the first thing that went wrong; after it there is nothing more.
    error: Option<String>,
    pub(crate) records: u64,
}

impl Groups {
    pub(crate) fn new(merge: Merge) -> Self {
        Self { merge, key: Vec::new(), begun: false, error: None, records: 0 }
    }

    /// Goes to the next group, past what was not read of the one before; its key.
    pub(crate) fn next(&mut self) -> Result<Option<&[u8]>, String> {
        while self.begun && self.in_group() {
            self.advance();
        }
        if let Some(error) = self.error.take() {
            return Err(error);
        }
        let Some((key, _)) = self.merge.record() else { return Ok(None) };
        self.key.clear();
        self.key.extend_from_slice(key);
        self.begun = true;
        Ok(Some(&self.key))
    }

    fn in_group(&self) -> bool {
        self.error.is_none() && self.merge.record().is_some_and(|(key, _)| short::same(key, &self.key))
    }

    fn advance(&mut self) {
        self.records += 1;
        if let Err(error) = self.merge.advance() {
            self.error = Some(error);
        }
    }

    fn value<V: DeserializeOwned>(&mut self) -> Option<V> {
        if !self.in_group() {
            return None;
        }
        let value = postcard::from_bytes(self.merge.record()?.1);
        self.advance();
        match value {
            Ok(value) => Some(value),
            Err(error) => {
                self.error.get_or_insert(format!("a value cannot be read: {error}"));
                None
            }
        }
    }
}

/// The values of one key, as a reducer gets them: read one by one, from wherever they lie. They are never all in memory, and those that
/// are not asked for are passed over.
///
/// They come in the order of the map tasks, and of each in the order in which it emitted them, whatever happened meanwhile.
pub struct Values<'a, V> {
    groups: &'a mut Groups,
    types: PhantomData<fn() -> V>,
}

impl<'a, V> Values<'a, V> {
    pub(crate) fn new(groups: &'a mut Groups) -> Self {
        Self { groups, types: PhantomData }
    }
}

impl<V: DeserializeOwned> Iterator for Values<'_, V> {
    type Item = V;

    fn next(&mut self) -> Option<V> {
        self.groups.value()
    }
}

impl<V> std::fmt::Debug for Values<'_, V> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Values").finish_non_exhaustive()
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use std::collections::{BTreeMap, VecDeque};

    use proptest::prelude::*;

    use super::*;
    use crate::run::tests::{blocks, write};

    impl Source for VecDeque<Vec<u8>> {
        fn next(&mut self) -> Result<Option<Vec<u8>>, String> {
            Ok(self.pop_front())
        }
    }

    fn merge(sources: &[Vec<(Vec<u8>, u64)>]) -> Groups {
        let source = |records: &Vec<(Vec<u8>, u64)>| {
            let records: Vec<_> = records.iter().map(|(key, n)| (0, key.clone(), postcard::to_allocvec(n).unwrap())).collect();
            Box::new(VecDeque::from(blocks(&write(1, &records), 0))) as Box<dyn Source>
        };
        Groups::new(Merge::new(sources.iter().map(source)).unwrap())
    }

    proptest! {
        #[test]
        fn groups_come_in_order_with_all_their_values_in_the_order_of_the_sources(
            mut sources in prop::collection::vec(prop::collection::vec((prop::collection::vec(0..3u8, 0..10), any::<u64>()), 0..20), 0..9),
            take in prop_oneof![Just(usize::MAX), 0..4usize],
        ) {
            let mut expected = BTreeMap::<Vec<u8>, Vec<u64>>::new();
            for source in &mut sources {
                source.sort_by(|a, b| a.0.cmp(&b.0));
                source.iter().for_each(|(key, n)| expected.entry(key.clone()).or_default().push(*n));
            }
            let mut groups = merge(&sources);
            let mut found = Vec::new();
            while let Some(key) = groups.next().unwrap() {
                let key = key.to_vec();
                found.push((key, Values::<u64>::new(&mut groups).take(take).collect::<Vec<_>>()));
            }
            expected.values_mut().for_each(|values| values.truncate(take));
            prop_assert_eq!(found, expected.into_iter().collect::<Vec<_>>());
        }
    }
}
