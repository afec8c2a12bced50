//! How a place ended, and who waits for it.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use crate::channel::{Ticket, Waiters};

/// How a place ended.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ExitReason {
    /// Its start function returned.
    Returned,
    /// It called `exit` with this code.
    Exited(u8),
    /// Its start function returned an error, of which this is the text.
    Failed(Arc<str>),
    /// It panicked, or did something WebAssembly forbids.
    Trapped {
        /// The panic's message, or the trap's.
        message: Arc<str>,
        /// One frame a line, innermost first; empty where there is none.
        backtrace: Arc<str>,
    },
    /// It was killed, or the place that spawned it ended.
    Killed,
    /// It went over its memory, its deadline or its fuel; the text says which.
    Limit(Arc<str>),
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
        }
    }
}

/// A reason that is told once and then stays.
#[derive(Debug, Default)]
pub(crate) struct Exit(Mutex<Telling>);

#[derive(Debug, Default)]
struct Telling {
    reason: Option<ExitReason>,
    waiters: Waiters,
}

impl Exit {
    /// Tells everybody who waits; a second telling changes nothing.
    pub(crate) fn tell(&self, reason: ExitReason) {
        let mut telling = self.lock();
        telling.reason.get_or_insert(reason);
        let waiters = telling.waiters.drain();
        drop(telling);
        waiters.into_iter().for_each(Waker::wake);
    }

    pub(crate) fn exiting(&self) -> Exiting<'_> {
        Exiting { exit: self, ticket: Ticket::default() }
    }

    fn lock(&self) -> MutexGuard<'_, Telling> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A wait for the end of a place.
#[derive(Debug)]
pub struct Exiting<'a> {
    exit: &'a Exit,
    ticket: Ticket,
}

impl Exiting<'_> {
    /// Its exit reason, once it has ended.
    pub fn poll(&mut self, cx: &mut Context<'_>) -> Poll<ExitReason> {
        let mut telling = self.exit.lock();
        match telling.reason.clone() {
            Some(reason) => Poll::Ready(reason),
            None => {
                telling.waiters.enter(&mut self.ticket, cx);
                Poll::Pending
            }
        }
    }
}

impl Drop for Exiting<'_> {
    fn drop(&mut self) {
        self.exit.lock().waiters.leave(&mut self.ticket);
    }
}
