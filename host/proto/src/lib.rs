//! What nodes of placehost say to each other, without any I/O.
//!
//! [`codec`] makes frames of bytes; [`frame`] is what they mean. [`node::Node`] is one node's part of every session that it has:
//! greeting, requests, heartbeats, introductions. [`link::Link`] is one end of a channel that crosses between nodes. Both are state
//! machines: `handle_*` tells them what happened, `poll_*` asks what is to be done. Time is an argument, and nothing here reads a
//! clock, draws a random number, opens a socket or knows WebAssembly. So `tests/network.rs` can run many nodes over a network
//! that reorders, loses and cuts, from a seed.

pub mod codec;
pub mod frame;
mod id;
pub mod link;
pub mod node;

pub use frame::{Control, Hello};
pub use id::{Digest, Fingerprint, LinkId, NodeId, PlaceId, RequestId};
pub use link::{Link, LinkKey, Route, SessionKey};
pub use node::Node;
