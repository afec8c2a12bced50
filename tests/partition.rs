//! Nodes whose machine goes, whose line breaks in one direction or is bad, or that do not reach each other: processes in network
//! namespaces of their own, which the test makes and takes away. Skipped, with the reason, where the machine forbids that.

use std::io::{BufRead, BufReader};
use std::process::{Child, ChildStdout};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::bad_line::{BadLine, Badness};
use crate::harness::{Ended, Run, end, guest};
use crate::lab::{Lab, Node, signal, until};
use crate::machines::Machines;

/// How long a node may be silent in these tests.
pub(crate) const TIMEOUT: [&str; 2] = ["--timeout", "1s"];
/// Within this who waits for something of a node is told that it is lost: the time-out, and what a busy machine adds.
pub(crate) const TOLD: Duration = Duration::from_millis(2500);
/// Where what is sent is lost only in one direction, the other side is silent when it has noticed that.
const TOLD_LATE: Duration = Duration::from_millis(3500);
/// What a person waits for at most to hear that there is nobody.
const SOON: Duration = Duration::from_secs(6);
/// What the guest puts when it has been told in every way.
pub(crate) const ENDS: &str = r#""wait: NodeLost"
"get: Err(NodeLost)"
"put: Some(NodeLost)"
"sync for a message: Err(NodeLost)"
"sync for an end: NodeLost"
"sync for the node: NodeLost"
"lookup: Err(NodeLost)"
"monitor: NodeLost"
"spawn: NodeLost"
"kill: NodeLost"
"#;

/// `placehost run` of the guest of these tests, which may reach nodes.
fn program(lab: &Lab, start: &str, args: &[&str]) -> Run {
    let module = guest("partition");
    let module = module.to_str().expect("its path is text");
    lab.placehost(&[&["run", module, start, "--allow-nodes", "--"], args].concat())
}

pub(crate) fn with_timeout(lab: &Lab, start: &str, args: &[&str]) -> Run {
    let module = guest("partition");
    let module = module.to_str().expect("its path is text");
    lab.placehost(&[&["run", module, start, "--allow-nodes"], &TIMEOUT[..], &["--"], args].concat())
}

/// A program that has put its first message, and what it puts later.
pub(crate) struct Started {
    pub(crate) child: Child,
    stdout: BufReader<ChildStdout>,
}

impl Started {
    #[track_caller]
    pub(crate) fn new(run: Run, says: &str) -> Self {
        let mut child = run.start_interactive();
        let mut stdout = BufReader::new(child.stdout.take().expect("it is a pipe"));
        let mut line = String::new();
        stdout.read_line(&mut line).expect("it can be read");
        assert_eq!(line, format!("\"{says}\"\n"), "it ended: {:?}", end(child));
        Self { child, stdout }
    }

    /// Waits for its end.
    pub(crate) fn end(mut self) -> Ended {
        let mut stdout = String::new();
        while self.stdout.read_line(&mut stdout).expect("it can be read") > 0 {}
        Ended { stdout, ..end(self.child) }
    }
}

/// A node on a machine.
fn node(machines: &Machines, machine: usize, lab: &Lab) -> Node {
    Node::start(machines.on(machine, lab.placehost(&[&["node"], &TIMEOUT[..]].concat())))
}

/// What a command answers as JSON that a person types on the node's own machine.
fn asked(machines: &Machines, machine: usize, lab: &Lab, what: &str) -> Value {
    let ended = machines.on(machine, lab.placehost(&[what, "--json", "--at", "127.0.0.1"])).fails(0, &[]);
    serde_json::from_str(&ended.stdout).expect("it is JSON")
}

fn places(machines: &Machines, machine: usize, lab: &Lab) -> Vec<Value> {
    asked(machines, machine, lab, "ps")["places"].as_array().expect("it is a list").clone()
}

/// How many messages the places there have put.
fn messages(machines: &Machines, machine: usize, lab: &Lab) -> u64 {
    places(machines, machine, lab).iter().filter_map(|place| place["out"].as_u64()).sum()
}

/// Whether a node is connected with another.
fn are_connected(machines: &Machines, machine: usize, lab: &Lab, other: &Node) -> bool {
    let nodes = asked(machines, machine, lab, "nodes");
    nodes["nodes"].as_array().expect("it is a list").iter().any(|node| node["id"] == *other.id)
}

/// How many channels go to each node that one is connected with.
fn channels(machines: &Machines, machine: usize, lab: &Lab) -> Vec<u64> {
    let nodes = asked(machines, machine, lab, "nodes");
    nodes["nodes"].as_array().expect("it is a list").iter().map(|node| node["channels"].as_u64().expect("it is a number")).collect()
}

/// Breaks the line while a program waits for a node in every way, and expects that both sides notice in time.
fn both_notice(within: Duration, breaks: impl FnOnce(&Machines)) {
    let Some(machines) = Machines::new(2) else { return };
    let lab = Lab::new();
    let node = node(&machines, 1, &lab);
    let run = machines.on(0, with_timeout(&lab, "waits-in-every-way", &[&machines.address(1)]));
    let program = Started::new(run, "all wait");
    assert!(places(&machines, 1, &lab).len() >= 9);
    breaks(&machines);
    // From here, because it may take the kernel a while to have done it.
    let began = Instant::now();
    let ended = program.end();
    let told = began.elapsed();
    until(|| places(&machines, 1, &lab).is_empty());
    let empty = began.elapsed();
    assert_eq!((&*ended.stdout, &*ended.stderr, ended.code), (ENDS, "", Some(0)));
    assert!(told < within, "the program was told after {told:?}");
    assert!(empty < within + Duration::from_secs(1), "its places ended after {empty:?}");
    assert!(asked(&machines, 1, &lab, "nodes")["nodes"].as_array().is_some_and(Vec::is_empty));
    node.signal("-TERM");
    assert_eq!(node.end().code, Some(0));
}

#[test]
fn who_waits_for_a_machine_that_is_gone_is_told() {
    both_notice(TOLD, |machines| machines.cut(1));
}

#[test]
fn who_waits_for_a_node_that_is_not_heard_is_told() {
    both_notice(TOLD, |machines| machines.lose(1, 0));
}

#[test]
fn who_waits_for_a_node_that_does_not_hear_is_told() {
    both_notice(TOLD_LATE, |machines| machines.lose(0, 1));
}

#[test]
fn where_no_node_can_be_reached_that_is_said_soon() {
    let Some(machines) = Machines::new(3) else { return };
    let lab = Lab::new();
    machines.lose(0, 2);
    for (address, why) in [
        // The machine is there and refuses.
        (machines.address(1), "nobody listens there"),
        // It does not hear.
        (machines.address(2), "no answer within"),
        // The line is there, but nobody has the address.
        ("10.0.1.77".into(), ""),
        // Nothing leads there.
        ("192.0.2.1".into(), ""),
    ] {
        let tried = format!("there is no node at `{address}:6340`");
        let began = Instant::now();
        let ended = machines.on(0, lab.run("lives", "returns", &address, &[])).fails(125, &[&format!("error: {tried}"), why, &address]);
        assert!(began.elapsed() < SOON, "{address} took {:?}: {}", began.elapsed(), ended.stderr);
        let began = Instant::now();
        let ended = machines.on(0, program(&lab, "reaches-nobody", &[&address])).fails(0, &[]);
        assert!(ended.stdout.contains(&tried.replace(":6340", "")) && ended.stdout.contains(why), "{}", ended.stdout);
        assert!(began.elapsed() < SOON, "{address} took {:?}", began.elapsed());
    }
}

/// Three machines: a program on the first has brought together places on the other two, which do not know each other.
fn brought_together(can_reach: bool, then: impl FnOnce(&Machines, &[Lab; 2], [Node; 2], Started)) {
    let Some(machines) = Machines::new(3) else { return };
    machines.forward(can_reach).expect("it could be set before");
    // Each is a machine of its own in the cluster, with a key of its own.
    let first = Lab::new();
    let introducer = Node::start(machines.on(0, first.placehost(&["node"])));
    let others = [Lab::without_cluster(), Lab::without_cluster()];
    let mut machine = 0;
    let nodes = others.each_ref().map(|lab| {
        machine += 1;
        let invite = ["cluster", "invite", "--address", &format!("10.0.{machine}.1")];
        let token = machines.on(0, first.placehost(&invite)).fails(0, &[]).stdout;
        let name = format!("host{}", machine + 1);
        let join = [&["node", "--join", token.trim(), "--name", &name], &TIMEOUT[..]].concat();
        Node::start(machines.on(machine, lab.placehost(&join)))
    });
    drop(introducer);
    let run = machines.on(0, with_timeout(&first, "brings-together", &[&machines.address(1), &machines.address(2)]));
    then(&machines, &others, nodes, Started::new(run, "they talk"));
}

#[test]
fn a_channel_between_nodes_that_do_not_reach_each_other_is_forwarded() {
    brought_together(false, |machines, labs, nodes, program| {
        let before = messages(machines, 1, &labs[0]);
        until(|| messages(machines, 1, &labs[0]) > before);
        assert_eq!((channels(machines, 1, &labs[0]), channels(machines, 2, &labs[1])), (vec![2], vec![2]));
        assert!(!are_connected(machines, 1, &labs[0], &nodes[1]) && !are_connected(machines, 2, &labs[1], &nodes[0]));
        // It hangs on who forwards, and ends with it.
        signal(&program.child, "-KILL");
        program.end();
        for (machine, lab) in [(1, &labs[0]), (2, &labs[1])] {
            until(|| places(machines, machine, lab).is_empty());
        }
        let [asking, answering] = nodes;
        asking.signal("-TERM");
        assert_eq!(asking.end().stdout, "NodeLost\n");
        drop(answering);
    });
}

#[test]
fn a_channel_between_nodes_that_reach_each_other_becomes_direct() {
    brought_together(true, |machines, labs, nodes, program| {
        until(|| are_connected(machines, 1, &labs[0], &nodes[1]));
        // Of the two channels that each has with the first, one has moved.
        for (machine, lab) in [(1, &labs[0]), (2, &labs[1])] {
            until(|| channels(machines, machine, lab) == [1, 1]);
        }
        signal(&program.child, "-KILL");
        program.end();
        until(|| asked(machines, 1, &labs[0], "nodes")["nodes"].as_array().map(Vec::len) == Some(1));
        let before = messages(machines, 1, &labs[0]);
        until(|| messages(machines, 1, &labs[0]) > before + 100);
        assert_eq!(places(machines, 2, &labs[1]).len(), 1);
        drop(nodes);
    });
}

/// Runs the program that loses nothing against a node that has never seen its module.
fn nothing_is_lost(lab: &Lab, on: impl Fn(usize, Run) -> Run, address_of: impl FnOnce(&Node) -> String, listen: &[&str]) {
    let cache = lab.path().join("cache");
    let cache = cache.to_str().expect("its path is text");
    let node = Node::start(on(1, lab.placehost(&[&["node"], listen].concat()).env("PLACEHOST_CACHE", cache)));
    let address = address_of(&node);
    on(0, program(lab, "nothing-is-lost", &[&address])).prints("nothing was lost\n");
    node.signal("-TERM");
    let ended = node.end();
    assert_eq!((ended.code, &*ended.stderr), (Some(0), ""));
}

#[test]
fn on_a_bad_line_nothing_is_lost() {
    for seed in 1..=3 {
        let lab = Lab::new();
        let badness = Badness { delay: Duration::from_millis(20), late: 5, lost: 5, doubled: 2, seed };
        let mut line = None;
        let address_of = |node: &Node| {
            let bad = BadLine::new(node.address.parse().expect("it is an address"), badness);
            line.insert(bad).address.to_string()
        };
        nothing_is_lost(&lab, |_, run| run, address_of, &["--listen", "127.0.0.1:0"]);
    }
}

#[test]
fn on_a_bad_line_of_the_kernels_nothing_is_lost() {
    let Some(machines) = Machines::new(2) else { return };
    let Some(()) = machines.worsen(1, &["delay", "20ms", "loss", "5%"]) else { return };
    let lab = Lab::new();
    nothing_is_lost(&lab, |machine, run| machines.on(machine, run), |_| machines.address(1), &[]);
}
