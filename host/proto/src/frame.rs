//! What is on the wire: the frames of each kind of stream.
//!
//! A session is one QUIC connection. Its first stream, opened by who dialled, is the control stream: a [`Hello`] each way, then
//! [`Control`] frames. Everything else has streams that go one way and begin with a [`Head`]. The short messages of all channels
//! share one, the post, so that they travel together; a channel that has more to say goes on by a stream of its own, as do a module,
//! a blob, what a place prints. So nothing large is ever before a small thing that has to arrive soon.

use serde::{Deserialize, Serialize};

use crate::id::{Digest, Fingerprint, LinkId, NodeId, PlaceId, RequestId};

/// The versions of the protocol that this crate speaks, oldest and newest.
pub const VERSIONS: (u16, u16) = (3, 3);
/// The longest control frame. What may be longer is said in parts.
pub const MAX_CONTROL: u32 = 1 << 20;
/// The most requests that are joined in one frame.
pub const MAX_TOGETHER: usize = 1024;
/// The longest message of a place, in bytes.
pub const MAX_MESSAGE: u32 = 64 << 20;
/// The longest message in the post, with its list of ends, in bytes.
pub const MAX_POSTED: u32 = 32 << 10;
/// The longest list of ends and blobs of one message, encoded.
pub const MAX_ATTACHMENTS: u32 = 1 << 20;
/// The largest module, in bytes.
pub const MAX_MODULE: u64 = 256 << 20;
/// How much each side may send on a link before it is told that some was read: bytes, and [`crate::link::WEIGHT`] for each message.
pub const WINDOW: u64 = 1 << 20;

/// The first frame each way. Its beginning never changes, so that nodes of any two versions can say what they are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    /// The oldest and the newest version that the sender speaks.
    pub versions: (u16, u16),
    /// The sender's release, for people.
    pub release: String,
    /// This life of the sender.
    pub node: NodeId,
    /// What its owner calls it.
    pub name: String,
    /// Where it can be reached, as `HOST:PORT`; empty if nowhere.
    pub addresses: Vec<String>,
}

/// What a stream that goes one way begins with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Head {
    /// All messages of one direction of a channel follow, as [`crate::codec::LinkFrame`]s.
    Link(LinkId),
    /// Those that come after what was posted, once [`crate::codec::Piece::Rest`] has said so.
    Rest(LinkId),
    /// Short messages of any channel follow, as [`crate::codec::Posted`]. There is at most one such stream each way.
    Post,
    /// A module follows, as it is, that was [`Control::Want`]ed.
    Module {
        /// Its digest.
        digest: Digest,
        /// In bytes.
        size: u64,
    },
    /// A blob follows, as it is.
    Blob {
        /// Names it on this session, among those of the sender.
        number: u64,
        /// Its digest.
        digest: Digest,
        /// In bytes.
        size: u64,
    },
    /// What a place prints and logs follows, as [`crate::codec::OutputFrame`]s. It ends before the end of the place is told.
    Output(RequestId),
}

/// What the two nodes of a session say to each other.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Control {
    /// Asks for something; each request has one [`Control::Answer`].
    Ask(RequestId, Ask),
    /// Answers.
    Answer(RequestId, Answer),
    /// The module of a spawn is not known here: send it.
    Want(Digest),
    /// The module that was wanted cannot be sent.
    CannotShip(Digest, String),
    /// Ends the places that these requests of the sender's started; with the reason, where that is a link to a place that went wrong.
    Kill(Vec<RequestId>, Option<String>),
    /// The sender no longer cares how what this request watches ends.
    Unwatch(RequestId),
    /// What these requests of the receiver's started or watch has ended.
    Exited {
        /// The requests.
        requests: Vec<RequestId>,
        /// How, all of it.
        reason: Exit,
        /// What is to arrive before it is told.
        before: Before,
    },
    /// Nothing was or will be sent on this link by the sender.
    Finish(LinkId, End),
    /// Nobody reads what the receiver sends on this link.
    Gone(LinkId, End),
    /// The receiver may send this much more on this link.
    Credit(LinkId, u64),
    /// Introduces two nodes that the sender forwards between: [`crate::node`] has the order of events.
    Introduce(Introduce),
    /// A newer list of revoked certificates, signed by the authority of both.
    Revoked(Vec<u8>),
    /// Answer this: are you there?
    Ping(u64),
    /// Yes.
    Pong(u64),
    /// Why the sender is about to close.
    Goodbye(Goodbye),
}

impl Control {
    /// Says what `next` says too, as one frame: so a death that hits many places of a node is told to that node once. If it cannot,
    /// that comes back.
    ///
    /// # Errors
    /// The frame that is still to be said.
    pub fn join(&mut self, next: Self) -> Result<(), Self> {
        match (self, next) {
            (Self::Kill(requests, why), Self::Kill(more, same)) if *why == same && requests.len() + more.len() <= MAX_TOGETHER => {
                requests.extend(more);
                Ok(())
            }
            (Self::Exited { requests, reason, before }, Self::Exited { requests: more, reason: same, before: also })
                if *reason == same && *before == also && requests.len() + more.len() <= MAX_TOGETHER =>
            {
                requests.extend(more);
                Ok(())
            }
            (_, next) => Err(next),
        }
    }
}

/// What may be asked for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Ask {
    /// Start a place.
    Spawn(Box<Spawn>),
    /// A channel of one's own to a named place.
    Lookup {
        /// Its name.
        name: String,
        /// The sender's end of it.
        link: LinkId,
    },
    /// Tell when this place ends.
    Watch(PlaceId),
    /// What runs here? Answered in parts.
    List,
    /// Which nodes are connected? Answered in parts.
    Peers,
    /// End a place that somebody else started.
    KillPlace(PlaceId),
    /// Take no more places, end those that are there, then the node.
    Stop,
}

/// What comes of a request.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Answer {
    /// The place runs, or what was to be watched is.
    Started {
        /// The place.
        place: PlaceId,
        /// Of who started it: a number that its node spares for a place that this peer may ask for later, so that its id is known
        /// before that is answered.
        spare: Option<u64>,
    },
    /// It is done, or will be.
    Done,
    /// A part of a list; the last one says so.
    Listing {
        /// Places.
        places: Vec<PlaceRow>,
        /// Nodes.
        peers: Vec<PeerRow>,
        /// Whether this is all.
        last: bool,
    },
    /// No.
    Refused(Refusal),
}

/// Why not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Refusal {
    /// No such start function, place or name; the text says what there is instead.
    NotFound(String),
    /// The module cannot run there.
    BadModule(String),
    /// The node's policy does not allow it.
    Denied(String),
    /// There is no room.
    Limit(String),
    /// The name is taken.
    Exists(String),
    /// The node ends.
    Stopping,
}

/// A place to be started.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Spawn {
    /// The module it is started from.
    pub module: Digest,
    /// The module's size, so that one that is too large is refused unread.
    pub size: u64,
    /// What its owner calls the module.
    pub file: String,
    /// Its start function.
    pub start: String,
    /// Its arguments.
    pub args: Vec<String>,
    /// Bytes of memory.
    pub memory: u64,
    /// Nanoseconds of life.
    pub deadline: Option<u64>,
    /// Units of fuel.
    pub fuel: Option<u64>,
    /// Messages and bytes in each direction of its channel, on each side of the wire.
    pub bounds: (u64, u64),
    /// What it may reach, if the node allows it.
    pub grants: SpawnGrants,
    /// A name for it.
    pub name: Option<String>,
    /// Whether it outlives the session.
    pub detached: bool,
    /// Whether what it logs comes back, as [`LogLine`]s.
    pub log_to_parent: bool,
    /// The number in its id, one that was [spared](Answer::Started); the receiver chooses it otherwise.
    pub seq: Option<u64>,
    /// The sender's end of its channel.
    pub link: LinkId,
}

/// What a place is to reach.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SpawnGrants {
    /// Whether each was asked for by name: then one that the node does not have is an error, and is left out otherwise.
    pub explicit: bool,
    /// Directories of the node, by their path in the guest, and whether they are only read.
    pub dirs: Vec<(String, bool)>,
    /// Environment variables.
    pub env: Vec<(String, String)>,
    /// TCP, UDP and name look-up.
    pub network: bool,
    /// Other nodes.
    pub nodes: bool,
}

/// A line that a place has logged.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogLine {
    /// How much it matters.
    pub level: LogLevel,
    /// Who logged it: that place, or one below it.
    pub place: PlaceId,
    /// The start function of that.
    pub start: String,
    /// What its node calls itself.
    pub node: String,
    /// When: milliseconds since 1970, by the clock of that node.
    pub time: u64,
    /// What.
    pub message: String,
}

/// How much a line matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum LogLevel {
    /// For following every step.
    Trace,
    /// For finding a fault.
    Debug,
    /// For who runs it.
    Info,
    /// Something is not as it should be.
    Warn,
    /// Something failed.
    Error,
}

/// How a place ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Exit {
    /// Its start function returned.
    Returned,
    /// It called `exit`.
    Exited(u8),
    /// Its start function returned an error.
    Failed(String),
    /// It panicked, or did something WebAssembly forbids: the message and the backtrace.
    Trapped(String, String),
    /// It was killed.
    Killed,
    /// It went over a limit.
    Limit(String),
    /// It was linked to a place that went wrong.
    Linked(String),
    /// Its node is lost.
    NodeLost,
}

/// What comes by other streams before the end of a place is told, so that it is told last, as on one node.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Before {
    /// Output: there is a [`Head::Output`] stream.
    pub output: bool,
    /// The end of what it put on its channel, for its end has gone with it.
    pub channel: bool,
    /// That nobody reads what is put on its channel, likewise.
    pub reader: bool,
}

/// How a direction of a link ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum End {
    /// Who was there has gone.
    Closed,
    /// The node it was on is lost.
    NodeLost,
    /// The rest comes on another session.
    Moved,
}

/// Introduces two nodes to each other, so that a channel between them need not go through a third.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Introduce {
    /// To the one that will be dialled: this link will be asked for by that node.
    Expect {
        /// Names the introduction, among those of the sender.
        number: u64,
        /// The link, on this session.
        link: LinkId,
        /// Who will ask for it.
        node: NodeId,
        /// And by which key.
        key: Fingerprint,
    },
    /// From the one that will be dialled: whether it waits for that.
    Expecting {
        /// The introduction.
        number: u64,
        /// Whether.
        yes: bool,
    },
    /// To the one that will be dialled: it will not be asked for.
    Forget {
        /// The introduction.
        number: u64,
    },
    /// To the one that dials: the other end of this link is there.
    Meet {
        /// The introduction.
        number: u64,
        /// The link, on this session.
        link: LinkId,
        /// Where its other end is.
        node: NodeId,
        /// By which key it will be known.
        key: Fingerprint,
        /// Where that can be reached.
        addresses: Vec<String>,
    },
    /// From the one that dials: it could not, or would not.
    Unreachable {
        /// The introduction.
        number: u64,
    },
    /// Between the two: I was introduced by this node; here is the link.
    Attach {
        /// Who introduced.
        introducer: NodeId,
        /// Under which number.
        number: u64,
        /// The link, on this session.
        link: LinkId,
    },
    /// Yes: from here on I send on the new link, and read it where the old one ends.
    Attached {
        /// Who introduced.
        introducer: NodeId,
        /// Under which number.
        number: u64,
    },
    /// No: I know nothing of it, or no longer.
    Stranger {
        /// Who introduced.
        introducer: NodeId,
        /// Under which number.
        number: u64,
    },
}

/// A place in a list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlaceRow {
    /// Its id.
    pub id: PlaceId,
    /// Its name.
    pub name: Option<String>,
    /// Its module: what its owner calls it, or the digest's beginning.
    pub module: String,
    /// Its start function.
    pub start: String,
    /// Whether it computes, and does not wait.
    pub running: bool,
    /// What it says it is doing.
    pub label: Option<String>,
    /// Milliseconds since it was started.
    pub age: u64,
    /// Bytes of linear memory.
    pub memory: u64,
    /// Messages it has got.
    pub received: u64,
    /// Messages it has put.
    pub sent: u64,
    /// Messages that wait in the channel that it was started with.
    pub mailbox: u64,
}

/// A node in a list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PeerRow {
    /// Its id.
    pub id: NodeId,
    /// What its owner calls it.
    pub name: String,
    /// Where it is.
    pub address: String,
    /// Whether it dialled.
    pub dialled_us: bool,
    /// Channels that cross.
    pub links: u64,
    /// Places of this node that belong to it.
    pub places: u64,
    /// Microseconds for a round trip.
    pub round_trip: u64,
}

/// Why a session is closed on purpose.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum Goodbye {
    /// The sender is done.
    #[error("it ended")]
    Done,
    /// There is another session between the two.
    #[error("there is another connection to it")]
    Duplicate,
    /// The sender has not heard from the receiver in time.
    #[error("nothing was heard from it in time")]
    Silent,
    /// No version is spoken by both.
    #[error("{0}")]
    Version(String),
    /// The receiver broke the protocol.
    #[error("it broke the protocol: {0}")]
    Protocol(String),
    /// The receiver's certificate is not that of who it says it is, or has been revoked.
    #[error("it is not trusted: {0}")]
    Untrusted(String),
    /// The sender's node is stopping.
    #[error("it is stopping")]
    Stopping,
    /// The sender is the receiver.
    #[error("it is this node itself")]
    Itself,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kill(requests: impl IntoIterator<Item = u64>, why: Option<&str>) -> Control {
        Control::Kill(requests.into_iter().map(RequestId).collect(), why.map(Into::into))
    }

    fn exited(request: u64, reason: Exit) -> Control {
        Control::Exited { requests: vec![RequestId(request)], reason, before: Before::default() }
    }

    #[test]
    fn only_what_is_said_for_the_same_reason_is_joined() {
        let mut kills = kill([1], None);
        assert_eq!(kills.join(kill([2, 3], None)), Ok(()));
        assert_eq!(kills.join(kill([4], Some("why"))), Err(kill([4], Some("why"))));
        assert_eq!(kills.join(exited(5, Exit::Killed)), Err(exited(5, Exit::Killed)));
        assert_eq!(kills, kill([1, 2, 3], None));

        let mut ends = exited(1, Exit::Killed);
        assert_eq!(ends.join(exited(2, Exit::Killed)), Ok(()));
        assert_eq!(ends.join(exited(3, Exit::Returned)), Err(exited(3, Exit::Returned)));
        let both = vec![RequestId(1), RequestId(2)];
        assert_eq!(ends, Control::Exited { requests: both, reason: Exit::Killed, before: Before::default() });
    }

    #[test]
    fn a_frame_says_so_much_and_no_more() {
        let mut most = kill(0..MAX_TOGETHER as u64, None);
        assert_eq!(most.join(kill([7], None)), Err(kill([7], None)));
    }
}
