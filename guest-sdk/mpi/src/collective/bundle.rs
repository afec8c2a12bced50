//! Blocks of any lengths as one message between two nodes.
//!
//! In a bundle each block is its length and its bytes. Of a long block there is a mark alone, and it comes from its sender directly,
//! behind the bundle: so only its sender has to know that it is long, and a leader copies short blocks only.

use crate::error::Error;

/// What stands for the length of a block that comes directly.
const DIRECTLY: u32 = u32::MAX;

/// Adds a block to a bundle.
pub(super) fn add(bundle: &mut Vec<u8>, block: &[u8]) -> Result<(), Error> {
    let too_long = || Error::Invalid(format!("a block of {} bytes is too long to share a message with others", block.len()));
    let length = u32::try_from(block.len()).ok().filter(|length| *length != DIRECTLY).ok_or_else(too_long)?;
    bundle.extend_from_slice(&length.to_le_bytes());
    bundle.extend_from_slice(block);
    Ok(())
}

/// Adds that a block comes directly.
pub(super) fn add_mark(bundle: &mut Vec<u8>) {
    bundle.extend_from_slice(&DIRECTLY.to_le_bytes());
}

/// The blocks of a bundle, one after the other.
#[derive(Clone, Copy, Debug)]
pub(super) struct Blocks<'a>(pub(super) &'a [u8]);

impl<'a> Blocks<'a> {
    /// The next block; nothing where that comes directly.
    ///
    /// # Errors
    /// There is none.
    pub(super) fn next(&mut self) -> Result<Option<&'a [u8]>, Error> {
        let (length, rest) = self.0.split_first_chunk().ok_or_else(short)?;
        let length = u32::from_le_bytes(*length);
        self.0 = rest;
        if length == DIRECTLY {
            return Ok(None);
        }
        let (block, rest) = self.0.split_at_checked(length as usize).ok_or_else(short)?;
        self.0 = rest;
        Ok(Some(block))
    }

    /// The next one as it stands here, for another bundle.
    ///
    /// # Errors
    /// As [`Self::next`].
    pub(super) fn pass_on(&mut self) -> Result<&'a [u8], Error> {
        let all = self.0;
        self.next()?;
        Ok(&all[..all.len() - self.0.len()])
    }
}

fn short() -> Error {
    Error::Mismatch("a node gives fewer blocks than it has ranks, or ranks than it gives blocks for".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_come_out_as_they_went_in() {
        let mut bundle = Vec::new();
        add(&mut bundle, b"one").unwrap();
        add_mark(&mut bundle);
        add(&mut bundle, b"").unwrap();
        let mut other = Vec::new();
        let mut blocks = Blocks(&bundle);
        (0..3).for_each(|_| other.extend_from_slice(blocks.pass_on().unwrap()));
        assert_eq!(other, bundle);
        assert!(blocks.next().is_err());
        let mut blocks = Blocks(&other);
        assert_eq!([(); 3].map(|()| blocks.next().unwrap()), [Some(&b"one"[..]), None, Some(&b""[..])]);
        assert!(Blocks(&bundle[..5]).next().is_err());
    }
}
