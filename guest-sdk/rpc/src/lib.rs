//! Servers among places: a struct and its methods, called by any number of clients, from any node.
//!
//! ```no_run
//! # mod program {
//! use std::collections::HashMap;
//!
//! use places::{Channel, Node};
//!
//! /// Its state: the struct.
//! #[derive(Default)]
//! struct TupleServer(HashMap<String, i64>);
//!
//! #[places_rpc::server]
//! impl TupleServer {
//!     fn set(&mut self, k: String, v: i64) -> i64 {
//!         self.0.insert(k, v);
//!         v
//!     }
//!
//!     fn get(&self, k: &str) -> Option<i64> {
//!         self.0.get(k).copied()
//!     }
//!
//!     #[cast]
//!     fn hello(&self) {
//!         println!("Hello from a cast");
//!     }
//! }
//!
//! #[places::start]
//! fn main(_: Channel) -> places::Result {
//!     let node = Node::connect("host2")?;
//!     tuple_server::at(&node).named("tuple-server").spawn()?;
//!
//!     let c = TupleServerClient::connect(&node, "tuple-server")?;
//!     c.hello()?;
//!     println!("{}", c.set("user0", 100)?);
//!     println!("{:?}", c.get("user0")?);
//!     Ok(())
//! }
//! # }
//! # fn main() {}
//! ```
//!
//! # What the attribute makes
//!
//! Of `impl TupleServer`, [`server`](macro@server) makes the start function `tuple_server`, which serves whoever comes by the name it was
//! given, and whoever started it; and the type `TupleServerClient`. A server begins as its [`Default`], or as its `fn new() -> Self`
//! makes it. Every method with `self` is offered; those in another `impl` block are its own. Parameters and results are what serde can
//! write and read, ends of channels among them; parameters may be `&str`, `&[T]` or `&T`. Up to eight.
//!
//! * `fn` is a call: `client.get("k")` waits for the result, `client.get_async("k")` returns a [`Pending`] to `join` or `.await` later, any
//!   number at once. A result that is a `Result` comes as one, inside of the call's own: `bank.add("bob", 10)??`.
//! * `#[cast] fn` is said, and not waited for. It is handled before a call that the same client makes after it.
//! * A `fn` whose last parameter is a [`Reply`] answers by it, now or later.
//! * An `async fn` may wait, for the answer of another server, say, or for a time: the server goes on with other requests meanwhile. It
//!   takes `&self`, and so does every other method of that server: what changes is in a `Cell` or a `RefCell`, which nothing holds
//!   over an `.await`. Where its caller has gone or waits no longer, it is dropped where it waits; one that is a cast goes on.
//! * `#[snapshot]` and `#[restore]` let a [`Keeper`] keep the state from one life of the server to the next.
//!
//! # What a client may rely on
//!
//! The requests of one client are handled in order, one at a time with those of all others: nothing comes between two lines of a
//! handler, but where it awaits. There others begin and end, also later ones of the same client. A call has one answer. Where it has none,
//! [`CallError`] says why, and no call waits longer than its server lives: `client.within(time)` waits no longer than that either, and
//! tells the server. A handler that panics ends its server: its caller gets the message, everybody else `server lost`.
//!
//! `TupleServerClient::from(tuple_server::spawn()?)` is the client of a private server, which ends when its clients have gone;
//! `TupleServerClient::reconnecting(&node, "tuple-server")` finds the successor of a server that was lost, and
//! `TupleServerClient::following(["host2", "host3"], "tuple-server")` one on any of some nodes. Calls that were under way
//! then are `server lost` all the same, for nobody can know whether they were handled.
//!
//! # Changes
//!
//! A method may be added, and so may a last parameter that is an `Option`, and older clients call it without. What breaks them has
//! another version, `#[places_rpc::server(version = 2)]`, and they are told so: [`CallError::Interface`].
//!
//! `PROTOCOL.md` beside this crate's manifest describes what travels, for servers and clients in other languages.

mod arguments;
mod call;
mod client;
mod desk;
mod error;
mod frame;
mod keeper;
mod line;
mod panic;
mod server;
mod tasks;

pub use arguments::{Argument, Parameters};
pub use call::Reply;
pub use client::Pending;
pub use error::CallError;
pub use keeper::{Keeper, Kept};
pub use places_rpc_macros::server;
pub use server::Server;

/// What the macro expands to.
#[doc(hidden)]
pub mod __macro {
    pub use serde::Deserializer;

    pub use crate::arguments::arguments;
    pub use crate::call::Call;
    pub use crate::client::Client;
    pub use crate::keeper::keep;
    pub use crate::line::Interface;
    pub use crate::server::{serve, serve_kept};
    pub use crate::tasks::{Handled, alone};
}
