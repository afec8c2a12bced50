//! The words of a text.

/// The words of a text: what stands between ASCII white space. They are those of [`str::split_ascii_whitespace`], found 64 bytes at a time,
/// in about a third of the time.
///
/// ```
/// assert!(places_mapreduce::words(" to be\tor\n").eq(["to", "be", "or"]));
/// ```
pub fn words(text: &str) -> Words<'_> {
    Words { text, looked: 0, base: 0, edges: 0, in_word: 0 }
}

/// What [`words`] returns.
#[derive(Clone, Debug)]
pub struct Words<'a> {
    text: &'a str,
    /// How much of the text has been looked at.
    looked: usize,
    /// Where the last bytes that were looked at begin.
    base: usize,
    /// Where among them words begin and end: a bit for each, the first one lowest.
    edges: u64,
    /// 1 where a word goes on at the end of what was looked at, else 0.
    in_word: u64,
}

impl<'a> Iterator for Words<'a> {
    type Item = &'a str;

    #[inline]
    fn next(&mut self) -> Option<&'a str> {
        let begin = self.edge()?;
        let end = self.edge().unwrap_or(self.text.len());
        Some(&self.text[begin..end])
    }
}

impl Words<'_> {
    /// Where the next word begins, or the last one ends; none at the end of the text.
    #[inline(always)]
    fn edge(&mut self) -> Option<usize> {
        while self.edges == 0 {
            if self.looked >= self.text.len() {
                return None;
            }
            self.look();
        }
        let at = self.base + self.edges.trailing_zeros() as usize;
        self.edges &= self.edges - 1;
        Some(at)
    }

    #[inline]
    fn look(&mut self) {
        let bytes = self.text.as_bytes();
        let (mut words, mut count) = (0, 0);
        self.base = self.looked;
        while count < u64::BITS && self.looked < bytes.len() {
            let (some, len) = beginning(bytes, self.looked);
            words |= u64::from(some) << count;
            (count, self.looked) = (count + STEP as u32, self.looked + len);
        }
        self.edges = words ^ (words << 1 | self.in_word);
        // Behind the end of the text there is none.
        self.in_word = words >> (u64::BITS - 1);
    }
}

/// How many bytes are looked at together.
const STEP: usize = 16;

/// Which of the next bytes are of words, a bit for each, and how many bytes these are.
#[inline(always)]
fn beginning(bytes: &[u8], at: usize) -> (u16, usize) {
    let rest = &bytes[at..];
    if let Some(some) = rest.first_chunk() {
        return (solid(some), STEP);
    }
    let left = rest.len();
    let words = match bytes.last_chunk() {
        // Some of these have been looked at before.
        Some(last) => solid(last) >> (STEP - left),
        None => rest.iter().rev().fold(0, |words, byte| words << 1 | u16::from(!byte.is_ascii_whitespace())),
    };
    (words, left)
}

/// Which of the bytes are no white space, a bit for each, the first one lowest.
#[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
#[inline(always)]
fn solid(bytes: &[u8; STEP]) -> u16 {
    use core::arch::wasm32::{i8x16_bitmask, u8x16_eq, u8x16_le, u8x16_ne, u8x16_splat, u8x16_sub, u64x2, v128_and, v128_or};
    let word = |at: usize| bytes[at..].first_chunk().map_or(0, |eight| u64::from_le_bytes(*eight));
    let bytes = u64x2(word(0), word(8));
    // Five that follow one another, without the one in the middle.
    let control = u8x16_le(u8x16_sub(bytes, u8x16_splat(b'\t')), u8x16_splat(b'\r' - b'\t'));
    let control = v128_and(control, u8x16_ne(bytes, u8x16_splat(0x0b)));
    !i8x16_bitmask(v128_or(control, u8x16_eq(bytes, u8x16_splat(b' '))))
}

#[cfg(not(all(target_arch = "wasm32", target_feature = "simd128")))]
fn solid(bytes: &[u8; STEP]) -> u16 {
    bytes.iter().rev().fold(0, |words, byte| words << 1 | u16::from(!byte.is_ascii_whitespace()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn words_are_those_of_the_standard_library(text in "([ \\t\\n\\x0b\\x0c\\r]|[aü\\x00]{0,9}){0,60}") {
            prop_assert_eq!(words(&text).collect::<Vec<_>>(), text.split_ascii_whitespace().collect::<Vec<_>>());
        }
    }
}
