//! What is started again, when, and how often.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Who else is started again with a child that has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Strategy {
    /// Nobody.
    OneForOne,
    /// All: the others are stopped first, the last one first.
    OneForAll,
    /// Those that were added after it, for they may rely on it; they are stopped first, the last one first.
    RestForOne,
}

/// Whether a child that has ended is started again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Restart {
    /// Always.
    #[default]
    Permanent,
    /// If it ended otherwise than by returning or with code 0.
    Transient,
    /// Never, and not with others either.
    Temporary,
}

/// How many restarts are too many: more than `restarts` within `period`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Intensity {
    /// As many may be.
    pub restarts: u32,
    /// In any span of this length.
    pub period: Duration,
}

impl Default for Intensity {
    /// Three in five seconds.
    fn default() -> Self {
        Self { restarts: 3, period: Duration::from_secs(5) }
    }
}

/// How long to wait before a restart: `first`, and twice as long each time that the child did not live for `most` meanwhile, up to
/// `most`. The default is not to wait.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Backoff {
    /// Before the first restart.
    pub first: Duration,
    /// At most.
    pub most: Duration,
}

impl Backoff {
    /// Before the restart that comes after `before` others.
    pub(crate) fn pause(&self, before: u32) -> Duration {
        self.first.saturating_mul(1_u32.checked_shl(before).unwrap_or(u32::MAX)).min(self.most)
    }
}

/// A child's own measure of restarts, in the place of its supervisor's [`Intensity`] and [`Backoff`]; made by [`restart_every`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Every {
    pub(crate) period: Duration,
    pub(crate) retry: Option<u32>,
}

/// To start a child again whenever it has ended, however it did, but only once in so much time. Racket's `restart-every`:
///
/// ```no_run
/// # mod program {
/// # use places::Channel;
/// # use places_supervision::{Child, Strategy, Supervisor, restart_every};
/// # use std::time::Duration;
/// # #[places::start] fn worker(_: Channel) {}
/// # #[places::start] fn main(_: Channel) -> places::Result {
/// let worker = Child::new("worker", worker::NAME)
///     .restart(restart_every(Duration::from_secs(5)).retry(3))
///     .on_final_fail(|| println!("it has been started four times, and that is enough"));
/// Supervisor::new(Strategy::OneForOne).child(worker).run()?;
/// # Ok(()) }
/// # }
/// # fn main() {}
/// ```
pub fn restart_every(period: Duration) -> Every {
    Every { period, retry: None }
}

impl Every {
    /// Gives the child up after so many restarts, beside its first start. One that has lived for twice the period begins to be counted
    /// anew.
    #[must_use]
    pub fn retry(mut self, times: u32) -> Self {
        self.retry = Some(times);
        self
    }
}

/// When a child is started again; made from a [`Restart`] or an [`Every`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Policy {
    pub(crate) restart: Restart,
    pub(crate) every: Option<Every>,
}

impl From<Restart> for Policy {
    fn from(restart: Restart) -> Self {
        Self { restart, every: None }
    }
}

impl From<Every> for Policy {
    fn from(every: Every) -> Self {
        Self { restart: Restart::Permanent, every: Some(every) }
    }
}
