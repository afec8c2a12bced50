//! A start function takes one channel, by value.

use places::Channel;

#[places::start]
fn none() {}

#[places::start]
fn two(_: Channel, _: String) {}

#[places::start]
fn by_reference(_: &Channel) {}

struct Greeter;

impl Greeter {
    #[places::start]
    fn method(&self) {}
}

fn main() {}
