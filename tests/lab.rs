//! A cluster in a folder, and its nodes: processes on this machine, at ports that the system chose.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, Command};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

use crate::harness::{Ended, Run, end, guest, placehost};

/// A cluster of one machine.
pub(crate) struct Lab {
    above: TempDir,
}

/// A node. It ends with the test.
pub(crate) struct Node {
    child: Option<Child>,
    stderr: Option<BufReader<ChildStderr>>,
    /// What it says when it is there.
    pub(crate) line: String,
    /// Where it listens.
    pub(crate) address: String,
    /// Its id.
    pub(crate) id: String,
}

impl Lab {
    /// With a cluster.
    pub(crate) fn new() -> Self {
        let lab = Self::without_cluster();
        lab.placehost(&["cluster", "init", "--name", "lab", "--node", "host1"]).fails(0, &[]);
        lab
    }

    /// A machine that is in no cluster.
    pub(crate) fn without_cluster() -> Self {
        Self { above: tempfile::tempdir().expect("there is room") }
    }

    /// A folder of its own.
    pub(crate) fn path(&self) -> &Path {
        self.above.path()
    }

    /// A file of the cluster.
    pub(crate) fn file(&self, name: &str) -> String {
        self.path().join("home").join(name).to_str().expect("its path is text").to_owned()
    }

    /// `placehost ARGS`, on this machine.
    pub(crate) fn placehost(&self, args: &[&str]) -> Run {
        placehost(args).env("PLACEHOST_HOME", &self.file(""))
    }

    /// `placehost run GUEST START --at AT ARGS`.
    pub(crate) fn run(&self, name: &str, start: &str, at: &str, args: &[&str]) -> Run {
        let module = guest(name);
        let all = [&["run", module.to_str().expect("its path is text"), start, "--at", at], args].concat();
        self.placehost(&all)
    }

    /// A node that listens at this machine alone.
    pub(crate) fn node(&self, args: &[&str]) -> Node {
        Node::start(self.placehost(&[&["node", "--listen", "127.0.0.1:0"], args].concat()))
    }

    /// A program like ssh, that runs what it is told on this machine, and notes which process that is.
    pub(crate) fn ssh(&self) -> Ssh {
        let (program, pid) = (self.path().join("ssh"), self.path().join("pid"));
        let script = format!("#!/bin/sh\nfor last; do :; done\necho $$ > '{}'\nexec sh -c \"exec $last\"\n", pid.display());
        fs::write(&program, script).expect("there is room");
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).expect("it is ours");
        Ssh { program, pid }
    }

    /// What `ps` says of a node.
    pub(crate) fn places(&self, node: &Node) -> Vec<Value> {
        let ended = self.placehost(&["ps", "--json", "--at", &node.address]).fails(0, &[]);
        let shown: Value = serde_json::from_str(&ended.stdout).expect("it is JSON");
        shown["places"].as_array().expect("it is a list").clone()
    }

    /// Waits until this many places run on a node.
    #[track_caller]
    pub(crate) fn has_places(&self, node: &Node, count: usize) {
        until(|| self.places(node).len() == count);
    }
}

impl Node {
    /// Starts it, and waits until it listens.
    pub(crate) fn start(run: Run) -> Self {
        let mut child = run.start();
        let mut stderr = BufReader::new(child.stderr.take().expect("it is a pipe"));
        let mut line = String::new();
        stderr.read_line(&mut line).expect("it can be read");
        let after = |word: &str| line.split_once(word).and_then(|(_, rest)| rest.split_whitespace().next()).map(str::to_owned);
        let (Some(address), Some(id)) = (after(" listens on "), after("` (")) else {
            panic!("the node did not start: {line}{:?}", end(child));
        };
        let id = id.trim_end_matches(')').to_owned();
        Self { child: Some(child), stderr: Some(stderr), line, address, id }
    }

    /// Its process.
    pub(crate) fn pid(&self) -> u32 {
        self.child.as_ref().expect("it has not ended").id()
    }

    /// Sends a signal.
    pub(crate) fn signal(&self, name: &str) {
        signal(self.child.as_ref().expect("it has not ended"), name);
    }

    /// Waits until it has ended. What it said since it was there is its standard error.
    pub(crate) fn end(mut self) -> Ended {
        let stderr = self.rest();
        let ended = end(self.child.take().expect("it ends once"));
        Ended { stderr: stderr.join().expect("reading does not panic"), ..ended }
    }

    fn rest(&mut self) -> JoinHandle<String> {
        let mut stderr = self.stderr.take().expect("it is read once");
        thread::spawn(move || {
            let mut text = String::new();
            stderr.read_to_string(&mut text).expect("it is text");
            text
        })
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            // It may have ended meanwhile.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// A program like ssh.
pub(crate) struct Ssh {
    program: PathBuf,
    pid: PathBuf,
}

impl Ssh {
    /// Lets a command launch nodes by it.
    pub(crate) fn of(&self, run: Run) -> Run {
        let test = std::env::current_exe().expect("a test has a path");
        let placehost = test.ancestors().nth(2).expect("a test lies in a target folder").join("placehost");
        let text = |path: &Path| path.to_str().expect("its path is text").to_owned();
        run.env("PLACEHOST_SSH", &text(&self.program)).env("PLACEHOST_REMOTE", &text(&placehost))
    }

    /// Waits until the node that was launched is gone.
    #[track_caller]
    pub(crate) fn is_gone(&self) {
        let pid = fs::read_to_string(&self.pid).expect("it was run");
        let process = Path::new("/proc").join(pid.trim());
        until(|| match fs::read_to_string(process.join("stat")) {
            // Nobody may have waited for it yet.
            Ok(stat) => stat.rsplit_once(')').is_some_and(|(_, rest)| rest.trim_start().starts_with('Z')),
            Err(_) => true,
        });
    }
}

/// Sends a signal to a process of ours, which is still there, for nobody has waited for it.
pub(crate) fn signal(child: &Child, name: &str) {
    let sent = Command::new("kill").args([name, &child.id().to_string()]).status().expect("there is `kill`");
    assert!(sent.success());
}

/// Waits until something holds that nobody tells of.
#[track_caller]
pub(crate) fn until(holds: impl Fn() -> bool) {
    const PATIENCE: Duration = Duration::from_secs(20);
    let began = Instant::now();
    while !holds() {
        assert!(began.elapsed() < PATIENCE, "it does not come to hold within {PATIENCE:?}");
        thread::park_timeout(Duration::from_millis(5));
    }
}
