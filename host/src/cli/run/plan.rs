//! The command line of `run`, checked: nothing starts before all of it makes sense.

use std::env;

use placehost::{HostBuilder, Message, PlaceConfig};

use super::Args;
use super::at;
use super::input::message;
use super::progress::Progress;
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
    pub(super) progress: Progress,
}

impl Plan {
    /// Checks all that can be checked beforehand.
    pub(super) fn new(args: &Args) -> Result<Self, CliError> {
        let progress = Progress::default();
        let (builder, config, sends) = (args.allowance.builder()?, config(args)?, sends(&args.send)?);
        let builder = builder.network(at::network(args.at.as_ref(), &args.network, &progress)?);
        Ok(Self { builder, cache: args.allowance.cache(), config, sends, progress })
    }
}

fn config(args: &Args) -> Result<PlaceConfig, CliError> {
    // The directories of another machine are its own.
    if args.at.is_none() {
        args.allowance.check_dirs()?;
    }
    let mut config = PlaceConfig::default();
    config.args = args.args.clone();
    config.limits = args.allowance.limits();
    config.log_to_parent = args.log_to_parent;
    config.grants = args.allowance.grants(variables(&args.env)?);
    Ok(config)
}

/// The variables to grant, with their values here.
///
/// # Errors
/// One is not set here.
pub(in crate::cli) fn variables(wanted: &[Variable]) -> Result<Vec<(String, String)>, CliError> {
    granted(wanted, |name| env::var(name).ok())
}

/// Of several with one name the last one counts.
fn granted(wanted: &[Variable], ours: impl Fn(&str) -> Option<String>) -> Result<Vec<(String, String)>, CliError> {
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
        let granted = super::granted(&[is("HOME", None), is("A", Some("1")), is("A", Some("2"))], ours).unwrap();
        assert_eq!(granted, [("HOME".into(), "/root".into()), ("A".into(), "2".into())]);
        assert!(super::granted(&[is("NOPE", None)], ours).unwrap_err().message().contains("`NOPE`"));
    }

    #[test]
    fn a_bad_send_is_named_and_shown() {
        let error = sends(&["1".into(), "World".into()]).unwrap_err();
        assert_eq!(error.message(), "the value of --send number 2 is not JSON: expected value at column 1");
        assert_eq!(error.causes(), ["World"]);
        assert_eq!(error.hints().len(), 1);
    }
}
