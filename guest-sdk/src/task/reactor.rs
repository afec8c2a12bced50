//! What the futures of this place wait for, and the one call to the host that waits for all of it.
//!
//! A future that is not ready leaves a [`Wait`] here: what the host is to watch, and whom to wake. Nothing is taken by it: where a
//! message is to be read the host only says so, and the future reads it. So a future that is dropped loses nothing, however far it was.
//!
//! The host is told of each wait once, so that what happens costs the same however many wait: they are registered with a selector. But
//! the last few are named to it at each turn instead. Mostly it is one of these that something comes of, and then neither a call to
//! register it was needed nor one to take it back. Times the host is not told of but for the next one, and what is WASI's no selector
//! takes. Where none is registered a `sync` is enough, which costs less.
//!
//! A selector holds the ends of channels that it watches. So what is dropped is taken back at once: an end that the program drops is to
//! close then. Wakers are cloned, called and dropped only while the reactor is free, for they may be anybody's, and drop what waits here.
//!
//! Handles are kept as the numbers that they are, and the reactor owns none. A future deregisters when it is dropped; one that is
//! forgotten instead leaves a number that may be nobody's, and the host traps the place for it where it is told of that number, or holds
//! what it was told of before.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::mem::ManuallyDrop;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use super::interest::{Interest, Lent, lent_selector};
use crate::Error;
use crate::bindings::events;
use crate::event::{self, Event, Fired, Source};
use crate::options::nanos;

/// How many waits are named at each turn rather than registered. To name one costs less than half of what it costs to register it.
const FEW: usize = 8;
/// How many of the last are still named when there were more: those that something comes of soon, and is waited for again.
const LAST: usize = 2;

/// How many waits are told at a turn, of those that have what they wait for.
const MANY: u32 = 64;

/// Marks the keys of a selector that are waits' numbers.
pub(crate) const FUTURE: u64 = 1 << 63;

struct Waiting {
    interest: Interest,
    waker: Waker,
    /// Whether it is registered.
    settled: bool,
}

enum Slot {
    Waiting(Waiting),
    Fired(Fired),
}

#[derive(Default)]
struct Reactor {
    /// In the order in which they began to wait.
    slots: BTreeMap<u64, Slot>,
    next: u64,
    /// Those that are named at each turn, the oldest first; and those of WASI's, which always are.
    young: Vec<u64>,
    pollables: BTreeSet<u64>,
    timers: BTreeSet<(Instant, u64)>,
    /// How many are registered, and with which selector.
    settled: usize,
    home: Option<u32>,
    /// The selector for when nobody lends one.
    own: Option<events::Selector>,
    /// The last turn was a timer's.
    timed: bool,
}

thread_local!(static REACTOR: RefCell<Reactor> = RefCell::default());

/// A future's place among those that wait; the default is none.
#[derive(Debug, Default)]
pub(super) struct Wait(Option<u64>);

impl Wait {
    /// Begins to wait.
    pub(super) fn begin(&mut self, cx: &Context<'_>, event: &impl Event) {
        let (interest, waker) = (Interest::of(event), cx.waker().clone());
        *self = Self(Some(REACTOR.with_borrow_mut(|reactor| reactor.add(interest, waker))));
    }

    /// What the host saw, or nothing yet; none where this does not wait.
    pub(super) fn poll(&mut self, cx: &Context<'_>) -> Option<Poll<Fired>> {
        let number = self.0?;
        let told = REACTOR.with_borrow_mut(|reactor| match reactor.slots.get_mut(&number)? {
            Slot::Waiting(waiting) if waiting.waker.will_wake(cx.waker()) => Some(Poll::Pending),
            Slot::Waiting(_) => None,
            Slot::Fired(_) => match reactor.slots.remove(&number)? {
                Slot::Fired(fired) => Some(Poll::Ready(fired)),
                Slot::Waiting(_) => None,
            },
        });
        if let Some(Poll::Ready(_)) = told {
            self.0 = None;
        }
        told.or_else(|| {
            let mut waker = cx.waker().clone();
            REACTOR.with_borrow_mut(|reactor| {
                if let Some(Slot::Waiting(waiting)) = reactor.slots.get_mut(&number) {
                    std::mem::swap(&mut waiting.waker, &mut waker);
                }
            });
            Some(Poll::Pending)
        })
    }
}

impl Drop for Wait {
    fn drop(&mut self) {
        if let Some(number) = self.0 {
            let slot = REACTOR.with_borrow_mut(|reactor| reactor.remove(number));
            // Its waker may hold anything, which may wait here too.
            drop(slot);
        }
    }
}

impl Reactor {
    fn add(&mut self, interest: Interest, waker: Waker) -> u64 {
        let number = self.next;
        self.next += 1;
        match interest {
            Interest::At(time) => _ = self.timers.insert((time, number)),
            Interest::Pollable(_) => _ = self.pollables.insert(number),
            _ => self.young.push(number),
        }
        self.slots.insert(number, Slot::Waiting(Waiting { interest, waker, settled: false }));
        number
    }

    fn remove(&mut self, number: u64) -> Option<Slot> {
        let slot = self.slots.remove(&number)?;
        if let Slot::Waiting(waiting) = &slot {
            if waiting.settled
                && let Some(home) = self.home
            {
                lent_selector(home).remove(FUTURE | number);
            }
            let (interest, settled) = (waiting.interest, waiting.settled);
            self.forget(number, interest, settled);
        }
        Some(slot)
    }

    /// It waits no more, and the host does not watch for it.
    fn forget(&mut self, number: u64, interest: Interest, settled: bool) {
        match interest {
            Interest::At(time) => _ = self.timers.remove(&(time, number)),
            Interest::Pollable(_) => _ = self.pollables.remove(&number),
            _ if settled => self.settled -= 1,
            _ => {
                if let Ok(index) = self.young.binary_search(&number) {
                    self.young.remove(index);
                }
            }
        }
    }

    /// What the host saw; whom to wake.
    fn fire(&mut self, number: u64, fired: Fired) -> Option<Waker> {
        // It may wait no more, where another was woken before it.
        let slot = self.slots.get_mut(&number)?;
        match std::mem::replace(slot, Slot::Fired(fired)) {
            Slot::Waiting(waiting) => {
                self.forget(number, waiting.interest, waiting.settled);
                Some(waiting.waker)
            }
            told => {
                *slot = told;
                None
            }
        }
    }

    fn is_empty(&self) -> bool {
        self.settled == 0 && self.young.is_empty() && self.pollables.is_empty() && self.timers.is_empty()
    }

    /// Registers all but the last few with a selector; what is to be waited for beside it.
    fn beside(&mut self, selector: u32) -> Beside {
        if self.home != Some(selector) {
            if let Some(home) = self.home.map(lent_selector) {
                self.unsettle(|number| _ = home.remove(FUTURE | number));
            }
            self.home = Some(selector);
        }
        self.settle(selector);
        // At once as large as it may get: how many of these wait a filter cannot know.
        let mut named = Vec::with_capacity(self.young.len() + self.pollables.len());
        for &number in self.young.iter().chain(&self.pollables) {
            if let Some(Slot::Waiting(waiting)) = self.slots.get(&number) {
                named.push((FUTURE | number, Lent::new(waiting.interest)));
            }
        }
        Beside(named)
    }

    fn settle(&mut self, selector: u32) {
        if self.young.len() <= FEW {
            return;
        }
        let old = self.young.len() - LAST;
        let selector = lent_selector(selector);
        let settled = self.young[..old].iter().take_while(|&&number| {
            let Some(Slot::Waiting(waiting)) = self.slots.get_mut(&number) else { return false };
            // Where the place may register no more, they are named at each turn however many they are.
            waiting.settled = selector.add(FUTURE | number, &Lent::new(waiting.interest).source()).is_ok();
            waiting.settled
        });
        let settled = settled.count();
        self.young.drain(..settled);
        self.settled += settled;
    }

    /// None is registered any more.
    fn unsettle(&mut self, remove: impl Fn(u64)) {
        if self.settled > 0 {
            for (&number, slot) in &mut self.slots {
                if let Slot::Waiting(waiting) = slot
                    && waiting.settled
                {
                    remove(number);
                    waiting.settled = false;
                    self.young.push(number);
                }
            }
            self.young.sort_unstable();
            self.settled = 0;
        }
    }

    /// Whose turn it is.
    fn turn(&mut self, wait: bool) -> Turn {
        if self.is_empty() {
            return Turn::Nobodys;
        }
        let (left, timed) = (self.time_left(), std::mem::replace(&mut self.timed, false));
        if !timed && left.is_some_and(|left| left.is_zero()) {
            return Turn::Timers;
        }
        let own = self.own.get_or_insert_with(events::Selector::new).handle();
        let (beside, time) = (self.beside(own), if wait { left } else { Some(Duration::ZERO) });
        if self.settled == 0 { Turn::Few(beside, time) } else { Turn::Many(lent_selector(own), beside, time) }
    }

    fn time_left(&self) -> Option<Duration> {
        self.timers.first().map(|(time, _)| time.saturating_duration_since(Instant::now()))
    }
}

/// What a selector is to wait for beside what is registered with it.
pub(crate) struct Beside(Vec<(u64, Lent)>);

/// What a turn waits for, and for how long at most.
enum Turn {
    Nobodys,
    Timers,
    Few(Beside, Option<Duration>),
    Many(ManuallyDrop<events::Selector>, Beside, Option<Duration>),
}

impl Beside {
    /// Waits for the first of these, or for so long.
    fn first(&self, time: Option<Duration>) -> Option<(u64, Fired)> {
        let mut sources = Vec::with_capacity(self.0.len() + 1);
        sources.extend(self.0.iter().map(|(_, lent)| lent.source()));
        sources.extend(time.map(|time| Source::After(nanos(time))));
        let (index, fired) = event::wait(&sources);
        self.0.get(index).map(|(key, _)| (*key, fired))
    }

    pub(crate) fn events(&self) -> Vec<(u64, Source<'_>)> {
        self.0.iter().map(|(key, lent)| (*key, lent.source())).collect()
    }
}

/// Waits until some of the waits have what they wait for, and wakes their futures; or, if it is not to `wait`, looks. False where
/// nobody waits.
///
/// Timers that are due have every second turn, so that those who are busy hear of the time, and a timer that is always due does not keep
/// them from their work.
pub(crate) fn turn(wait: bool) -> bool {
    match REACTOR.with_borrow_mut(|reactor| reactor.turn(wait)) {
        Turn::Nobodys => return false,
        Turn::Timers => turn_to_timers(),
        Turn::Few(beside, time) => match beside.first(time) {
            Some((key, fired)) => fire(key, fired),
            None => turn_to_timers(),
        },
        Turn::Many(selector, beside, time) => match selector.wait(&[], &beside.events(), MANY, 1, time.map(nanos)) {
            Ok(batch) if batch.fired.is_empty() => turn_to_timers(),
            Ok(batch) => batch.fired.into_iter().for_each(|(key, fired)| fire(key, fired)),
            Err(error) => panic!("{}", Error::from(error)),
        },
    }
    true
}

fn turn_to_timers() {
    REACTOR.with_borrow_mut(|reactor| reactor.timed = true);
    fire_due();
}

/// What another selector is to wait for beside its own, so that it waits for all that futures wait for: some of these are registered
/// with it. And how long until the first timer is due.
pub(crate) fn lend(selector: &events::Selector) -> (Beside, Option<Duration>) {
    REACTOR.with_borrow_mut(|reactor| (reactor.beside(selector.handle()), reactor.time_left()))
}

/// A selector is about to go that may have been lent.
pub(crate) fn take_back(selector: &events::Selector) {
    REACTOR.with_borrow_mut(|reactor| {
        if reactor.home == Some(selector.handle()) {
            // What is registered goes with it.
            reactor.unsettle(|_| {});
            reactor.home = None;
        }
    });
}

/// What a selector saw under a key, for a future, which is woken.
pub(crate) fn fire(key: u64, fired: Fired) {
    let woken = REACTOR.with_borrow_mut(|reactor| reactor.fire(key & !FUTURE, fired));
    woken.into_iter().for_each(Waker::wake);
}

/// Fires the timers that are due, in the order of their times.
pub(crate) fn fire_due() {
    let now = Instant::now();
    for _ in 0..MANY {
        let woken = REACTOR.with_borrow_mut(|reactor| {
            let &(_, number) = reactor.timers.first().filter(|(time, _)| *time <= now)?;
            reactor.fire(number, Fired::After)
        });
        let Some(woken) = woken else { return };
        woken.wake();
    }
}
