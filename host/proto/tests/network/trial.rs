//! One seed: some nodes, what befalls them, and what must be so at the end.

use std::collections::BTreeSet;

use placehost_proto::frame::Goodbye;
use placehost_proto::{NodeId, SessionKey};

use crate::host::{Host, Mode, TIMEOUT, World};
use crate::ledger::{Ledger, Name};
use crate::mailbox::Holder;
use crate::rng::Rng;
use crate::wire::{Entry, Life, What, Wire};

/// What may go wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Faults {
    None,
    /// Nothing is lost, but not everybody can be dialled.
    Deaf,
    All,
}

/// One run.
pub(crate) struct Trial {
    world: World,
    faults: Faults,
    hosts: Vec<Option<Host>>,
    /// Nodes that do nothing until then, and what happened to them meanwhile.
    frozen: Vec<Option<(u64, Vec<What>)>>,
    lives: u64,
}

impl Trial {
    pub(crate) fn new(seed: u64, faults: Faults, speaks: bool) -> Self {
        let mut rng = Rng::new(seed);
        let nodes = 2 + rng.index(4);
        let slowest = rng.pick(&[200, 3_000, 20_000]);
        let heavy = rng.chance(10);
        let mut world = World { wire: Wire::new(rng, slowest), ledger: Ledger::default(), mode: Mode::Busy, heavy };
        world.ledger.speaks = speaks;
        let mut trial = Self { world, faults, hosts: Vec::new(), frozen: Vec::new(), lives: 0 };
        for slot in 0..nodes {
            trial.hosts.push(None);
            trial.frozen.push(None);
            trial.world.wire.lives.push(None);
            let deaf = faults != Faults::None && trial.world.wire.rng.chance(25);
            trial.world.wire.deaf.push(deaf);
            trial.start(slot);
        }
        trial
    }

    /// A new life at this place of the network.
    fn start(&mut self, slot: usize) {
        self.lives += 1;
        let at = Life { slot, life: self.lives };
        self.world.wire.lives[slot] = Some(self.lives);
        // Who cannot be dialled may not know it.
        let listens = !self.world.wire.deaf[slot] || self.world.wire.rng.chance(50);
        let mut host = Host::new(at, &mut self.world, listens);
        host.act_soon(&mut self.world);
        self.hosts[slot] = Some(host);
        for other in 0..self.hosts.len() {
            if self.world.wire.rng.chance(60) {
                self.world.wire.dial(at, other, None);
            }
            if let Some(other) = self.hosts[other].as_ref().map(|other| other.at).filter(|_| self.world.wire.rng.chance(30)) {
                self.world.wire.dial(other, slot, None);
            }
        }
    }

    pub(crate) fn run(mut self) {
        let busy = self.world.wire.slowest * (20 + self.world.wire.rng.below(80));
        let end = self.world.wire.now + busy;
        while self.world.wire.now < end {
            let step = self.world.wire.rng.below(busy / 4) + 1;
            self.run_until((self.world.wire.now + step).min(end));
            if self.faults == Faults::All && self.world.wire.rng.chance(60) {
                self.fault();
            }
        }
        self.world.mode = Mode::Draining;
        if self.faults == Faults::Deaf {
            // Who could not be reached can be from now on. That is found out, although not at once.
            self.world.wire.deaf.fill(false);
            self.run_until(self.world.wire.now + 20 * TIMEOUT);
        }
        self.settle();
        self.check_drained();
        self.world.mode = Mode::Ending;
        self.settle();
        self.check_ended();
        for slot in 0..self.hosts.len() {
            if let Some(host) = &mut self.hosts[slot] {
                host.leave();
                host.obey(&mut self.world);
            }
        }
        self.settle();
        for host in self.hosts.iter().flatten() {
            assert!(host.node.is_idle(), "something is left of sessions: {:?}", host.node);
        }
    }

    fn fault(&mut self) {
        let slot = self.world.wire.rng.index(self.hosts.len());
        let alive = self.world.wire.alive();
        match self.world.wire.rng.below(7) {
            0 | 1 if !alive.is_empty() => {
                let connection = self.world.wire.rng.pick(&alive);
                let noticed = self.world.wire.rng.chance(70);
                self.lose(connection);
                self.world.wire.cut(connection, noticed);
            }
            2 if !alive.is_empty() => {
                let connection = self.world.wire.rng.pick(&alive);
                let side = self.world.wire.rng.index(2);
                self.lose(connection);
                self.world.wire.darken(connection, side);
            }
            3 => self.kill(slot),
            4 if self.hosts[slot].is_none() => self.start(slot),
            5 if self.hosts[slot].is_some() && self.frozen[slot].is_none() => {
                let long = self.world.wire.rng.below(2 * TIMEOUT);
                self.world.ledger.lossy = true;
                self.excuse(slot);
                if long > TIMEOUT + 3 * self.world.wire.slowest {
                    self.connections_of(slot).into_iter().for_each(|connection| self.lose(connection));
                }
                if let Some(host) = &mut self.hosts[slot] {
                    host.sessions.values_mut().for_each(|session| session.due = None);
                }
                self.frozen[slot] = Some((self.world.wire.now + long, Vec::new()));
            }
            6 => self.close(slot),
            _ => {}
        }
    }

    /// A node ends a session on purpose.
    fn close(&mut self, slot: usize) {
        let Some(host) = self.hosts[slot].as_mut().filter(|_| self.frozen[slot].is_none()) else { return };
        if let Some(&session) = host.up().first() {
            self.world.ledger.lossy = true;
            host.node.close(session, Goodbye::Done);
            host.obey(&mut self.world);
        }
    }

    fn kill(&mut self, slot: usize) {
        if self.hosts[slot].take().is_none() {
            return;
        }
        self.frozen[slot] = None;
        self.world.wire.lives[slot] = None;
        let noticed = self.world.wire.rng.chance(40);
        for connection in self.connections_of(slot) {
            self.lose(connection);
            self.world.wire.cut(connection, noticed);
        }
        if self.world.wire.rng.chance(50) {
            self.start(slot);
        }
    }

    fn connections_of(&self, slot: usize) -> Vec<usize> {
        let wire = &self.world.wire;
        wire.alive().into_iter().filter(|&at| wire.connections[at].sides.iter().any(|side| side.slot == slot)).collect()
    }

    /// A connection is lost from now on: who is there has to notice in time. What was under way to a node that is frozen may still be
    /// answered when it thaws.
    fn lose(&mut self, connection: usize) {
        self.world.ledger.lossy = true;
        if self.world.wire.connections[connection].sides.iter().any(|side| self.frozen[side.slot].is_some()) {
            return;
        }
        let due = self.world.wire.now + TIMEOUT + 3 * self.world.wire.slowest;
        for session in self.hosts.iter_mut().flatten().flat_map(|host| host.sessions.values_mut()).filter(|it| it.connection == connection)
        {
            // The greeting may come as late as the time-out, and counts as a sign of life.
            session.due.get_or_insert(if session.peer.is_some() { due } else { due + TIMEOUT });
        }
    }

    /// Nobody has to notice anything of this node in time any more.
    fn excuse(&mut self, slot: usize) {
        let wire = &self.world.wire;
        for session in self.hosts.iter_mut().flatten().flat_map(|host| host.sessions.values_mut()) {
            if wire.connections[session.connection].sides.iter().any(|side| side.slot == slot) {
                session.due = None;
            }
        }
    }

    fn run_until(&mut self, until: u64) {
        loop {
            let thaws = self.frozen.iter().enumerate().filter_map(|(slot, it)| Some((it.as_ref()?.0, slot))).min();
            let next = self.world.wire.next(thaws.map_or(until, |(at, _)| at.min(until)));
            match (next, thaws) {
                (Some(entry), _) => self.happens(entry),
                (None, Some((at, slot))) if at <= until => self.thaw(slot),
                (None, _) => break,
            }
        }
        for host in self.hosts.iter().flatten() {
            for (key, session) in &host.sessions {
                let late = session.due.is_some_and(|due| due <= until);
                assert!(!late, "a peer that is lost was not noticed at {} on {key:?}: {session:?}", host.at.slot);
            }
        }
    }

    fn happens(&mut self, Entry { to, what, .. }: Entry) {
        if let Some((_, missed)) = &mut self.frozen[to.slot] {
            if self.world.wire.lives[to.slot] == Some(to.life) {
                missed.push(what);
            }
            return;
        }
        if let Some(host) = self.hosts[to.slot].as_mut().filter(|host| host.at == to) {
            host.handle(&mut self.world, what);
        }
    }

    fn thaw(&mut self, slot: usize) {
        let missed = self.frozen[slot].take().map(|(_, missed)| missed).unwrap_or_default();
        for what in missed {
            if let Some(host) = &mut self.hosts[slot] {
                host.handle(&mut self.world, what);
            }
        }
    }

    /// Lets time pass until nothing happens any more but heartbeats.
    fn settle(&mut self) {
        for host in self.hosts.iter_mut().flatten() {
            host.act_soon(&mut self.world);
        }
        let losses = if self.faults == Faults::All { 3 * TIMEOUT } else { 0 };
        self.run_until(self.world.wire.now + losses);
        for _ in 0..1000 {
            let before = self.world.ledger.progress;
            self.run_until(self.world.wire.now + 40 * self.world.wire.slowest);
            if self.world.ledger.progress == before {
                return;
            }
        }
        panic!("it never comes to rest");
    }

    /// Programs have read all there is: whoever waits now waits for somebody who is there.
    fn check_drained(&self) {
        let held = || self.hosts.iter().flatten().flat_map(|host| host.held.iter().map(move |end| (host, end)));
        let names: BTreeSet<Name> = held().map(|(_, end)| end.name).collect();
        assert_eq!(names.len(), held().count(), "an end is held twice");
        for (host, end) in held() {
            let peer = held().find(|(_, other)| other.name == end.name.peer()).map(|(_, peer)| peer);
            let (sent, received) = self.world.ledger.count(end.name);
            let whose = format!("{:?} at {} ({received} of {sent} came)", end.name, host.at.slot);
            if !end.told_reader {
                let peer = peer.unwrap_or_else(|| panic!("{whose} reads for ever from nobody"));
                assert!(peer.open, "{whose} was not told that its peer closed");
                assert_eq!(sent, received, "{whose} waits for what was put");
                assert!(!peer.told_writer, "{whose} reads, and its peer was told that nobody does");
            }
            if !end.told_writer && end.open {
                assert!(peer.is_some(), "{whose} puts for ever for nobody");
            }
        }
        for host in self.hosts.iter().flatten() {
            assert!(host.waiting.is_empty(), "a request has no answer: {:?}", host.waiting);
            assert!(host.asked.is_empty());
            if self.faults != Faults::All {
                self.check_nobody_forwards(host);
            }
        }
    }

    fn check_nobody_forwards(&self, host: &Host) {
        let peer = |session: SessionKey| host.sessions.get(&session).and_then(|session| session.peer);
        for channel in host.channels.values() {
            if let [Holder::Link(one), Holder::Link(other)] = channel.holders {
                let ends = [one, other].map(|key| host.links.get(&key).and_then(|bridge| peer(bridge.link.route().session)));
                let listens = |end: Option<NodeId>| {
                    let at = |host: &&Host| Some(host.node.config().id) == end;
                    self.hosts.iter().flatten().find(at).is_some_and(|host| !host.node.config().addresses.is_empty())
                };
                // What a node sends to itself goes by way of this one, and what goes between two that listen nowhere.
                let has_to = ends[0] == ends[1] || !ends.iter().any(|end| listens(*end));
                assert!(has_to, "node {} still forwards between {one:?} and {other:?}", host.at.slot);
            }
        }
    }

    /// All programs have ended.
    fn check_ended(&self) {
        for host in self.hosts.iter().flatten() {
            assert!(host.links.is_empty(), "links are left at {}: {:?}", host.at.slot, host.links);
            assert!(host.channels.is_empty(), "channels are left at {}: {:?}", host.at.slot, host.channels);
            assert!(host.standing.is_empty() && host.waiting.is_empty(), "requests are left");
            for session in host.up() {
                assert_eq!(host.node.links_of(session), 0, "links are left on a session");
            }
            for inbound in host.sessions.values().flat_map(|session| session.streams.values()) {
                assert!(inbound.bytes.is_empty(), "a stream was not read: {:?}", inbound.link);
            }
        }
    }
}
