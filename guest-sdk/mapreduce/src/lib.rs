//! MapReduce on places: mappers, a shuffle between nodes, reducers, and lost workers made good.
//!
//! A program is a component with functions for the parts of a job, and perhaps a driver:
//!
//! ```no_run
//! # mod program {
//! use places::Channel;
//! use places_mapreduce::{Config, Emit, Job, MapReduce, Tasks, Values, combiner, mapper, reducer, words};
//!
//! #[mapper]
//! fn count(line: &str, out: &mut Emit<String, u64>) {
//!     words(line).for_each(|word| out.emit(word, 1));
//! }
//!
//! #[combiner]
//! fn sum(total: &mut u64, more: u64) {
//!     *total += more;
//! }
//!
//! #[reducer]
//! fn total(word: String, counts: Values<'_, u64>, out: &mut Emit<String, u64>) {
//!     out.emit(&word, counts.sum());
//! }
//!
//! #[places::start]
//! fn main(_: Channel) -> places::Result {
//!     let mut workers = MapReduce::workers(Config::default().on("host2").on("host3"))?;
//!     let job = Job::new(count).combiner(sum).reducer(total);
//!     for (word, count) in workers.run(Tasks::files(["/data/*.txt"]), &job)? {
//!         println!("{word} {count}");
//!     }
//!     Ok(())
//! }
//! # }
//! # fn main() {}
//! ```
//!
//! Without one, `placehost mapreduce job.wasm --workers host2,host3 --input 'data/*.txt' --output out/` runs it: see `EVENTS.md`.
//!
//! # What there is
//!
//! * [`mapper`](macro@mapper), [`combiner`](macro@combiner), [`partitioner`](macro@partitioner), [`reducer`](macro@reducer) and
//!   [`outputer`](macro@outputer) make of functions what a [`Job`] is made of. Their types have to fit each other.
//! * [`Tasks`] are lines of files or of objects in stores, or values of the program's own. [`Emit`] takes pairs, [`Values`] are those of one key.
//! * [`words`] finds the words of a text, in less time than the standard library.
//! * Keys and values are any types of serde's. Keys have the order that `#[derive(PartialOrd)]` gives, whatever else their type says.
//! * [`Workers`] are kept from one job to the next.
//!
//! # What may be relied on
//!
//! Each key goes to one reduce task, which gets its keys in order, and the values of each in the order of the map tasks and of what each
//! emitted. So as long as the functions do the same with the same input, results are the same byte for byte, whatever is lost
//! meanwhile and whoever does what.
//!
//! What a task fails at is tried again, elsewhere if may be, four times unless the job says otherwise; then the job fails, with the task,
//! its worker and input, its error and backtrace. Where a worker is lost, what it did is done again, and what it had put out too, if it is
//! still needed. A task that takes long near the end gets a copy; whoever is first counts, and nobody else. Each part of what is put out
//! appears whole or not at all, once, whoever writes it ([`OutputAt`]). The end of whoever runs the job ends all of it, on all nodes.
//!
//! Memory is bounded: what has no room there goes to the scratch directory (`--scratch DIR`, of the job and of each node), sorted, and is
//! merged. Groups are never all in memory, and keys need not be few.

// The attributes name this crate as those who use it do.
extern crate self as places_mapreduce;

mod agent;
mod commit;
mod coordinator;
mod emit;
mod error;
mod event;
mod fetch;
mod files;
mod function;
mod glob;
mod hash;
mod input;
mod job;
mod key;
mod lines;
mod merge;
mod objects;
mod output;
mod plan;
mod registry;
mod results;
mod run;
mod short;
mod slot;
mod sources;
mod splits;
mod start;
mod store;
mod table;
mod text;
mod varint;
mod wire;
mod words;
mod workers;

pub use emit::Emit;
pub use error::{Error, TaskError};
pub use event::{Count, Event, Kind, Progress, Slow, Summary};
pub use function::{Combiner, Line, Lines, Mapper, Of, Outputer, Partitioner, Reducer};
pub use job::{Job, OutputAt, Tasks};
pub use merge::Values;
pub use places_mapreduce_macros::{combiner, mapper, outputer, partitioner, reducer};
pub use results::Results;
pub use slot::args;
pub use words::{Words, words};
pub use workers::{Config, MapReduce, Workers};

/// What the attributes expand to.
#[doc(hidden)]
pub mod __macro {
    pub use crate::function::{Combine, Combining, Outcome, Pairs, Record, read_key};
    pub use crate::registry::{Function, register};
}
