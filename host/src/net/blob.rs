//! Blobs under way: each has a stream of its own, and the message that carries it waits for it.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use placehost_proto::Digest;
use placehost_proto::frame::{Goodbye, Head};
use tokio::sync::oneshot;

use super::hub::Hub;
use super::session::{Incoming, Session};
use crate::channel::Blob;

/// The most blobs that have come before their messages.
const MAX_EARLY: usize = 1 << 16;
/// How many bytes are handed to the stream at once.
const PIECE: usize = 256 << 10;

/// The blobs of one session.
#[derive(Default)]
pub(crate) struct Blobs {
    next: AtomicU64,
    slots: Mutex<HashMap<u64, Slot>>,
}

/// A blob that is there before its message, or a message that waits for it.
enum Slot {
    Here(Blob),
    Awaited(oneshot::Sender<Blob>),
}

impl Blobs {
    /// Sends a blob, and returns its number and size for the message.
    pub(super) fn send(&self, hub: &Hub, session: &Arc<Session>, blob: Blob) -> (u64, u64) {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let size = blob.as_slice().len() as u64;
        let (hub, session, sending) = (hub.clone(), Arc::clone(session), session.sending());
        hub.runtime().clone().spawn(async move {
            let digest = Digest::of(blob.as_slice());
            // A write that fails does so because the session is over.
            let Ok(mut stream) = session.open(&Head::Blob { number, digest, size }).await else { return };
            for piece in blob.as_slice().chunks(PIECE) {
                if stream.write_all(piece).await.is_err() {
                    return;
                }
            }
            session.finish(&hub, stream);
            drop(sending);
        });
        (number, size)
    }

    /// Waits for the blob of this number; none if the session ends before.
    pub(super) async fn take(&self, number: u64) -> Option<Blob> {
        let waiting = {
            let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(Slot::Here(blob)) = slots.remove(&number) {
                return Some(blob);
            }
            let (sender, waiting) = oneshot::channel();
            slots.insert(number, Slot::Awaited(sender));
            waiting
        };
        waiting.await.ok()
    }

    /// A blob has come; false if there are too many that nobody waits for.
    fn arrived(&self, number: u64, blob: Blob) -> bool {
        let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        match slots.remove(&number) {
            // Who waited for it may have gone.
            Some(Slot::Awaited(waiting)) => drop(waiting.send(blob)),
            Some(Slot::Here(_)) => return false,
            None if slots.len() >= MAX_EARLY => return false,
            None => drop(slots.insert(number, Slot::Here(blob))),
        }
        true
    }

    /// The session is over: nobody waits any more.
    pub(super) fn clear(&self) {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}

/// Receives a blob: charged to the session before its memory is there, and believed only when its digest is right.
pub(super) async fn receive(hub: &Hub, session: &Arc<Session>, stream: Incoming, number: u64, digest: Digest, size: u64) {
    let Ok(charge) = session.account().charge(size) else {
        let text = format!("a blob of {size} bytes, for which this node has no memory left");
        return hub.act(|node, _| node.close(session.key(), Goodbye::Protocol(text)));
    };
    let received = read(stream, size).await;
    match received {
        Ok(Some(data)) if Digest::of(&data) == digest => {
            if !session.blobs.arrived(number, Blob::charged(data, charge)) {
                breach(hub, session, "a blob that nobody waits for");
            }
        }
        Ok(Some(_)) => breach(hub, session, "a blob whose digest is wrong"),
        Ok(None) => breach(hub, session, "a blob of another size than announced"),
        // The connection is gone.
        Err(_) => {}
    }
}

fn breach(hub: &Hub, session: &Arc<Session>, text: &str) {
    hub.act(|node, _| node.handle_breach(session.key(), text.into()));
}

/// Exactly `size` bytes, or nothing where it is another number. Memory grows with what has come.
pub(crate) async fn read(mut stream: Incoming, size: u64) -> Result<Option<Vec<u8>>, quinn::ReadError> {
    let mut data = Vec::new();
    loop {
        let chunks: Vec<Bytes> = stream.chunks().await?;
        if chunks.is_empty() {
            return Ok((data.len() as u64 == size).then_some(data));
        }
        for chunk in chunks {
            if (data.len() + chunk.len()) as u64 > size {
                return Ok(None);
            }
            data.extend_from_slice(&chunk);
        }
    }
}
