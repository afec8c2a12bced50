//! `placehost ps`: what runs on a node.

use std::fmt;
use std::time::Duration;

use placehost::{Activity, Node, PlaceInfo};
use serde_json::{Value, json};

use super::ask::Ask;
use super::error::CliError;
use super::exit_code::ExitCode;
use super::{explain, terminal};

/// Say which places run on a node.
///
/// IN and OUT count messages, and MAILBOX those that a named place has not read. LABEL is what a place says of itself; the ranks of an MPI
/// job say whom they wait for.
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
  placehost ps
  placehost ps --at host2
  placehost ps --at host2 --json | jq -r '.places[].id'";

/// Prints the places.
///
/// # Errors
/// There is no node there, or it does not let us see them.
pub(crate) fn run(args: &Args) -> Result<ExitCode, CliError> {
    args.ask.ask(async |_, node| {
        let places = node.list().await.map_err(|error| explain::node(ExitCode::FAILED, &args.ask.at, &error))?;
        match args.json {
            true => terminal::answer(&json!({"node": node_json(node), "places": places.iter().map(place_json).collect::<Vec<_>>()})),
            false => terminal::answer(&Table { node, places: &places }),
        }
    })?;
    Ok(ExitCode::SUCCESS)
}

/// A node as JSON.
pub(crate) fn node_json(node: &Node) -> Value {
    json!({"id": node.id().to_string(), "name": node.name(), "address": node.address()})
}

/// A node in a line.
pub(crate) struct Named<'a>(pub(crate) &'a Node);

impl fmt::Display for Named<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(node) = self;
        write!(f, "node {} ({}) at {}", terminal::plain(node.name()), node.id(), node.address().unwrap_or_default())
    }
}

fn state(place: &PlaceInfo) -> &'static str {
    if place.activity == Activity::Running { "running" } else { "waiting" }
}

fn place_json(place: &PlaceInfo) -> Value {
    json!({
        "id": place.id.to_string(),
        "name": place.name,
        "module": place.module,
        "start": place.start,
        "state": state(place),
        "label": place.label,
        "age_ms": u64::try_from(place.age.as_millis()).unwrap_or(u64::MAX),
        "memory": place.memory,
        "in": place.got,
        "out": place.put,
        "mailbox": place.pending,
    })
}

/// What runs, for people.
struct Table<'a> {
    node: &'a Node,
    places: &'a [PlaceInfo],
}

impl fmt::Display for Table<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Named(self.node).fmt(f)?;
        let heading = ["ID", "NAME", "MODULE", "START", "STATE", "AGE", "MEMORY", "IN", "OUT", "MAILBOX", "LABEL"];
        let row = |place: &PlaceInfo| {
            [
                place.id.to_string(),
                place.name.clone().unwrap_or_default(),
                place.module.clone(),
                place.start.clone(),
                state(place).into(),
                age(place.age),
                memory(place.memory),
                place.got.to_string(),
                place.put.to_string(),
                place.pending.to_string(),
                place.label.clone().unwrap_or_default(),
            ]
        };
        terminal::table(f, heading, self.places.iter().map(row))
    }
}

/// A length of time as people say it, to two units.
fn age(age: Duration) -> String {
    let seconds = age.as_secs();
    match seconds {
        0 => format!("{}ms", age.as_millis()),
        1..60 => format!("{seconds}s"),
        60..3600 => format!("{}m{:02}s", seconds / 60, seconds % 60),
        3600..86_400 => format!("{}h{:02}m", seconds / 3600, seconds / 60 % 60),
        _ => format!("{}d{:02}h", seconds / 86_400, seconds / 3600 % 24),
    }
}

/// A size to about three digits.
fn memory(bytes: u64) -> String {
    let tenths = |unit: u64| format!("{}.{}", bytes / unit, bytes % unit * 10 / unit);
    match bytes {
        0..0x10_0000 => format!("{} KiB", bytes.div_ceil(1 << 10)),
        0x10_0000..0x4000_0000 => format!("{} MiB", tenths(1 << 20)),
        _ => format!("{} GiB", tenths(1 << 30)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_and_sizes_are_short() {
        let shown = [0, 250, 59_999, 61_000, 7_260_000, 90_000_000].map(|millis| age(Duration::from_millis(millis)));
        assert_eq!(shown, ["0ms", "250ms", "59s", "1m01s", "2h01m", "1d01h"]);
        assert_eq!([0, 65_536, 1_153_434, 64 << 20, 5 << 29].map(memory), ["0 KiB", "64 KiB", "1.1 MiB", "64.0 MiB", "2.5 GiB"]);
    }
}
