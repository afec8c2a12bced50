//! Where results go: into files that appear whole, or into memory.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};

/// A directory for results.
#[derive(Debug)]
pub(crate) struct Folder(PathBuf);

impl Folder {
    /// Makes it if need be.
    pub(crate) fn open(dir: &str) -> Result<Self, String> {
        fs::create_dir_all(dir).map_err(|error| format!("cannot make the output directory `{dir}`: {error}"))?;
        let entries = fs::read_dir(dir).map_err(|error| format!("cannot read the output directory `{dir}`: {error}"))?;
        for name in entries.flatten().filter_map(|entry| entry.file_name().into_string().ok()) {
            if name.starts_with("part-") {
                return Err(format!("the output directory `{dir}` has results already: `{name}`; remove them, or name another one"));
            }
        }
        Ok(Self(dir.into()))
    }

    /// The file of a part, under the name that it has until all parts are done.
    pub(crate) fn part(&self, part: u32, attempt: u32) -> Result<Sink, String> {
        let path = self.0.join(format!(".part-{part:05}.{attempt}.tmp"));
        let file = File::create(&path).map_err(|error| wrong(&path, &error))?;
        Ok(Sink::File { path, file })
    }

    /// Gives a file its name, which this returns.
    pub(crate) fn keep(&self, part: u32, sink: &Sink) -> Result<Option<String>, String> {
        let Sink::File { path, .. } = sink else { return Ok(None) };
        let name = self.0.join(format!("part-{part:05}"));
        fs::rename(path, &name).map_err(|error| wrong(&name, &error))?;
        Ok(Some(name.display().to_string()))
    }
}

fn wrong(path: &Path, error: &std::io::Error) -> String {
    format!("cannot write the output `{}`: {error}", path.display())
}

/// What one reduce task puts out.
#[derive(Debug)]
pub(crate) enum Sink {
    File { path: PathBuf, file: File },
    Memory(Vec<u8>),
}

impl Sink {
    pub(crate) fn write(&mut self, bytes: &[u8]) -> Result<(), String> {
        match self {
            Self::File { path, file } => file.write_all(bytes).map_err(|error| wrong(path, &error)),
            Self::Memory(memory) => {
                memory.extend_from_slice(bytes);
                Ok(())
            }
        }
    }

    /// It is not wanted.
    pub(crate) fn discard(self) {
        if let Self::File { path, .. } = self {
            // What cannot be removed has a name that nobody takes for a result.
            let _ = fs::remove_file(path);
        }
    }
}
