//! What a job is told, and what it is granted for that: the first message to `mapreduce-job`.

use std::fs;
use std::path::{self, Path, PathBuf};

use clap::ValueEnum;
use placehost::{Dir, Grants, ObjectUrl, Objects};
use serde_json::{Map, Value, json};

use super::Args;
use crate::cli::error::CliError;
use crate::cli::exit_code::ExitCode;
use crate::cli::parse;

/// A node that tasks run on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Worker {
    /// Absent for this machine.
    pub(super) address: Option<String>,
}

/// One of `--workers`: `HOST`, `HOST:PORT`, or `.`.
pub(super) fn worker(text: &str) -> Result<Worker, String> {
    match text {
        "." => Ok(Worker { address: None }),
        _ => Ok(Worker { address: Some(parse::address(text)?.to_string()) }),
    }
}

/// What is to be done.
pub(super) struct Order {
    json: Value,
    dirs: Vec<Dir>,
    objects: Vec<Objects>,
    /// Whether tasks run on this machine.
    here: bool,
}

impl Order {
    /// As the options say.
    ///
    /// # Errors
    /// An input or an output is not there, or cannot be.
    pub(super) fn new(args: &Args, verbose: u8) -> Result<Self, CliError> {
        let given = args.allowance.grants(Vec::new());
        let here = args.workers.is_empty() || args.workers.iter().any(|worker| worker.address.is_none());
        let mut order = Self { json: Value::Null, dirs: Vec::new(), objects: Vec::new(), here };
        let inputs = args.input.iter().map(|text| order.input(text, &given)).collect::<Result<Vec<_>, _>>()?;
        let output = args.output.as_deref().map(|text| order.output(text, &given)).transpose()?;
        let workers: Vec<_> = match &args.workers[..] {
            [] => vec![json!({ "address": null })],
            workers => workers.iter().map(|worker| json!({ "address": worker.address })).collect(),
        };
        let mut fields = Map::new();
        let mut field = |name: &str, value: Value| {
            if !value.is_null() {
                fields.insert(name.into(), value);
            }
        };
        field("workers", workers.into());
        field("slots", args.slots.into());
        field("inputs", inputs.into());
        field("split", args.split.into());
        field("output", output.into());
        if let Some(at) = args.output_at {
            let at = at.to_possible_value().expect("no value is hidden");
            field("output-at", at.get_name().into());
        }
        field("args", args.args.clone().into());
        let named = &args.functions;
        for (name, function) in [
            ("mapper", &named.mapper),
            ("combiner", &named.combiner),
            ("partitioner", &named.partitioner),
            ("reducer", &named.reducer),
            ("outputer", &named.outputer),
        ] {
            field(name, function.clone().into());
        }
        field("reducers", args.reducers.into());
        field("memory", args.allowance.memory().into());
        field("attempts", args.attempts.into());
        field("speculation", (!args.no_speculation).into());
        field("verbosity", u8::from(verbose > 0).into());
        order.json = fields.into();
        Ok(order)
    }

    /// As the job is told.
    pub(super) fn json(&self) -> Value {
        self.json.clone()
    }

    /// Adds what the job has to reach.
    pub(super) fn grant(&self, grants: &mut Grants) {
        grants.dirs.extend(self.dirs.iter().cloned());
        grants.objects.extend(self.objects.iter().cloned());
    }

    /// An input as the job knows it; what it names here is granted, to be read.
    fn input(&mut self, text: &str, given: &Grants) -> Result<String, CliError> {
        let (fixed, pattern) = split_pattern(text);
        if text.contains("://") {
            // Of `file:///*` the root is left, with its slash.
            let fixed = if fixed == "file://" { "file:///" } else { fixed };
            let url = self.store("--input", text, fixed, true)?;
            if self.here
                && let Some(path) = url.directory()
                && let Err(error) = path.metadata()
            {
                return Err(CliError::new(ExitCode::CANNOT, format!("cannot read the input `{text}`")).because(&error));
            }
            return Ok(text.trim_end_matches('/').to_owned());
        }
        if is_granted(given, text) {
            return Ok(text.to_owned());
        }
        let fixed = Path::new(if fixed.is_empty() { "." } else { fixed });
        let cannot = |error| {
            CliError::new(ExitCode::CANNOT, format!("cannot read the input `{text}`"))
                .because(&error)
                .hint("paths are this machine's; with `--dir HOST::GUEST` they may be those that the nodes have")
        };
        let about = fixed.metadata().map_err(cannot)?;
        let absolute = absolute(fixed).map_err(cannot)?;
        // A file is granted with its folder, for that is how grants are.
        let folder = if about.is_dir() { absolute.clone() } else { absolute.parent().unwrap_or(Path::new("/")).to_owned() };
        self.directory(folder, true);
        let input = if pattern.is_empty() { absolute } else { absolute.join(pattern) };
        Ok(input.to_string_lossy().into_owned())
    }

    /// The output as the job knows it; it is granted, to be written, and made if need be.
    fn output(&mut self, text: &str, given: &Grants) -> Result<String, CliError> {
        let cannot = |error| CliError::new(ExitCode::CANNOT, format!("cannot write into the output `{text}`")).because(&error);
        if text.contains("://") {
            let url = self.store("--output", text, text, false)?;
            if let Some(path) = url.directory().filter(|_| self.here) {
                fs::create_dir_all(path).map_err(cannot)?;
            }
            return Ok(url.to_string());
        }
        if is_granted(given, text) {
            return Ok(text.to_owned());
        }
        fs::create_dir_all(text).map_err(cannot)?;
        let absolute = absolute(Path::new(text)).map_err(cannot)?;
        self.directory(absolute.clone(), false);
        Ok(absolute.to_string_lossy().into_owned())
    }

    fn directory(&mut self, path: PathBuf, read_only: bool) {
        let guest = path.to_string_lossy().into_owned();
        match self.dirs.iter_mut().find(|dir| dir.host == path) {
            Some(dir) => dir.read_only &= read_only,
            None => self.dirs.push(Dir { host: path, guest, read_only }),
        }
    }

    fn store(&mut self, option: &str, text: &str, fixed: &str, read_only: bool) -> Result<ObjectUrl, CliError> {
        let url: ObjectUrl =
            fixed.parse().map_err(|error| CliError::new(ExitCode::USAGE, format!("`{text}` of {option} names no objects: {error}")))?;
        self.objects.push(Objects::new(url.clone(), read_only));
        Ok(url)
    }
}

/// The part of a path before the first name with a wildcard, and the rest.
fn split_pattern(text: &str) -> (&str, &str) {
    let Some(wildcard) = text.find(['*', '?', '[']) else { return (text, "") };
    match text[..wildcard].rfind('/') {
        None => ("", text),
        Some(0) => ("/", &text[1..]),
        Some(slash) => (&text[..slash], &text[slash + 1..]),
    }
}

/// Whether a path of the guest lies in a directory that an option grants.
fn is_granted(given: &Grants, path: &str) -> bool {
    given.dirs.iter().any(|dir| Path::new(path).starts_with(&dir.guest))
}

/// Without `..`, which no path in a place can have.
fn absolute(path: &Path) -> std::io::Result<PathBuf> {
    let absolute = path::absolute(path)?;
    match absolute.components().any(|part| part == path::Component::ParentDir) {
        true => absolute.canonicalize(),
        false => Ok(absolute),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_begins_where_the_first_wildcard_is() {
        for (text, fixed, pattern) in [
            ("data/*.txt", "data", "*.txt"),
            ("*.txt", "", "*.txt"),
            ("/*", "/", "*"),
            ("/srv/a?/b", "/srv", "a?/b"),
            ("/srv/data", "/srv/data", ""),
            ("s3://corpus/x/[a-c]*", "s3://corpus/x", "[a-c]*"),
            ("s3://corpus/*", "s3://corpus", "*"),
        ] {
            assert_eq!(split_pattern(text), (fixed, pattern), "{text}");
        }
    }

    #[test]
    fn workers_are_nodes_or_this_machine() {
        assert_eq!(worker("."), Ok(Worker { address: None }));
        assert_eq!(worker("a"), Ok(Worker { address: Some("a:6340".into()) }));
        assert_eq!(worker("a:7000"), Ok(Worker { address: Some("a:7000".into()) }));
        assert!(worker("").is_err() && worker("a:0").is_err());
    }
}
