//! Shares of a whole: which elements are whose.

use std::ops::Range;

/// The share of part `part` of `parts` in `total` elements: contiguous, and the first `total % parts` shares are longer by one
/// element.
///
/// ```
/// let shares: Vec<_> = (0..4).map(|part| places_mpi::share(10, part, 4)).collect();
/// assert_eq!(shares, [0..3, 3..6, 6..8, 8..10]);
/// ```
///
/// # Panics
/// Where there are no parts.
pub fn share(total: usize, part: usize, parts: usize) -> Range<usize> {
    let (each, longer) = (total / parts, total % parts);
    let start = part * each + part.min(longer);
    start..start + each + usize::from(part < longer)
}

/// The ranges of consecutive blocks of these lengths.
pub(crate) fn blocks(lengths: &[usize]) -> Vec<Range<usize>> {
    let mut end = 0;
    let block = |length: &usize| {
        end += length;
        end - length..end
    };
    lengths.iter().map(block).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_consecutive_and_differ_by_one_at_most() {
        for total in 0..40 {
            for parts in 1..20 {
                let mut end = 0;
                for part in 0..parts {
                    let share = share(total, part, parts);
                    assert_eq!(share.start, end);
                    assert!(share.len() == total / parts || share.len() == total / parts + 1);
                    end = share.end;
                }
                assert_eq!(end, total);
            }
        }
    }

    #[test]
    fn blocks_follow_each_other() {
        assert_eq!(blocks(&[3, 0, 2]), [0..3, 3..3, 3..5]);
    }
}
