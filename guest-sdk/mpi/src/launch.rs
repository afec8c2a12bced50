//! Jobs from a program: `rmpi-launch` and its configurations.

use std::fmt;

use places::{ExitReason, Module, Options, Place, spawn};

use crate::launcher::mpi_launcher;
use crate::wire::{Host, OnFailure, Order, Report};

/// What a job is made of; see [`build_config`], [`localhost_config`] and [`remote_config`].
#[derive(Clone, Debug, Default)]
#[must_use]
pub struct Config {
    hosts: Vec<Host>,
    args: Vec<String>,
    on_failure: OnFailure,
    tag_output: bool,
}

/// A job without ranks, to be added to.
///
/// ```
/// let config = places_mpi::build_config().ranks(2).on("host2:6340", 4).args(["--fast"]);
/// ```
pub fn build_config() -> Config {
    Config::default()
}

/// A job of so many ranks, all on this node.
pub fn localhost_config(ranks: u32) -> Config {
    build_config().ranks(ranks)
}

/// A job over other nodes: their addresses, and how many ranks each runs.
pub fn remote_config<A: Into<String>>(hosts: impl IntoIterator<Item = (A, u32)>) -> Config {
    hosts.into_iter().fold(build_config(), |config, (address, ranks)| config.on(address, ranks))
}

impl Config {
    /// So many ranks more, on this node.
    pub fn ranks(mut self, ranks: u32) -> Self {
        self.hosts.push(Host { address: None, ranks });
        self
    }

    /// So many ranks more, on the node at an address. Whoever launches the job needs the grant to reach nodes.
    pub fn on(mut self, address: impl Into<String>, ranks: u32) -> Self {
        self.hosts.push(Host { address: Some(address.into()), ranks });
        self
    }

    /// The arguments of each rank, which [`init`](crate::init) returns.
    pub fn args<S: Into<String>>(mut self, args: impl IntoIterator<Item = S>) -> Self {
        self.args = args.into_iter().map(Into::into).collect();
        self
    }

    /// What becomes of the job when a rank goes wrong; all of it ends unless this says otherwise.
    pub fn on_failure(mut self, on_failure: OnFailure) -> Self {
        self.on_failure = on_failure;
        self
    }

    /// Puts the rank before each line that a rank prints.
    pub fn tag_output(mut self) -> Self {
        self.tag_output = true;
        self
    }
}

/// Why a job did not end well.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum LaunchError {
    /// The first rank that went wrong.
    Failed {
        /// Its number in the world.
        rank: usize,
        /// The node that it was on.
        host: String,
        /// How it ended.
        reason: ExitReason,
    },
    /// All ranks waited for each other, and no message was under way. A line for each says what for.
    Deadlock(Vec<String>),
    /// The job could not be started, or something beneath it failed; the text says what.
    Cannot(String),
}

impl fmt::Display for LaunchError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Failed { rank, host, reason } => write!(f, "rank {rank} on `{host}` {reason}"),
            Self::Deadlock(waits) => write!(f, "all ranks wait for each other: {}", waits.join("; ")),
            Self::Cannot(why) => f.write_str(why),
        }
    }
}

impl std::error::Error for LaunchError {}

/// A job that runs. Dropping it does not end it; the end of this place does.
#[derive(Debug)]
pub struct Job(Place<Report, Order>);

/// Runs a job of the start function `start` of a module to its end.
///
/// ```no_run
/// # mod program {
/// use places::{Channel, Module};
/// use places_mpi::{init, launch, localhost_config, op};
///
/// #[places::start]
/// fn prod_id(ch: Channel) -> places::Result {
///     let (world, _) = init(ch)?;
///     let mut product = [world.rank() as u64 + 1];
///     world.allreduce(&mut product, op::Prod)?;
///     println!("{}", product[0]);
///     Ok(())
/// }
///
/// #[places::start]
/// fn main(_: Channel) -> places::Result {
///     launch(&localhost_config(8), Module::This, prod_id::NAME)?;
///     Ok(())
/// }
/// # }
/// # fn main() {}
/// ```
///
/// # Errors
/// [`LaunchError`].
pub fn launch(config: &Config, module: impl Into<Module>, start: &str) -> Result<(), LaunchError> {
    begin(config, module, start)?.wait()
}

/// Begins such a job, without waiting for it: `#:no-wait`.
///
/// # Errors
/// [`LaunchError::Cannot`].
pub fn begin(config: &Config, module: impl Into<Module>, start: &str) -> Result<Job, LaunchError> {
    let cannot = |error: places::Error| LaunchError::Cannot(format!("the job cannot be started: {error}"));
    let launcher = spawn(module, mpi_launcher::NAME, Options::new()).map_err(cannot)?.typed();
    let Config { hosts, args, on_failure, tag_output } = config.clone();
    launcher.put(Order { start: start.into(), args, hosts, on_failure, tag_output }).map_err(cannot)?;
    Ok(Job(launcher))
}

impl Job {
    /// Waits for its end.
    ///
    /// # Errors
    /// [`LaunchError`].
    pub fn wait(self) -> Result<(), LaunchError> {
        match self.0.get() {
            Ok(Report::Done) => Ok(()),
            Ok(Report::Failed { rank, host, reason }) => Err(LaunchError::Failed { rank: rank as usize, host, reason: reason.into() }),
            Ok(Report::Deadlock { waits }) => Err(LaunchError::Deadlock(waits)),
            Ok(Report::Cannot { why }) => Err(LaunchError::Cannot(why)),
            Err(error) => {
                let ended = self.0.wait();
                Err(LaunchError::Cannot(format!("the launcher {ended}, without a word: {error}")))
            }
        }
    }

    /// Ends all of it.
    pub fn kill(self) {
        self.0.kill();
    }
}
