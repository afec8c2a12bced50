//! Immutable bytes that places share without copying.

use serde::de::Error as _;
use serde::ser::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::Error;
use crate::bindings::channels;
use crate::message::Attached;

/// Immutable bytes that the host keeps. Clones, slices and messages share them: only [`Blob::read`] copies.
///
/// They count towards the memory limit of the place that made them, as long as anybody has them.
#[derive(Debug)]
pub struct Blob(channels::Blob);

impl Blob {
    /// Copies `bytes` to the host.
    ///
    /// # Errors
    /// [`Error::Limit`] where the place's memory limit would be exceeded.
    pub fn new(bytes: &[u8]) -> Result<Self, Error> {
        Ok(Self(channels::Blob::create(bytes)?))
    }

    /// In bytes.
    #[expect(clippy::len_without_is_empty, reason = "a blob is no collection, and this is a call to the host")]
    pub fn len(&self) -> u64 {
        self.0.size()
    }

    /// At most `len` bytes from `offset` on; fewer at the end, none past it.
    pub fn read(&self, offset: u64, len: u32) -> Vec<u8> {
        self.0.read(offset, len)
    }

    /// All of it.
    pub fn to_vec(&self) -> Vec<u8> {
        let len = self.len();
        let mut bytes = Vec::with_capacity(len as usize);
        while (bytes.len() as u64) < len {
            bytes.extend(self.read(bytes.len() as u64, u32::MAX));
        }
        bytes
    }

    /// `len` bytes of it from `offset` on, shared.
    ///
    /// # Errors
    /// [`Error::NotFound`] where they do not lie inside.
    pub fn slice(&self, offset: u64, len: u64) -> Result<Self, Error> {
        Ok(Self(self.0.slice(offset, len)?))
    }
}

impl Clone for Blob {
    fn clone(&self) -> Self {
        Self(self.0.share())
    }
}

#[derive(Serialize, Deserialize)]
struct Reference {
    #[serde(rename = "$blob")]
    number: u32,
}

impl Serialize for Blob {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let number = Attached::add_blob(self.0.share()).ok_or_else(|| S::Error::custom("a blob travels only in a message"))?;
        Reference { number }.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Blob {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Reference { number } = Reference::deserialize(deserializer)?;
        Attached::take_blob(number).map(Self).ok_or_else(|| D::Error::custom(format!("the message has no blob {number}")))
    }
}
