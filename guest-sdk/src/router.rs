//! A loop over whatever may happen to a place, with a handler for each: Racket's `message-router`.

use std::borrow::Borrow;
use std::cell::{Cell, OnceCell, RefCell};
use std::collections::BTreeMap;
use std::error::Error as StdError;
use std::fmt;
use std::future::{Future, IntoFuture, poll_fn};
use std::marker::PhantomData;
use std::pin::Pin;
use std::rc::{Rc, Weak};
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use crate::task::woken::Woken;
use crate::{Channel, Error, Message, Result, at, task};

/// How many tasks go on before the host is asked what else has happened.
const TURNS: usize = 128;

/// A loop over events. [`Router::run`] makes one, has handlers added to it, for messages, ends of places, timers, whatever can be
/// awaited, and runs them until one of them calls [`Router::stop`]. Handlers may add others, and use what was there before the loop.
///
/// ```no_run
/// # mod program {
/// use places::{Channel, Router};
/// use std::time::Duration;
///
/// # #[places::start] fn worker(_: Channel<String, String>) {}
/// #[places::start]
/// fn main(_: Channel) -> places::Result {
///     let worker = worker::spawn()?;
///     let why = Router::run(|router| {
///         // At once, and then every second; the others go on while it waits for the answer.
///         router.every(Duration::from_secs(1), async || {
///             println!("{}", worker.put_get_async("how far are you?").await?);
///             Ok(())
///         });
///         router.after(Duration::from_secs(60), || println!("a minute has passed"));
///         router.on(worker.exited(), |why| router.stop(why));
///     })?;
///     println!("it ended: {why:?}");
///     Ok(())
/// }
/// # }
/// # fn main() {}
/// ```
///
/// A handler is a closure, and returns nothing or a [`Result`]; or it is an `async` closure, which may wait without stopping the
/// others. An error of a handler ends the loop.
///
/// **Order.** Handlers run one at a time; one that waits lets others run. What has happened is handled in the order in which the host
/// saw it, with a turn for each of those that are ready at once. A handler of messages gets the next one when it is done with the last.
/// Timers that are due go in the order of their times, and those of one time in the order in which they began to wait.
pub struct Router<'scope, 'env: 'scope, T> {
    /// Whoever runs it holds it. Its handlers have this router, so it cannot hold them.
    inner: OnceCell<Weak<Inner<'scope, T>>>,
    env: PhantomData<&'env mut &'env ()>,
}

struct Inner<'a, T> {
    tasks: RefCell<BTreeMap<u64, Task<'a>>>,
    next: Cell<u64>,
    woken: Arc<Woken>,
    value: RefCell<Option<T>>,
}

type Running<'a> = Pin<Box<dyn Future<Output = Result> + 'a>>;

struct Task<'a> {
    /// Absent while it runs.
    future: Option<Running<'a>>,
    waker: Waker,
}

/// A handler of a [`Router`]. Dropping this changes nothing.
pub struct Entry<'scope, T> {
    inner: Weak<Inner<'scope, T>>,
    number: u64,
}

/// What a handler may return: nothing or a [`Result`], or a future of either. `How` tells the two apart.
#[diagnostic::on_unimplemented(
    message = "a handler returns nothing, a `places::Result`, or a future of either, not `{Self}`",
    label = "end it with `Ok(())`, or with `;`"
)]
pub trait Handled<How> {
    /// Waits until it is done.
    #[doc(hidden)]
    fn handled(self) -> impl Future<Output = Result>;
}

/// Of a handler that is done when it returns; see [`Handled`].
#[derive(Debug)]
pub enum Now {}

/// Of a handler that may wait; see [`Handled`].
#[derive(Debug)]
pub enum Later {}

impl Handled<Now> for () {
    fn handled(self) -> impl Future<Output = Result> {
        std::future::ready(Ok(()))
    }
}

impl Handled<Now> for std::result::Result<(), Box<dyn StdError>> {
    fn handled(self) -> impl Future<Output = Self> {
        std::future::ready(self)
    }
}

impl<F: Future<Output: Handled<Now>>> Handled<Later> for F {
    async fn handled(self) -> Result {
        self.await.handled().await
    }
}

impl<'scope, 'env, T> Router<'scope, 'env, T> {
    /// Has handlers added to a new router, and runs them until one calls [`Self::stop`], whose value this returns; or until none is
    /// left, and then there is none. Those that are left are dropped.
    ///
    /// # Errors
    /// That of a handler.
    pub fn run<R, How>(set_up: impl for<'any> FnOnce(&'any Router<'any, 'env, T>) -> R) -> Result<Option<T>>
    where
        R: Handled<How>,
    {
        task::block_on(Router::run_async(set_up))
    }

    /// As [`Self::run`], within an `async` function.
    ///
    /// # Errors
    /// As [`Self::run`].
    pub async fn run_async<R, How>(set_up: impl for<'any> FnOnce(&'any Router<'any, 'env, T>) -> R) -> Result<Option<T>>
    where
        R: Handled<How>,
    {
        let router = Router { inner: OnceCell::new(), env: PhantomData };
        // It is dropped before the router that its tasks use.
        let inner = Rc::new(Inner::default());
        let _ = router.inner.set(Rc::downgrade(&inner));
        set_up(&router).handled().await?;
        poll_fn(|cx| inner.turn(cx)).await
    }

    /// Adds a task: a future that goes on beside the others.
    pub fn spawn(&self, task: impl Future<Output: Handled<Now>> + 'scope) -> Entry<'scope, T> {
        let inner = self.inner.get().map(Weak::clone).unwrap_or_default();
        let number = inner.upgrade().map_or(0, |inner| inner.add(Box::pin(task.handled())));
        Entry { inner, number }
    }

    /// Handles an event, once: `place.exited()`, `monitor.ended()`, `node.lost()`, `ready(&pollable)`, or anything else that can be
    /// awaited.
    pub fn on<E, R, How>(&self, event: E, handler: impl FnOnce(E::Output) -> R + 'scope) -> Entry<'scope, T>
    where
        E: IntoFuture + 'scope,
        R: Handled<How>,
    {
        self.spawn(async move { handler(event.await).handled().await })
    }

    /// Handles each message of a channel, which may be lent or given. The last that it is called with is the error after which there
    /// are no more; a message of another type, [`Error::Decode`], is not the last.
    pub fn each<C, G, P, R, How>(
        &self,
        channel: C,
        mut handler: impl FnMut(std::result::Result<G, Error>) -> R + 'scope,
    ) -> Entry<'scope, T>
    where
        C: Borrow<Channel<G, P>> + 'scope,
        G: Message + 'scope,
        P: 'scope,
        R: Handled<How>,
    {
        self.spawn(async move {
            loop {
                let message = channel.borrow().message().await;
                let last = matches!(message, Err(Error::Closed | Error::NodeLost));
                handler(message).handled().await?;
                if last {
                    return Result::Ok(());
                }
            }
        })
    }

    /// Does something when the loop begins, or as soon as it is added to one that runs; and then always `period` after it began to do
    /// it. If it takes longer than that, it begins again when it is done: what was missed is not made up for.
    pub fn every<R, How>(&self, period: Duration, mut handler: impl FnMut() -> R + 'scope) -> Entry<'scope, T>
    where
        R: Handled<How>,
    {
        self.spawn(async move {
            loop {
                let next = Instant::now() + period;
                if let Err(error) = handler().handled().await {
                    return Result::Err(error);
                }
                at(next).await;
            }
        })
    }

    /// Does something once, this long from now.
    pub fn after<R, How>(&self, time: Duration, handler: impl FnOnce() -> R + 'scope) -> Entry<'scope, T>
    where
        R: Handled<How>,
    {
        let due = Instant::now() + time;
        self.spawn(async move {
            at(due).await;
            handler().handled().await
        })
    }

    /// Ends the loop with a value, once the handler that calls this returns or waits. The first value counts.
    pub fn stop(&self, value: T) {
        if let Some(inner) = self.inner.get().and_then(Weak::upgrade) {
            inner.value.borrow_mut().get_or_insert(value);
        }
    }
}

impl<'a, T> Inner<'a, T> {
    /// Adds a task, and returns its number.
    fn add(&self, future: Running<'a>) -> u64 {
        let number = self.next.get();
        self.next.set(number + 1);
        self.tasks.borrow_mut().insert(number, Task { future: Some(future), waker: self.woken.begin(number) });
        number
    }

    fn turn(&self, cx: &Context<'_>) -> Poll<Result<Option<T>>> {
        self.woken.wakes(cx);
        for _ in 0..TURNS {
            if let Some(value) = self.value.take() {
                return Poll::Ready(Ok(Some(value)));
            }
            let Some(number) = self.woken.next() else {
                return if self.tasks.borrow().is_empty() { Poll::Ready(Ok(None)) } else { Poll::Pending };
            };
            if let Poll::Ready(Err(error)) = self.go_on(number) {
                return Poll::Ready(Err(error));
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// Lets one task go on.
    fn go_on(&self, number: u64) -> Poll<Result> {
        let taken = self.tasks.borrow_mut().get_mut(&number).and_then(|task| Some((task.future.take()?, task.waker.clone())));
        // It was removed after it was woken.
        let Some((mut future, waker)) = taken else { return Poll::Pending };
        task::refill();
        let poll = future.as_mut().poll(&mut Context::from_waker(&waker));
        let mut tasks = self.tasks.borrow_mut();
        match &poll {
            Poll::Pending => {
                // It may have removed itself.
                if let Some(task) = tasks.get_mut(&number) {
                    task.future = Some(future);
                    return poll;
                }
            }
            Poll::Ready(_) => drop(tasks.remove(&number)),
        }
        drop(tasks);
        drop(future);
        poll
    }
}

impl<T> Entry<'_, T> {
    /// Removes the handler, wherever it waits. A handler may remove itself: then it goes no further than to where it next waits.
    pub fn remove(&self) {
        if let Some(inner) = self.inner.upgrade() {
            let removed = inner.tasks.borrow_mut().remove(&self.number);
            drop(removed);
        }
    }
}

impl<T> Default for Inner<'_, T> {
    fn default() -> Self {
        Self { tasks: RefCell::default(), next: Cell::new(0), woken: Arc::default(), value: RefCell::new(None) }
    }
}

impl<T> fmt::Debug for Router<'_, '_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Router").finish_non_exhaustive()
    }
}

impl<T> fmt::Debug for Entry<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Entry").field("number", &self.number).finish_non_exhaustive()
    }
}
