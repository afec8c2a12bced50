//! The host: what all places of one process share.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use tokio::runtime::Handle;

use crate::channel::Channel;
use crate::config::{Output, PlaceConfig};
use crate::engine::{self, Cache, CacheError, EngineConfig, EngineError, Inspection, LoadError, Module, Modules, Origin, Source, Tiers};
use crate::id::{self, NodeId, PlaceId};
use crate::node::{CreateOptions, Network, Node, NodeError, Order, SpawnOptions};
use crate::place::{self, LookupError, Owner, Place, PlaceInfo, Registry, Request, Scratches, SpawnError};
use crate::router::{NetworkConfig, Router};

/// Runs places. Clones are the same host; when the last one and the last place are gone, so is it.
///
/// ```no_run
/// use placehost::{Host, PlaceConfig};
///
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let host = Host::builder().build()?;
/// let module = host.load("hello_world.wasm".as_ref()).await?;
/// let (place, channel) = host.spawn(&module, "hello-world", PlaceConfig::default())?;
/// channel.put(placehost::json::to_message(&"Hello".into())?).await?;
/// println!("{}", placehost::json::from_message(&channel.get().await?));
/// println!("it {}", place.wait().await);
/// # Ok(())
/// # }
/// ```
///
/// `host/examples/embed.rs` is this as a program.
#[derive(Clone)]
pub struct Host(Arc<Shared>);

pub(crate) struct Shared {
    pub(crate) node: NodeId,
    /// What it calls itself to other nodes.
    pub(crate) name: String,
    /// What connects it with them, once it does.
    pub(crate) network: OnceLock<Arc<dyn Network>>,
    pub(crate) tiers: Tiers,
    pub(crate) modules: Modules,
    /// Folders, beside that of its own module, from which a place may start modules.
    pub(crate) module_dirs: Vec<PathBuf>,
    pub(crate) scratches: Scratches,
    pub(crate) max_places: u32,
    pub(crate) largest_memory: u64,
    pub(crate) preempt: bool,
    pub(crate) fuel: bool,
    pub(crate) runtime: Handle,
    /// Owns the places that the embedder started.
    pub(crate) top: Arc<Owner>,
    /// Owns those that outlive whoever started them.
    pub(crate) detached: Arc<Owner>,
    pub(crate) registry: Registry,
    /// Where the output of detached places goes.
    pub(crate) stdout: Output,
    pub(crate) stderr: Output,
    seq: AtomicU64,
}

impl Shared {
    pub(crate) fn next_seq(&self) -> u64 {
        self.seq.fetch_add(1, Ordering::Relaxed)
    }
}

impl Host {
    /// A host to be configured.
    pub fn builder() -> HostBuilder {
        HostBuilder::default()
    }

    /// Names this life of the host.
    pub fn node(&self) -> NodeId {
        self.0.node
    }

    /// Loads the module in a file, compiling it unless it is known or in the cache.
    ///
    /// # Errors
    /// [`LoadError`]: the file cannot be read, is no component, or imports what is not offered here.
    pub async fn load(&self, path: &Path) -> Result<Module, LoadError> {
        self.0.modules.load(path).await
    }

    /// Loads a module from its bytes. Its places can start others of it, but no other modules by path.
    ///
    /// # Errors
    /// As [`Self::load`].
    pub async fn load_bytes(&self, bytes: Vec<u8>) -> Result<Module, LoadError> {
        let bytes = Arc::new(bytes);
        self.0.modules.load_bytes(Arc::clone(&bytes), Origin::Memory(bytes)).await
    }

    /// Reads the module in a file and compiles nothing: it is to run on another node.
    ///
    /// # Errors
    /// As [`Self::load`], but for imports: whether they are offered, the node says where it is to run.
    pub async fn read(&self, path: &Path) -> Result<Source, LoadError> {
        self.0.modules.read(path).await
    }

    /// Says what is in a file, whether or not it runs here.
    ///
    /// # Errors
    /// [`LoadError`]: the file cannot be read. Whatever else is wrong is in [`Inspection::problem`].
    pub async fn inspect(&self, path: &Path) -> Result<Inspection, LoadError> {
        self.0.modules.inspect(path).await
    }

    /// Starts a place and returns it with the end of its channel. It lives until it ends by itself, is killed, or
    /// [`Self::shut_down`] is called.
    ///
    /// # Errors
    /// [`SpawnError`]: no such start function, or no room.
    pub fn spawn(&self, module: &Module, start: &str, config: PlaceConfig) -> Result<(Place, Channel), SpawnError> {
        let owner = Arc::clone(&self.0.top);
        place::spawn(&self.0, Request { module: module.clone(), start: start.into(), config, owner, name: None, seq: None, channel: None })
    }

    /// Starts a place on a node, with a name if it shall have one. It lives until it ends by itself or is killed; and unless it is
    /// detached, until [`Self::shut_down`] is called here.
    ///
    /// # Errors
    /// [`SpawnError`]; those of other nodes say that they are.
    pub async fn spawn_at(
        &self,
        node: &Node,
        module: &Module,
        start: &str,
        config: PlaceConfig,
        options: SpawnOptions,
    ) -> Result<(Place, Channel), SpawnError> {
        self.order(node, (module.source(), Some(module)), start, config, options).await
    }

    /// As [`Self::spawn_at`], of a module that was only read here.
    ///
    /// # Errors
    /// As [`Self::spawn_at`].
    pub async fn spawn_source_at(
        &self,
        node: &Node,
        module: &Source,
        start: &str,
        config: PlaceConfig,
        options: SpawnOptions,
    ) -> Result<(Place, Channel), SpawnError> {
        self.order(node, (module, None), start, config, options).await
    }

    async fn order(
        &self,
        node: &Node,
        (module, compiled): (&Source, Option<&Module>),
        start: &str,
        config: PlaceConfig,
        options: SpawnOptions,
    ) -> Result<(Place, Channel), SpawnError> {
        let SpawnOptions { name, detached } = options;
        let (module, compiled, owner) = (module.clone(), compiled.cloned(), Arc::clone(&self.0.top));
        node.spawn(Order { module, compiled, start: start.into(), config, name, detached, owner, explicit_grants: true }).await
    }

    /// This host, as a node.
    pub fn this_node(&self) -> Node {
        Node::here(&self.0)
    }

    /// The node that listens at an address.
    ///
    /// # Errors
    /// [`NodeError`]: nobody answers there, it refuses us, or this host has no network.
    pub async fn connect(&self, address: &str) -> Result<Node, NodeError> {
        self.0.network()?.connect(address).await
    }

    /// A node that is launched on a machine by ssh, and ends with this one. What its places print goes to `stdout` and `stderr`.
    ///
    /// # Errors
    /// [`NodeError`]: it cannot be launched, or this host has no network.
    pub async fn create(&self, machine: &str, options: CreateOptions, stdout: Output, stderr: Output) -> Result<Node, NodeError> {
        self.0.network()?.create(machine, options, stdout, stderr).await
    }

    /// Lets other nodes connect from now on, at the address of [`NetworkConfig::listen`]; returns where they are told that they can.
    ///
    /// # Errors
    /// [`NodeError`]: the address cannot be had, or this host has no network.
    pub async fn listen(&self) -> Result<Vec<String>, NodeError> {
        self.0.network()?.listen().await
    }

    /// The address of the socket by which this host is connected with others; none before it is needed, or without a network.
    pub fn local_address(&self) -> Option<SocketAddr> {
        self.0.network.get()?.local_address()
    }

    /// Waits until another node, or [`Self::stop`], has told this one to stop; for ever without a network.
    pub async fn stopped(&self) {
        match self.0.network.get() {
            Some(network) => network.stopped().await,
            None => std::future::pending().await,
        }
    }

    /// Takes no more places from other nodes. Those that are there go on.
    pub fn stop(&self) {
        if let Some(network) = self.0.network.get() {
            network.stop();
        }
    }

    /// Says goodbye to all nodes, so that they need not wait for a time-out. Their places here end.
    pub async fn disconnect(&self) {
        if let Some(network) = self.0.network.get() {
            network.shut_down().await;
        }
    }

    /// The living places, the oldest first.
    pub fn list(&self) -> Vec<PlaceInfo> {
        self.0.registry.list()
    }

    /// The living place of this id.
    pub fn find(&self, id: PlaceId) -> Option<Place> {
        self.0.registry.find(id)
    }

    /// The living place of this name.
    pub fn find_named(&self, name: &str) -> Option<Place> {
        self.0.registry.find_named(name)
    }

    /// A channel to the place of this name: one end of a new one, whose other end the place gets as a message on the channel that it
    /// was started with. It never waits.
    ///
    /// # Errors
    /// [`LookupError`]: there is no such place, or it cannot take another client.
    pub fn lookup(&self, name: &str) -> Result<Channel, LookupError> {
        self.0.registry.connect(name)
    }

    /// How many places there are now.
    pub fn places(&self) -> usize {
        self.0.tiers.taken()
    }

    /// How many places there may be at once.
    pub fn max_places(&self) -> u32 {
        self.0.max_places
    }

    /// Ends all places, and starts no more.
    pub fn shut_down(&self) {
        self.0.top.end();
        self.0.detached.end();
    }

    /// Removes what is left of scratch directories, and makes no more. A process calls this after [`Self::shut_down`], as its last
    /// places may end too late to remove theirs; what is left all the same, the next one that makes some in that directory removes.
    pub async fn clear_scratch(&self) {
        let host = Arc::clone(&self.0);
        // Where the runtime is shut down already, the next process does it.
        let _ = self.0.runtime.spawn_blocking(move || host.scratches.clear()).await;
    }
}

/// Configures a [`Host`].
#[derive(Clone)]
pub struct HostBuilder {
    name: Option<String>,
    network: Option<NetworkConfig>,
    max_places: Option<u32>,
    preempt: bool,
    fuel: bool,
    cache: Option<PathBuf>,
    module_dirs: Vec<PathBuf>,
    scratch: Option<PathBuf>,
    stdout: Output,
    stderr: Output,
}

impl Default for HostBuilder {
    fn default() -> Self {
        let (stdout, stderr) = (Output::new(std::io::stdout()), Output::new(std::io::stderr()));
        Self {
            name: None,
            network: None,
            max_places: None,
            preempt: true,
            fuel: false,
            cache: None,
            module_dirs: Vec::new(),
            scratch: None,
            stdout,
            stderr,
        }
    }
}

impl HostBuilder {
    /// What this host calls itself as a node; by default, its id.
    #[must_use]
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// How many places there may be at once; by default, what the machine's limit of memory maps suffices for, at most 12,288.
    /// Beyond that number a place can have at most 64 MiB of memory.
    #[must_use]
    pub fn max_places(mut self, places: u32) -> Self {
        self.max_places = Some(places.max(1));
        self
    }

    /// Whether a place that computes must yield to others every millisecond (the default). The checks cost 20 to 50 % in tight
    /// loops. Without them each place has a thread of its own, and one that computes cannot be killed before it waits.
    #[must_use]
    pub fn preempt(mut self, preempt: bool) -> Self {
        self.preempt = preempt;
        self
    }

    /// Whether places count fuel, so that they can be given a limit of it. It costs 25 to 60 % in tight loops.
    #[must_use]
    pub fn fuel(mut self, fuel: bool) -> Self {
        self.fuel = fuel;
        self
    }

    /// Keeps compiled modules in this folder, which must be this user's alone.
    #[must_use]
    pub fn cache(mut self, folder: impl Into<PathBuf>) -> Self {
        self.cache = Some(folder.into());
        self
    }

    /// Lets places start modules from this folder, beside that of their own module.
    #[must_use]
    pub fn module_dir(mut self, folder: impl Into<PathBuf>) -> Self {
        self.module_dirs.push(folder.into());
        self
    }

    /// Makes scratch directories in this one, for places that are granted them ([`crate::Grants::scratch`]): in a folder that is this
    /// process's own, so that several processes can share it. What one has left that was killed is removed as the host is built. Their
    /// size has no bound but the file system's.
    #[must_use]
    pub fn scratch(mut self, dir: impl Into<PathBuf>) -> Self {
        self.scratch = Some(dir.into());
        self
    }

    /// Connects this host with others. Nothing is opened before it is needed: by [`Host::connect`], [`Host::create`], or
    /// [`Host::listen`].
    #[must_use]
    pub fn network(mut self, network: NetworkConfig) -> Self {
        self.network = Some(network);
        self
    }

    /// Where the output of detached places goes, which outlive who started them; by default to that of the process.
    #[must_use]
    pub fn output(mut self, stdout: Output, stderr: Output) -> Self {
        (self.stdout, self.stderr) = (stdout, stderr);
        self
    }

    /// The host. Its places run on the tokio runtime that this is called in.
    ///
    /// # Errors
    /// [`BuildError`].
    pub fn build(self) -> Result<Host, BuildError> {
        let runtime = Handle::try_current().map_err(|_| BuildError::NoRuntime)?;
        let max_places = self.max_places.unwrap_or_else(|| engine::room_for_places().min(engine::ROOMY));
        let tiers = Tiers::new(EngineConfig { max_places, preempt: self.preempt, fuel: self.fuel })?;
        let engine = &tiers.first().engine;
        let cache = self.cache.map(|folder| Cache::open(&folder, engine)).transpose()?;
        let node = id::new_node();
        let shared = Arc::new(Shared {
            node,
            name: self.name.unwrap_or_else(|| node.to_string()),
            network: OnceLock::new(),
            modules: Modules::new(engine.clone(), Arc::clone(&tiers.first().linker), cache),
            module_dirs: self.module_dirs,
            scratches: Scratches::new(self.scratch),
            max_places,
            largest_memory: engine::largest_memory(max_places),
            preempt: self.preempt,
            fuel: self.fuel,
            runtime,
            top: Owner::embedder(),
            detached: Owner::host(),
            registry: Registry::default(),
            stdout: self.stdout,
            stderr: self.stderr,
            seq: AtomicU64::new(1),
            tiers,
        });
        if let Some(network) = self.network {
            let router = Router::new(&Arc::downgrade(&shared), network);
            // It is the first to be set.
            let _ = shared.network.set(router);
        }
        Ok(Host(shared))
    }
}

/// Why there is no host.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// It was not called in a tokio runtime.
    #[error("a host needs a tokio runtime to be built in")]
    NoRuntime,
    /// Too little address space.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// The folder for compiled modules is unusable.
    #[error(transparent)]
    Cache(#[from] CacheError),
}
