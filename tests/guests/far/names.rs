//! Names, and places that are left behind, over several nodes.

use super::*;

/// A client of a counter, as the counter sees it.
type Client = Channel<u32, u32>;

/// Adds what its clients put, and answers each time with the sum.
#[places::start]
fn counter(ch: Channel<Client, ()>) -> places::Result {
    let (mut clients, mut sum) = (Vec::<Client>::new(), 0);
    loop {
        let there = clients.iter().map(|client| Either::Right(client.message()));
        match sync(there.chain([Either::Left(ch.message())])) {
            (_, Either::Left(client)) => clients.push(client?),
            (n, Either::Right(Ok(more))) => {
                sum += more;
                clients[n].put(sum)?;
            }
            (n, Either::Right(Err(_))) => drop(clients.swap_remove(n)),
        }
    }
}

fn client(node: &Node, name: &str) -> Result<Channel<u32, u32>, Error> {
    node.lookup(name)
}

/// Adds one at the counter of that name on the node at that address, and says what it was told.
#[places::start]
fn adds_one(ch: Channel<(String, String), u32>) -> places::Result {
    let (address, name) = ch.get()?;
    Ok(ch.put(client(&Node::connect(&address)?, &name)?.put_get(1)?)?)
}

#[places::start]
fn a_name_is_found_from_everywhere(_: Channel) -> places::Result {
    let [a, b] = nodes()?;
    let address = a.address().expect("it is another node");
    counter::at(&a).named("counter").spawn()?;
    let mut sum = 0;
    for node in [&Node::this(), &a, &b] {
        for _ in 0..3 {
            let p = adds_one::at(node).spawn()?;
            sum += 1;
            assert_eq!(p.put_get((address.clone(), "counter".into()))?, sum);
        }
    }
    let clients = (0..100).map(|_| client(&a, "counter")).collect::<Result<Vec<_>, _>>()?;
    for client in &clients {
        sum += 1;
        assert_eq!(client.put_get(1)?, sum);
    }
    // Names are of one node each.
    not_found(client(&b, "counter"), "there is no place named `counter`");
    not_found(client(&Node::this(), "counter"), "there is no place named `counter`");
    Ok(())
}

#[places::start]
fn a_name_is_given_once_and_freed(_: Channel) -> places::Result {
    let [a] = nodes()?;
    for _ in 0..10 {
        let first = counter::at(&a).named("counter").spawn()?;
        let second = counter::at(&a).named("counter").spawn();
        let expected = format!("the name `counter` is taken by place {}", first.id());
        assert!(matches!(&second, Err(Error::Exists(text)) if *text == expected), "{second:?}");
        let client = client(&a, "counter")?;
        assert_eq!(client.put_get(5)?, 5);
        first.kill();
        assert_eq!(client.get(), Err(Error::Closed));
        not_found(counter_client(&a), "there is no place named `counter`");
    }
    for name in ["", "a\nb", &"x".repeat(256)] {
        let refused = counter::at(&a).named(name).spawn();
        assert!(matches!(&refused, Err(Error::Invalid(text)) if text.contains("is no name")), "{refused:?}");
    }
    Ok(())
}

fn counter_client(node: &Node) -> Result<Channel<u32, u32>, Error> {
    client(node, "counter")
}

/// Starts a detached counter named `left` and one that is not, named `taken`, on the node of the argument; says so, and waits for the
/// end of its input.
#[places::start]
fn leaves_one_of_two(ch: Channel<(), ()>) -> places::Result {
    let [a] = nodes()?;
    let _left = counter::at(&a).named("left").detached().spawn()?;
    let _taken = counter::at(&a).named("taken").spawn()?;
    client(&a, "left")?.put_get(1)?;
    ch.put(())?;
    match ch.get() {
        Err(Error::Closed) => Ok(()),
        other => panic!("{other:?}"),
    }
}

/// Says how far the counter named `left` has come.
#[places::start]
fn finds_what_was_left(ch: Channel<(), u32>) -> places::Result {
    let [a] = nodes()?;
    Ok(ch.put(client(&a, "left")?.put_get(1)?)?)
}

/// Starts, on the node at this address, what [`leaves_one_of_two`] does, and waits for ever.
#[places::start]
fn starts_two(ch: Channel<String, ()>) -> places::Result {
    let b = Node::connect(&ch.get()?)?;
    let _left = counter::at(&b).named("left").detached().spawn()?;
    let taken = counter::at(&b).named("taken").spawn()?;
    ch.put(())?;
    taken.wait();
    Ok(())
}

/// Lets a place on the first node start two on the second; says so, and waits for the end of its input.
#[places::start]
fn starts_some_from_another_node(ch: Channel<(), ()>) -> places::Result {
    let [a, b] = nodes()?;
    let p = starts_two::at(&a).spawn()?;
    p.put(b.address().expect("it is another node"))?;
    p.get()?;
    ch.put(())?;
    match ch.get() {
        Err(Error::Closed) => Ok(()),
        other => panic!("{other:?}"),
    }
}

/// Knows a counter named `left` on the node of the argument by every way there is, and says so. It says when that node is lost; and
/// when it hears that another life of the node is there, it tries each way again, and then comes anew.
#[places::start]
fn knows_a_former_life(ch: Channel<String, String>) -> places::Result {
    let [node] = nodes()?;
    let place = counter::at(&node).named("left").spawn()?;
    let old = client(&node, "left")?;
    assert_eq!(old.put_get(1)?, 1);
    ch.put("it knows")?;
    // What is put after the end of that life is under way when the next one is there already.
    assert_eq!((0..).find_map(|_| old.put(1).err()), Some(Error::NodeLost));
    ch.put("it is lost")?;
    ch.get()?;

    let lost = || {
        assert_eq!(old.put(1), Err(Error::NodeLost));
        assert_eq!(place.wait(), ExitReason::NodeLost);
        assert_eq!(client(&node, "left").err(), Some(Error::NodeLost));
        assert_eq!(counter::at(&node).spawn().err(), Some(Error::NodeLost));
        not_found(monitor(place.id()), "that life of it is over");
        place.kill();
    };
    lost();
    let [next] = nodes()?;
    assert_ne!(next.id(), node.id());
    lost();
    let new = client(&next, "left")?;
    Ok(ch.put(format!("it counts {}", new.put_get(1)?))?)
}
