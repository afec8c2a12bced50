//! How places live and end: exit codes, killing, waiting, and that children end with their parent. Each claim is a start function
//! that panics where it is wrong; `tests/behaviour.rs` runs them.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use places::{Bytes, Channel, Error, ExitReason, Options, Place, after, exit, sync};

type Witness = Channel<(), u32>;

#[places::start]
fn returns(_: Channel) {}

#[places::start]
fn exits(ch: Channel<u8, ()>) -> places::Result {
    exit(ch.get()?)
}

#[places::start]
fn exits_with_seven(_: Channel) {
    exit(7);
}

#[places::start]
fn fails(_: Channel) -> places::Result {
    Err("no luck today".into())
}

#[places::start]
fn panics(_: Channel) {
    panic!("it is over");
}

#[places::start]
fn leaves_by_std(ch: Channel<i32, ()>) -> places::Result {
    std::process::exit(ch.get()?)
}

/// Waits for a message that never comes.
#[places::start]
fn waits(ch: Channel) -> places::Result {
    ch.get()?;
    Ok(())
}

/// Says that it is there; waits for a message, a place, and a time, none of which comes.
#[places::start]
fn waits_for_many(ch: Channel<(), ()>) -> places::Result {
    let child = waits::spawn()?;
    ch.put(())?;
    sync! {
        _ = ch.get() => {},
        _ = child.exited() => {},
        _ = after(Duration::from_secs(3600)) => {}
    }
    Ok(())
}

/// Says that it is there, and computes for ever.
#[places::start]
fn spins(ch: Channel<(), ()>) -> places::Result {
    ch.put(())?;
    loop {
        std::hint::black_box(0);
    }
}

/// Says that it is there, and starts places for ever.
#[places::start]
fn spawns(ch: Channel<(), ()>) -> places::Result {
    ch.put(())?;
    loop {
        returns::spawn()?.wait();
    }
}

/// Answers until the other end is gone.
#[places::start]
fn echo(ch: Channel) -> places::Result {
    for message in ch.iter() {
        ch.put(message?)?;
    }
    Ok(())
}

/// Starts another of itself for each number above 0, with a handle to the witness; the last one speaks. Then all wait.
#[places::start]
fn ancestor(ch: Channel<(Witness, u32), ()>) -> places::Result {
    let (witness, generations) = ch.get()?;
    let child = match generations {
        0 => {
            witness.put(0)?;
            None
        }
        more => {
            let child = ancestor::spawn()?;
            child.put((witness.clone(), more - 1))?;
            Some(child)
        }
    };
    let order = ch.typed::<String, ()>().get()?;
    drop(child);
    match &*order {
        "return" => Ok(()),
        "fail" => Err("told to".into()),
        "exit" => exit(3),
        _ => panic!("told to"),
    }
}

#[places::start]
fn waiting_any_number_of_times_gives_the_same(_: Channel) -> places::Result {
    let p = exits::spawn()?;
    p.put(7)?;
    for _ in 0..3 {
        assert_eq!(p.wait(), ExitReason::Exited(7));
    }
    Ok(())
}

#[places::start]
fn a_parent_learns_how_its_child_ended(_: Channel) -> places::Result {
    assert_eq!(returns::spawn()?.wait(), ExitReason::Returned);
    assert_eq!(fails::spawn()?.wait(), ExitReason::Failed("no luck today".into()));
    for code in [0, 7, 255] {
        let p = exits::spawn()?;
        p.put(code)?;
        assert_eq!(p.wait(), ExitReason::Exited(code));
        assert_eq!(p.wait().is_success(), code == 0);
    }
    // Dropping the channel ends who reads it with `?`.
    let p = waits::spawn()?;
    p.close();
    assert_eq!(p.wait(), ExitReason::Failed(Error::Closed.to_string()));
    Ok(())
}

#[places::start]
fn leaving_by_std_is_an_exit(_: Channel) -> places::Result {
    let p = leaves_by_std::spawn()?;
    p.put(0)?;
    assert_eq!(p.wait(), ExitReason::Exited(0));
    // Through WASI 0.2, any other code may have become 1.
    let p = leaves_by_std::spawn()?;
    p.put(1)?;
    assert_eq!(p.wait(), ExitReason::Exited(1));
    Ok(())
}

#[places::start]
fn a_place_that_waits_is_killed(_: Channel) -> places::Result {
    let p = waits::spawn()?;
    p.kill();
    assert_eq!(p.wait(), ExitReason::Killed);
    assert_eq!((p.get(), p.put(b"late")), (Err(Error::Closed), Err(Error::Closed)));
    let p = waits_for_many::spawn()?;
    p.get()?;
    p.kill();
    assert_eq!(p.wait(), ExitReason::Killed);
    Ok(())
}

#[places::start]
fn a_place_that_computes_is_killed(_: Channel) -> places::Result {
    let p = spins::spawn()?;
    p.get()?;
    p.kill();
    assert_eq!(p.wait(), ExitReason::Killed);
    // Also before it had a chance to begin.
    let p = spins::spawn()?;
    p.kill();
    assert_eq!(p.wait(), ExitReason::Killed);
    Ok(())
}

#[places::start]
fn a_place_that_starts_others_is_killed(_: Channel) -> places::Result {
    for _ in 0..50 {
        let p = spawns::spawn()?;
        p.get()?;
        p.kill();
        assert_eq!(p.wait(), ExitReason::Killed);
    }
    Ok(())
}

#[places::start]
fn a_place_that_ended_keeps_its_reason_when_killed(_: Channel) -> places::Result {
    let p = exits_with_seven::spawn()?;
    assert_eq!(p.wait(), ExitReason::Exited(7));
    p.kill();
    p.kill();
    assert_eq!(p.wait(), ExitReason::Exited(7));
    Ok(())
}

#[places::start]
fn what_a_place_held_is_gone_when_its_end_is_told(_: Channel) -> places::Result {
    let (witness, end) = Channel::pair::<u32, ()>()?;
    let p = ancestor::spawn()?;
    p.put((end, 0))?;
    witness.get()?;
    p.kill();
    assert_eq!(witness.try_get(), Err(Error::Closed));
    Ok(())
}

/// A place to be told how to end, and what the youngest of its line holds the other end of.
type Line = (Place<(), String>, Channel<u32, ()>);

fn line_of(generations: u32) -> Result<Line, Error> {
    let (witness, end) = Channel::pair()?;
    let p = ancestor::spawn()?;
    p.put((end, generations))?;
    // The youngest is there; the witness is closed once nobody has the other end.
    assert_eq!(witness.get(), Ok(0));
    Ok((p.typed(), witness))
}

#[places::start]
fn the_end_of_a_place_ends_its_children_and_theirs(_: Channel) -> places::Result {
    for order in ["return", "fail", "exit", "panic"] {
        let (p, witness) = line_of(3)?;
        p.put(order)?;
        assert_eq!(witness.get(), Err(Error::Closed), "{order}");
    }
    let (p, witness) = line_of(3)?;
    p.kill();
    assert_eq!(witness.get(), Err(Error::Closed));
    Ok(())
}

#[places::start]
fn a_place_outlives_the_handle_to_it(_: Channel) -> places::Result {
    let ch = echo::spawn()?.into_channel();
    assert_eq!(ch.put_get(b"still there")?, Bytes(b"still there".to_vec()));
    Ok(())
}

#[places::start]
fn the_program_ends_when_main_does(_: Channel) -> places::Result {
    spins::spawn()?.get()?;
    waits_for_many::spawn()?.get()?;
    line_of(2)?;
    println!("main is done");
    Ok(())
}

#[places::start]
fn no_two_places_have_the_same_name(_: Channel) -> places::Result {
    let all = (0..100).map(|_| returns::spawn()).collect::<Result<Vec<_>, _>>()?;
    let mut names: HashSet<_> = all.iter().map(Place::id).collect();
    all.iter().for_each(|p| drop(p.wait()));
    names.extend([returns::spawn()?.id(), places::this()]);
    assert_eq!(names.len(), 102);
    Ok(())
}

#[places::start]
fn a_start_function_is_named_with_either_dash(_: Channel) -> places::Result {
    for name in ["exits-with-seven", "exits_with_seven"] {
        assert_eq!(places::spawn(places::Module::This, name, Options::new())?.wait(), ExitReason::Exited(7));
    }
    Ok(())
}

#[places::start]
fn another_module_is_started_by_its_path(_: Channel) -> places::Result {
    let p = places::spawn("hello_world.wasm", "hello-world", Options::new())?.typed::<String, String>();
    assert_eq!(p.put_get("Hello")?, "Hello World");
    assert!(p.wait().is_success());
    Ok(())
}

#[places::start]
fn places_that_compute_leave_time_to_others(_: Channel) -> places::Result {
    let spinning = (0..4).map(|_| spins::spawn()).collect::<Result<Vec<_>, _>>()?;
    for p in &spinning {
        p.get()?;
    }
    let (p, start) = (echo::spawn()?, Instant::now());
    for _ in 0..200 {
        p.put_get(b"ping")?;
    }
    // Each trip may wait for a few ticks of a millisecond; a starved one would never end.
    assert!(start.elapsed() < Duration::from_secs(30), "{:?}", start.elapsed());
    spinning.iter().for_each(Place::kill);
    Ok(())
}
