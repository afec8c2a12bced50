//! What a place can use without end, and where that ends: time, memory, blobs, messages, handles, places, fuel. Each claim is a
//! start function that panics where it is wrong; `tests/failures.rs` runs them.

use std::hint::black_box;
use std::time::Duration;

use places::{Blob, Bytes, Channel, Error, ExitReason, Grants, Options};
use test_guests::{denied, hurts_itself_alone};

const MIB: usize = 1 << 20;

/// The sibling: answers until the other end is gone.
#[places::start]
fn echo(ch: Channel) -> places::Result {
    for message in ch.iter() {
        ch.put(message?)?;
    }
    Ok(())
}

fn limit<'a>(part: &'a str) -> impl FnOnce(&ExitReason) -> bool + 'a {
    move |why| matches!(why, ExitReason::Limit(text) if text.contains(part))
}

#[places::start]
fn spins(_: Channel) {
    loop {
        black_box(0);
    }
}

#[places::start]
fn waits(ch: Channel) -> places::Result {
    ch.get()?;
    Ok(())
}

/// Waits, as does its child.
#[places::start]
fn a_sleeper_and_its_child(_: Channel) -> places::Result {
    waits::spawn()?.wait();
    Ok(())
}

#[places::start]
fn allocates(_: Channel) {
    let mut all = Vec::new();
    loop {
        all.push(vec![1u8; MIB]);
    }
}

/// Fills one channel after another.
#[places::start]
fn hoards_messages(_: Channel) -> places::Result {
    let mut all = Vec::new();
    loop {
        let (one, other) = Channel::pair::<Bytes, Bytes>()?;
        loop {
            match one.try_put(&[7; 1000]) {
                Err(Error::WouldBlock) => break,
                result => result?,
            }
        }
        all.push((one, other));
    }
}

#[places::start]
fn hoards_channels(_: Channel) -> places::Result {
    let mut all = Vec::new();
    loop {
        all.push(Channel::pair::<Bytes, Bytes>()?);
    }
}

#[places::start]
fn hoards_handles(ch: Channel) -> places::Result {
    let mut all = Vec::new();
    loop {
        all.push(ch.clone());
    }
}

#[places::start]
fn hoards_blobs(_: Channel) -> places::Result {
    let (bytes, mut all) = (vec![1; MIB], Vec::new());
    loop {
        all.push(Blob::new(&bytes)?);
    }
}

#[places::start]
fn hoards_places(_: Channel) -> places::Result {
    let mut all = Vec::new();
    loop {
        all.push(waits::spawn()?);
    }
}

/// Starts places that do as it does.
#[places::start]
fn multiplies(_: Channel) {
    let mut all = Vec::new();
    loop {
        all.extend(multiplies::spawn());
    }
}

#[places::start]
fn an_endless_loop_ends_at_its_deadline(_: Channel) -> places::Result {
    hurts_itself_alone(spins::NAME, Options::new().deadline(Duration::from_millis(50)), limit("deadline"))
}

#[places::start]
fn waiting_ends_at_the_deadline(_: Channel) -> places::Result {
    hurts_itself_alone(waits::NAME, Options::new().deadline(Duration::from_millis(50)), limit("deadline"))?;
    hurts_itself_alone(waits::NAME, Options::new().deadline(Duration::ZERO), limit("deadline"))
}

#[places::start]
fn allocating_ends_at_the_memory_limit(_: Channel) -> places::Result {
    hurts_itself_alone(allocates::NAME, Options::new(), limit("memory"))?;
    hurts_itself_alone(allocates::NAME, Options::new().memory(8 << 20), limit("8388608 bytes of memory"))?;
    // Not even enough to begin.
    hurts_itself_alone(allocates::NAME, Options::new().memory(128 << 10), limit("131072 bytes of memory"))
}

#[places::start]
fn unread_messages_count_towards_the_memory_limit(_: Channel) -> places::Result {
    let failed = |why: &ExitReason| matches!(why, ExitReason::Failed(text) if text.contains("memory limit"));
    hurts_itself_alone(hoards_messages::NAME, Options::new(), |why| matches!(why, ExitReason::Limit(_)) || failed(why))?;
    hurts_itself_alone(hoards_channels::NAME, Options::new(), failed)
}

#[places::start]
fn blobs_count_towards_the_memory_limit(_: Channel) -> places::Result {
    hurts_itself_alone(hoards_blobs::NAME, Options::new(), |why| matches!(why, ExitReason::Failed(text) if text.contains("memory limit")))?;
    // What was given back can be had again, any number of times.
    let bytes = vec![1; 4 * MIB];
    for _ in 0..64 {
        Blob::new(&bytes)?;
    }
    let kept: Vec<_> = (0..).map_while(|_| Blob::new(&bytes).ok()).collect();
    assert!((8..=16).contains(&kept.len()), "{} blobs of 4 MiB in 64 MiB", kept.len());
    Ok(())
}

/// Two ends, each in a message that waits for the other, with a large blob.
#[places::start]
fn leaves_a_circle(_: Channel) -> places::Result {
    let (one, first) = Channel::pair::<(), (Channel, Option<Blob>)>()?;
    let (two, second) = Channel::pair::<(), (Channel, Option<Blob>)>()?;
    one.put((second.typed(), Some(Blob::new(&vec![1; 16 * MIB])?)))?;
    two.put((first.typed(), None))?;
    Ok(())
}

/// Run with the host's `/proc`.
#[places::start]
fn what_a_place_left_in_a_circle_is_given_back(_: Channel) -> places::Result {
    let resident = || -> Result<usize, Box<dyn std::error::Error>> {
        let status = std::fs::read_to_string("/proc/self/status")?;
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).ok_or("no VmRSS")?;
        Ok(line.split_whitespace().nth(1).ok_or("no number")?.parse::<usize>()? / 1024)
    };
    let before = resident()?;
    for _ in 0..40 {
        let why = leaves_a_circle::spawn()?.wait();
        assert!(why.is_success(), "{why}");
    }
    let after = resident()?;
    assert!(after < before + 160, "{before} MiB before, {after} MiB after 40 places that left 16 MiB each");
    Ok(())
}

#[places::start]
fn handles_are_limited(_: Channel) -> places::Result {
    hurts_itself_alone(hoards_handles::NAME, Options::new(), |why| !why.is_success())
}

#[places::start]
fn starting_places_without_end_is_an_error(_: Channel) -> places::Result {
    hurts_itself_alone(
        hoards_places::NAME,
        Options::new(),
        |why| matches!(why, ExitReason::Failed(text) if text.contains("places at once")),
    )
}

#[places::start]
fn places_that_multiply_fill_the_host_and_no_more(_: Channel) -> places::Result {
    let (sibling, p) = (echo::spawn()?, multiplies::spawn()?);
    let full = |error: &Error| matches!(error, Error::Limit(text) if text.contains("places at once"));
    let error = loop {
        match waits::spawn() {
            Ok(one) => one.kill(),
            Err(error) => break error,
        }
    };
    assert!(full(&error), "{error:?}");
    assert_eq!(sibling.put_get(b"still")?, Bytes(b"still".to_vec()));
    p.kill();
    // Its descendants are being ended, and give back all their room.
    let all = loop {
        match (0..40).map(|_| echo::spawn()).collect::<Result<Vec<_>, _>>() {
            Ok(all) => break all,
            Err(error) => assert!(full(&error), "{error:?}"),
        }
    };
    for p in [sibling].iter().chain(&all) {
        assert_eq!(p.put_get(b"after")?, Bytes(b"after".to_vec()));
    }
    Ok(())
}

#[places::start]
fn fuel_ends_who_computes(_: Channel) -> places::Result {
    hurts_itself_alone(spins::NAME, Options::new().fuel(1_000_000), limit("1000000 units of fuel"))?;
    hurts_itself_alone(spins::NAME, Options::new().fuel(0), limit("fuel"))?;
    denied(echo::spawn_with(Options::new().fuel(1 << 60)), "units of fuel");
    Ok(())
}

#[places::start]
fn fuel_is_denied_where_it_is_not_counted(_: Channel) -> places::Result {
    denied(echo::spawn_with(Options::new().fuel(1)), "does not count fuel");
    Ok(())
}

#[places::start]
fn a_child_cannot_have_more_than_its_parent(_: Channel) -> places::Result {
    denied(echo::spawn_with(Options::new().memory(65 << 20)), "bytes of memory");
    denied(echo::spawn_with(Options::new().grants(Grants { network: true, ..Grants::default() })), "network");
    denied(echo::spawn_with(Options::new().grants(Grants { dirs: vec!["/".into()], ..Grants::default() })), "`/`");
    denied(echo::spawn_with(Options::new().grants(Grants { env: vec!["PATH".into()], ..Grants::default() })), "`PATH`");
    Ok(())
}

/// An end whose mailbox holds a message with an end, whose mailbox holds one, and so on; and the end to see that all is gone.
fn deep_chain() -> Result<(Channel, Channel), Error> {
    let (first, mut chain) = Channel::pair()?;
    for _ in 0..100_000 {
        let (next, end) = Channel::pair::<Channel, Channel>()?;
        next.put(chain)?;
        chain = end.typed();
    }
    Ok((first, chain))
}

#[places::start]
fn a_deep_chain_of_ends_is_dropped(_: Channel) -> places::Result {
    let (first, chain) = deep_chain()?;
    drop(chain);
    assert_eq!(first.get(), Err(Error::Closed));
    // Also by the end of a place that has not read it.
    let (first, chain) = deep_chain()?;
    let p = waits::spawn()?.typed::<(), Channel>();
    p.put(chain)?;
    p.kill();
    assert_eq!(first.get(), Err(Error::Closed));
    Ok(())
}
