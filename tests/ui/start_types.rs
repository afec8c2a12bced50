//! What a start function takes is a channel, and what it returns an outcome.

use places::Channel;

#[places::start]
fn takes_text(_: String) {}

#[places::start]
fn answers(_: Channel) -> String {
    "Hello".into()
}

#[places::start]
fn answers_result(_: Channel) -> Result<u32, places::Error> {
    Ok(7)
}

struct Opaque;

#[places::start]
fn fails_silently(_: Channel) -> Result<(), Opaque> {
    Err(Opaque)
}

fn main() {}
