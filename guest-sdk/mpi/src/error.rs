//! What can go wrong in a rank.

use std::fmt;

/// Why an operation failed. Its text names the operation and the ranks: who did what.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Error {
    /// There is no such rank in the communicator.
    NoRank {
        /// The operation.
        what: &'static str,
        /// The rank that was asked for.
        rank: usize,
        /// How many there are.
        size: usize,
    },
    /// A message is longer than the buffer for it (MPI_ERR_TRUNCATE). It is consumed.
    Truncated {
        /// Who sent it.
        source: usize,
        /// With which tag.
        tag: u32,
        /// Its elements.
        count: usize,
        /// What there was room for.
        room: usize,
    },
    /// A message was sent as another type than it was to be received as. It is consumed.
    Type {
        /// Who sent it.
        source: usize,
        /// With which tag.
        tag: u32,
        /// As what it was sent.
        sent: String,
        /// As what it was to be received.
        wanted: &'static str,
    },
    /// Ranks of a communicator called different collective operations, or one with different arguments; the text says which rank did
    /// what.
    Mismatch(String),
    /// A rank that was needed has ended; the text says how.
    Ended {
        /// Its rank in the world.
        rank: usize,
        /// How it ended.
        reason: String,
    },
    /// A value cannot be written, or is of another type than it was to be read as.
    Value(String),
    /// The arguments make no sense; the text says why.
    Invalid(String),
    /// The place was not started as a rank, or something failed beneath.
    Place(String),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoRank { what, rank, size } => write!(f, "{what} names rank {rank} of a communicator of {size}"),
            Self::Truncated { source, tag, count, room } => {
                write!(f, "the message of rank {source} with tag {tag} has {count} elements, and the buffer for it {room}")
            }
            Self::Type { source, tag, sent, wanted } => {
                write!(f, "the message of rank {source} with tag {tag} was sent as {sent} and is received as {wanted}")
            }
            Self::Mismatch(text) | Self::Value(text) | Self::Invalid(text) | Self::Place(text) => f.write_str(text),
            Self::Ended { rank, reason } => write!(f, "rank {rank} has ended: it {reason}"),
        }
    }
}

impl std::error::Error for Error {}

impl From<places::Error> for Error {
    fn from(error: places::Error) -> Self {
        Self::Place(error.to_string())
    }
}
