//! An end of a channel as a bridge to another node holds it.
//!
//! A place's end that is somewhere else is stood for, here, by a bridge: it reads what this side puts, to send it, and delivers what
//! the other side sent. It differs from a place in three things. It takes many messages at a time. What it delivers is not refused
//! for want of room: the sender was told how much it may send, and is told again as the mailbox drains. And it says how a
//! direction ended.
//!
//! An end that is shared has other handles beside the bridge's, of places here or of bridges to other nodes. Then the bridge is one
//! holder of many: that its side has ended ends nothing for the others, and what comes cannot go round this node.
//!
//! This module knows nothing of how messages travel.

use std::sync::Arc;
use std::task::{Context, Poll};

use super::waiters::Ticket;
use super::{Channel, Ending, Message, PutError};

/// Which bridge holds an end, in the words of whoever made it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct BridgeKey(pub(crate) u64);

/// One end of a channel, held by a bridge.
#[derive(Debug)]
pub(crate) struct Bridge {
    end: Channel,
    reading: Ticket,
    draining: Ticket,
    observing: Ticket,
}

impl Bridge {
    /// Takes an end over.
    pub(crate) fn new(end: Channel) -> Self {
        Self { end, reading: Ticket::default(), draining: Ticket::default(), observing: Ticket::default() }
    }

    /// Says that this end is a bridge's, and which bridge holds the other end, if one does. Of two bridges that meet on one
    /// channel at least the second is told of the first. One that is not the only holder of its end meets nobody.
    pub(crate) fn meet(&self, key: BridgeKey) -> Option<BridgeKey> {
        if self.is_shared() {
            return None;
        }
        self.end.0.incoming().lock().set_bridge(key);
        self.end.0.outgoing().lock().bridge()
    }

    /// Moves messages that wait to be sent into `batch`, of which all but the last weigh less than `enough`; or says how that
    /// direction ended, once there are none.
    pub(crate) fn poll_take(&mut self, cx: &mut Context<'_>, enough: usize, batch: &mut Vec<Message>) -> Poll<Result<(), Ending>> {
        self.end.0.incoming().poll_batch(cx, enough, batch, &mut self.reading)
    }

    /// Delivers messages from the other side, whether or not there is room; takes them out of `messages`.
    pub(crate) fn deliver(&self, messages: &mut Vec<Message>) -> Result<(), PutError> {
        self.end.0.outgoing().push_anyway(messages)
    }

    /// What was delivered and has not been read: the sum of [`Message::weight`]. Pending as long as more than `at_most`.
    pub(crate) fn poll_drained(&mut self, cx: &mut Context<'_>, at_most: u64) -> Poll<u64> {
        self.end.0.outgoing().poll_drained(cx, at_most, &mut self.draining)
    }

    /// Ready when nobody will read what is delivered: the reader has gone, or this direction has ended, as where the end was closed
    /// before it was sent away.
    pub(crate) fn poll_abandoned(&mut self, cx: &mut Context<'_>) -> Poll<Ending> {
        self.end.0.outgoing().poll_abandoned(cx, &mut self.observing)
    }

    /// Nothing more will be delivered by this bridge; by nobody, where no other has a handle to this end.
    pub(crate) fn end(&self, ending: Ending) {
        if !self.is_shared() {
            self.end.0.outgoing().close_writer(ending);
        }
    }

    /// Nothing more will be taken by this bridge. Where no other has a handle to this end, who puts is told, and what waits is dropped.
    pub(crate) fn refuse(&self, ending: Ending) {
        if !self.is_shared() {
            self.end.0.incoming().close_reader(ending);
        }
    }

    /// Whether others have handles to this end. Once none has, none ever will: a bridge gives no handle away.
    fn is_shared(&self) -> bool {
        Arc::strong_count(&self.end.0) > 1
    }
}

impl Drop for Bridge {
    fn drop(&mut self) {
        self.end.0.incoming().forget_reader(&mut self.reading);
        self.end.0.outgoing().forget_writer(&mut self.draining);
        self.end.0.outgoing().forget_observer(&mut self.observing);
    }
}
