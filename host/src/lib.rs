//! Runs places: isolated WebAssembly components that talk over channels.
//!
//! A [`Host`] loads modules and starts places from them. A place is one component instance with its own memory, its own limits and
//! one [`Channel`] to whoever started it; it gets nothing else unless granted. The command `placehost` is a thin user of this
//! library: whatever it does, an embedder can do.
//!
//! See [`Host`] for a program, and `ARCHITECTURE.md` for what may depend on what.

mod bindings;
pub mod channel;
mod config;
mod engine;
mod host;
mod id;
mod imports;
pub mod json;
mod log;
pub mod machine;
pub mod net;
mod node;
mod place;
mod router;

pub use channel::{Blob, Bounds, Channel, Message};
pub use config::{DEFAULT_MEMORY, Dir, Grants, Limits, Output, PlaceConfig, SCRATCH, Sink};
pub use engine::{CacheError, DENSE_MEMORY, EngineError, LoadError, MAX_MODULE, Module, ROOMY, largest_memory};
pub use engine::{Import, Inspection, Kind, Source, StartFunction};
pub use host::{BuildError, Host, HostBuilder};
pub use id::{Digest, NodeId, PlaceId};
pub use node::{CreateOptions, Node, NodeError, PeerInfo, SpawnOptions};
pub use place::{Activity, ExitReason, Exiting, LookupError, Monitor, Place, PlaceInfo, ScratchError, SpawnError};
pub use router::{Allowed, FindIdentity, NetworkConfig, OnShipping, Policy, Ready, Shipping};
