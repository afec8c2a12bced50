//! A node that is asked something: which one, and by whom.

use std::mem::ManuallyDrop;

use placehost::net::address::Address;
use placehost::{Host, Node};

use super::error::CliError;
use super::exit_code::ExitCode;
use super::{explain, host, network, parse};

/// Which node is asked.
#[derive(Debug, clap::Args)]
pub(crate) struct Ask {
    /// The node, as HOST or HOST:PORT.
    #[arg(long, value_name = "NODE", default_value = "localhost", value_parser = parse::address)]
    pub(crate) at: Address,

    #[command(flatten)]
    network: network::Options,
}

impl Ask {
    /// Connects with the node, does something with it, and leaves.
    ///
    /// # Errors
    /// There is no such node, or it refuses us; or what is done with it fails.
    pub(crate) fn ask<T>(&self, what: impl AsyncFnOnce(&Host, &Node) -> Result<T, CliError>) -> Result<T, CliError> {
        let config = self.network.member()?;
        // Not dropped, as in `run`.
        let workers = ManuallyDrop::new(host::workers()?);
        workers.block_on(async {
            let builder = Host::builder().max_places(1).network(config);
            let host = ManuallyDrop::new(host::build(builder, host::Cache::None)?);
            let node = host.connect(&self.at.to_string()).await;
            let node = node.map_err(|error| explain::node(ExitCode::FAILED, &self.at, &error))?;
            let done = what(&host, &node).await;
            host.disconnect().await;
            done
        })
    }

    /// How long it makes sense to wait for what a node was told.
    pub(crate) fn patience(&self) -> std::time::Duration {
        self.network.timeout
    }
}
