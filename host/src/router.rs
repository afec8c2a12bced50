//! Where places and the network meet: orders for places go out, and orders from other nodes are carried out here.
//!
//! The network starts when it is first needed: a host that speaks to nobody opens no socket. Places know nothing of it, for they
//! see [`Node`]s; the network knows nothing of places, for it sees ends of channels and frames.

mod launch;
mod peer;
mod policy;
mod proven;
mod rows;
mod serve;
mod shipping;
mod watches;

use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use async_trait::async_trait;
use placehost_proto::frame::Goodbye;
use placehost_proto::node::{Config, Event};
use placehost_proto::{Control, Digest, RequestId, SessionKey};
use tokio::sync::{OnceCell, watch};

use crate::config::Output;
use crate::host::Shared;
use crate::id::NodeId;
use crate::net::address::Address;
use crate::net::endpoint::{BindError, Endpoint};
use crate::net::hub::{ConnectError, Handler, Hub, Timing};
use crate::net::session::{Incoming, Session};
use crate::net::trust::clock::Moment;
use crate::net::trust::identity::Identity;
use crate::node::{CreateOptions, Network, Node, NodeError, PeerInfo};
use crate::place::{ExitReason, Owner, Place};
pub use launch::Ready;
use peer::{Standing, There};
pub use policy::{Allowed, Policy};
use proven::{Proven, Spared};
use shipping::{Offers, Shipments};
pub use shipping::{OnShipping, Shipping};
use watches::Watches;

/// What the messages and blobs of one peer may take of the host's memory before they are read: 1 GiB.
const SESSION_MEMORY: u64 = 1 << 30;

/// How long a goodbye waits for what is being said.
const LAST_WORDS: Duration = Duration::from_millis(500);

/// How often this machine's list of revoked certificates is looked at, beside every handshake.
const LOOK_FOR_REVOCATIONS: Duration = Duration::from_secs(2);

/// How often it is looked whether this machine's certificate is about to expire.
const LOOK_FOR_EXPIRY: Duration = Duration::from_secs(24 * 3600);

/// How a host is connected with others.
#[derive(Clone)]
#[non_exhaustive]
pub struct NetworkConfig {
    /// What it proves itself by, and whom it believes; asked for when it is first needed.
    pub identity: FindIdentity,
    /// The UDP address it can be reached at; without one it only dials, from a port that the system chooses.
    pub listen: Option<SocketAddr>,
    /// Where others are told to reach it; by default, the address it listens at, or this machine's where that is any.
    pub advertise: Vec<Address>,
    /// How long a peer may be silent before it is lost.
    pub timeout: Duration,
    /// What others may do here.
    pub policy: Policy,
    /// Modules that others ship are kept in this folder; in memory, where there is none.
    pub modules: Option<PathBuf>,
    /// Hears how far modules have come that are shipped to others.
    pub on_shipping: Option<OnShipping>,
}

/// Brings what a host proves itself by. Called at most once with success.
pub type FindIdentity = Arc<dyn Fn() -> Result<Arc<Identity>, NodeError> + Send + Sync>;

impl NetworkConfig {
    /// A host that dials others, and lets them do what the default [`Policy`] does.
    pub fn new(identity: Arc<Identity>) -> Self {
        Self::lazy(move || Ok(Arc::clone(&identity)))
    }

    /// As [`Self::new`], with an identity that is not read before it is needed.
    pub fn lazy(identity: impl Fn() -> Result<Arc<Identity>, NodeError> + Send + Sync + 'static) -> Self {
        let identity: FindIdentity = Arc::new(identity);
        let timeout = Duration::from_secs(10);
        Self { identity, listen: None, advertise: Vec::new(), timeout, policy: Policy::default(), modules: None, on_shipping: None }
    }
}

/// The network of one host.
pub(crate) struct Router {
    host: Weak<Shared>,
    config: NetworkConfig,
    hub: OnceCell<Hub>,
    guests: Mutex<HashMap<SessionKey, Arc<Guest>>>,
    shipments: Shipments,
    stopping: watch::Sender<bool>,
    /// Whoever serves a request holds a receiver.
    serving: watch::Sender<()>,
    /// Itself, for the tasks that it sets going.
    this: Weak<Self>,
}

/// What belongs to the node at the other side of a session.
struct Guest {
    /// Of the places that it started here.
    owner: Arc<Owner>,
    /// By the request that each answers.
    places: Mutex<HashMap<RequestId, Started>>,
    /// The modules that it may want.
    offers: Offers,
    /// What it is to tell the end of.
    standing: Standing,
    /// Of its places, those that are only watched.
    watches: Watches,
    /// What it has started before, and would again.
    proven: Proven,
    /// The numbers that it may give to places that it asks for.
    spared: Spared,
}

impl Guest {
    /// Ends the place that this request of its started, or that it is about to start.
    fn end(&self, request: &RequestId, reason: ExitReason) {
        match lock(&self.places).get_mut(request) {
            Some(Started::Is(place)) => place.end_soon(reason),
            Some(Started::Soon(doom)) => drop(doom.get_or_insert(reason)),
            // It has ended since.
            None => {}
        }
    }
}

/// A place that a request starts.
enum Started {
    /// It will be there soon, perhaps only to end for this reason.
    Soon(Option<ExitReason>),
    Is(Place),
}

impl Router {
    pub(crate) fn new(host: &Weak<Shared>, config: NetworkConfig) -> Arc<Self> {
        Arc::new_cyclic(|this| Self {
            host: Weak::clone(host),
            shipments: Shipments::new(config.modules.clone()),
            config,
            hub: OnceCell::new(),
            guests: Mutex::default(),
            stopping: watch::Sender::new(false),
            serving: watch::Sender::new(()),
            this: Weak::clone(this),
        })
    }

    /// The network, started if it was not.
    async fn hub(&self) -> Result<&Hub, NodeError> {
        self.hub.get_or_try_init(async || self.start()).await
    }

    fn start(&self) -> Result<Hub, NodeError> {
        let (Some(host), Some(this)) = (self.host.upgrade(), self.this.upgrade()) else {
            unreachable!("who calls it holds the host, and the host holds the router")
        };
        let NetworkConfig { identity, listen, timeout, .. } = &self.config;
        let endpoint = {
            let _inside = host.runtime.enter();
            Endpoint::bind(*listen, identity()?, *timeout).map_err(|error| match error {
                BindError::Socket { address, source } => NodeError::Listen { address, source },
                error => NodeError::Invalid(chain(&error)),
            })?
        };
        let addresses = listen.map(|_| self.advertised(&endpoint)).unwrap_or_default();
        let release = env!("CARGO_PKG_VERSION").into();
        let config = Config { id: host.node, name: host.name.clone(), release, addresses, timeout: *timeout };
        // A dial may take no longer than somebody waits who looks at a terminal.
        let timing = Timing { timeout: *timeout, dial: (*timeout).min(Duration::from_secs(4)) };
        let hub = Hub::new(endpoint, config, timing, SESSION_MEMORY, host.runtime.clone());
        let handler: Weak<dyn Handler> = Arc::downgrade(&this) as Weak<dyn Handler>;
        hub.start(handler);
        host.runtime.spawn(watch_revocations(hub.clone(), Weak::clone(&self.this)));
        host.runtime.spawn(warn_of_expiry(Arc::clone(hub.endpoint().identity()), Weak::clone(&self.this)));
        Ok(hub)
    }

    fn advertised(&self, endpoint: &Endpoint) -> Vec<String> {
        if !self.config.advertise.is_empty() {
            return self.config.advertise.iter().map(ToString::to_string).collect();
        }
        match endpoint.local_address() {
            Some(address) if address.ip().is_unspecified() => {
                Address::of_this_machine(address.port()).iter().map(ToString::to_string).collect()
            }
            Some(address) => vec![address.to_string()],
            None => Vec::new(),
        }
    }

    fn guest(&self, session: SessionKey) -> Option<Arc<Guest>> {
        self.guests().get(&session).cloned()
    }

    fn guests(&self) -> MutexGuard<'_, HashMap<SessionKey, Arc<Guest>>> {
        self.guests.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The node at the other side of a session; none if that is over.
    fn node(&self, session: &Arc<Session>, hub: &Hub) -> Option<Node> {
        let guest = self.guest(session.key())?;
        Some(Node::there(Arc::new(There::new(self.host.clone(), hub.clone(), Arc::clone(session), guest))))
    }

    /// The nodes that this one is connected to.
    fn peer_infos(&self, hub: &Hub) -> Vec<PeerInfo> {
        let row = |(session, hello, links): (Arc<Session>, placehost_proto::Hello, usize)| {
            let guest = self.guest(session.key());
            let places = guest.map_or(0, |guest| lock(&guest.places).len());
            PeerInfo {
                id: hello.node,
                name: hello.name,
                address: session.connection().address().to_string(),
                dialled_us: !session.dialled(),
                links: links as u64,
                places: places as u64,
                round_trip: session.connection().round_trip(),
            }
        };
        hub.peers().into_iter().map(row).collect()
    }
}

#[async_trait]
impl Network for Router {
    async fn connect(&self, address: &str) -> Result<Node, NodeError> {
        let hub = self.hub().await?;
        match hub.connect(address).await {
            Ok(session) => self.node(&session, hub).ok_or(NodeError::Lost),
            Err(ConnectError::Refused(Goodbye::Itself)) => self.host.upgrade().map(|host| Node::here(&host)).ok_or(NodeError::Lost),
            Err(error) => Err(node_error(address, error)),
        }
    }

    async fn create(&self, machine: &str, options: CreateOptions, stdout: Output, stderr: Output) -> Result<Node, NodeError> {
        let hub = self.hub().await?;
        let launched = launch::launch(machine, options, hub.endpoint().identity(), stdout, stderr).await.map_err(NodeError::Create)?;
        let mut last = None;
        for address in launched.addresses() {
            match hub.connect(address).await {
                Ok(session) => {
                    hub.runtime().spawn(launched.keep(Arc::clone(&session)));
                    return self.node(&session, hub).ok_or(NodeError::Lost);
                }
                Err(error) => last = Some(node_error(address, error)),
            }
        }
        Err(last.unwrap_or_else(|| NodeError::Create(format!("the node on `{machine}` says nowhere that it can be reached"))))
    }

    fn peer(&self, id: NodeId) -> Option<Node> {
        let hub = self.hub.get()?;
        self.node(&hub.session_to(id)?, hub)
    }

    fn peers(&self) -> Vec<PeerInfo> {
        self.hub.get().map(|hub| self.peer_infos(hub)).unwrap_or_default()
    }

    async fn listen(&self) -> Result<Vec<String>, NodeError> {
        let hub = self.hub().await?;
        Ok(self.advertised(hub.endpoint()))
    }

    fn local_address(&self) -> Option<SocketAddr> {
        self.hub.get()?.endpoint().local_address()
    }

    async fn stopped(&self) {
        // The sender is this router's own.
        let _ = self.stopping.subscribe().wait_for(|stopping| *stopping).await;
    }

    fn stop(&self) {
        self.stopping.send_replace(true);
    }

    async fn shut_down(&self) {
        if let Some(hub) = self.hub.get() {
            // So that the ends of places are told before the goodbye, where they have ended.
            let _ = tokio::time::timeout(LAST_WORDS, self.serving.closed()).await;
            hub.shut_down(Goodbye::Done).await;
        }
    }
}

impl Handler for Router {
    fn up(&self, session: &Arc<Session>) {
        let account = Arc::clone(session.account());
        let guest = Guest {
            owner: Owner::new(account),
            places: Mutex::default(),
            offers: Offers::default(),
            standing: Standing::default(),
            watches: Watches::default(),
            proven: Proven::default(),
            spared: Spared::default(),
        };
        self.guests().insert(session.key(), Arc::new(guest));
        let Some(hub) = self.hub.get() else { return };
        for list in hub.endpoint().identity().revocations().lists() {
            hub.tell(session.key(), Control::Revoked(list));
        }
    }

    fn event(&self, session: &Arc<Session>, event: Event) {
        let (Some(hub), Some(guest)) = (self.hub.get(), self.guest(session.key())) else { return };
        match event {
            Event::Asked(request, ask) => serve::ask(self, hub, session, &guest, request, ask),
            Event::Kill(requests, linked) => {
                let reason = linked.map_or(ExitReason::Killed, |which| ExitReason::Linked(which.into()));
                requests.iter().for_each(|request| guest.end(request, reason.clone()));
            }
            // A watch holds nothing but a task, which ends with the place or the session.
            Event::Unwatch(_) => {}
            Event::Wanted(digest) => shipping::ship(hub, session, &guest, digest, self.config.on_shipping.clone()),
            Event::NotShipped(digest, why) => self.shipments.failed(session.key(), digest, &why),
            Event::Exited { requests, reason, before } => peer::exited(hub, session, &guest, &requests, reason, before),
            Event::Revoked(list) => revoked(hub, list),
            Event::Answered(request, answer) => peer::answered(session, &guest, request, answer),
            // The session itself deals with these.
            Event::Up(_) | Event::Duplicate(_) | Event::Down(_) => {}
        }
    }

    fn module(&self, session: &Arc<Session>, stream: Incoming, digest: Digest, size: u64) {
        if let (Some(hub), Some(this)) = (self.hub.get(), self.this.upgrade()) {
            let (hub, session) = (hub.clone(), Arc::clone(session));
            hub.runtime().clone().spawn(async move { this.shipments.receive(&hub, &session, stream, digest, size).await });
        }
    }

    fn down(&self, session: &Arc<Session>, why: &Goodbye) {
        if let Some(peer) = session.peer() {
            tracing::debug!("node `{}` ({}) is gone: {why}", peer.name, peer.node);
        }
        let guest = self.guests().remove(&session.key());
        if let Some(guest) = guest {
            guest.owner.end();
            guest.standing.clear();
        }
        self.shipments.lost(session.key());
    }
}

/// Says once a day that the certificate is about to expire.
async fn warn_of_expiry(identity: Arc<Identity>, router: Weak<Router>) {
    while router.strong_count() > 0 {
        if let Some(warning) = identity.warning(Moment::now()) {
            tracing::warn!("{warning}");
        }
        tokio::time::sleep(LOOK_FOR_EXPIRY).await;
    }
}

/// Sends away whom the cluster no longer believes: at a list that a peer brings, and at a change of this machine's own.
async fn watch_revocations(hub: Hub, router: Weak<Router>) {
    let identity = Arc::clone(hub.endpoint().identity());
    let mut changes = identity.revocations().watch();
    while router.strong_count() > 0 {
        let changed = tokio::time::timeout(LOOK_FOR_REVOCATIONS, changes.changed()).await.is_ok();
        let revocations = Arc::clone(&identity);
        let looked = tokio::task::spawn_blocking(move || revocations.revocations().refresh()).await;
        if !changed || looked.is_err() {
            continue;
        }
        for (session, ..) in hub.peers() {
            if session.connection().is_revoked() {
                hub.close(session.key(), Goodbye::Untrusted("its certificate has been revoked".into()));
            }
            for list in identity.revocations().lists() {
                hub.tell(session.key(), Control::Revoked(list));
            }
        }
    }
}

/// Believes a list that a peer brought, if it is newer and signed.
fn revoked(hub: &Hub, list: Vec<u8>) {
    let identity = Arc::clone(hub.endpoint().identity());
    // It may be written to the disk.
    hub.runtime().spawn_blocking(move || {
        if let Err(error) = identity.revocations().accept(&list) {
            tracing::warn!("a list of revoked certificates is not believed: {error}");
        }
    });
}

impl Drop for Router {
    fn drop(&mut self) {
        if let Some(hub) = self.hub.get() {
            hub.end();
        }
    }
}

/// Why a node cannot be had, in the words of who asked for it.
fn node_error(address: &str, error: ConnectError) -> NodeError {
    use crate::net::endpoint::DialError;
    match error {
        ConnectError::Dial(DialError::Address(why)) => NodeError::Invalid(why),
        ConnectError::Dial(error @ DialError::Silent { .. }) => NodeError::Unreachable { address: address.into(), why: error.to_string() },
        ConnectError::Dial(DialError::Refused(refusal)) => NodeError::Untrusted(refusal),
        ConnectError::Refused(Goodbye::Version(why)) => NodeError::Version(why),
        ConnectError::Refused(Goodbye::Untrusted(why)) => NodeError::Denied(why),
        ConnectError::Refused(why) => NodeError::Unreachable { address: address.into(), why: why.to_string() },
    }
}

/// An error and its causes on one line.
fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
