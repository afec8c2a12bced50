//! Channels of one node: two mailboxes, whose ends programs or links hold.

use std::collections::VecDeque;

use placehost_proto::LinkKey;
use placehost_proto::frame::End;
use placehost_proto::link::WEIGHT;

use crate::ledger::Name;

/// An end that a program holds, or that lies in a message.
#[derive(Debug)]
pub(crate) struct Held {
    pub(crate) name: Name,
    pub(crate) channel: usize,
    pub(crate) side: usize,
    /// Whether it may still put.
    pub(crate) open: bool,
    pub(crate) told_reader: bool,
    pub(crate) told_writer: bool,
}

impl Held {
    pub(crate) fn new(name: Name, channel: usize, side: usize, open: bool) -> Self {
        Self { name, channel, side, open, told_reader: false, told_writer: false }
    }
}

/// A message in a mailbox.
#[derive(Debug)]
pub(crate) struct Parcel {
    pub(crate) bytes: Vec<u8>,
    pub(crate) ends: Vec<Held>,
}

impl Parcel {
    pub(crate) fn weight(&self) -> u64 {
        self.bytes.len() as u64 + WEIGHT
    }
}

#[derive(Debug, Default)]
pub(crate) struct Mailbox {
    pub(crate) parcels: VecDeque<Parcel>,
    /// Nobody puts any more.
    pub(crate) ended: Option<End>,
    /// Nobody reads any more.
    pub(crate) abandoned: Option<End>,
}

impl Mailbox {
    pub(crate) fn weight(&self) -> u64 {
        self.parcels.iter().map(Parcel::weight).sum()
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Holder {
    Program,
    Link(LinkKey),
    Nobody,
}

/// Side `n` reads the mailbox `n`.
#[derive(Debug)]
pub(crate) struct Channel {
    pub(crate) boxes: [Mailbox; 2],
    pub(crate) holders: [Holder; 2],
}

impl Channel {
    pub(crate) fn new(holders: [Holder; 2]) -> Self {
        Self { boxes: [Mailbox::default(), Mailbox::default()], holders }
    }
}

/// What a message says: who put it, its number there, and which ends it carries. The rest makes it heavy.
#[derive(Debug)]
pub(crate) struct Words {
    pub(crate) by: Name,
    pub(crate) number: u32,
    /// And whether they may put.
    pub(crate) ends: Vec<(Name, bool)>,
}

impl Words {
    pub(crate) fn write(&self, padding: usize) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(padding + 32);
        bytes.push(self.ends.len() as u8);
        let mut name = |name: Name, more: u8| {
            bytes.extend(name.channel.to_le_bytes());
            bytes.push(name.side as u8 | more);
        };
        name(self.by, 0);
        self.ends.iter().for_each(|&(end, open)| name(end, u8::from(open) << 1));
        bytes.extend(self.number.to_le_bytes());
        bytes.resize(bytes.len() + padding, 0);
        bytes
    }

    pub(crate) fn read(bytes: &[u8]) -> Self {
        let name = |at: usize| {
            let bytes = &bytes[1 + at * 5..][..5];
            let name = Name { channel: u32::from_le_bytes(bytes[..4].try_into().expect("four")), side: usize::from(bytes[4] & 1) };
            (name, bytes[4] & 2 != 0)
        };
        let count = usize::from(bytes[0]);
        let number = u32::from_le_bytes(bytes[1 + (count + 1) * 5..][..4].try_into().expect("four"));
        Self { by: name(0).0, number, ends: (1..=count).map(name).collect() }
    }
}
