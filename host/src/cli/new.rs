//! `placehost new`: a crate with a first place.
//!
//! The files are templates under `cli/new/`. What is written there is a program that compiles and runs as it stands.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::error::CliError;
use super::exit_code::ExitCode;
use super::terminal;

/// Write a crate with a first place.
#[derive(Debug, clap::Args)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct Args {
    /// Its name, and that of the folder for it.
    name: String,

    /// The folder of the crate `places`, instead of the one that this placehost was built beside.
    #[arg(long, value_name = "PATH")]
    sdk: Option<PathBuf>,
}

const EXAMPLES: &str = "\
Examples:
  placehost new hello
  placehost run \"$(placehost build hello)\"";

/// Path in the crate, and what is in the file.
const FILES: [(&str, &str); 4] = [
    ("Cargo.toml", include_str!("new/Cargo.toml.template")),
    ("src/lib.rs", include_str!("new/lib.rs.template")),
    (".cargo/config.toml", include_str!("new/config.toml.template")),
    (".gitignore", include_str!("new/gitignore.template")),
];

/// Names that cargo refuses, or that would shadow what every crate uses. Keywords that may begin a crate's name come first.
const TAKEN: [&str; 47] = [
    "as",
    "async",
    "await",
    "break",
    "const",
    "continue",
    "crate",
    "dyn",
    "else",
    "enum",
    "extern",
    "false",
    "fn",
    "for",
    "gen",
    "if",
    "impl",
    "in",
    "let",
    "loop",
    "match",
    "mod",
    "move",
    "mut",
    "pub",
    "ref",
    "return",
    "self",
    "static",
    "struct",
    "super",
    "trait",
    "true",
    "try",
    "type",
    "unsafe",
    "use",
    "where",
    "while",
    "yield",
    "alloc",
    "core",
    "places",
    "proc-macro",
    "serde",
    "std",
    "test",
];

/// Writes the crate.
///
/// # Errors
/// The name is none, the folder is taken, or the system would not write it.
pub(crate) fn run(args: &Args) -> Result<ExitCode, CliError> {
    check_name(&args.name)?;
    let folder = Path::new(&args.name);
    check_free(folder)?;
    let places = dependency(args.sdk.as_deref())?;
    for (path, template) in FILES {
        let text = template.replace("{{name}}", &args.name).replace("{{places}}", &places);
        write(&folder.join(path), &text)?;
    }
    let file = args.name.replace('-', "_");
    terminal::say(&format_args!("Wrote `{0}`. Next:\n\n    cd {0}\n    cargo build --release", args.name));
    terminal::say(&format_args!("    placehost run target/wasm32-wasip2/release/{file}.wasm"));
    Ok(ExitCode::SUCCESS)
}

fn check_name(name: &str) -> Result<(), CliError> {
    let refuse = |why: &str| Err(CliError::new(ExitCode::FAILED, format!("`{name}` is no name for a crate: {why}")));
    if name.is_empty() {
        return refuse("it is empty");
    }
    if name.contains('/') {
        return refuse("it is a path").map_err(|error: CliError| error.hint("change to the folder that it should be made in"));
    }
    if !name.starts_with(|first: char| first.is_ascii_alphabetic()) {
        return refuse("it must begin with a letter from a to z");
    }
    if !name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_') {
        return refuse("it may have letters from a to z, digits, `-` and `_`");
    }
    if TAKEN.contains(&name.replace('_', "-").as_str()) {
        return refuse("Rust or a crate that it needs has that name");
    }
    Ok(())
}

fn check_free(folder: &Path) -> Result<(), CliError> {
    let taken = |what: &str| CliError::new(ExitCode::FAILED, format!("`{}` {what}", folder.display())).hint("choose another name");
    match fs::read_dir(folder) {
        Ok(mut entries) => match entries.next() {
            Some(_) => Err(taken("is there already, and is not empty")),
            None => Ok(()),
        },
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotADirectory => Err(taken("is there already, and is no folder")),
        Err(error) => Err(taken("cannot be looked into").because(&error)),
    }
}

/// The value of the dependency on `places`.
fn dependency(sdk: Option<&Path>) -> Result<String, CliError> {
    let folder = match sdk {
        Some(path) => Some(chosen_sdk(path)?),
        // The sources that this binary was built from may be gone, or on another machine.
        None => Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../guest-sdk")).canonicalize().ok().filter(|path| is_sdk(path)),
    };
    // JSON's strings are TOML's basic strings.
    Ok(match folder.as_deref().and_then(Path::to_str) {
        Some(path) => format!("{{ path = {} }}", serde_json::json!(path)),
        None => format!("\"{}\"", env!("CARGO_PKG_VERSION")),
    })
}

fn chosen_sdk(path: &Path) -> Result<PathBuf, CliError> {
    let refuse = |why: &str| CliError::new(ExitCode::FAILED, format!("`{}` of --sdk {why}", path.display()));
    let folder = path.canonicalize().map_err(|error| refuse("cannot be used").because(&error))?;
    if !is_sdk(&folder) {
        return Err(refuse("is not the crate `places`").hint("that is the folder `guest-sdk` of placehost's repository"));
    }
    if folder.to_str().is_none() {
        return Err(refuse("is not UTF-8, which Cargo.toml needs"));
    }
    Ok(folder)
}

fn is_sdk(folder: &Path) -> bool {
    fs::read_to_string(folder.join("Cargo.toml")).is_ok_and(|text| text.lines().any(|line| line.trim() == "name = \"places\""))
}

fn write(path: &Path, text: &str) -> Result<(), CliError> {
    let made = path.parent().map_or(Ok(()), fs::create_dir_all).and_then(|()| fs::write(path, text));
    made.map_err(|error| CliError::new(ExitCode::FAILED, format!("cannot write `{}`", path.display())).because(&error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_crates() {
        for name in ["hello", "hello-world", "hello_2", "A"] {
            assert!(check_name(name).is_ok(), "{name}");
        }
        for name in ["", "2nd", "-x", "a b", "a/b", "..", "grüße", "fn", "test", "places", "proc_macro"] {
            assert!(check_name(name).is_err(), "{name}");
        }
    }

    #[test]
    fn templates_have_no_other_gaps() {
        for (path, template) in FILES {
            let text = template.replace("{{name}}", "hello").replace("{{places}}", "\"1\"");
            assert!(!text.contains("{{"), "{path}");
            assert!(text.ends_with('\n'), "{path}");
        }
    }
}
