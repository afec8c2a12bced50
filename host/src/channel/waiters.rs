//! Who waits for a mailbox: a queue of wakers that can be left early.
//!
//! A waiter keeps its place in the queue by a ticket. One that was woken and then leaves without having used its turn is told
//! apart from one that was not, so that its turn can be passed on and no wake-up is lost.

use std::collections::VecDeque;
use std::task::{Context, Waker};

/// A waiter's place in a [`Waiters`] queue; the default is none.
#[derive(Debug, Default)]
pub(crate) struct Ticket(Option<u64>);

/// Wakers in the order of their tickets.
#[derive(Debug, Default)]
pub(crate) struct Waiters {
    queue: VecDeque<(u64, Waker)>,
    next: u64,
}

impl Waiters {
    /// Enters the queue, or renews the waker of who is in it.
    pub(crate) fn enter(&mut self, ticket: &mut Ticket, cx: &Context<'_>) {
        if let Some(index) = ticket.0.and_then(|number| self.position(number)) {
            self.queue[index].1.clone_from(cx.waker());
            return;
        }
        *ticket = Ticket(Some(self.next));
        self.queue.push_back((self.next, cx.waker().clone()));
        self.next += 1;
    }

    /// Leaves the queue. True if the waiter had been woken, and so holds a turn that somebody else may need.
    pub(crate) fn leave(&mut self, ticket: &mut Ticket) -> bool {
        let Some(number) = ticket.0.take() else { return false };
        match self.position(number) {
            Some(index) => {
                self.queue.remove(index);
                false
            }
            None => true,
        }
    }

    /// The first in the queue, to be woken.
    pub(crate) fn pop(&mut self) -> Option<Waker> {
        self.queue.pop_front().map(|(_, waker)| waker)
    }

    /// Everybody, to be woken.
    pub(crate) fn drain(&mut self) -> Vec<Waker> {
        self.queue.drain(..).map(|(_, waker)| waker).collect()
    }

    /// Tickets ascend, so that the queue is sorted by them.
    fn position(&self, number: u64) -> Option<usize> {
        self.queue.binary_search_by_key(&number, |&(ticket, _)| ticket).ok()
    }
}
