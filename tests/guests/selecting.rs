//! `Selector`: many events that are registered once. Each claim is a start function that panics where it is wrong;
//! `tests/behaviour.rs` runs them.

use std::time::{Duration, Instant};

use places::{Bytes, Channel, Error, ExitReason, Happened, Options, Packet, Selector, Value, after, exit, ready, sync};

/// Never reached where the right event comes.
const NEVER: Duration = Duration::from_secs(3600);

/// Answers with what it got until the other end is gone.
#[places::start]
fn echo(ch: Channel<u32, u32>) -> places::Result {
    for message in ch.iter() {
        ch.put(message?)?;
    }
    Ok(())
}

/// Ends at once.
#[places::start]
fn passer_by(_: Channel) {
    exit(5)
}

/// The number in a message.
fn number(happened: Happened) -> u32 {
    match happened {
        Happened::Message(mut packet) => packet.read().expect("it is a number"),
        other => panic!("{other:?}"),
    }
}

/// The next `count` numbers, with their keys.
fn numbers(selector: &mut Selector<u32>, count: usize) -> Result<Vec<(u32, u32)>, Error> {
    let mut all = Vec::new();
    while all.len() < count {
        all.extend(selector.wait(1024)?.into_iter().map(|(key, happened)| (key, number(happened))));
    }
    Ok(all)
}

#[places::start]
fn one_wait_brings_messages_of_many_channels(_: Channel) -> places::Result {
    let mut selector = Selector::new();
    let mut others = Vec::new();
    for key in 0..50 {
        let (one, other) = Channel::pair::<u32, u32>()?;
        selector.add(key, one)?;
        others.push(other);
    }
    for (other, key) in others.iter().zip(0..) {
        other.put_many([key, key + 1000, key + 2000])?;
    }
    let all: Vec<_> = selector.wait(1024)?.into_iter().map(|(key, happened)| (key, number(happened))).collect();
    assert_eq!(all.len(), 150);
    for key in 0..50 {
        let of_key: Vec<_> = all.iter().filter(|(of, _)| *of == key).map(|(_, n)| *n).collect();
        assert_eq!(of_key, [key, key + 1000, key + 2000]);
    }
    // At most as many as were asked for; the rest comes next.
    for other in &others {
        other.put(7)?;
    }
    assert_eq!((selector.wait(20)?.len(), selector.wait(20)?.len(), selector.wait(20)?.len()), (20, 20, 10));
    Ok(())
}

#[places::start]
fn a_message_too_large_for_the_rest_of_a_batch_comes_with_the_next(_: Channel) -> places::Result {
    let mut selector = Selector::new();
    let (here, there) = Channel::pair::<(), String>()?;
    selector.add((), there)?;
    let long = "x".repeat(100_000);
    for _ in 0..3 {
        here.put("short")?;
        here.put(&long)?;
    }
    let mut lengths = Vec::new();
    while lengths.len() < 6 {
        for (_, happened) in selector.wait(10)? {
            let Happened::Message(mut packet) = happened else { panic!("{happened:?}") };
            lengths.push(packet.read::<String>()?.len());
        }
    }
    assert_eq!(lengths, [5, 100_000, 5, 100_000, 5, 100_000]);
    Ok(())
}

#[places::start]
fn a_busy_channel_leaves_others_their_turn(_: Channel) -> places::Result {
    let mut selector = Selector::new();
    let (busy, one) = Channel::pair::<u32, u32>()?;
    let (quiet, other) = Channel::pair::<u32, u32>()?;
    selector.add(1, one)?;
    selector.add(2, other)?;
    busy.put_many(0..1000)?;
    for n in 0..10 {
        quiet.put(n)?;
        let batch = selector.wait(64)?;
        assert!(batch.iter().any(|(key, _)| *key == 2), "the quiet one has to wait");
        assert!(batch.iter().any(|(key, _)| *key == 1), "the busy one has to wait");
    }
    Ok(())
}

#[places::start]
fn what_is_put_goes_out_with_the_next_wait(_: Channel) -> places::Result {
    let mut selector = Selector::new();
    let (here, there) = Channel::pair::<u32, u32>()?;
    let raw: Channel<Bytes, Bytes> = echo::spawn()?.into_channel().typed();
    selector.add("pair", there)?;
    selector.add("place", raw)?;
    selector.put(&"pair", Value(1))?;
    assert_eq!(here.try_get(), Err(Error::WouldBlock));
    selector.flush();
    assert_eq!(here.get()?, 1);
    selector.put(&"place", Value(2))?;
    let [(key, happened)] = <[_; 1]>::try_from(selector.wait(10)?).expect("one answer");
    assert_eq!((key, number(happened)), ("place", 2));
    // As much as fits no one call, and one message that alone is larger than that.
    let long = "x".repeat(100_000);
    for n in 0..1000u32 {
        selector.put(&"pair", Value(n))?;
    }
    selector.put(&"pair", Value(&long))?;
    drop(selector);
    for n in 0..1000 {
        assert_eq!(here.get()?, n);
    }
    assert_eq!(here.typed::<String, ()>().get()?, long);
    Ok(())
}

#[places::start]
fn who_does_not_read_is_not_read_from_and_stops_nobody(_: Channel) -> places::Result {
    let mut selector = Selector::new();
    let (slow, one) = Channel::pair_of::<u32, u32>(4)?;
    let (fast, other) = Channel::pair::<u32, u32>()?;
    selector.add(1, one)?;
    selector.add(2, other)?;
    for n in 0..20 {
        selector.put(&1, Value(n))?;
        selector.put(&2, Value(n))?;
    }
    selector.flush();
    slow.put(100)?;
    fast.put(200)?;
    assert_eq!(numbers(&mut selector, 1)?, [(2, 200)]);
    assert_eq!(fast.get_many()?, (0..20).collect::<Vec<_>>());
    assert!(selector.wait_for(10, Duration::from_millis(20))?.is_empty(), "who does not read is read from");
    // What comes behind what is held is held too.
    selector.put(&1, Value(20))?;
    for n in 0..=20 {
        assert_eq!(slow.get()?, n);
        while n < 20 && slow.pending() == 0 {
            assert!(selector.wait_for(10, Duration::ZERO)?.is_empty());
        }
    }
    assert_eq!(numbers(&mut selector, 1)?, [(1, 100)]);
    // One that goes while messages to it are held is told like any other.
    for n in 0..20 {
        selector.put(&1, Value(n))?;
    }
    selector.flush();
    drop(slow);
    let batch = selector.wait(10)?;
    assert!(matches!(batch[..], [(1, Happened::Closed)]), "{batch:?}");
    Ok(())
}

#[places::start]
fn ends_of_channels_keep_their_order_among_plain_messages(_: Channel) -> places::Result {
    let mut selector = Selector::new();
    let (here, there) = Channel::pair::<Packet, Packet>()?;
    selector.add((), there)?;
    for n in 0..20u32 {
        let (one, other) = Channel::pair::<u32, u32>()?;
        one.put(n)?;
        here.put(Value(n))?;
        here.put(Value(other))?;
        selector.put(&(), Value(n))?;
        let (one, other) = Channel::pair::<u32, u32>()?;
        one.put(n)?;
        selector.put(&(), Value(other))?;
    }
    let mut come = Vec::new();
    while come.len() < 40 {
        come.extend(selector.wait(7)?);
    }
    for (n, pair) in (0..20).zip(come.chunks_exact_mut(2)) {
        let [(_, Happened::Message(plain)), (_, Happened::Message(end))] = pair else { panic!("{pair:?}") };
        assert_eq!((plain.read::<u32>()?, end.read::<Channel<u32, u32>>()?.get()?), (n, n));
    }
    while here.pending() < 40 {
        selector.wait_for(1, Duration::ZERO)?;
    }
    for n in 0..20 {
        assert_eq!(here.get()?.read::<u32>()?, n);
        assert_eq!(here.get()?.read::<Channel<u32, u32>>()?.get()?, n);
    }
    Ok(())
}

#[places::start]
fn what_comes_once_is_told_once_and_frees_its_key(_: Channel) -> places::Result {
    let mut selector = Selector::new();
    let p = passer_by::spawn()?;
    let monitored = echo::spawn()?;
    let monitor = places::monitor(monitored.id())?;
    let (one, _other) = Channel::pair::<u32, u32>()?;
    selector.watch("exit", p.exited())?;
    selector.watch("down", monitor.ended())?;
    selector.watch("soon", after(Duration::from_millis(1)))?;
    selector.watch("late", after(NEVER))?;
    selector.watch("room", one.room(1))?;
    assert_eq!(
        selector.watch("pollable", ready(&p.subscribe_exit())).unwrap_err().to_string(),
        "a pollable is not registered: it is waited for beside what is, or by `sync`"
    );
    monitored.kill();
    let mut come = Vec::new();
    while come.len() < 4 {
        for (key, happened) in selector.wait(10)? {
            match (key, &happened) {
                ("exit", Happened::Exited(ExitReason::Exited(5)))
                | ("down", Happened::Exited(ExitReason::Killed))
                | ("soon", Happened::After)
                | ("room", Happened::Room) => come.push(key),
                _ => panic!("{key}: {happened:?}"),
            }
        }
    }
    come.sort_unstable();
    assert_eq!(come, ["down", "exit", "room", "soon"]);
    assert_eq!(selector.len(), 1);
    assert!(selector.wait_for(10, Duration::from_millis(5))?.is_empty());
    selector.watch("exit", p.exited())?;
    assert_eq!(selector.wait(10)?.len(), 1);
    Ok(())
}

#[places::start]
fn a_closed_channel_is_told_once_and_can_still_be_put_to(_: Channel) -> places::Result {
    let mut selector = Selector::new();
    let (here, there) = Channel::pair::<u32, u32>()?;
    selector.add(1, there)?;
    here.put(1)?;
    here.close();
    let mut come = Vec::new();
    while come.len() < 2 {
        come.extend(selector.wait(10)?);
    }
    assert!(matches!(come[..], [(1, Happened::Message(_)), (1, Happened::Closed)]), "{come:?}");
    assert!(selector.wait_for(10, Duration::from_millis(5))?.is_empty());
    selector.put(&1, Value(2))?;
    selector.flush();
    assert_eq!(here.get()?, 2);
    assert_eq!(selector.wait(10).unwrap_err().to_string(), "a selector over nothing would never end");
    Ok(())
}

#[places::start]
fn a_removed_channel_is_its_owners_again(_: Channel) -> places::Result {
    let mut selector = Selector::new();
    let (here, there) = Channel::pair::<u32, u32>()?;
    selector.add(1, there)?;
    selector.put(&1, Value(1))?;
    here.put(2)?;
    let there: Channel<u32, u32> = selector.remove(&1).ok_or("it is there")?.typed();
    assert!(selector.remove(&1).is_none() && selector.is_empty());
    assert_eq!((here.get()?, there.get()?), (1, 2));
    assert_eq!(selector.put(&1, Value(1)), Err(Error::NotFound("no channel is registered under that key".into())));
    drop(there);
    assert_eq!(here.get(), Err(Error::Closed));
    Ok(())
}

#[places::start]
fn a_key_is_taken_once(_: Channel) -> places::Result {
    let mut selector = Selector::new();
    let (here, there) = Channel::pair::<u32, u32>()?;
    selector.add(1, there)?;
    assert!(matches!(selector.add(1, here.clone()), Err(Error::Exists(_))));
    assert!(matches!(selector.watch(1, after(NEVER)), Err(Error::Exists(_))));
    here.put(3)?;
    assert_eq!(numbers(&mut selector, 1)?, [(1, 3)]);
    Ok(())
}

#[places::start]
fn a_wait_ends_with_its_time_and_over_nothing_is_refused(_: Channel) -> places::Result {
    let mut selector = Selector::<u8>::new();
    assert!(matches!(selector.wait(10), Err(Error::Invalid(_))));
    assert!(selector.wait_for(10, Duration::from_millis(1))?.is_empty());
    let (_here, there) = Channel::pair::<u32, u32>()?;
    selector.add(1, there)?;
    let start = Instant::now();
    assert!(selector.wait_for(10, Duration::from_millis(30))?.is_empty());
    assert!(start.elapsed() >= Duration::from_millis(30));
    Ok(())
}

/// Registers until that is refused.
#[places::start]
fn registers(ch: Channel<u32, u32>) -> places::Result {
    let mut selector = Selector::new();
    let (here, _there) = Channel::pair::<u32, u32>()?;
    let refused = (0u32..).find_map(|key| selector.watch(key, here.message()).err().map(|error| (key, error)));
    let Some((count, Error::Limit(_))) = refused else { panic!("{refused:?}") };
    // What is forgotten makes room.
    selector.remove(&0);
    selector.watch(0, here.message())?;
    ch.put(count)?;
    Ok(())
}

#[places::start]
fn what_is_registered_counts_towards_the_memory_limit(_: Channel) -> places::Result {
    let count = registers::spawn_with(Options::new().memory(2 << 20))?.get()?;
    assert!((1000..4096).contains(&count), "{count}");
    Ok(())
}

#[places::start]
fn many_places_are_served_from_one_wait_to_the_next(_: Channel) -> places::Result {
    let mut selector = Selector::new();
    for key in 0..300 {
        selector.add(key, echo::spawn()?.into_channel())?;
        selector.put(&key, Value(0))?;
    }
    let mut rounds = 0;
    while rounds < 300 * 20 {
        for (key, happened) in selector.wait(64)? {
            let n = number(happened);
            rounds += 1;
            if n < 19 {
                selector.put(&key, Value(n + 1))?;
            }
        }
    }
    assert!(selector.wait_for(1, Duration::ZERO)?.is_empty());
    Ok(())
}

#[places::start]
fn a_place_that_ends_while_it_is_waited_for_wakes(_: Channel) -> places::Result {
    let mut selector = Selector::new();
    let p = echo::spawn_with(Options::new().deadline(Duration::from_millis(20)))?;
    selector.watch("its end", p.exited())?;
    selector.add("its channel", p.into_channel())?;
    let mut come = Vec::new();
    while come.len() < 2 {
        come.extend(selector.wait(10)?);
    }
    come.sort_unstable_by_key(|(key, _)| *key);
    let expected = matches!(come[..], [("its channel", Happened::Closed), ("its end", Happened::Exited(ExitReason::Limit(_)))]);
    assert!(expected, "{come:?}");
    Ok(())
}

#[places::start]
fn room_is_an_event(_: Channel) -> places::Result {
    let (here, there) = Channel::pair_of::<u32, u32>(2)?;
    here.put_many([1, 2])?;
    sync! {
        _ = here.room(1) => panic!("there is none"),
        _ = after(Duration::from_millis(5)) => {},
    }
    there.get()?;
    sync! {
        _ = here.room(1) => here.try_put(3)?,
        _ = after(NEVER) => panic!("there is room"),
    }
    drop(there);
    sync! { _ = here.room(1) => {} }
    assert_eq!(here.try_put(4), Err(Error::Closed));
    Ok(())
}
