//! Servers on other nodes. Each claim is a start function that panics where it is wrong, whose arguments are the addresses of nodes;
//! `tests/rpc.rs` runs them, and kills nodes meanwhile.

#[path = "rpc/servers.rs"]
mod servers;

use std::time::Duration;

use places::{Channel, Error, ExitReason, Node, Options, after, sync};
use places_rpc::{CallError, Keeper};
use places_supervision::{Answer, Child, Command, Strategy, Supervisor};
use servers::*;

/// The nodes of the arguments.
fn nodes() -> Result<Vec<Node>, Error> {
    std::env::args().skip(1).map(|address| Node::connect(&address)).collect()
}

/// Calls a table on the node that it is told, under keys of its own.
#[places::start]
fn user(ch: Channel<(u32, Channel<(), ()>), ()>) -> places::Result {
    let (me, table) = ch.get()?;
    let c = TableClient::from(table);
    for n in 0..20 {
        let key = format!("{me}.{n}");
        c.set(key.as_str(), i64::from(me) * 100 + n)?;
        assert_eq!(c.get(&key)?, Some(i64::from(me) * 100 + n));
    }
    let calls = (0..20).map(|n| c.get_async(&format!("{me}.{n}"))).collect::<Result<Vec<_>, _>>()?;
    for (call, n) in calls.into_iter().zip(0..) {
        assert_eq!(call.join()?, Some(i64::from(me) * 100 + n));
    }
    Ok(())
}

#[places::start]
fn a_server_on_one_node_has_clients_on_many(_: Channel) -> places::Result {
    let nodes = nodes()?;
    table::at(&nodes[0]).named("table").spawn()?;
    let users = (0..30).map(|n| user::at(&nodes[n % nodes.len()]).spawn()).collect::<Result<Vec<_>, _>>()?;
    for (user, n) in users.iter().zip(0..) {
        user.put((n, nodes[0].lookup("table")?))?;
    }
    for user in &users {
        assert_eq!(user.wait(), ExitReason::Returned);
    }
    assert_eq!(TableClient::connect(&nodes[0], "table")?.get("29.19")?, Some(2919));
    Ok(())
}

#[places::start]
fn errors_come_from_afar_as_they_are(_: Channel) -> places::Result {
    let nodes = nodes()?;
    let server = moody::at(&nodes[0]).named("moody").spawn()?;
    let c = MoodyClient::connect(&nodes[0], "moody")?;
    let soon = c.within(Duration::from_millis(30));
    assert_eq!(soon.never(), Err(CallError::TimedOut(Duration::from_millis(30))));
    while c.waiting()? > 0 {}
    let open = c.never_async()?;
    assert_eq!(c.panic("far away"), Err(CallError::Panicked("far away".into())));
    assert_eq!(open.join(), Err(CallError::Lost(Error::Closed)));
    assert!(matches!(server.wait(), ExitReason::Trapped { .. }));
    assert!(matches!(MoodyClient::connect(&nodes[0], "moody"), Err(CallError::Connect(Error::NotFound(_)))));
    Ok(())
}

#[places::start]
fn a_keeper_here_keeps_the_state_of_a_server_there(_: Channel) -> places::Result {
    let nodes = nodes()?;
    let keeper = Keeper::spawn(counter_keeper::NAME)?;
    for (node, before) in nodes.iter().zip((0..).step_by(10)) {
        let server = keeper.start(counter_kept::at(node).named("counter"))?;
        let c = CounterClient::connect(node, "counter")?;
        for n in 1..=10 {
            assert_eq!(c.next()?, before + n);
        }
        server.kill();
    }
    Ok(())
}

/// Calls what is never answered, and says how that went: the node is killed meanwhile.
#[places::start]
fn calls_until_the_node_is_gone(ch: Channel<(), String>) -> places::Result {
    let nodes = nodes()?;
    moody::at(&nodes[0]).named("moody").spawn()?;
    let c = MoodyClient::connect(&nodes[0], "moody")?;
    let open = c.never_async()?;
    assert_eq!(c.waiting()?, 1);
    ch.put("calling")?;
    ch.put(format!("{:?} {:?} {:?}", c.never(), open.join(), c.waiting()))?;
    Ok(())
}

/// Serves a node that is killed, for as long as it is told.
#[places::start]
fn has_a_client_there_that_vanishes(ch: Channel<(), String>) -> places::Result {
    let nodes = nodes()?;
    moody::named("moody").spawn()?;
    let c = MoodyClient::connect(&Node::this(), "moody")?;
    let there = waits::at(&nodes[0]).spawn()?;
    there.put(Node::this().lookup::<(), ()>("moody")?)?;
    let open = c.never_async()?;
    while c.waiting()? < 2 {}
    ch.put("waiting")?;
    // It is noticed within the time-out.
    while c.waiting()? > 1 {
        sync! { _ = after(Duration::from_millis(5)) => {} }
    }
    c.release()?;
    open.join()?;
    ch.put("released")?;
    Ok(())
}

#[places::start]
fn waits(ch: Channel<Channel<(), ()>, ()>) -> places::Result {
    MoodyClient::from(ch.get()?).never()?;
    Ok(())
}

/// Keeps a counter on one of the nodes of its arguments.
#[places::start]
fn keeps_a_counter(ch: Channel<Command, Answer>) -> places::Result {
    let child = Child::new("counter", counter::NAME).named().on(std::env::args().skip(1));
    Ok(Supervisor::new(Strategy::OneForOne).child(child).serve(ch)?)
}

/// Counts before its node is killed and after that.
#[places::start]
fn follows_a_server_from_node_to_node(ch: Channel<(), u64>) -> places::Result {
    let addresses: Vec<_> = std::env::args().skip(1).collect();
    let _supervisor = keeps_a_counter::spawn_with(Options::new().args(addresses.clone()))?;
    let c = CounterClient::following(addresses, "counter")?;
    c.next()?;
    ch.put(c.next()?)?;
    ch.get()?;
    let first = loop {
        match c.next() {
            Err(CallError::Lost(_)) => {}
            result => break result?,
        }
    };
    ch.put(first)?;
    Ok(())
}
