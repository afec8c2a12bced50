//! Ends of channels.

use std::fmt;
use std::marker::PhantomData;

use serde::de::Error as _;
use serde::ser::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::bindings::{channels, types};
use crate::message::{AsMessage, Attached, Bytes, Message};
use crate::{Error, Pollable};

/// How many bytes [`Channel::get_many`] takes at a time.
const BATCH: u32 = 64 << 10;
/// From this size on, packing a message costs more than the call it saves.
const LARGE: usize = 8 << 10;

/// One end of a channel: gets `G`, puts `P`. The other end is a `Channel<P, G>`. Without parameters it is of [`Bytes`].
///
/// Each direction is first in, first out and bounded: where the other end's mailbox is full, putting waits. When the other end is
/// gone, what it sent before can still be read; after it comes [`Error::Closed`]. Where the other end's node was lost it is
/// [`Error::NodeLost`], and the last messages may be lost with it.
///
/// An end is a value: it may be put on a channel, in any type that serde knows (see [`AsMessage`]). Dropping its last handle closes
/// it. The type is the program's word for what travels; a message that is not of it is an [`Error::Decode`] where it is read.
pub struct Channel<G = Bytes, P = Bytes> {
    end: channels::Channel,
    types: PhantomData<fn(P) -> G>,
}

impl Channel {
    /// The two ends of a new channel: what one puts, the other gets.
    ///
    /// # Errors
    /// [`Error::Limit`] where this place has too many.
    #[expect(clippy::type_complexity, reason = "the point of a pair is its two types")]
    pub fn pair<G, P>() -> Result<(Channel<G, P>, Channel<P, G>), Error> {
        Self::bounded(None)
    }

    /// As [`Channel::pair`], with mailboxes of at most `messages` messages.
    ///
    /// # Errors
    /// As [`Channel::pair`].
    #[expect(clippy::type_complexity, reason = "the point of a pair is its two types")]
    pub fn pair_of<G, P>(messages: u32) -> Result<(Channel<G, P>, Channel<P, G>), Error> {
        Self::bounded(Some(messages))
    }

    #[expect(clippy::type_complexity, reason = "the point of a pair is its two types")]
    fn bounded<G, P>(messages: Option<u32>) -> Result<(Channel<G, P>, Channel<P, G>), Error> {
        let (one, other) = channels::Channel::pair(channels::Bounds { messages, bytes: None })?;
        Ok((Channel::new(one), Channel::new(other)))
    }
}

impl<G, P> Channel<G, P> {
    pub(crate) fn new(end: channels::Channel) -> Self {
        Self { end, types: PhantomData }
    }

    pub(crate) fn raw(&self) -> &channels::Channel {
        &self.end
    }

    pub(crate) fn into_raw(self) -> channels::Channel {
        self.end
    }

    /// The same end, with other types: a promise about what travels, which nothing checks before it does.
    pub fn typed<G2, P2>(self) -> Channel<G2, P2> {
        Channel::new(self.end)
    }

    /// Puts a message; waits while the other end's mailbox is full.
    ///
    /// # Errors
    /// [`Error::Closed`] where nobody will read it, [`Error::TooLarge`], [`Error::Encode`], or [`Error::Limit`] where too much waits
    /// to be read.
    pub fn put(&self, message: impl AsMessage<P>) -> Result<(), Error> {
        message.encode(|data, attached| match attached.is_empty() {
            true => self.end.put(data),
            false => self.send(data, attached),
        })??;
        Ok(())
    }

    /// Puts a message if there is room.
    ///
    /// # Errors
    /// As [`Self::put`], and [`Error::WouldBlock`] where there is none. Ends of channels in it make it wait all the same.
    pub fn try_put(&self, message: impl AsMessage<P>) -> Result<(), Error> {
        message.encode(|data, attached| match attached.is_empty() {
            true => self.end.try_put(data),
            false => self.send(data, attached),
        })??;
        Ok(())
    }

    /// Puts messages in order, many in one call to the host.
    ///
    /// # Errors
    /// As [`Self::put`]; some of them may have been put.
    pub fn put_many<M: AsMessage<P>>(&self, messages: impl IntoIterator<Item = M>) -> Result<(), Error> {
        let mut packed = Vec::new();
        for message in messages {
            message.encode(|data, attached| {
                if !attached.is_empty() {
                    self.flush(&mut packed)?;
                    return self.send(data, attached);
                }
                if data.len() >= LARGE {
                    self.flush(&mut packed)?;
                    return self.end.put(data);
                }
                packed.extend_from_slice(&(data.len() as u32).to_le_bytes());
                packed.extend_from_slice(data);
                if packed.len() >= BATCH as usize { self.flush(&mut packed) } else { Ok(()) }
            })??;
        }
        Ok(self.flush(&mut packed)?)
    }

    fn flush(&self, packed: &mut Vec<u8>) -> Result<(), types::Error> {
        if !packed.is_empty() {
            self.end.put_many(packed)?;
            packed.clear();
        }
        Ok(())
    }

    fn send(&self, data: &[u8], attached: Attached) -> Result<(), types::Error> {
        self.end.send(attached.with(data))
    }

    /// As [`Self::put`], within an `async` function: while there is no room, others go on. Ends of channels in the message make it
    /// wait all the same.
    ///
    /// # Errors
    /// As [`Self::put`].
    pub async fn put_async(&self, message: impl AsMessage<P>) -> Result<(), Error> {
        let full = message.encode(|data, attached| match attached.is_empty() {
            true => match self.end.try_put(data) {
                Err(types::Error::WouldBlock) => Ok(Some(data.to_vec())),
                result => result.map(|()| None),
            },
            false => self.send(data, attached).map(|()| None),
        })??;
        let Some(data) = full else { return Ok(()) };
        loop {
            self.room(data.len()).await;
            match self.end.try_put(&data) {
                // Somebody else has used the room.
                Err(types::Error::WouldBlock) => {}
                result => return Ok(result?),
            }
        }
    }

    /// How many messages wait to be read here.
    pub fn pending(&self) -> u32 {
        self.end.pending()
    }

    /// Nothing more will be put here: the other end reads what was sent, then [`Error::Closed`]. Reading here goes on.
    pub fn close(&self) {
        self.end.close();
    }

    /// A WASI pollable, ready when [`Self::get`] would not wait; for waiting beside sockets and streams with WASI's own `poll`.
    /// [`sync!`](crate::sync!) needs it not.
    pub fn subscribe(&self) -> Pollable {
        self.end.subscribe()
    }
}

impl<G: Message, P> Channel<G, P> {
    /// Waits for the next message.
    ///
    /// # Errors
    /// [`Error::Closed`] once everything has been read and the other end is gone; [`Error::Decode`] where the message is no `G`.
    pub fn get(&self) -> Result<G, Error> {
        self.decode(self.end.get(), |end| end.receive())
    }

    /// The next message, if it is there.
    ///
    /// # Errors
    /// As [`Self::get`], and [`Error::WouldBlock`] where there is none yet.
    pub fn try_get(&self) -> Result<G, Error> {
        self.decode(self.end.try_get(), |end| end.try_receive())
    }

    /// Puts a message and waits for the next one that comes: a request and its reply, in one call to the host.
    ///
    /// # Errors
    /// As [`Self::put`] and [`Self::get`].
    pub fn put_get(&self, message: impl AsMessage<P>) -> Result<G, Error> {
        let reply = message.encode(|data, attached| match attached.is_empty() {
            true => self.end.put_get(data),
            false => self.send(data, attached).and_then(|()| self.end.get()),
        })?;
        self.decode(reply, |end| end.receive())
    }

    /// As [`Self::put_get`], within an `async` function: while there is no reply, others go on.
    ///
    /// # Errors
    /// As [`Self::put_get`].
    pub async fn put_get_async(&self, message: impl AsMessage<P>) -> Result<G, Error> {
        self.put_async(message).await?;
        self.message().await
    }

    /// Waits for a message, then returns it with those that are there already, in order.
    ///
    /// # Errors
    /// As [`Self::get`].
    pub fn get_many(&self) -> Result<Vec<G>, Error> {
        let packed = match self.end.get_many(BATCH) {
            Ok(packed) => packed,
            Err(types::Error::Attachments) => return Ok(vec![self.get()?]),
            Err(error) => return Err(error.into()),
        };
        let mut rest = packed.as_slice();
        let mut messages = Vec::new();
        while let Some((len, tail)) = rest.split_first_chunk::<4>() {
            let (data, tail) = tail.split_at(u32::from_le_bytes(*len) as usize);
            messages.push(G::decode(data.to_vec(), Attached::default())?);
            rest = tail;
        }
        Ok(messages)
    }

    /// Every message until the other end is gone. A message that is no `G` ends it with that error.
    pub fn iter(&self) -> impl Iterator<Item = Result<G, Error>> + '_ {
        std::iter::from_fn(|| match self.get() {
            Err(Error::Closed) => None,
            result => Some(result),
        })
    }

    /// Decodes plain bytes; where the message turned out to have attachments, gets it again with them.
    fn decode(
        &self,
        plain: Result<Vec<u8>, types::Error>,
        whole: impl FnOnce(&channels::Channel) -> Result<channels::Message, types::Error>,
    ) -> Result<G, Error> {
        match plain {
            Ok(data) => G::decode(data, Attached::default()),
            Err(types::Error::Attachments) => decode(whole(&self.end)?),
            Err(error) => Err(error.into()),
        }
    }
}

/// A message with what travels beside it.
pub(crate) fn decode<G: Message>(mut message: channels::Message) -> Result<G, Error> {
    let data = std::mem::take(&mut message.data);
    G::decode(data, message.into())
}

impl<G, P> Clone for Channel<G, P> {
    /// Another handle to the same end: readers compete, each message goes to one of them.
    fn clone(&self) -> Self {
        Self::new(self.end.share())
    }
}

impl<G, P> fmt::Debug for Channel<G, P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Channel").field("handle", &self.end.handle()).finish()
    }
}

#[derive(Serialize, Deserialize)]
struct Reference {
    #[serde(rename = "$channel")]
    number: u32,
}

impl<G, P> Serialize for Channel<G, P> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let number =
            Attached::add_channel(self.end.share()).ok_or_else(|| S::Error::custom("an end of a channel travels only in a message"))?;
        Reference { number }.serialize(serializer)
    }
}

impl<'de, G, P> Deserialize<'de> for Channel<G, P> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Reference { number } = Reference::deserialize(deserializer)?;
        Attached::take_channel(number).map(Self::new).ok_or_else(|| D::Error::custom(format!("the message has no channel {number}")))
    }
}
