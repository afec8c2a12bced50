//! Bounded receive queues, one for each direction of a channel.
//!
//! A mailbox keeps the order of each sender and promises nothing across senders. When it is full the sender waits; nothing is
//! dropped. Writers are woken when it has drained to a half, so that a fast writer and a slow reader do not take turns at every
//! message. One reader is woken for each message: readers of one end compete, and a herd would be woken in vain.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::iter::Peekable;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use super::account::Charge;
use super::waiters::{Ticket, Waiters};
use super::{Accept, Bounds, Channel, Message, PutError, Taken};

/// What a mailbox costs the account it is charged to while it holds little: itself and a few short messages.
pub(crate) const FREE: u64 = 512;
/// An account is charged in steps of this many bytes, so that short messages hardly ever touch it.
const STEP: u64 = 4 << 10;
/// What a message costs beyond its bytes.
const OVERHEAD: usize = size_of::<Message>() + 16;

/// Both directions of a channel.
pub(super) type Conduit = [Mailbox; 2];

#[derive(Debug)]
pub(super) struct Mailbox(Mutex<Queue>);

#[derive(Debug)]
pub(super) struct Queue {
    messages: VecDeque<Message>,
    bytes: usize,
    bounds: Bounds,
    readers: Waiters,
    writers: Waiters,
    /// Nobody will put any more.
    ended: bool,
    /// Nobody will read any more.
    abandoned: bool,
    charge: Option<Charge>,
}

/// Messages that are to be put, first to last.
pub(super) trait Source {
    /// The size of the next one, if there is one.
    fn peek(&mut self) -> Option<usize>;
    /// The next one; called only after `peek` has found it.
    fn next(&mut self) -> Message;
}

impl Source for Option<Message> {
    fn peek(&mut self) -> Option<usize> {
        self.as_ref().map(|message| message.data.len())
    }

    fn next(&mut self) -> Message {
        self.take().unwrap_or_default()
    }
}

impl<I: Iterator<Item = Vec<u8>>> Source for Peekable<I> {
    fn peek(&mut self) -> Option<usize> {
        Self::peek(self).map(Vec::len)
    }

    fn next(&mut self) -> Message {
        Iterator::next(self).unwrap_or_default().into()
    }
}

impl Mailbox {
    pub(super) fn new(bounds: Bounds, charge: Option<Charge>) -> Self {
        Self(Mutex::new(Queue {
            messages: VecDeque::new(),
            bytes: 0,
            bounds: Bounds { messages: bounds.messages.max(1), bytes: bounds.bytes },
            readers: Waiters::default(),
            writers: Waiters::default(),
            ended: false,
            abandoned: false,
            charge,
        }))
    }

    /// Puts everything `source` has, or says why not.
    pub(super) fn push(&self, source: &mut impl Source) -> Result<(), PutError> {
        let mut queue = self.lock();
        let (result, wake) = queue.push(source);
        drop(queue);
        wake.run();
        result
    }

    /// As [`Self::push`]; where the mailbox is full, enters the queue of the writers.
    pub(super) fn poll_push(&self, cx: &mut Context<'_>, source: &mut impl Source, ticket: &mut Ticket) -> Poll<Result<(), PutError>> {
        let mut queue = self.lock();
        let (result, wake) = queue.push(source);
        let poll = match result {
            Err(PutError::Full) => {
                queue.writers.enter(ticket, cx);
                Poll::Pending
            }
            result => {
                queue.writers.leave(ticket);
                Poll::Ready(result)
            }
        };
        drop(queue);
        wake.run();
        poll
    }

    /// Takes the next message, or nothing where there is none yet.
    pub(super) fn pop(&self, accept: Accept) -> Option<Taken> {
        let mut queue = self.lock();
        let (taken, wake) = queue.pop(accept);
        drop(queue);
        wake.run();
        taken
    }

    /// As [`Self::pop`]; where there is none yet, enters the queue of the readers.
    pub(super) fn poll_pop(&self, cx: &mut Context<'_>, accept: Accept, ticket: &mut Ticket) -> Poll<Taken> {
        let mut queue = self.lock();
        let (taken, wake) = queue.pop(accept);
        let poll = match taken {
            None => {
                queue.readers.enter(ticket, cx);
                Poll::Pending
            }
            Some(taken) => {
                let woken = queue.readers.leave(ticket);
                // Who was woken for a message it cannot take leaves the turn to the next.
                let next = if woken && matches!(taken, Taken::Attached) { queue.readers.pop() } else { None };
                drop(queue);
                next.into_iter().for_each(Waker::wake);
                wake.run();
                return Poll::Ready(taken);
            }
        };
        drop(queue);
        wake.run();
        poll
    }

    /// `first` and as many plain messages after it as are there and fit `max_bytes` with it.
    pub(super) fn pop_more(&self, first: Message, max_bytes: usize) -> Vec<Vec<u8>> {
        let mut left = max_bytes.saturating_sub(first.data.len());
        let mut taken = vec![first.data];
        let mut queue = self.lock();
        while let Some(next) = queue.messages.front().filter(|next| next.is_plain() && next.data.len() <= left) {
            left -= next.data.len();
            taken.extend(queue.remove_first().map(|message| message.data));
        }
        let wake = queue.room();
        drop(queue);
        wake.run();
        taken
    }

    /// Ready when [`Self::poll_pop`] would be.
    pub(super) fn poll_readable(&self, cx: &mut Context<'_>, ticket: &mut Ticket) -> Poll<()> {
        let mut queue = self.lock();
        if queue.messages.is_empty() && !queue.ended {
            queue.readers.enter(ticket, cx);
            return Poll::Pending;
        }
        // The ticket is kept: who only looked must pass its turn on when it goes.
        Poll::Ready(())
    }

    pub(super) fn forget_reader(&self, ticket: &mut Ticket) {
        let mut queue = self.lock();
        let unused = queue.readers.leave(ticket) && !queue.messages.is_empty();
        let next = if unused { queue.readers.pop() } else { None };
        drop(queue);
        next.into_iter().for_each(Waker::wake);
    }

    pub(super) fn forget_writer(&self, ticket: &mut Ticket) {
        let mut queue = self.lock();
        let next = if queue.writers.leave(ticket) { queue.writers.pop() } else { None };
        drop(queue);
        next.into_iter().for_each(Waker::wake);
    }

    pub(super) fn len(&self) -> usize {
        self.lock().messages.len()
    }

    /// Nobody will put any more: readers get what is there, then are told.
    pub(super) fn close_writer(&self) {
        let mut queue = self.lock();
        queue.ended = true;
        let mut wake = queue.readers.drain();
        wake.append(&mut queue.writers.drain());
        drop(queue);
        wake.into_iter().for_each(Waker::wake);
    }

    /// Nobody will read any more: what is there is dropped, and writers are told.
    pub(super) fn close_reader(&self) {
        let mut queue = self.lock();
        let messages = queue.abandon();
        let wake = queue.writers.drain();
        drop(queue);
        wake.into_iter().for_each(Waker::wake);
        bury(messages);
    }

    /// Whether an end lies in it. May be wrong by the time it returns.
    pub(super) fn holds_ends(&self) -> bool {
        self.lock().ends().next().is_some()
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Queue> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Queue {
    fn push(&mut self, source: &mut impl Source) -> (Result<(), PutError>, Wake) {
        let mut wake = Wake::default();
        let result = loop {
            let Some(size) = source.peek() else { break Ok(()) };
            if self.abandoned || self.ended {
                break Err(PutError::Closed);
            }
            if !self.has_room(size) {
                break Err(PutError::Full);
            }
            if let Err(error) = self.reserve(size + OVERHEAD) {
                break Err(error);
            }
            self.bytes += size;
            self.messages.push_back(source.next());
            wake.add(self.readers.pop());
        };
        (result, wake)
    }

    fn pop(&mut self, accept: Accept) -> (Option<Taken>, Wake) {
        match self.messages.front() {
            None if self.ended || self.abandoned => (Some(Taken::Closed), Wake::default()),
            None => (None, Wake::default()),
            Some(next) if accept == Accept::Plain && !next.is_plain() => (Some(Taken::Attached), Wake::default()),
            Some(_) => {
                let taken = self.remove_first().map(Taken::Message);
                (taken, self.room())
            }
        }
    }

    /// The ends in its messages.
    pub(super) fn ends(&self) -> impl Iterator<Item = &Channel> {
        self.messages.iter().flat_map(Message::channels)
    }

    /// Nobody will read any more: the messages, to be dropped when no lock is held.
    pub(super) fn abandon(&mut self) -> VecDeque<Message> {
        self.abandoned = true;
        self.bytes = 0;
        self.charge = None;
        std::mem::take(&mut self.messages)
    }

    fn remove_first(&mut self) -> Option<Message> {
        let message = self.messages.pop_front()?;
        self.bytes -= message.data.len();
        Some(message)
    }

    fn has_room(&self, size: usize) -> bool {
        self.messages.is_empty() || (self.messages.len() < self.bounds.messages && self.bytes + size <= self.bounds.bytes)
    }

    /// Charges the account so that `more` bytes fit beside what is there.
    fn reserve(&mut self, more: usize) -> Result<(), PutError> {
        let Some(charge) = &mut self.charge else { return Ok(()) };
        let needed = (self.bytes + self.messages.len() * OVERHEAD + more) as u64;
        if needed > charge.bytes() {
            charge.resize(needed.next_multiple_of(STEP)).or_else(|_| charge.resize(needed))?;
        }
        Ok(())
    }

    /// After messages were taken: relieves the account, and finds the writers to wake.
    fn room(&mut self) -> Wake {
        if self.messages.is_empty()
            && let Some(charge) = self.charge.as_mut().filter(|charge| charge.bytes() > FREE)
        {
            // Giving back cannot fail.
            let _ = charge.resize(FREE);
        }
        if self.messages.len() <= self.bounds.messages / 2 && self.bytes <= self.bounds.bytes / 2 {
            return Wake { first: None, rest: self.writers.drain() };
        }
        Wake::default()
    }
}

/// Who is to be woken once the lock is given back. Mostly it is one, which needs no allocation.
#[derive(Default)]
struct Wake {
    first: Option<Waker>,
    rest: Vec<Waker>,
}

impl Wake {
    fn add(&mut self, waker: Option<Waker>) {
        match (&self.first, waker) {
            (None, waker) => self.first = waker,
            (Some(_), waker) => self.rest.extend(waker),
        }
    }

    fn run(self) {
        self.first.into_iter().chain(self.rest).for_each(Waker::wake);
    }
}

/// Drops messages without recursion: an end in a message may be the last handle to a mailbox with an end in a message, and so
/// on, as deep as a guest likes.
pub(super) fn bury(messages: VecDeque<Message>) {
    thread_local!(static GRAVE: RefCell<Option<Vec<VecDeque<Message>>>> = const { RefCell::new(None) });
    if messages.is_empty() {
        return;
    }
    let outermost = GRAVE.with_borrow_mut(|grave| {
        let outermost = grave.is_none();
        grave.get_or_insert_default().push(messages);
        outermost
    });
    if outermost {
        while let Some(messages) = GRAVE.with_borrow_mut(|grave| grave.as_mut().and_then(Vec::pop)) {
            drop(messages);
        }
        GRAVE.with_borrow_mut(|grave| *grave = None);
    }
}
