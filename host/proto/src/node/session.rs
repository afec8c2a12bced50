//! One session: who is there, what was asked, and whether it still answers.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use crate::frame::{Answer, Ask, Control, End, Hello, Introduce};
use crate::id::{Fingerprint, LinkId, RequestId};
use crate::link::{Command, LinkKey, Route};
use crate::node::{MAX_LINKS, MAX_REQUESTS};

/// The most introductions that are kept until their link is there, by number and the size of each: others are refused.
const MAX_HELD: usize = 1 << 14;
const MAX_HELD_ADDRESSES: usize = 1 << 10;

#[derive(Debug)]
pub(super) struct Session {
    /// Whether this side dialled.
    pub(super) dialled: bool,
    /// What the peer proved to have.
    pub(super) key: Fingerprint,
    /// The links by their name here.
    pub(super) links: HashMap<LinkId, LinkKey>,
    greeting: Option<Hello>,
    /// Whether both have greeted, and the one who dialled keeps this session.
    up: bool,
    time_out: Duration,
    /// When a pong came last.
    heard: Duration,
    next_ping: Duration,
    pings: u64,
    next_request: u64,
    /// Our requests that have no answer yet, by what fits them, and those that started or watch something.
    waiting: HashMap<RequestId, Fits>,
    standing: HashSet<RequestId>,
    /// The peer's requests that are not done with.
    serving: HashSet<RequestId>,
    newest_served: Option<RequestId>,
    next_link: u64,
    /// The peer may bring names in another order than it made them, so those below the newest that are not yet known are kept.
    newest_taken: Option<u64>,
    skipped: HashSet<LinkId>,
    /// What was said of links before they were named: names come with messages, by streams of their own.
    early: HashMap<LinkId, Early>,
    /// Introductions by links that are still to be named, or that are still on their way to this session.
    held: HashMap<LinkId, Introduce>,
}

/// Which answer fits a request, if it is not refused.
#[derive(Clone, Copy, Debug)]
enum Fits {
    Started,
    Listing,
    Done,
}

/// How a link ended that is not known yet.
#[derive(Debug, Default)]
struct Early {
    finish: Option<End>,
    gone: Option<End>,
}

impl Session {
    pub(super) fn new(now: Duration, dialled: bool, key: Fingerprint, time_out: Duration) -> Self {
        Self {
            dialled,
            key,
            links: HashMap::new(),
            greeting: None,
            up: false,
            time_out,
            heard: now,
            next_ping: now,
            pings: 0,
            next_request: 0,
            waiting: HashMap::new(),
            standing: HashSet::new(),
            serving: HashSet::new(),
            newest_served: None,
            next_link: 0,
            newest_taken: None,
            skipped: HashSet::new(),
            early: HashMap::new(),
            held: HashMap::new(),
        }
    }

    pub(super) fn greeted(&mut self, now: Duration, hello: Hello) {
        self.greeting = Some(hello);
        self.heard = now;
    }

    /// The peer has been heard now, and may be spoken to.
    pub(super) fn begin(&mut self) {
        self.up = true;
        self.next_ping = self.heard + self.time_out / 4;
    }

    /// What the peer said first, if it did.
    pub(super) fn greeting(&self) -> Option<&Hello> {
        self.greeting.as_ref()
    }

    /// Who is there, if the session is up.
    pub(super) fn peer(&self) -> Option<&Hello> {
        self.greeting.as_ref().filter(|_| self.up)
    }

    /// Whether this side dialled and has yet to decide whether it needs the session.
    pub(super) fn is_undecided(&self) -> bool {
        self.dialled && self.greeting.is_some() && !self.up
    }

    pub(super) fn timeout(&self) -> Duration {
        let lost = self.heard + self.time_out;
        // Until the session is up the time-out alone counts: a ping would say that it is.
        if self.up { self.next_ping.min(lost) } else { lost }
    }

    /// The ping that is due; none if the peer has been silent for too long.
    pub(super) fn tick(&mut self, now: Duration) -> Option<Control> {
        if now >= self.heard + self.time_out {
            return None;
        }
        self.next_ping = now + self.time_out / 4;
        Some(self.ping())
    }

    pub(super) fn ping(&mut self) -> Control {
        self.pings += 1;
        Control::Ping(self.pings)
    }

    /// The first frame of who dialled: it keeps the session.
    pub(super) fn kept(&mut self, now: Duration) {
        self.heard = now;
        self.begin();
    }

    pub(super) fn pong(&mut self, now: Duration, number: u64) {
        if number <= self.pings {
            self.heard = now;
        }
    }

    pub(super) fn ask(&mut self, ask: &Ask) -> RequestId {
        let request = RequestId(self.next_request);
        self.next_request += 1;
        let fits = match ask {
            Ask::Spawn(_) | Ask::Watch(_) => Fits::Started,
            Ask::List | Ask::Peers => Fits::Listing,
            Ask::Lookup { .. } | Ask::KillPlace(_) | Ask::Stop => Fits::Done,
        };
        self.waiting.insert(request, fits);
        request
    }

    pub(super) fn answered(&mut self, request: RequestId, answer: &Answer) -> Result<(), &'static str> {
        let Some(fits) = self.waiting.get(&request) else { return Err("an answer to nothing that was asked") };
        match (answer, fits) {
            (Answer::Listing { last: false, .. }, Fits::Listing) => return Ok(()),
            (Answer::Started { .. }, Fits::Started) => drop(self.standing.insert(request)),
            (Answer::Listing { .. }, Fits::Listing) | (Answer::Done, Fits::Done) | (Answer::Refused(_), _) => {}
            _ => return Err("an answer to something else"),
        }
        self.waiting.remove(&request);
        Ok(())
    }

    pub(super) fn exited(&mut self, request: RequestId) -> Result<(), &'static str> {
        if self.standing.remove(&request) { Ok(()) } else { Err("the end of something that was not started") }
    }

    pub(super) fn asked(&mut self, request: RequestId) -> Result<(), &'static str> {
        if self.newest_served.is_some_and(|newest| request <= newest) {
            return Err("a request with a number that was used before");
        }
        if self.serving.len() >= MAX_REQUESTS {
            return Err("too many requests at once");
        }
        self.newest_served = Some(request);
        self.serving.insert(request);
        Ok(())
    }

    pub(super) fn served(&mut self, request: RequestId) {
        self.serving.remove(&request);
    }

    /// Who dialled has the even names.
    pub(super) fn new_link(&mut self) -> Option<LinkId> {
        if self.links.len() >= MAX_LINKS {
            return None;
        }
        let id = LinkId(self.next_link * 2 + u64::from(!self.dialled));
        self.next_link += 1;
        Some(id)
    }

    pub(super) fn take_link(&mut self, id: LinkId) -> Result<(), &'static str> {
        if id.0.is_multiple_of(2) == self.dialled {
            return Err("a link named by the wrong side");
        }
        if self.links.len() >= MAX_LINKS {
            return Err("too many links");
        }
        let first = self.first_to_come(id);
        if id.0 < first {
            return if self.skipped.remove(&id) { Ok(()) } else { Err("a link that was named before") };
        }
        if !self.is_near(id) {
            return Err("a link named too far ahead");
        }
        self.skipped.extend((first..id.0).step_by(2).map(LinkId));
        self.newest_taken = Some(id.0);
        Ok(())
    }

    /// The lowest name that the peer has not passed over.
    fn first_to_come(&self, id: LinkId) -> u64 {
        self.newest_taken.map_or(id.0 % 2, |newest| newest + 2)
    }

    /// Whether so many links might be named in between.
    fn is_near(&self, id: LinkId) -> bool {
        (id.0 - self.first_to_come(id)) / 2 <= MAX_LINKS.saturating_sub(self.skipped.len()) as u64
    }

    /// Whether this link is still to be named: by the peer, for our own are known from the start.
    pub(super) fn is_to_come(&self, id: LinkId) -> bool {
        let theirs = id.0.is_multiple_of(2) != self.dialled;
        theirs && (self.skipped.contains(&id) || (id.0 >= self.first_to_come(id) && self.is_near(id)))
    }

    /// Keeps what was said of a link that is still to be named.
    pub(super) fn came_early(&mut self, id: LinkId, command: Command) {
        match command {
            Command::Finish(_, end) => self.early.entry(id).or_default().finish = Some(end),
            Command::Gone(_, end) => self.early.entry(id).or_default().gone = Some(end),
            // Nobody allows more on a link that has not been named.
            _ => {}
        }
    }

    /// Keeps an introduction until its link is there, if there is room.
    pub(super) fn hold(&mut self, id: LinkId, introduce: &Introduce) -> bool {
        let addresses: usize = match introduce {
            Introduce::Meet { addresses, .. } => addresses.iter().map(String::len).sum(),
            _ => 0,
        };
        let room = addresses <= MAX_HELD_ADDRESSES && self.held.len() < MAX_HELD;
        if room {
            self.held.insert(id, introduce.clone());
        }
        room
    }

    /// The introduction that waited for this link.
    pub(super) fn release(&mut self, id: LinkId) -> Option<Introduce> {
        self.held.remove(&id)
    }

    /// An introduction by the peer comes to nothing.
    pub(super) fn forget(&mut self, number: u64) {
        self.held.retain(|_, introduce| !matches!(introduce, Introduce::Expect { number: held, .. } if *held == number));
    }

    /// What was said of this link before.
    pub(super) fn early(&mut self, route: Route) -> impl Iterator<Item = Command> + use<> {
        let Early { finish, gone } = self.early.remove(&route.id).unwrap_or_default();
        let finish = finish.map(|end| Command::Finish(route, end));
        gone.map(|end| Command::Gone(route, end)).into_iter().chain(finish)
    }
}
