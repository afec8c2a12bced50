//! Objects in stores: `s3://BUCKET/PREFIX`, or a directory of the node as if it were one, `file:///DIRECTORY`.
//!
//! A place reaches what it was granted (`placehost run --objects URL`) and what lies under that. The credentials are the host's, and are
//! not seen here. Every call ends: where the store does not answer, it is [`Error::Unreachable`] within a minute.
//!
//! ```no_run
//! use std::io::{BufRead, Write};
//!
//! use places::objects::Store;
//!
//! # fn main() -> places::Result {
//! let store = Store::open("s3://corpus/2026")?;
//! for object in store.list("november")? {
//!     let object = object?;
//!     let lines = store.read(&object.key)?.lines().count();
//!     let mut writer = store.write(&format!("counts/{}", object.key))?;
//!     writeln!(writer, "{lines}")?;
//!     writer.finish()?;
//! }
//! # Ok(())
//! # }
//! ```

use std::fmt;
use std::io::{self, BufRead, Read, Write};
use std::ops::{Bound, RangeBounds};
use std::vec;

use crate::Error;
use crate::bindings::objects as raw;

/// How much is asked of the host at a time, in bytes.
const CHUNK: usize = 256 << 10;
/// How many objects are.
const PAGE: u32 = 1_000;

/// What is at a URL.
pub struct Store(raw::Store);

/// An object that is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Object {
    /// Under the URL of its store: names with `/` between them.
    pub key: String,
    /// In bytes.
    pub size: u64,
    /// When it was written: milliseconds since 1970.
    pub modified: u64,
}

impl From<raw::Object> for Object {
    fn from(raw::Object { key, size, modified }: raw::Object) -> Self {
        Self { key, size, modified }
    }
}

impl Store {
    /// What is at a URL. Nothing is asked of the store yet.
    ///
    /// # Errors
    /// [`Error::Denied`] where neither the URL nor something above it was granted; [`Error::Invalid`] where it is none.
    pub fn open(url: &str) -> Result<Self, Error> {
        Ok(Self(raw::Store::open(url)?))
    }

    /// The objects under a prefix, in no order that is promised: all whose keys begin with the names in it, or all. `a/b` is the prefix
    /// of `a/b/c` and not of `a/bc`.
    ///
    /// # Errors
    /// [`Error::Invalid`] where it cannot be one. Those of the store come with the objects.
    pub fn list(&self, prefix: &str) -> Result<Listing, Error> {
        Ok(Listing { raw: self.0.list(prefix)?, page: Vec::new().into_iter(), over: false })
    }

    /// What is known of an object.
    ///
    /// # Errors
    /// [`Error::NotFound`], or another of the store's.
    pub fn head(&self, key: &str) -> Result<Object, Error> {
        Ok(self.0.head(key)?.into())
    }

    /// Reads an object from its beginning.
    ///
    /// # Errors
    /// [`Error::NotFound`], or another of the store's.
    pub fn read(&self, key: &str) -> Result<Reader, Error> {
        self.read_range(key, ..)
    }

    /// Reads a range of an object's bytes, as far as they are there.
    ///
    /// # Errors
    /// [`Error::NotFound`], or another of the store's.
    pub fn read_range(&self, key: &str, range: impl RangeBounds<u64>) -> Result<Reader, Error> {
        let offset = match range.start_bound() {
            Bound::Included(&offset) => offset,
            Bound::Excluded(&offset) => offset.saturating_add(1),
            Bound::Unbounded => 0,
        };
        let end = match range.end_bound() {
            Bound::Included(&end) => Some(end.saturating_add(1)),
            Bound::Excluded(&end) => Some(end),
            Bound::Unbounded => None,
        };
        let raw = self.0.read(key, offset, end.map(|end| end.saturating_sub(offset)))?;
        Ok(Reader { raw, chunk: Vec::new(), at: 0 })
    }

    /// Writes an object, over one of that key that is there. Nobody sees it before [`Writer::finish`].
    ///
    /// # Errors
    /// [`Error::Denied`] where it was granted to be read only.
    pub fn write(&self, key: &str) -> Result<Writer, Error> {
        Ok(Writer { raw: self.0.write(key)?, chunk: Vec::new() })
    }

    /// Removes an object. S3 does not say whether it was there.
    ///
    /// # Errors
    /// [`Error::Denied`] where it was granted to be read only; [`Error::NotFound`] where the store says so.
    pub fn delete(&self, key: &str) -> Result<(), Error> {
        Ok(self.0.delete(key)?)
    }
}

/// Objects, a page at a time.
pub struct Listing {
    raw: raw::Listing,
    page: vec::IntoIter<raw::Object>,
    over: bool,
}

impl Iterator for Listing {
    type Item = Result<Object, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.page.len() == 0 && !self.over {
            match self.raw.next(PAGE) {
                Ok(page) => {
                    self.over = page.is_empty();
                    self.page = page.into_iter();
                }
                Err(error) => {
                    self.over = true;
                    return Some(Err(error.into()));
                }
            }
        }
        self.page.next().map(|object| Ok(object.into()))
    }
}

/// An object, or a part of it, to be read.
pub struct Reader {
    raw: raw::Reader,
    chunk: Vec<u8>,
    /// What of the chunk has been read.
    at: usize,
}

impl Reader {
    /// The size of the whole object, in bytes.
    pub fn size(&self) -> u64 {
        self.raw.size()
    }
}

impl BufRead for Reader {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.at == self.chunk.len() {
            self.chunk = self.raw.read(CHUNK as u32).map_err(other)?;
            self.at = 0;
        }
        Ok(&self.chunk[self.at..])
    }

    fn consume(&mut self, read: usize) {
        self.at = self.chunk.len().min(self.at + read);
    }
}

impl Read for Reader {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let read = self.fill_buf()?.read(into)?;
        self.consume(read);
        Ok(read)
    }
}

/// An object that is not there yet. To drop it leaves nothing.
#[must_use = "nothing is there before `finish`"]
pub struct Writer {
    raw: raw::Writer,
    chunk: Vec<u8>,
}

impl Writer {
    /// Lets it be there, all of it.
    ///
    /// # Errors
    /// The store's; then it is not there.
    pub fn finish(mut self) -> Result<(), Error> {
        self.raw.write(&std::mem::take(&mut self.chunk))?;
        Ok(self.raw.finish()?)
    }
}

impl Write for Writer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.chunk.len() + bytes.len() > CHUNK {
            self.flush()?;
        }
        match bytes.len() > CHUNK {
            true => self.raw.write(bytes).map_err(other)?,
            false => self.chunk.extend_from_slice(bytes),
        }
        Ok(bytes.len())
    }

    /// Gives the host what is kept here, which does not let it be there.
    fn flush(&mut self) -> io::Result<()> {
        if !self.chunk.is_empty() {
            self.raw.write(&self.chunk).map_err(other)?;
            self.chunk.clear();
        }
        Ok(())
    }
}

/// As the standard library's traits say it.
fn other(error: crate::bindings::types::Error) -> io::Error {
    let error = Error::from(error);
    let kind = match &error {
        Error::NotFound(_) => io::ErrorKind::NotFound,
        Error::Denied(_) => io::ErrorKind::PermissionDenied,
        Error::Unreachable(_) => io::ErrorKind::TimedOut,
        _ => io::ErrorKind::Other,
    };
    io::Error::new(kind, error)
}

macro_rules! opaque {
    ($($name:ident)*) => {$(
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_struct(stringify!($name)).finish_non_exhaustive()
            }
        }
    )*};
}

opaque! { Store Listing Reader Writer }
