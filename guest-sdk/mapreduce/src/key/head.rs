//! Short keys in two words, so that one that is known is found without being written anywhere.
//!
//! Text without zero bytes is its own key, and so are the bytes of a number in their order. Where such a key is at most sixteen bytes long,
//! its words and its length are all of it. What is longer, or made of several things, is none; it is written as bytes.

use std::cmp::Ordering;

use serde::Serialize;

use super::plain::{See, see};
use crate::short;

/// The first sixteen bytes of a key, with zeros where it is shorter, and its length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Head {
    /// The first byte is the lowest of the first.
    pub(crate) words: [u64; 2],
    pub(crate) len: u32,
}

impl Head {
    /// What a head can hold.
    pub(crate) const MOST: usize = 16;

    /// Of a key, which may be longer.
    #[inline(always)]
    pub(crate) fn of(key: &[u8]) -> Self {
        let beginning = &key[..key.len().min(Self::MOST)];
        let words = match (beginning.first_chunk::<8>(), beginning.last_chunk::<8>()) {
            (Some(first), Some(last)) => [u64::from_le_bytes(*first), short::second(last, beginning.len())],
            _ => [short::tail(beginning), 0],
        };
        Self { words, len: key.len() as u32 }
    }

    /// The bytes of the key, and zeros behind them.
    pub(crate) fn bytes(self) -> [u8; Self::MOST] {
        let mut bytes = [0; Self::MOST];
        bytes[..8].copy_from_slice(&self.words[0].to_le_bytes());
        bytes[8..].copy_from_slice(&self.words[1].to_le_bytes());
        bytes
    }
}

/// A head whose words are turned, so that they have the order of keys.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Ordered {
    pub(crate) words: [u64; 2],
    pub(crate) len: u32,
}

impl Ordered {
    #[inline(always)]
    pub(crate) fn of(Head { words, len }: Head) -> Self {
        Self { words: words.map(u64::swap_bytes), len }
    }

    /// The order of the keys, where it is seen here; else `rest` is asked.
    #[inline(always)]
    pub(crate) fn cmp(&self, other: &Self, rest: impl FnOnce() -> Ordering) -> Ordering {
        let words = self.words[0].cmp(&other.words[0]).then_with(|| self.words[1].cmp(&other.words[1]));
        words.then_with(|| match self.len.min(other.len) as usize > Head::MOST {
            true => rest(),
            // The shorter one is the beginning of the other.
            false => self.len.cmp(&other.len),
        })
    }
}

/// The head of a key that is no longer than that; none where it has to be written to know.
#[inline(always)]
pub(crate) fn of<K: Serialize + ?Sized>(key: &K) -> Option<Head> {
    see(key, Short)
}

/// Makes heads.
struct Short;

impl See for Short {
    const FOR_PEOPLE: bool = false;
    type Seen = Head;

    #[inline(always)]
    fn text(self, text: &str) -> Option<Head> {
        self.bytes(text.as_bytes())
    }

    #[inline(always)]
    fn bytes(self, bytes: &[u8]) -> Option<Head> {
        if bytes.len() > Head::MOST {
            return None;
        }
        let head = Head::of(bytes);
        // Zeros beyond the end are none of the text's.
        (short::zeros(head.words) as usize == Head::MOST - bytes.len()).then_some(head)
    }

    #[inline(always)]
    fn number(self, ordered: &[u8]) -> Option<Head> {
        Some(Head::of(ordered))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::key::write;

    fn written<K: Serialize + ?Sized>(key: &K) -> Head {
        let mut bytes = Vec::new();
        write(key, &mut bytes).unwrap();
        Head::of(&bytes)
    }

    proptest! {
        #[test]
        fn a_head_is_that_of_the_written_key(text in "[\\x00-\\x02a-z]{0,20}", clean in "[a-zü]{0,16}", n in any::<(u8, u32, u64, i16, i64, i128)>()) {
            prop_assert!(of(&text).is_none_or(|head| head == written(&text) && head.len as usize == text.len()));
            prop_assert_eq!(of(&text).is_some(), text.len() <= 16 && !text.contains('\0'));
            prop_assert_eq!(of(&clean).is_some(), clean.len() <= 16);
            prop_assert_eq!(of(&n.0), Some(written(&n.0)));
            prop_assert_eq!(of(&n.1), Some(written(&n.1)));
            prop_assert_eq!(of(&n.2), Some(written(&n.2)));
            prop_assert_eq!(of(&n.3), Some(written(&n.3)));
            prop_assert_eq!(of(&n.4), Some(written(&n.4)));
            prop_assert_eq!(of(&n.5), Some(written(&n.5)));
            prop_assert_eq!(of(&(n.0, n.1)), None);
            prop_assert_eq!(of(&Some(n.0)), None);
        }
    }
}
