//! A node that another one launches, mostly by ssh: its standard streams are the line to who did.
//!
//! One line comes in, with the certificate to prove oneself by; one goes out, with where the node listens. From then on the end of
//! standard input is the end of the node: its creator is gone, or wants it to be.

use std::io::{self, BufRead, Read};
use std::thread;

use placehost::net::trust::bundle::{Bundle, MAX_LINE};
use placehost::net::trust::identity::Identity;
use placehost::{Host, Ready};
use tokio::sync::oneshot;

use crate::cli::error::CliError;
use crate::cli::exit_code::ExitCode;
use crate::cli::{network, terminal};

/// Whoever launched this node.
#[derive(Debug)]
pub(super) struct Creator(oneshot::Receiver<()>);

impl Creator {
    /// Waits until it is gone.
    pub(super) async fn gone(self) {
        // An error is the end of the thread that reads, which ends with standard input.
        let _ = self.0.await;
    }
}

/// Reads who to be, and listens from then on for the end of standard input.
pub(super) fn receive() -> Result<(Identity, Creator), CliError> {
    let cannot = |message| CliError::new(ExitCode::FAILED, message);
    let mut line = String::new();
    let read = io::stdin().lock().take(MAX_LINE as u64 + 1).read_line(&mut line);
    read.map_err(|error| cannot("cannot read standard input").because(&error))?;
    let bundle: Bundle = line.trim_end().parse().map_err(|error| {
        cannot("standard input did not say who to be").because(&error).hint("compare `placehost --version` on both machines")
    })?;
    let identity = Identity::from_bundle(bundle).map_err(|error| network::explain(&error))?;
    let (sender, gone) = oneshot::channel();
    let wait = move || {
        // There is nothing more to read. However the reading ends, nobody is at the other side.
        let _ = io::copy(&mut io::stdin().lock(), &mut io::sink());
        let _ = sender.send(());
    };
    let thread = thread::Builder::new().name("creator".into()).spawn(wait);
    thread.map_err(|error| cannot("cannot start a thread to read standard input").because(&error))?;
    Ok((identity, Creator(gone)))
}

/// Says where the node listens.
pub(super) fn answer(host: &Host, addresses: Vec<String>) -> Result<(), CliError> {
    let port = host.local_address().map_or(0, |address| address.port());
    terminal::answer(&serde_json::to_string(&Ready { port, addresses }).expect("numbers and strings are JSON"))
}
