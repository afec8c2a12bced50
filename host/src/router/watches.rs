//! Places of another node that are watched from here: each is asked for once, however many watch it, and so its end is told once.

use std::collections::HashMap;
use std::future::Future;
use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Waker};

use tokio::sync::OnceCell;

use super::lock;
use crate::id::PlaceId;
use crate::place::{LookupError, Place};

/// The watched places of one session.
#[derive(Default)]
pub(super) struct Watches(Mutex<HashMap<PlaceId, Arc<OnceCell<Place>>>>);

impl Watches {
    /// The place, which `ask` brings unless somebody watches it already, or is about to. True if it did: then [`Self::forget`] is to be
    /// called when the place has ended.
    pub(super) async fn get(
        &self,
        id: PlaceId,
        ask: impl Future<Output = Result<Place, LookupError>>,
    ) -> Result<(Place, bool), LookupError> {
        let cell = Arc::clone(lock(&self.0).entry(id).or_default());
        let mut asked = false;
        let place = cell
            .get_or_try_init(async || {
                asked = true;
                ask.await
            })
            .await;
        match place {
            // As if it had been asked for now.
            Ok(place) if !asked && has_ended(place) => Err(LookupError::NoPlace { id }),
            Ok(place) => Ok((place.clone(), asked)),
            Err(error) => {
                lock(&self.0).retain(|other, cell| *other != id || cell.initialized());
                Err(error)
            }
        }
    }

    /// It has ended.
    pub(super) fn forget(&self, id: PlaceId) {
        let forgotten = lock(&self.0).remove(&id);
        drop(forgotten);
    }
}

fn has_ended(place: &Place) -> bool {
    pin!(place.wait()).poll(&mut Context::from_waker(Waker::noop())).is_ready()
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;
    use crate::id::NodeId;
    use crate::place::ExitReason;

    const ID: PlaceId = PlaceId { node: NodeId(7), seq: 1 };

    #[tokio::test]
    async fn a_thousand_who_watch_ask_once_and_are_all_told() {
        let (watches, asked) = (Watches::default(), AtomicUsize::new(0));
        let teller = Mutex::new(None);
        let watch = || async {
            let ask = async {
                asked.fetch_add(1, Ordering::Relaxed);
                // Others come before the answer does.
                tokio::task::yield_now().await;
                let (place, tells) = Place::elsewhere(ID, "", Box::new(|_| {}));
                *lock(&teller) = Some(tells);
                Ok(place)
            };
            watches.get(ID, ask).await.expect("it lives")
        };
        let mut all = Vec::new();
        for _ in 0..1000 {
            all.push(Box::pin(watch()));
        }
        for pending in &mut all {
            assert!(pending.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
        }
        let mut watched = Vec::new();
        for pending in all {
            watched.push(pending.await);
        }
        assert_eq!((asked.load(Ordering::Relaxed), watched.iter().filter(|(_, asked)| *asked).count()), (1, 1));
        lock(&teller).take().expect("it was asked for").tell(ExitReason::Exited(7));
        for (place, _) in watched {
            assert_eq!(place.wait().await, ExitReason::Exited(7));
        }
        // Until it is forgotten it is known to have ended, and after that it is asked for again.
        let never = async { unreachable!("it is known") };
        assert!(matches!(watches.get(ID, never).await, Err(LookupError::NoPlace { id: ID })));
        watches.forget(ID);
        assert!(matches!(watches.get(ID, async { Err(LookupError::NodeLost) }).await, Err(LookupError::NodeLost)));
        assert!(lock(&watches.0).is_empty());
    }
}
