//! A message around a ring of places, which ends of channels in messages wire up. How many: the first argument, or 1,000.

use places::Channel;

/// Where a place of the ring reads and where it writes.
type Wires = (Channel<u64, ()>, Channel<(), u64>);

#[places::start]
fn pass_on(ch: Channel<Wires, ()>) -> places::Result {
    let (from, to) = ch.get()?;
    for message in from.iter() {
        to.put(message? + 1)?;
    }
    Ok(())
}

#[places::start]
fn main(_: Channel) -> places::Result {
    let n: u64 = std::env::args().nth(1).map_or(Ok(1_000), |n| n.parse())?;
    let (first, mut last) = Channel::pair()?;
    for _ in 0..n {
        let (to, from) = Channel::pair()?;
        pass_on::spawn()?.put((last, to))?;
        last = from;
    }
    for round in 1..=3 {
        first.put(0)?;
        println!("round {round}: {} places passed it on", last.get()?);
    }
    Ok(())
}
