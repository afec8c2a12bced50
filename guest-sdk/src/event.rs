//! Waiting for whichever comes first: Racket's `sync`.

use std::future::IntoFuture;
use std::time::{Duration, Instant};

use crate::bindings::{events, types};
use crate::channel::{self, Channel};
use crate::message::Message;
use crate::options::nanos;
use crate::task::Awaited;
use crate::{Error, ExitReason, Monitor, Node, Place, Pollable};

/// Something to wait for, with the value it has when it comes. Within an `async` function it can be awaited: see
/// [`task`](crate::task).
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not an event",
    label = "write `channel.get()`, `place.exited()`, `after(duration)`, `at(instant)` or `ready(&pollable)`"
)]
pub trait Event {
    /// Its value.
    type Output;

    /// What the host is to watch.
    #[doc(hidden)]
    fn source(&self) -> Source<'_>;

    /// The value, from what the host saw.
    #[doc(hidden)]
    fn take(self, fired: Fired) -> Self::Output;

    /// What is to be seen without the host's waiting, where that is cheap to ask.
    #[doc(hidden)]
    fn now(&self) -> Option<Fired> {
        None
    }

    /// The point in time that it is, if it is one. What is left until then, which the host is told, cannot be compared later.
    #[doc(hidden)]
    fn due(&self) -> Option<Instant> {
        None
    }
}

/// What the host is to watch.
#[doc(hidden)]
pub type Source<'a> = events::Event<'a>;

/// What the host saw.
#[doc(hidden)]
pub type Fired = events::Fired;

/// The next message of a channel; see [`Channel::message`].
#[derive(Debug)]
pub struct NextMessage<'a, G, P>(&'a Channel<G, P>);

/// That something can be read from a channel; see [`Channel::readable`].
#[derive(Debug)]
pub struct Readable<'a, G, P>(&'a Channel<G, P>);

/// Room in a channel; see [`Channel::room`].
#[derive(Debug)]
pub struct Room<'a, G, P>(&'a Channel<G, P>, u64);

/// The end of a place; see [`Place::exited`].
#[derive(Debug)]
pub struct Exited<'a, G, P>(&'a Place<G, P>);

/// The end of a place that is only watched; see [`Monitor::ended`].
#[derive(Debug)]
pub struct Ended<'a>(&'a Monitor);

/// The loss of a node; see [`Node::lost`].
#[derive(Debug)]
pub struct Lost<'a>(&'a Node);

/// An event of one of two kinds, so that [`sync()`] can wait for both at once: who comes, say, and any number of those who are there.
///
/// ```no_run
/// # mod program {
/// use places::{Channel, Either, Error, sync};
///
/// /// Answers any number of clients; found by name, it gets an end of a channel for each.
/// #[places::start]
/// fn square(ch: Channel<Channel<u64, u64>, ()>) -> places::Result {
///     let mut clients: Vec<Channel<u64, u64>> = Vec::new();
///     loop {
///         let there = clients.iter().map(|client| Either::Right(client.message()));
///         match sync(there.chain([Either::Left(ch.message())])) {
///             (_, Either::Left(client)) => clients.push(client?),
///             (n, Either::Right(Ok(number))) => clients[n].put(number * number)?,
///             (n, Either::Right(Err(_))) => drop(clients.remove(n)),
///         }
///     }
/// }
/// # }
/// # fn main() {}
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Either<A, B> {
    /// Of the one kind.
    Left(A),
    /// Of the other.
    Right(B),
}

/// A point in time; see [`after`] and [`at`].
#[derive(Clone, Copy, Debug)]
pub struct Timer(Time);

#[derive(Clone, Copy, Debug)]
enum Time {
    In(Duration),
    At(Instant),
}

/// Something of WASI's; see [`ready`].
#[derive(Debug)]
pub struct Ready<'a>(&'a Pollable);

impl<G: Message, P> Channel<G, P> {
    /// The event of the next message, or that there will be none.
    pub fn message(&self) -> NextMessage<'_, G, P> {
        NextMessage(self)
    }
}

impl<G, P> Channel<G, P> {
    /// The event that [`Self::get`] would not wait: that there is a message, or that there will be none. It takes nothing.
    pub fn readable(&self) -> Readable<'_, G, P> {
        Readable(self)
    }

    /// The event that there is room to put a message of so many bytes, or that nobody will read it.
    pub fn room(&self, bytes: usize) -> Room<'_, G, P> {
        Room(self, bytes as u64)
    }
}

impl<G, P> Place<G, P> {
    /// The event of its end.
    pub fn exited(&self) -> Exited<'_, G, P> {
        Exited(self)
    }
}

impl Monitor {
    /// The event of its end.
    pub fn ended(&self) -> Ended<'_> {
        Ended(self)
    }
}

impl Node {
    /// The event that the connection to it is gone. It never comes for [`Node::this`].
    pub fn lost(&self) -> Lost<'_> {
        Lost(self)
    }
}

/// The event that this much time has passed since the `sync` began.
pub fn after(time: Duration) -> Timer {
    Timer(Time::In(time))
}

/// The time that is this many nanoseconds from now, or one that never comes.
pub(crate) fn later(nanos: u64) -> Instant {
    const NEVER: Duration = Duration::from_secs(100 * 365 * 24 * 3600);
    Instant::now() + Duration::from_nanos(nanos).min(NEVER)
}

/// The event that it is this late: for a deadline over several `sync`s.
pub fn at(time: Instant) -> Timer {
    Timer(Time::At(time))
}

/// The event that something of WASI's is ready: a socket, a stream, a clock.
pub fn ready(pollable: &Pollable) -> Ready<'_> {
    Ready(pollable)
}

/// Waits for whichever of some events of one kind comes first, and returns its index and value. For events of two kinds there is
/// [`Either`], and for as many as are written down one by one [`sync!`](crate::sync!).
///
/// # Panics
/// Where there are no events: that would never end.
pub fn sync<E: Event>(events: impl IntoIterator<Item = E>) -> (usize, E::Output) {
    let mut events: Vec<E> = events.into_iter().collect();
    let sources: Vec<Source<'_>> = events.iter().map(Event::source).collect();
    let (index, fired) = wait(&sources);
    drop(sources);
    (index, events.swap_remove(index).take(fired))
}

/// Waits until one of the sources is ready.
#[doc(hidden)]
pub fn wait(sources: &[Source<'_>]) -> (usize, Fired) {
    match events::sync(sources) {
        Ok((index, fired)) => (index as usize, fired),
        Err(error) => panic!("{}", Error::from(error)),
    }
}

impl<G: Message, P> Event for NextMessage<'_, G, P> {
    type Output = Result<G, Error>;

    fn source(&self) -> Source<'_> {
        events::Event::Channel(self.0.raw())
    }

    fn take(self, fired: Fired) -> Result<G, Error> {
        match fired {
            events::Fired::Message(message) => channel::decode::<G>(message),
            events::Fired::NodeLost => Err(Error::NodeLost),
            _ => Err(Error::Closed),
        }
    }

    fn now(&self) -> Option<Fired> {
        match self.0.raw().try_receive() {
            Ok(message) => Some(events::Fired::Message(message)),
            Err(types::Error::WouldBlock) => None,
            Err(types::Error::NodeLost) => Some(events::Fired::NodeLost),
            Err(_) => Some(events::Fired::Closed),
        }
    }
}

impl<G, P> Event for Readable<'_, G, P> {
    type Output = ();

    fn source(&self) -> Source<'_> {
        events::Event::Readable(self.0.raw())
    }

    fn take(self, _: Fired) {}
}

impl<G, P> Event for Room<'_, G, P> {
    type Output = ();

    fn source(&self) -> Source<'_> {
        events::Event::Room((self.0.raw(), self.1))
    }

    fn take(self, _: Fired) {}
}

impl<G, P> Event for Exited<'_, G, P> {
    type Output = ExitReason;

    fn source(&self) -> Source<'_> {
        events::Event::Exit(self.0.raw())
    }

    fn take(self, fired: Fired) -> ExitReason {
        match fired {
            events::Fired::Exit(reason) => reason.into(),
            _ => unreachable!("the host answers an exit with an exit"),
        }
    }
}

impl Event for Ended<'_> {
    type Output = ExitReason;

    fn source(&self) -> Source<'_> {
        events::Event::Down(self.0.raw())
    }

    fn take(self, fired: Fired) -> ExitReason {
        match fired {
            events::Fired::Down(reason) => reason.into(),
            _ => unreachable!("the host answers an end with an end"),
        }
    }
}

impl Event for Lost<'_> {
    type Output = ();

    fn source(&self) -> Source<'_> {
        events::Event::NodeDown(self.0.raw())
    }

    fn take(self, _: Fired) {}
}

impl<A: Event, B: Event> Event for Either<A, B> {
    type Output = Either<A::Output, B::Output>;

    fn source(&self) -> Source<'_> {
        match self {
            Self::Left(event) => event.source(),
            Self::Right(event) => event.source(),
        }
    }

    fn take(self, fired: Fired) -> Self::Output {
        match self {
            Self::Left(event) => Either::Left(event.take(fired)),
            Self::Right(event) => Either::Right(event.take(fired)),
        }
    }

    fn now(&self) -> Option<Fired> {
        match self {
            Self::Left(event) => event.now(),
            Self::Right(event) => event.now(),
        }
    }

    fn due(&self) -> Option<Instant> {
        match self {
            Self::Left(event) => event.due(),
            Self::Right(event) => event.due(),
        }
    }
}

impl Event for Timer {
    type Output = ();

    fn source(&self) -> Source<'_> {
        events::Event::After(nanos(match self.0 {
            Time::In(time) => time,
            Time::At(time) => time.saturating_duration_since(Instant::now()),
        }))
    }

    fn take(self, _: Fired) {}

    fn due(&self) -> Option<Instant> {
        match self.0 {
            Time::In(_) => None,
            Time::At(time) => Some(time),
        }
    }
}

impl Event for Ready<'_> {
    type Output = ();

    fn source(&self) -> Source<'_> {
        events::Event::Pollable(self.0)
    }

    fn take(self, _: Fired) {}
}

macro_rules! can_be_awaited {
    ($(impl[$($generics:tt)*] $event:ty;)*) => {$(
        impl<$($generics)*> IntoFuture for $event {
            type Output = <Self as Event>::Output;
            type IntoFuture = Awaited<Self>;

            fn into_future(self) -> Awaited<Self> {
                Awaited::new(self)
            }
        }
    )*};
}

can_be_awaited! {
    impl['a, G: Message, P] NextMessage<'a, G, P>;
    impl['a, G, P] Readable<'a, G, P>;
    impl['a, G, P] Room<'a, G, P>;
    impl['a, G, P] Exited<'a, G, P>;
    impl['a] Ended<'a>;
    impl['a] Lost<'a>;
    impl['a] Ready<'a>;
    impl[] Timer;
    impl[A: Event, B: Event] Either<A, B>;
}
