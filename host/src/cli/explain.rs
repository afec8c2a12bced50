//! The library's errors as sentences for people: what is wrong with which file, and what to do next.

use std::error::Error;
use std::fmt::Display;
use std::fs;
use std::path::Path;

use placehost::net::address::Address;
use placehost::{BuildError, CacheError, ExitReason, LoadError, NodeError, Place, SpawnError, machine};

use super::error::CliError;
use super::exit_code::ExitCode;

/// Why a module cannot be loaded.
pub(crate) fn load(path: &Path, error: &LoadError) -> CliError {
    let file = path.display();
    let cannot = |message: String| CliError::new(ExitCode::CANNOT, message);
    match error {
        LoadError::NotFound { .. } => cannot(format!("there is no module `{file}`")).hint(instead_of_missing(path)),
        LoadError::Directory { .. } => cannot(format!("`{file}` is a directory, not a module")).hint(instead_of_directory(path)),
        LoadError::Empty => cannot(format!("`{file}` is empty")).hint("build it again: something cut it short"),
        LoadError::NotWasm { begin } => {
            let begins = begin.escape_ascii();
            cannot(format!("`{file}` is not WebAssembly: it begins with `{begins}`")).hint(instead_of_other(begin))
        }
        LoadError::CoreModule => cannot(format!("`{file}` is a core WebAssembly module, not a component"))
            .hint("compile it for the target `wasm32-wasip2`, which makes components")
            .hint("or make a component of it: `wasm-tools component new core.wasm -o component.wasm`"),
        LoadError::Compiled => cannot(format!("`{file}` is compiled code, not WebAssembly"))
            .hint("give the .wasm file that it was made from: native code is never run from a file, and placehost keeps its own"),
        LoadError::Invalid(cause) => cannot(format!("`{file}` is no valid component"))
            .because(cause.as_ref())
            .hint("if it was copied or is being written, it may be cut short: build or copy it again"),
        LoadError::Imports { missing } => {
            let error = cannot(format!("`{file}` imports what this host does not offer"));
            let error = missing.iter().fold(error, |error, import| error.cause(import));
            error.hint("a place can import WASI 0.2 and places:core@0.2; `placehost inspect` shows what this one does")
        }
        LoadError::TooLarge { .. } => {
            cannot(error.to_string()).hint("`wasm-tools strip` takes debug information and names out of a module")
        }
        LoadError::Io { source, .. } => cannot(error.to_string()).because(source).hint(format!("`ls -l {file}` shows who may read it")),
        _ => cannot(format!("cannot load `{file}`")).because(error),
    }
}

fn instead_of_missing(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    match nearest(&name, modules_in(path.parent().unwrap_or(Path::new("")))) {
        Some(near) => format!("did you mean `{}`?", path.with_file_name(near).display()),
        None => "`placehost build` compiles a crate and prints where its module is".into(),
    }
}

fn instead_of_directory(path: &Path) -> String {
    let file = path.display();
    if path.join("Cargo.toml").exists() {
        return format!("`placehost build {file}` compiles the crate in it and prints where its module is");
    }
    match &modules_in(path)[..] {
        [] => "give the path of a .wasm file".into(),
        names => format!("it has {}", list(names.iter().map(String::as_str))),
    }
}

fn instead_of_other(begin: &[u8]) -> &'static str {
    match begin {
        [b'(' | b';', ..] => "if this is WebAssembly as text: `wasm-tools parse` makes a .wasm file of it",
        [b'\x7f', b'E', b'L', b'F', ..] => "this is a native program: compile it for the target `wasm32-wasip2`",
        [b'\0', ..] if b"\0asm".starts_with(begin) => "it was cut short: build or copy it again",
        _ => "a module is the .wasm file that `placehost build` makes of a crate",
    }
}

/// The names of the modules in a folder.
fn modules_in(folder: &Path) -> Vec<String> {
    let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let mut names: Vec<_> =
        entries.filter_map(|entry| entry.file_name().into_string().ok()).filter(|name| name.ends_with(".wasm")).collect();
    names.sort();
    names
}

/// Why the main place was not started; `others` are the exports of its module that are no start functions.
pub(crate) fn spawn<'a>(path: &Path, others: impl Iterator<Item = (&'a str, &'a str)>, error: &SpawnError) -> CliError {
    let file = path.display();
    let cannot = |message: String| CliError::new(ExitCode::CANNOT, message);
    match error {
        SpawnError::NoStart { start, has } => {
            let others = others.map(|(name, _)| name);
            let hint = nearest(start, has.clone()).map(|near| format!("did you mean `{near}`?"));
            let error = cannot(format!("`{file}` has no start function `{start}`"));
            exports(hint.into_iter().fold(error, CliError::hint), has, others)
        }
        SpawnError::BadStart { start, why } => cannot(format!("`{start}` in `{file}` is no start function: {why}"))
            .hint("in Rust, write #[places::start] before the function, and let it take a `places::Channel`"),
        SpawnError::TooManyPlaces { max } => too_many(cannot(error.to_string()), *max),
        SpawnError::Memory { max } => {
            let error = cannot(format!("a place can have at most {} here", bytes(*max)));
            match *max == placehost::DENSE_MEMORY {
                true => error.hint(format!("with `--max-places {}` or fewer it can have 4 GiB", placehost::ROOMY)),
                false => error.hint("WebAssembly's memories end there: share the work among several places"),
            }
        }
        SpawnError::NoFuel => cannot(error.to_string()).hint("`--fuel` turns it on"),
        SpawnError::NoPreemption => cannot(error.to_string()).hint("leave `--preempt off` or `--deadline` away"),
        SpawnError::OverBudget(cause) => {
            let text = "the place's memory limit has no room for its channel";
            cannot(text.into()).because(cause).hint("give it more with `--memory`, or leave that away for 64 MiB")
        }
        SpawnError::Scratch(cause) => cause
            .source()
            .into_iter()
            .fold(cannot(cause.to_string()), CliError::because)
            .hint("`--scratch` names a directory with room, on a disk of this machine, that you may write to"),
        SpawnError::Setup(cause) => cannot(format!("cannot set the place up that `{file}` should run in"))
            .because(cause.as_ref())
            .hint("`placehost doctor` checks what this machine allows"),
        _ => cannot(format!("cannot start `{file}`")).because(error),
    }
}

/// Why the main place was not started on another node.
pub(crate) fn spawn_at(at: &dyn Display, path: &Path, error: &SpawnError) -> CliError {
    const POLICY: &str = "what a node lets others have, the options it was started with say: `placehost help node`";
    let refused = CliError::new(ExitCode::CANNOT, format!("`{at}` did not start `{}`", path.display())).because(error);
    match error {
        SpawnError::NodeLost => lost(ExitCode::UNAVAILABLE, at),
        SpawnError::Refused(_) => refused.hint(POLICY),
        SpawnError::Limit(_) => refused.hint("ask for less, as with `--memory`").hint(POLICY),
        SpawnError::BadModule(_) => refused.hint("compare `placehost --version` on both machines"),
        SpawnError::OverBudget(cause) => CliError::new(ExitCode::CANNOT, "the place's memory limit has no room for its channel")
            .because(cause)
            .hint("give it more with `--memory`, or leave that away for 64 MiB"),
        _ => refused,
    }
}

/// Why a node cannot be had.
pub(crate) fn node(code: ExitCode, at: &dyn Display, error: &NodeError) -> CliError {
    let cannot = |message: String| CliError::new(code, message);
    match error {
        NodeError::Unreachable { address, why } => {
            let host = address.parse::<Address>().map_or_else(|_| address.clone(), |address| address.host().to_owned());
            let error = why.split("; ").fold(cannot(format!("there is no node at `{address}`")), CliError::cause);
            error.hint(format!("`placehost node` on `{host}` makes it one, for all; `placehost run --at ssh://{host}` does for that run"))
        }
        NodeError::Untrusted(refusal) => cannot(refusal.to_string()).hint(refusal.hint()),
        NodeError::Create(text) => {
            let mut lines = text.lines();
            let error = cannot(lines.next().unwrap_or_default().to_owned());
            let error = lines.fold(error, CliError::cause);
            error.hint(format!("`ssh {at} placehost --version` has to work, and without asking for anything"))
        }
        NodeError::Denied(_) => cannot(error.to_string()).hint("what a node lets others do, its `--allow` says: `placehost help node`"),
        NodeError::Version(_) => cannot(error.to_string()).hint("compare `placehost --version` on both machines"),
        NodeError::Lost => lost(code, at),
        error => error.source().into_iter().fold(cannot(error.to_string()), CliError::because),
    }
}

/// A node that was there.
pub(crate) fn lost(code: ExitCode, at: &dyn Display) -> CliError {
    CliError::new(code, format!("the node `{at}` was lost"))
        .hint("its log says more, if it still runs; `placehost ps --at` shows whether it does")
}

/// A module that cannot be started at all.
pub(crate) fn no_starts<'a>(path: &Path, others: impl Iterator<Item = &'a str>) -> CliError {
    exports(CliError::new(ExitCode::CANNOT, format!("`{}` has no start functions", path.display())), &[], others)
}

/// Hints about what a module exports.
fn exports<'a>(error: CliError, starts: &[String], mut others: impl Iterator<Item = &'a str>) -> CliError {
    if !starts.is_empty() {
        return error.hint(format!("it exports {}", list(starts.iter().map(String::as_str))));
    }
    if others.any(|name| name.starts_with("wasi:cli/run@")) {
        return error
            .hint("it is a WASI command, with a `main` of its own kind; other hosts run it, for instance wasmtime")
            .hint("a place is a library of `crate-type = [\"cdylib\"]`, with #[places::start] before its start functions");
    }
    error.hint("a start function is a function with #[places::start] before it, in a library of `crate-type = [\"cdylib\"]`")
}

fn too_many(error: CliError, max: u32) -> CliError {
    let error = error.hint("allow more with `--max-places`");
    let (room, wanted) = (machine::Limits::read().places(), max.saturating_mul(2));
    if wanted <= room {
        return error;
    }
    let maps = machine::maps_for(wanted);
    error.hint(format!("this machine has room for about {room}; for {wanted}: `sudo sysctl -w vm.max_map_count={maps}`"))
}

/// Why there is no host.
pub(crate) fn build(error: &BuildError) -> CliError {
    let cannot = CliError::new(ExitCode::CANNOT, error.to_string());
    let cannot = error.source().into_iter().fold(cannot, CliError::because);
    match error {
        BuildError::Engine(_) => {
            cannot.hint("`--max-places` asks for room for fewer").hint("`ulimit -v` limits address space; `ulimit -v unlimited` lifts that")
        }
        BuildError::Cache(CacheError::Shared { path }) => cannot
            .hint("let PLACEHOST_CACHE name a folder that is there for this alone")
            .hint(format!("if `{0}` is: `chmod 0700 {0}`", path.display())),
        BuildError::Cache(_) => cannot.hint("let PLACEHOST_CACHE name a folder that you may write to, or give `--no-cache`"),
        _ => cannot.hint("`placehost doctor` checks what this machine allows"),
    }
}

/// The exit code of a place that ended, or what went wrong in it.
pub(crate) fn exit(place: &Place, reason: &ExitReason, max_places: u32) -> Result<ExitCode, CliError> {
    let failed = |what: &str| CliError::new(ExitCode::of(reason), format!("place `{}` {what}", place.start()));
    match reason {
        ExitReason::Returned | ExitReason::Exited(_) => Ok(ExitCode::of(reason)),
        ExitReason::Trapped { message, backtrace } => Err(backtrace.lines().fold(failed(&format!("trapped: {message}")), CliError::cause)),
        ExitReason::Limit(which) => Err(failed(&format!("went over its limit: {which}")).hint(more_of(which))),
        // Mostly it is this error of a `spawn` that a place returns as its own.
        ExitReason::Failed(text) if text.contains(&SpawnError::TooManyPlaces { max: max_places }.to_string()) => {
            Err(too_many(failed(&reason.to_string()), max_places))
        }
        reason => Err(failed(&reason.to_string())),
    }
}

fn more_of(which: &str) -> &'static str {
    match which {
        which if which.contains("memory maps") => "`placehost doctor` says how many places that suffices for",
        which if which.contains("memory") => "give it more with `--memory`",
        which if which.contains("deadline") => "give it longer with `--deadline`",
        _ => "give it more with `--fuel`",
    }
}

/// The candidate that a person most likely meant.
fn nearest(name: &str, candidates: Vec<String>) -> Option<String> {
    /// Below this similarity a suggestion confuses more than it helps; clap's is the same.
    const ALIKE: f64 = 0.7;
    let scored = candidates.into_iter().map(|candidate| (strsim::jaro(name, &candidate), candidate));
    let (_, near) = scored.filter(|(score, _)| *score > ALIKE).max_by(|(a, _), (b, _)| a.total_cmp(b))?;
    Some(near)
}

/// `a`, `b` and `c`, quoted.
pub(crate) fn list<'a>(names: impl Iterator<Item = &'a str>) -> String {
    let quoted: Vec<_> = names.map(|name| format!("`{name}`")).collect();
    match &quoted[..] {
        [] => "nothing".into(),
        [one] => one.clone(),
        [others @ .., last] => format!("{} and {last}", others.join(", ")),
    }
}

/// A size in the largest unit that divides it.
pub(crate) fn bytes(size: u64) -> String {
    match size {
        0 => "0 bytes".into(),
        size if size % (1 << 30) == 0 => format!("{} GiB", size >> 30),
        size if size % (1 << 20) == 0 => format!("{} MiB", size >> 20),
        size => format!("{size} bytes"),
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    fn text(error: &CliError) -> String {
        anstream::adapter::strip_str(&error.to_string()).to_string()
    }

    #[test]
    fn every_load_error_names_the_file_and_a_next_step() {
        let path = || "x/hello.wasm".into();
        for error in [
            LoadError::NotFound { path: path() },
            LoadError::Directory { path: path() },
            LoadError::Io { path: path(), source: io::ErrorKind::PermissionDenied.into() },
            LoadError::TooLarge { path: path(), size: 1 << 40 },
            LoadError::Empty,
            LoadError::NotWasm { begin: b"hello".to_vec() },
            LoadError::CoreModule,
            LoadError::Compiled,
            LoadError::Imports { missing: vec!["`a:b/c`: none".into(), "`d:e/f`: none".into()] },
        ] {
            let text = text(&load(&path(), &error));
            assert!(text.lines().next().unwrap().contains("`x/hello.wasm`"), "{text}");
            assert!(text.contains("\n\nhint: "), "{text}");
        }
    }

    #[test]
    fn every_node_error_says_what_to_do() {
        let at = "host2:6340";
        for error in [
            NodeError::Unreachable {
                address: at.into(),
                why: "10.0.0.2:6340: no answer within 4.0 s; [::1]:6340: nobody listens there".into(),
            },
            NodeError::Denied("the policy of that node does not let others stop it".into()),
            NodeError::Lost,
            NodeError::Version("it speaks version 9".into()),
            NodeError::Create("no node was launched\nPermission denied".into()),
        ] {
            let text = text(&node(ExitCode::CANNOT, &at, &error));
            assert!(text.starts_with("error: ") && text.contains("\n\nhint: "), "{text}");
        }
        let why = "10.0.0.2:6340: no answer within 4.0 s; [::1]:6340: nobody listens there".to_owned();
        let text = text(&node(ExitCode::CANNOT, &at, &NodeError::Unreachable { address: at.into(), why }));
        assert!(text.contains("\n    10.0.0.2:6340: no answer within 4.0 s\n    [::1]:6340: nobody listens there\n"), "{text}");
    }

    #[test]
    fn missing_imports_stand_one_on_a_line() {
        let missing = vec!["`a:b/c`: none".into(), "`d:e/f`: none".into()];
        let text = text(&load(Path::new("x.wasm"), &LoadError::Imports { missing }));
        assert!(text.contains("\n    `a:b/c`: none\n    `d:e/f`: none\n"), "{text}");
    }

    #[test]
    fn the_nearest_name_is_suggested() {
        let has = || vec!["hello-world".to_owned(), "main".to_owned()];
        assert_eq!(nearest("helo-world", has()).as_deref(), Some("hello-world"));
        assert_eq!(nearest("mian", has()).as_deref(), Some("main"));
        assert_eq!(nearest("reduce", has()), None);
    }

    #[test]
    fn names_are_listed_as_in_a_sentence() {
        assert_eq!(list(["a"].into_iter()), "`a`");
        assert_eq!(list(["a", "b", "c"].into_iter()), "`a`, `b` and `c`");
    }

    #[test]
    fn a_wasi_command_is_recognized() {
        let text = text(&no_starts(Path::new("x.wasm"), ["wasi:cli/run@0.2.6"].into_iter()));
        assert!(text.contains("WASI command") && text.contains("cdylib"), "{text}");
    }

    #[test]
    fn sizes_are_shown_in_their_unit() {
        assert_eq!([bytes(64 << 20), bytes(4 << 30), bytes(1000)], ["64 MiB", "4 GiB", "1000 bytes"]);
    }
}
