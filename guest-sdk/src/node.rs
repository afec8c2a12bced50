//! Nodes: the one that this place runs on, and others.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::bindings::{nodes, types};
use crate::options::nanos;
use crate::{Channel, Error, Pollable, ready};

/// A running host that places can be started on, and found on by name. Clones are handles to the same node; dropping them changes
/// nothing there.
///
/// ```no_run
/// # mod program {
/// # use places::{Channel, Node};
/// # #[places::start] fn greeter(_: Channel<Channel<String, String>, ()>) {}
/// # #[places::start] fn main(_: Channel) -> places::Result {
/// let node = Node::connect("host2:6340")?;
/// greeter::at(&node).named("greeter").spawn()?;
/// // Whoever knows the name gets a channel of its own; the greeter gets the other end as a message.
/// let client: Channel<String, String> = node.lookup("greeter")?;
/// println!("{}", client.put_get("Hello")?);
/// # Ok(()) }
/// # }
/// # fn main() {}
/// ```
#[derive(Debug)]
pub struct Node(nodes::Node);

impl Node {
    /// The node that this place runs on.
    pub fn this() -> Self {
        Self(nodes::Node::this())
    }

    /// The node that listens at an address, `host` or `host:port`. Connecting to it twice gives two handles to one node; connecting to
    /// the node that this place runs on gives [`Self::this`].
    ///
    /// # Errors
    /// [`Error::Unreachable`]; [`Error::Denied`] where this place may not reach other nodes, or that one refuses us.
    pub fn connect(address: &str) -> Result<Self, Error> {
        Ok(Self(nodes::Node::connect(address)?))
    }

    /// As [`Self::connect`], within an `async` function: what else goes on in this place is not stopped. Where nobody answers that takes
    /// seconds. To drop it is to give that up.
    ///
    /// # Errors
    /// As [`Self::connect`].
    pub async fn connect_async(address: &str) -> Result<Self, Error> {
        let dialling = nodes::Node::dial(address);
        let known = dialling.subscribe();
        ready(&known).await;
        Ok(Self(dialling.finish()?))
    }

    /// A node to be launched on a machine, by ssh. It ends with the node that this place runs on, and what its places print comes to
    /// where this place prints.
    ///
    /// ```no_run
    /// # fn main() -> Result<(), places::Error> {
    /// let node = places::Node::create("host2").listen_port(6344).launch()?;
    /// # Ok(()) }
    /// ```
    pub fn create(hostname: impl Into<String>) -> CreateOptions {
        let options = nodes::CreateOptions { listen_port: None, placehost_path: None, ssh_path: None, user: None, time_out: None };
        CreateOptions { hostname: hostname.into(), options }
    }

    /// Names this life of the node.
    pub fn id(&self) -> NodeId {
        self.0.id().into()
    }

    /// What it calls itself.
    pub fn name(&self) -> String {
        self.0.name()
    }

    /// Where it was reached; absent for [`Node::this`].
    pub fn address(&self) -> Option<String> {
        self.0.address()
    }

    /// A channel to the place of that name: one end of a new one, whose other end the place gets as a message on the channel that it
    /// was started with. A server for any number of clients is a start function that takes a `Channel<Channel<Request, Reply>, ()>`.
    /// This does not wait for the place.
    ///
    /// # Errors
    /// [`Error::NotFound`] where no living place has the name, [`Error::Limit`] where it cannot take another client,
    /// [`Error::NodeLost`], and [`Error::Denied`] where the node does not allow it.
    pub fn lookup<G, P>(&self, name: &str) -> Result<Channel<G, P>, Error> {
        Ok(Channel::new(self.0.lookup(name)?))
    }

    /// Ends the node and all its places.
    ///
    /// # Errors
    /// [`Error::Denied`] where it does not let us, as [`Node::this`] never does; [`Error::NodeLost`].
    pub fn exit(&self) -> Result<(), Error> {
        Ok(self.0.exit()?)
    }

    /// A WASI pollable, ready when the connection to it is gone. [`sync!`](crate::sync!) takes [`Self::lost`].
    pub fn subscribe_lost(&self) -> Pollable {
        self.0.subscribe()
    }

    pub(crate) fn raw(&self) -> &nodes::Node {
        &self.0
    }
}

impl Clone for Node {
    fn clone(&self) -> Self {
        Self(self.0.share())
    }
}

/// How a node is to be launched; see [`Node::create`]. What is not said is up to the host.
#[derive(Clone, Debug)]
#[must_use = "nothing is launched before `launch`"]
pub struct CreateOptions {
    hostname: String,
    options: nodes::CreateOptions,
}

impl CreateOptions {
    /// The UDP port it listens on.
    pub fn listen_port(mut self, port: u16) -> Self {
        self.options.listen_port = Some(port);
        self
    }

    /// The command `placehost` over there.
    pub fn placehost_path(mut self, path: impl Into<String>) -> Self {
        self.options.placehost_path = Some(path.into());
        self
    }

    /// The command `ssh` here.
    pub fn ssh_path(mut self, path: impl Into<String>) -> Self {
        self.options.ssh_path = Some(path.into());
        self
    }

    /// Who to be over there.
    pub fn user(mut self, name: impl Into<String>) -> Self {
        self.options.user = Some(name.into());
        self
    }

    /// How long all of it may take.
    pub fn time_out(mut self, time: Duration) -> Self {
        self.options.time_out = Some(nanos(time));
        self
    }

    /// Launches it and connects to it.
    ///
    /// # Errors
    /// [`Error::Unreachable`], which says how far it came; [`Error::Denied`] where this place may not create nodes.
    pub fn launch(self) -> Result<Node, Error> {
        Ok(Node(nodes::Node::create(&self.hostname, &self.options)?))
    }
}

/// Names one life of a node: its restart is another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(from = "[u64; 2]", into = "[u64; 2]")]
pub struct NodeId(pub u128);

impl fmt::Display for NodeId {
    /// The first 32 bits, which tell apart what a person has before them.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:08x}", self.0 >> 96)
    }
}

impl From<[u64; 2]> for NodeId {
    fn from([hi, lo]: [u64; 2]) -> Self {
        Self(u128::from(hi) << 64 | u128::from(lo))
    }
}

impl From<NodeId> for [u64; 2] {
    fn from(NodeId(id): NodeId) -> Self {
        [(id >> 64) as u64, id as u64]
    }
}

impl From<types::NodeId> for NodeId {
    fn from(types::NodeId { hi, lo }: types::NodeId) -> Self {
        [hi, lo].into()
    }
}

impl From<NodeId> for types::NodeId {
    fn from(id: NodeId) -> Self {
        let [hi, lo] = id.into();
        Self { hi, lo }
    }
}
