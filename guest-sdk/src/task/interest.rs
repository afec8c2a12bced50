//! What a future waits for, as the host is told of it.

use std::mem::ManuallyDrop;
use std::time::Instant;

use crate::Pollable;
use crate::bindings::{api, channels, events, nodes};
use crate::event::{self, Event, Source};

/// What a future waits for: handles as the numbers that they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Interest {
    Readable(u32),
    Room(u32, u64),
    Exit(u32),
    Down(u32),
    NodeDown(u32),
    Pollable(u32),
    At(Instant),
}

impl Interest {
    pub(super) fn of(event: &impl Event) -> Self {
        if let Some(time) = event.due() {
            return Self::At(time);
        }
        match event.source() {
            Source::Channel(end) | Source::Readable(end) => Self::Readable(end.handle()),
            Source::Room((end, size)) => Self::Room(end.handle(), size),
            Source::Exit(place) => Self::Exit(place.handle()),
            Source::Down(monitor) => Self::Down(monitor.handle()),
            Source::NodeDown(node) => Self::NodeDown(node.handle()),
            Source::Pollable(pollable) => Self::Pollable(pollable.handle()),
            Source::After(time) => Self::At(event::later(time)),
        }
    }
}

/// A handle that somebody else owns.
pub(super) enum Lent {
    Readable(ManuallyDrop<channels::Channel>),
    Room(ManuallyDrop<channels::Channel>, u64),
    Exit(ManuallyDrop<api::Place>),
    Down(ManuallyDrop<api::Monitor>),
    NodeDown(ManuallyDrop<nodes::Node>),
    Pollable(ManuallyDrop<Pollable>),
}

impl Lent {
    pub(super) fn new(interest: Interest) -> Self {
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

    pub(super) fn source(&self) -> Source<'_> {
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

/// A selector that somebody else owns.
pub(super) fn lent_selector(handle: u32) -> ManuallyDrop<events::Selector> {
    // SAFETY: as in `Lent::new`.
    ManuallyDrop::new(unsafe { events::Selector::from_handle(handle) })
}
