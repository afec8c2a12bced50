//! Scratch directories: a place's own, where it was granted one, and gone when the place is, however that comes. The guest says what
//! places see; here is what is left of them on the machine.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, ChildStdout};

use tempfile::TempDir;

use crate::full_disk::Disk;
use crate::harness::{Run, end, run};
use crate::lab::{Lab, signal, until};

claims! { "scratch":
    nobody_has_one_unless_it_is_granted,
}

/// A directory for scratch directories.
struct Above(TempDir);

impl Above {
    fn new() -> Self {
        Self(tempfile::tempdir().expect("there is room"))
    }

    fn path(&self) -> &str {
        self.0.path().to_str().expect("its path is text")
    }

    /// What is in it, which are the folders of processes.
    fn folders(&self) -> Vec<PathBuf> {
        fs::read_dir(self.0.path()).expect("it is there").map(|entry| entry.expect("it can be read").path()).collect()
    }

    /// `placehost run` of the guest.
    fn run(&self, start: &str, args: &[&str]) -> Run {
        run("scratch", start, &[&["--scratch", self.path()], args].concat())
    }
}

/// Starts a run that holds scratch directories, and waits until it does. Its output has to be kept.
fn started(run: Run) -> (Child, BufReader<ChildStdout>) {
    let mut child = run.start_interactive();
    let mut stdout = BufReader::new(child.stdout.take().expect("it is a pipe"));
    let mut line = String::new();
    stdout.read_line(&mut line).expect("it can be read");
    assert_eq!(line, "there\n");
    (child, stdout)
}

#[test]
fn each_place_has_its_own() {
    let above = Above::new();
    above.run("each-place-has-its-own", &[]).prints("");
    assert!(above.folders().is_empty());
}

#[test]
fn what_is_shared_goes_with_the_last() {
    let above = Above::new();
    let mut child = above.run("what-is-shared-goes-with-the-last", &["--interactive"]).start_interactive();
    let mut line = String::new();
    BufReader::new(child.stdout.as_mut().expect("it is a pipe")).read_line(&mut line).expect("it can be read");
    assert_eq!(line, "Ok(2)\n");
    // What is left is the directory of who waits, in the folder of the process.
    until(|| above.folders().iter().flat_map(|folder| fs::read_dir(folder).into_iter().flatten()).count() == 1);
    signal(&child, "-INT");
    end(child);
    assert!(above.folders().is_empty());
}

#[test]
fn nothing_is_left_however_a_place_ends() {
    for (how, code) in [("returns", 0), ("exits", 3), ("fails", 1), ("panics", 134), ("eats", 124)] {
        let above = Above::new();
        let ended = above.run("ends", &["--", how]).end();
        assert_eq!(ended.code, Some(code), "{how}: {}", ended.stderr);
        assert_eq!(above.folders(), Vec::<PathBuf>::new(), "{how}");
    }
    let above = Above::new();
    above.run("ends", &["--deadline", "300ms", "--", "computes"]).fails(124, &["its deadline"]);
    assert!(above.folders().is_empty());
}

#[test]
fn nothing_is_left_when_a_signal_ends_the_run() {
    for (how, options) in [("waits", &[][..]), ("computes", &[]), ("computes", &["--preempt", "off"])] {
        let above = Above::new();
        let (child, _stdout) = started(above.run("ends", &[options, &["--", how]].concat()));
        assert_eq!(above.folders().len(), 1);
        signal(&child, "-INT");
        assert_eq!(end(child).code, Some(130));
        assert_eq!(above.folders(), Vec::<PathBuf>::new(), "{how} {options:?}");
    }
}

#[test]
fn what_a_killed_host_left_the_next_one_removes_and_the_living_keep_theirs() {
    let above = Above::new();
    let stranger = above.0.path().join("placehost-notes");
    fs::write(&stranger, "mine").expect("there is room");
    let (alive, _stdout) = started(above.run("ends", &["--", "waits"]));
    let before = above.folders();
    let (killed, _stdout) = started(above.run("ends", &["--", "waits"]));
    signal(&killed, "-KILL");
    end(killed);
    let left: Vec<_> = above.folders().into_iter().filter(|folder| !before.contains(folder)).collect();
    // The place's and its child's, which was granted its own.
    assert_eq!((left.len(), fs::read_dir(&left[0]).map(Iterator::count).ok()), (1, Some(2)));
    above.run("says", &["-v"]).fails(0, &["removing what a placehost has left that was killed", left[0].to_str().expect("it is text")]);
    assert!(!left[0].exists());
    let sorted = |mut folders: Vec<PathBuf>| {
        folders.sort();
        folders
    };
    assert_eq!(sorted(above.folders()), sorted(before));
    signal(&alive, "-INT");
    assert_eq!(end(alive).code, Some(130));
    assert_eq!(above.folders(), [stranger]);
}

#[test]
fn on_a_node_they_go_with_the_session_and_with_the_node() {
    let (lab, above) = (Lab::new(), Above::new());
    let node = lab.node(&["--scratch", above.path(), "--timeout", "1s"]);
    let waits = || started(lab.run("scratch", "ends", &node.address, &["--scratch", "/nowhere", "--timeout", "1s", "--", "waits"]));
    let (child, _stdout) = waits();
    assert_eq!(above.folders().len(), 1);
    signal(&child, "-KILL");
    end(child);
    until(|| above.folders().is_empty());
    let (child, _stdout) = waits();
    node.signal("-TERM");
    node.signal("-CONT");
    end(child);
    let ended = node.end();
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert!(above.folders().is_empty());
}

#[test]
fn a_node_gives_them_if_its_options_say_so_and_to_who_may_have_them() {
    let (lab, above) = (Lab::new(), Above::new());
    let (with, without) = (lab.node(&["--scratch", above.path()]), lab.node(&[]));
    let says = |node: &str, args: &[&str]| lab.run("scratch", "says", node, args);
    says(&with.address, &["--scratch", "/nowhere"]).prints("Ok(0)\n");
    let none = "Err(\"this place has no scratch directory: it was granted none (`--scratch DIR`)\")\n";
    says(&with.address, &[]).prints(none);
    says(&without.address, &[]).prints(none);
    let refused = "that node does not grant a scratch directory to places from other nodes";
    says(&without.address, &["--scratch", "/nowhere"]).fails(125, &["did not start `", refused, "hint: "]);
    // A node that is launched makes them where temporary files lie, for it is there for who launches it alone.
    let temporary = Above::new();
    lab.ssh().of(lab.run("scratch", "says", "ssh://host2", &["--scratch", "/nowhere"])).env("TMPDIR", temporary.path()).prints("Ok(0)\n");
    until(|| temporary.folders().is_empty());
}

#[test]
fn where_they_cannot_be_made_that_is_said() {
    let above = Above::new();
    let run = |dir: &str, args: &[&str]| run("scratch", "says", &[&["--scratch", dir], args].concat());
    run("/nowhere", &[]).fails(125, &["cannot use the directory `/nowhere` of --scratch", "No such file or directory"]);
    run("/etc/passwd", &[]).fails(125, &["`/etc/passwd` of --scratch is not a directory"]);
    run("/proc", &[]).fails(125, &["cannot make a scratch directory in `/proc`", "hint: `--scratch` names a directory"]);
    let twice = format!("{}::/scratch", above.path());
    run(above.path(), &["--dir", &twice]).fails(2, &["both `--scratch` and a `--dir` would be `/scratch`", "hint: "]);
}

#[test]
fn where_the_disk_is_full_writing_fails_and_nothing_else() {
    let Some(disk) = Disk::new("4m") else { return };
    run("scratch", "fills-the-disk", &["--scratch", disk.path()]).prints("");
    assert_eq!(fs::read_dir(disk.path()).map(Iterator::count).ok(), Some(0));
}
