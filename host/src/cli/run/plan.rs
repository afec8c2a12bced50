//! The command line of `run`, checked: nothing starts before all of it makes sense.

use std::env;
use std::path::Path;

use placehost::{DEFAULT_MEMORY, Dir, Grants, Host, HostBuilder, Limits, Message, PlaceConfig, machine};

use super::input::message;
use super::{Args, Preempt};
use crate::cli::error::CliError;
use crate::cli::exit_code::ExitCode;
use crate::cli::host::Cache;
use crate::cli::parse::Variable;
/// What is to be built and started.
pub(super) struct Plan {
    pub(super) builder: HostBuilder,
    pub(super) cache: Cache,
    pub(super) config: PlaceConfig,
    pub(super) sends: Vec<Message>,
}

impl Plan {
    /// Checks all that can be checked beforehand.
    pub(super) fn new(args: &Args) -> Result<Self, CliError> {
        if args.deadline.is_some() && args.preempt == Preempt::Off {
            return Err(CliError::new(ExitCode::USAGE, "a deadline needs preemption: a place that computes could not be interrupted")
                .hint("leave `--preempt off` or `--deadline` away"));
        }
        let cache = if args.no_cache { Cache::None } else { Cache::find() };
        Ok(Self { builder: builder(args)?, cache, config: config(args)?, sends: sends(&args.send)? })
    }
}

fn builder(args: &Args) -> Result<HostBuilder, CliError> {
    let mut builder = Host::builder().preempt(args.preempt == Preempt::On).fuel(args.fuel.is_some());
    if let Some(places) = args.max_places {
        warn_of_many(places);
        builder = builder.max_places(places);
    }
    for folder in &args.modules {
        check_dir("--modules", folder)?;
        builder = builder.module_dir(folder);
    }
    Ok(builder)
}

/// Says beforehand that the machine will refuse: what it then says is not about places.
fn warn_of_many(places: u32) {
    let room = machine::Limits::read().places();
    if places > room {
        let maps = machine::maps_for(places);
        tracing::warn!("this machine has room for about {room} places; for {places}: sudo sysctl -w vm.max_map_count={maps}");
    }
}

fn config(args: &Args) -> Result<PlaceConfig, CliError> {
    args.dir.iter().try_for_each(|Dir { host, .. }| check_dir("--dir", host))?;
    let env = variables(&args.env, |name| env::var(name).ok())?;
    let mut config = PlaceConfig::default();
    config.args = args.args.clone();
    config.limits = Limits { memory: args.memory.unwrap_or(DEFAULT_MEMORY), deadline: args.deadline, fuel: args.fuel };
    config.grants = Grants { dirs: args.dir.clone(), env, network: args.net, nodes: args.allow_nodes };
    Ok(config)
}

fn check_dir(option: &str, path: &Path) -> Result<(), CliError> {
    let cannot = |message| CliError::new(ExitCode::CANNOT, message);
    match path.metadata() {
        Ok(about) if about.is_dir() => Ok(()),
        Ok(_) => Err(cannot(format!("`{}` of {option} is not a directory", path.display()))),
        Err(error) => Err(cannot(format!("cannot use the directory `{}` of {option}", path.display())).because(&error)),
    }
}

/// The variables to grant. Of several with one name the last one counts.
fn variables(wanted: &[Variable], ours: impl Fn(&str) -> Option<String>) -> Result<Vec<(String, String)>, CliError> {
    let mut granted: Vec<(String, String)> = Vec::new();
    for Variable { name, value } in wanted {
        let missing = || {
            CliError::new(ExitCode::CANNOT, format!("the variable `{name}` of --env is not set here, or is not UTF-8"))
                .hint(format!("`--env {name}=VALUE` gives it a value"))
        };
        let value = value.clone().or_else(|| ours(name)).ok_or_else(missing)?;
        granted.retain(|(other, _)| other != name);
        granted.push((name.clone(), value));
    }
    Ok(granted)
}

fn sends(texts: &[String]) -> Result<Vec<Message>, CliError> {
    let count = texts.len();
    let what = |index: usize| if count == 1 { "the value of --send".into() } else { format!("the value of --send number {}", index + 1) };
    texts.iter().enumerate().map(|(index, text)| message(&what(index), text.as_bytes(), ExitCode::USAGE)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_variable_is_passed_on_or_set() {
        let is = |name: &str, value: Option<&str>| Variable { name: name.into(), value: value.map(str::to_owned) };
        let ours = |name: &str| (name == "HOME").then(|| "/root".to_owned());
        let granted = variables(&[is("HOME", None), is("A", Some("1")), is("A", Some("2"))], ours).unwrap();
        assert_eq!(granted, [("HOME".into(), "/root".into()), ("A".into(), "2".into())]);
        assert!(variables(&[is("NOPE", None)], ours).unwrap_err().message().contains("`NOPE`"));
    }

    #[test]
    fn a_bad_send_is_named_and_shown() {
        let error = sends(&["1".into(), "World".into()]).unwrap_err();
        assert_eq!(error.message(), "the value of --send number 2 is not JSON: expected value at column 1");
        assert_eq!(error.causes(), ["World"]);
        assert_eq!(error.hints().len(), 1);
    }
}
