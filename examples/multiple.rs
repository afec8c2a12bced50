//! Several nodes at work under supervision: three with a worker each, one with a bank, and one whose place ends again and again.
//!
//! The arguments are the addresses of those five nodes; what has none is on this node.

use std::cell::Cell;
use std::time::Duration;

use places::{Channel, Node, Router, after, exit, sync};
use places_supervision::{Child, Restart, Strategy, Supervisor, restart_every};

/// One account, for any number of clients.
#[derive(Default)]
struct Bank(u32);

#[places_rpc::server]
impl Bank {
    fn add(&mut self, more: u32) -> u32 {
        self.0 += more;
        self.0
    }

    fn balance(&self) -> u32 {
        self.0
    }
}

/// Brings its wage to the bank, every 20 ms, three times.
#[places::start]
fn worker(ch: Channel<(Channel, u32), ()>) -> places::Result {
    let (bank, wage) = ch.get()?;
    let (bank, turns) = (BankClient::from(bank), Cell::new(0));
    Router::run(|router| {
        router.every(Duration::from_millis(20), async || {
            bank.add_async(wage)?.await?;
            turns.set(turns.get() + 1);
            if turns.get() == 3 {
                router.stop(());
            }
            Ok(())
        });
    })?;
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
    println!("the workers are done, and the bank has {}", BankClient::connect(&safe, "bank")?.balance()?);
    println!("the restless place was started again 3 times, and is given up: {given_up}");
    Ok(())
}
