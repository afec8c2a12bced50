//! Bundles: the identity that a node makes for one that it launches, as one line of JSON.
//!
//! It travels through the launched process's standard input, which nobody else sees; it has a private key in it.

use std::fmt;
use std::str::FromStr;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

/// Certificates and a key, as X.509 and PKCS #8 in DER. Whether they fit together is found by [`super::identity::Identity::from_bundle`].
#[derive(Clone, PartialEq, Eq)]
pub struct Bundle {
    pub(super) roots: Vec<Vec<u8>>,
    pub(super) chain: Vec<Vec<u8>>,
    pub(super) key: Vec<u8>,
    pub(super) revoked: Vec<Vec<u8>>,
}

/// Why a line is no bundle.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BundleError {
    /// It is longer than [`MAX_LINE`].
    #[error("the bundle is too long")]
    TooLong,
    /// It is not JSON with the members of a bundle.
    #[error("it is no bundle: {0}")]
    Json(serde_json::Error),
    /// A later placehost made it.
    #[error("it is a bundle of version {0}, and this placehost reads version {VERSION}")]
    Version(u32),
    /// A member is not base64.
    #[error("it is no bundle: something in it is not base64")]
    Base64,
}

/// Nobody reads a longer line: it holds the largest list of revoked certificates, and the rest is a few KiB.
pub const MAX_LINE: usize = 8 << 20;
const VERSION: u32 = 1;

#[derive(Serialize, Deserialize)]
struct Json {
    version: u32,
    roots: Vec<String>,
    chain: Vec<String>,
    key: String,
    revoked: Vec<String>,
}

impl fmt::Display for Bundle {
    /// One line without its end.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all = |ders: &[Vec<u8>]| ders.iter().map(|der| STANDARD.encode(der)).collect();
        let Self { roots, chain, key, revoked } = self;
        let json = Json { version: VERSION, roots: all(roots), chain: all(chain), key: STANDARD.encode(key), revoked: all(revoked) };
        f.write_str(&serde_json::to_string(&json).map_err(|_| fmt::Error)?)
    }
}

impl FromStr for Bundle {
    type Err = BundleError;

    fn from_str(line: &str) -> Result<Self, BundleError> {
        #[derive(Deserialize)]
        struct Version {
            version: u32,
        }

        if line.len() > MAX_LINE {
            return Err(BundleError::TooLong);
        }
        let Version { version } = serde_json::from_str(line).map_err(BundleError::Json)?;
        if version != VERSION {
            return Err(BundleError::Version(version));
        }
        let json: Json = serde_json::from_str(line).map_err(BundleError::Json)?;
        let one = |text: String| STANDARD.decode(text).map_err(|_| BundleError::Base64);
        let all = |texts: Vec<String>| texts.into_iter().map(one).collect::<Result<Vec<_>, _>>();
        Ok(Self { roots: all(json.roots)?, chain: all(json.chain)?, key: one(json.key)?, revoked: all(json.revoked)? })
    }
}

impl fmt::Debug for Bundle {
    /// Without the key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Bundle({} roots, a chain of {})", self.roots.len(), self.chain.len())
    }
}
