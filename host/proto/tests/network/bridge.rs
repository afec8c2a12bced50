//! Links as a host has them: between a mailbox and a stream.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use placehost_proto::codec::{self, Attachments, LinkFrame};
use placehost_proto::frame::{End, Head, WINDOW};
use placehost_proto::link::{Command, Effect, WEIGHT};
use placehost_proto::{Control, Link, LinkKey, Route};

use crate::host::{Host, World};
use crate::mailbox::{Channel, Held, Holder, Parcel, Words};
use crate::wire::What;

/// One end of a channel, held by a link.
#[derive(Debug)]
pub(crate) struct Bridge {
    pub(crate) link: Link,
    pub(crate) channel: usize,
    pub(crate) side: usize,
    pub(crate) commands: VecDeque<Command>,
    /// The streams that were opened, by route, and on which stream of its connection.
    streams: BTreeMap<Route, u64>,
    routes: BTreeSet<Route>,
    scheduled: bool,
}

impl Host {
    fn link(&mut self, world: &mut World, key: LinkKey, route: Route, channel: usize, side: usize) {
        self.say(world, format_args!("{key:?} by {route:?} holds side {side} of {channel}"));
        self.links.insert(
            key,
            Bridge {
                link: Link::new(route),
                channel,
                side,
                commands: VecDeque::new(),
                streams: BTreeMap::new(),
                routes: BTreeSet::from([route]),
                scheduled: false,
            },
        );
        let channel = self.channels.get_mut(&channel).expect("it is there");
        channel.holders[side] = Holder::Link(key);
        if let Holder::Link(mate) = channel.holders[1 - side] {
            self.node.links_met(mate, key);
        }
        self.serve_soon(world, key);
    }

    /// Sends an end away, by a link that is named here.
    pub(crate) fn send_end(&mut self, world: &mut World, route: Route, end: &Held) -> Option<Route> {
        let Some((key, id)) = self.node.open_link(route.session) else {
            self.close_end(world, end.channel, end.side, End::NodeLost);
            return None;
        };
        let route = Route { id, ..route };
        self.link(world, key, route, end.channel, end.side);
        Some(route)
    }

    /// A channel whose side 0 is held by the link that the peer has named. Whoever calls this takes side 1.
    pub(crate) fn accept(&mut self, world: &mut World, route: Route) -> usize {
        let channel = self.new_channel(Channel::new([Holder::Program; 2]));
        match self.node.accept_link(route.session, route.id) {
            Ok(key) => {
                self.link(world, key, route, channel, 0);
                self.stream_came(world, route);
            }
            // The session has ended since.
            Err(why) => {
                assert!(!self.sessions.contains_key(&route.session), "{why}");
                self.close_end(world, channel, 0, End::NodeLost);
            }
        }
        channel
    }

    /// Something came by this route: to its link, to wait for it, or to nobody.
    pub(crate) fn stream_came(&mut self, world: &mut World, route: Route) {
        match self.node.link_at(route) {
            Some(key) => {
                if let Some(bridge) = self.links.get_mut(&key) {
                    bridge.routes.insert(route);
                }
                self.serve_soon(world, key);
            }
            None if self.node.is_to_come(route) => {}
            None => self.drain(world, route),
        }
    }

    /// Reads what nobody wants. The ends in it are taken, and dropped: who holds the other ends is told.
    fn drain(&mut self, world: &mut World, route: Route) {
        while let Some(frame) = self.frame(route) {
            if let LinkFrame::Attached(attachments, _) = frame {
                for id in attachments.links {
                    let channel = self.accept(world, Route { id, ..route });
                    self.drop_end(world, channel, 1);
                }
            }
        }
    }

    fn frame(&mut self, route: Route) -> Option<LinkFrame> {
        let streams = &mut self.sessions.get_mut(&route.session)?.streams;
        let inbound = streams.values_mut().find(|inbound| inbound.link == Some(route.id))?;
        let mut rest = &inbound.bytes[..];
        let frame = inbound.decoder.next(&mut rest).expect("a frame of a link");
        let read = inbound.bytes.len() - rest.len();
        inbound.bytes.drain(..read);
        frame
    }

    pub(crate) fn serve_soon(&mut self, world: &mut World, key: LinkKey) {
        if let Some(bridge) = self.links.get_mut(&key)
            && !bridge.scheduled
        {
            bridge.scheduled = true;
            let within = if world.wire.rng.chance(50) { 0 } else { world.wire.slowest / 8 };
            world.wire.soon(within, self.at, What::Serves(key));
        }
    }

    fn holder_soon(&mut self, world: &mut World, channel: usize, side: usize) {
        match self.channels.get(&channel).map(|channel| channel.holders[side]) {
            Some(Holder::Link(key)) => self.serve_soon(world, key),
            Some(Holder::Program) => self.act_soon(world),
            _ => {}
        }
    }

    /// Somebody has put into or ended the mailbox that this side reads, or read from it, or left it.
    pub(crate) fn stir(&mut self, world: &mut World, channel: usize) {
        self.holder_soon(world, channel, 0);
        self.holder_soon(world, channel, 1);
    }

    pub(crate) fn serve(&mut self, world: &mut World, key: LinkKey) {
        let Some(bridge) = self.links.get_mut(&key) else { return };
        bridge.scheduled = false;
        let first = world.wire.rng.index(4);
        let mut progress = false;
        for step in 0..4 {
            progress |= match (first + step) % 4 {
                0 => self.obey_node(world, key),
                1 => self.read(world, key),
                2 => self.look(world, key),
                _ => self.write(world, key),
            };
        }
        if progress {
            self.serve_soon(world, key);
        }
    }

    fn with(&mut self, world: &mut World, key: LinkKey, tell: impl FnOnce(&mut Link, &mut Vec<Effect>)) -> bool {
        let Some(bridge) = self.links.get_mut(&key) else { return false };
        let mut effects = Vec::new();
        tell(&mut bridge.link, &mut effects);
        let progress = !effects.is_empty();
        for effect in effects {
            self.effect(world, key, effect);
        }
        progress
    }

    fn obey_node(&mut self, world: &mut World, key: LinkKey) -> bool {
        let Some(command) = self.links.get_mut(&key).and_then(|bridge| bridge.commands.pop_front()) else { return false };
        self.say(world, format_args!("{key:?} <- {command:?}"));
        self.with(world, key, |link, effects| link.command(command, effects));
        true
    }

    fn read(&mut self, world: &mut World, key: LinkKey) -> bool {
        // A stream may end because of what the node has told before.
        while self.obey_node(world, key) {}
        let Some(bridge) = self.links.get(&key) else { return false };
        let Some(route) = bridge.link.reads() else {
            bridge.routes.clone().into_iter().for_each(|route| self.drain(world, route));
            return false;
        };
        let Some(frame) = self.frame(route) else { return false };
        let (attachments, bytes) = match frame {
            LinkFrame::Message(bytes) => (Attachments::default(), bytes),
            LinkFrame::Attached(attachments, bytes) => (attachments, bytes),
            LinkFrame::End(end) => {
                self.with(world, key, |link, effects| link.remote_ended(end, effects));
                return true;
            }
        };
        if let Some(bridge) = self.links.get_mut(&key) {
            assert!(bridge.link.owed() < WINDOW, "more was sent than was allowed");
            bridge.link.received(bytes.len() as u64 + WEIGHT);
        }
        let words = Words::read(&bytes);
        assert_eq!(words.ends.len(), attachments.links.len(), "each end has a link");
        let mut ends = Vec::new();
        for (&id, (name, open)) in attachments.links.iter().zip(words.ends) {
            let channel = self.accept(world, Route { id, ..route });
            ends.push(Held::new(name, channel, 1, open));
        }
        let parcel = Parcel { bytes, ends };
        let Some(bridge) = self.links.get(&key) else { return true };
        let (channel, side, delivers) = (bridge.channel, bridge.side, bridge.link.delivers());
        match self.channels.get_mut(&channel).map(|channel| &mut channel.boxes[1 - side]) {
            Some(mailbox) if delivers && mailbox.abandoned.is_none() => mailbox.parcels.push_back(parcel),
            _ => self.drop_parcels(world, [parcel]),
        }
        self.stir(world, channel);
        true
    }

    /// Sees what the reader of the local end does.
    fn look(&mut self, world: &mut World, key: LinkKey) -> bool {
        let Some(Bridge { channel, side, .. }) = self.links.get(&key) else { return false };
        let mailbox = &self.channels[channel].boxes[1 - side];
        // An end may have been closed before it was sent away. Then nobody reads what is put where it is now.
        let (waiting, abandoned) = (mailbox.weight(), mailbox.abandoned.or(mailbox.ended));
        self.with(world, key, |link, effects| {
            link.drained(waiting, effects);
            if let Some(end) = abandoned {
                link.local_abandoned(end, effects);
            }
        })
    }

    fn write(&mut self, world: &mut World, key: LinkKey) -> bool {
        let Some(bridge) = self.links.get(&key) else { return false };
        let (number, side) = (bridge.channel, bridge.side);
        let may_send = bridge.link.may_send();
        let channel = self.channels.get_mut(&number).expect("it is there");
        let mailbox = &mut channel.boxes[side];
        if mailbox.parcels.is_empty() {
            let Some(end) = mailbox.ended.or(mailbox.abandoned) else { return false };
            return self.with(world, key, |link, effects| link.local_ended(end, effects));
        }
        let Some(route) = may_send else { return false };
        let Some(parcel) = mailbox.parcels.pop_front() else { return false };
        let weight = parcel.weight();
        if let Some(bridge) = self.links.get_mut(&key) {
            bridge.link.sent(weight);
        }
        let mut links = Vec::new();
        for end in &parcel.ends {
            links.extend(self.send_end(world, route, end).map(|route| route.id));
        }
        let mut bytes = Vec::new();
        if parcel.ends.is_empty() {
            codec::put_message_header(&mut bytes, parcel.bytes.len());
        } else {
            codec::put_attached_header(&mut bytes, &Attachments { links, blobs: Vec::new() }, parcel.bytes.len());
        }
        bytes.extend(parcel.bytes);
        self.send_frame(world, key, route, &bytes);
        self.stir(world, number);
        true
    }

    /// Writes to the stream of this route, opening it if there is none.
    fn send_frame(&mut self, world: &mut World, key: LinkKey, route: Route, frame: &[u8]) {
        let (Some(bridge), Some(session)) = (self.links.get_mut(&key), self.sessions.get(&route.session)) else { return };
        let mut bytes = Vec::new();
        let stream = *bridge.streams.entry(route).or_insert_with(|| {
            codec::put_head(&mut bytes, &Head::Link(route.id));
            world.wire.open(session.connection, session.side)
        });
        bytes.extend_from_slice(frame);
        self.send(world, route.session, stream, &bytes);
    }

    fn effect(&mut self, world: &mut World, key: LinkKey, effect: Effect) {
        self.say(world, format_args!("{key:?} -> {effect:?}"));
        let Some(bridge) = self.links.get_mut(&key) else { return };
        let (number, side) = (bridge.channel, bridge.side);
        match effect {
            Effect::EndOut(route, end) if bridge.streams.contains_key(&route) => {
                let mut bytes = Vec::new();
                codec::put_end(&mut bytes, end);
                self.send_frame(world, key, route, &bytes);
            }
            Effect::EndOut(route, end) => self.node.tell(route.session, Control::Finish(route.id, end)),
            Effect::Refuse(end) => self.refuse(world, number, side, end),
            Effect::EndIn(end) => self.end_in(world, number, side, end),
            Effect::TellGone(route, end) => self.node.tell(route.session, Control::Gone(route.id, end)),
            Effect::Grant(route, bytes) => self.node.tell(route.session, Control::Credit(route.id, bytes)),
            Effect::ReadFrom(route) => drop(bridge.routes.insert(route)),
            Effect::Moved(route) => {
                world.ledger.progress += 1;
                self.node.link_moved(key, route);
                let routes = self.links.get(&key).map(|bridge| bridge.routes.clone()).unwrap_or_default();
                routes.into_iter().for_each(|route| self.stream_came(world, route));
            }
            Effect::Done => {
                world.ledger.progress += 1;
                let routes = self.links.remove(&key).map(|bridge| bridge.routes).unwrap_or_default();
                self.close_end(world, number, side, End::Closed);
                self.node.link_done(key);
                routes.into_iter().for_each(|route| self.stream_came(world, route));
            }
        }
        self.serve_soon(world, key);
    }

    /// Nothing more is put by this side.
    fn end_in(&mut self, world: &mut World, channel: usize, side: usize, end: End) {
        if let Some(channel) = self.channels.get_mut(&channel) {
            channel.boxes[1 - side].ended.get_or_insert(end);
        }
        self.stir(world, channel);
    }

    /// Nothing more is read by this side.
    fn refuse(&mut self, world: &mut World, channel: usize, side: usize, end: End) {
        let Some(mailbox) = self.channels.get_mut(&channel).map(|channel| &mut channel.boxes[side]) else { return };
        mailbox.abandoned.get_or_insert(end);
        let parcels = std::mem::take(&mut mailbox.parcels);
        self.drop_parcels(world, parcels);
        self.stir(world, channel);
    }

    fn drop_parcels(&mut self, world: &mut World, parcels: impl IntoIterator<Item = Parcel>) {
        for end in parcels.into_iter().flat_map(|parcel| parcel.ends) {
            self.drop_end(world, end.channel, end.side);
        }
    }

    /// An end is dropped: both its directions close.
    pub(crate) fn drop_end(&mut self, world: &mut World, channel: usize, side: usize) {
        self.close_end(world, channel, side, End::Closed);
    }

    fn close_end(&mut self, world: &mut World, number: usize, side: usize, end: End) {
        let Some(channel) = self.channels.get_mut(&number) else { return };
        channel.holders[side] = Holder::Nobody;
        self.end_in(world, number, side, end);
        self.refuse(world, number, side, end);
        if self.channels.get(&number).is_some_and(|channel| channel.holders == [Holder::Nobody; 2]) {
            self.channels.remove(&number);
        }
    }
}
