//! Where a place runs that is not to run here: on a node that listens, or on one that is launched for it.

use std::path::Path;

use placehost::{Channel, CreateOptions, Host, NetworkConfig, Node, Place, PlaceConfig, Source, SpawnError, SpawnOptions};
use tokio::runtime::Handle;

use super::progress::Progress;
use crate::cli::error::CliError;
use crate::cli::exit_code::ExitCode;
use crate::cli::network::Options;
use crate::cli::parse::Target;
use crate::cli::{explain, ssh};

/// The network of a run. Who we are is read now if a node is to be told, and else when a place wants it.
pub(super) fn network(at: Option<&Target>, options: &Options, progress: &Progress) -> Result<NetworkConfig, CliError> {
    let mut config = match at {
        Some(Target::Node(_)) => options.member().map_err(|error| error.with_code(ExitCode::CANNOT))?,
        Some(Target::Ssh(_)) | None => options.anybody(),
    };
    config.on_shipping = progress.listener();
    Ok(config)
}

/// The node, connected or launched.
pub(super) async fn reach(host: &Host, at: &Target, config: &PlaceConfig, workers: &Handle) -> Result<Node, CliError> {
    let node = match at {
        Target::Node(address) => {
            let (host, address) = (host.clone(), address.to_string());
            let connecting = workers.spawn(async move { host.connect(&address).await });
            connecting.await.expect("connecting does not panic, and nobody cancels it")
        }
        Target::Ssh(machine) => ssh::launch(host, machine, CreateOptions::default(), config, workers).await,
    };
    let node = node.map_err(|error| explain::node(ExitCode::CANNOT, at, &error))?;
    tracing::info!("the place runs on the node `{}` ({}) at {}", node.name(), node.id(), node.address().unwrap_or_default());
    Ok(node)
}

/// That the module has that start function. Here that can be said better than there, and the module need not travel for it.
pub(super) fn check(path: &Path, module: &Source, start: &str) -> Result<(), CliError> {
    let kebab = start.replace('_', "-");
    if module.starts().any(|name| name == kebab) {
        return Ok(());
    }
    let bad = module.other_exports().find(|(name, _)| *name == kebab).map(|(_, why)| why.to_owned());
    let error = match bad {
        Some(why) => SpawnError::BadStart { start: kebab, why },
        None => SpawnError::NoStart { start: kebab, has: module.starts().map(str::to_owned).collect() },
    };
    Err(explain::spawn(path, module.other_exports(), &error))
}

/// Starts the place there.
pub(super) async fn spawn(
    host: &Host,
    (at, node): (&Target, &Node),
    (path, module): (&Path, &Source),
    start: &str,
    config: PlaceConfig,
) -> Result<(Place, Channel), CliError> {
    let spawned = host.spawn_source_at(node, module, start, config, SpawnOptions::default()).await;
    spawned.map_err(|error| explain::spawn_at(at, path, &error))
}
