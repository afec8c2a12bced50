//! Names that are never used twice; what they are is a part of the protocol.

pub use placehost_proto::{Digest, NodeId, PlaceId};

/// A name for this life of a node.
pub(crate) fn new_node() -> NodeId {
    use std::hash::{BuildHasher, RandomState};
    // Each `RandomState` has keys of its own, from the operating system's randomness.
    let draw = || u128::from(RandomState::new().hash_one(std::process::id()));
    NodeId(draw() << 64 | draw())
}
