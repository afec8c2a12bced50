//! Reading one object, or a part of it: piece by piece, the next one while the place works on the one before.
//!
//! Only who reads on has more fetched than was asked for: with the second read of a reader the first piece ahead is. There is never more
//! than one, which counts towards the memory limit of the place; where that has no room for it, pieces are fetched one by one.

use std::io;
use std::mem;
use std::ops::Range;
use std::os::fd::AsRawFd;
use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use object_store::path::Path;
use object_store::{GetOptions, GetRange, GetResultPayload, ObjectStore};
use tokio::runtime::Handle;
use tokio::task::JoinSet;

use super::{ObjectError, ObjectUrl, in_time};
use crate::channel::{Account, Charge, OverBudget};

/// How long a piece is, in bytes: enough that a round trip does not matter much.
const PIECE: u64 = 4 << 20;

/// An object as it was when it was opened.
pub(super) struct Source {
    pub(super) inner: Arc<dyn ObjectStore>,
    pub(super) url: ObjectUrl,
    pub(super) path: Path,
    /// The granted directory, where it is one of this machine.
    pub(super) root: Option<PathBuf>,
    pub(super) size: u64,
    /// By which the store knows what was written when.
    pub(super) tag: Option<String>,
}

impl Source {
    async fn piece(&self, range: Range<u64>) -> Result<Bytes, ObjectError> {
        let piece = in_time(&self.url, self.fetch(range)).await?;
        if piece.is_empty() {
            return Err(ObjectError::Changed(self.url.clone()));
        }
        Ok(piece)
    }

    async fn fetch(&self, range: Range<u64>) -> object_store::Result<Bytes> {
        let options = GetOptions { range: Some(GetRange::Bounded(range)), if_match: self.tag.clone(), ..GetOptions::default() };
        let result = self.inner.get_opts(&self.path, options).await?;
        if let (Some(root), GetResultPayload::File(file, _)) = (&self.root, &result.payload) {
            // What was opened, whatever has become of its path.
            let opened = std::fs::read_link(format!("/proc/self/fd/{}", file.as_raw_fd()));
            if !opened.is_ok_and(|opened| opened.starts_with(root)) {
                let source = io::Error::from(io::ErrorKind::PermissionDenied).into();
                return Err(object_store::Error::PermissionDenied { path: self.path.to_string(), source });
            }
        }
        result.bytes().await
    }
}

/// A part of an object that is read piece by piece.
#[expect(unreachable_pub, reason = "the generated bindings, private too, name it in a `pub use`")]
pub struct Reader {
    source: Arc<Source>,
    piece: Bytes,
    /// For the piece.
    charge: Charge,
    /// What follows the piece.
    rest: Range<u64>,
    /// The next piece, which is being fetched.
    ahead: Option<Ahead>,
    /// Somebody has read before.
    reads_on: bool,
    account: Arc<Account>,
    runtime: Handle,
}

struct Ahead {
    charge: Charge,
    /// One task, which ends when this is dropped.
    fetching: JoinSet<Result<Bytes, ObjectError>>,
}

impl Reader {
    pub(super) fn new(source: Source, rest: Range<u64>, account: &Arc<Account>, runtime: Handle) -> Result<Self, ObjectError> {
        let (source, charge, account) = (Arc::new(source), account.charge(0)?, Arc::clone(account));
        Ok(Self { source, piece: Bytes::new(), charge, rest, ahead: None, reads_on: false, account, runtime })
    }

    /// Of the whole object, in bytes.
    pub(crate) fn size(&self) -> u64 {
        self.source.size
    }

    /// At most so many bytes; none at the end.
    pub(crate) async fn read(&mut self, max: usize) -> Result<Bytes, ObjectError> {
        if self.piece.is_empty() && !self.rest.is_empty() {
            self.charge.resize(0)?;
            self.piece = self.next_piece().await?;
            self.rest.start += self.piece.len() as u64;
        }
        if mem::replace(&mut self.reads_on, true) && self.ahead.is_none() && !self.rest.is_empty() {
            self.ahead = self.begin_ahead().ok();
        }
        Ok(self.piece.split_to(max.min(self.piece.len())))
    }

    async fn next_piece(&mut self) -> Result<Bytes, ObjectError> {
        let Some(ahead) = &mut self.ahead else {
            let range = self.next_range();
            self.charge.resize(range.end - range.start)?;
            return self.source.piece(range).await;
        };
        let piece = match ahead.fetching.join_next().await {
            Some(Ok(piece)) => piece,
            Some(Err(error)) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
            // The runtime is ending, and the place with it.
            _ => std::future::pending().await,
        };
        mem::swap(&mut self.charge, &mut ahead.charge);
        // Whoever reads on after an error asks again.
        self.ahead = None;
        piece
    }

    fn begin_ahead(&self) -> Result<Ahead, OverBudget> {
        let (source, range) = (Arc::clone(&self.source), self.next_range());
        let charge = self.account.charge(range.end - range.start)?;
        let mut fetching = JoinSet::new();
        fetching.spawn_on(async move { source.piece(range).await }, &self.runtime);
        Ok(Ahead { charge, fetching })
    }

    fn next_range(&self) -> Range<u64> {
        self.rest.start..self.rest.end.min(self.rest.start.saturating_add(PIECE))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use object_store::ObjectStoreExt;
    use object_store::memory::InMemory;
    use tokio::time::{sleep, timeout};

    use super::*;
    use crate::config::Objects;
    use crate::objects::Stores;

    /// Of an object of three pieces and a bit.
    async fn reader(account: &Arc<Account>) -> Reader {
        let (inner, path, size) = (InMemory::new(), Path::from("a"), 3 * PIECE + 10);
        let bytes: Vec<u8> = (0..size).map(|at| (at % 251) as u8).collect();
        inner.put(&path, bytes.into()).await.unwrap();
        let url = "s3://bucket/a".parse().unwrap();
        let source = Source { inner: Arc::new(inner), url, path, root: None, size, tag: None };
        Reader::new(source, 0..size, account, Handle::current()).unwrap()
    }

    /// Reads all that follows so many bytes; `each` sees the reader after each read.
    async fn read_on(reader: &mut Reader, mut read: u64, each: impl Fn(&Reader)) {
        loop {
            let bytes = reader.read(PIECE as usize / 4 + 1).await.unwrap();
            assert!((read..).zip(&bytes).all(|(at, byte)| *byte == (at % 251) as u8));
            each(reader);
            if bytes.is_empty() {
                return assert_eq!(read, reader.size());
            }
            read += bytes.len() as u64;
        }
    }

    #[tokio::test]
    async fn the_next_piece_is_fetched_while_nobody_asks_for_it() {
        let account = Account::new(2 * PIECE);
        let mut reader = reader(&account).await;
        // Who reads once may want no more.
        reader.read(10).await.unwrap();
        assert!(reader.ahead.is_none());
        reader.read(10).await.unwrap();
        assert!(reader.ahead.is_some());
        // Whoever fetches has it too.
        let fetched = async {
            while Arc::strong_count(&reader.source) > 1 {
                sleep(Duration::from_millis(1)).await;
            }
        };
        timeout(Duration::from_secs(20), fetched).await.expect("it is fetched");
        read_on(&mut reader, 20, |_| {}).await;
        drop(reader);
        assert!(account.charge(2 * PIECE).is_ok());
    }

    #[tokio::test]
    async fn what_has_no_room_ahead_is_fetched_when_it_is_read() {
        let account = Account::new(PIECE + 20);
        // What is left at the end is short.
        read_on(&mut reader(&account).await, 0, |reader| assert!(reader.ahead.is_none() || reader.rest.end - reader.rest.start == 10))
            .await;
    }

    #[tokio::test]
    async fn what_is_written_again_while_it_is_read_is_noticed() {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("file://{}", folder.path().display());
        let stores = Stores::new(Handle::current());
        let store = stores.open(&url, &[Objects::new(url.parse().unwrap(), false)]).await.unwrap();
        let account = Account::new(64 << 20);
        std::fs::write(folder.path().join("a"), vec![7; 13 << 20]).unwrap();
        let mut reader = store.read("a", 0, None, &account).await.unwrap();
        let mut read = 0;
        while read < PIECE as usize {
            read += reader.read(1 << 20).await.unwrap().len();
        }
        std::fs::write(folder.path().join("a"), vec![8; 14 << 20]).unwrap();
        let error = loop {
            match reader.read(1 << 20).await {
                // It was there already.
                Ok(bytes) => {
                    assert!(!bytes.is_empty() && bytes.iter().all(|byte| *byte == 7));
                    read += bytes.len();
                }
                Err(error) => break error,
            }
        };
        assert!(matches!(error, ObjectError::Changed(_)), "{error}");
        assert!(read as u64 <= 2 * PIECE);
    }
}
