//! One session's connection: its control stream, and the streams that come.
//!
//! What is read and written for it, but for bulk that has streams of its own, is the work of one task, in turns: to wake another costs
//! as much as all else about a frame, and what is said at once goes together. So control frames are read there, and what they lead to is
//! handed on to whoever handles it, in that order; control frames are written there, and what is posted; and all links are pumped there.
//! Another task takes the streams that the peer opens. All end with the connection.

mod control;

use std::collections::HashMap;
use std::future::{Future, poll_fn};
use std::ops::ControlFlow;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use placehost_proto::codec::{self, DecodeError, Decoder, Frame};
use placehost_proto::frame::{Answer, Goodbye, Head};
use placehost_proto::node::Event;
use placehost_proto::{Control, Fingerprint, Hello, RequestId, SessionKey};
use quinn::{ReadError, RecvStream, SendStream};
use tokio::runtime::Handle;
use tokio::sync::{Notify, mpsc, watch};

use super::blob::Blobs;
use super::endpoint::Connection;
use super::hub::Hub;
use super::output::Outputs;
use super::parked::Parked;
use super::post::{self, Outbox};
use super::tasks::Tasks;
use crate::channel::Account;

/// How many bytes are written to the control stream, or read of a new one, at once.
const TOGETHER: usize = 64 << 10;
/// A peer that lets this many control frames wait for it does not listen.
const MAX_QUEUED: u64 = 1 << 18;
/// The streams that a peer may have open beyond what its links need.
const SPARE_STREAMS: usize = 1024;
/// How long a stream may take to say what it is.
const HEAD_TIME: Duration = Duration::from_secs(10);
/// How many chunks are read at once.
const CHUNKS: usize = 16;
/// How long a clean goodbye waits for what was said before it: who says it, until that has arrived; who hears it, until that is read.
pub(super) const LAST_WORDS: Duration = Duration::from_secs(1);
/// How long who has said goodbye waits for the other side to close.
const FAREWELL: Duration = Duration::from_millis(1500);

/// A session, as others use it.
pub(crate) struct Session {
    key: SessionKey,
    connection: Connection,
    dialled: bool,
    account: Arc<Account>,
    out: mpsc::UnboundedSender<Out>,
    /// Control frames that have not been written.
    queued: AtomicU64,
    events: mpsc::UnboundedSender<Event>,
    state: watch::Sender<State>,
    peer: OnceLock<Hello>,
    pub(super) parked: Parked,
    answers: Mutex<HashMap<RequestId, mpsc::UnboundedSender<Answer>>>,
    allowed: AtomicU64,
    /// What its links do.
    pub(super) tasks: Tasks,
    pub(super) outbox: Outbox,
    /// The peer has begun to post.
    posting: AtomicBool,
    pub(super) blobs: Blobs,
    pub(crate) outputs: Outputs,
    /// Whoever has something under way to the peer holds a receiver until that has arrived.
    sending: watch::Sender<()>,
    /// Each stream that came holds a receiver until it is read.
    reading: watch::Sender<()>,
    /// All streams that have come are to be accepted, and then they are.
    accept_all: Notify,
    accepted_all: Notify,
    /// The connection is closed, and the peer knows.
    closed: Notify,
    /// This side has said goodbye, or is about to.
    closing: AtomicBool,
}

/// How far a session has come.
#[derive(Clone, Debug)]
pub(crate) enum State {
    /// The peer has not greeted.
    Greeting,
    Up,
    /// There was one already.
    Duplicate(SessionKey),
    Down(Goodbye),
}

enum Out {
    Hello(Hello),
    Control(Control),
    Close(Goodbye),
}

/// What a session's tasks start with.
pub(super) struct Work {
    out: mpsc::UnboundedReceiver<Out>,
    events: mpsc::UnboundedReceiver<Event>,
}

/// A stream from the peer, of which some may have been read.
pub(crate) struct Incoming {
    stream: RecvStream,
    read: Bytes,
    /// Lets a goodbye wait for it.
    _reading: Option<watch::Receiver<()>>,
}

impl Incoming {
    /// A stream of which nothing has been read, and for which no goodbye waits.
    pub(super) fn unread(stream: RecvStream) -> Self {
        Self { stream, read: Bytes::new(), _reading: None }
    }

    /// What came since, or nothing at the end. Several chunks at once where there are.
    pub(crate) async fn chunks(&mut self) -> Result<Vec<Bytes>, ReadError> {
        let mut chunks = Vec::new();
        poll_fn(|cx| self.poll_chunks(cx, &mut chunks)).await?;
        Ok(chunks)
    }

    /// Adds what came since to `chunks`, or nothing at the end.
    pub(super) fn poll_chunks(&mut self, cx: &mut Context<'_>, chunks: &mut Vec<Bytes>) -> Poll<Result<(), ReadError>> {
        if !self.read.is_empty() {
            chunks.push(std::mem::take(&mut self.read));
            return Poll::Ready(Ok(()));
        }
        let mut read = [const { Bytes::new() }; CHUNKS];
        // Nothing is lost with it where it is not ready.
        let count = ready!(pin!(self.stream.read_chunks(&mut read)).poll(cx))?.unwrap_or(0);
        chunks.extend(read.into_iter().take(count));
        Poll::Ready(Ok(()))
    }
}

impl Session {
    pub(super) fn new(
        key: SessionKey,
        connection: Connection,
        dialled: bool,
        account: Arc<Account>,
        runtime: &Handle,
    ) -> (Arc<Self>, Work) {
        let (out, outs) = mpsc::unbounded_channel();
        let (events, happened) = mpsc::unbounded_channel();
        let session = Self {
            key,
            connection,
            dialled,
            account,
            out,
            queued: AtomicU64::new(0),
            events,
            state: watch::Sender::new(State::Greeting),
            peer: OnceLock::new(),
            parked: Parked::default(),
            answers: Mutex::default(),
            allowed: AtomicU64::new(0),
            tasks: Tasks::start(runtime),
            outbox: Outbox::default(),
            posting: AtomicBool::new(false),
            blobs: Blobs::default(),
            outputs: Outputs::default(),
            sending: watch::Sender::new(()),
            reading: watch::Sender::new(()),
            accept_all: Notify::new(),
            accepted_all: Notify::new(),
            closed: Notify::new(),
            closing: AtomicBool::new(false),
        };
        (Arc::new(session), Work { out: outs, events: happened })
    }

    pub(crate) fn key(&self) -> SessionKey {
        self.key
    }

    pub(crate) fn connection(&self) -> &Connection {
        &self.connection
    }

    pub(crate) fn fingerprint(&self) -> Fingerprint {
        self.connection.fingerprint()
    }

    /// Whether this side dialled.
    pub(crate) fn dialled(&self) -> bool {
        self.dialled
    }

    /// What its messages and blobs are charged to until they are read.
    pub(crate) fn account(&self) -> &Arc<Account> {
        &self.account
    }

    /// Who is there; known once it is up.
    pub(crate) fn peer(&self) -> Option<&Hello> {
        self.peer.get()
    }

    pub(crate) fn is_up(&self) -> bool {
        matches!(*self.state.borrow(), State::Up)
    }

    /// How it turned out, once the peer has greeted or will not.
    pub(super) async fn settled(&self) -> State {
        let mut state = self.state.subscribe();
        // The sender is this session's own.
        state.wait_for(|state| !matches!(state, State::Greeting)).await.map_or(State::Down(Goodbye::Done), |state| state.clone())
    }

    /// Resolves when it is over.
    pub(crate) async fn lost(&self) -> Goodbye {
        let mut state = self.state.subscribe();
        let over = |state: &State| matches!(state, State::Down(_) | State::Duplicate(_));
        match state.wait_for(over).await.as_deref() {
            Ok(State::Down(why)) => why.clone(),
            _ => Goodbye::Done,
        }
    }

    /// Resolves when its connection is closed.
    pub(super) async fn closed(&self) {
        self.connection.closed().await;
    }

    pub(super) fn greet(&self, hello: Hello) {
        let _ = self.out.send(Out::Hello(hello));
    }

    pub(super) fn send(&self, control: Control) {
        if self.queued.fetch_add(1, Ordering::Relaxed) > MAX_QUEUED {
            return self.connection.close(&Goodbye::Silent);
        }
        let _ = self.out.send(Out::Control(control));
    }

    pub(super) fn close(&self, why: Goodbye) {
        self.closing.store(true, Ordering::Relaxed);
        let _ = self.out.send(Out::Close(why));
    }

    pub(super) fn happened(&self, event: Event) {
        let _ = self.events.send(event);
    }

    /// Where the answers to a request go.
    pub(crate) fn expect(&self, request: RequestId, answers: mpsc::UnboundedSender<Answer>) {
        lock(&self.answers).insert(request, answers);
    }

    /// Lets the peer open a stream for each of its links, and some more. Each that is allowed costs memory, so they grow with
    /// the links.
    pub(super) fn allow_streams(&self, links: usize) {
        let wanted = (links + SPARE_STREAMS).next_power_of_two() as u64;
        if self.allowed.fetch_max(wanted, Ordering::Relaxed) < wanted {
            self.connection.allow_streams(wanted);
        }
    }

    /// Adds what `put` writes to what is posted.
    pub(super) fn post(&self, put: impl FnOnce(&mut Vec<u8>)) {
        self.outbox.put(|| self.sending(), put);
    }

    /// Something is under way to the peer until this is dropped: a clean goodbye waits for that.
    pub(super) fn sending(&self) -> watch::Receiver<()> {
        self.sending.subscribe()
    }

    /// Resolves when nothing is under way to the peer.
    pub(super) async fn sent(&self) {
        self.sending.closed().await;
    }

    /// Ends a stream of ours. What was written to it has arrived before a clean goodbye is said.
    pub(super) fn finish(&self, hub: &Hub, mut stream: SendStream) {
        let sending = self.sending();
        if stream.finish().is_ok() {
            hub.runtime().spawn(async move {
                // An error is the end of the session, or a peer that does not want the rest.
                let _ = stream.stopped().await;
                drop(sending);
            });
        }
    }

    /// Waits until all streams that have come are read to their end, for the peer has said goodbye.
    async fn read_out(&self) {
        let all = async {
            self.accept_all.notify_one();
            self.accepted_all.notified().await;
            self.reading.closed().await;
        };
        // One that does not end, as where its reader waits for something, goes with the session.
        let _ = tokio::time::timeout(LAST_WORDS, all).await;
    }

    /// A stream of ours, after its head.
    pub(crate) async fn open(&self, head: &Head) -> Result<SendStream, quinn::WriteError> {
        let mut stream = self.connection.open().await?;
        let mut bytes = Vec::new();
        codec::put_head(&mut bytes, head);
        stream.write_all(&bytes).await?;
        Ok(stream)
    }
}

impl Work {
    pub(super) fn start(self, hub: &Hub, session: &Arc<Session>) {
        session.tasks.spawn(attend(hub.clone(), Arc::clone(session), self));
        let (runtime, hub, session) = (hub.runtime().clone(), hub.clone(), Arc::clone(session));
        runtime.spawn(async move {
            let why = session.connection.closed().await;
            hub.act(|node, _| node.handle_lost(session.key, why));
        });
    }
}

/// Reads control frames as they come, and hands on what has happened, until the session is over.
async fn attend(hub: Hub, session: Arc<Session>, Work { out, mut events }: Work) {
    let mut control = pin!(async {
        control::run(&hub, &session, out).await;
        std::future::pending::<()>().await;
    });
    loop {
        let event = tokio::select! {
            biased;
            event = events.recv() => event,
            () = &mut control => None,
        };
        // The session itself can always send, so its queue never ends.
        let Some(event) = event else { break };
        if handle(&hub, &session, event).is_break() {
            break;
        }
    }
    // Who says goodbye waits until that is heard, and who hears it closes: what was said before it would be lost with the connection.
    if session.closing.load(Ordering::Relaxed) {
        let heard = async {
            tokio::select! { () = session.closed.notified() => {}, () = control => {} }
        };
        let _ = tokio::time::timeout(2 * FAREWELL, heard).await;
    }
    session.connection.close(&Goodbye::Done);
}

/// Hands on one thing that has happened; the end of the session is the last.
fn handle(hub: &Hub, session: &Arc<Session>, event: Event) -> ControlFlow<()> {
    match event {
        Event::Up(hello) => {
            let _ = session.peer.set(hello);
            session.allow_streams(0);
            hub.runtime().spawn(accept_streams(hub.clone(), Arc::clone(session)));
            session.tasks.spawn(post::send(hub.clone(), Arc::clone(session)));
            if let Some(handler) = hub.handler() {
                handler.up(session);
            }
            session.state.send_replace(State::Up);
        }
        Event::Duplicate(other) => {
            session.state.send_replace(State::Duplicate(other));
        }
        Event::Answered(request, answer) => {
            let mut answers = lock(&session.answers);
            let more = matches!(answer, Answer::Listing { last: false, .. });
            match answers.get(&request) {
                // Who asked may have stopped waiting.
                Some(asker) => drop(asker.send(answer)),
                // Nobody waits for the answer itself.
                None => {
                    drop(answers);
                    if let Some(handler) = hub.handler() {
                        handler.event(session, Event::Answered(request, answer));
                    }
                    return ControlFlow::Continue(());
                }
            }
            if !more {
                answers.remove(&request);
            }
        }
        Event::Down(why) => {
            let was_up = session.is_up();
            lock(&session.answers).clear();
            session.parked.clear();
            session.outbox.end();
            session.blobs.clear();
            session.outputs.clear();
            session.state.send_if_modified(|state| match state {
                State::Duplicate(_) => false,
                _ => {
                    *state = State::Down(why.clone());
                    true
                }
            });
            if was_up && let Some(handler) = hub.handler() {
                handler.down(session, &why);
            }
            return ControlFlow::Break(());
        }
        event => {
            if let Some(handler) = hub.handler() {
                handler.event(session, event);
            }
        }
    }
    ControlFlow::Continue(())
}

/// All frames that these chunks complete.
pub(super) fn decode<F: Frame>(decoder: &mut Decoder, chunks: &[Bytes], frames: &mut impl Extend<F>) -> Result<(), DecodeError> {
    for chunk in chunks {
        let mut bytes = &chunk[..];
        while let Some(frame) = decoder.next(&mut bytes)? {
            frames.extend([frame]);
        }
    }
    Ok(())
}

async fn accept_streams(hub: Hub, session: Arc<Session>) {
    loop {
        let stream = tokio::select! {
            biased;
            stream = session.connection.accept() => stream,
            () = session.accept_all.notified() => {
                session.accepted_all.notify_one();
                continue;
            }
        };
        let Some(stream) = stream else { break };
        let (hub, session, reading) = (hub.clone(), Arc::clone(&session), session.reading.subscribe());
        let mut taken = Box::pin(async move {
            match tokio::time::timeout(HEAD_TIME, head(stream, reading)).await {
                Ok(Ok(Some((head, stream)))) => route(&hub, &session, head, stream).await,
                Ok(Err(error)) => hub.act(|node, _| node.handle_breach(session.key, error.to_string())),
                // It was closed, or said nothing: then it is nothing.
                Ok(Ok(None)) | Err(_) => {}
            }
        });
        // What a stream is comes with its first packet, and for a link that is all there is to do here.
        if poll_fn(|cx| Poll::Ready(taken.as_mut().poll(cx).is_pending())).await {
            tokio::spawn(taken);
        }
    }
}

/// Reads what a stream is.
async fn head(mut stream: RecvStream, reading: watch::Receiver<()>) -> Result<Option<(Head, Incoming)>, DecodeError> {
    let mut decoder = Decoder::default();
    loop {
        let Ok(Some(chunk)) = stream.read_chunk(TOGETHER, true).await else { return Ok(None) };
        let mut bytes = &chunk.bytes[..];
        if let Some(head) = decoder.next(&mut bytes)? {
            let read = chunk.bytes.slice_ref(bytes);
            return Ok(Some((head, Incoming { stream, read, _reading: Some(reading) })));
        }
    }
}

async fn route(hub: &Hub, session: &Arc<Session>, head: Head, stream: Incoming) {
    match head {
        Head::Link(id) => hub.stream(session, id, false, stream),
        Head::Rest(id) => hub.stream(session, id, true, stream),
        Head::Post if session.posting.swap(true, Ordering::Relaxed) => hub.breach(session.key, "a second stream of what is posted"),
        Head::Post => session.tasks.spawn(post::receive(hub.clone(), Arc::clone(session), stream)),
        Head::Blob { number, digest, size } => super::blob::receive(hub, session, stream, number, digest, size).await,
        Head::Module { digest, size } => {
            if let Some(handler) = hub.handler() {
                handler.module(session, stream, digest, size);
            }
        }
        Head::Output(request) => super::output::receive(hub, session, stream, request).await,
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
