//! Sorted sources as one, and their records in groups of one key.

use std::cmp::Ordering;
use std::marker::PhantomData;

use serde::de::DeserializeOwned;

use crate::key::head::{Head, Ordered};
use crate::run::Records;
use crate::short;

/// The blocks of one part of one run, in order.
pub(crate) trait Source {
    /// The next block; none at the end.
    fn next(&mut self) -> Result<Option<Vec<u8>>, String>;
}

/// A merge of sources. Of records with one key those of an earlier source come first, so its result depends on the sources alone.
///
/// It is a heap: its root is the smallest, and after each record it sinks to its place.
pub(crate) struct Merge {
    cursors: Vec<Cursor>,
    heap: Vec<Node>,
}

struct Cursor {
    source: Box<dyn Source>,
    records: Records,
}

/// Where a cursor is. What of a key is compared nearly always lies in the heap itself.
#[derive(Clone, Copy)]
struct Node {
    key: Ordered,
    cursor: u32,
}

/// The beginning of a key, as a number that has the order of keys.
#[inline]
pub(crate) fn prefix(key: &[u8]) -> u64 {
    Ordered::of(Head::of(key)).words[0]
}

impl Cursor {
    /// Goes to the next record; its key, if there is one.
    fn advance(&mut self) -> Result<Option<Ordered>, String> {
        while !self.records.advance()? {
            match self.source.next()? {
                Some(block) => self.records = Records::new(block),
                None => return Ok(None),
            }
        }
        Ok(Some(Ordered::of(Head::of(self.records.key()))))
    }
}

impl Merge {
    pub(crate) fn new(sources: impl IntoIterator<Item = Box<dyn Source>>) -> Result<Self, String> {
        let (mut cursors, mut heap) = (Vec::new(), Vec::new());
        for source in sources {
            let mut cursor = Cursor { source, records: Records::default() };
            if let Some(key) = cursor.advance()? {
                heap.push(Node { key, cursor: cursors.len() as u32 });
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
        let records = &self.cursors[self.heap.first()?.cursor as usize].records;
        Some((records.key(), records.value()))
    }

    /// Whether a record is next that has this key.
    #[inline]
    fn is_at(&self, key: &[u8], ordered: &Ordered) -> bool {
        self.heap.first().is_some_and(|root| {
            root.key == *ordered && (key.len() <= Head::MOST || short::same(self.cursors[root.cursor as usize].records.key(), key))
        })
    }

    #[inline]
    pub(crate) fn advance(&mut self) -> Result<(), String> {
        let Some(root) = self.heap.first_mut() else { return Ok(()) };
        match self.cursors[root.cursor as usize].advance()? {
            Some(key) => root.key = key,
            None => drop(self.heap.swap_remove(0)),
        }
        self.sink(0);
        Ok(())
    }

    #[inline(always)]
    fn less(&self, a: &Node, b: &Node) -> bool {
        let key = |node: &Node| self.cursors[node.cursor as usize].records.key();
        a.key.cmp(&b.key, || key(a).cmp(key(b))).then(a.cursor.cmp(&b.cursor)) == Ordering::Less
    }

    fn sink(&mut self, mut at: usize) {
        let Some(&sinking) = self.heap.get(at) else { return };
        loop {
            let mut child = 2 * at + 1;
            if child >= self.heap.len() {
                break;
            }
            if child + 1 < self.heap.len() && self.less(&self.heap[child + 1], &self.heap[child]) {
                child += 1;
            }
            if !self.less(&self.heap[child], &sinking) {
                break;
            }
            self.heap[at] = self.heap[child];
            at = child;
        }
        self.heap[at] = sinking;
    }
}

/// A merge by groups.
pub(crate) struct Groups {
    merge: Merge,
    key: Vec<u8>,
    ordered: Ordered,
    /// There is a group already.
    begun: bool,
    /// Of the first thing that went wrong; after it there is nothing more.
    error: Option<String>,
    pub(crate) records: u64,
}

impl Groups {
    pub(crate) fn new(merge: Merge) -> Self {
        Self { merge, key: Vec::new(), ordered: Ordered::of(Head::of(&[])), begun: false, error: None, records: 0 }
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
        self.ordered = Ordered::of(Head::of(key));
        self.begun = true;
        Ok(Some(&self.key))
    }

    fn in_group(&self) -> bool {
        self.error.is_none() && self.merge.is_at(&self.key, &self.ordered)
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

    /// Keys that differ early, late, or only in their length.
    fn key() -> impl Strategy<Value = Vec<u8>> {
        let begin = prop_oneof![Just(0), 7..9usize, 15..18usize].prop_map(|len| vec![1; len]);
        (begin, prop::collection::vec(0..3u8, 0..4)).prop_map(|(begin, end)| [begin, end].concat())
    }

    proptest! {
        #[test]
        fn groups_come_in_order_with_all_their_values_in_the_order_of_the_sources(
            mut sources in prop::collection::vec(prop::collection::vec((key(), any::<u64>()), 0..20), 0..9),
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
