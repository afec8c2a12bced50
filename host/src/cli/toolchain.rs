//! The Rust toolchain that compiles places: cargo and rustc, as they are found on PATH.

use std::ffi::OsStr;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::error::CliError;
use super::exit_code::ExitCode;

/// The target that gives components straight from cargo.
pub(crate) const TARGET: &str = "wasm32-wasip2";
/// What installs it.
pub(crate) const INSTALL_TARGET: &str = "rustup target add wasm32-wasip2";

/// What is known of the guest target.
#[derive(Debug)]
pub(crate) enum Target {
    /// Its standard library is there.
    Installed,
    /// There is a compiler, but no standard library for it.
    Missing,
    /// There is no compiler that answers.
    NoCompiler(io::Error),
}

impl Target {
    /// Asks the compiler that is used in `folder`, which may have a toolchain file.
    pub(crate) fn find(folder: &Path) -> Self {
        let mut rustc = Command::new("rustc");
        rustc.args(["--print", "target-libdir", "--target", TARGET]).current_dir(folder).stderr(Stdio::null());
        match rustc.output() {
            Err(error) => Self::NoCompiler(error),
            Ok(output) => {
                let folder = PathBuf::from(String::from_utf8_lossy(&output.stdout).trim_end());
                if output.status.success() && folder.is_dir() { Self::Installed } else { Self::Missing }
            }
        }
    }

    /// That it can be compiled for.
    ///
    /// # Errors
    /// It cannot; with what to do.
    pub(crate) fn check(self) -> Result<(), CliError> {
        match self {
            Self::Installed => Ok(()),
            Self::Missing => Err(CliError::new(ExitCode::FAILED, format!("the Rust target `{TARGET}` is not installed"))
                .hint(format!("`{INSTALL_TARGET}`"))
                .hint("or, where there is no rustup, `scripts/setup-guest-target.sh` of placehost's repository")),
            Self::NoCompiler(error) => Err(not_there("rustc", &error)),
        }
    }
}

/// A cargo command that runs in `folder`.
pub(crate) fn cargo(folder: &Path, args: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Command {
    let mut cargo = Command::new("cargo");
    cargo.args(args).current_dir(folder).stdin(Stdio::null()).stdout(Stdio::piped());
    cargo
}

/// The error for a program that does not start.
pub(crate) fn not_there(program: &str, error: &io::Error) -> CliError {
    match error.kind() {
        io::ErrorKind::NotFound => CliError::new(ExitCode::FAILED, format!("there is no `{program}` on PATH"))
            .hint("https://rustup.rs installs Rust; it may be necessary to open a new terminal after that"),
        _ => CliError::new(ExitCode::FAILED, format!("cannot run `{program}`")).because(error),
    }
}
