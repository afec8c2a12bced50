//! Joining: one request and one answer on one stream, by which a machine with a token gets its certificate.
//!
//! The joiner makes a key, which never leaves it, and sends a request for a certificate (PKCS #10) with the name it would like. Who has
//! the authority uses the invitation up, signs, and answers with the chain and what is revoked. Both sides know each other by then: the
//! joiner by the key in its token, the authority by its fingerprint. Each message is a few parts, each with its length before it; no
//! more is read than the largest message has.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use quinn::{ClientConfig, Connection, ConnectionError, Endpoint, ReadToEndError, RecvStream, SendStream, TransportConfig};
use rcgen::CertificateParams;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout, timeout_at};

use super::authority::{AUTHORITY, Authority, AuthorityError, NODE, NODE_KEY, new_key};
use super::certificate::{Certificate, Fingerprint, Name, pem, to_pem};
use super::folder::{Folder, FolderError, LARGEST};
use super::identity::{Identity, IdentityError};
use super::invite::InviteError;
use super::refusal::{self, Ours, Refusal};
use super::revocation;
use super::tls::{self, TlsError};
use super::token::Token;
use crate::net::address::Address;

/// Nobody waits longer, neither to join nor for a joiner.
pub const PATIENCE: Duration = Duration::from_secs(10);
/// The first part of a request and of an answer.
const REQUEST: &[u8] = b"join/1";
const SIGNED: &[u8] = b"signed/1";
const DECLINED: &[u8] = b"declined/1";
/// A request is a name and a few hundred bytes.
const MAX_REQUEST: usize = 4096;
/// An answer has a chain of a few KiB, and the list of what is revoked.
const MAX_ANSWER: usize = LARGEST as usize + 64 * 1024;
/// More certificates are no chain of ours.
const MAX_PARTS: usize = 8;

/// Why a machine did not join.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum JoinError {
    /// It belongs to a cluster already.
    #[error("`{}` belongs to a cluster already", .0.display())]
    Taken(PathBuf),
    /// No address of the token answers.
    #[error("none of the token's addresses answers")]
    Unreachable {
        /// What was tried, and what came of it.
        tried: Vec<String>,
    },
    /// One side did not believe the other.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// It was understood, and not done.
    #[error("{address} did not sign: {why}")]
    Declined {
        /// Who answered.
        address: String,
        /// Its words, with what no terminal should see escaped.
        why: String,
    },
    /// The connection ended before the answer came. Whether the token was used is not known.
    #[error("the connection to {address} ended before it answered")]
    Lost {
        /// Who did not answer.
        address: String,
        /// What quinn says.
        source: ConnectionError,
    },
    /// The answer is none.
    #[error("{0} answered what no placehost answers")]
    Nonsense(String),
    /// There was no answer in time.
    #[error("there was no answer within {} seconds from {tried}", PATIENCE.as_secs())]
    TimedOut {
        /// The addresses.
        tried: String,
    },
    /// TLS cannot be set up.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The folder is unusable.
    #[error(transparent)]
    Folder(#[from] FolderError),
    /// What was signed cannot be used here.
    #[error(transparent)]
    Identity(#[from] IdentityError),
}

/// Joins the cluster of a token: asks for a certificate with this name, and keeps it with its key in the folder.
///
/// All addresses are tried at once, and the first that answers is asked. The token is used up by the request, not by trying.
///
/// # Errors
/// [`JoinError`], within [`PATIENCE`]; nothing is in the folder then.
pub async fn join(token: &Token, name: &Name, path: &Path) -> Result<Identity, JoinError> {
    join_within(PATIENCE, token, name, path).await
}

/// As [`join`], for a machine that is in the token's cluster and [needs a new certificate](super::membership::Membership::is_due): it
/// takes the old one's place.
///
/// # Errors
/// [`JoinError`], within [`PATIENCE`]; the folder is as it was then. [`JoinError::Taken`]: the machine is in another cluster.
pub async fn renew(token: &Token, name: &Name, path: &Path) -> Result<Identity, JoinError> {
    let folder = Folder::make(path)?;
    let authority = folder.read(AUTHORITY)?.and_then(|pem| Certificate::from_pem(&pem).ok()?.into_iter().next());
    match authority.is_some_and(|authority| authority.fingerprint() == token.authority()) {
        true => get(PATIENCE, token, name, &folder, path).await,
        false => Err(JoinError::Taken(path.to_owned())),
    }
}

async fn join_within(patience: Duration, token: &Token, name: &Name, path: &Path) -> Result<Identity, JoinError> {
    let folder = Folder::make(path)?;
    if folder.has(NODE) || folder.has(AUTHORITY) {
        return Err(JoinError::Taken(path.to_owned()));
    }
    get(patience, token, name, &folder, path).await
}

/// Asks for a certificate, and keeps it in place of what is in the folder.
async fn get(patience: Duration, token: &Token, name: &Name, folder: &Folder, path: &Path) -> Result<Identity, JoinError> {
    let files = [NODE, AUTHORITY, NODE_KEY, revocation::FILE];
    let before = files.map(|file| folder.read(file).ok().flatten());
    let key = new_key();
    let request = CertificateParams::default().serialize_request(&key).expect("a key of ours signs");
    let request = [REQUEST, name.as_str().as_bytes(), request.der()].into_iter().map(<[u8]>::to_vec).collect::<Vec<_>>();
    let answer = timeout(patience, ask(token, &request)).await;
    let tried = || token.addresses().iter().map(Address::to_string).collect::<Vec<_>>().join(", ");
    let Signed { chain, revoked } = answer.map_err(|_| JoinError::TimedOut { tried: tried() })??;
    keep(folder, &chain, pem("PRIVATE KEY", key.serialized_der()).as_bytes(), &revoked)?;
    Identity::load(path).map_err(|error| {
        for (file, before) in files.iter().zip(before) {
            // Where the disk does not let us, that is the error anyway.
            let _ = before.map_or_else(|| folder.take(file).map(drop), |bytes| folder.write(file, &bytes));
        }
        error.into()
    })
}

struct Signed {
    chain: Vec<Certificate>,
    revoked: Vec<u8>,
}

fn keep(folder: &Folder, chain: &[Certificate], key: &[u8], revoked: &[u8]) -> Result<(), FolderError> {
    let _lock = folder.lock()?;
    folder.write(NODE_KEY, key)?;
    if !revoked.is_empty() {
        folder.write(revocation::FILE, revoked)?;
    }
    folder.write(AUTHORITY, to_pem(chain.last()).as_bytes())?;
    folder.write(NODE, to_pem(chain).as_bytes())
}

/// Connects, asks, and closes.
async fn ask(token: &Token, request: &[Vec<u8>]) -> Result<Signed, JoinError> {
    let mut transport = TransportConfig::default();
    transport.max_concurrent_bidi_streams(0_u8.into()).max_concurrent_uni_streams(0_u8.into());
    let mut config = ClientConfig::new(Arc::new(tls::joiner_config(token)?));
    config.transport_config(Arc::new(transport));
    let Reached { endpoint, connection, address } = connect(token, &config).await?;
    let answer = exchange(&connection, request).await;
    let answer = match answer {
        Ok(answer) => read_answer(&answer, token, &address),
        // The other side looks at the certificate after it has let this side send: so a refusal shows here.
        Err(ExchangeError::Lost) => {
            let error = connection.close_reason().unwrap_or(ConnectionError::LocallyClosed);
            match refusal::of(&error, Ours::Token(token), &address) {
                Some(refusal) => Err(refusal.into()),
                None => Err(JoinError::Lost { address: address.clone(), source: error }),
            }
        }
        Err(ExchangeError::TooLong) => Err(JoinError::Nonsense(address.clone())),
    };
    connection.close(0_u8.into(), b"");
    endpoint.wait_idle().await;
    answer
}

struct Reached {
    endpoint: Endpoint,
    connection: Connection,
    address: String,
}

/// The first of the token's addresses where its authority answers.
async fn connect(token: &Token, config: &ClientConfig) -> Result<Reached, JoinError> {
    let mut tries = JoinSet::new();
    for address in token.addresses() {
        tries.spawn(connect_one(address.clone(), token.clone(), config.clone()));
    }
    let (mut tried, mut refused) = (Vec::new(), None);
    while let Some(done) = tries.join_next().await {
        match done.expect("a try does not panic, and nobody cancels it") {
            Ok(reached) => return Ok(reached),
            Err(TryError::Refused(refusal)) => refused = Some(refusal),
            Err(TryError::Silent(why)) => tried.push(why),
        }
    }
    // Somebody who answers says more than somebody who does not.
    Err(refused.map_or(JoinError::Unreachable { tried }, |refusal| JoinError::Refused(*refusal)))
}

enum TryError {
    Refused(Box<Refusal>),
    Silent(String),
}

async fn connect_one(address: Address, token: Token, config: ClientConfig) -> Result<Reached, TryError> {
    let silent = |why: &dyn std::fmt::Display| TryError::Silent(format!("{address}: {why}"));
    let targets = address.resolve().await.map_err(|error| silent(&error))?;
    let mut last = TryError::Silent(format!("{address}: the name stands for no address"));
    for target in targets {
        let unspecified: SocketAddr = if target.is_ipv4() { (Ipv4Addr::UNSPECIFIED, 0).into() } else { (Ipv6Addr::UNSPECIFIED, 0).into() };
        let endpoint = Endpoint::client(unspecified).map_err(|error| silent(&error))?;
        let name = token.authority().server_name();
        let connecting = endpoint.connect_with(config.clone(), target, &name).map_err(|error| silent(&error))?;
        match connecting.await {
            Ok(connection) => return Ok(Reached { endpoint, connection, address: address.to_string() }),
            Err(error) => {
                last = match refusal::of(&error, Ours::Token(&token), &address) {
                    Some(refusal) => TryError::Refused(Box::new(refusal)),
                    None => silent(&error),
                }
            }
        }
    }
    Err(last)
}

enum ExchangeError {
    Lost,
    TooLong,
}

async fn exchange(connection: &Connection, request: &[Vec<u8>]) -> Result<Vec<u8>, ExchangeError> {
    let (mut send, mut receive) = connection.open_bi().await.map_err(|_| ExchangeError::Lost)?;
    let sent = write(&mut send, request).await;
    if sent.is_err() {
        // What the other side says of it is read below; only the end of the connection is without an answer.
        tracing::debug!("the request to join was not read to its end");
    }
    receive.read_to_end(MAX_ANSWER).await.map_err(|error| match error {
        ReadToEndError::TooLong => ExchangeError::TooLong,
        ReadToEndError::Read(_) => ExchangeError::Lost,
    })
}

fn read_answer(answer: &[u8], token: &Token, address: &str) -> Result<Signed, JoinError> {
    let nonsense = || JoinError::Nonsense(address.to_owned());
    let parts = decode(answer).ok_or_else(nonsense)?;
    match parts.split_first().ok_or_else(nonsense)? {
        (kind, [revoked, chain @ ..]) if *kind == SIGNED => {
            let chain: Result<Vec<_>, _> = chain.iter().map(|der| Certificate::from_der(der)).collect();
            let chain = chain.map_err(|_| nonsense())?;
            match chain.last().is_some_and(|root| chain.len() > 1 && root.fingerprint() == token.authority()) {
                true => Ok(Signed { chain, revoked: revoked.to_vec() }),
                false => Err(nonsense()),
            }
        }
        (kind, [why]) if *kind == DECLINED => {
            let why = String::from_utf8_lossy(why).chars().take(200).flat_map(char::escape_debug).collect();
            Err(JoinError::Declined { address: address.to_owned(), why })
        }
        _ => Err(nonsense()),
    }
}

impl JoinError {
    /// What to do about it, if there is something.
    pub fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Taken(_) => {
                "`placehost cluster show` says which; for another, name another folder: `export PLACEHOST_HOME=FOLDER`".into()
            }
            Self::Unreachable { .. } | Self::TimedOut { .. } => {
                "`placehost node` has to run on the authority's machine, and its UDP port to be open; `placehost cluster invite --address` \
                 names another address"
                    .into()
            }
            Self::Refused(refusal) => refusal.hint().into(),
            Self::Declined { .. } | Self::Lost { .. } => "`placehost cluster invite` on the authority's machine makes another token".into(),
            Self::Nonsense(_) => "compare `placehost --version` on both machines".into(),
            Self::Folder(error) => return error.hint(),
            Self::Identity(error) => return error.hint(),
            Self::Tls(_) => return None,
        })
    }
}

/// Who joined.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Joined {
    /// What it is called now.
    pub name: Name,
    /// Its new key.
    pub fingerprint: Fingerprint,
}

/// Why a joiner got no certificate.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServeJoinError {
    /// The other end is no joiner, or its key is not known.
    #[error("it did not come with a token")]
    NoJoiner,
    /// It did not ask, or not in time.
    #[error("it did not ask for a certificate")]
    Silent,
    /// It asked for something else.
    #[error("what it asked for is no request to join")]
    Nonsense,
    /// The token is used, or expired.
    #[error(transparent)]
    Invite(#[from] InviteError),
    /// The authority did not sign.
    #[error(transparent)]
    Authority(#[from] AuthorityError),
}

impl ServeJoinError {
    /// What a joiner is told: nothing of files.
    fn told(&self) -> &'static str {
        match self {
            Self::Invite(InviteError::Unknown) => "the token was used already",
            Self::Invite(InviteError::Expired(_)) => "the token has expired",
            Self::Nonsense | Self::Authority(AuthorityError::Request) => "the request cannot be read",
            _ => "the authority cannot sign now",
        }
    }
}

/// Serves a connection whose other end is a [`super::identity::Role::Joiner`]: reads one request, uses the invitation up, signs, answers,
/// and closes. Ends within [`PATIENCE`].
///
/// # Errors
/// [`ServeJoinError`]; the joiner was told.
pub async fn serve_join(connection: &Connection, identity: &Arc<Identity>) -> Result<Joined, ServeJoinError> {
    let deadline = Instant::now() + PATIENCE;
    let served = timeout_at(deadline, serve(connection, identity)).await.unwrap_or(Err(ServeJoinError::Silent));
    // The joiner closes when it has the answer.
    let _ = timeout_at(deadline, connection.closed()).await;
    connection.close(0_u8.into(), b"");
    served
}

async fn serve(connection: &Connection, identity: &Arc<Identity>) -> Result<Joined, ServeJoinError> {
    let peer = identity.peer(connection).ok_or(ServeJoinError::NoJoiner)?;
    let (mut send, receive) = connection.accept_bi().await.map_err(|_| ServeJoinError::Silent)?;
    let request = read_request(receive).await;
    let identity = Arc::clone(identity);
    let signed = match request {
        Ok((name, request)) => {
            // It writes to the disk, and waits for it.
            let work = move || sign(&identity, peer.fingerprint, &request, name);
            tokio::task::spawn_blocking(work).await.expect("signing does not panic")
        }
        Err(error) => Err(error),
    };
    let answer = match &signed {
        Ok((_, answer)) => answer.clone(),
        Err(error) => vec![DECLINED.to_vec(), error.told().into()],
    };
    // A joiner that has gone meanwhile has used its token up all the same.
    if write(&mut send, &answer).await.is_err() {
        tracing::info!("a joiner went before it had its answer");
    }
    signed.map(|(joined, _)| joined)
}

async fn read_request(mut receive: RecvStream) -> Result<(Name, Vec<u8>), ServeJoinError> {
    let request = receive.read_to_end(MAX_REQUEST).await.map_err(|_| ServeJoinError::Nonsense)?;
    match &decode(&request).ok_or(ServeJoinError::Nonsense)?[..] {
        [kind, name, request] if *kind == REQUEST => {
            let name = std::str::from_utf8(name).ok().and_then(|name| name.parse().ok());
            Ok((name.ok_or(ServeJoinError::Nonsense)?, request.to_vec()))
        }
        _ => Err(ServeJoinError::Nonsense),
    }
}

/// The invitation is used up before anything is signed: of many who come with one token, one gets a certificate.
fn sign(identity: &Identity, joiner: Fingerprint, request: &[u8], name: Name) -> Result<(Joined, Vec<Vec<u8>>), ServeJoinError> {
    let authority: &Authority = identity.authority().ok_or(ServeJoinError::NoJoiner)?;
    authority.redeem(joiner)?;
    let chain = authority.sign(request, &name)?;
    let answer = [SIGNED.to_vec(), authority.revoked()?];
    let answer = answer.into_iter().chain(chain.iter().map(|certificate| certificate.der().to_vec())).collect();
    Ok((Joined { name, fingerprint: chain[0].fingerprint() }, answer))
}

async fn write(send: &mut SendStream, parts: &[Vec<u8>]) -> Result<(), quinn::WriteError> {
    let lengths = parts.iter().map(|part| u32::try_from(part.len()).expect("a part is smaller than 4 GiB"));
    let bytes: Vec<u8> = lengths.zip(parts).flat_map(|(length, part)| [&length.to_be_bytes()[..], part].concat()).collect();
    send.write_all(&bytes).await?;
    // It fails only for a stream that was finished before.
    let _ = send.finish();
    Ok(())
}

/// The parts of a message. They are pieces of it, so whatever the lengths say nothing is allocated for them.
fn decode(mut rest: &[u8]) -> Option<Vec<&[u8]>> {
    let mut parts = Vec::new();
    while let Some((length, after)) = rest.split_first_chunk() {
        let (part, after) = after.split_at_checked(u32::from_be_bytes(*length).try_into().ok()?)?;
        parts.push(part);
        rest = after;
        if parts.len() > MAX_PARTS {
            return None;
        }
    }
    rest.is_empty().then_some(parts)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn any_bytes_are_an_answer_or_an_error(bytes in prop::collection::vec(any::<u8>(), 0..300), kind: bool) {
            let token = Token::new(vec!["host2".parse().expect("it is an address")], Fingerprint([0; 32]), super::super::clock::Moment(0));
            let _ = read_answer(&bytes, &token, "host2");
            let kind = if kind { SIGNED } else { DECLINED };
            let lengths = u32::try_from(kind.len()).expect("it is short").to_be_bytes();
            let _ = read_answer(&[&lengths[..], kind, &bytes].concat(), &token, "host2");
        }
    }

    #[tokio::test]
    async fn who_does_not_answer_is_given_up() {
        // Bound, so that nothing says that nobody is there, and never read.
        let silent = std::net::UdpSocket::bind("127.0.0.1:0").expect("there is a socket");
        let address: Address = silent.local_addr().expect("it is bound").into();
        let token = Token::new(vec![address.clone()], Fingerprint([0; 32]), super::super::clock::Moment(0));
        let above = tempfile::tempdir().expect("there is room");
        let name = "host2".parse().expect("it is a name");
        let joined = join_within(Duration::from_millis(50), &token, &name, &above.path().join("home")).await;
        assert!(matches!(joined, Err(JoinError::TimedOut { tried }) if tried == address.to_string()));
    }

    #[test]
    fn lengths_that_lie_are_no_message() {
        assert_eq!(decode(&[0, 0, 0, 1, 7]), Some(vec![&[7][..]]));
        assert_eq!(decode(&[0xff, 0xff, 0xff, 0xff, 7]), None);
        assert_eq!(decode(&[0, 0, 0, 1, 7, 0]), None);
        assert_eq!(decode(&[0; 4 * (MAX_PARTS + 1)]), None);
    }
}
