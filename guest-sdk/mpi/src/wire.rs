//! What the places of a job say to each other beside the messages of its ranks.
//!
//! A job is a tree of places: the launcher, an agent on each node, and the agents' ranks. Each rank makes a channel, reads one end of
//! it, its *inbox*, and hands the other one to its agent; whoever wants to send to that rank asks its own agent for a handle to that
//! end. Agents of different nodes ask each other, through the launcher, and keep what they got for all their ranks: so there is one
//! link between a node and a rank elsewhere, and none that nobody needs.

use places::{Channel, ExitReason};
use serde::{Deserialize, Serialize};

/// A way into the inbox of a rank.
pub(crate) type Inlet = Channel;

/// From whoever starts a job to its launcher: the first message. As JSON, it is what `placehost mpirun` sends.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct Order {
    pub(crate) start: String,
    #[serde(default)]
    pub(crate) args: Vec<String>,
    pub(crate) hosts: Vec<Host>,
    #[serde(default)]
    pub(crate) on_failure: OnFailure,
    #[serde(default)]
    pub(crate) tag_output: bool,
}

/// Where ranks run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Host {
    /// The address of a node; absent for that of whoever starts the job.
    #[serde(default)]
    pub address: Option<String>,
    /// How many ranks run there.
    pub ranks: u32,
}

/// What becomes of a job when a rank goes wrong.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OnFailure {
    /// All of it ends, with the reason of that rank.
    #[default]
    End,
    /// The others go on; an operation that needs that rank fails.
    Continue,
}

/// From the launcher, when the job has ended. `placehost mpirun` reads it as JSON.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Report {
    /// Every rank ended well, or was allowed not to.
    Done,
    /// This rank was the first to go wrong.
    Failed { rank: u32, host: String, reason: Reason },
    /// All ranks wait for each other; a line for each says what for.
    Deadlock { waits: Vec<String> },
    /// The job was not started, or its nodes went wrong.
    Cannot { why: String },
}

/// How a rank ended, in words that travel.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Reason {
    Returned,
    Exited(u8),
    Failed(String),
    Trapped { message: String, backtrace: String },
    Killed,
    Limit(String),
    NodeLost,
    Linked(String),
}

impl From<ExitReason> for Reason {
    fn from(reason: ExitReason) -> Self {
        match reason {
            ExitReason::Returned => Self::Returned,
            ExitReason::Exited(code) => Self::Exited(code),
            ExitReason::Failed(text) => Self::Failed(text),
            ExitReason::Trapped { message, backtrace } => Self::Trapped { message, backtrace },
            ExitReason::Limit(which) => Self::Limit(which),
            ExitReason::NodeLost => Self::NodeLost,
            ExitReason::Linked(which) => Self::Linked(which),
            // `Killed`, and what a later SDK may add to the others.
            _ => Self::Killed,
        }
    }
}

impl From<Reason> for ExitReason {
    fn from(reason: Reason) -> Self {
        match reason {
            Reason::Returned => Self::Returned,
            Reason::Exited(code) => Self::Exited(code),
            Reason::Failed(text) => Self::Failed(text),
            Reason::Trapped { message, backtrace } => Self::Trapped { message, backtrace },
            Reason::Killed => Self::Killed,
            Reason::Limit(which) => Self::Limit(which),
            Reason::NodeLost => Self::NodeLost,
            Reason::Linked(which) => Self::Linked(which),
        }
    }
}

/// From the launcher to an agent.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum ToAgent {
    /// The first message.
    Begin { order: Order, ranks: (u32, u32), hosts: Vec<u32>, host: u32 },
    /// A way into the inbox of a rank elsewhere, which the agent had asked for.
    Inlet { rank: u32, inlet: Inlet },
    /// Another agent asks for a way into the inbox of a rank of this one.
    Wanted { rank: u32, host: u32 },
    /// A rank has ended, wherever it was.
    Ended { rank: u32, reason: Reason },
    /// Those of its ranks that wait are to say what for.
    Report { round: u32 },
}

/// From an agent to the launcher.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum FromAgent {
    /// The agent wants a way into the inbox of a rank elsewhere.
    Want { rank: u32 },
    /// The answer to `Wanted`.
    Inlet { rank: u32, host: u32, inlet: Inlet },
    /// One of its ranks has ended.
    Ended { rank: u32, reason: Reason },
    /// One of its ranks waits, or is done.
    Waits { rank: u32, waits: Waits },
    /// A rank could not be started.
    Cannot { why: String },
}

/// From an agent to one of its ranks.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum ToRank {
    /// The first message.
    Begin { rank: u32, hosts: Vec<u32>, on_failure: OnFailure },
    /// What it asked for.
    Inlet { rank: u32, inlet: Inlet },
    /// It asked for a rank that has ended, or how it did.
    Ended { rank: u32, reason: Reason },
}

/// From a rank to its agent.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum FromRank {
    /// The way into its inbox: the first message.
    Inlet(Inlet),
    /// It wants a way into the inbox of a rank.
    Want { rank: u32 },
    /// The inbox of a rank is closed: it wants to know how that one ended.
    Gone { rank: u32 },
    /// It waits, or is done.
    Waits(Waits),
}

/// What a rank waits for, and how many messages it has exchanged: where no message is under way and every rank waits, it is for ever.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Waits {
    /// Of which request for such a report; 0 where it is done.
    pub(crate) round: u32,
    /// In words; empty where it is done.
    pub(crate) what: String,
    /// Messages to each rank.
    pub(crate) sent: Vec<u64>,
    /// Messages from each rank.
    pub(crate) received: Vec<u64>,
}
