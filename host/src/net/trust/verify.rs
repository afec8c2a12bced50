//! Whom to believe: the checks of a handshake, on both sides.
//!
//! A certificate has to lead to an authority that is believed, be valid now, be for what it is used for, and not be revoked. No name
//! is compared with where somebody was reached: any member may be any node, and sessions bind a node to its key. The words of a
//! refusal travel: quinn sends the error's text to the other side, where [`super::refusal`] reads the parts it knows.

use std::fmt;
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{WebPkiSupportedAlgorithms, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{CertificateError, DigitallySignedStruct, DistinguishedName, OtherError, PeerIncompatible, SignatureScheme};
use webpki::{CertRevocationList, EndEntityCert, KeyUsage, RevocationCheckDepth, RevocationOptionsBuilder, UnknownStatusPolicy};

use super::certificate::{Certificate, Fingerprint};
use super::clock::Moment;
use super::crypto;
use super::identity::Identity;

/// What a certificate is used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Usage {
    Server,
    Client,
}

/// Why a certificate is not believed.
#[derive(Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum Rejection {
    #[error("it expired at {until}; it is {now}")]
    Expired { until: Moment, now: Moment },
    #[error("it is valid from {from} on; it is {now}")]
    NotYet { from: Moment, now: Moment },
    #[error("it is revoked")]
    Revoked,
    /// The words that [`super::refusal`] looks for on the other side.
    #[error("wrong authority: presented {presented}, trusted{}", list(trusted))]
    Authority { presented: String, trusted: Vec<String> },
    #[error("it is for another purpose")]
    Purpose,
    #[error("the invitation is used or expired")]
    Invite,
    #[error("it cannot be read")]
    Malformed,
}

fn list(fingerprints: &[String]) -> String {
    fingerprints.iter().flat_map(|fingerprint| [" ", fingerprint]).collect()
}

impl fmt::Debug for Rejection {
    /// As `Display`: rustls shows errors that are not its own so.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl From<Rejection> for rustls::Error {
    /// Each with the alert that RFC 8446, section 6.2, has for it.
    fn from(rejection: Rejection) -> Self {
        Self::InvalidCertificate(match rejection {
            Rejection::Expired { until, now } => CertificateError::ExpiredContext { time: now.unix(), not_after: until.unix() },
            Rejection::NotYet { from, now } => CertificateError::NotValidYetContext { time: now.unix(), not_before: from.unix() },
            Rejection::Revoked => CertificateError::Revoked,
            Rejection::Purpose => CertificateError::InvalidPurpose,
            Rejection::Invite => CertificateError::ApplicationVerificationFailure,
            Rejection::Malformed => CertificateError::BadEncoding,
            // Its alert would be `unknown_ca`, but then the words would be rustls's, and name nobody.
            Rejection::Authority { .. } => CertificateError::Other(OtherError(Arc::new(rejection))),
        })
    }
}

/// Finds the authority among `roots` that a certificate leads to.
pub(super) fn chain(
    roots: &[Certificate],
    revoked: &[&CertRevocationList<'_>],
    leaf: &CertificateDer<'_>,
    rest: &[CertificateDer<'_>],
    now: Moment,
    usage: Usage,
) -> Result<Fingerprint, Rejection> {
    let anchors: Vec<_> = roots.iter().filter_map(|root| webpki::anchor_from_trusted_cert(&root.der).ok()).collect();
    let end = EndEntityCert::try_from(leaf).map_err(|_| Rejection::Malformed)?;
    let options = RevocationOptionsBuilder::new(revoked).ok().map(|options| {
        // Who has made no list has revoked nothing.
        options.with_depth(RevocationCheckDepth::Chain).with_status_policy(UnknownStatusPolicy::Allow).build()
    });
    let usage = match usage {
        Usage::Server => KeyUsage::server_auth(),
        Usage::Client => KeyUsage::client_auth(),
    };
    let algorithms = crypto::provider().signature_verification_algorithms.all;
    let path = end.verify_for_usage(algorithms, &anchors, rest, now.unix(), usage, options, None);
    match path {
        Ok(path) => Ok(Fingerprint::of(&webpki::spki_for_anchor(path.anchor()))),
        Err(error) => Err(rejection(&error, roots, leaf, rest)),
    }
}

fn rejection(error: &webpki::Error, roots: &[Certificate], leaf: &CertificateDer<'_>, rest: &[CertificateDer<'_>]) -> Rejection {
    use webpki::Error;
    match *error {
        Error::CertExpired { time, not_after } => Rejection::Expired { until: not_after.into(), now: time.into() },
        Error::CertNotValidYet { time, not_before } => Rejection::NotYet { from: not_before.into(), now: time.into() },
        Error::CertRevoked => Rejection::Revoked,
        Error::RequiredEkuNotFoundContext(_) => Rejection::Purpose,
        Error::BadDer | Error::BadDerTime | Error::UnsupportedCertVersion | Error::MalformedExtensions => Rejection::Malformed,
        // Whatever else is wrong with it: it does not lead to whom we believe.
        _ => wrong_authority(roots, leaf, rest),
    }
}

/// The last certificate that was presented is the authority's, where somebody is one of us, and else nearest to it.
fn wrong_authority(roots: &[Certificate], leaf: &CertificateDer<'_>, rest: &[CertificateDer<'_>]) -> Rejection {
    let presented = Certificate::from_der(rest.last().unwrap_or(leaf));
    let presented = presented.map_or_else(|_| "unknown".to_owned(), |last| last.fingerprint().short());
    Rejection::Authority { presented, trusted: roots.iter().map(|root| root.fingerprint().short()).collect() }
}

/// What a member asks of whoever is at the other end.
pub(super) struct Verifier {
    identity: Arc<Identity>,
    hints: Vec<DistinguishedName>,
}

impl Verifier {
    pub(super) fn new(identity: &Arc<Identity>) -> Arc<Self> {
        let hints = identity.roots.iter().map(|root| root.subject.clone().into()).collect();
        Arc::new(Self { identity: Arc::clone(identity), hints })
    }

    fn member(&self, leaf: &CertificateDer<'_>, rest: &[CertificateDer<'_>], now: UnixTime, usage: Usage) -> Result<(), Rejection> {
        let certificate = Certificate::from_der(leaf).map_err(|_| Rejection::Malformed)?;
        let roots = &self.identity.roots;
        // Even if it were signed by whom we believe: who is its own issuer is a joiner to those who ask for roles.
        if certificate.is_self_issued() {
            return Err(wrong_authority(roots, leaf, rest));
        }
        self.identity.revocations().with_current(|lists| chain(roots, lists, leaf, rest, now.into(), usage)).map(drop)
    }

    /// A joiner's certificate is by itself, and its key is that of an invitation.
    fn joiner(&self, certificate: &Certificate) -> Result<(), Rejection> {
        let authority = self.identity.authority().ok_or(Rejection::Invite)?;
        authority.check_invite(certificate.fingerprint()).map_err(|error| {
            tracing::info!("somebody with a token was refused: {error}");
            Rejection::Invite
        })
    }
}

impl ClientCertVerifier for Verifier {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &self.hints
    }

    fn verify_client_cert(
        &self,
        leaf: &CertificateDer<'_>,
        rest: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        match Certificate::from_der(leaf) {
            Ok(certificate) if certificate.is_self_issued() && certificate.name() == "joiner" => self.joiner(&certificate)?,
            _ => self.member(leaf, rest, now, Usage::Client)?,
        }
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Err(never())
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        leaf: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, leaf, signed, &algorithms())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        algorithms().supported_schemes()
    }
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        leaf: &CertificateDer<'_>,
        rest: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        self.member(leaf, rest, now, Usage::Server)?;
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Err(never())
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        leaf: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, leaf, signed, &algorithms())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        algorithms().supported_schemes()
    }
}

impl fmt::Debug for Verifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Verifier")
    }
}

/// What a joiner asks of the node that it joins at: that the authority of its token vouches for it.
#[derive(Debug)]
pub(super) struct Invited {
    pub(super) authority: Fingerprint,
}

impl ServerCertVerifier for Invited {
    fn verify_server_cert(
        &self,
        leaf: &CertificateDer<'_>,
        rest: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let named = rest.iter().filter_map(|der| Certificate::from_der(der).ok());
        let roots: Vec<_> = named.filter(|certificate| certificate.fingerprint() == self.authority).collect();
        match chain(&roots, &[], leaf, rest, now.into(), Usage::Server) {
            Ok(_) => Ok(ServerCertVerified::assertion()),
            Err(Rejection::Authority { presented, .. }) => {
                Err(Rejection::Authority { presented, trusted: vec![self.authority.short()] }.into())
            }
            Err(rejection) => Err(rejection.into()),
        }
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Err(never())
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        leaf: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, leaf, signed, &algorithms())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        algorithms().supported_schemes()
    }
}

fn algorithms() -> WebPkiSupportedAlgorithms {
    crypto::provider().signature_verification_algorithms
}

/// QUIC has no TLS 1.2 (RFC 9001, section 4.2), so nobody asks for its signatures.
fn never() -> rustls::Error {
    PeerIncompatible::Tls13RequiredForQuic.into()
}
