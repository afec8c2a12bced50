//! Nodes that are launched by ssh: a real one, that reaches a real sshd on this machine, with keys and settings of the test. Skipped,
//! with the reason, where there is no sshd.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::time::{Duration, Instant};

use crate::harness::{Ended, Run, end, guest, run};
use crate::lab::{Lab, signal, until};
use crate::sshd::Sshd;

/// What a person waits for at most to hear that it does not work.
const SOON: Duration = Duration::from_secs(8);

/// `placehost run --at ssh://host2`, by that ssh.
fn at(sshd: &Sshd, lab: &Lab, guest: &str, start: &str) -> Run {
    lab.run(guest, start, "ssh://host2", &[]).env("PLACEHOST_SSH", &sshd.ssh)
}

/// A run of a place here that launches nodes.
fn creator(lab: &Lab, start: &str, machine: &str, options: &[&str]) -> Run {
    let module = guest("ssh");
    let module = module.to_str().expect("its path is text");
    lab.placehost(&[&["run", module, start, "--allow-nodes", "--", machine], options].concat())
}

fn by(sshd: &Sshd) -> String {
    format!("ssh_path={}", sshd.ssh)
}

/// Expects that a launch fails soon, and says so; nothing is left.
#[track_caller]
fn fails(sshd: &Sshd, run: Run, says: &[&str]) -> Ended {
    let began = Instant::now();
    let says = [&["error: no node was launched on `host2` by `", "hint: `ssh host2 placehost --version` has to work"], says].concat();
    let ended = run.fails(125, &says);
    assert!(began.elapsed() < SOON, "it took {:?}", began.elapsed());
    assert_eq!(ended.stdout, "");
    sshd.nothing_is_left();
    ended
}

#[test]
fn a_place_runs_where_ssh_leads() {
    let Some(sshd) = Sshd::new() else { return };
    for lab in [Lab::without_cluster(), Lab::new()] {
        let ended = at(&sshd, &lab, "echo", "main").fails(0, &[]);
        let here = run("echo", "main", &[]).end();
        assert_eq!((ended.stdout, ended.stderr), (here.stdout, here.stderr));
        sshd.nothing_is_left();
    }
    let lab = Lab::without_cluster();
    at(&sshd, &lab, "lives", "exits_with_seven").fails(7, &[]);
    at(&sshd, &lab, "lives", "panics").fails(134, &["trapped: panicked at", "it is over"]);
    at(&sshd, &lab, "any_double", "any_double").input("[1, 2, 4]\n[1, 3, 5]\n").prints("true\nfalse\n");
    sshd.nothing_is_left();
}

#[test]
fn a_machine_is_named_as_ssh_names_it() {
    let Some(sshd) = Sshd::new() else { return };
    let lab = Lab::without_cluster();
    let user = sshd.user.clone();
    for target in ["ssh://127.0.0.1".to_owned(), "ssh://localhost".into(), format!("ssh://{user}@host2"), format!("ssh://{user}@127.0.0.1")]
    {
        lab.run("lives", "exits_with_seven", &target, &[]).env("PLACEHOST_SSH", &sshd.ssh).fails(7, &[]);
    }
    fails_as_stranger(&sshd, &lab);
    sshd.nothing_is_left();
}

fn fails_as_stranger(sshd: &Sshd, lab: &Lab) {
    let run = lab.run("lives", "returns", "ssh://nobody-of-that-name@host2", &[]).env("PLACEHOST_SSH", &sshd.ssh);
    fails(sshd, run, &["nobody-of-that-name@127.0.0.1: Permission denied ("]);
}

#[test]
fn a_place_launches_a_node() {
    let Some(sshd) = Sshd::new() else { return };
    let lab = Lab::without_cluster();
    let ended = creator(&lab, "creates", "host2", &[&by(&sshd)]).fails(0, &["err: one\nerr: two\n"]);
    assert_eq!(ended.stdout, "out: one\nprinted one\nout: two\nprinted two\nthe end\n");
    sshd.nothing_is_left();
    let options = [&*by(&sshd), &format!("placehost_path={}", sshd.placehost), &format!("user={}", sshd.user)];
    creator(&lab, "creates", "127.0.0.1", &options).fails(0, &["err: two\n"]);
    sshd.nothing_is_left();
}

#[test]
fn a_node_that_was_launched_by_ssh_ends_when_it_is_told() {
    let Some(sshd) = Sshd::new() else { return };
    let lab = Lab::without_cluster();
    let mut child = creator(&lab, "creates-and-ends", "host2", &[&by(&sshd)]).start_interactive();
    assert_eq!(first_line(&mut child), "\"ended\"\n");
    sshd.nothing_is_left();
    drop(child.stdin.take());
    assert_eq!(end(child).code, Some(0));
}

#[test]
fn a_node_that_was_launched_by_ssh_ends_with_who_launched_it() {
    let Some(sshd) = Sshd::new() else { return };
    let lab = Lab::without_cluster();
    for (name, code) in [("-INT", Some(130)), ("-TERM", Some(143)), ("-KILL", None)] {
        let mut child = creator(&lab, "creates-and-stays", "host2", &[&by(&sshd)]).start_interactive();
        assert_eq!(first_line(&mut child), "\"launched\"\n");
        assert!(sshd.are_there());
        signal(&child, name);
        assert_eq!(end(child).code, code);
        sshd.nothing_is_left();
    }
}

/// The place's first message, or nothing and why.
fn first_line(child: &mut std::process::Child) -> String {
    let mut line = String::new();
    BufReader::new(child.stdout.take().expect("it is a pipe")).read_line(&mut line).expect("it can be read");
    line
}

#[test]
fn without_a_key_it_is_said_and_nobody_is_asked() {
    let Some(sshd) = Sshd::new() else { return };
    let lab = Lab::without_cluster();
    sshd.forget_key();
    fails(&sshd, at(&sshd, &lab, "lives", "returns"), &["Permission denied (publickey,password", "ssh ended with exit status: 255"]);
    let ended = creator(&lab, "creates", "host2", &[&by(&sshd)]).fails(1, &["no node was launched on `host2`", "Permission denied"]);
    assert_eq!(ended.stdout, "");
    // With a terminal as well, where ssh would ask for a password.
    let terminal = ["-c", "exec script -qec \"$*\" /dev/null", "sh"];
    let began = Instant::now();
    let ended = at(&sshd, &lab, "lives", "returns").by("sh", &terminal).end();
    assert!(began.elapsed() < SOON, "it took {:?}", began.elapsed());
    let shown = ended.stdout.to_lowercase();
    assert!(ended.code == Some(125) && shown.contains("permission denied"), "{ended:?}");
    assert!(!shown.contains("password:") && !shown.contains("passphrase"), "{ended:?}");
    sshd.nothing_is_left();
}

#[test]
fn a_machine_that_ssh_does_not_know_is_not_believed() {
    let Some(sshd) = Sshd::new() else { return };
    let lab = Lab::without_cluster();
    sshd.forget_machine();
    fails(&sshd, at(&sshd, &lab, "lives", "returns"), &["Host key verification failed"]);
    sshd.mistake_machine();
    fails(&sshd, at(&sshd, &lab, "lives", "returns"), &["Host key verification failed"]);
}

#[test]
fn a_machine_without_placehost_is_named() {
    let Some(sshd) = Sshd::new() else { return };
    let lab = Lab::without_cluster();
    let wrong = at(&sshd, &lab, "lives", "returns").env("PLACEHOST_REMOTE", "/nowhere/bin/placehost");
    fails(&sshd, wrong, &["/nowhere/bin/placehost", "No such file or directory", "exit status: 127"]);
    // One that is no placehost, one that says nothing.
    fails(&sshd, at(&sshd, &lab, "lives", "returns").env("PLACEHOST_REMOTE", "/bin/echo"), &["it answered `node --bootstrap"]);
    fails(&sshd, at(&sshd, &lab, "lives", "returns").env("PLACEHOST_REMOTE", "/bin/true"), &["exit status: 0"]);
    // Not that our key is shown if somebody sends it back.
    let ended = fails(&sshd, at(&sshd, &lab, "lives", "returns").env("PLACEHOST_REMOTE", &sshd.echo()), &["; it answered `"]);
    assert!(ended.stderr.lines().next().is_some_and(|line| line.len() < 300), "{}", ended.stderr);
    sshd.remove_placehost();
    let ended = fails(&sshd, at(&sshd, &lab, "lives", "returns"), &["placehost", "not found", "exit status: 127"]);
    assert!(ended.stderr.contains("host2 placehost node --bootstrap"), "{}", ended.stderr);
}

#[test]
fn a_shell_that_greets_is_no_hindrance() {
    let Some(sshd) = Sshd::new() else { return };
    sshd.greet();
    let lab = Lab::without_cluster();
    at(&sshd, &lab, "any_double", "any_double").input("[1, 2, 4]\n").prints("true\n");
    sshd.nothing_is_left();
}

#[test]
fn a_node_that_is_launched_and_not_reached_is_ended() {
    let Some(sshd) = Sshd::new() else { return };
    let lab = Lab::without_cluster();
    sshd.mislead();
    let began = Instant::now();
    let ended = at(&sshd, &lab, "lives", "returns").fails(125, &["error: there is no node at `127.0.0.1:1`", "nobody listens there"]);
    assert!(began.elapsed() < SOON, "it took {:?}", began.elapsed());
    assert_eq!(ended.stdout, "");
    sshd.nothing_is_left();
}

#[test]
fn where_no_sshd_is_that_is_said() {
    let Some(sshd) = Sshd::new() else { return };
    let lab = Lab::without_cluster();
    let run = lab.run("lives", "returns", "ssh://closed", &[]).env("PLACEHOST_SSH", &sshd.ssh);
    run.fails(125, &["error: no node was launched on `closed`", "Connection refused", "exit status: 255"]);
    let run = lab.run("lives", "returns", "ssh://nobody.invalid", &[]).env("PLACEHOST_SSH", &sshd.ssh);
    run.fails(125, &["error: no node was launched on `nobody.invalid`", "Could not resolve hostname nobody.invalid"]);
    // What is no machine never gets as far as ssh.
    for machine in ["", "-oProxyCommand=touch x", "a b"] {
        creator(&lab, "creates", machine, &[&by(&sshd)]).fails(1, &["names no machine"]);
    }
    sshd.nothing_is_left();
}

#[test]
fn an_ssh_that_hangs_is_ended() {
    let lab = Lab::without_cluster();
    let ssh = lab.path().join("hanging-ssh");
    let (pid, path) = (lab.path().join("pid"), ssh.to_str().expect("its path is text").to_owned());
    crate::sshd::script(&ssh, &format!("echo $$ > '{}'\necho waiting for the machine >&2\nexec sleep 1000", pid.display()));
    let began = Instant::now();
    let option = [&*format!("ssh_path={path}"), "time_out=1500"];
    creator(&lab, "creates", "host2", &option).fails(1, &["no answer within 1.5 s", "waiting for the machine"]);
    assert!(began.elapsed() < SOON, "it took {:?}", began.elapsed());
    let pid = fs::read_to_string(&pid).expect("it was run");
    until(|| !Path::new("/proc").join(pid.trim()).exists());
    creator(&lab, "creates", "host2", &["ssh_path=/nowhere/ssh"]).fails(1, &["cannot run `/nowhere/ssh`"]);
}
