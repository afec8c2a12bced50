//! What travels without an encoding: numbers, and numbers with where they are.

use std::borrow::Cow;

use bytemuck::{Pod, Zeroable};

/// An element of a message: every integer and float type, [`Loc`], and types of one's own that are plain bytes.
///
/// Slices of it travel as they lie in memory; every rank is WebAssembly, so all agree on that. A message knows the type it was sent
/// as, and receiving it as another one is an error.
///
/// ```
/// #[derive(Clone, Copy, Default)]
/// #[repr(C)]
/// struct Body {
///     place: [f64; 3],
///     speed: [f64; 3],
/// }
/// // SAFETY: six numbers, without padding.
/// unsafe impl bytemuck::Zeroable for Body {}
/// // SAFETY: any bytes make one.
/// unsafe impl bytemuck::Pod for Body {}
/// impl places_mpi::Datatype for Body {
///     const NAME: &'static str = "Body";
/// }
/// ```
pub trait Datatype: Pod {
    /// What it is called in errors. Types of different names are different.
    const NAME: &'static str;
}

/// The type as a message names it: a hash of its name, and its size.
pub(crate) fn code<T: Datatype>() -> u32 {
    named(T::NAME, size_of::<T>())
}

const fn named(name: &str, size: usize) -> u32 {
    // FNV-1a: short, and no two of the known names collide, which a test holds it to.
    let (bytes, mut hash, mut at) = (name.as_bytes(), 0x811c_9dc5_u32, 0);
    while at < bytes.len() {
        hash = (hash ^ bytes[at] as u32).wrapping_mul(0x0100_0193);
        at += 1;
    }
    (hash ^ size as u32).wrapping_mul(0x0100_0193)
}

/// The code of what serde wrote.
pub(crate) const VALUE: u32 = named("a value", 0);
/// The code of nothing: what a barrier sends.
pub(crate) const NOTHING: u32 = 0;

/// The name behind a code; absent for a type of the program's own.
pub(crate) fn name(code: u32) -> Option<&'static str> {
    match code {
        NOTHING => Some("nothing"),
        VALUE => Some("a value"),
        _ => KNOWN.iter().find(|(known, _)| *known == code).map(|(_, name)| *name),
    }
}

macro_rules! numbers {
    ($($number:ty, $name:literal;)*) => {
        $(impl Datatype for $number {
            const NAME: &'static str = $name;
        })*
        const KNOWN: &[(u32, &str)] = &[$((named($name, size_of::<$number>()), $name)),*];
    };
}

numbers! {
    i8, "i8"; i16, "i16"; i32, "i32"; i64, "i64"; i128, "i128"; isize, "isize";
    u8, "u8"; u16, "u16"; u32, "u32"; u64, "u64"; u128, "u128"; usize, "usize";
    f32, "f32"; f64, "f64";
    Loc<f32>, "Loc<f32>"; Loc<f64>, "Loc<f64>";
    Loc<i32>, "Loc<i32>"; Loc<i64>, "Loc<i64>"; Loc<u32>, "Loc<u32>"; Loc<u64>, "Loc<u64>";
}

/// A number that [`Loc`] can locate.
pub trait Located: Copy + Default + PartialOrd + 'static {
    /// An index of the same size, so that the pair has no padding.
    type Index: Copy + Default + Ord + 'static;
}

macro_rules! located {
    ($($number:ty: $index:ty;)*) => {$(
        impl Located for $number {
            type Index = $index;
        }
        // SAFETY: two numbers of one size, without padding; zero is one of each.
        unsafe impl Zeroable for Loc<$number> {}
        // SAFETY: as before, and any bytes make one.
        unsafe impl Pod for Loc<$number> {}
    )*};
}

located! { f32: u32; f64: u64; i32: u32; i64: u64; u32: u32; u64: u64; }

/// A number and where it is: what [`MinLoc`](crate::op::MinLoc) and [`MaxLoc`](crate::op::MaxLoc) compare (MPI 4.1, section 6.9.4).
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[repr(C)]
pub struct Loc<T: Located> {
    /// The number.
    pub value: T,
    /// Where it is: a rank, an index, whatever the program means by it.
    pub index: T::Index,
}

/// The elements in a message's bytes; copied only where they do not lie as the type wants.
pub(crate) fn elements<T: Datatype>(bytes: &[u8]) -> Cow<'_, [T]> {
    match bytemuck::try_cast_slice(bytes) {
        Ok(elements) => Cow::Borrowed(elements),
        Err(_) => Cow::Owned(bytemuck::allocation::pod_collect_to_vec(bytes)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_types_have_one_code() {
        let mut codes: Vec<u32> = KNOWN.iter().map(|(code, _)| *code).chain([VALUE, NOTHING]).collect();
        codes.sort_unstable();
        codes.dedup();
        assert_eq!(codes.len(), KNOWN.len() + 2);
    }

    #[test]
    fn elements_that_lie_askew_are_copied() {
        let numbers: Vec<u64> = (0..9).collect();
        let mut bytes = vec![0];
        bytes.extend_from_slice(bytemuck::cast_slice(&numbers));
        assert_eq!(*elements::<u64>(&bytes[1..]), numbers[..]);
    }
}
