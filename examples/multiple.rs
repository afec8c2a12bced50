//! Several nodes at work: three with a worker each, one with a bank, and one whose place ends again and again and is started again.
//!
//! The arguments are the addresses of those five nodes; what has none is on this node.

use std::time::Duration;

use places::{Channel, Either, Error, Node, Place, after, exit, sync};
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize)]
enum Request {
    Add(u32),
    Balance,
}

/// One account, for any number of clients. Each request is answered with what is there.
#[places::start]
fn bank(ch: Channel<Channel<Request, u32>, ()>) -> places::Result {
    let (mut clients, mut balance) = (Vec::<Channel<Request, u32>>::new(), 0);
    loop {
        let there = clients.iter().map(|client| Either::Right(client.message()));
        match sync(there.chain([Either::Left(ch.message())])) {
            (_, Either::Left(client)) => clients.push(client?),
            (n, Either::Right(Ok(Request::Add(more)))) => {
                balance += more;
                clients[n].put(balance)?;
            }
            (n, Either::Right(Ok(Request::Balance))) => clients[n].put(balance)?,
            (n, Either::Right(Err(_))) => drop(clients.swap_remove(n)),
        }
    }
}

/// What a worker is sent: a channel to the bank, and how much to bring there at each turn.
type Job = (Channel<u32, Request>, u32);

/// Works three times, with a pause before each.
#[places::start]
fn worker(ch: Channel<Job, ()>) -> places::Result {
    let (bank, wage) = ch.get()?;
    for _ in 0..3 {
        sync! { _ = after(Duration::from_millis(20)) => {} }
        bank.put_get(Request::Add(wage))?;
    }
    Ok(())
}

/// Does not last.
#[places::start]
fn restless(_: Channel<(), ()>) {
    sync! { _ = after(Duration::from_millis(10)) => {} }
    exit(1)
}

/// How often the restless place is started.
const LIVES: u32 = 4;

#[places::start]
fn main(_: Channel) -> places::Result {
    let mut addresses = std::env::args().skip(1);
    let mut node = || addresses.next().map_or_else(|| Ok(Node::this()), |address| Node::connect(&address));
    let workers = [node()?, node()?, node()?];
    let (safe, other) = (node()?, node()?);

    bank::at(&safe).named("bank").spawn()?;
    let mut working: Vec<Place<(), Job>> = Vec::new();
    for (node, wage) in workers.iter().zip([10, 20, 30]) {
        let worker = worker::at(node).spawn()?;
        worker.put((safe.lookup("bank")?, wage))?;
        working.push(worker);
    }
    let (mut lasting, mut lives) = (restless::at(&other).spawn()?, 1);

    while !working.is_empty() || lives < LIVES {
        let workers = working.iter().map(|worker| Either::Left(worker.exited()));
        match sync(workers.chain((lives < LIVES).then(|| Either::Right(lasting.exited())))) {
            (n, Either::Left(why)) => {
                assert!(why.is_success(), "a worker {why}");
                working.swap_remove(n);
            }
            (_, Either::Right(_)) => {
                lasting = restless::at(&other).spawn()?;
                lives += 1;
            }
        }
    }
    println!("the workers are done, and the bank has {}", balance(&safe)?);
    println!("the restless place was started {lives} times; at last it {}", lasting.wait());
    Ok(())
}

fn balance(node: &Node) -> Result<u32, Error> {
    let bank: Channel<u32, Request> = node.lookup("bank")?;
    bank.put_get(Request::Balance)
}
