//! The host that a command builds, and its folder of compiled modules.

use std::env;
use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::time::Duration;

use placehost::{BuildError, Host, HostBuilder};
use tokio::runtime::{Builder, Runtime};

use super::error::CliError;
use super::exit_code::ExitCode;
use super::explain;
use super::signals::Signals;

/// How long a thread may take to start.
const PATIENCE: Duration = Duration::from_secs(1);

/// Where compiled modules are kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Cache {
    /// The user named it, so it has to work.
    Chosen(PathBuf),
    /// The usual place. Where it cannot be used, as in a home that is read-only, modules are compiled each time.
    Usual(PathBuf),
    /// Nowhere.
    None,
}

impl Cache {
    /// `$PLACEHOST_CACHE`, else `$XDG_CACHE_HOME/placehost`, else `~/.cache/placehost`.
    pub(crate) fn find() -> Self {
        Self::among(|name| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from))
    }

    /// The folder in it for modules that other nodes ship; none where they are to be kept in memory.
    ///
    /// # Errors
    /// The cache that the user named is unusable.
    pub(crate) fn modules(&self) -> Result<Option<PathBuf>, CliError> {
        let (folder, chosen) = match self {
            Self::Chosen(folder) => (folder.join("modules"), true),
            Self::Usual(folder) => (folder.join("modules"), false),
            Self::None => return Ok(None),
        };
        let made = DirBuilder::new().recursive(true).mode(0o700).create(&folder);
        // That it is there does not mean that it can be written to.
        match made.and_then(|()| tempfile::tempfile_in(&folder)) {
            Ok(_) => Ok(Some(folder)),
            Err(error) if chosen => Err(CliError::new(ExitCode::CANNOT, format!("cannot keep modules in `{}`", folder.display()))
                .because(&error)
                .hint("let PLACEHOST_CACHE name a folder that you may write to, or give `--no-cache`")),
            Err(error) => {
                tracing::warn!("modules from other nodes are kept in memory: cannot write to `{}`: {error}", folder.display());
                Ok(None)
            }
        }
    }

    fn among(variable: impl Fn(&str) -> Option<PathBuf>) -> Self {
        if let Some(folder) = variable("PLACEHOST_CACHE") {
            return Self::Chosen(folder);
        }
        // The XDG Base Directory Specification says that a relative path is to be ignored.
        let xdg = variable("XDG_CACHE_HOME").filter(|path| path.is_absolute());
        let folder = xdg.or_else(|| Some(variable("HOME")?.join(".cache")));
        folder.map_or(Self::None, |folder| Self::Usual(folder.join("placehost")))
    }
}

/// Builds the host, on the runtime that this is called in.
///
/// # Errors
/// There is no room for it, or the cache that the user named is unusable.
pub(crate) fn build(builder: HostBuilder, cache: Cache) -> Result<Host, CliError> {
    let explain = |error| explain::build(&error);
    match cache {
        Cache::None => builder.build().map_err(explain),
        Cache::Chosen(folder) => builder.cache(folder).build().map_err(explain),
        Cache::Usual(folder) => match builder.clone().cache(folder).build() {
            Err(BuildError::Cache(error)) => {
                let cause = std::error::Error::source(&error).map(|cause| format!(": {cause}")).unwrap_or_default();
                tracing::warn!("modules are compiled each time: {error}{cause}");
                builder.build().map_err(explain)
            }
            built => built.map_err(explain),
        },
    }
}

/// The runtime that places run on: a thread for each processor.
///
/// # Errors
/// The system has no thread or file left.
pub(crate) fn workers() -> Result<Runtime, CliError> {
    build_workers(Builder::new_multi_thread().enable_all())
}

/// The same, where each thread stays on one processor. They have the processors in turn, and so have those of places that cannot be
/// interrupted.
///
/// # Errors
/// As [`workers`]; or the system does not say which processors there are.
pub(crate) fn bound_workers() -> Result<Runtime, CliError> {
    let hint = "without `--bind` the system chooses where each thread runs";
    let none = || CliError::new(ExitCode::CANNOT, "cannot bind threads to processors: the system does not say which there are").hint(hint);
    let processors = core_affinity::get_core_ids().filter(|processors| !processors.is_empty()).ok_or_else(none)?;
    let (workers, turn) = (processors.len(), AtomicUsize::new(0));
    let (started, starts) = mpsc::channel();
    let bind = move || {
        let processor = processors[turn.fetch_add(1, Ordering::Relaxed) % processors.len()];
        if !core_affinity::set_for_current(processor) {
            tracing::warn!("a thread could not be bound to processor {}", processor.id);
        }
        let _ = started.send(());
    };
    let runtime = build_workers(Builder::new_multi_thread().enable_all().worker_threads(workers).on_thread_start(bind))?;
    // Their turns come first: another thread between them would leave a processor without a worker.
    for _ in 0..workers {
        let _ = starts.recv_timeout(PATIENCE);
    }
    Ok(runtime)
}

fn build_workers(builder: &mut Builder) -> Result<Runtime, CliError> {
    placehost::machine::raise_open_files();
    builder.build().map_err(|error| no_runtime(&error))
}

/// The runtime of the main thread, which never runs places: it answers signals even while they hold all workers.
///
/// # Errors
/// The system has no file left.
pub(crate) fn control() -> Result<Runtime, CliError> {
    Builder::new_current_thread().enable_all().build().map_err(|error| no_runtime(&error))
}

/// Takes no more places, does the last thing, and leaves. A signal ends each wait.
///
/// # Errors
/// Those of the last thing.
pub(crate) async fn finish(
    host: &Host,
    signals: &mut Signals,
    last: impl Future<Output = Result<ExitCode, CliError>>,
) -> Result<ExitCode, CliError> {
    host.shut_down();
    let ended = tokio::select! {
        biased;
        code = signals.next() => return Ok(code),
        ended = last => ended,
    };
    leave(host, signals).await;
    ended
}

/// Says goodbye to the nodes and leaves nothing behind, unless a signal forbids to wait for that.
pub(crate) async fn leave(host: &Host, signals: &mut Signals) {
    tokio::select! {
        _ = signals.next() => {}
        () = async { host.disconnect().await; host.clean_up().await } => {}
    }
}

fn no_runtime(error: &std::io::Error) -> CliError {
    let hint = "the limits of threads and open files are shown by `ulimit -u` and `ulimit -n`";
    CliError::new(ExitCode::CANNOT, "cannot start the threads for the places").because(error).hint(hint)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cache_is_where_the_environment_says() {
        let among = |variables: &[(&str, &str)]| {
            Cache::among(|name| variables.iter().find(|(key, _)| *key == name).map(|(_, value)| PathBuf::from(value)))
        };
        assert_eq!(among(&[]), Cache::None);
        assert_eq!(among(&[("HOME", "/h")]), Cache::Usual("/h/.cache/placehost".into()));
        assert_eq!(among(&[("HOME", "/h"), ("XDG_CACHE_HOME", "/x")]), Cache::Usual("/x/placehost".into()));
        assert_eq!(among(&[("HOME", "/h"), ("XDG_CACHE_HOME", "x")]), Cache::Usual("/h/.cache/placehost".into()));
        assert_eq!(among(&[("HOME", "/h"), ("PLACEHOST_CACHE", "/c")]), Cache::Chosen("/c".into()));
    }
}
