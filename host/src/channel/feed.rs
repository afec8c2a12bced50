//! A way into a channel that outlives the end it was taken from.
//!
//! A named place is reached by whoever knows its name, long after its parent has dropped its end. The one who keeps the names has
//! a feed: it puts what the parent's end could put, keeps that direction open, and reads nothing.

use std::sync::Arc;

use super::mailbox::{Conduit, Mailbox};
use super::{Channel, Message, PutError};

/// Puts into one direction of a channel, and keeps it open until dropped.
#[derive(Debug)]
pub(crate) struct Feed {
    conduit: Arc<Conduit>,
    /// Which mailbox it puts into.
    into: usize,
}

impl Channel {
    /// A feed beside this end: what is put there, the other end reads.
    pub(crate) fn feed(&self) -> Feed {
        let feed = Feed { conduit: Arc::clone(&self.0.conduit), into: 1 - self.0.side };
        feed.mailbox().add_feed();
        feed
    }
}

impl Feed {
    /// Puts a message if there is room.
    ///
    /// # Errors
    /// [`PutError`]; the message is dropped.
    pub(crate) fn try_put(&self, message: impl Into<Message>) -> Result<(), PutError> {
        self.mailbox().push(&mut Some(message.into()))
    }

    fn mailbox(&self) -> &Mailbox {
        &self.conduit[self.into]
    }
}

impl Drop for Feed {
    fn drop(&mut self) {
        self.mailbox().remove_feed();
    }
}
