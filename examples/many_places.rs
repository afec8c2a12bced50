//! Many places at once, each with a message to answer. How many: the first argument, or 10,000.

use places::{Channel, Error};

#[places::start]
fn square(ch: Channel<u64, u64>) -> places::Result {
    let n = ch.get()?;
    Ok(ch.put(n * n)?)
}

#[places::start]
fn main(_: Channel) -> places::Result {
    let n = std::env::args().nth(1).map_or(Ok(10_000), |n| n.parse())?;
    // All of them are there before the first one is asked.
    let all = (0..n).map(|_| square::spawn()).collect::<Result<Vec<_>, Error>>()?;
    for (n, p) in (0..).zip(&all) {
        p.put(n)?;
    }
    let answered = (0..).zip(&all).filter(|(n, p)| p.get() == Ok(n * n)).count();
    println!("{answered} places answered");
    Ok(())
}
