//! `placehost doctor`: whether this machine is fit to run places, and what would mend it.

use std::fmt::{self, Display};
use std::mem::ManuallyDrop;
use std::path::Path;

use placehost::machine::{Limits, maps_for};
use placehost::{BuildError, CacheError, Host, ROOMY, largest_memory};

use super::error::CliError;
use super::exit_code::ExitCode;
use super::host::{self, Cache};
use super::terminal::{self, GREEN, RED, YELLOW};
use super::toolchain::{INSTALL_TARGET, TARGET, Target};

/// Check this machine: limits, the cache, the Rust target.
///
/// Each line that is not `ok` has the command that mends it. Ends with 125 where `placehost run` would fail.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "Examples:\n  placehost doctor")]
pub(crate) struct Args {}

/// One line of the answer.
struct Check {
    status: Status,
    what: &'static str,
    found: String,
    mend: Option<String>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Status {
    Ok,
    /// `run` works, for some.
    Warn,
    /// `run` fails.
    Fail,
}

impl Check {
    fn ok(what: &'static str, found: impl Into<String>) -> Self {
        Self { status: Status::Ok, what, found: found.into(), mend: None }
    }

    fn warn(what: &'static str, found: impl Into<String>, mend: impl Into<String>) -> Self {
        Self { status: Status::Warn, what, found: found.into(), mend: Some(mend.into()) }
    }

    fn fail(what: &'static str, found: impl Into<String>, mend: impl Into<String>) -> Self {
        Self { status: Status::Fail, ..Self::warn(what, found, mend) }
    }
}

impl Display for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { status, what, found, mend } = self;
        let (style, word) = match status {
            Status::Ok => (GREEN, "ok"),
            Status::Warn => (YELLOW, "warn"),
            Status::Fail => (RED, "fail"),
        };
        write!(f, "{style}{word:<5}{style:#} {what:<14} {found}")?;
        mend.as_ref().map_or(Ok(()), |mend| write!(f, "; {mend}"))
    }
}

/// Prints a line for each check.
///
/// # Errors
/// `run` would fail.
pub(crate) fn run(_: &Args) -> Result<ExitCode, CliError> {
    let limits = Limits::read();
    let [engine, cache] = engine_and_cache(&limits, &Cache::find())?;
    let checks = [maps(&limits), engine, open_files(&limits), cache, target(Target::find(Path::new(".")))];
    for check in &checks {
        terminal::answer(check)?;
    }
    let failed = checks.iter().any(|check| check.status == Status::Fail);
    Ok(if failed { ExitCode::CANNOT } else { ExitCode::SUCCESS })
}

/// Fewer places than this are worth a warning. Linux as it comes has room for a few more.
const MANY: u32 = 10_000;

fn maps(limits: &Limits) -> Check {
    const WHAT: &str = "memory maps";
    let places = limits.places();
    match limits.max_map_count {
        None => Check::ok(WHAT, "this system does not limit them"),
        Some(maps) if places >= MANY => Check::ok(WHAT, format!("vm.max_map_count = {maps} suffices for about {places} places")),
        Some(maps) => Check::warn(
            WHAT,
            format!("vm.max_map_count = {maps} suffices for about {places} places"),
            format!("for {MANY}: sudo sysctl -w vm.max_map_count={}", maps_for(MANY)),
        ),
    }
}

/// Builds a host, which reserves what `run` reserves, without the cache and then with it.
fn engine_and_cache(limits: &Limits, cache: &Cache) -> Result<[Check; 2], CliError> {
    // Not dropped, as in `run`.
    let workers = ManuallyDrop::new(host::workers()?);
    let _inside = workers.enter();
    let built = Host::builder().build();
    let with_cache = match cache {
        Cache::None => None,
        Cache::Chosen(folder) | Cache::Usual(folder) => Some((folder.as_path(), Host::builder().cache(folder).build())),
    };
    let cache_error = with_cache.map(|(folder, built)| match built {
        Err(BuildError::Cache(error)) => (folder, Some(error)),
        _ => (folder, None),
    });
    Ok([address_space(limits, built.err()), cache_folder(cache, cache_error)])
}

fn address_space(limits: &Limits, error: Option<BuildError>) -> Check {
    const WHAT: &str = "address space";
    const MEND: &str = "ulimit -v unlimited";
    let wanted = u64::from(limits.places().min(ROOMY)) * largest_memory(limits.places().min(ROOMY));
    match (error, limits.address_space) {
        (Some(error), _) => Check::fail(WHAT, error.to_string(), MEND),
        (None, Some(limit)) if limit < wanted => {
            Check::warn(WHAT, format!("{} GiB of it do not suffice for all places; {} do", limit >> 30, wanted >> 30), MEND)
        }
        (None, Some(limit)) => Check::ok(WHAT, format!("{} GiB", limit >> 30)),
        (None, None) => Check::ok(WHAT, "not limited"),
    }
}

fn open_files(limits: &Limits) -> Check {
    /// What most systems give; a place that opens none takes none.
    const USUAL: u64 = 1024;
    const WHAT: &str = "open files";
    match limits.open_files {
        None => Check::ok(WHAT, "not limited"),
        Some(files) if files >= USUAL => Check::ok(WHAT, format!("{files} for all places together")),
        Some(files) => Check::warn(WHAT, format!("{files} for all places together"), format!("ulimit -n {USUAL}")),
    }
}

fn cache_folder(cache: &Cache, outcome: Option<(&Path, Option<CacheError>)>) -> Check {
    const WHAT: &str = "cache";
    let Some((folder, error)) = outcome else {
        return Check::warn(WHAT, "there is no home, so modules are compiled each time", "export PLACEHOST_CACHE=FOLDER");
    };
    let Some(error) = error else { return Check::ok(WHAT, folder.display().to_string()) };
    let mend = match &error {
        CacheError::Shared { path } => format!("chmod 0700 {}", path.display()),
        _ => "export PLACEHOST_CACHE=FOLDER".into(),
    };
    let source = std::error::Error::source(&error).map(|source| format!(": {source}")).unwrap_or_default();
    let found = format!("{error}{source}");
    if matches!(cache, Cache::Chosen(_)) { Check::fail(WHAT, found, mend) } else { Check::warn(WHAT, found, mend) }
}

fn target(target: Target) -> Check {
    const WHAT: &str = "guest target";
    match target {
        Target::Installed => Check::ok(WHAT, format!("{TARGET} is installed")),
        Target::Missing => Check::warn(WHAT, format!("{TARGET} is not installed, so places cannot be compiled here"), INSTALL_TARGET),
        Target::NoCompiler(_) => Check::warn(WHAT, "there is no rustc, so places cannot be compiled here", "see https://rustup.rs"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn too_few_maps_are_mended_by_sysctl() {
        let limits = |maps| Limits { max_map_count: Some(maps), address_space: None, open_files: None };
        assert!(maps(&limits(65_530)).status == Status::Ok);
        let few = maps(&limits(10_000));
        assert!(few.status == Status::Warn);
        assert_eq!(few.mend.as_deref(), Some("for 10000: sudo sysctl -w vm.max_map_count=65536"));
    }

    #[test]
    fn only_a_chosen_cache_has_to_work() {
        let error = || Some((Path::new("/x"), Some(CacheError::Shared { path: "/x".into() })));
        assert!(cache_folder(&Cache::Chosen("/x".into()), error()).status == Status::Fail);
        assert!(cache_folder(&Cache::Usual("/x".into()), error()).status == Status::Warn);
        assert!(cache_folder(&Cache::None, None).status == Status::Warn);
    }
}
