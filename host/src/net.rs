//! The network: who a node is, and whom it believes.
//!
//! Only these modules name quinn, rustls and rcgen, and none of them knows of places or of WebAssembly.

pub mod address;
pub mod authority;
pub mod bundle;
pub mod certificate;
pub mod clock;
mod crypto;
mod folder;
pub mod identity;
pub mod invite;
pub mod join;
pub mod membership;
pub mod refusal;
pub mod revocation;
pub mod tls;
pub mod token;
mod verify;

#[cfg(test)]
mod tests;

pub use folder::FolderError;
