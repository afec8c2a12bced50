//! Misuse of the SDK's macros and types is an error at the right place, that says what to write instead.
//!
//! Each file in `ui/` is a program that must not compile, with the compiler's words beside it in `.stderr`. After a change of a
//! message, `TRYBUILD=overwrite cargo test --release -p places --test ui` writes them anew, to be read before they are committed.
//! It is a test of the package `places`, not of `placehost-tests`, because trybuild compiles the dependencies of the package once
//! more, natively and unoptimized: those of `placehost-tests` have wasmtime among them.

#[test]
fn misuse_is_explained_where_it_stands() {
    trybuild::TestCases::new().compile_fail("../tests/ui/*.rs");
}
