//! Refusals: who did not believe whom, and why, in a sentence.
//!
//! What was wrong with *their* certificate the verifier here has said, and quinn keeps its words. What was wrong with *ours* comes as an
//! alert of TLS, and the other side's words with it. Of those only numbers and fingerprints are taken, for they may be anybody's.

use std::fmt;

use quinn::{ConnectionError, TransportErrorCode};

use super::clock::Moment;
use super::identity::Identity;
use super::token::Token;

/// One side refused the other's certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// Who refused.
    pub by: Refuser,
    /// The other end, as the user knows it.
    pub peer: String,
    /// Why.
    pub why: Why,
}

/// Who refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refuser {
    /// This machine.
    Us,
    /// The other end.
    Peer,
}

/// Why a certificate was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Why {
    /// Its time is over.
    Expired {
        /// The last second in which it was valid, as far as it is known.
        until: Option<Moment>,
        /// What the clock of this machine says.
        here: Moment,
        /// What the other side's clock says, if it told.
        there: Option<Moment>,
    },
    /// Its time has not come.
    NotYet {
        /// The first second in which it is valid, as far as it is known.
        from: Option<Moment>,
        /// What the clock of this machine says.
        here: Moment,
        /// What the other side's clock says, if it told.
        there: Option<Moment>,
    },
    /// Its authority has revoked it.
    Revoked,
    /// It is by somebody whom who refused does not believe. The first 8 digits of fingerprints.
    Authority {
        /// Whose it is.
        presented: String,
        /// Who would be believed; none if the other side did not tell.
        trusted: Vec<String>,
    },
    /// There was none.
    None,
    /// It was that of a token, which is used, expired or withdrawn, or of another cluster.
    Token {
        /// When the token expires, if it is ours.
        expires: Option<Moment>,
        /// What the clock of this machine says.
        here: Moment,
    },
    /// It is not for both servers and clients.
    Purpose,
    /// The other end speaks something else.
    Protocol,
    /// The certificate, or the signature with its key, cannot be read or is wrong. TLS's word for it.
    Broken(&'static str),
}

/// What we show to others.
#[derive(Clone, Copy)]
pub(super) enum Ours<'a> {
    Identity(&'a Identity),
    Token(&'a Token),
}

/// Alerts of TLS (RFC 8446, section 6.2; 120 is RFC 7301's).
mod alert {
    pub(super) const BAD_CERTIFICATE: u8 = 42;
    pub(super) const UNSUPPORTED_CERTIFICATE: u8 = 43;
    pub(super) const CERTIFICATE_REVOKED: u8 = 44;
    pub(super) const CERTIFICATE_EXPIRED: u8 = 45;
    pub(super) const CERTIFICATE_UNKNOWN: u8 = 46;
    pub(super) const UNKNOWN_CA: u8 = 48;
    pub(super) const ACCESS_DENIED: u8 = 49;
    pub(super) const DECRYPT_ERROR: u8 = 51;
    pub(super) const CERTIFICATE_REQUIRED: u8 = 116;
    pub(super) const NO_APPLICATION_PROTOCOL: u8 = 120;
}

/// The refusal that ended a connection, or kept it from being made; `peer` is the other end as the user knows it. `None` if it ended
/// for another reason, as that nobody answers.
pub fn explain(error: &ConnectionError, identity: &Identity, peer: &impl fmt::Display) -> Option<Refusal> {
    of(error, Ours::Identity(identity), peer)
}

pub(super) fn of(error: &ConnectionError, ours: Ours<'_>, peer: &impl fmt::Display) -> Option<Refusal> {
    let (by, code, words) = match error {
        ConnectionError::TransportError(error) => (Refuser::Us, error.code, error.reason.as_str()),
        ConnectionError::ConnectionClosed(close) => {
            (Refuser::Peer, close.error_code, std::str::from_utf8(&close.reason).unwrap_or_default())
        }
        _ => return None,
    };
    let why = why(by, alert_of(code)?, words, ours)?;
    Some(Refusal { by, peer: peer.to_string(), why })
}

/// QUIC's codes from 0x100 to 0x1ff are TLS's alerts (RFC 9000, section 20.1).
fn alert_of(code: TransportErrorCode) -> Option<u8> {
    u8::try_from(u64::from(code).checked_sub(0x100)?).ok()
}

fn why(by: Refuser, alert: u8, words: &str, ours: Ours<'_>) -> Option<Why> {
    let here = Moment::now();
    let there = |clock| if by == Refuser::Peer { clock } else { None };
    Some(match alert {
        alert::CERTIFICATE_EXPIRED if words.contains("not valid yet") => {
            let from = number(words, "not valid before ");
            Why::NotYet { from, here, there: there(number(words, "verification time ")) }
        }
        alert::CERTIFICATE_EXPIRED => {
            let until = number(words, "not valid after ");
            Why::Expired { until, here, there: there(number(words, "verification time ")) }
        }
        alert::CERTIFICATE_REVOKED => Why::Revoked,
        alert::UNKNOWN_CA | alert::CERTIFICATE_UNKNOWN => authority(by, words, ours),
        alert::ACCESS_DENIED => {
            let expires = match ours {
                Ours::Token(token) if by == Refuser::Peer => Some(token.expires()),
                _ => None,
            };
            Why::Token { expires, here }
        }
        alert::CERTIFICATE_REQUIRED => Why::None,
        alert::NO_APPLICATION_PROTOCOL => Why::Protocol,
        alert::UNSUPPORTED_CERTIFICATE => Why::Purpose,
        alert::BAD_CERTIFICATE => Why::Broken("bad certificate"),
        alert::DECRYPT_ERROR => Why::Broken("bad signature"),
        _ => return None,
    })
}

fn authority(by: Refuser, words: &str, ours: Ours<'_>) -> Why {
    // What `verify::Rejection` writes.
    let told = words.split_once("wrong authority: presented ").and_then(|(_, rest)| {
        let (presented, rest) = rest.split_once(", trusted")?;
        let trusted = rest.split(|c: char| !c.is_ascii_hexdigit()).filter(|word| word.len() == 8);
        Some((short(presented)?, trusted.take(8).map(str::to_owned).collect()))
    });
    let (presented, trusted) = told.unwrap_or_default();
    // What we showed we know best.
    let presented = match (by, ours) {
        (Refuser::Peer, Ours::Identity(identity)) if presented.is_empty() => identity.credentials[0].authority.short(),
        _ if presented.is_empty() => "unknown".into(),
        _ => presented,
    };
    Why::Authority { presented, trusted }
}

fn short(text: &str) -> Option<String> {
    let known = text.len() == 8 && text.chars().all(|c| c.is_ascii_hexdigit());
    (known || text == "unknown").then(|| text.to_owned())
}

/// The number behind a word.
fn number(words: &str, before: &str) -> Option<Moment> {
    let (_, rest) = words.split_once(before)?;
    let end = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
    rest[..end].parse().ok().map(Moment)
}

impl Refusal {
    /// What to do about it.
    pub fn hint(&self) -> &'static str {
        const JOIN_AGAIN: &str =
            "`placehost node --join TOKEN` gets a new certificate; `placehost cluster invite` on the authority's machine prints a token";
        const CLOCKS: &str = "the clocks of the two machines differ: set them, as by NTP";
        match (&self.why, self.by) {
            (Why::Expired { until, here, .. }, Refuser::Peer) if until.is_some_and(|until| *here <= until) => CLOCKS,
            (Why::NotYet { from, here, .. }, Refuser::Peer) if from.is_some_and(|from| *here >= from) => CLOCKS,
            (Why::NotYet { .. }, _) => {
                "set the clocks of the two machines, as by NTP; `placehost cluster show` has the certificate's times"
            }
            (Why::Expired { .. }, Refuser::Peer) => JOIN_AGAIN,
            (Why::Expired { .. }, Refuser::Us) => "its machine has to join again, with a token of `placehost cluster invite`",
            (Why::Revoked, _) => "a machine that was revoked can join again only with a new token, of `placehost cluster invite`",
            (Why::Authority { .. }, _) => "both have to be of one cluster; `placehost cluster show` says which a machine is of",
            (Why::None | Why::Protocol, Refuser::Us) => "something that is no placehost, or one of another version, knocked there",
            (Why::None, Refuser::Peer) => "join its cluster first: `placehost node --join TOKEN`",
            (Why::Token { .. }, _) => "a token works once and for a limited time; `placehost cluster invite` makes another",
            (Why::Protocol, Refuser::Peer) => "compare `placehost --version` on both machines, and the port",
            (Why::Purpose, _) => "a node's certificate is for `server auth` and `client auth`",
            (Why::Broken(_), _) => "compare `placehost --version` on both machines",
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { by, peer, why } = self;
        match (by, why) {
            (Refuser::Us, Why::Protocol) => return write!(f, "{peer} does not speak the protocol of placehost"),
            (Refuser::Peer, Why::Protocol) => return write!(f, "{peer} does not speak this version of the protocol of placehost"),
            (Refuser::Us, Why::None) => return write!(f, "{peer} was refused: it has no certificate"),
            (Refuser::Peer, Why::None) => return write!(f, "{peer} refused us: we showed no certificate"),
            (Refuser::Us, Why::Token { .. }) => {
                return write!(f, "{peer} was refused: its token is used, expired or not of this authority");
            }
            (Refuser::Peer, Why::Token { expires: Some(expires), here }) if expires < here => {
                return write!(f, "{peer} refused the token: it expired at {expires}; the clock here says {here}");
            }
            (Refuser::Peer, Why::Token { .. }) => {
                return write!(f, "{peer} refused the token: it was used already, or has expired by the clock there");
            }
            (Refuser::Us, why) => write!(f, "{peer} was refused: its certificate {why}"),
            (Refuser::Peer, why) => write!(f, "{peer} refused our certificate: it {why}"),
        }?;
        match (by, why) {
            (Refuser::Peer, Why::Authority { trusted, .. }) if !trusted.is_empty() => {
                write!(f, ", and {peer} trusts {}", trusted.join(" and "))
            }
            (Refuser::Us, Why::Authority { trusted, .. }) => write!(f, ", and we trust {}", trusted.join(" and ")),
            _ => Ok(()),
        }
    }
}

impl std::error::Error for Refusal {}

impl fmt::Display for Why {
    /// What goes on a sentence that begins with the certificate.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let clocks = |f: &mut fmt::Formatter<'_>, here: &Moment, there: &Option<Moment>| {
            write!(f, "; the clock here says {here}")?;
            there.map_or(Ok(()), |there| write!(f, ", the clock there {there}"))
        };
        match self {
            Self::Expired { until, here, there } => {
                f.write_str("expired")?;
                until.map_or(Ok(()), |until| write!(f, " at {until}"))?;
                clocks(f, here, there)
            }
            Self::NotYet { from, here, there } => {
                f.write_str("is not valid yet")?;
                from.map_or(Ok(()), |from| write!(f, ", but from {from} on"))?;
                clocks(f, here, there)
            }
            Self::Revoked => f.write_str("is revoked"),
            Self::Authority { presented, .. } => write!(f, "is by the authority {presented}"),
            Self::Purpose => f.write_str("is not for both server and client"),
            Self::Broken(word) => write!(f, "does not hold: {word}"),
            Self::None => f.write_str("is missing"),
            Self::Token { .. } => f.write_str("is that of a token that is used or expired"),
            Self::Protocol => f.write_str("is for another protocol"),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn peer(alert: u8, words: &str, identity: &Identity) -> Why {
        why(Refuser::Peer, alert, words, Ours::Identity(identity)).expect("it is an alert about certificates")
    }

    #[test]
    fn words_of_others_are_read_for_what_they_may_say() {
        let identity = Identity::ephemeral();
        let own = identity.credentials[0].authority.short();
        let silent = Why::Authority { presented: own, trusted: vec![] };
        assert_eq!(peer(48, "", &identity), silent);
        assert_eq!(peer(46, "wrong authority: presented \u{1b}[31m!, trusted x", &identity), silent);
        let told = "invalid peer certificate: Other(OtherError(wrong authority: presented 0123abcd, trusted 11111111 22222222))";
        let trusted = vec!["11111111".to_owned(), "22222222".to_owned()];
        assert_eq!(peer(46, told, &identity), Why::Authority { presented: "0123abcd".into(), trusted });
        assert!(matches!(
            peer(45, "certificate expired: not valid after 99999999999999999999", &identity),
            Why::Expired { until: None, .. }
        ));
    }

    #[test]
    fn each_alert_about_certificates_has_a_sentence_for_both() {
        let identity = Identity::ephemeral();
        for alert in [42, 43, 44, 45, 46, 48, 49, 51, 116, 120] {
            for by in [Refuser::Us, Refuser::Peer] {
                let why = why(by, alert, "", Ours::Identity(&identity)).expect("it is explained");
                let refusal = Refusal { by, peer: "host2:6340".into(), why };
                assert!(refusal.to_string().starts_with("host2:6340 ") && !refusal.hint().is_empty(), "{refusal}");
            }
        }
        assert_eq!(why(Refuser::Us, 80, "", Ours::Identity(&identity)), None);
    }

    proptest! {
        #[test]
        fn no_words_are_too_strange(alert: u8, words in ".{0,300}") {
            let identity = Identity::ephemeral();
            for alert in [alert, 45, 46] {
                let _ = why(Refuser::Peer, alert, &words, Ours::Identity(&identity));
                let _ = why(Refuser::Peer, alert, &format!("wrong authority: presented {words}, trusted {words}"), Ours::Identity(&identity));
                let _ = why(Refuser::Peer, alert, &format!("not valid after {words}"), Ours::Identity(&identity));
            }
        }
    }
}
