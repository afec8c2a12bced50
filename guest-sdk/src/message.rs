//! Messages: what a channel carries, typed or raw.
//!
//! A typed message is any value that serde can write and read. On the channel it is CBOR (RFC 8949) behind the tag 55799, which
//! marks it as such. Raw messages are [`Bytes`], as they are. An end of a channel or a blob inside a typed message travels beside
//! the bytes; in them stands `{"$channel": n}` or `{"$blob": n}`, the n-th of its kind. Reading one takes it: a type that reads the
//! same field twice, as an untagged enum does, finds nothing the second time.

use std::cell::RefCell;
use std::ops::{Deref, DerefMut};

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::Error;
use crate::bindings::channels;

/// CBOR's tag 55799, "self-described CBOR" (RFC 8949, section 3.4.6).
const TYPED: [u8; 3] = [0xd9, 0xd9, 0xf7];

/// A raw message: bytes without any encoding.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Bytes(pub Vec<u8>);

impl Deref for Bytes {
    type Target = Vec<u8>;

    fn deref(&self) -> &Vec<u8> {
        &self.0
    }
}

impl DerefMut for Bytes {
    fn deref_mut(&mut self) -> &mut Vec<u8> {
        &mut self.0
    }
}

impl From<Vec<u8>> for Bytes {
    fn from(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }
}

/// What can be read from a channel: [`Bytes`], and every type that serde can deserialize.
pub trait Message: Sized {
    /// Reads it from what came.
    #[doc(hidden)]
    fn decode(data: Vec<u8>, attached: Attached) -> Result<Self, Error>;
}

impl Message for Bytes {
    /// Ends and blobs that came with it close: raw bytes have no place for them.
    fn decode(data: Vec<u8>, _: Attached) -> Result<Self, Error> {
        Ok(Self(data))
    }
}

impl<T: DeserializeOwned> Message for T {
    fn decode(data: Vec<u8>, mut attached: Attached) -> Result<Self, Error> {
        read_typed(&data, &mut attached)
    }
}

/// Reads a value, and takes its ends and blobs out of `attached`.
pub(crate) fn read_typed<T: DeserializeOwned>(data: &[u8], attached: &mut Attached) -> Result<T, Error> {
    let typed = data.strip_prefix(&TYPED).ok_or_else(|| Error::Decode("it is raw bytes".into()))?;
    if attached.is_empty() {
        return read(typed);
    }
    let (result, rest) = Attached::around(std::mem::take(attached), || read(typed));
    *attached = rest;
    result
}

fn read<T: DeserializeOwned>(mut typed: &[u8]) -> Result<T, Error> {
    thread_local!(static SCRATCH: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) });
    /// What text is read into where it is only looked at; what is longer and no `String` cannot be read.
    const SCRATCH_SIZE: usize = 4096;

    // Kept from one message to the next: to clear a new one takes longer than to read a short message.
    let mut scratch = SCRATCH.take();
    scratch.resize(SCRATCH_SIZE, 0);
    let value = ciborium::de::from_reader_with_buffer(&mut typed, &mut scratch);
    SCRATCH.set(scratch);
    let value = value.map_err(|error| Error::Decode(explain(error)))?;
    if typed.is_empty() { Ok(value) } else { Err(Error::Decode(format!("{} bytes stand after it", typed.len()))) }
}

fn explain<T: std::fmt::Debug>(error: ciborium::de::Error<T>) -> String {
    match error {
        ciborium::de::Error::Io(_) => "it is cut short".into(),
        ciborium::de::Error::Syntax(at) => format!("it is no CBOR at byte {at}"),
        ciborium::de::Error::Semantic(_, text) => text,
        ciborium::de::Error::RecursionLimitExceeded => "it nests too deeply".into(),
    }
}

/// What can be put where a `P` is expected: a `P`, a reference to one, and what reads as one, such as `&str` for `String`.
///
/// Ends of channels in a value that is put by value move. Those in a value that is put by reference are shared: the sender has
/// them still, and both ends of the deal read from the same queue.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be put on a channel that takes `{P}`",
    label = "put a `{P}` or a reference to one",
    note = "a type of your own also needs `#[derive(serde::Serialize)]`"
)]
pub trait AsMessage<P> {
    /// Writes it, and has it sent.
    #[doc(hidden)]
    fn encode<R>(self, send: impl FnOnce(&[u8], Attached) -> R) -> Result<R, Error>;
}

impl<P: Serialize> AsMessage<P> for P {
    fn encode<R>(self, send: impl FnOnce(&[u8], Attached) -> R) -> Result<R, Error> {
        write(&self, send)
    }
}

impl<P: Serialize> AsMessage<P> for &P {
    fn encode<R>(self, send: impl FnOnce(&[u8], Attached) -> R) -> Result<R, Error> {
        write(self, send)
    }
}

impl AsMessage<String> for &str {
    fn encode<R>(self, send: impl FnOnce(&[u8], Attached) -> R) -> Result<R, Error> {
        write(self, send)
    }
}

impl<T: Serialize> AsMessage<Vec<T>> for &[T] {
    fn encode<R>(self, send: impl FnOnce(&[u8], Attached) -> R) -> Result<R, Error> {
        write(self, send)
    }
}

impl<T: Serialize, const N: usize> AsMessage<Vec<T>> for [T; N] {
    fn encode<R>(self, send: impl FnOnce(&[u8], Attached) -> R) -> Result<R, Error> {
        write(self.as_slice(), send)
    }
}

macro_rules! as_bytes {
    ($($type:ty: $(<const $n:ident>)? |$value:ident| $slice:expr;)*) => {$(
        impl $(<const $n: usize>)? AsMessage<Bytes> for $type {
            fn encode<R>(self, send: impl FnOnce(&[u8], Attached) -> R) -> Result<R, Error> {
                let $value = self;
                Ok(send($slice, Attached::default()))
            }
        }
    )*};
}

as_bytes! {
    Bytes: |bytes| &bytes.0;
    &Bytes: |bytes| &bytes.0;
    Vec<u8>: |bytes| &bytes;
    &Vec<u8>: |bytes| bytes;
    &[u8]: |bytes| bytes;
    &[u8; N]: <const N> |bytes| bytes;
    &str: |text| text.as_bytes();
}

/// Writes a value into a buffer that is kept from one message to the next, and has it sent.
pub(crate) fn write<T: Serialize + ?Sized, R>(value: &T, send: impl FnOnce(&[u8], Attached) -> R) -> Result<R, Error> {
    thread_local!(static BUFFER: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) });
    /// A buffer that one large message made larger than this is given back.
    const KEEP: usize = 64 << 10;

    let mut buffer = BUFFER.take();
    buffer.clear();
    buffer.extend_from_slice(&TYPED);
    let (result, attached) = Attached::around(Attached::default(), || ciborium::into_writer(value, &mut buffer));
    let sent = match result {
        Ok(()) => Ok(send(&buffer, attached)),
        Err(ciborium::ser::Error::Value(text)) => Err(Error::Encode(text)),
        Err(ciborium::ser::Error::Io(error)) => Err(Error::Encode(format!("{error:?}"))),
    };
    if buffer.capacity() <= KEEP {
        BUFFER.set(buffer);
    }
    sent
}

/// Ends of channels and blobs that travel with a message.
#[derive(Default)]
pub struct Attached {
    pub(crate) channels: Vec<Option<channels::Channel>>,
    pub(crate) blobs: Vec<Option<channels::Blob>>,
}

thread_local! {
    /// Those of the message that is being written or read: serde passes values one by one and knows nothing of what is beside.
    static CURRENT: RefCell<Option<Attached>> = const { RefCell::new(None) };
}

impl Attached {
    pub(crate) fn is_empty(&self) -> bool {
        self.channels.is_empty() && self.blobs.is_empty()
    }

    /// A whole message, with these.
    pub(crate) fn with(self, data: &[u8]) -> channels::Message {
        let Self { channels, blobs } = self;
        let (channels, blobs) = (channels.into_iter().flatten().collect(), blobs.into_iter().flatten().collect());
        channels::Message { data: data.to_vec(), channels, blobs }
    }

    /// Runs `work` with these at hand, and returns them as it left them. A message inside a message keeps its own.
    fn around<R>(attached: Self, work: impl FnOnce() -> R) -> (R, Self) {
        let outer = CURRENT.replace(Some(attached));
        let result = work();
        (result, CURRENT.replace(outer).unwrap_or_default())
    }

    /// Adds an end; its number, or nothing where no message is being written.
    pub(crate) fn add_channel(end: channels::Channel) -> Option<u32> {
        CURRENT.with_borrow_mut(|current| add(&mut current.as_mut()?.channels, end))
    }

    pub(crate) fn add_blob(blob: channels::Blob) -> Option<u32> {
        CURRENT.with_borrow_mut(|current| add(&mut current.as_mut()?.blobs, blob))
    }

    /// Takes an end out; nothing where there is none of that number, or no longer.
    pub(crate) fn take_channel(number: u32) -> Option<channels::Channel> {
        CURRENT.with_borrow_mut(|current| current.as_mut()?.channels.get_mut(number as usize)?.take())
    }

    pub(crate) fn take_blob(number: u32) -> Option<channels::Blob> {
        CURRENT.with_borrow_mut(|current| current.as_mut()?.blobs.get_mut(number as usize)?.take())
    }
}

fn add<T>(list: &mut Vec<Option<T>>, item: T) -> Option<u32> {
    list.push(Some(item));
    u32::try_from(list.len() - 1).ok()
}

impl From<channels::Message> for Attached {
    fn from(message: channels::Message) -> Self {
        Self { channels: message.channels.into_iter().map(Some).collect(), blobs: message.blobs.into_iter().map(Some).collect() }
    }
}
