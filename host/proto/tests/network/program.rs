//! What runs on a node: it makes channels, sends messages and ends, asks, closes, drops, all at random.

use placehost_proto::frame::{Ask, End, Goodbye, Spawn, SpawnGrants};
use placehost_proto::{Control, Digest, PlaceId, Route, SessionKey};

use crate::host::{Asked, Host, Mode, World};
use crate::mailbox::{Channel, Held, Holder, Parcel, Words};
use crate::wire::What;

/// How many messages a mailbox takes.
const ROOM: usize = 8;

impl Host {
    pub(crate) fn program_acts(&mut self, world: &mut World) {
        // Whoever is busy acts again anyway.
        self.acts = world.mode == Mode::Busy;
        match world.mode {
            Mode::Busy => {
                for _ in 0..1 + world.wire.rng.below(4) {
                    self.act(world);
                }
                let within = world.wire.slowest;
                world.wire.soon(within, self.at, What::Acts);
            }
            Mode::Draining => self.read_everything(world),
            Mode::Ending => {
                self.read_everything(world);
                self.held.drain(..).map(|end| (end.channel, end.side)).collect::<Vec<_>>().into_iter().for_each(|(channel, side)| {
                    self.drop_end(world, channel, side);
                });
                self.end_places(|_| true);
            }
        }
    }

    fn read_everything(&mut self, world: &mut World) {
        while !self.asked.is_empty() {
            self.answer_one(world);
        }
        // What is read may bring ends to read from.
        let mut at = 0;
        while at < self.held.len() {
            while self.get(world, at) {}
            self.ask_writer(world, at);
            at += 1;
        }
    }

    fn act(&mut self, world: &mut World) {
        let any = world.wire.rng.index(self.held.len());
        match world.wire.rng.below(100) {
            0..35 if !self.held.is_empty() => drop(self.get(world, any)),
            35..70 if !self.held.is_empty() => self.put(world, any),
            70..76 => self.make(world),
            76..78 if !self.held.is_empty() => self.close(world, any),
            78..80 if !self.held.is_empty() => {
                let end = self.held.swap_remove(any);
                self.drop_end(world, end.channel, end.side);
            }
            80..90 => self.ask(world),
            90..95 => self.answer_one(world),
            95 => {
                let slot = world.wire.rng.index(world.wire.lives.len());
                world.wire.dial(self.at, slot, None);
            }
            96 => {
                let which = world.wire.rng.index(self.places.len());
                if let Some(id) = self.places.get(which).map(|place| place.id) {
                    self.end_places(|place| place.id == id);
                }
            }
            97 => {
                if let Some(&(session, request)) = self.standing.first() {
                    self.node.tell(session, Control::Kill(vec![request], None));
                }
            }
            _ => {}
        }
    }

    fn make(&mut self, world: &mut World) {
        let channel = self.new_channel(Channel::new([Holder::Program; 2]));
        let name = world.ledger.channel();
        for side in 0..2 {
            self.held.push(Held::new(crate::ledger::Name { channel: name, side }, channel, side, true));
        }
    }

    /// Reads from this end; whether there may be more.
    fn get(&mut self, world: &mut World, at: usize) -> bool {
        let Held { name, channel, side, told_reader, .. } = self.held[at];
        if told_reader {
            return false;
        }
        let Some(mailbox) = self.channels.get_mut(&channel).map(|channel| &mut channel.boxes[side]) else { return false };
        match mailbox.parcels.pop_front() {
            Some(Parcel { bytes, ends }) => {
                let words = Words::read(&bytes);
                world.ledger.got(name, words.by, words.number);
                let names: Vec<_> = ends.iter().map(|end| (end.name, end.open)).collect();
                assert_eq!(words.ends, names, "the ends are those that were sent");
                self.held.extend(ends);
                self.stir(world, channel);
                true
            }
            None => {
                if let Some(end) = mailbox.ended.or(mailbox.abandoned) {
                    self.say(world, format_args!("{name:?} reads {end:?} of {channel}"));
                    world.ledger.told_reader(name, end);
                    self.held[at].told_reader = true;
                }
                false
            }
        }
    }

    /// Whether who puts here has been told that nobody reads.
    fn ask_writer(&mut self, world: &mut World, at: usize) -> Option<End> {
        let Held { name, channel, side, told_writer, .. } = self.held[at];
        let mailbox = &self.channels.get(&channel)?.boxes[1 - side];
        let end = mailbox.abandoned?;
        if !told_writer {
            world.ledger.told_writer(name, end);
            self.held[at].told_writer = true;
        }
        Some(end)
    }

    fn put(&mut self, world: &mut World, at: usize) {
        let Held { name, channel, side, open, .. } = self.held[at];
        if !open || self.ask_writer(world, at).is_some() {
            return;
        }
        let Some(mailbox) = self.channels.get(&channel).map(|channel| &channel.boxes[1 - side]) else { return };
        if mailbox.parcels.len() >= ROOM {
            return;
        }
        let mut ends = Vec::new();
        while world.wire.rng.chance(25) {
            // Ends of newer channels travel in older ones, so that none ever lies where only it could be read.
            let newer: Vec<_> = (0..self.held.len()).filter(|&end| self.held[end].name.channel > name.channel).collect();
            if newer.is_empty() {
                break;
            }
            let which = world.wire.rng.pick(&newer);
            let Held { name, channel, side, open, .. } = self.held.remove(which);
            ends.push(Held::new(name, channel, side, open));
        }
        let heavy = world.heavy && world.wire.rng.chance(30);
        let padding = world.wire.rng.index(if heavy { 600_000 } else { 40 });
        let number = world.ledger.put(name);
        let words = Words { by: name, number, ends: ends.iter().map(|end| (end.name, end.open)).collect() };
        let parcel = Parcel { bytes: words.write(padding), ends };
        if let Some(channel) = self.channels.get_mut(&channel) {
            channel.boxes[1 - side].parcels.push_back(parcel);
        }
        self.stir(world, channel);
    }

    /// Nothing more will be put here; reading goes on.
    fn close(&mut self, world: &mut World, at: usize) {
        let Held { channel, side, .. } = self.held[at];
        self.held[at].open = false;
        if let Some(channel) = self.channels.get_mut(&channel) {
            channel.boxes[1 - side].ended.get_or_insert(End::Closed);
        }
        self.stir(world, channel);
    }

    /// Asks another node for something.
    fn ask(&mut self, world: &mut World) {
        let up = self.up();
        if up.is_empty() {
            return;
        }
        let session = world.wire.rng.pick(&up);
        let places = &world.ledger.places;
        match world.wire.rng.below(4) {
            0 if !places.is_empty() => {
                let place: PlaceId = world.wire.rng.pick(places);
                self.ask_for(session, Ask::Watch(place), Asked::Watch);
            }
            1 => {
                if let Some((start, link)) = self.send_new(world, session) {
                    let spawn = Spawn {
                        module: Digest::of(b"module"),
                        size: 6,
                        file: "module.wasm".into(),
                        start,
                        args: Vec::new(),
                        memory: 1 << 20,
                        deadline: None,
                        fuel: None,
                        bounds: (1, 1),
                        grants: SpawnGrants::default(),
                        name: None,
                        detached: false,
                        log_to_parent: false,
                        seq: None,
                        link: link.id,
                    };
                    self.ask_for(session, Ask::Spawn(Box::new(spawn)), Asked::Spawn);
                }
            }
            _ => {
                if let Some((name, link)) = self.send_new(world, session) {
                    self.ask_for(session, Ask::Lookup { name, link: link.id }, Asked::Lookup);
                }
            }
        }
    }

    fn ask_for(&mut self, session: SessionKey, ask: Ask, asked: Asked) {
        if let Some(request) = self.node.ask(session, ask) {
            self.waiting.insert((session, request), asked);
        }
    }

    /// A new channel whose end 1 is for the other node.
    fn send_new(&mut self, world: &mut World, session: SessionKey) -> Option<(String, Route)> {
        self.make(world);
        let end = self.held.pop()?;
        let any = Route { session, id: placehost_proto::LinkId(0) };
        let link = self.send_end(world, any, &end)?;
        Some((end.name.channel.to_string(), link))
    }

    /// Ends all sessions.
    pub(crate) fn leave(&mut self) {
        for session in self.sessions.keys().copied().collect::<Vec<_>>() {
            self.node.close(session, Goodbye::Done);
        }
    }
}
