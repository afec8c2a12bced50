//! Whatever a place does wrong hurts only itself. The claims are made by the guests, which see that a sibling goes on; here is what
//! they need to be run with, and what the command says of a failure of the first place.

use std::fs;
use std::os::unix::fs::symlink;

use crate::harness::{GREETED, guest, placehost, run};

claims! { "failures":
    a_trap_ends_its_place_alone,
    a_panic_tells_its_message_and_where_it_was,
    endless_recursion_ends_its_place_alone,
    sending_to_nobody_is_an_error,
    sending_to_who_never_reads_waits_until_it_is_killed,
    a_wrong_start_function_is_told_those_there_are,
    modules_come_only_from_the_folder_of_ones_own,
}

claims! { "limits":
    an_endless_loop_ends_at_its_deadline,
    waiting_ends_at_the_deadline,
    allocating_ends_at_the_memory_limit,
    unread_messages_count_towards_the_memory_limit,
    blobs_count_towards_the_memory_limit,
    what_a_place_left_in_a_circle_is_given_back with ["--dir", "/proc::/proc:ro"],
    handles_are_limited,
    starting_places_without_end_is_an_error,
    places_that_multiply_fill_the_host_and_no_more with ["--max-places", "50"],
    fuel_ends_who_computes with ["--fuel", "1000000000"],
    fuel_is_denied_where_it_is_not_counted,
    a_child_cannot_have_more_than_its_parent,
    a_deep_chain_of_ends_is_dropped with ["--memory", "1GiB"],
}

#[test]
fn who_prints_for_ever_is_killed() {
    let ended = run("failures", "who-prints-for-ever-is-killed", &[]).fails(0, &[]);
    assert!(ended.stdout.lines().all(|line| line == "and on"), "the lines are not whole");
}

#[test]
fn links_and_other_files_are_no_modules() {
    let folder = tempfile::tempdir().expect("there is room");
    let module = folder.path().join("failures.wasm");
    fs::copy(guest("failures"), &module).expect("the module can be copied");
    fs::write(folder.path().join("text.wasm"), "no module").expect("there is room");
    symlink(guest("hello_world"), folder.path().join("link.wasm")).expect("links can be made");
    placehost(["run".as_ref(), module.as_os_str(), "links-and-other-files-are-no-modules".as_ref()]).prints("");
}

#[test]
fn a_module_from_elsewhere_is_started_where_that_is_allowed() {
    let folder = tempfile::tempdir().expect("there is room");
    let module = folder.path().join("failures.wasm");
    fs::copy(guest("failures"), &module).expect("the module can be copied");
    let start = || ["run".into(), module.clone().into_os_string(), "starts-another-module".into()];
    placehost(start()).fails(1, &["there is no module `hello_world.wasm`"]);
    let elsewhere = guest("hello_world").parent().expect("it lies in a folder").as_os_str().to_owned();
    let allowed = start().into_iter().chain(["--modules".into(), elsewhere]);
    placehost(allowed).prints_of_each(&[GREETED, &["Hello World"]]);
}

#[test]
fn the_first_place_is_told_of_on_standard_error() {
    run("failures", "traps", &[]).fails(134, &["unreachable"]);
    run("failures", "panics", &[]).fails(134, &["3 is too small", "the_culprit"]);
    run("failures", "recurses", &[]).fails(134, &["stack"]);
    run("limits", "hoards-blobs", &[]).fails(1, &["memory limit"]);
}

#[test]
fn the_memory_limit_ends_the_program() {
    // Not `fails`: Rust's own message about memory that ran out, on the place's standard error, looks like a panic of the host.
    for (memory, limit) in [("64MiB", "67108864 bytes of memory"), ("16MiB", "16777216 bytes of memory")] {
        let ended = run("limits", "allocates", &["--memory", memory]).end();
        assert_eq!(ended.code, Some(124), "{}", ended.stderr);
        assert!(ended.stderr.contains(limit), "{}", ended.stderr);
    }
}

#[test]
fn a_deadline_ends_the_program() {
    run("limits", "spins", &["--deadline", "100ms"]).fails(124, &["deadline"]);
    run("limits", "a-sleeper-and-its-child", &["--deadline", "100ms"]).fails(124, &["deadline"]);
}

#[test]
fn fuel_ends_the_program() {
    run("limits", "spins", &["--fuel", "10000000"]).fails(124, &["10000000 units of fuel"]);
}
