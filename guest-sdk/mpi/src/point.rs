//! Messages between two ranks: send, receive, probe (MPI 4.1, sections 3.2 and 3.8).

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::communicator::Communicator;
use crate::datatype::{self, Datatype};
use crate::error::Error;
use crate::header::{Header, Kind};
use crate::matching::{Envelope, Pattern};
use crate::process::{Wait, type_name};

/// Whose message is to be received: a rank's, or anybody's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// Of this rank.
    Rank(usize),
    /// Of whichever rank's comes first (`MPI_ANY_SOURCE`).
    Any,
}

impl From<usize> for Source {
    fn from(rank: usize) -> Self {
        Self::Rank(rank)
    }
}

/// With which tag a message is to be received.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tag {
    /// This one.
    Is(u32),
    /// Any (`MPI_ANY_TAG`).
    Any,
}

impl From<u32> for Tag {
    fn from(tag: u32) -> Self {
        Self::Is(tag)
    }
}

/// What is known of a message beside its elements (section 3.2.5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Status {
    /// Who sent it.
    pub source: usize,
    /// With which tag.
    pub tag: u32,
    /// How many elements it has; for a value, how many bytes.
    pub count: usize,
}

impl Status {
    pub(crate) fn of(header: &Header) -> Self {
        Self { source: header.source as usize, tag: header.tag, count: header.count as usize }
    }
}

impl Communicator {
    /// Sends elements to a rank, itself included. It returns when the elements may change again, which says nothing of the receiver: up
    /// to 8 MiB and 8,192 messages lie in its inbox; beyond that this waits, and takes meanwhile what comes to this rank (MPI 4.1, sections
    /// 3.2.1 and 3.4).
    ///
    /// # Errors
    /// [`Error::NoRank`]; [`Error::Ended`] where that rank is gone.
    pub fn send<T: Datatype>(&self, data: &[T], dest: usize, tag: u32) -> Result<(), Error> {
        self.post_slice("send", data, dest, tag)?;
        self.process().flush(self.member(dest))
    }

    /// Waits for a message and returns its elements (MPI 4.1, section 3.2.4).
    ///
    /// # Errors
    /// [`Error::NoRank`]; [`Error::Type`]; [`Error::Ended`] where that rank has gone wrong and the job goes on.
    pub fn recv<T: Datatype>(&self, source: impl Into<Source>, tag: impl Into<Tag>) -> Result<(Vec<T>, Status), Error> {
        let envelope = self.receive("recv", source.into(), tag.into())?;
        elements(&envelope)
    }

    /// Waits for a message and puts its elements at the beginning of `data`.
    ///
    /// # Errors
    /// As [`Self::recv`], and [`Error::Truncated`] where `data` is shorter than the message.
    pub fn recv_into<T: Datatype>(&self, data: &mut [T], source: impl Into<Source>, tag: impl Into<Tag>) -> Result<Status, Error> {
        let envelope = self.receive("recv_into", source.into(), tag.into())?;
        check_type::<T>(&envelope.header)?;
        let status = Status::of(&envelope.header);
        let Some(room) = data.get_mut(..status.count) else {
            let Status { source, tag, count } = status;
            return Err(Error::Truncated { source, tag, count, room: data.len() });
        };
        bytemuck::cast_slice_mut(room).copy_from_slice(envelope.body());
        Ok(status)
    }

    /// Sends elements to one rank and receives a message of another, or of the same, at once (section 3.10).
    ///
    /// # Errors
    /// As [`Self::send`] and [`Self::recv`].
    pub fn sendrecv<T: Datatype>(
        &self,
        data: &[T],
        (dest, send_tag): (usize, u32),
        (source, recv_tag): (impl Into<Source>, impl Into<Tag>),
    ) -> Result<(Vec<T>, Status), Error> {
        self.post_slice("sendrecv", data, dest, send_tag)?;
        let envelope = self.receive("sendrecv", source.into(), recv_tag.into())?;
        self.process().flush(self.member(dest))?;
        elements(&envelope)
    }

    /// Sends any value that serde can write, as CBOR.
    ///
    /// # Errors
    /// As [`Self::send`]; [`Error::Value`].
    pub fn send_value<V: Serialize + ?Sized>(&self, value: &V, dest: usize, tag: u32) -> Result<(), Error> {
        let bytes = write(value)?;
        self.post_bytes("send_value", (datatype::VALUE, bytes.len()), &bytes, dest, tag)?;
        self.process().flush(self.member(dest))
    }

    /// Waits for a value.
    ///
    /// # Errors
    /// As [`Self::recv`]; [`Error::Value`] where it is no `V`.
    pub fn recv_value<V: DeserializeOwned>(&self, source: impl Into<Source>, tag: impl Into<Tag>) -> Result<(V, Status), Error> {
        let envelope = self.receive("recv_value", source.into(), tag.into())?;
        check_code(&envelope.header, datatype::VALUE, "a value")?;
        Ok((read(envelope.body())?, Status::of(&envelope.header)))
    }

    /// Waits until a message is there, and leaves it there (MPI 4.1, section 3.8.1).
    ///
    /// # Errors
    /// As [`Self::recv`].
    pub fn probe(&self, source: impl Into<Source>, tag: impl Into<Tag>) -> Result<Status, Error> {
        let (pattern, wait) = self.pattern("probe", source.into(), tag.into())?;
        Ok(Status::of(&self.process().probe(&pattern, &wait)?))
    }

    /// Says whether a message is there (MPI 4.1, section 3.8.1).
    ///
    /// # Errors
    /// As [`Self::recv`].
    pub fn iprobe(&self, source: impl Into<Source>, tag: impl Into<Tag>) -> Result<Option<Status>, Error> {
        let (pattern, _) = self.pattern("iprobe", source.into(), tag.into())?;
        Ok(self.process().iprobe(&pattern)?.as_ref().map(Status::of))
    }

    fn receive(&self, what: &'static str, source: Source, tag: Tag) -> Result<Envelope, Error> {
        let (pattern, wait) = self.pattern(what, source, tag)?;
        self.process().receive(&pattern, &wait)
    }

    /// Which messages will do, and how to say so.
    pub(crate) fn pattern(&self, what: &'static str, source: Source, tag: Tag) -> Result<(Pattern, Wait<'static>), Error> {
        let source = match source {
            Source::Any => None,
            Source::Rank(rank) => {
                self.check_rank(what, rank)?;
                Some(rank)
            }
        };
        let tag = match tag {
            Tag::Any => None,
            Tag::Is(tag) => Some(tag),
        };
        let pattern = Pattern { context: self.context(), source: source.map(|rank| rank as u32), tag };
        Ok((pattern, Wait::Message { what, source: source.map(|rank| self.member(rank)), tag }))
    }

    /// Sends, or lets it wait for room, which is true then.
    pub(crate) fn post_slice<T: Datatype>(&self, what: &'static str, data: &[T], dest: usize, tag: u32) -> Result<bool, Error> {
        self.post_bytes(what, (datatype::code::<T>(), data.len()), bytemuck::cast_slice(data), dest, tag)
    }

    fn post_bytes(&self, what: &'static str, (datatype, count): (u32, usize), body: &[u8], dest: usize, tag: u32) -> Result<bool, Error> {
        self.check_rank(what, dest)?;
        let header = Header {
            kind: Kind::Point,
            more: false,
            from: self.process().rank as u32,
            source: self.rank() as u32,
            context: self.context(),
            tag,
            datatype,
            root: 0,
            op: 0,
            count: count as u64,
        };
        self.process().post(self.member(dest), header, body)
    }
}

/// The elements of a message that was sent as such.
pub(crate) fn elements<T: Datatype>(envelope: &Envelope) -> Result<(Vec<T>, Status), Error> {
    check_type::<T>(&envelope.header)?;
    Ok((datatype::elements(envelope.body()).into_owned(), Status::of(&envelope.header)))
}

fn check_type<T: Datatype>(header: &Header) -> Result<(), Error> {
    check_code(header, datatype::code::<T>(), T::NAME)
}

fn check_code(header: &Header, code: u32, wanted: &'static str) -> Result<(), Error> {
    if header.datatype == code {
        return Ok(());
    }
    let Status { source, tag, .. } = Status::of(header);
    Err(Error::Type { source, tag, sent: type_name(header.datatype), wanted })
}

/// A value as CBOR.
pub(crate) fn write<V: Serialize + ?Sized>(value: &V) -> Result<Vec<u8>, Error> {
    let mut bytes = Vec::new();
    ciborium::into_writer(value, &mut bytes).map_err(|error| Error::Value(format!("the value cannot be sent: {error}")))?;
    Ok(bytes)
}

pub(crate) fn read<V: DeserializeOwned>(bytes: &[u8]) -> Result<V, Error> {
    ciborium::from_reader(bytes).map_err(|error| Error::Value(format!("the value is of another type: {error}")))
}
