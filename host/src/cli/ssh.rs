//! Nodes that are launched by ssh, for as long as the command runs.

use std::env;

use futures_util::future::try_join_all;
use placehost::{CreateOptions, Host, Node, NodeError, Output, PlaceConfig};
use tokio::runtime::Handle;

use super::error::CliError;
use super::exit_code::ExitCode;
use super::explain;
use super::parse::{Machine, Target};

/// Launches a node, with those options beside what the machine and the environment say; what its places print comes to where those of
/// `config` print.
///
/// # Errors
/// As [`Host::create`].
pub(crate) async fn launch(
    host: &Host,
    machine: &Machine,
    options: CreateOptions,
    config: &PlaceConfig,
    workers: &Handle,
) -> Result<Node, NodeError> {
    let (host, machine, options) = (host.clone(), machine.host.clone(), self::options(machine, options, config.limits.fuel));
    let stdout = config.stdout.clone();
    // On the workers, because the node that is launched hangs on tasks and pipes of whoever launches it.
    let launching = workers.spawn(async move { host.create(&machine, options, stdout, Output::new(std::io::stderr())).await });
    launching.await.expect("launching a node does not panic, and nobody cancels it")
}

/// Where each node of a job listens, those included that are launched for it, with those options; none for this machine.
///
/// # Errors
/// One cannot be launched. Those that listen the job itself connects with, and says who cannot be reached.
pub(crate) async fn reach(
    host: &Host,
    nodes: impl IntoIterator<Item = Option<&Target>>,
    options: &CreateOptions,
    config: &PlaceConfig,
    workers: &Handle,
) -> Result<Vec<Option<String>>, CliError> {
    let reaching = nodes.into_iter().map(async |node| match node {
        None => Ok(None),
        Some(Target::Node(address)) => Ok(Some(address.to_string())),
        Some(target @ Target::Ssh(machine)) => {
            let node = launch(host, machine, options.clone(), config, workers).await;
            Ok(node.map_err(|error| explain::node(ExitCode::CANNOT, target, &error))?.address())
        }
    });
    try_join_all(reaching).await
}

fn options(machine: &Machine, mut options: CreateOptions, fuel: Option<u64>) -> CreateOptions {
    let command = |name| env::var(name).ok().filter(|command| !command.is_empty());
    options.user.clone_from(&machine.user);
    options.listen_port = machine.port;
    options.fuel = fuel;
    options.ssh_path = command("PLACEHOST_SSH");
    options.placehost_path = command("PLACEHOST_REMOTE");
    options
}
