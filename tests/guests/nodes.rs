//! What one node does alone: names, places that are detached, links, monitors. Each claim is a start function that panics where it is
//! wrong; `tests/nodes.rs` runs them.

use std::time::Duration;

use places::{Channel, Either, Error, ExitReason, Grants, Node, NodeId, Options, Place, PlaceId, after, exit, monitor, sync};
use test_guests::denied;

/// Never reached where the right event comes.
const NEVER: Duration = Duration::from_secs(3600);

/// A client of a counter, as the counter sees it.
type Client = Channel<u32, u32>;

/// Adds what its clients put, and answers each time with the sum; any number of clients, until all that could bring one are gone.
#[places::start]
fn counter(ch: Channel<Client, ()>) -> places::Result {
    let (mut clients, mut sum) = (Vec::<Client>::new(), 0);
    loop {
        let there = clients.iter().map(|client| Either::Right(client.message()));
        match places::sync(there.chain([Either::Left(ch.message())])) {
            (_, Either::Left(Err(Error::Closed))) => return Ok(()),
            (_, Either::Left(client)) => clients.push(client?),
            (n, Either::Right(Ok(more))) => {
                sum += more;
                clients[n].put(sum)?;
            }
            (n, Either::Right(Err(_))) => drop(clients.swap_remove(n)),
        }
    }
}

/// Waits for a message that never comes.
#[places::start]
fn waits(ch: Channel<(), ()>) -> places::Result {
    Ok(ch.get()?)
}

/// Waits for something else, and does not read its channel.
#[places::start]
fn reads_nothing(_ch: Channel<(), ()>) {
    sync! { _ = after(NEVER) => {} }
}

/// Ends with the code that it is told.
#[places::start]
fn exits(ch: Channel<u8, ()>) -> places::Result {
    exit(ch.get()?)
}

/// Starts a detached place of this name, tells its id, and ends.
#[places::start]
fn leaves_one_behind(ch: Channel<String, PlaceId>) -> places::Result {
    let place = counter::named(ch.get()?).detached().spawn()?;
    Ok(ch.put(place.id())?)
}

/// Starts a detached place that would wait for ever, and waits for ever.
#[places::start]
fn leaves_one_that_waits(ch: Channel<(), PlaceId>) -> places::Result {
    let place = reads_nothing::spawn_with(Options::new().detached())?;
    ch.put(place.id())?;
    sync! { _ = after(NEVER) => {} }
    Ok(())
}

/// Links itself with a place that ends with the code that it is told.
#[places::start]
fn is_linked(ch: Channel<u8, PlaceId>) -> places::Result {
    let place = exits::spawn_with(Options::new().link())?;
    ch.put(place.id())?;
    place.put(ch.get()?)?;
    place.wait();
    // What follows the end of the other place is this one's own end, if it went wrong.
    Ok(ch.typed::<(), ()>().get()?)
}

/// Starts a detached place linked with it, tells its id, and ends with the code that it is told.
#[places::start]
fn takes_one_with_it(ch: Channel<u8, PlaceId>) -> places::Result {
    let place = reads_nothing::spawn_with(Options::new().detached().link())?;
    ch.put(place.id())?;
    exit(ch.get()?)
}

/// Gets an end of itself to watch, and says how that ended.
#[places::start]
fn watches(ch: Channel<PlaceId, String>) -> places::Result {
    let watched = monitor(ch.get()?)?;
    ch.put("watching")?;
    sync! {
        why = watched.ended() => ch.put(why.to_string())?,
        _ = after(NEVER) => panic!("the timer fired"),
    }
    assert_eq!(watched.wait().to_string(), watched.wait().to_string());
    Ok(())
}

fn client(name: &str) -> Result<Channel<u32, u32>, Error> {
    Node::this().lookup(name)
}

fn not_found<T: std::fmt::Debug>(result: Result<T, Error>, part: &str) {
    assert!(matches!(&result, Err(Error::NotFound(text)) if text.contains(part)), "{result:?}");
}

#[places::start]
fn each_client_of_a_named_place_has_a_channel_of_its_own(_: Channel) -> places::Result {
    counter::named("counter").spawn()?;
    let (one, two) = (client("counter")?, client("counter")?);
    assert_eq!((one.put_get(1)?, two.put_get(2)?, one.put_get(3)?), (1, 3, 6));
    drop(one);
    assert_eq!(two.put_get(4)?, 10);
    Ok(())
}

#[places::start]
fn many_clients_of_a_named_place_are_waited_for_at_once(_: Channel) -> places::Result {
    counter::named("counter").spawn()?;
    let clients = (0..100).map(|_| client("counter")).collect::<Result<Vec<_>, _>>()?;
    for client in &clients {
        client.put(1)?;
    }
    let mut answers = clients.iter().map(Channel::get).collect::<Result<Vec<_>, _>>()?;
    answers.sort_unstable();
    assert!(answers.into_iter().eq(1..=100));
    Ok(())
}

#[places::start]
fn a_name_is_not_given_twice(_: Channel) -> places::Result {
    let first = counter::named("counter").spawn()?;
    let second = counter::named("counter").spawn();
    let expected = format!("the name `counter` is taken by place {}", first.id());
    assert!(matches!(&second, Err(Error::Exists(text)) if *text == expected), "{second:?}");
    // Who was refused has left nothing behind, and other names are free.
    assert_eq!(client("counter")?.put_get(5)?, 5);
    counter::named("another").spawn()?;
    Ok(())
}

#[places::start]
fn a_name_is_free_once_its_place_has_ended(_: Channel) -> places::Result {
    for _ in 0..100 {
        let p = exits::named("exits").spawn()?;
        p.put(3)?;
        assert_eq!(p.wait(), ExitReason::Exited(3));
        let p = waits::named("exits").spawn()?;
        p.kill();
        not_found(client("exits"), "there is no place named `exits`");
    }
    Ok(())
}

#[places::start]
fn whoever_waits_for_a_place_that_ends_is_told(_: Channel) -> places::Result {
    let p = reads_nothing::named("deaf").spawn()?;
    let clients = (0..10).map(|_| client("deaf")).collect::<Result<Vec<_>, _>>()?;
    // Its mailbox has room still: these are put, and nobody reads them.
    clients.iter().try_for_each(|client| client.put(1))?;
    p.kill();
    for client in &clients {
        assert_eq!(client.get(), Err(Error::Closed));
    }
    // The successor of that name hears nothing of them.
    counter::named("deaf").spawn()?;
    assert_eq!(client("deaf")?.put_get(7)?, 7);
    Ok(())
}

#[places::start]
fn what_is_no_name_is_refused(_: Channel) -> places::Result {
    for name in ["", "a\nb", "a\0", &"x".repeat(256)] {
        let refused = counter::named(name).spawn();
        assert!(matches!(&refused, Err(Error::Invalid(text)) if text.contains("is no name")), "{refused:?}");
    }
    let long = "ß".repeat(127);
    counter::named(long.clone()).spawn()?;
    assert_eq!(client(&long)?.put_get(1)?, 1);
    Ok(())
}

#[places::start]
fn a_named_place_stays_open_without_its_parents_end(_: Channel) -> places::Result {
    // The same place without a name has nobody left to hear from.
    let nameless = counter::spawn()?;
    let watched = monitor(nameless.id())?;
    drop(nameless);
    assert_eq!(watched.wait(), ExitReason::Returned);
    drop(counter::named("counter").spawn()?);
    for n in 1..=10 {
        assert_eq!(client("counter")?.put_get(1)?, n);
    }
    Ok(())
}

#[places::start]
fn a_place_that_does_not_read_takes_no_more_clients_than_fit(_: Channel) -> places::Result {
    let p = reads_nothing::named("deaf").capacity(2).spawn()?;
    let clients = [client("deaf")?, client("deaf")?];
    let third = client("deaf");
    assert!(matches!(&third, Err(Error::Limit(text)) if text.contains("`deaf` has too many unread")), "{third:?}");
    drop((p, clients));
    Ok(())
}

#[places::start]
fn a_detached_place_outlives_who_started_it(_: Channel) -> places::Result {
    let p = leaves_one_behind::spawn()?;
    p.put("left")?;
    let id = p.get()?;
    assert_eq!(p.wait(), ExitReason::Returned);
    assert_eq!((client("left")?.put_get(1)?, client("left")?.put_get(1)?), (1, 2));
    monitor(id)?;
    // Not so one that is merely named.
    let p = leaves_a_child::spawn()?;
    let watched = monitor(p.get()?)?;
    p.put(())?;
    assert_eq!(watched.wait(), ExitReason::Killed);
    not_found(client("child"), "`child`");
    Ok(())
}

/// Starts a named place, tells its id, and ends when it is told.
#[places::start]
fn leaves_a_child(ch: Channel<(), PlaceId>) -> places::Result {
    let place = counter::named("child").spawn()?;
    ch.put(place.id())?;
    Ok(ch.get()?)
}

#[places::start]
fn nobody_escapes_a_deadline_by_detaching(_: Channel) -> places::Result {
    let over = |why: ExitReason| assert!(matches!(&why, ExitReason::Limit(which) if which.contains("deadline")), "{why}");
    let p = leaves_one_that_waits::spawn_with(Options::new().deadline(Duration::from_secs(1)))?;
    // On a slow machine it may have ended already, which only the deadline can have done.
    match monitor(p.get()?) {
        Ok(left) => over(left.wait()),
        left => not_found(left, "it has ended"),
    }
    over(p.wait());
    Ok(())
}

#[places::start]
fn a_place_dies_of_one_that_it_is_linked_with(_: Channel) -> places::Result {
    let p = is_linked::spawn()?;
    let child = p.get()?;
    p.put(7)?;
    let expected = format!("a place that it is linked to ended: {child} exited with code 7");
    assert_eq!(p.wait(), ExitReason::Linked(expected.clone()));
    assert_eq!(p.wait().to_string(), format!("ended because {expected}"));
    assert!(!p.wait().is_success());
    // A good end hurts nobody.
    let p = is_linked::spawn()?;
    p.get()?;
    p.put(0)?;
    p.typed::<(), ()>().put(())?;
    Ok(())
}

#[places::start]
fn a_link_holds_in_both_directions(_: Channel) -> places::Result {
    for (code, dies) in [(1, true), (0, false)] {
        let p = takes_one_with_it::spawn()?;
        let other = p.get()?;
        let watched = monitor(other)?;
        p.put(code)?;
        assert_eq!(p.wait(), ExitReason::Exited(code));
        if dies {
            let expected = format!("a place that it is linked to ended: {} exited with code 1", p.id());
            assert_eq!(watched.wait(), ExitReason::Linked(expected));
        } else {
            monitor(other)?;
        }
    }
    Ok(())
}

/// Links itself with a place that has gone wrong already.
#[places::start]
fn links_too_late(_: Channel) -> places::Result {
    let p = exits::spawn()?;
    p.put(9)?;
    p.wait();
    p.link();
    sync! { _ = after(NEVER) => {} }
    Ok(())
}

/// Undoes its link in time, twice: once with one that it was made with at the start.
#[places::start]
fn unlinks(ch: Channel<(), String>) -> places::Result {
    for options in [Options::new(), Options::new().link()] {
        let p = exits::spawn_with(options)?;
        p.link();
        p.unlink();
        p.put(9)?;
        p.wait();
    }
    Ok(ch.put("alive")?)
}

#[places::start]
fn a_link_with_one_that_went_wrong_fires_at_once(_: Channel) -> places::Result {
    let why = links_too_late::spawn()?.wait();
    assert!(matches!(&why, ExitReason::Linked(which) if which.ends_with("exited with code 9")), "{why}");
    Ok(())
}

#[places::start]
fn a_link_is_undone(_: Channel) -> places::Result {
    let p = unlinks::spawn()?.typed::<String, ()>();
    assert_eq!(p.get()?, "alive");
    assert_eq!(p.wait(), ExitReason::Returned);
    Ok(())
}

/// A link of a chain: each is linked with the next one; the last one goes wrong.
#[places::start]
fn chain(ch: Channel<u32, ()>) -> places::Result {
    match ch.get()? {
        0 => exit(4),
        more => {
            let next = chain::spawn_with(Options::new().link())?;
            next.put(more - 1)?;
            next.wait();
            sync! { _ = after(NEVER) => {} }
            Ok(())
        }
    }
}

#[places::start]
fn a_chain_of_links_ends_for_its_first_cause(_: Channel) -> places::Result {
    let first = chain::spawn()?;
    first.put(200)?;
    let why = first.wait();
    // It names one place and one reason, however long the chain was.
    assert!(matches!(&why, ExitReason::Linked(which) if which.ends_with(" exited with code 4") && which.len() < 100), "{why}");
    Ok(())
}

#[places::start]
fn a_place_is_watched_by_its_id(_: Channel) -> places::Result {
    let p = exits::spawn()?;
    let watchers = (0..3).map(|_| watches::spawn()).collect::<Result<Vec<_>, _>>()?;
    for watcher in &watchers {
        assert_eq!(watcher.put_get(p.id())?, "watching");
    }
    p.put(6)?;
    for watcher in &watchers {
        assert_eq!(watcher.get()?, "exited with code 6");
        assert_eq!(watcher.wait(), ExitReason::Returned);
    }
    Ok(())
}

#[places::start]
fn who_does_not_live_is_not_watched(_: Channel) -> places::Result {
    let p = exits::spawn()?;
    p.put(0)?;
    p.wait();
    not_found(monitor(p.id()), &format!("there is no place {}: it has ended", p.id()));
    let PlaceId { node, seq } = places::this();
    not_found(monitor(PlaceId { node, seq: u64::MAX }), "there is no place");
    not_found(monitor(PlaceId { node: NodeId(!node.0), seq }), "that life of it is over");
    Ok(())
}

#[places::start]
fn this_node_is_a_node_like_any_other(_: Channel) -> places::Result {
    let node = Node::this();
    assert_eq!((node.id(), node.address()), (places::this().node, None));
    assert_eq!(node.clone().name(), node.name());
    let p = exits::at(&node).named("exits").spawn()?;
    assert_eq!(p.id().node, node.id());
    p.put(2)?;
    assert_eq!(p.wait(), ExitReason::Exited(2));
    let p: Place = places::spawn(places::Module::This, "counter", Options::new().at(&node).named("c"))?;
    sync! {
        _ = node.lost() => panic!("this node is lost"),
        _ = p.exited() => panic!("it ended"),
        _ = after(Duration::ZERO) => {}
    }
    denied(node.exit(), "not ended from inside");
    Ok(())
}

/// Tries to reach other nodes; says what that is answered with.
#[places::start]
fn reaches_out(ch: Channel<(), Vec<String>>) -> places::Result {
    let answers = [Node::connect("nowhere.invalid:1"), Node::create("nowhere.invalid").ssh_path("/bin/false").launch()];
    Ok(ch.put(answers.into_iter().map(|answer| format!("{:?}", answer.map(drop))).collect::<Vec<_>>())?)
}

#[places::start]
fn other_nodes_are_reached_by_a_grant_alone(_: Channel) -> places::Result {
    denied(Node::connect("nowhere.invalid:1"), "`--allow-nodes`");
    denied(Node::create("nowhere.invalid").launch(), "`--allow-nodes`");
    denied(reaches_out::spawn_with(Options::new().grants(Grants { nodes: true, ..Grants::default() })), "other nodes");
    Ok(())
}

#[places::start]
fn the_grant_of_nodes_is_passed_on_or_kept(_: Channel) -> places::Result {
    let lacks_grant = |answer: &String| answer.contains("--allow-nodes");
    assert!(!reaches_out::spawn()?.get()?.iter().any(lacks_grant));
    let without = reaches_out::spawn_with(Options::new().grants(Grants::default()))?;
    assert!(without.get()?.iter().all(lacks_grant));
    Ok(())
}

/// Starts a detached place that goes wrong.
#[places::start]
fn starts_one_that_goes_wrong(_: Channel) -> places::Result {
    let p = exits::spawn_with(Options::new().detached())?;
    p.put(3)?;
    p.wait();
    Ok(())
}

/// Prints, and starts a detached place that prints.
#[places::start]
fn prints(_: Channel) -> places::Result {
    println!("mine");
    prints_detached::spawn_with(Options::new().detached())?.wait();
    Ok(())
}

#[places::start]
fn prints_detached(_: Channel) {
    println!("detached");
}
