//! What an end reads, seen from beside: how much waits, and whether there will be more. Whoever looks holds no end, so that looking
//! keeps no channel open.

use std::future::poll_fn;
use std::sync::Arc;

use super::Channel;
use super::mailbox::{Conduit, Mailbox};
use super::waiters::Ticket;

/// A view of the mailbox that an end reads.
#[derive(Clone, Debug)]
pub(crate) struct Inflow {
    conduit: Arc<Conduit>,
    side: usize,
}

impl Channel {
    /// A view of what this end reads.
    pub(crate) fn inflow(&self) -> Inflow {
        Inflow { conduit: Arc::clone(&self.0.conduit), side: self.0.side }
    }
}

impl Inflow {
    /// How many messages wait.
    pub(crate) fn pending(&self) -> usize {
        self.mailbox().len()
    }

    /// Whether nothing more will come; what has come may still wait.
    pub(crate) fn has_ended(&self) -> bool {
        self.mailbox().has_ended()
    }

    /// Whether nobody will read what comes.
    pub(crate) fn is_abandoned(&self) -> bool {
        self.mailbox().is_abandoned()
    }

    /// Waits until nothing more will come, or nobody will read it.
    pub(crate) async fn ended(&self) {
        let mut watch = Watch { mailbox: self.mailbox(), ticket: Ticket::default() };
        poll_fn(|cx| watch.mailbox.poll_settled(cx, &mut watch.ticket)).await;
    }

    fn mailbox(&self) -> &Mailbox {
        &self.conduit[self.side]
    }
}

struct Watch<'a> {
    mailbox: &'a Mailbox,
    ticket: Ticket,
}

impl Drop for Watch<'_> {
    fn drop(&mut self) {
        self.mailbox.forget_observer(&mut self.ticket);
    }
}
