//! The Racket reference's example: two places that answer what they are told.

use places::Channel;

#[places::start]
fn echo(ch: Channel<u32, String>) -> places::Result {
    Ok(ch.put(format!("Hello from place {}", ch.get()?))?)
}

#[places::start]
fn main(_: Channel) -> places::Result {
    let two = [echo::spawn()?, echo::spawn()?];
    for (number, p) in (1..).zip(&two) {
        p.put(number)?;
        println!("{}", p.get()?);
    }
    for p in two {
        println!("it {}", p.wait());
    }
    Ok(())
}
