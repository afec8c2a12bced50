//! Who dies with whom: a place's task, and what it owns.
//!
//! The end of an owner ends its places, and theirs, wherever they run. A place is forgotten when it ends, so that an owner may have
//! as many over its life as it likes.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use super::{ExitReason, Life};
use crate::id::PlaceId;

/// Stops one place.
pub(crate) type Stop = Box<dyn FnOnce() + Send>;

/// The task of a place, and the places that it owns. An owner that is no place has no task.
#[derive(Default)]
pub(crate) struct Family(Mutex<Members>);

#[derive(Default)]
struct Members {
    stop: Option<Stop>,
    /// Stopped, perhaps before its task was there to be.
    stopped: bool,
    /// Why, where it was not simply killed.
    reason: Option<ExitReason>,
    owned: HashMap<PlaceId, Owned>,
}

enum Owned {
    Here(Weak<Life>),
    Elsewhere(Stop),
}

impl Family {
    /// Names the task to stop.
    pub(crate) fn set_stop(&self, stop: Stop) {
        let mut members = self.lock();
        if members.stopped {
            drop(members);
            return stop();
        }
        members.stop = Some(stop);
    }

    /// Stops the place's task; what follows from that happens when the task is dropped. The first reason counts.
    pub(crate) fn stop(&self, reason: ExitReason) {
        let mut members = self.lock();
        members.stopped = true;
        members.reason.get_or_insert(reason);
        let stop = members.stop.take();
        drop(members);
        if let Some(stop) = stop {
            stop();
        }
    }

    /// Why its task was stopped, if it was.
    pub(crate) fn reason(&self) -> Option<ExitReason> {
        self.lock().reason.clone()
    }

    /// Adds a place of this host; false if the owner has ended meanwhile.
    pub(crate) fn adopt(&self, place: &Arc<Life>) -> bool {
        let mut members = self.lock();
        members.owned.insert(place.id(), Owned::Here(Arc::downgrade(place)));
        !members.stopped
    }

    /// Adds a place of another node, with what stops it. False if the owner has ended meanwhile; then it has been stopped.
    pub(crate) fn adopt_remote(&self, key: PlaceId, stop: Stop) -> bool {
        let mut members = self.lock();
        if members.stopped {
            drop(members);
            stop();
            return false;
        }
        members.owned.insert(key, Owned::Elsewhere(stop));
        true
    }

    /// A place has ended.
    pub(crate) fn forget(&self, place: PlaceId) {
        let forgotten = self.lock().owned.remove(&place);
        // What stops a place elsewhere may hold anything: it is dropped without the lock.
        drop(forgotten);
    }

    /// At the end of the owner.
    pub(crate) fn end(&self) {
        let mut members = self.lock();
        members.stopped = true;
        let owned = std::mem::take(&mut members.owned);
        drop(members);
        for place in owned.into_values() {
            match place {
                Owned::Here(life) => drop(life.upgrade().map(|life| life.end(ExitReason::Killed))),
                Owned::Elsewhere(stop) => stop(),
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Members> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Family {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Family").field("owned", &self.lock().owned.len()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;
    use crate::id::NodeId;

    fn id(seq: u64) -> PlaceId {
        PlaceId { node: NodeId(7), seq }
    }

    #[test]
    fn the_end_of_an_owner_stops_what_it_started_elsewhere() {
        let stopped = Arc::new(AtomicUsize::new(0));
        let stop = || -> Stop {
            let stopped = Arc::clone(&stopped);
            Box::new(move || {
                stopped.fetch_add(1, Ordering::Relaxed);
            })
        };
        let family = Family::default();
        assert!(family.adopt_remote(id(1), stop()) && family.adopt_remote(id(2), stop()));
        family.forget(id(1));
        family.end();
        family.end();
        assert_eq!(stopped.load(Ordering::Relaxed), 1);
        // Whoever comes too late is stopped at once.
        assert!(!family.adopt_remote(id(3), stop()));
        assert_eq!(stopped.load(Ordering::Relaxed), 2);
    }

    #[test]
    fn the_first_reason_counts() {
        let family = Family::default();
        assert_eq!(family.reason(), None);
        family.stop(ExitReason::Linked("1".into()));
        family.stop(ExitReason::Killed);
        assert_eq!(family.reason(), Some(ExitReason::Linked("1".into())));
    }
}
