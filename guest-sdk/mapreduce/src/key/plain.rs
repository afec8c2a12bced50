//! Values that are but a text or a number: seen without being written anywhere.

use serde::ser::{Impossible, Serialize, Serializer};

/// Who sees a value. None is what it cannot use.
pub(crate) trait See: Sized {
    /// Whether a value that is one thing for people and another for machines is seen as that for people.
    const FOR_PEOPLE: bool;
    type Seen;

    fn text(self, text: &str) -> Option<Self::Seen>;

    fn bytes(self, bytes: &[u8]) -> Option<Self::Seen>;

    /// A number in bytes that have the order of numbers of its type.
    fn number(self, ordered: &[u8]) -> Option<Self::Seen>;
}

/// What is seen of a value; none where it is made of several things, or has to be written to know.
#[inline(always)]
pub(crate) fn see<T: Serialize + ?Sized, S: See>(value: &T, who: S) -> Option<S::Seen> {
    value.serialize(Plain(who)).ok()
}

struct Plain<S>(S);

/// It is something else.
#[derive(Debug)]
struct NotPlain;

impl std::fmt::Display for NotPlain {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("neither text nor a number")
    }
}

impl std::error::Error for NotPlain {}

impl serde::ser::Error for NotPlain {
    fn custom<T: std::fmt::Display>(_: T) -> Self {
        Self
    }
}

macro_rules! numbers {
    ($($name:ident: $type:ty, $turn:expr;)*) => {$(
        #[inline(always)]
        fn $name(self, value: $type) -> Result<S::Seen, NotPlain> {
            self.0.number(&(value ^ $turn).to_be_bytes()).ok_or(NotPlain)
        }
    )*};
}

macro_rules! not_plain {
    ($($name:ident($($type:ty),*) -> $result:ty;)*) => {$(
        #[inline(always)]
        fn $name(self, $(_: $type),*) -> Result<$result, NotPlain> {
            Err(NotPlain)
        }
    )*};
}

type Never<S> = Impossible<<S as See>::Seen, NotPlain>;

impl<S: See> Serializer for Plain<S> {
    type Ok = S::Seen;
    type Error = NotPlain;
    type SerializeSeq = Never<S>;
    type SerializeTuple = Never<S>;
    type SerializeTupleStruct = Never<S>;
    type SerializeTupleVariant = Never<S>;
    type SerializeMap = Never<S>;
    type SerializeStruct = Never<S>;
    type SerializeStructVariant = Never<S>;

    numbers! {
        serialize_u8: u8, 0; serialize_u16: u16, 0; serialize_u32: u32, 0; serialize_u64: u64, 0; serialize_u128: u128, 0;
        serialize_i8: i8, i8::MIN; serialize_i16: i16, i16::MIN; serialize_i32: i32, i32::MIN; serialize_i64: i64, i64::MIN;
        serialize_i128: i128, i128::MIN;
    }

    #[inline(always)]
    fn serialize_str(self, value: &str) -> Result<S::Seen, NotPlain> {
        self.0.text(value).ok_or(NotPlain)
    }

    #[inline(always)]
    fn serialize_bytes(self, value: &[u8]) -> Result<S::Seen, NotPlain> {
        self.0.bytes(value).ok_or(NotPlain)
    }

    #[inline(always)]
    fn serialize_newtype_struct<T: Serialize + ?Sized>(self, _: &'static str, value: &T) -> Result<S::Seen, NotPlain> {
        value.serialize(self)
    }

    not_plain! {
        serialize_bool(bool) -> S::Seen;
        serialize_f32(f32) -> S::Seen;
        serialize_f64(f64) -> S::Seen;
        serialize_char(char) -> S::Seen;
        serialize_none() -> S::Seen;
        serialize_unit() -> S::Seen;
        serialize_unit_struct(&'static str) -> S::Seen;
        serialize_unit_variant(&'static str, u32, &'static str) -> S::Seen;
        serialize_seq(Option<usize>) -> Never<S>;
        serialize_tuple(usize) -> Never<S>;
        serialize_tuple_struct(&'static str, usize) -> Never<S>;
        serialize_tuple_variant(&'static str, u32, &'static str, usize) -> Never<S>;
        serialize_map(Option<usize>) -> Never<S>;
        serialize_struct(&'static str, usize) -> Never<S>;
        serialize_struct_variant(&'static str, u32, &'static str, usize) -> Never<S>;
    }

    #[inline(always)]
    fn serialize_some<T: Serialize + ?Sized>(self, _: &T) -> Result<S::Seen, NotPlain> {
        Err(NotPlain)
    }

    #[inline(always)]
    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: &T,
    ) -> Result<S::Seen, NotPlain> {
        Err(NotPlain)
    }

    // It is written once, when it is a key, and not twice.
    fn collect_str<T: std::fmt::Display + ?Sized>(self, _: &T) -> Result<S::Seen, NotPlain> {
        Err(NotPlain)
    }

    fn is_human_readable(&self) -> bool {
        S::FOR_PEOPLE
    }
}
