//! The examples of several nodes print what their documentation says, on as many nodes as they take.

use crate::examples::{BANK, CHAT, NAMED};
use crate::harness::{GREETED, Run, guest};
use crate::lab::{Lab, Node};

/// `placehost run NAME main OPTIONS -- ADDRESSES`, by a machine of the cluster.
fn example(lab: &Lab, name: &str, options: &[&str], addresses: &[&str]) -> Run {
    let module = guest(name);
    let module = module.to_str().expect("its path is text");
    lab.placehost(&[&["run", module, "main", "--allow-nodes"], options, &["--"], addresses].concat())
}

fn addresses(nodes: &[Node]) -> Vec<&str> {
    nodes.iter().map(|node| &*node.address).collect()
}

/// What the slides show.
#[track_caller]
fn greets_as_on_the_slides(run: Run) {
    let ended = run.prints_of_each(&[GREETED, &["main received: Hello World"]]);
    assert_eq!(ended.stderr, "");
}

#[test]
fn hello_distributed_greets_from_a_node_that_runs() {
    let lab = Lab::new();
    let node = lab.node(&[]);
    greets_as_on_the_slides(example(&lab, "hello_distributed", &[], &[&node.address]));
    lab.has_places(&node, 0);
}

#[test]
fn hello_distributed_greets_from_a_node_that_it_creates() {
    for lab in [Lab::new(), Lab::without_cluster()] {
        let ssh = lab.ssh();
        // A place finds both programs where a person would.
        let test = std::env::current_exe().expect("a test has a path");
        let programs = test.ancestors().nth(2).expect("a test lies in a target folder");
        let path = format!("{}:{}:{}", lab.path().display(), programs.display(), std::env::var("PATH").unwrap_or_default());
        greets_as_on_the_slides(example(&lab, "hello_distributed", &[], &["127.0.0.1", "0"]).env("PATH", &path));
        ssh.is_gone();
    }
}

#[test]
fn named_places_are_found_on_another_node() {
    let lab = Lab::new();
    let node = lab.node(&[]);
    example(&lab, "named", &[], &[&node.address]).prints(NAMED);
    example(&lab, "bank", &[], &[&node.address]).prints(BANK);
    // What its server prints comes from there, and so at any time.
    let ended = example(&lab, "tuple_server", &[], &[&node.address]).fails(0, &[]);
    let (said, printed): (Vec<_>, Vec<_>) = ended.stdout.lines().partition(|line| line.starts_with("Hello"));
    assert_eq!((said.concat(), printed.join(" ")), ("Hello from a cast".into(), "100 100".into()));
}

#[test]
fn chat_goes_on_over_three_nodes() {
    let lab = Lab::new();
    let nodes = [(); 3].map(|()| lab.node(&[]));
    example(&lab, "chat", &[], &addresses(&nodes)).prints(CHAT);
    nodes.iter().for_each(|node| lab.has_places(node, 0));
}

#[test]
fn multiple_nodes_work_together() {
    let expected = "the workers are done, and the bank has 180\nthe restless place was started again 3 times, and is given up: true\n";
    let lab = Lab::new();
    example(&lab, "multiple", &[], &[]).prints(expected);
    let nodes = [(); 5].map(|()| lab.node(&[]));
    example(&lab, "multiple", &[], &addresses(&nodes)).prints(expected);
    nodes.iter().for_each(|node| lab.has_places(node, 0));
}

#[test]
fn logging_is_read_where_the_server_was_started() {
    let lab = Lab::new();
    let node = lab.node(&[]);
    let expected = "Some(100)\nSome(100)\nNone\nthe table returned\n";
    example(&lab, "logging", &[], &[]).prints(expected);
    for (options, lines) in [(&[][..], &["warning"][..]), (&["-v"], &["info", "info", "info", "warning"])] {
        let ended = example(&lab, "logging", options, &[&node.address]).fails(0, &[]);
        assert_eq!(ended.stdout, expected);
        let place = format!(": place `table` ({}.", node.id);
        let said = ended.stderr.lines().filter(|line| line.contains(&place) && line.contains(") on `host1` at "));
        let levels: Vec<_> = said.filter_map(|line| line.split(&place).next()?.rsplit(' ').next()).collect();
        assert_eq!(levels, lines, "{}", ended.stderr);
    }
}

#[test]
fn restart_and_restarter_do_so_here_and_on_another_node() {
    let lab = Lab::new();
    let node = lab.node(&[]);
    for addresses in [&[][..], &[&*node.address]] {
        example(&lab, "restart", &[], addresses).prints("it returned, and is started again\nin a second it had many lives: true\n");
        let runs = "it runs\n".repeat(4);
        example(&lab, "restarter", &[], addresses).prints(&format!("{runs}it was started again 3 times, and is no more\n"));
    }
    lab.has_places(&node, 0);
}

#[test]
fn channel_across_is_used_between_two_other_nodes() {
    let expected = "the maker returned\nwho asks was told [1, 4, 9, 16, 25]\nwho asks returned\nwho answers returned\n";
    let lab = Lab::new();
    let nodes = [(); 3].map(|()| lab.node(&[]));
    for count in 0..=3 {
        example(&lab, "channel_across", &[], &addresses(&nodes[..count])).prints(expected);
    }
}

#[test]
fn remote_kill_ends_what_never_ends() {
    let expected = "it says: I compute\nit was killed\nwho watches is told the same: it was killed\n\
        its channel: the other end of the channel is closed\n";
    let lab = Lab::new();
    let node = lab.node(&[]);
    for addresses in [&[][..], &[&*node.address]] {
        example(&lab, "remote_kill", &[], addresses).prints(expected);
    }
    lab.has_places(&node, 0);
}

#[test]
fn sync_everything_waits_for_everything() {
    let expected = "a message from the first node: hello\na message from the second node: hello again\na call at our socket\n\
        nothing for a while\nthe caller returned\n";
    let lab = Lab::new();
    let [a, b] = [(); 2].map(|()| lab.node(&[]));
    example(&lab, "sync_everything", &["--net"], &[]).prints(expected);
    let and_gone = format!("{expected}the second node is gone\n");
    example(&lab, "sync_everything", &["--net"], &[&a.address, &b.address]).prints(&and_gone);
    assert_eq!(b.end().code, Some(0));
}
