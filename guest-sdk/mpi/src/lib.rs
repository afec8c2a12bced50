//! MPI on places: ranks that exchange messages, and collective operations over all of them.
//!
//! A rank is a place. Its program is a start function that begins with [`init`]:
//!
//! ```no_run
//! # mod program {
//! use places::Channel;
//! use places_mpi::{finish, init, op};
//!
//! #[places::start]
//! fn prod_id(ch: Channel) -> places::Result {
//!     let (world, _args) = init(ch)?;
//!     let mut product = [world.rank() as u64 + 1];
//!     world.allreduce(&mut product, op::Prod)?;
//!     println!("{}", product[0]);
//!     Ok(finish(world)?)
//! }
//! # }
//! # fn main() {}
//! ```
//!
//! `placehost mpirun -n 8 job.wasm prod_id` runs eight of it, here or over several nodes; [`launch()`] does so from a program.
//!
//! # What there is
//!
//! * A [`Communicator`] has `send`, `recv`, `recv_into`, `sendrecv`, with tags and wildcards ([`Source`], [`Tag`], [`Status`]); `isend`
//!   and `irecv` with [`Request`], [`wait_all`] and [`wait_any`]; `probe` and `iprobe`.
//! * `barrier`, `broadcast`, `reduce`, `allreduce`, `gather`, `scatter`, `allgather`, `alltoall`, `reduce_scatter`, `scan`, `exscan`, and
//!   those with blocks of any length (`gatherv` and so on); [`op`] has the operations.
//! * `split`, `dup`, `subgroup` make communicators; `partition` says which share of a whole is this rank's.
//! * Elements are [`Datatype`]s: numbers, which travel as they lie in memory. What ends in `_value` takes anything of serde's.
//!
//! # What may be relied on
//!
//! Messages of one rank to another on one communicator do not overtake each other (MPI 4.1, section 3.5). A send returns when its
//! elements may change again; 8 MiB and 8,192 messages wait in an inbox, and what goes beyond waits at the sender, which takes
//! meanwhile what comes to it. So ranks that all send first do not wait for each other for ever, as long as what they are sent fits
//! their memory.
//!
//! A rank that goes wrong ends the job, which says which one it was and how; with [`OnFailure::Continue`] the others go on, and what
//! they wait for of that rank is an [`Error::Ended`]. Ranks that disagree about a collective operation get an [`Error::Mismatch`]. A
//! job whose ranks all wait while no message is under way ends within a few seconds, and says who waited for what.

mod agent;
mod collective;
mod communicator;
mod datatype;
mod error;
mod header;
mod init;
mod launch;
mod launcher;
mod matching;
pub mod op;
mod partition;
mod point;
mod process;
mod request;
mod tree;
mod wire;

pub use communicator::Communicator;
pub use datatype::{Datatype, Loc, Located};
pub use error::Error;
pub use init::{finish, init};
pub use launch::{Config, Job, LaunchError, begin, build_config, launch, localhost_config, remote_config};
pub use partition::share;
pub use point::{Source, Status, Tag};
pub use request::{RecvRequest, Request, SendRequest, wait_all, wait_any};
pub use wire::{Host, OnFailure};
