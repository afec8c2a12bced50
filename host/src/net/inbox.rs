//! What a link is told and has not looked at.
//!
//! A node may have a hundred thousand links that nobody tells anything, so an inbox takes no room before something is in it.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

/// Clones are the same inbox.
pub(super) struct Inbox<T>(Arc<Mutex<Queue<T>>>);

struct Queue<T> {
    items: VecDeque<T>,
    reader: Option<Waker>,
}

impl<T> Inbox<T> {
    pub(super) fn put(&self, item: T) {
        let mut queue = self.lock();
        queue.items.push_back(item);
        let reader = queue.reader.take();
        drop(queue);
        reader.into_iter().for_each(Waker::wake);
    }

    pub(super) fn take(&self) -> Option<T> {
        self.lock().items.pop_front()
    }

    /// The next item; the one reader is woken when there is one.
    pub(super) fn poll_take(&self, cx: &Context<'_>) -> Poll<T> {
        let mut queue = self.lock();
        if let Some(item) = queue.items.pop_front() {
            return Poll::Ready(item);
        }
        match &mut queue.reader {
            Some(reader) => reader.clone_from(cx.waker()),
            none => *none = Some(cx.waker().clone()),
        }
        Poll::Pending
    }

    fn lock(&self) -> MutexGuard<'_, Queue<T>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T> Default for Inbox<T> {
    fn default() -> Self {
        Self(Arc::new(Mutex::new(Queue { items: VecDeque::new(), reader: None })))
    }
}

impl<T> Clone for Inbox<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}
