//! Identities: what a node proves itself by, and whom it believes.
//!
//! An identity does not change while its node lives, but for the list of what is revoked. Most have one certificate. A node that may
//! launch others and has not the cluster's authority with it has one more, by an authority of its own in memory; by that it and the
//! nodes it launches know each other, and nobody else believes them.

use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;

use super::authority::{AUTHORITY, Authority, AuthorityError, NODE, NODE_KEY};
use super::bundle::Bundle;
use super::certificate::{Certificate, CertificateError, Fingerprint, Name};
use super::clock::Moment;
use super::crypto;
use super::folder::{self, Folder, FolderError};
use super::revocation::{Kept, ListError, Revocations};
use super::verify::{self, Rejection, Usage};

/// What a node proves itself by, and whom it believes.
#[derive(Debug)]
pub struct Identity {
    /// At least one; the first is who the node is to the cluster.
    pub(super) credentials: Vec<Credential>,
    pub(super) roots: Vec<Certificate>,
    /// Where the cluster's authority is, so that others can join here.
    authority: Option<Authority>,
    /// Where it is not: an authority in memory, for the nodes that this one launches.
    ephemeral: Option<Authority>,
    revocations: Revocations,
}

/// A certificate, and the key that goes with it.
#[derive(Clone, Debug)]
pub(super) struct Credential {
    pub(super) certificate: Certificate,
    /// Whom it leads to.
    pub(super) authority: Fingerprint,
    /// The issuers of the chain, by which a server says whom it believes.
    pub(super) issuers: Vec<Vec<u8>>,
    pub(super) key: Arc<CertifiedKey>,
}

/// What the other end of a connection may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// It belongs to the cluster. Its certificate is by an authority that is believed here.
    Member,
    /// It has a token and may send one request, for its certificate: see [`super::join`]. Its certificate is by itself.
    Joiner,
}

/// The other end of a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeerCertificate {
    /// What it may do.
    pub role: Role,
    /// Names its key, which is what a session binds a node to.
    pub fingerprint: Fingerprint,
    /// What its authority calls it.
    pub name: String,
    /// The key of who vouches for it: an authority's, or a joiner's own.
    pub issuer: Fingerprint,
    /// All of it, for [`Revocations::is_revoked`].
    pub certificate: Certificate,
}

/// Why there is no identity.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum IdentityError {
    /// The machine belongs to no cluster.
    #[error("`{0}` has no certificate of a cluster")]
    Missing(String),
    /// A file cannot be read, or can be by others.
    #[error(transparent)]
    Folder(#[from] FolderError),
    /// Everybody on the machine can read the key.
    #[error("the key `{0}` can be read by everybody on this machine")]
    ReadableKey(String),
    /// A file has no certificates.
    #[error("cannot read the certificates of `{of}`")]
    Certificate {
        /// The file.
        of: String,
        /// What is wrong with it.
        source: CertificateError,
    },
    /// A file has no key, or one of a kind that is not used.
    #[error("`{0}` has no private key that can be used; one is ECDSA (P-256, P-384), Ed25519 or RSA, as PEM without a password")]
    Key(String),
    /// The key is another's.
    #[error("the key of `{key}` is not that of the certificate `{name}` of `{of}`")]
    Mismatch {
        /// The file of the certificate.
        of: String,
        /// The name in it.
        name: String,
        /// The file of the key.
        key: String,
    },
    /// The certificate is for the past.
    #[error("the certificate `{name}` of `{of}` expired at {until}; the clock here says {now}")]
    Expired {
        /// The file.
        of: String,
        /// The name in it.
        name: String,
        /// Its end.
        until: Moment,
        /// When it was looked at.
        now: Moment,
    },
    /// The certificate is for the future.
    #[error("the certificate `{name}` of `{of}` is valid from {from} on; the clock here says {now}")]
    NotYet {
        /// The file.
        of: String,
        /// The name in it.
        name: String,
        /// Its beginning.
        from: Moment,
        /// When it was looked at.
        now: Moment,
    },
    /// Who is to be believed is no authority.
    #[error("the certificate `{name}` of `{of}` is not that of an authority")]
    NoAuthority {
        /// The file.
        of: String,
        /// The name in it.
        name: String,
    },
    /// The certificate is by another authority.
    #[error("the certificate `{name}` of `{of}` is not by an authority of `{roots}`")]
    WrongAuthority {
        /// The file.
        of: String,
        /// The name in it.
        name: String,
        /// The file of the authorities.
        roots: String,
    },
    /// The certificate is not for what nodes do.
    #[error("the certificate `{name}` of `{of}` is not for both server and client")]
    Purpose {
        /// The file.
        of: String,
        /// The name in it.
        name: String,
    },
    /// The certificate is on the list.
    #[error("the certificate `{name}` of `{of}` is revoked")]
    Revoked {
        /// The file.
        of: String,
        /// The name in it.
        name: String,
    },
    /// The authority is unusable.
    #[error(transparent)]
    Authority(#[from] AuthorityError),
    /// The list of revoked certificates is.
    #[error(transparent)]
    List(#[from] ListError),
    /// A file of such lists is.
    #[error("cannot use the revocation lists of `{of}`")]
    Lists {
        /// The file.
        of: String,
        /// What is wrong with it.
        source: ListError,
    },
}

impl IdentityError {
    /// What to do about it, if there is something.
    pub fn hint(&self) -> Option<String> {
        const JOIN_AGAIN: &str =
            "`placehost node --join TOKEN` gets a new certificate; `placehost cluster invite` on the authority's machine prints a token";
        Some(match self {
            Self::Missing(_) => "`placehost cluster init` makes a cluster, and `placehost node --join TOKEN` joins one".into(),
            Self::Folder(error) => return error.hint(),
            Self::Authority(AuthorityError::Folder(error)) | Self::List(ListError::Folder(error)) => return error.hint(),
            Self::ReadableKey(key) => format!("chmod 0600 {key}, or `defaultMode: 0440` where Kubernetes mounts it"),
            Self::Mismatch { .. } => "the key and the certificate are of two pairs: give those that were made together".into(),
            Self::Expired { .. } | Self::Revoked { .. } => JOIN_AGAIN.into(),
            Self::NotYet { .. } => "set the clock of this machine, as by NTP".into(),
            Self::NoAuthority { .. } => "the authorities come first, then the node's certificate, then its key".into(),
            Self::Lists { source: ListError::Malformed, .. } => {
                "a list begins with `-----BEGIN X509 CRL-----`, and has a number, by which a newer one is known".into()
            }
            Self::Lists { source: ListError::Stranger, .. } => "each list has to be signed by an authority of `--ca`".into(),
            Self::Purpose { .. } => "a node's certificate is for `server auth` and `client auth`".into(),
            _ => return None,
        })
    }
}

/// Where something was found, for sentences.
struct Found<'a> {
    chain: &'a str,
    key: &'a str,
    roots: &'a str,
}

impl Identity {
    /// That of a machine which belongs to a cluster, by its folder.
    ///
    /// # Errors
    /// [`IdentityError`].
    pub fn load(path: &Path) -> Result<Self, IdentityError> {
        let missing = || IdentityError::Missing(path.display().to_string());
        if !path.exists() {
            return Err(missing());
        }
        let folder = Folder::open(path)?;
        let shown = |name| path.join(name).display().to_string();
        let found = Found { chain: &shown(NODE), key: &shown(NODE_KEY), roots: &shown(AUTHORITY) };
        let mut chain = certificates(found.chain, &folder.read(NODE)?.ok_or_else(missing)?)?;
        let roots = certificates(found.roots, &folder.read(AUTHORITY)?.ok_or_else(missing)?)?;
        let mut key = private_key(found.key, &folder.read(NODE_KEY)?.ok_or_else(missing)?)?;
        let authority = match Authority::load(path) {
            Ok(authority) => Some(authority),
            Err(AuthorityError::Missing { .. }) => None,
            Err(error) => return Err(error.into()),
        };
        // Whoever signs for all need not be asked to sign for itself.
        if let Some(authority) = authority.as_ref().filter(|_| chain[0].is_due(Moment::now())) {
            match authority.renew(&folder, &chain[0]) {
                Ok((new, its)) => (chain, key) = (new, its.into()),
                Err(error) => tracing::warn!("cannot renew the certificate of this machine: {error}"),
            }
        }
        let revocations = Revocations::open(roots.clone(), Kept::Folder(folder))?;
        Self::check(&found, chain, key, roots, revocations, authority)
    }

    /// That of files in PEM, as other tools for certificates write them: the authorities to believe, the node's certificate with what
    /// leads to them, its key, and perhaps the lists of what they have revoked (also in DER), which are read again when they change.
    /// Whoever those authorities sign for servers and clients is a member, so they should sign for nothing else.
    ///
    /// # Errors
    /// [`IdentityError`].
    pub fn from_files(ca: &Path, cert: &Path, key: &Path, crl: Option<&Path>) -> Result<Self, IdentityError> {
        let [shown_ca, shown_cert, shown_key] = [ca, cert, key].map(|path| path.display().to_string());
        let found = Found { chain: &shown_cert, key: &shown_key, roots: &shown_ca };
        let roots = certificates(found.roots, &folder::read(ca)?)?;
        let chain = certificates(found.chain, &folder::read(cert)?)?;
        let text = folder::read(key)?;
        // A group may read it: so Kubernetes gives a secret to a process that is not root.
        if key.metadata().is_ok_and(|about| about.mode() & 0o007 != 0) {
            return Err(IdentityError::ReadableKey(shown_key));
        }
        let key = private_key(found.key, &text)?;
        let kept = crl.map_or(Kept::Nowhere, |crl| Kept::File(crl.to_owned()));
        let of = crl.map(|crl| crl.display().to_string()).unwrap_or_default();
        let revocations = Revocations::open(roots.clone(), kept).map_err(|source| IdentityError::Lists { of, source })?;
        Self::check(&found, chain, key, roots, revocations, None)
    }

    /// That of a node of no cluster, which only the nodes that it launches believe.
    pub fn ephemeral() -> Self {
        let authority = Authority::ephemeral();
        let roots = vec![authority.certificate().clone()];
        let revocations = Revocations::open(roots.clone(), Kept::Nowhere).expect("there is nothing to read");
        let credential = Credential::by(&authority);
        Self { credentials: vec![credential], roots, authority: None, ephemeral: Some(authority), revocations }
    }

    /// That which another node made for this one.
    ///
    /// # Errors
    /// [`IdentityError`]: it is not what [`Self::bundle_for_child`] makes, or no longer valid.
    pub fn from_bundle(bundle: Bundle) -> Result<Self, IdentityError> {
        let found = Found { chain: "the bundle", key: "the bundle", roots: "the bundle" };
        let read = |ders: Vec<Vec<u8>>| {
            let all: Result<Vec<_>, _> = ders.iter().map(|der| Certificate::from_der(der)).collect();
            all.and_then(|all| if all.is_empty() { Err(CertificateError::None) } else { Ok(all) })
                .map_err(|source| IdentityError::Certificate { of: found.chain.into(), source })
        };
        let (roots, chain) = (read(bundle.roots)?, read(bundle.chain)?);
        let key = PrivateKeyDer::try_from(bundle.key).map_err(|_| IdentityError::Key(found.key.into()))?;
        let revocations = Revocations::open(roots.clone(), Kept::Nowhere)?;
        for list in &bundle.revoked {
            revocations.accept(list)?;
        }
        Self::check(&found, chain, key, roots, revocations, None)
    }

    /// What a node that this one launches needs: a certificate with this name for so long, by the cluster's authority if that is here,
    /// so that the whole cluster believes it, and else by this identity's own.
    ///
    /// # Errors
    /// The folder of the authority is unusable.
    pub fn bundle_for_child(&self, name: &Name, life: Duration) -> Result<Bundle, AuthorityError> {
        let authority = self.authority.as_ref().or(self.ephemeral.as_ref()).expect("one of them is always there");
        let (chain, key) = authority.issue(name, life)?;
        let der = |certificate: &Certificate| certificate.der.to_vec();
        let revoked = if self.authority.is_some() { self.revocations.lists() } else { Vec::new() };
        Ok(Bundle {
            roots: vec![der(authority.certificate())],
            chain: chain.iter().map(der).collect(),
            key: key.secret_pkcs8_der().to_vec(),
            revoked,
        })
    }

    /// The node's own certificate.
    pub fn certificate(&self) -> &Certificate {
        &self.credentials[0].certificate
    }

    /// What people are to know and do where the certificate is about to expire; see [`Certificate::is_due`].
    pub fn warning(&self, now: Moment) -> Option<String> {
        let certificate = self.certificate();
        let what = match (&self.authority, self.revocations.is_of_a_cluster()) {
            _ if !certificate.is_due(now) => return None,
            (Some(_), _) => "it is renewed when the node is started again",
            (None, true) => {
                "`placehost node --join TOKEN` renews it, with a token that `placehost cluster invite` prints on the authority's machine"
            }
            (None, false) => "whoever made it has to make another",
        };
        Some(format!("the certificate `{}` of this machine expires at {}: {what}", certificate.name(), certificate.until()))
    }

    /// Whom it believes.
    pub fn roots(&self) -> &[Certificate] {
        &self.roots
    }

    /// The authority of the cluster, where its key is on this machine.
    pub fn authority(&self) -> Option<&Authority> {
        self.authority.as_ref()
    }

    /// What is believed no longer.
    pub fn revocations(&self) -> &Revocations {
        &self.revocations
    }

    /// The server name for connections: it tells a server with several certificates which authority is believed here.
    pub fn server_name(&self) -> String {
        self.credentials[0].authority.server_name()
    }

    /// Who is at the other end of a connection. `None` only while its handshake lasts.
    pub fn peer(&self, connection: &quinn::Connection) -> Option<PeerCertificate> {
        let presented = connection.peer_identity()?.downcast::<Vec<CertificateDer<'static>>>().ok()?;
        let (leaf, rest) = presented.split_first()?;
        let certificate = Certificate::from_der(leaf).ok()?;
        // The verifier let nobody in of whom this would not be true.
        let role = if certificate.is_self_issued() { Role::Joiner } else { Role::Member };
        let issuer = match role {
            Role::Joiner => certificate.fingerprint(),
            Role::Member => {
                let usage = if connection.side().is_client() { Usage::Server } else { Usage::Client };
                // It was checked for its time and for revocation when it came; who vouches for it does not change.
                verify::chain(&self.roots, &[], leaf, rest, certificate.from(), usage).ok()?
            }
        };
        Some(PeerCertificate { role, fingerprint: certificate.fingerprint(), name: certificate.name().into(), issuer, certificate })
    }

    /// Puts together what was read, if it fits.
    fn check(
        found: &Found<'_>,
        chain: Vec<Certificate>,
        key: PrivateKeyDer<'static>,
        roots: Vec<Certificate>,
        revocations: Revocations,
        authority: Option<Authority>,
    ) -> Result<Self, IdentityError> {
        if let Some(other) = roots.iter().find(|root| !root.is_authority) {
            return Err(IdentityError::NoAuthority { of: found.roots.into(), name: other.name().into() });
        }
        let (of, name) = (found.chain.to_owned(), chain[0].name().to_owned());
        let rest: Vec<_> = chain[1..].iter().map(|certificate| certificate.der.clone()).collect();
        let now = Moment::now();
        let leads_to = |usage| revocations.with_current(|lists| verify::chain(&roots, lists, &chain[0].der, &rest, now, usage));
        let leads_to = leads_to(Usage::Server).and_then(|_| leads_to(Usage::Client));
        let leads_to = leads_to.map_err(|rejection| match rejection {
            Rejection::Expired { until, now } => IdentityError::Expired { of, name, until, now },
            Rejection::NotYet { from, now } => IdentityError::NotYet { of, name, from, now },
            Rejection::Revoked => IdentityError::Revoked { of, name },
            Rejection::Purpose => IdentityError::Purpose { of, name },
            Rejection::Malformed => IdentityError::Certificate { of, source: CertificateError::Malformed },
            Rejection::Authority { .. } | Rejection::Invite => IdentityError::WrongAuthority { of, name, roots: found.roots.to_owned() },
        })?;
        let credential = Credential::new(chain, key, leads_to, found)?;
        Ok(Self::assemble(vec![credential], roots, revocations, authority))
    }

    /// Adds what is needed to launch other nodes.
    pub(super) fn assemble(
        mut credentials: Vec<Credential>,
        mut roots: Vec<Certificate>,
        revocations: Revocations,
        authority: Option<Authority>,
    ) -> Self {
        let ephemeral = authority.is_none().then(Authority::ephemeral);
        if let Some(ephemeral) = &ephemeral {
            credentials.push(Credential::by(ephemeral));
            roots.push(ephemeral.certificate().clone());
        }
        Self { credentials, roots, authority, ephemeral, revocations }
    }
}

impl Credential {
    /// A certificate for this node by an authority in memory, which ends with it.
    fn by(authority: &Authority) -> Self {
        let life = Duration::from_secs(u64::MAX);
        let (chain, key) = authority.issue(&Name::of_this_machine(), life).expect("nothing is written");
        let found = Found { chain: "memory", key: "memory", roots: "memory" };
        Self::new(chain, key.into(), authority.certificate().fingerprint(), &found).expect("what was made fits together")
    }

    fn new(chain: Vec<Certificate>, key: PrivateKeyDer<'static>, authority: Fingerprint, found: &Found<'_>) -> Result<Self, IdentityError> {
        let ders = chain.iter().map(|certificate| certificate.der.clone()).collect();
        let certificate = chain.first().expect("a chain has a certificate").clone();
        let key = CertifiedKey::from_der(ders, key, &crypto::provider()).map_err(|error| match error {
            rustls::Error::InconsistentKeys(_) => {
                let [of, name, key] = [found.chain, certificate.name(), found.key].map(str::to_owned);
                IdentityError::Mismatch { of, name, key }
            }
            _ => IdentityError::Key(found.key.to_owned()),
        })?;
        let issuers = chain.into_iter().map(|certificate| certificate.issuer).collect();
        Ok(Self { certificate, authority, issuers, key: Arc::new(key) })
    }

    /// As they come, whether or not they are valid.
    #[cfg(test)]
    pub(super) fn unchecked(chain: Vec<Certificate>, key: PrivateKeyDer<'static>) -> Self {
        let authority = chain.last().expect("there is one").fingerprint();
        Self::new(chain, key, authority, &Found { chain: "", key: "", roots: "" }).expect("the key fits")
    }
}

fn certificates(of: &str, pem: &[u8]) -> Result<Vec<Certificate>, IdentityError> {
    Certificate::from_pem(pem).map_err(|source| IdentityError::Certificate { of: of.to_owned(), source })
}

fn private_key(of: &str, pem: &[u8]) -> Result<PrivateKeyDer<'static>, IdentityError> {
    PrivateKeyDer::from_pem_slice(pem).map_err(|_| IdentityError::Key(of.to_owned()))
}
