//! `placehost completions`: what a shell needs to complete our command line.

use clap::CommandFactory;
use clap_complete::Shell;

use super::error::CliError;
use super::exit_code::ExitCode;
use super::{Cli, terminal};

/// Print a script that completes placehost's command line.
#[derive(Debug, clap::Args)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct Args {
    /// The shell that will read it.
    shell: Shell,
}

const EXAMPLES: &str = "\
Examples:
  placehost completions bash > ~/.local/share/bash-completion/completions/placehost
  placehost completions fish > ~/.config/fish/completions/placehost.fish";

/// Prints the script.
///
/// # Errors
/// Standard output takes no more.
pub(crate) fn run(args: &Args) -> Result<ExitCode, CliError> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "placehost", &mut script);
    terminal::answer(&String::from_utf8_lossy(&script).trim_end())?;
    Ok(ExitCode::SUCCESS)
}
