//! Certificates as placehost sees them: whose, until when, and by which key.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use x509_parser::prelude::{FromDer, X509Certificate};

use super::clock::Moment;

/// How long before the end of a certificate it is to be renewed: time for people to do it.
pub const RENEWAL: Duration = Duration::from_secs(30 * 24 * 3600);

/// Names a key: BLAKE3 of its public half, as X.509's `SubjectPublicKeyInfo` in DER.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Fingerprint(pub [u8; 32]);

impl Fingerprint {
    /// That of a public key.
    pub fn of(public_key: &[u8]) -> Self {
        Self(*blake3::hash(public_key).as_bytes())
    }

    /// The first 8 hexadecimal digits, which tell apart what a person has before them.
    pub fn short(&self) -> String {
        self.to_string()[..8].to_owned()
    }

    /// The name that a client asks a server for, in TLS's server name: the authority whose certificate it wants to see.
    pub(super) fn server_name(&self) -> String {
        format!("{}.placehost", &self.to_string()[..16])
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// What an authority or a node may be called: 1 to 63 letters, digits, `-`, `_` and `.`, and no `.` or `-` before the others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Name(String);

/// Why a text is no name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a name is 1 to 63 letters, digits, `-`, `_` and `.`, and begins with a letter or a digit")]
pub struct NameError;

impl Name {
    /// What this machine calls itself, as far as that can be a name.
    pub fn of_this_machine() -> Self {
        let name = rustix::system::uname().nodename().to_string_lossy().into_owned();
        name.parse().unwrap_or_else(|_| Self("node".into()))
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Name {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        let begins = text.starts_with(|c: char| c.is_ascii_alphanumeric());
        if begins && text.len() <= 63 && text.chars().all(plain) { Ok(Self(text.to_owned())) } else { Err(NameError) }
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A certificate that could be read. That says nothing of whether it is to be believed.
#[derive(Clone, PartialEq, Eq)]
pub struct Certificate {
    pub(super) der: CertificateDer<'static>,
    /// Its subject and its issuer, as X.509 has them.
    pub(super) subject: Vec<u8>,
    pub(super) issuer: Vec<u8>,
    pub(super) is_authority: bool,
    serial: Vec<u8>,
    name: String,
    from: Moment,
    until: Moment,
    fingerprint: Fingerprint,
}

/// Why bytes are no certificates.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CertificateError {
    /// They are not what X.509 says.
    #[error("it is no X.509 certificate")]
    Malformed,
    /// They are not PEM, or have no certificate in it.
    #[error("there is no certificate in it; one begins with `-----BEGIN CERTIFICATE-----`")]
    None,
}

impl Certificate {
    /// Reads one.
    ///
    /// # Errors
    /// [`CertificateError::Malformed`].
    pub fn from_der(der: &[u8]) -> Result<Self, CertificateError> {
        let (rest, parsed) = X509Certificate::from_der(der).map_err(|_| CertificateError::Malformed)?;
        if !rest.is_empty() {
            return Err(CertificateError::Malformed);
        }
        let name = parsed.subject().iter_common_name().next().and_then(|name| name.as_str().ok()).unwrap_or_default();
        Ok(Self {
            der: der.to_vec().into(),
            subject: parsed.subject().as_raw().to_vec(),
            issuer: parsed.issuer().as_raw().to_vec(),
            is_authority: parsed.is_ca(),
            serial: parsed.raw_serial().to_vec(),
            // It is shown to people, and who wrote it is not always one of us.
            name: name.chars().take(64).flat_map(char::escape_debug).collect(),
            from: Moment(parsed.validity().not_before.timestamp()),
            until: Moment(parsed.validity().not_after.timestamp()),
            fingerprint: Fingerprint::of(parsed.public_key().raw),
        })
    }

    /// Reads all of a PEM text, at least one.
    ///
    /// # Errors
    /// [`CertificateError`].
    pub fn from_pem(pem: &[u8]) -> Result<Vec<Self>, CertificateError> {
        let all = CertificateDer::pem_slice_iter(pem).map(|der| Self::from_der(&der.map_err(|_| CertificateError::None)?));
        let all: Vec<_> = all.collect::<Result<_, _>>()?;
        if all.is_empty() { Err(CertificateError::None) } else { Ok(all) }
    }

    /// The subject's common name, with what no terminal should see escaped.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its number among those of its authority, in hexadecimal digits.
    pub fn serial(&self) -> String {
        self.serial.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    pub(super) fn raw_serial(&self) -> &[u8] {
        &self.serial
    }

    /// When it begins to be valid.
    pub fn from(&self) -> Moment {
        self.from
    }

    /// The last second in which it is valid.
    pub fn until(&self) -> Moment {
        self.until
    }

    /// Whether it is over, or will be within [`RENEWAL`]. One that was made for less than twice that is renewed by whoever made it
    /// so, and not due before it is over.
    pub fn is_due(&self, now: Moment) -> bool {
        let lasts = self.from.after(RENEWAL * 2) < self.until;
        self.until < now || lasts && self.until < now.after(RENEWAL)
    }

    /// The fingerprint of its key.
    pub fn fingerprint(&self) -> Fingerprint {
        self.fingerprint
    }

    /// X.509 in DER.
    pub fn der(&self) -> &[u8] {
        &self.der
    }

    /// Whether it says that it is its own issuer. A member's never does, and a joiner's always; see [`super::identity::Role`].
    pub(super) fn is_self_issued(&self) -> bool {
        self.subject == self.issuer
    }
}

impl fmt::Debug for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Certificate({:?}, {}, {} to {})", self.name, self.fingerprint.short(), self.from, self.until)
    }
}

/// Certificates as PEM.
pub(super) fn to_pem<'a>(certificates: impl IntoIterator<Item = &'a Certificate>) -> String {
    certificates.into_iter().map(|certificate| pem("CERTIFICATE", &certificate.der)).collect()
}

/// RFC 7468: base64 in lines of 64.
pub(super) fn pem(label: &str, der: &[u8]) -> String {
    use base64::Engine;
    let text = base64::engine::general_purpose::STANDARD.encode(der);
    let lines = text.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).expect("base64 is ASCII"));
    let body: Vec<_> = lines.collect();
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", body.join("\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_plain() {
        for name in ["a", "host-2.example.org", "node_7", "7"] {
            assert!(name.parse::<Name>().is_ok(), "{name}");
        }
        for name in ["", "-x", ".x", "a b", "a/b", "grüße", &"x".repeat(64)] {
            assert_eq!(name.parse::<Name>(), Err(NameError), "{name}");
        }
    }
}
