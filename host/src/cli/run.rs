//! `placehost run`: starts a place and is the other end of its channel.
//!
//! Four things go on at once. The place runs on the workers; a thread of its own reads stdin and puts messages; a task prints the
//! messages that come back; and the main thread waits for whatever comes first of the place's end, a signal, bad input, and an
//! output that nobody reads. Only the main thread decides how the process ends.

mod at;
mod input;
mod output;
mod plan;
mod progress;

use std::io::IsTerminal;
use std::mem::ManuallyDrop;
use std::path::PathBuf;
use std::time::Duration;

use placehost::{ExitReason, Host, Output, Place};
use tokio::runtime::Handle;
use tokio::time::timeout;

use super::allowance::Allowance;
use super::error::CliError;
use super::exit_code::ExitCode;
use super::parse::{self, Target};
use super::signals::Signals;
use super::{explain, host, network};
use input::Input;
use output::Printer;
pub(super) use output::Stdout;
use plan::Plan;
pub(super) use plan::variables;

/// Start a place and talk to it.
///
/// The place's messages appear on stdout, one line of JSON each. What goes to it is --send, and then, unless stdin is a terminal,
/// each line of stdin. A place gets nothing of this machine unless it is granted.
#[derive(Debug, clap::Args)]
#[command(after_long_help = format!("{EXAMPLES}\n\n{}", ExitCode::TABLE))]
pub(crate) struct Args {
    /// The file of a component.
    module: PathBuf,

    /// The name of the start function; `_` and `-` are the same in it.
    #[arg(default_value = "main")]
    start: String,

    /// Arguments for the place.
    #[arg(last = true)]
    args: Vec<String>,

    /// Send a message, as JSON; can be repeated.
    #[arg(long, value_name = "JSON", allow_hyphen_values = true)]
    send: Vec<String>,

    /// Send each line of stdin, as JSON, even where that is a terminal.
    #[arg(short, long)]
    interactive: bool,

    /// Grant an environment variable, as it is here if no value is given; can be repeated.
    #[arg(long, value_name = "NAME[=VALUE]", value_parser = parse::variable)]
    env: Vec<parse::Variable>,

    /// Run the place on a node: one that listens at HOST or HOST:PORT, or one that is launched for it by ssh://[USER@]HOST[:PORT].
    ///
    /// The module is shipped there if it is not there yet. What the place is granted is the node's, as far as its policy lets it: a
    /// directory is named by its path in the place. What it prints and its messages come here, each in its order. With ssh the port is the UDP port of the node, and PLACEHOST_SSH and
    /// PLACEHOST_REMOTE name the commands `ssh` here and `placehost` there.
    #[arg(long, value_name = "NODE", value_parser = parse::target, conflicts_with_all = ["preempt", "max_places", "modules"])]
    at: Option<Target>,

    /// Log here as well what the place and its places log on other nodes, with the node and its time. Without -v that is warnings and
    /// errors.
    #[arg(long)]
    log_to_parent: bool,

    #[command(flatten)]
    allowance: Allowance,

    #[command(flatten)]
    network: network::Options,
}

const EXAMPLES: &str = "\
Examples:
  placehost run hello.wasm                              Start `main`
  placehost run hello.wasm greeter --send '\"World\"'     Start `greeter` and send it a text
  placehost run sum.wasm < numbers.jsonl                Send each line of a file
  placehost run tool.wasm -- --depth 3                  Give the place arguments
  placehost run tool.wasm --dir data::/data:ro --net    Let it read a directory and use the network
  placehost run tool.wasm --objects s3://corpus:ro      Let it read what is in a bucket
  placehost run job.wasm --memory 1GiB --deadline 1m    Bound what it uses
  placehost run job.wasm --at host2                     Run it on the node there
  placehost run job.wasm --at ssh://host2               Launch a node there for it";

/// How long a place that is being ended may take. One that computes without preemption never ends; the process does.
const GRACE: Duration = Duration::from_secs(1);

/// Runs the place to its end.
///
/// # Errors
/// Something was wrong before it began, or the place went wrong.
pub(crate) fn run(args: Args) -> Result<ExitCode, CliError> {
    let plan = Plan::new(&args)?;
    // Neither is dropped: that would wait for blocked threads and give all memory back piece by piece, and the process is about
    // to end.
    let workers = ManuallyDrop::new(args.allowance.workers()?);
    let host = {
        let _inside = workers.enter();
        ManuallyDrop::new(host::build(plan.builder.clone(), plan.cache.clone())?)
    };
    let control = ManuallyDrop::new(host::control()?);
    control.block_on(conduct(&host, &args, plan, workers.handle()))
}

/// What ends a run.
enum Ending {
    Exit(ExitReason),
    Signal(ExitCode),
    /// There is no way to print, or nobody who reads.
    Output,
    Input(CliError),
}

async fn conduct(host: &Host, args: &Args, plan: Plan, workers: &Handle) -> Result<ExitCode, CliError> {
    let Plan { mut config, sends, progress, .. } = plan;
    let mut signals = Signals::listen()?;
    let stdout = Stdout::default();
    config.stdout = Output::new(stdout.clone());
    let starting = async {
        let cannot_load = |error| explain::load(&args.module, &error);
        let Some(at) = &args.at else {
            let module = host.load(&args.module).await.map_err(cannot_load)?;
            let spawned = host.spawn(&module, &args.start, config);
            return spawned.map_err(|error| explain::spawn(&args.module, module.other_exports(), &error));
        };
        let module = host.read(&args.module).await.map_err(cannot_load)?;
        at::check(&args.module, &module, &args.start)?;
        let node = at::reach(host, at, &config, workers).await?;
        let spawned = at::spawn(host, (at, &node), (&args.module, &module), &args.start, config).await;
        progress.clear();
        spawned
    };
    let (place, channel) = tokio::select! {
        biased;
        code = signals.next() => {
            progress.clear();
            host::leave(host, &mut signals).await;
            return Ok(code);
        }
        started = starting => started?,
    };
    let lines = args.interactive || !std::io::stdin().is_terminal();
    let mut input = Input::start(channel.clone(), sends, lines, workers.clone())?;
    let printer = Printer::start(channel, stdout.clone(), workers);

    let ending = tokio::select! {
        biased;
        code = signals.next() => Ending::Signal(code),
        () = stdout.is_lost() => Ending::Output,
        error = input.failed() => Ending::Input(error),
        reason = place.wait() => Ending::Exit(reason),
    };
    host::finish(host, &mut signals, wind_up(ending, &place, &stdout, printer, host.max_places(), args.at.as_ref())).await
}

/// Ends the place if it has not ended, prints what it had put, and says how it went.
async fn wind_up(
    ending: Ending,
    place: &Place,
    stdout: &Stdout,
    printer: Printer,
    max_places: u32,
    at: Option<&Target>,
) -> Result<ExitCode, CliError> {
    // The time may run out only where `Ending` is not the place's own end.
    let _ended = timeout(GRACE, place.kill()).await;
    match &ending {
        Ending::Signal(code) => return Ok(*code),
        Ending::Output => {}
        Ending::Exit(_) | Ending::Input(_) => printer.finish(at.map(|_| GRACE)).await,
    }
    if let Some(error) = stdout.error() {
        return Err(super::terminal::cannot_write(error));
    }
    match ending {
        Ending::Exit(reason) => match (reason, at) {
            (ExitReason::NodeLost, Some(at)) => Err(explain::lost(ExitCode::UNAVAILABLE, at)),
            (reason, _) => explain::exit(place, &reason, max_places),
        },
        Ending::Input(error) => Err(error),
        Ending::Signal(code) => Ok(code),
        Ending::Output => Ok(ExitCode::CLOSED),
    }
}
