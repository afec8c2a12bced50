//! What people type and pipe: options, messages, lines of stdin.

use tempfile::tempdir;

use crate::harness::{guest, placehost, run};

/// What stands below each message that is not JSON.
const HINT: &str = "hint: every message is JSON, so a text has quotes of its own: '\"World\"'\n";

#[test]
fn messages_go_in_as_json_and_come_out_as_lines_of_json() {
    for hello in [
        run("hello_world", "hello-world", &["--send", "\"World\""]),
        run("hello_world", "hello_world", &[]).input("\"World\"\n"),
        run("hello_world", "hello-world", &[]).input("\n\n  \"World\""),
    ] {
        let ended = hello.fails(0, &[]);
        // What a place prints and what it sends are two streams: the message may come before the line that says it was sent.
        let mut lines: Vec<_> = ended.stdout.lines().collect();
        lines.sort_unstable();
        assert_eq!(lines, ["\"Hello World\"", "hello-world received: World", "hello-world sent: Hello World"]);
    }
}

#[test]
fn every_kind_of_json_and_raw_bytes_come_back_as_they_went() {
    let lines = "null\ntrue\n-7\n1.5\n\"Grüße\"\n[1,[2,[]],{\"a\":{\"$bytes\":\"AAEC\"}}]\n{\"$raw\":\"SGk=\"}\n{\"$raw\":\"\"}\n";
    run("bench", "echo", &[]).input(lines).prints(lines);
}

#[test]
fn what_is_sent_comes_before_what_is_piped() {
    run("bench", "echo", &["--send", "1", "--send", "-2"]).input("3\n").prints("1\n-2\n3\n");
}

#[test]
fn the_exit_code_of_the_place_is_that_of_the_command() {
    for code in [0, 1, 7, 255] {
        run("lives", "exits", &["--send", &code.to_string()]).fails(code, &[]);
    }
}

#[test]
fn a_message_that_is_not_json_is_shown() {
    let ended = run("hello_world", "hello-world", &["--send", "World"]).fails(2, &[]);
    assert_eq!(ended.stderr, format!("error: the value of --send is not JSON: expected value at column 1\n    World\n\n{HINT}"));
    let second = ["--send", "1", "--send", "{\"a\":}"];
    run("hello_world", "hello-world", &second)
        .fails(2, &["the value of --send number 2 is not JSON: expected value at column 6", "{\"a\":}"]);
    run("hello_world", "hello-world", &["--send", ""]).fails(2, &["the value of --send is not JSON"]);
    run("hello_world", "hello-world", &["--send", "1 2"]).fails(2, &["the value of --send is not JSON: trailing characters"]);
}

#[test]
fn a_line_of_stdin_that_is_not_json_is_numbered() {
    let ended = run("bench", "echo", &[]).input("1\n\nWorld\n4\n").fails(125, &[]);
    assert_eq!(ended.stderr, format!("error: line 3 of stdin is not JSON: expected value at column 1\n    World\n\n{HINT}"));
}

#[test]
fn bad_base64_is_named() {
    for (json, key) in [(r#"{"$raw": "%"}"#, "$raw"), (r#"{"$raw": 7}"#, "$raw"), (r#"[{"$bytes": "A"}]"#, "$bytes")] {
        let wants = format!("is no message: `{key}` wants a string in base64\n    {json}");
        run("bench", "echo", &["--send", json]).fails(2, &["error: the value of --send", &wants]);
        run("bench", "echo", &[]).input(json).fails(125, &["error: line 1 of stdin", &wants]);
    }
}

#[test]
fn json_that_nests_without_end_is_an_error() {
    run("bench", "echo", &[]).input(&"[".repeat(100_000)).fails(125, &["line 1 of stdin is not JSON: recursion limit exceeded"]);
}

#[test]
fn bytes_that_are_no_utf8_are_no_json() {
    // Latin-1 for `ü`, which a text editor may have left.
    run("bench", "echo", &[]).input_bytes(b"\"Gr\xfc\xdfe\"\n").fails(125, &["line 1 of stdin is not JSON: invalid unicode code point"]);
}

#[test]
fn a_message_of_another_type_fails_in_the_place() {
    run("hello_world", "hello-world", &["--send", "7"]).fails(1, &["error: place `hello-world` failed: the message is of another type: "]);
    let raw = ["--send", "{\"$raw\":\"SGk=\"}"];
    run("hello_world", "hello-world", &raw).fails(1, &["the message is of another type: it is raw bytes"]);
}

#[test]
fn a_command_line_that_makes_no_sense_is_a_matter_of_usage() {
    for (args, parts) in [
        (&["run"][..], &["<MODULE>"][..]),
        (&["run", "hello.wasm", "--frobnicate"], &["unexpected argument '--frobnicate'", "Usage: placehost run"]),
        (&["run", "hello.wasm", "main", "more"], &["unexpected argument 'more'"]),
        (&["rum", "hello.wasm"], &["unrecognized subcommand 'rum'", "run"]),
        (&["run", "hello.wasm", "--memory", "64x"], &["`x` is no unit of size; write it like `64MiB`"]),
        (&["run", "hello.wasm", "--deadline", "5"], &["it needs a unit, like `500ms`"]),
        (&["run", "hello.wasm", "--max-places", "0"], &["--max-places", "1..=1000000"]),
        (&["run", "hello.wasm", "--preempt", "perhaps"], &["[possible values: on, off]"]),
        (&["run", "hello.wasm", "--env", "=1"], &["the variable has no name"]),
        (&["run", "hello.wasm", "--dir", "::/data"], &["it names no directory of this machine"]),
        (&["run", "hello.wasm", "--preempt", "off", "--deadline", "1s"], &["a deadline needs preemption", "hint: leave `--preempt off`"]),
        (&["completions", "cmd"], &["[possible values: bash"]),
    ] {
        let ended = placehost(args).fails(2, parts);
        assert_eq!(ended.stdout, "", "{args:?}");
    }
}

#[test]
fn what_is_granted_must_be_there() {
    let empty = tempdir().expect("there is room for a folder");
    let module = guest("hello_world");
    let module = module.to_str().expect("its path is text");
    let run = |option: &str, value: &str| placehost(["run", module, option, value]).dir(empty.path());
    run("--dir", "nowhere").fails(125, &["cannot use the directory `nowhere` of --dir", "No such file or directory"]);
    run("--modules", "nowhere").fails(125, &["cannot use the directory `nowhere` of --modules"]);
    run("--dir", module).fails(125, &["of --dir is not a directory"]);
    run("--env", "NOT_SET_ANYWHERE").fails(125, &["`NOT_SET_ANYWHERE` of --env is not set here", "hint: `--env NOT_SET_ANYWHERE=VALUE`"]);
    run("--memory", "5GiB").fails(125, &["a place can have at most 4 GiB here", "hint: "]);
}

#[test]
fn too_many_places_are_told_the_limit() {
    let ended = run("many_places", "main", &["--max-places", "3"]).fails(1, &["this host runs at most 3 places at once", "`--max-places`"]);
    assert!(ended.stderr.contains("error: place `main` failed: "), "{}", ended.stderr);
}

#[test]
fn a_cache_that_others_may_write_to_is_refused() {
    use std::fs::{Permissions, set_permissions};
    use std::os::unix::fs::PermissionsExt;

    let open = tempdir().expect("there is room for a folder");
    set_permissions(open.path(), Permissions::from_mode(0o777)).expect("it is ours");
    let path = open.path().to_str().expect("its path is text");
    run("hello_world", "main", &[]).env("PLACEHOST_CACHE", path).fails(125, &[path, "chmod 0700"]);
}
