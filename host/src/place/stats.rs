//! What can be seen of a place from outside while it runs.
//!
//! Only the place's own task writes; a listing reads whenever it likes, and may see one figure before and another after a change.
//! So a plain load and store count, and no other thread's cache is asked.

use std::pin::pin;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};

/// What a place is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Activity {
    /// It computes, or would if a processor were free.
    Running,
    /// It waits: for a message, a place, a time, or the outside.
    Waiting,
}

/// One place's figures.
#[derive(Debug, Default)]
pub(crate) struct Stats {
    /// Bytes of linear memory.
    memory: AtomicU64,
    put: AtomicU64,
    got: AtomicU64,
    phase: AtomicU8,
    /// What the place says it is doing.
    label: Mutex<Box<str>>,
}

/// What is kept of a label, in bytes.
const LONGEST_LABEL: usize = 255;

/// The place's task is being polled, or is about to be for the first time.
const RUNNING: u8 = 0;
/// It gave way to others, and goes on by itself.
const YIELDING: u8 = 1;
/// It goes on when something wakes it.
const WAITING: u8 = 2;

impl Stats {
    pub(crate) fn put(&self, messages: usize) {
        add(&self.put, messages);
    }

    pub(crate) fn got(&self, messages: usize) {
        add(&self.got, messages);
    }

    pub(super) fn set_memory(&self, bytes: u64) {
        self.memory.store(bytes, Relaxed);
    }

    /// Sets its label, which is one line.
    pub(crate) fn label(&self, text: &str) {
        let mut end = text.len().min(LONGEST_LABEL);
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        let line = text[..end].replace(char::is_control, " ");
        *self.label.lock().unwrap_or_else(PoisonError::into_inner) = line.into();
    }

    pub(super) fn shown_label(&self) -> Option<String> {
        let label = self.label.lock().unwrap_or_else(PoisonError::into_inner);
        (!label.is_empty()).then(|| label.to_string())
    }

    /// It gives way, at a tick.
    pub(super) fn gives_way(&self) {
        self.phase.store(YIELDING, Relaxed);
    }

    /// Runs what the place does, and notes when that waits. Noting it where the task is polled costs the calls that need not wait
    /// nothing.
    pub(super) async fn watch<T>(&self, work: impl Future<Output = T>) -> T {
        let mut work = pin!(work);
        std::future::poll_fn(|cx| {
            self.phase.store(RUNNING, Relaxed);
            let poll = work.as_mut().poll(cx);
            if poll.is_pending() && self.phase.load(Relaxed) == RUNNING {
                self.phase.store(WAITING, Relaxed);
            }
            poll
        })
        .await
    }

    pub(super) fn activity(&self) -> Activity {
        if self.phase.load(Relaxed) == WAITING { Activity::Waiting } else { Activity::Running }
    }

    pub(super) fn memory(&self) -> u64 {
        self.memory.load(Relaxed)
    }

    /// How many messages it has put, and got.
    pub(super) fn messages(&self) -> (u64, u64) {
        (self.put.load(Relaxed), self.got.load(Relaxed))
    }
}

fn add(counter: &AtomicU64, more: usize) {
    counter.store(counter.load(Relaxed).wrapping_add(more as u64), Relaxed);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_label_is_one_line_of_bounded_length() {
        let stats = Stats::default();
        assert_eq!(stats.shown_label(), None);
        stats.label("rank 2\n\u{1b}[2J");
        assert_eq!(stats.shown_label().as_deref(), Some("rank 2  [2J"));
        stats.label(&"ü".repeat(200));
        assert_eq!(stats.shown_label(), Some("ü".repeat(127)));
        stats.label("");
        assert_eq!(stats.shown_label(), None);
    }
}
