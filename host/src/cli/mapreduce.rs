//! `placehost mapreduce`: runs a MapReduce job without a driver, here or over several nodes.
//!
//! The job itself is run by a start function that every MapReduce program has from the crate `places-mapreduce`; this tells it what to
//! do, shows what it says of it, and says how it went. The two agree on messages in JSON: that crate's `EVENTS.md`.

mod order;
mod report;
mod show;

use std::mem::ManuallyDrop;
use std::path::PathBuf;
use std::time::Duration;

use clap::ValueEnum;
use placehost::{Channel, ExitReason, Host, Module, Place, PlaceConfig, json};
use serde_json::Value;
use tokio::runtime::Handle;
use tokio::time::timeout;

use super::allowance::Allowance;
use super::error::CliError;
use super::exit_code::ExitCode;
use super::parse::Target;
use super::run::{Stdout, variables};
use super::signals::Signals;
use super::{explain, host, network, parse, ssh};
use order::{Order, Worker};
use show::Show;

/// Run a MapReduce program: its mapper over the input, and its reducer over what comes of that.
///
/// What --input and --output name here is granted to the job. On other nodes the directories are those nodes' own, under the same paths
/// (`placehost node --dir`), as is what they may reach of object stores (`placehost node --objects`), and their credentials; spilled runs go
/// where they say (`--scratch`).
#[derive(Debug, clap::Args)]
#[command(after_long_help = format!("{EXAMPLES}\n\n{}", ExitCode::TABLE))]
pub(crate) struct Args {
    /// The file of a component that uses the crate places-mapreduce.
    module: PathBuf,

    /// Arguments for the program's functions.
    #[arg(last = true)]
    args: Vec<String>,

    /// Read these files: a path, with `*`, `?` and `[a-z]` in it, or a folder for all that is in it; can be repeated.
    ///
    /// Or these objects, s3://BUCKET/PATH or file:///PATH, with the same in it, or a prefix for all that lie directly under it. Whoever reads
    /// them needs credentials: the environment of placehost here, and of each node (AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_REGION,
    /// AWS_ENDPOINT, …).
    #[arg(long, value_name = "PATH|URL", required = true)]
    input: Vec<String>,

    /// Write into this folder, a file for each reduce task; without it what the reducer emits is printed.
    ///
    /// Or s3://BUCKET/PREFIX or file:///DIR, an object for each. Each appears whole or not at all.
    #[arg(long, value_name = "DIR|URL")]
    output: Option<String>,

    /// Who writes the output [default: workers for a URL, job for a folder].
    #[arg(long, value_name = "WHO", value_enum, requires = "output")]
    output_at: Option<OutputAt>,

    /// Run the tasks on these nodes, HOST[:PORT]; `.` is this machine, and with ssh://[USER@]HOST a node is launched there for the job
    /// [default: this machine].
    ///
    /// Nodes that are launched have the directories of --input and --dir, under the same paths, and what is granted of object stores, by
    /// credentials of theirs. PLACEHOST_SSH and PLACEHOST_REMOTE name the commands `ssh` here and `placehost` there.
    #[arg(long, value_name = "LIST", value_delimiter = ',', value_parser = order::worker)]
    workers: Vec<Worker>,

    /// How many map tasks and reduce tasks run at a time on each worker [default: 2].
    #[arg(long, value_name = "SLOTS", value_parser = clap::value_parser!(u32).range(1..=1024))]
    slots: Option<u32>,

    /// How many reduce tasks there are [default: as many as run at a time].
    #[arg(long, value_name = "TASKS", value_parser = clap::value_parser!(u32).range(1..=100_000))]
    reducers: Option<u32>,

    /// How much of a file one map task gets [default: 16MiB].
    #[arg(long, value_name = "SIZE", value_parser = parse::size)]
    split: Option<u64>,

    /// How often a task may fail before the job does.
    #[arg(long, value_name = "TIMES", default_value_t = 4, value_parser = clap::value_parser!(u32).range(1..=100))]
    attempts: u32,

    /// Start no second copies of tasks that take longer than the others.
    #[arg(long)]
    no_speculation: bool,

    #[command(flatten)]
    functions: Functions,

    /// Print what the job says of itself as JSON, an object a line. What its places print goes to stderr then.
    #[arg(long)]
    json: bool,

    /// Grant an environment variable, as it is here if no value is given; can be repeated.
    #[arg(long, value_name = "NAME[=VALUE]", value_parser = parse::variable)]
    env: Vec<parse::Variable>,

    #[command(flatten)]
    allowance: Allowance,

    #[command(flatten)]
    network: network::Options,
}

/// Who writes the output.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum OutputAt {
    /// The job's place, here: all results come to it. The files of a folder appear when all are there.
    Job,
    /// The workers that reduce, each its own, who need the grant to write there. A folder must be the same one on all of them, and be
    /// granted to the job as well (`--dir`).
    Workers,
}

/// Which of a program's functions are meant, where it has several of a kind.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Functions of the program, where it has several of a kind")]
struct Functions {
    /// The mapper.
    #[arg(long, value_name = "NAME")]
    mapper: Option<String>,

    /// The combiner.
    #[arg(long, value_name = "NAME")]
    combiner: Option<String>,

    /// The partitioner.
    #[arg(long, value_name = "NAME")]
    partitioner: Option<String>,

    /// The reducer.
    #[arg(long, value_name = "NAME")]
    reducer: Option<String>,

    /// The outputer.
    #[arg(long, value_name = "NAME")]
    outputer: Option<String>,
}

const EXAMPLES: &str = "\
Examples:
  placehost mapreduce count.wasm --input 'data/*.txt' --output out            Here, with two tasks at a time
  placehost mapreduce count.wasm --input /data --output out --workers a,b     On two nodes that grant /data
  placehost mapreduce count.wasm --input /data --workers .,ssh://b            Here, and on a node that is launched for the job
  placehost mapreduce grep.wasm --input 'logs/*' -- error                     With an argument, the result printed
  placehost mapreduce sort.wasm --input big.txt --output out --memory 256MiB  With more memory for each task
  placehost mapreduce sort.wasm --input big.txt --output out --json           Say how it goes to a program
  placehost mapreduce count.wasm --input 's3://corpus/2026/*.gz' --output s3://results/count   From a store, into a store";

/// The start function that runs a job, in every program that uses `places-mapreduce`.
const JOB: &str = "mapreduce-job";
/// How long the job may take to end on all workers when it is interrupted.
const GRACE: Duration = Duration::from_secs(5);

/// Runs the job to its end.
///
/// # Errors
/// Something was wrong before it began, or it failed.
pub(crate) fn run(args: Args, verbose: u8) -> Result<ExitCode, CliError> {
    let far = args.workers.iter().any(|worker| worker.node.is_some());
    // Who launches a node is believed by it.
    let network = match args.workers.iter().any(|worker| matches!(worker.node, Some(Target::Node(_)))) {
        true => args.network.member().map_err(|error| error.with_code(ExitCode::CANNOT))?,
        false => args.network.anybody(),
    };
    args.allowance.check_dirs()?;
    let order = Order::new(&args, verbose)?;
    let mut builder = args.allowance.builder()?.network(network);
    let mut config = PlaceConfig::default();
    config.limits = args.allowance.limits();
    config.grants = args.allowance.grants(variables(&args.env)?);
    config.grants.nodes |= far;
    order.grant(&mut config.grants);
    if !config.grants.scratch {
        // A job that outgrows its memory is a usual thing.
        builder = builder.scratch(std::env::temp_dir());
        config.grants.scratch = true;
    }
    // Neither is dropped: the process is about to end.
    let workers = ManuallyDrop::new(args.allowance.workers()?);
    let host = {
        let _inside = workers.enter();
        ManuallyDrop::new(host::build(builder, args.allowance.cache())?)
    };
    let control = ManuallyDrop::new(host::control()?);
    control.block_on(conduct(&host, &args, config, &order, Show::new(args.json, verbose), workers.handle()))
}

/// What ends a job.
enum Ending {
    Done(Value),
    Failed(Value),
    Exit(ExitReason),
    Signal(ExitCode),
    /// There is nobody who reads what is printed.
    Output,
}

async fn conduct(
    host: &Host,
    args: &Args,
    mut config: PlaceConfig,
    order: &Order,
    show: Show,
    workers: &Handle,
) -> Result<ExitCode, CliError> {
    let module = host.load(&args.module).await.map_err(|error| explain::load(&args.module, &error))?;
    check_job(args, &module)?;
    let mut signals = Signals::listen()?;
    let stdout = Stdout::default();
    config.stdout = match args.json {
        true => show.beside(std::io::stderr()),
        false => show.beside(stdout.clone()),
    };
    config.stderr = show.beside(std::io::stderr());
    let here = [Worker { node: None }];
    let nodes = if args.workers.is_empty() { &here[..] } else { &args.workers };
    let nodes = nodes.iter().map(|worker| worker.node.as_ref());
    let reached = tokio::select! {
        biased;
        code = signals.next() => Err(Ok(code)),
        addresses = ssh::reach(host, nodes, &order.launch, &config, workers) => addresses.map_err(Err),
    };
    let addresses = match reached {
        Ok(addresses) => addresses,
        // What has been launched is to end.
        Err(ended) => return host::finish(host, &mut signals, async { ended }).await,
    };
    let (job, channel) = host.spawn(&module, JOB, config).map_err(|error| explain::spawn(&args.module, module.other_exports(), &error))?;
    let message = json::to_message(&order.json(&addresses)).expect("an order is no message that is too long");
    let ending = tokio::select! {
        biased;
        code = signals.next() => Ending::Signal(code),
        () = stdout.is_lost() => Ending::Output,
        ending = async {
            // Where it cannot be put, the job has ended, and that says why.
            let _ = channel.put(message).await;
            follow(&channel, &job, &show).await
        } => ending,
    };
    if matches!(ending, Ending::Signal(_) | Ending::Output) {
        tokio::select! {
            biased;
            code = signals.next() => return Ok(code),
            () = interrupt(&channel, &job, &show) => {}
        }
    }
    show.clear();
    host::finish(host, &mut signals, wind_up(ending, host, &job, &stdout, &show)).await
}

/// Shows what the job says, until that was the last.
async fn follow(channel: &Channel, job: &Place, show: &Show) -> Ending {
    loop {
        let Ok(message) = channel.get().await else { return Ending::Exit(job.wait().await) };
        let event = json::from_message(&message);
        if show.event(&event).is_err() {
            return Ending::Output;
        }
        if let Some(done) = event.get("done") {
            return Ending::Done(done.clone());
        }
        if let Some(failed) = event.get("failed") {
            return Ending::Failed(failed.clone());
        }
    }
}

/// Lets the job end itself on all workers, for which it has some time.
async fn interrupt(channel: &Channel, job: &Place, show: &Show) {
    channel.close();
    let ended = async {
        // What it says of its end, programs may want to know.
        while let Ok(message) = channel.get().await {
            if show.event(&json::from_message(&message)).is_err() {
                break;
            }
        }
        job.wait().await
    };
    // Where the time runs out, it is killed.
    let _ = timeout(GRACE, ended).await;
}

/// That the module is a MapReduce program.
fn check_job(args: &Args, module: &Module) -> Result<(), CliError> {
    if module.starts().any(|name| name == JOB) {
        return Ok(());
    }
    Err(CliError::new(ExitCode::CANNOT, format!("`{}` is no MapReduce program", args.module.display()))
        .hint("its functions have attributes of the crate places-mapreduce; `placehost run` starts other programs"))
}

/// Ends the job if it has not ended, and says how it went.
async fn wind_up(ending: Ending, host: &Host, job: &Place, stdout: &Stdout, show: &Show) -> Result<ExitCode, CliError> {
    // The time may run out only where it computes without preemption.
    let _ended = timeout(GRACE, job.kill()).await;
    if let Some(error) = stdout.error() {
        return Err(super::terminal::cannot_write(error));
    }
    match ending {
        Ending::Signal(code) => Ok(code),
        Ending::Output => Ok(ExitCode::CLOSED),
        Ending::Done(done) => {
            show.summary(&done);
            Ok(ExitCode::SUCCESS)
        }
        Ending::Failed(failed) => Err(report::failure(&failed, show.has_begun())),
        Ending::Exit(reason) => explain::exit(job, &reason, host.max_places()),
    }
}
