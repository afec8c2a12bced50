//! Frames: what client and server say to each other. `PROTOCOL.md` describes them for other languages.
//!
//! Each is one message: an array, or a map where it is about the connection.

use std::fmt;
use std::marker::PhantomData;

use places::{Channel, Error, Packet};
use serde::de::{self, Deserializer, Error as _, IgnoredAny, SeqAccess, Visitor};
use serde::{Deserialize, Serialize};

use crate::Server;
use crate::arguments::Of;
use crate::error::Failure;

/// The version of these frames.
pub(crate) const PROTOCOL: u32 = 1;
/// Stands for the number of a call where an answer belongs to none: to a cast.
pub(crate) const NO_CALL: u64 = 0;
/// In an answer, before a result.
const RESULT: u8 = 0;
/// In an answer, before a failure.
const FAILURE: u8 = 1;

/// A client's first frame: what it expects.
#[derive(Serialize, Deserialize)]
pub(crate) struct Hello {
    pub(crate) rpc: u32,
    pub(crate) interface: String,
    pub(crate) version: u32,
}

/// What a server gets.
pub(crate) enum Frame<R> {
    /// `[number, method, arguments]`, or without the number, which is [`NO_CALL`] then; and which method that is.
    Request(u64, usize, R),
    /// `[number]`: nobody waits for that call any more.
    Cancel(u64),
    /// A method that the server does not have, called with that number or cast.
    Unknown(u64, String),
}

/// What is about the connection.
pub(crate) enum Opening {
    Hello {
        interface: String,
        version: u32,
    },
    /// Another client, which came by the server's name.
    Client(Channel<Packet, Packet>),
    /// Who keeps the server's state.
    Keeper(Channel<Packet, Packet>),
}

#[derive(Serialize, Deserialize)]
struct WithKeeper {
    keeper: Channel<Packet, Packet>,
}

/// The frame that hands a server its keeper.
pub(crate) fn with_keeper(keeper: Channel<Packet, Packet>) -> impl Serialize {
    WithKeeper { keeper }
}

/// Whether it is a map, which only what is about the connection is.
pub(crate) fn is_opening(packet: &Packet) -> bool {
    // Behind CBOR's tag of three bytes; the kind of a value is in its upper three bits (RFC 8949, section 3.1).
    packet.bytes().get(3).is_some_and(|first| first >> 5 == 5)
}

impl Opening {
    pub(crate) fn read(packet: &mut Packet) -> Result<Self, Error> {
        if let Ok(Hello { rpc, interface, version }) = packet.read() {
            if rpc != PROTOCOL {
                return Err(Error::Decode(format!("the client speaks version {rpc} of the protocol, this server {PROTOCOL}")));
            }
            return Ok(Self::Hello { interface, version });
        }
        if let Ok(WithKeeper { keeper }) = packet.read() {
            return Ok(Self::Keeper(keeper));
        }
        Ok(Self::Client(packet.read()?))
    }
}

/// The number of a call that is cancelled by this frame.
pub(crate) fn cancelled(packet: &Packet) -> Option<u64> {
    const ARRAY_OF_ONE: u8 = 0x81;
    let frame = packet.bytes().get(3..)?;
    unsigned(frame.strip_prefix(&[ARRAY_OF_ONE])?)
}

/// The number of the call that an answer belongs to.
pub(crate) fn answers(packet: &Packet) -> Option<u64> {
    const ARRAY_OF_THREE: u8 = 0x83;
    let frame = packet.bytes().get(3..)?;
    unsigned(frame.strip_prefix(&[ARRAY_OF_THREE])?)
}

/// The unsigned integer at the beginning (RFC 8949, section 3.1).
fn unsigned(bytes: &[u8]) -> Option<u64> {
    let (first, rest) = bytes.split_first()?;
    let of = |len: usize| rest.get(..len).map(|digits| digits.iter().fold(0, |number, &digit| number << 8 | u64::from(digit)));
    match first {
        0..24 => Some(u64::from(*first)),
        24 => of(1),
        25 => of(2),
        26 => of(4),
        27 => of(8),
        _ => None,
    }
}

/// An answer with a result.
pub(crate) fn result<T: Serialize>(call: u64, value: T) -> impl Serialize {
    (call, RESULT, value)
}

/// An answer with a failure.
pub(crate) fn failure(call: u64, failure: &Failure) -> impl Serialize {
    (call, FAILURE, failure)
}

/// An answer that has come.
pub(crate) struct Answer<T>(pub(crate) Result<T, Failure>);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Answer<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Parts<T>(PhantomData<T>);

        impl<'de, T: Deserialize<'de>> Visitor<'de> for Parts<T> {
            type Value = Answer<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an answer: [number, 0, result] or [number, 1, failure]")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut parts: A) -> Result<Answer<T>, A::Error> {
                let short = || A::Error::invalid_length(2, &"an answer of three");
                parts.next_element::<u64>()?.ok_or_else(short)?;
                let answer = match parts.next_element::<u8>()?.ok_or_else(short)? {
                    RESULT => Ok(parts.next_element()?.ok_or_else(short)?),
                    FAILURE => Err(parts.next_element()?.ok_or_else(short)?),
                    kind => return Err(A::Error::custom(format!("an answer of the unknown kind {kind}"))),
                };
                drain(&mut parts)?;
                Ok(Answer(answer))
            }
        }

        deserializer.deserialize_seq(Parts(PhantomData))
    }
}

/// What may come in later versions is skipped.
fn drain<'de, A: SeqAccess<'de>>(parts: &mut A) -> Result<(), A::Error> {
    while parts.next_element::<IgnoredAny>()?.is_some() {}
    Ok(())
}

/// The number and the method of a frame whose arguments cannot be read.
pub(crate) fn head(packet: &mut Packet) -> Option<(u64, String)> {
    if let Ok((call, method, IgnoredAny)) = packet.read() {
        return Some((call, method));
    }
    let (method, IgnoredAny) = packet.read().ok()?;
    Some((NO_CALL, method))
}

/// A frame for a server of this kind.
pub(crate) struct For<S: Server>(pub(crate) Frame<S::Request>);

/// A method, looked up where its name lies.
struct Method<S>(Result<usize, String>, PhantomData<S>);

/// The first element of a frame, the method looked up.
enum Start<S> {
    Number(u64),
    Method(Method<S>),
}

impl<S: Server> Method<S> {
    fn of(name: &str) -> Self {
        Self(S::method(name).ok_or_else(|| name.to_owned()), PhantomData)
    }
}

impl<'de, S: Server> Deserialize<'de> for Method<S> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Name<S>(PhantomData<S>);

        impl<S: Server> Visitor<'_> for Name<S> {
            type Value = Method<S>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("the name of a method")
            }

            fn visit_str<E: de::Error>(self, name: &str) -> Result<Method<S>, E> {
                Ok(Method::of(name))
            }
        }

        deserializer.deserialize_str(Name(PhantomData))
    }
}

impl<'de, S: Server> Deserialize<'de> for Start<S> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either<S>(PhantomData<S>);

        impl<S: Server> Visitor<'_> for Either<S> {
            type Value = Start<S>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("the number of a call or the name of a method")
            }

            fn visit_u64<E: de::Error>(self, number: u64) -> Result<Start<S>, E> {
                Ok(Start::Number(number))
            }

            fn visit_str<E: de::Error>(self, name: &str) -> Result<Start<S>, E> {
                Ok(Start::Method(Method::of(name)))
            }
        }

        deserializer.deserialize_any(Either(PhantomData))
    }
}

impl<'de, S: Server> Deserialize<'de> for For<S> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Parts<S>(PhantomData<S>);

        impl<'de, S: Server> Visitor<'de> for Parts<S> {
            type Value = For<S>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("[number, method, arguments], [method, arguments] or [number]")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut parts: A) -> Result<For<S>, A::Error> {
                let (call, method) = match parts.next_element::<Start<S>>()? {
                    None => return Err(A::Error::invalid_length(0, &self)),
                    Some(Start::Method(method)) => (NO_CALL, method),
                    Some(Start::Number(NO_CALL)) => return Err(A::Error::custom("calls are numbered from 1 on")),
                    Some(Start::Number(call)) => match parts.next_element()? {
                        Some(method) => (call, method),
                        None => return Ok(For(Frame::Cancel(call))),
                    },
                };
                let frame = match method.0 {
                    Err(name) => Frame::Unknown(call, name),
                    Ok(method) => {
                        let request = parts.next_element_seed(Of::<S> { method, server: PhantomData })?;
                        let request = request.ok_or_else(|| A::Error::custom("there are no arguments"))?;
                        Frame::Request(call, method, request)
                    }
                };
                drain(&mut parts)?;
                Ok(For(frame))
            }
        }

        deserializer.deserialize_seq(Parts(PhantomData))
    }
}
