//! What a map task has emitted and not written yet: combined in a table, or as it came.

use crate::key::head::Head;
use crate::merge::prefix;
use crate::run::{Keep, Run, Writer};
use crate::{hash, short, varint};

/// How many short keys are looked up together. Each costs two places in memory that are in no cache, and a processor fetches so many at a
/// time only where no branch depends on one of them: by itself each word of a text waits longer for memory than all else takes.
const TOGETHER: usize = 64;

/// Values by key, combined as they come. The keys lie in one piece of memory, so that a known key allocates nothing, and their heads beside
/// the values.
pub(crate) struct Table<V> {
    keys: Vec<u8>,
    entries: Vec<Entry<V>>,
    /// Open addressing, at most half full: part of the hash, and the number of the entry and one more.
    slots: Vec<(u32, u32)>,
    waiting: Vec<Waiting<V>>,
}

/// A value of a short key that has not been looked up.
struct Waiting<V> {
    head: Head,
    hash: u64,
    value: V,
}

struct Entry<V> {
    words: [u64; 2],
    hash: u64,
    len: u32,
    offset: u32,
    part: u32,
    value: V,
}

impl<V> Entry<V> {
    #[inline]
    fn key<'a>(&self, keys: &'a [u8]) -> &'a [u8] {
        &keys[self.offset as usize..][..self.len as usize]
    }
}

impl<V> Table<V> {
    pub(crate) fn new() -> Self {
        Self { keys: Vec::new(), entries: Vec::new(), slots: vec![(0, 0); 1024], waiting: Vec::with_capacity(TOGETHER) }
    }

    /// The entry of a key, or the slot for it. `same` compares what is beyond the head, where the key is longer.
    #[inline(always)]
    fn find(&self, head: Head, hash: u64, same: impl Fn(&Entry<V>) -> bool) -> Result<usize, usize> {
        let tag = (hash >> 32) as u32;
        let mask = self.slots.len() - 1;
        let mut at = hash as usize & mask;
        loop {
            let (found, number) = self.slots[at];
            let number = (number as usize).wrapping_sub(1);
            let Some(entry) = self.entries.get(number) else { return Err(at) };
            if found == tag && entry.words == head.words && entry.len == head.len && same(entry) {
                return Ok(number);
            }
            at = (at + 1) & mask;
        }
    }

    /// Adds a value of a key that is no longer than its head, some time; whether it is time to [`settle`](Self::settle).
    #[inline(always)]
    pub(crate) fn push(&mut self, head: Head, value: V) -> bool {
        self.waiting.push(Waiting { head, hash: hash::of_head(head), value });
        self.waiting.len() >= TOGETHER
    }

    /// Adds what was pushed. `part` is asked once for each key.
    pub(crate) fn settle(&mut self, combine: fn(&mut V, V), mut part: impl FnMut(&[u8], u64) -> u32) {
        const ELSEWHERE: u32 = u32::MAX;
        let mask = self.slots.len() - 1;
        let mut numbers = [0; TOGETHER];
        for (number, waiting) in numbers.iter_mut().zip(&self.waiting) {
            let (tag, found) = self.slots[waiting.hash as usize & mask];
            *number = if tag == (waiting.hash >> 32) as u32 { found } else { ELSEWHERE };
        }
        for (number, waiting) in numbers.iter_mut().zip(&self.waiting).filter(|(number, _)| **number == ELSEWHERE) {
            let mut at = waiting.hash as usize & mask;
            while self.slots[at].1 != 0 && self.slots[at].0 != (waiting.hash >> 32) as u32 {
                at = (at + 1) & mask;
            }
            *number = self.slots[at].1;
        }
        for (number, waiting) in numbers.iter_mut().zip(&self.waiting) {
            let entry = self.entries.get((*number as usize).wrapping_sub(1));
            let same = entry.is_some_and(|entry| (entry.words == waiting.head.words) & (entry.len == waiting.head.len));
            *number *= u32::from(same);
        }
        let mut waiting = std::mem::take(&mut self.waiting);
        for (number, Waiting { head, value, .. }) in numbers.into_iter().zip(waiting.drain(..)) {
            match self.entries.get_mut((number as usize).wrapping_sub(1)) {
                Some(entry) => combine(&mut entry.value, value),
                // New, or so since the others were looked up, or another one has the same part of the hash.
                None => {
                    let mut bytes = [0; Head::MOST];
                    bytes[..8].copy_from_slice(&head.words[0].to_le_bytes());
                    bytes[8..].copy_from_slice(&head.words[1].to_le_bytes());
                    let key = &bytes[..head.len as usize];
                    self.add(key, value, combine, |hash| part(key, hash));
                }
            }
        }
        self.waiting = waiting;
    }

    /// Adds a value. `part` is asked once for each key.
    pub(crate) fn add(&mut self, key: &[u8], value: V, combine: fn(&mut V, V), part: impl FnOnce(u64) -> u32) {
        let (head, hash) = (Head::of(key), hash::hash(key));
        let beyond = key.get(Head::MOST..).unwrap_or_default();
        let same = |entry: &Entry<V>| beyond.is_empty() || short::same(&entry.key(&self.keys)[Head::MOST..], beyond);
        let at = match self.find(head, hash, same) {
            Ok(number) => return combine(&mut self.entries[number].value, value),
            Err(at) => at,
        };
        let (offset, part) = (self.keys.len() as u32, part(hash));
        self.entries.push(Entry { words: head.words, hash, len: head.len, offset, part, value });
        short::append(&mut self.keys, key);
        self.slots[at] = ((hash >> 32) as u32, self.entries.len() as u32);
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
        self.keys.len() + self.entries.len() * size_of::<Entry<V>>() + self.slots.len() * size_of::<(u32, u32)>()
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
        // The words in the order of their bytes.
        let mut order: Vec<(u32, u64, u32)> =
            entries.iter().zip(0..).map(|(entry, number)| (entry.part, entry.words[0].swap_bytes(), number)).collect();
        order.sort_unstable_by(|a, b| {
            (a.0, a.1).cmp(&(b.0, b.1)).then_with(|| {
                let (a, b) = (&entries[a.2 as usize], &entries[b.2 as usize]);
                (a.words[1].swap_bytes().cmp(&b.words[1].swap_bytes())).then_with(|| a.key(keys).cmp(b.key(keys)))
            })
        });
        let (mut writer, mut value) = (Writer::new(parts, keep), Vec::new());
        for (part, _, number) in order {
            let entry = &entries[number as usize];
            value.clear();
            write(&entry.value, &mut value)?;
            writer.push(part, entry.key(keys), &value)?;
        }
        let (run, count) = (writer.finish()?, self.entries.len() as u64);
        self.keys.clear();
        self.entries.clear();
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
        fn keys_of_all_lengths_are_told_apart(emitted in prop::collection::vec((prop::collection::vec(0..2u8, 0..4), 0..20usize), 0..60)) {
            let mut table = Table::new();
            let mut expected = BTreeMap::<Vec<u8>, u8>::new();
            for (mut key, zeros) in emitted {
                key.resize(key.len() + zeros, 0);
                // Some are known when they are looked up, some only since the ones before them.
                let sum: fn(&mut u8, u8) = |a, b| *a += b;
                if key.len() > Head::MOST {
                    table.add(&key, 1, sum, |_| 0);
                } else if table.push(Head::of(&key), 1) || zeros == 0 {
                    table.settle(sum, |_, _| 0);
                }
                *expected.entry(key).or_default() += 1;
            }
            table.settle(|a, b| *a += b, |_, _| 0);
            let (run, _) = table.drain(1, &mut keep, |value, bytes| {
                bytes.push(*value);
                Ok(())
            }).unwrap();
            prop_assert_eq!(records(&run), expected.into_iter().map(|(key, count)| (0, key, vec![count])).collect::<Vec<_>>());
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
