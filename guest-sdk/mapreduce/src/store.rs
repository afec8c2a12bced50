//! Where the pages of runs lie: in the host's memory as long as there is room, and then on disk.

use std::cell::Cell;
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::rc::Rc;

use places::Blob;

use crate::wire::Page;

/// Keeps the pages of one task.
pub(crate) struct Store {
    /// What the tasks of this slot may still keep in memory; blobs live as long as the job, the store does not.
    room: Rc<Cell<u64>>,
    /// The file for the others, if there is a directory for it.
    path: Option<String>,
    file: Option<File>,
    written: u64,
}

impl Store {
    pub(crate) fn new(room: Rc<Cell<u64>>, path: Option<String>) -> Self {
        Self { room, path, file: None, written: 0 }
    }

    /// Bytes on disk.
    pub(crate) fn spilled(&self) -> u64 {
        self.written
    }

    pub(crate) fn keep(&mut self, page: &[u8]) -> Result<Page, String> {
        let len = page.len() as u64;
        if let Some(left) = self.room.get().checked_sub(len)
            && let Ok(blob) = Blob::new(page)
        {
            self.room.set(left);
            return Ok(Page::Memory(blob));
        }
        let Some(path) = &self.path else {
            return Blob::new(page).map(Page::Memory).map_err(|error| {
                format!("what the task has put out has no room: {error}; give it more memory, or a scratch directory (`--scratch DIR`)")
            });
        };
        let wrong = |error: std::io::Error| format!("cannot write the run `{path}`: {error}");
        let file = match &mut self.file {
            Some(file) => file,
            none => none.insert(OpenOptions::new().create(true).truncate(true).write(true).open(path).map_err(wrong)?),
        };
        file.write_all(page).map_err(wrong)?;
        let offset = self.written;
        self.written += len;
        Ok(Page::Disk { path: path.clone(), offset })
    }
}
