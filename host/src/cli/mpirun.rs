//! `placehost mpirun`: runs a job of many ranks, here or over several nodes.
//!
//! The job itself is run by a start function that every MPI program has from the crate `places-mpi`; this tells it what to start
//! where, and says how it went. The two agree on messages in JSON, of which this file and that crate's `wire.rs` have the shapes.

mod hosts;
mod report;

use std::mem::ManuallyDrop;
use std::path::PathBuf;
use std::time::Duration;

use placehost::{CreateOptions, ExitReason, Host, Module, Output, Place, PlaceConfig, SpawnError, json};
use serde_json::{Value, json};
use tokio::runtime::Handle;
use tokio::time::timeout;

use super::allowance::Allowance;
use super::error::CliError;
use super::exit_code::ExitCode;
use super::parse::Target;
use super::run::{Stdout, variables};
use super::signals::Signals;
use super::{explain, host, network, parse, ssh};
use hosts::Slots;

/// Run an MPI program: a start function in many places at once, its ranks.
///
/// What the ranks print appears here. The first one that goes wrong ends the job, and its exit code is that of the command.
#[derive(Debug, clap::Args)]
#[command(after_long_help = format!("{EXAMPLES}\n\n{}", ExitCode::TABLE))]
pub(crate) struct Args {
    /// How many ranks [default: as many as the hosts take, or 1].
    #[arg(short, long = "ranks", value_name = "RANKS", value_parser = clap::value_parser!(u32).range(1..=hosts::MOST.into()))]
    n: Option<u32>,

    /// Run the ranks on these nodes, so many on each: HOST[:PORT]:RANKS, or HOST for one; `.` is this machine, and with
    /// ssh://[USER@]HOST a node is launched there for the job. The first are filled first; one that is named twice takes the sum.
    ///
    /// A number behind the only colon is that of the ranks: a port wants both. The program is shipped to each node once. PLACEHOST_SSH
    /// and PLACEHOST_REMOTE name the commands `ssh` here and `placehost` there.
    #[arg(long, value_name = "LIST", value_delimiter = ',', value_parser = hosts::slots)]
    hosts: Vec<Slots>,

    /// Take the nodes from a file: a line for each, HOST[:PORT] or ssh://[USER@]HOST, and `slots=RANKS`.
    #[arg(long, value_name = "FILE", conflicts_with = "hosts")]
    hostfile: Option<PathBuf>,

    /// Put its number before each line that a rank prints.
    #[arg(long)]
    tag_output: bool,

    /// What becomes of the others when a rank goes wrong.
    #[arg(long, value_enum, value_name = "WHAT", default_value_t = OnFailure::End)]
    on_failure: OnFailure,

    /// The file of a component that uses the crate places-mpi.
    module: PathBuf,

    /// The name of the ranks' start function; `_` and `-` are the same in it.
    start: String,

    /// Arguments for each rank.
    #[arg(last = true)]
    args: Vec<String>,

    /// Grant an environment variable, as it is here if no value is given; can be repeated.
    #[arg(long, value_name = "NAME[=VALUE]", value_parser = parse::variable)]
    env: Vec<parse::Variable>,

    #[command(flatten)]
    allowance: Allowance,

    #[command(flatten)]
    network: network::Options,
}

/// What becomes of a job when a rank goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum OnFailure {
    /// All of it ends.
    End,
    /// They go on, and what they wait for of that rank fails.
    Continue,
}

const EXAMPLES: &str = "\
Examples:
  placehost mpirun -n 8 job.wasm prod_id                     Eight ranks on this machine
  placehost mpirun --hosts a:2,b:4 job.wasm prod_id          Two on one node and four on another
  placehost mpirun --hosts .:2,ssh://b:2 job.wasm prod_id    Two here, and two on a node that is launched for the job
  placehost mpirun --hostfile hosts -n 5 job.wasm prod_id    As many as fit on the first ones of a file
  placehost mpirun -n 4 --tag-output job.wasm cg -- A        See which rank says what
  placehost mpirun -n 2 --memory 1GiB job.wasm ft -- A       Give each rank more memory";

/// The start function that runs a job, in every program that uses `places-mpi`.
const LAUNCHER: &str = "mpi-launcher";
/// How long the job may take to end when it is told to.
const GRACE: Duration = Duration::from_secs(1);

/// Runs the job to its end.
///
/// # Errors
/// Something was wrong before it began, or a rank went wrong.
pub(crate) fn run(args: Args) -> Result<ExitCode, CliError> {
    let hosts = hosts::plan(&args.hosts, args.hostfile.as_deref(), args.n)?;
    let far = hosts.iter().any(|slots| slots.node.is_some());
    // Who launches a node is believed by it.
    let network = match hosts.iter().any(|slots| matches!(slots.node, Some(Target::Node(_)))) {
        true => args.network.member().map_err(|error| error.with_code(ExitCode::CANNOT))?,
        false => args.network.anybody(),
    };
    let (builder, config) = (args.allowance.builder()?.network(network), config(&args, far)?);
    // Neither is dropped: the process is about to end.
    let workers = ManuallyDrop::new(args.allowance.workers()?);
    let host = {
        let _inside = workers.enter();
        ManuallyDrop::new(host::build(builder, args.allowance.cache())?)
    };
    let control = ManuallyDrop::new(host::control()?);
    control.block_on(conduct(&host, &args, config, &hosts, workers.handle()))
}

fn config(args: &Args, far: bool) -> Result<PlaceConfig, CliError> {
    args.allowance.check_dirs()?;
    let mut config = PlaceConfig::default();
    config.limits = args.allowance.limits();
    config.grants = args.allowance.grants(variables(&args.env)?);
    config.grants.nodes |= far;
    Ok(config)
}

/// What the launcher is told: the `Order` of `places-mpi`.
fn order(args: &Args, hosts: &[Slots], addresses: &[Option<String>]) -> Value {
    let hosts: Vec<_> = hosts.iter().zip(addresses).map(|(slots, address)| json!({ "address": address, "ranks": slots.ranks })).collect();
    let on_failure = match args.on_failure {
        OnFailure::End => "end",
        OnFailure::Continue => "continue",
    };
    json!({ "start": args.start, "args": args.args, "hosts": hosts, "on-failure": on_failure, "tag-output": args.tag_output })
}

/// What ends a job.
enum Ending {
    Report(Value),
    Exit(ExitReason),
    Signal(ExitCode),
    /// There is nobody who reads what the ranks print.
    Output,
}

async fn conduct(host: &Host, args: &Args, mut config: PlaceConfig, hosts: &[Slots], workers: &Handle) -> Result<ExitCode, CliError> {
    let module = host.load(&args.module).await.map_err(|error| explain::load(&args.module, &error))?;
    check_starts(args, &module)?;
    let mut signals = Signals::listen()?;
    let stdout = Stdout::default();
    config.stdout = Output::new(stdout.clone());
    let (nodes, launch) = (hosts.iter().map(|slots| slots.node.as_ref()), CreateOptions::default());
    let reached = tokio::select! {
        biased;
        code = signals.next() => Err(Ok(code)),
        addresses = ssh::reach(host, nodes, &launch, &config, workers) => addresses.map_err(Err),
    };
    let addresses = match reached {
        Ok(addresses) => addresses,
        // What has been launched is to end.
        Err(ended) => return host::finish(host, &mut signals, async { ended }).await,
    };
    let (launcher, channel) =
        host.spawn(&module, LAUNCHER, config).map_err(|error| explain::spawn(&args.module, module.other_exports(), &error))?;
    let order = json::to_message(&order(args, hosts, &addresses)).expect("an order is no message that is too long");
    let report = async {
        // Where it cannot be put, the launcher has ended, and that says why.
        let _ = channel.put(order).await;
        match channel.get().await {
            Ok(report) => Ending::Report(json::from_message(&report)),
            Err(_) => Ending::Exit(launcher.wait().await),
        }
    };
    let ending = tokio::select! {
        biased;
        code = signals.next() => Ending::Signal(code),
        () = stdout.is_lost() => Ending::Output,
        ending = report => ending,
    };
    host::finish(host, &mut signals, wind_up(ending, args, host, &launcher, &stdout)).await
}

/// That the module has what is to be started.
fn check_starts(args: &Args, module: &Module) -> Result<(), CliError> {
    let start = args.start.replace('_', "-");
    let has: Vec<String> = module.starts().map(str::to_owned).collect();
    if !has.iter().any(|name| name == LAUNCHER) {
        return Err(CliError::new(ExitCode::CANNOT, format!("`{}` is no MPI program", args.module.display()))
            .hint("the start function of its ranks begins with `places_mpi::init`; `placehost run` starts other programs"));
    }
    if has.contains(&start) {
        return Ok(());
    }
    let has = has.into_iter().filter(|name| !name.starts_with("mpi-")).collect();
    Err(explain::spawn(&args.module, module.other_exports(), &SpawnError::NoStart { start, has }))
}

/// Ends the launcher if it has not ended, and says how it went.
async fn wind_up(ending: Ending, args: &Args, host: &Host, launcher: &Place, stdout: &Stdout) -> Result<ExitCode, CliError> {
    // The time may run out only where a rank computes without preemption.
    let _ended = timeout(GRACE, launcher.kill()).await;
    if let Some(error) = stdout.error() {
        return Err(super::terminal::cannot_write(error));
    }
    match ending {
        Ending::Signal(code) => Ok(code),
        Ending::Output => Ok(ExitCode::CLOSED),
        Ending::Report(report) => report::explain(&args.start, &report),
        Ending::Exit(reason) => explain::exit(launcher, &reason, host.max_places()),
    }
}
