//! What `#[places::start]` expands to: from the host's call to the function, and back.

use std::fmt;
use std::io::{self, Write};
use std::panic::{self, PanicHookInfo};
use std::ptr;

use crate::bindings::{api, channels};
use crate::channel::Channel;

/// What a start function may take.
#[diagnostic::on_unimplemented(
    message = "a start function takes its end of the channel, not `{Self}`",
    label = "write `Channel<Get, Put>`, or `Channel` for bytes"
)]
pub trait End {
    /// What the place gets.
    type Get;
    /// What the place puts.
    type Put;

    /// The end that the host passed.
    fn from_handle(handle: u32) -> Self;
}

impl<G, P> End for Channel<G, P> {
    type Get = G;
    type Put = P;

    fn from_handle(handle: u32) -> Self {
        // SAFETY: the host passes an owned handle to the start function, which passes it on once.
        Self::new(unsafe { channels::Channel::from_handle(handle) })
    }
}

/// What a start function may return.
#[diagnostic::on_unimplemented(
    message = "a start function returns nothing or a `Result<(), _>` whose error can be displayed, not `{Self}`",
    label = "write `-> places::Result`, or put the value on the channel"
)]
pub trait Outcome {
    /// The error's text, if there is one.
    fn outcome(self) -> Result<(), String>;
}

impl Outcome for () {
    fn outcome(self) -> Result<(), String> {
        Ok(())
    }
}

impl<E: fmt::Display> Outcome for Result<(), E> {
    fn outcome(self) -> Result<(), String> {
        self.map_err(|error| format!("{error:#}"))
    }
}

/// `result<_, string>` as the canonical ABI lays it out in memory.
#[repr(C)]
struct Returned {
    failed: u8,
    text: *const u8,
    len: usize,
}

/// Runs a start function and returns where its result lies. The host reads that at once, and then the place is gone: nothing is
/// freed.
pub fn run(start: impl FnOnce() -> Result<(), String>) -> *const u8 {
    panic::set_hook(Box::new(|info| api::panicked(&describe(info))));
    let returned = match start() {
        Ok(()) => Returned { failed: 0, text: ptr::null(), len: 0 },
        Err(text) => {
            let text: &'static str = text.leak();
            Returned { failed: 1, text: text.as_ptr(), len: text.len() }
        }
    };
    flush();
    ptr::from_ref(Box::leak(Box::new(returned))).cast()
}

/// Prints the line that has no end yet, as a program's own end does.
pub(crate) fn flush() {
    // Who cannot be printed to any more is not told either.
    let _ = io::stdout().flush();
}

fn describe(info: &PanicHookInfo<'_>) -> String {
    let message = info.payload_as_str().unwrap_or("a value that is no text");
    match info.location() {
        Some(location) => format!("panicked at {location}: {message}"),
        None => format!("panicked: {message}"),
    }
}
