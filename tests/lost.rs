//! Nodes that are killed, or freeze, while somebody waits for them in some way: every wait ends within the time-out.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use crate::bad_line::{BadLine, Badness};
use crate::far::Talk;
use crate::harness::{Ended, Run, end, guest};
use crate::hostile::{section, unknown};
use crate::lab::{Lab, Node, signal, until};
use crate::partition::{ENDS, Started, TIMEOUT, TOLD, with_timeout};

/// How a node is lost.
const LOST: [&str; 2] = ["-KILL", "-STOP"];

fn node(lab: &Lab, args: &[&str]) -> Node {
    lab.node(&[&TIMEOUT[..], args].concat())
}

/// That node serves others again, and nobody whom it took for lost.
#[track_caller]
fn thaws(lab: &Lab, node: Node) {
    node.signal("-CONT");
    lab.has_places(&node, 0);
    lab.run("any_double", "any_double", &node.address, &["--send", "[1, 2, 4]"]).prints("true\n");
    node.signal("-TERM");
    assert_eq!(node.end().code, Some(0));
}

#[test]
fn who_waits_for_a_node_in_any_way_is_told_that_it_is_lost() {
    for name in LOST {
        let lab = Lab::new();
        let node = node(&lab, &[]);
        let program = Started::new(with_timeout(&lab, "waits-in-every-way", &[&node.address]), "all wait");
        node.signal(name);
        let began = Instant::now();
        let ended = program.end();
        let told = began.elapsed();
        assert_eq!((&*ended.stdout, &*ended.stderr, ended.code), (ENDS, "", Some(0)), "{name}");
        assert!(told < TOLD, "{name}: the program was told after {told:?}");
        if name == "-STOP" {
            thaws(&lab, node);
        }
    }
}

#[test]
fn a_program_that_freezes_is_lost_to_its_node_and_its_node_to_it() {
    let lab = Lab::new();
    let node = node(&lab, &[]);
    let program = Started::new(with_timeout(&lab, "waits-in-every-way", &[&node.address]), "all wait");
    signal(&program.child, "-STOP");
    let began = Instant::now();
    lab.has_places(&node, 0);
    let noticed = began.elapsed();
    assert!(noticed < TOLD, "the node noticed after {noticed:?}");
    signal(&program.child, "-CONT");
    let ended = program.end();
    assert_eq!((&*ended.stdout, &*ended.stderr, ended.code), (ENDS, "", Some(0)));
}

/// The run of a place on a node ends because that is lost, in time.
#[track_caller]
fn is_told(began: Instant, ended: &Ended, address: &str) {
    let told = began.elapsed();
    assert!(ended.stderr.starts_with(&format!("error: the node `{address}` was lost")), "{ended:?}");
    assert_eq!((ended.code, &*ended.stdout), (Some(69), ""));
    assert!(told < TOLD, "it was told after {told:?}");
}

/// A run of a module of so many bytes that no node knows.
fn run_of_unknown(lab: &Lab, (name, start): (&str, &str), size: usize, address: &str) -> Run {
    let mut module = unknown(&guest(name));
    section(&mut module, size);
    let file = lab.path().join("unknown.wasm");
    fs::write(&file, module).expect("there is room");
    lab.placehost(&[&["run", file.to_str().expect("its path is text"), start, "--at", address], &TIMEOUT[..]].concat())
}

#[test]
fn who_ships_a_module_to_a_node_is_told_that_it_is_lost() {
    for name in LOST {
        let lab = Lab::new();
        let node = node(&lab, &[]);
        let badness = Badness { delay: Duration::from_millis(20), late: 0, lost: 0, doubled: 0, seed: 1 };
        let line = BadLine::new(node.address.parse().expect("it is an address"), badness);
        let address = line.address.to_string();
        let child = run_of_unknown(&lab, ("hello_world", "main"), 24 << 20, &address).start();
        until(|| line.carried() > 1 << 20);
        node.signal(name);
        let began = Instant::now();
        is_told(began, &end(child), &address);
        assert!(line.carried() < 24 << 20, "it was all shipped before");
    }
}

#[test]
fn who_waits_for_a_node_that_compiles_is_told_that_it_is_lost() {
    for name in LOST {
        let lab = Lab::new();
        let cache = lab.path().join("cache");
        let run = lab.placehost(&[&["node", "--listen", "127.0.0.1:0"], &TIMEOUT[..]].concat());
        let node = Node::start(run.env("PLACEHOST_CACHE", cache.to_str().expect("its path is text")));
        let child = run_of_unknown(&lab, ("messages", "every-kind-of-value-comes-back-equal"), 0, &node.address).start();
        // It compiles once the module is there whole.
        let is_whole = |path: &Path| path.extension().is_some_and(|end| end == "wasm");
        until(|| fs::read_dir(cache.join("modules")).is_ok_and(|mut all| all.any(|file| is_whole(&file.expect("it is ours").path()))));
        node.signal(name);
        let began = Instant::now();
        is_told(began, &end(child), &node.address);
    }
}

#[test]
fn commands_say_that_a_frozen_node_does_not_answer() {
    let lab = Lab::new();
    let node = node(&lab, &["--grace", "1h"]);
    let mut place = Talk::start(lab.run("any_double", "any_double", &node.address, &[]));
    place.put("[1, 2, 4]");
    assert_eq!(place.get(), "true");
    let id = lab.places(&node)[0]["id"].as_str().expect("it is text").to_owned();
    // This one waits until the node has ended, and that waits for its place.
    let stopping = lab.placehost(&[&["node", "stop", "--at", &node.address], &TIMEOUT[..]].concat()).start();
    until(|| lab.run("lives", "returns", &node.address, &[]).end().code == Some(125));
    node.signal("-STOP");
    let began = Instant::now();
    let commands = [&["ps"][..], &["nodes"], &["kill", &id], &["node", "stop"]].map(|command| {
        let all = [command, &["--at", &node.address], &TIMEOUT[..]].concat();
        lab.placehost(&all).start()
    });
    for child in commands {
        let ended = end(child);
        let silent = format!("error: there is no node at `{}`", node.address);
        assert!(ended.stderr.starts_with(&silent) && ended.stderr.contains("no answer within"), "{ended:?}");
        assert_eq!(ended.code, Some(1), "{ended:?}");
    }
    end(stopping);
    assert!(began.elapsed() < TOLD + TOLD, "it took {:?}", began.elapsed());
    place.kill();
}
