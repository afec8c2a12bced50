//! Numbers in as few bytes as they need: seven bits in each, the lowest first.

#[inline]
pub(crate) fn push(bytes: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        bytes.push(number as u8 | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
}

/// The number at `at`, which moves behind it; none where the bytes are cut short or the number is too long.
#[inline]
pub(crate) fn pull(bytes: &[u8], at: &mut usize) -> Option<u64> {
    let (mut number, mut shift) = (0u64, 0);
    loop {
        let byte = *bytes.get(*at)?;
        *at += 1;
        number |= u64::from(byte & 0x7f).checked_shl(shift)?;
        if byte < 0x80 {
            return Some(number);
        }
        shift += 7;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_is_pushed_is_pulled(numbers in prop::collection::vec(any::<u64>(), 0..9)) {
            let mut bytes = Vec::new();
            numbers.iter().for_each(|&number| push(&mut bytes, number));
            let mut at = 0;
            let pulled: Vec<_> = numbers.iter().filter_map(|_| pull(&bytes, &mut at)).collect();
            prop_assert_eq!((pulled, at), (numbers, bytes.len()));
            prop_assert_eq!(pull(&bytes, &mut at), None);
        }
    }
}
