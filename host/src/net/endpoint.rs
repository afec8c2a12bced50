//! The UDP socket of a node, and the connections over it.
//!
//! Until both sides have proved who they are, a peer may open no stream; what it says before goes no further than the handshake.

use std::fmt;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::time::{Duration, Instant};

use placehost_proto::Fingerprint;
use placehost_proto::frame::{Goodbye, WINDOW};
use quinn::{
    AckFrequencyConfig, ConnectionError, EndpointConfig, MtuDiscoveryConfig, RecvStream, Runtime, SendStream, TokioRuntime,
    TransportConfig, VarInt,
};

use super::address::Address;
use super::runtime::Behind;
use super::trust::identity::{Identity, PeerCertificate, Role};
use super::trust::refusal::{self, Refusal};
use super::trust::{join, tls};

/// The socket's buffers. With Linux's default, bursts lose thousands of packets.
const SOCKET_BUFFER: usize = 4 << 20;
/// The largest packet that is tried. Ten of them, which the system takes at once, are just under its 64 KiB.
const LARGEST_PACKET: u16 = 6500;
/// A link may send [`WINDOW`] and one message before it is told to go on; this leaves room for that, so that streams never wait for
/// QUIC's own windows but only for memory.
const STREAM_WINDOW: u64 = 2 * WINDOW;
/// What all streams of a connection may have under way.
const CONNECTION_WINDOW: u64 = 64 << 20;
/// A receiver confirms what came at the latest after this many packets, and at once where some are missing. Each packet that only
/// confirms costs both sides as much as one that carries a message.
const PACKETS_PER_ACK: u32 = 10;
/// From this many connections on a stranger must show that its address is its own before anything is kept for it.
const MANY: usize = 256;

/// A socket on which this node dials and is dialled.
pub(crate) struct Endpoint {
    endpoint: quinn::Endpoint,
    identity: Arc<Identity>,
    client: quinn::ClientConfig,
}

/// Why there is no socket.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BindError {
    /// The address cannot be had.
    #[error("cannot listen on {address}")]
    Socket {
        /// As it was asked for.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// The certificates cannot be used.
    #[error(transparent)]
    Tls(#[from] tls::TlsError),
}

/// Why a dial came to nothing.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DialError {
    /// It is no address, or its name cannot be resolved.
    #[error("{0}")]
    Address(String),
    /// Nobody answers; what was tried.
    #[error("{}", tried.join("; "))]
    Silent { tried: Vec<String> },
    /// One side refused the other.
    #[error("{0}")]
    Refused(Box<Refusal>),
}

/// A connection whose two sides know each other.
#[derive(Clone)]
pub(crate) struct Connection {
    connection: quinn::Connection,
    identity: Arc<Identity>,
    peer: PeerCertificate,
}

/// A connection that somebody asks for.
pub(crate) struct Asking {
    incoming: quinn::Incoming,
    identity: Arc<Identity>,
    crowded: bool,
}

impl Endpoint {
    /// A socket at this address, or at any that is free.
    pub(crate) fn bind(address: Option<SocketAddr>, identity: Arc<Identity>, timeout: Duration) -> Result<Self, BindError> {
        Self::bind_on(Arc::new(Behind), address, identity, timeout)
    }

    fn bind_on(
        runtime: Arc<dyn Runtime>,
        address: Option<SocketAddr>,
        identity: Arc<Identity>,
        timeout: Duration,
    ) -> Result<Self, BindError> {
        let socket = match address {
            Some(address) => socket(address).map_err(|source| BindError::Socket { address, source })?,
            None => any_socket().map_err(|source| BindError::Socket { address: (Ipv4Addr::UNSPECIFIED, 0).into(), source })?,
        };
        let transport = Arc::new(transport(timeout));
        let mut server = quinn::ServerConfig::with_crypto(Arc::new(tls::server_config(&identity)?));
        server.transport_config(Arc::clone(&transport));
        let mut client = quinn::ClientConfig::new(Arc::new(tls::client_config(&identity)?));
        client.transport_config(transport);
        let failed = |source| BindError::Socket { address: address.unwrap_or((Ipv4Addr::UNSPECIFIED, 0).into()), source };
        let endpoint = quinn::Endpoint::new(endpoint_config(), Some(server), socket, runtime).map_err(failed)?;
        Ok(Self { endpoint, identity, client })
    }

    /// Where it listens.
    pub(crate) fn local_address(&self) -> Option<SocketAddr> {
        self.endpoint.local_addr().ok()
    }

    pub(crate) fn identity(&self) -> &Arc<Identity> {
        &self.identity
    }

    /// Connects to `HOST[:PORT]`, by each of its addresses in turn, within this time.
    pub(crate) async fn dial(&self, address: &str, time: Duration) -> Result<Connection, DialError> {
        let until = Instant::now() + time;
        let targets = resolve(address, time).await?;
        let mut tried = Vec::new();
        for (index, target) in targets.iter().enumerate() {
            let share = until.saturating_duration_since(Instant::now()) / u32::try_from(targets.len() - index).unwrap_or(1);
            match tokio::time::timeout(share, self.dial_one(*target, address)).await {
                Ok(Ok(connection)) => return Ok(connection),
                Ok(Err(DialError::Refused(refusal))) => return Err(DialError::Refused(refusal)),
                Ok(Err(error)) => tried.push(format!("{target}: {error}")),
                Err(_) => tried.push(format!("{target}: {}", no_answer(share))),
            }
        }
        Err(DialError::Silent { tried })
    }

    async fn dial_one(&self, target: SocketAddr, address: &str) -> Result<Connection, DialError> {
        let began = Instant::now();
        let silent = |why: String| DialError::Silent { tried: vec![why] };
        let connecting = self.endpoint.connect_with(self.client.clone(), target, &self.identity.server_name());
        let connecting = connecting.map_err(|error| silent(error.to_string()))?;
        let connected = tokio::select! {
            connected = connecting => connected,
            error = refused(target) => return Err(silent(error)),
        };
        match connected {
            Ok(connection) => Connection::new(connection, &self.identity).ok_or_else(|| silent("it proved nothing".into())),
            // QUIC's own time-out may be as long as the time to dial: whichever comes first, it is said in the same words.
            Err(ConnectionError::TimedOut) => Err(silent(no_answer(began.elapsed()))),
            Err(error) => Err(match refusal::explain(&error, &self.identity, &address) {
                Some(refusal) => DialError::Refused(Box::new(refusal)),
                None => silent(error.to_string()),
            }),
        }
    }

    /// The next one who asks; none when the endpoint is closed.
    pub(crate) async fn accept(&self) -> Option<Asking> {
        let incoming = self.endpoint.accept().await?;
        let crowded = self.endpoint.open_connections() >= MANY;
        Some(Asking { incoming, identity: Arc::clone(&self.identity), crowded })
    }

    /// Closes everything, and accepts nothing any more.
    pub(crate) fn close(&self) {
        self.endpoint.close(VarInt::from_u32(0), &postcard::to_stdvec(&Goodbye::Done).unwrap_or_default());
    }

    /// Waits until all connections are closed, and known to be.
    pub(crate) async fn idle(&self) {
        self.endpoint.wait_idle().await;
    }
}

fn no_answer(within: Duration) -> String {
    format!("no answer within {:.1} s", within.as_secs_f32())
}

impl Asking {
    /// The connection, once both sides have proved who they are. Who asks to join the cluster is served here, and gets no further.
    pub(crate) async fn authenticate(self) -> Option<Connection> {
        let Self { incoming, identity, crowded } = self;
        let from = incoming.remote_address();
        if crowded && incoming.may_retry() {
            let _ = incoming.retry();
            return None;
        }
        let connection = match incoming.accept().ok()?.await {
            Ok(connection) => connection,
            Err(error) => {
                match refusal::explain(&error, &identity, &from) {
                    Some(refusal) => tracing::warn!("{refusal}"),
                    None => tracing::debug!("{from} connected and left: {error}"),
                }
                return None;
            }
        };
        // For the request of a joiner, or the control stream of a member.
        connection.set_max_concurrent_bi_streams(VarInt::from_u32(1));
        if identity.peer(&connection)?.role == Role::Joiner {
            match join::serve_join(&connection, &identity).await {
                Ok(joined) => tracing::info!("`{}` has joined the cluster, from {from}", joined.name),
                Err(error) => tracing::warn!("{from} did not join the cluster: {error}"),
            }
            return None;
        }
        Connection::new(connection, &identity)
    }
}

impl Connection {
    fn new(connection: quinn::Connection, identity: &Arc<Identity>) -> Option<Self> {
        let peer = identity.peer(&connection)?;
        Some(Self { connection, identity: Arc::clone(identity), peer })
    }

    /// By which key the peer is known.
    pub(crate) fn fingerprint(&self) -> Fingerprint {
        Fingerprint(self.peer.fingerprint.0)
    }

    /// Whether the peer is no longer believed.
    pub(crate) fn is_revoked(&self) -> bool {
        self.identity.revocations().is_revoked(&self.peer.certificate)
    }

    /// Where the peer is.
    pub(crate) fn address(&self) -> SocketAddr {
        let address = self.connection.remote_address();
        SocketAddr::new(address.ip().to_canonical(), address.port())
    }

    pub(crate) fn round_trip(&self) -> Duration {
        self.connection.rtt()
    }

    /// Resolves to why it is closed.
    pub(super) async fn closed(&self) -> Goodbye {
        match self.connection.closed().await {
            ConnectionError::ApplicationClosed(closed) => postcard::from_bytes(&closed.reason).unwrap_or(Goodbye::Done),
            ConnectionError::TimedOut | ConnectionError::Reset => Goodbye::Silent,
            ConnectionError::LocallyClosed => Goodbye::Done,
            error => match refusal::explain(&error, &self.identity, &self.address()) {
                Some(refusal) => Goodbye::Untrusted(format!("{refusal}")),
                None => Goodbye::Protocol(error.to_string()),
            },
        }
    }

    /// Closes it, unless it is closed: why that was is not forgotten.
    pub(super) fn close(&self, why: &Goodbye) {
        if self.connection.close_reason().is_some() {
            return;
        }
        self.connection.close(VarInt::from_u32(0), &postcard::to_stdvec(why).unwrap_or_default());
    }

    pub(super) fn allow_streams(&self, count: u64) {
        self.connection.set_max_concurrent_uni_streams(VarInt::from_u64(count).unwrap_or(VarInt::MAX));
    }

    pub(super) async fn open_control(&self) -> Option<(SendStream, RecvStream)> {
        self.connection.open_bi().await.ok()
    }

    pub(super) async fn accept_control(&self) -> Option<(SendStream, RecvStream)> {
        self.connection.accept_bi().await.ok()
    }

    pub(super) async fn open(&self) -> Result<SendStream, ConnectionError> {
        self.connection.open_uni().await
    }

    pub(super) async fn accept(&self) -> Option<RecvStream> {
        self.connection.accept_uni().await.ok()
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection").field("address", &self.address()).finish_non_exhaustive()
    }
}

/// An endpoint with a node's settings and none of its protocol, for benchmarks to compare with.
///
/// # Errors
/// [`BindError`].
pub fn bare(address: Option<SocketAddr>, identity: &Arc<Identity>) -> Result<quinn::Endpoint, BindError> {
    let Endpoint { mut endpoint, client, .. } =
        Endpoint::bind_on(Arc::new(TokioRuntime), address, Arc::clone(identity), Duration::from_secs(10))?;
    endpoint.set_default_client_config(client);
    Ok(endpoint)
}

fn transport(timeout: Duration) -> TransportConfig {
    let window = |bytes: u64| VarInt::from_u64(bytes).unwrap_or(VarInt::MAX);
    let mut mtu = MtuDiscoveryConfig::default();
    mtu.upper_bound(LARGEST_PACKET);
    let mut acks = AckFrequencyConfig::default();
    acks.ack_eliciting_threshold(PACKETS_PER_ACK.into());
    let mut transport = TransportConfig::default();
    transport
        .max_concurrent_bidi_streams(VarInt::from_u32(0))
        .max_concurrent_uni_streams(VarInt::from_u32(0))
        .stream_receive_window(window(STREAM_WINDOW))
        .receive_window(window(CONNECTION_WINDOW))
        .send_window(8 * STREAM_WINDOW)
        .max_idle_timeout(timeout.try_into().ok())
        .initial_rtt(Duration::from_millis(100))
        .mtu_discovery_config(Some(mtu))
        .ack_frequency_config(Some(acks))
        .datagram_receive_buffer_size(None);
    transport
}

fn endpoint_config() -> EndpointConfig {
    let mut config = EndpointConfig::default();
    // Within what it allows.
    let _ = config.max_udp_payload_size(LARGEST_PACKET);
    config
}

/// IPv6 and IPv4 where the machine has both.
fn any_socket() -> io::Result<UdpSocket> {
    socket((Ipv6Addr::UNSPECIFIED, 0).into()).or_else(|_| socket((Ipv4Addr::UNSPECIFIED, 0).into()))
}

fn socket(address: SocketAddr) -> io::Result<UdpSocket> {
    use socket2::{Domain, Protocol, Socket, Type};
    let socket = Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
    if address.is_ipv6() {
        socket.set_only_v6(false)?;
    }
    // As much as the system lets us: beyond its limit only a privileged process gets.
    let _ = rustix::net::sockopt::set_socket_recv_buffer_size_force(&socket, SOCKET_BUFFER)
        .or_else(|_| rustix::net::sockopt::set_socket_recv_buffer_size(&socket, SOCKET_BUFFER));
    let _ = socket.set_send_buffer_size(SOCKET_BUFFER);
    socket.bind(&address.into())?;
    Ok(socket.into())
}

/// The addresses of `HOST[:PORT]`.
async fn resolve(address: &str, time: Duration) -> Result<Vec<SocketAddr>, DialError> {
    let wrong = |why: String| DialError::Address(why);
    let parsed: Address = address.parse().map_err(|error| wrong(format!("`{address}` is no address: {error}")))?;
    let looking = tokio::time::timeout(time, tokio::net::lookup_host((parsed.host(), parsed.port()))).await;
    let found = looking.map_err(|_| wrong(format!("looking up `{address}` took too long")))?;
    let mut found: Vec<_> = found.map_err(|error| wrong(format!("cannot look up `{address}`: {error}")))?.collect();
    found.dedup();
    match found.is_empty() {
        true => Err(wrong(format!("`{address}` has no address"))),
        false => Ok(found),
    }
}

/// Resolves if the machine says that nobody listens there, which QUIC alone would not hear.
async fn refused(target: SocketAddr) -> String {
    let probe = async {
        let any: SocketAddr = if target.is_ipv6() { (Ipv6Addr::UNSPECIFIED, 0).into() } else { (Ipv4Addr::UNSPECIFIED, 0).into() };
        let socket = tokio::net::UdpSocket::bind(any).await?;
        socket.connect(target).await?;
        socket.send(&[0]).await?;
        socket.recv(&mut [0]).await
    };
    match probe.await {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => "nobody listens there".into(),
        _ => std::future::pending().await,
    }
}
