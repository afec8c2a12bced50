//! `placehost kill`: ends a place on a node.

use placehost::LookupError;
use tokio::time::timeout;

use super::ask::Ask;
use super::error::CliError;
use super::exit_code::ExitCode;
use super::explain;
use super::parse::{self, ShortId};

/// End a place on a node, whoever started it, and wait until it has ended.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "Examples:\n  placehost kill 6e1f0a2b.1\n  placehost kill 6e1f0a2b.1 --at host2")]
pub(crate) struct Args {
    /// The place, as `placehost ps` shows it.
    #[arg(value_name = "ID", value_parser = parse::place)]
    place: ShortId,

    #[command(flatten)]
    ask: Ask,
}

/// Ends the place.
///
/// # Errors
/// It does not live there, or the node does not let us.
pub(crate) fn run(args: &Args) -> Result<ExitCode, CliError> {
    let Args { place, ask } = args;
    let failed = |message: String| CliError::new(ExitCode::FAILED, message);
    let which = format!("`placehost ps --at {}` shows which there are", ask.at);
    ask.ask(async |_, node| {
        let Some(id) = place.of(node.id()) else {
            return Err(failed(format!("place {place} is not of the node at `{}`, which is {}", ask.at, node.id()))
                .cause("it is of another node, or of a former life of this one")
                .hint(&which));
        };
        let explain = |error: LookupError| match error {
            LookupError::NodeLost => explain::lost(ExitCode::FAILED, &ask.at),
            LookupError::NoPlace { .. } => failed(error.to_string()).hint(&which),
            error => failed(error.to_string()),
        };
        let place = node.monitor(id).await.map_err(explain)?;
        node.kill(id).await.map_err(explain)?;
        match timeout(ask.patience(), place.wait()).await {
            Ok(_) => Ok(()),
            Err(_) => Err(failed(format!("place {id} was told to end, and has not yet"))
                .hint("a node with `--preempt off` cannot interrupt a place that computes")),
        }
    })
    .map(|()| ExitCode::SUCCESS)
}
