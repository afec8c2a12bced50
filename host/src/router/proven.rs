//! Places that another node starts without being waited for: what it has started before, and the numbers it spares for them.
//!
//! To wait for the answer to every spawn would cost a round trip before the first message can leave. What a node says no to depends,
//! but for its room, on the module, the start function, the limits and the grants, and it does not change its mind on those: its
//! policy stays as long as it lives, and a module that ran there runs there. So who asks for the same a second time goes on at once,
//! under a number that the node spared; if there is no room after all, that is how the place ended.

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Mutex;

use placehost_proto::frame::Spawn;

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
#[derive(Default)]
pub(super) struct Spared(Mutex<HashSet<u64>>);

impl Spared {
    /// One more, unless it hoards them.
    pub(super) fn one(&self, host: &Shared) -> Option<u64> {
        let mut spared = lock(&self.0);
        if spared.len() >= MOST {
            return None;
        }
        let seq = host.next_seq();
        spared.insert(seq);
        Some(seq)
    }

    /// Whether it may use this one, which it may once.
    pub(super) fn take(&self, seq: u64) -> bool {
        lock(&self.0).remove(&seq)
    }
}
