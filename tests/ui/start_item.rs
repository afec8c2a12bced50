//! The attribute stands alone, on a function.

use places::Channel;

#[places::start(name = "hello")]
fn hello(_: Channel) {}

#[places::start]
struct Greeter;

#[places::start]
mod greeters {}

trait Greets {
    #[places::start]
    fn greet(_: Channel);
}

fn main() {}
