//! A place that ends again and again, and is started again at once, for as long as somebody wants that.
//!
//! It runs on the node whose address is the first argument, or here.

use std::time::Duration;

use places::{Channel, Router, after, sync};
use places_supervision::{Child, Report, Strategy, Supervisor};

/// Does not last.
#[places::start]
fn short_lived(_: Channel) {
    sync! { _ = after(Duration::from_millis(50)) => {} }
}

#[places::start]
fn main(_: Channel) -> places::Result {
    let mut lives = 0;
    let child = Child::new("short-lived", short_lived::NAME).on(std::env::args().skip(1));
    let supervisor =
        Supervisor::new(Strategy::OneForOne).intensity(1000, Duration::from_secs(1)).child(child).on_report(|report| match report {
            Report::Started { .. } => lives += 1,
            Report::Ended { reason, .. } if lives == 1 => println!("it {reason}, and is started again"),
            _ => {}
        });
    let handle = supervisor.handle();
    Router::<()>::run(|router| {
        router.after(Duration::from_secs(1), move || handle.stop());
        router.spawn(async { Ok(supervisor.run_async().await?) });
    })?;
    println!("in a second it had many lives: {}", lives > 3);
    Ok(())
}
