//! What a map task has emitted and not written yet: combined in a table, or as it came.

use crate::merge::prefix;
use crate::run::{Keep, Run, Writer};
use crate::{hash, short, varint};

/// Values by key, combined as they come. The keys lie in one piece of memory, so that a known key allocates nothing.
pub(crate) struct Table<V> {
    keys: Vec<u8>,
    entries: Vec<Entry>,
    values: Vec<V>,
    /// Open addressing, at most half full: part of the hash, and the number of the entry and one more.
    slots: Vec<(u32, u32)>,
}

struct Entry {
    offset: u32,
    len: u32,
    hash: u64,
    part: u32,
}

impl Entry {
    fn key<'a>(&self, keys: &'a [u8]) -> &'a [u8] {
        &keys[self.offset as usize..][..self.len as usize]
    }
}

impl<V> Table<V> {
    pub(crate) fn new() -> Self {
        Self { keys: Vec::new(), entries: Vec::new(), values: Vec::new(), slots: vec![(0, 0); 1024] }
    }

    /// Adds a value. `part` is asked once for each key.
    #[inline]
    pub(crate) fn add(&mut self, key: &[u8], value: V, combine: fn(&mut V, V), part: impl FnOnce(u64) -> u32) {
        let hash = hash::hash(key);
        let tag = (hash >> 32) as u32;
        let mask = self.slots.len() - 1;
        let mut at = hash as usize & mask;
        loop {
            let (found, number) = self.slots[at];
            if number == 0 {
                break;
            }
            if found == tag && short::same(self.entries[number as usize - 1].key(&self.keys), key) {
                return combine(&mut self.values[number as usize - 1], value);
            }
            at = (at + 1) & mask;
        }
        self.entries.push(Entry { offset: self.keys.len() as u32, len: key.len() as u32, hash, part: part(hash) });
        short::append(&mut self.keys, key);
        self.values.push(value);
        self.slots[at] = (tag, self.entries.len() as u32);
        if self.entries.len() * 2 > self.slots.len() {
            self.grow();
        }
    }

    #[cold]
    fn grow(&mut self) {
        let size = self.slots.len() * 2;
        // The old ones are given back first.
        self.slots = Vec::new();
        self.slots = vec![(0, 0); size];
        for (entry, number) in self.entries.iter().zip(1..) {
            let mut at = entry.hash as usize & (size - 1);
            while self.slots[at].1 != 0 {
                at = (at + 1) & (size - 1);
            }
            self.slots[at] = ((entry.hash >> 32) as u32, number);
        }
    }

    /// About how many bytes it takes, but for what values have elsewhere.
    pub(crate) fn size(&self) -> usize {
        self.keys.len() + self.entries.len() * (size_of::<Entry>() + size_of::<V>()) + self.slots.len() * size_of::<(u32, u32)>()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Writes all of it, sorted, and is empty then. `write` writes a value.
    pub(crate) fn drain<P>(
        &mut self,
        parts: u32,
        keep: Keep<'_, P>,
        mut write: impl FnMut(&V, &mut Vec<u8>) -> Result<(), String>,
    ) -> Result<(Run<P>, u64), String> {
        let (entries, keys) = (&self.entries, &self.keys);
        let mut order: Vec<(u32, u64, u32)> =
            entries.iter().zip(0..).map(|(entry, number)| (entry.part, prefix(entry.key(keys)), number)).collect();
        order.sort_unstable_by(|a, b| {
            (a.0, a.1).cmp(&(b.0, b.1)).then_with(|| entries[a.2 as usize].key(keys).cmp(entries[b.2 as usize].key(keys)))
        });
        let (mut writer, mut value) = (Writer::new(parts, keep), Vec::new());
        for (part, _, number) in order {
            value.clear();
            write(&self.values[number as usize], &mut value)?;
            writer.push(part, entries[number as usize].key(keys), &value)?;
        }
        let (run, count) = (writer.finish()?, self.entries.len() as u64);
        self.keys.clear();
        self.entries.clear();
        self.values.clear();
        self.slots.fill((0, 0));
        Ok((run, count))
    }
}

/// Records as they came, in memory that does not grow beyond its limit.
pub(crate) struct Heap {
    /// The key, the value's length, the value; again and again.
    bytes: Vec<u8>,
    index: Vec<Place>,
    limit: usize,
}

#[derive(Clone, Copy)]
struct Place {
    prefix: u64,
    part: u32,
    offset: u32,
    key: u32,
}

impl Heap {
    /// As much as is taken at once: from there on all that may be, for to move what is there takes as much again.
    const FIRST: usize = 256 << 10;

    pub(crate) fn new(limit: usize) -> Self {
        Self { bytes: Vec::new(), index: Vec::new(), limit }
    }

    /// Adds a record, if there is room. There is for any, if it is the first.
    pub(crate) fn add(&mut self, key: &[u8], value: &[u8], part: u32) -> bool {
        let len = key.len() + value.len() + 10;
        if !(self.has_room(len) || self.grow(len)) {
            return false;
        }
        self.index.push(Place { prefix: prefix(key), part, offset: self.bytes.len() as u32, key: key.len() as u32 });
        short::append(&mut self.bytes, key);
        varint::push(&mut self.bytes, value.len() as u64);
        short::append(&mut self.bytes, value);
        true
    }

    fn has_room(&self, len: usize) -> bool {
        // The next short piece may be written with eight bytes more.
        self.bytes.capacity() - self.bytes.len() >= len + 16 && self.index.len() < self.index.capacity()
    }

    #[cold]
    fn grow(&mut self, len: usize) -> bool {
        if self.is_empty() {
            self.bytes.reserve(len.max(Self::FIRST.min(self.limit)) + 16);
            self.index.reserve(Self::FIRST / 64);
            return true;
        }
        let (bytes, places) = (self.limit / 3 * 2, self.limit / 3 / size_of::<Place>());
        if self.bytes.capacity() >= bytes && self.index.capacity() >= places {
            return false;
        }
        self.bytes.reserve_exact(bytes.saturating_sub(self.bytes.len()));
        self.index.reserve_exact(places.saturating_sub(self.index.len()));
        self.has_room(len)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.index.is_empty()
    }

    /// Writes all of it, sorted, those of one key in the order in which they came; is empty then.
    pub(crate) fn drain<P>(&mut self, parts: u32, keep: Keep<'_, P>) -> Result<(Run<P>, u64), String> {
        let bytes = &self.bytes;
        let key = |place: &Place| &bytes[place.offset as usize..][..place.key as usize];
        self.index.sort_unstable_by(|a, b| {
            (a.part, a.prefix).cmp(&(b.part, b.prefix)).then_with(|| key(a).cmp(key(b))).then(a.offset.cmp(&b.offset))
        });
        let mut writer = Writer::new(parts, keep);
        for place in &self.index {
            let mut at = (place.offset + place.key) as usize;
            let len = varint::pull(bytes, &mut at).unwrap_or_default() as usize;
            writer.push(place.part, key(place), &bytes[at..at + len])?;
        }
        let (run, count) = (writer.finish()?, self.index.len() as u64);
        self.bytes.clear();
        self.index.clear();
        Ok((run, count))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;
    use crate::run::Records;
    use crate::run::tests::blocks;

    fn records(run: &Run<Vec<u8>>) -> Vec<(u32, Vec<u8>, Vec<u8>)> {
        let mut all = Vec::new();
        for part in 0..run.parts.len() {
            for block in blocks(run, part) {
                let mut block = Records::new(block);
                while block.advance().unwrap() {
                    all.push((part as u32, block.key().to_vec(), block.value().to_vec()));
                }
            }
        }
        all
    }

    fn keep(page: &[u8]) -> Result<Vec<u8>, String> {
        Ok(page.to_vec())
    }

    proptest! {
        #[test]
        fn a_table_combines_all_values_of_a_key(emitted in prop::collection::vec((0..2000u32, 0..99u8), 0..3000), twice in any::<bool>()) {
            let mut table = Table::new();
            let mut expected = BTreeMap::<(u32, Vec<u8>), u8>::new();
            for _ in 0..=u8::from(twice) {
                expected.clear();
                for (n, value) in &emitted {
                    let key = n.to_be_bytes();
                    let part = hash::part(hash::hash(&key), 5);
                    table.add(&key, *value, |a, b| *a = a.wrapping_add(b), |hash| hash::part(hash, 5));
                    let sum = expected.entry((part, key.to_vec())).or_default();
                    *sum = sum.wrapping_add(*value);
                }
                let (run, count) = table.drain(5, &mut keep, |value, bytes| {
                    bytes.push(*value);
                    Ok(())
                }).unwrap();
                prop_assert!(table.is_empty());
                prop_assert_eq!(count as usize, expected.len());
                let expected: Vec<_> = expected.iter().map(|((part, key), sum)| (*part, key.clone(), vec![*sum])).collect();
                prop_assert_eq!(records(&run), expected);
            }
        }

        #[test]
        fn a_heap_keeps_the_order_of_equal_keys(emitted in prop::collection::vec((0..3u32, prop::collection::vec(0..2u8, 0..10)), 0..300)) {
            let mut heap = Heap::new(1000);
            let mut expected = Vec::new();
            let emitted_len = emitted.len();
            for ((part, key), n) in emitted.into_iter().zip(0u32..) {
                if !heap.add(&key, &n.to_be_bytes(), part) {
                    break;
                }
                expected.push((part, key, n.to_be_bytes().to_vec()));
            }
            expected.sort();
            prop_assert!(expected.len() >= emitted_len.min(8));
            prop_assert_eq!(records(&heap.drain(3, &mut keep).unwrap().0), expected);
            prop_assert!(heap.is_empty());
        }
    }
}
