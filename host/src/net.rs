//! The network: who a node is, and whom it believes.
//!
//! Only these modules name quinn, rustls and rcgen, and none of them knows of places or of WebAssembly.

pub mod address;
pub mod authority;
pub(crate) mod blob;
pub mod bundle;
pub mod certificate;
pub mod clock;
pub(crate) mod crypto;
mod drain;
pub mod endpoint;
mod folder;
pub(crate) mod hub;
pub mod identity;
pub mod invite;
pub mod join;
mod link;
pub mod membership;
pub(crate) mod output;
pub mod refusal;
pub mod revocation;
pub(crate) mod session;
pub mod tls;
pub mod token;
mod verify;

#[cfg(test)]
mod tests;

pub use folder::FolderError;
