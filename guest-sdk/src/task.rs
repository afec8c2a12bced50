//! Waiting without stopping the place: futures over the events of [`sync`](crate::sync()).
//!
//! A place has one thread, and a call that waits stops all of it. Where several things are to go on at once, each is a future, and
//! [`block_on`] runs them: while none of them can go on, the place waits in one call for all that they wait for, which costs the same
//! however many they are. Every
//! [`Event`] can be awaited: `channel.message().await`, `place.exited().await`, `after(time).await`. A [`Router`](crate::Router) is such
//! a future with handlers that come and go.
//!
//! ```no_run
//! # mod program {
//! use places::{Channel, after, task};
//! use std::time::Duration;
//!
//! /// Asks two servers at once, and gives up on both after a second.
//! #[places::start]
//! fn main(ch: Channel<(Channel<u32, u32>, Channel<u32, u32>), ()>) -> places::Result {
//!     let (one, other) = ch.get()?;
//!     let answers = task::join_all([one.put_get_async(7), other.put_get_async(8)]);
//!     match task::block_on(task::within(Duration::from_secs(1), answers)) {
//!         Some(answers) => println!("{answers:?}"),
//!         None => println!("one of them does not answer"),
//!     }
//!     Ok(())
//! }
//! # }
//! # fn main() {}
//! ```
//!
//! Futures of other crates run here too, as long as what wakes them is in this place.

mod interest;
pub(crate) mod reactor;
pub(crate) mod woken;

use std::cell::Cell;
use std::fmt;
use std::future::{Future, IntoFuture, poll_fn};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use crate::event::{self, Either, Event, Fired, Source};
use reactor::Wait;
use woken::Woken;

/// An event that is awaited; made by `.await`, or by [`IntoFuture::into_future`] where it is to be polled by hand.
///
/// Dropping it loses nothing: a message is taken only when this is ready. Time counts from the first poll.
#[must_use = "a future does nothing before it is awaited"]
pub struct Awaited<E> {
    event: Option<E>,
    wait: Wait,
}

impl<E> Awaited<E> {
    pub(crate) fn new(event: E) -> Self {
        Self { event: Some(event), wait: Wait::default() }
    }
}

/// Nothing in it is ever pinned.
impl<E> Unpin for Awaited<E> {}

impl<E: Event> Future for Awaited<E> {
    type Output = E::Output;

    /// # Panics
    /// Where it was ready before.
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<E::Output> {
        let Self { event, wait } = &mut *self;
        let waiting = event.as_ref().expect("a future is not polled after it was ready");
        let seen = match wait.poll(cx) {
            Some(Poll::Pending) => return Poll::Pending,
            // There was a message, and somebody else may have taken it.
            Some(Poll::Ready(Fired::Readable)) if matches!(waiting.source(), Source::Channel(_)) => waiting.now(),
            Some(Poll::Ready(fired)) => Some(fired),
            // Who has had its share asks the host: so one channel on which there is always a message does not keep the others from theirs.
            None if LEFT.get() == 0 => None,
            None => waiting.now().inspect(|_| LEFT.set(LEFT.get() - 1)),
        };
        match seen {
            Some(seen) => match event.take() {
                Some(event) => Poll::Ready(event.take(seen)),
                None => Poll::Pending,
            },
            None => {
                wait.begin(cx, waiting);
                Poll::Pending
            }
        }
    }
}

impl<E> fmt::Debug for Awaited<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Awaited").field("wait", &self.wait).finish_non_exhaustive()
    }
}

/// How many messages a task may take that are there already, before others go on.
const BUDGET: u32 = 32;

thread_local!(static LEFT: Cell<u32> = const { Cell::new(BUDGET) });

/// Begins the turn of a task.
pub(crate) fn refill() {
    LEFT.set(BUDGET);
}

struct Flag(AtomicBool);

impl Wake for Flag {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Runs a future to its end. While it cannot go on, the place waits for what it waits for.
///
/// Within a future this works too, but then all others stand still until it returns.
///
/// # Panics
/// Where the future waits for nothing that could come: it would never end.
pub fn block_on<F: IntoFuture>(future: F) -> F::Output {
    let mut future = pin!(future.into_future());
    let woken = Arc::new(Flag(AtomicBool::new(true)));
    let waker = Waker::from(Arc::clone(&woken));
    loop {
        if woken.0.swap(false, Ordering::Relaxed) {
            refill();
            if let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
                return output;
            }
        }
        // Where it can go on at once, this only asks what else has happened.
        let can_go_on = woken.0.load(Ordering::Relaxed);
        if !reactor::turn(!can_go_on) && !can_go_on {
            panic!("a future waits for nothing that could come");
        }
    }
}

/// Waits for whichever of two futures is ready first; of two that are, the first. The other is dropped.
pub async fn race<A: IntoFuture, B: IntoFuture>(one: A, other: B) -> Either<A::Output, B::Output> {
    let (mut one, mut other) = (pin!(one.into_future()), pin!(other.into_future()));
    poll_fn(|cx| match one.as_mut().poll(cx) {
        Poll::Ready(output) => Poll::Ready(Either::Left(output)),
        Poll::Pending => other.as_mut().poll(cx).map(Either::Right),
    })
    .await
}

/// What a future yields, or nothing where it is not ready within this time; then it is dropped.
pub async fn within<F: IntoFuture>(time: Duration, future: F) -> Option<F::Output> {
    match race(future, event::after(time)).await {
        Either::Left(output) => Some(output),
        Either::Right(()) => None,
    }
}

/// Waits for all of them at once; their outputs in their order.
pub async fn join_all<F: IntoFuture>(futures: impl IntoIterator<Item = F>) -> Vec<F::Output> {
    let woken = Arc::new(Woken::default());
    let begin = |(number, future): (u64, F)| Either::Left((Box::pin(future.into_future()), woken.begin(number)));
    let mut running: Vec<_> = (0..).zip(futures).map(begin).collect();
    let mut left = running.len();
    poll_fn(|cx| {
        woken.wakes(cx);
        // Each once, of those that can go on; one that wakes itself again and again leaves its turn to others.
        for _ in 0..running.len() {
            let Some(number) = woken.next() else { break };
            let slot = &mut running[number as usize];
            if let Either::Left((future, waker)) = slot
                && let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(waker))
            {
                *slot = Either::Right(output);
                left -= 1;
            }
        }
        if left == 0 {
            return Poll::Ready(());
        }
        if woken.any() {
            cx.waker().wake_by_ref();
        }
        Poll::Pending
    })
    .await;
    running.into_iter().filter_map(|slot| if let Either::Right(output) = slot { Some(output) } else { None }).collect()
}
