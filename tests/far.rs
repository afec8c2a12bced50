//! Places and channels over several nodes, which are processes of this machine: what holds on one holds over many. Most claims are made
//! by the guest, which is told the nodes' addresses; here is what is seen from outside.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdout};

use serde_json::Value;

use crate::harness::{Run, end, guest};
use crate::lab::{Lab, Node, until};

/// `placehost run far CLAIM OPTIONS -- ADDRESSES`, by a machine of the cluster.
pub(crate) fn far(lab: &Lab, start: &str, options: &[&str], nodes: &[&Node]) -> Run {
    let module = guest("far");
    let addresses: Vec<_> = nodes.iter().map(|node| &*node.address).collect();
    let module = module.to_str().expect("its path is text");
    lab.placehost(&[&["run", module, start, "--allow-nodes"], options, &["--"], &addresses].concat())
}

/// A test for each claim, with that many nodes; each has nothing left of it afterwards.
macro_rules! far_claims {
    ($count:literal with $options:tt: $($claim:ident,)+) => {$(
        #[test]
        fn $claim() {
            let options: &[&str] = &$options;
            let lab = Lab::new();
            let nodes = [(); $count].map(|()| lab.node(&[&["--allow-nodes"], options].concat()));
            far(&lab, stringify!($claim), options, &nodes.each_ref()).prints("");
            nodes.iter().for_each(|node| lab.has_places(node, 0));
        }
    )+};
}

far_claims! { 1 with []:
    what_was_sent_before_the_end_is_read,
    one_direction_is_closed_alone,
    who_puts_where_nobody_reads_hears_of_it,
    a_message_has_many_ends,
    messages_of_all_sizes_cross,
    every_reason_is_told_as_it_is_here,
    a_place_elsewhere_is_killed_whatever_it_does,
    a_name_is_given_once_and_freed,
    what_is_not_there_is_told_with_what_is,
    one_node_is_one_however_often_it_is_dialled,
    an_end_that_was_closed_before_it_went_is_closed_there,
}

far_claims! { 1 with ["--max-places", "2"]:
    where_there_is_no_room_after_all_a_place_ends_for_that,
}

far_claims! { 1 with ["--memory", "512MiB"]:
    the_largest_message_crosses,
}

far_claims! { 2 with []:
    each_direction_keeps_its_order,
    who_does_not_read_stops_who_writes_and_nobody_else,
    an_end_comes_back_to_where_it_was_made,
    ends_lie_in_ends,
    blobs_cross_whole_shared_and_in_slices,
    channels_of_two_nodes_are_waited_for_together,
    a_place_elsewhere_is_watched_from_everywhere,
    links_hold_across_nodes,
    a_name_is_found_from_everywhere,
    many_places_are_started_elsewhere,
}

far_claims! { 3 with []:
    an_end_goes_from_node_to_node_while_somebody_writes,
    an_end_of_elsewhere_is_shared_with_many_nodes,
}

/// A place that a test talks with: a line in, a line out.
pub(crate) struct Talk {
    child: Child,
    stdout: BufReader<ChildStdout>,
}

impl Talk {
    pub(crate) fn start(run: Run) -> Self {
        let mut child = run.start_interactive();
        let stdout = BufReader::new(child.stdout.take().expect("it is a pipe"));
        Self { child, stdout }
    }

    /// The next message that it puts.
    #[track_caller]
    pub(crate) fn get(&mut self) -> String {
        let mut line = String::new();
        self.stdout.read_line(&mut line).expect("it can be read");
        assert!(line.ends_with('\n'), "the place ended: {line}");
        line.trim_end().to_owned()
    }

    pub(crate) fn put(&mut self, line: &str) {
        let mut pipe = self.child.stdin.as_ref().expect("it is a pipe");
        writeln!(pipe, "{line}").expect("it reads");
    }

    /// Ends it at once, without a word.
    pub(crate) fn kill(mut self) {
        self.child.kill().expect("it is ours");
        self.child.wait().expect("it is ours");
    }

    /// Closes its input, and expects it to end with success, and to say no more.
    #[track_caller]
    pub(crate) fn ends_well(mut self) {
        drop(self.child.stdin.take());
        let ended = end(self.child);
        assert_eq!((ended.code, &*ended.stderr), (Some(0), ""));
    }
}

#[test]
fn the_loss_of_a_node_is_not_the_end_of_what_it_shared() {
    let lab = Lab::new();
    let nodes = [(); 3].map(|()| lab.node(&[]));
    far(&lab, "the_loss_of_a_node_is_not_the_end_of_what_it_shared", &[], &nodes.each_ref()).prints("");
    lab.has_places(&nodes[0], 0);
    lab.has_places(&nodes[2], 0);
}

/// How many channels cross from a node to another; none where the two are not connected.
fn channels(lab: &Lab, at: &Node, with: &Node) -> Option<u64> {
    let ended = lab.placehost(&["nodes", "--json", "--at", &at.address]).fails(0, &[]);
    let shown: Value = serde_json::from_str(&ended.stdout).expect("it is JSON");
    let rows = shown["nodes"].as_array().expect("it is a list");
    rows.iter().find(|row| row["id"] == with.id.as_str()).map(|row| row["channels"].as_u64().expect("it is a number"))
}

#[test]
fn two_nodes_that_were_introduced_talk_without_who_introduced_them() {
    let lab = Lab::new();
    let [a, b, c] = [(); 3].map(|()| lab.node(&[]));
    let mut talk = Talk::start(far(&lab, "asks-across", &["--timeout", "1s"], &[&a, &b, &c]));
    talk.put("100");
    assert_eq!(talk.get(), "100");
    // Neither dialled the other by hand. The channel has moved to their own connection when nothing of it goes by others.
    until(|| channels(&lab, &b, &c) == Some(1) && channels(&lab, &c, &b) == Some(1));
    until(|| [&b, &c].iter().all(|node| channels(&lab, node, &a).is_none_or(|count| count == 0)));
    a.signal("-KILL");
    talk.put("1000");
    assert_eq!(talk.get(), "1000");
    talk.ends_well();
    drop(a);
}

#[test]
fn two_nodes_that_cannot_reach_each_other_talk_by_way_of_a_third() {
    let lab = Lab::new();
    let a = lab.node(&[]);
    // That is where they say they are, and nobody is there.
    let [b, c] = [(); 2].map(|()| lab.node(&["--advertise", "127.0.0.1:9"]));
    let mut talk = Talk::start(far(&lab, "asks-across", &[], &[&a, &b, &c]));
    for _ in 0..2 {
        talk.put("1000");
        assert_eq!(talk.get(), "1000");
    }
    assert_eq!((channels(&lab, &b, &c), channels(&lab, &c, &b)), (None, None));
    talk.ends_well();
    [a, b, c].iter().for_each(|node| lab.has_places(node, 0));
}

#[test]
fn the_next_life_of_a_node_has_nothing_of_the_one_before() {
    let lab = Lab::new();
    let node = lab.node(&[]);
    let mut talk = Talk::start(far(&lab, "knows-a-former-life", &["--timeout", "1s"], &[&node]));
    assert_eq!(talk.get(), "\"it knows\"");
    let address = node.address.clone();
    drop(node);
    let node = Node::start(lab.placehost(&["node", "--listen", &address]));
    // It has a place of the same name before the program knows that the first is lost, and still writes to it.
    let other = Talk::start(far(&lab, "leaves-one-of-two", &[], &[&node]));
    assert_eq!(talk.get(), "\"it is lost\"");
    talk.put("\"\"");
    // One by who started it, and this.
    assert_eq!(talk.get(), "\"it counts 2\"");
    talk.ends_well();
    other.ends_well();
    far(&lab, "finds-what-was-left", &[], &[&node]).prints("3\n");
}

#[test]
fn a_detached_place_outlives_the_node_of_who_started_it() {
    let lab = Lab::new();
    let node = lab.node(&[]);
    let mut talk = Talk::start(far(&lab, "leaves-one-of-two", &[], &[&node]));
    assert_eq!(talk.get(), "null");
    lab.has_places(&node, 2);
    talk.ends_well();
    lab.has_places(&node, 1);
    assert_eq!(lab.places(&node)[0]["name"], "left");
    for n in 2..4 {
        far(&lab, "finds-what-was-left", &[], &[&node]).prints(&format!("{n}\n"));
    }
}

#[test]
fn nobody_escapes_a_deadline_by_going_elsewhere() {
    let lab = Lab::new();
    let node = lab.node(&[]);
    far(&lab, "leaves-one-that-never-ends", &["--deadline", "2s"], &[&node]).fails(0, &[]);
    lab.has_places(&node, 0);
}

#[test]
fn what_a_place_prints_comes_in_order_and_before_its_end() {
    let lab = Lab::new();
    let node = lab.node(&[]);
    let ended = far(&lab, "what-a-place-prints-comes-in-order-and-before-its-end", &[], &[&node]).fails(0, &[]);
    let lines = |word: &str, every: usize| (0..2000).step_by(every).map(|n| format!("{word} {n}\n")).collect::<String>();
    assert_eq!(ended.stdout, format!("{}the last one\n", lines("line", 1)));
    assert_eq!(ended.stderr, lines("error", 10));
}

#[test]
fn what_a_place_said_before_its_node_stopped_arrives() {
    let lab = Lab::new();
    let node = lab.node(&["--grace", "60s"]);
    let mut child = lab.run("far", "says-much-in-the-end", &node.address, &[]).start_interactive();
    lab.has_places(&node, 1);
    node.signal("-TERM");
    // The node is idle, and leaves, as soon as the place has said the last.
    drop(child.stdin.take());
    let ended = end(child);
    assert_eq!((ended.code, &*ended.stderr), (Some(0), ""));
    let (printed, put): (Vec<_>, Vec<_>) = ended.stdout.lines().partition(|line| line.starts_with("line "));
    assert!(printed.into_iter().eq((0..5000).map(|n| format!("line {n}"))), "it was not all printed");
    assert!(put.into_iter().eq((0..5000).map(|n| n.to_string())), "not all messages came");
    assert_eq!(node.end().code, Some(0));
}

#[test]
fn what_a_place_put_before_its_node_left_arrives() {
    let lab = Lab::new();
    let node = lab.node(&[]);
    for times in 1..=5 {
        far(&lab, "puts-and-leaves", &[], &[&node]).prints("");
        far(&lab, "asks-the-tally", &[], &[&node]).prints(&format!("{}\n", times * 100));
    }
}

#[test]
fn nobody_gets_more_elsewhere_than_who_starts_it_has() {
    let lab = Lab::new();
    let generous = ["--allow-nodes", "--net", "--memory", "256MiB"];
    let [a, b] = [(); 2].map(|()| lab.node(&generous));
    far(&lab, "nobody-gets-more-elsewhere-than-who-starts-it-has", &["--env", "A=1"], &[&a, &b]).prints("");
}

#[test]
fn nobody_gets_more_elsewhere_than_that_node_grants() {
    let lab = Lab::new();
    let (a, b) = (lab.node(&["--net"]), lab.node(&[]));
    far(&lab, "nobody-gets-more-elsewhere-than-that-node-grants", &["--net", "--memory", "128MiB"], &[&a, &b]).prints("");
}

#[test]
fn a_module_that_changed_is_shipped_again() {
    let lab = Lab::new();
    let node = lab.node(&[]);
    let file = lab.path().join("changing.wasm");
    for (from, expected) in
        [("hello_world", "hello-world received: Hello\n"), ("remote_kill", "it says: I compute\n"), ("hello_world", "hello-world received")]
    {
        fs::copy(guest(from), &file).expect("there is room");
        let ended = lab.placehost(&["run", file.to_str().expect("text"), "main", "--at", &node.address]).fails(0, &[]);
        assert!(ended.stdout.starts_with(expected), "{}", ended.stdout);
    }
}

#[test]
fn a_module_that_is_too_large_is_refused() {
    let lab = Lab::new();
    let node = lab.node(&[]);
    let file = lab.path().join("large.wasm");
    fs::copy(guest("hello_world"), &file).expect("there is room");
    let large = fs::OpenOptions::new().write(true).open(&file).expect("it is ours");
    large.set_len((256 << 20) + 1).expect("it is sparse");
    lab.placehost(&["run", file.to_str().expect("text"), "main", "--at", &node.address]).fails(125, &["error: ", "268435456"]);
    lab.run("hello_world", "main", &node.address, &[]).fails(0, &[]);
}
