//! Messages whose type is not known where they pass.

use std::fmt;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::Error;
use crate::message::{self, AsMessage, Attached, Message};

/// A message as it came, to be read as a type later: for a program that serves channels of several types at once, or forwards what it
/// does not know.
pub struct Packet {
    data: Vec<u8>,
    attached: Attached,
}

/// Any value of serde's, for a channel of [`Packet`]s.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Value<T>(pub T);

impl Packet {
    pub(crate) fn new(data: Vec<u8>, attached: Attached) -> Self {
        Self { data, attached }
    }

    /// A value as a message.
    ///
    /// # Errors
    /// [`Error::Encode`].
    pub fn of<T: Serialize>(value: T) -> Result<Self, Error> {
        message::write(&value, |data, attached| Self::new(data.to_vec(), attached))
    }

    /// Its bytes: CBOR behind the tag 55799, or whatever was put raw.
    pub fn bytes(&self) -> &[u8] {
        &self.data
    }

    /// Reads it as a value. It can be read again, as another type say; but an end of a channel is there for the first reading only.
    ///
    /// # Errors
    /// [`Error::Decode`] where it is no `T`.
    pub fn read<T: DeserializeOwned>(&mut self) -> Result<T, Error> {
        message::read_typed(&self.data, &mut self.attached)
    }

    /// Reads it as what a channel could get, [`Bytes`](crate::Bytes) among them.
    ///
    /// # Errors
    /// [`Error::Decode`] where it is no `G`.
    pub fn into_message<G: Message>(self) -> Result<G, Error> {
        G::decode(self.data, self.attached)
    }
}

impl From<Vec<u8>> for Packet {
    /// A raw message.
    fn from(data: Vec<u8>) -> Self {
        Self::new(data, Attached::default())
    }
}

impl fmt::Debug for Packet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Packet").field("bytes", &self.data.len()).finish_non_exhaustive()
    }
}

impl Message for Packet {
    fn decode(data: Vec<u8>, attached: Attached) -> Result<Self, Error> {
        Ok(Self { data, attached })
    }
}

impl AsMessage<Self> for Packet {
    fn encode<R>(self, send: impl FnOnce(&[u8], Attached) -> R) -> Result<R, Error> {
        Ok(send(&self.data, self.attached))
    }
}

impl<T: Serialize> AsMessage<Packet> for Value<T> {
    fn encode<R>(self, send: impl FnOnce(&[u8], Attached) -> R) -> Result<R, Error> {
        message::write(&self.0, send)
    }
}
