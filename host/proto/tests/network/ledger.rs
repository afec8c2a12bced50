//! What was promised to the programs, and whether it was kept.

use placehost_proto::PlaceId;
use placehost_proto::frame::End;

/// Names an end of a channel, wherever it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Name {
    pub(crate) channel: u32,
    pub(crate) side: usize,
}

impl Name {
    pub(crate) fn peer(self) -> Self {
        Self { side: 1 - self.side, ..self }
    }
}

/// All channels, by what went each way.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    /// By who puts.
    sent: Vec<[u32; 2]>,
    received: Vec<[u32; 2]>,
    /// Whether a node or a connection was lost, so that channels may be.
    pub(crate) lossy: bool,
    /// Places that were started by request.
    pub(crate) places: Vec<PlaceId>,
    /// Counts everything that a program could see.
    pub(crate) progress: u64,
    /// Prints what happens: for a seed that is run alone.
    pub(crate) speaks: bool,
}

impl Ledger {
    pub(crate) fn channel(&mut self) -> u32 {
        self.sent.push([0; 2]);
        self.received.push([0; 2]);
        self.sent.len() as u32 - 1
    }

    /// The number of a message that this end puts.
    pub(crate) fn put(&mut self, by: Name) -> u32 {
        self.progress += 1;
        let sent = &mut self.sent[by.channel as usize][by.side];
        *sent += 1;
        *sent - 1
    }

    /// This end got that message, put by that end.
    pub(crate) fn got(&mut self, at: Name, by: Name, number: u32) {
        self.progress += 1;
        assert_eq!(by, at.peer(), "a message of {by:?} came out at {at:?}");
        let received = &mut self.received[by.channel as usize][by.side];
        assert_eq!(number, *received, "{at:?} got message {number} where {received} was next");
        *received += 1;
    }

    /// Who reads at this end was told that there is no more.
    pub(crate) fn told_reader(&mut self, at: Name, end: End) {
        self.progress += 1;
        match end {
            End::Closed => assert!(self.is_complete(at), "{at:?} was told that it has all, and has {:?}", self.count(at)),
            End::NodeLost => assert!(self.lossy, "{at:?} was told of a lost node, and none was"),
            End::Moved => assert!(self.lossy, "{at:?} was told that the rest goes another way"),
        }
    }

    /// Who puts at this end was told that nobody reads.
    pub(crate) fn told_writer(&mut self, at: Name, end: End) {
        self.progress += 1;
        assert!(end == End::Closed || self.lossy, "{at:?} was told {end:?} as it put, and nothing was lost");
    }

    /// Whether everything that was put for this end has come.
    pub(crate) fn is_complete(&self, at: Name) -> bool {
        let (sent, received) = self.count(at);
        sent == received
    }

    /// How much was put for this end, and how much has come.
    pub(crate) fn count(&self, at: Name) -> (u32, u32) {
        let (channel, by) = (at.channel as usize, 1 - at.side);
        (self.sent[channel][by], self.received[channel][by])
    }
}
