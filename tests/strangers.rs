//! Strangers: who comes to a node's port without a certificate that it believes, or with something else than QUIC. They open no
//! stream, hear nothing but why they are refused, and cost nothing that lasts.

use std::fs;
use std::net::UdpSocket;
use std::sync::Arc;
use std::time::Duration;

use quinn::crypto::rustls::QuicClientConfig;
use quinn::{ClientConfig, Connecting, ConnectionError, Endpoint};
use rcgen::{CertificateParams, DnType, ExtendedKeyUsagePurpose, Issuer, KeyPair, date_time_ymd};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{DigitallySignedStruct, SignatureScheme};

use crate::far::{Talk, far};
use crate::held::Held;
use crate::lab::{Lab, Node};
use crate::member::run;

/// Believes everybody.
#[derive(Debug)]
struct Credulous(Arc<CryptoProvider>);

impl ServerCertVerifier for Credulous {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Err(rustls::Error::General("QUIC speaks TLS 1.3".into()))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signed, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

/// A certificate, with its chain, and its key.
type Credential = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

/// By the authority of this cluster, for these years.
fn issued(by: &Lab, from: i32, until: i32) -> Credential {
    let read = |name| fs::read_to_string(by.file(name)).expect("it is ours");
    let authority = KeyPair::from_pem(&read("authority.key")).expect("it is a key");
    let issuer = Issuer::from_ca_cert_pem(&read("authority.pem"), authority).expect("it is an authority's");
    let key = KeyPair::generate().expect("there is randomness");
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, "stranger");
    (params.not_before, params.not_after) = (date_time_ymd(from, 1, 1), date_time_ymd(until, 1, 1));
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
    let certificate = params.signed_by(&key, &issuer).expect("the authority signs");
    (vec![certificate.der().clone()], PrivateKeyDer::Pkcs8(key.serialize_der().into()))
}

/// A client that speaks as nodes do, and shows this, or nothing.
fn client(credential: Option<Credential>, protocol: &str) -> ClientConfig {
    let provider = Arc::new(ring::default_provider());
    let builder = rustls::ClientConfig::builder_with_provider(Arc::clone(&provider));
    let builder = builder.with_protocol_versions(&[&rustls::version::TLS13]).expect("it has 1.3");
    let builder = builder.dangerous().with_custom_certificate_verifier(Arc::new(Credulous(provider)));
    let mut config = match credential {
        Some((chain, key)) => builder.with_client_auth_cert(chain, key).expect("they fit"),
        None => builder.with_no_client_auth(),
    };
    config.alpn_protocols = vec![protocol.into()];
    ClientConfig::new(Arc::new(QuicClientConfig::try_from(config).expect("it has QUIC's suite")))
}

fn endpoint() -> Endpoint {
    Endpoint::client("127.0.0.1:0".parse().expect("it is an address")).expect("there is a socket")
}

fn dial(endpoint: &Endpoint, config: ClientConfig, address: &str) -> Connecting {
    endpoint.connect_with(config, address.parse().expect("it is an address"), "host1").expect("it can be tried")
}

/// Waits until the node refuses; why. The stranger tries all that a connection is good for meanwhile.
async fn refused(connecting: Connecting) -> ConnectionError {
    // The node looks last, so a client is connected for a moment.
    let connection = match connecting.await {
        Ok(connection) => connection,
        Err(error) => return error,
    };
    let (bi, uni, accept, accept_bi) =
        tokio::join!(connection.open_bi(), connection.open_uni(), connection.accept_uni(), connection.accept_bi());
    assert!(bi.is_err() && uni.is_err(), "it opens a stream");
    assert!(accept.is_err() && accept_bi.is_err(), "it is told something");
    connection.closed().await
}

/// A node, with a place that has a name, and who uses it.
struct Stage {
    lab: Lab,
    node: Node,
    talk: Talk,
}

impl Stage {
    fn new() -> Self {
        let lab = Lab::new();
        let node = lab.node(&["--timeout", "1s", "--grace", "0s"]);
        let mut talk = Talk::start(far(&lab, "leaves-one-of-two", &[], &[&node]));
        assert_eq!(talk.get(), "null");
        Self { lab, node, talk }
    }

    #[track_caller]
    fn ends_well(self) {
        far(&self.lab, "finds-what-was-left", &[], &[&self.node]).prints("2\n");
        self.talk.ends_well();
        self.node.signal("-TERM");
        let ended = self.node.end();
        assert_eq!(ended.code, Some(0), "{}", ended.stderr);
        assert!(!ended.stderr.contains("panicked"), "{}", ended.stderr);
    }
}

#[test]
fn strangers_open_no_stream_and_learn_no_names() {
    let (stage, other) = (Stage::new(), Lab::new());
    let address = &stage.node.address;
    for (credential, protocol, says) in [
        (None, "placehost", "certificate"),
        (None, "h3", "protocol"),
        (Some(issued(&other, 2020, 2040)), "placehost", "wrong authority"),
        (Some(issued(&stage.lab, 2020, 2021)), "placehost", "expired"),
        (Some(issued(&stage.lab, 2040, 2041)), "placehost", "not valid"),
    ] {
        let error = run(async { refused(dial(&endpoint(), client(credential, protocol), address)).await });
        let text = format!("{error:?} {error}");
        assert!(text.contains(says), "`{says}` is not in: {text}");
        for name in ["left", "taken", "counter", "far.wasm", "leaves", "lab"] {
            assert!(!text.contains(name), "it learns `{name}`: {text}");
        }
    }
    // That is what the others lack.
    run(async {
        let endpoint = endpoint();
        let connection = dial(&endpoint, client(Some(issued(&stage.lab, 2020, 2040)), "placehost"), address).await.expect("it is a member");
        connection.open_bi().await.expect("it may open the first stream");
    });
    stage.ends_well();
}

#[test]
fn many_strangers_cost_nothing_that_lasts() {
    let stage = Stage::new();
    let crowd = |count: usize| {
        run(async {
            let endpoint = endpoint();
            for _ in 0..count {
                refused(dial(&endpoint, client(None, "placehost"), &stage.node.address)).await;
            }
        });
    };
    crowd(50);
    let before = Held::by(&stage.node);
    crowd(500);
    before.is_all(&stage.node);
    stage.ends_well();
}

/// The first packets of so many clients that begin a handshake.
fn beginnings(count: usize) -> Vec<Vec<u8>> {
    let trap = UdpSocket::bind("127.0.0.1:0").expect("there is a socket");
    trap.set_read_timeout(Some(Duration::from_secs(10))).expect("it is not zero");
    let address = trap.local_addr().expect("it is bound").to_string();
    let mut packets = Vec::new();
    run(async {
        let endpoint = endpoint();
        let config = client(None, "placehost");
        while packets.len() < count {
            let connecting = dial(&endpoint, config.clone(), &address);
            let mut packet = vec![0; 2000];
            let length = tokio::task::block_in_place(|| trap.recv(&mut packet)).expect("it begins");
            packet.truncate(length);
            // Of RFC 9000, section 17.2.2: a long header, of the type Initial, in a packet of at least 1,200 bytes.
            if packet[0] & 0xf0 == 0xc0 && length >= 1200 {
                packets.push(packet);
            }
            drop(connecting);
        }
    });
    packets
}

#[test]
fn handshakes_that_stop_half_way_cost_nothing_that_lasts() {
    let stage = Stage::new();
    let socket = UdpSocket::bind("127.0.0.1:0").expect("there is a socket");
    let storm = |count| {
        for packet in beginnings(count) {
            socket.send_to(&packet, &stage.node.address).expect("it can be sent");
        }
    };
    storm(400);
    stage.lab.has_places(&stage.node, 2);
    let before = Held::by(&stage.node);
    storm(2_000);
    // Who is a member gets in among them.
    stage.lab.has_places(&stage.node, 2);
    before.is_all(&stage.node);
    stage.ends_well();
}

#[test]
fn packets_of_no_sense_are_nothing_to_a_node() {
    let stage = Stage::new();
    let socket = UdpSocket::bind("127.0.0.1:0").expect("there is a socket");
    let beginnings = beginnings(20);
    let mut state = 1_u64;
    let mut random = || {
        state = state.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(0x1405_7b7e_f767_814f);
        (state >> 33) as usize
    };
    let mut storm = |count: usize| {
        for n in 0..count {
            let mut packet = match n % 4 {
                // Noise; a handshake of which some is another; one that is cut short; one of another version.
                0 => (0..random() % 1500).map(|_| random() as u8).collect(),
                _ => beginnings[random() % beginnings.len()].clone(),
            };
            match n % 4 {
                1 => (0..8).for_each(|_| {
                    let at = random() % packet.len();
                    packet[at] = random() as u8;
                }),
                2 => packet.truncate(random() % packet.len()),
                3 => packet[1..5].copy_from_slice(&(random() as u32).to_be_bytes()),
                _ => {}
            }
            // What the node's socket has no room for is lost, as on any line.
            socket.send_to(&packet, &stage.node.address).expect("it can be sent");
        }
    };
    storm(2_000);
    stage.lab.has_places(&stage.node, 2);
    let before = Held::by(&stage.node);
    storm(10_000);
    stage.lab.has_places(&stage.node, 2);
    before.is_all(&stage.node);
    stage.ends_well();
}
