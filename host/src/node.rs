//! Nodes: this host, and others that it is connected to.
//!
//! What can be done on a node looks the same wherever it is. This module is the seam: a [`Network`] brings [`Peer`]s, and nobody on
//! this side knows how an order travels. A host without a network is a node alone.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use crate::channel::Channel;
use crate::config::{Dir, Objects, Output, PlaceConfig};
use crate::engine::{Module, Source};
use crate::host::Shared;
use crate::id::{NodeId, PlaceId};
use crate::net::trust::refusal::Refusal;
use crate::place::{self, LookupError, Monitor, Owner, Place, PlaceInfo, Request, SpawnError};

/// A node: this one, or another that this one is connected to. Clones are handles to the same node.
#[derive(Clone)]
pub struct Node(Kind);

#[derive(Clone)]
enum Kind {
    Here(Arc<Shared>),
    There(Arc<dyn Peer>),
}

/// Another node, over whatever connects it with this one.
#[async_trait]
pub(crate) trait Peer: Send + Sync + 'static {
    fn id(&self) -> NodeId;
    fn name(&self) -> &str;
    /// Where it was reached.
    fn address(&self) -> String;
    async fn spawn(&self, order: Order) -> Result<(Place, Channel), SpawnError>;
    async fn lookup(&self, name: &str) -> Result<Channel, LookupError>;
    /// A handle for waiting alone: to kill the place by it does nothing.
    async fn monitor(&self, place: PlaceId) -> Result<Place, LookupError>;
    /// Ends the node, if it lets us.
    async fn exit(&self) -> Result<(), NodeError>;
    /// What runs there.
    async fn list(&self) -> Result<Vec<PlaceInfo>, NodeError>;
    /// Which nodes it is connected to.
    async fn peers(&self) -> Result<Vec<PeerInfo>, NodeError>;
    /// Ends a place there that somebody else started, if it lets us.
    async fn kill(&self, place: PlaceId) -> Result<(), LookupError>;
    /// Resolves when the connection is gone.
    async fn lost(&self);
}

/// What connects nodes.
#[async_trait]
pub(crate) trait Network: Send + Sync + 'static {
    /// The node that listens at an address.
    async fn connect(&self, address: &str) -> Result<Node, NodeError>;
    /// A node that is launched on a machine, and ends with this one. What its places print comes here.
    async fn create(&self, machine: &str, options: CreateOptions, stdout: Output, stderr: Output) -> Result<Node, NodeError>;
    /// A node that is connected now.
    fn peer(&self, id: NodeId) -> Option<Node>;
    /// The nodes that are connected now.
    fn peers(&self) -> Vec<PeerInfo>;
    /// Lets others connect from now on; where they can.
    async fn listen(&self) -> Result<Vec<String>, NodeError>;
    /// The address of its socket, once there is one.
    fn local_address(&self) -> Option<SocketAddr>;
    /// Resolves when the node has been told to stop.
    async fn stopped(&self);
    /// Takes no more places from others, and tells who waits for that.
    fn stop(&self);
    /// Says goodbye to all nodes.
    async fn shut_down(&self);
}

/// A node that another is connected to.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct PeerInfo {
    /// This life of it.
    pub id: NodeId,
    /// What it calls itself.
    pub name: String,
    /// Where it is.
    pub address: String,
    /// Whether it dialled.
    pub dialled_us: bool,
    /// Channels that cross to it.
    pub links: u64,
    /// Places that it started here.
    pub places: u64,
    /// A round trip to it.
    pub round_trip: Duration,
}

/// A place that is to be started on some node.
pub(crate) struct Order {
    pub(crate) module: Source,
    /// It, where it is compiled: it has to be where it is to run, and nowhere else.
    pub(crate) compiled: Option<Module>,
    pub(crate) start: String,
    /// What its spawner lets it have; the node may let it have less.
    pub(crate) config: PlaceConfig,
    pub(crate) name: Option<String>,
    /// It outlives whoever started it, and prints where its node does.
    pub(crate) detached: bool,
    /// Who started it, and ends it by ending unless it is detached.
    pub(crate) owner: Arc<Owner>,
    /// Whether its grants were asked for, and are not just all that its spawner has. On another node a directory that was asked for
    /// must be refused, one that merely was at hand is left out.
    pub(crate) explicit_grants: bool,
}

/// How a place stands among others. The default is a place without a name, that ends with who started it.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct SpawnOptions {
    /// By which others find it, with [`Node::lookup`].
    pub name: Option<String>,
    /// Whether it outlives who started it. Then it prints where its node does.
    pub detached: bool,
}

/// How a node is launched on another machine.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct CreateOptions {
    /// The UDP port it listens on.
    pub listen_port: Option<u16>,
    /// The command `placehost` over there.
    pub placehost_path: Option<String>,
    /// The command `ssh` here.
    pub ssh_path: Option<String>,
    /// Who to be over there.
    pub user: Option<String>,
    /// How long all of it may take.
    pub time_out: Option<Duration>,
    /// Units of fuel that each place there has at most; fuel is not counted there where absent.
    pub fuel: Option<u64>,
    /// Directories of that machine that places there may be given, as far as who starts them has one of the same path in the place.
    pub dirs: Vec<Dir>,
    /// Parts of object stores that they may be given, by the credentials of that machine.
    pub objects: Vec<Objects>,
}

/// Why a node could not be reached, launched or ended.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NodeError {
    /// Nobody answers there.
    #[error("there is no node at `{address}`: {why}")]
    Unreachable {
        /// As it was given.
        address: String,
        /// What was tried, and what came of it.
        why: String,
    },
    /// It is not allowed; the text says what, and by whom.
    #[error("{0}")]
    Denied(String),
    /// One side did not believe the other.
    #[error("{0} ({hint})", hint = .0.hint())]
    Untrusted(Box<Refusal>),
    /// This host cannot listen where it should.
    #[error("cannot listen on {address}")]
    Listen {
        /// As it was asked for.
        address: SocketAddr,
        /// What the system said.
        source: std::io::Error,
    },
    /// The connection to it is gone.
    #[error("the node is lost")]
    Lost,
    /// It speaks another version of the protocol; the text says which.
    #[error("{0}")]
    Version(String),
    /// It could not be launched; the text says how far that came.
    #[error("{0}")]
    Create(String),
    /// The address or the options make no sense; the text says why.
    #[error("{0}")]
    Invalid(String),
    /// This host is a node alone.
    #[error("this host knows no other nodes: it was built without a network")]
    NoNetwork,
}

impl Node {
    pub(crate) fn here(host: &Arc<Shared>) -> Self {
        Self(Kind::Here(Arc::clone(host)))
    }

    /// Another node.
    pub(crate) fn there(peer: Arc<dyn Peer>) -> Self {
        Self(Kind::There(peer))
    }

    /// Names this life of the node.
    pub fn id(&self) -> NodeId {
        match &self.0 {
            Kind::Here(host) => host.node,
            Kind::There(peer) => peer.id(),
        }
    }

    /// What it calls itself.
    pub fn name(&self) -> &str {
        match &self.0 {
            Kind::Here(host) => &host.name,
            Kind::There(peer) => peer.name(),
        }
    }

    /// Where it was reached; absent for this node.
    pub fn address(&self) -> Option<String> {
        match &self.0 {
            Kind::Here(_) => None,
            Kind::There(peer) => Some(peer.address()),
        }
    }

    /// Starts a place there.
    pub(crate) async fn spawn(&self, order: Order) -> Result<(Place, Channel), SpawnError> {
        match &self.0 {
            Kind::Here(host) => spawn_here(host, order).await,
            Kind::There(peer) => peer.spawn(order).await,
        }
    }

    /// A channel to the place of this name: one end of a new one, whose other end the place gets as a message on the channel that it
    /// was started with. It does not wait for the place.
    ///
    /// # Errors
    /// [`LookupError`]: there is no such place, it cannot take another client, or the node is lost.
    pub async fn lookup(&self, name: &str) -> Result<Channel, LookupError> {
        match &self.0 {
            Kind::Here(host) => host.registry.connect(name),
            Kind::There(peer) => peer.lookup(name).await,
        }
    }

    /// A handle to a living place of the node, to wait for its end. To kill it there is [`crate::Host::find`].
    ///
    /// # Errors
    /// [`LookupError`]: no such place lives, or the node is lost.
    pub async fn monitor(&self, place: PlaceId) -> Result<Monitor, LookupError> {
        let found = match &self.0 {
            Kind::Here(host) => host.registry.find(place).ok_or(LookupError::NoPlace { id: place }),
            Kind::There(peer) => peer.monitor(place).await,
        };
        found.map(Monitor::new)
    }

    /// Ends the node, if it lets us.
    ///
    /// # Errors
    /// [`NodeError::Denied`], always for this node; [`NodeError::Lost`].
    pub async fn exit(&self) -> Result<(), NodeError> {
        match &self.0 {
            Kind::Here(_) => Err(NodeError::Denied("a node is not ended from inside: stop the process that it is".into())),
            Kind::There(peer) => peer.exit().await,
        }
    }

    /// What runs there, the oldest first.
    ///
    /// # Errors
    /// [`NodeError`]: it does not let us see that, or is lost.
    pub async fn list(&self) -> Result<Vec<PlaceInfo>, NodeError> {
        match &self.0 {
            Kind::Here(host) => Ok(host.registry.list()),
            Kind::There(peer) => peer.list().await,
        }
    }

    /// The nodes that it is connected to.
    ///
    /// # Errors
    /// As [`Self::list`].
    pub async fn peers(&self) -> Result<Vec<PeerInfo>, NodeError> {
        match &self.0 {
            Kind::Here(host) => Ok(host.network.get().map(|network| network.peers()).unwrap_or_default()),
            Kind::There(peer) => peer.peers().await,
        }
    }

    /// Ends a place there, whoever started it.
    ///
    /// # Errors
    /// [`LookupError`]: no such place lives, it does not let us, or it is lost.
    pub async fn kill(&self, place: PlaceId) -> Result<(), LookupError> {
        match &self.0 {
            Kind::Here(host) => {
                host.registry.find(place).ok_or(LookupError::NoPlace { id: place })?.kill_soon();
                Ok(())
            }
            Kind::There(peer) => peer.kill(place).await,
        }
    }

    /// Waits until the connection to the node is gone; for ever, where it is this one.
    pub async fn lost(&self) {
        match &self.0 {
            Kind::Here(_) => std::future::pending().await,
            Kind::There(peer) => peer.lost().await,
        }
    }
}

async fn spawn_here(host: &Arc<Shared>, order: Order) -> Result<(Place, Channel), SpawnError> {
    let Order { module, compiled, start, mut config, name, detached, mut owner, .. } = order;
    let module = match compiled {
        Some(module) => module,
        None => host.modules.compile_source(&module).await.map_err(|error| SpawnError::BadModule(error.to_string()))?,
    };
    if detached {
        owner = Arc::clone(&host.detached);
        (config.stdout, config.stderr) = (host.stdout.clone(), host.stderr.clone());
        config.log = None;
    }
    place::spawn(host, Request { module, start, config, owner, name, seq: None, channel: None })
}

impl fmt::Debug for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Node").field("id", &self.id()).field("name", &self.name()).finish_non_exhaustive()
    }
}

impl Shared {
    /// The living place of this id, on whichever node that is.
    pub(crate) async fn monitor(self: &Arc<Self>, place: PlaceId) -> Result<Monitor, LookupError> {
        let node = match self.network.get() {
            _ if place.node == self.node => Some(Node::here(self)),
            Some(network) => network.peer(place.node),
            None => None,
        };
        match node {
            Some(node) => node.monitor(place).await,
            None => Err(LookupError::NoNode { id: place.node }),
        }
    }

    /// What connects this node with others.
    pub(crate) fn network(&self) -> Result<&Arc<dyn Network>, NodeError> {
        self.network.get().ok_or(NodeError::NoNetwork)
    }
}
