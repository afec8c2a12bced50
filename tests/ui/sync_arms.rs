//! An arm of `sync!` is `pattern = event => what to do`.

use places::{Channel, sync};

fn no_arms() {
    sync! {}
}

fn no_equals_sign(ch: &Channel) {
    sync! {
        ch.get() => (),
    }
}

fn no_pattern(ch: &Channel) {
    sync! {
        reply ch.get() => (),
    }
}

fn event_alone() {
    sync! {
        places::after(std::time::Duration::from_secs(1)) => (),
    }
}

fn no_body(ch: &Channel) {
    sync! {
        reply = ch.get(),
    }
}

fn no_comma(a: &Channel, b: &Channel) {
    sync! {
        _ = a.get() => drop(1)
        _ = b.get() => drop(2)
    }
}

fn like_tokio(ch: &Channel) {
    sync! {
        Ok(reply) = ch.get(), if true => drop(reply),
    }
}

fn main() {}
