//! The slides' second program: the first one with one more argument, on another machine.
//!
//! The argument is a machine's name, and a node is launched there by ssh, or the `HOST:PORT` of a node that runs. A second argument is
//! the port for a node that is launched.

use places::{Channel, Error, Node};

#[places::start]
fn hello_world(ch: Channel<String, String>) -> places::Result {
    println!("hello-world received: {}", ch.get()?);
    ch.put("Hello World")?;
    println!("hello-world sent: Hello World");
    Ok(())
}

fn node(machine: &str, port: Option<String>) -> Result<Node, Error> {
    match machine.contains(':') {
        true => Node::connect(machine),
        false => Node::create(machine).listen_port(port.and_then(|port| port.parse().ok()).unwrap_or(6344)).launch(),
    }
}

#[places::start]
fn main(_: Channel) -> places::Result {
    let mut args = std::env::args().skip(1);
    let machine = args.next().unwrap_or_else(|| "localhost".into());
    let node = node(&machine, args.next())?;
    let p = hello_world::at(&node).spawn()?;
    p.put("Hello")?;
    println!("main received: {}", p.get()?);
    p.wait();
    Ok(())
}
