//! `placehost node`: a node, which runs places for others until it is told to stop; and the telling.
//!
//! The workers run the places. The main thread waits for what ends the node: a signal, another node that may, or, where the node
//! was launched by another, the end of standard input. Nothing that a place does keeps it from that.

mod bootstrap;
mod end;
mod listen;

use std::env;
use std::mem::ManuallyDrop;
use std::net::SocketAddr;
use std::time::Duration;

use clap::{Subcommand, ValueEnum};
use placehost::net::address::Address;
use placehost::net::trust::certificate::Name;
use placehost::net::trust::token::Token;
use placehost::{Allowed, Policy};

use super::allowance::Allowance;
use super::ask::Ask;
use super::error::CliError;
use super::exit_code::ExitCode;
use super::signals::Signals;
use super::{explain, host, network, parse};

/// Run places for other machines: be a node.
///
/// Only the machines of its cluster can reach a node (`placehost help cluster`). They may ask it for places within what the options here
/// say: a place gets what it asks for, if it is in that. A directory is known to others by its path in the place.
///
/// A node ends at Ctrl-C, SIGTERM or `placehost node stop`: it takes no more places, gives those that are there the time of --grace
/// to end, ends them, and takes its leave.
#[derive(Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true, after_long_help = EXAMPLES)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Option<Command>,

    #[command(flatten)]
    serve: Serve,
}

const EXAMPLES: &str = "\
Examples:
  placehost node                                        Listen at UDP port 6340
  placehost node --join ph1-…                           Join a cluster first, once
  placehost node --listen 127.0.0.1:0                   Listen on this machine alone, at any port
  placehost node --dir /srv/data::/data:ro --net        Let places read a directory and use the network
  placehost node --scratch /var/tmp                     Let places have directories of their own, made there
  placehost node --memory 1GiB --allow spawn,list       Let places have more, and others do less
  placehost node stop --at host2                        Stop the node there";

#[derive(Debug, Subcommand)]
enum Command {
    Stop(Stop),
}

/// Stop a node, and wait until it has ended.
///
/// It takes no more places, gives those that are there its time of grace, and ends.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "Examples:\n  placehost node stop\n  placehost node stop --at host2")]
struct Stop {
    #[command(flatten)]
    ask: Ask,
}

#[derive(Debug, clap::Args)]
struct Serve {
    /// The UDP address to listen at, as IP:PORT or IP; with port 0 at any that is free [default: port 6340 of all addresses].
    #[arg(long, value_name = "ADDRESS", value_parser = parse::listen)]
    listen: Option<SocketAddr>,

    /// What the node is called, instead of the name in its certificate.
    #[arg(long, value_name = "NAME")]
    name: Option<Name>,

    /// Where other nodes are told to reach it, where that is not the address it listens at; can be repeated.
    #[arg(long, value_name = "HOST:PORT", value_parser = parse::address)]
    advertise: Vec<Address>,

    /// Join the cluster of this token first, which `placehost cluster invite` printed; or renew the certificate there, where it has
    /// expired, is about to, or was revoked.
    #[arg(long, value_name = "TOKEN", conflicts_with = "ca")]
    join: Option<Token>,

    /// What others may do here: start places, see what runs, end places that they did not start, stop the node.
    #[arg(long, value_name = "WHAT", value_enum, value_delimiter = ',', default_value = "spawn,list,kill,stop")]
    allow: Vec<What>,

    /// How long places may go on when the node is to stop.
    #[arg(long, value_name = "DURATION", default_value = "5s", value_parser = parse::duration)]
    grace: Duration,

    /// Send what places log to the nodes that started them as well, even if those do not ask for it.
    #[arg(long)]
    log_to_parent: bool,

    #[command(flatten)]
    allowance: Allowance,

    #[command(flatten)]
    network: network::Options,

    /// Be launched: get who to be from standard input, say on standard output where it listens, and end with standard input.
    #[arg(long, hide = true, conflicts_with_all = ["listen", "join", "ca", "advertise"])]
    bootstrap: bool,

    /// The UDP port of a node that is launched.
    #[arg(long, hide = true, value_name = "PORT", default_value_t = 0, requires = "bootstrap")]
    listen_port: u16,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum What {
    Spawn,
    List,
    Kill,
    Stop,
    /// Nothing, and it stands alone.
    None,
}

/// Is a node, or stops one.
///
/// # Errors
/// There cannot be a node here, or there is none there.
pub(crate) fn run(args: Args) -> Result<ExitCode, CliError> {
    match args.command {
        Some(Command::Stop(Stop { ask })) => stop(&ask),
        None => serve(&args.serve),
    }
}

fn stop(ask: &Ask) -> Result<ExitCode, CliError> {
    ask.ask(async |_, node| {
        node.exit().await.map_err(|error| explain::node(ExitCode::FAILED, &ask.at, &error))?;
        node.lost().await;
        Ok(())
    })
    .map(|()| ExitCode::SUCCESS)
}

fn serve(args: &Serve) -> Result<ExitCode, CliError> {
    let policy = args.policy()?;
    args.allowance.check_dirs()?;
    let mut builder = args.allowance.builder()?;
    if args.bootstrap {
        builder = builder.scratch(env::temp_dir());
    }
    // Neither is dropped, as in `run`.
    let workers = ManuallyDrop::new(args.allowance.workers()?);
    let control = ManuallyDrop::new(host::control()?);
    let (identity, creator) = match args.bootstrap {
        true => bootstrap::receive().map(|(identity, creator)| (identity, Some(creator)))?,
        false => (workers.block_on(listen::identity(args))?, None),
    };
    let trusted = listen::trusted(&identity);
    let name = args.name.clone().map_or_else(|| identity.certificate().name().to_owned(), |name| name.to_string());
    let cache = args.allowance.cache();
    let config = listen::config(args, identity, policy, cache.modules()?);
    let host = {
        let _inside = workers.enter();
        ManuallyDrop::new(host::build(builder.name(name).network(config), cache)?)
    };
    control.block_on(async {
        let mut signals = Signals::listen()?;
        let addresses = listen::listen(&host).await?;
        match &creator {
            Some(_) => bootstrap::answer(&host, addresses)?,
            None => listen::say(&host, &trusted),
        }
        let ending = end::awaited(&host, &mut signals, creator).await;
        end::end(&host, &mut signals, ending, args.grace).await
    })
}

impl Serve {
    /// What others may do and have here.
    fn policy(&self) -> Result<Policy, CliError> {
        let may = |what| self.allow.contains(&what);
        if may(What::None) && self.allow.len() > 1 {
            return Err(CliError::new(ExitCode::USAGE, "`none` of --allow stands alone").hint("leave it away, or the others"));
        }
        let mut policy = Policy::default();
        policy.allowed = Allowed { spawn: may(What::Spawn), list: may(What::List), kill: may(What::Kill), stop: may(What::Stop) };
        policy.limits = self.allowance.limits();
        policy.grants = self.allowance.grants(Vec::new());
        policy.log_to_parent = self.log_to_parent;
        if self.bootstrap {
            // Who launched it can run anything there as the same user. A place still gets no more than its spawner has.
            policy.limits.memory = u64::MAX;
            (policy.grants.network, policy.grants.nodes, policy.grants.scratch) = (true, true, true);
        }
        Ok(policy)
    }
}
