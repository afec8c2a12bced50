//! A server of the slides: a table that any number of clients set and get numbers in, and a cast.
//!
//! It runs on this node, or on the one whose address is the first argument.

use std::collections::HashMap;

use places::{Channel, Node};

/// Its state: the struct.
#[derive(Default)]
struct TupleServer {
    table: HashMap<String, i64>,
}

#[places_rpc::server]
impl TupleServer {
    fn set(&mut self, k: String, v: i64) -> i64 {
        self.table.insert(k, v);
        v
    }

    fn get(&self, k: &str) -> Option<i64> {
        self.table.get(k).copied()
    }

    #[cast]
    fn hello(&self) {
        println!("Hello from a cast");
    }
}

#[places::start]
fn main(_: Channel) -> places::Result {
    let node = match std::env::args().nth(1) {
        Some(address) => Node::connect(&address)?,
        None => Node::this(),
    };
    tuple_server::at(&node).named("tuple-server").spawn()?;

    let c = TupleServerClient::connect(&node, "tuple-server")?;
    c.hello()?;
    println!("{}", c.set("user0", 100)?);
    println!("{}", c.get("user0")?.ok_or("nobody set it")?);
    Ok(())
}
