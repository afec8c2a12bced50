//! Operations that have begun and are waited for later (MPI 4.1, section 3.7).

use std::fmt;
use std::marker::PhantomData;

use crate::communicator::Communicator;
use crate::datatype::Datatype;
use crate::error::Error;
use crate::point::{Source, Status, Tag, elements};
use crate::process::Wait;

/// Something that has begun: a send or a receive. Dropping it before it is done leaves a send to go on, and takes a receive back.
///
/// ```no_run
/// # fn example(world: &places_mpi::Communicator) -> Result<(), places_mpi::Error> {
/// use places_mpi::{Request, wait_all};
///
/// let n = world.size();
/// let from_left = world.irecv::<f64>((world.rank() + n - 1) % n, 0)?;
/// world.isend(&[1.5], (world.rank() + 1) % n, 0)?.wait()?;
/// let (numbers, status) = from_left.wait()?;
/// let all = (0..n).map(|rank| world.irecv::<u8>(rank, 1)).collect::<Result<Vec<_>, _>>()?;
/// # for rank in 0..n { world.send(&[1u8], rank, 1)?; }
/// let all = wait_all(all)?;
/// # Ok(()) }
/// ```
pub trait Request: Sized {
    /// What there is when it is done.
    type Output;

    /// Whether it is done, as far as this rank has looked: [`Self::test`] looks first.
    fn is_done(&self) -> bool;

    /// Waits until it is done.
    ///
    /// # Errors
    /// As the operation without a request.
    fn wait(self) -> Result<Self::Output, Error>;

    /// Its output if it is done, and else itself (`MPI_Test`).
    ///
    /// # Errors
    /// As [`Self::wait`].
    fn test(self) -> Result<Result<Self::Output, Self>, Error> {
        self.communicator().process().poll()?;
        if self.is_done() { Ok(Ok(self.wait()?)) } else { Ok(Err(self)) }
    }

    /// The communicator that it is of.
    #[doc(hidden)]
    fn communicator(&self) -> &Communicator;
}

/// A send that has begun.
#[derive(Debug)]
#[must_use = "a send that waits for room goes on only while the rank waits for something"]
pub struct SendRequest {
    communicator: Communicator,
    dest: usize,
}

/// A receive that has begun.
#[must_use = "a receive that is dropped is taken back"]
pub struct RecvRequest<T> {
    communicator: Communicator,
    request: u64,
    source: Option<usize>,
    tag: Option<u32>,
    elements: PhantomData<fn() -> T>,
}

impl Communicator {
    /// Begins to send elements. They may change at once (MPI 4.1, section 3.7.2).
    ///
    /// # Errors
    /// As [`Self::send`].
    pub fn isend<T: Datatype>(&self, data: &[T], dest: usize, tag: u32) -> Result<SendRequest, Error> {
        self.post_slice("isend", data, dest, tag)?;
        Ok(SendRequest { communicator: self.clone(), dest: self.member(dest) })
    }

    /// Begins to receive a message (MPI 4.1, section 3.7.2). Requests get their messages in the order in which they were made.
    ///
    /// # Errors
    /// [`Error::NoRank`].
    pub fn irecv<T: Datatype>(&self, source: impl Into<Source>, tag: impl Into<Tag>) -> Result<RecvRequest<T>, Error> {
        let (pattern, _) = self.pattern("irecv", source.into(), tag.into())?;
        let request = self.process().request(pattern);
        let source = pattern.source.map(|rank| self.member(rank as usize));
        Ok(RecvRequest { communicator: self.clone(), request, source, tag: pattern.tag, elements: PhantomData })
    }
}

impl Request for SendRequest {
    type Output = ();

    fn is_done(&self) -> bool {
        !self.communicator.process().is_pending(self.dest)
    }

    fn wait(self) -> Result<(), Error> {
        self.communicator.process().flush(self.dest)
    }

    fn communicator(&self) -> &Communicator {
        &self.communicator
    }
}

impl<T: Datatype> Request for RecvRequest<T> {
    type Output = (Vec<T>, Status);

    fn is_done(&self) -> bool {
        self.communicator.process().is_served(self.request)
    }

    fn wait(self) -> Result<Self::Output, Error> {
        let process = self.communicator.process();
        let wait = Wait::Message { what: "irecv", source: self.source, tag: self.tag };
        loop {
            if let Some(envelope) = process.collect(self.request) {
                return elements(&envelope);
            }
            process.step(&wait, None)?;
        }
    }

    fn communicator(&self) -> &Communicator {
        &self.communicator
    }
}

impl<T> Drop for RecvRequest<T> {
    fn drop(&mut self) {
        self.communicator.process().cancel(self.communicator.context(), self.request);
    }
}

impl<T> fmt::Debug for RecvRequest<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RecvRequest").field("source", &self.source).field("tag", &self.tag).finish_non_exhaustive()
    }
}

/// Waits until all of them are done (`MPI_Waitall`). The outputs are in the order of the requests.
///
/// # Errors
/// That of the first one that fails; the others are dropped.
pub fn wait_all<R: Request>(requests: impl IntoIterator<Item = R>) -> Result<Vec<R::Output>, Error> {
    requests.into_iter().map(Request::wait).collect()
}

/// Waits until one of them is done, takes it out, and returns its index and its output (`MPI_Waitany`). The last one takes its place,
/// as with [`Vec::swap_remove`]. Nothing, where there are none.
///
/// # Errors
/// That of the one that was done.
pub fn wait_any<R: Request>(requests: &mut Vec<R>) -> Result<Option<(usize, R::Output)>, Error> {
    let Some(communicator) = requests.first().map(|request| request.communicator().clone()) else { return Ok(None) };
    loop {
        // Looks once for all: what comes between two looks could be for a request that was asked before.
        communicator.process().poll()?;
        if let Some(index) = requests.iter().position(Request::is_done) {
            return Ok(Some((index, requests.swap_remove(index).wait()?)));
        }
        communicator.process().step(&Wait::Requests(requests.len()), None)?;
    }
}
