//! What a place may use and reach: limits, grants, and where its output goes.

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use crate::channel::Bounds;
use crate::log::LogTo;
use crate::place::Scratch;

/// The memory of a place where nobody said otherwise: 64 MiB.
pub const DEFAULT_MEMORY: u64 = 64 << 20;

/// The path of its scratch directory in a place, and the name of that grant among those of directories.
pub const SCRATCH: &str = "/scratch";

/// What one place gets. The default is nothing but memory.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct PlaceConfig {
    /// Command-line arguments, after the name of the start function.
    pub args: Vec<String>,
    /// What it may use.
    pub limits: Limits,
    /// What it may reach.
    pub grants: Grants,
    /// Bounds of the channel between it and its parent.
    pub bounds: Bounds,
    /// Where its standard output goes.
    pub stdout: Output,
    /// Where its standard error goes.
    pub stderr: Output,
    /// Whether what it logs goes to the node of who starts it as well. Its own places do as it does.
    pub log_to_parent: bool,
    /// What takes it there, where that is another node.
    pub(crate) log: Option<LogTo>,
    /// Its parent's scratch directory, where it shares that.
    pub(crate) shared: Option<Arc<Scratch>>,
}

impl Default for PlaceConfig {
    fn default() -> Self {
        Self {
            args: Vec::new(),
            limits: Limits::default(),
            grants: Grants::default(),
            bounds: Bounds::default(),
            stdout: Output::new(io::stdout()),
            stderr: Output::new(io::stderr()),
            log_to_parent: false,
            log: None,
            shared: None,
        }
    }
}

/// What a place may use. Its children have at most the same, each.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Bytes of linear memory; and as much again of the host's, for its blobs and for what waits in the channels it made.
    pub memory: u64,
    /// How long it may live.
    pub deadline: Option<Duration>,
    /// Units of fuel, about one for each WebAssembly instruction. Needs [`crate::HostBuilder::fuel`].
    pub fuel: Option<u64>,
}

impl Default for Limits {
    fn default() -> Self {
        Self { memory: DEFAULT_MEMORY, deadline: None, fuel: None }
    }
}

/// What a place may reach outside of itself. Its children have at most the same.
#[derive(Clone, Debug, Default)]
pub struct Grants {
    /// Directories of this machine.
    pub dirs: Vec<Dir>,
    /// A directory of its own, at [`SCRATCH`]: empty at first, and gone when the place is. A child that gets all its parent has shares
    /// it; one that is granted this by name, or runs on another node, has another one. Needs [`crate::HostBuilder::scratch`].
    pub scratch: bool,
    /// Environment variables, as name and value.
    pub env: Vec<(String, String)>,
    /// TCP, UDP and name look-up.
    pub network: bool,
    /// Connecting to other nodes, and creating them.
    pub nodes: bool,
}

/// A directory that a place may use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dir {
    /// Its path on this machine.
    pub host: PathBuf,
    /// Its path in the place.
    pub guest: String,
    /// Whether the place may only read.
    pub read_only: bool,
}

/// Where a place's output goes; clones share it.
#[derive(Clone)]
pub struct Output(pub(crate) Arc<dyn Sink>);

impl Output {
    /// Output into `sink`.
    pub fn new(sink: impl Sink) -> Self {
        Self(Arc::new(sink))
    }

    /// Output into nothing.
    pub fn null() -> Self {
        Self::new(Null)
    }
}

impl fmt::Debug for Output {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Output")
    }
}

/// Takes the output of places. Called from several threads; may block.
pub trait Sink: Send + Sync + 'static {
    /// Writes all of `bytes`; what one call writes stays together.
    ///
    /// # Errors
    /// The place sees its output closed at `BrokenPipe`, and a failed write at any other.
    fn write(&self, bytes: &[u8]) -> io::Result<()>;

    /// Ready when a write is welcome. One that is not is taken all the same.
    fn poll_room(&self, _: &mut Context<'_>) -> Poll<()> {
        Poll::Ready(())
    }

    /// Whether a person reads it.
    fn is_terminal(&self) -> bool {
        false
    }
}

impl Sink for io::Stdout {
    fn write(&self, bytes: &[u8]) -> io::Result<()> {
        let mut out = self.lock();
        io::Write::write_all(&mut out, bytes)?;
        io::Write::flush(&mut out)
    }

    fn is_terminal(&self) -> bool {
        io::IsTerminal::is_terminal(self)
    }
}

impl Sink for io::Stderr {
    fn write(&self, bytes: &[u8]) -> io::Result<()> {
        io::Write::write_all(&mut self.lock(), bytes)
    }

    fn is_terminal(&self) -> bool {
        io::IsTerminal::is_terminal(self)
    }
}

struct Null;

impl Sink for Null {
    fn write(&self, _: &[u8]) -> io::Result<()> {
        Ok(())
    }
}
