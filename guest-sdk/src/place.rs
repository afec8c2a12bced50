//! Starting places, and the handle to one.

use std::fmt;
use std::ops::Deref;

use serde::{Deserialize, Serialize};

use crate::bindings::{api, types};
use crate::{Bytes, Channel, Error, ExitReason, NodeId, Options, Pollable};

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
/// A place like one that has run on another node before, without a name, is not waited for; if that node has no room for it, its exit
/// reason says so.
///
/// # Errors
/// [`Error::NotFound`], [`Error::BadModule`]; [`Error::Denied`] where the module lies elsewhere, the options ask for more than this
/// place has, or the node does not allow it; [`Error::Limit`] where the host has no room; [`Error::Exists`] where the name is taken;
/// [`Error::NodeLost`].
pub fn spawn(module: impl Into<Module>, start: &str, options: Options) -> Result<Place, Error> {
    let path = match module.into() {
        Module::This => None,
        Module::File(path) => Some(path),
    };
    let (place, end) = api::spawn(path.as_deref(), start, &options.raw())?;
    Ok(Place { place, channel: Channel::new(end) })
}

/// The id of this place.
pub fn this() -> PlaceId {
    api::self_id().into()
}

/// Says what this place is doing, to whoever lists the places of its node (`placehost ps`): one line, of which 255 bytes are kept. Nothing
/// is said any more where it is empty.
pub fn label(text: &str) {
    api::label(text);
}

impl<G, P> Place<G, P> {
    /// Its id, never used again. Waits, where the place is on another node, until that has said that it runs.
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

    /// From now on this place and that one each end when the other goes wrong: when its end is no
    /// [success](ExitReason::is_success). If it has gone wrong already, that is now. The reason is [`ExitReason::Linked`], which names
    /// the first cause; that of a child whose parent ends is [`ExitReason::Killed`], linked or not.
    pub fn link(&self) {
        self.place.link();
    }

    /// Undoes [`Self::link`].
    pub fn unlink(&self) {
        self.place.unlink();
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

/// Names one life of a place, on one life of a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct PlaceId {
    /// The node it lives on.
    pub node: NodeId,
    /// Counts the places of that node.
    pub seq: u64,
}

impl fmt::Display for PlaceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.node, self.seq)
    }
}

impl From<types::PlaceId> for PlaceId {
    fn from(id: types::PlaceId) -> Self {
        Self { node: id.node.into(), seq: id.seq }
    }
}

impl From<PlaceId> for types::PlaceId {
    fn from(id: PlaceId) -> Self {
        Self { node: id.node.into(), seq: id.seq }
    }
}
