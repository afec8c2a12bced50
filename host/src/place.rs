//! Places: isolated units, each one component instance with its store, its channel and one task.
//!
//! [`Place`] is a handle to a place, here or elsewhere; [`State`] is what the host keeps in the store of one that is here. A place
//! ends when its start function returns or traps, or when its task is dropped, wherever it waits: that is `kill`, and it always
//! works. Whatever a place held is gone before its exit reason is told.

mod exit;
mod family;
mod output;
mod owner;
mod prefix;
mod registry;
mod remote;
mod scratch;
mod spawn;
mod state;
mod stats;

use std::fmt;
use std::sync::Arc;

use exit::Exit;
pub use exit::{ExitReason, Exiting};
pub(crate) use family::Family;
pub(crate) use owner::Owner;
pub(crate) use prefix::Prefixed;
pub use registry::{LookupError, PlaceInfo};
pub(crate) use registry::{Registry, check_name};
pub(crate) use remote::Teller;
pub use scratch::ScratchError;
pub(crate) use scratch::{Scratch, Scratches};
pub use spawn::SpawnError;
pub(crate) use spawn::{LONGEST, Request, spawn};
pub(crate) use state::{ExitCall, MAX_HANDLES, State};
pub use stats::Activity;

use tokio::sync::SetOnce;

use crate::id::PlaceId;

/// A handle to a place, of this host or of another. Clones are handles to the same place; dropping them does not end it.
#[derive(Clone, Debug)]
pub struct Place(Arc<Life>);

/// A handle to a place, for waiting alone. Clones are handles to the same place.
#[derive(Clone, Debug)]
pub struct Monitor(Place);

/// What all who know of a place share, wherever it runs.
pub(crate) struct Life {
    id: PlaceId,
    start: String,
    exit: Exit,
    ender: Ender,
}

/// What ends a place.
enum Ender {
    /// One of this host; it owns the places that it starts.
    Here(Arc<Owner>),
    /// One elsewhere: what asks for its end, for a reason, and whether it is known there.
    Elsewhere(remote::End, SetOnce<()>),
}

impl Place {
    /// Its name, never used again. On another node it may be known before the place is [there](Self::started).
    pub fn id(&self) -> PlaceId {
        self.0.id
    }

    /// Waits until its node has said that it runs, or that it has ended. So an id that is sent to others is never that of a place that
    /// is not there yet.
    pub async fn started(&self) {
        if let Ender::Elsewhere(_, started) = &self.0.ender {
            started.wait().await;
        }
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
        self.kill_soon();
        self.wait().await;
    }

    /// As [`Self::kill`], without waiting.
    pub fn kill_soon(&self) {
        self.end_soon(ExitReason::Killed);
    }

    /// As [`Self::kill_soon`], for another reason.
    pub(crate) fn end_soon(&self, reason: ExitReason) {
        self.0.end(reason);
    }
}

impl Monitor {
    pub(crate) fn new(place: Place) -> Self {
        Self(place)
    }

    /// The place's name, never used again.
    pub fn id(&self) -> PlaceId {
        self.0.id()
    }

    /// Waits for its end; any number of times, by any number of waiters.
    pub async fn wait(&self) -> ExitReason {
        self.0.wait().await
    }

    /// A wait for its end that can be polled beside others.
    pub fn exiting(&self) -> Exiting<'_> {
        self.0.exiting()
    }
}

impl Life {
    fn new(id: PlaceId, start: String, ender: Ender) -> Self {
        Self { id, start, exit: Exit::default(), ender }
    }

    pub(crate) fn id(&self) -> PlaceId {
        self.id
    }

    pub(crate) fn start(&self) -> &str {
        &self.start
    }

    /// Ends it for this reason, unless it ends for another before.
    fn end(&self, reason: ExitReason) {
        match &self.ender {
            Ender::Here(owner) => owner.family.stop(reason),
            Ender::Elsewhere(end, _) => end(reason),
        }
    }

    /// Its node has said that it runs, or ran.
    fn started(&self) {
        if let Ender::Elsewhere(_, started) = &self.ender {
            // It may be known already.
            let _ = started.set(());
        }
    }

    /// Names the task of a place that is here.
    fn set_stop(&self, stop: family::Stop) {
        if let Ender::Here(owner) = &self.ender {
            owner.family.set_stop(stop);
        }
    }

    /// Links it with another place: each dies when the other goes wrong, and at once if that has happened.
    pub(crate) fn link(self: &Arc<Self>, other: &Place) {
        let Place(other) = other;
        // First here, so that the end of the other one finds both sides or neither.
        let ours = self.exit.link(other);
        if let Some(theirs) = other.exit.link(self) {
            self.exit.unlink(other.id);
            self.die_of(other.id, &theirs);
        }
        if let Some(ours) = ours {
            other.exit.unlink(self.id);
            other.die_of(self.id, &ours);
        }
    }

    /// Undoes [`Self::link`], whichever handle to the other place it was done with.
    pub(crate) fn unlink(&self, other: &Place) {
        let linked = self.exit.unlink(other.id());
        linked.iter().chain([&other.0]).for_each(|other| drop(other.exit.unlink(self.id)));
    }

    /// Tells its end to who waits, and ends who is linked to it if it went wrong.
    fn tell(&self, reason: ExitReason) {
        self.started();
        for linked in self.exit.tell(reason.clone()) {
            linked.exit.unlink(self.id);
            linked.die_of(self.id, &reason);
        }
    }

    fn die_of(&self, other: PlaceId, reason: &ExitReason) {
        if !reason.is_success() {
            self.end(reason.through_a_link(other));
        }
    }
}

impl fmt::Debug for Life {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Life").field("id", &self.id).field("start", &self.start).finish_non_exhaustive()
    }
}
