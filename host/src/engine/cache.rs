//! Compiled modules on disk, so that each is compiled once.
//!
//! An entry is native code that will be run, so the folder is this user's alone (mode 0700, checked at every start) and nothing
//! from elsewhere is ever put there. An entry is named after the module's digest and the engine's settings, written under a
//! temporary name, and renamed when whole. A cache that fails costs time, never correctness: the module is compiled again.

use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};

use wasmtime::Engine;
use wasmtime::component::Component;

use crate::id::Digest;

/// A folder of compiled modules.
#[derive(Debug)]
pub(crate) struct Cache {
    folder: PathBuf,
}

/// Why a folder is no cache.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CacheError {
    /// It cannot be made or looked at.
    #[error("cannot use `{}` for compiled modules", path.display())]
    Io {
        /// The folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Others could put code there.
    #[error("`{}` is not this user's alone: it must have the mode 0700", path.display())]
    Shared {
        /// The folder.
        path: PathBuf,
    },
}

impl Cache {
    /// Opens the folder, making it if need be.
    pub(crate) fn open(path: &Path, engine: &Engine) -> Result<Self, CacheError> {
        let failed = |source| CacheError::Io { path: path.to_owned(), source };
        fs::DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(failed)?;
        let about = fs::metadata(path).map_err(failed)?;
        if about.uid() != rustix::process::geteuid().as_raw() || about.mode() & 0o077 != 0 {
            return Err(CacheError::Shared { path: path.to_owned() });
        }
        let mut settings = DefaultHasher::new();
        engine.precompile_compatibility_hash().hash(&mut settings);
        let folder = path.join(format!("{:016x}", settings.finish()));
        fs::DirBuilder::new().recursive(true).mode(0o700).create(&folder).map_err(failed)?;
        Ok(Self { folder })
    }

    /// The compiled module, if it is there and whole.
    pub(crate) fn get(&self, engine: &Engine, digest: Digest) -> Option<Component> {
        let path = self.path(digest);
        if !path.exists() {
            return None;
        }
        // SAFETY: the folder is this user's alone, and what is in it was written by `put`.
        match unsafe { Component::deserialize_file(engine, &path) } {
            Ok(component) => Some(component),
            Err(error) => {
                tracing::warn!("compiling again, because {} is unusable: {error:#}", path.display());
                None
            }
        }
    }

    /// Keeps a compiled module.
    pub(crate) fn put(&self, digest: Digest, component: &Component) {
        if let Err(error) = self.write(digest, component) {
            tracing::warn!("cannot keep the compiled module in {}: {error:#}", self.folder.display());
        }
    }

    fn write(&self, digest: Digest, component: &Component) -> wasmtime::Result<()> {
        let code = component.serialize()?;
        let mut file = tempfile::NamedTempFile::new_in(&self.folder)?;
        file.write_all(&code)?;
        file.persist(self.path(digest))?;
        Ok(())
    }

    fn path(&self, digest: Digest) -> PathBuf {
        self.folder.join(format!("{digest}.cwasm"))
    }
}
