//! What a supervisor tells of: each of its steps, and why it ended.

use std::fmt;
use std::time::Duration;

use places::{Error, ExitReason, PlaceId};

use crate::policy::Intensity;

/// A step of a supervisor, in the order in which they are done.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Report {
    /// A child runs.
    Started {
        /// What its supervisor calls it.
        child: String,
        /// Which place it is now.
        place: PlaceId,
        /// What its node calls itself.
        node: String,
    },
    /// A child could not be started. That counts as an end that went wrong.
    NotStarted {
        /// What its supervisor calls it.
        child: String,
        /// Why.
        error: Error,
    },
    /// A child has ended by itself.
    Ended {
        /// What its supervisor calls it.
        child: String,
        /// How.
        reason: ExitReason,
    },
    /// A child is to be started again, and with it those that were stopped for that.
    Restarting {
        /// What its supervisor calls it.
        child: String,
        /// So long from now.
        pause: Duration,
    },
    /// A child was asked to end, or killed, by its supervisor.
    Stopped {
        /// What its supervisor calls it.
        child: String,
        /// How it ended.
        reason: ExitReason,
    },
    /// A child is given up, by its own measure.
    FinalFail {
        /// What its supervisor calls it.
        child: String,
    },
    /// There were too many restarts: all children are stopped.
    GivingUp(GaveUp),
}

/// Why a supervisor gave up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GaveUp {
    /// The child whose restart would have been one too many.
    pub child: String,
    /// How that ended, or why it could not be started.
    pub last: String,
    /// How many restarts there may be.
    pub intensity: Intensity,
}

impl fmt::Display for GaveUp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { child, last, intensity: Intensity { restarts, period } } = self;
        write!(f, "the supervisor gave up: `{child}` {last} (restarts allowed within {period:?}: {restarts})")
    }
}

/// Why a supervisor ended without its children.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Failure {
    /// There were too many restarts.
    GaveUp(GaveUp),
    /// Two children have this name.
    TwoOfName(String),
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::GaveUp(why) => why.fmt(f),
            Self::TwoOfName(name) => write!(f, "two children are called `{name}`"),
        }
    }
}

impl std::error::Error for Failure {}
