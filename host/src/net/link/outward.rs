//! What a link is written to: the post first, and a stream of its own from where it has more to say at once.

use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use placehost_proto::Route;
use placehost_proto::codec::{self, Attachments};
use placehost_proto::frame::{End, Head};
use placehost_proto::link::WEIGHT;
use quinn::SendStream;

use crate::channel::{Blob, Channel, Message};
use crate::net::hub::Hub;
use crate::net::post;
use crate::net::session::Session;

/// From this size on, a message's bytes are handed on rather than copied.
const LARGE: usize = 4 << 10;

/// What a link is written to by one route.
pub(super) struct Outward {
    route: Route,
    session: Arc<Session>,
    way: Way,
    /// What is to be written to its stream, of which so many chunks are.
    chunks: Vec<Bytes>,
    written: usize,
    /// Nothing comes after that.
    ended: bool,
}

enum Way {
    /// With all other links, and whether anything has gone so.
    Post(bool),
    Opening(Pin<Box<dyn Future<Output = Option<SendStream>> + Send>>),
    Open(SendStream),
}

/// A stream that can no longer be written to.
pub(super) struct Broken;

impl Outward {
    pub(super) fn new(route: Route, session: Arc<Session>) -> Self {
        Self { route, session, way: Way::Post(false), chunks: Vec::new(), written: 0, ended: false }
    }

    pub(super) fn route(&self) -> Route {
        self.route
    }

    /// Sends messages. What was to be written is written.
    pub(super) fn send(&mut self, hub: &Hub, batch: Vec<Message>) {
        match &mut self.way {
            Way::Post(begun) if is_short(&batch) => {
                *begun = true;
                self.post(hub, batch);
            }
            _ => self.stream(hub, batch),
        }
    }

    /// Says that nothing follows.
    pub(super) fn end(&mut self, end: End) {
        self.ended = true;
        match self.way {
            Way::Post(_) => self.session.post(|bytes| codec::put_posted_end(bytes, self.route.id, end)),
            _ => {
                let mut bytes = Vec::new();
                codec::put_end(&mut bytes, end);
                self.chunks.push(bytes.into());
            }
        }
    }

    pub(super) fn has_ended(&self) -> bool {
        self.ended
    }

    /// Gives it up, with all that was written to it on its way.
    pub(super) fn finish(self, hub: &Hub) {
        if let Way::Open(stream) = self.way {
            self.session.finish(hub, stream);
        }
    }

    /// Ready when more may be sent.
    pub(super) fn poll_room(&self, cx: &Context<'_>) -> Poll<()> {
        match self.way {
            Way::Post(_) => self.session.outbox.poll_room(cx),
            _ => Poll::Ready(()),
        }
    }

    /// Whether there is nothing to [write](Self::poll) or to [finish](Self::finish).
    pub(super) fn is_written(&self) -> bool {
        self.chunks.is_empty() && !self.ended
    }

    /// Writes all that is to be written to its stream.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Broken>> {
        if let Way::Opening(opening) = &mut self.way {
            self.way = Way::Open(ready!(opening.as_mut().poll(cx)).ok_or(Broken)?);
        }
        let Way::Open(stream) = &mut self.way else { return Poll::Ready(Ok(())) };
        while self.written < self.chunks.len() {
            // Nothing is written by it where it is not ready.
            let written = ready!(pin!(stream.write_chunks(&mut self.chunks[self.written..])).poll(cx));
            self.written += written.map_err(|_| Broken)?.chunks;
        }
        self.chunks.clear();
        self.written = 0;
        Poll::Ready(Ok(()))
    }

    fn post(&self, hub: &Hub, batch: Vec<Message>) {
        let (session, id) = (&self.session, self.route.id);
        session.post(|bytes| {
            for message in batch {
                let (data, channels, blobs) = message.into_parts();
                match channels.is_empty() {
                    true => codec::put_posted(bytes, id, &data),
                    false => codec::put_posted_attached(bytes, id, &attach(hub, session, channels, blobs), &data),
                }
            }
        });
    }

    fn stream(&mut self, hub: &Hub, batch: Vec<Message>) {
        let mut small = self.open();
        for message in batch {
            let (data, channels, blobs) = message.into_parts();
            if channels.is_empty() && blobs.is_empty() {
                codec::put_message_header(&mut small, data.len());
            } else {
                codec::put_attached_header(&mut small, &attach(hub, &self.session, channels, blobs), data.len());
            }
            if data.len() < LARGE {
                small.extend_from_slice(&data);
            } else {
                self.chunks.push(std::mem::take(&mut small).into());
                self.chunks.push(data.into());
            }
        }
        self.chunks.push(small.into());
        self.chunks.retain(|chunk| !chunk.is_empty());
    }

    /// Goes on by a stream of its own, if it does not yet. Returns what that begins with.
    fn open(&mut self) -> Vec<u8> {
        let mut begin = Vec::new();
        if let Way::Post(begun) = self.way {
            let id = self.route.id;
            if begun {
                self.session.post(|bytes| codec::put_posted_rest(bytes, id));
            }
            codec::put_head(&mut begin, &if begun { Head::Rest(id) } else { Head::Link(id) });
            let session = Arc::clone(&self.session);
            self.way = Way::Opening(Box::pin(async move { session.connection().open().await.ok() }));
        }
        begin
    }
}

/// Whether messages go with those of others.
fn is_short(batch: &[Message]) -> bool {
    let bytes: usize = batch.iter().map(|message| message.data.len() + WEIGHT as usize).sum();
    let ends: usize = batch.iter().map(|message| message.channels().len()).sum();
    bytes <= post::BATCH && ends <= post::ENDS && batch.iter().all(|message| message.blobs().is_empty())
}

/// Sends what a message carries beside its bytes on its way.
fn attach(hub: &Hub, session: &Arc<Session>, channels: Vec<Channel>, blobs: Vec<Blob>) -> Attachments {
    let links = channels.into_iter().filter_map(|end| hub.send_end(session.key(), end)).collect();
    let blobs = blobs.into_iter().map(|blob| session.blobs.send(hub, session, blob)).collect();
    Attachments { links, blobs }
}
