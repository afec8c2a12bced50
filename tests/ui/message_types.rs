//! A channel takes what it is declared to take, and only what serde knows.

use std::time::Instant;

use places::Channel;

#[places::start]
fn greeter(ch: Channel<String, String>) -> places::Result {
    ch.put(7)?;
    ch.put(b"Hello")?;
    Ok(())
}

#[places::start]
fn parent(_: Channel) -> places::Result {
    let place = greeter::spawn()?;
    place.put(Some("Hello"))?;
    let number: u32 = place.get()?;
    drop(number);
    Ok(())
}

struct NoSerde;

fn not_serializable(ch: &Channel<String, NoSerde>) {
    let _ = ch.put(NoSerde);
}

fn not_deserializable(ch: &Channel<Instant, String>) {
    let _ = ch.get();
}

fn main() {}
