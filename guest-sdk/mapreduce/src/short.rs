//! Short bytes, eight at a time. In WebAssembly a copy or a comparison of a few bytes by the library costs more than everything else that
//! is done with a word.

/// Fewer than eight bytes as a number, the first one lowest.
///
/// Words of a text are of all lengths, which no processor foresees: so there is a branch for as few of them as may be.
#[inline(always)]
pub(crate) fn tail(bytes: &[u8]) -> u64 {
    let at = |at: usize| u64::from(bytes[at]) << (8 * at as u32);
    match (bytes.first_chunk::<4>(), bytes.last_chunk::<4>()) {
        // They overlap, where both have the same.
        (Some(first), Some(last)) => {
            let shift = 8 * (bytes.len() as u32 - 4);
            u64::from(u32::from_le_bytes(*first)) | u64::from(u32::from_le_bytes(*last)) << shift
        }
        // And so does the one in the middle.
        _ if !bytes.is_empty() => at(0) | at(bytes.len() / 2) | at(bytes.len() - 1),
        _ => 0,
    }
}

/// What follows the first eight of eight to sixteen bytes, as a number.
#[inline(always)]
pub(crate) fn second(bytes: &[u8; 8], len: usize) -> u64 {
    let word = u64::from_le_bytes(*bytes);
    // Of eight bytes nothing is left, and no shift goes that far.
    let shift = 8 * (16 - len as u32) / 2;
    word >> shift >> shift
}

/// How many of the sixteen bytes of two words are zero.
#[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
#[inline(always)]
pub(crate) fn zeros(words: [u64; 2]) -> u32 {
    use core::arch::wasm32::{i8x16_bitmask, u8x16_eq, u64x2, u64x2_splat};
    i8x16_bitmask(u8x16_eq(u64x2(words[0], words[1]), u64x2_splat(0))).count_ones()
}

#[cfg(not(all(target_arch = "wasm32", target_feature = "simd128")))]
pub(crate) fn zeros(words: [u64; 2]) -> u32 {
    words.iter().flat_map(|word| word.to_le_bytes()).filter(|byte| *byte == 0).count() as u32
}

/// Whether they are the same.
#[inline(always)]
pub(crate) fn same(mut a: &[u8], mut b: &[u8]) -> bool {
    if a.len() != b.len() {
        return false;
    }
    while let (Some((one, rest_a)), Some((other, rest_b))) = (a.split_first_chunk::<8>(), b.split_first_chunk::<8>()) {
        if u64::from_le_bytes(*one) != u64::from_le_bytes(*other) {
            return false;
        }
        (a, b) = (rest_a, rest_b);
    }
    tail(a) == tail(b)
}

/// Appends bytes; whether there was no zero among them.
#[inline(always)]
pub(crate) fn append(bytes: &mut Vec<u8>, mut text: &[u8]) -> bool {
    /// From this length on the library is faster.
    const LONG: usize = 64;
    const ONES: u64 = 0x0101_0101_0101_0101;
    if text.len() >= LONG {
        bytes.extend_from_slice(text);
        return memchr::memchr(0, text).is_none();
    }
    let mut zeros = 0;
    bytes.reserve(text.len() + 8);
    let end = bytes.len() + text.len();
    while let Some((eight, rest)) = text.split_first_chunk::<8>() {
        let word = u64::from_le_bytes(*eight);
        zeros |= word.wrapping_sub(ONES) & !word;
        bytes.extend_from_slice(eight);
        text = rest;
    }
    // What is not there counts as ones.
    let word = tail(text);
    let there = (1u64 << (8 * text.len() as u32)) - 1;
    let word_or_ones = word | !there;
    zeros |= word_or_ones.wrapping_sub(ONES) & !word_or_ones;
    bytes.extend_from_slice(&word.to_le_bytes());
    bytes.truncate(end);
    zeros & (ONES << 7) == 0
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn short_bytes_are_as_the_library_has_them(a in prop::collection::vec(0..3u8, 0..80), b in prop::collection::vec(0..2u8, 0..20)) {
            prop_assert_eq!(same(&a, &b), a == b);
            prop_assert!(same(&a, &a.clone()));
            let zeros_of = |eight: &[u8]| zeros([u64::from_le_bytes(eight.try_into().unwrap()), 1]) as usize;
            prop_assert!(a.chunks_exact(8).all(|eight| zeros_of(eight) == 7 + eight.iter().filter(|byte| **byte == 0).count()));
            let mut bytes = b.clone();
            let clean = append(&mut bytes, &a);
            prop_assert_eq!(clean, !a.contains(&0));
            prop_assert_eq!(bytes, [b, a].concat());
        }
    }
}
