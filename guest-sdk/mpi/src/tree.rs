//! Who talks to whom in a collective operation: arithmetic on ranks, and nothing else.

use std::ops::Range;

/// The binomial tree over ranks `0..size` with root 0. The ranks below one are consecutive and begin with it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Binomial {
    pub(crate) rank: usize,
    pub(crate) size: usize,
}

impl Binomial {
    pub(crate) fn parent(self) -> Option<usize> {
        (self.rank != 0).then(|| self.rank & (self.rank - 1))
    }

    /// From the smallest subtree to the largest, which is from the lowest ranks to the highest.
    pub(crate) fn children(self) -> impl DoubleEndedIterator<Item = usize> {
        let Self { rank, size } = self;
        (0..self.levels()).map(move |level| rank + (1 << level)).filter(move |&child| child < size)
    }

    /// This rank and all below it.
    pub(crate) fn subtree(self) -> Range<usize> {
        self.rank..self.size.min(self.rank + (1 << self.levels()))
    }

    fn levels(self) -> u32 {
        match self.rank {
            0 => self.size.next_power_of_two().trailing_zeros(),
            rank => rank.trailing_zeros(),
        }
    }
}

/// Any number of ranks folded to a power of two: of the first few, each second one lends its part to its upper neighbour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Folded {
    /// Takes part through this rank.
    Lends(usize),
    /// Takes part under this number, perhaps also for the rank before it.
    Takes { number: usize, lender: Option<usize> },
}

/// The power of two that `size` ranks are folded to.
pub(crate) fn folded_size(size: usize) -> usize {
    1 << size.ilog2()
}

pub(crate) fn fold(rank: usize, size: usize) -> Folded {
    let extra = size - folded_size(size);
    match rank {
        rank if rank >= 2 * extra => Folded::Takes { number: rank - extra, lender: None },
        rank if rank.is_multiple_of(2) => Folded::Lends(rank + 1),
        rank => Folded::Takes { number: rank / 2, lender: Some(rank - 1) },
    }
}

/// The rank behind a number among the folded.
pub(crate) fn unfold(number: usize, size: usize) -> usize {
    let extra = size - folded_size(size);
    if number < extra { 2 * number + 1 } else { number + extra }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_binomial_tree_has_each_rank_once() {
        for size in 1..70 {
            let mut parents = vec![None; size];
            for rank in 0..size {
                let tree = Binomial { rank, size };
                let mut covered = vec![rank];
                for child in tree.children() {
                    assert_eq!(parents[child].replace(rank), None, "{child} of {size}");
                    assert_eq!(Binomial { rank: child, size }.parent(), Some(rank));
                    covered.extend(Binomial { rank: child, size }.subtree());
                }
                assert_eq!(covered, tree.subtree().collect::<Vec<_>>(), "{rank} of {size}");
            }
            assert_eq!(parents.iter().filter(|parent| parent.is_none()).count(), 1);
            assert_eq!(Binomial { rank: 0, size }.subtree(), 0..size);
        }
    }

    #[test]
    fn a_binomial_tree_is_as_deep_as_a_logarithm() {
        for size in 1..70usize {
            let depth = |rank| std::iter::successors(Some(rank), |&rank| Binomial { rank, size }.parent()).count() - 1;
            assert!((0..size).map(depth).max().unwrap() <= size.next_power_of_two().trailing_zeros() as usize);
        }
    }

    #[test]
    fn folding_keeps_the_order_and_every_number_has_a_rank() {
        for size in 1..70 {
            let mut numbers = Vec::new();
            for rank in 0..size {
                match fold(rank, size) {
                    Folded::Lends(to) => {
                        assert_eq!(to, rank + 1);
                        assert_eq!(fold(to, size), Folded::Takes { number: rank / 2, lender: Some(rank) });
                    }
                    Folded::Takes { number, .. } => {
                        assert_eq!(unfold(number, size), rank);
                        numbers.push(number);
                    }
                }
            }
            assert_eq!(numbers, (0..folded_size(size)).collect::<Vec<_>>(), "{size}");
        }
    }
}
