//! Tasks that were woken and can go on, in the order in which that was.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Wake, Waker};

/// The numbers of those that can go on, and who runs them.
#[derive(Default)]
pub(crate) struct Woken(Mutex<Queue>);

#[derive(Default)]
struct Queue {
    tasks: VecDeque<Arc<Wakes>>,
    parent: Option<Waker>,
}

/// Wakes one task.
struct Wakes {
    number: u64,
    queued: AtomicBool,
    woken: Arc<Woken>,
}

impl Woken {
    /// A waker for the task of a number, which is woken as it begins.
    pub(crate) fn begin(self: &Arc<Self>, number: u64) -> Waker {
        let wakes = Arc::new(Wakes { number, queued: AtomicBool::new(false), woken: Arc::clone(self) });
        wakes.wake_by_ref();
        wakes.into()
    }

    /// Who is to be woken when a task is.
    pub(crate) fn wakes(&self, cx: &Context<'_>) {
        let is_known = self.lock().parent.as_ref().is_some_and(|parent| parent.will_wake(cx.waker()));
        if !is_known {
            let former = self.lock().parent.replace(cx.waker().clone());
            drop(former);
        }
    }

    /// The next one that can go on.
    pub(crate) fn next(&self) -> Option<u64> {
        let wakes = self.lock().tasks.pop_front()?;
        wakes.queued.store(false, Ordering::Relaxed);
        Some(wakes.number)
    }

    /// Whether any can go on.
    pub(crate) fn any(&self) -> bool {
        !self.lock().tasks.is_empty()
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Wake for Wakes {
    fn wake(self: Arc<Self>) {
        if self.queued.swap(true, Ordering::Relaxed) {
            return;
        }
        let woken = Arc::clone(&self.woken);
        let parent = {
            let mut queue = woken.lock();
            queue.tasks.push_back(self);
            queue.parent.clone()
        };
        if let Some(parent) = parent {
            parent.wake();
        }
    }
}
