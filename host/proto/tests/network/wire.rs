//! Virtual time, and the connections between the nodes.
//!
//! Each stream of a connection is first in, first out; streams overtake each other. What is sent is cut at random places. Time is in
//! microseconds.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};

use placehost_proto::LinkKey;

use crate::rng::Rng;

/// The stream on which a session is controlled; the others carry messages.
pub(crate) const CONTROL: u64 = 0;

/// One life of the node at this place of the network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Life {
    pub(crate) slot: usize,
    pub(crate) life: u64,
}

/// What happens to one life of a node.
#[derive(Debug)]
pub(crate) enum What {
    /// With the attempt of the node's that it is for.
    Connected {
        connection: usize,
        side: usize,
        wanted: Option<u64>,
    },
    NotDialled(u64),
    Arrives {
        connection: usize,
        side: usize,
        stream: u64,
        bytes: Vec<u8>,
    },
    Breaks {
        connection: usize,
        side: usize,
    },
    /// The node wanted to be called at this time.
    Wakes(u64),
    Serves(LinkKey),
    Acts,
}

#[derive(Debug)]
pub(crate) struct Entry {
    at: u64,
    sequence: u64,
    pub(crate) to: Life,
    pub(crate) what: What,
}

impl PartialEq for Entry {
    fn eq(&self, other: &Self) -> bool {
        self.sequence == other.sequence
    }
}

impl Eq for Entry {}

impl PartialOrd for Entry {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Entry {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.at, self.sequence).cmp(&(other.at, other.sequence))
    }
}

/// One connection; side 0 dialled.
#[derive(Debug)]
pub(crate) struct Connection {
    pub(crate) sides: [Life; 2],
    /// Which side still listens.
    hears: [bool; 2],
    /// What is sent to this side vanishes.
    dark: [bool; 2],
    streams: [u64; 2],
    /// When the last bytes arrive, by who gets them and the stream.
    latest: BTreeMap<(usize, u64), u64>,
}

/// Virtual time and all connections.
#[derive(Debug)]
pub(crate) struct Wire {
    pub(crate) now: u64,
    pub(crate) rng: Rng,
    /// Nothing takes longer than this.
    pub(crate) slowest: u64,
    pub(crate) connections: Vec<Connection>,
    /// Which life is at each place of the network, if any.
    pub(crate) lives: Vec<Option<u64>>,
    /// Those that accept no connections.
    pub(crate) deaf: Vec<bool>,
    queue: BinaryHeap<Reverse<Entry>>,
    count: u64,
}

impl Wire {
    pub(crate) fn new(rng: Rng, slowest: u64) -> Self {
        Self { now: 0, rng, slowest, connections: Vec::new(), lives: Vec::new(), deaf: Vec::new(), queue: BinaryHeap::new(), count: 0 }
    }

    /// What happens next, if before `until`; time goes on to it.
    pub(crate) fn next(&mut self, until: u64) -> Option<Entry> {
        if self.queue.peek().is_none_or(|Reverse(entry)| entry.at > until) {
            self.now = until;
            return None;
        }
        let Reverse(entry) = self.queue.pop()?;
        self.now = entry.at;
        Some(entry)
    }

    pub(crate) fn at(&mut self, at: u64, to: Life, what: What) {
        self.count += 1;
        self.queue.push(Reverse(Entry { at: at.max(self.now), sequence: self.count, to, what }));
    }

    pub(crate) fn soon(&mut self, within: u64, to: Life, what: What) {
        let at = self.now + self.rng.below(within + 1);
        self.at(at, to, what);
    }

    /// Mostly short, sometimes as long as may be.
    fn delay(&mut self) -> u64 {
        let bound = if self.rng.chance(70) { self.slowest / 8 } else { self.slowest };
        1 + self.rng.below(bound)
    }

    /// Dials whoever is at this place of the network.
    pub(crate) fn dial(&mut self, from: Life, slot: usize, wanted: Option<u64>) {
        let there = self.lives[slot].filter(|_| !self.deaf[slot] && slot != from.slot).map(|life| Life { slot, life });
        let Some(to) = there else {
            if let Some(wanted) = wanted {
                let at = self.now + self.delay();
                self.at(at, from, What::NotDialled(wanted));
            }
            return;
        };
        let connection = self.connections.len();
        self.connections.push(Connection {
            sides: [from, to],
            hears: [true; 2],
            dark: [false; 2],
            streams: [CONTROL; 2],
            latest: BTreeMap::new(),
        });
        let accepted = self.now + self.delay();
        let known = accepted + self.delay();
        self.at(accepted, to, What::Connected { connection, side: 1, wanted: None });
        self.at(known, from, What::Connected { connection, side: 0, wanted });
    }

    /// A new stream from this side.
    pub(crate) fn open(&mut self, connection: usize, side: usize) -> u64 {
        self.connections[connection].streams[side] += 1;
        self.connections[connection].streams[side]
    }

    /// Sends bytes, in pieces.
    pub(crate) fn send(&mut self, connection: usize, side: usize, stream: u64, bytes: &[u8]) {
        let other = 1 - side;
        let Connection { hears, dark, sides, .. } = &self.connections[connection];
        let to = sides[other];
        if !hears[other] || dark[other] {
            return;
        }
        let mut rest = bytes;
        while !rest.is_empty() {
            let cut = if self.rng.chance(75) { rest.len() } else { 1 + self.rng.index(rest.len()) };
            let (piece, left) = rest.split_at(cut);
            rest = left;
            let at = self.now + self.delay();
            let latest = self.connections[connection].latest.entry((other, stream)).or_default();
            *latest = at.max(*latest);
            let at = *latest;
            self.at(at, to, What::Arrives { connection, side: other, stream, bytes: piece.to_vec() });
        }
    }

    pub(crate) fn hears(&self, connection: usize, side: usize) -> bool {
        self.connections[connection].hears[side]
    }

    /// This side has hung up. The other learns of it after what was said before.
    pub(crate) fn hang_up(&mut self, connection: usize, side: usize) {
        self.connections[connection].hears[side] = false;
        let other = 1 - side;
        if self.hears(connection, other) && !self.connections[connection].dark[other] {
            let last = self.connections[connection].latest.get(&(other, CONTROL)).copied().unwrap_or_default();
            let at = last.max(self.now) + self.delay();
            let to = self.connections[connection].sides[other];
            self.at(at, to, What::Breaks { connection, side: other });
        }
    }

    /// The connection is cut; each side notices, or has to find out.
    pub(crate) fn cut(&mut self, connection: usize, noticed: bool) {
        for side in 0..2 {
            let heard = std::mem::take(&mut self.connections[connection].hears[side]);
            if heard && noticed {
                let at = self.now + self.delay();
                let to = self.connections[connection].sides[side];
                self.at(at, to, What::Breaks { connection, side });
            }
        }
    }

    /// From now on nothing reaches this side.
    pub(crate) fn darken(&mut self, connection: usize, side: usize) {
        self.connections[connection].dark[side] = true;
    }

    /// The connections over which both still hear.
    pub(crate) fn alive(&self) -> Vec<usize> {
        (0..self.connections.len()).filter(|&at| self.connections[at].hears == [true; 2]).collect()
    }
}
