//! Streams of messages that nobody reads, as where their link has ended.
//!
//! A message that is dropped closes the ends in it, and so has one that is not even delivered: whoever holds the other ends would
//! wait for as long as the session lasts. So these streams are read to their end all the same, and what is named in them is taken
//! and dropped. The same goes for what is posted.

use std::collections::VecDeque;
use std::sync::Arc;

use placehost_proto::LinkId;
use placehost_proto::codec::{Attachments, Decoder, LinkFrame};
use placehost_proto::frame::WINDOW;
use placehost_proto::link::WEIGHT;

use super::hub::Hub;
use super::session::{self, Incoming, Session};

/// What the session of a peer ends for that sends more on a link than it was allowed.
pub(super) const OVERDRAWN: &str = "more on a channel than it was allowed to send";

/// What a message counts for between nodes: its bytes, those of its blobs, and something for itself.
pub(super) fn weight_of(length: usize, attachments: &Attachments) -> u64 {
    let blobs = attachments.blobs.iter().map(|(_, size)| *size);
    blobs.fold(length as u64 + WEIGHT, u64::saturating_add)
}

/// What of a stream has been decoded and not looked at, and what decodes the rest.
#[derive(Default)]
pub(super) struct Unread {
    pub(super) frames: VecDeque<LinkFrame>,
    pub(super) decoder: Decoder,
}

/// Reads a stream of messages to its end.
pub(super) async fn drain(hub: &Hub, session: &Arc<Session>, unread: Unread, mut stream: Incoming) {
    let Unread { mut frames, mut decoder } = unread;
    let mut weight = 0u64;
    // What is decoded already does not wait for more.
    let mut chunks = Vec::new();
    loop {
        let decoded = session::decode(&mut decoder, &chunks, &mut frames);
        for frame in frames.drain(..) {
            let (attachments, data) = match frame {
                LinkFrame::Message(data) => (Attachments::default(), data),
                LinkFrame::Attached(attachments, data) => (attachments, data),
                LinkFrame::End(_) => return,
            };
            // Nothing is granted here, so this is as for a link that nobody reads.
            if weight >= 2 * WINDOW {
                return hub.breach(session.key(), OVERDRAWN);
            }
            weight = weight.saturating_add(weight_of(data.len(), &attachments));
            if drop_attached(hub, session, attachments).await.is_err() {
                return;
            }
        }
        if let Err(error) = decoded {
            return hub.breach(session.key(), &error.to_string());
        }
        // A stream that breaks off does so with its session, or because whoever sent on it has ended it.
        match stream.chunks().await {
            Ok(next) if !next.is_empty() => chunks = next,
            _ => return,
        }
    }
}

/// Takes the ends that are named in what was posted, and drops them.
pub(super) fn drop_posted(hub: &Hub, session: &Arc<Session>, frames: impl IntoIterator<Item = LinkFrame>) {
    for frame in frames {
        if let LinkFrame::Attached(attachments, _) = frame
            && drop_ends(hub, session, attachments.links).is_err()
        {
            return;
        }
    }
}

fn drop_ends(hub: &Hub, session: &Arc<Session>, links: Vec<LinkId>) -> Result<(), ()> {
    links.into_iter().try_for_each(|id| hub.take_channel(session, id).map(drop))
}

/// Takes the ends and blobs of a message, and drops them.
async fn drop_attached(hub: &Hub, session: &Arc<Session>, attachments: Attachments) -> Result<(), ()> {
    drop_ends(hub, session, attachments.links)?;
    for (number, _) in attachments.blobs {
        drop(session.blobs.take(number).await);
    }
    Ok(())
}
