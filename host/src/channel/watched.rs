//! An end that is watched beside many others, for as long as whoever watches likes.
//!
//! Unlike a [`Reading`](super::Reading) it holds its end, so that it can be kept; and it takes a share of what waits at a time, so that
//! each look locks the mailbox once and nobody beside it starves.
//!
//! One that is only looked at takes nothing, and no turn of a reader either: who looks may take its time, or never come back.

use std::task::{Context, Poll};

use super::lookers::Group;
use super::waiters::Ticket;
use super::{Channel, Ending, Message};

/// An end, and its turn among those who read it.
#[derive(Debug)]
pub(crate) struct Watched {
    end: Channel,
    reading: Ticket,
}

/// How much may be taken.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Share {
    messages: usize,
    bytes: usize,
    /// Whether nothing has been taken, so that a message may have any size.
    untouched: bool,
}

/// How it goes on after the messages that were taken.
#[derive(Debug)]
pub(crate) enum After {
    /// There are more than could be taken.
    More,
    /// With a message that is not plain, which was taken too.
    Attached(Message),
    /// With nothing.
    Ended(Ending),
}

impl Watched {
    /// Watches an end.
    pub(crate) fn new(end: Channel) -> Self {
        Self { end, reading: Ticket::default() }
    }

    /// The end.
    pub(crate) fn end(&self) -> &Channel {
        &self.end
    }

    /// Takes plain messages into `taken`, at most `turn` of them and as far as `share` allows, and says how it goes on after them.
    /// Pending where nothing more is there yet, even if something was taken.
    pub(crate) fn poll_share(&mut self, cx: &mut Context<'_>, turn: usize, share: &mut Share, taken: &mut Vec<Vec<u8>>) -> Poll<After> {
        self.end.0.incoming().poll_share(cx, turn, share, taken, &mut self.reading)
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        self.end.0.incoming().forget_reader(&mut self.reading);
    }
}

/// An end whose messages are left where they are.
#[derive(Debug)]
pub(crate) struct Looking {
    end: Channel,
    group: Group,
    ticket: Ticket,
}

impl Looking {
    /// Looks at an end, with others of its group: one of these is told of each message.
    pub(crate) fn new(end: Channel, group: Group) -> Self {
        end.0.incoming().add_looker(group);
        Self { end, group, ticket: Ticket::default() }
    }

    /// Ready when there is a message, or will be none.
    pub(crate) fn poll(&mut self, cx: &Context<'_>) -> Poll<()> {
        self.end.0.incoming().poll_look(cx, self.group, &mut self.ticket)
    }
}

impl Drop for Looking {
    fn drop(&mut self) {
        self.end.0.incoming().remove_looker(self.group, &mut self.ticket);
    }
}

impl Share {
    /// This many messages, that together have at most this many bytes; but one whatever its size.
    pub(crate) fn new(messages: usize, bytes: usize) -> Self {
        Self { messages, bytes, untouched: true }
    }

    /// Whether it is used up.
    pub(crate) fn is_spent(&self) -> bool {
        self.messages == 0 || (self.bytes == 0 && !self.untouched)
    }

    /// Whether a message of this size may be taken.
    pub(crate) fn allows(&self, size: usize) -> bool {
        self.messages > 0 && (self.untouched || size <= self.bytes)
    }

    /// Takes a message of this size off.
    pub(crate) fn take(&mut self, size: usize) {
        self.messages = self.messages.saturating_sub(1);
        self.bytes = self.bytes.saturating_sub(size);
        self.untouched = false;
    }
}
