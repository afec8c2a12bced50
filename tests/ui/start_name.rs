//! A start function's name is that of an export.

use places::Channel;

#[places::start]
fn worker_1(_: Channel) {}

#[places::start]
fn HelloWorld(_: Channel) {}

#[places::start]
fn _hidden(_: Channel) {}

#[places::start]
fn two__words(_: Channel) {}

#[places::start]
fn grüße(_: Channel) {}

fn main() {}
