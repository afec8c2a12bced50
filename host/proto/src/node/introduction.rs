//! Introductions: two nodes that a third forwards between, brought together.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use super::{Action, Node};
use crate::frame::{Control, Introduce};
use crate::id::{Fingerprint, LinkId, NodeId};
use crate::link::{Command, LinkKey, Route, SessionKey};

/// The most nodes that are dialled at once because others introduce them.
const MAX_ATTEMPTS: usize = 256;
/// How many addresses of a node are tried, and how long they may be.
const MAX_ADDRESSES: usize = 16;
const MAX_ADDRESS: usize = 300;
/// An introduction that came to nothing is tried again after the time-out, then after twice as long, and so on, so many times.
const DOUBLED: u32 = 6;

/// The part of a node in introductions: its own, and those of others.
#[derive(Debug, Default)]
pub(super) struct Introductions {
    next_number: u64,
    /// Those that this node makes.
    own: HashMap<u64, Own>,
    /// Who will ask for a link here, by the introducer and its number.
    expected: HashMap<(NodeId, u64), Expected>,
    /// Where this node is to go, by the attempt to dial.
    dialling: HashMap<u64, Attempt>,
    /// Where this node has asked, by the introducer and its number.
    attaching: HashMap<(NodeId, u64), Attaching>,
    /// How often it was in vain to introduce the other sides of two links, the lower key first, and when it is tried again.
    failed: HashMap<(LinkKey, LinkKey), u32>,
    again: BTreeSet<(Duration, LinkKey, LinkKey)>,
}

/// An introduction by this node.
#[derive(Debug)]
struct Own {
    /// The link to who is to dial, and to who is to be dialled.
    from: LinkKey,
    to: LinkKey,
    /// Whether `to` has said that it waits.
    met: bool,
    /// Whether it was tried the other way round before.
    swapped: bool,
}

#[derive(Debug)]
struct Expected {
    introducer: SessionKey,
    link: LinkKey,
    node: NodeId,
    key: Fingerprint,
}

/// An attempt to dial, and everybody who waits for what comes of it.
#[derive(Debug)]
struct Attempt {
    node: NodeId,
    key: Fingerprint,
    addresses: Vec<String>,
    waiting: Vec<Dialling>,
}

#[derive(Debug)]
struct Dialling {
    introducer: SessionKey,
    introducer_id: NodeId,
    number: u64,
    link: LinkKey,
}

#[derive(Debug)]
struct Attaching {
    introducer: SessionKey,
    number: u64,
    link: LinkKey,
    by: Route,
}

impl Introductions {
    pub(super) fn is_empty(&self) -> bool {
        let Self { own, expected, dialling, attaching, failed, again, .. } = self;
        let dials = dialling.values().any(|attempt| !attempt.waiting.is_empty());
        own.is_empty() && expected.is_empty() && attaching.is_empty() && failed.is_empty() && again.is_empty() && !dials
    }

    /// When something is to be tried again.
    pub(super) fn timeout(&self) -> Option<Duration> {
        self.again.first().map(|(due, ..)| *due)
    }

    /// Nothing is known of this link any more: it is another, or elsewhere.
    fn start_over(&mut self, link: LinkKey) {
        self.failed.retain(|(one, other), _| *one != link && *other != link);
        self.again.retain(|(_, one, other)| *one != link && *other != link);
    }

    fn number(&mut self) -> u64 {
        self.next_number += 1;
        self.next_number
    }
}

type Breach = Result<(), &'static str>;

impl Node {
    /// These two links are the ends of one channel: this node only forwards.
    pub fn links_met(&mut self, one: LinkKey, other: LinkKey) {
        if !self.links.contains_key(&one) || !self.links.contains_key(&other) {
            return;
        }
        for (link, mate) in [(one, other), (other, one)] {
            if let Some(entry) = self.links.get_mut(&link) {
                entry.mate = Some(mate);
            }
        }
        self.introduce(one, other, false);
    }

    /// It was in vain. Who could not be reached may be later on: that is tried ever more rarely.
    fn try_later(&mut self, one: LinkKey, other: LinkKey) {
        let pair = (one.min(other), one.max(other));
        let failed = self.introductions.failed.entry(pair).or_default();
        let wait = self.config.timeout * (1 << (*failed).min(DOUBLED));
        *failed = failed.saturating_add(1);
        self.introductions.again.insert((self.now + wait, pair.0, pair.1));
    }

    /// Tries again what is due.
    pub(super) fn introduce_due(&mut self) {
        while self.introductions.timeout().is_some_and(|due| due <= self.now)
            && let Some((_, one, other)) = self.introductions.again.pop_first()
        {
            self.introduce(one, other, false);
        }
    }

    /// A link goes another way: its other side is another.
    pub(super) fn link_is_elsewhere(&mut self, link: LinkKey) {
        self.introductions.start_over(link);
        self.introduce_again(link);
    }

    /// After a link has come to rest: what could not be done before may be possible now.
    pub(super) fn introduce_again(&mut self, link: LinkKey) {
        if let Some(mate) = self.links.get(&link).and_then(|entry| entry.mate) {
            self.introduce(link, mate, false);
        }
    }

    fn introduce(&mut self, from: LinkKey, to: LinkKey, swapped: bool) {
        let (Some(a), Some(c)) = (self.links.get(&from), self.links.get(&to)) else { return };
        if a.busy || c.busy {
            return;
        }
        let (to_route, from_session) = (c.route, a.route.session);
        let Some((node, key)) = self.known(from_session) else { return };
        let Some((other, _)) = self.known(to_route.session) else { return };
        // Both ends are on one node: what it sends to itself goes by way of this one, until one of them ends.
        if other == node {
            return;
        }
        // Nobody can be dialled who listens nowhere.
        if !swapped && self.addresses(to_route.session).is_empty() {
            if !self.addresses(from_session).is_empty() {
                self.introduce(to, from, true);
            }
            return;
        }
        let number = self.introductions.number();
        self.set_busy(&[from, to], true);
        self.introductions.own.insert(number, Own { from, to, met: false, swapped });
        self.send(to_route.session, Introduce::Expect { number, link: to_route.id, node, key });
    }

    pub(super) fn introduced(&mut self, session: SessionKey, introduce: Introduce) -> Breach {
        if let Introduce::Expect { link, .. } | Introduce::Meet { link, .. } = introduce
            && self.is_on_its_way(Route { session, id: link })
            && self.sessions.get_mut(&session).is_some_and(|session| session.hold(link, &introduce))
        {
            return Ok(());
        }
        match introduce {
            Introduce::Expect { number, link, node, key } => self.expect(session, number, link, node, key),
            Introduce::Expecting { number, yes } => self.expecting(session, number, yes),
            Introduce::Forget { number } => self.forget(session, number),
            Introduce::Meet { number, link, node, key, addresses } => self.meet(session, number, link, node, key, addresses),
            Introduce::Unreachable { number } => self.unreachable(session, number),
            Introduce::Attach { introducer, number, link } => self.attach(session, introducer, number, link),
            Introduce::Attached { introducer, number } => self.attached(session, introducer, number),
            Introduce::Stranger { introducer, number } => self.stranger(session, introducer, number),
        }
    }

    /// Whether a link will come to this route: the peer has named it, or has moved there, and that is not known here yet.
    fn is_on_its_way(&self, route: Route) -> bool {
        match self.link_at(route) {
            Some(link) => self.links.get(&link).is_some_and(|entry| entry.next == Some(route)),
            None => self.is_to_come(route),
        }
    }

    /// A link has come to this route.
    pub(super) fn link_came(&mut self, route: Route) {
        if let Some(introduce) = self.sessions.get_mut(&route.session).and_then(|session| session.release(route.id))
            && let Err(breach) = self.introduced(route.session, introduce)
        {
            self.handle_breach(route.session, breach.into());
        }
    }

    fn expect(&mut self, session: SessionKey, number: u64, id: LinkId, node: NodeId, key: Fingerprint) -> Breach {
        let Some((introducer, _)) = self.known(session) else { return Ok(()) };
        let free = self.link_at(Route { session, id }).filter(|&link| self.gives_way(link, introducer, false));
        if let Some(link) = free {
            self.set_busy(&[link], true);
            let expected = Expected { introducer: session, link, node, key };
            if self.introductions.expected.insert((introducer, number), expected).is_some() {
                return Err("two introductions of one number");
            }
        }
        self.send(session, Introduce::Expecting { number, yes: free.is_some() });
        Ok(())
    }

    /// Whether this link can take part in an introduction by this node, which is `met` when it has got as far as [`Introduce::Meet`].
    ///
    /// Where the two introduce by the same link, just one of them goes on. Each knows what the other will do: who has sent the other
    /// a `Meet` stays; and if both have or neither has, the smaller id.
    fn gives_way(&mut self, link: LinkKey, introducer: NodeId, met: bool) -> bool {
        let Some(entry) = self.links.get(&link) else { return false };
        if !entry.busy {
            return true;
        }
        let own = self.introductions.own.iter().find(|(_, own)| own.from == link || own.to == link);
        let Some((&number, own)) = own else { return false };
        let to = own.to;
        let goes_on = match (own.met && own.from == link, met) {
            (ours, theirs) if ours != theirs => ours,
            // Of this one nobody knows over there, so it cannot be given up for something that might be.
            _ if own.met && !met => true,
            _ => self.config.id < introducer,
        };
        if !goes_on {
            self.give_up(number);
            if let Some(route) = self.links.get(&to).map(|entry| entry.route) {
                self.send(route.session, Introduce::Forget { number });
            }
        }
        !goes_on
    }

    fn expecting(&mut self, session: SessionKey, number: u64, yes: bool) -> Breach {
        let Some(own) = self.introductions.own.get_mut(&number) else { return Ok(()) };
        let (from_link, to) = (own.from, own.to);
        if self.links.get(&to).is_none_or(|entry| entry.route.session != session) {
            return Err("an answer to somebody else's introduction");
        }
        own.met = yes;
        let route = self.links.get(&from_link).map(|entry| entry.route);
        let (Some((node, key)), Some(from)) = (self.known(session), route) else { return Ok(()) };
        if !yes {
            self.give_up(number);
            self.try_later(from_link, to);
            return Ok(());
        }
        let addresses = self.addresses(session);
        self.send(from.session, Introduce::Meet { number, link: from.id, node, key, addresses });
        Ok(())
    }

    fn forget(&mut self, session: SessionKey, number: u64) -> Breach {
        if let Some(session) = self.sessions.get_mut(&session) {
            session.forget(number);
        }
        let Some((introducer, _)) = self.known(session) else { return Ok(()) };
        if let Some(expected) = self.introductions.expected.remove(&(introducer, number)) {
            self.set_busy(&[expected.link], false);
            self.introduce_again(expected.link);
        }
        Ok(())
    }

    fn meet(&mut self, session: SessionKey, number: u64, id: LinkId, node: NodeId, key: Fingerprint, addresses: Vec<String>) -> Breach {
        let Some((introducer_id, _)) = self.known(session) else { return Ok(()) };
        let free = self.link_at(Route { session, id }).filter(|&link| self.gives_way(link, introducer_id, true));
        let Some(link) = free else {
            self.send(session, Introduce::Unreachable { number });
            return Ok(());
        };
        self.set_busy(&[link], true);
        let dialling = Dialling { introducer: session, introducer_id, number, link };
        match self.session_to(node, key) {
            Some(direct) => self.reached(dialling, direct),
            None => self.dial(dialling, node, key, addresses),
        }
        Ok(())
    }

    /// Dials, unless that is being done: many channels may be introduced at once.
    fn dial(&mut self, dialling: Dialling, node: NodeId, key: Fingerprint, mut addresses: Vec<String>) {
        addresses.retain(|address| address.len() <= MAX_ADDRESS);
        addresses.truncate(MAX_ADDRESSES);
        let attempts = &mut self.introductions.dialling;
        let same = |attempt: &&mut Attempt| attempt.node == node && attempt.key == key && attempt.addresses == addresses;
        if let Some(attempt) = attempts.values_mut().find(same) {
            return attempt.waiting.push(dialling);
        }
        if attempts.len() >= MAX_ATTEMPTS {
            return self.cannot(dialling);
        }
        let attempt = self.introductions.number();
        let waiting = vec![dialling];
        self.introductions.dialling.insert(attempt, Attempt { node, key, addresses: addresses.clone(), waiting });
        self.actions.push_back(Action::Dial { attempt, node, key, addresses });
    }

    /// What came of [`Action::Dial`]: a session that is up, or nothing.
    pub fn handle_dialled(&mut self, attempt: u64, session: Option<SessionKey>) {
        let Some(Attempt { node, key, waiting, .. }) = self.introductions.dialling.remove(&attempt) else { return };
        // Somebody else may be at that address by now.
        let direct = session.filter(|session| self.known(*session) == Some((node, key)));
        for dialling in waiting {
            match direct {
                Some(direct) => self.reached(dialling, direct),
                None => self.cannot(dialling),
            }
        }
    }

    fn cannot(&mut self, dialling: Dialling) {
        self.set_busy(&[dialling.link], false);
        self.send(dialling.introducer, Introduce::Unreachable { number: dialling.number });
        self.introduce_again(dialling.link);
    }

    fn reached(&mut self, dialling: Dialling, direct: SessionKey) {
        let id = self.sessions.get_mut(&direct).and_then(|session| session.new_link());
        let (Some(id), true) = (id, self.links.contains_key(&dialling.link)) else { return self.cannot(dialling) };
        let Dialling { introducer, introducer_id, number, link } = dialling;
        let by = Route { session: direct, id };
        self.expect_at(link, by);
        self.introductions.attaching.insert((introducer_id, number), Attaching { introducer, number, link, by });
        self.send(direct, Introduce::Attach { introducer: introducer_id, number, link: id });
    }

    fn expect_at(&mut self, link: LinkKey, by: Route) {
        if let Some(entry) = self.links.get_mut(&link) {
            entry.next = Some(by);
        }
        self.name_link(by, link);
        self.actions.push_back(Action::Link(link, Command::Expect(by)));
    }

    fn unreachable(&mut self, session: SessionKey, number: u64) -> Breach {
        let Some(own) = self.introductions.own.get(&number) else { return Ok(()) };
        let (from, to, swapped) = (own.from, own.to, own.swapped);
        if self.links.get(&from).is_none_or(|entry| entry.route.session != session) {
            return Err("an answer to somebody else's introduction");
        }
        self.introductions.own.remove(&number);
        self.set_busy(&[from, to], false);
        if let Some(route) = self.links.get(&to).map(|entry| entry.route) {
            self.send(route.session, Introduce::Forget { number });
        }
        if !swapped && !self.addresses(session).is_empty() {
            self.introduce(to, from, true);
        } else {
            self.try_later(from, to);
        }
        Ok(())
    }

    fn attach(&mut self, session: SessionKey, introducer: NodeId, number: u64, id: LinkId) -> Breach {
        let Some(own) = self.sessions.get_mut(&session) else { return Ok(()) };
        own.take_link(id)?;
        let who = self.known(session);
        let good = |expected: &Expected| who == Some((expected.node, expected.key));
        if !self.introductions.expected.get(&(introducer, number)).is_some_and(good) {
            self.send(session, Introduce::Stranger { introducer, number });
            return Ok(());
        }
        if let Some(Expected { link, .. }) = self.introductions.expected.remove(&(introducer, number)) {
            let by = Route { session, id };
            self.expect_at(link, by);
            self.send(session, Introduce::Attached { introducer, number });
            self.actions.push_back(Action::Link(link, Command::Move(by)));
        }
        Ok(())
    }

    fn attached(&mut self, session: SessionKey, introducer: NodeId, number: u64) -> Breach {
        match self.introductions.attaching.get(&(introducer, number)) {
            Some(attaching) if attaching.by.session != session => return Err("an answer to somebody else's introduction"),
            Some(_) => {}
            None => return Ok(()),
        }
        if let Some(Attaching { link, by, .. }) = self.introductions.attaching.remove(&(introducer, number)) {
            self.actions.push_back(Action::Link(link, Command::Move(by)));
        }
        Ok(())
    }

    fn stranger(&mut self, session: SessionKey, introducer: NodeId, number: u64) -> Breach {
        match self.introductions.attaching.get(&(introducer, number)) {
            Some(attaching) if attaching.by.session != session => return Err("an answer to somebody else's introduction"),
            Some(_) => {}
            None => return Ok(()),
        }
        if let Some(attaching) = self.introductions.attaching.remove(&(introducer, number)) {
            self.stay(attaching);
        }
        Ok(())
    }

    /// A link that was about to move does not.
    fn stay(&mut self, Attaching { introducer, number, link, by }: Attaching) {
        self.unname_link(by);
        self.route_gone(by);
        if let Some(entry) = self.links.get_mut(&link) {
            entry.next = None;
            entry.busy = false;
            self.actions.push_back(Action::Link(link, Command::Forget(by)));
        }
        self.send(introducer, Introduce::Unreachable { number });
        self.introduce_again(link);
    }

    fn give_up(&mut self, number: u64) {
        if let Some(own) = self.introductions.own.remove(&number) {
            self.set_busy(&[own.from, own.to], false);
        }
    }

    /// A route of this link went by a session that is lost. The link itself decides whether it can do without.
    pub(super) fn route_lost(&mut self, link: LinkKey, session: SessionKey) {
        let Some(entry) = self.links.get_mut(&link) else { return };
        if entry.next.is_some_and(|next| next.session == session) {
            entry.next = None;
        }
        let attaching =
            self.introductions.attaching.iter().find(|(_, attaching)| attaching.link == link && attaching.by.session == session);
        if let Some((&key, _)) = attaching
            && let Some(attaching) = self.introductions.attaching.remove(&key)
        {
            self.stay(attaching);
        }
    }

    /// What an introducer that is lost had begun comes to nothing, unless it has come so far that it is not needed.
    pub(super) fn introducer_lost(&mut self, session: SessionKey) {
        let expected: Vec<_> =
            self.introductions.expected.iter().filter(|(_, it)| it.introducer == session).map(|(key, it)| (*key, it.link)).collect();
        for (key, link) in expected {
            self.introductions.expected.remove(&key);
            self.set_busy(&[link], false);
        }
        self.introductions.dialling.values_mut().for_each(|it| it.waiting.retain(|it| it.introducer != session));
        self.introductions.attaching.retain(|_, it| it.introducer != session && it.by.session != session);
    }

    /// A link has ended, and every introduction that it took part in. The link that it was to be introduced by stays busy until it
    /// ends too, as it will: who was to dial may have done so, and what comes of that is not to be taken for another introduction's.
    pub(super) fn link_gone(&mut self, link: LinkKey) {
        self.introductions.own.retain(|_, it| it.from != link && it.to != link);
        self.introductions.expected.retain(|_, it| it.link != link);
        self.introductions.dialling.values_mut().for_each(|it| it.waiting.retain(|it| it.link != link));
        self.introductions.attaching.retain(|_, it| it.link != link);
        self.introductions.start_over(link);
    }

    /// No link will come to this route.
    pub(super) fn route_gone(&mut self, route: Route) {
        if let Some(session) = self.sessions.get_mut(&route.session) {
            session.release(route.id);
        }
    }

    fn set_busy(&mut self, links: &[LinkKey], busy: bool) {
        for link in links {
            if let Some(entry) = self.links.get_mut(link) {
                entry.busy = busy;
            }
        }
    }

    fn send(&mut self, session: SessionKey, introduce: Introduce) {
        self.tell(session, Control::Introduce(introduce));
    }

    /// Who is at the other side of a session that is up.
    fn known(&self, session: SessionKey) -> Option<(NodeId, Fingerprint)> {
        let session = self.sessions.get(&session)?;
        Some((session.peer()?.node, session.key))
    }

    fn addresses(&self, session: SessionKey) -> Vec<String> {
        self.sessions.get(&session).and_then(|session| session.peer()).map(|peer| peer.addresses.clone()).unwrap_or_default()
    }

    /// The oldest session to this node, if its key is this one.
    pub fn session_to(&self, node: NodeId, key: Fingerprint) -> Option<SessionKey> {
        self.sessions.iter().filter(|(_, it)| it.key == key && it.peer().is_some_and(|peer| peer.node == node)).map(|it| *it.0).min()
    }
}
