//! What the author of a place imports.
//!
//! A place is an isolated unit with a channel: a function, run as a WebAssembly component of its own, that gets and puts messages.
//! This is a program of two:
//!
//! ```no_run
//! # mod program {
//! use places::Channel;
//!
//! /// A place: what it gets, what it puts.
//! #[places::start]
//! fn hello_world(ch: Channel<String, String>) -> places::Result {
//!     println!("hello-world received: {}", ch.get()?);
//!     ch.put("Hello World")?;
//!     println!("hello-world sent: Hello World");
//!     Ok(())
//! }
//!
//! #[places::start]
//! fn main(_: Channel) -> places::Result {
//!     let p = hello_world::spawn()?;
//!     p.put("Hello")?;
//!     println!("main received: {}", p.get()?);
//!     p.wait();
//!     Ok(())
//! }
//! # }
//! # fn main() {}
//! ```
//!
//! Compiled for `wasm32-wasip2` as a `cdylib`, it is run by `placehost run hello.wasm`. `placehost new NAME` makes such a crate.
//!
//! # What there is
//!
//! * [`start`](macro@start) makes a function a start function: `f::spawn()` starts it as a place, `f::at(&node)` and
//!   `f::named("name")` begin one that runs elsewhere or can be found, `f::spawn_with(Options)` gives it limits, grants and arguments;
//!   [`spawn()`] starts any module's by path and name.
//! * [`Place`] is the handle: its channel, `wait` for its [`ExitReason`], `kill`, `link`, `id`. [`monitor()`] watches a place that
//!   somebody else started.
//! * [`Node`] is where places run: this one, or another that is connected to or created; `lookup` finds its named places.
//! * [`Channel`] has `put` and `get`, `put_get`, `try_put`, `try_get`, `put_many`, `get_many`; [`Channel::pair`] makes one. Messages
//!   are any type of serde's, or [`Bytes`]; ends of channels and [`Blob`]s may be inside.
//! * [`sync!`] waits for whichever comes first of messages, ends of places, timers, losses of nodes and WASI's pollables:
//!
//! ```no_run
//! # mod program {
//! # use places::{Channel, after};
//! # use std::time::Duration;
//! # #[places::start] fn worker(_: Channel) {}
//! # #[places::start] fn main(_: Channel) -> places::Result {
//! let p = worker::spawn()?;
//! places::sync! {
//!     reply = p.get() => println!("it answered {:?}", reply?),
//!     why = p.exited() => println!("it ended: {why}"),
//!     _ = after(Duration::from_secs(5)) => println!("no answer"),
//! }
//! # Ok(()) }
//! # }
//! # fn main() {}
//! ```
//!
//! * [`Selector`] waits for many channels that are registered once, and brings many messages in one call: the loop of a server.
//! * [`task`] is for what waits without stopping the place: every event of `sync` can be awaited. A [`Router`] is a loop with handlers
//!   for messages, ends, timers.
//! * [`exit`] ends the place with a code, [`log!`] writes to the host's log. `std::env::args`, `std::env::var`, `std::fs` and
//!   `std::net` work as usual, as far as the place was granted anything. [`scratch()`] is a directory of the place's own.
//!
//! A place that panics, or goes over its limits, ends itself alone: its parent reads the reason from [`Place::wait`].

mod bindings;
mod blob;
mod channel;
mod error;
mod event;
mod exit;
mod log;
mod message;
mod monitor;
mod node;
mod options;
mod packet;
mod place;
mod router;
mod scratch;
mod selector;
mod spawner;
mod start;
pub mod task;

pub use blob::Blob;
pub use channel::Channel;
pub use error::Error;
pub use event::{Either, Ended, Event, Exited, Lost, NextMessage, Readable, Ready, Room, Timer, after, at, ready, sync};
pub use exit::{ExitReason, exit};
pub use log::{Level, log};
pub use message::{AsMessage, Bytes, Message};
pub use monitor::{Monitor, monitor};
pub use node::{CreateOptions, Node, NodeId};
pub use options::{Grants, Options};
pub use packet::{Packet, Value};
pub use place::{Module, Place, PlaceId, spawn, this};
pub use places_macros::{start, sync};
pub use router::{Entry, Handled, Later, Now, Router};
pub use scratch::scratch;
pub use selector::{Happened, Selector};
pub use spawner::Spawner;
pub use wasip2::io::poll::Pollable;

/// What a start function returns: nothing, or any error, whose text becomes the place's [`ExitReason::Failed`].
pub type Result<T = ()> = std::result::Result<T, Box<dyn std::error::Error>>;

/// What the macros expand to.
#[doc(hidden)]
pub mod __macro {
    pub use crate::event::{Fired, Source, wait};
    pub use crate::start::{End, Outcome, run};
}
