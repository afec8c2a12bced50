//! One end of a channel that crosses, pumped: from its mailbox to a stream, and from a stream to its mailbox.
//!
//! One task for each link. It reads all that is sent to it as soon as it comes, for the sender may send only what it was allowed;
//! so a place that does not read stops who writes to it, and nobody else. It writes what waits in batches: one small write for each
//! message would cost more than the message.

use std::collections::VecDeque;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::{Bytes, BytesMut};
use placehost_proto::codec::{self, Attachments, DecodeError, Decoder, LinkFrame};
use placehost_proto::frame::{End, Head, WINDOW};
use placehost_proto::link::{Command, Effect, Link};
use placehost_proto::{Control, LinkKey, Route};
use quinn::SendStream;
use tokio::sync::{mpsc, watch};

use super::drain::{self, Unread, weight_of};
use super::hub::Hub;
use super::session::{self, Incoming, Session};
use crate::channel::{Blob, Bridge, Channel, Ending, Message};

/// How much is written at once, as messages weigh, and one message more. What is allowed may be gone beyond by so much.
const BATCH: usize = 128 << 10;
/// From this size on, a message's bytes are handed on rather than copied.
const LARGE: usize = 4 << 10;
/// After this many steps others have a turn.
const STEPS: usize = 64;

/// What a link is told.
pub(super) enum Input {
    Command(Command),
    /// A stream of messages.
    Stream(Route, Incoming),
    /// This node leaves: what waits is sent, and then nothing more. The receiver is held until that is so.
    Leave(watch::Receiver<()>),
}

type Work<T> = Pin<Box<dyn Future<Output = T> + Send>>;
/// A stream and what came by it; nothing where it broke.
type Read = Option<(Incoming, Vec<Bytes>)>;

struct Pump {
    hub: Hub,
    key: LinkKey,
    link: Link,
    bridge: Bridge,
    inputs: mpsc::UnboundedReceiver<Input>,
    /// The stream that is written, if one has been opened, and by which route.
    out: Option<(Route, Option<SendStream>)>,
    /// A write under way; its result is the stream, unless that broke or was finished.
    writing: Option<Work<Option<SendStream>>>,
    /// What is to be written once that is done, each by its route, the last one with the stream's end.
    ends: VecDeque<(Route, End)>,
    inward: Option<(Route, Work<Read>)>,
    decoder: Decoder,
    /// Streams of routes that are not read yet.
    early: Vec<(Route, Incoming)>,
    frames: VecDeque<LinkFrame>,
    /// A message whose blobs have not all come.
    gathering: Option<Work<Option<Message>>>,
    effects: Vec<Effect>,
    leaving: Option<watch::Receiver<()>>,
    done: bool,
}

/// Runs a link to its end.
pub(super) async fn run(hub: Hub, key: LinkKey, route: Route, bridge: Bridge, inputs: mpsc::UnboundedReceiver<Input>) {
    let mut pump = Pump {
        hub: hub.clone(),
        key,
        link: Link::new(route),
        bridge,
        inputs,
        out: None,
        writing: None,
        ends: VecDeque::new(),
        inward: None,
        decoder: Decoder::default(),
        early: Vec::new(),
        frames: VecDeque::new(),
        gathering: None,
        effects: Vec::new(),
        leaving: None,
        done: false,
    };
    poll_fn(|cx| pump.poll(cx)).await;
    // Before the link is forgotten, so that whoever sees it gone sees its channel ended.
    let mut inputs = pump.end();
    hub.link_done(key);
    // A stream may have come since the end, and before the link was forgotten.
    while let Ok(input) = inputs.try_recv() {
        if let Input::Stream(route, stream) = input {
            hub.drain(route.session, stream);
        }
    }
}

impl Pump {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        for _ in 0..STEPS {
            let mut progress = false;
            while let Poll::Ready(Some(input)) = self.inputs.poll_recv(cx) {
                self.input(input);
                self.obey();
                progress = true;
            }
            progress |= self.poll_read(cx);
            progress |= self.obey();
            progress |= self.poll_write(cx);
            self.poll_local(cx);
            progress |= self.obey();
            let written = self.writing.is_none() && self.ends.is_empty();
            if written && !self.link.sends() {
                self.leaving = None;
            }
            if self.done && written {
                return Poll::Ready(());
            }
            if !progress {
                return Poll::Pending;
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    fn input(&mut self, input: Input) {
        match input {
            Input::Command(command) => self.link.command(command, &mut self.effects),
            Input::Stream(route, stream) => match self.link.reads() {
                Some(reads) if reads == route && self.inward.is_none() => self.read(route, stream),
                Some(_) => self.early.push((route, stream)),
                None => self.hub.drain(route.session, stream),
            },
            Input::Leave(leaving) => self.leaving = Some(leaving),
        }
    }

    /// Gives up all but the streams that were not looked at.
    fn end(self) -> mpsc::UnboundedReceiver<Input> {
        self.inputs
    }

    fn read(&mut self, route: Route, mut stream: Incoming) {
        let chunks = async move {
            let chunks = stream.chunks().await.ok()?;
            Some((stream, chunks))
        };
        self.inward = Some((route, Box::pin(chunks)));
    }

    /// Reads, decodes, delivers. A message that waits for its blobs holds up this channel alone.
    fn poll_read(&mut self, cx: &mut Context<'_>) -> bool {
        let mut progress = false;
        if let Some(gathering) = &mut self.gathering {
            let Poll::Ready(message) = gathering.as_mut().poll(cx) else { return false };
            self.gathering = None;
            match message {
                Some(message) => self.deliver(message),
                None => self.link.broken(&mut self.effects),
            }
            progress = true;
        }
        progress |= self.deliver_frames();
        if self.gathering.is_some() || !self.frames.is_empty() {
            return progress;
        }
        let Some((route, inward)) = &mut self.inward else { return progress };
        let (route, Poll::Ready(read)) = (*route, inward.as_mut().poll(cx)) else { return progress };
        self.inward = None;
        match read {
            Some((stream, chunks)) if !chunks.is_empty() => match self.decode(&chunks) {
                Ok(()) => self.read(route, stream),
                Err(error) => self.breach(&error.to_string()),
            },
            // The end without a last frame.
            _ => self.link.broken(&mut self.effects),
        }
        self.deliver_frames();
        true
    }

    fn decode(&mut self, chunks: &[Bytes]) -> Result<(), DecodeError> {
        let mut frames = Vec::new();
        let result = session::decode(&mut self.decoder, chunks, &mut frames);
        self.frames.extend(frames);
        result
    }

    fn breach(&mut self, text: &str) {
        if let Some(route) = self.link.reads() {
            self.hub.act(|node, _| node.handle_breach(route.session, text.into()));
        }
        self.link.broken(&mut self.effects);
    }

    fn deliver_frames(&mut self) -> bool {
        let mut plain = Vec::new();
        let mut progress = false;
        while self.gathering.is_none()
            // What is left when nobody reads any more goes with the rest of its stream.
            && self.link.reads().is_some()
            && let Some(frame) = self.frames.pop_front()
        {
            progress = true;
            match frame {
                LinkFrame::Message(data) => {
                    if self.received(weight_of(data.len(), &Attachments::default())) {
                        plain.push(Message::from(data));
                    }
                }
                // Those before it may be what this link breaks by.
                frame @ LinkFrame::Attached(..) if !plain.is_empty() => {
                    self.deliver_all(&mut plain);
                    self.frames.push_front(frame);
                }
                LinkFrame::Attached(attachments, data) => self.gather(attachments, data),
                LinkFrame::End(end) => {
                    self.deliver_all(&mut plain);
                    self.frames.clear();
                    self.inward = None;
                    self.link.remote_ended(end, &mut self.effects);
                }
            }
        }
        self.deliver_all(&mut plain);
        progress
    }

    /// Counts what came, and whether that was allowed. Who goes far beyond would fill this node's memory: its session ends.
    fn received(&mut self, weight: u64) -> bool {
        self.link.received(weight);
        if self.link.is_overdrawn() {
            self.frames.clear();
            self.breach(drain::OVERDRAWN);
        }
        !self.link.is_overdrawn()
    }

    fn deliver(&mut self, message: Message) {
        self.deliver_all(&mut vec![message]);
    }

    fn deliver_all(&mut self, messages: &mut Vec<Message>) {
        if messages.is_empty() {
            return;
        }
        if !self.link.delivers() {
            // Ends in them are closed as they are dropped, and who holds the others is told.
            messages.clear();
            return;
        }
        // Nobody reads: that is noticed by itself. What the reader has no memory for is lost, and both sides are told.
        if let Err(crate::channel::PutError::OverBudget(error)) = self.bridge.deliver(messages) {
            tracing::warn!("a channel between nodes is cut: {error}");
            self.link.broken(&mut self.effects);
        }
    }

    /// Makes a message of what was named in it: ends are links of their own, blobs come by streams of their own.
    fn gather(&mut self, attachments: Attachments, data: Vec<u8>) {
        let Some(session) = self.link.reads().and_then(|route| self.hub.session(route.session)) else { return };
        if !self.received(weight_of(data.len(), &attachments)) {
            return;
        }
        let Attachments { links, blobs } = attachments;
        let channels: Result<Vec<Channel>, ()> = links.into_iter().map(|id| self.hub.take_channel(&session, id)).collect();
        let Ok(channels) = channels else { return self.link.broken(&mut self.effects) };
        if blobs.is_empty() {
            return self.deliver(Message::with(data, channels, Vec::new()));
        }
        self.gathering = Some(Box::pin(async move {
            let mut received = Vec::with_capacity(blobs.len());
            for (number, _) in blobs {
                received.push(session.blobs.take(number).await?);
            }
            Some(Message::with(data, channels, received))
        }));
    }

    /// Writes what waits, as far as it is allowed.
    fn poll_write(&mut self, cx: &mut Context<'_>) -> bool {
        if let Some(writing) = &mut self.writing {
            let Poll::Ready(stream) = writing.as_mut().poll(cx) else { return false };
            self.writing = None;
            match (&mut self.out, stream) {
                (Some((_, slot)), Some(stream)) => *slot = Some(stream),
                // Broken, which the loss of its session will explain; or finished.
                (out, None) => *out = None,
                (None, Some(_)) => {}
            }
            return true;
        }
        if let Some((route, end)) = self.ends.pop_front() {
            let mut bytes = Vec::new();
            codec::put_end(&mut bytes, end);
            self.write(route, vec![bytes.into()], true);
            return true;
        }
        let Some(route) = self.link.may_send() else { return false };
        let mut batch = Vec::new();
        match self.bridge.poll_take(cx, BATCH, &mut batch) {
            Poll::Pending if self.leaving.is_some() => {
                self.link.local_ended(End::NodeLost, &mut self.effects);
                true
            }
            Poll::Pending => false,
            Poll::Ready(Err(ending)) => {
                self.link.local_ended(to_end(ending), &mut self.effects);
                true
            }
            Poll::Ready(Ok(())) => {
                let chunks = self.encode(route, batch);
                self.write(route, chunks, false);
                true
            }
        }
    }

    fn encode(&mut self, route: Route, batch: Vec<Message>) -> Vec<Bytes> {
        let (mut chunks, mut small) = (Vec::new(), Vec::new());
        for message in batch {
            let weight = message.weight();
            let (data, channels, blobs) = message.into_parts();
            if channels.is_empty() && blobs.is_empty() {
                codec::put_message_header(&mut small, data.len());
            } else {
                let attachments = self.attach(route, channels, blobs);
                codec::put_attached_header(&mut small, &attachments, data.len());
            }
            self.link.sent(weight as u64);
            if data.len() < LARGE {
                small.extend_from_slice(&data);
            } else {
                chunks.push(Bytes::from(std::mem::take(&mut small)));
                chunks.push(data.into());
            }
        }
        chunks.push(small.into());
        chunks.retain(|chunk| !chunk.is_empty());
        chunks
    }

    fn attach(&self, route: Route, channels: Vec<Channel>, blobs: Vec<Blob>) -> Attachments {
        let links = channels.into_iter().filter_map(|end| self.hub.send_end(route.session, end)).collect();
        let session = self.hub.session(route.session);
        let blobs = blobs.into_iter().filter_map(|blob| Some(session.as_ref()?.blobs.send(&self.hub, session.as_ref()?, blob))).collect();
        Attachments { links, blobs }
    }

    /// Writes to the stream of this route, opening it if there is none.
    fn write(&mut self, route: Route, mut chunks: Vec<Bytes>, last: bool) {
        let Some(session) = self.hub.session(route.session) else { return };
        let stream = match &mut self.out {
            Some((by, stream)) if *by == route => stream.take(),
            _ => None,
        };
        self.out = Some((route, None));
        let hub = self.hub.clone();
        self.writing = Some(Box::pin(async move {
            let mut stream = match stream {
                Some(stream) => stream,
                None => open(&session, route, &mut chunks).await?,
            };
            stream.write_all_chunks(&mut chunks).await.ok()?;
            if last {
                session.finish(&hub, stream);
                return None;
            }
            Some(stream)
        }));
    }

    /// Sees what the reader of this end does.
    fn poll_local(&mut self, cx: &mut Context<'_>) {
        if self.link.owed() >= WINDOW / 2
            && let Poll::Ready(waiting) = self.bridge.poll_drained(cx, WINDOW / 2)
        {
            self.link.drained(waiting, &mut self.effects);
        }
        if self.link.delivers()
            && let Poll::Ready(ending) = self.bridge.poll_abandoned(cx)
        {
            self.link.local_abandoned(to_end(ending), &mut self.effects);
        }
    }

    /// Does what the link wants, before anything else is read or written: a link that moves has to end the old stream before the new
    /// one begins.
    fn obey(&mut self) -> bool {
        let effects = std::mem::take(&mut self.effects);
        let any = !effects.is_empty();
        for effect in effects {
            match effect {
                Effect::EndOut(route, end) => match &self.out {
                    Some((by, _)) if *by == route => self.ends.push_back((route, end)),
                    _ => self.tell(route, Control::Finish(route.id, end)),
                },
                Effect::Refuse(end) => self.bridge.refuse(to_ending(end)),
                Effect::EndIn(end) => {
                    self.drop_unread();
                    self.bridge.end(to_ending(end));
                }
                Effect::TellGone(route, end) => self.tell(route, Control::Gone(route.id, end)),
                Effect::Grant(route, bytes) => self.tell(route, Control::Credit(route.id, bytes)),
                Effect::ReadFrom(route) => {
                    self.decoder = Decoder::default();
                    if let Some(at) = self.early.iter().position(|(early, _)| *early == route) {
                        let (_, stream) = self.early.swap_remove(at);
                        self.read(route, stream);
                    }
                }
                Effect::Moved(route) => self.hub.link_moved(self.key, route),
                Effect::Done => self.done = true,
            }
        }
        any
    }

    /// Nobody reads any more what has not been read. What is named in it must not stay open for that.
    fn drop_unread(&mut self) {
        if let Some((route, inward)) = self.inward.take()
            && let Some(session) = self.hub.session(route.session)
        {
            let (hub, decoder, frames) = (self.hub.clone(), std::mem::take(&mut self.decoder), self.frames.drain(..).collect());
            self.hub.runtime().spawn(async move { drain::drain(&hub, &session, Unread { frames, decoder }, inward).await });
        }
        for (route, stream) in self.early.drain(..) {
            self.hub.drain(route.session, stream);
        }
    }

    fn tell(&self, route: Route, control: Control) {
        self.hub.act(|node, _| node.tell(route.session, control));
    }
}

async fn open(session: &Arc<Session>, route: Route, chunks: &mut Vec<Bytes>) -> Option<SendStream> {
    let stream = session.connection().open().await.ok()?;
    let mut head = Vec::new();
    codec::put_head(&mut head, &Head::Link(route.id));
    // With what follows in one packet.
    match chunks.first_mut() {
        Some(first) if first.len() < LARGE => {
            let mut both = BytesMut::from(&head[..]);
            both.extend_from_slice(first);
            *first = both.freeze();
        }
        _ => chunks.insert(0, head.into()),
    }
    Some(stream)
}

fn to_end(ending: Ending) -> End {
    match ending {
        Ending::Closed => End::Closed,
        Ending::NodeLost => End::NodeLost,
        Ending::Moved => End::Moved,
    }
}

fn to_ending(end: End) -> Ending {
    match end {
        End::Closed => Ending::Closed,
        End::NodeLost => Ending::NodeLost,
        End::Moved => Ending::Moved,
    }
}
