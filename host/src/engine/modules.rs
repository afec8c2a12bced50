//! Modules: from a file to something that can be started.
//!
//! A module is known by the digest of its bytes. However many places ask for it at once, it is compiled once, off the threads
//! that run places.

mod inspect;
mod source;

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::SystemTime;

use tokio::sync::OnceCell;
use wasmtime::component::types::{ComponentFunc, ComponentItem};
use wasmtime::component::{Component, ComponentExportIndex, InstancePre, ResourceType, Type};
use wasmtime::{Engine, Precompiled};

use super::cache::Cache;
use super::linker::{Linker, describe_import};
use super::{Rank, Tiers};
use crate::channel::Channel;
use crate::id::Digest;
use crate::place::State;

pub use inspect::{Import, Inspection, Kind, StartFunction};
pub use source::Source;

/// The largest module that is read, in bytes.
pub const MAX_MODULE: u64 = 256 << 20;

/// A module that runs here. Clones share it.
#[derive(Clone)]
pub struct Module(Arc<Inner>);

struct Inner {
    source: Source,
    compiled: Arc<Compiled>,
}

/// Where a module's bytes are, for other nodes that want them.
#[derive(Clone, Debug)]
pub(crate) enum Origin {
    /// A file of this machine's; paths in the module's `spawn` calls start from its folder. It may have changed since.
    File(PathBuf),
    /// Another node shipped it, which calls it so; it is kept in this file, or in memory.
    Shipped(String, Result<PathBuf, Arc<Vec<u8>>>),
    /// The embedder had it.
    Memory(Arc<Vec<u8>>),
}

struct Compiled {
    first: Runnable,
    /// The same code in the second engine, once it is needed there.
    second: OnceLock<Runnable>,
    /// Exports that are no start functions, and why.
    others: BTreeMap<String, String>,
    imports: Vec<String>,
}

/// A module in one engine.
pub(crate) struct Runnable {
    pub(crate) pre: InstancePre<State>,
    starts: BTreeMap<String, Start>,
}

impl Runnable {
    /// The start function of this name; `_` and `-` are the same.
    pub(crate) fn start(&self, name: &str) -> Option<Start> {
        self.starts.get(&kebab(name)).copied()
    }
}

/// A start function of a module.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Start {
    pub(crate) index: ComponentExportIndex,
    /// Whether it may return an error's text.
    pub(crate) fallible: bool,
}

/// Why a module cannot be loaded.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LoadError {
    /// There is no such file.
    #[error("there is no module `{}`", path.display())]
    NotFound {
        /// As it was given.
        path: PathBuf,
    },
    /// The path names a directory.
    #[error("`{}` is a directory, not a module", path.display())]
    Directory {
        /// As it was given.
        path: PathBuf,
    },
    /// The system would not read it.
    #[error("cannot read `{}`", path.display())]
    Io {
        /// As it was given.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// It is over [`MAX_MODULE`].
    #[error("`{}` has {size} bytes; a module may have {MAX_MODULE}", path.display())]
    TooLarge {
        /// As it was given.
        path: PathBuf,
        /// In bytes.
        size: u64,
    },
    /// There is nothing in it.
    #[error("the module is empty")]
    Empty,
    /// It does not begin as WebAssembly does.
    #[error("this is not WebAssembly: it begins with {}", begin.escape_ascii())]
    NotWasm {
        /// Its first bytes.
        begin: Vec<u8>,
    },
    /// It is a core module.
    #[error("this is a core WebAssembly module, not a component")]
    CoreModule,
    /// It is native code, which is never taken from a file.
    #[error("this is compiled code, not WebAssembly")]
    Compiled,
    /// It is damaged, or uses what the engine does not know.
    #[error("this is no valid component")]
    Invalid(#[source] wasmtime::Error),
    /// It wants what this host has not.
    #[error("the module imports what this host does not offer: {}", missing.join("; "))]
    Imports {
        /// A phrase for each import that is missing.
        missing: Vec<String>,
    },
    /// The file is another one by now.
    #[error("`{}` has changed since the module was loaded", path.display())]
    Changed {
        /// As it was found.
        path: PathBuf,
    },
    /// The thread that compiled it was lost.
    #[error("the compiler failed")]
    Compiler(#[source] wasmtime::Error),
}

impl Module {
    /// BLAKE3 of its bytes.
    pub fn digest(&self) -> Digest {
        self.0.source.digest
    }

    /// Its start functions, by name.
    pub fn starts(&self) -> impl Iterator<Item = &str> {
        self.0.compiled.first.starts.keys().map(String::as_str)
    }

    /// The names of its imports.
    pub fn imports(&self) -> &[String] {
        &self.0.compiled.imports
    }

    /// Its other exports: name, and why it is no start function.
    pub fn other_exports(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.compiled.others.iter().map(|(name, why)| (name.as_str(), why.as_str()))
    }

    /// Why the export of this name is no start function, if there is one.
    pub(crate) fn not_a_start(&self, name: &str) -> Option<&str> {
        self.0.compiled.others.get(&kebab(name)).map(String::as_str)
    }

    /// The module in the engine of this rank.
    pub(crate) fn runnable(&self, tiers: &Tiers, rank: Rank) -> wasmtime::Result<&Runnable> {
        let Compiled { first, second, .. } = &*self.0.compiled;
        if rank == Rank::First {
            return Ok(first);
        }
        if let Some(second) = second.get() {
            return Ok(second);
        }
        let tier = tiers.second()?;
        // SAFETY: these bytes are the serialized form of a component that this process has compiled or loaded.
        let component = unsafe { Component::deserialize(&tier.engine, first.pre.component().serialize()?)? };
        let (runnable, _) = exports(&tier.engine, &tier.linker, &component)?;
        Ok(second.get_or_init(|| runnable))
    }

    /// What it was compiled from.
    pub(crate) fn source(&self) -> &Source {
        &self.0.source
    }

    pub(crate) fn folder(&self) -> Option<&Path> {
        self.0.source.file()?.parent()
    }

    /// What people call it: the name of its file, or its digest.
    pub(crate) fn label(&self) -> String {
        self.0.source.label()
    }
}

impl std::fmt::Debug for Module {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Module").field("digest", &self.0.source.digest).finish_non_exhaustive()
    }
}

/// In the name of a start function `_` and `-` are the same.
pub(crate) fn kebab(name: &str) -> String {
    name.replace('_', "-")
}

/// All modules that a host has loaded.
pub(crate) struct Modules {
    engine: Engine,
    linker: Arc<Linker>,
    cache: Option<Arc<Cache>>,
    compiled: Mutex<HashMap<Digest, Slot>>,
    /// Files that were read, so that a file that has not changed since is not read again.
    files: Mutex<HashMap<PathBuf, (Stamp, Module)>>,
    /// Modules that other nodes have shipped.
    shipped: Mutex<HashMap<Digest, Module>>,
}

/// How many modules from other nodes are kept ready that no place is using.
const READY: usize = 256;

type Slot = Arc<OnceCell<Arc<Compiled>>>;

/// What changes when a file does.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Stamp {
    modified: SystemTime,
    size: u64,
    inode: u64,
}

impl Modules {
    pub(crate) fn new(engine: Engine, linker: Arc<Linker>, cache: Option<Cache>) -> Self {
        let cache = cache.map(Arc::new);
        Self { engine, linker, cache, compiled: Mutex::default(), files: Mutex::default(), shipped: Mutex::default() }
    }

    /// Loads the module in a file.
    pub(crate) async fn load(&self, path: &Path) -> Result<Module, LoadError> {
        let stamp = stamp(path)?;
        let known = self.files.lock().unwrap_or_else(PoisonError::into_inner).get(path).cloned();
        if let Some((_, module)) = known.filter(|(then, _)| *then == stamp) {
            return Ok(module);
        }
        let file = path.to_owned();
        let bytes = off_thread(move || read(&file)).await??;
        let origin = Origin::File(fs::canonicalize(path).unwrap_or_else(|_| path.to_owned()));
        let module = self.load_bytes(bytes.into(), origin).await?;
        self.files.lock().unwrap_or_else(PoisonError::into_inner).insert(path.to_owned(), (stamp, module.clone()));
        Ok(module)
    }

    /// Loads a module from its bytes.
    pub(crate) async fn load_bytes(&self, bytes: Arc<Vec<u8>>, origin: Origin) -> Result<Module, LoadError> {
        check_kind(&bytes)?;
        let (digest, size) = (Digest::of(&bytes), bytes.len() as u64);
        let slot = Arc::clone(self.compiled.lock().unwrap_or_else(PoisonError::into_inner).entry(digest).or_default());
        let compiled = match slot.get_or_try_init(|| self.compile(bytes, digest)).await {
            Ok(compiled) => compiled,
            Err(error) => {
                // Who waits for the same module tries again with the slot that they all have.
                self.compiled.lock().unwrap_or_else(PoisonError::into_inner).remove(&digest);
                return Err(error);
            }
        };
        Ok(Module(Arc::new(Inner { source: Source::new(digest, size, origin), compiled: Arc::clone(compiled) })))
    }

    /// Compiles a module that was read.
    pub(crate) async fn compile_source(&self, source: &Source) -> Result<Module, LoadError> {
        self.load_bytes(source.bytes().await?, source.origin.clone()).await
    }

    /// A module that another node has shipped before.
    pub(crate) fn known(&self, digest: Digest) -> Option<Module> {
        self.shipped.lock().unwrap_or_else(PoisonError::into_inner).get(&digest).cloned()
    }

    /// Loads a module that another node has shipped, and calls so.
    pub(crate) async fn load_shipped(&self, bytes: Arc<Vec<u8>>, label: &str, kept: Option<PathBuf>) -> Result<Module, LoadError> {
        let origin = Origin::Shipped(label.into(), kept.ok_or_else(|| Arc::clone(&bytes)));
        let module = self.load_bytes(bytes, origin).await?;
        let mut shipped = self.shipped.lock().unwrap_or_else(PoisonError::into_inner);
        if shipped.len() >= READY {
            shipped.retain(|_, module| Arc::strong_count(&module.0) > 1);
            self.compiled.lock().unwrap_or_else(PoisonError::into_inner).retain(|_, slot| match slot.get() {
                Some(compiled) => Arc::strong_count(compiled) > 1,
                None => true,
            });
        }
        shipped.insert(module.digest(), module.clone());
        Ok(module)
    }

    async fn compile(&self, bytes: Arc<Vec<u8>>, digest: Digest) -> Result<Arc<Compiled>, LoadError> {
        let (engine, linker, cache) = (self.engine.clone(), Arc::clone(&self.linker), self.cache.clone());
        off_thread(move || {
            let kept = cache.as_ref().and_then(|cache| cache.get(&engine, digest));
            let component = match kept {
                Some(component) => component,
                None => {
                    let component = Component::from_binary(&engine, &bytes).map_err(LoadError::Invalid)?;
                    if let Some(cache) = &cache {
                        cache.put(digest, &component);
                    }
                    component
                }
            };
            Compiled::new(&engine, &linker, &component).map(Arc::new)
        })
        .await?
    }
}

impl Compiled {
    fn new(engine: &Engine, linker: &Linker, component: &Component) -> Result<Self, LoadError> {
        let ty = component.component_type();
        // A type is imported only to be named; whose it is, is another import.
        let named = |item: &ComponentItem| matches!(item, ComponentItem::Type(_) | ComponentItem::Resource(_));
        let imports: Vec<String> = ty.imports(engine).filter(|(_, item)| !named(&item.ty)).map(|(name, _)| name.to_owned()).collect();
        let missing: Vec<String> = imports.iter().filter_map(|name| describe_import(name)).collect();
        if !missing.is_empty() {
            return Err(LoadError::Imports { missing });
        }
        // An interface that we have may still lack a function, or give it another type.
        let mismatch = |error: wasmtime::Error| LoadError::Imports { missing: vec![format!("{error:#}")] };
        let (first, others) = exports(engine, linker, component).map_err(mismatch)?;
        Ok(Self { first, second: OnceLock::new(), others, imports })
    }
}

/// The component with its imports bound; and its exports that are no start functions, with the reason.
fn exports(engine: &Engine, linker: &Linker, component: &Component) -> wasmtime::Result<(Runnable, BTreeMap<String, String>)> {
    let pre = linker.instantiate_pre(component)?;
    let (mut starts, mut others) = (BTreeMap::new(), BTreeMap::new());
    for (name, item) in linker.type_of(component)?.exports(engine) {
        let index = component.get_export_index(None, name);
        match (start_type(&item.ty), index) {
            (Ok(fallible), Some(index)) => drop(starts.insert(name.to_owned(), Start { index, fallible })),
            (Err(why), _) => drop(others.insert(name.to_owned(), why)),
            (Ok(_), None) => {}
        }
    }
    Ok((Runnable { pre, starts }, others))
}

/// Why an export is no start function.
const FUNCTION: &str = "it is no function";
const CHANNEL: &str = "it does not take one `own<channel>` of places:core/channels";
const RESULT: &str = "it returns neither nothing nor `result<_, string>`";

/// Whether a start function of this type may fail, or why it is none.
fn start_type(item: &ComponentItem) -> Result<bool, String> {
    let ComponentItem::ComponentFunc(function) = item else { return Err(FUNCTION.into()) };
    if !takes_channel(function) {
        return Err(CHANNEL.into());
    }
    let mut results = function.results();
    match (results.next(), results.next()) {
        (None, None) => Ok(false),
        (Some(Type::Result(result)), None) if result.ok().is_none() && matches!(result.err(), Some(Type::String)) => Ok(true),
        _ => Err(RESULT.into()),
    }
}

fn takes_channel(function: &ComponentFunc) -> bool {
    let mut params = function.params();
    matches!((params.next(), params.next()), (Some((_, Type::Own(end))), None) if end == ResourceType::host::<Channel>())
}

fn check_kind(bytes: &[u8]) -> Result<(), LoadError> {
    match bytes {
        [] => Err(LoadError::Empty),
        [b'\0', b'a', b's', b'm', 1, 0, 0, 0, ..] => Err(LoadError::CoreModule),
        [b'\0', b'a', b's', b'm', ..] => Ok(()),
        _ if Engine::detect_precompiled(bytes).is_some_and(|kind| matches!(kind, Precompiled::Component | Precompiled::Module)) => {
            Err(LoadError::Compiled)
        }
        _ => Err(LoadError::NotWasm { begin: bytes.iter().copied().take(8).collect() }),
    }
}

fn stamp(path: &Path) -> Result<Stamp, LoadError> {
    use std::os::unix::fs::MetadataExt;
    let owned = || path.to_owned();
    let about = fs::metadata(path).map_err(|source| match source.kind() {
        io::ErrorKind::NotFound => LoadError::NotFound { path: owned() },
        _ => LoadError::Io { path: owned(), source },
    })?;
    if about.is_dir() {
        return Err(LoadError::Directory { path: owned() });
    }
    if about.len() > MAX_MODULE {
        return Err(LoadError::TooLarge { path: owned(), size: about.len() });
    }
    let modified = about.modified().map_err(|source| LoadError::Io { path: owned(), source })?;
    Ok(Stamp { modified, size: about.len(), inode: about.ino() })
}

/// Reads no more than a module may have, however long the file turns out to be: it may be a pipe.
fn read(path: &Path) -> Result<Vec<u8>, LoadError> {
    let failed = |source| LoadError::Io { path: path.to_owned(), source };
    let mut bytes = Vec::new();
    fs::File::open(path).map_err(failed)?.take(MAX_MODULE + 1).read_to_end(&mut bytes).map_err(failed)?;
    match bytes.len() as u64 {
        size if size > MAX_MODULE => Err(LoadError::TooLarge { path: path.to_owned(), size }),
        _ => Ok(bytes),
    }
}

async fn off_thread<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, LoadError> {
    tokio::task::spawn_blocking(work).await.map_err(|error| LoadError::Compiler(error.into()))
}
