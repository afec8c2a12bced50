//! A named place: whoever knows its name gets a channel of its own to it, and all share what it keeps.
//!
//! The table is kept on this node, or on the one whose address is the first argument.

use std::collections::HashMap;

use places::{Channel, Either, Error, Node, sync};
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize)]
enum Request {
    Set(String, u32),
    Get(String),
}

/// Serves a table of numbers to any number of clients.
#[places::start]
fn table(ch: Channel<Channel<Request, Option<u32>>, ()>) -> places::Result {
    let mut numbers = HashMap::new();
    let mut clients: Vec<Channel<Request, Option<u32>>> = Vec::new();
    loop {
        let there = clients.iter().map(|client| Either::Right(client.message()));
        match sync(there.chain([Either::Left(ch.message())])) {
            (_, Either::Left(client)) => clients.push(client?),
            (n, Either::Right(Ok(Request::Set(key, number)))) => {
                numbers.insert(key, number);
                clients[n].put(Some(number))?;
            }
            (n, Either::Right(Ok(Request::Get(key)))) => clients[n].put(numbers.get(&key).copied())?,
            (n, Either::Right(Err(_))) => drop(clients.remove(n)),
        }
    }
}

/// A client's end.
struct Table(Channel<Option<u32>, Request>);

impl Table {
    fn set(&self, key: &str, number: u32) -> Result<u32, Error> {
        Ok(self.0.put_get(Request::Set(key.into(), number))?.unwrap_or_default())
    }

    fn get(&self, key: &str) -> Result<u32, Error> {
        Ok(self.0.put_get(Request::Get(key.into()))?.unwrap_or_default())
    }
}

#[places::start]
fn main(_: Channel) -> places::Result {
    let node = match std::env::args().nth(1) {
        Some(address) => Node::connect(&address)?,
        None => Node::this(),
    };
    table::at(&node).named("table").spawn()?;

    let (c, d) = (Table(node.lookup("table")?), Table(node.lookup("table")?));
    println!("{}", c.set("user0", 100)?);
    println!("{}", d.set("user2", 200)?);
    println!("{}", c.get("user0")?);
    println!("{}", d.get("user2")?);
    println!("{}", d.get("user0")?);
    println!("{}", c.get("user2")?);
    Ok(())
}
