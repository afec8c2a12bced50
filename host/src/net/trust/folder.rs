//! A folder of keys and certificates: this user's alone, and each file in it whole.
//!
//! What is written goes to a temporary name with mode 0600, to the disk, and only then to its own name; so a crash leaves the old
//! file or the new one. Whoever reads, changes and writes holds [`Folder::lock`] meanwhile, against other processes.

use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};

/// A folder that was found to be this user's alone.
#[derive(Clone, Debug)]
pub(super) struct Folder {
    path: PathBuf,
}

/// Why a folder of keys is not used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FolderError {
    /// The system would not read or write something.
    #[error("cannot use `{}`", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Others could read keys, or put theirs there.
    #[error("`{}` is not this user's alone: its mode must be {mode}", path.display())]
    Exposed {
        /// The file or folder.
        path: PathBuf,
        /// The mode that it must have, as for `chmod`.
        mode: &'static str,
    },
    /// Something is larger than anything of its kind.
    #[error("`{}` is too large", path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
    },
}

impl FolderError {
    /// What to do about it, if there is something.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Exposed { path, mode } => Some(format!("chmod {mode} {}", path.display())),
            Self::Io { .. } | Self::TooLarge { .. } => None,
        }
    }

    fn io(path: &Path) -> impl FnOnce(io::Error) -> Self {
        |source| Self::Io { path: path.to_owned(), source }
    }
}

/// No file of a cluster is as large: a list of fifty thousand revoked certificates is half of it.
pub(super) const LARGEST: u64 = 4 << 20;

impl Folder {
    /// The folder, which must be there.
    pub(super) fn open(path: &Path) -> Result<Self, FolderError> {
        let about = fs::metadata(path).map_err(FolderError::io(path))?;
        if !about.is_dir() {
            return Err(FolderError::io(path)(io::ErrorKind::NotADirectory.into()));
        }
        alone(path, &about, "0700")?;
        Ok(Self { path: path.to_owned() })
    }

    /// The folder, made if it is not there.
    pub(super) fn make(path: &Path) -> Result<Self, FolderError> {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(FolderError::io(path))?;
        Self::open(path)
    }

    /// A folder in this one, made if it is not there.
    pub(super) fn inner(&self, name: &str) -> Result<Self, FolderError> {
        Self::make(&self.path(name))
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.path(name).exists()
    }

    /// What is in a file, if it is there. It must be this user's alone, as all is that [`Self::write`] wrote.
    pub(super) fn read(&self, name: &str) -> Result<Option<Vec<u8>>, FolderError> {
        let path = self.path(name);
        match fs::metadata(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(FolderError::io(&path)(error)),
            Ok(about) => {
                alone(&path, &about, "0600")?;
                read(&path).map(Some)
            }
        }
    }

    /// Puts a file there, whole, in place of what had its name.
    pub(super) fn write(&self, name: &str, bytes: &[u8]) -> Result<(), FolderError> {
        let path = self.path(name);
        // A `NamedTempFile` is made with mode 0600.
        let written = tempfile::NamedTempFile::new_in(&self.path).and_then(|mut file| {
            file.write_all(bytes)?;
            file.as_file().sync_all()?;
            file.persist(&path)?;
            self.sync()
        });
        written.map_err(FolderError::io(&path))
    }

    /// Takes a file away. Of many who try at once, one is told that it was there.
    pub(super) fn take(&self, name: &str) -> Result<bool, FolderError> {
        let path = self.path(name);
        match fs::remove_file(&path) {
            // To the disk before anything is done because of it: a crash must not bring it back.
            Ok(()) => self.sync().map(|()| true).map_err(FolderError::io(&path)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(FolderError::io(&path)(error)),
        }
    }

    /// The names of its files, in order.
    pub(super) fn names(&self) -> Result<Vec<String>, FolderError> {
        let entries = fs::read_dir(&self.path).map_err(FolderError::io(&self.path))?;
        let mut names: Vec<_> = entries.flatten().filter_map(|entry| entry.file_name().into_string().ok()).collect();
        names.sort();
        Ok(names)
    }

    /// Waits until no other holds it, and holds it until the file is dropped. What is done meanwhile takes milliseconds.
    pub(super) fn lock(&self) -> Result<File, FolderError> {
        let path = self.path("lock");
        let file = File::options().write(true).create(true).truncate(false).open(&path);
        file.and_then(|file| file.lock().map(|()| file)).map_err(FolderError::io(&path))
    }

    fn sync(&self) -> io::Result<()> {
        File::open(&self.path)?.sync_all()
    }
}

/// What is in a file, wherever it lies.
pub(super) fn read(path: &Path) -> Result<Vec<u8>, FolderError> {
    let about = fs::metadata(path).map_err(FolderError::io(path))?;
    match about.len() {
        0..=LARGEST => fs::read(path).map_err(FolderError::io(path)),
        _ => Err(FolderError::TooLarge { path: path.to_owned() }),
    }
}

fn alone(path: &Path, about: &fs::Metadata, mode: &'static str) -> Result<(), FolderError> {
    match about.uid() == rustix::process::geteuid().as_raw() && about.mode() & 0o077 == 0 {
        true => Ok(()),
        false => Err(FolderError::Exposed { path: path.to_owned(), mode }),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).expect("it is there").mode() & 0o777
    }

    #[test]
    fn what_is_made_is_this_users_alone() {
        let above = tempfile::tempdir().expect("there is room");
        let folder = Folder::make(&above.path().join("a/b")).expect("it can be made");
        folder.write("key", b"1").expect("it can be written");
        folder.write("key", b"2").expect("it can be written again");
        assert_eq!(folder.read("key").expect("it can be read"), Some(b"2".to_vec()));
        assert_eq!((mode(&folder.path), mode(&folder.path("key"))), (0o700, 0o600));
        assert_eq!(folder.names().expect("it can be listed"), ["key"]);
        assert_eq!(folder.read("other").expect("it can be looked for"), None);
    }

    #[test]
    fn what_others_can_read_is_refused() {
        let above = tempfile::tempdir().expect("there is room");
        let folder = Folder::make(&above.path().join("a")).expect("it can be made");
        folder.write("key", b"1").expect("it can be written");
        let open = |path: &Path, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("it is ours");
        open(&folder.path("key"), 0o640);
        let error = folder.read("key").expect_err("others can read it");
        assert!(error.to_string().ends_with("its mode must be 0600"), "{error}");
        open(&folder.path, 0o755);
        let error = Folder::open(&folder.path).expect_err("others can look into it");
        assert!(error.to_string().ends_with("its mode must be 0700"), "{error}");
    }

    #[test]
    fn a_file_is_taken_once() {
        let above = tempfile::tempdir().expect("there is room");
        let folder = Folder::make(&above.path().join("a")).expect("it can be made");
        folder.write("one", b"").expect("it can be written");
        let took = std::thread::scope(|scope| {
            let tries: Vec<_> = (0..8).map(|_| scope.spawn(|| folder.take("one").expect("it can be tried"))).collect();
            tries.into_iter().filter_map(|thread| thread.join().ok()).filter(|took| *took).count()
        });
        assert_eq!(took, 1);
    }
}
