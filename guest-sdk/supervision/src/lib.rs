//! Who starts again what has ended: supervisors over places, on one node or many, on the crate `places` alone.
//!
//! A [`Supervisor`] starts its [`Child`]ren and starts them again when they end: alone, or with others ([`Strategy`]); always, only
//! if they went wrong, or never ([`Restart`]); at once, after a [`Backoff`], or once in so much time ([`restart_every()`]); where they
//! were, or on the next of a list of nodes when that is lost ([`Child::on`]). Where restarts do not help, it gives up, and whoever
//! watches over it can do more.
//!
//! ```no_run
//! # mod program {
//! use places::Channel;
//! use places_supervision::{Child, Strategy, Supervisor};
//!
//! #[places::start]
//! fn server(ch: Channel<Channel<u32, u32>, ()>) -> places::Result {
//!     let client = ch.get()?;
//!     loop {
//!         client.put(100 / client.get()?)?;
//!     }
//! }
//!
//! #[places::start]
//! fn main(_: Channel) -> places::Result {
//!     let server = Child::new("server", server::NAME).named().on(["host2", "host3"]);
//!     Ok(Supervisor::new(Strategy::OneForOne).child(server).run()?)
//! }
//! # }
//! # fn main() {}
//! ```
//!
//! What a child knew is lost with it, but for what it gave to its keeper ([`Child::keeping`]). Clients of a named one look it up again.

mod child;
mod control;
mod keeper;
mod plan;
mod policy;
mod report;
mod site;
mod supervisor;

pub use child::Child;
pub use control::{Answer, Command, Handle, Row, RowState, Spec};
pub use keeper::Kept;
pub use policy::{Backoff, Every, Intensity, Policy, Restart, Strategy, restart_every};
pub use report::{Failure, GaveUp, Report};
pub use site::Site;
pub use supervisor::Supervisor;
