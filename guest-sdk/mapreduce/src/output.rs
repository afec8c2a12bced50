//! Where results go: into files or objects that appear whole, or into memory.
//!
//! A file is written under a temporary name, which only a rename makes a result; an object is not there before it is finished. So
//! whoever is stopped half-way, and whoever does a task twice, leaves nothing that could be taken for one.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};

use places::Error;
use places::objects::{Store, Writer};

use crate::objects;

const CANNOT: &str = "cannot write the output";

/// A directory, or a part of a store, for results.
pub(crate) enum Target {
    Folder(PathBuf),
    Objects { store: Store, url: String },
}

fn name(part: u32) -> String {
    format!("part-{part:05}")
}

impl Target {
    /// What is at a path or a URL; a directory is made if need be.
    pub(crate) fn open(at: &str) -> Result<Self, String> {
        if objects::is_url(at) {
            let url = at.trim_end_matches('/').to_owned();
            return Ok(Self::Objects { store: objects::open(&url, CANNOT, "")?, url });
        }
        fs::create_dir_all(at).map_err(|error| format!("cannot make the output directory `{at}`: {error}"))?;
        Ok(Self::Folder(at.into()))
    }

    /// That nothing is there that has the name of a result.
    pub(crate) fn check_empty(&self) -> Result<(), String> {
        match self {
            Self::Folder(path) => {
                let dir = path.display();
                let entries = fs::read_dir(path).map_err(|error| format!("cannot read the output directory `{dir}`: {error}"))?;
                for name in entries.flatten().filter_map(|entry| entry.file_name().into_string().ok()) {
                    if name.starts_with("part-") {
                        return Err(format!(
                            "the output directory `{dir}` has results already: `{name}`; remove them, or name another one"
                        ));
                    }
                }
            }
            Self::Objects { store, url } => {
                let wrong = |error: Error| format!("cannot read the output `{url}`: {error}");
                for object in store.list("").map_err(wrong)? {
                    let key = object.map_err(wrong)?.key;
                    if key.starts_with("part-") {
                        return Err(format!("the output `{url}` has results already: `{key}`; remove them, or name another prefix"));
                    }
                }
            }
        }
        Ok(())
    }

    /// That objects may be written, which is known without asking the store. What a directory allows is seen when it is made.
    pub(crate) fn check_writable(&self) -> Result<(), String> {
        let Self::Objects { store, url } = self else { return Ok(()) };
        // What is not finished is never there.
        store.write(&name(0)).map(drop).map_err(|error| objects::refused(url, CANNOT, "", &error))
    }

    /// A part, under the name that it has until it is kept.
    pub(crate) fn part(&self, part: u32, attempt: u32) -> Result<Sink, String> {
        match self {
            Self::Folder(dir) => {
                let path = dir.join(format!(".{}.{attempt}.tmp", name(part)));
                let file = File::create(&path).map_err(|error| wrong(&path.display(), &error))?;
                Ok(Sink::File { path, file })
            }
            Self::Objects { store, url } => {
                let url = format!("{url}/{}", name(part));
                let writer = store.write(&name(part)).map_err(|error| wrong(&url, &error))?;
                Ok(Sink::Object { url, writer })
            }
        }
    }

    /// Whether a part is kept as soon as it is done: what is written of an object and not finished takes memory.
    pub(crate) fn keeps_at_once(&self) -> bool {
        matches!(self, Self::Objects { .. })
    }

    /// Gives a part its name, which this returns.
    pub(crate) fn keep(&self, part: u32, sink: Sink) -> Result<Option<String>, String> {
        match (self, sink) {
            (Self::Folder(dir), Sink::File { path, .. }) => {
                let name = dir.join(name(part));
                fs::rename(path, &name).map_err(|error| wrong(&name.display(), &error))?;
                Ok(Some(name.display().to_string()))
            }
            (_, Sink::Object { url, writer }) => {
                writer.finish().map_err(|error| wrong(&url, &error))?;
                Ok(Some(url))
            }
            _ => Ok(None),
        }
    }

    /// Removes a part that was kept.
    pub(crate) fn remove(&self, part: u32) -> Result<(), String> {
        match self {
            Self::Folder(dir) => fs::remove_file(dir.join(name(part))).map_err(|error| error.to_string()),
            Self::Objects { store, .. } => store.delete(&name(part)).map_err(|error| error.to_string()),
        }
    }

    /// Removes what has the temporary name of a part. Only workers that died leave such files.
    pub(crate) fn sweep(&self) {
        let Self::Folder(dir) = self else { return };
        for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
            if entry.file_name().to_str().is_some_and(|name| name.starts_with(".part-") && name.ends_with(".tmp")) {
                // Nobody takes it for a result.
                let _ = fs::remove_file(entry.path());
            }
        }
    }
}

fn wrong(path: &dyn std::fmt::Display, error: &dyn std::fmt::Display) -> String {
    format!("{CANNOT} `{path}`: {error}")
}

/// What one reduce task puts out.
pub(crate) enum Sink {
    File { path: PathBuf, file: File },
    Object { url: String, writer: Writer },
    Memory(Vec<u8>),
}

impl Sink {
    pub(crate) fn write(&mut self, bytes: &[u8]) -> Result<(), String> {
        match self {
            Self::File { path, file } => file.write_all(bytes).map_err(|error| wrong(&Path::display(path), &error)),
            Self::Object { url, writer } => writer.write_all(bytes).map_err(|error| wrong(url, &error)),
            Self::Memory(memory) => {
                memory.extend_from_slice(bytes);
                Ok(())
            }
        }
    }

    /// It is not wanted. An object that is not finished is never there.
    pub(crate) fn discard(self) {
        if let Self::File { path, .. } = self {
            // What cannot be removed has a name that nobody takes for a result.
            let _ = fs::remove_file(path);
        }
    }
}
