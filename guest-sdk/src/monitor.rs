//! Watching places that somebody else started.

use crate::bindings::api;
use crate::{Error, ExitReason, PlaceId, Pollable};

/// A place that is only watched. Dropping it changes nothing.
#[derive(Debug)]
pub struct Monitor(api::Monitor);

/// Watches a place of this node, or of one that it is connected to. Ids are values: a place may send its own, [`this`](crate::this()).
///
/// ```no_run
/// # mod program {
/// # use places::{Channel, PlaceId, after, monitor};
/// # use std::time::Duration;
/// # #[places::start] fn main(ch: Channel<PlaceId, ()>) -> places::Result {
/// let watched = monitor(ch.get()?)?;
/// places::sync! {
///     why = watched.ended() => println!("it ended: {why}"),
///     _ = after(Duration::from_secs(5)) => println!("it lives"),
/// }
/// # Ok(()) }
/// # }
/// # fn main() {}
/// ```
///
/// # Errors
/// [`Error::NotFound`] where no such place lives, or its node is not connected; [`Error::NodeLost`].
pub fn monitor(place: PlaceId) -> Result<Monitor, Error> {
    Ok(Monitor(api::Monitor::create(place.into())?))
}

impl Monitor {
    /// Waits for its end; any number of times. It is [`ExitReason::NodeLost`] when its node is lost, whatever became of it there.
    pub fn wait(&self) -> ExitReason {
        self.0.wait().into()
    }

    /// A WASI pollable, ready when the place has ended. [`sync!`](crate::sync!) takes [`Self::ended`].
    pub fn subscribe(&self) -> Pollable {
        self.0.subscribe()
    }

    pub(crate) fn raw(&self) -> &api::Monitor {
        &self.0
    }
}
