//! What a task waits for, told apart.
//!
//! A task that waits for several things is woken by one of them, and to ask all the others again costs more than what has come.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Wake, Waker};

/// One of the things that a task waits for. It is to be asked at first, when it has woken the task, and when it is [`stir`](Self::stir)red.
#[derive(Default)]
pub(super) struct Source {
    waker: Option<(Arc<Bell>, Waker)>,
    due: bool,
}

struct Bell {
    rung: AtomicBool,
    task: Waker,
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if !self.rung.swap(true, Ordering::AcqRel) {
            self.task.wake_by_ref();
        }
    }
}

impl Source {
    /// Sees whether it is what has woken `task`.
    pub(super) fn look(&mut self, task: &Waker) {
        match &self.waker {
            Some((bell, _)) if bell.task.will_wake(task) => self.due |= bell.rung.swap(false, Ordering::AcqRel),
            _ => {
                let bell = Arc::new(Bell { rung: AtomicBool::new(false), task: task.clone() });
                self.waker = Some((Arc::clone(&bell), bell.into()));
                self.due = true;
            }
        }
    }

    /// Whether it is to be asked, and with which waker. It is due no longer.
    pub(super) fn due(&mut self) -> Option<&Waker> {
        std::mem::take(&mut self.due).then_some(())?;
        self.waker.as_ref().map(|(_, waker)| waker)
    }

    /// It is to be asked again, for it was not asked for all that it has, or what is done with that has changed.
    pub(super) fn stir(&mut self) {
        self.due = true;
    }
}

#[cfg(test)]
mod tests {
    use std::task::Waker;

    use super::*;

    #[test]
    fn a_source_is_due_at_first_and_when_it_woke() {
        let mut source = Source::default();
        source.look(Waker::noop());
        let waker = source.due().expect("it is due at first").clone();
        source.look(Waker::noop());
        assert!(source.due().is_none());
        waker.wake_by_ref();
        source.look(Waker::noop());
        assert!(source.due().is_some());
        source.look(Waker::noop());
        assert!(source.due().is_none());
        source.stir();
        assert!(source.due().is_some());
    }

    #[test]
    fn a_source_moves_with_its_task() {
        let task = Arc::new(Bell { rung: AtomicBool::new(false), task: Waker::noop().clone() });
        let mut source = Source::default();
        source.look(Waker::noop());
        source.due();
        source.look(&Arc::clone(&task).into());
        source.due().expect("it is to be asked with the new waker").wake_by_ref();
        assert!(task.rung.load(Ordering::Acquire));
    }
}
