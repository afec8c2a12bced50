//! The network: sessions between nodes, over QUIC.
//!
//! Only these modules name quinn, rustls and rcgen, and none of them knows of places or of WebAssembly.

pub mod address;
pub(crate) mod blob;
mod drain;
pub mod endpoint;
pub(crate) mod hub;
mod inbox;
mod link;
pub(crate) mod output;
mod parked;
mod post;
mod runtime;
pub(crate) mod session;
mod source;
mod tasks;
pub mod trust;
