//! A session's control stream, on which two nodes say what is to be done.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use placehost_proto::Control;
use placehost_proto::codec::{self, ControlFrame, Decoder};
use placehost_proto::frame::Goodbye;
use quinn::{RecvStream, SendStream};
use tokio::sync::mpsc;

use super::{FAREWELL, Incoming, Out, Session, TOGETHER, decode};
use crate::net::hub::Hub;

/// Control frames go before everything else.
const FIRST: i32 = 100;

/// Opens or accepts the control stream, then writes and reads it.
pub(super) async fn run(hub: &Hub, session: &Arc<Session>, out: mpsc::UnboundedReceiver<Out>) {
    let streams = match session.dialled {
        true => session.connection.open_control().await,
        false => match tokio::time::timeout(hub.timing().timeout, session.connection.accept_control()).await {
            Ok(streams) => streams,
            Err(_) => return session.connection.close(&Goodbye::Protocol("no control stream".into())),
        },
    };
    // The connection is closed, and says why by itself.
    let Some((send, receive)) = streams else { return };
    let _ = send.set_priority(FIRST);
    session.tasks.spawn(write(Arc::clone(session), send, out));
    read(hub, session, receive).await;
}

async fn write(session: Arc<Session>, mut stream: SendStream, mut out: mpsc::UnboundedReceiver<Out>) {
    let mut bytes = Vec::new();
    let lost = session.connection.clone();
    let mut lost = pin!(lost.closed());
    loop {
        // The session itself can always send, so its queue never ends.
        let first = tokio::select! {
            biased;
            first = out.recv() => first,
            _ = &mut lost => return,
        };
        let Some(first) = first else { return };
        let mut next = Some(first);
        // The frame that the next one may be joined to.
        let mut held = None;
        let mut last = None;
        while let Some(item) = next {
            match item {
                Out::Hello(hello) => codec::put_hello(&mut bytes, &hello),
                Out::Control(control) => put_joined(&mut bytes, &mut held, control),
                Out::Close(why) => {
                    put_joined(&mut bytes, &mut held, Control::Goodbye(why.clone()));
                    last = Some(why);
                    break;
                }
            }
            next = if bytes.len() < TOGETHER { out.try_recv().ok() } else { None };
        }
        held.into_iter().for_each(|control| codec::put_control(&mut bytes, &control));
        session.queued.store(out.len() as u64, Ordering::Relaxed);
        if stream.write_all(&bytes).await.is_err() {
            return;
        }
        bytes.clear();
        if let Some(why) = last {
            let _ = stream.finish();
            // Until the peer has read it, or does not answer.
            let _ = tokio::time::timeout(FAREWELL, session.connection.closed()).await;
            session.connection.close(&why);
            session.closed.notify_one();
            return;
        }
    }
}

/// Holds a frame, after what can be said together with it; what cannot is written.
fn put_joined(bytes: &mut Vec<u8>, held: &mut Option<Control>, control: Control) {
    let joined = match held {
        Some(held) => held.join(control),
        None => Err(control),
    };
    if let Err(control) = joined
        && let Some(before) = held.replace(control)
    {
        codec::put_control(bytes, &before);
    }
}

async fn read(hub: &Hub, session: &Arc<Session>, stream: RecvStream) {
    let mut stream = Incoming::unread(stream);
    let mut decoder = Decoder::default();
    loop {
        let Ok(chunks) = stream.chunks().await else { return };
        if chunks.is_empty() {
            // The peer has said goodbye. If this side has too, neither waits for the other.
            if session.closing.load(Ordering::Relaxed) {
                session.connection.close(&Goodbye::Done);
            }
            return;
        }
        let mut frames = Vec::new();
        let decoded = decode(&mut decoder, &chunks, &mut frames);
        if let Some(last) = frames.iter().position(is_farewell) {
            let farewell = frames.split_off(last);
            tell(hub, session, frames);
            if session.is_up() {
                session.read_out().await;
            }
            tell(hub, session, farewell);
            continue;
        }
        tell(hub, session, frames);
        if let Err(error) = &decoded {
            return hub.breach(session.key, &error.to_string());
        }
    }
}

/// Whether the peer leaves in good order: what it said before, by whichever stream, has arrived.
fn is_farewell(frame: &ControlFrame) -> bool {
    matches!(frame, ControlFrame::Control(Control::Goodbye(Goodbye::Done | Goodbye::Stopping)))
}

fn tell(hub: &Hub, session: &Session, frames: Vec<ControlFrame>) {
    hub.act(|node, now| {
        for frame in frames {
            match frame {
                ControlFrame::Hello(hello) => node.handle_hello(now, session.key, hello),
                ControlFrame::Control(control) => node.handle_control(now, session.key, control),
            }
        }
    });
}
