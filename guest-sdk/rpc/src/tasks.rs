//! Handlers that wait: `async` methods, each a task of its server until it is done.
//!
//! They run between requests, one at a time, and never while a request is handled. Whoever drops one has the desk free, for what it
//! holds may be the reply to its caller.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Wake, Waker};

use crate::frame::NO_CALL;
use crate::panic;

/// What came of a request.
#[doc(hidden)]
pub enum Handled {
    /// It is done, and has not changed the state.
    Same,
    /// It is done, and may have.
    Changed,
    /// It goes on when this is polled.
    Waits(Running),
}

type Running = Pin<Box<dyn Future<Output = ()>>>;

/// The state of a server none of whose handlers waits, and so shares it.
#[doc(hidden)]
pub fn alone<S>(server: &mut Rc<S>) -> &mut S {
    Rc::get_mut(server).expect("only a handler that waits shares the state, and this server has none")
}

/// Whose task it is: the client, the number of its call, and a number of its own.
type Key = (u32, u64, u64);

/// The handlers that wait.
#[derive(Default)]
pub(crate) struct Tasks {
    running: BTreeMap<Key, Task>,
    next: u64,
    woken: Arc<Woken>,
}

struct Task {
    future: Running,
    waker: Waker,
}

impl Tasks {
    pub(crate) fn is_empty(&self) -> bool {
        self.running.is_empty()
    }

    /// Whether one of them need not wait.
    pub(crate) fn can_go_on(&self) -> bool {
        !self.woken.lock().is_empty()
    }

    /// Begins with a handler, up to where it waits.
    pub(crate) fn begin(&mut self, client: u32, call: u64, future: Running) {
        let key = (client, call, self.next);
        self.next += 1;
        let waker = Arc::new(Wakes { key, queued: AtomicBool::new(false), woken: Arc::clone(&self.woken) }).into();
        self.poll(key, Task { future, waker });
    }

    /// Lets those go on that have been woken, each once; whether there were any.
    pub(crate) fn go_on(&mut self) -> bool {
        let woken = std::mem::take(&mut *self.woken.lock());
        let mut any = false;
        for wakes in woken {
            wakes.queued.store(false, Ordering::Relaxed);
            if let Some(task) = self.running.remove(&wakes.key) {
                any = true;
                self.poll(wakes.key, task);
            }
        }
        any
    }

    /// Drops the handler of a call that nobody waits for any more.
    pub(crate) fn cancel(&mut self, client: u32, call: u64) {
        self.drop_between((client, call, 0), (client, call, u64::MAX));
    }

    /// Drops the handlers of a client's calls. What it has cast is still done.
    pub(crate) fn leave(&mut self, client: u32) {
        self.drop_between((client, NO_CALL + 1, 0), (client, u64::MAX, u64::MAX));
    }

    fn drop_between(&mut self, first: Key, last: Key) {
        // The usual server has none.
        if !self.running.is_empty() {
            let keys: Vec<Key> = self.running.range(first..=last).map(|(key, _)| *key).collect();
            keys.iter().for_each(|key| drop(self.running.remove(key)));
        }
    }

    fn poll(&mut self, key: Key, mut task: Task) {
        panic::set_caller(Some((key.0, key.1)));
        let poll = task.future.as_mut().poll(&mut Context::from_waker(&task.waker));
        panic::set_caller(None);
        if poll.is_pending() {
            self.running.insert(key, task);
        }
    }
}

/// The tasks that can go on, in the order in which they were woken.
#[derive(Default)]
struct Woken(Mutex<VecDeque<Arc<Wakes>>>);

impl Woken {
    fn lock(&self) -> MutexGuard<'_, VecDeque<Arc<Wakes>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Wakes one task.
struct Wakes {
    key: Key,
    queued: AtomicBool,
    woken: Arc<Woken>,
}

impl Wake for Wakes {
    fn wake(self: Arc<Self>) {
        if !self.queued.swap(true, Ordering::Relaxed) {
            let woken = Arc::clone(&self.woken);
            woken.lock().push_back(self);
        }
    }
}

impl fmt::Debug for Handled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Same => "Same",
            Self::Changed => "Changed",
            Self::Waits(_) => "Waits",
        })
    }
}
