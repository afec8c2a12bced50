//! Bounded receive queues, one for each direction of a channel.
//!
//! A mailbox keeps the order of each sender and promises nothing across senders. When it is full the sender waits; nothing is
//! dropped. Writers are woken when it has drained to a half, so that a fast writer and a slow reader do not take turns at every
//! message. One reader is woken for each message: readers of one end compete, and a herd would be woken in vain. So is one of each group
//! of [lookers](super::lookers).

use std::cell::RefCell;
use std::collections::VecDeque;
use std::iter::Peekable;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use super::account::Charge;
use super::lookers::{Group, Lookers};
use super::waiters::{Ticket, Waiters};
use super::watched::{After, Share};
use super::{Accept, Bounds, BridgeKey, Channel, Ending, Message, PutError, Taken};

/// What a mailbox costs the account it is charged to while it holds little: itself and a few short messages.
pub(crate) const FREE: u64 = 512;
/// An account is charged in steps of this many bytes, so that short messages hardly ever touch it.
const STEP: u64 = 4 << 10;
/// What a message costs beyond its bytes.
const OVERHEAD: usize = size_of::<Message>() + 16;
/// What a message weighs beyond its bytes, between nodes: so that many empty ones are not nothing.
pub(super) const WEIGHT: usize = 64;

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
    lookers: Lookers,
    writers: Waiters,
    /// Woken only when nobody will read any more, or put.
    observers: Waiters,
    /// Nobody will put any more.
    ended: Option<Ending>,
    /// Nobody will read any more.
    abandoned: Option<Ending>,
    /// How many [`Feed`](super::Feed)s keep it from ending, and how it would have ended but for them.
    feeds: usize,
    ended_but_for_feeds: Option<Ending>,
    /// Whose end reads it, where that is a bridge to another node.
    bridge: Option<BridgeKey>,
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
            lookers: Lookers::default(),
            writers: Waiters::default(),
            observers: Waiters::default(),
            ended: None,
            abandoned: None,
            feeds: 0,
            ended_but_for_feeds: None,
            bridge: None,
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
        if queue.messages.is_empty() && queue.ended.is_none() {
            queue.readers.enter(ticket, cx);
            return Poll::Pending;
        }
        // The ticket is kept: who only looked must pass its turn on when it goes.
        Poll::Ready(())
    }

    /// Somebody more who will look.
    pub(super) fn add_looker(&self, group: Group) {
        self.lock().lookers.add(group);
    }

    /// As [`Self::poll_readable`], for a looker.
    pub(super) fn poll_look(&self, cx: &Context<'_>, group: Group, ticket: &mut Ticket) -> Poll<()> {
        let mut queue = self.lock();
        if queue.messages.is_empty() && queue.ended.or(queue.abandoned).is_none() {
            queue.lookers.enter(group, ticket, cx);
            return Poll::Pending;
        }
        // As in `poll_readable`.
        Poll::Ready(())
    }

    /// A looker less; a turn that it leaves is the next one's of its group.
    pub(super) fn remove_looker(&self, group: Group, ticket: &mut Ticket) {
        let mut queue = self.lock();
        let is_there = !queue.messages.is_empty();
        let next = queue.lookers.remove(group, ticket, is_there);
        drop(queue);
        next.into_iter().for_each(Waker::wake);
    }

    /// Ready when a message of `size` bytes could be put, or never will be.
    pub(super) fn poll_room(&self, cx: &mut Context<'_>, size: usize, ticket: &mut Ticket) -> Poll<()> {
        let mut queue = self.lock();
        if !queue.has_room(size) && queue.abandoned.or(queue.ended).is_none() {
            queue.writers.enter(ticket, cx);
            return Poll::Pending;
        }
        // As in `poll_readable`.
        Poll::Ready(())
    }

    /// As [`Self::poll_pop`] for any messages, of which all but the last weigh less than `enough`.
    pub(super) fn poll_batch(
        &self,
        cx: &mut Context<'_>,
        enough: usize,
        batch: &mut Vec<Message>,
        ticket: &mut Ticket,
    ) -> Poll<Result<(), Ending>> {
        let mut queue = self.lock();
        let mut weight = 0;
        while weight < enough
            && let Some(message) = queue.remove_first()
        {
            weight += message.weight();
            batch.push(message);
        }
        if batch.is_empty() {
            if let Some(ending) = queue.ended.or(queue.abandoned) {
                return Poll::Ready(Err(ending));
            }
            queue.readers.enter(ticket, cx);
            return Poll::Pending;
        }
        queue.readers.leave(ticket);
        let wake = queue.room();
        drop(queue);
        wake.run();
        Poll::Ready(Ok(()))
    }

    /// Takes plain messages into `taken`, at most `turn` of them and as far as `share` allows, and says how it goes on after them.
    /// Where there are no more yet, enters the queue of the readers.
    pub(super) fn poll_share(
        &self,
        cx: &mut Context<'_>,
        turn: usize,
        share: &mut Share,
        taken: &mut Vec<Vec<u8>>,
        ticket: &mut Ticket,
    ) -> Poll<After> {
        let mut queue = self.lock();
        let before = taken.len();
        let after = loop {
            match queue.messages.front() {
                None => break queue.ended.or(queue.abandoned).map(After::Ended),
                Some(next) if taken.len() - before == turn || !share.allows(next.data.len()) => break Some(After::More),
                Some(next) => {
                    share.take(next.data.len());
                    match queue.remove_first() {
                        Some(plain) if plain.is_plain() => taken.push(plain.data),
                        whole => break whole.map(After::Attached),
                    }
                }
            }
        };
        match after {
            None => queue.readers.enter(ticket, cx),
            Some(_) => drop(queue.readers.leave(ticket)),
        }
        let any = taken.len() > before || matches!(after, Some(After::Attached(_)));
        let wake = if any { queue.room() } else { Wake::default() };
        drop(queue);
        wake.run();
        after.map_or(Poll::Pending, Poll::Ready)
    }

    /// Puts messages whether or not there is room.
    pub(super) fn push_anyway(&self, messages: &mut Vec<Message>) -> Result<(), PutError> {
        let mut queue = self.lock();
        if let Some(ending) = queue.abandoned.or(queue.ended) {
            drop(queue);
            messages.clear();
            return Err(ending.into());
        }
        queue.reserve(messages.iter().map(|message| message.data.len() + OVERHEAD).sum())?;
        let mut wake = Wake::default();
        for message in messages.drain(..) {
            queue.bytes += message.data.len();
            queue.messages.push_back(message);
            queue.announce(&mut wake);
        }
        drop(queue);
        wake.run();
        Ok(())
    }

    /// The weight of what waits, once it is at most this; meanwhile in the queue of the writers. They are woken when the mailbox
    /// is half empty, so `at_most` must not be less than that.
    pub(super) fn poll_drained(&self, cx: &mut Context<'_>, at_most: u64, ticket: &mut Ticket) -> Poll<u64> {
        let mut queue = self.lock();
        let weight = queue.weight();
        if weight > at_most && queue.abandoned.is_none() {
            queue.writers.enter(ticket, cx);
            return Poll::Pending;
        }
        queue.writers.leave(ticket);
        Poll::Ready(weight)
    }

    /// Ready when nobody will read any more, or what was put could not be read because that had ended.
    pub(super) fn poll_abandoned(&self, cx: &mut Context<'_>, ticket: &mut Ticket) -> Poll<Ending> {
        let mut queue = self.lock();
        match queue.abandoned.or(queue.ended) {
            Some(ending) => Poll::Ready(ending),
            None => {
                queue.observers.enter(ticket, cx);
                Poll::Pending
            }
        }
    }

    /// Whether nobody will put any more.
    pub(super) fn has_ended(&self) -> bool {
        self.lock().ended.is_some()
    }

    /// Whether nobody will read any more.
    pub(super) fn is_abandoned(&self) -> bool {
        self.lock().abandoned.is_some()
    }

    /// Ready when nobody will put any more, or read.
    pub(super) fn poll_settled(&self, cx: &mut Context<'_>, ticket: &mut Ticket) -> Poll<()> {
        let mut queue = self.lock();
        if queue.ended.or(queue.abandoned).is_some() {
            return Poll::Ready(());
        }
        queue.observers.enter(ticket, cx);
        Poll::Pending
    }

    pub(super) fn forget_observer(&self, ticket: &mut Ticket) {
        self.lock().observers.leave(ticket);
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

    /// Nobody will put any more, unless there are feeds: readers get what is there, then are told.
    pub(super) fn close_writer(&self, ending: Ending) {
        let mut queue = self.lock();
        let wake = match queue.feeds {
            0 => queue.end(ending),
            _ => {
                queue.ended_but_for_feeds.get_or_insert(ending);
                Vec::new()
            }
        };
        drop(queue);
        wake.into_iter().for_each(Waker::wake);
    }

    /// A feed more, which keeps it from ending.
    pub(super) fn add_feed(&self) {
        self.lock().feeds += 1;
    }

    /// A feed less.
    pub(super) fn remove_feed(&self) {
        let mut queue = self.lock();
        queue.feeds -= 1;
        let ending = if queue.feeds == 0 { queue.ended_but_for_feeds.take() } else { None };
        let wake = ending.map(|ending| queue.end(ending)).unwrap_or_default();
        drop(queue);
        wake.into_iter().for_each(Waker::wake);
    }

    /// Nobody will read any more: what is there is dropped, and writers are told.
    pub(super) fn close_reader(&self, ending: Ending) {
        let mut queue = self.lock();
        let messages = queue.abandon(ending);
        let mut wake = queue.writers.drain();
        wake.append(&mut queue.observers.drain());
        // Its own reader may be a bridge that waits.
        wake.append(&mut queue.all_readers());
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
            if let Some(ending) = self.abandoned.or(self.ended) {
                break Err(ending.into());
            }
            if !self.has_room(size) {
                break Err(PutError::Full);
            }
            if let Err(error) = self.reserve(size + OVERHEAD) {
                break Err(error);
            }
            self.bytes += size;
            self.messages.push_back(source.next());
            self.announce(&mut wake);
        };
        (result, wake)
    }

    fn pop(&mut self, accept: Accept) -> (Option<Taken>, Wake) {
        match self.messages.front() {
            None => (self.ended.or(self.abandoned).map(Taken::Ended), Wake::default()),
            Some(next) if accept == Accept::Plain && !next.is_plain() => (Some(Taken::Attached), Wake::default()),
            Some(_) => {
                let taken = self.remove_first().map(Taken::Message);
                (taken, self.room())
            }
        }
    }

    /// Whose end reads it, where that is a bridge.
    pub(super) fn bridge(&self) -> Option<BridgeKey> {
        self.bridge
    }

    pub(super) fn set_bridge(&mut self, key: BridgeKey) {
        self.bridge = Some(key);
    }

    /// The sum of [`Message::weight`] of what waits.
    fn weight(&self) -> u64 {
        (self.bytes + self.messages.len() * WEIGHT) as u64
    }

    /// The ends in its messages.
    pub(super) fn ends(&self) -> impl Iterator<Item = &Channel> {
        self.messages.iter().flat_map(Message::channels)
    }

    /// Nobody will read any more: the messages, to be dropped when no lock is held.
    pub(super) fn abandon(&mut self, ending: Ending) -> VecDeque<Message> {
        self.abandoned.get_or_insert(ending);
        self.bytes = 0;
        self.charge = None;
        std::mem::take(&mut self.messages)
    }

    fn end(&mut self, ending: Ending) -> Vec<Waker> {
        self.ended.get_or_insert(ending);
        let mut wake = self.all_readers();
        wake.append(&mut self.writers.drain());
        wake.append(&mut self.observers.drain());
        wake
    }

    /// Finds who is to be woken for a message more.
    fn announce(&mut self, wake: &mut Wake) {
        self.readers.pop().into_iter().for_each(|waker| wake.add(waker));
        self.lookers.pop(|waker| wake.add(waker));
    }

    /// The readers and the lookers, to be woken.
    fn all_readers(&mut self) -> Vec<Waker> {
        let mut wake = self.readers.drain();
        wake.append(&mut self.lookers.drain());
        wake
    }

    fn remove_first(&mut self) -> Option<Message> {
        let message = self.messages.pop_front()?;
        self.bytes -= message.data.len();
        Some(message)
    }

    fn has_room(&self, size: usize) -> bool {
        self.messages.is_empty() || (self.messages.len() < self.bounds.messages && self.bytes + size <= self.bounds.bytes)
    }

    fn is_half_empty(&self) -> bool {
        self.messages.len() <= self.bounds.messages / 2 && self.bytes <= self.bounds.bytes / 2
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
        if self.is_half_empty() {
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
    fn add(&mut self, waker: Waker) {
        match self.first {
            None => self.first = Some(waker),
            Some(_) => self.rest.push(waker),
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
