//! Laws of the repository's structure that neither the compiler nor a lint knows.
//!
//! They look at text, and at code without its comments where a word may well be spoken of. Cargo holds the crates to their layers;
//! these hold the modules of one crate to theirs.

use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

use crate::harness::repository;

/// What may lie at the top, beside dot-files.
const TOP: [&str; 17] = [
    "ARCHITECTURE.md",
    "CHANGELOG.md",
    "Cargo.lock",
    "Cargo.toml",
    "LICENSE",
    "README.md",
    "clippy.toml",
    "deny.toml",
    "examples",
    "guest-sdk",
    "host",
    "rust-toolchain.toml",
    "rustfmt.toml",
    "scripts",
    "target",
    "tests",
    "wit",
];
/// Past this length a file is two.
const LONGEST_FILE: usize = 800;

/// A text file, by its path from the top of the repository.
struct Source {
    path: String,
    text: String,
}

impl Source {
    /// The lines of code, with their numbers; those that are comments are left out.
    fn code(&self) -> impl Iterator<Item = (usize, &str)> {
        (1..).zip(self.text.lines()).filter(|(_, line)| !line.trim_start().starts_with("//"))
    }
}

/// The files in this folder and below that end so. `target` and what begins with a dot are not ours.
fn sources(folder: &str, end: &str) -> Vec<Source> {
    let mut found = Vec::new();
    walk(&repository(folder), &mut |path| {
        if path.to_string_lossy().ends_with(end) {
            let text = fs::read_to_string(path).expect("it is text");
            let path = path.strip_prefix(repository("")).expect("it lies in the repository");
            found.push(Source { path: path.to_string_lossy().into_owned(), text });
        }
    });
    assert!(!found.is_empty(), "there is no {end} in {folder}");
    found
}

fn walk(folder: &Path, each: &mut impl FnMut(&Path)) {
    for path in entries(folder) {
        let name = name(&path);
        match path.is_dir() {
            true if name == "target" || name.starts_with('.') => {}
            true => walk(&path, each),
            false => each(&path),
        }
    }
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).expect("it is a folder");
    let mut paths: Vec<_> = entries.map(|entry| entry.expect("it can be read").path()).collect();
    paths.sort();
    paths
}

fn name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// Fails if one of these words is in the code of one of these files.
#[track_caller]
fn absent(files: impl IntoIterator<Item = Source>, words: &[&str]) {
    let mut found = String::new();
    for file in files {
        for (number, line) in file.code().filter(|(_, line)| words.iter().any(|word| line.contains(word))) {
            writeln!(found, "{}:{number}: {}", file.path, line.trim()).expect("a string takes all");
        }
    }
    assert!(found.is_empty(), "{words:?} do not belong here:\n{found}");
}

/// The host's own files, except those in modules of these names: `place` stands for `place.rs` and `place/`.
fn host_without(modules: &[&str]) -> impl Iterator<Item = Source> {
    sources("host/src", ".rs").into_iter().filter(move |file| !modules.iter().any(|module| belongs(file, module)))
}

fn belongs(file: &Source, module: &str) -> bool {
    let rest = file.path.strip_prefix("host/src/").and_then(|path| path.strip_prefix(module));
    rest.is_some_and(|rest| rest == ".rs" || rest.starts_with('/'))
}

#[test]
fn every_file_says_what_it_owns() {
    for file in sources("", ".rs") {
        let is_a_case = file.path.starts_with("tests/ui/");
        assert!(is_a_case || file.text.starts_with("//! "), "{} does not open with `//!`", file.path);
        let owns = file.text.lines().next().and_then(|line| line.strip_prefix("//! ")).unwrap_or_default();
        assert!(is_a_case || owns.len() > 10, "{} says nothing in its first line", file.path);
    }
}

#[test]
fn no_file_is_two() {
    for file in sources("", ".rs") {
        let lines = file.text.lines().count();
        assert!(lines <= LONGEST_FILE, "{} has {lines} lines", file.path);
    }
}

#[test]
fn nothing_is_left_to_be_done_and_no_test_is_skipped() {
    // In two parts, so that this file is none of those.
    let words = [("todo", "!("), ("unimplemented", "!("), ("dbg", "!("), ("#[", "ignore"), ("FIX", "ME"), ("XX", "X:")];
    let words = words.map(|(begin, end)| format!("{begin}{end}"));
    absent(sources("", ".rs"), &words.each_ref().map(String::as_str));
}

#[test]
fn only_the_command_line_knows_clap_and_prints() {
    absent(host_without(&["cli", "main"]), &["clap", "print!(", "println!(", "anstream"]);
}

#[test]
fn the_library_knows_nothing_of_the_command_line() {
    absent(host_without(&["cli", "main"]), &["crate::cli", "mod cli"]);
}

#[test]
fn the_command_line_uses_what_an_embedder_can() {
    let cli = sources("host/src", ".rs").into_iter().filter(|file| belongs(file, "cli") || belongs(file, "main"));
    let internal = ["channel", "config", "engine", "host", "id", "imports", "net", "node", "place", "router"];
    let internal = internal.map(|module| format!("crate::{module}::"));
    absent(cli, &internal.each_ref().map(String::as_str));
}

#[test]
fn only_engine_imports_and_place_know_wasmtime() {
    let know_it = ["bindings", "engine", "imports", "place/output", "place/spawn", "place/state"];
    absent(host_without(&know_it), &["wasmtime::", "wasmtime_wasi"]);
}

#[test]
fn places_know_no_network() {
    let place = sources("host/src", ".rs").into_iter().filter(|file| belongs(file, "place"));
    absent(place, &["crate::node", "crate::net", "crate::router", "quinn"]);
}

#[test]
fn only_net_knows_quinn_rustls_and_rcgen() {
    absent(host_without(&["net"]), &["quinn", "rustls", "rcgen", "webpki", "x509_parser"]);
}

#[test]
fn only_objects_knows_object_store() {
    absent(host_without(&["objects"]), &["object_store::", "reqwest"]);
}

#[test]
fn net_knows_neither_wasmtime_nor_places() {
    let net = sources("host/src", ".rs").into_iter().filter(|file| belongs(file, "net"));
    absent(net, &["wasmtime", "crate::place", "crate::engine", "crate::host", "crate::imports"]);
}

#[test]
fn channels_know_neither_wasmtime_nor_places() {
    let channel = sources("host/src", ".rs").into_iter().filter(|file| belongs(file, "channel"));
    absent(channel, &["wasmtime", "crate::place", "crate::engine", "crate::host", "crate::imports", "PlaceId"]);
}

#[test]
fn host_and_guest_sdk_share_nothing_but_the_contract() {
    let dependency = |manifest: &Source, package: &str| {
        let names = |line: &str| line.strip_prefix(package).is_some_and(|rest| rest.starts_with([' ', '.', '=']));
        assert!(!manifest.text.lines().any(names), "{} depends on `{package}`", manifest.path);
    };
    for manifest in sources("host", "Cargo.toml") {
        ["places", "places-macros"].iter().for_each(|package| dependency(&manifest, package));
    }
    for manifest in sources("guest-sdk", "Cargo.toml") {
        ["placehost", "placehost-proto"].iter().for_each(|package| dependency(&manifest, package));
        assert!(!manifest.text.contains("../host"), "{} reaches into the host", manifest.path);
    }
    let including = |folder: &str, other: &str| {
        for file in sources(folder, ".rs") {
            let included = file.code().find(|(_, line)| (line.contains("include") || line.contains("#[path")) && line.contains(other));
            assert!(included.is_none(), "{} includes of {other}: {included:?}", file.path);
        }
    };
    including("host", "guest-sdk/");
    including("guest-sdk", "host/");
}

#[test]
fn every_guest_is_compiled_and_tested() {
    let tests = entries(&repository("tests")).into_iter().filter(|path| name(path).ends_with(".rs"));
    let tests: String = tests.map(|path| fs::read_to_string(path).expect("it is text")).collect();
    for folder in ["examples", "tests/guests"] {
        let manifest = fs::read_to_string(repository(folder).join("Cargo.toml")).expect("it is a package");
        for path in entries(&repository(folder)).iter().filter(|path| name(path).ends_with(".rs") && name(path) != "lib.rs") {
            let guest = name(path).trim_end_matches(".rs").to_owned();
            let registered = manifest.contains(&format!("name = \"{guest}\"\npath = \"{guest}.rs\""));
            assert!(registered, "{folder}/{guest}.rs is no [[example]] of {folder}/Cargo.toml");
            assert!(tests.contains(&format!("\"{guest}\"")), "no test runs {folder}/{guest}.rs");
        }
    }
}

#[test]
fn every_case_of_misuse_has_its_words() {
    for path in entries(&repository("tests/ui")) {
        let pair = path.with_extension(if name(&path).ends_with(".rs") { "stderr" } else { "rs" });
        assert!(pair.exists(), "{} is not there", pair.display());
    }
}

#[test]
fn every_script_says_what_it_does() {
    for file in sources("scripts", ".sh") {
        let mut lines = file.text.lines();
        assert_eq!(lines.next(), Some("#!/usr/bin/env bash"), "{}", file.path);
        assert!(lines.next().is_some_and(|line| line.starts_with("# ")), "{} does not begin with what it does", file.path);
        assert!(file.text.contains("set -euo pipefail"), "{} goes on after an error", file.path);
    }
}

#[test]
fn the_top_holds_what_was_agreed() {
    for path in entries(&repository("")) {
        let name = name(&path);
        assert!(name.starts_with('.') || TOP.contains(&name.as_str()), "`{name}` does not belong at the top");
    }
}
