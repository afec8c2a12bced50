//! Names that are never used twice: nodes, places, modules.

use std::fmt;

/// Names one life of a node: random, drawn when the host is built.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct NodeId(pub u128);

impl NodeId {
    pub(crate) fn random() -> Self {
        use std::hash::{BuildHasher, RandomState};
        // Each `RandomState` has keys of its own, from the operating system's randomness.
        let draw = || u128::from(RandomState::new().hash_one(std::process::id()));
        Self(draw() << 64 | draw())
    }
}

impl fmt::Display for NodeId {
    /// The first 32 bits, which tell apart what a person has before them.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:08x}", self.0 >> 96)
    }
}

/// Names one life of a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct PlaceId {
    /// The node it lives on.
    pub node: NodeId,
    /// Counts the places of that node, from 1.
    pub seq: u64,
}

impl fmt::Display for PlaceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.node, self.seq)
    }
}

/// BLAKE3 of a module's bytes.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Digest(pub [u8; 32]);

impl Digest {
    /// The digest of `bytes`.
    pub fn of(bytes: &[u8]) -> Self {
        Self(*blake3::hash(bytes).as_bytes())
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
