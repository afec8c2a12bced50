//! Channels: two-way conduits between places, and what travels on them.
//!
//! A [`Channel`] value is one end. Both directions are a mailbox each: bounded, first in, first out. An end closes when its
//! last handle is dropped; what was sent before that can still be read. Any thread may hold an end; nothing here blocks a
//! thread, and no lock is held while a place runs.
//!
//! This module knows neither WebAssembly nor places: an embedder's thread is as good an owner of an end as a place.

mod account;
mod blob;
mod bridge;
mod circles;
mod feed;
mod inflow;
mod lookers;
mod mailbox;
#[cfg(test)]
mod tests;
mod waiters;
mod watched;

use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Context, Poll};

pub(crate) use account::Charge;
pub use account::{Account, OverBudget};
pub use blob::Blob;
pub(crate) use bridge::{Bridge, BridgeKey};
pub(crate) use feed::Feed;
pub(crate) use inflow::Inflow;
pub(crate) use lookers::Group;
use mailbox::{Conduit, Mailbox, Source};
pub(crate) use waiters::{Ticket, Waiters};
pub(crate) use watched::{After, Looking, Share, Watched};

/// The longest message, in bytes. Larger things travel as a [`Blob`], or in pieces.
pub const MAX_MESSAGE: usize = 64 << 20;

/// How much the mailboxes of a channel hold before `put` waits.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// Messages in each direction, at least 1.
    pub messages: usize,
    /// Bytes in each direction. A single message may be larger: it is taken by an empty mailbox.
    pub bytes: usize,
}

impl Default for Bounds {
    /// 1,024 messages, 8 MiB: eight messages of 1 MiB keep a writer and a reader busy at once.
    fn default() -> Self {
        Self { messages: 1024, bytes: 8 << 20 }
    }
}

/// What places send: bytes, with ends of channels and blobs if need be.
#[derive(Debug, Default)]
pub struct Message {
    /// Opaque here. The SDK's typed messages are CBOR behind the tag 55799 (RFC 8949, section 3.4.6).
    pub data: Vec<u8>,
    attached: Option<Box<Attached>>,
}

/// Ends and blobs of a message. Boxed, so that a message without any is four words.
#[derive(Debug, Default)]
struct Attached {
    channels: Vec<Channel>,
    blobs: Vec<Blob>,
}

impl Message {
    /// A message with ends of channels, which move, and blobs, which are shared.
    pub fn with(data: Vec<u8>, channels: Vec<Channel>, blobs: Vec<Blob>) -> Self {
        let attached = (!channels.is_empty() || !blobs.is_empty()).then(|| Box::new(Attached { channels, blobs }));
        Self { data, attached }
    }

    /// Whether it is bytes alone.
    pub fn is_plain(&self) -> bool {
        self.attached.is_none()
    }

    /// Its bytes, ends and blobs.
    pub fn into_parts(self) -> (Vec<u8>, Vec<Channel>, Vec<Blob>) {
        let Attached { channels, blobs } = self.attached.map(|attached| *attached).unwrap_or_default();
        (self.data, channels, blobs)
    }

    /// What it counts for between nodes: its bytes, those of its blobs, and something for itself.
    pub(crate) fn weight(&self) -> usize {
        self.blobs().iter().map(|blob| blob.as_slice().len()).sum::<usize>() + self.data.len() + mailbox::WEIGHT
    }

    pub(crate) fn channels(&self) -> &[Channel] {
        self.attached.as_ref().map_or(&[], |attached| &attached.channels)
    }

    pub(crate) fn blobs(&self) -> &[Blob] {
        self.attached.as_ref().map_or(&[], |attached| &attached.blobs)
    }
}

impl From<Vec<u8>> for Message {
    fn from(data: Vec<u8>) -> Self {
        Self { data, attached: None }
    }
}

/// Why a message was not put.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum PutError {
    /// Nobody will read it.
    #[error("the other end of the channel is closed")]
    Closed,
    /// The node that the other end was on is lost.
    #[error("the node at the other end of the channel is lost")]
    NodeLost,
    /// The mailbox is full (only from [`Channel::try_put`]).
    #[error("the mailbox is full")]
    Full,
    /// It is longer than [`MAX_MESSAGE`].
    #[error("the message is longer than {MAX_MESSAGE} bytes")]
    TooLarge,
    /// What waits in the channels of the place that made this one is over its memory limit.
    #[error(transparent)]
    OverBudget(#[from] OverBudget),
    /// The message carries the end that would read it, so nobody could.
    #[error("an end of a channel cannot be sent to itself")]
    ToItself,
}

/// Why there is nothing more to read; everything that came has been read.
#[derive(Clone, Copy, Debug, thiserror::Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum GetError {
    /// The other end is gone.
    #[error("the other end of the channel is closed")]
    Closed,
    /// The node that the other end was on is lost, and perhaps messages with it.
    #[error("the node at the other end of the channel is lost")]
    NodeLost,
}

/// How a direction of a channel ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// Who was there has gone.
    Closed,
    /// The node it was on is lost.
    NodeLost,
    /// What follows goes another way. Only a bridge sees this, where a node forwarded and does so no longer.
    Moved,
}

impl From<Ending> for GetError {
    fn from(ending: Ending) -> Self {
        match ending {
            // Where the rest was to come another way and a program reads this, that way is lost.
            Ending::NodeLost | Ending::Moved => Self::NodeLost,
            Ending::Closed => Self::Closed,
        }
    }
}

impl From<Ending> for PutError {
    fn from(ending: Ending) -> Self {
        match ending {
            // Where the rest was to come another way and a program reads this, that way is lost.
            Ending::NodeLost | Ending::Moved => Self::NodeLost,
            Ending::Closed => Self::Closed,
        }
    }
}

/// What a look into the mailbox found.
#[derive(Debug)]
pub enum Taken {
    /// The next message.
    Message(Message),
    /// The next message has attachments and the caller asked for a plain one; it is still there.
    Attached,
    /// There will be none.
    Ended(Ending),
}

/// Which messages a reader can use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Accept {
    /// Bytes alone.
    Plain,
    /// Any.
    Any,
}

/// One end of a channel. Clones are handles to the same end.
#[derive(Clone, Debug)]
pub struct Channel(Arc<End>);

#[derive(Debug)]
struct End {
    conduit: Arc<Conduit>,
    /// Which mailbox this end reads; the other one is its peer's.
    side: usize,
}

impl Drop for End {
    fn drop(&mut self) {
        self.outgoing().close_writer(Ending::Closed);
        self.incoming().close_reader(Ending::Closed);
    }
}

impl End {
    fn incoming(&self) -> &Mailbox {
        &self.conduit[self.side]
    }

    fn outgoing(&self) -> &Mailbox {
        &self.conduit[1 - self.side]
    }
}

impl Channel {
    /// A new channel whose mailboxes are nobody's expense.
    pub fn pair(bounds: Bounds) -> (Self, Self) {
        Self::joined([Mailbox::new(bounds, None), Mailbox::new(bounds, None)])
    }

    /// A new channel whose mailboxes are charged to `account`.
    pub fn pair_on(bounds: Bounds, account: &Arc<Account>) -> Result<(Self, Self), OverBudget> {
        let mailbox = || -> Result<Mailbox, OverBudget> { Ok(Mailbox::new(bounds, Some(account.charge(mailbox::FREE)?))) };
        let ends = Self::joined([mailbox()?, mailbox()?]);
        account.add(&ends.0.0.conduit);
        Ok(ends)
    }

    fn joined(mailboxes: Conduit) -> (Self, Self) {
        let conduit = Arc::new(mailboxes);
        let end = |side| Self(Arc::new(End { conduit: Arc::clone(&conduit), side }));
        (end(0), end(1))
    }

    /// Puts a message; waits while the other end's mailbox is full.
    ///
    /// # Errors
    /// [`PutError`], except `Full`.
    pub async fn put(&self, message: impl Into<Message>) -> Result<(), PutError> {
        let mut message = Some(self.check(message.into())?);
        let mut writer = self.writing();
        poll_fn(|cx| writer.poll_put(cx, &mut message)).await
    }

    /// Puts a message if there is room.
    ///
    /// # Errors
    /// [`PutError`]; the message is dropped.
    pub fn try_put(&self, message: impl Into<Message>) -> Result<(), PutError> {
        let message = self.check(message.into())?;
        self.0.outgoing().push(&mut Some(message))
    }

    /// Puts plain messages in order, as many at a time as there is room for.
    ///
    /// # Errors
    /// [`PutError`], except `Full`; the messages before the one that failed were put.
    pub async fn put_many(&self, messages: Vec<Vec<u8>>) -> Result<(), PutError> {
        if messages.iter().any(|data| data.len() > MAX_MESSAGE) {
            return Err(PutError::TooLarge);
        }
        let mut messages = messages.into_iter().peekable();
        let mut writer = self.writing();
        poll_fn(|cx| writer.poll_put(cx, &mut messages)).await
    }

    /// Waits for the next message.
    ///
    /// # Errors
    /// [`GetError`] once everything that was sent has been read and the other end is gone.
    pub async fn get(&self) -> Result<Message, GetError> {
        match self.take(Accept::Any).await {
            Taken::Message(message) => Ok(message),
            Taken::Attached => Err(GetError::Closed),
            Taken::Ended(ending) => Err(ending.into()),
        }
    }

    /// Waits for the next message and takes it if it is acceptable.
    pub async fn take(&self, accept: Accept) -> Taken {
        let mut reader = self.reading();
        poll_fn(|cx| reader.poll_take(cx, accept)).await
    }

    /// The next message if one is there, without waiting.
    pub fn try_take(&self, accept: Accept) -> Option<Taken> {
        self.0.incoming().pop(accept)
    }

    /// Waits for a message, then takes it with as many more plain ones as are there and together have at most `max_bytes`.
    ///
    /// # Errors
    /// `Ok(None)` where the first one has attachments; it is still there.
    pub async fn take_many(&self, max_bytes: usize) -> Result<Option<Vec<Vec<u8>>>, GetError> {
        match self.take(Accept::Plain).await {
            Taken::Message(first) => Ok(Some(self.0.incoming().pop_more(first, max_bytes))),
            Taken::Attached => Ok(None),
            Taken::Ended(ending) => Err(ending.into()),
        }
    }

    /// A reader that can be polled beside others.
    pub fn reading(&self) -> Reading<'_> {
        Reading { mailbox: self.0.incoming(), ticket: Ticket::default() }
    }

    /// Waits until there is room for a message of this size, or nobody will read it.
    pub async fn room(&self, size: usize) {
        let mut writer = self.writing();
        poll_fn(|cx| writer.poll_room(cx, size)).await;
    }

    /// A writer that can be polled beside other waits.
    pub fn writing(&self) -> Writing<'_> {
        Writing { mailbox: self.0.outgoing(), ticket: Ticket::default() }
    }

    /// How many messages wait to be read here.
    pub fn pending(&self) -> usize {
        self.0.incoming().len()
    }

    /// Nothing more will be put here: the other end reads what was sent, then
    /// [`GetError::Closed`]. Reading here goes on.
    pub fn close(&self) {
        self.0.outgoing().close_writer(Ending::Closed);
    }

    fn check(&self, message: Message) -> Result<Message, PutError> {
        if message.data.len() > MAX_MESSAGE {
            return Err(PutError::TooLarge);
        }
        // The one cycle that a single call can make: an end in its own mailbox, which only that end could read. It would keep
        // itself alive for ever.
        let is_reader = |end: &Self| Arc::ptr_eq(&end.0.conduit, &self.0.conduit) && end.0.side != self.0.side;
        if message.channels().iter().any(is_reader) {
            return Err(PutError::ToItself);
        }
        Ok(message)
    }
}

/// A wait for something to read, to be polled beside other waits. Dropping it passes its turn on.
#[derive(Debug)]
pub struct Reading<'a> {
    mailbox: &'a Mailbox,
    ticket: Ticket,
}

impl Reading<'_> {
    /// Takes the next message, or asks to be woken when there is one.
    pub fn poll_take(&mut self, cx: &mut Context<'_>, accept: Accept) -> Poll<Taken> {
        self.mailbox.poll_pop(cx, accept, &mut self.ticket)
    }

    /// Ready when [`Self::poll_take`] would be; takes nothing.
    pub fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.mailbox.poll_readable(cx, &mut self.ticket)
    }
}

impl Drop for Reading<'_> {
    fn drop(&mut self) {
        self.mailbox.forget_reader(&mut self.ticket);
    }
}

/// A wait for room, to be polled beside other waits. Dropping it passes its turn on.
#[derive(Debug)]
pub struct Writing<'a> {
    mailbox: &'a Mailbox,
    ticket: Ticket,
}

impl Writing<'_> {
    /// Ready when there is room for a message of this size, or nobody will read it; puts nothing.
    pub fn poll_room(&mut self, cx: &mut Context<'_>, size: usize) -> Poll<()> {
        self.mailbox.poll_room(cx, size, &mut self.ticket)
    }

    /// Puts the messages that `source` still has, as far as there is room.
    fn poll_put(&mut self, cx: &mut Context<'_>, source: &mut impl Source) -> Poll<Result<(), PutError>> {
        self.mailbox.poll_push(cx, source, &mut self.ticket)
    }
}

impl Drop for Writing<'_> {
    fn drop(&mut self) {
        self.mailbox.forget_writer(&mut self.ticket);
    }
}
