//! What places log: in the log of their node, and in those of the nodes that started them.

use crate::harness::{Run, guest, run};
use crate::lab::{Lab, Node};

/// `placehost OPTIONS run logs START OPTIONS -- ADDRESSES`, by a machine of the cluster.
fn logs(lab: &Lab, start: &str, options: &[&str], nodes: &[&Node]) -> Run {
    let module = guest("logs");
    let module = module.to_str().expect("its path is text");
    let addresses: Vec<_> = nodes.iter().map(|node| &*node.address).collect();
    lab.placehost(&[&["run", module, start, "--allow-nodes"], options, &["--"], &addresses].concat())
}

/// Ends a node, and returns its log.
fn log_of(node: Node) -> String {
    node.signal("-TERM");
    node.end().stderr
}

/// The lines that begin with a level, or with a time and one, without the time.
fn lines(log: &str) -> Vec<&str> {
    let without_time = |line: &str| line.find(": ").map_or(0, |end| line[..end].rfind(' ').map_or(0, |space| space + 1));
    log.lines().map(|line| &line[without_time(line)..]).collect()
}

#[test]
fn a_place_logs_as_much_as_is_asked_for() {
    for (options, levels) in [
        (&[][..], &["warning", "error"][..]),
        (&["-v"], &["info", "warning", "error"]),
        (&["-vv"], &["debug", "info", "warning", "error"]),
        (&["-vvv"], &["trace", "debug", "info", "warning", "error"]),
    ] {
        let ended = run("logs", "says", options).fails(0, &[]);
        let said: Vec<_> = lines(&ended.stderr).into_iter().filter(|line| line.contains(": place `says` (")).collect();
        let expected: Vec<_> = levels.iter().map(|level| format!("{level}: place `says` (")).collect();
        assert_eq!(said.len(), expected.len(), "{}", ended.stderr);
        assert!(said.iter().zip(expected).all(|(line, begin)| line.starts_with(&begin)), "{}", ended.stderr);
        assert!(said.last().is_some_and(|line| line.ends_with("): an error,")) && ended.stderr.contains("\nof two lines\n"));
    }
}

#[test]
fn lines_go_from_creator_to_creator_with_their_node_and_time() {
    let lab = Lab::new();
    let [a, b] = ["a", "b"].map(|name| lab.node(&["--name", name, "--allow-nodes"]));
    let ended = logs(&lab, "chain", &["-v", "--log-to-parent"], &[&a, &b]).fails(0, &[]);
    for (level, start, message) in [
        ("info", "chain", "the end of the chain"),
        ("info", "says", "for information"),
        ("warning", "says", "a warning"),
        ("error", "says", "an error,"),
    ] {
        let begin = format!("{level}: place `{start}` ({}.", b.id);
        let found = lines(&ended.stderr).into_iter().find(|line| line.starts_with(&begin) && line.ends_with(message));
        let line = found.unwrap_or_else(|| panic!("`{message}` is not in: {}", ended.stderr));
        // Such as 2026-01-02T03:04:05.678Z.
        let (_, at) = line.split_once(") on `b` at ").unwrap_or_else(|| panic!("{line}"));
        let (time, rest) = at.split_at(24);
        assert!(time.ends_with('Z') && time.as_bytes()[10] == b'T' && rest == format!(": {message}"), "{line}");
    }
    // And in each log on the way, at the level of that one.
    for (node, begin) in [(a, ") on `b` at "), (b, "): a warning")] {
        let log = log_of(node);
        assert!(log.contains(begin) && log.contains("a warning") && !log.contains("for information"), "{log}");
    }
}

#[test]
fn nothing_goes_on_where_nobody_asked_for_it() {
    let lab = Lab::new();
    let [a, b] = ["a", "b"].map(|name| lab.node(&["--name", name, "--allow-nodes"]));
    let ended = logs(&lab, "chain", &["-v"], &[&a, &b]).fails(0, &[]);
    assert!(!ended.stderr.contains("place `says`"), "{}", ended.stderr);
    // One that asks is heard where it was started, and no further.
    let ended = logs(&lab, "one-link", &["-v"], &[&a, &b]).fails(0, &[]);
    assert!(!ended.stderr.contains("place `says`"), "{}", ended.stderr);
    let ended = logs(&lab, "detached", &["-v"], &[&a]).fails(0, &[]);
    assert!(!ended.stderr.contains("place `says`"), "{}", ended.stderr);
    let log = log_of(a);
    let here = log.lines().filter(|line| line.ends_with("): a warning")).count();
    let from_b = log.lines().filter(|line| line.contains(") on `b` at ") && line.ends_with(": a warning")).count();
    assert_eq!((here, from_b), (1, 1), "{log}");
}

#[test]
fn a_node_may_send_all_lines_home() {
    let lab = Lab::new();
    let node = lab.node(&["--name", "a", "--log-to-parent"]);
    let ended = logs(&lab, "chain", &["-v"], &[&node]).fails(0, &[]);
    assert!(ended.stderr.contains(") on `a` at ") && ended.stderr.contains(": for information"), "{}", ended.stderr);
}

#[test]
fn a_flood_of_lines_stops_nobody_and_what_is_lost_is_counted() {
    let lab = Lab::new();
    let node = lab.node(&[]);
    let ended = logs(&lab, "floods-there", &["-v"], &[&node]).fails(0, &[]);
    let messages = ended.stderr.lines().filter_map(|line| line.split_once(") on `host1` at ")?.1.split_once(": "));
    let (mut came, mut lost, mut last) = (0, 0, None);
    for (_, message) in messages {
        match message.split_once(' ') {
            Some(("line", rest)) => {
                let number: u32 = rest.trim_end().parse().expect("it is a number");
                assert!(last.replace(number) < Some(number), "they keep their order");
                came += 1;
            }
            Some((count, "lines that were logged here are lost: they came faster than they went")) => {
                lost += count.parse::<u32>().expect("it is a number");
            }
            _ => panic!("{message}"),
        }
    }
    assert_eq!(came + lost, 20_000, "{came} came and {lost} are lost");
}
