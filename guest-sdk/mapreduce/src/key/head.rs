//! Short keys in two words, so that one that is known is found without being written anywhere.
//!
//! Text without zero bytes is its own key, and so are the bytes of a number in their order. Where such a key is at most sixteen bytes long,
//! its words and its length are all of it. What is longer, or made of several things, is none; it is written as bytes.

use serde::ser::{Impossible, Serialize, Serializer};

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
        let words = match key.split_first_chunk::<8>() {
            None => [short::tail(key), 0],
            Some((first, rest)) => {
                let second = rest.first_chunk().map_or_else(|| short::tail(rest), |eight| u64::from_le_bytes(*eight));
                [u64::from_le_bytes(*first), second]
            }
        };
        Self { words, len: key.len() as u32 }
    }
}

/// The head of a key that is no longer than that; none where it has to be written to know.
#[inline(always)]
pub(crate) fn of<K: Serialize + ?Sized>(key: &K) -> Option<Head> {
    key.serialize(Short).ok()
}

/// Makes heads.
struct Short;

/// It is not short, or may not be.
#[derive(Debug)]
struct NotShort;

impl std::fmt::Display for NotShort {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("not a short key")
    }
}

impl std::error::Error for NotShort {}

impl serde::ser::Error for NotShort {
    fn custom<T: std::fmt::Display>(_: T) -> Self {
        Self
    }
}

macro_rules! numbers {
    ($($name:ident: $type:ty, $turn:expr;)*) => {$(
        #[inline(always)]
        fn $name(self, value: $type) -> Result<Head, NotShort> {
            Ok(Head::of(&(value ^ $turn).to_be_bytes()))
        }
    )*};
}

macro_rules! not_short {
    ($($name:ident($($type:ty),*) -> $result:ty;)*) => {$(
        #[inline(always)]
        fn $name(self, $(_: $type),*) -> Result<$result, NotShort> {
            Err(NotShort)
        }
    )*};
}

type Never = Impossible<Head, NotShort>;

impl Serializer for Short {
    type Ok = Head;
    type Error = NotShort;
    type SerializeSeq = Never;
    type SerializeTuple = Never;
    type SerializeTupleStruct = Never;
    type SerializeTupleVariant = Never;
    type SerializeMap = Never;
    type SerializeStruct = Never;
    type SerializeStructVariant = Never;

    numbers! {
        serialize_u8: u8, 0; serialize_u16: u16, 0; serialize_u32: u32, 0; serialize_u64: u64, 0; serialize_u128: u128, 0;
        serialize_i8: i8, i8::MIN; serialize_i16: i16, i16::MIN; serialize_i32: i32, i32::MIN; serialize_i64: i64, i64::MIN;
        serialize_i128: i128, i128::MIN;
    }

    #[inline(always)]
    fn serialize_str(self, value: &str) -> Result<Head, NotShort> {
        self.serialize_bytes(value.as_bytes())
    }

    #[inline(always)]
    fn serialize_bytes(self, value: &[u8]) -> Result<Head, NotShort> {
        if value.len() > Head::MOST {
            return Err(NotShort);
        }
        let head = Head::of(value);
        // Zeros beyond the end are none of the text's.
        let zeros = head.words.map(short::zeros).iter().sum::<u32>();
        if zeros as usize == Head::MOST - value.len() { Ok(head) } else { Err(NotShort) }
    }

    #[inline(always)]
    fn serialize_newtype_struct<T: Serialize + ?Sized>(self, _: &'static str, value: &T) -> Result<Head, NotShort> {
        value.serialize(self)
    }

    not_short! {
        serialize_bool(bool) -> Head;
        serialize_f32(f32) -> Head;
        serialize_f64(f64) -> Head;
        serialize_char(char) -> Head;
        serialize_none() -> Head;
        serialize_unit() -> Head;
        serialize_unit_struct(&'static str) -> Head;
        serialize_unit_variant(&'static str, u32, &'static str) -> Head;
        serialize_seq(Option<usize>) -> Never;
        serialize_tuple(usize) -> Never;
        serialize_tuple_struct(&'static str, usize) -> Never;
        serialize_tuple_variant(&'static str, u32, &'static str, usize) -> Never;
        serialize_map(Option<usize>) -> Never;
        serialize_struct(&'static str, usize) -> Never;
        serialize_struct_variant(&'static str, u32, &'static str, usize) -> Never;
    }

    #[inline(always)]
    fn serialize_some<T: Serialize + ?Sized>(self, _: &T) -> Result<Head, NotShort> {
        Err(NotShort)
    }

    #[inline(always)]
    fn serialize_newtype_variant<T: Serialize + ?Sized>(self, _: &'static str, _: u32, _: &'static str, _: &T) -> Result<Head, NotShort> {
        Err(NotShort)
    }

    // It is written once, when it is a key, and not twice.
    fn collect_str<T: std::fmt::Display + ?Sized>(self, _: &T) -> Result<Head, NotShort> {
        Err(NotShort)
    }

    fn is_human_readable(&self) -> bool {
        false
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
