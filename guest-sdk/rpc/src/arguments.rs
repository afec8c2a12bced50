//! Arguments: what a client may pass for a parameter, and how a server reads them.
//!
//! They are an array. A server takes fewer than it has parameters where the missing ones are `Option`s, which are `None` then, and more
//! where the surplus ones are null: so a method can be given a parameter more without breaking who calls it.

use std::fmt;
use std::marker::PhantomData;

use serde::de::value::Error as NoValue;
use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, SeqAccess, Visitor};
use serde::{Deserialize, Serialize, forward_to_deserialize_any};

/// What can be passed for a parameter of type `T`: a `T`, a reference to one, and what reads as one, such as `&str` for `String`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be passed for a parameter of type `{T}`",
    label = "pass a `{T}` or a reference to one"
)]
pub trait Argument<T>: Serialize {}

impl<T: Serialize> Argument<T> for T {}
impl<T: Serialize> Argument<T> for &T {}
impl Argument<String> for &str {}
impl<T: Serialize> Argument<Vec<T>> for &[T] {}

/// The parameters of a method, as a tuple.
pub trait Parameters<'de>: Sized {
    #[doc(hidden)]
    fn read<A: SeqAccess<'de>>(arguments: &mut A) -> Result<Self, A::Error>;
}

macro_rules! parameters {
    ($($name:ident)*) => {
        impl<'de, $($name: Deserialize<'de>),*> Parameters<'de> for ($($name,)*) {
            fn read<A: SeqAccess<'de>>(arguments: &mut A) -> Result<Self, A::Error> {
                // For the method without parameters.
                let _ = &arguments;
                Ok(($(next::<$name, A>(arguments)?,)*))
            }
        }
    };
}

parameters!();
parameters!(P0);
parameters!(P0 P1);
parameters!(P0 P1 P2);
parameters!(P0 P1 P2 P3);
parameters!(P0 P1 P2 P3 P4);
parameters!(P0 P1 P2 P3 P4 P5);
parameters!(P0 P1 P2 P3 P4 P5 P6);
parameters!(P0 P1 P2 P3 P4 P5 P6 P7);

fn next<'de, T: Deserialize<'de>, A: SeqAccess<'de>>(arguments: &mut A) -> Result<T, A::Error> {
    match arguments.next_element()? {
        Some(argument) => Ok(argument),
        None => T::deserialize(Missing).map_err(|_| A::Error::custom("an argument is missing")),
    }
}

/// What stands for an argument that is not there: `None`, and nothing else.
struct Missing;

impl<'de> Deserializer<'de> for Missing {
    type Error = NoValue;

    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, NoValue> {
        Err(NoValue::custom("missing"))
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, NoValue> {
        visitor.visit_none()
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit unit_struct newtype_struct seq tuple
        tuple_struct map struct enum identifier ignored_any
    }
}

/// Reads an array of arguments as the parameters of a method.
pub fn arguments<'de, T: Parameters<'de>, D: Deserializer<'de>>(deserializer: D) -> Result<T, D::Error> {
    struct Arguments<T>(PhantomData<T>);

    impl<'de, T: Parameters<'de>> Visitor<'de> for Arguments<T> {
        type Value = T;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an array of arguments")
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut arguments: A) -> Result<T, A::Error> {
            let parameters = T::read(&mut arguments)?;
            while let Some(surplus) = arguments.next_element::<Option<IgnoredAny>>()? {
                if surplus.is_some() {
                    return Err(A::Error::custom("there is an argument too many"));
                }
            }
            Ok(parameters)
        }
    }

    deserializer.deserialize_seq(Arguments(PhantomData))
}

/// Reads the arguments of one method of a server.
pub(crate) struct Of<S> {
    pub(crate) method: usize,
    pub(crate) server: PhantomData<S>,
}

impl<'de, S: crate::Server> DeserializeSeed<'de> for Of<S> {
    type Value = S::Request;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<S::Request, D::Error> {
        S::read(self.method, deserializer)
    }
}
