//! TLS as nodes speak it: version 1.3, both sides with a certificate, nothing resumed and nothing early.
//!
//! A session that is resumed would pass by the check of certificates, so there are no tickets; a handshake costs a millisecond, and
//! two nodes make one. A node with several certificates shows the one by the authority that the other side asks for.

use std::sync::Arc;

use quinn::crypto::rustls::{NoInitialCipherSuite, QuicClientConfig, QuicServerConfig};
use rustls::client::{ResolvesClientCert, Resumption};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, NoServerSessionStorage, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::version::TLS13;
use rustls::{ClientConfig, ServerConfig, SignatureScheme};

use super::crypto;
use super::identity::Identity;
use super::token::Token;
use super::verify::{Invited, Verifier};

/// The protocol, for ALPN (RFC 7301). What joiners and members may say is told apart by their certificates.
pub const PROTOCOL: &[u8] = b"placehost";

/// Why TLS cannot be set up. None of these happens with the provider that is compiled in.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TlsError {
    /// rustls refused the settings.
    #[error("cannot set TLS up")]
    Settings(#[from] rustls::Error),
    /// The provider lacks what QUIC begins with.
    #[error("cannot set TLS up for QUIC")]
    Quic(#[from] NoInitialCipherSuite),
}

/// For the side that is connected to: it believes members, and joiners whose invitation is outstanding.
///
/// # Errors
/// [`TlsError`].
pub fn server_config(identity: &Arc<Identity>) -> Result<QuicServerConfig, TlsError> {
    let builder = ServerConfig::builder_with_provider(crypto::provider()).with_protocol_versions(&[&TLS13])?;
    let chooser = Arc::new(Chooser(Arc::clone(identity)));
    let mut config = builder.with_client_cert_verifier(Verifier::new(identity)).with_cert_resolver(chooser);
    config.alpn_protocols = vec![PROTOCOL.into()];
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    config.max_early_data_size = 0;
    Ok(config.try_into()?)
}

/// For the side that connects, to [`Identity::server_name`]: it believes members.
///
/// # Errors
/// [`TlsError`].
pub fn client_config(identity: &Arc<Identity>) -> Result<QuicClientConfig, TlsError> {
    let builder = ClientConfig::builder_with_provider(crypto::provider()).with_protocol_versions(&[&TLS13])?;
    let builder = builder.dangerous().with_custom_certificate_verifier(Verifier::new(identity));
    client(builder.with_client_cert_resolver(Arc::new(Chooser(Arc::clone(identity)))))
}

/// For a joiner: it believes whom the authority of the token vouches for.
pub(super) fn joiner_config(token: &Token) -> Result<QuicClientConfig, TlsError> {
    let builder = ClientConfig::builder_with_provider(crypto::provider()).with_protocol_versions(&[&TLS13])?;
    let builder = builder.dangerous().with_custom_certificate_verifier(Arc::new(Invited { authority: token.authority() }));
    let (certificate, key): (CertificateDer<'static>, PrivateKeyDer<'static>) = token.credential();
    client(builder.with_client_auth_cert(vec![certificate], key)?)
}

fn client(mut config: ClientConfig) -> Result<QuicClientConfig, TlsError> {
    config.alpn_protocols = vec![PROTOCOL.into()];
    config.resumption = Resumption::disabled();
    config.enable_early_data = false;
    Ok(config.try_into()?)
}

/// Chooses among the certificates of an identity. Where none fits it is the first: the other side then says whom it believes.
#[derive(Debug)]
struct Chooser(Arc<Identity>);

impl ResolvesServerCert for Chooser {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let all = &self.0.credentials;
        let asked = all.iter().find(|one| hello.server_name().is_some_and(|name| name == one.authority.server_name()));
        asked.or(all.first()).map(|one| Arc::clone(&one.key))
    }
}

impl ResolvesClientCert for Chooser {
    fn resolve(&self, hints: &[&[u8]], _: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        let all = &self.0.credentials;
        let asked = all.iter().find(|one| one.issuers.iter().any(|issuer| hints.contains(&issuer.as_slice())));
        asked.or(all.first()).map(|one| Arc::clone(&one.key))
    }

    fn has_certs(&self) -> bool {
        true
    }
}
