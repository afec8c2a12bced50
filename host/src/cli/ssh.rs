//! Nodes that are launched by ssh, for as long as the command runs.

use std::env;

use placehost::{CreateOptions, Host, Node, NodeError, Output, PlaceConfig};
use tokio::runtime::Handle;

use super::parse::Machine;

/// Launches a node; what its places print comes to where those of `config` print.
///
/// # Errors
/// As [`Host::create`].
pub(crate) async fn launch(host: &Host, machine: &Machine, config: &PlaceConfig, workers: &Handle) -> Result<Node, NodeError> {
    let (host, machine) = (host.clone(), machine.clone());
    let (stdout, fuel) = (config.stdout.clone(), config.limits.fuel);
    // On the workers, because the node that is launched hangs on tasks and pipes of whoever launches it.
    let launching =
        workers.spawn(async move { host.create(&machine.host, options(&machine, fuel), stdout, Output::new(std::io::stderr())).await });
    launching.await.expect("launching a node does not panic, and nobody cancels it")
}

fn options(machine: &Machine, fuel: Option<u64>) -> CreateOptions {
    let command = |name| env::var(name).ok().filter(|command| !command.is_empty());
    let mut options = CreateOptions::default();
    options.user.clone_from(&machine.user);
    options.listen_port = machine.port;
    options.fuel = fuel;
    options.ssh_path = command("PLACEHOST_SSH");
    options.placehost_path = command("PLACEHOST_REMOTE");
    options
}
