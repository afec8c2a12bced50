//! Runs: records sorted by part and key, in pages that somebody keeps.
//!
//! A page is at most about a mebibyte, and holds blocks; a block is of one part, begins with a whole record and ends with one. So a block
//! can be read by itself, and is what travels. A record is the length of its key and one more, or 0 where the key is the one before; the
//! key; the length of the value; the value.

use std::ops::Range;

use serde::{Deserialize, Serialize};

use crate::{short, varint};

/// From this size on a block ends with the record.
const BLOCK: usize = 128 << 10;
/// From this size on a page ends with the block.
const PAGE: usize = 1 << 20;

/// Where a block lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Block {
    pub(crate) page: u32,
    pub(crate) offset: u32,
    pub(crate) len: u32,
}

/// A run whose pages are kept as `P`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Run<P> {
    pub(crate) pages: Vec<P>,
    /// The blocks of each part.
    pub(crate) parts: Vec<Vec<Block>>,
}

/// Who keeps pages.
pub(crate) type Keep<'a, P> = &'a mut dyn FnMut(&[u8]) -> Result<P, String>;

/// Writes a run.
pub(crate) struct Writer<'a, P> {
    keep: Keep<'a, P>,
    run: Run<P>,
    page: Vec<u8>,
    part: usize,
    block: usize,
    /// The key before, in the page; empty at the beginning of a block, as is an empty key.
    key: Option<Range<usize>>,
}

impl<'a, P> Writer<'a, P> {
    pub(crate) fn new(parts: u32, keep: Keep<'a, P>) -> Self {
        let run = Run { pages: Vec::new(), parts: vec![Vec::new(); parts as usize] };
        Self { keep, run, page: Vec::new(), part: 0, block: 0, key: None }
    }

    /// Adds a record; parts come in their order, and the keys of each.
    pub(crate) fn push(&mut self, part: u32, key: &[u8], value: &[u8]) -> Result<(), String> {
        if self.part != part as usize || self.page.len() - self.block >= BLOCK {
            self.end_block()?;
            self.part = part as usize;
        }
        if self.key.clone().is_some_and(|before| short::same(&self.page[before], key)) {
            self.page.push(0);
        } else {
            varint::push(&mut self.page, key.len() as u64 + 1);
            let start = self.page.len();
            short::append(&mut self.page, key);
            self.key = Some(start..self.page.len());
        }
        varint::push(&mut self.page, value.len() as u64);
        short::append(&mut self.page, value);
        Ok(())
    }

    fn end_block(&mut self) -> Result<(), String> {
        self.key = None;
        let len = self.page.len() - self.block;
        if len > 0 {
            let length = |len: usize| u32::try_from(len).map_err(|_| format!("a record of {len} bytes is too long"));
            let block = Block { page: self.run.pages.len() as u32, offset: length(self.block)?, len: length(len)? };
            self.run.parts[self.part].push(block);
            self.block = self.page.len();
            if self.block >= PAGE {
                self.end_page()?;
            }
        }
        Ok(())
    }

    fn end_page(&mut self) -> Result<(), String> {
        if !self.page.is_empty() {
            self.run.pages.push((self.keep)(&self.page)?);
            self.page.clear();
            self.block = 0;
        }
        Ok(())
    }

    pub(crate) fn finish(mut self) -> Result<Run<P>, String> {
        self.end_block()?;
        self.end_page()?;
        Ok(self.run)
    }
}

/// Reads the records of a block one by one.
#[derive(Debug, Default)]
pub(crate) struct Records {
    bytes: Vec<u8>,
    at: usize,
    key: Range<usize>,
    value: Range<usize>,
}

impl Records {
    pub(crate) fn new(bytes: Vec<u8>) -> Self {
        Self { bytes, ..Self::default() }
    }

    /// Goes to the next record; whether there is one. Of broken bytes it says so.
    #[inline]
    pub(crate) fn advance(&mut self) -> Result<bool, String> {
        if self.at == self.bytes.len() {
            return Ok(false);
        }
        self.step().map(|()| true).ok_or_else(|| "a run is broken".into())
    }

    #[inline]
    fn step(&mut self) -> Option<()> {
        let key = varint::pull(&self.bytes, &mut self.at)? as usize;
        if key > 0 {
            let end = self.at.checked_add(key - 1).filter(|end| *end <= self.bytes.len())?;
            self.key = self.at..end;
            self.at = end;
        }
        let value = varint::pull(&self.bytes, &mut self.at)? as usize;
        let end = self.at.checked_add(value).filter(|end| *end <= self.bytes.len())?;
        self.value = self.at..end;
        self.at = end;
        Some(())
    }

    #[inline]
    pub(crate) fn key(&self) -> &[u8] {
        &self.bytes[self.key.clone()]
    }

    #[inline]
    pub(crate) fn value(&self) -> &[u8] {
        &self.bytes[self.value.clone()]
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use proptest::prelude::*;

    use super::*;

    pub(crate) fn blocks(run: &Run<Vec<u8>>, part: usize) -> Vec<Vec<u8>> {
        let bytes = |block: &Block| run.pages[block.page as usize][block.offset as usize..][..block.len as usize].to_vec();
        run.parts[part].iter().map(bytes).collect()
    }

    pub(crate) fn write(parts: u32, records: &[(u32, Vec<u8>, Vec<u8>)]) -> Run<Vec<u8>> {
        let mut keep = |page: &[u8]| Ok(page.to_vec());
        let mut writer = Writer::new(parts, &mut keep);
        records.iter().for_each(|(part, key, value)| writer.push(*part, key, value).unwrap());
        writer.finish().unwrap()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn a_run_is_read_as_it_was_written(
            mut records in prop::collection::vec((0..3u32, prop::collection::vec(0..3u8, 0..3), 0..100_000usize), 0..60)
        ) {
            records.sort();
            let records: Vec<_> = records.into_iter().map(|(part, key, len)| (part, key, vec![7; len])).collect();
            let run = write(3, &records);
            let mut read = Vec::new();
            for part in 0..3 {
                for block in blocks(&run, part) {
                    let mut block = Records::new(block);
                    while block.advance().unwrap() {
                        read.push((part as u32, block.key().to_vec(), block.value().to_vec()));
                    }
                }
            }
            prop_assert!(read == records);
        }

        #[test]
        fn broken_bytes_are_an_error_and_no_panic(junk in prop::collection::vec(any::<u8>(), 0..40)) {
            let mut records = Records::new(junk);
            while records.advance() == Ok(true) {}
        }
    }
}
