//! Two nodes on this machine, over real connections: who believes whom, and what each says when it does not.

use std::fs::{self, Permissions};
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;
use quinn::{ClientConfig, Connection, ConnectionError, Endpoint, ServerConfig};
use rcgen::{CertificateParams, DnType};
use rustls::pki_types::PrivatePkcs8KeyDer;
use rustls::version::TLS13;
use tempfile::TempDir;
use tokio::task::JoinSet;

use super::authority::{Authority, NODE, NODE_LIFE, new_key};
use super::bundle::Bundle;
use super::certificate::{Certificate, Name, pem, to_pem};
use super::clock::Moment;
use super::crypto;
use super::identity::{Credential, Identity, IdentityError, Role};
use super::join::{JoinError, ServeJoinError, join, renew, serve_join};
use super::membership::Membership;
use super::refusal::{Refusal, Refuser, Why, explain};
use super::revocation::{Kept, ListError, Revocations};
use super::tls::{PROTOCOL, client_config, server_config};
use super::verify::Verifier;
use crate::net::address::Address;

const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(24 * 3600);

fn name(text: &str) -> Name {
    text.parse().expect("it is a name")
}

/// A node with this certificate that believes these authorities.
fn node((chain, key): (Vec<Certificate>, PrivatePkcs8KeyDer<'static>), roots: &[&Authority]) -> Arc<Identity> {
    let roots: Vec<_> = roots.iter().map(|root| root.certificate().clone()).collect();
    let revocations = Revocations::open(roots.clone(), Kept::Nowhere).expect("there is nothing to read");
    Arc::new(Identity::assemble(vec![Credential::unchecked(chain, key.into())], roots, revocations, None))
}

/// A node that this authority vouches for.
pub(in crate::net) fn member(authority: &Authority, of: &str) -> Arc<Identity> {
    let now = Moment::now();
    node(authority.issue_between(of, now.before(HOUR), now.after(HOUR)), &[authority])
}

/// A cluster in a folder, with the node of its authority.
fn cluster() -> (TempDir, PathBuf, Authority) {
    let above = tempfile::tempdir().expect("there is room");
    let path = above.path().join("cluster");
    let authority = Authority::create(&path, &name("lab"), &name("host1")).expect("it can be made");
    (above, path, authority)
}

fn listen(identity: &Arc<Identity>) -> (Endpoint, SocketAddr) {
    let config = ServerConfig::with_crypto(Arc::new(server_config(identity).expect("it can be set up")));
    let endpoint = Endpoint::server(config, (Ipv4Addr::LOCALHOST, 0).into()).expect("there is a socket");
    let address = endpoint.local_addr().expect("it is bound");
    (endpoint, address)
}

/// How a meeting went, on each side.
struct Met {
    server: Result<Connection, ConnectionError>,
    client: Result<Connection, ConnectionError>,
    _endpoints: [Endpoint; 2],
}

async fn meet(server: &Arc<Identity>, client: &Arc<Identity>) -> Met {
    meet_with(server, client_config(client).expect("it can be set up"), &client.server_name()).await
}

async fn meet_with(server: &Arc<Identity>, client: quinn::crypto::rustls::QuicClientConfig, server_name: &str) -> Met {
    let (listening, address) = listen(server);
    let calling = Endpoint::client((Ipv4Addr::LOCALHOST, 0).into()).expect("there is a socket");
    let connecting = calling.connect_with(ClientConfig::new(Arc::new(client)), address, server_name).expect("it can be tried");
    let accepting = async { listening.accept().await.expect("somebody comes").await };
    let (server, client) = tokio::join!(accepting, connecting);
    // The server looks last: a client that it refuses was connected for a moment.
    let client = match (&server, client) {
        (Err(_), Ok(connection)) => Err(connection.closed().await),
        (_, client) => client,
    };
    Met { server, client, _endpoints: [listening, calling] }
}

/// What the server and the client say of a meeting that failed.
fn sentences(met: &Met, server: &Identity, client: &Identity) -> (Refusal, Refusal) {
    let by_server = explain(met.server.as_ref().expect_err("they do not get on"), server, &"the client");
    let by_client = explain(met.client.as_ref().expect_err("they do not get on"), client, &"the server");
    (by_server.expect("it is a refusal"), by_client.expect("it is a refusal"))
}

/// Lets them meet; expects that one refuses the other, and what both say, the server first.
#[track_caller]
fn refuses(who: &str, met: &Met, server: &Identity, client: &Identity, says: [&str; 2]) {
    let (by_server, by_client) = sentences(met, server, client);
    let expected = if who == "server" { (Refuser::Us, Refuser::Peer) } else { (Refuser::Peer, Refuser::Us) };
    assert_eq!((by_server.by, by_client.by), expected, "{by_server}; {by_client}");
    assert!(by_server.to_string().contains(says[0]), "`{}` is not in: {by_server}", says[0]);
    assert!(by_client.to_string().contains(says[1]), "`{}` is not in: {by_client}", says[1]);
}

#[tokio::test]
async fn members_meet_and_know_each_other() {
    let authority = Authority::named("lab");
    let (one, two) = (member(&authority, "host1"), member(&authority, "host2"));
    let met = meet(&one, &two).await;
    let (server, client) = (met.server.expect("they meet"), met.client.expect("they meet"));
    let seen = one.peer(&server).expect("it has shown a certificate");
    assert_eq!((seen.role, seen.name.as_str(), seen.issuer), (Role::Member, "host2", authority.certificate().fingerprint()));
    assert_eq!(seen.fingerprint, two.certificate().fingerprint());
    assert_eq!(two.peer(&client).expect("it has shown a certificate").name, "host1");
}

#[tokio::test]
async fn expired_certificates_are_refused_by_both() {
    let authority = Authority::named("lab");
    let now = Moment::now();
    let (from, until) = (now.before(HOUR * 2), now.before(HOUR));
    let old = || node(authority.issue_between("old", from, until), &[&authority]);
    let (fresh, old) = (member(&authority, "fresh"), old());
    let at = format!("expired at {until}; the clock here says ");
    let met = meet(&fresh, &old).await;
    let own = format!("the server refused our certificate: it {at}");
    refuses("server", &met, &fresh, &old, [&format!("the client was refused: its certificate {at}"), &own]);
    assert!(sentences(&met, &fresh, &old).1.to_string().contains(", the clock there "));
    let met = meet(&old, &fresh).await;
    refuses("client", &met, &old, &fresh, ["the client refused our certificate: it expired", "its certificate expired at"]);
}

#[tokio::test]
async fn certificates_of_the_future_are_refused_by_both() {
    let authority = Authority::named("lab");
    let from = Moment::now().after(HOUR);
    let early = node(authority.issue_between("early", from, from.after(HOUR)), &[&authority]);
    let on_time = member(&authority, "on-time");
    let not_yet = format!("is not valid yet, but from {from} on; the clock here says ");
    let met = meet(&on_time, &early).await;
    refuses("server", &met, &on_time, &early, [&not_yet, &not_yet]);
    assert!(sentences(&met, &on_time, &early).1.hint().contains("clocks"));
    let met = meet(&early, &on_time).await;
    refuses("client", &met, &early, &on_time, [&not_yet, &not_yet]);
}

#[tokio::test]
async fn members_of_another_cluster_are_refused_by_name() {
    let (lab, other) = (Authority::named("lab"), Authority::named("lab"));
    let (one, two) = (member(&lab, "host1"), member(&other, "host2"));
    let [lab_is, other_is] = [&lab, &other].map(|authority| authority.certificate().fingerprint().short());
    let met = meet(&one, &two).await;
    let words = format!("the client refused our certificate: it is by the authority {lab_is}, and the client trusts {other_is} and ");
    refuses("client", &met, &one, &two, [&words, &format!("by the authority {lab_is}, and we trust {other_is}")]);
    // One who believes both is still not believed.
    let now = Moment::now();
    let two = node(other.issue_between("host2", now.before(HOUR), now.after(HOUR)), &[&other, &lab]);
    let met = meet(&one, &two).await;
    let words = format!("the server refused our certificate: it is by the authority {other_is}, and the server trusts {lab_is} and ");
    refuses("server", &met, &one, &two, [&format!("by the authority {other_is}, and we trust {lab_is} and "), &words]);
}

#[tokio::test]
async fn strangers_without_a_certificate_are_refused() {
    let authority = Authority::named("lab");
    let (one, two) = (member(&authority, "host1"), member(&authority, "host2"));
    let builder = rustls::ClientConfig::builder_with_provider(crypto::provider()).with_protocol_versions(&[&TLS13]).expect("it has 1.3");
    let builder = builder.dangerous().with_custom_certificate_verifier(Verifier::new(&two));
    let mut bare = builder.with_no_client_auth();
    bare.alpn_protocols = vec![PROTOCOL.into()];
    let met = meet_with(&one, bare.clone().try_into().expect("it has QUIC's suite"), &two.server_name()).await;
    refuses("server", &met, &one, &two, ["the client was refused: it has no certificate", "refused us: we showed no certificate"]);
    bare.alpn_protocols = vec![b"h3".into()];
    let met = meet_with(&one, bare.try_into().expect("it has QUIC's suite"), &two.server_name()).await;
    let words = ["the client does not speak the protocol of placehost", "the server does not speak this version"];
    refuses("server", &met, &one, &two, words);
}

/// A certificate by itself.
fn self_signed(of: &str) -> (Vec<Certificate>, PrivatePkcs8KeyDer<'static>) {
    let key = new_key();
    let mut params = CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, of);
    let signed = params.self_signed(&key).expect("a key of ours signs");
    (vec![Certificate::from_der(signed.der()).expect("it is one")], key.serialize_der().into())
}

#[tokio::test]
async fn strangers_that_vouch_for_themselves_are_refused() {
    let authority = Authority::named("lab");
    let one = member(&authority, "host1");
    let stranger = node(self_signed("stranger"), &[&authority]);
    let own = stranger.certificate().fingerprint().short();
    let met = meet(&one, &stranger).await;
    let says = format!("by the authority {own}, and ");
    refuses("server", &met, &one, &stranger, [&says, &says]);
    // With the name that joiners have, and no token; where there is an authority, and where there is none.
    let joiner = node(self_signed("joiner"), &[&authority]);
    let met = meet(&one, &joiner).await;
    refuses("server", &met, &one, &joiner, ["its token is used, expired", "refused the token"]);
    let (_above, path, authority) = cluster();
    let joiner = node(self_signed("joiner"), &[&authority]);
    let one = Arc::new(Identity::load(&path).expect("it can be used"));
    refuses("server", &meet(&one, &joiner).await, &one, &joiner, ["its token is used, expired", "refused the token"]);
}

#[tokio::test]
async fn the_revoked_are_refused_by_both() {
    let (_above, path, authority) = cluster();
    let one = Arc::new(Identity::load(&path).expect("it can be used"));
    let two = Arc::new(Identity::from_bundle(one.bundle_for_child(&name("host2"), HOUR).expect("it can be issued")).expect("it fits"));
    let three = Arc::new(Identity::from_bundle(one.bundle_for_child(&name("host3"), HOUR).expect("it can be issued")).expect("it fits"));
    let met = meet(&one, &two).await;
    let seen = one.peer(met.server.as_ref().expect("they meet")).expect("it has shown a certificate");
    let mut changes = one.revocations().watch();
    assert!(!one.revocations().is_revoked(&seen.certificate));

    // By another process, as far as the node can see.
    authority.revoke("host2").expect("there is one");
    let says = ["the client was refused: its certificate is revoked", "the server refused our certificate: it is revoked"];
    refuses("server", &meet(&one, &two).await, &one, &two, says);
    assert!(changes.has_changed().expect("it is watched"));
    changes.mark_unchanged();
    assert!(one.revocations().is_revoked(&seen.certificate), "so that the session can be closed");

    // The list travels.
    assert!(meet(&three, &two).await.server.is_ok(), "it has not heard of it yet");
    let [list] = &one.revocations().lists()[..] else { panic!("there is one authority") };
    assert!(three.revocations().accept(list).expect("it is signed"));
    assert!(!three.revocations().accept(list).expect("it is signed"), "it is known");
    refuses("server", &meet(&three, &two).await, &three, &two, says);
    let says = ["the client refused our certificate: it is revoked", "the server was refused: its certificate is revoked"];
    refuses("client", &meet(&two, &three).await, &two, &three, says);
    // Who is launched from now on knows from the start.
    let bundle = one.bundle_for_child(&name("host4"), HOUR).expect("it can be issued");
    let four = Identity::from_bundle(bundle).expect("it fits");
    assert!(four.revocations().is_revoked(&seen.certificate));
    assert_eq!(changes.borrow().to_owned(), 2, "one when it was read first, one when it changed");
}

#[test]
fn only_newer_lists_of_whom_we_believe_are_accepted() {
    let (_above, path, authority) = cluster();
    let one = Identity::load(&path).expect("it can be used");
    let first = authority.revoked().expect("it can be read");
    one.bundle_for_child(&name("host2"), HOUR).expect("it can be issued");
    authority.revoke("host2").expect("there is one");
    let second = authority.revoked().expect("it can be read");
    one.revocations().refresh();
    assert!(!one.revocations().accept(&first).expect("it is signed"), "it is older");
    let (_above, _, stranger) = cluster();
    let theirs = stranger.revoked().expect("it can be read");
    assert!(matches!(one.revocations().accept(&theirs), Err(ListError::Stranger)));
    let mut forged = second.clone();
    *forged.last_mut().expect("it has bytes") ^= 1;
    assert!(matches!(one.revocations().accept(&forged), Err(ListError::Stranger)));
    assert!(matches!(one.revocations().accept(b"?"), Err(ListError::Malformed)));
    // A member without the authority keeps what it is told.
    let above = tempfile::tempdir().expect("there is room");
    let copy = above.path().join("copy");
    fs::DirBuilder::new().create(&copy).expect("there is room");
    fs::set_permissions(&copy, Permissions::from_mode(0o700)).expect("it is ours");
    for file in [NODE, "node.key", "authority.pem"] {
        fs::copy(path.join(file), copy.join(file)).expect("it can be copied");
    }
    let two = Identity::load(&copy).expect("it can be used");
    assert!(two.revocations().accept(&second).expect("it is signed"));
    let again = Identity::load(&copy).expect("it can be used");
    assert!(again.revocations().lists().contains(&second));
    // And one whose list is damaged does not begin: who was revoked would be let in.
    fs::write(copy.join("revoked.crl"), b"?").expect("it is ours");
    assert!(matches!(Identity::load(&copy), Err(IdentityError::List(_))));
    again.revocations().refresh();
    assert_eq!(again.revocations().lists(), [second], "one that runs keeps what it knew");
}

#[tokio::test]
async fn a_launched_node_knows_who_launched_it_and_nobody_else() {
    // A member whose authority is elsewhere, so that it vouches by itself for whom it launches.
    let authority = Authority::named("lab");
    let (parent, other) = (member(&authority, "parent"), member(&authority, "other"));
    let line = parent.bundle_for_child(&name("child"), HOUR).expect("nothing is written").to_string();
    assert!(!line.contains('\n'));
    let child = Arc::new(Identity::from_bundle(line.parse().expect("it is a bundle")).expect("it fits"));
    // Up: the parent shows the certificate that the child asks for.
    let met = meet(&parent, &child).await;
    let seen = parent.peer(&met.server.expect("they meet")).expect("it has shown a certificate");
    assert_eq!((seen.role, seen.name.as_str()), (Role::Member, "child"));
    let seen = child.peer(&met.client.expect("they meet")).expect("it has shown a certificate");
    assert_eq!(seen.issuer, child.roots()[0].fingerprint());
    // Down: it shows the certificate by whom the child believes.
    assert!(meet(&child, &parent).await.server.is_ok());
    // To the cluster it is still who it was.
    let met = meet(&parent, &other).await;
    let seen = other.peer(&met.client.expect("they meet")).expect("it has shown a certificate");
    assert_eq!((seen.name.as_str(), seen.issuer), ("parent", authority.certificate().fingerprint()));
    // And nobody else believes the child.
    let met = meet(&other, &child).await;
    assert!(matches!(sentences(&met, &other, &child).0.why, Why::Authority { .. }));
}

#[tokio::test]
async fn nodes_of_no_cluster_launch_others() {
    let parent = Arc::new(Identity::ephemeral());
    let bundle = parent.bundle_for_child(&name("child"), HOUR).expect("nothing is written");
    let child = Arc::new(Identity::from_bundle(bundle).expect("it fits"));
    assert!(meet(&parent, &child).await.server.is_ok());
    assert!(meet(&child, &parent).await.server.is_ok());
    let stranger = Arc::new(Identity::ephemeral());
    assert!(meet(&child, &stranger).await.server.is_err());
}

/// Serves joiners until the test ends.
fn serve(identity: &Arc<Identity>) -> (JoinSet<()>, Address, tokio::sync::mpsc::UnboundedReceiver<Result<String, ServeJoinError>>) {
    let (endpoint, address) = listen(identity);
    let identity = Arc::clone(identity);
    let (tell, told) = tokio::sync::mpsc::unbounded_channel();
    let mut tasks = JoinSet::new();
    tasks.spawn(async move {
        while let Some(incoming) = endpoint.accept().await {
            let (identity, tell) = (Arc::clone(&identity), tell.clone());
            tokio::spawn(async move {
                let Ok(connection) = incoming.await else { return };
                assert_eq!(identity.peer(&connection).expect("it has shown a certificate").role, Role::Joiner);
                let served = serve_join(&connection, &identity).await.map(|joined| joined.name.to_string());
                tell.send(served).unwrap_or_default();
            });
        }
    });
    (tasks, address.into(), told)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_many_who_join_with_one_token_one_does() {
    const TRIES: usize = 32;
    let (above, path, authority) = cluster();
    let one = Arc::new(Identity::load(&path).expect("it can be used"));
    let (_serving, address, _told) = serve(&one);
    let token = authority.invite(vec![address], HOUR).expect("it can be written");
    let mut tries = JoinSet::new();
    for number in 0..TRIES {
        let (token, path) = (token.clone(), above.path().join(format!("joiner{number}")));
        tries.spawn(async move { (join(&token, &name(&format!("host{number}")), &path).await, path) });
    }
    let mut joined = Vec::new();
    for (outcome, path) in tries.join_all().await {
        match outcome {
            Ok(identity) => joined.push(Arc::new(identity)),
            Err(JoinError::Refused(Refusal { by: Refuser::Peer, why: Why::Token { .. }, .. })) => assert!(!path.join(NODE).exists()),
            Err(JoinError::Declined { why, .. }) => assert_eq!(why, "the token was used already"),
            Err(error) => panic!("{error:?}"),
        }
    }
    let [two] = &joined[..] else { panic!("{} joined", joined.len()) };
    assert_eq!(authority.members().expect("they can be listed").len(), 2);
    assert!(authority.invites().expect("they can be listed").is_empty());
    assert!(meet(&one, two).await.server.is_ok());
    assert!(meet(two, &one).await.server.is_ok());
}

#[tokio::test]
async fn a_machine_joins_once() {
    let (above, path, authority) = cluster();
    let one = Arc::new(Identity::load(&path).expect("it can be used"));
    let (_serving, address, mut told) = serve(&one);
    // The first address is one where nobody listens: the socket is closed before the token is made.
    let (_, nobody) = listen(&one);
    let token = authority.invite(vec![nobody.into(), address], HOUR).expect("it can be written");
    let home = above.path().join("two");
    let two = join(&token, &name("host2"), &home).await.expect("it can join");
    assert_eq!(told.recv().await.expect("it was served").expect("it was signed"), "host2");
    assert_eq!(two.certificate().name(), "host2");
    assert!(two.authority().is_none(), "the authority's key does not travel");
    assert_eq!(two.revocations().lists(), one.revocations().lists());
    let mode = |file| fs::metadata(home.join(file)).expect("it is there").permissions().mode() & 0o777;
    assert_eq!((mode("node.key"), mode("")), (0o600, 0o700));
    assert!(matches!(join(&token, &name("host2"), &home).await, Err(JoinError::Taken(_))));
    let again = join(&token, &name("host2"), &above.path().join("three")).await;
    let Err(JoinError::Refused(refusal)) = again else { panic!("{again:?}") };
    assert!(refusal.to_string().contains("refused the token: it was used already"), "{refusal}");
}

/// Makes the certificate of a machine one that this authority has signed for that time.
fn replace(path: &Path, authority: &Authority, from: Moment, until: Moment) {
    let (chain, key) = authority.issue_between("host2", from, until);
    fs::write(path.join(NODE), to_pem(&chain)).expect("it is ours");
    fs::write(path.join("node.key"), pem("PRIVATE KEY", key.secret_pkcs8_der())).expect("it is ours");
}

#[tokio::test]
async fn a_certificate_that_ends_is_renewed_by_a_token() {
    let (above, path, authority) = cluster();
    let one = Arc::new(Identity::load(&path).expect("it can be used"));
    let (_serving, address, _told) = serve(&one);
    let invite = || authority.invite(vec![address.clone()], HOUR).expect("it can be written");
    let home = above.path().join("two");
    let first = join(&invite(), &name("host2"), &home).await.expect("it can join");
    let now = Moment::now();
    assert_eq!(first.warning(now), None);
    let is_due = || Membership::read(&home).expect("it is a member").is_due(now);
    assert!(!is_due());

    // While it is valid, there is a warning; when it has expired, an error that says what to do.
    replace(&home, &authority, now.before(300 * DAY), now.after(20 * DAY));
    let warning = Identity::load(&home).expect("it is valid").warning(now).expect("it ends soon");
    assert!(warning.contains("`host2` of this machine expires at") && warning.contains("placehost node --join"), "{warning}");
    assert!(is_due());
    let renewed = renew(&invite(), &name("host2"), &home).await.expect("it is renewed");
    assert!(renewed.certificate().until() > now.after(300 * DAY) && renewed.warning(now).is_none());
    assert!(meet(&one, &Arc::new(renewed)).await.server.is_ok());
    replace(&home, &authority, now.before(300 * DAY), now.before(DAY));
    let error = Identity::load(&home).expect_err("it has expired");
    assert!(error.hint().is_some_and(|hint| hint.contains("placehost node --join")), "{error}");
    assert!(is_due());
    // One that is refused changes nothing.
    let used = invite();
    renew(&used, &name("host2"), &home).await.expect("it is renewed");
    let kept = fs::read(home.join(NODE)).expect("it is there");
    assert!(matches!(renew(&used, &name("host2"), &home).await, Err(JoinError::Refused(_))));
    let (_above, _, other) = cluster();
    let foreign = other.invite(vec![address.clone()], HOUR).expect("it can be written");
    assert!(matches!(renew(&foreign, &name("host2"), &home).await, Err(JoinError::Taken(_))));
    assert_eq!(fs::read(home.join(NODE)).expect("it is there"), kept);
    // A certificate for a short time, as for a launched node, is nobody's worry.
    replace(&home, &authority, now.before(HOUR), now.after(20 * DAY));
    assert_eq!(Identity::load(&home).expect("it is valid").warning(now), None);
}

#[test]
fn the_machine_of_the_authority_renews_its_own_certificate() {
    let (_above, path, authority) = cluster();
    let now = Moment::now();
    for until in [now.after(20 * DAY), now.before(DAY)] {
        replace(&path, &authority, now.before(300 * DAY), until);
        let one = Identity::load(&path).expect("it is renewed");
        assert!(one.certificate().until() > now.after(300 * DAY));
        assert_eq!((one.certificate().name(), one.warning(now)), ("host2", None));
        assert_eq!(Identity::load(&path).expect("it is valid").certificate(), one.certificate(), "once");
    }
}

#[tokio::test]
async fn expired_and_foreign_tokens_are_refused_with_their_reason() {
    let (above, path, authority) = cluster();
    let one = Arc::new(Identity::load(&path).expect("it can be used"));
    let (_serving, address, _told) = serve(&one);
    let home = above.path().join("two");
    let refusal = |outcome| match outcome {
        Err(JoinError::Refused(refusal)) => refusal.to_string(),
        other => panic!("{other:?}"),
    };
    let token = authority.invite(vec![address.clone()], Duration::ZERO).expect("it can be written");
    // It expires in the second in which it was made, which may last: so it is said to have been an hour ago.
    let invite = path.join("invites").join(token.fingerprint().to_string());
    fs::write(&invite, Moment::now().before(HOUR).0.to_string()).expect("it is there");
    let words = refusal(join(&token, &name("host2"), &home).await);
    assert!(words.contains("refused the token: it "), "{words}");
    let (_above, _, other) = cluster();
    let token = other.invite(vec![address], HOUR).expect("it can be written");
    let words = refusal(join(&token, &name("host2"), &home).await);
    let [lab, other] = [&authority, &other].map(|authority| authority.certificate().fingerprint().short());
    assert!(words.ends_with(&format!("was refused: its certificate is by the authority {lab}, and we trust {other}")), "{words}");
    assert!(!home.join(NODE).exists());
}

#[tokio::test]
async fn a_member_is_not_served_as_a_joiner() {
    let (_above, path, _authority) = cluster();
    let one = Arc::new(Identity::load(&path).expect("it can be used"));
    let two = Arc::new(Identity::from_bundle(one.bundle_for_child(&name("two"), HOUR).expect("it can be issued")).expect("it fits"));
    let met = meet(&one, &two).await;
    let (server, client) = (met.server.expect("they meet"), met.client.expect("they meet"));
    let asks = async {
        let (mut send, mut receive) = client.open_bi().await.expect("a member may");
        send.write_all(b"\0\0\0\x06join/1").await.expect("somebody reads");
        send.finish().expect("it is open");
        let answer = receive.read_to_end(1000).await.expect("there is one");
        client.close(0_u8.into(), b"");
        answer
    };
    let (served, answer) = tokio::join!(serve_join(&server, &one), asks);
    assert!(matches!(served, Err(ServeJoinError::NoJoiner | ServeJoinError::Nonsense)), "{served:?}");
    assert!(!answer.windows(8).any(|word| word == b"signed/1"));
}

/// The three files that tools for certificates write.
struct Files {
    folder: TempDir,
}

impl Files {
    fn of(authority: &Authority, (chain, key): &(Vec<Certificate>, PrivatePkcs8KeyDer<'static>)) -> Self {
        let files = Self { folder: tempfile::tempdir().expect("there is room") };
        files.put("ca", &to_pem([authority.certificate()]));
        files.put("cert", &to_pem(&chain[..1]));
        files.put("key", &pem("PRIVATE KEY", key.secret_pkcs8_der()));
        files
    }

    fn put(&self, file: &str, text: &str) {
        let path = self.path(file);
        fs::write(&path, text).expect("there is room");
        fs::set_permissions(&path, Permissions::from_mode(0o600)).expect("it is ours");
    }

    fn path(&self, file: &str) -> PathBuf {
        Path::join(self.folder.path(), file)
    }

    fn load(&self) -> Result<Identity, IdentityError> {
        let crl = Some(self.path("crl")).filter(|path| path.exists());
        Identity::from_files(&self.path("ca"), &self.path("cert"), &self.path("key"), crl.as_deref())
    }

    #[track_caller]
    fn fail(&self, says: &str) {
        let error = self.load().expect_err("it is unusable");
        assert!(error.to_string().contains(says), "`{says}` is not in: {error}");
    }
}

#[tokio::test]
async fn certificates_of_ones_own_serve_as_well() {
    let authority = Authority::named("lab");
    let now = Moment::now();
    let issue = |of| authority.issue_between(of, now.before(HOUR), now.after(HOUR));
    let [one, two] = ["one", "two"].map(|of| Arc::new(Files::of(&authority, &issue(of)).load().expect("they fit")));
    assert!(meet(&one, &two).await.server.is_ok());
}

#[tokio::test]
async fn lists_beside_certificates_of_ones_own_are_read_again_when_they_change() {
    let (_above, _, authority) = cluster();
    let [one, two] = ["host1", "host2"].map(|of| Files::of(&authority, &authority.issue(&name(of), HOUR).expect("it can be issued")));
    let list = || pem("X509 CRL", &authority.revoked().expect("it can be read"));
    one.put("crl", &list());
    let (first, second) = (Arc::new(one.load().expect("they fit")), Arc::new(two.load().expect("they fit")));
    let changes = first.revocations().watch();
    assert!(meet(&first, &second).await.server.is_ok());
    authority.revoke("host2").expect("there is one");
    assert!(meet(&first, &second).await.server.is_ok(), "nobody has written it to the file");

    one.put("crl", &list());
    first.revocations().refresh();
    assert!(changes.has_changed().expect("it is watched"), "so that sessions can be closed");
    let refuse = async || {
        let says = ["the client was refused: its certificate is revoked", "the server refused our certificate: it is revoked"];
        refuses("server", &meet(&first, &second).await, &first, &second, says);
        let says = ["the client refused our certificate: it is revoked", "the server was refused: its certificate is revoked"];
        refuses("client", &meet(&second, &first).await, &second, &first, says);
    };
    refuse().await;
    // What was revoked stays so when the file is damaged, empty or gone.
    for text in ["-----BEGIN X509 CRL-----\nAAAA\n", "", "hello"] {
        one.put("crl", text);
        refuse().await;
        let error = one.load().expect_err("it is no list");
        assert!(matches!(&error, IdentityError::Lists { of, source: ListError::Malformed } if of.ends_with("crl")), "{error:?}");
        assert!(error.hint().is_some());
    }
    fs::remove_file(one.path("crl")).expect("it is there");
    refuse().await;
    // Who begins later hears of it by DER as well, and not by another authority.
    fs::write(one.path("crl"), authority.revoked().expect("it can be read")).expect("there is room");
    assert!(one.load().expect("they fit").revocations().is_revoked(second.certificate()));
    let (_above, _, stranger) = cluster();
    one.put("crl", &pem("X509 CRL", &stranger.revoked().expect("it can be read")));
    assert!(matches!(one.load(), Err(IdentityError::Lists { source: ListError::Stranger, .. })));
}

#[test]
fn files_that_do_not_fit_are_named() {
    let authority = Authority::named("lab");
    let now = Moment::now();
    let valid = || authority.issue_between("host2", now.before(HOUR), now.after(HOUR));
    let files = Files::of(&authority, &valid());
    assert!(files.load().is_ok());
    files.put("key", &pem("PRIVATE KEY", valid().1.secret_pkcs8_der()));
    files.fail("is not that of the certificate `host2` of");
    files.put("key", "hello");
    files.fail("has no private key that can be used");
    let files = Files::of(&authority, &valid());
    fs::set_permissions(files.path("key"), Permissions::from_mode(0o644)).expect("it is ours");
    files.fail("can be read by everybody on this machine");
    fs::set_permissions(files.path("key"), Permissions::from_mode(0o440)).expect("it is ours");
    assert!(files.load().is_ok(), "as Kubernetes writes it");
    files.put("cert", "hello");
    files.fail("cannot read the certificates of");
    files.put("ca", &to_pem(&valid().0[..1]));
    let files = Files::of(&authority, &valid());
    files.put("ca", &to_pem(&valid().0[..1]));
    files.fail("is not that of an authority");
    files.put("ca", &to_pem([Authority::named("lab").certificate()]));
    files.fail("is not by an authority of");
    Files::of(&authority, &authority.issue_between("old", now.before(HOUR * 2), now.before(HOUR))).fail("expired at");
    Files::of(&authority, &authority.issue_between("early", now.after(HOUR), now.after(HOUR * 2))).fail("is valid from");
    fs::remove_file(files.path("ca")).expect("it is there");
    files.fail("cannot use");
}

#[test]
fn a_bundle_is_read_as_it_was_written() {
    let (_above, path, _authority) = cluster();
    let bundle = Identity::load(&path).expect("it can be used").bundle_for_child(&name("child"), NODE_LIFE).expect("it can be issued");
    let line = bundle.to_string();
    assert_eq!(line.parse::<Bundle>().expect("it is one"), bundle);
    assert_eq!(format!("{bundle:?}"), "Bundle(1 roots, a chain of 2)");
    let later = line.replace("\"version\":1", "\"version\":2");
    assert!(later.parse::<Bundle>().expect_err("it is of the future").to_string().contains("version 2"));
}

#[test]
fn damaged_bundles_and_files_are_errors() {
    let (_above, path, _authority) = cluster();
    let line = Identity::load(&path).expect("it can be used").bundle_for_child(&name("child"), HOUR).expect("it can be issued").to_string();
    let text = fs::read_to_string(path.join(NODE)).expect("it is there");
    let mut runner = proptest::test_runner::TestRunner::default();
    let damage = (0..line.len(), prop::sample::select(b"A/+=\"{},:x0".as_slice()));
    let outcome = runner.run(&damage, |(at, byte)| {
        let mut damaged = line.clone().into_bytes();
        damaged[at] = byte;
        if let Ok(bundle) = String::from_utf8(damaged).expect("it is ASCII").parse::<Bundle>() {
            let _ = Identity::from_bundle(bundle);
        }
        let mut damaged = text.clone().into_bytes();
        let at = at % damaged.len();
        damaged[at] = byte;
        let _ = Certificate::from_pem(&damaged);
        Ok(())
    });
    outcome.expect("nothing panics");
}

proptest! {
    #[test]
    fn any_bytes_are_certificates_lists_and_bundles_or_errors(bytes in prop::collection::vec(any::<u8>(), 0..300), text in ".{0,200}") {
        let _ = Certificate::from_der(&bytes);
        let _ = Certificate::from_pem(&bytes);
        let _ = text.parse::<Bundle>();
        let _ = Revocations::open(Vec::new(), Kept::Nowhere).expect("there is nothing to read").accept(&bytes);
    }
}
