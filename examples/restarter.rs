//! A place that ends again and again, started again at most once in so much time, and three times in all.
//!
//! It runs on the node whose address is the first argument, or here.

use std::time::Duration;

use places::Channel;
use places_supervision::{Child, Strategy, Supervisor, restart_every};

#[places::start]
fn short_lived(_: Channel) {
    println!("it runs");
}

#[places::start]
fn main(_: Channel) -> places::Result {
    let child = Child::new("short-lived", short_lived::NAME)
        .on(std::env::args().skip(1))
        .restart(restart_every(Duration::from_millis(200)).retry(3))
        .on_final_fail(|| println!("it was started again 3 times, and is no more"));
    Ok(Supervisor::new(Strategy::OneForOne).child(child).run()?)
}
