//! The command line: what `placehost` takes, and which file does it.
//!
//! stdout belongs to the place, or to what was asked for; what placehost says itself goes to stderr, and on success that is
//! nothing. Only this module knows clap, and only it prints. It uses nothing of the library that is not public.

mod allowance;
mod ask;
mod build;
mod cluster;
mod completions;
mod doctor;
mod error;
mod exit_code;
mod explain;
mod host;
mod inspect;
mod kill;
mod log;
mod mapreduce;
mod mpirun;
mod network;
mod new;
mod node;
mod nodes;
mod parse;
mod ps;
mod run;
mod signals;
mod ssh;
mod terminal;
mod toolchain;

use clap::{ArgAction, Parser, Subcommand};

use error::CliError;
use exit_code::ExitCode;

/// Runs places: isolated WebAssembly components that talk over channels.
#[derive(Debug, Parser)]
#[command(name = "placehost", version, after_long_help = EXAMPLES)]
struct Cli {
    #[command(subcommand)]
    command: Command,

    /// Say more on stderr: -v for information, -vv to debug, -vvv for everything.
    #[arg(short, long, global = true, action = ArgAction::Count, help_heading = GLOBAL)]
    verbose: u8,

    /// How the log on stderr is written.
    #[arg(long, global = true, value_name = "FORMAT", value_enum, default_value_t = log::Format::Text, help_heading = GLOBAL)]
    log_format: log::Format,
}

/// The heading of the options that every command takes.
const GLOBAL: &str = "Options of every command";

const EXAMPLES: &str = "\
Examples:
  placehost new hello                       Write a crate with a first place
  placehost build hello                     Compile it, and print where its module is
  placehost run hello.wasm                  Start the function `main` of a module
  placehost inspect hello.wasm              Say what is in a module, and whether it runs here
  placehost cluster init                    Let this machine say which others belong together with it
  placehost node                            Run places for the other machines of the cluster
  placehost mapreduce count.wasm --input data --output out
                                            Run a MapReduce program
  placehost run hello.wasm --at host2       Start it on the node there
  placehost ps --at host2                   Say what runs there
  placehost doctor                          Check this machine";

#[derive(Debug, Subcommand)]
enum Command {
    Run(run::Args),
    Mpirun(mpirun::Args),
    Mapreduce(mapreduce::Args),
    Inspect(inspect::Args),
    New(new::Args),
    Build(build::Args),
    #[command(subcommand)]
    Cluster(cluster::Command),
    Node(node::Args),
    Ps(ps::Args),
    Nodes(nodes::Args),
    Kill(kill::Args),
    Doctor(doctor::Args),
    Completions(completions::Args),
}

impl Command {
    fn run(self, verbose: u8) -> Result<ExitCode, CliError> {
        match self {
            Self::Run(args) => run::run(args),
            Self::Mpirun(args) => mpirun::run(args),
            Self::Mapreduce(args) => mapreduce::run(args, verbose),
            Self::Inspect(args) => inspect::run(&args),
            Self::New(args) => new::run(&args),
            Self::Build(args) => build::run(&args),
            Self::Cluster(command) => command.run(),
            Self::Node(args) => node::run(args),
            Self::Ps(args) => ps::run(&args),
            Self::Nodes(args) => nodes::run(&args),
            Self::Kill(args) => kill::run(&args),
            Self::Doctor(args) => doctor::run(&args),
            Self::Completions(args) => completions::run(&args),
        }
    }
}

/// Does what the command line says, and ends the process.
pub(crate) fn main() -> ! {
    let Cli { command, verbose, log_format } = Cli::parse();
    log::start(verbose, log_format);
    let code = command.run(verbose).unwrap_or_else(|error| error.report());
    // A return from `main` would do as well; this says that nothing may be waited for: not the thread that reads stdin, and not
    // a place that is stuck writing.
    std::process::exit(code.into())
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        super::Cli::command().debug_assert();
    }
}
