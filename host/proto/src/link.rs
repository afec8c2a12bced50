//! One end of a channel that crosses between nodes: what may be sent, what is owed, and which way it goes.
//!
//! A link stands for a place's end that is on another node. Each direction goes by a stream of its own on some session; together
//! they are a [`Route`]. When two nodes that were connected by way of a third meet directly, a link *moves* from one route to
//! another: each side ends the old stream with [`End::Moved`] and goes on with the new one, and reads the new one only where the old
//! one ended. So nothing is lost, doubled or overtaken, and neither side waits for the other.
//!
//! Whoever owns a link feeds it what happened and does what it returns; it holds no messages. Commands go before what comes by
//! streams: what a stream says may follow from what the node was told before.

use crate::frame::{End, WINDOW};
use crate::id::LinkId;

/// What a message counts for beyond its bytes, so that many empty ones are not nothing.
pub const WEIGHT: u64 = 64;

/// Names a session, in the words of whoever has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionKey(pub u64);

/// Names a link, in the words of whoever has it; it keeps its key when it moves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LinkKey(pub u64);

/// Which way a link goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Route {
    /// The session.
    pub session: SessionKey,
    /// The link's name there.
    pub id: LinkId,
}

/// What the node tells a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Command {
    /// The other side read some of what was sent on this route.
    Credit(Route, u64),
    /// Nobody reads what is sent on this route.
    Gone(Route, End),
    /// Nothing was, or will be, sent on this route by the other side.
    Finish(Route, End),
    /// The other side may begin to send on this route, and will end the old one with [`End::Moved`].
    Expect(Route),
    /// It will not: the introduction came to nothing.
    Forget(Route),
    /// Send on this route from now on.
    Move(Route),
    /// The session that this route goes by is lost.
    Lost(SessionKey),
}

/// What the owner of a link is to do, in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Send this as the last frame of the stream of this route, or [`crate::Control::Finish`] if there is no stream yet.
    EndOut(Route, End),
    /// Take no more from the local end, and tell who puts there.
    Refuse(End),
    /// Deliver no more to the local end, and tell who reads there.
    EndIn(End),
    /// Send [`crate::Control::Gone`] for this route.
    TellGone(Route, End),
    /// Send [`crate::Control::Credit`] for this route.
    Grant(Route, u64),
    /// Read from this route from now on.
    ReadFrom(Route),
    /// Both directions go by the new route alone: forget the old one.
    Moved(Route),
    /// Both directions have ended: forget the link.
    Done,
}

/// The state of one link.
#[derive(Debug)]
pub struct Link {
    /// Where this side sends, and what it may still.
    out: Outgoing,
    inward: Incoming,
    /// Where the link goes once it has moved.
    next: Option<Route>,
    /// How that route has ended already, with nothing sent on it.
    next_ended: Option<End>,
    done: bool,
}

#[derive(Debug)]
struct Outgoing {
    route: Route,
    /// May be less than nothing: the last message that was sent may have been larger than what was left.
    credit: i64,
    ended: bool,
}

#[derive(Debug)]
struct Incoming {
    route: Route,
    ended: Option<End>,
    /// Nobody reads; what comes is dropped.
    abandoned: Option<End>,
    /// Received by this route and not yet granted again.
    owed: u64,
    overdrawn: bool,
}

impl Link {
    /// A link by this route.
    pub fn new(route: Route) -> Self {
        Self {
            out: Outgoing { route, credit: WINDOW as i64, ended: false },
            inward: Incoming { route, ended: None, abandoned: None, owed: 0, overdrawn: false },
            next: None,
            next_ended: None,
            done: false,
        }
    }

    /// Where this side sends, or last did.
    pub fn route(&self) -> Route {
        self.out.route
    }

    /// Where to send, if anything may be sent now.
    pub fn may_send(&self) -> Option<Route> {
        (!self.out.ended && self.out.credit > 0).then_some(self.out.route)
    }

    /// Whether this side has ended what it sends.
    pub fn sends(&self) -> bool {
        !self.out.ended
    }

    /// Which route to read from, if any.
    pub fn reads(&self) -> Option<Route> {
        self.inward.ended.is_none().then_some(self.inward.route)
    }

    /// Whether what is read is to be delivered; it is dropped otherwise.
    pub fn delivers(&self) -> bool {
        self.inward.abandoned.is_none() && self.inward.ended.is_none()
    }

    /// How much was received that the sender has not been allowed again.
    pub fn owed(&self) -> u64 {
        self.inward.owed
    }

    /// A message of this weight was sent.
    pub fn sent(&mut self, weight: u64) {
        self.out.credit -= i64::try_from(weight).unwrap_or(i64::MAX / 2);
    }

    /// A message of this weight was received.
    pub fn received(&mut self, weight: u64) {
        // Who sends in batches may begin the last one just before nothing is left.
        self.inward.overdrawn |= self.inward.owed >= 2 * WINDOW;
        self.inward.owed = self.inward.owed.saturating_add(weight);
    }

    /// Whether the other side has sent much more than it was allowed, which only one that breaks the protocol does. What it sends is
    /// kept until it is read, so its session has to end.
    pub fn is_overdrawn(&self) -> bool {
        self.inward.overdrawn
    }

    /// Of what was received this much waits to be read: allows the rest again, once it is worth a frame.
    pub fn drained(&mut self, waiting: u64, effects: &mut Vec<Effect>) {
        let owed = self.inward.owed.saturating_sub(waiting);
        if owed >= WINDOW / 2 && self.inward.ended.is_none() {
            self.inward.owed -= owed;
            effects.push(Effect::Grant(self.inward.route, owed));
        }
    }

    /// Who put on the local end has gone, and all it had put was sent.
    pub fn local_ended(&mut self, end: End, effects: &mut Vec<Effect>) {
        if !self.out.ended {
            self.out.ended = true;
            effects.push(Effect::EndOut(self.out.route, end));
            self.settle(effects);
        }
    }

    /// Nobody reads the local end any more.
    pub fn local_abandoned(&mut self, end: End, effects: &mut Vec<Effect>) {
        if self.inward.abandoned.is_some() || self.inward.ended.is_some() {
            return;
        }
        self.inward.abandoned = Some(end);
        effects.push(Effect::TellGone(self.inward.route, end));
        // The other side may have left the old route, and would not hear it there.
        if let Some(next) = self.next.filter(|next| *next != self.inward.route) {
            effects.push(Effect::TellGone(next, end));
        }
        self.settle(effects);
    }

    /// The last frame came on the stream that is being read.
    pub fn remote_ended(&mut self, end: End, effects: &mut Vec<Effect>) {
        if self.inward.ended.is_some() {
            return;
        }
        match (end, self.next) {
            (End::Moved, Some(next)) if next != self.inward.route => {
                self.inward.route = next;
                self.inward.owed = 0;
                effects.push(Effect::ReadFrom(next));
                if let Some(end) = self.next_ended.take() {
                    return self.remote_ended(end, effects);
                }
            }
            // Where a node forwards, the two links that meet there end so, and pass it on.
            (end, _) => {
                self.inward.ended = Some(end);
                effects.push(Effect::EndIn(end));
                // It may be who forwards that has ended it. Then the other side sends by the next route, or will, and nobody reads.
                if let Some(next) = self.next.filter(|next| *next != self.inward.route) {
                    effects.push(Effect::TellGone(next, end));
                }
            }
        }
        self.settle(effects);
    }

    /// The stream that was being read broke off without a last frame.
    pub fn broken(&mut self, effects: &mut Vec<Effect>) {
        self.lose(None, effects);
    }

    /// The node has something to tell.
    pub fn command(&mut self, command: Command, effects: &mut Vec<Effect>) {
        match command {
            Command::Credit(route, bytes) => {
                if route == self.out.route {
                    self.out.credit = self.out.credit.saturating_add_unsigned(bytes).min(WINDOW as i64);
                }
            }
            Command::Gone(route, end) => {
                if (route == self.out.route || Some(route) == self.next || route == self.inward.route) && !self.out.ended {
                    self.out.ended = true;
                    effects.push(Effect::Refuse(end));
                    effects.push(Effect::EndOut(self.out.route, End::Closed));
                }
            }
            Command::Finish(route, end) => {
                if route == self.inward.route {
                    self.remote_ended(end, effects);
                } else if Some(route) == self.next {
                    // What came by the old route is still to be read.
                    self.next_ended = Some(end);
                }
            }
            Command::Expect(route) => self.expect(route, effects),
            Command::Forget(route) => {
                if self.next == Some(route) {
                    self.next = None;
                    self.next_ended = None;
                }
            }
            Command::Move(route) => {
                if !self.out.ended {
                    effects.push(Effect::EndOut(self.out.route, End::Moved));
                }
                self.out.route = route;
                self.out.credit = WINDOW as i64;
            }
            Command::Lost(session) => self.session_lost(session, effects),
        }
        self.settle(effects);
    }

    fn expect(&mut self, route: Route, effects: &mut Vec<Effect>) {
        self.next = Some(route);
        self.next_ended = None;
        // What was told by the old route, the other side may not hear: it may have left there, or who forwards may have closed.
        if let Some(end) = self.inward.abandoned.or(self.inward.ended) {
            effects.push(Effect::TellGone(route, end));
        }
    }

    fn session_lost(&mut self, session: SessionKey, effects: &mut Vec<Effect>) {
        let out = !self.out.ended && self.out.route.session == session;
        let inward = self.inward.ended.is_none() && self.inward.route.session == session;
        // A route that is only expected may still be done without, until this side has begun to use it.
        let next = self.next.is_some_and(|next| next.session == session);
        if out || inward {
            self.lose(Some(session), effects);
        } else if next {
            self.next = None;
            self.next_ended = None;
        }
    }

    /// Ends both directions; what can still be told is told.
    fn lose(&mut self, session: Option<SessionKey>, effects: &mut Vec<Effect>) {
        if !self.out.ended {
            self.out.ended = true;
            effects.push(Effect::Refuse(End::NodeLost));
            if Some(self.out.route.session) != session {
                effects.push(Effect::EndOut(self.out.route, End::NodeLost));
            }
        }
        if self.inward.ended.is_none() {
            self.inward.ended = Some(End::NodeLost);
            effects.push(Effect::EndIn(End::NodeLost));
            if Some(self.inward.route.session) != session {
                effects.push(Effect::TellGone(self.inward.route, End::NodeLost));
            }
        }
        if let Some(next) = self.next.filter(|next| Some(next.session) != session && *next != self.inward.route) {
            effects.push(Effect::TellGone(next, End::NodeLost));
        }
        self.settle(effects);
    }

    fn settle(&mut self, effects: &mut Vec<Effect>) {
        if self.done {
            return;
        }
        if let Some(next) = self.next
            && self.out.route == next
            && (self.inward.ended.is_some() || self.inward.route == next)
        {
            self.next = None;
            effects.push(Effect::Moved(next));
        }
        if self.out.ended && self.inward.ended.is_some() {
            self.done = true;
            effects.push(Effect::Done);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OLD: Route = Route { session: SessionKey(1), id: LinkId(2) };
    const NEW: Route = Route { session: SessionKey(7), id: LinkId(4) };

    fn told(link: &mut Link, tell: impl FnOnce(&mut Link, &mut Vec<Effect>)) -> Vec<Effect> {
        let mut effects = Vec::new();
        tell(link, &mut effects);
        effects
    }

    fn commanded(link: &mut Link, command: Command) -> Vec<Effect> {
        told(link, |link, effects| link.command(command, effects))
    }

    #[test]
    fn a_link_moves_without_loss_or_overtaking() {
        let mut link = Link::new(OLD);
        link.sent(2 * WINDOW);
        assert_eq!(commanded(&mut link, Command::Expect(NEW)), []);
        assert_eq!(commanded(&mut link, Command::Move(NEW)), [Effect::EndOut(OLD, End::Moved)]);
        // With a window of its own: nobody grants again what was sent by the old route.
        assert_eq!((link.may_send(), link.reads()), (Some(NEW), Some(OLD)));
        let moved = told(&mut link, |link, effects| link.remote_ended(End::Moved, effects));
        assert_eq!(moved, [Effect::ReadFrom(NEW), Effect::Moved(NEW)]);
        assert_eq!(link.reads(), Some(NEW));
    }

    #[test]
    fn a_gone_reader_is_told_on_both_routes() {
        let gone = |route| Effect::TellGone(route, End::Closed);
        let mut link = Link::new(OLD);
        commanded(&mut link, Command::Expect(NEW));
        assert_eq!(told(&mut link, |link, effects| link.local_abandoned(End::Closed, effects)), [gone(OLD), gone(NEW)]);

        let mut link = Link::new(OLD);
        assert_eq!(told(&mut link, |link, effects| link.local_abandoned(End::Closed, effects)), [gone(OLD)]);
        assert_eq!(commanded(&mut link, Command::Expect(NEW)), [gone(NEW)]);
    }

    #[test]
    fn a_route_that_was_finished_early_ends_after_the_old_one() {
        let mut link = Link::new(OLD);
        commanded(&mut link, Command::Expect(NEW));
        assert_eq!(commanded(&mut link, Command::Finish(NEW, End::Closed)), []);
        assert!(link.delivers());
        let ended = told(&mut link, |link, effects| link.remote_ended(End::Moved, effects));
        assert_eq!(ended, [Effect::ReadFrom(NEW), Effect::EndIn(End::Closed)]);
    }

    #[test]
    fn a_lost_old_route_is_told_on_the_next() {
        let mut link = Link::new(OLD);
        commanded(&mut link, Command::Expect(NEW));
        let ended = told(&mut link, |link, effects| link.remote_ended(End::NodeLost, effects));
        assert_eq!(ended, [Effect::EndIn(End::NodeLost), Effect::TellGone(NEW, End::NodeLost)]);
    }

    #[test]
    fn a_link_that_has_moved_says_so_before_it_is_done() {
        let mut link = Link::new(OLD);
        commanded(&mut link, Command::Expect(NEW));
        commanded(&mut link, Command::Move(NEW));
        told(&mut link, |link, effects| link.local_ended(End::Closed, effects));
        let done = told(&mut link, |link, effects| link.remote_ended(End::Closed, effects));
        let gone = Effect::TellGone(NEW, End::Closed);
        assert_eq!(done, [Effect::EndIn(End::Closed), gone, Effect::Moved(NEW), Effect::Done]);
    }

    #[test]
    fn an_expected_route_may_be_lost_without_harm() {
        let mut link = Link::new(OLD);
        commanded(&mut link, Command::Expect(NEW));
        assert_eq!(commanded(&mut link, Command::Lost(NEW.session)), []);
        assert_eq!((link.may_send(), link.reads()), (Some(OLD), Some(OLD)));
    }

    #[test]
    fn credit_is_what_was_read() {
        let mut link = Link::new(OLD);
        link.sent(WINDOW);
        assert_eq!(link.may_send(), None);
        commanded(&mut link, Command::Credit(NEW, 1));
        assert_eq!(link.may_send(), None, "that was for another route");
        commanded(&mut link, Command::Credit(OLD, u64::MAX));
        link.sent(WINDOW - 1);
        assert_eq!(link.may_send(), Some(OLD));
        link.sent(1);
        assert_eq!(link.may_send(), None, "no more than the window is ever allowed");

        let mut link = Link::new(OLD);
        link.received(WINDOW);
        assert_eq!(told(&mut link, |link, effects| link.drained(WINDOW, effects)), []);
        assert_eq!(told(&mut link, |link, effects| link.drained(10, effects)), [Effect::Grant(OLD, WINDOW - 10)]);
    }

    #[test]
    fn who_sends_more_than_allowed_is_found_out() {
        let mut link = Link::new(OLD);
        // One message may be larger than the window.
        link.received(4 * WINDOW);
        assert!(!link.is_overdrawn());
        link.received(WEIGHT);
        assert!(link.is_overdrawn());
    }
}
