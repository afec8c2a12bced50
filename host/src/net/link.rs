//! One end of a channel that crosses, pumped: from its mailbox to a stream, and from a stream to its mailbox.
//!
//! One task for each link. It reads all that is sent to it as soon as it comes, for the sender may send only what it was allowed;
//! so a place that does not read stops who writes to it, and nobody else. It writes what waits in batches: one small write for each
//! message would cost more than the message.

use std::collections::VecDeque;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, Waker, ready};

use bytes::Bytes;
use placehost_proto::codec::{self, Attachments, Decoder, LinkFrame};
use placehost_proto::frame::{End, Head, WINDOW};
use placehost_proto::link::{Command, Effect, Link};
use placehost_proto::{Control, LinkKey, Route};
use quinn::SendStream;
use tokio::sync::{mpsc, watch};

use super::drain::{self, Unread, weight_of};
use super::hub::Hub;
use super::session::{self, Incoming, Session};
use super::source::Source;
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

struct Pump {
    hub: Hub,
    key: LinkKey,
    link: Link,
    bridge: Bridge,
    inputs: mpsc::UnboundedReceiver<Input>,
    out: Option<Outward>,
    /// What is to be written after that, each by its route, the last one with the stream's end.
    ends: VecDeque<(Route, End)>,
    inward: Option<(Route, Incoming)>,
    /// What came and is not decoded: none, but its room is kept.
    chunks: Vec<Bytes>,
    decoder: Decoder,
    /// Streams of routes that are not read yet.
    early: Vec<(Route, Incoming)>,
    frames: VecDeque<LinkFrame>,
    /// A message whose blobs have not all come.
    gathering: Option<Work<Option<Message>>>,
    effects: Vec<Effect>,
    leaving: Option<watch::Receiver<()>>,
    done: bool,
    sources: Sources,
}

/// What a link waits for, beside what it is told.
#[derive(Default)]
struct Sources {
    /// The stream that is read, and the blobs of its messages.
    inward: Source,
    /// Messages that are to be sent, and the stream that is written.
    outward: Source,
    /// The reader of this end.
    reader: Source,
}

impl Sources {
    fn look(&mut self, task: &Waker) {
        self.inward.look(task);
        self.outward.look(task);
        self.reader.look(task);
    }

    fn stir(&mut self) {
        self.inward.stir();
        self.outward.stir();
        self.reader.stir();
    }
}

/// The stream that a link is written to.
struct Outward {
    route: Route,
    session: Arc<Session>,
    stream: Stream,
    /// What is to be written, of which so many chunks are.
    chunks: Vec<Bytes>,
    written: usize,
    /// Nothing comes after that.
    last: bool,
}

/// A stream that can no longer be written to.
struct Broken;

enum Stream {
    Opening(Work<Option<SendStream>>),
    Open(SendStream),
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
        ends: VecDeque::new(),
        inward: None,
        chunks: Vec::new(),
        decoder: Decoder::default(),
        early: Vec::new(),
        frames: VecDeque::new(),
        gathering: None,
        effects: Vec::new(),
        leaving: None,
        done: false,
        sources: Sources::default(),
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

impl Outward {
    fn is_written(&self) -> bool {
        self.chunks.is_empty()
    }

    /// Writes all that is to be written.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Broken>> {
        let stream = match &mut self.stream {
            Stream::Open(stream) => stream,
            Stream::Opening(opening) => {
                self.stream = Stream::Open(ready!(opening.as_mut().poll(cx)).ok_or(Broken)?);
                let Stream::Open(stream) = &mut self.stream else { return Poll::Ready(Err(Broken)) };
                stream
            }
        };
        while self.written < self.chunks.len() {
            // Nothing is written by it where it is not ready.
            let written = ready!(pin!(stream.write_chunks(&mut self.chunks[self.written..])).poll(cx));
            self.written += written.map_err(|_| Broken)?.chunks;
        }
        self.chunks.clear();
        self.written = 0;
        Poll::Ready(Ok(()))
    }
}

impl Pump {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let mut sources = std::mem::take(&mut self.sources);
        sources.look(cx.waker());
        let result = self.step(cx, &mut sources);
        self.sources = sources;
        result
    }

    fn step(&mut self, cx: &mut Context<'_>, sources: &mut Sources) -> Poll<()> {
        for _ in 0..STEPS {
            let mut progress = false;
            while let Poll::Ready(Some(input)) = self.inputs.poll_recv(cx) {
                self.input(input);
                self.obey();
                sources.stir();
                progress = true;
            }
            if let Some(waker) = sources.inward.due()
                && self.poll_read(&mut Context::from_waker(waker))
            {
                sources.inward.stir();
                sources.reader.stir();
                progress = true;
            }
            if self.obey() {
                sources.stir();
            }
            if let Some(waker) = sources.outward.due()
                && self.poll_write(&mut Context::from_waker(waker))
            {
                sources.outward.stir();
                progress = true;
            }
            if let Some(waker) = sources.reader.due() {
                self.poll_local(&mut Context::from_waker(waker));
            }
            if self.obey() {
                sources.stir();
                progress = true;
            }
            let written = self.out.as_ref().is_none_or(Outward::is_written) && self.ends.is_empty();
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
                Some(reads) if reads == route && self.inward.is_none() => self.inward = Some((route, stream)),
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
        let Some((_, stream)) = &mut self.inward else { return progress };
        let mut chunks = std::mem::take(&mut self.chunks);
        let read = stream.poll_chunks(cx, &mut chunks);
        let decoded = session::decode(&mut self.decoder, &chunks, &mut self.frames);
        let more = !chunks.is_empty();
        chunks.clear();
        self.chunks = chunks;
        match (read, decoded) {
            (Poll::Pending, _) => return progress,
            (Poll::Ready(Ok(())), Ok(())) if more => {}
            (_, Err(error)) => {
                self.inward = None;
                self.breach(&error.to_string());
            }
            // The end without a last frame.
            _ => {
                self.inward = None;
                self.link.broken(&mut self.effects);
            }
        }
        self.deliver_frames();
        true
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
        if let Some(out) = &mut self.out
            && !out.is_written()
        {
            match out.poll(cx) {
                Poll::Pending => return false,
                Poll::Ready(Ok(())) if !out.last => {}
                // Finished; or broken, which the loss of its session will explain.
                Poll::Ready(written) => {
                    if let Some(Outward { session, stream: Stream::Open(stream), .. }) = self.out.take()
                        && written.is_ok()
                    {
                        session.finish(&self.hub, stream);
                    }
                }
            }
        }
        if let Some((route, end)) = self.ends.pop_front() {
            let mut bytes = self.begin(route);
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
                self.encode(route, batch);
                true
            }
        }
    }

    fn encode(&mut self, route: Route, batch: Vec<Message>) {
        // Their room is used again.
        let mut chunks = self.out.as_mut().map(|out| std::mem::take(&mut out.chunks)).unwrap_or_default();
        let mut small = self.begin(route);
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
        self.write(route, chunks, false);
    }

    fn attach(&self, route: Route, channels: Vec<Channel>, blobs: Vec<Blob>) -> Attachments {
        let links = channels.into_iter().filter_map(|end| self.hub.send_end(route.session, end)).collect();
        let session = self.hub.session(route.session);
        let blobs = blobs.into_iter().filter_map(|blob| Some(session.as_ref()?.blobs.send(&self.hub, session.as_ref()?, blob))).collect();
        Attachments { links, blobs }
    }

    /// What comes before anything else on this route: the head of its stream, unless there is one.
    fn begin(&self, route: Route) -> Vec<u8> {
        let mut bytes = Vec::new();
        if self.out.as_ref().is_none_or(|out| out.route != route) {
            codec::put_head(&mut bytes, &Head::Link(route.id));
        }
        bytes
    }

    /// Writes what [`Self::begin`] began to the stream of this route, opening it if there is none.
    fn write(&mut self, route: Route, chunks: Vec<Bytes>, last: bool) {
        if let Some(out) = &mut self.out
            && out.route == route
        {
            out.chunks = chunks;
            out.last = last;
            return;
        }
        let Some(session) = self.hub.session(route.session) else { return };
        let opener = Arc::clone(&session);
        let opening = Box::pin(async move { opener.connection().open().await.ok() });
        self.out = Some(Outward { route, session, stream: Stream::Opening(opening), chunks, written: 0, last });
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
                    Some(out) if out.route == route => self.ends.push_back((route, end)),
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
                        self.inward = Some((route, stream));
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
        if let Some((route, stream)) = self.inward.take() {
            let unread = Unread { frames: std::mem::take(&mut self.frames), decoder: std::mem::take(&mut self.decoder) };
            self.hub.drain_rest(route.session, unread, stream);
        }
        for (route, stream) in self.early.drain(..) {
            self.hub.drain(route.session, stream);
        }
    }

    fn tell(&self, route: Route, control: Control) {
        self.hub.act(|node, _| node.tell(route.session, control));
    }
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
