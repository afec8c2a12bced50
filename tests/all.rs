//! All tests that need the command or a guest.

#[macro_use]
mod claims;
mod bad_input;
mod bad_modules;
mod behaviour;
mod cluster;
mod examples;
mod failures;
mod grants;
mod harness;
mod interrupts;
mod lab;
mod mutations;
mod nodes;
mod remote;
mod tidy;
