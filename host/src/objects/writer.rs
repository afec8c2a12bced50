//! Writing one object: in parts, where it is large, and all of it or nothing.

use std::mem;
use std::sync::Arc;
use std::time::Duration;

use object_store::path::Path;
use object_store::{MultipartUpload, ObjectStore, ObjectStoreExt, PutPayload};
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::time::timeout;

use super::{ObjectError, ObjectUrl, in_time};
use crate::channel::Charge;

/// The size of a part, in bytes; S3 takes no smaller ones than 5 MiB.
const PART: usize = 8 << 20;
/// After so many parts the next ones are larger by [`PART`], for S3 takes 10,000 at most: so they suffice for 440 GiB.
const LARGER_AFTER: usize = 1_000;
/// How long giving up may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// An object that is being written. Nobody sees it before it is finished; where it is dropped before, nothing is left.
#[expect(unreachable_pub, reason = "the generated bindings, private too, name it in a `pub use`")]
pub struct Writer {
    store: Arc<dyn ObjectStore>,
    url: ObjectUrl,
    path: Path,
    /// What no part has yet.
    buffer: Vec<u8>,
    /// For the buffer.
    charge: Charge,
    parts: usize,
    state: Upload,
    runtime: Handle,
    /// Held while there may be something to give up.
    giving_up: watch::Receiver<()>,
}

enum Upload {
    /// No part has been sent: a small object is written by one request.
    None,
    Begun(Box<dyn MultipartUpload>),
    /// Finished, or given up.
    Over,
}

impl Writer {
    pub(super) fn new(
        store: Arc<dyn ObjectStore>,
        url: ObjectUrl,
        path: Path,
        charge: Charge,
        runtime: Handle,
        giving_up: watch::Receiver<()>,
    ) -> Self {
        Self { store, url, path, buffer: Vec::new(), charge, parts: 0, state: Upload::None, runtime, giving_up }
    }

    /// Writes on. After an error it is given up.
    pub(crate) async fn write(&mut self, mut bytes: &[u8]) -> Result<(), ObjectError> {
        if matches!(self.state, Upload::Over) {
            return Err(ObjectError::Finished(self.url.clone()));
        }
        while !bytes.is_empty() {
            let part = self.part();
            let (fits, rest) = bytes.split_at(bytes.len().min(part - self.buffer.len()));
            self.charge.resize((self.buffer.len() + fits.len()) as u64)?;
            self.buffer.extend_from_slice(fits);
            bytes = rest;
            if self.buffer.len() == part
                && let Err(error) = self.send_part().await
            {
                self.give_up();
                return Err(error);
            }
        }
        Ok(())
    }

    fn part(&self) -> usize {
        PART * (1 + self.parts / LARGER_AFTER)
    }

    async fn send_part(&mut self) -> Result<(), ObjectError> {
        if matches!(self.state, Upload::None) {
            self.state = Upload::Begun(in_time(&self.url, self.store.put_multipart(&self.path)).await?);
        }
        let Upload::Begun(upload) = &mut self.state else { return Err(ObjectError::Finished(self.url.clone())) };
        let part = PutPayload::from(mem::take(&mut self.buffer));
        in_time(&self.url, upload.put_part(part)).await?;
        self.parts += 1;
        Ok(self.charge.resize(0)?)
    }

    /// Lets it be there.
    pub(crate) async fn finish(&mut self) -> Result<(), ObjectError> {
        let finished = match &self.state {
            Upload::Over => Err(ObjectError::Finished(self.url.clone())),
            Upload::None => {
                let whole = PutPayload::from(mem::take(&mut self.buffer));
                in_time(&self.url, self.store.put(&self.path, whole)).await.map(drop)
            }
            Upload::Begun(_) => self.complete().await,
        };
        match finished {
            Ok(()) => self.state = Upload::Over,
            Err(_) => self.give_up(),
        }
        finished
    }

    async fn complete(&mut self) -> Result<(), ObjectError> {
        if !self.buffer.is_empty() {
            self.send_part().await?;
        }
        let Upload::Begun(upload) = &mut self.state else { return Err(ObjectError::Finished(self.url.clone())) };
        in_time(&self.url, upload.complete()).await.map(drop)
    }

    /// Has what has been sent removed, in the background.
    fn give_up(&mut self) {
        if let Upload::Begun(mut upload) = mem::replace(&mut self.state, Upload::Over) {
            let (giving_up, url) = (self.giving_up.clone(), self.url.clone());
            self.runtime.spawn(async move {
                match timeout(PATIENCE, upload.abort()).await {
                    Ok(Ok(())) => {}
                    Ok(Err(error)) => tracing::warn!("what was written of `{url}` is left in its store: {error}"),
                    Err(_) => tracing::warn!("what was written of `{url}` is left in its store, which does not answer"),
                }
                drop(giving_up);
            });
        }
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.give_up();
    }
}

#[cfg(test)]
mod tests {
    use object_store::memory::InMemory;

    use super::*;
    use crate::channel::Account;

    fn writer(store: &Arc<InMemory>, limit: u64) -> Writer {
        let (giving_up, receiver) = watch::channel(());
        // As long as the test runs.
        mem::forget(giving_up);
        let charge = Account::new(limit).charge(0).unwrap();
        Writer::new(store.clone(), "s3://b/a".parse().unwrap(), Path::from("a"), charge, Handle::current(), receiver)
    }

    async fn content(store: &InMemory) -> Option<Vec<u8>> {
        Some(store.get(&Path::from("a")).await.ok()?.bytes().await.unwrap().to_vec())
    }

    #[tokio::test]
    async fn an_object_is_there_when_it_is_finished_whatever_its_size() {
        for size in [0, 1, PART - 1, PART, PART + 1, 3 * PART] {
            let store = Arc::new(InMemory::new());
            let all: Vec<u8> = (0..size).map(|at| (at % 251) as u8).collect();
            let mut writer = writer(&store, 64 << 20);
            for piece in all.chunks(1_000_003) {
                writer.write(piece).await.unwrap();
            }
            assert_eq!(content(&store).await, None);
            writer.finish().await.unwrap();
            assert!(content(&store).await.as_ref() == Some(&all), "{size}");
            assert!(matches!(writer.finish().await, Err(ObjectError::Finished(_))));
            assert!(matches!(writer.write(b"more").await, Err(ObjectError::Finished(_))));
        }
    }

    #[tokio::test]
    async fn what_is_dropped_or_beyond_the_budget_is_never_there() {
        let store = Arc::new(InMemory::new());
        let mut dropped = writer(&store, 64 << 20);
        dropped.write(&vec![1; 2 * PART + 5]).await.unwrap();
        drop(dropped);
        let mut poor = writer(&store, 1 << 20);
        assert!(matches!(poor.write(&vec![1; 2 << 20]).await, Err(ObjectError::OverBudget(_))));
        drop(poor);
        tokio::task::yield_now().await;
        assert_eq!(content(&store).await, None);
    }
}
