//! Ends that come from outside: Ctrl-C, SIGTERM, and a reader that leaves.

use std::io::{BufRead, BufReader};
use std::process::{Child, ChildStdout, Command};
use std::time::{Duration, Instant};

use crate::harness::{Ended, end, run};

/// A guest that does not end by itself shall at least not outlive a test that failed.
const AT_MOST: &[&str] = &["--deadline", "50s"];
/// What leaving at once takes at most, on a machine that has other things to do: the command itself waits a second for a place
/// that does not listen.
const SOON: Duration = Duration::from_secs(10);

/// Starts a place that puts a message first, and waits for that.
fn started(name: &str, start: &str, args: &[&str]) -> (Child, BufReader<ChildStdout>) {
    let mut child = run(name, start, args).start_interactive();
    let mut stdout = BufReader::new(child.stdout.take().expect("it is a pipe"));
    let mut line = String::new();
    stdout.read_line(&mut line).expect("it can be read");
    assert!(line.ends_with('\n'), "the place ended: {:?}", end(child));
    (child, stdout)
}

fn signal(child: &Child, name: &str) {
    // The process is ours and still there, for nobody has waited for it.
    let sent = Command::new("kill").args([name, &child.id().to_string()]).status().expect("there is `kill`");
    assert!(sent.success());
}

/// Waits for the end, which comes soon, with this code and without a word.
#[track_caller]
fn ends(child: Child, code: i32) {
    let began = Instant::now();
    let Ended { stderr, code: ended, .. } = end(child);
    assert_eq!((ended, stderr.as_str()), (Some(code), ""));
    assert!(began.elapsed() < SOON, "it took {:?}", began.elapsed());
}

#[track_caller]
fn is_interrupted(name: &str, start: &str, args: &[&str]) {
    let (child, _stdout) = started(name, start, args);
    signal(&child, "-INT");
    ends(child, 130);
}

#[test]
fn ctrl_c_ends_a_place_that_waits() {
    is_interrupted("lives", "waits_for_many", AT_MOST);
}

#[test]
fn ctrl_c_ends_a_place_that_computes() {
    is_interrupted("lives", "spins", AT_MOST);
}

#[test]
fn ctrl_c_ends_the_process_of_a_place_that_cannot_be_interrupted() {
    is_interrupted("lives", "spins", &["--preempt", "off"]);
}

#[test]
fn ctrl_c_ends_a_place_that_starts_others() {
    is_interrupted("lives", "spawns", AT_MOST);
}

#[test]
fn ctrl_c_ends_a_place_whose_messages_nobody_reads() {
    is_interrupted("failures", "sends", AT_MOST);
}

#[test]
fn sigterm_ends_a_place() {
    let (child, _stdout) = started("lives", "waits_for_many", AT_MOST);
    signal(&child, "-TERM");
    ends(child, 143);
}

#[test]
fn who_reads_one_message_and_leaves_ends_the_run() {
    let (child, stdout) = started("failures", "sends", AT_MOST);
    drop(stdout);
    ends(child, 141);
}

#[test]
fn who_reads_one_printed_line_and_leaves_ends_the_run() {
    let (child, stdout) = started("failures", "prints_for_ever", AT_MOST);
    drop(stdout);
    ends(child, 141);
}
