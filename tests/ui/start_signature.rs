//! A start function is a plain one: the host calls it by its name.

use places::Channel;

#[places::start]
async fn waits(_: Channel) {}

#[places::start]
unsafe fn dares(_: Channel) {}

#[places::start]
fn anything<T>(_: Channel<T, T>) {}

#[places::start]
fn borrows<'a>(_: Channel<&'a str, &'a str>) {}

#[places::start]
extern "C" fn foreign(_: Channel) {}

#[places::start]
const fn early(_: Channel) {}

fn main() {}
