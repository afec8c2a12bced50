//! Ending a place on another node that never stops by itself.
//!
//! The argument is the node's address; without it, the place is on this node.

use places::{Channel, Node, monitor};

/// Computes for ever.
#[places::start]
fn spins(ch: Channel<(), String>) -> places::Result {
    ch.put("I compute")?;
    let mut n = 0_u64;
    loop {
        n = std::hint::black_box(n.wrapping_mul(5).wrapping_add(1));
    }
}

#[places::start]
fn main(_: Channel) -> places::Result {
    let node = match std::env::args().nth(1) {
        Some(address) => Node::connect(&address)?,
        None => Node::this(),
    };
    let p = spins::at(&node).spawn()?;
    println!("it says: {}", p.get()?);
    let watched = monitor(p.id())?;
    p.kill();
    println!("it {}", p.wait());
    println!("who watches is told the same: it {}", watched.wait());
    if let Err(error) = p.get() {
        println!("its channel: {error}");
    }
    Ok(())
}
