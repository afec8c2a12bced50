//! A node of the network, and the host around it as far as the protocol needs one: sessions, streams, requests.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt;
use std::time::Duration;

use placehost_proto::codec::{self, ControlFrame, Decoder};
use placehost_proto::frame::{Answer, Ask, Before, Exit, Goodbye, Head, Refusal};
use placehost_proto::node::{Action, Config, Event};
use placehost_proto::{Control, Fingerprint, LinkId, LinkKey, Node, NodeId, PlaceId, RequestId, Route, SessionKey};

use crate::bridge::Bridge;
use crate::ledger::{Ledger, Name};
use crate::mailbox::{Channel, Held};
use crate::wire::{CONTROL, Life, What, Wire};

/// How long a peer may be silent, in microseconds.
pub(crate) const TIMEOUT: u64 = 1_000_000;

/// What all nodes share: the network, and the book of promises.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) wire: Wire,
    pub(crate) ledger: Ledger,
    pub(crate) mode: Mode,
    /// Whether some messages are heavy, so that credit runs out.
    pub(crate) heavy: bool,
}

/// What programs do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    Busy,
    /// They only read, and answer what was asked.
    Draining,
    /// They drop everything.
    Ending,
}

/// A stream of messages that comes in.
#[derive(Debug, Default)]
pub(crate) struct Inbound {
    pub(crate) link: Option<LinkId>,
    pub(crate) decoder: Decoder,
    /// What has not been read of it.
    pub(crate) bytes: Vec<u8>,
}

/// A session, as the host sees it.
#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) connection: usize,
    pub(crate) side: usize,
    pub(crate) peer: Option<NodeId>,
    wanted: Option<u64>,
    control: Decoder,
    pub(crate) streams: BTreeMap<u64, Inbound>,
    /// Until when it has to be given up.
    pub(crate) due: Option<u64>,
}

/// What was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Asked {
    Lookup,
    Spawn,
    Watch,
}

/// A place that a request started here.
#[derive(Debug)]
pub(crate) struct Place {
    pub(crate) id: PlaceId,
    pub(crate) told: Vec<(SessionKey, RequestId)>,
    starter: SessionKey,
}

/// A node, and who runs it.
#[derive(Debug)]
pub(crate) struct Host {
    pub(crate) at: Life,
    pub(crate) node: Node,
    pub(crate) sessions: BTreeMap<SessionKey, Session>,
    pub(crate) links: BTreeMap<LinkKey, Bridge>,
    pub(crate) channels: BTreeMap<usize, Channel>,
    pub(crate) held: Vec<Held>,
    /// Requests without an answer, and those whose place goes on.
    pub(crate) waiting: BTreeMap<(SessionKey, RequestId), Asked>,
    pub(crate) standing: BTreeSet<(SessionKey, RequestId)>,
    /// Requests of others that wait to be answered.
    pub(crate) asked: VecDeque<(SessionKey, RequestId, Ask)>,
    pub(crate) places: Vec<Place>,
    next_place: u64,
    next_session: u64,
    next_channel: usize,
    wakes: Option<u64>,
    pub(crate) acts: bool,
}

/// The key that the node at this place of the network proves to have, in each of its lives.
pub(crate) fn key_of(slot: usize) -> Fingerprint {
    Fingerprint([slot as u8; 32])
}

impl Host {
    pub(crate) fn new(at: Life, world: &mut World, listens: bool) -> Self {
        let id = NodeId(u128::from(world.wire.rng.next()) << 64 | u128::from(at.life) << 8 | at.slot as u128);
        let addresses = if listens { vec![at.slot.to_string()] } else { Vec::new() };
        let name = format!("n{}", at.slot);
        let config = Config { id, name, release: "0.1.0".into(), addresses, timeout: Duration::from_micros(TIMEOUT) };
        Self {
            at,
            node: Node::new(config),
            sessions: BTreeMap::new(),
            links: BTreeMap::new(),
            channels: BTreeMap::new(),
            held: Vec::new(),
            waiting: BTreeMap::new(),
            standing: BTreeSet::new(),
            asked: VecDeque::new(),
            places: Vec::new(),
            next_place: 0,
            next_session: 0,
            next_channel: 0,
            wakes: None,
            acts: false,
        }
    }

    pub(crate) fn handle(&mut self, world: &mut World, what: What) {
        match what {
            What::Connected { connection, side, wanted } => self.connected(world, connection, side, wanted),
            What::NotDialled(wanted) => self.node.handle_dialled(wanted, None),
            What::Arrives { connection, side, stream, bytes } => self.arrives(world, connection, side, stream, &bytes),
            What::Breaks { connection, side } => {
                if let Some(key) = self.session_on(connection, side) {
                    self.node.handle_lost(key, Goodbye::Silent);
                }
            }
            What::Wakes(at) => {
                if self.wakes == Some(at) {
                    self.wakes = None;
                    self.node.handle_time(now(world));
                }
            }
            What::Serves(link) => self.serve(world, link),
            What::Acts => self.program_acts(world),
        }
        self.obey(world);
        let due = self.node.poll_timeout().map(|due| due.as_micros() as u64);
        if let Some(due) = due.filter(|&due| self.wakes.is_none_or(|wakes| due < wakes)) {
            self.wakes = Some(due);
            world.wire.at(due, self.at, What::Wakes(due));
        }
    }

    fn session_on(&self, connection: usize, side: usize) -> Option<SessionKey> {
        self.sessions.iter().find(|(_, session)| session.connection == connection && session.side == side).map(|(key, _)| *key)
    }

    fn connected(&mut self, world: &mut World, connection: usize, side: usize, wanted: Option<u64>) {
        if !world.wire.hears(connection, side) {
            if let Some(wanted) = wanted {
                self.node.handle_dialled(wanted, None);
            }
            return;
        }
        self.next_session += 1;
        let key = SessionKey(self.next_session);
        let other = world.wire.connections[connection].sides[1 - side];
        let session = Session { connection, side, peer: None, wanted, control: Decoder::default(), streams: BTreeMap::new(), due: None };
        self.sessions.insert(key, session);
        self.node.handle_connected(now(world), key, side == 0, key_of(other.slot));
    }

    fn arrives(&mut self, world: &mut World, connection: usize, side: usize, stream: u64, mut bytes: &[u8]) {
        if !world.wire.hears(connection, side) {
            return;
        }
        let Some(key) = self.session_on(connection, side) else { return };
        if stream == CONTROL {
            while let Some(session) = self.sessions.get_mut(&key) {
                match session.control.next(&mut bytes).expect("a frame") {
                    Some(ControlFrame::Hello(hello)) => self.node.handle_hello(now(world), key, hello),
                    Some(ControlFrame::Control(control)) => self.node.handle_control(now(world), key, control),
                    None => break,
                }
                self.obey(world);
            }
            return;
        }
        let Some(session) = self.sessions.get_mut(&key) else { return };
        let inbound = session.streams.entry(stream).or_default();
        if inbound.link.is_none() {
            let Some(head) = inbound.decoder.next(&mut bytes).expect("a head") else { return };
            let Head::Link(link) = head else { panic!("no other streams are opened here") };
            inbound.link = Some(link);
            inbound.decoder = Decoder::default();
        }
        inbound.bytes.extend_from_slice(bytes);
        let link = inbound.link;
        link.into_iter().for_each(|id| self.stream_came(world, Route { session: key, id }));
    }

    /// Does what the node wants.
    pub(crate) fn obey(&mut self, world: &mut World) {
        while let Some(action) = self.node.poll_action() {
            self.say(world, format_args!("{action:?}"));
            match action {
                Action::Greet(key, hello) => {
                    let mut bytes = Vec::new();
                    codec::put_hello(&mut bytes, &hello);
                    self.send(world, key, CONTROL, &bytes);
                }
                Action::Send(key, control) => self.send_control(world, key, &control),
                Action::Close(key, why) => {
                    world.ledger.lossy |= !matches!(why, Goodbye::Duplicate | Goodbye::Done);
                    assert!(!matches!(why, Goodbye::Protocol(_)), "nobody breaks the protocol here: {why}");
                    self.send_control(world, key, &Control::Goodbye(why));
                    if let Some(session) = self.sessions.get(&key) {
                        world.wire.hang_up(session.connection, session.side);
                    }
                }
                Action::Event(key, event) => self.happened(world, key, event),
                Action::Link(key, command) => {
                    if let Some(bridge) = self.links.get_mut(&key) {
                        bridge.commands.push_back(command);
                        self.serve_soon(world, key);
                    }
                }
                Action::Dial { attempt, addresses, .. } => {
                    let slot = addresses.first().and_then(|address| address.parse().ok()).expect("an address");
                    world.wire.dial(self.at, slot, Some(attempt));
                }
            }
        }
    }

    fn happened(&mut self, world: &mut World, key: SessionKey, event: Event) {
        match event {
            Event::Up(hello) => {
                let Some(session) = self.sessions.get_mut(&key) else { return };
                session.peer = Some(hello.node);
                if let Some(wanted) = session.wanted.take() {
                    self.node.handle_dialled(wanted, Some(key));
                }
            }
            Event::Duplicate(other) => {
                assert!(self.sessions.get(&other).is_some_and(|other| other.peer.is_some()), "the other session is up");
                if let Some(wanted) = self.sessions.get_mut(&key).and_then(|session| session.wanted.take()) {
                    self.node.handle_dialled(wanted, Some(other));
                }
            }
            Event::Down(why) => self.down(world, key, &why),
            Event::Asked(request, ask) => {
                self.asked.push_back((key, request, ask));
                self.act_soon(world);
            }
            Event::Answered(request, answer) => {
                world.ledger.progress += 1;
                let asked = self.waiting.remove(&(key, request)).expect("it was asked");
                match (asked, answer) {
                    (Asked::Spawn | Asked::Watch, Answer::Started { .. }) => drop(self.standing.insert((key, request))),
                    (Asked::Lookup, Answer::Done) | (_, Answer::Refused(_)) => {}
                    (asked, answer) => panic!("{asked:?} was answered with {answer:?}"),
                }
            }
            Event::Exited { requests, .. } => {
                for request in requests {
                    world.ledger.progress += 1;
                    assert!(self.standing.remove(&(key, request)), "something ended that was not there");
                }
            }
            Event::Kill(requests, _) => {
                let killed = |told: &(SessionKey, RequestId)| told.0 == key && requests.contains(&told.1);
                self.end_places(|place| place.starter == key && place.told.first().is_some_and(killed));
            }
            event => panic!("{event:?}"),
        }
    }

    fn down(&mut self, world: &mut World, key: SessionKey, why: &Goodbye) {
        let Some(session) = self.sessions.remove(&key) else { return };
        world.ledger.progress += 1;
        if session.peer.is_some() {
            assert!(!matches!(why, Goodbye::Duplicate), "a session that was in use was taken for a duplicate");
        }
        world.wire.hang_up(session.connection, session.side);
        if let Some(wanted) = session.wanted {
            self.node.handle_dialled(wanted, None);
        }
        self.waiting.retain(|(session, _), _| *session != key);
        self.standing.retain(|(session, _)| *session != key);
        self.asked.retain(|(session, ..)| *session != key);
        self.end_places(|place| place.starter == key);
    }

    pub(crate) fn end_places(&mut self, which: impl Fn(&Place) -> bool) {
        let (ended, left) = std::mem::take(&mut self.places).into_iter().partition(which);
        self.places = left;
        let ended: Vec<Place> = ended;
        for (session, request) in ended.into_iter().flat_map(|place| place.told) {
            self.node.exited(session, request, Exit::Returned, Before::default());
        }
    }

    /// Answers what was asked longest ago.
    pub(crate) fn answer_one(&mut self, world: &mut World) {
        let Some((session, request, ask)) = self.asked.pop_front() else { return };
        let refused = Answer::Refused(Refusal::NotFound(String::new()));
        let (answer, stays) = match ask {
            Ask::Lookup { name, link } => {
                self.take_named(world, Route { session, id: link }, &name);
                (Answer::Done, false)
            }
            Ask::Spawn(spawn) if world.wire.rng.chance(20) => {
                // Accepted even so: who asked is told by its link.
                let channel = self.accept(world, Route { session, id: spawn.link });
                self.drop_end(world, channel, 1);
                (refused, false)
            }
            Ask::Spawn(spawn) => {
                self.take_named(world, Route { session, id: spawn.link }, &spawn.start);
                self.next_place += 1;
                let id = PlaceId { node: self.node.config().id, seq: self.next_place };
                world.ledger.places.push(id);
                self.places.push(Place { id, told: vec![(session, request)], starter: session });
                (Answer::Started { place: id, spare: None }, true)
            }
            Ask::Watch(id) => match self.places.iter_mut().find(|place| place.id == id) {
                Some(place) => {
                    place.told.push((session, request));
                    (Answer::Started { place: id, spare: None }, true)
                }
                None => (refused, false),
            },
            ask => panic!("{ask:?}"),
        };
        self.node.answer(session, request, answer, stays);
    }

    fn take_named(&mut self, world: &mut World, route: Route, name: &str) {
        let name = Name { channel: name.parse().expect("a number"), side: 1 };
        let channel = self.accept(world, route);
        self.held.push(Held::new(name, channel, 1, true));
    }

    pub(crate) fn new_channel(&mut self, channel: Channel) -> usize {
        self.next_channel += 1;
        self.channels.insert(self.next_channel, channel);
        self.next_channel
    }

    pub(crate) fn act_soon(&mut self, world: &mut World) {
        if !self.acts {
            self.acts = true;
            let within = world.wire.slowest;
            world.wire.soon(within, self.at, What::Acts);
        }
    }

    pub(crate) fn send(&self, world: &mut World, key: SessionKey, stream: u64, bytes: &[u8]) {
        if let Some(session) = self.sessions.get(&key) {
            world.wire.send(session.connection, session.side, stream, bytes);
        }
    }

    fn send_control(&self, world: &mut World, key: SessionKey, control: &Control) {
        let mut bytes = Vec::new();
        codec::put_control(&mut bytes, control);
        self.send(world, key, CONTROL, &bytes);
    }

    /// Says what happens, where a seed is run alone.
    #[expect(clippy::print_stderr, reason = "the test's harness keeps it unless the test fails")]
    pub(crate) fn say(&self, world: &World, what: fmt::Arguments<'_>) {
        if world.ledger.speaks {
            eprintln!("{:>9} {}.{} {what}", world.wire.now, self.at.slot, self.at.life);
        }
    }

    /// The sessions that are up.
    pub(crate) fn up(&self) -> Vec<SessionKey> {
        self.sessions.iter().filter(|(_, session)| session.peer.is_some()).map(|(key, _)| *key).collect()
    }
}

pub(crate) fn now(world: &World) -> Duration {
    Duration::from_micros(world.wire.now)
}
