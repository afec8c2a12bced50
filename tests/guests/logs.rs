//! Lines that places log, here and on other nodes. Their arguments are the addresses of nodes; `tests/logs.rs` reads the logs.

use places::{Channel, Node, Options, exit, log};

/// Logs a line of each level.
#[places::start]
fn says(_: Channel) {
    log!(Trace, "a trace");
    log!(Debug, "to debug");
    log!(Info, "for information");
    log!(Warn, "a warning");
    log!(Error, "an error,\nof two lines");
}

/// The node of the first argument, and the other arguments.
fn next() -> Result<(Option<Node>, Vec<String>), places::Error> {
    let mut addresses = std::env::args().skip(1);
    let node = addresses.next().map(|address| Node::connect(&address)).transpose()?;
    Ok((node, addresses.collect()))
}

/// Has a place on the first node that has one on the second, and so on; the last one logs, and so does a place of its own.
#[places::start]
fn chain(_: Channel) -> places::Result {
    match next()? {
        (Some(node), rest) => chain::at(&node).args(rest).spawn()?.wait(),
        (None, _) => {
            log!(Info, "the end of the chain");
            says::spawn()?.wait()
        }
    };
    Ok(())
}

/// As `chain`, but only what is on the last node is to be heard of, and only where that was started.
#[places::start]
fn one_link(_: Channel) -> places::Result {
    match next()? {
        (Some(node), rest) if rest.is_empty() => says::at(&node).log_to_parent().spawn()?.wait(),
        (Some(node), rest) => one_link::at(&node).args(rest).spawn()?.wait(),
        (None, _) => exit(1),
    };
    Ok(())
}

/// A detached place logs where it is, and nowhere else.
#[places::start]
fn detached(_: Channel) -> places::Result {
    let (node, _) = next()?;
    let node = node.ok_or("which node?")?;
    says::spawn_with(Options::new().at(&node).detached().log_to_parent())?.wait();
    Ok(())
}

/// How many lines are a flood.
const FLOOD: u32 = 20_000;

/// Logs as fast as it can, and ends then.
#[places::start]
fn floods(_: Channel) {
    for n in 0..FLOOD {
        log!(Info, "line {n} {:1000}", "");
    }
}

/// Has it do so on a node.
#[places::start]
fn floods_there(_: Channel) -> places::Result {
    let (node, _) = next()?;
    assert!(floods::at(&node.ok_or("which node?")?).log_to_parent().spawn()?.wait().is_success());
    Ok(())
}
