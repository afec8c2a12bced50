//! Who a node is, and whom it believes.
//!
//! [`authority`] makes a cluster and signs for its members, by [`invite`], [`token`] and [`join`]; [`membership`] is one machine's
//! part of it. [`identity`] is what a node shows, `verify` what it asks of others, [`refusal`] what either side says when it is not
//! enough.

pub mod authority;
pub mod bundle;
pub mod certificate;
pub mod clock;
pub(crate) mod crypto;
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
pub(super) mod tests;

pub use folder::FolderError;
