//! What can go wrong with a channel or a spawn.

use std::fmt;

use crate::bindings::types;

/// Why a call failed.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Error {
    /// The other end of the channel is gone: nothing more will come, or nobody will read.
    Closed,
    /// There is nothing to read yet, or no room; only from the calls that begin with `try_`.
    WouldBlock,
    /// The message is longer than this many bytes.
    TooLarge(u64),
    /// No such module, start function, place, name or range; the text names it and what there is instead.
    NotFound(String),
    /// The module cannot run here, or its export is no start function.
    BadModule(String),
    /// The grants of this place do not allow it.
    Denied(String),
    /// A limit of this place or of the host is reached.
    Limit(String),
    /// The call makes no sense.
    Invalid(String),
    /// The node at the other end is gone, and perhaps messages with it.
    NodeLost,
    /// Nobody answers at the address, or nothing could be launched there; the text says what was tried.
    Unreachable(String),
    /// Somebody has that name already; the text says who.
    Exists(String),
    /// The value cannot be written as a message.
    Encode(String),
    /// The message is not of the type that was to be read. It is consumed.
    Decode(String),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Closed => f.write_str("the other end of the channel is closed"),
            Self::WouldBlock => f.write_str("it would have to wait"),
            Self::TooLarge(limit) => write!(f, "the message is longer than {limit} bytes"),
            Self::NotFound(text)
            | Self::BadModule(text)
            | Self::Denied(text)
            | Self::Limit(text)
            | Self::Invalid(text)
            | Self::Unreachable(text)
            | Self::Exists(text) => f.write_str(text),
            Self::NodeLost => f.write_str("the node at the other end is lost"),
            Self::Encode(text) => write!(f, "the value cannot be sent: {text}"),
            Self::Decode(text) => write!(f, "the message is of another type: {text}"),
        }
    }
}

impl std::error::Error for Error {}

impl From<types::Error> for Error {
    fn from(error: types::Error) -> Self {
        match error {
            types::Error::Closed => Self::Closed,
            types::Error::WouldBlock => Self::WouldBlock,
            types::Error::TooLarge(limit) => Self::TooLarge(limit),
            types::Error::NotFound(text) => Self::NotFound(text),
            types::Error::BadModule(text) => Self::BadModule(text),
            types::Error::Denied(text) => Self::Denied(text),
            types::Error::Limit(text) => Self::Limit(text),
            types::Error::Invalid(text) => Self::Invalid(text),
            types::Error::NodeLost => Self::NodeLost,
            types::Error::Unreachable(text) => Self::Unreachable(text),
            types::Error::Exists(text) => Self::Exists(text),
            types::Error::Attachments => Self::Invalid("the message carries ends of channels or blobs".into()),
        }
    }
}
