//! Handles to places elsewhere: on another node, they end here when their end is told here.
//!
//! Whoever knows how to reach the place keeps the [`Teller`]; this module knows of no network.

use std::sync::Arc;

use tokio::sync::SetOnce;

use super::{Ender, ExitReason, Life, Place};
use crate::id::PlaceId;

/// Asks for the end of a place elsewhere, for a reason, and does not wait.
pub(crate) type End = Box<dyn Fn(ExitReason) + Send + Sync>;

/// Tells the end of a place elsewhere to all who have handles to it here. Dropped before it has told anything, it tells that the
/// node is lost.
#[derive(Debug)]
pub(crate) struct Teller(Arc<Life>);

impl Place {
    /// A place elsewhere, and who tells its end. `end` may be called any number of times.
    pub(crate) fn elsewhere(id: PlaceId, start: &str, end: End) -> (Self, Teller) {
        let life = Arc::new(Life::new(id, start.into(), Ender::Elsewhere(end, SetOnce::new())));
        (Self(Arc::clone(&life)), Teller(life))
    }
}

impl Teller {
    /// The node it runs on has said that it does.
    pub(crate) fn started(&self) {
        self.0.started();
    }

    /// Tells how it ended.
    pub(crate) fn tell(self, reason: ExitReason) {
        self.0.tell(reason);
    }
}

impl Drop for Teller {
    fn drop(&mut self) {
        // Where it has been told, this changes nothing.
        self.0.tell(ExitReason::NodeLost);
    }
}

#[cfg(test)]
mod tests {
    use std::future::Future;
    use std::pin::pin;
    use std::sync::Mutex;
    use std::task::{Context, Poll, Waker};

    use super::*;
    use crate::id::NodeId;

    type Kills = Arc<Mutex<Vec<ExitReason>>>;

    fn elsewhere(seq: u64) -> (Place, Teller, Kills) {
        let kills = Kills::default();
        let asked = Arc::clone(&kills);
        let kill = Box::new(move |reason| asked.lock().unwrap().push(reason));
        let (place, teller) = Place::elsewhere(PlaceId { node: NodeId(7), seq }, "main", kill);
        (place, teller, kills)
    }

    fn ended(place: &Place) -> Option<ExitReason> {
        match pin!(place.wait()).poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(reason) => Some(reason),
            Poll::Pending => None,
        }
    }

    fn times(kills: &Kills) -> usize {
        kills.lock().unwrap().len()
    }

    #[test]
    fn its_end_is_told_once() {
        let (place, teller, _) = elsewhere(1);
        assert_eq!(ended(&place), None);
        teller.tell(ExitReason::Exited(7));
        assert_eq!((ended(&place), ended(&place.clone())), (Some(ExitReason::Exited(7)), Some(ExitReason::Exited(7))));
    }

    #[test]
    fn it_is_known_to_have_started_when_its_node_says_so_or_that_it_ended() {
        let started = |place: &Place| pin!(place.started()).poll(&mut Context::from_waker(Waker::noop())).is_ready();
        let ((one, tell_one, _), (two, tell_two, _)) = (elsewhere(1), elsewhere(2));
        assert!(!started(&one) && !started(&two));
        tell_one.started();
        drop(tell_two);
        assert!(started(&one) && started(&two));
    }

    #[test]
    fn who_tells_nothing_has_lost_its_node() {
        let (place, teller, _) = elsewhere(1);
        drop(teller);
        assert_eq!(ended(&place), Some(ExitReason::NodeLost));
    }

    #[test]
    fn killing_asks_and_waits_for_the_answer() {
        let (place, teller, kills) = elsewhere(1);
        {
            let mut kill = pin!(place.kill());
            assert!(kill.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
            assert_eq!(times(&kills), 1);
            teller.tell(ExitReason::Killed);
            assert!(kill.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_ready());
        }
        assert_eq!(ended(&place), Some(ExitReason::Killed));
    }

    #[test]
    fn linked_places_die_of_each_other_and_not_of_a_good_end() {
        let ((one, tell_one, killed_one), (two, tell_two, killed_two)) = (elsewhere(1), elsewhere(2));
        one.0.link(&two);
        tell_two.tell(ExitReason::Returned);
        assert_eq!(times(&killed_one), 0);
        let (three, tell_three, killed_three) = elsewhere(3);
        one.0.link(&three);
        tell_one.tell(ExitReason::NodeLost);
        assert_eq!((times(&killed_two), times(&killed_three)), (0, 1));
        let which = format!("a place that it is linked to ended: {} was lost with its node", one.id());
        assert_eq!(*killed_three.lock().unwrap(), [ExitReason::Linked(which.into())]);
        // One that has ended in error already fires at once.
        let (four, _tell_four, killed_four) = elsewhere(4);
        four.0.link(&one);
        assert_eq!(times(&killed_four), 1);
        tell_three.tell(ExitReason::Killed);
    }

    #[test]
    fn a_link_is_undone_from_either_side() {
        for undo in [|one: &Place, two: &Place| one.0.unlink(two), |one: &Place, two: &Place| two.0.unlink(one)] {
            let ((one, tell_one, _), (two, _tell_two, killed)) = (elsewhere(1), elsewhere(2));
            one.0.link(&two);
            undo(&one, &two);
            tell_one.tell(ExitReason::Killed);
            assert_eq!(times(&killed), 0);
        }
    }

    #[test]
    fn a_chain_of_links_names_the_first_cause() {
        let first = ExitReason::Linked("a place that it is linked to ended: 0000.1 was killed".into());
        assert_eq!(first.through_a_link(PlaceId { node: NodeId(7), seq: 2 }), first);
    }
}
