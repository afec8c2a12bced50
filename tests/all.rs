//! All tests that need the command or a guest.

mod examples;
mod harness;
