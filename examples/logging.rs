//! What a server elsewhere logs is read here: the table of numbers, which logs each request.
//!
//! It is kept on the node whose address is the first argument, or on this one. `placehost run -v` shows the log.

use std::collections::HashMap;

use places::{Channel, Node, Router, log};
use serde::{Deserialize, Serialize};

#[derive(Debug, Serialize, Deserialize)]
enum Request {
    Set(String, u32),
    Get(String),
}

/// Serves a table of numbers to one client.
#[places::start]
fn table(ch: Channel<Request, Option<u32>>) -> places::Result {
    log!(Debug, "it begins");
    let mut numbers = HashMap::new();
    for request in ch.iter() {
        let request = request?;
        log!(Info, "{request:?}");
        ch.put(match request {
            Request::Set(key, number) => {
                numbers.insert(key, number);
                Some(number)
            }
            Request::Get(key) => {
                let number = numbers.get(&key).copied();
                if number.is_none() {
                    log!(Warn, "there is no `{key}`");
                }
                number
            }
        })?;
    }
    Ok(())
}

#[places::start]
fn main(_: Channel) -> places::Result {
    let node = std::env::args().nth(1).map_or_else(|| Ok(Node::this()), |address| Node::connect(&address))?;
    let table = table::at(&node).log_to_parent().spawn()?;
    Router::<()>::run(|router| {
        router.spawn(async {
            println!("{:?}", table.put_get_async(Request::Set("user0".into(), 100)).await?);
            println!("{:?}", table.put_get_async(Request::Get("user0".into())).await?);
            println!("{:?}", table.put_get_async(Request::Get("user1".into())).await?);
            table.close();
            println!("the table {}", table.exited().await);
            Ok(())
        });
    })?;
    Ok(())
}
