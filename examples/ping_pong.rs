//! Round trips between two places, over a channel that a third one made for them. How many: the first argument, or 10,000.

use places::Channel;

#[places::start]
fn ping(ch: Channel<(Channel<u64, u64>, u64), u64>) -> places::Result {
    let (pong, rounds) = ch.get()?;
    let mut ball = 0;
    while ball < rounds {
        ball = pong.put_get(ball)?;
    }
    Ok(ch.put(ball)?)
}

#[places::start]
fn pong(ch: Channel<Channel<u64, u64>, ()>) -> places::Result {
    let ping = ch.get()?;
    for ball in ping.iter() {
        ping.put(ball? + 1)?;
    }
    Ok(())
}

#[places::start]
fn main(_: Channel) -> places::Result {
    let rounds = std::env::args().nth(1).map_or(Ok(10_000), |n| n.parse())?;
    let (one, other) = Channel::pair()?;
    let (ping, pong) = (ping::spawn()?, pong::spawn()?);
    ping.put((one, rounds))?;
    pong.put(other)?;
    println!("{} round trips", ping.get()?);
    println!("pong {}", pong.wait());
    Ok(())
}
