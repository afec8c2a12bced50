//! Files that are no modules, or none that run here: what the command says of them.

use std::fs::{self, File};
use std::path::Path;

use tempfile::TempDir;

use crate::harness::{Ended, guest, placehost, repository};

/// A component with one export, `main`, that has this type; `$channel` is the contract's.
fn component_with_main(ty: &str) -> Vec<u8> {
    wat(&format!(
        r#"(component
            (import "places:core/channels@0.2.0" (instance $channels (export "channel" (type (sub resource)))))
            (alias export $channels "channel" (type $channel))
            (core module $code
                (func (export "take") (param i32))
                (func (export "take-two") (param i32 i32))
                (func (export "give") (param i32) (result i32) i32.const 0)
                (func (export "nothing")))
            (core instance $code (instantiate $code))
            (func (export "main") {ty}))"#
    ))
}

fn wat(text: &str) -> Vec<u8> {
    wat::parse_str(text).expect("the text is a component")
}

/// A folder with this file, named `it.wasm`.
fn folder(bytes: &[u8]) -> TempDir {
    let folder = tempfile::tempdir().expect("there is room for a folder");
    fs::write(folder.path().join("it.wasm"), bytes).expect("there is room for a file");
    folder
}

/// Runs `it.wasm`, which fails with this on stderr; and inspects it, which says the same where `both`.
#[track_caller]
fn refused(bytes: &[u8], parts: &[&str]) -> Ended {
    let folder = folder(bytes);
    let inspected = placehost(["inspect", "it.wasm"]).dir(folder.path()).fails(125, parts);
    assert!(inspected.stdout.ends_with("runs here  no\n"), "{}", inspected.stdout);
    placehost(["run", "it.wasm"]).dir(folder.path()).fails(125, parts)
}

/// As [`refused`]; and it is not even tried to run it on another node.
#[track_caller]
fn refused_everywhere(bytes: &[u8], parts: &[&str]) -> Ended {
    placehost(["run", "it.wasm", "--at", ELSEWHERE]).dir(folder(bytes).path()).fails(125, parts);
    refused(bytes, parts)
}

/// Nobody gets so far as to look whether there is an ssh.
const ELSEWHERE: &str = "ssh://127.0.0.1";

#[track_caller]
fn says(folder: &Path, args: &[&str], stderr: &str) {
    let ended = placehost(args).dir(folder).fails(125, &[]);
    assert_eq!(ended.stderr, stderr);
    assert_eq!(ended.stdout, "");
}

/// As [`says`]; and the same where it is to run on another node.
#[track_caller]
fn says_everywhere(folder: &Path, args: &[&str], stderr: &str) {
    says(folder, args, stderr);
    says(folder, &[args, &["--at", ELSEWHERE]].concat(), stderr);
}

#[test]
fn a_missing_file_is_named_and_the_nearest_one_offered() {
    let folder = folder(b"");
    says_everywhere(folder.path(), &["run", "its.wasm"], "error: there is no module `its.wasm`\n\nhint: did you mean `it.wasm`?\n");
    let nothing_near = "error: there is no module `far/hello.wasm`\n\n\
                        hint: `placehost build` compiles a crate and prints where its module is\n";
    says_everywhere(folder.path(), &["run", "far/hello.wasm"], nothing_near);
    says(folder.path(), &["inspect", "far/hello.wasm"], nothing_near);
}

#[test]
fn a_directory_is_no_module() {
    let folder = folder(b"");
    says_everywhere(folder.path(), &["run", "."], "error: `.` is a directory, not a module\n\nhint: it has `it.wasm`\n");
    let with_crate = repository("host");
    placehost(["run".as_ref(), with_crate.as_os_str()]).fails(125, &["is a directory", "`placehost build "]);
}

#[test]
fn what_is_not_webassembly_is_told_from_what_is_cut_short() {
    refused_everywhere(b"", &["`it.wasm` is empty", "hint: build it again"]);
    refused_everywhere(b"\0a", &["begins with `\\x00a`", "hint: it was cut short"]);
    refused_everywhere(b"#!/bin/sh\necho hello\n", &["`it.wasm` is not WebAssembly: it begins with `#!/bin/s`"]);
    refused_everywhere(b"(component)", &["it begins with `(compone`", "`wasm-tools parse`"]);
    refused_everywhere(b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0\x03\0\x3e\0", &["is not WebAssembly", "native program", "`wasm32-wasip2`"]);
    refused_everywhere(b"\xff\xfe\x1b[31mred\x07", &["it begins with `\\xff\\xfe\\x1b[31mr`"]);
}

#[test]
fn a_core_module_is_told_how_to_become_a_component() {
    let folder = folder(b"\0asm\x01\0\0\0");
    let stderr = "error: `it.wasm` is a core WebAssembly module, not a component\n\n\
                  hint: compile it for the target `wasm32-wasip2`, which makes components\n\
                  hint: or make a component of it: `wasm-tools component new core.wasm -o component.wasm`\n";
    says_everywhere(folder.path(), &["run", "it.wasm"], stderr);
}

#[test]
fn native_code_is_never_run_from_a_file() {
    let folder = tempfile::tempdir().expect("there is room for a folder");
    let cache = folder.path().join("cache");
    let run = placehost(["run".as_ref(), guest("hello_world").as_os_str()]);
    run.env("PLACEHOST_CACHE", cache.to_str().expect("its path is text")).fails(0, &[]);
    let entries = |folder: &Path| fs::read_dir(folder).expect("it is a folder").map(|entry| entry.expect("it can be read").path());
    let compiled = entries(&cache).flat_map(|engine| entries(&engine)).find(|path| path.extension().is_some_and(|end| end == "cwasm"));
    let bytes = fs::read(compiled.expect("the cache has what was run")).expect("it can be read");
    refused_everywhere(&bytes, &["`it.wasm` is compiled code, not WebAssembly", "native code is never run from a file"]);
}

#[test]
fn a_component_that_is_cut_short_is_invalid() {
    let whole = fs::read(guest("hello_world")).expect("it can be read");
    for length in [4, 7, 9, 100, 1000, whole.len() / 2, whole.len() * 9 / 10, whole.len() - 1] {
        refused_everywhere(
            &whole[..length],
            &["error: `it.wasm` is no valid component\n", "hint: if it was copied or is being written, it may be cut"],
        );
    }
    // What is left of it then is a component without anything in it.
    refused_everywhere(&whole[..8], &["`it.wasm` has no start function", "#[places::start]"]);
}

#[test]
fn a_module_over_the_size_limit_is_not_read() {
    let folder = tempfile::tempdir().expect("there is room for a folder");
    let sparse = File::create(folder.path().join("big.wasm")).expect("there is room for a file");
    sparse.set_len(placehost::MAX_MODULE + 1).expect("it needs no room");
    for command in ["run", "inspect"] {
        placehost([command, "big.wasm"])
            .dir(folder.path())
            .fails(125, &["`big.wasm` has 268435457 bytes; a module may have 268435456", "hint: "]);
    }
}

#[test]
fn a_wrong_start_function_is_told_those_there_are() {
    let folder = folder(&fs::read(guest("hello_world")).expect("it can be read"));
    let near = "error: `it.wasm` has no start function `helo-world`\n\n\
                hint: did you mean `hello-world`?\n\
                hint: it exports `hello-world` and `main`\n";
    says_everywhere(folder.path(), &["run", "it.wasm", "helo_world"], near);
    let far = "error: `it.wasm` has no start function `x`\n\nhint: it exports `hello-world` and `main`\n";
    says_everywhere(folder.path(), &["run", "it.wasm", "x"], far);
    placehost(["run", "it.wasm", ""]).dir(folder.path()).fails(125, &["has no start function ``"]);
}

#[test]
fn an_export_of_another_type_is_no_start_function() {
    let takes_not = "it does not take one `own<channel>`";
    for (ty, why) in [
        (r#"(canon lift (core func $code "nothing"))"#, takes_not),
        (r#"(param "n" u32) (canon lift (core func $code "take"))"#, takes_not),
        (r#"(param "ch" (borrow $channel)) (canon lift (core func $code "take"))"#, takes_not),
        (r#"(param "ch" (own $channel)) (param "n" u32) (canon lift (core func $code "take-two"))"#, takes_not),
        (r#"(param "ch" (own $channel)) (result u32) (canon lift (core func $code "give"))"#, "it returns neither nothing nor"),
        (r#"(param "ch" (own $channel)) (result (result)) (canon lift (core func $code "give"))"#, "it returns neither nothing nor"),
    ] {
        let folder = folder(&component_with_main(ty));
        let error = format!("error: `main` in `it.wasm` is no start function: {why}");
        for at in [&[][..], &["--at", ELSEWHERE]] {
            let run = placehost([&["run", "it.wasm"], at].concat()).dir(folder.path());
            run.fails(125, &[&error, "hint: in Rust, write #[places::start]"]);
        }
        let inspected = placehost(["inspect", "it.wasm"]).dir(folder.path()).fails(125, &["`it.wasm` has no start functions"]);
        assert!(inspected.stdout.contains(&format!("exports    main: {why}")), "{}", inspected.stdout);
    }
}

#[test]
fn a_component_made_by_hand_runs() {
    let folder = folder(&component_with_main(r#"(param "ch" (own $channel)) (canon lift (core func $code "take"))"#));
    placehost(["run", "it.wasm"]).dir(folder.path()).prints("");
}

#[test]
fn an_import_that_is_not_offered_is_named_with_what_there_is() {
    let importing = |names: &[&str]| {
        let imports: String = names.iter().map(|name| format!("(import \"{name}\" (instance))")).collect();
        wat(&format!("(component {imports})"))
    };
    let all = folder(&importing(&["wasi:http/types@0.2.0", "wasi:io/poll@0.3.0", "acme:rocket/launch@1.0.0"]));
    let stderr = "error: `it.wasm` imports what this host does not offer\n    \
                  `wasi:http/types@0.2.0`: this host has no HTTP; a place can use TCP where `--net` grants it\n    \
                  `wasi:io/poll@0.3.0`: this host has WASI 0.2 (wasi:io@0.2)\n    \
                  `acme:rocket/launch@1.0.0`: this host has no such interface\n\n\
                  hint: a place can import WASI 0.2 and places:core@0.2; `placehost inspect` shows what this one does\n";
    says(all.path(), &["run", "it.wasm"], stderr);
    refused(&importing(&["places:core/channels@0.1.0"]), &["`places:core/channels@0.1.0`: this host has places:core@0.2"]);
    refused(&importing(&["places:core/nowhere@0.2.0"]), &["`places:core/nowhere@0.2.0`: this host has no such interface"]);
    refused(&wat(r#"(component (import "log" (func)))"#), &["`log`: this host has no such interface"]);
}

#[test]
fn a_function_that_an_interface_has_not_is_named() {
    let with = |function: &str| wat(&format!(r#"(component (import "places:core/logging@0.2.0" (instance (export {function}))))"#));
    refused(&with(r#""shout" (func)"#), &["imports what this host does not offer", "places:core/logging@0.2.0", "shout"]);
    refused(
        &with(r#""log" (func (param "message" string))"#),
        &["imports what this host does not offer", "places:core/logging@0.2.0", "log"],
    );
}

#[test]
fn a_wasi_command_is_told_from_a_place() {
    let command = wat(r#"(component
        (core module $code (func (export "run") (result i32) i32.const 0))
        (core instance $code (instantiate $code))
        (func $run (result (result)) (canon lift (core func $code "run")))
        (instance $run (export "run" (func $run)))
        (export "wasi:cli/run@0.2.0" (instance $run)))"#);
    refused_everywhere(&command, &["has no start function", "it is a WASI command", "wasmtime", "#[places::start]"]);
}

#[test]
fn inspect_says_in_json_what_is_wrong() {
    let folder = folder(b"\0asm\x01\0\0\0");
    let ended = placehost(["inspect", "it.wasm", "--json"]).dir(folder.path()).fails(125, &["is a core WebAssembly module"]);
    let found: serde_json::Value = serde_json::from_str(&ended.stdout).expect("it is JSON");
    assert_eq!(found["kind"], "core module");
    assert_eq!(found["runs"], false);
    assert_eq!(found["problem"]["message"], "`it.wasm` is a core WebAssembly module, not a component");
}
