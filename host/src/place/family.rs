//! Who dies with whom: a place's task, and its children's.
//!
//! The end of a place ends its children, and theirs. A child is forgotten when it ends, so that a place may have as many over its
//! life as it likes.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use super::Life;

/// Stops the task of one place.
pub(crate) type Stop = Box<dyn FnOnce() + Send>;

/// A place's task and children.
#[derive(Default)]
pub(crate) struct Family(Mutex<Members>);

#[derive(Default)]
struct Members {
    stop: Option<Stop>,
    /// Killed before its task was there to be stopped.
    killed: bool,
    children: HashMap<u64, Weak<Life>>,
}

impl Family {
    /// Names the task to stop.
    pub(crate) fn set_stop(&self, stop: Stop) {
        let mut members = self.lock();
        if members.killed {
            drop(members);
            return stop();
        }
        members.stop = Some(stop);
    }

    /// Stops the place's task; what follows from that happens when the task is dropped.
    pub(crate) fn kill(&self) {
        let mut members = self.lock();
        members.killed = true;
        let stop = members.stop.take();
        drop(members);
        if let Some(stop) = stop {
            stop();
        }
    }

    /// Adds a child; false if the place has been killed meanwhile.
    pub(crate) fn adopt(&self, child: &Arc<Life>) -> bool {
        let mut members = self.lock();
        members.children.insert(child.id.seq, Arc::downgrade(child));
        !members.killed
    }

    pub(crate) fn forget(&self, child: u64) {
        self.lock().children.remove(&child);
    }

    /// At the end of the place.
    pub(crate) fn kill_children(&self) {
        let mut members = self.lock();
        members.killed = true;
        let children = std::mem::take(&mut members.children);
        drop(members);
        for child in children.into_values().filter_map(|child| child.upgrade()) {
            child.family.kill();
        }
    }

    fn lock(&self) -> MutexGuard<'_, Members> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Family {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Family").field("children", &self.lock().children.len()).finish_non_exhaustive()
    }
}
