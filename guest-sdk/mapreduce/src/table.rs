//! What a map task has emitted and not written yet: combined in a table, or as it came.

use std::cmp::Ordering;

use crate::function::Combine;
use crate::key::head::{Head, Ordered};
use crate::merge::prefix;
use crate::run::{Keep, Run, Writer};
use crate::{hash, short, varint};

/// How many short keys are looked up together. Each costs a place in memory that is in no cache, and a processor fetches many at a time
/// only where they are asked for in few instructions, none of which depends on what comes: by itself each word of a text waits longer for
/// memory than all else takes.
pub(crate) const TOGETHER: usize = 64;
/// How many steps of a loop are done at a time: at the end of each loop in WebAssembly it is looked whether the place's time is up.
const UNROLLED: usize = 8;

/// Values of short keys that have not been looked up, and the keys.
pub(crate) struct Waiting<V> {
    pub(crate) heads: Vec<Head>,
    values: Vec<V>,
}

impl<V> Waiting<V> {
    pub(crate) fn with_capacity(capacity: usize) -> Self {
        Self { heads: Vec::with_capacity(capacity), values: Vec::with_capacity(capacity) }
    }

    /// Whether there are enough.
    #[inline(always)]
    pub(crate) fn push(&mut self, head: Head, value: V) -> bool {
        self.values.push(value);
        self.heads.push(head);
        self.heads.len() >= TOGETHER
    }
}

/// Asked for the part of a key, once for each.
pub(crate) type PartOf<'a> = &'a mut dyn FnMut(&[u8], u64) -> u32;

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
    fn key<'a>(&self, len: u32, keys: &'a [u8]) -> &'a [u8] {
        &keys[self.offset as usize..][..len as usize]
    }
}

impl<V> Table<V> {
    pub(crate) fn new() -> Self {
        Self { slots: vec![Slot::EMPTY; 1024], values: Vec::new(), rest: Vec::new(), keys: Vec::new() }
    }

    /// Adds what waits: values of keys that are no longer than their heads.
    pub(crate) fn settle<C: Combine<V>>(&mut self, waiting: &mut Waiting<V>, part: PartOf<'_>) {
        let Waiting { heads, values } = waiting;
        let numbers = match heads.as_slice().try_into() {
            Ok(heads) => self.look_up(heads),
            // The last ones.
            Err(_) => [0; TOGETHER],
        };
        for ((number, head), value) in numbers.into_iter().zip(&*heads).zip(values.drain(..)) {
            match self.values.get_mut((number as usize).wrapping_sub(1)) {
                Some(known) => C::combine(known, value),
                // Elsewhere, or new.
                None => self.add_short::<C>(head, value, &mut *part),
            }
        }
        heads.clear();
    }

    /// The numbers of those keys that are found at the first look, with one more, and else 0.
    #[inline(always)]
    fn look_up(&self, heads: &[Head; TOGETHER]) -> [u32; TOGETHER] {
        let (mut places, mut numbers) = ([0; TOGETHER], [0; TOGETHER]);
        let mask = self.slots.len() - 1;
        for (places, heads) in places.as_chunks_mut::<UNROLLED>().0.iter_mut().zip(heads.as_chunks::<UNROLLED>().0) {
            for (place, head) in places.iter_mut().zip(heads) {
                *place = (hash::of_head(*head) as usize & mask) as u32;
            }
        }
        for (numbers, places) in numbers.as_chunks_mut::<UNROLLED>().0.iter_mut().zip(places.as_chunks::<UNROLLED>().0) {
            for (number, place) in numbers.iter_mut().zip(places) {
                *number = self.slots[*place as usize].number;
            }
        }
        for ((number, place), head) in numbers.iter_mut().zip(places).zip(heads) {
            *number *= u32::from(self.slots[place as usize].is_of(head));
        }
        numbers
    }

    #[inline(never)]
    fn add_short<C: Combine<V>>(&mut self, head: &Head, value: V, part: PartOf<'_>) {
        let hash = hash::of_head(*head);
        self.put::<C>(head, hash, value, |_, _| true, |_| part(&head.bytes()[..head.len as usize], hash));
    }

    /// Adds a value.
    pub(crate) fn add<C: Combine<V>>(&mut self, key: &[u8], value: V, part: PartOf<'_>) {
        let head = Head::of(key);
        if key.len() <= Head::MOST {
            return self.add_short::<C>(&head, value, part);
        }
        let hash = hash::hash(key);
        let same = |table: &Self, slot: &Slot| {
            let known = table.rest[slot.number as usize - 1].key(slot.len, &table.keys);
            short::same(&known[Head::MOST..], &key[Head::MOST..])
        };
        self.put::<C>(&head, hash, value, same, |keys| {
            short::append(keys, key);
            part(key, hash)
        });
    }

    /// Adds a value of the key with that head, of which `same` knows the rest. `new` says the part of one that is new, and keeps it if it is
    /// long.
    #[inline(always)]
    fn put<C: Combine<V>>(
        &mut self,
        head: &Head,
        hash: u64,
        value: V,
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
                return C::combine(&mut self.values[known], value);
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
                false => hash::hash(self.rest[slot.number as usize - 1].key(slot.len, &self.keys)),
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
        let (mut order, ends) = self.by_part(parts);
        let (mut writer, mut value) = (Writer::new(parts, keep), Vec::new());
        let mut start = 0;
        for (part, end) in (0..).zip(ends) {
            let slots = &mut order[start..end];
            slots.sort_unstable_by(|a, b| a.words[0].cmp(&b.words[0]).then_with(|| self.order(a, b)));
            for slot in slots {
                value.clear();
                write(&self.values[slot.number as usize - 1], &mut value)?;
                match slot.len as usize <= Head::MOST {
                    true => writer.push(part, &turned(slot).head().bytes()[..slot.len as usize], &value)?,
                    false => writer.push(part, self.rest[slot.number as usize - 1].key(slot.len, &self.keys), &value)?,
                }
            }
            start = end;
        }
        let (run, count) = (writer.finish()?, self.values.len() as u64);
        self.values.clear();
        self.rest.clear();
        self.keys.clear();
        self.slots.fill(Slot::EMPTY);
        Ok((run, count))
    }

    /// The slots that are taken, turned, those of each part together; and where each part ends.
    fn by_part(&self, parts: u32) -> (Vec<Slot>, Vec<usize>) {
        let mut ends = vec![0; parts as usize];
        self.rest.iter().for_each(|rest| ends[rest.part as usize] += 1);
        // Where each begins; and when all are there, where it ends.
        let mut sum = 0;
        ends.iter_mut().for_each(|end| sum += std::mem::replace(end, sum));
        let mut order = vec![Slot::EMPTY; sum];
        for slot in self.slots.iter().filter(|slot| slot.number > 0) {
            let end = &mut ends[self.rest[slot.number as usize - 1].part as usize];
            order[*end] = turned(slot);
            *end += 1;
        }
        (order, ends)
    }

    /// The order of keys whose slots are turned, and which begin with the same word.
    #[inline(never)]
    fn order(&self, a: &Slot, b: &Slot) -> Ordering {
        let ordered = |slot: &Slot| Ordered { words: slot.words, len: slot.len };
        let rest = |slot: &Slot| self.rest[slot.number as usize - 1].key(slot.len, &self.keys);
        ordered(a).cmp(&ordered(b), || rest(a).cmp(rest(b)))
    }
}

/// Turned, so that words have the order of their bytes; and back.
#[inline(always)]
fn turned(slot: &Slot) -> Slot {
    Slot { words: slot.words.map(u64::swap_bytes), ..*slot }
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

    struct Sum;

    impl Combine<u8> for Sum {
        fn combine(known: &mut u8, more: u8) {
            *known = known.wrapping_add(more);
        }
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
                    table.add::<Sum>(&key, *value, &mut |_, hash| hash::part(hash, 5));
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
        fn keys_of_all_lengths_are_told_apart(emitted in prop::collection::vec((prop::collection::vec(0..2u8, 0..4), 0..20usize), 0..300)) {
            let (mut table, mut waiting) = (Table::new(), Waiting::with_capacity(TOGETHER));
            let mut expected = BTreeMap::<Vec<u8>, u8>::new();
            for (mut key, zeros) in emitted {
                key.resize(key.len() + zeros, 0);
                // Some are known when they are looked up, some only since the ones before them.
                if key.len() > Head::MOST {
                    table.add::<Sum>(&key, 1, &mut |_, _| 0);
                } else if waiting.push(Head::of(&key), 1) {
                    table.settle::<Sum>(&mut waiting, &mut |_, _| 0);
                }
                let sum = expected.entry(key).or_default();
                *sum = sum.wrapping_add(1);
            }
            table.settle::<Sum>(&mut waiting, &mut |_, _| 0);
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
