//! Claims: start functions of a guest that panic where they are wrong. Each is a test of the same name.

/// A test for each claim: `placehost run GUEST CLAIM OPTIONS` ends with success and says nothing on standard output.
macro_rules! claims {
    ($guest:literal: $($claim:ident $(with [$($option:literal),+])?,)+) => {$(
        #[test]
        fn $claim() {
            crate::harness::run($guest, stringify!($claim), &[$($($option),+)?]).prints("");
        }
    )+};
}
