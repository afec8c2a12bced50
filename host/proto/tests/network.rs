//! Many nodes over a network that reorders, loses and cuts, from a seed.
//!
//! `SEED=n cargo test --release -p placehost-proto --test network` runs one seed alone and says what happens;
//! `TIMES=n` runs so many times as many.

#[path = "network/bridge.rs"]
mod bridge;
#[path = "network/host.rs"]
mod host;
#[path = "network/ledger.rs"]
mod ledger;
#[path = "network/mailbox.rs"]
mod mailbox;
#[path = "network/program.rs"]
mod program;
#[path = "network/rng.rs"]
mod rng;
#[path = "network/trial.rs"]
mod trial;
#[path = "network/wire.rs"]
mod wire;

use std::panic::{AssertUnwindSafe, catch_unwind};

use trial::{Faults, Trial};

/// Runs so many seeds, or the one that was asked for.
fn run(faults: Faults, seeds: u64) {
    let asked = |name| std::env::var(name).ok().and_then(|value| value.parse().ok());
    if let Some(seed) = asked("SEED") {
        return Trial::new(seed, faults, true).run();
    }
    for seed in 0..seeds * asked("TIMES").unwrap_or(1) {
        let trial = catch_unwind(AssertUnwindSafe(|| Trial::new(seed, faults, false).run()));
        assert!(trial.is_ok(), "failed with {faults:?}: run it alone with SEED={seed}");
    }
}

#[test]
fn without_losses_all_arrives_and_nobody_forwards() {
    run(Faults::None, 1500);
}

#[test]
fn where_some_cannot_be_dialled_all_arrives() {
    run(Faults::Deaf, 700);
}

#[test]
fn whatever_is_lost_everybody_is_told() {
    run(Faults::All, 2500);
}
