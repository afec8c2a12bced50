//! Places: isolated units, each one component instance with its store, its channel and one task.
//!
//! [`Place`] is the handle its parent has; [`State`] is what the host keeps in its store. A place ends when its start function
//! returns or traps, or when its task is dropped, wherever it waits: that is `kill`, and it always works. Whatever a place held
//! is gone before its exit reason is told.

mod exit;
mod family;
mod output;
mod spawn;
mod state;

use std::sync::Arc;

pub(crate) use exit::Exit;
pub use exit::{ExitReason, Exiting};
pub(crate) use family::Family;
pub use spawn::SpawnError;
pub(crate) use spawn::{LONGEST, Request, spawn};
pub(crate) use state::{ExitCall, MAX_HANDLES, State};

use crate::channel::Account;
use crate::id::PlaceId;

/// A handle to a place. Clones are handles to the same place; dropping them does not end it.
#[derive(Clone, Debug)]
pub struct Place(Arc<Life>);

#[derive(Debug)]
pub(crate) struct Life {
    id: PlaceId,
    start: String,
    exit: Exit,
    family: Family,
    /// What it keeps in the host's memory.
    account: Arc<Account>,
}

impl Place {
    /// Its name, never used again.
    pub fn id(&self) -> PlaceId {
        self.0.id
    }

    /// The name of its start function.
    pub fn start(&self) -> &str {
        &self.0.start
    }

    /// Waits for its end; any number of times, by any number of waiters.
    pub async fn wait(&self) -> ExitReason {
        let mut exiting = self.exiting();
        std::future::poll_fn(|cx| exiting.poll(cx)).await
    }

    /// A wait for its end that can be polled beside others.
    pub fn exiting(&self) -> Exiting<'_> {
        self.0.exit.exiting()
    }

    /// Ends it, whatever it is doing, and waits until that is so. One that ended before keeps its reason. Without preemption
    /// ([`crate::HostBuilder::preempt`]) a place that computes ends at its next call into the host.
    pub async fn kill(&self) {
        self.0.family.kill();
        self.wait().await;
    }

    /// As [`Self::kill`], without waiting.
    pub fn kill_soon(&self) {
        self.0.family.kill();
    }
}

impl Life {
    pub(crate) fn id(&self) -> PlaceId {
        self.id
    }

    pub(crate) fn start(&self) -> &str {
        &self.start
    }

    pub(crate) fn account(&self) -> &Arc<Account> {
        &self.account
    }
}
