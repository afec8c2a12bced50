//! Scratch directories: a private one for each place that was granted one, gone when the place is.
//!
//! While it has such places, a host process has a folder of its own in the directory that it was told of, and in it one directory for
//! each of them. It holds a lock on that folder, and the kernel lets go of the lock however the process ends. So a later process knows
//! leftovers by their lock, which it can have, and removes them; what belongs to a living process it cannot have.
//!
//! Their size has no bound but the file system's: bytes that a place writes go from WASI to the system without passing by the host, and
//! a quota is the file system's to set, which takes an administrator. Whoever wants a bound names a directory on a file system of that
//! size. Where it is full, the place's write fails, and nothing else.

use std::fs::{self, DirBuilder, File, TryLockError};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use rustix::fs::OFlags;

use crate::config::SCRATCH;

/// What the name of a process's folder begins with.
const PREFIX: &str = "placehost-scratch-";
/// How often a directory is gone through whose last user may not have noticed its end yet: a write that was under way.
const ROUNDS: usize = 8;

/// Why a place has no scratch directory.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ScratchError {
    /// The host was not told where.
    #[error("this host makes no scratch directories: it was not told where (`--scratch DIR`)")]
    Nowhere,
    /// The system has not made it.
    #[error("cannot make a scratch directory in `{}`", dir.display())]
    Io {
        /// Where.
        dir: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A directory that was granted under its path.
    #[error("a place cannot have both a scratch directory and another one as `{SCRATCH}`")]
    Twice,
}

impl ScratchError {
    /// Whether the disk, or what this user may have of it, is full.
    pub(crate) fn is_full(&self) -> bool {
        matches!(self, Self::Io { source, .. } if matches!(source.kind(), ErrorKind::StorageFull | ErrorKind::QuotaExceeded))
    }
}

/// Where a host makes scratch directories.
#[derive(Debug, Default)]
pub(crate) struct Scratches {
    dir: Option<PathBuf>,
    made: Mutex<Made>,
}

#[derive(Debug, Default)]
struct Made {
    /// This process's folder, while some place needs it.
    folder: Weak<Folder>,
    /// The host is ending.
    over: bool,
}

/// A process's folder. It is removed with all that is in it.
#[derive(Debug)]
struct Folder {
    path: PathBuf,
    /// Locked.
    lock: File,
}

/// A place's scratch directory. It is removed with all that is in it.
#[derive(Debug)]
pub(crate) struct Scratch {
    path: PathBuf,
    /// The last one removes it.
    _folder: Arc<Folder>,
}

impl Scratches {
    /// In this directory; removes what processes have left there that were killed.
    pub(crate) fn new(dir: Option<PathBuf>) -> Self {
        if let Some(dir) = &dir {
            sweep(dir);
        }
        Self { dir, made: Mutex::default() }
    }

    /// An empty one, for the place of this number.
    pub(crate) fn make(&self, seq: u64) -> Result<Scratch, ScratchError> {
        let dir = self.dir.as_deref().ok_or(ScratchError::Nowhere)?;
        let make = || {
            let mut made = self.lock();
            if made.over {
                return Err(io::Error::other("this host is ending"));
            }
            let folder = match made.folder.upgrade() {
                Some(folder) => folder,
                None => Arc::new(Folder::new(dir)?),
            };
            made.folder = Arc::downgrade(&folder);
            let path = folder.path.join(seq.to_string());
            private().create(&path)?;
            Ok(Scratch { path, _folder: folder })
        };
        make().map_err(|source| ScratchError::Io { dir: dir.to_owned(), source })
    }

    /// Removes all of them, and makes no more: their places have ended, or are about to.
    pub(crate) fn clear(&self) {
        let mut made = self.lock();
        made.over = true;
        let folder = made.folder.upgrade();
        drop(made);
        if let Some(folder) = folder {
            remove(&folder.path);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Made> {
        self.made.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Folder {
    fn new(dir: &Path) -> io::Result<Self> {
        loop {
            let path = tempfile::Builder::new().prefix(PREFIX).tempdir_in(dir)?.keep();
            // Somebody who sweeps may have been faster than the lock, and have it, or have removed the folder.
            match lock(&path) {
                Ok(Some(lock)) => return Ok(Self { path, lock }),
                Ok(None) => {}
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                Err(error) => {
                    let _ = fs::remove_dir(&path);
                    return Err(error);
                }
            }
        }
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        remove(&self.path);
        // Only now may others try.
        let _ = self.lock.unlock();
    }
}

impl Scratch {
    /// Its path on this machine.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        remove(&self.path);
    }
}

/// For this user alone, whatever the umask.
fn private() -> DirBuilder {
    let mut builder = DirBuilder::new();
    builder.mode(0o700);
    builder
}

/// The lock on a folder, where it can be had and the folder is still that one.
fn lock(path: &Path) -> io::Result<Option<File>> {
    let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW;
    let file = File::options().read(true).custom_flags(flags.bits().cast_signed()).open(path)?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => return Ok(None),
        Err(TryLockError::Error(error)) => return Err(io::Error::other(format!("its file system has no locks: {error}"))),
    }
    let (ours, there) = (file.metadata()?, fs::symlink_metadata(path)?);
    let same = (ours.dev(), ours.ino()) == (there.dev(), there.ino());
    Ok((same && ours.uid() == rustix::process::getuid().as_raw()).then_some(file))
}

/// Removes what processes have left that were killed. What cannot be removed is somebody else's, or will be tried again.
fn sweep(dir: &Path) {
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        if entry.file_name().to_string_lossy().starts_with(PREFIX) {
            let path = entry.path();
            if let Ok(Some(lock)) = lock(&path) {
                tracing::info!("removing what a placehost has left that was killed: `{}`", path.display());
                drop(Folder { path, lock });
            }
        }
    }
}

/// Removes a directory with all that is in it. Where that fails, the log says so, and the next start tries again.
fn remove(dir: &Path) {
    let result = (0..ROUNDS).map(|_| remove_once(dir)).find(|result| match result {
        Ok(()) => true,
        Err(error) => !matches!(error.kind(), ErrorKind::DirectoryNotEmpty | ErrorKind::NotFound | ErrorKind::IsADirectory),
    });
    match result {
        Some(Err(error)) => tracing::warn!("cannot remove the scratch directory `{}`: {error}", dir.display()),
        None if dir.exists() => tracing::warn!("cannot remove the scratch directory `{}`: something is still written there", dir.display()),
        Some(Ok(())) | None => {}
    }
}

/// Neither recursion nor a long path: a place may nest directories as deep as it likes. So those that are inside others are moved to
/// the top first.
fn remove_once(dir: &Path) -> io::Result<()> {
    let mut moved = 0_u64;
    let mut rest = vec![dir.to_owned()];
    while let Some(path) = rest.pop() {
        let mut emptied = true;
        for entry in fs::read_dir(&path)? {
            let entry = entry?;
            if !entry.file_type()?.is_dir() {
                fs::remove_file(entry.path())?;
            } else if path == dir {
                rest.push(entry.path());
                emptied = false;
            } else {
                // No place has a file of that name: each name of a directory of the top was taken by a place or is made here.
                let to = loop {
                    moved += 1;
                    let to = dir.join(format!("{PREFIX}{moved}"));
                    if fs::symlink_metadata(&to).is_err() {
                        break to;
                    }
                };
                fs::rename(entry.path(), &to)?;
                rest.push(to);
            }
        }
        if emptied && path != dir {
            fs::remove_dir(&path)?;
        }
    }
    fs::remove_dir(dir)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entries(dir: &Path) -> usize {
        fs::read_dir(dir).unwrap().count()
    }

    #[test]
    fn a_place_has_an_empty_one_and_it_goes_with_all_that_is_in_it() {
        let above = tempfile::tempdir().unwrap();
        let scratches = Scratches::new(Some(above.path().to_owned()));
        assert_eq!(entries(above.path()), 0);
        let (one, other) = (scratches.make(1).unwrap(), scratches.make(2).unwrap());
        assert_eq!((entries(one.path()), entries(other.path())), (0, 0));
        assert_eq!(fs::metadata(one.path()).unwrap().mode() & 0o777, 0o700);
        fs::create_dir_all(one.path().join("a/b/c")).unwrap();
        fs::write(one.path().join("a/b/file"), "text").unwrap();
        std::os::unix::fs::symlink(above.path(), one.path().join("a/out")).unwrap();
        let path = one.path().to_owned();
        drop(one);
        assert!(!path.exists() && other.path().exists());
        drop(other);
        assert_eq!(entries(above.path()), 0);
    }

    #[test]
    fn directories_may_be_nested_as_deep_as_a_place_likes() {
        let above = tempfile::tempdir().unwrap();
        let scratches = Scratches::new(Some(above.path().to_owned()));
        let scratch = scratches.make(1).unwrap();
        // From the inside out, for no path is as long as all of them.
        let inner = scratch.path().join("x");
        fs::create_dir(&inner).unwrap();
        for _ in 0..20_000 {
            let outer = scratch.path().join("y");
            fs::create_dir(&outer).unwrap();
            fs::rename(&inner, outer.join("x")).unwrap();
            fs::rename(&outer, &inner).unwrap();
        }
        drop(scratch);
        assert_eq!(entries(above.path()), 0);
    }

    #[test]
    fn who_leaves_clears_all_and_makes_no_more() {
        let above = tempfile::tempdir().unwrap();
        let scratches = Scratches::new(Some(above.path().to_owned()));
        let scratch = scratches.make(1).unwrap();
        fs::write(scratch.path().join("file"), "text").unwrap();
        scratches.clear();
        assert_eq!(entries(above.path()), 0);
        assert!(scratches.make(2).is_err());
        drop(scratch);
        assert_eq!(entries(above.path()), 0);
    }

    #[test]
    fn leftovers_of_the_dead_are_removed_and_the_living_keep_theirs() {
        let above = tempfile::tempdir().unwrap();
        let dead = above.path().join(format!("{PREFIX}dead"));
        fs::create_dir_all(dead.join("1/sub")).unwrap();
        let other = above.path().join("other");
        fs::create_dir(&other).unwrap();
        let alive = Scratches::new(Some(above.path().to_owned()));
        assert!(!dead.exists() && other.exists());
        let scratch = alive.make(1).unwrap();
        drop(Scratches::new(Some(above.path().to_owned())));
        assert!(scratch.path().exists());
    }

    #[test]
    fn a_host_says_why_there_is_none() {
        assert!(Scratches::new(None).make(1).unwrap_err().to_string().contains("--scratch"));
        let missing = Scratches::new(Some("/nowhere/at/all".into())).make(1).unwrap_err();
        assert!(missing.to_string().contains("/nowhere/at/all") && !missing.is_full(), "{missing}");
    }
}
