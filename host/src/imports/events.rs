//! `events`: `sync`, which waits for many things and takes one, and selectors, which register them once.

mod selector;

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::Sleep;
use wasmtime::component::Resource;
use wasmtime_wasi::p2::DynPollable;
use wasmtime_wasi::p2::bindings::io::poll::Host as _;

use crate::bindings::places::core::events::{Error, Event, Fired, Host};
use crate::channel::{Accept, Channel, GetError, Message, Reading, Taken, Writing};
use crate::node::Node;
use crate::place::{ExitReason, Exiting, LONGEST, Monitor, Place, State};

#[expect(unreachable_pub, reason = "the generated bindings, private too, name it in a `pub use`")]
pub use selector::Selector;

impl Host for State {
    async fn sync(&mut self, events: Vec<Event>) -> wasmtime::Result<Result<(u32, Fired), Error>> {
        if events.is_empty() {
            return Ok(Err(Error::Invalid("a sync over nothing would never end".into())));
        }
        let turn = self.next_turn();
        let (mut others, mut timer) = (Vec::with_capacity(events.len()), None::<(u64, usize)>);
        for (index, event) in events.into_iter().enumerate() {
            match event {
                Event::After(nanos) => timer = Some(timer.map_or((nanos, index), |first| first.min((nanos, index)))),
                event => others.push((index, event)),
            }
        }
        let (sources, pollables) = self.sources(others)?;
        let mut first = First::of(&sources, self.pollables(pollables, turn / (sources.len() + 1)), turn);
        let (index, ready) = first.within(timer).await?;
        drop(first);
        let fired = self.fired(ready)?;
        Ok(Ok((u32::try_from(index)?, fired)))
    }
}

/// Events by what they are called where they were written down: those that have sources, and pollables.
type Sources<T> = (Vec<(T, Source)>, Vec<(T, Resource<DynPollable>)>);

impl State {
    /// What is behind events; not for timers.
    fn sources<T>(&self, events: Vec<(T, Event)>) -> wasmtime::Result<Sources<T>> {
        let (mut sources, mut pollables) = (Vec::with_capacity(events.len()), Vec::new());
        for (name, event) in events {
            match event {
                Event::Pollable(pollable) => pollables.push((name, pollable)),
                event => sources.push((name, self.source(event)?)),
            }
        }
        Ok((sources, pollables))
    }

    /// What is behind an event; not for timers and pollables.
    fn source(&self, event: Event) -> wasmtime::Result<Source> {
        Ok(match event {
            Event::Channel(end) => Source::Channel(self.table.get(&end)?.clone()),
            Event::Readable(end) => Source::Readable(self.table.get(&end)?.clone()),
            Event::Exit(place) => Source::Place(self.table.get(&place)?.clone()),
            Event::Down(monitor) => Source::Monitor(self.table.get(&monitor)?.clone()),
            Event::NodeDown(node) => Source::Node(self.table.get(&node)?.clone()),
            Event::Room((end, size)) => Source::Room(self.table.get(&end)?.clone(), usize::try_from(size)?),
            Event::After(_) | Event::Pollable(_) => wasmtime::bail!("an event that has no source"),
        })
    }

    /// What happened, in the words of the contract.
    fn fired(&mut self, ready: Ready) -> wasmtime::Result<Fired> {
        Ok(match ready {
            Ready::Message(message) => Fired::Message(self.got(message)?),
            Ready::Ended(GetError::Closed) => Fired::Closed,
            Ready::Ended(GetError::NodeLost) => Fired::NodeLost,
            Ready::Readable => Fired::Readable,
            Ready::Room => Fired::Room,
            Ready::Exit(reason) => Fired::Exit(reason.into()),
            Ready::Down(reason) => Fired::Down(reason.into()),
            Ready::NodeDown => Fired::NodeDown,
            Ready::After => Fired::After,
            Ready::Pollable => Fired::Pollable,
        })
    }
}

enum Source {
    Channel(Channel),
    Readable(Channel),
    Room(Channel, usize),
    Place(Place),
    Monitor(Monitor),
    Node(Node),
}

impl Source {
    fn wait(&self) -> Wait<'_> {
        match self {
            Self::Channel(end) => Wait::Reading(end.reading()),
            Self::Readable(end) => Wait::Looking(end.reading()),
            Self::Room(end, size) => Wait::Writing(end.writing(), *size),
            Self::Place(place) => Wait::Exiting(place.exiting()),
            Self::Monitor(monitor) => Wait::GoingDown(monitor.exiting()),
            Self::Node(node) => Wait::Losing(Box::pin(node.lost())),
        }
    }
}

enum Ready {
    Message(Message),
    Ended(GetError),
    Readable,
    Room,
    Exit(ExitReason),
    Down(ExitReason),
    NodeDown,
    After,
    Pollable,
}

enum Wait<'a> {
    Reading(Reading<'a>),
    Looking(Reading<'a>),
    Writing(Writing<'a>, usize),
    Exiting(Exiting<'a>),
    GoingDown(Exiting<'a>),
    Losing(Pin<Box<dyn Future<Output = ()> + Send + 'a>>),
}

impl Wait<'_> {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Ready> {
        match self {
            Self::Exiting(exiting) => exiting.poll(cx).map(Ready::Exit),
            Self::GoingDown(exiting) => exiting.poll(cx).map(Ready::Down),
            Self::Looking(reading) => reading.poll_ready(cx).map(|()| Ready::Readable),
            Self::Writing(writing, size) => writing.poll_room(cx, *size).map(|()| Ready::Room),
            Self::Losing(lost) => lost.as_mut().poll(cx).map(|()| Ready::NodeDown),
            Self::Reading(reading) => reading.poll_take(cx, Accept::Any).map(|taken| match taken {
                Taken::Message(message) => Ready::Message(message),
                Taken::Ended(ending) => Ready::Ended(ending.into()),
                // Not where any message is acceptable.
                Taken::Attached => Ready::Ended(GetError::Closed),
            }),
        }
    }
}

/// Resolves to the name of an event of WASI's that is ready.
type Pollables<'a, T> = Pin<Box<dyn Future<Output = wasmtime::Result<T>> + Send + 'a>>;

impl State {
    /// WASI's pollables can only be asked through the table that holds them. Their `turn` moves on when all of them have had one.
    fn pollables<T: Copy + Send + 'static>(&mut self, pollables: Vec<(T, Resource<DynPollable>)>, turn: usize) -> Option<Pollables<'_, T>> {
        if pollables.is_empty() {
            return None;
        }
        let table = &mut self.table;
        Some(Box::pin(async move {
            let (names, pollables): (Vec<T>, Vec<_>) = pollables.into_iter().unzip();
            let ready = table.poll(pollables).await?;
            let chosen = ready[turn % ready.len().max(1)];
            Ok(names[chosen as usize])
        }))
    }
}

/// A wait for the first of some events, which takes that alone.
struct First<'a, T> {
    waits: Vec<(T, Wait<'a>)>,
    pollables: Option<Pollables<'a, T>>,
    turn: usize,
}

impl<'a, T: Copy> First<'a, T> {
    /// The search begins at `turn`, which moves on with every call of the place, so that each source has its turn.
    fn of(sources: &'a [(T, Source)], pollables: Option<Pollables<'a, T>>, turn: usize) -> Self {
        Self { waits: sources.iter().map(|(name, source)| (*name, source.wait())).collect(), pollables, turn }
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<wasmtime::Result<(T, Ready)>> {
        // All pollables together have one turn, the last.
        let turns = self.waits.len() + 1;
        for step in 0..turns {
            match self.waits.get_mut((self.turn + step) % turns) {
                Some((name, wait)) => {
                    if let Poll::Ready(ready) = wait.poll(cx) {
                        return Poll::Ready(Ok((*name, ready)));
                    }
                }
                None => {
                    if let Some(Poll::Ready(result)) = self.pollables.as_mut().map(|pollables| pollables.as_mut().poll(cx)) {
                        return Poll::Ready(result.map(|name| (name, Ready::Pollable)));
                    }
                }
            }
        }
        Poll::Pending
    }

    /// Waits for it. A timer, of so many nanoseconds, fires only where nothing else is ready.
    async fn within(&mut self, timer: Option<(u64, T)>) -> wasmtime::Result<(T, Ready)> {
        let mut sleep: Option<Pin<Box<Sleep>>> = None;
        poll_fn(|cx| {
            if let Poll::Ready(ready) = self.poll(cx) {
                return Poll::Ready(ready);
            }
            let Some((nanos, name)) = timer else { return Poll::Pending };
            if nanos == 0 {
                return Poll::Ready(Ok((name, Ready::After)));
            }
            let sleep = sleep.get_or_insert_with(|| Box::pin(tokio::time::sleep(Duration::from_nanos(nanos).min(LONGEST))));
            sleep.as_mut().poll(cx).map(|()| Ok((name, Ready::After)))
        })
        .await
    }
}
