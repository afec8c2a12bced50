//! The authority of a cluster: it signs who belongs to it, and revokes who no longer does.
//!
//! Its folder has its key (`authority.key`), its certificate (`authority.pem`), the certificate of the machine's own node (`node.key`,
//! `node.pem`), the list of what is revoked (`revoked.crl`), a copy of each certificate that is valid yet (`issued/`), and a file for
//! each invitation (`invites/`). An authority without a folder lives in memory, for a node that launches others.

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, CertificateSigningRequestParams, DistinguishedName, DnType,
    ExtendedKeyUsagePurpose, IsCa, Issuer, KeyIdMethod, KeyPair, KeyUsagePurpose, PKCS_ECDSA_P256_SHA256, PublicKeyData, RevokedCertParams,
    SerialNumber,
};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateSigningRequestDer, PrivatePkcs8KeyDer};

use super::certificate::{Certificate, CertificateError, Fingerprint, Name, pem, to_pem};
use super::clock::Moment;
use super::crypto;
use super::folder::{Folder, FolderError};
use super::invite::{Invite, InviteError, Invites};
use super::revocation::{self, List, ListError};
use super::token::Token;
use crate::net::address::Address;

/// Files of the folder.
pub(super) const AUTHORITY: &str = "authority.pem";
pub(super) const NODE: &str = "node.pem";
pub(super) const NODE_KEY: &str = "node.key";
const AUTHORITY_KEY: &str = "authority.key";
/// The copies of what was issued: `issued/UNTIL-SERIAL.pem`, so that the expired are found by their names.
const ISSUED: &str = "issued";
const DAY: Duration = Duration::from_secs(24 * 3600);
/// How long an authority is believed.
const AUTHORITY_LIFE: Duration = DAY.saturating_mul(3650);
/// How long a node of a cluster is.
pub const NODE_LIFE: Duration = DAY.saturating_mul(365);
/// Clocks of machines that keep them differ by less.
const CLOCKS_DIFFER: Duration = Duration::from_secs(300);

/// Who signs.
pub struct Authority {
    certificate: Certificate,
    issuer: Issuer<'static, KeyPair>,
    folder: Option<Folder>,
}

/// Why there is no authority, or it did not sign.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AuthorityError {
    /// There is one already, or this machine has joined one.
    #[error("`{}` belongs to a cluster already", path.display())]
    Taken {
        /// The folder.
        path: PathBuf,
    },
    /// There is none.
    #[error("`{}` has no authority of a cluster", path.display())]
    Missing {
        /// The folder.
        path: PathBuf,
    },
    /// A file is not what it should be.
    #[error("`{}` is damaged", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong, if it is a certificate.
        source: Option<CertificateError>,
    },
    /// The folder is unusable.
    #[error(transparent)]
    Folder(#[from] FolderError),
    /// The list of revoked certificates is.
    #[error(transparent)]
    List(#[from] ListError),
    /// What should be signed is no request for a certificate, or its signature is not by its own key.
    #[error("it is no request for a certificate")]
    Request,
}

/// Why nothing was revoked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RevokeError {
    /// No certificate that is still valid has that name or fingerprint.
    #[error("there is no certificate of `{which}` that is valid")]
    Unknown {
        /// What was looked for.
        which: String,
        /// Whom there are certificates of.
        names: Vec<String>,
    },
    /// The machine of the authority would be out of its own cluster.
    #[error("`{0}` is the authority's own node")]
    Own(String),
    /// All are already.
    #[error("`{0}` is revoked already")]
    Already(String),
    /// The authority is unusable.
    #[error(transparent)]
    Authority(#[from] AuthorityError),
}

impl Authority {
    /// Makes an authority with this name in a folder, and a certificate for the machine's own node.
    ///
    /// # Errors
    /// [`AuthorityError::Taken`]: nothing is ever overwritten; [`AuthorityError::Folder`].
    pub fn create(path: &Path, name: &Name, node: &Name) -> Result<Self, AuthorityError> {
        let folder = Folder::make(path)?;
        let _lock = folder.lock()?;
        if folder.has(AUTHORITY) || folder.has(NODE) {
            return Err(AuthorityError::Taken { path: path.to_owned() });
        }
        let authority = Self { folder: Some(folder.clone()), ..Self::new(name) };
        let (chain, key) = authority.issue(node, NODE_LIFE)?;
        // The certificates last, for by them others see that the rest is there.
        folder.write(AUTHORITY_KEY, pem("PRIVATE KEY", authority.issuer.key().serialized_der()).as_bytes())?;
        folder.write(NODE_KEY, pem("PRIVATE KEY", key.secret_pkcs8_der()).as_bytes())?;
        authority.write_list(&[], 1)?;
        folder.write(NODE, to_pem(&chain).as_bytes())?;
        folder.write(AUTHORITY, to_pem([&authority.certificate]).as_bytes())?;
        Ok(authority)
    }

    /// The authority in a folder.
    ///
    /// # Errors
    /// [`AuthorityError::Missing`], [`AuthorityError::Damaged`], [`AuthorityError::Folder`].
    pub fn load(path: &Path) -> Result<Self, AuthorityError> {
        let missing = || AuthorityError::Missing { path: path.to_owned() };
        if !path.exists() {
            return Err(missing());
        }
        let folder = Folder::open(path)?;
        let damaged = |name| AuthorityError::Damaged { path: path.join(name), source: None };
        let key = folder.read(AUTHORITY_KEY)?.ok_or_else(missing)?;
        let key = PrivatePkcs8KeyDer::from_pem_slice(&key).map_err(|_| damaged(AUTHORITY_KEY))?;
        let key = KeyPair::from_pkcs8_der_and_sign_algo(&key, &PKCS_ECDSA_P256_SHA256).map_err(|_| damaged(AUTHORITY_KEY))?;
        let certificate = first(&folder, AUTHORITY)?.ok_or_else(missing)?;
        if Fingerprint::of(&key.subject_public_key_info()) != certificate.fingerprint() {
            return Err(damaged(AUTHORITY_KEY));
        }
        let issuer = Issuer::from_ca_cert_der(&certificate.der, key).map_err(|_| damaged(AUTHORITY))?;
        Ok(Self { certificate, issuer, folder: Some(folder) })
    }

    /// An authority in memory. Whom it signs is believed by its maker, and by whom its maker signs.
    pub(super) fn ephemeral() -> Self {
        Self::new(&"ephemeral".parse().expect("it is a name"))
    }

    fn new(name: &Name) -> Self {
        let key = new_key();
        let now = Moment::now();
        let mut params = params(name.as_str(), now.before(CLOCKS_DIFFER), now.after(AUTHORITY_LIFE));
        // A name of its own, so that a node of two clusters of the same name can tell which certificate it is asked for.
        let fingerprint = Fingerprint::of(&key.subject_public_key_info()).to_string();
        params.distinguished_name.push(DnType::OrganizationalUnitName, &fingerprint[..16]);
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let signed = params.self_signed(&key).expect("a key of ours signs");
        let certificate = Certificate::from_der(signed.der()).expect("what was made is a certificate");
        Self { certificate, issuer: Issuer::new(params, key), folder: None }
    }

    /// Its own certificate.
    pub fn certificate(&self) -> &Certificate {
        &self.certificate
    }

    /// Signs a request (PKCS #10), of which only the key is taken: the certificate says this name, and that its owner may be server and
    /// client. The answer is the chain, up to the authority's own.
    ///
    /// # Errors
    /// [`AuthorityError::Request`], [`AuthorityError::Folder`].
    pub fn sign(&self, request: &[u8], name: &Name) -> Result<Vec<Certificate>, AuthorityError> {
        let request = CertificateSigningRequestParams::from_der(&CertificateSigningRequestDer::from(request));
        let request = request.map_err(|_| AuthorityError::Request)?;
        let params = self.node_params(name, NODE_LIFE);
        let signed = CertificateSigningRequestParams { params, ..request }.signed_by(&self.issuer).map_err(|_| AuthorityError::Request)?;
        self.issued(Certificate::from_der(signed.der()).map_err(|_| AuthorityError::Request)?)
    }

    /// A new key and its certificate.
    pub(super) fn issue(&self, name: &Name, life: Duration) -> Result<(Vec<Certificate>, PrivatePkcs8KeyDer<'static>), AuthorityError> {
        let key = new_key();
        let signed = self.node_params(name, life).signed_by(&key, &self.issuer).expect("a key of ours signs");
        let chain = self.issued(Certificate::from_der(signed.der()).expect("what was made is a certificate"))?;
        Ok((chain, key.serialize_der().into()))
    }

    /// A new certificate for the machine's own node, with the name of the old one.
    pub(super) fn renew(
        &self,
        folder: &Folder,
        old: &Certificate,
    ) -> Result<(Vec<Certificate>, PrivatePkcs8KeyDer<'static>), AuthorityError> {
        let damaged = || AuthorityError::Damaged { path: folder.path(NODE), source: None };
        let name: Name = old.name().parse().map_err(|_| damaged())?;
        let _lock = folder.lock()?;
        let (chain, key) = self.issue(&name, NODE_LIFE)?;
        folder.write(NODE_KEY, pem("PRIVATE KEY", key.secret_pkcs8_der()).as_bytes())?;
        folder.write(NODE, to_pem(&chain).as_bytes())?;
        Ok((chain, key))
    }

    fn node_params(&self, name: &Name, life: Duration) -> CertificateParams {
        let now = Moment::now();
        // Nobody is believed longer than who vouches for him.
        let until = now.after(life).min(self.certificate.until());
        node_params(name.as_str(), now.before(CLOCKS_DIFFER), until)
    }

    /// Keeps a copy, by which the certificate can be revoked, before anybody else has it.
    fn issued(&self, certificate: Certificate) -> Result<Vec<Certificate>, AuthorityError> {
        if let Some(folder) = &self.folder {
            let issued = folder.inner(ISSUED)?;
            let now = Moment::now();
            for name in issued.names()?.iter().filter(|name| expiry(name).is_some_and(|until| until < now)) {
                issued.take(name)?;
            }
            let name = format!("{:012}-{}.pem", certificate.until().0, certificate.serial());
            issued.write(&name, to_pem([&certificate]).as_bytes())?;
        }
        Ok(vec![certificate, self.certificate.clone()])
    }

    /// The certificates that have not expired, in the order in which they will.
    ///
    /// # Errors
    /// The folder is unusable.
    pub fn members(&self) -> Result<Vec<Certificate>, AuthorityError> {
        let Some(folder) = &self.folder else { return Ok(Vec::new()) };
        let issued = folder.inner(ISSUED)?;
        let now = Moment::now();
        let all = issued.names()?.into_iter().filter(|name| expiry(name).is_some_and(|until| until >= now));
        all.filter_map(|name| first(&issued, &name).transpose()).collect()
    }

    /// The invitations that can still be used.
    ///
    /// # Errors
    /// The folder is unusable.
    pub fn invites(&self) -> Result<Vec<Invite>, AuthorityError> {
        let Some(folder) = &self.folder else { return Ok(Vec::new()) };
        let now = Moment::now();
        Ok(Invites::of(folder)?.all()?.into_iter().filter(|invite| invite.expires >= now).collect())
    }

    /// Invites a machine, which will come to one of these addresses.
    ///
    /// # Errors
    /// The folder is unusable.
    ///
    /// # Panics
    /// There are no addresses, or more than [`super::token::MAX_ADDRESSES`]; or the authority has no folder.
    pub fn invite(&self, addresses: Vec<Address>, life: Duration) -> Result<Token, AuthorityError> {
        let folder = self.folder.as_ref().expect("an authority that invites has a folder");
        let token = Token::new(addresses, self.certificate.fingerprint(), Moment::now().after(life));
        Invites::of(folder)?.add(Invite { fingerprint: token.fingerprint(), expires: token.expires() })?;
        Ok(token)
    }

    /// Whether a joiner with this key may come in.
    pub(super) fn check_invite(&self, key: Fingerprint) -> Result<(), InviteError> {
        self.folder.as_ref().map_or(Err(InviteError::Unknown), |folder| Invites::of(folder)?.check(key))
    }

    /// Uses up the invitation of a joiner with this key; of many who try at once, one has success.
    ///
    /// # Errors
    /// [`InviteError`]: there is none, or no longer.
    pub fn redeem(&self, key: Fingerprint) -> Result<(), InviteError> {
        self.folder.as_ref().map_or(Err(InviteError::Unknown), |folder| Invites::of(folder)?.redeem(key))
    }

    /// The list of what is revoked, in DER.
    ///
    /// # Errors
    /// The folder is unusable, or the list is not ours.
    pub fn revoked(&self) -> Result<Vec<u8>, AuthorityError> {
        Ok(self.list()?.map(|list| list.der).unwrap_or_default())
    }

    /// Revokes all certificates with this name, or whose key's fingerprint begins so (at least 8 digits). Nodes learn of it from the
    /// list: those of this machine at once, others when they next meet one that knows.
    ///
    /// # Errors
    /// [`RevokeError`].
    pub fn revoke(&self, which: &str) -> Result<Vec<Certificate>, RevokeError> {
        let _lock = self.folder.as_ref().map(Folder::lock).transpose().map_err(AuthorityError::from)?;
        let members = self.members()?;
        let begins = |member: &Certificate| which.len() >= 8 && member.fingerprint().to_string().starts_with(which);
        let mut named: Vec<_> = members.iter().filter(|member| member.name() == which || begins(member)).cloned().collect();
        if named.is_empty() {
            let mut names: Vec<_> = members.iter().map(|member| member.name().to_owned()).collect();
            names.dedup();
            return Err(RevokeError::Unknown { which: which.to_owned(), names });
        }
        let own = self.folder.as_ref().and_then(|folder| first(folder, NODE).ok()?);
        // Another that has taken its name can be revoked by it.
        named.retain(|member| own.as_ref() != Some(member));
        if named.is_empty() {
            return Err(RevokeError::Own(which.to_owned()));
        }
        let list = self.list()?;
        let (mut serials, number) = list.map_or_else(Default::default, |list| (list.serials, list.number));
        let new: Vec<_> = named.into_iter().filter(|certificate| serials.insert(certificate.raw_serial().to_vec())).collect();
        if new.is_empty() {
            return Err(RevokeError::Already(which.to_owned()));
        }
        self.write_list(&Vec::from_iter(serials), number + 1)?;
        Ok(new)
    }

    fn list(&self) -> Result<Option<List>, AuthorityError> {
        let Some(folder) = &self.folder else { return Ok(None) };
        let der = folder.read(revocation::FILE)?;
        Ok(der.map(|der| List::verify(&der, std::slice::from_ref(&self.certificate))).transpose()?)
    }

    fn write_list(&self, serials: &[Vec<u8>], number: u64) -> Result<(), AuthorityError> {
        let Some(folder) = &self.folder else { return Ok(()) };
        let now = Moment::now();
        let revoked = serials.iter().map(|serial| RevokedCertParams {
            serial_number: SerialNumber::from_slice(serial),
            revocation_time: now.date(),
            reason_code: None,
            invalidity_date: None,
        });
        let params = CertificateRevocationListParams {
            this_update: now.before(CLOCKS_DIFFER).date(),
            // A list holds until there is a newer one. A date after which it did not would end the cluster, were it forgotten.
            next_update: now.after(AUTHORITY_LIFE).date(),
            crl_number: SerialNumber::from(number),
            issuing_distribution_point: None,
            revoked_certs: revoked.collect(),
            key_identifier_method: KeyIdMethod::Sha256,
        };
        let list = params.signed_by(&self.issuer).expect("a key of ours signs");
        Ok(folder.write(revocation::FILE, list.der())?)
    }
}

impl fmt::Debug for Authority {
    /// Without the key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Authority({:?})", self.certificate)
    }
}

/// ECDSA on P-256, which every TLS library and every tool for certificates can read.
pub(super) fn new_key() -> KeyPair {
    KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).expect("the system has randomness")
}

/// A certificate of a node, before it is signed.
fn node_params(name: &str, from: Moment, until: Moment) -> CertificateParams {
    let mut params = params(name, from, until);
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
    params.use_authority_key_identifier_extension = true;
    params
}

fn params(name: &str, from: Moment, until: Moment) -> CertificateParams {
    let mut serial: [u8; 16] = crypto::random();
    // Its first bits are 01, so that DER writes it as it is: neither a zero before it nor one taken away.
    serial[0] = serial[0] & 0x3f | 0x40;
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    params.serial_number = Some(SerialNumber::from_slice(&serial));
    params.not_before = from.date();
    params.not_after = until.date();
    params
}

/// When the certificate in a file of `issued/` expires.
fn expiry(name: &str) -> Option<Moment> {
    Some(Moment(name.split_once('-')?.0.parse().ok()?))
}

/// The first certificate in a file, if there is the file.
fn first(folder: &Folder, name: &str) -> Result<Option<Certificate>, AuthorityError> {
    let Some(pem) = folder.read(name)? else { return Ok(None) };
    let damaged = |error| AuthorityError::Damaged { path: folder.path(name), source: Some(error) };
    Ok(Certificate::from_pem(&pem).map_err(damaged)?.into_iter().next())
}

#[cfg(test)]
impl Authority {
    /// An authority in memory with this name.
    pub(in crate::net) fn named(name: &str) -> Self {
        Self::new(&name.parse().expect("it is a name"))
    }

    /// A certificate valid between these moments, and its key.
    pub(super) fn issue_between(&self, name: &str, from: Moment, until: Moment) -> (Vec<Certificate>, PrivatePkcs8KeyDer<'static>) {
        let key = new_key();
        let signed = node_params(name, from, until).signed_by(&key, &self.issuer).expect("a key of ours signs");
        let certificate = Certificate::from_der(signed.der()).expect("it is a certificate");
        (vec![certificate, self.certificate.clone()], key.serialize_der().into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> Name {
        text.parse().expect("it is a name")
    }

    #[test]
    fn a_cluster_is_made_once() {
        let above = tempfile::tempdir().expect("there is room");
        let path = above.path().join("cluster");
        assert!(matches!(Authority::load(&path), Err(AuthorityError::Missing { .. })));
        let made = Authority::create(&path, &name("lab"), &name("host1")).expect("it can be made");
        assert!(matches!(Authority::create(&path, &name("lab"), &name("host1")), Err(AuthorityError::Taken { .. })));
        let loaded = Authority::load(&path).expect("it is there");
        assert_eq!(loaded.certificate, made.certificate);
        assert_eq!(loaded.members().expect("they can be listed").len(), 1);
    }

    #[test]
    fn a_key_of_another_authority_is_noticed() {
        let above = tempfile::tempdir().expect("there is room");
        let paths = ["a", "b"].map(|folder| above.path().join(folder));
        for path in &paths {
            Authority::create(path, &name("lab"), &name("host1")).expect("it can be made");
        }
        std::fs::copy(paths[0].join(AUTHORITY_KEY), paths[1].join(AUTHORITY_KEY)).expect("it can be copied");
        assert!(matches!(Authority::load(&paths[1]), Err(AuthorityError::Damaged { .. })));
    }

    #[test]
    fn only_the_key_of_a_request_is_taken() {
        let authority = Authority::named("lab");
        let mut wishes = node_params("root", Moment(0), Moment::now().after(AUTHORITY_LIFE));
        (wishes.is_ca, wishes.serial_number) = (IsCa::Ca(BasicConstraints::Unconstrained), None);
        (wishes.not_before, wishes.not_after) = (CertificateParams::default().not_before, CertificateParams::default().not_after);
        wishes.use_authority_key_identifier_extension = false;
        let key = new_key();
        let request = wishes.serialize_request(&key).expect("a key of ours signs");
        let chain = authority.sign(request.der(), &name("host2")).expect("it is a request");
        assert_eq!((chain[0].name(), chain[0].is_authority), ("host2", false));
        assert_eq!(chain[0].fingerprint(), Fingerprint::of(&key.subject_public_key_info()));
        assert!(chain[0].until() <= Moment::now().after(NODE_LIFE));
        let mut forged = request.der().to_vec();
        *forged.last_mut().expect("it has bytes") ^= 1;
        assert!(matches!(authority.sign(&forged, &name("host2")), Err(AuthorityError::Request)));
    }

    #[test]
    fn who_is_revoked_is_named_and_numbered() {
        let above = tempfile::tempdir().expect("there is room");
        let authority = Authority::create(&above.path().join("c"), &name("lab"), &name("host1")).expect("it can be made");
        let (chain, _) = authority.issue(&name("host2"), NODE_LIFE).expect("it can be issued");
        let (other, _) = authority.issue(&name("host3"), NODE_LIFE).expect("it can be issued");
        assert!(matches!(authority.revoke("host1"), Err(RevokeError::Own(_))));
        let (same, _) = authority.issue(&name("host1"), NODE_LIFE).expect("it can be issued");
        assert_eq!(authority.revoke("host1").expect("there is another"), [same[0].clone()]);
        assert!(matches!(authority.revoke("host9"), Err(RevokeError::Unknown { names, .. }) if names.len() >= 3));
        assert_eq!(authority.revoke("host2").expect("it is there"), [chain[0].clone()]);
        assert!(matches!(authority.revoke("host2"), Err(RevokeError::Already(_))));
        assert_eq!(authority.revoke(&other[0].fingerprint().short()).expect("it is there"), [other[0].clone()]);
        let list = authority.list().expect("it can be read").expect("it is there");
        assert_eq!((list.number, list.serials.len()), (4, 3));
    }
}
