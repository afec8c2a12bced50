//! What stands before the elements of every message between ranks.
//!
//! A message is a header of [`LEN`] bytes and the elements as they lie in memory. The header says of a collective operation all that
//! the ranks have to agree on, so that each message is a check of it.

use crate::error::Error;

/// Bytes of a header. A multiple of eight, so that the elements behind it lie as they would in a slice of their own.
pub(crate) const LEN: usize = 40;

/// What a message is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Kind {
    /// Between two ranks: `send`.
    Point,
    Barrier,
    Broadcast,
    Reduce,
    Allreduce,
    Gather,
    Scatter,
    Allgather,
    Alltoall,
    ReduceScatter,
    Scan,
    Exscan,
    /// Not from a rank: what [`Notice`] says.
    Notice,
}

impl Kind {
    const ALL: [Self; 13] = [
        Self::Point,
        Self::Barrier,
        Self::Broadcast,
        Self::Reduce,
        Self::Allreduce,
        Self::Gather,
        Self::Scatter,
        Self::Allgather,
        Self::Alltoall,
        Self::ReduceScatter,
        Self::Scan,
        Self::Exscan,
        Self::Notice,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Point => "send",
            Self::Barrier => "barrier",
            Self::Broadcast => "broadcast",
            Self::Reduce => "reduce",
            Self::Allreduce => "allreduce",
            Self::Gather => "gather",
            Self::Scatter => "scatter",
            Self::Allgather => "allgather",
            Self::Alltoall => "alltoall",
            Self::ReduceScatter => "reduce_scatter",
            Self::Scan => "scan",
            Self::Exscan => "exscan",
            Self::Notice => "notice",
        }
    }
}

/// What is told to a rank through its inbox, by the agent of its node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Notice {
    /// Whoever waits says what for.
    Report { round: u32 },
    /// A rank ended otherwise than by returning.
    Ended { rank: u32, reason: String },
}

/// The header of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) kind: Kind,
    /// Whether more pieces of the same message follow.
    pub(crate) more: bool,
    /// In the world.
    pub(crate) from: u32,
    /// In the communicator.
    pub(crate) source: u32,
    /// Which communicator.
    pub(crate) context: u32,
    /// Of a collective operation: how many there were before on this communicator.
    pub(crate) tag: u32,
    /// The type of the elements.
    pub(crate) datatype: u32,
    pub(crate) root: u32,
    /// The operation of a reduction: a hash of its name.
    pub(crate) op: u32,
    /// Elements of the whole message; of a collective operation, what each rank has to give alike.
    pub(crate) count: u64,
}

impl Header {
    pub(crate) fn write(&self, to: &mut Vec<u8>) {
        to.extend_from_slice(&[self.kind as u8, self.more.into(), 0, 0]);
        for word in [self.from, self.source, self.context, self.tag, self.datatype, self.root, self.op] {
            to.extend_from_slice(&word.to_le_bytes());
        }
        to.extend_from_slice(&self.count.to_le_bytes());
    }

    /// # Errors
    /// These bytes are no message of a rank.
    pub(crate) fn read(bytes: &[u8]) -> Result<Self, Error> {
        let strange = || Error::Place("something that is no rank has put a message into the inbox of this one".into());
        let (head, _) = bytes.split_first_chunk::<LEN>().ok_or_else(strange)?;
        let kind = *Kind::ALL.get(head[0] as usize).ok_or_else(strange)?;
        let word = |at: usize| u32::from_le_bytes([head[at], head[at + 1], head[at + 2], head[at + 3]]);
        let count = u64::from(word(32)) | u64::from(word(36)) << 32;
        Ok(Self {
            kind,
            more: head[1] != 0,
            from: word(4),
            source: word(8),
            context: word(12),
            tag: word(16),
            datatype: word(20),
            root: word(24),
            op: word(28),
            count,
        })
    }
}

impl Notice {
    /// As a whole message.
    pub(crate) fn message(&self) -> Vec<u8> {
        let (tag, count, text) = match self {
            Self::Report { round } => (*round, 0, ""),
            Self::Ended { rank, reason } => (*rank, 1, reason.as_str()),
        };
        let header = Header { kind: Kind::Notice, more: false, from: 0, source: 0, context: 0, tag, datatype: 0, root: 0, op: 0, count };
        let mut message = Vec::with_capacity(LEN + text.len());
        header.write(&mut message);
        message.extend_from_slice(text.as_bytes());
        message
    }

    pub(crate) fn read(header: &Header, text: &[u8]) -> Self {
        match header.count {
            0 => Self::Report { round: header.tag },
            _ => Self::Ended { rank: header.tag, reason: String::from_utf8_lossy(text).into_owned() },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_comes_back() {
        for kind in Kind::ALL {
            let header = Header {
                kind,
                more: true,
                from: 1,
                source: 2,
                context: 3,
                tag: u32::MAX,
                datatype: 5,
                root: 6,
                op: 7,
                count: u64::MAX - 7,
            };
            let mut bytes = Vec::new();
            header.write(&mut bytes);
            assert_eq!(bytes.len(), LEN);
            assert_eq!(Header::read(&bytes).unwrap(), header);
            assert!(Header::read(&bytes[1..]).is_err());
        }
        assert!(Header::read(&[200; LEN]).is_err());
    }

    #[test]
    fn a_notice_comes_back() {
        for notice in [Notice::Report { round: 9 }, Notice::Ended { rank: 3, reason: "exited with code 7".into() }] {
            let message = notice.message();
            assert_eq!(Notice::read(&Header::read(&message).unwrap(), &message[LEN..]), notice);
        }
    }
}
