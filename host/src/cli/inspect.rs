//! `placehost inspect`: what is in a module, and whether it runs here.

use std::fmt;
use std::mem::ManuallyDrop;
use std::path::{Path, PathBuf};

use placehost::{Host, Import, Inspection, Kind};
use serde_json::{Value, json};

use super::error::CliError;
use super::exit_code::ExitCode;
use super::host::{self, Cache};
use super::terminal::row;
use super::{explain, terminal};

/// Say what is in a module, and whether it runs here.
///
/// Ends with 0 where it does, and with 125 and the reason where it does not.
#[derive(Debug, clap::Args)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct Args {
    /// The file.
    module: PathBuf,

    /// Print one JSON object instead of a table.
    #[arg(long)]
    json: bool,
}

const EXAMPLES: &str = "\
Examples:
  placehost inspect hello.wasm
  placehost inspect hello.wasm --json | jq -r '.starts[].name'";

/// Prints what is in the module.
///
/// # Errors
/// It does not run here.
pub(crate) fn run(args: &Args) -> Result<ExitCode, CliError> {
    // Not dropped, as in `run`.
    let workers = ManuallyDrop::new(host::workers()?);
    let found = workers.block_on(async {
        let host = ManuallyDrop::new(host::build(Host::builder(), Cache::find())?);
        host.inspect(&args.module).await.map_err(|error| explain::load(&args.module, &error))
    })?;
    let problem = problem(&args.module, &found);
    match args.json {
        true => terminal::answer(&to_json(&args.module, &found, problem.as_ref()))?,
        false => terminal::answer(&Table { path: &args.module, found: &found, runs: problem.is_none() })?,
    }
    problem.map_or(Ok(ExitCode::SUCCESS), Err)
}

/// Why nothing of it can be started, if so.
fn problem(path: &Path, found: &Inspection) -> Option<CliError> {
    match &found.problem {
        Some(problem) => Some(explain::load(path, problem)),
        None if found.starts.is_empty() => Some(explain::no_starts(path, found.others.iter().map(|(name, _)| name.as_str()))),
        None => None,
    }
}

fn kind(kind: Kind) -> &'static str {
    match kind {
        Kind::Component => "component",
        Kind::Invalid => "invalid component",
        Kind::CoreModule => "core module",
        Kind::Compiled => "compiled code",
        _ => "not WebAssembly",
    }
}

fn to_json(path: &Path, found: &Inspection, problem: Option<&CliError>) -> Value {
    json!({
        "path": path.display().to_string(),
        "size": found.size,
        "digest": found.digest.to_string(),
        "kind": kind(found.kind),
        "starts": found.starts.iter().map(|start| json!({"name": start.name, "fallible": start.fallible})).collect::<Vec<_>>(),
        "exports": found.others.iter().map(|(name, why)| json!({"name": name, "why": why})).collect::<Vec<_>>(),
        "imports": found.imports.iter().map(|import| json!({"name": import.name, "missing": import.missing})).collect::<Vec<_>>(),
        "runs": problem.is_none(),
        "problem": problem.map(|problem| json!({"message": problem.message(), "causes": problem.causes(), "hints": problem.hints()})),
    })
}

/// What was found, for people: a name, and what there is of it on one or more lines.
struct Table<'a> {
    path: &'a Path,
    found: &'a Inspection,
    runs: bool,
}

impl fmt::Display for Table<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { path, found, runs } = self;
        let import = |Import { name, missing, .. }: &Import| if missing.is_some() { format!("{name} (missing)") } else { name.clone() };
        let mut text = String::new();
        row(&mut text, "path", [path.display()])?;
        row(&mut text, "size", [explain::bytes(found.size)])?;
        row(&mut text, "digest", [found.digest])?;
        row(&mut text, "kind", [kind(found.kind)])?;
        row(&mut text, "starts", found.starts.iter().map(|start| &start.name))?;
        row(&mut text, "exports", found.others.iter().map(|(name, why)| format!("{name}: {why}")))?;
        row(&mut text, "imports", found.imports.iter().map(import))?;
        row(&mut text, "runs here", [if *runs { "yes" } else { "no" }])?;
        f.write_str(text.trim_end())
    }
}
