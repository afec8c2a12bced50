//! Tokens: the line that a person carries from the authority to a machine that is to join.
//!
//! `ph1-` and base64url of: the addresses, the fingerprint of the authority, a secret, when it expires, a checksum. The secret is the
//! seed of the key by which the joiner proves that it was invited, so it never travels; the fingerprint is how the joiner knows the
//! authority. Whoever has the token before it is used can join in its stead: it is to be carried like a password.

use std::fmt;
use std::str::FromStr;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rcgen::{CertificateParams, DnType, KeyPair, PKCS_ED25519, PublicKeyData};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};

use super::certificate::Fingerprint;
use super::clock::Moment;
use super::crypto;
use crate::net::address::Address;

/// With the version of what follows.
const PREFIX: &str = "ph1-";
/// More addresses than this are of no use, for they are all tried at once.
pub const MAX_ADDRESSES: usize = 8;
/// Longer than any token: eight addresses of 261 bytes and 76 bytes more, in base64.
const MAX_TEXT: usize = 4096;
/// Against a letter lost in copying; it keeps nobody from anything.
const CHECKSUM: usize = 4;

/// An invitation to a cluster, for one machine, once.
#[derive(Clone, PartialEq, Eq)]
pub struct Token {
    addresses: Vec<Address>,
    authority: Fingerprint,
    secret: [u8; 32],
    expires: Moment,
}

/// Why a text is no token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TokenError {
    /// It does not begin as one.
    #[error("it is no token: one begins with `ph1-`")]
    NoToken,
    /// A later placehost made it.
    #[error("it is a token of another version of placehost")]
    Version,
    /// Something is missing in it, or changed.
    #[error("the token is damaged: some of it is missing or changed")]
    Damaged,
}

impl Token {
    /// A token with a new secret.
    ///
    /// # Panics
    /// There are no addresses, or more than [`MAX_ADDRESSES`].
    pub(super) fn new(addresses: Vec<Address>, authority: Fingerprint, expires: Moment) -> Self {
        assert!((1..=MAX_ADDRESSES).contains(&addresses.len()), "a token has one to {MAX_ADDRESSES} addresses");
        Self { addresses, authority, secret: crypto::random(), expires }
    }

    /// Where the cluster can be joined.
    pub fn addresses(&self) -> &[Address] {
        &self.addresses
    }

    /// Who will sign.
    pub fn authority(&self) -> Fingerprint {
        self.authority
    }

    /// The last second in which it is accepted, by the clock of the machine that made it.
    pub fn expires(&self) -> Moment {
        self.expires
    }

    /// The key that the joiner proves itself by: Ed25519, derived from the secret.
    fn key_pair(&self) -> KeyPair {
        /// PKCS #8 for an Ed25519 key, up to its 32 bytes (RFC 8410, section 7).
        const PKCS8: [u8; 16] = [0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22, 4, 0x20];
        let seed = blake3::derive_key("placehost 2026-11-22 the key of a joiner", &self.secret);
        let pkcs8 = [&PKCS8[..], &seed].concat();
        KeyPair::from_pkcs8_der_and_sign_algo(&PrivatePkcs8KeyDer::from(pkcs8), &PKCS_ED25519).expect("any 32 bytes are a key")
    }

    /// What the authority knows of the token: the fingerprint of the key.
    pub(super) fn fingerprint(&self) -> Fingerprint {
        Fingerprint::of(&self.key_pair().subject_public_key_info())
    }

    /// What the joiner shows when it connects. Its validity says nothing, for the authority knows when the invitation expires.
    pub(super) fn credential(&self) -> (CertificateDer<'static>, PrivateKeyDer<'static>) {
        let key = self.key_pair();
        let mut params = CertificateParams::default();
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, "joiner");
        let certificate = params.self_signed(&key).expect("a key of ours signs");
        (certificate.into(), PrivatePkcs8KeyDer::from(key.serialize_der()).into())
    }
}

impl fmt::Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut bytes = vec![u8::try_from(self.addresses.len()).expect("there are at most 8")];
        for address in &self.addresses {
            let text = address.to_string();
            // An address has at most 253 bytes of host, but a length of one byte does not hold brackets and port beside them.
            bytes.extend(u16::try_from(text.len()).expect("a host has at most 253 bytes").to_be_bytes());
            bytes.extend(text.as_bytes());
        }
        bytes.extend(self.authority.0);
        bytes.extend(self.secret);
        bytes.extend(self.expires.0.to_be_bytes());
        bytes.extend(checksum(&bytes));
        write!(f, "{PREFIX}{}", URL_SAFE_NO_PAD.encode(&bytes))
    }
}

fn checksum(bytes: &[u8]) -> [u8; CHECKSUM] {
    *blake3::hash(bytes).as_bytes().first_chunk().expect("a hash is longer")
}

impl FromStr for Token {
    type Err = TokenError;

    fn from_str(text: &str) -> Result<Self, TokenError> {
        let text = text.trim();
        let Some(body) = text.strip_prefix(PREFIX) else { return Err(unlike(text)) };
        if text.len() > MAX_TEXT {
            return Err(TokenError::Damaged);
        }
        let bytes = URL_SAFE_NO_PAD.decode(body).map_err(|_| TokenError::Damaged)?;
        decode(&bytes).ok_or(TokenError::Damaged)
    }
}

/// What is wrong with a text that does not begin as our tokens do.
fn unlike(text: &str) -> TokenError {
    let digits = text.strip_prefix("ph").and_then(|rest| rest.split_once('-')).map(|(digits, _)| digits);
    let is_version = digits.is_some_and(|digits| !digits.is_empty() && digits.chars().all(|c| c.is_ascii_digit()));
    if is_version { TokenError::Version } else { TokenError::NoToken }
}

fn decode(bytes: &[u8]) -> Option<Token> {
    let (mut rest, sum) = bytes.split_last_chunk::<CHECKSUM>()?;
    if checksum(rest) != *sum {
        return None;
    }
    let [count] = take(&mut rest)?;
    if !(1..=MAX_ADDRESSES).contains(&usize::from(count)) {
        return None;
    }
    let mut addresses = Vec::new();
    for _ in 0..count {
        let length = u16::from_be_bytes(take(&mut rest)?);
        let (text, after) = rest.split_at_checked(length.into())?;
        addresses.push(std::str::from_utf8(text).ok()?.parse().ok()?);
        rest = after;
    }
    let token = Token {
        addresses,
        authority: Fingerprint(take(&mut rest)?),
        secret: take(&mut rest)?,
        expires: Moment(i64::from_be_bytes(take(&mut rest)?)),
    };
    rest.is_empty().then_some(token)
}

fn take<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
    let (first, after) = rest.split_first_chunk()?;
    *rest = after;
    Some(*first)
}

impl fmt::Debug for Token {
    /// Without the secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Token({:?}, authority {}, until {})", self.addresses, self.authority.short(), self.expires)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn token() -> Token {
        let addresses = ["host2:6340", "[2001:db8::1]:7000"].map(|address| address.parse().expect("it is an address"));
        Token::new(addresses.into(), Fingerprint([7; 32]), Moment(1_795_387_517))
    }

    #[test]
    fn a_token_is_read_as_it_was_written() {
        let token = token();
        let text = token.to_string();
        assert!(text.starts_with("ph1-"));
        assert_eq!(format!(" {text}\n").parse(), Ok(token));
    }

    #[test]
    fn the_longest_address_fits() {
        let host = ["x".repeat(63), "x".repeat(63), "x".repeat(63), "x".repeat(61)].join(".");
        let token = Token::new(vec![format!("{host}:65535").parse().expect("it is an address"); 8], Fingerprint([7; 32]), Moment(0));
        assert_eq!(token.to_string().parse(), Ok(token));
    }

    #[test]
    fn what_is_no_token_is_told_from_what_is_damaged() {
        assert_eq!("hello".parse::<Token>(), Err(TokenError::NoToken));
        assert_eq!("ph-x".parse::<Token>(), Err(TokenError::NoToken));
        assert_eq!("ph2-AAAA".parse::<Token>(), Err(TokenError::Version));
        assert_eq!("ph1-".parse::<Token>(), Err(TokenError::Damaged));
        let text = token().to_string();
        assert_eq!(text[..text.len() - 1].parse::<Token>(), Err(TokenError::Damaged));
    }

    #[test]
    fn the_secret_is_not_shown() {
        let shown = format!("{:?}", token());
        assert!(shown.starts_with("Token([Address") && shown.ends_with("authority 07070707, until 2026-11-22 22:45:17 UTC)"), "{shown}");
    }

    #[test]
    fn the_key_is_made_of_the_secret_alone() {
        let one = token();
        let mut other = Token { expires: Moment(0), ..one.clone() };
        assert_eq!(one.fingerprint(), other.fingerprint());
        other.secret[0] ^= 1;
        assert_ne!(one.fingerprint(), other.fingerprint());
    }

    proptest! {
        #[test]
        fn any_text_is_a_token_or_an_error(text in ".{0,200}", bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let _ = text.parse::<Token>();
            let _ = format!("ph1-{}", URL_SAFE_NO_PAD.encode(&bytes)).parse::<Token>();
            // With a checksum that fits, so that what lies behind it is reached.
            let _ = decode(&[&bytes[..], &checksum(&bytes)].concat());
        }

        #[test]
        fn no_change_of_a_letter_passes(at in 4..120_usize, letter in "[A-Za-z0-9_-]") {
            let text = token().to_string();
            let mut changed = text.clone();
            changed.replace_range(at..=at, &letter);
            prop_assert!(changed == text || changed.parse::<Token>().is_err());
        }
    }
}
