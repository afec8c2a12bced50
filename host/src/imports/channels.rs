//! `channels`: putting and getting, ends and blobs as resources.
//!
//! The hot path is `put` and `get`: one look-up in the place's table, one lock of a mailbox, and no suspension where there is room
//! or a message.

use wasmtime::component::{Resource, ResourceTable};
use wasmtime_wasi::async_trait;
use wasmtime_wasi::p2::{DynPollable, Pollable, subscribe};

use crate::bindings::places::core::channels::{self, Bounds, Error, Host, HostBlob, HostChannel};
use crate::channel::{self, Accept, Blob, Channel, GetError, Message, PutError, Taken};
use crate::place::State;

type Fallible<T> = wasmtime::Result<Result<T, Error>>;

impl Host for State {}

impl HostChannel for State {
    fn pair(&mut self, bounds: Bounds) -> Fallible<(Resource<Channel>, Resource<Channel>)> {
        let (one, other) = match Channel::pair_on(bounds.into(), &self.owner.account) {
            Ok(ends) => ends,
            Err(error) => return Ok(Err(error.into())),
        };
        Ok(Ok((self.table.push(one)?, self.table.push(other)?)))
    }

    async fn put(&mut self, end: Resource<Channel>, data: Vec<u8>) -> Fallible<()> {
        let result = self.table.get(&end)?.put(data).await;
        Ok(self.put_some(1, result))
    }

    async fn get(&mut self, end: Resource<Channel>) -> Fallible<Vec<u8>> {
        let taken = self.table.get(&end)?.take(Accept::Plain).await;
        Ok(self.got_plain(taken))
    }

    async fn put_get(&mut self, end: Resource<Channel>, data: Vec<u8>) -> Fallible<Vec<u8>> {
        let channel = self.table.get(&end)?;
        if let Err(error) = channel.put(data).await {
            return Ok(Err(error.into()));
        }
        self.stats.put(1);
        let taken = channel.take(Accept::Plain).await;
        Ok(self.got_plain(taken))
    }

    fn try_put(&mut self, end: Resource<Channel>, data: Vec<u8>) -> Fallible<()> {
        let result = self.table.get(&end)?.try_put(data);
        Ok(self.put_some(1, result))
    }

    fn try_get(&mut self, end: Resource<Channel>) -> Fallible<Vec<u8>> {
        let taken = self.table.get(&end)?.try_take(Accept::Plain);
        Ok(taken.map_or(Err(Error::WouldBlock), |taken| self.got_plain(taken)))
    }

    async fn put_many(&mut self, end: Resource<Channel>, packed: Vec<u8>) -> Fallible<()> {
        let Some(messages) = unpack(&packed) else {
            return Ok(Err(Error::Invalid("the packed messages are cut short".into())));
        };
        let count = messages.len();
        let result = self.table.get(&end)?.put_many(messages).await;
        Ok(self.put_some(count, result))
    }

    async fn get_many(&mut self, end: Resource<Channel>, max_bytes: u32) -> Fallible<Vec<u8>> {
        Ok(match self.table.get(&end)?.take_many(max_bytes as usize).await {
            Ok(Some(messages)) => {
                self.stats.got(messages.len());
                Ok(pack(&messages))
            }
            Ok(None) => Err(Error::Attachments),
            Err(ended) => Err(ended.into()),
        })
    }

    async fn send(&mut self, end: Resource<Channel>, message: channels::Message) -> Fallible<()> {
        let message = lift(&mut self.table, message)?;
        let result = self.table.get(&end)?.put(message).await;
        Ok(self.put_some(1, result))
    }

    async fn receive(&mut self, end: Resource<Channel>) -> Fallible<channels::Message> {
        match self.table.get(&end)?.get().await {
            Ok(message) => Ok(Ok(self.got(message)?)),
            Err(ended) => Ok(Err(ended.into())),
        }
    }

    fn try_receive(&mut self, end: Resource<Channel>) -> Fallible<channels::Message> {
        match self.table.get(&end)?.try_take(Accept::Any) {
            Some(Taken::Message(message)) => Ok(Ok(self.got(message)?)),
            Some(Taken::Attached) => Ok(Err(Error::Attachments)),
            Some(Taken::Ended(ending)) => Ok(Err(GetError::from(ending).into())),
            None => Ok(Err(Error::WouldBlock)),
        }
    }

    fn pending(&mut self, end: Resource<Channel>) -> wasmtime::Result<u32> {
        Ok(u32::try_from(self.table.get(&end)?.pending())?)
    }

    fn share(&mut self, end: Resource<Channel>) -> wasmtime::Result<Resource<Channel>> {
        let end = self.table.get(&end)?.clone();
        Ok(self.table.push(end)?)
    }

    fn close(&mut self, end: Resource<Channel>) -> wasmtime::Result<()> {
        self.table.get(&end)?.close();
        Ok(())
    }

    fn subscribe(&mut self, end: Resource<Channel>) -> wasmtime::Result<Resource<DynPollable>> {
        let readable = Readable(self.table.get(&end)?.clone());
        let readable = self.table.push(readable)?;
        subscribe(&mut self.table, readable)
    }

    fn drop(&mut self, end: Resource<Channel>) -> wasmtime::Result<()> {
        self.table.delete(end)?;
        Ok(())
    }
}

impl HostBlob for State {
    fn create(&mut self, bytes: Vec<u8>) -> Fallible<Resource<Blob>> {
        match Blob::on(&self.owner.account, bytes) {
            Ok(blob) => Ok(Ok(self.table.push(blob)?)),
            Err(error) => Ok(Err(error.into())),
        }
    }

    fn size(&mut self, blob: Resource<Blob>) -> wasmtime::Result<u64> {
        Ok(self.table.get(&blob)?.as_slice().len() as u64)
    }

    fn read(&mut self, blob: Resource<Blob>, offset: u64, len: u32) -> wasmtime::Result<Vec<u8>> {
        Ok(self.table.get(&blob)?.read(offset, len as usize).to_vec())
    }

    fn slice(&mut self, blob: Resource<Blob>, offset: u64, len: u64) -> Fallible<Resource<Blob>> {
        let blob = self.table.get(&blob)?;
        match blob.slice(offset, len) {
            Some(slice) => Ok(Ok(self.table.push(slice)?)),
            None => Ok(Err(Error::NotFound(format!("{len} bytes from {offset} on, in a blob of {}", blob.as_slice().len())))),
        }
    }

    fn share(&mut self, blob: Resource<Blob>) -> wasmtime::Result<Resource<Blob>> {
        let blob = self.table.get(&blob)?.clone();
        Ok(self.table.push(blob)?)
    }

    fn drop(&mut self, blob: Resource<Blob>) -> wasmtime::Result<()> {
        self.table.delete(blob)?;
        Ok(())
    }
}

/// A channel as a pollable: ready when there is something to read, or will never be.
struct Readable(Channel);

#[async_trait]
impl Pollable for Readable {
    async fn ready(&mut self) {
        let mut reading = self.0.reading();
        std::future::poll_fn(|cx| reading.poll_ready(cx)).await;
    }
}

impl From<Bounds> for channel::Bounds {
    fn from(bounds: Bounds) -> Self {
        let default = Self::default();
        Self {
            messages: bounds.messages.map_or(default.messages, |messages| messages as usize),
            bytes: bounds.bytes.map_or(default.bytes, |bytes| usize::try_from(bytes).unwrap_or(usize::MAX)),
        }
    }
}

impl State {
    /// The outcome of putting messages, which are counted.
    fn put_some(&self, messages: usize, result: Result<(), PutError>) -> Result<(), Error> {
        result?;
        self.stats.put(messages);
        Ok(())
    }

    /// A message as bytes alone.
    fn got_plain(&self, taken: Taken) -> Result<Vec<u8>, Error> {
        match taken {
            Taken::Message(message) => {
                self.stats.got(1);
                Ok(message.data)
            }
            Taken::Attached => Err(Error::Attachments),
            Taken::Ended(ending) => Err(GetError::from(ending).into()),
        }
    }

    /// A message for the guest, its ends and blobs put into the guest's table.
    pub(super) fn got(&mut self, message: Message) -> wasmtime::Result<channels::Message> {
        self.stats.got(1);
        let (data, channels, blobs) = message.into_parts();
        let channels = channels.into_iter().map(|end| self.table.push(end)).collect::<Result<_, _>>()?;
        let blobs = blobs.into_iter().map(|blob| self.table.push(blob)).collect::<Result<_, _>>()?;
        Ok(channels::Message { data, channels, blobs })
    }
}

/// A guest's message, its ends and blobs taken out of the guest's table.
fn lift(table: &mut ResourceTable, message: channels::Message) -> wasmtime::Result<Message> {
    let channels::Message { data, channels, blobs } = message;
    let channels = channels.into_iter().map(|end| table.delete(end)).collect::<Result<_, _>>()?;
    let blobs = blobs.into_iter().map(|blob| table.delete(blob)).collect::<Result<_, _>>()?;
    Ok(Message::with(data, channels, blobs))
}

/// The messages behind their lengths, or nothing where the last one is cut short.
fn unpack(mut packed: &[u8]) -> Option<Vec<Vec<u8>>> {
    let mut messages = Vec::new();
    while !packed.is_empty() {
        let (len, rest) = packed.split_first_chunk::<4>()?;
        let (data, rest) = rest.split_at_checked(u32::from_le_bytes(*len) as usize)?;
        messages.push(data.to_vec());
        packed = rest;
    }
    Some(messages)
}

fn pack(messages: &[Vec<u8>]) -> Vec<u8> {
    let mut packed = Vec::with_capacity(messages.iter().map(|data| data.len() + 4).sum());
    for data in messages {
        // A message has at most `MAX_MESSAGE` bytes, which fit.
        packed.extend_from_slice(&(data.len() as u32).to_le_bytes());
        packed.extend_from_slice(data);
    }
    packed
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packed_messages_come_back_and_a_cut_is_noticed() {
        let messages = vec![vec![1, 2, 3], vec![], vec![4; 300]];
        let packed = pack(&messages);
        assert_eq!(unpack(&packed).unwrap(), messages);
        for cut in [1, 3, 5, packed.len() - 1] {
            assert!(unpack(&packed[..cut]).is_none(), "cut at {cut}");
        }
    }
}
