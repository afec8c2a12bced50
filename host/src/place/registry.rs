//! The living places of a host, and their names.
//!
//! A place is here from before it runs until all it held is gone, and its name with it: whoever has been told of its end finds the
//! name free. The lock is held for one look or change, never while a message is put.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::stats::{Activity, Stats};
use super::{Life, Owner, Place, SpawnError};
use crate::channel::{Bounds, Channel, Feed, Inflow, Message, OverBudget, PutError};
use crate::engine::Module;
use crate::id::{NodeId, PlaceId};

/// The longest name, in bytes.
const LONGEST_NAME: usize = 255;
/// What the SDK writes for a message that is an end of a channel and nothing else: `{"$channel": 0}` in CBOR, behind its tag.
const LONE_CHANNEL: &[u8] = b"\xd9\xd9\xf7\xa1\x68$channel\x00";

/// A living place, as it was when it was asked for.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct PlaceInfo {
    /// Its id.
    pub id: PlaceId,
    /// The name by which others find it.
    pub name: Option<String>,
    /// The file name of its module; its digest, where it came from no file.
    pub module: String,
    /// Its start function.
    pub start: String,
    /// What it is doing.
    pub activity: Activity,
    /// What it says it is doing: a line.
    pub label: Option<String>,
    /// Since it was started.
    pub age: Duration,
    /// Bytes of its linear memory.
    pub memory: u64,
    /// How many messages it has put, on all its channels.
    pub put: u64,
    /// How many messages it has got.
    pub got: u64,
    /// How many messages, or clients, wait to be read on the channel that it was started with.
    pub pending: usize,
}

/// Why nobody was found by a name or an id, or could not be reached.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LookupError {
    /// No living place has it.
    #[error("there is no place named `{name}`")]
    NoName {
        /// As it was asked for.
        name: String,
    },
    /// No such place lives.
    #[error("there is no place {id}: it has ended, or was of a former life of its node")]
    NoPlace {
        /// As it was asked for.
        id: PlaceId,
    },
    /// The place is of a node that is not connected now.
    #[error("no node {id} is connected: it was never known here, or that life of it is over")]
    NoNode {
        /// The node's.
        id: NodeId,
    },
    /// The place does not read the channels of those who come.
    #[error("the place named `{name}` has too many unread messages to take another client")]
    Full {
        /// As it was asked for.
        name: String,
    },
    /// The place has no memory left for a channel more.
    #[error("the place named `{name}` has no memory for another client")]
    OverBudget {
        /// As it was asked for.
        name: String,
        /// Its limit.
        source: OverBudget,
    },
    /// The node that was asked is lost.
    #[error("the node is lost")]
    NodeLost,
    /// The node that was asked does not allow it; the text says why.
    #[error("{0}")]
    Refused(String),
}

/// All living places of a host.
#[derive(Debug, Default)]
pub(crate) struct Registry(Mutex<Tables>);

#[derive(Debug, Default)]
struct Tables {
    places: HashMap<u64, Arc<Entry>>,
    names: HashMap<String, Arc<Entry>>,
}

/// One place.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) life: Arc<Life>,
    pub(super) owner: Arc<Owner>,
    pub(super) stats: Arc<Stats>,
    pub(super) module: Module,
    pub(super) since: Instant,
    pub(super) bounds: Bounds,
    /// What it reads on the channel that it was started with.
    pub(super) inflow: Inflow,
    pub(super) name: Option<Name>,
}

/// A place's name, and the way to it. While it has a name its channel does not close when its parent drops the other end.
#[derive(Debug)]
pub(super) struct Name {
    text: String,
    feed: Feed,
}

impl Name {
    /// A name for the place that reads what `parent` puts.
    pub(super) fn new(text: String, parent: &Channel) -> Result<Self, SpawnError> {
        check_name(&text)?;
        Ok(Self { text, feed: parent.feed() })
    }
}

/// Whether a text can be a name.
pub(crate) fn check_name(text: &str) -> Result<(), SpawnError> {
    match text.is_empty() || text.len() > LONGEST_NAME || text.chars().any(char::is_control) {
        true => Err(SpawnError::BadName { name: text.into() }),
        false => Ok(()),
    }
}

impl Registry {
    /// Adds a place, unless another has its name.
    pub(super) fn add(&self, entry: Entry) -> Result<(), SpawnError> {
        let entry = Arc::new(entry);
        let mut tables = self.lock();
        if let Some(Name { text, .. }) = &entry.name {
            if let Some(holder) = tables.names.get(text) {
                return Err(SpawnError::NameTaken { name: text.clone(), by: holder.life.id });
            }
            tables.names.insert(text.clone(), Arc::clone(&entry));
        }
        tables.places.insert(entry.life.id.seq, entry);
        Ok(())
    }

    /// Removes a place, and frees its name.
    pub(super) fn remove(&self, id: PlaceId) {
        let mut tables = self.lock();
        let entry = tables.places.remove(&id.seq);
        if let Some(Name { text, .. }) = entry.as_ref().and_then(|entry| entry.name.as_ref()) {
            tables.names.remove(text);
        }
        drop(tables);
        // Its feed wakes who reads, which wants no lock of ours.
        drop(entry);
    }

    pub(crate) fn find(&self, id: PlaceId) -> Option<Place> {
        let tables = self.lock();
        let entry = tables.places.get(&id.seq).filter(|entry| entry.life.id == id)?;
        Some(Place(Arc::clone(&entry.life)))
    }

    pub(crate) fn find_named(&self, name: &str) -> Option<Place> {
        Some(Place(Arc::clone(&self.named(name)?.life)))
    }

    /// A new channel to the place of this name: one end, the other one having been put on the place's own channel.
    pub(crate) fn connect(&self, name: &str) -> Result<Channel, LookupError> {
        let none = || LookupError::NoName { name: name.into() };
        let entry = self.named(name).ok_or_else(none)?;
        let Some(Name { feed, .. }) = &entry.name else { return Err(none()) };
        let over = |source| LookupError::OverBudget { name: name.into(), source };
        let (ours, theirs) = Channel::pair_on(entry.bounds, &entry.owner.account).map_err(over)?;
        match feed.try_put(Message::with(LONE_CHANNEL.to_vec(), vec![theirs], Vec::new())) {
            Ok(()) => Ok(ours),
            Err(PutError::Full) => Err(LookupError::Full { name: name.into() }),
            Err(PutError::OverBudget(source)) => Err(over(source)),
            // It is ending, or reads no more.
            Err(_) => Err(none()),
        }
    }

    /// All places, the oldest first.
    pub(crate) fn list(&self) -> Vec<PlaceInfo> {
        let entries: Vec<Arc<Entry>> = self.lock().places.values().cloned().collect();
        let mut list: Vec<PlaceInfo> = entries.iter().map(|entry| entry.info()).collect();
        list.sort_unstable_by_key(|info| info.id.seq);
        list
    }

    fn named(&self, name: &str) -> Option<Arc<Entry>> {
        self.lock().names.get(name).cloned()
    }

    fn lock(&self) -> MutexGuard<'_, Tables> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Entry {
    fn info(&self) -> PlaceInfo {
        let (put, got) = self.stats.messages();
        PlaceInfo {
            id: self.life.id,
            name: self.name.as_ref().map(|name| name.text.clone()),
            module: self.module.label(),
            start: self.life.start.clone(),
            activity: self.stats.activity(),
            label: self.stats.shown_label(),
            age: self.since.elapsed(),
            memory: self.stats.memory(),
            put,
            got,
            pending: self.inflow.pending(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json;

    #[test]
    fn a_client_comes_as_the_sdk_would_send_it() {
        let message = json::to_message(&serde_json::json!({"$channel": 0})).unwrap();
        assert_eq!(message.data, LONE_CHANNEL);
    }

    #[test]
    fn a_name_is_text_that_can_be_printed_on_a_line() {
        let (parent, _place) = Channel::pair(Bounds::default());
        for good in ["a", "tuple server", "Grüße/1", &"x".repeat(255)] {
            assert!(Name::new(good.into(), &parent).is_ok(), "{good}");
        }
        for bad in ["", "a\nb", "\0", "\u{85}", &"x".repeat(256)] {
            assert!(matches!(Name::new(bad.into(), &parent), Err(SpawnError::BadName { .. })), "{bad:?}");
        }
    }
}
