//! What has come for links that are not known yet.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use placehost_proto::LinkId;
use placehost_proto::frame::WINDOW;
use tokio::sync::Notify;

use super::link::Input;

/// What may be kept that was posted.
const MOST: u64 = 4 * WINDOW;

/// Of one session.
#[derive(Default)]
pub(super) struct Parked {
    inner: Mutex<Inner>,
    fewer: Notify,
}

#[derive(Default)]
struct Inner {
    links: HashMap<LinkId, Vec<Input>>,
    /// What of it was posted, as messages weigh.
    posted: u64,
}

impl Parked {
    /// Keeps something until its link is known. The peer can open no more streams than it is allowed, and where much is kept that was
    /// posted, no more of that is [read](Self::has_room).
    pub(super) fn put(&self, id: LinkId, input: Input) {
        let mut inner = self.lock();
        inner.posted += input.weight();
        inner.links.entry(id).or_default().push(input);
    }

    /// What was kept for a link, in the order in which it came.
    pub(super) fn take(&self, id: LinkId) -> Vec<Input> {
        let mut inner = self.lock();
        let Some(inputs) = inner.links.remove(&id) else { return Vec::new() };
        inner.posted -= inputs.iter().map(Input::weight).sum::<u64>();
        self.fewer.notify_one();
        inputs
    }

    /// The session is over: no link comes.
    pub(super) fn clear(&self) {
        *self.lock() = Inner::default();
        self.fewer.notify_one();
    }

    /// Resolves when more may be kept. What it waits for comes by other streams: who posts names a link before it posts on it, or has
    /// said on the control stream what will.
    pub(super) async fn has_room(&self) {
        while self.is_full() {
            self.fewer.notified().await;
        }
    }

    pub(super) fn is_full(&self) -> bool {
        self.lock().posted > MOST
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
