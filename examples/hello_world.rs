//! The slides' first program: a place that greets back.

use places::Channel;

#[places::start]
fn hello_world(ch: Channel<String, String>) -> places::Result {
    println!("hello-world received: {}", ch.get()?);
    ch.put("Hello World")?;
    println!("hello-world sent: Hello World");
    Ok(())
}

#[places::start]
fn main(_: Channel) -> places::Result {
    let p = hello_world::spawn()?;
    p.put("Hello")?;
    println!("main received: {}", p.get()?);
    p.wait();
    Ok(())
}
