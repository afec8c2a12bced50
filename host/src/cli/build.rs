//! `placehost build`: compiles a crate for places.
//!
//! It only spares people cargo's options: which target, which packages, and where the modules went.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::Stdio;

use serde_json::Value;

use super::error::CliError;
use super::exit_code::ExitCode;
use super::terminal;
use super::toolchain::{self, TARGET, Target};

/// Compile a crate for places, and print where its modules are.
///
/// It is `cargo build --target wasm32-wasip2` for every library and example of crate-type cdylib; cargo's options can be set in
/// .cargo/config.toml as usual.
#[derive(Debug, clap::Args)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct Args {
    /// The folder of the crate or workspace.
    #[arg(default_value = ".")]
    dir: PathBuf,

    /// Compile faster, to code that runs slower.
    #[arg(long)]
    dev: bool,
}

const EXAMPLES: &str = "\
Examples:
  placehost build
  placehost run \"$(placehost build hello)\"";

/// Compiles, and prints a path for each module.
///
/// # Errors
/// Something is missing, or cargo could not.
pub(crate) fn run(args: &Args) -> Result<ExitCode, CliError> {
    let dir = args.dir.canonicalize().map_err(|error| no_crate(&args.dir).because(&error))?;
    if !dir.join("Cargo.toml").is_file() {
        return Err(no_crate(&args.dir));
    }
    let wanted = wanted(&args.dir, &dir)?;
    Target::find(&dir).check()?;
    for module in compile(&dir, &wanted, args.dev)? {
        terminal::answer(&module)?;
    }
    Ok(ExitCode::SUCCESS)
}

fn no_crate(dir: &Path) -> CliError {
    CliError::new(ExitCode::FAILED, format!("there is no Cargo.toml in `{}`", dir.display()))
        .hint("`placehost build DIR` compiles the crate in another folder")
        .hint("`placehost new NAME` makes a crate")
}

/// The options that name what to compile: without them cargo would leave examples out, and take in crates of the workspace that
/// are not for places.
fn wanted(shown: &Path, dir: &Path) -> Result<Vec<String>, CliError> {
    let output = toolchain::cargo(dir, ["metadata", "--no-deps", "--format-version=1"]).stderr(Stdio::inherit()).output();
    let output = output.map_err(|error| toolchain::not_there("cargo", &error))?;
    if !output.status.success() {
        return Err(CliError::new(ExitCode::FAILED, format!("cargo cannot read `{}`", shown.join("Cargo.toml").display())));
    }
    let metadata = serde_json::from_slice(&output.stdout).unwrap_or_default();
    let options = select(&metadata, dir);
    match options.is_empty() {
        false => Ok(options),
        true => Err(CliError::new(ExitCode::FAILED, format!("nothing in `{}` is of crate-type cdylib", shown.display()))
            .hint("a place is a library; in Cargo.toml: [lib] crate-type = [\"cdylib\"]")),
    }
}

/// Chooses from what `cargo metadata` says.
fn select(metadata: &Value, dir: &Path) -> Vec<String> {
    let (mut packages, mut targets) = (BTreeSet::new(), BTreeSet::new());
    let manifest = dir.join("Cargo.toml");
    let is_root = metadata["workspace_root"].as_str().is_some_and(|root| Path::new(root) == dir);
    let all = items(&metadata["packages"]);
    let alone = all.clone().any(|package| package["manifest_path"].as_str().is_some_and(|path| Path::new(path) == manifest));
    for package in all {
        let own = package["manifest_path"].as_str().is_some_and(|path| Path::new(path) == manifest);
        if !own && (alone || !is_root) {
            continue;
        }
        for target in items(&package["targets"]).filter(|target| is_cdylib(target)) {
            packages.extend(package["id"].as_str().map(|id| format!("--package={id}")));
            let example = items(&target["kind"]).any(|kind| kind == "example");
            let name = target["name"].as_str().unwrap_or_default();
            targets.insert(if example { format!("--example={name}") } else { "--lib".into() });
        }
    }
    packages.into_iter().chain(targets).collect()
}

fn items(list: &Value) -> impl Iterator<Item = &Value> + Clone {
    list.as_array().into_iter().flatten()
}

fn is_cdylib(target: &Value) -> bool {
    items(&target["crate_types"]).any(|kind| kind == "cdylib")
}

/// Lets cargo compile, and returns the modules' paths.
fn compile(dir: &Path, wanted: &[String], dev: bool) -> Result<Vec<String>, CliError> {
    let mut cargo = toolchain::cargo(dir, ["build", "--target", TARGET, "--message-format=json-render-diagnostics"]);
    cargo.args(wanted).args((!dev).then_some("--release"));
    let mut child = cargo.spawn().map_err(|error| toolchain::not_there("cargo", &error))?;
    let lines = child.stdout.take().into_iter().flat_map(|out| BufReader::new(out).lines()).map_while(Result::ok);
    let modules = lines.flat_map(|line| modules_of(&serde_json::from_str(&line).unwrap_or_default())).collect();
    let status = child.wait().map_err(|error| CliError::new(ExitCode::FAILED, "cannot wait for cargo").because(&error))?;
    match status.success() {
        true => Ok(modules),
        // cargo has said why.
        false => Err(CliError::new(ExitCode::FAILED, "cargo could not build it")),
    }
}

/// The modules that a message of cargo's tells of.
fn modules_of(message: &Value) -> Vec<String> {
    let ours = message["reason"] == "compiler-artifact" && is_cdylib(&message["target"]);
    let files = items(&message["filenames"]).filter_map(Value::as_str);
    files.filter(|file| ours && file.ends_with(".wasm")).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn workspace() -> Value {
        let target = |name: &str, kind: &str, crate_type: &str| json!({"name": name, "kind": [kind], "crate_types": [crate_type]});
        json!({"workspace_root": "/w", "packages": [
            {"id": "path+file:///w/native#0.1.0", "manifest_path": "/w/native/Cargo.toml", "targets": [target("native", "lib", "lib")]},
            {"id": "path+file:///w/guest#0.1.0", "manifest_path": "/w/guest/Cargo.toml", "targets": [
                target("guest", "cdylib", "cdylib"), target("a", "example", "cdylib"), target("b", "example", "bin")]},
        ]})
    }

    #[test]
    fn only_what_is_for_places_is_built() {
        let expected = ["--package=path+file:///w/guest#0.1.0", "--example=a", "--lib"];
        assert_eq!(select(&workspace(), Path::new("/w")), expected);
        assert_eq!(select(&workspace(), Path::new("/w/guest")), expected);
        assert!(select(&workspace(), Path::new("/w/native")).is_empty());
    }

    #[test]
    fn modules_are_found_in_cargos_messages() {
        let target = json!({"crate_types": ["cdylib"]});
        let message = json!({"reason": "compiler-artifact", "target": target, "filenames": ["/t/a.wasm", "/t/a.d"]});
        assert_eq!(modules_of(&message), ["/t/a.wasm"]);
        assert!(modules_of(&json!({"reason": "build-finished", "success": true})).is_empty());
    }
}
