//! One node's part of all its sessions.
//!
//! A session begins with a [`Hello`] each way; who dialled speaks first. Who dialled then either keeps it and says so by a ping at once,
//! or hangs up because there is another. Only then is it up on the other side, so no session that anybody uses is hung up for
//! another. Where both have dialled at once, the call of the smaller id stays, and the other waits until that is certain.
//!
//! Each side sends a ping four times in the time-out, and takes the other for lost when no answer has come for as long. When a session is lost, so is what went by it: requests without an
//! answer, watches, links. Nothing is resumed: a node that comes back is told from one that stayed by its id.
//!
//! A peer that breaks the protocol ends its session, never the node.
//!
//! **Introductions.** Where a node finds that it only forwards between two links, it brings their other sides together:
//!
//! ```text
//!   A                    B, the introducer             C
//!   |                    | -- Expect ----------------> |      C: a link will be asked for, by A
//!   |                    | <- Expecting -------------- |
//!   | <- Meet ---------- |                             |      A: its other end is at C
//!   | -- Attach, on the session between A and C -----> |
//!   | <- Attached ------------------------------------ |      both: Moved on the old way, then on by the new one
//! ```
//!
//! If A cannot reach C it is tried once the other way round, and if that fails too, B goes on forwarding, and tries again later, ever
//! more rarely. A link takes part in one introduction at a time; of two that meet, that of the smaller node id goes first. Two ends on
//! one node go on by way of B: there is no session of a node with itself that they could move to.

mod introduction;
mod session;
#[cfg(test)]
mod tests;

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use crate::frame::{Answer, Ask, Before, Control, End, Exit, Goodbye, Hello, VERSIONS};
use crate::id::{Digest, Fingerprint, LinkId, NodeId, RequestId};
use crate::link::{Command, LinkKey, Route, SessionKey};
use introduction::Introductions;
use session::Session;

/// The most links a session may have.
pub const MAX_LINKS: usize = 1 << 17;
/// The most requests of a peer that wait for an answer, or whose place or watch goes on.
pub const MAX_REQUESTS: usize = 1 << 16;

/// The newest version that both speak.
pub fn common(theirs: (u16, u16)) -> Option<u16> {
    let newest = theirs.1.min(VERSIONS.1);
    (newest >= theirs.0.max(VERSIONS.0)).then_some(newest)
}

/// Who a node is.
#[derive(Clone, Debug)]
pub struct Config {
    /// This life of it.
    pub id: NodeId,
    /// What its owner calls it.
    pub name: String,
    /// Its release, for people.
    pub release: String,
    /// Where others can reach it.
    pub addresses: Vec<String>,
    /// How long a peer may be silent.
    pub timeout: Duration,
}

/// What the owner of a node is to do, in this order.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// Send the greeting on the control stream of this session.
    Greet(SessionKey, Hello),
    /// Send this on the control stream of this session.
    Send(SessionKey, Control),
    /// Close this session's connection, once what was sent before has gone out.
    Close(SessionKey, Goodbye),
    /// Something happened.
    Event(SessionKey, Event),
    /// Tell this link.
    Link(LinkKey, Command),
    /// Dial this node by one of these addresses, and say what came of it by [`Node::handle_dialled`].
    Dial {
        /// Names the attempt.
        attempt: u64,
        /// The node.
        node: NodeId,
        /// The key that it has to prove.
        key: Fingerprint,
        /// Where it may be.
        addresses: Vec<String>,
    },
}

/// What happened on a session.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// It is up.
    Up(Hello),
    /// It was not needed: this session is to the same node.
    Duplicate(SessionKey),
    /// It is lost, or was closed. Requests without an answer get none.
    Down(Goodbye),
    /// The peer asks.
    Asked(RequestId, Ask),
    /// The peer answers.
    Answered(RequestId, Answer),
    /// The peer wants a module.
    Wanted(Digest),
    /// The peer cannot ship a module that was wanted.
    NotShipped(Digest, String),
    /// What these requests of ours started or watch has ended, once what is to come before has come.
    Exited {
        /// The requests.
        requests: Vec<RequestId>,
        /// How, all of it.
        reason: Exit,
        /// What that is.
        before: Before,
    },
    /// The peer ends the places that these requests of its started; with the reason, where that is a link to a place that went wrong.
    Kill(Vec<RequestId>, Option<String>),
    /// The peer no longer watches.
    Unwatch(RequestId),
    /// The peer has a newer list of revoked certificates.
    Revoked(Vec<u8>),
}

/// One node's part of all its sessions.
#[derive(Debug)]
pub struct Node {
    config: Config,
    sessions: HashMap<SessionKey, Session>,
    links: HashMap<LinkKey, Entry>,
    next_link: u64,
    introductions: Introductions,
    actions: VecDeque<Action>,
    /// The latest time it was told.
    now: Duration,
}

/// What the node knows of a link.
#[derive(Debug)]
struct Entry {
    route: Route,
    /// Where it is about to go.
    next: Option<Route>,
    /// The link on the same channel's other end, where this node only forwards.
    mate: Option<LinkKey>,
    /// Whether an introduction is going on.
    busy: bool,
}

impl Node {
    /// A node without sessions.
    pub fn new(config: Config) -> Self {
        Self {
            config,
            sessions: HashMap::new(),
            links: HashMap::new(),
            next_link: 0,
            introductions: Introductions::default(),
            actions: VecDeque::new(),
            now: Duration::ZERO,
        }
    }

    /// What is to be done next.
    pub fn poll_action(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }

    /// When [`Self::handle_time`] wants to be called.
    pub fn poll_timeout(&self) -> Option<Duration> {
        self.sessions.values().map(Session::timeout).chain(self.introductions.timeout()).min()
    }

    /// Who it is.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// The sessions that are up, and who is there.
    pub fn peers(&self) -> impl Iterator<Item = (SessionKey, &Hello)> {
        self.sessions.iter().filter_map(|(key, session)| session.peer().map(|hello| (*key, hello)))
    }

    /// Whether there is nothing left of any session, link or introduction.
    pub fn is_idle(&self) -> bool {
        self.sessions.is_empty() && self.links.is_empty() && self.introductions.is_empty()
    }

    /// How many links go by this session.
    pub fn links_of(&self, session: SessionKey) -> usize {
        self.sessions.get(&session).map_or(0, |session| session.links.len())
    }

    fn hello(&self) -> Hello {
        let Config { id, name, release, addresses, .. } = &self.config;
        Hello { versions: VERSIONS, release: release.clone(), node: *id, name: name.clone(), addresses: addresses.clone() }
    }

    /// A connection is there; `key` is what the peer proved to have.
    pub fn handle_connected(&mut self, now: Duration, session: SessionKey, dialled: bool, key: Fingerprint) {
        self.sessions.insert(session, Session::new(now, dialled, key, self.config.timeout));
        if dialled {
            self.actions.push_back(Action::Greet(session, self.hello()));
        }
    }

    /// The peer greets.
    pub fn handle_hello(&mut self, now: Duration, key: SessionKey, hello: Hello) {
        let Some(session) = self.sessions.get(&key) else { return };
        if session.greeting().is_some() {
            return self.refuse(key, Goodbye::Protocol("a second greeting".into()));
        }
        let (dialled, fingerprint) = (session.dialled, session.key);
        if common(hello.versions).is_none() {
            let text = format!(
                "this node speaks versions {} to {} of the protocol (placehost {}), the other {} to {} (placehost {})",
                VERSIONS.0, VERSIONS.1, self.config.release, hello.versions.0, hello.versions.1, hello.release
            );
            // Each greets even then, so that both can say why.
            if !dialled {
                self.actions.push_back(Action::Greet(key, self.hello()));
            }
            return self.refuse(key, Goodbye::Version(text));
        }
        if hello.node == self.config.id {
            return self.refuse(key, Goodbye::Itself);
        }
        if self.calls(hello.node).iter().any(|(_, other)| other.key != fingerprint) {
            return self.refuse(key, Goodbye::Untrusted("a node with this id is connected by another key".into()));
        }
        let node = hello.node;
        if let Some(session) = self.sessions.get_mut(&key) {
            session.greeted(now, hello);
        }
        match dialled {
            true => self.decide(node),
            false => self.actions.push_back(Action::Greet(key, self.hello())),
        }
    }

    /// All sessions with this node that it has greeted on, oldest first.
    fn calls(&self, node: NodeId) -> Vec<(SessionKey, &Session)> {
        let greeted = |session: &Session| session.greeting().is_some_and(|peer| peer.node == node);
        let mut calls: Vec<_> =
            self.sessions.iter().filter(|(_, session)| greeted(session)).map(|(key, session)| (*key, session)).collect();
        calls.sort_unstable_by_key(|(key, _)| *key);
        calls
    }

    /// Keeps what this side has dialled, or hangs up.
    fn decide(&mut self, node: NodeId) {
        while let Some((key, up, theirs)) = self.undecided(node) {
            match up {
                Some(other) => {
                    self.actions.push_back(Action::Event(key, Event::Duplicate(other)));
                    self.refuse(key, Goodbye::Duplicate);
                }
                // The peer keeps its call, unless it finds another. That is heard on it.
                None if theirs && self.config.id > node => return,
                None => {
                    let Some(session) = self.sessions.get_mut(&key) else { return };
                    session.begin();
                    let ping = session.ping();
                    self.actions.push_back(Action::Send(key, ping));
                    self.is_up(key);
                }
            }
        }
    }

    /// The oldest call of ours to this node that may not be needed; which session is up, if any; whether the peer has called too.
    fn undecided(&self, node: NodeId) -> Option<(SessionKey, Option<SessionKey>, bool)> {
        let calls = self.calls(node);
        let (key, _) = calls.iter().find(|(_, call)| call.is_undecided())?;
        let up = calls.iter().find(|(_, call)| call.peer().is_some()).map(|(key, _)| *key);
        Some((*key, up, calls.iter().any(|(_, call)| !call.dialled)))
    }

    fn is_up(&mut self, key: SessionKey) {
        if let Some(hello) = self.sessions.get(&key).and_then(Session::peer).cloned() {
            self.actions.push_back(Action::Event(key, Event::Up(hello)));
        }
    }

    /// A frame came on the control stream.
    pub fn handle_control(&mut self, now: Duration, key: SessionKey, control: Control) {
        self.now = now;
        let Some(session) = self.sessions.get_mut(&key) else { return };
        // A peer may say why it does not even greet.
        if let Control::Goodbye(why) = control {
            return self.handle_lost(key, why);
        }
        if session.peer().is_none() {
            let Some(node) = session.greeting().map(|hello| hello.node).filter(|_| !session.dialled) else {
                return self.refuse(key, Goodbye::Protocol("no greeting".into()));
            };
            session.kept(now);
            self.is_up(key);
            self.decide(node);
        }
        if let Err(text) = self.control(now, key, control) {
            self.refuse(key, Goodbye::Protocol(text.into()));
        }
    }

    fn control(&mut self, now: Duration, key: SessionKey, control: Control) -> Result<(), &'static str> {
        let Some(session) = self.sessions.get_mut(&key) else { return Ok(()) };
        let event = match control {
            Control::Ask(request, ask) => {
                session.asked(request)?;
                Event::Asked(request, ask)
            }
            Control::Answer(request, answer) => {
                session.answered(request, &answer)?;
                Event::Answered(request, answer)
            }
            Control::Exited { requests, reason, before } => {
                requests.iter().try_for_each(|request| session.exited(*request))?;
                Event::Exited { requests, reason, before }
            }
            Control::Kill(requests, linked) => Event::Kill(requests, linked),
            Control::Unwatch(request) => {
                // What ends later is told nevertheless, as it may have been told already; but it counts no more.
                session.served(request);
                Event::Unwatch(request)
            }
            Control::Want(digest) => Event::Wanted(digest),
            Control::CannotShip(digest, why) => Event::NotShipped(digest, why),
            Control::Revoked(list) => Event::Revoked(list),
            Control::Finish(id, end) => return self.tell_link(key, id, |route| Command::Finish(route, end)),
            Control::Gone(id, end) => return self.tell_link(key, id, |route| Command::Gone(route, end)),
            Control::Credit(id, bytes) => return self.tell_link(key, id, |route| Command::Credit(route, bytes)),
            Control::Introduce(introduce) => return self.introduced(key, introduce),
            Control::Ping(number) => {
                self.actions.push_back(Action::Send(key, Control::Pong(number)));
                return Ok(());
            }
            Control::Pong(number) => {
                session.pong(now, number);
                return Ok(());
            }
            Control::Goodbye(_) => return Ok(()),
        };
        self.actions.push_back(Action::Event(key, event));
        Ok(())
    }

    /// A link that is not there any more may still be spoken of: it ended while that was under way. One that is not there yet is
    /// told when it is.
    fn tell_link(&mut self, key: SessionKey, id: LinkId, command: impl FnOnce(Route) -> Command) -> Result<(), &'static str> {
        let Some(session) = self.sessions.get_mut(&key) else { return Ok(()) };
        let command = command(Route { session: key, id });
        match session.links.get(&id) {
            Some(link) => self.actions.push_back(Action::Link(*link, command)),
            None if session.is_to_come(id) => session.came_early(id, command),
            None => {}
        }
        Ok(())
    }

    /// The peer broke the protocol, in a way that only the owner of this node can see.
    pub fn handle_breach(&mut self, session: SessionKey, text: String) {
        self.refuse(session, Goodbye::Protocol(text));
    }

    /// Closes a session.
    pub fn close(&mut self, session: SessionKey, why: Goodbye) {
        self.refuse(session, why);
    }

    /// A connection is gone.
    pub fn handle_lost(&mut self, key: SessionKey, why: Goodbye) {
        let Some(session) = self.sessions.remove(&key) else { return };
        let node = session.greeting().map(|hello| hello.node);
        let mut lost: Vec<LinkKey> = session.links.into_values().collect();
        // In the order they were made: what happens must follow from the seed alone.
        lost.sort_unstable();
        for link in lost {
            self.actions.push_back(Action::Link(link, Command::Lost(key)));
            self.route_lost(link, key);
        }
        self.introducer_lost(key);
        self.actions.push_back(Action::Event(key, Event::Down(why)));
        // A call of ours may have waited for that one.
        node.into_iter().for_each(|node| self.decide(node));
    }

    fn refuse(&mut self, session: SessionKey, why: Goodbye) {
        if self.sessions.contains_key(&session) {
            self.actions.push_back(Action::Close(session, why.clone()));
            self.handle_lost(session, why);
        }
    }

    /// Time has passed.
    pub fn handle_time(&mut self, now: Duration) {
        self.now = now;
        let mut due: Vec<_> = self.sessions.iter().filter(|(_, session)| session.timeout() <= now).map(|(key, _)| *key).collect();
        due.sort_unstable();
        for key in due {
            let Some(session) = self.sessions.get_mut(&key) else { continue };
            match session.tick(now) {
                Some(ping) => self.actions.push_back(Action::Send(key, ping)),
                None => self.refuse(key, Goodbye::Silent),
            }
        }
        self.introduce_due();
    }

    /// Asks; the answer comes as [`Event::Answered`], unless the session ends before.
    pub fn ask(&mut self, key: SessionKey, ask: Ask) -> Option<RequestId> {
        let request = self.sessions.get_mut(&key)?.ask(&ask);
        self.actions.push_back(Action::Send(key, Control::Ask(request, ask)));
        Some(request)
    }

    /// Answers what the peer asked. A place that was started, or a watch, stays until [`Self::exited`].
    pub fn answer(&mut self, key: SessionKey, request: RequestId, answer: Answer, stays: bool) {
        let Some(session) = self.sessions.get_mut(&key) else { return };
        if !stays && !matches!(answer, Answer::Listing { last: false, .. }) {
            session.served(request);
        }
        self.actions.push_back(Action::Send(key, Control::Answer(request, answer)));
    }

    /// What a peer's request started or watches has ended.
    pub fn exited(&mut self, key: SessionKey, request: RequestId, reason: Exit, before: Before) {
        let Some(session) = self.sessions.get_mut(&key) else { return };
        session.served(request);
        self.actions.push_back(Action::Send(key, Control::Exited { requests: vec![request], reason, before }));
    }

    /// Sends a frame that needs no answer.
    pub fn tell(&mut self, key: SessionKey, control: Control) {
        if self.sessions.contains_key(&key) {
            self.actions.push_back(Action::Send(key, control));
        }
    }

    /// A new link by this session, named by this side.
    pub fn open_link(&mut self, key: SessionKey) -> Option<(LinkKey, LinkId)> {
        let id = self.sessions.get_mut(&key)?.new_link()?;
        Some((self.add_link(Route { session: key, id }), id))
    }

    /// A new link by this session, named by the peer. Each that it names has to be accepted, also where the message that names it is
    /// dropped or the request refused, if only to be ended at once: the peer would wait for ever.
    ///
    /// # Errors
    /// The peer may not name it so, or has too many: a breach.
    pub fn accept_link(&mut self, key: SessionKey, id: LinkId) -> Result<LinkKey, &'static str> {
        let Some(session) = self.sessions.get_mut(&key) else { return Err("the session has ended") };
        session.take_link(id)?;
        let route = Route { session: key, id };
        let early = session.early(route);
        let link = self.add_link(route);
        self.actions.extend(early.map(|command| Action::Link(link, command)));
        self.link_came(route);
        Ok(link)
    }

    fn add_link(&mut self, route: Route) -> LinkKey {
        self.next_link += 1;
        let key = LinkKey(self.next_link);
        self.links.insert(key, Entry { route, next: None, mate: None, busy: false });
        self.name_link(route, key);
        key
    }

    fn name_link(&mut self, route: Route, key: LinkKey) {
        if let Some(session) = self.sessions.get_mut(&route.session) {
            session.links.insert(route.id, key);
        }
    }

    fn unname_link(&mut self, route: Route) {
        if let Some(session) = self.sessions.get_mut(&route.session) {
            session.links.remove(&route.id);
        }
    }

    /// Which link a stream belongs to; none if it is not known yet, or no longer.
    pub fn link_at(&self, route: Route) -> Option<LinkKey> {
        self.sessions.get(&route.session)?.links.get(&route.id).copied()
    }

    /// Whether the peer could still name a link so: a stream of one that has been must not wait for it.
    pub fn is_to_come(&self, route: Route) -> bool {
        self.sessions.get(&route.session).is_some_and(|session| session.is_to_come(route.id))
    }

    /// A link has moved to its new route.
    pub fn link_moved(&mut self, key: LinkKey, to: Route) {
        let Some(entry) = self.links.get_mut(&key) else { return };
        let old = entry.route;
        entry.route = to;
        entry.next = None;
        entry.busy = false;
        if old != to {
            self.unname_link(old);
        }
        self.link_came(to);
        self.link_is_elsewhere(key);
    }

    /// A link has ended.
    pub fn link_done(&mut self, key: LinkKey) {
        let Some(Entry { route, next, mate, .. }) = self.links.remove(&key) else { return };
        self.unname_link(route);
        if let Some(next) = next {
            self.unname_link(next);
            self.route_gone(next);
            // The link may have ended before it heard of this route, and the other side would wait for it there.
            self.tell(next.session, Control::Gone(next.id, End::Closed));
            self.tell(next.session, Control::Finish(next.id, End::Closed));
        }
        if let Some(mate) = mate.and_then(|mate| self.links.get_mut(&mate)) {
            mate.mate = None;
        }
        self.link_gone(key);
    }
}
