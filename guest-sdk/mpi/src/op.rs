//! What a reduction combines with: the predefined operations (MPI 4.1, section 6.9.2), and one's own.

use crate::datatype::{Datatype, Loc, Located};

/// An associative operation on elements, applied to slices of them element by element.
pub trait Op<T> {
    /// What it is called in errors.
    fn name(&self) -> &'static str;

    /// Whether the order of its operands does not matter. Where it does, they are combined in the order of the ranks.
    fn is_commutative(&self) -> bool {
        true
    }

    /// Combines `other` into `sum`, of the same length, where `other` comes after it in the order of the ranks.
    fn after(&self, sum: &mut [T], other: &[T]);

    /// The same where `other` comes before it.
    fn before(&self, sum: &mut [T], other: &[T]) {
        self.after(sum, other);
    }
}

macro_rules! operations {
    ($($(#[$doc:meta])* $op:ident $name:literal [$($number:ty)*] |$a:ident, $b:ident| $value:expr;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        pub struct $op;

        $(impl Op<$number> for $op {
            fn name(&self) -> &'static str {
                $name
            }

            fn after(&self, sum: &mut [$number], other: &[$number]) {
                for (sum, other) in sum.iter_mut().zip(other) {
                    let ($a, $b) = (*sum, *other);
                    *sum = $value;
                }
            }
        })*
    )*};
}

/// The operations that integers and floats write differently: integers wrap around where they overflow, as in C.
macro_rules! arithmetic {
    ($($integer:ty)*; $($float:ty)*) => {
        /// The sum. Integers wrap around.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        pub struct Sum;
        /// The product. Integers wrap around.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        pub struct Prod;

        $(arithmetic!(@ Sum "sum" $integer |a, b| a.wrapping_add(b));)*
        $(arithmetic!(@ Prod "prod" $integer |a, b| a.wrapping_mul(b));)*
        $(arithmetic!(@ Sum "sum" $float |a, b| a + b);)*
        $(arithmetic!(@ Prod "prod" $float |a, b| a * b);)*
    };
    (@ $op:ident $name:literal $number:ty |$a:ident, $b:ident| $value:expr) => {
        impl Op<$number> for $op {
            fn name(&self) -> &'static str {
                $name
            }

            fn after(&self, sum: &mut [$number], other: &[$number]) {
                for (sum, other) in sum.iter_mut().zip(other) {
                    let ($a, $b) = (*sum, *other);
                    *sum = $value;
                }
            }
        }
    };
}

arithmetic! { i8 i16 i32 i64 i128 isize u8 u16 u32 u64 u128 usize; f32 f64 }

operations! {
    /// The smallest.
    Min "min" [i8 i16 i32 i64 i128 isize u8 u16 u32 u64 u128 usize f32 f64] |a, b| if b < a { b } else { a };
    /// The largest.
    Max "max" [i8 i16 i32 i64 i128 isize u8 u16 u32 u64 u128 usize f32 f64] |a, b| if b > a { b } else { a };
    /// Logical and: 1 where no element is 0.
    LogicalAnd "land" [i8 i16 i32 i64 i128 isize u8 u16 u32 u64 u128 usize] |a, b| (a != 0 && b != 0).into();
    /// Logical or: 1 where some element is not 0.
    LogicalOr "lor" [i8 i16 i32 i64 i128 isize u8 u16 u32 u64 u128 usize] |a, b| (a != 0 || b != 0).into();
    /// Logical exclusive or: 1 where an odd number of elements is not 0.
    LogicalXor "lxor" [i8 i16 i32 i64 i128 isize u8 u16 u32 u64 u128 usize] |a, b| ((a != 0) != (b != 0)).into();
    /// And, bit by bit.
    BitAnd "band" [i8 i16 i32 i64 i128 isize u8 u16 u32 u64 u128 usize] |a, b| a & b;
    /// Or, bit by bit.
    BitOr "bor" [i8 i16 i32 i64 i128 isize u8 u16 u32 u64 u128 usize] |a, b| a | b;
    /// Exclusive or, bit by bit.
    BitXor "bxor" [i8 i16 i32 i64 i128 isize u8 u16 u32 u64 u128 usize] |a, b| a ^ b;
}

macro_rules! locating {
    ($($(#[$doc:meta])* $op:ident $name:literal $better:tt;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        pub struct $op;

        impl<T: Located> Op<Loc<T>> for $op
        where
            Loc<T>: Datatype,
        {
            fn name(&self) -> &'static str {
                $name
            }

            fn after(&self, sum: &mut [Loc<T>], other: &[Loc<T>]) {
                for (sum, other) in sum.iter_mut().zip(other) {
                    if other.value $better sum.value || (other.value == sum.value && other.index < sum.index) {
                        *sum = *other;
                    }
                }
            }
        }
    )*};
}

locating! {
    /// The smallest, and where it is; of several, the lowest index.
    MinLoc "minloc" <;
    /// The largest, and where it is; of several, the lowest index.
    MaxLoc "maxloc" >;
}

/// An operation of one's own; see [`own`] and [`ordered`].
#[derive(Clone, Copy, Debug)]
pub struct Own<F> {
    combine: F,
    commutative: bool,
}

/// An operation of one's own, associative and commutative.
///
/// ```
/// use places_mpi::op::{Op, own};
///
/// let gcd = own(|a: &u64, b: &u64| {
///     let (mut a, mut b) = (*a, *b);
///     while b != 0 {
///         (a, b) = (b, a % b);
///     }
///     a
/// });
/// let mut sum = [12, 35];
/// gcd.after(&mut sum, &[18, 49]);
/// assert_eq!(sum, [6, 7]);
/// ```
pub fn own<T, F: Fn(&T, &T) -> T>(combine: F) -> Own<F> {
    Own { combine, commutative: true }
}

/// An operation of one's own that is associative but not commutative: its first operand is always from the lower ranks.
pub fn ordered<T, F: Fn(&T, &T) -> T>(combine: F) -> Own<F> {
    Own { combine, commutative: false }
}

impl<T, F: Fn(&T, &T) -> T> Op<T> for Own<F> {
    fn name(&self) -> &'static str {
        if self.commutative { "one's own" } else { "one's own, in order" }
    }

    fn is_commutative(&self) -> bool {
        self.commutative
    }

    fn after(&self, sum: &mut [T], other: &[T]) {
        for (sum, other) in sum.iter_mut().zip(other) {
            *sum = (self.combine)(sum, other);
        }
    }

    fn before(&self, sum: &mut [T], other: &[T]) {
        for (sum, other) in sum.iter_mut().zip(other) {
            *sum = (self.combine)(other, sum);
        }
    }
}

/// An operation by reference is that operation.
impl<T, O: Op<T> + ?Sized> Op<T> for &O {
    fn name(&self) -> &'static str {
        (**self).name()
    }

    fn is_commutative(&self) -> bool {
        (**self).is_commutative()
    }

    fn after(&self, sum: &mut [T], other: &[T]) {
        (**self).after(sum, other);
    }

    fn before(&self, sum: &mut [T], other: &[T]) {
        (**self).before(sum, other);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn is<T: Copy + PartialEq + std::fmt::Debug, O: Op<T>>(op: O, a: T, b: T, expected: T) {
        let mut sum = [a];
        op.after(&mut sum, &[b]);
        assert_eq!(sum, [expected], "{}", op.name());
    }

    #[test]
    fn operations_are_what_the_standard_says() {
        is(Sum, 250u8, 10, 4);
        is(Prod, 3.0, 0.5, 1.5);
        is(Min, -3i64, 2, -3);
        is(Max, -3i64, 2, 2);
        is(LogicalAnd, 2u32, 4, 1);
        is(LogicalOr, 0i8, 0, 0);
        is(LogicalXor, 7i16, 9, 0);
        is(BitAnd, 6u64, 3, 2);
        is(BitOr, 6u128, 3, 7);
        is(BitXor, 6i128, 3, 5);
    }

    #[test]
    fn of_equals_the_lowest_index_is_found() {
        let at = |value: f64, index: u64| Loc { value, index };
        is(MinLoc, at(1.0, 5), at(1.0, 2), at(1.0, 2));
        is(MinLoc, at(1.0, 1), at(2.0, 0), at(1.0, 1));
        is(MaxLoc, at(3.0, 1), at(3.0, 4), at(3.0, 1));
        is(MaxLoc, at(3.0, 1), at(4.0, 4), at(4.0, 4));
    }

    #[test]
    fn an_ordered_operation_keeps_its_sides() {
        let minus = ordered(|a: &i32, b: &i32| a - b);
        let mut sum = [10];
        minus.after(&mut sum, &[3]);
        minus.before(&mut sum, &[100]);
        assert_eq!(sum, [93]);
    }
}
