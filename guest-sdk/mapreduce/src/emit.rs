//! What a mapper and a reducer emit, and where it goes.

use std::borrow::Borrow;
use std::fmt;
use std::marker::PhantomData;

use serde::Serialize;

use crate::function::{Combining, Put};
use crate::run::Run;
use crate::store::Store;
use crate::table::{Heap, TOGETHER, Table, Waiting};
use crate::wire::Page;
use crate::{hash, key, text, varint};

/// Where a mapper or a reducer puts its pairs.
///
/// Keys are lent: `out.emit("word", 1)` is of an `Emit<String, u64>`, and allocates nothing for a word that is known.
pub struct Emit<K, V> {
    /// Short keys wait, with their values, until there are so many that it pays to look them up.
    waits: bool,
    waiting: Waiting<V>,
    to: To<V>,
    key: Vec<u8>,
    value: Vec<u8>,
    error: Option<String>,
    pub(crate) records: u64,
    types: PhantomData<fn(K)>,
}

enum To<V> {
    Table(Table<V>, Combining<V>, Parts),
    Heap(Heap, Parts),
    Text(Out),
    Results(Out),
    /// Of a test.
    List(Vec<(Vec<u8>, V)>),
}

/// Which part a key belongs to, where that is not by its hash.
pub(crate) type Part = fn(&[u8], u32) -> Result<u32, String>;

/// Where sorted runs go.
pub(crate) struct Parts {
    pub(crate) parts: u32,
    pub(crate) part: Option<Part>,
    /// From this size on what has been emitted is written.
    pub(crate) buffer: usize,
    pub(crate) store: Store,
    pub(crate) runs: Vec<Run<Page>>,
    pub(crate) written: u64,
}

/// Where results go.
pub(crate) struct Out {
    pub(crate) bytes: Vec<u8>,
    pub(crate) put: Put,
    pub(crate) written: u64,
}

impl Out {
    /// From this size on bytes go on.
    const CHUNK: usize = 256 << 10;

    fn flush(&mut self) -> Result<(), String> {
        if !self.bytes.is_empty() {
            (self.put)(&self.bytes)?;
            self.written += self.bytes.len() as u64;
            self.bytes.clear();
        }
        Ok(())
    }
}

impl Parts {
    fn of(&self, key: &[u8], hash: u64, error: &mut Option<String>) -> u32 {
        let Some(part) = self.part else { return hash::part(hash, self.parts) };
        match part(key, self.parts) {
            Ok(part) if part < self.parts => part,
            Ok(part) => {
                error.get_or_insert(format!("the partitioner says {part}, and there are {} reduce tasks", self.parts));
                0
            }
            Err(why) => {
                error.get_or_insert(why);
                0
            }
        }
    }
}

impl<K, V: Serialize> Emit<K, V> {
    fn new(to: To<V>) -> Self {
        // A partitioner is asked at once, so that what it says is of this record.
        let waits = matches!(&to, To::Table(_, _, parts) if parts.part.is_none());
        let waiting = Waiting::with_capacity(if waits { TOGETHER } else { 0 });
        Self { waits, waiting, to, key: Vec::new(), value: Vec::new(), error: None, records: 0, types: PhantomData }
    }

    pub(crate) fn of_mapper(combining: Option<Combining<V>>, parts: Parts) -> Self {
        Self::new(match combining {
            Some(combining) => To::Table(Table::new(), combining, parts),
            None => To::Heap(Heap::new(parts.buffer), parts),
        })
    }

    pub(crate) fn of_reducer(lines: bool, put: impl FnMut(&[u8]) -> Result<(), String> + 'static) -> Self {
        let out = Out { bytes: Vec::new(), put: Box::new(put), written: 0 };
        Self::new(if lines { To::Text(out) } else { To::Results(out) })
    }

    pub(crate) fn of_test() -> Self {
        Self::new(To::List(Vec::new()))
    }

    /// Puts a pair. What goes wrong, as with a disk that is full, ends the task when the function returns that emits.
    #[inline]
    pub fn emit<Q>(&mut self, key: &Q, value: V)
    where
        K: Borrow<Q>,
        Q: Serialize + ?Sized,
    {
        if self.waits
            && let Some(head) = key::head::of(key)
        {
            if self.waiting.push(head, value) {
                self.settle();
            }
            return;
        }
        self.emit_at_once(key, value);
    }

    #[inline(never)]
    fn emit_at_once<Q: Serialize + ?Sized>(&mut self, key: &Q, value: V) {
        if self.error.is_none()
            && let Err(why) = self.put(key, value)
        {
            self.fail(why);
        }
    }

    /// What has gone wrong first is what counts, and nothing is taken any more.
    fn fail(&mut self, why: String) {
        self.error.get_or_insert(why);
        self.waits = false;
    }

    fn put<Q: Serialize + ?Sized>(&mut self, key: &Q, value: V) -> Result<(), String> {
        let Self { to, error, .. } = self;
        self.records += 1;
        let bytes = &mut self.key;
        let wrong = |error: key::KeyError| format!("a key cannot be written: {error}");
        match to {
            To::Table(table, combining, parts) => {
                key::write(key, bytes).map_err(wrong)?;
                (combining.add)(table, bytes, value, &mut |key, hash| parts.of(key, hash, error));
                if table.size() > parts.buffer / 2 {
                    write_table(table, parts)?;
                }
            }
            To::Heap(heap, parts) => {
                key::write(key, bytes).map_err(wrong)?;
                let part = parts.of(bytes, if parts.part.is_none() { hash::hash(bytes) } else { 0 }, error);
                self.value.clear();
                write_value(&value, &mut self.value)?;
                if !heap.add(bytes, &self.value, part) {
                    write_heap(heap, parts)?;
                    heap.add(bytes, &self.value, part);
                }
            }
            To::Text(out) => {
                text::line(key, &value, &mut out.bytes)?;
                if out.bytes.len() > Out::CHUNK {
                    out.flush()?;
                }
            }
            To::Results(out) => {
                self.value.clear();
                write_value(key, &mut self.value)?;
                write_value(&value, &mut self.value)?;
                varint::push(&mut out.bytes, self.value.len() as u64);
                out.bytes.extend_from_slice(&self.value);
                if out.bytes.len() > Out::CHUNK {
                    out.flush()?;
                }
            }
            To::List(list) => {
                key::write(key, bytes).map_err(wrong)?;
                list.push((bytes.clone(), value));
            }
        }
        Ok(())
    }

    /// Has the table add what waits.
    #[inline(never)]
    fn settle(&mut self) {
        let Self { to: To::Table(table, combining, parts), waiting, error, .. } = self else { return };
        self.records += waiting.heads.len() as u64;
        (combining.settle)(table, waiting, &mut |key, hash| parts.of(key, hash, error));
        if table.size() > parts.buffer / 2
            && let Err(why) = write_table(table, parts)
        {
            self.fail(why);
        }
    }

    /// What has gone wrong.
    pub(crate) fn check(&mut self) -> Result<(), String> {
        self.error.take().map_or(Ok(()), Err)
    }

    /// Writes what has not been written. Of a mapper, the runs and how many bytes went to disk; of a reducer how many were put.
    pub(crate) fn finish(mut self) -> Result<Finished, String> {
        self.settle();
        self.check()?;
        match self.to {
            To::Table(mut table, _, mut parts) => {
                if !table.is_empty() {
                    write_table(&mut table, &mut parts)?;
                }
                Ok(parts.finish())
            }
            To::Heap(mut heap, mut parts) => {
                if !heap.is_empty() {
                    write_heap(&mut heap, &mut parts)?;
                }
                Ok(parts.finish())
            }
            To::Text(mut out) | To::Results(mut out) => {
                out.flush()?;
                Ok(Finished { runs: Vec::new(), spilled: 0, bytes: out.written, records: self.records })
            }
            To::List(_) => Ok(Finished { runs: Vec::new(), spilled: 0, bytes: 0, records: self.records }),
        }
    }

    pub(crate) fn into_list(self) -> Vec<(Vec<u8>, V)> {
        if let To::List(list) = self.to { list } else { Vec::new() }
    }
}

/// What came of emitting.
pub(crate) struct Finished {
    pub(crate) runs: Vec<Run<Page>>,
    pub(crate) spilled: u64,
    pub(crate) bytes: u64,
    pub(crate) records: u64,
}

impl Parts {
    fn finish(self) -> Finished {
        let bytes = self.runs.iter().flat_map(|run| run.parts.iter().flatten()).map(|block| u64::from(block.len)).sum();
        Finished { runs: self.runs, spilled: self.store.spilled(), bytes, records: self.written }
    }
}

fn write_table<V: Serialize>(table: &mut Table<V>, parts: &mut Parts) -> Result<(), String> {
    let store = &mut parts.store;
    let (run, records) = table.drain(parts.parts, &mut |page| store.keep(page), |value, bytes| write_value(value, bytes))?;
    parts.runs.push(run);
    parts.written += records;
    Ok(())
}

fn write_heap(heap: &mut Heap, parts: &mut Parts) -> Result<(), String> {
    let store = &mut parts.store;
    let (run, records) = heap.drain(parts.parts, &mut |page| store.keep(page))?;
    parts.runs.push(run);
    parts.written += records;
    Ok(())
}

/// Appends a value.
#[inline]
pub(crate) fn write_value<T: Serialize + ?Sized>(value: &T, bytes: &mut Vec<u8>) -> Result<(), String> {
    struct Append<'a>(&'a mut Vec<u8>);
    impl postcard::ser_flavors::Flavor for Append<'_> {
        type Output = ();

        fn try_push(&mut self, byte: u8) -> postcard::Result<()> {
            self.0.push(byte);
            Ok(())
        }

        fn try_extend(&mut self, bytes: &[u8]) -> postcard::Result<()> {
            self.0.extend_from_slice(bytes);
            Ok(())
        }

        fn finalize(self) -> postcard::Result<()> {
            Ok(())
        }
    }
    postcard::serialize_with_flavor(value, Append(bytes)).map_err(|error| format!("a value cannot be written: {error}"))
}

impl<K, V> fmt::Debug for Emit<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Emit").field("records", &self.records).finish_non_exhaustive()
    }
}
