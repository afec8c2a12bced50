//! What a channel promises: order, bounds, closing, competing readers. Each claim is a start function that panics where it is
//! wrong; `tests/behaviour.rs` runs them.

use std::time::Duration;

use places::{Bytes, Channel, Error, Options, after, sync};

/// Long enough for a wrong program to show, if it is to be shown that nothing happens.
const A_WHILE: Duration = Duration::from_millis(20);

/// Counts to 1,000, then expects the same.
#[places::start]
fn counter(ch: Channel<u32, u32>) -> places::Result {
    (0..1000).try_for_each(|n| ch.put(n))?;
    for n in 0..1000 {
        assert_eq!(ch.get()?, n);
    }
    Ok(())
}

/// Says three things and ends.
#[places::start]
fn talker(ch: Channel<(), u32>) -> places::Result {
    Ok(ch.put_many([1, 2, 3].iter())?)
}

/// Answers with what it got until the other end is gone.
#[places::start]
fn echo(ch: Channel) -> places::Result {
    for message in ch.iter() {
        ch.put(message?)?;
    }
    Ok(())
}

/// Reads many at a time, and says which.
#[places::start]
fn gatherer(ch: Channel<(u32, String), Vec<u32>>) -> places::Result {
    let mut got = Vec::new();
    while let Ok(more) = ch.get_many() {
        got.extend(more.into_iter().map(|(n, _)| n));
    }
    Ok(ch.put(got)?)
}

/// Puts five messages into its parent's mailbox and says on another channel how far it is.
#[places::start]
fn filler(ch: Channel<Channel<(), u32>, u32>) -> places::Result {
    let progress = ch.get()?;
    for n in 0..5 {
        ch.put(n)?;
        progress.put(n)?;
    }
    Ok(())
}

/// Reads what competes for it, and says what it got.
#[places::start]
fn reader(ch: Channel<Channel<u32, ()>, Vec<u32>>) -> places::Result {
    let shared = ch.get()?;
    let got = shared.iter().collect::<Result<Vec<_>, _>>()?;
    Ok(ch.put(got)?)
}

/// As `reader`, waiting for a timer as well, which makes it leave the queue of readers again and again.
#[places::start]
fn restless_reader(ch: Channel<Channel<u32, ()>, Vec<u32>>) -> places::Result {
    let shared = ch.get()?;
    let mut got = Vec::new();
    loop {
        sync! {
            message = shared.get() => match message {
                Ok(n) => got.push(n),
                Err(Error::Closed) => break,
                Err(error) => return Err(error.into()),
            },
            _ = after(Duration::from_micros(50)) => {}
        }
    }
    Ok(ch.put(got)?)
}

#[places::start]
fn messages_keep_their_order_in_both_directions(_: Channel) -> places::Result {
    let p = counter::spawn()?;
    (0..1000).try_for_each(|n| p.put(n))?;
    for n in 0..1000 {
        assert_eq!(p.get()?, n);
    }
    assert!(p.wait().is_success());
    Ok(())
}

#[places::start]
fn messages_sent_before_death_are_read_and_then_it_is_closed(_: Channel) -> places::Result {
    let p = talker::spawn()?;
    p.wait();
    assert_eq!([p.get()?, p.get()?, p.get()?], [1, 2, 3]);
    assert_eq!(p.get(), Err(Error::Closed));
    assert_eq!(p.try_get(), Err(Error::Closed));
    assert_eq!(p.get_many(), Err(Error::Closed));
    Ok(())
}

#[places::start]
fn putting_to_a_dead_place_is_closed(_: Channel) -> places::Result {
    let p = talker::spawn()?;
    p.wait();
    assert_eq!(p.put(()), Err(Error::Closed));
    assert_eq!(p.try_put(()), Err(Error::Closed));
    assert_eq!(p.put_many([(), ()]), Err(Error::Closed));
    assert_eq!(p.put_get(()), Err(Error::Closed));
    Ok(())
}

#[places::start]
fn a_full_mailbox_makes_put_wait_and_try_put_say_so(_: Channel) -> places::Result {
    let (one, other) = Channel::pair_of::<u32, u32>(2)?;
    one.put(1)?;
    one.try_put(2)?;
    assert_eq!(one.try_put(3), Err(Error::WouldBlock));
    // The other direction has a mailbox of its own.
    other.put(1)?;
    assert_eq!(other.get()?, 1);
    one.try_put(3)?;
    assert_eq!([other.get()?, other.get()?], [2, 3]);

    let p = filler::spawn_with(Options::new().capacity(2))?;
    let (progress, end) = Channel::pair::<u32, ()>()?;
    p.put(end)?;
    assert_eq!([progress.get()?, progress.get()?], [0, 1]);
    sync! {
        n = progress.get() => panic!("message {n:?} went into a full mailbox"),
        _ = after(A_WHILE) => {}
    }
    assert_eq!(p.pending(), 2);
    let all = p.iter().collect::<Result<Vec<_>, _>>()?;
    assert_eq!(all, [0, 1, 2, 3, 4]);
    Ok(())
}

#[places::start]
fn many_writers_of_a_small_mailbox_all_get_through(_: Channel) -> places::Result {
    let (gather, give) = Channel::pair_of::<u32, ()>(1)?;
    let fillers = (0..20).map(|_| filler::spawn()).collect::<Result<Vec<_>, _>>()?;
    for p in &fillers {
        // They report into the small mailbox.
        p.put(&give)?;
    }
    drop(give);
    assert_eq!(gather.iter().map(|n| n.unwrap_or(100)).sum::<u32>(), 20 * (1 + 2 + 3 + 4));
    Ok(())
}

#[places::start]
fn try_get_says_that_there_is_nothing_yet(_: Channel) -> places::Result {
    let (one, other) = Channel::pair::<u32, u32>()?;
    assert_eq!(other.try_get(), Err(Error::WouldBlock));
    one.put(5)?;
    assert_eq!(other.try_get(), Ok(5));
    assert_eq!(other.try_get(), Err(Error::WouldBlock));
    Ok(())
}

#[places::start]
fn many_messages_in_one_call_keep_their_order(_: Channel) -> places::Result {
    // More than a mailbox holds, and more than one call takes.
    let p = gatherer::spawn()?;
    let text = "x".repeat(500);
    p.put_many((0..5000).map(|n| (n, text.clone())))?;
    p.close();
    assert!(p.get()?.into_iter().eq(0..5000));

    let (one, other) = Channel::pair::<u32, Vec<u8>>()?;
    one.put_many([vec![], vec![1], vec![2; 70_000], vec![3]].iter())?;
    let mut sizes = Vec::new();
    while sizes.len() < 4 {
        sizes.extend(other.get_many()?.iter().map(Vec::len));
    }
    assert_eq!(sizes, [0, 1, 70_000, 1]);
    Ok(())
}

#[places::start]
fn put_get_is_a_request_and_its_reply(_: Channel) -> places::Result {
    let p = echo::spawn()?;
    for n in 0..100u8 {
        assert_eq!(p.put_get(&[n])?, Bytes(vec![n]));
    }
    Ok(())
}

#[places::start]
fn pending_counts_what_waits_to_be_read(_: Channel) -> places::Result {
    let (one, other) = Channel::pair::<(), u8>()?;
    assert_eq!(other.pending(), 0);
    one.put_many([1, 2, 3].iter())?;
    assert_eq!((one.pending(), other.pending()), (0, 3));
    other.get()?;
    assert_eq!(other.pending(), 2);
    Ok(())
}

#[places::start]
fn a_closed_direction_leaves_the_other_one_open(_: Channel) -> places::Result {
    let (one, other) = Channel::pair::<u32, u32>()?;
    one.put(1)?;
    one.close();
    assert_eq!(one.put(2), Err(Error::Closed));
    assert_eq!((other.get(), other.get()), (Ok(1), Err(Error::Closed)));
    other.put(3)?;
    assert_eq!(one.get(), Ok(3));
    drop(other);
    assert_eq!(one.get(), Err(Error::Closed));
    Ok(())
}

#[places::start]
fn an_end_is_open_until_its_last_handle_is_dropped(_: Channel) -> places::Result {
    let (one, other) = Channel::pair::<u32, u32>()?;
    let handle = other.clone();
    drop(other);
    one.put(1)?;
    assert_eq!(handle.get(), Ok(1));
    drop(handle);
    assert_eq!(one.put(2), Err(Error::Closed));
    assert_eq!(one.get(), Err(Error::Closed));
    Ok(())
}

#[places::start]
fn of_competing_readers_exactly_one_gets_each_message(_: Channel) -> places::Result {
    let (work, shared) = Channel::pair_of::<(), u32>(16)?;
    let mut readers = (0..4).map(|_| reader::spawn()).collect::<Result<Vec<_>, _>>()?;
    readers.extend((0..4).map(|_| restless_reader::spawn()).collect::<Result<Vec<_>, _>>()?);
    for p in &readers {
        p.put(&shared)?;
    }
    (0..5000).try_for_each(|n| work.put(n))?;
    work.close();
    let mut all = Vec::new();
    for p in &readers {
        let got = p.get()?;
        assert!(got.is_sorted(), "a reader saw them out of order");
        all.extend(got);
    }
    all.sort_unstable();
    assert!(all.into_iter().eq(0..5000));
    Ok(())
}
