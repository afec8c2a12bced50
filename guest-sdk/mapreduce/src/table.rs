//! What a map task has emitted and not written yet: combined in a table, or as it came.

use crate::key::head::Head;
use crate::merge::prefix;
use crate::run::{Keep, Run, Writer};
use crate::{hash, short, varint};

/// How many short keys are looked up together. Each costs a place in memory that is in no cache, and a processor fetches so many at a time
/// only where no branch depends on one of them: by itself each word of a text waits longer for memory than all else takes.
const TOGETHER: usize = 64;

/// Values by key, combined as they come. What of a key is compared lies in the table itself, so that a known short key costs one look into
/// memory, and none allocates anything.
pub(crate) struct Table<V> {
    /// Open addressing, at most half full.
    slots: Vec<Slot>,
    /// Those of the keys, in the order in which they came: what comes often is likely to have come early, and lies together.
    values: Vec<V>,
    rest: Vec<Rest>,
    /// The keys that are longer than their heads.
    keys: Vec<u8>,
    /// Values of short keys that have not been looked up, and the keys, with their hashes.
    waiting: Vec<V>,
    waiting_keys: Vec<(Head, u64)>,
}

#[derive(Clone, Copy)]
struct Slot {
    words: [u64; 2],
    len: u32,
    /// The number of the key and one more, or 0.
    number: u32,
}

impl Slot {
    const EMPTY: Self = Self { words: [0; 2], len: 0, number: 0 };

    #[inline(always)]
    fn is_of(&self, head: &Head) -> bool {
        (self.words[0] == head.words[0]) & (self.words[1] == head.words[1]) & (self.len == head.len)
    }

    fn head(&self) -> Head {
        Head { words: self.words, len: self.len }
    }
}

/// What else there is of a key.
#[derive(Clone, Copy)]
struct Rest {
    part: u32,
    /// Where it is among the long keys, if it is one.
    offset: u32,
}

impl Rest {
    fn key<'a>(&self, slot: &Slot, keys: &'a [u8]) -> &'a [u8] {
        &keys[self.offset as usize..][..slot.len as usize]
    }
}

impl<V> Table<V> {
    pub(crate) fn new() -> Self {
        Self {
            slots: vec![Slot::EMPTY; 1024],
            values: Vec::new(),
            rest: Vec::new(),
            keys: Vec::new(),
            waiting: Vec::with_capacity(TOGETHER),
            waiting_keys: Vec::with_capacity(TOGETHER),
        }
    }

    /// Adds a value of a key that is no longer than its head, some time; whether it is time to [`settle`](Self::settle).
    #[inline(always)]
    pub(crate) fn push(&mut self, head: Head, value: V) -> bool {
        self.waiting.push(value);
        self.waiting_keys.push((head, hash::of_head(head)));
        self.waiting.len() >= TOGETHER
    }

    /// Adds what was pushed. `part` is asked once for each key.
    pub(crate) fn settle(&mut self, combine: fn(&mut V, V), mut part: impl FnMut(&[u8], u64) -> u32) {
        let mut numbers = [0; TOGETHER];
        let mask = self.slots.len() - 1;
        for (number, (head, hash)) in numbers.iter_mut().zip(&self.waiting_keys) {
            let slot = &self.slots[*hash as usize & mask];
            *number = slot.number * u32::from(slot.is_of(head));
        }
        let (mut values, mut keys) = (std::mem::take(&mut self.waiting), std::mem::take(&mut self.waiting_keys));
        for ((number, (head, hash)), value) in numbers.into_iter().zip(&keys).zip(values.drain(..)) {
            match self.values.get_mut((number as usize).wrapping_sub(1)) {
                Some(known) => combine(known, value),
                // Elsewhere, or new.
                None => self.put(head, *hash, value, combine, |_, _| true, |_| part(&head.bytes()[..head.len as usize], *hash)),
            }
        }
        keys.clear();
        (self.waiting, self.waiting_keys) = (values, keys);
    }

    /// Adds a value. `part` is asked once for each key.
    pub(crate) fn add(&mut self, key: &[u8], value: V, combine: fn(&mut V, V), part: impl FnOnce(u64) -> u32) {
        let (head, hash) = (Head::of(key), hash::hash(key));
        if key.len() <= Head::MOST {
            return self.put(&head, hash, value, combine, |_, _| true, |_| part(hash));
        }
        let same = |table: &Self, slot: &Slot| {
            let known = table.rest[slot.number as usize - 1].key(slot, &table.keys);
            short::same(&known[Head::MOST..], &key[Head::MOST..])
        };
        self.put(&head, hash, value, combine, same, |keys| {
            short::append(keys, key);
            part(hash)
        });
    }

    /// Adds a value of the key with that head, of which `same` knows the rest. `new` says the part of one that is new, and keeps it if it is
    /// long.
    #[inline]
    fn put(
        &mut self,
        head: &Head,
        hash: u64,
        value: V,
        combine: fn(&mut V, V),
        same: impl Fn(&Self, &Slot) -> bool,
        new: impl FnOnce(&mut Vec<u8>) -> u32,
    ) {
        let mask = self.slots.len() - 1;
        let mut at = hash as usize & mask;
        loop {
            let slot = &self.slots[at];
            if slot.number == 0 {
                break;
            }
            if slot.is_of(head) && same(self, slot) {
                let known = slot.number as usize - 1;
                return combine(&mut self.values[known], value);
            }
            at = (at + 1) & mask;
        }
        let offset = self.keys.len() as u32;
        let part = new(&mut self.keys);
        self.values.push(value);
        self.rest.push(Rest { part, offset });
        self.slots[at] = Slot { words: head.words, len: head.len, number: self.values.len() as u32 };
        if self.values.len() * 2 > self.slots.len() {
            self.grow();
        }
    }

    #[cold]
    fn grow(&mut self) {
        let mask = self.slots.len() * 2 - 1;
        let mut slots = vec![Slot::EMPTY; mask + 1];
        for slot in self.slots.iter().filter(|slot| slot.number > 0) {
            let hash = match slot.len as usize <= Head::MOST {
                true => hash::of_head(slot.head()),
                false => hash::hash(self.rest[slot.number as usize - 1].key(slot, &self.keys)),
            };
            // As if they came in their order: who came early comes often, and is to be found at once.
            let (mut slot, mut at) = (*slot, hash as usize & mask);
            while slots[at].number > 0 {
                if slots[at].number > slot.number {
                    std::mem::swap(&mut slots[at], &mut slot);
                }
                at = (at + 1) & mask;
            }
            slots[at] = slot;
        }
        self.slots = slots;
    }

    /// About how many bytes it takes, but for what values have elsewhere.
    pub(crate) fn size(&self) -> usize {
        self.keys.len() + self.values.len() * (size_of::<V>() + size_of::<Rest>()) + self.slots.len() * size_of::<Slot>()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// Writes all of it, sorted, and is empty then. `write` writes a value.
    pub(crate) fn drain<P>(
        &mut self,
        parts: u32,
        keep: Keep<'_, P>,
        mut write: impl FnMut(&V, &mut Vec<u8>) -> Result<(), String>,
    ) -> Result<(Run<P>, u64), String> {
        let (slots, rest, keys) = (&self.slots, &self.rest, &self.keys);
        let rest = |slot: &Slot| &rest[slot.number as usize - 1];
        // The words in the order of their bytes.
        let place = |(slot, at): (&Slot, u32)| (slot.number > 0).then(|| (rest(slot).part, slot.words[0].swap_bytes(), at));
        let mut order: Vec<(u32, u64, u32)> = slots.iter().zip(0..).filter_map(place).collect();
        order.sort_unstable_by(|a, b| {
            (a.0, a.1).cmp(&(b.0, b.1)).then_with(|| {
                let (a, b) = (&slots[a.2 as usize], &slots[b.2 as usize]);
                let second = a.words[1].swap_bytes().cmp(&b.words[1].swap_bytes());
                second.then_with(|| match a.len.min(b.len) as usize > Head::MOST {
                    true => rest(a).key(a, keys).cmp(rest(b).key(b, keys)),
                    // The shorter one is the beginning of the other.
                    false => a.len.cmp(&b.len),
                })
            })
        });
        let (mut writer, mut value) = (Writer::new(parts, keep), Vec::new());
        for (part, _, at) in order {
            let slot = &slots[at as usize];
            value.clear();
            write(&self.values[slot.number as usize - 1], &mut value)?;
            match slot.len as usize <= Head::MOST {
                true => writer.push(part, &slot.head().bytes()[..slot.len as usize], &value)?,
                false => writer.push(part, rest(slot).key(slot, keys), &value)?,
            }
        }
        let (run, count) = (writer.finish()?, self.values.len() as u64);
        self.values.clear();
        self.rest.clear();
        self.keys.clear();
        self.slots.fill(Slot::EMPTY);
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
