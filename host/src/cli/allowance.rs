//! What places may use and reach: the options that `run` and `node` share.

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::ValueEnum;
use placehost::{DEFAULT_MEMORY, Dir, Grants, Host, HostBuilder, Limits, Objects, SCRATCH, machine};
use tokio::runtime::Runtime;

use super::error::CliError;
use super::exit_code::ExitCode;
use super::host::{self, Cache};
use super::parse;

/// What places may use and reach.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "What places may use")]
pub(crate) struct Allowance {
    /// Grant a directory, under another path if GUEST is given; can be repeated.
    #[arg(long, value_name = "HOST[::GUEST][:ro]", value_parser = parse::dir)]
    dir: Vec<Dir>,

    /// Grant a private directory, as /scratch: empty at first, made in DIR, and gone when the place is.
    ///
    /// The place's own places share it, unless they are given one of their own. On another node it is made where that one's option says.
    /// Its size has no bound but the file system's. What a process has left in DIR that was killed, the next one removes.
    #[arg(long, value_name = "DIR")]
    scratch: Option<PathBuf>,

    /// Grant the objects under s3://BUCKET/PREFIX or file:///DIR; can be repeated.
    ///
    /// The credentials for s3 are those of the environment here (AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_REGION, AWS_ENDPOINT, …), and
    /// no place sees them.
    #[arg(long, value_name = "URL[:ro]", value_parser = parse::objects)]
    objects: Vec<Objects>,

    /// Grant the network: TCP, UDP and name look-up.
    #[arg(long)]
    net: bool,

    /// Grant connecting to other nodes and creating them.
    #[arg(long)]
    allow_nodes: bool,

    /// Limit the memory of each place [default: 64MiB].
    #[arg(long, value_name = "SIZE", value_parser = parse::size)]
    memory: Option<u64>,

    /// Limit the life of a place, and with it its children's: 500ms, 2s, 1m.
    #[arg(long, value_name = "DURATION", value_parser = parse::duration)]
    deadline: Option<Duration>,

    /// Limit what each place computes, in units of about one instruction. Counting makes tight loops slower.
    #[arg(long, value_name = "UNITS")]
    fuel: Option<u64>,

    /// Whether a place that computes must yield to others. Off, tight loops are faster and each place has a thread.
    #[arg(long, value_name = "WHETHER", value_enum, default_value_t = Preempt::On)]
    preempt: Preempt,

    /// Keep each thread that runs places on one processor: they have the processors in turn.
    #[arg(long)]
    bind: bool,

    /// How many places there may be at once [default: what this machine has room for].
    #[arg(long, value_name = "PLACES", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    max_places: Option<u32>,

    /// Let places start modules from this folder, beside that of their own; can be repeated.
    #[arg(long, value_name = "DIR")]
    modules: Vec<PathBuf>,

    /// Compile modules even if they have been compiled before, and do not keep the results.
    #[arg(long)]
    no_cache: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Preempt {
    On,
    Off,
}

impl Allowance {
    /// The runtime that places run on.
    ///
    /// # Errors
    /// There is none, or its threads cannot be bound.
    pub(crate) fn workers(&self) -> Result<Runtime, CliError> {
        if self.bind { host::bound_workers() } else { host::workers() }
    }

    /// A host with room for such places.
    ///
    /// # Errors
    /// The options contradict each other, or name folders that are not there.
    pub(crate) fn builder(&self) -> Result<HostBuilder, CliError> {
        if self.deadline.is_some() && self.preempt == Preempt::Off {
            return Err(CliError::new(ExitCode::USAGE, "a deadline needs preemption: a place that computes could not be interrupted")
                .hint("leave `--preempt off` or `--deadline` away"));
        }
        if self.scratch.is_some() && self.dir.iter().any(|dir| dir.guest == SCRATCH) {
            return Err(CliError::new(ExitCode::USAGE, format!("both `--scratch` and a `--dir` would be `{SCRATCH}` in the place"))
                .hint("leave one away, or give the directory another path: `--dir HOST::GUEST`"));
        }
        let mut builder = Host::builder().preempt(self.preempt == Preempt::On).fuel(self.fuel.is_some());
        if let Some(places) = self.max_places {
            warn_of_many(places);
            builder = builder.max_places(places);
        }
        for folder in &self.modules {
            check_dir("--modules", folder)?;
            builder = builder.module_dir(folder);
        }
        if let Some(dir) = &self.scratch {
            builder = builder.scratch(dir);
        }
        Ok(builder)
    }

    /// Where compiled modules are kept.
    pub(crate) fn cache(&self) -> Cache {
        if self.no_cache { Cache::None } else { Cache::find() }
    }

    /// What each place may use.
    pub(crate) fn limits(&self) -> Limits {
        Limits { memory: self.memory.unwrap_or(DEFAULT_MEMORY), deadline: self.deadline, fuel: self.fuel }
    }

    /// The memory of each place, where an option says it.
    pub(crate) fn memory(&self) -> Option<u64> {
        self.memory
    }

    /// That the directories are there.
    ///
    /// # Errors
    /// One is not.
    pub(crate) fn check_dirs(&self) -> Result<(), CliError> {
        self.dir.iter().try_for_each(|Dir { host, .. }| check_dir("--dir", host))?;
        self.scratch.iter().try_for_each(|dir| check_dir("--scratch", dir))?;
        self.objects.iter().filter_map(|objects| objects.url.directory()).try_for_each(|dir| check_dir("--objects", &dir))
    }

    /// What each place may reach.
    pub(crate) fn grants(&self, env: Vec<(String, String)>) -> Grants {
        Grants {
            dirs: self.dir.clone(),
            scratch: self.scratch.is_some(),
            objects: self.objects.clone(),
            env,
            network: self.net,
            nodes: self.allow_nodes,
        }
    }
}

/// Says beforehand that the machine will refuse: what it then says is not about places.
fn warn_of_many(places: u32) {
    let room = machine::Limits::read().places();
    if places > room {
        let maps = machine::maps_for(places);
        tracing::warn!("this machine has room for about {room} places; for {places}: sudo sysctl -w vm.max_map_count={maps}");
    }
}

fn check_dir(option: &str, path: &Path) -> Result<(), CliError> {
    let cannot = |message| CliError::new(ExitCode::CANNOT, message);
    match path.metadata() {
        Ok(about) if about.is_dir() => Ok(()),
        Ok(_) => Err(cannot(format!("`{}` of {option} is not a directory", path.display()))),
        Err(error) => Err(cannot(format!("cannot use the directory `{}` of {option}", path.display())).because(&error)),
    }
}
