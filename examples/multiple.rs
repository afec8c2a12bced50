//! Several nodes at work under supervision: three with a worker each, one with a bank, and one whose place ends again and again.
//!
//! The arguments are the addresses of those five nodes; what has none is on this node.

use std::time::Duration;

use places::{Channel, Either, Error, Node, after, exit, sync};
use places_supervision::{Child, Restart, Strategy, Supervisor, restart_every};
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

#[places::start]
fn main(_: Channel) -> places::Result {
    let mut addresses = std::env::args().skip(1);
    let mut node = || addresses.next().map_or_else(|| Ok(Node::this()), |address| Node::connect(&address));
    let workers = [node()?, node()?, node()?];
    let (safe, other) = (node()?, node()?);

    bank::at(&safe).named("bank").spawn()?;
    let mut given_up = false;
    let supervisor = workers.iter().zip([10, 20, 30]).fold(Supervisor::new(Strategy::OneForOne), |supervisor, (node, wage)| {
        let safe = safe.clone();
        let worker = Child::by(format!("worker {wage}"), move |options| {
            let worker = worker::spawn_with(options)?;
            worker.put((safe.lookup("bank")?, wage))?;
            Ok(worker)
        });
        // One that is done is; one that goes wrong is started again.
        supervisor.child(worker.on([node]).restart(Restart::Transient))
    });
    let restless = Child::new("restless", restless::NAME).on([&other]);
    let restless = restless.restart(restart_every(Duration::from_millis(20)).retry(3)).on_final_fail(|| given_up = true);
    supervisor.child(restless).run()?;
    println!("the workers are done, and the bank has {}", balance(&safe)?);
    println!("the restless place was started again 3 times, and is given up: {given_up}");
    Ok(())
}

fn balance(node: &Node) -> Result<u32, Error> {
    let bank: Channel<u32, Request> = node.lookup("bank")?;
    bank.put_get(Request::Balance)
}
