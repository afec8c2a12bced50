//! `sync`: waiting for whichever comes first. Each claim is a start function that panics where it is wrong; `tests/behaviour.rs`
//! runs them.

use std::time::{Duration, Instant};

use places::{Channel, Error, ExitReason, Options, Place, after, at, exit, ready, sync};
use wasip2::clocks::monotonic_clock::subscribe_duration;
use wasip2::io::poll::poll;

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

/// Says its name and goes.
#[places::start]
fn passer_by(ch: Channel<(), String>) -> places::Result {
    ch.put("passer-by")?;
    exit(5)
}

#[places::start]
fn a_message_comes_before_a_timer(_: Channel) -> places::Result {
    let p = echo::spawn()?;
    p.put(1)?;
    sync! {
        n = p.get() => assert_eq!(n?, 1),
        _ = after(NEVER) => panic!("the timer fired"),
    }
    let (one, other) = Channel::pair::<u32, u32>()?;
    for n in 0..100 {
        one.put(n)?;
        // A timer that is due is chosen only where nothing else is ready.
        sync! {
            _ = after(Duration::ZERO) => panic!("the timer fired"),
            got = other.get() => assert_eq!(got?, n),
        }
    }
    Ok(())
}

#[places::start]
fn the_first_timer_fires_where_nothing_comes(_: Channel) -> places::Result {
    let (_one, other) = Channel::pair::<u32, u32>()?;
    let start = Instant::now();
    let fired = sync! {
        _ = after(NEVER) => "the last",
        _ = other.get() => "a message",
        _ = after(Duration::from_millis(30)) => "the first",
    };
    assert_eq!(fired, "the first");
    assert!(start.elapsed() >= Duration::from_millis(30));
    sync! { _ = at(start) => {} }
    let late = sync! {
        _ = at(start + NEVER) => false,
        _ = at(start + Duration::from_millis(60)) => true,
    };
    assert!(late && start.elapsed() >= Duration::from_millis(60));
    Ok(())
}

#[places::start]
fn the_end_of_a_place_is_an_event(_: Channel) -> places::Result {
    let p = passer_by::spawn()?;
    let mut heard = Vec::new();
    loop {
        sync! {
            name = p.get() => match name {
                Ok(name) => heard.push(name),
                Err(error) => {
                    assert_eq!(error, Error::Closed);
                    break;
                }
            },
            _ = after(NEVER) => panic!("the timer fired"),
        }
    }
    assert_eq!(heard, ["passer-by"]);
    sync! {
        why = p.exited() => assert_eq!(why, ExitReason::Exited(5)),
        _ = after(NEVER) => panic!("the timer fired"),
    }
    Ok(())
}

#[places::start]
fn of_several_that_are_ready_each_has_its_turn(_: Channel) -> places::Result {
    let (one, first) = Channel::pair::<(), u32>()?;
    let (two, second) = Channel::pair::<(), u32>()?;
    one.put_many(0..300u32)?;
    two.put_many(0..300u32)?;
    let ended = passer_by::spawn()?;
    ended.wait();
    let clock = subscribe_duration(0);
    let mut chosen = [0; 4];
    for _ in 0..200 {
        sync! {
            _ = first.get() => chosen[0] += 1,
            _ = second.get() => chosen[1] += 1,
            _ = ended.exited() => chosen[2] += 1,
            _ = ready(&clock) => chosen[3] += 1,
        }
    }
    assert!(chosen.iter().all(|&times| times >= 20), "{chosen:?}");
    // What was not chosen is still there, in order.
    assert_eq!((first.pending(), second.pending()), (300 - chosen[0], 300 - chosen[1]));
    assert_eq!((first.get()?, second.get()?), (chosen[0], chosen[1]));
    Ok(())
}

#[places::start]
fn of_several_pollables_each_has_its_turn(_: Channel) -> places::Result {
    let (one, two) = (subscribe_duration(0), subscribe_duration(0));
    let mut chosen = [0; 2];
    for _ in 0..100 {
        sync! {
            _ = ready(&one) => chosen[0] += 1,
            _ = ready(&two) => chosen[1] += 1,
        }
    }
    assert!(chosen.iter().all(|&times| times >= 20), "{chosen:?}");
    // Their turns and those of a channel beside them must not keep step.
    let (many, other) = Channel::pair::<(), u32>()?;
    many.put_many(0..100u32)?;
    let mut chosen = [0; 3];
    for _ in 0..100 {
        sync! {
            _ = other.get() => chosen[0] += 1,
            _ = ready(&one) => chosen[1] += 1,
            _ = ready(&two) => chosen[2] += 1,
        }
    }
    assert!(chosen.iter().all(|&times| times >= 10), "{chosen:?}");
    Ok(())
}

#[places::start]
fn a_message_that_was_not_chosen_stays(_: Channel) -> places::Result {
    let (one, first) = Channel::pair::<(), u32>()?;
    let (two, second) = Channel::pair::<(), u32>()?;
    one.put(1)?;
    two.put(2)?;
    let chosen = sync! {
        n = first.get() => n?,
        n = second.get() => n?,
    };
    let (rest, empty) = if chosen == 1 { (second, first) } else { (first, second) };
    assert_eq!(rest.try_get(), Ok(3 - chosen));
    assert_eq!(empty.try_get(), Err(Error::WouldBlock));
    Ok(())
}

#[places::start]
fn a_closed_channel_is_ready(_: Channel) -> places::Result {
    let (one, other) = Channel::pair::<u32, u32>()?;
    one.put(1)?;
    drop(one);
    for expected in [Ok(1), Err(Error::Closed), Err(Error::Closed)] {
        sync! {
            message = other.message() => assert_eq!(message, expected),
            _ = after(NEVER) => panic!("the timer fired"),
        }
    }
    Ok(())
}

#[places::start]
fn a_place_that_dies_while_it_is_waited_for_closes_its_channel(_: Channel) -> places::Result {
    let p = echo::spawn_with(Options::new().deadline(Duration::from_millis(20)))?;
    sync! {
        message = p.get() => assert_eq!(message, Err(Error::Closed)),
        _ = after(NEVER) => panic!("the timer fired"),
    }
    Ok(())
}

#[places::start]
fn many_channels_are_waited_for_at_once(_: Channel) -> places::Result {
    let all = (0..500).map(|_| echo::spawn()).collect::<Result<Vec<_>, _>>()?;
    for n in [499, 0, 250] {
        all[n as usize].put(n)?;
        assert_eq!(sync(all.iter().map(|p| p.message())), (n as usize, Ok(n)));
    }
    all[7].kill();
    assert_eq!(sync(all.iter().map(Place::exited)), (7, ExitReason::Killed));
    Ok(())
}

/// Reads numbers; leaves an arm by each way there is.
fn leave(ch: &Channel<u32, u32>) -> Result<&'static str, Error> {
    loop {
        let seen = sync! {
            n = ch.get() => match n? {
                0 => break Ok("broke"),
                1 => continue,
                2 => return Ok("returned"),
                n => n,
            },
            _ = after(NEVER) => unreachable!(),
        };
        if seen == 10 {
            return Ok("went on");
        }
    }
}

#[places::start]
fn an_arm_is_left_as_any_code_is(_: Channel) -> places::Result {
    let (one, other) = Channel::pair::<u32, u32>()?;
    for (numbers, left) in [(vec![1, 0], "broke"), (vec![1, 2], "returned"), (vec![3, 10], "went on")] {
        one.put_many(&numbers)?;
        assert_eq!(leave(&other), Ok(left));
    }
    drop(one);
    assert_eq!(leave(&other), Err(Error::Closed));
    Ok(())
}

#[places::start]
fn an_end_of_a_channel_that_was_chosen_works(_: Channel) -> places::Result {
    let (one, other) = Channel::pair::<(), Channel<u32, u32>>()?;
    let p = echo::spawn()?;
    one.put(p.channel())?;
    sync! {
        end = other.get() => assert_eq!(end?.put_get(3)?, 3),
        _ = after(NEVER) => panic!("the timer fired"),
    }
    Ok(())
}

#[places::start]
fn pollables_of_channels_and_places_stand_beside_those_of_wasi(_: Channel) -> places::Result {
    let p = echo::spawn()?;
    let (message, end, late) = (p.subscribe(), p.subscribe_exit(), subscribe_duration(NEVER.as_nanos() as u64));
    assert!(!message.ready() && !end.ready() && !late.ready());
    let soon = subscribe_duration(1_000_000);
    assert_eq!(poll(&[&message, &end, &soon]), [2]);
    p.put(1)?;
    assert_eq!(poll(&[&late, &end, &message]), [2]);
    // Being ready takes nothing away.
    assert!(message.ready());
    assert_eq!(p.get()?, 1);
    assert!(!message.ready());
    p.close();
    end.block();
    assert_eq!(poll(&[&late, &end]), [1]);
    message.block();
    assert_eq!(p.get(), Err(Error::Closed));
    Ok(())
}

#[places::start]
fn a_pollable_and_a_channel_are_waited_for_together(_: Channel) -> places::Result {
    let p = echo::spawn()?;
    let soon = subscribe_duration(1_000_000);
    sync! {
        _ = p.get() => panic!("nothing was sent"),
        _ = ready(&soon) => {},
    }
    let late = subscribe_duration(NEVER.as_nanos() as u64);
    p.put(1)?;
    sync! {
        n = p.get() => assert_eq!(n?, 1),
        _ = ready(&late) => panic!("the clock fired"),
    }
    Ok(())
}

/// The macros' own names are not the author's.
#[places::start]
fn start(handle: Channel) -> places::Result {
    let (index, fired) = ("index", "fired");
    let said = places::sync! {
        _ = handle.get() => format!("{index} {fired}"),
        _ = places::after(Duration::ZERO) => format!("{fired} {index}"),
    };
    assert!(said == "index fired" || said == "fired index", "{said}");
    Ok(())
}
