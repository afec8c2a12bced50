//! One end of a channel that crosses, pumped: from its mailbox to its session, and from there to its mailbox.
//!
//! A link begins in the [post](super::post) and stays there while it says little at once; then it goes on by a stream of its own. It
//! reads all that is sent to it as soon as it comes, for the sender may send only what it was allowed; so a place that does not read
//! stops who writes to it, and nobody else. It writes what waits in batches: one small write for each message would cost more than
//! the message.

use std::collections::VecDeque;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, Waker, ready};

use bytes::Bytes;
use placehost_proto::codec::{self, Attachments, Decoder, LinkFrame, Piece};
use placehost_proto::frame::{End, Head, WINDOW};
use placehost_proto::link::{Command, Effect, Link, WEIGHT};
use placehost_proto::{Control, LinkKey, Route};
use quinn::SendStream;
use tokio::sync::watch;

use super::drain::{self, Unread, weight_of};
use super::hub::Hub;
use super::inbox::Inbox;
use super::post;
use super::session::{self, Incoming, Session};
use super::source::Source;
use crate::channel::{Blob, Bridge, Channel, Ending, Message};

/// How much is written at once, as messages weigh, and one message more. What is allowed may be gone beyond by so much.
const BATCH: usize = 128 << 10;
/// From this size on, a message's bytes are handed on rather than copied.
const LARGE: usize = 4 << 10;
/// After this many steps, each of a batch at most, the other links of the session have a turn.
const STEPS: usize = 4;

/// What a link is told.
pub(super) enum Input {
    Command(Command),
    /// Something that was posted.
    Posted(Route, Piece),
    /// A stream of messages: of all by this route, or of the rest, after those that were posted.
    Stream {
        route: Route,
        rest: bool,
        stream: Incoming,
    },
    /// This node leaves: what waits is sent, and then nothing more. The receiver is held until that is so.
    Leave(watch::Receiver<()>),
}

impl Input {
    /// What it takes of this node's memory before it is read, as messages weigh.
    pub(super) fn weight(&self) -> u64 {
        match self {
            Self::Posted(_, piece) => piece_weight(piece),
            // What comes by a stream of its own waits there.
            _ => 0,
        }
    }
}

fn piece_weight(piece: &Piece) -> u64 {
    match piece {
        Piece::Frame(LinkFrame::Message(data)) => weight_of(data.len(), &Attachments::default()),
        Piece::Frame(LinkFrame::Attached(attachments, data)) => weight_of(data.len(), attachments) + WEIGHT * attachments.links.len() as u64,
        Piece::Frame(LinkFrame::End(_)) | Piece::Rest => WEIGHT,
    }
}

type Work<T> = Pin<Box<dyn Future<Output = T> + Send>>;

struct Pump {
    hub: Hub,
    key: LinkKey,
    link: Link,
    bridge: Bridge,
    inputs: Inbox<Input>,
    out: Option<Outward>,
    /// What is to be written after that, each by its route, the last one with the stream's end.
    ends: VecDeque<(Route, End)>,
    inward: Option<Inflow>,
    /// What came and is not decoded: none, but its room is kept.
    chunks: Vec<Bytes>,
    decoder: Decoder,
    /// What came by routes that are not read yet.
    early: Vec<Inflow>,
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

/// What comes by one route: first what is posted, then, perhaps, a stream.
struct Inflow {
    route: Route,
    posted: VecDeque<LinkFrame>,
    /// How much has been posted.
    weight: u64,
    /// Nothing more is posted.
    rest: bool,
    stream: Option<Incoming>,
}

impl Inflow {
    fn new(route: Route) -> Self {
        Self { route, posted: VecDeque::new(), weight: 0, rest: false, stream: None }
    }
}

/// What a link is written to.
struct Outward {
    route: Route,
    session: Arc<Session>,
    way: Way,
    /// What is to be written to its stream, of which so many chunks are.
    chunks: Vec<Bytes>,
    written: usize,
    /// Nothing comes after that.
    last: bool,
}

/// A stream that can no longer be written to.
struct Broken;

enum Way {
    /// With all other links, and whether anything has gone so.
    Post(bool),
    Opening(Work<Option<SendStream>>),
    Open(SendStream),
}

/// Runs a link to its end.
pub(super) async fn run(hub: Hub, key: LinkKey, route: Route, bridge: Bridge, inputs: Inbox<Input>) {
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
    let inputs = pump.end();
    hub.link_done(key);
    // Something may have come since the end, and before the link was forgotten.
    while let Some(input) = inputs.take() {
        match input {
            Input::Posted(route, piece) => drop_piece(&hub, route, piece),
            Input::Stream { route, stream, .. } => hub.drain(route.session, stream),
            Input::Command(_) | Input::Leave(_) => {}
        }
    }
}

fn drop_piece(hub: &Hub, route: Route, piece: Piece) {
    if let (Piece::Frame(frame), Some(session)) = (piece, hub.session(route.session)) {
        drain::drop_posted(hub, &session, [frame]);
    }
}

impl Outward {
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

    fn is_written(&self) -> bool {
        self.chunks.is_empty()
    }

    /// Writes all that is to be written to its stream.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Broken>> {
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
            while let Poll::Ready(input) = self.inputs.poll_take(cx) {
                sources.inward.stir();
                if !matches!(input, Input::Posted(..)) {
                    sources.stir();
                }
                self.input(input);
                self.obey();
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
            Input::Posted(route, piece) => self.posted(route, piece),
            Input::Stream { route, rest, stream } => match self.inflow(route) {
                Some(inflow) if inflow.stream.is_none() => {
                    inflow.rest |= !rest;
                    inflow.stream = Some(stream);
                }
                Some(_) => self.breach(route, "a second stream for a channel"),
                None => self.hub.drain(route.session, stream),
            },
            Input::Leave(leaving) => self.leaving = Some(leaving),
        }
    }

    /// What has come by this route and is not read, or is to come; none where nobody reads any more.
    fn inflow(&mut self, route: Route) -> Option<&mut Inflow> {
        if self.link.reads()? == route {
            return Some(self.inward.get_or_insert_with(|| Inflow::new(route)));
        }
        let at = self.early.iter().position(|early| early.route == route).unwrap_or_else(|| {
            self.early.push(Inflow::new(route));
            self.early.len() - 1
        });
        self.early.get_mut(at)
    }

    fn posted(&mut self, route: Route, piece: Piece) {
        let is_read = self.link.reads() == Some(route);
        let Some(inflow) = self.inflow(route) else { return drop_piece(&self.hub, route, piece) };
        // What is read at once is weighed there.
        inflow.weight += if is_read { 0 } else { piece_weight(&piece) };
        match piece {
            _ if inflow.rest => self.breach(route, "something posted for a channel after the last"),
            _ if inflow.weight >= 2 * WINDOW => self.breach(route, drain::OVERDRAWN),
            Piece::Frame(frame) => inflow.posted.push_back(frame),
            Piece::Rest => inflow.rest = true,
        }
    }

    /// Gives up all but the streams that were not looked at.
    fn end(self) -> Inbox<Input> {
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
        let Some(inflow) = &mut self.inward else { return progress };
        if !inflow.posted.is_empty() {
            self.frames.append(&mut inflow.posted);
            self.deliver_frames();
            return true;
        }
        let Some(stream) = inflow.stream.as_mut().filter(|_| inflow.rest) else { return progress };
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
                let route = inflow.route;
                self.inward = None;
                self.breach(route, &error.to_string());
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

    fn breach(&mut self, route: Route, text: &str) {
        self.hub.breach(route.session, text);
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
        if let Some(route) = self.link.reads().filter(|_| self.link.is_overdrawn()) {
            self.frames.clear();
            self.breach(route, drain::OVERDRAWN);
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
                    if let Some(Outward { session, way: Way::Open(stream), .. }) = self.out.take()
                        && written.is_ok()
                    {
                        session.finish(&self.hub, stream);
                    }
                }
            }
        }
        if let Some((route, end)) = self.ends.pop_front() {
            self.write_end(route, end);
            return true;
        }
        let Some(route) = self.link.may_send() else { return false };
        if let Some(Outward { way: Way::Post(_), session, .. }) = &self.out
            && session.outbox.poll_room(cx).is_pending()
        {
            return false;
        }
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
        self.link.sent(batch.iter().map(|message| message.weight() as u64).sum());
        if self.out.as_ref().is_none_or(|out| out.route != route) {
            // Its session is over, which the link will be told.
            let Some(session) = self.hub.session(route.session) else { return };
            self.out = Some(Outward { route, session, way: Way::Post(false), chunks: Vec::new(), written: 0, last: false });
        }
        let Some(out) = &mut self.out else { return };
        match &mut out.way {
            Way::Post(begun) if is_short(&batch) => {
                *begun = true;
                post(&self.hub, &out.session, route, batch);
            }
            _ => {
                let (begin, chunks) = (out.open(), std::mem::take(&mut out.chunks));
                out.chunks = encode(&self.hub, &out.session, begin, chunks, batch);
            }
        }
    }

    fn write_end(&mut self, route: Route, end: End) {
        let Some(out) = self.out.as_mut().filter(|out| out.route == route) else { return };
        if let Way::Post(_) = out.way {
            out.session.post(|bytes| codec::put_posted_end(bytes, route.id, end));
            self.out = None;
        } else {
            let mut bytes = Vec::new();
            codec::put_end(&mut bytes, end);
            out.chunks.push(bytes.into());
            out.last = true;
        }
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
                    self.inward = self.early.iter().position(|early| early.route == route).map(|at| self.early.swap_remove(at));
                }
                Effect::Moved(route) => self.hub.link_moved(self.key, route),
                Effect::Done => self.done = true,
            }
        }
        any
    }

    /// Nobody reads any more what has not been read. What is named in it must not stay open for that.
    fn drop_unread(&mut self) {
        let mut frames = std::mem::take(&mut self.frames);
        let mut decoder = std::mem::take(&mut self.decoder);
        for inflow in self.inward.take().into_iter().chain(std::mem::take(&mut self.early)) {
            frames.extend(inflow.posted);
            let unread = Unread { frames: std::mem::take(&mut frames), decoder: std::mem::take(&mut decoder) };
            match (inflow.stream, self.hub.session(inflow.route.session)) {
                (Some(stream), _) => self.hub.drain_rest(inflow.route.session, unread, stream),
                (None, Some(session)) => drain::drop_posted(&self.hub, &session, unread.frames),
                (None, None) => {}
            }
        }
    }

    fn tell(&self, route: Route, control: Control) {
        self.hub.act(|node, _| node.tell(route.session, control));
    }
}

/// Whether messages go with those of others.
fn is_short(batch: &[Message]) -> bool {
    let bytes: usize = batch.iter().map(|message| message.data.len() + WEIGHT as usize).sum();
    let ends: usize = batch.iter().map(|message| message.channels().len()).sum();
    bytes <= post::BATCH && ends <= post::ENDS && batch.iter().all(|message| message.blobs().is_empty())
}

fn post(hub: &Hub, session: &Arc<Session>, route: Route, batch: Vec<Message>) {
    session.post(|bytes| {
        for message in batch {
            let (data, channels, blobs) = message.into_parts();
            match channels.is_empty() {
                true => codec::put_posted(bytes, route.id, &data),
                false => codec::put_posted_attached(bytes, route.id, &attach(hub, session, channels, blobs), &data),
            }
        }
    });
}

/// What is written to a link's own stream after `begin`, in the room of `chunks`.
fn encode(hub: &Hub, session: &Arc<Session>, begin: Vec<u8>, mut chunks: Vec<Bytes>, batch: Vec<Message>) -> Vec<Bytes> {
    let mut small = begin;
    for message in batch {
        let (data, channels, blobs) = message.into_parts();
        if channels.is_empty() && blobs.is_empty() {
            codec::put_message_header(&mut small, data.len());
        } else {
            codec::put_attached_header(&mut small, &attach(hub, session, channels, blobs), data.len());
        }
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

fn attach(hub: &Hub, session: &Arc<Session>, channels: Vec<Channel>, blobs: Vec<Blob>) -> Attachments {
    let links = channels.into_iter().filter_map(|end| hub.send_end(session.key(), end)).collect();
    let blobs = blobs.into_iter().map(|blob| session.blobs.send(hub, session, blob)).collect();
    Attachments { links, blobs }
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
