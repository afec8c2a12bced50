//! Places on other nodes, by the command: `placehost node`, `run --at`, `ps`, `nodes`, `kill` and `node stop`, as processes on this
//! machine. That the nodes are on one machine is nothing they know.

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::UdpSocket;
use std::process::{Child, ChildStdout};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::harness::{Ended, GREETED, Run, end, run};
use crate::lab::{Lab, Node, signal, until};

/// What a person waits for at most to hear that there is nobody, and what leaving takes at most on a busy machine.
const SOON: Duration = Duration::from_secs(6);

/// Starts a place that puts a message first, and waits for that.
fn started(run: Run) -> (Child, BufReader<ChildStdout>) {
    let mut child = run.start_interactive();
    let mut stdout = BufReader::new(child.stdout.take().expect("it is a pipe"));
    let mut line = String::new();
    stdout.read_line(&mut line).expect("it can be read");
    assert!(line.ends_with('\n'), "the place ended: {:?}", end(child));
    (child, stdout)
}

/// Both go the same way.
#[track_caller]
fn same(here: Run, there: Run) {
    let (here, there) = (here.end(), there.end());
    assert_eq!((here.code, here.stdout, here.stderr), (there.code, there.stdout, there.stderr));
}

fn json(ended: &Ended) -> Value {
    serde_json::from_str(&ended.stdout).expect("it is JSON")
}

/// A port where nobody listens: the system does not give it to the next who asks.
fn free_address() -> String {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("there is a socket");
    socket.local_addr().expect("it is bound").to_string()
}

#[test]
fn a_node_says_in_a_line_who_it_is_and_where() {
    let lab = Lab::new();
    let node = lab.node(&[]);
    assert!(node.line.starts_with("Node `host1` ("), "{}", node.line);
    assert!(node.line.contains(&format!(") listens on {} for the cluster `lab` (", node.address)), "{}", node.line);
    node.signal("-TERM");
    let ended = node.end();
    assert_eq!((ended.code, &*ended.stdout, &*ended.stderr), (Some(0), "", ""));
    assert!(lab.node(&["--name", "other"]).line.starts_with("Node `other` ("));
}

#[test]
fn a_place_elsewhere_goes_as_it_does_here() {
    let lab = Lab::new();
    let node = lab.node(&[]);
    for (guest, start, args, input) in [
        ("any_double", "any_double", &["--send", "[1, 2, 4]", "--send", "[1, 3, 5]"][..], ""),
        ("any_double", "any_double", &[], "[1, 2, 4]\n[1, 3, 5]\n"),
        ("any_double", "main", &[], ""),
        ("echo", "main", &[], ""),
        ("ping_pong", "main", &["--", "3"], ""),
        ("grants", "prints-what-it-sees", &["--env", "A=1", "--", "--depth", "3"], ""),
    ] {
        same(run(guest, start, args).input(input), lab.run(guest, start, &node.address, args).input(input));
    }
    assert!(lab.places(&node).is_empty());
}

#[test]
fn what_runs_elsewhere_is_not_compiled_here() {
    let lab = Lab::new();
    let node = lab.node(&[]);
    let cache = lab.path().join("cache");
    let compiled = |run: Run| {
        run.env("PLACEHOST_CACHE", cache.to_str().expect("its path is text")).fails(0, &[]);
        let engines = fs::read_dir(&cache).expect("it is there").map(|entry| entry.expect("it can be read").path());
        engines.map(|engine| fs::read_dir(engine).expect("it is a folder").count()).sum::<usize>()
    };
    assert_eq!(compiled(lab.run("hello_world", "hello_world", &node.address, &["--send", "\"Hello\""])), 0);
    assert_eq!(compiled(run("hello_world", "hello_world", &["--send", "\"Hello\""])), 1);
}

#[test]
fn a_place_elsewhere_prints_and_answers() {
    let lab = Lab::new();
    let node = lab.node(&[]);
    for (start, args, answer) in
        [("main", &[][..], "main received: Hello World"), ("hello_world", &["--send", "\"Hello\""], "\"Hello World\"")]
    {
        lab.run("hello_world", start, &node.address, args).prints_of_each(&[GREETED, &[answer]]);
    }
}

#[test]
fn the_end_of_a_place_elsewhere_is_told_as_here() {
    let lab = Lab::new();
    let node = lab.node(&["--memory", "256MiB"]);
    for (guest, start, args) in [
        ("lives", "returns", &[][..]),
        ("lives", "exits_with_seven", &[]),
        ("lives", "exits", &["--send", "9"]),
        ("lives", "fails", &[]),
        ("lives", "panics", &[]),
        ("failures", "panics", &[]),
        ("failures", "traps", &[]),
        ("failures", "recurses", &[]),
        ("lives", "spins", &["--deadline", "50ms"]),
        ("lives", "nobody", &[]),
        ("lives", "returns", &["--send", "nothing"]),
    ] {
        same(run(guest, start, args), lab.run(guest, start, &node.address, args));
    }
    let ended = lab.run("failures", "panics", &node.address, &[]).fails(134, &["trapped: panicked at"]);
    assert!(ended.stderr.contains("\n    failures::panics"), "the backtrace has the guest's names: {}", ended.stderr);
}

#[test]
fn bad_input_ends_a_place_elsewhere() {
    let lab = Lab::new();
    let node = lab.node(&[]);
    lab.run("lives", "echo", &node.address, &[]).input("1\nhello\n").fails(125, &["line 2 of stdin is not JSON"]);
    lab.has_places(&node, 0);
}

#[test]
fn a_module_is_kept_where_it_was_shipped_to() {
    let lab = Lab::new();
    let cache = lab.path().join("cache");
    let node = Node::start(lab.placehost(&["node", "--listen", "127.0.0.1:0"]).env("PLACEHOST_CACHE", cache.to_str().expect("text")));
    for _ in 0..2 {
        lab.run("hello_world", "main", &node.address, &[]).fails(0, &[]);
    }
    let kept: Vec<_> = fs::read_dir(cache.join("modules")).expect("it is there").map(|entry| entry.expect("it can be read")).collect();
    assert_eq!(kept.len(), 1, "{kept:?}");
}

#[test]
fn with_v_it_is_said_which_node_it_is() {
    let lab = Lab::new();
    let node = lab.node(&[]);
    let says = format!("the place runs on the node `host1` ({}) at {}", node.id, node.address);
    lab.run("lives", "returns", &node.address, &["-v"]).fails(0, &[&says]);
}

#[test]
fn ctrl_c_ends_a_place_elsewhere() {
    let lab = Lab::new();
    let node = lab.node(&[]);
    // The one that waits has a child.
    for (start, places, name, code) in [("waits_for_many", 2, "-INT", 130), ("spins", 1, "-INT", 130), ("waits_for_many", 2, "-TERM", 143)]
    {
        let (child, _stdout) = started(lab.run("lives", start, &node.address, &[]));
        lab.has_places(&node, places);
        signal(&child, name);
        let began = Instant::now();
        let ended = end(child);
        assert_eq!((ended.code, &*ended.stderr), (Some(code), ""), "{start}");
        assert!(began.elapsed() < SOON, "{start} took {:?}", began.elapsed());
        lab.has_places(&node, 0);
    }
}

#[test]
fn who_leaves_takes_its_place_along() {
    let lab = Lab::new();
    let node = lab.node(&["--timeout", "1s"]);
    let (child, _stdout) = started(lab.run("lives", "spins", &node.address, &["--timeout", "1s"]));
    lab.has_places(&node, 1);
    signal(&child, "-KILL");
    lab.has_places(&node, 0);
    end(child);
}

#[test]
fn where_nobody_is_that_is_said_soon() {
    let lab = Lab::new();
    // One refuses, the other is silent.
    let (free, silent) = (free_address(), UdpSocket::bind("127.0.0.1:0").expect("there is a socket"));
    let silent_address = silent.local_addr().expect("it is bound").to_string();
    for (address, why) in [(&free, "nobody listens there"), (&silent_address, "no answer within")] {
        let began = Instant::now();
        let error = format!("error: there is no node at `{address}`\n    {address}: {why}");
        lab.run("lives", "returns", address, &[]).fails(125, &[&error, "hint: `placehost node` on `127.0.0.1`", "--at ssh://127.0.0.1"]);
        assert!(began.elapsed() < SOON, "{address} took {:?}", began.elapsed());
    }
    for command in [&["ps"][..], &["nodes"], &["node", "stop"], &["kill", "00000000.1"]] {
        lab.placehost(&[command, &["--at", &free]].concat()).fails(1, &["error: there is no node at `"]);
    }
    lab.run("lives", "returns", "nobody.invalid", &[]).fails(125, &["error: cannot look up `nobody.invalid:6340`"]);
}

#[test]
fn a_node_that_is_lost_ends_the_run() {
    let lab = Lab::new();
    for timeout in ["10s", "1s"] {
        let node = lab.node(&["--timeout", timeout]);
        let (child, _stdout) = started(lab.run("lives", "waits_for_many", &node.address, &["--timeout", "1s"]));
        let lost = format!("error: the node `{}` was lost", node.address);
        drop(node);
        let ended = end(child);
        assert_eq!(ended.code, Some(69), "{}", ended.stderr);
        assert!(ended.stderr.starts_with(&lost), "{}", ended.stderr);
    }
}

#[test]
fn a_port_in_use_is_said() {
    let lab = Lab::new();
    let node = lab.node(&[]);
    let error = format!("error: cannot listen on {}\n    Address already in use", node.address);
    lab.placehost(&["node", "--listen", &node.address]).fails(1, &[&error, "hint: another program has that UDP port"]);
    lab.placehost(&["node", "--listen", "192.0.2.1:0"]).fails(1, &["error: cannot listen on 192.0.2.1:0", "hint: `ip address`"]);
}

#[test]
fn who_is_in_no_cluster_is_told_how_to_get_into_one() {
    let lab = Lab::without_cluster();
    let hints = ["error: this machine is in no cluster", "hint: `placehost cluster init`", "placehost node --join TOKEN", "--ca"];
    lab.placehost(&["node", "--listen", "127.0.0.1:0"]).fails(1, &hints);
    lab.placehost(&["ps"]).fails(1, &hints);
    lab.run("lives", "returns", "127.0.0.1:1", &[]).fails(125, &hints);
    assert!(!lab.path().join("home").exists(), "to look is not to make");
}

#[test]
fn a_run_here_reads_no_keys() {
    let lab = Lab::new();
    fs::write(lab.file("node.key"), "hello").expect("it is ours");
    run("lives", "returns", &[]).env("PLACEHOST_HOME", &lab.file("")).prints("");
    lab.run("lives", "returns", "127.0.0.1:1", &[]).fails(125, &["node.key"]);
}

#[test]
fn a_stranger_is_refused_on_both_sides() {
    let (lab, stranger) = (Lab::new(), Lab::new());
    let node = lab.node(&[]);
    for run in [stranger.run("lives", "returns", &node.address, &[]), stranger.placehost(&["ps", "--at", &node.address])] {
        let ended = run.end();
        assert!(ended.code == Some(125) || ended.code == Some(1), "{ended:?}");
        assert!(
            ended.stderr.contains("by the authority") && ended.stderr.contains("hint: both have to be of one cluster"),
            "{}",
            ended.stderr
        );
        assert_eq!(ended.stdout, "");
    }
    lab.run("lives", "returns", &node.address, &[]).fails(0, &[]);
    node.signal("-INT");
    let ended = node.end();
    assert_eq!(ended.code, Some(0));
    assert!(ended.stderr.contains("warning: 127.0.0.1:"), "the node says who knocked: {}", ended.stderr);
}

#[test]
fn certificates_of_ones_own_serve_as_well() {
    let (lab, other) = (Lab::new(), Lab::without_cluster());
    let files = [lab.file("authority.pem"), lab.file("node.pem"), lab.file("node.key")];
    let options = ["--ca", &files[0], "--cert", &files[1], "--key", &files[2]];
    let node = other.node(&options);
    lab.run("any_double", "any_double", &node.address, &["--send", "[1, 2]"]).prints("true\n");
    other.run("any_double", "any_double", &node.address, &[&options[..], &["--send", "[1, 2]"]].concat()).prints("true\n");
    other.placehost(&["ps", "--ca", &files[0]]).fails(2, &["--cert"]);
}

#[test]
fn certificates_of_ones_own_are_revoked_by_a_file() {
    let (lab, joiner, other) = (Lab::new(), Lab::without_cluster(), Lab::without_cluster());
    let first = lab.node(&[]);
    let token = lab.placehost(&["cluster", "invite", "--address", &first.address]).fails(0, &[]).stdout;
    drop(joiner.node(&["--join", token.trim(), "--name", "host2"]));
    let files = ["authority.pem", "node.pem", "node.key"].map(|name| lab.file(name));
    let list = other.path().join("list.crl");
    let list = list.to_str().expect("its path is text");
    fs::copy(lab.file("revoked.crl"), list).expect("there is room");
    let node = other.node(&["--ca", &files[0], "--cert", &files[1], "--key", &files[2], "--crl", list]);
    let (child, _stdout) = started(joiner.run("lives", "waits_for_many", &node.address, &[]));

    // Who is there is sent away when the file changes, and does not come in again.
    lab.placehost(&["cluster", "revoke", "host2"]).fails(0, &[]);
    fs::copy(lab.file("revoked.crl"), list).expect("there is room");
    let ended = end(child);
    assert_eq!(ended.code, Some(69), "{}", ended.stderr);
    joiner.run("lives", "returns", &node.address, &[]).fails(125, &["revoked", "hint: "]);
    lab.run("lives", "returns", &node.address, &[]).fails(0, &[]);

    fs::write(list, "hello").expect("it is ours");
    let options = ["node", "--listen", "127.0.0.1:0", "--ca", &files[0], "--cert", &files[1], "--key", &files[2], "--crl", list];
    let error = format!("error: cannot use the revocation lists of `{list}`");
    other.placehost(&options).fails(1, &[&error, "it is no revocation list", "hint: a list begins with"]);
    other.placehost(&["ps", "--crl", list]).fails(2, &["--ca"]);
}

#[test]
fn a_machine_joins_by_a_token_once() {
    let (lab, joiner, late) = (Lab::new(), Lab::without_cluster(), Lab::without_cluster());
    let first = lab.node(&[]);
    let token = lab.placehost(&["cluster", "invite", "--address", &first.address]).fails(0, &[]).stdout;
    let join = ["--join", token.trim(), "--name", "host2"];
    let second = joiner.node(&join);
    assert!(second.line.starts_with("Node `host2` (") && second.line.contains(" for the cluster `lab` ("), "{}", second.line);
    lab.run("lives", "exits_with_seven", &second.address, &[]).fails(7, &[]);
    joiner.run("lives", "exits_with_seven", &first.address, &[]).fails(7, &[]);
    // The command can be repeated, by the same machine.
    drop(second);
    assert!(joiner.node(&join).line.starts_with("Node `host2` ("));
    late.placehost(&["node", "--join", token.trim()]).fails(1, &["error: ", "token", "hint: "]);
    let other = Lab::new();
    other.placehost(&["node", "--join", token.trim()]).fails(1, &["belongs to a cluster already", "hint: `placehost cluster show`"]);
    late.placehost(&["node", "--join", "ph1-nonsense"]).fails(2, &["--join"]);
}

#[test]
fn a_machine_that_was_revoked_joins_again_by_another_token() {
    let (lab, joiner) = (Lab::new(), Lab::without_cluster());
    let first = lab.node(&[]);
    let invite = || lab.placehost(&["cluster", "invite", "--address", &first.address]).fails(0, &[]).stdout;
    drop(joiner.node(&["--join", invite().trim(), "--name", "host2"]));
    lab.placehost(&["cluster", "revoke", "host2"]).fails(0, &[]);
    fs::copy(lab.file("revoked.crl"), joiner.file("revoked.crl")).expect("there is room");
    joiner.placehost(&["node", "--listen", "127.0.0.1:0"]).fails(1, &["is revoked", "hint: `placehost node --join TOKEN`"]);
    let second = joiner.node(&["--join", invite().trim()]);
    assert!(second.line.starts_with("Node `host2` ("), "{}", second.line);
    lab.run("lives", "exits_with_seven", &second.address, &[]).fails(7, &[]);
}

#[test]
fn a_node_is_launched_for_a_run() {
    for lab in [Lab::new(), Lab::without_cluster()] {
        let ssh = lab.ssh();
        let there = |guest, start, args: &[&str]| ssh.of(lab.run(guest, start, "ssh://127.0.0.1", args));
        same(run("echo", "main", &[]), there("echo", "main", &[]));
        ssh.is_gone();
        there("lives", "exits_with_seven", &["--memory", "512MiB"]).fails(7, &[]);
        ssh.is_gone();
        there("lives", "panics", &[]).fails(134, &["trapped: panicked at", "it is over"]);
        ssh.is_gone();
    }
}

#[test]
fn a_node_that_is_launched_counts_fuel_where_that_is_limited() {
    let lab = Lab::without_cluster();
    let ssh = lab.ssh();
    let spins = |args: &[&str]| ssh.of(lab.run("limits", "spins", "ssh://127.0.0.1", args));
    spins(&["--fuel", "10000000"]).fails(124, &["10000000 units of fuel"]);
    ssh.is_gone();
}

#[test]
fn a_node_that_was_launched_ends_with_who_launched_it() {
    for name in ["-INT", "-KILL"] {
        let lab = Lab::without_cluster();
        let ssh = lab.ssh();
        let (child, _stdout) = started(ssh.of(lab.run("lives", "spins", "ssh://127.0.0.1", &[])));
        signal(&child, name);
        end(child);
        ssh.is_gone();
    }
}

#[test]
fn a_launch_that_fails_says_how_far_it_came() {
    let lab = Lab::without_cluster();
    let there = || lab.ssh().of(lab.run("lives", "returns", "ssh://me@127.0.0.1", &[]));
    let error = there().env("PLACEHOST_REMOTE", "/nowhere/placehost").fails(125, &["error: no node was launched on `127.0.0.1` by `"]);
    assert!(error.stderr.contains("me@127.0.0.1 /nowhere/placehost node --bootstrap") && error.stderr.contains("not found"), "{error:?}");
    there().env("PLACEHOST_SSH", "/nowhere/ssh").fails(125, &["error: cannot run `/nowhere/ssh`", "hint: "]);
    lab.placehost(&["node", "--bootstrap"]).input("hello\n").fails(1, &["error: standard input did not say who to be"]);
    lab.placehost(&["node", "--bootstrap"]).fails(1, &["error: standard input did not say who to be"]);
}

#[test]
fn what_runs_is_listed_and_ended() {
    let lab = Lab::new();
    let node = lab.node(&[]);
    let header = format!("node host1 ({}) at {}\n", node.id, node.address);
    lab.placehost(&["ps", "--at", &node.address]).prints(&header);
    lab.placehost(&["nodes", "--at", &node.address]).prints(&header);

    let (child, _stdout) = started(lab.run("lives", "waits_for_many", &node.address, &[]));
    let listed = || lab.placehost(&["ps", "--at", &node.address, "--json"]).fails(0, &[]);
    until(|| json(&listed())["places"][0]["state"] == "waiting");
    let shown = json(&listed());
    assert_eq!((&shown["node"]["id"], &shown["node"]["name"]), (&node.id.as_str().into(), &"host1".into()));
    let place = &shown["places"][0];
    assert_eq!((&place["module"], &place["start"], &place["name"]), (&"lives.wasm".into(), &"waits-for-many".into(), &Value::Null));
    assert_eq!((&place["out"], &place["in"], &place["mailbox"]), (&1.into(), &0.into(), &0.into()));
    assert!(place["memory"].as_u64().is_some_and(|memory| memory >= 65_536) && place["age_ms"].is_u64(), "{place}");
    let id = place["id"].as_str().expect("it is text");
    assert!(id.starts_with(&format!("{}.", node.id)), "{id}");
    let table = lab.placehost(&["ps", "--at", &node.address]).fails(0, &[]).stdout;
    assert!(table.lines().nth(1).is_some_and(|heading| heading.starts_with("ID ") && heading.ends_with("LABEL")), "{table}");
    assert!(table.lines().nth(2).is_some_and(|row| row.starts_with(id) && row.contains("lives.wasm  waits-for-many  waiting")), "{table}");

    let peers = json(&lab.placehost(&["nodes", "--at", &node.address, "--json"]).fails(0, &[]));
    assert_eq!(peers["nodes"].as_array().map(Vec::len), Some(1), "{peers}");
    assert_eq!((&peers["nodes"][0]["places"], &peers["nodes"][0]["dialled"]), (&1.into(), &true.into()));

    let ended = lab.placehost(&["kill", id, "--at", &node.address]).fails(0, &[]);
    assert_eq!((&*ended.stdout, &*ended.stderr), ("", ""));
    assert!(lab.places(&node).is_empty());
    let ended = end(child);
    assert_eq!(ended.code, Some(137), "{}", ended.stderr);
    lab.placehost(&["kill", id, "--at", &node.address]).fails(1, &["error: there is no place ", "hint: `placehost ps --at "]);
    lab.placehost(&["kill", "1", "--at", &node.address]).fails(2, &["like `6e1f0a2b.1`"]);
}

#[test]
fn a_node_that_is_started_again_is_another() {
    let lab = Lab::new();
    let node = lab.node(&[]);
    let (child, _stdout) = started(lab.run("lives", "waits_for_many", &node.address, &["--timeout", "1s"]));
    let place = lab.places(&node)[0]["id"].as_str().expect("it is text").to_owned();
    let (address, id) = (node.address.clone(), node.id.clone());
    drop(node);
    let node = Node::start(lab.placehost(&["node", "--listen", &address]));
    assert_ne!(node.id, id);
    assert_eq!(end(child).code, Some(69));
    let error = format!("error: place {place} is not of the node at `{address}`, which is {}", node.id);
    lab.placehost(&["kill", &place, "--at", &address]).fails(1, &[&error, "a former life of this one"]);
    assert!(lab.places(&node).is_empty());
}

#[test]
fn a_node_is_stopped_by_another() {
    let lab = Lab::new();
    let node = lab.node(&["--grace", "60s"]);
    let stopped = lab.placehost(&["node", "stop", "--at", &node.address]).fails(0, &[]);
    assert_eq!((&*stopped.stdout, &*stopped.stderr), ("", ""));
    let ended = node.end();
    assert_eq!((ended.code, &*ended.stderr), (Some(0), ""));
}

#[test]
fn a_node_that_stops_lets_places_end_and_takes_no_more() {
    let lab = Lab::new();
    let node = lab.node(&["--grace", "60s"]);
    let (mut child, stdout) = started(lab.run("lives", "waits_for_many", &node.address, &[]));
    node.signal("-TERM");
    until(|| {
        let ended = lab.run("lives", "returns", &node.address, &[]).end();
        ended.code == Some(125) && ended.stderr.contains("that node is stopping")
    });
    // The end of its input is what this place waits for.
    drop(child.stdin.take());
    let ended = end(child);
    assert_eq!((ended.code, &*ended.stderr), (Some(0), ""));
    drop(stdout);
    assert_eq!(node.end().code, Some(0));
}

#[test]
fn places_that_do_not_end_are_ended_with_their_node() {
    let lab = Lab::new();
    let node = lab.node(&["--grace", "0s"]);
    let (child, _stdout) = started(lab.run("lives", "spins", &node.address, &[]));
    node.signal("-INT");
    assert_eq!(node.end().code, Some(0));
    // Whichever is heard first: that it was killed, or that its node is gone.
    let ended = end(child);
    assert!(matches!(ended.code, Some(69 | 137)), "{ended:?}");
}

#[test]
fn a_second_signal_ends_a_node_at_once() {
    let lab = Lab::new();
    let node = lab.node(&["--grace", "1h"]);
    let (child, _stdout) = started(lab.run("lives", "waits_for_many", &node.address, &["--timeout", "1s"]));
    node.signal("-INT");
    until(|| lab.run("lives", "returns", &node.address, &[]).end().code == Some(125));
    node.signal("-INT");
    assert_eq!(node.end().code, Some(130));
    assert_eq!(end(child).code, Some(69));
}

#[test]
fn a_node_grants_what_its_options_say() {
    let lab = Lab::new();
    let data = lab.path().join("data");
    fs::create_dir(&data).expect("there is room");
    fs::write(data.join("file"), "text").expect("there is room");
    let node = lab.node(&["--dir", &format!("{}::/data:ro", data.display())]);
    let sees = |args: &[&str]| lab.run("grants", "prints-what-it-sees", &node.address, args);
    let answer = |data: &str| format!("args: prints-what-it-sees\nenv: \n/: entity not found\n/data: {data}\nnetwork: false\n");
    sees(&[]).prints(&answer("entity not found"));
    // What lies at that path here does not matter.
    sees(&["--dir", "/nowhere::/data"]).prints(&answer("file"));
    let refused = ["did not start `", "hint: "];
    sees(&["--dir", "/tmp::/tmp"]).fails(125, &[&refused[..], &["that node does not grant a directory `/tmp`"]].concat());
    sees(&["--net"]).fails(125, &[&refused[..], &["that node does not grant the network"]].concat());
    sees(&["--allow-nodes"]).fails(125, &[&refused[..], &["that node does not grant other nodes"]].concat());
    sees(&["--memory", "128MiB"]).fails(125, &[&refused[..], &["at most 67108864 bytes of memory", "--memory"]].concat());
    let generous = lab.node(&["--net", "--memory", "128MiB"]);
    let ended = lab.run("grants", "prints-what-it-sees", &generous.address, &["--net", "--memory", "128MiB"]).fails(0, &[]);
    assert!(ended.stdout.ends_with("network: true\n"), "{}", ended.stdout);
}

#[test]
fn a_node_allows_what_its_options_say() {
    let lab = Lab::new();
    let closed = lab.node(&["--allow", "none"]);
    lab.run("lives", "returns", &closed.address, &[]).fails(125, &["does not let others start places on it", "hint: "]);
    let at = ["--at", &closed.address];
    for (command, what) in [(&["ps"][..], "see what runs on it"), (&["nodes"], "see what runs on it"), (&["node", "stop"], "stop it")] {
        lab.placehost(&[command, &at].concat()).fails(1, &[what, "hint: what a node lets others do, its `--allow` says"]);
    }
    let spawns = lab.node(&["--allow", "spawn,list"]);
    let (child, _stdout) = started(lab.run("lives", "waits_for_many", &spawns.address, &[]));
    let id = lab.places(&spawns)[0]["id"].as_str().expect("it is text").to_owned();
    lab.placehost(&["kill", &id, "--at", &spawns.address]).fails(1, &["does not let others end its places"]);
    assert_eq!(lab.places(&spawns)[0]["id"], *id);
    signal(&child, "-INT");
    assert_eq!(end(child).code, Some(130));
    lab.placehost(&["node", "--allow", "none,list"]).fails(2, &["`none` of --allow stands alone"]);
}

#[test]
fn options_that_make_no_sense_are_refused() {
    let lab = Lab::new();
    for (args, says) in [
        (&["--preempt", "off"][..], "--preempt"),
        (&["--max-places", "1"], "--max-places"),
        (&["--modules", "."], "--modules"),
        (&["--timeout", "1ms"], "it must be from `100ms` to `24h`"),
    ] {
        lab.run("lives", "returns", "host2", args).fails(2, &[says]);
    }
    for at in ["", "a b", "http://host2", "ssh://", "host2:0"] {
        lab.run("lives", "returns", at, &[]).fails(2, &["--at"]);
    }
    lab.placehost(&["node", "--listen", "host2"]).fails(2, &["it is no address of this machine"]);
    lab.placehost(&["node", "--deadline", "1s", "--preempt", "off"]).fails(2, &["a deadline needs preemption"]);
    lab.placehost(&["node", "--grace", "1s", "stop"]).fails(2, &["stop"]);
}
