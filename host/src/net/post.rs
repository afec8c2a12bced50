//! The stream that the short messages of all links of a session share.
//!
//! A stream of its own costs a channel more than a short message does, on both sides: it is opened, announced, found and counted. So
//! a link begins here, and goes on by its own stream when it has more to say at once than [`BATCH`].

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use placehost_proto::codec::{Decoder, Posted};
use placehost_proto::frame::Head;
use quinn::SendStream;
use tokio::sync::watch;

use super::hub::Hub;
use super::session::{self, Incoming, Session};

/// The most bytes that a link posts at once.
pub(super) const BATCH: usize = 16 << 10;
/// The most ends of channels that it posts at once.
pub(super) const ENDS: usize = 64;
/// What may wait to be written; one batch of each link more.
const ROOM: usize = 256 << 10;
/// Before bulk, and after control frames.
const SOON: i32 = 50;

/// What of a session is to be posted.
#[derive(Default)]
pub(super) struct Outbox(Mutex<Inner>);

#[derive(Default)]
struct Inner {
    bytes: Vec<u8>,
    /// Nothing is posted any more.
    ended: bool,
    writer: Option<Waker>,
    /// Links that wait for room.
    waiting: Vec<Waker>,
    /// Something has been posted, and a goodbye waits until it has arrived.
    sending: Option<watch::Receiver<()>>,
}

impl Outbox {
    /// Ready when there is room for a batch.
    pub(super) fn poll_room(&self, cx: &Context<'_>) -> Poll<()> {
        let mut inner = self.lock();
        if inner.bytes.len() < ROOM || inner.ended {
            return Poll::Ready(());
        }
        inner.waiting.push(cx.waker().clone());
        Poll::Pending
    }

    /// Posts what `put` writes. Ends of channels that are named in it are to be made links there: nothing can be posted on them before.
    pub(super) fn put(&self, sending: impl FnOnce() -> watch::Receiver<()>, put: impl FnOnce(&mut Vec<u8>)) {
        let mut inner = self.lock();
        // The session is over, or about to be. What is named has to end all the same.
        if inner.ended {
            return put(&mut Vec::new());
        }
        put(&mut inner.bytes);
        inner.sending.get_or_insert_with(sending);
        if let Some(writer) = inner.writer.take() {
            drop(inner);
            writer.wake();
        }
    }

    /// Nothing is posted after this.
    pub(super) fn end(&self) {
        let mut inner = self.lock();
        inner.ended = true;
        let woken: Vec<_> = inner.writer.take().into_iter().chain(std::mem::take(&mut inner.waiting)).collect();
        drop(inner);
        woken.into_iter().for_each(Waker::wake);
    }

    /// What is to be written, or nothing at the end.
    fn poll_take(&self, cx: &Context<'_>) -> Poll<Vec<u8>> {
        let mut inner = self.lock();
        if inner.bytes.is_empty() && !inner.ended {
            inner.writer = Some(cx.waker().clone());
            return Poll::Pending;
        }
        let bytes = std::mem::take(&mut inner.bytes);
        let waiting = std::mem::take(&mut inner.waiting);
        drop(inner);
        waiting.into_iter().for_each(Waker::wake);
        Poll::Ready(bytes)
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Writes what is posted, until the session ends.
pub(super) async fn send(hub: Hub, session: Arc<Session>) {
    let mut stream = None;
    // An error is the end of the session, which tells the links by itself.
    while let bytes = std::future::poll_fn(|cx| session.outbox.poll_take(cx)).await
        && !bytes.is_empty()
        && write(&session, &mut stream, bytes).await.is_ok()
    {}
    session.outbox.end();
    if let Some(stream) = stream {
        session.finish(&hub, stream);
    }
    session.outbox.lock().sending = None;
}

async fn write(session: &Session, stream: &mut Option<SendStream>, bytes: Vec<u8>) -> Result<(), quinn::WriteError> {
    let stream = match stream {
        Some(stream) => stream,
        None => {
            let opened = session.open(&Head::Post).await?;
            let _ = opened.set_priority(SOON);
            stream.insert(opened)
        }
    };
    stream.write_chunk(bytes.into()).await
}

/// Hands on what was posted, each piece to its link.
pub(super) async fn receive(hub: Hub, session: Arc<Session>, mut stream: Incoming) {
    let mut decoder = Decoder::default();
    let mut pieces: Vec<Posted> = Vec::new();
    while let Ok(chunks) = stream.chunks().await
        && !chunks.is_empty()
    {
        let decoded = session::decode(&mut decoder, &chunks, &mut pieces);
        hub.posted(&session, pieces.drain(..));
        if let Err(error) = decoded {
            return hub.breach(session.key(), &error.to_string());
        }
        session.parked.has_room().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_ready(outbox: &Outbox) -> bool {
        outbox.poll_room(&Context::from_waker(Waker::noop())).is_ready()
    }

    #[test]
    fn links_wait_while_much_is_to_be_written() {
        let (outbox, session) = (Outbox::default(), watch::Sender::new(()));
        let take = || outbox.poll_take(&Context::from_waker(Waker::noop())).map(|bytes| bytes.len());
        assert_eq!(take(), Poll::Pending);
        assert!(is_ready(&outbox));
        outbox.put(|| session.subscribe(), |bytes| bytes.resize(ROOM, 0));
        assert!(!is_ready(&outbox));
        assert_eq!(session.receiver_count(), 1, "a goodbye waits for it");
        assert_eq!(take(), Poll::Ready(ROOM));
        assert!(is_ready(&outbox));
    }

    #[test]
    fn nothing_is_posted_after_the_end_and_nobody_waits() {
        let (outbox, session) = (Outbox::default(), watch::Sender::new(()));
        outbox.put(|| session.subscribe(), |bytes| bytes.resize(ROOM, 0));
        outbox.end();
        assert!(is_ready(&outbox));
        outbox.put(|| session.subscribe(), |bytes| bytes.push(1));
        let take = || outbox.poll_take(&Context::from_waker(Waker::noop())).map(|bytes| bytes.len());
        assert_eq!((take(), take()), (Poll::Ready(ROOM), Poll::Ready(0)), "what was posted before is written");
    }
}
