//! Programs over nodes whose line breaks, or is bad. `tests/partition.rs` breaks it; the address of each node is an argument.

use std::time::Duration;

use places::{Blob, Channel, Error, ExitReason, Node, Options, Place, after, monitor, sync};

/// Never reached where the right event comes.
const NEVER: Duration = Duration::from_secs(3600);

/// In each of these ways one waits for something of a node.
const WAYS: [&str; 10] =
    ["wait", "get", "put", "sync for a message", "sync for an end", "sync for the node", "lookup", "monitor", "spawn", "kill"];

fn argument(n: usize) -> String {
    std::env::args().nth(n).expect("the test gives the argument")
}

/// Waits for something else, and does not read its channel.
#[places::start]
fn reads_nothing(_ch: Channel<u64, u64>) {
    sync! { _ = after(NEVER) => {} }
}

/// Ends at once.
#[places::start]
fn returns(_: Channel) {}

/// Waits in one way, and tells how that ended.
#[places::start]
fn waits(ch: Channel<(), String>) -> places::Result {
    let node = Node::connect(&argument(1))?;
    let place = reads_nothing::at(&node).spawn()?;
    let watched = monitor(place.id())?;
    ch.put("waits")?;
    let end = match &*argument(2) {
        "wait" => format!("{:?}", place.wait()),
        "get" => format!("{:?}", place.get()),
        "put" => format!("{:?}", (0..).find_map(|n| place.put(n).err())),
        "sync for a message" => sync! {
            message = place.message() => format!("{message:?}"),
            _ = after(NEVER) => unreachable!(),
        },
        "sync for an end" => sync! {
            why = place.exited() => format!("{why:?}"),
            _ = after(NEVER) => unreachable!(),
        },
        "sync for the node" => sync! {
            _ = node.lost() => "NodeLost".into(),
            _ = after(NEVER) => unreachable!(),
        },
        "lookup" => loop {
            match node.lookup::<(), ()>("nobody") {
                Err(Error::NotFound(_)) => {}
                other => break format!("{other:?}"),
            }
        },
        "monitor" => format!("{:?}", watched.wait()),
        "spawn" => loop {
            match returns::at(&node).spawn() {
                Ok(place) => drop(place.wait()),
                Err(error) => break format!("{error:?}"),
            }
        },
        "kill" => loop {
            let place = match reads_nothing::at(&node).spawn() {
                Ok(place) => place,
                Err(error) => break format!("{error:?}"),
            };
            place.kill();
            match place.wait() {
                ExitReason::Killed => {}
                why => break format!("{why:?}"),
            }
        },
        way => panic!("`{way}` is no way"),
    };
    Ok(ch.put(end)?)
}

/// Waits for things of one node in every way at once, each in a place of its own; puts a word when all do, and then how each ended.
#[places::start]
fn waits_in_every_way(ch: Channel<(), String>) -> places::Result {
    let start = |way: &str| waits::spawn_with(Options::new().args([argument(1), way.into()]));
    let waiters = WAYS.iter().map(|way| start(way)).collect::<Result<Vec<_>, _>>()?;
    for waiter in &waiters {
        assert_eq!(waiter.get()?, "waits");
    }
    ch.put("all wait")?;
    for (way, waiter) in WAYS.iter().zip(waiters) {
        ch.put(format!("{way}: {}", waiter.get()?))?;
    }
    Ok(())
}

/// Says why a node cannot be reached.
#[places::start]
fn reaches_nobody(_: Channel) -> places::Result {
    println!("{}", Node::connect(&argument(1)).expect_err("nobody is there"));
    Ok(())
}

/// The message of this number: some are short, some are long, and no two alike.
fn letter(number: u64) -> Vec<u64> {
    (0..number % 65).map(|n| n.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ number).collect()
}

/// Reads as many as it is told, which must come in order and whole; then writes as many.
#[places::start]
fn corresponds(ch: Channel<Vec<u64>, Vec<u64>>) -> places::Result {
    let count = ch.get()?[0];
    for number in 0..count {
        assert_eq!(ch.get()?, letter(number), "message {number}");
    }
    Ok(ch.put_many((0..count).map(letter))?)
}

/// Sends blobs back, as messages on the channel that it gets.
#[places::start]
fn returns_blobs(ch: Channel<Channel<Blob, Blob>, ()>) -> places::Result {
    let other = ch.get()?;
    loop {
        match other.get() {
            Ok(blob) => other.put(blob)?,
            Err(Error::Closed) => return Ok(()),
            Err(error) => return Err(error.into()),
        }
    }
}

/// Many messages there and as many back, and blobs over a channel that was sent: all come as they went.
#[places::start]
fn nothing_is_lost(_: Channel) -> places::Result {
    const COUNT: u64 = 5_000;
    let node = Node::connect(&argument(1))?;
    let correspondent = corresponds::at(&node).spawn()?;
    correspondent.put(vec![COUNT])?;
    correspondent.put_many((0..COUNT).map(letter))?;
    for number in 0..COUNT {
        assert_eq!(correspondent.get()?, letter(number), "message {number}");
    }
    assert!(correspondent.wait().is_success());

    let mirror = returns_blobs::at(&node).spawn()?;
    let (here, there) = Channel::pair::<Blob, Blob>()?;
    mirror.put(there)?;
    for size in [0, 1, 70_000, 300_000] {
        let bytes: Vec<u8> = (0..size).map(|n: u64| (n.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56) as u8).collect();
        assert!(here.put_get(Blob::new(&bytes)?)?.to_vec() == bytes, "a blob of {size} bytes");
    }
    drop(here);
    assert!(mirror.wait().is_success());
    println!("nothing was lost");
    Ok(())
}

/// Answers each number with the next, to whoever has the other end of the channel that it gets.
#[places::start]
fn answers(ch: Channel<Channel<u64, u64>, ()>) -> places::Result {
    let other = ch.get()?;
    loop {
        let number = other.get()?;
        other.put(number + 1)?;
    }
}

/// Asks for numbers on the channel that it gets, and tells once when that went on for a while. It prints how it ended.
#[places::start]
fn asks(ch: Channel<Channel<u64, u64>, String>) -> places::Result {
    let other = ch.get()?;
    for number in 0.. {
        match other.put_get(number) {
            Ok(answer) => assert_eq!(answer, number + 1),
            Err(error) => {
                println!("{error:?}");
                return Ok(());
            }
        }
        if number == 1_000 {
            ch.put("they talk")?;
        }
        sync! { _ = after(Duration::from_millis(1)) => {} }
    }
    Ok(())
}

/// Brings together one place on each of two nodes that know nothing of each other, and waits until it is told to end. They outlive
/// this place.
#[places::start]
fn brings_together(ch: Channel<(), String>) -> places::Result {
    let (one, other) = (Node::connect(&argument(1))?, Node::connect(&argument(2))?);
    let asking: Place<String, Channel<u64, u64>> = asks::at(&one).detached().spawn()?;
    let answering = answers::at(&other).detached().spawn()?;
    let (to_asking, to_answering) = Channel::pair::<u64, u64>()?;
    asking.put(to_asking)?;
    answering.put(to_answering)?;
    ch.put(asking.get()?)?;
    Ok(ch.typed::<(), ()>().get()?)
}
