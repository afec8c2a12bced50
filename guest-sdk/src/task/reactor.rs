//! What the futures of this place wait for, and the one `sync` that waits for all of it.
//!
//! A future that is not ready leaves a [`Wait`] here: what the host is to watch, and whom to wake. Nothing is taken by it: where a
//! message is to be read the host only says so, and the future reads it. So a future that is dropped loses nothing, however far it was.
//!
//! Handles are kept as the numbers that they are, and the reactor owns none. A future deregisters when it is dropped; one that is
//! forgotten instead leaves a number that may be nobody's, and the host traps the place for it.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::mem::ManuallyDrop;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use crate::Pollable;
use crate::bindings::{api, channels, events, nodes, types};
use crate::event::{self, Event, Fired, Source};
use crate::options::nanos;

/// What a future waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Interest {
    Readable(u32),
    Room(u32, u64),
    Exit(u32),
    Down(u32),
    NodeDown(u32),
    Pollable(u32),
    At(Instant),
}

enum Slot {
    Waiting(Interest, Waker),
    Fired(Fired),
}

#[derive(Default)]
struct Reactor {
    /// In the order in which they began to wait.
    slots: BTreeMap<u64, Slot>,
    next: u64,
    /// The last turn was a timer's.
    timed: bool,
}

thread_local!(static REACTOR: RefCell<Reactor> = RefCell::default());

/// A future's place among those that wait; the default is none.
#[derive(Debug, Default)]
pub(super) struct Wait(Option<u64>);

impl Wait {
    /// What the host saw, or nothing yet: then this one waits for it.
    pub(super) fn poll(&mut self, cx: &Context<'_>, event: &impl Event) -> Poll<Fired> {
        REACTOR.with_borrow_mut(|reactor| {
            let Some(number) = self.0 else {
                let number = reactor.next;
                reactor.next += 1;
                let interest = event.due().map_or_else(|| interest(&event.source()), Interest::At);
                reactor.slots.insert(number, Slot::Waiting(interest, cx.waker().clone()));
                self.0 = Some(number);
                return Poll::Pending;
            };
            if let Some(Slot::Waiting(_, waker)) = reactor.slots.get_mut(&number) {
                waker.clone_from(cx.waker());
                return Poll::Pending;
            }
            self.0 = None;
            match reactor.slots.remove(&number) {
                Some(Slot::Fired(fired)) => Poll::Ready(fired),
                _ => unreachable!("a slot is removed by its own wait alone"),
            }
        })
    }
}

impl Drop for Wait {
    fn drop(&mut self) {
        if let Some(number) = self.0 {
            let slot = REACTOR.with_borrow_mut(|reactor| reactor.slots.remove(&number));
            // Its waker may hold anything, which may wait here too.
            drop(slot);
        }
    }
}

/// Waits until one of the waits has what it waits for, and wakes its future; or, if it is not to `wait`, looks. False where nobody
/// waits.
///
/// The host chooses a timer only where nothing else is ready. Here one that is due has every second turn, so that those who are busy
/// hear of the time, and a timer that is always due does not keep them from their work.
pub(crate) fn turn(wait: bool) -> bool {
    let mut timer: Option<(Instant, u64)> = None;
    let mut waiting = Vec::new();
    REACTOR.with_borrow(|reactor| {
        for (&number, slot) in &reactor.slots {
            match slot {
                Slot::Waiting(Interest::At(time), _) => timer = Some(timer.map_or((*time, number), |first| first.min((*time, number)))),
                Slot::Waiting(interest, _) => waiting.push((number, Handle::new(*interest))),
                Slot::Fired(_) => {}
            }
        }
    });
    if waiting.is_empty() && timer.is_none() {
        return false;
    }
    let left = timer.map(|(time, _)| time.saturating_duration_since(Instant::now()));
    let is_due = left.is_some_and(|left| left.is_zero());
    let timed = REACTOR.with_borrow_mut(|reactor| std::mem::replace(&mut reactor.timed, false));
    let (index, fired) = if is_due && !timed {
        (waiting.len(), Fired::After)
    } else {
        let mut sources: Vec<Source<'_>> = waiting.iter().map(|(_, handle)| handle.source()).collect();
        let time = if wait { left } else { Some(Duration::ZERO) };
        sources.extend(time.map(|time| Source::After(nanos(time))));
        event::wait(&sources)
    };
    let number = match waiting.get(index) {
        Some(&(number, _)) => Some(number),
        None => timer.filter(|(time, _)| *time <= Instant::now()).map(|(_, number)| number),
    };
    let woken = REACTOR.with_borrow_mut(|reactor| {
        reactor.timed = index == waiting.len();
        reactor.slots.insert(number?, Slot::Fired(fired))
    });
    if let Some(Slot::Waiting(_, waker)) = woken {
        waker.wake();
    }
    true
}

/// Marks the keys of a selector that are futures' numbers here.
pub(crate) const FUTURE: u64 = 1 << 63;

/// Registers with a selector what futures wait for, and takes back what they wait for no more; `known` is what it has. Whether one
/// waits for a pollable, which no selector takes.
pub(crate) fn register(selector: &events::Selector, known: &mut BTreeSet<u64>) -> Result<bool, types::Error> {
    REACTOR.with_borrow(|reactor| {
        known.retain(|number| {
            let waits = matches!(reactor.slots.get(number), Some(Slot::Waiting(..)));
            if !waits {
                selector.remove(FUTURE | number);
            }
            waits
        });
        let mut pollable = false;
        for (&number, slot) in &reactor.slots {
            let Slot::Waiting(interest, _) = slot else { continue };
            match *interest {
                Interest::Pollable(_) => pollable = true,
                _ if known.contains(&number) => {}
                Interest::At(time) => {
                    let left = nanos(time.saturating_duration_since(Instant::now()));
                    selector.add(FUTURE | number, &Source::After(left))?;
                    known.insert(number);
                }
                interest => {
                    selector.add(FUTURE | number, &Handle::new(interest).source())?;
                    known.insert(number);
                }
            }
        }
        Ok(pollable)
    })
}

/// What a selector saw for a future, which is woken.
pub(crate) fn fire(number: u64, fired: Fired) {
    let woken = REACTOR.with_borrow_mut(|reactor| match reactor.slots.get_mut(&number) {
        Some(slot @ Slot::Waiting(..)) => Some(std::mem::replace(slot, Slot::Fired(fired))),
        // It waits no more, or has been told.
        _ => None,
    });
    if let Some(Slot::Waiting(_, waker)) = woken {
        waker.wake();
    }
}

fn interest(source: &Source<'_>) -> Interest {
    match source {
        Source::Channel(end) | Source::Readable(end) => Interest::Readable(end.handle()),
        Source::Room((end, size)) => Interest::Room(end.handle(), *size),
        Source::Exit(place) => Interest::Exit(place.handle()),
        Source::Down(monitor) => Interest::Down(monitor.handle()),
        Source::NodeDown(node) => Interest::NodeDown(node.handle()),
        Source::Pollable(pollable) => Interest::Pollable(pollable.handle()),
        Source::After(time) => Interest::At(event::later(*time)),
    }
}

/// A handle that somebody else owns.
enum Handle {
    Readable(ManuallyDrop<channels::Channel>),
    Room(ManuallyDrop<channels::Channel>, u64),
    Exit(ManuallyDrop<api::Place>),
    Down(ManuallyDrop<api::Monitor>),
    NodeDown(ManuallyDrop<nodes::Node>),
    Pollable(ManuallyDrop<Pollable>),
}

impl Handle {
    fn new(interest: Interest) -> Self {
        // SAFETY: none of these is dropped, so the handle stays with its owner. The host checks the number and its type at each use.
        unsafe {
            match interest {
                Interest::Readable(end) => Self::Readable(ManuallyDrop::new(channels::Channel::from_handle(end))),
                Interest::Room(end, size) => Self::Room(ManuallyDrop::new(channels::Channel::from_handle(end)), size),
                Interest::Exit(place) => Self::Exit(ManuallyDrop::new(api::Place::from_handle(place))),
                Interest::Down(monitor) => Self::Down(ManuallyDrop::new(api::Monitor::from_handle(monitor))),
                Interest::NodeDown(node) => Self::NodeDown(ManuallyDrop::new(nodes::Node::from_handle(node))),
                Interest::Pollable(pollable) => Self::Pollable(ManuallyDrop::new(Pollable::from_handle(pollable))),
                Interest::At(_) => unreachable!("a time has no handle"),
            }
        }
    }

    fn source(&self) -> Source<'_> {
        match self {
            Self::Readable(end) => Source::Readable(end),
            Self::Room(end, size) => Source::Room((end, *size)),
            Self::Exit(place) => Source::Exit(place),
            Self::Down(monitor) => Source::Down(monitor),
            Self::NodeDown(node) => Source::NodeDown(node),
            Self::Pollable(pollable) => Source::Pollable(pollable),
        }
    }
}
