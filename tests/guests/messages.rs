//! What a message may carry: every kind of serde's, raw bytes, ends of channels, blobs. Each claim is a start function that
//! panics where it is wrong; `tests/behaviour.rs` runs them.

use std::collections::{BTreeMap, HashMap};
use std::fmt::Debug;
use std::time::Duration;

use places::{Blob, Bytes, Channel, Error};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Unit;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Meters(f64);

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Pair(u8, String);

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Person {
    name: String,
    #[serde(default)]
    age: Option<u32>,
    friends: Vec<Self>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
enum Shape {
    Point,
    Circle(f32),
    Box(i64, i64),
    Named { label: String, inner: Option<Box<Self>> },
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind")]
enum Tagged {
    Join { name: String },
    Leave,
}

#[derive(Debug, Deserialize)]
struct Deep(#[expect(dead_code, reason = "it is never read")] Vec<Self>);

/// Sends ends of channels and blobs deep inside.
#[derive(Debug, Serialize, Deserialize)]
struct Parcel {
    label: String,
    one: Channel<u32, u32>,
    more: Vec<Channel<u32, u32>>,
    perhaps: Option<Channel<u32, u32>>,
    by_name: BTreeMap<String, (u8, Channel<u32, u32>)>,
    content: Blob,
}

/// Adds one to what comes on any end in the parcel, once each.
#[places::start]
fn unpacker(ch: Channel<Parcel, u64>) -> places::Result {
    let Parcel { one, more, perhaps, by_name, content, .. } = ch.get()?;
    let ends = [one].into_iter().chain(more).chain(perhaps).chain(by_name.into_values().map(|(_, end)| end));
    for end in ends {
        end.put(end.get()? + 1)?;
    }
    Ok(ch.put(content.len())?)
}

/// Passes what it is sent on to where it is sent first.
#[places::start]
fn relay(ch: Channel<Channel<(), Channel<String, String>>, ()>) -> places::Result {
    let to = ch.get()?;
    let end = ch.typed::<Channel<String, String>, ()>();
    Ok(to.put(end.get()?)?)
}

/// Greets on an end that it is sent.
#[places::start]
fn greeter(ch: Channel<Channel<Channel<String, String>, ()>, ()>) -> places::Result {
    let from = ch.get()?;
    let end = from.get()?;
    let name = end.get()?;
    Ok(end.put(format!("hello {name}"))?)
}

fn comes_back<T: Serialize + DeserializeOwned + PartialEq + Debug>(value: T) -> places::Result {
    let (one, other) = Channel::pair::<(), T>()?;
    one.put(&value)?;
    assert_eq!(other.get()?, value);
    Ok(())
}

#[places::start]
fn every_kind_of_value_comes_back_equal(_: Channel) -> places::Result {
    comes_back(())?;
    comes_back([true, false])?;
    comes_back((i8::MIN, i16::MIN, i32::MIN, i64::MIN, i128::MIN))?;
    comes_back((u8::MAX, u16::MAX, u32::MAX, u64::MAX, u128::MAX))?;
    comes_back((0i128, -1i128, 1u128 << 64, 23u8, 24u8, 255u16, 256u16))?;
    comes_back((1.5f32, f64::MIN_POSITIVE, f64::INFINITY, f32::NEG_INFINITY, 0.1f64))?;
    comes_back(('x', '\u{10ffff}', "Grüße, 世界 🦀\0".to_string(), String::new()))?;
    comes_back((Vec::<u8>::new(), vec![0u8, 255], vec![vec![1u64], vec![]], [1u8; 4]))?;
    comes_back((None::<u8>, Some(1u8), Some("x".to_string()), Ok::<u8, String>(1), Err::<u8, String>("no".into())))?;
    comes_back((Unit, Meters(2.0), Pair(1, "b".into())))?;
    comes_back(vec![Shape::Point, Shape::Circle(1.0), Shape::Box(-1, 1)])?;
    comes_back(Shape::Named { label: "a".into(), inner: Some(Box::new(Shape::Point)) })?;
    comes_back(vec![Tagged::Join { name: "ann".into() }, Tagged::Leave])?;
    let friend = Person { name: "Bo".into(), ..Person::default() };
    comes_back(Person { name: "Al".into(), age: Some(3), friends: vec![friend.clone(), friend] })?;
    comes_back(HashMap::from([("a".to_string(), 1), ("b".to_string(), 2)]))?;
    comes_back(BTreeMap::from([((1u8, -1i8), vec![Some(1.0)]), ((2, 2), vec![])]))?;
    comes_back(HashMap::<u64, HashMap<String, Vec<u8>>>::from([(7, HashMap::from([("x".into(), vec![1, 2])]))]))?;
    comes_back(Duration::from_nanos(1_000_000_007))?;
    let (one, other) = Channel::pair::<(), (f32, f64, f64)>()?;
    one.put((f32::NAN, f64::NAN, -0.0))?;
    let (single, double, zero) = other.get()?;
    assert!(single.is_nan() && double.is_nan() && zero.is_sign_negative());
    Ok(())
}

#[places::start]
fn a_reader_may_know_fewer_fields_than_the_writer(_: Channel) -> places::Result {
    #[derive(Serialize)]
    struct Newer {
        name: &'static str,
        friends: [u8; 0],
        shoe_size: u8,
    }
    let (one, other) = Channel::pair::<(), Newer>()?;
    one.put(Newer { name: "Al", friends: [], shoe_size: 43 })?;
    let person = other.typed::<Person, ()>().get()?;
    assert_eq!(person, Person { name: "Al".into(), age: None, friends: vec![] });
    Ok(())
}

#[places::start]
fn what_nests_too_deeply_is_an_error(_: Channel) -> places::Result {
    let (raw, deep) = Channel::pair::<(), Bytes>()?;
    raw.put([&[0xd9, 0xd9, 0xf7][..], &[0x81; 100_000], &[0x05]].concat())?;
    let read = deep.typed::<Deep, ()>().get();
    assert!(matches!(read, Err(Error::Decode(_))), "{read:?}");
    Ok(())
}

#[places::start]
fn raw_bytes_come_as_they_are(_: Channel) -> places::Result {
    let (one, other) = Channel::pair::<Bytes, Bytes>()?;
    // Also those that begin as typed messages do, and none at all.
    for bytes in [&[0xd9, 0xd9, 0xf7, 0xff][..], &[], &[0; 100_000]] {
        one.put(bytes)?;
        assert_eq!(other.get()?.0, bytes);
    }
    Ok(())
}

#[places::start]
fn a_message_of_another_type_is_an_error_and_the_next_one_is_read(_: Channel) -> places::Result {
    let (text, numbers) = Channel::pair::<(), String>()?;
    let numbers = numbers.typed::<u32, ()>();
    let raw = text.clone().typed::<(), Bytes>();
    text.put("five")?;
    raw.put(b"\x05")?;
    raw.put(b"\xd9\xd9\xf7\x1a\0\0")?;
    raw.put(b"\xd9\xd9\xf7\x05\x05")?;
    text.typed::<(), u32>().put(5)?;
    for _ in 0..4 {
        let error = numbers.get();
        assert!(matches!(error, Err(Error::Decode(_))), "{error:?}");
    }
    assert_eq!(numbers.get(), Ok(5));
    Ok(())
}

#[places::start]
fn a_message_may_be_as_long_as_the_limit_and_no_longer(_: Channel) -> places::Result {
    let (one, other) = Channel::pair::<Bytes, Bytes>()?;
    let largest = vec![7; 64 << 20];
    one.put(&largest)?;
    assert_eq!(other.get()?.len(), largest.len());
    drop(largest);
    let larger = vec![7; (64 << 20) + 1];
    assert_eq!(one.put(&larger), Err(Error::TooLarge(64 << 20)));
    assert_eq!(one.try_put(&larger), Err(Error::TooLarge(64 << 20)));
    assert_eq!(other.try_get(), Err(Error::WouldBlock));
    Ok(())
}

#[places::start]
fn ends_of_channels_travel_anywhere_in_a_message(_: Channel) -> places::Result {
    let p = unpacker::spawn()?;
    let mut mine = Vec::new();
    let mut end = || -> Result<_, Error> {
        let (here, there) = Channel::pair::<u32, u32>()?;
        mine.push(here);
        Ok(there)
    };
    let (one, more, perhaps) = (end()?, vec![end()?, end()?], Some(end()?));
    let by_name = BTreeMap::from([("a".to_string(), (1, end()?)), ("b".to_string(), (2, end()?))]);
    // A message that was put before its reader moved is read where the end went.
    mine[0].put(0)?;
    p.put(Parcel { label: "ends".into(), one, more, perhaps, by_name, content: Blob::new(b"blob")? })?;
    (1..).zip(&mine[1..]).try_for_each(|(n, here)| here.put(n))?;
    for (n, here) in (0..).zip(&mine) {
        assert_eq!(here.get()?, n + 1);
        assert_eq!(here.get(), Err(Error::Closed), "the end that moved was kept by somebody");
    }
    assert_eq!(p.get()?, 4);
    Ok(())
}

#[places::start]
fn an_end_travels_through_two_places(_: Channel) -> places::Result {
    let (relay, greeter) = (relay::spawn()?, greeter::spawn()?);
    let (to, from) = Channel::pair()?;
    relay.put(to)?;
    greeter.put(from)?;
    let (here, there) = Channel::pair::<String, String>()?;
    relay.into_channel().typed::<(), Channel<String, String>>().put(there)?;
    here.put("world")?;
    assert_eq!(here.get()?, "hello world");
    Ok(())
}

#[places::start]
fn an_end_put_by_reference_is_shared_and_by_value_moves(_: Channel) -> places::Result {
    let (one, other) = Channel::pair::<(), Channel<u32, u32>>()?;
    let (here, there) = Channel::pair::<u32, u32>()?;
    one.put(&there)?;
    drop(other.get()?);
    there.put(1)?;
    assert_eq!(here.get(), Ok(1));
    one.put(there)?;
    drop(other.get()?);
    assert_eq!(here.get(), Err(Error::Closed));
    Ok(())
}

#[places::start]
fn an_end_cannot_be_sent_to_itself(_: Channel) -> places::Result {
    let (one, other) = Channel::pair::<Bytes, Bytes>()?;
    let (one, other) = (one.typed::<u8, Channel<u8, u8>>(), other.typed::<Channel<u8, u8>, u8>());
    let refused = one.put(other.clone().typed::<u8, u8>());
    assert!(matches!(refused, Err(Error::Invalid(_))), "{refused:?}");
    assert_eq!(other.try_get().map(drop), Err(Error::WouldBlock));
    // The other way round it makes sense: the reader gets both ends.
    one.put(one.clone().typed::<u8, u8>())?;
    let both = other.get()?.typed::<u8, Channel<u8, u8>>();
    other.put(1)?;
    assert_eq!(both.get(), Ok(1));
    Ok(())
}

#[places::start]
fn ends_that_come_to_a_reader_of_bytes_are_closed(_: Channel) -> places::Result {
    let (one, other) = Channel::pair::<(), Channel<u8, u8>>()?;
    let (here, there) = Channel::pair::<u8, u8>()?;
    one.put(there)?;
    assert!(other.typed::<Bytes, ()>().get()?.len() > 3);
    assert_eq!(here.get(), Err(Error::Closed));
    Ok(())
}

#[places::start]
fn plain_messages_and_those_with_ends_keep_their_order(_: Channel) -> places::Result {
    type Either = Result<Channel<u8, u8>, u32>;
    let (one, other) = Channel::pair::<(), Either>()?;
    let (_here, there) = Channel::pair::<u8, u8>()?;
    one.put_many((0..30).map(|n| if n % 3 == 0 { Ok(there.clone()) } else { Err(n) }))?;
    let mut got = Vec::new();
    while got.len() < 30 {
        got.extend(other.get_many()?);
    }
    for (n, message) in (0..).zip(got) {
        assert_eq!(message.map(drop), if n % 3 == 0 { Ok(()) } else { Err(n) });
    }
    Ok(())
}

#[places::start]
fn a_blob_is_read_sliced_and_shared(_: Channel) -> places::Result {
    let blob = Blob::new(b"0123456789")?;
    assert_eq!((blob.len(), blob.read(3, 4), blob.read(8, 100), blob.read(11, 1)), (10, b"3456".to_vec(), b"89".to_vec(), vec![]));
    let middle = blob.slice(2, 6)?;
    drop(blob);
    assert_eq!(middle.slice(1, 3)?.to_vec(), b"345");
    assert_eq!(middle.slice(6, 0)?.to_vec(), b"");
    for (offset, len) in [(0, 7), (6, 1), (7, 0), (u64::MAX, 1), (1, u64::MAX)] {
        let outside = middle.slice(offset, len);
        assert!(matches!(outside, Err(Error::NotFound(_))), "{offset} {len}: {outside:?}");
    }
    let (one, other) = Channel::pair::<(), Vec<Blob>>()?;
    one.put(vec![middle.clone(), middle.slice(0, 1)?])?;
    drop(middle);
    let got: Vec<_> = other.get()?.iter().map(Blob::to_vec).collect();
    assert_eq!(got, [b"234567".to_vec(), b"2".to_vec()]);
    Ok(())
}
