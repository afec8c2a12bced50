//! Guests for the tests and benchmarks: each other file here is a component of its own, made by `scripts/build-guests.sh`. Here is
//! what several of them expect of a failure.

use std::fmt::Debug;

use places::{Bytes, Error, ExitReason, Module, Options};

/// Starts a place of the asking module and expects it to end as `how` says, and that a sibling, its start function `echo`, answers
/// as before.
///
/// # Errors
/// A place cannot be started, or the sibling is gone.
pub fn hurts_itself_alone(start: &str, options: Options, how: impl FnOnce(&ExitReason) -> bool) -> places::Result {
    let sibling = places::spawn(Module::This, "echo", Options::new())?;
    assert_eq!(sibling.put_get(b"before")?, Bytes(b"before".to_vec()));
    let place = places::spawn(Module::This, start, options)?;
    let why = place.wait();
    assert!(how(&why), "{why:?}");
    assert_eq!(sibling.put_get(b"after")?, Bytes(b"after".to_vec()));
    Ok(())
}

/// Expects that this was denied, with a text that has `part` in it.
pub fn denied<T: Debug>(result: Result<T, Error>, part: &str) {
    assert!(matches!(&result, Err(Error::Denied(text)) if text.contains(part)), "{result:?}");
}
