//! Object stores: what lies in buckets, or on this machine's disk as if in one.
//!
//! A place opens a [`Store`] at a URL that it was granted or that lies below, and reaches what is under that. The credentials are this
//! process's environment's and stay here. Only this module knows the crate `object_store`.
//!
//! **Every wait ends.** Each request has a time, is tried again for [`RETRY`], and all of a call is over after [`PATIENCE`]. What a place
//! waits for here is dropped with its task, so a kill cancels it. A [`Writer`] that is dropped gives up what it has begun, for which a
//! process that ends waits a little: [`Stores::given_up`].
//!
//! On this machine's disk links are followed as far as they stay in the granted directory. Whoever can make links there while a place
//! writes by this module can mislead it: a place that is granted a directory as `--dir` *and* as `--objects`, to write both, has what that
//! user may write.

mod reader;
mod url;
mod writer;

use std::collections::HashMap;
use std::error::Error as _;
use std::io;
use std::path::{Path as FilePath, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::stream::BoxStream;
use futures_util::{FutureExt, StreamExt};
use object_store::aws::AmazonS3Builder;
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::{BackoffConfig, ObjectMeta, ObjectStore, ObjectStoreExt, RetryConfig};
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::time::timeout;

use crate::channel::{Account, OverBudget};
use crate::config::Objects;
#[expect(unreachable_pub, reason = "the generated bindings, private too, name it in a `pub use`")]
pub use reader::Reader;
use reader::Source;
pub use url::{ObjectUrl, UrlError};
#[expect(unreachable_pub, reason = "the generated bindings, private too, name it in a `pub use`")]
pub use writer::Writer;

/// For how long a request is tried again.
const RETRY: Duration = Duration::from_secs(20);
/// How often.
const RETRIES: usize = 6;
/// The longest that one call takes.
const PATIENCE: Duration = Duration::from_secs(60);
/// How long a process waits at its end for what it gives up.
const LAST: Duration = Duration::from_secs(5);

/// Where a machine in Amazon's cloud is given credentials: it is asked where the environment has none.
const CREDENTIALS: &str = "//169.254.169.254/";

/// Why something about objects did not succeed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ObjectError {
    #[error("`{text}` names no objects: {why}")]
    Url { text: String, why: UrlError },
    #[error("this place may not reach `{0}`: it was not granted that (`--objects`)")]
    NotGranted(ObjectUrl),
    #[error("`{0}` was granted to be read only")]
    ReadOnly(ObjectUrl),
    #[error("there is no object `{0}`")]
    NotFound(ObjectUrl),
    #[error("there is no bucket of `{0}`")]
    NoBucket(ObjectUrl),
    #[error("`{0}` leads out of what was granted")]
    Outside(ObjectUrl),
    #[error("`{0}` was written again while it was read")]
    Changed(ObjectUrl),
    #[error("the store refuses `{0}`: {1}")]
    Refused(ObjectUrl, String),
    #[error(
        "there are no credentials for `{0}`: AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY are not in placehost's environment, \
         and this machine is given none: {1}"
    )]
    NoCredentials(ObjectUrl, String),
    #[error("no room for `{0}`: {1}")]
    Full(ObjectUrl, String),
    #[error("the store has not served `{0}`: {1}")]
    Unreachable(ObjectUrl, String),
    #[error("the object `{0}` is not written any more: it is finished, or an error was")]
    Finished(ObjectUrl),
    #[error(transparent)]
    OverBudget(#[from] OverBudget),
}

impl ObjectError {
    fn of(url: &ObjectUrl, error: &object_store::Error) -> Self {
        use object_store::Error as E;
        let url = url.clone();
        let text = chain(error);
        match error {
            E::NotFound { .. } => Self::NotFound(url),
            E::Precondition { .. } | E::NotModified { .. } => Self::Changed(url),
            E::PermissionDenied { .. } | E::Unauthenticated { .. } | E::InvalidPath { .. } | E::NotSupported { .. } => {
                Self::Refused(url, text)
            }
            _ if text.contains(CREDENTIALS) => Self::NoCredentials(url, text),
            error => match io_kind(error) {
                Some(io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded) => Self::Full(url, text),
                Some(io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem | io::ErrorKind::NotADirectory) => {
                    Self::Refused(url, text)
                }
                Some(io::ErrorKind::IsADirectory) => Self::NotFound(url),
                // Of a request for a list all that is known is text.
                None if text.contains("<Code>NoSuchBucket</Code>") => Self::NoBucket(url),
                None if ["status code: 401", "status code: 403"].iter().any(|refused| text.contains(refused)) => Self::Refused(url, text),
                _ => Self::Unreachable(url, text),
            },
        }
    }
}

/// An error and its causes on one line; a cause that its error has said already is left out.
fn chain(error: &object_store::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(error) = next {
        let cause = error.to_string();
        if !text.contains(&cause) {
            text = format!("{text}: {cause}");
        }
        next = error.source();
    }
    text
}

/// What the system said, if it was asked.
fn io_kind(error: &object_store::Error) -> Option<io::ErrorKind> {
    let mut next = error.source();
    while let Some(error) = next {
        if let Some(error) = error.downcast_ref::<io::Error>() {
            return Some(error.kind());
        }
        next = error.source();
    }
    None
}

/// Ends what takes too long.
async fn in_time<T>(url: &ObjectUrl, call: impl Future<Output = object_store::Result<T>>) -> Result<T, ObjectError> {
    match timeout(PATIENCE, call).await {
        Ok(result) => result.map_err(|error| ObjectError::of(url, &error)),
        Err(_) => Err(ObjectError::Unreachable(url.clone(), format!("no answer within {} s", PATIENCE.as_secs()))),
    }
}

/// The stores that this host's places use. Those who use one bucket share its connections.
pub(crate) struct Stores {
    runtime: Handle,
    buckets: Mutex<HashMap<String, Arc<dyn ObjectStore>>>,
    files: Arc<dyn ObjectStore>,
    /// Each task that gives something up has a receiver.
    giving_up: watch::Sender<()>,
}

impl Stores {
    /// Whose tasks run there.
    pub(crate) fn new(runtime: Handle) -> Self {
        let (giving_up, _) = watch::channel(());
        Self { runtime, buckets: Mutex::default(), files: Arc::new(LocalFileSystem::new()), giving_up }
    }

    /// What is at a URL, if that was granted.
    pub(crate) async fn open(&self, text: &str, granted: &[Objects]) -> Result<Store, ObjectError> {
        let url: ObjectUrl = text.parse().map_err(|why| ObjectError::Url { text: text.into(), why })?;
        let granted = Objects::new(url.clone(), false).within(granted).ok_or_else(|| ObjectError::NotGranted(url.clone()))?;
        let (read_only, above) = (granted.read_only, granted.root.directory());
        let root = match above {
            None => None,
            // It is what its path leads to when it is used, as other directories that are granted.
            Some(directory) => {
                let root = blocking(move || directory.canonicalize()).await;
                Some(root.map_err(|error| ObjectError::Refused(granted.root, error.to_string()))?)
            }
        };
        let inner = match url.bucket() {
            None => Arc::clone(&self.files),
            Some(bucket) => self.bucket(bucket).map_err(|error| ObjectError::of(&url, &error))?,
        };
        Ok(Store { inner, url, root, read_only, runtime: self.runtime.clone(), giving_up: self.giving_up.clone() })
    }

    fn bucket(&self, name: &str) -> object_store::Result<Arc<dyn ObjectStore>> {
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(bucket) = buckets.get(name) {
            return Ok(Arc::clone(bucket));
        }
        // Its library for HTTP takes TLS's provider from the process.
        crate::net::trust::crypto::make_default();
        let backoff = BackoffConfig { init_backoff: Duration::from_millis(100), max_backoff: Duration::from_secs(5), base: 2.0 };
        let retry = RetryConfig { backoff, max_retries: RETRIES, retry_timeout: RETRY };
        let bucket: Arc<dyn ObjectStore> = Arc::new(AmazonS3Builder::from_env().with_bucket_name(name).with_retry(retry).build()?);
        buckets.insert(name.to_owned(), Arc::clone(&bucket));
        Ok(bucket)
    }

    /// Waits until what was begun and not finished is given up, but not for ever.
    pub(crate) async fn given_up(&self) {
        // What is left then is the bucket's owner's to remove, whose rule for unfinished uploads does.
        let _ = timeout(LAST, self.giving_up.closed()).await;
    }
}

/// What is at a URL, as far as a place may use it.
#[expect(unreachable_pub, reason = "the generated bindings, private too, name it in a `pub use`")]
pub struct Store {
    inner: Arc<dyn ObjectStore>,
    url: ObjectUrl,
    /// The granted directory, where it is one of this machine.
    root: Option<PathBuf>,
    read_only: bool,
    runtime: Handle,
    giving_up: watch::Sender<()>,
}

/// An object.
pub(crate) struct Object {
    /// Under the URL of the store.
    pub(crate) key: String,
    pub(crate) size: u64,
    /// Milliseconds since 1970.
    pub(crate) modified: u64,
}

impl Store {
    /// The objects under a prefix.
    pub(crate) async fn list(&self, prefix: &str) -> Result<Listing, ObjectError> {
        let (url, path) = self.at(prefix).await?;
        let found = self.inner.list(Some(&path)).fuse().boxed();
        Ok(Listing { found, base: self.url.clone(), url, root: self.root.clone() })
    }

    /// What is known of an object.
    pub(crate) async fn head(&self, key: &str) -> Result<Object, ObjectError> {
        let (url, path) = self.at(key).await?;
        let meta = in_time(&url, self.inner.head(&path)).await?;
        Ok(object(key.strip_suffix('/').unwrap_or(key).to_owned(), &meta))
    }

    /// A part of an object, or all of it.
    pub(crate) async fn read(&self, key: &str, offset: u64, len: Option<u64>, account: &Arc<Account>) -> Result<Reader, ObjectError> {
        let (url, path) = self.at(key).await?;
        let meta = in_time(&url, self.inner.head(&path)).await?;
        let end = len.map_or(meta.size, |len| meta.size.min(offset.saturating_add(len)));
        let source = Source { inner: Arc::clone(&self.inner), url, path, root: self.root.clone(), size: meta.size, tag: meta.e_tag };
        Reader::new(source, offset..end, account, self.runtime.clone())
    }

    /// A new object.
    pub(crate) async fn write(&self, key: &str, account: &Arc<Account>) -> Result<Writer, ObjectError> {
        let (url, path) = self.to_change(key).await?;
        Ok(Writer::new(Arc::clone(&self.inner), url, path, account.charge(0)?, self.runtime.clone(), self.giving_up.subscribe()))
    }

    /// Removes an object. One that is not there is an error where the store says so.
    pub(crate) async fn delete(&self, key: &str) -> Result<(), ObjectError> {
        let (url, path) = self.to_change(key).await?;
        in_time(&url, self.inner.delete(&path)).await
    }

    async fn to_change(&self, key: &str) -> Result<(ObjectUrl, Path), ObjectError> {
        if self.read_only {
            return Err(ObjectError::ReadOnly(self.url.clone()));
        }
        self.at(key).await
    }

    /// Where something is that lies under here.
    async fn at(&self, key: &str) -> Result<(ObjectUrl, Path), ObjectError> {
        let bad = |why| ObjectError::Url { text: format!("{}/{key}", self.url), why };
        let url = self.url.join(key).map_err(bad)?;
        let path = Path::parse(url.path()).map_err(|error| ObjectError::of(&url, &error.into()))?;
        match (&self.root, url.directory()) {
            (Some(root), Some(file)) => {
                let root = root.clone();
                match blocking(move || leads_into(&root, &file)).await {
                    true => Ok((url, path)),
                    false => Err(ObjectError::Outside(url)),
                }
            }
            _ => Ok((url, path)),
        }
    }
}

fn object(key: String, meta: &ObjectMeta) -> Object {
    let modified = u64::try_from(meta.last_modified.timestamp_millis()).unwrap_or(0);
    Object { key, size: meta.size, modified }
}

/// Does what the disk may take its time for.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
        // The runtime is ending, and this task with it.
        Err(_) => std::future::pending().await,
    }
}

/// Whether a path, with all links in it followed, lies in the directory; what is not there yet counts as where it would be.
fn leads_into(root: &FilePath, path: &FilePath) -> bool {
    let there = path.ancestors().find(|path| path.symlink_metadata().is_ok());
    there.is_some_and(|path| path.canonicalize().is_ok_and(|path| path.starts_with(root) || root.starts_with(&path)))
}

/// Objects, as they are found.
#[expect(unreachable_pub, reason = "the generated bindings, private too, name it in a `pub use`")]
pub struct Listing {
    found: BoxStream<'static, object_store::Result<ObjectMeta>>,
    /// What keys are under.
    base: ObjectUrl,
    /// What is listed.
    url: ObjectUrl,
    root: Option<PathBuf>,
}

impl Listing {
    /// Waits for one, and returns it with as many more as are there; none at the end.
    pub(crate) async fn next(&mut self, max: usize) -> Result<Vec<Object>, ObjectError> {
        let mut objects = Vec::new();
        while objects.len() < max {
            let next = match objects.is_empty() {
                true => in_time(&self.url, self.found.next().map(Option::transpose)).await?,
                false => match self.found.next().now_or_never() {
                    Some(next) => next.transpose().map_err(|error| ObjectError::of(&self.url, &error))?,
                    None => break,
                },
            };
            let Some(meta) = next else { break };
            if let Some(key) = self.key(&meta) {
                objects.push(object(key, &meta));
            }
        }
        Ok(objects)
    }

    /// Nothing for what a link leads to outside.
    fn key(&self, meta: &ObjectMeta) -> Option<String> {
        let path = meta.location.as_ref();
        let inside = self.root.as_ref().is_none_or(|root| leads_into(root, FilePath::new(&format!("/{path}"))));
        let base = self.base.path();
        let key = if base.is_empty() { path } else { path.strip_prefix(base)?.strip_prefix('/')? };
        inside.then(|| key.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn granted(url: &str, read_only: bool) -> Objects {
        Objects::new(url.parse().unwrap(), read_only)
    }

    async fn text(store: &Store, key: &str) -> Result<String, ObjectError> {
        let account = Account::new(1 << 20);
        let mut reader = store.read(key, 0, None, &account).await?;
        let mut all = Vec::new();
        loop {
            match reader.read(3).await? {
                piece if piece.is_empty() => return Ok(String::from_utf8(all).unwrap()),
                piece => all.extend_from_slice(&piece),
            }
        }
    }

    #[test]
    fn who_has_no_credentials_is_told_which() {
        let source = io::Error::other(format!("error performing PUT http:{CREDENTIALS}latest/api/token: status code: 403"));
        let error =
            ObjectError::of(&"s3://bucket/in".parse().unwrap(), &object_store::Error::Generic { store: "S3", source: Box::new(source) });
        assert!(matches!(&error, ObjectError::NoCredentials(..)), "{error}");
    }

    #[tokio::test]
    async fn what_is_granted_bounds_what_is_reached() {
        let folder = tempfile::tempdir().unwrap();
        let above = folder.path().canonicalize().unwrap();
        for name in ["in/a", "in/sub/b", "out/secret"] {
            std::fs::create_dir_all(above.join(name).parent().unwrap()).unwrap();
            std::fs::write(above.join(name), name).unwrap();
        }
        std::os::unix::fs::symlink(above.join("out"), above.join("in/link")).unwrap();
        std::os::unix::fs::symlink(above.join("out/secret"), above.join("in/file")).unwrap();
        std::os::unix::fs::symlink(above.join("in/a"), above.join("in/same")).unwrap();
        let url = |path: &str| format!("file://{}/{path}", above.display());
        let stores = Stores::new(Handle::current());
        let grants = [granted(&url("in"), false)];
        let store = stores.open(&url("in"), &grants).await.unwrap();
        assert_eq!(text(&store, "sub/b").await.unwrap(), "in/sub/b");
        assert_eq!(text(&store, "same").await.unwrap(), "in/a");
        for key in ["file", "link/secret"] {
            assert!(matches!(text(&store, key).await, Err(ObjectError::Outside(_))), "{key}");
            assert!(matches!(store.head(key).await, Err(ObjectError::Outside(_))), "{key}");
            assert!(matches!(store.delete(key).await, Err(ObjectError::Outside(_))), "{key}");
        }
        let account = Account::new(1 << 20);
        assert!(matches!(store.write("link/new", &account).await, Err(ObjectError::Outside(_))));
        let mut listing = store.list("").await.unwrap();
        let mut keys = Vec::new();
        loop {
            match listing.next(2).await.unwrap() {
                found if found.is_empty() => break,
                found => keys.extend(found.into_iter().map(|object| object.key)),
            }
        }
        keys.sort();
        assert_eq!(keys, ["a", "same", "sub/b"]);
        for outside in ["out", "", "in2"] {
            assert!(matches!(stores.open(&url(outside), &grants).await, Err(ObjectError::NotGranted(_))), "{outside}");
        }
        // Nor does a part of it that was granted on.
        let link = granted(&url("in/link"), false).within(&grants).unwrap();
        let linked = stores.open(&url("in/link"), &[link]).await.unwrap();
        assert!(matches!(text(&linked, "secret").await, Err(ObjectError::Outside(_))));
        let below = stores.open(&url("in/sub"), &[granted(&url("in"), true)]).await.unwrap();
        assert_eq!(text(&below, "b").await.unwrap(), "in/sub/b");
        assert!(matches!(below.delete("b").await, Err(ObjectError::ReadOnly(_))));
        assert!(matches!(below.write("b", &account).await, Err(ObjectError::ReadOnly(_))));
        assert!(matches!(text(&below, "c").await, Err(ObjectError::NotFound(_))));
    }
}
