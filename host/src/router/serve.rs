//! What other nodes ask of this one.

use std::future::Future;
use std::sync::Arc;

use placehost_proto::RequestId;
use placehost_proto::frame::{Answer, Ask, Before, PlaceRow, Refusal, Spawn};

use tokio::sync::watch;

use super::peer::exit_of;
use super::policy::denied;
use super::{Guest, Router, Started, chain, lock, rows};
use crate::channel::{Bounds, Channel};
use crate::engine::{LoadError, Module};
use crate::host::Shared;
use crate::id::PlaceId;
use crate::net::hub::Hub;
use crate::net::output;
use crate::net::session::Session;
use crate::place::{self, LookupError, Request, SpawnError};

/// How many rows of a list go into one frame.
const ROWS: usize = 512;

/// Everything that a request is about.
struct Asked {
    hub: Hub,
    session: Arc<Session>,
    guest: Arc<Guest>,
    request: RequestId,
    host: Arc<Shared>,
    router: Arc<Router>,
    /// The node says no goodbye before this is answered, and whatever comes of it is told. So who tells that later keeps it: an
    /// `async` block keeps no field that it does not name.
    serving: watch::Receiver<()>,
}

/// Answers, at once or by a task.
pub(super) fn ask(router: &Router, hub: &Hub, session: &Arc<Session>, guest: &Arc<Guest>, request: RequestId, ask: Ask) {
    let (Some(host), Some(router)) = (router.host.upgrade(), router.this.upgrade()) else { return };
    let serving = router.serving.subscribe();
    let asked = Asked { serving, hub: hub.clone(), session: Arc::clone(session), guest: Arc::clone(guest), request, host, router };
    let allowed = asked.router.config.policy.allowed;
    match ask {
        // Its link is taken now, before anything else can be said of it.
        Ask::Spawn(spawn) => {
            let bounds = |(messages, bytes): (u64, u64)| Bounds {
                messages: usize::try_from(messages).unwrap_or(usize::MAX),
                bytes: usize::try_from(bytes).unwrap_or(usize::MAX),
            };
            if spawn.seq.is_some_and(|seq| !guest.spared.take(seq)) {
                return hub.breach(session.key(), "a place with a number that was not spared");
            }
            let pair = Channel::pair_on(bounds(spawn.bounds), session.account());
            let (ours, theirs) = pair.unwrap_or_else(|_| Channel::pair(Bounds::default()));
            if hub.take_end(session, spawn.link, ours.clone()).is_ok() {
                lock(&guest.places).insert(request, Started::Soon(None));
                asked.spawn(spawn, (ours, theirs));
            }
        }
        Ask::Lookup { name, link } => asked.lookup(&name, link),
        Ask::Watch(place) => asked.watch(place),
        Ask::List if allowed.list => asked.list(),
        Ask::Peers if allowed.list => {
            let peers = asked.router.peer_infos(hub).into_iter().map(rows::peer_row).collect();
            asked.answer(Answer::Listing { places: Vec::new(), peers, last: true });
        }
        Ask::List | Ask::Peers => asked.refuse(denied("see what runs on it")),
        Ask::KillPlace(place) if allowed.kill => match asked.host.registry.find(place) {
            Some(place) => {
                place.kill_soon();
                asked.answer(Answer::Done);
            }
            None => asked.refuse(Refusal::NotFound(LookupError::NoPlace { id: place }.to_string())),
        },
        Ask::KillPlace(_) => asked.refuse(denied("end its places")),
        Ask::Stop if allowed.stop => {
            asked.answer(Answer::Done);
            asked.router.stopping.send_replace(true);
        }
        Ask::Stop => asked.refuse(denied("stop it")),
    }
}

impl Asked {
    fn answer(&self, answer: Answer) {
        self.hub.answer(self.session.key(), self.request, answer, false);
    }

    fn refuse(&self, refusal: Refusal) {
        self.answer(Answer::Refused(refusal));
    }

    /// Starts a place: at once where its module is known, else when that has come.
    fn spawn(self, spawn: Box<Spawn>, channel: (Channel, Channel)) {
        let runtime = self.hub.runtime().clone();
        match self.admit(&spawn) {
            Err(refusal) => self.not_started(refusal),
            Ok(Some(module)) => {
                if let Some(running) = self.start(module, spawn, channel) {
                    runtime.spawn(running);
                }
            }
            Ok(None) => drop(runtime.spawn(async move {
                match self.router.shipments.get(&self.host, &self.hub, &self.session, &spawn).await {
                    Err(refusal) => self.not_started(refusal),
                    Ok(module) => {
                        if let Some(running) = self.start(module, spawn, channel) {
                            running.await;
                        }
                    }
                }
            })),
        }
    }

    /// The module, where it is known; or why the place is not started.
    fn admit(&self, spawn: &Spawn) -> Result<Option<Module>, Refusal> {
        if !self.router.config.policy.allowed.spawn {
            return Err(denied("start places on it"));
        }
        if *self.router.stopping.borrow() {
            return Err(Refusal::Stopping);
        }
        Ok(self.host.modules.known(spawn.module))
    }

    fn not_started(&self, refusal: Refusal) {
        lock(&self.guest.places).remove(&self.request);
        self.refuse(refusal);
    }

    /// Starts the place and says so; what it returns waits for its end, and tells that.
    fn start(self, module: Module, spawn: Box<Spawn>, channel: (Channel, Channel)) -> Option<impl Future<Output = ()> + use<>> {
        let (stdout, stderr, printer) = output::printer(&self.hub, &self.session, self.request);
        // What the bridge reads is what the place puts, and the other way round.
        let (puts, gets) = (channel.0.inflow(), channel.1.inflow());
        let detached = spawn.detached;
        let (stdout, stderr) = match detached {
            true => (self.host.stdout.clone(), self.host.stderr.clone()),
            false => (stdout, stderr),
        };
        let started = self.router.config.policy.config(&spawn, stdout, stderr).and_then(|mut config| {
            if config.log_to_parent && !detached {
                config.log = Some(printer.log());
            }
            let owner = Arc::clone(if detached { &self.host.detached } else { &self.guest.owner });
            let Spawn { start, name, seq, .. } = *spawn;
            let request = Request { module, start, config, owner, name, seq, channel: Some(channel) };
            // The end for the peer is already with its link.
            place::spawn(&self.host, request).map_err(refusal)
        });
        let place = match started {
            Ok((place, _)) => place,
            Err(refusal) => {
                self.not_started(refusal);
                return None;
            }
        };
        let before = lock(&self.guest.places).insert(self.request, Started::Is(place.clone()));
        if let Some(Started::Soon(Some(reason))) = before {
            place.end_soon(reason);
        }
        let started = Answer::Started { place: place.id(), spare: self.guest.spared.one(&self.host) };
        self.hub.answer(self.session.key(), self.request, started, true);
        Some(async move {
            let _serving = self.serving;
            let reason = tokio::select! {
                reason = place.wait() => reason,
                // It is the host's, and goes on; or it ends with what the session owned.
                _ = self.session.lost() => return,
            };
            lock(&self.guest.places).remove(&self.request);
            let before = Before { output: printer.has_printed(), channel: puts.has_ended(), reader: gets.is_abandoned() };
            drop(printer);
            self.hub.exited(self.session.key(), self.request, exit_of(reason), before);
        })
    }

    fn lookup(self, name: &str, link: placehost_proto::LinkId) {
        match self.host.registry.connect(name) {
            Ok(end) => {
                if self.hub.take_end(&self.session, link, end).is_ok() {
                    self.answer(Answer::Done);
                }
            }
            Err(error) => {
                // Taken and dropped, so that the other side's end closes.
                let _ = self.hub.take_channel(&self.session, link);
                self.refuse(match error {
                    LookupError::NoName { .. } => Refusal::NotFound(error.to_string()),
                    error => Refusal::Limit(error.to_string()),
                });
            }
        }
    }

    fn watch(self, id: PlaceId) {
        let Some(place) = self.host.registry.find(id) else {
            return self.refuse(Refusal::NotFound(LookupError::NoPlace { id }.to_string()));
        };
        self.hub.answer(self.session.key(), self.request, Answer::Started { place: id, spare: None }, true);
        let runtime = self.hub.runtime().clone();
        runtime.spawn(async move {
            let _serving = self.serving;
            tokio::select! {
                reason = place.wait() => self.hub.exited(self.session.key(), self.request, exit_of(reason), Before::default()),
                _ = self.session.lost() => {}
            }
        });
    }

    fn list(&self) {
        let rows: Vec<PlaceRow> = self.host.registry.list().into_iter().map(rows::place_row).collect();
        let parts = rows.len().div_ceil(ROWS).max(1);
        for part in 0..parts {
            let places = rows.iter().skip(part * ROWS).take(ROWS).cloned().collect();
            self.answer(Answer::Listing { places, peers: Vec::new(), last: part + 1 == parts });
        }
    }
}

fn refusal(error: SpawnError) -> Refusal {
    match &error {
        SpawnError::NoStart { has, .. } if has.is_empty() => Refusal::NotFound(format!("{error}; it has none")),
        SpawnError::NoStart { has, .. } => Refusal::NotFound(format!("{error}; it has `{}`", has.join("`, `"))),
        SpawnError::BadStart { .. } => Refusal::BadModule(error.to_string()),
        SpawnError::NameTaken { .. } => Refusal::Exists(error.to_string()),
        SpawnError::TooManyPlaces { .. } | SpawnError::Memory { .. } | SpawnError::OverBudget(_) => Refusal::Limit(error.to_string()),
        SpawnError::Scratch(cause) if cause.is_full() => Refusal::Limit(chain(cause)),
        SpawnError::Ending => Refusal::Stopping,
        error => Refusal::Denied(chain(error)),
    }
}

/// Why a module that came cannot be used.
pub(super) fn load_refusal(file: &str, error: &LoadError) -> Refusal {
    Refusal::BadModule(format!("`{file}`: {}", chain(error)))
}
