//! All sessions of this node: the protocol's state machine, fed and obeyed.
//!
//! [`Hub`] holds the [`Node`] of `placehost-proto`. Whatever happens is told to it under its lock, and what it then wants is handed
//! out under the same lock: to the writers of control streams, to links, to whoever handles events. Handing out only puts into
//! queues, so nothing waits while the lock is held, and what was decided first arrives first. The bytes of messages never pass
//! through here.

#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::time::{Duration, Instant};

use placehost_proto::codec::{Piece, Posted};
use placehost_proto::frame::{Answer, Ask, Before, Exit, Goodbye};
use placehost_proto::node::{Action, Config, Event};
use placehost_proto::{Control, Fingerprint, Hello, LinkId, LinkKey, Node, NodeId, RequestId, Route, SessionKey};
use tokio::runtime::Handle;
use tokio::sync::{Notify, watch};

use super::drain::{self, Unread};
use super::endpoint::{Connection, DialError, Endpoint};
use super::inbox::Inbox;
use super::link;
use super::session::{Incoming, LAST_WORDS, Session, State};
use crate::channel::{Account, Bounds, Bridge, BridgeKey, Channel, Ending};

/// What a link's mailbox holds before it counts as full: half of what makes a grant worth a frame, in bytes and in empty messages.
const LINK_BOUNDS: Bounds = Bounds {
    messages: (placehost_proto::frame::WINDOW / placehost_proto::link::WEIGHT / 4) as usize,
    bytes: (placehost_proto::frame::WINDOW / 4) as usize,
};

/// Whoever decides what sessions are for.
pub(crate) trait Handler: Send + Sync + 'static {
    /// A session is up. Called before any of its events.
    fn up(&self, session: &Arc<Session>);
    /// Something happened on it. Must not wait.
    fn event(&self, session: &Arc<Session>, event: Event);
    /// A module comes that was wanted.
    fn module(&self, session: &Arc<Session>, stream: Incoming, digest: placehost_proto::Digest, size: u64);
    /// It is over.
    fn down(&self, session: &Arc<Session>, why: &Goodbye);
}

/// How a hub is set up.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Timing {
    /// How long a peer may be silent.
    pub(crate) timeout: Duration,
    /// How long a dial may take.
    pub(crate) dial: Duration,
}

/// All sessions of this node. Clones are the same.
#[derive(Clone)]
pub(crate) struct Hub(Arc<Inner>);

struct Inner {
    node: Mutex<Node>,
    sessions: Mutex<HashMap<SessionKey, Arc<Session>>>,
    links: Mutex<HashMap<LinkKey, Inbox<link::Input>>>,
    handler: OnceLock<Weak<dyn Handler>>,
    endpoint: Endpoint,
    timing: Timing,
    /// Bytes that the messages and blobs of one session may take here before they are read.
    session_memory: u64,
    began: Instant,
    next_session: AtomicU64,
    ended: AtomicBool,
    /// The next time-out may be earlier than it was, or there is none any more.
    sooner: Notify,
    runtime: Handle,
}

/// Why there is no session.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConnectError {
    #[error(transparent)]
    Dial(#[from] DialError),
    /// It was reached, and then said no or nothing.
    #[error("{0}")]
    Refused(Goodbye),
}

impl Hub {
    /// A hub over an endpoint. Begins to accept once it has a handler.
    pub(crate) fn new(endpoint: Endpoint, config: Config, timing: Timing, session_memory: u64, runtime: Handle) -> Self {
        Self(Arc::new(Inner {
            node: Mutex::new(Node::new(config)),
            sessions: Mutex::default(),
            links: Mutex::default(),
            handler: OnceLock::new(),
            endpoint,
            timing,
            session_memory,
            began: Instant::now(),
            next_session: AtomicU64::new(1),
            ended: AtomicBool::new(false),
            sooner: Notify::new(),
            runtime,
        }))
    }

    /// Names who handles what happens, and sets everything going.
    pub(crate) fn start(&self, handler: Weak<dyn Handler>) {
        if self.0.handler.set(handler).is_ok() {
            self.0.runtime.spawn(self.clone().keep_time());
            self.0.runtime.spawn(self.clone().accept());
        }
    }

    /// Whoever handles what happens; none when that is gone.
    pub(super) fn handler(&self) -> Option<Arc<dyn Handler>> {
        self.0.handler.get()?.upgrade()
    }

    /// Closes all connections at once, and opens none any more.
    pub(crate) fn end(&self) {
        self.0.endpoint.close();
        self.0.ended.store(true, Ordering::Relaxed);
        self.0.sooner.notify_one();
    }

    pub(crate) fn endpoint(&self) -> &Endpoint {
        &self.0.endpoint
    }

    pub(crate) fn timing(&self) -> Timing {
        self.0.timing
    }

    pub(crate) fn runtime(&self) -> &Handle {
        &self.0.runtime
    }

    /// Tells the node something, and hands out what it wants.
    pub(super) fn act<T>(&self, tell: impl FnOnce(&mut Node, Duration) -> T) -> T {
        let mut node = self.node();
        let result = tell(&mut node, self.0.began.elapsed());
        while let Some(action) = node.poll_action() {
            self.hand_out(action);
        }
        result
    }

    fn hand_out(&self, action: Action) {
        // A queue whose reader has gone is that of a session or a link that has ended.
        match action {
            Action::Greet(key, hello) => {
                self.0.sooner.notify_one();
                self.with(key, |session| session.greet(hello));
            }
            Action::Send(key, control) => self.with(key, |session| session.send(control)),
            Action::Close(key, why) => self.with(key, |session| session.close(why)),
            Action::Event(key, event) => {
                let over = matches!(event, Event::Down(_));
                if matches!(event, Event::Up(_)) {
                    self.0.sooner.notify_one();
                }
                self.with(key, |session| session.happened(event));
                if over {
                    self.sessions().remove(&key);
                }
            }
            Action::Link(key, command) => self.to_link(key, link::Input::Command(command)),
            Action::Dial { attempt, node, key, addresses } => {
                self.0.runtime.spawn(self.clone().dial_introduced(attempt, node, key, addresses));
            }
        }
    }

    fn with(&self, key: SessionKey, use_it: impl FnOnce(&Arc<Session>)) {
        if let Some(session) = self.sessions().get(&key) {
            use_it(session);
        }
    }

    /// Dials and waits until the session is up, or finds the one that there is.
    pub(crate) async fn connect(&self, address: &str) -> Result<Arc<Session>, ConnectError> {
        // A second try is for two nodes that dialled each other at once, of which each hung up.
        for _ in 0..2 {
            let connection = self.0.endpoint.dial(address, self.0.timing.dial).await?;
            let session = self.adopt(connection, true);
            match session.settled().await {
                State::Up => return Ok(session),
                State::Duplicate(other) => {
                    if let Some(other) = self.session(other).filter(|other| other.is_up()) {
                        return Ok(other);
                    }
                }
                State::Down(why) => return Err(ConnectError::Refused(why)),
                State::Greeting => {}
            }
        }
        Err(ConnectError::Refused(Goodbye::Duplicate))
    }

    async fn dial_introduced(self, attempt: u64, node: NodeId, key: Fingerprint, addresses: Vec<String>) {
        let mut found = None;
        for address in addresses {
            if let Ok(session) = self.connect(&address).await
                && session.fingerprint() == key
                && session.peer().is_some_and(|peer| peer.node == node)
            {
                found = Some(session.key());
                break;
            }
        }
        self.act(|state, _| state.handle_dialled(attempt, found));
    }

    /// Takes over a connection that both sides have authenticated.
    fn adopt(&self, connection: Connection, dialled: bool) -> Arc<Session> {
        let key = SessionKey(self.0.next_session.fetch_add(1, Ordering::Relaxed));
        let account = Account::new(self.0.session_memory);
        let (session, work) = Session::new(key, connection, dialled, account, &self.0.runtime);
        self.sessions().insert(key, Arc::clone(&session));
        self.act(|node, now| node.handle_connected(now, key, dialled, session.fingerprint()));
        work.start(self, &session);
        self.0.sooner.notify_one();
        session
    }

    async fn accept(self) {
        while let Some(connecting) = self.0.endpoint.accept().await {
            let hub = self.clone();
            self.0.runtime.spawn(async move {
                if let Some(connection) = connecting.authenticate().await {
                    hub.adopt(connection, false);
                }
            });
        }
    }

    async fn keep_time(self) {
        while !self.0.ended.load(Ordering::Relaxed) {
            let due = self.node().poll_timeout().map(|due| self.0.began + due);
            let sooner = self.0.sooner.notified();
            match due {
                None => sooner.await,
                Some(due) => tokio::select! {
                    () = tokio::time::sleep_until(due.into()) => self.act(|node, now| node.handle_time(now)),
                    () = sooner => {}
                },
            }
        }
    }

    /// The session of this key, if it is not over.
    pub(crate) fn session(&self, key: SessionKey) -> Option<Arc<Session>> {
        self.sessions().get(&key).cloned()
    }

    /// The sessions that are up.
    pub(crate) fn peers(&self) -> Vec<(Arc<Session>, Hello, usize)> {
        let node = self.node();
        let sessions = self.sessions();
        let peer = |(key, hello): (SessionKey, &Hello)| Some((Arc::clone(sessions.get(&key)?), hello.clone(), node.links_of(key)));
        node.peers().filter_map(peer).collect()
    }

    /// A session to this life of a node.
    pub(crate) fn session_to(&self, id: NodeId) -> Option<Arc<Session>> {
        let key = self.node().peers().filter(|(_, hello)| hello.node == id).map(|(key, _)| key).min()?;
        self.session(key)
    }

    /// Asks; `expect` hears of the request before any answer can come.
    pub(crate) fn ask(&self, session: SessionKey, ask: Ask, expect: impl FnOnce(RequestId)) -> bool {
        self.act(|node, _| match node.ask(session, ask) {
            Some(request) => {
                expect(request);
                true
            }
            None => false,
        })
    }

    /// Sends an end away: a link with a name of ours stands for it. If the session is over, so is the end.
    pub(crate) fn send_end(&self, session: SessionKey, end: Channel) -> Option<LinkId> {
        let opened = self.act(|node, _| node.open_link(session).map(|(key, id)| (key, id, self.add_link(key))));
        let Some((key, id, inputs)) = opened else {
            lose(end);
            return None;
        };
        self.run_link(key, Route { session, id }, end, inputs);
        Some(id)
    }

    /// Receives an end: `end` is joined to the link that the peer has named.
    ///
    /// # Errors
    /// The peer may not name it so. It has broken the protocol, and its session is over.
    pub(crate) fn take_end(&self, session: &Arc<Session>, id: LinkId, end: Channel) -> Result<(), ()> {
        let route = Route { session: session.key(), id };
        let accepted = self.act(|node, _| match node.accept_link(route.session, id) {
            Ok(key) => {
                let inputs = self.add_link(key);
                session.parked.take(id).into_iter().for_each(|input| self.to_link(key, input));
                Some((key, inputs))
            }
            Err(breach) => {
                node.handle_breach(route.session, breach.into());
                None
            }
        });
        let Some((key, inputs)) = accepted else {
            lose(end);
            return Err(());
        };
        self.run_link(key, route, end, inputs);
        Ok(())
    }

    /// A channel whose other end is joined to the link that the peer has named.
    ///
    /// # Errors
    /// As [`Self::take_end`].
    pub(crate) fn take_channel(&self, session: &Arc<Session>, id: LinkId) -> Result<Channel, ()> {
        let (here, there) = Channel::pair_on(LINK_BOUNDS, session.account()).unwrap_or_else(|_| Channel::pair(LINK_BOUNDS));
        self.take_end(session, id, there)?;
        Ok(here)
    }

    /// A way to tell a link. To be made while the node is locked that has named it: whatever it says of the link from then on, and
    /// each stream, finds it.
    fn add_link(&self, key: LinkKey) -> Inbox<link::Input> {
        let inputs = Inbox::default();
        self.links().insert(key, inputs.clone());
        inputs
    }

    fn run_link(&self, key: LinkKey, route: Route, end: Channel, inputs: Inbox<link::Input>) {
        let bridge = Bridge::new(end);
        let mate = bridge.meet(BridgeKey(key.0));
        let run = link::run(self.clone(), key, route, bridge, inputs);
        match self.session(route.session) {
            Some(session) => {
                session.tasks.spawn(run);
                session.allow_streams(self.node().links_of(route.session));
            }
            // It is over, and the link has been told.
            None => drop(self.0.runtime.spawn(run)),
        }
        if let Some(BridgeKey(mate)) = mate {
            self.act(|node, _| node.links_met(LinkKey(mate), key));
        }
    }

    fn to_link(&self, key: LinkKey, input: link::Input) {
        if let Some(link) = self.links().get(&key) {
            link.put(input);
        }
    }

    /// A stream of messages came, of all of a link's or of those after what was posted: to its link, or to wait for it.
    pub(super) fn stream(&self, session: &Arc<Session>, id: LinkId, rest: bool, stream: Incoming) {
        let route = Route { session: session.key(), id };
        self.act(|node, _| match node.link_at(route) {
            Some(key) => self.to_link(key, link::Input::Stream { route, rest, stream }),
            None if node.is_to_come(route) => session.parked.put(id, link::Input::Stream { route, rest, stream }),
            // Its link has ended.
            None => self.drain(route.session, stream),
        });
    }

    /// Something was posted: each piece to its link, or to wait for it.
    pub(super) fn posted(&self, session: &Arc<Session>, pieces: impl Iterator<Item = Posted>) {
        let mut late = Vec::new();
        self.act(|node, _| {
            let links = self.links();
            for Posted { link, piece } in pieces {
                let route = Route { session: session.key(), id: link };
                match (node.link_at(route).and_then(|key| links.get(&key)), piece) {
                    (Some(inbox), piece) => inbox.put(link::Input::Posted(route, piece)),
                    (None, piece) if node.is_to_come(route) => session.parked.put(link, link::Input::Posted(route, piece)),
                    // Its link has ended.
                    (None, Piece::Frame(frame)) => late.push(frame),
                    (None, Piece::Rest) => {}
                }
            }
        });
        drain::drop_posted(self, session, late);
    }

    /// Reads a stream of messages that nobody wants, for what is named in it.
    pub(super) fn drain(&self, session: SessionKey, stream: Incoming) {
        self.drain_rest(session, Unread::default(), stream);
    }

    /// Reads the rest of one.
    pub(super) fn drain_rest(&self, session: SessionKey, unread: Unread, stream: Incoming) {
        let Some(session) = self.session(session) else { return };
        let hub = self.clone();
        self.0.runtime.spawn(async move { drain::drain(&hub, &session, unread, stream).await });
    }

    pub(super) fn link_moved(&self, key: LinkKey, to: Route) {
        self.act(|node, _| node.link_moved(key, to));
    }

    pub(super) fn link_done(&self, key: LinkKey) {
        // Both at once for whoever has a stream for it.
        self.act(|node, _| {
            self.links().remove(&key);
            node.link_done(key);
        });
    }

    /// Sends a frame that needs no answer.
    pub(crate) fn tell(&self, session: SessionKey, control: Control) {
        self.act(|node, _| node.tell(session, control));
    }

    /// Answers what the peer asked; a place or a watch `stays`, and its end is told by [`Self::exited`].
    pub(crate) fn answer(&self, session: SessionKey, request: RequestId, answer: Answer, stays: bool) {
        self.act(|node, _| node.answer(session, request, answer, stays));
    }

    /// What a request of the peer's started or watches has ended.
    pub(crate) fn exited(&self, session: SessionKey, request: RequestId, reason: Exit, before: Before) {
        self.act(|node, _| node.exited(session, request, reason, before));
    }

    /// Ends a session.
    pub(crate) fn close(&self, session: SessionKey, why: Goodbye) {
        self.act(|node, _| node.close(session, why));
    }

    /// The peer broke the protocol.
    pub(crate) fn breach(&self, session: SessionKey, text: &str) {
        self.act(|node, _| node.handle_breach(session, text.into()));
    }

    /// Says goodbye to all, once what was handed over has arrived, and waits a little until they have heard it.
    pub(crate) async fn shut_down(&self, why: Goodbye) {
        let sessions: Vec<_> = self.sessions().values().cloned().collect();
        let leaving = watch::Sender::new(());
        self.links().values().for_each(|link| link.put(link::Input::Leave(leaving.subscribe())));
        let sent = async {
            leaving.closed().await;
            for session in &sessions {
                session.outbox.end();
                session.sent().await;
            }
        };
        // Who does not read what is sent to it, or does not answer, cannot keep us.
        let _ = tokio::time::timeout(LAST_WORDS, sent).await;
        self.act(|node, _| sessions.iter().for_each(|session| node.close(session.key(), why.clone())));
        let all = async {
            for session in &sessions {
                session.closed().await;
            }
            self.0.endpoint.idle().await;
        };
        // Who does not answer will notice the silence.
        let _ = tokio::time::timeout(2 * LAST_WORDS, all).await;
    }

    fn node(&self) -> MutexGuard<'_, Node> {
        self.0.node.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn sessions(&self) -> MutexGuard<'_, HashMap<SessionKey, Arc<Session>>> {
        self.0.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn links(&self) -> MutexGuard<'_, HashMap<LinkKey, Inbox<link::Input>>> {
        self.0.links.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An end whose session is over before it got there.
fn lose(end: Channel) {
    let bridge = Bridge::new(end);
    bridge.refuse(Ending::NodeLost);
    bridge.end(Ending::NodeLost);
}
