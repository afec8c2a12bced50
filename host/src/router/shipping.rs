//! Modules on their way: offered by the node that starts a place, wanted by the one that does not have them.
//!
//! A module is known by its digest, so it travels once to each node. What comes is believed only when it has the digest that was
//! wanted; it is kept under a temporary name and renamed when whole, so that nothing is ever there by half.

use std::collections::HashMap;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use placehost_proto::frame::{Head, Refusal, Spawn};
use placehost_proto::{Control, Digest, SessionKey};
use tokio::sync::{Semaphore, oneshot};

use super::serve::load_refusal;
use super::{Guest, lock};
use crate::engine::{MAX_MODULE, Module, Source};
use crate::host::Shared;
use crate::net::blob;
use crate::net::hub::Hub;
use crate::net::session::{Incoming, Session};

/// How many kept modules are read at once: until it is compiled, a module's bytes are in nobody's account.
const READERS: usize = 4;
/// How many bytes are handed to the stream at once.
const PIECE: usize = 256 << 10;

/// A module that came, and the file it is kept in.
#[derive(Clone, Debug)]
struct Arrived {
    bytes: Arc<Vec<u8>>,
    kept: Option<PathBuf>,
}

type Waiters = Vec<oneshot::Sender<Result<Arrived, Refusal>>>;

/// The modules that this node waits for, and those that have come.
pub(super) struct Shipments {
    folder: Option<PathBuf>,
    readers: Semaphore,
    wanted: Mutex<HashMap<(SessionKey, Digest), Waiters>>,
}

impl Shipments {
    pub(super) fn new(folder: Option<PathBuf>) -> Self {
        Self { folder, readers: Semaphore::new(READERS), wanted: Mutex::default() }
    }

    /// The module of a spawn: known, kept, or shipped now.
    pub(super) async fn get(&self, host: &Arc<Shared>, hub: &Hub, session: &Arc<Session>, spawn: &Spawn) -> Result<Module, Refusal> {
        let Spawn { module: digest, size, file, .. } = spawn;
        if *size > MAX_MODULE {
            return Err(Refusal::Limit(format!("`{file}` has {size} bytes; a module may have {MAX_MODULE}")));
        }
        if let Some(module) = host.modules.known(*digest) {
            return Ok(module);
        }
        if let Some(module) = self.load_kept(host, *digest, file).await? {
            return Ok(module);
        }
        let Arrived { bytes, kept } = self.shipped(hub, session, *digest).await?;
        host.modules.load_shipped(bytes, file, kept).await.map_err(|error| load_refusal(file, &error))
    }

    /// A module that is kept is read once, however many ask for it at the same time.
    async fn load_kept(&self, host: &Arc<Shared>, digest: Digest, file: &str) -> Result<Option<Module>, Refusal> {
        // It is never closed.
        let Ok(_turn) = self.readers.acquire().await else { return Ok(None) };
        if let Some(module) = host.modules.known(digest) {
            return Ok(Some(module));
        }
        let Some(Arrived { bytes, kept }) = self.kept(digest).await else { return Ok(None) };
        host.modules.load_shipped(bytes, file, kept).await.map(Some).map_err(|error| load_refusal(file, &error))
    }

    /// A module that came in a former life of this node, if it is still what it was.
    async fn kept(&self, digest: Digest) -> Option<Arrived> {
        let path = self.folder.as_deref()?.join(format!("{digest}.wasm"));
        let read = move || {
            let bytes = fs::read(&path).ok()?;
            (Digest::of(&bytes) == digest).then(|| Arrived { bytes: Arc::new(bytes), kept: Some(path) })
        };
        tokio::task::spawn_blocking(read).await.ok()?
    }

    async fn shipped(&self, hub: &Hub, session: &Arc<Session>, digest: Digest) -> Result<Arrived, Refusal> {
        let (sender, arrived) = oneshot::channel();
        let first = {
            let mut wanted = self.wanted();
            let waiters = wanted.entry((session.key(), digest)).or_default();
            waiters.push(sender);
            waiters.len() == 1
        };
        if first {
            hub.tell(session.key(), Control::Want(digest));
        }
        tokio::select! {
            arrived = arrived => arrived.unwrap_or(Err(Refusal::Stopping)),
            _ = session.lost() => Err(Refusal::Stopping),
        }
    }

    /// Receives a module that was wanted.
    pub(super) async fn receive(&self, hub: &Hub, session: &Arc<Session>, stream: Incoming, digest: Digest, size: u64) {
        let breach = |text| hub.breach(session.key(), text);
        if !self.wanted().contains_key(&(session.key(), digest)) || size > MAX_MODULE {
            return breach("a module that nobody wants");
        }
        let no_memory = || Refusal::Limit("that node has no memory left for a module".into());
        let result = match session.account().charge(size) {
            Err(_) => Err(no_memory()),
            Ok(_charge) => match blob::read(stream, size).await {
                Ok(Some(bytes)) => self.keep(bytes, digest).await,
                Ok(None) => return breach("a module of another size than announced"),
                // The connection is gone.
                Err(_) => Err(Refusal::Stopping),
            },
        };
        match result {
            Ok(Some(arrived)) => self.tell(session.key(), digest, &Ok(arrived)),
            Ok(None) => {
                breach("a module whose digest is wrong");
                self.tell(session.key(), digest, &Err(Refusal::Stopping));
            }
            Err(refusal) => self.tell(session.key(), digest, &Err(refusal)),
        }
    }

    /// Checks the digest, and keeps the module; nothing if it is another one.
    async fn keep(&self, bytes: Vec<u8>, digest: Digest) -> Result<Option<Arrived>, Refusal> {
        let folder = self.folder.clone();
        let work = move || {
            if Digest::of(&bytes) != digest {
                return Ok(None);
            }
            let kept = folder.map(|folder| write(&folder, digest, &bytes)).transpose()?;
            Ok::<_, io::Error>(Some(Arrived { bytes: Arc::new(bytes), kept }))
        };
        match tokio::task::spawn_blocking(work).await {
            Ok(Ok(arrived)) => Ok(arrived),
            Ok(Err(error)) => {
                tracing::warn!("cannot keep a module that was shipped: {error}");
                Err(Refusal::Limit(format!("that node cannot keep the module: {error}")))
            }
            Err(_) => Err(Refusal::Stopping),
        }
    }

    /// The peer cannot ship it.
    pub(super) fn failed(&self, session: SessionKey, digest: Digest, why: &str) {
        self.tell(session, digest, &Err(Refusal::NotFound(format!("the module cannot be shipped: {why}"))));
    }

    /// The peer is gone.
    pub(super) fn lost(&self, session: SessionKey) {
        self.wanted().retain(|(key, _), _| *key != session);
    }

    fn tell(&self, session: SessionKey, digest: Digest, result: &Result<Arrived, Refusal>) {
        let waiters = self.wanted().remove(&(session, digest)).unwrap_or_default();
        for waiter in waiters {
            // Who waited may have given up.
            let _ = waiter.send(result.clone());
        }
    }

    fn wanted(&self) -> MutexGuard<'_, HashMap<(SessionKey, Digest), Waiters>> {
        self.wanted.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn write(folder: &Path, digest: Digest, bytes: &[u8]) -> io::Result<PathBuf> {
    use std::os::unix::fs::DirBuilderExt;
    fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    let path = folder.join(format!("{digest}.wasm"));
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    file.write_all(bytes)?;
    file.persist(&path)?;
    Ok(path)
}

/// The modules of the spawns that wait for an answer, which the peer may want.
#[derive(Clone, Default)]
pub(super) struct Offers(Arc<Mutex<HashMap<Digest, (Source, usize)>>>);

/// An offer, until dropped.
pub(super) struct Offer {
    offers: Offers,
    digest: Digest,
}

impl Offers {
    pub(super) fn offer(&self, module: Source) -> Offer {
        let digest = module.digest();
        lock(&self.0).entry(digest).or_insert((module, 0)).1 += 1;
        Offer { offers: self.clone(), digest }
    }
}

impl Drop for Offer {
    fn drop(&mut self) {
        let mut offers = lock(&self.offers.0);
        if let Some((_, count)) = offers.get_mut(&self.digest) {
            *count -= 1;
            if *count == 0 {
                offers.remove(&self.digest);
            }
        }
    }
}

/// How far the shipping of a module has come.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Shipping<'a> {
    /// What its owner calls the module.
    pub module: &'a str,
    /// Bytes that the connection has taken.
    pub sent: u64,
    /// Bytes in all.
    pub size: u64,
}

/// Hears how far modules have come.
pub type OnShipping = Arc<dyn Fn(Shipping<'_>) + Send + Sync>;

/// Ships a module that the peer wants.
pub(super) fn ship(hub: &Hub, session: &Arc<Session>, guest: &Guest, digest: Digest, progress: Option<OnShipping>) {
    let key = session.key();
    let Some(module) = lock(&guest.offers.0).get(&digest).map(|(module, _)| module.clone()) else {
        return hub.tell(key, Control::CannotShip(digest, "it is not offered, or no longer".into()));
    };
    let (hub, session) = (hub.clone(), Arc::clone(session));
    hub.runtime().clone().spawn(async move {
        let bytes = match module.bytes().await {
            Ok(bytes) => bytes,
            Err(error) => return hub.tell(key, Control::CannotShip(digest, super::chain(&error))),
        };
        let label = module.label();
        let size = bytes.len() as u64;
        // A write fails when the session is over, which its waiters hear.
        let Ok(mut stream) = session.open(&Head::Module { digest, size }).await else { return };
        let mut sent = 0;
        for piece in bytes.chunks(PIECE) {
            if stream.write_all(piece).await.is_err() {
                return;
            }
            sent += piece.len() as u64;
            if let Some(progress) = &progress {
                progress(Shipping { module: &label, sent, size });
            }
        }
        let _ = stream.finish();
    });
}
