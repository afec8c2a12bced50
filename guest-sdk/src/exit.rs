//! How places end.

use std::fmt;

use crate::bindings::{api, types};
use crate::start;

/// How a place ended.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ExitReason {
    /// Its start function returned.
    Returned,
    /// It called [`exit`] with this code.
    Exited(u8),
    /// Its start function returned an error, of which this is the text.
    Failed(String),
    /// It panicked, or did something WebAssembly forbids.
    Trapped {
        /// The panic's message, or the trap's.
        message: String,
        /// One frame a line, innermost first; empty where there is none.
        backtrace: String,
    },
    /// It was killed, or the place that spawned it ended.
    Killed,
    /// It went over its memory, its deadline or its fuel; the text says which.
    Limit(String),
    /// The node it ran on was lost, and perhaps it with it.
    NodeLost,
    /// A place that it was linked to went wrong; the text says which and how.
    Linked(String),
}

impl ExitReason {
    /// Whether nothing went wrong: it returned, or exited with 0.
    pub fn is_success(&self) -> bool {
        matches!(self, Self::Returned | Self::Exited(0))
    }
}

impl fmt::Display for ExitReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Returned => f.write_str("returned"),
            Self::Exited(code) => write!(f, "exited with code {code}"),
            Self::Failed(error) => write!(f, "failed: {error}"),
            Self::Trapped { message, .. } => write!(f, "trapped: {message}"),
            Self::Killed => f.write_str("was killed"),
            Self::Limit(which) => write!(f, "went over its limit: {which}"),
            Self::NodeLost => f.write_str("was lost with its node"),
            Self::Linked(which) => write!(f, "ended because {which}"),
        }
    }
}

impl From<types::ExitReason> for ExitReason {
    fn from(reason: types::ExitReason) -> Self {
        match reason {
            types::ExitReason::Returned => Self::Returned,
            types::ExitReason::Exited(code) => Self::Exited(code),
            types::ExitReason::Failed(error) => Self::Failed(error),
            types::ExitReason::Trapped(types::Trap { message, backtrace }) => Self::Trapped { message, backtrace },
            types::ExitReason::Killed => Self::Killed,
            types::ExitReason::Limit(which) => Self::Limit(which),
            types::ExitReason::NodeLost => Self::NodeLost,
            types::ExitReason::Linked(which) => Self::Linked(which),
        }
    }
}

/// Ends this place at once, with an exit code. Nothing is unwound: destructors do not run, as with [`std::process::exit`].
pub fn exit(code: u8) -> ! {
    start::flush();
    api::exit(code);
    unreachable!("the host ends the place")
}
