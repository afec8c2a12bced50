//! Keys into bytes.

use serde::ser::{
    Serialize, SerializeMap, SerializeSeq, SerializeStruct, SerializeStructVariant, SerializeTuple, SerializeTupleStruct,
    SerializeTupleVariant, Serializer,
};

use super::KeyError;
use crate::short;

/// Behind text.
pub(super) const END_OF_TEXT: [u8; 2] = [0, 0];

pub(super) struct Writer<'a> {
    pub(super) bytes: &'a mut Vec<u8>,
    /// The last thing that was written is the end of a text.
    pub(super) ends_in_text: bool,
}

impl Writer<'_> {
    fn push(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
        self.ends_in_text = false;
    }

    #[inline]
    fn text(&mut self, text: &[u8]) {
        let begin = self.bytes.len();
        if !short::append(self.bytes, text) {
            self.bytes.truncate(begin);
            for &byte in text {
                self.bytes.push(byte);
                if byte == 0 {
                    self.bytes.push(255);
                }
            }
        }
        self.bytes.extend_from_slice(&END_OF_TEXT);
        self.ends_in_text = true;
    }

    /// One byte for the first 255 variants.
    fn variant(&mut self, index: u32) {
        match u8::try_from(index) {
            Ok(index) if index < 255 => self.push(&[index]),
            _ => {
                self.push(&[255]);
                self.push(&index.to_be_bytes());
            }
        }
    }
}

macro_rules! unsigned {
    ($($name:ident: $type:ty;)*) => {$(
        fn $name(self, value: $type) -> Result<(), KeyError> {
            self.push(&value.to_be_bytes());
            Ok(())
        }
    )*};
}

macro_rules! signed {
    ($($name:ident: $type:ty;)*) => {$(
        fn $name(self, value: $type) -> Result<(), KeyError> {
            self.push(&(value ^ <$type>::MIN).to_be_bytes());
            Ok(())
        }
    )*};
}

macro_rules! float {
    ($($name:ident: $type:ty, $signed:ty, $shift:literal;)*) => {$(
        fn $name(self, value: $type) -> Result<(), KeyError> {
            // The total order: of negative ones all bits are turned, of the others the sign.
            let bits = value.to_bits() as $signed;
            self.push(&(bits ^ ((bits >> $shift) | <$signed>::MIN)).to_be_bytes());
            Ok(())
        }
    )*};
}

impl Serializer for &mut Writer<'_> {
    type Ok = ();
    type Error = KeyError;
    type SerializeSeq = Self;
    type SerializeTuple = Self;
    type SerializeTupleStruct = Self;
    type SerializeTupleVariant = Self;
    type SerializeMap = Self;
    type SerializeStruct = Self;
    type SerializeStructVariant = Self;

    unsigned! { serialize_u8: u8; serialize_u16: u16; serialize_u32: u32; serialize_u64: u64; serialize_u128: u128; }
    signed! { serialize_i8: i8; serialize_i16: i16; serialize_i32: i32; serialize_i64: i64; serialize_i128: i128; }
    float! { serialize_f32: f32, i32, 31; serialize_f64: f64, i64, 63; }

    fn serialize_bool(self, value: bool) -> Result<(), KeyError> {
        self.push(&[u8::from(value)]);
        Ok(())
    }

    fn serialize_char(self, value: char) -> Result<(), KeyError> {
        self.push(&u32::from(value).to_be_bytes());
        Ok(())
    }

    #[inline]
    fn serialize_str(self, value: &str) -> Result<(), KeyError> {
        self.text(value.as_bytes());
        Ok(())
    }

    fn serialize_bytes(self, value: &[u8]) -> Result<(), KeyError> {
        self.text(value);
        Ok(())
    }

    fn serialize_none(self) -> Result<(), KeyError> {
        self.push(&[0]);
        Ok(())
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<(), KeyError> {
        self.push(&[1]);
        value.serialize(self)
    }

    fn serialize_unit(self) -> Result<(), KeyError> {
        Ok(())
    }

    fn serialize_unit_struct(self, _: &'static str) -> Result<(), KeyError> {
        Ok(())
    }

    fn serialize_unit_variant(self, _: &'static str, index: u32, _: &'static str) -> Result<(), KeyError> {
        self.variant(index);
        Ok(())
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(self, _: &'static str, value: &T) -> Result<(), KeyError> {
        value.serialize(self)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        index: u32,
        _: &'static str,
        value: &T,
    ) -> Result<(), KeyError> {
        self.variant(index);
        value.serialize(self)
    }

    fn serialize_seq(self, _: Option<usize>) -> Result<Self, KeyError> {
        Ok(self)
    }

    fn serialize_tuple(self, _: usize) -> Result<Self, KeyError> {
        Ok(self)
    }

    fn serialize_tuple_struct(self, _: &'static str, _: usize) -> Result<Self, KeyError> {
        Ok(self)
    }

    fn serialize_tuple_variant(self, _: &'static str, index: u32, _: &'static str, _: usize) -> Result<Self, KeyError> {
        self.variant(index);
        Ok(self)
    }

    fn serialize_map(self, _: Option<usize>) -> Result<Self, KeyError> {
        Ok(self)
    }

    fn serialize_struct(self, _: &'static str, _: usize) -> Result<Self, KeyError> {
        Ok(self)
    }

    fn serialize_struct_variant(self, _: &'static str, index: u32, _: &'static str, _: usize) -> Result<Self, KeyError> {
        self.variant(index);
        Ok(self)
    }

    fn is_human_readable(&self) -> bool {
        false
    }
}

impl SerializeSeq for &mut Writer<'_> {
    type Ok = ();
    type Error = KeyError;

    fn serialize_element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), KeyError> {
        self.push(&[1]);
        value.serialize(&mut **self)
    }

    fn end(self) -> Result<(), KeyError> {
        self.push(&[0]);
        Ok(())
    }
}

impl SerializeMap for &mut Writer<'_> {
    type Ok = ();
    type Error = KeyError;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), KeyError> {
        self.push(&[1]);
        key.serialize(&mut **self)
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), KeyError> {
        value.serialize(&mut **self)
    }

    fn end(self) -> Result<(), KeyError> {
        self.push(&[0]);
        Ok(())
    }
}

macro_rules! fields {
    ($($trait:ident, $method:ident($($name:ident: $type:ty)?);)*) => {$(
        impl $trait for &mut Writer<'_> {
            type Ok = ();
            type Error = KeyError;

            fn $method<T: Serialize + ?Sized>(&mut self, $($name: $type,)? value: &T) -> Result<(), KeyError> {
                value.serialize(&mut **self)
            }

            fn end(self) -> Result<(), KeyError> {
                Ok(())
            }
        }
    )*};
}

fields! {
    SerializeTuple, serialize_element();
    SerializeTupleStruct, serialize_field();
    SerializeTupleVariant, serialize_field();
    SerializeStruct, serialize_field(_name: &'static str);
    SerializeStructVariant, serialize_field(_name: &'static str);
}
