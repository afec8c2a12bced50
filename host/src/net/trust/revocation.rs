//! Revocation lists: which certificates of an authority are believed no longer.
//!
//! A list is X.509's (RFC 5280, section 5), signed by the authority and numbered, so it may come from anybody: a newer one replaces
//! an older one, and nothing else is accepted. In a cluster's folder it is a file, `revoked.crl`; beside certificates of one's own it
//! is a file that somebody else writes, with one list of each authority or more. Another process may replace it at any time; so the
//! file is looked at (one `stat`) at each handshake, and whenever [`Revocations::refresh`] is called.

use std::collections::HashSet;
use std::fmt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustls::pki_types::CertificateRevocationListDer;
use rustls::pki_types::pem::PemObject;
use tokio::sync::watch;
use webpki::{CertRevocationList, OwnedCertRevocationList};
use x509_parser::prelude::{CertificateRevocationList, FromDer, X509Certificate};

use super::certificate::Certificate;
use super::folder::{self, Folder, FolderError, LARGEST};

/// The file in a cluster's folder.
pub(super) const FILE: &str = "revoked.crl";

/// What some authorities have revoked, as far as it is known here.
pub struct Revocations {
    roots: Vec<Certificate>,
    kept: Kept,
    held: Mutex<Held>,
    changes: watch::Sender<u64>,
}

/// Where lists are kept.
#[derive(Clone, Debug)]
pub(super) enum Kept {
    /// Nowhere but in memory.
    Nowhere,
    /// In a cluster's folder: that of the first authority.
    Folder(Folder),
    /// In a file of somebody else's, in PEM or DER.
    File(PathBuf),
}

impl Kept {
    fn path(&self) -> Option<PathBuf> {
        match self {
            Self::Nowhere => None,
            Self::Folder(folder) => Some(folder.path(FILE)),
            Self::File(path) => Some(path.clone()),
        }
    }

    /// The lists, each in DER.
    fn read(&self) -> Result<Vec<Vec<u8>>, ListError> {
        match self {
            Self::Nowhere => Ok(Vec::new()),
            Self::Folder(folder) => Ok(folder.read(FILE)?.into_iter().collect()),
            Self::File(path) => from_file(path),
        }
    }

    fn folder(&self) -> Option<&Folder> {
        if let Self::Folder(folder) = self { Some(folder) } else { None }
    }
}

/// The lists in a file.
fn from_file(path: &Path) -> Result<Vec<Vec<u8>>, ListError> {
    let bytes = folder::read(path)?;
    // DER begins with the tag of a sequence, which no text does.
    if bytes.first() == Some(&0x30) {
        return Ok(vec![bytes]);
    }
    let lists: Result<Vec<_>, _> = CertificateRevocationListDer::pem_slice_iter(&bytes).map(|der| der.map(|der| der.to_vec())).collect();
    match lists {
        Ok(lists) if !lists.is_empty() => Ok(lists),
        _ => Err(ListError::Malformed),
    }
}

#[derive(Default)]
struct Held {
    lists: Vec<Arc<List>>,
    seen: Option<Stamp>,
}

/// Tells one state of the file from another: when it was written, to the nanosecond, and which it is.
type Stamp = (i64, i64, u64, u64);

/// A list that its authority has signed.
pub(super) struct List {
    pub(super) der: Vec<u8>,
    pub(super) number: u64,
    issuer: Vec<u8>,
    pub(super) serials: HashSet<Vec<u8>>,
    parsed: CertRevocationList<'static>,
}

/// Why a list is not accepted.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ListError {
    /// It is none, or not one that can be used: without a number, or too large.
    #[error("it is no revocation list")]
    Malformed,
    /// None of the authorities that are trusted here has signed it.
    #[error("the revocation list is not signed by an authority that is trusted here")]
    Stranger,
    /// The folder of the cluster is unusable.
    #[error(transparent)]
    Folder(#[from] FolderError),
}

impl List {
    /// Reads a list and finds who signed it.
    pub(super) fn verify(der: &[u8], roots: &[Certificate]) -> Result<Self, ListError> {
        if der.len() as u64 > LARGEST {
            return Err(ListError::Malformed);
        }
        let malformed = |_| ListError::Malformed;
        let (rest, list) = CertificateRevocationList::from_der(der).map_err(|_| ListError::Malformed)?;
        // webpki is stricter, and is who asks it later.
        let parsed = OwnedCertRevocationList::from_der(der).map_err(|_| ListError::Malformed)?;
        let number = list.crl_number().ok_or(ListError::Malformed)?.try_into().map_err(malformed)?;
        let issuer = list.issuer().as_raw().to_vec();
        let signed_by = |root: &&Certificate| {
            let root = X509Certificate::from_der(&root.der).map(|(_, root)| root);
            root.is_ok_and(|root| list.verify_signature(root.public_key()).is_ok())
        };
        if !rest.is_empty() || !roots.iter().filter(|root| root.subject == issuer).any(|root| signed_by(&root)) {
            return Err(ListError::Stranger);
        }
        let serials = list.iter_revoked_certificates().map(|revoked| revoked.raw_serial().to_vec()).collect();
        Ok(Self { der: der.to_vec(), number, issuer, serials, parsed: parsed.into() })
    }
}

impl Revocations {
    /// Those that these authorities have made, as far as they are kept here.
    pub(super) fn open(roots: Vec<Certificate>, kept: Kept) -> Result<Self, ListError> {
        let new = Self { roots, kept, held: Mutex::default(), changes: watch::Sender::new(0) };
        // At the start a list that cannot be read is an error: without it, who was revoked would be let in.
        new.read_again(&mut new.hold())?;
        Ok(new)
    }

    /// Takes a list from somebody. True if it is newer than what was known; then it is kept, and [`Self::watch`] tells.
    ///
    /// It waits for the disk, and for another process that changes the folder: milliseconds, but not for an async thread.
    ///
    /// # Errors
    /// [`ListError`]: nothing was changed.
    pub fn accept(&self, der: &[u8]) -> Result<bool, ListError> {
        let list = List::verify(der, &self.roots)?;
        // Another process may be about to write it too. The lock is taken before ours, as `revoke` has no other.
        let _lock = self.kept.folder().map(Folder::lock).transpose()?;
        let mut held = self.hold();
        self.read_again(&mut held)?;
        if !held.is_new(&list) {
            return Ok(false);
        }
        if let Some(folder) = self.kept.folder().filter(|_| self.roots.first().is_some_and(|root| root.subject == list.issuer)) {
            folder.write(FILE, der)?;
        }
        self.put(&mut held, list);
        Ok(true)
    }

    /// Looks whether another process has replaced the file. Cheap: one `stat` if it has not.
    pub fn refresh(&self) {
        if let Err(error) = self.read_again(&mut self.hold()) {
            // What was revoked before stays so.
            tracing::warn!("cannot read the list of revoked certificates again: {error}");
        }
    }

    /// Whether a certificate was revoked by who issued it.
    pub fn is_revoked(&self, certificate: &Certificate) -> bool {
        let held = self.hold();
        held.lists.iter().any(|list| list.issuer == certificate.issuer && list.serials.contains(certificate.raw_serial()))
    }

    /// Whether they are kept in a cluster's folder.
    pub(super) fn is_of_a_cluster(&self) -> bool {
        self.kept.folder().is_some()
    }

    /// Changes whenever a list does, so that sessions with whom it names can be closed.
    pub fn watch(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    /// The lists, in DER, for who may not have them.
    pub fn lists(&self) -> Vec<Vec<u8>> {
        self.hold().lists.iter().map(|list| list.der.clone()).collect()
    }

    /// Calls `with` the lists as webpki takes them, read again if need be.
    pub(super) fn with_current<T>(&self, with: impl FnOnce(&[&CertRevocationList<'_>]) -> T) -> T {
        self.refresh();
        let lists = self.hold().lists.clone();
        let parsed: Vec<_> = lists.iter().map(|list| &list.parsed).collect();
        with(&parsed)
    }

    /// Not held while anything waits, the disk aside.
    fn hold(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn read_again(&self, held: &mut Held) -> Result<(), ListError> {
        let Some(path) = self.kept.path() else { return Ok(()) };
        let stamp = std::fs::metadata(&path).ok().map(|about| (about.mtime(), about.mtime_nsec(), about.ino(), about.size()));
        if stamp == held.seen {
            return Ok(());
        }
        // Noted first, so that a file that cannot be read is complained of once.
        held.seen = stamp;
        // All of them are good, or none is believed: a file that is being written may end in the middle.
        let lists: Result<Vec<_>, _> = self.kept.read()?.iter().map(|der| List::verify(der, &self.roots)).collect();
        for list in lists? {
            if held.is_new(&list) {
                self.put(held, list);
            }
        }
        Ok(())
    }

    fn put(&self, held: &mut Held, list: List) {
        held.lists.retain(|old| old.issuer != list.issuer);
        held.lists.push(Arc::new(list));
        self.changes.send_modify(|changes| *changes += 1);
    }
}

impl Held {
    fn is_new(&self, list: &List) -> bool {
        self.lists.iter().all(|old| old.issuer != list.issuer || old.number < list.number)
    }
}

impl fmt::Debug for Revocations {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let revoked: usize = self.hold().lists.iter().map(|list| list.serials.len()).sum();
        write!(f, "Revocations({revoked})")
    }
}
