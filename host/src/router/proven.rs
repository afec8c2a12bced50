//! Places that another node starts without being waited for: what it has started before, and the numbers it spares for them.
//!
//! To wait for the answer to every spawn would cost a round trip before the first message can leave. What a node says no to depends,
//! but for its room, on the module, the start function, the limits and the grants, and it does not change its mind on those: its
//! policy stays as long as it lives, and a module that ran there runs there. So who asks for the same a second time goes on at once,
//! under a number that the node spared; if there is no room after all, that is how the place ended.

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use placehost_proto::frame::Spawn;
use tokio::sync::watch;

use super::lock;
use crate::host::Shared;

/// How many orders are remembered, and how many numbers spared, for each session.
const MOST: usize = 1024;

/// The orders that the node at the other side has carried out before.
#[derive(Default)]
pub(super) struct Proven {
    orders: Mutex<HashSet<u64>>,
    /// Numbers that it has spared.
    spares: Mutex<Vec<u64>>,
}

/// All that a node decides by, in an order.
pub(super) struct Proof(Option<u64>);

impl Proof {
    /// A name may be taken the next time, so orders with one prove nothing.
    pub(super) fn of(spawn: &Spawn) -> Self {
        let Spawn { module, start, memory, deadline, fuel, bounds, grants, name, .. } = spawn;
        Self(name.is_none().then(|| {
            let mut hasher = DefaultHasher::new();
            (module, start, memory, deadline.is_some(), fuel, bounds).hash(&mut hasher);
            (grants.explicit, &grants.dirs, &grants.env, grants.network, grants.nodes).hash(&mut hasher);
            hasher.finish()
        }))
    }
}

impl Proven {
    /// The number for an order like one that was carried out, if one is spared.
    pub(super) fn number(&self, proof: &Proof) -> Option<u64> {
        let known = proof.0.is_some_and(|proof| lock(&self.orders).contains(&proof));
        if known { lock(&self.spares).pop() } else { None }
    }

    /// It was carried out.
    pub(super) fn works(&self, proof: &Proof) {
        if let Some(proof) = proof.0 {
            let mut orders = lock(&self.orders);
            if orders.len() >= MOST {
                orders.clear();
            }
            orders.insert(proof);
        }
    }

    /// A number was spared.
    pub(super) fn spare(&self, seq: Option<u64>) {
        let mut spares = lock(&self.spares);
        if spares.len() < MOST {
            spares.extend(seq);
        }
    }
}

/// The numbers that this node spares for the one at the other side.
pub(super) struct Spared {
    numbers: Mutex<HashSet<u64>>,
    promised: Promised,
}

impl Spared {
    pub(super) fn new(promised: &Promised) -> Self {
        Self { numbers: Mutex::default(), promised: promised.clone() }
    }

    /// One more, unless it hoards them.
    pub(super) fn one(&self, host: &Shared) -> Option<u64> {
        let mut spared = lock(&self.numbers);
        if spared.len() >= MOST {
            return None;
        }
        let seq = host.next_seq();
        spared.insert(seq);
        self.promised.0.send_modify(|promised| {
            promised.insert(seq);
        });
        Some(seq)
    }

    /// Whether it may use this one, which it may once: for a place that is there when the promise is dropped, or will never be.
    pub(super) fn take(&self, seq: u64) -> Option<Promise> {
        lock(&self.numbers).remove(&seq).then(|| Promise { seq, promised: self.promised.clone() })
    }
}

impl Drop for Spared {
    fn drop(&mut self) {
        let numbers = std::mem::take(&mut *lock(&self.numbers));
        self.promised.0.send_modify(|promised| promised.retain(|seq| !numbers.contains(seq)));
    }
}

/// All numbers that this node has spared, of places that are not there yet. Who has heard of such a place may ask for it before the
/// order to start it has come, for that came another way. Clones are the same.
#[derive(Clone)]
pub(super) struct Promised(Arc<watch::Sender<HashSet<u64>>>);

/// A place with a number that was spared is being started.
pub(super) struct Promise {
    seq: u64,
    promised: Promised,
}

impl Default for Promised {
    fn default() -> Self {
        Self(Arc::new(watch::Sender::new(HashSet::new())))
    }
}

impl Promised {
    /// Whether a place may come under this number.
    pub(super) fn has(&self, seq: u64) -> bool {
        self.0.borrow().contains(&seq)
    }

    /// Waits until it has come, or will not, for so long at most.
    pub(super) async fn kept(&self, seq: u64, time: Duration) {
        let mut promised = self.0.subscribe();
        // Who was told of it waits no longer than for a node that is lost.
        let _ = tokio::time::timeout(time, promised.wait_for(|promised| !promised.contains(&seq))).await;
    }
}

impl Drop for Promise {
    fn drop(&mut self) {
        self.promised.0.send_modify(|promised| {
            promised.remove(&self.seq);
        });
    }
}
