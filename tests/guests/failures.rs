//! What a place can do wrong, and that it hurts only itself: its parent learns the reason, and a sibling goes on. Each claim is a
//! start function that panics where it is wrong; `tests/failures.rs` runs them.

use std::hint::black_box;

use places::{Bytes, Channel, Error, ExitReason, Module, Options};
use test_guests::{denied, hurts_itself_alone};

/// The sibling: answers until the other end is gone.
#[places::start]
fn echo(ch: Channel) -> places::Result {
    for message in ch.iter() {
        ch.put(message?)?;
    }
    Ok(())
}

#[places::start]
fn traps(_: Channel) {
    std::process::abort()
}

#[inline(never)]
fn the_culprit(number: u32) {
    assert!(number > 9, "{number} is too small");
}

#[places::start]
fn panics(_: Channel) {
    the_culprit(black_box(3));
}

#[inline(never)]
fn deeper(n: u64) -> u64 {
    if black_box(n) == u64::MAX { n } else { deeper(n + 1) + 1 }
}

#[places::start]
fn recurses(_: Channel) {
    black_box(deeper(0));
}

#[places::start]
fn waits(ch: Channel) -> places::Result {
    ch.get()?;
    Ok(())
}

/// Sends to its parent until it cannot.
#[places::start]
fn sends(ch: Channel) -> places::Result {
    loop {
        ch.put(&[7; 1000])?;
    }
}

/// Sends to an end that nobody has.
#[places::start]
fn sends_to_nobody(_: Channel) -> places::Result {
    let (one, other) = Channel::pair::<(), u32>()?;
    drop(other);
    (0..).try_for_each(|n| one.put(n))?;
    Ok(())
}

/// Says that it has printed something, and goes on printing.
#[places::start]
fn prints_for_ever(ch: Channel) -> places::Result {
    loop {
        println!("and on");
        // Once its mailbox is full, it prints alone.
        let _ = ch.try_put(&[]);
    }
}

#[places::start]
fn a_trap_ends_its_place_alone(_: Channel) -> places::Result {
    hurts_itself_alone(
        traps::NAME,
        Options::new(),
        |why| matches!(why, ExitReason::Trapped { message, .. } if message.contains("unreachable")),
    )
}

#[places::start]
fn a_panic_tells_its_message_and_where_it_was(_: Channel) -> places::Result {
    hurts_itself_alone(panics::NAME, Options::new(), |why| {
        let ExitReason::Trapped { message, backtrace } = why else { return false };
        let innermost = backtrace.lines().next().unwrap_or_default();
        message.contains("failures.rs") && message.ends_with("3 is too small") && innermost.contains("the_culprit")
    })
}

#[places::start]
fn endless_recursion_ends_its_place_alone(_: Channel) -> places::Result {
    hurts_itself_alone(
        recurses::NAME,
        Options::new(),
        |why| matches!(why, ExitReason::Trapped { message, .. } if message.contains("stack")),
    )
}

#[places::start]
fn sending_to_nobody_is_an_error(_: Channel) -> places::Result {
    hurts_itself_alone(sends_to_nobody::NAME, Options::new(), |why| *why == ExitReason::Failed(Error::Closed.to_string()))
}

#[places::start]
fn sending_to_who_never_reads_waits_until_it_is_killed(_: Channel) -> places::Result {
    let (sibling, p) = (echo::spawn()?, sends::spawn()?);
    while p.pending() < 1024 {}
    for _ in 0..100 {
        sibling.put_get(b"in between")?;
    }
    assert_eq!(p.pending(), 1024);
    p.kill();
    assert_eq!(p.wait(), ExitReason::Killed);
    // What it sent is read all the same.
    assert_eq!((p.iter().count(), p.get()), (1024, Err(Error::Closed)));
    Ok(())
}

#[places::start]
fn who_prints_for_ever_is_killed(_: Channel) -> places::Result {
    let (sibling, p) = (echo::spawn()?, prints_for_ever::spawn()?);
    while p.pending() < 100 {}
    assert_eq!(sibling.put_get(b"still")?, Bytes(b"still".to_vec()));
    p.kill();
    assert_eq!(p.wait(), ExitReason::Killed);
    Ok(())
}

#[places::start]
fn a_wrong_start_function_is_told_those_there_are(_: Channel) -> places::Result {
    let wrong = places::spawn(Module::This, "no-such", Options::new());
    let named =
        |text: &str| ["`no-such`", "`echo`", "`a-wrong-start-function-is-told-those-there-are`"].iter().all(|name| text.contains(name));
    assert!(matches!(&wrong, Err(Error::NotFound(text)) if named(text)), "{wrong:?}");
    Ok(())
}

#[places::start]
fn modules_come_only_from_the_folder_of_ones_own(_: Channel) -> places::Result {
    for path in ["/etc/passwd", "../no-such.wasm", "..", "/", "../../../../../etc/passwd", "a/../../b.wasm"] {
        denied(places::spawn(path, "main", Options::new()), path);
    }
    let missing = places::spawn("no-such.wasm", "main", Options::new());
    assert!(matches!(&missing, Err(Error::NotFound(text)) if text.contains("no-such.wasm")), "{missing:?}");
    let empty = places::spawn("", "main", Options::new());
    assert!(empty.is_err(), "{empty:?}");
    Ok(())
}

/// The harness puts a link that leads out of the folder, and a file that is no module, beside this module.
#[places::start]
fn links_and_other_files_are_no_modules(_: Channel) -> places::Result {
    denied(places::spawn("link.wasm", "main", Options::new()), "link.wasm");
    let text = places::spawn("text.wasm", "main", Options::new());
    assert!(matches!(&text, Err(Error::BadModule(_))), "{text:?}");
    Ok(())
}

/// The harness says in which folder that module is.
#[places::start]
fn starts_another_module(_: Channel) -> places::Result {
    let p = places::spawn("hello_world.wasm", "hello_world", Options::new())?.typed::<String, String>();
    let answer = p.put_get("Hello")?;
    // Or its last line and ours would race.
    p.wait();
    println!("{answer}");
    Ok(())
}
