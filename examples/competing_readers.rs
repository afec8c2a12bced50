//! Places that read from one end of a channel: each message goes to exactly one of them.

use places::{Channel, Error};

#[places::start]
fn worker(ch: Channel<Channel<u32, ()>, Vec<u32>>) -> places::Result {
    let jobs = ch.get()?;
    let done = jobs.iter().collect::<Result<Vec<_>, Error>>()?;
    Ok(ch.put(done)?)
}

#[places::start]
fn main(_: Channel) -> places::Result {
    let (work, jobs) = Channel::pair()?;
    let workers = (0..4).map(|_| worker::spawn()).collect::<Result<Vec<_>, Error>>()?;
    for worker in &workers {
        // Put by reference, an end is shared; put by value, it would move.
        worker.put(&jobs)?;
    }
    work.put_many(1..=1000u32)?;
    work.close();

    let mut done = Vec::new();
    for worker in &workers {
        done.extend(worker.get()?);
    }
    done.sort_unstable();
    println!("{} readers did {} jobs", workers.len(), done.len());
    println!("each job once: {}", done.into_iter().eq(1..=1000));
    Ok(())
}
