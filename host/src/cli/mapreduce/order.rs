//! What a job is told, and what it is granted for that: the first message to `mapreduce-job`.

use std::fs;
use std::path::{self, Path, PathBuf};

use clap::ValueEnum;
use placehost::{CreateOptions, Dir, Grants, ObjectUrl, Objects};
use serde_json::{Map, Value, json};

use super::{Args, OutputAt};
use crate::cli::error::CliError;
use crate::cli::exit_code::ExitCode;
use crate::cli::parse::{self, Target};

/// Where tasks run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Worker {
    /// Absent for this machine.
    pub(super) node: Option<Target>,
}

/// One of `--workers`: `HOST`, `HOST:PORT`, `ssh://[USER@]HOST[:PORT]`, or `.`.
pub(super) fn worker(text: &str) -> Result<Worker, String> {
    match text {
        "." => Ok(Worker { node: None }),
        _ => Ok(Worker { node: Some(parse::target(text)?) }),
    }
}

/// What is to be done.
pub(super) struct Order {
    fields: Map<String, Value>,
    /// How nodes are launched for it.
    pub(super) launch: CreateOptions,
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
        let here = args.workers.is_empty() || args.workers.iter().any(|worker| worker.node.is_none());
        let mut order = Self { fields: Map::new(), launch: CreateOptions::default(), dirs: Vec::new(), objects: Vec::new(), here };
        let inputs = args.input.iter().map(|text| order.input(text, &given)).collect::<Result<Vec<_>, _>>()?;
        let output = args.output.as_deref().map(|text| order.output(text, &given)).transpose()?;
        let mut fields = Map::new();
        let mut field = |name: &str, value: Value| {
            if !value.is_null() {
                fields.insert(name.into(), value);
            }
        };
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
        order.fields = fields;
        order.launch = order.launch(args, given);
        Ok(order)
    }

    /// As the job is told: its workers' nodes listen there, and none is this one.
    pub(super) fn json(&self, addresses: &[Option<String>]) -> Value {
        let mut fields = self.fields.clone();
        fields.insert("workers".into(), addresses.iter().map(|address| json!({ "address": address })).collect());
        fields.into()
    }

    /// What nodes have that are launched for the job: all that its tasks use, under the same paths, but not the folder of the output, which
    /// the job writes itself, here.
    fn launch(&self, args: &Args, given: Grants) -> CreateOptions {
        let text = |name: &str| self.fields.get(name);
        let inputs: Vec<&str> = text("inputs").into_iter().filter_map(Value::as_array).flatten().filter_map(Value::as_str).collect();
        let output = text("output").and_then(Value::as_str).filter(|_| args.output_at != Some(OutputAt::Workers));
        let used = |dir: &Dir| {
            let holds = |path: &str| Path::new(path).starts_with(&dir.guest);
            !output.is_some_and(holds) || inputs.iter().any(|input| holds(input))
        };
        let mut options = CreateOptions::default();
        options.dirs = given.dirs.into_iter().chain(self.dirs.iter().cloned()).filter(used).collect();
        options.dirs.iter_mut().for_each(|dir| dir.host = path::absolute(&dir.host).unwrap_or_else(|_| dir.host.clone()));
        options.objects = given.objects.into_iter().chain(self.objects.iter().cloned()).collect();
        options
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
        let text = |given| worker(given).map(|worker| worker.node.map(|node| node.to_string()));
        assert_eq!(text("."), Ok(None));
        assert_eq!(text("a"), Ok(Some("a:6340".into())));
        assert_eq!(text("a:7000"), Ok(Some("a:7000".into())));
        assert!(matches!(worker("ssh://me@a"), Ok(Worker { node: Some(Target::Ssh(_)) })));
        assert!(worker("").is_err() && worker("a:0").is_err() && worker("http://a").is_err());
    }
}
