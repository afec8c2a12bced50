//! What a job says while it runs. `EVENTS.md` has it as JSON.

use serde::{Deserialize, Serialize};

use crate::error::TaskError;
pub use crate::wire::Kind;

/// Something has happened in a job.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", rename_all_fields = "kebab-case")]
#[non_exhaustive]
#[expect(missing_docs, reason = "the fields are those of EVENTS.md")]
pub enum Event {
    /// A worker is there.
    Joined { worker: u32, name: String, address: Option<String>, slots: u32 },
    /// A worker is lost.
    Lost { worker: u32, name: String, why: String, again: u32 },
    /// The agent of a worker has ended while its node lives; the worker `new` is there in its place.
    Restarted { worker: u32, name: String, why: String, again: u32, new: u32 },
    /// The tasks are known.
    Planned { maps: u32, reduces: u32, bytes: u64 },
    /// How far it is.
    Progress(Progress),
    /// A slot has got to a task.
    TaskBegan { at: u64, kind: Kind, task: u32, attempt: u32, worker: u32, slot: u32, input: String },
    /// A task is done.
    TaskEnded {
        at: u64,
        kind: Kind,
        task: u32,
        attempt: u32,
        worker: u32,
        slot: u32,
        input: String,
        millis: u64,
        records_in: u64,
        records_out: u64,
        bytes_in: u64,
        bytes_out: u64,
        spilled: u64,
    },
    /// A task has failed.
    TaskFailed(TaskError),
    /// A task takes long, and has got a copy.
    Straggler { at: u64, kind: Kind, task: u32, worker: u32, millis: u64, copy_on: u32 },
    /// The job is done.
    Done(Summary),
    /// The job has failed.
    Failed { error: String, task: Option<TaskError> },
}

/// How far a job is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[expect(missing_docs, reason = "the fields are those of EVENTS.md")]
pub struct Progress {
    pub at: u64,
    pub maps: Count,
    pub reduces: Count,
    pub bytes_in: u64,
    pub shuffled: u64,
    pub bytes_out: u64,
    pub workers: u32,
    pub retries: u32,
    pub left: Option<u64>,
}

/// How many tasks of a kind there are, are done, and run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "it says so itself")]
pub struct Count {
    pub of: u32,
    pub done: u32,
    pub running: u32,
}

/// What a job has done.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[expect(missing_docs, reason = "the fields are those of EVENTS.md")]
pub struct Summary {
    pub millis: u64,
    pub maps: u32,
    pub reduces: u32,
    pub records_in: u64,
    pub bytes_in: u64,
    pub records_shuffled: u64,
    pub shuffled: u64,
    pub records_out: u64,
    pub bytes_out: u64,
    pub spilled: u64,
    pub retries: u32,
    pub speculated: u32,
    pub workers: u32,
    pub lost: u32,
    pub slowest: Vec<Slow>,
    pub files: Vec<String>,
}

/// A task that took long.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the fields are those of EVENTS.md")]
pub struct Slow {
    pub kind: Kind,
    pub task: u32,
    pub worker: u32,
    pub name: String,
    pub input: String,
    pub millis: u64,
}
