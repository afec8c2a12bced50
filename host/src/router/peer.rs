//! Another node, as places here see it: what they ask of it goes over the session.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, Weak};

use async_trait::async_trait;
use placehost_proto::frame::{Answer, Ask, Before, Exit, PeerRow, PlaceRow, Refusal, Spawn, SpawnGrants};
use placehost_proto::{Control, RequestId};
use tokio::sync::mpsc;

use super::proven::Proof;
use super::shipping::Offer;
use super::{Guest, lock, rows};
use crate::channel::{Bounds, Channel, Inflow};
use crate::config::{Grants, PlaceConfig, SCRATCH};
use crate::host::Shared;
use crate::id::{NodeId, PlaceId};
use crate::net::hub::Hub;
use crate::net::session::Session;
use crate::node::{NodeError, Order, Peer, PeerInfo};
use crate::place::{self, ExitReason, LookupError, Owner, Place, PlaceInfo, SpawnError, Teller};

/// The answers to one request.
type Answers = mpsc::UnboundedReceiver<Answer>;

/// A node at the other side of a session.
pub(super) struct There {
    host: Weak<Shared>,
    hub: Hub,
    session: Arc<Session>,
    guest: Arc<Guest>,
}

impl There {
    pub(super) fn new(host: Weak<Shared>, hub: Hub, session: Arc<Session>, guest: Arc<Guest>) -> Self {
        Self { host, hub, session, guest }
    }

    /// Asks, and returns where the answers come; nothing where the session has ended.
    fn ask(&self, ask: Ask, expect: impl FnOnce(RequestId)) -> Option<(RequestId, Answers)> {
        let (sender, answers) = mpsc::unbounded_channel();
        let request = self.tell(ask, |request| {
            self.session.expect(request, sender);
            expect(request);
        });
        Some((request?, answers))
    }

    /// Asks, and goes on: the answer is for [`answered`].
    fn tell(&self, ask: Ask, expect: impl FnOnce(RequestId)) -> Option<RequestId> {
        let mut asked = None;
        self.hub.ask(self.session.key(), ask, |request| {
            asked = Some(request);
            expect(request);
        });
        asked
    }

    /// Waits until a place has been started.
    async fn started(&self, request: RequestId, mut answers: Answers, proof: &Proof) -> Result<PlaceId, SpawnError> {
        let mut abandon = Abandon { there: self, request, armed: true };
        let answer = answers.recv().await;
        abandon.armed = false;
        if let Some(Answer::Started { place, spare }) = answer {
            self.guest.standing.is_answered(request);
            self.guest.proven.works(proof);
            self.guest.proven.spare(spare);
            return Ok(place);
        }
        self.session.outputs.forget(request);
        self.guest.standing.forget(request);
        Err(match answer {
            Some(Answer::Refused(refusal)) => spawn_error(refusal),
            _ => SpawnError::NodeLost,
        })
    }

    /// Asks what has one answer.
    async fn one(&self, ask: Ask) -> Option<Answer> {
        let (_, mut answers) = self.ask(ask, |_| {})?;
        answers.recv().await
    }
}

#[async_trait]
impl Peer for There {
    fn id(&self) -> NodeId {
        // There is a node only once it has greeted.
        self.session.peer().map_or(NodeId(0), |peer| peer.node)
    }

    fn name(&self) -> &str {
        self.session.peer().map_or("", |peer| &peer.name)
    }

    fn address(&self) -> String {
        self.session.connection().address().to_string()
    }

    async fn spawn(&self, order: Order) -> Result<(Place, Channel), SpawnError> {
        let Order { module, start, config, name, detached, owner, explicit_grants, .. } = order;
        // As it would be here: the other node could only say no.
        name.as_deref().map_or(Ok(()), place::check_name)?;
        let (here, there) = Channel::pair_on(config.bounds, &owner.account)?;
        let ways = Ways { inward: here.inflow(), outward: there.inflow() };
        let link = self.hub.send_end(self.session.key(), there).ok_or(SpawnError::NodeLost)?;
        let (stdout, stderr, log) = (config.stdout.clone(), config.stderr.clone(), config.log.clone());
        let size = module.size;
        let file = module.label();
        let digest = module.digest();
        let offer = self.guest.offers.offer(module);
        let PlaceConfig { args, limits, grants, bounds: Bounds { messages, bytes }, log_to_parent, .. } = config;
        let mut spawn = Spawn {
            module: digest,
            size,
            file,
            start: start.clone(),
            args,
            memory: limits.memory,
            deadline: limits.deadline.map(|time| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)),
            fuel: limits.fuel,
            bounds: (messages as u64, bytes as u64),
            grants: SpawnGrants {
                explicit: explicit_grants,
                dirs: dirs(&grants),
                env: grants.env,
                network: grants.network,
                nodes: grants.nodes,
            },
            name,
            detached,
            log_to_parent,
            seq: None,
            link,
        };
        let proof = Proof::of(&spawn);
        let seq = self.guest.proven.number(&proof);
        spawn.seq = seq;
        // The place may end before its start is heard of here, so what it says is expected from the beginning.
        let expect = |request| {
            self.session.outputs.expect(request, stdout, stderr, log);
            self.guest.standing.expect(request, Some(ways));
        };
        let ask = Ask::Spawn(Box::new(spawn));
        let (request, id) = match seq {
            Some(seq) => {
                let asked = self.tell(ask, expect).ok_or(SpawnError::NodeLost)?;
                self.guest.standing.offers(asked, offer);
                (asked, PlaceId { node: self.id(), seq })
            }
            None => {
                let (request, answers) = self.ask(ask, expect).ok_or(SpawnError::NodeLost)?;
                (request, self.started(request, answers, &proof).await?)
            }
        };
        let (hub, key) = (self.hub.clone(), self.session.key());
        let end = move |reason| {
            let linked = if let ExitReason::Linked(which) = reason { Some(shorten(&which)) } else { None };
            hub.tell(key, Control::Kill(vec![request], linked));
        };
        let (place, teller) = Place::elsewhere(id, &start, Box::new(end.clone()));
        self.guest.standing.tell_by(request, teller);
        if !detached && !owner.family.adopt_remote(id, Box::new(move || end(ExitReason::Killed))) {
            return Err(SpawnError::Ending);
        }
        if let Some(host) = self.host.upgrade().filter(|_| !detached) {
            forget_when_ended(&host, &place, owner);
        }
        Ok((place, here))
    }

    async fn lookup(&self, name: &str) -> Result<Channel, LookupError> {
        let (here, there) = Channel::pair(Bounds::default());
        let link = self.hub.send_end(self.session.key(), there).ok_or(LookupError::NodeLost)?;
        match self.one(Ask::Lookup { name: name.into(), link }).await {
            Some(Answer::Done) => Ok(here),
            Some(Answer::Refused(Refusal::NotFound(_))) => Err(LookupError::NoName { name: name.into() }),
            Some(Answer::Refused(refusal)) => Err(LookupError::Refused(text(refusal))),
            _ => Err(LookupError::NodeLost),
        }
    }

    async fn monitor(&self, place: PlaceId) -> Result<Place, LookupError> {
        let (watched, first) = self.guest.watches.get(place, self.watch(place)).await?;
        if first {
            let (guest, watched) = (Arc::clone(&self.guest), watched.clone());
            self.hub.runtime().spawn(async move {
                watched.wait().await;
                guest.watches.forget(place);
            });
        }
        Ok(watched)
    }

    async fn exit(&self) -> Result<(), NodeError> {
        match self.one(Ask::Stop).await {
            Some(Answer::Refused(refusal)) => Err(NodeError::Denied(text(refusal))),
            Some(_) => Ok(()),
            None => Err(NodeError::Lost),
        }
    }

    async fn list(&self) -> Result<Vec<PlaceInfo>, NodeError> {
        Ok(self.listing(Ask::List).await?.0.into_iter().map(rows::place_info).collect())
    }

    async fn peers(&self) -> Result<Vec<PeerInfo>, NodeError> {
        Ok(self.listing(Ask::Peers).await?.1.into_iter().map(rows::peer_info).collect())
    }

    async fn kill(&self, place: PlaceId) -> Result<(), LookupError> {
        match self.one(Ask::KillPlace(place)).await {
            Some(Answer::Done) => Ok(()),
            Some(Answer::Refused(Refusal::NotFound(_))) => Err(LookupError::NoPlace { id: place }),
            Some(Answer::Refused(refusal)) => Err(LookupError::Refused(text(refusal))),
            _ => Err(LookupError::NodeLost),
        }
    }

    async fn lost(&self) {
        self.session.lost().await;
    }
}

impl There {
    /// A place there, whose end is to be told.
    async fn watch(&self, place: PlaceId) -> Result<Place, LookupError> {
        let expect = |request| self.guest.standing.expect(request, None);
        let Some((request, mut answers)) = self.ask(Ask::Watch(place), expect) else { return Err(LookupError::NodeLost) };
        match answers.recv().await {
            Some(Answer::Started { place: id, .. }) => {
                let (watched, teller) = Place::elsewhere(id, "", Box::new(|_| {}));
                self.guest.standing.is_answered(request);
                self.guest.standing.tell_by(request, teller);
                Ok(watched)
            }
            answer => {
                self.guest.standing.forget(request);
                Err(match answer {
                    Some(Answer::Refused(Refusal::NotFound(_))) => LookupError::NoPlace { id: place },
                    Some(Answer::Refused(refusal)) => LookupError::Refused(text(refusal)),
                    _ => LookupError::NodeLost,
                })
            }
        }
    }

    async fn listing(&self, ask: Ask) -> Result<(Vec<PlaceRow>, Vec<PeerRow>), NodeError> {
        let (_, mut answers) = self.ask(ask, |_| {}).ok_or(NodeError::Lost)?;
        let (mut all_places, mut all_peers) = (Vec::new(), Vec::new());
        loop {
            match answers.recv().await {
                Some(Answer::Listing { places, peers, last }) => {
                    all_places.extend(places);
                    all_peers.extend(peers);
                    if last {
                        return Ok((all_places, all_peers));
                    }
                }
                Some(Answer::Refused(refusal)) => return Err(NodeError::Denied(text(refusal))),
                _ => return Err(NodeError::Lost),
            }
        }
    }
}

/// Ends what is being started for a place that ended meanwhile.
struct Abandon<'a> {
    there: &'a There,
    request: RequestId,
    armed: bool,
}

impl Drop for Abandon<'_> {
    fn drop(&mut self) {
        if self.armed {
            self.there.hub.tell(self.there.session.key(), Control::Kill(vec![self.request], None));
            self.there.guest.standing.forget(self.request);
            self.there.session.outputs.forget(self.request);
        }
    }
}

/// The directories and object stores, by the names under which that node may have them too.
fn dirs(grants: &Grants) -> Vec<(String, bool)> {
    let scratch = grants.scratch.then(|| (SCRATCH.to_owned(), false));
    let objects = grants.objects.iter().map(|objects| (objects.url.to_string(), objects.read_only));
    grants.dirs.iter().map(|dir| (dir.guest.clone(), dir.read_only)).chain(scratch).chain(objects).collect()
}

/// A place elsewhere that has ended is no longer its owner's to end.
fn forget_when_ended(host: &Arc<Shared>, place: &Place, owner: Arc<Owner>) {
    let place = place.clone();
    host.runtime.spawn(async move {
        place.wait().await;
        owner.family.forget(place.id());
    });
}

/// The answer to a spawn that was not waited for. Where it is a refusal, that is how the place ended.
pub(super) fn answered(session: &Arc<Session>, guest: &Guest, request: RequestId, answer: Answer) {
    if let Answer::Started { spare, .. } = answer {
        guest.proven.spare(spare);
    }
    guest.standing.is_answered(request);
    match answer {
        Answer::Started { .. } => {}
        answer => {
            session.outputs.forget(request);
            guest.standing.ended(
                request,
                match answer {
                    Answer::Refused(Refusal::Stopping) => ExitReason::NodeLost,
                    Answer::Refused(refusal) => ExitReason::Failed(format!("it could not be started: {}", text(refusal)).into()),
                    _ => ExitReason::NodeLost,
                },
            );
        }
    }
}

/// What these requests of ours started or watch has ended.
pub(super) fn exited(hub: &Hub, session: &Arc<Session>, guest: &Arc<Guest>, requests: &[RequestId], reason: Exit, before: Before) {
    let reason = reason_of(reason);
    for request in requests {
        guest.standing.known(*request, reason.clone());
        hub.runtime().spawn(told(Arc::clone(session), Arc::clone(guest), *request, reason.clone(), before));
    }
}

/// Tells an end once its output has appeared, and its channel has ended as it did there.
async fn told(session: Arc<Session>, guest: Arc<Guest>, request: RequestId, reason: ExitReason, before: Before) {
    session.outputs.finish(request, before.output).await;
    // They end, at the latest, with the session.
    if let Some(Ways { inward, outward }) = guest.standing.ways(request) {
        if before.channel {
            inward.ended().await;
        }
        if before.reader {
            outward.ended().await;
        }
    }
    guest.standing.ended(request, reason);
}

/// The requests that started or watch something, and who is to be told of its end. What is still here when the session ends is
/// lost with it.
#[derive(Default)]
pub(super) struct Standing(Mutex<HashMap<RequestId, Stands>>);

struct Stands {
    tell: Tell,
    /// How it ended, while what it said is still on its way.
    known: Option<ExitReason>,
    /// The channel of a place.
    ways: Option<Ways>,
    /// Whether the request is answered. Until then its module may be wanted.
    answered: bool,
    offer: Option<Offer>,
}

/// The two directions of a place's channel, as who started it has them.
#[derive(Clone)]
struct Ways {
    /// What the place puts.
    inward: Inflow,
    /// What it gets.
    outward: Inflow,
}

enum Tell {
    /// Asked for.
    Expected,
    Teller(Teller),
    /// It ended before it was known who is to be told.
    Ended(ExitReason),
}

impl Standing {
    fn expect(&self, request: RequestId, ways: Option<Ways>) {
        lock(&self.0).insert(request, Stands { tell: Tell::Expected, known: None, ways, answered: false, offer: None });
    }

    /// Its module may be wanted until it [is answered](Self::is_answered).
    fn offers(&self, request: RequestId, offer: Offer) {
        if let Some(stands) = lock(&self.0).get_mut(&request).filter(|stands| !stands.answered) {
            stands.offer = Some(offer);
        }
    }

    fn is_answered(&self, request: RequestId) {
        let mut map = lock(&self.0);
        let Some(stands) = map.get_mut(&request) else { return };
        stands.answered = true;
        if let Tell::Teller(teller) = &stands.tell {
            teller.started();
        }
        let offer = stands.offer.take();
        // It looks after itself under a lock of its own.
        drop(map);
        drop(offer);
    }

    fn known(&self, request: RequestId, reason: ExitReason) {
        if let Some(stands) = lock(&self.0).get_mut(&request) {
            stands.known = Some(reason);
        }
    }

    fn forget(&self, request: RequestId) {
        lock(&self.0).remove(&request);
    }

    fn ways(&self, request: RequestId) -> Option<Ways> {
        lock(&self.0).get(&request)?.ways.clone()
    }

    fn tell_by(&self, request: RequestId, teller: Teller) {
        let mut map = lock(&self.0);
        match map.remove(&request) {
            Some(Stands { tell: Tell::Ended(reason), .. }) => {
                drop(map);
                teller.tell(reason);
            }
            Some(stands) => {
                if stands.answered {
                    teller.started();
                }
                map.insert(request, Stands { tell: Tell::Teller(teller), ..stands });
            }
            // The session is over: dropping the teller tells so, with no lock held.
            None => drop(map),
        }
    }

    fn ended(&self, request: RequestId, reason: ExitReason) {
        let mut map = lock(&self.0);
        match map.remove(&request) {
            Some(Stands { tell: Tell::Teller(teller), .. }) => {
                drop(map);
                teller.tell(reason);
            }
            Some(stands) => drop(map.insert(request, Stands { tell: Tell::Ended(reason), ..stands })),
            None => {}
        }
    }

    /// The session is over: of whom it is not known how it ended, it is now that its node is lost.
    pub(super) fn clear(&self) {
        let all = std::mem::take(&mut *lock(&self.0));
        for stands in all.into_values() {
            if let Stands { tell: Tell::Teller(teller), known: Some(reason), .. } = stands {
                teller.tell(reason);
            }
        }
    }
}

fn spawn_error(refusal: Refusal) -> SpawnError {
    match refusal {
        Refusal::BadModule(text) => SpawnError::BadModule(text),
        Refusal::NotFound(text) => SpawnError::NotFound(text),
        Refusal::Limit(text) => SpawnError::Limit(text),
        Refusal::Exists(text) => SpawnError::Exists(text),
        refusal => SpawnError::Refused(text(refusal)),
    }
}

fn text(refusal: Refusal) -> String {
    match refusal {
        Refusal::NotFound(text) | Refusal::BadModule(text) | Refusal::Denied(text) | Refusal::Limit(text) | Refusal::Exists(text) => text,
        Refusal::Stopping => "that node is stopping".into(),
    }
}

fn reason_of(exit: Exit) -> ExitReason {
    match exit {
        Exit::Returned => ExitReason::Returned,
        Exit::Exited(code) => ExitReason::Exited(code),
        Exit::Failed(text) => ExitReason::Failed(text.into()),
        Exit::Trapped(message, backtrace) => ExitReason::Trapped { message: message.into(), backtrace: backtrace.into() },
        Exit::Killed => ExitReason::Killed,
        Exit::Limit(which) => ExitReason::Limit(which.into()),
        Exit::Linked(text) => ExitReason::Linked(text.into()),
        Exit::NodeLost => ExitReason::NodeLost,
    }
}

/// An exit reason for the wire.
pub(super) fn exit_of(reason: ExitReason) -> Exit {
    match reason {
        ExitReason::Returned => Exit::Returned,
        ExitReason::Exited(code) => Exit::Exited(code),
        ExitReason::Failed(text) => Exit::Failed(shorten(&text)),
        ExitReason::Trapped { message, backtrace } => Exit::Trapped(shorten(&message), shorten(&backtrace)),
        ExitReason::Killed => Exit::Killed,
        ExitReason::Limit(which) => Exit::Limit(which.to_string()),
        ExitReason::Linked(text) => Exit::Linked(shorten(&text)),
        ExitReason::NodeLost => Exit::NodeLost,
    }
}

/// A guest's text may be as long as its memory; a frame may not.
fn shorten(text: &str) -> String {
    const LONGEST: usize = 64 << 10;
    match text.len() {
        length if length <= LONGEST => text.into(),
        _ => format!("{}…", &text[..text.floor_char_boundary(LONGEST)]),
    }
}
