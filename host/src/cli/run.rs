//! `placehost run`: starts a place and is the other end of its channel.
//!
//! Four things go on at once. The place runs on the workers; a thread of its own reads stdin and puts messages; a task prints the
//! messages that come back; and the main thread waits for whatever comes first of the place's end, a signal, bad input, and an
//! output that nobody reads. Only the main thread decides how the process ends.

mod input;
mod output;
mod plan;
mod signals;

use std::io::IsTerminal;
use std::mem::ManuallyDrop;
use std::path::PathBuf;
use std::time::Duration;

use clap::ValueEnum;
use placehost::{Dir, ExitReason, Host, Output, Place};
use tokio::runtime::Handle;
use tokio::time::timeout;

use super::error::CliError;
use super::exit_code::ExitCode;
use super::{explain, host, parse};
use input::Input;
use output::{Printer, Stdout};
use plan::Plan;
use signals::Signals;

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

    /// Grant a directory, under another path if GUEST is given; can be repeated.
    #[arg(long, value_name = "HOST[::GUEST][:ro]", value_parser = parse::dir)]
    dir: Vec<Dir>,

    /// Grant an environment variable, as it is here if no value is given; can be repeated.
    #[arg(long, value_name = "NAME[=VALUE]", value_parser = parse::variable)]
    env: Vec<parse::Variable>,

    /// Grant the network: TCP, UDP and name look-up.
    #[arg(long)]
    net: bool,

    /// Grant connecting to other nodes and creating them.
    #[arg(long)]
    allow_nodes: bool,

    /// Limit the memory of each place [default: 64MiB].
    #[arg(long, value_name = "SIZE", value_parser = parse::size)]
    memory: Option<u64>,

    /// Limit the life of the place, and with it its children's: 500ms, 2s, 1m.
    #[arg(long, value_name = "DURATION", value_parser = parse::duration)]
    deadline: Option<Duration>,

    /// Limit what each place computes, in units of about one instruction. Counting makes tight loops slower.
    #[arg(long, value_name = "UNITS")]
    fuel: Option<u64>,

    /// Whether a place that computes must yield to others. Off, tight loops are faster and each place has a thread.
    #[arg(long, value_name = "WHETHER", value_enum, default_value_t = Preempt::On)]
    preempt: Preempt,

    /// How many places there may be at once [default: what this machine has room for].
    #[arg(long, value_name = "PLACES", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    max_places: Option<u32>,

    /// Let places start modules from this folder, beside that of their own; can be repeated.
    #[arg(long, value_name = "DIR")]
    modules: Vec<PathBuf>,

    /// Compile the module even if it has been compiled before, and do not keep the result.
    #[arg(long)]
    no_cache: bool,
}

const EXAMPLES: &str = "\
Examples:
  placehost run hello.wasm                              Start `main`
  placehost run hello.wasm greeter --send '\"World\"'     Start `greeter` and send it a text
  placehost run sum.wasm < numbers.jsonl                Send each line of a file
  placehost run tool.wasm -- --depth 3                  Give the place arguments
  placehost run tool.wasm --dir data::/data:ro --net    Let it read a directory and use the network
  placehost run job.wasm --memory 1GiB --deadline 1m    Bound what it uses";

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Preempt {
    On,
    Off,
}

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
    let workers = ManuallyDrop::new(host::workers()?);
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
    let Plan { mut config, sends, .. } = plan;
    let module = host.load(&args.module).await.map_err(|error| explain::load(&args.module, &error))?;
    let mut signals = Signals::listen()?;
    let stdout = Stdout::default();
    config.stdout = Output::new(stdout.clone());
    let (place, channel) = host.spawn(&module, &args.start, config).map_err(|error| explain::spawn(&args.module, &module, &error))?;
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
    host.shut_down();
    tokio::select! {
        biased;
        code = signals.next() => Ok(code),
        result = wind_up(ending, &place, &stdout, printer, host.max_places()) => result,
    }
}

/// Ends the place if it has not ended, prints what it had put, and says how it went.
async fn wind_up(ending: Ending, place: &Place, stdout: &Stdout, printer: Printer, max_places: u32) -> Result<ExitCode, CliError> {
    // The time may run out only where `Ending` is not the place's own end.
    let _ended = timeout(GRACE, place.kill()).await;
    match &ending {
        Ending::Signal(code) => return Ok(*code),
        Ending::Output => {}
        Ending::Exit(_) | Ending::Input(_) => printer.finish().await,
    }
    if let Some(error) = stdout.error() {
        return Err(super::terminal::cannot_write(error));
    }
    match ending {
        Ending::Exit(reason) => explain::exit(place, &reason, max_places),
        Ending::Input(error) => Err(error),
        Ending::Signal(code) => Ok(code),
        Ending::Output => Ok(ExitCode::CLOSED),
    }
}
