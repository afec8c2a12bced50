//! How a place is to be started, and what it may reach.

use std::time::Duration;

use crate::Node;
use crate::bindings::{api, channels};
use crate::scratch::SCRATCH;

/// How a place is to be started. What is not said is its parent's; nothing can be more than its parent's.
///
/// ```
/// # use places::Options;
/// # use std::time::Duration;
/// Options::new().named("worker").args(["--fast"]).memory(16 << 20).deadline(Duration::from_secs(5));
/// ```
#[derive(Clone, Debug, Default)]
pub struct Options {
    at: Option<Node>,
    name: Option<String>,
    detached: bool,
    link: bool,
    log_to_parent: bool,
    prefix: Option<String>,
    args: Vec<String>,
    memory: Option<u64>,
    deadline: Option<Duration>,
    fuel: Option<u64>,
    capacity: Option<u32>,
    grants: Option<Grants>,
}

impl Options {
    /// All its parent has, here, without a name.
    pub fn new() -> Self {
        Self::default()
    }

    /// On that node. The module is found where this place runs, and goes there if need be.
    #[must_use]
    pub fn at(mut self, node: &Node) -> Self {
        self.at = Some(node.clone());
        self
    }

    /// Under a name, by which [`Node::lookup`] finds it: 1 to 255 bytes, none of them of control characters. It is free again when
    /// the place has ended. As long as the place lives, its channel is not closed because its parent has dropped the other end.
    #[must_use]
    pub fn named(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// It outlives the place that starts it, though not that one's deadline, and prints where its node does.
    #[must_use]
    pub fn detached(mut self) -> Self {
        self.detached = true;
        self
    }

    /// Linked from its beginning, as by [`Place::link`](crate::Place::link).
    #[must_use]
    pub fn link(mut self) -> Self {
        self.link = true;
        self
    }

    /// What it and its places log goes also to the node of the place that starts it: and on to that one's creator, if that place does
    /// so too. Not where it is [`detached`](Self::detached). What is logged faster than it travels is lost, and said to be.
    #[must_use]
    pub fn log_to_parent(mut self) -> Self {
        self.log_to_parent = true;
        self
    }

    /// Puts this before each line that it and its children print: at most 255 bytes, none of them of control characters. What it prints
    /// appears line by line then.
    #[must_use]
    pub fn prefix(mut self, prefix: impl Into<String>) -> Self {
        self.prefix = Some(prefix.into());
        self
    }

    /// Command-line arguments, after the name of the start function.
    #[must_use]
    pub fn args<S: Into<String>>(mut self, args: impl IntoIterator<Item = S>) -> Self {
        self.args = args.into_iter().map(Into::into).collect();
        self
    }

    /// Bytes of memory.
    #[must_use]
    pub fn memory(mut self, bytes: u64) -> Self {
        self.memory = Some(bytes);
        self
    }

    /// How long it may live.
    #[must_use]
    pub fn deadline(mut self, life: Duration) -> Self {
        self.deadline = Some(life);
        self
    }

    /// Units of fuel, on a host that counts it.
    #[must_use]
    pub fn fuel(mut self, units: u64) -> Self {
        self.fuel = Some(units);
        self
    }

    /// How many messages wait in each direction before putting does.
    #[must_use]
    pub fn capacity(mut self, messages: u32) -> Self {
        self.capacity = Some(messages);
        self
    }

    /// What it may reach outside of itself.
    #[must_use]
    pub fn grants(mut self, grants: Grants) -> Self {
        self.grants = Some(grants);
        self
    }

    /// The same in the words of the contract.
    pub(crate) fn raw(&self) -> api::SpawnOptions<'_> {
        api::SpawnOptions {
            args: self.args.clone(),
            memory: self.memory,
            deadline: self.deadline.map(nanos),
            fuel: self.fuel,
            bounds: channels::Bounds { messages: self.capacity, bytes: None },
            grants: self.grants.clone().map(Grants::raw),
            at: self.at.as_ref().map(Node::raw),
            name: self.name.clone(),
            detached: self.detached,
            link: self.link,
            log_to_parent: self.log_to_parent,
            prefix: self.prefix.clone(),
        }
    }
}

/// What a place may reach outside of itself: a part of what its parent may. The default is nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Grants {
    /// Of its parent's directories, by their path in the guest.
    pub dirs: Vec<String>,
    /// A scratch directory of its own: see [`scratch`](crate::scratch()).
    pub scratch: bool,
    /// Of its parent's environment variables, by name.
    pub env: Vec<String>,
    /// The network.
    pub network: bool,
    /// Connecting to other nodes, and creating them.
    pub nodes: bool,
}

impl Grants {
    /// The same in the words of the contract.
    fn raw(self) -> api::Grants {
        let Self { mut dirs, scratch, env, network, nodes } = self;
        dirs.extend(scratch.then(|| SCRATCH.to_owned()));
        api::Grants { dirs, env, network, nodes }
    }
}

/// As the contract counts time; more than it can is as good as for ever.
pub(crate) fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}
