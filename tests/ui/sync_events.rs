//! What stands in an arm of `sync!` is an event, and its pattern takes whatever may come.

use std::time::Duration;

use places::{Channel, Place, after, sync};

fn a_value(ch: &Channel) {
    sync! {
        _ = ch.pending() => (),
    }
}

fn a_duration(ch: &Channel) {
    sync! {
        _ = ch.get() => (),
        _ = Duration::from_secs(1) => (),
    }
}

fn a_finished_wait(place: &Place) {
    sync! {
        _ = place.wait() => (),
    }
}

fn a_channel(ch: &Channel) {
    sync! {
        _ = ch => (),
    }
}

fn a_refutable_pattern(ch: &Channel) {
    sync! {
        Ok(reply) = ch.get() => drop(reply),
        _ = after(Duration::from_secs(1)) => (),
    }
}

fn main() {}
