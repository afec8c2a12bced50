//! Starting places, and the handle to one.

use std::fmt;
use std::ops::Deref;
use std::time::Duration;

use crate::bindings::{api, channels, types};
use crate::{Bytes, Channel, Error, ExitReason, Pollable};

/// A place that this one started: the end of its channel, and its end.
///
/// It gets `G` and puts `P`, as a [`Channel`] does, and derefs to one. Dropping it closes the channel but does not end the place;
/// the end of this place does.
#[derive(Debug)]
pub struct Place<G = Bytes, P = Bytes> {
    place: api::Place,
    channel: Channel<G, P>,
}

/// Which module a place is started from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Module {
    /// That of the place that asks.
    This,
    /// The one in a file: a path relative to the folder of the asking place's own module, and inside it.
    File(String),
}

impl From<&str> for Module {
    fn from(path: &str) -> Self {
        Self::File(path.to_owned())
    }
}

impl From<String> for Module {
    fn from(path: String) -> Self {
        Self::File(path)
    }
}

/// Starts the start function `start` of a module as a place. In the name, `_` and `-` are the same.
///
/// A start function of this crate has a shorter way, with types: `hello_world::spawn()`; see [`start`](macro@crate::start).
///
/// # Errors
/// [`Error::NotFound`], [`Error::BadModule`]; [`Error::Denied`] where the module lies elsewhere or the options ask for more than
/// this place has; [`Error::Limit`] where the host has no room.
pub fn spawn(module: impl Into<Module>, start: &str, options: Options) -> Result<Place, Error> {
    let path = match module.into() {
        Module::This => None,
        Module::File(path) => Some(path),
    };
    let (place, end) = api::spawn(path.as_deref(), start, &options.0)?;
    Ok(Place { place, channel: Channel::new(end) })
}

/// The name of this place.
pub fn this() -> PlaceId {
    api::self_id().into()
}

impl<G, P> Place<G, P> {
    /// Its name, never used again.
    pub fn id(&self) -> PlaceId {
        self.place.id().into()
    }

    /// Waits for its end; any number of times.
    pub fn wait(&self) -> ExitReason {
        self.place.wait().into()
    }

    /// Ends it, whatever it is doing, and waits until that is so. One that ended before keeps its reason.
    pub fn kill(&self) {
        self.place.kill();
    }

    /// The end of its channel, which this derefs to.
    pub fn channel(&self) -> &Channel<G, P> {
        &self.channel
    }

    /// The end of its channel alone. The place lives on; nobody can wait for it or kill it any more.
    pub fn into_channel(self) -> Channel<G, P> {
        self.channel
    }

    /// The same place, with other types: a promise about what travels, which nothing checks before it does.
    pub fn typed<G2, P2>(self) -> Place<G2, P2> {
        Place { place: self.place, channel: self.channel.typed() }
    }

    /// A WASI pollable, ready when the place has ended.
    pub fn subscribe_exit(&self) -> Pollable {
        self.place.subscribe()
    }

    pub(crate) fn raw(&self) -> &api::Place {
        &self.place
    }
}

impl<G, P> Deref for Place<G, P> {
    type Target = Channel<G, P>;

    fn deref(&self) -> &Channel<G, P> {
        &self.channel
    }
}

/// How a place is to be started. What is not said is its parent's; nothing can be more than its parent's.
///
/// ```
/// # use places::Options;
/// # use std::time::Duration;
/// Options::new().args(["--fast"]).memory(16 << 20).deadline(Duration::from_secs(5));
/// ```
#[derive(Clone, Debug)]
pub struct Options(api::SpawnOptions);

impl Default for Options {
    fn default() -> Self {
        Self::new()
    }
}

impl Options {
    /// All its parent has.
    pub fn new() -> Self {
        let bounds = channels::Bounds { messages: None, bytes: None };
        Self(api::SpawnOptions { args: Vec::new(), memory: None, deadline: None, fuel: None, bounds, grants: None })
    }

    /// Command-line arguments, after the name of the start function.
    #[must_use]
    pub fn args<S: Into<String>>(mut self, args: impl IntoIterator<Item = S>) -> Self {
        self.0.args = args.into_iter().map(Into::into).collect();
        self
    }

    /// Bytes of memory.
    #[must_use]
    pub fn memory(mut self, bytes: u64) -> Self {
        self.0.memory = Some(bytes);
        self
    }

    /// How long it may live.
    #[must_use]
    pub fn deadline(mut self, life: Duration) -> Self {
        self.0.deadline = Some(u64::try_from(life.as_nanos()).unwrap_or(u64::MAX));
        self
    }

    /// Units of fuel, on a host that counts it.
    #[must_use]
    pub fn fuel(mut self, units: u64) -> Self {
        self.0.fuel = Some(units);
        self
    }

    /// How many messages wait in each direction before putting does.
    #[must_use]
    pub fn capacity(mut self, messages: u32) -> Self {
        self.0.bounds.messages = Some(messages);
        self
    }

    /// What it may reach outside of itself.
    #[must_use]
    pub fn grants(mut self, grants: Grants) -> Self {
        let Grants { dirs, env, network } = grants;
        self.0.grants = Some(api::Grants { dirs, env, network });
        self
    }
}

/// What a place may reach outside of itself: a part of what its parent may. The default is nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Grants {
    /// Of its parent's directories, by their path in the guest.
    pub dirs: Vec<String>,
    /// Of its parent's environment variables, by name.
    pub env: Vec<String>,
    /// The network.
    pub network: bool,
}

/// Names one life of a place, on one life of a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct PlaceId {
    /// The node it lives on.
    pub node: u128,
    /// Counts the places of that node.
    pub seq: u64,
}

impl fmt::Display for PlaceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:08x}.{}", self.node >> 96, self.seq)
    }
}

impl From<types::PlaceId> for PlaceId {
    fn from(id: types::PlaceId) -> Self {
        Self { node: u128::from(id.node.hi) << 64 | u128::from(id.node.lo), seq: id.seq }
    }
}
