//! Keys as bytes whose order is the order of the keys.
//!
//! Sorting, merging, grouping and hashing work on these bytes alone, on all machines alike; a key is read again once for each group.
//! The order is the one that `#[derive(PartialOrd)]` gives: fields one after another, variants as they are declared, `None` first,
//! numbers by value (negative before positive, floats in the IEEE total order), text and sequences element by element.
//!
//! Numbers are big-endian with their sign turned. Text ends in two zero bytes, and a zero byte inside is followed by 255; the end of the
//! last text is left away. Each element of a sequence is preceded by a one, and its end is a zero.

pub(crate) mod head;
pub(crate) mod plain;
mod read;
mod write;

use serde::Serialize;
use serde::de::DeserializeOwned;

/// Why a key cannot be written or read.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct KeyError(pub(crate) String);

/// Writes a key into `bytes`, which is cleared.
#[inline]
pub(crate) fn write<K: Serialize + ?Sized>(key: &K, bytes: &mut Vec<u8>) -> Result<(), KeyError> {
    bytes.clear();
    let mut writer = write::Writer { bytes, ends_in_text: false };
    key.serialize(&mut writer)?;
    if writer.ends_in_text {
        bytes.truncate(bytes.len() - write::END_OF_TEXT.len());
    }
    Ok(())
}

/// Reads a key.
pub(crate) fn read<K: DeserializeOwned>(bytes: &[u8]) -> Result<K, KeyError> {
    let mut reader = read::Reader { rest: bytes };
    let key = K::deserialize(&mut reader)?;
    match reader.rest.len() {
        0 => Ok(key),
        more => Err(KeyError(format!("{more} bytes stand after the key"))),
    }
}

impl std::fmt::Display for KeyError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for KeyError {}

impl serde::ser::Error for KeyError {
    fn custom<T: std::fmt::Display>(text: T) -> Self {
        Self(text.to_string())
    }
}

impl serde::de::Error for KeyError {
    fn custom<T: std::fmt::Display>(text: T) -> Self {
        Self(text.to_string())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde::Deserialize;

    use super::*;

    #[derive(Clone, Debug, PartialEq, PartialOrd, Serialize, Deserialize)]
    enum Shape {
        Nothing,
        One(i16),
        Two(String, Option<u8>),
        Three { a: Vec<String>, b: f64, c: (char, bool) },
    }

    fn shape() -> impl Strategy<Value = Shape> {
        let text = "[\\x00-\\x02a-b]{0,3}";
        prop_oneof![
            Just(Shape::Nothing),
            any::<i16>().prop_map(Shape::One),
            (text, any::<Option<u8>>()).prop_map(|(a, b)| Shape::Two(a, b)),
            (prop::collection::vec(text, 0..3), -2.0..2.0, any::<(char, bool)>()).prop_map(|(a, b, c)| Shape::Three { a, b, c }),
        ]
    }

    fn bytes<K: Serialize>(key: &K) -> Vec<u8> {
        let mut bytes = Vec::new();
        write(key, &mut bytes).unwrap();
        bytes
    }

    proptest! {
        #[test]
        fn bytes_have_the_order_of_their_keys(a in shape(), b in shape()) {
            prop_assert_eq!(Some(bytes(&a).cmp(&bytes(&b))), a.partial_cmp(&b));
        }

        #[test]
        fn text_has_the_order_of_text(a in "[\\x00-\\x02a]{0,4}", b in "[\\x00-\\x02a]{0,4}", n in any::<i64>(), m in any::<i64>()) {
            prop_assert_eq!(bytes(&a).cmp(&bytes(&b)), a.cmp(&b));
            prop_assert_eq!(bytes(&(&a, n)).cmp(&bytes(&(&b, m))), (a, n).cmp(&(b, m)));
        }

        #[test]
        fn a_key_is_read_as_it_was_written(key in shape()) {
            prop_assert_eq!(read::<Shape>(&bytes(&key)).unwrap(), key);
        }

        #[test]
        fn bad_bytes_are_an_error_and_no_panic(junk in prop::collection::vec(any::<u8>(), 0..40)) {
            let _ = read::<Shape>(&junk);
            let _ = read::<Vec<(String, u128)>>(&junk);
        }
    }

    #[test]
    fn a_word_is_its_letters() {
        assert_eq!(bytes(&"word"), b"word");
        assert_eq!(bytes(&7u32), [0, 0, 0, 7]);
    }
}
