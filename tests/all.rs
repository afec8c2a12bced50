//! All tests that need the command or a guest.

#[macro_use]
mod claims;
mod bad_input;
mod bad_line;
mod bad_modules;
mod behaviour;
mod cluster;
mod examples;
mod examples_far;
mod failures;
mod far;
mod full_disk;
mod grants;
mod harness;
mod held;
mod hostile;
mod interrupts;
mod lab;
mod logs;
mod lost;
mod machines;
mod mapreduce;
mod member;
mod mpi;
mod mutations;
mod nodes;
mod partition;
mod remote;
mod rpc;
mod scratch;
mod ssh;
mod sshd;
mod strangers;
mod supervision;
mod tidy;
mod vanish;
