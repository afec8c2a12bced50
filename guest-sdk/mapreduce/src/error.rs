//! What can go wrong with a job.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::wire::Kind;

/// Why a job has not come to its end.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Error {
    /// A task has failed as often as it may.
    Task(Box<TaskError>),
    /// It could not be begun, or nobody is left who could do it; the text says why.
    Cannot(String),
    /// Whoever wanted it does not any more.
    Interrupted,
}

/// A try of a task that has failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskError {
    /// Milliseconds since the job began.
    pub at: u64,
    /// The kind of the task.
    pub kind: Kind,
    /// Its number, from 0.
    pub task: u32,
    /// Which try, from 1.
    pub attempt: u32,
    /// The number of the worker.
    pub worker: u32,
    /// What its node calls itself.
    pub name: String,
    /// What it worked on.
    pub input: String,
    /// Where it was in it, if that is known.
    pub offset: Option<u64>,
    /// What went wrong.
    pub error: String,
    /// The frames of a trap, one a line, innermost first; else empty.
    pub backtrace: String,
    /// Whether it is tried again.
    pub again: bool,
}

impl fmt::Display for TaskError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self.kind {
            Kind::Map => "map",
            Kind::Reduce => "reduce",
        };
        let Self { task, attempt, worker, name, input, error, .. } = self;
        write!(f, "{kind} task {task} ({input}")?;
        if let Some(offset) = self.offset {
            write!(f, ", at byte {offset}")?;
        }
        write!(f, "), attempt {attempt} on worker {worker} `{name}`: {error}")
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Task(task) => {
                write!(f, "{task}")?;
                task.backtrace.lines().try_for_each(|line| write!(f, "\n  {line}"))
            }
            Self::Cannot(why) => f.write_str(why),
            Self::Interrupted => f.write_str("interrupted"),
        }
    }
}

impl std::error::Error for Error {}

impl From<places::Error> for Error {
    fn from(error: places::Error) -> Self {
        Self::Cannot(error.to_string())
    }
}

impl From<String> for Error {
    fn from(why: String) -> Self {
        Self::Cannot(why)
    }
}
