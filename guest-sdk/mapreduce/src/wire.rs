//! What the places of a job say to each other.
//!
//! A job is a tree of places: the coordinator, an agent on each worker's node, and the agents' slots, which run one task at a time each.
//! An agent relays between the coordinator and its slots, keeps what its map tasks have put out, and gives it to whoever asks: reduce
//! slots ask the agents of all nodes, over channels of their own, for which the coordinator passes each agent's *inlet* around.

use std::fmt;

use places::{Blob, Bytes, Channel, ExitReason};
use serde::de::{Error, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::run::Run;

/// Bytes, as such: serde's own way writes them one by one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Raw(pub(crate) Vec<u8>);

impl Serialize for Raw {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(&self.0)
    }
}

impl<'de> Deserialize<'de> for Raw {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Bytes;
        impl Visitor<'_> for Bytes {
            type Value = Raw;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("bytes")
            }

            fn visit_bytes<E: Error>(self, bytes: &[u8]) -> Result<Raw, E> {
                Ok(Raw(bytes.to_vec()))
            }

            fn visit_byte_buf<E: Error>(self, bytes: Vec<u8>) -> Result<Raw, E> {
                Ok(Raw(bytes))
            }
        }
        deserializer.deserialize_byte_buf(Bytes)
    }
}

/// What all tasks of a job have in common.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Spec {
    pub(crate) job: u64,
    pub(crate) mapper: String,
    pub(crate) combiner: Option<String>,
    pub(crate) partitioner: Option<String>,
    /// Absent where the pairs of the mapper are the result.
    pub(crate) reducer: Option<String>,
    /// How many reduce tasks there are, and parts of a map task's output.
    pub(crate) parts: u32,
    /// Bytes of buffers.
    pub(crate) buffer: u64,
    /// Results are lines of text, and else values.
    pub(crate) lines: bool,
    /// The directory for runs that find no room in memory.
    pub(crate) scratch: Option<String>,
    /// The directory, or the URL, where reduce tasks write their results themselves; absent where the job's place has them.
    pub(crate) output: Option<String>,
    /// For the program's functions.
    pub(crate) args: Vec<String>,
}

/// How a file is packed, by its first bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Packing {
    #[default]
    None,
    Gzip,
    Zstd,
    /// It is one split however it is packed, which whoever reads it sees: to look beforehand would be a request for each object.
    Unseen,
}

/// A file, or an object, that was asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Found {
    pub(crate) path: String,
    pub(crate) size: u64,
    pub(crate) packing: Packing,
}

/// What a map task works on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Input {
    /// A value of the program's own.
    Value(Raw),
    /// Lines of a file of so many bytes, or of an object, whose path is its URL.
    Split { path: String, offset: u64, len: u64, size: u64, packing: Packing },
}

/// A kind of task.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// From input to pairs.
    Map,
    /// From the pairs of some keys to results.
    Reduce,
}

/// One try to do a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub(crate) struct Try {
    pub(crate) kind: Kind,
    pub(crate) task: u32,
    /// Counts from 1.
    pub(crate) attempt: u32,
}

/// What a task has done.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Stats {
    pub(crate) records_in: u64,
    pub(crate) records_out: u64,
    pub(crate) bytes_in: u64,
    pub(crate) bytes_out: u64,
    pub(crate) spilled: u64,
    pub(crate) millis: u64,
}

/// Where a map task's output for one reduce task is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Output {
    pub(crate) map: u32,
    pub(crate) attempt: u32,
    pub(crate) worker: u32,
    /// None where there is nothing for that reduce task.
    pub(crate) bytes: u64,
}

/// A page of a run, as an agent keeps it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) enum Page {
    Memory(Blob),
    /// In the node's scratch directory.
    Disk {
        path: String,
        offset: u64,
    },
}

/// From the coordinator to an agent.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum ToAgent {
    /// The first message. Slots with an even number are for map tasks, the others for reduce tasks.
    Begin {
        worker: u32,
        slots: u32,
        memory: Option<u64>,
    },
    /// What a job begins with; answered by `Files`.
    Find(Find),
    /// A job begins.
    Job(Spec),
    /// A way to the agent of a worker.
    Inlet {
        worker: u32,
        inlet: Inlet,
    },
    /// A worker is lost: what it had put out is not to be had any more.
    Lost {
        worker: u32,
    },
    Map {
        slot: u32,
        task: u32,
        attempt: u32,
        input: Input,
    },
    /// The result goes to `out`, or where the job says.
    Reduce {
        slot: u32,
        task: u32,
        attempt: u32,
        maps: u32,
        out: Option<Channel<Bytes, Bytes>>,
    },
    /// What a reduce task has written itself gets its name.
    Keep {
        slot: u32,
        task: u32,
        attempt: u32,
    },
    /// For the reduce task of a slot.
    Outputs {
        slot: u32,
        task: u32,
        outputs: Vec<Output>,
    },
    /// Ends a slot, and starts it anew; said to have `Ended` as any other end.
    Kill {
        slot: u32,
    },
    /// The job is over: slots that still work are ended, and what was kept for it goes; so do parts of the output, where it has failed.
    Over {
        job: u64,
        remove: Vec<u32>,
        /// This worker, of all, removes what others may have left in the output that never got its name.
        sweep: bool,
    },
}

/// What a worker does before a job begins.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Find {
    /// The input: it lists what is there, or only sees whether it may.
    pub(crate) patterns: Vec<String>,
    pub(crate) list: bool,
    /// Objects that are no larger are one split.
    pub(crate) split: u64,
    /// Where its reduce tasks write themselves.
    pub(crate) output: Option<String>,
}

/// From an agent to the coordinator.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum FromAgent {
    /// The first message, with the way to it.
    Ready { inlet: Inlet, scratch: bool },
    /// The answer to that `Find`.
    Files { list: bool, found: Result<Vec<Found>, String> },
    /// A map task is done; the bytes for each reduce task.
    Mapped { job: u64, slot: u32, task: u32, attempt: u32, stats: Stats, bytes: Vec<u64> },
    /// What a slot said itself.
    Said { slot: u32, job: u64, said: Said },
    /// A slot has ended, and begins anew with what it is given from now on: what it did, and what it had before it then. Where its task was, if
    /// it could say so.
    Ended { job: u64, slot: u32, tries: Vec<Try>, reason: Reason, offset: Option<u64> },
    /// Nothing is left of a job.
    Over { job: u64 },
}

/// What a slot tells the coordinator.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Said {
    Failed {
        at: Try,
        error: String,
        offset: Option<u64>,
    },
    /// A reduce task has all its input.
    Fetched {
        task: u32,
        attempt: u32,
    },
    Reduced {
        task: u32,
        attempt: u32,
        stats: Stats,
    },
    /// What a reduce task has written has its name, which this is.
    Kept {
        task: u32,
        attempt: u32,
        name: String,
    },
    /// A reduce task does not reach the worker that has these map tasks' outputs.
    Missing {
        worker: u32,
        maps: Vec<(u32, u32)>,
    },
}

/// From an agent to a slot.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum ToSlot {
    /// The first message, for the names of its files.
    Begin {
        worker: u32,
        slot: u32,
    },
    Job(Spec),
    Map {
        task: u32,
        attempt: u32,
        input: Input,
    },
    Reduce {
        task: u32,
        attempt: u32,
        maps: u32,
        out: Option<Channel<Bytes, Bytes>>,
    },
    Keep {
        task: u32,
        attempt: u32,
    },
    Outputs {
        task: u32,
        outputs: Vec<Output>,
    },
    Inlet {
        worker: u32,
        inlet: Inlet,
    },
    Lost {
        worker: u32,
    },
}

/// From a slot to its agent.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum FromSlot {
    Mapped {
        job: u64,
        task: u32,
        attempt: u32,
        stats: Stats,
        runs: Vec<Run<Page>>,
    },
    Said {
        job: u64,
        said: Said,
    },
    /// It panics, at that offset of its input.
    Panics {
        offset: u64,
    },
}

/// The way to an agent: who wants something of it sends an end of a channel of its own.
pub(crate) type Inlet = Channel<(), Caller>;

/// What a reduce slot sends to an agent first.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Caller {
    pub(crate) line: Channel<Want, Given>,
    /// It is a slot of that very agent, and sees the same scratch directory.
    pub(crate) near: bool,
}

/// A part of a map task's output; from `from` on, counted in blocks of all runs.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Want {
    pub(crate) job: u64,
    pub(crate) map: u32,
    pub(crate) attempt: u32,
    pub(crate) part: u32,
    pub(crate) from: u32,
}

/// The answer.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Given {
    pub(crate) map: u32,
    pub(crate) attempt: u32,
    /// The run that each piece is of, and the piece; none where that output is not here.
    pub(crate) pieces: Option<Vec<(u32, Piece)>>,
    /// Where to go on; absent where that was all.
    pub(crate) next: Option<u32>,
}

/// Blocks of a run, one or more.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) enum Piece {
    Bytes(Raw),
    Blob(Blob),
    Disk { path: String, offset: u64, len: u32 },
}

/// How a place ended, in words that travel.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Reason {
    pub(crate) text: String,
    pub(crate) backtrace: String,
}

impl From<ExitReason> for Reason {
    fn from(reason: ExitReason) -> Self {
        let text = reason.to_string();
        let backtrace = if let ExitReason::Trapped { backtrace, .. } = reason { backtrace } else { String::new() };
        Self { text, backtrace }
    }
}
