//! How a place ended, who waits for it, and who dies of it.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Context, Poll, Waker};

use super::Life;
use crate::channel::{Ticket, Waiters};
use crate::id::PlaceId;

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
    /// The node it ran on was lost, and perhaps it with it.
    NodeLost,
    /// A place that it was linked to went wrong; the text says which and how.
    Linked(Arc<str>),
}

impl ExitReason {
    /// Whether nothing went wrong: it returned, or exited with 0.
    pub fn is_success(&self) -> bool {
        matches!(self, Self::Returned | Self::Exited(0))
    }

    /// The reason of a place that dies of this one, which is that of the place `id`. In a chain of links all name the first cause:
    /// were each to name the one before, the texts would grow with the chain.
    pub(super) fn through_a_link(&self, id: PlaceId) -> Self {
        match self {
            Self::Linked(_) => self.clone(),
            reason => Self::Linked(format!("a place that it is linked to ended: {id} {reason}").into()),
        }
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

/// A reason that is told once and then stays.
#[derive(Debug, Default)]
pub(crate) struct Exit(Mutex<Telling>);

#[derive(Debug, Default)]
struct Telling {
    reason: Option<ExitReason>,
    waiters: Waiters,
    /// Who dies of it, and it of them. They are living places, or are found not to be when they are told.
    links: HashMap<PlaceId, Weak<Life>>,
}

impl Exit {
    /// Tells everybody who waits, and returns those linked to it; a second telling changes nothing.
    pub(super) fn tell(&self, reason: ExitReason) -> Vec<Arc<Life>> {
        let mut telling = self.lock();
        if telling.reason.is_some() {
            return Vec::new();
        }
        telling.reason = Some(reason);
        let (waiters, links) = (telling.waiters.drain(), std::mem::take(&mut telling.links));
        drop(telling);
        waiters.into_iter().for_each(Waker::wake);
        links.into_values().filter_map(|life| life.upgrade()).collect()
    }

    /// Adds a link, unless the end has been told: then that is returned.
    pub(super) fn link(&self, other: &Arc<Life>) -> Option<ExitReason> {
        let mut telling = self.lock();
        if telling.reason.is_none() {
            telling.links.insert(other.id(), Arc::downgrade(other));
        }
        telling.reason.clone()
    }

    /// Removes the link to that place, if there is one; the place.
    pub(super) fn unlink(&self, other: PlaceId) -> Option<Arc<Life>> {
        self.lock().links.remove(&other)?.upgrade()
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
