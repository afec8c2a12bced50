//! Places that launch nodes by ssh. `tests/ssh.rs` says by which: the machine is the first argument, the others are options, as
//! `NAME=VALUE`.

use std::time::Duration;

use places::{Channel, CreateOptions, Node};

/// A node as the arguments say.
fn launch() -> Result<Node, places::Error> {
    let mut args = std::env::args().skip(1);
    let create = Node::create(args.next().expect("the test names a machine"));
    let option = |create: CreateOptions, arg: String| match arg.split_once('=').expect("it has a value") {
        ("ssh_path", path) => create.ssh_path(path),
        ("placehost_path", path) => create.placehost_path(path),
        ("user", name) => create.user(name),
        ("time_out", millis) => create.time_out(Duration::from_millis(millis.parse().expect("it is a number"))),
        (name, _) => panic!("`{name}` is no option"),
    };
    args.fold(create, option).launch()
}

/// Prints on both outputs, and answers.
#[places::start]
fn prints(ch: Channel<String, String>) -> places::Result {
    let name = ch.get()?;
    println!("out: {name}");
    eprintln!("err: {name}");
    Ok(ch.put(format!("printed {name}"))?)
}

/// Launches a node, and starts places on it that print.
#[places::start]
fn creates(_: Channel) -> places::Result {
    let node = launch()?;
    for name in ["one", "two"] {
        let place = prints::at(&node).spawn()?;
        let answer = place.put_get(name)?;
        // What it printed is here when its end is; what it put may be faster.
        assert!(place.wait().is_success());
        println!("{answer}");
    }
    println!("the end");
    Ok(())
}

/// Launches a node, puts a word, and waits until it is told to end.
#[places::start]
fn creates_and_stays(ch: Channel<(), String>) -> places::Result {
    let node = launch()?;
    let place = prints::at(&node).spawn()?;
    ch.put("launched")?;
    drop(ch.typed::<(), ()>().get());
    drop(place);
    Ok(())
}

/// Launches a node, ends it, puts a word, and waits until it is told to end.
#[places::start]
fn creates_and_ends(ch: Channel<(), String>) -> places::Result {
    let node = launch()?;
    node.exit()?;
    places::sync! { _ = node.lost() => {} }
    ch.put("ended")?;
    drop(ch.typed::<(), ()>().get());
    Ok(())
}
