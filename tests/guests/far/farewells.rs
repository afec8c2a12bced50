//! What is said in the last instant before a node leaves.

use super::*;

/// Counts the messages of its clients, one client after the other, and tells those how many there were that put an empty one.
#[places::start]
fn tally(ch: Channel<Channel<Bytes, u32>, ()>) -> places::Result {
    let mut count = 0;
    for client in ch.iter() {
        let client = client?;
        while let Ok(Bytes(message)) = client.get() {
            match &message[..] {
                [] => client.put(count)?,
                _ => count += 1,
            }
        }
    }
    Ok(())
}

/// Puts a hundred messages where they are counted, and is gone.
#[places::start]
fn puts_and_leaves(_: Channel) -> places::Result {
    let [a] = nodes()?;
    match tally::at(&a).named("tally").detached().spawn() {
        Ok(_) | Err(Error::Exists(_)) => {}
        Err(error) => return Err(error.into()),
    }
    let client: Channel<u32, Bytes> = a.lookup("tally")?;
    for _ in 0..100 {
        client.put(&[1; 8 << 10])?;
    }
    Ok(())
}

/// Says how many have been counted.
#[places::start]
fn asks_the_tally(ch: Channel<(), u32>) -> places::Result {
    let [a] = nodes()?;
    let client: Channel<u32, Bytes> = a.lookup("tally")?;
    Ok(ch.put(client.put_get(&[])?)?)
}

/// Waits for the end of its input, then prints and puts much, and is gone.
#[places::start]
fn says_much_in_the_end(ch: Channel<(), u32>) -> places::Result {
    while ch.get().is_ok() {}
    for n in 0..5000 {
        println!("line {n}");
        ch.put(n)?;
    }
    Ok(())
}
