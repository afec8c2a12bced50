//! Places and channels over several nodes: all goes as it does on one. Each claim is a start function that panics where it is wrong,
//! whose arguments are the addresses of nodes; `tests/far.rs` runs them.

#[path = "far/ends.rs"]
mod ends;
#[path = "far/farewells.rs"]
mod farewells;
#[path = "far/names.rs"]
mod names;
#[path = "far/shared.rs"]
mod shared;

use std::net::TcpListener;
use std::time::Duration;

use places::{
    Blob, Bytes, Channel, Either, Error, ExitReason, Grants, Module, Node, NodeId, Options, Place, PlaceId, after, exit, monitor, sync,
};
use serde::{Deserialize, Serialize};
use test_guests::denied;

/// Never reached where the right event comes.
const NEVER: Duration = Duration::from_secs(3600);

/// The nodes of the arguments.
fn nodes<const N: usize>() -> Result<[Node; N], Error> {
    let nodes = std::env::args().skip(1).map(|address| Node::connect(&address)).collect::<Result<Vec<_>, _>>()?;
    Ok(nodes.try_into().expect("as many addresses as nodes"))
}

fn not_found<T: std::fmt::Debug>(result: Result<T, Error>, part: &str) {
    assert!(matches!(&result, Err(Error::NotFound(text)) if text.contains(part)), "{result:?}");
}

/// Answers with what it is told, until there is nothing more.
#[places::start]
fn echo(ch: Channel<Bytes, Bytes>) -> places::Result {
    for message in ch.iter() {
        ch.put(message?)?;
    }
    Ok(())
}

/// Ends with the code that it is told.
#[places::start]
fn exits(ch: Channel<u8, ()>) -> places::Result {
    exit(ch.get()?)
}

/// Waits until the other end is gone.
#[places::start]
fn waits(ch: Channel<(), ()>) -> places::Result {
    match ch.get() {
        Err(Error::Closed) => Ok(()),
        other => panic!("{other:?}"),
    }
}

/// Waits for ever, and does not read its channel.
#[places::start]
fn reads_nothing(_ch: Channel<(), ()>) {
    sync! { _ = after(NEVER) => {} }
}

/// Puts so many numbers on an end and expects as many from there, all in order.
#[places::start]
fn talks(ch: Channel<(Channel<u32, u32>, u32), ()>) -> places::Result {
    let (end, count) = ch.get()?;
    for first in (0..count).step_by(100) {
        end.put_many(first..first + 100)?;
        for number in first..first + 100 {
            assert_eq!(end.get()?, number);
        }
    }
    Ok(ch.put(())?)
}

#[places::start]
fn each_direction_keeps_its_order(_: Channel) -> places::Result {
    let [a, b] = nodes()?;
    for (here, there) in [(&a, &b), (&a, &a), (&Node::this(), &b)] {
        let (one, other) = (talks::at(here).spawn()?, talks::at(there).spawn()?);
        let ends = Channel::pair::<u32, u32>()?;
        one.put((ends.0, 20_000))?;
        other.put((ends.1, 20_000))?;
        one.get()?;
        other.get()?;
        assert_eq!((one.wait(), other.wait()), (ExitReason::Returned, ExitReason::Returned));
    }
    Ok(())
}

/// Puts a thousand messages of 64 KiB on an end, and tells of each.
#[places::start]
fn pushes(ch: Channel<Channel<(), Bytes>, u32>) -> places::Result {
    let end = ch.get()?;
    for n in 1..=1000_u32 {
        let mut message = [7; 1 << 16];
        message[..4].copy_from_slice(&n.to_le_bytes());
        end.put(&message)?;
        ch.put(n)?;
    }
    Ok(())
}

/// Gets an end, and reads it to its end when it is told to; says how many messages came.
#[places::start]
fn reads_late(ch: Channel<Option<Channel<Bytes, ()>>, u32>) -> places::Result {
    let end = ch.get()?.expect("the end comes first");
    ch.get()?;
    let mut count = 0_u32;
    for message in end.iter() {
        let Bytes(message) = message?;
        count += 1;
        assert_eq!((&message[..4], message.len()), (&count.to_le_bytes()[..], 1 << 16));
    }
    Ok(ch.put(count)?)
}

#[places::start]
fn who_does_not_read_stops_who_writes_and_nobody_else(_: Channel) -> places::Result {
    let [a, b] = nodes()?;
    let (reader, writer) = (reads_late::at(&a).spawn()?, pushes::at(&b).spawn()?);
    let ends = Channel::pair::<Bytes, ()>()?;
    reader.put(Some(ends.0))?;
    writer.put(ends.1)?;
    let mut put = 0;
    // It has come to rest when nothing is heard for a while. Were that too short, less would have been put, which is no worse.
    loop {
        sync! {
            n = writer.get() => put = n?,
            _ = after(Duration::from_millis(500)) => break,
        }
    }
    assert!((16..500).contains(&put), "{put} messages of 64 KiB are under way");

    // The same nodes, the same connections.
    let (one, other) = (talks::at(&a).spawn()?, talks::at(&b).spawn()?);
    let ends = Channel::pair::<u32, u32>()?;
    one.put((ends.0, 1000))?;
    other.put((ends.1, 1000))?;
    one.get()?;
    other.get()?;
    for node in [&a, &b] {
        let place = echo::at(node).spawn()?;
        let large = vec![1; 4 << 20];
        assert!(place.put_get(&large)?.0 == large);
    }

    reader.put(None)?;
    while put < 1000 {
        put = writer.get().unwrap_or_else(|error| panic!("{error}: the writer {}, the reader {}", writer.wait(), reader.wait()));
    }
    assert_eq!(reader.get(), Ok(1000), "the reader {}", reader.wait());
    Ok(())
}

/// Puts a thousand numbers and ends.
#[places::start]
fn says_and_goes(ch: Channel<(), u32>) -> places::Result {
    ch.put_many(0..1000)?;
    Ok(())
}

#[places::start]
fn what_was_sent_before_the_end_is_read(_: Channel) -> places::Result {
    let [a] = nodes()?;
    let p = says_and_goes::at(&a).spawn()?;
    assert_eq!(p.wait(), ExitReason::Returned);
    for number in 0..1000 {
        assert_eq!(p.get()?, number);
    }
    assert_eq!((p.get(), p.put(()), p.get()), (Err(Error::Closed), Err(Error::Closed), Err(Error::Closed)));
    Ok(())
}

#[places::start]
fn one_direction_is_closed_alone(_: Channel) -> places::Result {
    let [a] = nodes()?;
    let p = echo::at(&a).spawn()?;
    for n in 0..100 {
        p.put(&[n])?;
    }
    p.close();
    for n in 0..100 {
        assert_eq!(p.get()?.0, [n]);
    }
    assert_eq!((p.get(), p.wait()), (Err(Error::Closed), ExitReason::Returned));
    Ok(())
}

#[places::start]
fn who_puts_where_nobody_reads_hears_of_it(_: Channel) -> places::Result {
    let [a] = nodes()?;
    let p = exits::at(&a).spawn()?;
    p.put(0)?;
    // How many it takes until the news is here is nobody's promise, but it comes.
    while p.put(0).is_ok() {}
    assert_eq!((p.put(0), p.try_put(0), p.get()), (Err(Error::Closed), Err(Error::Closed), Err(Error::Closed)));
    Ok(())
}

/// Gives back each end that it gets.
#[places::start]
fn returns_ends(ch: Channel<Channel<u32, u32>, Channel<u32, u32>>) -> places::Result {
    for end in ch.iter() {
        ch.put(end?)?;
    }
    Ok(())
}

#[places::start]
fn an_end_comes_back_to_where_it_was_made(_: Channel) -> places::Result {
    let [a, b] = nodes()?;
    let (one, other) = (returns_ends::at(&a).spawn()?, returns_ends::at(&b).spawn()?);
    let (stays, mut goes) = Channel::pair::<u32, u32>()?;
    for n in 0..20 {
        // Some lie unread in it, on both sides, as it goes.
        stays.put(n)?;
        goes.put(n)?;
        goes = if n % 2 == 0 { one.put_get(goes)? } else { other.put_get(goes)? };
    }
    for n in 0..20 {
        assert_eq!((stays.get()?, goes.get()?), (n, n));
    }
    stays.put(99)?;
    assert_eq!(goes.get()?, 99);
    drop(stays);
    assert_eq!(goes.get(), Err(Error::Closed));
    Ok(())
}

/// Gets an end, out of that another one, and from there a number, which it says.
#[places::start]
fn unpacks(ch: Channel<Channel<Channel<u32, ()>, ()>, u32>) -> places::Result {
    Ok(ch.put(ch.get()?.get()?.get()?)?)
}

#[places::start]
fn ends_lie_in_ends(_: Channel) -> places::Result {
    let [a, b] = nodes()?;
    for node in [&a, &b] {
        let ((number_in, number_out), (end_in, end_out)) = (Channel::pair::<(), u32>()?, Channel::pair::<(), Channel<u32, ()>>()?);
        number_in.put(42)?;
        end_in.put(number_out)?;
        let p = unpacks::at(node).spawn()?;
        p.put(end_out)?;
        assert_eq!(p.get()?, 42);
    }
    Ok(())
}

/// Answers on each of many ends with its place in the list.
#[places::start]
fn numbers(ch: Channel<Vec<Channel<(), usize>>, ()>) -> places::Result {
    for (n, end) in ch.get()?.into_iter().enumerate() {
        end.put(n)?;
    }
    Ok(())
}

#[places::start]
fn a_message_has_many_ends(_: Channel) -> places::Result {
    let [a] = nodes()?;
    let p = numbers::at(&a).spawn()?;
    let (mine, theirs): (Vec<_>, Vec<_>) =
        (0..1000).map(|_| Channel::pair::<usize, ()>()).collect::<Result<Vec<_>, _>>()?.into_iter().unzip();
    p.put(theirs)?;
    for (n, end) in mine.iter().enumerate() {
        assert_eq!((end.get(), end.get()), (Ok(n), Err(Error::Closed)));
    }
    Ok(())
}

/// An end that goes from place to place, with what was read from it.
#[derive(Serialize, Deserialize)]
struct Tour {
    end: Channel<u32, ()>,
    seen: Vec<u32>,
    stations: Vec<Channel<(), Self>>,
    home: Channel<(), Vec<u32>>,
}

/// Reads a hundred numbers from the end, and hands it on; the last one reads all.
#[places::start]
fn station(ch: Channel<Tour, ()>) -> places::Result {
    let mut tour = ch.get()?;
    match tour.stations.pop() {
        Some(next) => {
            for _ in 0..100 {
                tour.seen.push(tour.end.get()?);
            }
            next.put(tour)?;
        }
        None => {
            for number in tour.end.iter() {
                tour.seen.push(number?);
            }
            tour.home.put(tour.seen)?;
        }
    }
    Ok(())
}

/// Puts the numbers up to this on an end.
#[places::start]
fn counts(ch: Channel<(Channel<(), u32>, u32), ()>) -> places::Result {
    let (end, count) = ch.get()?;
    for number in 0..count {
        end.put(number)?;
    }
    Ok(())
}

#[places::start]
fn an_end_goes_from_node_to_node_while_somebody_writes(_: Channel) -> places::Result {
    const COUNT: u32 = 5000;
    let [a, b, c] = nodes()?;
    // The writer is here, or on the way.
    for writer in [&Node::this(), &a, &c] {
        let route = [&a, &b, &c, &a, &b, &c, &Node::this(), &c, &b, &a];
        let places = route.iter().map(|node| station::at(node).spawn()).collect::<Result<Vec<_>, _>>()?;
        let (end, start) = Channel::pair::<u32, ()>()?;
        let writer = counts::at(writer).spawn()?;
        writer.put((start, COUNT))?;
        let (seen, home) = Channel::pair::<Vec<u32>, ()>()?;
        let mut stations: Vec<_> = places.into_iter().map(places::Place::into_channel).collect();
        let first = stations.pop().expect("there are stations");
        first.put(Tour { end, seen: Vec::new(), stations, home })?;
        assert!(seen.get()?.into_iter().eq(0..COUNT));
        assert_eq!(writer.wait(), ExitReason::Returned);
    }
    Ok(())
}

/// Both ends of a channel.
type Ends = (Channel<u32, u32>, Channel<u32, u32>);

/// Makes a channel.
#[places::start]
fn makes(ch: Channel<(), Ends>) -> places::Result {
    Ok(ch.put(Channel::pair::<u32, u32>()?)?)
}

/// Answers on an end that it gets.
#[places::start]
fn doubles(ch: Channel<Channel<u32, u32>, ()>) -> places::Result {
    let end = ch.get()?;
    for number in end.iter() {
        end.put(number? * 2)?;
    }
    Ok(())
}

/// Asks on an end that it gets: as often as it is told, any number of times.
#[places::start]
fn asks(ch: Channel<Channel<u32, u32>, u32>) -> places::Result {
    let end = ch.get()?;
    let ch = ch.typed::<u32, u32>();
    for times in ch.iter() {
        let times = times?;
        for number in 0..times {
            assert_eq!(end.put_get(number)?, number * 2);
        }
        ch.put(times)?;
    }
    Ok(())
}

/// A channel that is made on the first node and used between the two others: so often as each line of input says.
#[places::start]
fn asks_across(ch: Channel<u32, u32>) -> places::Result {
    let [a, b, c] = nodes()?;
    let maker = makes::at(&a).spawn()?;
    let ends = maker.get()?;
    maker.wait();
    let (answers, asks) = (doubles::at(&b).spawn()?, asks::at(&c).spawn()?);
    answers.put(ends.0)?;
    asks.put(ends.1)?;
    let asks = asks.typed::<u32, u32>();
    for times in ch.iter() {
        ch.put(asks.put_get(times?)?)?;
    }
    Ok(())
}

/// Gives a blob back, with the sum of its bytes.
#[places::start]
fn adds_up(ch: Channel<Vec<Blob>, (Vec<u64>, Vec<Blob>)>) -> places::Result {
    for blobs in ch.iter() {
        let blobs = blobs?;
        ch.put((blobs.iter().map(sum).collect::<Vec<_>>(), blobs))?;
    }
    Ok(())
}

fn sum(blob: &Blob) -> u64 {
    let (mut sum, mut offset) = (0, 0);
    while offset < blob.len() {
        let piece = blob.read(offset, 1 << 20);
        offset += piece.len() as u64;
        sum += piece.iter().map(|&byte| u64::from(byte)).sum::<u64>();
    }
    sum
}

#[places::start]
fn blobs_cross_whole_shared_and_in_slices(_: Channel) -> places::Result {
    let [a, b] = nodes()?;
    let bytes: Vec<u8> = (0..16_u32 << 20).map(|n| (n % 251) as u8).collect();
    let blob = Blob::new(&bytes)?;
    drop(bytes);
    let slice = blob.slice(5_000_000, 1_000_000)?;
    let (empty, small) = (Blob::new(b"")?, Blob::new(b"abc")?);
    for node in [&a, &b] {
        let p = adds_up::at(node).spawn()?;
        for blobs in [vec![blob.clone()], vec![slice.clone(), slice.clone(), slice.slice(0, 10)?, empty.clone(), small.clone()], vec![]] {
            p.put(&blobs)?;
            let (sums, back) = p.get()?;
            assert_eq!(sums, blobs.iter().map(sum).collect::<Vec<_>>());
            assert_eq!(back.iter().map(Blob::len).collect::<Vec<_>>(), blobs.iter().map(Blob::len).collect::<Vec<_>>());
            assert_eq!(back.iter().map(sum).collect::<Vec<_>>(), sums);
        }
    }
    Ok(())
}

#[places::start]
fn the_largest_message_crosses(_: Channel) -> places::Result {
    const LARGEST: usize = 64 << 20;
    let [a] = nodes()?;
    let p = echo::at(&a).spawn()?;
    let mut message: Vec<u8> = (0..LARGEST).map(|n| (n % 253) as u8).collect();
    p.put(&message)?;
    assert!(p.get()?.0 == message);
    message.push(0);
    assert_eq!(p.put(&message), Err(Error::TooLarge(LARGEST as u64)));
    assert_eq!(p.put_get(b"still there")?.0, b"still there");
    Ok(())
}

#[places::start]
fn messages_of_all_sizes_cross(_: Channel) -> places::Result {
    let [a] = nodes()?;
    let p = echo::at(&a).spawn()?;
    for size in (0..22).flat_map(|bits| [(1_usize << bits) - 1, 1 << bits, (1 << bits) + 1]) {
        let message = vec![size as u8; size];
        assert!(p.put_get(&message)?.0 == message, "{size}");
    }
    Ok(())
}

/// Says a word each time it is told to.
#[places::start]
fn says(ch: Channel<String, String>) -> places::Result {
    for word in ch.iter() {
        ch.put(word?)?;
    }
    Ok(())
}

#[places::start]
fn channels_of_two_nodes_are_waited_for_together(_: Channel) -> places::Result {
    let [a, b] = nodes()?;
    let (one, other) = (says::at(&a).spawn()?, says::at(&b).spawn()?);
    let mut heard = [0, 0];
    one.put("one")?;
    for _ in 0..200 {
        sync! {
            word = one.get() => {
                assert_eq!(word?, "one");
                heard[0] += 1;
                other.put("other")?;
            }
            word = other.get() => {
                assert_eq!(word?, "other");
                heard[1] += 1;
                one.put("one")?;
            }
            why = one.exited() => panic!("it {why}"),
            _ = a.lost() => panic!("it is lost"),
            _ = after(NEVER) => panic!("the timer fired"),
        }
    }
    assert_eq!(heard, [100, 100]);
    // Who is not chosen loses nothing.
    one.put_many((0..100).map(|_| "one"))?;
    other.put_many((0..100).map(|_| "other"))?;
    let ends = [one.channel(), other.channel()];
    let mut left = [101, 100];
    while left != [0, 0] {
        let (n, word) = sync(ends.iter().map(|end| end.message()));
        assert_eq!(word?, ["one", "other"][n]);
        left[n] -= 1;
    }
    assert_eq!((one.try_get(), other.try_get()), (Err(Error::WouldBlock), Err(Error::WouldBlock)));
    Ok(())
}

/// Puts on an end until that is refused, then reads what is there.
#[places::start]
fn puts_until_it_is_refused(ch: Channel<Channel<u32, u32>, u32>) -> places::Result {
    let end = ch.get()?;
    let refused = loop {
        if let Err(error) = end.put(0) {
            break error;
        }
    };
    assert!(matches!(refused, Error::Closed), "{refused:?}");
    Ok(ch.put(end.get()?)?)
}

#[places::start]
fn an_end_that_was_closed_before_it_went_is_closed_there(_: Channel) -> places::Result {
    let [a] = nodes()?;
    for node in [&Node::this(), &a] {
        let (ours, theirs) = Channel::pair::<u32, u32>()?;
        theirs.close();
        let place = puts_until_it_is_refused::at(node).spawn()?;
        place.put(theirs)?;
        ours.put(7)?;
        assert_eq!(place.get()?, 7);
        assert!(matches!(ours.get(), Err(Error::Closed)));
    }
    Ok(())
}

/// Starts a detached place that would never end.
#[places::start]
fn leaves_one_that_never_ends(_: Channel) -> places::Result {
    let [a] = nodes()?;
    reads_nothing::at(&a).detached().spawn()?;
    Ok(())
}

/// Prints lines.
#[places::start]
fn prints_much(_: Channel) {
    for n in 0..2000 {
        println!("line {n}");
        if n % 10 == 0 {
            eprintln!("error {n}");
        }
    }
    // Without an end of line.
    print!("the last");
}

#[places::start]
fn what_a_place_prints_comes_in_order_and_before_its_end(_: Channel) -> places::Result {
    let [a] = nodes()?;
    prints_much::at(&a).spawn()?.wait();
    println!(" one");
    Ok(())
}

#[places::start]
fn what_is_not_there_is_told_with_what_is(_: Channel) -> places::Result {
    let [a] = nodes()?;
    let nobody = places::spawn(Module::This, "nobody", Options::new().at(&a));
    not_found(nobody, "has no start function `nobody`");
    let nobody = places::spawn(Module::This, "nobody", Options::new().at(&a));
    not_found(nobody, "`prints-much`");
    not_found(places::spawn("nowhere.wasm", "main", Options::new().at(&a)), "nowhere.wasm");
    denied(places::spawn("../nowhere.wasm", "main", Options::new().at(&a)), "");
    Ok(())
}

/// Says whether it has the network, and which environment variables.
#[places::start]
fn looks_around(ch: Channel<(), (bool, Vec<String>)>) -> places::Result {
    Ok(ch.put((TcpListener::bind("127.0.0.1:0").is_ok(), std::env::vars().map(|(name, _)| name).collect()))?)
}

/// Says what [`looks_around`] does of a place that it starts on the node at this address.
#[places::start]
fn looks_further(ch: Channel<String, (bool, Vec<String>)>) -> places::Result {
    let node = Node::connect(&ch.get()?)?;
    Ok(ch.put(looks_around::at(&node).spawn()?.get()?)?)
}

/// The first node would give the network, and this place does not have it.
#[places::start]
fn nobody_gets_more_elsewhere_than_who_starts_it_has(_: Channel) -> places::Result {
    let [a, b] = nodes()?;
    let nothing = (false, vec!["A".to_owned()]);
    assert_eq!(looks_around::at(&a).spawn()?.get()?, nothing);
    // Nor by way of a third.
    let p = looks_further::at(&b).spawn()?;
    assert_eq!(p.put_get(a.address().expect("it is another node"))?, nothing);
    let network = Grants { network: true, ..Grants::default() };
    denied(looks_around::at(&a).grants(network).spawn(), "network");
    denied(looks_around::at(&a).grants(Grants { dirs: vec!["/data".into()], ..Grants::default() }).spawn(), "/data");
    denied(looks_around::at(&a).grants(Grants { env: vec!["B".into()], ..Grants::default() }).spawn(), "B");
    denied(looks_around::at(&a).memory(128 << 20).spawn(), "memory");
    assert_eq!(looks_around::at(&a).grants(Grants::default()).spawn()?.get()?, (false, Vec::new()));
    Ok(())
}

/// The first node grants the network and the second does not; this place has it, and more memory than either gives.
#[places::start]
fn nobody_gets_more_elsewhere_than_that_node_grants(_: Channel) -> places::Result {
    let [a, b] = nodes()?;
    let at = |node| looks_around::at(node).memory(64 << 20);
    assert!(at(&a).spawn()?.get()?.0);
    // What is not asked for by name is left out where it is not granted.
    assert!(!at(&b).spawn()?.get()?.0);
    let network = Grants { network: true, ..Grants::default() };
    assert!(at(&a).grants(network.clone()).spawn()?.get()?.0);
    denied(at(&b).grants(network).spawn(), "does not grant the network");
    denied(at(&b).grants(Grants { nodes: true, ..Grants::default() }).spawn(), "does not grant other nodes");
    let large = looks_around::at(&b).spawn();
    assert!(matches!(&large, Err(Error::Limit(text)) if text.contains("at most 67108864 bytes of memory")), "{large:?}");
    Ok(())
}

#[places::start]
fn many_places_are_started_elsewhere(_: Channel) -> places::Result {
    let [a, b] = nodes()?;
    let places = (0..500).map(|n| waits::at(if n % 2 == 0 { &a } else { &b }).spawn()).collect::<Result<Vec<_>, _>>()?;
    for place in &places {
        place.close();
    }
    assert!(places.iter().all(|place| place.wait() == ExitReason::Returned));
    Ok(())
}

#[places::start]
fn one_node_is_one_however_often_it_is_dialled(_: Channel) -> places::Result {
    let [a] = nodes()?;
    let address = a.address().expect("it is another node");
    for _ in 0..10 {
        assert_eq!(Node::connect(&address)?.id(), a.id());
    }
    Ok(())
}
