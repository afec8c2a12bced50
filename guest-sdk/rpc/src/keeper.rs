//! State that outlives its server: a keeper has the last snapshot, and gives it to the server's successor.
//!
//! What a server says to its keeper: a raw message of no bytes asks for the state, and the answer is the state, or no bytes where there
//! is none yet; any other message is the state. An end of a channel that comes alone is another server's.

use std::time::Duration;

use places::{Channel, Error, Happened, Options, Packet, Place, Selector, Spawner, Value, after, sync};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::frame;

/// A server that keeps its state: it has a `#[snapshot]` and a `#[restore]`.
pub trait Kept {
    /// What is kept of it.
    type State: Serialize + DeserializeOwned;

    /// Its state as it is.
    #[doc(hidden)]
    fn snapshot(&self) -> Self::State;

    /// Itself, with that state.
    #[doc(hidden)]
    fn restore(state: Self::State) -> Self;
}

/// A place that keeps a server's state from one life of the server to the next.
///
/// It belongs to who starts it: the place that starts the server again and again, or one that outlives it.
///
/// ```no_run
/// # mod program {
/// use places::Channel;
/// use places_rpc::Keeper;
///
/// #[derive(Default)]
/// struct Counter(u64);
///
/// #[places_rpc::server]
/// impl Counter {
///     fn next(&mut self) -> u64 {
///         self.0 += 1;
///         self.0
///     }
///
///     #[snapshot]
///     fn snapshot(&self) -> u64 {
///         self.0
///     }
///
///     #[restore]
///     fn restore(count: u64) -> Self {
///         Self(count)
///     }
/// }
///
/// #[places::start]
/// fn main(_: Channel) -> places::Result {
///     let keeper = Keeper::spawn(counter_keeper::NAME)?;
///     loop {
///         // It counts on from where it was, however it ended.
///         let counter = keeper.start(counter_kept::named("counter"))?;
///         println!("it ended: {}", counter.wait());
///     }
/// }
/// # }
/// # fn main() {}
/// ```
#[derive(Debug)]
pub struct Keeper(Place<Packet, Packet>);

impl Keeper {
    /// Starts a keeper: the start function `…_keeper` of this module, which `#[places_rpc::server]` makes beside a server that has a
    /// `#[snapshot]`.
    ///
    /// # Errors
    /// As [`places::spawn`].
    pub fn spawn(start: &str) -> Result<Self, Error> {
        Self::spawn_with(start, Options::new())
    }

    /// As [`Self::spawn`], with options: on another node, say.
    ///
    /// # Errors
    /// As [`places::spawn`].
    pub fn spawn_with(start: &str, options: Options) -> Result<Self, Error> {
        Ok(Self(places::spawn(places::Module::This, start, options)?.typed()))
    }

    /// Starts a server that this keeps the state of: its start function `…_kept`. It begins where its predecessor's last answer was.
    ///
    /// # Errors
    /// As [`places::spawn`]; [`Error::Closed`] where the keeper has ended.
    pub fn start<G, P>(&self, server: Spawner<G, P>) -> Result<Place<G, P>, Error> {
        let place = server.spawn()?.typed();
        self.keep(&place)?;
        Ok(place.typed())
    }

    /// Keeps the state of a server that was started as `…_kept` otherwise, by a supervisor say. It serves nobody before.
    ///
    /// # Errors
    /// [`Error::Closed`] where one of them has ended.
    pub fn keep(&self, server: &Channel<Packet, Packet>) -> Result<(), Error> {
        let (ours, theirs) = Channel::pair::<Packet, Packet>()?;
        self.0.put(Value(ours))?;
        server.put(Value(frame::with_keeper(theirs)))
    }
}

/// What a keeper does.
#[doc(hidden)]
pub fn keep(own: Channel) -> places::Result {
    let mut servers = Selector::new();
    servers.add(0, own)?;
    let (mut next, mut state) = (1u32, Vec::new());
    while !servers.is_empty() {
        for (server, happened) in servers.wait(64)? {
            let Happened::Message(mut packet) = happened else {
                servers.remove(&server);
                continue;
            };
            if packet.bytes().is_empty() {
                servers.put(&server, Packet::from(state.clone()))?;
            } else if let Ok(channel) = packet.read::<Channel<Packet, Packet>>() {
                servers.add(next, channel)?;
                next += 1;
            } else {
                state = packet.bytes().to_vec();
            }
        }
    }
    Ok(())
}

/// How long a keeper may take to answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// A keeper, as its server sees it.
pub(crate) struct Store(Channel<Packet, Packet>);

impl Store {
    pub(crate) fn over(channel: Channel<Packet, Packet>) -> Self {
        Self(channel)
    }

    /// The state, if there is one yet.
    pub(crate) fn load<T: DeserializeOwned>(&self) -> places::Result<Option<T>> {
        self.0.put(Packet::from(Vec::new()))?;
        let mut state = sync! {
            state = self.0.get() => state?,
            _ = after(PATIENCE) => return Err(format!("the keeper of this server's state gave none within {PATIENCE:?}").into()),
        };
        if state.bytes().is_empty() { Ok(None) } else { Ok(Some(state.read()?)) }
    }

    /// Keeps a state in the place of the one before.
    pub(crate) fn save<T: Serialize>(&self, state: &T) -> Result<(), Error> {
        self.0.put(Value(state))
    }
}
