//! The hash of a key: which reduce task gets it.
//!
//! It depends on the key's bytes and on nothing else, so that all machines agree. Eight bytes at a time are turned, mixed in and
//! multiplied; the end is the one of MurmurHash3 (`fmix64`), so that both halves are good.

use crate::key::head::Head;
use crate::short;

const FACTOR: u64 = 0x9e37_79b9_7f4a_7c15;

#[inline]
pub(crate) fn hash(bytes: &[u8]) -> u64 {
    let mut state = bytes.len() as u64;
    let mut rest = bytes;
    while let Some((eight, tail)) = rest.split_first_chunk() {
        state = mix(state, u64::from_le_bytes(*eight));
        rest = tail;
    }
    if !rest.is_empty() {
        state = mix(state, short::tail(rest));
    }
    end(state)
}

/// The same of a key that is no longer than its head.
#[inline(always)]
pub(crate) fn of_head(head: Head) -> u64 {
    let mut state = u64::from(head.len);
    if head.len > 0 {
        state = mix(state, head.words[0]);
    }
    if head.len > 8 {
        state = mix(state, head.words[1]);
    }
    end(state)
}

#[inline(always)]
fn mix(state: u64, word: u64) -> u64 {
    (state.rotate_left(23) ^ word).wrapping_mul(FACTOR)
}

#[inline(always)]
fn end(mut state: u64) -> u64 {
    state = (state ^ (state >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
    state = (state ^ (state >> 33)).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    state ^ (state >> 33)
}

/// Which of `parts` a hash belongs to.
#[inline]
pub(crate) fn part(hash: u64, parts: u32) -> u32 {
    (((hash >> 32) * u64::from(parts)) >> 32) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_are_the_same_on_all_machines() {
        assert_eq!(["", "a", "word", "nine bytes"].map(|text| hash(text.as_bytes())), EXPECTED);
    }

    /// What they are: to change them is to change which reduce task gets what.
    const EXPECTED: [u64; 4] = [0, 5674859689558900414, 2515346012127754762, 17307640052041374011];

    #[test]
    fn a_head_has_the_hash_of_its_key() {
        let text = [7; Head::MOST];
        (0..=Head::MOST).for_each(|len| assert_eq!(of_head(Head::of(&text[..len])), hash(&text[..len])));
    }

    #[test]
    fn parts_are_about_equal() {
        let mut counts = [0; 7];
        (0..70_000u32).for_each(|n| counts[part(hash(&n.to_be_bytes()), 7) as usize] += 1);
        assert!(counts.iter().all(|count| (9_500..10_500).contains(count)), "{counts:?}");
    }
}
