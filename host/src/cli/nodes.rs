//! `placehost nodes`: which nodes a node is connected with.

use std::fmt;

use placehost::{Node, PeerInfo};
use serde_json::{Value, json};

use super::ask::Ask;
use super::error::CliError;
use super::exit_code::ExitCode;
use super::ps::{Named, node_json};
use super::{explain, terminal};

/// Say which nodes a node is connected with.
///
/// CHANNELS counts those that cross between the two, and PLACES those that run on the node for the other.
#[derive(Debug, clap::Args)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct Args {
    /// Print one JSON object instead of a table.
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    ask: Ask,
}

const EXAMPLES: &str = "\
Examples:
  placehost nodes
  placehost nodes --at host2 --json | jq -r '.nodes[].address'";

/// Prints the nodes.
///
/// # Errors
/// There is no node there, or it does not let us see them.
pub(crate) fn run(args: &Args) -> Result<ExitCode, CliError> {
    args.ask.ask(async |host, node| {
        let mut peers = node.peers().await.map_err(|error| explain::node(ExitCode::FAILED, &args.ask.at, &error))?;
        // This command is one of them, and nobody asked for it.
        peers.retain(|peer| peer.id != host.node());
        match args.json {
            true => terminal::answer(&json!({"node": node_json(node), "nodes": peers.iter().map(peer_json).collect::<Vec<_>>()})),
            false => terminal::answer(&Table { node, peers: &peers }),
        }
    })?;
    Ok(ExitCode::SUCCESS)
}

fn peer_json(peer: &PeerInfo) -> Value {
    json!({
        "id": peer.id.to_string(),
        "name": peer.name,
        "address": peer.address,
        "dialled": peer.dialled_us,
        "channels": peer.links,
        "places": peer.places,
        "round_trip_us": u64::try_from(peer.round_trip.as_micros()).unwrap_or(u64::MAX),
    })
}

/// The nodes, for people.
struct Table<'a> {
    node: &'a Node,
    peers: &'a [PeerInfo],
}

impl fmt::Display for Table<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Named(self.node).fmt(f)?;
        let heading = ["ID", "NAME", "ADDRESS", "DIALLED", "CHANNELS", "PLACES", "ROUND TRIP"];
        let row = |peer: &PeerInfo| {
            [
                peer.id.to_string(),
                peer.name.clone(),
                peer.address.clone(),
                if peer.dialled_us { "by it" } else { "by this" }.into(),
                peer.links.to_string(),
                peer.places.to_string(),
                format!("{:.1} ms", peer.round_trip.as_secs_f64() * 1e3),
            ]
        };
        terminal::table(f, heading, self.peers.iter().map(row))
    }
}
